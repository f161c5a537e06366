//! Reads JSON from callers and servers. Values are checked and stay the string they came as.
//!
//! The scan keeps its place on the heap, so nesting costs no stack. serde_json grows that place, and the buffer in which it
//! resolves escapes, infallibly: it reads small documents only, and strings are decoded here.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::scanner::{Fault, scan};
use super::unescape::{characters, unescaped};
use crate::bytes::push;
use crate::error::{Error, Problem};
use crate::time_limit::{TimeIsUp, TimeLimit};

/// The size of the largest document that serde_json reads.
const MAX_SMALL_BYTES: usize = 16 * 1024;

/// A JSON value: its source string without the white space around it.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// Parses `text`, which must be one JSON value. `argument` names it in messages.
    pub fn parse(text: &'a str, argument: &str) -> Result<Json<'a>, Problem> {
        match is_small(text) {
            true => from_str(text, argument),
            false => scan(text, TimeLimit::NONE, |_, _| Ok(())).map(Json).map_err(|fault| fault.problem(argument)),
        }
    }

    /// Returns a value that was found without being checked.
    pub(super) fn unchecked(text: &'a str) -> Json<'a> {
        Json(text)
    }

    /// Returns the source string.
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Parses `text` as [`Json::parse`] does, and stops at a time limit.
    pub fn parse_within(text: &'a str, argument: &str, limit: TimeLimit) -> Result<Json<'a>, Error> {
        match limit.concerns(text.len()) {
            true => scan(text, limit, |_, _| Ok(())).map(Json).map_err(|fault| fault.error(argument)),
            false => Ok(Json::parse(text, argument)?),
        }
    }

    /// Returns the elements of the array in `text`, as [`Json::parse`] and [`Json::elements`] do, and
    /// stops at a time limit.
    pub fn elements_within(
        text: &'a str,
        argument: &str,
        max: usize,
        limit: TimeLimit,
    ) -> Result<Vec<Json<'a>>, Error> {
        if !limit.concerns(text.len()) || !text.trim_ascii_start().starts_with('[') {
            return Ok(Json::parse_within(text, argument, limit)?.elements(argument, max)?);
        }
        scan_elements(text, max, limit).map_err(|fault| fault.error(argument))
    }

    /// Returns the members of an object, as [`Json::members`] does, and stops at a time limit.
    pub fn members_within(self, argument: &str, limit: TimeLimit) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Error> {
        if !limit.concerns(self.text().len()) || !self.is_object() {
            return Ok(self.members(argument)?);
        }
        let members = scan_members(self.text(), limit).map_err(|fault| fault.error(argument))?;
        Ok(without_duplicates(decoded(members, argument)?, argument)?)
    }

    /// Returns the content of a string.
    pub fn string(self, argument: &str) -> Result<Cow<'a, str>, Problem> {
        if !self.is_string() {
            return Err(Problem::new(argument, format!("must be a string, not {}", self.kind())));
        }
        // A string without escapes is borrowed, so that a secret is not copied.
        let text = self.text();
        let content = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
        if !content.contains('\\') {
            return Ok(Cow::Borrowed(content));
        }
        match unescaped(content).map_err(|_| Problem::OUT_OF_MEMORY)? {
            Some(decoded) => Ok(Cow::Owned(decoded)),
            None => Err(Problem::new(argument, "has a lone surrogate escape (\\ud800 to \\udfff)")),
        }
    }

    /// Returns the characters of a string, without allocating. `None` for another value, and for one whose escapes are no text.
    pub fn characters(self) -> Option<impl Iterator<Item = char>> {
        let content = self.text().strip_prefix('"')?.strip_suffix('"')?;
        let all = characters(content);
        all.clone().all(|character| character.is_some()).then(|| all.flatten())
    }

    /// Returns whether this is a string.
    pub fn is_string(self) -> bool {
        self.text().starts_with('"')
    }

    /// Returns the integer, if this is one from 0 to `u64::MAX` without fraction or exponent.
    pub fn integer(self) -> Option<u64> {
        self.text().parse().ok()
    }

    /// Returns whether this is an integer without fraction or exponent, of any size.
    pub fn is_integer(self) -> bool {
        let digits = self.text().strip_prefix('-').unwrap_or(self.text());
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    }

    /// Returns whether this is null.
    pub fn is_null(self) -> bool {
        self.text() == "null"
    }

    /// Returns whether this is an object.
    pub fn is_object(self) -> bool {
        self.text().starts_with('{')
    }

    /// Returns the boolean, if this is one.
    pub fn boolean(self) -> Option<bool> {
        self.text().parse().ok()
    }

    /// Returns the members of an object in their order. A duplicate key is an error, after escapes
    /// are resolved.
    pub fn members(self, argument: &str) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Problem> {
        Json::members_of(self.text(), argument)
    }

    /// Returns the members of the object in `text`. Reads it once, where [`Json::parse`] and
    /// `members` read it twice.
    pub fn members_of(text: &'a str, argument: &str) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Problem> {
        without_duplicates(Json::members_lenient_of(text, argument)?, argument)
    }

    /// Returns the named members of the JSON object in `text`. As for [`Json::members`], any
    /// duplicate key is an error.
    pub fn pick<const N: usize>(
        text: &'a str,
        argument: &str,
        names: [&str; N],
    ) -> Result<[Option<Json<'a>>; N], Problem> {
        if !is_small(text) && text.trim_ascii_start().starts_with('{') {
            let mut members = Picked::new(names);
            let add = |key: Option<&'a str>, value| {
                let key = key.unwrap_or_default();
                let key = key.get(1..key.len().saturating_sub(1)).filter(|key| !key.contains('\\'));
                if let Some(place) = members.place(key) {
                    members.values[place] = Some(Json(value));
                }
                Ok(())
            };
            scan(text, TimeLimit::NONE, add).map_err(|fault| fault.problem(argument))?;
            if members.is_simple {
                return Ok(members.values);
            }
        } else if text.trim_ascii_start().starts_with('{') {
            let mut scanner = serde_json::Deserializer::from_str(text);
            let picked = scanner.deserialize_map(Pick(names));
            let picked = picked.and_then(|picked| scanner.end().map(|()| picked));
            if let Some(picked) = picked.map_err(|error| malformed(&error, argument))? {
                return Ok(picked);
            }
        }
        let members = Json::members_of(text, argument)?;
        Ok(names.map(|name| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value)))
    }

    /// Returns the members of an object in their order, duplicate keys included: for objects of
    /// servers.
    pub fn members_lenient(self, argument: &str) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Problem> {
        Json::members_lenient_of(self.text(), argument)
    }

    fn members_lenient_of(text: &'a str, argument: &str) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Problem> {
        if !text.trim_ascii_start().starts_with('{') {
            let kind = Json::parse(text, argument)?.kind();
            return Err(Problem::new(argument, format!("must be a JSON object, not {kind}")));
        }
        if !is_small(text) {
            let members = scan_members(text, TimeLimit::NONE).map_err(|fault| fault.problem(argument))?;
            return decoded(members, argument);
        }
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Option<Vec<(Cow<'de, str>, Json<'de>)>>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Some(Vec::new());
                while let Some(Key(key)) = map.next_key()? {
                    let member = (key, map.next_value()?);
                    members = members.and_then(|mut members| push(&mut members, member).ok().map(|()| members));
                }
                Ok(members)
            }
        }
        let mut scanner = serde_json::Deserializer::from_str(text);
        let members = scanner.deserialize_map(Collect);
        let members = members.and_then(|members| scanner.end().map(|()| members));
        members.map_err(|error| malformed(&error, argument))?.ok_or(Problem::OUT_OF_MEMORY)
    }

    /// Returns the elements of an array, at most `max + 1` of them: enough to see that there are
    /// too many.
    pub fn elements(self, argument: &str, max: usize) -> Result<Vec<Json<'a>>, Problem> {
        struct Collect(usize);
        impl<'de> Visitor<'de> for Collect {
            type Value = Option<Vec<Json<'de>>>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while elements.len() <= self.0 {
                    match seq.next_element()? {
                        Some(element) if push(&mut elements, element).is_err() => return Ok(None),
                        Some(_) => {}
                        None => return Ok(Some(elements)),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Some(elements))
            }
        }
        if !self.text().starts_with('[') {
            return Err(Problem::new(argument, format!("must be a JSON array, not {}", self.kind())));
        }
        if !is_small(self.text()) {
            return scan_elements(self.text(), max, TimeLimit::NONE).map_err(|fault| fault.problem(argument));
        }
        let mut scanner = serde_json::Deserializer::from_str(self.text());
        let elements = scanner.deserialize_seq(Collect(max)).map_err(|error| malformed(&error, argument))?;
        elements.ok_or(Problem::OUT_OF_MEMORY)
    }

    /// Returns whether the JSON parsers of all languages read this text: it nests in at most 64 levels, no number has more than 1,000
    /// digits, and no string has half a surrogate pair.
    pub fn is_portable(self) -> bool {
        const LEVELS: usize = 64;
        const DIGITS: usize = 1000;
        let (mut level, mut digits, mut in_string, mut is_half) = (0_usize, 0_usize, false, false);
        let mut bytes = self.text().bytes();
        while let Some(byte) = bytes.next() {
            if in_string {
                // The escape of a UTF-16 code unit.
                let unit = if byte == b'\\' && bytes.next() == Some(b'u') {
                    let hex = |unit, _| Some(unit << 4 | char::from(bytes.next()?).to_digit(16)?);
                    (0..4).try_fold(0_u32, hex).unwrap_or_default()
                } else {
                    0
                };
                let is_second = (0xdc00..=0xdfff).contains(&unit);
                if is_half != is_second {
                    return false;
                }
                is_half = (0xd800..=0xdbff).contains(&unit);
                in_string = byte != b'"';
                continue;
            }
            digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
            match byte {
                b'"' => in_string = true,
                b'[' | b'{' => level += 1,
                b']' | b'}' => level = level.saturating_sub(1),
                _ => {}
            }
            if level > LEVELS || digits > DIGITS {
                return false;
            }
        }
        true
    }

    /// Returns the value's type for messages.
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
        <&RawValue>::deserialize(deserializer).map(|value| Json(value.get()))
    }
}

/// Picks the members of these names, unless an object has many members, escapes in a key, or a
/// duplicate key.
///
/// It allocates nothing, which makes pusher_authenticate_user() 12 % faster and
/// pusher_validate_webhook() 5 %.
struct Pick<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Pick<'_, N> {
    type Value = Option<[Option<Json<'de>>; N]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Picked::new(self.0);
        while let Some(Key(key)) = map.next_key()? {
            let key = match key {
                Cow::Borrowed(key) => Some(key),
                Cow::Owned(_) => None,
            };
            match members.place(key) {
                Some(place) => members.values[place] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members.is_simple.then_some(members.values))
    }
}

/// The members that were picked so far.
struct Picked<'n, 'de, const N: usize> {
    names: [&'n str; N],
    values: [Option<Json<'de>>; N],
    /// The keys so far.
    keys: [&'de str; 8],
    count: usize,
    /// Whether there are few members, no escapes in a key, and no duplicate key.
    is_simple: bool,
}

impl<'n, 'de, const N: usize> Picked<'n, 'de, N> {
    fn new(names: [&'n str; N]) -> Self {
        Picked { names, values: [None; N], keys: [""; 8], count: 0, is_simple: true }
    }

    /// Returns the place of the value of the next key, if it is wanted. `None` is a key with escapes.
    #[inline]
    fn place(&mut self, key: Option<&'de str>) -> Option<usize> {
        match key {
            Some(key) if self.count < self.keys.len() && !self.keys[..self.count].contains(&key) => {
                self.keys[self.count] = key;
                self.count += 1;
                self.names.iter().position(|name| *name == key)
            }
            _ => {
                self.is_simple = false;
                None
            }
        }
    }
}

/// An object's key, borrowed if it has no escapes.
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

/// Returns the name of a member for messages: the key, or the beginning of a long one, because callers decide its length. An
/// empty key is the dot before it, so that it is not the object as a whole.
///
/// [`Problem::within`] adds the name of the object.
pub fn shown(key: &str) -> &str {
    const MAX_KEY_CHARS: usize = 64;
    if key.is_empty() {
        return ".";
    }
    let end = key.char_indices().nth(MAX_KEY_CHARS).map_or(key.len(), |(end, _)| end);
    &key[..end]
}

/// Returns the problem of an object in `argument` with a member.
fn problem_with(argument: &str, key: &str, message: &str) -> Problem {
    let problem = Problem::new(shown(key), message);
    if argument.is_empty() { problem } else { problem.within(argument) }
}

/// Returns these members, unless there are two with the same key.
fn without_duplicates<'a>(
    members: Vec<(Cow<'a, str>, Json<'a>)>,
    argument: &str,
) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Problem> {
    // Objects with few members need no order, which would allocate.
    const FEW: usize = 16;
    let first_duplicate = if members.len() <= FEW {
        (1..members.len()).find(|&at| members[..at].iter().any(|(key, _)| *key == members[at].0))
    } else {
        let mut order = Vec::new();
        order.try_reserve_exact(members.len()).map_err(|_| Problem::OUT_OF_MEMORY)?;
        order.extend(members.iter().enumerate().map(|(at, (key, _))| (key.as_ref(), at)));
        order.sort_unstable();
        let pairs = order.iter().zip(order.iter().skip(1));
        pairs.filter(|((one, _), (other, _))| one == other).map(|(_, (_, at))| *at).min()
    };
    match first_duplicate {
        Some(at) => Err(problem_with(argument, &members[at].0, "is given twice")),
        None => Ok(members),
    }
}

/// Returns the elements of an array, at most `max + 1` of them.
fn scan_elements(text: &str, max: usize, limit: TimeLimit) -> Result<Vec<Json<'_>>, Fault> {
    let mut elements = Vec::new();
    let add = |_, element| match elements.len() <= max {
        true => push(&mut elements, Json(element)).map_err(|_| Fault::NoMemory),
        false => Ok(()),
    };
    scan(text, limit, add)?;
    Ok(elements)
}

/// Returns the members of an object, whose keys are still JSON.
fn scan_members(text: &str, limit: TimeLimit) -> Result<Vec<(Cow<'_, str>, Json<'_>)>, Fault> {
    let mut members = Vec::new();
    let add = |key: Option<_>, value| {
        push(&mut members, (Cow::Borrowed(key.unwrap_or_default()), Json(value))).map_err(|_| Fault::NoMemory)
    };
    scan(text, limit, add)?;
    Ok(members)
}

/// Decodes the keys of members.
fn decoded<'a>(
    mut members: Vec<(Cow<'a, str>, Json<'a>)>,
    argument: &str,
) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Problem> {
    for (key, _) in &mut members {
        if let Cow::Borrowed(text) = *key {
            *key = Json(text).string(argument)?;
        }
    }
    Ok(members)
}

/// Returns whether serde_json may read this document.
fn is_small(text: &str) -> bool {
    text.len() <= MAX_SMALL_BYTES
}

impl Fault {
    /// Returns the error of a document in an argument.
    fn error(self, argument: &str) -> Error {
        match self {
            Fault::TimeIsUp => TimeIsUp.into(),
            Fault::Malformed(_) | Fault::NoMemory => self.problem(argument).into(),
        }
    }

    /// Returns the problem of a document that was read without a time limit.
    fn problem(self, argument: &str) -> Problem {
        match self {
            Fault::Malformed(at) => Problem::new(argument, format!("is not JSON (at the byte at offset {at})")),
            Fault::TimeIsUp | Fault::NoMemory => Problem::OUT_OF_MEMORY,
        }
    }
}

fn from_str<'a, T: Deserialize<'a>>(text: &'a str, argument: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| malformed(&error, argument))
}

fn malformed(error: &serde_json::Error, argument: &str) -> Problem {
    // serde_json's message never quotes the input.
    Problem::new(argument, format!("is not JSON ({error})"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_of_too_many_digits_is_not_portable() {
        let digits = "1".repeat(1001);
        for (text, is_portable) in [
            (digits.clone(), false),
            (format!("[1.{digits}]"), false),
            (digits[1..].to_owned(), true),
            (format!("\"{digits}\""), true),
            (format!("[{}1]", "1,".repeat(1001)), true),
        ] {
            assert_eq!(Json(&text).is_portable(), is_portable, "{text}");
        }
    }

    proptest! {
        #[test]
        fn picks_the_members_that_members_returns(
            members in prop::collection::vec(("[abc\"\\\\]{0,2}", "[0-9]{1,3}|\\[\\]|\"[^\\p{C}\"\\\\]{0,4}\""), 0..12),
            end in "[ }x]?",
        ) {
            let member = |(key, value): &(String, String)| format!("{}:{value}", serde_json::to_string(key).unwrap_or_default());
            let text = format!("{{{}}}{end}", members.iter().map(member).collect::<Vec<_>>().join(","));
            let picked = Json::pick(&text, "x", ["a", "b"]).map(|all| all.map(|value| value.map(Json::text)));
            let all = Json::members_of(&text, "x");
            let find = |name: &str| all.iter().flatten().find(|(key, _)| key == name).map(|(_, value)| value.text());
            prop_assert_eq!(picked, all.as_ref().map(|_| [find("a"), find("b")]).map_err(Clone::clone));
        }
    }

    #[test]
    fn picks_from_objects_with_escapes_many_members_or_errors() {
        let picked = |text| Json::pick(text, "x", ["a", "b"]).map(|all| all.map(|value| value.map(Json::text)));
        let many: String = (0..20).map(|i| format!(r#""k{i}":{i},"#)).collect();
        let (right, twice) = (format!(r#"{{{many}"b":null,"a":{{}}}}"#), format!(r#"{{{many}"k7":1}}"#));
        for (text, expected) in [
            ("{}", [None, None]),
            (r#" {"b" : [1, {"a":2}] , "":3,"a":"x"} "#, [Some(r#""x""#), Some(r#"[1, {"a":2}]"#)]),
            (r#"{"\u0061":1,"c":2}"#, [Some("1"), None]),
            (&right, [Some("{}"), Some("null")]),
        ] {
            assert_eq!(picked(text), Ok(expected), "{text}");
        }
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"c":1,"b":2,"c":3}"#,
            r#"{"a":1,"\u0061":2}"#,
            &twice,
            r#"{"a":1} x"#,
            r#"{"a":}"#,
            "[]",
            "1",
            "",
        ] {
            let all = Json::members_of(text, "x").map(|_| [None, None]);
            assert!(all.is_err() && picked(text) == all, "{text}: {all:?}");
        }
    }
}
