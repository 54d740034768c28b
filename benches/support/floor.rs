//! What the same work costs at least: bare Symphonia on bytes in memory, bare sequential GETs.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kithara_testkit::media::{self, Fixture, Kind};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType, probe::Hint};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use tokio::runtime::Runtime;

/// Decodes bytes in memory with nothing but Symphonia, to its own planar buffers: the count of frames.
pub fn decode(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> u64 {
    Decode::new(bytes).count()
}

/// Decodes bodies that are fetched one after the other, each when the last one is used up: the count of frames.
pub fn decode_arriving(client: reqwest::Client, urls: Vec<String>, folder: Option<PathBuf>) -> u64 {
    let runtime = super::runtime();
    Decode::of(Box::new(Bodies { runtime, client, urls: urls.into_iter(), folder, body: Cursor::default() }))
        .count()
}

/// Bare Symphonia, packet by packet.
pub struct Decode {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
}

impl Decode {
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self::of(Box::new(Cursor::new(bytes)))
    }

    fn of(source: Box<dyn MediaSource>) -> Self {
        let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
        let format = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
            .unwrap();
        let track = format.default_track(TrackType::Audio).unwrap();
        let params = track.codec_params.as_ref().unwrap().audio().unwrap();
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(params, &AudioDecoderOptions::default())
            .unwrap();
        Self { format, decoder }
    }

    /// Frames of all packets.
    fn count(mut self) -> u64 {
        std::iter::from_fn(|| self.next()).sum()
    }

    /// Frames of the next packet.
    pub fn next(&mut self) -> Option<u64> {
        let packet = self.format.next_packet().ok()??;
        Some(self.decoder.decode(&packet).map_or(0, |audio| std::hint::black_box(audio).frames()) as u64)
    }
}

/// The bodies of several URLs as one stream of bytes.
struct Bodies {
    runtime: Runtime,
    client: reqwest::Client,
    urls: std::vec::IntoIter<String>,
    /// Each body goes into a file of its own first, and is read from there.
    folder: Option<PathBuf>,
    body: Cursor<Vec<u8>>,
}

impl Read for Bodies {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.body.read(out)?;
            if read > 0 {
                return Ok(read);
            }
            let Some(url) = self.urls.next() else { return Ok(0) };
            let body = self.body.get_mut();
            body.clear();
            match &self.folder {
                None => self.runtime.block_on(get_into(&self.client, &url, body)),
                Some(folder) => {
                    let path = folder.join(self.urls.len().to_string());
                    self.runtime.block_on(get_to_file(&self.client, &url, &path));
                    std::fs::File::open(path)?.read_to_end(body)?;
                }
            }
            self.body.set_position(0);
        }
    }
}

impl Seek for Bodies {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl MediaSource for Bodies {
    fn is_seekable(&self) -> bool {
        false
    }

    fn byte_len(&self) -> Option<u64> {
        None
    }
}

/// The bytes of a fixture as one file: init section and segments of an fMP4 presentation one after the other.
pub fn joined(fixture: &Fixture) -> &'static [u8] {
    match fixture.kind {
        Kind::Hls => {
            Vec::leak(paths(fixture).iter().flat_map(|path| media::file(path).unwrap()).copied().collect())
        }
        _ => media::file(fixture.entry).unwrap(),
    }
}

/// Paths of the init section and the segments that a media playlist names, in order.
pub fn paths(fixture: &Fixture) -> Vec<String> {
    let playlist = std::str::from_utf8(fixture.bytes()).unwrap();
    let map = playlist.lines().find_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")?.split('"').next());
    let segments = playlist.lines().filter(|line| !line.starts_with('#'));
    map.into_iter().chain(segments).map(|name| format!("{}/{name}", fixture.folder().path())).collect()
}

/// A client as anybody would make it. Building it is never measured.
pub fn client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap()
}

/// A whole body, chunk by chunk, dropped: its length.
pub async fn get(client: &reqwest::Client, url: &str) -> u64 {
    let mut response = client.get(url).send().await.unwrap().error_for_status().unwrap();
    let mut len = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        len += chunk.len() as u64;
    }
    len
}

/// A whole body into a file that survives a power failure: written beside its place, synchronised, renamed.
pub async fn get_to_file(client: &reqwest::Client, url: &str, path: &Path) {
    let new = path.with_extension("new");
    let mut file = std::fs::File::create(&new).unwrap();
    let mut response = client.get(url).send().await.unwrap().error_for_status().unwrap();
    while let Some(chunk) = response.chunk().await.unwrap() {
        std::io::Write::write_all(&mut file, &chunk).unwrap();
    }
    file.sync_all().unwrap();
    std::fs::rename(&new, path).unwrap();
}

/// A whole body.
pub async fn get_bytes(client: &reqwest::Client, url: &str) -> Vec<u8> {
    let mut body = Vec::new();
    get_into(client, url, &mut body).await;
    body
}

/// Appends a whole body.
pub async fn get_into(client: &reqwest::Client, url: &str, body: &mut Vec<u8>) {
    let mut response = client.get(url).send().await.unwrap().error_for_status().unwrap();
    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
}

/// The first bytes of a body: how many came at once.
pub async fn get_first(client: &reqwest::Client, url: &str) -> u64 {
    let mut response = client.get(url).send().await.unwrap().error_for_status().unwrap();
    response.chunk().await.unwrap().map_or(0, |chunk| chunk.len() as u64)
}
