//! A user interface beside a stream: a handle shows its state and moves it, from another task or thread.
//!
//! ```sh
//! cargo run --release --example gui_handle -- song.flac
//! ```

use std::error::Error;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1).ok_or("usage: gui_handle URL_OR_PATH")?;
    let mut stream = kithara::open(&target).await?;
    let handle = stream.handle();
    let interface = tokio::spawn(async move {
        handle.seek(Duration::from_secs(30));
        let mut state = handle.state();
        while state.changed().await.is_ok() {
            let state = state.borrow_and_update().clone();
            println!("{:?} of {:?}, stalled: {}", state.position, state.duration, state.stalled);
        }
    });
    while stream.next_chunk().await?.is_some() {}
    drop(stream);
    interface.await?;
    Ok(())
}
