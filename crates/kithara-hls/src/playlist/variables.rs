//! `EXT-X-DEFINE`: variables and their substitution.

use std::borrow::Cow;
use std::collections::HashMap;

use super::attributes::Attributes;
use super::context::Context;
use super::error::PlaylistError;

const TAG: &str = "EXT-X-DEFINE";

/// Bytes of a variable's name.
const MAX_NAME: usize = 256;

/// The variables that a playlist defines.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables {
    values: HashMap<String, String>,
}

impl Variables {
    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Number of variables.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Names only: values may be parts of signed URLs.
impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// Reads one `EXT-X-DEFINE`.
pub(super) fn define(cx: &mut Context<'_>, text: &str) -> Result<(), PlaylistError> {
    let attributes = Attributes::parse(cx, TAG, text)?;
    let given = [attributes.raw("NAME"), attributes.raw("IMPORT"), attributes.raw("QUERYPARAM")];
    let (name, value) = match given {
        [Some(name), None, None] => match attributes.raw("VALUE") {
            Some(value) => (name, cx.substitute(value)?.into_owned()),
            None => return Err(cx.malformed(TAG, "NAME without VALUE")),
        },
        [None, Some(name), None] => match cx.imported.and_then(|imported| imported.get(name)) {
            Some(value) => (name, value.to_owned()),
            None => {
                return Err(
                    cx.malformed(TAG, "the imported variable is not defined by a multivariant playlist")
                );
            }
        },
        [None, None, Some(name)] => match query_parameter(cx.base.query().unwrap_or(""), name) {
            Some(value) if !value.is_empty() => (name, value),
            _ => return Err(cx.malformed(TAG, "the playlist's URL has no value for the query parameter")),
        },
        _ => return Err(cx.malformed(TAG, "exactly one of NAME, IMPORT and QUERYPARAM must be there")),
    };
    if !is_name(name) {
        return Err(cx.malformed(TAG, "the name has other characters than letters, digits, '-' and '_'"));
    }
    if cx.variables.get(name).is_some() {
        return Err(cx.malformed(TAG, "the variable is defined twice"));
    }
    if cx.variables.len() >= cx.limits.variables {
        return Err(cx.too_large("variables", cx.limits.variables));
    }
    cx.count(value.len())?;
    cx.variables.values.insert(name.to_owned(), value);
    Ok(())
}

/// Replaces every `{$name}` of `text`. What only looks like a reference stays as it is.
pub(super) fn substitute<'t>(cx: &mut Context<'_>, text: &'t str) -> Result<Cow<'t, str>, PlaylistError> {
    let Some(first) = text.find("{$") else { return Ok(Cow::Borrowed(text)) };
    let mut result = text[..first].to_owned();
    let mut rest = &text[first..];
    while let Some(reference) = rest.strip_prefix("{$") {
        rest = match reference.split_once('}').filter(|(name, _)| is_name(name)) {
            Some((name, after)) => {
                let Some(value) = cx.variables.get(name) else {
                    return Err(cx.malformed_owned("variable reference", format!("{name} is not defined")));
                };
                result.push_str(value);
                after
            }
            None => {
                result.push_str("{$");
                reference
            }
        };
        let next = rest.find("{$").unwrap_or(rest.len());
        result.push_str(&rest[..next]);
        rest = &rest[next..];
        if result.len() > cx.limits.line_bytes {
            return Err(cx.too_large("bytes in a line", cx.limits.line_bytes));
        }
    }
    cx.count(result.len())?;
    Ok(Cow::Owned(result))
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(allowed)
}

/// A parameter of a query, percent-decoded. `+` stays `+`: it stands in signatures.
fn query_parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(key, _)| percent_decode(key) == name).map(|(_, value)| percent_decode(value))
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let hex = |at: usize| after.get(at).and_then(|digit| (*digit as char).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                rest = after.get(2..).unwrap_or(&[]);
            }
            _ => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
