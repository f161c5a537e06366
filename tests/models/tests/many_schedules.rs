//! A model with too many threads to run every schedule: a hundred thousand random schedules. A
//! quarter of all waits end without a wake-up.
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

/// The condition variables, in the order in which the queue creates them. This one wakes the sender
/// that waits for its retry.
const RETRYING: usize = 2;
/// Wakes publishers that are blocked by a full queue.
const ROOM: usize = SENDERS;
/// Wakes flushes, closes and waits for senders.
const QUIET: usize = SENDERS + 2;

/// Random schedules find most faults. Those with few thread switches find faults in which a thread
/// sleeps for long.
const RANDOM_SCHEDULES: usize = 60_000;
const SCHEDULES_WITH_FEW_SWITCHES: usize = 40_000;

fn go(bench: &Arc<Bench>, what: impl FnOnce(&Bench) + Send + 'static) -> JoinHandle<()> {
    let bench = Arc::clone(bench);
    spawn(move || what(&bench))
}

/// Publishes events of one shard, of two and of all three. Some find the queue full, some drop
/// others.
fn publish(bench: &Bench, publisher: usize) {
    let overflow = [Overflow::Reject, Overflow::Block(LONG), Overflow::DropOldest, Overflow::Block(LONG)][publisher];
    for number in 0..EVENTS {
        let result = if (publisher + number) % 4 == 3 {
            // A key belongs to one shard, because it includes the channel.
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

/// Four threads publish, three send, two poll and one flushes. This one closes: after all events
/// have ended, or at any time.
fn everything(closes_in_time: bool, lost: Lost) {
    // Either the retry happens after its wait, or the close gives the request up.
    let due = Some(if closes_in_time { RETRYING } else { QUIET });
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
        // Closing only now refuses no publisher.
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
fn random_schedules_satisfy_all_properties() {
    let count: usize =
        [false, true].map(|in_time| run(RandomScheduler::new(RANDOM_SCHEDULES / 2), in_time, Lost::None)).iter().sum();
    assert_eq!(count, RANDOM_SCHEDULES);
    println!("{count} random schedules");
}

#[test]
fn schedules_with_few_switches_satisfy_all_properties() {
    let count: usize = [false, true]
        .map(|in_time| run(PctScheduler::new(3, SCHEDULES_WITH_FEW_SWITCHES / 2), in_time, Lost::None))
        .iter()
        .sum();
    assert_eq!(count, SCHEDULES_WITH_FEW_SWITCHES);
    println!("{count} schedules with few switches");
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_dropped_wake_up_is_found() {
    run(RandomScheduler::new(RANDOM_SCHEDULES / 2), true, Lost::Every(7));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_missing_wake_up_for_room_is_found() {
    run(RandomScheduler::new(RANDOM_SCHEDULES / 2), true, Lost::Of(ROOM));
}
