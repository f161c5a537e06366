//! No document gives the secret or a signature away, whatever went wrong.
//!
//! Every document of every test is searched for them (`support::calls`). Here is what might put them into one.

mod support;

use serde_json::{Value, json};
use support::{Answer, Client, End, KEY, SECRET, Server, calls, config};

#[test]
fn the_search_finds_what_it_is_meant_to_find() {
    assert_eq!(calls::base64(b"Many hands"), "TWFueSBoYW5kcw==");
    let encoded = calls::base64(format!("x{SECRET}y").as_bytes());
    let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
    let escaped = r#"{"error":{"message":"s\u0033cr3t"}}"#;
    for text in [SECRET, &encoded, &hex, &"0a".repeat(32), "s3cr3t%2FCanary%2B%26%3D%25%C3%A9", escaped] {
        assert!(calls::leak(text).is_some(), "{text}");
    }
    assert_eq!(calls::leak(r#"{"error":{"message":"nothing"}}"#), None);
}

/// Makes a client that can't come about, of a configuration with the secret in it. Its document is searched on the way.
#[track_caller]
fn refused(config: &str) {
    Client::try_new(Some(config.as_bytes())).expect_err(config);
}

#[test]
fn a_wrong_configuration_does_not_show_the_secret() {
    let good: Value = serde_json::from_str(&config(1, json!({}))).unwrap();
    // In every place where a text may stand, by mistake.
    for key in [
        "app_id",
        "key",
        "secret",
        "cluster",
        "host",
        "port",
        "ssl",
        "path",
        "timeout_ms",
        "ca_file",
        "retry",
        "url",
        "colour",
    ] {
        for wrong in [json!(SECRET), json!([SECRET]), json!({"x": SECRET})] {
            let mut config = good.clone();
            config[key] = wrong.clone();
            match key {
                // These take any text.
                "secret" | "ca_file" if wrong.is_string() => drop(Client::new(&config.to_string())),
                _ => refused(&config.to_string()),
            }
        }
    }
}

#[test]
fn a_malformed_configuration_does_not_show_the_secret() {
    let good = config(1, json!({}));
    for length in 0..good.len() {
        if good.is_char_boundary(length) {
            refused(&good[..length]);
        }
    }
    refused(&format!("{good}x"));
    refused(&format!("[{good}]"));
    refused(&good.replace("\"secret\"", "secret"));
    refused(&good.replace("\"secret\":", "\"secret\""));
    refused(&good.replacen('{', "{\"secret\":\"s3cr3t/Canary\",", 1));
    refused(SECRET);
    refused(&json!(SECRET).to_string());
}

#[test]
fn a_malformed_url_does_not_show_the_secret() {
    let encoded: String = SECRET.bytes().map(|b| format!("%{b:02X}")).collect();
    for secret in ["s3cr3t/Canary", "s3cr3tCanary", SECRET, &encoded] {
        for url in [
            format!("ftp://{KEY}:{secret}@h/apps/1"),
            format!("https://{KEY}:{secret}@h"),
            format!("https://{KEY}:{secret}/apps/1"),
            format!("https://{KEY}:{secret}@h:x/apps/1"),
            format!("https://{KEY}:{secret}@h/apps/1?x"),
            format!("https://{KEY}:{secret}@h h/apps/1"),
            format!("https://{KEY}:{secret}@/apps/1"),
            format!("https://{secret}:@h/apps/1"),
            format!("https://:{secret}@h/apps/"),
            format!("{KEY}:{secret}@h/apps/1"),
        ] {
            refused(&url);
            refused(&json!({"url": url}).to_string());
        }
    }
}

#[test]
fn no_failure_of_a_call_shows_the_secret_or_the_signature() {
    let nobody = Client::new(&config(1, json!({})));
    nobody.trigger("c", "e", "{}").is("NOT_SENT", "not_sent");
    for (channels, event, data, options) in [
        (SECRET, "e", "{}", "{}"),
        ("c", "", "{}", "{}"),
        ("c", "e", SECRET, "{}"),
        ("c", "e", "{}", SECRET),
        ("c", "e", "{\"s3cr3t/Canary", "{}"),
        ("c", "e", "{}", r#"{"socket_id":"s3cr3t/Canary"}"#),
        ("c", "e", "{}", r#"{"info":"s3cr3t/Canary"}"#),
        (r#"["s3cr3t/Canary"]"#, "e", "{}", "{}"),
    ] {
        // The caller's own texts may be quoted, but not a whole payload, and there is no reason to.
        nobody.trigger_with(channels, event, data, options);
    }
    let server = Server::start([]);
    let client = server.client_with(json!({"timeout_ms": 1000}));
    for answer in [
        Answer::nothing().then(End::Close),
        Answer::nothing().then(End::Reset),
        Answer::raw("garbage\r\n\r\n").then(End::Close),
        Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").then(End::Close),
        Answer::ok("not JSON"),
        Answer::new(302, &[("Location", "http://127.0.0.1:1/?auth_signature=x")], ""),
        Answer::new(400, &[], "no"),
        Answer::new(401, &[], "no"),
        Answer::new(503, &[], "no"),
        Answer::ok(r#"{"error":"x","code":401}"#),
    ] {
        server.next(answer);
        let outcome = client.trigger("c", "e", "{}");
        assert_ne!(outcome.status, 0);
        let signature = server.last().signature().to_owned();
        assert!(!outcome.document.unwrap().contains(&signature[..16]));
    }
}

#[test]
fn a_message_shows_neither_the_query_nor_the_payload() {
    let server = Server::start([]);
    let client = server.client_with(json!({"timeout_ms": 1000}));
    let data = json!({"private": "x".repeat(100)}).to_string();
    for answer in [
        Answer::nothing().then(End::Close),
        Answer::raw("?\r\n").then(End::Close),
        Answer::new(400, &[], "no"),
        Answer::ok("?"),
    ] {
        server.next(answer);
        let document = client.trigger("c", "e", &data).document.unwrap();
        assert!(
            !document.contains("auth_") && !document.contains("body_md5") && !document.contains("private"),
            "{document}"
        );
    }
    let document = client.trigger("c", "e", &format!("{data}x")).document.unwrap();
    assert!(!document.contains("private"), "{document}");
    assert_eq!(calls::trigger_on_null().name(), "INVALID_ARGUMENT");
}
