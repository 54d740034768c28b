//! The table of containers, and which of them a file is in, by its bytes.

use std::io;

use kithara_stream::MediaInfo;

use super::details::Tags;
use super::format_reader::Opened;
use super::source::Window;
use super::{aiff, ape, au, caf, flac, framed, matroska, mp4, named, ogg, ts, wav};
use crate::demux::id3;
use crate::{CodecTable, DecodeError};

/// One row of the table of containers.
#[derive(Clone, Copy)]
pub struct FormatDescriptor {
    /// Name, as in [`MediaDetails::container`](crate::MediaDetails::container).
    pub name: &'static str,
    /// Whether a file that begins with these bytes (16, or all of a shorter file) is in this container.
    pub magic: fn(&[u8]) -> bool,
    /// A longer look from the window's position on, where the first bytes do not tell, and behind garbage. Must not move
    /// the window.
    pub probe: Option<Probe>,
    /// Bytes that a file may begin with behind garbage; at those `probe` looks.
    pub leads: &'static [u8],
    /// Opens the file that begins at the window's position.
    pub open: Open,
}

/// See [`FormatDescriptor::probe`].
pub type Probe = fn(&mut Window, &Search<'_>) -> io::Result<bool>;
/// See [`FormatDescriptor::open`].
pub type Open = fn(Window, OpenContext<'_>) -> Result<Opened, DecodeError>;

impl std::fmt::Debug for FormatDescriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FormatDescriptor").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FormatDescriptor {
    /// A container that its first bytes tell.
    #[must_use]
    pub const fn new(name: &'static str, magic: fn(&[u8]) -> bool, open: Open) -> Self {
        Self { name, magic, probe: None, leads: &[], open }
    }

    /// Looks for it by `probe` as well, behind garbage at the bytes `leads`.
    #[must_use]
    pub const fn with_probe(self, probe: Probe, leads: &'static [u8]) -> Self {
        Self { probe: Some(probe), leads, ..self }
    }
}

/// Where a [probe](FormatDescriptor::probe) looks.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// What the server or the name says; it settles doubts.
    pub hint: &'a MediaInfo,
    /// At the start of the file (behind tags), and not behind garbage.
    pub is_start: bool,
}

/// What a container is opened with.
#[derive(Debug)]
pub struct OpenContext<'a> {
    /// Tags that stood before the container.
    pub tags: Tags,
    /// Which codecs can be decoded, for the choice among tracks.
    pub codecs: &'a CodecTable,
    /// Seeks may go to about their target where an exact one would have to read everything before.
    pub may_estimate: bool,
    /// Bytes that are searched for the beginning of the audio.
    pub probe_budget: u64,
}

/// The containers that are read here. Magic is looked at in this order, then the probes.
static FORMATS: &[FormatDescriptor] = &[
    flac::FORMAT,
    ogg::FORMAT,
    wav::FORMAT,
    aiff::FORMAT,
    caf::FORMAT,
    au::FORMAT,
    matroska::FORMAT,
    mp4::FORMAT,
    ts::FORMAT,
    framed::MPEG_AUDIO,
    framed::ADTS,
];

/// Which containers can be opened: those of this crate, and those that the application registers.
#[derive(Clone, Debug, Default)]
pub struct FormatTable {
    registered: Vec<FormatDescriptor>,
}

/// Bytes that [`FormatDescriptor::magic`] gets.
const MAGIC_LEN: usize = 16;
/// Bytes of an ID3 tag that are looked at for text.
const ID3_TEXT: usize = 16 * 1024;
/// Bytes of a tag that are read through rather than skipped by a seek.
const ID3_READ_THROUGH: u64 = 128 * 1024;
/// Longest tag that is read whole where it is at hand, in bytes.
const MAX_TAG: u64 = 16 << 20;
/// Tags in a row that are believed.
const MAX_TAGS: usize = 16;
/// First bytes of the tags that may follow garbage.
const TAG_LEADS: &[u8] = b"IA";

impl FormatTable {
    /// Adds a container, before those of this crate, or takes the place of one with its name.
    pub fn register(&mut self, format: FormatDescriptor) {
        self.registered.retain(|known| known.name != format.name);
        self.registered.push(format);
    }

    fn rows(&self) -> impl Iterator<Item = &FormatDescriptor> {
        let registered = &self.registered;
        let ours = FORMATS.iter().filter(|ours| registered.iter().all(|known| known.name != ours.name));
        registered.iter().chain(ours)
    }

    /// Finds the format, and moves the window to its beginning. Skips tags, and up to `budget` bytes of garbage.
    pub(super) fn find(
        &self,
        window: &mut Window,
        hint: &MediaInfo,
        budget: u64,
        tags: &mut Tags,
    ) -> Result<FormatDescriptor, DecodeError> {
        skip_tags(window, tags)?;
        let start = window.offset();
        let head = window.peek(MAGIC_LEN)?;
        let head = &head[..head.len().min(MAGIC_LEN)];
        if let Some(format) = self.rows().find(|format| (format.magic)(head)) {
            return Ok(*format);
        }
        let description = describe(window.peek(64)?);
        if let Some(format) = self.probe(window, None, &Search { hint, is_start: true })? {
            return Ok(format);
        }
        if let Some(name) = named::name(window.peek(named::HEAD)?) {
            return Err(DecodeError::Unsupported(name.into()));
        }
        let mut leads = [false; 256];
        let bytes = self.rows().flat_map(|format| format.leads).chain(TAG_LEADS);
        bytes.for_each(|&byte| leads[usize::from(byte)] = true);
        while window.offset() - start < budget {
            let data = window.peek(4096)?;
            if data.len() < 8 {
                break;
            }
            let Some(at) = data.iter().position(|&byte| leads[usize::from(byte)]) else {
                let len = data.len();
                window.consume(len);
                continue;
            };
            let lead = data[at];
            window.consume(at);
            if let Some(format) = self.probe(window, Some(lead), &Search { hint, is_start: false })? {
                return Ok(format);
            }
            if tag_len(window)?.is_some() {
                skip_tags(window, tags)?;
            } else {
                window.consume(1);
            }
        }
        Err(DecodeError::NotMedia(description))
    }

    fn probe(
        &self,
        window: &mut Window,
        lead: Option<u8>,
        search: &Search<'_>,
    ) -> io::Result<Option<FormatDescriptor>> {
        for format in self.rows() {
            if let Some(probe) = format.probe
                && lead.is_none_or(|lead| format.leads.contains(&lead))
                && probe(window, search)?
            {
                return Ok(Some(*format));
            }
        }
        Ok(None)
    }
}

fn skip_tags(window: &mut Window, tags: &mut Tags) -> io::Result<()> {
    for _ in 0..MAX_TAGS {
        let Some(len) = tag_len(window)? else { return Ok(()) };
        let is_at_hand = window.source().at_hand(window.offset()) >= len && len <= MAX_TAG;
        let most = if len <= ID3_READ_THROUGH || is_at_hand { len as usize } else { ID3_TEXT };
        let tag = window.peek(most)?;
        let tag = &tag[..tag.len().min(most)];
        let mut found = Tags::default();
        found.take_id3(tag);
        if ape::tag_len(tag).is_some() {
            found.take_ape_items(tag.get(ape::HEADER_LEN..).unwrap_or_default());
        }
        tags.fill_from(found);
        let end = window.offset() + len;
        if len < ID3_READ_THROUGH {
            window.peek(len as usize)?;
        }
        window.move_to(end)?;
    }
    Ok(())
}

/// Bytes of the tag that stands at the window's position.
fn tag_len(window: &mut Window) -> io::Result<Option<u64>> {
    let data = window.peek(ape::HEADER_LEN)?;
    Ok(id3::tag_len(data).or_else(|| ape::tag_len(data)))
}

fn describe(head: &[u8]) -> String {
    if head.is_empty() {
        return "no bytes at all".into();
    }
    let head = &head[..head.len().min(32)];
    let text: String =
        head.iter().map(|&byte| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '.' }).collect();
    let bytes: Vec<_> = head.iter().take(8).map(|byte| format!("{byte:02X}")).collect();
    format!("begins with '{text}', in hexadecimal {}", bytes.join(" "))
}
