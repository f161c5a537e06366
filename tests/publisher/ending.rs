//! Flush, close and free: every event gets a report, and no call waits longer than documented.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::publisher::{self, FOR_EVER, Publisher, Report, data_of, patience_ms};
use crate::support::{Answer, Client, PATIENCE, Server, config, in_time};
use crate::{Scene, busy, delivered, wait_for_retry};

/// Returns the reports, ordered by id.
fn sorted(mut reports: Vec<Report>) -> Vec<Report> {
    reports.sort_by_key(|report| report.id);
    reports
}

#[test]
fn a_flush_waits_until_every_event_has_ended() {
    let scene = Scene::new([], json!({"connections": 2}));
    // An empty queue needs no wait.
    for timeout_ms in [0, 1, FOR_EVER] {
        assert_eq!(publisher::flush(Some(&scene.publisher), timeout_ms).name(), "OK");
    }
    scene.hold("c");
    scene.publisher.publish("c", "e", "1");
    thread::scope(|scope| {
        let flushing: Vec<_> = (0..2).map(|_| scope.spawn(|| scene.publisher.flush_within(FOR_EVER))).collect();
        assert!(scene.publisher.poll(50).is_none());
        assert!(flushing.iter().all(|flushing| !flushing.is_finished()));
        scene.server.release();
        flushing.into_iter().for_each(|flushing| flushing.join().unwrap());
    });
    let events = &scene.publisher.stats()["queue"];
    assert_eq!(events, &json!({"events": 0, "bytes": 0, "in_flight": 0}));
    delivered(&scene.publisher.reports(2), [1, 2]);
    // The publisher still works after a flush.
    scene.publisher.publish("c", "e", "2");
    delivered(&[scene.publisher.report()], [3]);
}

#[test]
fn a_flush_that_times_out_loses_nothing() {
    let scene = Scene::new([], json!({}));
    scene.hold("c");
    scene.publisher.publish("c", "e", "1");
    for timeout_ms in [0, 1, 150] {
        in_time(|| {
            let outcome = publisher::flush(Some(&scene.publisher), timeout_ms);
            outcome.is("TIMED_OUT", "");
            outcome.took(timeout_ms.into())
        });
    }
    scene.publisher.has_no_report();
    scene.server.release();
    scene.publisher.flush();
    delivered(&scene.publisher.reports(2), [1, 2]);
}

#[test]
fn a_close_drains_the_queue_and_refuses_new_events() {
    let scene = Scene::new([], json!({"connections": 1}));
    scene.hold("c");
    for number in 1..=25 {
        scene.publisher.publish("c", "e", &number.to_string());
    }
    thread::scope(|scope| {
        let closing = scope.spawn(|| publisher::close(Some(&scene.publisher), FOR_EVER));
        // The close has begun once publishing is refused.
        let start = Instant::now();
        while scene.publisher.try_publish("no", "e", "1", None).is_ok() {
            assert!(start.elapsed() < PATIENCE);
            thread::yield_now();
        }
        assert!(!closing.is_finished());
        scene.server.release();
        assert_eq!(closing.join().unwrap().name(), "OK");
    });
    let outcome = scene.publisher.try_publish("c", "e", "1", None).unwrap_err();
    outcome.is("CLOSED", "not_sent");
    let taken = scene.publisher.stats()["events"]["published"].as_u64().unwrap();
    let reports = sorted(scene.publisher.reports(taken as usize));
    delivered(&reports, 1..=taken);
    let sent: usize = data_of(&scene.server.ledger()).iter().map(Vec::len).sum();
    assert_eq!(sent as u64, taken);
    // Once every report was fetched, a poll returns at once.
    in_time(|| publisher::raw_poll(Some(&scene.publisher), FOR_EVER).took(0));
}

#[test]
fn closing_again_is_allowed() {
    let scene = Scene::new([], json!({}));
    scene.publisher.publish("c", "e", "1");
    for timeout_ms in [FOR_EVER, FOR_EVER, 0] {
        assert_eq!(publisher::close(Some(&scene.publisher), timeout_ms).name(), "OK");
    }
    scene.publisher.flush();
    scene.publisher.stats();
    delivered(&scene.publisher.reports(1), [1]);

    // So is closing after a close that timed out, and while another close waits.
    let scene = Scene::new([Answer::nothing()], json!({}));
    scene.publisher.publish("c", "e", "1");
    scene.wait_for_requests(1);
    thread::scope(|scope| {
        let other = scope.spawn(|| publisher::close(Some(&scene.publisher), patience_ms()));
        publisher::close(Some(&scene.publisher), 50).is("TIMED_OUT", "");
        // The other close has nothing left to wait for.
        assert_eq!(other.join().unwrap().name(), "OK");
    });
    assert_eq!(publisher::close(Some(&scene.publisher), 0).name(), "OK");
    scene.publisher.report().is(1, "DELIVERY_UNKNOWN", "unknown", "closed");
    assert!(scene.publisher.poll(FOR_EVER).is_none());
}

#[test]
fn events_left_at_the_deadline_of_a_close_end_with_reason_closed() {
    for timeout_ms in [0, 1, 200] {
        in_time(|| {
            let scene = Scene::new([Answer::nothing()], json!({"connections": 1, "retry": {"mode": "safe"}}));
            scene.publisher.publish("c", "e", "1");
            scene.wait_for_requests(1);
            for _ in 0..30 {
                scene.publisher.publish("c", "e", "2");
            }
            let outcome = publisher::close(Some(&scene.publisher), timeout_ms);
            outcome.is("TIMED_OUT", "");
            let reports = sorted(scene.publisher.reports(31));
            reports[0].is(1, "DELIVERY_UNKNOWN", "unknown", "closed");
            for (report, id) in reports[1..].iter().zip(2..) {
                report.is(id, "NOT_SENT", "not_sent", "closed");
            }
            assert!(scene.publisher.poll(FOR_EVER).is_none());
            let stats = scene.publisher.stats();
            assert_eq!((&stats["unsent"]["closed"], &stats["events"]["unknown"]), (&json!(30), &json!(1)));
            assert_eq!(stats["queue"], json!({"events": 0, "bytes": 0, "in_flight": 0}));
            assert_eq!(scene.server.ledger().len(), 1);
            outcome.took(timeout_ms.into())
        });
    }
}

#[test]
fn an_event_that_waits_for_a_retry_keeps_its_last_result_on_close() {
    // The server refused the request, and it is not in flight: its result is certain.
    let refusal = Answer::new(429, &[("Retry-After", "4")], "later");
    let scene = Scene::new([refusal], json!({"retry": {"mode": "safe"}}));
    scene.publisher.publish("c", "e", "1");
    // Before that, a close finds the request in flight.
    wait_for_retry(&scene.publisher);
    publisher::close(Some(&scene.publisher), 100).is("TIMED_OUT", "");
    let report = scene.publisher.report();
    report.is(1, "RATE_LIMITED", "rejected", "");
    assert_eq!(scene.server.ledger().len(), 1);
    // A close with enough time lets the retry happen.
    let scene = Scene::new([busy()], json!({"retry": {"mode": "safe"}}));
    scene.publisher.publish("c", "e", "1");
    scene.publisher.close();
    delivered(&[scene.publisher.report()], [1]);
}

#[test]
fn freeing_takes_at_most_a_second_whatever_the_server_does() {
    for (answer, more) in [
        (Answer::nothing(), json!({})),
        (Answer::ok("{}").dribbling(Duration::from_millis(300)), json!({})),
        (Answer::new(429, &[("Retry-After", "4")], ""), json!({"retry": {"mode": "safe"}})),
    ] {
        in_time(|| {
            let scene = Scene::new([answer.clone()], more.clone());
            scene.publisher.publish("c", "e", "1");
            scene.wait_for_requests(1);
            for _ in 0..1000 {
                scene.publisher.publish("c", "e", "2");
            }
            let Scene { publisher, client, server } = scene;
            let start = Instant::now();
            drop(publisher);
            let took = start.elapsed();
            // The client still works.
            client.trigger("c", "e", "3").is_ok("{}");
            drop(server);
            if took > Duration::from_millis(1200) { Err(format!("{took:?}")) } else { Ok(()) }
        });
    }
}

#[test]
fn freeing_sends_queued_events() {
    let server = Server::start([]);
    let client = server.client();
    for (events, publisher) in [(0, json!({})), (1, json!({})), (500, json!({"linger_ms": 60_000}))] {
        let before: usize = data_of(&server.ledger()).iter().map(Vec::len).sum();
        let publisher = Publisher::new(&client, &publisher);
        for number in 0..events {
            publisher.publish(&format!("c{}", number % 7), "e", "1");
        }
        drop(publisher);
        let sent: usize = data_of(&server.ledger()).iter().map(Vec::len).sum();
        assert_eq!(sent - before, events);
    }
}

#[test]
fn a_publisher_outlives_its_client_and_the_clients_other_publisher() {
    let server = Server::start([]);
    let client = server.client();
    let [first, second] = [(); 2].map(|()| Publisher::new(&client, &crate::reporting_all(json!({}))));
    first.publish("c", "e", "1");
    drop(client);
    second.publish("c", "e", "2");
    second.flush();
    drop(second);
    first.publish("c", "e", "3");
    first.flush();
    delivered(&first.reports(2), [1, 2]);
    let mut data: Vec<String> = data_of(&server.ledger()).concat();
    data.sort();
    assert_eq!(data, ["1", "2", "3"]);
}

#[test]
fn every_event_is_reported_when_a_close_races_with_publishing() {
    for round in 0..20 {
        let scene = Scene::new([], json!({"connections": 2, "max_queue_events": 500, "overflow": "block"}));
        let (stop, taken) = (AtomicBool::new(false), AtomicBool::new(false));
        let ids = thread::scope(|scope| {
            let publishing: Vec<_> = (0..3)
                .map(|thread| {
                    let (scene, stop, taken) = (&scene, &stop, &taken);
                    scope.spawn(move || {
                        let mut ids = Vec::new();
                        while !stop.load(Ordering::Relaxed) {
                            match scene.publisher.try_publish(&format!("c{thread}"), "e", "1", None) {
                                Ok(id) => ids.push(id),
                                Err(outcome) => {
                                    outcome.is("CLOSED", "not_sent");
                                    break;
                                }
                            }
                            taken.store(true, Ordering::Relaxed);
                        }
                        ids
                    })
                })
                .collect();
            let start = Instant::now();
            while !taken.load(Ordering::Relaxed) && start.elapsed() < PATIENCE {
                thread::yield_now();
            }
            let outcome = publisher::close(Some(&scene.publisher), if round % 2 == 0 { 0 } else { patience_ms() });
            assert!(["OK", "TIMED_OUT"].contains(&outcome.name()), "{outcome:?}");
            stop.store(true, Ordering::Relaxed);
            publishing.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<u64>>()
        });
        let mut reported: Vec<u64> = Vec::new();
        while let Some(polled) = scene.publisher.poll(FOR_EVER) {
            reported.extend(polled.reports.iter().map(|report| report.id));
        }
        reported.sort_unstable();
        assert_eq!(reported, (1..=ids.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn each_event_for_a_closed_port_is_reported_as_not_sent() {
    let port = Server::start([]).port();
    let client = Client::new(&config(port, json!({})));
    let publisher = Publisher::new(&client, &crate::reporting_all(json!({})));
    for _ in 0..25 {
        publisher.publish("c", "e", "1");
    }
    publisher.flush();
    for (report, id) in publisher.reports(25).iter().zip(1..) {
        report.is(id, "NOT_SENT", "not_sent", "");
        assert_eq!((report.text("cause"), report.number("attempts")), ("connect", Some(1)));
    }
    let stats = publisher.stats();
    assert_eq!((&stats["events"]["not_sent"], &stats["retries"]), (&json!(25), &json!({})));
    // These events were attempted, so they have no reason in `unsent`.
    assert_eq!(stats["unsent"], json!({"expired": 0, "dropped": 0, "superseded": 0, "closed": 0, "drained": 0}));
}
