//! Webhooks: a webhook is authentic only if a known key signed it recently.

use crate::support::secretbox::encrypted;
use crate::support::signature::hmac_hex;
use crate::support::{Client, KEY, MASTER_KEY, Outcome, SECRET, WEBHOOK_SECRET, calls, config, in_time, now_ms};
use serde_json::{Value, json};

const CHANNEL: &str = "private-encrypted-a";

fn client_with(more: Value) -> Client {
    Client::new(&config(1, more))
}

fn client() -> Client {
    client_with(json!({}))
}

/// Returns a body with the present time.
fn body(events: &str) -> String {
    format!(r#"{{"time_ms":{},"events":{events}}}"#, now_ms())
}

/// Signs a body with the application's key, and validates it.
#[track_caller]
fn signed(client: &Client, body: &[u8]) -> Outcome {
    client.webhook(Some(KEY.as_bytes()), Some(hmac_hex(SECRET.as_bytes(), body).as_bytes()), body)
}

#[track_caller]
fn invalid(outcome: &Outcome, argument: &str) {
    outcome.is("WEBHOOK_INVALID", "").naming(argument);
}

#[test]
fn an_authentic_webhook_is_returned_unchanged() {
    let client = client();
    for events in [
        "[]",
        r#"[{"name":"channel_occupied","channel":"a"},{"name":"channel_vacated","channel":"b"}]"#,
        r#"[ {"name" :"member_added", "channel":"presence-a","user_id":"\u00e9"} , {"name":"new_kind","n":1e400,"n":2} ]"#,
        r#"[{"name":"client_event","channel":"private-a","event":"client-x","data":"{\"a\":1}","socket_id":"1.2"}]"#,
        // Some servers send data as an object.
        r#"[{"name":"client_event","channel":"private-a","event":"client-x","data":{"a":[ 1 ]},"socket_id":"1.2"}]"#,
        r#"[{"name":"cache_miss","channel":"cache-a"},{"name":"subscription_count","subscription_count":3}]"#,
        // Without a master key, only the time is parsed.
        "null",
        r#"{"a":"b"}"#,
    ] {
        let body = body(events);
        signed(&client, body.as_bytes()).is_ok(&body);
    }
    let spaced = format!(" {}\r\n", body("[]"));
    signed(&client, spaced.as_bytes()).is_ok(spaced.trim());
}

#[test]
fn events_of_sockudo_pass_unchanged() {
    const SERIAL: &str = "00000000000000000001:test:00000000000000000001";
    let events = json!([
        {"name": "member_updated", "channel": "presence-a", "user_id": "1", "user_info": {"name": "é"}},
        {"name": "ai_run_started", "channel": "ai:a", "run_id": null, "client_id": "c"},
        {"name": "ai_run_ended", "channel": "ai:a", "run_id": "r", "reason": "done", "error_code": null},
        {"name": "ai_turn_started", "channel": "ai:a", "turn_id": "t", "client_id": "c"},
        {"name": "ai_turn_ended", "channel": "ai:a", "turn_id": "t", "reason": "done", "error_code": 5},
        {"name": "ai_cancel_requested", "channel": "ai:a", "run_id": "t", "turn_id": "t", "client_id": null},
        {"name": "ai_stream_cancelled", "channel": "ai:a", "message_serial": SERIAL, "reason": "r"},
        {"name": "ai_stream_orphaned", "channel": "ai:a", "message_serial": SERIAL, "reason": "r"},
        {"name": "message_version_created", "channel": "a#1", "message_serial": SERIAL, "version_serial": SERIAL, "action": "update"},
        {"name": "annotation_created", "channel": "a", "message_serial": SERIAL, "annotation_serial": SERIAL, "annotation_type": "t"},
        {"name": "annotation_deleted", "channel": "a", "message_serial": SERIAL, "annotation_serial": SERIAL,
            "deleted_annotation_serial": SERIAL, "annotation_type": "t"},
        {"name": "no_channel", "data": {"channel": 1}},
        {"name": "client_event", "data": "no channel"},
        {"name": "client_event", "channel": null, "data": 1},
        {},
        "no object",
    ]);
    let page = include_str!("../../docs/webhooks.md");
    let names = events.as_array().unwrap().iter().filter_map(|event| event["name"].as_str());
    for name in names.filter(|name| *name != "no_channel") {
        assert!(page.contains(&format!("`{name}`")), "docs/webhooks.md does not name {name}");
    }
    let body = body(&events.to_string());
    for more in [
        json!({}),
        json!({"server": "sockudo"}),
        json!({"encryption_master_key_base64": calls::base64(MASTER_KEY.as_bytes())}),
    ] {
        signed(&client_with(more), body.as_bytes()).is_ok(&body);
    }
}

#[test]
fn a_time_in_another_form_is_named_with_its_remedy() {
    let webhook =
        |more: Value, time: &str| signed(&client_with(more), format!(r#"{{"time_ms":{time},"events":[]}}"#).as_bytes());
    let seconds = (now_ms() / 1000).to_string();
    for (time, remedy) in [
        (&*seconds, "set webhook_max_age_ms to 0"),
        ("0", "set webhook_max_age_ms to 0"),
        (&*format!("\"{}\"", now_ms()), "set server to slanger"),
    ] {
        let outcome = webhook(json!({}), time);
        invalid(&outcome, "body.time_ms");
        assert!(outcome.text("message").contains(remedy), "{time}: {outcome:?}");
        // Without the check, every form is accepted.
        assert_eq!(webhook(json!({"webhook_max_age_ms": 0}), time).name(), "OK");
    }
}

#[test]
fn the_time_window_is_ten_minutes_back_and_one_minute_ahead() {
    let client = client();
    let at = |time: u64| signed(&client, format!(r#"{{"time_ms":{time},"events":[]}}"#).as_bytes());
    let oldest = 600_000;
    let ahead = 60_000;
    // The clock allows a few milliseconds; a stalled machine may need more, but not three times in a row.
    in_time(|| {
        let now = now_ms();
        let outcomes = [at(now - oldest + 25), at(now + ahead), at(now - oldest - 1), at(now + ahead + 25)];
        let found: Vec<&str> = outcomes.iter().map(Outcome::name).collect();
        match found == ["OK", "OK", "WEBHOOK_INVALID", "WEBHOOK_INVALID"] {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    });
    for time in [0, 1, now_ms() - 3_600_000, now_ms() + 3_600_000, now_ms() / 1000, u64::MAX, u64::MAX - 1] {
        invalid(&at(time), "body.time_ms");
    }
}

#[test]
fn the_edge_of_the_time_window_is_exact_to_the_millisecond() {
    // The clock advances between two readings. So the result must be right for one of the milliseconds that the call
    // lasted.
    let client = client_with(json!({"webhook_max_age_ms": 1000}));
    let (mut fitted, mut missed) = (0, 0);
    for offset in (-40..40i64).cycle().take(400) {
        let time = now_ms() as i64 - 1000 + offset / 20;
        let body = format!(r#"{{"time_ms":{time},"events":[]}}"#);
        let signature = hmac_hex(SECRET.as_bytes(), body.as_bytes());
        let before = now_ms() as i64;
        let outcome = client.webhook(Some(KEY.as_bytes()), Some(signature.as_bytes()), body.as_bytes());
        let after = now_ms() as i64;
        match outcome.name() {
            "OK" => assert!(time + 1000 >= before, "{time} fits from {before} to {after}"),
            _ => assert!(time + 1000 < after, "{time} does not fit from {before} to {after}"),
        }
        *(if outcome.status == 0 { &mut fitted } else { &mut missed }) += 1;
    }
    assert!(fitted > 20 && missed > 20, "{fitted} and {missed}: nothing was shown");
}

#[test]
fn a_webhook_without_a_time_is_refused_unless_the_window_is_off() {
    let strict = client();
    let lax = client_with(json!({"webhook_max_age_ms": 0}));
    for body in [
        r#"{"events":[]}"#,
        r#"{"time_ms":null,"events":[]}"#,
        r#"{"time_ms":"1403175510755","events":[]}"#,
        r#"{"time_ms":1403175510755.5,"events":[]}"#,
        r#"{"time_ms":1e12,"events":[]}"#,
        r#"{"time_ms":-1,"events":[]}"#,
        r#"{"time_ms":99999999999999999999999,"events":[]}"#,
        "{}",
    ] {
        invalid(&signed(&strict, body.as_bytes()), "body.time_ms");
        signed(&lax, body.as_bytes()).is_ok(body);
    }
    let old = r#"{"time_ms":1,"events":[]}"#;
    signed(&lax, old.as_bytes()).is_ok(old);
    let ahead = format!(r#"{{"time_ms":{},"events":[]}}"#, u64::MAX);
    signed(&lax, ahead.as_bytes()).is_ok(&ahead);
}

#[test]
fn every_changed_byte_of_body_and_signature_is_found() {
    let client = client();
    let body = body(r#"[{"name":"channel_occupied","channel":"a"}]"#).into_bytes();
    let signature = hmac_hex(SECRET.as_bytes(), &body);
    let validate = |signature: &[u8], body: &[u8]| client.webhook(Some(KEY.as_bytes()), Some(signature), body);
    assert_eq!(validate(signature.as_bytes(), &body).name(), "OK");
    for at in 0..body.len() {
        for bit in [1, 0x20, 0x80] {
            let mut changed = body.clone();
            changed[at] ^= bit;
            invalid(&validate(signature.as_bytes(), &changed), "signature");
        }
    }
    for at in 0..signature.len() {
        let mut changed = signature.clone().into_bytes();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        invalid(&validate(&changed, &body), "signature");
    }
    invalid(&validate(signature.as_bytes(), &body[..body.len() - 1]), "signature");
    invalid(&validate(signature.as_bytes(), &[&body[..], b" "].concat()), "signature");
    invalid(&validate(signature.as_bytes(), b""), "signature");
}

#[test]
fn a_signature_is_64_digits_of_hex_in_either_case() {
    let client = client();
    let body = body("[]");
    let good = hmac_hex(SECRET.as_bytes(), body.as_bytes());
    let validate = |signature: &[u8]| client.webhook(Some(KEY.as_bytes()), Some(signature), body.as_bytes());
    validate(good.as_bytes()).is_ok(&body);
    validate(good.to_uppercase().as_bytes()).is_ok(&body);
    for wrong in [
        "",
        "x",
        &good[1..],
        &good[..63],
        &good[..62],
        &format!("{good}0"),
        &format!("{good}00"),
        &format!("{good} "),
        &format!(" {good}"),
        &format!("{good}\n"),
        &format!("0x{good}"),
        &format!("{}g", &good[..63]),
        &good.replace(|c: char| c.is_ascii_digit(), "é"),
        &format!("sha256={good}"),
        &calls::base64(good.as_bytes()),
        &"0".repeat(64),
        &"0".repeat(1 << 20),
    ] {
        invalid(&validate(wrong.as_bytes()), "signature");
    }
    for wrong in [&b"\xff"[..], &[0x80; 64], &[&good.as_bytes()[..63], b"\xff"].concat()] {
        invalid(&validate(wrong), "signature");
    }
}

#[test]
fn a_missing_header_is_named() {
    let client = client();
    let body = body("[]");
    let good = hmac_hex(SECRET.as_bytes(), body.as_bytes());
    invalid(&client.webhook(None, Some(good.as_bytes()), body.as_bytes()), "key");
    invalid(&client.webhook(Some(KEY.as_bytes()), None, body.as_bytes()), "signature");
    invalid(&client.webhook(None, None, body.as_bytes()), "key");
    for wrong in ["", "x", "TEST-KEY_1", "test-key_1 ", "test-key_", "test-key_1\n", "é"] {
        invalid(&client.webhook(Some(wrong.as_bytes()), Some(good.as_bytes()), body.as_bytes()), "key");
    }
    invalid(&client.webhook(Some(b"\xff"), Some(good.as_bytes()), body.as_bytes()), "key");
}

#[test]
fn webhook_tokens_allow_key_rotation() {
    let client = client_with(json!({"webhook_tokens": [
        {"key": "new-key", "secret": WEBHOOK_SECRET},
        {"secret": "third", "key": "third-key"},
        // The application's own key may be in the list, too.
        {"key": KEY, "secret": SECRET},
    ]}));
    let body = body("[]");
    for (key, secret, good) in [
        (KEY, SECRET, true),
        ("new-key", WEBHOOK_SECRET, true),
        ("third-key", "third", true),
        // Each key is valid with its own secret only.
        (KEY, WEBHOOK_SECRET, false),
        ("new-key", SECRET, false),
        ("new-key", "third", false),
        ("fourth-key", "third", false),
    ] {
        let signature = hmac_hex(secret.as_bytes(), body.as_bytes());
        let outcome = client.webhook(Some(key.as_bytes()), Some(signature.as_bytes()), body.as_bytes());
        if good {
            outcome.is_ok(&body);
        } else {
            invalid(&outcome, if key == "fourth-key" { "key" } else { "signature" });
        }
    }
}

#[test]
fn webhook_tokens_are_checked_by_new() {
    for (tokens, key) in [
        (json!({}), "webhook_tokens"),
        (json!("x"), "webhook_tokens"),
        (json!(["x"]), "webhook_tokens[0]"),
        (json!([{"key": "k"}]), "webhook_tokens[0].secret"),
        (json!([{"secret": "s"}]), "webhook_tokens[0].key"),
        (json!([{"key": "", "secret": "s"}]), "webhook_tokens[0].key"),
        (json!([{"key": "k", "secret": null}]), "webhook_tokens[0].secret"),
        (json!([null]), "webhook_tokens[0]"),
        (json!([{"key": "k", "secret": "s"}, {"key": "k l", "secret": "s"}]), "webhook_tokens[1].key"),
        (json!([{"key": "k", "secret": ""}]), "webhook_tokens[0].secret"),
        (json!([{"key": 1, "secret": "s"}]), "webhook_tokens[0].key"),
        (json!([{"key": "k", "secret": "s", "colour": 1}]), "webhook_tokens[0].colour"),
    ] {
        let config = config(1, json!({"webhook_tokens": tokens}));
        Client::try_new(Some(config.as_bytes())).unwrap_err().is("INVALID_CONFIG", "").naming(key);
    }
    let twice = config(1, json!({})).replacen('{', r#"{"webhook_tokens":[{"key":"k","secret":"s","key":"l"}],"#, 1);
    let outcome = Client::try_new(Some(twice.as_bytes())).unwrap_err();
    outcome.is("INVALID_CONFIG", "").naming("webhook_tokens[0].key");
    for more in [json!({"webhook_tokens": []}), json!({"webhook_max_age_ms": 0}), json!({"webhook_max_age_ms": 1})] {
        client_with(more);
    }
    for age in [json!(-1), json!("1"), json!(1.5)] {
        let config = config(1, json!({"webhook_max_age_ms": age}));
        Client::try_new(Some(config.as_bytes())).unwrap_err().is("INVALID_CONFIG", "").naming("webhook_max_age_ms");
    }
}

#[test]
fn an_authentic_body_that_is_not_an_object_is_refused() {
    let client = client_with(json!({"webhook_max_age_ms": 0}));
    let not_utf_8 = b"{\"time_ms\":1,\"x\":\"\xff\"}";
    for body in [
        &b""[..],
        b" ",
        b"x",
        b"null",
        b"[]",
        b"1",
        b"\"{}\"",
        b"{",
        b"{}}",
        b"{}\0",
        b"\0{}",
        b"{\"a\0\":1}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\"\n\"}",
        not_utf_8,
    ] {
        invalid(&signed(&client, body), "body");
    }
    // An escaped NUL does not end the string.
    let nul = r#"{"a":"\u0000"}"#;
    signed(&client, nul.as_bytes()).is_ok(nul);
    // A duplicate time is refused.
    let twice = format!(r#"{{"time_ms":1,"time_ms":{}}}"#, now_ms());
    assert_eq!(signed(&client, twice.as_bytes()).name(), "WEBHOOK_INVALID");
}

#[test]
fn a_body_is_parsed_only_after_its_signature_is_verified() {
    let client = client();
    for body in [&b"x"[..], b"\xff", b"", b"{}", b"{\"time_ms\":1}", b"\0"] {
        let outcome = client.webhook(Some(KEY.as_bytes()), Some("0".repeat(64).as_bytes()), body);
        invalid(&outcome, "signature");
    }
}

fn event(channel: &str, data: &str) -> String {
    format!(r#"{{"name":"client_event" ,"channel":"{channel}","event":"client-x","data": {data},"socket_id":"1.2"}}"#)
}

#[test]
fn data_on_encrypted_channels_is_decrypted_in_place() {
    let key = calls::base64(MASTER_KEY.as_bytes());
    let client = client_with(json!({"encryption_master_key_base64": key}));
    let sealed = |nonce: u8, plain: &str| encrypted(CHANNEL, MASTER_KEY.as_bytes(), &[nonce; 24], plain.as_bytes());
    let quoted = |text: &str| json!(text).to_string();
    let plains = [r#"{"a":[1, 2]}"#, "", "é😀\u{0}\"\\\n", &"x".repeat(100_000)];
    for (index, plain) in plains.into_iter().enumerate() {
        let sealed = sealed(index as u8, plain);
        let other = r#"{ "name":"member_added","channel":"presence-a","user_id":"1" }"#;
        // As a string, or as an object.
        for data in [quoted(&sealed), sealed] {
            let list = |data: &str| body(&format!("[{},{other} , {}]", event(CHANNEL, data), event(CHANNEL, data)));
            let body = list(&data);
            let time = &body[..body.find(",\"events\"").unwrap()];
            let expected = list(&quoted(plain));
            let expected = format!("{time}{}", &expected[expected.find(",\"events\"").unwrap()..]);
            signed(&client, body.as_bytes()).is_ok(&expected);
        }
    }
    // The string may have escapes, and the members may be in any order.
    let sealed = sealed(9, "plain").replace('"', "\\u0022");
    let body =
        body(&format!(r#"[{{"data":"{sealed}","channel":"private\u002dencrypted-a","n\u0061me":"client_event"}}]"#));
    let outcome = signed(&client, body.as_bytes());
    let payload: Value = serde_json::from_str(&outcome.document.unwrap()).unwrap();
    assert_eq!(payload["events"][0]["data"], "plain");
}

#[test]
fn undecryptable_data_does_not_affect_other_events() {
    let key = calls::base64(MASTER_KEY.as_bytes());
    let client = client_with(json!({"encryption_master_key_base64": key}));
    let quoted = |text: &str| json!(text).to_string();
    let good = quoted(&encrypted(CHANNEL, MASTER_KEY.as_bytes(), &[1; 24], b"plain"));
    let elsewhere = quoted(&encrypted("private-encrypted-b", MASTER_KEY.as_bytes(), &[2; 24], b"plain"));
    let binary = quoted(&encrypted(CHANNEL, MASTER_KEY.as_bytes(), &[3; 24], b"\xff"));
    for bad in [
        &*elsewhere,
        &binary,
        "\"\"",
        "\"x\"",
        "\"{}\"",
        "{}",
        "null",
        "1",
        "[]",
        r#""{\"nonce\":\"x\",\"ciphertext\":\"y\"}""#,
        r#"{"nonce":"AAAA","ciphertext":"AAAA"}"#,
        r#"{"nonce":1,"ciphertext":2}"#,
        "\"\\ud800\"",
        &good.replace("nonce", "nonces"),
    ] {
        let body = body(&format!("[{},{},{}]", event(CHANNEL, &good), event(CHANNEL, bad), event(CHANNEL, &good)));
        let outcome = signed(&client, body.as_bytes());
        assert_eq!(outcome.name(), "OK", "{bad}: {outcome:?}");
        let document = outcome.document.unwrap();
        // Undecryptable data is unchanged, including a lone surrogate, which a JSON tree cannot represent.
        assert!(document.contains(&format!("\"data\": {bad},")), "{document}");
        let payload: Value = serde_json::from_str(&document.replace("\\ud800", "?")).unwrap();
        let events = payload["events"].as_array().unwrap();
        assert_eq!((&events[0]["data"], &events[2]["data"]), (&json!("plain"), &json!("plain")));
        assert!(events[1]["decryption_error"].is_string(), "{document}");
        assert!(events[0].get("decryption_error").is_none() && events[2].get("decryption_error").is_none());
    }
}

#[test]
fn only_client_events_on_encrypted_channels_are_decrypted() {
    let key = calls::base64(MASTER_KEY.as_bytes());
    let client = client_with(json!({"encryption_master_key_base64": key}));
    let sealed = json!(encrypted(CHANNEL, MASTER_KEY.as_bytes(), &[1; 24], b"plain")).to_string();
    let untouched = [
        event("private-a", &sealed),
        event("private-encrypted", &sealed),
        event("presence-a", "{\"a\":1}"),
        event(CHANNEL, &sealed).replace("client_event", "channel_occupied"),
        r#"{"name":"channel_occupied","channel":"private-encrypted-a"}"#.to_owned(),
        r#"{"name":"client_event","channel":"private-encrypted-a"}"#.to_owned(),
        r#"{"name":"client_event","data":"x"}"#.to_owned(),
        r#"{"name":1,"channel":["private-encrypted-a"],"data":"x"}"#.to_owned(),
        "1".to_owned(),
        "null".to_owned(),
        "[[]]".to_owned(),
    ];
    let body = body(&format!("[{}]", untouched.join(" , ")));
    signed(&client, body.as_bytes()).is_ok(&body);
    // Without a master key, no event is decrypted.
    let body = self::body(&format!("[{}]", event(CHANNEL, &sealed)));
    signed(&self::client(), body.as_bytes()).is_ok(&body);
}

#[test]
fn threads_share_one_client_for_validation() {
    let client = client();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for call in 0..100 {
                    let body = body(&format!("[{thread},{call}]"));
                    signed(client, body.as_bytes()).is_ok(&body);
                    invalid(&client.webhook(Some(KEY.as_bytes()), Some(b"00"), body.as_bytes()), "signature");
                }
            });
        }
    });
}
