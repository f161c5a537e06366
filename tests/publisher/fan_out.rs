//! Fan-out: an event that takes several requests has one report.

use serde_json::{Value, json};

use crate::support::fan_out::{FAULTS, names};
use crate::support::publisher::close;
use crate::support::server::Received;
use crate::support::{Answer, MASTER_KEY, Publisher, Server, calls, secretbox};
use crate::{Scene, delivered, reporting_all, wait_for_retry};

fn options() -> Value {
    json!({"fan_out": true})
}

fn list(names: &[String]) -> String {
    json!(names).to_string()
}

#[test]
fn the_report_says_how_each_part_ended_after_a_fault_in_the_middle() {
    for fault in FAULTS {
        let server = fault.server();
        let client = server.client_with(json!({"retry": {"mode": "never"}, "timeout_ms": fault.timeout_ms()}));
        let publisher = Publisher::new(&client, &reporting_all(json!({})));
        let id = publisher.publish_with(&list(&names()), "e", "1", &options());
        let report = publisher.reports(1).remove(0);
        report.is(id, "PARTIAL", "unknown", "");
        assert_eq!(report.number("attempts"), Some(fault.attempts()), "{}", fault.name);
        fault.check(&report.members["parts"], &server.ledger());
        let stats = publisher.stats();
        assert_eq!((&stats["events"]["unknown"], &stats["queue"]["events"]), (&json!(1), &json!(0)), "{}", fault.name);
    }
}

#[test]
fn events_before_and_after_a_fan_out_keep_the_order_of_each_channel() {
    let scene = Scene::new([], json!({"connections": 8, "linger_ms": 0}));
    let names = names();
    let mut ids = Vec::new();
    for round in 0..3 {
        ids.extend(names.iter().step_by(37).map(|name| scene.publisher.publish(name, &format!("before-{round}"), "1")));
        ids.push(scene.publisher.publish_with(&list(&names), &format!("fan-out-{round}"), "1", &options()));
        ids.extend(names.iter().step_by(37).map(|name| scene.publisher.publish(name, &format!("after-{round}"), "1")));
    }
    let mut reports = scene.publisher.reports(ids.len());
    reports.sort_by_key(|report| report.id);
    delivered(&reports, ids);
    for name in names.iter().step_by(37) {
        let mut seen = Vec::new();
        for received in scene.server.ledger() {
            let body = received.json();
            let batch = body["batch"].as_array().cloned().unwrap_or_else(|| vec![body.clone()]);
            for event in batch {
                let on = event["channel"] == json!(name)
                    || event["channels"].as_array().is_some_and(|channels| channels.contains(&json!(name)));
                if on {
                    seen.push(event["name"].as_str().unwrap().to_owned());
                }
            }
        }
        let expected: Vec<_> =
            (0..3).flat_map(|round| ["before", "fan-out", "after"].map(|event| format!("{event}-{round}"))).collect();
        assert_eq!(seen, expected, "{name}");
    }
}

#[test]
fn an_encrypted_channel_gets_its_own_ciphertext() {
    let key = calls::base64(MASTER_KEY.as_bytes());
    let scene = Scene::on(Server::start([]), json!({"encryption_master_key_base64": key}), json!({}));
    let channels = ["a", "private-encrypted-x", "b", "private-encrypted-y"].map(str::to_owned);
    let id = scene.publisher.publish_with(&list(&channels), "e", r#""text""#, &options());
    delivered(&scene.publisher.reports(1), [id]);
    let ledger = scene.server.ledger();
    let sent: Vec<_> = ledger.iter().map(|received| received.json()["channels"].clone()).collect();
    assert_eq!(sent, [json!(["a", "b"]), json!(["private-encrypted-x"]), json!(["private-encrypted-y"])]);
    assert_eq!(ledger[0].json()["data"], "text");
    for received in &ledger[1..] {
        let body = received.json();
        let channel = body["channels"][0].as_str().unwrap();
        let plain = secretbox::decrypted(channel, MASTER_KEY.as_bytes(), body["data"].as_str().unwrap());
        assert_eq!(plain.as_deref(), Some("text"));
    }
}

#[test]
fn the_report_has_the_attributes_of_all_channels() {
    let respond = |received: &Received| {
        let channels = received.json()["channels"].as_array().unwrap().clone();
        let counts = channels.iter().map(|name| (name.as_str().unwrap().to_owned(), json!({"user_count": 1})));
        Answer::ok(&json!({"channels": Value::Object(counts.collect())}).to_string())
    };
    let scene = Scene::on(Server::builder().answering(respond).start(), json!({}), json!({}));
    let id = scene.publisher.publish_with(&list(&names()), "e", "1", &json!({"fan_out": true, "info": "user_count"}));
    let reports = scene.publisher.reports(1);
    delivered(&reports, [id]);
    assert_eq!(reports[0].members["answer"].as_object().unwrap().len(), 1000);
    assert_eq!(reports[0].members["answer"]["channel-999"], json!({"user_count": 1}));
}

#[test]
fn a_publisher_that_closes_during_a_retry_reports_the_parts_so_far() {
    let busy = Answer::new(429, &[("Retry-After", "60")], "busy");
    let scene = Scene::new([Answer::ok("{}"), busy], json!({"timeout_ms": 300_000, "retry": {"mode": "safe"}}));
    let id = scene.publisher.publish_with(&list(&names()[..300]), "e", "1", &options());
    // The retry waits for a minute.
    wait_for_retry(&scene.publisher);
    close(Some(&scene.publisher), 50).is("TIMED_OUT", "");
    let report = scene.publisher.reports(1).remove(0);
    report.is(id, "PARTIAL", "unknown", "");
    let parts = report.members["parts"].as_array().unwrap();
    let said: Vec<_> = parts.iter().map(|part| part["status"].as_str().unwrap()).collect();
    assert_eq!(said, ["OK", "RATE_LIMITED", "NOT_SENT"]);
    assert_eq!(scene.server.ledger().len(), 2);
}

#[test]
fn a_publisher_that_closes_during_a_request_sends_no_further_part() {
    let scene = Scene::new([Answer::ok("{}"), Answer::ok("{}").when_released()], json!({}));
    let id = scene.publisher.publish_with(&list(&names()[..400]), "e", "1", &options());
    scene.wait_for_requests(2);
    close(Some(&scene.publisher), 50).is("TIMED_OUT", "");
    scene.publisher.reports(1)[0].is(id, "DELIVERY_UNKNOWN", "unknown", "closed");
    scene.server.release();
    drop(scene.publisher);
    assert_eq!(scene.server.ledger().len(), 2);
}

#[test]
fn options_that_do_not_fit_a_fan_out_are_refused() {
    let scene = Scene::new([], json!({}));
    let publish = |channels: &[String], options: Value| {
        scene.publisher.try_publish(&list(channels), "e", "1", Some(&options)).unwrap_err()
    };
    let names = names();
    publish(&names, json!({"fan_out": true, "conflate": "k"}))
        .is("INVALID_ARGUMENT", "not_sent")
        .naming("options.conflate");
    let outcome = publish(&names, json!({}));
    outcome.is("INVALID_ARGUMENT", "not_sent").naming("channels");
    assert!(outcome.text("message").contains("option fan_out"), "{outcome:?}");
    let mixed = ["a", "private-encrypted-x"].map(str::to_owned);
    publish(&mixed, options()).is("ENCRYPTION", "not_sent");
    assert_eq!(scene.server.ledger().len(), 0);
}

#[test]
fn reports_with_parts_take_limited_memory() {
    // Each report has the names of 1,000 channels: 14 KB, of which 8 are free.
    let server = Server::builder().answering(|received| {
        let is_first = received.json()["channels"][0] == "channel-0";
        Answer::new(if is_first { 503 } else { 200 }, &[], "{}")
    });
    let more = json!({"connections": 1, "max_queue_bytes": 40_000});
    let scene = Scene::on(server.start(), json!({}), more);
    for _ in 0..10 {
        scene.publisher.publish_with(&list(&names()), "e", "1", &options());
        scene.publisher.flush();
    }
    let polled = scene.publisher.poll(0).unwrap();
    let (kept, lost) = (polled.reports.len() as u64, polled.lost.unwrap());
    assert_eq!(kept + lost, 10);
    assert!((2..9).contains(&kept), "{kept}");
    assert_eq!(polled.reports.last().unwrap().id, 10);
}
