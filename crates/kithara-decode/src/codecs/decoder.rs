//! The wrapper that the pipeline decodes with.

use super::{CodecParameters, CodecTable, Decoded, PacketDecoder, PacketError, Preroll};
use crate::DecodeError;
use crate::demux::TrackInfo;

/// One codec, ready to decode packets.
///
/// After warm-up, decoding allocates nothing.
#[doc(alias = "SymphoniaDecoder")]
pub struct CodecDecoder {
    decoder: Box<dyn PacketDecoder>,
    parameters: CodecParameters,
    preroll: Preroll,
}

impl std::fmt::Debug for CodecDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodecDecoder").field("codec", &self.name()).finish_non_exhaustive()
    }
}

impl CodecDecoder {
    /// A decoder for a demuxed track.
    ///
    /// # Errors
    /// [`DecodeError::Unsupported`] naming the codec when this build cannot decode it.
    pub fn for_track(track: &TrackInfo) -> Result<Self, DecodeError> {
        Self::new(CodecParameters::of_track(track)?, &CodecTable::default())
    }

    pub(crate) fn new(parameters: CodecParameters, codecs: &CodecTable) -> Result<Self, DecodeError> {
        let decoder = codecs.make(&parameters)?;
        let preroll = codecs.preroll_of(&parameters);
        Ok(Self { decoder, parameters, preroll })
    }

    /// Whether packets of `track` may follow the packets decoded so far, because its codec parameters are equal.
    #[must_use]
    pub fn accepts(&self, track: &TrackInfo) -> bool {
        CodecParameters::of_track(track).is_ok_and(|other| self.parameters.accepts(&other))
    }

    pub(crate) fn parameters(&self) -> &CodecParameters {
        &self.parameters
    }

    /// Short name of the codec ("aac", "mp3", …).
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.parameters.name()
    }

    /// What a seek must decode before its target, in frames: a decoder that is late gives nothing at first for about as
    /// many packets as it needs to settle.
    pub(crate) fn preroll(&self, frames_per_packet: Option<u32>) -> u64 {
        let frames = self.preroll.in_frames(frames_per_packet);
        if self.decoder.is_delayed() { 2 * frames } else { frames }
    }

    /// Whether packets may decode to another rate than their container says.
    pub(crate) fn may_change_rate(&self) -> bool {
        self.decoder.may_change_rate()
    }

    /// Forgets what earlier packets left behind (overlap, bit reservoir); for after a seek.
    pub fn reset(&mut self) {
        self.decoder.reset();
    }

    /// Decodes one packet that should give `frames` frames. What comes out is neither trimmed nor placed.
    pub(crate) fn decode(&mut self, packet: &[u8], frames: u64) -> Result<Decoded<'_>, PacketError> {
        self.decoder.decode(packet, frames)?;
        Ok(self.decoder.decoded().late_by(self.decoder.delay()))
    }
}
