//! The status and the cause of each network failure, and the time at which a call ends.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::support::tls::Authority;
use crate::support::{Answer, Client, End, Server, child, config, in_time, trigger};
use serde_json::json;
use socket2::{Domain, Socket, Type};

/// More than the socket buffers between a client and a reluctant server hold: 4 MiB on Linux.
const BIG_BYTES: usize = 8 << 20;

/// Returns a JSON string with `BIG_BYTES` characters.
fn big_data() -> String {
    format!("\"{}\"", "a".repeat(BIG_BYTES))
}

/// Starts a server whose receive buffer is small.
fn reluctant_server(answer: Answer) -> Server {
    let server = Server::builder().receive_buffer(16 * 1024).start();
    server.next(answer);
    server
}

fn client_of_big_data(server: &Server, timeout_ms: u64) -> Client {
    server.client_with(json!({"max_data_bytes": BIG_BYTES, "timeout_ms": timeout_ms}))
}

/// Returns a port on which no socket listens.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn a_refused_connection_is_not_sent() {
    let outcome = trigger(&Client::new(&config(free_port(), json!({}))));
    outcome.is("NOT_SENT", "not_sent").because("connect");
    let error = outcome.error();
    assert_eq!((&error["retryable"], &error["attempts"]), (&json!(true), &json!(1)));
    assert!(!error.contains_key("http_status"));
    assert!(outcome.elapsed < Duration::from_secs(1), "{outcome:?}");
}

#[test]
fn a_refused_connection_is_not_sent_over_tls_either() {
    let outcome = trigger(&Client::new(&config(free_port(), json!({"ssl": true}))));
    outcome.is("NOT_SENT", "not_sent").because("connect");
}

#[test]
fn a_host_name_that_does_not_exist_is_not_sent() {
    // RFC 6761 reserves `.invalid`: the name never exists.
    for ssl in [false, true] {
        let outcome = trigger(&Client::new(&config(80, json!({"host": "no-such-host.invalid", "ssl": ssl}))));
        outcome.is("NOT_SENT", "not_sent").because("dns");
    }
}

#[test]
fn a_missing_response_is_unknown_at_the_deadline() {
    let server = Server::builder().answering(|_| Answer::nothing()).start();
    let client = server.client_with(json!({"timeout_ms": 300}));
    in_time(|| {
        let outcome = trigger(&client);
        outcome.is("DELIVERY_UNKNOWN", "unknown").because("timeout");
        outcome.took(300)
    });
}

#[test]
fn the_timeout_of_a_call_overrides_that_of_the_client() {
    let server = Server::builder().answering(|_| Answer::nothing()).start();
    for configured in [50, 10_000] {
        let client = server.client_with(json!({"timeout_ms": configured}));
        in_time(|| {
            let outcome = client.trigger_with("c", "e", "{}", r#"{"timeout_ms":200}"#);
            outcome.is("DELIVERY_UNKNOWN", "unknown").because("timeout");
            outcome.took(200)
        });
    }
}

#[test]
fn a_short_timeout_is_honoured() {
    let server = Server::builder().answering(|_| Answer::nothing()).start();
    let client = server.client();
    trigger(&server.client_with(json!({"timeout_ms": 1})));
    for ms in [20, 79, 80, 81, 120] {
        in_time(|| {
            let outcome = client.trigger_with("c", "e", "{}", &format!("{{\"timeout_ms\":{ms}}}"));
            outcome.is("DELIVERY_UNKNOWN", "unknown").because("timeout");
            outcome.took(ms)
        });
    }
}

#[test]
fn each_call_on_a_connection_has_its_own_deadline() {
    // The first call's timeout must not stay on the connection.
    let server = Server::start([]);
    let client = server.client();
    let with_timeout = |ms: u64| client.trigger_with("c", "e", "{}", &format!("{{\"timeout_ms\":{ms}}}"));
    with_timeout(100).is_ok("{}");
    server.next(Answer::ok("{}").dribbling(Duration::from_millis(10)));
    with_timeout(20_000).is_ok("{}");
    in_time(|| {
        with_timeout(20_000).is_ok("{}");
        server.next(Answer::nothing());
        let outcome = with_timeout(150);
        outcome.is("DELIVERY_UNKNOWN", "unknown").because("timeout");
        outcome.took(150)
    });
}

#[test]
fn a_slow_stream_of_bytes_does_not_extend_the_deadline() {
    let pause = Duration::from_millis(20);
    for (raw, status) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "BAD_RESPONSE"),
        ("HTTP/1.1 200 OK\r\nX: ", "BAD_RESPONSE"),
        ("HTTP/1.1 200 ", "DELIVERY_UNKNOWN"),
    ] {
        let server = Server::builder()
            .answering(move |_| Answer::raw(raw).and("x".repeat(1000)).dribbling_from(1, pause))
            .start();
        let client = server.client_with(json!({"timeout_ms": 300}));
        in_time(|| {
            let outcome = trigger(&client);
            outcome.is(status, "unknown").because("timeout");
            outcome.took(300)
        });
    }
}

#[test]
fn a_connection_that_is_never_accepted_is_unknown_at_the_deadline() {
    // The kernel has made the connection and taken the request: a server might still read it.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = Client::new(&config(listener.local_addr().unwrap().port(), json!({"timeout_ms": 300})));
    in_time(|| {
        let outcome = trigger(&client);
        outcome.is("DELIVERY_UNKNOWN", "unknown").because("timeout");
        outcome.took(300)
    });
}

/// Returns a listener whose queue is full, so that connecting to it never ends, and the streams
/// that fill it.
fn full_listener() -> Option<(Socket, SocketAddr, Vec<TcpStream>)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(1).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut fillers = Vec::new();
    for _ in 0..64 {
        match TcpStream::connect_timeout(&address, Duration::from_millis(150)) {
            Ok(stream) => fillers.push(stream),
            Err(_) => return Some((socket, address, fillers)),
        }
    }
    None
}

#[test]
fn a_connection_that_is_never_made_is_not_sent() {
    // Some systems treat a full queue differently; the test is skipped there.
    let Some((_listener, address, _fillers)) = full_listener() else { return };
    for (timeout_ms, connect_timeout_ms) in [(5000, 200), (200, 3000)] {
        for ssl in [false, true] {
            let more = json!({"timeout_ms": timeout_ms, "connect_timeout_ms": connect_timeout_ms, "ssl": ssl});
            let client = Client::new(&config(address.port(), more));
            in_time(|| {
                let outcome = trigger(&client);
                outcome.is("NOT_SENT", "not_sent").because("timeout");
                assert_eq!(outcome.error()["retryable"], json!(true));
                outcome.took(200)
            });
        }
    }
}

#[test]
fn a_close_before_the_response_is_unknown() {
    for end in [End::Close, End::HalfClose] {
        let server = Server::start([Answer::nothing().then(end)]);
        let outcome = trigger(&server.client());
        outcome.is("DELIVERY_UNKNOWN", "unknown").because("closed");
        assert_eq!(
            (outcome.error()["retryable"].clone(), outcome.error()["attempts"].clone()),
            (json!(false), json!(1))
        );
        assert!(outcome.elapsed < Duration::from_secs(2), "{outcome:?}");
        assert_eq!(server.ledger().len(), 1);
    }
}

#[test]
fn a_reset_before_the_response_is_unknown() {
    let server = Server::start([Answer::nothing().then(End::Reset)]);
    trigger(&server.client()).is("DELIVERY_UNKNOWN", "unknown").because("reset");
    assert_eq!(server.ledger().len(), 1);
}

#[test]
fn an_immediate_close_or_reset_accepts_nothing() {
    for end in [End::Close, End::Reset] {
        for _ in 0..20 {
            let server = Server::start([Answer::nothing().without_reading().then(end)]);
            let outcome = trigger(&server.client());
            // A race decides which of the two it is.
            match (outcome.name(), outcome.delivery()) {
                ("NOT_SENT", "not_sent") | ("DELIVERY_UNKNOWN", "unknown") => {}
                _ => panic!("{end:?}: {outcome:?}"),
            }
            assert!(
                matches!(&*outcome.text("cause"), "reset" | "closed" | "connect" | "write"),
                "{end:?}: {outcome:?}"
            );
            assert_eq!(server.ledger().len(), 0);
        }
    }
}

#[test]
fn a_big_body_that_is_never_read_is_not_sent() {
    let server = reluctant_server(Answer::nothing().without_reading());
    let outcome = client_of_big_data(&server, 1500).trigger("c", "e", &big_data());
    outcome.is("NOT_SENT", "not_sent").because("timeout");
    assert!(outcome.elapsed < Duration::from_secs(6), "{outcome:?}");
}

#[test]
fn a_connection_that_ends_during_a_big_body_is_not_sent() {
    let data = big_data();
    for end in [End::Close, End::Reset] {
        let server = reluctant_server(Answer::nothing().when_released().without_reading().then(end));
        let client = client_of_big_data(&server, 20_000);
        let outcome = std::thread::scope(|scope| {
            let call = scope.spawn(|| client.trigger("c", "e", &data));
            server.wait_until("the connection", |log| log.connections == 1);
            server.release();
            call.join().unwrap()
        });
        outcome.is("NOT_SENT", "not_sent");
        assert!(matches!(&*outcome.text("cause"), "reset" | "closed" | "write"), "{end:?}: {outcome:?}");
        assert!(outcome.elapsed < Duration::from_secs(10), "{outcome:?}");
    }
}

#[test]
fn an_early_refusal_of_a_big_body_is_reported() {
    let data = big_data();
    for (http_status, status, delivery) in
        [(413, "PAYLOAD_TOO_LARGE", "rejected"), (401, "UNAUTHORIZED", "rejected"), (503, "SERVER_ERROR", "unknown")]
    {
        for end in [End::Hold, End::HalfClose, End::Close] {
            let refusal = Answer::new(http_status, &[("Connection", "close")], "too much").without_reading().then(end);
            let server = reluctant_server(refusal);
            let start = Instant::now();
            let outcome = client_of_big_data(&server, 20_000).trigger("c", "e", &data);
            assert_eq!((outcome.name(), outcome.delivery()), (status, delivery), "{end:?}: {outcome:?}");
            assert_eq!(outcome.number("http_status"), Some(http_status.into()));
            assert!(start.elapsed() < Duration::from_secs(10), "{end:?}: {outcome:?}");
        }
    }
}

#[test]
fn an_early_refusal_ends_a_big_body_midway() {
    let data = big_data();
    let refusal = Answer::new(413, &[], "too much").when_released().without_reading().then(End::Hold);
    let server = reluctant_server(refusal);
    let client = client_of_big_data(&server, 20_000);
    let outcome = std::thread::scope(|scope| {
        let call = scope.spawn(|| client.trigger("c", "e", &data));
        server.wait_until("the connection", |log| log.connections == 1);
        server.release();
        call.join().unwrap()
    });
    outcome.is("PAYLOAD_TOO_LARGE", "rejected");
    assert!(outcome.elapsed < Duration::from_secs(10), "{outcome:?}");
    // The rest of the request must not be sent before the next one.
    trigger(&client).is_ok("{}");
    assert_eq!((server.connections(), server.ledger().len()), (2, 1));
}

#[test]
fn a_success_before_the_whole_body_is_unknown() {
    let server = reluctant_server(Answer::ok("{}").without_reading().then(End::Hold));
    let outcome = client_of_big_data(&server, 20_000).trigger("c", "e", &big_data());
    outcome.is("BAD_RESPONSE", "unknown");
    assert!(outcome.elapsed < Duration::from_secs(10), "{outcome:?}");
}

#[test]
fn a_success_whose_head_comes_before_the_whole_body_stays_unknown() {
    // More than all buffers hold: the part that the server had not read when the head came was not
    // sent.
    const HUGE_BYTES: usize = 24 << 20;
    let data = format!("\"{}\"", "a".repeat(HUGE_BYTES));
    let authority = Authority::new();
    for ssl in [false, true] {
        let server = Server::builder().receive_buffer(16 * 1024);
        let server = if ssl { server.tls(authority.server(&["localhost"])) } else { server }.start();
        // The server sends the head at once, reads the request to its end, then sends the body.
        server.next(Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").without_reading());
        server.next(Answer::raw("{}"));
        let mut config = json!({"max_data_bytes": HUGE_BYTES, "timeout_ms": 20_000});
        if ssl {
            let more = json!({"ssl": true, "host": "localhost", "ca_file": authority.file()});
            config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        let client = server.client_with(config);
        let outcome = client.trigger("c", "e", &data);
        assert_eq!((outcome.name(), outcome.delivery()), ("BAD_RESPONSE", "unknown"), "ssl {ssl}: {outcome:?}");
        assert_eq!(outcome.number("http_status"), Some(200));
        assert!(outcome.elapsed < Duration::from_secs(10), "{outcome:?}");
        // The next call succeeds.
        assert_eq!(trigger(&client).name(), "OK");
    }
}

#[test]
fn a_refusal_does_not_wait_for_its_body() {
    for http_status in [401, 403, 413, 500] {
        for body in ["", "the beginning"] {
            let head = format!("HTTP/1.1 {http_status} No\r\nContent-Length: 1000\r\n\r\n{body}");
            let server = Server::builder().answering(move |_| Answer::raw(head.clone()).then(End::Hold)).start();
            let client = server.client_with(json!({"timeout_ms": 20_000}));
            in_time(|| {
                let outcome = trigger(&client);
                let (status, delivery) = match http_status {
                    401 => ("UNAUTHORIZED", "rejected"),
                    403 => ("FORBIDDEN", "rejected"),
                    413 => ("PAYLOAD_TOO_LARGE", "rejected"),
                    _ => ("SERVER_ERROR", "unknown"),
                };
                outcome.is(status, delivery);
                let early = outcome.elapsed < Duration::from_millis(900);
                if early { Ok(()) } else { Err(format!("{:?}: {outcome:?}", outcome.elapsed)) }
            });
        }
    }
}

#[test]
fn an_interim_response_does_not_end_a_big_body() {
    // The server sends 100 and then reads on: the client must send on, too.
    let server = Server::builder().receive_buffer(16 * 1024).start();
    server.next(Answer::raw("HTTP/1.1 100 Continue\r\n\r\n").without_reading().then(End::Keep));
    let outcome = client_of_big_data(&server, 20_000).trigger("c", "e", &big_data());
    outcome.is_ok("{}");
    assert_eq!(server.only().body.len(), BIG_BYTES + r#"{"name":"e","channels":["c"],"data":""}"#.len());
}

#[test]
fn the_proxy_in_the_environment_is_not_used() {
    if child::is_child() {
        let port = std::env::var("TEST_PORT").unwrap().parse().unwrap();
        let client = Client::new(&config(port, json!({})));
        child::tell(trigger(&client).name());
        let client = Client::new(&config(port, json!({"ssl": true, "connect_timeout_ms": 200})));
        child::tell(trigger(&client).name());
        return;
    }
    let server = Server::start([]);
    let proxy = Server::start([]);
    let port = server.port().to_string();
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let mut variables = vec![("TEST_PORT", port.as_str())];
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        variables.push((name, &url));
    }
    assert_eq!(child::run(module_path!(), "the_proxy_in_the_environment_is_not_used", &variables), ["OK", "NOT_SENT"]);
    assert_eq!((server.ledger().len(), proxy.connections()), (1, 0));
}
