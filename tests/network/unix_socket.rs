//! A client connects to a Unix domain socket, and sends there what it would send to the host.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, net, process, thread};

use crate::support::tls::Authority;
use crate::support::{Answer, Client, End, Server, trigger};
use serde_json::{Value, json};
use socket2::{Domain, SockAddr, Socket, Type};

/// A socket that passes its connections on to a server. Dropping it stops listening.
struct Gate {
    path: PathBuf,
}

impl Gate {
    fn open(server: &Server) -> Gate {
        let path = new_path();
        let listener = UnixListener::bind(&path).unwrap();
        let port = server.port();
        thread::spawn(move || {
            while let Ok((inside, _)) = listener.accept() {
                let Ok(outside) = net::TcpStream::connect(("127.0.0.1", port)) else { return };
                pass(inside, outside);
            }
        });
        Gate { path }
    }

    fn client(&self, more: Value) -> Client {
        client_of(&self.path, more)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn new_path() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // The path of a socket must be short.
    std::env::temp_dir().join(format!("libpusher-{}-{}.sock", process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
}

fn pass(inside: UnixStream, outside: net::TcpStream) {
    let (mut from_inside, mut to_inside) = (inside.try_clone().unwrap(), inside);
    let (mut from_outside, mut to_outside) = (outside.try_clone().unwrap(), outside);
    thread::spawn(move || {
        let _ = io::copy(&mut from_inside, &mut to_outside);
        let _ = to_outside.shutdown(net::Shutdown::Write);
    });
    thread::spawn(move || {
        let _ = io::copy(&mut from_outside, &mut to_inside);
        let _ = to_inside.shutdown(net::Shutdown::Both);
    });
}

fn client_of(path: &Path, more: Value) -> Client {
    let mut config = json!({
        "app_id": crate::support::APP_ID, "key": crate::support::KEY, "secret": crate::support::SECRET,
        "retry": {"mode": "never"}, "unix_socket": path.to_str().unwrap(),
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Client::new(&config.to_string())
}

#[test]
fn requests_are_sent_through_the_socket_and_its_connection_is_kept() {
    let server = Server::start([]);
    let gate = Gate::open(&server);
    let client = gate.client(json!({}));
    for _ in 0..3 {
        trigger(&client).is_ok("{}");
    }
    assert_eq!((server.ledger().len(), server.connections()), (3, 1));
    assert_eq!(server.last().header("host"), ["localhost"]);
    // The host is not looked up.
    trigger(&gate.client(json!({"host": "no-such-host.invalid", "port": 6001}))).is_ok("{}");
    assert_eq!(server.last().header("host"), ["no-such-host.invalid:6001"]);
}

#[test]
fn tls_is_spoken_through_the_socket_and_the_certificate_must_name_the_host() {
    let authority = Authority::new();
    let server = Server::builder().tls(authority.server(&["ws.example.org"])).start();
    let gate = Gate::open(&server);
    let client = |host: &str| gate.client(json!({"ssl": true, "host": host, "ca_file": authority.file()}));
    trigger(&client("ws.example.org")).is_ok("{}");
    assert_eq!(server.last().header("host"), ["ws.example.org"]);
    // A dot at the end is for name lookup only: neither the certificate nor the header has it.
    trigger(&client("ws.example.org.")).is_ok("{}");
    assert_eq!(server.last().header("host"), ["ws.example.org"]);
    for other in ["other.example.org", "other.example.org."] {
        trigger(&client(other)).is("NOT_SENT", "not_sent").because("tls");
    }
    assert_eq!(server.ledger().len(), 2);
}

#[test]
fn a_socket_that_nobody_listens_on_is_named() {
    let path = new_path();
    for is_file in [false, true] {
        if is_file {
            // Its listener is gone, and the file is left.
            drop(UnixListener::bind(&path).unwrap());
        }
        let outcome = trigger(&client_of(&path, json!({})));
        outcome.is("NOT_SENT", "not_sent").because("connect");
        assert_eq!(outcome.error()["retryable"], json!(true), "{outcome:?}");
        assert!(outcome.text("message").contains(path.to_str().unwrap()), "{outcome:?}");
    }
    fs::remove_file(path).unwrap();
}

#[test]
fn failures_after_the_request_are_unknown() {
    let server = Server::start([]);
    let gate = Gate::open(&server);
    let client = gate.client(json!({}));
    server.next(Answer::nothing().then(End::Close));
    trigger(&client).is("DELIVERY_UNKNOWN", "unknown");
    server.next(Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").then(End::Close));
    trigger(&client).is("BAD_RESPONSE", "unknown");
    trigger(&client).is_ok("{}");
}

/// Returns a listener whose queue is full, and the connections in the queue.
fn full_listener(path: &Path) -> (UnixListener, Vec<Socket>) {
    let address = SockAddr::unix(path).unwrap();
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let mut queue = Vec::new();
    loop {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        match socket.connect(&address) {
            Ok(()) => queue.push(socket),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return (UnixListener::from(OwnedFd::from(listener)), queue);
            }
        }
    }
}

#[test]
fn a_full_queue_is_waited_for() {
    let server = Server::start([]);
    let path = new_path();
    let (listener, queue) = full_listener(&path);
    let port = server.port();
    let waits = Duration::from_millis(200);
    let accepting = thread::spawn(move || {
        thread::sleep(waits);
        for _ in 0..queue.len() {
            drop(listener.accept().unwrap());
        }
        let (inside, _) = listener.accept().unwrap();
        pass(inside, net::TcpStream::connect(("127.0.0.1", port)).unwrap());
    });
    let start = Instant::now();
    trigger(&client_of(&path, json!({}))).is_ok("{}");
    assert!(start.elapsed() >= waits);
    accepting.join().unwrap();
    fs::remove_file(path).unwrap();
}

#[test]
fn a_queue_that_stays_full_ends_at_the_connect_timeout() {
    let path = new_path();
    let (_listener, _queue) = full_listener(&path);
    let start = Instant::now();
    let outcome = trigger(&client_of(&path, json!({"connect_timeout_ms": 300})));
    outcome.is("NOT_SENT", "not_sent").because("timeout");
    assert!(outcome.text("message").contains("connect_timeout_ms"), "{outcome:?}");
    assert!((300..4000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    fs::remove_file(path).unwrap();
}
