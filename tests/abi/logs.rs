//! The log callback: it receives the messages of its level, on the calling thread, and no secret.

use std::thread;

use crate::support::functions::{Function, Purpose};
use crate::support::hooks::{Logged, Messages};
use crate::support::{Answer, Client, End, KEY, Server, calls, config};
use serde_json::{Value, json};

const WARN: i32 = 2;
const DEBUG: i32 = 4;

/// Returns what was logged, after the checks that apply to every message.
#[track_caller]
fn logged(messages: &Messages) -> Vec<(i32, Value)> {
    let check = |logged: Logged| {
        let Logged { level, message, fields, .. } = logged;
        assert!((1..=4).contains(&level), "{level}");
        assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
        assert_eq!((calls::leak(&message), calls::leak(&fields)), (None, None), "{message} {fields}");
        let fields: Value = serde_json::from_str(&fields).unwrap_or_else(|error| panic!("{error}: {fields}"));
        assert!(fields.is_object(), "{fields}");
        (level, fields)
    };
    messages.take().into_iter().map(check).collect()
}

/// A client of this server with a log of this level.
fn client(server: &Server, level: Option<&str>) -> (Client, Messages) {
    let client = server.client_with(level.map_or(json!({}), |level| json!({"log_level": level})));
    let (messages, _) = client.log();
    (client, messages)
}

#[test]
fn each_log_level_includes_the_documented_messages() {
    let server = Server::start([]);
    for (level, successes, failures) in [
        (None, false, true),
        (Some("error"), false, false),
        (Some("warn"), false, true),
        (Some("info"), false, true),
        (Some("debug"), true, true),
    ] {
        let (client, messages) = client(&server, level);
        for function in Function::network() {
            function.call(Some(&client), &function.good()).is_ok("{}");
            let entries = logged(&messages);
            assert_eq!(entries.iter().any(|(level, _)| *level == DEBUG), successes, "{level:?}: {entries:?}");
            assert!(
                entries.iter().all(|(level, fields)| *level == DEBUG && fields["call"] == function.name),
                "{entries:?}"
            );
            server.next(Answer::new(500, &[], "no"));
            function.call(Some(&client), &function.good());
            let entries = logged(&messages);
            assert_eq!(entries.iter().any(|(level, _)| *level == WARN), failures, "{level:?}: {entries:?}");
            if let Some((_, fields)) = entries.iter().find(|(level, _)| *level == WARN) {
                assert_eq!((&fields["call"], &fields["status"]), (&json!(function.name), &json!("SERVER_ERROR")));
                assert_eq!(fields["http_status"], 500);
                let delivery = if function.purpose == Purpose::Ask { json!(null) } else { json!("unknown") };
                assert_eq!(fields["delivery"], delivery);
            }
        }
    }
}

#[test]
fn an_unknown_level_is_refused() {
    for level in [json!("Warn"), json!("all"), json!("none"), json!(2), json!(["warn"])] {
        let config = config(1, json!({"log_level": level}));
        Client::try_new(Some(config.as_bytes())).unwrap_err().is("INVALID_CONFIG", "").naming("log_level");
    }
}

#[test]
fn a_refused_webhook_is_logged() {
    let server = Server::start([]);
    let (client, messages) = client(&server, None);
    client.webhook(Some(KEY.as_bytes()), Some("0".repeat(64).as_bytes()), b"{\"private\":1}");
    let entries = messages.take();
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0].level, WARN);
    let fields: Value = serde_json::from_str(&entries[0].fields).unwrap();
    assert_eq!(fields["status"], "WEBHOOK_INVALID");
    assert!(!format!("{entries:?}").contains("private"));
}

#[test]
fn the_log_callback_runs_on_the_calling_thread() {
    let server = Server::start([]);
    let (client, messages) = client(&server, Some("debug"));
    client.trigger("c", "e", "1").is_ok("{}");
    let elsewhere = thread::scope(|scope| {
        let call = || {
            client.trigger("c", "e", "1").is_ok("{}");
            thread::current().id()
        };
        scope.spawn(call).join().unwrap()
    });
    let threads: Vec<_> = messages.take().iter().map(|logged| logged.thread).collect();
    assert!(threads.contains(&thread::current().id()) && threads.contains(&elsewhere));
    assert!(threads.iter().all(|id| [thread::current().id(), elsewhere].contains(id)));
}

#[test]
fn eight_threads_share_one_log() {
    let server = Server::start([]);
    let (client, messages) = client(&server, Some("debug"));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(client.trigger("c", "e", "1").name(), "OK")));
        }
    });
    let entries = logged(&messages);
    assert_eq!(entries.iter().filter(|(level, _)| *level == DEBUG).count(), 400);
}

#[test]
fn no_payload_and_no_response_body_is_logged() {
    let server = Server::start([]);
    let (client, messages) = client(&server, Some("debug"));
    let answers = [
        Answer::ok(r#"{"told":"hush-hush"}"#),
        Answer::new(400, &[], "hush-hush"),
        Answer::ok("hush-hush"),
        Answer::raw("hush-hush\r\n\r\n").then(End::Close),
        Answer::raw("HTTP/1.1 200 OK\r\nhush-hush\r\n\r\n").then(End::Close),
        Answer::ok(r#"{"error":"hush-hush","code":401}"#),
        Answer::new(302, &[("Location", "http://hush-hush/")], ""),
    ];
    for function in Function::network() {
        let texts: Vec<Option<Vec<u8>>> = function
            .good()
            .iter()
            .map(|text| text.map(|text| String::from_utf8_lossy(text).replace(r#""a":1"#, r#""a":"hush-hush""#).into()))
            .collect();
        let texts: Vec<Option<&[u8]>> = texts.iter().map(|text| text.as_deref()).collect();
        for answer in &answers {
            server.next(answer.clone());
            function.call(Some(&client), &texts);
            let signature = server.last().signature().to_owned();
            for Logged { message, fields, .. } in messages.take() {
                let entries = format!("{message} {fields}");
                assert_eq!(calls::leak(&entries), None, "{entries}");
                for part in ["hush", &signature[..16], "auth_", "body_md5"] {
                    assert!(!entries.contains(part), "{entries}");
                }
            }
        }
    }
}

#[test]
fn fields_include_the_duration() {
    let server = Server::start([]);
    let (client, messages) = client(&server, Some("debug"));
    let outcome = client.trigger("c", "e", "1");
    let entries = logged(&messages);
    let micros = entries[0].1["duration_us"].as_u64().unwrap();
    assert!(micros > 0 && u128::from(micros) <= outcome.elapsed.as_micros(), "{micros} {outcome:?}");
}

#[test]
fn a_nul_does_not_end_a_message() {
    let server = Server::start([]);
    let client = server.client();
    let (messages, _) = client.log();
    let outcome = client.trigger_with("c", "e", "1", r#"{"before\u0000after":1}"#);
    outcome.is("INVALID_ARGUMENT", "not_sent");
    let messages = messages.take();
    assert!(messages.iter().any(|logged| logged.message.contains("before?after")), "{outcome:?} {messages:?}");
}
