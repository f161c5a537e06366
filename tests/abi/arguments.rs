//! An invalid argument is refused before anything is sent, and named.

use crate::support::{Answer, Client, Outcome, Server, calls};
use serde_json::{Value, json};

/// Enough stack for any nesting depth if parsing does not recurse.
const DEPTH: usize = 1_000_000;

/// A client of a server that accepts everything, so that each refusal is the library's.
fn client() -> (Server, Client) {
    let server = Server::start([]);
    let client = server.client();
    (server, client)
}

/// Asserts that the call was refused, named `argument`, and sent nothing.
#[track_caller]
fn refused(outcome: &Outcome, argument: &str) {
    outcome.is("INVALID_ARGUMENT", "not_sent").naming(argument);
    assert!(outcome.text("message").contains(argument), "{outcome:?}");
}

/// Runs `body` on a thread with a small stack.
fn on_a_small_stack(body: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, body).unwrap();
        thread.join().unwrap();
    });
}

fn options(key: &str, value: impl Into<Value>) -> String {
    json!({ key: value.into() }).to_string()
}

#[test]
fn null_is_refused_for_a_required_string() {
    let (server, client) = client();
    let text = |given: &'static str| Some(given.as_bytes());
    let (channel, event, data) = (text("c"), text("e"), text("{}"));
    refused(&calls::trigger_on_null(), "client");
    refused(&client.trigger_bytes(None, event, data, None), "channels");
    refused(&client.trigger_bytes(channel, None, data, None), "event");
    refused(&client.trigger_bytes(channel, event, None, None), "data");
    assert_eq!(server.ledger().len(), 0);
    client.trigger_bytes(channel, event, data, None).is_ok("{}");
}

#[test]
fn an_empty_string_is_refused() {
    let (server, client) = client();
    refused(&client.trigger("", "e", "{}"), "channels");
    refused(&client.trigger("c", "", "{}"), "event");
    refused(&client.trigger("c", "e", ""), "data");
    refused(&client.trigger("c", "e", " \n"), "data");
    refused(&client.trigger_with("c", "e", "{}", ""), "options");
    assert_eq!(server.ledger().len(), 0);
}

#[test]
fn invalid_utf_8_is_refused() {
    let (server, client) = client();
    // Bytes that never occur, a lone continuation, an overlong NUL, a surrogate, a cut character, one beyond Unicode.
    for bad in [&b"\xff"[..], b"a\x80", b"\xc0\x80", b"\xed\xa0\x80", b"{\"\xe2\x82\"}", b"\xf4\x90\x80\x80"] {
        let (c, e, d) = (Some(&b"c"[..]), Some(&b"e"[..]), Some(&b"{}"[..]));
        for (outcome, argument) in [
            (client.trigger_bytes(Some(bad), e, d, None), "channels"),
            (client.trigger_bytes(c, Some(bad), d, None), "event"),
            (client.trigger_bytes(c, e, Some(bad), None), "data"),
            (client.trigger_bytes(c, e, d, Some(bad)), "options"),
        ] {
            refused(&outcome, argument);
            assert!(outcome.text("message").contains("UTF-8"), "{outcome:?}");
        }
    }
    assert_eq!(server.ledger().len(), 0);
}

#[test]
fn channel_names_have_1_to_200_characters_of_the_channel_alphabet() {
    let (server, client) = client();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-=@,.;";
    for name in [alphabet, &"a".repeat(200), ".", "..", "presence-1", "private-x", "private-encrypted", "cache-x"] {
        client.trigger(name, "e", "{}").is_ok("{}");
        assert_eq!(server.last().json()["channels"], json!([name]));
    }
    let accepted = server.ledger().len();
    let too_long = "a".repeat(201);
    let bad = [
        " ",
        "a b",
        " a",
        "a ",
        "a\n",
        "\na",
        "\r",
        "\t",
        "a\x01",
        "a\x7f",
        "a:b",
        "a/b",
        "../a",
        "a?b",
        "a#b",
        "a%41",
        "a&b",
        "a+b",
        "a\"b",
        "a\\b",
        "a'b",
        "{",
        "ä",
        "a\u{2028}",
        "a\u{301}",
        "٣",
        "#server-to-user-1",
        "a*",
        "a!",
        "a|b",
        "a~b",
        &too_long,
    ];
    for name in bad {
        refused(&client.trigger(name, "e", "{}"), "channels");
        refused(&client.trigger(&json!(["ok", name]).to_string(), "e", "{}"), "channels[1]");
    }
    refused(&client.trigger(r#"["a",""]"#, "e", "{}"), "channels[1]");
    assert_eq!(server.ledger().len(), accepted);
}

#[test]
fn every_other_ascii_character_is_refused_in_a_channel_name() {
    let (server, client) = client();
    for byte in 1..=127u8 {
        let name = format!("a{}", char::from(byte));
        let outcome = client.trigger(&name, "e", "{}");
        if byte.is_ascii_alphanumeric() || b"_-=@,.;".contains(&byte) {
            outcome.is_ok("{}");
        } else {
            refused(&outcome, "channels");
        }
    }
    assert_eq!(server.ledger().len(), 26 + 26 + 10 + 7);
}

#[test]
fn an_array_holds_1_to_100_channel_names() {
    let (server, client) = client();
    let names = |count: usize| Value::from((0..count).map(|i| format!("c-{i}")).collect::<Vec<_>>()).to_string();
    for count in [1, 2, 99, 100] {
        client.trigger(&names(count), "e", "{}").is_ok("{}");
        assert_eq!(server.last().json()["channels"].to_string(), names(count));
    }
    client.trigger(" [ \"a\" ,\n\"\\u0062\" ] ", "e", "{}").is_ok("{}");
    assert_eq!(server.last().json()["channels"], json!(["a", "b"]));
    let accepted = server.ledger().len();
    refused(&client.trigger("[]", "e", "{}"), "channels");
    refused(&client.trigger(&names(101), "e", "{}"), "channels");
    refused(&client.trigger(&names(10_000), "e", "{}"), "channels");
    for malformed in
        ["[", "[\"a\"", "[\"a\",]", "[\"a\"] x", "[\"a\"][\"b\"]", "['a']", "[a]", "[\"a\" \"b\"]", "[\"\n\"]"]
    {
        refused(&client.trigger(malformed, "e", "{}"), "channels");
    }
    for (index, other) in ["1", "null", "true", "{}", "[\"b\"]", "1.5"].into_iter().enumerate() {
        let list = [vec!["\"a\""; index], vec![other]].concat().join(",");
        refused(&client.trigger(&format!("[{list}]"), "e", "{}"), &format!("channels[{index}]"));
    }
    refused(&client.trigger(r#"["a","\ud800"]"#, "e", "{}"), "channels[1]");
    refused(&client.trigger(r#"["a","\u0000"]"#, "e", "{}"), "channels[1]");
    refused(&client.trigger(r#"{"a":"b"}"#, "e", "{}"), "channels");
    refused(&client.trigger("\"a\"", "e", "{}"), "channels");
    assert_eq!(server.ledger().len(), accepted);
}

#[test]
fn the_number_of_channels_is_configurable() {
    let server = Server::start([]);
    let client = server.client_with(json!({"max_channels": 2}));
    client.trigger(r#"["a","b"]"#, "e", "{}").is_ok("{}");
    refused(&client.trigger(r#"["a","b","c"]"#, "e", "{}"), "channels");
}

#[test]
fn an_event_name_has_1_to_200_characters() {
    let (server, client) = client();
    let controls: String = (1..32).chain([127]).map(char::from).collect();
    for name in [
        "e",
        "with space",
        "ä/\"\\:#?&%'",
        "client-x",
        "pusher:x",
        &controls,
        &"a".repeat(200),
        &"é".repeat(200),
        &"😀".repeat(200),
    ] {
        client.trigger("c", name, "{}").is_ok("{}");
        assert_eq!(server.last().json()["name"], name);
    }
    for name in ["a".repeat(201), "é".repeat(201), "😀".repeat(201), "a".repeat(100_000)] {
        refused(&client.trigger("c", &name, "{}"), "event");
    }
}

#[test]
fn data_must_be_json() {
    let (server, client) = client();
    for malformed in [
        "x",
        "{",
        "}",
        "{}}",
        "{} {}",
        "[1,]",
        "{\"a\":1,}",
        "{'a':1}",
        "{a:1}",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\n\"",
        "\"\t\"",
        "\"\x01\"",
        "NaN",
        "Infinity",
        "-",
        "01",
        "1.",
        ".5",
        "1e",
        "+1",
        "0x1",
        "nul",
        "True",
        "undefined",
        "// c\n1",
        "1 // c",
        "\u{feff}{}",
        "\u{a0}{}",
        "{}\u{a0}",
        "\x0c{}",
        "\x0b1",
        "1\x08",
        "\"a\"b",
        "[\"a\" \"b\"]",
        "{\"a\" 1}",
        "{1:2}",
    ] {
        refused(&client.trigger("c", "e", malformed), "data");
    }
    assert_eq!(server.ledger().len(), 0);
    for valid in [
        "null",
        "true",
        "0",
        "-0",
        "1e400",
        "\"\"",
        "[]",
        "{}",
        "\"\\u0000\"",
        "{\"a\":1,\"a\":2}",
        "\"\u{2028}\u{7f}\"",
    ] {
        client.trigger("c", "e", valid).is_ok("{}");
    }
}

#[test]
fn a_lone_surrogate_in_a_json_string_is_refused() {
    let (server, client) = client();
    for lone in [
        r#""\ud800""#,
        r#""\udbff""#,
        r#""\udc00""#,
        r#""\uDFFF""#,
        r#""\ud83d\ud83d""#,
        r#""\ude00\ud83d""#,
        r#""\ud83dx""#,
        r#""\ud83d\n""#,
        r#""\ud83d\u0041""#,
        r#""a\ud83d""#,
        r#" "\ud83d" "#,
    ] {
        refused(&client.trigger("c", "e", lone), "data");
    }
    assert_eq!(server.ledger().len(), 0);
    let pair = r#""\ud83d\ude00""#;
    client.trigger("c", "e", pair).is_ok("{}");
    assert!(server.only().text().contains(&format!(r#""data":{pair}"#)));
}

#[test]
fn data_may_have_10240_bytes_after_decoding() {
    const LIMIT: usize = 10_240;
    let (server, client) = client();
    let cases: [(&str, &dyn Fn(usize) -> String); 7] = [
        ("the text of a value", &|size| format!("[{}]", "1".repeat(size - 2))),
        ("its own white space too", &|size| format!("[{}1]", " ".repeat(size - 3))),
        ("white space around it is not sent", &|size| format!(" \n[{}]\t\r\n", "1".repeat(size - 2))),
        ("the content of a string", &|size| format!("\"{}\"", "a".repeat(size))),
        ("an escape as what it stands for", &|size| format!("\"{}\"", "\\u0041".repeat(size))),
        ("a character by its bytes", &|size| format!("\"{}{}\"", "\\u00e9é".repeat(size / 4), "a".repeat(size % 4))),
        ("a pair of surrogates by its four bytes", &|size| {
            format!("\"{}{}\"", "\\ud83d\\ude00".repeat(size / 4), "a".repeat(size % 4))
        }),
    ];
    for (what, with_size) in cases {
        for size in [LIMIT - 1, LIMIT] {
            let outcome = client.trigger("c", "e", &with_size(size));
            assert_eq!(outcome.name(), "OK", "{what}: {outcome:?}");
            assert_eq!(server.last().json()["data"].as_str().unwrap().len(), size, "{what}");
        }
        let accepted = server.ledger().len();
        let outcome = client.trigger("c", "e", &with_size(LIMIT + 1));
        outcome.is("PAYLOAD_TOO_LARGE", "not_sent").naming("data");
        assert_eq!(server.ledger().len(), accepted, "{what}");
    }
}

#[test]
fn the_size_of_data_is_configurable() {
    let server = Server::start([]);
    let client = server.client_with(json!({"max_data_bytes": 7}));
    client.trigger("c", "e", r#""1234567""#).is_ok("{}");
    client.trigger("c", "e", r#"{"a":1}"#).is_ok("{}");
    client.trigger("c", "e", r#""12345678""#).is("PAYLOAD_TOO_LARGE", "not_sent").naming("data");
    let client = server.client_with(json!({"max_data_bytes": 10_241}));
    client.trigger("c", "e", &format!("\"{}\"", "a".repeat(10_241))).is_ok("{}");
    client.trigger("c", "e", &format!("\"{}\"", "a".repeat(10_242))).is("PAYLOAD_TOO_LARGE", "not_sent");
}

#[test]
fn a_million_brackets_cost_no_stack() {
    let server = Server::start([]);
    let client = server.client_with(json!({"max_data_bytes": 4 * DEPTH, "timeout_ms": 60_000}));
    let small = server.client();
    let arrays = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let objects = format!("{}1{}", "{\"a\":".repeat(DEPTH / 2), "}".repeat(DEPTH / 2));
    on_a_small_stack(|| {
        client.trigger("c", "e", &arrays).is_ok("{}");
        client.trigger("c", "e", &objects).is_ok("{}");
        small.trigger("c", "e", &arrays).is("PAYLOAD_TOO_LARGE", "not_sent").naming("data");
        refused(&client.trigger("c", "e", &arrays[1..]), "data");
        refused(&client.trigger("c", "e", &arrays[..DEPTH]), "data");
        refused(&client.trigger("c", "e", &objects[..DEPTH]), "data");
    });
    let sent = server.ledger();
    assert_eq!(sent.len(), 2);
    assert_eq!((sent[0].json()["data"].as_str(), sent[1].json()["data"].as_str()), (Some(&*arrays), Some(&*objects)));
}

#[test]
fn nesting_costs_no_stack_in_other_strings() {
    let (server, client) = client();
    let arrays = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    server.next(Answer::ok(&arrays));
    on_a_small_stack(|| {
        refused(&client.trigger(&arrays, "e", "{}"), "channels[0]");
        refused(&client.trigger(&arrays[..DEPTH], "e", "{}"), "channels");
        refused(&client.trigger_with("c", "e", "{}", &arrays), "options");
        refused(&client.trigger_with("c", "e", "{}", &format!("{{\"info\":{arrays}}}")), "options.info");
        refused(&client.trigger_with("c", "e", "{}", &format!("{{\"x\":{arrays}}}")), "options.x");
        let configuration = format!("{{\"x\":{arrays}}}");
        Client::try_new(Some(configuration.as_bytes())).unwrap_err().is("INVALID_CONFIG", "").naming("x");
        let configuration = format!("{{\"retry\":{arrays}}}");
        Client::try_new(Some(configuration.as_bytes())).unwrap_err().is("INVALID_CONFIG", "").naming("retry");
        // The library parses the response, too.
        client.trigger("c", "e", "{}").is_ok(&arrays);
    });
}

#[test]
fn an_unknown_option_is_named() {
    let (server, client) = client();
    for key in
        ["colour", "Socket_id", "socketId", "socket_id ", "", "timeout", "retry", "headers", "idempotency_key", "ü"]
    {
        refused(&client.trigger_with("c", "e", "{}", &options(key, 1)), &format!("options.{key}"));
    }
    refused(&client.trigger_with("c", "e", "{}", r#"{"socket_id":"1.2","x":null}"#), "options.x");
    assert_eq!(server.ledger().len(), 0);
}

#[test]
fn options_must_be_an_object() {
    let (server, client) = client();
    for other in
        ["null", "[]", "\"\"", "1", "true", "x", "{", "{}}", "{\"socket_id\"}", "{\"info\":}", "{,}", "\u{feff}{}"]
    {
        refused(&client.trigger_with("c", "e", "{}", other), "options");
    }
    assert_eq!(server.ledger().len(), 0);
    client.trigger_with("c", "e", "{}", " {}\n").is_ok("{}");
}

#[test]
fn a_duplicate_option_is_refused() {
    let (server, client) = client();
    for (twice, argument) in [
        (r#"{"socket_id":"1.2","socket_id":"1.2"}"#, "options.socket_id"),
        (r#"{"socket_id":"1.2","info":"cache","socket_id":"3.4"}"#, "options.socket_id"),
        (r#"{"info":"cache","\u0069nfo":"cache"}"#, "options.info"),
        (r#"{"timeout_ms":1,"timeout_ms":2}"#, "options.timeout_ms"),
    ] {
        refused(&client.trigger_with("c", "e", "{}", twice), argument);
    }
    assert_eq!(server.ledger().len(), 0);
}

#[test]
fn a_socket_id_is_two_numbers_separated_by_a_dot() {
    let (server, client) = client();
    for id in ["1.1", "0.0", "1234.5678", &format!("{}.{}", "1".repeat(100), "2".repeat(100))] {
        client.trigger_with("c", "e", "{}", &options("socket_id", id)).is_ok("{}");
        assert_eq!(server.last().json()["socket_id"], id);
    }
    let accepted = server.ledger().len();
    for id in [
        "",
        ".",
        "1",
        "1.",
        ".1",
        "1.1.1",
        "1..1",
        "1,1",
        "1:1",
        "1.1:",
        ":1.1",
        "1.1:private-x",
        "1.1\n",
        "\n1.1",
        "1\n.1",
        "1.1\r\n",
        "1.1\0",
        " 1.1",
        "1.1 ",
        "1. 1",
        "a.1",
        "1.a",
        "1.1a",
        "-1.1",
        "+1.1",
        "1.-1",
        "1e1.1",
        "0x1.1",
        "٣.٣",
        "1.٣",
        "１.１",
        "²,1",
        "1.1\u{feff}",
    ] {
        refused(&client.trigger_with("c", "e", "{}", &options("socket_id", id)), "options.socket_id");
    }
    for other in [json!(1.1), json!(11), json!(null), json!(true), json!([]), json!({}), json!(["1.1"])] {
        refused(&client.trigger_with("c", "e", "{}", &options("socket_id", other)), "options.socket_id");
    }
    refused(&client.trigger_with("c", "e", "{}", r#"{"socket_id":"1.\ud800"}"#), "options.socket_id");
    assert_eq!(server.ledger().len(), accepted);
}

#[test]
fn info_is_a_comma_list_of_attributes() {
    let (server, client) = client();
    for list in ["user_count", "user_count,subscription_count", "cache", "something_new"] {
        client.trigger_with("c", "e", "{}", &options("info", list)).is_ok("{}");
        assert_eq!(server.last().json()["info"], list);
    }
    let accepted = server.ledger().len();
    for list in ["", ",", "a,", ",a", "a,,b", "a b", " a", "a\n", "a&b", "a=b", "ä", "a\"", "a;b"] {
        refused(&client.trigger_with("c", "e", "{}", &options("info", list)), "options.info");
    }
    for other in [json!(1), json!(null), json!(["user_count"]), json!({}), json!(false)] {
        refused(&client.trigger_with("c", "e", "{}", &options("info", other)), "options.info");
    }
    assert_eq!(server.ledger().len(), accepted);
}

#[test]
fn timeout_ms_is_an_integer_from_1_to_600000() {
    let (server, client) = client();
    for ms in ["600000", "5000"] {
        client.trigger_with("c", "e", "{}", &format!("{{\"timeout_ms\":{ms}}}")).is_ok("{}");
    }
    let accepted = server.ledger().len();
    for ms in [
        "0",
        "600001",
        "-1",
        "1.5",
        "1e3",
        "5000.0",
        "\"5000\"",
        "null",
        "true",
        "[]",
        "99999999999999999999999",
        "4294967297",
    ] {
        refused(&client.trigger_with("c", "e", "{}", &format!("{{\"timeout_ms\":{ms}}}")), "options.timeout_ms");
    }
    assert_eq!(server.ledger().len(), accepted);
}

#[test]
fn a_call_accepts_null_for_out() {
    let (server, client) = client();
    assert_eq!(client.trigger_without_out("c", "e", "{}"), 0);
    assert_eq!(client.trigger_without_out("", "e", "{}"), 1);
    server.next(Answer::new(401, &[], "no"));
    assert_eq!(client.trigger_without_out("c", "e", "{}"), 41);
    assert_eq!(server.ledger().len(), 2);
}

#[test]
fn new_requires_client_and_accepts_null_for_out() {
    let good = crate::support::config(1, json!({}));
    assert_eq!(calls::new_without(true, false, &good), (1, false));
    assert_eq!(calls::new_without(true, true, &good), (1, false));
    assert_eq!(calls::new_without(false, true, &good), (0, true));
    assert_eq!(calls::new_without(false, true, "{}"), (2, false));
}

/// Asserts that `config` is refused, and that the error names `key`.
#[track_caller]
fn no_client(config: &str, key: &str) {
    let outcome = Client::try_new(Some(config.as_bytes())).expect_err(config);
    outcome.is("INVALID_CONFIG", "").naming(key);
}

#[test]
fn a_configuration_is_json_or_a_url() {
    for (bad, key) in [
        ("", "config"),
        (" ", "config"),
        ("x", "config"),
        ("{", "config"),
        ("{}}", "config"),
        ("[]", "config"),
        ("null", "config"),
        ("{}", "app_id"),
        ("ftp://k:s@h/apps/1", "url"),
        ("https://h/apps/1", "url"),
        ("https://k:s@h", "url"),
        ("https://k:s@h/apps/1?x", "url"),
        ("https://k:s@h/apps/1#x", "url"),
        ("https://k:s@h:99999/apps/1", "url"),
        ("https://k:s@h\n/apps/1", "url"),
        ("https://k:s@h /apps/1", "url"),
    ] {
        no_client(bad, key);
    }
    let outcome = Client::try_new(Some(b"{\"app_id\":\"\xff\"}")).unwrap_err();
    outcome.is("INVALID_ARGUMENT", "").naming("config");
    for good in [
        "https://k:s@api-eu.pusher.com/apps/1",
        "http://k:s@127.0.0.1:6001/apps/1",
        "https://k:s@[::1]:6001/a/b/apps/1",
    ] {
        Client::new(good);
    }
}

#[test]
fn an_unknown_configuration_key_is_named() {
    for key in ["colour", "Host", "hosts", "timeout", "encrypted", "", "use_tls", "verify", "ü"] {
        no_client(&crate::support::config(1, json!({ key: true })), key);
    }
}

#[test]
fn a_duplicate_configuration_key_is_refused() {
    for (more, key) in [
        (r#""key":"k""#, "key"),
        (r#""secret":"other""#, "secret"),
        (r#""\u0073ecret":"other""#, "secret"),
        (r#""ssl":false"#, "ssl"),
        (r#""host":"127.0.0.1""#, "host"),
    ] {
        let config = crate::support::config(1, json!({}));
        no_client(&format!("{},{more}}}", config.strip_suffix('}').unwrap()), key);
    }
}

#[test]
fn every_configuration_value_is_checked() {
    for (key, bad, good) in [
        (
            "app_id",
            vec![
                json!(""),
                json!("1/2"),
                json!("1 "),
                json!("1\n"),
                json!("ä"),
                json!(1.5),
                json!(-1),
                json!(null),
                json!([1]),
            ],
            vec![json!("1"), json!(1), json!("a_B-9")],
        ),
        (
            "key",
            vec![json!(""), json!("k:l"), json!("k/"), json!("k\n"), json!("k&x=1"), json!(1), json!(null)],
            vec![json!("a_B-9")],
        ),
        ("secret", vec![json!(""), json!(1), json!(null), json!(["s"])], vec![json!("any: thing\n")]),
        (
            "cluster",
            vec![json!(""), json!("EU"), json!("a.b"), json!("a/b"), json!("a\n"), json!(1)],
            vec![json!("eu"), json!("us-east-1")],
        ),
        (
            "host",
            vec![
                json!(""),
                json!("a b"),
                json!("a\r\nX: y"),
                json!("a@b"),
                json!("a/b"),
                json!("a?b"),
                json!("a#b"),
                json!("a:80"),
                json!("http://a"),
                json!("."),
                json!("a..b"),
                json!("[a]"),
                json!("[127.0.0.1]"),
                json!("[::1"),
                json!("a\\b"),
                json!("a%b"),
                json!(1),
                json!(null),
                json!("a".repeat(254)),
            ],
            vec![json!("localhost"), json!("::1"), json!("[::1]"), json!("a-b.example")],
        ),
        (
            "port",
            vec![json!(0), json!(65_536), json!(-1), json!("80"), json!(80.5), json!(null)],
            vec![json!(1), json!(65_535)],
        ),
        ("ssl", vec![json!("true"), json!(1), json!(null)], vec![json!(true), json!(false)]),
        (
            "path",
            vec![
                json!("a"),
                json!("/.."),
                json!("/a/../b"),
                json!("/."),
                json!("//"),
                json!("/a?b"),
                json!("/a#b"),
                json!("/a b"),
                json!("/a%2f"),
                json!(1),
            ],
            vec![json!("/a"), json!("/a/b-c.d")],
        ),
        ("sign_path_prefix", vec![json!("no"), json!(0), json!(null)], vec![json!(true), json!(false)]),
        (
            "timeout_ms",
            vec![json!(0), json!(600_001), json!(-1), json!(1.5), json!("1"), json!(null)],
            vec![json!(1), json!(600_000)],
        ),
        (
            "connect_timeout_ms",
            vec![json!(0), json!(600_001), json!(-1), json!("1"), json!(null)],
            vec![json!(1), json!(600_000)],
        ),
        ("max_idle_connections", vec![json!(-1), json!("8"), json!(1.5), json!(null)], vec![json!(0), json!(8)]),
        ("idle_timeout_ms", vec![json!(-1), json!("1"), json!(null)], vec![json!(1), json!(15_000)]),
        ("ca_file", vec![json!(1), json!(null), json!(["a"])], vec![json!("/nowhere.pem")]),
        (
            "tls_roots",
            vec![json!(""), json!("System"), json!("all"), json!(true), json!(null), json!(["system"])],
            vec![json!("system"), json!("bundled"), json!("both")],
        ),
        (
            "proxy",
            vec![
                json!(""),
                json!("h:1"),
                json!("https://h:1"),
                json!("socks5://h:1"),
                json!("http://h:0"),
                json!("http://h/path"),
                json!("http://h?x"),
                json!("http://a b"),
                json!("http://user@h"),
                json!(1),
                json!(null),
            ],
            vec![json!("env"), json!("http://h"), json!("http://h:3128/"), json!("http://user:pass%20word@[::1]:3128")],
        ),
        ("max_batch_events", vec![json!(0), json!(-1), json!("1"), json!(null)], vec![json!(1), json!(1000)]),
        ("max_data_bytes", vec![json!(0), json!(-1), json!("1"), json!(null)], vec![json!(1), json!(10_000_000)]),
        ("max_channels", vec![json!(0), json!(-1), json!("1"), json!(null)], vec![json!(1), json!(1000)]),
        ("max_response_bytes", vec![json!(0), json!(-1), json!("1"), json!(null)], vec![json!(1), json!(1 << 24)]),
        ("retry", vec![json!("never"), json!(null), json!([])], vec![json!({"mode": "never"}), json!({})]),
        (
            "url",
            vec![json!("x"), json!(1), json!(null), json!("https://h/apps/1")],
            vec![json!("https://k:s@h/apps/1")],
        ),
    ] {
        for value in bad {
            no_client(&crate::support::config(1, json!({ key: value })), key);
        }
        for value in good {
            Client::new(&crate::support::config(1, json!({ key: value })));
        }
    }
    no_client(&crate::support::config(1, json!({"retry": {"mode": "sometimes"}})), "retry.mode");
    no_client(&crate::support::config(1, json!({"retry": {"colour": 1}})), "retry.colour");
}

#[test]
fn a_path_prefix_has_at_most_1024_bytes() {
    let prefix = |length: usize| format!("/{}", "a".repeat(length - 1));
    for length in [1023, 1024] {
        Client::new(&crate::support::config(1, json!({"path": prefix(length)})));
    }
    for length in [1025, 1026, 100_000] {
        no_client(&crate::support::config(1, json!({"path": prefix(length)})), "path");
    }
    let url = |length: usize| format!("https://k:s@h{}/apps/1", prefix(length));
    Client::new(&url(1024));
    no_client(&url(1025), "path");
    no_client(&json!({"url": url(1025)}).to_string(), "path");
}

#[test]
fn a_cluster_wins_over_the_host_of_a_url_and_a_host_over_both() {
    let url = "https://k:s@h.example:444/pre/apps/1";
    for (more, origin) in [
        (json!({}), "https://h.example:444/pre"),
        (json!({"cluster": "eu"}), "https://api-eu.pusher.com:444/pre"),
        (json!({"host": "other.example"}), "https://other.example:444/pre"),
        (json!({"host": "other.example", "cluster": "eu", "port": 443}), "https://other.example/pre"),
        (json!({"cluster": "mt1", "port": 443, "path": ""}), "https://api-mt1.pusher.com"),
    ] {
        let mut config = json!({"url": url});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = Client::new(&config.to_string()).prepare("channels_info", &[]).read();
        assert!(request.url.starts_with(&format!("{origin}/apps/1/channels?")), "{config}: {}", request.url);
    }
}

#[test]
fn a_missing_required_key_is_named() {
    for key in ["app_id", "key", "secret"] {
        let mut config: Value = serde_json::from_str(&crate::support::config(1, json!({}))).unwrap();
        config.as_object_mut().unwrap().remove(key);
        no_client(&config.to_string(), key);
    }
}
