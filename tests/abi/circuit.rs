//! `circuit_breaker`: after consecutive failures to reach the server, calls fail at once. `src/circuit.rs` tests the states, with a
//! clock of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::functions::{Function, Purpose};
use crate::support::{Answer, Client, End, Outcome, Reply, Server, config, trigger};
use serde_json::{Value, json};

/// Longer than a test takes.
const LONG_MS: u64 = 600_000;

fn breaker(failures: u32, open_ms: u64) -> Value {
    json!({"circuit_breaker": {"failures": failures, "open_ms": open_ms}})
}

/// A server that closes the connection without an answer this many times.
fn silent(times: usize) -> Server {
    Server::start(vec![Answer::nothing().then(End::Close); times])
}

/// Asserts that a call was refused without any attempt.
#[track_caller]
fn is_refused(outcome: &Outcome) {
    outcome.because("circuit");
    assert_eq!(outcome.name(), "NOT_SENT");
    assert_eq!(outcome.number("attempts"), Some(0));
    assert_eq!(outcome.error()["retryable"], true);
    let wait = outcome.number("retry_after_ms").unwrap();
    assert!(wait <= LONG_MS * 11 / 10, "{wait}");
}

#[test]
fn calls_fail_at_once_after_consecutive_failures() {
    let server = silent(3);
    let client = server.client_with(breaker(3, LONG_MS));
    for _ in 0..3 {
        trigger(&client).is("DELIVERY_UNKNOWN", "unknown").because("closed");
    }
    for function in Function::network() {
        let outcome = function.call(Some(&client), &function.good());
        is_refused(&outcome);
        let wait = outcome.number("retry_after_ms").unwrap();
        assert!(wait > LONG_MS - 60_000, "{wait}");
        let delivery = if function.purpose == Purpose::Ask { "" } else { "not_sent" };
        assert_eq!(outcome.text("delivery"), delivery, "{}", function.name);
    }
    assert_eq!(server.ledger().len(), 3);
    // Signatures need no server, and the caller sends a prepared request.
    assert_eq!(client.call_with("authenticate", &["private-a", "1.2"]).name(), "OK");
    client.prepare("trigger", &[Some("c"), Some("e"), Some("1")]);
    let options = json!({"fan_out": true}).to_string();
    is_refused(&client.trigger_with(r#"["a","b"]"#, "e", "1", &options));
}

#[test]
fn it_is_off_by_default() {
    let server = silent(30);
    for more in [json!({}), json!({"circuit_breaker": null})] {
        let client = server.client_with(more);
        for _ in 0..15 {
            trigger(&client).because("closed");
        }
    }
    assert_eq!(server.ledger().len(), 30);
}

#[test]
fn any_answer_counts_as_reaching_the_server() {
    let failure = || Answer::nothing().then(End::Reset);
    for answer in [
        Answer::ok("{}"),
        Answer::new(503, &[], ""),
        Answer::new(400, &[], ""),
        Answer::new(429, &[], ""),
        Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").then(End::Close),
        Answer::ok("no JSON"),
    ] {
        let server = Server::start([failure(), answer, failure()]);
        let client = server.client_with(breaker(2, LONG_MS));
        for _ in 0..3 {
            trigger(&client);
        }
        trigger(&client).is_ok("{}");
        assert_eq!(server.ledger().len(), 4);
    }
}

#[test]
fn each_failure_to_reach_the_server_counts() {
    let server = Server::start([]);
    let hung = Server::start([Answer::nothing().and_wait()]);
    let garbage = Server::start([Answer::raw("SSH-2.0-OpenSSH_9.2\r\n").then(End::Close)]);
    for (cause, port, more) in [
        ("connect", 9, json!({})),
        ("tls", server.port(), json!({"ssl": true, "ca_file": "/none.pem"})),
        ("dns", server.port(), json!({"host": "no-such-host.invalid"})),
        ("timeout", hung.port(), json!({"timeout_ms": 100})),
        ("malformed", garbage.port(), json!({})),
    ] {
        let mut all = breaker(1, LONG_MS);
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let client = Client::new(&config(port, all));
        trigger(&client).because(cause);
        is_refused(&trigger(&client));
    }
    // Some of these requests are none.
    hung.release();
}

#[test]
fn one_probe_at_a_time_finds_out_whether_the_server_is_back() {
    let server = silent(1);
    server.next(Answer::nothing().then(End::Close));
    server.next(Answer::ok("{}").when_released());
    // Long enough for the next call on a machine that is busy.
    let client = server.client_with(breaker(1, 700));
    trigger(&client).because("closed");
    is_refused(&trigger(&client));
    let wait = |outcome: &Outcome| thread::sleep(Duration::from_millis(outcome.number("retry_after_ms").unwrap()));
    // After the time that the error states there is a probe, which fails.
    wait(&trigger(&client));
    trigger(&client).because("closed");
    let refused = trigger(&client);
    is_refused(&refused);
    wait(&refused);
    thread::scope(|scope| {
        let probe = scope.spawn(|| trigger(&client));
        server.wait_until("the second probe", |log| log.ledger.len() == 3);
        // Until the deadline of the probe.
        let refused = trigger(&client);
        is_refused(&refused);
        assert!(refused.number("retry_after_ms").unwrap() <= 5000, "{refused:?}");
        server.release();
        probe.join().unwrap().is_ok("{}");
    });
    for _ in 0..3 {
        trigger(&client).is_ok("{}");
    }
    assert_eq!(server.ledger().len(), 6);
}

#[test]
fn each_attempt_of_a_call_obeys_it() {
    let mut more = breaker(2, LONG_MS);
    more["retry"] = json!({"max_attempts": 5});
    let client = Client::new(&config(9, more));
    let started = Instant::now();
    // The failure of its own attempts says more than the breaker.
    let outcome = trigger(&client);
    outcome.is("NOT_SENT", "not_sent").because("connect");
    assert_eq!(outcome.number("attempts"), Some(2));
    is_refused(&trigger(&client));
    // The deadline is later, and the breaker open for minutes.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // An attempt that may have been delivered stays so.
    let server = silent(2);
    let mut more = breaker(2, LONG_MS);
    more["retry"] = json!({"mode": "at_least_once", "max_attempts": 5});
    let outcome = trigger(&server.client_with(more));
    outcome.is("DELIVERY_UNKNOWN", "unknown");
    assert_eq!(outcome.number("attempts"), Some(2));
}

#[test]
fn the_requests_of_a_fan_out_end_when_it_opens() {
    let server = silent(1);
    let mut more = breaker(1, LONG_MS);
    more["max_channels"] = json!(1);
    let client = server.client_with(more);
    let options = json!({"fan_out": true}).to_string();
    let outcome = client.trigger_with(r#"["a","b","c"]"#, "e", "1", &options);
    outcome.is("PARTIAL", "unknown");
    let parts = &outcome.error()["parts"];
    assert_eq!(parts[0]["status"], "DELIVERY_UNKNOWN");
    assert_eq!((&parts[1]["status"], &parts[1]["cause"]), (&json!("NOT_SENT"), &json!("circuit")));
    assert_eq!(parts[2]["status"], "NOT_SENT");
    is_refused(&client.trigger_with(r#"["a","b","c"]"#, "e", "1", &options));
    assert_eq!(server.ledger().len(), 1);
}

#[test]
fn a_transport_of_the_user_counts() {
    let client = Client::new(&config(9, breaker(2, 700)));
    let (calls, is_up) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, up) = (Arc::clone(&calls), Arc::clone(&is_up));
    client.send_by(move |_, reply| {
        count.fetch_add(1, SeqCst);
        match up.load(SeqCst) {
            true => reply.set(200, b"{}"),
            false => reply.fail(0, Some(b"connect"), None),
        };
    });
    trigger(&client).because("connect");
    trigger(&client).because("connect");
    is_refused(&trigger(&client));
    assert_eq!(calls.load(SeqCst), 2);
    is_up.store(true, SeqCst);
    thread::sleep(Duration::from_millis(trigger(&client).number("retry_after_ms").unwrap()));
    trigger(&client).is_ok("{}");
    trigger(&client).is_ok("{}");
    assert_eq!(calls.load(SeqCst), 4);
}

#[test]
fn finishing_a_prepared_request_counts_and_preparing_does_not() {
    let server = Server::start([]);
    let client = server.client_with(breaker(2, LONG_MS));
    let prepare = || client.prepare("trigger", &[Some("c"), Some("e"), Some("1")]);
    for _ in 0..5 {
        prepare();
    }
    trigger(&client).is_ok("{}");
    for _ in 0..2 {
        let reply = Reply::new();
        reply.fail(0, Some(b"connect"), None);
        client.finish(&prepare(), &reply).because("connect");
    }
    is_refused(&trigger(&client));
    // The caller's own request has reached the server.
    let reply = Reply::new();
    reply.set(500, b"");
    client.finish(&prepare(), &reply).is("SERVER_ERROR", "unknown");
    trigger(&client).is_ok("{}");
}

#[test]
fn the_log_says_when_it_opens_and_closes() {
    let server = silent(1);
    let mut more = breaker(1, 1);
    more["log_level"] = json!("info");
    let client = server.client_with(more);
    let (messages, _) = client.log();
    trigger(&client);
    thread::sleep(Duration::from_millis(5));
    trigger(&client).is_ok("{}");
    let changes: Vec<Value> = messages
        .take()
        .iter()
        .filter_map(|logged| serde_json::from_str::<Value>(&logged.fields).unwrap().get("circuit").cloned())
        .collect();
    assert_eq!(changes, ["open", "closed"]);
}
