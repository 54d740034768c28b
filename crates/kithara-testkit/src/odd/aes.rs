//! Segments under AES-128 and AES-256, as `METHOD` of `EXT-X-KEY` names them.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeEncrypt, KeyIvInit};

/// Encrypts in CBC mode with PKCS#7 padding; a key of 32 bytes makes it AES-256.
///
/// # Panics
/// The key has neither 16 nor 32 bytes.
pub fn encrypt(key: &[u8], iv: [u8; 16], data: &[u8]) -> Vec<u8> {
    if let Ok(key) = <[u8; 16]>::try_from(key) {
        cbc::Encryptor::<aes::Aes128>::new(&key.into(), &iv.into()).encrypt_padded_vec::<Pkcs7>(data)
    } else if let Ok(key) = <[u8; 32]>::try_from(key) {
        cbc::Encryptor::<aes::Aes256>::new(&key.into(), &iv.into()).encrypt_padded_vec::<Pkcs7>(data)
    } else {
        panic!("a key of {} bytes", key.len())
    }
}

/// The initialisation vector of a segment whose key has none: its media sequence number.
pub fn iv_of(media_sequence: u64) -> [u8; 16] {
    u128::from(media_sequence).to_be_bytes()
}
