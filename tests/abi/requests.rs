//! The request of each call. The server checks every signature.

use std::net::Ipv6Addr;

use crate::support::functions::Function;
use crate::support::server::Received;
use crate::support::{APP_ID, Answer, Client, KEY, Outcome, Random, SECRET, Server, calls, signature};
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
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
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

/// Makes one call and returns its request.
#[track_caller]
fn sent(name: &str, texts: &[Option<&str>]) -> Received {
    let server = Server::start([]);
    server.client().call(name, texts).is_ok("{}");
    server.only()
}

/// Returns the method and path, the call's own parameters, decoded, and the body.
#[track_caller]
fn parts(request: &Received) -> (String, Vec<(String, String)>, String) {
    let own = |(name, _): &(String, String)| !name.starts_with("auth_") && name != "body_md5";
    let parameters = signature::parameters(request.query()).unwrap().into_iter().filter(own).collect();
    (format!("{} {}", request.method(), request.path()), parameters, request.text().to_owned())
}

#[track_caller]
fn is_request(name: &str, texts: &[Option<&str>], line: &str, parameters: &[(&str, &str)], body: &str) {
    let parameters: Vec<(String, String)> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(parts(&sent(name, texts)), (line.to_owned(), parameters, body.to_owned()), "{name} {texts:?}");
}

/// A call, its arguments, and its request: the request line, its own parameters and the body.
type Case<'a> = (&'a str, &'a [Option<&'a str>], &'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn each_call_sends_the_documented_request() {
    let long = "u".repeat(200);
    let to_long = format!(r##"{{"name":"e","channels":["#server-to-user-{long}"],"data":"1"}}"##);
    let terminate_long = format!("POST /apps/4711/users/{long}/terminate_connections");
    let cases: [Case; 20] = [
        (
            "send_to_user",
            &[Some("user-7"), Some("my-event"), Some(r#"{"a": 1}"#)],
            "POST /apps/4711/events",
            &[],
            r##"{"name":"my-event","channels":["#server-to-user-user-7"],"data":"{\"a\": 1}"}"##,
        ),
        (
            "send_to_user",
            &[
                Some("a@b.c,d;=_"),
                Some("e"),
                Some(r#""\u00e9""#),
                Some(r#"{"socket_id":"1.2","info":"x","timeout_ms":9000}"#),
            ],
            "POST /apps/4711/events",
            &[],
            r##"{"name":"e","channels":["#server-to-user-a@b.c,d;=_"],"data":"\u00e9","socket_id":"1.2","info":"x"}"##,
        ),
        ("send_to_user", &[Some(&long), Some("e"), Some("1")], "POST /apps/4711/events", &[], &to_long),
        (
            "terminate_user_connections",
            &[Some("user@example.org"), Some(r#"{"timeout_ms":9000}"#)],
            "POST /apps/4711/users/user@example.org/terminate_connections",
            &[],
            "{}",
        ),
        (
            "terminate_user_connections",
            &[Some("a=b,c;d")],
            "POST /apps/4711/users/a=b,c;d/terminate_connections",
            &[],
            "{}",
        ),
        ("terminate_user_connections", &[Some(&long)], &terminate_long, &[], "{}"),
        ("channels_info", &[], "GET /apps/4711/channels", &[], ""),
        (
            "channels_info",
            &[Some("presence-"), Some("user_count"), Some(r#"{"timeout_ms":9000}"#)],
            "GET /apps/4711/channels",
            &[("filter_by_prefix", "presence-"), ("info", "user_count")],
            "",
        ),
        ("channels_info", &[None, Some("a,b")], "GET /apps/4711/channels", &[("info", "a,b")], ""),
        ("channels_info", &[Some("a@,;=.")], "GET /apps/4711/channels", &[("filter_by_prefix", "a@,;=.")], ""),
        ("channel_info", &[Some("c@a,b;=.")], "GET /apps/4711/channels/c@a,b;=.", &[], ""),
        (
            "channel_info",
            &[Some("cache-c"), Some("user_count,subscription_count,cache")],
            "GET /apps/4711/channels/cache-c",
            &[("info", "user_count,subscription_count,cache")],
            "",
        ),
        ("users_info", &[Some("presence-c")], "GET /apps/4711/channels/presence-c/users", &[], ""),
        (
            "users_info",
            &[Some("presence-c"), Some(r#"{"timeout_ms":9000}"#)],
            "GET /apps/4711/channels/presence-c/users",
            &[],
            "",
        ),
        ("get", &[Some("/channels/c/users")], "GET /apps/4711/channels/c/users", &[], ""),
        ("get", &[Some("/a-b/C_d=@,.;/...")], "GET /apps/4711/a-b/C_d=@,.;/...", &[], ""),
        ("post", &[Some("/events")], "POST /apps/4711/events", &[], "{}"),
        (
            "post",
            &[Some("/a/b"), Some(r#"{"z":true,"a":-1,"m":"x y"}"#), Some(" [1, {\"b\" : 1e400}]\n")],
            "POST /apps/4711/a/b",
            &[("a", "-1"), ("m", "x y"), ("z", "true")],
            "[1, {\"b\" : 1e400}]",
        ),
        ("delete", &[Some("/a/b")], "DELETE /apps/4711/a/b", &[], ""),
        ("delete", &[Some("/a"), Some(r#"{"z":1,"m":"x y"}"#)], "DELETE /apps/4711/a", &[("m", "x y"), ("z", "1")], ""),
    ];
    for (name, texts, line, parameters, body) in cases {
        is_request(name, texts, line, parameters, body);
    }
}

#[test]
fn every_request_has_the_same_headers() {
    let version = env!("CARGO_PKG_VERSION");
    let server = Server::start([]);
    let client = server.client();
    for function in Function::network() {
        function.call(Some(&client), &function.shortest());
        let request = server.last();
        let mut headers = request.headers();
        headers.sort();
        let mut expected = vec![
            ("content-type", "application/json".to_owned()),
            ("host", format!("127.0.0.1:{}", server.port())),
            ("user-agent", format!("libpusher/{version}")),
            ("x-pusher-library", format!("libpusher {version}")),
        ];
        if request.method() == "POST" {
            expected.insert(0, ("content-length", request.body.len().to_string()));
        }
        let expected: Vec<_> = expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(headers, expected, "{}", function.name);
    }
}

#[test]
fn only_a_post_has_a_body_digest() {
    let server = Server::start([]);
    let client = server.client();
    for function in Function::network() {
        function.call(Some(&client), &function.good());
        let request = server.last();
        assert_eq!(request.query().contains("body_md5="), request.method() == "POST", "{}", request.head);
    }
}

#[test]
fn parameters_are_signed_raw_and_sent_percent_encoded() {
    let nasty = [
        "",
        " ",
        "a b",
        "a+b",
        "a&b=c",
        "a%20b",
        "100%",
        "?#/:;,@",
        "é",
        "😀",
        "a\u{a0}b",
        "\"<>\\^`{|}",
        "-._~",
        "!$'()*",
        "http://a/?b=c&d=e",
    ];
    let server = Server::start([]);
    let client = server.client();
    for value in nasty {
        for (name, path) in [("get", "/channels"), ("post", "/events")] {
            client.call_with(name, &[path, &json!({"x_1": value}).to_string()]).is_ok("{}");
            let request = server.last();
            // The server decoded it and computed the same signature from the raw value.
            let (_, parameters, _) = parts(&request);
            assert_eq!(parameters, [("x_1".to_owned(), value.to_owned())]);
            assert!(request.target().bytes().all(|b| b.is_ascii_graphic()), "{}", request.target());
        }
    }
}

#[test]
fn parameters_are_sorted_among_the_auth_parameters() {
    let server = Server::start([]);
    let params = r#"{"zeta":1,"a":2,"auth":3,"authx":4,"b":5,"bodx":6,"0":7,"_":8,"auti_key":9}"#;
    server.client().call_with("post", &["/x", params]).is_ok("{}");
    let parameters = signature::parameters(server.only().query()).unwrap();
    let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "0",
        "_",
        "a",
        "auth",
        "auth_key",
        "auth_timestamp",
        "auth_version",
        "authx",
        "auti_key",
        "b",
        "bodx",
        "body_md5",
        "zeta",
        "auth_signature",
    ];
    assert_eq!(names, expected);
}

#[test]
fn numbers_and_booleans_are_sent_as_written() {
    let numbers = "123456789012345678901234567890";
    let params = format!(r#"{{"big":{numbers},"minus":-0,"no":false,"zero":0}}"#);
    let (_, parameters, _) = parts(&sent("get", &[Some("/x"), Some(&params)]));
    let expected = [("big", numbers), ("minus", "-0"), ("no", "false"), ("zero", "0")];
    assert_eq!(parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn a_parameter_that_is_null_is_not_given() {
    let params = r#"{"a":null,"b":1,"c": null }"#;
    assert_eq!(parts(&sent("get", &[Some("/x"), Some(params)])).1, [("b".to_owned(), "1".to_owned())]);
}

#[test]
fn empty_params_add_no_parameter() {
    assert_eq!(parts(&sent("get", &[Some("/x"), Some(" {} ")])).1, []);
}

#[test]
fn every_call_uses_the_path_prefix() {
    for (more, stripped) in
        [(json!({"path": "/pre"}), ""), (json!({"path": "/pre", "sign_path_prefix": false}), "/pre")]
    {
        let server = Server::builder().behind_prefix(stripped).start();
        let client = server.client_with(more);
        for function in Function::network() {
            assert_eq!(function.call(Some(&client), &function.good()).name(), "OK");
            assert!(server.last().path().starts_with("/pre/apps/4711/"));
        }
    }
}

#[test]
fn a_batch_sends_the_documented_request() {
    let server = Server::start([]);
    let client = server.client();
    let cases = [
        (
            r#"[{"channel":"a","name":"e","data":{"x":1}}]"#,
            r#"{"batch":[{"channel":"a","name":"e","data":"{\"x\":1}"}]}"#,
        ),
        // The events keep their order and their own members; the order of the members may differ.
        (
            r#" [ {"data" : "text\u00e9" ,"name":"n 1","channel":"b"},
                 {"info":"user_count","socket_id":"1.2","channel":"a","name":"\u0065","data":[ 1 , 2 ]} ] "#,
            concat!(
                r#"{"batch":[{"channel":"b","name":"n 1","data":"text\u00e9"},"#,
                r#"{"channel":"a","name":"e","data":"[ 1 , 2 ]","socket_id":"1.2","info":"user_count"}]}"#
            ),
        ),
        (
            r#"[{"channel":"a","name":"e","data":null},{"channel":"a","name":"e","data":false},{"channel":"a","name":"e","data":-0.0}]"#,
            concat!(
                r#"{"batch":[{"channel":"a","name":"e","data":"null"},{"channel":"a","name":"e","data":"false"},"#,
                r#"{"channel":"a","name":"e","data":"-0.0"}]}"#
            ),
        ),
    ];
    for (events, body) in cases {
        client.call_with("trigger_batch", &[events]).is_ok("{}");
        let request = server.last();
        assert_eq!((request.method(), request.path(), request.text()), ("POST", "/apps/4711/batch_events", body));
    }
}

/// Returns a batch of `count` events; `change` edits the one at `index`.
fn batch(count: usize, index: usize, change: impl Fn(&mut Value)) -> String {
    let mut events: Vec<Value> =
        (0..count).map(|i| json!({"channel": format!("c-{i}"), "name": "e", "data": i})).collect();
    change(&mut events[index]);
    Value::from(events).to_string()
}

#[track_caller]
fn refused(outcome: &Outcome, argument: &str) {
    outcome.is("INVALID_ARGUMENT", "not_sent").naming(argument);
}

#[test]
fn a_batch_holds_1_to_10_events() {
    let server = Server::start([]);
    let client = server.client();
    for count in [1, 9, 10] {
        client.call_with("trigger_batch", &[&batch(count, 0, |_| ())]).is_ok("{}");
        assert_eq!(server.last().json()["batch"].as_array().unwrap().len(), count);
    }
    for count in [11, 12, 1000] {
        refused(&client.call_with("trigger_batch", &[&batch(count, 0, |_| ())]), "events");
    }
    refused(&client.call_with("trigger_batch", &["[]"]), "events");
    let client = server.client_with(json!({"max_batch_events": 2}));
    client.call_with("trigger_batch", &[&batch(2, 0, |_| ())]).is_ok("{}");
    refused(&client.call_with("trigger_batch", &[&batch(3, 0, |_| ())]), "events");
    let client = server.client_with(json!({"max_batch_events": 11}));
    client.call_with("trigger_batch", &[&batch(11, 0, |_| ())]).is_ok("{}");
    assert_eq!(server.ledger().len(), 5);
}

/// A change to an event.
type Change<'a> = &'a dyn Fn(&mut Value);

#[test]
fn an_invalid_event_of_a_batch_is_named_by_its_index() {
    let server = Server::start([]);
    let client = server.client();
    let long = "a".repeat(201);
    let cases: [(&str, Change); 12] = [
        ("channel", &|event| event["channel"] = json!("a b")),
        ("channel", &|event| event["channel"] = json!("")),
        ("channel", &|event| event["channel"] = json!(long)),
        ("channel", &|event| event["channel"] = json!(["a"])),
        ("channel", &|event| event["channel"] = json!("#server-to-user-1")),
        ("channel", &|event| drop(event.as_object_mut().unwrap().remove("channel"))),
        ("name", &|event| event["name"] = json!(long)),
        ("name", &|event| drop(event.as_object_mut().unwrap().remove("name"))),
        ("data", &|event| drop(event.as_object_mut().unwrap().remove("data"))),
        ("socket_id", &|event| event["socket_id"] = json!("1.2\n")),
        ("info", &|event| event["info"] = json!("")),
        ("timeout_ms", &|event| event["timeout_ms"] = json!(1)),
    ];
    for index in [0, 3, 9] {
        for (member, change) in cases {
            let outcome = client.call_with("trigger_batch", &[&batch(10, index, change)]);
            refused(&outcome, &format!("events[{index}].{member}"));
        }
        let outcome = client.call_with("trigger_batch", &[&batch(10, index, |event| *event = json!("x"))]);
        refused(&outcome, &format!("events[{index}]"));
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn every_call_limits_the_size_of_data() {
    let server = Server::start([]);
    for (limit, more) in [(10_240, json!({})), (7, json!({"max_data_bytes": 7}))] {
        let client = server.client_with(more);
        for size in [limit - 1, limit, limit + 1] {
            let data = format!("\"{}\"", "a".repeat(size));
            let event = |index: usize| batch(10, index, |event| event["data"] = json!("a".repeat(size)));
            let outcomes = [
                (client.call_with("send_to_user", &["7", "e", &data]), "data".to_owned()),
                (client.call_with("trigger_batch", &[&event(0)]), "events[0].data".to_owned()),
                (client.call_with("trigger_batch", &[&event(9)]), "events[9].data".to_owned()),
            ];
            for (outcome, argument) in outcomes {
                if size <= limit {
                    outcome.is_ok("{}");
                } else {
                    outcome.is("PAYLOAD_TOO_LARGE", "not_sent").naming(&argument);
                }
            }
        }
    }
    assert_eq!(server.ledger().len(), 12);
    // The limit applies to each event, not to their sum.
    let all = Value::from(vec![json!({"channel": "c", "name": "e", "data": "a".repeat(10_240)}); 10]);
    server.client().call_with("trigger_batch", &[&all.to_string()]).is_ok("{}");
}

#[test]
fn a_user_id_uses_the_channel_alphabet() {
    let server = Server::start([]);
    let client = server.client();
    let send = |id: &str| client.call_with("send_to_user", &[id, "e", "1"]);
    let terminate = |id: &str| client.call_with("terminate_user_connections", &[id]);
    for call in [&send as &dyn Fn(&str) -> Outcome, &terminate] {
        for byte in 1..=127u8 {
            let id = format!("a{}", char::from(byte));
            if byte.is_ascii_alphanumeric() || b"_-=@,.;".contains(&byte) {
                call(&id).is_ok("{}");
            } else {
                refused(&call(&id), "user_id");
            }
        }
        for id in ["...", "a.", ".a", "0", "-", &"a".repeat(200)] {
            call(id).is_ok("{}");
        }
        for id in ["", ".", "..", "../1", "a/../b", "ä", "٣", &"a".repeat(201), "user:1", "#server-to-user-1"] {
            refused(&call(id), "user_id");
        }
    }
}

#[test]
fn response_bodies_are_returned_unchanged() {
    let server = Server::start([]);
    let client = server.client();
    let answers = [
        "{}",
        r#"{"ok":true}"#,
        r#"{ "channels" : {"presence-c":{"user_count":1.0,"new":[ ]}}, "\u00e9":"\u00e9é😀\/", "n":1e400, "n":2 }"#,
        r#"{"occupied":true,"user_count":42,"subscription_count":42,"cache":{"data":"x","ttl":1}}"#,
        r#"{"users":[{"id":"1"},{"id":2}]}"#,
        r#"{"batch":[{},{"user_count":2}],"event_ids":{"c":"eudhq17zrhfbwc"}}"#,
        r#"{"error":"but no code"}"#,
        "[]",
        "null",
        "\"\\ud800\"",
    ];
    for function in Function::network() {
        for answer in answers {
            server.next(Answer::ok(answer));
            function.call(Some(&client), &function.shortest()).is_ok(answer);
        }
        server.next(Answer::raw("HTTP/1.1 204 No Content\r\n\r\n"));
        function.call(Some(&client), &function.shortest()).is_ok("{}");
    }
}

#[test]
fn each_call_has_its_own_timeout() {
    let server = Server::builder().answering(|_| Answer::nothing()).start();
    let client = server.client_with(json!({"timeout_ms": 60_000}));
    for function in Function::network() {
        let index = function.arguments.len() - 1;
        crate::support::in_time(|| {
            let outcome = function.call(Some(&client), &function.with(index, Some(br#"{"timeout_ms":60}"#)));
            outcome.is("DELIVERY_UNKNOWN", if function.delivery_unsent() == "" { "" } else { "unknown" });
            outcome.because("timeout").took(60)
        });
    }
}

#[test]
fn all_calls_share_one_connection() {
    let server = Server::start([]);
    let client = server.client();
    for _ in 0..3 {
        for function in Function::network() {
            assert_eq!(function.call(Some(&client), &function.good()).name(), "OK");
        }
    }
    assert_eq!((server.ledger().len(), server.connections()), (30, 1));
}

#[test]
fn a_client_signs_for_its_own_application() {
    let server = Server::builder().application("other-key", "other").start();
    let config = json!({"app_id": "a_B-9", "key": "other-key", "secret": "other"});
    let client: Client = server.client_with(config);
    for function in Function::network() {
        assert_eq!(function.call(Some(&client), &function.good()).name(), "OK");
        assert!(server.last().path().starts_with("/apps/a_B-9/"));
    }
}

#[test]
fn a_call_whose_request_exceeds_max_request_bytes_sends_nothing() {
    const EVENTS: &str = r#"[{"channel":"a","name":"e","data":"12"},{"channel":"b","name":"e","data":"3"}]"#;
    let large = json!("x".repeat(1234)).to_string();
    for (call, arguments, argument, delivery) in [
        ("trigger", vec!["c", "e", &large], "data", "not_sent"),
        ("trigger", vec![r#"["c","d"]"#, "e", "1", r#"{"socket_id":"1.2"}"#], "data", "not_sent"),
        ("trigger_batch", vec![EVENTS], "events", "not_sent"),
        ("send_to_user", vec!["user-7", "e", &large], "data", "not_sent"),
        ("terminate_user_connections", vec!["user-7"], "", "not_sent"),
        ("post", vec!["/any/path", r#"{"a":"é &"}"#, &large], "body", "not_sent"),
        ("get", vec!["/channels", r#"{"a":"é &"}"#], "params", ""),
        ("channels_info", vec!["presence-"], "", ""),
    ] {
        for more in [json!({}), json!({"path": "/prefix", "host": "localhost"})] {
            let server = Server::start([]);
            let arguments: Vec<Option<&str>> = arguments.iter().map(|text| Some(*text)).collect();
            let client = |max: usize| {
                let mut config = more.clone();
                config["max_request_bytes"] = json!(max);
                server.client_with(config)
            };
            client(100_000).call(call, &arguments).is_ok("{}");
            // The server counted the bytes that it received.
            let size = server.only().size();
            client(size).call(call, &arguments).is_ok("{}");
            assert_eq!(server.last().size(), size);
            let outcome = client(size - 1).call(call, &arguments);
            outcome.is("PAYLOAD_TOO_LARGE", delivery).naming(argument);
            let message = format!("the request has {size} bytes, and the limit is {} (max_request_bytes)", size - 1);
            assert!(outcome.text("message").ends_with(&message), "{outcome:?}");
            assert_eq!(server.ledger().len(), 2, "{call}");
        }
    }
}

#[test]
fn a_batch_for_a_server_without_the_route_is_refused_if_that_is_known() {
    let events = r#"[{"channel":"a","name":"e","data":"1"},{"channel":"b","name":"e","data":"2"}]"#;
    let server = Server::start([]);
    let outcome = server.client_with(json!({"batch_route": false})).call("trigger_batch", &[Some(events)]);
    outcome.is("INVALID_ARGUMENT", "not_sent").naming("batch_route");
    assert!(outcome.text("message").contains("the server has no route for batches"), "{outcome:?}");
    assert!(server.ledger().is_empty());
    // Otherwise a call is one request, whose response tells.
    for batch_route in [json!(true), json!("auto")] {
        let server = Server::start([Answer::new(404, &[], "no such route")]);
        let client = server.client_with(json!({"batch_route": batch_route}));
        client.call("trigger_batch", &[Some(events)]).is("NOT_FOUND", "rejected");
        assert_eq!(server.only().path(), "/apps/4711/batch_events");
    }
}

#[test]
fn the_servers_without_the_route_for_batches_are_known() {
    let events = r#"[{"channel":"a","name":"e","data":"1"},{"channel":"b","name":"e","data":"2"}]"#;
    for (name, has_route) in [
        ("pusher", true),
        ("sockudo", true),
        ("soketi", true),
        ("reverb", true),
        ("ably", true),
        ("laravel-websockets", false),
        ("poxa", false),
        ("slanger", false),
    ] {
        let server = Server::start([]);
        let outcome = server.client_with(json!({"server": name})).call("trigger_batch", &[Some(events)]);
        match has_route {
            true => outcome.is_ok("{}"),
            false => outcome.is("INVALID_ARGUMENT", "not_sent").naming("batch_route"),
        };
        // The configuration wins, wherever it has the key.
        server
            .client_with(json!({"server": name, "batch_route": true}))
            .call("trigger_batch", &[Some(events)])
            .is_ok("{}");
    }
}
