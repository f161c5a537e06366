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
    fn refuses(&mut self, rest: impl AsRef<str>) {
        self.refuses_all(&format!("HTTP/1.1 200 OK\r\n{}", rest.as_ref()), "BAD_RESPONSE", "unknown", 200);
    }

    /// This response has this status and delivery, and its connection is not reused.
    fn refuses_all(&mut self, answer: &str, status: &str, delivery: &str, http_status: u64) {
        let server = Server::start([Answer::raw(answer)]);
        let client = server.client_with(json!({"timeout_ms": 1500}));
        let outcome = trigger(&client);
        if (outcome.name(), outcome.delivery()) != (status, delivery) {
            return self.wrong.push(format!("{answer:?} is {} {:?}", outcome.name(), outcome.document));
        }
        let cause = if status == "BAD_RESPONSE" { "malformed" } else { "" };
        if (outcome.number("http_status"), outcome.text("cause").as_str()) != (Some(http_status), cause) {
            self.wrong.push(format!("{answer:?} is reported as {:?}", outcome.document));
        }
        trigger(&client).is_ok("{}");
        if (server.ledger().len(), server.connections()) != (2, 2) {
            self.wrong.push(format!("after {answer:?} the connection is reused"));
        }
    }

    /// A 200 with these headers and this body is a success, and its connection is reused.
    fn accepts(&mut self, rest: impl AsRef<str>) {
        let answer = format!("HTTP/1.1 200 OK\r\n{}", rest.as_ref());
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
