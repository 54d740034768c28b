//! What the frames hold, in bincode. The one place that knows of bincode.

use bincode::config;
use serde::{Deserialize, Serialize};

use super::frame::{self, FrameError, Frames, Kind};

/// Largest index file that is read, and the most memory that decoding one may claim. A resource takes about 80 bytes.
pub(crate) const MAX_INDEX: usize = 256 << 20;

/// What the LRU index knows of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResourceRecord<'a> {
    pub(crate) rel: &'a str,
    pub(crate) bytes: u64,
    /// The clock of its last use: milliseconds since 1970, made unique by counting on.
    pub(crate) touched: u64,
    pub(crate) complete: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AssetRecord<'a> {
    pub(crate) root: &'a str,
    /// A copy of what the pin index says: a damaged pin index loses nothing.
    pub(crate) pinned: bool,
    #[serde(borrow)]
    pub(crate) resources: Vec<ResourceRecord<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot<'a> {
    pub(crate) clock: u64,
    #[serde(borrow)]
    pub(crate) assets: Vec<AssetRecord<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change<'a> {
    /// A resource is new, or has another size or a later use.
    Put {
        root: &'a str,
        #[serde(borrow)]
        resource: ResourceRecord<'a>,
    },
    /// A resource is gone.
    Remove { root: &'a str, rel: &'a str },
    /// An asset was pinned or unpinned.
    Pin { root: &'a str, pinned: bool },
}

/// The pins of the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pins<'a> {
    #[serde(borrow)]
    pub(crate) pinned: Vec<&'a str>,
}

/// Appends `record` to `out` as one frame; `None` (and nothing appended) if it cannot be encoded.
pub(crate) fn append<T: Serialize + ?Sized>(out: &mut Vec<u8>, kind: Kind, record: &T) -> Option<()> {
    frame::append(out, kind, |out| {
        bincode::serde::encode_into_std_write(record, out, config::standard()).ok().map(drop)
    })
}

/// Decodes the payload of a frame; never claims more than [`MAX_INDEX`] bytes, and wants every byte used.
pub(crate) fn decode<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, FrameError> {
    let config = config::standard().with_limit::<MAX_INDEX>();
    match bincode::serde::borrow_decode_from_slice(payload, config) {
        Ok((record, used)) if used == payload.len() => Ok(record),
        _ => Err(FrameError::Payload),
    }
}

/// The only record of a file that holds one.
pub(crate) fn decode_only<'a, T: Deserialize<'a>>(bytes: &'a [u8], kind: Kind) -> Result<T, FrameError> {
    let mut frames = Frames::new(bytes);
    match (frames.next().ok_or(FrameError::Truncated)??, frames.next()) {
        ((found, payload), None) if found == kind => decode(payload),
        _ => Err(FrameError::Payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let resource =
            ResourceRecord { rel: "v0/seg_1.m4s", bytes: 65_536, touched: 1_700_000_000_000, complete: true };
        let snapshot = Snapshot {
            clock: 7,
            assets: vec![AssetRecord { root: "album", pinned: true, resources: vec![resource; 3] }],
        };
        let mut bytes = Vec::new();
        append(&mut bytes, Kind::Snapshot, &snapshot).unwrap();
        assert_eq!(decode_only::<Snapshot<'_>>(&bytes, Kind::Snapshot), Ok(snapshot));
        assert_eq!(decode_only::<Pins<'_>>(&bytes, Kind::Pins), Err(FrameError::Payload));

        let changes = vec![
            Change::Put { root: "album", resource },
            Change::Remove { root: "album", rel: "x" },
            Change::Pin { root: "album", pinned: false },
        ];
        let mut bytes = Vec::new();
        append(&mut bytes, Kind::Changes, &changes).unwrap();
        assert_eq!(decode_only::<Vec<Change<'_>>>(&bytes, Kind::Changes), Ok(changes));
    }

    #[test]
    fn a_payload_cannot_claim_memory_that_it_does_not_have() {
        // A list of 2^62 pins, then nothing.
        let mut payload = vec![253];
        payload.extend_from_slice(&(1u64 << 62).to_le_bytes());
        assert_eq!(decode::<Pins<'_>>(&payload), Err(FrameError::Payload));
        // Trailing bytes are damage too.
        assert_eq!(decode::<Pins<'_>>(&[0, 0]), Err(FrameError::Payload));
        assert_eq!(decode::<Pins<'_>>(&[0]), Ok(Pins { pinned: vec![] }));
    }
}
