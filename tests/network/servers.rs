//! What servers other than Pusher's take, answer and lack. Each test holds a row of docs/servers.md and has its name: the server
//! and the fact. tests/repository/servers.rs compares them.

use serde_json::{Value, json};

use crate::support::publisher::{events_of, publish};
use crate::support::{
    Answer, Client, KEY, Outcome, Personality, Publisher, SECRET, Server, now_ms, signature, trigger,
};

/// Asserts that a call was refused because the server lacks it, with a message that names the server and has this part.
#[track_caller]
fn lacking(outcome: &Outcome, delivery: &str, server: Personality, part: &str) {
    outcome.is("INVALID_ARGUMENT", delivery).naming("server");
    let message = outcome.text("message");
    assert!(message.contains(server.name()) && message.contains(part), "{message}");
}

/// Asserts that neither calls nor a publisher send events to users of a server, and that it ends no connections of theirs.
#[track_caller]
fn has_no_users(personality: Personality) {
    let server = personality.start();
    let client = personality.client(&server);
    lacking(&client.call_with("send_to_user", &["7", "e", "1"]), "not_sent", personality, "private channel");
    let reason = "authorization endpoint";
    lacking(&client.call_with("terminate_user_connections", &["7"]), "not_sent", personality, reason);
    publishes_to_no_user(&client, personality);
    assert_eq!(server.connections(), 0);
    trigger(&client).is_ok("{}");
}

#[track_caller]
fn publishes_to_no_user(client: &Client, personality: Personality) {
    let publisher = Publisher::new(client, &json!({}));
    let texts: [Option<&[u8]>; 4] = [None, Some(b"e"), Some(b"1"), Some(br#"{"user_id":"7"}"#)];
    let outcome = publish(Some(&publisher), texts).unwrap_err();
    lacking(&outcome, "not_sent", personality, "private channel");
    publisher.close();
}

#[test]
fn reverb_answers_200_to_an_event_for_a_user_and_delivers_it_to_nobody() {
    let server = Personality::Reverb.start();
    let client = Personality::Reverb.client(&server);
    let outcome = client.call_with("send_to_user", &["7", "e", "1"]);
    lacking(&outcome, "not_sent", Personality::Reverb, "to nobody");
    let prepared = crate::support::hooks::prepare(
        Some(&client),
        Some(b"send_to_user"),
        &[Some(b"7"), Some(b"e"), Some(b"1")],
        Default::default(),
    );
    lacking(&prepared.unwrap_err(), "not_sent", Personality::Reverb, "to nobody");
    publishes_to_no_user(&client, Personality::Reverb);
    assert_eq!(server.connections(), 0);
    // It closes the connections of a member of a presence channel.
    client.call_with("terminate_user_connections", &["7"]).is_ok("{}");
}

#[test]
fn reverb_refuses_data_that_is_empty_or_white_space_with_422() {
    refuses_data(Personality::Reverb.name(), &["", " ", "\t\r\n "], &["0", "x", "null"]);
    // Without the profile, the server refuses it.
    let server = Personality::Reverb.start();
    server.client().trigger("c", "e", r#"" ""#).is("BAD_REQUEST", "rejected");
}

#[test]
fn soketi_refuses_data_that_is_empty_with_400() {
    refuses_data("soketi", &[""], &[" ", "0", "null"]);
}

/// Asserts that a client of a server refuses these strings as data before it sends anything, and sends the others.
#[track_caller]
fn refuses_data(name: &str, refused: &[&str], sent: &[&str]) {
    let server = Server::start([]);
    let client = server.client_with(json!({"server": name}));
    let publisher = Publisher::new(&client, &json!({}));
    for data in refused {
        let text = json!(data).to_string();
        let batch = json!([{"channel": "c", "name": "e", "data": "x"}, {"channel": "c", "name": "e", "data": data}]);
        for (outcome, argument) in [
            (client.trigger("c", "e", &text), "data"),
            (client.call_with("trigger_batch", &[&batch.to_string()]), "events[1].data"),
            (publisher.try_publish("c", "e", &text, None).unwrap_err(), "data"),
        ] {
            outcome.is("INVALID_ARGUMENT", "not_sent").naming(argument);
            assert!(outcome.text("message").contains(name), "{outcome:?}");
        }
    }
    assert_eq!(server.connections(), 0);
    for data in sent {
        client.trigger("c", "e", &json!(data).to_string()).is_ok("{}");
    }
    // JSON other than a string is never empty.
    client.trigger("c", "e", " {} ").is_ok("{}");
    // Other servers take every string.
    server.client().trigger("c", "e", r#""""#).is_ok("{}");
}

#[test]
fn reverb_checks_a_whole_batch_before_it_publishes_an_event() {
    applies_batches_as_a_whole("reverb", 422);
}

#[test]
fn soketi_checks_a_whole_batch_before_it_publishes_an_event() {
    applies_batches_as_a_whole("soketi", 400);
}

/// Asserts that a publisher sends the events of a refused batch one at a time, by default and only for this server.
#[track_caller]
fn applies_batches_as_a_whole(name: &str, status: u16) {
    for (of_client, of_publisher, is_split) in [
        (json!({"server": name}), json!({}), true),
        (json!({"server": name}), json!({"batch_is_atomic": false}), false),
        (json!({}), json!({}), false),
    ] {
        let server = Server::start([]);
        // The publisher retries in mode "safe".
        let client = server.client_with(of_client);
        let mut config = json!({"reports": "all", "connections": 1, "retry": {"mode": "safe"}});
        config.as_object_mut().unwrap().extend(of_publisher.as_object().unwrap().clone());
        let publisher = Publisher::new(&client, &config);
        server.next(Answer::ok("{}").when_released());
        server.next(Answer::new(status, &[], "{}"));
        publisher.publish("c", "held", "0");
        server.wait_until("a request", |log| log.ledger.len() == 1);
        publisher.publish("c", "one", "1");
        publisher.publish("c", "two", "2");
        server.release();
        publisher.flush();
        let deliveries: Vec<String> = publisher.reports(3).into_iter().map(|report| report.delivery).collect();
        let sizes: Vec<usize> = server.ledger().iter().map(|request| events_of(request).len()).collect();
        match is_split {
            true => assert_eq!((deliveries, sizes), (vec!["delivered".to_owned(); 3], vec![1, 2, 1, 1])),
            false => assert_eq!((&*deliveries[1], sizes), ("unknown", vec![1, 2])),
        }
    }
}

#[test]
fn reverb_signs_the_path_without_its_prefix() {
    let server = Server::builder().behind_prefix("/ws").start();
    let client = server.client_with(json!({"server": "reverb", "path": "/ws"}));
    trigger(&client).is_ok("{}");
    assert!(server.only().target().starts_with("/ws/apps/"), "{}", server.only().target());
    // Behind a proxy that passes the prefix on, the key says so.
    let server = Server::start([]);
    trigger(&server.client_with(json!({"server": "reverb", "path": "/ws", "sign_path_prefix": true}))).is_ok("{}");
    trigger(&server.client_with(json!({"server": "soketi", "path": "/ws"}))).is_ok("{}");
}

#[test]
fn reverb_answers_an_error_as_text_without_a_length() {
    let server = Personality::Reverb.start();
    let client = Personality::Reverb.client(&server);
    for (outcome, status, text) in [
        (client.call_with("get", &["/nowhere"]), "NOT_FOUND", "Not found."),
        (client.call_with("post", &["/channels"]), "BAD_REQUEST", "Method now allowed"),
        (
            Personality::Reverb.client_with(&server, json!({"app_id": "2"})).trigger("c", "e", "1"),
            "NOT_FOUND",
            "No matching application for ID [2].",
        ),
    ] {
        assert_eq!((outcome.name(), outcome.text("response")), (status, text.to_owned()), "{outcome:?}");
    }
}

#[test]
fn reverb_closes_each_connection_after_its_response() {
    closes_connections(Personality::Reverb);
}

#[test]
fn laravel_websockets_answers_without_a_length_and_closes_the_connection() {
    closes_connections(Personality::LaravelWebsockets);
}

/// Asserts that a client sends each request on a connection of its own, and that none is lost.
#[track_caller]
fn closes_connections(personality: Personality) {
    let server = personality.start();
    let client = personality.client(&server);
    for count in 1..=20 {
        trigger(&client).is_ok("{}");
        assert_eq!((server.ledger().len(), server.connections()), (count, count));
    }
    let publisher = Publisher::new(&client, &json!({"reports": "all", "max_batch_events": 1}));
    for _ in 0..20 {
        publisher.publish("c", "e", "1");
    }
    publisher.flush();
    assert!(publisher.reports(20).iter().all(|report| report.delivery == "delivered"));
}

#[test]
fn reverb_answers_a_batch_with_an_object_in_place_of_an_array() {
    let server = Personality::Reverb.start();
    let client = Personality::Reverb.client(&server);
    client.call_with("trigger_batch", &[r#"[{"channel":"c","name":"e","data":1}]"#]).is_ok(r#"{"batch":{}}"#);
    let publisher = Publisher::new(&client, &json!({"reports": "all", "connections": 1, "linger_ms": 1000}));
    for _ in 0..10 {
        publisher.publish_with("c", "e", "1", &json!({"info": "subscription_count"}));
    }
    publisher.flush();
    assert!(publisher.reports(10).iter().all(|report| report.delivery == "delivered"));
    assert!(server.ledger().iter().any(|request| request.path().ends_with("/batch_events")));
}

#[test]
fn reverb_refuses_a_request_of_more_than_10_000_bytes_with_413() {
    let data = json!("x".repeat(9_900)).to_string();
    let server = Personality::Reverb.start();
    let client = Personality::Reverb.client(&server);
    let outcome = client.trigger("c", "e", &data);
    outcome.is("PAYLOAD_TOO_LARGE", "not_sent").naming("data");
    assert!(outcome.text("message").contains("the limit is 10000 (max_request_bytes)"), "{outcome:?}");
    let publisher = Publisher::new(&client, &json!({"reports": "all", "connections": 1}));
    publisher.try_publish("c", "e", &data, None).unwrap_err().is("PAYLOAD_TOO_LARGE", "not_sent");
    assert_eq!(server.connections(), 0);
    // Ten of these events are too large for a batch.
    for _ in 0..40 {
        publisher.publish("c", "e", &json!("x".repeat(1_500)).to_string());
    }
    publisher.flush();
    assert!(publisher.reports(40).iter().all(|report| report.delivery == "delivered"));
    assert!(server.ledger().iter().any(|request| request.path().ends_with("/batch_events")));
    // Without the profile, and with a larger limit of the configuration, the server refuses it.
    let larger = Personality::Reverb.client_with(&server, json!({"max_request_bytes": 20_000}));
    for client in [server.client(), larger] {
        let outcome = client.trigger("c", "e", &data);
        outcome.is("PAYLOAD_TOO_LARGE", "rejected");
        assert_eq!(outcome.number("http_status"), Some(413));
    }
}

#[test]
fn reverb_counts_its_connections() {
    let server = Personality::Reverb.start();
    Personality::Reverb.client(&server).call_with("get", &["/connections"]).is_ok(r#"{"connections":0}"#);
}

#[test]
fn laravel_websockets_has_no_users() {
    has_no_users(Personality::LaravelWebsockets);
}

#[test]
fn poxa_has_no_users() {
    has_no_users(Personality::Poxa);
}

#[test]
fn ably_has_no_users() {
    has_no_users(Personality::Ably);
}

#[test]
fn slanger_has_no_users() {
    has_no_users(Personality::Slanger);
}

#[test]
fn laravel_websockets_has_no_batches() {
    has_no_batches(Personality::LaravelWebsockets);
}

#[test]
fn poxa_has_no_batches() {
    has_no_batches(Personality::Poxa);
}

#[test]
fn slanger_has_no_batches() {
    has_no_batches(Personality::Slanger);
}

/// Asserts that a publisher sends each event alone, and that no batch is sent.
#[track_caller]
fn has_no_batches(personality: Personality) {
    let server = personality.start();
    let client = personality.client(&server);
    client.call_with("trigger_batch", &[BATCH]).is("INVALID_ARGUMENT", "not_sent").naming("batch_route");
    delivers_what_is_published(&client);
    assert!(server.ledger().iter().all(|request| request.path().ends_with("/events")));
    // Without the profile, the server refuses it.
    server.client().call_with("trigger_batch", &[BATCH]).is("NOT_FOUND", "rejected");
}

#[test]
fn ably_documents_no_batches() {
    let server = Personality::Ably.start();
    let client = Personality::Ably.client(&server);
    client.call_with("trigger_batch", &[BATCH]).is("NOT_FOUND", "rejected");
    delivers_what_is_published(&client);
    // Should it have the route, batches are sent.
    let server = Server::start([]);
    let client = Personality::Ably.client(&server);
    client.call_with("trigger_batch", &[BATCH]).is_ok("{}");
    delivers_what_is_published(&client);
    assert!(server.ledger().len() < 30);
}

const BATCH: &str = r#"[{"channel":"c","name":"e","data":1},{"channel":"c","name":"e","data":2}]"#;

/// Asserts that all events of a publisher are delivered.
#[track_caller]
fn delivers_what_is_published(client: &Client) {
    let publisher = Publisher::new(client, &json!({"reports": "all", "connections": 1, "linger_ms": 1000}));
    for _ in 0..30 {
        publisher.publish("c", "e", "1");
    }
    publisher.flush();
    assert!(publisher.reports(30).iter().all(|report| report.delivery == "delivered"));
}

#[test]
fn slanger_has_no_queries() {
    let server = Personality::Slanger.start();
    let client = Personality::Slanger.client(&server);
    for (call, arguments) in
        [("channels_info", &[][..]), ("channel_info", &["c"][..]), ("users_info", &["presence-c"][..])]
    {
        lacking(&client.call_with(call, arguments), "", Personality::Slanger, "no queries");
    }
    assert_eq!(server.connections(), 0);
    // The generic calls remain.
    client.call_with("get", &["/channels"]).is("BAD_REQUEST", "");
}

#[test]
fn slanger_answers_202_to_an_event() {
    let server = Personality::Slanger.start();
    trigger(&Personality::Slanger.client(&server)).is_ok("{}");
}

#[test]
fn slanger_has_an_older_path_for_events() {
    let server = Personality::Slanger.start();
    let client = Personality::Slanger.client(&server);
    client.call_with("post", &["/channels/c/events", r#"{"name":"e"}"#, r#"{"x":1}"#]).is_ok("{}");
}

#[test]
fn laravel_websockets_answers_401_for_an_unknown_application() {
    let server = Personality::LaravelWebsockets.start();
    let client = Personality::LaravelWebsockets.client_with(&server, json!({"app_id": "2"}));
    let outcome = trigger(&client);
    outcome.is("UNAUTHORIZED", "rejected");
    assert!(outcome.text("response").contains("Unknown app id"), "{outcome:?}");
}

#[test]
fn poxa_refuses_data_of_more_than_10_000_bytes_with_413() {
    takes_data(&Personality::Poxa.start(), "poxa", 10_000);
}

#[test]
fn soketi_takes_data_of_102_400_bytes() {
    takes_data(&Server::start([]), "soketi", 102_400);
}

/// Asserts that a client of this server sends data of `limit` bytes and no longer data, unless its configuration says so.
#[track_caller]
fn takes_data(server: &Server, name: &str, limit: usize) {
    let data = |size: usize| json!("x".repeat(size)).to_string();
    let client = server.client_with(json!({"server": name}));
    client.trigger("c", "e", &data(limit)).is_ok("{}");
    client.trigger("c", "e", &data(limit + 1)).is("PAYLOAD_TOO_LARGE", "not_sent").naming("data");
    // A key of the configuration wins.
    let client = server.client_with(json!({"max_data_bytes": limit + 1, "server": name}));
    assert_ne!(client.trigger("c", "e", &data(limit + 1)).delivery(), "not_sent");
    client.trigger("c", "e", &data(limit + 2)).is("PAYLOAD_TOO_LARGE", "not_sent");
}

#[test]
fn ably_is_at_a_host_of_its_own() {
    let url = |config: Value| {
        let mut all = json!({"app_id": "1", "key": KEY, "secret": SECRET, "server": "ably"});
        all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        Client::new(&all.to_string()).prepare("trigger", &[Some("c"), Some("e"), Some("1")]).read().url
    };
    for (config, origin) in [
        (json!({}), "https://rest-pusher.ably.io/apps/"),
        (json!({"host": "example.org"}), "https://example.org/apps/"),
        (json!({"cluster": "eu"}), "https://api-eu.pusher.com/apps/"),
    ] {
        let url = url(config);
        assert!(url.replace(":443/", "/").starts_with(origin), "{url}");
    }
}

/// Names that sockudo takes and Pusher does not.
const SOCKUDO_NAMES: [&str; 4] = ["tenant-42:orders", "dialog:a#42,43", "presence-tenant-42:a::b", "private-a#"];

#[test]
fn sockudo_takes_colons_and_hashes_in_the_names_of_channels() {
    let server = Server::start([]);
    for (config, takes) in [
        (json!({"server": "sockudo"}), true),
        (json!({"channel_characters": ":#"}), true),
        (json!({"server": "sockudo", "channel_characters": ""}), false),
        (json!({"server": "soketi"}), false),
        (json!({}), false),
    ] {
        let client = server.client_with(config);
        let publisher = Publisher::new(&client, &json!({}));
        for name in SOCKUDO_NAMES {
            let batch = json!([{"channel": name, "name": "e", "data": 1}]).to_string();
            let data = name.starts_with("presence-").then_some(r#"{"user_id":"1"}"#);
            let mut outcomes = vec![
                (client.trigger(name, "e", "1"), "channels"),
                (client.trigger(&json!(["a", name]).to_string(), "e", "1"), "channels[1]"),
                (client.call_with("trigger_batch", &[&batch]), "events[0].channel"),
                (client.call_with("channels_info", &[name]), "prefix_filter"),
                (client.call_with("channel_info", &[name]), "channel"),
            ];
            if name.starts_with("private-") || name.starts_with("presence-") {
                outcomes.push((client.call("authenticate", &[Some(name), Some("1.2"), data]), "channel"));
            }
            if name.starts_with("presence-") {
                outcomes.push((client.call_with("users_info", &[name]), "channel"));
            }
            for (outcome, argument) in outcomes {
                match takes {
                    true => assert_eq!(outcome.name(), "OK", "{name}: {outcome:?}"),
                    false => assert_eq!(outcome.naming(argument).name(), "INVALID_ARGUMENT"),
                }
            }
            match publisher.try_publish(name, "e", "1", None) {
                Ok(_) => assert!(takes, "{name}"),
                Err(outcome) => assert_eq!((takes, &*outcome.text("argument")), (false, "channels")),
            }
        }
        publisher.close();
        for name in [":a", "#server-to-user-7"] {
            client.trigger(name, "e", "1").is("INVALID_ARGUMENT", "not_sent").naming("channels");
            client.call_with("channels_info", &[name]).is("INVALID_ARGUMENT", "").naming("prefix_filter");
        }
    }
    let sent: Vec<String> =
        server.ledger().iter().filter(|r| r.method() == "POST").map(|r| r.text().to_owned()).collect();
    assert!(sent.iter().any(|body| body.contains(r#""channels":["dialog:a#42,43"]"#)), "{sent:?}");
}

#[test]
fn sockudo_verifies_a_path_as_it_is_sent() {
    // The server of the tests verifies the path as it is sent, too.
    let server = Server::start([]);
    let client = server.client_with(json!({"server": "sockudo"}));
    client.call_with("channel_info", &["dialog:a#42,43", "subscription_count"]).is_ok("{}");
    assert_eq!(server.last().path(), "/apps/4711/channels/dialog:a%2342,43");
    client.call_with("get", &["/channels/dialog:a#42,43/history", r#"{"limit":1}"#]).is_ok("{}");
    assert_eq!(server.last().path(), "/apps/4711/channels/dialog:a%2342,43/history");
    client.call_with("post", &["/channels/a#/history/reset"]).is_ok("{}");
    assert_eq!(server.last().path(), "/apps/4711/channels/a%23/history/reset");
    // In a query, every character is encoded.
    client.call_with("channels_info", &["dialog:a#"]).is_ok("{}");
    assert!(server.last().query().contains("filter_by_prefix=dialog%3Aa%23"), "{}", server.last().query());
    for path in ["/channels/a%23", "/channels/a?b", "/channels/#/.."] {
        client.call_with("get", &[path]).is("INVALID_ARGUMENT", "").naming("path");
    }
    server.client().call_with("get", &["/channels/a#"]).is("INVALID_ARGUMENT", "").naming("path");
}

#[test]
fn sockudo_has_serials_with_colons_in_its_paths() {
    const SERIAL: &str = "00000000000000000001:test:00000000000000000001";
    let server = Server::start([]);
    let path = format!("/channels/c/messages/{SERIAL}");
    for config in [json!({"server": "sockudo"}), json!({})] {
        let client = server.client_with(config);
        client.call_with("get", &[&format!("{path}/versions")]).is_ok("{}");
        client.call_with("post", &[&format!("{path}/update"), "{}", r#"{"data":"x"}"#]).is_ok("{}");
        client.call_with("delete", &[&format!("{path}/annotations/{SERIAL}")]).is_ok("{}");
        assert_eq!(server.last().path(), format!("/apps/4711{path}/annotations/{SERIAL}"));
    }
}

#[test]
fn ably_has_keys_with_a_dot() {
    let server = Server::builder()
        .application("appid.keyid", SECRET)
        .answering(|request| Personality::Ably.answer(request))
        .start();
    for config in [json!({"server": "ably", "key": "appid.keyid"}), json!({"key": "appid.keyid"})] {
        let client = server.client_with(config);
        trigger(&client).is_ok("{}");
        client.call_with("channels_info", &[]).is_ok(r#"{"channels":{}}"#);
        let outcome = client.call_with("authenticate", &["private-a", "1.2"]);
        assert!(outcome.document.as_deref().unwrap().starts_with(r#"{"auth":"appid.keyid:"#), "{outcome:?}");
    }
    let config = |key: &str| crate::support::config(1, json!({"server": "ably", "key": key}));
    Client::try_new(Some(config("appid.keyid:secret").as_bytes())).unwrap_err().is("INVALID_CONFIG", "").naming("key");
}

#[test]
fn slanger_writes_time_ms_of_a_webhook_as_a_string() {
    let webhook = |name: &str, time: &str| {
        let client = Client::new(&crate::support::config(1, json!({"server": name})));
        let body = format!(r#"{{"time_ms":{time},"events":[{{"name":"channel_vacated","channel":"c"}}]}}"#);
        let signature = signature::hmac_hex(SECRET.as_bytes(), body.as_bytes());
        let outcome = client.webhook(Some(KEY.as_bytes()), Some(signature.as_bytes()), body.as_bytes());
        if outcome.status == 0 { outcome.is_ok(&body).name().to_owned() } else { outcome.text("message") }
    };
    let now = now_ms();
    let string = format!("\"{now}\"");
    assert_eq!(webhook("slanger", &string), "OK");
    assert_eq!(webhook("slanger", &now.to_string()), "OK");
    let refused = webhook("pusher", &string);
    assert!(refused.contains("is a string and not a number") && refused.contains("slanger"), "{refused}");
    for (time, part) in [
        (format!("\"{}\"", now - 600_001), "too old"),
        (format!("\"{}\"", now + 120_000), "in the future"),
        (format!("\"{}\"", now / 1000), "in seconds"),
        ("\"\"".to_owned(), "not a time"),
        ("\"+1\"".to_owned(), "not a time"),
        ("\" 1700000000000\"".to_owned(), "not a time"),
        ("\"soon\"".to_owned(), "not a time"),
        ("null".to_owned(), "not a time"),
    ] {
        let refused = webhook("slanger", &time);
        assert!(refused.contains(part), "{time}: {refused}");
    }
}
