//! Noise whose values depend on the place in the stream alone, so that a seek meets the same noise.

/// The noise of one channel in one packet.
///
/// The specification leaves the generator open (ISO/IEC 14496-3, 4.6.13). This one is SplitMix64 over a
/// seed made of the packet's position, the channel (or the channel pair) and the spectral line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    own: u64,
    pair: u64,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Noise {
    /// `channel` counts from 0. The second channel of a pair gives its first channel as `pair`.
    pub(crate) fn new(position: u64, channel: usize, pair: usize) -> Self {
        let seed = |channel: usize| mix(mix(position.wrapping_add(STEP)) ^ (channel as u64 + 1));
        Self { own: seed(channel), pair: seed(pair) }
    }

    /// Writes values between -1 and 1 for the lines from `first` on.
    pub(crate) fn fill(&self, first: usize, correlated: bool, lines: &mut [f32]) {
        let seed = if correlated { self.pair } else { self.own };
        let mut state = seed.wrapping_add(STEP.wrapping_mul(first as u64));
        for line in lines {
            state = state.wrapping_add(STEP);
            // Never 0, so that no band is without energy.
            *line = ((mix(state) >> 40) as i32 - (1 << 23)) as f32 + 0.5;
            *line *= 1.0 / (1 << 23) as f32;
        }
    }
}
