//! What parametric stereo sends (ISO/IEC 14496-3, 8.6.4.2): level differences and correlations of two channels.

use crate::bits::BitReader;
use crate::huffman::{Book, Books};
use crate::{Error, Result};

/// Parameter bands of the baseline decoder.
pub(crate) const BANDS: usize = 20;
/// The most bands that are sent.
const MAX_SENT: usize = 34;
/// Four envelopes, and one that holds the last values to the end of the packet.
pub(crate) const MAX_ENVELOPES: usize = 5;

/// Values of one kind, as they were sent.
#[derive(Debug, Clone, Copy)]
struct Values {
    enabled: bool,
    mode: u32,
    last: [i8; MAX_SENT],
    /// Mapped to 20 bands.
    mapped: [[i8; BANDS]; MAX_ENVELOPES],
}

impl Values {
    const fn new() -> Self {
        Self { enabled: false, mode: 0, last: [0; MAX_SENT], mapped: [[0; BANDS]; MAX_ENVELOPES] }
    }

    fn count(&self) -> usize {
        [10, 20, 34][self.mode as usize % 3]
    }

    fn read_header(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        self.enabled = reader.flag();
        if self.enabled {
            let mode = reader.read(3);
            if mode > 5 {
                return Err(bad("a reserved mode"));
            }
            self.mode = mode;
        }
        Ok(())
    }

    /// `range`: the least and the largest value; `zero`: the index that stands for no difference.
    fn read(
        &mut self,
        reader: &mut BitReader<'_>,
        books: &[Book; 2],
        zero: i32,
        range: (i32, i32),
        envelopes: usize,
    ) -> Result<()> {
        for envelope in 0..envelopes {
            if !self.enabled {
                self.mapped[envelope] = [0; BANDS];
                continue;
            }
            let over_time = reader.flag();
            let book = &books[usize::from(over_time)];
            let mut before = 0;
            for band in 0..self.count() {
                if over_time {
                    before = i32::from(self.last[band]);
                }
                before += book.read_signed(reader, zero)?;
                if !(range.0..=range.1).contains(&before) {
                    return Err(bad("a value is out of range"));
                }
                self.last[band] = before as i8;
            }
            self.mapped[envelope] = map(&self.last, self.count());
        }
        if !self.enabled {
            self.last = [0; MAX_SENT];
        }
        Ok(())
    }
}

/// Values of 10, 20 or 34 bands on 20 bands.
fn map(sent: &[i8; MAX_SENT], count: usize) -> [i8; BANDS] {
    let v = |i: usize| i32::from(sent[i]);
    std::array::from_fn(|b| match (count, b) {
        (10, _) => sent[b / 2],
        (20, _) => sent[b],
        (_, 0) => ((2 * v(0) + v(1)) / 3) as i8,
        (_, 1) => ((v(1) + 2 * v(2)) / 3) as i8,
        (_, 2) => ((2 * v(3) + v(4)) / 3) as i8,
        (_, 3) => ((v(4) + 2 * v(5)) / 3) as i8,
        (_, 4) => ((v(6) + v(7)) / 2) as i8,
        (_, 5) => ((v(8) + v(9)) / 2) as i8,
        (_, 6 | 7) => sent[b + 4],
        (_, 8) => ((v(12) + v(13)) / 2) as i8,
        (_, 9) => ((v(14) + v(15)) / 2) as i8,
        (_, 10..=13) => sent[b + 6],
        (_, 14..=17) => ((v(2 * b - 8) + v(2 * b - 7)) / 2) as i8,
        (_, 18) => ((v(28) + v(29) + v(30) + v(31)) / 4) as i8,
        _ => ((v(32) + v(33)) / 2) as i8,
    })
}

const fn bad(reason: &'static str) -> Error {
    Error::malformed("parametric stereo", reason)
}

/// The parameters of one packet, and what the next packet's differences refer to.
#[derive(Debug)]
pub(crate) struct Params {
    levels: Values,
    correlations: Values,
    extended: bool,
    /// A header has been received: the parameters mean something.
    started: bool,
    pub(crate) envelopes: usize,
    /// The last sample of each envelope.
    pub(crate) ends: [usize; MAX_ENVELOPES],
}

impl Params {
    pub(crate) fn new() -> Self {
        Self {
            levels: Values::new(),
            correlations: Values::new(),
            extended: false,
            started: false,
            envelopes: 0,
            ends: [0; MAX_ENVELOPES],
        }
    }

    pub(crate) fn is_started(&self) -> bool {
        self.started
    }

    pub(crate) fn fine_levels(&self) -> bool {
        self.levels.mode >= 3
    }

    /// The correlation is reached by the second way of mixing.
    pub(crate) fn rotates(&self) -> bool {
        self.correlations.mode >= 3
    }

    /// Level difference and correlation of an envelope's band, as indices of their tables.
    pub(crate) fn get(&self, envelope: usize, band: usize) -> (i8, u8) {
        (self.levels.mapped[envelope][band], self.correlations.mapped[envelope][band].unsigned_abs())
    }

    /// Reads `ps_data()` of a packet of `samples` samples of each band.
    pub(crate) fn read(&mut self, reader: &mut BitReader<'_>, samples: usize) -> Result<()> {
        let header = reader.flag();
        if header {
            self.levels.read_header(reader)?;
            self.correlations.read_header(reader)?;
            self.extended = reader.flag();
            self.started = true;
        }
        let variable = reader.flag();
        let index = reader.read(2) as usize;
        let count = if variable { index + 1 } else { [0, 1, 2, 4][index] };
        let mut before = None;
        for envelope in 0..count {
            let end = if variable { reader.read(5) as usize } else { (envelope + 1) * samples / count - 1 };
            if end >= samples || before.is_some_and(|before| end <= before) {
                return Err(bad("an envelope without length"));
            }
            self.ends[envelope] = end;
            before = Some(end);
        }
        let books = &Books::get().ps;
        if self.fine_levels() {
            self.levels.read(reader, &books.iid_fine, 30, (-15, 15), count)?;
        } else {
            self.levels.read(reader, &books.iid, 14, (-7, 7), count)?;
        }
        self.correlations.read(reader, &books.icc, 7, (0, 7), count)?;
        if self.extended {
            // Phase differences, which a baseline decoder passes over.
            let mut bytes = reader.read(4) as usize;
            if bytes == 15 {
                bytes += reader.read(8) as usize;
            }
            reader.skip(8 * bytes);
        }
        reader.check("parametric stereo")?;
        self.envelopes = count;
        self.hold(samples);
        Ok(())
    }

    /// Lets the last values hold to the end of the packet.
    fn hold(&mut self, samples: usize) {
        if self.envelopes > 0 && self.ends[self.envelopes - 1] == samples - 1 {
            return;
        }
        let at = self.envelopes;
        for values in [&mut self.levels, &mut self.correlations] {
            values.mapped[at] = if values.enabled { map(&values.last, values.count()) } else { [0; BANDS] };
        }
        self.ends[at] = samples - 1;
        self.envelopes += 1;
    }

    /// A packet without parameters: the last ones hold.
    pub(crate) fn keep(&mut self, samples: usize) {
        self.envelopes = 0;
        self.hold(samples);
    }
}
