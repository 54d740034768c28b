//! Plays once with the network and again without it, from the same cache folder.
//!
//! ```sh
//! cargo run --release --example offline -- https://example.com/music/master.m3u8
//! ```

use std::error::Error;

use kithara::Options;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1).ok_or("usage: offline URL")?;
    let options = Options::new().with_cache("kithara-cache")?.with_store_keys(true);
    for offline in [false, true] {
        let mut stream = options.clone().with_offline(offline).open(&target).await?;
        while stream.next_chunk().await?.is_some() {}
        println!("offline: {offline}, {:.1} s", stream.position().as_secs_f64());
    }
    Ok(())
}
