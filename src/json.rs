//! JSON from callers: looked at, never changed and never built into trees.
//!
//! Values stay the text they came as. The scan keeps its place on the heap, so depth costs no stack.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Problem;

/// A value, still the text it came as, without white space around it.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(&'a RawValue);

impl<'a> Json<'a> {
    /// Checks that `text` is one JSON value.
    pub fn parse(text: &'a str, argument: &str) -> Result<Json<'a>, Problem> {
        from_str(text, argument)
    }

    /// The text.
    pub fn text(self) -> &'a str {
        self.0.get()
    }

    /// The content of a string, or what it is instead.
    pub fn string(self, argument: &str) -> Result<Cow<'a, str>, Problem> {
        if !self.is_string() {
            return Err(Problem::new(argument, format!("must be a string, not {}", self.kind())));
        }
        // A string without escapes is borrowed from the text, so that a secret is not copied about.
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        let mut scanner = serde_json::Deserializer::from_str(self.text());
        scanner
            .deserialize_str(Text)
            .map_err(|_| Problem::new(argument, "has a lone surrogate escape (\\ud800 to \\udfff)"))
    }

    /// Whether this is a string.
    pub fn is_string(self) -> bool {
        self.text().starts_with('"')
    }

    /// The integer, if it is one from 0 to `u64::MAX` without fraction or exponent.
    pub fn integer(self) -> Option<u64> {
        self.text().parse().ok()
    }

    /// Whether this is an integer without fraction or exponent, of any size.
    pub fn is_integer(self) -> bool {
        let digits = self.text().strip_prefix('-').unwrap_or(self.text());
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    }

    /// Whether this is an object.
    pub fn is_object(self) -> bool {
        self.text().starts_with('{')
    }

    /// The boolean, if it is one.
    pub fn boolean(self) -> Option<bool> {
        self.text().parse().ok()
    }

    /// The members of an object in their order. A key that comes twice (escapes resolved) is an error.
    pub fn members(self, argument: &str) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Problem> {
        Json::members_of(self.text(), argument)
    }

    /// The members of the object that `text` is: it is read once, where [`Json::parse`] before would read it twice.
    pub fn members_of(text: &'a str, argument: &str) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Problem> {
        let members = Json::entries_of(text, argument)?;
        let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_ref()).collect();
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Problem::new(join(argument, pair[0]), "comes twice")),
            None => Ok(members),
        }
    }

    /// The members of an object in their order, whatever their keys: of one that is not the caller's.
    pub fn entries(self, argument: &str) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Problem> {
        Json::entries_of(self.text(), argument)
    }

    fn entries_of(text: &'a str, argument: &str) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Problem> {
        struct Members<'a>(Vec<(Cow<'a, str>, Json<'a>)>);
        impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Collect;
                impl<'de> Visitor<'de> for Collect {
                    type Value = Vec<(Cow<'de, str>, Json<'de>)>;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
                        while let Some(Key(key)) = map.next_key()? {
                            members.push((key, map.next_value()?));
                        }
                        Ok(members)
                    }
                }
                deserializer.deserialize_map(Collect).map(Members)
            }
        }
        if !text.trim_ascii_start().starts_with('{') {
            let kind = Json::parse(text, argument)?.kind();
            return Err(Problem::new(argument, format!("must be a JSON object, not {kind}")));
        }
        from_str(text, argument).map(|Members(members)| members)
    }

    /// The elements of an array; of one that has more than `most`, one more than that.
    pub fn elements(self, argument: &str, most: usize) -> Result<Vec<Json<'a>>, Problem> {
        struct Collect(usize);
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<Json<'de>>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while elements.len() <= self.0 {
                    match seq.next_element()? {
                        Some(element) => elements.push(element),
                        None => return Ok(elements),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(elements)
            }
        }
        if !self.text().starts_with('[') {
            return Err(Problem::new(argument, format!("must be a JSON array, not {}", self.kind())));
        }
        let mut scanner = serde_json::Deserializer::from_str(self.text());
        scanner.deserialize_seq(Collect(most)).map_err(|error| malformed(&error, argument))
    }

    /// What a message calls this value.
    fn kind(self) -> &'static str {
        match self.text().as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Json)
    }
}

/// An object's key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The name of a member for messages: `options.socket_id`, or the key alone where the whole has no name.
///
/// A key is the caller's text, of any length: what names it need not be.
pub fn join(argument: &str, key: &str) -> String {
    const MOST: usize = 64;
    let end = key.char_indices().nth(MOST).map_or(key.len(), |(end, _)| end);
    let key = &key[..end];
    if argument.is_empty() { key.to_owned() } else { format!("{argument}.{key}") }
}

fn from_str<'a, T: Deserialize<'a>>(text: &'a str, argument: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| malformed(&error, argument))
}

fn malformed(error: &serde_json::Error, argument: &str) -> Problem {
    // The parser's sentence, which quotes nothing of the text, without the place at its end: that of ours has a comma.
    let message = error.to_string();
    let what = message.split(" at line ").next().unwrap_or("malformed");
    Problem::new(argument, format!("is not JSON: {what} (line {}, column {})", error.line(), error.column()))
}
