//! Sample entries: the codec of a track and its configuration.

use super::super::aac::{AacConfig, SAMPLE_RATES, audio_specific_config};
use super::super::bits::Fields;
use super::super::{Codec, FourCc, SampleFormat};
use super::boxes::{Boxes, Parsed, full_box};
use super::esds::Esds;

/// One entry of an `stsd` box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct SampleEntry {
    pub(in super::super) codec: Codec,
    /// The protection scheme of an encrypted entry.
    pub(in super::super) encrypted: Option<FourCc>,
    pub(in super::super) extra_data: Option<Box<[u8]>>,
    /// 0 when the entry does not say.
    pub(in super::super) sample_rate: u32,
    pub(in super::super) channels: u16,
    pub(in super::super) bits_per_sample: Option<u32>,
    pub(in super::super) frames_per_packet: Option<u32>,
    /// Opus pre-skip.
    pub(in super::super) delay: Option<u32>,
    /// How PCM and ADPCM lie in the chunks.
    pub(in super::super) packing: Option<Packing>,
}

/// Blocks of PCM or ADPCM: a frame of PCM, some frames of ADPCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Packing {
    pub(in super::super) frames: u32,
    pub(in super::super) bytes: u32,
}

/// Fields of QuickTime's sample descriptions of version 1 and 2.
#[derive(Clone, Copy, Debug, Default)]
struct QuickTime {
    frames_per_packet: u32,
    bytes_per_packet: u32,
    /// Of version 2: bit 0 float, bit 1 big-endian, bit 2 signed.
    flags: u32,
}

/// Entries that one track may have.
const MAX_ENTRIES: u32 = 64;

/// Parses the entries of an `stsd` payload.
pub(in super::super) fn parse_stsd(payload: &[u8]) -> Parsed<Vec<SampleEntry>> {
    let (version, _, mut fields) = full_box(payload)?;
    let count = fields.u32().ok_or("stsd cut short")?;
    let mut boxes = Boxes::new(fields.rest());
    let mut entries = Vec::new();
    while let Some((kind, entry)) = boxes.next_box()? {
        if entries.len() as u32 >= count.min(MAX_ENTRIES) {
            break;
        }
        entries.push(parse_entry(kind, entry, version)?);
    }
    if entries.is_empty() { Err("stsd without an entry") } else { Ok(entries) }
}

fn parse_entry(kind: FourCc, payload: &[u8], stsd_version: u8) -> Parsed<SampleEntry> {
    let mut entry = SampleEntry {
        codec: Codec::Unknown(kind),
        encrypted: None,
        extra_data: None,
        sample_rate: 0,
        channels: 0,
        bits_per_sample: None,
        frames_per_packet: None,
        delay: None,
        packing: None,
    };
    let (children, quick_time) = entry.parse_fixed(payload, stsd_version).ok_or("sample entry cut short")?;
    let mut format = kind;
    let mut config = Config::default();
    config.collect(children, 0)?;
    if matches!(&kind.0, b"enca" | b"encv" | b"drms") {
        format = FourCc(config.original_format.unwrap_or(kind.0));
        entry.encrypted = Some(FourCc(config.scheme.unwrap_or(kind.0)));
    }
    if let Some(rate) = config.srat {
        entry.sample_rate = rate;
    }
    config.quick_time = quick_time;
    entry.apply(format, &config)?;
    Ok(entry)
}

/// The configuration boxes of a sample entry, wherever they stand in it.
#[derive(Debug, Default)]
struct Config<'a> {
    esds: Option<Esds<'a>>,
    flac: Option<&'a [u8]>,
    alac: Option<&'a [u8]>,
    opus: Option<&'a [u8]>,
    srat: Option<u32>,
    original_format: Option<[u8; 4]>,
    scheme: Option<[u8; 4]>,
    /// QuickTime's `enda`: samples are little-endian.
    is_little: bool,
    /// `pcmC`: whether samples are little-endian, and their bits.
    pcm: Option<(bool, u8)>,
    quick_time: QuickTime,
}

impl<'a> Config<'a> {
    fn collect(&mut self, mut boxes: Boxes<'a>, depth: u8) -> Parsed<()> {
        while let Ok(Some((kind, payload))) = boxes.next_box() {
            match &kind.0 {
                // `wave` (QuickTime), `sinf` and `schi` hold boxes of their own.
                b"wave" | b"sinf" if depth < 3 => self.collect(Boxes::new(payload), depth + 1)?,
                b"esds" => self.esds = Esds::parse(payload).or(self.esds),
                b"dfLa" => self.flac = Some(payload),
                b"alac" if payload.len() >= 28 => self.alac = Some(payload),
                b"dOps" => self.opus = Some(payload),
                b"srat" => self.srat = full_box(payload)?.2.u32(),
                b"enda" => self.is_little = payload.get(..2).is_some_and(|word| word != [0, 0]),
                b"pcmC" => self.pcm = payload.get(4).zip(payload.get(5)).map(|(f, &bits)| (f & 1 != 0, bits)),
                b"frma" => self.original_format = payload.first_chunk().copied(),
                b"schm" => self.scheme = full_box(payload)?.2.array(),
                _ => {}
            }
        }
        Ok(())
    }
}

impl SampleEntry {
    /// The fixed fields: ISO, and QuickTime's versions 1 and 2. Gives the boxes behind them.
    fn parse_fixed<'a>(&mut self, payload: &'a [u8], stsd_version: u8) -> Option<(Boxes<'a>, QuickTime)> {
        let mut quick_time = QuickTime::default();
        let mut fields = Fields::new(payload);
        fields.skip(8)?;
        let version = fields.u16()?;
        fields.skip(6)?;
        self.channels = fields.u16()?;
        self.bits_per_sample = Some(fields.u16()?.into());
        fields.skip(4)?;
        self.sample_rate = fields.u32()? >> 16;
        match version {
            // With stsd version 1, an ISO entry of version 1 has no further fields.
            1 if stsd_version == 0 && !begins_with_box(fields.rest()) => {
                quick_time.frames_per_packet = fields.u32()?;
                fields.skip(4)?;
                quick_time.bytes_per_packet = fields.u32()?;
                fields.skip(4)?;
            }
            2 => {
                let size = fields.u32()? as usize;
                let rate = f64::from_bits(fields.u64()?);
                if rate.is_finite() && (1.0..=4_294_967_295.0).contains(&rate) {
                    self.sample_rate = rate as u32;
                }
                self.channels = u16::try_from(fields.u32()?).unwrap_or(0);
                fields.skip(4)?;
                self.bits_per_sample = Some(fields.u32()?);
                quick_time.flags = fields.u32()?;
                quick_time.bytes_per_packet = fields.u32()?;
                quick_time.frames_per_packet = fields.u32()?;
                // `size` counts from the start of the entry, whose header of 8 bytes is not in the payload.
                let further = size.checked_sub(72).filter(|&further| further <= fields.rest().len());
                fields.skip(further.unwrap_or(0))?;
            }
            _ => {}
        }
        Some((Boxes::new(fields.rest()), quick_time))
    }

    fn apply(&mut self, format: FourCc, config: &Config<'_>) -> Parsed<()> {
        match &format.0 {
            b"mp4a" => self.apply_mp4a(config)?,
            b".mp3" | b"mp3 " | b"ms\0\x55" => self.set_plain(Codec::Mp3),
            b"fLaC" => self.apply_flac(config.flac.ok_or("fLaC without dfLa")?).ok_or("dfLa")?,
            b"alac" => self.apply_alac(config.alac.ok_or("alac without its cookie")?).ok_or("alac cookie")?,
            b"Opus" => self.apply_opus(config.opus.ok_or("Opus without dOps")?).ok_or("dOps")?,
            b"ac-3" | b"sac3" => self.set_plain(Codec::Ac3),
            b"ec-3" => self.set_plain(Codec::Eac3),
            b"ac-4" => self.set_plain(Codec::Ac4),
            b"mlpa" => self.set_plain(Codec::TrueHd),
            b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" | b"dtsx" | b"dtsy" => self.set_plain(Codec::Dts),
            b"lpcm" | b"ipcm" | b"fpcm" | b"sowt" | b"twos" | b"raw " | b"NONE" | b"in24" | b"in32"
            | b"fl32" | b"fl64" | b"ulaw" | b"alaw" => self.apply_pcm(format, config),
            b"ima4" => self.apply_blocks(
                SampleFormat::ImaQt,
                Packing { frames: 64, bytes: 34 * u32::from(self.channels) },
            ),
            b"ms\0\x02" | b"ms\0\x11" => {
                let kind = if format.0[3] == 2 { SampleFormat::MsAdpcm } else { SampleFormat::ImaWav };
                let QuickTime { frames_per_packet: frames, bytes_per_packet, .. } = config.quick_time;
                // QuickTime counts the bytes of one channel.
                let bytes = bytes_per_packet.saturating_mul(self.channels.into());
                if frames > 0 && bytes > 0 {
                    self.apply_blocks(kind, Packing { frames, bytes });
                } else {
                    self.codec = Codec::Unknown(format);
                }
            }
            b"samr" | b"sawb" | b"sawp" => self.set_plain(Codec::Amr),
            b"agsm" => self.set_plain(Codec::Gsm),
            b"spex" => self.set_plain(Codec::Speex),
            b"wma " | b"WMA " => self.set_plain(Codec::Wma),
            _ => self.codec = Codec::Unknown(format),
        }
        Ok(())
    }

    fn set_plain(&mut self, codec: Codec) {
        self.codec = codec;
        self.bits_per_sample = None;
    }

    fn apply_pcm(&mut self, format: FourCc, config: &Config<'_>) {
        let bits = config.pcm.map_or(self.bits_per_sample.unwrap_or(0), |(_, bits)| bits.into());
        let bytes = bits.div_ceil(8);
        let flags = config.quick_time.flags;
        let found = match &format.0 {
            b"ulaw" => Some(SampleFormat::Mulaw),
            b"alaw" => Some(SampleFormat::Alaw),
            b"raw " | b"NONE" if bytes <= 1 => Some(SampleFormat::U8),
            b"raw " | b"NONE" | b"twos" => SampleFormat::linear(bytes, false, config.is_little),
            b"sowt" => SampleFormat::linear(bytes, false, true),
            b"in24" => SampleFormat::linear(3, false, config.is_little),
            b"in32" => SampleFormat::linear(4, false, config.is_little),
            b"fl32" => SampleFormat::linear(4, true, config.is_little),
            b"fl64" => SampleFormat::linear(8, true, config.is_little),
            b"ipcm" => SampleFormat::linear(bytes, false, config.pcm.is_some_and(|(is_little, _)| is_little)),
            b"fpcm" => SampleFormat::linear(bytes, true, config.pcm.is_some_and(|(is_little, _)| is_little)),
            // Version 2: unsigned integers of 8 bits are the only ones in use.
            _ if bytes == 1 && flags & 4 == 0 => Some(SampleFormat::U8),
            _ => SampleFormat::linear(bytes, flags & 1 != 0, flags & 2 == 0),
        };
        let Some((found, bytes)) = found.and_then(|found| Some((found, found.bytes()?))) else {
            return self.codec = Codec::Pcm;
        };
        self.codec = Codec::Raw(found);
        self.bits_per_sample = Some(8 * bytes);
        self.packing = Some(Packing { frames: 1, bytes: bytes * u32::from(self.channels) });
    }

    fn apply_blocks(&mut self, format: SampleFormat, packing: Packing) {
        self.set_plain(Codec::Raw(format));
        self.frames_per_packet = Some(packing.frames);
        self.packing = Some(packing);
    }

    fn apply_mp4a(&mut self, config: &Config<'_>) -> Parsed<()> {
        let (object_type_indication, specific) = match config.esds {
            Some(esds) => (esds.object_type_indication, esds.specific),
            None => (0x40, &[][..]),
        };
        match object_type_indication {
            0x40 | 0x66..=0x68 => return self.apply_aac(specific),
            0x69 | 0x6B => self.set_plain(Codec::Mp3),
            0xA5 => self.set_plain(Codec::Ac3),
            0xA6 => self.set_plain(Codec::Eac3),
            0xA9..=0xAC => self.set_plain(Codec::Dts),
            0xDD => self.set_plain(Codec::Vorbis),
            other => self.set_plain(Codec::UnknownObjectType(other)),
        }
        Ok(())
    }

    fn apply_aac(&mut self, specific: &[u8]) -> Parsed<()> {
        let synthesised;
        let specific = if specific.len() >= 2 {
            specific
        } else {
            // No configuration: the fixed fields describe plain AAC-LC.
            let index = SAMPLE_RATES.iter().position(|&rate| rate == self.sample_rate);
            let channels = u8::try_from(self.channels).ok().filter(|channels| (1..=6).contains(channels));
            let (Some(index), Some(channels)) = (index, channels) else {
                return Err("mp4a without an AudioSpecificConfig");
            };
            synthesised = audio_specific_config(2, index as u8, channels);
            &synthesised[..]
        };
        let aac = AacConfig::parse(specific).ok_or("AudioSpecificConfig")?;
        self.set_plain(aac.codec());
        self.extra_data = Some(specific.into());
        self.sample_rate = aac.sample_rate();
        if aac.channels() > 0 {
            self.channels = aac.channels();
        }
        self.frames_per_packet = Some(aac.frames_per_packet());
        Ok(())
    }

    fn apply_flac(&mut self, payload: &[u8]) -> Option<()> {
        let mut fields = Fields::new(payload);
        fields.skip(4)?;
        let stream_info = loop {
            let kind = fields.u8()? & 0x7F;
            let len = fields.u24()? as usize;
            let block = fields.take(len)?;
            if kind == 0 {
                break block.get(..34)?;
            }
        };
        let packed = Fields::new(stream_info.get(10..)?).u64()?;
        self.codec = Codec::Flac;
        self.sample_rate = (packed >> 44) as u32;
        self.channels = (packed >> 41 & 7) as u16 + 1;
        self.bits_per_sample = Some((packed >> 36 & 31) as u32 + 1);
        self.extra_data = Some(stream_info.into());
        (self.sample_rate > 0).then_some(())
    }

    fn apply_alac(&mut self, payload: &[u8]) -> Option<()> {
        let cookie = payload.get(4..)?;
        let mut fields = Fields::new(cookie);
        self.codec = Codec::Alac;
        self.frames_per_packet = Some(fields.u32()?).filter(|&frames| frames > 0);
        fields.skip(1)?;
        self.bits_per_sample = Some(fields.u8()?.into());
        fields.skip(3)?;
        self.channels = fields.u8()?.into();
        fields.skip(10)?;
        self.sample_rate = fields.u32()?;
        self.extra_data = Some(cookie.get(..if cookie.len() >= 48 { 48 } else { 24 })?.into());
        (self.sample_rate > 0).then_some(())
    }

    /// `dOps` becomes the `OpusHead` of Ogg: other byte order, version 1.
    fn apply_opus(&mut self, payload: &[u8]) -> Option<()> {
        let mut fields = Fields::new(payload);
        let _version = fields.u8()?;
        let channels = fields.u8()?;
        let pre_skip = fields.u16()?;
        let rate = fields.u32()?;
        let gain = fields.u16()?;
        let family = fields.u8()?;
        let mapping: &[u8] = if family == 0 { &[] } else { fields.take(2 + usize::from(channels))? };
        let mut head = Vec::with_capacity(19 + mapping.len());
        head.extend_from_slice(b"OpusHead\x01");
        head.push(channels);
        head.extend_from_slice(&pre_skip.to_le_bytes());
        head.extend_from_slice(&rate.to_le_bytes());
        head.extend_from_slice(&gain.to_le_bytes());
        head.push(family);
        head.extend_from_slice(mapping);
        self.set_plain(Codec::Opus);
        self.extra_data = Some(head.into());
        self.channels = channels.into();
        self.sample_rate = 48_000;
        self.delay = Some(pre_skip.into());
        Some(())
    }
}

/// True when the bytes look like a box header that fits.
fn begins_with_box(data: &[u8]) -> bool {
    let mut fields = Fields::new(data);
    let (Some(size), Some(kind)) = (fields.u32(), fields.array::<4>()) else { return false };
    (8..=data.len()).contains(&(size as usize))
        && kind.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
}
