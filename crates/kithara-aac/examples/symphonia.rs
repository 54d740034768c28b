//! Decodes the AAC track of an MP4, Matroska or ADTS file whose packets Symphonia reads: `symphonia FILE`.

use std::fs::File;

use kithara_aac::{Config, Decoder};
use symphonia::core::codecs::CodecParameters;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: symphonia FILE")?;
    let source = MediaSourceStream::new(Box::new(File::open(path)?), Default::default());
    let mut format = symphonia::default::get_probe().probe(
        &Hint::new(),
        source,
        FormatOptions::default(),
        MetadataOptions::default(),
    )?;
    let track = format.default_track(TrackType::Audio).ok_or("the file has no audio track")?;
    let id = track.id;
    let Some(CodecParameters::Audio(params)) = &track.codec_params else {
        return Err("the track has no codec parameters".into());
    };
    let extra = params.extra_data.as_deref().ok_or("the track has no AudioSpecificConfig")?;
    let mut decoder = Decoder::new(Config::from_audio_specific_config(extra)?)?;

    let mut frames = 0;
    while let Some(packet) = format.next_packet()? {
        if packet.track_id == id {
            frames += decoder.decode(&packet.data)?.frames();
        }
    }
    println!("{frames} frames of {:?} at {:?} Hz", decoder.channels(), decoder.sample_rate());
    Ok(())
}
