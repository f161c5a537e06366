//! Configurations.

use std::env;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::{APP_ID, Client, KEY, SECRET, config, publisher as publishers};
use crate::{knows_a_secret, text, texts};

/// Any configuration is refused with a document, or makes a client that signs.
pub fn configuration(bytes: &[u8]) {
    let text = text(bytes);
    if knows_a_secret(text) {
        return;
    }
    if let Ok(client) = Client::try_new(Some(text)) {
        client.call_with("authenticate", &["private-c", "1.2"]).name();
    }
}

/// A URL's parts are signed as they are sent, and the host is what stands there.
pub fn url(bytes: &[u8]) {
    let [host, prefix] = texts(bytes);
    let (Ok(host), Ok(prefix)) = (std::str::from_utf8(host), std::str::from_utf8(prefix)) else { return };
    // The last @ ends the secret, so another one belongs to it.
    if host.contains('@') || prefix.contains('@') || knows_a_secret(bytes) {
        return;
    }
    let secret = SECRET.replace('%', "%25").replace('/', "%2F");
    let url = format!("http://{KEY}:{secret}@{host}{prefix}/apps/{APP_ID}");
    let Ok(client) = Client::try_new(Some(url.as_bytes())) else { return };
    let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("{}"), None]).read();
    request.verify(KEY, SECRET).unwrap_or_else(|why| panic!("{url:?}: {why}"));
    let rest = request.url.strip_prefix("http://").expect("the scheme stays");
    let (authority, _) = rest.split_once('/').expect("a path");
    assert!(!authority.contains(['@', '?', '#', '\\', ' ', '\r', '\n']), "{url:?} leads to {authority:?}");
    assert!(request.path().ends_with(&format!("/apps/{APP_ID}/events")), "{url:?} leads to {}", request.path());
}

/// The addresses of proxies, and the names that need none.
pub fn proxy(bytes: &[u8]) {
    let [proxy, none, host] = texts(bytes);
    let (Ok(proxy), Ok(none), Ok(host)) =
        (std::str::from_utf8(proxy), std::str::from_utf8(none), std::str::from_utf8(host))
    else {
        return;
    };
    if knows_a_secret(bytes) {
        return;
    }
    let _ = Client::try_new(Some(config(1, json!({"proxy": proxy})).as_bytes()));
    // SAFETY: a fuzz target has one thread.
    unsafe {
        env::set_var("http_proxy", proxy);
        env::set_var("no_proxy", none);
    }
    let _ = Client::try_new(Some(config(1, json!({"proxy": "env", "host": host})).as_bytes()));
}

/// The configuration of a publisher, and the options of an event that it takes.
pub fn publisher(bytes: &[u8]) {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    let client = CLIENT.get_or_init(|| crate::answering(0));
    let [settings, options] = texts(bytes);
    if knows_a_secret(bytes) {
        return;
    }
    let settings = (!settings.is_empty()).then_some(settings);
    if let Ok(publisher) = publishers::try_new(Some(client), settings) {
        let options = (!options.is_empty()).then_some(options);
        let _ = publishers::publish(Some(&publisher), [Some(b"c"), Some(b"e"), Some(b"{}"), options]);
        publishers::stats(Some(&publisher));
    }
}

/// A document is refused as a whole, or restored as a whole: then the publisher hands out the same events again.
pub fn restored(bytes: &[u8]) {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    // While the circuit is open, events wait.
    let client = CLIENT.get_or_init(|| {
        let client = crate::client(json!({"circuit_breaker": {"failures": 1, "open_ms": 600_000}}));
        client.trigger("c", "e", "1").is("NOT_SENT", "not_sent");
        client
    });
    let text = text(bytes);
    if knows_a_secret(text) {
        return;
    }
    let publisher = || publishers::Publisher::new(client, &json!({"connections": 1, "max_queue_events": 20}));
    let first = publisher();
    let outcome = publishers::restore(Some(&first), Some(text));
    if outcome.name() != "OK" {
        assert_eq!(first.stats()["events"]["published"], 0, "restored in part: {outcome:?}");
        return;
    }
    let once = first.drain(0);
    let stats = first.stats();
    let count = parsed(&once)["events"].as_array().map_or(0, Vec::len) as u64;
    let superseded = stats["unsent"]["superseded"].as_u64().unwrap_or_default();
    assert_eq!(stats["events"]["published"], count + superseded, "{once}");
    let second = publisher();
    assert_eq!(second.restore(&once).len() as u64, count);
    let twice = second.drain(0);
    assert_eq!(without_numbers(&once), without_numbers(&twice));
}

fn parsed(document: &str) -> Value {
    serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"))
}

/// Returns a drained document without ids and times.
fn without_numbers(document: &str) -> Value {
    let mut document = parsed(document);
    for event in document["events"].as_array_mut().into_iter().flatten() {
        event["id"] = Value::Null;
        event["published_ms"] = Value::Null;
    }
    document
}
