//! Every argument of every function, invalid in every way: refused before anything is sent, and named.
//!
//! `arguments.rs` tests the rules for names and values in detail, with a trigger. These tests check that no other function
//! is less strict.

use std::ptr::{self, NonNull};

use crate::support::functions::{FUNCTIONS, Form, Function, Purpose, webhook};
use crate::support::hooks::{self, Without, finish, prepare};
use crate::support::{Answer, Client, MASTER_KEY, Outcome, Reply, Server, Snapshot, calls};
use serde_json::{Value, json};

/// Asserts that the call was refused and named `argument`.
#[track_caller]
fn refused(outcome: &Outcome, delivery: &str, argument: &str) {
    outcome.is("INVALID_ARGUMENT", delivery).naming(argument);
    assert!(outcome.text("message").contains(argument), "{outcome:?}");
    let error = outcome.error();
    // There was no exchange, so none of its members is present.
    for field in ["cause", "retryable", "attempts", "http_status", "response", "retry_after_ms"] {
        assert!(!error.contains_key(field), "{outcome:?}");
    }
}

/// A transport that responds with success.
fn answer_ok(_: &Snapshot, reply: &Reply) {
    reply.set(200, b"{}");
}

/// Returns invalid strings, each with the part that is named after the argument's own name.
fn wrong(form: Form) -> Vec<(String, &'static str)> {
    let long = "a".repeat(201);
    let names: Vec<(String, &str)> = ["a b", "a\n", "\x01", "a\x7f", "a:b", "a/b", "a?b", "a#b", "ä", "%41", &long]
        .map(|text| (text.to_owned(), ""))
        .to_vec();
    // Not JSON.
    let malformed = ["x", "{", "{}}", "{\"a\":}", "{'a':1}", "\u{feff}{}", "{\"a\":\"\n\"}", " ", "\x01"];
    let malformed = malformed.map(|text| (text.to_owned(), ""));
    let not_an_object = ["null", "[]", "\"a\"", "1", "true", "[{}]"].map(|text| (text.to_owned(), ""));
    let object = [&malformed[..], &not_an_object].concat();
    let named = |texts: &[(&str, &'static str)]| -> Vec<(String, &'static str)> {
        texts.iter().map(|(text, suffix)| ((*text).to_owned(), *suffix)).collect()
    };
    let options = named(&[
        (r#"{"colour":1}"#, ".colour"),
        (r#"{"timeout_ms":0}"#, ".timeout_ms"),
        (r#"{"timeout_ms":600001}"#, ".timeout_ms"),
        (r#"{"timeout_ms":"1"}"#, ".timeout_ms"),
        (r#"{"timeout_ms":1,"timeout_ms":1}"#, ".timeout_ms"),
        (r#"{"timeout_ms":1,"timeout\u005fms":1}"#, ".timeout_ms"),
        (r#"{"retry":{}}"#, ".retry"),
        (r#"{"idempotency_key":"a"}"#, ".idempotency_key"),
        (r#"{"headers":{}}"#, ".headers"),
    ]);
    match form {
        Form::Channels => [
            names,
            named(&[("[", ""), ("[]", ""), (r#"["a",]"#, ""), (r#"["a",1]"#, "[1]"), (r#"["a","b c"]"#, "[1]")]),
        ]
        .concat(),
        // A path segment with a special meaning, or a public channel, which needs no authorization.
        Form::Channel => [names, named(&[(".", ""), ("..", ""), ("c", "")])].concat(),
        Form::Prefix => names,
        Form::UserId => [names, named(&[(".", ""), ("..", "")])].concat(),
        Form::Event => vec![(long, "")],
        Form::SocketId => {
            named(&[("1", ""), ("1.", ""), ("1.1.1", ""), ("1.1\n", ""), ("1.1:x", ""), ("a.1", ""), ("٣.٣", "")])
        }
        Form::Json => [&malformed[..], &named(&[("1 2", ""), ("01", ""), ("NaN", "")])].concat(),
        Form::Events => [
            &malformed[..],
            &named(&[
                ("{}", ""),
                ("[]", ""),
                ("[1]", "[0]"),
                ("[{}]", "[0].channel"),
                (r#"[{"channel":"c"}]"#, "[0].name"),
                (r#"[{"channel":"c","name":"e"}]"#, "[0].data"),
                (r#"[{"channel":"c","name":"e","data":1},{"channel":"c d","name":"e","data":1}]"#, "[1].channel"),
                (r#"[{"channel":1,"name":"e","data":1}]"#, "[0].channel"),
                (r#"[{"channel":"c","name":"","data":1}]"#, "[0].name"),
                (r#"[{"channel":"c","name":["e"],"data":1}]"#, "[0].name"),
                (r#"[{"channel":"c","name":"e","data":"\ud800"}]"#, "[0].data"),
                (r#"[{"channel":"c","name":"e","data":1,"socket_id":"1"}]"#, "[0].socket_id"),
                (r#"[{"channel":"c","name":"e","data":1,"socket_id":null}]"#, "[0].socket_id"),
                (r#"[{"channel":"c","name":"e","data":1,"info":"a b"}]"#, "[0].info"),
                (r#"[{"channel":"c","name":"e","data":1,"colour":1}]"#, "[0].colour"),
                (r#"[{"channel":"c","name":"e","data":1,"n\u0061me":"e"}]"#, "[0].name"),
                (r#"[{"channels":["c"],"name":"e","data":1}]"#, "[0].channels"),
            ]),
        ]
        .concat(),
        Form::Options => {
            [&object[..], &options, &named(&[(r#"{"info":"a"}"#, ".info"), (r#"{"socket_id":"1.2"}"#, ".socket_id")])]
                .concat()
        }
        Form::EventOptions => [
            &object[..],
            &options,
            &named(&[
                (r#"{"socket_id":"1.2:x"}"#, ".socket_id"),
                (r#"{"info":"a&b"}"#, ".info"),
                (r#"{"info":"a","info":"a"}"#, ".info"),
            ]),
        ]
        .concat(),
        Form::Attributes => ["a b", ",", "a,", "a&b=c", "A", "a\n", "ä", "\x01"].map(|text| (text.into(), "")).to_vec(),
        Form::Path => {
            let texts = [
                "a",
                "/",
                "//",
                "/a/",
                "/a//b",
                "/.",
                "/..",
                "/../x",
                "/a/./b",
                "/a?b",
                "/a#b",
                "/a b",
                "/a\n",
                "/%2e",
                "/ä",
                "/a:b",
                "/a\\b",
                "http://h/a",
                "/a&b",
            ];
            texts.map(|text| (text.to_owned(), "")).to_vec()
        }
        Form::Params => [
            &object[..],
            &named(&[
                (r#"{"":1}"#, "."),
                (r#"{"Info":1}"#, ".Info"),
                (r#"{"a-b":1}"#, ".a-b"),
                (r#"{"a b":1}"#, ".a b"),
                (r#"{"a&b":1}"#, ".a&b"),
                (r#"{"ä":1}"#, ".ä"),
                (r#"{"auth_key":"a"}"#, ".auth_key"),
                (r#"{"auth_signature":"a"}"#, ".auth_signature"),
                (r#"{"auth_x":1}"#, ".auth_x"),
                (r#"{"\u0061uth_key":"a"}"#, ".auth_key"),
                (r#"{"AUTH_KEY":"a"}"#, ".AUTH_KEY"),
                (r#"{"body_md5":"a"}"#, ".body_md5"),
                (r#"{"BODY_MD5":"a"}"#, ".BODY_MD5"),
                (r#"{"a":1.5}"#, ".a"),
                (r#"{"a":1e3}"#, ".a"),
                (r#"{"a":null}"#, ".a"),
                (r#"{"a":[]}"#, ".a"),
                (r#"{"a":{}}"#, ".a"),
                (r#"{"a":"\n"}"#, ".a"),
                (r#"{"a":"\u0000"}"#, ".a"),
                (r#"{"a":"\u007f"}"#, ".a"),
                (r#"{"a":"\u0085"}"#, ".a"),
                (r#"{"a":"\ud800"}"#, ".a"),
                (r#"{"a":1,"a":1}"#, ".a"),
                (r#"{"a":1,"\u0061":1}"#, ".a"),
            ]),
        ]
        .concat(),
        Form::ChannelData => [
            &object[..],
            &named(&[
                ("{}", ".user_id"),
                (r#"{"user_id":""}"#, ".user_id"),
                (r#"{"user_id":null}"#, ".user_id"),
                (r#"{"user_id":true}"#, ".user_id"),
                (r#"{"user_id":1.5}"#, ".user_id"),
                (r#"{"user_id":1e3}"#, ".user_id"),
                (r#"{"user_id":["1"]}"#, ".user_id"),
                (r#"{"user_id":"\ud800"}"#, ".user_id"),
                (r#"{"user_id":"1","user_id":"2"}"#, ".user_id"),
                (r#"{"user_id":"1","user\u005fid":"2"}"#, ".user_id"),
                (r#"{"user_id":"1","x":1,"x":1}"#, ".x"),
                (r#"{"user_id":"1","user_info":"x"}"#, ".user_info"),
                (r#"{"user_id":"1","user_info":null}"#, ".user_info"),
                (r#"{"user_id":"1","user_info":[]}"#, ".user_info"),
            ]),
        ]
        .concat(),
        Form::UserData => [
            &object[..],
            &named(&[
                ("{}", ".id"),
                (r#"{"id":""}"#, ".id"),
                (r#"{"id":1}"#, ".id"),
                (r#"{"id":null}"#, ".id"),
                (r#"{"id":["1"]}"#, ".id"),
                (r#"{"id":"\udfff"}"#, ".id"),
                (r#"{"id":"1","id":"2"}"#, ".id"),
                (r#"{"id":"1","\u0069d":"2"}"#, ".id"),
                (r#"{"id":"1","x":1,"x":1}"#, ".x"),
            ]),
        ]
        .concat(),
    }
}

/// Calls `try_one` with every function, every argument, every invalid string for it, and the name to expect.
fn with_every_wrong_text(mut try_one: impl FnMut(&Function, usize, &str, &str)) {
    for function in FUNCTIONS {
        for (index, argument) in function.arguments.iter().enumerate() {
            for (text, suffix) in wrong(argument.form) {
                // Any channel can be queried, and `.` is a valid channel name outside of a path.
                let only_elsewhere =
                    matches!((function.name, text.as_str()), ("channel_info", "c") | ("authenticate", "." | ".."));
                if !only_elsewhere {
                    try_one(&function, index, &text, &format!("{}{suffix}", argument.name));
                }
            }
        }
    }
}

#[test]
fn every_function_accepts_valid_strings() {
    let server = Server::start([]);
    let client = server.client();
    for function in FUNCTIONS {
        for texts in [function.good(), function.shortest()] {
            let outcome = function.call(Some(&client), &texts);
            assert_eq!(outcome.name(), "OK", "{}: {outcome:?}", function.name);
            assert_eq!(function.call_without_out(Some(&client), &texts), 0, "{}", function.name);
        }
    }
    assert_eq!(server.ledger().len(), 9 * 4);
}

#[test]
fn a_null_client_is_named() {
    for function in FUNCTIONS {
        let nothing = vec![None; function.arguments.len()];
        for texts in [function.good(), nothing] {
            refused(&function.call(None, &texts), function.delivery_unsent(), "client");
            assert_eq!(function.call_without_out(None, &texts), 1);
        }
    }
}

#[test]
fn null_is_accepted_only_for_optional_strings() {
    let server = Server::start([]);
    let client = server.client();
    let mut asked = 0;
    for function in FUNCTIONS {
        for (index, argument) in function.arguments.iter().enumerate() {
            let outcome = function.call(Some(&client), &function.with(index, None));
            if argument.required {
                refused(&outcome, function.delivery_unsent(), argument.name);
            } else {
                assert_eq!(outcome.name(), "OK", "{} without {}", function.name, argument.name);
                asked += 1;
            }
        }
    }
    assert_eq!(server.ledger().len(), asked);
}

#[test]
fn an_empty_string_is_not_an_omitted_one() {
    let server = Server::start([]);
    let client = server.client();
    for function in FUNCTIONS {
        for (index, argument) in function.arguments.iter().enumerate() {
            let outcome = function.call(Some(&client), &function.with(index, Some(b"")));
            refused(&outcome, function.delivery_unsent(), argument.name);
        }
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn every_function_refuses_invalid_utf_8() {
    let server = Server::start([]);
    let client = server.client();
    for bad in [&b"\xff"[..], b"a\x80", b"\xc0\x80", b"\xed\xa0\x80", b"{\"a\":\"\xe2\x82\"}", b"\xf4\x90\x80\x80"] {
        for function in FUNCTIONS {
            for (index, argument) in function.arguments.iter().enumerate() {
                let outcome = function.call(Some(&client), &function.with(index, Some(bad)));
                refused(&outcome, function.delivery_unsent(), argument.name);
                assert!(outcome.text("message").contains("UTF-8"), "{outcome:?}");
            }
        }
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn every_invalid_string_is_refused_and_named() {
    let server = Server::start([]);
    let client = server.client();
    let mut tried = 0;
    with_every_wrong_text(|function, index, text, argument| {
        let outcome = function.call(Some(&client), &function.with(index, Some(text.as_bytes())));
        assert_eq!(
            (outcome.name(), outcome.delivery(), &*outcome.text("argument")),
            ("INVALID_ARGUMENT", function.delivery_unsent(), argument),
            "{}({text:?}): {outcome:?}",
            function.name
        );
        refused(&outcome, function.delivery_unsent(), argument);
        tried += 1;
    });
    assert!(tried > 500, "{tried}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn prepare_refuses_an_invalid_string_as_the_call_does() {
    let client = Client::new(&crate::support::config(1, json!({})));
    with_every_wrong_text(|function, index, text, argument| {
        if function.purpose != Purpose::Sign {
            let texts = function.with(index, Some(text.as_bytes()));
            let outcome =
                prepare(Some(&client), Some(function.name.as_bytes()), &texts, Without::default()).unwrap_err();
            // The same document, including the delivery.
            assert_eq!((outcome.name(), &*outcome.text("argument")), ("INVALID_ARGUMENT", argument), "{outcome:?}");
            assert_eq!(outcome.document, function.call(Some(&client), &texts).document);
        }
    });
}

#[test]
fn users_info_requires_a_presence_channel() {
    let client = Client::new(&crate::support::config(1, json!({})));
    for channel in ["c", "private-c", "presence", "xpresence-c", "Presence-c", "private-presence-c"] {
        refused(&client.call_with("users_info", &[channel]), "", "channel");
    }
}

#[test]
fn prepare_names_its_own_invalid_arguments() {
    let client = Client::new(&crate::support::config(1, json!({})));
    let good: [Option<&[u8]>; 3] = [Some(b"c"), Some(b"e"), Some(b"{}")];
    let call: Option<&[u8]> = Some(b"trigger");
    let all = Without::default();
    // The delivery depends on the call; an unknown call has none.
    let named = |result: Result<_, Outcome>, argument: &str| refused(&result.unwrap_err(), "not_sent", argument);
    let no_call = |result: Result<_, Outcome>| refused(&result.unwrap_err(), "", "call");
    named(prepare(None, call, &good, all), "client");
    no_call(prepare(Some(&client), None, &good, all));
    named(prepare(Some(&client), call, &good, Without { request: true, ..all }), "request");
    named(prepare(Some(&client), call, &good, Without { arguments: true, ..all }), "arguments");
    named(prepare(Some(&client), call, &[], Without { arguments: true, count: Some(usize::MAX), ..all }), "arguments");
    // Larger than the address space.
    for count in [usize::MAX, usize::MAX / 8, isize::MAX as usize] {
        named(prepare(Some(&client), call, &good, Without { count: Some(count), ..all }), "arguments");
    }
    // (NULL, 0) is an empty array, so the first argument is missing.
    named(prepare(Some(&client), call, &[], Without { arguments: true, ..all }), "channels");
    named(prepare(Some(&client), call, &good[..1], all), "event");
    named(prepare(Some(&client), call, &good[..2], all), "data");
    // A count of 0 means an empty array, whatever the pointer.
    named(prepare(Some(&client), call, &good, Without { count: Some(0), ..all }), "channels");
    for index in 0..3 {
        let mut texts = good;
        texts[index] = Some(b"\xff");
        let outcome = prepare(Some(&client), call, &texts, all).unwrap_err();
        outcome.is("INVALID_ARGUMENT", "not_sent");
        assert!(outcome.text("message").contains("UTF-8"), "{outcome:?}");
        assert_ne!(outcome.text("argument"), "");
    }
    for unknown in [
        "",
        "Trigger",
        "pusher_trigger",
        "trigger ",
        "trigger\n",
        "authenticate",
        "authenticate_user",
        "validate_webhook",
        "new",
        "prepare",
        "ä",
    ] {
        no_call(prepare(Some(&client), Some(unknown.as_bytes()), &good, all));
    }
    no_call(prepare(Some(&client), Some(b"\xff"), &good, all));
    for function in Function::network() {
        let delivery = function.delivery_unsent();
        let mut texts = function.good();
        prepare(Some(&client), Some(function.name.as_bytes()), &texts, all).unwrap();
        texts.push(None);
        // Even a NULL is one too many: a later version may give it a meaning.
        let outcome = prepare(Some(&client), Some(function.name.as_bytes()), &texts, all).unwrap_err();
        refused(&outcome, delivery, "count");
        texts.extend([Some(&b"x"[..]); 100]);
        let outcome = prepare(Some(&client), Some(function.name.as_bytes()), &texts, all).unwrap_err();
        refused(&outcome, delivery, "count");
    }
}

#[test]
fn finish_names_a_null_argument_and_does_not_consume_the_request() {
    let client = Client::new(&crate::support::config(1, json!({})));
    let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("{}")]);
    let reply = Reply::new();
    reply.set(200, b"{}");
    for (outcome, argument) in [
        (finish(None, Some(&request), Some(&reply)), "client"),
        (finish(Some(&client), None, Some(&reply)), "request"),
        (finish(Some(&client), Some(&request), None), "response"),
        (finish(None, None, None), "client"),
    ] {
        refused(&outcome, outcome.delivery(), argument);
    }
    client.finish(&request, &reply).is_ok("{}");
}

#[test]
fn a_failed_finish_never_reports_not_sent() {
    // The request may have been sent, and an error of finish itself does not change that.
    let client = Client::new(&crate::support::config(1, json!({})));
    for function in Function::network() {
        let texts: Vec<Option<&str>> = function.arguments.iter().map(|argument| Some(argument.good)).collect();
        let request = client.prepare(function.name, &texts);
        let reply = Reply::new();
        for outcome in [finish(None, Some(&request), Some(&reply)), finish(Some(&client), Some(&request), None)] {
            assert_eq!(outcome.name(), "INVALID_ARGUMENT");
            assert_ne!(outcome.delivery(), "not_sent", "{}: {outcome:?}", function.name);
        }
    }
}

#[test]
fn a_request_is_finished_once() {
    let client = Client::new(&crate::support::config(1, json!({})));
    let (good, bad) = (Reply::new(), Reply::new());
    good.set(200, b"{}");
    bad.set(400, b"no");
    for first in [&good, &bad] {
        let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("{}")]);
        client.finish(&request, first);
        for _ in 0..2 {
            let outcome = client.finish(&request, &good);
            assert_eq!((outcome.name(), outcome.delivery()), ("INVALID_STATE", ""));
            outcome.naming("request");
        }
        // The request can still be read.
        assert_eq!(request.read().method, "POST");
    }
}

#[test]
fn functions_without_a_result_ignore_null() {
    hooks::read_and_set_null();
}

#[test]
fn a_webhook_with_invalid_pointers_is_refused() {
    let client = Client::new(&crate::support::config(1, json!({})));
    let (key, signature): (Option<&[u8]>, Option<&[u8]>) = (Some(b"k"), Some(b"s"));
    let body = b"{}";
    refused(&webhook(None, key, signature, body.as_ptr(), 2), "", "client");
    refused(&webhook(None, None, None, ptr::null(), 0), "", "client");
    refused(&webhook(Some(&client), key, signature, ptr::null(), 1), "", "body");
    refused(&webhook(Some(&client), key, signature, ptr::null(), usize::MAX), "", "body");
    for length in [usize::MAX, isize::MAX as usize + 1] {
        refused(&webhook(Some(&client), key, signature, body.as_ptr(), length), "", "body");
    }
    // (NULL, 0) is an empty body, but the signature is not that of one.
    for nowhere in [ptr::null(), NonNull::dangling().as_ptr(), body.as_ptr()] {
        let outcome = webhook(Some(&client), Some(crate::support::KEY.as_bytes()), signature, nowhere, 0);
        outcome.is("WEBHOOK_INVALID", "").naming("signature");
    }
}

#[test]
fn callbacks_are_dropped_exactly_once() {
    use std::sync::atomic::Ordering::SeqCst;
    // Neither a client nor a callback: dropped at once.
    for (client, function) in [(false, false), (false, true), (true, false)] {
        let real = Client::new(&crate::support::config(1, json!({})));
        let client = client.then_some(&real);
        let missing = if function { "client" } else { "" };
        let (outcome, drops) = hooks::set_transport(client, function.then(|| Box::new(|_: &_, _: &_| ()) as Box<_>));
        outcome.is("INVALID_ARGUMENT", "");
        assert!([missing, "send"].contains(&&*outcome.text("argument")), "{outcome:?}");
        assert_eq!(drops.load(SeqCst), 1);
        let (outcome, messages, log_drops) = hooks::set_log(client, function);
        outcome.is("INVALID_ARGUMENT", "");
        assert!([missing, "log"].contains(&&*outcome.text("argument")), "{outcome:?}");
        assert_eq!(log_drops.load(SeqCst), 1);
        drop(real);
        assert_eq!((drops.load(SeqCst), log_drops.load(SeqCst)), (1, 1));
        assert!(messages.take().is_empty());
    }
    // A second one is dropped at once, the first with the client.
    let client = Client::new(&crate::support::config(1, json!({})));
    let first = client.send_by(answer_ok);
    let (_, first_log) = client.log();
    let (outcome, second) = hooks::set_transport(Some(&client), Some(Box::new(|_, _| ())));
    outcome.is("INVALID_STATE", "");
    let (outcome, _, second_log) = hooks::set_log(Some(&client), true);
    outcome.is("INVALID_STATE", "");
    client.trigger("c", "e", "{}").is_ok("{}");
    // One that is set after the first call is dropped at once, too.
    let (outcome, third) = hooks::set_transport(Some(&client), Some(Box::new(|_, _| ())));
    outcome.is("INVALID_STATE", "");
    let counts = || [&first, &first_log, &second, &second_log, &third].map(|drops| drops.load(SeqCst));
    assert_eq!(counts(), [0, 0, 1, 1, 1]);
    drop(client);
    assert_eq!(counts(), [1, 1, 1, 1, 1]);
}

#[test]
fn callbacks_must_be_set_before_the_first_call() {
    let server = Server::start([]);
    for function in Function::network() {
        let client = server.client();
        function.call(Some(&client), &function.good());
        let (outcome, _) = hooks::set_transport(Some(&client), Some(Box::new(|_, _| ())));
        assert_eq!((outcome.name(), outcome.delivery()), ("INVALID_STATE", ""), "{}", function.name);
        let (outcome, ..) = hooks::set_log(Some(&client), true);
        assert_eq!((outcome.name(), outcome.delivery()), ("INVALID_STATE", ""), "{}", function.name);
    }
    // A function that sends nothing does not count as a call.
    let client = server.client();
    client.trigger("no channel", "e", "{}");
    client.call_with("authenticate", &["private-c", "1.1"]).document.unwrap();
    client.webhook(None, None, b"{}");
    client.prepare("trigger", &[Some("c"), Some("e"), Some("{}")]);
    client.send_by(answer_ok);
    client.log();
    // Without a drop callback, the data is not released.
    let client = server.client();
    assert_eq!(hooks::set_without_drop(&client), [0, 0]);
    client.trigger("c", "e", "{}").is("DELIVERY_UNKNOWN", "unknown").because("transport");
}

#[test]
fn a_failing_call_accepts_null_for_out() {
    let server = Server::builder().answering(|_| Answer::new(403, &[], "no")).start();
    let client = server.client();
    for function in Function::network() {
        assert_eq!(function.call_without_out(Some(&client), &function.good()), 42);
        let nothing = vec![Some(&b""[..]); function.arguments.len()];
        assert_eq!(function.call_without_out(Some(&client), &nothing), 1);
    }
}

#[test]
fn a_string_of_any_length_is_refused_cleanly() {
    let client = Client::new(&crate::support::config(1, json!({})));
    let long = "a".repeat(1 << 20);
    for function in FUNCTIONS {
        for (index, argument) in function.arguments.iter().enumerate() {
            let outcome = function.call(Some(&client), &function.with(index, Some(long.as_bytes())));
            // Only the limit of the URL applies to a list of attributes (below).
            if argument.form != Form::Attributes {
                refused(&outcome, function.delivery_unsent(), argument.name);
                assert!(outcome.document.unwrap().len() < 2000);
            }
        }
    }
}

#[test]
fn the_argument_that_makes_a_url_too_long_is_named() {
    let client = Client::new(&crate::support::config(1, json!({})));
    let list = "user_count,".repeat(1000);
    let list = list.trim_end_matches(',');
    let path = format!("/{}", "a".repeat(8000));
    let params = json!({"x": "a".repeat(8000)}).to_string();
    let mut wrong = Vec::new();
    for (name, texts, argument) in [
        ("channels_info", vec![None, Some(list)], "attributes"),
        ("channel_info", vec![Some("c"), Some(list)], "attributes"),
        ("get", vec![Some(&*path)], "path"),
        ("post", vec![Some(&*path)], "path"),
        ("get", vec![Some("/x"), Some(&*params)], "params"),
        ("post", vec![Some("/x"), Some(&*params)], "params"),
    ] {
        let outcome = client.call(name, &texts);
        outcome.is("INVALID_ARGUMENT", Function::named(name).delivery_unsent());
        if outcome.text("argument") != argument {
            wrong.push(format!("{name} names {} and not {argument}", outcome.text("argument")));
        }
        assert!(outcome.document.unwrap().len() < 2000);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nesting_costs_no_stack_in_any_string() {
    const DEPTH: usize = 100_000;
    let arrays = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let object = |before: &str, key: &str| format!("{{{before}\"{key}\":{arrays}}}");
    let key = calls::base64(MASTER_KEY.as_bytes());
    let client = Client::new(&crate::support::config(1, json!({"encryption_master_key_base64": key})));
    std::thread::scope(|scope| {
        let body = || {
            for function in FUNCTIONS {
                for (index, argument) in function.arguments.iter().enumerate() {
                    // The error depends on the argument: most must not be an array. The call must return an error and not crash.
                    for text in [arrays.as_str(), &arrays[..DEPTH], &object("", "x"), &object("", "info")] {
                        let outcome = function.call(Some(&client), &function.with(index, Some(text.as_bytes())));
                        let refused = matches!(outcome.name(), "INVALID_ARGUMENT" | "PAYLOAD_TOO_LARGE");
                        // The body of a POST is any JSON.
                        assert!(refused || argument.name == "body", "{} {}", function.name, argument.name);
                    }
                }
            }
            let deep = object(r#""user_id":"1","user_info":{},"#, "x");
            client.call_with("authenticate", &["presence-c", "1.1", &deep]).document.unwrap();
            client.call_with("authenticate", &["private-c", "1.1", &arrays]).document.unwrap();
            client.call_with("authenticate_user", &["1.1", &object(r#""id":"1","#, "x")]).document.unwrap();
            let events = format!(r#"[{{"channel":"c","name":"e","data":{arrays}}}]"#);
            client.call_with("trigger_batch", &[&events]).is("PAYLOAD_TOO_LARGE", "not_sent").naming("events[0].data");
            let event = format!(
                r#"{{"time_ms":{},"events":[{{"name":"client_event","channel":"private-encrypted-c","data":{arrays}}}]}}"#,
                crate::support::now_ms()
            );
            let signature = crate::support::signature::hmac_hex(crate::support::SECRET.as_bytes(), event.as_bytes());
            let outcome =
                client.webhook(Some(crate::support::KEY.as_bytes()), Some(signature.as_bytes()), event.as_bytes());
            assert_eq!(outcome.status, 0);
            assert!(outcome.document.unwrap().contains("decryption_error"));
        };
        let small = std::thread::Builder::new().stack_size(128 * 1024);
        small.spawn_scoped(scope, body).unwrap().join().unwrap();
    });
}

#[test]
fn only_publishing_calls_report_a_delivery() {
    let nobody = Client::new(&crate::support::config(1, json!({})));
    for function in Function::network() {
        let outcome = function.call(Some(&nobody), &function.good());
        outcome.is("NOT_SENT", function.delivery_unsent()).because("connect");
        let error = outcome.error();
        assert_eq!((&error["retryable"], &error["attempts"]), (&json!(true), &Value::from(1)));
    }
}
