//! Decodes a file of ADTS or LOAS frames to interleaved 32-bit floats: `decode IN OUT`.
//!
//! Without arguments it decodes the bundled demo, and prints what it found.

use std::io::Write;

use kithara_aac::{AdtsFrames, Decoder, LoasFrames};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/he_v2_44100.aac");
    let bytes = std::fs::read(args.first().map_or(demo, String::as_str))?;
    let loas = bytes.first() == Some(&0x56);
    let packets: Vec<&[u8]> =
        if loas { LoasFrames::new(&bytes).collect() } else { AdtsFrames::new(&bytes).collect() };
    let mut decoder = if loas { Decoder::latm() } else { Decoder::adts() };

    let mut samples: Vec<u8> = Vec::new();
    let (mut frames, mut rate) = (0, 0);
    for packet in packets {
        let frame = match decoder.decode(packet) {
            Ok(frame) => frame,
            Err(error) if error.is_retryable() => {
                eprintln!("{error}");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(damage) = frame.damage() {
            eprintln!("{damage}");
        }
        (frames, rate) = (frames + frame.frames(), frame.sample_rate());
        for i in 0..frame.frames() {
            for plane in frame.planes() {
                samples.extend_from_slice(&plane[i].to_le_bytes());
            }
        }
    }
    println!("{frames} frames of {:?} at {rate} Hz", decoder.channels());
    if let Some(path) = args.get(1) {
        std::fs::File::create(path)?.write_all(&samples)?;
    }
    Ok(())
}
