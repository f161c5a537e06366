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

    /// Appends a JSON value, nested at most `depth` levels deep.
    pub fn json(&mut self, text: &mut String, depth: usize) {
        const LEAVES: [&str; 7] = ["null", "true", "0", "-1.50", "1E+2", "18446744073709551616", "[]"];
        match self.below(if depth == 0 { 2 } else { 4 }) {
            0 => text.push_str(self.one_of(&LEAVES)),
            1 => self.json_string(text),
            kind => {
                text.push(if kind == 2 { '[' } else { '{' });
                for index in 0..self.below(4) {
                    text.push_str(if index > 0 { "," } else { self.one_of(&["", " ", "\n"]) });
                    if kind == 3 {
                        self.json_string(text);
                        text.push(':');
                    }
                    self.json(text, depth - 1);
                }
                text.push(if kind == 2 { ']' } else { '}' });
            }
        }
    }

    fn json_string(&mut self, text: &mut String) {
        const PIECES: [&str; 12] =
            ["a", "\\n", "\\\"", "\\\\", "\\u00e9", "é", "😀", "\\ud83d\\ude00", "\u{7f}", "\\/", " ", "\u{2028}"];
        text.push('"');
        for _ in 0..self.below(9) {
            text.push_str(self.one_of(&PIECES));
        }
        text.push('"');
    }
}
