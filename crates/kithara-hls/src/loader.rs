//! Loads playlists: the part of a presentation that waits for the network.

use std::sync::Arc;
use std::time::Duration;

use kithara_assets::Assets;
use kithara_net::Net;
use tokio::time::Instant;
use url::Url;

use crate::abr::AbrController;
use crate::error::{Fetching, HlsError};
use crate::events::HlsEvent;
use crate::fetch::SmallFetches;
use crate::options::HlsOptions;
use crate::playlist::{self, ParseOptions, Playlist, Variables};
use crate::playlists::{LoadedPlaylist, PlaylistManager};
use crate::presentation::{Document, Presentation};
use crate::shared::Shared;

/// Loads the playlist at `url`, which may be a master or a media playlist.
pub(crate) async fn open<N: Net, A: Assets>(
    url: Url,
    fetches: &SmallFetches<N, A>,
    options: &HlsOptions<N, A>,
) -> Result<PlaylistManager, HlsError> {
    let loaded = load(fetches, Fetching::Playlist, &url, &Variables::default(), true).await?;
    let now = Instant::now().into_std();
    PlaylistManager::new(url, loaded, options.audio.clone(), options.live_patience, now)
}

/// Loads the media playlists that are in the store, without any request: their segments may be there too.
pub(crate) async fn load_stored<N: Net, A: Assets>(
    playlists: &mut PlaylistManager,
    fetches: &SmallFetches<N, A>,
) {
    for variant in 0..playlists.variants() {
        let Some(document) = playlists.missing_document(variant) else { continue };
        if playlists.unsupported(variant).is_some() {
            continue;
        }
        let url = playlists.document_url(document).clone();
        let Some(text) = fetches.stored_playlist(&url).await else { continue };
        if let Ok(Playlist::Media(media)) = parse(&text.body, &text.url, playlists.variables()) {
            playlists.take_stored(variant, media, &text.url, Instant::now().into_std());
        }
    }
}

/// Loads the first variant that can be had, leaving out those that cannot.
pub(crate) async fn load_first<N: Net, A: Assets>(
    playlists: &mut PlaylistManager,
    abr: &mut AbrController,
    fetches: &SmallFetches<N, A>,
    shared: &Shared,
) -> Result<usize, HlsError> {
    let mut reasons = Vec::new();
    let mut last = None;
    let mut leave_out = |abr: &mut AbrController, variant: usize, error: &HlsError| {
        let penalty = (!error.is_unsupported()).then(|| abr.penalty());
        abr.exclude(variant, Instant::now().into_std(), penalty);
        let error = crate::error::chain(error);
        reasons.push(format!("variant {variant}: {error}"));
        shared.emit(HlsEvent::VariantExcluded { variant, penalty, error });
    };
    // `CODECS` may be wrong: where it leaves nothing to play, the media decides.
    let is_misnamed = playlists.declares_nothing_playable();
    for variant in 0..playlists.variants() {
        if let Some(what) = playlists.unsupported(variant).filter(|_| !is_misnamed) {
            let error = HlsError::Unsupported { what };
            leave_out(abr, variant, &error);
            last = Some(error);
        }
    }
    while let Some(decision) = abr.choose(Instant::now().into_std(), Duration::ZERO) {
        let variant = decision.variant;
        let Some(document) = playlists.missing_document(variant) else { return Ok(variant) };
        let loaded = load_document(playlists, document, fetches).await;
        let now = Instant::now().into_std();
        match loaded.and_then(|loaded| playlists.accept(document, loaded, now)) {
            Ok(()) => return Ok(variant),
            Err(_) if playlists.failover(variant) => {}
            Err(error) => {
                // Media that cannot be had does not refute what `CODECS` says.
                let error = match playlists.unsupported(variant) {
                    Some(what) if is_misnamed => HlsError::Unsupported { what },
                    _ => error,
                };
                leave_out(abr, variant, &error);
                last = Some(error);
            }
        }
    }
    match last {
        // One variant, one reason: that reason is the whole story.
        Some(error) if reasons.len() == 1 => Err(error),
        last => {
            let source = last.map(Arc::new);
            Err(HlsError::NoPlayableVariant { url: playlists.url().clone(), reasons, source })
        }
    }
}

/// Loads a document of a presentation.
async fn load_document<N: Net, A: Assets>(
    playlists: &PlaylistManager,
    document: Document,
    fetches: &SmallFetches<N, A>,
) -> Result<LoadedPlaylist, HlsError> {
    let (what, is_stored) = kind_of(playlists, document);
    load(fetches, what, playlists.document_url(document), playlists.variables(), is_stored).await
}

/// What a document is in errors, and whether it may come from the store.
pub(crate) fn kind_of(playlists: &PlaylistManager, document: Document) -> (Fetching, bool) {
    match document {
        Document::Variant { is_fresh, .. } if playlists.has_master() => (Fetching::MediaPlaylist, !is_fresh),
        Document::Variant { is_fresh, .. } => (Fetching::Playlist, !is_fresh),
        Document::Root { .. } => (Fetching::Playlist, false),
    }
}

/// Loads and parses a playlist. One that is complete is stored for the next run.
pub(crate) async fn load<N: Net, A: Assets>(
    fetches: &SmallFetches<N, A>,
    what: Fetching,
    url: &Url,
    variables: &Variables,
    is_stored: bool,
) -> Result<LoadedPlaylist, HlsError> {
    let mut text = fetches.playlist(what, url, is_stored).await?;
    let mut playlist = parse(&text.body, &text.url, variables);
    if playlist.is_err() && text.is_stored && !fetches.is_offline() {
        // What an earlier run stored is no playlist: it is fetched anew, once.
        text = fetches.playlist(what, url, false).await?;
        playlist = parse(&text.body, &text.url, variables);
    }
    let playlist = playlist?;
    if !text.is_stored && !matches!(&playlist, Playlist::Media(media) if !media.is_complete()) {
        fetches.store_playlist(url, &text);
    }
    if let Playlist::Media(media) = &playlist
        && media.is_complete()
        && !fetches.is_offline()
    {
        fetches.store_manifest(url, media);
    }
    Ok(LoadedPlaylist { playlist, from: text.url })
}

fn parse(body: &[u8], url: &Url, variables: &Variables) -> Result<Playlist, HlsError> {
    let options = ParseOptions { imported: Some(variables), ..ParseOptions::default() };
    playlist::parse_with(body, url, &options)
        .map_err(|source| HlsError::Playlist { url: url.clone(), source })
}
