//! Drain and restore: another publisher, of another process too, delivers what one did not send.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::support::publisher::{self, FOR_EVER, Publisher, Report, data_of, events_of, patience_ms};
use crate::support::{APP_ID, Answer, Client, MASTER_KEY, PATIENCE, Server, calls, child, config, secretbox};
use crate::{Scene, busy, delivered, reporting_all, wait_for_retry};

/// Channels of every connection.
const CHANNELS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// Sends an event on all these channels whose request stays in flight until [`Server::release`], so that no other event is sent.
#[track_caller]
fn hold_all(server: &Server, publisher: &Publisher) -> u64 {
    let before = server.ledger().len();
    server.next(Answer::ok("{}").when_released());
    let id = publisher.publish(&json!(CHANNELS).to_string(), "held", "0");
    server.wait_until("the held request", |log| log.ledger.len() > before);
    id
}

/// Drains while all requests are held, and releases them once the drain has begun.
#[track_caller]
fn drain_and_release(server: &Server, publisher: &Publisher) -> String {
    thread::scope(|scope| {
        let draining = scope.spawn(|| publisher.drain(FOR_EVER));
        // A restore of no event tells whether the publisher is closed.
        let empty = json!({"libpusher_drained": 1, "app_id": APP_ID, "events": []}).to_string();
        let start = Instant::now();
        while publisher::restore(Some(publisher), Some(empty.as_bytes())).name() != "CLOSED" {
            assert!(start.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(1));
        }
        server.release();
        draining.join().unwrap()
    })
}

/// Returns a document of `publish`'s events, which a publisher with this configuration did not send.
#[track_caller]
fn drained(of_client: Value, publish: impl FnOnce(&Publisher)) -> Value {
    let scene = Scene::on(Server::start([]), of_client, json!({}));
    hold_all(&scene.server, &scene.publisher);
    publish(&scene.publisher);
    parsed(&drain_and_release(&scene.server, &scene.publisher))
}

fn parsed(document: &str) -> Value {
    serde_json::from_str(document).unwrap_or_else(|e| panic!("{e}: {document}"))
}

fn ids_in(document: &Value) -> Vec<u64> {
    document["events"].as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap()).collect()
}

/// Asserts that each event is delivered once, and that those of a channel come in the order of their numbers, which are their
/// data.
#[track_caller]
fn once_and_in_order(server: &Server, expected: impl IntoIterator<Item = u64>) {
    let events: Vec<_> = server.ledger().iter().flat_map(events_of).filter(|event| event.name == "e").collect();
    let number = |data: &str| data.parse::<u64>().unwrap();
    let mut numbers: Vec<u64> = events.iter().map(|event| number(&event.data)).collect();
    for channel in CHANNELS {
        let of_channel = events.iter().filter(|event| event.channels.iter().any(|name| name == channel));
        let of_channel: Vec<u64> = of_channel.map(|event| number(&event.data)).collect();
        assert!(of_channel.is_sorted_by(|a, b| a < b), "{channel}: {of_channel:?}");
    }
    numbers.sort_unstable();
    assert_eq!(numbers, expected.into_iter().collect::<Vec<_>>());
}

/// Publishes numbered events on all channels, every fifth on three of them.
fn publish_numbers(publisher: &Publisher, numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let of = |number: u64| {
        let at = |offset: u64| CHANNELS[usize::try_from((7 * number + offset) % 12).unwrap()];
        let channels = if number % 5 == 0 { json!([at(0), at(3), at(8)]).to_string() } else { at(0).to_owned() };
        publisher.publish(&channels, "e", &number.to_string())
    };
    numbers.into_iter().map(of).collect()
}

#[test]
fn another_publisher_delivers_each_event_once_and_in_order() {
    for (connections, later) in [(1, 3), (3, 1), (4, 7)] {
        let scene = Scene::new([], json!({"connections": connections, "max_batch_events": 4}));
        let held = hold_all(&scene.server, &scene.publisher);
        let ids = publish_numbers(&scene.publisher, 1..=100);
        let text = drain_and_release(&scene.server, &scene.publisher);
        let document = parsed(&text);
        assert_eq!(document["libpusher_drained"], 1);
        assert_eq!(document.as_object().unwrap().len(), 3);
        assert_eq!(ids_in(&document), ids);
        // Each has its report.
        let reports: BTreeMap<u64, Report> =
            scene.publisher.reports(ids.len() + 1).into_iter().map(|report| (report.id, report)).collect();
        reports[&held].is(held, "OK", "delivered", "");
        for id in &ids {
            reports[id].is(*id, "NOT_SENT", "not_sent", "drained");
        }
        let stats = scene.publisher.stats();
        assert_eq!(stats["unsent"]["drained"], ids.len());
        assert_eq!(stats["queue"], json!({"events": 0, "bytes": 0, "in_flight": 0}));
        assert_eq!(scene.server.ledger().len(), 1);

        let client = scene.server.client();
        let other = Publisher::new(&client, &reporting_all(json!({"connections": later})));
        let first = other.publish("z", "other", "0");
        let restored = other.restore(&text);
        assert_eq!(restored.iter().map(|(_, id)| *id).collect::<Vec<_>>(), ids);
        assert!(restored.iter().map(|(id, _)| *id).eq(first + 1..=first + restored.len() as u64));
        publish_numbers(&other, 101..=130);
        other.close();
        assert!(other.reports(restored.len() + 31).iter().all(|report| report.delivery == "delivered"));
        once_and_in_order(&scene.server, 1..=130);
    }
}

#[test]
fn a_publisher_of_another_process_delivers_them() {
    const DOCUMENT: &str = "TEST_DOCUMENT";
    const CONFIG: &str = "TEST_CONFIG";
    let test = "a_publisher_of_another_process_delivers_them";
    if child::is_child() {
        let client = Client::new(&env::var(CONFIG).unwrap());
        let publisher = Publisher::new(&client, &reporting_all(json!({})));
        let restored = publisher.restore(&env::var(DOCUMENT).unwrap());
        publisher.close();
        assert!(publisher.reports(restored.len()).iter().all(|report| report.delivery == "delivered"));
        return child::tell(&restored.len().to_string());
    }
    let scene = Scene::new([], json!({"connections": 2}));
    hold_all(&scene.server, &scene.publisher);
    publish_numbers(&scene.publisher, 1..=60);
    let text = drain_and_release(&scene.server, &scene.publisher);
    let variables = [(CONFIG, config(scene.server.port(), json!({}))), (DOCUMENT, text.clone())];
    let told = child::run(module_path!(), test, &variables);
    assert_eq!(told, ["60"]);
    once_and_in_order(&scene.server, 1..=60);
}

#[test]
fn events_that_wait_for_a_retry_are_handed_out_while_the_server_is_down() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let more = json!({"retry": {"mode": "safe", "max_attempts": 100}, "timeout_ms": 600_000});
    let client = Client::new(&config(address.port(), more));
    let publisher = Publisher::new(&client, &reporting_all(json!({"connections": 3, "max_batch_events": 5})));
    let ids = publish_numbers(&publisher, 1..=50);
    wait_for_retry(&publisher);
    // No request is left to wait for.
    let text = publisher.drain(FOR_EVER);
    let mut handed_out = ids_in(&parsed(&text));
    handed_out.sort_unstable();
    assert_eq!(handed_out, ids);
    assert!(publisher.reports(ids.len()).iter().all(|report| report.text("reason") == "drained"));

    drop(socket);
    let server = Server::builder().start_on(address).unwrap();
    let other = Publisher::new(&client, &reporting_all(json!({"connections": 2})));
    assert_eq!(other.restore(&text).len(), ids.len());
    other.close();
    once_and_in_order(&server, 1..=50);
}

#[test]
fn requests_in_flight_at_the_deadline_end_as_unknown_and_are_not_in_the_document() {
    for timeout_ms in [0, 1, 200] {
        let of_client = json!({"timeout_ms": 600_000});
        let scene = Scene::on(Server::start([Answer::nothing()]), of_client, json!({"connections": 1}));
        let sent = scene.publisher.publish("c", "e", "1");
        scene.wait_for_requests(1);
        let waiting: Vec<u64> = (0..30).map(|_| scene.publisher.publish("c", "e", "2")).collect();
        let start = Instant::now();
        let document = parsed(&scene.publisher.drain(timeout_ms));
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(timeout_ms.into()) && took < PATIENCE, "{took:?}");
        assert_eq!(ids_in(&document), waiting);
        let reports = scene.publisher.reports(31);
        reports[0].is(sent, "DELIVERY_UNKNOWN", "unknown", "closed");
        assert!(reports[1..].iter().all(|report| report.text("reason") == "drained"));
        assert!(scene.publisher.poll(FOR_EVER).is_none());
    }
}

#[test]
fn an_event_that_waits_for_a_retry_after_429_ends_as_rejected_and_is_not_in_the_document() {
    let refusal = Answer::new(429, &[("Retry-After", "4")], "later");
    let scene = Scene::new([refusal], json!({"retry": {"mode": "safe"}}));
    let refused = scene.publisher.publish("c", "e", "1");
    wait_for_retry(&scene.publisher);
    // The next event of the channel is never sent.
    let waiting = scene.publisher.publish("c", "e", "2");
    assert_eq!(data_of(&scene.server.ledger()).concat(), ["1"]);
    let document = parsed(&scene.publisher.drain(100));
    assert_eq!(ids_in(&document), [waiting]);
    let reports = scene.publisher.reports(2);
    let of = |id: u64| reports.iter().find(|report| report.id == id).unwrap();
    of(refused).is(refused, "RATE_LIMITED", "rejected", "");
    of(waiting).is(waiting, "NOT_SENT", "not_sent", "drained");
    assert!(scene.publisher.poll(FOR_EVER).is_none());
    assert_eq!(scene.server.ledger().len(), 1);
    // A drain with enough time lets the retry happen.
    let scene = Scene::new([busy()], json!({"retry": {"mode": "safe"}}));
    let refused = scene.publisher.publish("c", "e", "1");
    wait_for_retry(&scene.publisher);
    assert!(ids_in(&parsed(&scene.publisher.drain(FOR_EVER))).is_empty());
    delivered(&[scene.publisher.report()], [refused]);
    assert_eq!(data_of(&scene.server.ledger()).concat(), ["1", "1"]);
}

#[test]
fn every_option_is_kept() {
    let publish = |publisher: &Publisher| {
        let all = json!({"socket_id": "1.2", "info": "user_count", "extra": {"tags": {"t\"": "x"}, "n": [1.0, null]}});
        publisher.publish_with("a", "e\"\\", r#" {"x" : "\\\"é\u0001"} "#.trim(), &all);
        publisher.publish_with(r#"["a","b"]"#, "e", r#""\u00e9\n""#, &json!({"info": "user_count"}));
        let user = [None, Some(&b"e"[..]), Some(&b"[1, 2]"[..]), Some(&br#"{"user_id":"u7"}"#[..])];
        publisher::publish(Some(publisher), user).unwrap();
        publisher.publish_with("b", "e", "1", &json!({"idempotency_key": "order-{7}\""}));
        let names: Vec<String> = (0..230).map(|number| format!("n{number}")).collect();
        publisher.publish_with(&json!(names).to_string(), "e", "1", &json!({"fan_out": true, "idempotency_key": "f"}));
        publisher.publish("a", "empty", r#""""#);
    };
    let sent = |publish: &dyn Fn(&Publisher)| {
        let scene = Scene::new([], json!({"connections": 1, "max_batch_events": 1}));
        publish(&scene.publisher);
        scene.publisher.close();
        let ledger = scene.server.ledger();
        ledger.iter().map(|request| (request.json(), request.header("x-idempotency-key"))).collect::<Vec<_>>()
    };
    let document = drained(json!({}), publish);
    assert_eq!(sent(&|publisher| drop(publisher.restore(&document.to_string()))), sent(&publish));
    // Members in another order, and with white space, mean the same.
    let spaced = serde_json::to_string_pretty(&document).unwrap();
    assert_eq!(sent(&|publisher| drop(publisher.restore(&spaced))), sent(&publish));
}

#[test]
fn encrypted_events_stay_sealed_in_the_document() {
    let key = calls::base64(MASTER_KEY.as_bytes());
    let of_client = json!({"encryption_master_key_base64": key});
    let document = drained(of_client.clone(), |publisher| {
        publisher.publish("private-encrypted-a", "e", r#"{"plain":"hidden one"}"#);
        let channels = r#"["a","private-encrypted-a","private-encrypted-b"]"#;
        publisher.publish_with(channels, "e", r#""hidden two""#, &json!({"fan_out": true}));
        publisher.publish("a", "e", r#""not hidden""#);
    });
    let text = document.to_string();
    assert!(text.contains("not hidden") && !text.contains("hidden one") && !text.contains("hidden two"), "{text}");
    for plain in ["hidden one", "hidden two", &key, MASTER_KEY] {
        for spelling in calls::spellings_of(plain.as_bytes()) {
            assert!(!text.contains(&spelling), "{spelling} in {text}");
        }
    }

    let scene = Scene::on(Server::start([]), of_client, json!({"connections": 1, "max_batch_events": 1}));
    scene.publisher.restore(&text);
    scene.publisher.close();
    let sent: Vec<(Vec<String>, String)> =
        scene.server.ledger().iter().flat_map(events_of).map(|e| (e.channels, e.data)).collect();
    let opened = |index: usize| {
        let (channels, data) = &sent[index];
        (&*channels[0], secretbox::decrypted(&channels[0], MASTER_KEY.as_bytes(), data).unwrap())
    };
    assert_eq!(opened(0), ("private-encrypted-a", r#"{"plain":"hidden one"}"#.to_owned()));
    assert_eq!(sent[1], (vec!["a".to_owned()], "hidden two".to_owned()));
    assert_eq!(opened(2), ("private-encrypted-a", "hidden two".to_owned()));
    assert_eq!(opened(3), ("private-encrypted-b", "hidden two".to_owned()));
    assert_eq!(sent[4], (vec!["a".to_owned()], "not hidden".to_owned()));

    // Without the key, or with another one, nothing is restored.
    let without = Scene::new([], json!({}));
    publisher::restore(Some(&without.publisher), Some(text.as_bytes())).is("ENCRYPTION", "not_sent");
    let other = calls::base64(&[7; 32]);
    let with_other = Scene::on(Server::start([]), json!({"encryption_master_key_base64": other}), json!({}));
    let outcome = publisher::restore(Some(&with_other.publisher), Some(text.as_bytes()));
    outcome.is("INVALID_ARGUMENT", "not_sent").naming("drained.events[1].data");
    for scene in [without, with_other] {
        assert_eq!(scene.publisher.stats()["events"]["published"], 0);
    }
    // No one can make the library send plain data to an encrypted channel.
    for plain in [json!("plain"), json!("{\"plain\":1}"), json!("{\"nonce\":1,\"ciphertext\":\"x\"}")] {
        let mut forged = document.clone();
        forged["events"][0]["data"] = plain;
        let outcome = publisher::restore(Some(&scene.publisher), Some(forged.to_string().as_bytes()));
        outcome.is("INVALID_ARGUMENT", "not_sent").naming("drained.events[0].data");
    }
}

#[test]
fn a_conflate_key_is_kept_and_a_newer_event_wins() {
    let document = drained(json!({}), |publisher| {
        for (data, key) in [("1", "k"), ("2", "l"), ("3", "k")] {
            publisher.publish_with("c", "e", data, &json!({"conflate": key}));
        }
    });
    let scene = Scene::new([], json!({"connections": 1}));
    hold_all(&scene.server, &scene.publisher);
    let newer = scene.publisher.publish_with("c", "e", "5", &json!({"conflate": "l"}));
    let restored = scene.publisher.restore(&document.to_string());
    let [(third, _), (second, _)] = restored[..] else { panic!("{restored:?}") };
    // One that waits here is newer, and one that is published here is.
    scene.publisher.report().is(second, "NOT_SENT", "not_sent", "superseded");
    let newest = scene.publisher.publish_with("c", "e", "4", &json!({"conflate": "k"}));
    scene.publisher.report().is(third, "NOT_SENT", "not_sent", "superseded");
    scene.server.release();
    scene.publisher.close();
    assert_eq!(data_of(&scene.server.ledger())[1..].concat(), ["5", "4"]);
    delivered(&scene.publisher.reports(3), [1, newer, newest]);
}

#[test]
fn the_time_to_live_counts_from_the_first_publisher() {
    let mut document = drained(json!({}), |publisher| {
        publisher.publish("c", "e", "1");
        publisher.publish("c", "e", "2");
    });
    let published = document["events"][0]["published_ms"].as_u64().unwrap();
    assert!(crate::support::now_ms().abs_diff(published) < 60_000, "{published}");
    document["events"][0]["published_ms"] = json!(published - 3_600_000);
    for (ttl_ms, expires) in [(0, false), (7_200_000, false), (1_800_000, true)] {
        let scene = Scene::new([], json!({"event_ttl_ms": ttl_ms}));
        let restored = scene.publisher.restore(&document.to_string());
        scene.publisher.close();
        let mut reports = scene.publisher.reports(2);
        reports.sort_by_key(|report| report.id);
        reports[0].is(
            restored[0].0,
            if expires { "NOT_SENT" } else { "OK" },
            if expires { "not_sent" } else { "delivered" },
            if expires { "expired" } else { "" },
        );
        reports[1].is(restored[1].0, "OK", "delivered", "");
    }
    // A clock that is ahead makes no event younger than new.
    document["events"][0]["published_ms"] = json!(u64::MAX);
    let scene = Scene::new([], json!({"event_ttl_ms": 60_000}));
    assert_eq!(scene.publisher.restore(&document.to_string()).len(), 2);
    scene.publisher.close();
    assert!(scene.publisher.reports(2).iter().all(|report| report.delivery == "delivered"));
}

#[test]
fn a_document_that_does_not_fit_is_refused_as_a_whole() {
    let document = drained(json!({}), |publisher| drop(publish_numbers(publisher, 1..=10)));
    let text = document.to_string();
    for more in [
        json!({"max_queue_events": 9}),
        json!({"max_queue_events": 9, "overflow": "drop_oldest"}),
        json!({"max_queue_events": 9, "overflow": "block"}),
        json!({"max_queue_bytes": 2000}),
    ] {
        let scene = Scene::new([], more);
        publisher::restore(Some(&scene.publisher), Some(text.as_bytes())).is("QUEUE_FULL", "not_sent");
        let stats = scene.publisher.stats();
        assert_eq!((&stats["events"]["published"], &stats["events"]["refused"]), (&json!(0), &json!(1)));
        scene.publisher.has_no_report();
        scene.publisher.close();
        assert_eq!(scene.server.ledger().len(), 0);
    }
    // Events that wait here count.
    let scene = Scene::new([], json!({"max_queue_events": 11}));
    hold_all(&scene.server, &scene.publisher);
    scene.publisher.publish("c", "x", "0");
    publisher::restore(Some(&scene.publisher), Some(text.as_bytes())).is("QUEUE_FULL", "not_sent");
    scene.server.release();
    scene.publisher.flush();
    scene.publisher.restore(&text);
    scene.publisher.close();
    once_and_in_order(&scene.server, 1..=10);
    publisher::restore(Some(&scene.publisher), Some(text.as_bytes())).is("CLOSED", "not_sent");
}

#[test]
fn a_full_queue_fits_into_one_with_the_same_limits() {
    let limits = json!({"connections": 1, "max_queue_bytes": 20_000, "max_queue_events": 100});
    let scene = Scene::new([], limits.clone());
    hold_all(&scene.server, &scene.publisher);
    let mut count = 0;
    while scene.publisher.try_publish("c", "e", &format!("\"{}\"", "x".repeat(count * 7)), None).is_ok() {
        count += 1;
    }
    assert!(count > 10);
    let text = drain_and_release(&scene.server, &scene.publisher);
    let other = Scene::new([], limits);
    assert_eq!(other.publisher.restore(&text).len(), count);
    other.publisher.close();
    assert_eq!(data_of(&other.server.ledger()).concat().len(), count);
}

#[test]
fn each_fault_of_a_document_is_named_and_nothing_is_restored() {
    let document = drained(json!({}), |publisher| {
        publisher.publish_with("a", "e", "1", &json!({"conflate": "k"}));
        publisher.publish("b", "e", "2");
    });
    let scene = Scene::new([], json!({}));
    let refused = |text: &str, argument: &str| {
        let outcome = publisher::restore(Some(&scene.publisher), Some(text.as_bytes()));
        outcome.is("INVALID_ARGUMENT", "not_sent").naming(argument);
    };
    publisher::restore(Some(&scene.publisher), None).is("INVALID_ARGUMENT", "not_sent").naming("drained");
    for text in ["", "x", "[]", "{}", "null", r#""x""#, "{\"libpusher_drained\":1", "{\"app_id\":\"1\",\"events\":[]}"]
    {
        refused(text, "drained");
    }
    let text = document.to_string();
    for length in (0..text.len()).step_by(7) {
        refused(&text[..length], "drained");
    }
    for (pointer, value, argument) in [
        ("/libpusher_drained", json!(2), "drained.libpusher_drained"),
        ("/libpusher_drained", json!("1"), "drained.libpusher_drained"),
        ("/app_id", json!("2"), "drained.app_id"),
        ("/app_id", json!(1), "drained.app_id"),
        ("/app_id", Value::Null, "drained.app_id"),
        ("/events", json!({}), "drained.events"),
        ("/events", json!("x"), "drained.events"),
        ("/events/1", json!(1), "drained.events[1]"),
        ("/events/1/id", json!(0), "drained.events[1].id"),
        ("/events/1/id", json!("7"), "drained.events[1].id"),
        ("/events/1/published_ms", json!(-1), "drained.events[1].published_ms"),
        ("/events/1/name", json!(""), "drained.events[1].name"),
        ("/events/1/name", json!(["e"]), "drained.events[1].name"),
        ("/events/1/channels", json!("b"), "drained.events[1].channels"),
        ("/events/1/channels", json!([]), "drained.events[1].channels"),
        ("/events/1/channels", json!(["b", "a b"]), "drained.events[1].channels[1]"),
        ("/events/1/channels", json!([1]), "drained.events[1].channels[0]"),
        ("/events/1/channels", json!(["#server-to-user-"]), "drained.events[1].channels[0]"),
        ("/events/1/channels", json!(["b", "#server-to-user-7"]), "drained.events[1].channels[1]"),
        ("/events/1/channels", json!(vec!["b"; 101]), "drained.events[1].channels"),
        ("/events/1/data", json!({"x": 1}), "drained.events[1].data"),
        ("/events/1/data", Value::Null, "drained.events[1].data"),
        ("/events/0/channels", json!(["a", "b"]), "drained.events[0].conflate"),
        ("/events/0/conflate", json!(1), "drained.events[0].conflate"),
    ] {
        let mut bad = document.clone();
        *bad.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        refused(&bad.to_string(), argument);
    }
    for (name, value) in [
        ("colour", json!(1)),
        ("body", json!("{}")),
        ("socket_id", json!("x")),
        ("info", json!("x y")),
        ("extra", json!([])),
        ("fan_out", json!("yes")),
        ("idempotency_key", json!("a b")),
    ] {
        let mut bad = document.clone();
        bad["events"][1][name] = value;
        refused(&bad.to_string(), &format!("drained.events[1].{name}"));
    }
    for name in ["id", "published_ms", "name", "channels", "data"] {
        let mut bad = document.clone();
        bad["events"][1].as_object_mut().unwrap().remove(name);
        refused(&bad.to_string(), &format!("drained.events[1].{name}"));
    }
    let mut bad = document.clone();
    bad["colour"] = json!(1);
    refused(&bad.to_string(), "drained.colour");
    let mut bad = document.clone();
    bad["events"][0]["idempotency_key"] = json!("k");
    refused(&bad.to_string(), "drained.events[0].conflate");
    let mut bad = document.clone();
    bad["events"][1]["data"] = json!("x".repeat(10_241));
    let outcome = publisher::restore(Some(&scene.publisher), Some(bad.to_string().as_bytes()));
    outcome.is("PAYLOAD_TOO_LARGE", "not_sent").naming("drained.events[1].data");
    assert_eq!(scene.publisher.stats()["events"]["published"], 0);
    assert_eq!(scene.publisher.restore(&text).len(), 2);
    // A document without events is one.
    let mut empty = document;
    empty["events"] = json!([]);
    assert!(scene.publisher.restore(&empty.to_string()).is_empty());
}

#[test]
fn each_event_is_in_one_document_however_often_and_by_whom_it_is_drained() {
    let scene = Scene::new([], json!({"connections": 3}));
    hold_all(&scene.server, &scene.publisher);
    let stop = AtomicBool::new(false);
    let (documents, accepted) = thread::scope(|scope| {
        let publishing: Vec<_> = (0..3_usize)
            .map(|thread| {
                let (publisher, stop) = (&scene.publisher, &stop);
                scope.spawn(move || {
                    let mut ids = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        match publisher.try_publish(CHANNELS[thread + ids.len() % 9], "e", "1", None) {
                            Ok(id) => ids.push(id),
                            Err(outcome) if outcome.name() == "CLOSED" => break,
                            Err(outcome) => outcome.is("QUEUE_FULL", "not_sent").took(0).unwrap_or(()),
                        }
                    }
                    ids
                })
            })
            .collect();
        let polling = scope.spawn(|| {
            let mut reports = 0;
            while let Some(polled) = scene.publisher.poll(FOR_EVER) {
                reports += polled.reports.len() + usize::try_from(polled.lost.unwrap_or(0)).unwrap();
            }
            reports
        });
        let start = Instant::now();
        while scene.publisher.stats()["queue"]["events"].as_u64().unwrap() < 500 {
            assert!(start.elapsed() < PATIENCE);
        }
        let draining: Vec<_> = (0..3).map(|_| scope.spawn(|| scene.publisher.drain(FOR_EVER))).collect();
        let accepted: Vec<u64> = publishing.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        stop.store(true, Ordering::Relaxed);
        scene.server.release();
        let documents: Vec<String> = draining.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(polling.join().unwrap(), accepted.len() + 1);
        (documents, accepted)
    });
    let handed_out: Vec<u64> = documents.iter().flat_map(|document| ids_in(&parsed(document))).collect();
    let expected: BTreeSet<u64> = accepted.into_iter().collect();
    assert_eq!((handed_out.len(), handed_out.into_iter().collect()), (expected.len(), expected));
    // There is nothing left, and the publisher stays closed.
    assert_eq!(ids_in(&parsed(&scene.publisher.drain(FOR_EVER))), [0_u64; 0]);
    for timeout_ms in [0, FOR_EVER] {
        assert_eq!(publisher::close(Some(&scene.publisher), timeout_ms).name(), "OK");
        assert_eq!(publisher::flush(Some(&scene.publisher), timeout_ms).name(), "OK");
    }
    scene.publisher.try_publish("c", "e", "1", None).unwrap_err().is("CLOSED", "not_sent");
}

#[test]
fn an_idle_publisher_and_a_closed_one_have_an_empty_document() {
    let scene = Scene::new([], json!({}));
    let empty = json!({"libpusher_drained": 1, "app_id": APP_ID, "events": []});
    assert_eq!(parsed(&scene.publisher.drain(0)), empty);
    let scene = Scene::new([], json!({}));
    scene.publisher.publish("c", "e", "1");
    scene.publisher.close();
    assert_eq!(parsed(&scene.publisher.drain(patience_ms())), empty);
    delivered(&scene.publisher.reports(1), [1]);
}

#[test]
fn a_flush_and_a_close_end_with_a_drain() {
    let scene = Scene::new([], json!({"connections": 1}));
    hold_all(&scene.server, &scene.publisher);
    publish_numbers(&scene.publisher, 1..=20);
    thread::scope(|scope| {
        let flushing = scope.spawn(|| publisher::flush(Some(&scene.publisher), FOR_EVER));
        let text = drain_and_release(&scene.server, &scene.publisher);
        assert_eq!(ids_in(&parsed(&text)).len(), 20);
        assert_eq!(flushing.join().unwrap().name(), "OK");
    });
    let scene = Scene::new([], json!({"connections": 1}));
    hold_all(&scene.server, &scene.publisher);
    publish_numbers(&scene.publisher, 1..=20);
    thread::scope(|scope| {
        let closing = scope.spawn(|| publisher::close(Some(&scene.publisher), FOR_EVER));
        // A publisher that is closed already does not tell when a drain has begun: this one does not wait for the held request.
        let text = scene.publisher.drain(0);
        scene.server.release();
        assert_eq!(ids_in(&parsed(&text)).len(), 20);
        assert_eq!(closing.join().unwrap().name(), "OK");
    });
}

#[test]
fn a_drain_without_a_place_for_the_document_changes_nothing() {
    let scene = Scene::new([], json!({"connections": 1}));
    assert_eq!(publisher::drain_without_out(Some(&scene.publisher)), 1);
    publisher::drain(None, 0).is("INVALID_ARGUMENT", "").naming("publisher");
    let id = scene.publisher.publish("c", "e", "1");
    scene.publisher.flush();
    delivered(&scene.publisher.reports(1), [id]);
}
