use crate::Error;
use crate::layout::Channel;

/// Where decoded sound is collected: planes that keep their memory from packet to packet.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) planes: Vec<Vec<f32>>,
    pub(crate) frames: usize,
    pub(crate) channels: Vec<Channel>,
}

impl Output {
    /// Forgets the last packet's sound, and takes over the channels where they have changed.
    pub(crate) fn clear(&mut self) {
        self.frames = 0;
    }

    pub(crate) fn set_channels(&mut self, channels: Vec<Channel>, frames: usize) {
        self.planes.resize_with(channels.len(), Vec::new);
        for plane in &mut self.planes {
            plane.resize(plane.len().max(frames), 0.0);
        }
        self.channels = channels;
    }

    /// Makes room for `frames` more frames, and returns where they start.
    pub(crate) fn extend(&mut self, frames: usize) -> usize {
        let first = self.frames;
        self.frames += frames;
        for plane in &mut self.planes {
            if plane.len() < self.frames {
                plane.resize(self.frames, 0.0);
            }
        }
        first
    }
}

/// The sound of one packet, borrowed from the decoder until the next call.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    pub(crate) output: &'a Output,
    pub(crate) sample_rate: u32,
    pub(crate) damage: Option<Error>,
    pub(crate) skipped: Option<&'static str>,
}

impl<'a> Frame<'a> {
    /// Samples of each channel.
    pub fn frames(&self) -> usize {
        self.output.frames
    }

    /// Frames per second: with SBR, twice the core's rate as a rule.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// The loudspeakers that the planes belong to, in the planes' order.
    pub fn channels(&self) -> &'a [Channel] {
        &self.output.channels
    }

    /// One channel's samples; full scale is -1 to 1, and loud streams exceed it.
    ///
    /// # Panics
    /// Where there are not so many channels.
    pub fn plane(&self, channel: usize) -> &'a [f32] {
        &self.output.planes[channel][..self.output.frames]
    }

    /// Every channel's samples.
    pub fn planes(&self) -> impl ExactSizeIterator<Item = &'a [f32]> + use<'a> {
        let frames = self.output.frames;
        self.output.planes.iter().map(move |plane| &plane[..frames])
    }

    /// Why the packet, or a part of it, was concealed: those channels fade out, and the next whole packet
    /// fades in.
    pub fn damage(&self) -> Option<&Error> {
        self.damage.as_ref()
    }

    /// A tool that the packet uses and this decoder passes over: the frame sounds without it.
    pub fn skipped(&self) -> Option<&'static str> {
        self.skipped
    }
}
