//! What `--json` prints. The names are read by scripts: they stay.

use serde::Serialize;

/// One line of JSON about a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// `hls` or `file`.
    pub(crate) kind: &'static str,
    /// Container, by its usual short name.
    pub(crate) container: Option<&'static str>,
    /// Codec, by its usual short name.
    pub(crate) codec: Option<&'static str>,
    /// Output rate in Hz.
    pub(crate) sample_rate: u32,
    /// Output channels.
    pub(crate) channels: u16,
    /// Which loudspeakers the channels belong to: "stereo", "5.1", "FL+FR+FC".
    pub(crate) layout: String,
    /// Length of the whole presentation in seconds, if known.
    pub(crate) duration_s: Option<f64>,
    /// Frames given out.
    pub(crate) frames: u64,
    /// From the call to open to the first PCM.
    pub(crate) first_pcm_s: Option<f64>,
    /// From the call to open to the end.
    pub(crate) wall_s: f64,
    /// User and system time of the process.
    pub(crate) cpu_s: f64,
    /// Peak resident memory of the process.
    pub(crate) peak_rss_bytes: u64,
    /// HTTP requests sent, attempts that failed included.
    pub(crate) requests: u64,
    /// Body bytes received.
    pub(crate) bytes_downloaded: u64,
    /// Playlists, keys, sections, segments and files that came from the store without a request.
    pub(crate) cache_hits: u64,
    /// The HLS ladder.
    pub(crate) variants: Vec<ReportVariant>,
    /// Changes of variant, in the order in which they are heard.
    pub(crate) switches: Vec<ReportSwitch>,
    /// Times that a paced reader (`--realtime`) had to wait for PCM.
    pub(crate) stalls: u64,
    /// How long it waited in all.
    pub(crate) stall_s: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct ReportVariant {
    pub(crate) index: usize,
    pub(crate) bandwidth: u64,
    pub(crate) codecs: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ReportSwitch {
    /// Place in the audio where the change is heard.
    pub(crate) at_s: f64,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) reason: String,
}
