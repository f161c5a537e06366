//! One shard: its slots, and its request in flight.

use std::collections::{TryReserveError, VecDeque};
use std::time::{Duration, Instant};

use super::shard_set::ShardSet;

/// The data of an event that is needed until it ends.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) published: Instant,
    pub(super) memory_bytes: usize,
    /// The bytes that it adds to a request.
    pub(super) request_bytes: usize,
    /// The id of the event that first took its slot: this one, or the first one that it replaced.
    pub(super) place: u64,
}

impl Entry {
    pub(super) fn is_expired(&self, ttl: Option<Duration>, now: Instant) -> bool {
        ttl.is_some_and(|ttl| now.saturating_duration_since(self.published) >= ttl)
    }
}

/// An event that waits.
#[derive(Debug)]
pub(super) struct Waiting<E> {
    pub(super) entry: Entry,
    /// When its slot was first taken: by this event, or by the first one that it replaced.
    pub(super) since: Instant,
    /// A newer event with the same key replaces this one.
    pub(super) key: Option<Box<str>>,
    pub(super) event: E,
}

/// One position in a shard.
#[derive(Debug)]
pub(super) enum Slot<E> {
    Event(Waiting<E>),
    /// A barrier for an event that must be sent alone. Stale, and skipped, once that event has
    /// ended.
    Barrier(u64),
}

/// An event that is sent alone, and may span several shards. Each of them has a barrier for it.
#[derive(Debug)]
pub(super) struct Spanning<E> {
    pub(super) shards: ShardSet,
    /// The shards in which its barrier is the first slot.
    pub(super) ready: ShardSet,
    /// `None` while it is in flight.
    pub(super) waiting: Option<Waiting<E>>,
}

/// The request that a shard has in flight.
#[derive(Debug)]
pub(super) struct InFlight<O> {
    pub(super) request: u64,
    /// Its events that have not ended.
    pub(super) entries: VecDeque<Entry>,
    /// The memory of the request itself, which has a copy of its events.
    pub(super) request_bytes: usize,
    /// The outcome so far, while the request waits for a retry.
    pub(super) suspended: Option<O>,
    /// The event that is sent alone, if this is its request.
    pub(super) spanning: Option<u64>,
}

/// Where a batch ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchLimits {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// A shard of the queue. It has at most one request in flight.
#[derive(Debug)]
pub(super) struct Shard<E, O> {
    slots: VecDeque<Slot<E>>,
    /// The number of the first slot. Slots are numbered in the order in which they were added.
    first_slot: u64,
    /// The bytes that the events in the slots add to requests.
    request_bytes: usize,
    pub(super) in_flight: Option<InFlight<O>>,
}

impl<E, O> Shard<E, O> {
    pub(super) fn new() -> Shard<E, O> {
        Shard { slots: VecDeque::new(), first_slot: 0, request_bytes: 0, in_flight: None }
    }

    pub(super) fn first(&self) -> Option<&Slot<E>> {
        self.slots.front()
    }

    /// Reserves memory for more slots.
    pub(super) fn reserve(&mut self, count: usize) -> Result<(), TryReserveError> {
        self.slots.try_reserve(count)
    }

    /// Adds an event and returns the number of its slot.
    pub(super) fn push_event(&mut self, waiting: Waiting<E>) -> u64 {
        let slot = self.first_slot + self.slots.len() as u64;
        self.request_bytes += waiting.entry.request_bytes;
        self.slots.push_back(Slot::Event(waiting));
        slot
    }

    /// Puts an event back that was the first one.
    pub(super) fn push_front(&mut self, waiting: Waiting<E>) {
        self.first_slot = self.first_slot.wrapping_sub(1);
        self.request_bytes += waiting.entry.request_bytes;
        self.slots.push_front(Slot::Event(waiting));
    }

    /// Adds a barrier for the event with this id.
    pub(super) fn push_barrier(&mut self, id: u64) {
        self.slots.push_back(Slot::Barrier(id));
    }

    /// Returns the slots in their order.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot<E>> {
        self.slots.iter()
    }

    /// Returns the slot at this index: 0 is the first.
    pub(super) fn slot(&self, index: usize) -> Option<&Slot<E>> {
        self.slots.get(index)
    }

    /// Removes the slot at this index, which is the first or the second, in constant time. The others keep their order
    /// and, if the second slot was removed, the first is a barrier.
    pub(super) fn remove(&mut self, index: usize) -> Option<Slot<E>> {
        if index >= self.slots.len() {
            return None;
        }
        // The first slot takes the place and the number of the one that is removed. No one knows a barrier's number.
        self.slots.swap(0, index);
        let removed = self.slots.pop_front()?;
        self.first_slot += 1;
        if let Slot::Event(waiting) = &removed {
            self.request_bytes -= waiting.entry.request_bytes;
        }
        Some(removed)
    }

    /// Returns the bytes that the event in the first slot adds to a request.
    pub(super) fn first_request_bytes(&self) -> usize {
        match self.slots.front() {
            Some(Slot::Event(waiting)) => waiting.entry.request_bytes,
            _ => 0,
        }
    }

    /// Removes all slots.
    pub(super) fn take_slots(&mut self) -> VecDeque<Slot<E>> {
        self.first_slot += self.slots.len() as u64;
        self.request_bytes = 0;
        std::mem::take(&mut self.slots)
    }

    /// Returns the event in the slot with this number.
    pub(super) fn event_at(&self, slot: u64) -> Option<&Waiting<E>> {
        match self.slots.get(self.index_of(slot)?)? {
            Slot::Event(waiting) => Some(waiting),
            Slot::Barrier(_) => None,
        }
    }

    /// Puts a newer event in the place of the one in this slot, and returns the older one. The slot
    /// keeps its age and its place, so that a value which is updated all the time is still sent after `linger`.
    pub(super) fn replace_event(&mut self, slot: u64, newer: Waiting<E>) -> Option<Waiting<E>> {
        let index = self.index_of(slot)?;
        let Some(Slot::Event(waiting)) = self.slots.get_mut(index) else { return None };
        let older = std::mem::replace(waiting, newer);
        (waiting.since, waiting.entry.place) = (older.since, older.entry.place);
        self.request_bytes = self.request_bytes + waiting.entry.request_bytes - older.entry.request_bytes;
        Some(older)
    }

    /// Returns whether waiting would not add events to the next batch.
    pub(super) fn has_full_batch(&self, limits: BatchLimits) -> bool {
        self.slots.len() >= limits.events
            || self.request_bytes >= limits.bytes
            || matches!(self.slots.back(), Some(Slot::Barrier(_)))
    }

    /// Returns until when the next batch waits for more events. A single event does not wait.
    pub(super) fn lingers_until(&self, limits: BatchLimits, linger: Duration) -> Option<Instant> {
        match self.slots.front() {
            Some(Slot::Event(first)) if self.slots.len() > 1 && !self.has_full_batch(limits) => {
                Some(first.since + linger)
            }
            _ => None,
        }
    }

    /// Returns how many events the next batch has. An expired event, like a barrier, ends it.
    pub(super) fn batch_size(&self, limits: BatchLimits, ttl: Option<Duration>, now: Instant) -> usize {
        let (mut count, mut bytes) = (0, 0);
        for slot in self.slots.iter().take(limits.events) {
            let Slot::Event(waiting) = slot else { break };
            bytes += waiting.entry.request_bytes;
            if waiting.entry.is_expired(ttl, now) || (count > 0 && bytes > limits.bytes) {
                break;
            }
            count += 1;
        }
        count
    }

    /// Returns whether the request with this number is in flight.
    pub(super) fn is_in_flight(&self, request: u64) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| in_flight.request == request)
    }

    /// Returns the request with this number if it is in flight.
    pub(super) fn request(&mut self, request: u64) -> Option<&mut InFlight<O>> {
        self.in_flight.as_mut().filter(|in_flight| in_flight.request == request)
    }

    fn index_of(&self, slot: u64) -> Option<usize> {
        usize::try_from(slot.checked_sub(self.first_slot)?).ok()
    }
}
