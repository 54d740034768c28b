//! A track together with the description of the sample entry in use.

use super::super::{Container, DemuxError, TrackInfo};
use super::fragment::Sample;
use super::moov::Track;
use super::table::{Cursor, SampleTable};

/// The track being read. A new track or sample entry that differs from the one before gets a new serial.
#[derive(Debug, Default)]
pub(in super::super) struct Described {
    track: Option<Track>,
    info: Option<TrackInfo>,
    description: u32,
    serial: u32,
}

impl Described {
    pub(in super::super) fn with_serial(serial: u32) -> Self {
        Self { serial, ..Self::default() }
    }

    pub(in super::super) fn serial(&self) -> u32 {
        self.serial
    }

    pub(in super::super) fn track(&self) -> Option<&Track> {
        self.track.as_ref()
    }

    pub(in super::super) fn info(&self) -> Option<&TrackInfo> {
        self.info.as_ref()
    }

    pub(in super::super) fn table(&self) -> Option<&SampleTable> {
        self.track.as_ref()?.table.as_ref()
    }

    /// The sample at a position of the table.
    pub(in super::super) fn table_sample(&self, cursor: Option<&Cursor>) -> Option<Sample> {
        self.table()?.sample(cursor?)
    }

    /// Takes over a new track, described by the entry of its first sample.
    pub(in super::super) fn set_track(&mut self, track: Track, offset: u64) -> Result<(), DemuxError> {
        let first = track.table.as_ref().and_then(|table| table.sample(&table.cursor(0)));
        let description = first.map_or(track.trex.description, |sample| sample.description);
        self.track = Some(track);
        self.description = 0;
        self.select(description, offset)
    }

    /// Makes [`info`](Self::info) describe the sample entry with this 1-based index.
    pub(in super::super) fn select(&mut self, description: u32, offset: u64) -> Result<(), DemuxError> {
        if description == self.description && self.info.is_some() {
            return Ok(());
        }
        let malformed = |what| DemuxError::Malformed { container: Container::Fmp4, what, offset };
        let track = self.track.as_ref().ok_or_else(|| malformed("media before moov"))?;
        if let Some(error) = track.refusal(description) {
            return Err(error);
        }
        let info =
            track.info(description, self.serial).ok_or_else(|| malformed("sample description index"))?;
        self.description = description;
        if self.info.as_ref() != Some(&info) {
            self.serial += 1;
            self.info = Some(TrackInfo { serial: self.serial, ..info });
        }
        Ok(())
    }
}
