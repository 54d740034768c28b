//! Processors: AES in CBC mode, where a block needs its key and the encrypted block before it, and those of an application.

use std::fmt;
use std::sync::Arc;

use aes::cipher::{
    Array, Block, BlockCipherDecrypt, BlockModeDecrypt, BlockSizeUser, InnerIvInit, Key, KeyInit, KeySizeUser,
};
use cbc::Decryptor;
use sha2::{Digest, Sha256};

/// Transforms a resource between its storage and its reader.
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
    /// As the inner one, for input whose end breaks the rules: a last unit without padding is kept whole, and bytes behind
    /// the last whole unit are dropped. Whether the result is right is left to its reader. See [`lenient`](Self::lenient).
    Lenient(Box<Processor>),
    /// An application's own. Two are the same if they are one allocation.
    Custom(Arc<dyn ChunkProcessor>),
}

impl Processor {
    /// An identity of the processor that does not reveal the key.
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
            Self::Lenient(inner) => {
                hasher.update(b"lenient");
                hasher.update(inner.id().0);
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

    /// The same, for input that may lack its padding or have bytes behind it, as some packagers write it.
    #[must_use]
    pub fn lenient(self) -> Self {
        match self {
            Self::Lenient(_) => self,
            strict => Self::Lenient(Box::new(strict)),
        }
    }

    /// Processes a small body that is in memory as a whole (an encrypted init section).
    ///
    /// # Errors
    /// [`ProcessError`]: its length or its padding is wrong.
    pub fn process_all(&self, input: &[u8]) -> Result<Vec<u8>, ProcessError> {
        let chunks = self.clone().into_chunks();
        let unit = chunks.unit().max(1);
        let whole = input.len() - if chunks.drops_rest() { input.len() % unit } else { 0 };
        let input = &input[..whole];
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
            Self::Aes128Cbc { key, iv } => Arc::new(Cbc::<::aes::Aes128>::new(&key.into(), iv)),
            Self::Aes256Cbc { key, iv } => Arc::new(Cbc::<::aes::Aes256>::new(&key.into(), iv)),
            Self::Lenient(inner) => Arc::new(Lenient(inner.into_chunks())),
            Self::Custom(custom) => custom,
        }
    }
}

impl fmt::Debug for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aes128Cbc { .. } => f.write_str("Aes128Cbc"),
            Self::Aes256Cbc { .. } => f.write_str("Aes256Cbc"),
            Self::Lenient(inner) => write!(f, "Lenient({inner:?})"),
            Self::Custom(custom) => write!(f, "Custom({custom:?})"),
        }
    }
}

/// A processor without rules for the end of its input.
#[derive(Debug)]
struct Lenient(Arc<dyn ChunkProcessor>);

impl ChunkProcessor for Lenient {
    fn unit(&self) -> usize {
        self.0.unit()
    }

    fn lookback(&self) -> usize {
        self.0.lookback()
    }

    fn trims_end(&self) -> bool {
        self.0.trims_end()
    }

    fn drops_rest(&self) -> bool {
        true
    }

    fn process(&self, offset: u64, before: &[u8], data: &mut [u8]) -> Result<(), ProcessError> {
        self.0.process(offset, before, data)
    }

    fn last_unit(&self, last: &[u8]) -> Result<usize, ProcessError> {
        match self.0.last_unit(last) {
            Err(ProcessError::Padding) => Ok(last.len()),
            other => other,
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

    /// Whether bytes behind the last whole unit are dropped. Default `false`: they are an error.
    fn drops_rest(&self) -> bool {
        false
    }

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

const BLOCK: usize = 16;

pub(super) struct Cbc<C> {
    cipher: C,
    iv: [u8; BLOCK],
}

impl<C: KeyInit + KeySizeUser> Cbc<C> {
    pub(super) fn new(key: &Key<C>, iv: [u8; BLOCK]) -> Self {
        Self { cipher: C::new(key), iv }
    }
}

impl<C> fmt::Debug for Cbc<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cbc")
    }
}

impl<C> ChunkProcessor for Cbc<C>
where
    C: BlockCipherDecrypt
        + BlockSizeUser<BlockSize = aes::cipher::consts::U16>
        + Clone
        + Send
        + Sync
        + 'static,
{
    fn unit(&self) -> usize {
        BLOCK
    }

    fn lookback(&self) -> usize {
        BLOCK
    }

    fn trims_end(&self) -> bool {
        true
    }

    fn process(&self, offset: u64, before: &[u8], data: &mut [u8]) -> Result<(), ProcessError> {
        let length = ProcessError::Length { len: offset.saturating_add(data.len() as u64), unit: BLOCK };
        let iv: [u8; BLOCK] =
            if offset == 0 { self.iv } else { before.try_into().map_err(|_| length.clone())? };
        let (blocks, rest) = Array::slice_as_chunks_mut(data);
        if !rest.is_empty() {
            return Err(length);
        }
        let blocks: &mut [Block<C>] = blocks;
        Decryptor::inner_iv_init(self.cipher.clone(), &iv.into()).decrypt_blocks(blocks);
        Ok(())
    }

    fn last_unit(&self, last: &[u8]) -> Result<usize, ProcessError> {
        let pad = usize::from(*last.last().ok_or(ProcessError::Padding)?);
        let content = last.len().checked_sub(pad).ok_or(ProcessError::Padding)?;
        let is_padding =
            (1..=BLOCK).contains(&pad) && last[content..].iter().all(|byte| usize::from(*byte) == pad);
        if is_padding { Ok(content) } else { Err(ProcessError::Padding) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    const PLAIN: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                         30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    const IV: &str = "000102030405060708090a0b0c0d0e0f";

    /// The vectors of NIST SP 800-38A, sections F.2.2 and F.2.6.
    #[test]
    fn the_published_vectors_decrypt_from_any_block() {
        let aes128 = Cbc::<aes::Aes128>::new(&hex("2b7e151628aed2a6abf7158809cf4f3c").into(), hex(IV));
        let aes256 = Cbc::<aes::Aes256>::new(
            &hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").into(),
            hex(IV),
        );
        let cases: [(&dyn ChunkProcessor, &str); 2] = [
            (
                &aes128,
                "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2\
                 73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
            ),
            (
                &aes256,
                "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d\
                 39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
            ),
        ];
        let plain: [u8; 64] = hex(PLAIN);
        for (cbc, encrypted) in cases {
            let encrypted: [u8; 64] = hex(encrypted);
            for start in (0..64).step_by(16) {
                let mut data = encrypted[start..].to_vec();
                cbc.process(start as u64, &encrypted[start.saturating_sub(16)..start], &mut data).unwrap();
                assert_eq!(data, plain[start..]);
            }
        }
    }

    #[test]
    fn only_pkcs7_is_padding() {
        let cbc = Cbc::<aes::Aes128>::new(&[0; 16].into(), [0; 16]);
        let unit = |pad: u8| {
            let mut unit = [0xaa; 16];
            unit[16 - usize::from(pad.min(16))..].fill(pad);
            unit
        };
        for pad in 1..=16 {
            assert_eq!(cbc.last_unit(&unit(pad)), Ok(16 - usize::from(pad)));
        }
        let mut broken = unit(4);
        broken[12] = 9;
        for bad in [unit(0), unit(17), unit(255), broken] {
            assert_eq!(cbc.last_unit(&bad), Err(ProcessError::Padding));
        }
        assert_eq!(cbc.last_unit(&[]), Err(ProcessError::Padding));
    }

    #[test]
    fn half_blocks_are_refused() {
        let cbc = Cbc::<aes::Aes128>::new(&[0; 16].into(), [0; 16]);
        assert!(cbc.process(0, &[], &mut [0; 17]).is_err());
        assert!(cbc.process(16, &[0; 15], &mut [0; 16]).is_err());
    }
}
