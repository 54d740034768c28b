//! Which element carries which loudspeaker's sound (ISO/IEC 14496-3, table 1.19 and 4.5.1.2).

use crate::bits::BitReader;
use crate::{Error, Result};

/// A loudspeaker's position. Frames list their channels in this order, which is that of WAVE and of ffmpeg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Channel {
    /// Front left.
    FrontLeft,
    /// Front right.
    FrontRight,
    /// Front center; the only channel of mono.
    FrontCenter,
    /// Low frequency effects.
    LowFrequency,
    /// Back left: the surround channels of 5.1.
    BackLeft,
    /// Back right.
    BackRight,
    /// Between the front left and the center.
    FrontLeftOfCenter,
    /// Between the front right and the center.
    FrontRightOfCenter,
    /// Back center.
    BackCenter,
    /// Side left.
    SideLeft,
    /// Side right.
    SideRight,
    /// Above the front left.
    TopFrontLeft,
    /// Above the front right.
    TopFrontRight,
    /// A channel whose position the stream does not tell, counted from 0.
    Other(u8),
}

/// Syntactic elements that carry channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ElementKind {
    Single,
    Pair,
    LowFrequency,
}

/// One element, and where its channels go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) kind: ElementKind,
    /// Of a program configuration: the tag that the element must have.
    pub(crate) tag: Option<u8>,
    pub(crate) channels: [Channel; 2],
}

impl Element {
    pub(crate) fn count(&self) -> usize {
        if self.kind == ElementKind::Pair { 2 } else { 1 }
    }
}

/// The most channels of one stream: those of the largest program that the elements' tags can tell apart
/// would be 64, none of which is in use.
pub(crate) const MAX_CHANNELS: usize = 16;

fn single(channel: Channel) -> Element {
    Element { kind: ElementKind::Single, tag: None, channels: [channel; 2] }
}

fn pair(left: Channel, right: Channel) -> Element {
    Element { kind: ElementKind::Pair, tag: None, channels: [left, right] }
}

fn low() -> Element {
    Element { kind: ElementKind::LowFrequency, tag: None, channels: [Channel::LowFrequency; 2] }
}

/// Elements in the order of the bitstream, without an allocation: a configuration may come with each packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elements {
    list: [Element; MAX_CHANNELS],
    count: usize,
}

impl Elements {
    pub(crate) const fn new() -> Self {
        let none = Element { kind: ElementKind::Single, tag: None, channels: [Channel::FrontCenter; 2] };
        Self { list: [none; MAX_CHANNELS], count: 0 }
    }

    /// Adds an element. False when there is no room.
    #[must_use]
    fn push(&mut self, element: Element) -> bool {
        let slot = self.list.get_mut(self.count);
        self.count += usize::from(slot.is_some());
        slot.map(|slot| *slot = element).is_some()
    }

    pub(crate) fn channel_count(&self) -> usize {
        self.iter().map(Element::count).sum()
    }
}

impl std::ops::Deref for Elements {
    type Target = [Element];

    fn deref(&self) -> &[Element] {
        &self.list[..self.count]
    }
}

impl PartialEq for Elements {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl Eq for Elements {}

impl FromIterator<Element> for Elements {
    /// The first elements: no more than there is room for.
    fn from_iter<I: IntoIterator<Item = Element>>(elements: I) -> Self {
        let mut list = Self::new();
        for element in elements {
            let _ = list.push(element);
        }
        list
    }
}

/// The elements of a channel configuration other than 0.
pub(crate) fn elements_of(configuration: u8) -> Result<Elements> {
    use Channel as C;
    let (center, front) = (single(C::FrontCenter), pair(C::FrontLeft, C::FrontRight));
    let (back, side) = (pair(C::BackLeft, C::BackRight), pair(C::SideLeft, C::SideRight));
    let list = |elements: &[Element]| elements.iter().copied().collect();
    Ok(match configuration {
        1 => list(&[center]),
        2 => list(&[front]),
        3 => list(&[center, front]),
        4 => list(&[center, front, single(C::BackCenter)]),
        5 => list(&[center, front, back]),
        6 => list(&[center, front, back, low()]),
        // The specification puts the second pair of configuration 7 between the front loudspeakers and the
        // center. Encoders send ordinary 7.1 as this configuration, and ffmpeg decodes it so.
        7 | 12 => list(&[center, front, side, back, low()]),
        11 => list(&[center, front, back, single(C::BackCenter), low()]),
        14 => list(&[center, front, back, low(), pair(C::TopFrontLeft, C::TopFrontRight)]),
        13 => return Err(Error::Unsupported { feature: "The channel configuration 13 (22.2)" }),
        _ => return Err(Error::malformed("configuration", "a reserved channel configuration")),
    })
}

/// Elements of one side of a program: at most fifteen.
#[derive(Clone, Copy)]
struct Group {
    list: [(ElementKind, u8); 15],
    count: usize,
}

impl Group {
    fn read(reader: &mut BitReader<'_>, count: u32) -> Self {
        let mut group = Self { list: [(ElementKind::Single, 0); 15], count: count as usize };
        for element in &mut group.list[..count as usize] {
            let kind = if reader.flag() { ElementKind::Pair } else { ElementKind::Single };
            *element = (kind, reader.read(4) as u8);
        }
        group
    }

    fn iter(&self) -> impl Iterator<Item = (ElementKind, u8)> {
        self.list[..self.count].iter().copied()
    }

    fn pairs(&self) -> usize {
        self.iter().filter(|element| element.0 == ElementKind::Pair).count()
    }
}

/// Reads the elements of a `program_config_element()`. `start`: the position that byte alignment counts from.
pub(crate) fn read_program(reader: &mut BitReader<'_>, start: usize) -> Result<Elements> {
    reader.skip(4 + 2 + 4);
    let [front, side, back] = [reader.read(4), reader.read(4), reader.read(4)];
    let (lfe, associated, coupling) = (reader.read(2), reader.read(3), reader.read(4));
    reader.optional(4);
    reader.optional(4);
    reader.optional(3);
    let groups = [front, side, back].map(|count| Group::read(reader, count));
    let mut low = [0; 3];
    for tag in &mut low[..lfe as usize] {
        *tag = reader.read(4) as u8;
    }
    reader.skip(4 * associated as usize + 5 * coupling as usize);
    reader.align_from(start);
    let comment = reader.read(8) as usize;
    reader.skip(8 * comment);
    reader.check("program configuration")?;
    place(&groups, &low[..lfe as usize])
}

fn place(groups: &[Group; 3], lfe: &[u8]) -> Result<Elements> {
    use Channel as C;
    let mut places = Places { elements: Elements::new(), others: 0, is_full: false };
    let (near, front) = ((C::FrontLeftOfCenter, C::FrontRightOfCenter), (C::FrontLeft, C::FrontRight));
    let (side, back) = ((C::SideLeft, C::SideRight), (C::BackLeft, C::BackRight));
    // Each group counts from the center outwards, and from the front to the back.
    let two_fronts = groups[0].pairs() > 1;
    places.add(&groups[0], Some(C::FrontCenter), &[near, front][usize::from(!two_fronts)..]);
    places.add(&groups[1], None, &[side]);
    let two_backs = groups[1].pairs() == 0 && groups[2].pairs() > 1;
    places.add(&groups[2], Some(C::BackCenter), &[side, back][usize::from(!two_backs)..]);
    for (i, &tag) in lfe.iter().enumerate() {
        let channel = if i == 0 { C::LowFrequency } else { places.other() };
        places.push(Element { kind: ElementKind::LowFrequency, tag: Some(tag), channels: [channel; 2] });
    }
    let channels = places.elements.channel_count();
    if channels == 0 {
        return Err(Error::malformed("program configuration", "it has no channel"));
    }
    if places.is_full || channels > MAX_CHANNELS {
        return Err(Error::Unsupported { feature: "A program of more than 16 channels" });
    }
    Ok(places.elements)
}

struct Places {
    elements: Elements,
    others: u8,
    is_full: bool,
}

impl Places {
    fn other(&mut self) -> Channel {
        self.others += 1;
        Channel::Other(self.others - 1)
    }

    fn push(&mut self, element: Element) {
        self.is_full |= !self.elements.push(element);
    }

    fn add(&mut self, group: &Group, mut center: Option<Channel>, pairs: &[(Channel, Channel)]) {
        let mut pairs = pairs.iter();
        for (kind, tag) in group.iter() {
            let channels = if kind == ElementKind::Pair {
                pairs.next().map_or_else(|| [self.other(), self.other()], |&(l, r)| [l, r])
            } else {
                [center.take().unwrap_or_else(|| self.other()); 2]
            };
            self.push(Element { kind, tag: Some(tag), channels });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_has_its_number_of_channels() {
        for (configuration, channels) in
            [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 8), (11, 7), (12, 8), (14, 8)]
        {
            let elements = elements_of(configuration).unwrap();
            assert_eq!(elements.iter().map(Element::count).sum::<usize>(), channels);
        }
        assert!(matches!(elements_of(13), Err(Error::Unsupported { .. })));
        assert!(matches!(elements_of(9), Err(Error::Malformed { .. })));
    }
}
