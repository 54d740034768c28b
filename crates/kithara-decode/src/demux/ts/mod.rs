//! MPEG-2 transport streams (ISO/IEC 13818-1).

mod pes;
mod psi;
mod stream;
mod sync;

use bytes::Bytes;

use super::framing::Located;
use super::{Container, DemuxError, DemuxedPacket, Demuxer, TrackInfo};
#[cfg(test)]
pub(super) use psi::crc32;
use psi::{AudioKind, AudioStream, SectionReader, parse_pat, parse_pmt};
use stream::{Stream, kind_of, scrambled};
use sync::{Next, PacketReader};
pub(crate) use sync::{PACKET_LAYOUTS, SYNC};

/// Demuxer of MPEG-TS with AAC in ADTS frames, or MPEG audio.
///
/// The first audio stream of such a type is taken, video and data are skipped. Packets are raw AAC access units or whole
/// MPEG audio frames, in 90 kHz time: frames take the timestamp of the PES packet in which they begin, those that have
/// none of their own are counted on. Where a continuity counter jumps, the damaged PES packet is dropped up to the next
/// start of one, and the next packet is flagged. Program tables may come at any time, also in front of the segments (as
/// `EXT-X-MAP` gives them), and are remembered. Counters may begin anew in each segment.
#[derive(Debug, Default)]
pub struct TsDemuxer {
    reader: PacketReader,
    pat: SectionReader,
    programs: Vec<Program>,
    stream: Option<Stream>,
    /// Takes over when what is left of the stream at hand has been given out.
    next_stream: Option<AudioStream>,
    serial: u32,
    hint: Option<i64>,
    packets: u64,
    /// The stream at hand has given a packet in this segment.
    is_heard: bool,
    /// Another audio stream of the tables that has payload in this segment, where the one at hand has none so far.
    rival: Option<u16>,
    failed: Option<DemuxError>,
}

/// A program of the association table.
#[derive(Debug)]
struct Program {
    pid: u16,
    sections: SectionReader,
    /// Its audio streams, once its map table was seen.
    streams: Option<Vec<AudioStream>>,
}

/// Programs that are looked at.
const MAX_PROGRAMS: usize = 64;

impl TsDemuxer {
    /// An empty demuxer.
    pub fn new() -> Self {
        Self::default()
    }

    fn advance(&mut self) -> Result<Option<Located>, DemuxError> {
        loop {
            if let Some(stream) = &mut self.stream
                && let Some(located) = stream.advance()?
            {
                self.is_heard = true;
                return Ok(Some(located));
            }
            if let Some(next) = self.next_stream.take() {
                self.switch_to(next);
            }
            match self.reader.next()? {
                Next::Packet { data, is_after_loss } => self.take_packet(&data, is_after_loss)?,
                Next::End => {
                    self.end_segment()?;
                }
                Next::NeedsMore => return Ok(None),
            }
        }
    }

    fn switch_to(&mut self, next: AudioStream) {
        let time = self.stream.as_ref().and_then(Stream::time).or(self.hint);
        self.serial = self.stream.as_ref().map_or(self.serial, Stream::serial);
        self.stream = Stream::new(next.pid, next.kind, self.serial, time);
    }

    fn end_segment(&mut self) -> Result<(), DemuxError> {
        self.pat.interrupt();
        for program in &mut self.programs {
            program.sections.interrupt();
        }
        if let Some(stream) = &mut self.stream {
            stream.end_as_latm()?;
            stream.finish();
            self.reconsider();
            return Ok(());
        }
        match std::mem::take(&mut self.packets) {
            0 => Ok(()),
            // The next segment may have other tables.
            _ if self.programs.iter().any(|program| program.streams.is_some()) => {
                Err(DemuxError::NoAudio { container: Container::MpegTs })
            }
            _ => {
                let what = "no program tables";
                Err(DemuxError::Malformed {
                    container: Container::MpegTs,
                    what,
                    offset: self.reader.offset(),
                })
            }
        }
    }

    /// The segment is over: where the tables name a stream that never comes, another one takes over that does.
    fn reconsider(&mut self) {
        let rival = self.rival.take().filter(|_| !std::mem::take(&mut self.is_heard));
        let Some(rival) = rival else { return };
        let mut streams = self.programs.iter().filter_map(|program| program.streams.as_ref()).flatten();
        self.next_stream = self.next_stream.or(streams.find(|stream| stream.pid == rival).copied());
    }

    /// Notes that another audio stream has payload while the one at hand has none.
    fn heed_rival(&mut self, pid: u16) {
        let is_playable = |stream: &AudioStream| {
            stream.pid == pid && matches!(stream.kind, AudioKind::Adts | AudioKind::MpegAudio)
        };
        let mut streams = self.programs.iter().filter_map(|program| program.streams.as_ref()).flatten();
        if self.rival.is_none() && !self.is_heard && streams.any(is_playable) {
            self.rival = Some(pid);
        }
    }

    fn take_packet(&mut self, packet: &Bytes, is_after_loss: bool) -> Result<(), DemuxError> {
        self.packets += 1;
        if is_after_loss && let Some(stream) = &mut self.stream {
            stream.lose();
        }
        let &[_, b1, b2, b3, ..] = packet.as_ref() else { return Ok(()) };
        let pid = u16::from(b1 & 0x1F) << 8 | u16::from(b2);
        if self.stream.is_none() && b1 & 0xC0 == 0x40 && self.unnamed().any(|unnamed| unnamed == pid) {
            self.stream = payload(packet)
                .and_then(|(payload, _)| kind_of(&payload))
                .and_then(|kind| Stream::new(pid, kind, self.serial, self.hint));
        }
        let is_audio = self.stream.as_ref().is_some_and(|stream| stream.pid == pid);
        if !is_audio && pid != 0 && !self.programs.iter().any(|program| program.pid == pid) {
            if b1 & 0x40 != 0 && self.stream.is_some() {
                self.heed_rival(pid);
            }
            return Ok(());
        }
        let Some((payload, is_discontinuity)) = payload(packet) else { return Ok(()) };
        let (is_damaged, is_start, continuity) = (b1 & 0x80 != 0, b1 & 0x40 != 0, b3 & 0x0F);
        if is_audio {
            let is_scrambled = b3 & 0xC0 != 0;
            self.take_audio(payload, is_start, continuity, (is_damaged, is_discontinuity, is_scrambled))
        } else if !is_damaged {
            self.take_table(pid, &payload, is_start, continuity)
        } else {
            Ok(())
        }
    }

    fn take_audio(
        &mut self,
        payload: Bytes,
        is_start: bool,
        continuity: u8,
        (is_damaged, is_discontinuity, is_scrambled): (bool, bool, bool),
    ) -> Result<(), DemuxError> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if is_damaged {
            stream.lose();
            return Ok(());
        }
        let Some(is_complete) = stream.follows(continuity, &payload, is_discontinuity) else { return Ok(()) };
        if is_scrambled {
            return Err(scrambled());
        }
        if !is_complete {
            stream.lose();
            // Counting goes on from this packet.
            let _ = stream.follows(continuity, &payload, true);
        }
        stream.push(payload, is_start)
    }

    fn take_table(
        &mut self,
        pid: u16,
        payload: &[u8],
        is_start: bool,
        continuity: u8,
    ) -> Result<(), DemuxError> {
        if pid == 0 {
            let programs = &mut self.programs;
            self.pat.push(payload, is_start, continuity, |section| {
                if let Some((is_first, pids)) = parse_pat(section) {
                    if is_first {
                        programs.retain(|program| pids.contains(&program.pid));
                    }
                    for pid in pids {
                        if programs.len() < MAX_PROGRAMS && programs.iter().all(|program| program.pid != pid)
                        {
                            programs.push(Program { pid, sections: SectionReader::default(), streams: None });
                        }
                    }
                }
            });
            return Ok(());
        }
        let mut is_changed = false;
        for program in self.programs.iter_mut().filter(|program| program.pid == pid) {
            let streams = &mut program.streams;
            program.sections.push(payload, is_start, continuity, |section| {
                if let Some(found) = parse_pmt(section) {
                    *streams = Some(found);
                    is_changed = true;
                }
            });
        }
        if is_changed { self.choose_stream() } else { Ok(()) }
    }

    /// Picks the stream to play from what the tables say now.
    fn choose_stream(&mut self) -> Result<(), DemuxError> {
        let streams =
            || self.programs.iter().filter_map(|program| program.streams.as_ref()).flatten().copied();
        let playable = |stream: &AudioStream| matches!(stream.kind, AudioKind::Adts | AudioKind::MpegAudio);
        if let Some(current) = &self.stream
            && streams().any(|stream| {
                stream.pid == current.pid
                    && (stream.kind == current.kind || stream.kind == AudioKind::Unnamed)
            })
        {
            return Ok(());
        }
        if let Some(next) = streams().find(playable) {
            if let Some(stream) = &mut self.stream {
                stream.lose();
            }
            self.next_stream = Some(next);
            return Ok(());
        }
        if self.programs.iter().any(|program| program.streams.is_none()) {
            return Ok(());
        }
        let container = Container::MpegTs;
        let named = streams().find_map(|stream| match stream.kind {
            AudioKind::Other(codec) => Some(codec),
            _ => None,
        });
        match named {
            Some(codec) => Err(DemuxError::UnsupportedCodec { container, codec }),
            // A later table may name some.
            None => Ok(()),
        }
    }

    /// The PIDs that may turn out to be audio.
    fn unnamed(&self) -> impl Iterator<Item = u16> {
        let streams = self.programs.iter().filter_map(|program| program.streams.as_ref()).flatten();
        streams.filter(|stream| stream.kind == AudioKind::Unnamed).map(|stream| stream.pid)
    }
}

/// The payload of a packet, and whether its adaptation field announces a discontinuity.
fn payload(packet: &Bytes) -> Option<(Bytes, bool)> {
    match packet.get(3)? >> 4 & 3 {
        1 => Some((packet.slice(4..), false)),
        3 => {
            let len = usize::from(*packet.get(4)?);
            let is_discontinuity = len > 0 && packet.get(5)? & 0x80 != 0;
            let start = 5 + len;
            (start < packet.len()).then(|| (packet.slice(start..), is_discontinuity))
        }
        _ => None,
    }
}

impl Demuxer for TsDemuxer {
    fn push(&mut self, data: Bytes) -> Result<(), DemuxError> {
        self.reader.push(data);
        Ok(())
    }

    fn next_packet(&mut self) -> Result<Option<DemuxedPacket<'_>>, DemuxError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match self.advance() {
            Ok(Some(located)) => Ok(self.stream.as_mut().and_then(|stream| stream.packet(located))),
            Ok(None) => Ok(None),
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    fn finish(&mut self) -> Result<(), DemuxError> {
        self.reader.finish();
        Ok(())
    }

    fn reset(&mut self) {
        let serial = self.stream.as_ref().map_or(self.serial, Stream::serial);
        *self = Self { serial, ..Self::default() };
    }

    fn discard(&mut self) {
        self.reader.clear();
        self.pat.interrupt();
        for program in &mut self.programs {
            program.sections.interrupt();
        }
        if let Some(stream) = &mut self.stream {
            stream.discard();
        }
        self.packets = 0;
        self.is_heard = false;
        self.rival = None;
        self.failed = None;
    }

    fn track(&self) -> Option<&TrackInfo> {
        self.stream.as_ref().and_then(Stream::track)
    }

    fn set_time_hint(&mut self, near: i64) {
        self.hint = Some(near);
        if let Some(stream) = &mut self.stream {
            stream.set_time_hint(near);
        }
    }
}
