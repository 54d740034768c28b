//! Movie fragments: where the samples of a `moof` box lie.

use bytes::Bytes;

use super::super::bits::Fields;
use super::super::limits;
use super::boxes::{Boxes, Parsed, full_box};
use super::moov::{FragmentDefaults, Track};

/// One sample of the audio track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Sample {
    /// Offset since the start of the stream.
    pub(in super::super) offset: u64,
    pub(in super::super) size: u32,
    pub(in super::super) pts: i64,
    pub(in super::super) duration: u32,
    /// 1-based index of the sample entry.
    pub(in super::super) description: u32,
    /// False when no `tfdt` has said the time.
    pub(in super::super) is_timed: bool,
}

/// The samples of the audio track in one `moof`. Keeps the box and reads sample by sample out of it.
#[derive(Debug, Default)]
pub(in super::super) struct Fragment {
    moof: Bytes,
    runs: Vec<Run>,
    /// Smallest start among absolute runs of all tracks, as the box has it.
    first_absolute: Option<i64>,
    /// Smallest start among runs of all tracks that count from the `moof`.
    first_relative: Option<i64>,
    // Where reading stands.
    run: usize,
    entry: u32,
    offset: i64,
    pts: i64,
    is_timed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    /// Where the run's entries begin in the box.
    entries: usize,
    count: u32,
    layout: Layout,
    defaults: FragmentDefaults,
    start: i64,
    is_absolute: bool,
    /// The time of the first sample, for the first run behind a `tfdt`.
    decode_time: Option<i64>,
}

/// Which fields an entry of a run has.
#[derive(Clone, Copy, Debug)]
struct Layout {
    has_duration: bool,
    has_size: bool,
    len: usize,
}

impl Layout {
    fn of(flags: u32) -> Self {
        let len = (flags >> 8 & 0xF).count_ones() as usize * 4;
        Self { has_duration: flags & 0x100 != 0, has_size: flags & 0x200 != 0, len }
    }

    /// Duration and size of the entry at the start of `data`.
    fn read(self, data: &[u8], defaults: FragmentDefaults) -> Option<(u32, u32)> {
        let mut fields = Fields::new(data);
        let duration = if self.has_duration { fields.u32()? } else { defaults.duration };
        let size = if self.has_size { fields.u32()? } else { defaults.size };
        Some((duration, size))
    }
}

const BASE_DATA_OFFSET: u32 = 0x1;
const DATA_OFFSET: u32 = 0x1;
const FIRST_SAMPLE_FLAGS: u32 = 0x4;
const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;

/// What `tfhd` says.
struct FragmentHeader {
    track_id: u32,
    flags: u32,
    base: Option<u64>,
    defaults: FragmentDefaults,
}

impl FragmentHeader {
    fn parse(payload: &[u8], track: &Track) -> Option<Self> {
        let (_, flags, mut fields) = full_box(payload).ok()?;
        let track_id = fields.u32()?;
        let base = if flags & BASE_DATA_OFFSET != 0 { Some(fields.u64()?) } else { None };
        let mut defaults = track.trex;
        for (bit, field) in
            [(0x2, &mut defaults.description), (0x8, &mut defaults.duration), (0x10, &mut defaults.size)]
        {
            if flags & bit != 0 {
                *field = fields.u32()?;
            }
        }
        if defaults.duration == 0 {
            defaults.duration = track.packet_duration(defaults.description);
        }
        Some(Self { track_id, flags, base, defaults })
    }
}

impl Fragment {
    /// Reads the runs of `track` out of the payload of a `moof` box that begins at `start`. Samples before any `tfdt`
    /// continue at `pts`.
    pub(in super::super) fn parse(
        &mut self,
        moof: Bytes,
        start: u64,
        track: &Track,
        is_only_track: bool,
        (pts, is_timed): (i64, bool),
    ) -> Parsed<()> {
        self.clear();
        let moof_start = i64::try_from(start).map_err(|_| "offset")?;
        let mut trafs = 0;
        let mut boxes = Boxes::new(&moof);
        while let Some((kind, _)) = boxes.next_box()? {
            trafs += u32::from(&kind.0 == b"traf");
        }
        let mut previous_end = moof_start;
        let mut boxes = Boxes::new(&moof);
        while let Some((kind, traf)) = boxes.next_box()? {
            if &kind.0 != b"traf" {
                continue;
            }
            let Some(tfhd) = Boxes::new(traf).find(b"tfhd")? else { continue };
            let header = FragmentHeader::parse(tfhd, track).ok_or("tfhd cut short")?;
            // A packager may number a lone track differently in its init section.
            let is_ours = header.track_id == track.id || is_only_track && trafs == 1;
            previous_end = self.parse_traf(&moof, traf, &header, (moof_start, previous_end), is_ours)?;
        }
        self.moof = moof;
        self.pts = pts;
        self.is_timed = is_timed;
        self.settle();
        Ok(())
    }

    /// Forgets the samples. Keeps allocations.
    pub(in super::super) fn clear(&mut self) {
        self.runs.clear();
        self.moof = Bytes::new();
        self.first_absolute = None;
        self.first_relative = None;
        self.run = 0;
        self.entry = 0;
    }

    /// Gives the end of the track fragment's data.
    fn parse_traf(
        &mut self,
        moof: &[u8],
        traf: &[u8],
        header: &FragmentHeader,
        (moof_start, previous_end): (i64, i64),
        is_ours: bool,
    ) -> Parsed<i64> {
        let is_absolute = header.base.is_some();
        let base = match header.base {
            Some(base) => i64::try_from(base).map_err(|_| "base data offset")?,
            None if header.flags & DEFAULT_BASE_IS_MOOF != 0 => moof_start,
            None => previous_end,
        };
        let mut decode_time = match Boxes::new(traf).find(b"tfdt")? {
            Some(tfdt) => Some(parse_tfdt(tfdt)?),
            None => None,
        };
        let mut next = base;
        let mut boxes = Boxes::new(traf);
        while let Some((kind, trun)) = boxes.next_box()? {
            if &kind.0 != b"trun" {
                continue;
            }
            let (mut run, end) = parse_trun(moof, trun, header.defaults, (base, next))?;
            run.is_absolute = is_absolute;
            next = end;
            if run.count == 0 {
                continue;
            }
            let first = if is_absolute { &mut self.first_absolute } else { &mut self.first_relative };
            *first = Some(first.map_or(run.start, |first| first.min(run.start)));
            if is_ours {
                run.decode_time = decode_time.take();
                if self.runs.len() as u64 >= limits::MAX_RUNS {
                    return Err("too many track runs");
                }
                self.runs.push(run);
            }
        }
        Ok(next)
    }

    /// After runs were added or moved: the position of the first.
    fn settle(&mut self) {
        self.run = 0;
        self.enter_run();
    }

    fn enter_run(&mut self) {
        self.entry = 0;
        if let Some(run) = self.runs.get(self.run) {
            self.offset = run.start;
            if let Some(time) = run.decode_time {
                self.pts = time;
                self.is_timed = true;
            }
        }
    }

    /// True when a run stands at an absolute offset, which counts from the start of a file that we may not have seen.
    pub(in super::super) fn is_absolute(&self) -> bool {
        self.runs.iter().any(|run| run.is_absolute)
    }

    /// True when a run that counts from the `moof` begins inside of it: its muxer meant the start of the `mdat`.
    pub(in super::super) fn begins_within(&self, moof_start: u64, moof_end: u64) -> bool {
        self.runs.iter().any(|run| {
            !run.is_absolute
                && u64::try_from(run.start).is_ok_and(|start| (moof_start..moof_end).contains(&start))
        })
    }

    /// The smallest absolute start of all tracks' runs.
    pub(in super::super) fn first_absolute(&self) -> Option<i64> {
        self.first_absolute
    }

    /// Moves the absolute runs by `delta`.
    pub(in super::super) fn shift_absolute(&mut self, delta: i64) -> Parsed<()> {
        self.shift(delta, true)
    }

    /// Moves the runs that count from the `moof`, so that the first of all tracks begins at `target`.
    pub(in super::super) fn move_relative_to(&mut self, target: u64) -> Parsed<()> {
        let target = i64::try_from(target).map_err(|_| "offset")?;
        let Some(first) = self.first_relative else { return Ok(()) };
        self.shift(target.saturating_sub(first), false)
    }

    fn shift(&mut self, delta: i64, absolute: bool) -> Parsed<()> {
        for run in self.runs.iter_mut().filter(|run| run.is_absolute == absolute) {
            run.start = run.start.checked_add(delta).ok_or("data offset")?;
        }
        self.settle();
        Ok(())
    }

    /// The sample that reading stands at. Steps over empty samples.
    pub(in super::super) fn current(&mut self) -> Parsed<Option<Sample>> {
        loop {
            let Some(run) = self.runs.get(self.run).copied() else { return Ok(None) };
            if self.entry >= run.count {
                let end = self.offset;
                self.run += 1;
                self.enter_run();
                // So every byte is given out once at most.
                if self.run < self.runs.len() && self.offset < end {
                    return Err("track runs overlap");
                }
                continue;
            }
            if !run.layout.has_size && !run.layout.has_duration && run.defaults.size == 0 {
                let total = i64::from(run.count) * i64::from(run.defaults.duration);
                self.pts = self.pts.saturating_add(total);
                self.entry = run.count;
                continue;
            }
            let (duration, size) = self.read_entry(&run)?;
            if size == 0 {
                self.step(duration, 0);
                continue;
            }
            let offset = u64::try_from(self.offset).map_err(|_| "sample before the start of the stream")?;
            return Ok(Some(Sample {
                offset,
                size,
                pts: self.pts,
                duration,
                description: run.defaults.description,
                is_timed: self.is_timed,
            }));
        }
    }

    fn read_entry(&self, run: &Run) -> Parsed<(u32, u32)> {
        let at = run.entries + run.layout.len * self.entry as usize;
        let data = self.moof.get(at..).ok_or("trun cut short")?;
        run.layout.read(data, run.defaults).ok_or("trun cut short")
    }

    /// Goes on behind a sample of this duration and size.
    pub(in super::super) fn step(&mut self, duration: u32, size: u32) {
        self.entry += 1;
        self.offset = self.offset.saturating_add(i64::from(size));
        self.pts = self.pts.saturating_add(i64::from(duration));
    }

    /// Steps over samples of the run at hand that end at or before `pts`, as far as that can be told at once.
    pub(in super::super) fn skip_uniform(&mut self, pts: i64) {
        let Some(run) = self.runs.get(self.run) else { return };
        if run.layout.has_size || run.layout.has_duration || pts < self.pts {
            return;
        }
        let left = u64::from(run.count.saturating_sub(self.entry));
        let distance = pts.abs_diff(self.pts);
        let skipped = distance.checked_div(run.defaults.duration.into()).unwrap_or(left).min(left);
        // Both products are below 2^64 by far: a run has at most 2^28 samples.
        self.entry += skipped as u32;
        self.offset = self.offset.saturating_add_unsigned(skipped * u64::from(run.defaults.size));
        self.pts = self.pts.saturating_add_unsigned(skipped * u64::from(run.defaults.duration));
    }

    /// The time behind the last sample stepped over, and whether it is known.
    pub(in super::super) fn next_pts(&self) -> (i64, bool) {
        (self.pts, self.is_timed)
    }

    /// The first byte that is still needed; `None` when there is no sample left.
    pub(in super::super) fn keep_from(&self) -> Option<u64> {
        self.runs.get(self.run)?;
        Some(u64::try_from(self.offset).unwrap_or(0))
    }
}

fn parse_tfdt(payload: &[u8]) -> Parsed<i64> {
    let (version, _, mut fields) = full_box(payload)?;
    let time = fields.u32_or_u64(version == 1).ok_or("tfdt cut short")?;
    i64::try_from(time).ok().filter(|&time| time < 1 << 62).ok_or("decode time out of range")
}

/// One run and the end of its data. `moof` contains `trun`.
fn parse_trun(
    moof: &[u8],
    trun: &[u8],
    defaults: FragmentDefaults,
    (base, next): (i64, i64),
) -> Parsed<(Run, i64)> {
    let (_, flags, mut fields) = full_box(trun)?;
    let count = fields.u32().ok_or("trun cut short")?;
    let start = if flags & DATA_OFFSET != 0 {
        let offset = fields.u32().ok_or("trun cut short")? as i32;
        base.checked_add(offset.into()).ok_or("data offset")?
    } else {
        next
    };
    if flags & FIRST_SAMPLE_FLAGS != 0 {
        fields.skip(4).ok_or("trun cut short")?;
    }
    let layout = Layout::of(flags);
    if u64::from(count) > limits::MAX_SAMPLES || layout.len * count as usize > fields.rest().len() {
        return Err("trun cut short");
    }
    let data = fields.rest();
    let mut len = 0i64;
    if layout.has_size {
        for entry in data.chunks_exact(layout.len).take(count as usize) {
            len += i64::from(layout.read(entry, defaults).ok_or("trun cut short")?.1);
        }
    } else {
        len = i64::from(count) * i64::from(defaults.size);
    }
    let end = start.checked_add(len).ok_or("data offset")?;
    let entries = data.as_ptr() as usize - moof.as_ptr() as usize;
    let run = Run { entries, count, layout, defaults, start, is_absolute: false, decode_time: None };
    Ok((run, end))
}
