//! A signature for one input is never valid for another: no two different inputs give one signed string.
//!
//! Two inputs with the same signature have the same signed string, or show a collision of SHA-256.

use std::collections::HashMap;

use crate::support::{Client, KEY, Random, SECRET, config, signature};
use serde_json::{Value, json};

/// The input of a signature: kind, socket id, channel and data, or method, path, parameters and body.
type Meaning = [String; 4];

/// All signatures so far, each with its input.
#[derive(Default)]
struct Signed(HashMap<String, Meaning>);

impl Signed {
    /// Asserts that no other input has this signature.
    fn add(&mut self, signature: String, meaning: Meaning) {
        let before = self.0.entry(signature).or_insert_with(|| meaning.clone());
        assert_eq!(*before, meaning, "two inputs, one signature");
    }
}

/// Returns the signature in hex of an `auth`, if there is one.
fn auth(outcome: &crate::support::Outcome) -> Option<String> {
    let document: Value = serde_json::from_str(outcome.document.as_deref()?).ok()?;
    Some(document["auth"].as_str()?.strip_prefix(&format!("{KEY}:"))?.to_owned())
}

/// Signs these inputs in every way that accepts them, and asserts that the signature is that of the expected string.
fn try_all(client: &Client, signed: &mut Signed, socket_id: &str, channel: &str, data: Option<&str>) -> usize {
    let mut given = 0;
    let mut add = |outcome: crate::support::Outcome, meaning: Meaning, string: String| {
        if let Some(found) = auth(&outcome) {
            assert_eq!(found, signature::hmac_hex(SECRET.as_bytes(), string.as_bytes()), "{meaning:?}");
            signed.add(found, meaning);
            given += 1;
        }
    };
    let texts = [socket_id, channel].map(str::to_owned);
    let [socket, name] = texts;
    let outcome = client.call("authenticate", &[Some(channel), Some(socket_id), data]);
    let string = data.map_or_else(|| format!("{socket}:{name}"), |data| format!("{socket}:{name}:{data}"));
    // No data is different from any data.
    let described = data.map_or_else(|| "none".to_owned(), |data| format!("some {data}"));
    add(outcome, ["channel".to_owned(), socket.clone(), name, described.clone()], string);
    if let Some(data) = data {
        let outcome = client.call_with("authenticate_user", &[socket_id, data]);
        add(outcome, ["user".to_owned(), socket.clone(), String::new(), described], format!("{socket}::user::{data}"));
    }
    given
}

fn client() -> Client {
    Client::new(&config(1, json!({})))
}

/// Strings that an attacker would try.
const SOCKETS: [&str; 8] = ["1.1", "11.1", "1.11", "0.0", "1234.5678", "1.1:private-a", "1.1:", "1.1::user:"];
const CHANNELS: [&str; 10] = [
    "private-a",
    "private-",
    "presence-a",
    "presence-",
    "private-a:1",
    ":user:",
    ":user:{\"id\":\"1\"}",
    "private-1.1",
    "private-presence-a",
    "presence-private-a",
];
const DATA: [&str; 12] = [
    "1",
    "\"1\"",
    "{}",
    "null",
    " 1",
    "1 ",
    r#"{"id":"1"}"#,
    r#"{"user_id":"1"}"#,
    r#"{"id":"1","user_id":"1"}"#,
    r#"{"user_id":"1","id":"1"}"#,
    r#"{ "id":"1","user_id":"1"}"#,
    r#"{"user_id":"1","user_info":{"x":":user:"},"id":"a:b::c"}"#,
];

#[test]
fn no_two_inputs_share_a_signed_string() {
    const SEED: u64 = 0x5eed_0b5e_55ed_1dea;
    println!("seed {SEED:#x}");
    let client = client();
    let mut random = Random::new(SEED);
    let mut signed = Signed::default();
    let mut given = 0;
    for socket in SOCKETS {
        for channel in CHANNELS {
            given += try_all(&client, &mut signed, socket, channel, None);
            for data in DATA {
                given += try_all(&client, &mut signed, socket, channel, Some(data));
            }
        }
    }
    // Short strings of few characters, so that parts of one are parts of another.
    for _ in 0..6000 {
        let (left, right) = (1 + random.below(2), 1 + random.below(2));
        let mut socket = format!("{}.{}", random.text(b"01", left), random.text(b"01", right));
        let prefix = random.one_of(&["private-", "presence-", "", ":"]);
        let length = random.below(3);
        let mut channel = format!("{prefix}{}", random.text(b"01.:-", length));
        let data = random.one_of(&[None, Some("1"), Some("1.1"), Some(DATA[8]), Some(DATA[7]), Some("\":\"")]);
        // Sometimes a character moves from one string to the next.
        match random.below(4) {
            0 => channel.insert(0, socket.pop().unwrap()),
            1 if !channel.is_empty() => socket.push(channel.remove(0)),
            _ => {}
        }
        given += try_all(&client, &mut signed, &socket, &channel, data);
    }
    // Requests are signed with the same secret.
    for path in ["/channels", "/channels/private-a", "/events"] {
        for params in
            [None, Some(r#"{"a":"1"}"#), Some(r#"{"a":"\u00e9:private-a"}"#), Some(r#"{"b":"1.1:private-a"}"#)]
        {
            for body in [None, Some("{}"), Some("1"), Some(r#""1.1:private-a""#)] {
                let call = if body.is_some() { "post" } else { "get" };
                let request = client.prepare(
                    call,
                    &[Some(path), params, body]
                        .into_iter()
                        .take(if body.is_some() { 3 } else { 2 })
                        .collect::<Vec<_>>(),
                );
                let request = request.read();
                let [params, body] = [params, body].map(|text| text.unwrap_or_default().to_owned());
                signed.add(request.signature().to_owned(), [request.method.clone(), path.to_owned(), params, body]);
                given += 1;
            }
        }
    }
    println!("{given} signatures, {} of them different", signed.0.len());
    assert!(signed.0.len() > 600, "{}", signed.0.len());
}

#[test]
fn every_changed_byte_changes_the_signature_or_is_refused() {
    let client = client();
    let mut signed = Signed::default();
    let (mut taken, mut refused) = (0, 0);
    let data = r#"{"user_id":"1","id":"1","a":[1,"é"]}"#;
    for (socket, channel) in [("12.34", "private-a"), ("12.34", "presence-a")] {
        try_all(&client, &mut signed, socket, channel, Some(data));
        let texts = [socket, channel, data];
        for (which, text) in texts.into_iter().enumerate() {
            for at in 0..=text.len() {
                // Replaced, inserted and deleted.
                // The data may contain nearly anything: a few bytes of each kind are enough.
                let few = b"\x01\t\n\r !\"#'+,-./019:;@AZ[\\]_`az{}~\x7f";
                let bytes = (1..128u8).filter(|byte| which < 2 || few.contains(byte));
                let changes = bytes.flat_map(|byte| [(Some(byte), true), (Some(byte), false)]);
                for (byte, replaces) in changes.chain([(None, true)]) {
                    let mut changed = text.as_bytes().to_vec();
                    if replaces && at == text.len() {
                        continue;
                    }
                    let end = if replaces { at + 1 } else { at };
                    changed.splice(at..end, byte);
                    // Every function refuses invalid UTF-8 (`arguments.rs`).
                    let Ok(changed) = String::from_utf8(changed) else { continue };
                    let mut now = texts;
                    now[which] = &changed;
                    match try_all(&client, &mut signed, now[0], now[1], Some(now[2])) {
                        0 => refused += 1,
                        _ => taken += 1,
                    }
                }
            }
        }
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken > 1000 && refused > 1000, "{taken} {refused}");
}

#[test]
fn inputs_of_different_kinds_are_signed_differently() {
    let client = client();
    let data = r#"{"id":"1","user_id":"1"}"#;
    let user = auth(&client.call_with("authenticate_user", &["1.1", data])).unwrap();
    let presence = auth(&client.call_with("authenticate", &["presence-a", "1.1", data])).unwrap();
    let private = auth(&client.call_with("authenticate", &["private-a", "1.1", data])).unwrap();
    let without = auth(&client.call_with("authenticate", &["private-a", "1.1"])).unwrap();
    let mut all = [user, presence, private, without];
    all.sort();
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
}
