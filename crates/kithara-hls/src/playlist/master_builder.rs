//! Collects the tags of a multivariant playlist.

use super::attributes::Attributes;
use super::codecs::Codecs;
use super::context::Context;
use super::error::PlaylistError;
use super::key;
use super::master::{MasterPlaylist, Rendition, Resolution, VariantStream};
use super::parser::Common;
use super::tags::{Tag, TagInfo};

#[derive(Debug, Default)]
pub(super) struct MasterBuilder {
    playlist: MasterPlaylist,
    /// A variant whose URI is still to come.
    pending: Option<VariantStream>,
    /// `EXT-X-MEDIA` and `EXT-X-SESSION-KEY` tags so far.
    renditions: usize,
    variants: usize,
}

impl MasterBuilder {
    pub(super) fn tag(
        &mut self,
        cx: &mut Context<'_>,
        info: &'static TagInfo,
        value: &str,
    ) -> Result<(), PlaylistError> {
        match info.tag {
            Tag::StreamInf => self.stream_inf(cx, value),
            Tag::Rendition => self.rendition(cx, value),
            Tag::SessionKey => self.session_key(cx, value),
            _ => Ok(()),
        }
    }

    fn stream_inf(&mut self, cx: &mut Context<'_>, value: &str) -> Result<(), PlaylistError> {
        const TAG: &str = "EXT-X-STREAM-INF";
        self.variants += 1;
        if self.variants > cx.limits.variants {
            return Err(cx.too_large("variants", cx.limits.variants));
        }
        if self.pending.is_some() {
            cx.warn("EXT-X-STREAM-INF without a URI before this line is ignored");
        }
        let attributes = Attributes::parse(cx, TAG, value)?;
        let bandwidth = attributes.integer(cx, "BANDWIDTH")?;
        if bandwidth.is_none() {
            cx.warn("EXT-X-STREAM-INF without BANDWIDTH");
        }
        let codecs = attributes.string(cx, "CODECS")?;
        self.pending = Some(VariantStream {
            uri: cx.base.clone(),
            bandwidth: bandwidth.unwrap_or(0),
            average_bandwidth: attributes.integer(cx, "AVERAGE-BANDWIDTH")?,
            codecs: codecs.as_deref().map(Codecs::parse).unwrap_or_default(),
            resolution: resolution(cx, &attributes),
            has_frame_rate: attributes.raw("FRAME-RATE").is_some(),
            score: attributes
                .raw("SCORE")
                .and_then(|score| score.parse().ok())
                .filter(|score: &f64| score.is_finite()),
            audio_group: attributes.string(cx, "AUDIO")?,
            video_group: attributes.string(cx, "VIDEO")?,
            stable_id: attributes.string(cx, "STABLE-VARIANT-ID")?,
            pathway_id: attributes.string(cx, "PATHWAY-ID")?,
            name: attributes.string(cx, "NAME")?,
            line: cx.line,
        });
        Ok(())
    }

    fn rendition(&mut self, cx: &mut Context<'_>, value: &str) -> Result<(), PlaylistError> {
        const TAG: &str = "EXT-X-MEDIA";
        self.count_rendition(cx)?;
        let attributes = Attributes::parse(cx, TAG, value)?;
        if attributes.raw("TYPE") != Some("AUDIO") {
            if attributes.raw("TYPE").is_none() {
                cx.warn("EXT-X-MEDIA without TYPE is ignored");
            }
            return Ok(());
        }
        let Some(group_id) = attributes.string(cx, "GROUP-ID")? else {
            cx.warn("EXT-X-MEDIA without GROUP-ID is ignored");
            return Ok(());
        };
        let name = attributes.string(cx, "NAME")?;
        if name.is_none() {
            cx.warn("EXT-X-MEDIA without NAME");
        }
        let is_default = attributes.yes("DEFAULT");
        let characteristics = attributes.string(cx, "CHARACTERISTICS")?.unwrap_or_default();
        let channels = attributes.string(cx, "CHANNELS")?;
        self.playlist.media.push(Rendition {
            group_id,
            name: name.unwrap_or_default(),
            language: attributes.string(cx, "LANGUAGE")?,
            assoc_language: attributes.string(cx, "ASSOC-LANGUAGE")?,
            uri: attributes.url(cx, "URI")?,
            is_default,
            autoselect: is_default || attributes.yes("AUTOSELECT"),
            characteristics: characteristics
                .split(',')
                .map(|id| id.trim().to_owned())
                .filter(|id| !id.is_empty())
                .collect(),
            channels: channels.and_then(|channels| channels.split('/').next()?.trim().parse().ok()),
            stable_id: attributes.string(cx, "STABLE-RENDITION-ID")?,
            line: cx.line,
        });
        Ok(())
    }

    fn session_key(&mut self, cx: &mut Context<'_>, value: &str) -> Result<(), PlaylistError> {
        self.count_rendition(cx)?;
        match key::parse(cx, "EXT-X-SESSION-KEY", value)? {
            Some(key) => self.playlist.session_keys.push(key),
            None => cx.warn("EXT-X-SESSION-KEY with METHOD=NONE is ignored"),
        }
        Ok(())
    }

    fn count_rendition(&mut self, cx: &Context<'_>) -> Result<(), PlaylistError> {
        self.renditions += 1;
        let limit = cx.limits.renditions;
        if self.renditions > limit { Err(cx.too_large("renditions and session keys", limit)) } else { Ok(()) }
    }

    pub(super) fn uri(&mut self, cx: &mut Context<'_>, text: &str) -> Result<(), PlaylistError> {
        let Some(mut variant) = self.pending.take() else {
            cx.warn("a URI without EXT-X-STREAM-INF is ignored");
            return Ok(());
        };
        let text = cx.substitute(text)?;
        variant.uri = cx.resolve("EXT-X-STREAM-INF", &text)?;
        self.playlist.variants.push(variant);
        Ok(())
    }

    pub(super) fn finish(self, mut cx: Context<'_>, common: Common) -> MasterPlaylist {
        let mut playlist = self.playlist;
        if self.pending.is_some() {
            cx.warn("the last EXT-X-STREAM-INF has no URI and is ignored: the playlist may be cut short");
        }
        for variant in &mut playlist.variants {
            let group = variant.audio_group.as_deref();
            if group.is_some_and(|group| !playlist.media.iter().any(|rendition| rendition.group_id == group))
            {
                cx.line = variant.line;
                cx.warn("EXT-X-STREAM-INF names an AUDIO group that does not exist");
                variant.audio_group = None;
            }
        }
        MasterPlaylist {
            independent_segments: common.independent_segments,
            start: common.start,
            version: common.version,
            variables: cx.variables,
            warnings: cx.warnings,
            ..playlist
        }
    }
}

fn resolution(cx: &mut Context<'_>, attributes: &Attributes<'_>) -> Option<Resolution> {
    let text = attributes.raw("RESOLUTION")?;
    let parsed = text.split_once(['x', 'X']).and_then(|(width, height)| {
        Some(Resolution { width: width.trim().parse().ok()?, height: height.trim().parse().ok()? })
    });
    if parsed.is_none() {
        cx.warn("RESOLUTION is not two integers");
    }
    parsed
}
