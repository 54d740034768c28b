//! The movie box: tracks and their descriptions.

use super::super::bits::Fields;
use super::super::track::{EditList, Gapless, TrackInfo};
use super::super::{Codec, Container, DemuxError};
use super::boxes::{Boxes, Parsed, full_box};
use super::sample_entry::{SampleEntry, parse_stsd};
use super::table::SampleTable;
use crate::rescale::rescale;

/// A parsed `moov` box.
#[derive(Debug)]
pub(in super::super) struct Moov {
    /// The audio tracks.
    tracks: Vec<Track>,
    /// Tracks of every kind.
    pub(in super::super) track_count: usize,
    /// True when fragments may follow (`mvex`).
    pub(in super::super) is_fragmented: bool,
    /// Payloads of the movie's `udta` and `meta` boxes, and whether each is a `meta`.
    pub(in super::super) user_data: Vec<(Box<[u8]>, bool)>,
}

/// Boxes of user data that are kept.
const MAX_USER_DATA: usize = 16;

/// A parsed audio `trak` box, with the fragment defaults of its `trex`.
#[derive(Debug)]
pub(in super::super) struct Track {
    pub(in super::super) id: u32,
    is_enabled: bool,
    pub(in super::super) timescale: u32,
    duration: Option<u64>,
    language: Option<[u8; 3]>,
    entries: Vec<SampleEntry>,
    edit: Option<EditList>,
    /// All entries of the edit list.
    edits: Vec<Edit>,
    gapless: Option<Gapless>,
    pub(in super::super) trex: FragmentDefaults,
    /// Samples of the movie itself; `None` when there are none.
    pub(in super::super) table: Option<SampleTable>,
}

/// One entry of an edit list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// In units of the movie; 0 means to the end of the media.
    pub duration: u64,
    /// Media time that is presented first, in units of the track; `None` for an empty edit and for a dwell,
    /// which are silent.
    pub media_time: Option<u64>,
}

/// Entries of an edit list that are kept.
const MAX_EDITS: u32 = 4096;

/// Defaults that `trex` gives and `tfhd` overrides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct FragmentDefaults {
    /// 1-based.
    pub(in super::super) description: u32,
    pub(in super::super) duration: u32,
    pub(in super::super) size: u32,
}

/// Tracks that a movie may have.
const MAX_TRACKS: usize = 1024;

impl Moov {
    /// Parses the payload of a `moov` box.
    pub(in super::super) fn parse(payload: &[u8]) -> Parsed<Self> {
        let mut movie_timescale = 1;
        let mut tracks = Vec::new();
        let mut trexes = Vec::new();
        let mut gapless = None;
        let mut fragment_duration = None;
        let mut is_fragmented = false;
        let mut track_count = 0;
        let mut user_data: Vec<(Box<[u8]>, bool)> = Vec::new();
        let mut boxes = Boxes::new(payload);
        while let Some((kind, payload)) = boxes.next_box()? {
            match &kind.0 {
                b"mvhd" => movie_timescale = parse_mvhd(payload)?,
                b"trak" if track_count < MAX_TRACKS => {
                    track_count += 1;
                    tracks.extend(Track::parse(payload)?);
                }
                b"mvex" => {
                    is_fragmented = true;
                    (trexes, fragment_duration) = parse_mvex(payload)?;
                }
                b"udta" | b"meta" if user_data.len() < MAX_USER_DATA => {
                    if &kind.0 == b"udta" {
                        gapless = super::udta::gapless(payload);
                    }
                    user_data.push((payload.into(), &kind.0 == b"meta"));
                }
                b"cmov" => return Err("compressed movie box"),
                _ => {}
            }
        }
        for track in &mut tracks {
            if let Some(edit) = &mut track.edit {
                edit.movie_timescale = movie_timescale;
            }
            if is_fragmented {
                // The track's own duration leaves the fragments out.
                track.duration =
                    fragment_duration.map(|total| rescale(total, track.timescale, movie_timescale));
            }
            if track.gapless.is_none() {
                track.gapless = gapless;
            }
            if let Some((_, trex)) = trexes.iter().find(|(id, _)| *id == track.id) {
                track.trex = *trex;
            }
        }
        Ok(Self { tracks, track_count, is_fragmented, user_data })
    }

    /// The audio track to play: of a codec that we can cut, preferably enabled, the first of those.
    pub(in super::super) fn audio(self) -> Result<Track, DemuxError> {
        self.audio_where(&mut |_| Ok(()))
    }

    /// The audio track to play: one that `is_playable` accepts, preferably enabled, the first of those.
    pub(in super::super) fn audio_where(
        self,
        is_playable: &mut dyn FnMut(&TrackInfo) -> Result<(), DemuxError>,
    ) -> Result<Track, DemuxError> {
        let container = Container::Fmp4;
        let mut best: Option<Track> = None;
        let mut refused = Vec::new();
        for track in self.tracks {
            let refusal = track.refusal(track.trex.description).or_else(|| {
                let info = track.info(track.trex.description, 0)?;
                is_playable(&info).err()
            });
            if let Some(error) = refusal {
                refused.push(error);
            } else if best.as_ref().is_none_or(|best| !best.is_enabled && track.is_enabled) {
                best = Some(track);
            }
        }
        if let Some(best) = best {
            return Ok(best);
        }
        Err(match refused.len() {
            0 => DemuxError::NoAudio { container },
            1 => refused.remove(0),
            _ => {
                let found: Vec<_> = refused.iter().map(DemuxError::subject).collect();
                DemuxError::NoPlayableTrack { container, found: found.join(", ") }
            }
        })
    }
}

impl Track {
    /// Parses a `trak` box. `None` for one that is no audio.
    fn parse(payload: &[u8]) -> Parsed<Option<Self>> {
        let Some(mdia) = Boxes::new(payload).find(b"mdia")? else { return Ok(None) };
        let handler = match Boxes::new(mdia).find(b"hdlr")? {
            Some(hdlr) => hdlr.get(8..12),
            None => None,
        };
        if handler != Some(b"soun") {
            return Ok(None);
        }
        let mut track = Self {
            id: 0,
            is_enabled: true,
            timescale: 0,
            duration: None,
            language: None,
            entries: Vec::new(),
            edit: None,
            edits: Vec::new(),
            gapless: None,
            trex: FragmentDefaults { description: 1, ..Default::default() },
            table: None,
        };
        let mut boxes = Boxes::new(payload);
        while let Some((kind, payload)) = boxes.next_box()? {
            match &kind.0 {
                b"tkhd" => track.parse_tkhd(payload)?,
                b"edts" => {
                    if let Some(elst) = Boxes::new(payload).find(b"elst")? {
                        track.edit = parse_elst(elst)?;
                        track.edits = parse_edits(elst)?;
                    }
                }
                b"udta" => track.gapless = super::udta::gapless(payload),
                _ => {}
            }
        }
        track.parse_mdia(mdia)?;
        if track.timescale == 0 {
            track.timescale = track.entries.first().map_or(0, |entry| entry.sample_rate);
        }
        if track.timescale == 0 { Err("track without a timescale") } else { Ok(Some(track)) }
    }

    fn parse_tkhd(&mut self, payload: &[u8]) -> Parsed<()> {
        let (version, flags, mut fields) = full_box(payload)?;
        self.is_enabled = flags & 1 != 0;
        fields.skip(if version == 1 { 16 } else { 8 }).ok_or("tkhd")?;
        self.id = fields.u32().ok_or("tkhd")?;
        Ok(())
    }

    fn parse_mdia(&mut self, mdia: &[u8]) -> Parsed<()> {
        let mut boxes = Boxes::new(mdia);
        while let Some((kind, payload)) = boxes.next_box()? {
            match &kind.0 {
                b"mdhd" => self.parse_mdhd(payload).ok_or("mdhd")?,
                b"minf" => {
                    let stbl = Boxes::new(payload).find(b"stbl")?.ok_or("audio track without stbl")?;
                    self.parse_stbl(stbl)?;
                }
                _ => {}
            }
        }
        if self.entries.is_empty() { Err("audio track without stsd") } else { Ok(()) }
    }

    fn parse_mdhd(&mut self, payload: &[u8]) -> Option<()> {
        let (version, _, mut fields) = full_box(payload).ok()?;
        let wide = version == 1;
        fields.skip(if wide { 16 } else { 8 })?;
        self.timescale = fields.u32()?;
        let duration = fields.u32_or_u64(wide)?;
        let unknown = if wide { u64::MAX } else { u64::from(u32::MAX) };
        self.duration = Some(duration).filter(|&duration| duration != 0 && duration != unknown);
        let packed = fields.u16()?;
        let letters = [packed >> 10 & 31, packed >> 5 & 31, packed & 31].map(|letter| letter as u8 + 0x60);
        self.language =
            Some(letters).filter(|letters| letters.iter().all(u8::is_ascii_lowercase) && letters != b"und");
        Some(())
    }

    fn parse_stbl(&mut self, stbl: &[u8]) -> Parsed<()> {
        if let Some(stsd) = Boxes::new(stbl).find(b"stsd")? {
            self.entries = parse_stsd(stsd)?;
        }
        self.table = SampleTable::parse(stbl)?;
        if let (Some(table), Some(entry)) = (&mut self.table, self.entries.first())
            && let Some(packing) = entry.packing
        {
            table.repack(packing);
        }
        Ok(())
    }

    /// Why samples of the entry with this 1-based index cannot be played.
    pub(in super::super) fn refusal(&self, description: u32) -> Option<DemuxError> {
        let container = Container::Fmp4;
        let entry = self.entry(description)?;
        if let Some(scheme) = entry.encrypted {
            return Some(DemuxError::Encrypted { container, scheme });
        }
        let codec = entry.codec;
        let can_cut = codec.is_aac()
            || matches!(
                codec,
                Codec::Mp3
                    | Codec::Mp2
                    | Codec::Mp1
                    | Codec::Flac
                    | Codec::Alac
                    | Codec::Opus
                    | Codec::Raw(_)
            );
        (!can_cut).then_some(DemuxError::UnsupportedCodec { container, codec })
    }

    pub(in super::super) fn edits(&self) -> &[Edit] {
        &self.edits
    }

    fn entry(&self, description: u32) -> Option<&SampleEntry> {
        self.entries.get((description.max(1) - 1) as usize)
    }

    /// The duration of a packet of fixed length in media units; 0 when the codec does not fix it.
    pub(in super::super) fn packet_duration(&self, description: u32) -> u32 {
        let entry = self.entry(description);
        let frames = entry.and_then(|entry| entry.frames_per_packet).unwrap_or(0);
        let rate = entry.map_or(0, |entry| entry.sample_rate);
        u32::try_from(rescale(frames.into(), self.timescale, rate)).unwrap_or(0)
    }

    /// The description of the entry with this 1-based index.
    pub(in super::super) fn info(&self, description: u32, serial: u32) -> Option<TrackInfo> {
        let entry = self.entry(description)?;
        let sample_rate = if entry.sample_rate > 0 { entry.sample_rate } else { self.timescale };
        let pre_skip = entry.delay.map(|delay| Gapless { delay, ..Default::default() });
        Some(TrackInfo {
            serial,
            id: self.id,
            codec: entry.codec,
            extra_data: entry.extra_data.clone(),
            sample_rate,
            channels: entry.channels,
            bits_per_sample: entry.bits_per_sample,
            timescale: self.timescale,
            frames_per_packet: entry.frames_per_packet,
            edit: self.edit,
            gapless: self.gapless.or(pre_skip),
            duration: self.duration,
            language: self.language,
            wrap: None,
        })
    }
}

fn parse_mvhd(payload: &[u8]) -> Parsed<u32> {
    let (version, _, mut fields) = full_box(payload)?;
    fields.skip(if version == 1 { 16 } else { 8 }).ok_or("mvhd")?;
    Ok(fields.u32().ok_or("mvhd")?.max(1))
}

/// Defaults by track, and the duration with all fragments in movie units.
type Extends = (Vec<(u32, FragmentDefaults)>, Option<u64>);

fn parse_mvex(payload: &[u8]) -> Parsed<Extends> {
    let mut boxes = Boxes::new(payload);
    let mut trexes = Vec::new();
    let mut duration = None;
    while let Some((kind, payload)) = boxes.next_box()? {
        match &kind.0 {
            b"trex" if trexes.len() < MAX_TRACKS => {
                let (_, _, mut fields) = full_box(payload)?;
                trexes.push(parse_trex(&mut fields).ok_or("trex")?);
            }
            b"mehd" => {
                let (version, _, mut fields) = full_box(payload)?;
                duration = fields.u32_or_u64(version == 1).filter(|&duration| duration > 0);
            }
            _ => {}
        }
    }
    Ok((trexes, duration))
}

fn parse_trex(fields: &mut Fields<'_>) -> Option<(u32, FragmentDefaults)> {
    let id = fields.u32()?;
    Some((id, FragmentDefaults { description: fields.u32()?, duration: fields.u32()?, size: fields.u32()? }))
}

/// Leading empty edits and the first edit of media: of several, the one that begins first in the media, so that nothing that
/// another one presents is hidden. `None` when no edit presents media.
fn parse_elst(payload: &[u8]) -> Parsed<Option<EditList>> {
    let (version, _, mut fields) = full_box(payload)?;
    let count = fields.u32().ok_or("elst")?;
    let mut empty_duration = 0u64;
    let mut found: Option<EditList> = None;
    for _ in 0..count {
        let entry = parse_edit(&mut fields, version == 1);
        let Some((duration, media_time)) = entry.or_else(|| found.map(|_| (0, -1))) else {
            return Err("elst");
        };
        match (&mut found, u64::try_from(media_time)) {
            (None, Err(_)) => empty_duration = empty_duration.saturating_add(duration),
            (None, Ok(media_time)) => {
                found = Some(EditList {
                    empty_duration,
                    media_time,
                    segment_duration: duration,
                    movie_timescale: 1,
                    has_more: false,
                });
            }
            (Some(edit), other) => {
                edit.has_more = true;
                edit.media_time = other.map_or(edit.media_time, |other| edit.media_time.min(other));
                if entry.is_none() {
                    break;
                }
            }
        }
    }
    Ok(found)
}

/// The entries of an edit list, as far as they are there.
fn parse_edits(payload: &[u8]) -> Parsed<Vec<Edit>> {
    let (version, _, mut fields) = full_box(payload)?;
    let count = fields.u32().ok_or("elst")?.min(MAX_EDITS);
    let is_wide = version == 1;
    let mut edits = Vec::new();
    for _ in 0..count {
        let mut entry = || {
            let duration = fields.u32_or_u64(is_wide)?;
            let time = if is_wide { fields.u64()? as i64 } else { i64::from(fields.u32()? as i32) };
            let is_dwell = fields.u32()? >> 16 == 0;
            Some(Edit { duration, media_time: u64::try_from(time).ok().filter(|_| !is_dwell) })
        };
        let Some(edit) = entry() else { break };
        edits.push(edit);
    }
    Ok(edits)
}

/// Duration and media time of an edit; the time of an empty one is negative.
fn parse_edit(fields: &mut Fields<'_>, wide: bool) -> Option<(u64, i64)> {
    let duration = fields.u32_or_u64(wide)?;
    let media_time = if wide { fields.u64()? as i64 } else { i64::from(fields.u32()? as i32) };
    fields.skip(4)?;
    Some((duration, media_time))
}
