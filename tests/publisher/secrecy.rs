//! No report or statistic contains a secret, a signature or a payload.
//!
//! `support::publisher` searches every document of every test for secrets. These tests provoke
//! leaks.

use serde_json::{Value, json};

use crate::support::publisher::{self, Publisher};
use crate::support::server::Received;
use crate::support::{Answer, End, MASTER_KEY, SECRET, Server, calls};

#[test]
fn errors_do_not_quote_a_secret_passed_as_another_argument() {
    let server = Server::start([]);
    let client = server.client();
    let good = json!({"overflow": "reject", "retry": {"mode": "safe"}, "linger_ms": 1});
    for key in ["connections", "overflow", "reports", "stats_format", "retry", "batch_is_atomic", "linger_ms"] {
        for wrong in [json!(SECRET), json!([SECRET]), json!({"mode": SECRET}), json!({"x": SECRET})] {
            let mut config = good.clone();
            config[key] = wrong;
            let outcome = publisher::try_new(Some(&client), Some(config.to_string().as_bytes())).unwrap_err();
            // `try_new` has searched the document.
            outcome.is("INVALID_CONFIG", "");
        }
    }
    let config = json!({"linger_ms": 1, "comment": SECRET}).to_string();
    for length in (0..config.len()).filter(|length| config.is_char_boundary(*length)) {
        publisher::try_new(Some(&client), Some(&config.as_bytes()[..length])).unwrap_err();
    }
    let publisher = Publisher::new(&client, &json!({}));
    let wrong = [
        SECRET.to_owned(),
        json!([SECRET]).to_string(),
        json!({"socket_id": SECRET}).to_string(),
        json!({"info": SECRET}).to_string(),
        json!({"user_id": SECRET}).to_string(),
        json!({"colour": SECRET}).to_string(),
        format!("{{\"{SECRET}"),
    ];
    for text in &wrong {
        for index in [0, 3] {
            let mut texts: [Option<&[u8]>; 4] = [Some(b"c"), Some(b"e"), Some(b"1"), None];
            texts[index] = Some(text.as_bytes());
            publisher::publish(Some(&publisher), texts).unwrap_err();
        }
    }
    publisher.try_publish("c", "e", SECRET, None).unwrap_err();
}

#[test]
fn reports_and_statistics_contain_no_secret() {
    let server = Server::start([]);
    let client = server.client_with(json!({
        "timeout_ms": 1000, "encryption_master_key_base64": calls::base64(MASTER_KEY.as_bytes()),
    }));
    for format in ["json", "prometheus"] {
        let config = json!({"reports": "all", "stats_format": format, "retry": {"mode": "safe"}});
        let publisher = Publisher::new(&client, &config);
        for answer in [
            Answer::nothing().then(End::Close),
            Answer::nothing().then(End::Reset),
            Answer::raw("garbage\r\n\r\n").then(End::Close),
            Answer::ok("not JSON"),
            Answer::new(302, &[("Location", "http://127.0.0.1:1/?auth_signature=x")], ""),
            Answer::new(400, &[], "no"),
            Answer::new(401, &[], "no"),
            Answer::new(503, &[], "no"),
            Answer::ok(r#"{"error":"x","code":401}"#),
        ] {
            server.next(answer.clone());
            let data = json!({"private": "x".repeat(100)}).to_string();
            publisher.publish("private-encrypted-c", "e", &data);
            let report = publisher.report();
            let text = Value::Object(report.members).to_string();
            let signature = server.last().signature()[..16].to_owned();
            for secret in [&*signature, "auth_", "body_md5", "private"] {
                assert!(!text.contains(secret) && !publisher.stats_text().contains(secret), "{answer:?}: {text}");
            }
        }
    }
    // A signature that the server repeats is redacted, as in error documents.
    let repeating = |request: &Received| Answer::new(401, &[], &format!("Invalid signature {}", request.signature()));
    let server = Server::builder().answering(repeating).start();
    let publisher = Publisher::new(&server.client(), &json!({}));
    publisher.publish("c", "e", "1");
    publisher.report().is(1, "UNAUTHORIZED", "rejected", "");
}
