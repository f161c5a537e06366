//! Every JSON type in every place of each response and of a webhook: `tests/answers.json`, which the bindings run too.
//!
//! The library checks that a 2xx is JSON, and that a webhook is an object with a time. It promises no type of anything else.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::functions::Function;
use crate::support::signature::hmac_hex;
use crate::support::{APP_ID, Answer, KEY, SECRET, Server};

/// The values that are put into each place.
const VALUES: [&str; 9] = ["null", "true", "7", "1.5", r#""text""#, "[]", "{}", "[1]", r#"{"a":{"b":[null]}}"#];

/// A call, and a response of it. Each member of the response is a place.
struct Call {
    name: &'static str,
    arguments: &'static str,
    response: &'static str,
}

const CALLS: [Call; 11] = [
    Call {
        name: "trigger",
        arguments: r#"{"channels":"c","event":"e","data":"x","options":{"info":"user_count"}}"#,
        response: r#"{"channels":{"c":{"user_count":1}},"event_ids":{"c":"id"}}"#,
    },
    Call {
        name: "trigger_batch",
        arguments: r#"{"events":[{"channel":"c","name":"e","data":"x","info":"user_count"}]}"#,
        response: r#"{"batch":[{"user_count":1}],"event_ids":["id"]}"#,
    },
    Call { name: "send_to_user", arguments: r#"{"user_id":"7","event":"e","data":"x"}"#, response: "{}" },
    Call { name: "terminate_user_connections", arguments: r#"{"user_id":"7"}"#, response: "{}" },
    Call {
        name: "channels_info",
        arguments: r#"{"prefix_filter":"presence-","attributes":["user_count"]}"#,
        response: r#"{"channels":{"presence-c":{"user_count":1}}}"#,
    },
    Call {
        name: "channel_info",
        arguments: r#"{"channel":"presence-c","attributes":["user_count","subscription_count"]}"#,
        response: r#"{"occupied":true,"user_count":1,"subscription_count":2,"cache":{"data":"x","ttl":60}}"#,
    },
    Call { name: "users_info", arguments: r#"{"channel":"presence-c"}"#, response: r#"{"users":[{"id":"7"}]}"# },
    Call { name: "get", arguments: r#"{"path":"/channels"}"#, response: "{}" },
    Call {
        name: "post",
        arguments: r#"{"path":"/events","body":{"name":"e","channel":"c","data":"x"}}"#,
        response: "{}",
    },
    Call { name: "delete", arguments: r#"{"path":"/channels/c"}"#, response: "{}" },
    Call {
        name: "publish",
        arguments: r#"{"events":[{"channels":"c","event":"e","data":"x","options":{"info":"user_count"}}]}"#,
        response: r#"{"channels":{"c":{"user_count":1}}}"#,
    },
];

/// A master key, whose value does not matter.
const MASTER_KEY_BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The time of the webhooks. Their age is not checked.
const TIME_MS: u64 = 1_700_000_000_000;

/// The paths of all values in a value, as JSON pointers, the value itself first.
fn places(value: &Value) -> Vec<String> {
    let mut all = vec![String::new()];
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(elements) => elements.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in members {
        all.extend(places(value).iter().map(|rest| format!("/{key}{rest}")));
    }
    all
}

/// Each of the values in each place of a document: a name and the document.
fn variants(document: &str) -> Vec<(String, Value)> {
    let document: Value = serde_json::from_str(document).unwrap();
    let mut all = Vec::new();
    for place in places(&document) {
        for value in VALUES {
            let mut variant = document.clone();
            *variant.pointer_mut(&place).unwrap() = serde_json::from_str(value).unwrap();
            let place = if place.is_empty() { "the body" } else { &place[1..] };
            all.push((format!("{place} is {value}"), variant));
        }
    }
    all
}

/// What a report says of the response; null for nothing.
fn answer_in(response: &Value) -> Value {
    response.pointer("/channels/c").cloned().unwrap_or_default()
}

/// The cases of the file.
fn cases() -> Vec<Value> {
    let mut all = Vec::new();
    for Call { name, arguments, response } in CALLS {
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        let mut bodies = variants(response);
        bodies.push(("there is no body".to_owned(), json!("")));
        for (what, body) in bodies {
            let is_empty = what == "there is no body";
            let text = if is_empty { String::new() } else { body.to_string() };
            let result = if is_empty { json!({}) } else { body };
            let mut case = json!({
                "name": format!("{name}: {what}"), "server": {"fault": "body", "params": {"body": text}, "times": 0},
                "call": name, "arguments": arguments, "ok": result,
            });
            if name == "publish" {
                case["ok"] = json!(1);
                case["reports"] = json!([{"status": "OK", "delivery": "delivered", "answer": answer_in(&result)}]);
            }
            all.push(case);
        }
    }
    for (what, body) in webhooks() {
        let text = body.to_string();
        let signature = hmac_hex(SECRET.as_bytes(), text.as_bytes());
        let mut case = json!({
            "name": format!("validate_webhook: {what}"), "server": null, "config": {"webhook_max_age_ms": 0},
            "call": "validate_webhook", "arguments": {"key": KEY, "signature": signature, "body": text},
        });
        match body.is_object() {
            true => case["ok"] = body,
            false => case["error"] = json!({"status": "WEBHOOK_INVALID", "argument": "body"}),
        }
        all.push(case);
    }
    // With a check of its age, a webhook needs a time.
    for value in VALUES {
        let text = format!(r#"{{"time_ms":{value},"events":[]}}"#);
        let signature = hmac_hex(SECRET.as_bytes(), text.as_bytes());
        all.push(json!({
            "name": format!("validate_webhook, whose age is checked: time_ms is {value}"), "server": null,
            "call": "validate_webhook", "arguments": {"key": KEY, "signature": signature, "body": text},
            "error": {"status": "WEBHOOK_INVALID", "argument": "body.time_ms"},
        }));
    }
    // The data of encrypted channels is decrypted, where it is ciphertext.
    for value in VALUES {
        let event =
            format!(r#"{{"name":"client_event","channel":"private-encrypted-c","event":"client-e","data":{value}}}"#);
        let text = format!(r#"{{"time_ms":{TIME_MS},"events":[{event}]}}"#);
        let signature = hmac_hex(SECRET.as_bytes(), text.as_bytes());
        let mut result: Value = serde_json::from_str(&text).unwrap();
        let is_object = value.starts_with('{');
        let why = if is_object { "the nonce is not 24 bytes in base64" } else { "the data is not a JSON object" };
        result["events"][0]["decryption_error"] = json!(why);
        all.push(json!({
            "name": format!("validate_webhook, encrypted: data is {value}"), "server": null,
            "config": {"webhook_max_age_ms": 0, "encryption_master_key_base64": MASTER_KEY_BASE64},
            "call": "validate_webhook", "arguments": {"key": KEY, "signature": signature, "body": text}, "ok": result,
        }));
    }
    all
}

/// Webhooks, authentic ones.
fn webhooks() -> Vec<(String, Value)> {
    let event = r#"{"name":"client_event","channel":"presence-c","event":"client-e","data":"{}","socket_id":"1.2","user_id":"7"}"#;
    let mut all = variants(&format!(r#"{{"time_ms":{TIME_MS},"events":[{event}]}}"#));
    for missing in ["time_ms", "events"] {
        let mut body = json!({"time_ms": TIME_MS, "events": []});
        body.as_object_mut().unwrap().remove(missing);
        all.push((format!("{missing} is missing"), body));
    }
    for missing in ["name", "channel", "event", "data", "socket_id", "user_id"] {
        let mut event: Value = serde_json::from_str(event).unwrap();
        event.as_object_mut().unwrap().remove(missing);
        all.push((format!("{missing} is missing"), json!({"time_ms": TIME_MS, "events": [event]})));
    }
    all
}

/// The file that the cases make up.
fn file() -> String {
    let about = [
        "Every JSON type in every place of each response with 2xx, and of an authentic webhook. PUSHER_WRITE_ANSWERS=1 cargo test --test abi answers writes this file.",
        "The cases have the form of conformance.json, and all bindings run them in the same way: tests/README.md says what a binding with types of its own may do.",
    ];
    let mut text = format!("{{\n  \"about\": [\n    {},\n    {}\n  ],\n", json!(about[0]), json!(about[1]));
    text +=
        &format!("  \"credentials\": {},\n  \"cases\": [\n", json!({"app_id": APP_ID, "key": KEY, "secret": SECRET}));
    let cases: Vec<String> = cases().iter().map(|case| format!("    {case}")).collect();
    text + &cases.join(",\n") + "\n  ]\n}\n"
}

#[test]
fn the_file_has_every_type_in_every_place() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers.json");
    let file = file();
    if std::env::var_os("PUSHER_WRITE_ANSWERS").is_some() {
        std::fs::write(&path, &file).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == file,
        "run PUSHER_WRITE_ANSWERS=1 cargo test --test abi answers"
    );
}

#[test]
fn a_response_of_any_json_is_a_success_and_is_returned_unchanged() {
    let server = Server::start([]);
    for Call { name, response, .. } in CALLS.into_iter().filter(|call| call.name != "publish") {
        let function = Function::named(name);
        for (what, body) in variants(response) {
            // With white space, which stays.
            let text = format!(" {body}\n");
            let before = server.ledger().len();
            server.next(Answer::ok(&text));
            let outcome = function.call(Some(&server.client()), &function.good());
            outcome.is_ok(&text);
            assert_eq!(server.ledger().len(), before + 1, "{name}: {what}");
        }
    }
}
