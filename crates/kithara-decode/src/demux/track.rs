//! What a container says about its audio track.

use super::Codec;
use crate::rescale::rescale;

/// The audio track of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackInfo {
    /// Counts descriptions: a new value means that the codec's configuration may have changed.
    pub serial: u32,
    /// The track ID (MP4) or packet identifier (MPEG-TS); 0 where the container has none.
    pub id: u32,
    /// The codec.
    pub codec: Codec,
    /// What the codec needs besides packets: the AudioSpecificConfig (AAC), the 34-byte STREAMINFO block (FLAC), the magic
    /// cookie (ALAC), `OpusHead` (Opus). `None` where packets say it all.
    pub extra_data: Option<Box<[u8]>>,
    /// Frames per second as played: with band replication the doubled rate, where the container says so.
    pub sample_rate: u32,
    /// Channels as played; 0 when unknown.
    pub channels: u16,
    /// Bits per sample of lossless codecs.
    pub bits_per_sample: Option<u32>,
    /// Units per second of packet timestamps. Never 0.
    pub timescale: u32,
    /// Frames that every packet decodes to, where the codec fixes it (1024 for AAC-LC, 1152 for MP3), at `sample_rate`.
    pub frames_per_packet: Option<u32>,
    /// The edit list, not applied.
    pub edit: Option<EditList>,
    /// Encoder delay and padding told by means other than the edit list (Xing/LAME, iTunSMPB, Opus pre-skip).
    pub gapless: Option<Gapless>,
    /// Length of the media in `timescale` units, where the container says it (fragments included).
    pub duration: Option<u64>,
    /// ISO 639-2 language, where the container says one.
    pub language: Option<[u8; 3]>,
    /// Where timestamps wrap.
    pub wrap: Option<TimestampWrap>,
}

/// Timestamps of this track are counted modulo `2^bits` in the container, and unrolled in packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampWrap {
    /// 33 for MPEG-TS and for ID3 timestamps.
    pub bits: u32,
}

impl TimestampWrap {
    /// The time that is congruent to `raw` and nearest to `near`.
    pub fn unroll(self, raw: i64, near: i64) -> i64 {
        let modulus = 1i128 << self.bits.min(62);
        let distance = (i128::from(raw) - i128::from(near)).rem_euclid(modulus);
        let signed = if distance >= modulus / 2 { distance - modulus } else { distance };
        i64::try_from(i128::from(near) + signed).unwrap_or(raw)
    }
}

/// The part of an edit list that audio uses: an optional pause, then one piece of the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EditList {
    /// Silence before the media, in `movie_timescale` units (the sum of leading empty edits).
    pub empty_duration: u64,
    /// Media time that is presented first, in [`TrackInfo::timescale`] units (the encoder delay); with more edits, the least
    /// that any of them presents.
    pub media_time: u64,
    /// Length of the presented media in `movie_timescale` units; 0 means to the end of the media.
    pub segment_duration: u64,
    /// Units per second of the two durations. Never 0.
    pub movie_timescale: u32,
    /// True when further edits follow, which are not described otherwise.
    pub has_more: bool,
}

impl EditList {
    /// [`segment_duration`](Self::segment_duration) in units of `timescale`, rounded to nearest; `None` when it is open.
    pub fn duration_in(&self, timescale: u32) -> Option<u64> {
        (self.segment_duration > 0).then(|| rescale(self.segment_duration, timescale, self.movie_timescale))
    }
}

/// Frames to drop at both ends, in frames at [`TrackInfo::sample_rate`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gapless {
    /// Frames to drop at the start. For MP3 this is the encoder's delay as the tag says it, *without* the 529 frames that
    /// a decoder adds.
    pub delay: u32,
    /// Frames to drop at the end.
    pub padding: u32,
    /// Frames between the two, where the tag says it.
    pub total_frames: Option<u64>,
}
