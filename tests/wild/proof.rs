//! A presentation made in a test, and what is asked of each.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use kithara::hls::{HlsEvent, HlsOptions};
use kithara_testkit::{Origin, media};

use super::support::{hls_options, open_hls, read_all, read_frames};

/// Files and a media playlist.
#[derive(Clone)]
pub struct Presentation {
    pub name: &'static str,
    pub files: Vec<(String, Vec<u8>)>,
    playlist: String,
    /// Behind a seek samples may differ by this share of the energy: of decoders that make noise of their own (PNS, the
    /// noise of SBR) or come near their state only (Opus).
    pub noise: f32,
}

impl Presentation {
    pub fn new(name: &'static str) -> Self {
        let playlist =
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n".into();
        Self { name, files: Vec::new(), playlist, noise: 0.0 }
    }

    /// A line of the playlist.
    pub fn line(&mut self, line: &str) -> &mut Self {
        writeln!(self.playlist, "{line}").unwrap();
        self
    }

    pub fn file(&mut self, name: &str, bytes: Vec<u8>) -> &mut Self {
        self.files.push((name.into(), bytes));
        self
    }

    /// A segment in a file of its own.
    pub fn segment(&mut self, seconds: f64, name: &str, bytes: Vec<u8>) -> &mut Self {
        self.line(&format!("#EXTINF:{seconds:.6},\n{name}")).file(name, bytes)
    }

    pub fn path(&self) -> String {
        format!("/wild/{}/index.m3u8", self.name)
    }

    pub fn playlist(&self) -> String {
        format!("{}#EXT-X-ENDLIST\n", self.playlist)
    }

    pub fn serve(&self, origin: &Origin) -> String {
        for (name, bytes) in &self.files {
            origin.serve(&format!("/wild/{}/{name}", self.name), bytes.clone());
        }
        origin.serve(&self.path(), self.playlist().into_bytes());
        origin.url(&self.path())
    }

    /// Writes it out, with our PCM, for a comparison with ffmpeg.
    fn dump(&self, samples: &[f32], channels: u16) {
        let Some(folder) = std::env::var_os("KITHARA_WILD_DUMP") else { return };
        let kind = self.files.last().and_then(|(name, _)| name.rsplit('.').next()).unwrap_or_default();
        let folder = PathBuf::from(folder).join(format!("{}.{kind}", self.name));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in &self.files {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        std::fs::write(folder.join("index.m3u8"), self.playlist()).unwrap();
        let pcm: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        std::fs::write(folder.join(format!("kithara-{channels}.f32")), pcm).unwrap();
    }
}

/// What was heard, and what was told.
pub struct Heard {
    pub samples: Vec<f32>,
    pub channels: u16,
    pub events: Vec<HlsEvent>,
}

/// Plays it through, and then from places all over it: at a boundary of segments, around it, back and to the ends. Every
/// part must be what straight playback gave.
pub async fn play(presentation: &Presentation, origin: &Origin, options: HlsOptions) -> Heard {
    let name = presentation.name;
    let mut stream = open_hls(&presentation.serve(origin), options).await.unwrap();
    let mut receiver = stream.events();
    let samples = read_all!(stream);
    let spec = stream.spec();
    presentation.dump(&samples, spec.channels);
    let channels = usize::from(spec.channels);
    let total = samples.len() / channels;
    let length = spec.position_of(total as u64).as_secs_f64();
    for part in [0.7, 0.0, 0.349, 0.33, 0.34, 0.97, 0.0008, 0.66, 0.5] {
        let to = Duration::from_secs_f64(length * part);
        let frame = stream.seek(to).await.unwrap() as usize;
        assert_eq!(frame as u64, spec.frame_at(to), "{name}: a seek to {to:?}");
        let wanted = 6_000.min(total - frame);
        let heard = read_frames!(stream, wanted);
        assert_eq!(heard.len(), wanted * channels, "{name}: too little behind a seek to {to:?}");
        let straight = &samples[frame * channels..][..heard.len()];
        if presentation.noise > 0.0 {
            let energy =
                |samples: &mut dyn Iterator<Item = f32>| samples.map(|sample| sample * sample).sum::<f32>();
            let signal = energy(&mut straight.iter().copied());
            let noise = energy(&mut heard.iter().zip(straight).map(|(a, b)| a - b));
            assert!(
                noise <= presentation.noise * signal,
                "{name}: {noise} of {signal} behind a seek to {to:?}"
            );
            continue;
        }
        let off = heard.iter().zip(straight).position(|(a, b)| (a - b).abs() > 1e-4);
        assert_eq!(off.map(|at| at / channels), None, "{name}: sample that differs behind a seek to {to:?}");
    }
    let mut events = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        events.push(event);
    }
    Heard { samples, channels: spec.channels, events }
}

/// The PCM is the reference of `fixture`, and so behind every seek.
pub async fn prove(presentation: &Presentation, fixture: &str) -> Heard {
    let origin = Origin::start().await.unwrap();
    let heard = play(presentation, &origin, hls_options()).await;
    let fixture = media::find(fixture).unwrap();
    let frames = heard.samples.len() as u64 / u64::from(heard.channels);
    assert_eq!(frames, fixture.frames, "{}: frames", presentation.name);
    if let Err(mismatch) = fixture.reference.check(&heard.samples) {
        panic!("{}: {mismatch}", presentation.name);
    }
    heard
}

/// Playing it ends with an error, whose text is given.
pub async fn refused(presentation: &Presentation) -> String {
    let origin = Origin::start().await.unwrap();
    refused_at(&presentation.serve(&origin)).await
}

/// The same for a URL; nothing may have been heard before.
pub async fn refused_at(url: &str) -> String {
    let error = match open_hls(url, hls_options()).await {
        Err(error) => error,
        Ok(mut stream) => {
            let first = stream.next_chunk().await;
            first.expect_err("something was heard")
        }
    };
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        write!(text, ": {error}").unwrap();
        source = error.source();
    }
    text
}
