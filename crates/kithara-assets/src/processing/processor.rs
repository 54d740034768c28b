//! What a processor is.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::aes;

/// What is done to a resource between its storage and its reader.
///
/// `Debug` never shows a key.
#[derive(Clone)]
#[non_exhaustive]
pub enum Processor {
    /// AES-128 in CBC mode with PKCS#7 padding: `METHOD=AES-128` of HLS (RFC 8216 section 4.3.2.4).
    Aes128Cbc {
        /// The key.
        key: [u8; 16],
        /// The initialisation vector: the `IV` attribute, or the media sequence number as a big-endian integer.
        iv: [u8; 16],
    },
    /// AES-256 in CBC mode with PKCS#7 padding.
    Aes256Cbc {
        /// The key.
        key: [u8; 32],
        /// The initialisation vector.
        iv: [u8; 16],
    },
    /// An application's own. Two are the same if they are one allocation.
    Custom(Arc<dyn ChunkProcessor>),
}

impl Processor {
    /// What tells two processors apart, without being the key.
    pub(crate) fn id(&self) -> ProcessorId {
        let mut hasher = Sha256::new();
        match self {
            Self::Aes128Cbc { key, iv } => {
                hasher.update(b"aes-128-cbc");
                hasher.update(key);
                hasher.update(iv);
            }
            Self::Aes256Cbc { key, iv } => {
                hasher.update(b"aes-256-cbc");
                hasher.update(key);
                hasher.update(iv);
            }
            Self::Custom(custom) => {
                hasher.update(b"custom");
                hasher.update((Arc::as_ptr(custom).cast::<()>() as usize).to_le_bytes());
            }
        }
        ProcessorId(hasher.finalize().into())
    }

    /// The processor of `METHOD=AES-128` or `METHOD=AES-256`, by the length of the key; `None` for another length.
    #[must_use]
    pub fn aes_cbc(key: &[u8], iv: [u8; 16]) -> Option<Self> {
        match key.len() {
            16 => key.try_into().ok().map(|key| Self::Aes128Cbc { key, iv }),
            32 => key.try_into().ok().map(|key| Self::Aes256Cbc { key, iv }),
            _ => None,
        }
    }

    /// Processes a small body that is in memory as a whole (an encrypted init section).
    ///
    /// # Errors
    /// [`ProcessError`]: its length or its padding is wrong.
    pub fn process_all(&self, input: &[u8]) -> Result<Vec<u8>, ProcessError> {
        let chunks = self.clone().into_chunks();
        let unit = chunks.unit().max(1);
        if input.is_empty() || !input.len().is_multiple_of(unit) {
            return Err(ProcessError::Length { len: input.len() as u64, unit });
        }
        let mut output = input.to_vec();
        chunks.process(0, &[], &mut output)?;
        if chunks.trims_end() {
            let last = output.len() - unit;
            let kept = chunks.last_unit(&output[last..])?;
            output.truncate(last + kept.min(unit));
        }
        Ok(output)
    }

    pub(super) fn into_chunks(self) -> Arc<dyn ChunkProcessor> {
        match self {
            Self::Aes128Cbc { key, iv } => Arc::new(aes::Cbc::<::aes::Aes128>::new(&key.into(), iv)),
            Self::Aes256Cbc { key, iv } => Arc::new(aes::Cbc::<::aes::Aes256>::new(&key.into(), iv)),
            Self::Custom(custom) => custom,
        }
    }
}

impl fmt::Debug for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aes128Cbc { .. } => f.write_str("Aes128Cbc"),
            Self::Aes256Cbc { .. } => f.write_str("Aes256Cbc"),
            Self::Custom(custom) => write!(f, "Custom({custom:?})"),
        }
    }
}

/// Identity of a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ProcessorId([u8; 32]);

/// A transformation that works on units of a fixed size, each of which depends on itself and on the bytes just before it:
/// so any part of the result can be made without the rest. Output has the offsets of the input; only the end may be cut.
pub trait ChunkProcessor: fmt::Debug + Send + Sync + 'static {
    /// Bytes of a unit, at least 1. The input is a whole number of units.
    fn unit(&self) -> usize;

    /// Bytes of *input* just before a unit that its processing needs. Fewer exist at the start only.
    fn lookback(&self) -> usize;

    /// Whether the last unit says how long the result is: then a unit is given out only when it is known not to be the last.
    fn trims_end(&self) -> bool;

    /// Processes whole units in place. `data` begins at `offset`; `before` is the input just before it, of
    /// [`lookback`](Self::lookback) bytes or all there are.
    ///
    /// # Errors
    /// Whatever is wrong with the input.
    fn process(&self, offset: u64, before: &[u8], data: &mut [u8]) -> Result<(), ProcessError>;

    /// How many bytes of the last unit, already processed, belong to the result.
    ///
    /// # Errors
    /// Whatever is wrong with it (the padding).
    fn last_unit(&self, last: &[u8]) -> Result<usize, ProcessError>;
}

/// Why a resource cannot be processed. Reaches the reader as the source of a `StorageError::Source`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The resource is not a whole, positive number of units.
    #[error("{len} bytes are not a positive multiple of {unit}")]
    Length {
        /// Its length in bytes.
        len: u64,
        /// Bytes of a unit.
        unit: usize,
    },
    /// The padding is not PKCS#7: the key or the vector is wrong, or the resource is damaged.
    #[error("bad padding: wrong key or vector, or damaged data")]
    Padding,
    /// A processed handle was written to: write to `ProcessedResource::raw`.
    #[error("a processed resource cannot be written to")]
    ReadOnly,
    /// From a processor of the application.
    #[error("{0}")]
    Other(String),
}
