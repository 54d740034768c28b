//! Where fragments begin, as index boxes say it: `sidx`, and `tfra` at the end of a file.

use super::boxes::{Boxes, Parsed, full_box};

/// A place from which a reader can go on, and the media time there (the time is a lower bound for the fragments behind it
/// in sane files, and checked by the reader).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct IndexPoint {
    /// In units of the index's timescale.
    pub(in super::super) time: u64,
    pub(in super::super) offset: u64,
}

/// A segment index.
#[derive(Debug)]
pub(in super::super) struct SegmentIndex {
    /// The track (in MP4 files) whose times these are.
    pub(in super::super) reference_id: u32,
    pub(in super::super) timescale: u32,
    pub(in super::super) points: Vec<IndexPoint>,
    /// Time at the end of the last subsegment.
    pub(in super::super) end: u64,
}

/// Parses a `sidx` payload. Offsets count from `anchor`, the end of the box.
pub(in super::super) fn parse_sidx(payload: &[u8], anchor: u64) -> Parsed<SegmentIndex> {
    let (version, _, mut fields) = full_box(payload)?;
    let reference_id = fields.u32().ok_or("sidx cut short")?;
    let timescale = fields.u32().ok_or("sidx cut short")?.max(1);
    let wide = version > 0;
    let mut time = fields.u32_or_u64(wide).ok_or("sidx cut short")?;
    let first_offset = fields.u32_or_u64(wide).ok_or("sidx cut short")?;
    let mut offset = anchor.saturating_add(first_offset);
    fields.skip(2).ok_or("sidx cut short")?;
    let count = fields.u16().ok_or("sidx cut short")?;
    let mut points = Vec::with_capacity(count.into());
    for _ in 0..count {
        let (Some(size), Some(duration), Some(())) = (fields.u32(), fields.u32(), fields.skip(4)) else {
            break;
        };
        points.push(IndexPoint { time, offset });
        time = time.saturating_add(duration.into());
        // The top bit says that the reference is to another index, which can be read on from as well.
        offset = offset.saturating_add(u64::from(size & 0x7FFF_FFFF));
    }
    Ok(SegmentIndex { reference_id, timescale, points, end: time })
}

/// The entries of the track in an `mfra` payload, in the track's timescale.
pub(in super::super) fn parse_mfra(payload: &[u8], track_id: u32) -> Parsed<Vec<IndexPoint>> {
    let mut points = Vec::new();
    let mut boxes = Boxes::new(payload);
    while let Some((kind, tfra)) = boxes.next_box()? {
        if &kind.0 == b"tfra" && tfra.get(4..8) == Some(&track_id.to_be_bytes()[..]) {
            parse_tfra(tfra, &mut points).ok_or("tfra cut short")?;
        }
    }
    Ok(points)
}

fn parse_tfra(payload: &[u8], points: &mut Vec<IndexPoint>) -> Option<()> {
    let (version, _, mut fields) = full_box(payload).ok()?;
    fields.skip(4)?;
    let sizes = fields.u32()?;
    let numbers_len: u32 = [sizes >> 4 & 3, sizes >> 2 & 3, sizes & 3].map(|len| len + 1).iter().sum();
    let count = fields.u32()?;
    for _ in 0..count {
        let time = fields.u32_or_u64(version == 1)?;
        let offset = fields.u32_or_u64(version == 1)?;
        fields.skip(numbers_len as usize)?;
        points.push(IndexPoint { time, offset });
    }
    Some(())
}
