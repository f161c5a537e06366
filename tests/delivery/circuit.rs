//! The circuit breaker under each fault: the call that opens it, a call while it is open, a probe that fails, one that
//! succeeds, and a publisher behind it. Each report is compared with the ledger of the server.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::caller::{self, Call, Circuit, EVENTS, Mode, Part, Said, Step, Wrong, id_of_event};
use crate::gates::{self, Case, Complaint, Evidence, Gate};
use crate::matrix::{self, Bench, Cell, Column, Row};
use crate::oracle::{self, Attempt, Delivery};

/// Who sends the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// Calls in mode `safe`: [`CALLS`].
    Calls,
    /// A publisher in this mode.
    Publisher(Mode),
}

/// A life of a circuit breaker under one fault. The fault occurs twice: it opens the circuit, and fails the first probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trial {
    /// The row's number.
    pub row: usize,
    pub tls: bool,
    pub sender: Sender,
}

/// The result of a trial.
pub struct Outcome {
    pub deliveries: Vec<Delivery>,
    /// The call or the publisher that opened the circuit first, if any did.
    pub opened_by: Option<usize>,
    pub complaints: Vec<Complaint>,
    /// What happened, for the message of a failed test.
    evidence: String,
}

impl Outcome {
    /// Returns whether the fault itself opens the circuit.
    pub fn opens(&self) -> bool {
        self.opened_by == Some(0)
    }
}

/// The results of all trials.
pub type Outcomes = BTreeMap<Trial, Outcome>;

/// The calls of a trial, and whether the kernel refuses them if it is the cause of the fault.
const CALLS: [(Part, bool); 6] = [
    (Part::First, true),
    (Part::AtOnce, false),
    (Part::Later, true),
    (Part::AtOnce, false),
    (Part::Later, false),
    (Part::AtOnce, false),
];

/// How often a fault occurs that ends.
const TIMES: usize = 2;

/// How long a circuit stays open, in the first try and in the second. A call must be made while it is open, which a loaded
/// machine may delay.
const OPEN_MS: [u64; 2] = [100, 3_000];

impl Trial {
    /// Returns the column of the matrix with the same connection.
    pub fn column(self) -> Column {
        let mode = match self.sender {
            Sender::Calls => Mode::Safe,
            Sender::Publisher(mode) => mode,
        };
        Column { tls: self.tls, reused: false, mode }
    }

    /// Returns the label in messages.
    pub fn label(self, rows: &[Row]) -> String {
        let kind = if self.tls { "TLS" } else { "plain" };
        format!("{} with a circuit breaker, {kind}, {:?}", rows[self.row].name, self.sender)
    }
}

/// Returns the trials of these senders. A fault after the response only affects a reused connection.
fn trials(rows: &[Row], senders: &[Sender]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (number, row) in rows.iter().enumerate().filter(|(_, row)| row.call == Call::One && row.phase != "after answer")
    {
        for (tls, can_occur) in [(false, row.plain), (true, row.tls)] {
            let trial = |sender: &Sender| Trial { row: number, tls, sender: *sender };
            trials.extend(senders.iter().filter(|_| can_occur).map(trial));
        }
    }
    trials
}

/// Runs the trials with calls, and those with a publisher under each fault that has opened a circuit.
pub fn run(bench: &Bench<'_>, rows: &[Row], only: impl Fn(&Trial) -> bool) -> Outcomes {
    let of = |senders: &[Sender]| trials(rows, senders).into_iter().filter(&only).collect::<Vec<Trial>>();
    let mut outcomes = run_all(bench, rows, &of(&[Sender::Calls]));
    let mut publishers = of(&PUBLISHERS);
    publishers.retain(|trial| {
        let calls = outcomes.get(&Trial { sender: Sender::Calls, ..*trial });
        calls.is_none_or(|outcome| outcome.opened_by.is_some())
    });
    outcomes.extend(run_all(bench, rows, &publishers));
    outcomes
}

/// Runs the trials again that have a short deadline, which a loaded machine may miss.
pub fn run_short_deadlines(bench: &Bench<'_>, rows: &[Row], outcomes: &mut Outcomes) {
    let short: Vec<Trial> = outcomes.keys().copied().filter(|trial| rows[trial.row].lasts).collect();
    outcomes.extend(run_all(bench, rows, &short));
}

/// The publishers of the documentation.
pub const PUBLISHERS: [Sender; 3] =
    [Sender::Publisher(Mode::Never), Sender::Publisher(Mode::Safe), Sender::Publisher(Mode::AtLeastOnce)];

/// Runs these trials, several at a time. A trial with complaints is repeated with more time.
fn run_all(bench: &Bench<'_>, rows: &[Row], trials: &[Trial]) -> Outcomes {
    let (waiting, busy): (Vec<_>, Vec<_>) =
        trials.iter().copied().enumerate().partition(|(_, trial)| rows[trial.row].lasts);
    let outcomes = Mutex::new(BTreeMap::new());
    matrix::in_children(&waiting, &busy, |(number, trial): &(usize, Trial)| {
        let outcome = run_right(bench, rows, *number, *trial);
        outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(*trial, outcome);
    });
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one trial with the right client.
pub fn run_right(bench: &Bench<'_>, rows: &[Row], number: usize, trial: Trial) -> Outcome {
    let [first, second] = OPEN_MS;
    let outcome = run_one(bench, rows, number, trial, first, None);
    if outcome.complaints.is_empty() { outcome } else { run_one(bench, rows, number, trial, second, None) }
}

/// Runs one trial with a wrong client. Its circuit would stay open for longer than a client takes that has none.
pub fn run_wrong(bench: &Bench<'_>, rows: &[Row], number: usize, trial: Trial, wrong: Wrong) -> Outcome {
    const LONG_OPEN_MS: u64 = 10_000;
    let open_ms = if wrong == Wrong::HasNoCircuit { LONG_OPEN_MS } else { OPEN_MS[0] };
    run_one(bench, rows, number, trial, open_ms, Some(wrong))
}

fn run_one(
    bench: &Bench<'_>,
    rows: &[Row],
    number: usize,
    trial: Trial,
    open_ms: u64,
    wrong: Option<Wrong>,
) -> Outcome {
    let forever = rows[trial.row].forever;
    let cell = Cell { row: trial.row, column: trial.column(), forever };
    let id = |index: usize| format!("{:06}", number * 10 + index);
    let (listener, first) = bench.prepare(cell, id(0), if forever { 0 } else { TIMES }, wrong);
    let circuit = |part: Part| Some(Circuit { open_ms, part });
    let steps: Vec<Step> = match trial.sender {
        Sender::Publisher(_) if forever => vec![Step { circuit: circuit(Part::Abandoned), ..first }],
        Sender::Publisher(_) => vec![Step { circuit: circuit(Part::Publisher), ..first }],
        Sender::Calls => {
            let step = |(index, (part, is_refused)): (usize, (Part, bool))| Step {
                id: id(index),
                circuit: circuit(part),
                cut: first.cut.filter(|_| is_refused),
                ..first.clone()
            };
            CALLS.into_iter().enumerate().map(step).collect()
        }
    };
    let (said, log) = caller::run(&steps);
    let (ledger, origin) = listener.ledgers();
    let evidence = |index: usize, step: &Step| {
        let case = Case { has_later_calls: index + 1 < steps.len(), ..bench.case(trial.row, step) };
        gates::evidence(&case, &log.step(index), &ledger, origin.as_ref())
    };
    let (opened_by, complaints) = match trial.sender {
        Sender::Calls => {
            let found: Vec<Evidence> = steps.iter().enumerate().map(|(index, step)| evidence(index, step)).collect();
            judge_calls(bench, trial, &steps, &said, &found)
        }
        Sender::Publisher(_) => {
            let steps: Vec<Step> =
                (0..EVENTS).map(|number| Step { id: id_of_event(&steps[0].id, number), ..steps[0].clone() }).collect();
            let found: Vec<Evidence> = steps.iter().map(|step| evidence(0, step)).collect();
            judge_publisher(bench, trial, &steps[0], &said, &found)
        }
    };
    let mut shown = String::new();
    if !complaints.is_empty() {
        said.iter().for_each(|said| shown.push_str(&format!("  {said:?}\n")));
        let evidence = |index| matrix::shown(&log.step(index), &ledger, origin.as_ref());
        (0..steps.len()).for_each(|index| shown.push_str(&evidence(index)));
    }
    let deliveries = said.iter().map(|said| Delivery::from_name(&said.delivery).unwrap()).collect();
    Outcome { deliveries, opened_by, complaints, evidence: shown }
}

/// Returns whether an attempt has reached the server: any final status line counts. (A status of HTTP begins with 100.)
fn has_reached(attempt: &Attempt) -> bool {
    let entry = attempt.entry.as_ref().filter(|_| !attempt.tunnel_failed);
    entry.and_then(|entry| oracle::status(&entry.answer_sent)).is_some_and(|status| status >= 100)
}

/// Follows the state of the circuit by what happened in each step. Returns the first call that opened it, and the
/// complaints.
fn judge_calls(
    bench: &Bench<'_>,
    trial: Trial,
    steps: &[Step],
    said: &[Said],
    found: &[Evidence],
) -> (Option<usize>, Vec<Complaint>) {
    let (mut opened_by, mut complaints) = (None, Vec::new());
    let (mut is_open, mut was_refused) = (false, false);
    for (index, ((step, said), found)) in steps.iter().zip(said).zip(found).enumerate() {
        let mut complain =
            |gate: Gate, what: String| complaints.push(Complaint { gate, what: format!("call {index}: {what}") });
        // Only a refusal says how long to wait.
        let is_later = was_refused && step.circuit.is_some_and(|circuit| circuit.part == Part::Later);
        was_refused = is_open && !is_later;
        if was_refused {
            let report = (&*said.status, &*said.delivery, &*said.cause, said.attempts);
            if report != ("NOT_SENT", "not_sent", "circuit", 0) {
                complain(Gate::Circuit, format!("the circuit is open, and it reports {report:?}"));
            }
            if !found.attempts.is_empty() || found.published.iter().any(|count| *count > 0) {
                complain(Gate::Circuit, format!("the circuit is open, and it made {} attempts", found.attempts.len()));
            }
            continue;
        }
        let mut case = bench.case(trial.row, step);
        let reached: Vec<bool> = found.attempts.iter().map(has_reached).collect();
        is_open = reached.last() == Some(&false);
        case.opens_circuit = is_open;
        if reached.iter().rev().skip(1).any(|reached| !reached) {
            complain(Gate::Circuit, "it retried after the attempt that opened the circuit".to_owned());
        }
        for Complaint { gate, what } in gates::complaints(&case, said, found) {
            complain(gate, what);
        }
        opened_by = opened_by.or(Some(index).filter(|_| is_open));
    }
    (opened_by, complaints)
}

/// Follows the queue of a publisher by its attempts: an event that was not sent stays in the queue, unless it is not to be
/// retried. Returns whether it opened the circuit, and the complaints.
fn judge_publisher(
    bench: &Bench<'_>,
    trial: Trial,
    step: &Step,
    said: &[Said],
    found: &[Evidence],
) -> (Option<usize>, Vec<Complaint>) {
    let mut complaints = Vec::new();
    let mut complain = |gate: Gate, what: String| complaints.push(Complaint { gate, what });
    for contradiction in &found[0].contradictions {
        complain(Gate::Witnesses, contradiction.clone());
    }
    let case = bench.case(trial.row, step);
    let circuit = step.circuit.expect("a circuit breaker");
    let (mut expected, mut failures) = (Vec::new(), 0);
    for attempt in &found[0].attempts {
        let verdict = oracle::verdict(attempt, Call::One, trial.tls);
        failures += u32::from(!has_reached(attempt));
        let is_kept = case.mode != Mode::Never && case.is_temporary && verdict.delivery == Delivery::NotSent;
        if !is_kept {
            expected.push((verdict.status, verdict.delivery.name()));
        }
    }
    if circuit.part == Part::Abandoned {
        expected = vec![("NOT_SENT", "not_sent"); EVENTS];
    } else if said.iter().any(|said| said.elapsed < Duration::from_millis(circuit.open_ms) * failures) {
        complain(Gate::Circuit, format!("{failures} failures, and it did not wait for the circuit"));
    }
    let reported: Vec<(&str, &str)> = said.iter().map(|said| (&*said.status, &*said.delivery)).collect();
    if reported != expected {
        complain(Gate::Delivery, format!("it reports {reported:?} where it is {expected:?}"));
    }
    for (said, found) in said.iter().zip(found) {
        let count = found.published[0];
        let gate = match (said.delivery.as_str(), count) {
            ("delivered", 0) => Gate::FalselyDelivered,
            ("not_sent", 1..) => Gate::FalselyNotSent,
            ("rejected", 1..) => Gate::FalselyRejected,
            (_, 2..) => Gate::Duplicate,
            _ => continue,
        };
        complain(gate, format!("published {count} times"));
    }
    (Some(0).filter(|_| failures > 0), complaints)
}

/// Returns the complaints about these outcomes, with what happened. Empty if there are none.
pub fn complaints(rows: &[Row], outcomes: &Outcomes) -> String {
    let mut text = String::new();
    for (trial, outcome) in outcomes.iter().filter(|(_, outcome)| !outcome.complaints.is_empty()) {
        text.push_str(&format!("{}:\n", trial.label(rows)));
        outcome.complaints.iter().for_each(|complaint| text.push_str(&format!("  {complaint}\n")));
        text.push_str(&outcome.evidence);
    }
    text
}
