//! How events end, and who takes it down.

use std::time::Duration;

/// How an event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End<O> {
    /// It was sent, and this came of it.
    Sent(O),
    /// It was never sent, for this reason.
    Unsent(Reason),
}

/// Why an event was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It had waited too long.
    Expired,
    /// It made room for a newer one.
    Dropped,
    /// A newer one with the same key took its place.
    Superseded,
    /// The publisher was closed before its turn came.
    Closed,
}

/// Takes down how events end.
pub trait Ledger {
    /// What comes of a request.
    type Outcome: Clone;

    /// An event has ended. Called exactly once for each; `waited` is the time since it was published.
    fn end(&mut self, id: u64, waited: Duration, end: End<Self::Outcome>);
}

impl Reason {
    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Expired => "expired",
            Reason::Dropped => "dropped",
            Reason::Superseded => "superseded",
            Reason::Closed => "closed",
        }
    }

    pub const fn message(self) -> &'static str {
        match self {
            Reason::Expired => "not sent: it had waited longer than event_ttl_ms",
            Reason::Dropped => "not sent: the queue was full, and it was the oldest in it",
            Reason::Superseded => "not sent: a newer event with the same conflate key took its place",
            Reason::Closed => "not sent: the publisher was closed before its turn came",
        }
    }
}
