//! Observations: the start and the end of each call and each attempt, with their times. They never hold a secret, a query
//! string, a payload or the value of a header.

use crate::decimal::{MAX_DIGITS, write_digits};

/// The kind of an observation.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A call has begun. An event of a publisher has waited in the queue before that.
    CallStart = 1,
    /// An attempt begins: its request is signed, and is about to be sent.
    AttemptStart = 2,
    /// An attempt has ended.
    AttemptEnd = 3,
    /// A call has ended, with its last attempt.
    CallEnd = 4,
}

/// Receives observations, on the thread that makes the call.
pub trait Observer: Send + Sync {
    /// Receives an observation of the call with this id. `fields` is a JSON object in ASCII, and a NUL after it.
    fn observe(&self, kind: Observation, call_id: u64, fields: &[u8]);
}

/// The longest path in an observation. A longer one is cut.
const MAX_PATH_BYTES: usize = 400;

/// Room for an object with the longest path, and for one with all times of an attempt.
const SIZE: usize = 704;

/// The last bytes of an object: its end and a NUL.
const END: &[u8; 2] = b"}\0";

/// The JSON object of an observation. One place serves all observations of a call, and is not on the heap: an observer costs no
/// allocation, and members that several observations have are written once.
///
/// What does not fit is left out, so the size leaves room for the longest values. The names of members are arrays, because copies
/// of a size that the compiler knows take few instructions.
pub struct Fields {
    bytes: [u8; SIZE],
    length: usize,
}

impl Fields {
    /// Returns an empty place, which [`Fields::begin`] begins.
    #[inline(always)]
    pub const fn new() -> Fields {
        Fields { bytes: [0; SIZE], length: 0 }
    }

    /// Writes `{"call":"…"`.
    #[inline]
    pub fn begin(&mut self, call: &str) -> &mut Fields {
        self.return_to(0).push(br#"{"call":""#).append(call.as_bytes()).push(b"\"")
    }

    /// Returns the length of what is written.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Removes the members after an earlier length.
    #[inline]
    pub fn return_to(&mut self, length: usize) -> &mut Fields {
        self.length = length;
        self
    }

    /// Writes a number. `key` is the member's name with a comma, its quotes and a colon: `,"attempt":`.
    #[inline(always)]
    pub fn number<const N: usize>(&mut self, key: &[u8; N], value: u64) -> &mut Fields {
        let end = self.length + N + MAX_DIGITS + END.len();
        let place = self.bytes.get_mut(self.length..end).and_then(<[u8]>::split_first_chunk_mut);
        if let Some((name, rest)) = place {
            *name = *key;
            if let Some(digits) = rest.first_chunk_mut() {
                self.length += N + write_digits(digits, value);
            }
        }
        self
    }

    /// Writes a time in nanoseconds as one in microseconds. `key` is as for a number.
    #[inline(always)]
    pub fn micros<const N: usize>(&mut self, key: &[u8; N], nanos: u64) -> &mut Fields {
        self.number(key, nanos / 1000)
    }

    /// Writes a word that needs no escaping. `key` is as for a number.
    #[inline]
    pub fn word<const N: usize>(&mut self, key: &[u8; N], value: &str) -> &mut Fields {
        self.push(key).push(b"\"").append(value.as_bytes()).push(b"\"")
    }

    /// Writes a path, which needs no escaping either, and a quotation mark. `key` has the one before it: `,"path":"`.
    #[inline]
    pub fn path<const N: usize>(&mut self, key: &[u8; N], path: &str) -> &mut Fields {
        let bytes = path.as_bytes();
        self.push(key).append(bytes.get(..MAX_PATH_BYTES).unwrap_or(bytes)).push(b"\"")
    }

    /// Ends the object, and returns it with a NUL after it. More members can be written to it later.
    #[inline]
    pub fn finish(&mut self) -> &[u8] {
        let end = self.length + END.len();
        match self.bytes.get_mut(..end) {
            Some(whole) => {
                whole[self.length..].copy_from_slice(END);
                whole
            }
            None => b"{}\0",
        }
    }

    /// Appends bytes whose number the compiler knows, which takes few instructions.
    #[inline(always)]
    pub fn push<const N: usize>(&mut self, bytes: &[u8; N]) -> &mut Fields {
        // There is always room for the end.
        if let Some(place) = self.bytes[..SIZE - END.len()].get_mut(self.length..).and_then(<[u8]>::first_chunk_mut) {
            *place = *bytes;
            self.length += N;
        }
        self
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> &mut Fields {
        if let Some(place) = self.bytes[..SIZE - END.len()].get_mut(self.length..self.length + bytes.len()) {
            place.copy_from_slice(bytes);
            self.length += bytes.len();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(fields: &mut Fields) -> String {
        let bytes = fields.finish();
        assert_eq!(bytes.iter().position(|byte| *byte == 0), Some(bytes.len() - 1));
        String::from_utf8(bytes[..bytes.len() - 1].to_vec()).unwrap()
    }

    #[test]
    fn fields_are_a_json_object() {
        let mut fields = Fields::new();
        fields.begin("trigger");
        fields.number(br#","attempt":"#, 0).number(br#","most":"#, u64::MAX).push(br#","reused":true"#);
        fields.micros(br#","wait_us":"#, 1_234_567_999).word(br#","status":"#, "OK");
        fields.path(br#","path":""#, "/apps/1/events");
        let expected = concat!(
            r#"{"call":"trigger","attempt":0,"most":18446744073709551615,"reused":true,"wait_us":1234567,"#,
            r#""status":"OK","path":"/apps/1/events"}"#
        );
        assert_eq!(text(&mut fields), expected);
    }

    #[test]
    fn later_members_replace_those_of_an_observation_before() {
        let mut fields = Fields::new();
        let start = fields.begin("get").length();
        assert_eq!(text(fields.number(br#","attempt":"#, 12_345)), r#"{"call":"get","attempt":12345}"#);
        assert_eq!(text(&mut fields), r#"{"call":"get","attempt":12345}"#);
        assert_eq!(text(fields.return_to(start).number(br#","n":"#, 7)), r#"{"call":"get","n":7}"#);
        assert_eq!(text(fields.return_to(start)), r#"{"call":"get"}"#);
    }

    #[test]
    fn a_long_path_is_cut() {
        let path = "/".repeat(5000);
        let expected = format!(r#"{{"call":"get","path":"{}"}}"#, &path[..400]);
        assert_eq!(text(Fields::new().begin("get").path(br#","path":""#, &path)), expected);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut fields = Fields::new();
        fields.begin("trigger");
        for _ in 0..100 {
            fields.number(br#","n":"#, u64::MAX);
        }
        for _ in 0..100 {
            fields.push(b",").word(br#""w":"#, "word");
        }
        let bytes = fields.finish();
        assert!(bytes.len() <= SIZE && bytes.starts_with(br#"{"call":"trigger","n":"#) && bytes.ends_with(END));
    }
}
