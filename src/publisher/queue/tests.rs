//! The queue without threads.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

/// Ids with their ends, in order.
#[derive(Default)]
struct Ends(Vec<(u64, End<&'static str>)>);

impl Ledger for Ends {
    type Outcome = &'static str;
    fn is_not_sent(outcome: &&'static str) -> bool {
        *outcome == "not sent"
    }
    fn end(&mut self, id: u64, _: Duration, end: End<&'static str>) {
        assert!(self.0.iter().all(|(other, _)| *other != id), "{id} ends twice");
        self.0.push((id, end));
    }
}

const A: ShardSet = ShardSet::from_bits(0b01);
const B: ShardSet = ShardSet::from_bits(0b10);
const BOTH: ShardSet = ShardSet::from_bits(0b11);

struct Bench {
    queue: Queue<&'static str, Ends>,
    now: Instant,
}

fn limits() -> QueueLimits {
    QueueLimits {
        shards: 2,
        events: 5,
        bytes: 100,
        batch_events: 3,
        batch_bytes: 50,
        linger: Duration::from_millis(5),
        ttl: None,
        events_per_second: None,
        is_paced: false,
    }
}

/// The size of an event whose request is as large.
fn size(bytes: usize) -> Size {
    Size { memory_bytes: bytes, request_bytes: bytes }
}

impl Bench {
    fn new(limits: QueueLimits) -> Bench {
        let now = Instant::now();
        Bench { queue: Queue::new(limits, Hashing::fixed(), Ends::default(), now), now }
    }

    fn push(&mut self, event: &'static str, shards: ShardSet) -> Option<u64> {
        self.push_new(event, shards, None)
    }

    fn push_keyed(&mut self, event: &'static str, shards: ShardSet, key: &str) -> Option<u64> {
        self.push_new(event, shards, Some(key.into()))
    }

    fn push_new(&mut self, event: &'static str, shards: ShardSet, key: Option<Box<str>>) -> Option<u64> {
        let new = NewEvent { event, memory_bytes: 10, request_bytes: 10, shards, is_alone: shards == BOTH, key };
        self.queue.push(new, self.now).0.ok()
    }

    fn after(&mut self, ms: u64) -> &mut Bench {
        self.now += Duration::from_millis(ms);
        self
    }

    fn next(&mut self, shard: usize) -> Next<&'static str> {
        self.queue.next(shard, self.now).0
    }

    /// Returns the events that the shard sends now, and the number of their request.
    #[track_caller]
    fn sends(&mut self, shard: usize) -> (Vec<&'static str>, u64) {
        match self.next(shard) {
            Next::Send(batch) => (batch.events, batch.request),
            other => panic!("{other:?}"),
        }
    }

    fn complete(&mut self, shard: usize, request: u64, count: usize, outcome: &'static str) -> ShardSet {
        self.queue.complete(shard, request, count, &outcome, self.now)
    }

    /// Returns the slots of a shard.
    fn slots(&self, shard: usize) -> impl Iterator<Item = &Slot<&'static str>> {
        (0..).map_while(move |index| self.queue.shards[shard].slot(index))
    }

    /// Returns the event that has waited longest, which is looked for in every slot.
    fn oldest(&self) -> Option<u64> {
        let in_slots = (0..2).flat_map(|shard| self.slots(shard)).filter_map(|slot| match slot {
            Slot::Event(waiting) => Some(waiting),
            Slot::Barrier(_) => None,
        });
        let alone = self.queue.spanning.values().filter_map(|spanning| spanning.waiting.as_ref());
        in_slots.chain(alone).min_by_key(|waiting| waiting.entry.place).map(|waiting| waiting.entry.id)
    }

    fn ends(&self) -> Vec<(u64, End<&'static str>)> {
        self.queue.ledger.0.clone()
    }
}

#[test]
fn a_single_event_is_sent_at_once_and_several_linger() {
    let mut bench = Bench::new(limits());
    assert_eq!(bench.next(0), Next::Wait);
    bench.push("a", A);
    let (events, request) = bench.sends(0);
    assert_eq!(events, ["a"]);
    bench.complete(0, request, 1, "ok");
    let start = bench.now;
    bench.push("b", A);
    bench.after(2).push("c", A);
    assert_eq!(bench.next(0), Next::WaitUntil(start + Duration::from_millis(5)));
    bench.after(3);
    assert_eq!(bench.sends(0).0, ["b", "c"]);
    assert_eq!(bench.queue.in_flight(), 2);
}

#[test]
fn a_full_batch_does_not_linger_and_neither_does_one_before_a_barrier() {
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
    // The limit in bytes: two events of ten bytes.
    let mut bench = Bench::new(QueueLimits { batch_events: 10, batch_bytes: 20, ..limits() });
    for event in ["a", "b", "c"] {
        bench.push(event, A);
    }
    assert_eq!(bench.sends(0).0, ["a", "b"]);
}

#[test]
fn each_event_has_a_request_of_its_own_until_the_given_time() {
    let mut bench = Bench::new(limits());
    bench.queue.send_alone(bench.now + Duration::from_millis(20));
    for event in ["a", "b", "c", "d"] {
        bench.push(event, A);
    }
    for event in ["a", "b"] {
        // It does not linger.
        let (events, request) = bench.sends(0);
        assert_eq!(events, [event]);
        bench.complete(0, request, 1, "ok");
    }
    bench.after(20);
    assert_eq!(bench.sends(0).0, ["c", "d"]);
}

#[test]
fn no_batch_lingers_during_a_drain_or_after_close() {
    for close in [false, true] {
        let mut bench = Bench::new(limits());
        bench.push("a", A);
        bench.push("b", A);
        assert!(matches!(bench.next(0), Next::WaitUntil(_)));
        if close {
            bench.queue.close()
        } else {
            bench.queue.begin_drain()
        }
        assert_eq!(bench.sends(0).0, ["a", "b"]);
    }
}

#[test]
fn a_spanning_event_waits_for_all_its_shards_and_blocks_them() {
    let mut bench = Bench::new(limits());
    bench.push("a1", A);
    bench.push("x", BOTH);
    bench.push("a2", A);
    bench.push("b2", B);
    // Its barrier is first in B, but not in A.
    assert_eq!(bench.next(1), Next::Wait);
    let (events, first) = bench.sends(0);
    assert_eq!(events, ["a1"]);
    bench.complete(0, first, 1, "ok");
    let (events, across) = bench.sends(0);
    assert_eq!(events, ["x"]);
    // It also blocks B.
    assert_eq!(bench.next(1), Next::Wait);
    assert_eq!(bench.complete(0, across, 1, "ok"), BOTH);
    assert_eq!(bench.sends(1).0, ["b2"]);
    assert_eq!(bench.sends(0).0, ["a2"]);
}

#[test]
fn the_last_ready_shard_sends_and_two_spanning_events_do_not_block_each_other() {
    let mut bench = Bench::new(limits());
    bench.push("x", BOTH);
    bench.push("y", BOTH);
    assert_eq!(bench.next(0), Next::Wait);
    let (events, request) = bench.sends(1);
    assert_eq!(events, ["x"]);
    assert_eq!(bench.next(0), Next::Wait);
    bench.complete(1, request, 1, "ok");
    assert_eq!(bench.next(1), Next::Wait);
    assert_eq!(bench.sends(0).0, ["y"]);
}

/// Returns the events that were never sent, in the order in which they are handed over.
fn unsent(bench: &Bench) -> Vec<&'static str> {
    bench.queue.unsent().unwrap().iter().map(|unsent| *unsent.event).collect()
}

#[test]
fn a_held_queue_keeps_the_events_that_wait_and_ends_its_senders() {
    let mut bench = Bench::new(QueueLimits { events: 10, ..limits() });
    for (event, shards) in [("a1", A), ("b1", B), ("a2", A), ("x", BOTH), ("b2", B), ("a3", A)] {
        bench.push(event, shards);
    }
    let (events, request) = bench.sends(0);
    assert_eq!(events, ["a1", "a2"]);
    bench.queue.hold();
    assert!(bench.queue.is_closed());
    assert_eq!((bench.next(1), unsent(&bench)), (Next::Finished, vec!["b1", "x", "b2", "a3"]));
    bench.complete(0, request, 2, "ok");
    assert_eq!((bench.next(0), bench.queue.in_flight()), (Next::Finished, 0));
    let now = bench.now;
    drop(bench.queue.abandon(&"interrupted", Reason::Drained, now));
    let drained = bench.ends().iter().filter(|(_, end)| *end == End::Unsent(Reason::Drained)).count();
    assert_eq!((drained, bench.queue.events(), bench.queue.bytes()), (4, 0, 0));
    assert_eq!(unsent(&bench), [""; 0]);
}

#[test]
fn a_held_queue_takes_back_what_was_certainly_not_sent() {
    for (outcome, is_withdrawn) in [("not sent", true), ("unknown", false)] {
        for is_held_before in [true, false] {
            let mut bench = Bench::new(limits());
            for event in ["a1", "a2", "a3", "a4"] {
                bench.push(event, A);
            }
            let (events, request) = bench.sends(0);
            assert_eq!(events, ["a1", "a2", "a3"]);
            // The first one of its events has ended.
            bench.complete(0, request, 1, "ok");
            if is_held_before {
                bench.queue.hold();
                assert_eq!(bench.queue.suspend(0, request, outcome), !is_withdrawn);
            } else {
                assert!(bench.queue.suspend(0, request, outcome));
                let now = bench.now;
                bench.queue.take_back(0, request, events.clone(), now);
                assert!(bench.queue.is_in_flight(0, request), "no one asks for them");
                bench.queue.hold();
            }
            assert_eq!(bench.queue.may_retry(0, request), !is_withdrawn);
            assert_eq!(bench.queue.awaits_events(), is_withdrawn);
            let now = bench.now;
            bench.queue.take_back(0, request, events, now);
            assert!(!bench.queue.awaits_events());
            let expected: &[_] = if is_withdrawn { &["a2", "a3", "a4"] } else { &["a4"] };
            assert_eq!(
                (unsent(&bench), bench.queue.in_flight()),
                (expected.to_vec(), if is_withdrawn { 0 } else { 2 })
            );
            drop(bench.queue.abandon(&"interrupted", Reason::Drained, now));
            assert_eq!((bench.ends().len(), bench.queue.events(), bench.queue.bytes()), (4, 0, 0));
        }
    }
}

#[test]
fn an_event_across_shards_is_taken_back_before_those_that_wait_for_it() {
    let mut bench = Bench::new(limits());
    for (event, shards) in [("x", BOTH), ("a", A), ("b", B)] {
        bench.push(event, shards);
    }
    assert_eq!(bench.next(1), Next::Wait);
    let (events, request) = bench.sends(0);
    bench.queue.hold();
    assert!(!bench.queue.suspend(0, request, "not sent"));
    let now = bench.now;
    bench.queue.take_back(0, request, events, now);
    assert_eq!(unsent(&bench), ["x", "a", "b"]);
}

/// Returns an event of another publisher, published this long ago.
fn old(bench: &Bench, event: &'static str, shards: ShardSet, key: Option<&str>, age_ms: u64) -> OldEvent<&'static str> {
    let key = key.map(Into::into);
    let new = NewEvent { event, memory_bytes: 10, request_bytes: 10, shards, is_alone: shards == BOTH, key };
    OldEvent { new, published: bench.now - Duration::from_millis(age_ms) }
}

/// Restores events, or returns why they are not.
fn restore(bench: &mut Bench, events: Vec<OldEvent<&'static str>>) -> Result<(), NotRestored> {
    let now = bench.now;
    let reserved = bench.queue.reserve_for(&events, now).0?;
    bench.queue.restore(events, reserved, now);
    Ok(())
}

#[test]
fn restored_events_follow_those_that_wait_and_keep_their_order_and_age() {
    let ttl = Some(Duration::from_millis(1000));
    let mut bench = Bench::new(QueueLimits { events: 10, linger: Duration::from_millis(500), ttl, ..limits() });
    bench.push("a0", A);
    let events = vec![
        old(&bench, "expired", A, None, 1000),
        old(&bench, "x", BOTH, None, 900),
        old(&bench, "a1", A, None, 0),
        old(&bench, "a2", A, None, 0),
    ];
    assert_eq!(restore(&mut bench, events), Ok(()));
    assert_eq!((bench.queue.published(), unsent(&bench)), (5, vec!["a0", "expired", "x", "a1", "a2"]));
    let (events, request) = bench.sends(0);
    assert_eq!(events, ["a0"]);
    bench.complete(0, request, 1, "ok");
    assert_eq!(bench.next(1), Next::Wait);
    let (events, request) = bench.sends(0);
    assert_eq!(events, ["x"]);
    bench.complete(0, request, 1, "ok");
    assert_eq!(bench.ends()[1], (2, End::Unsent(Reason::Expired)));
    bench.after(500);
    assert_eq!(bench.sends(0).0, ["a1", "a2"]);
}

#[test]
fn events_are_restored_as_a_whole_or_not_at_all() {
    let all = |bench: &Bench| {
        vec![old(bench, "a", A, Some("k"), 0), old(bench, "x", BOTH, None, 0), old(bench, "b", B, None, 0)]
    };
    // The largest request needs space, too.
    for (limits, fits) in [
        (QueueLimits { events: 3, ..limits() }, true),
        (QueueLimits { events: 2, ..limits() }, false),
        (QueueLimits { bytes: 40, ..limits() }, true),
        (QueueLimits { bytes: 39, ..limits() }, false),
    ] {
        let mut bench = Bench::new(limits);
        let events = all(&bench);
        assert_eq!(restore(&mut bench, events), if fits { Ok(()) } else { Err(NotRestored::Full) });
        assert_eq!((bench.queue.events(), bench.queue.bytes()), if fits { (3, 30) } else { (0, 0) });
    }
    // Expired events make room.
    let mut bench = Bench::new(QueueLimits { events: 3, ttl: Some(Duration::from_millis(20)), ..limits() });
    bench.push("old", A);
    bench.after(20);
    let events = all(&bench);
    assert_eq!((restore(&mut bench, events), unsent(&bench)), (Ok(()), vec!["a", "x", "b"]));
}

#[test]
fn a_restored_event_does_not_replace_one_that_waits() {
    let mut bench = Bench::new(QueueLimits { events: 10, ..limits() });
    bench.push_keyed("newer", A, "k");
    let events = vec![
        old(&bench, "older", A, Some("k"), 0),
        old(&bench, "l1", A, Some("l"), 0),
        old(&bench, "l2", A, Some("l"), 0),
    ];
    assert_eq!(restore(&mut bench, events), Ok(()));
    assert_eq!(unsent(&bench), ["newer", "l2"]);
    let superseded = End::Unsent(Reason::Superseded);
    assert_eq!(bench.ends(), [(2, superseded.clone()), (3, superseded.clone())]);
    // Those that were restored can be replaced.
    bench.push_keyed("l3", A, "l");
    assert_eq!((unsent(&bench), bench.queue.bytes()), (vec!["newer", "l3"], 20));
}

#[test]
fn events_and_bytes_are_limited() {
    let mut bench = Bench::new(limits());
    assert!((0..5).all(|_| bench.push("a", A).is_some()));
    assert_eq!(bench.push("b", B), None);
    // Events in flight still count.
    let (events, request) = bench.sends(0);
    assert_eq!(bench.push("b", B), None);
    bench.complete(0, request, events.len(), "ok");
    assert_eq!((bench.push("b", B), bench.queue.bytes()), (Some(6), 30));
    let mut bench = Bench::new(QueueLimits { bytes: 35, ..limits() });
    assert_eq!((bench.push("a", A), bench.push("a", A), bench.push("a", A)), (Some(1), Some(2), None));
}

#[test]
fn requests_in_flight_count() {
    let mut bench = Bench::new(limits());
    for event in ["a", "b", "c"] {
        bench.push(event, A);
    }
    let (events, request) = bench.sends(0);
    assert_eq!((events.len(), bench.queue.bytes()), (3, 60));
    bench.complete(0, request, 2, "ok");
    assert_eq!(bench.queue.bytes(), 40, "the request is still there");
    bench.complete(0, request, 1, "ok");
    assert_eq!(bench.queue.bytes(), 0);
    bench.push("x", BOTH);
    bench.next(0);
    bench.sends(1);
    assert_eq!(bench.queue.bytes(), 20);
    let now = bench.now;
    drop(bench.queue.abandon(&"interrupted", Reason::Closed, now));
    assert_eq!((bench.queue.bytes(), bench.queue.requests_bytes), (0, 0));
}

#[test]
fn a_batch_is_no_larger_than_the_memory_that_is_left() {
    let mut bench = Bench::new(QueueLimits { bytes: 55, ..limits() });
    for event in ["a", "b", "c"] {
        bench.push(event, A);
    }
    assert_eq!(bench.sends(0).0, ["a", "b"]);
    assert_eq!(bench.queue.bytes(), 50);
}

#[test]
fn a_request_without_memory_waits_for_the_end_of_another() {
    for shards in [B, BOTH] {
        let mut bench = Bench::new(QueueLimits { shards: 3, bytes: 35, ..limits() });
        let other = ShardSet::from_bits(0b100);
        bench.push("a", other);
        bench.push("b", shards);
        let (_, request) = bench.sends(2);
        bench.next(0);
        assert_eq!(bench.next(1), Next::Wait);
        assert_eq!(bench.complete(2, request, 1, "ok"), B);
        assert_eq!(bench.sends(1).0, ["b"]);
    }
}

#[test]
fn the_memory_of_events_that_a_close_ends_is_left_to_the_caller() {
    let limits = QueueLimits { events: 10, ..limits() };
    let (mut queue, now) = (Queue::new(limits, Hashing::fixed(), Ends::default(), Instant::now()), Instant::now());
    let event = std::rc::Rc::new(());
    for (shards, key) in [(A, None), (A, Some("k".into())), (BOTH, None), (B, None)] {
        let event = std::rc::Rc::clone(&event);
        let new = NewEvent { event, memory_bytes: 1, request_bytes: 1, shards, is_alone: shards == BOTH, key };
        queue.push(new, now).0.unwrap();
    }
    let remains = queue.abandon(&"interrupted", Reason::Closed, now);
    assert_eq!((queue.events(), queue.bytes(), queue.ledger.0.len()), (0, 0, 4));
    assert_eq!(std::rc::Rc::strong_count(&event), 5);
    drop(remains);
    assert_eq!(std::rc::Rc::strong_count(&event), 1);
    assert_eq!((queue.next(0, now).0, queue.next(1, now).0), (Next::Wait, Next::Wait));
}

#[test]
fn a_million_expired_events_do_not_keep_other_threads_from_the_queue() {
    let ttl = Some(Duration::from_millis(10));
    let mut bench = Bench::new(QueueLimits { ttl, events: 3000, bytes: 100_000, ..limits() });
    while bench.queue.events() < 3000 {
        bench
            .queue
            .push(
                NewEvent { event: "e", memory_bytes: 1, request_bytes: 1, shards: A, is_alone: false, key: None },
                bench.now,
            )
            .0
            .unwrap();
        bench.queue.ledger.0.clear();
    }
    bench.after(10);
    // Nor is a caller who publishes kept for all of them.
    assert!(bench.push("b", B).is_some());
    assert_eq!(bench.ends().len(), MAX_EXPIRED_AT_ONCE);
    let mut turns = 0;
    while bench.next(0) == Next::Again {
        turns += 1;
    }
    assert_eq!((turns, bench.ends().len()), (2, 3000));
}

#[test]
fn the_oldest_waiting_event_is_dropped_from_any_shard() {
    let mut bench = Bench::new(limits());
    bench.push("x", BOTH);
    bench.push("a", A);
    bench.push("b", B);
    let now = bench.now;
    assert_eq!(bench.queue.drop_oldest(now), Some(BOTH));
    assert_eq!(bench.queue.drop_oldest(now), Some(ShardSet::EMPTY));
    assert_eq!(bench.ends(), [(1, End::Unsent(Reason::Dropped)), (2, End::Unsent(Reason::Dropped))]);
    let (events, _) = bench.sends(1);
    assert_eq!(events, ["b"]);
    // An event in flight is not dropped.
    assert_eq!((bench.queue.drop_oldest(now), bench.queue.events()), (None, 1));
    assert_eq!(bench.next(0), Next::Wait);
}

#[test]
fn an_event_behind_one_in_flight_is_dropped_too() {
    let mut bench = Bench::new(limits());
    bench.push("x", BOTH);
    assert_eq!(bench.next(0), Next::Wait);
    let (events, request) = bench.sends(1);
    assert_eq!(events, ["x"]);
    bench.push_keyed("k", A, "k");
    bench.push("y", BOTH);
    bench.push_keyed("l", A, "l");
    let now = bench.now;
    assert_eq!(bench.queue.drop_oldest(now), Some(ShardSet::EMPTY));
    assert_eq!(bench.queue.drop_oldest(now), Some(BOTH));
    let dropped = [(2, End::Unsent(Reason::Dropped)), (3, End::Unsent(Reason::Dropped))];
    assert_eq!(bench.ends(), dropped);
    // The others keep their order and their keys.
    bench.push("a", A);
    bench.push_keyed("l2", A, "l");
    bench.complete(1, request, 1, "ok");
    assert_eq!(bench.after(5).sends(0).0, ["l2", "a"]);
    assert_eq!(bench.queue.drop_oldest(now), None);
    assert_eq!(bench.next(1), Next::Wait);
}

#[test]
fn an_expired_event_behind_one_in_flight_does_not_fill_the_queue() {
    let mut bench = Bench::new(QueueLimits { ttl: Some(Duration::from_millis(10)), ..limits() });
    bench.push("x", BOTH);
    bench.next(0);
    bench.sends(1);
    bench.push("a", A);
    bench.push("y", BOTH);
    bench.push("b", B);
    bench.push("c", A);
    assert_eq!(bench.push("d", A), None);
    bench.after(10);
    assert!((0..4).all(|_| bench.push("e", B).is_some()));
    assert_eq!(bench.ends().iter().filter(|(_, end)| *end == End::Unsent(Reason::Expired)).count(), 4);
    assert_eq!(bench.push("f", B), None);
}

#[test]
fn an_event_with_a_key_waits_since_the_first_one_that_it_replaced() {
    let mut bench = Bench::new(limits());
    bench.push_keyed("k1", A, "k");
    bench.push("b", B);
    bench.push("x", BOTH);
    bench.push_keyed("k2", A, "k");
    let now = bench.now;
    bench.queue.drop_oldest(now);
    bench.queue.drop_oldest(now);
    let dropped = [(4, End::Unsent(Reason::Dropped)), (2, End::Unsent(Reason::Dropped))];
    assert_eq!(bench.ends()[1..], dropped);
}

/// A full queue drops events while no request ends: neither slots nor anything else may pile up.
#[test]
fn dropped_events_leave_nothing_in_the_queue() {
    for is_in_flight in [false, true] {
        let mut bench = Bench::new(QueueLimits { events: 20, bytes: 200, ..limits() });
        if is_in_flight {
            bench.push("x", BOTH);
            bench.next(0);
            bench.sends(1);
        }
        bench.push_keyed("k", A, "k");
        for number in 0..1000 {
            let now = bench.now;
            let (shards, key) = match number % 5 {
                0 | 1 => (BOTH, None),
                2 => (A, None),
                3 => (B, None),
                _ => (A, Some("k".into())),
            };
            while !bench.queue.has_space(size(10), key.as_deref().and_then(|key| bench.queue.replacement(key))) {
                assert!(bench.queue.drop_oldest(now).is_some());
            }
            assert!(bench.push_new("e", shards, key).is_some());
            let slots: usize = (0..2).map(|shard| bench.slots(shard).count()).sum();
            assert!(slots <= 2 * 20 && bench.queue.spanning.len() <= 20, "{number}: {slots} slots");
        }
    }
}

#[test]
fn an_expired_event_is_not_sent() {
    let mut bench = Bench::new(QueueLimits { ttl: Some(Duration::from_millis(10)), ..limits() });
    bench.push("a", A);
    bench.push("x", BOTH);
    bench.after(9).push("b", A);
    bench.after(1);
    assert_eq!(bench.sends(0).0, ["b"]);
    assert_eq!(bench.ends(), [(1, End::Unsent(Reason::Expired)), (2, End::Unsent(Reason::Expired))]);
    assert_eq!(bench.next(1), Next::Wait);
    // Expired events do not fill the queue.
    let mut bench = Bench::new(QueueLimits { ttl: Some(Duration::from_millis(10)), ..limits() });
    assert!((0..5).all(|_| bench.push("a", A).is_some()));
    bench.after(10);
    assert!((0..5).all(|_| bench.push("b", B).is_some()));
    assert_eq!((bench.push("b", B), bench.ends().len()), (None, 5));
}

#[test]
fn a_newer_event_replaces_the_waiting_one_with_its_key() {
    let mut bench = Bench::new(limits());
    bench.push_keyed("k1", A, "k");
    bench.push("a", A);
    bench.push_keyed("l1", A, "l");
    assert_eq!(bench.push_keyed("k2", A, "k"), Some(4));
    // Even when the queue has no space for one more.
    bench.push("a", A);
    bench.push("a", A);
    assert_eq!(bench.push("a", A), None);
    assert_eq!(bench.push_keyed("k3", A, "k"), Some(7));
    assert_eq!(bench.sends(0).0, ["k3", "a", "l1"]);
    assert_eq!(bench.ends(), [(1, End::Unsent(Reason::Superseded)), (4, End::Unsent(Reason::Superseded))]);
    // An event in flight is not replaced.
    assert_eq!(bench.push_keyed("k4", A, "k"), None);
    assert!(bench.queue.keys.is_empty());
}

#[test]
fn a_value_that_is_replaced_all_the_time_is_not_delayed() {
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
fn an_event_that_is_sent_alone_shares_no_request_within_one_shard() {
    let mut bench = Bench::new(limits());
    let alone = |event| NewEvent { event, memory_bytes: 10, request_bytes: 10, shards: A, is_alone: true, key: None };
    bench.push("a", A);
    let now = bench.now;
    bench.queue.push(alone("x"), now).0.unwrap();
    bench.queue.push(alone("y"), now).0.unwrap();
    bench.push("b", A);
    for expected in ["a", "x", "y", "b"] {
        let (events, request) = bench.sends(0);
        assert_eq!(events, [expected]);
        bench.complete(0, request, 1, "ok");
    }
}

#[test]
fn could_hold_is_false_for_an_event_that_would_not_fit_into_an_empty_queue() {
    let mut bench = Bench::new(QueueLimits { bytes: 30, ..limits() });
    assert!(bench.queue.could_hold(size(15)) && !bench.queue.could_hold(size(16)));
    bench.push("a", A);
    bench.sends(0);
    assert!(bench.queue.could_hold(size(10)) && !bench.queue.could_hold(size(11)));
}

#[test]
fn a_quarter_of_the_events_and_of_the_bytes_is_spare_space() {
    let mut bench = Bench::new(QueueLimits { events: 32, bytes: 1000, ..limits() });
    for _ in 0..24 {
        bench.push("a", A);
    }
    assert!(bench.queue.has_spare_space());
    bench.push("a", A);
    assert!(!bench.queue.has_spare_space());
    let mut bench = Bench::new(QueueLimits { events: 1, bytes: 100, ..limits() });
    assert!(bench.queue.has_spare_space());
    bench.push("a", A);
    assert!(bench.queue.has_spare_space(), "in a small queue, any free space is spare space");
}

#[test]
fn a_request_may_complete_event_by_event() {
    let mut bench = Bench::new(limits());
    for event in ["a", "b", "c"] {
        bench.push(event, A);
    }
    let (_, request) = bench.sends(0);
    bench.complete(0, request, 1, "one");
    assert!(bench.queue.is_in_flight(0, request));
    bench.complete(0, request, 2, "rest");
    assert!(!bench.queue.is_in_flight(0, request));
    assert_eq!(bench.ends(), [(1, End::Sent("one")), (2, End::Sent("rest")), (3, End::Sent("rest"))]);
    // The request is complete: a late result is ignored.
    bench.complete(0, request, 1, "late");
    assert_eq!((bench.ends().len(), bench.queue.events(), bench.queue.bytes()), (3, 0, 0));
}

#[test]
fn abandon_ends_each_event_once() {
    let mut bench = Bench::new(limits());
    bench.push("a", A);
    let (_, suspended) = bench.sends(0);
    assert!(bench.queue.suspend(0, suspended, "so far"));
    bench.push("b", B);
    let (_, sending) = bench.sends(1);
    bench.push("x", BOTH);
    bench.push("a", A);
    bench.queue.close();
    let now = bench.now;
    drop(bench.queue.abandon(&"interrupted", Reason::Closed, now));
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
    assert!(!bench.queue.resume(0, suspended));
    bench.complete(1, sending, 1, "late");
    assert_eq!(bench.ends().len(), 4);
    assert_eq!((bench.next(0), bench.next(1)), (Next::Finished, Next::Finished));
}

#[test]
fn the_rate_of_events_is_limited() {
    let mut bench = Bench::new(QueueLimits { events_per_second: Some(20), ..limits() });
    for event in ["a", "b", "c"] {
        bench.push(event, A);
    }
    // A tenth may be sent at once.
    let (events, request) = bench.sends(0);
    assert_eq!(events, ["a", "b"]);
    bench.complete(0, request, 2, "ok");
    let Next::WaitUntil(until) = bench.next(0) else { panic!("it does not wait") };
    assert!(until > bench.now + Duration::from_millis(49), "{:?}", until - bench.now);
    bench.now = until;
    assert_eq!(bench.sends(0).0, ["c"]);
}

/// One step of a test case: what happens to the queue next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Push { shards: ShardSet, is_alone: bool, key: Option<u8> },
    Send { shard: usize },
    Complete { shard: usize },
    Requeue { shard: usize },
    Advance { ms: u64 },
    DropOldest,
}

fn steps() -> impl Strategy<Value = Step> {
    let shards = prop_oneof![Just(A), Just(B), Just(BOTH)];
    prop_oneof![
        3 => (shards, prop::bool::weighted(0.2), prop::option::weighted(0.33, 0..2_u8)).prop_map(
            |(shards, is_alone, key)| {
                let is_alone = is_alone || shards == BOTH;
                Step::Push { shards, is_alone, key: key.filter(|_| !is_alone) }
            }
        ),
        1 => (0..2_usize).prop_map(|shard| Step::Send { shard }),
        1 => (0..2_usize, prop::bool::weighted(0.25)).prop_map(|(shard, is_put_back)| match is_put_back {
            true => Step::Requeue { shard },
            false => Step::Complete { shard },
        }),
        1 => (0..8_u64).prop_map(|ms| Step::Advance { ms }),
        1 => prop::bool::weighted(0.25).prop_map(|drop| if drop { Step::DropOldest } else { Step::Advance { ms: 0 } }),
    ]
}

/// Prints the seed, which a failing test shows. PROPTEST_RNG_SEED repeats its cases.
fn proptest_config() -> ProptestConfig {
    let config = ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => getrandom::u64().unwrap(),
    };
    println!("PROPTEST_RNG_SEED={seed}");
    ProptestConfig { rng_seed: RngSeed::Fixed(seed), ..config }
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn any_sequence_of_steps_ends_every_event_once(
        has_ttl in any::<bool>(),
        steps in prop::collection::vec(steps(), 200),
    ) {
        let ttl = has_ttl.then_some(Duration::from_millis(20));
        let mut walk = Walk { bench: Bench::new(QueueLimits { ttl, events: 20, bytes: 18, ..limits() }), in_flight: [None; 2] };
        let mut pushed = 0;
        for step in steps {
            pushed += u64::from(walk.take(step));
            prop_assert!(walk.bench.queue.bytes() <= 18);
            prop_assert_eq!(walk.bench.queue.events() as u64 + walk.bench.ends().len() as u64, pushed);
        }
        walk.drain()?;
        prop_assert_eq!(walk.bench.queue.bytes(), 0);
        prop_assert!(walk.bench.queue.keys.is_empty() && walk.bench.queue.spanning.is_empty());
    }
}

/// A queue, and the requests in flight: their numbers, and how many events they have.
struct Walk {
    bench: Bench,
    in_flight: [Option<(u64, usize)>; 2],
}

impl Walk {
    /// Takes a step. Returns whether it queued an event.
    fn take(&mut self, step: Step) -> bool {
        let now = self.bench.now;
        match step {
            Step::Push { shards, is_alone, key } => {
                let key = key.map(|key| format!("{shards:?}{key}").into());
                let new = NewEvent { event: "e", memory_bytes: 1, request_bytes: 1, shards, is_alone, key };
                return self.bench.queue.push(new, now).0.is_ok();
            }
            Step::Send { shard } => self.send(shard),
            Step::Complete { shard } => self.complete(shard),
            Step::Requeue { shard } => self.requeue(shard),
            Step::Advance { ms } => drop(self.bench.after(ms)),
            Step::DropOldest => {
                let oldest = self.bench.oldest();
                assert_eq!(self.bench.queue.drop_oldest(now).is_some(), oldest.is_some());
                if let Some(oldest) = oldest {
                    assert_eq!(self.bench.ends().last(), Some(&(oldest, End::Unsent(Reason::Dropped))));
                }
            }
        }
        false
    }

    fn send(&mut self, shard: usize) {
        if self.in_flight[shard].is_none() {
            if let Next::Send(batch) = self.bench.next(shard) {
                self.in_flight[shard] = Some((batch.request, batch.events.len()));
            }
        }
    }

    fn complete(&mut self, shard: usize) {
        if let Some((request, count)) = self.in_flight[shard].take() {
            self.bench.complete(shard, request, count, "ok");
        }
    }

    fn requeue(&mut self, shard: usize) {
        if let Some((request, count)) = self.in_flight[shard].take() {
            assert!(self.bench.queue.requeue(shard, request, vec!["e"; count]).is_some());
        }
    }

    /// Drains the queue, and checks that no event is stuck.
    fn drain(&mut self) -> Result<(), TestCaseError> {
        self.bench.queue.begin_drain();
        while self.bench.queue.events() > 0 {
            let before = self.bench.queue.events();
            (0..2).for_each(|shard| self.send(shard));
            (0..2).for_each(|shard| self.complete(shard));
            let left = self.bench.queue.events();
            prop_assert!(left < before, "{} events are stuck", left);
        }
        Ok(())
    }
}
