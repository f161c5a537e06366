//! The deadline of a call also ends the work on large arguments and responses.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Client, Outcome, config, in_time};
use serde_json::json;

/// More than the work that a call does in a millisecond.
const LARGE_BYTES: usize = 6 << 20;

/// Returns a client without a server. Its calls take as long as their work on the arguments.
fn client() -> Client {
    Client::new(&config(1, json!({"timeout_ms": 600_000, "max_data_bytes": 64 << 20, "retry": {"mode": "never"}})))
}

/// Checks that a call with `timeout_ms` 1 ends in less than a third of the time that it takes without
/// that.
fn ends_at_the_deadline(call: impl Fn(&Client, Option<&str>) -> Outcome) {
    let client = client();
    let whole = call(&client, None);
    whole.is("NOT_SENT", "not_sent").because("connect");
    in_time(|| {
        let cut = call(&client, Some(r#"{"timeout_ms":1}"#));
        cut.is("NOT_SENT", "not_sent").because("timeout");
        assert_eq!(cut.text("message"), "timeout_ms passed before the request was sent");
        if cut.elapsed < whole.elapsed / 3 { Ok(()) } else { Err(format!("{:?} of {:?}", cut.elapsed, whole.elapsed)) }
    });
}

#[test]
fn a_large_body_is_worked_on_until_the_deadline() {
    let body = format!("[1{}]", ",1".repeat(LARGE_BYTES / 2));
    ends_at_the_deadline(|client, options| client.call("post", &[Some("/x"), None, Some(&body), options]));
}

#[test]
fn large_data_is_worked_on_until_the_deadline() {
    let data = format!("{{\"a\":[\"{}\"]}}", "\\n\u{e9}".repeat(LARGE_BYTES / 4));
    ends_at_the_deadline(|client, options| client.call("trigger", &[Some("c"), Some("e"), Some(&data), options]));
    ends_at_the_deadline(|client, options| client.call("send_to_user", &[Some("u"), Some("e"), Some(&data), options]));
}

#[test]
fn a_large_batch_is_worked_on_until_the_deadline() {
    let event = format!(r#"{{"channel":"c","name":"e","data":[1{}]}}"#, ",1".repeat(LARGE_BYTES / 4));
    let events = format!("[{event},{event}]");
    ends_at_the_deadline(|client, options| client.call("trigger_batch", &[Some(&events), options]));
}

#[test]
fn large_arguments_are_checked_like_small_ones() {
    let client = client();
    let large = "1,".repeat(1 << 20);
    for (name, arguments, argument) in [
        ("post", vec!["/x", "{}", "{LARGE},]"], "body"),
        ("post", vec!["/x", "{}", "[LARGE1"], "body"),
        ("trigger", vec!["c", "e", "[LARGE1] x"], "data"),
        ("trigger_batch", vec!["[LARGE1]"], "events"),
        ("trigger_batch", vec!["[[LARGE1]]"], "events[0]"),
        ("trigger_batch", vec![r#"{"a":[LARGE1]}"#], "events"),
        ("trigger_batch", vec![r#"[{"name":"e","data":[LARGE1]}]"#], "events[0].channel"),
        ("trigger_batch", vec![r#"[{"channel":"c","\u006eame":"e","name":"e","data":[LARGE1]}]"#], "events[0].name"),
        ("trigger_batch", vec![r#"[{"channel":"c","name":"e","data":[LARGE1],"x":1}]"#], "events[0].x"),
    ] {
        let arguments: Vec<String> = arguments.iter().map(|text| text.replace("LARGE", &large)).collect();
        let arguments: Vec<Option<&str>> = arguments.iter().map(|text| Some(&**text)).collect();
        client.call(name, &arguments).is("INVALID_ARGUMENT", "not_sent").naming(argument);
    }
}

#[test]
fn a_large_response_that_cannot_be_checked_in_time_leaves_delivery_unknown() {
    let client = client();
    let body = |size: usize| format!("{{\"a\":\"{}\"}}", "a".repeat(size)).into_bytes();
    let (small, large) = (body(1000), body(2 << 20));
    let answers = [small.clone(), large.clone(), large];
    client.send_by(move |request, reply| {
        let index: usize = request.text().split("\"e").nth(1).unwrap()[..1].parse().unwrap();
        if index < 2 {
            // Such a transport ignores the deadline.
            let deadline = Instant::now() + Duration::from_millis(u64::from(request.timeout_ms) + 1);
            while Instant::now() < deadline {
                thread::yield_now();
            }
        }
        reply.set(200, &answers[index]);
    });
    let late = r#"{"timeout_ms":20}"#;
    // A small response is checked without a look at the clock.
    client.trigger_with("c", "e0", "1", late).is_ok(std::str::from_utf8(&small).unwrap());
    let unchecked = client.trigger_with("c", "e1", "1", late);
    unchecked.is("BAD_RESPONSE", "unknown").because("timeout");
    assert_eq!(unchecked.number("http_status"), Some(200));
    assert_eq!(unchecked.text("message"), "the server answered 200, but timeout_ms passed before its body was checked");
    assert_eq!(client.trigger("c", "e2", "1").status, 0);
}
