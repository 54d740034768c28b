//! From the variants of a multivariant playlist to the audio that can be switched between.

use std::collections::{HashMap, HashSet};

use url::Url;

use super::codecs::{CodecKind, Codecs};
use super::language;
use super::master::{MasterPlaylist, Rendition, VariantStream};

/// Which audio rendition is wanted, where there are several. The default takes the author's default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudioPreference {
    /// A BCP 47 language tag, such as `de` or `pt-BR`; a rendition in a dialect of it will do.
    pub language: Option<String>,
    /// The rendition's `NAME`.
    pub name: Option<String>,
    /// Uniform Type Identifiers that the rendition should have, such as
    /// `public.accessibility.describes-video`.
    pub characteristics: Vec<String>,
}

/// One rung of the audio ladder: a media playlist with audio in it, and its equals.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LadderVariant {
    /// Place in the ladder, by ascending bandwidth.
    pub index: usize,
    /// Bits per second as the playlist says: for audio that stands beside video, that of the smallest variant with
    /// this audio. 0: unknown.
    pub bandwidth: u64,
    /// Average bits per second as the playlist says.
    pub average_bandwidth: Option<u64>,
    /// All codecs of the variant, as declared.
    pub codecs: Codecs,
    /// The media playlist.
    pub playlist_url: Url,
    /// Media playlists with the same content elsewhere, for failover, in the order of the file.
    pub redundant: Vec<Url>,
    /// The variant behind it: an index of [`MasterPlaylist::variants`].
    pub stream_index: usize,
    /// The rendition behind it: an index of [`MasterPlaylist::media`]; `None`: the variant's own audio.
    pub rendition: Option<usize>,
    /// Channels as declared by the rendition.
    pub channels: Option<u32>,
    /// Whether the media playlist carries video beside the audio, as far as the attributes tell.
    pub has_video: bool,
}

impl LadderVariant {
    /// The ladder of one rung of an opened URL that turned out to be a media playlist.
    #[must_use]
    pub fn of_media_playlist(url: Url) -> Self {
        Self {
            index: 0,
            bandwidth: 0,
            average_bandwidth: None,
            codecs: Codecs::default(),
            playlist_url: url,
            redundant: Vec::new(),
            stream_index: 0,
            rendition: None,
            channels: None,
            has_video: false,
        }
    }
}

impl std::fmt::Debug for LadderVariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LadderVariant")
            .field("index", &self.index)
            .field("bandwidth", &self.bandwidth)
            .field("codecs", &format_args!("{}", self.codecs))
            .field("playlist_url", &format_args!("{}", kithara_net::RedactedUrl(&self.playlist_url)))
            .field("redundant", &self.redundant.len())
            .field("stream_index", &self.stream_index)
            .field("rendition", &self.rendition)
            .finish_non_exhaustive()
    }
}

/// Derives the audio ladder: what there is to switch between, by ascending bandwidth.
///
/// - Variants that are audio alone are preferred to variants with video beside them.
/// - A variant whose `AUDIO` group has a rendition with a URI is played by that rendition: a ladder of video variants
///   collapses to one rung for each audio playlist.
/// - A variant without separate audio is played for the audio in it.
/// - Variants with equal attributes and different URIs are one rung, the others standing by in
///   [`LadderVariant::redundant`].
/// - All rungs have one language.
///
/// Empty where the playlist has no variant.
#[must_use]
pub fn audio_ladder(master: &MasterPlaylist, preference: &AudioPreference) -> Vec<LadderVariant> {
    let all: Vec<_> = (0..master.variants.len()).collect();
    let is = |class: Class| move |index: &usize| classify(&master.variants[*index]) == class;
    let audio_only: Vec<_> = all.iter().copied().filter(is(Class::AudioOnly)).collect();
    let has_video = all.iter().any(is(Class::WithVideo));
    let mut rungs = rungs_of(master, preference, if has_video { &audio_only } else { &all });
    let is_right_language = |rung: &LadderVariant| {
        rung.rendition.is_some_and(|rendition| language_match(&master.media[rendition], preference) > 0)
    };
    if rungs.is_empty() || (preference.language.is_some() && !rungs.iter().any(is_right_language)) {
        // The wanted language may stand beside video only.
        let others = rungs_of(master, preference, &all);
        if rungs.is_empty() || others.iter().any(is_right_language) {
            rungs = others;
        }
    }
    keep_one_language(master, preference, &mut rungs);
    let mut ladder = merge(master, rungs);
    ladder.sort_by_key(|rung| (rung.bandwidth, rung.stream_index));
    for (index, rung) in ladder.iter_mut().enumerate() {
        rung.index = index;
    }
    ladder
}

/// What a variant carries, as far as its attributes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    AudioOnly,
    WithVideo,
    Unknown,
}

fn classify(variant: &VariantStream) -> Class {
    let kinds = || variant.codecs.tags.iter().map(|tag| tag.kind);
    let has_video = variant.resolution.is_some()
        || variant.has_frame_rate
        || variant.video_group.is_some()
        || kinds().any(|kind| kind == CodecKind::Video);
    if has_video {
        Class::WithVideo
    } else if kinds().any(CodecKind::is_audio) && kinds().all(|kind| kind != CodecKind::Unknown) {
        Class::AudioOnly
    } else {
        Class::Unknown
    }
}

/// The audio of each of these variants.
fn rungs_of(master: &MasterPlaylist, preference: &AudioPreference, variants: &[usize]) -> Vec<LadderVariant> {
    let mut picked: HashMap<&str, Option<usize>> = HashMap::new();
    let rungs = variants.iter().filter_map(|&stream_index| {
        let variant = master.variants.get(stream_index)?;
        let group = variant.audio_group.as_deref();
        let rendition = group.and_then(|group| {
            *picked.entry(group).or_insert_with(|| pick_rendition(&master.media, group, preference))
        });
        let media = rendition.and_then(|index| master.media.get(index));
        let separate = media.and_then(|media| media.uri.as_ref());
        Some(LadderVariant {
            index: 0,
            bandwidth: variant.bandwidth,
            average_bandwidth: variant.average_bandwidth,
            codecs: variant.codecs.clone(),
            playlist_url: separate.unwrap_or(&variant.uri).clone(),
            redundant: Vec::new(),
            stream_index,
            rendition,
            channels: media.and_then(|media| media.channels),
            has_video: separate.is_none() && classify(variant) == Class::WithVideo,
        })
    });
    rungs.collect()
}

/// The rendition of a group that suits best; of equals the first.
fn pick_rendition(media: &[Rendition], group: &str, preference: &AudioPreference) -> Option<usize> {
    let of_group = media.iter().enumerate().filter(|(_, rendition)| rendition.group_id == group);
    let score = |rendition: &Rendition| {
        let name = preference.name.as_deref().is_some_and(|name| rendition.name.eq_ignore_ascii_case(name));
        let wanted = |id: &String| preference.characteristics.contains(id);
        let wanted = rendition.characteristics.iter().filter(|id| wanted(id)).count();
        let is_plain = rendition.characteristics.is_empty();
        (
            language_match(rendition, preference),
            name,
            wanted,
            rendition.is_default,
            rendition.autoselect && is_plain,
            is_plain,
        )
    };
    // `max_by_key` gives the last of equals: so from the end.
    of_group.rev().max_by_key(|(_, rendition)| score(rendition)).map(|(index, _)| index)
}

/// 3: the very language; 2: a dialect of it, or the language of the dialect; 1: another dialect; 0: not that language.
fn language_match(rendition: &Rendition, preference: &AudioPreference) -> u8 {
    match (&rendition.language, &preference.language) {
        (Some(language), Some(wanted)) => language::similarity(language, wanted),
        _ => 0,
    }
}

/// Drops the rungs in other languages than the best one's: a switch of bitrate must not change the language.
fn keep_one_language(master: &MasterPlaylist, preference: &AudioPreference, rungs: &mut Vec<LadderVariant>) {
    let language_of = |rung: &LadderVariant| master.media.get(rung.rendition?)?.language.as_deref();
    let match_of = |rung: &LadderVariant| {
        rung.rendition.map_or(0, |rendition| language_match(&master.media[rendition], preference))
    };
    let Some(best) = rungs.iter().rev().max_by_key(|rung| match_of(rung)) else { return };
    let is_wanted = match_of(best) > 0;
    let Some(language) = language_of(best).map(str::to_owned) else {
        return;
    };
    rungs.retain(|rung| match language_of(rung) {
        Some(other) => language::similarity(other, &language) > 1,
        None => !is_wanted,
    });
}

/// Makes one rung of the rungs with the same playlist, and of those with equal attributes.
fn merge(master: &MasterPlaylist, mut rungs: Vec<LadderVariant>) -> Vec<LadderVariant> {
    // Known bandwidths first, so that the smallest known one of a playlist stands for it.
    rungs.sort_by_key(|rung| (rung.bandwidth == 0, rung.bandwidth, rung.stream_index));
    let mut seen = HashSet::new();
    rungs.retain(|rung| seen.insert(rung.playlist_url.clone()));
    let mut ladder: Vec<LadderVariant> = Vec::new();
    for rung in rungs {
        // Equals stand next to each other as far as their bandwidth goes.
        let same_bandwidth = ladder.iter_mut().rev().take_while(|other| other.bandwidth == rung.bandwidth);
        match same_bandwidth.into_iter().find(|other| are_redundant(master, other, &rung)) {
            Some(first) => first.redundant.push(rung.playlist_url),
            None => ladder.push(rung),
        }
    }
    ladder
}

/// Whether two rungs are the same content at two places.
fn are_redundant(master: &MasterPlaylist, one: &LadderVariant, other: &LadderVariant) -> bool {
    fn traits(variant: &VariantStream) -> impl PartialEq + '_ {
        let VariantStream {
            bandwidth, average_bandwidth, codecs, resolution, score, stable_id, name, ..
        } = variant;
        (bandwidth, average_bandwidth, codecs, resolution, score, stable_id, name)
    }
    fn rendition_traits(rendition: &Rendition) -> impl PartialEq + '_ {
        let Rendition { name, language, channels, characteristics, stable_id, .. } = rendition;
        (name, language, channels, characteristics, stable_id)
    }
    let variant = |rung: &LadderVariant| master.variants.get(rung.stream_index).map(traits);
    let rendition =
        |rung: &LadderVariant| rung.rendition.and_then(|index| master.media.get(index)).map(rendition_traits);
    one.bandwidth > 0 && variant(one) == variant(other) && rendition(one) == rendition(other)
}
