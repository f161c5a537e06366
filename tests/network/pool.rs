//! A connection is reused only if it is as good as a new one, and a new one goes to the first
//! address that accepts.

#![cfg(unix)]
// On other systems the helpers of the Linux tests are unused.
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use std::{env, thread};

use crate::support::host::BlackHole;
use crate::support::tls::Authority;
use crate::support::{Answer, Client, End, PATIENCE, Server, child, config, host, in_time, trigger};
use rustls::ServerConnection;
use serde_json::{Value, json};
use socket2::SockRef;

/// The server's end of a connection, controlled by the test.
struct Peer(TcpStream);

impl Peer {
    fn accept(listener: &TcpListener) -> Peer {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Peer(stream)
    }

    /// Reads a complete request of `trigger`.
    fn read_request(&mut self) {
        let mut request = Vec::new();
        // The request ends with the `data` of its body.
        while !request.ends_with(b"\"data\":\"{}\"}") {
            let mut chunk = [0; 4096];
            let length = self.0.read(&mut chunk).unwrap();
            assert_ne!(length, 0, "the connection ended within a request");
            request.extend_from_slice(&chunk[..length]);
        }
        assert!(request.starts_with(b"POST /apps/4711/events?"));
    }

    fn answer(&mut self) {
        self.0.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
    }

    /// Asserts that nothing more came on this connection before the client closed it.
    fn was_left_alone(mut self) {
        let mut chunk = [0; 4096];
        match self.0.read(&mut chunk) {
            // Closing a socket with unread bytes resets the connection.
            Ok(0) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Ok(length) => panic!("{:?}", String::from_utf8_lossy(&chunk[..length])),
            Err(error) => panic!("{error}"),
        }
    }

    fn reset(self) {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// Returns a listener for a test that is the server, with a limit on each wait.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Makes this many connections at the same time, all of which the client keeps.
fn fill(client: &Client, listener: &TcpListener, connections: usize) -> Vec<Peer> {
    thread::scope(|scope| {
        let calls: Vec<_> = (0..connections).map(|_| scope.spawn(|| trigger(client))).collect();
        let mut peers: Vec<Peer> = (0..connections).map(|_| Peer::accept(listener)).collect();
        peers.iter_mut().for_each(Peer::read_request);
        peers.iter_mut().for_each(Peer::answer);
        calls.into_iter().for_each(|call| _ = call.join().unwrap().is_ok("{}"));
        peers
    })
}

/// Makes a call that must use a new connection and succeed.
#[track_caller]
fn call_on_a_new_connection(client: &Client, listener: &TcpListener) -> Peer {
    thread::scope(|scope| {
        let call = scope.spawn(|| trigger(client));
        let mut peer = Peer::accept(listener);
        peer.read_request();
        peer.answer();
        call.join().unwrap().is_ok("{}");
        peer
    })
}

#[test]
fn stale_connections_are_detected_before_anything_is_sent() {
    const CONNECTIONS: usize = 5;
    let (listener, port) = listener();
    // There are no retries here, so a success is that of the first attempt.
    let client = || Client::new(&config(port, json!({})));
    for bytes in ["", "\r\n", "x", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"] {
        for and_closes in [true, false] {
            if bytes.is_empty() && !and_closes {
                continue;
            }
            let client = client();
            let mut peers = fill(&client, &listener, CONNECTIONS);
            for peer in &mut peers {
                peer.0.write_all(bytes.as_bytes()).unwrap();
                if and_closes {
                    peer.0.shutdown(Shutdown::Write).unwrap();
                }
            }
            let _kept = call_on_a_new_connection(&client, &listener);
            // The client checked all of them, and all were stale.
            peers.into_iter().for_each(Peer::was_left_alone);
        }
    }
    let client = client();
    fill(&client, &listener, CONNECTIONS).into_iter().for_each(Peer::reset);
    let mut kept = call_on_a_new_connection(&client, &listener);
    // The new connection can be reused.
    thread::scope(|scope| {
        let call = scope.spawn(|| trigger(&client));
        kept.read_request();
        kept.answer();
        call.join().unwrap().is_ok("{}");
    });
}

#[test]
fn one_good_connection_among_stale_ones_is_used() {
    const CONNECTIONS: usize = 5;
    let (listener, port) = listener();
    for good in 0..CONNECTIONS {
        listener.set_nonblocking(false).unwrap();
        let client = Client::new(&config(port, json!({})));
        let mut peers = fill(&client, &listener, CONNECTIONS);
        let mut kept = peers.remove(good);
        peers.into_iter().for_each(Peer::reset);
        thread::scope(|scope| {
            let call = scope.spawn(|| trigger(&client));
            kept.read_request();
            kept.answer();
            call.join().unwrap().is_ok("{}");
        });
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "one connection too many");
    }
}

#[test]
fn a_connection_with_a_failure_is_not_reused() {
    let authority = Authority::new();
    let raw = |text: &str| Answer::raw(text);
    let long = "x".repeat(100_000);
    let cases = [
        (
            "truncated, then silence",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").then(End::Hold),
            "BAD_RESPONSE",
        ),
        ("truncated head", raw("HTTP/1.1 200 OK\r\nContent-").then(End::HalfClose), "BAD_RESPONSE"),
        (
            "truncated by a close",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").then(End::HalfClose),
            "BAD_RESPONSE",
        ),
        ("silence", Answer::nothing(), "DELIVERY_UNKNOWN"),
        ("a close without a response", Answer::nothing().then(End::HalfClose), "DELIVERY_UNKNOWN"),
        ("an interim response only", raw("HTTP/1.1 103 Early Hints\r\n\r\n").then(End::Hold), "DELIVERY_UNKNOWN"),
        ("garbage", raw("SSH-2.0-OpenSSH_9.6\r\n").then(End::Hold), "DELIVERY_UNKNOWN"),
        ("a truncated refusal", raw("HTTP/1.1 400 No\r\nContent-Length: 9\r\n\r\nno").then(End::Hold), "BAD_REQUEST"),
        (
            "a truncated server error",
            raw("HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\noh").then(End::Hold),
            "SERVER_ERROR",
        ),
        ("a complete server error", Answer::new(500, &[], "oh"), "SERVER_ERROR"),
        ("a long server error", Answer::new(500, &[], &long), "SERVER_ERROR"),
        ("a long success", Answer::ok(&format!("\"{long}\"")), "BAD_RESPONSE"),
        ("no length", raw("HTTP/1.1 200 OK\r\n\r\n{}").then(End::HalfClose), "OK"),
        ("an announced close", Answer::new(200, &[("Connection", "close")], "{}"), "OK"),
        ("an announced close after a refusal", Answer::new(400, &[("Connection", "close")], "no"), "BAD_REQUEST"),
        ("an old version", raw("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"), "OK"),
        ("extra bytes", raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\r\n"), "OK"),
        (
            "two responses",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{ }"),
            "OK",
        ),
        (
            "a truncated chunk",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}").then(End::Hold),
            "BAD_RESPONSE",
        ),
        (
            "no last chunk",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n").then(End::Hold),
            "BAD_RESPONSE",
        ),
        (
            "extra bytes after the last chunk",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nx"),
            "OK",
        ),
    ];
    for tls in [false, true] {
        for (what, answer, status) in &cases {
            let server = Server::builder();
            let server = if tls { server.tls(authority.server(&["localhost"])) } else { server }.start();
            server.next(Answer::ok("{}"));
            server.next(answer.clone());
            let more = json!({
                "host": "localhost", "ssl": tls, "ca_file": authority.file(), "max_response_bytes": 80_000,
            });
            let client = server.client_with(more);
            // The result is the same on a new connection and on a reused one.
            for round in 1..=2 {
                trigger(&client).is_ok("{}");
                if round == 2 {
                    server.next(answer.clone());
                }
                let outcome = client.trigger_with("c", "e", "{}", r#"{"timeout_ms":150}"#);
                assert_eq!(outcome.name(), *status, "{what}, tls: {tls}: {outcome:?}");
                trigger(&client).is_ok("{}");
                let used: Vec<usize> = server.ledger().iter().map(|request| request.connection).collect();
                let &[.., before, bad, after] = used.as_slice() else { panic!("{used:?}") };
                assert!(before == bad && bad < after, "{what}, tls: {tls}: {used:?}");
            }
            assert_eq!((server.ledger().len(), server.connections()), (6, 3), "{what}, tls: {tls}");
        }
    }
}

#[test]
fn a_connection_whose_tls_ended_with_the_response_is_not_reused() {
    let authority = Authority::new();
    let (listener, port) = listener();
    let config = config(port, json!({"host": "localhost", "ssl": true, "ca_file": authority.file()}));
    let client = Client::new(&config);
    let mut open = Vec::new();
    for _ in 0..3 {
        let (outcome, peer) = thread::scope(|scope| {
            let call = scope.spawn(|| trigger(&client));
            let mut peer = Peer::accept(&listener);
            let mut tls = ServerConnection::new(authority.server(&["localhost"])).unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                tls.complete_io(&mut peer.0).unwrap();
                let mut chunk = [0; 4096];
                match tls.reader().read(&mut chunk) {
                    Ok(length) => request.extend_from_slice(&chunk[..length]),
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
                }
            }
            // In one write, so that the client reads the close_notify with the response. The socket
            // stays open.
            tls.writer().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
            tls.send_close_notify();
            let mut answer = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut answer).unwrap();
            }
            peer.0.write_all(&answer).unwrap();
            (call.join().unwrap(), peer)
        });
        outcome.is_ok("{}");
        open.push(peer);
    }
}

#[test]
fn a_connection_in_use_does_not_expire() {
    in_time(|| {
        let server = Server::start([]);
        let client = server.client_with(json!({"idle_timeout_ms": 400}));
        for _ in 0..8 {
            trigger(&client).is_ok("{}");
            // The test is about time itself, so it sleeps.
            thread::sleep(Duration::from_millis(100));
        }
        let connections = server.connections();
        if connections == 1 { Ok(()) } else { Err(format!("{connections} connections")) }
    });
}

#[test]
fn expired_connections_of_a_burst_are_closed_and_not_reused() {
    const CONNECTIONS: usize = 4;
    let (listener, port) = listener();
    let client = Client::new(&config(port, json!({"idle_timeout_ms": 50})));
    let peers = fill(&client, &listener, CONNECTIONS);
    // The test is about time itself, so it sleeps.
    thread::sleep(Duration::from_millis(60));
    let _kept = call_on_a_new_connection(&client, &listener);
    peers.into_iter().for_each(Peer::was_left_alone);
}

/// The host name with several addresses.
const HOST_NAME: &str = "several.test";

const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

const fn v4(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

/// The listener at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    /// A server.
    Server,
    /// None: the system refuses the connection.
    Refusal,
    /// None: the system does not respond.
    BlackHole,
}

/// Addresses with a common port, and their listeners.
struct Neighbourhood {
    addresses: String,
    port: u16,
    servers: Vec<Server>,
    _holes: Vec<BlackHole>,
}

impl Neighbourhood {
    /// Returns none on a machine without IPv6, or where no black hole can be made.
    fn new(all: &[(IpAddr, There)]) -> Option<Neighbourhood> {
        let addresses: Vec<String> = all.iter().map(|(address, _)| address.to_string()).collect();
        // A port that is free at one address may be taken at another.
        (0..20).find_map(|_| {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let (mut servers, mut holes) = (Vec::new(), Vec::new());
            for (address, there) in all {
                let address = SocketAddr::new(*address, port);
                match there {
                    There::Server => servers.push(Server::builder().start_on(address).ok()?),
                    There::BlackHole => holes.push(BlackHole::at(address).ok()??),
                    // The port is free now, and no program has a reason to take it.
                    There::Refusal => drop(TcpListener::bind(address).ok()?),
                }
            }
            Some(Neighbourhood { addresses: addresses.join(","), port, servers, _holes: holes })
        })
    }
}

/// Makes two calls in a process where the host name has these addresses. Returns the status, the
/// message and the milliseconds of each.
#[cfg(target_os = "linux")]
#[track_caller]
fn two_calls(test: &str, there: &Neighbourhood, more: Value) -> Vec<(String, String, u64)> {
    let preload = host::Preload::new("slow_names");
    let names = format!("{HOST_NAME}={}", there.addresses);
    let mut all = json!({"host": HOST_NAME});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let config = config(there.port, all);
    let reported = child::run(
        module_path!(),
        test,
        &[("LD_PRELOAD", preload.file()), ("TEST_NAMES", &names), ("TEST_CONFIG", &config)],
    );
    reported.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Makes the two calls, in the child.
fn make_two_calls() {
    let client = Client::new(&env::var("TEST_CONFIG").unwrap());
    for _ in 0..2 {
        let outcome = trigger(&client);
        let why = if outcome.status == 0 { String::new() } else { outcome.text("message") };
        child::tell(&json!([outcome.name(), why, outcome.elapsed.as_millis() as u64]).to_string());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn each_silent_address_costs_a_quarter_of_a_second() {
    const TEST: &str = "each_silent_address_costs_a_quarter_of_a_second";
    use There::{BlackHole, Refusal, Server};
    if child::is_child() {
        return make_two_calls();
    }
    // The shortest and the longest time of the first call: each silent address costs a quarter of a
    // second.
    for (all, at_least, at_most) in [
        (&[(V6, BlackHole), (v4(1), Server)][..], 240, 600),
        (&[(v4(1), BlackHole), (V6, Server)], 240, 600),
        (&[(V6, Refusal), (v4(1), Server)], 0, 200),
        (&[(v4(1), Refusal), (V6, Server)], 0, 200),
        // The families alternate: an address of the second family is tried before the second
        // address of the first.
        (&[(V6, BlackHole), (v4(2), Refusal), (v4(1), Server)], 240, 600),
        (&[(v4(2), BlackHole), (v4(3), BlackHole), (v4(4), BlackHole), (V6, Server)], 240, 600),
        (&[(v4(2), BlackHole), (v4(3), BlackHole), (v4(1), Server)], 490, 900),
        (&[(v4(2), Refusal), (v4(3), Refusal), (v4(4), Refusal), (v4(1), Server)], 0, 200),
        // Once an address has accepted, the client does not wait for the others.
        (&[(v4(1), Server), (V6, BlackHole)], 0, 200),
    ] {
        in_time(|| {
            let Some(there) = Neighbourhood::new(all) else { return Ok(()) };
            let calls = two_calls(TEST, &there, json!({}));
            let [(first, _, first_ms), (second, _, second_ms)] = calls.as_slice() else { panic!("{calls:?}") };
            assert_eq!((&**first, &**second), ("OK", "OK"), "{all:?}: {calls:?}");
            let server = &there.servers[0];
            // The second call uses the connection of the first.
            assert_eq!((server.ledger().len(), server.connections()), (2, 1), "{all:?}");
            let in_time = (at_least..=at_most).contains(first_ms) && *second_ms < 100;
            if in_time { Ok(()) } else { Err(format!("{all:?}: {calls:?}")) }
        });
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_silent_address_does_not_use_up_a_short_deadline() {
    const TEST: &str = "a_silent_address_does_not_use_up_a_short_deadline";
    use There::{BlackHole, Server};
    if child::is_child() {
        return make_two_calls();
    }
    for limit in ["timeout_ms", "connect_timeout_ms"] {
        for ms in [150, 250, 300] {
            in_time(|| {
                let Some(there) = Neighbourhood::new(&[(V6, BlackHole), (v4(1), Server)]) else { return Ok(()) };
                let calls = two_calls(TEST, &there, json!({limit: ms}));
                let all_well = calls.iter().all(|(status, ..)| status == "OK");
                if all_well { Ok(()) } else { Err(format!("{limit} {ms}: {calls:?}")) }
            });
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn if_no_address_accepts_the_message_names_all_of_them() {
    const TEST: &str = "if_no_address_accepts_the_message_names_all_of_them";
    use There::{BlackHole, Refusal};
    if child::is_child() {
        return make_two_calls();
    }
    for (all, ms) in [
        (&[(V6, BlackHole), (v4(1), Refusal)][..], 600),
        (&[(V6, Refusal), (v4(1), BlackHole)], 600),
        // All refuse: the call does not wait.
        (&[(V6, Refusal), (v4(1), Refusal), (v4(2), Refusal)], 0),
    ] {
        in_time(|| {
            let start = Instant::now();
            let Some(there) = Neighbourhood::new(all) else { return Ok(()) };
            for (status, message, took) in two_calls(TEST, &there, json!({"connect_timeout_ms": 600})) {
                assert_eq!(status, "NOT_SENT", "{message}");
                for (address, _) in all {
                    let address = SocketAddr::new(*address, there.port).to_string();
                    assert!(message.contains(&address), "{message} does not name {address}");
                }
                if !(ms..=ms + 100).contains(&took) {
                    return Err(format!("{all:?}: {took} ms of {:?}: {message}", start.elapsed()));
                }
            }
            Ok(())
        });
    }
}
