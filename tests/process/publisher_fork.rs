//! Publishers and forks. A publisher belongs to the process that made it: its functions fail in a
//! child, which leaves it untouched, and the parent goes on.
//!
//! The process that forks is a child of the test process, so that it inherits nothing of the
//! server.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::publisher::{self, FOR_EVER, Publisher, events_of};
use crate::support::{Client, Outcome, Server, child, config, host};
use serde_json::{Value, json};

/// The variable that holds the configuration for the process that forks.
const CONFIG: &str = "TEST_CONFIG";

fn the_client() -> Client {
    Client::new(&env::var(CONFIG).unwrap())
}

/// Runs the test again in a process that may fork, with a client of this server. Returns what it
/// reported.
#[track_caller]
fn run(test: &str, server: &Server) -> Vec<String> {
    child::run(module_path!(), test, &[(CONFIG, config(server.port(), json!({"timeout_ms": 6000})))])
}

fn all() -> Value {
    json!({"reports": "all"})
}

/// Returns how often the server has accepted each event.
fn accepted(server: &Server) -> BTreeMap<String, usize> {
    let mut accepted = BTreeMap::new();
    for event in server.ledger().iter().flat_map(events_of) {
        *accepted.entry(event.data).or_default() += 1;
    }
    accepted
}

/// Asserts that every function returns FORKED at once.
#[track_caller]
fn is_forked(publisher: &Publisher) {
    let forked = |outcome: &Outcome, delivery: &str| {
        outcome.is("FORKED", delivery);
        assert!(outcome.elapsed.as_millis() < 2000, "{outcome:?}");
    };
    forked(&publisher.try_publish("c", "e", "\"child\"", None).unwrap_err(), "not_sent");
    forked(&publisher.try_publish(r#"["c","d"]"#, "e", "\"child\"", None).unwrap_err(), "not_sent");
    forked(&publisher::raw_poll(Some(publisher), FOR_EVER), "");
    forked(&publisher::flush(Some(publisher), FOR_EVER), "");
    forked(&publisher::close(Some(publisher), FOR_EVER), "");
    forked(&publisher::stats(Some(publisher)), "");
    forked(&publisher::fd(Some(publisher)).unwrap_err(), "");
    forked(&publisher::drain(Some(publisher), FOR_EVER), "");
    forked(&publisher::restore(Some(publisher), Some(b"{}")), "not_sent");
    assert_eq!(publisher::without_out(Some(publisher)), [83; 5]);
}

#[test]
fn a_publisher_is_forked_in_a_child_and_goes_on_in_the_parent() {
    if child::is_child() {
        let client = the_client();
        // Unused, used, and closed before the fork.
        for state in ["new", "used", "closed"] {
            let mut publisher = Some(Publisher::new(&client, &all()));
            let of = |publisher: &Option<Publisher>, who: &str| {
                publisher.as_ref().unwrap().publish("c", "e", &json!(format!("{state} {who}")).to_string());
            };
            if state != "new" {
                of(&publisher, "before");
            }
            if state == "closed" {
                publisher.as_ref().unwrap().close();
            }
            host::fork(|| {
                is_forked(publisher.as_ref().unwrap());
                host::fork(|| is_forked(publisher.as_ref().unwrap())).join();
                drop(publisher.take());
            })
            .join();
            // A child that only frees the publisher, and one that only exits.
            host::fork(|| drop(publisher.take())).join();
            host::fork(|| {}).join();
            let publisher = publisher.unwrap();
            if state == "closed" {
                assert_eq!(publisher.reports(1)[0].delivery, "delivered");
                continue;
            }
            publisher.publish("c", "e", &json!(format!("{state} after")).to_string());
            publisher.flush();
            let reports = publisher.reports(if state == "new" { 1 } else { 2 });
            assert!(reports.iter().all(|report| report.delivery == "delivered"), "{reports:?}");
        }
        return;
    }
    let server = Server::start([]);
    run("a_publisher_is_forked_in_a_child_and_goes_on_in_the_parent", &server);
    let expected = ["closed before", "new after", "used after", "used before"];
    assert_eq!(accepted(&server), expected.map(|data| (data.to_owned(), 1)).into());
}

#[test]
fn a_child_may_make_its_own_publishers() {
    if child::is_child() {
        let client = the_client();
        let parents = Publisher::new(&client, &all());
        parents.publish("c", "e", "\"parent 1\"");
        parents.flush();
        host::fork(|| {
            let own = Publisher::new(&client, &all());
            assert_eq!(own.publish("c", "e", "\"child 1\""), 1);
            own.flush();
            assert_eq!(own.report().delivery, "delivered");
            host::fork(|| {
                is_forked(&own);
                is_forked(&parents);
                let own = Publisher::new(&client, &all());
                own.publish("c", "e", "\"grandchild\"");
                own.close();
                assert_eq!(own.report().delivery, "delivered");
            })
            .join();
            own.publish("c", "e", "\"child 2\"");
            drop(own);
        })
        .join();
        parents.publish("c", "e", "\"parent 2\"");
        parents.close();
        assert_eq!(parents.reports(2).len(), 2);
        return;
    }
    let server = Server::start([]);
    run("a_child_may_make_its_own_publishers", &server);
    let expected = ["child 1", "child 2", "grandchild", "parent 1", "parent 2"];
    assert_eq!(accepted(&server), expected.map(|data| (data.to_owned(), 1)).into());
    // Each process has its own connection.
    let connection_of = |who: &str| {
        let ledger = server.ledger();
        let mut all: Vec<usize> =
            ledger.iter().filter(|request| request.text().contains(who)).map(|request| request.connection).collect();
        all.dedup();
        assert_eq!(all.len(), 1, "{who}");
        all[0]
    };
    let mut connections = ["\"child", "grandchild", "parent"].map(connection_of);
    connections.sort_unstable();
    assert_eq!(connections, [0, 1, 2]);
}

#[test]
fn a_child_does_not_send_what_its_parent_has_queued() {
    if child::is_child() {
        let client = the_client();
        // Two events linger for longer than the test takes: at the fork they are in the queue, and
        // so in the child's copy of it.
        let publisher = Publisher::new(&client, &json!({"reports": "all", "connections": 1, "linger_ms": 60_000}));
        for number in 0..5 {
            publisher.publish("c", "e", &number.to_string());
        }
        let mut publisher = Some(publisher);
        for _ in 0..3 {
            host::fork(|| {
                is_forked(publisher.as_ref().unwrap());
                drop(publisher.take());
            })
            .join();
        }
        let publisher = publisher.unwrap();
        publisher.close();
        assert_eq!(publisher.reports(5).len(), 5);
        return;
    }
    let server = Server::start([]);
    run("a_child_does_not_send_what_its_parent_has_queued", &server);
    assert_eq!(accepted(&server), (0..5).map(|number| (number.to_string(), 1)).collect());
}

/// Sets the flag when it is dropped.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_fork_at_any_instant_hangs_no_child_and_costs_the_parent_nothing() {
    const THREADS: usize = 4;
    const FORKS: usize = 400;
    /// On an overloaded machine this many are enough once the time limit has passed.
    const MIN_FORKS: usize = 20;
    const TIME_LIMIT: Duration = Duration::from_secs(5);
    /// The most children alive at a time.
    const MAX_LIVE_CHILDREN: usize = 6;
    if child::is_child() {
        let client = the_client();
        let more = json!({"reports": "all", "connections": 3, "overflow": "block", "max_queue_events": 500, "max_reports": 10_000_000});
        let mut publisher = Some(Publisher::new(&client, &more));
        let (stop, published, others) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        let (mut forks, mut reported) = (0, 0);
        thread::scope(|scope| {
            // Only the forking thread uses it: a child frees its copy.
            let shared = publisher.as_ref().unwrap();
            for _ in 0..THREADS {
                let (stop, published) = (&stop, &published);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let number = published.fetch_add(1, Ordering::Relaxed);
                        let channel =
                            if number % 50 == 0 { r#"["c1","c2","c3"]"# } else { &format!("c{}", number % 8) };
                        shared.publish(channel, "e", &number.to_string());
                    }
                });
            }
            // Threads start and end, and readers take locks.
            let (stop, others, client) = (&stop, &others, &client);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let other = Publisher::new(client, &all());
                    let number = others.fetch_add(1, Ordering::Relaxed);
                    other.publish("other", "e", &format!("\"other {number}\""));
                    other.close();
                    shared.stats();
                    assert_eq!(other.report().delivery, "delivered");
                }
            });
            // Stop the threads also when an assertion fails. They would otherwise hide the failure
            // by running on.
            let _stop = StopAtTheEnd(stop);
            let (mut children, start) = (Vec::new(), Instant::now());
            for number in (0..FORKS).take_while(|number| *number < MIN_FORKS || start.elapsed() < TIME_LIMIT) {
                forks += 1;
                children.push(host::fork(|| {
                    is_forked(shared);
                    if number % 20 == 0 {
                        let own = Publisher::new(client, &all());
                        own.publish("child", "e", &format!("\"child {number}\""));
                        own.close();
                        assert_eq!(own.report().delivery, "delivered");
                    }
                    // SAFETY: this process has only this thread, and no other code frees this copy.
                    drop(unsafe { std::ptr::read(shared) });
                }));
                if children.len() == MAX_LIVE_CHILDREN {
                    children.remove(0).join();
                }
                reported += shared.poll(0).map_or(0, |polled| polled.reports.len());
            }
            children.into_iter().for_each(host::Forked::join);
        });
        let publisher = publisher.take().unwrap();
        publisher.close();
        while let Some(polled) = publisher.poll(FOR_EVER) {
            assert!(polled.reports.iter().all(|report| report.delivery == "delivered"), "{polled:?}");
            assert_eq!(polled.lost, None);
            reported += polled.reports.len();
        }
        let published = published.load(Ordering::Relaxed);
        assert_eq!(reported, published);
        for number in [published, others.load(Ordering::Relaxed), forks] {
            child::tell(&number.to_string());
        }
        return;
    }
    let server = Server::start([]);
    let reported = run("a_fork_at_any_instant_hangs_no_child_and_costs_the_parent_nothing", &server);
    let [published, others, forks] = [0, 1, 2].map(|line: usize| reported[line].parse::<usize>().unwrap());
    assert!(published > 0 && others > 0 && forks >= MIN_FORKS);
    let children = (0..forks).step_by(20).map(|number| format!("child {number}"));
    let mut expected: BTreeMap<String, usize> = (0..published).map(|number| (number.to_string(), 1)).collect();
    expected.extend(children.chain((0..others).map(|number| format!("other {number}"))).map(|data| (data, 1)));
    let accepted = accepted(&server);
    let wrong: Vec<_> = expected.iter().filter(|(data, _)| accepted.get(*data) != Some(&1)).take(5).collect();
    assert!(
        wrong.is_empty() && accepted.len() == expected.len(),
        "{} of {}: {wrong:?}",
        accepted.len(),
        expected.len()
    );
}
