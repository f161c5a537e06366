//! Published examples and the test vectors of other libraries (`vectors/peers.json`, each with its source).
//!
//! The tests' own signer has to agree with every one of them, and the library with every one that a trigger can show.

mod support;

use serde_json::{Value, json};
use support::{Client, Server, signature};

/// The vectors of a kind. Their number is held, so that none is lost on the way.
fn vectors(kind: &str, count: usize) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(include_str!("vectors/peers.json")).unwrap();
    let found: Vec<Value> = all.into_iter().filter(|vector| vector["kind"] == kind).collect();
    assert_eq!(found.len(), count, "{kind}");
    found
}

#[track_caller]
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The names and values of an object, as texts.
fn pairs(object: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    object.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn borrowed(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// The query to sign of a request in a vector.
fn query_of(inputs: &Value) -> String {
    let mut all = pairs(&inputs["params"]);
    all.push(("auth_key".to_owned(), text(inputs, "key").to_owned()));
    all.push(("auth_timestamp".to_owned(), inputs["timestamp"].to_string()));
    all.push(("auth_version".to_owned(), "1.0".to_owned()));
    // One library signs the digest of an empty body on a GET, too.
    let empty = (inputs["body_md5_of_empty_body_included"] == true).then_some("");
    if let Some(body) = inputs["body"].as_str().or(empty) {
        all.push(("body_md5".to_owned(), signature::md5_hex(body.as_bytes())));
    }
    signature::query_to_sign(borrowed(&all))
}

#[test]
fn the_tests_signer_makes_every_signature() {
    for vector in vectors("request_signature", 15) {
        let (inputs, expected) = (&vector["inputs"], &vector["expected"]);
        let string = format!("{}\n{}\n{}", text(inputs, "method"), text(inputs, "path"), query_of(inputs));
        if expected.get("string_to_sign").is_some() {
            assert_eq!(string, text(expected, "string_to_sign"), "{vector}");
        }
        let made = signature::hmac_hex(text(inputs, "secret").as_bytes(), string.as_bytes());
        assert_eq!(made, text(expected, "auth_signature"), "{vector}");
    }
}

#[test]
fn the_tests_signer_makes_every_query_url_and_digest() {
    for vector in vectors("query_string_to_sign", 5) {
        let made = signature::query_to_sign(borrowed(&pairs(&vector["inputs"]["params"])));
        let expected = text(&vector["expected"], "string").split('\n').next_back().unwrap();
        // Against the documentation, two libraries leave keys in the case they have.
        if ["java-stringToSign-2", "php-array-implode"].contains(&text(&vector, "id")) {
            assert!(made != expected && made.eq_ignore_ascii_case(expected), "{vector}");
        } else {
            assert_eq!(made, expected, "{vector}");
        }
    }
    for vector in vectors("request_url", 3) {
        let inputs = &vector["inputs"];
        let query = query_of(inputs);
        let string = format!("{}\n{}\n{query}", text(inputs, "method"), text(inputs, "path"));
        let signed = signature::hmac_hex(text(inputs, "secret").as_bytes(), string.as_bytes());
        let (_, given) = text(&vector["expected"], "url").split_once('?').unwrap();
        let parameters = signature::parameters(given).unwrap();
        let (signatures, others): (Vec<_>, Vec<_>) =
            parameters.into_iter().partition(|(name, _)| name == "auth_signature");
        assert_eq!(signatures, [("auth_signature".to_owned(), signed)], "{vector}");
        assert_eq!(signature::query_to_sign(borrowed(&others)), query, "{vector}");
    }
    for vector in vectors("hmac_sha256_hex", 14) {
        let inputs = &vector["inputs"];
        let made = signature::hmac_hex(text(inputs, "secret").as_bytes(), text(inputs, "message").as_bytes());
        assert_eq!(made, text(&vector["expected"], "hex"), "{vector}");
    }
    for vector in vectors("md5_hex", 3) {
        assert_eq!(
            signature::md5_hex(text(&vector["inputs"], "data").as_bytes()),
            text(&vector["expected"], "hex"),
            "{vector}"
        );
    }
    for vector in vectors("request_body_md5", 10) {
        let made = signature::md5_hex(text(&vector["inputs"], "body").as_bytes());
        assert_eq!(made, text(&vector["expected"], "body_md5"), "{vector}");
    }
}

/// What a trigger would be called with to send this body; `None` if it is the body of another call.
struct Trigger {
    channels: String,
    event: String,
    data: String,
    options: String,
}

impl Trigger {
    fn of(body: &str) -> Option<Trigger> {
        let body: Value = serde_json::from_str(body).ok()?;
        let mut options = body.as_object()?.clone();
        let (event, channels, data) = (options.remove("name")?, options.remove("channels")?, options.remove("data")?);
        Some(Trigger {
            channels: channels.to_string(),
            event: event.as_str()?.to_owned(),
            data: data.is_string().then(|| data.to_string())?,
            options: Value::Object(options).to_string(),
        })
    }
}

#[test]
fn the_library_signs_and_sends_what_other_libraries_do() {
    let mut tried = 0;
    let vectors =
        [vectors("request_signature", 15), vectors("request_url", 3), vectors("request_body_md5", 10)].concat();
    for vector in vectors {
        let inputs = &vector["inputs"];
        let Some(trigger) = inputs["body"].as_str().and_then(Trigger::of) else { continue };
        let Some(app_id) = text(inputs, "path").strip_prefix("/apps/").and_then(|path| path.strip_suffix("/events"))
        else {
            continue;
        };
        if app_id.contains('/') {
            continue;
        }
        let key = inputs["key"].as_str().unwrap_or("key");
        let secret = inputs["secret"].as_str().unwrap_or("secret");
        // The server makes the signature anew and compares; it is the signer that has just made those of the vectors.
        let server = Server::builder().application(key, secret).start();
        let client = server.client_with(json!({"app_id": app_id, "key": key, "secret": secret}));
        client.trigger_with(&trigger.channels, &trigger.event, &trigger.data, &trigger.options).is_ok("{}");
        let sent = server.only();
        assert_eq!(sent.path(), text(inputs, "path"));
        // Some libraries have the members in another order, so only the content has to be the same.
        let body: Value = serde_json::from_str(text(inputs, "body")).unwrap();
        assert_eq!(sent.json(), body, "{vector}");
        if text(inputs, "body").starts_with(r#"{"name":"foo","channels":"#) {
            assert_eq!(sent.text(), text(inputs, "body"));
        }
        tried += 1;
    }
    assert!(tried >= 5, "{tried}");
}

#[test]
fn the_library_takes_the_channel_names_and_socket_ids_that_others_do() {
    let server = Server::start([]);
    let client = server.client();
    for vector in vectors("validate_channel", 16) {
        let channel = text(&vector["inputs"], "channel");
        let outcome = client.trigger(channel, "e", "{}");
        // A user's own channel is one library's way to send to users, which is a call of its own here.
        let valid = vector["expected"]["valid"] == true && !channel.starts_with("#server-to-user-");
        let expected = if valid { "OK" } else { "INVALID_ARGUMENT" };
        assert_eq!(outcome.name(), expected, "{vector}");
    }
    for vector in vectors("validate_socket_id", 16) {
        let options = json!({"socket_id": vector["inputs"]["socket_id"]}).to_string();
        let outcome = client.trigger_with("c", "e", "{}", &options);
        let expected = if vector["expected"]["valid"] == true { "OK" } else { "INVALID_ARGUMENT" };
        assert_eq!(outcome.name(), expected, "{vector}");
    }
}

#[test]
fn an_encrypted_channel_is_never_sent_to_in_the_clear() {
    let server = Server::start([]);
    let client = server.client();
    for vector in vectors("is_encrypted_channel", 10) {
        let channel = text(&vector["inputs"], "channel");
        let outcome = client.trigger(channel, "e", "{}");
        if vector["expected"]["result"] == true {
            outcome.is("ENCRYPTION", "not_sent");
        } else {
            assert!(matches!(outcome.name(), "OK" | "INVALID_ARGUMENT"), "{vector}: {outcome:?}");
        }
    }
    let outcome = client.trigger(r#"["a","private-encrypted-b"]"#, "e", "{}");
    outcome.is("INVALID_ARGUMENT", "not_sent");
    assert!(server.ledger().iter().all(|request| !request.text().contains("private-encrypted-")));
}

#[test]
fn the_library_takes_the_urls_that_others_do() {
    for vector in vectors("from_url", 7) {
        let (url, expected) = (text(&vector["inputs"], "url"), &vector["expected"]);
        if expected["error"] == true {
            Client::try_new(Some(url.as_bytes())).unwrap_err().is("INVALID_CONFIG", "");
            continue;
        }
        Client::new(url);
        // Sent to the tests' server instead, a request shows key, secret and application.
        let server = Server::builder().application(text(expected, "key"), text(expected, "secret")).start();
        let config = json!({"url": url, "host": "127.0.0.1", "port": server.port(), "ssl": false});
        Client::new(&config.to_string()).trigger("c", "e", "{}").is_ok("{}");
        assert_eq!(server.only().path(), format!("/apps/{}/events", text(expected, "app_id")));
    }
}
