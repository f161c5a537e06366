//! A cancelled call ends at once, in every phase, and what it reports about its event is true.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, thread};

use crate::support::tls::Authority;
use crate::support::{
    Answer, Client, End, Outcome, PATIENCE, Publisher, Random, Server, child, config, hooks, in_time, trigger,
};
use serde_json::{Value, json};

/// The longest time from a cancellation to the end of the call, on a loaded machine. Otherwise the call would wait for twenty seconds or
/// more.
const AT_ONCE: Duration = Duration::from_millis(1000);

/// Makes a call, and cancels its handle once `is_there` says that the call has got where it should be. Returns the outcome, or
/// an error if the call took too long to end.
#[track_caller]
fn cancelled(
    client: &Client,
    is_there: impl FnOnce(),
    call: impl FnOnce(&Client) -> Outcome + Send,
) -> Result<Outcome, String> {
    thread::scope(|scope| {
        let caller = scope.spawn(move || (call(client), Instant::now()));
        is_there();
        assert!(!caller.is_finished(), "the call ended before it was cancelled: {:?}", caller.join().unwrap().0);
        let at = Instant::now();
        client.cancel();
        let (outcome, end) = caller.join().unwrap();
        let late = end.saturating_duration_since(at);
        if late <= AT_ONCE { Ok(outcome) } else { Err(format!("{late:?}: {outcome:?}")) }
    })
}

/// Gives a call time to get into a wait that no one can see.
fn a_while() {
    thread::sleep(Duration::from_millis(60));
}

fn patient(more: Value) -> Value {
    let mut all = json!({"timeout_ms": 30_000, "connect_timeout_ms": 30_000});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// Asserts that a call was not sent because it was cancelled, and that later ones are not, either.
#[track_caller]
fn was_not_sent(outcome: &Outcome, phase: &str) {
    outcome.is("NOT_SENT", "not_sent").because("cancelled");
    assert!(outcome.text("message").contains(phase), "{outcome:?}");
    assert_eq!(outcome.error()["retryable"], json!(false), "{outcome:?}");
}

#[track_caller]
fn later_calls_are_not_sent(client: &Client) {
    for outcome in [trigger(client), client.call("channels_info", &[None, None, None])] {
        assert_eq!(outcome.name(), "NOT_SENT");
        outcome.because("cancelled");
        assert!(outcome.elapsed < AT_ONCE, "{outcome:?}");
    }
}

#[test]
fn a_call_that_waits_for_its_response_ends_as_unknown() {
    let authority = Authority::new();
    for tls in [false, true] {
        for kept_alive in [false, true] {
            in_time(|| {
                let server = Server::builder();
                let server = if tls { server.tls(authority.server(&["127.0.0.1"])) } else { server }.start();
                let client = server.client_with(patient(json!({"ssl": tls, "ca_file": authority.file(), "retry": {}})));
                if kept_alive {
                    trigger(&client).is_ok("{}");
                }
                server.next(Answer::nothing());
                let sent = 1 + usize::from(kept_alive);
                let is_there = || server.wait_until("the request", |log| log.ledger.len() == sent);
                let outcome = cancelled(&client, is_there, trigger)?;
                outcome.is("DELIVERY_UNKNOWN", "unknown").because("cancelled");
                assert_eq!(outcome.error()["retryable"], json!(false), "{outcome:?}");
                assert!(outcome.text("message").contains("waiting for the response was cancelled"), "{outcome:?}");
                later_calls_are_not_sent(&client);
                assert_eq!((server.ledger().len(), server.connections()), (sent, 1));
                Ok(())
            });
        }
    }
}

#[test]
fn a_call_that_reads_its_response_ends_as_unknown_and_takes_no_cut_body_for_a_whole_one() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"] {
        in_time(|| {
            let server = Server::start([Answer::raw(head).and_wait()]);
            let client = server.client_with(patient(json!({})));
            let is_there = || {
                server.wait_until("the request", |log| log.ledger.len() == 1);
                a_while();
            };
            let outcome = cancelled(&client, is_there, trigger)?;
            outcome.is("BAD_RESPONSE", "unknown").because("cancelled");
            server.release();
            Ok(())
        });
    }
}

#[test]
fn a_call_that_sends_its_request_ends_as_not_sent() {
    // A debug build needs time to sign that much, and a loaded machine more.
    let signing = Cell::new(Duration::ZERO);
    in_time(|| {
        signing.set(signing.get() + Duration::from_millis(1500));
        let server = Server::builder().receive_buffer(16 * 1024).start();
        server.next(Answer::nothing().without_reading());
        let client = server.client_with(patient(json!({"max_data_bytes": 8 << 20})));
        let data = format!("\"{}\"", "a".repeat(8 << 20));
        let is_there = || {
            server.wait_until("the connection", |log| log.connections == 1);
            thread::sleep(signing.get());
        };
        let outcome = cancelled(&client, is_there, |client| client.trigger("c", "e", &data))?;
        was_not_sent(&outcome, "");
        let is_there = outcome.text("message").contains("sending the request was cancelled");
        if is_there { Ok(()) } else { Err(format!("{signing:?}: {outcome:?}")) }
    });
}

#[test]
fn a_call_that_makes_a_handshake_or_a_tunnel_ends_as_not_sent() {
    let authority = Authority::new();
    for proxied in [false, true] {
        in_time(|| {
            let server = Server::start([Answer::nothing().without_reading().then(End::Hold)]);
            let mut more = patient(json!({"ssl": true, "ca_file": authority.file(), "retry": {}}));
            if proxied {
                more["proxy"] = json!(format!("http://127.0.0.1:{}", server.port()));
            }
            let client = server.client_with(more);
            let is_there = || {
                server.wait_until("the connection", |log| log.connections == 1);
                a_while();
            };
            let outcome = cancelled(&client, is_there, trigger)?;
            was_not_sent(&outcome, if proxied { "opening a tunnel" } else { "the TLS handshake was cancelled" });
            assert_eq!(server.connections(), 1);
            Ok(())
        });
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_call_that_connects_ends_as_not_sent() {
    use crate::support::host::BlackHole;
    let Some(hole) = BlackHole::new() else { return };
    in_time(|| {
        let client = Client::new(&config(hole.port(), patient(json!({"retry": {}}))));
        was_not_sent(&cancelled(&client, a_while, trigger)?, "connecting was cancelled");
        later_calls_are_not_sent(&client);
        Ok(())
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_call_that_looks_its_host_up_ends_as_not_sent() {
    use crate::support::host::Preload;
    const TEST: &str = "a_call_that_looks_its_host_up_ends_as_not_sent";
    if child::is_child() {
        let client = Client::new(&env::var("TEST_CONFIG").unwrap());
        match cancelled(&client, a_while, trigger) {
            Ok(outcome) => was_not_sent(&outcome, "looking up the host name was cancelled"),
            Err(late) => child::tell(&late),
        }
        // The lookup is abandoned, and shared by the clone, which waits for it.
        let other = client.another();
        drop(client);
        was_not_sent(&cancelled(&other, a_while, trigger).unwrap(), "looking up the host name was cancelled");
        return;
    }
    in_time(|| {
        let preload = Preload::new("slow_names");
        let config = config(9, patient(json!({"host": "hangs.test", "retry": {}})));
        let variables = [("LD_PRELOAD", preload.file()), ("TEST_NAMES", "hangs.test=never"), ("TEST_CONFIG", &config)];
        let report = child::run(module_path!(), TEST, &variables);
        if report.is_empty() { Ok(()) } else { Err(report.concat()) }
    });
}

#[test]
fn a_wait_for_a_retry_ends_with_what_the_last_attempt_did() {
    let refused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    in_time(|| {
        let server = Server::start([Answer::new(429, &[("Retry-After", "20")], "")]);
        let client = server.client_with(patient(json!({"retry": {}})));
        let is_there = || {
            server.wait_until("the request", |log| log.ledger.len() == 1);
            a_while();
        };
        let outcome = cancelled(&client, is_there, trigger)?;
        outcome.is("RATE_LIMITED", "rejected").because("cancelled");
        assert_eq!((outcome.number("attempts"), outcome.error()["retryable"].clone()), (Some(1), json!(false)));
        assert!(outcome.text("message").contains("the wait for a retry was cancelled"), "{outcome:?}");
        assert_eq!(server.ledger().len(), 1);

        // One of a hundred attempts is cancelled, or the wait before the next.
        let client = Client::new(&config(refused, patient(json!({"retry": {"max_attempts": 100, "ratio": 1}}))));
        was_not_sent(&cancelled(&client, a_while, trigger)?, "");
        Ok(())
    });
}

#[test]
fn an_attempt_that_may_have_arrived_stays_unknown_when_a_later_one_is_cancelled() {
    in_time(|| {
        let server = Server::start([Answer::nothing().then(End::Close), Answer::nothing()]);
        let client = server.client_with(patient(json!({"retry": {"mode": "at_least_once"}})));
        let is_there = || server.wait_until("the second request", |log| log.ledger.len() == 2);
        let outcome = cancelled(&client, is_there, trigger)?;
        outcome.is("DELIVERY_UNKNOWN", "unknown").because("cancelled");
        assert_eq!(outcome.number("attempts"), Some(2));
        // It is not retried, although its delivery is unknown. Nor does it wait for a retry.
        assert!(!outcome.text("message").contains("wait for a retry"), "{outcome:?}");
        assert_eq!(server.ledger().len(), 2);
        Ok(())
    });
}

#[test]
fn a_query_that_is_cancelled_has_no_delivery_and_is_not_retried() {
    in_time(|| {
        let server = Server::start([Answer::nothing()]);
        let client = server.client_with(patient(json!({"retry": {}})));
        let is_there = || server.wait_until("the request", |log| log.ledger.len() == 1);
        let outcome = cancelled(&client, is_there, |client| client.call("get", &[Some("/channels"), None, None]))?;
        outcome.is("DELIVERY_UNKNOWN", "").because("cancelled");
        assert_eq!((outcome.error()["retryable"].clone(), server.ledger().len()), (json!(false), 1));
        Ok(())
    });
}

#[test]
fn a_fan_out_that_is_cancelled_begins_no_other_part() {
    in_time(|| {
        let server = Server::start([Answer::ok("{}"), Answer::nothing()]);
        let client = server.client_with(patient(json!({"max_channels": 1})));
        let is_there = || server.wait_until("the second part", |log| log.ledger.len() == 2);
        let channels = r#"["a","b","c","d"]"#;
        let outcome =
            cancelled(&client, is_there, |client| client.trigger_with(channels, "e", "{}", r#"{"fan_out":true}"#))?;
        outcome.is("PARTIAL", "unknown");
        let deliveries: Vec<String> = outcome.error()["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part["delivery"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(deliveries, ["delivered", "unknown", "not_sent", "not_sent"]);
        assert_eq!(server.ledger().len(), 2);
        Ok(())
    });
}

#[test]
fn only_the_cancelled_handle_is_cancelled() {
    let server = Server::start([]);
    let client = server.client_with(patient(json!({})));
    let clone = client.another();
    trigger(&client).is_ok("{}");
    trigger(&clone).is_ok("{}");
    clone.cancel();
    later_calls_are_not_sent(&clone);
    trigger(&client).is_ok("{}");
    // A clone of a cancelled handle is not cancelled.
    let other = clone.another();
    trigger(&other).is_ok("{}");
    client.cancel();
    client.cancel();
    later_calls_are_not_sent(&client);
    trigger(&other).is_ok("{}");
    // A clone outlives the client that it was made of. All of them have shared one connection.
    drop((client, clone));
    trigger(&other).is_ok("{}");
    assert_eq!((server.ledger().len(), server.connections()), (6, 1));
}

#[test]
fn a_cancelled_handle_signs_prepares_and_publishes() {
    let server = Server::start([]);
    let client = server.client();
    client.cancel();
    client.call("authenticate", &[Some("private-c"), Some("1.2"), None]);
    let request = client.prepare("trigger", &[Some("c"), Some("e"), Some("{}")]);
    let reply = hooks::Reply::new();
    reply.set(200, b"{}").header(Some(b"Content-Length"), Some(b"2"));
    client.finish(&request, &reply).is_ok("{}");
    let publisher = Publisher::new(&client, &json!({"reports": "all"}));
    publisher.publish("c", "e", "{}");
    assert_eq!(publisher.report().text("delivery"), "delivered");
    assert_eq!(server.ledger().len(), 1);
}

#[test]
fn all_running_calls_of_a_handle_end_and_those_of_other_handles_do_not() {
    // More than a table of the cancellation has entries.
    const CALLS: usize = 70;
    in_time(|| {
        let server = Server::builder().answering(|_| Answer::nothing()).start();
        let client = server.client_with(patient(json!({})));
        let other = client.another();
        thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLS).map(|_| scope.spawn(|| trigger(&client))).collect();
            let others: Vec<_> = (0..3).map(|_| scope.spawn(|| trigger(&other))).collect();
            server.wait_until("the requests", |log| log.ledger.len() == CALLS + 3);
            let start = Instant::now();
            client.cancel();
            for caller in callers {
                caller.join().unwrap().is("DELIVERY_UNKNOWN", "unknown").because("cancelled");
            }
            let took = start.elapsed();
            assert!(others.iter().all(|caller| !caller.is_finished()));
            other.cancel();
            for caller in others {
                caller.join().unwrap().is("DELIVERY_UNKNOWN", "unknown").because("cancelled");
            }
            if took < 2 * AT_ONCE { Ok(()) } else { Err(format!("{took:?}")) }
        })
    });
}

#[test]
fn a_transport_is_not_interrupted_and_its_call_not_retried() {
    for status in [200, 429] {
        let client = Client::new(&config(9, patient(json!({"retry": {}}))));
        let calls = Arc::new(AtomicUsize::new(0));
        let (entered, is_there) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let may_leave = std::sync::Mutex::new(may_leave);
        let count = Arc::clone(&calls);
        let (outcome, _) = hooks::set_transport(
            Some(&client),
            Some(Box::new(move |_, reply| {
                count.fetch_add(1, Ordering::SeqCst);
                entered.send(()).unwrap();
                may_leave.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                reply.set(status, b"{}").header(Some(b"Content-Length"), Some(b"2"));
            })),
        );
        assert_eq!(outcome.status, 0);
        thread::scope(|scope| {
            let caller = scope.spawn(|| trigger(&client));
            is_there.recv_timeout(PATIENCE).unwrap();
            client.cancel();
            thread::sleep(Duration::from_millis(20));
            assert!(!caller.is_finished());
            leave.send(()).unwrap();
            let outcome = caller.join().unwrap();
            assert_eq!(outcome.name(), if status == 200 { "OK" } else { "RATE_LIMITED" });
        });
        later_calls_are_not_sent(&client);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

/// Calls from several threads are cancelled at random instants, on a server that answers at once, late, in part or never. The
/// events' reports are compared with its ledger.
#[test]
fn what_cancelled_calls_report_is_true_at_every_instant() {
    const THREADS: usize = 4;
    const CALLS: usize = 250;
    let authority = Authority::new();
    for tls in [false, true] {
        let server = Server::builder().answering(|request| {
            let number: usize = request.json()["data"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
            match number % 7 {
                0 => Answer::nothing(),
                1 => Answer::ok("{}").and_pause(Duration::from_millis(1)),
                2 => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
                    .and_pause(Duration::from_micros(300))
                    .and("{}"),
                3 => Answer::raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{")
                    .and_pause(Duration::from_micros(300))
                    .and("}")
                    .then(End::Close),
                4 => Answer::ok("{}").then(End::Close),
                _ => Answer::ok("{}"),
            }
        });
        let server = if tls { server.tls(authority.server(&["127.0.0.1"])) } else { server }.start();
        let more = json!({"ssl": tls, "ca_file": authority.file(), "retry": {}, "timeout_ms": 20_000});
        let client = server.client_with(more);
        let reports: Vec<(String, Outcome)> = thread::scope(|scope| {
            let client = &client;
            let caller = |thread: usize| {
                scope.spawn(move || {
                    let mut random = Random::new(7919 + thread as u64);
                    (0..CALLS)
                        .map(|number| {
                            let handle = client.another();
                            // On a loaded machine a call takes milliseconds.
                            let most_us = if number % 10 == 9 { 60_000 } else { 1200 };
                            let delay = Duration::from_micros(random.below(most_us) as u64);
                            let data = format!("{thread} {number}");
                            let outcome = thread::scope(|scope| {
                                let (handle, data) = (&handle, &data);
                                let caller = scope.spawn(move || handle.trigger("c", "e", &format!("\"{data}\"")));
                                let start = Instant::now();
                                while start.elapsed() < delay {
                                    thread::yield_now();
                                }
                                // Two at the same time.
                                scope.spawn(|| handle.cancel());
                                handle.cancel();
                                caller.join().unwrap()
                            });
                            (data, outcome)
                        })
                        .collect::<Vec<_>>()
                })
            };
            let callers: Vec<_> = (0..THREADS).map(caller).collect();
            callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
        });
        let mut accepted: BTreeMap<String, usize> = BTreeMap::new();
        for request in server.ledger() {
            *accepted.entry(request.json()["data"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (data, outcome) in &reports {
            let times = accepted.get(data).copied().unwrap_or(0);
            let delivery = if outcome.status == 0 { "delivered" } else { outcome.delivery() };
            *seen.entry(delivery).or_default() += 1;
            let is_true = match delivery {
                "delivered" => times == 1,
                "not_sent" => times == 0,
                "unknown" => times <= 1,
                _ => false,
            };
            assert!(is_true, "{times} times: {outcome:?}");
        }
        assert!(["delivered", "not_sent", "unknown"].iter().all(|delivery| seen.contains_key(delivery)), "{seen:?}");
        // The client works on, with connections that no cancellation has spoiled.
        for number in 0..20 {
            client.trigger("c", "e", &format!("\"after {}\"", 7 * number + 5)).is_ok("{}");
        }
    }
}
