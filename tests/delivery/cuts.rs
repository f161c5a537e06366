//! The connection cut at every byte: of the answer, and of the request on either side.
//!
//! Here a child makes many calls, one for each byte.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::caller::{self, Call, Mode, Step};
use crate::gates::{self, Case};
use crate::matrix::Bench;
use crate::server::{FaultServer, Listen, Listener};

/// How many calls a child makes.
const AT_ONCE: usize = 64;

/// How many children run at a time.
const CHILDREN: usize = 8;

/// A call that is cut somewhere.
#[derive(Clone, Debug)]
pub struct Cut {
    pub tls: bool,
    pub reused: bool,
    pub by: By,
    /// After so many bytes.
    pub at: usize,
}

/// Who cuts.
#[derive(Clone, Debug)]
pub enum By {
    /// The server, by this fault, which takes the place as a parameter.
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

/// What was said: how many calls were `not_sent`, `rejected`, `unknown` and `delivered`.
pub type Counts = std::collections::BTreeMap<String, usize>;

/// Makes a call for each of these, and holds what is said against what happened.
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

/// One child's calls: what was said of each, and what the gates have against it.
fn run_chunk<'a>(server: &FaultServer, bench: &Bench<'_>, cuts: &'a [Cut]) -> Vec<(&'a Cut, String, Vec<String>)> {
    // What the server cuts needs a listener for each cut; what the kernel cuts, one for all that are alike.
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
            passes: true,
            server_lies: false,
            lengths: bench.lengths(Call::One),
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
