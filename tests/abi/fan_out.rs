//! Fan-out: an event on more channels than one request takes, or on encrypted and other channels.

use crate::support::fan_out::{FAULTS, names};
use crate::support::hooks::{Without, prepare};
use crate::support::secretbox;
use crate::support::server::Received;
use crate::support::{Answer, Client, End, MASTER_KEY, Outcome, Server, calls, config};
use serde_json::{Value, json};

/// Triggers an event on these channels, with more options.
#[track_caller]
fn fan_out(client: &Client, channels: &[impl AsRef<str>], more: Value) -> Outcome {
    let mut options = json!({"fan_out": true});
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    trigger(client, channels, options)
}

#[track_caller]
fn trigger(client: &Client, channels: &[impl AsRef<str>], options: Value) -> Outcome {
    let names: Vec<&str> = channels.iter().map(AsRef::as_ref).collect();
    client.call_with("trigger", &[&json!(names).to_string(), "e", r#"{"a":1}"#, &options.to_string()])
}

fn channels(received: &Received) -> Vec<String> {
    serde_json::from_value(received.json()["channels"].clone()).unwrap()
}

fn never(more: Value) -> Value {
    let mut config = json!({"retry": {"mode": "never"}});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

#[test]
fn each_part_says_how_it_ended_after_a_fault_in_the_middle() {
    for fault in FAULTS {
        let server = fault.server();
        let client = server.client_with(never(json!({"timeout_ms": fault.timeout_ms()})));
        let outcome = fan_out(&client, &names(), json!({}));
        outcome.is("PARTIAL", "unknown");
        let error = outcome.error();
        assert_eq!((outcome.status, &error["retryable"]), (48, &json!(false)), "{}", fault.name);
        assert_eq!(outcome.number("attempts"), Some(fault.attempts()), "{}", fault.name);
        fault.check(&error["parts"], &server.ledger());
    }
}

#[test]
fn a_fan_out_sends_its_parts_in_the_order_of_the_list_on_one_connection() {
    let server = Server::start([]);
    fan_out(&server.client(), &names(), json!({"socket_id": "1.2"})).is_ok("{}");
    let ledger = server.ledger();
    assert_eq!(ledger.iter().flat_map(channels).collect::<Vec<_>>(), names());
    assert!(ledger.iter().all(|received| channels(received).len() == 100), "{ledger:?}");
    for received in &ledger {
        let body = received.json();
        assert_eq!(
            (&body["name"], &body["data"], &body["socket_id"]),
            (&json!("e"), &json!("{\"a\":1}"), &json!("1.2"))
        );
    }
    let signatures: std::collections::HashSet<_> = ledger.iter().map(Received::signature).collect();
    assert_eq!((ledger.len(), signatures.len(), server.connections()), (10, 10, 1));
}

#[test]
fn a_fan_out_that_needs_one_request_is_that_request() {
    let server = Server::start([]);
    let client = server.client_with(json!({
        "encryption_master_key_base64": calls::base64(MASTER_KEY.as_bytes()),
    }));
    for channels in [vec!["a"], vec!["a", "b"], vec!["a", "a"]] {
        trigger(&client, &channels, json!({})).is_ok("{}");
        fan_out(&client, &channels, json!({})).is_ok("{}");
        let ledger = server.ledger();
        let [.., plain, fanned] = &ledger[..] else { panic!("{ledger:?}") };
        assert_eq!(plain.body, fanned.body);
    }
    fan_out(&client, &["private-encrypted-a"], json!({})).is_ok("{}");
    assert_eq!(server.ledger().len(), 7);
    server.next(Answer::new(503, &[], "no"));
    let outcome = fan_out(&client, &["a", "b"], json!({}));
    outcome.is("SERVER_ERROR", "unknown");
    assert!(!outcome.error().contains_key("parts"));
}

#[test]
fn encrypted_channels_have_a_request_each_and_the_others_share_theirs() {
    let server = Server::start([]);
    let key = calls::base64(MASTER_KEY.as_bytes());
    let client = server.client_with(json!({"encryption_master_key_base64": key, "max_channels": 2}));
    let (x, y) = ("private-encrypted-x", "private-encrypted-y");
    fan_out(&client, &["a", x, "b", "c", y], json!({})).is_ok("{}");
    let ledger = server.ledger();
    let sent: Vec<_> = ledger.iter().map(channels).collect();
    assert_eq!(sent, [vec!["a", "b"], vec![x], vec!["c"], vec![y]]);
    for received in &ledger {
        let body = received.json();
        let (data, channel) = (body["data"].as_str().unwrap(), body["channels"][0].as_str().unwrap());
        let plain = match channel.starts_with("private-encrypted-") {
            true => secretbox::decrypted(channel, MASTER_KEY.as_bytes(), data).unwrap(),
            false => data.to_owned(),
        };
        assert_eq!(plain, r#"{"a":1}"#);
    }
    // Nothing is sent without a key.
    let outcome = fan_out(&server.client(), &["a", x], json!({}));
    outcome.is("ENCRYPTION", "not_sent");
    // Or if the data is too large once it is encrypted.
    let data = json!("x".repeat(8000)).to_string();
    let large = |channels: &str| client.call_with("trigger", &[channels, "e", &data, r#"{"fan_out":true}"#]);
    large(&json!(["a", x]).to_string()).is("PAYLOAD_TOO_LARGE", "not_sent").naming("data");
    assert_eq!(server.ledger().len(), 4);
    large(&json!(["a", "b", "c"]).to_string()).is_ok("{}");
}

#[test]
fn without_the_option_the_error_names_it() {
    let client = Client::new(&config(1, json!({})));
    for options in [json!({}), json!({"fan_out": false})] {
        let many: Vec<String> = names().into_iter().take(101).collect();
        let outcome = trigger(&client, &many, options.clone());
        outcome.is("INVALID_ARGUMENT", "not_sent").naming("channels");
        assert!(outcome.text("message").contains("option fan_out"), "{outcome:?}");
        let outcome = trigger(&client, &["a", "private-encrypted-x"], options);
        outcome.is("INVALID_ARGUMENT", "not_sent").naming("channels[1]");
        assert!(outcome.text("message").contains("option fan_out"), "{outcome:?}");
    }
}

#[test]
fn a_fan_out_has_up_to_10_000_channels_each_once() {
    let server = Server::start([]);
    let client = server.client();
    let many = |count: usize| (0..count).map(|number| format!("c{number}")).collect::<Vec<_>>();
    fan_out(&client, &many(10_000), json!({})).is_ok("{}");
    assert_eq!(server.ledger().len(), 100);
    fan_out(&client, &many(10_001), json!({})).is("INVALID_ARGUMENT", "not_sent").naming("channels");
    let mut twice = many(150);
    twice[149] = "c7".to_owned();
    fan_out(&client, &twice, json!({})).is("INVALID_ARGUMENT", "not_sent").naming("channels[149]");
    twice[149] = "c 7".to_owned();
    fan_out(&client, &twice, json!({})).is("INVALID_ARGUMENT", "not_sent").naming("channels[149]");
    assert_eq!(server.ledger().len(), 100);
}

#[test]
fn attributes_of_all_parts_are_merged() {
    let respond = |received: &Received| {
        let counts = channels(received).into_iter().map(|name| (name, json!({"user_count": 1})));
        Answer::ok(&json!({"channels": Value::Object(counts.collect()), "other": 1}).to_string())
    };
    let server = Server::builder().answering(respond).start();
    let client = server.client();
    let outcome = fan_out(&client, &names(), json!({"info": "user_count"}));
    let all: serde_json::Map<_, _> = names().into_iter().map(|name| (name, json!({"user_count": 1}))).collect();
    let merged: Value = serde_json::from_str(outcome.document.as_deref().unwrap()).unwrap();
    assert_eq!((outcome.name(), merged), ("OK", json!({"channels": all})));
    fan_out(&client, &names(), json!({})).is_ok("{}");
    // The limit of a response is that of all parts together: a part beyond it may have been delivered.
    let client = server.client_with(json!({"max_response_bytes": 15_000}));
    let outcome = fan_out(&client, &names(), json!({"info": "user_count"}));
    outcome.is("PARTIAL", "unknown");
    let parts = outcome.error()["parts"].as_array().unwrap().clone();
    let said: Vec<_> = parts.iter().map(|part| part["status"].as_str().unwrap()).collect();
    assert_eq!(said, [["OK"; 4].as_slice(), &["BAD_RESPONSE"; 6]].concat(), "{outcome:?}");
}

#[test]
fn parts_that_agree_are_one_failure() {
    let server = Server::builder().answering(|_| Answer::new(503, &[], "no")).start();
    let outcome = fan_out(&server.client(), &names(), json!({}));
    outcome.is("SERVER_ERROR", "unknown");
    assert_eq!((outcome.number("attempts"), outcome.number("http_status")), (Some(10), Some(503)));
    assert!(!outcome.error().contains_key("parts"));

    // A refusal of the first part is one of the whole event: nothing was delivered.
    let server = Server::builder().answering(|_| Answer::new(401, &[], "no")).start();
    let outcome = fan_out(&server.client(), &names(), json!({}));
    outcome.is("UNAUTHORIZED", "rejected");
    assert_eq!((outcome.number("attempts"), server.ledger().len()), (Some(1), 1));

    let client = Client::new(&config(1, never(json!({}))));
    let outcome = fan_out(&client, &names(), json!({}));
    outcome.is("NOT_SENT", "not_sent").because("connect");
    assert_eq!((outcome.number("attempts"), &outcome.error()["retryable"]), (Some(10), &json!(true)));

    // The first part had no response in time.
    let server = Server::start([Answer::nothing()]);
    let outcome = fan_out(&server.client(), &names(), json!({"timeout_ms": 200}));
    outcome.is("PARTIAL", "unknown");
    let parts = outcome.error()["parts"].clone();
    assert_eq!((&parts[0]["delivery"], &parts[9]["delivery"]), (&json!("unknown"), &json!("not_sent")));
}

#[test]
fn each_part_has_the_retries_of_a_call() {
    let busy = || Answer::new(429, &[("Retry-After", "0")], "busy");
    let server =
        Server::start([Answer::ok("{}"), busy(), busy(), Answer::ok("{}"), busy(), Answer::new(503, &[], "no")]);
    let client = server.client_with(json!({"retry": {"mode": "safe"}}));
    let outcome = fan_out(&client, &names()[..400], json!({}));
    outcome.is("PARTIAL", "unknown");
    // 1 for the first part, 3 for the second, 2 for the third, 1 for the last.
    assert_eq!(outcome.number("attempts"), Some(7));
    let parts = outcome.error()["parts"].as_array().unwrap().clone();
    let said: Vec<_> = parts.iter().map(|part| part["status"].as_str().unwrap()).collect();
    assert_eq!(said, ["OK", "OK", "SERVER_ERROR", "OK"]);
}

#[test]
fn a_partial_fan_out_is_logged_without_its_parts() {
    let server = Server::start([Answer::ok("{}"), Answer::new(503, &[], "no")]);
    let client = server.client();
    let (messages, _drops) = client.log();
    fan_out(&client, &names(), json!({})).is("PARTIAL", "unknown");
    let [logged] = &messages.take()[..] else { panic!("one message") };
    assert!(logged.message.starts_with("9 of 10 requests"), "{logged:?}");
    let fields: Value = serde_json::from_str(&logged.fields).unwrap();
    assert_eq!((&fields["status"], &fields["attempts"]), (&json!("PARTIAL"), &json!(10)));
    assert_eq!((&fields["delivery"], fields.get("parts")), (&json!("unknown"), None));
}

#[test]
fn a_fan_out_ends_at_its_deadline() {
    let server = Server::start([Answer::ok("{}"), Answer::ok("{}"), Answer::nothing()]);
    let outcome = fan_out(&server.client(), &names(), json!({"timeout_ms": 300}));
    outcome.is("PARTIAL", "unknown");
    assert!(outcome.elapsed.as_millis() < 2000, "{outcome:?}");
    assert_eq!(server.ledger().len(), 3);
}

#[test]
fn a_part_that_is_too_large_for_a_request_is_refused_before_any_is_sent() {
    let server = Server::start([]);
    let client = server.client_with(json!({"max_request_bytes": 1500}));
    fan_out(&client, &names(), json!({})).is("PAYLOAD_TOO_LARGE", "not_sent").naming("data");
    assert_eq!(server.ledger().len(), 0);
    let client = server.client_with(json!({"max_request_bytes": 1500, "max_channels": 50}));
    fan_out(&client, &names(), json!({})).is_ok("{}");
    assert_eq!(server.ledger().len(), 20);
}

#[test]
fn only_events_on_channels_fan_out() {
    let client = Client::new(&config(1, json!({})));
    let options = r#"{"fan_out":true}"#;
    client
        .call_with("send_to_user", &["7", "e", "1", options])
        .is("INVALID_ARGUMENT", "not_sent")
        .naming("options.fan_out");
    client
        .call_with("trigger_batch", &[r#"[{"channel":"a","name":"e","data":1}]"#, options])
        .is("INVALID_ARGUMENT", "not_sent")
        .naming("options.fan_out");
    trigger(&client, &["a"], json!({"fan_out": 1})).is("INVALID_ARGUMENT", "not_sent").naming("options.fan_out");
}

#[test]
fn prepare_refuses_a_fan_out_that_needs_several_requests() {
    let client = Client::new(&config(1, json!({})));
    let prepared = |names: &[String]| {
        let texts = [json!(names).to_string(), "e".to_owned(), "1".to_owned(), r#"{"fan_out":true}"#.to_owned()];
        let texts: Vec<_> = texts.iter().map(|text| Some(text.as_bytes())).collect();
        prepare(Some(&client), Some(b"trigger"), &texts, Without::default())
    };
    assert!(prepared(&names()[..100]).is_ok());
    let outcome = prepared(&names()[..101]).unwrap_err();
    outcome.is("INVALID_ARGUMENT", "not_sent").naming("options.fan_out");
    assert!(outcome.text("message").contains("2 requests"), "{outcome:?}");
}

#[test]
fn a_fan_out_uses_the_transport() {
    let client = Client::new(&config(1, never(json!({}))));
    let count = std::sync::atomic::AtomicUsize::new(0);
    let _drops = client.send_by(move |_, reply| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        1 => drop(reply.fail(1, Some(b"connect"), None)),
        _ => drop(reply.set(200, b"{}")),
    });
    let outcome = fan_out(&client, &names()[..300], json!({}));
    outcome.is("PARTIAL", "unknown");
    let parts = outcome.error()["parts"].as_array().unwrap().clone();
    let said: Vec<_> = parts.iter().map(|part| part["delivery"].as_str().unwrap()).collect();
    assert_eq!(said, ["delivered", "not_sent", "delivered"]);
}

#[test]
fn a_connection_that_closes_between_parts_is_replaced() {
    let server = Server::start([(); 2].map(|()| Answer::new(200, &[("Connection", "close")], "{}").then(End::Close)));
    fan_out(&server.client(), &names()[..300], json!({})).is_ok("{}");
    assert_eq!(server.ledger().len(), 3);
}

#[test]
fn each_part_has_a_key_of_its_own_that_its_retries_and_another_call_repeat() {
    let key = |received: &Received| received.header("x-idempotency-key").pop();
    let server = Server::start([Answer::new(429, &[("Retry-After", "0")], "busy")]);
    let client = server.client_with(json!({"retry": {"mode": "safe"}}));
    for _ in 0..2 {
        fan_out(&client, &names()[..300], json!({"idempotency_key": "mine"})).is_ok("{}");
    }
    let keys: Vec<_> = server.ledger().iter().map(|received| key(received).expect("a key")).collect();
    assert_eq!((&keys[0], keys.len()), (&keys[1], 7));
    assert_eq!(keys[1..4], keys[4..7]);
    assert!(keys.iter().all(|key| key.starts_with("mine-")) && keys[1] != keys[2] && keys[2] != keys[3], "{keys:?}");
    let server = Server::start([]);
    fan_out(&server.client(), &names()[..200], json!({})).is_ok("{}");
    assert!(server.ledger().iter().all(|received| key(received).is_none()));
}
