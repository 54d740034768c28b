//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use kithara::decode::{ChannelLayout, OutputOptions};
use kithara::hls::abr::AbrPolicyKind;
use kithara::net::{HeaderName, HeaderValue};

/// Decode audio URLs (progressive files and HLS presentations) to PCM.
#[derive(Debug, Parser)]
#[command(name = "kithara", version, about)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Decode a URL, a file or the bundled demo to PCM.
    Decode(DecodeArgs),
    /// Compute a session over a network trace: what would be heard, how often it would stall.
    Abr(AbrArgs),
}

/// Sample format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// WAV, 16 bits per sample.
    Wav,
    /// Raw interleaved 32-bit floats, little endian.
    F32le,
    /// Raw interleaved 16-bit integers, little endian.
    S16le,
}

/// Which HLS variant is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Auto,
    Highest,
    Lowest,
    Index(usize),
}

#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// An http(s) URL of a file or of an HLS playlist, a local file, or `demo` for the bundled presentation.
    pub(crate) source: OsString,

    /// Where the PCM goes: a file, replaced when the first PCM comes, or `-` for standard output. Without it the PCM is
    /// decoded and dropped.
    #[arg(short, long, value_name = "FILE|-")]
    pub(crate) output: Option<PathBuf>,

    /// Sample format of the output.
    #[arg(long, value_enum, default_value = "wav")]
    pub(crate) format: Format,

    /// Resample to this rate. Default: the rate of the media.
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(4000..=768_000))]
    pub(crate) rate: Option<u32>,

    /// Mix to these channels: a number, or `mono`, `stereo`, `5.1`, `7.1`. Default: the channels of the media.
    #[arg(long, value_name = "N|LAYOUT", value_parser = layout)]
    pub(crate) channels: Option<ChannelLayout>,

    /// Begin this many seconds into the audio.
    #[arg(long, value_name = "S", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) start: Option<Duration>,

    /// Decode this many seconds and end.
    #[arg(long, value_name = "S", value_parser = seconds, conflicts_with = "seek", allow_negative_numbers = true)]
    pub(crate) duration: Option<Duration>,

    /// Decode one second at each of these places (seconds, separated by commas), in this order, and end.
    #[arg(long, value_name = "S,S,…", value_parser = seconds, value_delimiter = ',', allow_negative_numbers = true)]
    pub(crate) seek: Vec<Duration>,

    /// HLS variant: `auto`, `highest`, `lowest`, or an index in the order of ascending bandwidth.
    #[arg(long, value_name = "auto|highest|lowest|INDEX", value_parser = variant, default_value = "auto")]
    pub(crate) variant: Variant,

    /// Keep what was downloaded in this folder, and play from it. Default: a temporary folder, removed at the end.
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    pub(crate) cache: Option<PathBuf>,

    /// Keep nothing on disk: memory only.
    #[arg(long)]
    pub(crate) no_cache: bool,

    /// Use no network: play what the cache holds.
    #[arg(long)]
    pub(crate) offline: bool,

    /// Send this header with every request. May be repeated.
    #[arg(long = "header", value_name = "K: V", value_parser = header)]
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,

    /// Consume at this multiple of playback speed (0.001 to 1,000,000), as a player would. Alone it means 1.
    #[arg(long, value_name = "SPEED", num_args = 0..=1, require_equals = true, default_missing_value = "1",
          value_parser = speed)]
    pub(crate) realtime: Option<f64>,

    /// End with one JSON object on standard output (on standard error if the PCM goes to standard output).
    #[arg(long)]
    pub(crate) json: bool,

    /// Rule that chooses HLS variants in automatic mode: `hybrid`, `throughput`, `bola` or `bola-e`.
    #[arg(long, value_name = "NAME", value_parser = policy, default_value = "hybrid")]
    pub(crate) policy: AbrPolicyKind,

    /// Choose no HLS variant above this bandwidth in kbit/s, unless there is none below.
    #[arg(long, value_name = "KBPS")]
    pub(crate) max_bandwidth: Option<u64>,

    /// Draw link, estimate, variant, buffer and stalls of an HLS presentation as SVG; with `--realtime`.
    #[arg(long, value_name = "FILE.svg", requires = "realtime")]
    pub(crate) plot: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AbrArgs {
    /// The network: a JSON list of `{duration_ms, bandwidth_kbps, latency_ms}`, repeated at its end, or a synthetic one
    /// (`synthetic:cell-3g`, `synthetic:walk:7` with a seed).
    #[arg(long, value_name = "FILE|synthetic:NAME")]
    pub(crate) trace: String,

    /// Bitrates of the variants in kbit/s, ascending.
    #[arg(
        long,
        value_name = "KBPS,KBPS,…",
        value_delimiter = ',',
        default_value = "66,134,270,989",
        conflicts_with = "sizes"
    )]
    pub(crate) ladder: Vec<f64>,

    /// Duration of a segment in seconds.
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "6", conflicts_with = "sizes")]
    pub(crate) segment: Duration,

    /// Number of segments. Default: as many as `--sizes` has, else 37.
    #[arg(long, value_name = "N")]
    pub(crate) segments: Option<usize>,

    /// Sizes of the segments: JSON `{segment_duration_ms, bitrates_kbps, segment_sizes_bits}`, the last one a list of
    /// segments with one size per variant.
    #[arg(long, value_name = "FILE")]
    pub(crate) sizes: Option<PathBuf>,

    /// The most audio that may be buffered, in seconds.
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "30")]
    pub(crate) max_buffer: Duration,

    /// The rule that chooses variants: `hybrid`, `throughput`, `bola` or `bola-e`.
    #[arg(long, value_name = "NAME", value_parser = policy, default_value = "hybrid")]
    pub(crate) policy: AbrPolicyKind,

    /// Multiply every bandwidth of the trace by this.
    #[arg(long, value_name = "FACTOR", default_value = "1")]
    pub(crate) multiplier: f64,

    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,

    /// Draw link, estimate, variant, buffer and stalls as SVG.
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
}

impl DecodeArgs {
    /// Rate and channels of the PCM.
    pub(crate) fn pcm(&self) -> OutputOptions {
        OutputOptions::default().with_rate(self.rate).with_layout(self.channels)
    }

    /// Whether the PCM goes to standard output.
    pub(crate) fn writes_stdout(&self) -> bool {
        self.output.as_ref().is_some_and(|path| path.as_os_str() == "-")
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.trim().parse().map_err(|_| format!("`{text}` is not a number of seconds"))?;
    Duration::try_from_secs_f64(value).map_err(|_| format!("`{text}` is not a time in audio"))
}

fn variant(text: &str) -> Result<Variant, String> {
    match text {
        "auto" => Ok(Variant::Auto),
        "highest" => Ok(Variant::Highest),
        "lowest" => Ok(Variant::Lowest),
        index => index
            .parse()
            .map(Variant::Index)
            .map_err(|_| format!("`{text}` is neither `auto`, `highest` nor `lowest`, nor an index")),
    }
}

fn layout(text: &str) -> Result<ChannelLayout, String> {
    match text {
        "mono" => Ok(ChannelLayout::MONO),
        "stereo" => Ok(ChannelLayout::STEREO),
        "5.1" => Ok(ChannelLayout::SURROUND_5_1),
        "7.1" => Ok(ChannelLayout::SURROUND_7_1),
        number => match number.parse() {
            Ok(channels @ 1..=32) => Ok(ChannelLayout::of_count(channels)),
            _ => Err(format!("`{text}` is neither 1 to 32 channels nor `mono`, `stereo`, `5.1`, `7.1`")),
        },
    }
}

fn policy(text: &str) -> Result<AbrPolicyKind, String> {
    AbrPolicyKind::by_name(text)
        .ok_or_else(|| format!("no policy `{text}`; there are {}", AbrPolicyKind::NAMES.join(", ")))
}

fn speed(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if (0.001..=1e6).contains(&value) {
        Ok(value)
    } else {
        Err(format!("`{text}` is not in 0.001..=1000000"))
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| "a header is `Name: value`".to_owned())?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|error| error.to_string())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|error| error.to_string())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(line: &str) -> Result<DecodeArgs, clap::Error> {
        Cli::try_parse_from(line.split('|')).map(|cli| match cli.command {
            Command::Decode(args) => args,
            Command::Abr(_) => panic!("not decode"),
        })
    }

    #[test]
    fn the_defaults_decode_and_drop() {
        let args = decode("kithara|decode|demo").unwrap();
        assert_eq!(args.variant, Variant::Auto);
        assert_eq!(args.format, Format::Wav);
        assert!(args.output.is_none() && args.realtime.is_none() && args.seek.is_empty());
    }

    #[test]
    fn every_flag_is_read() {
        let args = decode(
            "kithara|decode|http://h/x|--output|-|--format|s16le|--rate|48000|--channels|5.1|--start|1.5|--seek|3,1.25|--variant|2|--no-cache|--offline|--header|A: b: c|--realtime=4|--json",
        )
        .unwrap();
        assert!(args.writes_stdout() && args.no_cache && args.offline && args.json);
        assert_eq!(args.rate, Some(48_000));
        assert_eq!(args.channels, Some(ChannelLayout::SURROUND_5_1));
        assert_eq!(decode("kithara|decode|x|--channels|2").unwrap().channels, Some(ChannelLayout::STEREO));
        assert_eq!(args.start, Some(Duration::from_millis(1500)));
        assert_eq!(args.seek, [Duration::from_secs(3), Duration::from_millis(1250)]);
        assert_eq!(args.variant, Variant::Index(2));
        assert_eq!(args.headers, [(HeaderName::from_static("a"), HeaderValue::from_static("b: c"))]);
        assert_eq!(args.realtime, Some(4.0));
        assert_eq!(decode("kithara|decode|x|--realtime|--json").unwrap().realtime, Some(1.0));
        assert_eq!(decode("kithara|decode|x|--variant|highest").unwrap().variant, Variant::Highest);
        let limited = decode("kithara|decode|x|--policy|bola|--max-bandwidth|300").unwrap();
        assert_eq!((limited.policy.build().name(), limited.max_bandwidth), ("bola", Some(300)));
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for line in [
            "kithara|decode",
            "kithara|decode|x|--start|-1",
            "kithara|decode|x|--start|nan",
            "kithara|decode|x|--realtime=0",
            "kithara|decode|x|--plot|x.svg",
            "kithara|decode|x|--realtime=1e-300",
            "kithara|decode|x|--realtime=nan",
            "kithara|decode|x|--variant|best",
            "kithara|decode|x|--header|nocolon",
            "kithara|decode|x|--header|a b: c",
            "kithara|decode|x|--header|: c",
            "kithara|decode|x|--header|a: b\nc",
            "kithara|decode|x|--cache|d|--no-cache",
            "kithara|decode|x|--rate|0",
            "kithara|decode|x|--channels|0",
            "kithara|decode|x|--channels|quintet",
        ] {
            assert!(decode(line).is_err(), "{line}");
        }
    }
}
