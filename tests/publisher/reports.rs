//! Every event is reported exactly once.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::publisher::{FOR_EVER, Publisher, raw_poll};
use crate::support::{Answer, End, Server, in_time};
use crate::{Scene, busy, delivered};

#[test]
fn the_reports_setting_selects_which_events_are_reported() {
    for (reports, of_success, of_failure) in
        [(None, false, true), (Some("failures"), false, true), (Some("all"), true, true), (Some("none"), false, false)]
    {
        let server = Server::start([]);
        let config = reports.map_or(json!({}), |reports| json!({"reports": reports}));
        let publisher = Publisher::new(&server.client(), &config);
        publisher.publish("c", "e", "1");
        publisher.flush();
        assert_eq!(publisher.poll(0).is_some(), of_success, "{reports:?}");
        server.next(Answer::new(403, &[], "no"));
        publisher.publish("c", "e", "2");
        publisher.flush();
        let polled = publisher.poll(0);
        assert_eq!(polled.is_some(), of_failure, "{reports:?}");
        if let Some(polled) = polled {
            polled.reports[0].is(2, "FORBIDDEN", "rejected", "");
        }
        // Events without a report are counted, too.
        let events = &publisher.stats()["events"];
        assert_eq!((&events["delivered"], &events["rejected"]), (&json!(1), &json!(1)));
    }
}

#[test]
fn a_report_has_the_members_of_an_error_document() {
    for (answer, status, delivery) in [
        (Answer::new(400, &[], "bad"), "BAD_REQUEST", "rejected"),
        (Answer::new(401, &[], "who"), "UNAUTHORIZED", "rejected"),
        (Answer::new(413, &[], "large"), "PAYLOAD_TOO_LARGE", "rejected"),
        (Answer::new(429, &[("Retry-After", "7")], "slow"), "RATE_LIMITED", "rejected"),
        (Answer::new(302, &[("Location", "/")], ""), "REDIRECTED", "rejected"),
        (Answer::new(500, &[], "oh \"no\"\n"), "SERVER_ERROR", "unknown"),
        (Answer::ok("<html>"), "BAD_RESPONSE", "unknown"),
        (Answer::nothing().then(End::Close), "DELIVERY_UNKNOWN", "unknown"),
        (Answer::nothing().then(End::Reset), "DELIVERY_UNKNOWN", "unknown"),
        (Answer::raw("?\r\n\r\n").then(End::Close), "DELIVERY_UNKNOWN", "unknown"),
    ] {
        let scene = Scene::new([answer.clone(), answer.clone()], json!({}));
        let outcome = scene.client.trigger("c", "e", "1");
        outcome.is(status, delivery);
        let id = scene.publisher.publish("c", "e", "1");
        let mut report = scene.publisher.report();
        report.is(id, status, delivery, "");
        report.members.remove("id");
        assert_eq!(report.members, outcome.error(), "{answer:?}");
    }
}

#[test]
fn a_poll_returns_at_most_a_thousand_reports_oldest_first() {
    let scene = Scene::new([], json!({}));
    for id in 1..=2500 {
        assert_eq!(scene.publisher.publish("c", "e", "1"), id);
    }
    scene.publisher.flush();
    let mut next = 1;
    for count in [1000, 1000, 500] {
        let polled = scene.publisher.poll(0).unwrap();
        delivered(&polled.reports, next..next + count);
        next += count;
    }
    scene.publisher.has_no_report();
}

#[test]
fn reports_beyond_max_reports_are_discarded_and_counted() {
    let scene = Scene::new([], json!({"max_reports": 5}));
    let publish = |count: u64| {
        (0..count).for_each(|_| {
            scene.publisher.publish("c", "e", "1");
        });
        scene.publisher.flush();
    };
    publish(5);
    let polled = scene.publisher.poll(0).unwrap();
    assert_eq!((polled.reports.len(), polled.lost), (5, None));
    publish(12);
    assert_eq!(scene.publisher.stats()["reports"], json!({"waiting": 5, "lost": 7}));
    let polled = scene.publisher.poll(0).unwrap();
    delivered(&polled.reports, 13..=17);
    assert_eq!(polled.lost, Some(7));
    publish(6);
    // `lost` counts since the last poll.
    let polled = scene.publisher.poll(0).unwrap();
    delivered(&polled.reports, 19..=23);
    assert_eq!(polled.lost, Some(1));
    publish(1);
    assert_eq!(scene.publisher.poll(0).unwrap().lost, None);
    assert_eq!(scene.publisher.stats()["reports"], json!({"waiting": 0, "lost": 8}));
}

#[test]
fn a_poll_waits_for_timeout_ms() {
    let scene = Scene::new([], json!({}));
    scene.hold("c");
    for timeout_ms in [0, 1, 150] {
        in_time(|| raw_poll(Some(&scene.publisher), timeout_ms).took(timeout_ms.into()));
    }
    scene.server.release();
    delivered(&[scene.publisher.report()], [1]);
}

#[test]
fn an_unlimited_poll_is_woken_by_the_first_report() {
    in_time(|| {
        let scene = Scene::new([], json!({}));
        scene.hold("c");
        let (reports, woken) = thread::scope(|scope| {
            let polling = scope.spawn(|| (scene.publisher.poll(FOR_EVER).unwrap().reports, Instant::now()));
            // The poll should sleep by now. If it does not, the test is only easier.
            assert!(!polling.is_finished() && scene.server.ledger().len() == 1);
            thread::yield_now();
            scene.server.release();
            polling.join().unwrap()
        });
        let settled = Instant::now();
        delivered(&reports, [1]);
        let late = settled.saturating_duration_since(woken) > Duration::from_millis(500);
        if late { Err("woken late".to_owned()) } else { Ok(()) }
    });
}

#[test]
fn an_unlimited_poll_ends_once_no_report_can_follow() {
    let scene = Scene::new([], json!({"reports": "failures"}));
    scene.hold("c");
    thread::scope(|scope| {
        let polling: Vec<_> = (0..3).map(|_| scope.spawn(|| scene.publisher.poll(FOR_EVER))).collect();
        scope.spawn(|| scene.publisher.close());
        scene.server.release();
        for polling in polling {
            assert!(polling.join().unwrap().is_none());
        }
    });
    // A poll after the close returns at once.
    assert!(scene.publisher.poll(FOR_EVER).is_none());
}

#[test]
fn several_threads_may_poll_and_each_report_is_returned_once() {
    const EVENTS: u64 = 2000;
    let scene = Scene::new([], json!({}));
    let ids = thread::scope(|scope| {
        let polling: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut ids = Vec::new();
                    while let Some(polled) = scene.publisher.poll(FOR_EVER) {
                        ids.extend(polled.reports.iter().map(|report| report.id));
                    }
                    ids
                })
            })
            .collect();
        for number in 0..EVENTS {
            scene.publisher.publish(&format!("c{}", number % 5), "e", "1");
        }
        scene.publisher.close();
        polling.into_iter().flat_map(|polling| polling.join().unwrap()).collect::<Vec<u64>>()
    });
    assert_eq!(ids.len() as u64, EVENTS);
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), (1..=EVENTS).collect());
}

#[test]
fn a_retried_event_is_reported_after_its_last_attempt() {
    let scene = Scene::new([busy(), busy()], json!({"retry": {"mode": "safe"}}));
    scene.publisher.publish("c", "e", "1");
    scene.publisher.report().is(1, "OK", "delivered", "");
    assert_eq!(scene.server.ledger().len(), 3);
    // The report has the last attempt's result.
    let scene = Scene::new([busy(), Answer::new(403, &[], "no")], json!({"retry": {"mode": "safe"}}));
    scene.publisher.publish("c", "e", "1");
    let report = scene.publisher.report();
    report.is(1, "FORBIDDEN", "rejected", "");
    assert_eq!(report.number("attempts"), Some(2));
    scene.publisher.has_no_report();
}
