//! Checks large documents, which serde_json cannot do in pieces: it cannot stop at a time limit, and
//! its record of the open brackets grows infallibly.
//!
//! It accepts what serde_json accepts.

use crate::time_limit::{PIECE_BYTES, TimeIsUp, TimeLimit};

/// Why a scan stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The string is not JSON. This is the offset of the first byte that is wrong.
    Malformed(usize),
    /// The time limit was reached.
    TimeIsUp,
    /// Memory ran out.
    NoMemory,
}

impl From<TimeIsUp> for Fault {
    fn from(_: TimeIsUp) -> Fault {
        Fault::TimeIsUp
    }
}

/// Checks that `text` is one JSON value, and returns it without the white space around it. Passes
/// each element or member of an array or object to `child`: its key as a JSON string, and its value.
pub(super) fn scan<'a>(
    text: &'a str,
    limit: TimeLimit,
    mut child: impl FnMut(Option<&'a str>, &'a str) -> Result<(), Fault>,
) -> Result<&'a str, Fault> {
    let mut scanner = Scanner { text, at: 0, look_at: PIECE_BYTES, limit };
    // The brackets that will close the open arrays and objects.
    let mut open = Vec::new();
    let (mut child_key, mut child_start) = (None, 0);
    scanner.white_space()?;
    let start = scanner.at;
    loop {
        // A value begins here.
        if open.len() == 1 {
            child_start = scanner.at;
        }
        match scanner.next()? {
            b'"' => scanner.string()?,
            b't' => scanner.rest_of("rue")?,
            b'f' => scanner.rest_of("alse")?,
            b'n' => scanner.rest_of("ull")?,
            first @ (b'-' | b'0'..=b'9') => scanner.number(first)?,
            bracket @ (b'[' | b'{') => {
                let closing = if bracket == b'[' { b']' } else { b'}' };
                scanner.white_space()?;
                if !scanner.skip_one(|byte| byte == closing) {
                    open.try_reserve(1).map_err(|_| Fault::NoMemory)?;
                    open.push(closing);
                    if closing == b'}' {
                        let key = scanner.key()?;
                        child_key = if open.len() == 1 { Some(key) } else { child_key };
                    }
                    continue;
                }
            }
            _ => return Err(scanner.wrong()),
        }
        // A value has ended here, and perhaps the arrays and objects that it is the last of.
        loop {
            if open.len() == 1 {
                child(child_key, &text[child_start..scanner.at])?;
            }
            let end = scanner.at;
            scanner.white_space()?;
            let Some(closing) = open.last().copied() else {
                return if scanner.at == text.len() {
                    Ok(&text[start..end])
                } else {
                    Err(Fault::Malformed(scanner.at))
                };
            };
            match scanner.next()? {
                b',' if closing == b'}' => {
                    scanner.white_space()?;
                    let key = scanner.key()?;
                    child_key = if open.len() == 1 { Some(key) } else { child_key };
                    break;
                }
                b',' => {
                    scanner.white_space()?;
                    break;
                }
                byte if byte == closing => drop(open.pop()),
                _ => return Err(scanner.wrong()),
            }
        }
    }
}

/// A place in a document.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The place of the next look at the clock.
    look_at: usize,
    limit: TimeLimit,
}

impl<'a> Scanner<'a> {
    /// Takes the next byte.
    fn next(&mut self) -> Result<u8, Fault> {
        let byte = self.text.as_bytes().get(self.at).copied().ok_or(Fault::Malformed(self.at))?;
        self.at += 1;
        Ok(byte)
    }

    /// Returns that the byte taken last is wrong.
    fn wrong(&self) -> Fault {
        Fault::Malformed(self.at - 1)
    }

    /// Skips one byte if it is like this.
    fn skip_one(&mut self, is_like: impl Fn(u8) -> bool) -> bool {
        let skips = self.text.as_bytes().get(self.at).is_some_and(|byte| is_like(*byte));
        self.at += usize::from(skips);
        skips
    }

    /// Skips all bytes that are like this, and returns whether there are any.
    fn skip(&mut self, is_like: impl Fn(u8) -> bool) -> Result<bool, Fault> {
        let start = self.at;
        loop {
            let end = self.text.len().min(self.at + PIECE_BYTES);
            let piece = &self.text.as_bytes()[self.at..end];
            let length = piece.iter().position(|byte| !is_like(*byte));
            self.at += length.unwrap_or(piece.len());
            if self.at >= self.look_at {
                self.limit.check()?;
                self.look_at = self.at + PIECE_BYTES;
            }
            if length.is_some() || self.at == self.text.len() {
                return Ok(self.at > start);
            }
        }
    }

    fn white_space(&mut self) -> Result<(), Fault> {
        self.skip(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r')).map(drop)
    }

    /// Takes the rest of a literal.
    fn rest_of(&mut self, rest: &str) -> Result<(), Fault> {
        for expected in rest.bytes() {
            if self.next()? != expected {
                return Err(self.wrong());
            }
        }
        Ok(())
    }

    /// Takes the rest of a string.
    fn string(&mut self) -> Result<(), Fault> {
        loop {
            self.skip(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20))?;
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            if !self.next()?.is_ascii_hexdigit() {
                                return Err(self.wrong());
                            }
                        }
                    }
                    _ => return Err(self.wrong()),
                },
                _ => return Err(self.wrong()),
            }
        }
    }

    /// Takes a key, the colon and the white space around it, and returns the key as a JSON string.
    fn key(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        self.rest_of("\"")?;
        self.string()?;
        let key = &self.text[start..self.at];
        self.white_space()?;
        self.rest_of(":")?;
        self.white_space()?;
        Ok(key)
    }

    /// Takes the rest of a number.
    fn number(&mut self, first: u8) -> Result<(), Fault> {
        match if first == b'-' { self.next()? } else { first } {
            b'0' => {}
            b'1'..=b'9' => drop(self.skip(|byte| byte.is_ascii_digit())?),
            _ => return Err(self.wrong()),
        }
        if self.skip_one(|byte| byte == b'.') {
            self.digits()?;
        }
        if self.skip_one(|byte| matches!(byte, b'e' | b'E')) {
            self.skip_one(|byte| matches!(byte, b'+' | b'-'));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if self.skip(|byte| byte.is_ascii_digit())? { Ok(()) } else { Err(Fault::Malformed(self.at)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn check(text: &str) -> Option<&str> {
        scan(text, TimeLimit::NONE, |_, _| Ok(())).ok()
    }

    proptest! {
        #[test]
        fn accepts_what_serde_json_accepts(
            text in prop_oneof![
                "([\\[\\]{},: \n]|\"[a\\\\u0]{0,3}\"|[-+.0-9eE]{1,4}|true|false|null){0,8}",
                "\"([ -~é]|\\\\[ -~]|\\\\u[0-9a-fA-Fg]{3,5}|\u{1}){0,6}\"",
                "(\\[|\\{\"a\":){0,5}-?[0-9]{0,2}(\\.[0-9]{0,2})?([eE][-+]?[0-9]{0,2})?( ?[]},]){0,5}",
                "\\{( ?\"[ab]\" ?: ?(1|\\[\\]|\\{\\}|\\[1,2\\]) ?,?){0,3}\\}",
            ],
        ) {
            let expected = serde_json::from_str::<&RawValue>(&text).ok().map(RawValue::get);
            prop_assert_eq!(check(&text), expected);
        }
    }

    #[test]
    fn passes_the_children_of_an_array_or_object_only() {
        let children = |text| {
            let mut all = Vec::new();
            scan(text, TimeLimit::NONE, |key, value| {
                all.push((key.unwrap_or("-"), value));
                Ok(())
            })
            .unwrap();
            all
        };
        assert_eq!(
            children(r#" {"a" : {"x":[1]} , "b\n":[ ],"c":2 } "#),
            [("\"a\"", r#"{"x":[1]}"#), ("\"b\\n\"", "[ ]"), ("\"c\"", "2")]
        );
        assert_eq!(
            children(r#"[1 ,{"a":2}, [], "x"]"#),
            [("-", "1"), ("-", r#"{"a":2}"#), ("-", "[]"), ("-", "\"x\"")]
        );
        for none in ["[]", "{ }", "1", "\"[1]\""] {
            assert_eq!(children(none), []);
        }
    }

    #[test]
    fn looks_at_the_clock_once_for_each_piece() {
        let size = 4 * PIECE_BYTES;
        for text in [
            format!("\"{}\"", "a".repeat(size)),
            format!("\"{}\"", "\\n".repeat(size / 2)),
            "1".repeat(size),
            format!("1{}", " ".repeat(size)),
            format!("[1{}]", ",1".repeat(size / 2)),
            "[".repeat(size / 2) + &"]".repeat(size / 2),
        ] {
            let scan = |looks| scan(&text, TimeLimit::after_looks(looks), |_, _| Ok(()));
            assert_eq!(scan(0), Err(Fault::TimeIsUp));
            assert_eq!(scan(2), Err(Fault::TimeIsUp));
            assert!(scan(5).is_ok(), "{}", &text[..4]);
        }
        let small = format!("\"{}\"", "a".repeat(PIECE_BYTES - 3));
        assert_eq!(scan(&small, TimeLimit::after_looks(0), |_, _| Ok(())), Ok(&*small));
    }

    #[test]
    fn names_the_first_wrong_byte() {
        for (text, at) in [("", 0), ("[1,]", 3), ("{\"a\" 1}", 5), ("tru", 3), ("1 2", 2), ("\"\u{1}\"", 1), ("-", 1)] {
            assert_eq!(scan(text, TimeLimit::NONE, |_, _| Ok(())), Err(Fault::Malformed(at)), "{text}");
        }
    }
}
