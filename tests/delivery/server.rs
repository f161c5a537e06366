//! The fault server, a separate process that keeps a ledger of what it did. See
//! `tools/fault-server/README.md`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::{env, thread};

use serde_json::{Value, json};

use crate::caller::MAX_RESPONSE;
use crate::support::PATIENCE;
use crate::support::calls::base64_decoded;

/// The process. Dropping it ends the process.
pub struct FaultServer {
    process: Child,
    control: u16,
    ca: String,
    /// Connections to the control port.
    idle: Mutex<Vec<BufReader<TcpStream>>>,
}

/// A fault of the catalogue.
#[derive(Clone, Debug)]
pub struct Fault {
    pub name: String,
    pub phase: String,
    pub what: String,
    pub plain: bool,
    pub tls: bool,
    pub reused: bool,
    pub proxy: bool,
    /// Whether it lasts until its listener is closed.
    pub forever: bool,
    /// Whether a client waits until its deadline, which should therefore be short.
    pub waits: bool,
    /// Whether the server reports a success before it has the request, which it may then lose. No client can detect that.
    pub lies: bool,
}

/// The behaviour of a listener.
#[derive(Clone, Debug)]
pub struct Listen<'a> {
    pub fault: &'a str,
    pub params: Value,
    pub tls: bool,
    /// The number of healthy requests before the fault.
    pub warm: usize,
    /// How often the fault occurs; 0 is every time.
    pub times: usize,
    /// Whether signatures are verified.
    pub verify: bool,
}

impl Listen<'_> {
    /// Returns a listener without a fault.
    pub fn healthy(tls: bool) -> Listen<'static> {
        Listen { fault: "none", params: json!({}), tls, warm: 0, times: 1, verify: true }
    }
}

/// A listener. Dropping it closes the listener.
pub struct Listener<'a> {
    server: &'a FaultServer,
    pub port: u16,
    /// The port to which a proxy forwards.
    pub origin: Option<u16>,
}

/// The ledger of a listener.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub attempts: Vec<Entry>,
    /// How often the client followed a redirect.
    pub followed: u64,
    /// The JSON document, for messages.
    pub text: String,
}

/// An attempt, as the server recorded it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub connection: u64,
    /// Its fault.
    pub fault: Option<String>,
    /// Whether all of it arrived, and its length if known.
    pub whole: bool,
    pub request_length: Option<u64>,
    /// The data of each event that was published, with its channel.
    pub applied: Vec<(String, String)>,
    /// The bytes of the response, in plain text, that the server's kernel took; of a long response
    /// the beginning.
    pub answer_sent: Vec<u8>,
    /// `fin`, `rst` or `open`.
    pub then: String,
    /// Whether the connection ended without a close_notify.
    pub without_close_notify: bool,
}

impl FaultServer {
    /// Starts the example next to this test, or the program in `FAULT_SERVER`.
    pub fn start() -> FaultServer {
        let path = env::var_os("FAULT_SERVER").map_or_else(beside_this_test, PathBuf::from);
        let mut process = Command::new(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}; `cargo build --example fault-server` makes it", path.display()));
        let stdout = process.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = sender.send(line);
        });
        let line = receiver.recv_timeout(PATIENCE).expect("the fault server reports where it listens");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        let control = u16::try_from(ready["control"].as_u64().unwrap()).unwrap();
        FaultServer { process, control, ca: ready["ca"].as_str().unwrap().to_owned(), idle: Mutex::default() }
    }

    /// Returns the file with the certificate of its authority.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// Returns its catalogue.
    pub fn faults(&self) -> Vec<Fault> {
        let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
        let flag = |fault: &Value, name: &str| fault[name].as_bool().unwrap();
        let fault = |fault: &Value| Fault {
            name: text(fault, "name"),
            phase: text(fault, "phase"),
            what: text(fault, "what"),
            plain: flag(fault, "plain"),
            tls: flag(fault, "tls"),
            reused: flag(fault, "reused"),
            proxy: flag(fault, "proxy"),
            forever: flag(fault, "forever"),
            waits: flag(fault, "waits"),
            lies: flag(fault, "lies"),
        };
        self.ask("GET", "/faults", "").as_array().unwrap().iter().map(fault).collect()
    }

    /// Opens a listener.
    pub fn listen(&self, wanted: &Listen<'_>) -> Listener<'_> {
        let Listen { fault, params, tls, warm, times, verify } = wanted;
        let mut body = json!({"fault": fault, "tls": tls, "warm": warm, "times": times, "verify": verify});
        if !params.is_null() {
            body["params"] = params.clone();
        }
        let answer = self.ask("POST", "/listen", &body.to_string());
        let port = |name: &str| answer[name].as_u64().map(|port| u16::try_from(port).unwrap());
        Listener {
            server: self,
            port: port("port").unwrap_or_else(|| panic!("{body}: {answer}")),
            origin: port("origin"),
        }
    }

    /// Returns the ledger of the listener at this port.
    pub fn ledger(&self, port: u16) -> Ledger {
        let document = self.ask("GET", &format!("/listen/{port}"), "");
        let entry = |entry: &Value| Entry {
            connection: entry["connection"].as_u64().unwrap(),
            fault: entry["fault"].as_str().map(str::to_owned),
            whole: entry["whole"].as_bool().unwrap(),
            request_length: entry["request_length"].as_u64(),
            applied: entry["applied"].as_array().unwrap().iter().map(event).collect(),
            answer_sent: base64_decoded(beginning(entry["answer_sent"].as_str().unwrap())),
            then: entry["then"].as_str().unwrap().to_owned(),
            without_close_notify: entry["fault"].as_str().is_some_and(omits_close_notify),
        };
        Ledger {
            attempts: document["attempts"].as_array().unwrap().iter().map(entry).collect(),
            followed: document["followed"].as_u64().unwrap_or(0),
            text: document.to_string(),
        }
    }

    /// Sends a request to the control port, on a kept-alive connection.
    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut stream = idle.unwrap_or_else(|| {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.control)).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            BufReader::new(stream)
        });
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0, "no answer to {method} {path}: {head:?}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
        let mut text = vec![0; length];
        stream.read_exact(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{method} {path} {body}: {head}{text}");
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

/// Returns whether this fault ends a connection by FIN without a close_notify.
fn omits_close_notify(fault: &str) -> bool {
    const BROKEN: [&str; 5] = ["-bad-record", "-partial-record", "-alert", "-plain-http", "-cut"];
    fault.starts_with("cut-") || BROKEN.iter().any(|end| fault.ends_with(end))
}

/// Returns the beginning of a base64 string: more than any client here accepts.
fn beginning(text: &str) -> &str {
    const MOST: usize = 4 * (MAX_RESPONSE / 2);
    &text[..text.len().min(MOST)]
}

fn event(event: &Value) -> (String, String) {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    (text("channel"), text("data"))
}

fn beside_this_test() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples/fault-server")
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        // Closing its standard input ends it. It then removes its files.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

impl Listener<'_> {
    /// Returns its ledger.
    pub fn ledger(&self) -> Ledger {
        self.server.ledger(self.port)
    }

    /// Returns its ledger, and that of the origin behind a proxy.
    pub fn ledgers(&self) -> (Ledger, Option<Ledger>) {
        (self.ledger(), self.origin.map(|origin| self.server.ledger(origin)))
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.server.ask("DELETE", &format!("/listen/{}", self.port), "");
        }
    }
}
