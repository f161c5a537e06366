//! Connections are kept, shared and closed in time.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use crate::support::{Answer, End, Server, trigger};
use serde_json::json;

#[test]
fn many_triggers_use_one_connection() {
    let server = Server::start([]);
    let client = server.client();
    for _ in 0..200 {
        trigger(&client).is_ok("{}");
    }
    assert_eq!((server.ledger().len(), server.connections()), (200, 1));
}

#[test]
fn a_connection_is_kept_after_a_refusal_and_every_framing() {
    let server = Server::start([
        Answer::new(400, &[], "no"),
        Answer::new(400, &[], &"x".repeat(2000)),
        Answer::new(302, &[("Location", "/")], ""),
        Answer::raw("HTTP/1.1 204 No Content\r\n\r\n"),
        Answer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nA: b\r\n\r\n"),
        Answer::new(200, &[("Connection", "Keep-Alive"), ("Keep-Alive", "timeout=5")], "{}"),
    ]);
    let client = server.client();
    for _ in 0..7 {
        trigger(&client);
    }
    trigger(&client).is_ok("{}");
    assert_eq!((server.ledger().len(), server.connections()), (8, 1));
}

#[test]
fn a_connection_is_not_reused_after_a_server_error() {
    for http_status in [500, 502, 503, 599] {
        let server = Server::start([Answer::ok("{}"), Answer::new(http_status, &[], "oh")]);
        let client = server.client();
        trigger(&client).is_ok("{}");
        trigger(&client).is("SERVER_ERROR", "unknown");
        trigger(&client).is_ok("{}");
        let connections: Vec<usize> = server.ledger().iter().map(|request| request.connection).collect();
        assert_eq!(connections, [0, 0, 1], "{http_status}");
    }
}

#[test]
fn an_idle_connection_that_the_server_closed_is_replaced() {
    for end in [End::Close, End::Reset] {
        let server = Server::start([]);
        let client = server.client();
        for round in 1..=10 {
            server.next(Answer::ok("{}").then(end));
            trigger(&client).is_ok("{}");
            server.wait_until("the end of the connection", |log| log.ended_by_server == round);
            assert_eq!(server.connections(), round);
        }
        trigger(&client).is_ok("{}");
        assert_eq!(server.ledger().len(), 11);
    }
}

#[test]
fn a_connection_that_closes_as_it_is_reused_is_unknown_and_not_retried() {
    let server = Server::start([Answer::ok("{}"), Answer::nothing().then(End::Close), Answer::ok("{}")]);
    let client = server.client();
    trigger(&client).is_ok("{}");
    trigger(&client).is("DELIVERY_UNKNOWN", "unknown").because("closed");
    assert_eq!((server.ledger().len(), server.connections()), (2, 1));
    trigger(&client).is_ok("{}");
    assert_eq!((server.ledger().len(), server.connections()), (3, 2));
}

#[test]
fn a_connection_that_the_server_announces_to_close_is_not_reused() {
    for raw in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: Close\r\n\r\n{}",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        // The server announces it but does not close: the client must.
        let server = Server::start([Answer::raw(raw)]);
        let client = server.client();
        trigger(&client).is_ok("{}");
        server.wait_until("the client's end of the connection", |log| log.ended_by_client == 1);
        trigger(&client).is_ok("{}");
        assert_eq!(server.connections(), 2, "{raw}");
    }
}

#[test]
fn unexpected_bytes_are_not_taken_for_the_next_response() {
    let answer = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (first, stale) = (answer("{}"), answer(r#"{"stale":true}"#));
    for more in [
        stale.as_str(),
        "x",
        "\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
    ] {
        for together in [true, false] {
            let server = Server::start([]);
            let client = server.client();
            server.next(if together {
                Answer::raw(format!("{first}{more}"))
            } else {
                Answer::raw(&*first).and_wait().and(more).then(End::HalfClose)
            });
            trigger(&client).is_ok("{}");
            if !together {
                server.release();
                server.wait_until("the unexpected bytes", |log| log.half_closed == 1);
            }
            trigger(&client).is_ok("{}");
            assert_eq!((server.ledger().len(), server.connections()), (2, 2), "{more:?}, together: {together}");
        }
    }
}

#[test]
fn the_rest_of_an_unfinished_response_is_not_taken_for_the_next_one() {
    let server = Server::start([]);
    let client = server.client_with(json!({"max_response_bytes": 10, "timeout_ms": 2000}));
    for answer in [Answer::ok(&format!("\"{}\"", "a".repeat(100))), Answer::new(400, &[], &"a".repeat(200_000))] {
        server.next(answer);
        let outcome = trigger(&client);
        assert!(matches!(outcome.name(), "BAD_RESPONSE" | "BAD_REQUEST"), "{outcome:?}");
        trigger(&client).is_ok("{}");
    }
}

#[test]
fn a_late_response_is_not_taken_for_the_next_one() {
    let server = Server::start([Answer::ok(r#"{"late":true}"#).when_released()]);
    let client = server.client();
    client.trigger_with("c", "e", "{}", r#"{"timeout_ms":50}"#).is("DELIVERY_UNKNOWN", "unknown").because("timeout");
    server.release();
    trigger(&client).is_ok("{}");
    assert_eq!(server.connections(), 2);
}

#[test]
fn no_connection_is_kept_if_max_idle_connections_is_0() {
    let server = Server::start([]);
    let client = server.client_with(json!({"max_idle_connections": 0}));
    for round in 1..=3 {
        trigger(&client).is_ok("{}");
        server.wait_until("the client's end of the connection", |log| log.ended_by_client == round);
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn no_more_than_max_idle_connections_are_kept() {
    const THREADS: usize = 8;
    const KEPT: usize = 2;
    let server = Server::builder().answering(|_| Answer::ok("{}").when_released()).start();
    let client = server.client_with(json!({"max_idle_connections": KEPT, "timeout_ms": 60_000}));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| trigger(&client).is_ok("{}").status);
        }
        server.wait_until("all requests at once", |log| log.ledger.len() == THREADS);
        (0..THREADS).for_each(|_| server.release());
    });
    server.wait_until("the surplus connections' end", |log| log.ended_by_client == THREADS - KEPT);
    drop(client);
    server.wait_until("the kept connections' end", |log| log.ended_by_client == THREADS);
}

#[test]
fn a_connection_is_not_reused_after_idle_timeout_ms() {
    let server = Server::start([]);
    let client = server.client_with(json!({"idle_timeout_ms": 20}));
    trigger(&client).is_ok("{}");
    // The test is about time itself, so it sleeps.
    thread::sleep(Duration::from_millis(60));
    trigger(&client).is_ok("{}");
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_freed_client_closes_its_connections() {
    let server = Server::start([]);
    let client = server.client();
    trigger(&client).is_ok("{}");
    assert_eq!(server.ended_by_client(), 0);
    drop(client);
    server.wait_until("the client's end of the connection", |log| log.ended_by_client == 1);
}

#[test]
fn clients_do_not_share_connections() {
    let server = Server::start([]);
    let (one, other) = (server.client(), server.client());
    for _ in 0..3 {
        trigger(&one).is_ok("{}");
        trigger(&other).is_ok("{}");
    }
    let used: Vec<usize> = server.ledger().iter().map(|request| request.connection).collect();
    assert_eq!(used, [0, 1, 0, 1, 0, 1]);
}

#[test]
fn threads_share_a_client_and_each_call_gets_its_own_outcome() {
    const THREADS: usize = 8;
    const CALLS: usize = 250;
    // The response echoes the payload, and its status follows from the payload.
    let server = Server::builder()
        .answering(|request| {
            let id: u16 = request.json()["data"].as_str().unwrap().parse().unwrap();
            let headers = if id % 7 == 0 { vec![("Connection", "close")] } else { vec![] };
            Answer::new(if id % 3 == 0 { 400 } else { 200 }, &headers, &format!("{{\"id\":{id}}}"))
        })
        .start();
    let client = server.client_with(json!({"timeout_ms": 60_000}));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let client = &client;
            scope.spawn(move || {
                for call in 0..CALLS {
                    let id = thread * CALLS + call;
                    let outcome = client.trigger("c", "e", &id.to_string());
                    let answer = format!("{{\"id\":{id}}}");
                    if id % 3 == 0 {
                        outcome.is("BAD_REQUEST", "rejected");
                        assert_eq!(outcome.text("response"), answer);
                    } else {
                        outcome.is_ok(&answer);
                    }
                }
            });
        }
    });
    let accepted: Vec<String> =
        server.ledger().iter().map(|request| request.json()["data"].as_str().unwrap().to_owned()).collect();
    let once: BTreeSet<String> = (0..THREADS * CALLS).map(|id| id.to_string()).collect();
    assert_eq!(accepted.len(), THREADS * CALLS);
    assert_eq!(accepted.into_iter().collect::<BTreeSet<_>>(), once);
}

#[test]
fn threads_need_at_most_one_connection_each() {
    let server = Server::start([]);
    let client = server.client_with(json!({"timeout_ms": 60_000}));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..100).for_each(|_| assert_eq!(trigger(&client).status, 0)));
        }
    });
    assert_eq!(server.ledger().len(), 800);
    assert!(server.connections() <= 8, "{}", server.connections());
}

/// Returns the timer of the client's connection to `port` in /proc/net/tcp, and when it expires in
/// hundredths of a second. (proc(5): 2 is the timer of TCP keep-alive.)
#[cfg(target_os = "linux")]
fn timer_of_connection_to(port: u16) -> Option<(u8, u64)> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let connection = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|fields| {
        // The remote address, and the state "established".
        fields.get(2).is_some_and(|remote| remote.ends_with(&format!(":{port:04X}"))) && fields.get(3) == Some(&"01")
    })?;
    let (timer, expires) = connection[5].split_once(':').unwrap();
    Some((timer.parse().unwrap(), u64::from_str_radix(expires, 16).unwrap()))
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_probes_a_silent_server() {
    let server = Server::start([]);
    let client = server.client();
    trigger(&client).is_ok("{}");
    let (timer, expires) = timer_of_connection_to(server.port()).unwrap();
    assert_eq!(timer, 2);
    assert!((4000..=4500).contains(&expires), "{expires}");
}
