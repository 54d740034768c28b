//! MP4 files, faststart or not, fragmented or not.

use std::sync::Arc;

use parking_lot::Mutex;

use super::backend::{Backend, Event, Opened, Packet, Stream};
use super::details::Tags;
use super::source::Window;
use super::view::{View, ViewState};
use crate::DecodeError;
use crate::codec::{CodecDecoder, parameters_of, preroll_packets};
use crate::demux::mp4_file::{Mp4File, Mp4FileError};
use crate::demux::{Codec, TrackInfo};
use crate::rescale::{rescale, rescale_signed};

/// An edit or delay that hides more than this is not believed, in seconds.
const MAX_LEAD_SECONDS: u64 = 10;

pub(super) struct Mp4Backend {
    file: Mp4File<View>,
    state: ViewState,
    rate: u32,
    /// Frames that the codec gives before frame 0.
    lead: i64,
    /// Media time at which the edit list ends the presentation.
    edit_end: Option<u64>,
    /// The description that the codec was made for.
    serial: u32,
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
    let is_fragmented = file.packet_count().is_none();
    let lead = if is_fragmented { 0 } else { lead_of(&track) };
    let edit_end = if is_fragmented { None } else { edit_end(&track) };
    let packet = u64::from(track.frames_per_packet.unwrap_or(0));
    let in_frames = |ticks: u64| rescale(ticks, rate, track.timescale);
    let total = file.media_duration().map(in_frames).and_then(|media| {
        let is_lossless = matches!(track.codec, Codec::Flac | Codec::Alac);
        let end = edit_end.map_or(media, in_frames).min(media);
        let decoded = match packet {
            // Packets of any length: only a look at each would tell which one is the last.
            0 => (is_lossless && end == media).then_some(media)?,
            // A packet that begins before the end is heard to its own end, which the codec alone knows.
            packet if is_lossless => end.next_multiple_of(packet).min(media),
            packet => end.next_multiple_of(packet),
        };
        Some(decoded.saturating_sub(lead.unsigned_abs()))
    });
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
    let backend = Mp4Backend { file, state, rate, lead, edit_end, serial: track.serial };
    Ok(Opened { backend: Box::new(backend), codec, stream })
}

/// Frames to hide at the start: what the encoder noted, or else what the edit list hides.
fn lead_of(track: &TrackInfo) -> i64 {
    let rate = track.sample_rate.max(1);
    let limit = u64::from(rate) * MAX_LEAD_SECONDS;
    let noted = track.gapless.map(|gapless| {
        let decoder_delay = if track.codec == Codec::Mp3 { 529 } else { 0 };
        u64::from(gapless.delay) + decoder_delay
    });
    let edited = track.edit.map(|edit| rescale(edit.media_time, rate, track.timescale));
    let lead = noted.filter(|&lead| lead > 0).or(edited).unwrap_or(0);
    if lead > limit { 0 } else { lead as i64 }
}

/// Media time behind which no packet is presented.
fn edit_end(track: &TrackInfo) -> Option<u64> {
    let edit = track.edit.filter(|edit| !edit.has_more)?;
    Some(edit.media_time.saturating_add(edit.duration_in(track.timescale)?))
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
        if self.edit_end.is_some_and(|end| packet.pts >= 0 && packet.pts.unsigned_abs() >= end) {
            return Ok(Event::End);
        }
        let change =
            if packet.track.serial == self.serial { None } else { Some(parameters_of(packet.track)?) };
        self.serial = packet.track.serial;
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
            change,
            is_discontinuity: false,
        }))
    }

    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError> {
        let media = frame.saturating_add(self.lead).max(0).unsigned_abs();
        let timescale = self.file.track().timescale;
        let end = self.edit_end.or(self.file.media_duration());
        let pts = rescale(media, timescale, self.rate);
        self.file.seek(pts).map_err(|error| convert(error, &self.state))?;
        Ok(end.is_none_or(|end| pts < end))
    }

    fn resume(&mut self) {
        self.state.resume();
    }
}
