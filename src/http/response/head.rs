//! The head of a response: its status line and its headers. (RFC 9112, 4 and 5)

use std::mem::MaybeUninit;
use std::time::Duration;

use super::body::Framing;
use super::malformed::{MAX_HEAD_BYTES, MAX_HEADERS, Malformed};
use crate::decimal::decimal;
use crate::rate_limit::RateLimitHeaders;

/// The part of a head that matters to this library.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) framing: Framing,
    /// Whether the head states the body's length: by a header, or by a status without a body.
    pub(super) has_length: bool,
    pub(super) reuse: Reuse,
    pub(super) retry_after: Option<String>,
    pub(super) date: Option<String>,
    pub(super) rate_limit: RateLimitHeaders,
}

/// What the server says about using the connection again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// The connection ends with this response.
    #[default]
    Never,
    /// Nothing: HTTP/1.1 keeps connections by default.
    Unstated,
    /// The connection is kept: for this long, if the server says how long.
    Stated(Option<Duration>),
}

/// What the beginning of the input is.
#[derive(Debug)]
pub(super) enum Parsed {
    /// An incomplete head; its status, if that line is complete.
    Incomplete(Option<u16>),
    /// An interim response (1xx) of this many bytes.
    Interim(usize),
    /// The head of the final response: its status, its bytes and the rest.
    Final(u16, usize, Head),
    /// No head, after a final status if there is one.
    Malformed(Option<u16>, Malformed),
}

/// Parses the beginning of `input`.
pub(super) fn parse(input: &[u8], reads_rate_limit: bool) -> Parsed {
    // httparse skips empty lines before the status line.
    let empty = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let line = &input[empty..];
    let start = line.len().min(VERSION.len());
    if line[..start] != VERSION[..start] {
        return Parsed::Malformed(None, Malformed::Because(NOT_HTTP));
    }
    // Wait for the whole status line: 40 may be the beginning of 401.
    if !line.contains(&b'\n') {
        return too_long_or(input, Parsed::Incomplete(None));
    }
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let parsed = config.parse_response_with_uninit_headers(&mut head, input, &mut headers);
    let status = head.code;
    // `HTTP/1.1 2000` is not a status line. Nor is `HTTP/1.1 099`, which httparse accepts.
    let has_status_line =
        !matches!(parsed, Err(httparse::Error::Status | httparse::Error::Token | httparse::Error::Version));
    if matches!(status, Some(..100)) {
        return Parsed::Malformed(None, Malformed::Because(NOT_HTTP));
    }
    match (parsed, status.filter(|_| has_status_line)) {
        (Ok(httparse::Status::Complete(length)), Some(status)) if length <= MAX_HEAD_BYTES => {
            if is_interim(status) {
                return Parsed::Interim(length);
            }
            match Head::from(status, head.version, head.headers, reads_rate_limit) {
                Ok(head) => Parsed::Final(status, length, head),
                Err(why) => Parsed::Malformed(Some(status), why),
            }
        }
        (Ok(httparse::Status::Partial), status) => {
            too_long_or(input, Parsed::Incomplete(status.filter(|status| !is_interim(*status))))
        }
        (parsed, status) => {
            let status_is_final = status.filter(|status| !is_interim(*status));
            let why = match (parsed, status) {
                (Ok(_), _) => Malformed::Because(TOO_LONG),
                (Err(httparse::Error::TooManyHeaders), _) => Malformed::Because("it has more than 64 headers"),
                (Err(_), None) => Malformed::Because(NOT_HTTP),
                (Err(_), Some(status)) if is_interim(status) => {
                    Malformed::Because("an interim response (1xx) is not HTTP")
                }
                (Err(_), Some(_)) => Malformed::Because("its headers are not HTTP"),
            };
            Parsed::Malformed(status_is_final, why)
        }
    }
}

/// The beginning of every status line, except for the minor version.
const VERSION: &[u8] = b"HTTP/1.";

const NOT_HTTP: &str = "it is not HTTP";

const TOO_LONG: &str = "a line or its head is too long";

fn too_long_or(input: &[u8], parsed: Parsed) -> Parsed {
    match (input.len() < MAX_HEAD_BYTES, parsed) {
        (true, parsed) => parsed,
        (false, Parsed::Incomplete(status)) => Parsed::Malformed(status, Malformed::Because(TOO_LONG)),
        (false, parsed) => parsed,
    }
}

/// Returns whether another response follows. (101 ends HTTP on the connection; this library never
/// asks for that.)
const fn is_interim(status: u16) -> bool {
    matches!(status, 100 | 102..200)
}

impl Head {
    /// Reads the headers by which the body and the connection end. (RFC 9112, 6.3 and 9.3)
    fn from(
        status: u16,
        version: Option<u8>,
        headers: &[httparse::Header<'_>],
        reads_rate_limit: bool,
    ) -> Result<Head, Malformed> {
        let mut length: Option<u64> = None;
        let mut is_chunked = false;
        let mut closes = version != Some(1) || status == 101;
        let mut keeps = false;
        let mut keep_alive = None;
        let (mut retry_after, mut date) = (None, None);
        let mut rate_limit = RateLimitHeaders::default();
        for httparse::Header { name, value } in headers {
            // Compare by length first: most headers are none of these.
            match name.len() {
                14 if name.eq_ignore_ascii_case("content-length") => {
                    let value = decimal(value).ok_or(Malformed::Because("its Content-Length is not a number"))?;
                    // Two lengths, even equal ones, are how responses are smuggled.
                    if length.replace(value).is_some() {
                        return Err(Malformed::Because("it has two Content-Length headers"));
                    }
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    if is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                        return Err(Malformed::Because("its Transfer-Encoding is not `chunked`"));
                    }
                    is_chunked = true;
                }
                10 if name.eq_ignore_ascii_case("connection") => {
                    for option in elements(value) {
                        closes |= option.eq_ignore_ascii_case(b"close");
                        keeps |= option.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                10 if name.eq_ignore_ascii_case("keep-alive") => {
                    keeps = true;
                    keep_alive = elements(value).find_map(keep_alive_timeout).or(keep_alive);
                }
                // Of several, the first counts.
                11 if name.eq_ignore_ascii_case("retry-after") => {
                    retry_after.get_or_insert_with(|| visible_ascii(value));
                }
                4 if name.eq_ignore_ascii_case("date") => {
                    date.get_or_insert_with(|| visible_ascii(value));
                }
                17 | 21 if reads_rate_limit || status >= 300 => rate_limit.take_header(name, value),
                _ => {}
            }
        }
        if is_chunked && version != Some(1) {
            return Err(Malformed::Because("it has a Transfer-Encoding, which HTTP/1.0 does not have"));
        }
        // Chunks win over a length. The two together may be an attempt to smuggle a response, so
        // nothing else is read from the connection.
        closes |= is_chunked && length.is_some();
        let has_no_body = matches!(status, 101 | 204 | 304);
        let framing = match length {
            _ if has_no_body => Framing::Length(0),
            _ if is_chunked => Framing::chunked(),
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        };
        let has_length = framing != Framing::UntilClose;
        let reuse = match (closes || !has_length, keeps) {
            (true, _) => Reuse::Never,
            (false, true) => Reuse::Stated(keep_alive),
            (false, false) => Reuse::Unstated,
        };
        let (retry_after, date) = (retry_after.flatten(), date.flatten());
        Ok(Head { framing, has_length, reuse, retry_after, date, rate_limit })
    }
}

/// Returns the elements of a comma-separated header.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Reads `timeout=N` of `Keep-Alive`, in seconds. Anything else is ignored.
fn keep_alive_timeout(parameter: &[u8]) -> Option<Duration> {
    let at = parameter.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (parameter[..at].trim_ascii(), parameter[at + 1..].trim_ascii());
    if !name.eq_ignore_ascii_case(b"timeout") {
        return None;
    }
    decimal(value).map(Duration::from_secs)
}

fn visible_ascii(value: &[u8]) -> Option<String> {
    let is_visible = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    std::str::from_utf8(value).ok().filter(|_| is_visible).map(str::to_owned)
}
