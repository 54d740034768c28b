//! Coded frames of fixtures, to be packaged in another way.

use kithara_testkit::media;
use kithara_testkit::odd::{adts, mp3};

/// The fixture whose frames [`aac`] gives, and whose reference they decode to.
pub const AAC: &str = "packed-aac";
/// The same for [`mp3`].
pub const MP3: &str = "packed-mp3";

/// Frames per second of both.
pub const RATE: u64 = 44_100;
/// The 90 kHz clock of MPEG-TS.
pub const CLOCK: u64 = 90_000;

/// A run of coded frames of equal length.
#[derive(Clone)]
pub struct Units {
    pub frames: Vec<&'static [u8]>,
    /// Samples of each.
    pub samples: u64,
    /// The fixture with the reference.
    pub fixture: &'static str,
}

impl Units {
    /// Three segments of about 2.5 s, with the index of the first frame of each.
    pub fn segments(&self) -> Vec<(u64, &[&'static [u8]])> {
        let per = self.frames.len().div_ceil(3);
        self.frames.chunks(per).enumerate().map(|(n, frames)| ((n * per) as u64, frames)).collect()
    }

    /// Seconds of so many frames.
    pub fn seconds(&self, frames: usize) -> f64 {
        (frames as u64 * self.samples) as f64 / RATE as f64
    }

    /// The time at 90 kHz at which a frame sounds.
    pub fn time(&self, frame: u64) -> u64 {
        frame * self.samples * CLOCK / RATE
    }
}

fn stream(fixture: &str) -> impl Iterator<Item = &'static [u8]> {
    let folder = media::find(fixture).unwrap().folder();
    let extension = if fixture == AAC { "aac" } else { "mp3" };
    (0..3).map(move |n| {
        let bytes = folder.get(&format!("seg{n}.{extension}")).unwrap();
        // The tag says its length in four times seven bits.
        let len = bytes[6..10].iter().fold(0, |len, byte| len << 7 | usize::from(*byte));
        &bytes[10 + len..]
    })
}

/// AAC-LC in ADTS frames, stereo.
pub fn aac() -> Units {
    let frames: Vec<_> = stream(AAC).flat_map(adts::frames).collect();
    assert_eq!(frames.len() as u64 * 1024, media::find(AAC).unwrap().frames);
    Units { frames, samples: 1024, fixture: AAC }
}

/// MPEG-1 layer III, stereo.
pub fn mp3() -> Units {
    let frames: Vec<_> = stream(MP3).flat_map(mp3::frames).collect();
    assert_eq!(frames.len() as u64 * 1152, media::find(MP3).unwrap().frames);
    Units { frames, samples: 1152, fixture: MP3 }
}
