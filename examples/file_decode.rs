//! Decodes one audio file over HTTP: the bundled MP3 on a loopback origin, or the URL that is given.
//!
//! ```sh
//! cargo run --release --example file_decode [URL] [--wav FILE]
//! ```

use std::error::Error;
use std::time::Instant;

use kithara::assets::{AssetSettings, AssetStore};
use kithara::file::{File, FileOptions};
use kithara::net::{DefaultNet, Url};
use kithara_testkit::{Origin, process};

mod support;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = support::Arguments::parse()?;
    let mut origin = None;
    let url: Url = match arguments.source {
        Some(url) => url,
        None => origin.insert(Origin::start().await?).url("/file/vbr.mp3").parse()?,
    };

    // What is downloaded stays in the cache folder: a second run over the same folder needs no network.
    let folder = tempfile::tempdir()?;
    let assets = AssetStore::disk(folder.path(), AssetSettings::default())?;
    let mut wav = support::Wav::new(arguments.wav);

    let begun = Instant::now();
    let mut stream = File::open(url, FileOptions::new(DefaultNet::default(), assets)).await?;
    let bar = support::progress(stream.duration());
    let mut first_pcm = None;
    let mut frames = 0;
    while let Some(chunk) = stream.next_chunk().await? {
        first_pcm.get_or_insert_with(|| begun.elapsed());
        frames += chunk.frames() as u64;
        wav.write(&chunk)?;
        bar.set_position(chunk.time().as_secs());
    }
    bar.finish_and_clear();
    wav.finish()?;

    let wall = begun.elapsed();
    let audio = stream.spec().position_of(frames);
    println!("media          {} in {}", stream.details().codec, stream.details().container);
    println!("format         {}", stream.spec());
    println!("frames         {frames} ({:.3} s)", audio.as_secs_f64());
    println!("first PCM      {:.1} ms", first_pcm.unwrap_or_default().as_secs_f64() * 1e3);
    println!("speed          {:.0} x real time", audio.as_secs_f64() / wall.as_secs_f64());
    println!("peak RSS       {:.1} MiB", process::peak_rss().unwrap_or_default() as f64 / 1048576.0);
    println!("{:?}", stream.stats());
    Ok(())
}
