//! Ogg files: Vorbis, FLAC or Opus, also chained, also cut out of a longer stream.

mod link;
mod mapping;
mod page;

use self::link::{Count, Link};
use self::mapping::{MAX_HEADER, Mapping};
use self::page::{MAX_PAGE, Page};
use super::details::Tags;
use super::format_reader::{Event, FormatReader, MAX_HOLE_SECONDS, Opened, Packet, Stream};
use super::formats::FormatDescriptor;
use super::source::Window;
use crate::{CodecTable, DecodeError};

/// Header pages that are believed.
const MAX_HEADER_PAGES: usize = 4096;
/// Longest packet, in bytes.
const MAX_PACKET: usize = 8 << 20;
/// Bytes at the end of a file that are searched for its last page.
const TAIL: u64 = 2 * MAX_PAGE as u64;

pub(super) const FORMAT: FormatDescriptor = FormatDescriptor::new(
    "ogg",
    |head| head.starts_with(b"OggS"),
    |window, context| open(window, context.codecs.clone()),
)
.with_probe(|window, search| Ok(!search.is_start && window.peek(6)?.starts_with(b"OggS\0\x02")), b"O");

pub(super) struct OggFile {
    window: Window,
    /// For the choice among streams.
    codecs: CodecTable,
    links: Vec<Link>,
    /// The link that is being read.
    current: usize,
    page: Page,
    /// What is left of `page`: offsets of the pieces in its body.
    body_at: usize,
    pieces: std::collections::VecDeque<(usize, bool)>,
    packet: Vec<u8>,
    /// A packet is being gathered that began on an earlier page.
    is_partial: bool,
    /// Granule position of the next packet's first frame; `None` after a seek, up to the end of the page.
    granule: Option<i64>,
    announce: bool,
    /// Metadata of a link that has begun, until it is taken.
    new_tags: Option<Tags>,
    /// The next page need not follow the one at hand.
    is_fresh: bool,
    /// Something was lost before the next packet.
    is_lost: bool,
}

/// Opens the Ogg file that begins at the window's position.
pub(super) fn open(window: Window, codecs: CodecTable) -> Result<Opened, DecodeError> {
    let mut file = OggFile {
        window,
        codecs,
        links: Vec::new(),
        current: 0,
        page: Page::default(),
        body_at: 0,
        pieces: Default::default(),
        packet: Vec::new(),
        is_partial: false,
        granule: None,
        announce: false,
        new_tags: None,
        is_fresh: true,
        is_lost: false,
    };
    if !file.next_page(u64::MAX)? {
        return Err(DecodeError::Malformed("Ogg without a sound page".into()));
    }
    file.read_headers(0)?;
    file.announce = false;
    let total = file.total();
    let Some(link) = file.links.first() else { return Err(no_audio()) };
    let mapping = link.mapping.clone();
    let codec = mapping.params();
    let stream = Stream {
        container: "ogg",
        sample_rate: mapping.sample_rate,
        channels: mapping.channels,
        bits_per_sample: mapping.bits_per_sample,
        end: None,
        total,
        estimate: None,
        frames_per_packet: None,
        tags: mapping.tags,
    };
    Ok(Opened { reader: Box::new(file), codec, stream })
}

fn no_audio() -> DecodeError {
    unplayable(&[])
}

/// No stream can be played, for these reasons.
fn unplayable(refused: &[String]) -> DecodeError {
    DecodeError::Unsupported(match refused {
        [] => "an Ogg file without Vorbis, FLAC or Opus".into(),
        [one] => format!("Ogg with {one}"),
        several => format!("none of the audio streams of Ogg can be played: {}", several.join(", ")),
    })
}

impl OggFile {
    fn next_page(&mut self, limit: u64) -> Result<bool, DecodeError> {
        Ok(page::read(&mut self.window, &mut self.page, limit)?)
    }

    /// Reads the headers of the link whose first page has just been read.
    fn read_headers(&mut self, base: i64) -> Result<(), DecodeError> {
        let mut chosen: Option<(u32, Mapping)> = None;
        let mut refused = Vec::new();
        let head = self.page.offset;
        while self.page.is_first {
            if chosen.is_none() {
                let found = Mapping::detect(&self.page.body);
                let refusal = match &found {
                    Some(mapping) => mapping.refusal(&self.codecs),
                    None => mapping::refused_name(&self.page.body),
                };
                match refusal {
                    Some(reason) => refused.push(reason),
                    None => chosen = found.map(|mapping| (self.page.serial, mapping)),
                }
            }
            if !self.next_page(u64::MAX)? {
                return Err(DecodeError::Malformed("Ogg ends inside its headers".into()));
            }
        }
        let (serial, mut mapping) = chosen.ok_or_else(|| unplayable(&refused))?;
        let mut header = Vec::new();
        for _ in 0..MAX_HEADER_PAGES {
            if self.page.serial == serial {
                self.take_headers(&mut mapping, &mut header)?;
                if !mapping.wants_header() {
                    // Audio begins on a page of its own.
                    self.begin_link(serial, mapping, head, base)?;
                    return Ok(());
                }
            }
            if !self.next_page(u64::MAX)? || self.page.is_first {
                break;
            }
        }
        Err(DecodeError::Malformed("Ogg ends inside its headers".into()))
    }

    fn take_headers(&mut self, mapping: &mut Mapping, header: &mut Vec<u8>) -> Result<(), DecodeError> {
        let mut at = 0;
        for (len, is_end) in self.page.pieces() {
            if !mapping.wants_header() {
                break;
            }
            if header.len() + len > MAX_HEADER {
                return Err(DecodeError::Malformed("an Ogg header is too long".into()));
            }
            header.extend_from_slice(&self.page.body[at..at + len]);
            at += len;
            if is_end {
                mapping.take_header(header);
                header.clear();
            }
        }
        Ok(())
    }

    /// Begins to read audio: finds out at which granule position it begins.
    fn begin_link(
        &mut self,
        serial: u32,
        mut mapping: Mapping,
        head: u64,
        base: i64,
    ) -> Result<(), DecodeError> {
        let start = self.window.offset();
        let mut count = Count::default();
        let mut origin = 0;
        while self.next_page(u64::MAX)? && !self.page.is_first {
            if self.page.serial != serial {
                continue;
            }
            count.add(&self.page, &mut mapping);
            if let Some(granule) = self.page.granule {
                // On a last page the position may be cut short, and says nothing about the beginning. A stream that was cut
                // out of another may begin before 0.
                if !self.page.is_last {
                    origin = granule - count.frames;
                }
                break;
            }
        }
        mapping.forget_last_packet();
        self.window.move_to(start)?;
        let rate = self.links.first().map_or(mapping.sample_rate, |link| link.rate);
        self.links.push(Link { serial, mapping, head, start, origin, base, rate, is_unordered: false });
        self.current = self.links.len() - 1;
        self.restart(Some(origin));
        self.announce = true;
        Ok(())
    }

    fn restart(&mut self, granule: Option<i64>) {
        self.pieces.clear();
        self.packet.clear();
        self.is_partial = false;
        self.granule = granule;
        self.is_fresh = true;
        self.is_lost = false;
        if let Some(link) = self.links.get_mut(self.current) {
            link.mapping.forget_last_packet();
        }
    }

    /// Frames in all, where the end of the file is at hand.
    fn total(&mut self) -> Option<u64> {
        let len = self.window.source().byte_len().filter(|_| self.window.source().is_end_at_hand())?;
        let back = self.window.offset();
        let link = self.links.first()?.clone();
        let mut last = None;
        self.window.move_to(len.saturating_sub(TAIL).max(link.start)).ok()?;
        while let Ok(true) = self.next_page(u64::MAX) {
            if self.page.serial != link.serial {
                last = None;
                break;
            }
            last = self.page.granule.or(last);
        }
        self.window.move_to(back).ok()?;
        let (last_number, end) = (self.page.number, link.presented_before(last?));
        let is_plain = self.numbers_ascend(&link, len, last_number);
        let _ = self.window.move_to(back);
        u64::try_from(end).ok().filter(|_| is_plain)
    }

    /// Whether pages at a few places in the file are numbered as those of one link are: copies of one stream in a row may
    /// share their serial number.
    fn numbers_ascend(&mut self, link: &Link, len: u64, last: u32) -> bool {
        let mut before = 0;
        (1..8).all(|eighth| {
            let place = link.start + (len.saturating_sub(link.start)) / 8 * eighth;
            let found = self.window.move_to(place).is_ok() && matches!(self.next_page(u64::MAX), Ok(true));
            let ascends =
                !found || self.page.serial == link.serial && (before..=last).contains(&self.page.number);
            before = if found { self.page.number } else { before };
            ascends
        })
    }

    /// Reads on to the next page of the current link. `false` at the end of the file or of the link.
    fn turn_page(&mut self) -> Result<bool, DecodeError> {
        // Pages of other streams come between.
        let expected = self.page.number.wrapping_add(1);
        loop {
            if !self.next_page(u64::MAX)? {
                return Ok(false);
            }
            if self.page.is_first {
                return Ok(false);
            }
            let Some(link) = self.links.get(self.current) else { return Ok(false) };
            if self.page.serial != link.serial {
                continue;
            }
            let is_gap = !std::mem::take(&mut self.is_fresh) && self.page.number != expected;
            if is_gap || self.is_partial && !self.page.is_continued {
                self.packet.clear();
                self.is_partial = false;
                self.is_lost = true;
            }
            if is_gap {
                self.regain_place();
            }
            self.pieces.clear();
            self.body_at = 0;
            let skips_head = self.page.is_continued && !self.is_partial;
            let pieces: Vec<_> = self.page.pieces().collect();
            self.pieces.extend(pieces);
            if skips_head && let Some((len, _)) = self.pieces.pop_front() {
                self.body_at += len;
            }
            return Ok(true);
        }
    }

    /// Pages were lost before the one at hand: finds out where it begins, by where it ends.
    fn regain_place(&mut self) {
        let Some(link) = self.links.get_mut(self.current) else { return };
        link.mapping.forget_last_packet();
        let mut count = Count::default();
        count.add(&self.page, &mut link.mapping);
        link.mapping.forget_last_packet();
        let most = i64::from(link.mapping.sample_rate) * MAX_HOLE_SECONDS;
        // Where its end is cut short, or stands on a later page, nothing was lost but what lies between.
        let Some(end) = self.page.granule.filter(|_| !self.page.is_last) else { return };
        let place = end.saturating_sub(count.frames);
        match self.granule {
            // What was cut out of an earlier or a much later part of the stream follows at once.
            Some(known) if place < known => link.is_unordered = true,
            Some(known) if place > known.saturating_add(most) => {}
            _ => self.granule = Some(place),
        }
    }

    /// Gathers the next whole packet into `packet`. `false` at the end of the link.
    fn gather(&mut self) -> Result<bool, DecodeError> {
        if !self.is_partial {
            self.packet.clear();
        }
        loop {
            let Some((len, is_end)) = self.pieces.pop_front() else {
                if !self.turn_page()? {
                    return Ok(false);
                }
                continue;
            };
            if self.packet.len() + len > MAX_PACKET {
                return Err(DecodeError::Malformed("an Ogg packet is too long".into()));
            }
            self.packet.extend_from_slice(&self.page.body[self.body_at..self.body_at + len]);
            self.body_at += len;
            self.is_partial = !is_end;
            if is_end {
                return Ok(true);
            }
        }
    }

    /// The last page of the current link that ends at or before granule position `target`: the link ends at `len`. `None`:
    /// its first one.
    fn find_page(&mut self, target: i64, len: u64) -> Result<Option<u64>, DecodeError> {
        let Some(link) = self.links.get(self.current) else { return Ok(None) };
        let (serial, mut low, mut high) = (link.serial, link.start, len);
        let (mut low_granule, mut high_granule) = (0, i64::MAX);
        let mut best = None;
        while low < high {
            let middle = if high - low > 2 * MAX_PAGE as u64 { low + (high - low) / 2 } else { low };
            self.window.move_to(middle)?;
            let mut found = None;
            while self.next_page(high)? && !self.page.is_first {
                if self.page.serial == serial
                    && let Some(granule) = self.page.granule
                {
                    found = Some(granule);
                    break;
                }
            }
            if found.is_some_and(|granule| !(low_granule..=high_granule).contains(&granule)) {
                if let Some(link) = self.links.get_mut(self.current) {
                    link.is_unordered = true;
                }
                return Ok(None);
            }
            match found {
                Some(granule) if granule <= target => {
                    best = Some(self.page.offset);
                    (low, low_granule) = (self.page.end, granule);
                }
                _ if middle == low => break,
                found => (high, high_granule) = (middle, found.unwrap_or(high_granule)),
            }
        }
        Ok(best)
    }
}

impl FormatReader for OggFile {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        if std::mem::take(&mut self.announce) {
            let Some(link) = self.links.get(self.current) else { return Ok(Event::End) };
            self.new_tags = Some(link.mapping.tags.clone());
            return Ok(Event::NewStream(link.mapping.params()));
        }
        if !self.gather()? {
            if !self.page.is_first {
                return Ok(Event::End);
            }
            return self.next_link();
        }
        let is_page_end = !self.pieces.iter().any(|&(_, is_end)| is_end);
        let Some(link) = self.links.get_mut(self.current) else { return Ok(Event::End) };
        let frames = link.mapping.frames_of(&self.packet);
        let link = &*link;
        let position = self.granule.map(|granule| link.frame_of(granule));
        let after = self.granule.map(|granule| granule.saturating_add_unsigned(frames));
        let trim_end = match (after, self.page.granule) {
            (Some(after), Some(end))
                if self.page.is_last && (is_page_end || link.mapping.trims_whole_page()) =>
            {
                link.mapping.padding(after, end, frames)
            }
            _ => 0,
        };
        self.granule = match after {
            Some(after) => Some(after - trim_end as i64),
            // Where counting did not begin with the link, it begins with the end of a page.
            None if is_page_end => self.page.granule,
            None => None,
        };
        let is_discontinuity = std::mem::take(&mut self.is_lost);
        Ok(Event::Packet(Packet {
            data: &self.packet,
            position,
            frames: link.in_first(i64::try_from(frames).unwrap_or(i64::MAX)).unsigned_abs(),
            trim_end,
            change: None,
            is_discontinuity,
        }))
    }

    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError> {
        let index = self.links.iter().rposition(|link| link.base <= frame.max(0)).unwrap_or(0);
        let Some(link) = self.links.get(index).cloned() else { return Ok(false) };
        self.announce = index != self.current;
        self.current = index;
        let target = link.granule_of(frame);
        let len = self.window.source().byte_len().filter(|_| self.window.source().is_seekable());
        let len = self.links.get(index + 1).map(|next| next.head).or(len);
        let page = match len {
            Some(len) if target > link.origin && !link.is_unordered => self.find_page(target, len)?,
            _ => None,
        };
        self.window.move_to(page.unwrap_or(link.start))?;
        self.restart(if page.is_some() { None } else { Some(link.origin) });
        Ok(true)
    }

    fn take_tags(&mut self) -> Option<Tags> {
        self.new_tags.take()
    }

    fn resume(&mut self) {
        self.window.source_mut().resume();
    }
}

impl OggFile {
    /// Another link begins on the page just read.
    fn next_link(&mut self) -> Result<Event<'_>, DecodeError> {
        let known = self.current + 1;
        let base = match self.links.get(self.current) {
            Some(link) => link.frame_of(self.granule.unwrap_or(link.origin)),
            None => 0,
        };
        if known < self.links.len() {
            self.links.truncate(known);
        }
        self.read_headers(base)?;
        self.announce = false;
        let Some(link) = self.links.get(self.current) else { return Ok(Event::End) };
        self.new_tags = Some(link.mapping.tags.clone());
        Ok(Event::NewStream(link.mapping.params()))
    }
}
