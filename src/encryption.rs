//! End-to-end encrypted channels, `private-encrypted-…`: Pusher sees only ciphertext.
//!
//! Source: Channels documentation, "End-to-end encrypted channels", and the official libraries. A
//! channel's key is the SHA-256 of its name and the master key. The cipher is NaCl's secretbox
//! (XSalsa20-Poly1305).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use crypto_secretbox::{AeadInPlace, KeyInit, XSalsa20Poly1305};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, OutOfMemory, Problem};
use crate::json::{Json, Writer};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Returns whether events on this channel are encrypted. (`private-encrypted` without the second
/// dash is only private.)
pub fn is_encrypted(channel: &str) -> bool {
    channel.starts_with("private-encrypted-")
}

/// Returns the size of encrypted data: that of `{"nonce":"…","ciphertext":"…"}`.
pub fn sealed_bytes(data: usize) -> usize {
    let base64 = |bytes: usize| base64::encoded_len(bytes, true).unwrap_or(usize::MAX);
    let frame = r#"{"nonce":"","ciphertext":""}"#.len() + base64(NONCE_BYTES);
    frame.saturating_add(base64(data.saturating_add(TAG_BYTES)))
}

/// The key from which the channels' keys are derived. It never leaves this process.
///
/// It is created in its place on the heap, so that moving it leaves no copies.
pub struct MasterKey(Box<Zeroizing<[u8; KEY_BYTES]>>);

impl MasterKey {
    /// Decodes a master key: base64 with padding, of exactly 32 bytes.
    pub fn from_base64(text: &str) -> Result<MasterKey, &'static str> {
        // The decoder needs room for its rounded-up estimate.
        let mut bytes = Zeroizing::new([0; KEY_BYTES + 4]);
        match BASE64.decode_slice(text, bytes.as_mut_slice()) {
            Ok(KEY_BYTES) => {}
            _ => {
                return Err(
                    "must be valid base64 with padding that decodes to 32 bytes: `openssl rand -base64 32` makes such a key",
                );
            }
        }
        let mut key = MasterKey(Box::default());
        key.0.copy_from_slice(&bytes[..KEY_BYTES]);
        Ok(key)
    }

    /// Returns the configured key, or the error for an encrypted channel without one.
    pub fn required(configured: Option<&MasterKey>) -> Result<&MasterKey, Error> {
        const NAME: &str = "encryption_master_key_base64";
        let message = "encrypted channels need encryption_master_key_base64 in the configuration";
        configured.ok_or_else(|| Error::Encryption(Problem::new(NAME, message)))
    }

    /// Derives a channel's key, which its subscribers receive.
    fn channel_key(&self, channel: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        Zeroizing::new(Sha256::new().chain_update(channel).chain_update(self.0.as_slice()).finalize().into())
    }

    /// Returns a channel's key in base64, as authorizations contain it.
    pub fn shared_secret(&self, channel: &str) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(self.channel_key(channel).as_slice()))
    }

    /// Encrypts an event's data with a random nonce: `{"nonce","ciphertext"}`.
    pub fn encrypt(&self, channel: &str, data: &[u8]) -> Result<String, Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| Error::Unavailable("randomness"))?;
        self.encrypt_with(channel, data, nonce)
    }

    fn encrypt_with(&self, channel: &str, data: &[u8], nonce: [u8; NONCE_BYTES]) -> Result<String, Error> {
        let mut sealed = Vec::new();
        sealed.try_reserve_exact(TAG_BYTES + data.len()).map_err(|_| Error::Unavailable("memory"))?;
        sealed.resize(TAG_BYTES, 0);
        sealed.extend_from_slice(data);
        seal(&self.channel_key(channel), nonce, &mut sealed)?;
        let mut ciphertext = String::new();
        let length = base64::encoded_len(sealed.len(), true).unwrap_or(usize::MAX);
        ciphertext.try_reserve_exact(length).map_err(|_| Error::Unavailable("memory"))?;
        BASE64.encode_string(sealed, &mut ciphertext);
        let mut json = Writer::with_capacity(length.saturating_add(80))?;
        json.begin_object().key("nonce").plain([BASE64.encode(nonce).as_bytes()]);
        json.key("ciphertext").plain([ciphertext.as_bytes()]).end_object();
        json.finish_string()
    }

    /// Decrypts what a client or [`MasterKey::encrypt`] encrypted for this channel:
    /// `{"nonce","ciphertext"}`. Returns why it cannot be decrypted, or an error if memory runs out.
    pub fn decrypt(&self, channel: &str, payload: &str) -> Result<Result<String, &'static str>, OutOfMemory> {
        let [nonce, sealed] = match Json::pick(payload, "", ["nonce", "ciphertext"]) {
            Ok(members) => members,
            Err(problem) if problem == Problem::OUT_OF_MEMORY => return Err(OutOfMemory),
            Err(_) => return Ok(Err("the data is not a JSON object")),
        };
        let nonce = decoded(nonce)?.and_then(|nonce| <[u8; NONCE_BYTES]>::try_from(nonce).ok());
        let Some(nonce) = nonce else { return Ok(Err("the nonce is not 24 bytes in base64")) };
        let Some(mut sealed) = decoded(sealed)? else { return Ok(Err("the ciphertext is not base64")) };
        if let Err(why) = open(&self.channel_key(channel), nonce, &mut sealed) {
            return Ok(Err(why));
        }
        sealed.drain(..TAG_BYTES);
        Ok(String::from_utf8(sealed).map_err(|_| "the decrypted data is not UTF-8"))
    }
}

/// Encrypts in place what follows the room for the tag, and writes the tag.
fn seal(key: &[u8; KEY_BYTES], nonce: [u8; NONCE_BYTES], sealed: &mut [u8]) -> Result<(), Error> {
    let refused = || Error::Internal("the cipher refused".to_owned());
    let (tag, text) = sealed.split_at_mut_checked(TAG_BYTES).ok_or_else(refused)?;
    let made =
        XSalsa20Poly1305::new(key.into()).encrypt_in_place_detached(&nonce.into(), b"", text).map_err(|_| refused())?;
    tag.copy_from_slice(&made);
    Ok(())
}

/// Decrypts in place what follows the tag, and returns it.
fn open<'a>(
    key: &[u8; KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
    sealed: &'a mut [u8],
) -> Result<&'a mut [u8], &'static str> {
    let (tag, text) = sealed.split_at_mut_checked(TAG_BYTES).ok_or("the ciphertext is too short")?;
    XSalsa20Poly1305::new(key.into())
        .decrypt_in_place_detached(&nonce.into(), b"", text, (&*tag).into())
        .map_err(|_| "the data was encrypted with another key, or was modified")?;
    Ok(text)
}

/// Decodes a string of base64. `None` if it is not one.
fn decoded(value: Option<Json<'_>>) -> Result<Option<Vec<u8>>, OutOfMemory> {
    let text = match value.map(|value| value.string("")) {
        Some(Err(problem)) if problem == Problem::OUT_OF_MEMORY => return Err(OutOfMemory),
        Some(Ok(text)) => text,
        Some(Err(_)) | None => return Ok(None),
    };
    let (mut bytes, size) = (Vec::new(), base64::decoded_len_estimate(text.len()));
    bytes.try_reserve_exact(size).map_err(|_| OutOfMemory)?;
    bytes.resize(size, 0);
    Ok(BASE64.decode_slice(text.as_bytes(), &mut bytes).ok().map(|length| {
        bytes.truncate(length);
        bytes
    }))
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[master key]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test vector of an official library: the only one with a fixed nonce.
    #[test]
    fn encrypts_like_the_official_libraries() {
        let key = MasterKey::from_base64(&BASE64.encode("OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5")).unwrap();
        let nonce = *b"XAJI0Y6DPBHSAHXTHV3A3ZMF";
        let sealed =
            key.encrypt_with("pvUPIk0YG6MnxCEMIUUVFrbDmQwbhICXUcy", b"kkkT5OOkOkO5kT5TOO5TkOT5TTk5O55T", nonce);
        let expected = concat!(
            r#"{"nonce":"WEFKSTBZNkRQQkhTQUhYVEhWM0EzWk1G","#,
            r#""ciphertext":"tsYJa2JgGDOpVIYFe4aNVWAvZlpB7z7CjN9mpIdbATE0Yc4izN8aM8D6VigBxnIQ"}"#
        );
        assert_eq!(sealed.unwrap(), expected);
    }

    /// Reads a file of vectors. scripts/torture/vectors.sh has others, with faults, which must be found.
    fn published(name: &str) -> String {
        let folder =
            std::env::var("VECTORS").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors").to_owned());
        std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
    }

    #[test]
    fn agrees_with_the_vectors_of_nacl() {
        let file: serde_json::Value = serde_json::from_str(&published("nacl-secretbox.json")).unwrap();
        let bytes = |name: &str| {
            let text = file[name].as_str().unwrap();
            let mut bytes = vec![0; text.len() / 2];
            const_hex::decode_to_slice(text, &mut bytes).unwrap();
            bytes
        };
        let key: [u8; KEY_BYTES] = bytes("key").try_into().unwrap();
        let nonce: [u8; NONCE_BYTES] = bytes("nonce").try_into().unwrap();
        let sealed = bytes("sealed");

        let mut made = [vec![0; TAG_BYTES], bytes("plain")].concat();
        seal(&key, nonce, &mut made).unwrap();
        assert_eq!(made, sealed);
        assert_eq!(open(&key, nonce, &mut made).unwrap(), bytes("plain"));

        // Zeros, encrypted, are the stream after the key of the tag.
        let mut stream = vec![0; file["stream_bytes"].as_u64().unwrap() as usize - KEY_BYTES + TAG_BYTES];
        seal(&key, nonce, &mut stream).unwrap();
        let hash = Sha256::new().chain_update(bytes("stream_start")).chain_update(&stream[TAG_BYTES..]).finalize();
        assert_eq!(hash.as_slice(), bytes("stream_sha256"));

        // One bit in any place, and any end that is missing, is found.
        for bit in 0..8 * sealed.len() {
            let mut other = sealed.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, nonce, &mut other).is_err(), "bit {bit}");
        }
        for bit in 0..8 * NONCE_BYTES {
            let mut other = nonce;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, other, &mut sealed.clone()).is_err(), "bit {bit} of the nonce");
        }
        for length in 0..sealed.len() {
            assert!(open(&key, nonce, &mut sealed[..length].to_vec()).is_err(), "{length} bytes");
        }
        let mut empty = [0; TAG_BYTES];
        seal(&key, nonce, &mut empty).unwrap();
        assert!(open(&key, nonce, &mut empty).unwrap().is_empty());
    }

    #[test]
    fn decrypts_for_the_same_channel_only() {
        let key = MasterKey::from_base64(&BASE64.encode([0; 32])).unwrap();
        let sealed = key.encrypt("private-encrypted-a", "héllo".as_bytes()).unwrap();
        assert_eq!(key.decrypt("private-encrypted-a", &sealed).unwrap().as_deref(), Ok("héllo"));
        assert!(key.decrypt("private-encrypted-b", &sealed).unwrap().is_err());
        assert_ne!(key.encrypt("private-encrypted-a", "héllo".as_bytes()).unwrap(), sealed, "a nonce is used once");
    }

    #[test]
    fn master_keys_are_32_bytes_in_padded_base64() {
        for wrong in
            ["", "x", &BASE64.encode([1; 31]), &BASE64.encode([1; 33]), BASE64.encode([1; 32]).trim_end_matches('=')]
        {
            assert!(MasterKey::from_base64(wrong).is_err(), "{wrong}");
        }
        let key = MasterKey::from_base64(&BASE64.encode([1; 32])).unwrap();
        assert_eq!(format!("{key:?}"), "[master key]");
    }
}
