//! Delivery: compares the result that the client reports for a call with what really happened.
//!
//! A server that fails on request (`tools/fault-server`) keeps a ledger of what it did. A witness
//! between the client and its kernel (`tests/c/witness.c`) records which bytes left. An oracle,
//! which shares nothing with `src/`, computes the correct result from both. `docs/delivery.md`
//! shows the results; `PUSHER_WRITE_DELIVERY=1` rewrites it.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod caller;
mod circuit;
mod crowd;
mod cuts;
mod gates;
mod matrix;
mod oracle;
mod picture;
mod server;
mod witness;

use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, iter};

use caller::{Call, Mode, Wrong};
use circuit::{Outcomes, Sender, Trial};
use cuts::{By, Cut};
use gates::Gate;
use matrix::{Bench, Cell, Column, Results, Row};
use server::FaultServer;
use support::child;

/// The program of the child processes that the other tests start.
#[test]
fn the_calling_child() {
    if child::is_child() {
        caller::program();
    }
}

#[test]
fn the_report_is_right_under_every_fault_and_as_documented() {
    let server = FaultServer::start();
    let rows = matrix::rows(&server.faults());
    let bench = Bench::new(&server, &rows);
    let mut cells = matrix::cells(&rows);
    // To look for the cause of a failure: part of the label of the cells to run.
    let only = env::var("DELIVERY_ONLY").ok();
    let is_wanted = |label: String| only.as_ref().is_none_or(|only| label.contains(only));
    cells.retain(|cell| is_wanted(bench.label(*cell)));
    let started = Instant::now();
    let mut results = bench.run_all(&cells);
    let without = started.elapsed();
    let mut circuits = circuit::run(&bench, &rows, |trial| is_wanted(trial.label(&rows)));
    let with = started.elapsed() - without;
    println!(
        "{} calls in {without:.1?}; with a circuit breaker {} trials in {with:.1?}",
        results.len(),
        circuits.len()
    );
    assert!(!results.is_empty() || !circuits.is_empty());
    let pages = |results: &Results, circuits: &Outcomes| {
        let said = matrix::said(results);
        [
            ("delivery.md", picture::markdown(&rows, &said, circuits)),
            ("delivery.svg", picture::svg(&rows, &said)),
            ("delivery-summary.svg", picture::summary_svg(&rows, &said)),
            ("idempotency.svg", picture::keys_svg(&rows, &said)),
        ]
    };
    if only.is_none() && env::var_os(WRITE).is_none() {
        for _ in 0..2 {
            // A loaded machine may have used up a deadline before the fault could occur. Repeat the
            // cells with short ones.
            if !pages(&results, &circuits).iter().all(|(name, text)| documented(name) == *text) {
                results.extend(bench.run_all(&bench.of_short_deadlines(&cells)));
                circuit::run_short_deadlines(&bench, &rows, &mut circuits);
            }
        }
    }
    let complaints = matrix::complaints(&bench, &results) + &circuit::complaints(&rows, &circuits);
    assert!(complaints.is_empty(), "{complaints}");
    if only.is_none() {
        pages(&results, &circuits).iter().for_each(|(name, text)| is_as_documented(name, text));
    }
}

/// If this variable is set, the test writes the documentation instead of comparing it.
const WRITE: &str = "PUSHER_WRITE_DELIVERY";

fn file_of(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)
}

fn documented(page: &str) -> String {
    fs::read_to_string(file_of(page)).unwrap_or_default()
}

/// Asserts that a page of the documentation has this content, or writes it.
#[track_caller]
fn is_as_documented(page: &str, text: &str) {
    if env::var_os(WRITE).is_some() {
        fs::write(file_of(page), text).unwrap();
        return;
    }
    let documented = documented(page);
    let lines = text.lines().zip(documented.lines().chain(iter::repeat("")));
    let different: Vec<String> = lines
        .filter(|(now, then)| now != then)
        .map(|(now, then)| format!("now:        {now}\ndocumented: {then}"))
        .collect();
    let different = different.join("\n");
    assert!(documented == text, "docs/{page} differs from the results ({WRITE}=1 rewrites it):\n{different}");
}

/// Asserts that this wrong client fails at this gate, and the right one at none.
#[track_caller]
fn is_caught(wrong: Wrong, trials: &[(&str, Column, bool, Gate)]) {
    let server = FaultServer::start();
    let rows = matrix::rows(&server.faults());
    let bench = Bench::new(&server, &rows);
    for (name, column, forever, gate) in trials {
        let cell = Cell { row: row_of(&rows, name), column: *column, forever: *forever };
        let right = bench.run(0, cell, None);
        assert!(right.complaints.is_empty(), "{name}: {:?}", right.complaints);
        let caught = bench.run(1, cell, Some(wrong));
        let gates: Vec<Gate> = caught.complaints.iter().map(|complaint| complaint.gate).collect();
        assert!(gates.contains(gate), "{wrong:?} under {name} reports {:?} and fails at {gates:?}", caught.said);
    }
}

const fn plain(reused: bool, mode: Mode) -> Column {
    Column { tls: false, reused, mode }
}

const fn tls(reused: bool, mode: Mode) -> Column {
    Column { tls: true, reused, mode }
}

#[test]
fn a_client_that_retries_unknown_is_caught() {
    is_caught(
        Wrong::RetriesUnknown,
        &[
            ("rst-after-request-applied", plain(false, Mode::Safe), false, Gate::Duplicate),
            ("fin-after-request-applied", tls(true, Mode::Never), false, Gate::Duplicate),
            ("fin-after-request", plain(true, Mode::Safe), false, Gate::UnexpectedRetry),
            // Another call has another key.
            ("rst-after-request-applied", plain(false, Mode::Keys), true, Gate::Duplicate),
        ],
    );
}

#[test]
fn a_client_that_follows_redirects_is_caught() {
    is_caught(
        Wrong::FollowsRedirects,
        &[
            ("redirect-302", plain(false, Mode::Safe), true, Gate::Followed),
            ("redirect-302", plain(false, Mode::Safe), true, Gate::FalselyDelivered),
        ],
    );
}

#[test]
fn a_client_that_takes_written_for_delivered_is_caught() {
    is_caught(
        Wrong::TakesWrittenForDelivered,
        &[
            ("rst-after-request", plain(false, Mode::Safe), false, Gate::FalselyDelivered),
            ("fin-after-request", tls(true, Mode::Never), false, Gate::FalselyDelivered),
            ("answer-cut-fin", plain(false, Mode::Never), false, Gate::Delivery),
        ],
    );
}

#[test]
fn a_client_that_calls_everything_unknown_is_caught() {
    is_caught(
        Wrong::CallsEverythingUnknown,
        &[
            ("refused", plain(false, Mode::Never), true, Gate::NeedlesslyUnknown),
            ("kernel-reset-last", tls(true, Mode::Never), false, Gate::NeedlesslyUnknown),
            ("status-403", plain(true, Mode::Safe), false, Gate::NeedlesslyUnknown),
        ],
    );
}

#[test]
fn a_client_that_never_retries_is_caught() {
    is_caught(
        Wrong::NeverRetries,
        &[
            ("kernel-reset-last", plain(true, Mode::Safe), false, Gate::MissingRetry),
            ("tls-rst-after-hello", tls(false, Mode::Safe), false, Gate::MissingRetry),
            ("fin-after-request", plain(false, Mode::AtLeastOnce), false, Gate::MissingRetry),
            ("fin-after-request-applied", tls(true, Mode::Keys), false, Gate::MissingRetry),
        ],
    );
}

#[test]
fn a_client_that_calls_every_refusal_rejected_is_caught() {
    is_caught(
        Wrong::CallsEveryRefusalRejected,
        &[
            ("status-503-applied", plain(false, Mode::Safe), false, Gate::FalselyRejected),
            ("status-503", plain(false, Mode::Safe), false, Gate::Delivery),
            ("partly-400 (three channels)", tls(false, Mode::Never), false, Gate::FalselyRejected),
            ("partly-413 (a batch of three)", plain(true, Mode::Safe), false, Gate::FalselyRejected),
        ],
    );
}

#[test]
fn each_wrong_client_is_caught_with_a_circuit_breaker() {
    const SAFE: Sender = Sender::Publisher(Mode::Safe);
    const NEVER: Sender = Sender::Publisher(Mode::Never);
    let caught = [
        (Wrong::RetriesUnknown, "rst-after-request-applied", false, Sender::Calls, Gate::FalselyNotSent),
        (Wrong::FollowsRedirects, "redirect-302", false, Sender::Calls, Gate::Followed),
        (Wrong::TakesWrittenForDelivered, "rst-after-request", false, Sender::Calls, Gate::FalselyDelivered),
        (Wrong::TakesWrittenForDelivered, "fin-after-request", true, NEVER, Gate::FalselyDelivered),
        (Wrong::CallsEverythingUnknown, "refused", false, Sender::Calls, Gate::Circuit),
        (Wrong::CallsEverythingUnknown, "tls-rst-after-hello", true, NEVER, Gate::Delivery),
        (Wrong::NeverRetries, "status-429", false, Sender::Calls, Gate::MissingRetry),
        (Wrong::NeverRetries, "kernel-reset-last", true, SAFE, Gate::Delivery),
        (Wrong::CallsEveryRefusalRejected, "status-503-applied", true, Sender::Calls, Gate::FalselyRejected),
        (Wrong::HasNoCircuit, "rst-after-request-applied", false, Sender::Calls, Gate::Circuit),
        (Wrong::HasNoCircuit, "rst-after-request-applied", false, NEVER, Gate::Circuit),
        (Wrong::HasNoCircuit, "tls-rst-after-hello", true, Sender::Calls, Gate::Circuit),
        (Wrong::HasNoCircuit, "tls-rst-after-hello", true, SAFE, Gate::Circuit),
    ];
    assert!(Wrong::ALL.iter().all(|wrong| caught.iter().any(|(client, ..)| client == wrong)));
    let server = FaultServer::start();
    let rows = matrix::rows(&server.faults());
    let bench = Bench::new(&server, &rows);
    for (wrong, name, tls, sender, gate) in caught {
        let trial = Trial { row: row_of(&rows, name), tls, sender };
        let right = circuit::run_right(&bench, &rows, 0, trial);
        assert!(right.complaints.is_empty(), "{}: {:?}", trial.label(&rows), right.complaints);
        let caught = circuit::run_wrong(&bench, &rows, 1, trial, wrong);
        let gates: Vec<Gate> = caught.complaints.iter().map(|complaint| complaint.gate).collect();
        let label = trial.label(&rows);
        assert!(
            gates.contains(&gate),
            "{wrong:?} under {label} reports {:?} and fails at {gates:?}",
            caught.deliveries
        );
    }
}

/// Returns the number of the row with this name.
#[track_caller]
fn row_of(rows: &[Row], wanted: &str) -> usize {
    rows.iter().position(|row| picture::name(row) == wanted).unwrap_or_else(|| panic!("no fault {wanted}"))
}

/// Makes a call for each of these places, on every kind of connection, and prints the counts.
#[track_caller]
fn is_right_at_every_byte(ways: &[By], length: impl Fn(&Bench<'_>, bool, bool) -> usize) {
    let server = FaultServer::start();
    let bench = Bench::new(&server, &[]);
    let mut all = Vec::new();
    for (tls, reused) in [(false, false), (false, true), (true, false), (true, true)] {
        let places = 0..=length(&bench, tls, reused);
        all.extend(ways.iter().flat_map(|by| places.clone().map(move |at| Cut { tls, reused, by: by.clone(), at })));
    }
    match cuts::run(&server, &bench, &all) {
        Ok(counts) => println!("{} cuts: {counts:?}", all.len()),
        Err(complaints) => panic!("{complaints}"),
    }
}

#[test]
fn a_response_truncated_at_any_byte_is_unknown_and_a_complete_one_delivered() {
    const ANSWER: usize = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".len();
    is_right_at_every_byte(&[By::Server("answer-cut-fin"), By::Server("answer-cut-rst")], |_, _, _| ANSWER);
}

#[test]
fn a_request_that_the_server_cuts_at_any_byte_was_sent() {
    is_right_at_every_byte(&[By::Server("fin-mid-request"), By::Server("rst-mid-request")], |bench, _, _| {
        bench.lengths(Call::One, Mode::Never).request - 1
    });
}

#[test]
fn a_request_whose_last_byte_the_kernel_does_not_take_is_not_sent() {
    is_right_at_every_byte(&[By::Kernel(libc::ECONNRESET), By::Kernel(libc::EPIPE)], |bench, tls, reused| {
        bench.bytes(Column { tls, reused, mode: Mode::Never }).0
    });
}

/// Runs a crowd of events. It prints the seed; `DELIVERY_SEED` repeats a run.
fn a_crowd(mode: Mode) {
    let seed = env::var("DELIVERY_SEED").map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().unwrap());
    let events = env::var("DELIVERY_EVENTS").map_or(50_000, |events| events.parse().unwrap());
    match crowd::run(mode, seed, events) {
        Ok(counts) => println!("{counts}"),
        Err(complaints) => panic!("{complaints}"),
    }
}

#[test]
#[ignore = "takes minutes without optimisation: scripts/delivery.sh"]
fn each_event_of_a_crowd_has_the_result_in_the_ledger_in_mode_safe() {
    a_crowd(Mode::Safe);
}

#[test]
#[ignore = "takes minutes without optimisation: scripts/delivery.sh"]
fn each_event_of_a_crowd_has_the_result_in_the_ledger_in_mode_never() {
    a_crowd(Mode::Never);
}
