//! Opening: what is behind a URL or a path, and the stream that plays it.

use std::path::Path;

use kithara_file::{File, FileSource};
use kithara_hls::{Hls, HlsError};
use kithara_net::{RedactedUrl, Url};
use kithara_storage::Streaming;
use kithara_stream::Source;

use crate::lists::{Content, ListKind, MAX_BYTES, classify, entries};
use crate::local::LocalNet;
use crate::{Error, Options, Stream};

/// Bytes that tell lists, HLS and media apart.
const HEAD: usize = 1_024;
/// Lists may name lists.
const MAX_DEPTH: u32 = 3;
/// Entries of one list that are tried.
const MAX_TRIES: usize = 8;

/// Opens an HLS presentation, a file, a station, or a list of stations (`.m3u`, `.pls`, `.xspf`; its first entry that
/// plays), at a URL (`http`, `https`, `file`) or a path. Which of them it is, its content tells.
///
/// Returns once the format is known and PCM can be read: after the first kilobytes. Downloads run in tasks of the
/// current tokio runtime, which the stream owns. Dropping the future cancels everything; what was downloaded stays in
/// the store.
///
/// ```no_run
/// # async fn play() -> Result<(), kithara::Error> {
/// let mut stream = kithara::open("https://example.com/music/master.m3u8").await?;
/// while let Some(chunk) = stream.next_chunk().await? {
///     println!("{} frames from {:?} on", chunk.frames(), chunk.time());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error`]: the target is no URL or path, cannot be had, or is no audio that this build decodes.
pub async fn open_target(target: impl AsRef<str>) -> Result<Stream, Error> {
    Options::new().open(target).await
}

/// What a target names.
enum Target {
    Url(Url),
    Path(std::path::PathBuf),
}

pub(crate) async fn open(target: &str, options: &Options) -> Result<Stream, Error> {
    let (parsed, shown) = parse(target)?;
    let limit = options.open_timeout();
    let opening = async {
        let mut stream = match parsed {
            Target::Url(url) => open_url(url, options, 0).await?,
            Target::Path(path) => open_path(&path, options).await?,
        };
        // HLS begins there by itself, without fetching what is before it.
        if let (Some(start), Some(file)) = (options.start(), stream.file_mut()) {
            file.pcm().seek(start).await?;
        }
        Ok(stream)
    };
    match tokio::time::timeout(limit, Box::pin(opening)).await {
        Ok(opened) => opened,
        Err(_) => Err(Error::Timeout { target: shown, after: limit }),
    }
}

fn parse(target: &str) -> Result<(Target, String), Error> {
    let trimmed = target.trim();
    match Url::parse(trimmed) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => {
            let shown = RedactedUrl(&url).to_string();
            Ok((Target::Url(url), shown))
        }
        Ok(url) if url.scheme() == "file" => {
            let path =
                url.to_file_path().map_err(|()| refuse(target, "the URL names no path of this machine"))?;
            Ok((Target::Path(path), trimmed.to_owned()))
        }
        // `C:\music` parses as a URL of the scheme `c`.
        Ok(url) if url.scheme().len() > 1 && trimmed.contains("://") => {
            Err(refuse(target, &format!("the scheme {} is not one of http, https and file", url.scheme())))
        }
        _ if trimmed.is_empty() => Err(refuse(target, "it is empty")),
        _ => Ok((Target::Path(trimmed.into()), trimmed.to_owned())),
    }
}

fn refuse(target: &str, reason: &str) -> Error {
    Error::Target { target: target.to_owned(), reason: reason.to_owned() }
}

async fn open_url(url: Url, options: &Options, depth: u32) -> Result<Stream, Error> {
    if url.path().to_ascii_lowercase().ends_with(".m3u8") {
        match Hls::open(url.clone(), options.hls(LocalNet::closed(options.stack()))).await {
            Ok(stream) => return Ok(Stream::from(stream)),
            // A station's list under the name of an HLS playlist.
            Err(HlsError::Playlist { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let file = options.file();
    let source = File::open_source(url.clone(), &file).await?;
    let head = read_head(&source, HEAD).await?;
    let info = source.media_info();
    match classify(&head, info.content_type.as_deref(), url.path()) {
        // Shares the download that the head came from.
        Content::Media => Ok(Stream::from(File::open(url, file).await?)),
        Content::Hls => {
            drop(source);
            Ok(Stream::from(Hls::open(url, options.hls(LocalNet::closed(options.stack()))).await?))
        }
        Content::List(kind) => {
            let body = read_head(&source, MAX_BYTES).await?;
            drop(source);
            open_entries(kind, &body, &url, options, depth).await
        }
    }
}

async fn open_entries(
    kind: ListKind,
    body: &[u8],
    base: &Url,
    options: &Options,
    depth: u32,
) -> Result<Stream, Error> {
    let mut last = None;
    if depth < MAX_DEPTH {
        for entry in entries(kind, body, base).into_iter().take(MAX_TRIES) {
            let opened = match entry.to_file_path() {
                Ok(path) if entry.scheme() == "file" => Box::pin(open_path(&path, options)).await,
                _ => Box::pin(open_url(entry, options, depth + 1)).await,
            };
            match opened {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(Box::new(error)),
            }
        }
    }
    Err(Error::EmptyList { target: RedactedUrl(base).to_string(), last })
}

/// Up to `count` bytes from the beginning, fewer where the body ends.
async fn read_head<R: Streaming>(source: &FileSource<R>, count: usize) -> Result<Vec<u8>, Error> {
    let mut head = vec![0; count];
    let mut filled = 0;
    while filled < count {
        match source.read_at(filled as u64, &mut head[filled..]).await? {
            0 => break,
            more => filled += more,
        }
    }
    head.truncate(filled);
    Ok(head)
}

async fn open_path(path: &Path, options: &Options) -> Result<Stream, Error> {
    let head = local_head(path).await;
    let name = path.to_string_lossy();
    match classify(&head, None, &name) {
        Content::Media => Ok(Stream::from(File::open_path(path, options.file()).await?)),
        Content::Hls => {
            let url = file_url(path)?;
            Ok(Stream::from(Hls::open(url, options.hls(LocalNet::open(options.stack()))).await?))
        }
        Content::List(kind) => open_entries(kind, &head, &file_url(path)?, options, 0).await,
    }
}

fn file_url(path: &Path) -> Result<Url, Error> {
    let absolute =
        std::path::absolute(path).map_err(|error| refuse(&path.to_string_lossy(), &error.to_string()))?;
    Url::from_file_path(absolute).map_err(|()| refuse(&path.to_string_lossy(), "it is not an absolute path"))
}

/// The first bytes of a regular file, none if it cannot be read: opening it then tells why.
async fn local_head(path: &Path) -> Vec<u8> {
    let path = path.to_owned();
    let read = move || -> std::io::Result<Vec<u8>> {
        use std::io::Read;
        if !std::fs::metadata(&path)?.is_file() {
            return Ok(Vec::new());
        }
        let mut head = Vec::new();
        std::fs::File::open(&path)?.take(MAX_BYTES as u64).read_to_end(&mut head)?;
        Ok(head)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(head)) => head,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_paths_are_told_apart() {
        let is_url = |target| matches!(parse(target), Ok((Target::Url(_), _)));
        let is_path = |target| matches!(parse(target), Ok((Target::Path(_), _)));
        assert!(is_url(" https://example.com/a.mp3 "));
        assert!(is_path("music/a.mp3") && is_path("/music/a.mp3") && is_path(r"C:\music\a.mp3"));
        assert!(is_path("file:///music/a.mp3"));
        for target in ["", "  ", "rtsp://example.com/a"] {
            assert!(matches!(parse(target), Err(Error::Target { .. })), "{target:?}");
        }
    }
}
