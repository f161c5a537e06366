//! Operations on bytes: fallible copies, and the one look-up that is faster than plain code by a
//! measured amount.

use std::borrow::Cow;

use crate::error::{Error, OutOfMemory};
use crate::time_limit::TimeLimit;

/// Returns a copy of bytes, or an error if memory runs out: a caller decides their number.
pub fn copied(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    copied_within(bytes, TimeLimit::NONE)
}

/// Returns a copy of bytes as [`copied`] does, and stops at a time limit.
pub fn copied_within(bytes: &[u8], limit: TimeLimit) -> Result<Vec<u8>, Error> {
    let mut copy = Vec::new();
    // One more byte, for a NUL that may follow.
    copy.try_reserve_exact(bytes.len().saturating_add(1)).map_err(|_| Error::Unavailable("memory"))?;
    for piece in limit.pieces(bytes) {
        copy.extend_from_slice(piece?);
    }
    Ok(copy)
}

/// Returns a copy of a string, or an error if memory runs out: a caller or a server decides its length.
pub fn copied_text(text: &str) -> Result<String, OutOfMemory> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| OutOfMemory)?;
    copy.push_str(text);
    Ok(copy)
}

/// Returns the strings as one, or an error if memory runs out.
pub fn concat<const N: usize>(parts: [&str; N]) -> Result<String, OutOfMemory> {
    let mut whole = String::new();
    let size = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
    whole.try_reserve_exact(size).map_err(|_| OutOfMemory)?;
    whole.extend(parts);
    Ok(whole)
}

/// Returns bytes as a string, with those that are not UTF-8 replaced, or an error if memory runs out.
pub fn lossy(bytes: &[u8]) -> Result<Cow<'_, str>, OutOfMemory> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(Cow::Borrowed(text));
    }
    let mut text = String::new();
    text.try_reserve_exact(bytes.len()).map_err(|_| OutOfMemory)?;
    for chunk in bytes.utf8_chunks() {
        let replacement = if chunk.invalid().is_empty() { "" } else { "\u{fffd}" };
        text.try_reserve(chunk.valid().len() + replacement.len()).map_err(|_| OutOfMemory)?;
        text.push_str(chunk.valid());
        text.push_str(replacement);
    }
    Ok(Cow::Owned(text))
}

/// Returns the string itself if it is owned, or else a copy of it as [`copied_text`] does.
pub fn owned_text(text: Cow<'_, str>) -> Result<String, OutOfMemory> {
    match text {
        Cow::Owned(text) => Ok(text),
        Cow::Borrowed(text) => copied_text(text),
    }
}

/// Appends a value, or returns an error if memory runs out: a caller or a server decides how many there are.
#[inline]
pub fn push<T>(values: &mut Vec<T>, value: T) -> Result<(), OutOfMemory> {
    values.try_reserve(1).map_err(|_| OutOfMemory)?;
    values.push(value);
    Ok(())
}

/// A set of ASCII characters.
///
/// A table makes pusher_authenticate() 7 % faster than comparing each character (204 ns instead of
/// 219).
pub struct AsciiSet([bool; 256]);

impl AsciiSet {
    /// Returns the set of these characters.
    pub const fn new(characters: &[u8]) -> AsciiSet {
        AsciiSet([false; 256]).with(characters)
    }

    /// Returns the set with more characters.
    pub const fn with(mut self, characters: &[u8]) -> AsciiSet {
        let mut index = 0;
        while index < characters.len() {
            self.0[characters[index] as usize] = true;
            index += 1;
        }
        self
    }

    /// Returns whether the set contains `c`.
    pub fn contains(&self, c: char) -> bool {
        u8::try_from(c).is_ok_and(|byte| self.0[usize::from(byte)])
    }

    /// Returns whether the set contains every character of `text`.
    pub fn contains_all(&self, text: &[u8]) -> bool {
        // Without a branch per byte, because most names are valid, and without a loop within eight bytes.
        let all = |bytes: &[u8]| bytes.iter().fold(true, |all, byte| all & self.0[usize::from(*byte)]);
        let eights = text.chunks_exact(8);
        all(eights.remainder()) & eights.fold(true, |so_far, bytes| so_far & all(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_contains_its_characters_only() {
        let set = AsciiSet::new(b"ab_");
        assert!(set.contains('_') && set.contains_all(b"") && set.contains_all(b"abba_"));
        for other in ['c', 'A', '\u{e1}', '\u{161}', '\0'] {
            assert!(!set.contains(other) && !set.contains_all(format!("a{other}b").as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_copy_has_room_for_a_nul() {
        let copy = copied(b"abc").unwrap();
        assert!(copy == b"abc" && copy.capacity() > 3);
    }
}
