//! From the variants of a multivariant playlist to the audio that can be switched between.

use url::Url;

use super::codecs::Codecs;
use super::master::MasterPlaylist;

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
    let _ = (master, preference);
    todo!()
}
