//! A process with few or no descriptors left: a call succeeds, or fails with a message that names
//! them, and works again afterwards.

#![cfg(unix)]

use std::env;

use crate::fork::with_descriptors_left;
use crate::support::publisher::{self, Publisher};
use crate::support::tls::Authority;
use crate::support::{Client, Server, child, config, host};
use serde_json::{Value, json};

/// The most descriptors that the cases leave. The last ones are enough for a call.
const MOST: usize = 8;

/// Makes a call with each number of descriptors left, in the child, and reports the outcomes.
fn in_the_child() {
    let config = env::var("TEST_CONFIG").unwrap();
    for left in 0..MOST {
        host::fork(|| {
            let client = Client::new(&config);
            let outcome = with_descriptors_left(left, || client.trigger("c", "e", "\"few\""));
            let error = if outcome.status == 0 { json!(null) } else { Value::Object(outcome.error()) };
            child::tell(&json!([left, error]).to_string());
            client.trigger("c", "e", "\"then\"").is_ok("{}");
            host::exit(0);
        })
        .join();
    }
}

/// Makes the calls, and asserts that some succeed, and that the others name the descriptors and may
/// be repeated.
#[track_caller]
fn messages_are_true(test: &str, more: &Value, tls: bool) {
    let authority = Authority::new();
    let server = Server::builder();
    let server = if tls { server.tls(authority.server(&["localhost", "127.0.0.1"])) } else { server }.start();
    let mut more = more.clone();
    if more["ca_file"] == json!(true) {
        more["ca_file"] = json!(authority.file());
    }
    let variables = [
        ("TEST_CONFIG", config(server.port(), more)),
        // The certificates of the system are these.
        ("SSL_CERT_FILE", authority.file().to_owned()),
    ];
    let lines = child::run(module_path!(), test, &variables);
    let (mut succeeded, mut wrong) = (0, Vec::new());
    for line in &lines {
        let (_, error): (usize, Value) = serde_json::from_str(line).unwrap();
        if error.is_null() {
            succeeded += 1;
            continue;
        }
        let message = error["message"].as_str().unwrap();
        let is_true = message.contains("Too many open files")
            && !["there is no host", "no trusted", "certificate is not", "thread"]
                .iter()
                .any(|word| message.contains(word));
        let members = (&error["status"], &error["delivery"], &error["retryable"]);
        if !is_true || members != (&json!("NOT_SENT"), &json!("not_sent"), &json!(true)) {
            wrong.push(line.clone());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!((1..MOST).contains(&succeeded), "{lines:?}");
    let few = server.ledger().iter().filter(|request| request.json()["data"] == json!("few")).count();
    assert_eq!((few, server.ledger().len()), (succeeded, succeeded + MOST));
}

#[test]
fn a_lack_of_descriptors_for_the_certificates_of_the_system_is_named_and_may_be_repeated() {
    const TEST: &str = "a_lack_of_descriptors_for_the_certificates_of_the_system_is_named_and_may_be_repeated";
    if child::is_child() {
        return in_the_child();
    }
    messages_are_true(TEST, &json!({"ssl": true}), true);
    messages_are_true(TEST, &json!({"ssl": true, "host": "localhost"}), true);
}

#[test]
fn a_lack_of_descriptors_for_a_ca_file_is_named_and_may_be_repeated() {
    const TEST: &str = "a_lack_of_descriptors_for_a_ca_file_is_named_and_may_be_repeated";
    if child::is_child() {
        return in_the_child();
    }
    messages_are_true(TEST, &json!({"ssl": true, "ca_file": true}), true);
}

#[test]
fn a_lack_of_descriptors_for_a_lookup_or_a_connection_is_named_and_may_be_repeated() {
    const TEST: &str = "a_lack_of_descriptors_for_a_lookup_or_a_connection_is_named_and_may_be_repeated";
    if child::is_child() {
        return in_the_child();
    }
    messages_are_true(TEST, &json!({}), false);
    messages_are_true(TEST, &json!({"host": "localhost"}), false);
}

#[test]
fn the_cause_of_a_lack_of_descriptors_for_certificates_is_connect() {
    const TEST: &str = "the_cause_of_a_lack_of_descriptors_for_certificates_is_connect";
    if child::is_child() {
        let client = Client::new(&env::var("TEST_CONFIG").unwrap());
        let outcome = with_descriptors_left(0, || client.trigger("c", "e", "{}"));
        outcome.is("NOT_SENT", "not_sent").because("connect");
        client.trigger("c", "e", "{}").is_ok("{}");
        return;
    }
    let authority = Authority::new();
    let server = Server::builder().tls(authority.server(&["127.0.0.1"])).start();
    let variables =
        [("TEST_CONFIG", config(server.port(), json!({"ssl": true}))), ("SSL_CERT_FILE", authority.file().to_owned())];
    child::run(module_path!(), TEST, &variables);
    assert_eq!(server.ledger().len(), 1);
}

#[test]
fn a_publisher_without_a_descriptor_names_the_limit_and_makes_one_later() {
    const TEST: &str = "a_publisher_without_a_descriptor_names_the_limit_and_makes_one_later";
    if child::is_child() {
        let client = Client::new(&config(9, json!({})));
        let publisher = Publisher::new(&client, &json!({}));
        let refused = with_descriptors_left(0, || publisher::fd(Some(&publisher)).unwrap_err());
        assert!(publisher::fd(Some(&publisher)).is_ok());
        return child::tell(&refused.document.unwrap());
    }
    let no_variables: [(&str, &str); 0] = [];
    let lines = child::run(module_path!(), TEST, &no_variables);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.contains(r#""status":"INTERNAL""#) && line.contains("no descriptor"), "{line}");
    assert!(line.contains("ulimit -n"), "{line}");
}
