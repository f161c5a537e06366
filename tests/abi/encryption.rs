//! End-to-end encrypted channels: subscribers can decrypt what is sent, checked with another implementation of the cipher
//! (`crate::support::secretbox`), which must agree with the peers' vectors first.

use std::collections::HashSet;
use std::thread;

use crate::support::functions::Function;
use crate::support::secretbox::{self, channel_key};
use crate::support::{Client, MASTER_KEY, Outcome, Reply, Server, calls, config};
use serde_json::{Value, json};

const CHANNEL: &str = "private-encrypted-a";

fn master_key() -> Value {
    json!({"encryption_master_key_base64": calls::base64(MASTER_KEY.as_bytes())})
}

/// Returns the data of an event as a subscriber of `channel` decrypts it.
#[track_caller]
fn read(channel: &str, data: &Value) -> String {
    let data = data.as_str().expect("data is a string");
    secretbox::decrypted(channel, MASTER_KEY.as_bytes(), data).unwrap_or_else(|| panic!("{channel} can't read {data}"))
}

#[test]
fn the_tests_cipher_agrees_with_the_peers_vectors() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../vectors/peers.json")).unwrap();
    let mut tried = 0;
    for vector in vectors {
        let (inputs, expected) = (&vector["inputs"], &vector["expected"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (channel, key) = (text(&inputs["channel"]), text(&inputs["master_key_utf8"]));
        match vector["kind"].as_str() {
            Some("encrypt") => {
                let nonce = text(&inputs["nonce_utf8"]).into_bytes().try_into().unwrap();
                let plain = text(&inputs["plaintext"]);
                let sealed = secretbox::encrypted(&channel, key.as_bytes(), &nonce, plain.as_bytes());
                let sealed: Value = serde_json::from_str(&sealed).unwrap();
                assert_eq!(sealed, json!({"nonce": expected["nonce"], "ciphertext": expected["ciphertext"]}));
            }
            Some("decrypt") => {
                let plain = secretbox::decrypted(&channel, key.as_bytes(), &text(&inputs["payload"]));
                assert_eq!(plain.as_deref(), expected["plaintext"].as_str(), "{vector}");
            }
            _ => continue,
        }
        tried += 1;
    }
    assert_eq!(tried, 3);
    // Every length around the size of a block, encrypted and decrypted.
    let (key, nonce) = (channel_key("c", MASTER_KEY.as_bytes()), [7; 24]);
    for length in (0..70).chain([127, 128, 129, 1000]) {
        let plain: Vec<u8> = (0..length).map(|i| (i * 37) as u8).collect();
        let mut sealed = secretbox::seal(&key, &nonce, &plain);
        assert_eq!(secretbox::open(&key, &nonce, &sealed), Some(plain));
        sealed[length] ^= 1;
        assert_eq!(secretbox::open(&key, &nonce, &sealed), None);
    }
}

#[test]
fn only_subscribers_can_decrypt_a_triggered_event() {
    let server = Server::start([]);
    let client = server.client_with(master_key());
    for channel in [CHANNEL, "private-encrypted-", "private-encrypted-cache-x", "private-encrypted-A_1-=@,.;"] {
        for (data, plain) in [
            (r#"{"a":1}"#, r#"{"a":1}"#),
            (" {\"a\" :\t1, \"a\":2}\n", "{\"a\" :\t1, \"a\":2}"),
            (r#""text""#, "text"),
            (r#""\u00e9\n\"😀\ud83d\ude00""#, "é\n\"😀😀"),
            ("\"\"", ""),
            ("1e400", "1e400"),
            ("null", "null"),
        ] {
            client.trigger(channel, "e", data).is_ok("{}");
            let sent = server.last();
            let body = sent.json();
            assert_eq!(read(channel, &body["data"]), plain);
            // The rest of the body is that of an ordinary event.
            assert_eq!((&body["name"], &body["channels"]), (&json!("e"), &json!([channel])));
            assert_eq!(body.as_object().unwrap().len(), 3);
            let data = body["data"].as_str().unwrap();
            assert_eq!(secretbox::decrypted("private-encrypted-other", MASTER_KEY.as_bytes(), data), None);
            assert_eq!(secretbox::decrypted(channel, &[0; 32], data), None);
            assert!(plain.len() < 5 || !sent.text().contains(plain));
        }
    }
}

#[test]
fn an_encrypted_event_accepts_options_and_a_list_of_one_channel() {
    let server = Server::start([]);
    let client = server.client_with(master_key());
    let options = r#"{"socket_id":"1.2","info":"subscription_count"}"#;
    client.trigger_with(&format!("[\"{CHANNEL}\"]"), "e", "1", options).is_ok("{}");
    let body = server.last().json();
    assert_eq!((&body["socket_id"], &body["info"]), (&json!("1.2"), &json!("subscription_count")));
    assert_eq!(read(CHANNEL, &body["data"]), "1");
}

#[test]
fn each_event_of_a_batch_is_encrypted_for_its_own_channel() {
    let server = Server::start([]);
    let client = server.client_with(master_key());
    let event = |channel: &str, data: Value| json!({"channel": channel, "name": "e", "data": data});
    let events = json!([
        event(CHANNEL, json!({"n": 0})),
        event("public", json!({"n": 1})),
        event("private-encrypted-b", json!("two")),
        event(CHANNEL, json!({"n": 0})),
        event("private-encrypted", json!(4)),
    ]);
    client.call_with("trigger_batch", &[&events.to_string()]).is_ok("{}");
    let batch = server.only().json()["batch"].clone();
    assert_eq!(read(CHANNEL, &batch[0]["data"]), r#"{"n":0}"#);
    assert_eq!(batch[1]["data"], r#"{"n":1}"#);
    assert_eq!(read("private-encrypted-b", &batch[2]["data"]), "two");
    assert_eq!(read(CHANNEL, &batch[3]["data"]), r#"{"n":0}"#);
    assert_eq!(batch[4]["data"], "4");
    assert_ne!(batch[0]["data"], batch[3]["data"], "a nonce was used twice");
}

#[test]
fn an_encrypted_channel_must_be_the_only_channel() {
    let server = Server::start([]);
    let client = server.client_with(master_key());
    for (channels, index) in [
        (r#"["private-encrypted-a","b"]"#, 0),
        (r#"["b","private-encrypted-a"]"#, 1),
        (r#"["private-encrypted-a","private-encrypted-b"]"#, 0),
        (r#"["private-encrypted-a","private-encrypted-a"]"#, 0),
        (r#"["a","b","\u0070rivate-encrypted-a"]"#, 2),
    ] {
        let outcome = client.trigger(channels, "e", "1");
        outcome.is("INVALID_ARGUMENT", "not_sent").naming(&format!("channels[{index}]"));
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn nothing_is_sent_without_a_master_key() {
    let server = Server::start([]);
    let client = server.client();
    let event = r#"[{"channel":"a","name":"e","data":1},{"channel":"private-encrypted-a","name":"e","data":1}]"#;
    for outcome in [client.trigger(CHANNEL, "e", "1"), client.call_with("trigger_batch", &[event])] {
        outcome.is("ENCRYPTION", "not_sent").naming("encryption_master_key_base64");
    }
    let outcome = client.call_with("authenticate", &[CHANNEL, "1.1"]);
    outcome.is("ENCRYPTION", "").naming("encryption_master_key_base64");
    assert_eq!(server.connections(), 0);
    // A name that only resembles that of an encrypted channel is not encrypted.
    for channel in ["private-encrypted", "Private-encrypted-a", "xprivate-encrypted-a", "private-encryptedx-a"] {
        client.trigger(channel, "e", r#""plain""#).is_ok("{}");
        assert_eq!(server.last().json()["data"], "plain");
    }
}

#[test]
fn encrypted_data_has_at_most_7619_bytes() {
    let server = Server::start([]);
    let client = server.client_with(master_key());
    let text = |size: usize| format!("\"{}\"", "a".repeat(size));
    let array = |size: usize| format!("[{}]", "1".repeat(size - 2));
    let accented = |size: usize| format!("\"{}{}\"", "é".repeat(size / 2), "a".repeat(size % 2));
    let batch = |data: &str| format!(r#"[{{"channel":"{CHANNEL}","name":"e","data":{data}}}]"#);
    for with_size in [text as fn(usize) -> String, array, accented] {
        for size in [7618, 7619] {
            client.trigger(CHANNEL, "e", &with_size(size)).is_ok("{}");
            let data = server.last().json()["data"].clone();
            assert!(data.as_str().unwrap().len() <= 10_240);
            assert_eq!(read(CHANNEL, &data).len(), size);
            client.call_with("trigger_batch", &[&batch(&with_size(size))]).is_ok("{}");
        }
        let accepted = server.ledger().len();
        let large = with_size(7620);
        client.trigger(CHANNEL, "e", &large).is("PAYLOAD_TOO_LARGE", "not_sent").naming("data");
        let outcome = client.call_with("trigger_batch", &[&batch(&large)]);
        outcome.is("PAYLOAD_TOO_LARGE", "not_sent").naming("events[0].data");
        assert_eq!(server.ledger().len(), accepted);
    }
}

#[test]
fn a_hundred_thousand_messages_repeat_no_nonce() {
    const THREADS: usize = 4;
    const EACH: usize = 25_000;
    let client = Client::new(&config(1, master_key()));
    // Ten messages at a time.
    let event = json!({"channel": CHANNEL, "name": "e", "data": 1});
    let batch = Value::from(vec![event; 10]).to_string();
    let nonces = || -> Vec<String> {
        let ten = |_| {
            let request = client.prepare("trigger_batch", &[Some(&batch)]).read();
            let nonces = request.text().split(r#"\"nonce\":\""#).skip(1).map(|rest| rest[..32].to_owned());
            nonces.collect::<Vec<_>>()
        };
        (0..EACH / 10).flat_map(ten).collect()
    };
    let mut seen = HashSet::new();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(nonces)).collect();
        threads.into_iter().for_each(|thread| seen.extend(thread.join().unwrap()));
    });
    assert_eq!(seen.len(), THREADS * EACH);
    // The nonces have no pattern either: each byte takes each value about equally often.
    let mut counts = [[0u32; 256]; 24];
    for nonce in &seen {
        let bytes = calls::base64_decoded(nonce);
        assert_eq!(bytes.len(), 24);
        bytes.iter().enumerate().for_each(|(at, byte)| counts[at][usize::from(*byte)] += 1);
    }
    let expected = (THREADS * EACH / 256) as u32;
    assert!(counts.iter().flatten().all(|count| count.abs_diff(expected) < expected / 2), "{counts:?}");
}

#[test]
fn a_master_key_is_strict_base64_of_32_bytes() {
    let refused = |text: &str| -> Outcome {
        let config = config(1, json!({"encryption_master_key_base64": text}));
        let outcome = Client::try_new(Some(config.as_bytes())).expect_err(text);
        outcome.is("INVALID_CONFIG", "").naming("encryption_master_key_base64");
        assert!(text.len() < 8 || !outcome.document.as_deref().unwrap().contains(text), "{outcome:?}");
        outcome
    };
    let good = calls::base64(&[0xfb; 32]);
    for wrong in [
        "AAAA",
        good.trim_end_matches('='),
        &good.replace('+', "-").replace('/', "_"),
        &format!("{good}="),
        &format!(" {good}"),
        &format!("{good}\n"),
        &calls::base64(&[1; 31]),
        &calls::base64(&[1; 33]),
        &calls::base64(&[1; 64]),
        &good.replace('7', "é"),
        // Bits after the last byte that are not 0.
        &format!("{}9=", &good[..42]),
    ] {
        refused(wrong);
    }
    for other in [json!(1), json!([1, 2]), json!({})] {
        let config = config(1, json!({"encryption_master_key_base64": other}));
        let outcome = Client::try_new(Some(config.as_bytes())).unwrap_err();
        outcome.is("INVALID_CONFIG", "").naming("encryption_master_key_base64");
    }
}

#[test]
fn a_master_key_may_contain_any_byte() {
    let server = Server::start([]);
    for key in [[0; 32], [0xff; 32], std::array::from_fn(|i| (i % 3) as u8)] {
        let client = server.client_with(json!({"encryption_master_key_base64": calls::base64(&key)}));
        client.trigger(CHANNEL, "e", r#""x""#).is_ok("{}");
        let data = server.last().json()["data"].as_str().unwrap().to_owned();
        assert_eq!(secretbox::decrypted(CHANNEL, &key, &data).as_deref(), Some("x"));
    }
}

#[test]
fn a_prepared_event_is_encrypted() {
    let client = Client::new(&config(1, master_key()));
    let request = client.prepare("trigger", &[Some(CHANNEL), Some("e"), Some("1")]);
    let body: Value = serde_json::from_str(request.read().text()).unwrap();
    assert_eq!(read(CHANNEL, &body["data"]), "1");
    let reply = Reply::new();
    reply.set(204, b"");
    client.finish(&request, &reply).is_ok("{}");
}

#[test]
fn the_channel_of_a_user_is_not_encrypted() {
    // No user id makes it the name of an encrypted channel.
    let server = Server::start([]);
    let client = server.client_with(master_key());
    client.call_with("send_to_user", &[CHANNEL, "e", r#""plain""#]).is_ok("{}");
    assert_eq!(server.only().json()["data"], "plain");
    // The state of any channel can be queried.
    for function in ["channel_info", "users_info"].map(Function::named) {
        let channel = if function.name == "users_info" { "presence-private-encrypted-a" } else { CHANNEL };
        assert_eq!(client.call_with(function.name, &[channel]).name(), "OK");
    }
}
