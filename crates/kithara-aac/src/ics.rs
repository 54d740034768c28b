//! The side information of one channel (ISO/IEC 14496-3, 4.4.2.7 and 4.6.2 to 4.6.9).

use crate::bits::BitReader;
use crate::config::ObjectType;
use crate::huffman::Books;
use crate::tables::Bands;
use crate::{Error, Result};

/// How a frame is divided into transforms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum WindowSequence {
    #[default]
    Long,
    Start,
    Short,
    Stop,
}

/// Codebook numbers with a meaning of their own.
pub(crate) const ZERO: u8 = 0;
pub(crate) const ESCAPE: u8 = 11;
const RESERVED: u8 = 12;
pub(crate) const NOISE: u8 = 13;
pub(crate) const INTENSITY_OUT: u8 = 14;
pub(crate) const INTENSITY_IN: u8 = 15;

/// The most scale factor bands of a frame: eight windows of 15, or one of 51.
pub(crate) const MAX_BANDS: usize = 128;

/// Prediction of the Main profile.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Prediction {
    pub(crate) reset_group: Option<u32>,
    pub(crate) used: u64,
}

/// Long term prediction.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ltp {
    pub(crate) lag: usize,
    pub(crate) coefficient: usize,
    pub(crate) used: u64,
}

/// Windows, groups and bands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct IcsInfo {
    pub(crate) sequence: WindowSequence,
    pub(crate) shape: usize,
    pub(crate) max_sfb: usize,
    pub(crate) groups: usize,
    pub(crate) group_lengths: [u8; 8],
    pub(crate) prediction: Option<Prediction>,
    pub(crate) ltp: Option<Ltp>,
}

impl IcsInfo {
    /// Reads `ics_info()`. Of a channel pair with a common window, the second channel's long term
    /// prediction is returned beside it.
    pub(crate) fn read(
        reader: &mut BitReader<'_>,
        object: ObjectType,
        bands: &Bands,
        common: bool,
    ) -> Result<(Self, Option<Ltp>)> {
        reader.skip(1);
        let mut info = Self {
            sequence: match reader.read(2) {
                0 => WindowSequence::Long,
                1 => WindowSequence::Start,
                2 => WindowSequence::Short,
                _ => WindowSequence::Stop,
            },
            shape: reader.read(1) as usize,
            groups: 1,
            group_lengths: [1, 0, 0, 0, 0, 0, 0, 0],
            ..Self::default()
        };
        let mut second = None;
        if info.sequence == WindowSequence::Short {
            info.max_sfb = reader.read(4) as usize;
            let grouping = reader.read(7);
            for window in 0..7 {
                if grouping >> (6 - window) & 1 == 0 {
                    info.groups += 1;
                }
                info.group_lengths[info.groups - 1] += 1;
            }
            if info.max_sfb >= bands.short.len() {
                return Err(Error::packet("more scale factor bands than the window has"));
            }
        } else {
            info.max_sfb = reader.read(6) as usize;
            if info.max_sfb >= bands.long.len() {
                return Err(Error::packet("more scale factor bands than the window has"));
            }
            if reader.flag() {
                match object {
                    ObjectType::Main => info.prediction = Some(read_prediction(reader, info.max_sfb, bands)?),
                    ObjectType::Ltp => {
                        info.ltp = read_ltp(reader, info.max_sfb);
                        if common {
                            second = read_ltp(reader, info.max_sfb);
                        }
                    }
                    ObjectType::Lc => {
                        return Err(Error::packet("prediction in a stream of the low complexity type"));
                    }
                }
            }
        }
        Ok((info, second))
    }

    pub(crate) fn is_short(&self) -> bool {
        self.sequence == WindowSequence::Short
    }

    pub(crate) fn offsets(&self, bands: &Bands) -> &'static [u16] {
        if self.is_short() { bands.short } else { bands.long }
    }
}

fn read_prediction(reader: &mut BitReader<'_>, max_sfb: usize, bands: &Bands) -> Result<Prediction> {
    let reset_group = reader.optional(5);
    if matches!(reset_group, Some(0 | 31)) {
        return Err(Error::packet("a predictor reset group that does not exist"));
    }
    let mut used = 0;
    for sfb in 0..max_sfb.min(bands.prediction_limit) {
        used |= u64::from(reader.flag()) << sfb;
    }
    Ok(Prediction { reset_group, used })
}

fn read_ltp(reader: &mut BitReader<'_>, max_sfb: usize) -> Option<Ltp> {
    if !reader.flag() {
        return None;
    }
    let (lag, coefficient) = (reader.read(11) as usize, reader.read(3) as usize);
    let mut used = 0;
    for sfb in 0..max_sfb.min(40) {
        used |= u64::from(reader.flag()) << sfb;
    }
    Some(Ltp { lag, coefficient, used })
}

/// Amplitudes that are added to quantised lines.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pulse {
    pub(crate) count: usize,
    pub(crate) lines: [u16; 4],
    pub(crate) amplitudes: [u8; 4],
}

/// One filter of temporal noise shaping.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TnsFilter {
    /// In scale factor bands.
    pub(crate) length: u8,
    pub(crate) order: u8,
    pub(crate) downwards: bool,
    /// Bits of the coefficients' resolution: 3 or 4.
    pub(crate) resolution: u8,
    pub(crate) coefficients: [i8; 31],
}

/// The filters of all windows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tns {
    pub(crate) present: bool,
    pub(crate) counts: [u8; 8],
    /// Three of a long window, or one of each short window.
    pub(crate) filters: [TnsFilter; 8],
}

/// The side information of one channel.
#[derive(Debug, Clone)]
pub(crate) struct Ics {
    pub(crate) info: IcsInfo,
    /// Codebook and scale factor by group and band: index `group * max_sfb + band`.
    pub(crate) books: [u8; MAX_BANDS],
    pub(crate) factors: [i16; MAX_BANDS],
    pub(crate) pulse: Pulse,
    pub(crate) tns: Tns,
}

impl Ics {
    pub(crate) fn new() -> Self {
        Self {
            info: IcsInfo::default(),
            books: [0; MAX_BANDS],
            factors: [0; MAX_BANDS],
            pulse: Pulse::default(),
            tns: Tns { present: false, counts: [0; 8], filters: [TnsFilter::default(); 8] },
        }
    }

    /// Reads everything of `individual_channel_stream()` that stands before the spectral data.
    /// `info` of a common window has been read before.
    pub(crate) fn read(
        &mut self,
        reader: &mut BitReader<'_>,
        common: Option<IcsInfo>,
        object: ObjectType,
        bands: &Bands,
    ) -> Result<()> {
        let global_gain = reader.read(8) as i32;
        self.info = match common {
            Some(info) => info,
            None => IcsInfo::read(reader, object, bands, false)?.0,
        };
        self.read_sections(reader)?;
        self.read_factors(reader, global_gain)?;
        self.pulse.count = 0;
        if reader.flag() {
            self.read_pulse(reader, bands)?;
        }
        self.tns.present = reader.flag();
        if self.tns.present {
            self.read_tns(reader)?;
        }
        if reader.flag() {
            return Err(Error::Unsupported { feature: "Gain control (the AAC SSR object type)" });
        }
        reader.check("packet")
    }

    fn read_sections(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        let bits = if self.info.is_short() { 3 } else { 5 };
        let escape = (1 << bits) - 1;
        for group in 0..self.info.groups {
            let row = group * self.info.max_sfb;
            let mut sfb = 0;
            while sfb < self.info.max_sfb {
                let book = reader.read(4) as u8;
                if book == RESERVED {
                    return Err(Error::packet("a section uses the reserved codebook"));
                }
                let mut length = 0;
                loop {
                    let part = reader.read(bits) as usize;
                    length += part;
                    if part != escape || length > self.info.max_sfb {
                        break;
                    }
                }
                let end = sfb + length;
                if end > self.info.max_sfb {
                    return Err(Error::packet("a section reaches past the last band"));
                }
                self.books[row + sfb..row + end].fill(book);
                sfb = end;
                // Sections of no band are allowed, but each takes bits.
                reader.check("packet")?;
            }
        }
        Ok(())
    }

    fn read_factors(&mut self, reader: &mut BitReader<'_>, global_gain: i32) -> Result<()> {
        let book = &Books::get().scale_factor;
        let (mut factor, mut position, mut noise) = (global_gain, 0, global_gain - 90);
        let mut first_noise = true;
        for index in 0..self.info.groups * self.info.max_sfb {
            let value = match self.books[index] {
                ZERO => 0,
                INTENSITY_IN | INTENSITY_OUT => {
                    position += book.read_signed(reader, 60)?;
                    position
                }
                NOISE => {
                    noise +=
                        if first_noise { reader.read(9) as i32 - 256 } else { book.read_signed(reader, 60)? };
                    first_noise = false;
                    noise
                }
                _ => {
                    factor += book.read_signed(reader, 60)?;
                    if !(0..256).contains(&factor) {
                        return Err(Error::packet("a scale factor is out of range"));
                    }
                    factor
                }
            };
            // 128 bands of at most 60 steps each.
            self.factors[index] = value as i16;
        }
        reader.check("packet")
    }

    fn read_pulse(&mut self, reader: &mut BitReader<'_>, bands: &Bands) -> Result<()> {
        if self.info.is_short() {
            return Err(Error::packet("pulses in short windows"));
        }
        let count = reader.read(2) as usize + 1;
        let sfb = reader.read(6) as usize;
        let (Some(&start), Some(&end)) = (bands.long.get(sfb), bands.long.last()) else {
            return Err(Error::packet("a pulse starts past the last band"));
        };
        let mut line = start;
        for i in 0..count {
            line += reader.read(5) as u16;
            if line >= end {
                return Err(Error::packet("a pulse lies past the last line"));
            }
            self.pulse.lines[i] = line;
            self.pulse.amplitudes[i] = reader.read(4) as u8;
        }
        self.pulse.count = count;
        Ok(())
    }

    fn read_tns(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        let short = self.info.is_short();
        let (windows, count_bits, length_bits, order_bits) = if short { (8, 1, 4, 3) } else { (1, 2, 6, 5) };
        for window in 0..windows {
            let count = reader.read(count_bits);
            self.tns.counts[window] = count as u8;
            if count == 0 {
                continue;
            }
            let resolution = 3 + reader.read(1);
            for filter in 0..count as usize {
                let slot = &mut self.tns.filters[window + filter];
                slot.length = reader.read(length_bits) as u8;
                slot.order = reader.read(order_bits) as u8;
                slot.resolution = resolution as u8;
                if slot.order == 0 {
                    continue;
                }
                slot.downwards = reader.flag();
                let bits = resolution - reader.read(1);
                for coefficient in &mut slot.coefficients[..usize::from(slot.order)] {
                    let value = reader.read(bits) as i32;
                    *coefficient = ((value << (32 - bits)) >> (32 - bits)) as i8;
                }
            }
        }
        Ok(())
    }
}
