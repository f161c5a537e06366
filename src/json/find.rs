//! Finds a member of an object without allocating: for callers that read a document because memory ran out.

use super::reader::Json;

/// Returns the value of the member with this name of the object in `text`. `None` if the object is cut or malformed, has no such
/// member or several, or if something follows it.
///
/// Values of other members are skipped by their quotes and brackets, and not checked any further. A key with escapes is no key
/// that the library writes, and never matches.
pub fn find<'a>(text: &'a str, name: &str) -> Option<Json<'a>> {
    let mut cursor = Cursor { text, at: 0 };
    let mut found = None;
    cursor.skip_white_space();
    cursor.take(b'{')?;
    cursor.skip_white_space();
    let mut is_open = cursor.take(b'}').is_none();
    while is_open {
        let key = cursor.value().filter(|key| key.starts_with('"'))?;
        cursor.skip_white_space();
        cursor.take(b':')?;
        cursor.skip_white_space();
        let value = cursor.value()?;
        if key.get(1..key.len() - 1) == Some(name) && found.replace(Json::unchecked(value)).is_some() {
            return None;
        }
        cursor.skip_white_space();
        is_open = cursor.take(b',').is_some();
        cursor.skip_white_space();
        if !is_open {
            cursor.take(b'}')?;
            cursor.skip_white_space();
        }
    }
    cursor.skip_white_space();
    found.filter(|_| cursor.at == text.len())
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.text.as_bytes().get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    /// Takes this byte if it is the next one.
    fn take(&mut self, expected: u8) -> Option<()> {
        (self.text.as_bytes().get(self.at) == Some(&expected)).then(|| self.at += 1)
    }

    fn skip_white_space(&mut self) {
        self.skip_while(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r'));
    }

    fn skip_while(&mut self, is_skipped: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !is_skipped(*byte)).unwrap_or(rest.len());
    }

    /// Takes a value.
    fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        match self.next()? {
            b'"' => self.rest_of_string()?,
            b'{' | b'[' => {
                let mut depth = 1_usize;
                while depth > 0 {
                    match self.next()? {
                        b'"' => self.rest_of_string()?,
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                }
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.skip_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
            }
            _ => return None,
        }
        self.text.get(start..self.at)
    }

    fn rest_of_string(&mut self) -> Option<()> {
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => drop(self.next()?),
                0..0x20 => return None,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_the_reader_picks(
            members in prop::collection::vec(("[abc\u{e9}]{0,2}", "[1-9][0-9]{0,2}|\\[\\{\\}, 1\\]|true|\"([^\\p{C}\"\\\\]|\\\\\"|\\\\\\\\){0,4}\""), 0..8),
            space in "[ \n]?",
        ) {
            let member = |(key, value): &(String, String)| format!("{space}\"{key}\"{space}:{space}{value}{space}");
            let text = format!("{space}{{{}}}{space}", members.iter().map(member).collect::<Vec<_>>().join(","));
            for name in ["a", "\u{e9}"] {
                let is_double = members.iter().filter(|(key, _)| key == name).count() > 1;
                let expected = members.iter().find(|(key, _)| key == name).filter(|_| !is_double).map(|(_, value)| &**value);
                prop_assert_eq!(find(&text, name).map(Json::text), expected, "{}", text);
                for end in text.char_indices().map(|(at, _)| at).filter(|at| *at < text.trim_end().len()) {
                    prop_assert!(find(&text[..end], name).is_none(), "{}", &text[..end]);
                }
            }
        }

        #[test]
        fn reads_any_text(text in "[{}\\[\\]\",:a0\\\\ \u{e9}]{0,20}") {
            let found = find(&text, "a");
            let picked = Json::pick(&text, "", ["a"]);
            if let (Ok([Some(picked)]), Some(found)) = (picked, found) {
                prop_assert_eq!(picked.text(), found.text());
            }
        }
    }

    #[test]
    fn finds_nothing_in_other_texts() {
        for text in [
            "",
            "{",
            "{}",
            "[]",
            r#"{"a":1,}"#,
            r#"{"a":1}}"#,
            r#"{"a":}"#,
            r#"{"a" 1}"#,
            r#"{a:1}"#,
            r#"{"a":1 "b":2}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":x}"#,
            r#"{"\u0061":1}"#,
            r#"{"b":{"a":1}}"#,
            r#"{"a":1,"a":1}"#,
        ] {
            assert!(find(text, "a").is_none(), "{text}");
        }
    }
}
