//! Connections that are cut at every byte of the response, and of the request on either side.
//!
//! A child makes many calls, one for each byte.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::caller::{self, Call, Mode, Step};
use crate::gates::{self, Case};
use crate::matrix::Bench;
use crate::server::{FaultServer, Listen, Listener};

/// The number of calls of a child.
const AT_ONCE: usize = 64;

/// The number of children that run at a time.
const CHILDREN: usize = 8;

/// A call whose connection is cut.
#[derive(Clone, Debug)]
pub struct Cut {
    pub tls: bool,
    pub reused: bool,
    pub by: By,
    /// The number of bytes before the cut.
    pub at: usize,
}

/// The side that cuts.
#[derive(Clone, Debug)]
pub enum By {
    /// The server, with this fault, which takes the place as a parameter.
    Server(&'static str),
    /// The client's kernel, with this errno.
    Kernel(i32),
}

impl Cut {
    fn label(&self) -> String {
        let Cut { tls, reused, by, at } = self;
        format!(
            "{by:?} at byte {at}, {}, {}",
            if *tls { "TLS" } else { "plain" },
            if *reused { "reused" } else { "fresh" }
        )
    }
}

/// How many calls were reported as `not_sent`, `rejected`, `unknown` and `delivered`.
pub type Counts = std::collections::BTreeMap<String, usize>;

/// Makes a call for each of these cuts, and compares the report with what happened.
pub fn run(server: &FaultServer, bench: &Bench<'_>, cuts: &[Cut]) -> Result<Counts, String> {
    let chunks: Vec<&[Cut]> = cuts.chunks(AT_ONCE).collect();
    let next = AtomicUsize::new(0);
    let (counts, complaints) = (Mutex::new(Counts::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..CHILDREN {
            scope.spawn(|| {
                while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for (cut, delivery, found) in run_chunk(server, bench, chunk) {
                        *counts.lock().unwrap().entry(delivery).or_default() += 1;
                        complaints
                            .lock()
                            .unwrap()
                            .extend(found.iter().map(|found| format!("{}: {found}", cut.label())));
                    }
                }
            });
        }
    });
    let mut complaints = complaints.into_inner().unwrap();
    let count = complaints.len();
    complaints.truncate(20);
    match count {
        0 => Ok(counts.into_inner().unwrap()),
        _ => Err(format!("{count} complaints\n{}", complaints.join("\n"))),
    }
}

/// Makes the calls of one child. Returns the report and the complaints for each.
fn run_chunk<'a>(server: &FaultServer, bench: &Bench<'_>, cuts: &'a [Cut]) -> Vec<(&'a Cut, String, Vec<String>)> {
    // A cut by the server needs its own listener; cuts by the kernel share one for all of the same
    // kind.
    let listeners: Vec<Listener<'_>> = cuts.iter().map(|cut| server.listen(&cut.listen())).collect();
    let steps: Vec<Step> = cuts
        .iter()
        .zip(&listeners)
        .enumerate()
        .map(|(index, (cut, listener))| Step {
            warm: usize::from(cut.reused),
            id: format!("{index:06}"),
            cut: match cut.by {
                By::Server(_) => None,
                By::Kernel(errno) => Some((cut.at, errno, 1)),
            },
            ..bench.step(listener.port, cut.tls, Mode::Never)
        })
        .collect();
    let (said, log) = caller::run(&steps);
    let held = |(index, cut): (usize, &'a Cut)| {
        let case = Case {
            call: Call::One,
            id: &steps[index].id,
            mode: Mode::Never,
            tls: cut.tls,
            timeout: Duration::from_millis(steps[index].timeout_ms),
            is_temporary: true,
            server_lies: false,
            opens_circuit: false,
            has_later_calls: false,
            lengths: bench.lengths(Call::One, Mode::Never),
            first_connection: log.connections_before(index),
        };
        let found = gates::evidence(&case, &log.step(index), &listeners[index].ledger(), None);
        let complaints = gates::complaints(&case, &said[index], &found);
        let complaints = complaints.iter().map(|complaint| format!("{complaint} ({:?})", said[index])).collect();
        (cut, said[index].delivery.clone(), complaints)
    };
    cuts.iter().enumerate().map(held).collect()
}

impl Cut {
    fn listen(&self) -> Listen<'static> {
        match self.by {
            By::Server(fault) => Listen {
                fault,
                params: json!({"at": self.at}),
                warm: usize::from(self.reused),
                ..Listen::healthy(self.tls)
            },
            By::Kernel(_) => Listen::healthy(self.tls),
        }
    }
}
