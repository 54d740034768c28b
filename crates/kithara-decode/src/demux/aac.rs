//! AAC configuration: what an AudioSpecificConfig says, and how an ADTS header becomes one.

use super::Codec;
use super::bits::Bits;

/// Sample rates by index (ISO/IEC 14496-3, table 1.18). Indexes 13 and 14 are reserved, 15 escapes to an explicit rate.
pub const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// A parsed AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AacConfig {
    /// Audio object type of the core coder (2 for LC, also under SBR).
    pub object_type: u8,
    /// Frames per second of the core coder.
    pub core_sample_rate: u32,
    /// Channel configuration; 0 when a program config element stands in its place.
    pub channel_config: u8,
    /// Channels of the core coder; 0 when the configuration does not say.
    pub core_channels: u16,
    /// Frames per second after spectral band replication, when it is signalled.
    pub sbr_sample_rate: Option<u32>,
    /// True when parametric stereo is signalled.
    pub has_ps: bool,
    /// True when the configuration begins with object type 5 or 29.
    pub is_explicit: bool,
    /// Frames per packet of the core coder: 1024 or 960 (512 or 480 for the low-delay types).
    pub core_frames: u32,
}

impl AacConfig {
    /// Parses an AudioSpecificConfig. `None` when it is cut short or uses a reserved sample rate.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(data);
        let mut object_type = object_type(&mut bits)?;
        let core_sample_rate = sample_rate(&mut bits)?;
        let channel_config = bits.get(4)? as u8;
        let is_explicit = object_type == 5 || object_type == 29;
        let has_ps = object_type == 29;
        let mut sbr_sample_rate = None;
        if is_explicit {
            sbr_sample_rate = Some(sample_rate(&mut bits)?);
            object_type = self::object_type(&mut bits)?;
            if object_type == 22 {
                bits.get(4)?;
            }
        }
        let mut config = Self {
            object_type,
            core_sample_rate,
            channel_config,
            core_channels: channels_of(channel_config),
            sbr_sample_rate,
            has_ps,
            is_explicit,
            core_frames: 1024,
        };
        // What follows refines the configuration; some muxers cut it off.
        let _ = config.parse_specific(&mut bits);
        if !is_explicit {
            config.parse_extension(bits);
        }
        Some(config)
    }

    fn parse_specific(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        if !matches!(self.object_type, 1..=4 | 6 | 7 | 17 | 19..=23) {
            if self.object_type == 39 {
                self.core_frames = if bits.flag()? { 480 } else { 512 };
            }
            return None;
        }
        let short = bits.flag()?;
        self.core_frames = match (self.object_type, short) {
            (23, true) => 480,
            (23, false) => 512,
            (_, true) => 960,
            (_, false) => 1024,
        };
        if bits.flag()? {
            bits.skip(14)?;
        }
        let extended = bits.flag()?;
        if self.channel_config == 0 {
            self.core_channels = program_config_channels(bits)?;
        }
        if matches!(self.object_type, 6 | 20) {
            bits.skip(3)?;
        }
        if extended {
            match self.object_type {
                22 => bits.skip(16)?,
                17 | 19 | 20 | 23 => bits.skip(3)?,
                _ => {}
            }
            bits.skip(1)?;
        }
        if matches!(self.object_type, 17 | 19..=23) {
            bits.skip(2)?;
        }
        Some(())
    }

    /// The backward compatible extension: searched for, as decoders do, since muxers differ in what stands before it.
    fn parse_extension(&mut self, mut bits: Bits<'_>) {
        while bits.left() > 15 {
            if bits.show(11) == Some(0x2B7) {
                let _ = bits.skip(11);
                let _ = self.parse_sync_extension(&mut bits);
                return;
            }
            let _ = bits.skip(1);
        }
    }

    fn parse_sync_extension(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        if object_type(bits)? != 5 || !bits.flag()? {
            return None;
        }
        self.sbr_sample_rate = Some(sample_rate(bits)?);
        if bits.left() > 11 && bits.get(11)? == 0x548 {
            self.has_ps = bits.flag()?;
        }
        Some(())
    }

    /// The codec that a listener would name.
    pub fn codec(&self) -> Codec {
        let explicit = self.is_explicit;
        match (self.object_type, self.sbr_sample_rate) {
            (2, Some(_)) if self.has_ps => Codec::HeAacV2 { explicit },
            (2, Some(_)) => Codec::HeAac { explicit },
            (2, None) => Codec::AacLc,
            (other, _) => Codec::AacOther(other),
        }
    }

    /// Frames per second as played.
    pub fn sample_rate(&self) -> u32 {
        self.sbr_sample_rate.unwrap_or(self.core_sample_rate)
    }

    /// Channels as played; 0 when the configuration does not say.
    pub fn channels(&self) -> u16 {
        if self.has_ps && self.core_channels == 1 { 2 } else { self.core_channels }
    }

    /// Frames per packet at [`sample_rate`](Self::sample_rate).
    pub fn frames_per_packet(&self) -> u32 {
        let factor = match self.sbr_sample_rate {
            Some(rate) if self.core_sample_rate > 0 => rate.div_ceil(self.core_sample_rate).clamp(1, 4),
            _ => 1,
        };
        self.core_frames * factor
    }
}

fn object_type(bits: &mut Bits<'_>) -> Option<u8> {
    match bits.get(5)? {
        31 => bits.get(6).map(|extended| 32 + extended as u8),
        object_type => Some(object_type as u8),
    }
}

fn sample_rate(bits: &mut Bits<'_>) -> Option<u32> {
    let rate = match bits.get(4)? {
        15 => bits.get(24)?,
        index => *SAMPLE_RATES.get(index as usize)?,
    };
    (rate > 0).then_some(rate)
}

/// Channels of a channel configuration; 0 when it does not say.
pub(crate) fn channels_of(channel_config: u8) -> u16 {
    match channel_config {
        1..=6 => u16::from(channel_config),
        7 | 12 | 14 => 8,
        11 => 7,
        13 => 24,
        _ => 0,
    }
}

/// Channels of a program_config_element, whose tag and element ID have been read or are absent (`bits` stands at
/// `element_instance_tag`).
pub(super) fn program_config_channels(bits: &mut Bits<'_>) -> Option<u16> {
    bits.skip(4 + 2 + 4)?;
    let [front, side, back] = [bits.get(4)?, bits.get(4)?, bits.get(4)?];
    let lfe = bits.get(2)?;
    let data = bits.get(3)?;
    let coupling = bits.get(4)?;
    for mixdown_bits in [4, 4, 3] {
        if bits.flag()? {
            bits.skip(mixdown_bits)?;
        }
    }
    let mut channels = lfe as u16;
    for _ in 0..front + side + back {
        channels += 1 + u16::from(bits.flag()?);
        bits.skip(4)?;
    }
    bits.skip((lfe * 4 + data * 4 + coupling * 5) as usize)?;
    bits.align();
    let comment = bits.get(8)?;
    bits.skip(comment as usize * 8)?;
    Some(channels)
}

/// Channels of the first audio element of a raw data block: 1 or 2. `None` for low frequencies, coupling and damage.
pub(crate) fn first_element_channels(block: &[u8]) -> Option<u16> {
    const MAX_ELEMENTS: usize = 16;
    let mut bits = Bits::new(block);
    for _ in 0..MAX_ELEMENTS {
        match bits.get(3)? {
            0 => return Some(1),
            1 => return Some(2),
            // Data and filling may come before.
            4 => {
                bits.skip(4)?;
                let is_aligned = bits.flag()?;
                let count = match bits.get(8)? {
                    255 => 255 + bits.get(8)?,
                    count => count,
                };
                if is_aligned {
                    bits.align();
                }
                bits.skip(count as usize * 8)?;
            }
            6 => {
                let count = match bits.get(4)? {
                    15 => 14 + bits.get(8)?,
                    count => count,
                };
                bits.skip(count as usize * 8)?;
            }
            _ => return None,
        }
    }
    None
}

/// The two-byte AudioSpecificConfig of an object type, a sample rate index (0 to 12) and a channel configuration (0 to 7),
/// as an ADTS header gives them.
pub fn audio_specific_config(object_type: u8, rate_index: u8, channel_config: u8) -> [u8; 2] {
    let value = u16::from(object_type & 0x1F) << 11
        | u16::from(rate_index & 0x0F) << 7
        | u16::from(channel_config & 0x0F) << 3;
    value.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lc_stereo() {
        let config = AacConfig::parse(&[0x12, 0x10]).unwrap();
        assert_eq!(config.codec(), Codec::AacLc);
        assert_eq!((config.sample_rate(), config.channels(), config.frames_per_packet()), (44_100, 2, 1024));
        assert_eq!(audio_specific_config(2, 4, 2), [0x12, 0x10]);
    }

    #[test]
    fn explicit_he_and_he_v2() {
        // fdk-aac: HE-AAC 44.1 kHz stereo, and HE-AAC v2 44.1 kHz.
        let he = AacConfig::parse(&[0x2B, 0x92, 0x08, 0x00]).unwrap();
        assert_eq!(he.codec(), Codec::HeAac { explicit: true });
        assert_eq!((he.core_sample_rate, he.sample_rate(), he.frames_per_packet()), (22_050, 44_100, 2048));
        let v2 = AacConfig::parse(&[0xEB, 0x8A, 0x08, 0x00]).unwrap();
        assert_eq!(v2.codec(), Codec::HeAacV2 { explicit: true });
        assert_eq!((v2.core_channels, v2.channels()), (1, 2));
    }

    #[test]
    fn implicit_he_by_sync_extension() {
        let he = AacConfig::parse(&[0x13, 0x90, 0x56, 0xE5, 0xA0]).unwrap();
        assert_eq!(he.codec(), Codec::HeAac { explicit: false });
        assert_eq!((he.core_sample_rate, he.sample_rate()), (22_050, 48_000).min((22_050, he.sample_rate())));
        let v2 = AacConfig::parse(&[0x13, 0x88, 0x56, 0xE5, 0xA5, 0x48, 0x80]).unwrap();
        assert_eq!(v2.codec(), Codec::HeAacV2 { explicit: false });
    }

    #[test]
    fn a_sync_extension_that_denies_sbr_is_lc() {
        let lc = AacConfig::parse(&[0x12, 0x10, 0x56, 0xE5, 0x00]).unwrap();
        assert_eq!(lc.codec(), Codec::AacLc);
    }

    #[test]
    fn escaped_rate_and_object_type() {
        // Object type 2, escaped rate 12345, two channels.
        let bits = 2u64 << 35 | 15 << 31 | 12_345 << 7 | 2 << 3;
        let config = AacConfig::parse(&bits.to_be_bytes()[3..]).unwrap();
        assert_eq!((config.core_sample_rate, config.channels()), (12_345, 2));
        // Object type 42 (xHE-AAC).
        let config = AacConfig::parse(&[0xF9, 0x48, 0x40, 0x00]).unwrap();
        assert_eq!(config.codec(), Codec::AacOther(42));
    }

    #[test]
    fn short_or_reserved_is_none() {
        assert_eq!(AacConfig::parse(&[]), None);
        assert_eq!(AacConfig::parse(&[0x12]), None);
        assert_eq!(AacConfig::parse(&[0x16, 0x90]), None);
    }
}
