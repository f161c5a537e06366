//! Retries, and the results of refused batches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::publisher::{self, Event, Publisher, Report, data_of, events_of};
use crate::support::server::Received;
use crate::support::{Answer, Client, End, Server, config, in_time};
use crate::{Scene, busy, delivered};

#[test]
fn a_publisher_uses_its_own_retry_policy_or_the_clients() {
    for (of_client, own, attempts) in [
        (json!({}), None, 1),
        (json!({"retry": {"max_attempts": 2}}), None, 2),
        (json!({}), Some(json!({"mode": "safe", "max_attempts": 4})), 4),
        (json!({"retry": {"max_attempts": 2}}), Some(json!({"mode": "never"})), 1),
        // Members left out have their defaults, not the client's values.
        (json!({"retry": {"max_attempts": 2}}), Some(json!({})), 3),
    ] {
        let server = Server::builder().answering(|_| busy()).start();
        let scene = Scene::on(server, of_client, own.map_or(json!({}), |own| json!({"retry": own})));
        scene.publisher.publish("c", "e", "1");
        let report = scene.publisher.report();
        report.is(1, "RATE_LIMITED", "rejected", "");
        assert_eq!((report.number("attempts"), scene.server.ledger().len() as u64), (Some(attempts), attempts));
        let stats = scene.publisher.stats();
        assert_eq!(stats["requests"], attempts);
        let retries = if attempts > 1 { json!({"rate_limited": attempts - 1}) } else { json!({}) };
        assert_eq!(stats["retries"], retries);
    }
}

#[test]
fn each_mode_retries_the_documented_failures() {
    let silent = Answer::nothing().then(End::Close);
    for (answer, safe, at_least_once, why) in [
        (busy(), 2, 2, "rate_limited"),
        (silent.clone(), 1, 2, "closed"),
        (silent.then(End::Reset), 1, 2, "reset"),
        (Answer::new(500, &[], ""), 1, 2, "server_error"),
        (Answer::new(503, &[("Retry-After", "0")], ""), 1, 2, "server_error"),
        (Answer::raw("?\r\n\r\n").then(End::Close), 1, 2, "malformed"),
        (Answer::new(302, &[("Location", "/")], ""), 1, 1, ""),
        (Answer::new(401, &[], ""), 1, 1, ""),
        (Answer::new(404, &[], ""), 1, 1, ""),
    ] {
        for (mode, times) in [("never", 1), ("safe", safe), ("at_least_once", at_least_once)] {
            // One event is a trigger, several are a batch.
            for events in [1, 3] {
                let scene = Scene::new([], json!({"connections": 1, "retry": {"mode": mode}}));
                scene.hold("c");
                scene.server.next(answer.clone());
                for number in 1..=events {
                    scene.publisher.publish("c", "e", &number.to_string());
                }
                scene.server.release();
                let reports = scene.publisher.reports(1 + events);
                let requests = data_of(&scene.server.ledger());
                assert_eq!(requests.len(), 1 + times, "{mode}: {answer:?} {reports:?}");
                let retries = if times == 2 { json!({why: 1}) } else { json!({}) };
                assert_eq!(scene.publisher.stats()["retries"], retries, "{mode}: {answer:?}");
                if times == 2 {
                    delivered(&reports, 1..=1 + events as u64);
                    // The retry has the same events.
                    assert_eq!(requests[1], requests[2]);
                    assert_eq!(requests[1].len(), events);
                }
            }
        }
    }
}

#[test]
fn a_retry_waits_for_retry_after() {
    let scene = Scene::new([Answer::new(429, &[("Retry-After", "1")], "")], json!({"retry": {}}));
    let start = Instant::now();
    scene.publisher.publish("c", "e", "1");
    scene.wait_for_requests(1);
    // The next event of the channel waits as well, to keep the order.
    scene.publisher.publish("c", "e", "2");
    delivered(&scene.publisher.reports(2), [1, 2]);
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    assert_eq!(data_of(&scene.server.ledger()).concat(), ["1", "1", "2"]);
    // If `Retry-After` exceeds the deadline, the event ends at once.
    let more = json!({"retry": {}, "timeout_ms": 800});
    let scene = Scene::new([Answer::new(429, &[("Retry-After", "1")], "")], more);
    scene.publisher.publish("c", "e", "1");
    let report = scene.publisher.report();
    report.is(1, "RATE_LIMITED", "rejected", "");
    assert_eq!((report.number("attempts"), report.number("retry_after_ms")), (Some(1), Some(1000)));
}

#[test]
fn a_refused_connection_is_retried_and_then_reported() {
    let port = Server::start([]).port();
    let client = Client::new(&config(port, json!({})));
    let publisher = Publisher::new(&client, &json!({"retry": {"mode": "safe", "max_attempts": 3}}));
    publisher.publish("c", "e", "1");
    let report = publisher.report();
    report.is(1, "NOT_SENT", "not_sent", "");
    assert_eq!((report.text("cause"), report.number("attempts")), ("connect", Some(3)));
    let stats = publisher.stats();
    assert_eq!((&stats["retries"], &stats["requests"]), (&json!({"connect": 2}), &json!(3)));
}

#[test]
fn a_request_ends_at_its_deadline() {
    in_time(|| {
        let scene = Scene::new([Answer::nothing()], json!({"timeout_ms": 300}));
        let start = Instant::now();
        scene.publisher.publish("c", "e", "1");
        let report = scene.publisher.report();
        report.is(1, "DELIVERY_UNKNOWN", "unknown", "");
        assert_eq!(report.text("cause"), "timeout");
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(295), "{took:?}");
        if took > Duration::from_millis(500) { Err(format!("{took:?}")) } else { Ok(()) }
    });
}

/// The name of an event whose response waits for [`Server::release`].
const HELD: &str = "held";

/// The data of a batch with one invalid event.
const FOUR: [&str; 4] = ["1", "2", r#"{"bad":3}"#, "4"];

/// A server that publishes the events of a batch in order and stops at the first invalid one, as
/// real servers do. An atomic server publishes no event of such a batch. An event is invalid if its
/// data contains `bad`.
struct Real {
    server: Server,
    /// How often the server published each event, by its data.
    published: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Real {
    fn start(status: u16, is_atomic: bool) -> Real {
        let published = Arc::<Mutex<BTreeMap<String, u32>>>::default();
        let ledger = Arc::clone(&published);
        let answering = move |request: &Received| {
            let events = events_of(request);
            if events[0].name == HELD {
                return Answer::ok("{}").when_released();
            }
            let good = events.iter().take_while(|event| !event.data.contains("bad")).count();
            let is_bad = good < events.len();
            let kept = if is_bad && is_atomic { 0 } else { good };
            let mut ledger = ledger.lock().unwrap();
            let mut publish = |event: &Event| *ledger.entry(event.data.clone()).or_default() += 1;
            events[..kept].iter().for_each(&mut publish);
            if is_bad { Answer::new(status, &[], &format!("event {good} is bad")) } else { Answer::ok("{}") }
        };
        Real { server: Server::builder().answering(answering).start(), published }
    }
}

/// Sends `1`, `2`, an invalid event and `4` in one batch. Returns the publisher and their reports.
fn refused_batch(real: &Real, more: Value) -> (Publisher, Vec<Report>) {
    let mut all = json!({"connections": 1});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let publisher = Publisher::new(&real.server.client(), &crate::reporting_all(all));
    publisher.publish("c", HELD, "0");
    real.server.wait_until("the first request", |log| log.ledger.len() == 1);
    for data in FOUR {
        publisher.publish("c", "e", data);
    }
    real.server.release();
    let mut reports = publisher.reports(5);
    reports.sort_by_key(|report| report.id);
    reports.remove(0).is(1, "OK", "delivered", "");
    assert_eq!(data_of(&real.server.ledger())[1], FOUR);
    (publisher, reports)
}

fn said(reports: &[Report]) -> Vec<(&str, &str)> {
    reports.iter().map(|report| (&*report.status, &*report.delivery)).collect()
}

/// Returns how often each of the four events was published.
fn times(real: &Real) -> [u32; 4] {
    FOUR.map(|data| real.published.lock().unwrap().get(data).copied().unwrap_or(0))
}

#[test]
fn a_refused_batch_may_have_been_applied_in_part() {
    for (status, name) in [(400, "BAD_REQUEST"), (413, "PAYLOAD_TOO_LARGE"), (422, "BAD_REQUEST")] {
        for mode in ["never", "safe"] {
            let real = Real::start(status, false);
            let (publisher, reports) = refused_batch(&real, json!({"retry": {"mode": mode}}));
            assert_eq!(said(&reports), [(name, "unknown"); 4], "{mode}");
            assert_eq!(times(&real), [1, 1, 0, 0]);
            assert_eq!(publisher.stats()["retries"], json!({}));
        }
        // The retry sends each event alone, so that only the invalid one fails. The first two are
        // published twice.
        let real = Real::start(status, false);
        let (publisher, reports) = refused_batch(&real, json!({"retry": {"mode": "at_least_once"}}));
        let ok = ("OK", "delivered");
        assert_eq!(said(&reports), [ok, ok, (name, "rejected"), ok]);
        assert_eq!(times(&real), [2, 2, 0, 1]);
        assert_eq!(publisher.stats()["retries"], json!({"refused": 4}));
    }
}

#[test]
fn an_atomic_batch_that_is_refused_was_not_applied() {
    for (status, name) in [(400, "BAD_REQUEST"), (413, "PAYLOAD_TOO_LARGE"), (422, "BAD_REQUEST")] {
        let real = Real::start(status, true);
        let (_, reports) = refused_batch(&real, json!({"batch_is_atomic": true, "retry": {"mode": "never"}}));
        assert_eq!(said(&reports), [(name, "rejected"); 4]);
        assert_eq!(times(&real), [0; 4]);
        for mode in ["safe", "at_least_once"] {
            let real = Real::start(status, true);
            let (_, reports) = refused_batch(&real, json!({"batch_is_atomic": true, "retry": {"mode": mode}}));
            let ok = ("OK", "delivered");
            assert_eq!(said(&reports), [ok, ok, (name, "rejected"), ok], "{mode}");
            assert_eq!(times(&real), [1, 1, 0, 1]);
        }
    }
}

#[test]
fn other_refusals_reject_the_whole_batch() {
    for (status, name) in [(401, "UNAUTHORIZED"), (403, "FORBIDDEN"), (404, "NOT_FOUND"), (429, "RATE_LIMITED")] {
        for mode in ["never", "safe", "at_least_once"] {
            let retry = json!({"mode": mode, "max_attempts": 1});
            let scene = Scene::new([], json!({"connections": 1, "retry": retry}));
            scene.hold("c");
            scene.server.next(Answer::new(status, &[], "no"));
            for _ in 0..3 {
                scene.publisher.publish("c", "e", "1");
            }
            scene.server.release();
            let reports = scene.publisher.reports(4);
            assert_eq!(said(&reports[1..]), [(name, "rejected"); 3], "{mode}");
            assert_eq!(scene.server.ledger().len(), 2);
        }
    }
}

#[test]
fn without_a_valid_response_each_event_of_a_batch_is_unknown() {
    for answer in [
        Answer::new(500, &[], "no"),
        Answer::nothing().then(End::Reset),
        Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").then(End::Close),
        Answer::ok("<html>"),
    ] {
        // `batch_is_atomic` matters only for refusals.
        for is_atomic in [false, true] {
            let more = json!({"connections": 1, "batch_is_atomic": is_atomic, "retry": {"mode": "safe"}});
            let scene = Scene::new([], more);
            scene.hold("c");
            scene.server.next(answer.clone());
            for _ in 0..3 {
                scene.publisher.publish("c", "e", "1");
            }
            scene.server.release();
            let reports = scene.publisher.reports(4);
            assert_eq!(reports.iter().map(|report| report.id).collect::<Vec<_>>(), [1, 2, 3, 4]);
            assert!(reports[1..].iter().all(|report| report.delivery == "unknown"), "{answer:?}: {reports:?}");
            assert_eq!(scene.server.ledger().len(), 2);
        }
    }
}

#[test]
fn a_refused_event_for_several_channels_is_unknown() {
    // Servers publish on one channel after the other. A retry cannot split the event.
    for (mode, is_atomic) in [("safe", false), ("at_least_once", false), ("safe", true)] {
        let more = json!({"retry": {"mode": mode}, "batch_is_atomic": is_atomic});
        let scene = Scene::new([Answer::new(400, &[], "no")], more);
        scene.publisher.publish(r#"["a","b"]"#, "e", "1");
        scene.publisher.report().is(1, "BAD_REQUEST", "unknown", "");
        assert_eq!(scene.server.ledger().len(), 1);
    }
}

#[test]
fn a_retry_of_a_single_event_keeps_the_doubt_of_its_batch() {
    // The batch may have published its first event. A later refusal for another reason does not
    // disprove that.
    for (second, name, delivery) in [
        (Answer::new(403, &[], "no"), "BAD_REQUEST", "unknown"),
        (Answer::new(500, &[], "no"), "SERVER_ERROR", "unknown"),
        (Answer::new(400, &[], "no"), "BAD_REQUEST", "rejected"),
    ] {
        let more = json!({"connections": 1, "retry": {"mode": "at_least_once", "max_attempts": 1}});
        let scene = Scene::new([], more);
        scene.hold("c");
        scene.server.next(Answer::new(400, &[], "one of them is bad"));
        scene.server.next(second);
        scene.publisher.publish("c", "e", "1");
        scene.publisher.publish("c", "e", "2");
        scene.server.release();
        let reports = scene.publisher.reports(3);
        assert_eq!(said(&reports[1..]), [(name, delivery), ("OK", "delivered")]);
        assert_eq!(data_of(&scene.server.ledger()).concat(), ["0", "1", "2", "1", "2"]);
    }
}

#[test]
fn the_events_of_a_refused_batch_keep_its_doubt_if_the_publisher_is_closed() {
    // The batch may have published any of them. The refusal that the first one waits for does not disprove that.
    for (first, is_atomic, delivery) in [
        (Answer::new(429, &[("Retry-After", "30")], "busy"), false, "unknown"),
        (Answer::new(429, &[("Retry-After", "30")], "busy"), true, "rejected"),
    ] {
        let retry = json!({"mode": "at_least_once", "max_attempts": 2});
        let more = json!({
            "connections": 1, "retry": retry, "timeout_ms": 60_000, "batch_is_atomic": is_atomic,
        });
        let scene = Scene::new([], more);
        scene.hold("c");
        scene.server.next(Answer::new(400, &[], "one of them is bad"));
        scene.server.next(first);
        for data in ["1", "2", "3"] {
            scene.publisher.publish("c", "e", data);
        }
        scene.server.release();
        scene.wait_for_requests(3);
        assert_eq!(publisher::close(Some(&scene.publisher), 500).name(), "TIMED_OUT");
        let reports = scene.publisher.reports(4);
        assert_eq!(reports[1..].iter().map(|report| &*report.delivery).collect::<Vec<_>>(), [delivery; 3]);
    }
}
