//! `pace_by_rate_limit`: the publisher waits before the server would refuse a request.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::support::publisher::{Publisher, data_of};
use crate::support::{Answer, Server, publisher};
use crate::{Scene, delivered, reporting_all};

/// How many requests the server takes in a [`WINDOW`].
const LIMIT: usize = 5;

const WINDOW: Duration = Duration::from_millis(900);

/// The unit of `X-RateLimit-Reset`.
#[derive(Clone, Copy, Debug)]
enum Reset {
    /// Whole seconds from now, rounded down, as sockudo has them.
    Seconds,
    /// Seconds since 1970, rounded down.
    TimeOfDay,
}

/// A server that counts the requests in windows, as sockudo does, and answers 429 to more than its limit.
fn counting(reset: Reset) -> Server {
    let window: Mutex<Option<(Instant, SystemTime, usize)>> = Mutex::new(None);
    let answer = move |_: &_| {
        let mut window = window.lock().unwrap();
        let (start, time, count) = match *window {
            Some(window) if window.0.elapsed() < WINDOW => window,
            _ => (Instant::now(), SystemTime::now(), 0),
        };
        let count = count + 1;
        *window = Some((start, time, count));
        let reset = match reset {
            Reset::Seconds => WINDOW.saturating_sub(start.elapsed()).as_secs(),
            Reset::TimeOfDay => (time + WINDOW).duration_since(UNIX_EPOCH).unwrap().as_secs(),
        };
        let [limit, remaining, reset] =
            [LIMIT as u64, LIMIT.saturating_sub(count) as u64, reset].map(|n| n.to_string());
        let headers = [
            ("x-ratelimit-limit", limit.as_str()),
            ("x-ratelimit-remaining", &remaining),
            ("x-ratelimit-reset", &reset),
        ];
        let (status, body) = if count <= LIMIT { (200, "{}") } else { (429, "Too Many Requests") };
        Answer::new(status, &headers, body)
    };
    Server::builder().answering(answer).start()
}

/// Publishes eleven events on different channels, each in a request of its own. Returns how many were refused.
fn refusals(server: Server, more: &serde_json::Value) -> usize {
    let mut config = json!({"max_batch_events": 1});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let scene = Scene::on(server, json!({}), config);
    for number in 0..11 {
        scene.publisher.publish(&format!("c{number}"), "e", "1");
    }
    scene.publisher.flush();
    let reports = scene.publisher.reports(11);
    let refused = reports.iter().filter(|report| report.status == "RATE_LIMITED").count();
    assert_eq!(reports.iter().filter(|report| report.delivery == "delivered").count(), 11 - refused);
    refused
}

#[test]
fn a_paced_publisher_is_not_refused() {
    for connections in [1, 4] {
        assert!(refusals(counting(Reset::Seconds), &json!({"connections": connections})) > 0, "the server refuses");
        for reset in [Reset::Seconds, Reset::TimeOfDay] {
            let paced = json!({"pace_by_rate_limit": true, "connections": connections});
            assert_eq!(refusals(counting(reset), &paced), 0, "{reset:?}, {connections} connections");
        }
    }
}

/// A response that states this rate limit.
fn limited(status: u16, remaining: &str, reset: &str) -> Answer {
    let headers = [("X-RateLimit-Limit", "5"), ("X-RateLimit-Remaining", remaining), ("X-RateLimit-Reset", reset)];
    Answer::new(status, &headers, "{}")
}

#[test]
fn events_of_a_paced_publisher_wait_in_the_queue() {
    for is_paced in [true, false] {
        let more = json!({"connections": 1, "pace_by_rate_limit": is_paced});
        let scene = Scene::new([limited(200, "0", "30")], more);
        scene.publisher.publish("c", "e", "1");
        delivered(&[scene.publisher.report()], [1]);
        scene.publisher.publish_with("c", "e", "2", &json!({"conflate": "k"}));
        if !is_paced {
            delivered(&[scene.publisher.report()], [2]);
            continue;
        }
        scene.publisher.publish_with("c", "e", "3", &json!({"conflate": "k"}));
        scene.publisher.report().is(2, "NOT_SENT", "not_sent", "superseded");
        // An event for several channels waits, too.
        scene.publisher.publish(r#"["c","d"]"#, "e", "4");
        assert_eq!(publisher::close(Some(&scene.publisher), 300).name(), "TIMED_OUT");
        let reports = scene.publisher.reports(2);
        reports[0].is(3, "NOT_SENT", "not_sent", "closed");
        reports[1].is(4, "NOT_SENT", "not_sent", "closed");
        assert_eq!(scene.server.ledger().len(), 1);
    }
}

#[test]
fn a_retry_of_a_paced_publisher_waits_for_the_reset() {
    // The server states no Retry-After.
    let more = json!({"connections": 1, "pace_by_rate_limit": true, "retry": {"mode": "safe"}});
    let scene = Scene::new([limited(429, "0", "0")], more.clone());
    let start = Instant::now();
    scene.publisher.publish("c", "e", "1");
    delivered(&[scene.publisher.report()], [1]);
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(data_of(&scene.server.ledger()).concat(), ["1", "1"]);
    // If the reset is after the deadline, the event ends at once, and the next one waits.
    let scene = Scene::new([limited(429, "0", "30")], more);
    scene.publisher.publish("c", "e", "1");
    scene.publisher.report().is(1, "RATE_LIMITED", "rejected", "");
    scene.publisher.publish("c", "e", "2");
    assert!(scene.publisher.poll(300).is_none());
    assert_eq!(scene.server.ledger().len(), 1);
}

#[test]
fn a_paced_publisher_of_a_server_without_a_rate_limit_does_not_wait() {
    for headers in [&[][..], &[("X-RateLimit-Limit", "5")], &[("X-RateLimit-Remaining", "none")]] {
        let headers = headers.to_vec();
        let server = Server::builder().answering(move |_| Answer::new(200, &headers, "{}")).start();
        let publisher = Publisher::new(&server.client(), &reporting_all(json!({"pace_by_rate_limit": true})));
        let start = Instant::now();
        for number in 0..100 {
            publisher.publish(&format!("c{number}"), "e", "1");
        }
        publisher.flush();
        assert!(publisher.reports(100).iter().all(|report| report.delivery == "delivered"));
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }
}

#[test]
fn the_single_events_of_a_batch_are_paced() {
    let no_route = limited(404, "2", "0");
    let answers = [Answer::ok("{}").when_released(), no_route, limited(200, "1", "0"), limited(200, "0", "0")];
    let more = json!({"connections": 1, "pace_by_rate_limit": true});
    let scene = Scene::on(Server::start(answers), json!({"batch_route": "auto"}), more);
    scene.publisher.publish("c", "e", "0");
    scene.wait_for_requests(1);
    for data in ["1", "2", "3"] {
        scene.publisher.publish("c", "e", data);
    }
    scene.server.release();
    scene.wait_for_requests(4);
    let start = Instant::now();
    scene.wait_for_requests(5);
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    delivered(&scene.publisher.reports(4), 1..=4);
}

#[test]
fn the_requests_of_a_fan_out_are_paced() {
    let more = json!({"connections": 1, "pace_by_rate_limit": true});
    let server = Server::start([limited(200, "1", "0"), limited(200, "0", "0")]);
    let scene = Scene::on(server, json!({"max_channels": 1}), more);
    scene.publisher.publish_with(r#"["a","b","c"]"#, "e", "1", &json!({"fan_out": true}));
    scene.wait_for_requests(2);
    let start = Instant::now();
    scene.wait_for_requests(3);
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    delivered(&[scene.publisher.report()], [1]);
}
