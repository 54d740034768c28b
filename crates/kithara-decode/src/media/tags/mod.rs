//! Metadata of a file: titles, gains, pictures and chapters, whatever the container calls them.

mod apev2;
mod id3;
mod mp4;
mod values;
mod vorbis;

use std::sync::Arc;
use std::time::Duration;

/// Metadata that was read on the way to the audio; never looked for elsewhere in the file.
///
/// Where a field has several values, the first one counts; all are in [`raw`](Self::raw). Every size is bounded: values
/// of 4,096 characters, 512 raw pairs, 8 pictures of 16 MiB together, 4,096 chapters.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Tags {
    /// Title of the track.
    pub title: Option<String>,
    /// Artist of the track.
    pub artist: Option<String>,
    /// Album it belongs to.
    pub album: Option<String>,
    /// Artist of the album.
    pub album_artist: Option<String>,
    /// Composer.
    pub composer: Option<String>,
    /// Genre, in words.
    pub genre: Option<String>,
    /// Date of release as the file has it: a year, or `2024-05-31`.
    pub date: Option<String>,
    /// Comment.
    pub comment: Option<String>,
    /// Number of the track on its disc.
    pub track: Option<u32>,
    /// Tracks on the disc.
    pub track_total: Option<u32>,
    /// Number of the disc.
    pub disc: Option<u32>,
    /// Discs of the album.
    pub disc_total: Option<u32>,
    /// ReplayGain values.
    pub replay_gain: Gains,
    /// Gains by EBU R 128 (RFC 7845, 5.2.1), relative to −23 LUFS.
    pub r128: Gains,
    /// Pictures, in the order of the file.
    pub pictures: Vec<Picture>,
    /// Chapters, in order of time.
    pub chapters: Vec<Chapter>,
    /// Every text value, under the name that the container has for it (`TPE1`, `©ART`, `ARTIST`).
    pub raw: Vec<(String, String)>,
}

/// Gains to apply at playback.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Gains {
    /// Of the track, in dB.
    pub track_gain: Option<f32>,
    /// Highest sample of the track, full scale being 1.
    pub track_peak: Option<f32>,
    /// Of the album, in dB.
    pub album_gain: Option<f32>,
    /// Highest sample of the album.
    pub album_peak: Option<f32>,
}

/// A picture.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Picture {
    /// MIME type: `image/jpeg`, `image/png`; `-->` where `data` is a URL; empty where unknown.
    pub mime: String,
    /// What it shows, by the numbers of ID3v2 and FLAC: 3 is the front cover, 0 is other.
    pub kind: u8,
    /// Description.
    pub description: String,
    /// The image file.
    pub data: Arc<[u8]>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("mime", &self.mime)
            .field("kind", &self.kind)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// A chapter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chapter {
    /// Where it begins.
    pub start: Duration,
    /// Where it ends; `None`: where the next one begins.
    pub end: Option<Duration>,
    /// Its title.
    pub title: Option<String>,
}

/// Longest value kept, in characters.
const MAX_VALUE: usize = 4096;
/// Longest name kept, in characters.
const MAX_NAME: usize = 128;
const MAX_RAW: usize = 512;
const MAX_PICTURES: usize = 8;
/// Bytes of all pictures.
const MAX_PICTURE_BYTES: usize = 16 << 20;
const MAX_CHAPTERS: usize = 4096;

/// A field of [`Tags`], as the names of all containers are mapped to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Title,
    Artist,
    Album,
    AlbumArtist,
    Composer,
    Genre,
    Date,
    Comment,
    Track,
    TrackTotal,
    Disc,
    DiscTotal,
    TrackGain,
    TrackPeak,
    AlbumGain,
    AlbumPeak,
    R128Track,
    R128Album,
}

impl Field {
    /// The field that a name in words stands for: of Vorbis comments, APE, Matroska, and free text of ID3 and MP4.
    fn of_name(name: &str) -> Option<Self> {
        let mut plain: String = name.chars().filter(char::is_ascii_alphanumeric).take(MAX_NAME).collect();
        plain.make_ascii_uppercase();
        Some(match plain.as_str() {
            "TITLE" => Self::Title,
            "ARTIST" => Self::Artist,
            "ALBUM" => Self::Album,
            "ALBUMARTIST" => Self::AlbumArtist,
            "COMPOSER" => Self::Composer,
            "GENRE" => Self::Genre,
            "DATE" | "YEAR" | "DATERELEASED" | "DATERECORDED" | "RELEASEDATE" => Self::Date,
            "COMMENT" | "DESCRIPTION" => Self::Comment,
            "TRACK" | "TRACKNUMBER" | "PARTNUMBER" => Self::Track,
            "TRACKTOTAL" | "TOTALTRACKS" => Self::TrackTotal,
            "DISC" | "DISCNUMBER" | "DISK" | "DISKNUMBER" => Self::Disc,
            "DISCTOTAL" | "TOTALDISCS" => Self::DiscTotal,
            "REPLAYGAINTRACKGAIN" => Self::TrackGain,
            "REPLAYGAINTRACKPEAK" => Self::TrackPeak,
            "REPLAYGAINALBUMGAIN" => Self::AlbumGain,
            "REPLAYGAINALBUMPEAK" => Self::AlbumPeak,
            "R128TRACKGAIN" => Self::R128Track,
            "R128ALBUMGAIN" => Self::R128Album,
            _ => return None,
        })
    }
}

impl Tags {
    /// Takes a value under the name that the container has for it.
    pub(in crate::media) fn take(&mut self, name: &str, value: &str) {
        self.take_as(Field::of_name(name), name, value);
    }

    fn take_as(&mut self, field: Option<Field>, name: &str, value: &str) {
        let value = value.trim_matches(['\0', ' ', '\r', '\n', '\t']);
        if value.is_empty() {
            return;
        }
        let value: String = value.chars().take(MAX_VALUE).collect();
        if let Some(field) = field {
            self.set(field, &value);
        }
        if self.raw.len() < MAX_RAW {
            self.raw.push((name.chars().take(MAX_NAME).collect(), value));
        }
    }

    fn set(&mut self, field: Field, value: &str) {
        let text = |slot: &mut Option<String>| {
            slot.get_or_insert_with(|| value.to_owned());
        };
        let gain = |slot: &mut Option<f32>| *slot = slot.or_else(|| values::decimal(value));
        // Q7.8 in decimal digits.
        let fixed = |slot: &mut Option<f32>| {
            *slot = slot.or_else(|| Some(f32::from(value.parse::<i16>().ok()?) / 256.0))
        };
        match field {
            Field::Title => text(&mut self.title),
            Field::Artist => text(&mut self.artist),
            Field::Album => text(&mut self.album),
            Field::AlbumArtist => text(&mut self.album_artist),
            Field::Composer => text(&mut self.composer),
            Field::Genre => text(&mut self.genre),
            Field::Date => text(&mut self.date),
            Field::Comment => text(&mut self.comment),
            Field::Track => {
                let (number, total) = values::number_of_total(value);
                self.track = self.track.or(number);
                self.track_total = self.track_total.or(total);
            }
            Field::Disc => {
                let (number, total) = values::number_of_total(value);
                self.disc = self.disc.or(number);
                self.disc_total = self.disc_total.or(total);
            }
            Field::TrackTotal => self.track_total = self.track_total.or(values::number_of_total(value).0),
            Field::DiscTotal => self.disc_total = self.disc_total.or(values::number_of_total(value).0),
            Field::TrackGain => gain(&mut self.replay_gain.track_gain),
            Field::TrackPeak => gain(&mut self.replay_gain.track_peak),
            Field::AlbumGain => gain(&mut self.replay_gain.album_gain),
            Field::AlbumPeak => gain(&mut self.replay_gain.album_peak),
            Field::R128Track => fixed(&mut self.r128.track_gain),
            Field::R128Album => fixed(&mut self.r128.album_gain),
        }
    }

    pub(in crate::media) fn take_picture(&mut self, mime: &str, kind: u8, description: &str, data: &[u8]) {
        let held: usize = self.pictures.iter().map(|picture| picture.data.len()).sum();
        if data.is_empty() || self.pictures.len() >= MAX_PICTURES || held + data.len() > MAX_PICTURE_BYTES {
            return;
        }
        self.pictures.push(Picture {
            mime: values::mime(mime, data),
            kind,
            description: description.trim_matches('\0').chars().take(MAX_VALUE).collect(),
            data: data.into(),
        });
    }

    pub(in crate::media) fn take_chapter(
        &mut self,
        start: Duration,
        end: Option<Duration>,
        title: Option<String>,
    ) {
        if self.chapters.len() < MAX_CHAPTERS {
            let title = title.map(|title| title.trim_matches('\0').chars().take(MAX_VALUE).collect());
            let at = self.chapters.partition_point(|chapter| chapter.start <= start);
            let end = end.filter(|&end| end > start);
            self.chapters.insert(at, Chapter { start, end, title });
        }
    }

    /// Fills the fields that are empty from other tags of the same file.
    pub(in crate::media) fn fill_from(&mut self, other: Self) {
        let text = |slot: &mut Option<String>, other: Option<String>| *slot = slot.take().or(other);
        text(&mut self.title, other.title);
        text(&mut self.artist, other.artist);
        text(&mut self.album, other.album);
        text(&mut self.album_artist, other.album_artist);
        text(&mut self.composer, other.composer);
        text(&mut self.genre, other.genre);
        text(&mut self.date, other.date);
        text(&mut self.comment, other.comment);
        self.track = self.track.or(other.track);
        self.track_total = self.track_total.or(other.track_total);
        self.disc = self.disc.or(other.disc);
        self.disc_total = self.disc_total.or(other.disc_total);
        self.replay_gain.fill_from(other.replay_gain);
        self.r128.fill_from(other.r128);
        for picture in other.pictures {
            self.take_picture(&picture.mime, picture.kind, &picture.description, &picture.data);
        }
        if self.chapters.is_empty() {
            self.chapters = other.chapters;
        }
        self.raw.extend(other.raw);
        self.raw.truncate(MAX_RAW);
    }

    /// The front cover, or else the first picture.
    #[must_use]
    pub fn cover(&self) -> Option<&Picture> {
        self.pictures.iter().find(|picture| picture.kind == 3).or(self.pictures.first())
    }
}

impl Gains {
    fn fill_from(&mut self, other: Self) {
        self.track_gain = self.track_gain.or(other.track_gain);
        self.track_peak = self.track_peak.or(other.track_peak);
        self.album_gain = self.album_gain.or(other.album_gain);
        self.album_peak = self.album_peak.or(other.album_peak);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_containers_become_fields() {
        let mut tags = Tags::default();
        for (name, value) in [
            ("Title", "One"),
            ("TITLE", "Two"),
            ("album artist", "Both"),
            ("TRACKNUMBER", "3/12"),
            ("DiscNumber", "2"),
            ("DISCTOTAL", "4"),
            ("REPLAYGAIN_TRACK_GAIN", "-6.48 dB"),
            ("replaygain_track_peak", "0.988"),
            ("R128_TRACK_GAIN", "-512"),
            ("DATE", "2024-05-31"),
            ("empty", " \0"),
        ] {
            tags.take(name, value);
        }
        assert_eq!((tags.title.as_deref(), tags.album_artist.as_deref()), (Some("One"), Some("Both")));
        assert_eq!(
            (tags.track, tags.track_total, tags.disc, tags.disc_total),
            (Some(3), Some(12), Some(2), Some(4))
        );
        assert_eq!((tags.replay_gain.track_gain, tags.replay_gain.track_peak), (Some(-6.48), Some(0.988)));
        assert_eq!((tags.r128.track_gain, tags.raw.len()), (Some(-2.0), 10));
    }

    #[test]
    fn sizes_are_bounded() {
        let mut tags = Tags::default();
        for number in 0..5000 {
            tags.take(&"n".repeat(900), &"v".repeat(9000));
            tags.take_picture("image/png", 3, "", &vec![0; 1 << 20]);
            tags.take_chapter(Duration::from_secs(number), None, None);
        }
        assert_eq!((tags.raw.len(), tags.pictures.len(), tags.chapters.len()), (512, 8, 4096));
        assert_eq!((tags.raw[0].0.len(), tags.raw[0].1.len()), (128, 4096));
    }
}
