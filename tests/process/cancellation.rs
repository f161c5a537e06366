//! Cancellations from signal handlers and across forks, and many of them: they leave nothing behind.

#![cfg(target_os = "linux")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, ptr, thread};

use crate::support::host::{BlackHole, Handler};
use crate::support::{Answer, Client, Server, child, config, host, in_time, trigger};
use pusher::ffi;
use serde_json::{Value, json};

const CONFIG: &str = "TEST_CONFIG";

fn the_config() -> String {
    env::var(CONFIG).unwrap()
}

/// Returns a configuration without short limits.
fn patient(port: u16, more: Value) -> String {
    let mut all = json!({"timeout_ms": 7000, "connect_timeout_ms": 7000, "retry": {}});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config(port, all)
}

/// The handle that the signal handler cancels.
static TO_CANCEL: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// How often the handler found that `pusher_cancel` changed errno.
static CHANGES_OF_ERRNO: AtomicUsize = AtomicUsize::new(0);

extern "C" fn cancel(_: c_int) {
    const MARK: c_int = 4711;
    // SAFETY: errno belongs to this thread. The handle lives as long as the process.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        *errno = MARK;
        ffi::pusher_cancel(TO_CANCEL.load(Ordering::SeqCst).cast_const().cast());
        if *errno != MARK {
            CHANGES_OF_ERRNO.fetch_add(1, Ordering::SeqCst);
        }
        *errno = before;
    }
}

/// Sends SIGALRM to this process once, after this time.
fn alarm_after(delay: Duration) {
    let once = libc::timeval { tv_sec: 0, tv_usec: delay.as_micros() as libc::suseconds_t };
    let timer = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: once };
    // SAFETY: the value is live, and NULL means that the old one is not wanted.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) }, 0);
}

#[test]
fn a_signal_handler_cancels_the_call_that_it_interrupts() {
    const TEST: &str = "a_signal_handler_cancels_the_call_that_it_interrupts";
    const DELAY: Duration = Duration::from_millis(80);
    if child::is_child() {
        host::fork(|| {
            let client = Client::new(&the_config());
            TO_CANCEL.store(client.0.as_ptr(), Ordering::SeqCst);
            host::handle(libc::SIGALRM, Handler::Interrupting(cancel));
            alarm_after(DELAY);
            let outcome = trigger(&client);
            let late = outcome.elapsed.saturating_sub(DELAY).as_millis() as u64;
            let changes = CHANGES_OF_ERRNO.load(Ordering::SeqCst);
            child::tell(&json!([outcome.name(), outcome.text("cause"), late, changes]).to_string());
            host::exit(0);
        })
        .join();
        return;
    }
    let Some(hole) = BlackHole::new() else { return };
    let silent = Server::builder().answering(|_| Answer::nothing()).start();
    let waiting = Server::builder().answering(|_| Answer::new(429, &[("Retry-After", "6")], "")).start();
    for (port, status) in
        [(silent.port(), "DELIVERY_UNKNOWN"), (hole.port(), "NOT_SENT"), (waiting.port(), "RATE_LIMITED")]
    {
        in_time(|| {
            let lines = child::run(module_path!(), TEST, &[(CONFIG, patient(port, json!({})))]);
            let (name, cause, late, changes): (String, String, u64, usize) = serde_json::from_str(&lines[0]).unwrap();
            assert_eq!((&*name, &*cause, changes), (status, "cancelled", 0));
            // Without the cancellation it would take six seconds or more.
            if late <= 600 { Ok(()) } else { Err(lines.concat()) }
        });
    }
}

#[test]
fn a_cancellation_in_a_child_does_not_reach_its_parent() {
    const TEST: &str = "a_cancellation_in_a_child_does_not_reach_its_parent";
    if child::is_child() {
        // The parent's call waits for its response, and its connection and its alarm are the child's, too.
        let client = Client::new(&the_config());
        trigger(&client).is_ok("{}");
        thread::scope(|scope| {
            let caller = scope.spawn(|| client.trigger("c", "e", "\"parent\""));
            thread::sleep(Duration::from_millis(100));
            host::fork(|| {
                client.cancel();
                assert_eq!(trigger(&client).name(), "NOT_SENT");
                // Another handle works in the child, and can be cancelled there.
                let other = client.another();
                trigger(&other).is_ok("{}");
                other.cancel();
                trigger(&other).is("NOT_SENT", "not_sent").because("cancelled");
            })
            .join();
            caller.join().unwrap().is_ok("{}");
        });
        trigger(&client).is_ok("{}");
        // What was cancelled before the fork is so in the child.
        client.cancel();
        host::fork(|| _ = trigger(&client).is("NOT_SENT", "not_sent").because("cancelled")).join();
        return;
    }
    let server = Server::builder().answering(|request| match request.text().contains("parent") {
        true => {
            Answer::raw("HTTP/1.1 200 OK\r\n").and_pause(Duration::from_millis(600)).and("Content-Length: 2\r\n\r\n{}")
        }
        false => Answer::ok("{}"),
    });
    let server = server.start();
    child::run(module_path!(), TEST, &[(CONFIG, patient(server.port(), json!({})))]);
    assert_eq!(server.ledger().len(), 4);
}
