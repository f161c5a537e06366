//! Small models, in every schedule. Each of the first waits also ends without a wake-up: by its
//! timeout, or spuriously.
#![cfg(not(feature = "shuttle"))]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use loom::thread::{JoinHandle, spawn};
use models::bench::{A, B, BOTH, Bench, LONG, Manner, limits, some_time};
use models::publisher::queue::QueueLimits;
use models::publisher::shared::{Overflow, Refused};
use models::publisher::sync::{Lost, Site, Trouble, begin, sites};

/// The condition variables, in the order in which the queue creates them. The first two wake the
/// senders.
const SENDER_A: usize = 0;
const SENDER_B: usize = 1;
/// Wakes publishers that are blocked by a full queue.
const ROOM: usize = 2;
/// Wakes polls.
const REPORTS: usize = 3;
/// Wakes flushes, closes and waits for senders.
const QUIET: usize = 4;
/// Wakes event loops. It is created last, by the first call that asks for a descriptor.
const DESCRIPTOR: usize = 5;

/// Enough schedules to find a dropped wake-up.
const SOME: Option<usize> = Some(5000);

/// A model: it uses an empty queue, and returns when all its threads have ended.
struct Model {
    limits: fn(&mut QueueLimits),
    /// How often a thread that could continue may be preempted. `None`: without limit.
    preemptions: Option<usize>,
    /// How many of the first waits may end without a wake-up.
    waits: u32,
    /// The condition variable whose timed waits always time out.
    due: Option<usize>,
    /// Whether no reports are kept.
    is_silent: bool,
    /// The condition variables whose wake-ups the model needs.
    needs: &'static [usize],
    body: fn(&Arc<Bench>),
}

/// The defaults of a model.
const PLAIN: Model =
    Model { limits: |_| (), preemptions: None, waits: 2, due: None, is_silent: false, needs: &[], body: |_| () };

impl Model {
    /// Runs all schedules.
    fn check(&self, name: &str) {
        let schedules: u64 = (0..1 << self.waits).map(|unwoken| self.explore(unwoken, Lost::None, None)).sum();
        println!("{name}: {schedules} schedules");
        assert!(schedules > 1, "the threads never interact");
    }

    /// Runs at most `most` schedules, and returns their number. Panics in the first that fails.
    fn explore(&self, unwoken: u32, lost: Lost, most: Option<usize>) -> u64 {
        let count = Arc::new(AtomicU64::new(0));
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = self.preemptions;
        builder.max_branches = 10_000;
        builder.max_permutations = most;
        let (counter, due, is_silent, body) = (Arc::clone(&count), self.due, self.is_silent, self.body);
        let mut limits = limits();
        (self.limits)(&mut limits);
        builder.check(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            begin(Trouble { unwoken, due, lost });
            let bench = Bench::new(limits.clone(), is_silent);
            body(&bench);
            bench.check();
        });
        count.load(Ordering::Relaxed)
    }
}

/// Spawns a thread of the model.
fn go(bench: &Arc<Bench>, what: impl FnOnce(&Bench) + 'static) -> JoinHandle<()> {
    let bench = Arc::clone(bench);
    spawn(move || what(&bench))
}

fn join<const COUNT: usize>(threads: [JoinHandle<()>; COUNT]) {
    threads.into_iter().for_each(|thread| thread.join().expect("a thread"));
}

fn sender(bench: &Arc<Bench>, shard: usize) -> JoinHandle<()> {
    go(bench, move |bench| bench.send(shard, Manner::Plain))
}

/// Defines a test for each model, and the list of all models.
macro_rules! models {
    ($($(#[$comment:meta])* $name:ident: $model:expr;)+) => {
        $(
            $(#[$comment])*
            #[test]
            fn $name() {
                let model: Model = $model;
                model.check(stringify!($name));
            }
        )+
        const MODELS: &[(&str, fn() -> Model)] = &[$((stringify!($name), || $model)),+];
    };
}

models! {
    two_threads_publish_and_one_sends: Model {
        preemptions: Some(3),
        needs: &[SENDER_A, QUIET],
        body: |bench| {
            let threads = [sender(bench, 0), go(bench, |bench| bench.publish(1, 0, A, Overflow::Reject).expect("room"))];
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.flush(None).expect("no deadline");
            let [sender, publisher] = threads;
            join([publisher]);
            bench.close(None).expect("no deadline");
            join([sender]);
            assert_eq!(bench.ended_otherwise(), 0);
        },
        ..PLAIN
    };

    two_threads_publish_on_two_shards_and_two_send: Model {
        preemptions: Some(2),
        waits: 1,
        needs: &[SENDER_A, SENDER_B, QUIET],
        body: |bench| {
            let senders = [sender(bench, 0), sender(bench, 1)];
            let publishers = [(1, [A, B]), (2, [BOTH, A])].map(|(publisher, shards)| {
                go(bench, move |bench| {
                    for (number, shards) in shards.into_iter().enumerate() {
                        bench.publish(publisher, number, shards, Overflow::Reject).expect("room");
                    }
                })
            });
            join(publishers);
            bench.close(None).expect("no deadline");
            join(senders);
            assert_eq!(bench.ended_otherwise(), 0);
        },
        ..PLAIN
    };

    an_event_published_during_a_close_is_sent_or_refused: Model {
        preemptions: Some(3),
        needs: &[SENDER_A, QUIET],
        body: |bench| {
            let sender = sender(bench, 0);
            let publisher = go(bench, |bench| {
                let first = bench.publish(1, 0, A, Overflow::Reject);
                let second = bench.publish(1, 1, A, Overflow::Reject);
                assert!(first.is_ok() || second == Err(Refused::Closed));
            });
            bench.close(None).expect("no deadline");
            join([publisher]);
            join([sender]);
            assert_eq!(bench.ended_otherwise(), 0);
        },
        ..PLAIN
    };

    two_closes_and_a_flush_all_return: Model {
        preemptions: Some(2),
        waits: 1,
        needs: &[QUIET],
        body: |bench| {
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            let threads = [
                sender(bench, 0),
                go(bench, |bench| bench.close(None).expect("no deadline")),
                go(bench, |bench| bench.flush(None).expect("no deadline")),
            ];
            bench.close(None).expect("no deadline");
            join(threads);
        },
        ..PLAIN
    };

    /// No reports are kept, so only the close can end the poll.
    a_poll_without_reports_ends_on_close: Model {
        preemptions: Some(3),
        is_silent: true,
        needs: &[SENDER_A, REPORTS],
        body: |bench| {
            let threads = [sender(bench, 0), go(bench, Bench::poll_to_the_end)];
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.close(None).expect("no deadline");
            join(threads);
        },
        ..PLAIN
    };

    /// Nothing was ever published, so no sender can wake the poll.
    a_poll_of_an_idle_publisher_ends_on_close: Model {
        needs: &[REPORTS],
        body: |bench| {
            let polling = go(bench, Bench::poll_to_the_end);
            bench.close(None).expect("no deadline");
            join([polling]);
        },
        ..PLAIN
    };

    a_flush_returns_when_a_close_times_out: Model {
        preemptions: Some(3),
        needs: &[QUIET],
        body: |bench| {
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            let flush = go(bench, |bench| bench.flush(None).expect("no deadline"));
            bench.close(some_time()).expect_err("there is no sender");
            join([flush]);
        },
        due: Some(QUIET),
        waits: 0,
        ..PLAIN
    };

    /// The sender that completes the last event ends the flush, whichever sender that is.
    two_senders_complete_and_one_flush_waits: Model {
        preemptions: Some(3),
        needs: &[QUIET],
        body: |bench| {
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.publish(0, 1, B, Overflow::Reject).expect("room");
            let senders = [sender(bench, 0), sender(bench, 1)];
            bench.flush(None).expect("no deadline");
            bench.close(None).expect("no deadline");
            join(senders);
        },
        ..PLAIN
    };

    nothing_lingers_during_a_flush: Model {
        limits: |limits| limits.linger = LONG,
        needs: &[SENDER_A, QUIET],
        body: |bench| {
            let sender = sender(bench, 0);
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.publish(0, 1, A, Overflow::Reject).expect("room");
            bench.publish(0, 2, A, Overflow::Reject).expect("room");
            bench.flush(None).expect("no deadline");
            bench.close(None).expect("no deadline");
            join([sender]);
        },
        // A sender whose wait ends early lingers again, because LONG never passes.
        waits: 0,
        ..PLAIN
    };

    /// The third event fills the batch on which the sender may wait. Nothing else ends that wait.
    a_full_batch_does_not_linger: Model {
        limits: |limits| (limits.linger, limits.batch_events) = (LONG, 3),
        needs: &[SENDER_A, REPORTS],
        body: |bench| {
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.publish(0, 1, A, Overflow::Reject).expect("room");
            let threads = [sender(bench, 0), go(bench, |bench| bench.publish(1, 0, A, Overflow::Reject).expect("room"))];
            while bench.reported() < 3 {
                bench.poll(None).expect("it is not closed");
            }
            bench.close(None).expect("no deadline");
            join(threads);
        },
        waits: 0,
        ..PLAIN
    };

    /// The third event is across shards, so it ends the batch.
    a_batch_before_an_event_across_shards_does_not_linger: Model {
        preemptions: Some(2),
        limits: |limits| limits.linger = LONG,
        needs: &[SENDER_A, REPORTS],
        body: |bench| {
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.publish(0, 1, A, Overflow::Reject).expect("room");
            let threads = [
                sender(bench, 0),
                sender(bench, 1),
                go(bench, |bench| bench.publish(1, 0, BOTH, Overflow::Reject).expect("room")),
            ];
            while bench.reported() < 3 {
                bench.poll(None).expect("it is not closed");
            }
            bench.close(None).expect("no deadline");
            join(threads);
        },
        waits: 0,
        ..PLAIN
    };

    a_poll_returns_all_reports_and_then_ends: Model {
        preemptions: Some(3),
        needs: &[SENDER_A, REPORTS],
        body: |bench| {
            let threads = [sender(bench, 0), go(bench, Bench::poll_to_the_end)];
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.publish(0, 1, A, Overflow::Reject).expect("room");
            bench.close(None).expect("no deadline");
            join(threads);
            assert_eq!(bench.reported(), 2);
        },
        ..PLAIN
    };

    two_polls_share_the_reports_and_both_end: Model {
        preemptions: Some(2),
        needs: &[SENDER_A, REPORTS],
        body: |bench| {
            let threads = [sender(bench, 0), go(bench, Bench::poll_to_the_end), go(bench, Bench::poll_to_the_end)];
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.close(None).expect("no deadline");
            join(threads);
            assert_eq!(bench.reported(), 1);
        },
        ..PLAIN
    };

    a_poll_with_a_deadline_loses_no_report: Model {
        needs: &[SENDER_A],
        body: |bench| {
            let sender = sender(bench, 0);
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            let first = bench.poll(some_time());
            bench.close(None).expect("no deadline");
            join([sender]);
            assert_eq!(bench.poll(some_time()).is_ok(), first.is_err());
            assert_eq!(bench.reported(), 1);
        },
        ..PLAIN
    };

    /// Each publisher may have to wait for the end of the other's event.
    a_blocked_publisher_waits_for_room: Model {
        preemptions: Some(3),
        limits: |limits| limits.events = 1,
        needs: &[SENDER_A, ROOM],
        body: |bench| {
            let publisher = |number: usize| {
                move |bench: &Bench| {
                    let result = bench.publish(number, 0, A, Overflow::Block(LONG));
                    assert!(matches!(result, Ok(()) | Err(Refused::Full)));
                }
            };
            let threads = [sender(bench, 0), go(bench, publisher(1))];
            publisher(0)(bench);
            let [sender, other] = threads;
            join([other]);
            bench.close(None).expect("no deadline");
            join([sender]);
        },
        ..PLAIN
    };

    a_blocked_publisher_is_refused_on_close: Model {
        limits: |limits| limits.events = 1,
        // No event ends, so only the close wakes the publisher.
        needs: &[ROOM],
        body: |bench| {
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            let publisher = go(bench, |bench| {
                assert_eq!(bench.publish(1, 0, A, Overflow::Block(LONG)), Err(Refused::Closed));
            });
            bench.close(some_time()).expect_err("there is no sender");
            join([publisher]);
            assert_eq!(bench.ended_otherwise(), 1);
        },
        due: Some(QUIET),
        waits: 0,
        ..PLAIN
    };

    a_dropped_event_does_not_block_the_events_after_it: Model {
        preemptions: Some(2),
        waits: 1,
        limits: |limits| limits.events = 2,
        needs: &[SENDER_A, SENDER_B],
        body: |bench| {
            let threads = [
                sender(bench, 0),
                sender(bench, 1),
                go(bench, |bench| {
                    for number in 0..2 {
                        let _ = bench.publish(1, number, [BOTH, B][number], Overflow::DropOldest);
                    }
                }),
            ];
            let _ = bench.publish(0, 0, A, Overflow::DropOldest);
            let _ = bench.publish(0, 1, BOTH, Overflow::DropOldest);
            let [a, b, publisher] = threads;
            join([publisher]);
            bench.close(None).expect("no deadline");
            join([a, b]);
        },
        ..PLAIN
    };

    events_across_shards_are_sent_among_others: Model {
        preemptions: Some(2),
        waits: 1,
        needs: &[SENDER_A, SENDER_B],
        body: |bench| {
            let threads = [
                sender(bench, 0),
                sender(bench, 1),
                go(bench, |bench| {
                    bench.publish(1, 0, A, Overflow::Reject).expect("room");
                    bench.publish(1, 1, BOTH, Overflow::Reject).expect("room");
                }),
            ];
            bench.publish(0, 0, BOTH, Overflow::Reject).expect("room");
            bench.publish(0, 1, B, Overflow::Reject).expect("room");
            let [a, b, publisher] = threads;
            join([publisher]);
            bench.close(None).expect("no deadline");
            join([a, b]);
            assert_eq!(bench.ended_otherwise(), 0);
        },
        ..PLAIN
    };

    expired_events_across_shards_block_no_sender: Model {
        preemptions: Some(2),
        limits: |limits| limits.ttl = Some(Duration::ZERO),
        needs: &[SENDER_A, SENDER_B],
        body: |bench| {
            let senders = [sender(bench, 0), sender(bench, 1)];
            bench.publish(0, 0, BOTH, Overflow::Reject).expect("room");
            bench.publish(0, 1, A, Overflow::Reject).expect("room");
            bench.publish(0, 2, B, Overflow::Reject).expect("room");
            bench.close(None).expect("no deadline");
            join(senders);
            assert_eq!(bench.ended_otherwise(), 3);
        },
        ..PLAIN
    };

    /// There is memory for one request at a time. The end of each must wake the shard that waits for it.
    a_request_without_memory_waits_for_the_end_of_another: Model {
        preemptions: Some(3),
        limits: |limits| limits.bytes = 3,
        needs: &[SENDER_A, SENDER_B],
        body: |bench| {
            let senders = [sender(bench, 0), sender(bench, 1)];
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.publish(0, 1, B, Overflow::Reject).expect("room");
            bench.flush(None).expect("no deadline");
            bench.close(None).expect("no deadline");
            join(senders);
            assert_eq!(bench.ended_otherwise(), 0);
        },
        ..PLAIN
    };

    a_newer_event_replaces_one_that_is_not_in_flight: Model {
        preemptions: Some(3),
        needs: &[SENDER_A, QUIET],
        body: |bench| {
            let threads = [sender(bench, 0), go(bench, |bench| bench.publish_keyed(1, 0, A, "k").expect("room"))];
            bench.publish_keyed(0, 0, A, "k").expect("room");
            bench.publish(0, 1, A, Overflow::Reject).expect("room");
            bench.flush(None).expect("no deadline");
            let [sender, publisher] = threads;
            join([publisher]);
            bench.close(None).expect("no deadline");
            join([sender]);
        },
        ..PLAIN
    };

    a_batch_completed_event_by_event_admits_blocked_publishers: Model {
        preemptions: Some(3),
        limits: |limits| limits.events = 2,
        needs: &[ROOM],
        body: |bench| {
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.publish(0, 1, A, Overflow::Reject).expect("room");
            let threads = [
                go(bench, |bench| bench.send(0, Manner::Piecemeal)),
                go(bench, |bench| assert_ne!(bench.publish(1, 0, A, Overflow::Block(LONG)), Err(Refused::Closed))),
            ];
            let [sender, publisher] = threads;
            join([publisher]);
            bench.close(None).expect("no deadline");
            join([sender]);
        },
        ..PLAIN
    };

    /// A request waits for its retry, or until a close gives it up. Its events end once.
    a_close_gives_up_a_request_that_waits_for_a_retry: Model {
        preemptions: Some(3),
        needs: &[SENDER_A],
        body: |bench| {
            let threads = [
                go(bench, |bench| bench.send(0, Manner::Twice)),
                go(bench, Bench::poll_to_the_end),
            ];
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.publish(0, 1, A, Overflow::Reject).expect("room");
            let _ = bench.close(some_time());
            join(threads);
            assert_eq!(bench.reported(), 2);
        },
        due: Some(QUIET),
        ..PLAIN
    };

    a_close_gives_up_an_event_across_shards_in_flight: Model {
        preemptions: Some(2),
        body: |bench| {
            let senders = [sender(bench, 0), sender(bench, 1)];
            bench.publish(0, 0, BOTH, Overflow::Reject).expect("room");
            bench.publish(0, 1, A, Overflow::Reject).expect("room");
            bench.publish(0, 2, B, Overflow::Reject).expect("room");
            let _ = bench.close(some_time());
            join(senders);
        },
        due: Some(QUIET),
        ..PLAIN
    };

    a_wait_for_senders_sees_them_end: Model {
        preemptions: Some(3),
        needs: &[QUIET],
        body: |bench| {
            let senders = [sender(bench, 0), sender(bench, 1)];
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.close(None).expect("no deadline");
            if bench.wait_for_senders(2).is_ok() {
                join(senders);
            }
        },
        ..PLAIN
    };

    /// The event loop sleeps on the descriptor only, so each report must make it readable.
    an_event_loop_gets_all_reports: Model {
        preemptions: Some(3),
        needs: &[SENDER_A, DESCRIPTOR],
        body: |bench| {
            let descriptor = bench.descriptor();
            let threads = [sender(bench, 0), go(bench, move |bench| bench.loop_for_reports(&descriptor, 2))];
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.publish(0, 1, A, Overflow::Reject).expect("room");
            let [sender, event_loop] = threads;
            join([event_loop]);
            assert!(!bench.descriptor().is_raised(), "readable without a report");
            bench.close(None).expect("no deadline");
            join([sender]);
        },
        ..PLAIN
    };

    /// The descriptor may be asked for when the reports are already there, or at any time before.
    a_descriptor_that_is_asked_for_late_shows_reports: Model {
        preemptions: Some(3),
        needs: &[SENDER_A, DESCRIPTOR],
        body: |bench| {
            let threads = [
                sender(bench, 0),
                go(bench, |bench| {
                    let descriptor = bench.descriptor();
                    bench.loop_for_reports(&descriptor, 1);
                }),
            ];
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            let [sender, event_loop] = threads;
            join([event_loop]);
            bench.close(None).expect("no deadline");
            join([sender]);
        },
        ..PLAIN
    };

    /// A close that gives events up makes their reports readable, too.
    an_event_loop_gets_the_reports_of_a_close: Model {
        preemptions: Some(3),
        needs: &[DESCRIPTOR],
        body: |bench| {
            let descriptor = bench.descriptor();
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            let event_loop = go(bench, move |bench| bench.loop_for_reports(&descriptor, 1));
            bench.close(some_time()).expect_err("there is no sender");
            join([event_loop]);
        },
        due: Some(QUIET),
        waits: 0,
        ..PLAIN
    };

    /// An event loop that found the queue full sleeps on the descriptor until there is space.
    an_event_loop_publishes_when_there_is_space_again: Model {
        preemptions: Some(3),
        limits: |limits| limits.events = 1,
        is_silent: true,
        needs: &[SENDER_A, DESCRIPTOR],
        body: |bench| {
            let descriptor = bench.descriptor();
            let threads = [sender(bench, 0), go(bench, move |bench| bench.loop_for_space(&descriptor, 3, A))];
            let [sender, event_loop] = threads;
            join([event_loop]);
            bench.close(None).expect("no deadline");
            join([sender]);
            assert_eq!(bench.ended_otherwise(), 0);
        },
        ..PLAIN
    };

    /// Each event is sent or handed over, and the sender ends although events wait.
    a_drain_hands_over_what_is_not_sent: Model {
        preemptions: Some(3),
        limits: |limits| limits.batch_events = 1,
        needs: &[SENDER_A, QUIET],
        body: |bench| {
            let sender = sender(bench, 0);
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.publish(0, 1, A, Overflow::Reject).expect("room");
            bench.hand_over(None, false);
            join([sender]);
            assert_eq!(bench.ended_otherwise(), bench.handed_over());
        },
        ..PLAIN
    };

    /// A sender that waits for its retry is woken, and gives its events back.
    a_drain_takes_back_what_waits_for_a_retry: Model {
        preemptions: Some(3),
        needs: &[SENDER_A],
        body: |bench| {
            let sender = go(bench, |bench| bench.send(0, Manner::SecondTime));
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            bench.publish(0, 1, A, Overflow::Reject).expect("room");
            bench.hand_over(None, false);
            join([sender]);
            assert_eq!(bench.ended_otherwise(), bench.handed_over());
        },
        waits: 0,
        ..PLAIN
    };

    /// The same with an event that has several shards, and waits that end early.
    a_drain_takes_back_an_event_of_two_shards: Model {
        preemptions: Some(2),
        waits: 1,
        body: |bench| {
            let senders = [0, 1].map(|shard| go(bench, move |bench| bench.send(shard, Manner::SecondTime)));
            bench.publish(0, 0, BOTH, Overflow::Reject).expect("room");
            bench.publish(0, 1, B, Overflow::Reject).expect("room");
            bench.hand_over(None, false);
            join(senders);
        },
        ..PLAIN
    };

    /// Another thread publishes meanwhile, and a third one drains, too.
    two_drains_hand_each_event_over_once: Model {
        preemptions: Some(2),
        waits: 1,
        needs: &[QUIET],
        body: |bench| {
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            let threads = [
                sender(bench, 0),
                go(bench, |bench| bench.hand_over(None, false)),
                go(bench, |bench| {
                    let _ = bench.publish(1, 0, A, Overflow::Reject);
                }),
            ];
            bench.hand_over(None, false);
            join(threads);
        },
        ..PLAIN
    };

    /// The flush waits for events that no sender ends.
    a_flush_and_a_close_end_with_a_drain: Model {
        preemptions: Some(2),
        waits: 1,
        needs: &[QUIET],
        body: |bench| {
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            let threads = [
                go(bench, |bench| {
                    let _ = bench.flush(None);
                }),
                go(bench, |bench| bench.hand_over(None, false)),
            ];
            let _ = bench.close(None);
            join(threads);
        },
        ..PLAIN
    };

    /// A drain that fails keeps the events. The close, which may have begun before, does not wait for a sender.
    a_close_ends_what_a_failed_drain_has_kept: Model {
        preemptions: Some(3),
        needs: &[QUIET],
        body: |bench| {
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            let draining = go(bench, |bench| bench.hand_over(None, true));
            let _ = bench.close(None);
            join([draining]);
            bench.close(None).expect("nothing is left");
        },
        ..PLAIN
    };

    /// Publishing ends expired events even if there is no room afterwards. Their reports must wake
    /// the poll.
    a_refused_event_reports_the_events_that_it_expired: Model {
        limits: |limits| (limits.bytes, limits.ttl) = (2, Some(Duration::ZERO)),
        needs: &[REPORTS],
        body: |bench| {
            bench.publish(0, 0, A, Overflow::Reject).expect("room");
            let publisher = go(bench, |bench| assert_eq!(bench.publish_large(1, 0, A, 2), Err(Refused::Full)));
            bench.poll(None).expect("a report");
            join([publisher]);
            bench.close(None).expect("no deadline");
        },
        ..PLAIN
    };
}

/// Returns the message of the first panic, if there is one.
fn trouble_in(model: &Model, lost: Lost) -> Option<String> {
    let result = catch_unwind(AssertUnwindSafe(|| model.explore(0, lost, SOME)));
    let panic = result.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
}

#[test]
fn each_model_fails_without_a_wake_up_that_it_needs() {
    for (name, model) in MODELS {
        let model = model();
        for &condition in model.needs {
            let trouble = trouble_in(&model, Lost::Of(condition)).expect("the model needs the wake-up");
            assert!(trouble.contains("deadlock"), "{name} without the wake-ups of {condition}: {trouble}");
        }
    }
}

#[test]
fn some_model_fails_without_any_one_call_that_wakes() {
    let mut users: BTreeMap<Site, Vec<Model>> = BTreeMap::new();
    for (_, model) in MODELS {
        model().explore(0, Lost::None, SOME);
        for site in sites() {
            users.entry(site).or_default().push(model());
        }
    }
    // Several call sites end each kind of wait.
    assert!(users.len() > 8, "{:?}", users.keys());
    for (site, models) in users {
        let is_found = models.iter().any(|model| trouble_in(model, Lost::At(site)).is_some());
        assert!(is_found, "no model fails without {site:?}");
    }
}
