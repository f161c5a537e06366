//! The child that makes the calls: this test program, run again with the witness between it and the
//! kernel.
//!
//! It reads its steps from a file and reports the result of each. A deliberately wrong client may
//! make a step, to show that the gates catch it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use serde_json::{Value, json};

use crate::support::publisher::{self, Publisher, Report};
use crate::support::{APP_ID, Client, KEY, Outcome, SECRET, child};
use crate::witness::{self, Log, LogFile, Witness};

/// The name of the test that is the child's program.
pub const PROGRAM: &str = "the_calling_child";

const PLAN: &str = "DELIVERY_PLAN";

/// The longest response that the clients accept, so that an endless one ends soon.
pub const MAX_RESPONSE: usize = 64 * 1024;

/// More than small socket buffers hold; the test makes them small.
const LARGE: usize = 192 << 10;
const SMALL_BUFFER: i32 = 16 << 10;

/// The call to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// One event on one channel.
    One,
    /// One event on three channels.
    Several,
    /// Three events in a batch.
    Batch,
    /// One event on one channel that does not fit into the buffers.
    Large,
}

impl Call {
    const ALL: [Call; 4] = [Call::One, Call::Several, Call::Batch, Call::Large];

    /// Returns the name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Call::One => "one channel",
            Call::Several => "three channels",
            Call::Batch => "a batch of three",
            Call::Large => "a large event",
        }
    }

    /// Returns its channels, one for each event that is published.
    pub const fn channels(self) -> &'static [&'static str] {
        match self {
            Call::One | Call::Large => &["orders"],
            Call::Several | Call::Batch => &["orders", "stock", "bills"],
        }
    }

    fn make(self, client: &Client, id: &str, options: &str) -> Outcome {
        let data = match self {
            Call::Large => format!(r#"{{"id":"{id}","filling":"{}"}}"#, "a".repeat(LARGE)),
            _ => data_of(id),
        };
        match self {
            Call::One | Call::Large => client.trigger_with("orders", "placed", &data, options),
            Call::Several => client.trigger_with(&json!(self.channels()).to_string(), "placed", &data, options),
            Call::Batch => {
                let event = |channel: &&str| json!({"channel": channel, "name": "placed", "data": {"id": id}});
                let events: Vec<Value> = self.channels().iter().map(event).collect();
                client.call_with("trigger_batch", &[&json!(events).to_string(), options])
            }
        }
    }
}

fn data_of(id: &str) -> String {
    json!({"id": id}).to_string()
}

/// Returns whether an event with this data belongs to the call with this id.
pub fn is_of(data: &str, id: &str) -> bool {
    data.starts_with(&format!(r#"{{"id":"{id}""#))
}

/// A retry mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    Never,
    Safe,
    /// `safe` with idempotency keys, and a server that knows them.
    Keys,
    AtLeastOnce,
}

impl Mode {
    /// All values.
    pub const ALL: [Mode; 4] = [Mode::Never, Mode::Safe, Mode::Keys, Mode::AtLeastOnce];

    /// Returns the name in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Never => "never",
            Mode::Safe | Mode::Keys => "safe",
            Mode::AtLeastOnce => "at_least_once",
        }
    }

    /// Returns the name in documents, where it is code.
    pub const fn label(self) -> &'static str {
        match self {
            Mode::Keys => "`safe`, with keys",
            Mode::Never => "`never`",
            Mode::Safe => "`safe`",
            Mode::AtLeastOnce => "`at_least_once`",
        }
    }

    /// Returns whether requests have idempotency keys.
    pub const fn has_keys(self) -> bool {
        matches!(self, Mode::Keys)
    }
}

/// A client that breaks a promise of libpusher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    RetriesUnknown,
    FollowsRedirects,
    TakesWrittenForDelivered,
    CallsEverythingUnknown,
    NeverRetries,
    CallsEveryRefusalRejected,
    HasNoCircuit,
}

impl Wrong {
    /// All values.
    pub const ALL: [Wrong; 7] = [
        Wrong::RetriesUnknown,
        Wrong::FollowsRedirects,
        Wrong::TakesWrittenForDelivered,
        Wrong::CallsEverythingUnknown,
        Wrong::NeverRetries,
        Wrong::CallsEveryRefusalRejected,
        Wrong::HasNoCircuit,
    ];
}

/// The circuit breaker of a step. One failure opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circuit {
    pub open_ms: u64,
    pub part: Part,
}

/// The part of a step in a life of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A call of a new client.
    First,
    /// A call of the client of the step before.
    AtOnce,
    /// As above, after the time that the refusal of the call before it states.
    Later,
    /// A publisher of a new client, which has [`EVENTS`] events. It waits for their ends.
    Publisher,
    /// As above, but the server stays away. The publisher is closed.
    Abandoned,
}

impl Part {
    const ALL: [Part; 5] = [Part::First, Part::AtOnce, Part::Later, Part::Publisher, Part::Abandoned];

    /// Returns the number of reports of a step.
    pub const fn reports(self) -> usize {
        match self {
            Part::First | Part::AtOnce | Part::Later => 1,
            Part::Publisher | Part::Abandoned => EVENTS,
        }
    }
}

/// The number of events of a publisher.
pub const EVENTS: usize = 3;

/// Returns the id of an event of a publisher. All have the same length.
pub fn id_of_event(id: &str, number: usize) -> String {
    let first: usize = id.parse().unwrap();
    format!("{:06}", first + number)
}

/// One call, and the calls before it.
#[derive(Clone, Debug)]
pub struct Step {
    pub port: u16,
    /// The file with the certificate authority to trust; `None` is plain HTTP.
    pub ca: Option<String>,
    /// The port of a proxy, if any.
    pub proxy: Option<u16>,
    pub mode: Mode,
    pub timeout_ms: u64,
    /// The limit for connecting and the handshake.
    pub connect_timeout_ms: u64,
    /// The number of healthy calls before it on the same client. Each step has a new client.
    pub warm: usize,
    /// Whether to wait after these for what the server does to the idle connection.
    pub settle: bool,
    pub call: Call,
    pub id: String,
    /// The bytes after which the kernel refuses, the errno, and the number of connections (0: all).
    pub cut: Option<(usize, i32, i32)>,
    /// The most bytes that the kernel takes at a time.
    pub pieces: usize,
    pub circuit: Option<Circuit>,
    pub wrong: Option<Wrong>,
}

impl Step {
    fn to_json(&self) -> Value {
        json!({
            "port": self.port, "ca": self.ca, "proxy": self.proxy, "mode": self.mode as u8, "timeout_ms": self.timeout_ms,
            "connect_timeout_ms": self.connect_timeout_ms, "warm": self.warm, "settle": self.settle, "call": self.call as u8, "id": self.id, "cut": self.cut.map(|(b, e, t)| json!([b, e, t])),
            "pieces": self.pieces, "circuit": self.circuit.map(|circuit| json!([circuit.open_ms, circuit.part as u8])),
            "wrong": self.wrong.map(|wrong| wrong as u8),
        })
    }

    fn from_json(step: &Value) -> Step {
        let number = |name: &str| step[name].as_u64().unwrap();
        let port = |name: &str| step[name].as_u64().map(|port| u16::try_from(port).unwrap());
        let cut = |index: usize| step["cut"][index].as_i64().unwrap();
        Step {
            port: port("port").unwrap(),
            ca: step["ca"].as_str().map(str::to_owned),
            proxy: port("proxy"),
            mode: Mode::ALL[number("mode") as usize],
            timeout_ms: number("timeout_ms"),
            connect_timeout_ms: number("connect_timeout_ms"),
            warm: number("warm") as usize,
            settle: step["settle"].as_bool().unwrap(),
            call: Call::ALL[number("call") as usize],
            id: step["id"].as_str().unwrap().to_owned(),
            cut: step["cut"].is_array().then(|| (cut(0) as usize, cut(1) as i32, cut(2) as i32)),
            pieces: number("pieces") as usize,
            circuit: step["circuit"].as_array().map(|circuit| Circuit {
                open_ms: circuit[0].as_u64().unwrap(),
                part: Part::ALL[circuit[1].as_u64().unwrap() as usize],
            }),
            wrong: step["wrong"].as_u64().map(|wrong| Wrong::ALL[wrong as usize]),
        }
    }

    /// Returns the configuration of retries.
    fn retry(&self) -> Value {
        let mode = if self.wrong == Some(Wrong::NeverRetries) { Mode::Never } else { self.mode };
        json!({"mode": mode.name()})
    }

    fn configuration(&self) -> String {
        let mut config = json!({
            "app_id": APP_ID, "key": KEY, "secret": SECRET, "host": "127.0.0.1", "port": self.port, "ssl": self.ca.is_some(),
            "retry": self.retry(), "max_response_bytes": MAX_RESPONSE,
            "connect_timeout_ms": self.connect_timeout_ms,
        });
        if let Some(Circuit { open_ms, .. }) = self.circuit.filter(|_| self.wrong != Some(Wrong::HasNoCircuit)) {
            config["circuit_breaker"] = json!({"failures": 1, "open_ms": open_ms});
        }
        if self.circuit.is_some() {
            config["timeout_ms"] = json!(self.timeout_ms);
        }
        if self.mode.has_keys() {
            config["idempotency"] = json!("auto");
            config["server_deduplicates"] = json!(true);
        }
        if let Some(ca) = &self.ca {
            config["ca_file"] = json!(ca);
        }
        if let Some(proxy) = self.proxy {
            config["proxy"] = json!(format!("http://127.0.0.1:{proxy}"));
        }
        if self.call == Call::Large {
            config["max_data_bytes"] = json!(2 * LARGE);
        }
        config.to_string()
    }
}

/// The report of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub status: String,
    /// The name; `delivered` for OK.
    pub delivery: String,
    pub attempts: u64,
    pub cause: String,
    pub document: String,
    pub elapsed: Duration,
}

impl Said {
    /// Returns for how long the circuit breaker refuses calls, if it has refused this one.
    fn is_refused_for(&self) -> Duration {
        if self.cause != "circuit" {
            return Duration::ZERO;
        }
        let document: Value = serde_json::from_str(&self.document).unwrap_or_default();
        Duration::from_millis(document["error"]["retry_after_ms"].as_u64().unwrap_or(0))
    }

    fn of(outcome: &Outcome) -> Said {
        let failed = outcome.status != 0;
        Said {
            status: outcome.name().to_owned(),
            delivery: if failed { outcome.delivery().to_owned() } else { "delivered".to_owned() },
            // A success does not report its attempts.
            attempts: if failed { outcome.number("attempts").unwrap_or(0) } else { 0 },
            cause: if failed { outcome.text("cause") } else { String::new() },
            document: outcome.document.clone().unwrap_or_default(),
            elapsed: outcome.elapsed,
        }
    }

    fn of_event(report: &Report, elapsed: Duration) -> Said {
        Said {
            status: report.status.clone(),
            delivery: report.delivery.clone(),
            attempts: report.number("attempts").unwrap_or(0),
            cause: report.text("cause").to_owned(),
            document: json!(report.members).to_string(),
            elapsed,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "status": self.status, "delivery": self.delivery, "attempts": self.attempts, "cause": self.cause,
            "document": self.document, "us": u64::try_from(self.elapsed.as_micros()).unwrap(),
        })
    }

    fn from_json(said: &Value) -> Said {
        let text = |name: &str| said[name].as_str().unwrap().to_owned();
        Said {
            status: text("status"),
            delivery: text("delivery"),
            attempts: said["attempts"].as_u64().unwrap(),
            cause: text("cause"),
            document: text("document"),
            elapsed: Duration::from_micros(said["us"].as_u64().unwrap()),
        }
    }
}

/// Makes these calls in a child, one after the other. Returns the reports and the log of the
/// witness.
pub fn run(steps: &[Step]) -> (Vec<Said>, Log) {
    let log = LogFile::new();
    let plan = log.plan();
    fs::write(&plan, json!(steps.iter().map(Step::to_json).collect::<Vec<_>>()).to_string()).unwrap();
    let variables = [("LD_PRELOAD", witness::library()), ("WITNESS_LOG", log.path()), (PLAN, &*plan)];
    let lines = child::run("", PROGRAM, &variables);
    let said: Vec<Said> = lines.iter().map(|line| Said::from_json(&serde_json::from_str(line).unwrap())).collect();
    let reports = |step: &Step| step.circuit.map_or(1, |circuit| circuit.part.reports());
    assert_eq!(said.len(), steps.iter().map(reports).sum::<usize>());
    (said, log.read())
}

/// Runs the steps, in the child.
pub fn program() {
    let plan = fs::read_to_string(env::var_os(PLAN).expect("a plan")).unwrap();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let witness = Witness::here();
    let mut kept: Option<(String, Client)> = None;
    let mut last: Option<Said> = None;
    for (index, step) in plan.as_array().unwrap().iter().map(Step::from_json).enumerate() {
        let configuration = step.configuration();
        witness.buffer(if step.call == Call::Large { SMALL_BUFFER } else { 0 });
        let part = step.circuit.map(|circuit| circuit.part);
        let continues = step.warm > 0 || matches!(part, Some(Part::AtOnce | Part::Later));
        let again = kept.take().filter(|(kept, _)| continues && *kept == configuration);
        let client = again.map_or_else(|| Client::new(&configuration), |(_, client)| client);
        for warm in 0..step.warm {
            let outcome = client.trigger("orders", "placed", &data_of(&format!("warm-{warm:02}")));
            assert_eq!(outcome.status, 0, "not healthy before {step:?}: {outcome:?}");
        }
        if step.settle {
            witness.settle();
        }
        let (byte, errno, times) = step.cut.unwrap_or((0, 0, 0));
        witness.mark(&witness::begin_of(index));
        witness.cut(byte, errno, times);
        witness.pieces(step.pieces);
        if let (Some(Part::Later), Some(last)) = (part, &last) {
            thread::sleep(last.is_refused_for());
        }
        let said = match part {
            Some(Part::Publisher | Part::Abandoned) => publish(&client, &step),
            _ => vec![call(&client, &step)],
        };
        witness.cut(0, 0, 0);
        witness.pieces(0);
        witness.mark(&witness::end_of(index));
        said.iter().for_each(|said| child::tell(&said.to_json().to_string()));
        last = said.into_iter().last();
        kept = Some((configuration, client));
    }
}

/// Publishes the events of a step by a publisher with one connection. Returns their reports, in their order.
fn publish(client: &Client, step: &Step) -> Vec<Said> {
    let config = json!({"connections": 1, "max_batch_events": 1, "reports": "all", "retry": step.retry()});
    let publisher = Publisher::new(client, &config);
    let started = Instant::now();
    for number in 0..EVENTS {
        publisher.publish("orders", "placed", &data_of(&id_of_event(&step.id, number)));
    }
    if step.circuit.is_some_and(|circuit| circuit.part == Part::Abandoned) {
        publisher::flush(Some(&publisher), 1000);
        publisher::close(Some(&publisher), 0);
    } else {
        publisher.flush();
    }
    let elapsed = started.elapsed();
    let mut reports = publisher.reports(EVENTS);
    reports.sort_by_key(|report| report.id);
    reports.iter().map(|report| misreported(step.wrong, Said::of_event(report, elapsed))).collect()
}

/// Makes the call, with the right or a wrong client.
fn call(client: &Client, step: &Step) -> Said {
    let options = json!({"timeout_ms": step.timeout_ms}).to_string();
    let make = || Said::of(&step.call.make(client, &step.id, &options));
    let said = make();
    match step.wrong {
        Some(Wrong::RetriesUnknown) if said.delivery == "unknown" => make(),
        Some(Wrong::FollowsRedirects) if said.status == "REDIRECTED" => {
            follow(step.port);
            Said { status: "OK".to_owned(), delivery: "delivered".to_owned(), ..said }
        }
        wrong => misreported(wrong, said),
    }
}

/// Returns the report of the right or of a wrong client.
fn misreported(wrong: Option<Wrong>, said: Said) -> Said {
    let is = |delivery: &str| said.delivery == delivery;
    let calling = |delivery: &str| Said { delivery: delivery.to_owned(), ..said.clone() };
    match wrong {
        Some(Wrong::TakesWrittenForDelivered) if is("unknown") => {
            Said { status: "OK".to_owned(), ..calling("delivered") }
        }
        Some(Wrong::CallsEverythingUnknown) if !is("delivered") => {
            Said { status: "DELIVERY_UNKNOWN".to_owned(), ..calling("unknown") }
        }
        Some(Wrong::CallsEveryRefusalRejected)
            if said.status == "SERVER_ERROR" || said.document.contains("\"http_status\":4") =>
        {
            calling("rejected")
        }
        _ => said,
    }
}

/// Follows a redirect like clients that turn a POST into a GET.
fn follow(port: u16) {
    let ask = |port: u16, path: &str| -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        // The head has come, whether the server then closes or waits.
        let _ = stream.read_to_end(&mut answer);
        Some(String::from_utf8_lossy(&answer).into_owned())
    };
    let location = ask(port, &format!("/apps/{APP_ID}/channels")).and_then(|answer| {
        let line = answer.lines().find(|line| line.to_lowercase().starts_with("location:"))?.to_owned();
        let (_, url) = line.split_once("//")?;
        let (authority, path) = url.trim().split_once('/')?;
        Some((authority.rsplit(':').next()?.parse::<u16>().ok()?, format!("/{path}")))
    });
    if let Some((port, path)) = location {
        ask(port, &path);
    }
}
