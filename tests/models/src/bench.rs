//! Events, senders, and the properties that every schedule must satisfy.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::publisher::hashing::Hashing;
use crate::publisher::queue::{End, Ledger, NewEvent, QueueLimits, Reason, ShardSet};
use crate::publisher::shared::{Backlog, Done, Overflow, Refused, Shared, TimedOut};
use crate::publisher::sync::Descriptor;

/// The first shard, as bits. Most models have two.
pub const A: u64 = 0b01;
/// The second shard.
pub const B: u64 = 0b10;
/// The shards of an event that is in both.
pub const BOTH: u64 = A | B;

/// Longer than any model runs.
pub const LONG: Duration = Duration::from_secs(3600);

/// Returns a deadline. The model chooses when it passes.
pub fn some_time() -> Option<Instant> {
    Some(Instant::now() + LONG)
}

/// Returns limits that no model reaches. A model lowers those that it tests.
pub fn limits() -> QueueLimits {
    QueueLimits {
        shards: 2,
        events: 100,
        bytes: 100,
        batch_events: 10,
        batch_bytes: 100,
        linger: Duration::ZERO,
        ttl: None,
        events_per_second: None,
        is_paced: false,
    }
}

/// An event: its publisher, and its number among that publisher's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    publisher: usize,
    number: usize,
    /// The event's shards, as bits.
    shards: u64,
    /// Whether the event has a key. It may then be sent at an earlier event's position.
    is_keyed: bool,
}

/// The end of each event, and the ids whose reports were not fetched yet.
#[derive(Default)]
pub struct Ends {
    ends: HashMap<u64, End<&'static str>>,
    unfetched: Vec<u64>,
    /// Whether no reports are kept.
    is_silent: bool,
}

impl Ledger for Ends {
    type Outcome = &'static str;

    fn is_not_sent(outcome: &&'static str) -> bool {
        *outcome == "not sent"
    }

    fn end(&mut self, id: u64, _: Duration, end: End<&'static str>) {
        let before = self.ends.insert(id, end);
        assert_eq!(before, None, "event {id} ends twice");
        if !self.is_silent {
            self.unfetched.push(id);
        }
    }
}

impl Backlog for Ends {
    fn has_reports(&self) -> bool {
        !self.unfetched.is_empty()
    }
}

/// The queue, and a record of what it did. The checker does not know the record's lock, so no
/// thread may hold it during a call that can switch threads.
pub struct Bench {
    shared: Shared<Event, Ends>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    accepted: HashMap<Event, u64>,
    sent: Vec<Event>,
    /// Shards with a request in flight.
    busy: Vec<usize>,
    reported: Vec<u64>,
    /// Events that a sender took and gave back, unless they had ended by then.
    given_back: Vec<Event>,
    handed_over: Vec<Event>,
}

/// How a sender ends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Completes all its events at once, as it takes the next request.
    Plain,
    /// Completes its events one by one.
    Piecemeal,
    /// Retries it once, after a wait.
    Twice,
    /// The same, after an attempt that sent nothing.
    SecondTime,
}

impl Bench {
    /// Returns a bench with an empty queue. A silent one keeps no reports.
    pub fn new(limits: QueueLimits, is_silent: bool) -> Arc<Bench> {
        let ends = Ends { is_silent, ..Ends::default() };
        Arc::new(Bench { shared: Shared::new(limits, Hashing::default(), ends), seen: Mutex::default() })
    }

    fn seen<R>(&self, look: impl FnOnce(&mut Seen) -> R) -> R {
        look(&mut self.seen.lock().expect("no panic under this lock"))
    }

    /// Publishes an event of one byte, the `number`-th of this publisher.
    pub fn publish(&self, publisher: usize, number: usize, shards: u64, overflow: Overflow) -> Result<(), Refused> {
        self.publish_as(Event { publisher, number, shards, is_keyed: false }, 1, None, overflow)
    }

    /// Publishes an event of one byte with a key.
    pub fn publish_keyed(&self, publisher: usize, number: usize, shards: u64, key: &str) -> Result<(), Refused> {
        self.publish_as(Event { publisher, number, shards, is_keyed: true }, 1, Some(key), Overflow::Reject)
    }

    /// Publishes an event of `bytes` bytes.
    pub fn publish_large(&self, publisher: usize, number: usize, shards: u64, bytes: usize) -> Result<(), Refused> {
        self.publish_as(Event { publisher, number, shards, is_keyed: false }, bytes, None, Overflow::Reject)
    }

    fn publish_as(&self, event: Event, bytes: usize, key: Option<&str>, overflow: Overflow) -> Result<(), Refused> {
        let (shards, is_alone) = (ShardSet::from_bits(event.shards), event.shards.count_ones() > 1);
        let new =
            NewEvent { event, memory_bytes: bytes, request_bytes: bytes, shards, is_alone, key: key.map(Into::into) };
        let id = self.shared.publish(new, overflow)?;
        self.seen(|seen| seen.accepted.insert(event, id));
        Ok(())
    }

    /// Runs the sender of a shard until the queue is closed.
    pub fn send(&self, shard: usize, manner: Manner) {
        let mut done = None;
        while let Some(batch) = self.shared.next(shard, done.take(), Vec::new()) {
            let held = ShardSet::from_bits(batch.events.iter().fold(0, |held, event| held | event.shards));
            self.seen(|seen| {
                assert!(!batch.events.is_empty(), "a request without events");
                assert!(batch.events.len() == 1 || held.bits() == 1 << shard, "an event across shards in a batch");
                assert!(held.iter().all(|shard| !seen.busy.contains(&shard)), "two requests of a shard in flight");
                seen.busy.extend(held.iter());
                seen.sent.extend(&batch.events);
            });
            let count = batch.events.len();
            let goes_on = match manner {
                Manner::Twice => self.shared.wait_for_retry(shard, batch.request, "resting", LONG),
                Manner::SecondTime => self.shared.wait_for_retry(shard, batch.request, "not sent", LONG),
                Manner::Plain | Manner::Piecemeal => true,
            };
            // Completing the request lets other senders use these shards.
            self.seen(|seen| seen.busy.retain(|shard| !held.contains(*shard)));
            let sent = |count| Done { request: batch.request, count, outcome: "sent" };
            match manner {
                Manner::Plain | Manner::Twice | Manner::SecondTime if goes_on => done = Some(sent(count)),
                Manner::SecondTime => {
                    self.seen(|seen| seen.given_back.extend(&batch.events));
                    self.shared.take_back(shard, batch.request, batch.events);
                }
                Manner::Piecemeal => (0..count).for_each(|_| self.shared.complete(shard, sent(1))),
                _ => assert!(!self.shared.is_in_flight(shard, batch.request), "given up, and still in flight"),
            }
        }
    }

    /// Polls until no report can follow.
    pub fn poll_to_the_end(&self) {
        while self.poll(None).is_ok() {}
    }

    /// Polls once.
    pub fn poll(&self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        let fetched = self.shared.poll(deadline, |ends| std::mem::take(&mut ends.unfetched))?;
        self.seen(|seen| seen.reported.extend(fetched));
        Ok(())
    }

    /// Returns what event loops wait on.
    pub fn descriptor(&self) -> Descriptor {
        self.shared.descriptor().expect("a model has descriptors")
    }

    /// Waits on the descriptor and fetches reports, like the event loop of the only thread that polls, until there were
    /// `count`. A wait never ends without a report.
    pub fn loop_for_reports(&self, descriptor: &Descriptor, count: usize) {
        while self.reported() < count {
            descriptor.wait();
            self.poll(Some(Instant::now())).expect("it is readable while reports wait");
        }
    }

    /// Publishes events of one byte like the event loop of the only thread that publishes, which waits on the descriptor
    /// when the queue is full. No reports are kept. A wait never ends without space.
    pub fn loop_for_space(&self, descriptor: &Descriptor, count: usize, shards: u64) {
        for number in 0..count {
            if self.publish(0, number, shards, Overflow::Reject).is_err() {
                descriptor.wait();
                self.publish(0, number, shards, Overflow::Reject).expect("it is readable while there is space");
            }
        }
        assert!(!descriptor.is_raised(), "readable after the next event was published");
    }

    /// Flushes, and checks that all events published before have ended if the flush did not time
    /// out.
    pub fn flush(&self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        let published = self.shared.read(|queue| queue.published());
        self.shared.flush(deadline)?;
        self.shared.read(|queue| {
            (1..=published).for_each(|id| assert!(queue.ledger.ends.contains_key(&id), "{id} has not ended"))
        });
        Ok(())
    }

    /// Closes, and checks that the queue is empty even if the close timed out.
    pub fn close(&self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        let result = self.shared.close(deadline, &"interrupted");
        self.shared.read(|queue| assert_eq!((queue.events(), queue.bytes(), queue.in_flight()), (0, 0, 0)));
        result
    }

    /// Takes over the events that were never sent, or fails after it has waited. Checks that every event has ended unless it
    /// fails.
    pub fn hand_over(&self, deadline: Option<Instant>, fails: bool) {
        let handed_over = self.shared.hand_over(deadline, &"interrupted", |queue| {
            let unsent = queue.unsent().expect("memory");
            if fails { Err(()) } else { Ok(unsent.iter().map(|unsent| *unsent.event).collect::<Vec<_>>()) }
        });
        let Ok(handed_over) = handed_over else { return };
        self.shared.read(|queue| assert_eq!((queue.events(), queue.bytes(), queue.in_flight()), (0, 0, 0)));
        self.seen(|seen| seen.handed_over.extend(handed_over));
    }

    /// Returns the number of events that were handed over.
    pub fn handed_over(&self) -> usize {
        self.seen(|seen| seen.handed_over.len())
    }

    /// Waits until `count` senders have ended.
    pub fn wait_for_senders(&self, count: usize) -> Result<(), TimedOut> {
        self.shared.wait_for_senders(count, Instant::now() + LONG)
    }

    /// Checks the properties of a schedule, after all threads have ended.
    pub fn check(&self) {
        let ends = self.shared.read(|queue| queue.ledger.ends.clone());
        self.seen(|seen| {
            // Those that were given back in time were not sent.
            let is_unsent = |event: &Event| matches!(ends.get(&seen.accepted[event]), Some(End::Unsent(_)));
            let not_sent: Vec<Event> = seen.given_back.iter().copied().filter(is_unsent).collect();
            seen.sent.retain(|event| !not_sent.contains(event));
            let drained = ends.values().filter(|end| **end == End::Unsent(Reason::Drained)).count();
            assert_eq!(drained, seen.handed_over.len(), "handed over twice, or not at all");
            let is_drained = |event: &Event| ends[&seen.accepted[event]] == End::Unsent(Reason::Drained);
            assert!(seen.handed_over.iter().all(is_drained));
            assert_eq!(ends.len(), seen.accepted.len(), "an accepted event has not ended, or a refused one has");
            assert!(seen.accepted.values().all(|id| ends.contains_key(id)), "an event has no end");
            // An event across shards counts in each of them.
            for shard in 0..64 {
                let ordered = |event: &&Event| ShardSet::from_bits(event.shards).contains(shard) && !event.is_keyed;
                let ids: Vec<u64> = seen.sent.iter().filter(ordered).map(|event| seen.accepted[event]).collect();
                assert!(ids.is_sorted_by(|a, b| a < b), "shard {shard} was sent out of order: {ids:?}");
            }
            // Ids follow each publisher's order.
            for (event, id) in &seen.accepted {
                let earlier = |other: &Event| other.publisher == event.publisher && other.number < event.number;
                assert!(seen.accepted.iter().all(|(other, theirs)| !earlier(other) || theirs < id));
            }
            let unsent: Vec<u64> =
                ends.iter().filter(|(_, end)| matches!(end, End::Unsent(_))).map(|(id, _)| *id).collect();
            assert_eq!(
                unsent.len() + seen.sent.len(),
                ends.len(),
                "an event was sent and ended as unsent, or was sent twice"
            );
            assert!(seen.sent.iter().all(|event| !unsent.contains(&seen.accepted[event])));
            // Each report was fetched at most once.
            let mut reported = seen.reported.clone();
            reported.sort_unstable();
            reported.dedup();
            assert_eq!(reported.len(), seen.reported.len());
        });
    }

    /// Returns the number of fetched reports.
    pub fn reported(&self) -> usize {
        self.seen(|seen| seen.reported.len())
    }

    /// Returns the number of events that ended without being sent.
    pub fn ended_otherwise(&self) -> usize {
        self.shared.read(|queue| queue.ledger.ends.values().filter(|end| **end != End::Sent("sent")).count())
    }
}
