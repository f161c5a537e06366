//! Pseudo-random numbers that are the same in each run: a failure can be reproduced.

/// A generator (xorshift) with a seed.
pub struct Random(u64);

impl Random {
    /// Returns a generator with this seed, which must not be 0.
    pub fn new(seed: u64) -> Random {
        assert_ne!(seed, 0);
        Random(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    /// Returns one of these.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Returns a string of `length` of these characters.
    pub fn text(&mut self, characters: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(self.one_of(characters))).collect()
    }
}
