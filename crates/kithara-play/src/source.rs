//! What the player plays: tracks, and the sources that they open into.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kithara_decode::{AudioSpec, PcmChunk, PcmSource};

/// A boxed future, as object-safe async methods return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a track failed: the error of its stream, shared by everybody who is told.
pub type TrackError = Arc<dyn std::error::Error + Send + Sync>;

/// The object-safe twin of [`PcmSource`], which implements it: HLS streams, files and your own sources.
pub trait TrackSource: Send {
    /// Rate and channels of the chunks. The player converts what differs from its output.
    fn spec(&self) -> AudioSpec;

    /// Length of the whole track, if known.
    fn duration(&self) -> Option<Duration>;

    /// The next chunk; `None` at the end. Cancel-safe: dropping the future loses no PCM.
    fn next_chunk(&mut self) -> BoxFuture<'_, Result<Option<PcmChunk>, TrackError>>;

    /// Moves to `to`; gives the frame, at the source's rate, at which the next chunk begins.
    fn seek(&mut self, to: Duration) -> BoxFuture<'_, Result<u64, TrackError>>;
}

impl<S: PcmSource> TrackSource for S {
    fn spec(&self) -> AudioSpec {
        PcmSource::spec(self)
    }

    fn duration(&self) -> Option<Duration> {
        PcmSource::duration(self)
    }

    fn next_chunk(&mut self) -> BoxFuture<'_, Result<Option<PcmChunk>, TrackError>> {
        Box::pin(
            async move { PcmSource::next_chunk(self).await.map_err(|error| Arc::new(error) as TrackError) },
        )
    }

    fn seek(&mut self, to: Duration) -> BoxFuture<'_, Result<u64, TrackError>> {
        Box::pin(
            async move { PcmSource::seek(self, to).await.map_err(|error| Arc::new(error) as TrackError) },
        )
    }
}

/// Loudness information of a track, in decibels: ReplayGain 2.0, or R128 gains converted to the same reference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReplayGain {
    /// Gain that brings the track to the reference loudness (−18 LUFS).
    pub track_gain: Option<f32>,
    /// Highest absolute sample of the track; 1.0 is full scale.
    pub track_peak: Option<f32>,
    /// Gain that brings the whole album to the reference loudness.
    pub album_gain: Option<f32>,
    /// Highest absolute sample of the album.
    pub album_peak: Option<f32>,
}

impl ReplayGain {
    /// From the header values of Ogg Opus (`R128_TRACK_GAIN`, `R128_ALBUM_GAIN`; RFC 7845 section 5.2.1): Q7.8 decibels
    /// relative to −23 LUFS, which is 5 dB below ReplayGain's reference.
    #[must_use]
    pub fn from_r128(track: Option<i16>, album: Option<i16>) -> Self {
        let convert = |gain: i16| f32::from(gain) / 256.0 + 5.0;
        Self { track_gain: track.map(convert), album_gain: album.map(convert), ..Self::default() }
    }
}

/// Opens a track for an output format.
type Open = dyn Fn(AudioSpec) -> BoxFuture<'static, Result<Box<dyn TrackSource>, TrackError>> + Send + Sync;

/// An entry of the queue: a name, loudness, and how to open it. Cheap to clone.
#[derive(Clone)]
pub struct Track {
    name: Arc<str>,
    gain: ReplayGain,
    open: Arc<Open>,
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Track").field("name", &self.name).field("gain", &self.gain).finish_non_exhaustive()
    }
}

impl Track {
    /// A track that `open` opens when its turn comes near, possibly several times (repeat, skipping back).
    ///
    /// `open` gets the output's format: a stream that can convert by itself should, the player converts the rest. Its
    /// future is dropped when the user skips the track.
    pub fn new<F, S, E>(
        name: impl Into<Arc<str>>,
        open: impl Fn(AudioSpec) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<S, E>> + Send + 'static,
        S: TrackSource + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let open = move |spec| -> BoxFuture<'static, Result<Box<dyn TrackSource>, TrackError>> {
            let opening = open(spec);
            Box::pin(async move {
                match opening.await {
                    Ok(source) => Ok(Box::new(source) as Box<dyn TrackSource>),
                    Err(error) => Err(Arc::new(error) as TrackError),
                }
            })
        };
        Self { name: name.into(), gain: ReplayGain::default(), open: Arc::new(open) }
    }

    /// The same track with loudness information.
    #[must_use]
    pub fn with_gain(mut self, gain: ReplayGain) -> Self {
        self.gain = gain;
        self
    }

    /// What the application calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its loudness information.
    #[must_use]
    pub fn gain(&self) -> ReplayGain {
        self.gain
    }

    pub(crate) fn open(
        &self,
        output: AudioSpec,
    ) -> BoxFuture<'static, Result<Box<dyn TrackSource>, TrackError>> {
        (self.open)(output)
    }
}
