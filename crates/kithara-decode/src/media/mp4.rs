//! MP4 files, faststart or not, fragmented or not.

use std::sync::Arc;

use parking_lot::Mutex;

use super::backend::{Backend, Event, Opened, Packet, Stream};
use super::details::Tags;
use super::source::Window;
use super::view::{View, ViewState};
use crate::DecodeError;
use crate::codec::{CodecDecoder, preroll_packets};
use crate::demux::mp4_file::{Mp4File, Mp4FileError};
use crate::demux::{Codec, TrackInfo};
use crate::resample::{rescale, rescale_signed};

/// An edit or delay that hides more than this is not believed, in seconds.
const MAX_LEAD_SECONDS: u64 = 10;

pub(super) struct Mp4Backend {
    file: Mp4File<View>,
    state: ViewState,
    rate: u32,
    /// Frames that the codec gives before frame 0.
    lead: i64,
}

/// Opens the MP4 file that begins at the window's position.
pub(super) fn open(window: Window) -> Result<Opened, DecodeError> {
    let state = ViewState::default();
    let tail = window.offset();
    let view = View::new(Arc::new(Mutex::new(window)), Arc::default(), tail, state.clone());
    let file = Mp4File::open(view).map_err(|error| convert(error, &state))?;
    let track = file.track().clone();
    let codec = CodecDecoder::for_track(&track)?;
    let rate = track.sample_rate.max(1);
    let lead = lead_of(&track);
    let decoded = file.media_duration().map(|ticks| rescale(ticks, rate, track.timescale));
    let packet = u64::from(track.frames_per_packet.unwrap_or(0));
    let decoded = match (track.codec, packet) {
        (Codec::Flac | Codec::Alac, _) => decoded,
        (_, 0) => None,
        // The last packet of a lossy codec is decoded whole, however short the table says it is.
        (_, packet) => decoded.map(|frames| frames.next_multiple_of(packet)),
    };
    let total = decoded.map(|frames| frames.saturating_sub(lead.unsigned_abs()));
    let nominal = if packet > 0 { packet } else { 4096 };
    let stream = Stream {
        container: "mp4",
        sample_rate: rate,
        channels: track.channels,
        bits_per_sample: track.bits_per_sample,
        end: None,
        total,
        estimate: None,
        preroll: u64::from(preroll_packets(track.codec)) * nominal,
        tags: Tags::default(),
    };
    Ok(Opened { backend: Box::new(Mp4Backend { file, state, rate, lead }), codec, stream })
}

/// Frames to hide at the start: by the edit list, or by what the encoder noted.
fn lead_of(track: &TrackInfo) -> i64 {
    let rate = track.sample_rate.max(1);
    let limit = u64::from(rate) * MAX_LEAD_SECONDS;
    let lead = match (track.edit, track.gapless) {
        (Some(edit), _) => rescale(edit.media_time, rate, track.timescale),
        (None, Some(gapless)) => u64::from(gapless.delay) + if track.codec == Codec::Mp3 { 529 } else { 0 },
        (None, None) => 0,
    };
    if lead > limit { 0 } else { lead as i64 }
}

fn convert(error: Mp4FileError, state: &ViewState) -> DecodeError {
    if let Some(fault) = state.take_fault() {
        return DecodeError::Io(fault);
    }
    match error {
        Mp4FileError::Demux(error) => DecodeError::Demux(error),
        Mp4FileError::Io { source, .. } => DecodeError::Io(source),
    }
}

impl Backend for Mp4Backend {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        let packet = match self.file.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(Event::End),
            Err(error) => return Err(convert(error, &self.state)),
        };
        let timescale = packet.track.timescale;
        let position = rescale_signed(packet.pts, self.rate, timescale).saturating_sub(self.lead);
        let frames = packet
            .track
            .frames_per_packet
            .map_or_else(|| rescale(packet.duration, self.rate, timescale), u64::from);
        Ok(Event::Packet(Packet {
            data: packet.data,
            position: Some(position),
            frames: frames.max(1),
            trim_end: 0,
        }))
    }

    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError> {
        let media = frame.saturating_add(self.lead).max(0).unsigned_abs();
        let timescale = self.file.track().timescale;
        let end = self.file.media_duration();
        let pts = rescale(media, timescale, self.rate);
        self.file.seek(pts).map_err(|error| convert(error, &self.state))?;
        Ok(end.is_none_or(|end| pts < end))
    }

    fn resume(&mut self) {
        self.state.resume();
    }
}
