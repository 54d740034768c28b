//! Prints what happens to a stream while it is read: stalls, titles of stations, switches of HLS variants, gaps.
//!
//! ```sh
//! cargo run --release --example events -- https://example.com/station
//! ```

use std::error::Error;

use kithara::StreamEvent;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1).ok_or("usage: events URL_OR_PATH")?;
    let mut stream = kithara::open(&target).await?;
    let mut events = stream.events();
    while stream.next_chunk().await?.is_some() {
        while let Ok(event) = events.try_recv() {
            match event {
                StreamEvent::Title { title, .. } => println!("now: {}", title.unwrap_or_default()),
                StreamEvent::Stalled => println!("waiting for the network"),
                StreamEvent::Resumed { waited } => println!("goes on after {waited:?}"),
                StreamEvent::VariantSwitched { at, from, to } => println!("variant {from} → {to} at {at:?}"),
                StreamEvent::Gap { start, duration } => println!("silence at {start:?} for {duration:?}"),
                _ => {}
            }
        }
    }
    Ok(())
}
