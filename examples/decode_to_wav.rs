//! Decodes a URL or a path to a WAV file of 48 kHz stereo.
//!
//! ```sh
//! cargo run --release --example decode_to_wav -- https://example.com/song.flac song.wav
//! ```

use std::error::Error;

use hound::{SampleFormat, WavSpec, WavWriter};
use kithara::Options;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(target), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: decode_to_wav URL_OR_PATH FILE".into());
    };
    let mut stream = Options::new().with_sample_rate(48_000).with_channels(2).open(&target).await?;
    let spec =
        WavSpec { channels: 2, sample_rate: 48_000, bits_per_sample: 32, sample_format: SampleFormat::Float };
    let mut wav = WavWriter::create(path, spec)?;
    while let Some(chunk) = stream.next_chunk().await? {
        chunk.samples().iter().try_for_each(|sample| wav.write_sample(*sample))?;
    }
    wav.finalize()?;
    Ok(())
}
