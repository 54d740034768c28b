//! Codecs: one table of them, and one wrapper that decodes the packets of any.

mod aac;
mod aac_own;
mod decoded;
mod decoder;
mod delay;
mod interleave;
mod mpa;
mod opus;
mod parameters;
mod sbr;
mod symphonia;

use crate::DecodeError;

pub use decoded::Decoded;
pub use decoder::CodecDecoder;
pub(crate) use delay::{DecoderDelay, left_before};
pub use interleave::{interleave_f32, interleave_f32_scalar};
pub use parameters::CodecParameters;

/// Decodes the packets of one configuration of one codec.
///
/// Packets come in order; after a loss or a seek [`reset`](Self::reset) is called first.
pub trait PacketDecoder: Send + Sync {
    /// Decodes one packet, which its container says holds `frames` frames. The result is read by
    /// [`decoded`](Self::decoded).
    ///
    /// # Errors
    /// [`PacketError`] says whether the next packet may decode.
    fn decode(&mut self, packet: &[u8], frames: u64) -> Result<(), PacketError>;

    /// The frames of the last packet decoded; neither trimmed nor placed.
    fn decoded(&self) -> Decoded<'_>;

    /// Forgets what earlier packets left behind (overlap, bit reservoir, noise).
    fn reset(&mut self);

    /// Whether frames come later than their packets, by [`delay`](Self::delay). Default `false`.
    fn is_delayed(&self) -> bool {
        false
    }

    /// Frames by which the last packet's output is late. Default 0.
    fn delay(&self) -> u64 {
        0
    }

    /// Whether packets may decode to another rate than their container says (implicit spectral band replication): then
    /// one is decoded to learn the rate before a file is described. Default `false`.
    fn may_change_rate(&self) -> bool {
        false
    }
}

/// Why one packet gave no PCM.
#[derive(Debug)]
#[non_exhaustive]
pub enum PacketError {
    /// The packet is damaged: silence may stand in for it.
    Damaged(String),
    /// The packet uses a feature that the decoder lacks: silence may stand in for it.
    Unsupported(String),
    /// No packet of this stream will give the right PCM.
    Fatal(DecodeError),
}

/// What a decoder must have decoded before a seek target, so that the target sounds as in straight playback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preroll {
    /// Packets, where every packet has the same length.
    pub packets: u32,
    /// Frames, where packets differ in length.
    pub frames: u64,
}

impl Preroll {
    const NONE: Self = Self { packets: 0, frames: 0 };

    /// In frames, for packets of a fixed length or not.
    #[must_use]
    pub fn in_frames(self, frames_per_packet: Option<u32>) -> u64 {
        match frames_per_packet {
            Some(frames) if frames > 0 => u64::from(self.packets) * u64::from(frames),
            _ => self.frames,
        }
    }
}

/// One row of the table of codecs.
#[derive(Clone, Copy, Debug)]
pub struct CodecDescriptor {
    /// Short name, as in [`MediaDetails::codec`](crate::MediaDetails::codec): "aac", "opus", "ac3".
    pub name: &'static str,
    /// What a seek must decode before its target.
    pub preroll: Preroll,
    /// Makes a decoder.
    ///
    /// # Errors
    /// [`DecodeError::Unsupported`] naming the codec and the feature, or [`DecodeError::Malformed`] for its configuration.
    pub make: fn(&CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError>,
}

/// The codecs that this build decodes.
static CODECS: &[CodecDescriptor] = &[
    // MDCT overlap, with one packet to spare.
    CodecDescriptor { name: "aac", preroll: Preroll { packets: 2, frames: 2 * 1024 }, make: aac::make },
    // The bit reservoir reaches back 511 bytes: up to nine frames of the lowest rates; then the hybrid filter's overlap.
    CodecDescriptor { name: "mp3", preroll: Preroll { packets: 12, frames: 12 * 1152 }, make: mpa::make },
    CodecDescriptor { name: "mp2", preroll: Preroll { packets: 2, frames: 2 * 1152 }, make: mpa::make },
    CodecDescriptor { name: "mp1", preroll: Preroll { packets: 2, frames: 2 * 384 }, make: mpa::make },
    // The longest block, twice.
    CodecDescriptor {
        name: "vorbis",
        preroll: Preroll { packets: 2, frames: 2 * 4096 },
        make: symphonia::make_vorbis,
    },
    // RFC 7845 asks for 80 ms; the energy prediction of CELT has converged to straight playback after 640.
    CodecDescriptor { name: "opus", preroll: Preroll { packets: 32, frames: 30_720 }, make: opus::make },
    CodecDescriptor { name: "flac", preroll: Preroll::NONE, make: symphonia::make },
    CodecDescriptor { name: "alac", preroll: Preroll::NONE, make: symphonia::make_alac },
    CodecDescriptor { name: "pcm", preroll: Preroll::NONE, make: symphonia::make },
    CodecDescriptor { name: "adpcm", preroll: Preroll::NONE, make: symphonia::make },
];

/// Which decoder decodes which codec: those of this build, and those that the application registers.
#[derive(Clone, Debug, Default)]
pub struct CodecTable {
    registered: Vec<CodecDescriptor>,
}

impl CodecTable {
    /// Adds a codec, or takes the place of one with its name.
    pub fn register(&mut self, codec: CodecDescriptor) {
        self.registered.retain(|known| known.name != codec.name);
        self.registered.push(codec);
    }

    /// The row of the codec that is called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&CodecDescriptor> {
        self.registered.iter().chain(CODECS).find(|codec| codec.name == name)
    }

    /// Whether packets of these parameters can be decoded. Costs the making of a decoder.
    #[must_use]
    pub fn supports(&self, parameters: &CodecParameters) -> bool {
        self.make(parameters).is_ok()
    }

    /// What a seek in packets of these parameters must decode before its target.
    pub(crate) fn preroll_of(&self, parameters: &CodecParameters) -> Preroll {
        self.find(parameters.name()).map_or(Preroll::NONE, |codec| codec.preroll)
    }

    pub(crate) fn make(&self, parameters: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
        match self.find(parameters.name()) {
            Some(codec) => (codec.make)(parameters),
            None => Err(DecodeError::Unsupported(parameters.long_name())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_codec_takes_the_place_of_ours() {
        fn refuse(_: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
            Err(DecodeError::Unsupported("mine".into()))
        }
        let parameters =
            CodecParameters::new(::symphonia::core::codecs::audio::well_known::CODEC_ID_AC3, 48_000, 2);
        let mut table = CodecTable::default();
        assert!(table.find("ac3").is_none());
        for name in ["ac3", "flac"] {
            table.register(CodecDescriptor { name, preroll: Preroll::NONE, make: refuse });
            let made = (table.find(name).unwrap().make)(&parameters);
            assert!(matches!(made, Err(DecodeError::Unsupported(by)) if by == "mine"));
        }
        assert_eq!(table.registered.len(), 2);
    }

    #[test]
    fn names_in_the_table_are_unique() {
        for (index, codec) in CODECS.iter().enumerate() {
            assert!(CODECS[..index].iter().all(|other| other.name != codec.name), "{}", codec.name);
        }
    }
}
