//! How events end, and the trait that records it.

use std::time::Duration;

/// How an event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End<O> {
    /// A request carried it, with this outcome.
    Sent(O),
    /// No request ever carried it, for this reason.
    Unsent(Reason),
}

/// Why an event was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It waited longer than the queue's `ttl`.
    Expired,
    /// It made space for a newer event.
    Dropped,
    /// A newer event with the same key replaced it.
    Superseded,
    /// The publisher was closed first.
    Closed,
    /// The publisher was drained first, and the caller has the event.
    Drained,
}

impl Reason {
    /// All reasons, in the order in which they are counted.
    pub const ALL: [Reason; 5] =
        [Reason::Expired, Reason::Dropped, Reason::Superseded, Reason::Closed, Reason::Drained];

    /// Returns its name in reports and statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Expired => "expired",
            Reason::Dropped => "dropped",
            Reason::Superseded => "superseded",
            Reason::Closed => "closed",
            Reason::Drained => "drained",
        }
    }

    /// Returns its message in reports.
    pub const fn message(self) -> &'static str {
        match self {
            Reason::Expired => "the event waited longer than event_ttl_ms",
            Reason::Dropped => "the queue was full, and this was its oldest event",
            Reason::Superseded => "a newer event with the same conflate key replaced this one",
            Reason::Closed => "the publisher was closed before the event was sent",
            Reason::Drained => "the publisher was drained before the event was sent: the drained document has it",
        }
    }
}

/// Records how events end.
pub trait Ledger {
    /// The result of a request for one of its events.
    type Outcome: Clone;

    /// Returns whether the outcome says that certainly nothing was sent.
    fn is_not_sent(outcome: &Self::Outcome) -> bool;

    /// Records the end of an event. Called exactly once for each; `age` is the time since it was
    /// published.
    fn end(&mut self, id: u64, age: Duration, end: End<Self::Outcome>);
}
