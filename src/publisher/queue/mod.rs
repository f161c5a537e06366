//! The publisher's state: the events that wait, those in flight, and how events ended. No I/O, no
//! thread, no lock; time is an argument.
//!
//! Every channel belongs to a shard, and each shard has at most one request in flight. This keeps
//! the order of a channel's events. An event for several channels may span several shards: each of
//! them has a barrier for it, and it is sent, alone, when all its barriers are first in their
//! shards.
//!
//! Every event ends exactly once, and its end is recorded in the [`Ledger`].

mod ledger;
mod shard;
mod shard_set;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, TryReserveError, VecDeque};
use std::time::{Duration, Instant};

use self::shard::{BatchLimits, Entry, InFlight, Shard, Slot, Spanning, Waiting};
use super::hashing::Hashing;
use super::pace::{Pace, Said};
use super::rate_limit::RateLimit;

pub use self::ledger::{End, Ledger, Reason};
pub use self::shard_set::{MAX_SHARDS, ShardSet};

/// The limits of a queue and of its batches.
#[derive(Clone, Debug)]
pub struct QueueLimits {
    /// The number of shards.
    pub shards: usize,
    /// The maximum number of events that have not ended.
    pub events: usize,
    /// The maximum memory of these events and of their requests in flight, in bytes.
    pub bytes: usize,
    /// The maximum number of events in a request.
    pub batch_events: usize,
    /// The maximum size of these events in a request.
    pub batch_bytes: usize,
    /// How long the first event of a batch waits for others.
    pub linger: Duration,
    /// How long an event may wait before it expires.
    pub ttl: Option<Duration>,
    /// The maximum number of events sent per second.
    pub events_per_second: Option<u32>,
    /// Whether requests wait for the rate limit that the server's responses state.
    pub is_paced: bool,
}

/// How many expired events a thread ends that needs none of them to end, before others may use the queue.
const MAX_EXPIRED_AT_ONCE: usize = 1000;

/// Holds requests back.
pub trait Gate: Send + Sync {
    /// Returns until when requests have to wait, unless one may be sent now.
    fn check(&self, now: Instant) -> Result<(), Instant>;
}

/// One in this many of the events and of the bytes must be free for [`Queue::has_spare_space`].
const SPARE_FRACTION: usize = 4;

/// An event to be queued.
#[derive(Clone, Debug)]
pub struct NewEvent<E> {
    /// The event.
    pub event: E,
    /// The memory that it takes.
    pub memory_bytes: usize,
    /// The bytes that it adds to a request.
    pub request_bytes: usize,
    /// The shards of its channels: one, or several if `is_alone`.
    pub shards: ShardSet,
    /// Whether no other event may be in its request.
    pub is_alone: bool,
    /// The event replaces a waiting one with the same key. `None` if `is_alone`.
    pub key: Option<Box<str>>,
}

/// The size of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The memory that it takes.
    pub memory_bytes: usize,
    /// The bytes that it adds to a request.
    pub request_bytes: usize,
}

impl<E> NewEvent<E> {
    /// Returns its size.
    pub fn size(&self) -> Size {
        Size { memory_bytes: self.memory_bytes, request_bytes: self.request_bytes }
    }
}

/// An event that another publisher did not send.
#[derive(Debug)]
pub struct OldEvent<E> {
    /// The event.
    pub new: NewEvent<E>,
    /// When it was first published.
    pub published: Instant,
}

/// Why events of another publisher were not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRestored {
    /// The queue has no space for all of them.
    Full,
    /// There is no memory for more events.
    OutOfMemory,
}

/// The memory that [`Queue::restore`] needs, reserved: a copy of each event's key.
#[derive(Debug)]
pub struct Reserved(Vec<Option<Box<str>>>);

/// An event that was never sent.
#[derive(Debug)]
pub struct Unsent<'q, E> {
    /// Its id.
    pub id: u64,
    /// When it was first published.
    pub published: Instant,
    /// Its key, unless it can no longer be replaced.
    pub key: Option<&'q str>,
    /// The event.
    pub event: &'q E,
    place: u64,
}

impl<E> Unsent<'_, E> {
    fn new(waiting: &Waiting<E>) -> Unsent<'_, E> {
        let Entry { id, published, place, .. } = waiting.entry;
        Unsent { id, published, key: waiting.key.as_deref(), event: &waiting.event, place }
    }
}

/// Why an event was not queued.
#[derive(Debug)]
pub enum NotPushed<E> {
    /// The queue is full. This is the event.
    Full(NewEvent<E>),
    /// There is no memory for one more.
    OutOfMemory,
}

/// Events to be sent in one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch<E> {
    /// The number of the request. It identifies the request in [`Queue::suspend`] and
    /// [`Queue::complete`].
    pub request: u64,
    /// The events in their order.
    pub events: Vec<E>,
}

/// What the sender of a shard does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<E> {
    /// Send these events.
    Send(Batch<E>),
    /// Wait until something changes.
    Wait,
    /// Wait until something changes, but no longer than this.
    WaitUntil(Instant),
    /// Ask again: other threads have waited long enough.
    Again,
    /// End: the queue is closed and the shard is empty, or the queue keeps its events.
    Finished,
}

/// The memory of events that have ended. Freeing that of a million takes longer than a caller should wait.
pub struct Remains<E> {
    _slots: Vec<VecDeque<Slot<E>>>,
    _spanning: HashMap<u64, Spanning<E>, Hashing>,
    _keys: HashMap<Box<str>, Location, Hashing>,
}

/// Empties a table, and returns what was in it.
fn taken<K, V>(table: &mut HashMap<K, V, Hashing>) -> HashMap<K, V, Hashing> {
    let empty = HashMap::with_hasher(table.hasher().clone());
    std::mem::replace(table, empty)
}

/// The slot of an event with a key.
#[derive(Clone, Copy, Debug)]
struct Location {
    shard: usize,
    slot: u64,
}

/// The event in a shard that has waited longest.
#[derive(Clone, Copy, Debug)]
struct First {
    /// Orders the first events of all shards.
    place: u64,
    published: Instant,
    /// The index of its slot.
    index: usize,
    /// Its id, if it is sent alone.
    alone: Option<u64>,
}

/// A waiting event that a newer one with the same key is going to replace.
#[derive(Clone, Copy, Debug)]
struct Replacement {
    id: u64,
    location: Location,
    memory_bytes: usize,
}

/// The queue. See the module's description.
pub struct Queue<E, L: Ledger> {
    limits: QueueLimits,
    shards: Vec<Shard<E, L::Outcome>>,
    /// The events that are sent alone, by id.
    spanning: HashMap<u64, Spanning<E>, Hashing>,
    /// The waiting events with a key.
    keys: HashMap<Box<str>, Location, Hashing>,
    rate_limit: Option<RateLimit>,
    pace: Option<Pace>,
    gate: Option<Box<dyn Gate>>,
    /// Until when no request has several events.
    alone_until: Option<Instant>,
    /// The number of events that have not ended.
    events: usize,
    /// The memory of these events, and of the requests in flight.
    bytes: usize,
    /// The number of events in flight.
    flying_events: usize,
    /// The memory of these events, and of their requests.
    flying_bytes: usize,
    /// The memory of the requests in flight.
    requests_bytes: usize,
    /// The shards whose next request waits until one in flight ends and frees memory.
    starved: ShardSet,
    /// The size of the largest request with one event that the queue may need. Never too small: it shrinks when the queue
    /// is empty.
    largest_request: usize,
    last_id: u64,
    last_request: u64,
    is_closed: bool,
    /// Whether the events that wait are no longer sent.
    is_held: bool,
    /// The number of callers that wait for the queue to drain.
    drains: usize,
    /// Records how events end.
    pub ledger: L,
}

impl<E, L: Ledger> Queue<E, L> {
    /// Returns an empty queue.
    pub fn new(limits: QueueLimits, hashing: Hashing, ledger: L, now: Instant) -> Queue<E, L> {
        Queue {
            shards: (0..limits.shards).map(|_| Shard::new()).collect(),
            spanning: HashMap::with_hasher(hashing.clone()),
            keys: HashMap::with_hasher(hashing),
            rate_limit: limits.events_per_second.map(|rate| RateLimit::new(rate, now)),
            pace: limits.is_paced.then(Pace::new),
            gate: None,
            alone_until: None,
            events: 0,
            bytes: 0,
            flying_events: 0,
            flying_bytes: 0,
            requests_bytes: 0,
            starved: ShardSet::EMPTY,
            largest_request: 0,
            last_id: 0,
            last_request: 0,
            is_closed: false,
            is_held: false,
            drains: 0,
            limits,
            ledger,
        }
    }

    /// Sets the gate that holds requests back.
    pub fn set_gate(&mut self, gate: Box<dyn Gate>) {
        self.gate = Some(gate);
    }

    /// Returns how many events were ever queued.
    pub fn published(&self) -> u64 {
        self.last_id
    }

    /// Returns how many events have not ended.
    pub fn events(&self) -> usize {
        self.events
    }

    /// Returns the memory of the events that have not ended, and of the requests in flight.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many events are in flight.
    pub fn in_flight(&self) -> usize {
        self.flying_events
    }

    /// Returns whether the queue takes no more events.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Stops taking events. The callers of [`Queue::push`] must check [`Queue::is_closed`].
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Stops taking events as [`Queue::close`] does, and stops sending those that wait. A request whose events were
    /// certainly not sent is no longer retried: its sender gives them back by [`Queue::take_back`].
    pub fn hold(&mut self) {
        self.is_closed = true;
        self.is_held = true;
    }

    /// Returns whether the events that wait are no longer sent.
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// Returns whether events wait to be given back by their senders.
    pub fn awaits_events(&self) -> bool {
        self.shards.iter().filter_map(|shard| shard.in_flight.as_ref()).any(|in_flight| self.is_withdrawn(in_flight))
    }

    /// Returns the events that wait, so that those of each channel are in their order.
    pub fn unsent(&self) -> Result<Vec<Unsent<'_, E>>, TryReserveError> {
        let in_slots = self.shards.iter().flat_map(Shard::slots).filter_map(|slot| match slot {
            Slot::Event(waiting) => Some(waiting),
            Slot::Barrier(_) => None,
        });
        let alone = self.spanning.values().filter_map(|spanning| spanning.waiting.as_ref());
        let mut unsent = Vec::new();
        unsent.try_reserve_exact(self.events - self.flying_events)?;
        unsent.extend(in_slots.chain(alone).map(Unsent::new));
        unsent.sort_unstable_by_key(|unsent| unsent.place);
        Ok(unsent)
    }

    /// Puts each event into a request of its own, until then.
    pub fn send_alone(&mut self, until: Instant) {
        self.alone_until = Some(until);
    }

    /// Begins a drain: until [`Queue::end_drain`], batches do not wait for more events. Drains may
    /// overlap.
    pub fn begin_drain(&mut self) {
        self.drains += 1;
    }

    /// Ends a drain.
    pub fn end_drain(&mut self) {
        self.drains -= 1;
    }

    /// Queues an event and returns its id, or returns the event if the queue is full. Returns the
    /// shards to wake besides those of the event. An event with a key replaces a waiting one with
    /// the same key, and takes its slot.
    pub fn push(&mut self, new: NewEvent<E>, now: Instant) -> (Result<u64, NotPushed<E>>, ShardSet) {
        let mut woken = ShardSet::EMPTY;
        let replacement = new.key.as_deref().and_then(|key| self.replacement(key));
        let size = new.size();
        if !self.has_space(size, replacement) {
            // Expired events may be what fills the queue.
            if replacement.is_none() {
                woken = self.expire_for(size, now);
            }
            if replacement.is_some() || !self.has_space(size, None) {
                return (Err(NotPushed::Full(new)), woken);
            }
        }
        // A caller decides how many events there are and how long their keys are. Nothing has changed so far.
        let key = match replacement.is_none().then(|| self.reserve(&new)).transpose() {
            Ok(key) => key.flatten(),
            Err(_) => return (Err(NotPushed::OutOfMemory), woken),
        };
        let (shards, is_alone) = (new.shards, new.is_alone);
        let waiting = self.admit(new, now);
        let id = waiting.entry.id;
        match replacement {
            Some(Replacement { location, .. }) => self.replace(location, waiting, now),
            None if is_alone => self.push_alone(shards, waiting),
            None => self.push_to_shard(shards.iter().next().unwrap_or(0), waiting, key),
        }
        (Ok(id), woken)
    }

    /// Reserves space and memory for all these events, or says why it cannot. Returns the shards to wake: expired
    /// events may have made room.
    pub fn reserve_for(&mut self, events: &[OldEvent<E>], now: Instant) -> (Result<Reserved, NotRestored>, ShardSet) {
        let size = events.iter().fold(Size { memory_bytes: 0, request_bytes: 0 }, |sum, event| Size {
            memory_bytes: sum.memory_bytes.saturating_add(event.new.memory_bytes),
            request_bytes: sum.request_bytes.max(event.new.request_bytes),
        });
        let mut woken = ShardSet::EMPTY;
        if !self.has_space_for_all(events.len(), size) {
            woken = self.expire_for(size, now);
            if !self.has_space_for_all(events.len(), size) {
                return (Err(NotRestored::Full), woken);
            }
        }
        (self.reserve_all(events).map(Reserved).map_err(|_| NotRestored::OutOfMemory), woken)
    }

    /// Queues events of another publisher, for which memory is reserved. Their ids follow each other, and
    /// [`Queue::published`]. An event whose key a waiting one has ends as [`Reason::Superseded`]: that one is newer.
    pub fn restore(&mut self, events: Vec<OldEvent<E>>, reserved: Reserved, now: Instant) {
        let last_before = self.last_id;
        for (OldEvent { new, published }, key) in events.into_iter().zip(reserved.0) {
            let (shards, is_alone) = (new.shards, new.is_alone);
            let replacement = new.key.as_deref().and_then(|key| self.replacement(key));
            let waiting = self.admit(new, published);
            match replacement {
                Some(Replacement { id, .. }) if id <= last_before => {
                    self.end(&waiting.entry, now, End::Unsent(Reason::Superseded));
                }
                Some(Replacement { location, .. }) => self.replace(location, waiting, now),
                None if is_alone => self.push_alone(shards, waiting),
                None => self.push_to_shard(shards.iter().next().unwrap_or(0), waiting, key),
            }
        }
    }

    /// Counts an event, and returns it with a new id.
    fn admit(&mut self, new: NewEvent<E>, published: Instant) -> Waiting<E> {
        let NewEvent { event, memory_bytes, request_bytes, key, .. } = new;
        self.last_id += 1;
        self.events += 1;
        self.bytes += memory_bytes;
        self.largest_request = self.largest_request.max(request_bytes);
        let id = self.last_id;
        let entry = Entry { id, published, memory_bytes, request_bytes, place: id };
        Waiting { entry, since: published, key, event }
    }

    /// Returns whether waiting would not add events to the shard's next batch.
    pub fn has_full_batch(&self, shard: usize) -> bool {
        self.shards[shard].has_full_batch(self.batch_limits())
    }

    /// Returns whether an event of this size would fit if only those in flight were left.
    pub fn could_hold(&self, size: Size) -> bool {
        self.flying_events < self.limits.events && self.flying_bytes + self.needs(size) <= self.limits.bytes
    }

    /// Returns whether an event of this size, without a key, would fit.
    pub fn has_space_for(&self, size: Size) -> bool {
        self.has_space(size, None)
    }

    /// Returns whether enough space is free to make waking blocked publishers worthwhile.
    pub fn has_spare_space(&self) -> bool {
        let QueueLimits { events, bytes, .. } = self.limits;
        self.events <= events - events / SPARE_FRACTION && self.bytes <= bytes - bytes / SPARE_FRACTION
    }

    /// Drops the event that has waited longest. Returns the shards to wake, or `None` if no event
    /// waits. Takes the same time for any number of events: the oldest of all is the first of its
    /// shard.
    pub fn drop_oldest(&mut self, now: Instant) -> Option<ShardSet> {
        let firsts = (0..self.shards.len()).filter_map(|shard| Some((shard, self.first_waiting(shard)?)));
        let (shard, first) = firsts.min_by_key(|(_, first)| first.place)?;
        Some(self.end_waiting(shard, first, now, Reason::Dropped))
    }

    /// Returns what the sender of a shard does next, and the other shards to wake. The shard must
    /// have no request in flight.
    pub fn next(&mut self, shard: usize, now: Instant) -> (Next<E>, ShardSet) {
        if self.is_held {
            return (Next::Finished, ShardSet::EMPTY);
        }
        if self.alone_until.is_some_and(|until| now >= until) {
            self.alone_until = None;
        }
        let mut woken = ShardSet::EMPTY;
        for _ in 0..MAX_EXPIRED_AT_ONCE {
            let next = match self.shards[shard].first() {
                None if self.is_closed => Some(Next::Finished),
                None => Some(Next::Wait),
                Some(Slot::Event(waiting)) if waiting.entry.is_expired(self.limits.ttl, now) => {
                    self.end_event(shard, 0, now, Reason::Expired);
                    None
                }
                Some(Slot::Event(_)) => Some(self.next_batch(shard, now)),
                Some(Slot::Barrier(id)) => self.next_at_barrier(shard, *id, now, &mut woken),
            };
            if let Some(next) = next {
                return (next, woken);
            }
        }
        (Next::Again, woken)
    }

    /// Grants a request besides those of [`Next::Send`], or returns until when it has to wait.
    pub fn take_turn(&mut self, now: Instant) -> Result<(), Instant> {
        check(&mut self.pace, now)?;
        if let Some(pace) = &mut self.pace {
            pace.begin_request();
        }
        Ok(())
    }

    /// Takes note of what the response to a request says about the rate limit. Returns the shards to
    /// wake.
    pub fn note_rate_limit(&mut self, said: Said, now: Instant) -> ShardSet {
        match self.pace.as_mut().is_some_and(|pace| pace.end_request(said, now)) {
            true => (0..self.shards.len()).fold(ShardSet::EMPTY, |shards, shard| shards.with(shard)),
            false => ShardSet::EMPTY,
        }
    }

    /// Marks the request as waiting for a retry. If the publisher gives up first, its events end
    /// with `outcome`. Returns whether it may be retried, as [`Queue::may_retry`] does.
    pub fn suspend(&mut self, shard: usize, request: u64, outcome: L::Outcome) -> bool {
        if let Some(in_flight) = self.shards[shard].request(request) {
            in_flight.suspended = Some(outcome);
        }
        self.may_retry(shard, request)
    }

    /// Returns whether a suspended request may be retried: it was not abandoned, and the queue does not ask for its events.
    pub fn may_retry(&self, shard: usize, request: u64) -> bool {
        let in_flight = self.shards[shard].in_flight.as_ref().filter(|in_flight| in_flight.request == request);
        in_flight.is_some_and(|in_flight| !self.is_withdrawn(in_flight))
    }

    /// Returns whether the queue asks for the events of a request.
    fn is_withdrawn(&self, in_flight: &InFlight<L::Outcome>) -> bool {
        self.is_held && in_flight.suspended.as_ref().is_some_and(L::is_not_sent)
    }

    /// Marks the request as being retried. Returns false if it was already abandoned.
    pub fn resume(&mut self, shard: usize, request: u64) -> bool {
        let Some(in_flight) = self.shards[shard].request(request) else { return false };
        in_flight.suspended = None;
        true
    }

    /// Ends the first `count` events of a request that have not ended, and returns the shards to
    /// wake. Does nothing if the request was abandoned.
    pub fn complete(
        &mut self,
        shard: usize,
        request: u64,
        count: usize,
        outcome: &L::Outcome,
        now: Instant,
    ) -> ShardSet {
        for _ in 0..count {
            let entry = self.shards[shard].request(request).and_then(|in_flight| in_flight.entries.pop_front());
            let Some(entry) = entry else { break };
            self.end_in_flight(&entry, now, End::Sent(outcome.clone()));
        }
        match self.shards[shard].request(request) {
            Some(in_flight) if in_flight.entries.is_empty() => self.end_request(shard),
            _ => ShardSet::EMPTY,
        }
    }

    /// Puts the events of a request back to where they were: nothing of it was sent. No newer event replaces them any
    /// more. Returns the shards to wake. If there is no memory for that, it changes nothing and returns `None`. Does nothing
    /// if the request was abandoned.
    pub fn requeue(&mut self, shard: usize, request: u64, events: Vec<E>) -> Option<ShardSet> {
        if !self.is_in_flight(shard, request) {
            return Some(ShardSet::EMPTY);
        }
        self.shards[shard].reserve(events.len()).ok()?;
        let InFlight { entries, spanning, .. } = self.take_request(shard)?;
        // The last one first.
        for (entry, event) in entries.into_iter().zip(events).rev() {
            self.flying_events -= 1;
            self.flying_bytes -= entry.memory_bytes;
            let waiting = Waiting { since: entry.published, key: None, entry, event };
            match spanning.map(|id| self.spanning.get_mut(&id)) {
                None => self.shards[shard].push_front(waiting),
                // Its barriers are where they were.
                Some(Some(spanning)) => spanning.waiting = Some(waiting),
                Some(None) => {}
            }
        }
        Some(std::mem::replace(&mut self.starved, ShardSet::EMPTY))
    }

    /// Puts the events of a request back that the queue asks for. `events` are those that the request began with. If there
    /// is no memory for that, they end with the outcome so far. Does nothing if the queue does not ask for them. Returns the
    /// shards to wake.
    pub fn take_back(&mut self, shard: usize, request: u64, mut events: Vec<E>, now: Instant) -> ShardSet {
        let in_flight = self.shards[shard].in_flight.as_ref().filter(|in_flight| in_flight.request == request);
        let Some(in_flight) = in_flight.filter(|in_flight| self.is_withdrawn(in_flight)) else {
            return ShardSet::EMPTY;
        };
        let (count, outcome) = (in_flight.entries.len(), in_flight.suspended.clone());
        // The first ones have ended.
        drop(events.drain(..events.len().saturating_sub(count)));
        match (self.requeue(shard, request, events), outcome) {
            (None, Some(outcome)) => self.complete(shard, request, count, &outcome, now),
            (requeued, _) => requeued.unwrap_or(ShardSet::EMPTY),
        }
    }

    /// Ends all events: those that wait for this reason, those of a suspended request with
    /// its outcome so far, and all others in flight with `interrupted`. The caller decides which thread frees their memory.
    #[must_use]
    pub fn abandon(&mut self, interrupted: &L::Outcome, reason: Reason, now: Instant) -> Remains<E> {
        for shard in 0..self.shards.len() {
            if let Some(in_flight) = self.take_request(shard) {
                let outcome = in_flight.suspended.unwrap_or_else(|| interrupted.clone());
                for entry in in_flight.entries {
                    self.end_in_flight(&entry, now, End::Sent(outcome.clone()));
                }
                if let Some(id) = in_flight.spanning {
                    self.spanning.remove(&id);
                }
            }
        }
        let slots: Vec<_> = self.shards.iter_mut().map(Shard::take_slots).collect();
        let (spanning, keys) = (taken(&mut self.spanning), taken(&mut self.keys));
        let in_slots = slots.iter().flatten().filter_map(|slot| match slot {
            Slot::Event(waiting) => Some(&waiting.entry),
            Slot::Barrier(_) => None,
        });
        let alone = spanning.values().filter_map(|spanning| spanning.waiting.as_ref()).map(|waiting| &waiting.entry);
        for entry in in_slots.chain(alone) {
            self.end(entry, now, End::Unsent(reason));
        }
        Remains { _slots: slots, _spanning: spanning, _keys: keys }
    }

    /// Returns whether a request is in flight: neither complete nor abandoned.
    pub fn is_in_flight(&self, shard: usize, request: u64) -> bool {
        self.shards[shard].is_in_flight(request)
    }

    fn batch_limits(&self) -> BatchLimits {
        let events = if self.alone_until.is_some() { 1 } else { self.limits.batch_events };
        BatchLimits { events, bytes: self.limits.batch_bytes }
    }

    /// Returns the waiting event that a new one with this key replaces.
    fn replacement(&self, key: &str) -> Option<Replacement> {
        let location = *self.keys.get(key)?;
        let waiting = self.shards.get(location.shard)?.event_at(location.slot)?;
        let Entry { id, memory_bytes, .. } = waiting.entry;
        Some(Replacement { id, location, memory_bytes })
    }

    fn has_space(&self, size: Size, replacement: Option<Replacement>) -> bool {
        let (freed_events, freed_bytes) = replacement.map_or((0, 0), |replaced| (1, replaced.memory_bytes));
        self.events - freed_events < self.limits.events
            && self.bytes - freed_bytes + self.needs(size) <= self.limits.bytes
    }

    fn has_space_for_all(&self, count: usize, size: Size) -> bool {
        self.events.saturating_add(count) <= self.limits.events
            && self.bytes.saturating_add(self.needs(size)) <= self.limits.bytes
    }

    /// Returns the memory that an event needs: its own, and so much that the largest request of the queue has space once those
    /// in flight have ended.
    fn needs(&self, size: Size) -> usize {
        let largest = self.largest_request.max(size.request_bytes);
        size.memory_bytes.saturating_add(largest.saturating_sub(self.requests_bytes))
    }

    /// Returns whether there is memory for a request with an event of this size. If not, the shard is woken when another's
    /// request ends. Without any in flight there always is: see `needs`.
    fn has_space_for_request(&mut self, shard: usize, request_bytes: usize) -> bool {
        let has_space = self.requests_bytes == 0 || self.bytes + request_bytes <= self.limits.bytes;
        if !has_space {
            self.starved = self.starved.with(shard);
        }
        has_space
    }

    /// Takes a shard's request out of flight.
    fn take_request(&mut self, shard: usize) -> Option<InFlight<L::Outcome>> {
        let in_flight = self.shards[shard].in_flight.take()?;
        self.requests_bytes -= in_flight.request_bytes;
        self.flying_bytes -= in_flight.request_bytes;
        self.bytes -= in_flight.request_bytes;
        Some(in_flight)
    }

    fn replace(&mut self, location: Location, newer: Waiting<E>, now: Instant) {
        if let Some(older) = self.shards[location.shard].replace_event(location.slot, newer) {
            self.end(&older.entry, now, End::Unsent(Reason::Superseded));
        }
    }

    /// Reserves memory for one more event, and returns a copy of its key.
    fn reserve(&mut self, new: &NewEvent<E>) -> Result<Option<Box<str>>, TryReserveError> {
        for shard in new.shards.iter() {
            self.shards[shard].reserve(1)?;
        }
        if new.is_alone {
            self.spanning.try_reserve(1)?;
        }
        let Some(key) = new.key.as_deref() else { return Ok(None) };
        self.keys.try_reserve(1)?;
        copied(key).map(Some)
    }

    /// Reserves memory for all these events, and returns copies of their keys.
    fn reserve_all(&mut self, events: &[OldEvent<E>]) -> Result<Vec<Option<Box<str>>>, TryReserveError> {
        for shard in 0..self.shards.len() {
            let count = events.iter().filter(|event| event.new.shards.contains(shard)).count();
            self.shards[shard].reserve(count)?;
        }
        self.spanning.try_reserve(events.iter().filter(|event| event.new.is_alone).count())?;
        self.keys.try_reserve(events.iter().filter(|event| event.new.key.is_some()).count())?;
        let mut keys = Vec::new();
        keys.try_reserve_exact(events.len())?;
        for event in events {
            keys.push(event.new.key.as_deref().map(copied).transpose()?);
        }
        Ok(keys)
    }

    fn push_to_shard(&mut self, shard: usize, waiting: Waiting<E>, key: Option<Box<str>>) {
        let slot = self.shards[shard].push_event(waiting);
        if let Some(key) = key {
            self.keys.insert(key, Location { shard, slot });
        }
    }

    fn push_alone(&mut self, shards: ShardSet, waiting: Waiting<E>) {
        let id = waiting.entry.id;
        for shard in shards.iter() {
            self.shards[shard].push_barrier(id);
        }
        self.spanning.insert(id, Spanning { shards, ready: ShardSet::EMPTY, waiting: Some(waiting) });
    }

    /// Returns what a shard does whose first slot is an event.
    fn next_batch(&mut self, shard: usize, now: Instant) -> Next<E> {
        let (limits, is_draining) = (self.batch_limits(), self.drains > 0 || self.is_closed);
        let until = self.shards[shard].lingers_until(limits, self.limits.linger);
        if let Some(until) = until.filter(|until| !is_draining && now < *until) {
            return Next::WaitUntil(until);
        }
        if let Err(until) = self.may_send(now) {
            return Next::WaitUntil(until);
        }
        let first = self.shards[shard].first_request_bytes();
        if !self.has_space_for_request(shard, first) {
            return Next::Wait;
        }
        let space = self.limits.bytes.saturating_sub(self.bytes);
        let limits = BatchLimits { bytes: limits.bytes.min(space), ..limits };
        let mut count = self.shards[shard].batch_size(limits, self.limits.ttl, now);
        let (mut entries, mut events) = (VecDeque::new(), Vec::new());
        // Without memory for a large batch, one event is sent.
        if entries.try_reserve(count).is_err() || events.try_reserve_exact(count).is_err() {
            (entries, events, count) = (VecDeque::new(), Vec::new(), 1);
        }
        if let Some(rate_limit) = &mut self.rate_limit {
            match rate_limit.take(count, now) {
                Ok(granted) => count = granted,
                Err(until) => return Next::WaitUntil(until),
            }
        }
        let mut request_bytes = 0;
        for waiting in (0..count).map_while(|_| self.remove_event(shard, 0)) {
            request_bytes += waiting.entry.request_bytes;
            entries.push_back(waiting.entry);
            events.push(waiting.event);
        }
        self.dispatch(shard, entries, events, (request_bytes, None))
    }

    /// Returns what a shard does whose first slot is this event's barrier. `None` if it has to look
    /// at its first slot again.
    fn next_at_barrier(&mut self, shard: usize, id: u64, now: Instant, woken: &mut ShardSet) -> Option<Next<E>> {
        let Some(spanning) = self.spanning.get_mut(&id) else {
            self.shards[shard].remove(0);
            return None;
        };
        let Some(waiting) = &spanning.waiting else { return Some(Next::Wait) };
        if waiting.entry.is_expired(self.limits.ttl, now) {
            *woken = woken.union(self.end_spanning(id, now, Reason::Expired));
            return None;
        }
        spanning.ready = spanning.ready.with(shard);
        if spanning.ready != spanning.shards {
            return Some(Next::Wait);
        }
        // The last shard to be ready sends the event.
        let request_bytes = waiting.entry.request_bytes;
        if !self.has_space_for_request(shard, request_bytes) {
            return Some(Next::Wait);
        }
        if let Err(until) = self.may_send(now) {
            return Some(Next::WaitUntil(until));
        }
        if let Some(rate_limit) = &mut self.rate_limit {
            if let Err(until) = rate_limit.take(1, now) {
                return Some(Next::WaitUntil(until));
            }
        }
        let waiting = self.spanning.get_mut(&id)?.waiting.take()?;
        let request = (waiting.entry.request_bytes, Some(id));
        Some(self.dispatch(shard, VecDeque::from([waiting.entry]), vec![waiting.event], request))
    }

    /// Returns until when a request has to wait for the gate or for the rate limit of the server, unless one may be sent now.
    fn may_send(&mut self, now: Instant) -> Result<(), Instant> {
        self.gate.as_ref().map_or(Ok(()), |gate| gate.check(now))?;
        check(&mut self.pace, now)
    }

    /// Puts a request with these events in flight, which has this size and perhaps the barriers of an event.
    fn dispatch(
        &mut self,
        shard: usize,
        entries: VecDeque<Entry>,
        events: Vec<E>,
        (request_bytes, spanning): (usize, Option<u64>),
    ) -> Next<E> {
        if let Some(pace) = &mut self.pace {
            pace.begin_request();
        }
        self.flying_events += entries.len();
        self.flying_bytes += entries.iter().map(|entry| entry.memory_bytes).sum::<usize>() + request_bytes;
        self.bytes += request_bytes;
        self.requests_bytes += request_bytes;
        self.last_request += 1;
        let request = self.last_request;
        self.shards[shard].in_flight = Some(InFlight { request, entries, request_bytes, suspended: None, spanning });
        Next::Send(Batch { request, events })
    }

    /// Ends a request all of whose events have ended, and returns the shards that waited for it.
    fn end_request(&mut self, shard: usize) -> ShardSet {
        let alone = self.take_request(shard).and_then(|in_flight| in_flight.spanning);
        let starved = std::mem::replace(&mut self.starved, ShardSet::EMPTY);
        alone.and_then(|id| self.spanning.remove(&id)).map_or(starved, |spanning| starved.union(spanning.shards))
    }

    fn end(&mut self, entry: &Entry, now: Instant, end: End<L::Outcome>) {
        self.events -= 1;
        self.bytes -= entry.memory_bytes;
        if self.events == 0 {
            self.largest_request = 0;
        }
        self.ledger.end(entry.id, now.saturating_duration_since(entry.published), end);
    }

    fn end_in_flight(&mut self, entry: &Entry, now: Instant, end: End<L::Outcome>) {
        self.flying_events -= 1;
        self.flying_bytes -= entry.memory_bytes;
        self.end(entry, now, end);
    }

    /// Removes a slot of a shard, which is the first or the second, and ends its event, if it has one.
    fn end_event(&mut self, shard: usize, index: usize, now: Instant, reason: Reason) {
        if let Some(waiting) = self.remove_event(shard, index) {
            self.end(&waiting.entry, now, End::Unsent(reason));
        }
    }

    /// Ends the event of a shard that has waited longest. Returns the shards to wake.
    fn end_waiting(&mut self, shard: usize, first: First, now: Instant, reason: Reason) -> ShardSet {
        match first.alone {
            Some(id) => self.end_spanning(id, now, reason),
            None => {
                self.end_event(shard, first.index, now, reason);
                ShardSet::EMPTY
            }
        }
    }

    /// Ends an event that is sent alone and is not in flight. Returns its shards: its barriers are
    /// stale now, and no longer block them.
    fn end_spanning(&mut self, id: u64, now: Instant, reason: Reason) -> ShardSet {
        let Some(spanning) = self.spanning.remove(&id) else { return ShardSet::EMPTY };
        if let Some(waiting) = spanning.waiting {
            self.end(&waiting.entry, now, End::Unsent(reason));
        }
        spanning.shards
    }

    /// Ends expired events that are first in their shards: a number of them, and more until an event of this size fits.
    /// Returns the shards to wake.
    fn expire_for(&mut self, size: Size, now: Instant) -> ShardSet {
        let mut woken = ShardSet::EMPTY;
        let Some(ttl) = self.limits.ttl else { return woken };
        let mut ended = 0;
        for shard in 0..self.shards.len() {
            while let Some(first) = self.first_waiting(shard) {
                if ended >= MAX_EXPIRED_AT_ONCE && self.has_space(size, None) {
                    return woken;
                }
                ended += 1;
                if now.saturating_duration_since(first.published) < ttl {
                    break;
                }
                woken = woken.union(self.end_waiting(shard, first, now, Reason::Expired));
            }
        }
        woken
    }

    /// Removes a slot of a shard, which is the first or the second. Returns its event, if it has one, and
    /// removes the event's key.
    fn remove_event(&mut self, shard: usize, index: usize) -> Option<Waiting<E>> {
        let Slot::Event(waiting) = self.shards[shard].remove(index)? else { return None };
        if let Some(key) = &waiting.key {
            self.keys.remove(key);
        }
        Some(waiting)
    }

    /// Returns the event of a shard that has waited longest. Removes the stale barriers before it, or
    /// they would pile up while the shard's request is in flight.
    fn first_waiting(&mut self, shard: usize) -> Option<First> {
        let mut index = 0;
        loop {
            let id = match self.shards[shard].slot(index)? {
                Slot::Event(Waiting { entry, .. }) => {
                    return Some(First { place: entry.place, published: entry.published, index, alone: None });
                }
                Slot::Barrier(id) => *id,
            };
            match self.spanning.get(&id).map(|spanning| &spanning.waiting) {
                Some(Some(Waiting { entry, .. })) => {
                    return Some(First { place: entry.place, published: entry.published, index, alone: Some(id) });
                }
                // In flight, and therefore in the first slot.
                Some(None) => index += 1,
                None => drop(self.shards[shard].remove(index)),
            }
        }
    }
}

/// Returns a copy of a key, whose length a caller decides.
fn copied(key: &str) -> Result<Box<str>, TryReserveError> {
    let mut copy = String::new();
    copy.try_reserve_exact(key.len())?;
    copy.push_str(key);
    Ok(copy.into())
}

/// Returns until when a request has to wait for the rate limit of the server.
fn check(pace: &mut Option<Pace>, now: Instant) -> Result<(), Instant> {
    pace.as_mut().map_or(Ok(()), |pace| pace.check(now))
}
