//! What is signed, encrypted and validated.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::signature::hmac_hex;
use crate::support::{Client, KEY, MASTER_KEY, Outcome, SECRET, calls, now_ms, secretbox};
use crate::{knows_a_secret, texts};

fn shared() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    let key = calls::base64(MASTER_KEY.as_bytes());
    CLIENT.get_or_init(|| crate::client(json!({"encryption_master_key_base64": key})))
}

fn call(name: &str, arguments: &[&[u8]]) -> Option<Value> {
    let arguments: Vec<Option<&[u8]>> =
        arguments.iter().map(|text| Some(*text).filter(|text| !text.is_empty())).collect();
    let outcome = crate::support::functions::Function::named(name).call(Some(shared()), &arguments);
    (outcome.name() == "OK")
        .then(|| serde_json::from_str(outcome.document.as_deref().unwrap_or_default()).expect("JSON"))
}

fn is_socket_id(text: &str) -> bool {
    text.split_once('.').is_some_and(|(a, b)| {
        [a, b].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// A signature covers one channel, one connection and the data as given: no part can be mistaken for another.
pub fn channel_data(bytes: &[u8]) {
    let [channel, socket_id, data] = texts(bytes);
    if knows_a_secret(bytes) {
        return;
    }
    let Some(result) = call("authenticate", &[channel, socket_id, data]) else { return };
    let [channel, socket_id, data] = [channel, socket_id, data].map(|text| std::str::from_utf8(text).expect("UTF-8"));
    assert!(is_socket_id(socket_id), "{socket_id:?}");
    assert!(channel.starts_with("private-") || channel.starts_with("presence-"), "{channel:?}");
    assert!(!channel.contains([':', '\n', '\r', ' ']), "{channel:?}");
    let signed = match data {
        "" => format!("{socket_id}:{channel}"),
        data => format!("{socket_id}:{channel}:{data}"),
    };
    let signature = hmac_hex(SECRET.as_bytes(), signed.as_bytes());
    assert_eq!(result["auth"], format!("{KEY}:{signature}"));
    if !data.is_empty() {
        assert_eq!(result["channel_data"], data);
        assert!(
            !channel.starts_with("presence-")
                || serde_json::from_str::<Value>(data).is_ok_and(|data| {
                    data["user_id"].is_string()
                        || data["user_id"].is_i64()
                        || data["user_id"].is_u64()
                        || data["user_id"].is_number()
                })
                || is_deep(data),
            "{data}"
        );
    }
}

/// serde_json refuses what is deeper than 128, and the library does not.
fn is_deep(text: &str) -> bool {
    text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > 120
}

/// A sign-in has an object with an id, and is signed for one connection.
pub fn user_data(bytes: &[u8]) {
    let [socket_id, data] = texts(bytes);
    if knows_a_secret(bytes) {
        return;
    }
    let Some(result) = call("authenticate_user", &[socket_id, data]) else { return };
    let [socket_id, data] = [socket_id, data].map(|text| std::str::from_utf8(text).expect("UTF-8"));
    assert!(is_socket_id(socket_id), "{socket_id:?}");
    let signature = hmac_hex(SECRET.as_bytes(), format!("{socket_id}::user::{data}").as_bytes());
    assert_eq!(result["auth"], format!("{KEY}:{signature}"));
    assert_eq!(result["user_data"], data);
    let id = serde_json::from_str::<Value>(data).map(|data| data["id"].clone());
    assert!(id.is_ok_and(|id| id.as_str().is_some_and(|id| !id.is_empty())) || is_deep(data), "{data}");
}

fn validated(signature: &str, body: &[u8]) -> Outcome {
    shared().webhook(Some(KEY.as_bytes()), Some(signature.as_bytes()), body)
}

/// A webhook with another signature is refused; an authentic one is refused or returned, as JSON.
pub fn webhook(bytes: &[u8]) {
    if knows_a_secret(bytes) {
        return;
    }
    let mut signature = hmac_hex(SECRET.as_bytes(), bytes);
    let outcome = validated(&signature, bytes);
    if outcome.name() == "OK" {
        let document = outcome.document.as_deref().unwrap_or_default();
        assert!(serde_json::from_str::<Value>(document).is_ok() || is_deep(document), "{document}");
        // Only encrypted events are changed.
        if !document.contains("private-encrypted-") {
            assert_eq!(document.as_bytes(), bytes);
        }
    }
    let flipped = if signature.ends_with('0') { '1' } else { '0' };
    signature.pop();
    signature.push(flipped);
    assert_eq!(validated(&signature, bytes).name(), "WEBHOOK_INVALID");
}

/// Data of an encrypted channel arrives as it was sent; a changed payload does not decrypt.
pub fn encrypted(bytes: &[u8]) {
    let [data, payload] = texts(bytes);
    if knows_a_secret(bytes) {
        return;
    }
    let channel = "private-encrypted-c";
    let arguments = [Some(channel.as_bytes()), Some(b"e".as_slice()), Some(data), None];
    let prepared = crate::support::hooks::prepare(
        Some(shared()),
        Some(b"trigger"),
        &arguments,
        crate::support::hooks::Without::default(),
    );
    if let Ok(request) = prepared {
        let body: Value = serde_json::from_slice(&request.read().body).expect("JSON");
        let sent = secretbox::decrypted(channel, MASTER_KEY.as_bytes(), body["data"].as_str().expect("data"));
        let given = std::str::from_utf8(data).expect("UTF-8");
        let expected = serde_json::from_str::<String>(given)
            .unwrap_or_else(|_| given.trim_matches([' ', '\t', '\r', '\n']).to_owned());
        assert_eq!(sent.as_deref(), Some(&*expected));
    }
    // A payload that nobody made with the key is reported, and the webhook stays readable.
    let event = json!({"name": "client_event", "channel": channel, "event": "client-e", "data": String::from_utf8_lossy(payload)});
    let webhook = json!({"time_ms": now_ms(), "events": [event]}).to_string();
    let outcome = validated(&hmac_hex(SECRET.as_bytes(), webhook.as_bytes()), webhook.as_bytes());
    assert_eq!(outcome.name(), "OK", "{outcome:?}");
    let document: Value = serde_json::from_str(outcome.document.as_deref().unwrap_or_default()).expect("JSON");
    assert!(document["events"][0]["decryption_error"].is_string(), "{document}");
}
