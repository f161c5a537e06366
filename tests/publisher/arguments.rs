//! Invalid arguments are refused, the error names them, and nothing changes.

use serde_json::{Value, json};

use crate::support::publisher::{self, Publisher, events_of};
use crate::support::{Client, Outcome, Server, config};
use crate::{Scene, documentation, reporting_all};

/// Invalid UTF-8: a byte that never occurs, a lone continuation byte, an overlong NUL, a surrogate,
/// a truncated character.
const NO_UTF_8: [&[u8]; 5] = [b"\xff", b"a\x80", b"\xc0\x80", b"\xed\xa0\x80", b"{\"\xe2\x82\"}"];

/// Returns a client of a port without a server, for tests that send nothing.
fn unreachable_client() -> Client {
    Client::new(&config(1, json!({})))
}

#[track_caller]
fn refused(outcome: &Outcome, status: &str, argument: &str) {
    assert_eq!(outcome.name(), status, "{outcome:?}");
    outcome.naming(argument);
    assert!(outcome.text("message").contains(argument), "{outcome:?}");
}

#[test]
fn each_required_pointer_that_is_null_is_refused_by_name() {
    let client = unreachable_client();
    refused(&publisher::try_new(None, None).unwrap_err(), "INVALID_ARGUMENT", "client");
    refused(&publisher::new_without_place(&client), "INVALID_ARGUMENT", "publisher");
    let publisher = publisher::try_new(Some(&client), None).unwrap();
    let good: [Option<&[u8]>; 4] = [Some(b"c"), Some(b"e"), Some(b"1"), None];
    for (index, argument) in ["channels", "event", "data"].into_iter().enumerate() {
        let mut texts = good;
        texts[index] = None;
        refused(&publisher::publish(Some(&publisher), texts).unwrap_err(), "INVALID_ARGUMENT", argument);
    }
    for outcome in [
        publisher::publish(None, good).unwrap_err(),
        publisher::publish(None, [None; 4]).unwrap_err(),
        publisher::raw_poll(None, publisher::FOR_EVER),
        publisher::flush(None, publisher::FOR_EVER),
        publisher::close(None, publisher::FOR_EVER),
        publisher::stats(None),
    ] {
        refused(&outcome, "INVALID_ARGUMENT", "publisher");
    }
    refused(&publisher::fd(None).unwrap_err(), "INVALID_ARGUMENT", "publisher");
    refused(&publisher::drain(None, 0), "INVALID_ARGUMENT", "publisher");
    refused(&publisher::restore(None, Some(b"{}")), "INVALID_ARGUMENT", "publisher");
    refused(&publisher::restore(Some(&publisher), None), "INVALID_ARGUMENT", "drained");
    refused(&publisher::restore(Some(&publisher), Some(b"\xff")), "INVALID_ARGUMENT", "drained");
    refused(&publisher::fd_without_place(&publisher), "INVALID_ARGUMENT", "fd");
    publisher::free_null();
    assert_eq!(publisher.stats()["events"]["published"], 0);
}

#[test]
fn every_output_pointer_may_be_null() {
    assert_eq!(publisher::without_out(None), [1; 5]);
    let server = Server::start([]);
    let publisher = Publisher::new(&server.client(), &reporting_all(json!({})));
    assert_eq!(publisher::without_out(Some(&publisher)), [0; 5]);
    // Polling without an output pointer discards the report.
    publisher.has_no_report();
    assert_eq!(publisher::without_out(Some(&publisher)), [81, 82, 0, 0, 0]);
    assert_eq!(server.ledger().len(), 1);
}

#[test]
fn invalid_utf_8_is_refused() {
    let client = unreachable_client();
    let publisher = Publisher::new(&client, &json!({}));
    for bad in NO_UTF_8 {
        let outcome = publisher::try_new(Some(&client), Some(bad)).unwrap_err();
        refused(&outcome, "INVALID_ARGUMENT", "config");
        assert!(outcome.text("message").contains("UTF-8"), "{outcome:?}");
        for (index, argument) in ["channels", "event", "data", "options"].into_iter().enumerate() {
            let mut texts: [Option<&[u8]>; 4] = [Some(b"c"), Some(b"e"), Some(b"1"), None];
            texts[index] = Some(bad);
            let outcome = publisher::publish(Some(&publisher), texts).unwrap_err();
            refused(&outcome, "INVALID_ARGUMENT", argument);
            assert!(outcome.text("message").contains("UTF-8"), "{outcome:?}");
        }
    }
}

#[test]
fn an_empty_string_does_not_count_as_omitted() {
    let client = unreachable_client();
    let publisher = Publisher::new(&client, &json!({}));
    for empty in [&b""[..], b" ", b"\n"] {
        refused(&publisher::try_new(Some(&client), Some(empty)).unwrap_err(), "INVALID_CONFIG", "config");
        for (index, argument) in ["channels", "event", "data", "options"].into_iter().enumerate() {
            // An event's name may contain any character.
            if argument == "event" && !empty.is_empty() {
                continue;
            }
            let mut texts: [Option<&[u8]>; 4] = [Some(b"c"), Some(b"e"), Some(b"1"), Some(b"{}")];
            texts[index] = Some(empty);
            refused(&publisher::publish(Some(&publisher), texts).unwrap_err(), "INVALID_ARGUMENT", argument);
        }
    }
}

/// Each key of the configuration, with valid and invalid values.
fn keys() -> Vec<(&'static str, Vec<Value>, Vec<Value>)> {
    let count = |most: u64| {
        let wrong = json!([0, -1, 1.5, 1e3, most + 1, u64::MAX, "1", true, [1], {"x": 1}]);
        (vec![json!(1), json!(2), json!(most)], wrong.as_array().unwrap().clone())
    };
    let time = |most: u64| {
        let (mut good, mut wrong) = count(most);
        good.push(json!(0));
        wrong.remove(0);
        (good, wrong)
    };
    let word = |words: &[&str]| {
        let wrong = json!(["Reject", "ALL", " json", "block ", 0, true, [words[0]], {"x": words[0]}]);
        (words.iter().map(|word| json!(word)).collect(), wrong.as_array().unwrap().clone())
    };
    let flag = || (vec![json!(true), json!(false)], vec![json!(0), json!(1), json!("true"), json!([true])]);
    let mut keys = Vec::new();
    let mut add = |key, (good, wrong)| keys.push((key, good, wrong));
    add("connections", count(64));
    add("max_queue_events", count(10_000_000));
    add("max_queue_bytes", count(1 << 40));
    add("overflow", word(&["reject", "block", "drop_oldest"]));
    add("max_batch_events", count(10));
    add("max_batch_bytes", count(1 << 30));
    add("linger_ms", time(60_000));
    add("event_ttl_ms", time(u64::from(u32::MAX)));
    add("max_events_per_second", count(10_000_000));
    add("reports", word(&["failures", "all", "none"]));
    add("max_reports", count(10_000_000));
    add("batch_is_atomic", flag());
    add("timeout_ms", count(600_000));
    add("hooks_on_threads", flag());
    add("pace_by_rate_limit", flag());
    add("stats_format", word(&["json", "prometheus"]));
    let modes = ["never", "safe", "at_least_once"].map(|mode| json!({"mode": mode, "max_attempts": 2}));
    add("retry", ([modes.to_vec(), vec![json!({})]].concat(), vec![json!("safe"), json!(3), json!([])]));
    keys
}

#[test]
fn every_key_accepts_documented_values_and_an_error_names_the_key() {
    let client = unreachable_client();
    let keys = keys();
    // The header's table lists the same keys.
    let mut documented: Vec<&str> = documentation("pusher_publisher_new")
        .lines()
        .filter_map(|line| line.split("| `").nth(1))
        .flat_map(|row| row.split('|').next().unwrap().split(','))
        .map(|key| key.trim().trim_matches('`'))
        .collect();
    let mut tested: Vec<&str> = keys.iter().map(|(key, ..)| *key).collect();
    documented.sort_unstable();
    tested.sort_unstable();
    assert_eq!(tested, documented);
    for (key, good, wrong) in keys {
        for value in good {
            drop(Publisher::new(&client, &json!({key: value})));
        }
        for value in wrong {
            let config = json!({key: value}).to_string();
            let outcome = publisher::try_new(Some(&client), Some(config.as_bytes())).expect_err(&config);
            refused(&outcome, "INVALID_CONFIG", key);
        }
    }
}

#[test]
fn an_invalid_configuration_is_refused() {
    let client = unreachable_client();
    for (config, argument) in [
        ("{", "config"),
        ("[]", "config"),
        ("1", "config"),
        ("null", "config"),
        ("\"all\"", "config"),
        ("{} {}", "config"),
        ("{\"linger_ms\":1,}", "config"),
        (r#"{"linger_ms":1,"linger_ms":1}"#, "linger_ms"),
        (r#"{"linger_ms":1,"linger\u005fms":1}"#, "linger_ms"),
        (r#"{"colour":1}"#, "colour"),
        (r#"{"Linger_ms":1}"#, "Linger_ms"),
        // These belong in the client's configuration.
        (r#"{"app_id":"1"}"#, "app_id"),
        (r#"{"secret":"x"}"#, "secret"),
        (r#"{"retry":{"mode":"often"}}"#, "retry.mode"),
        (r#"{"retry":{"max_attempts":0}}"#, "retry.max_attempts"),
        (r#"{"retry":{"wait_ms":1}}"#, "retry.wait_ms"),
    ] {
        let outcome = publisher::try_new(Some(&client), Some(config.as_bytes())).expect_err(config);
        refused(&outcome, "INVALID_CONFIG", argument);
        assert_eq!(outcome.delivery(), "", "{config}");
    }
    for config in [None, Some("{}"), Some(" {\n} ")] {
        publisher::try_new(Some(&client), config.map(str::as_bytes)).unwrap();
    }
}

#[test]
fn max_batch_events_is_at_most_the_clients() {
    let client = Client::new(&config(1, json!({"max_batch_events": 3})));
    drop(Publisher::new(&client, &json!({"max_batch_events": 3})));
    let outcome = publisher::try_new(Some(&client), Some(br#"{"max_batch_events":4}"#)).unwrap_err();
    refused(&outcome, "INVALID_CONFIG", "max_batch_events");
}

#[test]
fn publish_and_trigger_refuse_with_the_same_error_document() {
    let client = unreachable_client();
    let publisher = Publisher::new(&client, &json!({}));
    let names = |count: usize| json!((0..count).map(|i| format!("c{i}")).collect::<Vec<_>>()).to_string();
    let large = json!("x".repeat(10_241)).to_string();
    let options = |key: &str, value: Value| json!({key: value}).to_string();
    let (c, e, d) = ("c", "e", "1");
    for (channels, event, data, given) in [
        ("no channel", e, d, None),
        ("c:d", e, d, None),
        (&*"a".repeat(201), e, d, None),
        ("[]", e, d, None),
        (r#"["a","b c"]"#, e, d, None),
        (r#"["a","#, e, d, None),
        (&*names(101), e, d, None),
        ("private-encrypted-c", e, d, None),
        (r#"["a","private-encrypted-c"]"#, e, d, None),
        (c, &*"a".repeat(201), d, None),
        (c, e, "x", None),
        (c, e, "{", None),
        (c, e, "\"\\ud800\"", None),
        (c, e, &*large, None),
        (c, e, d, Some("[]".to_owned())),
        (c, e, d, Some("{".to_owned())),
        (c, e, d, Some(r#"{"info":"user_count","info":"user_count"}"#.to_owned())),
        (c, e, d, Some(options("socket_id", json!("1:2")))),
        (c, e, d, Some(options("socket_id", json!(1.2)))),
        (c, e, d, Some(options("info", json!("a b")))),
        (c, e, d, Some(options("timeout_ms", json!(0)))),
        (c, e, d, Some(options("timeout_ms", json!(600_001)))),
    ] {
        let of_trigger = match &given {
            None => client.trigger(channels, event, data),
            Some(options) => client.trigger_with(channels, event, data, options),
        };
        let texts = [channels, event, data].map(|text| Some(text.as_bytes()));
        let texts = [texts[0], texts[1], texts[2], given.as_deref().map(str::as_bytes)];
        let outcome = publisher::publish(Some(&publisher), texts).unwrap_err();
        assert_ne!(outcome.name(), "OK");
        assert_eq!(
            (outcome.name(), outcome.document),
            (of_trigger.name(), of_trigger.document),
            "{channels} {given:?}"
        );
    }
    // Options that only a publisher has, and reserved names.
    for (given, argument) in [
        (json!({"conflate": 1}), "options.conflate"),
        (json!({"user_id": 7}), "options.user_id"),
        (json!({"user_id": "a b"}), "options.user_id"),
        (json!({"user_id": "7"}), "options.user_id"),
        (json!({"retry": {}}), "options.retry"),
        (json!({"idempotency_key": "a b"}), "options.idempotency_key"),
        (json!({"headers": {}}), "options.headers"),
        (json!({"colour": 1}), "options.colour"),
    ] {
        let outcome = publisher.try_publish(c, e, d, Some(&given)).unwrap_err();
        refused(&outcome, "INVALID_ARGUMENT", argument);
    }
    let outcome = publisher.try_publish(r#"["a","b"]"#, e, d, Some(&json!({"conflate": "k"}))).unwrap_err();
    refused(&outcome, "INVALID_ARGUMENT", "options.conflate");
    // No event was accepted. `refused` counts only events that found the queue full.
    let events = &publisher.stats()["events"];
    assert_eq!((&events["published"], &events["refused"]), (&json!(0), &json!(0)));
}

#[test]
fn ids_count_from_1_and_a_refused_event_gets_none() {
    let scene = Scene::new([], json!({}));
    let other = Publisher::new(&scene.client, &json!({}));
    for id in 1..=50 {
        assert!(scene.publisher.try_publish("no channel", "e", "1", None).is_err());
        assert_eq!(scene.publisher.publish("c", "e", "1"), id);
        // Each publisher counts separately.
        assert_eq!(other.publish("c", "e", "2"), id);
    }
    scene.publisher.flush();
    other.flush();
    let sent: usize = scene.server.ledger().iter().map(|request| events_of(request).len()).sum();
    assert_eq!(sent, 100);
}
