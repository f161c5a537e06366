//! The queue without threads.

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

const A: Shards = Shards::from_bits(0b01);
const B: Shards = Shards::from_bits(0b10);
const BOTH: Shards = Shards::from_bits(0b11);

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
                    let new =
                        New { event: "e", bytes: 1, length: 1, shards, is_alone: shards == BOTH || roll(5) == 0, key };
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
