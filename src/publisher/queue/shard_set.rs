//! A set of shards.

/// As many shards as there may be: a set of them is the bits of a number.
pub const MAX_SHARDS: usize = 64;

/// Shards, one a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards(u64);

impl Shards {
    /// None.
    pub const NONE: Shards = Shards(0);

    /// Those whose bits are set.
    pub const fn from_bits(bits: u64) -> Shards {
        Shards(bits)
    }

    /// A bit for each.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// These, and one more.
    #[must_use]
    pub fn and(self, shard: usize) -> Shards {
        Shards(self.0 | 1 << shard)
    }

    /// Whether this is one of them.
    pub fn has(self, shard: usize) -> bool {
        self.0 >> shard & 1 == 1
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = usize> {
        (0..MAX_SHARDS).filter(move |shard| self.has(*shard))
    }

    pub fn union(self, other: Shards) -> Shards {
        Shards(self.0 | other.0)
    }
}
