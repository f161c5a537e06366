//! Authorizing subscriptions and signing users in: the library signs and returns exactly the strings that it checked.

use crate::support::hooks::{self, Without};
use crate::support::secretbox::channel_key;
use crate::support::{Client, KEY, MASTER_KEY, Outcome, SECRET, calls, config, signature};
use serde_json::{Value, json};

const ID: &str = "1234.5678";

fn client() -> Client {
    let key = calls::base64(MASTER_KEY.as_bytes());
    // No server listens there: none is needed.
    Client::new(&config(1, json!({"encryption_master_key_base64": key})))
}

/// `KEY:` and the signature of `text`.
fn auth(text: &str) -> String {
    format!("{KEY}:{}", signature::hmac_hex(SECRET.as_bytes(), text.as_bytes()))
}

/// The members of the result, in their order.
#[track_caller]
fn result(outcome: &Outcome) -> Value {
    assert_eq!(outcome.name(), "OK", "{outcome:?}");
    serde_json::from_str(outcome.document.as_deref().unwrap()).unwrap()
}

#[test]
fn a_private_channel_is_authorized_by_its_name() {
    for channel in
        ["private-a", "private-", "private-encrypted", "private-A_1-=@,.;", &format!("private-{}", "a".repeat(192))]
    {
        let outcome = client().call_with("authenticate", &[channel, ID]);
        outcome.is_ok(&format!(r#"{{"auth":"{}"}}"#, auth(&format!("{ID}:{channel}"))));
    }
}

#[test]
fn data_on_a_private_channel_is_any_json() {
    for data in [r#"{"a":1}"#, "null", "1e400", "\"text\"", "[]", " { }\n", r#"{"user_id":null,"x":[{"x":1,"x":2}]}"#] {
        let outcome = client().call_with("authenticate", &["private-a", ID, data]);
        let expected = json!({"auth": auth(&format!("{ID}:private-a:{data}")), "channel_data": data});
        assert_eq!(result(&outcome), expected);
    }
    for malformed in ["", " ", "x", "{", "{}}", "{a:1}", "\u{feff}{}", "\"\n\""] {
        let outcome = client().call_with("authenticate", &["private-a", ID, malformed]);
        outcome.is("INVALID_ARGUMENT", "").naming("channel_data");
    }
}

#[test]
fn data_on_a_private_channel_is_an_object_where_names_may_contain_a_colon() {
    for (more, needs_object) in [
        (json!({"server": "sockudo"}), true),
        (json!({"channel_characters": ":"}), true),
        (json!({"channel_characters": "#"}), false),
        (json!({"server": "sockudo", "channel_characters": ""}), false),
        (json!({"server": "reverb"}), false),
    ] {
        let client = Client::new(&config(1, more));
        for data in [" {}", r#"{"a":":"}"#] {
            let outcome = client.call_with("authenticate", &["private-a", ID, data]);
            assert_eq!(result(&outcome)["auth"], auth(&format!("{ID}:private-a:{data}")));
        }
        for data in ["1", "null", "\"a\"", "[{}]"] {
            let outcome = client.call_with("authenticate", &["private-a", ID, data]);
            let several = json!([{"channel": "private-a", "channel_data": data}]).to_string();
            let several = result(&client.call_with("authenticate_channels", &[ID, &several]));
            if needs_object {
                outcome.is("INVALID_ARGUMENT", "").naming("channel_data");
                assert!(outcome.text("message").contains("channel_characters"), "{outcome:?}");
                assert_eq!(several["private-a"]["error"]["argument"], "channel_data");
            } else {
                assert_eq!(result(&outcome)["auth"], auth(&format!("{ID}:private-a:{data}")));
                assert_eq!(several["private-a"]["status"], 200);
            }
        }
        // The same string, signed as the name of a channel.
        let outcome = client.call_with("authenticate", &["private-a:1", ID]);
        match outcome.name() {
            "OK" => assert!(needs_object && outcome.document.unwrap().contains(&auth(&format!("{ID}:private-a:1")))),
            _ => assert!(!needs_object),
        }
    }
}

/// Spellings of one object that must all be returned unchanged.
const KEPT: [&str; 11] = [
    r#"{"user_id":"7"}"#,
    r#"{"user_id":7}"#,
    r#"{"user_id":-123456789012345678901234567890}"#,
    r#"{"user_info":{"name":"Mr. Pusher"},"user_id":"7"}"#,
    "  {\t\"user_id\" :\r\n\"7\" }  \n",
    r#"{"\u0075ser_id":"\u00e9\/\"\\"}"#,
    r#"{"user_id":"é😀\ud83d\ude00","user_info":{}}"#,
    "{\"user_id\":\"\u{2028}\u{7f}\u{feff}\"}",
    r#"{"user_id":"7","user_info" : null}"#,
    r#"{"user_id":"7","user_info":{"a":1,"a":2,"n":1.0e+10,"deep":[[[]]]},"other":null}"#,
    r#"{"user_id":"7","x":"</script>&'+%2B"}"#,
];

#[test]
fn presence_data_is_signed_and_returned_byte_for_byte() {
    for data in KEPT {
        let outcome = client().call_with("authenticate", &["presence-a", ID, data]);
        let expected = json!({"auth": auth(&format!("{ID}:presence-a:{data}")), "channel_data": data});
        assert_eq!(result(&outcome), expected, "{data}");
    }
}

#[test]
fn user_data_is_signed_and_returned_byte_for_byte() {
    for data in KEPT {
        // The same spellings with the `id` of a user, which is a string.
        let data = data.replace("user_id\"", "id\"").replace("\\u0075ser_id", "\\u0069d");
        // Strings that are no id are a name.
        let data = data.replace(r#"id":"\u00e9"#, r#"id":"\u0037","name":"\u00e9"#);
        let data = data.replace("id\":\"é", "id\":\"7\",\"name\":\"é");
        let data = data.replace("id\":\"\u{2028}", "id\":\"7\",\"name\":\"\u{2028}");
        let data = data.replace(r#""\u0069d":"\u00e9"#, r#""\u0069d":"7","name":"\u00e9"#);
        let data = data.replace(":7}", ":\"7\"}").replace(":-123456789012345678901234567890}", ":\"-1\"}");
        let outcome = client().call_with("authenticate_user", &[ID, &data]);
        let expected = json!({"auth": auth(&format!("{ID}::user::{data}")), "user_data": data});
        assert_eq!(result(&outcome), expected, "{data}");
    }
}

#[test]
fn channel_data_of_a_private_channel_is_refused_for_a_server_that_does_not_verify_it() {
    let key = calls::base64(MASTER_KEY.as_bytes());
    let client = Client::new(&config(1, json!({"server": "soketi", "encryption_master_key_base64": key})));
    for channel in ["private-a", "private-encrypted-a", "private-cache-a"] {
        let outcome = client.call_with("authenticate", &[channel, ID, "{}"]);
        outcome.is("INVALID_ARGUMENT", "").naming("channel_data");
        assert!(outcome.text("message").contains("soketi") && outcome.text("message").contains("401"), "{outcome:?}");
        client.call_with("authenticate", &[channel, ID]).is("OK", "");
        let list = json!([channel, {"channel": "presence-a", "channel_data": {"user_id": "7"}}, {"channel": format!("{channel}b"), "channel_data": {}}]);
        let all = result(&client.call_with("authenticate_channels", &[ID, &list.to_string()]));
        let statuses = [channel, "presence-a", &format!("{channel}b")].map(|name| all[name]["status"].clone());
        assert_eq!(statuses, [json!(200), json!(200), json!(400)], "{all}");
    }
}

#[test]
fn a_user_who_can_sign_in_can_be_reached_and_terminated_and_no_other() {
    let longest = "u".repeat(200);
    let good = ["7", "e2", "a.b", "...", "u@example.com", "A_1-=@,.;", &longest];
    let too_long = "u".repeat(201);
    let bad = ["", ".", "..", "e:2", "a b", "a/b", "a+b@example.com", "é", "a#", "a\n", "%", &too_long];
    for server in ["pusher", "sockudo", "soketi"] {
        let client = Client::new(&config(1, json!({"server": server})));
        let of = |id: &str| {
            let data = json!({"id": id, "name": "é: /"}).to_string();
            let user = client.call_with("authenticate_user", &[ID, &data]);
            let reached = hooks::prepare(
                Some(&client),
                Some(b"send_to_user"),
                &[Some(id.as_bytes()), Some(b"e"), Some(b"1"), None],
                Without::default(),
            );
            let ended = hooks::prepare(
                Some(&client),
                Some(b"terminate_user_connections"),
                &[Some(id.as_bytes()), None],
                Without::default(),
            );
            (user, [reached, ended].map(|prepared| prepared.err().map(|outcome| outcome.text("message"))))
        };
        for id in good {
            let (user, others) = of(id);
            user.is("OK", "");
            assert_eq!(others, [None, None], "{id}");
        }
        for id in bad {
            let (user, others) = of(id);
            let message = user
                .is("INVALID_ARGUMENT", "")
                .naming("user_data.id")
                .text("message")
                .replace("user_data.id: ", "user_id: ");
            assert_eq!(others, [Some(message.clone()), Some(message)], "{id}");
        }
    }
}

#[test]
fn the_result_has_its_members_in_a_fixed_order() {
    let client = client();
    let auth_of = |text: &str| auth(&format!("{ID}:{text}"));
    let data = r#"{"user_id":"\u00e9"}"#;
    client.call_with("authenticate", &["presence-a", ID, data]).is_ok(&format!(
        r#"{{"auth":"{}","channel_data":"{{\"user_id\":\"\\u00e9\"}}"}}"#,
        auth_of(&format!("presence-a:{data}"))
    ));
    let secret = calls::base64(&channel_key("private-encrypted-a", MASTER_KEY.as_bytes()));
    client.call_with("authenticate", &["private-encrypted-a", ID, "1"]).is_ok(&format!(
        r#"{{"auth":"{}","channel_data":"1","shared_secret":"{secret}"}}"#,
        auth_of("private-encrypted-a:1")
    ));
    client
        .call_with("authenticate_user", &[ID, r#"{"id":"7"}"#])
        .is_ok(&format!(r#"{{"auth":"{}","user_data":"{{\"id\":\"7\"}}"}}"#, auth_of(r#":user::{"id":"7"}"#)));
}

#[test]
fn only_an_encrypted_channel_comes_with_a_shared_secret() {
    let client = client();
    for channel in ["private-encrypted-a", "private-encrypted-", "private-encrypted-cache-b"] {
        let answer = result(&client.call_with("authenticate", &[channel, ID]));
        let secret = calls::base64(&channel_key(channel, MASTER_KEY.as_bytes()));
        assert_eq!(answer, json!({"auth": auth(&format!("{ID}:{channel}")), "shared_secret": secret}));
    }
    for channel in ["private-encrypted", "private-a-encrypted-", "private-Encrypted-a"] {
        let answer = result(&client.call_with("authenticate", &[channel, ID]));
        assert!(answer.get("shared_secret").is_none(), "{channel}");
    }
}

#[test]
fn a_public_channel_is_refused() {
    for channel in ["a", "cache-a", "presence", "private", "Private-a", "presence_a", "xprivate-a", "public-private-a"]
    {
        let outcome = client().call_with("authenticate", &[channel, ID]);
        outcome.is("INVALID_ARGUMENT", "").naming("channel");
        assert!(outcome.text("message").contains("public"), "{outcome:?}");
    }
}

#[test]
fn a_presence_channel_needs_data() {
    for channel in ["presence-a", "presence-", "presence-cache-a"] {
        let outcome = client().call_with("authenticate", &[channel, ID]);
        outcome.is("INVALID_ARGUMENT", "").naming("channel_data");
    }
}

#[test]
fn no_channel_or_socket_id_can_inject_into_the_signed_string() {
    let client = client();
    let user = r#"{"id":"admin"}"#;
    let channels = [
        format!("private-a::user::{user}"),
        ":user::{\"id\":\"admin\"}".to_owned(),
        "private-a:presence-b".to_owned(),
        "private-a\nGET".to_owned(),
        "private-ä".to_owned(),
        "private-a b".to_owned(),
        format!("private-{}", "a".repeat(193)),
    ];
    for channel in &channels {
        client.call_with("authenticate", &[channel, ID]).is("INVALID_ARGUMENT", "").naming("channel");
    }
    let ids = [
        "",
        "1",
        "1.1:private-b",
        "1.1:presence-b:{\"user_id\":\"1\"}",
        "1.1::user::{\"id\":\"admin\"}",
        "POST\n/apps/4711/events\nauth_key=k",
        "1.1\n",
        "\n1.1",
        "1.1\r",
        " 1.1",
        "1.1 ",
        "١.١",
        "１.1",
        "1.1.1",
        "-1.1",
    ];
    for id in ids {
        client.call_with("authenticate", &["private-a", id]).is("INVALID_ARGUMENT", "").naming("socket_id");
        let presence = client.call_with("authenticate", &["presence-a", id, r#"{"user_id":"1"}"#]);
        presence.is("INVALID_ARGUMENT", "").naming("socket_id");
        client.call_with("authenticate_user", &[id, user]).is("INVALID_ARGUMENT", "").naming("socket_id");
    }
}

#[test]
fn signing_needs_no_network() {
    // A host that does not exist: a lookup would take long.
    let client = Client::new(&config(1, json!({"host": "no-such-host.invalid", "timeout_ms": 600_000})));
    for _ in 0..100 {
        assert_eq!(client.call_with("authenticate", &["private-a", ID]).name(), "OK");
        assert_eq!(client.call_with("authenticate_user", &[ID, r#"{"id":"1"}"#]).name(), "OK");
    }
}

#[test]
fn long_data_is_accepted() {
    let client = client();
    let info = "é".repeat(1 << 16);
    let data = json!({"user_id": "1", "user_info": {"x": info}}).to_string();
    let answer = result(&client.call_with("authenticate", &["presence-a", ID, &data]));
    assert_eq!(answer, json!({"auth": auth(&format!("{ID}:presence-a:{data}")), "channel_data": data}));
    let data = json!({"id": "1", "x": "\u{1}".repeat(1 << 16)}).to_string();
    let answer = result(&client.call_with("authenticate_user", &[ID, &data]));
    assert_eq!(answer, json!({"auth": auth(&format!("{ID}::user::{data}")), "user_data": data}));
}

#[test]
fn threads_share_one_client_for_signing() {
    let client = client();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for call in 0..200 {
                    let channel = format!("private-{thread}-{call}");
                    let expected = format!(r#"{{"auth":"{}"}}"#, auth(&format!("{ID}:{channel}")));
                    client.call_with("authenticate", &[&channel, ID]).is_ok(&expected);
                }
            });
        }
    });
}

/// Authorizes these channels, given as JSON, and returns the result.
#[track_caller]
fn authorized(client: &Client, channels: &str) -> Value {
    result(&client.call_with("authenticate_channels", &[ID, channels]))
}

#[test]
fn several_channels_are_authorized_as_each_is_alone() {
    let client = client();
    let data = r#"{"user_id":"7"}"#;
    let alone = |channel: &str, data: Option<&str>| json!({"status": 200, "data": result(&client.call("authenticate", &[Some(channel), Some(ID), data]))});
    let channels = json!([
        "private-a",
        {"channel": "private-b"},
        {"channel": "private-c", "channel_data": "[1]"},
        {"channel": "presence-d", "channel_data": data},
        "private-encrypted-e",
    ]);
    let expected = json!({
        "private-a": alone("private-a", None),
        "private-b": alone("private-b", None),
        "private-c": alone("private-c", Some("[1]")),
        "presence-d": alone("presence-d", Some(data)),
        "private-encrypted-e": alone("private-encrypted-e", None),
    });
    assert_eq!(authorized(&client, &channels.to_string()), expected);
}

#[test]
fn a_result_has_the_channels_in_the_order_of_the_call() {
    let outcome = client().call_with("authenticate_channels", &[ID, r#" [ "private-b" , {"channel":"private-a"} ] "#]);
    let entry = |channel: &str| {
        format!(r#""{channel}":{{"status":200,"data":{{"auth":"{}"}}}}"#, auth(&format!("{ID}:{channel}")))
    };
    outcome.is_ok(&format!("{{{},{}}}", entry("private-b"), entry("private-a")));
}

#[test]
fn the_data_of_each_channel_is_signed_and_returned_byte_for_byte() {
    let client = client();
    for data in KEPT {
        let expected = json!({"auth": auth(&format!("{ID}:presence-a:{data}")), "channel_data": data});
        // A string contains the data, white space included.
        let string = format!(r#"[{{"channel":"presence-a","channel_data":{}}}]"#, json!(data));
        assert_eq!(authorized(&client, &string)["presence-a"]["data"], expected, "{data}");
        // An object is the data, without the white space around it.
        let object = format!(r#"[{{"channel_data":{data},"channel":"presence-a"}}]"#);
        let data = data.trim();
        let expected = json!({"auth": auth(&format!("{ID}:presence-a:{data}")), "channel_data": data});
        assert_eq!(authorized(&client, &object)["presence-a"]["data"], expected, "{data}");
    }
}

#[test]
fn an_invalid_channel_does_not_affect_the_others() {
    // Without a master key.
    let client = Client::new(&config(1, json!({})));
    let long = format!("private-{}", "a".repeat(193));
    let invalid = ["b", "", "private-\"x\"", "private-a\0", "private-\u{e9}", &long, "presence-c"];
    for name in invalid {
        let result = authorized(&client, &json!(["private-a", name, "private-z"]).to_string());
        assert_eq!(result.as_object().unwrap().len(), 3, "{result}");
        for channel in ["private-a", "private-z"] {
            assert_eq!(result[channel], json!({"status": 200, "data": {"auth": auth(&format!("{ID}:{channel}"))}}));
        }
        let argument = if name == "presence-c" { "channel_data" } else { "channel" };
        assert_eq!(result[name]["status"], 400, "{result}");
        assert_eq!(result[name]["error"]["status"], "INVALID_ARGUMENT", "{result}");
        assert_eq!(result[name]["error"]["argument"], argument, "{result}");
        assert!(result[name].get("data").is_none());
    }
    let result = authorized(&client, r#"["private-encrypted-a","private-a"]"#);
    assert_eq!(result["private-encrypted-a"]["status"], 500, "{result}");
    assert_eq!(result["private-encrypted-a"]["error"]["status"], "ENCRYPTION", "{result}");
    assert_eq!(result["private-a"]["status"], 200, "{result}");
    let data =
        r#"[{"channel":"presence-a","channel_data":{"user_id":1.5}},{"channel":"private-a","channel_data":"{"}]"#;
    let result = authorized(&client, data);
    assert_eq!(result["presence-a"]["error"]["argument"], "channel_data.user_id", "{result}");
    assert_eq!(result["private-a"]["error"]["argument"], "channel_data", "{result}");
}

#[test]
fn the_data_of_a_channel_is_an_object_a_string_or_null() {
    let client = client();
    for channel_data in ["1", "true", "[]", "1.5"] {
        let channels = format!(r#"[{{"channel":"presence-a","channel_data":{channel_data}}}]"#);
        let outcome = client.call_with("authenticate_channels", &[ID, &channels]);
        outcome.is("INVALID_ARGUMENT", "").naming("channels[0].channel_data");
        assert!(outcome.text("message").contains("must be an object"), "{outcome:?}");
    }
    let result = authorized(&client, r#"[{"channel":"private-a","channel_data":null}]"#);
    assert_eq!(result["private-a"]["data"], json!({"auth": auth(&format!("{ID}:private-a"))}));
    let outcome = client.call_with("authenticate_channels", &[ID, r#"[{"channel":null}]"#]);
    outcome.is("INVALID_ARGUMENT", "").naming("channels[0].channel");
    assert!(outcome.text("message").contains("is missing"), "{outcome:?}");
}

#[test]
fn the_members_of_presence_data_have_their_types() {
    let client = client();
    for (data, argument) in [
        (r#"{"user_id":""}"#, "channel_data.user_id"),
        (r#"{"user_id":null}"#, "channel_data.user_id"),
        (r#"{"user_id":[]}"#, "channel_data.user_id"),
        (r#"{"user_id":1.5}"#, "channel_data.user_id"),
        (r#"{"user_id":"1","user_info":1}"#, "channel_data.user_info"),
        (r#"{"user_id":"1","user_info":"x"}"#, "channel_data.user_info"),
        (r#"{"user_id":"1","user_info":[]}"#, "channel_data.user_info"),
        (r#"{"user_id":"1","user_info":false}"#, "channel_data.user_info"),
    ] {
        let outcome = client.call_with("authenticate", &["presence-a", ID, data]);
        outcome.is("INVALID_ARGUMENT", "").naming(argument);
    }
    for data in [r#"{"user_id":-1,"user_info":null}"#, r#"{"user_id":"x","user_info":{}}"#] {
        assert_eq!(client.call_with("authenticate", &["presence-a", ID, data]).name(), "OK", "{data}");
    }
}

#[test]
fn a_call_authorizes_at_most_100_channels() {
    let client = client();
    let channels = |count: usize| json!((0..count).map(|n| format!("private-{n}")).collect::<Vec<_>>()).to_string();
    let result = authorized(&client, &channels(100));
    assert_eq!(result.as_object().unwrap().len(), 100);
    assert_eq!(result["private-99"]["data"]["auth"], auth(&format!("{ID}:private-99")));
    client.call_with("authenticate_channels", &[ID, &channels(101)]).is("INVALID_ARGUMENT", "").naming("channels");
}

#[test]
fn a_result_for_a_channel_named_error_is_no_error_document() {
    let outcome = client().call_with("authenticate_channels", &[ID, r#"["error"]"#]);
    assert_eq!((outcome.name(), outcome.text("delivery").as_str()), ("OK", ""), "{outcome:?}");
}
