//! Batches: which events share a request, when it is sent, and its body.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::publisher::{Event, Publisher, data_of, events_of, publish};
use crate::support::server::Received;
use crate::support::{Answer, MASTER_KEY, Server, calls, in_time, secretbox};
use crate::{Scene, delivered, reporting_all};

/// The largest allowed value. A test that waits this long fails by its timeout.
const LONGEST_LINGER: u64 = 60_000;

/// Returns the number of events in each request.
fn sizes(ledger: &[Received]) -> Vec<usize> {
    ledger.iter().map(|request| events_of(request).len()).collect()
}

#[test]
fn a_single_event_does_not_linger() {
    let scene = Scene::new([], json!({"linger_ms": LONGEST_LINGER}));
    for id in 1..=3 {
        assert_eq!(scene.publisher.publish("my-channel", "my-event", r#"{"a": "é"}"#), id);
        delivered(&[scene.publisher.report()], [id]);
    }
    for request in scene.server.ledger() {
        assert_eq!((request.method(), request.path()), ("POST", "/apps/4711/events"));
        assert_eq!(request.text(), r#"{"name":"my-event","channels":["my-channel"],"data":"{\"a\": \"é\"}"}"#);
    }
    // All requests reuse the idle connection.
    assert_eq!(scene.server.connections(), 1);
}

#[test]
fn events_published_while_a_request_is_in_flight_share_a_batch() {
    let scene = Scene::new([], json!({"connections": 1}));
    scene.hold("a");
    scene.publisher.publish("a", "one", "1");
    scene.publisher.publish_with("b", "two", r#""text""#, &json!({"socket_id": "1.2", "extra": {"tags": {}}}));
    scene.publisher.publish("a", "three", "[ 3 ]");
    scene.server.release();
    delivered(&scene.publisher.reports(4), 1..=4);
    let batch = scene.server.last();
    assert_eq!((batch.method(), batch.path()), ("POST", "/apps/4711/batch_events"));
    assert_eq!(
        batch.text(),
        concat!(
            r#"{"batch":[{"channel":"a","name":"one","data":"1"},"#,
            r#"{"channel":"b","name":"two","data":"text","socket_id":"1.2","tags":{}},"#,
            r#"{"channel":"a","name":"three","data":"[ 3 ]"}]}"#
        )
    );
    assert_eq!(scene.server.connections(), 1);
}

#[test]
fn a_batch_is_sent_as_soon_as_it_is_full() {
    for most in [1, 2, 7, 10] {
        let more = json!({"connections": 1, "max_batch_events": most, "linger_ms": LONGEST_LINGER});
        let scene = Scene::new([], more);
        scene.hold("c");
        for number in 0..3 * most {
            scene.publisher.publish("c", "e", &number.to_string());
        }
        scene.server.release();
        delivered(&scene.publisher.reports(1 + 3 * most), 1..=1 + 3 * most as u64);
        assert_eq!(sizes(&scene.server.ledger()), [1, most, most, most]);
    }
}

#[test]
fn a_lingering_batch_is_sent_once_it_is_full() {
    let scene = Scene::new([], json!({"connections": 1, "linger_ms": LONGEST_LINGER, "max_batch_events": 4}));
    scene.hold("c");
    scene.publisher.publish("c", "e", "1");
    scene.publisher.publish("c", "e", "2");
    scene.server.release();
    delivered(&[scene.publisher.report()], [1]);
    // The two other events linger.
    assert!(scene.publisher.poll(50).is_none());
    scene.publisher.publish("c", "e", "3");
    scene.publisher.publish("c", "e", "4");
    delivered(&scene.publisher.reports(4), 2..=5);
    assert_eq!(sizes(&scene.server.ledger()), [1, 4]);
}

#[test]
fn the_oldest_event_of_a_batch_waits_for_linger_ms_and_no_longer() {
    const LINGER: Duration = Duration::from_millis(300);
    in_time(|| {
        let scene = Scene::new([], json!({"connections": 1, "linger_ms": 300}));
        scene.hold("c");
        let published = Instant::now();
        scene.publisher.publish("c", "e", "1");
        scene.publisher.publish("c", "e", "2");
        scene.server.release();
        scene.wait_for_requests(2);
        let waited = published.elapsed();
        scene.publisher.flush();
        assert_eq!(sizes(&scene.server.ledger()), [1, 2]);
        assert!(waited >= LINGER - Duration::from_millis(5), "{waited:?}");
        let late = waited > LINGER + Duration::from_millis(150);
        if late { Err(format!("{waited:?}")) } else { Ok(()) }
    });
    // The time that an event waits for an earlier request counts as lingering.
    in_time(|| {
        let scene = Scene::new([], json!({"connections": 1, "linger_ms": 300}));
        scene.hold("c");
        scene.publisher.publish("c", "e", "1");
        scene.publisher.publish("c", "e", "2");
        assert!(scene.publisher.poll(400).is_none());
        let released = Instant::now();
        scene.server.release();
        scene.wait_for_requests(2);
        let waited = released.elapsed();
        let late = waited > Duration::from_millis(150);
        if late { Err(format!("{waited:?}")) } else { Ok(()) }
    });
}

#[test]
fn nothing_lingers_during_a_flush_or_a_close() {
    for close in [false, true] {
        let scene = Scene::new([], json!({"connections": 1, "linger_ms": LONGEST_LINGER}));
        scene.hold("c");
        scene.publisher.publish("c", "e", "1");
        scene.publisher.publish("c", "e", "2");
        scene.server.release();
        delivered(&[scene.publisher.report()], [1]);
        assert!(scene.publisher.poll(50).is_none());
        if close {
            scene.publisher.close()
        } else {
            scene.publisher.flush()
        }
        delivered(&scene.publisher.reports(2), [2, 3]);
        assert_eq!(sizes(&scene.server.ledger()), [1, 2]);
    }
}

#[test]
fn a_batch_is_at_most_max_batch_bytes_long() {
    const MOST: usize = 4000;
    let more = json!({"connections": 1, "max_batch_bytes": MOST, "linger_ms": LONGEST_LINGER});
    let scene = Scene::new([], more);
    scene.hold("c");
    let payload = json!("x".repeat(1000)).to_string();
    for _ in 0..12 {
        scene.publisher.publish("c", "e", &payload);
    }
    // An event that exceeds the limit alone is sent alone.
    let huge = scene.publisher.publish("c", "e", &json!("y".repeat(9000)).to_string());
    assert_eq!(huge, 14);
    scene.publisher.publish("c", "e", &payload);
    scene.server.release();
    scene.publisher.flush();
    delivered(&scene.publisher.reports(15), 1..=15);
    let ledger = scene.server.ledger();
    let (alone, others): (Vec<_>, Vec<_>) = ledger[1..].iter().partition(|request| request.text().contains("yyyy"));
    assert_eq!((alone.len(), events_of(alone[0]).len()), (1, 1));
    for request in &others {
        assert!(request.body.len() <= MOST, "{}", request.body.len());
    }
    // Within the limit, events still share requests.
    assert!(others.len() <= 6, "{:?}", sizes(&ledger));
}

#[test]
fn an_event_for_several_channels_is_sent_as_a_trigger() {
    for connections in [1, 2, 64] {
        let scene = Scene::new([], json!({"connections": connections}));
        let names: Vec<String> = (0..4).map(|number| format!("c{number}")).collect();
        for name in &names {
            scene.publisher.publish(name, "before", "1");
        }
        for several in [json!(names), json!(["c0", "c1"]), json!(["c0", "c0"]), json!(["c2"])] {
            scene.publisher.publish(&several.to_string(), "several", "2");
            for name in &names {
                scene.publisher.publish(name, "between", "3");
            }
        }
        scene.publisher.flush();
        let count = 4 + 4 * 5;
        let ids: BTreeSet<u64> = scene.publisher.reports(count).iter().map(|report| report.id).collect();
        assert_eq!(ids, (1..=count as u64).collect());
        let mut several = Vec::new();
        for request in scene.server.ledger() {
            let events = events_of(&request);
            if events.iter().any(|event| event.channels.len() > 1) {
                assert_eq!(request.path(), "/apps/4711/events", "{connections}");
                several.push(events[0].channels.clone());
            }
        }
        let expected = [names.clone(), vec!["c0".to_owned(), "c1".to_owned()], vec!["c0".to_owned(), "c0".to_owned()]];
        assert_eq!(several, expected, "{connections}");
    }
}

#[test]
fn an_event_for_several_channels_of_one_connection_stays_out_of_batches() {
    let scene = Scene::new([], json!({"connections": 1, "linger_ms": LONGEST_LINGER}));
    scene.hold("a");
    scene.publisher.publish("a", "before", "1");
    scene.publisher.publish(r#"["a","b"]"#, "several", "2");
    scene.publisher.publish("b", "after", "3");
    scene.server.release();
    scene.publisher.flush();
    assert_eq!(data_of(&scene.server.ledger()), [["0"], ["1"], ["2"], ["3"]]);
    assert_eq!(scene.server.ledger()[2].text(), r#"{"name":"several","channels":["a","b"],"data":"2"}"#);
}

#[test]
fn reports_contain_the_requested_info() {
    // The response to a batch lists its events by position.
    let answer = r#"{"batch":[{"user_count":1},{},{"subscription_count": 3,"x":[null]}]}"#;
    let scene = Scene::new([], json!({"connections": 1}));
    scene.hold("a");
    scene.server.next(Answer::ok(answer));
    let info = |attribute: &str| json!({"info": attribute});
    scene.publisher.publish_with("presence-a", "e", "1", &info("user_count"));
    scene.publisher.publish("b", "e", "2");
    scene.publisher.publish_with("c", "e", "3", &info("subscription_count"));
    scene.server.release();
    let reports = scene.publisher.reports(4);
    delivered(&reports, 1..=4);
    let answers: Vec<Option<&Value>> = reports.iter().map(|report| report.members.get("answer")).collect();
    let [first, last] = [json!({"user_count": 1}), json!({"subscription_count": 3, "x": [null]})];
    assert_eq!(answers, [None, Some(&first), None, Some(&last)]);
    let infos: Vec<Option<String>> = events_of(&scene.server.last()).into_iter().map(|event| event.info).collect();
    assert_eq!(infos, [Some("user_count".to_owned()), None, Some("subscription_count".to_owned())]);
    // A 200 response counts as delivered, whatever info it contains.
    for answer in
        ["{}", r#"{"batch":[]}"#, r#"{"batch":[{"user_count":1}]}"#, r#"{"batch":{"a":1}}"#, r#"{"batch":[1,2]}"#]
    {
        scene.hold("a");
        scene.server.next(Answer::ok(answer));
        for _ in 0..2 {
            scene.publisher.publish_with("presence-a", "e", "1", &info("user_count"));
        }
        scene.server.release();
        let reports = scene.publisher.reports(3);
        assert!(reports.iter().all(|report| report.delivery == "delivered"), "{answer}: {reports:?}");
    }
}

/// It must not cost the other reports of the document.
#[test]
fn an_answer_that_some_parsers_refuse_is_a_string() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let scene = Scene::new([], json!({"connections": 1}));
    let answer_to = |answer: &str| {
        scene.server.next(Answer::ok(&format!(r#"{{"channels":{{"c":{answer}}}}}"#)));
        scene.publisher.publish_with("c", "e", "1", &json!({"info": "user_count"}));
        scene.publisher.report().members["answer"].clone()
    };
    for refused in [
        r#""\ud800""#,
        r#"{"a\udfff":1}"#,
        r#"["\uD800x","\ude00"]"#,
        r#""\ud83d\u0041""#,
        r#""\ud83d\n""#,
        r#""\ude00\ud83d""#,
        r#""\ud83d\ud83d\ude00""#,
        &nested(65),
    ] {
        assert_eq!(answer_to(refused), json!(refused));
    }
    let many = format!("[{}]", ["[\"[[{\\\"\"]"; 100].join(","));
    for taken in
        [r#""\ud83d\ude00\uD83D\uDE00""#, r#"{"\\ud800":"\\\\ud800","b":"\"\ud7ff\ue000"}"#, &nested(64), &many]
    {
        let plain: Value = serde_json::from_str(taken).unwrap();
        assert_eq!(answer_to(taken), plain, "{taken}");
    }
}

#[test]
fn requested_info_looks_the_same_alone_and_in_a_batch() {
    // Real servers list the info of a trigger by channel, and that of a batch by position.
    let answering = |request: &Received| {
        let count = json!({"subscription_count": 7});
        let answer = match events_of(request).as_slice() {
            [event] => {
                let by_channel: BTreeMap<&str, &Value> =
                    event.channels.iter().map(|channel| (channel.as_str(), &count)).collect();
                json!({"channels": by_channel})
            }
            events => json!({"batch": vec![count; events.len()]}),
        };
        Answer::ok(&answer.to_string())
    };
    let scene = Scene::on(Server::builder().answering(answering).start(), json!({}), json!({"connections": 1}));
    let info = json!({"info": "subscription_count"});
    for _ in 0..20 {
        scene.publisher.publish_with("c", "e", "1", &info);
    }
    scene.publisher.flush();
    assert!(sizes(&scene.server.ledger()).iter().any(|size| *size > 1));
    scene.publisher.publish_with("c", "e", "1", &info);
    for report in scene.publisher.reports(21) {
        assert_eq!(report.members["answer"], json!({"subscription_count": 7}));
    }
    scene.publisher.publish_with(r#"["b","a"]"#, "e", "1", &info);
    let of_both = json!({"a": {"subscription_count": 7}, "b": {"subscription_count": 7}});
    assert_eq!(scene.publisher.report().members["answer"], of_both);
}

#[test]
fn null_channels_and_a_user_id_address_a_user() {
    let scene = Scene::new([], json!({}));
    let options = json!({"user_id": "user-7", "info": "user_count"}).to_string();
    let texts: [Option<&[u8]>; 4] = [None, Some(b"e"), Some(b"{}"), Some(options.as_bytes())];
    assert_eq!(publish(Some(&scene.publisher), texts).unwrap(), 1);
    scene.publisher.flush();
    let expected = Event {
        channels: vec!["#server-to-user-user-7".to_owned()],
        name: "e".to_owned(),
        data: "{}".to_owned(),
        socket_id: None,
        info: Some("user_count".to_owned()),
    };
    assert_eq!(events_of(&scene.server.only()), [expected]);
    // pusher_send_to_user() sends the same request.
    scene.client.call("send_to_user", &[Some("user-7"), Some("e"), Some("{}"), Some(r#"{"info":"user_count"}"#)]);
    let ledger = scene.server.ledger();
    assert_eq!((ledger[0].path(), ledger[0].json()), (ledger[1].path(), ledger[1].json()));
    // The user's channel cannot be named directly.
    let outcome = scene.publisher.try_publish("#server-to-user-user-7", "e", "{}", None).unwrap_err();
    outcome.is("INVALID_ARGUMENT", "not_sent").naming("channels");
}

#[test]
fn each_event_of_an_encrypted_channel_is_encrypted_separately() {
    const CHANNEL: &str = "private-encrypted-c";
    let server = Server::start([]);
    let client = server.client_with(json!({"encryption_master_key_base64": calls::base64(MASTER_KEY.as_bytes())}));
    let publisher = Publisher::new(&client, &reporting_all(json!({"connections": 1})));
    let data = r#"{"position":[1,2]}"#;
    for _ in 0..30 {
        publisher.publish(CHANNEL, "e", data);
        publisher.publish("c", "e", data);
    }
    publisher.flush();
    delivered(&publisher.reports(60), 1..=60);
    let events: Vec<Event> = server.ledger().iter().flat_map(events_of).collect();
    let (encrypted, plain): (Vec<_>, Vec<_>) = events.into_iter().partition(|event| event.channels == [CHANNEL]);
    assert_eq!((encrypted.len(), plain.len()), (30, 30));
    assert!(plain.iter().all(|event| event.data == data));
    let ciphers: BTreeSet<&str> = encrypted.iter().map(|event| event.data.as_str()).collect();
    assert_eq!(ciphers.len(), 30);
    for event in &encrypted {
        assert!(!event.data.contains("position"));
        let plain = secretbox::decrypted(CHANNEL, MASTER_KEY.as_bytes(), &event.data);
        assert_eq!(plain.as_deref(), Some(data));
        assert_eq!(secretbox::decrypted("private-encrypted-d", MASTER_KEY.as_bytes(), &event.data), None);
    }
}
