//! The library reads responses by the letter of RFC 9112: two readers of one response must not
//! disagree on where it ends. A response that breaks a rule is not a success, and nothing after it
//! is read.

use crate::support::{Answer, Server, trigger};
use serde_json::json;

/// Collects the responses that the library reads wrongly, so that a failure shows all of them.
#[derive(Default)]
struct Strictness {
    wrong: Vec<String>,
}

impl Strictness {
    /// A 200 with these headers and this body is not a success, its status is reported, and its
    /// connection is not reused.
    fn refuses(&mut self, rest: &str) {
        self.refuses_all(&format!("HTTP/1.1 200 OK\r\n{}", rest), "BAD_RESPONSE", "unknown", 200);
    }

    /// This response has this status and delivery, and its connection is not reused.
    fn refuses_all(&mut self, answer: &str, status: &str, delivery: &str, http_status: u64) {
        let server = Server::start([Answer::raw(answer)]);
        let client = server.client_with(json!({"timeout_ms": 1500}));
        let outcome = trigger(&client);
        if (outcome.name(), outcome.delivery()) != (status, delivery) {
            return self.wrong.push(format!("{answer:?} is {} {:?}", outcome.name(), outcome.document));
        }
        let is_named = status != "BAD_RESPONSE" || outcome.text("cause") == "malformed";
        if outcome.number("http_status") != Some(http_status) || !is_named {
            self.wrong.push(format!("{answer:?} is reported as {:?}", outcome.document));
        }
        trigger(&client).is_ok("{}");
        if (server.ledger().len(), server.connections()) != (2, 2) {
            self.wrong.push(format!("after {answer:?} the connection is reused"));
        }
    }

    /// A 200 with these headers and this body is a success, and its connection is reused.
    fn accepts(&mut self, rest: &str) {
        let answer = format!("HTTP/1.1 200 OK\r\n{}", rest);
        let server = Server::start([Answer::raw(&*answer)]);
        let client = server.client_with(json!({"timeout_ms": 1500}));
        let outcome = trigger(&client);
        if (outcome.name(), outcome.document.as_deref()) != ("OK", Some("{}")) {
            return self.wrong.push(format!("{answer:?} is {} {:?}", outcome.name(), outcome.document));
        }
        trigger(&client).is_ok("{}");
        if (server.ledger().len(), server.connections()) != (2, 1) {
            self.wrong.push(format!("after {answer:?} the connection is not reused"));
        }
    }
}

impl Drop for Strictness {
    fn drop(&mut self) {
        assert!(
            std::thread::panicking() || self.wrong.is_empty(),
            "{} are wrong:\n{}",
            self.wrong.len(),
            self.wrong.join("\n")
        );
    }
}

/// Returns the head and the body of a chunked response whose only chunk has this size line.
fn chunk(size: &str) -> String {
    format!("Transfer-Encoding: chunked\r\n\r\n{size}\r\n{{}}\r\n0\r\n\r\n")
}

#[test]
fn a_chunk_size_is_hexadecimal_digits_and_nothing_else() {
    let mut reader = Strictness::default();
    for size in ["2", "02", "0000000000000002", "2;a", "2;a=b", "2;a=\"b\"", "2 ;a=b", "2\t; a = b"] {
        reader.accepts(&chunk(size));
    }
    // RFC 9112, 7.1: chunk-size = 1*HEXDIG; white space only around the parts of an extension.
    for size in
        ["+2", "-2", " 2", "\t2", "2 ", "2\t", "0x2", "2_", "2h", "2 2", "2,2", "", ";a=b", " ", "2\0", "2.", "２"]
    {
        reader.refuses(&chunk(size));
    }
    // More digits than any size has.
    reader.refuses(&chunk("00000000000000002"));
    reader.refuses(&chunk("10000000000000002"));
}

#[test]
fn the_size_of_the_last_chunk_is_read_strictly_too() {
    let mut reader = Strictness::default();
    let end = |last: &str| format!("Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n{last}\r\n\r\n");
    reader.accepts(&end("0"));
    reader.accepts(&end("000"));
    reader.accepts(&end("0;a=b"));
    for last in ["+0", "-0", " 0", "0 ", "0x0", ""] {
        reader.refuses(&end(last));
    }
}

#[test]
fn the_data_of_a_chunk_ends_where_its_size_says() {
    let mut reader = Strictness::default();
    let head = "Transfer-Encoding: chunked\r\n\r\n";
    reader.refuses(&format!("{head}1\r\n{{}}\r\n0\r\n\r\n"));
    reader.refuses(&format!("{head}2\r\n{{}}0\r\n\r\n"));
    reader.refuses(&format!("{head}2\r\n{{}}\n\r0\r\n\r\n"));
}

#[test]
fn a_repeated_or_unknown_transfer_encoding_is_refused() {
    let mut reader = Strictness::default();
    let body = "2\r\n{}\r\n0\r\n\r\n";
    reader.accepts(&format!("Transfer-Encoding: CHUNKED\r\n\r\n{body}"));
    for coding in [
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked, chunked",
        "gzip, chunked",
        "chunked, gzip",
        "identity",
        "identity, chunked",
        "gzip\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: identity",
        "chunked;a=b",
        "\"chunked\"",
        "xchunked",
        "chunkedx",
        "chun ked",
        "chunked\x0b",
        "",
        ",",
    ] {
        reader.refuses(&format!("Transfer-Encoding: {coding}\r\n\r\n{body}"));
    }
}

#[test]
fn a_content_length_is_digits_and_nothing_else() {
    let mut reader = Strictness::default();
    for length in ["2", "02", " 2 ", "\t2"] {
        reader.accepts(&format!("Content-Length:{length}\r\n\r\n{{}}"));
    }
    for length in ["+2", "-2", "2;", "2 2", "2.", "0x2", "2h", "", "\"2\"", "２", "18446744073709551618"] {
        reader.refuses(&format!("Content-Length: {length}\r\n\r\n{{}}"));
    }
}

#[test]
fn more_than_one_content_length_is_refused() {
    let mut reader = Strictness::default();
    for lengths in [
        "Content-Length: 2, 2",
        "Content-Length: 2,",
        "Content-Length: ,2",
        "Content-Length: 2, 3",
        "Content-Length: 2\r\nContent-Length: 2",
        "Content-Length: 2\r\ncontent-length: 2",
        "Content-Length: 2\r\nContent-Length: 1",
        "Content-Length: 1\r\nContent-Length: 2",
    ] {
        reader.refuses(&format!("{lengths}\r\n\r\n{{}}"));
    }
}

#[test]
fn chunks_win_over_a_content_length_and_their_connection_is_not_reused() {
    // RFC 9112, 6.3: it may be an attempt to smuggle a response.
    let body = "2\r\n{}\r\n0\r\n\r\n";
    for head in [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked", body.len()),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}", body.len()),
        "Content-Length: 2\r\nTransfer-Encoding: chunked".to_owned(),
        "Content-Length: 2000\r\nTransfer-Encoding: chunked".to_owned(),
    ] {
        let server = Server::start([Answer::raw(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}"))]);
        let client = server.client_with(json!({"timeout_ms": 1500}));
        trigger(&client).is_ok("{}");
        trigger(&client).is_ok("{}");
        assert_eq!((server.ledger().len(), server.connections()), (2, 2), "{head:?}");
    }
}

#[test]
fn a_transfer_encoding_of_http_1_0_is_refused() {
    // RFC 9112, 6.1: its framing is faulty.
    Strictness::default().refuses_all(
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "BAD_RESPONSE",
        "unknown",
        200,
    );
}

#[test]
fn a_folded_header_is_refused() {
    let mut reader = Strictness::default();
    for lines in ["X-A: a\r\n b\r\n", "X-A: a\r\n\tb\r\n", "X-A:\r\n b\r\n", " X-A: a\r\n"] {
        reader.refuses(&format!("{lines}Content-Length: 2\r\n\r\n{{}}"));
        reader.refuses(&format!("Content-Length: 2\r\n{lines}\r\n{{}}"));
    }
    reader.refuses("Content-Length:\r\n 2\r\n\r\n{}");
    reader.refuses("Transfer-Encoding:\r\n chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
}

#[test]
fn a_header_name_is_a_token_directly_before_its_colon() {
    let mut reader = Strictness::default();
    for line in [
        "X-A : b",
        "X-A\t: b",
        "Content-Length : 2",
        "Transfer-Encoding : chunked",
        ": b",
        "X A: b",
        "X(A): b",
        "X-\x7f: b",
        "X-é: b",
        "nonsense",
    ] {
        reader.refuses(&format!("Content-Length: 2\r\n{line}\r\n\r\n{{}}"));
    }
}

#[test]
fn a_control_character_in_a_header_is_refused() {
    let mut reader = Strictness::default();
    for value in ["a\0b", "a\rb", "a\x01b", "a\x7fb"] {
        reader.refuses(&format!("Content-Length: 2\r\nX-A: {value}\r\n\r\n{{}}"));
    }
    reader.accepts("Content-Length: 2\r\nX-A: a\tb é\r\n\r\n{}");
}

#[test]
fn the_trailer_is_read_strictly_too() {
    let mut reader = Strictness::default();
    let end = |trailer: &str| format!("Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n{trailer}\r\n");
    reader.accepts(&end("X-A: b\r\nX-B: c\r\n"));
    for trailer in ["X-A : b\r\n", "nonsense\r\n", " folded\r\n", ": b\r\n", "X-A: a\0b\r\n"] {
        reader.refuses(&end(trailer));
    }
}

#[test]
fn a_refusal_stays_one_whatever_its_framing_is() {
    let mut reader = Strictness::default();
    for rest in [
        "Content-Length: 2, 2\r\n\r\n{}",
        "Content-Length: 2\r\nContent-Length: 1\r\n\r\n{}",
        "Content-Length: +2\r\n\r\n{}",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
        "X-A : b\r\nContent-Length: 2\r\n\r\n{}",
        "X-A: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        for (http_status, status, delivery) in
            [(400, "BAD_REQUEST", "rejected"), (401, "UNAUTHORIZED", "rejected"), (503, "SERVER_ERROR", "unknown")]
        {
            let answer = format!("HTTP/1.1 {http_status} No\r\n{rest}");
            reader.refuses_all(&answer, status, delivery, http_status);
        }
    }
}
