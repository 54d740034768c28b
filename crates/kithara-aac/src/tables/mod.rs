//! Numbers of the standard that no formula gives.

pub(crate) mod band_offsets;
pub(crate) mod ps_books;
pub(crate) mod sbr_books;
pub(crate) mod sbr_numbers;
pub(crate) mod spectral_books;

use band_offsets as b;

/// Sampling frequencies by index (ISO/IEC 14496-3, table 1.18).
pub(crate) const SAMPLE_RATES: [u32; 13] =
    [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/// The index whose tables a rate uses (table 4.82): that of the nearest standard rate.
pub(crate) fn rate_index(rate: u32) -> usize {
    const FROM: [u32; 11] = [92017, 75132, 55426, 46009, 37566, 27713, 23004, 18783, 13856, 11502, 9391];
    FROM.iter().position(|&from| rate >= from).unwrap_or(11)
}

/// What depends on the sampling frequency and the frame length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bands {
    pub(crate) long: &'static [u16],
    pub(crate) short: &'static [u16],
    /// TNS reaches up to these scale factor bands (table 4.139), long and short.
    pub(crate) tns_limits: [usize; 2],
    /// Prediction of the Main profile reaches up to this scale factor band (table 4.147).
    pub(crate) prediction_limit: usize,
}

/// The bands of a sampling frequency, by its index.
pub(crate) fn bands(index: usize, frame: usize) -> Bands {
    let pick = |long: &'static [u16], small: &'static [u16]| if frame == 960 { small } else { long };
    let index = index.min(11);
    let long = match index {
        0 | 1 => pick(&b::SWB_96_1024, &b::SWB_96_960),
        2 => pick(&b::SWB_64_1024, &b::SWB_64_960),
        3 | 4 => pick(&b::SWB_48_1024, &b::SWB_48_960),
        5 => pick(&b::SWB_32_1024, &b::SWB_32_960),
        6 | 7 => pick(&b::SWB_24_1024, &b::SWB_24_960),
        8..=10 => pick(&b::SWB_16_1024, &b::SWB_16_960),
        _ => pick(&b::SWB_8_1024, &b::SWB_8_960),
    };
    let short = match index {
        0 | 1 => pick(&b::SWB_96_128, &b::SWB_96_120),
        2 => pick(&b::SWB_64_128, &b::SWB_64_120),
        3..=5 => pick(&b::SWB_48_128, &b::SWB_48_120),
        6 | 7 => pick(&b::SWB_24_128, &b::SWB_24_120),
        8..=10 => pick(&b::SWB_16_128, &b::SWB_16_120),
        _ => pick(&b::SWB_8_128, &b::SWB_8_120),
    };
    const TNS: [[usize; 2]; 12] = [
        [31, 9],
        [31, 9],
        [34, 10],
        [40, 14],
        [42, 14],
        [51, 14],
        [46, 14],
        [46, 14],
        [42, 14],
        [42, 14],
        [42, 14],
        [39, 14],
    ];
    const PREDICTION: [usize; 12] = [33, 33, 38, 40, 40, 40, 41, 41, 37, 37, 37, 34];
    Bands { long, short, tns_limits: TNS[index], prediction_limit: PREDICTION[index] }
}
