//! Walking the fragments of a file, and finding one by time.

use std::io::{Read, Seek};

use super::super::mp4::described::Described;
use super::super::mp4::fragment::{Fragment, Sample};
use super::super::mp4::sidx::{IndexPoint, SegmentIndex, parse_mfra, parse_sidx};
use super::super::{TrackInfo, limits};
use super::window::Window;
use super::{Mp4FileError, io, malformed, read_box, read_header};
use crate::rescale::rescale;

/// The position among the fragments of a file.
#[derive(Debug)]
pub(super) struct Fragments {
    fragment: Fragment,
    /// Where the first fragment may begin.
    first: u64,
    /// Where the next box is expected.
    walk: u64,
    is_only_track: bool,
    next_pts: (i64, bool),
    /// Places to go on from, by time in media units. From index boxes, and from fragments read.
    points: Vec<IndexPoint>,
    has_index: bool,
    /// The index at the end of the file was looked for.
    has_looked: bool,
}

/// Boxes between two fragments, or before the first.
const MAX_BOXES: u32 = 65_536;

impl Fragments {
    pub(super) fn new(first: u64, is_only_track: bool) -> Self {
        Self {
            fragment: Fragment::default(),
            first,
            walk: first,
            is_only_track,
            next_pts: (0, false),
            points: Vec::new(),
            has_index: false,
            has_looked: false,
        }
    }

    /// Reads the segment indexes that stand before the first fragment.
    pub(super) fn read_front_index<R: Read + Seek>(
        &mut self,
        window: &mut Window<R>,
        info: &mut TrackInfo,
    ) -> Result<(), Mp4FileError> {
        let mut at = self.first;
        for _ in 0..16 {
            let Some((header, Some(end))) = read_header(window, at)? else { return Ok(()) };
            match &header.kind.0 {
                b"sidx" => {
                    let len = end - at - header.header_len;
                    let payload = read_box(window, at + header.header_len, Some(len), limits::MAX_MOOF)?;
                    let index = parse_sidx(&payload, end).map_err(|what| malformed(what, at))?;
                    // An index of one entry may be that of the first fragment alone.
                    if index.points.len() > 1 {
                        self.take_index(&index, info);
                    }
                }
                b"moof" | b"mdat" => break,
                _ => {}
            }
            at = end;
        }
        self.points.sort_unstable_by_key(|point| point.time);
        Ok(())
    }

    fn take_index(&mut self, index: &SegmentIndex, info: &mut TrackInfo) {
        let in_media = |time| rescale(time, info.timescale, index.timescale);
        self.points.extend(index.points.iter().map(|p| IndexPoint { time: in_media(p.time), ..*p }));
        if info.duration.is_none() || index.reference_id == info.id {
            info.duration = Some(in_media(index.end));
        }
        self.has_index = true;
    }

    /// The sample that reading stands at, after loading fragments as needed.
    pub(super) fn current<R: Read + Seek>(
        &mut self,
        window: &mut Window<R>,
        described: &Described,
    ) -> Result<Option<Sample>, Mp4FileError> {
        loop {
            let sample = self.fragment.current().map_err(|what| malformed(what, self.walk))?;
            if sample.is_some() || !self.load_next(window, described)? {
                return Ok(sample);
            }
        }
    }

    pub(super) fn step(&mut self, sample: &Sample) {
        self.fragment.step(sample.duration, sample.size);
        self.next_pts = self.fragment.next_pts();
    }

    /// Reads on to the next fragment. False at the end of the file.
    fn load_next<R: Read + Seek>(
        &mut self,
        window: &mut Window<R>,
        described: &Described,
    ) -> Result<bool, Mp4FileError> {
        for _ in 0..MAX_BOXES {
            let at = self.walk;
            let header = match read_header(window, at) {
                // What stands behind the boxes is none of them: the file goes as far as they do.
                Err(Mp4FileError::Demux(error)) if at > self.first => {
                    tracing::debug!(%error, "something else behind the fragments");
                    None
                }
                header => header?,
            };
            let Some((header, end)) = header else { return Ok(false) };
            // A box that reaches to the end of the file is the last.
            let Some(end) = end else { return Ok(false) };
            self.walk = end;
            if &header.kind.0 == b"moof" {
                let len = end - at - header.header_len;
                let moof = read_box(window, at + header.header_len, Some(len), limits::MAX_MOOF)?;
                self.enter(window, described, moof, at)?;
                return Ok(true);
            }
        }
        Err(malformed("too many boxes between fragments", self.walk).into())
    }

    fn enter<R: Read + Seek>(
        &mut self,
        window: &mut Window<R>,
        described: &Described,
        moof: Vec<u8>,
        at: u64,
    ) -> Result<(), Mp4FileError> {
        let bad = |what| malformed(what, at);
        let Some(track) = described.track() else { return Ok(()) };
        let parsed = self.fragment.parse(moof.into(), at, track, self.is_only_track, self.next_pts);
        parsed.map_err(bad)?;
        if self.fragment.begins_within(at, self.walk)
            && let Some(start) = self.find_mdat(window)?
        {
            self.fragment.move_relative_to(start).map_err(bad)?;
        }
        self.remember(at);
        Ok(())
    }

    /// The payload of the next `mdat`.
    fn find_mdat<R: Read + Seek>(&self, window: &mut Window<R>) -> Result<Option<u64>, Mp4FileError> {
        let mut at = self.walk;
        for _ in 0..16 {
            let Some((header, end)) = read_header(window, at)? else { return Ok(None) };
            if &header.kind.0 == b"mdat" {
                return Ok(Some(at + header.header_len));
            }
            let Some(end) = end else { return Ok(None) };
            at = end;
        }
        Ok(None)
    }

    /// Notes where the fragment at hand begins.
    fn remember(&mut self, offset: u64) {
        let (pts, is_timed) = self.fragment.next_pts();
        let time = pts.max(0).unsigned_abs();
        if is_timed && self.points.last().is_none_or(|last| last.time < time && last.offset < offset) {
            self.points.push(IndexPoint { time, offset });
        }
    }

    /// Moves to the sample that contains `pts`, and gives the time of what comes next.
    pub(super) fn seek<R: Read + Seek>(
        &mut self,
        window: &mut Window<R>,
        described: &Described,
        pts: u64,
    ) -> Result<u64, Mp4FileError> {
        // To the start it is never far.
        if pts > 0 && !self.has_index && self.points.last().is_none_or(|last| last.time <= pts) {
            self.read_back_index(window, described)?;
        }
        let found = self.points.partition_point(|point| point.time <= pts);
        let mut index = found;
        loop {
            self.go_to(index.checked_sub(1).and_then(|index| self.points.get(index)).copied());
            // An index may name an earlier time than the audio behind it has: then go back by a place, and from an
            // index that is of no use to the start.
            let first = self.current(window, described)?;
            let is_late = first.is_some_and(|sample| sample.pts > 0 && sample.pts.unsigned_abs() > pts);
            if !is_late || index == 0 {
                break;
            }
            index = if found - index < 8 { index - 1 } else { 0 };
        }
        let target = i64::try_from(pts).unwrap_or(i64::MAX);
        while let Some(sample) = self.current(window, described)? {
            let end = sample.pts.saturating_add(sample.duration.into());
            if end > 0 && end.unsigned_abs() > pts {
                return Ok(sample.pts.max(0).unsigned_abs());
            }
            self.step(&sample);
            self.fragment.skip_uniform(target);
            self.next_pts = self.fragment.next_pts();
        }
        Ok(self.next_pts.0.max(0).unsigned_abs())
    }

    /// Goes back to the first fragment.
    pub(super) fn rewind(&mut self) {
        self.go_to(None);
    }

    fn go_to(&mut self, point: Option<IndexPoint>) {
        self.fragment.clear();
        self.walk = point.map_or(self.first, |point| point.offset);
        // What counts without a `tfdt`.
        self.next_pts = (point.and_then(|point| i64::try_from(point.time).ok()).unwrap_or(0), false);
    }

    /// Reads the random access index at the end of the file, if there is one, and if it is known where the end is.
    fn read_back_index<R: Read + Seek>(
        &mut self,
        window: &mut Window<R>,
        described: &Described,
    ) -> Result<(), Mp4FileError> {
        if std::mem::replace(&mut self.has_looked, true) {
            return Ok(());
        }
        let Some(track) = described.track() else { return Ok(()) };
        let file_len = match window.file_len() {
            Ok(file_len) => file_len,
            // Nobody knows where the end is, yet: fragments are walked.
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
                self.has_looked = false;
                return Ok(());
            }
            Err(source) => return Err(io(self.walk, source)),
        };
        // The last box is `mfro`: 16 bytes that end with the size of `mfra`.
        let Some(at) = file_len.checked_sub(16) else { return Ok(()) };
        if window.fill(at, 16).map_err(|source| io(at, source))? < 16 {
            return Ok(());
        }
        let size = match window.slice(at, 16) {
            Some(&[_, _, _, _, b'm', b'f', b'r', b'o', _, _, _, _, a, b, c, d]) => {
                u32::from_be_bytes([a, b, c, d])
            }
            _ => return Ok(()),
        };
        let Some(start) = file_len.checked_sub(size.into()).filter(|&start| start >= self.first) else {
            return Ok(());
        };
        let Some((header, Some(end))) = read_header(window, start)? else { return Ok(()) };
        if &header.kind.0 != b"mfra" {
            return Ok(());
        }
        let len = end - start - header.header_len;
        let payload = read_box(window, start + header.header_len, Some(len), limits::MAX_MOOF)?;
        // A damaged index is none: the fragments are walked instead.
        if let Ok(points) = parse_mfra(&payload, track.id) {
            let in_file = points.into_iter().filter(|point| (self.first..start).contains(&point.offset));
            self.points.extend(in_file);
            self.points.sort_unstable_by_key(|point| point.time);
            self.points.dedup_by_key(|point| point.offset);
        }
        Ok(())
    }
}
