//! A process that runs out of memory during a call: the call ends in time, the delivery is true, and
//! the message names the memory.
//!
//! Each case runs in a forked process, whose limits are set just before the call.

#![cfg(target_os = "linux")]

use std::ffi::CString;
use std::{env, fs};

use crate::support::publisher::Publisher;
use crate::support::tls::Authority;
use crate::support::{Answer, Client, End, Outcome, Server, child, config, host};
use serde_json::{Value, json};

const MIB: usize = 1 << 20;
/// The size of the responses, and the memory that is left when they come.
const BODY_BYTES: usize = 20 * MIB;
const LEFT_BYTES: usize = 6 * MIB;
const TIMEOUT_MS: u64 = 3000;

/// Settings of the C library's allocator: it keeps nothing back that a limit would not count.
const ALLOCATOR: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536")];

/// Runs the test in a process with these variables, and returns the lines that it reported.
#[track_caller]
fn run(test: &str, variables: &[(&str, String)]) -> Vec<String> {
    let allocator = ALLOCATOR.map(|(name, value)| (name, value.to_owned()));
    child::run(module_path!(), test, &[&allocator, variables].concat())
}

/// Returns a value of `/proc/self/status` in bytes.
fn used(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    1024 * line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().unwrap()
}

/// Runs `body` while the process cannot have more than `left` additional bytes of memory.
fn with_memory_left<T>(left: usize, body: impl FnOnce() -> T) -> T {
    // Memory within reserved address space counts as data only.
    let limits = [(libc::RLIMIT_AS, used("VmSize:") + left), (libc::RLIMIT_DATA, used("VmData:") + left)];
    let set = |limit: Option<usize>, which| {
        // SAFETY: the structure is live.
        unsafe {
            let mut now: libc::rlimit = std::mem::zeroed();
            assert_eq!(libc::getrlimit(which, &raw mut now), 0);
            now.rlim_cur = limit.map_or(now.rlim_max, |limit| limit as libc::rlim_t);
            assert_eq!(libc::setrlimit(which, &raw const now), 0);
        }
    };
    limits.iter().for_each(|(which, limit)| set(Some(*limit), *which));
    let result = body();
    limits.iter().for_each(|(which, _)| set(None, *which));
    result
}

/// Reports an outcome to the test.
fn tell(outcome: &Outcome) {
    let is_ok = outcome.status == 0;
    let text = |field| if is_ok { String::new() } else { outcome.text(field) };
    let delivery = if is_ok { "delivered" } else { outcome.delivery() };
    let http_status = if is_ok { None } else { outcome.number("http_status") };
    let elapsed = outcome.elapsed.as_millis() as u64;
    child::tell(&json!([outcome.name(), delivery, text("message"), http_status, elapsed]).to_string());
}

/// The reported outcome of a call.
#[derive(Debug)]
struct Report {
    name: String,
    delivery: String,
    message: String,
    http_status: Option<u64>,
    elapsed_ms: u64,
}

impl Report {
    fn parse(line: &str) -> Report {
        let (name, delivery, message, http_status, elapsed_ms) = serde_json::from_str(line).unwrap();
        Report { name, delivery, message, http_status, elapsed_ms }
    }
}

/// The configurations that the test chose for the child.
fn configs() -> Vec<String> {
    let all: Value = serde_json::from_str(&env::var("TEST_CONFIGS").unwrap()).unwrap();
    all.as_array().unwrap().iter().map(Value::to_string).collect()
}

/// Returns the configuration of a client with or without TLS.
fn client_config(server: &Server, authority: &Authority, tls: bool) -> Value {
    let more = json!({
        "ssl": tls, "ca_file": authority.file(), "timeout_ms": TIMEOUT_MS,
        "max_response_bytes": 2 * BODY_BYTES, "max_data_bytes": 8 * MIB,
    });
    serde_json::from_str(&config(server.port(), more)).unwrap()
}

/// How a response shows where it ends.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length,
    Chunks,
    Close,
}

/// Returns a response with a long JSON string.
fn long_answer(http_status: u16, framing: Framing) -> Answer {
    let body = format!("\"{}\"", "a".repeat(BODY_BYTES));
    match framing {
        Framing::Length => Answer::new(http_status, &[], &body),
        Framing::Chunks => {
            let chunks: Vec<String> = body
                .as_bytes()
                .chunks(MIB)
                .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()))
                .collect();
            let head = format!("HTTP/1.1 {http_status} Because\r\nTransfer-Encoding: chunked\r\n\r\n");
            Answer::raw(format!("{head}{}0\r\n\r\n", chunks.concat()))
        }
        Framing::Close => Answer::raw(format!("HTTP/1.1 {http_status} Because\r\n\r\n{body}")).then(End::Close),
    }
}

/// Makes a call with each configuration while memory is short, in the child.
fn call_with_little_memory() {
    for config in configs() {
        host::fork(|| {
            let client = Client::new(&config);
            let outcome = with_memory_left(LEFT_BYTES, || client.trigger("c", "e", "{}"));
            tell(&outcome);
            // The client works again, on a new connection.
            client.trigger("c", "e", "{}").is_ok("{}");
            host::exit(0);
        })
        .join();
    }
}

/// Asserts the reports for a response with this status, in every framing, with and without TLS.
#[track_caller]
fn long_answers_are(test: &str, http_status: u16, status: &str, delivery: &str, names_memory: bool) {
    let authority = Authority::new();
    let mut servers = Vec::new();
    for tls in [false, true] {
        for framing in [Framing::Length, Framing::Chunks, Framing::Close] {
            let server = Server::builder();
            let server = if tls { server.tls(authority.server(&["127.0.0.1"])) } else { server }.start();
            server.next(long_answer(http_status, framing));
            servers.push((server, tls, framing));
        }
    }
    // Each in a process of its own, so that a failure shows which one it is.
    let mut wrong = Vec::new();
    for (server, tls, framing) in &servers {
        let configs = json!([client_config(server, &authority, *tls)]).to_string();
        let child = || run(test, &[("TEST_CONFIGS", configs)]);
        let Ok(lines) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)) else {
            wrong.push(format!("{framing:?}, tls {tls}: the child failed"));
            continue;
        };
        let report = Report::parse(&lines[0]);
        let fits =
            (&*report.name, &*report.delivery, report.http_status) == (status, delivery, Some(http_status.into()));
        let is_true = report.message.contains("memory") == names_memory;
        if !fits || !is_true || report.elapsed_ms > TIMEOUT_MS + 100 {
            wrong.push(format!("{framing:?}, tls {tls}: {report:?}"));
        }
        if server.connections() != 2 {
            wrong.push(format!("{framing:?}, tls {tls}: the connection is reused"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_response_for_which_there_is_no_memory_is_unknown() {
    const TEST: &str = "a_response_for_which_there_is_no_memory_is_unknown";
    if child::is_child() {
        return call_with_little_memory();
    }
    long_answers_are(TEST, 200, "BAD_RESPONSE", "unknown", true);
}

#[test]
fn a_refusal_with_a_long_body_is_reported_without_memory_for_it() {
    const TEST: &str = "a_refusal_with_a_long_body_is_reported_without_memory_for_it";
    if child::is_child() {
        return call_with_little_memory();
    }
    long_answers_are(TEST, 400, "BAD_REQUEST", "rejected", false);
}

#[test]
fn a_publisher_reports_a_response_for_which_there_is_no_memory_and_closes_in_time() {
    const TEST: &str = "a_publisher_reports_a_response_for_which_there_is_no_memory_and_closes_in_time";
    if child::is_child() {
        for config in configs() {
            host::fork(|| {
                let client = Client::new(&config);
                let publisher = Publisher::new(&client, &json!({"reports": "all"}));
                if env::var("TEST_WARM").unwrap() == "true" {
                    publisher.publish("c", "e", "{}");
                    publisher.reports(1)[0].is(1, "OK", "delivered", "");
                }
                let report = with_memory_left(LEFT_BYTES, || {
                    publisher.publish("c", "e", "{}");
                    publisher.reports(1).remove(0)
                });
                child::tell(&json!([report.status, report.delivery, report.text("message")]).to_string());
                let closed = crate::support::publisher::close(Some(&publisher), 2000);
                assert_eq!(closed.name(), "OK");
                drop(publisher);
                host::exit(0);
            })
            .join();
        }
        return;
    }
    let authority = Authority::new();
    let mut wrong = Vec::new();
    for (tls, warm) in [(false, false), (false, true), (true, false), (true, true)] {
        let server = Server::builder();
        let server = if tls { server.tls(authority.server(&["127.0.0.1"])) } else { server }.start();
        if warm {
            server.next(Answer::ok("{}"));
        }
        server.next(long_answer(200, Framing::Length));
        let configs = json!([client_config(&server, &authority, tls)]).to_string();
        let variables = [("TEST_CONFIGS", configs), ("TEST_WARM", warm.to_string())];
        let child = || run(TEST, &variables);
        let Ok(lines) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)) else {
            wrong.push(format!("tls {tls}, warm {warm}: the child failed"));
            continue;
        };
        let (status, delivery, message): (String, String, String) = serde_json::from_str(&lines[0]).unwrap();
        if (&*status, &*delivery) != ("BAD_RESPONSE", "unknown") || !message.contains("memory") {
            wrong.push(format!("tls {tls}, warm {warm}: {}", lines[0]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Sends an event while little memory is left, in the child.
fn send_with_little_memory() {
    let number = |name: &str| env::var(name).unwrap().parse::<usize>().unwrap();
    let data = CString::new(format!("\"{}\"", "a".repeat(number("TEST_BYTES")))).unwrap();
    for config in configs() {
        let ended = host::fork(|| {
            let client = Client::new(&config);
            if number("TEST_WARM") > 0 {
                client.trigger("c", "e", "{}").is_ok("{}");
            }
            let outcome = with_memory_left(number("TEST_LEFT"), || client.trigger_c(c"c", c"e", &data));
            tell(&outcome);
            client.trigger("c", "e", "{}").is_ok("{}");
            host::exit(0);
        })
        .wait();
        if !ended.success() {
            child::tell(&json!([ended.to_string(), "", "", null, 0]).to_string());
        }
    }
}

/// Returns the reports of processes that send an event of this size and have this much memory left.
fn with_little_memory(
    test: &str,
    config: &Value,
    bytes: usize,
    warm: bool,
    left: impl Iterator<Item = usize>,
) -> Vec<Report> {
    let configs = json!([config]).to_string();
    let one = |left: usize| {
        let numbers = [("TEST_BYTES", bytes), ("TEST_WARM", usize::from(warm)), ("TEST_LEFT", left)];
        let mut variables: Vec<_> = numbers.iter().map(|(name, number)| (*name, number.to_string())).collect();
        variables.push(("TEST_CONFIGS", configs.clone()));
        Report::parse(&run(test, &variables)[0])
    };
    left.map(one).collect()
}

#[test]
fn a_request_for_which_there_is_no_memory_is_not_sent() {
    const TEST: &str = "a_request_for_which_there_is_no_memory_is_not_sent";
    const BYTES: usize = 2 * MIB;
    const CASES: usize = 8;
    if child::is_child() {
        return send_with_little_memory();
    }
    let authority = Authority::new();
    let mut wrong = Vec::new();
    for (tls, warm) in [(false, false), (false, true), (true, false), (true, true)] {
        let server = Server::builder();
        let server = if tls { server.tls(authority.server(&["127.0.0.1"])) } else { server }.start();
        let mut config = client_config(&server, &authority, tls);
        // Encryption without optimisation is slow, and the test is not about time.
        config["timeout_ms"] = json!(7000);
        let left = (0..CASES).map(|n| n * BYTES / 2);
        let reports = with_little_memory(TEST, &config, BYTES, warm, left);
        let is_true = |report: &&Report| match &*report.delivery {
            "delivered" => true,
            "not_sent" => report.message.contains("memory") && !report.message.contains("looking up"),
            _ => false,
        };
        let sent = reports.iter().filter(|report| report.delivery == "delivered").count();
        let accepted = server.ledger().iter().filter(|request| request.body.len() > BYTES).count();
        assert_eq!(sent, accepted, "tls {tls}, warm {warm}: {reports:?}");
        assert!((1..CASES).contains(&sent), "tls {tls}, warm {warm}: {reports:?}");
        let untrue = reports.iter().filter(|report| !is_true(report));
        wrong.extend(untrue.map(|report| format!("tls {tls}, warm {warm}: {report:?}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_lookup_without_memory_does_not_say_that_there_is_no_host() {
    const TEST: &str = "a_lookup_without_memory_does_not_say_that_there_is_no_host";
    if child::is_child() {
        return send_with_little_memory();
    }
    let authority = Authority::new();
    let server = Server::start([]);
    let mut config = client_config(&server, &authority, false);
    config["host"] = json!("localhost");
    // The stack of the lookup's thread, and a little more.
    let left = (0..40).map(|n| 500 * 1024 + n * 4096);
    let reports = with_little_memory(TEST, &config, 10, false, left);
    // The smallest allocations of Rust abort the process.
    let failed = |report: &&Report| report.delivery != "delivered" && !report.name.contains("SIGABRT");
    let failed: Vec<&Report> = reports.iter().filter(failed).collect();
    assert!(!failed.is_empty(), "{reports:?}");
    for report in failed {
        assert_eq!(report.delivery, "not_sent", "{report:?}");
        assert!(!report.message.contains("there is no host"), "{report:?}");
        let is_true = ["memory", "thread"].iter().any(|word| report.message.to_lowercase().contains(word));
        assert!(is_true, "{report:?}");
    }
}

/// Makes a fan-out over 10,000 long names with each of these amounts of memory, in the child.
fn fan_out_with_little_memory(configs: &[String], left: &[usize]) {
    let names: Vec<String> = (0..10_000).map(|number| format!("{number:0>200}")).collect();
    let texts = [json!(names).to_string(), "e".to_owned(), "{}".to_owned(), r#"{"fan_out":true}"#.to_owned()];
    let texts = texts.map(|text| CString::new(text).unwrap());
    for (config, left) in configs.iter().zip(left) {
        host::fork(|| {
            let client = Client::new(config);
            let mut out = std::ptr::null_mut();
            let [channels, event, data, options] = texts.each_ref().map(|text| text.as_ptr());
            let client = client.0.as_ptr().cast_const().cast();
            // SAFETY: the client is alive, and each string is a C string.
            let status = with_memory_left(*left, || unsafe {
                pusher::ffi::pusher_trigger(client, channels, event, data, options, &raw mut out) as i32
            });
            // SAFETY: the library wrote a string.
            let document = unsafe { std::ffi::CStr::from_ptr(out) }.to_str().unwrap();
            let has_parts = document.contains(r#""parts":["#);
            let delivery = crate::support::calls::error_delivery(Some(document.as_bytes()));
            child::tell(&json!([status, delivery, has_parts]).to_string());
            host::exit(0);
        })
        .join();
    }
}

#[test]
fn a_fan_out_without_memory_for_its_result_tells_the_truth() {
    const TEST: &str = "a_fan_out_without_memory_for_its_result_tells_the_truth";
    const LEFT: [usize; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 32];
    if child::is_child() {
        return fan_out_with_little_memory(&configs(), &LEFT.map(|mib| mib * MIB));
    }
    let is_second = |channels: &Value| channels[0].as_str().is_some_and(|name| name.ends_with("00100"));
    let servers = LEFT.map(|_| {
        let respond = move |received: &crate::support::server::Received| match is_second(&received.json()["channels"]) {
            true => Answer::new(503, &[], "no"),
            false => Answer::ok("{}"),
        };
        Server::builder().answering(respond).start()
    });
    let all: Vec<Value> = servers
        .iter()
        .map(|server| serde_json::from_str(&config(server.port(), json!({"timeout_ms": 30_000}))).unwrap())
        .collect();
    let lines = run(TEST, &[("TEST_CONFIGS", json!(all).to_string())]);
    let mut seen = Vec::new();
    for ((line, server), mib) in lines.iter().zip(&servers).zip(LEFT) {
        let (status, delivery, has_parts): (i32, i32, bool) = serde_json::from_str(line).unwrap();
        // INTERNAL and not sent, or PARTIAL and unknown.
        assert!([(255, 1), (48, 3)].contains(&(status, delivery)), "{mib} MiB: {line}");
        assert_eq!(server.ledger().len(), if status == 48 { 100 } else { 0 }, "{mib} MiB: {line}");
        seen.push((status, has_parts));
    }
    assert_eq!(seen.len(), LEFT.len());
    assert!(
        seen.contains(&(255, false)) && seen.contains(&(48, false)) && seen.last() == Some(&(48, true)),
        "{seen:?}"
    );
}
