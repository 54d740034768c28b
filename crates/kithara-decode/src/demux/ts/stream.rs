//! The audio stream of a program: PES packets to frames.

use bytes::Bytes;

use super::super::adts::Adts;
use super::super::framing::{Format, Framer, Located};
use super::super::mpeg_audio::MpegAudio;
use super::super::{Codec, Container, DemuxError, DemuxedPacket, TrackInfo};
use super::pes::{MAX_HEADER, PesStart};
use super::psi::AudioKind;

/// A framer of either kind.
#[derive(Debug)]
pub(super) enum AnyFramer {
    Adts(Framer<Adts>),
    MpegAudio(Framer<MpegAudio>),
}

macro_rules! each {
    ($framer:expr, $inner:ident => $call:expr) => {
        match $framer {
            AnyFramer::Adts($inner) => $call,
            AnyFramer::MpegAudio($inner) => $call,
        }
    };
}

/// What is known of the PES packet at hand.
#[derive(Debug)]
enum Pes {
    /// Waits for the start of one.
    Skipped,
    /// Its header is not there in full.
    Header(Vec<u8>),
    Body,
}

/// The audio stream that is being played.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) pid: u16,
    pub(super) kind: AudioKind,
    framer: AnyFramer,
    pes: Pes,
    continuity: Option<u8>,
    /// Payload of the last packet: a repeated packet is dropped.
    last: Vec<u8>,
    /// PES packets, one after the other, that begin as LATM does, as long as no frame was found.
    latm: u8,
}

/// The kind of frames that the first packet of a PES packet begins with, when it is audio.
pub(super) fn kind_of(payload: &[u8]) -> Option<AudioKind> {
    let PesStart::Header(header) = PesStart::parse(payload) else { return None };
    let body = payload.get(header.len..)?;
    if !matches!(header.stream_id, 0xC0..=0xDF) {
        return None;
    }
    if Adts::parse(body.get(..Adts::HEADER_LEN)?).is_some() {
        return Some(AudioKind::Adts);
    }
    MpegAudio::parse(body.get(..MpegAudio::HEADER_LEN)?).map(|_| AudioKind::MpegAudio)
}

impl Stream {
    /// `None` for a codec that is not framed.
    pub(super) fn new(pid: u16, kind: AudioKind, serial: u32, near: Option<i64>) -> Option<Self> {
        let mut framer = match kind {
            AudioKind::Adts => AnyFramer::Adts(Framer::new(false)),
            AudioKind::MpegAudio => AnyFramer::MpegAudio(Framer::new(false)),
            AudioKind::Unnamed | AudioKind::Other(_) => return None,
        };
        each!(&mut framer, framer => {
            framer.identify(pid.into(), serial);
            if let Some(near) = near {
                framer.set_time_hint(near);
            }
        });
        Some(Self { pid, kind, framer, pes: Pes::Skipped, continuity: None, last: Vec::new(), latm: 0 })
    }

    pub(super) fn advance(&mut self) -> Result<Option<Located>, DemuxError> {
        each!(&mut self.framer, framer => framer.advance())
    }

    pub(super) fn packet(&mut self, located: Located) -> Option<DemuxedPacket<'_>> {
        each!(&mut self.framer, framer => framer.packet(located))
    }

    pub(super) fn track(&self) -> Option<&TrackInfo> {
        each!(&self.framer, framer => framer.track())
    }

    pub(super) fn serial(&self) -> u32 {
        each!(&self.framer, framer => framer.serial())
    }

    /// The time behind the last packet, once a timestamp has been seen.
    pub(super) fn time(&self) -> Option<i64> {
        each!(&self.framer, framer => framer.time())
    }

    pub(super) fn set_time_hint(&mut self, near: i64) {
        each!(&mut self.framer, framer => framer.set_time_hint(near));
    }

    pub(super) fn discard(&mut self) {
        each!(&mut self.framer, framer => framer.discard());
        self.pes = Pes::Skipped;
        self.interrupt();
    }

    /// The segment is over. Counters may begin anew in the next one, a PES packet may go on in it.
    pub(super) fn finish(&mut self) {
        each!(&mut self.framer, framer => framer.finish());
        self.interrupt();
    }

    fn interrupt(&mut self) {
        self.continuity = None;
        self.last.clear();
    }

    /// Bytes were lost: the PES packet at hand is damaged.
    pub(super) fn lose(&mut self) {
        each!(&mut self.framer, framer => framer.cut());
        self.pes = Pes::Skipped;
        self.interrupt();
    }

    /// True when packets are missing before one with this counter and payload. `None`: it repeats the one before.
    pub(super) fn follows(
        &mut self,
        continuity: u8,
        payload: &Bytes,
        is_discontinuity: bool,
    ) -> Option<bool> {
        let last = self.continuity.replace(continuity);
        let is_repeated = last == Some(continuity) && self.last == *payload;
        self.last.clear();
        self.last.extend_from_slice(payload);
        if is_repeated {
            return None;
        }
        Some(is_discontinuity || last.is_none_or(|last| (last + 1) & 0x0F == continuity))
    }

    /// Takes the payload of a packet.
    pub(super) fn push(&mut self, payload: Bytes, is_start: bool) -> Result<(), DemuxError> {
        if is_start {
            self.pes = Pes::Header(Vec::new());
        }
        match &mut self.pes {
            Pes::Skipped => Ok(()),
            Pes::Body => {
                each!(&mut self.framer, framer => framer.push(payload));
                Ok(())
            }
            Pes::Header(head) if head.is_empty() => self.begin(payload),
            Pes::Header(head) => {
                let mut whole = std::mem::take(head);
                whole.extend_from_slice(&payload);
                self.begin(whole.into())
            }
        }
    }

    /// Some muxers declare LATM as ADTS.
    fn heed_latm(&mut self, payload: &[u8]) -> Result<(), DemuxError> {
        let is_latm = matches!(payload, [0x56, second, ..] if second & 0xE0 == 0xE0);
        self.latm = if is_latm && self.track().is_none() { self.latm.saturating_add(1) } else { 0 };
        if self.latm > 1 { self.end_as_latm() } else { Ok(()) }
    }

    /// The segment is over: one PES packet of LATM and no frame is LATM as well.
    pub(super) fn end_as_latm(&self) -> Result<(), DemuxError> {
        if self.latm == 0 || self.track().is_some() {
            return Ok(());
        }
        Err(DemuxError::UnsupportedCodec { container: Container::MpegTs, codec: Codec::Latm })
    }

    /// `data` begins with a PES header, perhaps not all of it.
    fn begin(&mut self, data: Bytes) -> Result<(), DemuxError> {
        match PesStart::parse(&data) {
            PesStart::Header(header) if header.is_scrambled => Err(scrambled()),
            PesStart::Header(header) => {
                self.heed_latm(&data[header.len..])?;
                each!(&mut self.framer, framer => {
                    framer.mark(header.pts);
                    framer.push(data.slice(header.len..));
                });
                self.pes = Pes::Body;
                Ok(())
            }
            PesStart::NeedsMore if data.len() < MAX_HEADER => {
                self.pes = Pes::Header(data.to_vec());
                Ok(())
            }
            _ => {
                self.lose();
                Ok(())
            }
        }
    }
}

pub(super) fn scrambled() -> DemuxError {
    DemuxError::Unsupported { container: Container::MpegTs, what: "scrambled packets" }
}
