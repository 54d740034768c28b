//! The identification header of Opus (RFC 7845, 5.1), and the lengths of its packets (RFC 6716, 3.1).

/// Frames per second of whatever Opus decodes to here.
pub(crate) const RATE: u32 = 48_000;

/// `OpusHead`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpusHead {
    pub(crate) channels: u8,
    /// Frames at 48 kHz that the decoder gives before the first presented one.
    pub(crate) pre_skip: u16,
    /// Gain to apply, in 1/256 dB.
    pub(crate) gain: i16,
    /// 0: mono or stereo; 1: Vorbis order, up to 8 channels; 255: no defined order.
    pub(crate) family: u8,
    pub(crate) streams: u8,
    pub(crate) coupled: u8,
    /// Which decoded channel each output channel is; 255 is silence.
    pub(crate) mapping: Vec<u8>,
}

impl OpusHead {
    /// Reads an `OpusHead`. `None` when it is cut short, of an unknown major version, or contradicts itself.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let fields = data.strip_prefix(b"OpusHead")?;
        let &[version, channels, p0, p1, _, _, _, _, g0, g1, family, ..] = fields else { return None };
        if version >> 4 != 0 || channels == 0 {
            return None;
        }
        let (pre_skip, gain) = (u16::from_le_bytes([p0, p1]), i16::from_le_bytes([g0, g1]));
        let (streams, coupled, mapping) = if family == 0 {
            (channels <= 2).then(|| (1, channels - 1, (0..channels).collect()))?
        } else {
            let (&[streams, coupled], rest) = fields.get(11..)?.split_first_chunk::<2>()?;
            (streams, coupled, rest.get(..usize::from(channels))?.to_vec())
        };
        let decoded = u16::from(streams) + u16::from(coupled);
        let is_sound = streams > 0
            && coupled <= streams
            && decoded <= 255
            && mapping.iter().all(|&index| index == 255 || u16::from(index) < decoded);
        is_sound.then_some(Self { channels, pre_skip, gain, family, streams, coupled, mapping })
    }
}

/// Frames at 48 kHz that a packet decodes to; 0 for an empty one.
pub(crate) fn packet_frames(packet: &[u8]) -> u64 {
    let Some(&toc) = packet.first() else { return 0 };
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    match toc & 3 {
        0 => frame,
        1 | 2 => 2 * frame,
        _ => frame * packet.get(1).map_or(0, |&count| u64::from(count & 63)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_every_family() {
        let stereo = OpusHead::parse(b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\x01\0").unwrap();
        assert_eq!((stereo.channels, stereo.pre_skip, stereo.gain, stereo.coupled), (2, 312, 256, 1));
        assert_eq!(stereo.mapping, [0, 1]);
        let surround = b"OpusHead\x01\x06\x38\x01\x80\xBB\0\0\0\0\x01\x04\x02\0\x04\x01\x02\x03\x05";
        let surround = OpusHead::parse(surround).unwrap();
        assert_eq!((surround.streams, surround.coupled), (4, 2));
        assert_eq!(surround.mapping, [0, 4, 1, 2, 3, 5]);
    }

    #[test]
    fn contradictions_are_refused() {
        assert_eq!(OpusHead::parse(b"OpusHead\x01\x03\x38\x01\x80\xBB\0\0\0\0\0"), None);
        assert_eq!(OpusHead::parse(b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\x01\x01\x02\0\x01"), None);
        assert_eq!(OpusHead::parse(b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\x01\x01\x01\0\x02"), None);
        assert_eq!(OpusHead::parse(b"OpusHead\x10\x02\x38\x01\x80\xBB\0\0\0\0\0"), None);
    }
}
