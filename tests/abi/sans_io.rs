//! Requests as bytes, and responses read from bytes: for programs with sockets of their own. A response means what the library
//! makes of the same bytes on its own connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ptr;

use crate::support::functions::Function;
use crate::support::hooks::{Without, prepare};
use crate::support::server::End;
use crate::support::{Answer, Client, KEY, Outcome, Reply, Request, SECRET, Server, config};
use serde_json::json;

const TRIGGER: [Option<&str>; 3] = [Some("c"), Some("e"), Some("{}")];

/// Returns a client that does not retry.
fn client(server: &Server) -> Client {
    server.client_with(json!({"retry": {"mode": "never"}}))
}

/// Feeds pieces of the whole, then the end of the input. Returns how many bytes were used, and the last result.
fn feed<'a>(reply: &Reply, pieces: impl IntoIterator<Item = &'a [u8]>) -> (i32, usize) {
    let mut all = 0;
    for piece in pieces {
        let (result, used) = reply.feed(piece);
        all += used;
        match result {
            0 => assert_eq!(used, piece.len()),
            result => return (result, all),
        }
    }
    (reply.feed(b"").0, all)
}

/// The raw responses, and whether each is whole.
fn responses() -> Vec<(Vec<u8>, i32)> {
    let long = "x".repeat(20_000);
    let chunk = format!("{:x}\r\n\"{}\"\r\n", long.len() + 2, long);
    let texts = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned(), 1),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 500 X\r\n\r\n".to_owned(), 1),
        ("\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;a=b\r\n}\r\n0\r\nX: y\r\n\r\nrest".to_owned(), 1),
        (format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"), 1),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned(), 1),
        ("HTTP/1.1 200 OK\r\n\r\n{\"until\":\"close\"}".to_owned(), 1),
        ("HTTP/1.0 200 OK\r\n\r\n{}".to_owned(), 1),
        ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), 1),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n".to_owned(), 1),
        ("HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(), 1),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(), 1),
        ("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nX-RateLimit-Remaining: 0\r\nContent-Length: 4\r\n\r\nslow".to_owned(), 1),
        ("HTTP/1.1 401 No\r\nContent-Length: 1000\r\n\r\ncut".to_owned(), 1),
        ("HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\nno chunk".to_owned(), 1),
        (format!("HTTP/1.1 500 X\r\nContent-Length: 80000\r\n\r\n{}", long.repeat(4)), 1),
        (format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\n{{}}", "a: b\r\n".repeat(63)), 1),
        (format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\n{{}}", "a: b\r\n".repeat(64)), -1),
        (format!("HTTP/1.1 200 OK\r\na: {long}\r\n\r\n"), -1),
        (format!("HTTP/1.1 403 No\r\na: {long}\r\n\r\n"), -1),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{".to_owned(), -1),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}".to_owned(), -1),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n".to_owned(), -1),
        ("HTTP/1.1 200 OK\r\nContent-Le".to_owned(), -1),
        ("HTTP/1.1 401".to_owned(), -1),
        ("HTTP/1.1 100 Continue\r\n\r\n".to_owned(), -1),
        ("SSH-2.0-OpenSSH\r\n".to_owned(), -1),
        ("HTTP/2 200\r\n\r\n".to_owned(), -1),
        (String::new(), -1),
    ];
    texts.map(|(text, result)| (text.into_bytes(), result)).to_vec()
}

#[test]
fn a_response_means_what_it_means_on_the_librarys_own_connection_in_any_pieces() {
    for (bytes, result) in responses() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        for name in ["trigger", "channels_info"] {
            let server = Server::start([]);
            let client = client(&server);
            let function = Function::named(name);
            // The next exchange is on a new connection, so that nothing that follows is in the way.
            server.next(Answer::raw(bytes.clone()).then(End::Close));
            let over_http = function.call(Some(&client), &function.good());
            let mut all_used = Vec::new();
            let sizes = [bytes.len().max(1), 1, 2, 3, 7, 1000, 16_384];
            for size in sizes.into_iter().filter(|size| *size > 7 || bytes.len() < 1000 || *size == 1) {
                let request =
                    prepare(Some(&client), Some(name.as_bytes()), &function.good(), Without::default()).unwrap();
                let reply = Reply::new();
                let (fed, used) = feed(&reply, bytes.chunks(size));
                assert_eq!(fed, result, "{shown} in pieces of {size}");
                for more in [b"more".as_slice(), b""] {
                    assert_eq!(reply.feed(more), (result, 0), "{shown}");
                }
                let finished = client.finish(&request, &reply);
                assert_same(&finished, &over_http, &shown);
                all_used.push(if fed == 1 { used } else { 0 });
            }
            assert!(all_used.iter().all(|used| *used == all_used[0]), "{shown}: {all_used:?}");
        }
    }
}

/// Compares all but the time and the name of the function.
#[track_caller]
fn assert_same(finished: &Outcome, over_http: &Outcome, shown: &str) {
    assert_eq!((finished.name(), finished.delivery()), (over_http.name(), over_http.delivery()), "{shown}");
    let members = |outcome: &Outcome| {
        let document: serde_json::Value = serde_json::from_str(outcome.document.as_deref().unwrap()).unwrap();
        ["http_status", "cause", "retryable", "retry_after_ms", "response", "server_code", "rate_limit"]
            .map(|member| document["error"][member].clone())
    };
    assert_eq!(members(finished), members(over_http), "{shown}: {finished:?}");
    if finished.name() == "OK" {
        assert_eq!(finished.document, over_http.document, "{shown}");
    }
}

#[test]
fn the_bytes_of_a_request_are_what_a_server_takes() {
    let server = Server::start([]);
    let client = server.client_with(json!({"headers": {"x-gateway": "token"}}));
    for function in Function::network() {
        let request =
            prepare(Some(&client), Some(function.name.as_bytes()), &function.good(), Without::default()).unwrap();
        let (pointer, bytes) = request.bytes();
        assert_eq!(request.place(), ("127.0.0.1".to_owned(), server.port(), 0));
        let mut socket = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        socket.write_all(&bytes).unwrap();
        let (reply, mut buffer) = (Reply::new(), [0; 16]);
        loop {
            let length = socket.read(&mut buffer).unwrap();
            if reply.feed(&buffer[..length]).0 != 0 {
                break;
            }
        }
        client.finish(&request, &reply).is_ok("{}");
        let sent = server.last();
        assert_eq!(sent.header("x-gateway"), ["token"]);
        assert_eq!(sent.header("host"), [format!("127.0.0.1:{}", server.port())]);
        let read = request.read();
        assert_eq!((sent.method(), sent.target(), &sent.body), (&*read.method, read.target(), &read.body));
        assert_eq!((request.bytes(), read.verify(KEY, SECRET)), ((pointer, bytes), Ok(())));
    }
    assert_eq!(server.refused(), Vec::<String>::new());
}

#[test]
fn a_request_says_where_it_goes() {
    for (host, ssl, port, expected) in [
        ("api.example.org", true, None, ("api.example.org", 443, 1)),
        ("api.example.org", false, None, ("api.example.org", 80, 0)),
        ("api.example.org.", true, Some(8443), ("api.example.org.", 8443, 1)),
        ("::1", false, Some(6001), ("::1", 6001, 0)),
        ("::1", true, Some(443), ("::1", 443, 1)),
        ("127.0.0.1", true, Some(80), ("127.0.0.1", 80, 1)),
    ] {
        let all = config(1, json!({"host": host, "ssl": ssl, "port": port}));
        let request = Client::new(&all).prepare("trigger", &TRIGGER);
        let (name, number, tls) = request.place();
        assert_eq!((&*name, number, tls), expected);
        // The second call returns the same.
        assert_eq!(request.place(), (name, number, tls));
        let url = request.read().url;
        let authority = url.split("://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        let text = String::from_utf8(request.bytes().1).unwrap();
        assert!(text.contains(&format!("\r\nhost: {authority}\r\n")), "{text}");
    }
}

/// Prepares an event, and finishes it with what `report` reports.
fn finished(client: &Client, report: impl FnOnce(&Reply)) -> Outcome {
    let (request, reply): (Request, _) = (client.prepare("trigger", &TRIGGER), Reply::new());
    report(&reply);
    client.finish(&request, &reply)
}

#[test]
fn a_response_that_is_not_whole_never_says_that_an_event_was_not_sent() {
    let client = Client::new(&config(1, json!({})));
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    for end in 0..whole.len() {
        let outcome = finished(&client, |reply| {
            for byte in whole.as_bytes()[..end].iter().map(std::slice::from_ref) {
                assert_eq!(reply.feed(byte), (0, 1));
            }
        });
        let status = if end < "HTTP/1.1 200 OK\r\n".len() { "DELIVERY_UNKNOWN" } else { "BAD_RESPONSE" };
        assert_eq!((outcome.name(), outcome.delivery()), (status, "unknown"), "{end}: {outcome:?}");
    }
    let refused = finished(&client, |reply| assert_eq!(reply.feed(b"HTTP/1.1 401 No\r\n").0, 0));
    assert_eq!((refused.name(), refused.delivery()), ("UNAUTHORIZED", "rejected"));
}

#[test]
fn the_last_report_decides_but_not_against_a_status() {
    let client = Client::new(&config(1, json!({})));
    let (ok, refusal) =
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    let not_sent = |reply: &Reply| {
        reply.fail(1, Some(b"write"), None);
    };
    for (report, expected) in [
        // The server answered before the last byte was sent.
        (
            &(|reply: &Reply| {
                reply.feed(ok);
                not_sent(reply)
            }) as &dyn Fn(&Reply),
            ("BAD_RESPONSE", "unknown"),
        ),
        (
            &|reply| {
                reply.feed(refusal);
                not_sent(reply)
            },
            ("FORBIDDEN", "rejected"),
        ),
        (
            &|reply| {
                reply.feed(&ok[..20]);
                not_sent(reply)
            },
            ("BAD_RESPONSE", "unknown"),
        ),
        (
            &|reply| {
                reply.feed(b"HTTP/1.1 2");
                not_sent(reply)
            },
            ("NOT_SENT", "not_sent"),
        ),
        (
            &|reply| {
                reply.feed(b"what?");
                not_sent(reply)
            },
            ("NOT_SENT", "not_sent"),
        ),
        (
            &|reply| {
                not_sent(reply);
                reply.feed(b"HTTP/1.1 2");
            },
            ("DELIVERY_UNKNOWN", "unknown"),
        ),
        (
            &|reply| {
                not_sent(reply);
                reply.feed(ok);
            },
            ("OK", ""),
        ),
        (
            &|reply| {
                reply.feed(b"what?");
                reply.set(200, b"{}").header(Some(b"content-length"), Some(b"2"));
            },
            ("OK", ""),
        ),
        (
            &|reply| {
                reply.feed(ok);
                reply.set(999, b"");
            },
            ("DELIVERY_UNKNOWN", "unknown"),
        ),
        (
            &|reply| {
                reply.set(403, b"no");
                assert_eq!(reply.feed(ok), (1, 0));
            },
            ("FORBIDDEN", "rejected"),
        ),
        (
            &|reply| {
                reply.feed(&ok[..20]);
                assert_eq!(reply.feed_raw(ptr::null(), 1), -1);
                reply.feed(&ok[20..]);
            },
            ("OK", ""),
        ),
        (
            &|reply| {
                assert_eq!(reply.feed_raw(ok.as_ptr(), usize::MAX), -1);
                reply.feed(ok);
            },
            ("OK", ""),
        ),
    ] {
        let outcome = finished(&client, report);
        assert_eq!((outcome.name(), outcome.delivery()), expected, "{outcome:?}");
    }
}

#[test]
fn a_body_has_at_most_a_mebibyte() {
    let client = Client::new(&config(1, json!({})));
    for (size, expected) in [(1 << 20, 1), ((1 << 20) + 1, -1)] {
        let body = format!("\"{}\"", "x".repeat(size - 2));
        for head in [
            format!("Content-Length: {size}\r\n\r\n{body}"),
            format!("Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"),
            format!("\r\n{body}"),
        ] {
            let whole = format!("HTTP/1.1 200 OK\r\n{head}");
            let outcome = finished(&client, |reply| {
                assert_eq!(feed(reply, whole.as_bytes().chunks(100_000)).0, expected);
            });
            assert_eq!(outcome.name(), if expected == 1 { "OK" } else { "BAD_RESPONSE" });
        }
    }
}
