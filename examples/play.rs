//! Opens whatever a URL or a path names and reads its PCM: HLS, a file, a station, a list of stations.
//!
//! ```sh
//! cargo run --release --example play -- https://example.com/music/master.m3u8
//! ```

use std::error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1).ok_or("usage: play URL_OR_PATH")?;
    let mut stream = kithara::open(&target).await?;
    println!("{:?} in {:?}, {}, {:?}", stream.codec(), stream.container(), stream.spec(), stream.duration());

    let mut peak = 0f32;
    while let Some(chunk) = stream.next_chunk().await? {
        // Interleaved f32; give it to a sound device, a model, a file.
        peak = chunk.samples().iter().fold(peak, |peak, sample| peak.max(sample.abs()));
    }
    println!("{:.1} s, peak {peak:.3}", stream.position().as_secs_f64());
    Ok(())
}
