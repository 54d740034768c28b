//! MP4 boxes, init sections and fragments.

/// A box: size, kind, content.
pub fn atom(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut out = (content.len() as u32 + 8).to_be_bytes().to_vec();
    out.extend(kind);
    out.extend(content);
    out
}

/// The same with a 64-bit size.
pub fn atom64(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut out = 1_u32.to_be_bytes().to_vec();
    out.extend(kind);
    out.extend((content.len() as u64 + 16).to_be_bytes());
    out.extend(content);
    out
}

/// A box that begins with version and flags.
pub fn full(kind: &[u8; 4], version: u8, flags: u32, content: &[u8]) -> Vec<u8> {
    let mut inner = (u32::from(version) << 24 | flags & 0xFF_FFFF).to_be_bytes().to_vec();
    inner.extend(content);
    atom(kind, &inner)
}

/// The boxes of a sequence: kind and content. Ends at the first that does not fit.
pub fn atoms(data: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
        let (head, size) = match size {
            0 => (8, rest.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(rest.get(8..16)?.try_into().ok()?)).ok()?),
            size => (8, size as usize),
        };
        let (kind, content) = (rest.get(4..8)?, rest.get(head..size)?);
        rest = rest.get(size..)?;
        Some((kind, content))
    })
}

/// The content of the first box on this path: `find(init, &[b"moov", b"trak", b"mdia"])`.
pub fn find<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    let (first, rest) = path.split_first()?;
    let (_, content) = atoms(data).find(|(kind, _)| kind == first)?;
    if rest.is_empty() { Some(content) } else { find(content, rest) }
}

/// The sample entry of an AAC track.
pub fn aac_entry(sample_rate: u32, channels: u16, config: &[u8]) -> Vec<u8> {
    let descriptor = |tag: u8, body: &[u8]| [&[tag, body.len() as u8], body].concat();
    let specific = descriptor(5, config);
    let mut decoder = vec![0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    decoder.extend(specific);
    let mut stream = vec![0, 0, 0];
    stream.extend(descriptor(4, &decoder));
    stream.extend(descriptor(6, &[2]));
    audio_entry(b"mp4a", sample_rate, channels, &full(b"esds", 0, 0, &descriptor(3, &stream)))
}

/// A sample entry of any audio codec: `boxes` are those after the common fields (`esds`, `dfLa`, `dOps`, `alac`).
pub fn audio_entry(kind: &[u8; 4], sample_rate: u32, channels: u16, boxes: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    out.extend(channels.to_be_bytes());
    out.extend([0, 16, 0, 0, 0, 0]);
    // 16.16; a rate above 65535 does not fit and is 0 (the codec's own box rules).
    out.extend(u16::try_from(sample_rate).unwrap_or(0).to_be_bytes());
    out.extend([0, 0]);
    out.extend(boxes);
    atom(kind, &out)
}

/// A track of an init section.
#[derive(Clone, Debug)]
pub struct Track {
    /// Its identifier.
    pub id: u32,
    /// `soun`, `vide` or whatever else.
    pub handler: [u8; 4],
    /// Ticks per second of its media.
    pub timescale: u32,
    /// Its sample entries, one box each (see [`aac_entry`]).
    pub entries: Vec<Vec<u8>>,
    /// Edits: duration in ticks of the movie (1000 a second; 0 means all of a fragmented track), media time (-1 is empty).
    pub edits: Vec<(u32, i32)>,
}

impl Track {
    /// A sound track with one sample entry.
    pub fn sound(id: u32, timescale: u32, entry: Vec<u8>) -> Self {
        Self { id, handler: *b"soun", timescale, entries: vec![entry], edits: Vec::new() }
    }

    /// The same with an edit list that begins at this media time.
    pub fn starting_at(mut self, media_time: i32) -> Self {
        self.edits = vec![(0, media_time)];
        self
    }

    fn trak(&self) -> Vec<u8> {
        let mut header = vec![0; 8];
        header.extend(self.id.to_be_bytes());
        header.extend([0; 20]);
        header.extend([0, 0, 0, 0, 1, 0, 0, 0]);
        header.extend(MATRIX);
        header.extend([0; 8]);
        let mut media_header = vec![0; 8];
        media_header.extend(self.timescale.to_be_bytes());
        media_header.extend([0, 0, 0, 0, 0x55, 0xC4, 0, 0]);
        let mut handler = vec![0; 4];
        handler.extend(self.handler);
        handler.extend([0; 13]);
        let mut entries = (self.entries.len() as u32).to_be_bytes().to_vec();
        entries.extend(self.entries.concat());
        let table = [
            full(b"stsd", 0, 0, &entries),
            full(b"stts", 0, 0, &[0; 4]),
            full(b"stsc", 0, 0, &[0; 4]),
            full(b"stsz", 0, 0, &[0; 8]),
            full(b"stco", 0, 0, &[0; 4]),
        ];
        let reference = full(b"dref", 0, 0, &[&[0, 0, 0, 1], &full(b"url ", 0, 1, &[])[..]].concat());
        let info = match &self.handler {
            b"vide" => full(b"vmhd", 0, 1, &[0; 8]),
            _ => full(b"smhd", 0, 0, &[0; 4]),
        };
        let information = [info, atom(b"dinf", &reference), atom(b"stbl", &table.concat())].concat();
        let media =
            [full(b"mdhd", 0, 0, &media_header), full(b"hdlr", 0, 0, &handler), atom(b"minf", &information)];
        let parts = [full(b"tkhd", 0, 7, &header), self.edit_box(), atom(b"mdia", &media.concat())];
        atom(b"trak", &parts.concat())
    }

    fn edit_box(&self) -> Vec<u8> {
        if self.edits.is_empty() {
            return Vec::new();
        }
        let mut list = (self.edits.len() as u32).to_be_bytes().to_vec();
        for (duration, media_time) in &self.edits {
            list.extend(duration.to_be_bytes());
            list.extend(media_time.to_be_bytes());
            list.extend([0, 1, 0, 0]);
        }
        atom(b"edts", &full(b"elst", 0, 0, &list))
    }
}

const MATRIX: [u8; 36] = [
    0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0,
    0, 0,
];

/// An init section of these tracks: `ftyp` and `moov`.
pub fn init(tracks: &[Track]) -> Vec<u8> {
    let mut header = vec![0; 8];
    header.extend([0, 0, 3, 0xE8, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0]);
    header.extend([0; 10]);
    header.extend(MATRIX);
    header.extend([0; 24]);
    header.extend(0xFFFF_FFFF_u32.to_be_bytes());
    let defaults = tracks.iter().map(|track| {
        let content = [track.id, 1, 0, 0, 0].map(u32::to_be_bytes).concat();
        full(b"trex", 0, 0, &content)
    });
    let mut movie = full(b"mvhd", 0, 0, &header);
    movie.extend(tracks.iter().flat_map(Track::trak));
    movie.extend(atom(b"mvex", &defaults.collect::<Vec<_>>().concat()));
    [atom(b"ftyp", b"iso6\0\0\0\x01iso6mp41"), atom(b"moov", &movie)].concat()
}

/// One `moof` and its `mdat`, of one or more tracks, in the form that the test wants.
#[derive(Clone, Debug, Default)]
pub struct Fragment {
    /// Sequence number.
    pub sequence: u32,
    /// The parts, in order.
    pub runs: Vec<Run>,
    /// Offsets count from the first byte of the resource, of which this many come before the fragment; without it
    /// from the `moof` (default-base-is-moof).
    pub absolute: Option<u64>,
    /// Writes `tfdt` with 32 bits.
    pub short_time: bool,
    /// Leaves `tfdt` out.
    pub without_time: bool,
    /// Gives the `mdat` a 64-bit size.
    pub long_mdat: bool,
    /// Says the duration of samples once, in `tfhd`, and not for each in `trun`. The first sample's must be that of all.
    pub default_duration: bool,
    /// Boxes in the `traf` after `trun` (`senc`, `uuid`, …), with their headers.
    pub extra: Vec<u8>,
}

/// Samples of one track in a fragment.
#[derive(Clone, Debug)]
pub struct Run {
    /// The track's identifier.
    pub track: u32,
    /// Decode time of the first sample, in ticks of the track.
    pub time: u64,
    /// Content and duration of each sample.
    pub samples: Vec<(Vec<u8>, u32)>,
    /// Into how many `trun` boxes they are split. 0 is 1.
    pub truns: usize,
}

impl Fragment {
    /// A plain fragment of one track whose samples all last equally long.
    pub fn new(sequence: u32, track: u32, time: u64, samples: &[&[u8]], duration: u32) -> Self {
        let samples = samples.iter().map(|sample| (sample.to_vec(), duration)).collect();
        Self { sequence, runs: vec![Run { track, time, samples, truns: 1 }], ..Self::default() }
    }

    /// The bytes of `moof` and `mdat`.
    pub fn build(&self) -> Vec<u8> {
        let data: Vec<u8> =
            self.runs.iter().flat_map(|run| &run.samples).flat_map(|(data, _)| data).copied().collect();
        let mdat = if self.long_mdat { atom64(b"mdat", &data) } else { atom(b"mdat", &data) };
        // The size of the moof does not depend on the offsets in it.
        let size = self.moof(0).len();
        let mut out = self.moof(size + mdat.len() - data.len());
        out.extend(mdat);
        out
    }

    /// Data offsets count from the start of the `moof`, absolute ones from the start of the resource.
    fn moof(&self, data_offset: usize) -> Vec<u8> {
        let mut content = full(b"mfhd", 0, 0, &self.sequence.to_be_bytes());
        let mut offset = data_offset;
        for run in &self.runs {
            content.extend(self.traf(run, &mut offset));
        }
        atom(b"moof", &content)
    }

    fn traf(&self, run: &Run, offset: &mut usize) -> Vec<u8> {
        let mut header = run.track.to_be_bytes().to_vec();
        let mut flags = match self.absolute {
            Some(before) => {
                header.extend(before.to_be_bytes());
                0x01
            }
            None => 0x02_0000,
        };
        if self.default_duration {
            header.extend(run.samples.first().map_or(0, |(_, duration)| *duration).to_be_bytes());
            flags |= 0x08;
        }
        let mut content = full(b"tfhd", 0, flags, &header);
        if !self.without_time {
            content.extend(match self.short_time {
                true => full(b"tfdt", 0, 0, &(run.time as u32).to_be_bytes()),
                false => full(b"tfdt", 1, 0, &run.time.to_be_bytes()),
            });
        }
        let per = run.samples.len().div_ceil(run.truns.max(1)).max(1);
        for samples in run.samples.chunks(per) {
            let mut table = (samples.len() as u32).to_be_bytes().to_vec();
            table.extend((*offset as u32).to_be_bytes());
            for (data, duration) in samples {
                if !self.default_duration {
                    table.extend(duration.to_be_bytes());
                }
                table.extend((data.len() as u32).to_be_bytes());
                *offset += data.len();
            }
            content.extend(full(b"trun", 0, if self.default_duration { 0x201 } else { 0x301 }, &table));
        }
        content.extend(&self.extra);
        atom(b"traf", &content)
    }
}
