//! A whole MP4 file over `Read + Seek`.

use std::io::{Read, Seek};

use super::{DemuxError, DemuxedPacket, TrackInfo};

/// Why an MP4 file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Mp4FileError {
    /// The bytes are not what they should be.
    #[error(transparent)]
    Demux(#[from] DemuxError),
    /// The reader failed.
    #[error("reading the MP4 file at byte {offset}")]
    Io {
        /// Where.
        offset: u64,
        /// The reader's error.
        source: std::io::Error,
    },
}

/// A random-access reader of a whole MP4 file (M4A), with its index in front or at the end, or fragmented.
#[derive(Debug)]
pub struct Mp4File<R> {
    reader: R,
}

impl<R: Read + Seek> Mp4File<R> {
    /// Reads the index (`moov`, wherever it is) and nothing else.
    ///
    /// # Errors
    /// [`Mp4FileError`] when the reader fails, or the file is damaged, unsupported, or has no audio.
    pub fn open(reader: R) -> Result<Self, Mp4FileError> {
        let _ = reader;
        todo!()
    }

    /// The audio track, with edit list and gapless data.
    pub fn track(&self) -> &TrackInfo {
        todo!()
    }

    /// Length of the media in [`TrackInfo::timescale`] units, before any edit; `None` when only a scan of the whole file could tell.
    pub fn media_duration(&self) -> Option<u64> {
        todo!()
    }

    /// Moves to the packet that contains media time `pts` (in [`TrackInfo::timescale`] units, edit list not applied), or
    /// to the end when it lies beyond, and gives that packet's own time.
    ///
    /// # Errors
    /// As [`open`](Self::open). The position is unchanged after an error.
    pub fn seek(&mut self, pts: u64) -> Result<u64, Mp4FileError> {
        let _ = pts;
        todo!()
    }

    /// The next packet, or `None` at the end.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn next_packet(&mut self) -> Result<Option<DemuxedPacket<'_>>, Mp4FileError> {
        todo!()
    }

    /// The reader.
    pub fn into_inner(self) -> R {
        self.reader
    }
}
