//! Limits of the queue: its size, the lifetime of an event, the rate, and what happens beyond them.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::publisher::{self, FOR_EVER, data_of, events_of, patience_ms};
use crate::support::server::Received;
use crate::support::{Answer, PATIENCE, Server, in_time};
use crate::{Scene, delivered};

/// Returns a payload of `bytes` bytes.
fn payload(bytes: usize) -> String {
    json!("x".repeat(bytes - 2)).to_string()
}

/// Returns the data of all events that the server received, in order.
fn sent(scene: &Scene) -> Vec<String> {
    data_of(&scene.server.ledger()).concat()
}

#[test]
fn a_full_queue_refuses_new_events() {
    for (more, data) in [
        // Events in flight count.
        (json!({"max_queue_events": 4}), "1".to_owned()),
        (json!({"max_queue_bytes": 8000, "overflow": "reject"}), payload(2000)),
    ] {
        let scene = Scene::new([], more);
        scene.hold("c");
        let mut taken = 1;
        let outcome = loop {
            match scene.publisher.try_publish("c", "e", &data, None) {
                Ok(id) => taken = id,
                Err(outcome) => break outcome,
            }
            assert!(taken <= 4);
        };
        outcome.is("QUEUE_FULL", "not_sent");
        // The limit applies to every connection.
        for channels in ["d", "e", r#"["f","g"]"#] {
            scene.publisher.try_publish(channels, "e", &data, None).unwrap_err().is("QUEUE_FULL", "not_sent");
        }
        let stats = scene.publisher.stats();
        assert_eq!((&stats["events"]["refused"], &stats["events"]["published"]), (&json!(4), &json!(taken)));
        scene.server.release();
        scene.publisher.flush();
        // Refused events use up no ids.
        assert_eq!(scene.publisher.publish("c", "e", &data), taken + 1);
        scene.publisher.flush();
        delivered(&scene.publisher.reports(taken as usize + 1), 1..=taken + 1);
    }
}

#[test]
fn queue_bytes_include_the_overhead_of_each_event() {
    let scene = Scene::new([], json!({"max_queue_bytes": 1_000_000, "max_queue_events": 10_000_000}));
    scene.hold("c");
    let mut count = 0;
    while scene.publisher.try_publish("c", "e", "1", None).is_ok() {
        count += 1;
    }
    // The payloads of a million events would fit, but not the memory that the events occupy.
    assert!((2000..10_000).contains(&count), "{count}");
    let bytes = scene.publisher.stats()["queue"]["bytes"].as_u64().unwrap();
    assert!((999_000..=1_000_000).contains(&bytes), "{bytes}");
    scene.server.release();
    scene.publisher.flush();
}

#[test]
fn queue_bytes_include_requests_in_flight() {
    let scene = Scene::new([], json!({"connections": 1, "max_queue_bytes": 1_000_000, "reports": "none"}));
    scene.hold("c");
    let bytes = || scene.publisher.stats()["queue"]["bytes"].as_u64().unwrap();
    scene.server.release();
    scene.publisher.flush();
    scene.server.next(Answer::ok("{}").when_released());
    scene.publisher.publish("c", "e", &payload(9000));
    scene.wait_for_requests(2);
    assert!((18_000..19_000).contains(&bytes()), "{}", bytes());
    scene.server.release();
    scene.publisher.flush();
    assert_eq!(bytes(), 0);
    // As many connections as there are, and no memory for as many requests.
    let scene = Scene::new([], json!({"connections": 8, "max_queue_bytes": 50_000, "overflow": "block"}));
    thread::scope(|scope| {
        for number in 0..8 {
            let scene = &scene;
            scope.spawn(move || {
                for _ in 0..20 {
                    scene.publisher.publish(&format!("c{number}"), "e", &payload(9000));
                }
            });
        }
        for _ in 0..50 {
            let bytes = scene.publisher.stats()["queue"]["bytes"].as_u64().unwrap();
            assert!(bytes <= 50_000, "{bytes}");
        }
    });
    scene.publisher.flush();
    assert_eq!(scene.publisher.reports(160).len(), 160);
}

#[test]
fn an_event_that_can_never_fit_is_refused_and_drops_no_other() {
    for overflow in ["reject", "drop_oldest"] {
        let scene = Scene::new([], json!({"max_queue_bytes": 13_000, "overflow": overflow}));
        scene.server.next(Answer::ok("{}").when_released());
        // Its request is in flight, too.
        scene.publisher.publish("c", "held", &payload(5000));
        scene.wait_for_requests(1);
        for _ in 0..3 {
            scene.publisher.publish("c", "e", "1");
        }
        // Larger than the queue with its request, and larger than the space that the event in flight leaves.
        for bytes in [7000, 3000] {
            scene.publisher.try_publish("c", "e", &payload(bytes), None).unwrap_err().is("QUEUE_FULL", "not_sent");
        }
        scene.server.release();
        scene.publisher.flush();
        delivered(&scene.publisher.reports(4), 1..=4);
    }
}

#[test]
fn blocked_publishing_continues_as_soon_as_there_is_room() {
    let scene = Scene::new([], json!({"max_queue_events": 2, "overflow": "block", "timeout_ms": 600_000}));
    scene.hold("c");
    scene.publisher.publish("c", "e", "1");
    thread::scope(|scope| {
        let blocked: Vec<_> = (0..3).map(|_| scope.spawn(|| scene.publisher.publish("c", "e", "2"))).collect();
        assert!(scene.publisher.poll(50).is_none());
        assert!(blocked.iter().all(|blocked| !blocked.is_finished()));
        scene.server.release();
        let mut ids: Vec<u64> = blocked.into_iter().map(|blocked| blocked.join().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, [3, 4, 5]);
    });
    scene.publisher.flush();
    delivered(&scene.publisher.reports(5), 1..=5);
    assert_eq!(scene.publisher.stats()["events"]["refused"], 0);
}

#[test]
fn blocked_publishing_ends_after_timeout_ms() {
    // The publisher's `timeout_ms` is the default for calls without one.
    let more = json!({"max_queue_events": 1, "overflow": "block", "timeout_ms": 300, "retry": {"mode": "never"}});
    let blocked = |options: Option<Value>, wanted: u64| {
        in_time(|| {
            // The rate limit keeps the event in the queue, so that no room is freed meanwhile.
            let mut more = more.clone();
            more["max_events_per_second"] = json!(1);
            let scene = Scene::new([], more);
            scene.publisher.publish("c", "e", "1");
            scene.publisher.flush();
            scene.publisher.publish("c", "e", "1");
            let outcome = scene.publisher.try_publish("c", "e", "2", options.as_ref()).unwrap_err();
            outcome.is("QUEUE_FULL", "not_sent");
            assert_eq!(scene.publisher.stats()["events"]["refused"], 1);
            outcome.took(wanted)
        });
    };
    blocked(None, 300);
    blocked(Some(json!({"timeout_ms": 1})), 1);
    blocked(Some(json!({"timeout_ms": 120})), 120);
    // With the default `overflow`, publishing does not wait.
    let scene = Scene::new([], json!({"max_queue_events": 1}));
    scene.hold("c");
    in_time(|| scene.publisher.try_publish("c", "e", "2", Some(&json!({"timeout_ms": 5000}))).unwrap_err().took(0));
    scene.server.release();
}

#[test]
fn blocked_publishing_ends_when_the_publisher_is_closed() {
    let scene = Scene::new([], json!({"max_queue_events": 1, "overflow": "block", "timeout_ms": 600_000}));
    scene.hold("c");
    thread::scope(|scope| {
        let blocked = scope.spawn(|| scene.publisher.try_publish("c", "e", "1", None));
        assert!(scene.publisher.poll(50).is_none() && !blocked.is_finished());
        let closing = scope.spawn(|| scene.publisher.close());
        blocked.join().unwrap().unwrap_err().is("CLOSED", "not_sent");
        scene.server.release();
        closing.join().unwrap();
    });
    delivered(&scene.publisher.reports(1), [1]);
}

#[test]
fn drop_oldest_drops_and_reports_the_oldest_waiting_event() {
    for more in [json!({"max_queue_events": 4}), json!({"max_queue_bytes": 8000})] {
        let mut more = more;
        more["overflow"] = json!("drop_oldest");
        let data = if more["max_queue_bytes"].is_null() { "1".to_owned() } else { payload(2000) };
        let scene = Scene::new([], more);
        scene.hold("c");
        while scene.publisher.stats()["unsent"]["dropped"] == json!(0) {
            scene.publisher.publish("c", "e", &data);
        }
        // The event in flight is older, but is not dropped.
        scene.publisher.report().is(2, "NOT_SENT", "not_sent", "dropped");
        let last = scene.publisher.publish(r#"["c","d"]"#, "e", &data);
        scene.publisher.report().is(3, "NOT_SENT", "not_sent", "dropped");
        scene.server.release();
        scene.publisher.flush();
        delivered(&scene.publisher.reports(last as usize - 2), [1].into_iter().chain(4..=last));
        assert_eq!(scene.publisher.stats()["events"]["refused"], 0);
    }
}

#[test]
fn a_dropped_event_wakes_a_poll() {
    let scene = Scene::new([], json!({"max_queue_events": 2, "overflow": "drop_oldest"}));
    scene.hold("c");
    scene.publisher.publish("c", "e", "1");
    let reports = thread::scope(|scope| {
        let polling = scope.spawn(|| scene.publisher.poll(patience_ms()));
        scene.publisher.publish("c", "e", "2");
        polling.join().unwrap()
    });
    reports.unwrap().reports[0].is(2, "NOT_SENT", "not_sent", "dropped");
    scene.server.release();
    // Only waiting events can be dropped.
    let scene = Scene::new([], json!({"max_queue_events": 1, "overflow": "drop_oldest"}));
    scene.hold("c");
    scene.publisher.try_publish("c", "e", "1", None).unwrap_err().is("QUEUE_FULL", "not_sent");
    scene.server.release();
}

#[test]
fn expired_events_found_by_a_refused_publish_wake_a_poll() {
    // The event in flight leaves too little room for the large event, even in an otherwise empty
    // queue.
    let scene = Scene::new([], json!({"max_queue_bytes": 13_000, "event_ttl_ms": 50}));
    scene.server.next(Answer::ok("{}").when_released());
    scene.publisher.publish("c", "held", &payload(5000));
    scene.wait_for_requests(1);
    scene.publisher.publish("c", "e", "1");
    let (polled, waited) = thread::scope(|scope| {
        let polling = scope.spawn(|| (scene.publisher.poll(patience_ms()), Instant::now()));
        assert!(scene.publisher.poll(150).is_none());
        let refused = Instant::now();
        scene.publisher.try_publish("c", "e", &payload(6000), None).unwrap_err().is("QUEUE_FULL", "not_sent");
        let (polled, woken) = polling.join().unwrap();
        (polled, woken.saturating_duration_since(refused))
    });
    // The expired event may stay until its sender looks at it. Once it has ended, its report wakes the poll.
    let expired = scene.publisher.stats()["unsent"]["expired"] != json!(0);
    assert_eq!(expired, polled.is_some());
    assert!(!expired || waited < Duration::from_secs(2), "woken after {waited:?}");
    scene.server.release();
}

#[test]
fn a_newer_event_replaces_the_one_with_its_key() {
    let scene = Scene::new([], json!({"connections": 1}));
    let key = |key: &str| json!({"conflate": key});
    scene.hold("c");
    let publish = |channel: &str, event: &str, data: &str, options: &Value| {
        scene.publisher.publish_with(channel, event, data, options)
    };
    publish("c", "e", "11", &key("a"));
    publish("c", "e", "12", &json!({}));
    publish("c", "e", "13", &key("b"));
    // Channel, event and key are compared separately.
    publish("c", "f", "14", &key("a"));
    publish("d", "e", "15", &key("a"));
    publish("c", "ea", "16", &key(""));
    publish("c", "e", "17", &key(""));
    for data in ["21", "31", "41"] {
        publish("c", "e", data, &key("a"));
    }
    publish("c", "e", "23", &key("b"));
    let reports = scene.publisher.reports(4);
    for (report, id) in reports.iter().zip([2, 9, 10, 4]) {
        report.is(id, "NOT_SENT", "not_sent", "superseded");
    }
    scene.server.release();
    scene.publisher.flush();
    // The newest event takes the first one's position.
    assert_eq!(sent(&scene), ["0", "41", "12", "23", "14", "15", "16", "17"]);
    delivered(&scene.publisher.reports(8), [1, 11, 3, 12, 5, 6, 7, 8]);
    assert_eq!(scene.publisher.stats()["unsent"]["superseded"], 4);
}

#[test]
fn an_event_in_flight_is_not_replaced() {
    let scene = Scene::new([], json!({"connections": 1, "linger_ms": 0}));
    let key = json!({"conflate": "k"});
    scene.server.next(Answer::ok("{}").when_released());
    scene.publisher.publish_with("c", "e", "1", &key);
    scene.wait_for_requests(1);
    scene.publisher.publish_with("c", "e", "2", &key);
    scene.publisher.publish_with("c", "e", "3", &key);
    scene.publisher.report().is(2, "NOT_SENT", "not_sent", "superseded");
    scene.server.release();
    scene.publisher.flush();
    delivered(&scene.publisher.reports(2), [1, 3]);
    // Neither is an event that was sent.
    scene.publisher.publish_with("c", "e", "4", &key);
    scene.publisher.flush();
    delivered(&scene.publisher.reports(1), [4]);
    assert_eq!(sent(&scene), ["1", "3", "4"]);
}

#[test]
fn a_full_queue_accepts_an_event_that_replaces_another() {
    for overflow in ["reject", "drop_oldest", "block"] {
        let scene = Scene::new([], json!({"connections": 1, "max_queue_events": 3, "overflow": overflow}));
        let key = json!({"conflate": "k"});
        scene.hold("c");
        scene.publisher.publish_with("c", "e", "1", &key);
        scene.publisher.publish("c", "e", "2");
        for data in ["3", "4"] {
            scene.publisher.publish_with("c", "e", data, &key);
        }
        for (report, id) in scene.publisher.reports(2).iter().zip([2, 4]) {
            report.is(id, "NOT_SENT", "not_sent", "superseded");
        }
        scene.server.release();
        scene.publisher.flush();
        assert_eq!(sent(&scene), ["0", "4", "2"]);
        delivered(&scene.publisher.reports(3), [1, 5, 3]);
    }
}

#[test]
fn events_that_are_replaced_all_the_time_are_still_sent() {
    // Events with two keys are replaced more often than every `linger_ms`.
    let scene = Scene::new([], json!({"connections": 1, "linger_ms": 200, "reports": "none"}));
    scene.hold("c");
    scene.server.release();
    let start = Instant::now();
    while scene.server.ledger().len() < 3 {
        assert!(start.elapsed() < PATIENCE / 3, "nothing was sent: {}", scene.publisher.stats());
        for key in ["a", "b"] {
            scene.publisher.publish_with("c", "e", "1", &json!({"conflate": key}));
        }
        thread::yield_now();
    }
}

#[test]
fn an_event_older_than_event_ttl_ms_is_not_sent() {
    const TTL: Duration = Duration::from_millis(100);
    let scene = Scene::new([], json!({"connections": 1, "event_ttl_ms": 100}));
    scene.hold("c");
    let start = Instant::now();
    scene.publisher.publish("c", "e", "1");
    scene.publisher.publish(r#"["c","d"]"#, "e", "2");
    // No expired event is reported before its sender looks at it.
    while start.elapsed() < TTL {
        assert!(scene.publisher.poll(20).is_none());
    }
    scene.publisher.publish("c", "e", "3");
    scene.server.release();
    scene.publisher.flush();
    let mut reports = scene.publisher.reports(4);
    reports.sort_by_key(|report| report.id);
    reports[1].is(2, "NOT_SENT", "not_sent", "expired");
    reports[2].is(3, "NOT_SENT", "not_sent", "expired");
    // The event in flight does not expire.
    reports[0].is(1, "OK", "delivered", "");
    // On a stalled machine the last event may have expired as well.
    assert!(reports[3].delivery == "delivered" || reports[3].text("reason") == "expired", "{:?}", reports[3]);
    let expired = reports.iter().filter(|report| report.text("reason") == "expired").count();
    assert_eq!(scene.publisher.stats()["unsent"]["expired"], expired);
    assert_eq!(sent(&scene).len(), 4 - expired);
}

#[test]
fn a_lingering_event_is_sent_before_it_expires() {
    let scene = Scene::new([], json!({"connections": 1, "event_ttl_ms": 3000, "linger_ms": 60_000}));
    scene.hold("c");
    for number in 0..3 {
        scene.publisher.publish("c", "e", &number.to_string());
    }
    scene.server.release();
    // No flush here: it would end the lingering.
    delivered(&scene.publisher.reports(4), 1..=4);
}

#[test]
fn expired_events_make_room_in_a_full_queue() {
    let scene = Scene::new([], json!({"connections": 1, "event_ttl_ms": 500, "max_queue_events": 3}));
    scene.hold("c");
    for _ in 0..2 {
        scene.publisher.publish("c", "e", "1");
    }
    scene.publisher.try_publish("c", "e", "1", None).unwrap_err().is("QUEUE_FULL", "not_sent");
    assert!(scene.publisher.poll(700).is_none());
    let id = scene.publisher.publish("c", "e", "2");
    for (report, id) in scene.publisher.reports(2).iter().zip([2, 3]) {
        report.is(id, "NOT_SENT", "not_sent", "expired");
    }
    assert_eq!(id, 4);
    scene.server.release();
    scene.publisher.flush();
}

#[test]
fn max_events_per_second_limits_the_rate() {
    const RATE: u64 = 100;
    in_time(|| {
        let scene = Scene::new([], json!({"connections": 4, "max_events_per_second": RATE}));
        let start = Instant::now();
        for number in 0..60 {
            scene.publisher.publish(&format!("c{}", number % 6), "e", "1");
        }
        scene.publisher.publish(r#"["c0","c1","c2"]"#, "e", "1");
        scene.publisher.flush();
        let took = start.elapsed();
        scene.publisher.reports(61);
        // A burst of a tenth of a second's events is allowed.
        let least = Duration::from_millis((61 - RATE / 10 - 1) * 1000 / RATE);
        assert!(took >= least, "{took:?}");
        if took > least * 2 { Err(format!("{took:?}")) } else { Ok(()) }
    });
}

#[test]
fn a_flush_and_a_close_respect_the_rate_limit() {
    for close in [false, true] {
        let scene = Scene::new([], json!({"connections": 1, "max_events_per_second": 1}));
        scene.publisher.publish("c", "e", "1");
        scene.publisher.flush();
        scene.publisher.publish("c", "e", "2");
        let wait = if close { publisher::close } else { publisher::flush };
        wait(Some(&scene.publisher), 100).is("TIMED_OUT", "");
        if close {
            scene.publisher.reports(2)[1].is(2, "NOT_SENT", "not_sent", "closed");
            assert!(scene.publisher.poll(FOR_EVER).is_none());
        } else {
            delivered(&[scene.publisher.report()], [1]);
            scene.publisher.flush();
            delivered(&[scene.publisher.report()], [2]);
        }
    }
}

/// A server that, like Laravel Reverb, refuses a larger request before it looks at its events.
fn server_with_limit(bytes: usize) -> Server {
    let answer = move |request: &Received| match request.size() {
        size if size > bytes => Answer::new(413, &[], "Payload too large."),
        _ => Answer::ok("{}"),
    };
    Server::builder().answering(answer).start()
}

/// Publishes events of several sizes while the first one is in flight, and returns how they ended.
fn deliveries(scene: &Scene) -> Vec<String> {
    for number in 0..100 {
        scene.publisher.publish("c", "e", &payload(100 + 137 * (number % 40)));
    }
    scene.publisher.flush();
    scene.publisher.reports(100).into_iter().map(|report| report.delivery).collect()
}

#[test]
fn a_request_is_at_most_max_request_bytes_long() {
    const MOST: usize = 10_000;
    let config = json!({"connections": 1});
    for max in [MOST, MOST - 1, 8888, 6000] {
        let scene = Scene::on(server_with_limit(max), json!({"max_request_bytes": max}), config.clone());
        assert!(deliveries(&scene).iter().all(|delivery| delivery == "delivered"), "{max}");
        let ledger = scene.server.ledger();
        assert!(ledger.iter().all(|request| request.size() <= max));
        // Within the limit, events still share requests.
        assert!(ledger.len() < 60, "{}", ledger.len());
    }
    // Without the limit, batches are larger than this server takes.
    let scene = Scene::on(server_with_limit(MOST), json!({}), config);
    assert!(deliveries(&scene).iter().any(|delivery| delivery == "unknown"));
}

#[test]
fn max_batch_bytes_may_be_below_max_request_bytes() {
    let more = json!({"connections": 1, "max_batch_bytes": 1000});
    let scene = Scene::on(Server::start([]), json!({"max_request_bytes": 10_000}), more);
    scene.hold("c");
    for _ in 0..10 {
        scene.publisher.publish("c", "e", &payload(400));
    }
    scene.server.release();
    scene.publisher.flush();
    assert!(scene.server.ledger().iter().all(|request| events_of(request).len() <= 2));
}

#[test]
fn an_event_whose_request_exceeds_max_request_bytes_is_refused() {
    let data = payload(3000);
    let size = {
        let scene = Scene::new([], json!({}));
        scene.publisher.publish("c", "e", &data);
        scene.publisher.flush();
        scene.server.only().size()
    };
    let scene = Scene::on(server_with_limit(size), json!({"max_request_bytes": size}), json!({}));
    scene.publisher.publish("c", "e", &data);
    scene.publisher.flush();
    delivered(&[scene.publisher.report()], [1]);
    for (channels, data) in [("cc", data.clone()), (r#"["c","d"]"#, data.clone()), ("c", payload(3001))] {
        let outcome = scene.publisher.try_publish(channels, "e", &data, None).unwrap_err();
        outcome.is("PAYLOAD_TOO_LARGE", "not_sent").naming("data");
        let limit = format!("the limit is {size} (max_request_bytes)");
        assert!(outcome.text("message").contains(&limit), "{outcome:?}");
    }
    assert_eq!(scene.server.ledger().len(), 1);
}
