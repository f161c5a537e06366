//! One request and its response.
//!
//! An exchange owns the bytes of its request, its connection and its phase. It makes the connection
//! or is given one, sends the request and reads the response. Because it alone passes bytes to the
//! kernel, it knows how far the request has come, however the exchange ends.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use crate::platform::{Cancellation, Readiness};

use super::connection::{Connection, Received};
use super::failure::{Cause, Failure, Fault, Progress};
use super::message::{Limit, Response};
use super::meter::Meter;
use super::phase::Phase;
use super::request::RequestBytes;
use super::response::{Malformed, ResponseReader, Reuse};
use super::tls::Wait;

/// The time limit for the body of a refusal. Its status is already known, and decides.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_millis(500);

/// One request and its response: before it has a connection (`Over` is `()`), then over one.
pub(super) struct Exchange<'a, Over = ()> {
    over: Over,
    request: RequestBytes<'a>,
    reader: ResponseReader,
    phase: Phase,
    /// When the current phase has to end.
    deadline: Instant,
    /// When the exchange has to end.
    limit: Limit<'a>,
    /// Whether the kernel has taken the whole request.
    is_sent: bool,
    /// Whether a final status line came before that.
    answer_was_early: bool,
    /// Why a write failed. Nothing is written after that.
    write_fault: Option<Fault>,
    meter: Option<&'a Meter>,
}

/// An exchange that has ended.
pub(super) struct Ended {
    pub(super) result: Result<Response, Failure>,
    pub(super) connection: Connection,
    /// What the server says about using the connection again.
    pub(super) reuse: Reuse,
    /// Whether the server closed the connection without a byte of a response.
    pub(super) was_closed_unanswered: bool,
}

impl<'a> Exchange<'a> {
    /// Returns an exchange without a connection, which has to end by `limit`. The body of its
    /// response may have `max_body_bytes`.
    pub(super) fn new(request: RequestBytes<'a>, max_body_bytes: usize, limit: Limit<'a>) -> Exchange<'a> {
        Exchange {
            over: (),
            request,
            reader: ResponseReader::new(max_body_bytes),
            phase: Phase::Resolving,
            deadline: limit.at,
            limit,
            is_sent: false,
            answer_was_early: false,
            write_fault: None,
            meter: None,
        }
    }

    /// Measures the exchange from here on.
    pub(super) fn measure(&mut self, meter: Option<&'a Meter>) {
        self.meter = meter;
    }

    /// Reads the headers of a rate limit, too.
    pub(super) fn read_rate_limit(&mut self) {
        self.reader.read_rate_limit();
    }

    /// Begins to make a connection, which may take until `timeout` has passed. Returns the deadline.
    pub(super) fn begin_connecting(&mut self, now: Instant, timeout: Duration) -> Instant {
        self.deadline = self.limit.at.min(now + timeout);
        self.deadline
    }

    /// Enters a phase of making a connection.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.begin(phase);
    }

    /// Returns the event that ends the exchange early.
    pub(super) fn cancellation(&self) -> Option<&'a Cancellation> {
        self.limit.cancellation
    }

    /// Returns the exchange over a connection.
    pub(super) fn over(mut self, connection: Connection) -> Exchange<'a, Connection> {
        self.begin(Phase::Sending);
        Exchange {
            over: connection,
            request: self.request,
            reader: self.reader,
            phase: self.phase,
            deadline: self.limit.at,
            limit: self.limit,
            is_sent: false,
            answer_was_early: false,
            write_fault: None,
            meter: self.meter,
        }
    }
}

impl<Over> Exchange<'_, Over> {
    /// Begins a phase.
    fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        if let Some(meter) = self.meter {
            meter.enter(phase);
        }
    }

    /// Returns how far the exchange has come.
    fn progress(&self) -> Progress {
        match (self.reader.status(), self.is_sent) {
            (Some(status), _) => Progress::Answered(status),
            (None, true) => Progress::Sent,
            (None, false) => Progress::NotSent,
        }
    }

    /// Returns whether the exchange was cancelled.
    pub(super) fn is_cancelled(&self) -> bool {
        self.limit.is_cancelled()
    }

    /// Returns the failure that a fault in the current phase is.
    pub(super) fn failure(&self, fault: &Fault) -> Failure {
        let Fault { cause, what, .. } = fault;
        // A cancellation shuts the connection down, which has many faces.
        let cause = if self.is_cancelled() { &Cause::Cancelled } else { cause };
        let phase = self.phase.name();
        let message = match (cause, self.phase) {
            (Cause::Cancelled, _) => format!("{phase} was cancelled"),
            (Cause::Timeout, Phase::Waiting) => format!("no response within {}", self.limit()),
            (Cause::Timeout, _) => format!("{phase} took longer than {}", self.limit()),
            // The caller says that there was no response.
            (Cause::Closed | Cause::Reset, Phase::Waiting) => what.to_string(),
            _ => format!("{phase} failed: {what}"),
        };
        Failure { progress: self.progress(), cause: *cause, message }
    }

    /// Returns the configuration key of the limit that the current phase has.
    pub(super) fn limit(&self) -> &'static str {
        let is_connecting = self.phase < Phase::Sending && self.deadline < self.limit.at;
        if is_connecting { "connect_timeout_ms" } else { self.limit.key }
    }
}

/// The result of handing the request to the kernel.
enum Sending {
    /// The kernel has all of it.
    Complete,
    /// The kernel takes no more for now, and there is input to read.
    InputFirst,
    /// A write failed.
    Failed,
}

impl Exchange<'_, Connection> {
    /// Sends the request and reads the response.
    pub(super) fn run(mut self) -> Ended {
        let result = self.exchange_bytes();
        self.over.release();
        if let Some(meter) = self.meter {
            meter.sent.set(self.request.sent());
        }
        // From here on a cancellation no longer changes the connection.
        let is_cancelled = self.is_cancelled();
        let was_closed_unanswered = !is_cancelled
            && self.reader.status().is_none()
            && matches!(&result, Err(fault) if matches!(fault.cause, Cause::Closed | Cause::Reset));
        let failure = result.err().map(|fault| self.failure_of_run(&fault));
        let reuse = match (&failure, self.reader.status()) {
            // After an error in the server, the state of the connection is uncertain.
            (None, Some(..500)) if !is_cancelled && self.is_reusable() => self.reader.reuse(),
            _ => Reuse::Never,
        };
        let Exchange { over: connection, reader, answer_was_early, .. } = self;
        let response = match failure {
            Some(failure) => Err(failure),
            None => reader.into_response(!answer_was_early).ok_or_else(no_head),
        };
        Ended { result: response, connection, reuse, was_closed_unanswered }
    }

    fn is_reusable(&self) -> bool {
        self.is_sent && !self.answer_was_early && self.write_fault.is_none() && self.over.unread().is_empty()
    }

    /// Returns the failure that ends the exchange.
    fn failure_of_run(&mut self, fault: &Fault) -> Failure {
        // The server did not finish the handshake, so it has accepted nothing.
        if fault.refused_handshake && self.over.responses == 0 && self.reader.status().is_none() {
            self.phase = Phase::Handshake;
            return Failure { progress: Progress::NotSent, ..self.failure(fault) };
        }
        self.failure(fault)
    }

    /// Sends and reads until the response is complete.
    fn exchange_bytes(&mut self) -> Result<(), Fault> {
        loop {
            let received = match self.send() {
                Sending::Complete => self.over.receive(Wait::Until(self.deadline)),
                // A server may refuse before it has read the whole request, and then stop reading.
                // After a reset, the bytes that the peer sent before it can still be read, and no
                // more will come.
                Sending::InputFirst | Sending::Failed => self.over.receive(Wait::No(self.deadline)),
            };
            let is_complete = match (received, &self.write_fault) {
                (Ok(Received::Bytes), _) => self.read(),
                (Ok(Received::End | Received::Nothing) | Err(_), Some(fault)) => Err(fault.clone()),
                (Ok(Received::Nothing), None) => Ok(false),
                // The end is that of the cancellation, and the response may have been cut.
                (Ok(Received::End), None) if self.is_cancelled() => Err(Fault::new(Cause::Cancelled, "")),
                (Ok(Received::End), None) => self.reader.end().map(|()| true).map_err(unreadable),
                (Err(fault), None) => Err(fault),
            };
            match is_complete {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // The status of a refusal decides. A body that could not be read is kept as it is.
                Err(_) if self.reader.has_head() && !self.reader.is_success() => return Ok(()),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Hands the request to the kernel until it has all of it, a write fails, or there is input
    /// first.
    fn send(&mut self) -> Sending {
        if self.is_sent {
            self.over.flush(self.deadline);
            return Sending::Complete;
        }
        while self.write_fault.is_none() {
            let result = match self.over.send(&mut self.request, self.deadline) {
                Ok(true) => {
                    self.is_sent = true;
                    if self.phase == Phase::Sending {
                        self.begin(Phase::Waiting);
                    }
                    return Sending::Complete;
                }
                // Stop at the deadline even while the kernel takes more.
                Ok(false) if Instant::now() >= self.deadline => Err(ErrorKind::TimedOut.into()),
                Ok(false) => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.over.wait(Readiness::BOTH, self.deadline),
                Err(error) => Err(error),
            };
            match result {
                Ok(ready) if ready.write => {}
                Ok(_) => return Sending::InputFirst,
                Err(error) => self.write_fault = Some(Fault::of_io(&error, Cause::Write)),
            }
        }
        Sending::Failed
    }

    /// Reads the bytes that were received. Returns whether the response is complete.
    fn read(&mut self) -> Result<bool, Fault> {
        let used = self.reader.read(self.over.unread());
        if let Some(meter) = self.meter {
            let length = used.as_ref().map_or(self.over.unread().len(), |used| *used);
            meter.received.set(meter.received.get() + length);
        }
        if self.phase != Phase::Reading && self.reader.status().is_some() {
            self.begin(Phase::Reading);
            self.answer_was_early = !self.is_sent;
            if !self.reader.is_success() {
                self.deadline = self.deadline.min(Instant::now() + ERROR_BODY_TIMEOUT);
            }
        }
        self.over.consume(used.map_err(unreadable)?);
        Ok(self.reader.is_complete())
    }
}

fn unreadable(why: Malformed) -> Fault {
    let cause = if why == Malformed::Cut { Cause::Closed } else { Cause::Malformed };
    Fault::new(cause, why.to_string())
}

/// Returns the failure of an exchange that ended well without a head. There is none.
fn no_head() -> Failure {
    Failure {
        progress: Progress::Sent,
        cause: Cause::Malformed,
        message: "reading the response failed: it has no head".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{Method, Origin, Request};
    use super::*;

    #[test]
    fn a_timeout_names_its_limit() {
        let origin = Origin { tls: false, host: "h".to_owned(), port: 80 };
        let request = Request {
            origin: &origin,
            method: Method::Get,
            target: "/".to_owned(),
            headers: &[],
            own_header: None,
            caller_headers: Default::default(),
            body: None,
            reads_rate_limit: false,
            meter: None,
        };
        let now = Instant::now();
        let request = RequestBytes::new(&request, None).unwrap();
        let limit = Limit { at: now + Duration::from_secs(5), key: "timeout_ms", cancellation: None };
        let mut exchange = Exchange::new(request, 0, limit);
        let message = |exchange: &Exchange<'_>| exchange.failure(&Fault::new(Cause::Timeout, "")).message;
        exchange.begin_connecting(now, Duration::from_secs(1));
        for (phase, expected) in [
            (Phase::Resolving, "looking up the host name took longer than connect_timeout_ms"),
            (Phase::Handshake, "the TLS handshake took longer than connect_timeout_ms"),
        ] {
            exchange.enter(phase);
            assert_eq!(message(&exchange), expected);
        }
        exchange.begin_connecting(now, Duration::from_secs(9));
        for (phase, expected) in [
            (Phase::Resolving, "looking up the host name took longer than timeout_ms"),
            (Phase::Sending, "sending the request took longer than timeout_ms"),
            (Phase::Waiting, "no response within timeout_ms"),
            (Phase::Reading, "reading the response took longer than timeout_ms"),
        ] {
            exchange.enter(phase);
            assert_eq!(message(&exchange), expected);
        }
    }
}
