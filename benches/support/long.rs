//! Ten minutes of the bundled media: long enough that its start and its end do not count.

use std::fmt::Write as _;

use bytes::Bytes;
use kithara_testkit::{Content, Origin, Resource, media};

/// How often the eight whole segments (32 s) follow each other.
const ROUNDS: u64 = 19;

const HEAD: &str = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"init.mp4\"\n";

/// Whole segments of the bundled presentation.
const WHOLE: usize = 8;

/// Path of the long media playlist of a variant, below the origin.
pub fn playlist_path(variant: &str) -> String {
    format!("/long/{variant}/index.m3u8")
}

/// Path of the init section of a variant.
pub fn init_path(variant: &str) -> String {
    format!("/long/{variant}/init.mp4")
}

/// The FLAC variant with segments of 2 MB: what is missing is a box that nobody reads.
pub const LARGE: &str = "flac-2mb";
const LARGE_SEGMENT: usize = 2_000_000;

/// The AAC variant for as many [`hours`] as are asked for.
pub const HOURS: &str = "128k-hours";

/// `KITHARA_BENCH_HOURS`, else none.
pub fn hours() -> u64 {
    std::env::var("KITHARA_BENCH_HOURS").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Path of the long MP3.
pub const MP3: &str = "/long/cbr.mp3";

/// Segments as they are served: path, length in seconds.
pub fn segments(variant: &str) -> Vec<(String, f64)> {
    let lengths = lengths(source(variant));
    (0..ROUNDS as usize * WHOLE).map(|n| (format!("/long/{variant}/{n}.m4s"), lengths[n % WHOLE])).collect()
}

/// The init section and the segments of a variant, with timestamps that go on.
pub fn fragments(variant: &str) -> (&'static [u8], impl Iterator<Item = Bytes> + use<>) {
    let file = |name: String| media::file(&format!("hls/aac4/{}/{name}", source(variant))).unwrap();
    let sources: Vec<&[u8]> = (0..=WHOLE).map(|n| file(format!("seg{n}.m4s"))).collect();
    // What comes after the whole segments begins where a round ends.
    let round = decode_time(sources[WHOLE]) - decode_time(sources[0]);
    let all = (0..ROUNDS).flat_map(move |n| {
        sources[..WHOLE].iter().map(move |segment| moved(segment, n * round)).collect::<Vec<_>>()
    });
    (file("init.mp4".to_owned()), all)
}

/// The frames of the bundled MP3, again and again, without tags.
pub fn mp3() -> Bytes {
    let bytes = media::file("file/cbr.mp3").unwrap();
    // ID3v2: ten bytes and a length of four times seven bits; then the frame that holds the LAME tag.
    let tag = bytes[6..10].iter().fold(0_usize, |len, byte| len << 7 | usize::from(*byte)) + 10;
    let frames = if bytes.starts_with(b"ID3") { &bytes[tag..] } else { bytes };
    // 144 × 128,000 / 44,100 is 417: LAME's first frame is not padded.
    let frames = &frames[417..];
    let frames =
        if frames[frames.len() - 128..].starts_with(b"TAG") { &frames[..frames.len() - 128] } else { frames };
    Bytes::from(frames.repeat(60))
}

pub fn serve(origin: &Origin) {
    if hours() > 0 {
        serve_hours(origin);
    }
    for variant in ["128k", "flac", LARGE] {
        let mut list = HEAD.to_owned();
        let (init, fragments) = fragments(variant);
        origin.serve(&init_path(variant), Resource::new(init));
        for ((path, length), bytes) in segments(variant).into_iter().zip(fragments) {
            let name = path.rsplit('/').next().unwrap();
            writeln!(list, "#EXTINF:{length},\n{name}").unwrap();
            let content = if variant == LARGE { padded(bytes) } else { bytes.into() };
            origin.serve(&path, Resource::new(content));
        }
        list.push_str("#EXT-X-ENDLIST\n");
        origin.serve(&playlist_path(variant), Resource::new(list));
    }
    origin.serve(MP3, Resource::new(mp3()));
}

/// Segments that are made while they are sent: hours of them take no memory.
fn serve_hours(origin: &Origin) {
    let source = "128k";
    let (init, round) = fragments(source);
    let round: Vec<Bytes> = round.take(2 * WHOLE).collect();
    let ticks = decode_time(&round[WHOLE]) - decode_time(&round[0]);
    let lengths = lengths(source);
    let seconds: f64 = lengths[..WHOLE].iter().sum();
    origin.serve(&init_path(HOURS), Resource::new(init));
    let mut list = HEAD.to_owned();
    for n in 0..(hours() as f64 * 3_600.0 / seconds) as usize * WHOLE {
        let segment = round[n % WHOLE].clone();
        let at = decode_time_at(&segment);
        let time = decode_time(&segment) + (n / WHOLE) as u64 * ticks;
        let content = Content::generated(Some(segment.len() as u64), move |offset, buffer| {
            let offset = offset as usize;
            buffer.copy_from_slice(&segment[offset..offset + buffer.len()]);
            for (place, byte) in (at..).zip(time.to_be_bytes()) {
                if let Some(slot) = place.checked_sub(offset).and_then(|place| buffer.get_mut(place)) {
                    *slot = byte;
                }
            }
        });
        origin.serve(&format!("/long/{HOURS}/{n}.m4s"), Resource::new(content));
        writeln!(list, "#EXTINF:{},\n{n}.m4s", lengths[n % WHOLE]).unwrap();
    }
    list.push_str("#EXT-X-ENDLIST\n");
    origin.serve(&playlist_path(HOURS), Resource::new(list));
}

/// The bundled variant that a long one is made of.
fn source(variant: &str) -> &str {
    if variant == LARGE { "flac" } else { variant }
}

/// The segment and a `free` box behind it, which is made while it is sent.
fn padded(segment: Bytes) -> Content {
    let missing = LARGE_SEGMENT.saturating_sub(segment.len()).max(8);
    let mut head = segment.to_vec();
    head.extend_from_slice(&(missing as u32).to_be_bytes());
    head.extend_from_slice(b"free");
    let len = segment.len() + missing;
    Content::generated(Some(len as u64), move |offset, buffer| {
        let known = head.get(offset as usize..).unwrap_or_default();
        let (copied, rest) = buffer.split_at_mut(known.len().min(buffer.len()));
        copied.copy_from_slice(&known[..copied.len()]);
        rest.fill(0);
    })
}

fn lengths(variant: &str) -> Vec<f64> {
    let list = std::str::from_utf8(media::file(&format!("hls/aac4/{variant}/index.m3u8")).unwrap()).unwrap();
    let lengths = list.lines().filter_map(|line| line.strip_prefix("#EXTINF:"));
    lengths.map(|length| length.trim_end_matches(',').parse().unwrap()).collect()
}

/// The segment, `ticks` later.
fn moved(segment: &[u8], ticks: u64) -> Bytes {
    let mut bytes = segment.to_vec();
    let at = decode_time_at(segment);
    let time = decode_time(segment) + ticks;
    bytes[at..at + 8].copy_from_slice(&time.to_be_bytes());
    Bytes::from(bytes)
}

fn decode_time(segment: &[u8]) -> u64 {
    let at = decode_time_at(segment);
    u64::from_be_bytes(segment[at..at + 8].try_into().unwrap())
}

/// Where the 64-bit time of the only `tfdt` stands.
fn decode_time_at(segment: &[u8]) -> usize {
    let at = segment.windows(4).position(|four| four == b"tfdt").unwrap();
    assert_eq!(segment[at + 4], 1, "a tfdt of version 1");
    at + 8
}
