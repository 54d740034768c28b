//! Sample tables of a movie without fragments, in the compact form of the file.

use std::ops::Range;

use super::super::bits::Fields;
use super::super::limits;
use super::boxes::{Boxes, Parsed, full_box};
use super::fragment::Sample;
use super::sample_entry::Packing;

/// The sample table of one track. Memory is what the boxes take, with sample sizes narrowed to 16 bits when they fit.
#[derive(Debug)]
pub(in super::super) struct SampleTable {
    sizes: Sizes,
    sample_count: u32,
    times: Vec<TimeRun>,
    chunks: ChunkOffsets,
    groups: Vec<ChunkGroup>,
}

#[derive(Debug)]
enum Sizes {
    Constant(u32),
    Narrow(Box<[u16]>),
    Wide(Box<[u32]>),
}

#[derive(Debug)]
enum ChunkOffsets {
    Narrow(Box<[u32]>),
    Wide(Box<[u64]>),
}

#[derive(Clone, Copy, Debug)]
struct TimeRun {
    count: u32,
    delta: u32,
}

/// Chunks from `first_chunk` (0-based) to the next group's have this many samples each.
#[derive(Clone, Copy, Debug)]
struct ChunkGroup {
    first_chunk: u32,
    samples_per_chunk: u32,
    description: u32,
}

/// A position in a [`SampleTable`].
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Cursor {
    /// Samples before this one.
    pub(in super::super) sample: u32,
    chunk: u32,
    group: usize,
    /// Samples of the chunk before this one, and their bytes.
    in_chunk: u32,
    bytes_in_chunk: u64,
    time_run: usize,
    in_time_run: u32,
    pts: u64,
}

impl Cursor {
    /// The time of the sample, in media units.
    pub(in super::super) fn pts(&self) -> u64 {
        self.pts
    }
}

impl SampleTable {
    /// Parses the tables of an `stbl` payload. `None` when there is no sample.
    pub(in super::super) fn parse(stbl: &[u8]) -> Parsed<Option<Self>> {
        let (mut sizes, mut times, mut chunks, mut groups) = (None, None, None, None);
        let mut boxes = Boxes::new(stbl);
        while let Some((kind, payload)) = boxes.next_box()? {
            match &kind.0 {
                b"stsz" => sizes = Some(parse_stsz(payload)?),
                b"stz2" => sizes = Some(parse_stz2(payload)?),
                b"stts" => times = Some(parse_stts(payload)?),
                b"stsc" => groups = Some(parse_stsc(payload)?),
                b"stco" | b"co64" => chunks = Some(parse_chunks(payload, &kind.0 == b"co64")?),
                _ => {}
            }
        }
        let Some((sizes, sample_count)) = sizes.filter(|(_, count)| *count > 0) else { return Ok(None) };
        if u64::from(sample_count) > limits::MAX_SAMPLES {
            return Err("too many samples");
        }
        let chunks = chunks.ok_or("samples without chunk offsets")?;
        let groups = groups.filter(|groups: &Vec<_>| !groups.is_empty()).ok_or("samples without stsc")?;
        let mut table = Self { sizes, sample_count, times: times.unwrap_or_default(), chunks, groups };
        table.sample_count = sample_count.min(table.capacity());
        Ok((table.sample_count > 0).then_some(table))
    }

    pub(in super::super) fn sample_count(&self) -> u32 {
        self.sample_count
    }

    /// Makes a sample a block of PCM or ADPCM, where QuickTime's older tables count frames and give every one a size of
    /// 1 byte, or that of one channel.
    pub(in super::super) fn repack(&mut self, Packing { frames, bytes }: Packing) {
        let Sizes::Constant(size) = self.sizes else { return };
        if frames == 0 || size >= bytes {
            return;
        }
        self.sizes = Sizes::Constant(bytes);
        self.sample_count /= frames;
        for group in &mut self.groups {
            group.samples_per_chunk /= frames;
        }
        for run in &mut self.times {
            (run.count, run.delta) = (run.count / frames, run.delta.saturating_mul(frames));
        }
        self.sample_count = self.sample_count.min(self.capacity());
    }

    /// Samples and their durations, in units of the media, in runs.
    pub(in super::super) fn durations(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.times.iter().map(|run| (run.count, run.delta))
    }

    /// Joins samples of constant size at the cursor, of one chunk and one duration, up to `most` bytes, and steps over
    /// them. Gives the first, with the size and duration of all, and their count.
    pub(in super::super) fn take_joined(&self, cursor: &mut Cursor, most: u32) -> Option<(Sample, u32)> {
        let first = self.sample(cursor)?;
        let size = first.size.max(1);
        let in_chunk = self.groups.get(cursor.group)?.samples_per_chunk.saturating_sub(cursor.in_chunk);
        let of_duration = match self.times.get(cursor.time_run) {
            Some(run) if cursor.time_run + 1 < self.times.len() => {
                run.count.saturating_sub(cursor.in_time_run)
            }
            _ => u32::MAX,
        };
        let left = self.sample_count - cursor.sample;
        let most = if matches!(self.sizes, Sizes::Constant(_)) { most } else { 0 };
        let count = (most / size).clamp(1, in_chunk.min(of_duration).min(left).max(1));
        // All but the last are in the same chunk and run: only their counts change.
        let skipped = count - 1;
        cursor.sample += skipped;
        cursor.in_time_run = cursor.in_time_run.saturating_add(skipped);
        cursor.pts = cursor.pts.saturating_add(u64::from(skipped) * u64::from(first.duration));
        cursor.in_chunk += skipped;
        cursor.bytes_in_chunk += u64::from(skipped) * u64::from(first.size);
        self.advance(cursor);
        let size = first.size.saturating_mul(count);
        let duration = first.duration.saturating_mul(count);
        Some((Sample { size, duration, ..first }, count))
    }

    /// Samples that the chunks hold.
    fn capacity(&self) -> u32 {
        let mut total = 0u64;
        for index in 0..self.groups.len() {
            total += u64::from(self.chunks_of(index)) * u64::from(self.groups[index].samples_per_chunk);
        }
        u32::try_from(total).unwrap_or(u32::MAX)
    }

    /// Chunks of a group.
    fn chunks_of(&self, group: usize) -> u32 {
        let Some(first) = self.groups.get(group).map(|group| group.first_chunk) else { return 0 };
        let end = self.groups.get(group + 1).map_or(u32::MAX, |next| next.first_chunk);
        end.min(self.chunks.len()).saturating_sub(first)
    }

    fn bytes_of(&self, samples: Range<u32>) -> u64 {
        let range = samples.start as usize..samples.end as usize;
        match &self.sizes {
            Sizes::Constant(size) => range.len() as u64 * u64::from(*size),
            Sizes::Narrow(sizes) => {
                sizes.get(range).unwrap_or_default().iter().map(|&size| u64::from(size)).sum()
            }
            Sizes::Wide(sizes) => {
                sizes.get(range).unwrap_or_default().iter().map(|&size| u64::from(size)).sum()
            }
        }
    }

    fn size(&self, sample: u32) -> u32 {
        match &self.sizes {
            Sizes::Constant(size) => *size,
            Sizes::Narrow(sizes) => sizes.get(sample as usize).copied().unwrap_or(0).into(),
            Sizes::Wide(sizes) => sizes.get(sample as usize).copied().unwrap_or(0),
        }
    }

    /// Total duration in media units.
    pub(in super::super) fn duration(&self) -> u64 {
        let mut left = self.sample_count;
        let mut total = 0u64;
        for run in &self.times {
            let count = run.count.min(left);
            total = total.saturating_add(u64::from(count) * u64::from(run.delta));
            left -= count;
        }
        // Samples beyond the table go on with its last duration.
        total.saturating_add(u64::from(left) * u64::from(self.times.last().map_or(0, |run| run.delta)))
    }

    /// The index of the sample that contains `pts`, or the sample count.
    pub(in super::super) fn sample_at(&self, pts: u64) -> u32 {
        let mut sample = 0u32;
        let mut start = 0u64;
        for (index, run) in self.times.iter().enumerate() {
            let is_last = index + 1 == self.times.len();
            let count = if is_last { self.sample_count.saturating_sub(sample) } else { run.count };
            let end = start.saturating_add(u64::from(count) * u64::from(run.delta));
            if pts < end {
                let within = (pts - start) / u64::from(run.delta.max(1));
                return sample.saturating_add(within as u32).min(self.sample_count);
            }
            start = end;
            sample = sample.saturating_add(count).min(self.sample_count);
        }
        self.sample_count
    }

    /// The position of a sample. Its time is that of its start.
    pub(in super::super) fn cursor(&self, sample: u32) -> Cursor {
        let mut cursor = Cursor { sample: sample.min(self.sample_count), ..Cursor::default() };
        self.place_time(&mut cursor);
        self.place_chunk(&mut cursor);
        cursor
    }

    fn place_time(&self, cursor: &mut Cursor) {
        let mut left = cursor.sample;
        for (index, run) in self.times.iter().enumerate() {
            cursor.time_run = index;
            let count = if index + 1 == self.times.len() { left } else { run.count.min(left) };
            cursor.pts = cursor.pts.saturating_add(u64::from(count) * u64::from(run.delta));
            cursor.in_time_run = count;
            left -= count;
            if left == 0 {
                break;
            }
        }
        self.settle_time(cursor);
    }

    /// Goes on to the run of the next sample.
    fn settle_time(&self, cursor: &mut Cursor) {
        while cursor.time_run + 1 < self.times.len()
            && self.times.get(cursor.time_run).is_some_and(|run| cursor.in_time_run >= run.count)
        {
            cursor.time_run += 1;
            cursor.in_time_run = 0;
        }
    }

    fn place_chunk(&self, cursor: &mut Cursor) {
        let mut left = u64::from(cursor.sample);
        for (index, group) in self.groups.iter().enumerate() {
            let held = u64::from(self.chunks_of(index)) * u64::from(group.samples_per_chunk);
            if left < held {
                let per_chunk = u64::from(group.samples_per_chunk);
                cursor.group = index;
                cursor.chunk = group.first_chunk + (left / per_chunk) as u32;
                cursor.in_chunk = (left % per_chunk) as u32;
                let first = cursor.sample - cursor.in_chunk;
                cursor.bytes_in_chunk = self.bytes_of(first..cursor.sample);
                return;
            }
            left -= held;
        }
        cursor.group = self.groups.len();
    }

    /// The sample at the cursor.
    pub(in super::super) fn sample(&self, cursor: &Cursor) -> Option<Sample> {
        if cursor.sample >= self.sample_count {
            return None;
        }
        let group = self.groups.get(cursor.group)?;
        let offset = self.chunks.get(cursor.chunk)?.checked_add(cursor.bytes_in_chunk)?;
        Some(Sample {
            offset,
            size: self.size(cursor.sample),
            pts: i64::try_from(cursor.pts).ok()?,
            duration: self.times.get(cursor.time_run).map_or(0, |run| run.delta),
            description: group.description,
            is_timed: true,
        })
    }

    /// Moves to the next sample.
    pub(in super::super) fn advance(&self, cursor: &mut Cursor) {
        if cursor.sample >= self.sample_count {
            return;
        }
        let size = self.size(cursor.sample);
        cursor.sample += 1;
        if let Some(run) = self.times.get(cursor.time_run) {
            cursor.pts = cursor.pts.saturating_add(run.delta.into());
            cursor.in_time_run += 1;
            self.settle_time(cursor);
        }
        cursor.in_chunk += 1;
        cursor.bytes_in_chunk += u64::from(size);
        if self.groups.get(cursor.group).is_some_and(|group| cursor.in_chunk >= group.samples_per_chunk) {
            self.next_chunk(cursor);
        }
    }

    fn next_chunk(&self, cursor: &mut Cursor) {
        cursor.in_chunk = 0;
        cursor.bytes_in_chunk = 0;
        cursor.chunk += 1;
        while let Some(group) = self.groups.get(cursor.group) {
            let end = group.first_chunk + self.chunks_of(cursor.group);
            if cursor.chunk < end && group.samples_per_chunk > 0 {
                return;
            }
            cursor.group += 1;
            if let Some(next) = self.groups.get(cursor.group) {
                cursor.chunk = next.first_chunk;
            }
        }
    }
}

impl ChunkOffsets {
    fn len(&self) -> u32 {
        let len = match self {
            Self::Narrow(offsets) => offsets.len(),
            Self::Wide(offsets) => offsets.len(),
        };
        u32::try_from(len).unwrap_or(u32::MAX)
    }

    fn get(&self, chunk: u32) -> Option<u64> {
        match self {
            Self::Narrow(offsets) => offsets.get(chunk as usize).copied().map(u64::from),
            Self::Wide(offsets) => offsets.get(chunk as usize).copied(),
        }
    }
}

fn parse_stsz(payload: &[u8]) -> Parsed<(Sizes, u32)> {
    let (_, _, mut fields) = full_box(payload)?;
    let (Some(size), Some(count)) = (fields.u32(), fields.u32()) else { return Err("stsz cut short") };
    if size != 0 {
        return Ok((Sizes::Constant(size), count));
    }
    // A count beyond the table is clipped.
    let sizes = fields.rest().as_chunks::<4>().0;
    let sizes = &sizes[..sizes.len().min(count as usize)];
    let parsed = sizes.iter().map(|&bytes| u32::from_be_bytes(bytes));
    let count = sizes.len() as u32;
    if parsed.clone().all(|size| size <= u32::from(u16::MAX)) {
        Ok((Sizes::Narrow(parsed.map(|size| size as u16).collect()), count))
    } else {
        Ok((Sizes::Wide(parsed.collect()), count))
    }
}

fn parse_stz2(payload: &[u8]) -> Parsed<(Sizes, u32)> {
    let (_, _, mut fields) = full_box(payload)?;
    let (Some(width), Some(count)) = (fields.u32(), fields.u32()) else { return Err("stz2 cut short") };
    let data = fields.rest();
    let count = count as usize;
    let sizes: Box<[u16]> = match width & 0xFF {
        4 => data.iter().flat_map(|&byte| [byte >> 4, byte & 15]).map(u16::from).take(count).collect(),
        8 => data.iter().map(|&byte| u16::from(byte)).take(count).collect(),
        16 => data.as_chunks::<2>().0.iter().map(|&bytes| u16::from_be_bytes(bytes)).take(count).collect(),
        _ => return Err("stz2 field size"),
    };
    let count = sizes.len() as u32;
    Ok((Sizes::Narrow(sizes), count))
}

fn parse_stts(payload: &[u8]) -> Parsed<Vec<TimeRun>> {
    let (_, _, mut fields) = full_box(payload)?;
    let count = fields.u32().ok_or("stts cut short")? as usize;
    let entries = fields.rest().as_chunks::<8>().0;
    Ok(entries[..entries.len().min(count)]
        .iter()
        .map(|[a, b, c, d, e, f, g, h]| {
            let delta = u32::from_be_bytes([*e, *f, *g, *h]);
            TimeRun {
                count: u32::from_be_bytes([*a, *b, *c, *d]),
                // A negative duration is a muxer's mistake.
                delta: if delta > i32::MAX as u32 { 1 } else { delta },
            }
        })
        .filter(|run| run.count > 0)
        .collect())
}

fn parse_stsc(payload: &[u8]) -> Parsed<Vec<ChunkGroup>> {
    let (_, _, mut fields) = full_box(payload)?;
    let count = fields.u32().ok_or("stsc cut short")? as usize;
    let entries = fields.rest().as_chunks::<12>().0;
    let mut groups: Vec<ChunkGroup> = Vec::with_capacity(entries.len().min(count));
    for entry in &entries[..entries.len().min(count)] {
        let mut fields = Fields::new(entry);
        let (Some(first), Some(samples_per_chunk), Some(description)) =
            (fields.u32(), fields.u32(), fields.u32())
        else {
            break;
        };
        let first_chunk = first.checked_sub(1).ok_or("stsc chunk number")?;
        if groups.last().is_some_and(|last| last.first_chunk >= first_chunk) {
            return Err("stsc out of order");
        }
        groups.push(ChunkGroup { first_chunk, samples_per_chunk, description });
    }
    Ok(groups)
}

fn parse_chunks(payload: &[u8], wide: bool) -> Parsed<ChunkOffsets> {
    let (_, _, mut fields) = full_box(payload)?;
    let count = fields.u32().ok_or("chunk offsets cut short")? as usize;
    let data = fields.rest();
    Ok(if wide {
        ChunkOffsets::Wide(
            data.as_chunks::<8>().0.iter().take(count).map(|&b| u64::from_be_bytes(b)).collect(),
        )
    } else {
        ChunkOffsets::Narrow(
            data.as_chunks::<4>().0.iter().take(count).map(|&b| u32::from_be_bytes(b)).collect(),
        )
    })
}
