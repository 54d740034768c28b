//! What an MP4 file presents: its edit list, or else the delay and padding that the encoder noted, as pieces of media and
//! of silence in order.

use crate::demux::mp4_file::Edit;
use crate::demux::{Codec, TrackInfo};
use crate::headers::xing::MP3_DECODER_DELAY;
use crate::rescale::rescale;

/// A noted delay of more seconds is not followed.
const MAX_DELAY_SECONDS: u64 = 10;
/// Silence of more seconds in one edit is left out.
const MAX_SILENCE_SECONDS: u64 = 3600;

/// A part of the presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it begins in the presentation, in frames.
    pub(super) at: u64,
    /// Frames; `None`: to the end of the media.
    pub(super) len: Option<u64>,
    /// The frame of the media that is presented first; `None`: silence.
    pub(super) media: Option<u64>,
}

/// The whole presentation: pieces in order, at least one, the first at 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Presentation {
    pub(super) pieces: Vec<Piece>,
}

/// What the track says that matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Media {
    pub(super) rate: u32,
    pub(super) timescale: u32,
    /// Frames of the media by its timestamps; `None`: unknown.
    pub(super) frames: Option<u64>,
}

impl Presentation {
    /// All of the media behind `lead` frames.
    pub(super) fn whole(lead: u64) -> Self {
        Self { pieces: vec![Piece { at: 0, len: None, media: Some(lead) }] }
    }

    /// The presentation of a track with a sample table.
    pub(super) fn of_track(track: &TrackInfo, edits: &[Edit], movie_timescale: u32, media: Media) -> Self {
        let entries = Entries { movie_timescale: movie_timescale.max(1), media };
        let pieces = entries.pieces(edits);
        let is_plain = pieces.iter().filter(|piece| piece.media.is_some()).count() <= 1
            && pieces.last().is_none_or(|last| last.media.is_some());
        let noted = noted_delay(track, media.rate);
        let Some(delay) = noted.filter(|_| is_plain) else {
            let whole = Piece { at: 0, len: media.frames, media: Some(0) };
            return Self { pieces: if pieces.is_empty() { vec![whole] } else { pieces } };
        };
        // The encoder's own note is exact to the frame.
        let edit = pieces.last().copied().unwrap_or(Piece { at: 0, len: None, media: None });
        let stated = track.gapless.and_then(|gapless| gapless.total_frames);
        let stated = stated.filter(|total| media.frames.is_none_or(|frames| delay + total <= frames));
        let edited = edit.len.zip(edit.media).map(|(len, media)| (media + len).saturating_sub(delay));
        let media_len = media.frames.map(|frames| frames.saturating_sub(delay));
        let len = stated.or(match (edited, media_len) {
            (Some(edited), Some(media_len)) => Some(edited.min(media_len)),
            (edited, media_len) => edited.or(media_len),
        });
        let mut pieces: Vec<_> = pieces.iter().filter(|piece| piece.media.is_none()).copied().collect();
        pieces.push(Piece { at: edit.at, len, media: Some(delay) });
        Self { pieces }
    }

    /// Frames in all; `None`: unknown.
    pub(super) fn total(&self) -> Option<u64> {
        let last = self.pieces.last()?;
        last.len.map(|len| last.at.saturating_add(len))
    }

    /// Number of the piece that holds `frame`.
    pub(super) fn piece_at(&self, frame: u64) -> usize {
        self.pieces.partition_point(|piece| piece.at <= frame).saturating_sub(1)
    }
}

/// Frames of encoder delay that were noted by other means than the edit list.
fn noted_delay(track: &TrackInfo, rate: u32) -> Option<u64> {
    let gapless = track.gapless?;
    let decoder_delay = if track.codec == Codec::Mp3 { MP3_DECODER_DELAY } else { 0 };
    let delay = u64::from(gapless.delay) + u64::from(decoder_delay);
    (1..=u64::from(rate) * MAX_DELAY_SECONDS).contains(&delay).then_some(delay)
}

struct Entries {
    movie_timescale: u32,
    media: Media,
}

impl Entries {
    fn pieces(&self, edits: &[Edit]) -> Vec<Piece> {
        let rate = self.media.rate;
        let in_frames = |ticks: u64| rescale(ticks, rate, self.movie_timescale);
        let mut pieces: Vec<Piece> = Vec::new();
        let mut ticks = 0u64;
        for (number, edit) in edits.iter().enumerate() {
            let is_last = number + 1 == edits.len();
            let media = edit.media_time.map(|time| rescale(time, rate, self.media.timescale));
            // An edit of media behind its end presents nothing.
            let media = media.filter(|&media| self.media.frames.is_none_or(|frames| media < frames));
            if edit.duration == 0 && !(is_last && media.is_some()) {
                continue;
            }
            let at = in_frames(ticks);
            let is_open = edit.duration == 0;
            let most_silence = u64::from(self.movie_timescale) * MAX_SILENCE_SECONDS;
            if media.is_none() && edit.duration > most_silence {
                continue;
            }
            ticks = ticks.saturating_add(edit.duration);
            let len = (!is_open).then(|| in_frames(ticks).saturating_sub(at));
            self.push(&mut pieces, Piece { at, len, media });
        }
        self.end(&mut pieces);
        pieces
    }

    /// Frames by which times of the movie are rounded.
    fn tick(&self) -> u64 {
        u64::from(self.media.rate / self.movie_timescale) + 1
    }

    fn push(&self, pieces: &mut Vec<Piece>, piece: Piece) {
        let Some(last) = pieces.last_mut() else { return pieces.push(piece) };
        // What goes on where the last edit ended is one piece, and so is silence.
        let is_seamless = match (last.media, piece.media) {
            (Some(last_media), Some(media)) => (last_media + (piece.at - last.at)).abs_diff(media) <= 1,
            (None, None) => true,
            _ => false,
        };
        if is_seamless {
            last.len = piece.len.map(|len| piece.at - last.at + len);
        } else {
            pieces.push(piece);
        }
    }

    /// Ends pieces with the media. Its own timestamps are exact where the edit list is rounded to ticks of the movie.
    fn end(&self, pieces: &mut [Piece]) {
        let Some(frames) = self.media.frames else { return };
        let count = pieces.len();
        let mut shift = 0;
        for (number, piece) in pieces.iter_mut().enumerate() {
            piece.at -= shift;
            let Some(media) = piece.media else { continue };
            let left = frames - media;
            let is_last = number + 1 == count;
            match &mut piece.len {
                Some(len) if *len > left => {
                    shift += *len - left;
                    *len = left;
                }
                Some(len) if is_last && left - *len <= self.tick() => *len = left,
                Some(_) => {}
                None => piece.len = Some(left),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEDIA: Media = Media { rate: 44_100, timescale: 44_100, frames: Some(100_000) };

    fn edit(duration: u64, media_time: Option<u64>) -> Edit {
        Edit { duration, media_time }
    }

    fn pieces(edits: &[Edit]) -> Vec<(u64, Option<u64>, Option<u64>)> {
        let pieces = Entries { movie_timescale: 1000, media: MEDIA }.pieces(edits);
        pieces.iter().map(|piece| (piece.at, piece.len, piece.media)).collect()
    }

    #[test]
    fn end_is_that_of_the_media_within_a_tick() {
        // 98,976 frames are 2,244.35 ms.
        for duration in [2244, 2245, 0] {
            assert_eq!(pieces(&[edit(duration, Some(1024))]), [(0, Some(98_976), Some(1024))]);
        }
        assert_eq!(pieces(&[edit(1000, Some(1024))]), [(0, Some(44_100), Some(1024))]);
        assert_eq!(pieces(&[edit(9000, Some(1024))]), [(0, Some(98_976), Some(1024))]);
    }

    #[test]
    fn pieces_follow_the_edits() {
        let edits = [
            edit(500, None),
            edit(1000, Some(1024)),
            // Goes on where the one before ended.
            edit(200, Some(45_124)),
            edit(100, None),
            edit(100, Some(88_200)),
            edit(100, Some(0)),
            edit(7, Some(200_000)),
        ];
        assert_eq!(
            pieces(&edits),
            [
                (0, Some(22_050), None),
                (22_050, Some(52_920), Some(1024)),
                (74_970, Some(4410), None),
                (79_380, Some(4410), Some(88_200)),
                (83_790, Some(4410), Some(0)),
                (88_200, Some(309), None),
            ]
        );
        assert_eq!(pieces(&[edit(u64::MAX, None), edit(10, Some(0))]), [(0, Some(441), Some(0))]);
        assert_eq!(pieces(&[edit(u64::MAX, Some(0)), edit(u64::MAX, Some(9))]).len(), 2);
    }
}
