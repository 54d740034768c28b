//! Collects the tags of a media playlist.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::attributes::Attributes;
use super::context::Context;
use super::decimal;
use super::error::{PlaylistError, PlaylistErrorKind};
use super::key::{self, KeyInfo};
use super::media::{Map, MediaPlaylist, PlaylistType};
use super::parser::Common;
use super::segments::{Record, Span, Table};
use super::tags::{Tag, TagInfo};

/// The longest segment that is believed.
const MAX_SEGMENT: Duration = Duration::from_secs(1_000_000);

#[derive(Debug, Default)]
pub(super) struct MediaBuilder {
    table: Table,
    header: Header,
    /// Tags of the segment whose URI is still to come.
    next: NextSegment,
    /// Keys in force, one of each key format.
    keys_in_force: Vec<KeyInfo>,
    /// The one of them that segments get: 1 + index into the table's keys, 0 for none.
    key: u32,
    /// 1 + index into the table's maps, 0 for none.
    map: u32,
    known_keys: HashMap<Arc<KeyInfo>, u32>,
    known_maps: HashMap<Arc<Map>, u32>,
    /// For each resource of which sub-ranges are played: its URI's place in the table, and where the last one ended.
    sub_ranges: HashMap<Box<str>, (Span, u64)>,
    discontinuities: u32,
    end: u64,
    longest: Duration,
    /// Segments whose `EXTINF` is negative, and the others.
    negative: usize,
    positive: usize,
}

#[derive(Debug, Default)]
struct Header {
    target_duration: Option<Duration>,
    media_sequence: u64,
    has_media_sequence: bool,
    discontinuity_sequence: u64,
    playlist_type: Option<PlaylistType>,
    end_list: bool,
    low_latency: bool,
    hold_back: Option<Duration>,
}

#[derive(Debug, Default)]
struct NextSegment {
    inf: Option<(u64, Span)>,
    byte_range: Option<(u64, Option<u64>)>,
    discontinuity: bool,
    gap: bool,
    date_time: Option<SystemTime>,
}

impl MediaBuilder {
    pub(super) fn tag(
        &mut self,
        cx: &mut Context<'_>,
        info: &'static TagInfo,
        value: &str,
    ) -> Result<(), PlaylistError> {
        match info.tag {
            Tag::Inf => self.inf(cx, value)?,
            Tag::ByteRange => self.next.byte_range = Some(byte_range(cx, "EXT-X-BYTERANGE", value)?),
            Tag::Discontinuity => self.discontinuity(cx)?,
            Tag::Gap => self.next.gap = true,
            Tag::Key => self.key(cx, value)?,
            Tag::Map => self.map(cx, value)?,
            Tag::ProgramDateTime => self.program_date_time(cx, value),
            Tag::Bitrate => self.bitrate(cx, value),
            Tag::TargetDuration => self.target_duration(cx, value)?,
            Tag::MediaSequence => self.media_sequence(cx, value)?,
            Tag::DiscontinuitySequence => self.discontinuity_sequence(cx, value),
            Tag::EndList => self.header.end_list = true,
            Tag::PlaylistType => self.playlist_type(cx, value),
            Tag::ServerControl => self.server_control(cx, value),
            Tag::LowLatency => self.header.low_latency = true,
            Tag::Skip => return Err(unsupported(cx, "EXT-X-SKIP, a playlist delta")),
            Tag::IFramesOnly => {
                return Err(unsupported(cx, "EXT-X-I-FRAMES-ONLY, a playlist of video stills"));
            }
            _ => {}
        }
        Ok(())
    }

    fn inf(&mut self, cx: &mut Context<'_>, value: &str) -> Result<(), PlaylistError> {
        const TAG: &str = "EXTINF";
        let (number, title) = value.split_once(',').unwrap_or((value, ""));
        // `EXTINF:4.0 key="value",title` is an M3U habit.
        let number = number.split_ascii_whitespace().next().unwrap_or("");
        let Some((is_negative, duration)) =
            decimal::signed_seconds(number).filter(|_| !number.starts_with('+'))
        else {
            return Err(cx.malformed(TAG, "the duration is not a number of seconds"));
        };
        let duration = if is_negative { self.usual_duration(cx) } else { duration };
        *(if is_negative { &mut self.negative } else { &mut self.positive }) += 1;
        if duration > MAX_SEGMENT {
            return Err(cx.malformed(TAG, "the duration is beyond all reason"));
        }
        if self.next.inf.is_some() {
            cx.warn("EXTINF without a URI before this line is ignored");
        }
        let title = self.table.push_text(cx, title.trim())?;
        self.next.inf = Some((nanos(duration), title));
        self.longest = self.longest.max(duration);
        Ok(())
    }

    /// In place of a negative duration, which packagers write where timestamps go back: that of the segment before.
    fn usual_duration(&self, cx: &mut Context<'_>) -> Duration {
        cx.warn("a negative duration: the segment is taken to be as long as the one before");
        let last = self.table.record(self.table.len().wrapping_sub(1));
        let last = last.map(|last| Duration::from_nanos(self.end.saturating_sub(last.start)));
        last.or(self.header.target_duration).unwrap_or_default()
    }

    fn discontinuity(&mut self, cx: &Context<'_>) -> Result<(), PlaylistError> {
        if !self.next.discontinuity {
            self.next.discontinuity = true;
            self.discontinuities += 1;
        }
        match self.header.discontinuity_sequence.checked_add(u64::from(self.discontinuities)) {
            Some(_) => Ok(()),
            None => Err(cx.malformed("EXT-X-DISCONTINUITY", "the discontinuity sequence number overflows")),
        }
    }

    /// A key takes the place of the one in force with the same format; `METHOD=NONE` of them all.
    fn key(&mut self, cx: &mut Context<'_>, value: &str) -> Result<(), PlaylistError> {
        match key::parse(cx, "EXT-X-KEY", value)? {
            None => self.keys_in_force.clear(),
            Some(key) => {
                self.keys_in_force.retain(|known| known.key_format != key.key_format);
                if self.keys_in_force.len() >= MAX_KEY_FORMATS {
                    return Err(cx.too_large("key formats", MAX_KEY_FORMATS));
                }
                self.keys_in_force.push(key);
            }
        }
        let usable = self.keys_in_force.iter().find(|key| key.unsupported().is_none());
        self.key = match usable.or(self.keys_in_force.last()) {
            None => 0,
            Some(key) => intern(cx, &mut self.known_keys, &mut self.table.keys, key)?,
        };
        Ok(())
    }

    fn map(&mut self, cx: &mut Context<'_>, value: &str) -> Result<(), PlaylistError> {
        const TAG: &str = "EXT-X-MAP";
        let attributes = Attributes::parse(cx, TAG, value)?;
        let uri = attributes.required_url(cx, "URI")?;
        let byte_range = match attributes.raw("BYTERANGE").filter(|range| !range.is_empty()) {
            None => None,
            Some(range) => {
                let (len, start) = byte_range(cx, TAG, range)?;
                Some(resolve_range(cx, TAG, start.unwrap_or(0), len)?)
            }
        };
        let key = self.table.key(self.key);
        if key.as_ref().is_some_and(|key| key.iv.is_none()) {
            cx.warn("EXT-X-MAP is encrypted, and its EXT-X-KEY has no IV");
        }
        let map = Map { uri, byte_range, key };
        self.map = intern(cx, &mut self.known_maps, &mut self.table.maps, &map)?;
        Ok(())
    }

    fn program_date_time(&mut self, cx: &mut Context<'_>, value: &str) {
        self.next.date_time = decimal::date_time(value);
        if self.next.date_time.is_none() {
            cx.warn("EXT-X-PROGRAM-DATE-TIME is not a date and time");
        }
    }

    fn bitrate(&mut self, cx: &mut Context<'_>, value: &str) {
        match decimal::integer(value).and_then(|kilobits| kilobits.checked_mul(1000)) {
            Some(bitrate) => self.table.push_bitrate(bitrate),
            None => cx.warn("EXT-X-BITRATE is not a number"),
        }
    }

    fn target_duration(&mut self, cx: &mut Context<'_>, value: &str) -> Result<(), PlaylistError> {
        const TAG: &str = "EXT-X-TARGETDURATION";
        let Some(duration) = decimal::seconds(value) else {
            return Err(cx.malformed(TAG, "not a number of seconds"));
        };
        if duration > MAX_SEGMENT {
            return Err(cx.malformed(TAG, "the duration is beyond all reason"));
        }
        if duration.subsec_nanos() != 0 {
            cx.warn("EXT-X-TARGETDURATION is not an integer");
        }
        self.header.target_duration = Some(duration);
        Ok(())
    }

    fn media_sequence(&mut self, cx: &mut Context<'_>, value: &str) -> Result<(), PlaylistError> {
        const TAG: &str = "EXT-X-MEDIA-SEQUENCE";
        let Some(number) = decimal::integer(value).filter(|number| *number <= u64::MAX / 2) else {
            return Err(cx.malformed(TAG, "not a number"));
        };
        if self.table.is_empty() {
            self.header.media_sequence = number;
            self.header.has_media_sequence = true;
        } else {
            cx.warn("EXT-X-MEDIA-SEQUENCE after the first segment is ignored");
        }
        Ok(())
    }

    fn discontinuity_sequence(&mut self, cx: &mut Context<'_>, value: &str) {
        match decimal::integer(value).filter(|number| *number <= u64::MAX / 2) {
            None => cx.warn("EXT-X-DISCONTINUITY-SEQUENCE is not a number"),
            Some(_) if !self.table.is_empty() || self.discontinuities > 0 => {
                cx.warn("EXT-X-DISCONTINUITY-SEQUENCE after a segment or discontinuity is ignored");
            }
            Some(number) => self.header.discontinuity_sequence = number,
        }
    }

    fn server_control(&mut self, cx: &mut Context<'_>, value: &str) {
        let attributes = Attributes::parse(cx, "EXT-X-SERVER-CONTROL", value);
        let hold_back = attributes.as_ref().ok().and_then(|attributes| attributes.raw("HOLD-BACK"));
        if let Some(text) = hold_back {
            self.header.hold_back = decimal::seconds(text).filter(|hold_back| *hold_back <= MAX_SEGMENT);
            if self.header.hold_back.is_none() {
                cx.warn("HOLD-BACK is not a number of seconds");
            }
        }
    }

    fn playlist_type(&mut self, cx: &mut Context<'_>, value: &str) {
        match value {
            "VOD" => self.header.playlist_type = Some(PlaylistType::Vod),
            "EVENT" => self.header.playlist_type = Some(PlaylistType::Event),
            _ => cx.warn("EXT-X-PLAYLIST-TYPE is neither VOD nor EVENT"),
        }
    }

    pub(super) fn uri(&mut self, cx: &mut Context<'_>, text: &str) -> Result<(), PlaylistError> {
        let next = std::mem::take(&mut self.next);
        let Some((duration, title)) = next.inf else {
            return Err(cx.malformed("segment", "a URI without EXTINF"));
        };
        if self.table.len() >= cx.limits.segments {
            return Err(cx.too_large("segments", cx.limits.segments));
        }
        let text = cx.substitute(text)?;
        if !is_plain(cx, &text) {
            cx.resolve("segment", &text)?;
        }
        let (uri, byte_range) = match next.byte_range {
            None => (self.table.push_text(cx, &text)?, None),
            Some((len, start)) => {
                let (uri, range) = self.sub_range(cx, &text, len, start)?;
                (uri, Some(range))
            }
        };
        if let Some(date_time) = next.date_time {
            self.table.push_date_time(date_time);
        }
        let start = self.end;
        let overflow = || cx.malformed("EXTINF", "the durations overflow");
        self.end = start.checked_add(duration).ok_or_else(overflow)?;
        self.table.push(Record {
            start,
            uri,
            title,
            byte_range: byte_range.unwrap_or(0..0),
            key: self.key,
            map: self.map,
            discontinuities: self.discontinuities,
            discontinuity: next.discontinuity,
            gap: next.gap,
        });
        Ok(())
    }

    /// Resolves a byte range: without an offset it goes on where the last one of the same resource ended.
    fn sub_range(
        &mut self,
        cx: &mut Context<'_>,
        uri: &str,
        len: u64,
        start: Option<u64>,
    ) -> Result<(Span, Range<u64>), PlaylistError> {
        const TAG: &str = "EXT-X-BYTERANGE";
        if let Some((span, end)) = self.sub_ranges.get_mut(uri) {
            let range = resolve_range(cx, TAG, start.unwrap_or(*end), len)?;
            *end = range.end;
            return Ok((*span, range));
        }
        let Some(start) = start else {
            return Err(cx.malformed(TAG, "no offset, and no sub-range of the same resource before it"));
        };
        let range = resolve_range(cx, TAG, start, len)?;
        let span = self.table.push_text(cx, uri)?;
        self.sub_ranges.insert(uri.into(), (span, range.end));
        Ok((span, range))
    }

    pub(super) fn finish(
        mut self,
        mut cx: Context<'_>,
        common: Common,
    ) -> Result<MediaPlaylist, PlaylistError> {
        let header = self.header;
        if self.negative > 0 && self.positive == 0 && header.target_duration.is_none() {
            return Err(cx.error(PlaylistErrorKind::StationList));
        }
        self.table.has_guesses = self.negative > 0;
        if self.next.inf.is_some() {
            cx.warn("the last EXTINF has no URI and is ignored: the playlist may be cut short");
        }
        let rounded =
            Duration::from_secs(self.longest.as_secs() + u64::from(self.longest.subsec_millis() >= 500));
        match header.target_duration {
            None => cx.warn("EXT-X-TARGETDURATION is missing"),
            Some(target) if rounded > target => cx.warn("a segment is longer than EXT-X-TARGETDURATION"),
            Some(_) => {}
        }
        if header.playlist_type == Some(PlaylistType::Vod) && !header.end_list {
            cx.warn("a VOD playlist without EXT-X-ENDLIST: it may be cut short");
        }
        let target = header.target_duration.filter(|target| !target.is_zero());
        if self.end == 0
            && !self.table.is_empty()
            && let Some(target) = target
        {
            cx.warn("no segment has a duration: each is taken to last EXT-X-TARGETDURATION");
            self.end = self.table.spread(u64::try_from(target.as_nanos()).unwrap_or(u64::MAX));
        }
        self.table.finish(self.end);
        Ok(MediaPlaylist {
            target_duration: header.target_duration.unwrap_or(rounded),
            media_sequence: header.media_sequence,
            has_media_sequence: header.has_media_sequence,
            discontinuity_sequence: header.discontinuity_sequence,
            playlist_type: header.playlist_type,
            end_list: header.end_list,
            independent_segments: common.independent_segments,
            start: common.start,
            version: common.version,
            low_latency: header.low_latency,
            hold_back: header.hold_back,
            warnings: cx.warnings,
            base: cx.base.clone(),
            table: self.table,
        })
    }
}

/// Key formats in force at the same time.
const MAX_KEY_FORMATS: usize = 32;

/// Keeps one copy of equal values: 1 + its index.
fn intern<T: Clone + Eq + std::hash::Hash>(
    cx: &Context<'_>,
    known: &mut HashMap<Arc<T>, u32>,
    list: &mut Vec<Arc<T>>,
    value: &T,
) -> Result<u32, PlaylistError> {
    if let Some(index) = known.get(value) {
        return Ok(*index);
    }
    let too_many = || cx.too_large("keys or maps", cx.limits.keys);
    if list.len() >= cx.limits.keys {
        return Err(too_many());
    }
    let value = Arc::new(value.clone());
    list.push(Arc::clone(&value));
    let index = u32::try_from(list.len()).map_err(|_| too_many())?;
    known.insert(value, index);
    Ok(index)
}

fn unsupported(cx: &Context<'_>, what: &'static str) -> PlaylistError {
    cx.error(PlaylistErrorKind::Unsupported { what })
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Whether a URI is nothing but a path of ordinary characters, which every base with a path resolves.
fn is_plain(cx: &Context<'_>, uri: &str) -> bool {
    let ordinary = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~' | b'=' | b'&' | b'?' | b'%')
    };
    !cx.base.cannot_be_a_base()
        && uri.bytes().all(|byte| ordinary(byte) || byte == b'/')
        && !uri.starts_with("//")
}

/// `n[@o]`: length and offset.
fn byte_range(cx: &Context<'_>, tag: &'static str, text: &str) -> Result<(u64, Option<u64>), PlaylistError> {
    let (len, offset) = match text.split_once('@') {
        Some((len, offset)) => (len, Some(offset)),
        None => (text, None),
    };
    let number = |text: &str| {
        decimal::integer(text.trim().trim_matches('"'))
            .ok_or_else(|| cx.malformed(tag, "the byte range is not numbers"))
    };
    Ok((number(len)?, offset.map(number).transpose()?))
}

fn resolve_range(
    cx: &Context<'_>,
    tag: &'static str,
    start: u64,
    len: u64,
) -> Result<Range<u64>, PlaylistError> {
    if len == 0 {
        return Err(cx.malformed(tag, "a byte range of no length"));
    }
    let end = start.checked_add(len).filter(|end| *end <= i64::MAX.unsigned_abs());
    end.map(|end| start..end).ok_or_else(|| cx.malformed(tag, "the byte range overflows"))
}
