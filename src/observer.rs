//! Observations: the start and the end of each call and each attempt, with their times. They never hold a secret, a query
//! string, a payload or the value of a header. This module uses no other.

use std::time::Duration;

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

/// Room for an object without a path and without times of phases.
pub(crate) const SHORT: usize = 256;

/// Room for an object with a path.
pub(crate) const WITH_PATH: usize = 640;

/// Room for an object with all times of an attempt.
pub(crate) const WITH_TIMES: usize = 704;

/// The JSON object of an observation. It is written to the stack: an observer costs no allocation.
///
/// What does not fit is left out, so the sizes leave room for the longest values. The names of members are arrays, because copies
/// of a size that the compiler knows take few instructions.
pub struct Fields<const SIZE: usize> {
    bytes: [u8; SIZE],
    length: usize,
}

impl<const SIZE: usize> Fields<SIZE> {
    /// Returns room for an object, which [`Fields::begin`] begins.
    #[inline(always)]
    pub fn new() -> Fields<SIZE> {
        Fields { bytes: [0; SIZE], length: 0 }
    }

    /// Writes `{"call":"…"`.
    #[inline]
    pub fn begin(&mut self, call: &str) -> &mut Fields<SIZE> {
        self.push(br#"{"call":""#).append(call.as_bytes()).push(b"\"")
    }

    /// Writes a number. `key` is the member's name with a comma, its quotes and a colon: `,"attempt":`.
    #[inline]
    pub fn number<const N: usize>(&mut self, key: &[u8; N], value: u64) -> &mut Fields<SIZE> {
        self.push(key).digits(value)
    }

    /// Writes a time in microseconds. `key` is as for a number.
    #[inline]
    pub fn micros<const N: usize>(&mut self, key: &[u8; N], value: Duration) -> &mut Fields<SIZE> {
        let micros = value.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(value.subsec_micros()));
        self.number(key, micros)
    }

    /// Writes a boolean. `key` is as for a number.
    #[inline]
    pub fn boolean<const N: usize>(&mut self, key: &[u8; N], value: bool) -> &mut Fields<SIZE> {
        self.push(key);
        if value { self.push(b"true") } else { self.push(b"false") }
    }

    /// Writes a word that needs no escaping. `key` is as for a number.
    #[inline]
    pub fn word<const N: usize>(&mut self, key: &[u8; N], value: &str) -> &mut Fields<SIZE> {
        self.push(key).push(b"\"").append(value.as_bytes()).push(b"\"")
    }

    /// Writes the path of a target without its query, which holds the signature. `key` is as for a number.
    #[inline]
    pub fn path<const N: usize>(&mut self, key: &[u8; N], target: &str) -> &mut Fields<SIZE> {
        let longest = target.as_bytes().get(..MAX_PATH_BYTES).unwrap_or(target.as_bytes());
        let length = longest.iter().position(|byte| ENDS_PATH[usize::from(*byte)]).unwrap_or(longest.len());
        self.push(key).push(b"\"").append(&longest[..length]).push(b"\"")
    }

    /// Returns the object, and a NUL after it.
    #[inline]
    pub fn finish(&mut self) -> &[u8] {
        self.push(b"}\0");
        self.bytes.get(..self.length).unwrap_or(b"{}\0")
    }

    /// Appends bytes whose number the compiler knows, which takes few instructions.
    #[inline(always)]
    pub fn push<const N: usize>(&mut self, bytes: &[u8; N]) -> &mut Fields<SIZE> {
        if let Some(place) = self.bytes.get_mut(self.length..).and_then(<[u8]>::first_chunk_mut) {
            *place = *bytes;
            self.length += N;
        }
        self
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> &mut Fields<SIZE> {
        if let Some(place) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            place.copy_from_slice(bytes);
            self.length += bytes.len();
        }
        self
    }

    #[inline(always)]
    fn digits(&mut self, value: u64) -> &mut Fields<SIZE> {
        match value {
            0..10 => self.push(&[b'0' + value as u8]),
            10..10_000 => self.four_digits(value as u32),
            _ => self.many_digits(value),
        }
    }

    /// Writes a number of at most four digits.
    #[inline(always)]
    fn four_digits(&mut self, value: u32) -> &mut Fields<SIZE> {
        // The digits that count move to the front, and the next member overwrites what is after them.
        let digits = four_digits(value);
        let zeros = digits.trailing_zeros() / 8;
        let end = self.length + 4;
        self.push(&((digits | 0x3030_3030) >> (8 * zeros)).to_le_bytes());
        if self.length == end {
            self.length -= zeros as usize;
        }
        self
    }

    /// Writes a number of more than four digits.
    #[inline(never)]
    fn many_digits(&mut self, value: u64) -> &mut Fields<SIZE> {
        self.digits(value / 10_000);
        self.push(&(four_digits((value % 10_000) as u32) | 0x3030_3030).to_le_bytes())
    }
}

/// Returns the four decimal digits of a number that is less than 10,000, the first one in the lowest byte.
#[inline(always)]
fn four_digits(value: u32) -> u32 {
    // Two numbers of two digits, then four of one, side by side. A quotient is a product and a shift.
    let twos = (value / 100) | ((value % 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f;
    tens | ((twos - 10 * tens) << 8)
}

/// The bytes that a path ends before: the query, and whatever a string of JSON may not have, although a target has nothing of
/// that.
static ENDS_PATH: [bool; 256] = {
    let mut ends = [true; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        ends[byte as usize] = matches!(byte, b'?' | b'"' | b'\\');
        byte += 1;
    }
    ends
};

#[cfg(test)]
mod tests {
    use super::*;

    fn text<const SIZE: usize>(fields: &mut Fields<SIZE>) -> String {
        let bytes = fields.finish();
        assert_eq!(bytes.iter().position(|byte| *byte == 0), Some(bytes.len() - 1));
        String::from_utf8(bytes[..bytes.len() - 1].to_vec()).unwrap()
    }

    #[test]
    fn fields_are_a_json_object() {
        let mut fields = Fields::<SHORT>::new();
        fields
            .begin("trigger")
            .number(br#","attempt":"#, 0)
            .number(br#","most":"#, u64::MAX)
            .boolean(br#","reused":"#, true);
        fields.micros(br#","wait_us":"#, Duration::from_nanos(1_234_567_999)).word(br#","status":"#, "OK");
        fields.path(br#","path":"#, "/apps/1/events?auth_signature=x");
        let expected = concat!(
            r#"{"call":"trigger","attempt":0,"most":18446744073709551615,"reused":true,"wait_us":1234567,"#,
            r#""status":"OK","path":"/apps/1/events"}"#
        );
        assert_eq!(text(&mut fields), expected);
    }

    #[test]
    fn numbers_are_decimal() {
        for value in (0..1100).chain((0..64).map(|bit| 1 << bit)).chain([9_999, 10_000, u64::MAX]) {
            let mut fields = Fields::<SHORT>::new();
            fields.begin("x");
            assert_eq!(text(fields.number(br#","n":"#, value)), format!(r#"{{"call":"x","n":{value}}}"#));
        }
    }

    #[test]
    fn a_path_is_cut_and_ends_before_what_would_need_escaping() {
        let long = "/".repeat(5000);
        for (target, path) in [("/a\"b", "/a"), ("/a\\", "/a"), ("/a\n", "/a"), ("/\u{e9}", "/"), (&long, &long[..400])]
        {
            let mut fields = Fields::<WITH_PATH>::new();
            fields.begin("get");
            assert_eq!(text(fields.path(br#","path":"#, target)), format!(r#"{{"call":"get","path":"{path}"}}"#));
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut fields = Fields::<60>::new();
        fields.begin("trigger");
        for _ in 0..100 {
            fields.number(br#","n":"#, u64::MAX);
        }
        let bytes = fields.finish();
        assert!(bytes.len() <= 60 && bytes.starts_with(br#"{"call":"trigger","n":"#));
    }
}
