//! Callbacks run on a publisher's threads only if its configuration allows that.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::hooks::{set_log, set_transport};
use crate::support::publisher::{self, Publisher};
use crate::support::tls::Authority;
use crate::support::{Answer, Client, End, KEY, PATIENCE, SECRET, Server, calls, config};
use crate::{busy, delivered, reporting_all};

fn allowed() -> Value {
    reporting_all(json!({"hooks_on_threads": true}))
}

fn unreachable_client() -> Client {
    Client::new(&config(1, json!({})))
}

#[test]
fn a_transport_runs_on_publisher_threads_only_if_allowed() {
    let client = unreachable_client();
    let names = Arc::<Mutex<Vec<String>>>::default();
    let recorded = Arc::clone(&names);
    let drops = client.send_by(move |request, reply| {
        request.verify(KEY, SECRET).unwrap();
        recorded.lock().unwrap().push(thread::current().name().unwrap_or_default().to_owned());
        reply.set(200, b"{}");
    });
    for config in [None, Some("{}"), Some(r#"{"hooks_on_threads":false}"#)] {
        let outcome = publisher::try_new(Some(&client), config.map(str::as_bytes)).unwrap_err();
        outcome.is("INVALID_STATE", "");
        assert!(outcome.text("message").contains("hooks_on_threads"), "{outcome:?}");
    }
    // An invalid configuration is reported first.
    let outcome = publisher::try_new(Some(&client), Some(b"{\"linger_ms\":-1}")).unwrap_err();
    outcome.is("INVALID_CONFIG", "").naming("linger_ms");
    let publisher = Publisher::new(&client, &allowed());
    for number in 0..20 {
        publisher.publish(&format!("c{number}"), "e", "1");
    }
    publisher.flush();
    assert_eq!(publisher.reports(20).iter().filter(|report| report.delivery == "delivered").count(), 20);
    let names = names.lock().unwrap().clone();
    assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("pusher-send-")), "{names:?}");
    assert_eq!(drops.load(SeqCst), 0);
    drop(client);
    assert_eq!(drops.load(SeqCst), 0);
    drop(publisher);
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn reports_contain_the_result_of_the_transport() {
    let client = unreachable_client();
    let calls = AtomicUsize::new(0);
    client.send_by(move |_, reply| {
        match calls.fetch_add(1, SeqCst) {
            0 => reply.fail(1, Some(b"dns"), Some(b"no such host")),
            1 => reply.fail(3, Some(b"timeout"), None),
            2 => reply.set(403, b"no"),
            // Neither a response nor a failure.
            3 => reply,
            _ => reply.set(200, b"{}"),
        };
    });
    let publisher = Publisher::new(&client, &allowed());
    for (status, delivery, cause) in [
        ("NOT_SENT", "not_sent", "dns"),
        ("DELIVERY_UNKNOWN", "unknown", "timeout"),
        ("FORBIDDEN", "rejected", ""),
        ("DELIVERY_UNKNOWN", "unknown", "transport"),
        ("OK", "delivered", ""),
    ] {
        let id = publisher.publish("c", "e", "1");
        let report = publisher.report();
        report.is(id, status, delivery, "");
        assert_eq!(report.text("cause"), cause);
    }
}

#[test]
fn callbacks_cannot_be_set_once_a_publisher_exists() {
    let client = unreachable_client();
    // A publisher that could not be created changes nothing.
    publisher::try_new(Some(&client), Some(b"{")).unwrap_err();
    let (outcome, ..) = set_log(Some(&client), true);
    assert_eq!(outcome.name(), "OK");
    let publisher = Publisher::new(&client, &json!({}));
    let (outcome, drops) = set_transport(Some(&client), Some(Box::new(|_, _| ())));
    outcome.is("INVALID_STATE", "");
    assert_eq!(drops.load(SeqCst), 1);
    // They cannot be set after the publisher was freed, either.
    drop(publisher);
    let (outcome, drops) = set_transport(Some(&client), Some(Box::new(|_, _| ())));
    outcome.is("INVALID_STATE", "");
    assert_eq!(drops.load(SeqCst), 1);
    let client = unreachable_client();
    let publisher = Publisher::new(&client, &json!({}));
    let (outcome, _, drops) = set_log(Some(&client), true);
    outcome.is("INVALID_STATE", "");
    assert_eq!(drops.load(SeqCst), 1);
    drop(publisher);
}

#[test]
fn a_log_callback_runs_on_publisher_threads_only_if_allowed() {
    for is_allowed in [false, true] {
        let server = Server::start([busy(), Answer::new(500, &[], "no"), Answer::nothing().then(End::Close)]);
        let client = server.client_with(json!({"log_level": "debug"}));
        let (messages, drops) = client.log();
        let more = json!({"hooks_on_threads": is_allowed, "retry": {"mode": "safe"}});
        let publisher = Publisher::new(&client, &reporting_all(more));
        for id in 1..=4 {
            assert_eq!(publisher.publish("c", "e", "1"), id);
            publisher.report();
        }
        let logged = messages.take();
        assert_eq!(!logged.is_empty(), is_allowed, "{logged:?}");
        for entry in &logged {
            assert_eq!((calls::leak(&entry.message), calls::leak(&entry.fields)), (None, None), "{entry:?}");
            assert_ne!(entry.thread, thread::current().id());
        }
        // On the calling thread it is always called.
        client.trigger("c", "e", "1").is_ok("{}");
        assert_eq!(messages.take().len(), 1);
        drop(client);
        assert_eq!(drops.load(SeqCst), 0);
        drop(publisher);
        assert_eq!(drops.load(SeqCst), 1);
    }
}

#[test]
fn an_observer_runs_on_publisher_threads_only_if_allowed() {
    for is_allowed in [false, true] {
        let server = Server::start([busy(), Answer::new(500, &[], "no")]);
        let client = server.client();
        let (observations, drops) = client.observe();
        let more = json!({"hooks_on_threads": is_allowed, "retry": {"mode": "safe"}});
        let publisher = Publisher::new(&client, &reporting_all(more));
        for id in 1..=2 {
            assert_eq!(publisher.publish("c", "e", "1"), id);
            publisher.report();
        }
        publisher.flush();
        let observed = observations.take();
        let expected = if is_allowed { vec![1, 2, 3, 2, 3, 4, 1, 2, 3, 4] } else { vec![] };
        assert_eq!(observed.iter().map(|one| one.kind).collect::<Vec<_>>(), expected, "{observed:?}");
        for one in &observed {
            assert_eq!(calls::leak(&one.fields), None, "{one:?}");
            assert_ne!(one.thread, thread::current().id());
            assert_eq!(one.fields.contains(r#""events":1"#), one.kind == 1, "{one:?}");
        }
        drop(client);
        drop(publisher);
        assert_eq!(drops.load(SeqCst), 1);
    }
}

#[test]
fn a_call_that_its_publisher_abandons_has_an_end() {
    let server = Server::start([Answer::new(429, &[("retry-after", "60")], "slow")]);
    let client = server.client();
    let (observations, _) = client.observe();
    let more = json!({"hooks_on_threads": true, "timeout_ms": 120_000});
    let publisher = Publisher::new(&client, &reporting_all(more));
    publisher.publish("c", "e", "1");
    server.wait_until("the request", |log| log.ledger.len() == 1);
    drop(publisher);
    let kinds: Vec<i32> = observations.take().iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [1, 2, 3, 4]);
}

#[test]
fn a_clock_correction_on_a_publisher_thread_is_logged_only_if_allowed() {
    let authority = Authority::new();
    for is_allowed in [false, true] {
        let server = Server::builder().tls(authority.server(&["localhost"])).clock_ahead(3600).start();
        let client = server.client_with(json!({
            "ssl": true, "host": "localhost", "ca_file": authority.file(), "retry": {"mode": "safe"}, "log_level": "info"
        }));
        let (messages, _) = client.log();
        let publisher = Publisher::new(&client, &reporting_all(json!({"hooks_on_threads": is_allowed})));
        publisher.publish("c", "e", "1");
        delivered(&[publisher.report()], [1]);
        assert_eq!(server.refused_for_the_clock(), 1);
        let logged = messages.take();
        assert_eq!(logged.iter().any(|entry| entry.fields.contains("clock_offset_s")), is_allowed, "{logged:?}");
    }
}

/// The names of the threads on which a log callback's `drop` ran.
type Dropped = Arc<Mutex<Vec<String>>>;

/// Sets a log callback that records the thread on which it is dropped.
fn log_that_records_its_drop(client: &Client) -> Dropped {
    use std::ffi::{c_char, c_void};
    unsafe extern "C" fn log(_: *mut c_void, _: i32, _: *const c_char, _: *const c_char) {}
    unsafe extern "C" fn drop_log(data: *mut c_void) {
        // SAFETY: `data` is the value leaked below. It is never freed, so that the test notices a
        // second call.
        let dropped: &Dropped = unsafe { &*data.cast() };
        dropped.lock().unwrap().push(thread::current().name().unwrap_or_default().to_owned());
    }
    let dropped = Dropped::default();
    let data: &'static Dropped = Box::leak(Box::new(Arc::clone(&dropped)));
    let outcome = publisher::set_raw_log(client, log, std::ptr::from_ref(data).cast_mut().cast(), drop_log);
    assert_eq!(outcome, 0);
    dropped
}

#[test]
fn a_callback_is_dropped_on_the_callers_thread_even_if_a_request_is_abandoned() {
    let server = Server::start([Answer::nothing()]);
    let client = server.client_with(json!({"timeout_ms": 2000}));
    let dropped = log_that_records_its_drop(&client);
    let publisher = Publisher::new(&client, &json!({}));
    publisher.publish("c", "e", "1");
    server.wait_until("the request", |log| log.ledger.len() == 1);
    drop(client);
    assert!(dropped.lock().unwrap().is_empty());
    drop(publisher);
    let start = Instant::now();
    while dropped.lock().unwrap().is_empty() {
        assert!(start.elapsed() < PATIENCE, "the callback is never dropped");
        thread::yield_now();
    }
    let threads = dropped.lock().unwrap().clone();
    assert_eq!(threads.len(), 1);
    assert!(!threads[0].starts_with("pusher"), "dropped on {threads:?}");
}

#[test]
fn freeing_does_not_wait_for_a_transport_that_never_returns() {
    let client = unreachable_client();
    let (enter, entered) = std::sync::mpsc::channel();
    let (leave, left) = std::sync::mpsc::channel::<()>();
    let left = Mutex::new(left);
    let drops = client.send_by(move |_, reply| {
        enter.send(()).unwrap();
        let _ = left.lock().unwrap().recv_timeout(PATIENCE);
        reply.set(200, b"{}");
    });
    let publisher = Publisher::new(&client, &allowed());
    drop(client);
    publisher.publish("c", "e", "1");
    entered.recv_timeout(PATIENCE).unwrap();
    let start = Instant::now();
    drop(publisher);
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    // The transport is still running, so its data is not dropped yet.
    assert_eq!(drops.load(SeqCst), 0);
    leave.send(()).unwrap();
    let start = Instant::now();
    while drops.load(SeqCst) == 0 {
        assert!(start.elapsed() < PATIENCE, "the callback is never dropped");
        thread::yield_now();
    }
    assert_eq!(drops.load(SeqCst), 1);
}
