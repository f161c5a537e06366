//! Responses for two readers: valid ones of the whole grammar, and mutated ones.

use std::collections::VecDeque;
use std::ops::Range;

use super::super::{MAX_HEAD_BYTES, MAX_HEADERS};
use super::outcome::{MAX_BODY_BYTES, Outcome, Reading};
use random::Random;

// Other tests use the rest of it.
#[allow(dead_code)]
#[path = "../../../../tests/support/random.rs"]
mod random;

/// A response as the bytes of a connection, which ends after the last of them.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) bytes: Vec<u8>,
    /// The lengths of the pieces in which the bytes arrive.
    pub(super) pieces: Vec<usize>,
    /// What a reader must make of the bytes, if they are valid.
    pub(super) expected: Option<Outcome>,
}

impl Case {
    /// Returns a case whose bytes arrive at once, and of which nothing is expected.
    pub(super) fn whole(bytes: Vec<u8>) -> Case {
        Case { pieces: vec![bytes.len()], bytes, expected: None }
    }

    /// Returns the case with `to` in each place of `from`, arriving at once.
    pub(super) fn with(&self, from: &[u8], to: &[u8]) -> Case {
        let mut bytes = self.bytes.clone();
        for place in find(&self.bytes, from).into_iter().rev() {
            bytes.splice(place..place + from.len(), to.iter().copied());
        }
        Case::whole(bytes)
    }
}

/// One in this many small responses is cut after each of its bytes.
const CUT_ONE_IN: usize = 2000;

/// The longest response that is cut after each of its bytes.
const SMALL_BYTES: usize = 160;

/// An endless sequence of cases, which depends on the seed only.
pub(super) struct Generator {
    random: Random,
    /// Cuts of a small response.
    cuts: VecDeque<Case>,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Generator {
        Generator { random: Random::new(seed), cuts: VecDeque::new() }
    }

    pub(super) fn next(&mut self) -> Case {
        if let Some(cut) = self.cuts.pop_front() {
            return cut;
        }
        let mut case = valid(&mut self.random);
        if case.bytes.len() <= SMALL_BYTES && self.random.below(CUT_ONE_IN) == 0 {
            self.cuts = (0..case.bytes.len()).map(|end| Case::whole(case.bytes[..end].to_vec())).collect();
        }
        if self.random.below(4) > 0 {
            for _ in 0..self.random.one_of(&[1, 1, 1, 2, 3]) {
                mutate(&mut self.random, &mut case.bytes);
            }
            case.expected = None;
        }
        case.pieces = pieces(&mut self.random, case.bytes.len());
        case
    }
}

/// Splits a length into pieces: one, two, some, or single bytes.
fn pieces(random: &mut Random, mut left: usize) -> Vec<usize> {
    let longest = match random.below(5) {
        0 => 1,
        1 => 8,
        2 => 200,
        _ => left.max(1),
    };
    // Thousands of pieces would take long, and show nothing more.
    let longest = longest.max(left / 300);
    let mut pieces = Vec::new();
    if left > 1 && random.below(3) == 0 {
        pieces.push(1 + random.below(left - 1));
        left -= pieces[0];
    }
    while left > 0 {
        let piece = (1 + random.below(longest)).min(left);
        pieces.push(if longest == left { left } else { piece });
        left -= pieces[pieces.len() - 1];
    }
    pieces
}

const FINAL_STATUSES: [u16; 26] = [
    200, 200, 200, 200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 304, 307, 400, 401, 403, 404, 413, 429, 500, 503,
    599, 600, 999,
];

const INTERIM_STATUSES: [u16; 5] = [100, 102, 103, 104, 199];

const REASONS: [&[u8]; 8] = [
    b"OK",
    b"",
    b"Not Found",
    b"a\treason  with blanks ",
    b"caf\xc3\xa9 \xff",
    b"200",
    b"!#$%&'*+-.^_`|~\"(),/:;<=>?@[]{}",
    b"HTTP/1.1 200 OK",
];

/// Header lines that do not concern the framing: names, and values without the blanks around them.
const NAMES: [&str; 14] = [
    "Date",
    "Content-Type",
    "content-encoding",
    "X-Pusher",
    "Server",
    "VARY",
    "retry-after",
    "Set-Cookie",
    "a",
    "!#$%&'*+-.^_`|~09aZ",
    "Content-Lengths",
    "X-Transfer-Encoding",
    "Trailer",
    "Keep-Alive",
];

const VALUES: [&[u8]; 14] = [
    b"",
    b"x",
    b"Sat, 28 Nov 2026 08:00:00 GMT",
    b"application/json; charset=utf-8",
    b"chunked",
    b"12",
    b"close",
    b"a:b, c",
    b"\"quoted \\\" ; text\"",
    b"caf\xc3\xa9",
    b"\x80\xff",
    b"two\twords",
    b"identity",
    b"timeout=5, max=100",
];

const BLANKS: [&[u8]; 7] = [b" ", b" ", b" ", b"", b"\t", b"  ", b" \t "];

const EXTENSIONS: [&[u8]; 7] =
    [b";a", b";a=b", b";a=\"b;c\"", b" ; a = b", b";a;b=c", b";a=\"\\\"\"", b";a-name=a-value-of-some-length"];

/// The part of a response that may be cut, mutated, or followed by another one.
struct Framing {
    lines: Vec<Vec<u8>>,
    body_on_the_wire: Vec<u8>,
    body: Vec<u8>,
    /// Whether only the end of the connection ends the body.
    ends_with_connection: bool,
}

fn valid(random: &mut Random) -> Case {
    let mut bytes = Vec::new();
    if random.below(6) == 0 {
        let most = random.one_of(&[2, 2, 2, 2, 12]);
        for _ in 0..=random.below(most) {
            interim(random, &mut bytes);
        }
    }
    let is_http_1_0 = random.below(7) == 0;
    let status = random.one_of(&FINAL_STATUSES);
    let has_no_body = matches!(status, 204 | 304);
    let framing = framing(random, is_http_1_0, status);
    let start = bytes.len();

    bytes.extend_from_slice(if is_http_1_0 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    bytes.extend_from_slice(format!("{status} ").as_bytes());
    bytes.extend_from_slice(random.one_of(&REASONS));
    bytes.extend_from_slice(b"\r\n");
    let mut lines = framing.lines;
    let count = match random.below(60) {
        0 => 40 + random.below(40),
        _ => random.below(5),
    };
    for _ in 0..count {
        let mut value = random.one_of(&VALUES).to_vec();
        if random.below(300) == 0 {
            value.resize(5000, b'v');
        }
        let name = random.one_of(&NAMES);
        lines.insert(random.below(lines.len() + 1), header(random, name, &value));
    }
    let (connection, keeps_alive) = connection(random, is_http_1_0);
    for value in connection {
        lines.insert(random.below(lines.len() + 1), header(random, "Connection", value));
    }
    let has_few_lines = lines.len() <= MAX_HEADERS;
    bytes.extend(lines.into_iter().flatten());
    bytes.extend_from_slice(b"\r\n");
    let head_fits = has_few_lines && bytes.len() - start <= MAX_HEAD_BYTES;
    bytes.extend_from_slice(&framing.body_on_the_wire);

    let end = bytes.len();
    let ends_with_connection = framing.ends_with_connection && !has_no_body;
    if !ends_with_connection && random.below(6) == 0 {
        let length = 1 + random.below(30);
        match random.below(3) {
            0 => bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
            1 => bytes.extend((0..length).map(|_| random.below(256) as u8)),
            _ => bytes.extend_from_slice(b"\r\n"),
        }
    }
    let is_success = (200..300).contains(&status);
    let expected = if !head_fits {
        Outcome::Failed { status: Some(status), body: vec![] }
    } else if framing.body.len() > MAX_BODY_BYTES && is_success {
        Outcome::Failed { status: Some(status), body: framing.body }
    } else {
        // Of a refusal the library reads no more than it keeps.
        let is_truncated = framing.body.len() > MAX_BODY_BYTES;
        Outcome::Complete(Reading {
            status,
            body: framing.body[..framing.body.len().min(MAX_BODY_BYTES)].to_vec(),
            left_over: (!is_truncated).then_some(bytes.len() - end),
            keeps_alive: Some(keeps_alive && !ends_with_connection && !is_truncated),
            headers: None,
        })
    };
    Case { bytes, pieces: Vec::new(), expected: Some(expected) }
}

fn interim(random: &mut Random, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(format!("HTTP/1.1 {} ", random.one_of(&INTERIM_STATUSES)).as_bytes());
    bytes.extend_from_slice(random.one_of(&REASONS));
    bytes.extend_from_slice(b"\r\n");
    for _ in 0..random.below(3) {
        let (name, value) = (random.one_of(&NAMES), random.one_of(&VALUES));
        let line = header(random, name, value);
        bytes.extend_from_slice(&line);
    }
    bytes.extend_from_slice(b"\r\n");
}

/// Returns a header line: its name in some case, its value between blanks.
fn header(random: &mut Random, name: &str, value: &[u8]) -> Vec<u8> {
    let mut line = name.as_bytes().to_vec();
    match random.below(4) {
        0 => line.make_ascii_lowercase(),
        1 => line.make_ascii_uppercase(),
        2 => line.iter_mut().for_each(|byte| {
            if random.below(2) == 0 {
                byte.make_ascii_uppercase();
            }
        }),
        _ => {}
    }
    line.push(b':');
    line.extend_from_slice(random.one_of(&BLANKS));
    line.extend_from_slice(value);
    if random.below(4) == 0 {
        line.extend_from_slice(random.one_of(&BLANKS));
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// Returns the values of `Connection`, and whether the connection can be kept alive.
fn connection(random: &mut Random, is_http_1_0: bool) -> (Vec<&'static [u8]>, bool) {
    // The library keeps no connection of HTTP/1.0.
    match random.below(10) {
        0 => (vec![b"close"], false),
        1 => (vec![b"CLOSE"], false),
        2 => (vec![b"x, close ,y"], false),
        3 => (vec![b"keep-alive"], !is_http_1_0),
        4 => (vec![b"Keep-Alive, x"], !is_http_1_0),
        5 => (vec![b"keep-alive", b"close"], false),
        6 => (vec![b"x-close"], !is_http_1_0),
        _ => (vec![], !is_http_1_0),
    }
}

fn framing(random: &mut Random, is_http_1_0: bool, status: u16) -> Framing {
    if matches!(status, 204 | 304) {
        // A 304 may name the length that the body would have had.
        let lines =
            if status == 304 && random.below(2) == 0 { vec![b"Content-Length: 5\r\n".to_vec()] } else { vec![] };
        return Framing { lines, body_on_the_wire: vec![], body: vec![], ends_with_connection: true };
    }
    let body = body(random);
    match random.below(10) {
        0 | 1 => Framing { lines: vec![], body_on_the_wire: body.clone(), body, ends_with_connection: true },
        2..6 if !is_http_1_0 => {
            let value: &[u8] = random.one_of(&[b"chunked", b"chunked", b"Chunked", b"CHUNKED"]);
            Framing {
                lines: vec![header(random, "Transfer-Encoding", value)],
                body_on_the_wire: chunked(random, &body),
                body,
                ends_with_connection: false,
            }
        }
        _ => {
            let zeros = if random.below(8) == 0 { 1 + random.below(4) } else { 0 };
            let value = format!("{}{}", "0".repeat(zeros), body.len());
            Framing {
                lines: vec![header(random, "Content-Length", value.as_bytes())],
                body_on_the_wire: body.clone(),
                body,
                ends_with_connection: false,
            }
        }
    }
}

fn body(random: &mut Random) -> Vec<u8> {
    match random.below(40) {
        0..8 => b"{}".to_vec(),
        8..12 => vec![],
        12..16 => b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        16..20 => b"2\r\n{}\r\n0\r\n\r\n".to_vec(),
        20 => vec![b'b'; MAX_BODY_BYTES],
        21 => vec![b'b'; MAX_BODY_BYTES + 1 + random.below(40)],
        _ => {
            let longest = random.one_of(&[40, 40, 40, 40, 40, 40, 1000]);
            (0..random.below(longest)).map(|_| random.below(256) as u8).collect()
        }
    }
}

fn chunked(random: &mut Random, mut body: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    while !body.is_empty() {
        let longest = random.one_of(&[3, 20, 300, MAX_BODY_BYTES]).max(body.len() / 20);
        let (chunk, rest) = body.split_at((1 + random.below(longest)).min(body.len()));
        size_line(random, &mut wire, chunk.len());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
        body = rest;
    }
    size_line(random, &mut wire, 0);
    if random.below(5) == 0 {
        for _ in 0..1 + random.below(3) {
            let (name, value) = (random.one_of(&NAMES), random.one_of(&VALUES));
            wire.extend(header(random, name, value));
        }
    }
    wire.extend_from_slice(b"\r\n");
    wire
}

fn size_line(random: &mut Random, wire: &mut Vec<u8>, size: usize) {
    let zeros = if random.below(12) == 0 { 1 + random.below(4) } else { 0 };
    wire.extend(std::iter::repeat_n(b'0', zeros));
    let size = if random.below(2) == 0 { format!("{size:x}") } else { format!("{size:X}") };
    wire.extend_from_slice(size.as_bytes());
    if random.below(5) == 0 {
        wire.extend_from_slice(random.one_of(&EXTENSIONS));
    }
    wire.extend_from_slice(b"\r\n");
}

/// Bytes that mean something in HTTP.
const DELIMITERS: &[u8] = b"\r\n\t\0\x0b\x7f\x80 :;,+-/\"0123456789aAfFgxX";

/// Header lines that readers have disagreed on.
const LINES: [&[u8]; 27] = [
    b"Content-Length: 2\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 2, 2\r\n",
    b"Content-Length: 2,3\r\n",
    b"Content-Length: +2\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 0x2\r\n",
    b"Content-Length: 2 2\r\n",
    b"Content-Length: 2;\r\n",
    b"Content-Length:\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Content-Length: 18446744073709551618\r\n",
    b"Content-Length : 2\r\n",
    b"Content-Length\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked, gzip\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n",
    b"Transfer-Encoding: chunked;a=b\r\n",
    b"Transfer-Encoding: \"chunked\"\r\n",
    b"Transfer-Encoding: ,chunked\r\n",
    b"Transfer-Encoding:\r\n chunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding:\r\n",
    b" folded\r\n",
];

const STATUS_LINES: [&[u8]; 24] = [
    b"\r\nHTTP/1.1 200 OK\r\n",
    b"\n\nHTTP/1.1 503 \r\n",
    b"HTTP/1.1 200\r\n",
    b"HTTP/1.1 101 \r\n",
    b"HTTP/1.1 100 \r\n\r\n",
    b"HTTP/1.0 100 \r\n\r\n",
    b"HTTP/1.1 2000\r\n",
    b"HTTP/1.1 20\r\n",
    b"HTTP/1.1 099 \r\n",
    b"HTTP/1.1 000 \r\n",
    b"HTTP/1.1  200 OK\r\n",
    b"HTTP/1.1\t200 OK\r\n",
    b"HTTP/1.1 200\tOK\r\n",
    b"HTTP/1.1 +20 OK\r\n",
    b"HTTP/1.2 200 OK\r\n",
    b"HTTP/2.0 200 OK\r\n",
    b"HTTP/2 200 OK\r\n",
    b"HTTP/0.9 200 OK\r\n",
    b"HTTP/1.10 200 OK\r\n",
    b"HTTP/01.1 200 OK\r\n",
    b"http/1.1 200 OK\r\n",
    b"ICY 200 OK\r\n",
    b" HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
];

const SIZE_LINES: [&[u8]; 16] = [
    b"+2\r\n",
    b"-2\r\n",
    b" 2\r\n",
    b"2 \r\n",
    b"2\t\r\n",
    b"0x2\r\n",
    b"2h\r\n",
    b"\r\n",
    b";a\r\n",
    b"2;\r\n",
    b"2;a=\"\r\n\"\r\n",
    b"2\n",
    b"2\r",
    b"ffffffffffffffff\r\n",
    b"10000000000000002\r\n",
    b"00000000000000000000002\r\n",
];

/// Makes one change, of a kind that breaks readers.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        bytes.extend_from_slice(b"\r\n");
    }
    let length = bytes.len();
    let at = place(random, bytes);
    let span = at..length.min(at + 1 + random.below(8));
    match random.below(20) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.one_of(DELIMITERS),
        2 | 3 => bytes.insert(at, random.one_of(DELIMITERS)),
        4 => drop(bytes.drain(span)),
        5 => {
            let copy = bytes[span].to_vec();
            insert(bytes, at, &copy);
        }
        6 => bytes.truncate(at),
        7 => {
            let other = valid(random).bytes;
            bytes.truncate(at);
            let from = random.below(other.len());
            bytes.extend_from_slice(&other[from..]);
        }
        8 | 9 => {
            let end: &[u8] =
                random.one_of(&[b"\n", b"\r", b"\r\r\n", b"\n\n", b"\n\r", b"\r\n\r\n", b" \r\n", b"\r\n ", b""]);
            if let Some(line) = choose(random, &find(bytes, b"\r\n")) {
                bytes.splice(line..line + 2, end.iter().copied());
            }
        }
        10 | 11 => {
            let digits: Vec<usize> = (0..length).filter(|&index| bytes[index].is_ascii_digit()).collect();
            if let Some(digit) = choose(random, &digits) {
                match random.below(4) {
                    0 => bytes[digit] = random.one_of(b"0123456789"),
                    1 => bytes.insert(digit, random.one_of(b"0123456789")),
                    2 => bytes.insert(digit, random.one_of(b"+- \t0")),
                    _ => bytes.insert(digit + 1, random.one_of(b"+- \t,;.xh")),
                }
            }
        }
        12 => {
            // Two lines change places, or one is repeated or removed.
            let lines = lines(bytes);
            let (Some(one), Some(other)) = (choose(random, &lines), choose(random, &lines)) else { return };
            let (first, second) = if one.start < other.start { (one, other) } else { (other, one) };
            let (first_line, second_line) = (bytes[first.clone()].to_vec(), bytes[second.clone()].to_vec());
            match random.below(3) {
                0 if first != second => {
                    bytes.splice(second, first_line);
                    bytes.splice(first, second_line);
                }
                1 => insert(bytes, first.start, &second_line),
                _ => drop(bytes.drain(second)),
            }
        }
        13..16 => {
            // The first line of a head stays the first.
            let ends = find(bytes, b"\r\n");
            let first = ends.first().map_or(length, |end| end + 2);
            let end_of_head = find(bytes, b"\r\n\r\n").first().map_or(length, |end| end + 2);
            let places: Vec<usize> =
                ends.iter().map(|end| end + 2).filter(|place| (first..=end_of_head).contains(place)).collect();
            let place = choose(random, &places).unwrap_or(length);
            insert(bytes, place, random.one_of(&LINES));
        }
        16 | 17 => {
            let first = find(bytes, b"\r\n").first().map_or(length, |end| end + 2);
            bytes.splice(..first, random.one_of(&STATUS_LINES).iter().copied());
        }
        _ => {
            // A line after the head: the size of a chunk, or a piece of the body.
            let head = find(bytes, b"\r\n\r\n").first().map_or(length, |end| end + 4);
            let lines: Vec<_> = lines(bytes).into_iter().filter(|line| line.start >= head).collect();
            let line = choose(random, &lines).unwrap_or(length..length);
            bytes.splice(line, random.one_of(&SIZE_LINES).iter().copied());
        }
    }
}

/// Returns a place in the bytes, more often in the head or near its end.
fn place(random: &mut Random, bytes: &[u8]) -> usize {
    let head = find(bytes, b"\r\n\r\n").first().map_or(bytes.len(), |end| end + 4);
    match random.below(4) {
        0 => random.below(bytes.len()),
        1 => (head + random.below(24)).min(bytes.len() - 1),
        _ => random.below(head),
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, more: &[u8]) {
    bytes.splice(at..at, more.iter().copied());
}

fn choose<T: Clone>(random: &mut Random, all: &[T]) -> Option<T> {
    if all.is_empty() { None } else { Some(all[random.below(all.len())].clone()) }
}

/// Returns where `what` begins in the bytes.
pub(super) fn find(bytes: &[u8], what: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|&start| bytes[start..].starts_with(what)).collect()
}

/// Returns the lines that CRLF ends, with it.
fn lines(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut start = 0;
    find(bytes, b"\r\n")
        .into_iter()
        .map(|end| {
            let line = start..end + 2;
            start = end + 2;
            line
        })
        .collect()
}
