//! The record of the exchange that the calling thread is in.
//!
//! ureq's layers (the socket, TLS above it, the watcher on top) can't hand each other anything but bytes and errors, and its
//! errors do not tell the phase. They run on the calling thread, so they meet in a thread-local. Nothing of it outlives the
//! call.

use std::cell::RefCell;
use std::time::Instant;

use super::transport::{Cause, Failure, Progress};

/// Where an exchange is.
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
    /// As it stands in "connecting failed".
    const fn name(self) -> &'static str {
        match self {
            Phase::Resolving => "looking up the host name",
            Phase::Connecting => "connecting",
            Phase::Tunnel => "opening a tunnel through the proxy",
            Phase::Handshake => "the TLS handshake",
            Phase::Sending => "sending the request",
            Phase::Waiting => "waiting for the answer",
            Phase::Reading => "reading the answer",
        }
    }
}

/// What is known of an exchange so far.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) phase: Phase,
    /// When the present phase has to end.
    pub(super) deadline: Instant,
    /// When the exchange has to end.
    pub(super) final_deadline: Instant,
    /// Whether ureq has written the whole request into our buffers.
    pub(super) request_is_whole: bool,
    /// Where the whole request ends, counted in all the bytes that its connection was handed.
    pub(super) request_end: Option<u64>,
    /// Whether the kernel has taken the whole request.
    pub(super) request_was_sent: bool,
    /// Whether the socket was read once the request was whole: what comes before that is no answer to it.
    pub(super) was_read: bool,
    /// The first final status line.
    pub(super) status: Option<u16>,
    /// Whether that came before the kernel had taken the whole request.
    pub(super) answer_was_early: bool,
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
            answer_was_early: false,
            at_end: false,
        }
    }

    /// How far it has come.
    pub(super) fn progress(&self) -> Progress {
        match (self.status, self.request_was_sent) {
            (Some(status), _) => Progress::Answered(status),
            (None, true) => Progress::Sent,
            (None, false) => Progress::NotSent,
        }
    }

    /// A failure at this point.
    pub(super) fn failure(&self, cause: Cause, what: impl std::fmt::Display) -> Failure {
        Failure { progress: self.progress(), cause, message: format!("{} failed: {what}", self.phase.name()) }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Exchange>> = const { RefCell::new(None) };
}

/// Runs `body` as an exchange with this deadline, and hands back its record.
pub(super) fn record<T>(deadline: Instant, body: impl FnOnce() -> T) -> (T, Exchange) {
    /// Takes the record away when `body` panics, too.
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

/// The record of the exchange that this thread is in.
pub(super) fn current<T>(body: impl FnOnce(&mut Exchange) -> T) -> T {
    // Every byte of ours moves within an exchange; should one not, it has no time at all.
    CURRENT.with_borrow_mut(|current| body(current.get_or_insert_with(|| Exchange::new(Instant::now()))))
}
