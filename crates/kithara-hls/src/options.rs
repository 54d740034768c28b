//! How an HLS stream is opened.

use std::time::{Duration, SystemTime};

use kithara_assets::{AssetStore, KeyPolicy};
use kithara_bufpool::{BytePool, PoolSettings, SamplePool};
use kithara_decode::OutputOptions;
use kithara_net::DefaultNet;

use crate::abr::{AbrOptions, AbrPolicyKind, VariantMode};
use crate::playlist::AudioPreference;

/// How far the stream fetches ahead of its reader. Whichever bound is reached first holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookAhead {
    /// Segments, the one being read included; the next one is always fetched. Default 8.
    pub segments: usize,
    /// Seconds of audio. Default 40 s: with 4-s segments the count rules, with 10-s segments this does, so that a
    /// bitrate decision is heard within this time.
    pub duration: Duration,
    /// Bytes, as declared or seen. Default 6 MiB: three FLAC segments of 2 MB.
    pub bytes: u64,
    /// Segments that are on the way at the same moment. Default 4. Fewer are used while the network gives less than
    /// that many times the variant's bandwidth, so that the next segment never waits behind a later one; and one where
    /// segments come within 10 ms, and faster than they are heard.
    pub parallel: usize,
    /// Bytes that are still to come, of all segments on the way: another fetch begins below it. Large segments come one
    /// after the other, because each connection that is full costs buffers. Default 1 MiB.
    pub bytes_in_flight: u64,
}

impl Default for LookAhead {
    fn default() -> Self {
        Self {
            segments: 8,
            duration: Duration::from_secs(40),
            bytes: 6 << 20,
            parallel: 4,
            bytes_in_flight: 1 << 20,
        }
    }
}

/// Where a live presentation is joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LiveStart {
    /// Where the playlist says (`EXT-X-START`), else at its edge: `HOLD-BACK`, or three target durations, before its end
    /// (RFC 8216, section 6.3.3). The default.
    #[default]
    Edge,
    /// So long before the end of the list. What is closer than three target durations may not be there yet when it is
    /// asked for.
    FromEdge(Duration),
    /// At the oldest segment that is listed.
    Oldest,
    /// At this moment of the programme, where the list has `EXT-X-PROGRAM-DATE-TIME`; with the oldest segment if the
    /// moment is before that, at the edge if it is after it.
    At(SystemTime),
}

/// Settings of [`Hls::open`](crate::Hls::open).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HlsOptions<N = DefaultNet, A = AssetStore> {
    /// The network stack. Share one between streams to share its connections.
    pub net: N,
    /// The store. Default: in memory, bounded, gone with the stream.
    pub assets: A,
    /// How URLs become keys of the store.
    pub key_policy: KeyPolicy,
    /// Variant choice. Default [`VariantMode::Auto`].
    pub variant: VariantMode,
    /// Settings of the bitrate decisions.
    pub abr: AbrOptions,
    /// Which audio rendition is wanted, where the presentation offers several.
    pub audio: AudioPreference,
    /// Look-ahead bounds.
    pub look_ahead: LookAhead,
    /// Rate and channels of the PCM. Default: those of the first segment.
    pub output: OutputOptions,
    /// Give out every format as it is encoded instead of converting all to the first (or to `output`, which is then
    /// ignored): [`HlsEvent::FormatChanged`](crate::HlsEvent::FormatChanged) and each chunk's
    /// [`spec`](kithara_decode::PcmChunk::spec) tell, and positions count frames of the chunk's own rate. Default `false`.
    pub native_format: bool,
    /// Where playback begins. Default `None`: the playlist's `EXT-X-START`, else its beginning, or
    /// [`live_start`](Self::live_start) of a live one. Beyond the edge of a live presentation: at the edge, with
    /// [`HlsEvent::SeekClamped`](crate::HlsEvent::SeekClamped).
    pub start: Option<Duration>,
    /// Where a live presentation is joined, unless `start` says so. Default [`LiveStart::Edge`].
    pub live_start: LiveStart,
    /// How long a live playlist that fails or stands still is waited for, counted from the moment when no audio is left.
    /// Default 30 s.
    pub live_patience: Duration,
    /// Never use the network: play what the store holds. Default `false`.
    pub offline: bool,
    /// Keep also what the server says not to store (`Cache-Control: no-store`, `private`), and what was fetched with
    /// `Authorization` and is not `public`. Default `false`: it plays, and the next run fetches it anew.
    pub store_private: bool,
    /// Keep decryption keys in the store, which offline playback of encrypted presentations needs. Default `false`.
    pub store_keys: bool,
    /// Where sample buffers come from. Default: a pool of this value and its clones; many streams of one value keep fewer
    /// buffers at rest than as many values.
    pub samples: SamplePool,
    /// Where the buffers come from into which stored segments are read, 8 KiB at a time. Default: as `samples`.
    pub bytes: BytePool,
    /// Events that a slow receiver may be behind before it loses the oldest. Default 64.
    pub event_capacity: usize,
}

impl<N, A> HlsOptions<N, A> {
    /// Settings over this network and this store, with the defaults for everything else.
    pub fn new(net: N, assets: A) -> Self {
        Self {
            net,
            assets,
            key_policy: KeyPolicy::default(),
            variant: VariantMode::Auto,
            abr: AbrOptions::default(),
            audio: AudioPreference::default(),
            look_ahead: LookAhead::default(),
            output: OutputOptions::default(),
            native_format: false,
            start: None,
            live_start: LiveStart::Edge,
            live_patience: Duration::from_secs(30),
            offline: false,
            store_private: false,
            store_keys: false,
            samples: SamplePool::new(PoolSettings::default()),
            bytes: BytePool::new(PoolSettings::default()),
            event_capacity: 64,
        }
    }

    /// Sets the rule that chooses variants: [`AbrOptions::policy`].
    #[must_use]
    pub fn with_abr_policy(mut self, policy: AbrPolicyKind) -> Self {
        self.abr.policy = policy;
        self
    }

    /// Sets the bandwidth that no variant should exceed: [`AbrOptions::max_bandwidth`].
    #[must_use]
    pub fn with_max_bandwidth(mut self, bandwidth: Option<u64>) -> Self {
        self.abr.max_bandwidth = bandwidth;
        self
    }
}

/// A variant of the ladder, as an application shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VariantInfo {
    /// Index in the ladder, by ascending bandwidth.
    pub index: usize,
    /// Bits per second; 0 where the opened URL was a media playlist, which does not tell.
    pub bandwidth: u64,
    /// The `CODECS` attribute, if there was one.
    pub codecs: Option<String>,
}
