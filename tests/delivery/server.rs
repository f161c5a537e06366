//! The fault server: a process of its own, which keeps the ledger of truth. See `tools/fault-server/README.md`.

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

/// The process. It ends when this is dropped.
pub struct FaultServer {
    process: Child,
    control: u16,
    ca: String,
    /// Connections to the control port.
    idle: Mutex<Vec<BufReader<TcpStream>>>,
}

/// A fault of its catalogue.
#[derive(Clone, Debug)]
pub struct Fault {
    pub name: String,
    pub phase: String,
    pub what: String,
    pub plain: bool,
    pub tls: bool,
    pub reused: bool,
    pub proxy: bool,
    /// Whether it stays until its listener is closed.
    pub forever: bool,
}

/// What a listener is to do.
#[derive(Clone, Debug)]
pub struct Listen<'a> {
    pub fault: &'a str,
    pub params: Value,
    pub tls: bool,
    /// So many healthy requests first.
    pub warm: usize,
    /// How often the fault strikes; 0 is for ever.
    pub times: usize,
    /// Whether signatures count.
    pub verify: bool,
}

impl Listen<'_> {
    /// Nothing but to serve.
    pub fn healthy(tls: bool) -> Listen<'static> {
        Listen { fault: "none", params: json!({}), tls, warm: 0, times: 1, verify: true }
    }
}

/// A listener, closed when this is dropped.
pub struct Listener<'a> {
    server: &'a FaultServer,
    pub port: u16,
    /// Where a proxy forwards to.
    pub origin: Option<u16>,
}

/// What a listener did.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub attempts: Vec<Entry>,
    /// How often a redirect was followed.
    pub followed: u64,
    /// The document itself, for messages.
    pub text: String,
}

/// An attempt, as the server saw it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub connection: u64,
    /// The fault it suffered.
    pub fault: Option<String>,
    /// Whether all of it arrived, and its length where that is known.
    pub whole: bool,
    pub request_length: Option<u64>,
    /// The data of each event that was published, with its channel.
    pub applied: Vec<(String, String)>,
    /// The plain bytes of the answer that the server's kernel took; of a long one the beginning.
    pub answer_sent: Vec<u8>,
    /// `fin`, `rst` or `open`.
    pub then: String,
    /// Whether TLS was not told of the end.
    pub without_goodbye: bool,
}

impl FaultServer {
    /// The example beside this test, or the one in `FAULT_SERVER`.
    pub fn start() -> FaultServer {
        let path = env::var_os("FAULT_SERVER").map_or_else(beside_this_test, PathBuf::from);
        let mut process = Command::new(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}; `cargo build --example fault-server` makes it", path.display()));
        let stdout = process.stdout.take().unwrap();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = tell.send(line);
        });
        let line = told.recv_timeout(PATIENCE).expect("the fault server says where it listens");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        let control = u16::try_from(ready["control"].as_u64().unwrap()).unwrap();
        FaultServer { process, control, ca: ready["ca"].as_str().unwrap().to_owned(), idle: Mutex::default() }
    }

    /// The file with the certificate of its authority.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// Its catalogue.
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
        };
        self.ask("GET", "/faults", "").as_array().unwrap().iter().map(fault).collect()
    }

    /// A listener of its own.
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

    /// What the listener at this port did.
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
            without_goodbye: entry["fault"].as_str().is_some_and(is_without_goodbye),
        };
        Ledger {
            attempts: document["attempts"].as_array().unwrap().iter().map(entry).collect(),
            followed: document["followed"].as_u64().unwrap_or(0),
            text: document.to_string(),
        }
    }

    /// A request to the control port, on a connection that is used again.
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

/// Whether this fault ends a connection by FIN without a word of TLS.
fn is_without_goodbye(fault: &str) -> bool {
    fault.ends_with("-cut") || fault.starts_with("cut-")
}

/// The beginning of a text in base64: more than any client here takes.
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
        // Its standard input closes, which ends it; it removes its own files then.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

impl Listener<'_> {
    /// What it did up to now.
    pub fn ledger(&self) -> Ledger {
        self.server.ledger(self.port)
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.server.ask("DELETE", &format!("/listen/{}", self.port), "");
        }
    }
}
