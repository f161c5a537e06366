//! The key and the option `headers`: headers that a caller adds to requests.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

use crate::support::calls::{Client, config};
use crate::support::functions::Function;
use crate::support::server::{Answer, End, Received, Server};

const CANARY: &str = "Bearer c4n4ry-0f-a-header";

/// The values of the headers with this name, in the order of the request.
fn values(request: &Received, name: &str) -> Vec<String> {
    request.headers().into_iter().filter(|(own, _)| *own == name).map(|(_, value)| value).collect()
}

fn options(headers: &Value) -> String {
    json!({"headers": headers}).to_string()
}

#[test]
fn headers_of_the_configuration_and_of_a_call_are_sent() {
    let server = Server::start([]);
    let client = server.client_with(json!({"headers": {"Authorization": CANARY, "X-Tenant": "a"}}));
    client.trigger("c", "e", "1").is_ok("{}");
    let request = server.last();
    assert_eq!(
        (values(&request, "authorization"), values(&request, "x-tenant")),
        (vec![CANARY.into()], vec!["a".into()])
    );
    let own = options(&json!({"x-TENANT": "b c", "X-Empty": ""}));
    for function in Function::network() {
        let mut texts = function.good();
        *texts.last_mut().unwrap() = Some(own.as_bytes());
        assert_eq!(function.call(Some(&client), &texts).name(), "OK", "{}", function.name);
        let request = server.last();
        let of = |name| values(&request, name);
        assert_eq!(of("authorization"), [CANARY], "{}", function.name);
        assert_eq!((of("x-tenant"), of("x-empty")), (vec!["b c".into()], vec![String::new()]), "{}", function.name);
    }
    // They belong to one call.
    client.trigger("c", "e", "1").is_ok("{}");
    assert_eq!(values(&server.last(), "x-tenant"), ["a"]);
}

#[test]
fn each_attempt_and_each_request_of_a_fan_out_has_the_headers() {
    let busy = || Answer::new(429, &[("Retry-After", "0")], "busy");
    let server = Server::start([busy(), Answer::ok("{}"), Answer::ok("{}")]);
    let client = server.client_with(json!({"max_channels": 1, "retry": {"mode": "safe"}}));
    let own = r#"{"headers":{"X-Tenant":"a"},"fan_out":true}"#;
    assert_eq!(client.call_with("trigger", &[r#"["c","d"]"#, "e", "1", own]).name(), "OK");
    let ledger = server.ledger();
    assert_eq!(ledger.len(), 3);
    assert!(ledger.iter().all(|request| values(request, "x-tenant") == ["a"]));
}

#[test]
fn prepared_requests_and_transports_have_the_headers() {
    let client = Client::new(&config(1, json!({"headers": {"Authorization": CANARY}})));
    let own = options(&json!({"X-Tenant": "a"}));
    let texts = [Some("c"), Some("e"), Some("1"), Some(&*own)];
    let expected = [("authorization".to_owned(), CANARY.to_owned()), ("x-tenant".to_owned(), "a".to_owned())];
    let has_both = move |headers: &[(String, String)]| expected.iter().all(|header| headers.contains(header));
    assert!(has_both(&client.prepare("trigger", &texts).read().headers));
    client.send_by(move |request, reply| {
        reply.set(if has_both(&request.headers) { 200 } else { 500 }, b"{}");
    });
    client.call("trigger", &texts).is_ok("{}");
}

/// Names that frame, route or negotiate, belong to the library, or are none.
const REFUSED: [&str; 38] = [
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Content-Encoding",
    "TE",
    "Trailer",
    "Expect",
    "Connection",
    "Keep-Alive",
    "Upgrade",
    "HTTP2-Settings",
    "Proxy-Authorization",
    "Proxy-Connection",
    "proxy-x",
    "Accept-Encoding",
    "Range",
    "If-Match",
    "If-None-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "If-Range",
    "Content-Type",
    "User-Agent",
    "X-Idempotency-Key",
    "X-Pusher-Library",
    "X-Pusher-Key",
    "x-pusher-signature",
    "Content_Length",
    "X_Idempotency_Key",
    "x_pusher-Key",
    "",
    " ",
    "a b",
    "a:",
    "a\r\nb",
    "a\0",
    "\u{e9}",
    "(a)",
];

#[test]
fn names_that_are_not_the_callers_are_refused() {
    let client = Client::new(&config(1, json!({})));
    let is_token =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    for name in REFUSED {
        for name in [name.to_owned(), name.to_ascii_uppercase(), name.to_ascii_lowercase()] {
            let headers = json!({&*name: CANARY});
            // A name that is none may be a value in the wrong place.
            let part = if is_token(&name) { format!("headers.{name}") } else { "headers".to_owned() };
            let outcome = client.call_with("trigger", &["c", "e", "1", &options(&headers)]);
            outcome.is("INVALID_ARGUMENT", "not_sent").naming(&format!("options.{part}"));
            let refused = Client::try_new(Some(config(1, json!({"headers": headers})).as_bytes())).unwrap_err();
            refused.is("INVALID_CONFIG", "").naming(&part);
            assert!([outcome, refused].iter().all(|it| !it.document.as_deref().unwrap().contains("c4n4ry")));
        }
    }
    for name in
        ["Authorization", "Cookie", "X-Forwarded-For", "Accept", "!#$%&'*+-.^_`|~09azAZ", "x-sockudo-push-capability"]
    {
        Client::new(&config(1, json!({"headers": {name: "x"}})));
    }
}

#[test]
fn values_and_objects_that_add_a_line_or_a_duplicate_are_refused() {
    let client = Client::new(&config(1, json!({})));
    let value = |value: &str| json!({"X-A": value}).to_string();
    let long = value(&"x".repeat(4096));
    let many: String = (0..200).map(|i| format!(r#""x-{i}":"{}","#, "v".repeat(30))).collect();
    let many = format!("{{{}}}", many.trim_end_matches(','));
    let mut cases: Vec<(String, &str)> =
        ["a\r\nx: y", "a\nb", "a\rb", "a\0", "\0", "a\tb", "\u{7f}", "\u{1}", "\u{e9}", " a", "a "]
            .map(|text| (value(text), ".X-A"))
            .into();
    cases.extend([
        (r#"{"X-A":"a\u000d\u000ab"}"#.to_owned(), ".X-A"),
        (r#"{"X-A":"1","x-a":"2"}"#.to_owned(), ".x-a"),
        (r#"{"X-A":"1","X\u002dA":"2"}"#.to_owned(), ".X-A"),
        (r#"{"X-A":1}"#.to_owned(), ".X-A"),
        (r#"{"X-A":["a","b"]}"#.to_owned(), ".X-A"),
        (long, ".X-A"),
        ("[]".to_owned(), ""),
        (r#""X-A: b""#.to_owned(), ""),
    ]);
    for (headers, part) in cases {
        let outcome = client.call_with("get", &["/x", "{}", &format!(r#"{{"headers":{headers}}}"#)]);
        outcome.is("INVALID_ARGUMENT", "").naming(&format!("options.headers{part}"));
        let config = config(1, json!({})).replacen('{', &format!(r#"{{"headers":{headers},"#), 1);
        Client::try_new(Some(config.as_bytes()))
            .unwrap_err()
            .is("INVALID_CONFIG", "")
            .naming(&format!("headers{part}"));
    }
    client.call_with("get", &["/x", "{}", &format!(r#"{{"headers":{many}}}"#)]).is("INVALID_ARGUMENT", "");
}

#[test]
fn no_document_and_no_log_shows_a_value() {
    let answers =
        [Answer::new(403, &[], "no"), Answer::raw("HTTP/1.1 200 OK\r\n").then(End::Reset), Answer::new(500, &[], "")];
    let server = Server::start(answers);
    let client = server
        .client_with(json!({"headers": {"Authorization": CANARY}, "log_level": "debug", "retry": {"mode": "never"}}));
    let (messages, _) = client.log();
    let own = options(&json!({"X-Secret": CANARY}));
    for _ in 0..4 {
        let outcome = client.call_with("trigger", &["c", "e", "1", &own]);
        assert!(!outcome.document.unwrap().contains("c4n4ry"));
    }
    let unreachable = Client::new(&config(1, json!({"headers": {"Authorization": CANARY}})));
    assert!(!unreachable.trigger("c", "e", "1").document.unwrap().contains("c4n4ry"));
    let logged = messages.take();
    assert!(!logged.is_empty());
    assert!(logged.iter().all(|logged| !format!("{logged:?}").contains("c4n4ry")));
}

#[test]
fn a_value_that_the_server_repeats_is_redacted() {
    let token = CANARY.split(' ').next_back().unwrap();
    for repeated in [CANARY, token] {
        for padding in [0, 990, 1000, 1010, 1020, 1030] {
            let body = format!("{}{repeated}{repeated}", "x".repeat(padding));
            let server = Server::start([Answer::new(403, &[], &body)]);
            let client = server.client_with(json!({"headers": {"Authorization": CANARY}}));
            let outcome = client.call_with("trigger", &["c", "e", "1", &options(&json!({"X-Short": "x"}))]);
            assert!(!outcome.document.as_deref().unwrap().contains("c4n4r"), "{padding}: {outcome:?}");
            assert_eq!(outcome.text("response").contains("[header]"), padding <= 1016, "{padding}: {outcome:?}");
        }
    }
    let body = format!(r#"{{"code":"{token}"}}"#);
    let server = Server::start([Answer::new(403, &[], &body)]);
    let outcome = server.client_with(json!({"headers": {"Authorization": CANARY}})).trigger("c", "e", "1");
    assert_eq!(outcome.text("server_code"), "");
}

#[test]
fn a_tunnel_through_a_proxy_is_asked_for_without_the_headers() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = proxy.local_addr().unwrap().port();
    let heads = thread::spawn(move || {
        let (mut stream, _) = proxy.accept().unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 403 No\r\n\r\n").unwrap();
        String::from_utf8(head).unwrap()
    });
    let more = json!({
        "ssl": true, "proxy": format!("http://127.0.0.1:{port}"), "headers": {"Authorization": CANARY},
        "retry": {"mode": "never"},
    });
    let own = options(&json!({"X-Secret": CANARY}));
    let outcome = Client::new(&config(1, more)).call_with("trigger", &["c", "e", "1", &own]);
    outcome.is("NOT_SENT", "not_sent").because("proxy");
    let head = heads.join().unwrap();
    assert!(head.starts_with("CONNECT ") && !head.contains("c4n4ry"), "{head}");
}
