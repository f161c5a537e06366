//! An invalid argument is refused before anything is sent, and named.
//!
//! The rules for names and values are tested in detail with a trigger; then every argument of every function is tried, invalid
//! in every way, so that no function is less strict.

use std::ptr::{self, NonNull};

use crate::support::functions::{FUNCTIONS, Form, Function, Purpose, webhook};
use crate::support::hooks::{self, Without, finish, prepare};
use crate::support::{
    Answer, Client, KEY, MASTER_KEY, Outcome, Reply, SECRET, Server, calls, config, now_ms, signature,
};
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
    refused_with(outcome, "not_sent", argument);
}

/// Asserts that the call was refused with this delivery and named `argument`.
#[track_caller]
fn refused_with(outcome: &Outcome, delivery: &str, argument: &str) {
    outcome.is("INVALID_ARGUMENT", delivery).naming(argument);
    assert!(outcome.text("message").contains(argument), "{outcome:?}");
    let error = outcome.error();
    // There was no exchange, so none of its members is present.
    for field in ["cause", "retryable", "attempts", "http_status", "response", "retry_after_ms"] {
        assert!(!error.contains_key(field), "{outcome:?}");
    }
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
        ("an escape as its character", &|size| format!("\"{}\"", "\\u0041".repeat(size))),
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
    for key in ["colour", "Socket_id", "socketId", "socket_id ", "", "timeout", "retry", "Headers", "idempotency", "ü"]
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
    for other in [json!(1.1), json!(11), json!(true), json!([]), json!({}), json!(["1.1"])] {
        refused(&client.trigger_with("c", "e", "{}", &options("socket_id", other)), "options.socket_id");
    }
    refused(&client.trigger_with("c", "e", "{}", r#"{"socket_id":"1.\ud800"}"#), "options.socket_id");
    assert_eq!(server.ledger().len(), accepted);
}

#[test]
fn info_is_a_comma_list_of_attributes() {
    let (server, client) = client();
    for list in ["user_count", "user_count,subscription_count", "cache", "something_new", "attr1", "2"] {
        client.trigger_with("c", "e", "{}", &options("info", list)).is_ok("{}");
        assert_eq!(server.last().json()["info"], list);
    }
    let accepted = server.ledger().len();
    for list in ["", ",", "a,", ",a", "a,,b", "a b", " a", "a\n", "a&b", "a=b", "ä", "a\"", "a;b", "a٣"] {
        refused(&client.trigger_with("c", "e", "{}", &options("info", list)), "options.info");
    }
    for other in [json!(1), json!(["user_count"]), json!({}), json!(false)] {
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
    for ms in
        ["0", "600001", "-1", "1.5", "1e3", "5000.0", "\"5000\"", "true", "[]", "99999999999999999999999", "4294967297"]
    {
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

/// Returns invalid strings, each with the part that is named after the argument's own name.
fn wrong(form: Form) -> Vec<(String, &'static str)> {
    let long = "a".repeat(201);
    let names: Vec<(String, &str)> = ["a b", "a\n", "\x01", "a\x7f", "a:b", "a/b", "a?b", "a#b", "ä", "%41", &long]
        .map(|text| (text.to_owned(), ""))
        .to_vec();
    // Not JSON.
    let malformed = ["x", "{", "{}}", "{\"a\":}", "{'a':1}", "\u{feff}{}", "{\"a\":\"\n\"}", " ", "\x01"];
    let malformed = malformed.map(|text| (text.to_owned(), ""));
    let not_an_object = ["null", "[]", "\"a\"", "1", "true", "[{}]"].map(|text| (text.to_owned(), ""));
    let object = [&malformed[..], &not_an_object].concat();
    let named = |texts: &[(&str, &'static str)]| -> Vec<(String, &'static str)> {
        texts.iter().map(|(text, suffix)| ((*text).to_owned(), *suffix)).collect()
    };
    let options = named(&[
        (r#"{"colour":1}"#, ".colour"),
        (r#"{"timeout_ms":0}"#, ".timeout_ms"),
        (r#"{"timeout_ms":600001}"#, ".timeout_ms"),
        (r#"{"timeout_ms":"1"}"#, ".timeout_ms"),
        (r#"{"timeout_ms":1,"timeout_ms":1}"#, ".timeout_ms"),
        (r#"{"timeout_ms":1,"timeout\u005fms":1}"#, ".timeout_ms"),
        (r#"{"retry":{}}"#, ".retry"),
        (r#"{"idempotency_key":"a b"}"#, ".idempotency_key"),
        (r#"{"headers":[]}"#, ".headers"),
    ]);
    match form {
        Form::Channels => [
            names,
            named(&[("[", ""), ("[]", ""), (r#"["a",]"#, ""), (r#"["a",1]"#, "[1]"), (r#"["a","b c"]"#, "[1]")]),
        ]
        .concat(),
        // A path segment with a special meaning, or a public channel, which needs no authorization.
        Form::Channel => [names, named(&[(".", ""), ("..", ""), ("c", "")])].concat(),
        Form::Prefix => names,
        Form::UserId => [names, named(&[(".", ""), ("..", "")])].concat(),
        Form::Event => vec![(long, "")],
        Form::SocketId => {
            named(&[("1", ""), ("1.", ""), ("1.1.1", ""), ("1.1\n", ""), ("1.1:x", ""), ("a.1", ""), ("٣.٣", "")])
        }
        Form::Json => [&malformed[..], &named(&[("1 2", ""), ("01", ""), ("NaN", "")])].concat(),
        Form::Events => [
            &malformed[..],
            &named(&[
                ("{}", ""),
                ("[]", ""),
                ("[1]", "[0]"),
                ("[{}]", "[0].channel"),
                (r#"[{"channel":"c"}]"#, "[0].name"),
                (r#"[{"channel":"c","name":"e"}]"#, "[0].data"),
                (r#"[{"channel":"c","name":"e","data":1},{"channel":"c d","name":"e","data":1}]"#, "[1].channel"),
                (r#"[{"channel":1,"name":"e","data":1}]"#, "[0].channel"),
                (r#"[{"channel":"c","name":"","data":1}]"#, "[0].name"),
                (r#"[{"channel":"c","name":["e"],"data":1}]"#, "[0].name"),
                (r#"[{"channel":"c","name":"e","data":"\ud800"}]"#, "[0].data"),
                (r#"[{"channel":"c","name":"e","data":1,"socket_id":"1"}]"#, "[0].socket_id"),
                (r#"[{"channel":"c","name":"e","data":1,"info":"a b"}]"#, "[0].info"),
                (r#"[{"channel":"c","name":"e","data":1,"colour":1}]"#, "[0].colour"),
                (r#"[{"channel":"c","name":"e","data":1,"n\u0061me":"e"}]"#, "[0].name"),
                (r#"[{"channels":["c"],"name":"e","data":1}]"#, "[0].channels"),
            ]),
        ]
        .concat(),
        Form::Options => {
            [&object[..], &options, &named(&[(r#"{"info":"a"}"#, ".info"), (r#"{"socket_id":"1.2"}"#, ".socket_id")])]
                .concat()
        }
        Form::EventOptions => [
            &object[..],
            &options,
            &named(&[
                (r#"{"socket_id":"1.2:x"}"#, ".socket_id"),
                (r#"{"info":"a&b"}"#, ".info"),
                (r#"{"info":"a","info":"a"}"#, ".info"),
            ]),
        ]
        .concat(),
        Form::Attributes => ["a b", ",", "a,", "a&b=c", "A", "a\n", "ä", "\x01"].map(|text| (text.into(), "")).to_vec(),
        Form::Path => {
            let texts = [
                "a",
                ":/a",
                "/",
                "//",
                "/a/",
                "/a//b",
                "/.",
                "/..",
                "/../x",
                "/a/./b",
                "/a?b",
                "/a#b",
                "/a b",
                "/a\n",
                "/%2e",
                "/ä",
                "/a\\b",
                "http://h/a",
                "/a&b",
            ];
            texts.map(|text| (text.to_owned(), "")).to_vec()
        }
        Form::Params => [
            &object[..],
            &named(&[
                (r#"{"":1}"#, "."),
                (r#"{"Info":1}"#, ".Info"),
                (r#"{"a-b":1}"#, ".a-b"),
                (r#"{"a b":1}"#, ".a b"),
                (r#"{"a&b":1}"#, ".a&b"),
                (r#"{"ä":1}"#, ".ä"),
                (r#"{"auth_key":"a"}"#, ".auth_key"),
                (r#"{"auth_signature":"a"}"#, ".auth_signature"),
                (r#"{"auth_x":1}"#, ".auth_x"),
                (r#"{"\u0061uth_key":"a"}"#, ".auth_key"),
                (r#"{"AUTH_KEY":"a"}"#, ".AUTH_KEY"),
                (r#"{"body_md5":"a"}"#, ".body_md5"),
                (r#"{"BODY_MD5":"a"}"#, ".BODY_MD5"),
                (r#"{"a":1.5}"#, ".a"),
                (r#"{"a":1e3}"#, ".a"),
                (r#"{"a":[]}"#, ".a"),
                (r#"{"a":{}}"#, ".a"),
                (r#"{"a":"\n"}"#, ".a"),
                (r#"{"a":"\u0000"}"#, ".a"),
                (r#"{"a":"\u007f"}"#, ".a"),
                (r#"{"a":"\u0085"}"#, ".a"),
                (r#"{"a":"\ud800"}"#, ".a"),
                (r#"{"a":1,"a":1}"#, ".a"),
                (r#"{"a":1,"\u0061":1}"#, ".a"),
            ]),
        ]
        .concat(),
        Form::ChannelData => [
            &object[..],
            &named(&[
                ("{}", ".user_id"),
                (r#"{"user_id":""}"#, ".user_id"),
                (r#"{"user_id":true}"#, ".user_id"),
                (r#"{"user_id":1.5}"#, ".user_id"),
                (r#"{"user_id":1e3}"#, ".user_id"),
                (r#"{"user_id":["1"]}"#, ".user_id"),
                (r#"{"user_id":"\ud800"}"#, ".user_id"),
                (r#"{"user_id":"1","user_id":"2"}"#, ".user_id"),
                (r#"{"user_id":"1","user\u005fid":"2"}"#, ".user_id"),
                (r#"{"user_id":"1","x":1,"x":1}"#, ".x"),
                (r#"{"user_id":"1","user_info":"x"}"#, ".user_info"),
                (r#"{"user_id":null}"#, ".user_id"),
                (r#"{"user_id":"1","user_info":[]}"#, ".user_info"),
            ]),
        ]
        .concat(),
        Form::Subscriptions => [
            &malformed[..],
            &named(&[
                ("private-c", ""),
                (r#""private-c""#, ""),
                ("{}", ""),
                ("[]", ""),
                (r#"["private-c",]"#, ""),
                (r#"["private-c",1]"#, "[1]"),
                (r#"["private-c",null]"#, "[1]"),
                (r#"["private-c",["private-d"]]"#, "[1]"),
                (r#"["private-\ud800"]"#, "[0]"),
                (r#"["private-c","private-c"]"#, "[1]"),
                (r#"["private-c","private-d",{"channel":"private-\u0063"}]"#, "[2]"),
                (r#"["b c","b c"]"#, "[1]"),
                (r#"[{"channel":"private-c"},{}]"#, "[1].channel"),
                (r#"[{"channel":1}]"#, "[0].channel"),
                (r#"[{"channel":null}]"#, "[0].channel"),
                (r#"[{"channel":"private-c","channel":"private-d"}]"#, "[0].channel"),
                (r#"[{"name":"private-c"}]"#, "[0].name"),
                (r#"[{"channel":"private-c","channel_data":1}]"#, "[0].channel_data"),
                (r#"[{"channel":"private-c","channel_data":[]}]"#, "[0].channel_data"),
                (r#"[{"channel":"private-c","channel_data":"\ud800"}]"#, "[0].channel_data"),
            ]),
        ]
        .concat(),
        Form::UserData => [
            &object[..],
            &named(&[
                ("{}", ".id"),
                (r#"{"id":""}"#, ".id"),
                (r#"{"id":1}"#, ".id"),
                (r#"{"id":null}"#, ".id"),
                (r#"{"id":["1"]}"#, ".id"),
                (r#"{"id":"\udfff"}"#, ".id"),
                (r#"{"id":"1","id":"2"}"#, ".id"),
                (r#"{"id":"1","\u0069d":"2"}"#, ".id"),
                (r#"{"id":"1","x":1,"x":1}"#, ".x"),
            ]),
        ]
        .concat(),
    }
}

/// Calls `try_one` with every function, every argument, every invalid string for it, and the name to expect.
fn with_every_wrong_text(mut try_one: impl FnMut(&Function, usize, &str, &str)) {
    for function in FUNCTIONS {
        for (index, argument) in function.arguments.iter().enumerate() {
            for (text, suffix) in wrong(argument.form) {
                // Any channel can be queried, and `.` is a valid channel name outside of a path.
                let only_elsewhere = matches!(
                    (function.name, text.as_str()),
                    ("channel_info" | "users_info", "c") | ("authenticate", "." | "..")
                );
                if !only_elsewhere {
                    try_one(&function, index, &text, &format!("{}{suffix}", argument.name));
                }
            }
        }
    }
}

#[test]
fn every_function_accepts_valid_strings() {
    let server = Server::start([]);
    let client = server.client();
    for function in FUNCTIONS {
        for texts in [function.good(), function.shortest()] {
            let outcome = function.call(Some(&client), &texts);
            assert_eq!(outcome.name(), "OK", "{}: {outcome:?}", function.name);
            assert_eq!(function.call_without_out(Some(&client), &texts), 0, "{}", function.name);
        }
    }
    assert_eq!(server.ledger().len(), 10 * 4);
}

#[test]
fn a_null_client_is_named() {
    for function in FUNCTIONS {
        let nothing = vec![None; function.arguments.len()];
        for texts in [function.good(), nothing] {
            refused_with(&function.call(None, &texts), function.delivery_unsent(), "client");
            assert_eq!(function.call_without_out(None, &texts), 1);
        }
    }
}

#[test]
fn null_is_accepted_only_for_optional_strings() {
    let server = Server::start([]);
    let client = server.client();
    let mut asked = 0;
    for function in FUNCTIONS {
        for (index, argument) in function.arguments.iter().enumerate() {
            let outcome = function.call(Some(&client), &function.with(index, None));
            if argument.required {
                refused_with(&outcome, function.delivery_unsent(), argument.name);
            } else {
                assert_eq!(outcome.name(), "OK", "{} without {}", function.name, argument.name);
                asked += 1;
            }
        }
    }
    assert_eq!(server.ledger().len(), asked);
}

#[test]
fn an_empty_string_is_not_an_omitted_one_except_as_a_prefix() {
    let server = Server::start([]);
    let client = server.client();
    for function in FUNCTIONS {
        for (index, argument) in function.arguments.iter().enumerate() {
            if argument.form == Form::Prefix {
                continue;
            }
            let outcome = function.call(Some(&client), &function.with(index, Some(b"")));
            refused_with(&outcome, function.delivery_unsent(), argument.name);
        }
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn every_function_refuses_invalid_utf_8() {
    let server = Server::start([]);
    let client = server.client();
    for bad in [&b"\xff"[..], b"a\x80", b"\xc0\x80", b"\xed\xa0\x80", b"{\"a\":\"\xe2\x82\"}", b"\xf4\x90\x80\x80"] {
        for function in FUNCTIONS {
            for (index, argument) in function.arguments.iter().enumerate() {
                let outcome = function.call(Some(&client), &function.with(index, Some(bad)));
                refused_with(&outcome, function.delivery_unsent(), argument.name);
                assert!(outcome.text("message").contains("UTF-8"), "{outcome:?}");
            }
        }
    }
    assert_eq!(server.connections(), 0);
}

/// Half a surrogate pair has no UTF-8. Where a string is read, it is refused; elsewhere the escape is passed on, and no byte of it
/// becomes U+FFFD.
#[test]
fn half_a_surrogate_pair_is_refused_where_a_string_is_read_and_kept_elsewhere() {
    let server = Server::start([]);
    let client = server.client();
    for half in ["\\ud800", "\\udfff", "\\uD83Dx", "\\ude00\\ud83d"] {
        for (name, texts, argument) in [
            ("trigger", vec!["c".to_owned(), "e".to_owned(), format!(r#""{half}""#)], "data"),
            ("trigger", vec![format!(r#"["{half}"]"#), "e".to_owned(), "1".to_owned()], "channels[0]"),
            ("trigger_batch", vec![format!(r#"[{{"channel":"{half}","name":"e","data":1}}]"#)], "events[0].channel"),
            ("trigger_batch", vec![format!(r#"[{{"channel":"c","name":"{half}","data":1}}]"#)], "events[0].name"),
            ("trigger_batch", vec![format!(r#"[{{"channel":"c","name":"e","data":"{half}"}}]"#)], "events[0].data"),
            (
                "authenticate",
                vec!["presence-c".to_owned(), "1.2".to_owned(), format!(r#"{{"user_id":"{half}"}}"#)],
                "channel_data.user_id",
            ),
            ("authenticate_user", vec!["1.2".to_owned(), format!(r#"{{"id":"{half}"}}"#)], "user_data.id"),
            ("get", vec!["/x".to_owned(), format!(r#"{{"a":"{half}"}}"#)], "params.a"),
        ] {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let outcome = client.call_with(name, &texts);
            refused_with(&outcome, Function::named(name).delivery_unsent(), argument);
        }
        let sent = server.ledger().len();
        let nested = format!(r#"{{"user_id":"7","id":"7","n":[{{"{half}":"{half}"}}]}}"#);
        client.trigger("c", "e", &nested).is_ok("{}");
        assert_eq!((server.last().json()["data"].as_str(), server.ledger().len()), (Some(&*nested), sent + 1));
        for (name, channel, member) in
            [("authenticate", Some("presence-c"), "channel_data"), ("authenticate_user", None, "user_data")]
        {
            let texts: Vec<&str> = channel.into_iter().chain(["1.2", &nested]).collect();
            let result: Value =
                serde_json::from_str(client.call_with(name, &texts).document.as_deref().unwrap()).unwrap();
            assert_eq!(result[member], nested);
        }
    }
}

#[test]
fn every_invalid_string_is_refused_and_named() {
    let server = Server::start([]);
    let client = server.client();
    let mut tried = 0;
    with_every_wrong_text(|function, index, text, argument| {
        let outcome = function.call(Some(&client), &function.with(index, Some(text.as_bytes())));
        assert_eq!(
            (outcome.name(), outcome.delivery(), &*outcome.text("argument")),
            ("INVALID_ARGUMENT", function.delivery_unsent(), argument),
            "{}({text:?}): {outcome:?}",
            function.name
        );
        refused_with(&outcome, function.delivery_unsent(), argument);
        tried += 1;
    });
    assert!(tried > 500, "{tried}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn prepare_refuses_an_invalid_string_as_the_call_does() {
    let client = Client::new(&config(1, json!({})));
    with_every_wrong_text(|function, index, text, argument| {
        if function.purpose != Purpose::Sign {
            let texts = function.with(index, Some(text.as_bytes()));
            let outcome =
                prepare(Some(&client), Some(function.name.as_bytes()), &texts, Without::default()).unwrap_err();
            // The same document, including the delivery.
            assert_eq!((outcome.name(), &*outcome.text("argument")), ("INVALID_ARGUMENT", argument), "{outcome:?}");
            assert_eq!(outcome.document, function.call(Some(&client), &texts).document);
        }
    });
}

#[test]
fn users_info_leaves_it_to_the_server_which_channels_have_users() {
    let server = Server::start([Answer::new(400, &[], "only presence channels")]);
    server.client().call_with("users_info", &["private-c"]).is("BAD_REQUEST", "");
    assert_eq!(server.ledger()[0].path(), "/apps/4711/channels/private-c/users");
}

#[test]
fn prepare_names_its_own_invalid_arguments() {
    let client = Client::new(&config(1, json!({})));
    let good: [Option<&[u8]>; 3] = [Some(b"c"), Some(b"e"), Some(b"{}")];
    let call: Option<&[u8]> = Some(b"trigger");
    let all = Without::default();
    // The delivery depends on the call; an unknown call has none.
    let named = |result: Result<_, Outcome>, argument: &str| refused_with(&result.unwrap_err(), "not_sent", argument);
    let no_call = |result: Result<_, Outcome>| refused_with(&result.unwrap_err(), "", "call");
    named(prepare(None, call, &good, all), "client");
    no_call(prepare(Some(&client), None, &good, all));
    named(prepare(Some(&client), call, &good, Without { request: true, ..all }), "request");
    named(prepare(Some(&client), call, &good, Without { arguments: true, ..all }), "arguments");
    named(prepare(Some(&client), call, &[], Without { arguments: true, count: Some(usize::MAX), ..all }), "arguments");
    // Larger than the address space.
    for count in [usize::MAX, usize::MAX / 8, isize::MAX as usize] {
        named(prepare(Some(&client), call, &good, Without { count: Some(count), ..all }), "arguments");
    }
    // (NULL, 0) is an empty array, so the first argument is missing.
    named(prepare(Some(&client), call, &[], Without { arguments: true, ..all }), "channels");
    named(prepare(Some(&client), call, &good[..1], all), "event");
    named(prepare(Some(&client), call, &good[..2], all), "data");
    // A count of 0 means an empty array, whatever the pointer.
    named(prepare(Some(&client), call, &good, Without { count: Some(0), ..all }), "channels");
    for index in 0..3 {
        let mut texts = good;
        texts[index] = Some(b"\xff");
        let outcome = prepare(Some(&client), call, &texts, all).unwrap_err();
        outcome.is("INVALID_ARGUMENT", "not_sent");
        assert!(outcome.text("message").contains("UTF-8"), "{outcome:?}");
        assert_ne!(outcome.text("argument"), "");
    }
    for unknown in [
        "",
        "Trigger",
        "pusher_trigger",
        "trigger ",
        "trigger\n",
        "authenticate",
        "authenticate_channels",
        "authenticate_user",
        "validate_webhook",
        "new",
        "prepare",
        "ä",
    ] {
        no_call(prepare(Some(&client), Some(unknown.as_bytes()), &good, all));
    }
    no_call(prepare(Some(&client), Some(b"\xff"), &good, all));
    for function in Function::network() {
        let delivery = function.delivery_unsent();
        let mut texts = function.good();
        prepare(Some(&client), Some(function.name.as_bytes()), &texts, all).unwrap();
        texts.push(None);
        // Even a NULL is one too many: a later version may give it a meaning.
        let outcome = prepare(Some(&client), Some(function.name.as_bytes()), &texts, all).unwrap_err();
        refused_with(&outcome, delivery, "count");
        texts.extend([Some(&b"x"[..]); 100]);
        let outcome = prepare(Some(&client), Some(function.name.as_bytes()), &texts, all).unwrap_err();
        refused_with(&outcome, delivery, "count");
    }
}

#[test]
fn finish_names_a_null_argument_and_does_not_consume_the_request() {
    let client = Client::new(&config(1, json!({})));
    let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("{}")]);
    let reply = Reply::new();
    reply.set(200, b"{}");
    for (outcome, argument) in [
        (finish(None, Some(&request), Some(&reply)), "client"),
        (finish(Some(&client), None, Some(&reply)), "request"),
        (finish(Some(&client), Some(&request), None), "response"),
        (finish(None, None, None), "client"),
    ] {
        refused_with(&outcome, outcome.delivery(), argument);
    }
    client.finish(&request, &reply).is_ok("{}");
}

#[test]
fn a_failed_finish_never_reports_not_sent() {
    // The request may have been sent, and an error of finish itself does not change that.
    let client = Client::new(&config(1, json!({})));
    for function in Function::network() {
        let texts: Vec<Option<&str>> = function.arguments.iter().map(|argument| Some(argument.good)).collect();
        let request = client.prepare(function.name, &texts);
        let reply = Reply::new();
        for outcome in [finish(None, Some(&request), Some(&reply)), finish(Some(&client), Some(&request), None)] {
            assert_eq!(outcome.name(), "INVALID_ARGUMENT");
            assert_ne!(outcome.delivery(), "not_sent", "{}: {outcome:?}", function.name);
        }
    }
}

#[test]
fn a_request_is_finished_once() {
    let client = Client::new(&config(1, json!({})));
    let (good, bad) = (Reply::new(), Reply::new());
    good.set(200, b"{}");
    bad.set(400, b"no");
    for first in [&good, &bad] {
        let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("{}")]);
        client.finish(&request, first);
        for _ in 0..2 {
            let outcome = client.finish(&request, &good);
            assert_eq!((outcome.name(), outcome.delivery()), ("INVALID_STATE", ""));
            outcome.naming("request");
        }
        // The request can still be read.
        assert_eq!(request.read().method, "POST");
    }
}

#[test]
fn functions_without_a_result_ignore_null() {
    hooks::read_and_set_null();
}

#[test]
fn a_webhook_with_invalid_pointers_is_refused() {
    let client = Client::new(&config(1, json!({})));
    let (key, signature): (Option<&[u8]>, Option<&[u8]>) = (Some(b"k"), Some(b"s"));
    let body = b"{}";
    refused_with(&webhook(None, key, signature, body.as_ptr(), 2), "", "client");
    refused_with(&webhook(None, None, None, ptr::null(), 0), "", "client");
    refused_with(&webhook(Some(&client), key, signature, ptr::null(), 1), "", "body");
    refused_with(&webhook(Some(&client), key, signature, ptr::null(), usize::MAX), "", "body");
    for length in [usize::MAX, isize::MAX as usize + 1] {
        refused_with(&webhook(Some(&client), key, signature, body.as_ptr(), length), "", "body");
    }
    // (NULL, 0) is an empty body, but the signature is not that of one.
    for nowhere in [ptr::null(), NonNull::dangling().as_ptr(), body.as_ptr()] {
        let outcome = webhook(Some(&client), Some(KEY.as_bytes()), signature, nowhere, 0);
        outcome.is("WEBHOOK_INVALID", "").naming("signature");
    }
}

#[test]
fn a_failing_call_accepts_null_for_out() {
    let server = Server::builder().answering(|_| Answer::new(403, &[], "no")).start();
    let client = server.client();
    for function in Function::network() {
        assert_eq!(function.call_without_out(Some(&client), &function.good()), 42);
        let nothing = vec![Some(&b""[..]); function.arguments.len()];
        assert_eq!(function.call_without_out(Some(&client), &nothing), 1);
    }
}

#[test]
fn a_string_of_any_length_is_refused_cleanly() {
    let client = Client::new(&config(1, json!({})));
    let long = "a".repeat(1 << 20);
    for function in FUNCTIONS {
        for (index, argument) in function.arguments.iter().enumerate() {
            let outcome = function.call(Some(&client), &function.with(index, Some(long.as_bytes())));
            // Only the limit of the URL applies to a list of attributes (below).
            if argument.form != Form::Attributes {
                refused_with(&outcome, function.delivery_unsent(), argument.name);
                assert!(outcome.document.unwrap().len() < 2000);
            }
        }
    }
}

#[test]
fn the_argument_that_makes_a_url_too_long_is_named() {
    let client = Client::new(&config(1, json!({})));
    let list = "user_count,".repeat(1000);
    let list = list.trim_end_matches(',');
    let path = format!("/{}", "a".repeat(8000));
    let params = json!({"x": "a".repeat(8000)}).to_string();
    let mut wrong = Vec::new();
    for (name, texts, argument) in [
        ("channels_info", vec![None, Some(list)], "attributes"),
        ("channel_info", vec![Some("c"), Some(list)], "attributes"),
        ("get", vec![Some(&*path)], "path"),
        ("post", vec![Some(&*path)], "path"),
        ("delete", vec![Some(&*path)], "path"),
        ("get", vec![Some("/x"), Some(&*params)], "params"),
        ("post", vec![Some("/x"), Some(&*params)], "params"),
        ("delete", vec![Some("/x"), Some(&*params)], "params"),
    ] {
        let outcome = client.call(name, &texts);
        outcome.is("INVALID_ARGUMENT", Function::named(name).delivery_unsent());
        if outcome.text("argument") != argument {
            wrong.push(format!("{name} names {} and not {argument}", outcome.text("argument")));
        }
        assert!(outcome.document.unwrap().len() < 2000);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nesting_costs_no_stack_in_any_string() {
    const DEPTH: usize = 100_000;
    let arrays = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let object = |before: &str, key: &str| format!("{{{before}\"{key}\":{arrays}}}");
    let key = calls::base64(MASTER_KEY.as_bytes());
    let client = Client::new(&config(1, json!({"encryption_master_key_base64": key})));
    on_a_small_stack(|| {
        for function in FUNCTIONS {
            for (index, argument) in function.arguments.iter().enumerate() {
                // The error depends on the argument: most must not be an array. The call must return an error and not crash.
                for text in [arrays.as_str(), &arrays[..DEPTH], &object("", "x"), &object("", "info")] {
                    let outcome = function.call(Some(&client), &function.with(index, Some(text.as_bytes())));
                    let refused = matches!(outcome.name(), "INVALID_ARGUMENT" | "PAYLOAD_TOO_LARGE");
                    // The body of a POST is any JSON.
                    assert!(refused || argument.name == "body", "{} {}", function.name, argument.name);
                }
            }
        }
        let deep = object(r#""user_id":"1","user_info":{},"#, "x");
        client.call_with("authenticate", &["presence-c", "1.1", &deep]).document.unwrap();
        client.call_with("authenticate", &["private-c", "1.1", &arrays]).document.unwrap();
        let channels = format!(r#"[{{"channel":"presence-c","channel_data":{deep}}}]"#);
        client.call_with("authenticate_channels", &["1.1", &channels]).document.unwrap();
        client.call_with("authenticate_user", &["1.1", &object(r#""id":"1","#, "x")]).document.unwrap();
        let events = format!(r#"[{{"channel":"c","name":"e","data":{arrays}}}]"#);
        client.call_with("trigger_batch", &[&events]).is("PAYLOAD_TOO_LARGE", "not_sent").naming("events[0].data");
        let event = format!(
            r#"{{"time_ms":{},"events":[{{"name":"client_event","channel":"private-encrypted-c","data":{arrays}}}]}}"#,
            now_ms()
        );
        let signature = signature::hmac_hex(SECRET.as_bytes(), event.as_bytes());
        let outcome = client.webhook(Some(KEY.as_bytes()), Some(signature.as_bytes()), event.as_bytes());
        assert_eq!(outcome.status, 0);
        assert!(outcome.document.unwrap().contains("decryption_error"));
    });
}

#[test]
fn only_publishing_calls_report_a_delivery() {
    let unreachable = Client::new(&config(1, json!({})));
    for function in Function::network() {
        let outcome = function.call(Some(&unreachable), &function.good());
        outcome.is("NOT_SENT", function.delivery_unsent()).because("connect");
        let error = outcome.error();
        assert_eq!((&error["retryable"], &error["attempts"]), (&json!(true), &Value::from(1)));
    }
}
