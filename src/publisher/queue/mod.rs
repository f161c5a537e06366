//! What waits, what is under way, and what ended: the publisher's state. No I/O, no thread, no lock; time is an argument.
//!
//! Channels are dealt to shards, and each shard has at most one request under way: that is what keeps a channel's events in
//! order. An event for several channels may span several shards: it stands in the line of each, and is sent, alone, when it has come to
//! the head of all of them.
//!
//! Every event that came in ends exactly once, and its end is written to the [`Ledger`].

mod ledger;
mod shard;
mod shard_set;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use self::shard::{Flight, Place, Shard, Spanning, Ticket, Waiting};
use super::rate_limit::Governor;

pub use self::ledger::{End, Ledger, Reason};
pub use self::shard_set::{MAX_SHARDS, Shards};

/// How much may wait, and how it is put together.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many shards there are.
    pub shards: usize,
    /// How many events may wait or be under way.
    pub events: usize,
    /// How many bytes they may have.
    pub bytes: usize,
    /// How many events one request may carry.
    pub batch_events: usize,
    /// How many bytes of them.
    pub batch_bytes: usize,
    /// How long the first of a batch waits for others.
    pub linger: Duration,
    /// How long an event may wait in all.
    pub ttl: Option<Duration>,
    /// How many events may be sent in a second.
    pub events_per_second: Option<u32>,
}

/// One part in so many of the queue is room to spare.
const SPARE: usize = 16;
/// An event that wants to be taken in.
#[derive(Clone, Debug)]
pub struct New<E> {
    /// The event.
    pub event: E,
    /// What it takes in memory.
    pub bytes: usize,
    /// What it adds to a request, in bytes.
    pub length: usize,
    /// Where its channels belong: one shard, or several if it is alone.
    pub shards: Shards,
    /// Whether it can't be sent beside others.
    pub is_alone: bool,
    /// By what a newer event takes its place. Not for one that is alone.
    pub key: Option<Box<str>>,
}

/// Events to be sent in one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch<E> {
    /// Of the request: what comes of it is told with this.
    pub number: u64,
    /// In their order.
    pub events: Vec<E>,
}

/// What a shard may do now.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<E> {
    /// Send these.
    Send(Batch<E>),
    /// Nothing, until something changes.
    Wait,
    /// Nothing, until then or until something changes.
    WaitUntil(Instant),
    /// Nothing any more.
    Finished,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The state.
pub struct Queue<E, L: Ledger> {
    limits: Limits,
    shards: Vec<Shard<E, L::Outcome>>,
    spanning: HashMap<u64, Spanning<E>>,
    /// Where the event with a key waits: its shard and place.
    keys: HashMap<Box<str>, (usize, u64)>,
    governor: Option<Governor>,
    /// Of all events that have not ended.
    events: usize,
    bytes: usize,
    last_id: u64,
    last_flight: u64,
    closed: bool,
    /// How many wait for everything to be sent, which is no time to linger.
    hurried: usize,
    /// Where ends are written.
    pub ledger: L,
}

impl<E, L: Ledger> Queue<E, L> {
    /// An empty one.
    pub fn new(limits: Limits, ledger: L, now: Instant) -> Queue<E, L> {
        let shard = |_| Shard { line: VecDeque::new(), head: 0, length: 0, flight: None };
        Queue {
            shards: (0..limits.shards).map(shard).collect(),
            spanning: HashMap::new(),
            keys: HashMap::new(),
            governor: limits.events_per_second.map(|rate| Governor::new(rate, now)),
            events: 0,
            bytes: 0,
            last_id: 0,
            last_flight: 0,
            closed: false,
            hurried: 0,
            limits,
            ledger,
        }
    }

    /// How many events have come in so far.
    pub fn published(&self) -> u64 {
        self.last_id
    }

    /// How many events have not ended.
    pub fn events(&self) -> usize {
        self.events
    }

    /// How many bytes they have.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many of them are under way.
    pub fn in_flight(&self) -> usize {
        self.shards.iter().filter_map(|shard| shard.flight.as_ref()).map(|flight| flight.tickets.len()).sum()
    }

    /// Whether nothing more comes in.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Lets nothing more in.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// While anybody is in a hurry, batches do not wait for more.
    pub fn hurry(&mut self) {
        self.hurried += 1;
    }

    /// The opposite.
    pub fn calm_down(&mut self) {
        self.hurried -= 1;
    }

    /// Takes an event in and says its id. With a key it takes the place of the one that waits with the same, so that what changes all
    /// the time is not put off all the time.
    pub fn push(&mut self, new: New<E>, now: Instant) -> Result<u64, (Full, New<E>)> {
        let New { bytes, shards, is_alone, .. } = new;
        let key = &new.key;
        let place = key.as_ref().and_then(|key| self.keys.get(key).copied());
        let replaced = place.and_then(|place| self.ticket_at(place)).map(|ticket| (1, ticket.bytes));
        let (place, replaced) = (place.filter(|_| replaced.is_some()), replaced.unwrap_or((0, 0)));
        let room = |queue: &Self| {
            queue.events - replaced.0 < queue.limits.events && queue.bytes - replaced.1 + bytes <= queue.limits.bytes
        };
        if !room(self) {
            // Those that have waited too long may be what fills it.
            if replaced.0 > 0 || !self.expire_heads(now) || !room(self) {
                return Err((Full, new));
            }
        }
        self.last_id += 1;
        let id = self.last_id;
        let waiting = Waiting {
            ticket: Ticket { id, published: now, bytes },
            since: now,
            length: new.length,
            key: new.key,
            event: new.event,
        };
        self.events += 1;
        self.bytes += bytes;
        match place {
            Some(place) => self.replace(place, waiting, now),
            None if !is_alone => {
                let number = shards.each().next().unwrap_or(0);
                let shard = &mut self.shards[number];
                if let Some(key) = &waiting.key {
                    self.keys.insert(key.clone(), (number, shard.head + shard.line.len() as u64));
                }
                shard.length += waiting.length;
                shard.line.push_back(Place::One(waiting));
            }
            None => {
                for number in shards.each() {
                    self.shards[number].line.push_back(Place::Turn(id));
                }
                self.spanning.insert(id, Spanning { shards, arrived: Shards::NONE, waiting: Some(waiting) });
            }
        }
        Ok(id)
    }

    /// Whether the shard has so much that there is nothing to wait for.
    pub fn is_full_batch(&self, shard: usize) -> bool {
        let shard = &self.shards[shard];
        shard.line.len() >= self.limits.batch_events
            || shard.length >= self.limits.batch_bytes
            || matches!(shard.line.back(), Some(Place::Turn(_)))
    }

    /// Whether there would be room for so many bytes if nothing waited.
    pub fn could_hold(&self, bytes: usize) -> bool {
        let flying = self.shards.iter().filter_map(|shard| shard.flight.as_ref());
        let (events, flying_bytes) = flying
            .flat_map(|flight| &flight.tickets)
            .fold((0, 0), |(events, bytes), ticket| (events + 1, bytes + ticket.bytes));
        events < self.limits.events && flying_bytes + bytes <= self.limits.bytes
    }

    /// Whether there is so much room that those who wait for it don't at once wait again.
    pub fn has_room_to_spare(&self) -> bool {
        let Limits { events, bytes, .. } = self.limits;
        self.events() <= events - events / SPARE && self.bytes() <= bytes - bytes / SPARE
    }

    /// Takes out the event that has waited longest, if any waits, and says which shards to wake.
    pub fn drop_oldest(&mut self, now: Instant) -> Option<Shards> {
        (0..self.shards.len()).for_each(|number| self.pop_dead_turns(number));
        let oldest_own = |(number, shard): (usize, &Shard<E, L::Outcome>)| match shard.line.front()? {
            Place::One(waiting) => Some((waiting.ticket.id, number)),
            Place::Turn(_) => None,
        };
        let own = self.shards.iter().enumerate().filter_map(oldest_own).min();
        let across = self.spanning.iter().filter(|(_, spanning)| spanning.waiting.is_some()).map(|(id, _)| *id).min();
        match (own, across) {
            (Some((id, shard)), across) if across.is_none_or(|other| id < other) => {
                let waiting = self.pop_own(shard)?;
                self.end(&waiting.ticket, now, End::Unsent(Reason::Dropped));
                Some(Shards::NONE)
            }
            (_, Some(id)) => Some(self.end_spanning(id, now, Reason::Dropped)),
            _ => None,
        }
    }

    /// What a shard may do now. It must have nothing under way. With it, the shards to be woken.
    pub fn next(&mut self, number: usize, now: Instant) -> (Next<E>, Shards) {
        let mut woken = Shards::NONE;
        loop {
            let Some(place) = self.shards[number].line.front() else {
                return (if self.closed { Next::Finished } else { Next::Wait }, woken);
            };
            let turn = match place {
                Place::One(waiting) if self.is_expired(&waiting.ticket, now) => {
                    if let Some(waiting) = self.pop_own(number) {
                        self.end(&waiting.ticket, now, End::Unsent(Reason::Expired));
                    }
                    continue;
                }
                Place::One(_) => return (self.next_batch(number, now), woken),
                Place::Turn(id) => *id,
            };
            let Some(spanning) = self.spanning.get_mut(&turn) else {
                self.pop_turn(number);
                continue;
            };
            let Some(waiting) = &spanning.waiting else { return (Next::Wait, woken) };
            if is_expired(&waiting.ticket, self.limits.ttl, now) {
                woken = woken.union(self.end_spanning(turn, now, Reason::Expired));
                continue;
            }
            spanning.arrived = spanning.arrived.and(number);
            if spanning.arrived != spanning.shards {
                return (Next::Wait, woken);
            }
            // The last one to arrive sends it.
            if let Some(governor) = &mut self.governor {
                if let Err(until) = governor.take(1, now) {
                    return (Next::WaitUntil(until), woken);
                }
            }
            let waiting = spanning.waiting.take();
            return (self.fly(number, waiting.into_iter().collect(), Some(turn)), woken);
        }
    }

    /// What a shard may do whose line begins with an event of its own.
    fn next_batch(&mut self, number: usize, now: Instant) -> Next<E> {
        let shard = &self.shards[number];
        let Some(Place::One(first)) = shard.line.front() else { return Next::Wait };
        let alone = shard.line.len() == 1;
        if !alone && !self.is_full_batch(number) && self.hurried == 0 && !self.closed {
            let until = first.since + self.limits.linger;
            if now < until {
                return Next::WaitUntil(until);
            }
        }
        let (mut count, mut length) = (0, 0);
        for place in shard.line.iter().take(self.limits.batch_events) {
            let Place::One(waiting) = place else { break };
            if self.is_expired(&waiting.ticket, now) {
                break;
            }
            length += waiting.length;
            if count > 0 && length > self.limits.batch_bytes {
                break;
            }
            count += 1;
        }
        if let Some(governor) = &mut self.governor {
            match governor.take(count, now) {
                Ok(granted) => count = granted,
                Err(until) => return Next::WaitUntil(until),
            }
        }
        let events = (0..count).filter_map(|_| self.pop_own(number)).collect();
        self.fly(number, events, None)
    }

    fn fly(&mut self, number: usize, waiting: Vec<Waiting<E>>, spanning: Option<u64>) -> Next<E> {
        self.last_flight += 1;
        let (tickets, events) = waiting.into_iter().map(|waiting| (waiting.ticket, waiting.event)).unzip();
        let flight = Flight { number: self.last_flight, tickets, at_rest: None, spanning };
        self.shards[number].flight = Some(flight);
        Next::Send(Batch { number: self.last_flight, events })
    }

    /// The request is going to be sent again, and rests until then; should it not come to that, this is what came of it. False if
    /// it is nobody's business any more.
    pub fn rest(&mut self, shard: usize, flight: u64, outcome: L::Outcome) -> bool {
        let Some(flight) = self.flight_of(shard, flight) else { return false };
        flight.at_rest = Some(outcome);
        true
    }

    /// The request is on the wire again. False if it is nobody's business any more.
    pub fn go_on(&mut self, shard: usize, flight: u64) -> bool {
        let Some(flight) = self.flight_of(shard, flight) else { return false };
        flight.at_rest = None;
        true
    }

    /// What came of the first `count` events of a request that have not ended yet. Says which shards to wake. Of a request that was
    /// given up there is nothing left to be said.
    pub fn settle(&mut self, shard: usize, flight: u64, count: usize, outcome: &L::Outcome, now: Instant) -> Shards {
        for _ in 0..count {
            let Some(ticket) = self.flight_of(shard, flight).and_then(|flight| flight.tickets.pop_front()) else {
                break;
            };
            self.end(&ticket, now, End::Sent(outcome.clone()));
        }
        match self.flight_of(shard, flight) {
            Some(flight) if flight.tickets.is_empty() => self.land(shard),
            _ => Shards::NONE,
        }
    }

    /// Ends all that is left: what waits as closed, and what is under way with what is known of it, or else with `interrupted`.
    pub fn give_up(&mut self, interrupted: &L::Outcome, now: Instant) {
        for number in 0..self.shards.len() {
            if let Some(flight) = self.shards[number].flight.take() {
                let outcome = flight.at_rest.unwrap_or_else(|| interrupted.clone());
                for ticket in flight.tickets {
                    self.end(&ticket, now, End::Sent(outcome.clone()));
                }
                if let Some(id) = flight.spanning {
                    self.spanning.remove(&id);
                }
            }
            while !self.shards[number].line.is_empty() {
                match self.pop_own(number) {
                    Some(waiting) => self.end(&waiting.ticket, now, End::Unsent(Reason::Closed)),
                    None => self.pop_turn(number),
                }
            }
        }
        let left: Vec<u64> = self.spanning.keys().copied().collect();
        for id in left {
            self.end_spanning(id, now, Reason::Closed);
        }
    }

    /// Whether a request has not been given up.
    pub fn is_under_way(&self, shard: usize, flight: u64) -> bool {
        self.shards[shard].flight.as_ref().is_some_and(|known| known.number == flight)
    }

    fn flight_of(&mut self, shard: usize, number: u64) -> Option<&mut Flight<L::Outcome>> {
        self.shards[shard].flight.as_mut().filter(|flight| flight.number == number)
    }

    fn land(&mut self, shard: usize) -> Shards {
        let spanning = self.shards[shard].flight.take().and_then(|flight| flight.spanning);
        spanning.and_then(|id| self.spanning.remove(&id)).map_or(Shards::NONE, |spanning| spanning.shards)
    }

    fn end(&mut self, ticket: &Ticket, now: Instant, end: End<L::Outcome>) {
        self.events -= 1;
        self.bytes -= ticket.bytes;
        self.ledger.end(ticket.id, now.saturating_duration_since(ticket.published), end);
    }

    /// Ends an event that spans shards and is not under way.
    fn end_spanning(&mut self, id: u64, now: Instant, reason: Reason) -> Shards {
        let Some(spanning) = self.spanning.remove(&id) else { return Shards::NONE };
        if let Some(waiting) = spanning.waiting {
            self.end(&waiting.ticket, now, End::Unsent(reason));
        }
        // Its turns are nobody's now, and whoever stood before one may go on.
        spanning.shards
    }

    /// Ends what has waited too long at the heads of the lines. Whether there was any.
    fn expire_heads(&mut self, now: Instant) -> bool {
        let before = self.events;
        for number in 0..self.shards.len() {
            self.pop_dead_turns(number);
            while let Some(Place::One(waiting)) = self.shards[number].line.front() {
                if !self.is_expired(&waiting.ticket, now) {
                    break;
                }
                if let Some(waiting) = self.pop_own(number) {
                    self.end(&waiting.ticket, now, End::Unsent(Reason::Expired));
                }
            }
        }
        self.events < before
    }

    fn is_expired(&self, ticket: &Ticket, now: Instant) -> bool {
        is_expired(ticket, self.limits.ttl, now)
    }

    fn ticket_at(&self, (shard, place): (usize, u64)) -> Option<&Ticket> {
        let shard = self.shards.get(shard)?;
        match shard.line.get(usize::try_from(place.checked_sub(shard.head)?).ok()?)? {
            Place::One(waiting) => Some(&waiting.ticket),
            Place::Turn(_) => None,
        }
    }

    fn replace(&mut self, (number, place): (usize, u64), newer: Waiting<E>, now: Instant) {
        let shard = &mut self.shards[number];
        let index = usize::try_from(place - shard.head).unwrap_or(usize::MAX);
        let Some(Place::One(waiting)) = shard.line.get_mut(index) else { return };
        shard.length += newer.length;
        let older = std::mem::replace(waiting, newer);
        waiting.since = older.since;
        shard.length -= older.length;
        self.end(&older.ticket, now, End::Unsent(Reason::Superseded));
    }

    /// Takes the event at the head of a shard's line, if it is one of its own.
    fn pop_own(&mut self, number: usize) -> Option<Waiting<E>> {
        let shard = &mut self.shards[number];
        match shard.line.pop_front()? {
            Place::One(waiting) => {
                shard.head += 1;
                shard.length -= waiting.length;
                if let Some(key) = &waiting.key {
                    self.keys.remove(key);
                }
                Some(waiting)
            }
            turn @ Place::Turn(_) => {
                shard.line.push_front(turn);
                None
            }
        }
    }

    /// Takes turns of events that are no more from the head of a shard's line.
    fn pop_dead_turns(&mut self, number: usize) {
        while let Some(Place::Turn(id)) = self.shards[number].line.front() {
            if self.spanning.contains_key(id) {
                break;
            }
            self.pop_turn(number);
        }
    }

    fn pop_turn(&mut self, number: usize) {
        let shard = &mut self.shards[number];
        if let Some(Place::Turn(_)) = shard.line.front() {
            shard.line.pop_front();
            shard.head += 1;
        }
    }
}

fn is_expired(ticket: &Ticket, ttl: Option<Duration>, now: Instant) -> bool {
    ttl.is_some_and(|ttl| now.saturating_duration_since(ticket.published) >= ttl)
}
