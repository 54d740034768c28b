//! [`File`]: from a URL or a path to a stream of PCM.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kithara_assets::{AssetStore, Assets, ResourceKey};
use kithara_decode::{DecodeAhead, DecodeAheadSettings, DecodeOptions};
use kithara_net::{DefaultNet, Net, RedactedUrl, Url};
use kithara_storage::{ResourceStatus, Streaming};
use kithara_stream::{MediaInfo, Source, SyncReader, Validation};
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tracing::Instrument;

use crate::download::Download;
use crate::engine::{Engine, EngineSettings};
use crate::shared::{ReaderCell, Shared};
use crate::source::FileSource;
use crate::stream::{Cached, FileStream, Parts};
use crate::{FileError, FileEvent, FileOptions};

/// Opens progressive files.
#[derive(Clone, Copy, Debug)]
pub struct File;

impl File {
    /// Opens the file at an `http`, `https` or `file` URL. Returns once the format is known and decoding has begun: after
    /// the first few kilobytes, not after the file.
    ///
    /// Needs a tokio runtime with time and I/O enabled, of any flavour. The stream owns one task (the download, which
    /// streams of the same URL share) and one thread (the decoder). Dropping the future ends both; what was downloaded
    /// stays in the store.
    ///
    /// # Errors
    /// The bytes cannot be had, or are no audio that can be decoded here: see [`FileError`].
    pub async fn open<N: Net, A: Assets>(
        url: Url,
        options: FileOptions<N, A>,
    ) -> Result<FileStream, FileError> {
        match url.scheme() {
            // Large while it lasts: the task of an application that opens a stream and then reads it need not have room for it.
            "http" | "https" => {
                let span = tracing::debug_span!("file", url = %RedactedUrl(&url));
                Box::pin(open_remote(url, options)).instrument(span).await
            }
            "file" => {
                let path = url.to_file_path().map_err(|()| invalid(&url, "not a path of this machine"))?;
                Box::pin(Self::open_path(path, options)).await
            }
            other => Err(invalid(&url, &format!("the scheme {other} is not one of http, https and file"))),
        }
    }

    /// Opens the bytes of the file at an `http` or `https` URL, without a decoder: the same download, store and errors.
    ///
    /// # Errors
    /// The first bytes cannot be had.
    pub async fn open_source<N: Net, A: Assets>(
        url: Url,
        options: &FileOptions<N, A>,
    ) -> Result<FileSource<A::Streaming>, FileError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(&url, "the scheme is neither http nor https"));
        }
        Ok(connect(&url, options).await?.source)
    }

    /// Opens a local file: the same decoder, without store and network.
    ///
    /// # Errors
    /// The file cannot be read, is no regular file, or is no audio that can be decoded here.
    pub async fn open_path<N, A>(
        path: impl AsRef<Path>,
        options: FileOptions<N, A>,
    ) -> Result<FileStream, FileError> {
        Handle::try_current().map_err(|_| FileError::NoRuntime)?;
        let path = path.as_ref().to_owned();
        let info = MediaInfo::new(None, path.to_str());
        let (file, len) = open_local(path)?;
        let (events, receiver) = broadcast::channel(options.event_capacity.max(1));
        let cell = Arc::new(ReaderCell::new(u64::MAX, events));
        let decode = decode_options(&options);
        let ahead = DecodeAhead::open(file, info.clone(), decode, DecodeAheadSettings::default()).await?;
        let cached = Cached { hit: false, bytes: 0 };
        let parts = Parts::<kithara_storage::StreamingResource> {
            cell,
            receiver,
            download: None,
            info,
            cached,
            len: Some(len),
        };
        Ok(FileStream::new(ahead, parts))
    }
}

impl Default for FileOptions<DefaultNet, AssetStore> {
    /// The default network stack, and a store in memory that is gone with its last stream.
    fn default() -> Self {
        Self::new(DefaultNet::default(), AssetStore::memory(kithara_assets::AssetSettings::default()))
    }
}

async fn open_remote<N: Net, A: Assets>(
    url: Url,
    options: FileOptions<N, A>,
) -> Result<FileStream, FileError> {
    let Connected { source, receiver, cached } = connect(&url, &options).await?;
    let (download, cell) = (Arc::clone(source.download()), Arc::clone(source.cell()));
    let info = source.media_info();
    let reader = SyncReader::direct(source);
    let cancel = reader.cancel_handle();
    let mut settings = DecodeAheadSettings::default();
    settings.interrupt = Some(Box::new(move || cancel.cancel()));
    let ahead = DecodeAhead::open(reader, info.clone(), decode_options(&options), settings).await?;
    let bound = options.look_ahead.bound(download.shared().end(), ahead.details().duration);
    cell.set_look_ahead(bound);
    download.shared().poke();
    let parts = Parts { cell, receiver, download: Some(download), info, cached, len: None };
    Ok(FileStream::new(ahead, parts))
}

/// A reader of a download, and what was noted on the way.
struct Connected<R: Streaming> {
    source: FileSource<R>,
    receiver: broadcast::Receiver<FileEvent>,
    cached: Cached,
}

/// Joins or starts the download of `url`, and waits until there is something to read.
async fn connect<N: Net, A: Assets>(
    url: &Url,
    options: &FileOptions<N, A>,
) -> Result<Connected<A::Streaming>, FileError> {
    Handle::try_current().map_err(|_| FileError::NoRuntime)?;
    let key = match &options.key {
        Some(key) => key.clone(),
        None => ResourceKey::from_url(url, url, &options.key_policy),
    };
    let resource = options.assets.open_streaming_resource(&key).await?;
    let record = options.assets.open_atomic_resource(&key.sibling("entity")?).await?;
    let (events, receiver) = broadcast::channel(options.event_capacity.max(1));
    let cell = Arc::new(ReaderCell::new(options.look_ahead.bytes, events));
    let cached = note_cached(&resource, &cell);

    let start = || start(url, options, &resource, &record);
    let mut source = FileSource::attach(options.downloads.share(&key, start)?, &cell);
    source.shared().wait_ready().await?;
    if source.shared().is_live() && source.shared().was_delivered() {
        // Somebody else's endless stream: what it played is gone, so this one begins its own.
        source = FileSource::attach(Arc::new(start()?), &cell);
        source.shared().wait_ready().await?;
    }
    let entity = source.shared().entity();
    source.set_media_info(MediaInfo::new(entity.content_type(), Some(url.path())));
    Ok(Connected { source, receiver, cached })
}

/// Starts the task that downloads `url` into `resource`.
fn start<N: Net, A: Assets>(
    url: &Url,
    options: &FileOptions<N, A>,
    resource: &A::Streaming,
    record: &A::Atomic,
) -> Result<Download<A::Streaming>, FileError> {
    let shown = RedactedUrl(url).to_string();
    let shared = Arc::new(Shared::new(
        shown,
        resource.clone(),
        options.validation == Validation::Never,
        options.offline,
    ));
    let settings = EngineSettings {
        url: url.clone(),
        headers: options.headers.clone(),
        validation: options.validation,
        retry: options.retry.clone(),
        keep_paused: options.keep_paused,
        fill_holes: options.fill_holes,
        max_unknown_len: options.max_unknown_len,
        station_patience: options.station_patience,
        icy: options.icy,
        offline: options.offline,
        store_private: options.store_private,
    };
    let engine = Engine::new(Arc::clone(&shared), options.net.clone(), record.clone(), settings);
    // The store outlives what is written to it.
    let assets = options.assets.clone();
    Download::start(shared, async move {
        let _assets = assets;
        engine.run().await;
    })
}

fn note_cached<R: Streaming>(resource: &R, cell: &ReaderCell) -> Cached {
    let ResourceStatus::Committed { len } = resource.status() else {
        return Cached { hit: false, bytes: resource.available().covered() };
    };
    cell.emit(FileEvent::CacheHit { len });
    Cached { hit: true, bytes: len }
}

fn decode_options<N, A>(options: &FileOptions<N, A>) -> DecodeOptions {
    let mut decode = DecodeOptions::new(options.samples.clone());
    decode.output = options.output;
    decode.gapless = options.gapless;
    decode.exact_seek = options.exact_seek;
    decode
}

fn invalid(url: &Url, reason: &str) -> FileError {
    FileError::InvalidUrl { url: RedactedUrl(url).to_string(), reason: reason.to_owned() }
}

/// Only regular files: a read of a pipe or a device could block for ever, and nothing could call it off.
fn open_local(path: PathBuf) -> Result<(std::fs::File, u64), FileError> {
    let look = |path: &Path| {
        let meta = std::fs::metadata(path)?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok((std::fs::File::open(path)?, meta.len()))
    };
    look(&path).map_err(|error| FileError::Open { path, source: Arc::new(error) })
}
