//! Builders of boxes, frames and transport packets.

use super::super::aac::audio_specific_config;

/// A box.
pub(super) fn atom(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let payload = parts.concat();
    let mut out = ((payload.len() + 8) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(kind);
    out.extend(payload);
    out
}

/// A full box.
pub(super) fn full(kind: &[u8; 4], version: u8, flags: u32, parts: &[&[u8]]) -> Vec<u8> {
    let head = (u32::from(version) << 24 | flags).to_be_bytes();
    atom(kind, &[&head, &parts.concat()])
}

pub(super) fn be(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// A descriptor of MPEG-4 systems.
pub(super) fn descriptor(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    [&[tag, 0x80, 0x80, 0x80 | (len >> 7) as u8, (len & 0x7F) as u8], body].concat()
}

pub(super) fn esds(object_type_indication: u8, specific: &[u8]) -> Vec<u8> {
    let specific = descriptor(5, specific);
    let config = descriptor(4, &[&[object_type_indication, 0x15], &[0; 11][..], &specific].concat());
    full(b"esds", 0, 0, &[&descriptor(3, &[&[0, 1, 0][..], &config, &descriptor(6, &[2])].concat())])
}

/// An audio sample entry of version 0.
pub(super) fn entry(kind: &[u8; 4], channels: u16, rate: u32, boxes: &[&[u8]]) -> Vec<u8> {
    let mut fixed = vec![0; 6];
    fixed.extend([0, 1]);
    fixed.extend([0; 8]);
    fixed.extend(channels.to_be_bytes());
    fixed.extend([0, 16, 0, 0, 0, 0]);
    fixed.extend((rate << 16).to_be_bytes());
    atom(kind, &[&fixed, &boxes.concat()])
}

pub(super) fn aac_entry() -> Vec<u8> {
    entry(b"mp4a", 2, 44_100, &[&esds(0x40, &audio_specific_config(2, 4, 2))])
}

/// What an `moov` box says.
pub(super) struct Movie {
    pub(super) entries: Vec<Vec<u8>>,
    pub(super) handler: [u8; 4],
    pub(super) id: u32,
    pub(super) timescale: u32,
    pub(super) edts: Vec<u8>,
    /// Tables besides `stsd`.
    pub(super) tables: Vec<u8>,
    /// Default duration and size of `trex`.
    pub(super) trex: (u32, u32),
    pub(super) udta: Vec<u8>,
    /// Tracks in front of this one.
    pub(super) others: Vec<u8>,
    pub(super) is_fragmented: bool,
}

impl Default for Movie {
    fn default() -> Self {
        Self {
            entries: vec![aac_entry()],
            handler: *b"soun",
            id: 1,
            timescale: 44_100,
            edts: Vec::new(),
            tables: [
                full(b"stts", 0, 0, &[&be(&[0])]),
                full(b"stsc", 0, 0, &[&be(&[0])]),
                full(b"stsz", 0, 0, &[&be(&[0, 0])]),
                full(b"stco", 0, 0, &[&be(&[0])]),
            ]
            .concat(),
            trex: (0, 0),
            udta: Vec::new(),
            others: Vec::new(),
            is_fragmented: true,
        }
    }
}

impl Movie {
    pub(super) fn trak(&self) -> Vec<u8> {
        let tkhd = full(b"tkhd", 0, 3, &[&be(&[0, 0, self.id, 0, 0]), &[0; 60]]);
        let mdhd = full(b"mdhd", 0, 0, &[&be(&[0, 0, self.timescale, 0]), &[0x55, 0xC4, 0, 0]]);
        let hdlr = full(b"hdlr", 0, 0, &[&[0; 4], &self.handler, &[0; 13]]);
        let stsd = full(b"stsd", 0, 0, &[&be(&[self.entries.len() as u32]), &self.entries.concat()]);
        let stbl = atom(b"stbl", &[&stsd, &self.tables]);
        let minf = atom(b"minf", &[&full(b"smhd", 0, 0, &[&[0; 4]]), &stbl]);
        atom(b"trak", &[&tkhd, &self.edts, &atom(b"mdia", &[&mdhd, &hdlr, &minf])])
    }

    pub(super) fn moov(&self) -> Vec<u8> {
        let mvhd = full(b"mvhd", 0, 0, &[&be(&[0, 0, 1000, 0]), &[0; 80]]);
        let trex = full(b"trex", 0, 0, &[&be(&[self.id, 1, self.trex.0, self.trex.1, 0])]);
        let mvex = if self.is_fragmented { atom(b"mvex", &[&trex]) } else { Vec::new() };
        atom(b"moov", &[&mvhd, &self.others, &self.trak(), &mvex, &self.udta])
    }

    pub(super) fn init(&self) -> Vec<u8> {
        [atom(b"ftyp", &[b"iso6", &[0; 4], b"cmfc"]), self.moov()].concat()
    }
}

/// A track fragment, whose data offsets count from the start of the `moof` box.
pub(super) struct Traf {
    pub(super) id: u32,
    pub(super) tfhd_flags: u32,
    pub(super) tfhd: Vec<u8>,
    pub(super) tfdt: Option<u64>,
    /// Sample sizes, and where the run begins in the `mdat` payload (`None`: no data offset).
    pub(super) runs: Vec<(Vec<u32>, Option<i32>)>,
    /// Duration of each sample, when the run is to say it.
    pub(super) duration: Option<u32>,
    pub(super) extra: Vec<u8>,
}

impl Default for Traf {
    fn default() -> Self {
        Self {
            id: 1,
            tfhd_flags: 0x02_0000,
            tfhd: Vec::new(),
            tfdt: Some(0),
            runs: Vec::new(),
            duration: Some(1024),
            extra: Vec::new(),
        }
    }
}

impl Traf {
    /// `data_start`: where the `mdat` payload begins, counted from the base of the offsets.
    fn build(&self, data_start: i32) -> Vec<u8> {
        let tfhd = full(b"tfhd", 0, self.tfhd_flags, &[&be(&[self.id]), &self.tfhd]);
        let tfdt = match self.tfdt {
            Some(time) if time > u64::from(u32::MAX) => full(b"tfdt", 1, 0, &[&time.to_be_bytes()]),
            Some(time) => full(b"tfdt", 0, 0, &[&(time as u32).to_be_bytes()]),
            None => Vec::new(),
        };
        let truns: Vec<u8> = self.runs.iter().flat_map(|run| self.trun(run, data_start)).collect();
        atom(b"traf", &[&tfhd, &tfdt, &self.extra, &truns])
    }

    fn trun(&self, (sizes, offset): &(Vec<u32>, Option<i32>), data_start: i32) -> Vec<u8> {
        let mut flags = 0x200;
        let mut body = be(&[sizes.len() as u32]);
        if let Some(offset) = offset {
            flags |= 1;
            body.extend((data_start + offset).to_be_bytes());
        }
        if self.duration.is_some() {
            flags |= 0x100;
        }
        for size in sizes {
            body.extend(
                self.duration
                    .map(u32::to_be_bytes)
                    .unwrap_or_default()
                    .iter()
                    .take(if self.duration.is_some() { 4 } else { 0 }),
            );
            body.extend(size.to_be_bytes());
        }
        full(b"trun", 0, flags, &[&body])
    }
}

/// A `moof` box and the `mdat` behind it. `base` is where the `moof` begins, as the data offsets have it.
pub(super) fn fragment_at(trafs: &[Traf], mdat: &[u8], base: i32) -> Vec<u8> {
    let build = |data_start: i32| {
        let parts: Vec<u8> = trafs.iter().flat_map(|traf| traf.build(data_start)).collect();
        atom(b"moof", &[&full(b"mfhd", 0, 0, &[&be(&[1])]), &parts])
    };
    let len = build(0).len() as i32;
    [build(base + len + 8), atom(b"mdat", &[mdat])].concat()
}

pub(super) fn fragment(trafs: &[Traf], mdat: &[u8]) -> Vec<u8> {
    fragment_at(trafs, mdat, 0)
}

/// Packet contents that differ by `seed` and hold no sync words.
pub(super) fn body(seed: u32, len: usize) -> Vec<u8> {
    (0..len as u32).map(|at| ((seed * 31 + at * 7) % 0x46) as u8).collect()
}

/// An ADTS frame of LC, 44.1 kHz, stereo.
pub(super) fn adts(payload: &[u8]) -> Vec<u8> {
    adts_of(payload, 4, 2)
}

pub(super) fn adts_of(payload: &[u8], rate_index: u8, channels: u8) -> Vec<u8> {
    let len = payload.len() + 7;
    let header = [
        0xFF,
        0xF1,
        1 << 6 | rate_index << 2 | channels >> 2,
        (channels & 3) << 6 | (len >> 11) as u8,
        (len >> 3) as u8,
        (len << 5) as u8 | 0x1F,
        0xFC,
    ];
    [&header, payload].concat()
}

/// An MP3 frame: MPEG-1 layer III, 64 kbit/s, 48 kHz, joint stereo: 192 bytes.
pub(super) fn mp3(seed: u32) -> Vec<u8> {
    [vec![0xFF, 0xFB, 0x54, 0x44], body(seed, 188)].concat()
}

pub(super) fn id3(timestamp: Option<u64>) -> Vec<u8> {
    let mut frame = Vec::new();
    if let Some(timestamp) = timestamp {
        let owner = b"com.apple.streaming.transportStreamTimestamp\0";
        frame.extend(b"PRIV\0\0\0\x35\0\0");
        frame.extend(owner);
        frame.extend(timestamp.to_be_bytes());
    }
    [b"ID3\x04\0\0\0\0\0", &[frame.len() as u8][..], &frame].concat()
}

/// Writes transport packets.
pub(super) struct TsWriter {
    pub(super) out: Vec<u8>,
    counters: std::collections::HashMap<u16, u8>,
}

pub(super) const PMT_PID: u16 = 0x1000;
pub(super) const AUDIO_PID: u16 = 0x101;

fn section(table_id: u8, body: &[u8]) -> Vec<u8> {
    let len = body.len() + 5 + 4;
    let mut section = vec![table_id, 0xB0 | (len >> 8) as u8, len as u8, 0, 1, 0xC1, 0, 0];
    section.extend(body);
    section.extend(super::super::ts::crc32(&section).to_be_bytes());
    section
}

pub(super) fn pat(programs: &[(u16, u16)]) -> Vec<u8> {
    let body: Vec<u8> = programs
        .iter()
        .flat_map(|(program, pid)| [program.to_be_bytes(), (0xE000 | pid).to_be_bytes()].concat())
        .collect();
    section(0, &body)
}

/// Streams: type, PID, descriptors.
pub(super) fn pmt(streams: &[(u8, u16, &[u8])]) -> Vec<u8> {
    let mut body = vec![0xE1, 0x01, 0xF0, 0];
    for (kind, pid, descriptors) in streams {
        body.push(*kind);
        body.extend((0xE000 | pid).to_be_bytes());
        body.extend((0xF000 | descriptors.len() as u16).to_be_bytes());
        body.extend(*descriptors);
    }
    section(2, &body)
}

pub(super) fn pes(stream_id: u8, pts: Option<u64>, payload: &[u8], has_len: bool) -> Vec<u8> {
    let mut head = vec![0x80, if pts.is_some() { 0x80 } else { 0 }, if pts.is_some() { 7 } else { 2 }];
    if let Some(pts) = pts {
        head.push(0x21 | (pts >> 29) as u8 & 0x0E);
        head.extend(((pts >> 14) as u16 | 1).to_be_bytes());
        head.extend(((pts << 1) as u16 | 1).to_be_bytes());
    }
    head.extend([0xFF, 0xFF]);
    let len = if has_len { (head.len() + payload.len()) as u16 } else { 0 };
    [&[0, 0, 1, stream_id], &len.to_be_bytes()[..], &head, payload].concat()
}

impl TsWriter {
    pub(super) fn new() -> Self {
        Self { out: Vec::new(), counters: Default::default() }
    }

    /// A writer that has written the tables of one program.
    pub(super) fn with_tables(streams: &[(u8, u16, &[u8])]) -> Self {
        let mut writer = Self::new();
        writer.table(0, &pat(&[(1, PMT_PID)]));
        writer.table(PMT_PID, &pmt(streams));
        writer
    }

    pub(super) fn aac() -> Self {
        Self::with_tables(&[(0x1B, 0x100, &[]), (0x0F, AUDIO_PID, &[])])
    }

    pub(super) fn table(&mut self, pid: u16, section: &[u8]) {
        let mut payload = [&[0], section].concat();
        payload.resize(payload.len().div_ceil(184) * 184, 0xFF);
        self.payload(pid, &payload);
    }

    /// Writes a payload over as many packets as it takes, with stuffing in the last.
    pub(super) fn payload(&mut self, pid: u16, payload: &[u8]) {
        for (index, part) in payload.chunks(184).enumerate() {
            self.packet(pid, index == 0, part);
        }
    }

    pub(super) fn packet(&mut self, pid: u16, is_start: bool, payload: &[u8]) {
        let counter = self.counters.entry(pid).or_insert(0);
        let control = if payload.len() < 184 { 0x30 } else { 0x10 } | *counter;
        *counter = (*counter + 1) & 0x0F;
        self.out.extend([0x47, (pid >> 8) as u8 | if is_start { 0x40 } else { 0 }, pid as u8, control]);
        match 184 - payload.len() {
            0 => {}
            1 => self.out.push(0),
            stuffing => {
                self.out.extend([(stuffing - 1) as u8, 0]);
                self.out.extend(vec![0xFF; stuffing - 2]);
            }
        }
        self.out.extend(payload);
    }

    pub(super) fn audio(&mut self, pts: u64, frames: &[Vec<u8>]) {
        self.payload(AUDIO_PID, &pes(0xC0, Some(pts), &frames.concat(), true));
    }

    pub(super) fn skip_counter(&mut self, pid: u16) {
        let counter = self.counters.entry(pid).or_insert(0);
        *counter = (*counter + 1) & 0x0F;
    }

    pub(super) fn reset_counters(&mut self) {
        self.counters.clear();
    }
}
