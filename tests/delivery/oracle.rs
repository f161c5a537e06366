//! What a client has to say, from what really happened: the promise of the header, written down once more and not from `src/`.
//!
//! Two witnesses are heard. The one between the client and its kernel knows whether the whole request left. The server's ledger
//! knows which bytes of an answer came, and how the connection then ended. From these two follow delivery and status of each
//! attempt, and from the attempts and the retry mode those of the call.

use std::time::{Duration, SystemTime};

use crate::caller::{Call, MAX_RESPONSE, Mode};
use crate::server::Entry;
use crate::witness::Connection;

/// What became of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    NotSent,
    Rejected,
    Unknown,
    Delivered,
}

impl Delivery {
    /// All of them.
    pub const ALL: [Delivery; 4] = [Delivery::NotSent, Delivery::Rejected, Delivery::Unknown, Delivery::Delivered];

    /// The word in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Delivery::NotSent => "not_sent",
            Delivery::Rejected => "rejected",
            Delivery::Unknown => "unknown",
            Delivery::Delivered => "delivered",
        }
    }

    /// The one with this word.
    pub fn from_name(name: &str) -> Option<Delivery> {
        Delivery::ALL.into_iter().find(|delivery| delivery.name() == name)
    }
}

/// An attempt, as both witnesses saw it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Whether the kernel took all of the request.
    pub whole: bool,
    /// What the server says of it, if it reached the server.
    pub entry: Option<Entry>,
    /// Whether a proxy stood in the way before the request could be sent.
    pub tunnel_failed: bool,
}

/// What has to be said of an attempt, or of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub status: &'static str,
    pub delivery: Delivery,
    /// How long the server asked to wait before another attempt.
    pub retry_after: Option<Duration>,
    /// Whether the server refused it by a 4xx.
    is_refused: bool,
    /// By which clock the server found the request's time wrong, perhaps.
    clock: Option<SystemTime>,
}

impl Verdict {
    /// Nothing was sent.
    pub fn not_sent() -> Verdict {
        Verdict::new("NOT_SENT", Delivery::NotSent)
    }

    fn new(status: &'static str, delivery: Delivery) -> Verdict {
        Verdict { status, delivery, retry_after: None, is_refused: false, clock: None }
    }
}

/// How much of a request a connection was to carry: the lengths that are known from a healthy request of the same kind.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    /// The plain request, from its first byte to its last.
    pub request: usize,
    /// One of those that went before it on a used connection.
    pub warm: usize,
}

/// The requests that this connection carried within the step: for each, whether the kernel took all of it. Empty for a connection
/// on which none was begun; `None` for one that was merely found stale.
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
    // Offered and refused before its first byte is a request that was begun, too.
    if begun || (connection.refused && connection.offered) {
        complete.push(false);
    }
    match complete.is_empty() {
        true if !connection.is_new => None,
        _ => Some(complete),
    }
}

/// How many requests it had carried before.
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

/// The length of the request at the beginning of these bytes, if its head is there.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = position(bytes, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?.to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    Some(head + length.map_or(0, |length| length.trim().parse::<usize>().unwrap()))
}

/// Where the bytes behind a CONNECT begin.
fn after_tunnel(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"CONNECT ") { position(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4) } else { 0 }
}

/// How many plain bytes of requests whole records of TLS 1.3 carry, and whether the last record is cut. A cut record carries nothing:
/// it can't be decrypted.
fn plain_length(mut records: &[u8]) -> (usize, bool) {
    const APPLICATION_DATA: u8 = 0x17;
    /// The type of the content, and the tag.
    const OVERHEAD: usize = 1 + 16;
    /// The first record under encryption is the client's Finished; an alert has two bytes.
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

/// What has to be said of this attempt.
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

/// What a status that is no 2xx means.
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

/// How the server's side ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// In order: FIN, under TLS after close_notify.
    Clean,
    /// In any other way, or not at all.
    Unclean,
}

impl End {
    fn of(entry: &Entry, tls: bool) -> End {
        if entry.then == "fin" && !(tls && entry.without_goodbye) { End::Clean } else { End::Unclean }
    }
}

/// An answer as HTTP/1.1 reads it. (RFC 9112, 6.3 and 7.1)
enum Answer {
    /// No valid final status line came.
    None,
    Final {
        status: u16,
        headers: Headers,
        /// `None` if it did not come whole, or can't be told from one that did not.
        body: Option<Vec<u8>>,
    },
}

/// The final status of this answer, if one came.
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
            // An empty line before the status line hurts nobody.
            bytes = rest;
            continue;
        }
        let Some(status) = status_of(line) else { return Answer::None };
        let head = head_of(rest);
        if (100..200).contains(&status) && status != 101 {
            match head {
                Some((_, behind)) => bytes = behind,
                None => return Answer::None,
            }
            continue;
        }
        let Some((lines, behind)) = head else { return Answer::Final { status, headers: Vec::new(), body: None } };
        let headers = headers(&lines);
        let body = headers.as_ref().and_then(|headers| body(status, headers, behind, end));
        return Answer::Final { status, headers: headers.unwrap_or_default(), body };
    }
}

/// The line at the beginning of these bytes, and what comes behind it. A bare LF ends a line as well. (RFC 9112, 2.2)
fn line_of(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = position(bytes, b"\n")?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

/// The lines up to an empty one, and what comes behind that.
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

/// The headers, or `None` if that is not what they are: then nobody can say what they mean.
fn headers(lines: &[&[u8]]) -> Option<Headers> {
    const MOST: usize = 64;
    let pair = |line: &&[u8]| {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        (!value.contains(['\0', '\r'])).then(|| (name.to_lowercase(), value.trim().to_owned()))
    };
    lines.iter().map(pair).collect::<Option<Headers>>().filter(|headers| headers.len() <= MOST)
}

fn header<'a>(headers: &'a Headers, wanted: &str) -> Option<&'a str> {
    headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

fn body(status: u16, headers: &Headers, bytes: &[u8], end: End) -> Option<Vec<u8>> {
    let body = if status == 204 {
        Vec::new()
    } else if let Some(coding) = header(headers, "transfer-encoding") {
        if coding != "chunked" {
            return None;
        }
        dechunked(bytes)?
    } else if let Some(length) = header(headers, "content-length") {
        if headers.iter().any(|(name, value)| name == "content-length" && value != length) {
            return None;
        }
        let length: usize = length.parse().ok()?;
        bytes.get(..length)?.to_vec()
    } else if end == End::Clean && !bytes.is_empty() {
        bytes.to_vec()
    } else {
        // Empty without a length may as well be cut.
        return None;
    };
    Some(body).filter(|body| body.len() <= MAX_RESPONSE)
}

fn dechunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = position(bytes, b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        bytes = &bytes[line + 2..];
        if size == 0 {
            // The trailer: lines up to an empty one.
            return (bytes.starts_with(b"\r\n") || position(bytes, b"\r\n\r\n").is_some()).then_some(body);
        }
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

/// How long the server asks to wait, in seconds or until a date, which counts from its own. (RFC 9110, 10.2.3)
fn retry_after(value: &str, date: Option<SystemTime>) -> Option<Duration> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(date.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

/// Whether this mode sends again after these verdicts. `passes` says whether what broke an attempt that was not sent can pass by
/// itself: a certificate and a proxy's no can't.
pub fn sends_again(verdicts: &[Verdict], mode: Mode, tls: bool, passes: bool) -> bool {
    let last = verdicts.last().expect("an attempt");
    let safe = match last.delivery {
        Delivery::NotSent => passes,
        Delivery::Rejected => last.status == "RATE_LIMITED" || corrects_clock(verdicts, tls),
        Delivery::Unknown | Delivery::Delivered => false,
    };
    match mode {
        Mode::Never => false,
        Mode::Safe => safe,
        // What was refused with a 4xx would be refused again, after what was done before it.
        Mode::AtLeastOnce => safe || (last.delivery == Delivery::Unknown && !last.is_refused),
    }
}

/// "A 401 over TLS, and a `Date` more than 600 s off: sign with the server's time from then on." Once: then it is no longer off.
fn corrects_clock(verdicts: &[Verdict], tls: bool) -> bool {
    const WINDOW: Duration = Duration::from_secs(600);
    let now = SystemTime::now();
    let is_off = |verdict: &Verdict| {
        let apart = |clock: SystemTime| clock.duration_since(now).or_else(|_| now.duration_since(clock)).unwrap();
        verdict.clock.is_some_and(|clock| apart(clock) > WINDOW)
    };
    tls && verdicts.last().is_some_and(is_off) && verdicts.iter().filter(|verdict| is_off(verdict)).count() == 1
}

/// What has to be said of a call that took these attempts: the last one's verdict. But what may have been delivered once is not made
/// undone by a later attempt that failed.
pub fn of_call(attempts: &[Verdict]) -> Verdict {
    let last = attempts.last().expect("an attempt");
    let doubt = attempts.iter().find(|verdict| verdict.delivery == Delivery::Unknown);
    match last.delivery {
        Delivery::Delivered => last.clone(),
        _ => doubt.unwrap_or(last).clone(),
    }
}
