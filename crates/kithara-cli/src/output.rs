//! Where PCM goes: WAV, raw floats, raw 16-bit integers, or nowhere.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use kithara::decode::AudioSpec;

use crate::args::Format;

/// Size fields of a WAV header whose length cannot be written afterwards: "as much as there is".
const UNKNOWN: u32 = u32::MAX;

enum Target {
    File {
        file: BufWriter<File>,
        /// Not a pipe or a device, which cannot be wound back.
        is_regular: bool,
    },
    Stdout(BufWriter<io::Stdout>),
    Nowhere,
}

/// A sink of interleaved `f32` samples.
pub(crate) struct Output {
    target: Target,
    format: Format,
    spec: Option<AudioSpec>,
    data_bytes: u64,
    scratch: Vec<u8>,
}

impl Output {
    /// Opens `path` (`-` is standard output); without one the samples are dropped. What is there is replaced by the first
    /// samples, not before: a run that fails to open its source destroys nothing.
    pub(crate) fn open(path: Option<&Path>, format: Format) -> io::Result<Self> {
        let target = match path {
            None => Target::Nowhere,
            Some(path) if path.as_os_str() == "-" => Target::Stdout(BufWriter::new(io::stdout())),
            Some(path) => {
                let file = File::options().write(true).create(true).truncate(false).open(path)?;
                let is_regular = file.metadata()?.is_file();
                Target::File { file: BufWriter::new(file), is_regular }
            }
        };
        Ok(Self { target, format, spec: None, data_bytes: 0, scratch: Vec::new() })
    }

    /// Writes interleaved samples. The first call fixes rate and channels.
    pub(crate) fn write(&mut self, spec: AudioSpec, samples: &[f32]) -> io::Result<()> {
        if matches!(self.target, Target::Nowhere) {
            return Ok(());
        }
        self.begin(spec)?;
        self.scratch.clear();
        match self.format {
            Format::F32le => self.scratch.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
            Format::Wav | Format::S16le => {
                self.scratch.extend(samples.iter().flat_map(|sample| to_i16(*sample).to_le_bytes()));
            }
        }
        self.data_bytes += self.scratch.len() as u64;
        let scratch = std::mem::take(&mut self.scratch);
        let written = self.raw(&scratch);
        self.scratch = scratch;
        written
    }

    /// Flushes, and completes the header of a WAV file.
    pub(crate) fn finish(&mut self, spec: AudioSpec) -> io::Result<()> {
        if matches!(self.target, Target::Nowhere) {
            return Ok(());
        }
        self.begin(spec)?;
        let data = u32::try_from(self.data_bytes).unwrap_or(UNKNOWN);
        match &mut self.target {
            Target::File { file, is_regular } => {
                file.flush()?;
                if self.format == Format::Wav && *is_regular {
                    file.seek(SeekFrom::Start(0))?;
                    file.write_all(&wav_header(spec, data))?;
                    file.flush()?;
                }
                Ok(())
            }
            Target::Stdout(out) => out.flush(),
            Target::Nowhere => Ok(()),
        }
    }

    /// Completes what was written so far, as far as that is still possible: the run has ended too early.
    pub(crate) fn cut_short(&mut self) {
        if let Some(spec) = self.spec {
            let _ = self.finish(spec);
        }
    }

    fn begin(&mut self, spec: AudioSpec) -> io::Result<()> {
        if self.spec.is_some() {
            return Ok(());
        }
        if let Target::File { file, is_regular: true } = &self.target {
            file.get_ref().set_len(0)?;
        }
        self.spec = Some(spec);
        match self.format {
            Format::Wav => self.raw(&wav_header(spec, UNKNOWN)),
            Format::F32le | Format::S16le => Ok(()),
        }
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.target {
            Target::File { file, .. } => file.write_all(bytes),
            Target::Stdout(out) => out.write_all(bytes),
            Target::Nowhere => Ok(()),
        }
    }
}

/// Nearest 16-bit value, clipped: exact for audio that had 16 bits.
fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16
}

/// The header of a WAV file; of the extensible kind, which says where channels belong, for more than two of them.
fn wav_header(spec: AudioSpec, data: u32) -> Vec<u8> {
    /// `KSDATAFORMAT_SUBTYPE_PCM`.
    const PCM_SUBTYPE: [u8; 16] = *b"\x01\0\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71";
    let is_extensible = spec.channels > 2;
    let (tag, format_len) = if is_extensible { (0xFFFE_u16, 40) } else { (1, 16) };
    let block = spec.channels.saturating_mul(2);
    let mut header = b"RIFF".to_vec();
    header.extend(data.saturating_add(20 + format_len).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(format_len.to_le_bytes());
    header.extend(tag.to_le_bytes());
    header.extend(spec.channels.to_le_bytes());
    header.extend(spec.sample_rate.to_le_bytes());
    header.extend(spec.sample_rate.saturating_mul(u32::from(block)).to_le_bytes());
    header.extend(block.to_le_bytes());
    header.extend(16u16.to_le_bytes());
    if is_extensible {
        header.extend(22u16.to_le_bytes());
        header.extend(16u16.to_le_bytes());
        header.extend(spec.layout.mask().to_le_bytes());
        header.extend(PCM_SUBTYPE);
    }
    header.extend(b"data");
    header.extend(data.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bit_values_survive_the_way_through_floats() {
        for value in i16::MIN..=i16::MAX {
            assert_eq!(to_i16(f32::from(value) / 32_768.0), value);
        }
        assert_eq!(to_i16(2.0), i16::MAX);
        assert_eq!(to_i16(f32::NAN), 0);
    }

    #[test]
    fn a_wav_file_states_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.wav");
        let mut output = Output::open(Some(&path), Format::Wav).unwrap();
        output.write(AudioSpec::new(8000, 2), &[0.0, 0.5, -0.5, 1.0]).unwrap();
        output.finish(AudioSpec::new(8000, 2)).unwrap();
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes.len(), 44 + 8);
        assert_eq!(u32::from_le_bytes(bytes[40..44].try_into().unwrap()), 8);
        assert_eq!(u32::from_le_bytes(bytes[4..8].try_into().unwrap()), 44);
    }

    #[test]
    fn header_of_six_channels_has_their_mask() {
        let header = wav_header(AudioSpec::new(48_000, 6), 1200);
        assert_eq!(header.len(), 68);
        assert_eq!(u32::from_le_bytes(header[4..8].try_into().unwrap()), 60 + 1200);
        assert_eq!(header[20..24], [0xFE, 0xFF, 6, 0]);
        assert_eq!(u32::from_le_bytes(header[40..44].try_into().unwrap()), 0x3F);
        assert_eq!(header[60..64], *b"data");
    }
}
