//! The record of the exchange that the calling thread is in.
//!
//! ureq's layers (the socket, TLS above it, the watcher on top) can pass each other only bytes and
//! errors, and ureq's errors do not say in which phase they happened. All layers run on the calling
//! thread, so they share a thread-local record. It ends with the call.

use std::cell::RefCell;
use std::time::Instant;

use super::transport::{Cause, Failure, Progress};

/// The phase an exchange is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Resolving,
    Connecting,
    Tunnel,
    Handshake,
    Sending,
    Waiting,
    Reading,
}

impl Phase {
    /// Returns the phase as the subject of "… failed".
    const fn name(self) -> &'static str {
        match self {
            Phase::Resolving => "looking up the host name",
            Phase::Connecting => "connecting",
            Phase::Tunnel => "opening a tunnel through the proxy",
            Phase::Handshake => "the TLS handshake",
            Phase::Sending => "sending the request",
            Phase::Waiting => "waiting for the response",
            Phase::Reading => "reading the response",
        }
    }
}

/// The state of an exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) phase: Phase,
    /// When the current phase must end.
    pub(super) deadline: Instant,
    /// When the exchange must end.
    pub(super) final_deadline: Instant,
    /// Whether ureq has written the whole request into our buffers.
    pub(super) request_is_whole: bool,
    /// Where the request ends, counted over all bytes queued on its connection.
    pub(super) request_end: Option<u64>,
    /// Whether the kernel has taken the whole request.
    pub(super) request_was_sent: bool,
    /// Whether the socket was read after the request was whole. Bytes read earlier are no response
    /// to it.
    pub(super) was_read: bool,
    /// The status of the first final status line.
    pub(super) status: Option<u16>,
    /// Whether that line came before the kernel had taken the whole request.
    pub(super) response_was_early: bool,
    /// Whether the peer has closed its side.
    pub(super) at_end: bool,
}

impl Exchange {
    fn new(deadline: Instant) -> Exchange {
        Exchange {
            phase: Phase::Resolving,
            deadline,
            final_deadline: deadline,
            request_is_whole: false,
            request_end: None,
            request_was_sent: false,
            was_read: false,
            status: None,
            response_was_early: false,
            at_end: false,
        }
    }

    /// Returns how far the exchange has come.
    pub(super) fn progress(&self) -> Progress {
        match (self.status, self.request_was_sent) {
            (Some(status), _) => Progress::Answered(status),
            (None, true) => Progress::Sent,
            (None, false) => Progress::NotSent,
        }
    }

    /// Returns a failure in the current phase. Of a timeout the message names the limit instead of
    /// `what`.
    pub(super) fn failure(&self, cause: Cause, what: impl std::fmt::Display) -> Failure {
        let phase = self.phase.name();
        let message = match (cause, self.phase) {
            (Cause::Timeout, Phase::Connecting) => format!("no connection to {what} within {}", self.limit()),
            (Cause::Timeout, Phase::Waiting) => format!("no response within {}", self.limit()),
            (Cause::Timeout, _) => format!("{phase} took longer than {}", self.limit()),
            // The caller says that there was no response.
            (Cause::Closed | Cause::Reset, Phase::Waiting) => what.to_string(),
            _ => format!("{phase} failed: {what}"),
        };
        Failure { progress: self.progress(), cause, message }
    }

    /// Returns the configuration key of the limit that the current phase has.
    fn limit(&self) -> &'static str {
        if self.deadline < self.final_deadline { "connect_timeout_ms" } else { "timeout_ms" }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Exchange>> = const { RefCell::new(None) };
}

/// Runs `body` as an exchange with this deadline, and returns its record with the result.
pub(super) fn record<T>(deadline: Instant, body: impl FnOnce() -> T) -> (T, Exchange) {
    /// Removes the record, also when `body` panics.
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            CURRENT.with_borrow_mut(|current| *current = None);
        }
    }
    CURRENT.with_borrow_mut(|current| *current = Some(Exchange::new(deadline)));
    let clear = Clear;
    let result = body();
    let exchange = CURRENT.with_borrow_mut(Option::take).unwrap_or_else(|| Exchange::new(deadline));
    drop(clear);
    (result, exchange)
}

/// Calls `body` with the record of the exchange that this thread is in.
pub(super) fn current<T>(body: impl FnOnce(&mut Exchange) -> T) -> T {
    // All I/O happens inside `record`. Outside of it, fall back to an already expired deadline.
    CURRENT.with_borrow_mut(|current| body(current.get_or_insert_with(|| Exchange::new(Instant::now()))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_timeout_names_its_limit() {
        let now = Instant::now();
        let mut exchange = Exchange::new(now + Duration::from_secs(5));
        exchange.deadline = now + Duration::from_secs(1);
        let message = |exchange: &Exchange| exchange.failure(Cause::Timeout, "192.0.2.1:80").message;
        for (phase, expected) in [
            (Phase::Resolving, "looking up the host name took longer than connect_timeout_ms"),
            (Phase::Connecting, "no connection to 192.0.2.1:80 within connect_timeout_ms"),
            (Phase::Handshake, "the TLS handshake took longer than connect_timeout_ms"),
        ] {
            exchange.phase = phase;
            assert_eq!(message(&exchange), expected);
        }
        exchange.deadline = exchange.final_deadline;
        for (phase, expected) in [
            (Phase::Connecting, "no connection to 192.0.2.1:80 within timeout_ms"),
            (Phase::Sending, "sending the request took longer than timeout_ms"),
            (Phase::Waiting, "no response within timeout_ms"),
            (Phase::Reading, "reading the response took longer than timeout_ms"),
        ] {
            exchange.phase = phase;
            assert_eq!(message(&exchange), expected);
        }
    }
}
