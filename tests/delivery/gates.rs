//! The gates, which compare the report of a client with what happened. Each complaint names its
//! gate.

use std::fmt;
use std::time::Duration;

use crate::caller::{Call, Mode, Said, is_of};
use crate::oracle::{self, Attempt, Delivery, Lengths, Verdict};
use crate::server::{Entry, Ledger};
use crate::witness::Connection;

/// The most attempts of a call: the default.
pub const MAX_ATTEMPTS: usize = 3;

/// A mistake of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// It reports `delivered`, but not every event was published.
    FalselyDelivered,
    /// It reports `not_sent`, but an event was published.
    FalselyNotSent,
    /// It reports `rejected`, but an event was published.
    FalselyRejected,
    /// It reports `unknown` where the result can be known.
    NeedlesslyUnknown,
    /// It reports another delivery than the oracle.
    Delivery,
    /// It reports another status than the oracle.
    Status,
    /// It published an event more often than the mode allows.
    Duplicate,
    /// It retried although the mode does not allow it.
    UnexpectedRetry,
    /// It did not retry although the mode requires it.
    MissingRetry,
    /// It miscounted its attempts.
    Count,
    /// It followed a redirect.
    Followed,
    /// It ended after its deadline.
    Late,
    /// It did not obey its circuit breaker.
    Circuit,
    /// The ledger and the witness contradict each other: the test is wrong.
    Witnesses,
}

/// A complaint of a gate about a client.
#[derive(Clone, Debug)]
pub struct Complaint {
    pub gate: Gate,
    pub what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.gate, self.what)
    }
}

/// The call that the client was asked to make.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    pub call: Call,
    pub id: &'a str,
    pub mode: Mode,
    pub tls: bool,
    pub timeout: Duration,
    /// Whether a failure before the request is sent may be temporary.
    pub is_temporary: bool,
    /// Whether the server reports a success without doing the work. No client can detect that.
    pub server_lies: bool,
    /// Whether the last attempt opened the circuit breaker, or left it open: then nothing is retried.
    pub opens_circuit: bool,
    /// Whether later calls of the same client may use its connections.
    pub has_later_calls: bool,
    pub lengths: Lengths,
    /// The connections that the witness had seen before the first one to this server.
    pub first_connection: usize,
}

/// The records of the ledger and of the witness about a call.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub attempts: Vec<Attempt>,
    /// How often each of the call's events was published, by channel.
    pub published: Vec<usize>,
    pub followed: u64,
    /// The points on which the two disagree.
    pub contradictions: Vec<String>,
}

/// Combines the witness's record of each connection with the server's ledgers.
pub fn evidence(case: &Case<'_>, connections: &[Connection], ledger: &Ledger, origin: Option<&Ledger>) -> Evidence {
    let mut found = Evidence { followed: ledger.followed, ..Evidence::default() };
    for connection in connections {
        let Some(requests) = oracle::requests(connection, case.tls, case.lengths) else { continue };
        let mut entries = entries_of(connection, ledger, origin, case).into_iter();
        if requests.is_empty() {
            let (entry, tunnel_failed) = entries.next().unwrap_or((None, false));
            found.attempts.push(Attempt { whole: false, entry, tunnel_failed });
        }
        for whole in requests {
            let (entry, tunnel_failed) = entries.next().unwrap_or((None, false));
            if entry.as_ref().is_some_and(|entry| entry.whole) && !whole && !tunnel_failed {
                found.contradictions.push("the server has all of a request that the kernel did not take".to_owned());
            }
            found.attempts.push(Attempt { whole, entry, tunnel_failed });
        }
        if let (Some((Some(entry), _)), false) = (entries.next(), case.has_later_calls) {
            found.contradictions.push(format!("the server saw more attempts than the kernel: {entry:?}"));
        }
    }
    let all = || ledger.attempts.iter().chain(origin.iter().flat_map(|origin| &origin.attempts));
    let published = |channel: &str| {
        let events = all().flat_map(|entry| &entry.applied);
        events.filter(|(on, data)| on == channel && is_of(data, case.id)).count()
    };
    found.published = case.call.channels().iter().map(|channel| published(channel)).collect();
    found
}

/// Returns the server's entries for the attempts on this connection, in order, and whether a proxy
/// prevented the request.
fn entries_of(
    connection: &Connection,
    ledger: &Ledger,
    origin: Option<&Ledger>,
    case: &Case<'_>,
) -> Vec<(Option<Entry>, bool)> {
    let number = (connection.number - 1 - case.first_connection) as u64;
    let on = |ledger: &Ledger, number: u64| -> Vec<Entry> {
        ledger.attempts.iter().filter(|entry| entry.connection == number).cloned().collect()
    };
    let mut entries = on(ledger, number);
    if let (Some(origin), true) = (origin, case.tls) {
        // The proxy's ledger has the CONNECT; the origin's ledger has what came through the tunnel.
        let is_granted =
            |entry: &Entry| oracle::status(&entry.answer_sent).is_some_and(|status| (200..300).contains(&status));
        let suffers = |entry: &Entry, fault: &str| entry.fault.as_ref().is_some_and(|name| name.starts_with(fault));
        let leads_on =
            |entry: &Entry| is_granted(entry) && !suffers(entry, "proxy-granted") && !suffers(entry, "proxy-answer");
        let Some(connect) = entries.into_iter().next() else { return Vec::new() };
        if !leads_on(&connect) {
            return vec![(Some(connect), true)];
        }
        let before = ledger.attempts.iter().filter(|entry| entry.connection < number && leads_on(entry)).count() as u64;
        // Only the proxy knows whether a response came back through a tunnel that was cut. Here the
        // cuts come before one.
        let is_cut = suffers(&connect, "proxy-tunnel-cut");
        entries = on(origin, before);
        entries.drain(..oracle::requests_before(connection, case.tls, case.lengths).min(entries.len()));
        return entries.into_iter().map(|entry| (Some(entry).filter(|_| !is_cut), false)).collect();
    }
    entries.drain(..oracle::requests_before(connection, case.tls, case.lengths).min(entries.len()));
    entries.into_iter().map(|entry| (Some(entry), false)).collect()
}

/// Returns all complaints about the report of a client.
pub fn complaints(case: &Case<'_>, said: &Said, found: &Evidence) -> Vec<Complaint> {
    let mut all = Vec::new();
    let mut complain = |gate: Gate, what: String| all.push(Complaint { gate, what });
    for contradiction in &found.contradictions {
        complain(Gate::Witnesses, contradiction.clone());
    }
    let mut verdicts: Vec<Verdict> =
        found.attempts.iter().map(|attempt| oracle::verdict(attempt, case.call, case.tls)).collect();
    // The deadline may have left no time to begin the last attempt.
    if said.attempts == verdicts.len() as u64 + 1 && said.elapsed >= case.timeout {
        verdicts.push(Verdict::not_sent());
    }
    let Some(last) = verdicts.last() else {
        complain(Gate::Witnesses, "there was no attempt".to_owned());
        return all;
    };

    // The facts, independent of the attempts.
    let most = found.published.iter().copied().max().unwrap_or(0);
    let is_whole = found.published.iter().all(|count| *count > 0);
    let published = || format!("published {:?} times", found.published);
    match said.delivery.as_str() {
        "delivered" if !is_whole && !case.server_lies => complain(Gate::FalselyDelivered, published()),
        "not_sent" if most > 0 => complain(Gate::FalselyNotSent, published()),
        "rejected" if most > 0 => complain(Gate::FalselyRejected, published()),
        _ => {}
    }
    if most > 1 && case.mode != Mode::AtLeastOnce {
        complain(Gate::Duplicate, published());
    }
    if found.followed > 0 {
        complain(Gate::Followed, format!("{} times", found.followed));
    }

    // The results that the oracle computes.
    let expected = oracle::of_call(&verdicts);
    if said.delivery != expected.delivery.name() {
        let gate = match (said.delivery.as_str(), expected.delivery) {
            ("unknown", Delivery::NotSent | Delivery::Rejected | Delivery::Delivered) => Gate::NeedlesslyUnknown,
            _ => Gate::Delivery,
        };
        complain(gate, format!("{} where it is {}", said.delivery, expected.delivery.name()));
    }
    if said.status != expected.status {
        complain(Gate::Status, format!("{} where it is {}", said.status, expected.status));
    }

    // The attempts.
    if said.status != "OK" && said.attempts != verdicts.len() as u64 {
        complain(Gate::Count, format!("{} attempts where there were {}", said.attempts, verdicts.len()));
    }
    let again = |count: usize| oracle::retries(&verdicts[..count], case.mode, case.tls, case.is_temporary);
    if let Some(count) = (1..verdicts.len()).find(|count| !again(*count)) {
        complain(Gate::UnexpectedRetry, format!("after {:?}", verdicts[count - 1]));
    }
    if verdicts.len() > MAX_ATTEMPTS {
        complain(Gate::UnexpectedRetry, format!("{} attempts", verdicts.len()));
    }
    // The next attempt begins after at most 100 ms, doubled with each attempt, or later if the
    // server asks for it.
    let longest = Duration::from_millis(100 << (verdicts.len() - 1)).max(last.retry_after.unwrap_or_default());
    let fits = said.elapsed.saturating_add(longest) < case.timeout;
    if again(verdicts.len()) && verdicts.len() < MAX_ATTEMPTS && fits && !case.opens_circuit {
        complain(Gate::MissingRetry, format!("after {} attempts, with {last:?}", verdicts.len()));
    }
    if said.elapsed > case.timeout + MAX_DELAY {
        complain(Gate::Late, format!("{:?} with a deadline of {:?}", said.elapsed, case.timeout));
    }
    all
}

/// How late a call may end while eight children keep the machine busy. (Other tests check the
/// deadline on an idle machine.)
const MAX_DELAY: Duration = Duration::from_secs(2);
