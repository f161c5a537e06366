//! Idempotency keys: which requests have one, and which are resent because of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::calls::base64;
use crate::support::functions::{Form, Function, Purpose};
use crate::support::memory::{Fate, KEY_HEADER, Memory, key_of};
use crate::support::server::Received;
use crate::support::{Answer, Client, MASTER_KEY, Outcome, Server, config, in_time, trigger};

/// The calls that take a key.
const KEYED: [&str; 3] = ["trigger", "trigger_batch", "send_to_user"];

/// Returns the functions that make a request.
fn functions() -> impl Iterator<Item = Function> {
    Function::network()
}

/// Calls a function with these options.
#[track_caller]
fn call_with(function: &Function, client: &Client, options: &Value) -> Outcome {
    let is_options = |form| matches!(form, Form::EventOptions | Form::Options);
    let index = function.arguments.iter().position(|argument| is_options(argument.form)).unwrap();
    function.call(Some(client), &function.with(index, Some(options.to_string().as_bytes())))
}

/// Returns the number of requests, and their keys.
fn keys(server: &Server) -> Vec<Option<String>> {
    server.ledger().iter().map(key_of).collect()
}

/// A client of a server that recognizes its keys.
fn vouched(server: &Server, more: Value) -> Client {
    let mut all = json!({"retry": {"ratio": 1}, "idempotency": "auto", "server_deduplicates": true});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.client_with(all)
}

#[test]
fn a_key_is_sent_in_a_header_of_each_call_that_takes_one() {
    for kind in ["pusher", "sockudo", "soketi"] {
        for function in functions().filter(|function| KEYED.contains(&function.name)) {
            let (without, with) = (Server::start([]), Server::start([]));
            let more = json!({"server": kind, "idempotency": "off"});
            call_with(&function, &without.client_with(more.clone()), &json!({})).is_ok("{}");
            for key in ["a", "!~:{\"\\", &"k".repeat(128)] {
                let client = with.client_with(more.clone());
                call_with(&function, &client, &json!({"idempotency_key": key})).is_ok("{}");
                let (plain, keyed) = (without.only(), with.last());
                assert_eq!(key_of(&keyed), Some(key.to_owned()), "{}", function.name);
                assert_eq!(plain.text(), keyed.text(), "the key is in no other place");
                let others = |request: &Received| -> Vec<(String, String)> {
                    let is_other = |(name, _): &(String, String)| name != KEY_HEADER && name != "host";
                    request.headers().into_iter().filter(is_other).collect()
                };
                assert_eq!(others(&plain), others(&keyed));
            }
        }
    }
}

#[test]
fn no_request_has_a_key_unless_it_is_asked_for() {
    for more in
        [json!({}), json!({"idempotency": "off"}), json!({"server": "soketi"}), json!({"server_deduplicates": true})]
    {
        let server = Server::start([]);
        let client = server.client_with(more);
        for function in functions() {
            function.call(Some(&client), &function.good()).is_ok("{}");
        }
        assert!(keys(&server).iter().all(Option::is_none), "{:?}", keys(&server));
    }
}

#[test]
fn auto_makes_a_key_for_each_request_that_publishes_events() {
    for more in [json!({"idempotency": "auto"}), json!({"server": "sockudo"})] {
        let server = Server::start([]);
        let client = server.client_with(more);
        let mut made = BTreeSet::new();
        for function in functions().chain(functions()) {
            function.call(Some(&client), &function.good()).is_ok("{}");
            let key = key_of(&server.last());
            assert_eq!(key.is_some(), KEYED.contains(&function.name), "{}", function.name);
            if let Some(key) = key {
                assert!(key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
                assert!(made.insert(key), "a key is used twice");
            }
        }
        assert_eq!(made.len(), 2 * KEYED.len());
    }
    // The call's own key wins, and the configuration's over the server's.
    let server = Server::start([]);
    let options = r#"{"idempotency_key":"mine"}"#;
    server.client_with(json!({"idempotency": "auto"})).trigger_with("c", "e", "1", options).is_ok("{}");
    trigger(&server.client_with(json!({"idempotency": "off", "server": "sockudo"}))).is_ok("{}");
    assert_eq!(keys(&server), [Some("mine".to_owned()), None]);
}

#[test]
fn a_wrong_key_is_refused() {
    let server = Server::start([]);
    let client = server.client();
    for function in functions().filter(|function| KEYED.contains(&function.name)) {
        for wrong in [
            json!(""),
            json!(" "),
            json!("a b"),
            json!("a "),
            json!("a\r\nx: y"),
            json!("ü"),
            json!("k".repeat(129)),
            json!(1),
        ] {
            let outcome = call_with(&function, &client, &json!({"idempotency_key": wrong}));
            outcome.is("INVALID_ARGUMENT", "not_sent").naming("options.idempotency_key");
        }
    }
    for function in functions().filter(|function| !KEYED.contains(&function.name)) {
        let outcome = call_with(&function, &client, &json!({"idempotency_key": "a"}));
        assert_eq!(outcome.name(), "INVALID_ARGUMENT", "{}", function.name);
    }
    assert_eq!(server.ledger().len(), 0);
}

#[test]
fn prepared_requests_and_transports_have_the_key() {
    let client = Client::new(&config(1, json!({"idempotency": "auto"})));
    let header = |headers: &[(String, String)]| -> Vec<String> {
        headers.iter().filter(|(name, _)| name == KEY_HEADER).map(|(_, value)| value.clone()).collect()
    };
    let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("1")]).read();
    assert_eq!(header(&request.headers).len(), 1, "{:?}", request.headers);
    let options = Some(r#"{"idempotency_key":"mine"}"#);
    let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("1"), options]).read();
    assert_eq!(header(&request.headers), ["mine"]);
    client.send_by(move |request, reply| {
        assert_eq!(header(&request.headers).len(), 1, "{:?}", request.headers);
        reply.set(200, b"{}");
    });
    trigger(&client).is_ok("{}");
}

#[test]
fn each_attempt_has_the_same_key_and_body() {
    let faults = [Fate::Before(429), Fate::AnswerLost, Fate::Before(503), Fate::After(500)];
    let (memory, server) = Memory::start(faults);
    let client =
        server.client_with(json!({"retry": {"mode": "at_least_once", "max_attempts": 9}, "idempotency": "auto"}));
    trigger(&client).is_ok(r#"{"replayed":true}"#);
    let ledger = server.ledger();
    assert_eq!(ledger.len(), faults.len() + 1);
    for request in &ledger[1..] {
        assert_eq!((key_of(request), &request.body), (key_of(&ledger[0]), &ledger[0].body));
        assert_eq!(request.path(), ledger[0].path());
    }
    assert_eq!(memory.bodies().len(), 1);
}

#[test]
fn unknown_is_resent_only_if_the_user_vouches_for_the_server() {
    let fates = [Fate::Lost, Fate::AnswerLost, Fate::Before(500), Fate::After(502), Fate::InProgress(1), Fate::Silent];
    for fate in fates {
        for (mode, vouches, keyed, resent) in [
            ("safe", true, true, true),
            ("safe", false, true, false),
            ("safe", true, false, false),
            ("never", true, true, false),
            ("at_least_once", true, true, true),
            ("at_least_once", false, true, true),
        ] {
            let (memory, server) = Memory::start([fate]);
            let idempotency = if keyed { "auto" } else { "off" };
            let client = server.client_with(json!({
                "retry": {"mode": mode}, "server_deduplicates": vouches, "idempotency": idempotency,
                "attempt_timeout_ms": 200,
            }));
            let outcome = trigger(&client);
            let context = format!("{mode} {vouches} {keyed} {fate:?}: {outcome:?}");
            if resent {
                assert_eq!(outcome.name(), "OK", "{context}");
                assert_eq!(memory.published().len(), 1, "{context}");
                assert!(server.ledger().len() > 1, "{context}");
            } else {
                assert_eq!((outcome.delivery(), outcome.number("attempts")), ("unknown", Some(1)), "{context}");
                assert_eq!(server.ledger().len(), 1, "{context}");
            }
        }
    }
}

#[test]
fn the_kind_of_server_alone_does_not_vouch_for_it() {
    let (memory, server) = Memory::start([Fate::AnswerLost]);
    trigger(&server.client_with(json!({"server": "sockudo", "retry": {}}))).is("DELIVERY_UNKNOWN", "unknown");
    assert_eq!((server.ledger().len(), memory.published().len()), (1, 1));
}

#[test]
fn each_call_that_publishes_is_resent() {
    for function in functions() {
        let (memory, server) = Memory::start([Fate::AnswerLost]);
        let outcome = function.call(Some(&vouched(&server, json!({}))), &function.good());
        if KEYED.contains(&function.name) {
            outcome.is_ok(r#"{"replayed":true}"#);
            assert_eq!(memory.published().len(), 1, "{}", function.name);
        } else if function.purpose == Purpose::Publish {
            assert_eq!(outcome.delivery(), "unknown", "{}", function.name);
            assert_eq!(server.ledger().len(), 1, "{}", function.name);
        }
    }
}

#[test]
fn a_request_in_progress_is_waited_for() {
    let memory = Memory::new([Fate::InProgress(1)]).retry_after(1);
    let server = memory.server().start();
    let outcome = trigger(&vouched(&server, json!({})));
    outcome.is_ok(r#"{"replayed":true}"#);
    assert_eq!((server.ledger().len(), memory.published().len()), (3, 1));
    assert!(outcome.elapsed >= Duration::from_millis(950), "{outcome:?}");
}

#[test]
fn a_claim_that_the_server_never_releases_keeps_the_call_unknown() {
    let (memory, server) = Memory::start([Fate::Stuck]);
    let outcome = trigger(&vouched(&server, json!({"retry": {"max_attempts": 5}})));
    // The first failure says more than those that follow from it.
    outcome.is("SERVER_ERROR", "unknown");
    assert_eq!((outcome.number("http_status"), outcome.number("attempts")), (Some(500), Some(5)));
    assert_eq!((server.ledger().len(), memory.published().len()), (5, 0));
}

#[test]
fn a_refusal_after_unknown_does_not_say_that_nothing_was_delivered() {
    for status in [400, 401, 403, 404, 413, 422, 302] {
        let (memory, server) = Memory::start([Fate::AnswerLost, Fate::Before(status)]);
        let outcome = trigger(&vouched(&server, json!({})));
        outcome.is("DELIVERY_UNKNOWN", "unknown").because("closed");
        assert_eq!(outcome.number("attempts"), Some(2));
        assert_eq!((server.ledger().len(), memory.published().len()), (2, 1), "{status}");
    }
}

#[test]
fn a_server_that_goes_away_keeps_the_call_unknown() {
    let more = json!({"retry": {"max_attempts": 2}, "idempotency": "auto", "server_deduplicates": true});
    let client = Client::new(&config(1, more));
    let calls = AtomicUsize::new(0);
    client.send_by(move |_, reply| {
        match calls.fetch_add(1, Ordering::Relaxed) {
            0 => reply.fail(2, Some(b"closed"), Some(b"no response")),
            _ => reply.fail(1, Some(b"connect"), Some(b"nobody listens")),
        };
    });
    let outcome = trigger(&client);
    outcome.is("DELIVERY_UNKNOWN", "unknown").because("closed");
    assert_eq!(outcome.number("attempts"), Some(2));
}

#[test]
fn after_the_window_nothing_is_resent() {
    // The first attempt takes longer than the server remembers its key.
    let forgetful = || Memory::new([Fate::Silent]).forgetting_after(Duration::from_millis(300));
    let more = |mode| json!({"retry": {"mode": mode}, "idempotency_window_ms": 300, "attempt_timeout_ms": 350});
    let memory = forgetful();
    let server = memory.server().start();
    trigger(&vouched(&server, more("safe"))).is("DELIVERY_UNKNOWN", "unknown").because("timeout");
    assert_eq!((server.ledger().len(), memory.published().len()), (1, 1));
    // A user who accepts doubled events gets one.
    let memory = forgetful();
    let server = memory.server().start();
    trigger(&vouched(&server, more("at_least_once"))).is_ok("{}");
    assert_eq!((server.ledger().len(), memory.published().len()), (2, 2));
}

#[test]
fn an_attempt_begins_only_if_it_ends_within_the_window() {
    in_time(|| {
        // 100 ms for the first attempt and at most 100 ms of waiting leave less than 400 ms of 500.
        let (_, server) = Memory::start([Fate::Silent]);
        let more = json!({"idempotency_window_ms": 500, "attempt_timeout_ms": 100, "timeout_ms": 5000});
        trigger(&vouched(&server, more)).is_ok(r#"{"replayed":true}"#);
        let (_, server) = Memory::start([Fate::Silent]);
        let more = json!({"idempotency_window_ms": 190, "attempt_timeout_ms": 100, "timeout_ms": 5000});
        trigger(&vouched(&server, more)).is("DELIVERY_UNKNOWN", "unknown");
        // A wait beyond the window does not begin.
        let memory = Memory::new([Fate::InProgress(9)]).retry_after(2);
        let server = memory.server().start();
        let more = json!({"idempotency_window_ms": 1000, "attempt_timeout_ms": 100, "timeout_ms": 5000});
        let outcome = trigger(&vouched(&server, more));
        outcome.is("DELIVERY_UNKNOWN", "unknown");
        assert_eq!(server.ledger().len(), 2);
        if outcome.elapsed > Duration::from_millis(500) { Err(format!("{outcome:?}")) } else { Ok(()) }
    });
    // An attempt without a limit of its own may last until the end of the call.
    let (_, server) = Memory::start([Fate::AnswerLost]);
    trigger(&vouched(&server, json!({"idempotency_window_ms": 1000, "timeout_ms": 5000})))
        .is("DELIVERY_UNKNOWN", "unknown");
    let (_, server) = Memory::start([Fate::AnswerLost]);
    trigger(&vouched(&server, json!({"idempotency_window_ms": 5001, "timeout_ms": 5000})))
        .is_ok(r#"{"replayed":true}"#);
}

#[test]
fn the_window_does_not_limit_attempts_that_cannot_double_an_event() {
    // Certainly not delivered, so that nothing is doubled.
    let server = Server::start([Answer::new(429, &[("Retry-After", "1")], "busy")]);
    let more = json!({"idempotency_window_ms": 1, "attempt_timeout_ms": 500});
    trigger(&vouched(&server, more)).is_ok("{}");
    assert_eq!(server.ledger().len(), 2);
}

#[test]
fn a_server_that_lost_its_keys_publishes_twice() {
    // What the user vouches for with server_deduplicates.
    let (memory, server) = Memory::start([Fate::Restarted]);
    trigger(&vouched(&server, json!({}))).is_ok("{}");
    assert_eq!(memory.published().len(), 2);
}

#[test]
fn the_requests_of_a_fan_out_have_keys_of_their_own() {
    let master_key = base64(MASTER_KEY.as_bytes());
    let fan_out = |data: &str, max_channels: usize| -> Vec<String> {
        let server = Server::start([]);
        let more = json!({"max_channels": max_channels, "encryption_master_key_base64": master_key});
        let channels = r#"["a","b","c","private-encrypted-d","private-encrypted-e"]"#;
        let options = r#"{"fan_out":true,"idempotency_key":"k"}"#;
        server.client_with(more).trigger_with(channels, "e", data, options).is_ok("{}");
        keys(&server).into_iter().flatten().collect()
    };
    let first = fan_out("1", 2);
    assert_eq!(first.len(), 4);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 4, "{first:?}");
    // The same call has the same keys, although its ciphertext differs.
    assert_eq!(fan_out("1", 2), first);
    for (data, max_channels) in [("2", 2), ("1", 1)] {
        let other = fan_out(data, max_channels);
        assert!(other.iter().all(|key| key.starts_with("k-")), "{other:?}");
        let differs = |number: &usize| first.get(*number) != other.get(*number);
        assert!((0..3).filter(differs).count() >= 2, "{other:?}");
    }
    assert!(fan_out("2", 2).iter().all(|key| !first.contains(key)));
}

#[test]
fn a_key_that_is_used_for_another_body_drops_that() {
    // Such a server keeps no fingerprint: the library cannot know, and the documentation warns.
    let (memory, server) = Memory::start([]);
    let client = server.client();
    let options = r#"{"idempotency_key":"k"}"#;
    client.trigger_with("c", "e", "1", options).is_ok("{}");
    client.trigger_with("c", "e", "2", options).is_ok(r#"{"replayed":true}"#);
    assert_eq!(memory.bodies().len(), 1);
    for documentation in [include_str!("../../include/pusher.h"), include_str!("../../docs/configuration.md")] {
        let documentation = documentation.split_whitespace().collect::<Vec<_>>().join(" ").replace(" * ", " ");
        assert!(documentation.contains("a key for another body"), "the warning is missing");
    }
}
