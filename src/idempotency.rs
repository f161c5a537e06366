//! Idempotency keys: a server that knows the key of a request answers as it did the first time, and publishes nothing
//! again.
//!
//! A key belongs to the body of one request, byte for byte. sockudo does not compare bodies: it answers 200 to another body
//! with a key that it knows, and drops that. So a request with another body needs another key, which
//! [`IdempotencyKey::of_part`] makes.

use std::fmt;

use sha2::{Digest, Sha256};
use strum::{EnumString, VariantNames};

use crate::error::{Error, Problem};

/// Which requests that publish have a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Idempotency {
    /// Those for which the caller gives one.
    #[default]
    Off,
    /// All: those for which the caller gives none have a random one.
    Auto,
}

/// The key of one request.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Box<str>);

/// The header that carries a key. (sockudo) A batch has a key in no other place: sockudo skips an event of a batch whose
/// own key it knows, although the batch failed before it was published.
pub const KEY_HEADER: &str = "x-idempotency-key";

/// The longest key that a caller may give: sockudo's default limit.
const MAX_BYTES: usize = 128;

/// The most bytes of a key with which keys that are made from it begin.
const MAX_PREFIX_BYTES: usize = 64;

/// The length of random keys, and of hashes in keys.
const HEX_DIGITS: usize = 32;

/// The length of the longest key that is made from a random one.
pub const MAX_GENERATED_KEY_BYTES: usize = HEX_DIGITS + 1 + HEX_DIGITS;

impl IdempotencyKey {
    /// Checks a key of a caller: 1 to 128 visible ASCII characters. Servers trim spaces around a header's value.
    pub fn parse(key: &str, argument: &str) -> Result<IdempotencyKey, Problem> {
        match key.len() {
            1..=MAX_BYTES if key.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(IdempotencyKey(key.into())),
            _ => {
                Err(Problem::new(argument, format!("must be 1 to {MAX_BYTES} visible ASCII characters without spaces")))
            }
        }
    }

    /// Returns a random key.
    pub fn random() -> Result<IdempotencyKey, Error> {
        let mut bytes = [0; HEX_DIGITS / 2];
        getrandom::fill(&mut bytes).map_err(|_| Error::Unavailable("randomness"))?;
        Ok(IdempotencyKey(hex(bytes).into()))
    }

    /// Returns the key of a request that takes the place of a part of the request with this key. `content` decides what is in
    /// its body, except for the nonce of encrypted data: the same part of a repeated call has the same key. Parts are numbered,
    /// because a batch may have the same event twice.
    pub fn of_part<'a>(&self, number: usize, content: impl IntoIterator<Item = &'a [u8]>) -> IdempotencyKey {
        // No piece has a line feed, so that no other key, number and content have the same hash.
        let mut hasher = Sha256::new().chain_update(format!("{}\n{number}\n", self.0));
        for piece in content {
            hasher.update(piece);
            hasher.update("\n");
        }
        let hash: [u8; 32] = hasher.finalize().into();
        let mut half = [0; HEX_DIGITS / 2];
        half.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        let prefix = self.0.get(..MAX_PREFIX_BYTES).unwrap_or(&self.0);
        IdempotencyKey(format!("{prefix}-{}", hex(half)).into())
    }

    /// Returns the key as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A key may be the caller's secret.
impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey")
    }
}

fn hex(bytes: [u8; HEX_DIGITS / 2]) -> String {
    format!("{:0width$x}", u128::from_be_bytes(bytes), width = HEX_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::parse(text, "key").unwrap()
    }

    #[test]
    fn a_key_is_visible_ascii_of_limited_length() {
        for good in ["a", "!~", &"k".repeat(128), "order-42:{\"\\"] {
            assert_eq!(key(good).as_str(), good);
        }
        for bad in ["", " ", "a b", "a ", "a\n", "a\r\nx: y", "a\0", "ü", "\u{7f}", &"k".repeat(129)] {
            let problem = IdempotencyKey::parse(bad, "options.idempotency_key").unwrap_err();
            assert_eq!(problem.argument, "options.idempotency_key", "{bad:?}");
            assert!(bad.len() < 3 || !problem.message.contains(bad), "{}", problem.message);
        }
    }

    #[test]
    fn random_keys_differ() {
        let keys: std::collections::BTreeSet<String> =
            (0..100).map(|_| IdempotencyKey::random().unwrap().as_str().to_owned()).collect();
        assert_eq!(keys.len(), 100);
        assert!(
            keys.iter().all(|key| key.len() == HEX_DIGITS && key.bytes().all(|b| b.is_ascii_hexdigit())),
            "{keys:?}"
        );
    }

    #[test]
    fn each_part_has_a_key_of_its_own() {
        let long = ["x".repeat(128), format!("{}y", "x".repeat(127)), "x".repeat(64)];
        let keys = [key("a"), key("a-"), key(&long[0]), key(&long[1]), key(&long[2])];
        let bodies: [&[u8]; 4] = [b"", b"{}", b"{}{}", b"{\"a\":1}"];
        let mut made: Vec<String> = Vec::new();
        for key in &keys {
            for body in bodies {
                for number in [0, 1, 10] {
                    assert_eq!(key.of_part(number, [body]), key.of_part(number, [body]));
                    made.push(key.of_part(number, [body]).as_str().to_owned());
                }
            }
        }
        // Pieces are not the same as one piece.
        made.push(keys[0].of_part(0, [&b"{}"[..], b"{}"]).as_str().to_owned());
        // A part of a part.
        made.push(keys[0].of_part(0, [&b"{}"[..]]).of_part(0, [&b"{}"[..]]).as_str().to_owned());
        for (index, one) in made.iter().enumerate() {
            assert!(!made[index + 1..].contains(one), "{one}");
            assert!(IdempotencyKey::parse(one, "key").is_ok() && one.len() <= 97, "{one}");
        }
        assert!(made[0].starts_with("a-"), "{}", made[0]);
        let random = IdempotencyKey::random().unwrap();
        assert_eq!(random.of_part(0, [&b"{}"[..]]).as_str().len(), MAX_GENERATED_KEY_BYTES);
        // Half of `printf 'a\n0\n{}\n' | sha256sum`.
        assert_eq!(made[3], "a-4eb36b333adaebca666dc3526eeef40a");
    }
}
