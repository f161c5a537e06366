//! Events, as they are sent.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::hooks::{self, Without};
use crate::support::{Client, KEY, Reply, Request, SECRET, Snapshot};
use crate::{knows_a_secret, text, texts};

fn shared() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| crate::client(json!({})))
}

/// Prepares a call, whose request must be signed as it is. `None` if it is refused.
fn prepared(call: &str, arguments: &[Option<&[u8]>]) -> Option<(Request, Snapshot)> {
    let request = hooks::prepare(Some(shared()), Some(call.as_bytes()), arguments, Without::default()).ok()?;
    let read = request.read();
    read.verify(KEY, SECRET).unwrap_or_else(|why| panic!("{call} {arguments:?}: {why}"));
    Some((request, read))
}

fn body(snapshot: &Snapshot) -> Value {
    serde_json::from_slice(&snapshot.body).unwrap_or_else(|error| panic!("the body is no JSON: {error}"))
}

/// A name of the documentation's characters, at most 200.
fn is_channel(name: &str) -> bool {
    (1..=200).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-=@,.;".contains(&byte))
}

/// Whatever names of channels are accepted are valid names, and those that were given.
pub fn channels(bytes: &[u8]) {
    if knows_a_secret(bytes) {
        return;
    }
    let given = text(bytes);
    let Some((_, request)) = prepared("trigger", &[Some(given), Some(b"e"), Some(b"{}"), None]) else { return };
    let body = body(&request);
    let names: Vec<&str> = body["channels"].as_array().expect("channels").iter().filter_map(Value::as_str).collect();
    assert!((1..=100).contains(&names.len()) && names.iter().all(|name| is_channel(name)), "{names:?}");
    match serde_json::from_slice::<Vec<String>>(given) {
        Ok(list) => assert_eq!(names, list),
        Err(_) => assert_eq!(names, [std::str::from_utf8(given).expect("UTF-8")]),
    }
}

/// The data that arrives is the data that was given: the text of a string, the JSON of anything else.
pub fn data(bytes: &[u8]) {
    if knows_a_secret(bytes) {
        return;
    }
    let [data, event, options] = texts(bytes);
    let options = (!options.is_empty()).then_some(options);
    let Some((_, request)) = prepared("trigger", &[Some(b"c"), Some(event), Some(data), options]) else { return };
    let body = body(&request);
    let sent = body["data"].as_str().expect("data is a string");
    let given = std::str::from_utf8(data).expect("UTF-8");
    match serde_json::from_str::<String>(given) {
        Ok(content) => assert_eq!(sent, content),
        Err(_) => assert_eq!(sent, given.trim_matches([' ', '\t', '\r', '\n'])),
    }
    assert_eq!(body["name"].as_str().expect("name").as_bytes(), event);
}

/// A batch is refused as a whole, or each of its events is sent in order.
pub fn batch(bytes: &[u8]) {
    if knows_a_secret(bytes) {
        return;
    }
    let [events, options] = texts(bytes);
    let options = (!options.is_empty()).then_some(options);
    let Some((_, request)) = prepared("trigger_batch", &[Some(events), options]) else { return };
    let body = body(&request);
    let sent = body["batch"].as_array().expect("batch");
    assert!((1..=10).contains(&sent.len()));
    for event in sent {
        assert!(is_channel(event["channel"].as_str().expect("channel")), "{event}");
        assert!(event["data"].is_string() && event["name"].is_string(), "{event}");
    }
    // serde_json refuses deep documents, which the library accepts.
    if let Ok(Value::Array(given)) = serde_json::from_slice::<Value>(events) {
        let channels = |list: &[Value]| list.iter().map(|event| event["channel"].clone()).collect::<Vec<_>>();
        assert_eq!(channels(sent), channels(&given));
    }
}

/// Any call, with any arguments, and any response to it.
pub fn prepare_and_finish(bytes: &[u8]) {
    let [call, first, second, third, fourth, response] = texts(bytes);
    if knows_a_secret(bytes) {
        return;
    }
    let arguments = [first, second, third, fourth].map(|text| (!text.is_empty()).then_some(text));
    let Ok(call) = std::str::from_utf8(call) else { return };
    let Some((request, read)) = (1..=4).find_map(|count| prepared(call, &arguments[..count])) else { return };
    assert!(read.path().starts_with("/apps/4711/") || read.path().starts_with("/apps/4711?"), "{}", read.path());
    let reply = Reply::new();
    // A response of 6 bytes or more: a status in two, a failure in one, and its body.
    if let [high, low, delivery, body @ ..] = response {
        match delivery {
            0..=7 => reply.fail(i32::from(*delivery) - 1, Some(body), None),
            _ => reply.set(i32::from(u16::from_be_bytes([*high, *low]) % 700), body),
        };
    }
    let outcome = shared().finish(&request, &reply);
    let claims_delivery = outcome.delivery() == "delivered";
    assert!(!claims_delivery, "an error that was delivered: {outcome:?}");
}
