use super::{Reference, embedded};

/// How a fixture is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// One file, read from its first byte to its last.
    File,
    /// One media playlist with its segments.
    Hls,
}

/// One thing to decode, with its reference.
///
/// A master playlist with four variants is four fixtures, one for each media playlist, which share `master`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fixture {
    /// Short unique name: `aac4/128k`, `ts-aac`, `cbr.mp3`.
    pub name: &'static str,
    /// One file or an HLS presentation.
    pub kind: Kind,
    /// Path of the file or the media playlist, as [`file()`] knows it; an [`Origin`](crate::Origin) serves it there.
    pub entry: &'static str,
    /// Path of the master playlist that lists `entry`, where there is one.
    pub master: Option<&'static str>,
    /// `fmp4`, `mpegts`, `adts`, `mpa` (packed MPEG audio), `mp4`, `mp3`, `ogg`, `flac` or `wav`.
    pub container: &'static str,
    /// `aac`, `flac`, `mp3`, `vorbis` or `pcm_s16le`; joined by `+` where it changes.
    pub codec: &'static str,
    /// The media type of `entry`.
    pub content_type: &'static str,
    /// Frames per second.
    pub sample_rate: u32,
    /// Samples per frame.
    pub channels: u16,
    /// Frames of the whole presentation.
    pub frames: u64,
    /// Frames that ffmpeg gives: `frames`, except where `note` says why not.
    pub ffmpeg_frames: u64,
    /// What is particular about it; often empty.
    pub note: &'static str,
    /// Checks a decode.
    pub reference: Reference,
}

impl Fixture {
    /// The bytes of `entry`.
    pub fn bytes(&self) -> &'static [u8] {
        file(self.entry).unwrap_or_default()
    }

    /// The folder that holds `entry` and, for HLS, everything it names.
    pub fn folder(&self) -> Folder {
        folder(self.entry.rsplit_once('/').map_or("", |(folder, _)| folder))
    }

    /// The cargo feature without which it cannot be decoded; `None` for most.
    pub fn feature(&self) -> Option<&'static str> {
        match self.codec {
            "opus" => Some("opus"),
            "he-aac" => Some("fdk-aac"),
            _ => None,
        }
    }

    /// Whether decoders must agree bit for bit.
    pub fn is_lossless(&self) -> bool {
        self.reference.s16le_sha256.is_some()
    }
}

/// Files below one path: `hls/aac4` holds `master.m3u8`, `64k/index.m3u8`, `64k/seg0.m4s` and so on.
#[derive(Clone, Copy, Debug)]
pub struct Folder {
    prefix: &'static str,
}

impl Folder {
    /// The path of the folder, without a closing slash; empty for the root.
    pub fn path(&self) -> &'static str {
        self.prefix
    }

    /// Path below this folder, and content, of every file in it.
    pub fn files(self) -> impl Iterator<Item = (&'static str, &'static [u8])> {
        embedded::FILES.iter().filter_map(move |&(path, bytes)| Some((self.below(path)?, bytes)))
    }

    /// The content of one file by its path below this folder.
    pub fn get(&self, path: &str) -> Option<&'static [u8]> {
        self.files().find(|&(name, _)| name == path).map(|(_, bytes)| bytes)
    }

    fn below(self, path: &'static str) -> Option<&'static str> {
        if self.prefix.is_empty() { Some(path) } else { path.strip_prefix(self.prefix)?.strip_prefix('/') }
    }
}

/// Every fixture.
pub fn all() -> &'static [Fixture] {
    embedded::FIXTURES
}

/// The fixture of that name.
pub fn find(name: &str) -> Option<&'static Fixture> {
    all().iter().find(|fixture| fixture.name == name)
}

/// The content of one embedded file by its path, `hls/aac4/master.m3u8` or `file/cbr.mp3`.
pub fn file(path: &str) -> Option<&'static [u8]> {
    let found = embedded::FILES.binary_search_by(|(name, _)| (*name).cmp(path)).ok()?;
    embedded::FILES.get(found).map(|&(_, bytes)| bytes)
}

/// The files below a path; empty where nothing is.
pub fn folder(path: &'static str) -> Folder {
    Folder { prefix: path.trim_end_matches('/') }
}

/// The main presentation: `master.m3u8` with AAC-LC in fMP4 at 64, 128 and 256 kbit/s and FLAC, 4-s segments.
///
/// All four are cut at the same frames and hold the same sound at the same place, the FLAC variant losslessly.
pub fn hls_aac4() -> Folder {
    folder("hls/aac4")
}

/// The AAC variants of [`hls_aac4`] in 6-s segments, by another packager (ffmpeg's own).
pub fn hls_aac6() -> Folder {
    folder("hls/aac6")
}

/// The media type that a well-kept server gives to a path of this extension; `application/octet-stream` otherwise.
pub fn content_type(path: &str) -> &'static str {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "m3u8" | "m3u" => "application/vnd.apple.mpegurl",
        "mp4" | "m4s" | "cmfa" => "audio/mp4",
        "m4a" => "audio/mp4",
        "ts" => "video/mp2t",
        "aac" => "audio/aac",
        "mp3" => "audio/mpeg",
        "flac" => "audio/flac",
        "ogg" | "oga" => "audio/ogg",
        "opus" => "audio/ogg",
        "wav" => "audio/wav",
        "json" => "application/json",
        "html" => "text/html",
        "txt" => "text/plain",
        _ => "application/octet-stream",
    }
}
