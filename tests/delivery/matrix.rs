//! The matrix: every fault on every kind of connection, in every retry mode, once and every time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::caller::{self, Call, Mode, Said, Step, Wrong};
use crate::gates::{self, Case, Complaint};
use crate::oracle::{Delivery, Lengths};
use crate::server::{Fault, FaultServer, Ledger, Listen, Listener};
use crate::witness::Connection;

/// The number of children that run at a time.
const CHILDREN_AT_A_TIME: usize = 8;

/// The number of additional children that only wait.
const WAITING_CHILDREN_AT_A_TIME: usize = 32;

/// A row of the matrix: a fault with its set-up.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub phase: String,
    pub what: String,
    pub call: Call,
    cause: Cause,
    pub plain: bool,
    pub tls: bool,
    reused: bool,
    pub forever: bool,
    /// Whether a client waits until its deadline.
    pub lasts: bool,
    /// Whether the server reports a success before it has the request.
    lies: bool,
    proxy: bool,
}

/// The cause of a fault.
#[derive(Clone, Debug)]
enum Cause {
    /// This fault of the server.
    Server { fault: String, params: Value },
    /// The kernel on the client's side refuses at this place of the request, with this errno.
    Kernel { at: Place, errno: i32 },
    /// The kernel takes this many bytes at a time.
    Pieces(usize),
}

/// The place at which the kernel refuses a request.
#[derive(Clone, Copy, Debug)]
enum Place {
    First,
    Half,
    Last,
}

/// A column of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Column {
    pub tls: bool,
    pub reused: bool,
    pub mode: Mode,
}

/// Whether a fault occurs every time, or once.
pub type Forever = bool;

/// One call under one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The row's number.
    pub row: usize,
    pub column: Column,
    pub forever: Forever,
}

/// The result of a cell.
pub struct Result {
    pub said: Said,
    pub complaints: Vec<Complaint>,
    /// What happened, for the message of a failed test.
    pub evidence: String,
}

/// The results of all cells.
pub type Results = BTreeMap<Cell, Result>;

/// Returns all columns, in the order of the documentation.
pub fn columns() -> Vec<Column> {
    let kinds = [(false, false), (false, true), (true, false), (true, true)];
    kinds.into_iter().flat_map(|(tls, reused)| Mode::ALL.map(|mode| Column { tls, reused, mode })).collect()
}

/// The phases in their order, each with its title.
pub const PHASES: [(&str, &str); 10] = [
    ("connect", "Before the connection"),
    ("accept", "When the connection is made"),
    ("handshake", "During the TLS handshake"),
    ("proxy", "In a proxy"),
    ("sending", "While the request is sent"),
    ("request", "While the server reads the request"),
    ("after request", "When the server has read the request"),
    ("answer", "During the response"),
    ("status", "In the response itself"),
    ("after answer", "After the response"),
];

/// Returns the rows for this catalogue.
pub fn rows(faults: &[Fault]) -> Vec<Row> {
    let mut rows = Vec::new();
    // Skip huge bodies: their ledgers are too large to be read repeatedly, and endless bodies test
    // the same.
    for fault in faults.iter().filter(|fault| !fault.name.contains("huge")) {
        let mut calls = vec![Call::One];
        if fault.name.starts_with("partly-") {
            calls = vec![Call::One, Call::Several, Call::Batch];
        }
        if is_large(&fault.name) {
            calls.push(Call::Large);
        }
        rows.extend(calls.into_iter().map(|call| Row {
            name: fault.name.clone(),
            phase: fault.phase.clone(),
            what: fault.what.clone(),
            call,
            cause: Cause::Server { fault: fault.name.clone(), params: json!({}) },
            plain: fault.plain,
            tls: fault.tls,
            reused: fault.reused,
            forever: fault.forever,
            lasts: fault.waits,
            lies: fault.lies,
            proxy: fault.proxy,
        }));
    }
    rows.extend(kernels());
    rows.sort_by_key(|row| PHASES.iter().position(|(phase, _)| *phase == row.phase).expect("a known phase"));
    rows
}

/// Returns whether a fault has another effect on a request that does not fit into the buffers.
fn is_large(fault: &str) -> bool {
    fault.ends_with("-mid-request") || fault.starts_with("early-413-") || fault.starts_with("early-200")
}

/// Returns the faults of the client's side: the kernel does not take the whole request.
fn kernels() -> impl Iterator<Item = Row> {
    let cuts = [
        ("kernel-reset-first", "the connection was reset before its first byte", Place::First, libc::ECONNRESET),
        ("kernel-reset-half", "the connection was reset in the middle of the request", Place::Half, libc::ECONNRESET),
        ("kernel-reset-last", "the connection was reset before its last byte", Place::Last, libc::ECONNRESET),
        ("kernel-pipe-last", "a broken pipe before its last byte", Place::Last, libc::EPIPE),
        ("kernel-unreachable-half", "no route in the middle of the request", Place::Half, libc::EHOSTUNREACH),
        ("kernel-no-buffers-last", "no buffers before its last byte", Place::Last, libc::ENOBUFS),
    ];
    let row = |name: &str, what: String, cause| Row {
        name: name.to_owned(),
        phase: "sending".to_owned(),
        what,
        call: Call::One,
        cause,
        plain: true,
        tls: true,
        reused: true,
        forever: false,
        lasts: false,
        lies: false,
        proxy: false,
    };
    let cuts = cuts.map(|(name, what, at, errno)| {
        row(name, format!("The kernel refuses to take more: {what}."), Cause::Kernel { at, errno })
    });
    let pieces = row("kernel-takes-little", "The kernel takes 7 bytes at a time.".to_owned(), Cause::Pieces(7));
    cuts.into_iter().chain([pieces])
}

/// Returns the cells that can occur.
pub fn cells(rows: &[Row]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        for column in columns() {
            if (column.tls && !row.tls) || (!column.tls && !row.plain) || (column.reused && !row.reused) {
                continue;
            }
            for forever in [false, true] {
                if forever || !row.forever {
                    cells.push(Cell { row: number, column, forever });
                }
            }
        }
    }
    cells
}

/// Returns whether a failure before the request is sent may be temporary. A deliberate refusal of a
/// peer is not.
fn is_temporary(fault: &str) -> bool {
    const PERMANENT: [&str; 18] = [
        "tls-expired",
        "tls-not-yet-valid",
        "tls-self-signed",
        "tls-wrong-host",
        "tls-wrong-ca",
        "tls-old-version",
        "tls-version-alert",
        "tls-failure-alert",
        "tls-garbage",
        "tls-plain-http",
        "proxy-302",
        "proxy-403",
        "proxy-407",
        "proxy-502",
        "proxy-503",
        "proxy-garbage",
        "proxy-granted-extra",
        "proxy-granted-http",
    ];
    !PERMANENT.contains(&fault)
}

/// Returns whether a race decides what happens: the kernel takes the request, or the end of the
/// connection arrives first.
pub fn is_race(row: &Row, column: Column) -> bool {
    match row.name.as_str() {
        "rst-at-accept" | "proxy-rst-at-accept" => !column.tls,
        // A server of TLS 1.3 resets when it has the end of the client's handshake. The client sends
        // that first, and then its request.
        "tls-rst-before-request" => true,
        "silent-close-soon" => column.reused,
        "fin-mid-request" | "early-200" | "early-200-rst" => row.call == Call::Large,
        _ => false,
    }
}

/// Returns whether a call mostly waits.
fn waits(row: &Row, column: Column) -> bool {
    // The server asks for a second each time if it knows the key of a request that it applied in part.
    let is_in_progress = column.mode.has_keys() && row.name.starts_with("partly-") && row.call != Call::One;
    row.lasts || row.name.contains("retry-after") || is_in_progress
}

/// The data that the cells share.
pub struct Bench<'a> {
    server: &'a FaultServer,
    rows: &'a [Row],
    /// Those of calls without and with keys.
    lengths: BTreeMap<(Call, bool), usize>,
    /// The bytes of a healthy call over TLS, without and with keys: all on a new connection, and
    /// those of the request alone.
    tls_bytes: BTreeMap<bool, (usize, usize)>,
}

impl<'a> Bench<'a> {
    /// Measures healthy calls.
    pub fn new(server: &'a FaultServer, rows: &'a [Row]) -> Bench<'a> {
        let mut bench = Bench { server, rows, lengths: BTreeMap::new(), tls_bytes: BTreeMap::new() };
        for mode in [Mode::Never, Mode::Keys] {
            for call in [Call::One, Call::Several, Call::Batch, Call::Large] {
                let listener = server.listen(&Listen::healthy(false));
                let (said, _) = caller::run(&[Step { call, ..bench.step(listener.port, false, mode) }]);
                assert_eq!(said[0].status, "OK", "{:?}", said[0]);
                let length = listener.ledger().attempts[0].request_length.unwrap();
                bench.lengths.insert((call, mode.has_keys()), usize::try_from(length).unwrap());
            }
            let listener = server.listen(&Listen::healthy(true));
            let step = bench.step(listener.port, true, mode);
            let (said, log) = caller::run(&[step.clone(), Step { warm: 1, ..step }]);
            assert!(said.iter().all(|said| said.status == "OK"), "{said:?}");
            bench.tls_bytes.insert(mode.has_keys(), (log.step(0)[0].taken.len(), log.step(1)[0].taken.len()));
        }
        bench
    }

    /// Returns a call of one event to a healthy server at this port.
    pub fn step(&self, port: u16, tls: bool, mode: Mode) -> Step {
        Step {
            port,
            ca: tls.then(|| self.server.ca().to_owned()),
            proxy: None,
            mode,
            timeout_ms: 10_000,
            connect_timeout_ms: 10_000,
            warm: 0,
            settle: false,
            call: Call::One,
            id: "000000".to_owned(),
            cut: None,
            pieces: 0,
            circuit: None,
            wrong: None,
        }
    }

    /// Returns the lengths of this call's request and of the requests before it.
    pub fn lengths(&self, call: Call, mode: Mode) -> Lengths {
        let of = |call: Call| self.lengths[&(call, mode.has_keys())];
        Lengths { request: of(call), warm: of(Call::One) }
    }

    /// Returns how many bytes the kernel takes of a healthy call: in all, and for the request
    /// alone.
    pub fn bytes(&self, Column { tls, reused, mode }: Column) -> (usize, usize) {
        let plain = self.lengths[&(Call::One, mode.has_keys())];
        let (all, request) = self.tls_bytes[&mode.has_keys()];
        match (tls, reused) {
            (false, _) => (plain, plain),
            (true, false) => (all, request),
            (true, true) => (request, request),
        }
    }

    /// Makes the call of a cell in its own child, and compares the report with what happened.
    pub fn run(&self, number: usize, cell: Cell, wrong: Option<Wrong>) -> Result {
        let (listener, step) = self.prepare(cell, format!("{number:06}"), usize::from(!cell.forever), wrong);
        let (said, log) = caller::run(std::slice::from_ref(&step));
        let connections = log.step(0);
        let (ledger, origin) = listener.ledgers();
        let case = self.case(cell.row, &step);
        let found = gates::evidence(&case, &connections, &ledger, origin.as_ref());
        let complaints = gates::complaints(&case, &said[0], &found);
        let evidence =
            if complaints.is_empty() { String::new() } else { shown(&connections, &ledger, origin.as_ref()) };
        let [said] = <[Said; 1]>::try_from(said).unwrap();
        Result { said, complaints, evidence }
    }

    /// Opens a listener for a cell, whose fault occurs this many times (0: every time), and returns it with the call.
    pub fn prepare(&self, cell: Cell, id: String, times: usize, wrong: Option<Wrong>) -> (Listener<'a>, Step) {
        let (row, Column { tls, reused, mode }) = (&self.rows[cell.row], cell.column);
        // A fault after the response affects the call itself, or the previous one on the same
        // connection.
        let affects_previous = row.phase == "after answer" && reused;
        let warm = usize::from(reused);
        let (fault, params) = match &row.cause {
            Cause::Server { fault, params } => (fault.as_str(), params.clone()),
            _ => ("none", json!({})),
        };
        let listener = self.server.listen(&Listen {
            fault,
            params,
            tls,
            warm: if affects_previous { 0 } else { warm },
            times,
            // A client that follows redirects does not sign the second request.
            verify: wrong != Some(Wrong::FollowsRedirects),
        });
        let (timeout_ms, connect_timeout_ms) = if row.lasts { (1_500, 700) } else { (10_000, 10_000) };
        let mut step = Step {
            timeout_ms,
            connect_timeout_ms,
            warm,
            settle: affects_previous && !matches!(&*row.name, "stale-silence" | "silent-close-soon"),
            call: row.call,
            id,
            wrong,
            ..self.step(listener.port, tls, mode)
        };
        if row.proxy {
            step.proxy = Some(listener.port);
            step.port = listener.origin.expect("a proxy has an origin");
        }
        match row.cause {
            Cause::Kernel { at, errno } => {
                let (whole, request) = self.bytes(cell.column);
                let byte = match at {
                    Place::First => whole - request,
                    Place::Half => whole - request / 2,
                    Place::Last => whole - 1,
                };
                step.cut = Some((byte, errno, i32::try_from(times).unwrap()));
            }
            Cause::Pieces(most) => step.pieces = most,
            Cause::Server { .. } => {}
        }
        (listener, step)
    }

    /// Returns what is asked of a step that was prepared for a row.
    pub fn case<'s>(&self, row: usize, step: &'s Step) -> Case<'s> {
        let fault = match &self.rows[row].cause {
            Cause::Server { fault, .. } => fault.as_str(),
            _ => "none",
        };
        Case {
            call: step.call,
            id: &step.id,
            mode: step.mode,
            tls: step.ca.is_some(),
            timeout: Duration::from_millis(step.timeout_ms),
            is_temporary: is_temporary(fault),
            server_lies: self.rows[row].lies,
            opens_circuit: false,
            has_later_calls: false,
            lengths: self.lengths(step.call, step.mode),
            first_connection: 0,
        }
    }

    /// Returns the label of a cell in messages.
    pub fn label(&self, cell: Cell) -> String {
        let (row, Column { tls, reused, mode }) = (&self.rows[cell.row], cell.column);
        format!(
            "{} of {}, {}, {}, {}, {}",
            row.name,
            row.call.name(),
            if tls { "TLS" } else { "plain" },
            if reused { "reused" } else { "new" },
            mode.label().replace('`', ""),
            if cell.forever { "every time" } else { "once" }
        )
    }

    /// Runs these cells, several at a time.
    pub fn run_all(&self, cells: &[Cell]) -> Results {
        let numbered = cells.iter().copied().enumerate();
        let (waiting, busy): (Vec<_>, Vec<_>) =
            numbered.partition(|(_, cell)| waits(&self.rows[cell.row], cell.column));
        let results = Mutex::new(BTreeMap::new());
        let work = |(number, cell): &(usize, Cell)| {
            let result = self.run(*number, *cell, None);
            results.lock().unwrap_or_else(PoisonError::into_inner).insert(*cell, result);
        };
        in_children(&waiting, &busy, work);
        results.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the cells with a short deadline, which a loaded machine may miss.
    pub fn of_short_deadlines(&self, cells: &[Cell]) -> Vec<Cell> {
        cells.iter().copied().filter(|cell| self.rows[cell.row].lasts).collect()
    }
}

/// Does the work for each item, several at a time: more of those that mostly wait.
pub fn in_children<T: Sync>(waiting: &[T], busy: &[T], work: impl Fn(&T) + Sync) {
    let (next_waiting, next_busy) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let all = |items: &[T], next: &AtomicUsize| {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item);
        }
    };
    thread::scope(|scope| {
        (0..CHILDREN_AT_A_TIME).for_each(|_| drop(scope.spawn(|| all(busy, &next_busy))));
        (0..WAITING_CHILDREN_AT_A_TIME).for_each(|_| drop(scope.spawn(|| all(waiting, &next_waiting))));
    });
}

/// Returns the report in each cell.
pub fn said(results: &Results) -> BTreeMap<Cell, Delivery> {
    results.iter().map(|(cell, result)| (*cell, Delivery::from_name(&result.said.delivery).unwrap())).collect()
}

/// Returns the complaints about these results, with what happened. Empty if there are none.
pub fn complaints(bench: &Bench<'_>, results: &Results) -> String {
    let mut text = String::new();
    for (cell, result) in results.iter().filter(|(_, result)| !result.complaints.is_empty()) {
        text.push_str(&format!("{}: {:?}\n", bench.label(*cell), result.said));
        result.complaints.iter().for_each(|complaint| text.push_str(&format!("  {complaint}\n")));
        text.push_str(&result.evidence);
    }
    text
}

pub fn shown(connections: &[Connection], ledger: &Ledger, origin: Option<&Ledger>) -> String {
    let mut text = String::new();
    for connection in connections {
        text.push_str(&format!(
            "  connection {} {}: {} bytes were taken before, {} now{}\n",
            connection.number,
            if connection.is_new { "is new" } else { "was kept" },
            connection.before.len(),
            connection.taken.len(),
            if connection.refused { ", then no more" } else { "" },
        ));
    }
    let start = |text: &str| text.chars().take(4000).collect::<String>();
    text.push_str(&format!("  server: {}\n", start(&ledger.text)));
    if let Some(origin) = origin {
        text.push_str(&format!("  origin: {}\n", start(&origin.text)));
    }
    text
}
