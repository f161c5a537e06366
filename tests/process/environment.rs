//! The configuration from environment variables.
//!
//! Each case runs in its own child process (`crate::support::child`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::support::{APP_ID, Client, KEY, SECRET, Server, child};
use serde_json::{Value, json};

/// Makes a client with or without a configuration, in the child, triggers if that succeeded, and reports
/// the result.
fn in_the_child() {
    in_the_child_with(None);
}

fn in_the_child_with(config: Option<&str>) {
    let outcome = match Client::try_new(config.map(str::as_bytes)) {
        Ok(client) => client.trigger("c", "e", "{}"),
        Err(outcome) => outcome,
    };
    let argument = if outcome.status == 0 { String::new() } else { outcome.text("argument") };
    let message = if outcome.status == 0 { String::new() } else { outcome.text("message") };
    child::tell(&json!([outcome.name(), argument, message]).to_string());
}

/// Returns the status and the argument that a child with these variables reported.
#[track_caller]
fn with<T: AsRef<OsStr>>(test: &str, variables: &[(&str, T)]) -> (String, String) {
    let reported = child::run(module_path!(), test, variables);
    let reported: Value = serde_json::from_str(reported.last().unwrap()).unwrap();
    let text = |index: usize| reported[index].as_str().unwrap().to_owned();
    assert!(!text(2).contains("s3cr3t"), "{reported}");
    (text(0), text(1))
}

fn encoded_secret() -> String {
    SECRET.bytes().map(|b| format!("%{b:02X}")).collect()
}

#[test]
fn pusher_url_overrides_the_other_variables() {
    const TEST: &str = "pusher_url_overrides_the_other_variables";
    if child::is_child() {
        return in_the_child();
    }
    let server = Server::start([]);
    let url = format!("http://{KEY}:{}@127.0.0.1:{}/apps/{APP_ID}", encoded_secret(), server.port());
    assert_eq!(with(TEST, &[("PUSHER_URL", &url)]).0, "OK");
    let others = [
        ("PUSHER_URL", &*url),
        ("PUSHER_APP_ID", "1"),
        ("PUSHER_KEY", "x"),
        ("PUSHER_SECRET", "y"),
        ("PUSHER_HOST", "h.invalid"),
    ];
    assert_eq!(with(TEST, &others).0, "OK");
    assert!(server.ledger().iter().all(|request| request.path() == "/apps/4711/events"));
    assert_eq!(server.ledger().len(), 2);
}

#[test]
fn single_variables_are_read_in_both_spellings() {
    const TEST: &str = "single_variables_are_read_in_both_spellings";
    if child::is_child() {
        return in_the_child();
    }
    let server = Server::start([]);
    let port = server.port().to_string();
    for (key, secret, cluster) in [
        ("PUSHER_KEY", "PUSHER_SECRET", "PUSHER_CLUSTER"),
        ("PUSHER_APP_KEY", "PUSHER_APP_SECRET", "PUSHER_APP_CLUSTER"),
    ] {
        let variables = [
            ("PUSHER_APP_ID", APP_ID),
            (key, KEY),
            (secret, SECRET),
            (cluster, "eu"),
            ("PUSHER_HOST", "127.0.0.1"),
            ("PUSHER_PORT", &*port),
            ("PUSHER_SCHEME", "http"),
        ];
        assert_eq!(with(TEST, &variables).0, "OK");
    }
    assert_eq!(server.ledger().len(), 2);
}

#[test]
fn the_default_is_https() {
    const TEST: &str = "the_default_is_https";
    if child::is_child() {
        return in_the_child();
    }
    let authority = crate::support::tls::Authority::new();
    // The client does not trust this server. The attempt to speak TLS is enough.
    let server = Server::builder().tls(authority.server(&["127.0.0.1"])).start();
    let port = server.port().to_string();
    let variables = [
        ("PUSHER_APP_ID", APP_ID),
        ("PUSHER_KEY", KEY),
        ("PUSHER_SECRET", SECRET),
        ("PUSHER_HOST", "127.0.0.1"),
        ("PUSHER_PORT", &*port),
    ];
    assert_eq!(with(TEST, &variables).0, "NOT_SENT");
    server.wait_until("the handshake's end", |log| log.failed_handshakes == 1);
}

#[test]
fn a_missing_or_wrong_variable_is_named() {
    const TEST: &str = "a_missing_or_wrong_variable_is_named";
    if child::is_child() {
        return in_the_child();
    }
    let refused = |variables: &[(&str, &str)]| {
        let (status, argument) = with(TEST, variables);
        assert_eq!(status, "INVALID_CONFIG", "{variables:?}");
        argument
    };
    refused(&[]);
    let three = [("PUSHER_APP_ID", "1"), ("PUSHER_KEY", "k"), ("PUSHER_SECRET", "s3cr3t")];
    assert!(["secret", "PUSHER_SECRET"].contains(&&*refused(&three[..2])));
    assert!(["app_id", "PUSHER_APP_ID"].contains(&&*refused(&three[1..])));
    // An empty variable counts as not set.
    assert!(["app_id", "PUSHER_APP_ID"].contains(&&*refused(&[("PUSHER_APP_ID", ""), three[1], three[2]])));
    for (name, value) in [
        ("PUSHER_PORT", "http"),
        ("PUSHER_PORT", "0"),
        ("PUSHER_PORT", "65536"),
        ("PUSHER_PORT", "+80"),
        ("PUSHER_PORT", "-80"),
        ("PUSHER_PORT", " 80"),
        ("PUSHER_PORT", "80 "),
        ("PUSHER_SCHEME", "ftp"),
        ("PUSHER_SCHEME", "https://"),
    ] {
        assert_eq!(refused(&[&three[..], &[(name, value)]].concat()), name);
    }
    for (name, value, key) in [("PUSHER_CLUSTER", "a.b", "cluster"), ("PUSHER_HOST", "a b", "host")] {
        let argument = refused(&[&three[..], &[(name, value)]].concat());
        assert!([name, key].contains(&&*argument), "{argument}");
    }
    assert_eq!(refused(&[("PUSHER_URL", "http://s3cr3t")]), "PUSHER_URL");
}

#[test]
fn a_variable_that_is_not_utf_8_is_named() {
    const TEST: &str = "a_variable_that_is_not_utf_8_is_named";
    if child::is_child() {
        return in_the_child();
    }
    let bytes = |text: &[u8]| OsStr::from_bytes(text).to_owned();
    let good = [("PUSHER_APP_ID", "1"), ("PUSHER_KEY", "k"), ("PUSHER_SECRET", "s")];
    let good = good.map(|(name, value)| (name, bytes(value.as_bytes())));
    for name in
        ["PUSHER_URL", "PUSHER_APP_ID", "PUSHER_KEY", "PUSHER_SECRET", "PUSHER_CLUSTER", "PUSHER_HOST", "PUSHER_PORT"]
    {
        let mut variables = good.to_vec();
        variables.retain(|(other, _)| *other != name);
        variables.push((name, bytes(b"s3cr3t\xff")));
        let variables: Vec<(&str, &OsStr)> = variables.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
        assert_eq!(with(TEST, &variables), ("INVALID_CONFIG".to_owned(), name.to_owned()));
    }
}

#[test]
fn an_explicit_configuration_ignores_the_environment() {
    const TEST: &str = "an_explicit_configuration_ignores_the_environment";
    if child::is_child() {
        let outcome = Client::try_new(Some(br#"{"app_id":"1","key":"k"}"#)).unwrap_err();
        return child::tell(&json!([outcome.name(), outcome.text("argument"), ""]).to_string());
    }
    let (status, argument) = with(TEST, &[("PUSHER_SECRET", "s"), ("PUSHER_URL", "http://k:s@h/apps/1")]);
    assert_eq!((&*status, &*argument), ("INVALID_CONFIG", "secret"));
}

#[test]
fn a_client_of_reverb_reads_the_variables_of_reverb_and_no_others() {
    const TEST: &str = "a_client_of_reverb_reads_the_variables_of_reverb_and_no_others";
    if child::is_child() {
        return in_the_child_with(Some(r#"{"server":"reverb","retry":{"mode":"never"}}"#));
    }
    let server = Server::start([]);
    let port = server.port().to_string();
    let reverb = [
        ("REVERB_APP_ID", APP_ID),
        ("REVERB_APP_KEY", KEY),
        ("REVERB_APP_SECRET", SECRET),
        ("REVERB_HOST", "127.0.0.1"),
        ("REVERB_PORT", &*port),
        ("REVERB_SCHEME", "http"),
    ];
    assert_eq!(with(TEST, &reverb).0, "OK");
    assert_eq!(server.only().path(), "/apps/4711/events");
    let pusher = reverb.map(|(name, value)| (name.replace("REVERB_", "PUSHER_"), value));
    let pusher: Vec<(&str, &str)> = pusher.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for missing in 0..4 {
        let mut variables = reverb.to_vec();
        variables.remove(missing);
        let key = ["app_id", "key", "secret", "host"][missing];
        assert_eq!(with(TEST, &[&pusher[..], &variables].concat()), ("INVALID_CONFIG".to_owned(), key.to_owned()));
    }
}

#[test]
fn the_variables_of_reverb_are_ignored_without_a_configuration() {
    const TEST: &str = "the_variables_of_reverb_are_ignored_without_a_configuration";
    if child::is_child() {
        return in_the_child();
    }
    let variables = [("REVERB_APP_ID", "1"), ("REVERB_APP_KEY", "k"), ("REVERB_APP_SECRET", "s"), ("REVERB_HOST", "h")];
    assert_eq!(with(TEST, &variables), ("INVALID_CONFIG".to_owned(), "config".to_owned()));
}
