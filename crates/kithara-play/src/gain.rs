//! From loudness information to a factor.

use crate::ReplayGain;

/// Which loudness information levels the tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Loudness {
    /// None: tracks play as they are. The default.
    #[default]
    Off,
    /// Each track by its own gain (album gain where it has no other): for shuffled queues.
    Track,
    /// Each track by its album's gain (track gain where it has no other): keeps the dynamics of an album.
    Album,
}

/// Loudness settings.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LoudnessOptions {
    /// Which gain counts. Default [`Loudness::Off`].
    pub mode: Loudness,
    /// Added to every gain, in decibels. Default 0.
    pub preamp: f32,
    /// Gain of tracks without information, in decibels. Default −6: about as loud as the levelled ones.
    pub untagged: f32,
    /// Lower the gain where the stated peak would clip. Default `true`.
    pub prevent_clipping: bool,
}

impl Default for LoudnessOptions {
    fn default() -> Self {
        Self { mode: Loudness::Off, preamp: 0.0, untagged: -6.0, prevent_clipping: true }
    }
}

impl LoudnessOptions {
    /// The defaults with this mode.
    #[must_use]
    pub fn new(mode: Loudness) -> Self {
        Self { mode, ..Self::default() }
    }

    /// The factor for a track, between 0 and 16.
    #[must_use]
    pub fn factor(&self, gain: ReplayGain) -> f32 {
        let (decibels, peak) = match self.mode {
            Loudness::Off => return 1.0,
            Loudness::Track => (gain.track_gain.or(gain.album_gain), gain.track_peak.or(gain.album_peak)),
            Loudness::Album => (gain.album_gain.or(gain.track_gain), gain.album_peak.or(gain.track_peak)),
        };
        let decibels =
            decibels.filter(|gain| gain.is_finite()).map_or(self.untagged, |gain| gain + self.preamp);
        let factor = 10f32.powf(decibels / 20.0).clamp(0.0, 16.0);
        match peak {
            Some(peak) if self.prevent_clipping && peak.is_finite() && peak > 0.0 => factor.min(1.0 / peak),
            _ => factor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_leaves_every_track_as_it_is() {
        let gain = ReplayGain { track_gain: Some(-9.0), ..ReplayGain::default() };
        assert_eq!(LoudnessOptions::default().factor(gain), 1.0);
    }

    #[test]
    fn album_gain_rules_in_album_mode_and_falls_back_to_the_track() {
        let options = LoudnessOptions::new(Loudness::Album);
        let both = ReplayGain { track_gain: Some(-9.0), album_gain: Some(-6.0206), ..ReplayGain::default() };
        assert!((options.factor(both) - 0.5).abs() < 1e-4);
        let track = ReplayGain { track_gain: Some(-6.0206), ..ReplayGain::default() };
        assert!((options.factor(track) - 0.5).abs() < 1e-4);
    }

    #[test]
    fn a_gain_never_lifts_the_stated_peak_over_full_scale() {
        let options = LoudnessOptions::new(Loudness::Track);
        let quiet = ReplayGain { track_gain: Some(12.0), track_peak: Some(0.8), ..ReplayGain::default() };
        assert_eq!(options.factor(quiet), 1.25);
    }

    #[test]
    fn values_that_are_not_numbers_count_as_missing() {
        let options = LoudnessOptions::new(Loudness::Track);
        let odd = ReplayGain { track_gain: Some(f32::NAN), track_peak: Some(0.0), ..ReplayGain::default() };
        assert!((options.factor(odd) - 10f32.powf(-0.3)).abs() < 1e-6);
        assert_eq!(ReplayGain::from_r128(Some(-1280), None).track_gain, Some(0.0));
    }
}
