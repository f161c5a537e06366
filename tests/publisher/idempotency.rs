//! Idempotency keys of the publisher's requests.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::memory::{Fate, KEY_HEADER, Memory, key_of};
use crate::support::publisher::{Report, data_of, events_of};
use crate::support::server::Received;
use crate::support::{Answer, Server};
use crate::{Scene, delivered};

/// The name of an event whose response waits for [`Server::release`].
const HELD: &str = "held";

/// Returns a publisher with one connection, of a client that vouches for its server, and which has an event in flight
/// until [`Server::release`]. `more` is the publisher's configuration.
fn scene(memory: &Memory, of_client: Value, more: Value) -> Scene {
    let memory = memory.clone();
    let answering = move |request: &Received| {
        let is_held = events_of(request)[0].name == HELD;
        if is_held { Answer::ok("{}").when_released() } else { memory.answer(request) }
    };
    let mut client = json!({"idempotency": "auto", "server_deduplicates": true, "retry": {"ratio": 1}});
    client.as_object_mut().unwrap().extend(of_client.as_object().unwrap().clone());
    let mut publisher = json!({"connections": 1, "linger_ms": 0});
    publisher.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let scene = Scene::on(Server::builder().answering(answering).start(), client, publisher);
    scene.publisher.publish("c", HELD, "0");
    scene.wait_for_requests(1);
    scene
}

/// Returns the requests after the first, which is held.
fn requests(scene: &Scene) -> Vec<Received> {
    scene.server.ledger().split_off(1)
}

fn keys(scene: &Scene) -> Vec<String> {
    requests(scene).iter().map(|request| key_of(request).expect("a key")).collect()
}

fn said(reports: &[Report]) -> Vec<(u64, &str)> {
    reports.iter().map(|report| (report.id, &*report.delivery)).collect()
}

#[test]
fn each_request_has_a_key_of_its_own() {
    let memory = Memory::new([]);
    let scene = scene(&memory, json!({}), json!({"max_batch_events": 2}));
    for data in ["1", "1", "1", "1", "1"] {
        scene.publisher.publish("c", "e", data);
    }
    scene.server.release();
    delivered(&scene.publisher.reports(6), 1..=6);
    let keys = keys(&scene);
    assert_eq!(keys.len(), 3);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 3, "{keys:?}");
    assert!(keys.iter().all(|key| key.len() == 32), "{keys:?}");
    assert_eq!(memory.published().len(), 3);
}

#[test]
fn by_default_no_request_has_a_key() {
    let scene = Scene::new([], json!({"connections": 1}));
    scene.hold("c");
    for data in ["1", "2"] {
        scene.publisher.publish("c", "e", data);
    }
    scene.server.release();
    delivered(&scene.publisher.reports(3), 1..=3);
    assert!(scene.server.ledger().iter().all(|request| request.header(KEY_HEADER).is_empty()));
}

#[test]
fn an_event_with_a_key_is_sent_alone_and_in_order() {
    let memory = Memory::new([]);
    let scene = scene(&memory, json!({"idempotency": "off"}), json!({}));
    scene.publisher.publish("c", "e", "1");
    scene.publisher.publish("c", "e", "2");
    scene.publisher.publish_with("c", "e", "3", &json!({"idempotency_key": "three"}));
    scene.publisher.publish_with("c", "e", "4", &json!({"idempotency_key": "four"}));
    scene.publisher.publish("c", "e", "5");
    scene.publisher.publish("c", "e", "6");
    scene.server.release();
    delivered(&scene.publisher.reports(7), 1..=7);
    let requests = requests(&scene);
    let sent: Vec<Vec<String>> = data_of(&requests);
    assert_eq!(sent, [vec!["1", "2"], vec!["3"], vec!["4"], vec!["5", "6"]]);
    let keys: Vec<Option<String>> = requests.iter().map(key_of).collect();
    assert_eq!(keys, [None, Some("three".to_owned()), Some("four".to_owned()), None]);
}

#[test]
fn an_event_for_several_channels_or_a_user_may_have_a_key() {
    let memory = Memory::new([Fate::AnswerLost, Fate::AnswerLost]);
    let scene = scene(&memory, json!({"idempotency": "off"}), json!({}));
    scene.publisher.publish_with(r#"["a","b","c"]"#, "e", "1", &json!({"idempotency_key": "k1"}));
    let options = json!({"idempotency_key": "k2", "user_id": "7"}).to_string();
    let user = [None, Some(&b"e"[..]), Some(b"2"), Some(options.as_bytes())];
    crate::support::publisher::publish(Some(&scene.publisher), user).unwrap();
    scene.server.release();
    let mut reports = scene.publisher.reports(3);
    reports.sort_by_key(|report| report.id);
    delivered(&reports, 1..=3);
    let published: Vec<Option<String>> = memory.published().into_iter().map(|published| published.key).collect();
    assert_eq!(published.len(), 2);
    assert!(published.contains(&Some("k1".to_owned())) && published.contains(&Some("k2".to_owned())), "{published:?}");
}

#[test]
fn an_event_with_a_key_replaces_no_other() {
    let scene = Scene::new([], json!({}));
    let options = json!({"idempotency_key": "k", "conflate": "x"});
    let outcome = scene.publisher.try_publish("c", "e", "1", Some(&options)).unwrap_err();
    outcome.is("INVALID_ARGUMENT", "not_sent").naming("options.conflate");
    for wrong in ["", "a b", "ü"] {
        let outcome = scene.publisher.try_publish("c", "e", "1", Some(&json!({"idempotency_key": wrong}))).unwrap_err();
        outcome.is("INVALID_ARGUMENT", "not_sent").naming("options.idempotency_key");
    }
}

#[test]
fn a_request_is_resent_as_it_was() {
    // While it waits for its retries, newer events come that would replace its events, and its events get too old.
    for fate in [Fate::AnswerLost, Fate::Lost, Fate::Before(503), Fate::After(500), Fate::InProgress(2), Fate::Silent] {
        let memory = Memory::new([fate]).retry_after(0);
        let more = json!({"event_ttl_ms": 300, "retry": {"max_attempts": 9, "ratio": 1}, "linger_ms": 0});
        let scene = scene(&memory, json!({"attempt_timeout_ms": 400}), more);
        for key in ["x", "y"] {
            scene.publisher.publish_with("c", "e", "\"old\"", &json!({"conflate": key}));
        }
        scene.server.release();
        scene.wait_for_requests(2);
        for key in ["x", "y"] {
            scene.publisher.publish_with("c", "e", "\"new\"", &json!({"conflate": key}));
        }
        let mut reports = scene.publisher.reports(5);
        reports.sort_by_key(|report| report.id);
        assert_eq!(said(&reports[..3]), [(1, "delivered"), (2, "delivered"), (3, "delivered")], "{fate:?}");
        let requests = requests(&scene);
        let first: Vec<&Received> = requests.iter().filter(|request| key_of(request) == key_of(&requests[0])).collect();
        assert!(first.len() > 1, "{fate:?}");
        assert!(first.iter().all(|request| request.body == requests[0].body), "{fate:?}");
        assert_eq!(data_of(&requests)[0], ["old", "old"]);
        // Each is published once.
        let bodies = memory.bodies();
        assert_eq!(bodies.iter().filter(|body| body.contains("old")).count(), 1, "{fate:?} {bodies:?}");
        assert!(bodies.iter().filter(|body| body.contains("new")).count() <= 1, "{fate:?} {bodies:?}");
    }
}

#[test]
fn unknown_is_resent_only_if_the_user_vouches_for_the_server() {
    for (of_client, mode, resent) in [
        (json!({}), "safe", true),
        (json!({}), "never", false),
        (json!({"server_deduplicates": false}), "safe", false),
        (json!({"idempotency": "off"}), "safe", false),
        (json!({"server_deduplicates": false}), "at_least_once", true),
    ] {
        let memory = Memory::new([Fate::AnswerLost]);
        let scene = scene(&memory, of_client.clone(), json!({"retry": {"mode": mode}}));
        scene.publisher.publish("c", "e", "1");
        scene.publisher.publish("c", "e", "2");
        scene.server.release();
        let reports = scene.publisher.reports(3);
        let end = if resent { "delivered" } else { "unknown" };
        assert_eq!(said(&reports), [(1, "delivered"), (2, end), (3, end)], "{of_client} {mode}");
        assert_eq!((requests(&scene).len(), memory.published().len()), (1 + usize::from(resent), 1));
    }
}

#[test]
fn a_batch_whose_claim_is_stuck_stays_unknown() {
    let memory = Memory::new([Fate::Stuck]);
    let scene = scene(&memory, json!({}), json!({"retry": {"max_attempts": 4, "ratio": 1}}));
    scene.publisher.publish("c", "e", "1");
    scene.publisher.publish("c", "e", "2");
    scene.server.release();
    let reports = scene.publisher.reports(3);
    assert_eq!(said(&reports), [(1, "delivered"), (2, "unknown"), (3, "unknown")]);
    assert_eq!((requests(&scene).len(), memory.published().len()), (4, 0));
}

#[test]
fn the_parts_of_a_split_batch_have_keys_of_their_own() {
    // The same event twice: with one key, the server would take the second for a repetition of the first.
    let memory = Memory::new([Fate::Before(400), Fate::AnswerLost]);
    let scene = scene(&memory, json!({}), json!({"batch_is_atomic": true}));
    for data in ["1", "1", "2"] {
        scene.publisher.publish("c", "e", data);
    }
    scene.server.release();
    delivered(&scene.publisher.reports(4), 1..=4);
    let keys = keys(&scene);
    // The batch, the first event twice, and the others.
    assert_eq!(keys.len(), 5);
    assert_eq!(keys[1], keys[2]);
    let different: BTreeSet<&String> = keys.iter().collect();
    assert_eq!(different.len(), 4, "{keys:?}");
    assert!(keys[1..].iter().all(|key| key.starts_with(&format!("{}-", keys[0]))), "{keys:?}");
    assert_eq!(memory.bodies().len(), 3, "each event once");
}

#[test]
fn after_the_window_nothing_is_resent() {
    let memory = Memory::new([Fate::Silent]).forgetting_after(Duration::from_millis(200));
    let of_client = json!({"idempotency_window_ms": 200, "attempt_timeout_ms": 250});
    let scene = scene(&memory, of_client, json!({}));
    scene.publisher.publish("c", "e", "1");
    scene.server.release();
    let reports = scene.publisher.reports(2);
    assert_eq!(said(&reports), [(1, "delivered"), (2, "unknown")]);
    assert_eq!((requests(&scene).len(), memory.published().len()), (1, 1));
}
