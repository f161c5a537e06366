//! The line of one shard, and its request.

use std::collections::VecDeque;
use std::time::Instant;

use super::shard_set::Shards;

/// What is known of an event while it is under way.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) id: u64,
    pub(super) published: Instant,
    pub(super) bytes: usize,
}

/// An event that waits.
#[derive(Debug)]
pub(super) struct Waiting<E> {
    pub(super) ticket: Ticket,
    /// Since when its place has been waited in, which may be longer than the event.
    pub(super) since: Instant,
    /// What it adds to a request, in bytes.
    pub(super) length: usize,
    /// What a newer event would take its place by.
    pub(super) key: Option<Box<str>>,
    pub(super) event: E,
}

/// A place in a shard's line.
#[derive(Debug)]
pub(super) enum Place<E> {
    One(Waiting<E>),
    /// The turn of an event that is sent alone; if there is none any more, nobody's.
    Turn(u64),
}

/// An event that is sent alone, and may span several shards.
#[derive(Debug)]
pub(super) struct Spanning<E> {
    pub(super) shards: Shards,
    /// In which of them it has come to the head of the line.
    pub(super) arrived: Shards,
    /// `None` once it is under way.
    pub(super) waiting: Option<Waiting<E>>,
}

/// The request that a shard has under way.
#[derive(Debug)]
pub(super) struct Flight<O> {
    pub(super) number: u64,
    pub(super) tickets: VecDeque<Ticket>,
    /// What is known of them while nothing is on the wire: they rest between two attempts.
    pub(super) at_rest: Option<O>,
    /// The event that is sent alone, if it is one.
    pub(super) spanning: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Shard<E, O> {
    pub(super) line: VecDeque<Place<E>>,
    /// The number of the place at the head of the line; places are counted from the first that there ever was.
    pub(super) head: u64,
    /// What the events in the line that are its own add to requests.
    pub(super) length: usize,
    pub(super) flight: Option<Flight<O>>,
}
