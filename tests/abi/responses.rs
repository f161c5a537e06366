//! The meaning of each response of a server.

use std::time::Duration;

use crate::support::functions::{Function, Purpose};
use crate::support::{Answer, Client, End, Outcome, Server, config, in_time};
use serde_json::{Value, json};

/// A list of channels: a server may have applied a part of it.
const SEVERAL: &str = r#"["a","b"]"#;

/// Returns the outcome of one event for one channel with this response. The server must have accepted it exactly once.
#[track_caller]
fn answered(answer: Answer) -> Outcome {
    answered_with(answer, json!({}))
}

#[track_caller]
fn answered_with(answer: Answer, config: Value) -> Outcome {
    let server = Server::start([answer]);
    let outcome = server.client_with(config).trigger("c", "e", "{}");
    assert_eq!(server.ledger().len(), 1, "{outcome:?}");
    outcome
}

/// Returns the documented status and delivery.
fn expected(http_status: u64, several: bool) -> (&'static str, &'static str) {
    let unless_in_part = if several { "unknown" } else { "rejected" };
    match http_status {
        300..=399 => ("REDIRECTED", "rejected"),
        401 => ("UNAUTHORIZED", "rejected"),
        403 => ("FORBIDDEN", "rejected"),
        404 => ("NOT_FOUND", "rejected"),
        // A proxy sends 407; it has forwarded nothing.
        405 | 407 | 415 => ("BAD_REQUEST", "rejected"),
        413 => ("PAYLOAD_TOO_LARGE", unless_in_part),
        429 => ("RATE_LIMITED", "rejected"),
        400..=499 => ("BAD_REQUEST", unless_in_part),
        500..=599 => ("SERVER_ERROR", "unknown"),
        other => panic!("no error: {other}"),
    }
}

#[test]
fn every_refusal_has_its_status_and_delivery() {
    let server = Server::start([]);
    let client = server.client();
    for http_status in 300..600 {
        for (channels, several) in [("c", false), (r#"["c"]"#, false), (SEVERAL, true)] {
            server.next(Answer::new(http_status, &[], if http_status == 304 { "" } else { "what the server says" }));
            let outcome = client.trigger(channels, "e", "{}");
            let (status, delivery) = expected(http_status.into(), several);
            outcome.is(status, delivery).because("");
            let error = outcome.error();
            assert_eq!(error["http_status"], json!(http_status));
            assert_eq!(error["attempts"], json!(1));
            assert_eq!(error["retryable"], json!(http_status == 429), "{outcome:?}");
            let text = if http_status == 304 { "" } else { "what the server says" };
            assert_eq!(outcome.text("response"), text);
        }
    }
    assert_eq!(server.ledger().len(), 900);
}

/// A function, its arguments, and what it delivers.
type Kind = (Function, Vec<Option<&'static [u8]>>, &'static str);

/// Calls that read, that deliver one event, and that deliver several or an unknown number.
fn kinds() -> Vec<Kind> {
    let batch = |events: &'static str| vec![Some(events.as_bytes()), None];
    let kind = |function: &Function| match (function.purpose, function.name) {
        (Purpose::Ask, _) => "asks",
        (_, "post" | "delete") => "several",
        _ => "one",
    };
    let mut all: Vec<_> = Function::network().map(|function| (function, function.good(), kind(&function))).collect();
    let two = r#"[{"channel":"c","name":"e","data":1},{"channel":"c","name":"e","data":1}]"#;
    all.push((Function::named("trigger_batch"), batch(two), "several"));
    all
}

#[test]
fn every_refusal_of_every_call_has_its_status_and_delivery() {
    let server = Server::start([]);
    let client = server.client();
    let statuses = [300, 301, 302, 303, 304, 307, 308, 399, 499, 500, 501, 502, 503, 504, 599];
    for http_status in (400..=431).chain(statuses) {
        for (function, texts, kind) in kinds() {
            let body = if http_status == 304 { "" } else { "what the server says" };
            server.next(Answer::new(http_status, &[("Retry-After", "2")], body));
            let outcome = function.call(Some(&client), &texts);
            let (status, delivery) = expected(http_status.into(), kind == "several");
            let delivery = if kind == "asks" { "" } else { delivery };
            assert_eq!((outcome.name(), outcome.delivery()), (status, delivery), "{} {http_status}", function.name);
            let error = outcome.error();
            let retryable = http_status == 429 || (kind == "asks" && http_status >= 500);
            assert_eq!(error["retryable"], json!(retryable), "{} {http_status}: {outcome:?}", function.name);
            assert_eq!((&error["http_status"], &error["attempts"]), (&json!(http_status), &json!(1)));
            assert_eq!((error.get("cause"), &*outcome.text("response")), (None, body));
            assert_eq!(error.contains_key("delivery"), kind != "asks");
        }
    }
}

#[test]
fn a_missing_response_means_the_same_for_every_call() {
    let server = Server::start([]);
    let client = server.client();
    for (function, texts, kind) in kinds() {
        for (answer, status) in [
            (Answer::nothing().then(End::Close), "DELIVERY_UNKNOWN"),
            (Answer::nothing().then(End::Reset), "DELIVERY_UNKNOWN"),
            (Answer::raw("HELLO\r\n\r\n").then(End::Close), "DELIVERY_UNKNOWN"),
            (Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}").then(End::Close), "BAD_RESPONSE"),
            (Answer::ok("<html>"), "BAD_RESPONSE"),
            (Answer::ok("{"), "BAD_RESPONSE"),
        ] {
            server.next(answer);
            let outcome = function.call(Some(&client), &texts);
            let delivery = if kind == "asks" { "" } else { "unknown" };
            assert_eq!((outcome.name(), outcome.delivery()), (status, delivery), "{}", function.name);
            assert_eq!(outcome.error()["retryable"], json!(kind == "asks"), "{}: {outcome:?}", function.name);
        }
    }
}

#[test]
fn an_error_inside_a_200_is_that_error_for_every_call() {
    let server = Server::start([]);
    let client = server.client();
    for code in [400, 401, 403, 404, 413, 429, 500] {
        for (function, texts, kind) in kinds() {
            let body = format!(r#"{{"error":"what soketi says","code":{code}}}"#);
            server.next(Answer::ok(&body));
            let outcome = function.call(Some(&client), &texts);
            let (status, delivery) = expected(code, kind == "several");
            let delivery = if kind == "asks" { "" } else { delivery };
            assert_eq!((outcome.name(), outcome.delivery()), (status, delivery), "{} {code}", function.name);
            assert_eq!((outcome.number("http_status"), &*outcome.text("response")), (Some(200), &*body));
        }
    }
}

#[test]
fn a_success_returns_the_json_of_the_response() {
    let server = Server::start([]);
    let client = server.client();
    let batch = r#"{"batch":[{},{"user_count":2}]}"#;
    for body in [
        "{}",
        r#"{"ok":true}"#,
        r#"{ "event_ids" : {"c":"\u00e9é"}, "x":1e400 }"#,
        batch,
        "[]",
        "null",
        "1",
        "\"ok\"",
        " {} \n",
    ] {
        for http_status in [200, 201, 202, 203, 206, 299] {
            server.next(Answer::new(http_status, &[("Content-Type", "text/plain")], body));
            let outcome = client.trigger("c", "e", "{}");
            assert_eq!((outcome.name(), outcome.document.as_deref().map(str::trim)), ("OK", Some(body.trim())));
        }
    }
}

#[test]
fn an_empty_response_is_ok_if_its_framing_says_so() {
    for raw in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n000;x=y\r\nTrailer: x\r\n\r\n",
    ] {
        answered(Answer::raw(raw)).is_ok("{}");
        answered(Answer::raw(raw).then(End::Close)).is_ok("{}");
    }
}

#[test]
fn an_empty_response_without_a_length_may_be_truncated() {
    for raw in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"] {
        let outcome = answered(Answer::raw(raw).then(End::Close));
        outcome.is("BAD_RESPONSE", "unknown");
        assert_eq!(outcome.number("http_status"), Some(200));
    }
}

#[test]
fn every_framing_of_a_complete_response_is_understood() {
    let body = r#"{"ok":true}"#;
    for (raw, end) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}", End::Keep),
        ("HTTP/1.1 200 OK\r\ncontent-length:11\r\n\r\n{\"ok\":true}", End::Keep),
        ("HTTP/1.1 200\r\nContent-Length: 11\r\n\r\n{\"ok\":true}", End::Keep),
        ("HTTP/1.1 200 \r\nContent-Length: 11\r\n\r\n{\"ok\":true}", End::Keep),
        ("HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}", End::Close),
        ("HTTP/1.1 200 OK\r\n\r\n{\"ok\":true}", End::Close),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"ok\":true}", End::Close),
        ("HTTP/1.0 200 OK\r\n\r\n{\"ok\":true}", End::Close),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"ok\":true}\r\n0\r\n\r\n", End::Keep),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n00B;a=\"b\"\r\n{\"ok\":true}\r\n0\r\n\r\n", End::Keep),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"ok\"\r\n6\r\n:true}\r\n0\r\nA: b\r\nC: d\r\n\r\n",
            End::Keep,
        ),
    ] {
        let answer = Answer::raw(raw).then(end);
        assert_eq!(answered(answer.clone()).is_ok(body).name(), "OK", "{raw}");
        // The same, byte by byte, as on a slow network.
        assert_eq!(answered(answer.dribbling(Duration::from_micros(50))).is_ok(body).name(), "OK", "{raw}");
    }
}

#[test]
fn a_response_that_is_not_json_is_not_a_success() {
    for body in [
        "OK",
        "<html>Please log in</html>",
        "{",
        "{}x",
        "{\"ok\":true",
        "{'ok':true}",
        "\u{feff}{}",
        "{} {}",
        " ",
        "\r\n",
        "NaN",
    ] {
        let outcome = answered(Answer::ok(body));
        outcome.is("BAD_RESPONSE", "unknown");
        assert_eq!((outcome.number("http_status"), outcome.error()["retryable"].clone()), (Some(200), json!(false)));
    }
    for bytes in [&b"\xff"[..], b"{\"a\":\"\xff\"}", b"\x1f\x8b\x08\x00\x00\x00\x00\x00"] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
        answered(Answer::raw(head).and(bytes)).is("BAD_RESPONSE", "unknown");
    }
}

#[test]
fn a_body_is_not_decompressed() {
    let outcome = answered(Answer::new(200, &[("Content-Encoding", "gzip")], "{\u{1f}}"));
    outcome.is("BAD_RESPONSE", "unknown");
}

#[test]
fn a_response_truncated_at_any_byte_is_unknown() {
    for whole in [
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"ok\":true}\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let status_line = whole.find("\r\n").unwrap() + 2;
        for end in [End::Close, End::Reset] {
            let server = Server::start([]);
            let client = server.client();
            for length in 0..whole.len() {
                server.next(Answer::raw(&whole.as_bytes()[..length]).then(end));
                let outcome = client.trigger("c", "e", "{}");
                let status = if length < status_line { "DELIVERY_UNKNOWN" } else { "BAD_RESPONSE" };
                assert_eq!(
                    (outcome.name(), outcome.delivery()),
                    (status, "unknown"),
                    "{end:?} after {length} bytes of {whole:?}: {outcome:?}"
                );
            }
            assert_eq!(server.ledger().len(), whole.len());
        }
    }
}

#[test]
fn a_refusal_is_final_once_its_status_line_arrived() {
    let whole = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\nno quota";
    let status_line = whole.find("\r\n").unwrap() + 2;
    let server = Server::start([]);
    let client = server.client();
    for length in 0..=whole.len() {
        server.next(Answer::raw(&whole.as_bytes()[..length]).then(End::Close));
        let outcome = client.trigger(SEVERAL, "e", "{}");
        let expected = if length < status_line { ("DELIVERY_UNKNOWN", "unknown") } else { ("FORBIDDEN", "rejected") };
        assert_eq!((outcome.name(), outcome.delivery()), expected, "after {length} bytes: {outcome:?}");
    }
}

#[test]
fn a_wrong_content_length_is_unknown() {
    // Longer than the body.
    answered(Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"ok\":true}").then(End::Close))
        .is("BAD_RESPONSE", "unknown")
        .because("closed");
    // Shorter: the first part is not JSON.
    answered(Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"ok\":true}")).is("BAD_RESPONSE", "unknown");
    for lie in ["abc", "-1", "", "1.5", "18446744073709551616", "99999999999999999999999", "2, 3", "0x2"] {
        let raw = format!("HTTP/1.1 200 OK\r\nContent-Length: {lie}\r\n\r\n{{}}");
        answered(Answer::raw(raw).then(End::Close)).is("BAD_RESPONSE", "unknown");
    }
    answered(Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}").then(End::Close))
        .is("BAD_RESPONSE", "unknown");
}

#[test]
fn malformed_chunks_are_unknown() {
    for chunks in [
        "b\r\n{\"ok\":true}",
        "b\r\n{\"ok\":true}\r\n",
        "b\r\n{\"ok\":true}\r\n0",
        "b\r\n{\"ok\":true}\r\n0\r\n",
        "b\r\n{\"ok\":true}\r\n0\r\nA: b\r\n",
        "zz\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "",
        "\r\n",
    ] {
        let raw = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let outcome = answered(Answer::raw(raw).then(End::Close));
        assert_eq!((outcome.name(), outcome.delivery()), ("BAD_RESPONSE", "unknown"), "{chunks:?}: {outcome:?}");
    }
}

#[test]
fn the_size_of_a_response_is_limited() {
    let json = |size: usize| format!("\"{}\"", "a".repeat(size - 2));
    let config = json!({"max_response_bytes": 1000});
    let chunked = |body: &str| {
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    };
    answered_with(Answer::ok(&json(1000)), config.clone()).is_ok(&json(1000));
    answered_with(Answer::raw(chunked(&json(1000))), config.clone()).is_ok(&json(1000));
    answered_with(Answer::ok(&json(1001)), config.clone()).is("BAD_RESPONSE", "unknown");
    answered_with(Answer::raw(chunked(&json(1001))), config.clone()).is("BAD_RESPONSE", "unknown");
    answered_with(Answer::raw(format!("HTTP/1.1 200 OK\r\n\r\n{}", json(1001))).then(End::Close), config.clone())
        .is("BAD_RESPONSE", "unknown");
    // A refusal is a refusal, however long its body is.
    answered_with(Answer::new(413, &[], &json(100_000)), config).is("PAYLOAD_TOO_LARGE", "rejected");
}

#[test]
fn an_endless_response_is_abandoned_at_the_limit() {
    let server = Server::start([]);
    let client = server.client_with(json!({"max_response_bytes": 100_000, "timeout_ms": 3000}));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut late = Vec::new();
    for (head, after, more, status) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "", "0123456789", "BAD_RESPONSE"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n", "", "0123456789", "BAD_RESPONSE"),
        (chunked, "", "5\r\n01234\r\n", "BAD_RESPONSE"),
        (chunked, "ffffffffff\r\n", "0123456789", "BAD_RESPONSE"),
        // An endless line is not buffered without limit, either.
        (chunked, "", "0123456789", "BAD_RESPONSE"),
        (chunked, "2;", "0123456789", "BAD_RESPONSE"),
        (chunked, "0\r\nA: ", "0123456789", "BAD_RESPONSE"),
        ("HTTP/1.1 200 OK\r\n", "", "A: 0123456789\r\n", "BAD_RESPONSE"),
        ("HTTP/1.1 200 OK\r\n", "A: ", "0123456789", "BAD_RESPONSE"),
        ("HTTP/1.1 200 ", "", "0123456789", "DELIVERY_UNKNOWN"),
        ("HTTP/1.1 103 Early Hints\r\n", "", "A: 0123456789\r\n", "DELIVERY_UNKNOWN"),
        ("HTTP/1.1 103 Early Hints\r\n", "A: ", "0123456789", "DELIVERY_UNKNOWN"),
        ("", "", "0123456789", "DELIVERY_UNKNOWN"),
        ("HTTP/1.1 403 No\r\n\r\n", "", "no quota. ", "FORBIDDEN"),
        ("HTTP/1.1 403 No\r\n", "", "A: 0123456789\r\n", "FORBIDDEN"),
    ] {
        server.next(Answer::raw(head).and(after).and_endless(more.repeat(100)));
        let outcome = client.trigger("c", "e", "{}");
        let delivery = if status == "FORBIDDEN" { "rejected" } else { "unknown" };
        assert_eq!(
            (outcome.name(), outcome.delivery()),
            (status, delivery),
            "{head:?} {after:?} {more:?}: {outcome:?}"
        );
        if outcome.elapsed > Duration::from_millis(1500) {
            late.push((head, after, more, outcome.elapsed));
        }
    }
    assert!(late.is_empty(), "kept reading: {late:#?}");
}

#[test]
fn endless_trailers_end_before_the_deadline() {
    let trailers =
        Answer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n").and_endless("A: b\r\n".repeat(10));
    let server = Server::builder().answering(move |_| trailers.clone()).start();
    let client = server.client_with(json!({"timeout_ms": 20_000}));
    in_time(|| {
        let outcome = client.trigger("c", "e", "{}");
        outcome.is("BAD_RESPONSE", "unknown").because("malformed");
        if outcome.elapsed < Duration::from_secs(10) { Ok(()) } else { Err(format!("{:?}", outcome.elapsed)) }
    });
}

#[test]
fn endless_interim_responses_end_before_the_deadline() {
    let endless = Answer::raw("").and_endless("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(10));
    let outcome = answered(endless);
    outcome.is("DELIVERY_UNKNOWN", "unknown").because("malformed");
    assert!(outcome.elapsed < Duration::from_secs(4), "{outcome:?}");
    let many = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    answered(Answer::raw(format!("{many}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{{}}"))).is_ok("{}");
}

#[test]
fn interim_responses_are_skipped() {
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nServer: x\r\nDate: today\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 100\r\n\r\n",
        "HTTP/1.1 199 Who Knows\r\nA: b\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 100 Continue\r\nC: d\r\n\r\n",
    ] {
        let together = Answer::raw(format!("{interim}{body}"));
        answered(together.clone()).is_ok("{}");
        answered(Answer::raw(interim).and(body)).is_ok("{}");
        answered(together.dribbling(Duration::from_micros(50))).is_ok("{}");
        answered(Answer::raw(format!("{interim}HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")))
            .is("NOT_FOUND", "rejected");
        answered(Answer::raw(interim).then(End::Close)).is("DELIVERY_UNKNOWN", "unknown");
    }
}

#[test]
fn the_connection_is_reused_after_an_interim_response() {
    let server = Server::start([]);
    let client = server.client();
    for _ in 0..3 {
        server.next(Answer::raw(
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        ));
        client.trigger("c", "e", "{}").is_ok("{}");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn an_invalid_status_line_is_malformed() {
    for garbage in [
        "HELLO\r\n\r\n",
        "{}",
        "\0\0\0\0",
        "<html></html>\r\n",
        "220 smtp.example.org ESMTP\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 4030 Forbidden\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 -20 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/0.9 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "\x15\x03\x03\x00\x02\x02\x28",
    ] {
        let outcome = answered(Answer::raw(garbage).then(End::Close));
        assert_eq!(
            (outcome.name(), outcome.delivery(), &*outcome.text("cause")),
            ("DELIVERY_UNKNOWN", "unknown", "malformed"),
            "{garbage:?}: {outcome:?}"
        );
    }
}

#[test]
fn a_status_outside_http_is_unknown() {
    for status in ["000", "099", "101", "600", "999"] {
        let outcome =
            answered(Answer::raw(format!("HTTP/1.1 {status} What\r\nContent-Length: 2\r\n\r\n{{}}")).then(End::Close));
        outcome.is("DELIVERY_UNKNOWN", "unknown");
    }
}

#[test]
fn malformed_headers_are_unknown() {
    for headers in ["no colon\r\n", "A\0: b\r\n", ": b\r\n", "A b: c\r\n"] {
        let outcome = answered(
            Answer::raw(format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 2\r\n\r\n{{}}")).then(End::Close),
        );
        outcome.is("BAD_RESPONSE", "unknown");
    }
}

#[test]
fn a_redirect_is_never_followed() {
    let elsewhere = Server::start([]);
    let server = Server::start([]);
    let client = server.client();
    for http_status in [301, 302, 303, 307, 308] {
        for location in [
            format!("http://127.0.0.1:{}/apps/4711/events", elsewhere.port()),
            "/apps/4711/events".to_owned(),
            "//".to_owned(),
        ] {
            server.next(Answer::new(http_status, &[("Location", &location)], ""));
            client.trigger("c", "e", "{}").is("REDIRECTED", "rejected");
        }
    }
    assert_eq!((server.ledger().len(), elsewhere.connections()), (15, 0));
}

#[test]
fn an_error_inside_a_200_is_that_error() {
    let server = Server::start([]);
    let client = server.client();
    for code in [400, 401, 402, 403, 404, 405, 413, 415, 422, 429, 499, 500, 503, 599] {
        for (channels, several) in [("c", false), (SEVERAL, true)] {
            let (status, delivery) = expected(code, several);
            for body in [
                format!(r#"{{"error":"what soketi says","code":{code}}}"#),
                format!("{{ \"code\" : {code} ,\n\"x\":[{{}}], \"error\" : {{\"a\":1}} }}"),
            ] {
                server.next(Answer::ok(&body));
                let outcome = client.trigger(channels, "e", "{}");
                outcome.is(status, delivery);
                assert_eq!(outcome.text("response"), body);
            }
        }
    }
}

#[test]
fn an_error_inside_a_200_is_found_in_any_spelling() {
    for body in [
        r#"{"error":"x","c\u006fde":401}"#,
        r#"{"\u0065rror":"x","code":401}"#,
        r#"{"error":"x","code":401,"other":1,"other":2}"#,
        r#"{"error":"x","error":"x","code":401}"#,
    ] {
        let outcome = answered(Answer::ok(body));
        assert_eq!((outcome.name(), outcome.delivery()), ("UNAUTHORIZED", "rejected"), "{body}: {outcome:?}");
    }
}

#[test]
fn a_200_with_something_like_an_error_inside_is_a_success() {
    for body in [
        r#"{"error":"x"}"#,
        r#"{"code":401}"#,
        r#"{"error":"x","code":"401"}"#,
        r#"{"error":"x","code":399}"#,
        r#"{"error":"x","code":600}"#,
        r#"{"error":"x","code":200}"#,
        r#"{"error":"x","code":-401}"#,
        r#"{"error":"x","code":null}"#,
        r#"{"error":"x","code":4294967697}"#,
        r#"{"a":{"error":"x","code":401}}"#,
        r#"[{"error":"x","code":401}]"#,
        r#"["error","code"]"#,
        r#""{\"error\":\"x\",\"code\":401}""#,
    ] {
        answered(Answer::ok(body)).is_ok(body);
    }
}

#[test]
fn the_response_member_has_at_most_1_kib() {
    for body in [
        "a".repeat(5000),
        "é".repeat(3000),
        format!("x{}", "😀".repeat(2000)),
        "\"\u{1}".repeat(3000),
        "a".repeat(1024),
        "a".repeat(1025),
    ] {
        let outcome = answered(Answer::new(400, &[], &body));
        let excerpt = outcome.text("response");
        assert!(body.starts_with(&excerpt) && excerpt.len() <= 1024 && excerpt.len() > 1020, "{}", excerpt.len());
    }
    assert_eq!(answered(Answer::new(400, &[], "{\"a\":\"b\"}")).text("response"), "{\"a\":\"b\"}");
    assert!(!answered(Answer::new(400, &[], "")).error().contains_key("response"));
    // Invalid UTF-8 is reported with replacement characters.
    let outcome = answered(Answer::raw("HTTP/1.1 400 No\r\nContent-Length: 3\r\n\r\n").and(&b"a\xffb"[..]));
    assert_eq!(outcome.text("response"), "a\u{fffd}b");
    answered(Answer::raw("HTTP/1.1 400 No\r\nContent-Length: 3000\r\n\r\n").and(b"\xff\0".repeat(1500)))
        .is("BAD_REQUEST", "rejected");
}

#[test]
fn the_message_of_a_refusal_ends_with_the_first_line_of_the_response() {
    let long = "x".repeat(201);
    for (body, end) in [
        ("no quota", "no quota"),
        ("\r\n \n  Invalid event: name \r\nsecond line", "Invalid event: name"),
        (r#"{"error":"no","code":413}"#, r#"{"error":"no","code":413}"#),
        ("a\u{1b}[31mb\tc\u{202e}d\u{0}e", "a [31mb c d e"),
        ("żółw 🐢", "żółw 🐢"),
        (&*long, &*format!("{}…", &long[..200])),
        (&long[..200], &long[..200]),
    ] {
        for http_status in [400, 402, 403, 404, 405, 407, 413, 415, 422, 429] {
            let outcome = answered(Answer::new(http_status, &[], body));
            let message = outcome.text("message");
            assert!(message.starts_with(&format!("the server answered {http_status}: ")), "{message}");
            assert!(message.ends_with(&format!(": {end}")), "{message}");
        }
        for http_status in [302, 401, 500, 503] {
            let outcome = answered(Answer::new(http_status, &[], body));
            assert!(!outcome.text("message").contains(end), "{outcome:?}");
        }
    }
    for body in ["", "\n\n", " \r\n "] {
        let outcome = answered(Answer::new(403, &[], body));
        assert!(outcome.text("message").ends_with("over its quota"), "{outcome:?}");
    }
}

#[test]
fn an_echoed_signature_is_redacted() {
    for padding in [0, 900, 950, 959, 960, 961, 1000, 1023, 1024] {
        for http_status in [401, 403, 500] {
            let server = Server::builder()
                .answering(move |request| {
                    let body = format!("{}{} for {}", "x".repeat(padding), request.signature(), request.target());
                    Answer::new(http_status, &[("X-Echo", request.target())], &body)
                })
                .start();
            let outcome = server.client().trigger("c", "e", "{}");
            let signature = server.only().signature().to_owned();
            assert_eq!(signature.len(), 64);
            // Not even its beginning, where the excerpt ends.
            let document = outcome.document.unwrap();
            assert!(!document.contains(&signature[..12]), "{padding}: {document}");
        }
    }
    // Nor in the error of soketi, or in a body that is not JSON.
    for suffix in ["\",\"code\":401}", ""] {
        let server = Server::builder()
            .answering(move |request| Answer::ok(&format!("{{\"error\":\"{}{suffix}", request.target())))
            .start();
        let outcome = server.client().trigger("c", "e", "{}");
        assert!(!outcome.document.unwrap().contains(&server.only().signature()[..12]));
    }
    // Nor as the code of an error.
    let server = Server::builder()
        .answering(move |request| Answer::new(422, &[], &format!(r#"{{"error":1,"code":"{}"}}"#, request.signature())))
        .start();
    let outcome = server.client().trigger("c", "e", "{}");
    assert_eq!(outcome.text("server_code"), "");
    assert!(!outcome.document.unwrap().contains(&server.only().signature()[..12]));
    // Nor in an invalid status line or header.
    for head in ["HTTP/1.1 200 OK\r\n", "", "HTTP/1.1 "] {
        let server = Server::builder()
            .answering(move |request| Answer::raw(format!("{head}{}\r\n\r\n", request.target())).then(End::Close))
            .start();
        let outcome = server.client().trigger("c", "e", "{}");
        outcome.is(if head.contains("200") { "BAD_RESPONSE" } else { "DELIVERY_UNKNOWN" }, "unknown");
        assert!(!outcome.document.unwrap().contains(&server.only().signature()[..12]));
    }
}

#[test]
fn a_signature_echoed_twice_is_redacted_completely() {
    // Redacting the first one makes room for more of the body, and so for the second one.
    for (before, between) in [(100, 870), (0, 960), (0, 900), (500, 470), (10, 1000), (100, 800), (900, 60), (960, 0)] {
        for times in [2, 3, 10, 20] {
            let server = Server::builder()
                .answering(move |request| {
                    let signature = request.signature();
                    let repeated = format!("{}{signature}", "y".repeat(between)).repeat(times - 1);
                    Answer::new(401, &[], &format!("{}{signature}{repeated}", "x".repeat(before)))
                })
                .start();
            let outcome = server.client().trigger("c", "e", "{}");
            let signature = server.only().signature().to_owned();
            let document = outcome.document.unwrap();
            for at in 0..=signature.len() - 16 {
                let part = &signature[at..at + 16];
                assert!(!document.contains(part), "{before}, {between}, {times} times: {document}");
            }
        }
    }
}

#[test]
fn only_the_signature_is_redacted_and_a_redacted_text_fills_the_excerpt() {
    for (times, shown) in [(1, 1), (20, 20), (85, 85), (86, 85), (200, 85)] {
        let server = Server::builder()
            .answering(move |request| Answer::new(401, &[], &format!("{}|", request.signature()).repeat(times)))
            .start();
        let excerpt = server.client().trigger("c", "e", "{}").text("response");
        let whole = "[signature]|".repeat(shown);
        assert!(excerpt.starts_with(&whole), "{times} times: {excerpt}");
        assert_eq!(excerpt.len(), (12 * times).min(1024), "{times} times: {excerpt}");
    }
}

#[test]
fn a_message_says_that_an_event_may_have_been_delivered() {
    let doubt = "; the event may have been delivered";
    for (answer, is_in_doubt) in [
        (Answer::new(500, &[], ""), true),
        (Answer::new(599, &[], ""), true),
        (Answer::nothing().then(End::Close), true),
        (Answer::new(404, &[], ""), false),
        (Answer::new(302, &[], ""), false),
    ] {
        let server = Server::start([answer.clone(), answer.clone()]);
        let client = server.client_with(json!({"retry": {"mode": "never"}}));
        let published = client.trigger("c", "e", "{}");
        assert_eq!(published.text("message").contains(doubt), is_in_doubt, "{published:?}");
        let asked = client.call_with("channel_info", &["c"]);
        assert!(!asked.text("message").is_empty() && !asked.text("message").contains(doubt), "{asked:?}");
    }
}

#[test]
fn a_response_may_have_64_headers() {
    let headers = |count: usize| {
        let more: String = (1..count).map(|i| format!("X-{i}: y\r\n")).collect();
        format!("{more}Content-Length: 2\r\n\r\n{{}}")
    };
    answered(Answer::raw(format!("HTTP/1.1 200 OK\r\n{}", headers(64)))).is_ok("{}");
    for count in [65, 66, 100, 500] {
        let outcome = answered(Answer::raw(format!("HTTP/1.1 200 OK\r\n{}", headers(count))));
        assert_eq!((outcome.name(), outcome.delivery()), ("BAD_RESPONSE", "unknown"), "{count}: {outcome:?}");
        assert_eq!(outcome.number("http_status"), Some(200));
        let outcome = answered(Answer::raw(format!("HTTP/1.1 403 No\r\n{}", headers(count))));
        assert_eq!((outcome.name(), outcome.delivery()), ("FORBIDDEN", "rejected"), "{count}: {outcome:?}");
    }
}

#[test]
fn retry_after_is_reported_in_milliseconds() {
    for http_status in [429, 503] {
        for (value, expected) in [
            ("0", Some(0)),
            ("7", Some(7000)),
            (" 7 ", Some(7000)),
            ("3600", Some(3_600_000)),
            ("soon", None),
            ("-1", None),
            ("1.5", None),
            ("", None),
        ] {
            let outcome = answered(Answer::new(http_status, &[("Retry-After", value)], "slower"));
            assert_eq!(outcome.number("retry_after_ms"), expected, "{value:?}: {outcome:?}");
        }
        // Absurd values do no harm.
        for value in ["18446744073709551615", "99999999999999999999999"] {
            answered(Answer::new(http_status, &[("Retry-After", value)], "slower"));
        }
        assert_eq!(answered(Answer::new(http_status, &[], "slower")).number("retry_after_ms"), None);
    }
}

#[test]
fn the_code_of_a_json_error_is_reported() {
    let long = "a".repeat(64);
    let (longest, too_long) = (format!(r#"{{"code":"{long}"}}"#), format!(r#"{{"code":"{long}a"}}"#));
    let padded =
        |size: usize| format!(r#"{{"code":"x","pad":"{}"}}"#, "p".repeat(size - r#"{"code":"x","pad":""}"#.len()));
    let (largest, too_large) = (padded(64 << 10), padded((64 << 10) + 1));
    for (body, expected) in [
        (r#"{"error":"off","code":"feature_disabled","status":422}"#, "feature_disabled"),
        (r#" {"c\u006fde":"a\u005fb","error":1}"#, "a_b"),
        (r#"{"code":4001}"#, "4001"),
        (r#"{"code":"x.Y-9","code":"other"}"#, "x.Y-9"),
        (&longest, &long),
        (&largest, "x"),
        // Neither a word nor a number, or no member of the body.
        (&too_long, ""),
        (&too_large, ""),
        (r#"{"code":""}"#, ""),
        (r#"{"code":"a b"}"#, ""),
        (r#"{"code":"a\nb"}"#, ""),
        (r#"{"code":"\u00e9"}"#, ""),
        (r#"{"code":null}"#, ""),
        (r#"{"code":true}"#, ""),
        (r#"{"code":{"a":1}}"#, ""),
        (r#"{"error":{"code":"inner"}}"#, ""),
        (r#"[{"code":"x"}]"#, ""),
        (r#"{"code":"x""#, ""),
        ("code: x", ""),
        ("", ""),
    ] {
        for http_status in [400, 429, 500] {
            let outcome = answered(Answer::new(http_status, &[], body));
            assert_eq!(outcome.text("server_code"), expected, "{body}: {outcome:?}");
            assert_eq!(outcome.error().contains_key("server_code"), !expected.is_empty(), "{body}");
        }
    }
    assert_eq!(answered(Answer::new(200, &[], r#"{"error":"x","code":403}"#)).text("server_code"), "403");
    answered(Answer::new(200, &[], r#"{"code":"fine"}"#)).is_ok(r#"{"code":"fine"}"#);
}

#[test]
fn the_code_of_a_large_error_of_a_transport_is_not_read() {
    for (size, code) in [(64 << 10, "x"), ((64 << 10) + 1, "")] {
        let body = format!(r#"{{"code":"x"}}{}"#, " ".repeat(size - r#"{"code":"x"}"#.len()));
        let client = Client::new(&config(9, json!({})));
        client.send_by(move |_, reply| _ = reply.set(422, body.as_bytes()));
        assert_eq!(client.trigger("c", "e", "{}").text("server_code"), code, "{size}");
    }
}

#[test]
fn the_figures_of_a_rate_limit_are_reported() {
    let limits =
        |headers: &[(&str, &str)]| answered(Answer::new(429, headers, "slower")).error().get("rate_limit").cloned();
    assert_eq!(limits(&[]), None);
    let all = [("X-RateLimit-Limit", "100"), ("x-ratelimit-remaining", "0"), ("X-RATELIMIT-RESET", " 12 ")];
    assert_eq!(limits(&all), Some(json!({"limit": 100, "remaining": 0, "reset": 12})));
    assert_eq!(limits(&all[1..2]), Some(json!({"remaining": 0})));
    // Of several, the first number counts. Anything else is left out.
    let twice = [("X-RateLimit-Limit", "many"), ("X-RateLimit-Limit", "7"), ("X-RateLimit-Limit", "8")];
    assert_eq!(limits(&twice), Some(json!({"limit": 7})));
    for value in ["", "-1", "1.5", "0x10", "9007199254740992", "99999999999999999999999"] {
        assert_eq!(limits(&[("X-RateLimit-Reset", value)]), None, "{value}");
    }
    answered(Answer::new(200, &all, "{}")).is_ok("{}");
}
