//! Each fault does on the wire what the catalogue says, and the ledger records it.
//!
//! The server runs as a process, with a client of raw sockets. Neither uses the library.

#[allow(dead_code)]
#[path = "../../tests/support/signature.rs"]
mod signature;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::{Value, json};

/// The longest wait for an event before a test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time without a byte that counts as silence.
const SILENCE: Duration = Duration::from_millis(40);

/// More than the kernel buffers between two sockets if one is not read: 4 MiB on Linux.
const BIG: usize = 6 << 20;

/// The number of bytes after which a response counts as endless.
const LONG: usize = 512 * 1024;

const HEALTHY: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

// --- the server ---

/// The process of the fault server.
struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    control: u16,
    ca: PathBuf,
    secret: String,
    tls: Arc<ClientConfig>,
}

/// Returns the path of the example that cargo has built.
fn program() -> PathBuf {
    if let Some(program) = env::var_os("FAULT_SERVER") {
        return program.into();
    }
    let tests = env::current_exe().unwrap();
    let program = tests.parent().and_then(Path::parent).unwrap().join("examples/fault-server");
    assert!(program.exists(), "{} is missing: cargo build --example fault-server", program.display());
    program
}

impl Server {
    fn start() -> Server {
        let mut process = Command::new(program()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let ca = PathBuf::from(ready["ca"].as_str().unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&ca).unwrap()).unwrap();
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Server {
            control: u16::try_from(ready["control"].as_u64().unwrap()).unwrap(),
            secret: ready["secret"].as_str().unwrap().to_owned(),
            tls: Arc::new(tls),
            ca,
            process,
            output,
        }
    }

    /// Sends a request to the control port.
    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.control)).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}");
        socket.write_all(request.as_bytes()).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    #[track_caller]
    fn listen(&self, order: Value) -> Listener<'_> {
        let tls = order["tls"] == true;
        let (status, answer) = self.ask("POST", "/listen", &order);
        assert_eq!(status, 200, "{order}: {answer}");
        let port = |name: &str| answer[name].as_u64().map(|port| u16::try_from(port).unwrap());
        Listener { server: self, port: port("port").unwrap(), beside: port("origin").or(port("target")), tls }
    }

    fn faults(&self) -> Vec<Value> {
        self.ask("GET", "/faults", &Value::Null).1.as_array().unwrap().clone()
    }

    /// Returns a signed trigger of one event on these channels.
    fn request(&self, channels: &[&str], data: &str) -> Vec<u8> {
        let body = json!({"name": "e", "channels": channels, "data": data}).to_string();
        self.signed("POST", "/apps/1/events", &body)
    }

    fn signed(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let mut query = format!("auth_key=test-key_1&auth_timestamp={now}&auth_version=1.0");
        let mut length = String::new();
        if method == "POST" {
            query.push_str(&format!("&body_md5={}", signature::md5_hex(body.as_bytes())));
            length = format!("Content-Length: {}\r\n", body.len());
        }
        let signed = signature::hmac_hex(self.secret.as_bytes(), format!("{method}\n{path}\n{query}").as_bytes());
        format!("{method} {path}?{query}&auth_signature={signed} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n{body}")
            .into_bytes()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the server of all tests of this process. It ends with the process, which holds its standard input.
fn server() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
    &SERVER
}

/// A listener, closed when it is dropped.
struct Listener<'a> {
    server: &'a Server,
    port: u16,
    /// The healthy server of a proxy or a redirect.
    beside: Option<u16>,
    tls: bool,
}

impl Listener<'_> {
    fn ledger(&self) -> Value {
        self.server.ask("GET", &format!("/listen/{}", self.port), &Value::Null).1
    }

    fn attempts(&self) -> Vec<Value> {
        self.ledger()["attempts"].as_array().unwrap().clone()
    }

    /// Waits until the attempt with this number fulfils the condition.
    #[track_caller]
    fn attempt(&self, number: usize, holds: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let attempt = self.attempts().into_iter().nth(number).unwrap_or(Value::Null);
            if holds(&attempt) {
                return attempt;
            }
            assert!(start.elapsed() < PATIENCE, "the attempt does not fulfil the condition: {attempt}");
            thread::yield_now();
        }
    }

    #[track_caller]
    fn connect(&self) -> Wire {
        self.try_connect().unwrap()
    }

    fn try_connect(&self) -> io::Result<Wire> {
        let mut wire = Wire::connect(self.port)?;
        if self.tls {
            wire.begin_tls(&self.server.tls, PATIENCE)?;
        }
        Ok(wire)
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.server.ask("DELETE", &format!("/listen/{}", self.port), &Value::Null);
    }
}

// --- the client ---

/// A connection to the server.
struct Wire {
    socket: TcpStream,
    tls: Option<ClientConnection>,
    /// Whether the TLS session failed.
    is_broken: bool,
    /// Whether a send failed by a reset, which the kernel reports only once.
    was_reset: bool,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Open.
    Open,
    /// FIN, with TLS after close_notify.
    Fin,
    /// FIN without close_notify.
    Cut,
    /// Bytes that are no record of the session, or a fatal alert, then FIN.
    Broken,
    /// RST.
    Reset,
}

impl Seen {
    /// Returns the ledger's name for it.
    fn name(self) -> &'static str {
        match self {
            Seen::Open => "open",
            Seen::Fin | Seen::Cut | Seen::Broken => "fin",
            Seen::Reset => "rst",
        }
    }
}

impl Wire {
    fn connect(port: u16) -> io::Result<Wire> {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire { socket, tls: None, is_broken: false, was_reset: false })
    }

    fn begin_tls(&mut self, config: &Arc<ClientConfig>, patience: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(Some(patience))?;
        let mut tls = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost").unwrap()).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut self.socket)?;
        }
        self.tls = Some(tls);
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = self.try_send(bytes);
        let is_reset = |error: &io::Error| matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
        self.was_reset |= sent.as_ref().is_err_and(is_reset);
        sent
    }

    fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return self.socket.write_all(bytes) };
        for chunk in bytes.chunks(16 * 1024) {
            tls.writer().write_all(chunk)?;
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
        }
        Ok(())
    }

    /// Reads the available bytes. Returns how the connection ended, if it did.
    fn read(&mut self, into: &mut Vec<u8>, patience: Duration) -> Option<Seen> {
        match self.read_on(into, patience) {
            Some(Seen::Fin | Seen::Cut) if self.was_reset => Some(Seen::Reset),
            seen => seen,
        }
    }

    fn read_on(&mut self, into: &mut Vec<u8>, patience: Duration) -> Option<Seen> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 16 * 1024];
        let length = loop {
            let Some(tls) = &mut self.tls else { break self.socket.read(&mut buffer) };
            match tls.reader().read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => break result,
            }
            // What came before an error has been read now.
            if self.is_broken {
                return Some(Seen::Broken);
            }
            match tls.read_tls(&mut self.socket) {
                Ok(0) => return Some(Seen::Cut),
                Ok(_) => self.is_broken = tls.process_new_packets().is_err(),
                Err(error) => break Err(error),
            }
        };
        match length {
            // Perhaps close_notify: FIN must follow.
            Ok(0) if self.tls.is_some() => match self.socket.read(&mut buffer) {
                Ok(0) => Some(Seen::Fin),
                Ok(_) => panic!("bytes after close_notify"),
                Err(error) => panic!("close_notify, but no FIN: {error}"),
            },
            Ok(0) => Some(Seen::Fin),
            Ok(length) => {
                into.extend_from_slice(&buffer[..length]);
                None
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Some(Seen::Open),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                Some(Seen::Reset)
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads until the connection ends, or until `enough` bytes have arrived, followed by silence.
    fn receive(&mut self, enough: impl Fn(&[u8]) -> bool) -> (Vec<u8>, Seen) {
        let mut bytes = Vec::new();
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let patience = if enough(&bytes) { SILENCE } else { PATIENCE };
            if let Some(seen) = self.read(&mut bytes, patience) {
                return (bytes, seen);
            }
        }
        panic!("no end after {PATIENCE:?}: {} bytes", bytes.len());
    }

    /// Sends a request, and checks that the response is healthy.
    #[track_caller]
    fn goes_well(&mut self, request: &[u8]) {
        self.goes_well_after("", request);
    }

    #[track_caller]
    fn goes_well_after(&mut self, what: &str, request: &[u8]) {
        self.send(request).unwrap();
        let mut bytes = Vec::new();
        while bytes.len() < HEALTHY.len() {
            let end = self.read(&mut bytes, PATIENCE);
            assert_eq!(end, None, "{what}: {:?}", String::from_utf8_lossy(&bytes));
        }
        assert_eq!(String::from_utf8_lossy(&bytes), HEALTHY, "{what}");
    }
}

// --- the expected bytes and end of each fault ---

/// The expected bytes.
#[derive(Debug)]
enum Bytes {
    /// Exactly these.
    Exactly(Vec<u8>),
    /// A complete response with this status.
    Status(u16),
    /// At least this many bytes, which begin with this prefix.
    AtLeast(&'static str, usize),
}

impl Bytes {
    fn text(text: impl Into<String>) -> Bytes {
        Bytes::Exactly(text.into().into_bytes())
    }

    /// Whether these bytes are complete.
    fn are_there(&self, bytes: &[u8]) -> bool {
        match self {
            Bytes::Exactly(expected) => bytes.len() >= expected.len(),
            Bytes::Status(_) => answer_length(bytes).is_some_and(|length| bytes.len() >= length),
            Bytes::AtLeast(_, length) => bytes.len() >= *length,
        }
    }

    #[track_caller]
    fn check(&self, bytes: &[u8], what: &str) {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]);
        match self {
            Bytes::Exactly(expected) => assert!(bytes == expected, "{what}: {shown:?}"),
            Bytes::Status(status) => {
                assert!(shown.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {shown:?}");
                assert_eq!(answer_length(bytes), Some(bytes.len()), "{what}: {shown:?}");
            }
            Bytes::AtLeast(begin, length) => {
                assert!(shown.starts_with(begin) && bytes.len() >= *length, "{what}: {} bytes, {shown:?}", bytes.len());
            }
        }
    }
}

/// Returns the length of a response, by its Content-Length.
fn answer_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("Content-Length: "));
    Some(end + length.map_or(0, |length| length.parse().unwrap()))
}

/// Returns the expected bytes and end of a fault in a request, from its name.
fn looks(fault: &str) -> (Bytes, Seen) {
    let name = fault.strip_suffix("-applied").unwrap_or(fault);
    let mut end = match name.rsplit('-').next().unwrap() {
        "fin" => Seen::Fin,
        "rst" => Seen::Reset,
        "cut" => Seen::Cut,
        "notify" => Seen::Fin,
        "record" if name.ends_with("partial-record") => Seen::Cut,
        "record" | "alert" => Seen::Broken,
        "http" if name.ends_with("plain-http") => Seen::Broken,
        _ => Seen::Open,
    };
    let ok = "HTTP/1.1 200 OK\r\n";
    let json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let in_chunks = "2\r\n{}\r\n0\r\n\r\n";
    let two = "Content-Length: 2\r\n\r\n{}";
    let chunks = |text: &str| Bytes::text(format!("{json}Transfer-Encoding: chunked\r\n\r\n{text}"));
    let number = || name.rsplit('-').find_map(|part| part.parse().ok()).unwrap_or_else(|| panic!("{name}"));
    let body = |text: &str| Bytes::text(format!("{json}Content-Length: {}\r\n\r\n{text}", text.len()));
    let first_words = name.split('-').take(2).collect::<Vec<_>>().join("-");
    let bytes = match name {
        "fin-mid-request" | "fin-at-first-byte" => {
            end = Seen::Fin;
            Bytes::text("")
        }
        "rst-mid-request" | "rst-at-first-byte" | "rst-after-request" | "partly-rst" => {
            end = Seen::Reset;
            Bytes::text("")
        }
        "cut-after-request" => {
            end = Seen::Cut;
            Bytes::text("")
        }
        "fin-after-request" | "partly-fin" => {
            end = Seen::Fin;
            Bytes::text("")
        }
        "silence-mid-request" | "silence-after-request" => Bytes::text(""),
        "slow-read" | "slow-answer" | "late-answer" | "early-200" => Bytes::text(HEALTHY),
        "early-200-rst" => Bytes::text(HEALTHY),
        name if name.starts_with("answer-and-") => Bytes::text(HEALTHY),
        name if name.starts_with("half-answer-and-") => Bytes::text(&HEALTHY[..HEALTHY.len() - 1]),
        name if name.starts_with("no-answer-but-") => Bytes::text(""),
        name if name.starts_with("refusal-and-") => Bytes::Status(400),
        name if name.starts_with("chunks-and-") => chunks("2\r\n{}\r\n0\r\n\r\n"),
        name if name.starts_with("half-chunks-and-") => chunks("2\r\n{}\r\n"),
        name if name.starts_with("no-length-and-") => Bytes::text(format!("{json}\r\n{{}}")),
        "answer-cut-fin" | "answer-cut-rst" | "answer-cut-cut" | "answer-cut-silence" => {
            Bytes::text(&HEALTHY[..HEALTHY.len() - 1])
        }
        "length-too-long-fin" | "length-too-long-rst" | "length-too-long-silence" => {
            Bytes::text(format!("{json}Content-Length: 20\r\n\r\n{{}}"))
        }
        "length-too-short" => Bytes::text(format!("{json}Content-Length: 1\r\n\r\n{{}}")),
        "length-list" => Bytes::text(format!("{json}Content-Length: 2, 2\r\n\r\n{{}}")),
        "length-repeated" => Bytes::text(format!("{json}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}")),
        "length-plus" => Bytes::text(format!("{json}Content-Length: +2\r\n\r\n{{}}")),
        "length-semicolon" => Bytes::text(format!("{json}Content-Length: 2;\r\n\r\n{{}}")),
        "header-name-blank" => Bytes::text(format!("{json}Content-Length : 2\r\n\r\n{{}}")),
        "length-garbage" => Bytes::text(format!("{json}Content-Length: two\r\n\r\n{{}}")),
        "length-negative" => Bytes::text(format!("{json}Content-Length: -2\r\n\r\n{{}}")),
        "length-overflow" => {
            end = Seen::Fin;
            Bytes::text(format!("{json}Content-Length: 18446744073709551618\r\n\r\n{{}}"))
        }
        "length-twice" => Bytes::text(format!("{json}Content-Length: 2\r\nContent-Length: 20\r\n\r\n{{}}")),
        "no-length-fin" | "no-length-rst" | "no-length-silence" | "no-length-cut" => {
            Bytes::text(format!("{json}\r\n{{}}"))
        }
        "no-length-empty" => {
            end = Seen::Fin;
            Bytes::text(format!("{json}\r\n"))
        }
        "chunked" => chunks("1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
        "chunked-trailer" => chunks("2;a=b\r\n{}\r\n0\r\nX-Trailer: 1\r\n\r\n"),
        "chunked-empty" => chunks("0\r\n\r\n"),
        "chunked-cut-fin" | "chunked-cut-rst" | "chunked-cut-silence" => chunks("5\r\n{}"),
        "chunked-unended-fin" | "chunked-unended-rst" => chunks("2\r\n{}\r\n"),
        "chunked-half-end-fin" => chunks("2\r\n{}\r\n0\r\n"),
        "chunk-size-plus" => chunks("+2\r\n{}\r\n0\r\n\r\n"),
        "chunk-size-blank" => chunks(" 2\r\n{}\r\n0\r\n\r\n"),
        "chunk-size-prefix" => chunks("0x2\r\n{}\r\n0\r\n\r\n"),
        "chunk-size-empty" => chunks("\r\n{}\r\n0\r\n\r\n"),
        "chunk-size-long" => chunks("00000000000000002\r\n{}\r\n0\r\n\r\n"),
        "encoding-repeated" => {
            Bytes::text(format!("{json}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{in_chunks}"))
        }
        "encoding-twice" => Bytes::text(format!("{json}Transfer-Encoding: chunked, chunked\r\n\r\n{in_chunks}")),
        "encoding-gzip" => Bytes::text(format!("{json}Transfer-Encoding: gzip, chunked\r\n\r\n{in_chunks}")),
        "encoding-identity" => Bytes::text(format!("{json}Transfer-Encoding: identity\r\n\r\n{in_chunks}")),
        "chunk-size-garbage" => chunks("zz\r\n{}\r\n0\r\n\r\n"),
        "chunk-size-overflow" => {
            end = Seen::Fin;
            chunks("10000000000000002\r\n{}\r\n0\r\n\r\n")
        }
        "length-and-chunked" => {
            Bytes::text(format!("{json}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"))
        }
        "unknown-encoding" => {
            end = Seen::Fin;
            Bytes::text(format!("{json}Transfer-Encoding: rot13\r\n\r\n{{}}"))
        }
        "endless-interim" => Bytes::AtLeast("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n", LONG),
        "endless-status-line" => Bytes::AtLeast("HTTP/1.1 200 OKOKOKOKOKOK", LONG),
        "endless-body" => Bytes::AtLeast("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[0]\n[0]\n", LONG),
        "endless-chunks" => Bytes::AtLeast(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n    \r\n4\r\n",
            LONG,
        ),
        "endless-chunk-line" => Bytes::AtLeast(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n00000000",
            LONG,
        ),
        "endless-trailer" => Bytes::AtLeast(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: value\r\nX-",
            LONG,
        ),
        "endless-head" => Bytes::AtLeast(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Header: value\r\nX-Header: value\r\n",
            LONG,
        ),
        "endless-header-line" => {
            Bytes::AtLeast("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Header: valuevaluevalue", LONG)
        }
        "huge-body" => Bytes::AtLeast(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17825794\r\n\r\n[    ",
            17_825_794,
        ),
        "many-headers" => Bytes::text(format!("{json}{}{two}", "X-Header: value\r\n".repeat(200))),
        "status-line-garbage" => Bytes::text("Good morning!\r\n\r\n"),
        "http-0.9" => {
            end = Seen::Fin;
            Bytes::text("{}\n")
        }
        "http-1.0" => {
            end = Seen::Fin;
            Bytes::text(format!("HTTP/1.0 200 OK\r\n{two}"))
        }
        "http-1.0-chunked" => {
            end = Seen::Fin;
            Bytes::text(format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{in_chunks}"))
        }
        "http-2" => Bytes::text(format!("HTTP/2 200\r\n{two}")),
        "status-line-cut" => {
            end = Seen::Fin;
            Bytes::text("HTTP/1.1 200 OK")
        }
        "status-line-only-fin" | "status-line-only-rst" | "status-line-only-silence" => Bytes::text(ok),
        "status-2000" => Bytes::text(format!("HTTP/1.1 2000 OK\r\n{two}")),
        "status-20" => Bytes::text(format!("HTTP/1.1 20 OK\r\n{two}")),
        "status-letters" => Bytes::text(format!("HTTP/1.1 OK 200\r\n{two}")),
        "no-reason" => Bytes::text(format!("HTTP/1.1 200\r\n{two}")),
        "bare-line-feeds" => Bytes::text("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"),
        "header-without-colon" => Bytes::text(format!("{ok}nonsense\r\n{two}")),
        "header-with-nul" => Bytes::text(format!("{ok}X-Header: a\0b\r\n{two}")),
        "header-folded" => Bytes::text(format!("{ok}X-Header: a\r\n b\r\n{two}")),
        "blank-line-first" => Bytes::text(format!("\r\n{ok}{two}")),
        "binary-garbage" => Bytes::Exactly((0..1024).map(|n| (n % 256) as u8 ^ 0xa5).collect()),
        "continue-first" => Bytes::text(format!("HTTP/1.1 100 Continue\r\n\r\n{HEALTHY}")),
        "hints-first" => Bytes::text(format!("HTTP/1.1 103 Early Hints\r\n\r\n{HEALTHY}")),
        "many-interim" => Bytes::text(format!("{}{HEALTHY}", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100))),
        "interim-fin" | "interim-rst" | "interim-silence" => Bytes::text("HTTP/1.1 100 Continue\r\n\r\n"),
        "switching" => {
            end = Seen::Fin;
            Bytes::text("HTTP/1.1 101 Switching Protocols\r\n\r\n")
        }
        "two-answers" => Bytes::text(HEALTHY.repeat(2)),
        "extra-bytes" | "idle-extra-bytes" => Bytes::text(format!("{HEALTHY}extra")),
        "body-text" => body("ok"),
        "body-html" => body("<!DOCTYPE html><title>Welcome</title><h1>Please sign in</h1>"),
        "body-cut-json" => body(r#"{"channels":{"#),
        "body-two-documents" => body("{}{}"),
        "body" => body("{}"),
        "body-not-utf-8" => Bytes::Exactly([json.as_bytes(), b"Content-Length: 4\r\n\r\n\"\xff\xfe\""].concat()),
        "body-error-500" => body(r#"{"error":"internal","code":500}"#),
        "body-error-400" | "body-error-401" | "body-error-403" | "body-error-413" => {
            body(&json!({"error": "refused", "code": number()}).to_string())
        }
        "body-empty" => Bytes::text(format!("{ok}Content-Length: 0\r\n\r\n")),
        "no-content" => Bytes::text("HTTP/1.1 204 No Content\r\n\r\n"),
        "created" => Bytes::text(format!("HTTP/1.1 201 Created\r\n{two}")),
        "accepted" => Bytes::text(format!("HTTP/1.1 202 Accepted\r\n{two}")),
        "gzip-unasked" => Bytes::Status(200),
        "connection-close" | "connection-close-lie" => {
            if name == "connection-close" {
                end = Seen::Fin;
            }
            Bytes::text(format!("{json}Connection: close\r\n{two}"))
        }
        "silent-close-at-once" | "silent-close-soon" => {
            end = Seen::Fin;
            Bytes::text(HEALTHY)
        }
        "stale-fin" | "stale-rst" | "stale-cut" | "stale-silence" | "idle-fin" | "idle-rst" => Bytes::text(HEALTHY),
        "idle-408" => {
            end = Seen::Fin;
            Bytes::text(format!(
                "{HEALTHY}HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            ))
        }
        "refusal-text" | "refusal-empty" | "refusal-html" => Bytes::Status(400),
        "refusal-huge" => {
            Bytes::AtLeast("HTTP/1.1 400 Bad Request\r\nContent-Length: 17825792\r\n\r\nxxxx", 17_825_792)
        }
        "refusal-cut-fin" | "refusal-cut-rst" | "refusal-cut-silence" => Bytes::text(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 33\r\n\r\n{\"code\":403,\"err",
        ),
        "retry-after-503" => Bytes::Status(503),
        "clock-ahead" | "clock-behind" | "clock-right" => Bytes::Status(401),
        "status-600" | "status-999" | "status-199" | "status-099" => {
            end = Seen::Fin;
            Bytes::text(format!("HTTP/1.1 {} Because\r\n{two}", name.rsplit('-').next().unwrap()))
        }
        _ => match &*first_words {
            "redirect-301" | "redirect-302" | "redirect-303" | "redirect-307" | "redirect-308" => {
                Bytes::Status(number())
            }
            "early-401" | "early-413" | "early-503" => Bytes::Status(number()),
            "partly-400" | "partly-413" | "partly-422" | "partly-500" | "partly-503" => Bytes::Status(number()),
            "retry-after" => Bytes::Status(429),
            words if words.starts_with("status-") => Bytes::Status(number()),
            _ => panic!("no expectation for {fault}: add it here"),
        },
    };
    (bytes, end)
}

/// Returns how many of two events the fault applies.
fn applies(fault: &Value) -> usize {
    let name = fault["name"].as_str().unwrap();
    let all = |all: bool| if all { 2 } else { 0 };
    match (&fault["params"]["applied"], fault["phase"].as_str().unwrap()) {
        (Value::Bool(applied), _) => all(*applied),
        _ if name.starts_with("partly-") => 1,
        (_, "request") => all(matches!(name, "slow-read" | "early-200" | "early-200-rst")),
        (_, "answer" | "after answer") => all(!name.starts_with("body-error-4") && !name.starts_with("refusal-and-")),
        (_, "status" | "after request") => 0,
        (_, phase) => panic!("{phase}"),
    }
}

/// Runs `run` for each item, on several threads.
fn side_by_side<T: Sync>(items: &[T], run: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run(item);
                }
            });
        }
    });
}

// --- tests ---

#[test]
fn the_readme_lists_every_fault() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/fault-server/README.md");
    let text = fs::read_to_string(&readme).unwrap();
    let (before, rest) = text.split_once("<!-- faults -->\n").expect("a mark where the table begins");
    let (_, after) = rest.split_once("<!-- end -->").expect("a mark where the table ends");
    let faults = server().faults();
    let mut table =
        "| name | strikes | what it does | what an honest client may say | exists |\n|---|---|---|---|---|\n"
            .to_owned();
    for fault in &faults {
        let cell = |name: &str| fault[name].as_str().unwrap().replace('|', "\\|");
        let params: Vec<String> =
            fault["params"].as_object().unwrap().iter().map(|(k, v)| format!("`{k}`: {v}")).collect();
        let params = if params.is_empty() { String::new() } else { format!(" ({})", params.join(", ")) };
        let exists: Vec<&str> = ["plain", "tls", "reused"].into_iter().filter(|what| fault[*what] == true).collect();
        let [name, phase, what, honest] = ["name", "phase", "what", "honest"].map(cell);
        table.push_str(&format!("| `{name}` | {phase} | {what}{params} | {honest} | {} |\n", exists.join(", ")));
    }
    let wanted = format!("{before}<!-- faults -->\n{table}<!-- end -->{after}");
    if env::var_os("PUSHER_WRITE_FAULTS").is_some() {
        fs::write(&readme, &wanted).unwrap();
    } else {
        assert!(text == wanted, "the table is out of date: PUSHER_WRITE_FAULTS=1 cargo test --test fault_server");
    }
    let names: BTreeMap<&str, usize> = faults.iter().map(|fault| (fault["name"].as_str().unwrap(), 1)).collect();
    assert_eq!(names.len(), faults.len(), "a duplicate name");
    assert!(faults.len() >= 60, "{}", faults.len());
}

#[test]
fn the_key_and_the_secret_match_the_other_tests() {
    let calls = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/calls.rs")).unwrap();
    assert!(calls.contains(&format!("SECRET: &str = {:?};", server().secret)), "{}", server().secret);
    assert!(calls.contains("KEY: &str = \"test-key_1\";"));
}

#[test]
fn a_fault_of_a_request_does_what_its_name_says_and_is_in_the_ledger() {
    let server = server();
    let mut cells = Vec::new();
    for fault in server.faults() {
        let phase = fault["phase"].as_str().unwrap();
        if !matches!(phase, "connect" | "accept" | "handshake" | "proxy") {
            assert_eq!(fault["reused"], true, "{fault}");
            for (tls, name) in [(false, "plain"), (true, "tls")] {
                // One response of 17 MiB is slow enough.
                let huge = fault["name"].as_str().unwrap().contains("huge");
                if fault[name] == true && !(huge && tls) {
                    cells.extend([0, 1][..if huge { 1 } else { 2 }].iter().map(|warm| (fault.clone(), tls, *warm)));
                }
            }
        }
    }
    assert!(cells.len() > 400, "{}", cells.len());
    side_by_side(&cells, |(fault, tls, warm)| strike(server, fault, *tls, *warm));
}

/// Triggers a fault once, on a connection after `warm` requests, and checks the wire and the ledger.
fn strike(server: &Server, fault: &Value, tls: bool, warm: usize) {
    let name = fault["name"].as_str().unwrap();
    let what = format!("{name}, tls {tls}, warm {warm}");
    let listener = server.listen(json!({"fault": name, "tls": tls, "warm": warm}));
    let request = server.request(&["c1", "c2"], "{}");
    let mut wire = listener.connect();
    for _ in 0..warm {
        wire.goes_well(&request);
    }
    let _ = wire.send(&request);
    let (expected, end) = looks(name);
    if let Bytes::AtLeast(..) = expected {
        let mut bytes = Vec::new();
        while !expected.are_there(&bytes) {
            assert_eq!(wire.read(&mut bytes, PATIENCE), None, "{what}");
        }
        expected.check(&bytes, &what);
    } else {
        let (bytes, seen) = wire.receive(|bytes| end == Seen::Open && expected.are_there(bytes));
        expected.check(&bytes, &what);
        assert_eq!(seen, if end == Seen::Cut && !tls { Seen::Fin } else { end }, "{what}");
        // A connection that stays open serves another request, or is silent.
        let attempt = listener.attempt(warm, |attempt| attempt["fault"] == name);
        let sent = STANDARD.decode(attempt["answer_sent"].as_str().unwrap()).unwrap();
        assert!(sent == bytes, "{what}: {attempt}");
        assert_eq!(attempt["answer_bytes"], json!(bytes.len()), "{what}");
        if seen == Seen::Open && !name.contains("silence") {
            wire.goes_well_after(&what, &request);
        } else if seen == Seen::Open {
            let _ = wire.send(&request);
            assert_eq!(wire.read(&mut Vec::new(), SILENCE), Some(Seen::Open), "{what}");
        }
    }
    // Without a response, wait for the server to get there.
    let cut_short = fault["phase"] == "request" && applies(fault) == 0 && !name.ends_with("reads-on");
    let silent = matches!(&expected, Bytes::Exactly(bytes) if bytes.is_empty()) && end == Seen::Open;
    let arrived = |attempt: &Value| attempt["whole"] == true && attempt["applied_all"] == json!(applies(fault) == 2);
    let attempt = listener.attempt(warm, |attempt| !silent || cut_short || arrived(attempt));
    assert_eq!((&attempt["fault"], &attempt["then"]), (&json!(name), &json!(end.name())), "{what}: {attempt}");
    let published: Vec<&str> =
        attempt["applied"].as_array().unwrap().iter().map(|event| event["channel"].as_str().unwrap()).collect();
    assert_eq!(published, ["c1", "c2"][..applies(fault)], "{what}: {attempt}");
    assert_eq!(attempt["applied_all"], json!(published.len() == 2), "{what}: {attempt}");
    assert_eq!(attempt["whole"], json!(!cut_short), "{what}: {attempt}");
    assert_eq!((&attempt["connection"], &attempt["number"]), (&json!(0), &json!(warm + 1)), "{what}: {attempt}");
    // The fault happens once.
    listener.connect().goes_well(&request);
}

#[test]
fn a_fault_of_a_connection_does_what_its_name_says() {
    let server = server();
    for fault in server.faults() {
        let name = fault["name"].as_str().unwrap();
        if fault["phase"] != "accept" || name == "unasked-answer" {
            continue;
        }
        for warm in [0, 1] {
            let listener = server.listen(json!({"fault": name, "warm": warm}));
            let request = server.request(&["c"], "{}");
            for _ in 0..warm {
                listener.connect().goes_well(&request);
            }
            let mut wire = listener.connect();
            let (bytes, seen) = wire.receive(|_| name.starts_with("silence"));
            let end = match name {
                "rst-at-accept" => Seen::Reset,
                "fin-at-accept" => Seen::Fin,
                "silence-at-accept" => Seen::Open,
                _ => panic!("{name}"),
            };
            assert_eq!((bytes.len(), seen), (0, end), "{name}");
            let attempt = listener.attempt(warm, |attempt| attempt["then"] == end.name());
            assert_eq!((&attempt["fault"], &attempt["number"]), (&json!(name), &json!(0)), "{attempt}");
            listener.connect().goes_well(&request);
        }
    }
}

#[test]
fn an_unsolicited_response_precedes_the_request_which_is_applied() {
    let server = server();
    for tls in [false, true] {
        let listener = server.listen(json!({"fault": "unasked-answer", "tls": tls}));
        let mut wire = listener.connect();
        let (bytes, seen) = wire.receive(|bytes| bytes.len() >= HEALTHY.len());
        assert_eq!((bytes, seen), (HEALTHY.into(), Seen::Open));
        wire.send(&server.request(&["c"], "{}")).unwrap();
        let attempt = listener.attempt(0, |attempt| attempt["applied_all"] == true);
        assert_eq!((&attempt["fault"], &attempt["whole"]), (&json!("unasked-answer"), &json!(true)), "{attempt}");
        assert_eq!(attempt["answer_bytes"], json!(HEALTHY.len()));
        assert_eq!(wire.read(&mut Vec::new(), SILENCE), Some(Seen::Open));
        assert_eq!(listener.attempts().len(), 1);
    }
}

#[test]
fn a_closed_port_refuses_and_a_black_hole_does_not_respond() {
    let server = server();
    let refused = server.listen(json!({"fault": "refused", "times": 0}));
    assert_eq!(Wire::connect(refused.port).err().map(|error| error.kind()), Some(ErrorKind::ConnectionRefused));
    let hole = server.listen(json!({"fault": "black-hole", "times": 0}));
    let address = (Ipv4Addr::LOCALHOST, hole.port).into();
    let error = TcpStream::connect_timeout(&address, Duration::from_millis(100)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn a_fault_of_the_handshake_does_what_its_name_says() {
    let server = server();
    let mut seen = 0;
    for fault in server.faults().into_iter().filter(|fault| fault["phase"] == "handshake") {
        let name = fault["name"].as_str().unwrap();
        let listener = server.listen(json!({"fault": name, "tls": true}));
        let mut wire = Wire::connect(listener.port).unwrap();
        let silent = matches!(name, "tls-silence" | "tls-flight-cut-silence");
        let patience = if silent { SILENCE } else { PATIENCE };
        let result = wire.begin_tls(&server.tls, patience).map_err(|error| format!("{:?} {error}", error.kind()));
        let fails = |why: &str| {
            let error = result.as_ref().expect_err(name);
            assert!(error.contains(why), "{name}: {error}");
        };
        match name {
            "tls-expired" => fails("certificate expired"),
            "tls-not-yet-valid" => fails("certificate not valid yet"),
            "tls-self-signed" | "tls-wrong-ca" => fails("UnknownIssuer"),
            "tls-wrong-host" => fails("certificate not valid for name \"localhost\""),
            "tls-old-version" => fails("peer is incompatible"),
            "tls-version-alert" => fails("ProtocolVersion"),
            "tls-failure-alert" => fails("HandshakeFailure"),
            "tls-fin-after-hello" | "tls-flight-cut-fin" => fails("UnexpectedEof"),
            "tls-rst-after-hello" | "tls-flight-cut-rst" => fails("ConnectionReset"),
            "tls-silence" | "tls-flight-cut-silence" => fails("WouldBlock"),
            "tls-garbage" | "tls-plain-http" => fails("corrupt message"),
            "tls-fin-before-request"
            | "tls-cut-before-request"
            | "tls-rst-before-request"
            | "tls-silence-after-handshake" => {
                result.unwrap();
                let (bytes, end) = wire.receive(|_| name.contains("silence"));
                assert!(bytes.is_empty(), "{name}");
                let expected = match name {
                    "tls-fin-before-request" => Seen::Fin,
                    "tls-cut-before-request" => Seen::Cut,
                    "tls-rst-before-request" => Seen::Reset,
                    _ => Seen::Open,
                };
                assert_eq!(end, expected, "{name}");
            }
            _ => panic!("no expectation for {name}: add it here"),
        }
        let attempt = listener.attempt(0, |attempt| attempt["fault"] == name);
        assert_eq!((&attempt["fault"], &attempt["request_bytes"]), (&json!(name), &json!(0)), "{attempt}");
        listener.connect().goes_well(&server.request(&["c"], "{}"));
        seen += 1;
    }
    assert!(seen >= 18, "{seen}");
}

#[test]
fn an_old_server_speaks_tls_1_1() {
    let server = server();
    let listener = server.listen(json!({"fault": "tls-old-version", "tls": true}));
    let mut wire = Wire::connect(listener.port).unwrap();
    wire.send(&[22, 3, 1, 0, 1, 1]).unwrap();
    let (bytes, seen) = wire.receive(|bytes| bytes.len() >= 5);
    assert_eq!(seen, Seen::Open);
    // A handshake record of that version, a ServerHello, that version again.
    assert_eq!((&bytes[..3], bytes[5], &bytes[9..11]), (&[22, 3, 2][..], 2, &[3, 2][..]), "{bytes:?}");
    assert_eq!(usize::from(bytes[4]) + 5, bytes.len());
    assert_eq!(usize::from(bytes[8]) + 9, bytes.len());
}

#[test]
fn a_response_is_cut_at_exactly_the_requested_byte() {
    let server = server();
    let cells: Vec<(usize, bool, &str)> = (0..=HEALTHY.len())
        .flat_map(|at| [(at, false, "fin"), (at, false, "rst"), (at, true, "fin"), (at, true, "rst")])
        .collect();
    side_by_side(&cells, |(at, tls, end)| {
        let fault = format!("answer-cut-{end}");
        let listener = server.listen(json!({"fault": fault, "tls": tls, "params": {"at": at}}));
        let mut wire = listener.connect();
        wire.send(&server.request(&["c"], "{}")).unwrap();
        let (bytes, seen) = wire.receive(|_| false);
        assert_eq!(bytes, &HEALTHY.as_bytes()[..*at], "{at} {tls} {end}");
        assert_eq!(seen.name(), *end, "{at} {tls}");
        let attempt = listener.attempts().remove(0);
        assert_eq!(attempt["answer_bytes"], json!(at));
        assert_eq!(STANDARD.decode(attempt["answer"].as_str().unwrap()).unwrap(), HEALTHY.as_bytes());
    });
}

#[test]
fn a_request_is_cut_at_exactly_the_requested_byte() {
    let server = server();
    let request = server.request(&["c"], "{}");
    let head = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let half = head + (request.len() - head) / 2;
    let places = [
        (json!(0), 0),
        (json!(1), 1),
        (json!(17), 17),
        (json!(head), head),
        (json!("head"), head),
        (json!("half"), half),
        (json!("last"), request.len() - 1),
        (json!(request.len() + 1), request.len() - 1),
    ];
    let places = places.iter().flat_map(|place| {
        ["fin", "rst", "silence"].into_iter().flat_map(move |end| [(place, end, false), (place, end, true)])
    });
    side_by_side(&places.collect::<Vec<_>>(), |((at, expected), end, tls)| {
        let fault = format!("{end}-mid-request");
        let listener = server.listen(json!({"fault": fault, "tls": tls, "params": {"at": at}}));
        let mut wire = listener.connect();
        let _ = wire.send(&request);
        let (bytes, seen) = wire.receive(|_| *end == "silence");
        assert_eq!((bytes.len(), seen.name()), (0, if *end == "silence" { "open" } else { end }), "{at} {end} {tls}");
        let attempt = listener.attempt(0, |attempt| attempt["request_bytes"] == json!(expected));
        assert_eq!((&attempt["whole"], &attempt["applied"]), (&json!(false), &json!([])), "{attempt}");
        assert_eq!(attempt["fault"], json!(fault));
    });
}

#[test]
fn a_large_body_that_is_not_read_fills_the_window() {
    let server = server();
    // The signature is never checked.
    let head = format!("POST /apps/1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {BIG}\r\n\r\n");
    let request = [head.as_bytes(), &[b' '; BIG]].concat();
    for (fault, params, tls) in [
        ("silence-mid-request", json!({"at": "head"}), false),
        ("silence-mid-request", json!({"at": "head"}), true),
        ("early-413-silence", json!({}), false),
    ] {
        let listener = server.listen(json!({"fault": fault, "tls": tls, "params": params}));
        let mut wire = listener.connect();
        wire.socket.set_write_timeout(Some(SILENCE * 5)).unwrap();
        let error = wire.send(&request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{fault}: {error}");
        let mut bytes = Vec::new();
        let ended = wire.read(&mut bytes, if fault.starts_with("early") { PATIENCE } else { SILENCE });
        let expected = if fault.starts_with("early") { (None, true) } else { (Some(Seen::Open), false) };
        assert_eq!((ended, bytes.starts_with(b"HTTP/1.1 413 ")), expected, "{fault}");
    }
}

#[test]
fn an_early_response_arrives_during_a_large_upload() {
    let server = server();
    let request = server.request(&["c"], &"x".repeat(64 * 1024));
    for (fault, applied) in [("early-413-reads-on", 0), ("early-200", 1)] {
        let listener = server.listen(json!({"fault": fault}));
        let mut wire = listener.connect();
        wire.send(&request[..2_000]).unwrap();
        let (bytes, seen) = wire.receive(|bytes| bytes.len() > 50);
        assert_eq!((bytes.starts_with(b"HTTP/1.1 "), seen), (true, Seen::Open), "{fault}");
        let early = listener.attempts().remove(0);
        assert_eq!((&early["whole"], &early["applied"]), (&json!(false), &json!([])));
        wire.send(&request[2_000..]).unwrap();
        wire.goes_well(&server.request(&["c"], "{}"));
        let late = listener.attempts().remove(0);
        assert_eq!((&late["whole"], late["applied"].as_array().unwrap().len()), (&json!(true), applied), "{fault}");
    }
}

#[test]
fn a_request_whose_key_is_known_is_not_applied_again() {
    let server = server();
    let keyed = |key: &str| {
        let request = String::from_utf8(server.request(&["a", "b"], "x")).unwrap();
        request.replacen("Host:", &format!("X-Idempotency-Key: {key}\r\nHost:"), 1).into_bytes()
    };
    for (fault, first, again) in
        [("status-503-applied", 2, 200), ("partly-500", 1, 503), ("status-503", 0, 200), ("status-429", 0, 200)]
    {
        let listener = server.listen(json!({"fault": fault}));
        for (key, status, applied) in
            [("k", None, first), ("k", Some(again), if first == 0 { 2 } else { 0 }), ("l", Some(200), 2)]
        {
            let before = listener.attempts().len();
            let mut wire = listener.connect();
            wire.send(&keyed(key)).unwrap();
            let status =
                status.unwrap_or_else(|| if fault == "partly-500" { 500 } else { fault[7..10].parse().unwrap() });
            let (bytes, _) = wire.receive(|bytes| Bytes::Status(status).are_there(bytes));
            Bytes::Status(status).check(&bytes, fault);
            let attempts = listener.attempts();
            assert_eq!(attempts.len(), before + 1);
            assert_eq!(attempts[before]["applied"].as_array().unwrap().len(), applied, "{fault}, key {key}");
        }
    }
}

#[test]
fn a_batch_is_applied_in_part() {
    let server = server();
    let event = |channel: &str| json!({"channel": channel, "name": "e", "data": "{}", "socket_id": "1.2"});
    let body = json!({"batch": [event("a"), event("b"), event("c")]}).to_string();
    for (after, expected) in [(0, 0), (1, 1), (2, 2), (9, 2)] {
        let listener = server.listen(json!({"fault": "partly-422", "params": {"after": after}}));
        let mut wire = listener.connect();
        wire.send(&server.signed("POST", "/apps/1/batch_events", &body)).unwrap();
        let (bytes, _) = wire.receive(|bytes| Bytes::Status(422).are_there(bytes));
        Bytes::Status(422).check(&bytes, "partly-422");
        let attempt = listener.attempts().remove(0);
        let events = ["a", "b", "c"].map(event);
        assert_eq!((&attempt["applied"], &attempt["applied_all"]), (&json!(events[..expected]), &json!(false)));
    }
    // A single event is the refused one.
    let listener = server.listen(json!({"fault": "partly-400"}));
    let mut wire = listener.connect();
    wire.send(&server.request(&["c"], "{}")).unwrap();
    let (bytes, _) = wire.receive(|bytes| Bytes::Status(400).are_there(bytes));
    Bytes::Status(400).check(&bytes, "partly-400");
    assert_eq!(listener.attempts()[0]["applied"], json!([]));
}

#[test]
fn an_unauthentic_request_gets_401_and_uses_up_no_fault() {
    let server = server();
    let listener = server.listen(json!({"fault": "rst-after-request-applied"}));
    let request = String::from_utf8(server.request(&["c"], "{}")).unwrap();
    let (begin, end) = request.split_once("auth_signature=").unwrap();
    let flipped = if end.starts_with('0') { "1" } else { "0" };
    let wrong = [
        format!("{begin}auth_signature={flipped}{}", &end[1..]),
        request.replace("body_md5=", "body_md5=0"),
        request.replace("auth_timestamp=1", "auth_timestamp=2"),
        request.replace("auth_key=test-key_1", "auth_key=another"),
        request.replace("&auth_version=1.0", ""),
        request.replace(r#""data":"{}""#, r#""data":"[]""#),
    ];
    for (index, wrong) in wrong.iter().enumerate() {
        let mut wire = listener.connect();
        wire.send(wrong.as_bytes()).unwrap();
        let (bytes, _) = wire.receive(|bytes| Bytes::Status(401).are_there(bytes));
        Bytes::Status(401).check(&bytes, wrong);
        let attempt = listener.attempts().remove(index);
        assert_eq!((&attempt["fault"], &attempt["applied"]), (&Value::Null, &json!([])), "{attempt}");
        assert!(attempt["refused"].is_string(), "{attempt}");
    }
    // The fault is still pending.
    let mut wire = listener.connect();
    wire.send(request.as_bytes()).unwrap();
    assert_eq!(wire.receive(|_| false), (Vec::new(), Seen::Reset));
}

#[test]
fn it_responds_as_a_real_server_does() {
    let server = server();
    let listener = server.listen(json!({"fault": "none"}));
    let mut wire = listener.connect();
    let info = json!({"name": "e", "channels": ["a", "b"], "data": "{}", "info": "user_count"}).to_string();
    let batch = json!({"batch": [{"channel": "a", "name": "e", "data": "{}", "info": "user_count"}]}).to_string();
    for (method, path, body, answer) in [
        ("POST", "/apps/1/events", &*info, r#"{"channels":{"a":{},"b":{}}}"#),
        ("POST", "/apps/1/batch_events", &*batch, r#"{"batch":[{}]}"#),
        ("POST", "/apps/1/users/u/terminate_connections", "{}", "{}"),
        ("GET", "/apps/1/channels", "", r#"{"channels":{}}"#),
        ("GET", "/apps/1/channels/c", "", r#"{"occupied":false}"#),
        ("GET", "/apps/1/channels/presence-c/users", "", r#"{"users":[]}"#),
    ] {
        wire.send(&server.signed(method, path, body)).unwrap();
        let (bytes, _) = wire.receive(|bytes| Bytes::Status(200).are_there(bytes));
        assert!(bytes.ends_with(format!("\r\n\r\n{answer}").as_bytes()), "{path}: {}", String::from_utf8_lossy(&bytes));
    }
    let applied: Vec<Value> = listener.attempts().iter().map(|attempt| attempt["applied"].clone()).collect();
    assert_eq!(applied[2], json!([{"terminated": "u"}]));
    assert_eq!(applied.iter().map(|events| events.as_array().unwrap().len()).collect::<Vec<_>>(), [2, 1, 1, 0, 0, 0]);
    assert_eq!(listener.ledger()["connections"], json!(1));
}

#[test]
fn a_redirect_target_counts_its_requests() {
    let server = server();
    let listener = server.listen(json!({"fault": "redirect-302"}));
    let mut wire = listener.connect();
    wire.send(&server.request(&["c"], "{}")).unwrap();
    let (bytes, _) = wire.receive(|bytes| Bytes::Status(302).are_there(bytes));
    let head = String::from_utf8(bytes).unwrap();
    let location = format!("Location: http://localhost:{}/apps/1/events\r\n", listener.beside.unwrap());
    assert!(head.contains(&location), "{head}");
    assert_eq!(listener.ledger()["followed"], json!(0));
    // As a client that follows with a GET.
    let mut wire = Wire::connect(listener.beside.unwrap()).unwrap();
    wire.goes_well(b"GET /apps/1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(listener.ledger()["followed"], json!(1));
}

#[test]
fn a_wrong_clock_is_in_the_date_and_then_both_clocks_are_accepted() {
    let server = server();
    for (fault, clock) in [("clock-ahead", 3600), ("clock-behind", -3600), ("clock-right", 0)] {
        let listener = server.listen(json!({"fault": fault}));
        let mut wire = listener.connect();
        wire.send(&server.request(&["c"], "{}")).unwrap();
        let (bytes, _) = wire.receive(|bytes| Bytes::Status(401).are_there(bytes));
        let head = String::from_utf8(bytes).unwrap();
        let date = head.split("\r\n").find_map(|line| line.strip_prefix("Date: ")).expect(&head);
        let now = Command::new("date").args(["-u", "-d", date, "+%s"]).output().unwrap();
        let told: i64 = String::from_utf8(now.stdout).unwrap().trim().parse().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let now = i64::try_from(now).unwrap();
        assert!((told - now - clock).abs() <= 5, "{fault}: {date}");
        wire.goes_well(&server.request(&["c"], "{}"));
    }
}

#[test]
fn a_fault_of_a_proxy_does_what_its_name_says() {
    let server = server();
    let established = "HTTP/1.1 200 Connection established\r\n\r\n";
    let mut cells = Vec::new();
    for fault in server.faults().into_iter().filter(|fault| fault["proxy"] == true) {
        for (tls, name) in [(false, "plain"), (true, "tls")] {
            if fault[name] == true {
                cells.push((fault["name"].as_str().unwrap().to_owned(), tls));
            }
        }
    }
    assert!(cells.len() >= 30, "{}", cells.len());
    side_by_side(&cells, |(name, tls)| {
        let listener = server.listen(json!({"fault": name, "tls": tls}));
        let origin = listener.beside.unwrap();
        let connect = format!("CONNECT localhost:{origin} HTTP/1.1\r\nHost: localhost:{origin}\r\n\r\n").into_bytes();
        let absolute = String::from_utf8(server.request(&["c"], "{}")).unwrap();
        let absolute = absolute.replacen(" /", &format!(" http://localhost:{origin}/"), 1).into_bytes();
        let request = if *tls { &connect } else { &absolute };
        let granted = if *tls { established } else { HEALTHY };
        let mut wire = Wire::connect(listener.port).unwrap();
        let _ = wire.send(request);
        let (expected, end) = match name.as_str() {
            "proxy-rst-at-accept" | "proxy-rst" => (Bytes::text(""), Seen::Reset),
            "proxy-fin-at-accept" | "proxy-fin" => (Bytes::text(""), Seen::Fin),
            "proxy-silence" => (Bytes::text(""), Seen::Open),
            "proxy-garbage" => (Bytes::text("Good morning!\r\n\r\n"), Seen::Open),
            "proxy-answer-cut-fin" => (Bytes::text(&granted[..granted.len() - 1]), Seen::Fin),
            "proxy-answer-cut-rst" => (Bytes::text(&granted[..granted.len() - 1]), Seen::Reset),
            "proxy-answer-cut-silence" => (Bytes::text(&granted[..granted.len() - 1]), Seen::Open),
            "proxy-granted-fin" => (Bytes::text(established), Seen::Fin),
            "proxy-granted-rst" => (Bytes::text(established), Seen::Reset),
            "proxy-granted-silence" | "proxy-granted-http" => (Bytes::text(established), Seen::Open),
            "proxy-granted-extra" => (Bytes::text(format!("{established}extra")), Seen::Open),
            "proxy-interim-first" => (Bytes::text(format!("HTTP/1.1 100 Continue\r\n\r\n{granted}")), Seen::Open),
            name if name.starts_with("proxy-tunnel-cut") => (Bytes::text(established), Seen::Open),
            "proxy-407" | "proxy-403" | "proxy-502" | "proxy-503" | "proxy-302" | "proxy-502-applied"
            | "proxy-504-applied" => (Bytes::Status(name[6..9].parse().unwrap()), Seen::Open),
            _ => panic!("no expectation for {name}: add it here"),
        };
        let (bytes, seen) = wire.receive(|bytes| end == Seen::Open && expected.are_there(bytes));
        expected.check(&bytes, name);
        assert_eq!(seen, end, "{name} {tls}");
        if name == "proxy-granted-http" {
            wire.send(&[22, 3, 1, 0, 1, 1]).unwrap();
            let (bytes, seen) = wire.receive(|_| false);
            Bytes::Status(400).check(&bytes, name);
            assert_eq!(seen, Seen::Fin);
        }
        if name.starts_with("proxy-tunnel-cut") {
            assert_eq!(listener.attempts()[0]["then"], json!(&name[name.len() - 3..]));
            let ended = (|| -> io::Result<Seen> {
                wire.begin_tls(&server.tls, PATIENCE)?;
                wire.send(&server.request(&["c"], "{}"))?;
                Ok(wire.receive(|_| false).1)
            })();
            let reset = name.ends_with("rst");
            match ended {
                Ok(seen) => assert_eq!(seen, if reset { Seen::Reset } else { Seen::Cut }, "{name}"),
                Err(error) if reset => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{name}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{name}"),
            }
        }
        // The server's own ledger has what reached it.
        let at_origin = server.ask("GET", &format!("/listen/{origin}"), &Value::Null).1;
        let forwards = !tls && (name.ends_with("-applied") || name.contains("answer-cut") || name.contains("interim"));
        let count = at_origin["attempts"].as_array().unwrap().iter().filter(|a| a["applied_all"] == true).count();
        assert_eq!(count, usize::from(forwards), "{name} {tls}: {at_origin}");
        let attempt = listener.attempt(0, |attempt| attempt["fault"] == *name);
        assert_eq!((&attempt["fault"], &attempt["applied"]), (&json!(name), &json!([])), "{attempt}");
        // The next request succeeds.
        let mut wire = Wire::connect(listener.port).unwrap();
        if *tls {
            wire.send(&connect).unwrap();
            let (bytes, _) = wire.receive(|bytes| bytes.len() >= established.len());
            assert_eq!(bytes, established.as_bytes());
            wire.begin_tls(&server.tls, PATIENCE).unwrap();
            wire.goes_well(&server.request(&["c"], "{}"));
        } else {
            wire.goes_well(&absolute);
        }
    });
}

#[test]
fn a_fault_happens_the_requested_number_of_times() {
    let server = server();
    let request = server.request(&["c"], "{}");
    for (warm, times) in [(0, 1), (2, 3), (1, 0)] {
        let listener = server.listen(json!({"fault": "fin-after-request", "warm": warm, "times": times}));
        let pattern: Vec<bool> = (0..8)
            .map(|_| {
                let mut wire = listener.connect();
                wire.send(&request).unwrap();
                wire.receive(|bytes| bytes.len() >= HEALTHY.len()).0.is_empty()
            })
            .collect();
        let expected: Vec<bool> = (0..8).map(|n| n >= warm && (times == 0 || n < warm + times)).collect();
        assert_eq!(pattern, expected, "{warm} {times}");
    }
}

#[test]
fn the_fault_of_a_listener_can_be_changed() {
    let server = server();
    let listener = server.listen(json!({"fault": "none"}));
    let request = server.request(&["c"], "{}");
    let path = format!("/listen/{}", listener.port);
    let mut wire = listener.connect();
    wire.goes_well(&request);
    for _ in 0..2 {
        assert_eq!(server.ask("PUT", &path, &json!({"fault": "status-503"})), (200, json!({})));
        wire.send(&request).unwrap();
        let (bytes, _) = wire.receive(|bytes| Bytes::Status(503).are_there(bytes));
        Bytes::Status(503).check(&bytes, "status-503");
        wire.goes_well(&request);
    }
    assert_eq!(server.ask("PUT", &path, &json!({"fault": "redirect-302"})).0, 400);
    let later = server.ask("GET", &format!("{path}?from=3"), &Value::Null).1;
    assert_eq!(later["attempts"].as_array().unwrap().len(), 2);
}

#[test]
fn the_same_seed_gives_the_same_mixture() {
    let server = server();
    let request = server.request(&["c"], "{}");
    let run = |seed: u64| -> Vec<Value> {
        let mix = json!({"seed": seed, "one_in": 3, "faults": ["status-503", "stale-fin", "fin-after-request"]});
        let listener = server.listen(json!({"mix": mix, "times": 0}));
        for _ in 0..40 {
            let mut wire = listener.connect();
            wire.send(&request).unwrap();
            wire.socket.shutdown(Shutdown::Write).unwrap();
            wire.receive(|_| false);
        }
        listener.attempts().iter().map(|attempt| attempt["fault"].clone()).collect()
    };
    let [first, again, other] = [run(1), run(1), run(2)];
    assert_eq!(first, again);
    assert_ne!(first, other);
    let struck = first.iter().filter(|fault| !fault.is_null()).count();
    assert!((5..25).contains(&struck), "{struck}");
}

#[test]
fn closing_a_listener_ends_everything_on_it() {
    let server = server();
    let listener = server.listen(json!({"fault": "silence-at-accept"}));
    let mut held = listener.connect();
    let mut idle = listener.connect();
    idle.goes_well(&server.request(&["c"], "{}"));
    let path = format!("/listen/{}", listener.port);
    assert_eq!(server.ask("DELETE", &path, &Value::Null).0, 200);
    assert_eq!(held.receive(|_| false).1, Seen::Fin);
    assert_eq!(idle.receive(|_| false).1, Seen::Fin);
    assert_eq!(server.ask("DELETE", &path, &Value::Null).0, 404);
    assert_eq!(server.ask("GET", &path, &Value::Null).0, 404);
    let start = Instant::now();
    while Wire::connect(listener.port).is_ok() {
        assert!(start.elapsed() < PATIENCE, "the port is still open");
        thread::yield_now();
    }
}

#[test]
fn an_invalid_command_gets_an_error() {
    let server = server();
    for (order, why) in [
        (json!({"fault": "nonsense"}), "there is no fault \"nonsense\""),
        (json!({}), "either fault or mix"),
        (json!({"fault": "none", "times": -1}), "times is a number"),
        (json!({"fault": "none", "tols": true}), "\"tols\" is none of"),
        (json!({"fault": "stale-fin", "params": {"at": 1}}), "there is no parameter \"at\""),
        (json!({"fault": "answer-cut-fin", "params": {"at": "middle"}}), "at can't be \"middle\""),
        (json!({"fault": "tls-expired"}), "does not exist without TLS"),
        (json!({"mix": {"seed": 1, "one_in": 2, "faults": ["stale-fin", "proxy-407"]}}), "do not mix"),
    ] {
        let (status, answer) = server.ask("POST", "/listen", &order);
        assert_eq!(status, 400, "{order}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(why), "{order}: {answer}");
    }
    assert_eq!(server.ask("GET", "/nothing", &Value::Null).0, 404);
    assert!(server.ask("GET", "/stats", &Value::Null).1["listeners"].is_u64());
}

#[test]
fn it_records_what_is_published() {
    let server = server();
    let listener = server.listen(json!({"fault": "none"}));
    let path = format!("/listen/{}/events", listener.port);
    let mut wire = listener.connect();
    let body =
        json!({"name": "e", "channels": ["a", "#server-to-user-7"], "data": "[1]", "socket_id": "1.2"}).to_string();
    wire.goes_well(&server.signed("POST", "/apps/1/events", &body));
    let body = json!({"batch": [{"channel": "b", "name": "f", "data": "\"x\""}]}).to_string();
    wire.goes_well(&server.signed("POST", "/apps/1/batch_events", &body));
    wire.goes_well(&server.signed("POST", "/apps/1/users/7/terminate_connections", "{}"));
    let mut other = listener.connect();
    let unsigned =
        String::from_utf8(server.request(&["c"], "{}")).unwrap().replace("auth_signature=", "auth_signature=0");
    other.send(unsigned.as_bytes()).unwrap();
    other.receive(|bytes| Bytes::Status(401).are_there(bytes));
    let record = server.ask("GET", &path, &Value::Null).1;
    let expected = json!({
        "attempts": 4,
        "events": [
            {"channel": "a", "event": "e", "data": "[1]", "socket_id": "1.2", "user": null},
            {"channel": "#server-to-user-7", "event": "e", "data": "[1]", "socket_id": "1.2", "user": "7"},
            {"channel": "b", "event": "f", "data": "\"x\"", "socket_id": null, "user": null},
        ],
        "terminated": ["7"],
        "refused": ["the signature is wrong"],
    });
    assert_eq!(record, expected);
    assert_eq!(server.ask("DELETE", &path, &Value::Null), (200, json!({})));
    let record = server.ask("GET", &path, &Value::Null).1;
    assert_eq!(record, json!({"attempts": 0, "events": [], "terminated": [], "refused": []}));
}

#[test]
fn only_what_is_applied_is_recorded_and_also_behind_a_proxy() {
    let server = server();
    for (fault, applied) in [("rst-after-request", 0), ("rst-after-request-applied", 1), ("proxy-502-applied", 1)] {
        let listener = server.listen(json!({"fault": fault}));
        let mut wire = listener.connect();
        let request = String::from_utf8(server.request(&["c"], "{}")).unwrap();
        let request = match listener.beside {
            Some(port) => request.replacen("POST ", &format!("POST http://127.0.0.1:{port}"), 1),
            None => request,
        };
        wire.send(request.as_bytes()).unwrap();
        wire.receive(|bytes| Bytes::Status(502).are_there(bytes));
        let record = server.ask("GET", &format!("/listen/{}/events", listener.port), &Value::Null).1;
        assert_eq!(record["events"].as_array().unwrap().len(), applied, "{fault}: {record}");
    }
}

#[test]
fn one_can_wait_for_events() {
    let server = server();
    let listener = server.listen(json!({"fault": "none"}));
    let path = format!("/listen/{}/events", listener.port);
    let count =
        |query: &str| server.ask("GET", &format!("{path}?{query}"), &Value::Null).1["events"].as_array().unwrap().len();
    assert_eq!(count("count=1&timeout_ms=20"), 0);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| count("count=3&timeout_ms=60000"));
        let mut wire = listener.connect();
        for _ in 0..3 {
            wire.goes_well(&server.request(&["c"], "{}"));
        }
        assert_eq!(waiting.join().unwrap(), 3);
    });
    for wrong in ["count=x", "timeout_ms=600001", "from=1"] {
        assert_eq!(server.ask("GET", &format!("{path}?{wrong}"), &Value::Null).0, 400, "{wrong}");
    }
    for method in ["GET", "DELETE"] {
        assert_eq!(server.ask(method, "/listen/1/events", &Value::Null).0, 404, "{method}");
    }
}

#[test]
fn a_new_listener_comes_with_the_configuration_of_a_client() {
    let server = server();
    let secret = "s3cr3t%2FCanary%2B%26%3D%25%C3%A9";
    for (order, scheme, host) in [
        (json!({"fault": "none"}), "http", "127.0.0.1"),
        (json!({"fault": "none", "tls": true}), "https", "localhost"),
        (json!({"fault": "proxy-407"}), "http", "127.0.0.1"),
        (json!({"fault": "proxy-407", "tls": true}), "https", "localhost"),
    ] {
        let (_, answer) = server.ask("POST", "/listen", &order);
        let port = answer.get("origin").unwrap_or(&answer["port"]);
        assert_eq!(answer["url"], format!("{scheme}://test-key_1:{secret}@{host}:{port}/apps/1"), "{order}");
        let config = &answer["config"];
        let tls = scheme == "https";
        assert_eq!((&config["host"], &config["port"], &config["ssl"]), (&json!(host), port, &json!(tls)), "{order}");
        assert_eq!(config.get("ca_file").is_some(), tls, "{order}");
        let proxy = answer.get("origin").map(|_| format!("http://127.0.0.1:{}", answer["port"]));
        assert_eq!(config.get("proxy").and_then(Value::as_str), proxy.as_deref(), "{order}");
        server.ask("DELETE", &format!("/listen/{}", answer["port"]), &Value::Null);
    }
}

#[test]
fn it_serves_while_a_command_runs_and_ends_as_it_does() {
    let run = |command: &[&str]| Command::new(program()).arg("--").args(command).output().unwrap();
    let said = run(&["sh", "-c", "echo $PUSHER_URL $PUSHER_TESTSERVER_URL; exit 7"]);
    let text = String::from_utf8(said.stdout).unwrap();
    let (url, control) = text.trim().split_once(' ').unwrap();
    assert!(url.starts_with("http://test-key_1:") && url.ends_with("/apps/1"), "{text}");
    assert!(control.starts_with("http://127.0.0.1:") && control.contains("/listen/"), "{text}");
    assert_eq!(said.status.code(), Some(7));
    let said = run(&["/nonexistent/program"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("/nonexistent/program"), "{said:?}");
}

#[test]
fn it_passes_a_signal_on_to_the_command() {
    let mut command = Command::new(program());
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    let mut process = command.args(["--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    terminate(&process);
    assert_eq!(process.wait().unwrap().code(), Some(9));
}

#[test]
fn it_ends_on_a_signal_and_removes_its_file() {
    let mut server = Server::start();
    assert!(server.ca.exists());
    terminate(&server.process);
    assert!(server.process.wait().unwrap().success());
    assert!(!server.ca.exists());
}

fn terminate(process: &Child) {
    let number = nix::unistd::Pid::from_raw(i32::try_from(process.id()).unwrap());
    nix::sys::signal::kill(number, nix::sys::signal::Signal::SIGTERM).unwrap();
}

#[test]
fn it_prints_its_faults_and_its_options() {
    let run = |argument: &str| {
        let said = Command::new(program()).arg(argument).output().unwrap();
        (said.status.success(), String::from_utf8(said.stdout).unwrap(), String::from_utf8(said.stderr).unwrap())
    };
    let (_, faults, _) = run("--faults");
    let names: Vec<&str> = faults.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let expected: Vec<Value> = server().faults();
    assert_eq!(names, expected.iter().map(|fault| fault["name"].as_str().unwrap()).collect::<Vec<_>>());
    assert!(run("--help").1.contains("--port N"));
    assert_eq!(run("--version").1, format!("pusher-testserver {}\n", env!("CARGO_PKG_VERSION")));
    let (success, _, said) = run("--colour");
    assert!(!success && said.contains("usage: "), "{said}");
}

#[test]
fn it_ends_with_its_standard_input_and_removes_its_file() {
    let mut server = Server::start();
    assert!(server.ca.exists());
    drop(server.process.stdin.take());
    let mut rest = String::new();
    // Its output ends when it ends.
    server.output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert!(server.process.wait().unwrap().success());
    assert!(!server.ca.exists());
}
