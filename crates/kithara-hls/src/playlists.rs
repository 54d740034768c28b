//! Loading playlists, and what the planner asks of them.

use std::sync::Arc;
use std::time::Duration;

use kithara_assets::Assets;
use kithara_net::Net;
use tokio::time::Instant;
use url::Url;

use crate::abr::AbrController;
use crate::error::{Fetching, HlsError};
use crate::events::{HlsEvent, without_secrets};
use crate::fetch::{FetchManager, Window};
use crate::growth::Loaded;
use crate::message::SegmentPlace;
use crate::options::{HlsOptions, VariantInfo};
use crate::playlist::{
    self, CodecKind, KeyInfo, LadderVariant, Map, MasterPlaylist, MediaPlaylist, ParseOptions, Playlist,
    Segment, Variables,
};
use crate::shared::Shared;
use crate::timeline::Timeline;

/// Everything about one segment that its fetch and its message need.
#[derive(Debug, Clone)]
pub(crate) struct SegmentPlan {
    pub(crate) variant: usize,
    pub(crate) index: usize,
    pub(crate) url: Url,
    pub(crate) window: Option<Window>,
    pub(crate) map: Option<Arc<Map>>,
    pub(crate) key: Option<Arc<KeyInfo>>,
    pub(crate) media_sequence: u64,
    pub(crate) discontinuity_sequence: u64,
    pub(crate) start: Duration,
    pub(crate) duration: Duration,
    pub(crate) is_first: bool,
    pub(crate) gap: bool,
    /// Of a live list: how often it has begun anew.
    pub(crate) live: Option<u64>,
    /// The list that `index` counts in.
    pub(crate) list: Arc<MediaPlaylist>,
}

impl SegmentPlan {
    /// The segment, whatever becomes of the list.
    pub(crate) fn place(&self) -> SegmentPlace {
        SegmentPlace { variant: self.variant, start: self.start, duration: self.duration }
    }
}

/// The opened playlist, the ladder, and the media playlists loaded so far.
pub(crate) struct PlaylistManager {
    url: Url,
    master: Option<MasterPlaylist>,
    variables: Variables,
    entries: Vec<Entry>,
    timeline: Timeline,
    shared: Arc<Shared>,
}

/// One variant of the ladder.
struct Entry {
    variant: LadderVariant,
    /// Which of its URLs is used: 0 is the first, `n` the n-th redundant one.
    source: usize,
    loaded: Option<Loaded>,
    /// Its list was a window that moves on when it was loaded first.
    is_live: bool,
}

impl Entry {
    fn new(variant: LadderVariant) -> Self {
        Self { variant, source: 0, loaded: None, is_live: false }
    }

    fn url(&self) -> &Url {
        match self.source.checked_sub(1) {
            Some(redundant) => self.variant.redundant.get(redundant).unwrap_or(&self.variant.playlist_url),
            None => &self.variant.playlist_url,
        }
    }
}

impl PlaylistManager {
    /// Loads the playlist at `url`, which may be a master or a media playlist.
    pub(crate) async fn open<N: Net, A: Assets>(
        url: Url,
        fetches: &FetchManager<N, A>,
        options: &HlsOptions<N, A>,
        shared: Arc<Shared>,
    ) -> Result<Self, HlsError> {
        let mut this = Self {
            url: url.clone(),
            master: None,
            variables: Variables::default(),
            entries: Vec::new(),
            timeline: Timeline::new(),
            shared,
        };
        let (playlist, from) = load(fetches, Fetching::Playlist, &url, &this.variables, true).await?;
        match playlist {
            Playlist::Media(media) => {
                this.entries.push(Entry::new(LadderVariant::of_media_playlist(url.clone())));
                this.accept(0, media, &from)?;
            }
            Playlist::Master(master) => {
                let ladder = playlist::audio_ladder(&master, &options.audio);
                if ladder.is_empty() {
                    return Err(HlsError::Empty { url, reason: "names no variant that can be played" });
                }
                this.entries = ladder.into_iter().map(Entry::new).collect();
                this.variables = master.variables.clone();
                this.master = Some(master);
            }
        }
        Ok(this)
    }

    /// Whether there is a master playlist, which may have new URLs for its variants.
    pub(crate) fn has_master(&self) -> bool {
        self.master.is_some()
    }

    /// The opened URL.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The ladder as the application sees it.
    pub(crate) fn variants(&self) -> Vec<VariantInfo> {
        let info = |(index, entry): (usize, &Entry)| VariantInfo {
            index,
            bandwidth: entry.variant.bandwidth,
            codecs: (!entry.variant.codecs.is_empty()).then(|| entry.variant.codecs.to_string()),
        };
        self.entries.iter().enumerate().map(info).collect()
    }

    /// Declared bandwidths, in the order of the ladder.
    pub(crate) fn bandwidths(&self) -> Vec<u64> {
        self.entries.iter().map(|entry| entry.variant.bandwidth).collect()
    }

    /// Why a variant cannot be played here, if its `CODECS` say so already.
    pub(crate) fn unsupported(&self, variant: usize) -> Option<String> {
        let codecs = &self.entries.get(variant)?.variant.codecs;
        let mut audio = codecs.audio().peekable();
        audio.peek()?;
        let mut names = Vec::new();
        for tag in audio {
            if is_playable(tag.kind) {
                return None;
            }
            names.push(tag.name.as_str());
        }
        Some(format!("codec {}", names.join(", ")))
    }

    /// Makes sure that the media playlist of `variant` is loaded.
    pub(crate) async fn ensure<N: Net, A: Assets>(
        &mut self,
        variant: usize,
        fetches: &FetchManager<N, A>,
    ) -> Result<(), HlsError> {
        match self.entries.get(variant) {
            Some(entry) if entry.loaded.is_none() => self.load(variant, fetches, true).await,
            _ => Ok(()),
        }
    }

    /// Loads the media playlists that are in the store, without any request: their segments may be there too.
    pub(crate) async fn load_stored<N: Net, A: Assets>(&mut self, fetches: &FetchManager<N, A>) {
        for variant in 0..self.entries.len() {
            let entry = &self.entries[variant];
            if entry.loaded.is_some() || self.unsupported(variant).is_some() {
                continue;
            }
            let (url, variables) = (entry.url().clone(), &self.variables);
            if let Ok(Some((media, from))) = load_stored(fetches, &url, variables).await {
                let _ = self.accept(variant, media, &from);
            }
        }
    }

    /// Loads the media playlist of `variant` again, past the store. A failure is told once it has come several times in a
    /// row, or is a refusal.
    pub(crate) async fn reload<N: Net, A: Assets>(
        &mut self,
        variant: usize,
        fetches: &FetchManager<N, A>,
    ) -> Result<(), HlsError> {
        let error = match self.load(variant, fetches, false).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let loaded = self.entries.get_mut(variant).and_then(|entry| entry.loaded.as_mut());
        let is_final = error.is_refusal() || error.is_unsupported();
        if !is_final && loaded.is_some_and(Loaded::may_fail) {
            tracing::debug!(%error, "a list that is known could not be loaded again");
            return Ok(());
        }
        Err(error)
    }

    /// Loads the opened playlist again, for the new URLs of its variants; then `variant`'s.
    pub(crate) async fn reload_all<N: Net, A: Assets>(
        &mut self,
        variant: usize,
        fetches: &FetchManager<N, A>,
        audio: &playlist::AudioPreference,
    ) -> Result<(), HlsError> {
        if self.master.is_some() {
            let (playlist, _) = load(fetches, Fetching::Playlist, &self.url, &self.variables, false).await?;
            if let Playlist::Master(master) = playlist {
                let ladder = playlist::audio_ladder(&master, audio);
                // Another ladder cannot take the place of one that the application has been told of.
                if ladder.len() == self.entries.len() {
                    for (entry, variant) in self.entries.iter_mut().zip(ladder) {
                        *entry = Entry { is_live: entry.is_live, ..Entry::new(variant) };
                    }
                }
                self.variables = master.variables.clone();
                self.master = Some(master);
            }
        }
        self.load(variant, fetches, false).await
    }

    async fn load<N: Net, A: Assets>(
        &mut self,
        variant: usize,
        fetches: &FetchManager<N, A>,
        stored: bool,
    ) -> Result<(), HlsError> {
        let url = self.entries[variant].url().clone();
        let what = if self.master.is_some() { Fetching::MediaPlaylist } else { Fetching::Playlist };
        match load(fetches, what, &url, &self.variables, stored).await? {
            (Playlist::Media(media), from) => self.accept(variant, media, &from),
            (Playlist::Master(_), _) => {
                Err(HlsError::Empty { url, reason: "is a master playlist where a media playlist belongs" })
            }
        }
    }

    /// Takes a media playlist into the timeline.
    fn accept(&mut self, variant: usize, media: MediaPlaylist, from: &Url) -> Result<(), HlsError> {
        if media.is_empty() && media.is_complete() {
            return Err(HlsError::Empty { url: from.clone(), reason: "lists no segment" });
        }
        if let Some((_, what)) = media.unsupported_key() {
            return Err(HlsError::Unsupported { what });
        }
        for warning in &media.warnings {
            tracing::debug!(%warning, "a media playlist is not as it should be");
        }
        let entry = &mut self.entries[variant];
        let before = self.timeline.playlist(variant).map(|known| &**known);
        if !media.is_complete() && before.is_none() {
            self.shared.emit(HlsEvent::EndListMissing { url: without_secrets(from) });
            entry.is_live = media.playlist_type.is_none();
        }
        entry.loaded = Some(Loaded::after(entry.loaded, before, &media));
        self.timeline.insert(variant, Arc::new(media));
        Ok(())
    }

    /// When a playlist that may still grow is to be loaded again; `None` where the list is complete, or has not grown
    /// for so long that it must be.
    pub(crate) fn reload_due(&self, variant: usize) -> Option<Instant> {
        self.entries.get(variant)?.loaded?.due(self.timeline.playlist(variant)?)
    }

    /// Goes over to the next redundant source of a variant, if there is one that was not tried.
    pub(crate) fn failover(&mut self, variant: usize) -> bool {
        let Some(entry) = self.entries.get_mut(variant) else { return false };
        if entry.source >= entry.variant.redundant.len() {
            return false;
        }
        entry.source += 1;
        entry.loaded = None;
        true
    }

    /// The index of the segment of `variant` that holds `position`; `None` at or after the end.
    pub(crate) fn index_at(&self, variant: usize, position: Duration) -> Option<usize> {
        if position >= self.timeline.duration_of(variant)? {
            return None;
        }
        self.timeline.segment_at(variant, position).map(|segment| segment.segment)
    }

    /// The segments of other loaded variants that begin where a segment of `variant` does.
    pub(crate) fn twins(&self, variant: usize, index: usize) -> impl Iterator<Item = SegmentPlan> + '_ {
        (0..self.entries.len()).filter(move |other| *other != variant).filter_map(move |other| {
            let start = self.timeline.start_of(variant, index)?;
            let twin = self.timeline.aligned(variant, index, other)?;
            (twin.start.abs_diff(start) < Duration::from_millis(100))
                .then(|| self.segment(other, twin.segment))?
        })
    }

    /// A segment's plan; `None` past the end.
    pub(crate) fn segment(&self, variant: usize, index: usize) -> Option<SegmentPlan> {
        let place = self.timeline.segment(variant, index)?;
        let list = Arc::clone(self.timeline.playlist(variant)?);
        let Segment { uri, byte_range, map, key, gap, media_sequence, discontinuity_sequence, .. } =
            list.segment(index)?;
        let window = byte_range.map(|range| Window { offset: range.start, len: range.end - range.start });
        Some(SegmentPlan {
            variant,
            index,
            url: uri,
            window,
            map,
            key,
            media_sequence,
            discontinuity_sequence,
            start: place.start,
            duration: place.duration,
            is_first: place.start.is_zero(),
            gap,
            live: self.entries[variant].is_live.then(|| self.timeline.beginnings(variant)),
            list,
        })
    }

    /// The plan of a segment that was planned before, wherever it stands in the list by now; `None` if it left the list.
    pub(crate) fn planned_before(&self, place: SegmentPlace) -> Option<SegmentPlan> {
        let found = self.timeline.segment_at(place.variant, place.start)?;
        (found.start == place.start && found.duration == place.duration)
            .then(|| self.segment(place.variant, found.segment))?
    }

    /// Length of the presentation; `None` while the list may still grow.
    pub(crate) fn duration(&self, variant: usize) -> Option<Duration> {
        let complete = self.timeline.playlist(variant)?.is_complete();
        self.timeline.duration_of(variant).filter(|_| complete)
    }

    /// Where the author wants playback to begin.
    pub(crate) fn start(&self, variant: usize) -> Option<Duration> {
        let master = self.master.as_ref().and_then(|master| master.start);
        self.timeline.playlist(variant)?.start_position(master)
    }

    /// Loads the first variant that can be had, leaving out those that cannot.
    pub(crate) async fn load_first<N: Net, A: Assets>(
        &mut self,
        abr: &mut AbrController,
        fetches: &FetchManager<N, A>,
    ) -> Result<usize, HlsError> {
        let mut reasons = Vec::new();
        let mut last = None;
        for variant in 0..self.entries.len() {
            if let Some(what) = self.unsupported(variant) {
                let error = HlsError::Unsupported { what };
                self.leave_out(abr, variant, &error, &mut reasons);
                last = Some(error);
            }
        }
        loop {
            let now = Instant::now().into_std();
            let Some(decision) = abr.choose(now, Duration::ZERO) else { break };
            match self.ensure(decision.variant, fetches).await {
                Ok(()) => return Ok(decision.variant),
                Err(_) if self.failover(decision.variant) => {}
                Err(error) => {
                    self.leave_out(abr, decision.variant, &error, &mut reasons);
                    last = Some(error);
                }
            }
        }
        match last {
            // One variant, one reason: that reason is the whole story.
            Some(error) if reasons.len() == 1 => Err(error),
            last => {
                let source = last.map(Arc::new);
                Err(HlsError::NoPlayableVariant { url: self.url.clone(), reasons, source })
            }
        }
    }

    /// Leaves a variant alone: for good where it can never be decoded here, else for a while.
    pub(crate) fn leave_out(
        &self,
        abr: &mut AbrController,
        variant: usize,
        error: &HlsError,
        reasons: &mut Vec<String>,
    ) {
        let penalty = (!error.is_unsupported()).then(|| abr.penalty());
        abr.exclude(variant, Instant::now().into_std(), penalty);
        let error = crate::error::chain(error);
        reasons.push(format!("variant {variant}: {error}"));
        self.shared.emit(HlsEvent::VariantExcluded { variant, penalty, error });
    }
}

/// Whether this build decodes it. What is not known by name is tried: the media itself says more.
fn is_playable(kind: CodecKind) -> bool {
    match kind {
        CodecKind::AacLc
        | CodecKind::AacOther
        | CodecKind::Mp3
        | CodecKind::Flac
        | CodecKind::Alac
        | CodecKind::Vorbis
        | CodecKind::OtherAudio
        | CodecKind::Unknown => true,
        CodecKind::Opus => kithara_decode::DECODES_OPUS,
        CodecKind::HeAac | CodecKind::HeAacV2 => kithara_decode::DECODES_HE_AAC,
        _ => false,
    }
}

/// A playlist and the URL that its relative URLs are relative to.
async fn load<N: Net, A: Assets>(
    fetches: &FetchManager<N, A>,
    what: Fetching,
    url: &Url,
    variables: &Variables,
    stored: bool,
) -> Result<(Playlist, Url), HlsError> {
    let mut text = fetches.playlist(what, url, stored).await?;
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
    Ok((playlist, text.url))
}

async fn load_stored<N: Net, A: Assets>(
    fetches: &FetchManager<N, A>,
    url: &Url,
    variables: &Variables,
) -> Result<Option<(MediaPlaylist, Url)>, HlsError> {
    let Some(text) = fetches.stored_playlist(url).await else { return Ok(None) };
    match parse(&text.body, &text.url, variables) {
        Ok(Playlist::Media(media)) => Ok(Some((media, text.url))),
        // A record that is no playlist counts as absent.
        Ok(Playlist::Master(_)) | Err(_) => Ok(None),
    }
}

fn parse(body: &[u8], url: &Url, variables: &Variables) -> Result<Playlist, HlsError> {
    let options = ParseOptions { imported: Some(variables), ..ParseOptions::default() };
    playlist::parse_with(body, url, &options)
        .map_err(|source| HlsError::Playlist { url: url.clone(), source })
}
