//! The playlists of a presentation, as the planner asks them. Pure: loads are handed in.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use url::Url;

use crate::error::HlsError;
use crate::events::{HlsEvent, without_secrets};
use crate::growth::Loads;
use crate::options::{LiveStart, VariantInfo};
use crate::playlist::{
    self, AudioPreference, CodecKind, LadderVariant, MasterPlaylist, MediaPlaylist, Playlist, Segment,
    Variables,
};
use crate::presentation::{Continuation, Document, Presentation};
use crate::segment::{SegmentId, SegmentPlace, SegmentPlan, Window};
use crate::timeline::{SegmentRef, Timeline};

/// A playlist as it was loaded.
#[derive(Debug)]
pub struct LoadedPlaylist {
    /// What was parsed.
    pub playlist: Playlist,
    /// Where it came from in the end, after redirects.
    pub from: Url,
}

/// The opened playlist, the ladder, and the media playlists loaded so far.
pub struct PlaylistManager {
    url: Url,
    master: Option<MasterPlaylist>,
    variables: Variables,
    audio: AudioPreference,
    entries: Vec<Entry>,
    timeline: Timeline,
    /// How long a live list that brings nothing is waited for, once the reader has run dry.
    patience: Duration,
    events: Vec<HlsEvent>,
}

/// One variant of the ladder.
struct Entry {
    variant: LadderVariant,
    /// Which of its URLs is used: 0 is the first, `n` the n-th redundant one.
    source: usize,
    loads: Option<Loads>,
    /// Its list had no end when it was loaded first.
    is_live: bool,
    /// What is stored of its list is known to be out of date.
    is_fresh: bool,
}

impl Entry {
    fn new(variant: LadderVariant) -> Self {
        Self { variant, source: 0, loads: None, is_live: false, is_fresh: false }
    }

    fn url(&self) -> &Url {
        match self.source.checked_sub(1) {
            Some(redundant) => self.variant.redundant.get(redundant).unwrap_or(&self.variant.playlist_url),
            None => &self.variant.playlist_url,
        }
    }
}

/// Where playback begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) position: Duration,
    /// Where the application wanted it to begin, if that is not known yet.
    pub(crate) wanted: Option<Duration>,
    /// The segment that holds it is the first that is wanted: nothing before it is fetched.
    pub(crate) is_join: bool,
}

impl PlaylistManager {
    /// The presentation of a playlist that was loaded from `url`.
    ///
    /// # Errors
    /// It names nothing that could be played.
    pub fn new(
        url: Url,
        loaded: LoadedPlaylist,
        audio: AudioPreference,
        patience: Duration,
        now: Instant,
    ) -> Result<Self, HlsError> {
        let mut this = Self {
            url: url.clone(),
            master: None,
            variables: Variables::default(),
            audio,
            entries: Vec::new(),
            timeline: Timeline::new(),
            patience,
            events: Vec::new(),
        };
        match loaded.playlist {
            Playlist::Media(media) => {
                this.entries.push(Entry::new(LadderVariant::of_media_playlist(url)));
                this.take_media(0, media, &loaded.from, now)?;
            }
            Playlist::Master(master) => {
                let ladder = playlist::audio_ladder(&master, &this.audio);
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

    /// Whether there is a master playlist.
    pub(crate) fn has_master(&self) -> bool {
        self.master.is_some()
    }

    /// The variables that media playlists may import.
    pub(crate) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The URL of a document.
    pub(crate) fn document_url(&self, document: Document) -> &Url {
        match document {
            Document::Root { .. } => &self.url,
            Document::Variant { variant, .. } => self.entries.get(variant).map_or(&self.url, Entry::url),
        }
    }

    /// The ladder as the application sees it.
    #[must_use]
    pub fn variant_infos(&self) -> Vec<VariantInfo> {
        let info = |(index, entry): (usize, &Entry)| VariantInfo {
            index,
            bandwidth: entry.variant.bandwidth,
            codecs: (!entry.variant.codecs.is_empty()).then(|| entry.variant.codecs.to_string()),
        };
        self.entries.iter().enumerate().map(info).collect()
    }

    /// Declared bandwidths, in the order of the ladder.
    #[must_use]
    pub fn bandwidths(&self) -> Vec<u64> {
        self.entries.iter().map(|entry| entry.variant.bandwidth).collect()
    }

    /// Whether the `CODECS` of every variant name what this build cannot decode, other than Opus, which nobody names by mistake.
    pub(crate) fn declares_nothing_playable(&self) -> bool {
        let is_misnamed =
            |entry: &Entry| !entry.variant.codecs.audio().all(|tag| tag.kind == CodecKind::Opus);
        (0..self.entries.len()).all(|variant| self.unsupported(variant).is_some())
            && self.entries.iter().any(is_misnamed)
    }

    /// Why a variant cannot be played here, if its `CODECS` say so already.
    pub(crate) fn unsupported(&self, variant: usize) -> Option<String> {
        let codecs = &self.entries.get(variant)?.variant.codecs;
        let mut audio = codecs.audio().peekable();
        audio.peek()?;
        let (mut names, mut feature) = (Vec::new(), None);
        for tag in audio {
            if is_playable(tag.kind) {
                return None;
            }
            names.push(tag.name.as_str());
            feature = feature.or(feature_of(tag.kind));
        }
        let cure =
            feature.map_or_else(String::new, |feature| format!(" (build with the feature `{feature}`)"));
        Some(format!("codec {}{cure}", names.join(", ")))
    }

    /// Length of the presentation; `None` while the list may still grow.
    #[must_use]
    pub fn duration(&self, variant: usize) -> Option<Duration> {
        let complete = self.timeline.playlist(variant)?.is_complete();
        self.timeline.duration_of(variant).filter(|_| complete)
    }

    /// Where playback begins in `variant`: where the application wants it to, else where the author does, else at the
    /// beginning of a complete list and near the end of another.
    pub(crate) fn start(&self, variant: usize, wanted: Option<Duration>, live: LiveStart) -> Start {
        let beginning = Start { position: Duration::ZERO, wanted: None, is_join: false };
        let Some(media) = self.timeline.playlist(variant) else { return beginning };
        let at = |position| Start { position, wanted: None, is_join: true };
        let author = media.start_position(self.master.as_ref().and_then(|master| master.start));
        if media.is_complete() {
            return match (wanted, author) {
                (Some(position), _) => Start { position, wanted: None, is_join: false },
                (None, Some(position)) if !position.is_zero() => at(position),
                _ => beginning,
            };
        }
        let edge = self.live_edge(variant).unwrap_or_default();
        let (oldest, end) =
            self.window(variant).map_or_else(Default::default, |window| (window.start, window.end));
        let aligned = |position: Duration| {
            let found = self.timeline.segment_at(variant, position.max(oldest));
            at(found.map_or(position, |found| found.start))
        };
        match (wanted, live) {
            (Some(position), _) if position > edge => Start { wanted, ..aligned(edge) },
            (Some(position), _) => at(position.max(oldest)),
            (None, LiveStart::Oldest) => at(oldest),
            (None, LiveStart::FromEdge(distance)) => aligned(end.saturating_sub(distance)),
            (None, LiveStart::At(date)) => {
                let found = (0..media.len())
                    .rev()
                    .find(|&index| media.date_time_of(index).is_some_and(|of| of <= date));
                let found = found.and_then(|index| self.timeline.start_of(variant, index));
                found.map_or_else(|| at(oldest), |start| if start > edge { aligned(edge) } else { at(start) })
            }
            (None, LiveStart::Edge) => match author {
                // Its place in this load of the list: what the list begins with is not the beginning.
                Some(position) => at((oldest + position).min(end)),
                None => aligned(edge),
            },
        }
    }

    /// Where a live list is joined at its end: as far before it as its server wants, or else three target durations (RFC
    /// 8216, section 6.3.3), counted by the segments if they are longer than that.
    pub(crate) fn live_edge(&self, variant: usize) -> Option<Duration> {
        let media = self.timeline.playlist(variant)?;
        let window = self.window(variant)?;
        let longest = (0..media.len())
            .rev()
            .take(16)
            .filter_map(|index| Some(media.start_of(index + 1)?.saturating_sub(media.start_of(index)?)));
        let target = longest.max().unwrap_or_default().max(media.target_duration);
        let distance = media.hold_back.unwrap_or_default().max(target * 3);
        Some(window.end.saturating_sub(distance).max(window.start))
    }

    /// Takes a media playlist into the timeline.
    fn take_media(
        &mut self,
        variant: usize,
        media: MediaPlaylist,
        from: &Url,
        now: Instant,
    ) -> Result<(), HlsError> {
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
            self.events.push(HlsEvent::EndListMissing { url: without_secrets(from) });
            entry.is_live = true;
        }
        if let Some(before) = before {
            let kind = self.timeline.reload_kind(variant, &media);
            let loads = entry.loads.get_or_insert_with(|| Loads::first(before, now));
            if !loads.accept(before, &media, kind, now) && !before.is_empty() {
                return Ok(());
            }
        } else {
            entry.loads = Some(Loads::first(&media, now));
        }
        self.timeline.insert(variant, Arc::new(media));
        Ok(())
    }

    /// Brings in a media playlist of an earlier run; one that is no good is ignored.
    pub(crate) fn take_stored(&mut self, variant: usize, media: MediaPlaylist, from: &Url, now: Instant) {
        let _ = self.take_media(variant, media, from, now);
    }

    /// Brings in a new load of the master playlist: its variants may have new URLs.
    fn take_master(&mut self, master: MasterPlaylist) {
        let ladder = playlist::audio_ladder(&master, &self.audio);
        // Another ladder cannot take the place of one that the application has been told of.
        if ladder.len() == self.entries.len() {
            for (entry, variant) in self.entries.iter_mut().zip(ladder) {
                *entry = Entry { is_live: entry.is_live, is_fresh: true, ..Entry::new(variant) };
            }
        }
        self.variables = master.variables.clone();
        self.master = Some(master);
    }

    fn plan(&self, of: SegmentRef) -> Option<SegmentPlan> {
        let variant = of.variant;
        let list = self.timeline.playlist(variant)?;
        let Segment { uri, byte_range, map, key, gap, media_sequence, .. } = list.segment(of.segment)?;
        let window = byte_range.map(|range| Window { offset: range.start, len: range.end - range.start });
        Some(SegmentPlan {
            place: of.place(),
            index: of.segment,
            url: uri,
            window,
            map,
            key,
            media_sequence,
            is_first: of.start.is_zero(),
            gap,
            live: self.entries[variant].is_live.then(|| self.timeline.restarts(variant)),
            list: Arc::clone(list),
        })
    }
}

impl Presentation for PlaylistManager {
    type Content = LoadedPlaylist;

    fn url(&self) -> &Url {
        &self.url
    }

    fn variants(&self) -> usize {
        self.entries.len()
    }

    fn missing_document(&self, variant: usize) -> Option<Document> {
        let entry = self.entries.get(variant).filter(|entry| entry.loads.is_none())?;
        Some(Document::Variant { variant, is_fresh: entry.is_fresh })
    }

    fn renewal(&self, variant: usize) -> Document {
        match self.master {
            Some(_) => Document::Root { variant },
            None => Document::Variant { variant, is_fresh: true },
        }
    }

    fn can_renew(&self) -> bool {
        self.master.is_some()
    }

    fn accept(&mut self, document: Document, loaded: LoadedPlaylist, now: Instant) -> Result<(), HlsError> {
        match (document, loaded.playlist) {
            (Document::Variant { variant, .. }, Playlist::Media(media)) => {
                self.take_media(variant, media, &loaded.from, now)
            }
            (Document::Variant { .. }, Playlist::Master(_)) => Err(HlsError::Empty {
                url: loaded.from,
                reason: "is a master playlist where a media playlist belongs",
            }),
            (Document::Root { .. }, Playlist::Master(master)) => {
                self.take_master(master);
                Ok(())
            }
            (Document::Root { .. }, Playlist::Media(_)) => Ok(()),
        }
    }

    fn bear(&mut self, document: Document, error: &Arc<HlsError>, now: Instant) -> bool {
        let Document::Variant { variant, .. } = document else { return false };
        let loads = self.entries.get_mut(variant).and_then(|entry| entry.loads.as_mut());
        let Some(loads) = loads.filter(|_| !error.is_refusal() && !error.is_unsupported()) else {
            return false;
        };
        tracing::debug!(%error, "a list that is known could not be loaded again");
        loads.fail(Arc::clone(error), now);
        true
    }

    fn segment_at(&self, variant: usize, position: Duration, is_joined: bool) -> Option<SegmentPlan> {
        if position >= self.timeline.duration_of(variant)? {
            return None;
        }
        let found = match is_joined {
            true => self.timeline.next_at(variant, position)?,
            false => self.timeline.segment_at(variant, position)?,
        };
        self.plan(found)
    }

    fn after(&self, place: &SegmentPlace) -> Option<SegmentPlan> {
        let numbers = self.timeline.numbers(place.id.variant)?;
        let number = place.id.number.checked_add(1)?;
        let index = if number < numbers.start {
            0
        } else {
            self.timeline.index_of(SegmentId { number, ..place.id })?
        };
        self.plan(self.timeline.segment(place.id.variant, index)?)
    }

    fn find(&self, id: SegmentId) -> Option<SegmentPlan> {
        self.plan(self.timeline.segment(id.variant, self.timeline.index_of(id)?)?)
    }

    fn aligned(&self, plan: &SegmentPlan, variant: usize) -> Option<SegmentPlan> {
        let index = self.timeline.index_of(plan.place.id)?;
        let found = self.timeline.aligned(plan.variant(), index, variant)?;
        crate::segment::is_same_time(found.start, plan.place.start).then(|| self.plan(found))?
    }

    fn continuation(&self, variant: usize, dry_since: Option<Instant>, now: Instant) -> Continuation {
        let media = self.timeline.playlist(variant);
        let loads = self.entries.get(variant).and_then(|entry| entry.loads.as_ref());
        match media.zip(loads) {
            Some((media, loads)) if !media.is_complete() => {
                loads.at_end(media, dry_since, self.patience, now).into()
            }
            _ => Continuation::Complete,
        }
    }

    fn is_live(&self, variant: usize) -> bool {
        self.timeline.playlist(variant).is_some_and(|media| !media.is_complete())
    }

    fn window(&self, variant: usize) -> Option<Range<Duration>> {
        Some(self.timeline.start_of(variant, 0)?..self.timeline.duration_of(variant)?)
    }

    fn failover(&mut self, variant: usize) -> bool {
        let Some(entry) = self.entries.get_mut(variant) else { return false };
        if entry.source >= entry.variant.redundant.len() {
            return false;
        }
        entry.source += 1;
        entry.loads = None;
        true
    }

    fn take_events(&mut self) -> Vec<HlsEvent> {
        std::mem::take(&mut self.events)
    }
}

/// The feature that a build lacks for a codec, if one would help.
fn feature_of(kind: CodecKind) -> Option<&'static str> {
    match kind {
        CodecKind::Opus => Some("opus"),
        CodecKind::HeAac | CodecKind::HeAacV2 => Some("fdk-aac"),
        _ => None,
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
