//! Which failures are retried, through the C ABI. `src/retry.rs` tests the policy itself, with a clock of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use crate::support::functions::{Function, Purpose};
use crate::support::tls::Authority;
use crate::support::{APP_ID, Answer, Client, End, KEY, SECRET, Server, in_time, signature, trigger};
use serde_json::{Value, json};

const INFO: i32 = 3;

/// Returns a client with this retry mode, or with the default.
fn client_of(server: &Server, mode: Option<&str>) -> Client {
    let retry = mode.map_or(json!({}), |mode| json!({"mode": mode}));
    server.client_with(json!({"retry": retry}))
}

/// A refusal that allows a retry at once.
fn busy() -> Answer {
    Answer::new(429, &[("Retry-After", "0")], "busy")
}

#[test]
fn safe_is_the_default() {
    let server = Server::start([busy()]);
    let port = server.port();
    let config =
        json!({"app_id": APP_ID, "key": KEY, "secret": SECRET, "host": "127.0.0.1", "port": port, "ssl": false});
    trigger(&Client::new(&config.to_string())).is_ok("{}");
    assert_eq!(server.ledger().len(), 2);
    server.next(Answer::new(500, &[], ""));
    trigger(&Client::new(&config.to_string())).is("SERVER_ERROR", "unknown");
    assert_eq!(server.ledger().len(), 3);
}

#[test]
fn each_mode_sends_again_what_it_says() {
    let cut = Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").then(End::Close);
    let silent = Answer::nothing().then(End::Close);
    // The response, and the number of requests of a publishing call (safe, at_least_once) and of a read-only one.
    for (answer, safe, at_least_once, asks) in [
        (busy(), 2, 2, 2),
        (silent.clone(), 1, 2, 2),
        (silent.then(End::Reset), 1, 2, 2),
        (cut, 1, 2, 2),
        (Answer::ok("no JSON"), 1, 2, 2),
        (Answer::ok(r#"{"error":"x","code":503}"#), 1, 2, 2),
        (Answer::new(500, &[], ""), 1, 2, 2),
        (Answer::new(503, &[("Retry-After", "0")], ""), 1, 2, 2),
        (Answer::new(302, &[("Location", "/")], ""), 1, 1, 1),
        (Answer::new(400, &[], ""), 1, 1, 1),
        (Answer::new(401, &[], ""), 1, 1, 1),
        (Answer::new(403, &[], ""), 1, 1, 1),
        (Answer::new(404, &[], ""), 1, 1, 1),
        (Answer::new(413, &[], ""), 1, 1, 1),
    ] {
        for (mode, times) in [("never", 1), ("safe", safe), ("at_least_once", at_least_once)] {
            for function in Function::network() {
                let times = match function.purpose {
                    Purpose::Ask if mode != "never" => asks,
                    _ => times,
                };
                let server = Server::start([answer.clone()]);
                let outcome = function.call(Some(&client_of(&server, Some(mode))), &function.good());
                assert_eq!(server.ledger().len(), times, "{mode} {}: {answer:?} {outcome:?}", function.name);
                if times == 2 {
                    outcome.is_ok("{}");
                    let ledger = server.ledger();
                    assert_eq!((ledger[0].path(), &ledger[0].body), (ledger[1].path(), &ledger[1].body));
                } else {
                    assert_eq!(outcome.number("attempts"), Some(1), "{outcome:?}");
                }
            }
        }
    }
}

#[test]
fn a_partial_refusal_is_never_retried() {
    // A retry would duplicate the events before the bad one, and be refused again.
    for mode in ["safe", "at_least_once"] {
        let server = Server::start([Answer::new(400, &[], "events[1]: no"), Answer::new(422, &[], "no")]);
        let client = client_of(&server, Some(mode));
        for _ in 0..2 {
            let outcome = client.trigger(r#"["one","two"]"#, "my-event", "{}");
            assert_eq!((outcome.delivery(), outcome.number("attempts")), ("unknown", Some(1)), "{outcome:?}");
        }
        assert_eq!(server.ledger().len(), 2);
    }
}

#[test]
fn an_unsent_request_is_retried() {
    for end in [End::Close, End::Reset] {
        let server = Server::start([Answer::nothing().without_reading().then(end)]);
        let outcome = client_of(&server, None).trigger("my-channel", "my-event", "{}");
        // The kernel may have taken the request before the connection ended: then delivery is unknown.
        if outcome.name() == "OK" {
            assert_eq!((server.ledger().len(), server.connections()), (1, 2));
        } else {
            outcome.is("DELIVERY_UNKNOWN", "unknown");
            assert_eq!(server.ledger().len(), 0);
        }
    }
    // A port without a listener: that of a server that has stopped.
    let port = Server::start([]).port();
    for (mode, attempts) in [("never", 1), ("safe", 3), ("at_least_once", 3)] {
        let client = Client::new(&crate::support::config(port, json!({"retry": {"mode": mode}})));
        let outcome = trigger(&client);
        outcome.is("NOT_SENT", "not_sent").because("connect");
        assert_eq!(outcome.number("attempts"), Some(attempts), "{outcome:?}");
    }
}

#[test]
fn a_permanent_failure_is_not_retried() {
    let authority = Authority::new();
    let server = Server::builder().tls(authority.expired_server(&["localhost"])).start();
    let more =
        json!({"ssl": true, "host": "localhost", "ca_file": authority.file(), "retry": {"mode": "at_least_once"}});
    let outcome = trigger(&server.client_with(more));
    outcome.is("NOT_SENT", "not_sent").because("tls");
    assert_eq!((outcome.number("attempts"), server.connections()), (Some(1), 1));

    let more = json!({"host": "no-such-host.invalid", "retry": {"mode": "at_least_once"}, "timeout_ms": 2000});
    let outcome = trigger(&Client::new(&crate::support::config(80, more)));
    // A machine without a name server reports a failure that may pass.
    if outcome.error()["retryable"] == json!(false) {
        outcome.is("NOT_SENT", "not_sent").because("dns");
        assert_eq!(outcome.number("attempts"), Some(1));
    }
}

#[test]
fn max_attempts_limits_the_number_of_requests() {
    for max_attempts in [1, 2, 5] {
        let server = Server::builder().answering(|_| busy()).start();
        let client = server.client_with(json!({"retry": {"max_attempts": max_attempts}}));
        let outcome = trigger(&client);
        outcome.is("RATE_LIMITED", "rejected");
        assert_eq!(outcome.number("attempts"), Some(max_attempts));
        assert_eq!(outcome.error()["retryable"], json!(true));
        assert_eq!(server.ledger().len() as u64, max_attempts);
    }
}

#[test]
fn a_possible_delivery_keeps_the_call_unknown() {
    for (last, mode) in [(Answer::new(401, &[], "no"), "at_least_once"), (busy(), "at_least_once")] {
        let server = Server::start([Answer::new(503, &[], "first"), last.clone(), last]);
        let outcome = trigger(&client_of(&server, Some(mode)));
        outcome.is("SERVER_ERROR", "unknown");
        assert_eq!((outcome.number("http_status"), outcome.text("response")), (Some(503), "first".to_owned()));
        assert_eq!(outcome.number("attempts"), Some(server.ledger().len() as u64));
        assert_eq!(outcome.error()["retryable"], json!(false));
    }
}

#[test]
fn each_attempt_has_its_own_signature() {
    let server = Server::start([Answer::new(429, &[("Retry-After", "1")], "")]);
    trigger(&client_of(&server, None)).is_ok("{}");
    let ledger = server.ledger();
    let [first, second] = [&ledger[0], &ledger[1]].map(|request| signature::timestamp(request.query()).unwrap());
    assert!(second > first, "{first} {second}");
    assert_ne!(ledger[0].signature(), ledger[1].signature());
}

#[test]
fn retry_after_is_obeyed_or_the_call_fails() {
    for as_date in [false, true] {
        // A date has whole seconds: two seconds ahead is more than one.
        let date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
        let header = if as_date { date() } else { "1".to_owned() };
        let server = Server::start([Answer::new(429, &[("Retry-After", &header)], "")]);
        let outcome = trigger(&client_of(&server, None));
        outcome.is_ok("{}");
        assert!(outcome.elapsed >= Duration::from_millis(950), "{header}: {outcome:?}");
    }
    for header in ["6", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        in_time(|| {
            let server = Server::start([Answer::new(429, &[("Retry-After", header)], "")]);
            let outcome = trigger(&client_of(&server, None));
            outcome.is("RATE_LIMITED", "rejected");
            assert_eq!((server.ledger().len(), outcome.number("attempts")), (1, Some(1)));
            assert_eq!(outcome.error()["retryable"], json!(true));
            assert!(outcome.number("retry_after_ms").unwrap() >= 6000);
            outcome.took(0)
        });
    }
}

#[test]
fn all_attempts_share_one_deadline() {
    let port = Server::start([]).port();
    for timeout_ms in [1, 50, 300] {
        let more = json!({"retry": {"max_attempts": 100}, "timeout_ms": timeout_ms});
        let client = Client::new(&crate::support::config(port, more));
        in_time(|| {
            let outcome = trigger(&client);
            // A timeout of one millisecond may leave no time to connect.
            outcome.is("NOT_SENT", "not_sent");
            assert!(["connect", "timeout"].contains(&outcome.text("cause").as_str()), "{outcome:?}");
            let late = outcome.elapsed > Duration::from_millis(timeout_ms + 100);
            if late { Err(format!("{outcome:?}")) } else { Ok(()) }
        });
    }
}

#[test]
fn retries_stay_a_tenth_of_the_calls() {
    let server = Server::builder().answering(|_| busy()).start();
    // The waits before the second attempts take most of this test: 20 times 50 ms on average.
    let client = server.client_with(json!({"retry": {"max_attempts": 2}}));
    let attempts: Vec<u64> = (0..110).map(|_| trigger(&client).number("attempts").unwrap()).collect();
    assert_eq!(attempts.iter().filter(|attempts| **attempts == 2).count(), 20, "{attempts:?}");
    assert!(attempts[..11].iter().all(|attempts| *attempts == 2), "{attempts:?}");
    assert_eq!(server.ledger().len(), 130);
}

#[test]
fn the_ratio_limits_retries() {
    let retried = |ratio: f64, calls: usize| {
        let server = Server::builder().answering(|_| busy()).start();
        let client = server.client_with(json!({"retry": {"max_attempts": 2, "ratio": ratio}}));
        let retried = (0..calls).filter(|_| trigger(&client).number("attempts") == Some(2)).count();
        assert_eq!(server.ledger().len(), calls + retried);
        retried
    };
    assert_eq!(retried(0.0, 15), 10);
    assert_eq!(retried(0.5, 30), 24);
    assert_eq!(retried(1.0, 30), 30);
}

#[test]
fn an_attempt_ends_after_attempt_timeout_ms_and_leaves_time_for_another() {
    let silent = || Answer::nothing().when_released();
    for mode in ["safe", "at_least_once"] {
        in_time(|| {
            let server = Server::start([silent()]);
            let client = server.client_with(json!({"retry": {"mode": mode}, "attempt_timeout_ms": 100}));
            let outcome = trigger(&client);
            if mode == "safe" {
                // The request was sent, so the event may have been delivered.
                outcome.is("DELIVERY_UNKNOWN", "unknown").because("timeout");
                assert_eq!((outcome.number("attempts"), server.ledger().len()), (Some(1), 1));
                let message = outcome.text("message");
                assert!(message.contains("no response within attempt_timeout_ms (100)"), "{message}");
                outcome.took(100)
            } else {
                outcome.is_ok("{}");
                assert_eq!(server.ledger().len(), 2);
                let late = outcome.elapsed > Duration::from_millis(1000);
                if late { Err(format!("{outcome:?}")) } else { Ok(()) }
            }
        });
    }
}

#[test]
fn each_attempt_has_its_own_time() {
    in_time(|| {
        let server = Server::builder().answering(|_| Answer::nothing().when_released()).start();
        let client = server
            .client_with(json!({"retry": {"mode": "at_least_once"}, "attempt_timeout_ms": 100, "timeout_ms": 600_000}));
        let outcome = trigger(&client);
        outcome.is("DELIVERY_UNKNOWN", "unknown").because("timeout");
        assert_eq!((outcome.number("attempts"), server.ledger().len()), (Some(3), 3));
        // Three times 100 ms, and the waits between: at most 300 ms.
        let late = outcome.elapsed < Duration::from_millis(300) || outcome.elapsed > Duration::from_millis(1000);
        if late { Err(format!("{outcome:?}")) } else { Ok(()) }
    });
}

#[test]
fn the_time_of_the_call_limits_an_attempt() {
    in_time(|| {
        let server = Server::start([Answer::nothing()]);
        let client = server.client_with(json!({"attempt_timeout_ms": 60_000, "timeout_ms": 100}));
        let outcome = trigger(&client);
        outcome.is("DELIVERY_UNKNOWN", "unknown").because("timeout");
        let message = outcome.text("message");
        assert!(message.contains("no response within timeout_ms (100)"), "{message}");
        outcome.took(100)
    });
}

#[test]
fn a_transport_has_the_time_of_an_attempt() {
    let more = json!({"retry": {"mode": "at_least_once"}, "attempt_timeout_ms": 1000});
    let client = Client::new(&crate::support::config(1, more));
    client.send_by(move |request, reply| {
        assert!((500..=1000).contains(&request.timeout_ms), "{}", request.timeout_ms);
        reply.set(200, b"{}");
    });
    trigger(&client).is_ok("{}");
}

#[test]
fn a_transport_is_called_for_each_attempt() {
    let client = Client::new(&crate::support::config(1, json!({"retry": {}})));
    let calls = AtomicUsize::new(0);
    client.send_by(move |request, reply| {
        request.verify(KEY, SECRET).unwrap();
        match calls.fetch_add(1, Ordering::Relaxed) {
            0 => reply.fail(1, Some(b"reset"), Some(b"before it left")),
            1 => reply.set(429, b"").header(Some(b"Retry-After"), Some(b"0")),
            _ => reply.set(200, b"{}"),
        };
    });
    trigger(&client).is_ok("{}");
}

#[test]
fn a_retry_is_logged() {
    let server = Server::start([busy()]);
    let client = server.client_with(json!({"retry": {}, "log_level": "info"}));
    let (messages, _) = client.log();
    trigger(&client).is_ok("{}");
    let entries = messages.take();
    assert_eq!(entries.len(), 1);
    let fields: Value = serde_json::from_str(&entries[0].fields).unwrap();
    assert_eq!((entries[0].level, &fields["call"], &fields["attempts"]), (INFO, &json!("trigger"), &json!(1)));
    assert_eq!((&fields["http_status"], &fields["delivery"]), (&json!(429), &json!("rejected")));
    assert!(fields["wait_ms"].as_u64().unwrap() <= 100, "{fields}");
}

/// Returns a TLS server whose clock differs, and a client of it. Dropping the authority removes its file.
fn at_another_time(seconds: i64, more: Value) -> (Authority, Server, Client) {
    let authority = Authority::new();
    let server = Server::builder().tls(authority.server(&["localhost"])).clock_ahead(seconds).start();
    let mut all = json!({"ssl": true, "host": "localhost", "ca_file": authority.file(), "retry": {}});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let client = server.client_with(all);
    (authority, server, client)
}

#[test]
fn a_wrong_clock_is_corrected_once() {
    for seconds in [3600, -3600, 86_400] {
        let (_authority, server, client) = at_another_time(seconds, json!({"log_level": "info"}));
        let (messages, _) = client.log();
        for _ in 0..3 {
            trigger(&client).is_ok("{}");
        }
        assert_eq!((server.ledger().len(), server.refused_for_the_clock()), (3, 1));
        let entries = messages.take();
        let fields: Value = serde_json::from_str(&entries[0].fields).unwrap();
        assert_eq!(entries[0].level, INFO);
        assert!(fields["clock_offset_s"].as_i64().unwrap().abs_diff(seconds) <= 5, "{fields}");
        let way = if seconds > 0 { "behind" } else { "ahead" };
        assert!(entries[0].message.contains(way), "{}", entries[0].message);
    }
}

#[test]
fn without_retries_the_next_call_uses_the_corrected_clock() {
    let (_authority, server, client) = at_another_time(3600, json!({"retry": {"mode": "never"}}));
    let outcome = trigger(&client);
    outcome.is("UNAUTHORIZED", "rejected");
    assert_eq!((outcome.number("attempts"), &outcome.error()["retryable"]), (Some(1), &json!(true)));
    trigger(&client).is_ok("{}");
    assert_eq!(server.refused_for_the_clock(), 1);
}

#[test]
fn the_clock_is_not_corrected_if_disabled_or_without_tls() {
    let (_authority, server, client) = at_another_time(3600, json!({"clock_correction": false}));
    for _ in 0..2 {
        let outcome = trigger(&client);
        outcome.is("UNAUTHORIZED", "rejected");
        assert_eq!((outcome.number("attempts"), &outcome.error()["retryable"]), (Some(1), &json!(false)));
    }
    assert_eq!((server.ledger().len(), server.refused_for_the_clock()), (0, 2));

    // Without TLS, anyone on the network path could set the clock.
    let server = Server::builder().clock_ahead(3600).start();
    let client = client_of(&server, None);
    for _ in 0..2 {
        trigger(&client).is("UNAUTHORIZED", "rejected");
    }
    assert_eq!((server.ledger().len(), server.refused_for_the_clock()), (0, 2));

    // Within the window, the clock is not the reason.
    let authority = Authority::new();
    let server = Server::builder().tls(authority.server(&["localhost"])).start();
    let client = server.client_with(
        json!({"ssl": true, "host": "localhost", "ca_file": authority.file(), "retry": {"mode": "at_least_once"}}),
    );
    for date in [httpdate::fmt_http_date(SystemTime::now()), "Fri, 99 Dec".to_owned(), String::new()] {
        server.next(Answer::new(401, &[("Date", &date)], "wrong key"));
        let outcome = trigger(&client);
        outcome.is("UNAUTHORIZED", "rejected");
        assert_eq!(outcome.number("attempts"), Some(1), "{date}");
    }
}

#[test]
fn a_wait_beyond_the_deadline_keeps_the_last_failure() {
    // The log delays the attempt that the policy has granted.
    let port = Server::start([]).port();
    let client = Client::new(&crate::support::config(port, json!({"timeout_ms": 500, "log_level": "info"})));
    client.log_slowly(Duration::from_millis(600));
    let outcome = trigger(&client);
    outcome.is("NOT_SENT", "not_sent").because("connect");
    assert_eq!(outcome.number("attempts"), Some(1), "{outcome:?}");
}
