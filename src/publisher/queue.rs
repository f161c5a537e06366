//! What waits, what is under way, and what ended: the publisher's state. No I/O, no thread, no lock; time is an argument.
//!
//! Channels are dealt to shards, and each shard has at most one request under way: that is what keeps a channel's events in
//! order. An event for several channels may span several shards: it stands in the line of each, and is sent, alone, when it has come to
//! the head of all of them.
//!
//! Every event that came in ends exactly once, and its end is written to the [`Ledger`].

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::governor::Governor;

/// As many shards as there may be: a set of them is the bits of a number.
pub const MAX_SHARDS: usize = 64;

/// Shards, one a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards(u64);

impl Shards {
    /// None.
    pub const NONE: Shards = Shards(0);

    /// Those whose bits are set.
    pub fn from_bits(bits: u64) -> Shards {
        Shards(bits)
    }

    /// A bit for each.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// These, and one more.
    #[must_use]
    pub fn and(self, shard: usize) -> Shards {
        Shards(self.0 | 1 << shard)
    }

    /// Whether this is one of them.
    pub fn has(self, shard: usize) -> bool {
        self.0 >> shard & 1 == 1
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = usize> {
        (0..MAX_SHARDS).filter(move |shard| self.has(*shard))
    }

    fn union(self, other: Shards) -> Shards {
        Shards(self.0 | other.0)
    }
}

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

/// What is known of an event while it is under way.
#[derive(Debug)]
struct Ticket {
    id: u64,
    published: Instant,
    bytes: usize,
}

/// An event that waits.
#[derive(Debug)]
struct Waiting<E> {
    ticket: Ticket,
    /// Since when its place has been waited in, which may be longer than the event.
    since: Instant,
    /// What it adds to a request, in bytes.
    length: usize,
    /// What a newer event would take its place by.
    key: Option<Box<str>>,
    event: E,
}

/// A place in a shard's line.
#[derive(Debug)]
enum Place<E> {
    One(Waiting<E>),
    /// The turn of an event that is sent alone; if there is none any more, nobody's.
    Turn(u64),
}

/// An event that is sent alone, and may span several shards.
#[derive(Debug)]
struct Spanning<E> {
    shards: Shards,
    /// In which of them it has come to the head of the line.
    arrived: Shards,
    /// `None` once it is under way.
    waiting: Option<Waiting<E>>,
}

/// The request that a shard has under way.
#[derive(Debug)]
struct Flight<O> {
    number: u64,
    tickets: VecDeque<Ticket>,
    /// What is known of them while nothing is on the wire: they rest between two attempts.
    at_rest: Option<O>,
    /// The event that is sent alone, if it is one.
    spanning: Option<u64>,
}

#[derive(Debug)]
struct Shard<E, O> {
    line: VecDeque<Place<E>>,
    /// The number of the place at the head of the line; places are counted from the first that there ever was.
    head: u64,
    /// What the events in the line that are its own add to requests.
    length: usize,
    flight: Option<Flight<O>>,
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids with their ends, in order.
    #[derive(Default)]
    struct Ends(Vec<(u64, End<&'static str>)>);

    impl Ledger for Ends {
        type Outcome = &'static str;
        fn end(&mut self, id: u64, _: Duration, end: End<&'static str>) {
            assert!(self.0.iter().all(|(other, _)| *other != id), "{id} ends twice");
            self.0.push((id, end));
        }
    }

    const A: Shards = Shards(0b01);
    const B: Shards = Shards(0b10);
    const BOTH: Shards = Shards(0b11);

    struct Bench {
        queue: Queue<&'static str, Ends>,
        now: Instant,
    }

    fn limits() -> Limits {
        Limits {
            shards: 2,
            events: 5,
            bytes: 100,
            batch_events: 3,
            batch_bytes: 50,
            linger: Duration::from_millis(5),
            ttl: None,
            events_per_second: None,
        }
    }

    impl Bench {
        fn new(limits: Limits) -> Bench {
            let now = Instant::now();
            Bench { queue: Queue::new(limits, Ends::default(), now), now }
        }

        fn push(&mut self, event: &'static str, shards: Shards) -> Option<u64> {
            self.push_new(event, shards, None)
        }

        fn push_keyed(&mut self, event: &'static str, shards: Shards, key: &str) -> Option<u64> {
            self.push_new(event, shards, Some(key.into()))
        }

        fn push_new(&mut self, event: &'static str, shards: Shards, key: Option<Box<str>>) -> Option<u64> {
            let new = New { event, bytes: 10, length: 10, shards, is_alone: shards == BOTH, key };
            self.queue.push(new, self.now).ok()
        }

        fn after(&mut self, ms: u64) -> &mut Bench {
            self.now += Duration::from_millis(ms);
            self
        }

        fn next(&mut self, shard: usize) -> Next<&'static str> {
            self.queue.next(shard, self.now).0
        }

        /// The events that the shard sends now, and their request.
        #[track_caller]
        fn sends(&mut self, shard: usize) -> (Vec<&'static str>, u64) {
            match self.next(shard) {
                Next::Send(batch) => (batch.events, batch.number),
                other => panic!("{other:?}"),
            }
        }

        fn settle(&mut self, shard: usize, flight: u64, count: usize, outcome: &'static str) -> Shards {
            self.queue.settle(shard, flight, count, &outcome, self.now)
        }

        fn ends(&self) -> Vec<(u64, End<&'static str>)> {
            self.queue.ledger.0.clone()
        }
    }

    #[test]
    fn one_that_is_alone_goes_at_once_and_several_wait_for_more() {
        let mut bench = Bench::new(limits());
        assert_eq!(bench.next(0), Next::Wait);
        bench.push("a", A);
        let (events, flight) = bench.sends(0);
        assert_eq!(events, ["a"]);
        bench.settle(0, flight, 1, "ok");
        let start = bench.now;
        bench.push("b", A);
        bench.after(2).push("c", A);
        assert_eq!(bench.next(0), Next::WaitUntil(start + Duration::from_millis(5)));
        bench.after(3);
        assert_eq!(bench.sends(0).0, ["b", "c"]);
        assert_eq!(bench.queue.in_flight(), 2);
    }

    #[test]
    fn a_full_batch_does_not_wait_and_neither_does_one_before_a_turn() {
        let mut bench = Bench::new(limits());
        for event in ["a", "b", "c", "d"] {
            bench.push(event, A);
        }
        assert_eq!(bench.sends(0).0, ["a", "b", "c"]);
        let mut bench = Bench::new(limits());
        for (event, shards) in [("a", A), ("b", A), ("x", BOTH)] {
            bench.push(event, shards);
        }
        assert_eq!(bench.sends(0).0, ["a", "b"]);
        // By bytes: five of ten are what a request may have.
        let mut bench = Bench::new(Limits { batch_events: 10, batch_bytes: 20, ..limits() });
        for event in ["a", "b", "c"] {
            bench.push(event, A);
        }
        assert_eq!(bench.sends(0).0, ["a", "b"]);
    }

    #[test]
    fn nobody_lingers_in_a_hurry() {
        for close in [false, true] {
            let mut bench = Bench::new(limits());
            bench.push("a", A);
            bench.push("b", A);
            assert!(matches!(bench.next(0), Next::WaitUntil(_)));
            if close {
                bench.queue.close()
            } else {
                bench.queue.hurry()
            }
            assert_eq!(bench.sends(0).0, ["a", "b"]);
        }
    }

    #[test]
    fn an_event_across_shards_waits_for_all_and_holds_all() {
        let mut bench = Bench::new(limits());
        bench.push("a1", A);
        bench.push("x", BOTH);
        bench.push("a2", A);
        bench.push("b2", B);
        // B has nothing before it, but A has.
        assert_eq!(bench.next(1), Next::Wait);
        let (events, first) = bench.sends(0);
        assert_eq!(events, ["a1"]);
        bench.settle(0, first, 1, "ok");
        let (events, across) = bench.sends(0);
        assert_eq!(events, ["x"]);
        // It holds B's order as well.
        assert_eq!(bench.next(1), Next::Wait);
        assert_eq!(bench.settle(0, across, 1, "ok"), BOTH);
        assert_eq!(bench.sends(1).0, ["b2"]);
        assert_eq!(bench.sends(0).0, ["a2"]);
    }

    #[test]
    fn the_last_to_arrive_sends_and_two_across_do_not_block_each_other() {
        let mut bench = Bench::new(limits());
        bench.push("x", BOTH);
        bench.push("y", BOTH);
        assert_eq!(bench.next(0), Next::Wait);
        let (events, flight) = bench.sends(1);
        assert_eq!(events, ["x"]);
        assert_eq!(bench.next(0), Next::Wait);
        bench.settle(1, flight, 1, "ok");
        assert_eq!(bench.next(1), Next::Wait);
        assert_eq!(bench.sends(0).0, ["y"]);
    }

    #[test]
    fn there_is_room_for_so_many_events_and_bytes() {
        let mut bench = Bench::new(limits());
        assert!((0..5).all(|_| bench.push("a", A).is_some()));
        assert_eq!(bench.push("b", B), None);
        // What is under way still counts.
        let (events, flight) = bench.sends(0);
        assert_eq!(bench.push("b", B), None);
        bench.settle(0, flight, events.len(), "ok");
        assert_eq!((bench.push("b", B), bench.queue.bytes()), (Some(6), 30));
        let mut bench = Bench::new(Limits { bytes: 25, ..limits() });
        assert_eq!((bench.push("a", A), bench.push("a", A), bench.push("a", A)), (Some(1), Some(2), None));
    }

    #[test]
    fn the_oldest_makes_room_wherever_it_is() {
        let mut bench = Bench::new(limits());
        bench.push("x", BOTH);
        bench.push("a", A);
        bench.push("b", B);
        let now = bench.now;
        assert_eq!(bench.queue.drop_oldest(now), Some(BOTH));
        assert_eq!(bench.queue.drop_oldest(now), Some(Shards::NONE));
        assert_eq!(bench.ends(), [(1, End::Unsent(Reason::Dropped)), (2, End::Unsent(Reason::Dropped))]);
        let (events, _) = bench.sends(1);
        assert_eq!(events, ["b"]);
        // What is under way is not in the queue any more.
        assert_eq!((bench.queue.drop_oldest(now), bench.queue.events()), (None, 1));
        assert_eq!(bench.next(0), Next::Wait);
    }

    #[test]
    fn what_has_waited_too_long_is_not_sent() {
        let mut bench = Bench::new(Limits { ttl: Some(Duration::from_millis(10)), ..limits() });
        bench.push("a", A);
        bench.push("x", BOTH);
        bench.after(9).push("b", A);
        bench.after(1);
        assert_eq!(bench.sends(0).0, ["b"]);
        assert_eq!(bench.ends(), [(1, End::Unsent(Reason::Expired)), (2, End::Unsent(Reason::Expired))]);
        assert_eq!(bench.next(1), Next::Wait);
        // A full queue is not full of those.
        let mut bench = Bench::new(Limits { ttl: Some(Duration::from_millis(10)), ..limits() });
        assert!((0..5).all(|_| bench.push("a", A).is_some()));
        bench.after(10);
        assert!((0..5).all(|_| bench.push("b", B).is_some()));
        assert_eq!((bench.push("b", B), bench.ends().len()), (None, 5));
    }

    #[test]
    fn a_newer_event_takes_the_place_of_the_one_that_waits_with_its_key() {
        let mut bench = Bench::new(limits());
        bench.push_keyed("k1", A, "k");
        bench.push("a", A);
        bench.push_keyed("l1", A, "l");
        assert_eq!(bench.push_keyed("k2", A, "k"), Some(4));
        // Also where there would be no room for one more.
        bench.push("a", A);
        bench.push("a", A);
        assert_eq!(bench.push("a", A), None);
        assert_eq!(bench.push_keyed("k3", A, "k"), Some(7));
        assert_eq!(bench.sends(0).0, ["k3", "a", "l1"]);
        assert_eq!(bench.ends(), [(1, End::Unsent(Reason::Superseded)), (4, End::Unsent(Reason::Superseded))]);
        // What is under way can't be replaced.
        assert_eq!(bench.push_keyed("k4", A, "k"), None);
        assert!(bench.queue.keys.is_empty());
    }

    #[test]
    fn what_is_renewed_all_the_time_is_not_put_off() {
        let mut bench = Bench::new(limits());
        bench.push_keyed("k", A, "k");
        bench.push_keyed("l", A, "l");
        for _ in 0..2 {
            bench.after(2);
            assert!(matches!(bench.next(0), Next::WaitUntil(_)));
            bench.push_keyed("k", A, "k");
            bench.push_keyed("l", A, "l");
        }
        bench.after(1);
        assert_eq!(bench.sends(0).0, ["k", "l"]);
    }

    #[test]
    fn an_event_that_is_sent_alone_shares_no_request_in_one_shard_either() {
        let mut bench = Bench::new(limits());
        let alone = |event| New { event, bytes: 10, length: 10, shards: A, is_alone: true, key: None };
        bench.push("a", A);
        let now = bench.now;
        bench.queue.push(alone("x"), now).unwrap();
        bench.queue.push(alone("y"), now).unwrap();
        bench.push("b", A);
        for expected in ["a", "x", "y", "b"] {
            let (events, flight) = bench.sends(0);
            assert_eq!(events, [expected]);
            bench.settle(0, flight, 1, "ok");
        }
    }

    #[test]
    fn what_could_never_be_held_is_seen_before_anything_makes_room_for_it() {
        let mut bench = Bench::new(Limits { bytes: 30, ..limits() });
        assert!(bench.queue.could_hold(30) && !bench.queue.could_hold(31));
        bench.push("a", A);
        bench.sends(0);
        assert!(bench.queue.could_hold(20) && !bench.queue.could_hold(21));
    }

    #[test]
    fn a_sixteenth_of_events_and_of_bytes_is_room_to_spare() {
        let mut bench = Bench::new(Limits { events: 32, bytes: 1000, ..limits() });
        for _ in 0..30 {
            bench.push("a", A);
        }
        assert!(bench.queue.has_room_to_spare());
        bench.push("a", A);
        assert!(!bench.queue.has_room_to_spare());
        let mut bench = Bench::new(Limits { events: 1, bytes: 10, ..limits() });
        assert!(bench.queue.has_room_to_spare());
        bench.push("a", A);
        assert!(bench.queue.has_room_to_spare(), "where the queue is small, any room is told of");
    }

    #[test]
    fn a_request_may_end_event_by_event() {
        let mut bench = Bench::new(limits());
        for event in ["a", "b", "c"] {
            bench.push(event, A);
        }
        let (_, flight) = bench.sends(0);
        bench.settle(0, flight, 1, "one");
        assert!(bench.queue.is_under_way(0, flight));
        bench.settle(0, flight, 2, "rest");
        assert!(!bench.queue.is_under_way(0, flight));
        assert_eq!(bench.ends(), [(1, End::Sent("one")), (2, End::Sent("rest")), (3, End::Sent("rest"))]);
        // There is no more to be said of it.
        bench.settle(0, flight, 1, "late");
        assert_eq!((bench.ends().len(), bench.queue.events(), bench.queue.bytes()), (3, 0, 0));
    }

    #[test]
    fn giving_up_ends_everything_once() {
        let mut bench = Bench::new(limits());
        bench.push("a", A);
        let (_, resting) = bench.sends(0);
        assert!(bench.queue.rest(0, resting, "so far"));
        bench.push("b", B);
        let (_, on_the_wire) = bench.sends(1);
        bench.push("x", BOTH);
        bench.push("a", A);
        bench.queue.close();
        let now = bench.now;
        bench.queue.give_up(&"interrupted", now);
        let mut ends = bench.ends();
        ends.sort_by_key(|(id, _)| *id);
        assert_eq!(
            ends,
            [
                (1, End::Sent("so far")),
                (2, End::Sent("interrupted")),
                (3, End::Unsent(Reason::Closed)),
                (4, End::Unsent(Reason::Closed))
            ]
        );
        assert_eq!((bench.queue.events(), bench.queue.bytes()), (0, 0));
        assert!(!bench.queue.go_on(0, resting));
        bench.settle(1, on_the_wire, 1, "late");
        assert_eq!(bench.ends().len(), 4);
        assert_eq!((bench.next(0), bench.next(1)), (Next::Finished, Next::Finished));
    }

    #[test]
    fn so_many_are_sent_in_a_second() {
        let mut bench = Bench::new(Limits { events_per_second: Some(20), ..limits() });
        for event in ["a", "b", "c"] {
            bench.push(event, A);
        }
        // A tenth may come at once.
        let (events, flight) = bench.sends(0);
        assert_eq!(events, ["a", "b"]);
        bench.settle(0, flight, 2, "ok");
        let Next::WaitUntil(until) = bench.next(0) else { panic!("it does not wait") };
        assert!(until > bench.now + Duration::from_millis(49), "{:?}", until - bench.now);
        bench.now = until;
        assert_eq!(bench.sends(0).0, ["c"]);
    }

    #[test]
    fn any_sequence_of_steps_ends_every_event_once_and_in_order() {
        // A walk through the states: a small generator decides what happens next.
        for seed in 1..500_u64 {
            let mut random = seed;
            let mut roll = move |sides: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % sides
            };
            let ttl = (roll(2) == 0).then_some(Duration::from_millis(20));
            let mut bench = Bench::new(Limits { ttl, events: 20, ..limits() });
            let mut pushed = 0;
            let mut flights: [Option<(u64, usize)>; 2] = [None, None];
            for _ in 0..200 {
                let shard = roll(2) as usize;
                match roll(7) {
                    0..3 => {
                        let shards = [A, B, BOTH][roll(3) as usize];
                        let key = (roll(3) == 0 && shards != BOTH).then(|| format!("{shards:?}{}", roll(2)).into());
                        let new = New {
                            event: "e",
                            bytes: 1,
                            length: 1,
                            shards,
                            is_alone: shards == BOTH || roll(5) == 0,
                            key,
                        };
                        let new = New { key: new.key.filter(|_| !new.is_alone), ..new };
                        let now = bench.now;
                        pushed += u64::from(bench.queue.push(new, now).is_ok());
                    }
                    3 if flights[shard].is_none() => {
                        if let Next::Send(batch) = bench.next(shard) {
                            flights[shard] = Some((batch.number, batch.events.len()));
                        }
                    }
                    4 => {
                        if let Some((flight, count)) = flights[shard].take() {
                            bench.settle(shard, flight, count, "ok");
                        }
                    }
                    5 => drop(bench.after(roll(8))),
                    _ => {
                        let now = bench.now;
                        if roll(4) == 0 {
                            bench.queue.drop_oldest(now);
                        }
                    }
                }
                assert_eq!(bench.queue.events() as u64 + bench.ends().len() as u64, pushed, "seed {seed}");
            }
            // Left to itself it comes to its end: nothing is stuck.
            bench.queue.hurry();
            while bench.queue.events() > 0 {
                let before = bench.queue.events();
                for (shard, flight) in flights.iter_mut().enumerate().filter(|(_, flight)| flight.is_none()) {
                    if let Next::Send(batch) = bench.next(shard) {
                        *flight = Some((batch.number, batch.events.len()));
                    }
                }
                for (shard, flight) in flights.iter_mut().enumerate() {
                    if let Some((number, count)) = flight.take() {
                        bench.settle(shard, number, count, "ok");
                    }
                }
                assert!(bench.queue.events() < before, "seed {seed}: {} events are stuck", bench.queue.events());
            }
            assert_eq!(bench.queue.bytes(), 0);
            assert!(bench.queue.keys.is_empty() && bench.queue.spanning.is_empty());
        }
    }
}
