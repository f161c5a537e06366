//! The option `extra`: members of an event that only some servers know.

use serde_json::{Value, json};

use crate::support::calls::{self, Client, config};
use crate::support::server::Server;

const MASTER_KEY: &str = "0123456789abcdef0123456789abcdef";

fn body(client: &Client, server: &Server, name: &str, texts: &[&str]) -> String {
    client.call_with(name, texts).is_ok("{}");
    String::from_utf8(server.last().body).unwrap()
}

#[test]
fn members_of_extra_are_sent_as_they_are_written() {
    let server = Server::start([]);
    let client = server.client();
    let options = r#"{"extra": { "tags": {"a" : 1e400}, "d\u0065lta":true }, "socket_id":"1.2"}"#;
    let members = r#""tags": {"a" : 1e400}, "d\u0065lta":true"#;
    for (name, texts, channels) in [
        ("trigger", ["c", "e", "1", options], r#"["c"]"#),
        ("trigger", [r#"["c","d"]"#, "e", "1", options], r#"["c","d"]"#),
        ("send_to_user", ["u", "e", "1", options], r##"["#server-to-user-u"]"##),
    ] {
        let expected = format!(r#"{{"name":"e","channels":{channels},"data":"1","socket_id":"1.2",{members}}}"#);
        assert_eq!(body(&client, &server, name, &texts), expected);
    }
    for empty in ["{}", " { } "] {
        let sent = body(&client, &server, "trigger", &["c", "e", "1", &format!(r#"{{"extra":{empty}}}"#)]);
        assert_eq!(sent, r#"{"name":"e","channels":["c"],"data":"1"}"#);
    }
}

#[test]
fn each_event_of_a_batch_has_its_own_extra() {
    let server = Server::start([]);
    let events = r#"[{"channel":"a","name":"e","data":1,"extra":{"tags":{"x":"y"}},"info":"user_count"},
        {"extra":{},"channel":"b","name":"e","data":2},{"channel":"c","name":"e","data":3}]"#;
    let sent = body(&server.client(), &server, "trigger_batch", &[events]);
    let first = r#"{"channel":"a","name":"e","data":"1","info":"user_count","tags":{"x":"y"}}"#;
    let others = r#"{"channel":"b","name":"e","data":"2"},{"channel":"c","name":"e","data":"3"}"#;
    assert_eq!(sent, format!(r#"{{"batch":[{first},{others}]}}"#));
}

/// Objects that are refused, and the part that the error names.
fn refused() -> Vec<(String, &'static str)> {
    let deep = format!(r#"{{"a":"{}"}}"#, "x".repeat(64 << 10));
    [
        (r#"{"name":"x"}"#, ".name"),
        (r#"{"\u006eame":"x"}"#, ".name"),
        (r#"{"NAME":"x"}"#, ".NAME"),
        (r#"{"channel":"x"}"#, ".channel"),
        (r#"{"tags":{},"channels":["x"]}"#, ".channels"),
        (r#"{"data":1}"#, ".data"),
        (r#"{"d\u0061ta":1}"#, ".data"),
        (r#"{"socket_id":"1.2"}"#, ".socket_id"),
        (r#"{"info":"x"}"#, ".info"),
        (r#"{"tags":1,"tags":2}"#, ".tags"),
        (r#"{"tags":1,"t\u0061gs":2}"#, ".tags"),
        (r#"{"idempotency_key":"k"}"#, ".idempotency_key"),
        (r#"{"\u0069dempotency_key":"k"}"#, ".idempotency_key"),
        (r#"{"extras":{"idempotency_key":"k"}}"#, ".extras.idempotency_key"),
        (r#"{"extras":{"idempotency\u005fkey":"k"}}"#, ".extras.idempotency_key"),
        (r#"{"e\u0078tras":{"a":1,"headers":{"idempotency_key":"k"}}}"#, ".extras.headers.idempotency_key"),
        (r#"{"extras":{"headers":{},"headers":{"idempotency_key":1}}}"#, ".extras.headers.idempotency_key"),
        ("[]", ""),
        ("1", ""),
        (r#""tags""#, ""),
        (&deep, ""),
    ]
    .map(|(text, part)| (text.to_owned(), part))
    .into()
}

#[test]
fn members_of_the_library_and_duplicates_are_refused_in_any_spelling() {
    let client = Client::new(&config(1, json!({})));
    for (extra, part) in refused() {
        let options = format!(r#"{{"extra":{extra}}}"#);
        let batch = format!(r#"[{{"channel":"c","name":"e","data":1,"extra":{extra}}}]"#);
        let argument = format!("options.extra{part}");
        for (name, texts) in [("trigger", ["c", "e", "1", &options]), ("send_to_user", ["u", "e", "1", &options])] {
            client.call_with(name, &texts).is("INVALID_ARGUMENT", "not_sent").naming(&argument);
        }
        let outcome = client.call_with("trigger_batch", &[&batch]);
        outcome.is("INVALID_ARGUMENT", "not_sent").naming(&format!("events[0].extra{part}"));
        if part.ends_with("idempotency_key") {
            assert!(outcome.text("message").ends_with("belongs into the option idempotency_key"), "{outcome:?}");
        }
    }
    for other in ["terminate_user_connections", "channels_info", "get", "post", "delete"] {
        let function = crate::support::functions::Function::named(other);
        let mut texts = function.good();
        *texts.last_mut().unwrap() = Some(br#"{"extra":{"tags":{}}}"#);
        let outcome = function.call(Some(&client), &texts);
        assert_eq!((outcome.name(), outcome.text("argument").as_str()), ("INVALID_ARGUMENT", "options.extra"));
    }
}

#[test]
fn extra_goes_to_encrypted_channels_only_if_the_caller_says_so() {
    let server = Server::start([]);
    let key = calls::base64(MASTER_KEY.as_bytes());
    let client = server.client_with(json!({"encryption_master_key_base64": key}));
    let channel = "private-encrypted-c";
    for options in [r#"{"extra":{"tags":{}}}"#, r#"{"extra":{"tags":{}},"extra_in_clear":false}"#] {
        let outcome = client.call_with("trigger", &[channel, "e", "1", options]);
        outcome.is("INVALID_ARGUMENT", "not_sent").naming("options.extra");
    }
    let event =
        |more: &str| format!(r#"[{{"channel":"{channel}","name":"e","data":1,"extra":{{"tags":{{}}}}{more}}}]"#);
    client.call_with("trigger_batch", &[&event("")]).is("INVALID_ARGUMENT", "not_sent").naming("events[0].extra");
    assert_eq!(server.ledger().len(), 0);
    let in_clear = r#"{"extra":{"tags":{}},"extra_in_clear":true}"#;
    let sent: Value = serde_json::from_str(&body(&client, &server, "trigger", &[channel, "e", "1", in_clear])).unwrap();
    assert_eq!(sent["tags"], json!({}));
    assert!(sent["data"].as_str().unwrap().contains("ciphertext"), "{sent}");
    body(&client, &server, "trigger_batch", &[&event(r#","extra_in_clear":true"#)]);
    let wrong = client.call_with("trigger", &[channel, "e", "1", r#"{"extra_in_clear":1}"#]);
    wrong.is("INVALID_ARGUMENT", "not_sent").naming("options.extra_in_clear");
}

#[test]
fn every_part_of_a_fan_out_has_extra() {
    let server = Server::start([]);
    let client = server.client_with(json!({"encryption_master_key_base64": calls::base64(MASTER_KEY.as_bytes())}));
    let channels = r#"["a","private-encrypted-c"]"#;
    let options = r#"{"fan_out":true,"extra":{"tags":{}}}"#;
    client
        .call_with("trigger", &[channels, "e", "1", options])
        .is("INVALID_ARGUMENT", "not_sent")
        .naming("options.extra");
    assert_eq!(server.ledger().len(), 0);
    let in_clear = r#"{"fan_out":true,"extra":{"tags":{}},"extra_in_clear":true}"#;
    assert_eq!(client.call_with("trigger", &[channels, "e", "1", in_clear]).name(), "OK");
    let ledger = server.ledger();
    let has_tags = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["tags"] == json!({});
    assert!(ledger.len() == 2 && ledger.iter().all(|request| has_tags(&request.body)));
}

#[test]
fn an_unknown_member_of_an_event_names_extra() {
    let client = Client::new(&config(1, json!({})));
    let outcome = client.call_with("trigger_batch", &[r#"[{"channel":"c","name":"e","data":1,"tags":{}}]"#]);
    outcome.is("INVALID_ARGUMENT", "not_sent").naming("events[0].tags");
    assert!(outcome.text("message").contains("extra"), "{outcome:?}");
}

#[test]
fn users_are_queried_with_parameters() {
    let server = Server::start([]);
    let client = server.client();
    let options = r#"{"params":{"with_user_info":1,"q":"a b"},"timeout_ms":9000}"#;
    client.call_with("users_info", &["presence-c", options]).is_ok("{}");
    let request = server.last();
    assert!(request.query().contains("with_user_info=1") && request.query().contains("q=a%20b"), "{}", request.head);
    for (params, part) in
        [(r#"{"auth_key":1}"#, ".auth_key"), (r#"{"A":1}"#, ".A"), (r#"{"a":"\n"}"#, ".a"), ("[]", "")]
    {
        let outcome = client.call_with("users_info", &["presence-c", &format!(r#"{{"params":{params}}}"#)]);
        outcome.is("INVALID_ARGUMENT", "").naming(&format!("options.params{part}"));
    }
    for (name, texts) in [("channel_info", ["c", "x"]), ("get", ["/x", "{}"])] {
        let outcome = client.call_with(name, &[texts[0], texts[1], r#"{"params":{}}"#]);
        outcome.is("INVALID_ARGUMENT", "").naming("options.params");
    }
}
