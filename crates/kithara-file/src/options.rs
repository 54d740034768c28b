//! How a file is opened.

use std::fmt;
use std::time::Duration;

use kithara_assets::{AssetStore, KeyPolicy, ResourceKey};
use kithara_bufpool::{PoolSettings, SamplePool};
use kithara_decode::OutputOptions;
use kithara_net::{DefaultNet, HeaderMap, RetryPolicy};
use kithara_stream::Validation;

use crate::Downloads;

/// How far a download runs ahead of its reader. Whichever bound is reached first holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookAhead {
    /// Bytes. Default 4 MiB: half a minute of FLAC, and what a phone's cache of a paused track may cost. Use at least
    /// bitrate × the longest gap in the network that should not be heard.
    pub bytes: u64,
    /// Seconds of audio. Default 120 s: 2 MiB at 128 kbit/s. Counts once length and duration are known, and never
    /// shrinks the bound below 256 KiB, which a probe or a seek needs.
    pub duration: Duration,
}

impl LookAhead {
    /// These bounds.
    #[must_use]
    pub const fn new(bytes: u64, duration: Duration) -> Self {
        Self { bytes, duration }
    }

    /// No bound: the whole file is downloaded as fast as it comes.
    #[must_use]
    pub const fn unbounded() -> Self {
        Self::new(u64::MAX, Duration::MAX)
    }

    /// The bound in bytes for a file of `len` bytes that lasts `duration`.
    pub(crate) fn bound(&self, len: Option<u64>, duration: Option<Duration>) -> u64 {
        const LEAST: u64 = 256 * 1024;
        let (Some(len), Some(duration)) = (len, duration.filter(|duration| !duration.is_zero())) else {
            return self.bytes;
        };
        let share = self.duration.as_secs_f64() / duration.as_secs_f64();
        // Saturates: a bound beyond all files is no bound.
        let bytes = (len as f64 * share) as u64;
        self.bytes.min(bytes.max(LEAST))
    }
}

impl Default for LookAhead {
    fn default() -> Self {
        Self::new(4 << 20, Duration::from_secs(120))
    }
}

/// Settings of [`File::open`](crate::File::open). Clones share the network stack, the store and the downloads.
#[derive(Clone)]
#[non_exhaustive]
pub struct FileOptions<N = DefaultNet, A = AssetStore> {
    /// The network stack.
    pub net: N,
    /// The store.
    pub assets: A,
    /// The downloads that are under way: streams that are opened with clones of one value share them by URL.
    pub downloads: Downloads,
    /// How URLs become keys of the store.
    pub key_policy: KeyPolicy,
    /// The key of the file itself, instead of what `key_policy` makes of the URL. Default `None`.
    pub key: Option<ResourceKey>,
    /// Headers of every request for this file.
    pub headers: HeaderMap,
    /// How far to download ahead.
    pub look_ahead: LookAhead,
    /// When to compare a stored file with the server's. A file that is stored in part is compared by the request for the
    /// rest, whatever this says. Default [`Validation::Never`].
    pub validation: Validation,
    /// How often a transfer that breaks off is tried again. The budget starts anew whenever bytes arrive.
    pub retry: RetryPolicy,
    /// How long a connection is kept while nothing is taken from it; it is opened anew when it is needed again. Default
    /// 15 s: below the 30 to 60 s after which servers drop it.
    pub keep_paused: Duration,
    /// Whether parts that were skipped by a seek are downloaded once everything ahead is there, so that the file can be
    /// kept. Default `true`.
    pub fill_holes: bool,
    /// Never use the network: play what is stored. Default `false`.
    pub offline: bool,
    /// Keep also a file that its server says not to store (`Cache-Control: no-store`, `private`), and one that was fetched
    /// with `Authorization` and is not `public`. Default `false`: it plays, and the next open fetches it anew.
    pub store_private: bool,
    /// Bytes of a body of unknown length that are kept; what comes after them is forgotten as it is played. Default
    /// 256 MiB.
    pub max_unknown_len: u64,
    /// How long an endless stream that was heard is asked for again after it broke off, whatever its server answers: a
    /// station whose encoder restarts is not there for a moment. Default 10 s.
    pub station_patience: Duration,
    /// Ask for the titles that radio stations mix into their streams. Default `true`.
    pub icy: bool,
    /// Rate and channels of the PCM. Default: those of the file.
    pub output: OutputOptions,
    /// Trim encoder delay and padding. Default `true`.
    pub gapless: bool,
    /// Seek to the exact frame in every file, whatever that takes. Default `true`: in an MP3 or ADTS file of variable bit
    /// rate, whose frames can only be counted from the start, everything before the target is fetched. With `false` a seek in
    /// them over more than about 128 KiB that are not stored goes to *about* the frame by one range request. See
    /// [`FileStream::position_is_estimated`](crate::FileStream::position_is_estimated). In all other files a seek is exact,
    /// and one request, in any case.
    pub exact_seek: bool,
    /// Where sample buffers come from. Default: a pool of this value and its clones.
    pub samples: SamplePool,
    /// Events that a slow receiver may be behind before it loses the oldest. Default 256.
    pub event_capacity: usize,
}

impl<N, A> FileOptions<N, A> {
    /// The defaults over this network stack and store.
    #[must_use]
    pub fn new(net: N, assets: A) -> Self {
        Self {
            net,
            assets,
            downloads: Downloads::default(),
            key_policy: KeyPolicy::default(),
            key: None,
            headers: HeaderMap::new(),
            look_ahead: LookAhead::default(),
            validation: Validation::default(),
            retry: RetryPolicy::default(),
            keep_paused: Duration::from_secs(15),
            fill_holes: true,
            offline: false,
            store_private: false,
            max_unknown_len: 256 << 20,
            station_patience: Duration::from_secs(10),
            icy: true,
            output: OutputOptions::default(),
            gapless: true,
            exact_seek: true,
            samples: SamplePool::new(PoolSettings::default()),
            event_capacity: 256,
        }
    }
}

impl<N: fmt::Debug, A: fmt::Debug> fmt::Debug for FileOptions<N, A> {
    /// Shows the names of the headers, never their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(|name| name.as_str()).collect();
        f.debug_struct("FileOptions")
            .field("net", &self.net)
            .field("assets", &self.assets)
            .field("downloads", &self.downloads)
            .field("key_policy", &self.key_policy)
            .field("key", &self.key)
            .field("headers", &names)
            .field("look_ahead", &self.look_ahead)
            .field("validation", &self.validation)
            .field("retry", &self.retry)
            .field("keep_paused", &self.keep_paused)
            .field("fill_holes", &self.fill_holes)
            .field("offline", &self.offline)
            .field("store_private", &self.store_private)
            .field("max_unknown_len", &self.max_unknown_len)
            .field("station_patience", &self.station_patience)
            .field("icy", &self.icy)
            .field("output", &self.output)
            .field("gapless", &self.gapless)
            .field("exact_seek", &self.exact_seek)
            .field("samples", &self.samples)
            .field("event_capacity", &self.event_capacity)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::LookAhead;

    #[test]
    fn the_bound_follows_the_bitrate_within_limits() {
        let ahead = LookAhead::default();
        let minutes = |count: u64| Some(Duration::from_secs(count * 60));
        assert_eq!(ahead.bound(None, minutes(3)), 4 << 20);
        assert_eq!(ahead.bound(Some(3_000_000), minutes(3)), 2_000_000);
        assert_eq!(ahead.bound(Some(30_000_000), minutes(3)), 4 << 20);
        assert_eq!(ahead.bound(Some(100_000), minutes(600)), 256 << 10);
        assert_eq!(LookAhead::unbounded().bound(Some(1 << 40), minutes(1)), u64::MAX);
        assert_eq!(ahead.bound(Some(1), Some(Duration::ZERO)), 4 << 20);
    }
}
