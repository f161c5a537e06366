//! Small models, in every schedule, and with each of the first waits ending by itself or not: its time is up, or it was woken for
//! no reason.
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

/// The condition variables, by the order in which the queue makes them: those of the two senders, …
const SENDER_A: usize = 0;
const SENDER_B: usize = 1;
/// … that for room, that for reports, and that for quiet.
const ROOM: usize = 2;
const REPORTS: usize = 3;
const QUIET: usize = 4;

/// As many schedules as a lost wake-up may need to be found.
const SOME: Option<usize> = Some(5000);

/// One model: what is done with an empty queue, up to where everything has ended.
struct Model {
    limits: fn(&mut QueueLimits),
    /// How often a thread may be interrupted where it could go on; `None` is ever so often.
    preemptions: Option<usize>,
    /// How many waits may end by themselves.
    waits: u32,
    /// Where time is always up.
    due: Option<usize>,
    /// No reports are kept.
    is_silent: bool,
    /// Whose wake-ups it can't do without.
    needs: &'static [usize],
    body: fn(&Arc<Bench>),
}

/// What is not said of a model.
const PLAIN: Model =
    Model { limits: |_| (), preemptions: None, waits: 2, due: None, is_silent: false, needs: &[], body: |_| () };

impl Model {
    /// Goes through all its schedules.
    fn check(&self, name: &str) {
        let schedules: u64 = (0..1 << self.waits).map(|unwoken| self.explore(unwoken, Lost::None, None)).sum();
        println!("{name}: {schedules} schedules");
        assert!(schedules > 1, "threads that never meet");
    }

    /// How many schedules there are, of which `most` are gone through. Panics in the first that goes wrong.
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

/// A thread of the model.
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

/// Defines the tests, and the list of them.
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
    two_publish_and_one_sends: Model {
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

    two_publish_on_two_shards_and_two_send: Model {
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

    what_is_published_while_it_closes_is_sent_or_refused: Model {
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

    closing_twice_and_flushing_end_all_three: Model {
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

    /// Nothing is reported but the end.
    one_who_polls_for_nothing_comes_to_an_end: Model {
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

    /// There is no sender that could tell it: nothing was ever published.
    one_who_polls_an_idle_publisher_comes_to_an_end: Model {
        needs: &[REPORTS],
        body: |bench| {
            let polling = go(bench, Bench::poll_to_the_end);
            bench.close(None).expect("no deadline");
            join([polling]);
        },
        ..PLAIN
    };

    one_who_flushes_is_told_that_closing_gave_up: Model {
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

    /// The event that is settled last lets those go that wait for quiet, whoever settles it.
    two_senders_settle_and_one_waits_for_quiet: Model {
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

    nobody_lingers_while_somebody_flushes: Model {
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
        // One that lingers for ever although its time is up would never end.
        waits: 0,
        ..PLAIN
    };

    /// The third fills the batch for which the sender may be waiting; nothing else ends that wait.
    a_batch_that_is_full_waits_no_longer: Model {
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

    /// The same, where what comes third can be in no batch.
    a_batch_before_an_event_across_shards_waits_no_longer: Model {
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

    one_who_polls_gets_all_reports_and_then_an_end: Model {
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

    two_who_poll_share_the_reports_and_both_come_to_an_end: Model {
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

    one_who_polls_with_a_deadline_loses_nothing: Model {
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

    /// Each of the two may have to wait for the other's event to end.
    who_finds_no_room_waits_for_it: Model {
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

    who_waits_for_room_while_it_closes_is_refused: Model {
        limits: |limits| limits.events = 1,
        // Not for the sender: where nothing ends, closing is what wakes.
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

    the_oldest_makes_room_and_whoever_stood_behind_it_goes_on: Model {
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

    events_across_shards_come_to_their_turn_among_others: Model {
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

    events_across_shards_that_have_waited_too_long_keep_nobody_waiting: Model {
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

    a_newer_event_takes_the_place_of_one_that_is_not_under_way: Model {
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

    a_batch_that_ends_event_by_event_lets_blocked_ones_in_between: Model {
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

    /// A request rests until it is sent again, or until closing gives it up; its events end once.
    closing_gives_up_what_rests: Model {
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

    closing_gives_up_what_is_on_the_wire_across_shards: Model {
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

    senders_that_have_ended_are_noticed: Model {
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

    /// What makes no room in the end may have ended others: those who wait for that are told.
    an_event_for_which_there_is_no_room_has_its_victims_reported: Model {
        limits: |limits| (limits.bytes, limits.ttl) = (1, Some(Duration::ZERO)),
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

/// What went wrong, if anything did.
fn trouble_in(model: &Model, lost: Lost) -> Option<String> {
    let result = catch_unwind(AssertUnwindSafe(|| model.explore(0, lost, SOME)));
    let panic = result.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
}

#[test]
fn no_model_can_do_without_the_wake_ups_that_it_needs() {
    for (name, model) in MODELS {
        let model = model();
        for &condition in model.needs {
            let trouble = trouble_in(&model, Lost::Of(condition)).expect("it does without");
            assert!(trouble.contains("deadlock"), "{name} without the wake-ups of {condition}: {trouble}");
        }
    }
}

#[test]
fn no_place_that_wakes_can_be_left_out() {
    let mut users: BTreeMap<Site, Vec<Model>> = BTreeMap::new();
    for (_, model) in MODELS {
        model().explore(0, Lost::None, SOME);
        for site in sites() {
            users.entry(site).or_default().push(model());
        }
    }
    // Each kind of waiting is ended in several places.
    assert!(users.len() > 8, "{:?}", users.keys());
    for (site, models) in users {
        let is_found = models.iter().any(|model| trouble_in(model, Lost::At(site)).is_some());
        assert!(is_found, "nothing goes wrong without {site:?}");
    }
}
