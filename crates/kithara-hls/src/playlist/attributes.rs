//! Attribute lists: `NAME=value,NAME="quoted, value"`.

use std::borrow::Cow;

use url::Url;

use super::context::Context;
use super::decimal;
use super::error::PlaylistError;

/// Attributes that one tag may carry; the specification has no tag with more than thirty.
const MAX_ATTRIBUTES: usize = 1_000;

/// A parsed attribute list. Of an attribute that stands twice the last one counts, as in players.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    tag: &'static str,
    list: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> Attributes<'a> {
    /// Splits `text`. Spaces around names and values, and unquoted strings, are tolerated.
    pub(super) fn parse(
        cx: &mut Context<'_>,
        tag: &'static str,
        text: &'a str,
    ) -> Result<Self, PlaylistError> {
        let mut attributes = Self { tag, list: Vec::new() };
        let mut rest = text.trim();
        while !rest.is_empty() {
            rest = attributes.take_one(cx, rest)?;
        }
        Ok(attributes)
    }

    /// Takes the first attribute off `text`; what is left begins after its comma.
    fn take_one(&mut self, cx: &mut Context<'_>, text: &'a str) -> Result<&'a str, PlaylistError> {
        let name_end = text.find(['=', ',']).unwrap_or(text.len());
        let name = text[..name_end].trim();
        let Some(value) = text[name_end..].strip_prefix('=') else {
            self.extend_last(cx, name);
            return Ok(text.get(name_end + 1..).unwrap_or("").trim_start());
        };
        let value = value.trim_start();
        let (value, rest) = match value.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some(parts) => parts,
                None => return Err(cx.malformed(self.tag, "a quotation mark is never closed")),
            },
            None => value.split_at(value.find(',').unwrap_or(value.len())),
        };
        self.push(cx, name, value.trim())?;
        Ok(rest.split_once(',').map_or("", |(_, rest)| rest.trim_start()))
    }

    /// A piece without `=` belongs to the unquoted list before it: `CODECS=avc1.4d401e,mp4a.40.2`.
    fn extend_last(&mut self, cx: &mut Context<'_>, piece: &str) {
        if piece.is_empty() {
            return;
        }
        cx.warn_with(|| {
            format!("{}: a list without quotation marks, or an attribute without a value", self.tag)
        });
        if let Some((_, value)) = self.list.last_mut().filter(|(name, _)| *name == "CODECS") {
            value.to_mut().push(',');
            value.to_mut().push_str(piece);
        }
    }

    fn push(&mut self, cx: &mut Context<'_>, name: &'a str, value: &'a str) -> Result<(), PlaylistError> {
        if let Some(known) = self.list.iter_mut().find(|(known, _)| *known == name) {
            known.1 = Cow::Borrowed(value);
            cx.warn_with(|| format!("{}: an attribute stands twice, the last one counts", self.tag));
            return Ok(());
        }
        if self.list.len() >= MAX_ATTRIBUTES {
            return Err(cx.too_large("attributes of a tag", MAX_ATTRIBUTES));
        }
        self.list.push((name, Cow::Borrowed(value)));
        Ok(())
    }

    /// The value as written; `None` if the attribute is missing.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.list.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    /// A string with its variables replaced; an empty one counts as missing.
    pub(super) fn string(&self, cx: &mut Context<'_>, name: &str) -> Result<Option<String>, PlaylistError> {
        match self.raw(name).filter(|value| !value.is_empty()) {
            Some(value) => cx.substitute(value).map(|value| Some(value.into_owned())),
            None => Ok(None),
        }
    }

    /// A URI with its variables replaced, resolved; an empty one counts as missing.
    pub(super) fn url(&self, cx: &mut Context<'_>, name: &str) -> Result<Option<Url>, PlaylistError> {
        match self.raw(name).filter(|value| !value.is_empty()) {
            Some(value) => {
                let value = cx.substitute(value)?;
                cx.resolve(self.tag, &value).map(Some)
            }
            None => Ok(None),
        }
    }

    /// A URI that must be there.
    pub(super) fn required_url(&self, cx: &mut Context<'_>, name: &str) -> Result<Url, PlaylistError> {
        match self.url(cx, name)? {
            Some(url) => Ok(url),
            None => Err(cx.malformed_owned(self.tag, format!("{name} is missing"))),
        }
    }

    /// Whether the attribute is `YES`.
    pub(super) fn yes(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|value| value.eq_ignore_ascii_case("YES"))
    }

    /// A decimal integer. A fraction is cut off with a warning.
    pub(super) fn integer(&self, cx: &mut Context<'_>, name: &str) -> Result<Option<u64>, PlaylistError> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        if let Some(integer) = decimal::integer(value) {
            return Ok(Some(integer));
        }
        let Some(duration) = decimal::seconds(value) else {
            return Err(cx.malformed_owned(self.tag, format!("{name} is not a number")));
        };
        cx.warn_with(|| format!("{}: {name} is not an integer", self.tag));
        Ok(Some(duration.as_secs()))
    }

    /// `0x` and hexadecimal digits, as a 128-bit number; bare 32 digits are tolerated.
    pub(super) fn hex128(&self, cx: &mut Context<'_>, name: &str) -> Result<Option<[u8; 16]>, PlaylistError> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let value = cx.substitute(value)?;
        let digits = value.strip_prefix("0x").or_else(|| value.strip_prefix("0X"));
        if digits.is_none() && value.len() == 32 {
            cx.warn_with(|| format!("{}: {name} does not begin with 0x", self.tag));
        }
        let digits = digits.unwrap_or(if value.len() == 32 { &value } else { "" });
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(digits, 16) {
            Ok(number) if is_hex => Ok(Some(number.to_be_bytes())),
            _ => Err(cx.malformed_owned(self.tag, format!("{name} is not a 128-bit hexadecimal number"))),
        }
    }
}
