//! System calls that fail, each in each phase: the call ends by its deadline, the delivery is true,
//! and the message names what failed.
//!
//! Each case runs in a process of its own, with `tests/c/failing_calls.c` between it and the kernel.

#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicI32, Ordering};
use std::{env, thread};

use crate::support::tls::Authority;
use crate::support::{Answer, Client, Server, child, config, host, in_time};
use serde_json::{Value, json};

const MS: u64 = 400;

/// One call under failing system calls.
#[derive(Clone, Debug)]
struct Case {
    tls: bool,
    /// Whether the connection was used before.
    warm: bool,
    /// The function, the number of its first failing call, the errno, how many fail (0: all).
    fails: (&'static str, usize, i32, usize),
}

/// The result of a call.
#[derive(Debug)]
struct Report {
    name: String,
    delivery: String,
    cause: String,
    message: String,
    retryable: bool,
    elapsed_ms: u64,
    /// How often a system call failed.
    failed: u64,
    /// How often the server accepted the event.
    accepted: usize,
}

/// Sets a variable of the preloaded library.
fn variable(name: &'static std::ffi::CStr) -> &'static AtomicI32 {
    // SAFETY: the preloaded library has an atomic integer of this name for as long as the process
    // lives.
    unsafe { &*host::symbol(name).cast::<AtomicI32>() }
}

/// Makes the call, in the child.
fn in_the_child() {
    let config = env::var("TEST_CONFIG").unwrap();
    let warm = env::var("TEST_WARM").unwrap() == "true";
    host::fork(|| {
        let client = Client::new(&config);
        if warm {
            client.trigger("c", "e", "\"before\"").is_ok("{}");
            client.trigger("c", "e", "\"before\"").is_ok("{}");
        }
        let failing = variable(c"failing_calls");
        failing.store(1, Ordering::Relaxed);
        let outcome = client.trigger_with("c", "e", "\"this\"", &json!({"timeout_ms": MS}).to_string());
        failing.store(0, Ordering::Relaxed);
        let is_ok = outcome.status == 0;
        let text = |field| if is_ok { String::new() } else { outcome.text(field) };
        let retryable = !is_ok && outcome.error().get("retryable") == Some(&json!(true));
        let failed = variable(c"failed_calls").load(Ordering::Relaxed);
        let elapsed = outcome.elapsed.as_millis() as u64;
        let delivery = if is_ok { "delivered" } else { outcome.delivery() };
        let report = [json!(outcome.name()), json!(delivery), json!(text("cause")), json!(text("message"))];
        child::tell(&json!([report, retryable, elapsed, failed]).to_string());
        // The client works again.
        client.trigger("c", "e", "\"after\"").is_ok("{}");
        host::exit(0);
    })
    .join();
}

/// The parts that the cases share.
struct Scene {
    authority: Authority,
    preload: host::Preload,
}

impl Scene {
    fn new() -> Scene {
        Scene { authority: Authority::new(), preload: host::Preload::new("failing_calls") }
    }

    #[track_caller]
    fn run(&self, test: &str, case: &Case) -> Report {
        let server = Server::builder().answering(|_| Answer::ok("{}"));
        let server = if case.tls { server.tls(self.authority.server(&["127.0.0.1"])) } else { server }.start();
        let (function, first, errno, times) = case.fails;
        let idempotency = if function == "getrandom" { "auto" } else { "off" };
        let more = json!({
            "ssl": case.tls, "ca_file": self.authority.file(), "timeout_ms": 5000, "idempotency": idempotency,
        });
        let variables = [
            ("LD_PRELOAD", self.preload.file().to_owned()),
            ("FAILING_CALLS", format!("{function}={first}:{errno}:{times}")),
            ("TEST_CONFIG", config(server.port(), more)),
            ("TEST_WARM", case.warm.to_string()),
        ];
        let lines = child::run(module_path!(), test, &variables);
        assert_eq!(lines.len(), 1, "{case:?}: {lines:?}");
        let report: ((String, String, String, String), bool, u64, u64) = serde_json::from_str(&lines[0]).unwrap();
        let ((name, delivery, cause, message), retryable, elapsed_ms, failed) = report;
        let is_this = |data: &Value| data["data"] == json!("this");
        let accepted = server.ledger().iter().filter(|request| is_this(&request.json())).count();
        Report { name, delivery, cause, message, retryable, elapsed_ms, failed, accepted }
    }
}

/// Checks what must be true of every report.
fn is_true(case: &Case, report: &Report) -> Result<(), String> {
    let fits = match report.delivery.as_str() {
        "delivered" => report.accepted == 1,
        "not_sent" => report.accepted == 0,
        "unknown" => true,
        _ => false,
    };
    assert!(fits, "{case:?}: {report:?}");
    if report.elapsed_ms > MS + 100 { Err(format!("{case:?}: {report:?}")) } else { Ok(()) }
}

/// Runs the cases side by side, and collects what is wrong.
#[track_caller]
fn check(test: &str, cases: &[Case], expected: impl Fn(&Case, &Report) -> Result<(), String> + Sync) {
    let scene = Scene::new();
    let wrong: Vec<String> = thread::scope(|scope| {
        let parts: Vec<_> = cases
            .chunks(cases.len().div_ceil(4))
            .map(|part| {
                let (scene, expected) = (&scene, &expected);
                scope.spawn(move || -> Vec<String> {
                    part.iter().filter_map(|case| one(scene, test, case, expected).err()).collect()
                })
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Runs a case. A panic is what is wrong, too.
fn one(
    scene: &Scene,
    test: &str,
    case: &Case,
    expected: &(impl Fn(&Case, &Report) -> Result<(), String> + Sync),
) -> Result<(), String> {
    let run = || {
        in_time(|| {
            let report = scene.run(test, case);
            is_true(case, &report)?;
            // A call of a busy machine may reach its deadline before what should happen.
            expected(case, &report)
        });
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        format!("{case:?}: {}", text.unwrap_or_default().replace('\n', " ").chars().take(600).collect::<String>())
    })
}

/// Returns an error with the case unless `holds`.
fn require(holds: bool, case: &Case, report: &Report) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{case:?}: {report:?}")) }
}

#[test]
fn a_call_whose_system_calls_are_always_interrupted_ends_by_its_deadline() {
    const TEST: &str = "a_call_whose_system_calls_are_always_interrupted_ends_by_its_deadline";
    if child::is_child() {
        return in_the_child();
    }
    let mut cases = Vec::new();
    for tls in [false, true] {
        for warm in [false, true] {
            for (function, calls) in [("connect", 1), ("send", 2), ("recv", 4), ("poll", 4)] {
                for first in 1..=calls {
                    cases.push(Case { tls, warm, fails: (function, first, libc::EINTR, 0) });
                }
            }
        }
    }
    check(TEST, &cases, |case, report| {
        let Case { tls, warm, fails: (function, first, ..) } = *case;
        let is = |delivery: &str| report.delivery == delivery;
        let expected = match (function, first, warm) {
            _ if report.failed == 0 => is("delivered"),
            ("connect", 1, false) => is("not_sent"),
            ("send", 1, _) => is("not_sent"),
            ("recv", 1, false) if !tls => report.name == "DELIVERY_UNKNOWN",
            ("recv", 1, false) => is("not_sent"),
            _ => true,
        };
        require(expected, case, report)?;
        // The message does not pretend that another phase failed.
        let in_another = warm && (report.message.contains("looking up") || report.message.contains("connecting"));
        require(!in_another, case, report)
    });
}

#[test]
fn without_randomness_for_a_key_nothing_is_sent() {
    const TEST: &str = "without_randomness_for_a_key_nothing_is_sent";
    if child::is_child() {
        return in_the_child();
    }
    let cases = [false, true].map(|warm| Case { tls: false, warm, fails: ("getrandom", 1, libc::EIO, 0) });
    check(TEST, &cases, |case, report| {
        require(report.delivery == "not_sent" && report.message.contains("has no randomness"), case, report)
    });
}

#[test]
fn an_interrupted_system_call_is_repeated() {
    const TEST: &str = "an_interrupted_system_call_is_repeated";
    if child::is_child() {
        return in_the_child();
    }
    let mut cases = Vec::new();
    for tls in [false, true] {
        for warm in [false, true] {
            for function in ["send", "recv", "poll"] {
                for first in 1..=2 {
                    cases.push(Case { tls, warm, fails: (function, first, libc::EINTR, 3) });
                }
            }
        }
    }
    check(TEST, &cases, |case, report| require(report.delivery == "delivered", case, report));
}

#[test]
fn a_message_names_the_system_call_that_failed() {
    const TEST: &str = "a_message_names_the_system_call_that_failed";
    if child::is_child() {
        return in_the_child();
    }
    let mut cases = Vec::new();
    for tls in [false, true] {
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::EACCES] {
            cases.push(Case { tls, warm: false, fails: ("socket", 1, errno, 0) });
        }
        for errno in [libc::EACCES, libc::EPERM, libc::ENETUNREACH, libc::ECONNREFUSED, libc::EADDRNOTAVAIL] {
            cases.push(Case { tls, warm: false, fails: ("connect", 1, errno, 0) });
        }
        for warm in [false, true] {
            for errno in [libc::ENOMEM, libc::ENOBUFS, libc::EACCES, libc::EPERM, libc::EHOSTUNREACH] {
                cases.push(Case { tls, warm, fails: ("send", 1, errno, 0) });
            }
            for errno in [libc::ENOMEM, libc::EHOSTUNREACH] {
                cases.push(Case { tls, warm, fails: ("recv", if warm { 2 } else { 1 }, errno, 0) });
            }
        }
    }
    check(TEST, &cases, |case, report| {
        let Case { tls, warm, fails: (function, _, errno, _) } = *case;
        let system = std::io::Error::from_raw_os_error(errno).to_string();
        let system = system.split(" (").next().unwrap();
        require(report.message.contains(system), case, report)?;
        let (delivery, cause) = match (function, tls && !warm) {
            ("socket" | "connect", _) => ("not_sent", "connect"),
            ("send", _) => ("not_sent", "write"),
            (_, true) => ("not_sent", ""),
            _ => ("unknown", ""),
        };
        require(report.delivery == delivery && (cause.is_empty() || report.cause == cause || tls), case, report)?;
        if delivery == "not_sent" {
            require(report.retryable, case, report)?;
        }
        // The phases that did not fail are not named.
        let others: &[&str] = match (function, tls && !warm) {
            ("socket" | "connect", _) => &["looking up", "sending", "response", "handshake", "certificate"],
            ("send", false) => &["looking up", "connecting", "response", "handshake", "certificate"],
            (_, true) => &["looking up", "sending the request", "response", "certificate"],
            _ => &["looking up", "connecting", "sending", "handshake", "certificate"],
        };
        require(!others.iter().any(|other| report.message.contains(other)), case, report)
    });
}

#[test]
fn a_failed_lookup_says_why_it_failed() {
    const TEST: &str = "a_failed_lookup_says_why_it_failed";
    if child::is_child() {
        let config = env::var("TEST_CONFIG").unwrap();
        let outcome = Client::new(&config).trigger("c", "e", "{}");
        let error = Value::Object(outcome.error());
        return child::tell(&error.to_string());
    }
    let preload = host::Preload::new("slow_names");
    let server = Server::start([]);
    let mut wrong = Vec::new();
    // The error of getaddrinfo(), the errno, and a word of the message.
    for (error, errno, word) in [
        (libc::EAI_NONAME, 0, "there is no host"),
        (libc::EAI_AGAIN, 0, "temporary"),
        (libc::EAI_FAIL, 0, "non-recoverable"),
        (libc::EAI_MEMORY, 0, "memory"),
        (libc::EAI_SYSTEM, libc::EMFILE, "too many open files"),
        (libc::EAI_SYSTEM, libc::ENOMEM, "memory"),
        (libc::EAI_SYSTEM, libc::EACCES, "permission denied"),
    ] {
        let variables = [
            ("LD_PRELOAD", preload.file().to_owned()),
            ("TEST_NAMES", format!("failing.test=error:{error}:{errno}")),
            ("TEST_CONFIG", config(server.port(), json!({"host": "failing.test"}))),
        ];
        let line = child::run(module_path!(), TEST, &variables).remove(0);
        let report: Value = serde_json::from_str(&line).unwrap();
        let message = report["message"].as_str().unwrap().to_lowercase();
        let members = (&report["status"], &report["cause"], &report["delivery"]);
        let is_gone = error == libc::EAI_NONAME;
        let is_true = message.contains(word)
            && message.contains("there is no host") == is_gone
            && members == (&json!("NOT_SENT"), &json!("dns"), &json!("not_sent"))
            && (is_gone || report["retryable"] == json!(true));
        if !is_true {
            wrong.push(format!("{error}, errno {errno}: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.connections(), 0);
}
