//! Ten seconds from the middle: a seek lands on the exact frame, by one range request.
//!
//! ```sh
//! cargo run --release --example seek -- https://example.com/song.mp3
//! ```

use std::error::Error;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1).ok_or("usage: seek URL_OR_PATH")?;
    let mut stream = kithara::open(&target).await?;
    let middle = stream.duration().ok_or("the length is not known")? / 2;
    let first = stream.seek(middle).await?;
    let mut frames = 0;
    while let Some(chunk) = stream.next_chunk().await? {
        frames += chunk.frames() as u64;
        if stream.spec().position_of(frames) >= Duration::from_secs(10) {
            break;
        }
    }
    println!("{frames} frames from frame {first} on");
    Ok(())
}
