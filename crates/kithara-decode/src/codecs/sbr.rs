//! Notices spectral band replication that only the packets tell of (implicit HE-AAC).
//!
//! An AAC-LC decoder skips the replication data as filling and plays the core at half the rate. The data stands in a fill
//! element near the end of a packet. Where an element begins cannot be known without decoding everything before it, so two
//! checks are combined: a place from which fill elements, data elements and the terminator lead exactly to the packet's
//! end; and the word of the AAC decoder itself, that its parser comes by that place.

use ::symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use ::symphonia::core::errors::Error as SymphoniaError;
use ::symphonia::core::packet::PacketRef;
use ::symphonia::core::units::{Duration as Ticks, Timestamp};

use super::CodecParameters;
use super::symphonia::{in_symphonias_terms, registry};

/// Packets that are looked at: an encoder that replicates bands does it from the first packet on.
const WATCHED_PACKETS: u32 = 16;
/// Longest core rate for which replication is defined in practice (96 kHz output).
const MAX_CORE_RATE: u32 = 48_000;

/// Fill and data elements at the end of a packet: the longest packet holds 31 of the longest.
const MAX_ELEMENTS: usize = 32;

const ID_DSE: u32 = 4;
const ID_PCE: u32 = 5;
const ID_FIL: u32 = 6;
const ID_END: u32 = 7;

pub(super) struct SbrWatch {
    left: u32,
    probe: Option<Box<dyn AudioDecoder>>,
    scratch: Vec<u8>,
}

impl SbrWatch {
    /// A watch, if the packets are not known to carry replication data and their rate is one that can be doubled.
    pub(super) fn for_parameters(parameters: &CodecParameters) -> Option<Self> {
        let is_watched = !parameters.has_sbr && parameters.sample_rate <= MAX_CORE_RATE;
        is_watched.then(|| Self { left: WATCHED_PACKETS, probe: None, scratch: Vec::new() })
    }

    /// Whether `packet` carries replication data. Stops looking after some packets without.
    pub(super) fn sees_sbr(&mut self, packet: &[u8], parameters: &CodecParameters) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let found = candidates(packet).any(|bit| self.parser_comes_by(packet, bit, parameters));
        if self.left == 0 {
            self.probe = None;
            self.scratch = Vec::new();
        }
        found
    }

    /// Whether the decoder's parser reads an element at `bit`: cut there, the packet decodes when the terminator follows, and
    /// is refused as unsupported when a program config element does.
    fn parser_comes_by(&mut self, packet: &[u8], bit: usize, parameters: &CodecParameters) -> bool {
        if self.probe.is_none() {
            let parameters = in_symphonias_terms(parameters);
            self.probe = registry().make_audio_decoder(&parameters, &AudioDecoderOptions::default()).ok();
        }
        matches!(self.decode_cut(packet, bit, ID_PCE), Some(Err(SymphoniaError::Unsupported(_))))
            && matches!(self.decode_cut(packet, bit, ID_END), Some(Ok(())))
    }

    /// Decodes the packet as far as `bit`, with `element` behind it.
    fn decode_cut(&mut self, packet: &[u8], bit: usize, element: u32) -> Option<Result<(), SymphoniaError>> {
        let probe = self.probe.as_mut()?;
        self.scratch.clear();
        self.scratch.extend_from_slice(&packet[..bit / 8]);
        let kept = packet[bit / 8] & !(0xFF_u8.checked_shr((bit % 8) as u32).unwrap_or(0));
        let mark = (element << 13) >> (bit % 8);
        self.scratch.extend_from_slice(&[kept | (mark >> 8) as u8, mark as u8, 0, 0]);
        let cut = PacketRef::new(0, Timestamp::new(0), Ticks::ZERO, &self.scratch);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| probe.decode_ref(&cut).map(|_| ()))).ok()
    }
}

/// Bits at which a fill element with replication data may begin.
fn candidates(packet: &[u8]) -> impl Iterator<Item = usize> {
    let bits = Bits(packet);
    let end = bits.len();
    (0..end).filter(move |&bit| {
        bits.get(bit, 3) == Some(ID_FIL) && bits.fill_kind(bit).is_some_and(is_sbr) && bits.leads_to_end(bit)
    })
}

fn is_sbr(kind: u32) -> bool {
    matches!(kind, 0xD | 0xE)
}

/// A packet as bits, the most significant first.
struct Bits<'a>(&'a [u8]);

impl Bits<'_> {
    fn len(&self) -> usize {
        self.0.len() * 8
    }

    /// `count` (at most 16) bits from `bit` on.
    fn get(&self, bit: usize, count: usize) -> Option<u32> {
        if bit + count > self.len() {
            return None;
        }
        let mut value = 0u32;
        for offset in 0..3 {
            value = value << 8 | u32::from(self.0.get(bit / 8 + offset).copied().unwrap_or(0));
        }
        Some(value >> (24 - bit % 8 - count) & ((1 << count) - 1))
    }

    /// Bytes of payload of the fill element at `bit`, and the bit at which they begin.
    fn fill_payload(&self, bit: usize) -> Option<(usize, usize)> {
        match self.get(bit + 3, 4)? {
            15 => Some((self.get(bit + 7, 8)? as usize + 14, bit + 15)),
            count => Some((count as usize, bit + 7)),
        }
    }

    fn fill_kind(&self, bit: usize) -> Option<u32> {
        match self.fill_payload(bit)? {
            (0, _) => None,
            (_, start) => self.get(start, 4),
        }
    }

    /// Whether the elements from `bit` on are fill and data elements, then the terminator, then less than a byte of rest.
    fn leads_to_end(&self, mut bit: usize) -> bool {
        for _ in 0..MAX_ELEMENTS {
            match self.get(bit, 3) {
                Some(ID_END) => return self.len() - (bit + 3) < 8,
                Some(ID_FIL) => match self.fill_payload(bit) {
                    Some((bytes, start)) => bit = start + bytes * 8,
                    None => return false,
                },
                Some(ID_DSE) => match self.data_end(bit) {
                    Some(end) => bit = end,
                    None => return false,
                },
                _ => return false,
            }
        }
        false
    }

    fn data_end(&self, bit: usize) -> Option<usize> {
        let aligned = self.get(bit + 7, 1)? == 1;
        let mut count = self.get(bit + 8, 8)? as usize;
        let mut start = bit + 16;
        if count == 255 {
            count += self.get(bit + 16, 8)? as usize;
            start += 8;
        }
        if aligned {
            start = start.next_multiple_of(8);
        }
        Some(start + count * 8)
    }
}
