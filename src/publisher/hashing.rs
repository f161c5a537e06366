//! Hashes that no caller can foresee, so that no choice of keys makes a table slow.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

use crate::error::Error;

/// Makes the hashes of a publisher's tables: those of SipHash, after secret bytes.
///
/// `RandomState` of the standard library panics if the system has no randomness, and keeps its secret per thread.
#[derive(Clone)]
pub struct Hashing([u8; 16]);

impl Hashing {
    /// Returns a way of hashing that differs from every other.
    pub fn random() -> Result<Hashing, Error> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|_| Error::Unavailable("randomness"))?;
        Ok(Hashing(secret))
    }

    /// Returns one that is always the same.
    #[cfg(test)]
    pub const fn fixed() -> Hashing {
        Hashing([7; 16])
    }
}

impl BuildHasher for Hashing {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.0);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_same_in_one_publisher_only() {
        let [one, other] = [Hashing::random().unwrap(), Hashing::random().unwrap()];
        assert_eq!(one.hash_one("key"), one.hash_one("key"));
        assert_ne!(one.hash_one("key"), one.hash_one("key2"));
        assert_ne!(one.hash_one("key"), other.hash_one("key"));
    }
}
