//! The observer: each start has an end, the times are those of the phases, and no secret is in it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use crate::support::functions::{Function, Purpose};
use crate::support::hooks::{Observations, Observed, set_observer};
use crate::support::{Answer, Client, End, Server, calls, config};
use serde_json::{Value, json};

const CALL_START: i32 = 1;
const ATTEMPT_START: i32 = 2;
const ATTEMPT_END: i32 = 3;
const CALL_END: i32 = 4;

const PHASES: [&str; 7] = ["lookup_us", "connect_us", "proxy_us", "tls_us", "write_us", "wait_us", "read_us"];

/// Returns the calls in the order of their ids, each with its observations, after the checks that apply to every one.
#[track_caller]
fn calls(observations: &Observations) -> Vec<Vec<(i32, Value)>> {
    let mut calls: BTreeMap<u64, Vec<(i32, Value)>> = BTreeMap::new();
    for Observed { kind, call_id, fields, .. } in observations.take() {
        assert_eq!(calls::leak(&fields), None, "{fields}");
        for secret in ["auth_", "canary-event", "canary-data", "canary-header"] {
            assert!(!fields.contains(secret), "{fields}");
        }
        assert!(fields.is_ascii(), "{fields}");
        let fields: Value = serde_json::from_str(&fields).unwrap_or_else(|error| panic!("{error}: {fields}"));
        calls.entry(call_id).or_default().push((kind, fields));
    }
    calls.into_values().inspect(|call| are_nested(call)).collect()
}

/// Checks the order of one call's observations, and that their times fit into each other.
#[track_caller]
fn are_nested(call: &[(i32, Value)]) {
    let kinds: Vec<i32> = call.iter().map(|(kind, _)| *kind).collect();
    let [CALL_START, attempts @ .., CALL_END] = kinds.as_slice() else { panic!("{call:?}") };
    assert!(attempts.chunks(2).all(|pair| pair == [ATTEMPT_START, ATTEMPT_END]), "{call:?}");
    let number = |fields: &Value, name: &str| fields.get(name).map_or(0, |value| value.as_u64().unwrap());
    let end = &call.last().unwrap().1;
    assert_eq!(number(end, "attempts"), attempts.len() as u64 / 2, "{call:?}");
    let mut total = 0;
    for (kind, fields) in call {
        assert_eq!(fields["call"], end["call"], "{call:?}");
        if *kind == ATTEMPT_END {
            let phases: u64 = PHASES.iter().chain(&["pool_us"]).map(|name| number(fields, name)).sum();
            let duration = number(fields, "duration_us");
            // Each phase is rounded down.
            assert!(phases <= duration && (phases == 0 || duration <= phases + 8), "{fields}");
            total += duration;
        }
    }
    assert!(total <= number(end, "duration_us"), "{call:?}");
}

/// A client of a server that does not run.
fn unreachable_client() -> Client {
    Client::new(&config(1, json!({"retry": {"mode": "never"}})))
}

fn has(fields: &Value, names: &[&str]) -> Vec<bool> {
    names.iter().map(|name| fields.get(*name).is_some()).collect()
}

#[test]
fn each_call_has_a_start_an_attempt_and_an_end() {
    let server = Server::start([]);
    let client = server.client();
    let (observations, _) = client.observe();
    for (number, function) in Function::network().enumerate() {
        function.call(Some(&client), &function.good()).is_ok("{}");
        let observed = observations.take();
        assert!(observed.iter().all(|observed| observed.call_id == number as u64 + 1), "{observed:?}");
        assert!(observed.iter().all(|observed| observed.thread == thread::current().id()), "{observed:?}");
        let fields: Vec<Value> = observed.iter().map(|one| serde_json::from_str(&one.fields).unwrap()).collect();
        let [start, attempt, attempt_end, end] = fields.as_slice() else { panic!("{fields:?}") };
        assert_eq!(start, &json!({"call": function.name}));
        let request = server.last();
        let expected = json!({"call": function.name, "attempt": 1, "method": request.method(), "path": request.path()});
        assert_eq!(attempt, &expected);
        let delivery = if function.purpose == Purpose::Ask { json!(null) } else { json!("delivered") };
        for ended in [attempt_end, end] {
            assert_eq!((&ended["status"], &ended["delivery"]), (&json!("OK"), &delivery), "{ended}");
        }
        assert_eq!(attempt_end["http_status"], 200);
        assert_eq!(attempt_end["sent_bytes"], request.size());
        assert!(attempt_end["received_bytes"].as_u64().unwrap() > 20);
        assert_eq!(attempt_end["reused"], number > 0);
        let made = number == 0;
        assert_eq!(has(attempt_end, &PHASES), [made, made, false, false, true, true, true], "{attempt_end}");
    }
}

#[test]
fn each_attempt_says_what_it_repeats() {
    let server = Server::start([Answer::new(429, &[("retry-after", "0")], "slow"), Answer::new(500, &[], "no")]);
    let client = server.client_with(json!({"retry": {"mode": "safe"}}));
    let (observations, _) = client.observe();
    client.trigger("c", "canary-event", "\"canary-data\"").is("SERVER_ERROR", "unknown");
    let calls = calls(&observations);
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    let [_, (_, first), (_, first_end), (_, second), (_, second_end), (_, end)] = call.as_slice() else {
        panic!("{call:?}")
    };
    assert_eq!((&first["attempt"], &first["retry_cause"]), (&json!(1), &json!(null)));
    assert_eq!((&second["attempt"], &second["retry_cause"]), (&json!(2), &json!("rate_limited")));
    assert_eq!((&first_end["status"], &first_end["http_status"]), (&json!("RATE_LIMITED"), &json!(429)));
    assert!(first_end["retry_wait_us"].is_u64() && second_end.get("retry_wait_us").is_none(), "{call:?}");
    let expected = (&json!("SERVER_ERROR"), &json!("unknown"), &json!(2));
    assert_eq!((&end["status"], &end["delivery"], &end["attempts"]), expected);
}

#[test]
fn a_failure_ends_in_its_phase() {
    let client = unreachable_client();
    let (observations, _) = client.observe();
    client.trigger("c", "e", "1").is("NOT_SENT", "not_sent");
    let server = Server::start([Answer::nothing().then(End::Close)]);
    let other = server.client();
    let (others, _) = other.observe();
    other.trigger("c", "e", "1").is("DELIVERY_UNKNOWN", "unknown");
    for (observations, cause, phases) in [
        (&observations, "connect", [true, true, false, false, false, false, false]),
        (&others, "closed", [true, true, false, false, true, true, false]),
    ] {
        for call in calls(observations) {
            let (_, end) = call.iter().find(|(kind, _)| *kind == ATTEMPT_END).unwrap();
            assert_eq!((has(end, &PHASES), &end["cause"]), (phases.to_vec(), &json!(cause)), "{end}");
            assert_eq!(end.get("http_status"), None);
        }
    }
}

#[test]
fn a_call_that_sends_nothing_has_no_attempt() {
    let server = Server::start([]);
    let client = server.client();
    let (observations, _) = client.observe();
    client.trigger("", "e", "1").is("INVALID_ARGUMENT", "not_sent");
    let observed = calls(&observations);
    let [call] = observed.as_slice() else { panic!("{observed:?}") };
    let [(CALL_START, _), (CALL_END, end)] = call.as_slice() else { panic!("{call:?}") };
    assert_eq!((&end["status"], &end["delivery"]), (&json!("INVALID_ARGUMENT"), &json!("not_sent")));
}

#[test]
fn a_transport_of_the_caller_has_attempts_without_phases() {
    let client = unreachable_client();
    client.send_by(|_, reply| {
        reply.set(403, b"no");
    });
    let (observations, _) = client.observe();
    client.trigger("c", "e", "1").is("FORBIDDEN", "rejected");
    let calls = calls(&observations);
    let (_, end) = &calls[0][2];
    assert_eq!((&end["http_status"], &end["delivery"]), (&json!(403), &json!("rejected")));
    assert!(end.get("reused").is_none() && has(end, &PHASES).iter().all(|has| !has), "{end}");
}

#[test]
fn the_requests_of_a_fan_out_are_parts_of_one_call() {
    let server = Server::start([]);
    let client = server.client();
    let (observations, _) = client.observe();
    let channels: Vec<String> = (0..250).map(|number| format!("c{number}")).collect();
    client.trigger_with(&json!(channels).to_string(), "e", "1", r#"{"fan_out":true}"#).is_ok("{}");
    let calls = calls(&observations);
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    let parts: Vec<&Value> =
        call.iter().filter(|(kind, _)| *kind == ATTEMPT_START).map(|(_, fields)| &fields["part"]).collect();
    assert_eq!(parts, [1, 2, 3]);
}

#[test]
fn ids_are_unique_among_threads() {
    let server = Server::start([]);
    let client = server.client();
    let (observations, _) = client.observe();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..25).for_each(|_| assert_eq!(client.trigger("c", "e", "1").name(), "OK")));
        }
    });
    assert_eq!(calls(&observations).len(), 100);
}

#[test]
fn no_header_of_the_caller_is_observed() {
    let server = Server::start([]);
    let client = server.client();
    let (observations, _) = client.observe();
    client.trigger_with("c", "canary-event", "1", r#"{"headers":{"x-y":"canary-header"}}"#).is_ok("{}");
    assert_eq!(calls(&observations).len(), 1);
}

#[test]
fn an_observer_is_set_once_before_the_first_call() {
    for (client, function, argument) in [(false, true, "client"), (true, false, "observe")] {
        let have = unreachable_client();
        let (outcome, _, drops) = set_observer(client.then_some(&have), function);
        outcome.is("INVALID_ARGUMENT", "").naming(argument);
        assert_eq!(drops.load(SeqCst), 1);
    }
    let is_refused = |client: &Client| {
        let (outcome, _, drops) = set_observer(Some(client), true);
        outcome.is("INVALID_STATE", "");
        assert_eq!(drops.load(SeqCst), 1);
    };
    let client = unreachable_client();
    let (_, drops) = client.observe();
    is_refused(&client);
    drop(client);
    assert_eq!(drops.load(SeqCst), 1);
    let client = unreachable_client();
    client.trigger("c", "e", "1");
    is_refused(&client);
}
