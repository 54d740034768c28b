//! Where channels belong, and how one layout becomes another.

use std::fmt;

/// Speaker positions, as bits of a `WAVEFORMATEXTENSIBLE` channel mask.
mod bit {
    pub(super) const FL: u32 = 1;
    pub(super) const FR: u32 = 1 << 1;
    pub(super) const FC: u32 = 1 << 2;
    pub(super) const LFE: u32 = 1 << 3;
    pub(super) const BL: u32 = 1 << 4;
    pub(super) const BR: u32 = 1 << 5;
    pub(super) const FLC: u32 = 1 << 6;
    pub(super) const FRC: u32 = 1 << 7;
    pub(super) const BC: u32 = 1 << 8;
    pub(super) const SL: u32 = 1 << 9;
    pub(super) const SR: u32 = 1 << 10;
    pub(super) const TC: u32 = 1 << 11;
    pub(super) const TFL: u32 = 1 << 12;
    pub(super) const TFC: u32 = 1 << 13;
    pub(super) const TFR: u32 = 1 << 14;
    pub(super) const TBL: u32 = 1 << 15;
    pub(super) const TBC: u32 = 1 << 16;
    pub(super) const TBR: u32 = 1 << 17;
    pub(super) const ALL: u32 = (1 << 18) - 1;
}
use bit::*;

/// Names of the positions, lowest bit first.
const NAMES: [&str; 18] = [
    "FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL",
    "TBC", "TBR",
];

/// Which loudspeaker each channel of interleaved PCM belongs to.
///
/// Channels stand in the order of the bits of [`mask`](Self::mask), which are those of `WAVEFORMATEXTENSIBLE`: front left,
/// front right, front centre, low frequencies, back left, back right, … whatever the order inside of the codec. Mask 0
/// means that the positions are unknown.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelLayout {
    channels: u16,
    mask: u32,
}

impl ChannelLayout {
    /// One channel: front centre.
    pub const MONO: Self = Self { channels: 1, mask: FC };
    /// Front left and front right.
    pub const STEREO: Self = Self { channels: 2, mask: FL | FR };
    /// Front left, right and centre, low frequencies, back left and right.
    pub const SURROUND_5_1: Self = Self { channels: 6, mask: FL | FR | FC | LFE | BL | BR };
    /// As 5.1, and side left and right.
    pub const SURROUND_7_1: Self = Self { channels: 8, mask: FL | FR | FC | LFE | BL | BR | SL | SR };

    /// The usual layout of so many channels: mono, stereo, 3.0, quadrophony, 5.0, 5.1, 6.1, 7.1. More have no positions.
    #[must_use]
    pub const fn of_count(channels: u16) -> Self {
        let mask = match channels {
            1 => FC,
            2 => FL | FR,
            3 => FL | FR | FC,
            4 => FL | FR | BL | BR,
            5 => FL | FR | FC | BL | BR,
            6 => FL | FR | FC | LFE | BL | BR,
            7 => FL | FR | FC | LFE | BC | SL | SR,
            8 => FL | FR | FC | LFE | BL | BR | SL | SR,
            _ => 0,
        };
        Self { channels, mask }
    }

    /// So many channels whose positions are unknown.
    #[must_use]
    pub const fn without_positions(channels: u16) -> Self {
        Self { channels, mask: 0 }
    }

    /// The layout of a `WAVEFORMATEXTENSIBLE` channel mask for so many channels; the [usual one](Self::of_count) where the mask
    /// has another number of positions or unknown ones. One channel is mono wherever it stands.
    #[must_use]
    pub const fn from_mask(channels: u16, mask: u32) -> Self {
        if channels == 1 || mask.count_ones() != channels as u32 || mask & !ALL != 0 {
            Self::of_count(channels)
        } else {
            Self { channels, mask }
        }
    }

    /// Number of channels.
    #[must_use]
    pub const fn channels(self) -> u16 {
        self.channels
    }

    /// The positions, as bits of a `WAVEFORMATEXTENSIBLE` channel mask; 0: unknown.
    #[must_use]
    pub const fn mask(self) -> u32 {
        self.mask
    }

    fn has(self, positions: u32) -> bool {
        self.mask & positions == positions
    }

    /// The channel at a position.
    fn index(self, position: u32) -> Option<usize> {
        self.has(position).then(|| (self.mask & (position - 1)).count_ones() as usize)
    }
}

impl fmt::Display for ChannelLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MONO => return f.write_str("mono"),
            Self::STEREO => return f.write_str("stereo"),
            Self::SURROUND_5_1 => return f.write_str("5.1"),
            Self::SURROUND_7_1 => return f.write_str("7.1"),
            _ if self.mask == 0 => return write!(f, "{} channels", self.channels),
            _ => {}
        }
        let names = NAMES.iter().enumerate().filter(|(index, _)| self.mask >> index & 1 == 1);
        for (count, (_, name)) in names.enumerate() {
            write!(f, "{}{name}", if count > 0 { "+" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for ChannelLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelLayout({self})")
    }
}

/// −3 dB.
const HALF_POWER: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// Makes interleaved frames of one layout out of those of another.
///
/// A position that both have is copied. One that the target lacks goes to its neighbours with the coefficients of
/// ITU-R BS.775-4, table 2: the centre to left and right at −3 dB, each surround channel to its side at −3 dB, low
/// frequencies nowhere. Mono is half the sum of the stereo downmix; from mono, front left and right get a copy each. The
/// sum is not scaled down: it may exceed full scale, which `f32` keeps.
#[derive(Clone, Debug)]
pub struct Mixer {
    from: ChannelLayout,
    to: ChannelLayout,
    /// One row of `from.channels()` coefficients for each target channel.
    rows: Vec<f32>,
    frame: Vec<f32>,
}

impl Mixer {
    /// A mixer from one layout to another.
    #[must_use]
    pub fn new(from: ChannelLayout, to: ChannelLayout) -> Self {
        let (inputs, outputs) = (usize::from(from.channels), usize::from(to.channels));
        let rows = if to == ChannelLayout::MONO && inputs > 1 {
            let stereo = rows(from, ChannelLayout::STEREO);
            let (left, right) = stereo.split_at(inputs);
            left.iter().zip(right).map(|(left, right)| (left + right) * 0.5).collect()
        } else {
            rows(from, to)
        };
        debug_assert_eq!(rows.len(), inputs * outputs);
        Self { from, to, rows, frame: vec![0.0; inputs] }
    }

    /// Whether it makes `to` of `from`.
    #[must_use]
    pub fn fits(&self, from: ChannelLayout, to: ChannelLayout) -> bool {
        (self.from, self.to) == (from, to)
    }

    /// Mixes whole frames in place.
    pub fn mix(&mut self, samples: &mut Vec<f32>) {
        let (inputs, outputs) = (usize::from(self.from.channels), usize::from(self.to.channels));
        if self.from == self.to || inputs == 0 || outputs == 0 {
            return;
        }
        let frames = samples.len() / inputs;
        // Forwards where frames shrink, backwards where they grow: no frame is overwritten before it is read.
        if outputs <= inputs {
            (0..frames).for_each(|index| self.mix_frame(samples, index, inputs, outputs));
            samples.truncate(frames * outputs);
        } else {
            samples.resize(frames * outputs, 0.0);
            (0..frames).rev().for_each(|index| self.mix_frame(samples, index, inputs, outputs));
        }
    }

    fn mix_frame(&mut self, samples: &mut [f32], index: usize, inputs: usize, outputs: usize) {
        self.frame.copy_from_slice(&samples[index * inputs..(index + 1) * inputs]);
        let target = &mut samples[index * outputs..(index + 1) * outputs];
        for (out, row) in target.iter_mut().zip(self.rows.chunks_exact(inputs)) {
            *out = row.iter().zip(&self.frame).map(|(coefficient, sample)| coefficient * sample).sum();
        }
    }
}

fn rows(from: ChannelLayout, to: ChannelLayout) -> Vec<f32> {
    let (inputs, outputs) = (usize::from(from.channels), usize::from(to.channels));
    let mut rows = vec![0.0; inputs * outputs];
    if from.mask == 0 || to.mask == 0 {
        spread_unknown(&mut rows, inputs, outputs);
        return rows;
    }
    let positions = (0..NAMES.len()).map(|index| 1 << index).filter(|&position| from.has(position));
    for (input, position) in positions.enumerate() {
        // A second pair of surround channels joins the first at −3 dB.
        for (target, gain) in shares(position, from, to) {
            if let Some(output) = to.index(target) {
                rows[output * inputs + input] += gain;
            }
        }
    }
    rows
}

/// Without positions: channels are copied as far as there are some, and those beyond go to the others in turn.
fn spread_unknown(rows: &mut [f32], inputs: usize, outputs: usize) {
    if inputs == 1 {
        rows.iter_mut().take(2).for_each(|coefficient| *coefficient = 1.0);
        return;
    }
    let gain = if inputs <= outputs { 1.0 } else { 1.0 / inputs.div_ceil(outputs) as f32 };
    for input in 0..inputs {
        rows[input % outputs * inputs + input] = gain;
    }
}

/// Where the sound of one position goes, and how loud.
fn shares(position: u32, from: ChannelLayout, to: ChannelLayout) -> Vec<(u32, f32)> {
    if to.has(position) {
        return vec![(position, 1.0)];
    }
    let scaled = |targets: &[u32], gain: f32| -> Vec<(u32, f32)> {
        targets
            .iter()
            .flat_map(|&target| shares(target, from, to))
            .map(|(target, share)| (target, share * gain))
            .collect()
    };
    let pair = |other: u32, both: u32| {
        // The other pair of surround channels, at −3 dB if it has sound already.
        to.has(both).then(|| scaled(&[other], if from.has(both) { HALF_POWER } else { 1.0 }))
    };
    let front = |side: u32, gain: f32| scaled(&[side], gain);
    match position {
        FC if from == ChannelLayout::MONO => vec![(FL, 1.0), (FR, 1.0)],
        FC => vec![(FL, HALF_POWER), (FR, HALF_POWER)],
        FL | FR => vec![(FC, HALF_POWER)],
        BL => pair(SL, SL | SR).or_else(|| back_centre(to)).unwrap_or_else(|| front(FL, HALF_POWER)),
        BR => pair(SR, SL | SR).or_else(|| back_centre(to)).unwrap_or_else(|| front(FR, HALF_POWER)),
        SL => pair(BL, BL | BR).or_else(|| back_centre(to)).unwrap_or_else(|| front(FL, HALF_POWER)),
        SR => pair(BR, BL | BR).or_else(|| back_centre(to)).unwrap_or_else(|| front(FR, HALF_POWER)),
        BC if to.has(BL | BR) => vec![(BL, HALF_POWER), (BR, HALF_POWER)],
        BC if to.has(SL | SR) => vec![(SL, HALF_POWER), (SR, HALF_POWER)],
        BC => vec![(FL, 0.5), (FR, 0.5)],
        FLC => scaled(&[FL], 1.0),
        FRC => scaled(&[FR], 1.0),
        TFL => scaled(&[FL], HALF_POWER),
        TFR => scaled(&[FR], HALF_POWER),
        TFC => scaled(&[FC], HALF_POWER),
        TBL => scaled(&[BL], HALF_POWER),
        TBR => scaled(&[BR], HALF_POWER),
        TBC => scaled(&[BC], HALF_POWER),
        TC => vec![(FL, 0.5), (FR, 0.5)],
        // Low frequencies are for a loudspeaker of their own.
        _ => Vec::new(),
    }
}

fn back_centre(to: ChannelLayout) -> Option<Vec<(u32, f32)>> {
    to.has(BC).then(|| vec![(BC, HALF_POWER)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(from: ChannelLayout, to: ChannelLayout, frame: &[f32]) -> Vec<f32> {
        let mut samples = [frame, frame].concat();
        Mixer::new(from, to).mix(&mut samples);
        let half = samples.len() / 2;
        assert_eq!(samples[..half], samples[half..]);
        samples.truncate(half);
        samples
    }

    #[test]
    fn bs775_from_five_channels_to_stereo() {
        let frame = [0.1, 0.2, 0.4, 9.0, 0.01, 0.02];
        let stereo = mixed(ChannelLayout::SURROUND_5_1, ChannelLayout::STEREO, &frame);
        let left = 0.1 + HALF_POWER * 0.4 + HALF_POWER * 0.01;
        let right = 0.2 + HALF_POWER * 0.4 + HALF_POWER * 0.02;
        assert!((stereo[0] - left).abs() < 1e-6 && (stereo[1] - right).abs() < 1e-6, "{stereo:?}");
        let mono = mixed(ChannelLayout::SURROUND_5_1, ChannelLayout::MONO, &frame);
        assert!((mono[0] - (left + right) / 2.0).abs() < 1e-6, "{mono:?}");
    }

    #[test]
    fn mono_and_stereo_are_copies_and_means() {
        assert_eq!(mixed(ChannelLayout::STEREO, ChannelLayout::MONO, &[0.25, 0.75]), [0.5]);
        assert_eq!(mixed(ChannelLayout::MONO, ChannelLayout::STEREO, &[0.5]), [0.5, 0.5]);
        let surround = mixed(ChannelLayout::MONO, ChannelLayout::SURROUND_5_1, &[0.5]);
        assert_eq!(surround, [0.0, 0.0, 0.5, 0.0, 0.0, 0.0]);
        let surround = mixed(ChannelLayout::STEREO, ChannelLayout::SURROUND_5_1, &[0.5, 0.25]);
        assert_eq!(surround, [0.5, 0.25, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn side_and_back_stand_in_for_each_other() {
        let side = ChannelLayout::from_mask(6, FL | FR | FC | LFE | SL | SR);
        let frame = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(mixed(side, ChannelLayout::SURROUND_5_1, &frame), frame);
        let seven = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        let five = mixed(ChannelLayout::SURROUND_7_1, ChannelLayout::SURROUND_5_1, &seven);
        assert!((five[4] - 1.0 - HALF_POWER).abs() < 1e-6 && five[5] == 0.0, "{five:?}");
    }

    /// Every known position of every layout is heard in stereo and mono, low frequencies excepted.
    #[test]
    fn every_position_but_low_frequencies_is_heard() {
        for index in (0..NAMES.len()).filter(|index| 1 << index != LFE) {
            let mask = (FL | FR | 1 << index) | if index < 2 { FC } else { 0 };
            let from = ChannelLayout::from_mask(3, mask);
            let channel = from.index(1 << index).unwrap();
            let frame: Vec<f32> = (0..3).map(|at| if at == channel { 1.0 } else { 0.0 }).collect();
            for to in [ChannelLayout::STEREO, ChannelLayout::MONO] {
                let sum: f32 = mixed(from, to, &frame).iter().sum();
                assert!(sum > 0.2, "{} in {to}: {sum}", NAMES[index]);
            }
        }
    }

    #[test]
    fn unknown_positions_lose_no_channel() {
        let twelve = ChannelLayout::of_count(12);
        assert_eq!(twelve.to_string(), "12 channels");
        for channel in 0..12 {
            let frame: Vec<f32> = (0..12).map(|at| if at == channel { 1.0 } else { 0.0 }).collect();
            assert!(mixed(twelve, ChannelLayout::STEREO, &frame).iter().sum::<f32>() > 0.1);
            assert!(mixed(twelve, ChannelLayout::MONO, &frame)[0] > 0.05);
        }
    }

    #[test]
    fn masks_that_do_not_fit_are_replaced() {
        assert_eq!(ChannelLayout::from_mask(2, FC), ChannelLayout::STEREO);
        assert_eq!(ChannelLayout::from_mask(1, FL), ChannelLayout::MONO);
        assert_eq!(ChannelLayout::from_mask(2, FL | FC).to_string(), "FL+FC");
    }
}
