//! Index files: damage is an error, and what decodes is what was written.

use serde::{Deserialize, Serialize};

use crate::index::frame::{self, Frames, Kind, has_magic};
use crate::index::record::{self, Change, Pins, Snapshot};

/// A file of frames; behind a first byte of 1 to 3 the rest is the payload of a sound frame of that kind.
pub fn index_frame(data: &[u8]) {
    let _ = has_magic(data);
    for (_, payload) in Frames::new(data).map_while(Result::ok) {
        every_kind(payload);
    }
    let Some((&kind, payload)) = data.split_first() else { return };
    let kind = match kind {
        1 => Kind::Snapshot,
        2 => Kind::Changes,
        3 => Kind::Pins,
        _ => return every_kind(data),
    };
    let mut file = Vec::new();
    let framed = frame::append(&mut file, kind, |out| {
        out.extend_from_slice(payload);
        Some(())
    });
    assert!(framed.is_some());
    assert_eq!(Frames::new(&file).collect::<Vec<_>>(), [Ok((kind, payload))]);
    every_kind(payload);
}

fn every_kind(payload: &[u8]) {
    again::<Snapshot<'_>>(payload, Kind::Snapshot);
    again::<Vec<Change<'_>>>(payload, Kind::Changes);
    again::<Pins<'_>>(payload, Kind::Pins);
    again::<&str>(payload, Kind::Session);
}

/// What decodes is encoded again, to a frame that is no longer.
fn again<'a, T: Serialize + Deserialize<'a>>(payload: &'a [u8], kind: Kind) {
    let Ok(record) = record::decode::<T>(payload) else { return };
    let mut file = Vec::new();
    assert!(record::append(&mut file, kind, &record).is_some());
    let Some(Ok((found, body))) = Frames::new(&file).next() else { panic!("what was written is no frame") };
    assert_eq!(found, kind);
    assert!(body.len() <= payload.len(), "the encoding is the shortest");
}
