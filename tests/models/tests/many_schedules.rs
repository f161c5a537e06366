//! More threads than every schedule of can be gone through: a hundred thousand schedules, drawn at random. A quarter of all waits end
//! by themselves.
#![cfg(feature = "shuttle")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use models::bench::{Bench, LONG, Manner, limits, some_time};
use models::publisher::queue::QueueLimits;
use models::publisher::shared::{Overflow, Refused};
use models::publisher::sync::{Lost, Trouble, begin};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::{JoinHandle, spawn};
use shuttle::{Config, Runner};

const PUBLISHERS: usize = 4;
const SENDERS: usize = 3;
const EVENTS: usize = 4;

/// The condition variables, by the order in which the queue makes them: that of the sender that rests, that for room, and, after that
/// for reports, that for quiet.
const RESTING: usize = 2;
const ROOM: usize = SENDERS;
const QUIET: usize = SENDERS + 2;

/// Schedules drawn by chance find most things; those with few changes of thread find what needs a thread to sleep for long.
const BY_CHANCE: usize = 60_000;
const WITH_FEW_CHANGES: usize = 40_000;

fn go(bench: &Arc<Bench>, what: impl FnOnce(&Bench) + Send + 'static) -> JoinHandle<()> {
    let bench = Arc::clone(bench);
    spawn(move || what(&bench))
}

/// Events of one shard, of two and of all three, some of which find no room, others of which push others out.
fn publish(bench: &Bench, publisher: usize) {
    let overflow = [Overflow::Reject, Overflow::Block(LONG), Overflow::DropOldest, Overflow::Block(LONG)][publisher];
    for number in 0..EVENTS {
        let result = if (publisher + number) % 4 == 3 {
            // A key belongs to a shard, as it has the channel in it.
            let shard = publisher % SENDERS;
            bench.publish_keyed(publisher, number, 1 << shard, &shard.to_string())
        } else {
            bench.publish(
                publisher,
                number,
                [0b001, 0b010, 0b100, 0b011, 0b110, 0b111][(2 * publisher + number) % 6],
                overflow,
            )
        };
        if result == Err(Refused::Closed) {
            break;
        }
    }
}

/// Four publish, three send, two poll, one flushes and one closes: when all is done, or at any time and at once.
fn everything(closes_in_time: bool, lost: Lost) {
    // Either the one that rests between two attempts goes on by itself, or closing gives it up.
    let due = Some(if closes_in_time { RESTING } else { QUIET });
    begin(Trouble { due, lost, ..Trouble::default() });
    let bench = Bench::new(QueueLimits { shards: SENDERS, events: 5, batch_events: 3, ..limits() }, false);
    let senders: Vec<_> = [Manner::Plain, Manner::Piecemeal, Manner::Twice]
        .into_iter()
        .enumerate()
        .map(|(shard, manner)| go(&bench, move |bench| bench.send(shard, manner)))
        .collect();
    let publishers: Vec<_> = (0..PUBLISHERS).map(|number| go(&bench, move |bench| publish(bench, number))).collect();
    let others = [
        go(&bench, Bench::poll_to_the_end),
        go(&bench, |bench| {
            let _ = bench.flush(some_time());
        }),
        go(&bench, |bench| {
            let _ = bench.poll(some_time());
        }),
    ];
    if closes_in_time {
        // Afterwards, so that nobody is refused for it.
        publishers.into_iter().for_each(|publisher| publisher.join().expect("a publisher"));
        bench.flush(None).expect("no deadline");
        bench.close(None).expect("no deadline");
    } else {
        let _ = bench.close(some_time());
        publishers.into_iter().for_each(|publisher| publisher.join().expect("a publisher"));
    }
    senders.into_iter().chain(others).for_each(|thread| thread.join().expect("a thread"));
    assert!(bench.wait_for_senders(SENDERS).is_ok());
    bench.check();
}

fn run(scheduler: impl Scheduler + 'static, closes_in_time: bool, lost: Lost) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    Runner::new(scheduler, Config::new()).run(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        everything(closes_in_time, lost);
    });
    count.load(Ordering::Relaxed)
}

#[test]
fn all_comes_to_its_end_by_chance() {
    let count: usize =
        [false, true].map(|in_time| run(RandomScheduler::new(BY_CHANCE / 2), in_time, Lost::None)).iter().sum();
    assert_eq!(count, BY_CHANCE);
    println!("{count} schedules by chance");
}

#[test]
fn all_comes_to_its_end_with_few_changes() {
    let count: usize =
        [false, true].map(|in_time| run(PctScheduler::new(3, WITH_FEW_CHANGES / 2), in_time, Lost::None)).iter().sum();
    assert_eq!(count, WITH_FEW_CHANGES);
    println!("{count} schedules with few changes");
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_lost_wake_up_is_found() {
    run(RandomScheduler::new(BY_CHANCE / 2), true, Lost::Every(7));
}

#[test]
#[should_panic(expected = "deadlock")]
fn one_that_is_told_of_no_room_is_found() {
    run(RandomScheduler::new(BY_CHANCE / 2), true, Lost::Of(ROOM));
}
