//! MPEG-TS, packet by packet.

use std::collections::HashMap;

/// One elementary stream as a PMT lists it.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its PID.
    pub pid: u16,
    /// Its type: 0x0F is AAC in ADTS, 0x03 and 0x04 MPEG audio, 0x11 LATM, 0x1B H.264, 0x81 AC-3.
    pub kind: u8,
    /// Descriptors, with their tags and lengths.
    pub descriptors: Vec<u8>,
}

impl Stream {
    /// A stream without descriptors.
    pub fn new(pid: u16, kind: u8) -> Self {
        Self { pid, kind, descriptors: Vec::new() }
    }
}

/// Writes packets; counts continuity for each PID.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    counters: HashMap<u16, u8>,
    /// Bytes before each packet: 4 makes packets of 192 bytes.
    pub before: usize,
    /// Bytes after each packet: 16 makes packets of 204 bytes.
    pub after: usize,
}

/// The PID of the only program's map.
pub const PMT_PID: u16 = 0x1000;
const PACKET: usize = 188;

impl Writer {
    /// A writer of packets of 188 bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything written.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Any bytes between two packets.
    pub fn garbage(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend(bytes);
        self
    }

    /// The PAT: one program, whose map is on [`PMT_PID`].
    pub fn pat(&mut self) -> &mut Self {
        let [high, low] = PMT_PID.to_be_bytes();
        let table = section(0, 1, &[0, 1, 0xE0 | high, low]);
        self.table(0, &table)
    }

    /// The PMT of these streams.
    pub fn pmt(&mut self, streams: &[Stream]) -> &mut Self {
        let pcr = streams.first().map_or(0x1FFF, |stream| stream.pid).to_be_bytes();
        let mut body = vec![0xE0 | pcr[0], pcr[1], 0xF0, 0];
        for stream in streams {
            let [high, low] = stream.pid.to_be_bytes();
            let length = (stream.descriptors.len() as u16).to_be_bytes();
            body.extend([stream.kind, 0xE0 | high, low, 0xF0 | length[0], length[1]]);
            body.extend(&stream.descriptors);
        }
        let table = section(2, 1, &body);
        self.table(PMT_PID, &table)
    }

    /// A PES packet (in as many TS packets as it takes) with this time stamp at 90 kHz, of which 33 bits are written.
    ///
    /// `stream_id`: 0xC0 is the first audio stream, 0xE0 the first video stream, 0xBD private.
    pub fn pes(&mut self, pid: u16, stream_id: u8, pts: Option<u64>, payload: &[u8]) -> &mut Self {
        let stamp = pts.map(pts_field);
        let header_len = stamp.map_or(0, |stamp| stamp.len());
        let length = u16::try_from(payload.len() + 3 + header_len).unwrap_or(0).to_be_bytes();
        let mut bytes = vec![0, 0, 1, stream_id, length[0], length[1], 0x80];
        bytes.extend([if pts.is_some() { 0x80 } else { 0 }, header_len as u8]);
        bytes.extend(stamp.into_iter().flatten());
        bytes.extend(payload);
        self.packets(pid, &bytes)
    }

    /// A packet with an adaptation field alone, of stuffing: it carries nothing and counts nothing.
    pub fn stuffing(&mut self, pid: u16) -> &mut Self {
        let last = self.counters.get(&pid).copied().unwrap_or(0).wrapping_sub(1) & 15;
        let [high, low] = (pid & 0x1FFF).to_be_bytes();
        let mut packet = vec![0x47, high, low, 0x20 | last, 183, 0];
        packet.resize(PACKET, 0xFF);
        self.raw(&packet)
    }

    /// The last packet once more, as 13818-1 (2.4.3.3) allows.
    pub fn repeat(&mut self) -> &mut Self {
        let size = self.before + PACKET + self.after;
        let start = self.out.len().saturating_sub(size);
        self.out.extend_from_within(start..);
        self
    }

    /// A packet of the caller's, with what stands around packets.
    pub fn raw(&mut self, packet: &[u8]) -> &mut Self {
        self.out.extend(std::iter::repeat_n(0, self.before));
        self.out.extend(packet);
        self.out.extend(std::iter::repeat_n(0xA5, self.after));
        self
    }

    /// A payload that begins a unit, cut into packets; the last one is filled up by an adaptation field.
    pub fn packets(&mut self, pid: u16, payload: &[u8]) -> &mut Self {
        for (n, part) in payload.chunks(PACKET - 4).enumerate() {
            self.packet(pid, n == 0, part);
        }
        self
    }

    /// A packet of padding.
    pub fn null(&mut self) -> &mut Self {
        self.packet(0x1FFF, false, &[0xFF; PACKET - 4])
    }

    /// Makes the next packet of a PID look as if some before it were lost.
    pub fn lose(&mut self, pid: u16, packets: u8) -> &mut Self {
        let counter = self.counters.entry(pid).or_default();
        *counter = counter.wrapping_add(packets) & 15;
        self
    }

    /// One packet: up to 184 bytes of payload. The rest of longer ones is left out.
    pub fn packet(&mut self, pid: u16, starts: bool, payload: &[u8]) -> &mut Self {
        let payload = &payload[..payload.len().min(PACKET - 4)];
        let counter = self.counters.entry(pid).or_default();
        let [high, low] = (pid & 0x1FFF).to_be_bytes();
        let stuffing = PACKET - 4 - payload.len();
        let control = if stuffing > 0 { 0x30 } else { 0x10 };
        self.out.extend(std::iter::repeat_n(0, self.before));
        self.out.extend([0x47, if starts { 0x40 } else { 0 } | high, low, control | *counter]);
        *counter = (*counter + 1) & 15;
        if stuffing > 0 {
            self.out.push((stuffing - 1) as u8);
        }
        if stuffing > 1 {
            self.out.push(0);
            self.out.extend(std::iter::repeat_n(0xFF, stuffing - 2));
        }
        self.out.extend(payload);
        self.out.extend(std::iter::repeat_n(0xA5, self.after));
        self
    }

    /// A table in packets of its own, after a pointer field of 0; filled up by 0xFF as tables are.
    fn table(&mut self, pid: u16, section: &[u8]) -> &mut Self {
        let mut bytes = vec![0];
        bytes.extend(section);
        bytes.resize(bytes.len().next_multiple_of(PACKET - 4), 0xFF);
        self.packets(pid, &bytes)
    }
}

/// A section with its length and CRC.
pub fn section(table: u8, number: u16, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16 + 9).to_be_bytes();
    let [high, low] = number.to_be_bytes();
    let mut out = vec![table, 0xB0 | length[0], length[1], high, low, 0xC1, 0, 0];
    out.extend(body);
    out.extend(crc32(&out).to_be_bytes());
    out
}

fn pts_field(pts: u64) -> [u8; 5] {
    let bits = |shift: u32, mask: u64| (pts >> shift & mask) as u8;
    [0x21 | bits(30, 7) << 1, bits(22, 0xFF), bits(15, 0x7F) << 1 | 1, bits(7, 0xFF), bits(0, 0x7F) << 1 | 1]
}

/// The CRC-32 of MPEG-2 sections.
fn crc32(data: &[u8]) -> u32 {
    data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            crc << 1 ^ (0x04C1_1DB7 & 0_u32.wrapping_sub(crc >> 31))
        })
    })
}
