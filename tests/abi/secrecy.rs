//! No document reveals the secret or a signature, in any failure.
//!
//! `crate::support::calls` searches every document of every test. These tests provoke the leaks.

use crate::support::functions::{FUNCTIONS, Function};
use crate::support::hooks::Messages;
use crate::support::{
    Answer, Client, End, KEY, MASTER_KEY, Outcome, PROXY_PASSWORD, Reply, SECRET, Server, WEBHOOK_SECRET,
};
use crate::support::{calls, config, now_ms, signature};
use serde_json::{Value, json};

#[test]
fn the_search_for_secrets_finds_each_spelling() {
    assert_eq!(calls::base64(b"Many hands"), "TWFueSBoYW5kcw==");
    let encoded = calls::base64(format!("x{SECRET}y").as_bytes());
    let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
    let escaped = r#"{"error":{"message":"s\u0033cr3t"}}"#;
    for text in [SECRET, &encoded, &hex, &"0a".repeat(32), "s3cr3t%2FCanary%2B%26%3D%25%C3%A9", escaped] {
        assert!(calls::leak(text).is_some(), "{text}");
    }
    for secret in [SECRET, MASTER_KEY, PROXY_PASSWORD, WEBHOOK_SECRET] {
        for spelling in calls::spellings_of(secret.as_bytes()) {
            assert!(calls::leak(&format!("x{spelling}y")).is_some(), "{spelling}");
            let document = json!({"a": [{"b": spelling}]}).to_string();
            assert!(calls::leak(&document).is_some(), "{document}");
        }
    }
    assert_eq!(calls::leak(r#"{"error":{"message":"nothing"}}"#), None);
}

/// Tries to create a client from an invalid configuration that contains the secret. The helper searches the document.
#[track_caller]
fn refused(config: &str) {
    Client::try_new(Some(config.as_bytes())).expect_err(config);
}

#[test]
fn an_invalid_configuration_does_not_show_the_secret() {
    let good: Value = serde_json::from_str(&config(1, json!({}))).unwrap();
    // In every place where a string may be, by mistake.
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
        "extra_ca_file",
        "client_certificate_file",
        "client_key_file",
        "unix_socket",
        "retry",
        "url",
        "colour",
    ] {
        for wrong in [json!(SECRET), json!([SECRET]), json!({"x": SECRET})] {
            let mut config = good.clone();
            config[key] = wrong.clone();
            match key {
                // These accept any string.
                "secret" | "ca_file" | "extra_ca_file" if wrong.is_string() => drop(Client::new(&config.to_string())),
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
fn no_failure_shows_the_secret_or_the_signature() {
    let unreachable = Client::new(&config(1, json!({})));
    unreachable.trigger("c", "e", "{}").is("NOT_SENT", "not_sent");
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
        // A message may quote the caller's arguments, but not a whole payload.
        unreachable.trigger_with(channels, event, data, options);
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

/// Returns a configuration with every kind of secret.
fn all_secrets(port: u16) -> Value {
    let proxy: String = PROXY_PASSWORD.bytes().map(|b| format!("%{b:02X}")).collect();
    let more = json!({
        "encryption_master_key_base64": calls::base64(MASTER_KEY.as_bytes()),
        "webhook_tokens": [{"key": "other-key", "secret": WEBHOOK_SECRET}],
        "proxy": format!("http://proxy-user:{proxy}@127.0.0.1:{port}"),
        "log_level": "debug",
        "timeout_ms": 2000,
    });
    serde_json::from_str(&config(port, more)).unwrap()
}

/// Asserts that neither the document nor the log contains a secret or one of these digests, in any spelling.
#[track_caller]
fn nothing_is_told(outcome: &Outcome, messages: &Messages, digests: &[String]) {
    let mut strings: Vec<String> = outcome.document.iter().cloned().collect();
    strings.extend(messages.take().into_iter().flat_map(|logged| [logged.message, logged.fields]));
    for text in &strings {
        // Only a result may contain a signature.
        let leaked = if outcome.status == 0 { calls::secret_in(text) } else { calls::leak(text) };
        assert_eq!(leaked, None, "{text}");
        for digest in digests {
            let bytes: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&digest[2 * i..2 * i + 2], 16).unwrap()).collect();
            let mut spellings = calls::spellings_of(&bytes);
            // Not in parts, either.
            spellings.extend((0..=48).map(|at| digest[at..at + 16].to_owned()));
            spellings.extend((0..=48).map(|at| digest[at..at + 16].to_uppercase()));
            spellings.push(calls::base64(digest.as_bytes()));
            assert!(spellings.iter().all(|spelling| !text.contains(spelling.as_str())), "{digest}: {text}");
        }
    }
}

#[test]
fn no_function_reveals_a_secret_in_any_failure() {
    // The server is also the proxy; it cannot do what a proxy is asked to do.
    let server = Server::builder().tolerant().start();
    let mut configuration = all_secrets(server.port());
    let with_proxy = configuration.clone();
    configuration.as_object_mut().unwrap().remove("proxy");
    let secrets = [SECRET, MASTER_KEY, PROXY_PASSWORD, WEBHOOK_SECRET];
    let encoded = calls::base64(MASTER_KEY.as_bytes());

    let client = Client::new(&configuration.to_string());
    let (messages, _) = client.log();
    for function in FUNCTIONS {
        // A secret in place of any string, by mistake, alone or inside JSON.
        for (index, _) in function.arguments.iter().enumerate() {
            // Each secret is used somewhere, but not in every place: that would only take longer.
            let turn = index + function.name.len();
            for secret in [secrets[turn % 4], if turn % 2 == 0 { &encoded } else { SECRET }] {
                let texts = [
                    json!({"colour": secret}).to_string(),
                    json!([secret]).to_string(),
                    json!([{"channel": "a", "name": secret, "colour": secret}]).to_string(),
                    json!({"socket_id": secret}).to_string(),
                    json!({"info": secret}).to_string(),
                    json!({"user_id": [secret]}).to_string(),
                    json!({"id": [secret]}).to_string(),
                    format!("{{\"{secret}"),
                    format!("/{secret}"),
                    secret.to_owned(),
                ];
                for text in texts {
                    // The result has the channels' names, valid or not.
                    if function.name == "authenticate_channels" && text.starts_with("[\"") {
                        continue;
                    }
                    let outcome = function.call(Some(&client), &function.with(index, Some(text.as_bytes())));
                    // The caller's own data is returned as it was given.
                    if outcome.status != 0 {
                        nothing_is_told(&outcome, &messages, &[]);
                    }
                    messages.take();
                }
            }
        }
    }
    // Every behaviour of the server, including an echo of the signature.
    for function in Function::network() {
        for kind in 0..9 {
            server.next(match kind {
                0 => Answer::nothing().then(End::Close),
                1 => Answer::nothing().then(End::Reset),
                2 => Answer::raw("garbage\r\n\r\n").then(End::Close),
                3 => Answer::ok("no JSON"),
                4 => Answer::new(401, &[], "no"),
                5 => Answer::new(503, &[("Retry-After", "1")], "no"),
                6 => Answer::new(302, &[("Location", "/")], ""),
                7 => Answer::ok(r#"{"error":"x","code":413}"#),
                _ => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").then(End::Close),
            });
            let outcome = function.call(Some(&client), &function.good());
            assert_ne!(outcome.status, 0);
            nothing_is_told(&outcome, &messages, &[server.last().signature().to_owned()]);
        }
    }
    // Failures before any request: a proxy that refuses, no TLS, no such host.
    for more in [
        with_proxy.clone(),
        json!({"ssl": true}),
        json!({"host": "no-such-host.invalid"}),
        json!({"ssl": true, "proxy": with_proxy["proxy"]}),
        json!({"ssl": true, "proxy": with_proxy["proxy"], "host": "no-such-host.invalid"}),
        json!({"ssl": true, "ca_file": "/nonexistent"}),
    ] {
        let mut configuration = configuration.clone();
        configuration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        configuration["timeout_ms"] = json!(100);
        let client = Client::new(&configuration.to_string());
        let (messages, _) = client.log();
        for function in Function::network().take(5) {
            let outcome = function.call(Some(&client), &function.shortest());
            assert_ne!(outcome.status, 0, "{more}");
            nothing_is_told(&outcome, &messages, &[]);
        }
    }
}

#[test]
fn a_wrong_webhook_does_not_show_the_right_signature() {
    let mut configuration = all_secrets(1);
    configuration.as_object_mut().unwrap().remove("proxy");
    let client = Client::new(&configuration.to_string());
    let (messages, _) = client.log();
    let fresh = format!(r#"{{"time_ms":{},"events":[]}}"#, now_ms());
    for body in ["", "{}", "x", r#"{"time_ms":1}"#, &*fresh] {
        let right: Vec<String> =
            [SECRET, WEBHOOK_SECRET].map(|secret| signature::hmac_hex(secret.as_bytes(), body.as_bytes())).to_vec();
        for key in [KEY, "other-key", "third-key", "", SECRET, WEBHOOK_SECRET] {
            for given in ["", "x", &"0".repeat(64), &right[0][1..], &format!("{}x", right[0]), SECRET] {
                let outcome = client.webhook(Some(key.as_bytes()), Some(given.as_bytes()), body.as_bytes());
                outcome.is("WEBHOOK_INVALID", "");
                nothing_is_told(&outcome, &messages, &right);
            }
        }
        // Authentic, but invalid.
        if body != fresh {
            let outcome = client.webhook(Some(KEY.as_bytes()), Some(right[0].as_bytes()), body.as_bytes());
            outcome.is("WEBHOOK_INVALID", "");
            nothing_is_told(&outcome, &messages, &right);
        }
    }
}

#[test]
fn an_invalid_configuration_shows_none_of_its_secrets() {
    let good = all_secrets(1);
    for key in good.as_object().unwrap().keys() {
        for secret in [SECRET, MASTER_KEY, PROXY_PASSWORD, WEBHOOK_SECRET, &calls::base64(MASTER_KEY.as_bytes())] {
            for wrong in [json!(secret), json!([secret]), json!({"key": secret}), json!([{"key": secret}])] {
                let mut config = good.clone();
                config[key] = wrong;
                if let Err(outcome) = Client::try_new(Some(config.to_string().as_bytes())) {
                    // The helper searched the document.
                    outcome.is("INVALID_CONFIG", "");
                }
            }
        }
    }
    let text = good.to_string();
    for length in (0..text.len()).filter(|length| text.is_char_boundary(*length)) {
        refused(&text[..length]);
    }
    let password: String = PROXY_PASSWORD.bytes().map(|b| format!("%{b:02X}")).collect();
    for proxy in [
        format!("https://user:{password}@h:1"),
        format!("http://user:{password}@h:x"),
        format!("http://user:{password}@h/path"),
        format!("http://user:{password}@"),
        format!("user:{password}@h:1"),
        format!("http://user:{PROXY_PASSWORD}@h:1"),
        format!("socks5://user:{PROXY_PASSWORD}@h:1"),
        format!("http://{PROXY_PASSWORD}@h:1"),
    ] {
        let mut config = good.clone();
        config["proxy"] = json!(proxy);
        if Client::try_new(Some(config.to_string().as_bytes())).is_ok() {
            panic!("{proxy} was taken");
        }
    }
}

#[test]
fn a_failed_finish_shows_no_secret() {
    let mut configuration = all_secrets(1);
    configuration.as_object_mut().unwrap().remove("proxy");
    let client = Client::new(&configuration.to_string());
    let (messages, _) = client.log();
    for function in Function::network() {
        let texts: Vec<Option<&str>> = function.arguments.iter().map(|argument| Some(argument.good)).collect();
        for repeat in [false, true] {
            let request = client.prepare(function.name, &texts);
            let read = request.read();
            let reply = Reply::new();
            let echo = if repeat { read.url.clone() } else { "no".to_owned() };
            reply.set(401, echo.as_bytes());
            let outcome = client.finish(&request, &reply);
            assert_ne!(outcome.status, 0);
            nothing_is_told(&outcome, &messages, &[read.signature().to_owned()]);
            let again = client.finish(&request, &reply);
            nothing_is_told(&again, &messages, &[read.signature().to_owned()]);
        }
    }
}
