//! One stream, whatever it is: an HLS presentation, a file over HTTP, a file on disk.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kithara::assets::{AssetSettings, AssetStore, Assets, AssetsExt};
use kithara::decode::{AudioSpec, DecodeError, PcmChunk};
use kithara::file::{File, FileError, FileOptions, FileStream};
use kithara::hls::playlist::{PlaylistError, PlaylistErrorKind};
use kithara::hls::{Hls, HlsError, HlsEvent, HlsOptions, HlsStream, VariantMode};
use kithara::net::{DefaultNet, NetOptions, RedactedUrl, TransferStats, Url};
use kithara_testkit::Origin;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::args::{DecodeArgs, Variant};
use crate::decode::context;
use crate::plot::Plot;
use crate::recording::Recording;
use crate::report::{ReportSwitch, ReportVariant};

type Failure = Box<dyn Error + Send + Sync>;

/// The bundled presentation.
const DEMO: &str = "/hls/aac4/master.m3u8";

/// What a stream stands on: the network, the store, and for local playlists and the demo an origin.
pub(crate) struct Session {
    source: Source,
    net: DefaultNet,
    assets: AssetStore,
    /// It was said that the cache keeps nothing.
    warned: bool,
    transfers: Arc<TransferStats>,
    /// Serves the demo and local playlists on loopback.
    _origin: Option<Origin>,
}

#[derive(Debug)]
enum Source {
    Hls(Url),
    /// A URL whose path does not say what it is: a file, unless its first bytes are a playlist's.
    Unknown(Url),
    Path(PathBuf),
}

impl Session {
    /// Finds out what is to be opened, and makes the network and the store (in `folder` where no other was asked for).
    pub(crate) async fn prepare(args: &DecodeArgs, folder: Option<&Path>) -> Result<Self, Failure> {
        let mut origin = None;
        let source = find(&args.source, &mut origin).await?;
        if let Source::Path(path) = &source {
            refuse_to_overwrite(path, args)?;
        }
        let transfers = Arc::new(TransferStats::new());
        let (assets, warned) = store(args, folder);
        let net = network(args, Arc::clone(&transfers));
        Ok(Self { source, net, assets, warned, transfers, _origin: origin })
    }

    /// Opens the stream.
    pub(crate) async fn open(&self, args: &DecodeArgs) -> Result<AudioStream, Failure> {
        match &self.source {
            Source::Hls(url) => Ok(self.hls(url.clone(), args).await?),
            Source::Path(path) => {
                Ok(AudioStream::file(File::open_path(path, self.file_options(args)).await?))
            }
            Source::Unknown(url) => match File::open(url.clone(), self.file_options(args)).await {
                Ok(file) => Ok(AudioStream::file(file)),
                // No media by its first bytes: perhaps a playlist whose URL does not say so.
                Err(FileError::Decode(error)) if !names_media(&error) => {
                    match self.hls(url.clone(), args).await {
                        Err(HlsError::Playlist { source, .. }) if is_no_playlist(&source) => {
                            Err(FileError::Decode(error).into())
                        }
                        other => Ok(other?),
                    }
                }
                Err(error) => Err(error.into()),
            },
        }
    }

    async fn hls(&self, url: Url, args: &DecodeArgs) -> Result<AudioStream, HlsError> {
        let mut options = HlsOptions::new(self.net.clone(), self.assets.clone());
        options.offline = args.offline;
        options.output = args.pcm();
        // What lies before it is not fetched ahead.
        options.start = args.start.or_else(|| args.seek.first().copied());
        options.variant = match args.variant {
            Variant::Auto => VariantMode::Auto,
            Variant::Highest => VariantMode::Highest,
            Variant::Lowest => VariantMode::Lowest,
            Variant::Index(index) => VariantMode::Manual(index),
        };
        let limit = args.max_bandwidth.map(|kbps| kbps.saturating_mul(1000));
        let options = options.with_abr_policy(args.policy.clone()).with_max_bandwidth(limit);
        let begun = Instant::now();
        let mut stream = Box::new(Hls::open(url, options).await?);
        let events = stream.events();
        let recording = Recording::new(begun);
        Ok(AudioStream::Hls { stream, events, switches: Vec::new(), recording })
    }

    fn file_options(&self, args: &DecodeArgs) -> FileOptions {
        let mut options = FileOptions::new(self.net.clone(), self.assets.clone());
        options.offline = args.offline;
        options.output = args.pcm();
        options
    }

    /// Requests and bytes so far.
    pub(crate) fn transfers(&self) -> &TransferStats {
        &self.transfers
    }

    /// Writes the store's indexes, and says if the cache does not hold what it was asked to keep.
    pub(crate) async fn close(self, args: &DecodeArgs) {
        let flushed = self.assets.flush().await;
        if args.cache.is_some()
            && !self.warned
            && let Some(error) = self.assets.trouble().or(flushed.err())
        {
            crate::complain("warning: not all is kept in the cache", &error);
        }
    }
}

fn network(args: &DecodeArgs, transfers: Arc<TransferStats>) -> DefaultNet {
    let headers = args.headers.iter().cloned();
    headers
        .fold(NetOptions::default().with_observer(transfers), |settings, (name, value)| {
            settings.with_header(name, value)
        })
        .build()
}

/// The folder of a cache that nobody wants to keep. It must outlive the runtime, whose tasks write to it to their end.
pub(crate) fn temporary_folder(args: &DecodeArgs) -> Option<TempDir> {
    if args.no_cache || args.cache.is_some() {
        return None;
    }
    tempfile::Builder::new().prefix("kithara-").tempdir().ok()
}

/// The store that was asked for, and whether it was said that it keeps nothing: a folder that cannot be written is no
/// reason not to play.
fn store(args: &DecodeArgs, temporary: Option<&Path>) -> (AssetStore, bool) {
    let settings = AssetSettings::default();
    let Some(folder) = args.cache.as_deref().or(temporary) else {
        return (AssetStore::memory(settings), false);
    };
    let (assets, trouble) = AssetStore::disk_or_memory(folder, settings);
    if let Some(error) = &trouble {
        crate::complain("warning: nothing is kept in the cache", error);
    }
    (assets, trouble.is_some())
}

/// What a command line names.
async fn find(source: &OsStr, origin: &mut Option<Origin>) -> Result<Source, Failure> {
    let path = Path::new(source);
    // A path need not be text; a URL is.
    let Some(text) = source.to_str() else { return local(path.to_owned(), origin).await };
    if text == "demo" {
        return Ok(Source::Hls(Url::parse(&started(origin).await?.url(DEMO))?));
    }
    if text == "-" {
        return Err("standard input cannot be decoded: a source is a URL or a file".into());
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && is_playlist(url.path()) => {
            Ok(Source::Hls(url))
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Source::Unknown(url)),
        Ok(url) if url.scheme() == "file" => {
            let path = url
                .to_file_path()
                .map_err(|()| format!("{} is no path of this machine", RedactedUrl(&url)))?;
            local(path, origin).await
        }
        Ok(url) if !path.exists() => Err(format!("cannot open {} URLs", url.scheme()).into()),
        // It is not repeated: where its password stands cannot be told.
        Err(error) if text.contains("://") && !path.exists() => Err(context("this is no URL", error)),
        _ => local(path.to_owned(), origin).await,
    }
}

/// A file on disk; a playlist is served from its folder, so that it finds what it names.
async fn local(path: PathBuf, origin: &mut Option<Origin>) -> Result<Source, Failure> {
    let Some(name) = path.file_name().filter(|name| is_playlist(&name.to_string_lossy())) else {
        return Ok(Source::Path(path));
    };
    if !path.is_file() {
        return Ok(Source::Path(path));
    }
    let name = name.to_str().ok_or("the file name of a playlist has to be UTF-8")?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let served = started(origin).await?;
    served.serve_folder("", folder);
    let mut url = Url::parse(&served.url("/"))?;
    // Escapes what means something in a URL.
    url.path_segments_mut().map_err(|()| "no such path")?.pop_if_empty().push(name);
    Ok(Source::Hls(url))
}

/// The first samples would destroy what they are read from.
fn refuse_to_overwrite(source: &Path, args: &DecodeArgs) -> Result<(), Failure> {
    let Some(output) = args.output.as_deref().filter(|_| !args.writes_stdout()) else { return Ok(()) };
    match (source.canonicalize(), output.canonicalize()) {
        (Ok(source), Ok(output)) if source == output => Err("the output is the source".into()),
        _ => Ok(()),
    }
}

async fn started(origin: &mut Option<Origin>) -> Result<&Origin, Failure> {
    Ok(origin.insert(Origin::start().await?))
}

/// Whether it was known for media.
fn names_media(error: &DecodeError) -> bool {
    matches!(error, DecodeError::Unsupported(_) | DecodeError::NoAudioFound { .. })
}

/// Whether it is something else altogether, not a playlist with a fault.
fn is_no_playlist(error: &PlaylistError) -> bool {
    matches!(error.kind, PlaylistErrorKind::NotAPlaylist { .. })
}

fn is_playlist(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    lower.ends_with(".m3u8") || lower.ends_with(".m3u")
}

/// An open stream.
pub(crate) enum AudioStream {
    Hls {
        stream: Box<HlsStream>,
        events: Receiver<HlsEvent>,
        switches: Vec<ReportSwitch>,
        recording: Recording,
    },
    File(Box<FileStream>),
}

impl AudioStream {
    fn file(stream: FileStream) -> Self {
        Self::File(Box::new(stream))
    }

    pub(crate) async fn next_chunk(&mut self) -> Result<Option<PcmChunk>, Failure> {
        let chunk = match self {
            Self::Hls { stream, .. } => stream.next_chunk().await?,
            Self::File(stream) => stream.next_chunk().await?,
        };
        self.note_switches();
        Ok(chunk)
    }

    pub(crate) async fn seek(&mut self, to: Duration) -> Result<u64, Failure> {
        Ok(match self {
            Self::Hls { stream, .. } => stream.seek(to).await?,
            Self::File(stream) => stream.seek(to).await?,
        })
    }

    pub(crate) fn spec(&self) -> AudioSpec {
        match self {
            Self::Hls { stream, .. } => stream.spec(),
            Self::File(stream) => stream.spec(),
        }
    }

    pub(crate) fn duration(&self) -> Option<Duration> {
        match self {
            Self::Hls { stream, .. } => stream.duration(),
            Self::File(stream) => stream.duration(),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Hls { .. } => "hls",
            Self::File(_) => "file",
        }
    }

    pub(crate) fn container(&self) -> Option<&'static str> {
        match self {
            Self::Hls { stream, .. } => stream.container(),
            Self::File(stream) => Some(stream.details().container),
        }
    }

    pub(crate) fn codec(&self) -> Option<&'static str> {
        match self {
            Self::Hls { stream, .. } => stream.codec(),
            Self::File(stream) => Some(stream.details().codec),
        }
    }

    pub(crate) fn cache_hits(&self) -> u64 {
        match self {
            Self::Hls { stream, .. } => stream.stats().cache_hits,
            Self::File(stream) => stream.stats().cache_hits,
        }
    }

    pub(crate) fn variants(&self) -> Vec<ReportVariant> {
        let Self::Hls { stream, .. } = self else { return Vec::new() };
        let variants = stream.variants().iter();
        variants
            .map(|variant| ReportVariant {
                index: variant.index,
                bandwidth: variant.bandwidth,
                codecs: variant.codecs.clone(),
            })
            .collect()
    }

    /// The picture of the run so far; `None` for a file.
    pub(crate) fn plot(&mut self, title: String) -> Option<Plot> {
        self.note_switches();
        let ladder = self.variants().iter().map(|variant| variant.bandwidth as f64 / 1e3).collect();
        let Self::Hls { recording, .. } = self else { return None };
        Some(recording.plot(title, ladder))
    }

    /// The changes of variant that were heard, taken out.
    pub(crate) fn switches(&mut self) -> Vec<ReportSwitch> {
        self.note_switches();
        match self {
            Self::Hls { switches, .. } => std::mem::take(switches),
            Self::File(_) => Vec::new(),
        }
    }

    fn note_switches(&mut self) {
        let Self::Hls { events, switches, recording, .. } = self else { return };
        loop {
            let event = events.try_recv();
            if let Ok(event) = &event {
                recording.note(event);
            }
            match event {
                Ok(HlsEvent::VariantSwitched { at, from, to, reason }) => {
                    switches.push(ReportSwitch {
                        at_s: at.as_secs_f64(),
                        from,
                        to,
                        reason: reason.to_string(),
                    });
                }
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(_) => break,
            }
        }
    }
}
