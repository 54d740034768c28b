//! The decoders, and what the identification header asks for: channel mapping, gain.

use crate::codecs::{CodecParameters, Decoded, PacketDecoder, PacketError};
use crate::headers::opus::{self, OpusHead};
use crate::{ChannelLayout, DecodeError};

/// Frames of the longest packet: 120 ms.
const MAX_FRAMES: u64 = 5760;

pub(super) fn make(parameters: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
    let head = head_of(parameters)?;
    #[cfg(feature = "libopus")]
    if head.family == 0 {
        return make_libopus(parameters, head);
    }
    Ok(Box::new(OpusDecoder::new(&head)?))
}

/// The identification header, or the one that mono or stereo without a header has.
fn head_of(parameters: &CodecParameters) -> Result<OpusHead, DecodeError> {
    let malformed =
        || DecodeError::Malformed("Opus with an identification header that contradicts itself".into());
    match parameters.extra_data() {
        Some(head) => OpusHead::parse(head).ok_or_else(malformed),
        None => {
            let channels = parameters.layout.channels().clamp(1, 2) as u8;
            Ok(OpusHead {
                channels,
                pre_skip: 0,
                gain: 0,
                family: 0,
                streams: 1,
                coupled: channels - 1,
                mapping: (0..channels).collect(),
            })
        }
    }
}

/// For each channel in the order of the layout's mask, which one of the stream it is: mapping families 0 and 1 have the
/// order of Vorbis, others none.
fn order_of(head: &OpusHead) -> (ChannelLayout, &'static [u8]) {
    const VORBIS: [&[u8]; 9] = [
        &[],
        &[0],
        &[0, 1],
        &[0, 2, 1],
        &[0, 1, 2, 3],
        &[0, 2, 1, 3, 4],
        &[0, 2, 1, 5, 3, 4],
        &[0, 2, 1, 6, 5, 3, 4],
        &[0, 2, 1, 7, 5, 6, 3, 4],
    ];
    let channels = head.channels.into();
    match VORBIS.get(usize::from(head.channels)).filter(|_| head.family < 2) {
        Some(order) => (ChannelLayout::of_count(channels), order),
        None => (ChannelLayout::without_positions(channels), &[]),
    }
}

/// The factor of a gain in 1/256 dB.
fn factor(gain: i16) -> f32 {
    10.0_f32.powf(f32::from(gain) / (20.0 * 256.0))
}

struct OpusDecoder {
    state: State,
    layout: ChannelLayout,
    gain: f32,
    /// Interleaved frames of the last packet.
    samples: Vec<f32>,
}

impl OpusDecoder {
    fn new(head: &OpusHead) -> Result<Self, DecodeError> {
        let (layout, order) = order_of(head);
        let mapping = match order {
            [] => head.mapping.clone(),
            order => order.iter().map(|&channel| head.mapping[usize::from(channel)]).collect(),
        };
        let state = State::new(head.streams, head.coupled, mapping)
            .ok_or_else(|| DecodeError::Malformed("Opus with an impossible channel mapping".into()))?;
        Ok(Self { state, layout, gain: factor(head.gain), samples: Vec::new() })
    }
}

impl PacketDecoder for OpusDecoder {
    fn decode(&mut self, packet: &[u8], _frames: u64) -> Result<(), PacketError> {
        let frames = opus::packet_frames(packet).min(MAX_FRAMES) as usize;
        let channels = usize::from(self.layout.channels());
        self.samples.clear();
        if frames == 0 {
            return Err(PacketError::Damaged("an Opus packet without frames".into()));
        }
        self.samples.resize(frames * channels, 0.0);
        match self.state.decode(packet, &mut self.samples, frames) {
            Ok(decoded) => self.samples.truncate(decoded * channels),
            Err(reason) => {
                self.samples.clear();
                return Err(PacketError::Damaged(reason.into()));
            }
        }
        // The decoder exceeds full scale where the encoder's input was near it.
        let gain = self.gain;
        self.samples.iter_mut().for_each(|sample| *sample = (*sample * gain).clamp(-1.0, 1.0));
        Ok(())
    }

    fn decoded(&self) -> Decoded<'_> {
        Decoded::interleaved(&self.samples, opus::RATE, self.layout)
    }

    fn reset(&mut self) {
        self.state.reset();
    }
}

/// The decoder's memory.
struct State {
    decoder: std::ptr::NonNull<unsafe_libopus::OpusMSDecoder>,
    streams: u8,
    coupled: u8,
    mapping: Vec<u8>,
}

#[allow(unsafe_code, reason = "the decoder is a translation of C that is called as C is")]
mod raw {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::ptr::NonNull;

    use unsafe_libopus::{
        OPUS_OK, opus_multistream_decode_float, opus_multistream_decoder_create,
        opus_multistream_decoder_destroy, opus_multistream_decoder_init,
    };

    use super::State;
    use crate::headers::opus::RATE;

    // SAFETY: the memory is reached through this value alone, which gives it out only by `&mut`.
    unsafe impl Send for State {}
    // SAFETY: no method reads the memory through `&State`.
    unsafe impl Sync for State {}

    impl State {
        pub(super) fn new(streams: u8, coupled: u8, mapping: Vec<u8>) -> Option<Self> {
            let mut error = OPUS_OK;
            // SAFETY: `mapping` has as many bytes as the call is told of channels, and both pointers outlive the call.
            let decoder = unsafe {
                opus_multistream_decoder_create(
                    RATE as i32,
                    mapping.len() as i32,
                    streams.into(),
                    coupled.into(),
                    mapping.as_ptr(),
                    &mut error,
                )
            };
            let decoder = NonNull::new(decoder).filter(|_| error == OPUS_OK)?;
            Some(Self { decoder, streams, coupled, mapping })
        }

        /// Decodes a packet to interleaved samples: at most `frames` frames, for which `out` has room. Gives their number.
        pub(super) fn decode(
            &mut self,
            packet: &[u8],
            out: &mut [f32],
            frames: usize,
        ) -> Result<usize, &'static str> {
            assert!(out.len() >= frames * self.mapping.len(), "room for every frame");
            let len = i32::try_from(packet.len()).map_err(|_| "an Opus packet of gigabytes")?;
            let decoder = self.decoder.as_ptr();
            let decode = || {
                // SAFETY: the decoder was initialised and is borrowed mutably; `packet` has `len` bytes; `out` has room for
                // `frames` frames of as many channels as the decoder was made for.
                unsafe {
                    opus_multistream_decode_float(
                        decoder,
                        packet.as_ptr(),
                        len,
                        out.as_mut_ptr(),
                        frames as i32,
                        0,
                    )
                }
            };
            match catch_unwind(AssertUnwindSafe(decode)) {
                Ok(decoded @ 0..) => Ok((decoded as usize).min(frames)),
                Ok(_) => Err("an invalid Opus packet"),
                Err(_) => {
                    self.reset();
                    Err("the Opus decoder panicked")
                }
            }
        }

        pub(super) fn reset(&mut self) {
            // SAFETY: the memory was allocated for the same numbers of streams, and `mapping` has a byte for each channel.
            unsafe {
                opus_multistream_decoder_init(
                    self.decoder.as_ptr(),
                    RATE as i32,
                    self.mapping.len() as i32,
                    self.streams.into(),
                    self.coupled.into(),
                    self.mapping.as_ptr(),
                );
            }
        }
    }

    impl Drop for State {
        fn drop(&mut self) {
            // SAFETY: the memory came from `opus_multistream_decoder_create`, and this is its last use.
            unsafe { opus_multistream_decoder_destroy(self.decoder.as_ptr()) }
        }
    }
}

/// The C library, for mono and stereo.
#[cfg(feature = "libopus")]
fn make_libopus(parameters: &CodecParameters, head: OpusHead) -> Result<Box<dyn PacketDecoder>, DecodeError> {
    use ::symphonia::core::codecs::registry::RegisterableAudioDecoder;

    use crate::codecs::symphonia::SymphoniaDecoder;

    /// Gain and clamp around the adapter.
    struct LibOpus {
        decoder: SymphoniaDecoder,
        gain: f32,
        samples: Vec<f32>,
        layout: ChannelLayout,
    }

    impl PacketDecoder for LibOpus {
        fn decode(&mut self, packet: &[u8], frames: u64) -> Result<(), PacketError> {
            self.samples.clear();
            self.decoder.decode(packet, frames)?;
            let decoded = self.decoder.decoded();
            decoded.append_to(0..decoded.frames(), &mut self.samples);
            let gain = self.gain;
            self.samples.iter_mut().for_each(|sample| *sample = (*sample * gain).clamp(-1.0, 1.0));
            Ok(())
        }

        fn decoded(&self) -> Decoded<'_> {
            Decoded::interleaved(&self.samples, opus::RATE, self.layout)
        }

        fn reset(&mut self) {
            self.decoder.reset();
        }
    }

    let layout = ChannelLayout::of_count(head.channels.into());
    // With its head the adapter would drop the pre-skip itself, and once more than the pipeline does.
    let mut bare = CodecParameters { extra_data: None, theirs: None, ..parameters.clone() };
    bare.layout = layout;
    let decoder = SymphoniaDecoder::with(&bare, |parameters, options| {
        symphonia_adapter_libopus::OpusDecoder::try_registry_new(parameters, options)
    })?;
    Ok(Box::new(LibOpus { decoder, gain: factor(head.gain), samples: Vec::new(), layout }))
}
