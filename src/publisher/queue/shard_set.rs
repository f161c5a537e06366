//! A set of shards.

/// The largest number of shards: a set of them is the bits of a `u64`.
pub const MAX_SHARDS: usize = 64;

/// A set of shard numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardSet(u64);

impl ShardSet {
    /// The empty set.
    pub const EMPTY: ShardSet = ShardSet(0);

    /// Returns the set of the shards whose bits are set.
    pub const fn from_bits(bits: u64) -> ShardSet {
        ShardSet(bits)
    }

    /// Returns one bit for each shard.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Returns this set with one more shard.
    #[must_use]
    pub fn with(self, shard: usize) -> ShardSet {
        ShardSet(self.0 | 1 << shard)
    }

    /// Returns whether the set contains this shard.
    pub fn contains(self, shard: usize) -> bool {
        self.0 >> shard & 1 == 1
    }

    /// Returns the shards in ascending order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let shard = bits.trailing_zeros() as usize;
            // Clears the lowest bit.
            bits &= bits.checked_sub(1)?;
            Some(shard)
        })
    }

    /// Returns the shards of both sets.
    #[must_use]
    pub fn union(self, other: ShardSet) -> ShardSet {
        ShardSet(self.0 | other.0)
    }
}
