//! The same without an async runtime: it stands behind the stream.
//!
//! ```sh
//! cargo run --release --example blocking -- https://example.com/song.mp3
//! ```

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1).ok_or("usage: blocking URL_OR_PATH")?;
    let mut stream = kithara::blocking::open(&target)?;
    let mut buffer = [0f32; 4_096];
    let mut samples = 0;
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        samples += count;
    }
    println!("{samples} samples of {}", stream.spec());
    Ok(())
}
