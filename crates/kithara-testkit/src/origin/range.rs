use http::StatusCode;

use super::{Received, Resource};

/// What of a content is sent, and under which status.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    pub(super) status: StatusCode,
    /// Offsets in the content; no end where it is endless.
    pub(super) part: Part,
    pub(super) content_range: Option<String>,
}

/// A piece of a content; without an end it is endless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) end: Option<u64>,
}

/// Applies the conditions and the range of a request.
pub(super) fn select(resource: &Resource, received: &Received, ranges: bool, shift: i64) -> Selection {
    let len = resource.content.len();
    let whole = Selection { status: StatusCode::OK, part: Part { start: 0, end: len }, content_range: None };
    let nothing = Part { start: 0, end: Some(0) };
    if resource.is_unchanged(received.headers()) {
        return Selection { status: StatusCode::NOT_MODIFIED, part: nothing, ..whole };
    }
    let Some(len) = len.filter(|_| ranges && resource.if_range_holds(received.headers())) else {
        return whole;
    };
    match parse(received.range(), len) {
        Asked::Whole => whole,
        Asked::Unsatisfiable => Selection {
            status: StatusCode::RANGE_NOT_SATISFIABLE,
            part: nothing,
            content_range: Some(format!("bytes */{len}")),
        },
        Asked::Part(start, end) => {
            let start = start.saturating_add_signed(shift).min(end.saturating_sub(1));
            Selection {
                status: StatusCode::PARTIAL_CONTENT,
                content_range: Some(format!("bytes {start}-{}/{len}", end.saturating_sub(1))),
                part: Part { start, end: Some(end) },
            }
        }
    }
}

/// What a Range header asks of a body of known length.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// All of it: no header, another unit, several ranges, or nonsense (RFC 9110 14.2 lets a server ignore those).
    Whole,
    /// The bytes from the first offset up to, not including, the second.
    Part(u64, u64),
    /// 416.
    Unsatisfiable,
}

/// Reads a Range header.
fn parse(header: Option<&str>, len: u64) -> Asked {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Asked::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else { return Asked::Whole };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        return match last.parse::<u64>() {
            Err(_) => Asked::Whole,
            Ok(0) => Asked::Unsatisfiable,
            Ok(_) if len == 0 => Asked::Unsatisfiable,
            Ok(suffix) => Asked::Part(len.saturating_sub(suffix), len),
        };
    }
    let Ok(first) = first.parse::<u64>() else { return Asked::Whole };
    let end = match last {
        "" => len,
        last => match last.parse::<u64>() {
            Ok(last) if last < first => return Asked::Whole,
            Ok(last) => last.saturating_add(1).min(len),
            Err(_) => return Asked::Whole,
        },
    };
    if first >= len { Asked::Unsatisfiable } else { Asked::Part(first, end) }
}

#[cfg(test)]
mod tests {
    use super::{Asked::*, parse};

    #[test]
    fn every_form_of_range() {
        for (header, len, expected) in [
            (None, 10, Whole),
            (Some("bytes=0-"), 10, Part(0, 10)),
            (Some("bytes=3-5"), 10, Part(3, 6)),
            (Some("bytes=3-99"), 10, Part(3, 10)),
            (Some("bytes=-4"), 10, Part(6, 10)),
            (Some("bytes=-40"), 10, Part(0, 10)),
            (Some("bytes=-0"), 10, Unsatisfiable),
            (Some("bytes=10-"), 10, Unsatisfiable),
            (Some("bytes=0-"), 0, Unsatisfiable),
            (Some("bytes=5-3"), 10, Whole),
            (Some("bytes=0-1,4-5"), 10, Whole),
            (Some("items=0-1"), 10, Whole),
            (Some("bytes=x-"), 10, Whole),
            (Some("bytes=0-18446744073709551615"), 10, Part(0, 10)),
        ] {
            assert_eq!(parse(header, len), expected, "{header:?} of {len}");
        }
    }
}
