//! The bytes of a request.

use std::net::Ipv6Addr;

use crate::support::{APP_ID, Client, KEY, SECRET, Server, calls, signature};
use serde_json::{Value, json};

/// Triggers `data` on one channel and returns the body that was sent.
#[track_caller]
fn body(data: &str) -> String {
    let server = Server::start([]);
    server.client().trigger("my-channel", "my-event", data).is_ok("{}");
    server.only().text().to_owned()
}

#[test]
fn a_trigger_sends_the_documented_request() {
    let server = Server::start([]);
    server.client().trigger("my-channel", "my-event", r#"{"a":1}"#).is_ok("{}");
    let request = server.only();
    assert_eq!(request.text(), r#"{"name":"my-event","channels":["my-channel"],"data":"{\"a\":1}"}"#);
    assert_eq!((request.method(), request.path()), ("POST", "/apps/4711/events"));
    let names: Vec<String> =
        signature::parameters(request.query()).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["auth_key", "auth_timestamp", "auth_version", "body_md5", "auth_signature"]);
    assert!(request.query().starts_with(&format!("auth_key={KEY}&auth_timestamp=")), "{}", request.query());

    let version = env!("CARGO_PKG_VERSION");
    let mut headers = request.headers();
    headers.sort();
    let expected = [
        ("content-length", request.body.len().to_string()),
        ("content-type", "application/json".to_owned()),
        ("host", format!("127.0.0.1:{}", server.port())),
        ("user-agent", format!("libpusher/{version}")),
        ("x-pusher-library", format!("libpusher {version}")),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn channels_keep_their_order() {
    let server = Server::start([]);
    server.client().trigger(r#"["b","a","private-c"]"#, "e", "1").is_ok("{}");
    assert_eq!(server.only().text(), r#"{"name":"e","channels":["b","a","private-c"],"data":"1"}"#);
}

#[test]
fn given_options_are_in_the_body() {
    let server = Server::start([]);
    let client = server.client();
    for (options, more) in [
        (r#"{}"#, ""),
        (r#"{"timeout_ms":4000}"#, ""),
        (r#"{"socket_id":"1.2"}"#, r#","socket_id":"1.2""#),
        (r#"{"info":"user_count"}"#, r#","info":"user_count""#),
        (r#"{"info":"a,b","socket_id":"1.2","timeout_ms":4000}"#, r#","socket_id":"1.2","info":"a,b""#),
    ] {
        client.trigger_with("c", "e", "1", options).is_ok("{}");
        assert_eq!(server.last().text(), format!(r#"{{"name":"e","channels":["c"],"data":"1"{more}}}"#), "{options}");
    }
}

#[test]
fn data_is_sent_as_a_string_of_its_json() {
    for data in [
        "null",
        "true",
        "-0",
        "1.0",
        "1e400",
        "123456789012345678901234567890",
        "0.1000000000000000055511151231257827021181583404541015625",
        r#"{"b":1,"a":2,"b":3}"#,
        "{ \"a\" :\t[ 1 ,\r\n 2 ] }",
        r#"{"é":"😀","\u00e9":"\ud83d\ude00\/"}"#,
        "[\"\u{2028}\u{2029}\u{7f}\u{feff}\u{ffff}\"]",
        r#"["\u0000\u001f\"\\\b\f\n\r\t"]"#,
        r#"["\ud800"]"#,
        r#"["</script>&'+%2B"]"#,
    ] {
        let sent = body(data);
        let json: Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(json["data"].as_str(), Some(data), "{sent}");
    }
}

#[test]
fn white_space_around_data_is_not_sent() {
    for data in [" {\"a\": 1}", "{\"a\": 1}\n", "\t\r\n {\"a\": 1} \n\n"] {
        assert_eq!(body(data), r#"{"name":"my-event","channels":["my-channel"],"data":"{\"a\": 1}"}"#);
    }
    assert_eq!(body(" \"a \"\n"), r#"{"name":"my-event","channels":["my-channel"],"data":"a "}"#);
}

#[test]
fn a_json_string_literal_is_sent_unchanged() {
    for literal in [
        r#""""#,
        r#"" ""#,
        r#""hello""#,
        r#""\u0068ello\/""#,
        r#""é\u00e9😀\ud83d\ude00""#,
        r#""\u0000\u001F\"\\\b\f\n\r\t""#,
        r#""{\"a\":1}""#,
        "\"\u{2028}\u{7f}\"",
    ] {
        assert_eq!(body(literal), format!(r#"{{"name":"my-event","channels":["my-channel"],"data":{literal}}}"#));
    }
}

#[test]
fn strings_of_all_kinds_arrive_unchanged() {
    let server = Server::start([]);
    let client = server.client_with(json!({"max_data_bytes": 100_000}));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..300 {
        let mut data = String::new();
        random.json(&mut data, 4);
        client.trigger("c", "e", &data).is_ok("{}");
        let sent = server.last().json();
        match serde_json::from_str::<Value>(&data).unwrap() {
            Value::String(content) => assert_eq!(sent["data"], content),
            _ => assert_eq!(sent["data"], data),
        }
    }
}

/// Generates the same strings in each run, so that a failure can be reproduced.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn string(&mut self, text: &mut String) {
        const PIECES: [&str; 12] =
            ["a", "\\n", "\\\"", "\\\\", "\\u00e9", "é", "😀", "\\ud83d\\ude00", "\u{7f}", "\\/", " ", "\u{2028}"];
        text.push('"');
        for _ in 0..self.below(9) {
            text.push_str(self.one_of(&PIECES));
        }
        text.push('"');
    }

    fn json(&mut self, text: &mut String, depth: usize) {
        const LEAVES: [&str; 7] = ["null", "true", "0", "-1.50", "1E+2", "18446744073709551616", "[]"];
        match self.below(if depth == 0 { 2 } else { 4 }) {
            0 => text.push_str(self.one_of(&LEAVES)),
            1 => self.string(text),
            kind => {
                text.push(if kind == 2 { '[' } else { '{' });
                for index in 0..self.below(4) {
                    text.push_str(if index > 0 { "," } else { self.one_of(&["", " ", "\n"]) });
                    if kind == 3 {
                        self.string(text);
                        text.push(':');
                    }
                    self.json(text, depth - 1);
                }
                text.push(if kind == 2 { ']' } else { '}' });
            }
        }
    }
}

#[test]
fn an_event_name_is_escaped_for_json() {
    let server = Server::start([]);
    let client = server.client();
    for name in ["a\"b\\c/d", "é😀", "\u{1}\n\t\u{7f}", "</x>", "%00&a=b"] {
        client.trigger("c", name, "1").is_ok("{}");
        assert_eq!(server.last().json(), json!({"name": name, "channels": ["c"], "data": "1"}));
    }
}

#[test]
fn a_path_prefix_is_sent_and_signed() {
    let server = Server::start([]);
    server.client_with(json!({"path": "/pre/fix"})).trigger("c", "e", "1").is_ok("{}");
    assert_eq!(server.only().path(), "/pre/fix/apps/4711/events");
}

#[test]
fn a_path_prefix_that_a_proxy_strips_is_sent_but_not_signed() {
    let server = Server::builder().behind_prefix("/pre/fix").start();
    let client = server.client_with(json!({"path": "/pre/fix/", "sign_path_prefix": false}));
    client.trigger("c", "e", "1").is_ok("{}");
    assert_eq!(server.only().path(), "/pre/fix/apps/4711/events");
}

#[test]
fn a_url_is_a_complete_configuration() {
    let server = Server::start([]);
    let secret: String = SECRET.bytes().map(|b| format!("%{b:02x}")).collect();
    let url = format!("http://{KEY}:{secret}@127.0.0.1:{}/pre/apps/{APP_ID}", server.port());
    Client::new(&url).trigger("c", "e", "1").is_ok("{}");
    assert_eq!(server.only().path(), "/pre/apps/4711/events");
    let client = Client::new(&json!({"url": url, "app_id": 4712, "path": "/other"}).to_string());
    client.trigger("c", "e", "1").is_ok("{}");
    assert_eq!(server.last().path(), "/other/apps/4712/events");
}

#[test]
fn a_host_may_be_a_name() {
    let server = Server::start([]);
    server.client_with(json!({"host": "localhost"})).trigger("c", "e", "1").is_ok("{}");
    assert_eq!(server.only().header("host"), [format!("localhost:{}", server.port())]);
}

#[test]
fn an_ipv6_address_is_in_brackets() {
    // Not every machine has IPv6.
    let Ok(server) = Server::builder().start_on((Ipv6Addr::LOCALHOST, 0).into()) else { return };
    for host in ["::1", "[::1]"] {
        server.client_with(json!({"host": host})).trigger("c", "e", "1").is_ok("{}");
        assert_eq!(server.last().header("host"), [format!("[::1]:{}", server.port())]);
    }
}

#[test]
fn each_request_is_signed_with_the_current_second() {
    let server = Server::start([]);
    let client = server.client();
    for _ in 0..3 {
        client.trigger("c", "e", "1").is_ok("{}");
    }
    let timestamp = |query: &str| -> u64 {
        let parameters = signature::parameters(query).unwrap();
        parameters.iter().find(|(name, _)| name == "auth_timestamp").unwrap().1.parse().unwrap()
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(server.ledger().iter().all(|request| now - timestamp(request.query()) < 60));
}

#[test]
fn a_large_body_arrives_complete() {
    let server = Server::start([]);
    let client = server.client_with(json!({"max_data_bytes": 4 << 20, "timeout_ms": 60_000}));
    let data = format!("\"{}\"", "0123456789abcdef".repeat(1 << 16));
    client.trigger("c", "e", &data).is_ok("{}");
    assert_eq!(server.only().text(), format!(r#"{{"name":"e","channels":["c"],"data":{data}}}"#));
}

#[test]
fn the_recording_server_refuses_what_a_real_one_would() {
    // A gate that can't close proves nothing.
    let server = Server::builder().tolerant().start();
    let client = server.client_with(json!({"secret": "another", "timeout_ms": 1000}));
    client.trigger("c", "e", "1").is("DELIVERY_UNKNOWN", "unknown");
    let client = server.client_with(json!({"key": "another", "timeout_ms": 1000}));
    client.trigger("c", "e", "1").is("DELIVERY_UNKNOWN", "unknown");
    server.wait_until("two refusals", |log| log.refused.len() == 2);
    assert_eq!(server.ledger().len(), 0);

    let path = "/apps/1/events";
    let query = |timestamp: u64, md5: &str| {
        let unsigned = format!("auth_key=k&auth_timestamp={timestamp}&auth_version=1.0&body_md5={md5}");
        format!(
            "{unsigned}&auth_signature={}",
            signature::hmac_hex(b"s", format!("POST\n{path}\n{unsigned}").as_bytes())
        )
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let verify = |query: &str, body: &[u8]| signature::verify("POST", path, query, body, "k", "s");
    let right = query(now, &signature::md5_hex(b"{}"));
    assert_eq!(verify(&right, b"{}"), Ok(()));
    assert!(verify(&right, b"{} ").is_err());
    assert!(verify(&query(now - 700, &signature::md5_hex(b"{}")), b"{}").is_err());
    assert!(verify(&query(now + 700, &signature::md5_hex(b"{}")), b"{}").is_err());
    assert!(verify(&right.replace("version=1.0", "version=1.1"), b"{}").is_err());
    assert!(verify(&format!("{right}&auth_key=k"), b"{}").is_err());
    assert!(signature::verify("POST", "/apps/2/events", &right, b"{}", "k", "s").is_err());
    assert_eq!(calls::status_name(0), "OK");
}
