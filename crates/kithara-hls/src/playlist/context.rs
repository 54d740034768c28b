//! What every part of the parser needs: where it is, what it may use, what it may not exceed.

use std::borrow::Cow;

use url::Url;

use super::error::{PlaylistError, PlaylistErrorKind, Warning};
use super::limits::{Limits, ParseOptions};
use super::variables::{self, Variables};

/// Warnings that are kept.
const MAX_WARNINGS: usize = 32;

#[derive(Debug)]
pub(super) struct Context<'p> {
    pub(super) base: &'p Url,
    pub(super) limits: &'p Limits,
    pub(super) imported: Option<&'p Variables>,
    pub(super) variables: Variables,
    pub(super) warnings: Vec<Warning>,
    /// Number of the line being read, from 1.
    pub(super) line: usize,
    /// Bytes that were made by resolving and by substitution.
    expanded: usize,
}

impl<'p> Context<'p> {
    pub(super) fn new(base: &'p Url, options: &'p ParseOptions<'p>) -> Self {
        Self {
            base,
            limits: &options.limits,
            imported: options.imported,
            variables: Variables::default(),
            warnings: Vec::new(),
            line: 0,
            expanded: 0,
        }
    }

    pub(super) fn error(&self, kind: PlaylistErrorKind) -> PlaylistError {
        PlaylistError { line: self.line, kind }
    }

    pub(super) fn malformed(&self, tag: &'static str, reason: &'static str) -> PlaylistError {
        self.error(PlaylistErrorKind::Malformed { tag, reason: Cow::Borrowed(reason) })
    }

    pub(super) fn malformed_owned(&self, tag: &'static str, reason: String) -> PlaylistError {
        self.error(PlaylistErrorKind::Malformed { tag, reason: Cow::Owned(reason) })
    }

    pub(super) fn too_large(&self, what: &'static str, limit: usize) -> PlaylistError {
        self.error(PlaylistErrorKind::TooLarge { what, limit })
    }

    pub(super) fn warn(&mut self, text: &'static str) {
        self.push_warning(|| Cow::Borrowed(text));
    }

    pub(super) fn warn_with(&mut self, text: impl FnOnce() -> String) {
        self.push_warning(|| Cow::Owned(text()));
    }

    fn push_warning(&mut self, text: impl FnOnce() -> Cow<'static, str>) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(Warning { line: self.line, text: text() });
        }
    }

    /// Replaces `{$name}` by the values of the variables.
    pub(super) fn substitute<'t>(&mut self, text: &'t str) -> Result<Cow<'t, str>, PlaylistError> {
        variables::substitute(self, text)
    }

    /// Resolves a URI against the playlist's own URL.
    pub(super) fn resolve(&mut self, tag: &'static str, uri: &str) -> Result<Url, PlaylistError> {
        let url = self.base.join(uri).map_err(|_| self.malformed(tag, "the URI cannot be resolved"))?;
        self.count(url.as_str().len())?;
        Ok(url)
    }

    /// Counts bytes that are kept against [`Limits::expanded_bytes`].
    pub(super) fn count(&mut self, bytes: usize) -> Result<(), PlaylistError> {
        self.expanded = self.expanded.saturating_add(bytes);
        let limit = self.limits.expanded_bytes;
        if self.expanded > limit { Err(self.too_large("bytes of URIs and titles", limit)) } else { Ok(()) }
    }
}
