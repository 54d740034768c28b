//! What the examples share: arguments, a WAV file, a progress bar.
#![allow(unreachable_pub)]

use std::error::Error;
use std::io::{BufWriter, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use kithara::decode::PcmChunk;
use kithara::net::Url;

/// `[URL] [--wav FILE]`.
pub struct Arguments {
    pub source: Option<Url>,
    pub wav: Option<PathBuf>,
}

impl Arguments {
    pub fn parse() -> Result<Self, Box<dyn Error>> {
        let mut parsed = Self { source: None, wav: None };
        let mut arguments = std::env::args_os().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--wav") => parsed.wav = Some(arguments.next().ok_or("--wav needs a file")?.into()),
                Some(url) if parsed.source.is_none() && !url.starts_with('-') => {
                    parsed.source = Some(url.parse().map_err(|error| format!("this is no URL: {error}"))?);
                }
                _ => return Err("usage: [URL] [--wav FILE]".into()),
            }
        }
        Ok(parsed)
    }
}

/// A WAV file of 32-bit floats, or nothing.
pub struct Wav {
    path: Option<PathBuf>,
    writer: Option<hound::WavWriter<BufWriter<std::fs::File>>>,
}

impl Wav {
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { path, writer: None }
    }

    pub fn write(&mut self, chunk: &PcmChunk) -> Result<(), hound::Error> {
        if self.writer.is_none()
            && let Some(path) = &self.path
        {
            let spec = hound::WavSpec {
                channels: chunk.spec().channels,
                sample_rate: chunk.spec().sample_rate,
                bits_per_sample: 32,
                sample_format: hound::SampleFormat::Float,
            };
            self.writer = Some(hound::WavWriter::create(path, spec)?);
        }
        match &mut self.writer {
            Some(writer) => chunk.samples().iter().try_for_each(|sample| writer.write_sample(*sample)),
            None => Ok(()),
        }
    }

    pub fn finish(self) -> Result<(), hound::Error> {
        self.writer.map_or(Ok(()), hound::WavWriter::finalize)
    }
}

/// A bar over the seconds of audio, when a person watches.
pub fn progress(duration: Option<Duration>) -> ProgressBar {
    let Some(duration) = duration.filter(|_| std::io::stderr().is_terminal()) else {
        return ProgressBar::hidden();
    };
    let bar = ProgressBar::new(duration.as_secs());
    match ProgressStyle::with_template("{bar:40} {pos}/{len} s of audio") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
