//! The statistics of a client: each call is counted once, by its outcome.

use std::thread;

use crate::support::functions::{Function, Purpose};
use crate::support::{Answer, Client, End, Server, config};
use serde_json::{Value, json};

fn stats(client: &Client) -> Value {
    serde_json::from_str(&client.stats()).unwrap()
}

#[test]
fn a_new_client_has_counted_nothing() {
    let stats = stats(&Client::new(&config(1, json!({}))));
    let calls = stats["calls"].as_object().unwrap();
    assert_eq!(calls.len(), Function::network().count());
    for function in Function::network() {
        let expected = match function.purpose {
            Purpose::Ask => json!({"succeeded": 0, "failed": 0}),
            _ => json!({"delivered": 0, "not_sent": 0, "rejected": 0, "unknown": 0}),
        };
        assert_eq!(calls[function.name], expected, "{}", function.name);
    }
    assert_eq!((&stats["requests"], &stats["retries"]), (&json!(0), &json!({})));
    assert_eq!(stats["connections"], json!({"idle": 0, "opened": 0, "reused": 0}));
    assert_eq!((&stats["latency_ms"]["count"], &stats["latency_ms"]["sum"]), (&json!(0), &json!(0)));
}

#[test]
fn each_call_is_counted_by_its_outcome() {
    let server = Server::start([
        Answer::ok("{}"),
        Answer::new(403, &[], "no"),
        Answer::new(500, &[], "no"),
        Answer::new(429, &[("retry-after", "0")], "slow"),
        Answer::ok("{}"),
        Answer::nothing().then(End::Close),
    ]);
    let client = server.client_with(json!({"retry": {"mode": "safe"}}));
    client.trigger("c", "e", "1").is_ok("{}");
    client.trigger("c", "e", "1").is("FORBIDDEN", "rejected");
    client.trigger("c", "e", "1").is("SERVER_ERROR", "unknown");
    client.trigger("c", "e", "1").is_ok("{}");
    client.trigger("c", "e", "1").is("DELIVERY_UNKNOWN", "unknown");
    client.trigger("", "e", "1").is("INVALID_ARGUMENT", "not_sent");
    client.call_with("channels_info", &["", ""]);
    let stats = stats(&client);
    assert_eq!(stats["calls"]["trigger"], json!({"delivered": 2, "not_sent": 1, "rejected": 1, "unknown": 2}));
    let queries = &stats["calls"]["channels_info"];
    assert_eq!(queries["succeeded"].as_u64().unwrap() + queries["failed"].as_u64().unwrap(), 1, "{stats}");
    assert_eq!(stats["retries"]["rate_limited"], 1);
    let requests = stats["requests"].as_u64().unwrap();
    assert_eq!(requests, server.ledger().len() as u64, "{stats}");
    assert_eq!(stats["latency_ms"]["count"], 7);
    let connections = |name: &str| stats["connections"][name].as_u64().unwrap();
    assert_eq!(connections("opened"), server.connections() as u64, "{stats}");
    assert_eq!(connections("opened") + connections("reused"), requests, "{stats}");
}

#[test]
fn idle_connections_are_those_of_now() {
    let server = Server::start([]);
    let client = server.client_with(json!({"idle_timeout_ms": 1}));
    client.trigger("c", "e", "1").is_ok("{}");
    thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(stats(&client)["connections"]["idle"], 0);
    let client = server.client();
    client.trigger("c", "e", "1").is_ok("{}");
    assert_eq!(stats(&client)["connections"], json!({"idle": 1, "opened": 1, "reused": 0}));
}

#[test]
fn the_handles_of_a_client_share_its_statistics() {
    let server = Server::start([]);
    let client = server.client();
    let another = client.another();
    another.trigger("c", "e", "1").is_ok("{}");
    drop(another);
    another_cancelled(&client);
    let stats = stats(&client);
    assert_eq!(stats["calls"]["trigger"], json!({"delivered": 1, "not_sent": 1, "rejected": 0, "unknown": 0}));
    assert_eq!(client.another().stats(), client.stats());
}

/// Makes a call by a handle that is cancelled.
fn another_cancelled(client: &Client) {
    let another = client.another();
    another.cancel();
    another.trigger("c", "e", "1").is("NOT_SENT", "not_sent").because("cancelled");
}

#[test]
fn threads_lose_no_count() {
    let server = Server::start([]);
    let client = server.client();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..25).for_each(|_| assert_eq!(client.trigger("c", "e", "1").name(), "OK")));
        }
    });
    let stats = stats(&client);
    assert_eq!((&stats["calls"]["trigger"]["delivered"], &stats["latency_ms"]["count"]), (&json!(100), &json!(100)));
}

#[test]
fn prometheus_has_the_same_numbers() {
    let server = Server::start([Answer::new(429, &[("retry-after", "0")], "slow")]);
    let client = server.client_with(json!({"stats_format": "prometheus", "retry": {"mode": "safe"}}));
    client.trigger("c", "e", "1").is_ok("{}");
    let text = client.stats();
    for line in [
        "# TYPE pusher_client_calls_total counter",
        "pusher_client_calls_total{call=\"trigger\",outcome=\"delivered\"} 1",
        "pusher_client_calls_total{call=\"get\",outcome=\"failed\"} 0",
        "pusher_client_requests_total 2",
        "pusher_client_retries_total{cause=\"rate_limited\"} 1",
        "pusher_client_retries_total{cause=\"dns\"} 0",
        "# TYPE pusher_client_latency_seconds histogram",
        "pusher_client_latency_seconds_bucket{le=\"+Inf\"} 1",
        "pusher_client_latency_seconds_count 1",
        "pusher_client_idle_connections 1",
        "pusher_client_opened_connections_total 1",
        "pusher_client_reused_connections_total 1",
    ] {
        assert!(text.lines().any(|other| other == line), "no {line} in:\n{text}");
    }
    let wrong = config(1, json!({"stats_format": "xml"}));
    Client::try_new(Some(wrong.as_bytes())).unwrap_err().is("INVALID_CONFIG", "").naming("stats_format");
}
