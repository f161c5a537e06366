//! The oracle: computes the correct report from what happened. It implements the promise of the
//! header a second time, without `src/`.
//!
//! It has two sources. The witness between the client and its kernel knows whether the whole
//! request left. The server's ledger knows which bytes of a response it sent, and how the
//! connection ended. They determine the delivery and the status of each attempt; the attempts and
//! the retry mode determine those of the call.

use std::time::{Duration, SystemTime};

use crate::caller::{Call, MAX_RESPONSE, Mode};
use crate::server::Entry;
use crate::witness::Connection;

/// The fate of the events of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    NotSent,
    Rejected,
    Unknown,
    Delivered,
}

impl Delivery {
    /// All values.
    pub const ALL: [Delivery; 4] = [Delivery::NotSent, Delivery::Rejected, Delivery::Unknown, Delivery::Delivered];

    /// Returns the name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Delivery::NotSent => "not_sent",
            Delivery::Rejected => "rejected",
            Delivery::Unknown => "unknown",
            Delivery::Delivered => "delivered",
        }
    }

    /// Returns the value with this name.
    pub fn from_name(name: &str) -> Option<Delivery> {
        Delivery::ALL.into_iter().find(|delivery| delivery.name() == name)
    }
}

/// An attempt, as the witness and the ledger recorded it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Whether the kernel took all of the request.
    pub whole: bool,
    /// The server's entry, if the attempt reached the server.
    pub entry: Option<Entry>,
    /// Whether a proxy failed before the request could be sent.
    pub tunnel_failed: bool,
}

/// The correct result of an attempt or of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub status: &'static str,
    pub delivery: Delivery,
    /// How long the server asked to wait before another attempt.
    pub retry_after: Option<Duration>,
    /// Whether the server refused it with a 4xx.
    is_refused: bool,
    /// The server's clock, if it refused the request with 401 and a `Date`.
    clock: Option<SystemTime>,
}

impl Verdict {
    /// Returns the verdict of a request that was not sent.
    pub fn not_sent() -> Verdict {
        Verdict::new("NOT_SENT", Delivery::NotSent)
    }

    fn new(status: &'static str, delivery: Delivery) -> Verdict {
        Verdict { status, delivery, retry_after: None, is_refused: false, clock: None }
    }
}

/// The lengths of healthy requests of the same kind.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    /// The request in plain text.
    pub request: usize,
    /// A request that was sent before it on a reused connection.
    pub warm: usize,
}

/// Returns, for each request on this connection within the step, whether the kernel took all of it.
/// Empty for a connection without a request; `None` for one that the client only found stale.
pub fn requests(connection: &Connection, tls: bool, lengths: Lengths) -> Option<Vec<bool>> {
    let skipped = if tls { 0 } else { connection.before.len() };
    let all = [connection.before.as_slice(), &connection.taken].concat();
    let mut complete;
    let begun;
    if tls {
        let records = &all[after_tunnel(&all)..];
        let before = plain_length(&connection.before[after_tunnel(&connection.before)..]).0;
        let (plain, is_partial) = plain_length(records);
        let within = plain - before;
        complete = vec![true; within / lengths.request];
        begun = within % lengths.request > 0 || is_partial;
    } else {
        let mut rest = &all[skipped..];
        complete = Vec::new();
        while let Some(length) = request_length(rest).filter(|length| *length <= rest.len()) {
            complete.push(true);
            rest = &rest[length..];
        }
        begun = !rest.is_empty();
    }
    // A request that the kernel refused before its first byte was begun, too.
    if begun || (connection.refused && connection.offered) {
        complete.push(false);
    }
    match complete.is_empty() {
        true if !connection.is_new => None,
        _ => Some(complete),
    }
}

/// Returns how many requests the connection had carried before.
pub fn requests_before(connection: &Connection, tls: bool, lengths: Lengths) -> usize {
    if tls {
        return plain_length(&connection.before[after_tunnel(&connection.before)..]).0 / lengths.warm;
    }
    let (mut rest, mut count) = (connection.before.as_slice(), 0);
    while let Some(length) = request_length(rest).filter(|length| *length <= rest.len()) {
        (rest, count) = (&rest[length..], count + 1);
    }
    count
}

/// Returns the length of the request at the beginning of these bytes, if its head is complete.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = position(bytes, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?.to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    Some(head + length.map_or(0, |length| length.trim().parse::<usize>().unwrap()))
}

/// Returns the position after a CONNECT, if there is one.
fn after_tunnel(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"CONNECT ") { position(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4) } else { 0 }
}

/// Returns how many plain bytes the complete TLS 1.3 records carry, and whether the last record is
/// truncated. A truncated record carries nothing: it cannot be decrypted.
fn plain_length(mut records: &[u8]) -> (usize, bool) {
    const APPLICATION_DATA: u8 = 0x17;
    /// The content type and the tag.
    const OVERHEAD: usize = 1 + 16;
    /// The first encrypted record is the client's Finished; an alert has two bytes.
    const ALERT: usize = 2;
    let (mut plain, mut finished) = (0, false);
    while !records.is_empty() {
        let length = |records: &[u8]| 5 + usize::from(u16::from_be_bytes([records[3], records[4]]));
        if records.len() < 5 || records.len() < length(records) {
            return (plain, finished);
        }
        if records[0] == APPLICATION_DATA {
            let carried = length(records) - 5 - OVERHEAD;
            match finished {
                true if carried > ALERT => plain += carried,
                _ => finished = true,
            }
        }
        records = &records[length(records)..];
    }
    (plain, false)
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Returns the verdict on this attempt.
pub fn verdict(attempt: &Attempt, call: Call, tls: bool) -> Verdict {
    let answer = match (&attempt.entry, attempt.tunnel_failed) {
        (Some(entry), false) => read_answer(&entry.answer_sent, End::of(entry, tls)),
        _ => Answer::None,
    };
    let lost = |status| Verdict::new(status, Delivery::Unknown);
    match answer {
        // "A failure before the last byte left, with no final status received."
        Answer::None if !attempt.whole => Verdict::not_sent(),
        // "Last byte left, and no valid status line."
        Answer::None => lost("DELIVERY_UNKNOWN"),
        Answer::Final { status: 200..300, .. } if !attempt.whole => lost("BAD_RESPONSE"),
        Answer::Final { status: 200..300, body: None, .. } => lost("BAD_RESPONSE"),
        Answer::Final { status: 200..300, body: Some(body), headers } => match serde_json::from_slice(&body) {
            Ok(json) => error_inside(&json)
                .map_or(Verdict::new("OK", Delivery::Delivered), |code| refusal(code, call, &headers)),
            Err(_) if body.is_empty() => Verdict::new("OK", Delivery::Delivered),
            Err(_) => lost("BAD_RESPONSE"),
        },
        Answer::Final { status, headers, .. } => refusal(status, call, &headers),
    }
}

/// Returns the verdict on a status other than 2xx.
fn refusal(http_status: u16, call: Call, headers: &Headers) -> Verdict {
    use Delivery::{Rejected, Unknown};
    // Servers apply the events in order and stop at the bad one.
    let in_part = if call.channels().len() == 1 { Rejected } else { Unknown };
    let (status, delivery) = match http_status {
        300..400 => ("REDIRECTED", Rejected),
        401 => ("UNAUTHORIZED", Rejected),
        403 => ("FORBIDDEN", Rejected),
        404 => ("NOT_FOUND", Rejected),
        405 | 407 | 415 => ("BAD_REQUEST", Rejected),
        413 => ("PAYLOAD_TOO_LARGE", in_part),
        429 => ("RATE_LIMITED", Rejected),
        400..500 => ("BAD_REQUEST", in_part),
        500..600 => ("SERVER_ERROR", Unknown),
        // HTTP has no such final status.
        _ => ("DELIVERY_UNKNOWN", Unknown),
    };
    let date = header(headers, "date").and_then(|date| httpdate::parse_http_date(date).ok());
    Verdict {
        status,
        delivery,
        retry_after: header(headers, "retry-after").and_then(|value| retry_after(value, date)),
        is_refused: (400..500).contains(&http_status),
        clock: date.filter(|_| http_status == 401),
    }
}

/// `{"error":…,"code":400…599}` within a 2xx: one self-hosted server answers so.
fn error_inside(json: &serde_json::Value) -> Option<u16> {
    json.get("error")?;
    json.get("code")?.as_u64().filter(|code| (400..600).contains(code)).map(|code| code as u16)
}

/// How the server's side of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By FIN, under TLS after a close_notify.
    Clean,
    /// In another way, or not at all.
    Unclean,
}

impl End {
    fn of(entry: &Entry, tls: bool) -> End {
        if entry.then == "fin" && !(tls && entry.without_close_notify) { End::Clean } else { End::Unclean }
    }
}

/// A response, read by the rules of HTTP/1.1. (RFC 9112, 6.3 and 7.1)
enum Answer {
    /// No valid final status line came.
    None,
    Final {
        status: u16,
        headers: Headers,
        /// `None` if it is incomplete, or cannot be distinguished from an incomplete one.
        body: Option<Vec<u8>>,
    },
}

/// Returns the final status of this response, if there is one.
pub fn status(answer: &[u8]) -> Option<u16> {
    match read_answer(answer, End::Unclean) {
        Answer::Final { status, .. } => Some(status),
        Answer::None => None,
    }
}

fn read_answer(mut bytes: &[u8], end: End) -> Answer {
    loop {
        let Some((line, rest)) = line_of(bytes) else { return Answer::None };
        if line.is_empty() {
            // Accept an empty line before the status line.
            bytes = rest;
            continue;
        }
        let Some(status) = status_of(line) else { return Answer::None };
        let is_old = line.starts_with(b"HTTP/1.0");
        let head = head_of(rest);
        if (100..200).contains(&status) && status != 101 {
            match head {
                Some((_, after)) => bytes = after,
                None => return Answer::None,
            }
            continue;
        }
        let Some((lines, after)) = head else { return Answer::Final { status, headers: Vec::new(), body: None } };
        let headers = headers(&lines);
        let body = headers.as_ref().and_then(|headers| body(status, is_old, headers, after, end));
        return Answer::Final { status, headers: headers.unwrap_or_default(), body };
    }
}

/// Returns the first line and the bytes after it. A bare LF ends a line as well. (RFC 9112, 2.2)
fn line_of(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = position(bytes, b"\n")?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

/// Returns the lines up to an empty one, and the bytes after that.
fn head_of(mut bytes: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let mut lines = Vec::new();
    loop {
        let (line, rest) = line_of(bytes)?;
        if line.is_empty() {
            return Some((lines, rest));
        }
        lines.push(line);
        bytes = rest;
    }
}

fn status_of(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "))?;
    let (digits, reason) = rest.split_at_checked(3)?;
    let is_line = digits.bytes().all(|byte| byte.is_ascii_digit()) && (reason.is_empty() || reason.starts_with(' '));
    digits.parse().ok().filter(|_| is_line)
}

type Headers = Vec<(String, String)>;

/// Returns the headers, or `None` if they are malformed.
fn headers(lines: &[&[u8]]) -> Option<Headers> {
    const MAX_HEADERS: usize = 64;
    let pair = |line: &&[u8]| {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        (is_token && !value.contains(['\0', '\r'])).then(|| (name.to_lowercase(), value.trim().to_owned()))
    };
    lines.iter().map(pair).collect::<Option<Headers>>().filter(|headers| headers.len() <= MAX_HEADERS)
}

fn header<'a>(headers: &'a Headers, wanted: &str) -> Option<&'a str> {
    headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

/// Returns the body, unless two readers might disagree on where it ends. (RFC 9112, 6.1 to 6.3 and 7.1)
fn body(status: u16, is_old: bool, headers: &Headers, bytes: &[u8], end: End) -> Option<Vec<u8>> {
    let count = |wanted: &str| headers.iter().filter(|(name, _)| name == wanted).count();
    let codings = count("transfer-encoding");
    if codings > 1 || count("content-length") > 1 || (is_old && codings > 0) {
        return None;
    }
    let body = if status == 204 {
        Vec::new()
    } else if let Some(coding) = header(headers, "transfer-encoding") {
        if coding != "chunked" {
            return None;
        }
        dechunked(bytes)?
    } else if let Some(length) = header(headers, "content-length") {
        let length: usize = digits(length, 10)?;
        bytes.get(..length)?.to_vec()
    } else if end == End::Clean && !bytes.is_empty() {
        bytes.to_vec()
    } else {
        // An empty body without a length may be truncated.
        return None;
    };
    Some(body).filter(|body| body.len() <= MAX_RESPONSE)
}

/// Returns the number with these digits. Rust would accept a sign.
fn digits(text: &str, radix: u32) -> Option<usize> {
    let are_digits = text.chars().all(|character| character.is_digit(radix));
    usize::from_str_radix(text, radix).ok().filter(|_| are_digits)
}

fn dechunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = position(bytes, b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..line]).ok()?;
        let size = size.split_once(';').map_or(size, |(size, _)| size.trim_end_matches([' ', '\t']));
        // Longer ones overflow, or are made to.
        let size = digits(size, 16).filter(|_| size.len() <= 16)?;
        bytes = &bytes[line + 2..];
        if size == 0 {
            // The trailer: lines up to an empty one.
            return (bytes.starts_with(b"\r\n") || position(bytes, b"\r\n\r\n").is_some()).then_some(body);
        }
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

/// Returns how long the server asks to wait: in seconds, or until a date, counted from its own
/// `Date`. (RFC 9110, 10.2.3)
fn retry_after(value: &str, date: Option<SystemTime>) -> Option<Duration> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(date.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

/// Returns whether this mode retries after these verdicts. `is_temporary` says whether the failure
/// of an attempt that was not sent may be temporary: a bad certificate and a proxy's refusal are
/// not.
pub fn retries(verdicts: &[Verdict], mode: Mode, tls: bool, is_temporary: bool) -> bool {
    let last = verdicts.last().expect("an attempt");
    let safe = match last.delivery {
        Delivery::NotSent => is_temporary,
        Delivery::Rejected => last.status == "RATE_LIMITED" || corrects_clock(verdicts, tls),
        Delivery::Unknown | Delivery::Delivered => false,
    };
    match mode {
        Mode::Never => false,
        Mode::Safe => safe,
        // The server would refuse it with a 4xx again, after applying the events before the bad one
        // again.
        Mode::Keys | Mode::AtLeastOnce => safe || (last.delivery == Delivery::Unknown && !last.is_refused),
    }
}

/// Returns whether the client corrects its clock: after a 401 over TLS with a `Date` more than 600
/// s off. This happens once; then its clock is right.
fn corrects_clock(verdicts: &[Verdict], tls: bool) -> bool {
    const WINDOW: Duration = Duration::from_secs(600);
    let now = SystemTime::now();
    let is_off = |verdict: &Verdict| {
        let apart = |clock: SystemTime| clock.duration_since(now).or_else(|_| now.duration_since(clock)).unwrap();
        verdict.clock.is_some_and(|clock| apart(clock) > WINDOW)
    };
    tls && verdicts.last().is_some_and(is_off) && verdicts.iter().filter(|verdict| is_off(verdict)).count() == 1
}

/// Returns the verdict on a call with these attempts: that of the last one. But a failed attempt
/// does not replace an earlier `unknown`, which may have been delivered.
pub fn of_call(attempts: &[Verdict]) -> Verdict {
    let last = attempts.last().expect("an attempt");
    let doubt = attempts.iter().find(|verdict| verdict.delivery == Delivery::Unknown);
    match last.delivery {
        Delivery::Delivered => last.clone(),
        _ => doubt.unwrap_or(last).clone(),
    }
}
