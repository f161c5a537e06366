//! Faults of the bytes of the response, and of what follows it. Unless stated otherwise the request is applied: only the
//! response is faulty.

use std::time::Duration;

use serde_json::json;

use super::super::ending::Ending;
use super::super::http;
use super::super::script::{Applies, At, End, Params, Part, Script};
use super::{Fault, Phase, lost_and_applied};

const DELIVERED: &str = "delivered";
const UNKNOWN: &str = "unknown";
/// This response violates HTTP, but it is still recognisable as a 200.
const TOLERANT: &str = "delivered, or unknown";

/// The head of a healthy response, except for its length.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";

/// More than a client should buffer: the default limit of libpusher is 16 MiB.
const HUGE: usize = 17 << 20;

fn ok(rest: &str) -> Script {
    Script::says(format!("{OK}{rest}"))
}

pub(super) fn add(all: &mut Vec<Fault>) {
    cuts(all);
    endings(all);
    lengths(all);
    chunks(all);
    endless(all);
    heads(all);
    interim(all);
    bodies(all);
    after_response(all);
}

/// Responses that are truncated or slow.
fn cuts(all: &mut Vec<Fault>) {
    for (name, what, end) in [
        ("answer-cut-fin", "FIN within the response.", End::Fin),
        ("answer-cut-rst", "RST within the response.", End::Reset),
        ("answer-cut-silence", "Sends only a part of the response.", End::Hold),
        ("answer-cut-cut", "FIN within the response, without close_notify.", End::Cut),
    ] {
        let honest = "unknown; delivered if nothing was cut off";
        let fault = Fault::new(Phase::Answer, name, what, honest, move |p| {
            Script::healthy().applies(p.applied()).cut(p.at()).then(end)
        });
        let fault = fault.with(json!({"at": "half", "applied": true}));
        all.push(if end == End::Cut { fault.tls_only() } else { fault });
    }
    let slow = Fault::new(
        Phase::Answer,
        "slow-answer",
        "Sends the response byte by byte, each after `ms`.",
        "delivered; unknown if time is up",
        |p| Script::healthy().paced(p.ms()),
    );
    all.push(slow.with(json!({"ms": 2})));
    let late = Fault::new(
        Phase::Answer,
        "late-answer",
        "Sends the response after `ms`.",
        "delivered; unknown if time is up",
        |p| Script::parts([Part::Pause(p.ms()), Part::Healthy]),
    );
    all.push(late.with(json!({"ms": 100})));
}

/// Responses that come in one read with the end of the TLS session.
fn endings(all: &mut Vec<Fault>) {
    for (ending, name) in Ending::ALL {
        let what = match ending {
            Ending::CloseNotify => "close_notify",
            Ending::BadRecord => "a record that cannot be decrypted",
            Ending::Alert => "a fatal alert",
            Ending::PlainAlert => "a fatal alert in plain text",
            Ending::PlainHttp => "a 400 in plain text",
            Ending::PartialRecord => "the beginning of a record",
        };
        let mut add = |phase, begin: &str, when: &str, honest, behaviour: fn(&Params) -> Script| {
            let what = format!("{what}{when}, then FIN.");
            let what = format!("{}{}", what[..1].to_uppercase(), &what[1..]);
            let fault = Fault::new(phase, &format!("{begin}-{name}"), &what, honest, move |p| {
                behaviour(p).then(End::With(ending))
            });
            all.push(fault.tls_only());
        };
        let is_clean = ending == Ending::CloseNotify;
        add(Phase::AfterAnswer, "answer-and", " in one write with the response", DELIVERED, |_| Script::healthy());
        add(Phase::Answer, "half-answer-and", " in one write with half of the response", UNKNOWN, |_| {
            Script::healthy().cut(At::Half)
        });
        add(Phase::Answer, "no-answer-but", " instead of a response", UNKNOWN, |_| Script::mute());
        if !matches!(ending, Ending::CloseNotify | Ending::BadRecord | Ending::Alert) {
            continue;
        }
        add(
            Phase::Answer,
            "refusal-and",
            ", in one write with a 400. Nothing is applied",
            "rejected; unknown for several events",
            |_| Script::says(http::json_answer(400, r#"{"error":"refused"}"#)).applies(Applies::Nothing),
        );
        add(Phase::AfterAnswer, "chunks-and", " in one write with a chunked response", DELIVERED, |_| {
            ok(&format!("{CHUNKED}2\r\n{{}}\r\n0\r\n\r\n"))
        });
        add(
            Phase::Answer,
            "half-chunks-and",
            " in one write with a chunked response without its last chunk",
            UNKNOWN,
            |_| ok(&format!("{CHUNKED}2\r\n{{}}\r\n")),
        );
        let honest = if is_clean { DELIVERED } else { UNKNOWN };
        add(Phase::Answer, "no-length-and", " in one write with a response without a length", honest, |_| ok("\r\n{}"));
    }
}

/// Responses with a wrong length.
fn lengths(all: &mut Vec<Fault>) {
    let mut answer = |name, what, honest, script: Script| {
        all.push(Fault::new(Phase::Answer, name, what, honest, move |_| script.clone()));
    };
    let long = || ok("Content-Length: 20\r\n\r\n{}");
    answer("length-too-long-fin", "Content-Length 20, a body of 2 bytes, FIN.", UNKNOWN, long().then(End::Fin));
    answer("length-too-long-rst", "Content-Length 20, a body of 2 bytes, RST.", UNKNOWN, long().then(End::Reset));
    answer(
        "length-too-long-silence",
        "Content-Length 20, a body of 2 bytes, then nothing.",
        UNKNOWN,
        long().then(End::Hold),
    );
    answer("length-too-short", "Content-Length 1, a body of 2 bytes.", UNKNOWN, ok("Content-Length: 1\r\n\r\n{}"));
    answer("length-garbage", "Content-Length is not a number.", UNKNOWN, ok("Content-Length: two\r\n\r\n{}"));
    answer("length-negative", "Content-Length is -2.", UNKNOWN, ok("Content-Length: -2\r\n\r\n{}"));
    answer(
        "length-overflow",
        "Content-Length is 2^64 + 2.",
        UNKNOWN,
        ok("Content-Length: 18446744073709551618\r\n\r\n{}").then(End::Fin),
    );
    answer(
        "length-twice",
        "Two different Content-Lengths, 2 and 20.",
        TOLERANT,
        ok("Content-Length: 2\r\nContent-Length: 20\r\n\r\n{}"),
    );
    for (name, what, lengths) in [
        ("length-list", "A list of two equal Content-Lengths, `2, 2`.", "Content-Length: 2, 2"),
        ("length-repeated", "Two equal Content-Lengths.", "Content-Length: 2\r\nContent-Length: 2"),
        ("length-plus", "Content-Length is `+2`.", "Content-Length: +2"),
        ("length-semicolon", "Content-Length is `2;`.", "Content-Length: 2;"),
        ("header-name-blank", "A blank between Content-Length and its colon.", "Content-Length : 2"),
    ] {
        answer(name, what, UNKNOWN, ok(&format!("{lengths}\r\n\r\n{{}}")));
    }
    answer(
        "no-length-fin",
        "No length: the body ends with the connection, by FIN.",
        TOLERANT,
        ok("\r\n{}").then(End::Fin),
    );
    answer(
        "no-length-rst",
        "No length: the body ends with the connection, by RST.",
        UNKNOWN,
        ok("\r\n{}").then(End::Reset),
    );
    answer("no-length-silence", "No length, and the connection stays open.", UNKNOWN, ok("\r\n{}").then(End::Hold));
    answer("no-length-empty", "No length and no body, FIN.", UNKNOWN, ok("\r\n").then(End::Fin));
    let cut = Fault::new(
        Phase::Answer,
        "no-length-cut",
        "No length: the body ends with the connection, by FIN without close_notify.",
        UNKNOWN,
        |_| ok("\r\n{}").then(End::Cut),
    );
    all.push(cut.tls_only());
}

/// Chunked responses.
fn chunks(all: &mut Vec<Fault>) {
    let mut answer = |name, what, honest, rest: &str, end| {
        let script = ok(rest).then(end);
        all.push(Fault::new(Phase::Answer, name, what, honest, move |_| script.clone()));
    };
    let chunked = |rest: &str| format!("{CHUNKED}{rest}");
    answer("chunked", "Two valid chunks.", DELIVERED, &chunked("1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"), End::Keep);
    answer(
        "chunked-trailer",
        "A valid chunk with an extension, and a trailer.",
        DELIVERED,
        &chunked("2;a=b\r\n{}\r\n0\r\nX-Trailer: 1\r\n\r\n"),
        End::Keep,
    );
    answer("chunked-empty", "Only the last chunk.", DELIVERED, &chunked("0\r\n\r\n"), End::Keep);
    answer("chunked-cut-fin", "FIN within a chunk.", UNKNOWN, &chunked("5\r\n{}"), End::Fin);
    answer("chunked-cut-rst", "RST within a chunk.", UNKNOWN, &chunked("5\r\n{}"), End::Reset);
    answer("chunked-cut-silence", "Sends only a part of a chunk.", UNKNOWN, &chunked("5\r\n{}"), End::Hold);
    answer("chunked-unended-fin", "FIN instead of the last chunk.", UNKNOWN, &chunked("2\r\n{}\r\n"), End::Fin);
    answer("chunked-unended-rst", "RST instead of the last chunk.", UNKNOWN, &chunked("2\r\n{}\r\n"), End::Reset);
    answer(
        "chunked-half-end-fin",
        "FIN within the line of the last chunk.",
        UNKNOWN,
        &chunked("2\r\n{}\r\n0\r\n"),
        End::Fin,
    );
    answer(
        "chunk-size-garbage",
        "A chunk size that is not a number.",
        UNKNOWN,
        &chunked("zz\r\n{}\r\n0\r\n\r\n"),
        End::Keep,
    );
    answer(
        "chunk-size-overflow",
        "A chunk size of 2^64 + 2.",
        UNKNOWN,
        &chunked("10000000000000002\r\n{}\r\n0\r\n\r\n"),
        End::Fin,
    );
    for (name, what, size) in [
        ("chunk-size-plus", "A chunk size of `+2`.", "+2"),
        ("chunk-size-blank", "A blank before a chunk size.", " 2"),
        ("chunk-size-prefix", "A chunk size of `0x2`.", "0x2"),
        ("chunk-size-empty", "An empty chunk size.", ""),
        ("chunk-size-long", "A chunk size of 17 digits.", "00000000000000002"),
    ] {
        answer(name, what, UNKNOWN, &chunked(&format!("{size}\r\n{{}}\r\n0\r\n\r\n")), End::Keep);
    }
    for (name, what, coding) in [
        ("encoding-repeated", "Two Transfer-Encodings.", "chunked\r\nTransfer-Encoding: chunked"),
        ("encoding-twice", "A Transfer-Encoding of `chunked, chunked`.", "chunked, chunked"),
        ("encoding-gzip", "A Transfer-Encoding of `gzip, chunked`.", "gzip, chunked"),
        ("encoding-identity", "A Transfer-Encoding of `identity`.", "identity"),
    ] {
        let rest = format!("Transfer-Encoding: {coding}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n");
        answer(name, what, UNKNOWN, &rest, End::Keep);
    }
    answer(
        "length-and-chunked",
        "Both Content-Length and chunks.",
        TOLERANT,
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        End::Keep,
    );
    answer(
        "unknown-encoding",
        "A Transfer-Encoding that does not exist.",
        UNKNOWN,
        "Transfer-Encoding: rot13\r\n\r\n{}",
        End::Fin,
    );
}

/// Endless or very long responses.
fn endless(all: &mut Vec<Fault>) {
    for (name, what, begin, again) in [
        ("endless-body", "A body that never ends, without a length.", "\r\n", "[0]\n"),
        ("endless-chunks", "Chunks that never end.", CHUNKED, "4\r\n    \r\n"),
        ("endless-head", "Headers that never end.", "", "X-Header: value\r\n"),
        ("endless-header-line", "A header line that never ends.", "X-Header: ", "value"),
        ("endless-chunk-line", "A line with a chunk size that never ends.", CHUNKED, "0"),
        (
            "endless-trailer",
            "Trailers that never end.",
            "Transfer-Encoding: chunked\r\n\r\n0\r\n",
            "X-Trailer: value\r\n",
        ),
    ] {
        let begin = format!("{OK}{begin}");
        all.push(Fault::new(Phase::Answer, name, what, UNKNOWN, move |_| {
            Script::parts([Part::Bytes(begin.clone().into()), Part::Forever(again.into())])
        }));
    }
    all.push(Fault::new(Phase::Answer, "endless-status-line", "A status line that never ends.", UNKNOWN, |_| {
        Script::parts([Part::Bytes("HTTP/1.1 200 ".into()), Part::Forever("OK".into())])
    }));
    all.push(Fault::new(Phase::Answer, "endless-interim", "Interim responses that never end.", UNKNOWN, |_| {
        Script::parts([Part::Forever("HTTP/1.1 103 Early Hints\r\n\r\n".into())])
    }));
    all.push(Fault::new(Phase::Answer, "huge-body", "A body of 17 MiB, with its length.", TOLERANT, |_| {
        Script::says(http::json_answer(200, &format!("[{}]", " ".repeat(HUGE))))
    }));
    let many = Fault::new(Phase::Answer, "many-headers", "`count` header lines.", TOLERANT, |p| {
        ok(&format!("{}Content-Length: 2\r\n\r\n{{}}", "X-Header: value\r\n".repeat(p.number("count"))))
    });
    all.push(many.with(json!({"count": 200})));
}

/// Invalid or unusual status lines.
fn heads(all: &mut Vec<Fault>) {
    let body = "Content-Length: 2\r\n\r\n{}";
    for (name, what, honest, text, end) in [
        (
            "status-line-garbage",
            "A line of text instead of a status line.",
            UNKNOWN,
            "Good morning!\r\n\r\n".to_owned(),
            End::Keep,
        ),
        ("http-0.9", "A body without a head, FIN.", UNKNOWN, "{}\n".to_owned(), End::Fin),
        ("http-1.0", "A response of HTTP/1.0, FIN.", DELIVERED, format!("HTTP/1.0 200 OK\r\n{body}"), End::Fin),
        (
            "http-1.0-chunked",
            "A chunked response of HTTP/1.0, FIN.",
            UNKNOWN,
            format!("HTTP/1.0 200 OK\r\n{CHUNKED}2\r\n{{}}\r\n0\r\n\r\n"),
            End::Fin,
        ),
        ("http-2", "A status line of HTTP/2.", UNKNOWN, format!("HTTP/2 200\r\n{body}"), End::Keep),
        ("status-line-cut", "A status line without its end, FIN.", UNKNOWN, "HTTP/1.1 200 OK".to_owned(), End::Fin),
        ("status-line-only-fin", "Only a status line, FIN.", UNKNOWN, "HTTP/1.1 200 OK\r\n".to_owned(), End::Fin),
        ("status-line-only-rst", "Only a status line, RST.", UNKNOWN, "HTTP/1.1 200 OK\r\n".to_owned(), End::Reset),
        (
            "status-line-only-silence",
            "A status line, then nothing.",
            UNKNOWN,
            "HTTP/1.1 200 OK\r\n".to_owned(),
            End::Hold,
        ),
        ("status-2000", "A status of four digits, 2000.", UNKNOWN, format!("HTTP/1.1 2000 OK\r\n{body}"), End::Keep),
        ("status-20", "A status of two digits, 20.", UNKNOWN, format!("HTTP/1.1 20 OK\r\n{body}"), End::Keep),
        ("status-letters", "A status of letters.", UNKNOWN, format!("HTTP/1.1 OK 200\r\n{body}"), End::Keep),
        (
            "no-reason",
            "A status line that ends with the status.",
            TOLERANT,
            format!("HTTP/1.1 200\r\n{body}"),
            End::Keep,
        ),
        (
            "bare-line-feeds",
            "Lines that end with LF alone.",
            TOLERANT,
            "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}".to_owned(),
            End::Keep,
        ),
        (
            "header-without-colon",
            "A header line without a colon.",
            TOLERANT,
            format!("HTTP/1.1 200 OK\r\nnonsense\r\n{body}"),
            End::Keep,
        ),
        (
            "header-with-nul",
            "A NUL in a header.",
            TOLERANT,
            format!("HTTP/1.1 200 OK\r\nX-Header: a\0b\r\n{body}"),
            End::Keep,
        ),
        (
            "header-folded",
            "A header folded over two lines.",
            TOLERANT,
            format!("HTTP/1.1 200 OK\r\nX-Header: a\r\n b\r\n{body}"),
            End::Keep,
        ),
        (
            "blank-line-first",
            "A blank line before the status line.",
            TOLERANT,
            format!("\r\nHTTP/1.1 200 OK\r\n{body}"),
            End::Keep,
        ),
    ] {
        all.push(Fault::new(Phase::Answer, name, what, honest, move |_| Script::says(text.clone()).then(end)));
    }
    all.push(Fault::new(Phase::Answer, "binary-garbage", "Bytes that are not text.", UNKNOWN, |_| {
        Script::says((0..=255).cycle().take(1024).map(|byte: u8| byte ^ 0xa5).collect::<Vec<_>>())
    }));
}

/// Interim responses, and more responses than one.
fn interim(all: &mut Vec<Fault>) {
    let interim = |status| Part::Bytes(format!("HTTP/1.1 {status} {}\r\n\r\n", http::reason(status)).into());
    for (name, what, honest, parts, end) in [
        ("continue-first", "100, then the response.", DELIVERED, vec![interim(100), Part::Healthy], End::Keep),
        ("hints-first", "103, then the response.", DELIVERED, vec![interim(103), Part::Healthy], End::Keep),
        ("interim-fin", "100, then FIN.", UNKNOWN, vec![interim(100)], End::Fin),
        ("interim-rst", "100, then RST.", UNKNOWN, vec![interim(100)], End::Reset),
        ("interim-silence", "100, then nothing.", UNKNOWN, vec![interim(100)], End::Hold),
        ("switching", "101, then FIN.", UNKNOWN, vec![interim(101)], End::Fin),
        ("two-answers", "The response twice.", TOLERANT, vec![Part::Healthy, Part::Healthy], End::Keep),
        (
            "extra-bytes",
            "Extra bytes after the response.",
            TOLERANT,
            vec![Part::Healthy, Part::Bytes("extra".into())],
            End::Keep,
        ),
    ] {
        all.push(Fault::new(Phase::Answer, name, what, honest, move |_| Script::parts(parts.clone()).then(end)));
    }
    let many = Fault::new(Phase::Answer, "many-interim", "103 `count` times, then the response.", TOLERANT, move |p| {
        Script::parts([Part::Bytes("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(p.number("count")).into()), Part::Healthy])
    });
    all.push(many.with(json!({"count": 100})));
}

/// Responses with 200 whose body is not the JSON of the protocol.
fn bodies(all: &mut Vec<Fault>) {
    for (name, what, body) in [
        ("body-text", "200 with plain text.", "ok"),
        (
            "body-html",
            "200 with the page of a captive portal.",
            "<!DOCTYPE html><title>Welcome</title><h1>Please sign in</h1>",
        ),
        ("body-cut-json", "200 with truncated JSON and the matching Content-Length.", r#"{"channels":{"#),
        ("body-two-documents", "200 with two JSON documents.", "{}{}"),
        ("body-error-500", "200 with an error in the body, code 500.", r#"{"error":"internal","code":500}"#),
    ] {
        let answer = http::json_answer(200, body);
        all.extend(lost_and_applied(Phase::Answer, name, what, UNKNOWN, move |_| Script::says(answer.clone())));
    }
    let given = Fault::new(Phase::Answer, "body", "200 with the body `body`.", DELIVERED, |params| {
        Script::says(http::json_answer(200, &params.text("body")))
    });
    all.push(given.with(json!({"body": "{}"})));
    all.push(Fault::new(Phase::Answer, "body-not-utf-8", "200 with bytes that are not UTF-8.", UNKNOWN, |_| {
        Script::says([OK.as_bytes(), b"Content-Length: 4\r\n\r\n\"\xff\xfe\""].concat())
    }));
    for (code, honest) in [
        (400, "rejected; unknown for several events"),
        (401, "rejected"),
        (403, "rejected"),
        (413, "rejected; unknown for several events"),
    ] {
        let what = format!("Nothing is applied. 200 with an error in the body, code {code}.");
        all.push(Fault::new(Phase::Answer, &format!("body-error-{code}"), &what, honest, move |_| {
            let body = json!({"error": "refused", "code": code}).to_string();
            Script::says(http::json_answer(200, &body)).applies(Applies::Nothing)
        }));
    }
    for (name, what, honest, text) in [
        (
            "body-empty",
            "200 without a body, Content-Length 0.",
            DELIVERED,
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        ("no-content", "204.", DELIVERED, "HTTP/1.1 204 No Content\r\n\r\n"),
        ("created", "201 with JSON.", DELIVERED, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"),
        ("accepted", "202 with JSON.", DELIVERED, "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"),
    ] {
        all.push(Fault::new(Phase::Answer, name, what, honest, move |_| Script::says(text)));
    }
    // Of `{}`.
    let gzip: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00";
    all.push(Fault::new(
        Phase::Answer,
        "gzip-unasked",
        "200 with compressed JSON that the client did not ask for.",
        TOLERANT,
        |_| {
            Script::says(
                [format!("{OK}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", gzip.len()).as_bytes(), gzip]
                    .concat(),
            )
        },
    ));
}

/// The connection after a healthy response.
fn after_response(all: &mut Vec<Fault>) {
    let mut add = |name, what, script: Script| {
        all.push(Fault::new(Phase::AfterAnswer, name, what, DELIVERED, move |_| script.clone()));
    };
    add(
        "connection-close",
        "Sends `Connection: close`, and closes the connection.",
        Script::says(http::answer(200, &[("Content-Type", "application/json"), ("Connection", "close")], "{}"))
            .then(End::Fin),
    );
    add(
        "connection-close-lie",
        "Sends `Connection: close`, but leaves the connection open.",
        Script::says(http::answer(200, &[("Content-Type", "application/json"), ("Connection", "close")], "{}")),
    );
    add(
        "silent-close-at-once",
        "FIN in the segment of the response, unannounced. (With TLS after close_notify.)",
        Script::healthy().then(End::With(Ending::CloseNotify)),
    );
    add("stale-fin", "FIN directly after the response, unannounced.", Script::healthy().then(End::Fin));
    add("stale-rst", "RST directly after the response, unannounced.", Script::healthy().then(End::Reset));
    add(
        "stale-silence",
        "Reads and writes nothing after the response: a dead connection.",
        Script::healthy().then(End::Hold),
    );
    let cut = Fault::new(
        Phase::AfterAnswer,
        "stale-cut",
        "FIN without close_notify directly after the response.",
        DELIVERED,
        |_| Script::healthy().then(End::Cut),
    );
    all.push(cut.tls_only());
    let soon = Fault::new(
        Phase::AfterAnswer,
        "silent-close-soon",
        "FIN `ms` after the response, unannounced: perhaps while the next request is sent.",
        "delivered; unknown if the next request was sent first",
        |p| Script::parts([Part::Healthy, Part::Pause(p.ms())]).then(End::Fin),
    );
    all.push(soon.with(json!({"ms": 4})));
    let timeout = || Part::Bytes(http::answer(408, &[("Connection", "close")], ""));
    for (name, what, extra, end) in [
        ("idle-fin", "FIN `ms` after the response.", None, End::Fin),
        ("idle-rst", "RST `ms` after the response.", None, End::Reset),
        ("idle-408", "An unasked 408 `ms` after the response, and FIN.", Some(timeout()), End::Fin),
        ("idle-extra-bytes", "Extra bytes `ms` after the response.", Some(Part::Bytes("extra".into())), End::Keep),
    ] {
        let fault = Fault::new(Phase::AfterAnswer, name, what, DELIVERED, move |p| {
            let mut parts = vec![Part::Healthy, Part::Pause(Duration::from_millis(p.number("ms") as u64))];
            parts.extend(extra.clone());
            Script::parts(parts).then(end)
        });
        all.push(fault.with(json!({"ms": 20})));
    }
}
