//! Resolves the escapes of a string: in memory that is reserved fallibly, or character by character.

use std::collections::TryReserveError;

/// Returns the content of a JSON string, which is given without its quotes and is valid JSON. `None` if it has a surrogate
/// without its partner.
pub(super) fn unescaped(content: &str) -> Result<Option<String>, TryReserveError> {
    let mut decoded = String::new();
    // An escape is never shorter than its character.
    decoded.try_reserve_exact(content.len())?;
    let mut rest = content;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        decoded.push_str(before);
        let Some((character, length)) = character(escape) else { return Ok(None) };
        decoded.push(character);
        rest = escape.get(length..).unwrap_or_default();
    }
    decoded.push_str(rest);
    Ok(Some(decoded))
}

/// Returns the characters of the content of a JSON string, with `None` for a surrogate without its partner, or for an escape that
/// is cut.
pub(super) fn characters(content: &str) -> impl Iterator<Item = Option<char>> + Clone {
    let mut rest = content;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (character, length) = match first {
            '\\' => character(rest).map_or((None, rest.len()), |(character, length)| (Some(character), length)),
            other => (Some(other), other.len_utf8()),
        };
        rest = rest.get(length..).unwrap_or_default();
        Some(character)
    })
}

/// Returns the character of the escape at the beginning, and the length of the escape.
fn character(escape: &str) -> Option<(char, usize)> {
    Some(match escape.as_bytes().get(1)? {
        b'b' => ('\u{8}', 2),
        b'f' => ('\u{c}', 2),
        b'n' => ('\n', 2),
        b'r' => ('\r', 2),
        b't' => ('\t', 2),
        b'u' => {
            let first = unit(escape, 2)?;
            match char::from_u32(first) {
                Some(character) => (character, 6),
                None => {
                    let is_pair = escape.as_bytes().get(6..8)? == b"\\u";
                    let second = unit(escape, 8).filter(|_| is_pair)?;
                    let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
                    (char::decode_utf16(pair).next()?.ok()?, 12)
                }
            }
        }
        // A quotation mark, a backslash or a slash.
        byte => (char::from(*byte), 2),
    })
}

/// Returns the four hexadecimal digits at this place.
fn unit(escape: &str, at: usize) -> Option<u32> {
    u32::from_str_radix(escape.get(at..at + 4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn decodes_as_serde_json_does(
            pieces in prop::collection::vec("[a-z\u{e9}\u{1f600}]{0,2}|\\\\[\"\\\\/bfnrt]|\\\\u(00[0-9a-f]{2}|[dD][89abAB][0-9a-f]{2}|[dD][c-fC-F][0-9a-f]{2}|e9ab)", 0..8),
        ) {
            let content = pieces.concat();
            let expected: Option<String> = serde_json::from_str(&format!("\"{content}\"")).ok();
            prop_assert_eq!(characters(&content).collect::<Option<String>>(), expected.clone());
            prop_assert_eq!(unescaped(&content).unwrap(), expected);
        }
    }
}
