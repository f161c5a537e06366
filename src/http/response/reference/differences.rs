//! The differences between the library's reader and ureq, with their reasons.

use super::super::{MAX_HEAD_BYTES, MAX_HEADERS};
use super::outcome::{Aspect, MAX_BODY_BYTES};
use super::shape::{Head, Line, Shape};

/// A kind of response that the two readers may read differently.
pub(super) struct Difference {
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
    pub(super) aspects: &'static [Aspect],
    /// A response that shows it, also when no generated one does.
    pub(super) example: fn() -> Vec<u8>,
    /// Returns whether a response is of this kind.
    pub(super) shape: fn(&Shape<'_>) -> bool,
}

pub(super) const DIFFERENCES: [Difference; 21] = [
    Difference {
        name: "a chunk size that is not 1*HEXDIG",
        reason: "RFC 9112, 7.1: ureq removes blanks and a plus sign",
        aspects: &[Aspect::WeRefuse],
        example: || chunked("+2\r\n{}\r\n0\r\n\r\n"),
        shape: |shape| shape.sizes.iter().any(|line| !is_size_line(line)),
    },
    Difference {
        name: "a chunk size of more than 16 digits",
        reason: "RFC 9112, 7.1: a limit against overflow",
        aspects: &[Aspect::WeRefuse],
        example: || chunked("00000000000000002\r\n{}\r\n0\r\n\r\n"),
        shape: |shape| shape.sizes.iter().any(|line| size_digits(line) > 16),
    },
    Difference {
        name: "a control character in a chunk extension",
        reason: "RFC 9112, 7.1.1: an extension consists of tokens and quoted strings",
        aspects: &[Aspect::WeRefuse],
        example: || chunked("2;\0\r\n{}\r\n0\r\n\r\n"),
        shape: |shape| shape.sizes.iter().any(|line| has_control_character(line.bytes)),
    },
    Difference {
        name: "a trailer that is not a header",
        reason: "RFC 9112, 7.1.2: ureq skips any line",
        aspects: &[Aspect::WeRefuse],
        example: || chunked("0\r\nnonsense\r\n\r\n"),
        shape: |shape| shape.trailers.iter().any(|line| !line.bytes.is_empty() && !is_header(line.bytes)),
    },
    Difference {
        name: "no empty line after the last chunk",
        reason: "RFC 9112, 8: the body is incomplete",
        aspects: &[Aspect::WeRefuse],
        example: || chunked("2\r\n{}\r\n0\r\n"),
        shape: |shape| {
            let ends = |line: &Line<'_>| line.bytes.is_empty() && !line.ends_with.is_empty();
            !shape.sizes.is_empty() && !shape.trailers.last().is_some_and(ends)
        },
    },
    Difference {
        name: "a Transfer-Encoding other than chunked",
        reason: "RFC 9112, 6.1 and 7: the library asks for none (TE), and cannot decode one",
        aspects: &[Aspect::WeRefuse],
        example: || response("Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
        shape: |shape| shape.encodings().any(|value| !value.eq_ignore_ascii_case(b"chunked")),
    },
    Difference {
        name: "two Transfer-Encodings",
        reason: "RFC 9112, 6.1: chunked must not be applied twice",
        aspects: &[Aspect::WeRefuse],
        example: || response("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        shape: |shape| shape.encodings().count() > 1,
    },
    Difference {
        name: "a Transfer-Encoding in HTTP/1.0",
        reason: "RFC 9112, 6.1: its framing is faulty",
        aspects: &[Aspect::WeRefuse],
        example: || b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        shape: |shape| shape.head().is_http_1_0() && shape.encodings().count() > 0,
    },
    Difference {
        name: "a list of lengths",
        reason: "RFC 9112, 6.3: a recipient may accept equal ones; this one does not",
        aspects: &[Aspect::WeRefuse],
        example: || response("Content-Length: 2, 2\r\n\r\n{}"),
        shape: |shape| shape.lengths().any(|value| value.contains(&b',')),
    },
    Difference {
        name: "two Content-Lengths",
        reason: "RFC 9112, 6.3: a recipient may accept equal ones; this one does not",
        aspects: &[Aspect::WeRefuse],
        example: || response("Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
        shape: |shape| shape.lengths().count() > 1,
    },
    Difference {
        name: "more than 64 header lines",
        reason: "RFC 9110, 5.4: a limit",
        aspects: &[Aspect::WeRefuse],
        example: || response(&("a: b\r\n".repeat(64) + "Content-Length: 2\r\n\r\n{}")),
        shape: |shape| {
            let heads = shape.heads.iter().map(|head| &head.lines);
            heads.chain([&shape.trailers]).any(|lines| lines.len() > MAX_HEADERS + 1)
        },
    },
    Difference {
        name: "trailers of more than 16 KiB",
        reason: "RFC 9110, 5.4: a limit, as for heads",
        aspects: &[Aspect::WeRefuse],
        example: || chunked(&format!("0\r\na: {}\r\n\r\n", "b".repeat(MAX_HEAD_BYTES))),
        shape: |shape| shape.trailers.iter().map(Line::length).sum::<usize>() > MAX_HEAD_BYTES,
    },
    Difference {
        name: "a connection that HTTP/1.0 keeps alive",
        reason: "RFC 9112, 9.3: it is optional, and this library closes the connection",
        aspects: &[Aspect::KeepAlive],
        example: || b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}".to_vec(),
        shape: |shape| shape.head().is_http_1_0(),
    },
    Difference {
        name: "Content-Length and Transfer-Encoding",
        reason: "RFC 9112, 6.3: the connection must not be used again; ureq keeps it",
        aspects: &[Aspect::KeepAlive],
        example: || response("Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        shape: |shape| shape.lengths().count() > 0 && shape.encodings().count() > 0,
    },
    Difference {
        name: "a Connection header that is not ASCII",
        reason: "RFC 9110, 5.5: obs-text is opaque data, and its other options count; ureq ignores the header",
        aspects: &[Aspect::KeepAlive],
        example: || b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close, \xc3\r\n\r\n{}".to_vec(),
        shape: |shape| shape.head().values("Connection").any(|value| !value.is_ascii()),
    },
    Difference {
        name: "100 with headers",
        reason: "RFC 9110, 15.2: an interim response may have headers",
        aspects: &[Aspect::UreqRefuses],
        example: || [b"HTTP/1.1 100 \r\na: b\r\n\r\n".to_vec(), response("Content-Length: 2\r\n\r\n{}")].concat(),
        shape: |shape| shape.interim().iter().any(|head| head.status() == Some(100) && head.lines.len() > 1),
    },
    Difference {
        name: "an invalid Content-Length in an interim response",
        reason: "RFC 9112, 6.3: an interim response has no body, whatever its headers",
        aspects: &[Aspect::UreqRefuses],
        example: || {
            [b"HTTP/1.1 103 \r\nContent-Length:\r\n\r\n".to_vec(), response("Content-Length: 2\r\n\r\n{}")].concat()
        },
        shape: |shape| shape.interim().iter().any(|head| head.values("Content-Length").next().is_some()),
    },
    Difference {
        name: "more than 16 KiB that begin with an interim response",
        reason: "RFC 9110, 15.2: the limit is for each head; ureq's is for all that has arrived",
        aspects: &[Aspect::UreqRefuses],
        example: || {
            let head = format!("Content-Length: 0\r\na: {}\r\n\r\n", "b".repeat(MAX_HEAD_BYTES - 100));
            [b"HTTP/1.1 103 \r\n\r\n".to_vec(), response(&head), vec![b'x'; 100]].concat()
        },
        shape: |shape| !shape.interim().is_empty() && shape.length > MAX_HEAD_BYTES,
    },
    Difference {
        name: "a line of more than 20 bytes before a chunk",
        reason: "RFC 9112, 7.1.1: an extension is ignored, and may be longer",
        aspects: &[Aspect::UreqRefuses],
        example: || chunked("0;a-name=a-value-of-some-length\r\n\r\n"),
        shape: |shape| shape.sizes.iter().any(|line| line.bytes.len() > 20),
    },
    Difference {
        name: "a fault after the part of a refusal that is read",
        reason: "the library reads no more of a refusal than it keeps; ureq looks further than it returns",
        aspects: &[Aspect::UreqRefuses],
        example: || {
            let size = MAX_BODY_BYTES + 1;
            let head = "HTTP/1.1 429 \r\nTransfer-Encoding: chunked\r\n\r\n";
            format!("{head}{size:x}\r\n{}xx\r\n", "b".repeat(size)).into_bytes()
        },
        shape: |shape| {
            let is_refusal = !matches!(shape.head().status(), Some(200..300));
            is_refusal && shape.chunk_bytes > MAX_BODY_BYTES
        },
    },
    Difference {
        name: "LF alone after a trailer",
        reason: "RFC 9112, 2.2: a recipient may take it for the end of a line, as in the head",
        aspects: &[Aspect::UreqRefuses, Aspect::End, Aspect::KeepAlive],
        example: || chunked("0\r\na: b\n\r\nx"),
        shape: |shape| shape.trailers.iter().any(Line::is_bare),
    },
];

fn response(rest: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{rest}").into_bytes()
}

fn chunked(body: &str) -> Vec<u8> {
    response(&format!("Transfer-Encoding: chunked\r\n\r\n{body}"))
}

/// Returns how many hexadecimal digits begin the line.
fn size_digits(line: &Line<'_>) -> usize {
    line.bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count()
}

/// Returns whether a line is a size, and perhaps an extension after blanks, and ends with CRLF.
fn is_size_line(line: &Line<'_>) -> bool {
    let rest = &line.bytes[size_digits(line)..];
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    size_digits(line) > 0 && (rest.is_empty() || rest[blanks..].starts_with(b";")) && line.ends_with == b"\r\n"
}

fn has_control_character(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| *byte != b'\t' && byte.is_ascii_control())
}

/// Returns whether a line is a name, a colon, and a value without control characters.
fn is_header(line: &[u8]) -> bool {
    let name = line.iter().take_while(|byte| Head::is_name_byte(**byte)).count();
    name > 0 && line.get(name) == Some(&b':') && !has_control_character(&line[name..])
}
