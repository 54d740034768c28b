//! What `--plot` draws of a run: its events with their time.

use std::time::Instant;

use kithara::hls::HlsEvent;

use crate::plot::{Line, Plot};

/// The series of a run, in seconds since it began.
#[derive(Debug)]
pub(crate) struct Recording {
    begun: Instant,
    link: Line,
    estimate: Line,
    buffer: Line,
    /// Times and variants.
    variants: Vec<(f64, usize)>,
}

impl Recording {
    /// Nothing yet of a run that began then.
    pub(crate) fn new(begun: Instant) -> Self {
        Self { begun, link: Line::new(), estimate: Line::new(), buffer: Line::new(), variants: Vec::new() }
    }

    /// Takes an event that has just happened.
    pub(crate) fn note(&mut self, event: &HlsEvent) {
        let now = self.begun.elapsed().as_secs_f64();
        match event {
            HlsEvent::Decision { inputs, .. } => {
                self.buffer.push((now, inputs.buffered.as_secs_f64()));
                self.estimate.extend(inputs.rate.map(|rate| (now, rate.throughput / 1e3)));
            }
            HlsEvent::SegmentStarted { variant, .. } => self.variants.push((now, *variant)),
            HlsEvent::SegmentStored { bytes, elapsed, .. } if *bytes > 0 => {
                let seconds = elapsed.as_secs_f64().max(1e-3);
                let begun = (now - seconds).max(self.link.last().map_or(0.0, |last| last.0));
                self.link.push((begun, *bytes as f64 * 8.0 / seconds / 1e3));
            }
            _ => {}
        }
    }

    /// The picture. `ladder` is in kbit/s.
    pub(crate) fn plot(&self, title: String, ladder: Vec<f64>) -> Plot {
        let bitrate = |variant: usize| ladder.get(variant).copied().unwrap_or(0.0);
        Plot {
            title,
            seconds: self.begun.elapsed().as_secs_f64(),
            link: self.link.clone(),
            estimate: self.estimate.clone(),
            variant: self.variants.iter().map(|(at, variant)| (*at, bitrate(*variant))).collect(),
            ladder: ladder.clone(),
            buffer: self.buffer.clone(),
            stalls: Line::new(),
        }
    }
}
