//! An output into a WAV file, as fast as the tracks decode.

use std::io::{self, Seek, SeekFrom, Write};

use crate::Renderer;

/// Frames that are taken at a time.
const BLOCK: usize = 4_096;
/// Bytes before the samples.
const HEADER: u32 = 58;

/// Writes everything up to the end of the queue to `file` as 32-bit float WAV, as fast as it comes, without ramps and
/// pauses; gives the number of frames. Sizes in the header stay at their maximum where the sound exceeds 4 GiB.
///
/// Dropping the future leaves a file whose header states no samples.
///
/// # Errors
/// Those of `file`.
pub async fn write_wav(mut renderer: Renderer, mut file: impl Write + Seek) -> io::Result<u64> {
    let spec = renderer.spec();
    let channels = usize::from(spec.channels);
    file.write_all(&header(spec.sample_rate, spec.channels, 0))?;
    let mut samples = vec![0.0; BLOCK * channels];
    let mut bytes = Vec::with_capacity(BLOCK * channels * 4);
    let mut total = 0u64;
    while renderer.ready().await {
        let frames = renderer.take(&mut samples);
        bytes.clear();
        bytes.extend(samples[..frames * channels].iter().flat_map(|sample| sample.to_le_bytes()));
        file.write_all(&bytes)?;
        total += frames as u64;
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header(spec.sample_rate, spec.channels, total))?;
    file.flush()?;
    Ok(total)
}

/// RIFF, `fmt ` with the float tag, `fact`, and the head of `data`.
fn header(rate: u32, channels: u16, frames: u64) -> Vec<u8> {
    let frame = u32::from(channels) * 4;
    let data = u32::try_from(frames.saturating_mul(u64::from(frame))).unwrap_or(u32::MAX - HEADER);
    let mut out = Vec::with_capacity(HEADER as usize);
    let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
    put(b"RIFF");
    put(&(HEADER - 8).saturating_add(data).to_le_bytes());
    put(b"WAVEfmt ");
    put(&18u32.to_le_bytes());
    put(&3u16.to_le_bytes());
    put(&channels.to_le_bytes());
    put(&rate.to_le_bytes());
    put(&rate.saturating_mul(frame).to_le_bytes());
    put(&(frame as u16).to_le_bytes());
    put(&32u16.to_le_bytes());
    put(&0u16.to_le_bytes());
    put(b"fact");
    put(&4u32.to_le_bytes());
    put(&u32::try_from(frames).unwrap_or(u32::MAX).to_le_bytes());
    put(b"data");
    put(&data.to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_states_its_own_length() {
        let header = header(48_000, 2, 10);
        assert_eq!(header.len(), HEADER as usize);
        assert_eq!(header[4..8], (50u32 + 80).to_le_bytes());
        assert_eq!(header[54..], 80u32.to_le_bytes());
    }
}
