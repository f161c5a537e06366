//! No call ends after its deadline, whatever hangs and however often signals interrupt it.

#![cfg(unix)]
// On other systems the helpers of the Linux tests are unused.
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

use std::ffi::c_int;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, io, mem, ptr, thread};

use crate::support::host::{BlackHole, Handler};
use crate::support::tls::Authority;
use crate::support::{Answer, Client, End, Outcome, PATIENCE, Server, child, config, host, in_time};
use serde_json::{Value, json};

/// The variable that holds the configuration for the calling process.
const CONFIG: &str = "TEST_CONFIG";

fn the_config() -> String {
    env::var(CONFIG).unwrap()
}

/// Returns the configuration with changes.
fn changed(config: &str, changes: Value) -> String {
    let mut all: Value = serde_json::from_str(config).unwrap();
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    all.to_string()
}

/// The number of signals that interrupted this process.
static INTERRUPTIONS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn interrupted(_: c_int) {
    // This timer replaces the alarm that ends a hanging process.
    if INTERRUPTIONS.fetch_add(1, Ordering::Relaxed) > 12_000 {
        host::exit(102);
    }
}

/// Makes a timer interrupt this process a thousand times a second, without restarting its system
/// calls.
fn begin_storm() {
    host::handle(libc::SIGALRM, Handler::Interrupting(interrupted));
    let every = libc::timeval { tv_sec: 0, tv_usec: 1000 };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: the value is live, and NULL means that the old one is not wanted.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) }, 0);
}

/// Makes a call in a process with one thread, which a timer interrupts a thousand times a second,
/// and reports its result.
fn call_in_a_storm(config: &str, data: &str) {
    host::fork(|| {
        let client = Client::new(config);
        begin_storm();
        let outcome = client.trigger("c", "e", data);
        let interruptions = INTERRUPTIONS.load(Ordering::Relaxed);
        let text = |field| if outcome.status == 0 { String::new() } else { outcome.text(field) };
        child::tell(
            &json!([outcome.name(), text("cause"), text("message"), outcome.elapsed.as_millis() as u64, interruptions])
                .to_string(),
        );
        host::exit(0);
    })
    .join();
}

/// The result of a call in such a process.
#[derive(Debug)]
struct Report {
    name: String,
    cause: String,
    message: String,
    elapsed_ms: u64,
    interruptions: u64,
}

impl Report {
    fn parse(line: &str) -> Report {
        let (name, cause, message, elapsed_ms, interruptions) = serde_json::from_str(line).unwrap();
        Report { name, cause, message, elapsed_ms, interruptions }
    }

    /// Checks that enough signals came, and that the call ended no later than its deadline.
    fn by(&self, deadline_ms: u64) -> Result<(), String> {
        // A quarter of what a timer of one millisecond does on an idle machine.
        let stormy = self.interruptions >= self.elapsed_ms / 4;
        if stormy && self.elapsed_ms <= deadline_ms + 100 { Ok(()) } else { Err(format!("{self:?}")) }
    }

    /// Checks as well that the call did not end before its deadline.
    fn at(&self, deadline_ms: u64) -> Result<(), String> {
        if self.elapsed_ms + 5 < deadline_ms { Err(format!("{self:?}")) } else { self.by(deadline_ms) }
    }
}

/// Makes a call with this configuration while signals interrupt it.
#[track_caller]
fn storm(test: &str, config: &str, data: &str) -> Report {
    let report = child::run(module_path!(), test, &[(CONFIG, config), ("TEST_DATA", data)]);
    assert_eq!(report.len(), 1, "{report:?}");
    Report::parse(&report[0])
}

/// Makes the call, in the child.
fn in_a_storm() {
    let data = match env::var("TEST_DATA").unwrap().as_str() {
        "big" => format!("\"{}\"", "a".repeat(8 << 20)),
        data => data.to_owned(),
    };
    call_in_a_storm(&the_config(), &data);
}

const MS: u64 = 400;

#[test]
fn signals_do_not_extend_the_deadline_of_connecting() {
    const TEST: &str = "signals_do_not_extend_the_deadline_of_connecting";
    if child::is_child() {
        return in_a_storm();
    }
    let Some(hole) = BlackHole::new() else { return };
    for limit in ["timeout_ms", "connect_timeout_ms"] {
        let config = config(hole.port(), json!({limit: MS}));
        in_time(|| {
            let report = storm(TEST, &config, "{}");
            assert_eq!((&*report.name, &*report.cause), ("NOT_SENT", "timeout"), "{report:?}");
            report.at(MS)
        });
    }
}

#[test]
fn signals_do_not_extend_the_deadline_of_a_handshake_or_a_tunnel() {
    const TEST: &str = "signals_do_not_extend_the_deadline_of_a_handshake_or_a_tunnel";
    if child::is_child() {
        return in_a_storm();
    }
    let authority = Authority::new();
    for proxied in [false, true] {
        let silent = || Server::start([Answer::nothing().without_reading().then(End::Hold)]);
        in_time(|| {
            let server = silent();
            let mut more = json!({"ssl": true, "ca_file": authority.file(), "timeout_ms": MS});
            if proxied {
                more["proxy"] = json!(format!("http://127.0.0.1:{}", server.port()));
            }
            let report = storm(TEST, &config(server.port(), more), "{}");
            assert_eq!((&*report.name, &*report.cause), ("NOT_SENT", "timeout"), "{report:?}");
            let phase = if proxied { "tunnel" } else { "handshake" };
            assert!(report.message.contains(phase), "{report:?}");
            report.at(MS)
        });
    }
}

#[test]
fn signals_do_not_extend_the_deadline_of_sending() {
    const TEST: &str = "signals_do_not_extend_the_deadline_of_sending";
    if child::is_child() {
        return in_a_storm();
    }
    in_time(|| {
        let server = Server::builder().receive_buffer(16 * 1024).start();
        server.next(Answer::nothing().without_reading());
        // A debug build needs time to sign that much.
        let config = config(server.port(), json!({"timeout_ms": 2500, "max_data_bytes": 8 << 20}));
        let report = storm(TEST, &config, "big");
        assert_eq!((&*report.name, &*report.cause), ("NOT_SENT", "timeout"), "{report:?}");
        assert!(report.message.contains("sending the request"), "{report:?}");
        report.at(2500)
    });
}

#[test]
fn signals_do_not_extend_the_deadline_of_a_response() {
    const TEST: &str = "signals_do_not_extend_the_deadline_of_a_response";
    if child::is_child() {
        return in_a_storm();
    }
    let authority = Authority::new();
    let pause = Duration::from_millis(3);
    for tls in [false, true] {
        for (answer, status) in [
            (Answer::nothing(), "DELIVERY_UNKNOWN"),
            (Answer::ok(&"x".repeat(5000)).dribbling(pause), "BAD_RESPONSE"),
            (Answer::raw("HTTP/1.1 200 OK\r\nX: ").and("x".repeat(5000)).dribbling_from(1, pause), "BAD_RESPONSE"),
        ] {
            in_time(|| {
                let answer = answer.clone();
                let server = Server::builder().answering(move |_| answer.clone());
                let server = if tls { server.tls(authority.server(&["localhost"])) } else { server }.start();
                let more = json!({"host": "localhost", "ssl": tls, "ca_file": authority.file(), "timeout_ms": MS});
                let report = storm(TEST, &config(server.port(), more), "{}");
                assert_eq!((&*report.name, &*report.cause), (status, "timeout"), "{report:?}");
                report.at(MS)
            });
        }
    }
}

#[test]
fn signals_do_not_change_the_waits_between_attempts() {
    const TEST: &str = "signals_do_not_change_the_waits_between_attempts";
    if child::is_child() {
        return in_a_storm();
    }
    // Each attempt is refused at once, so the call spends its time waiting.
    let refused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    for ms in [50, 150, 600] {
        in_time(|| {
            let report = storm(TEST, &config(refused, json!({"timeout_ms": ms, "retry": {"max_attempts": 100}})), "{}");
            // A wait that ends with the deadline leaves no time for another attempt.
            assert!(report.name == "NOT_SENT" && ["connect", "timeout"].contains(&&*report.cause), "{report:?}");
            report.by(ms)
        });
    }
    // The server asks for a wait of one second: first once, then every time, for which the deadline
    // leaves time only once.
    let wait = || Answer::new(429, &[("Retry-After", "1")], "");
    in_time(|| {
        let server = Server::start([wait()]);
        let report = storm(TEST, &config(server.port(), json!({"timeout_ms": 5000, "retry": {}})), "{}");
        assert_eq!((&*report.name, server.ledger().len()), ("OK", 2), "{report:?}");
        report.at(1000)
    });
    in_time(|| {
        let server = Server::start([wait(), wait(), wait()]);
        let report = storm(TEST, &config(server.port(), json!({"timeout_ms": 1500, "retry": {}})), "{}");
        assert_eq!((&*report.name, server.ledger().len()), ("RATE_LIMITED", 2), "{report:?}");
        report.at(1000)
    });
}

/// The name of the lookup threads.
const RESOLVER_THREAD: &str = "pusher-resolver";

/// The most lookups of a client at a time.
const MAX_LOOKUPS: usize = 4;

/// Runs the test again in a child in which `tests/c/slow_names.c` resolves these names.
#[track_caller]
fn with_names(test: &str, names: &str, config: &str) -> Vec<String> {
    let preload = host::Preload::new("slow_names");
    child::run(module_path!(), test, &[("LD_PRELOAD", preload.file()), ("TEST_NAMES", names), (CONFIG, config)])
}

/// Returns how many lookups of these names began.
fn lookups() -> usize {
    let count: *const AtomicI32 = host::symbol(c"slow_names_begun").cast();
    // SAFETY: the preloaded library has an atomic integer of this name for as long as the process
    // lives.
    unsafe { &*count }.load(Ordering::Relaxed).try_into().unwrap()
}

/// Waits until the condition holds.
#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        // A thread that ends cannot be waited for here, so poll.
        thread::sleep(Duration::from_millis(1));
    }
}

/// Makes many threads trigger repeatedly while `meanwhile` runs in a loop. Returns the outcomes.
fn trigger_from_threads(client: &Client, threads: usize, calls: usize, mut meanwhile: impl FnMut()) -> Vec<Outcome> {
    thread::scope(|scope| {
        let callers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(move || (0..calls).map(|_| client.trigger("c", "e", "{}")).collect::<Vec<_>>()))
            .collect();
        while callers.iter().any(|caller| !caller.is_finished()) {
            meanwhile();
            thread::sleep(Duration::from_millis(5));
        }
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    })
}

/// Checks that each of these calls ended at its deadline, during the lookup.
#[track_caller]
fn timed_out_in_lookup(outcomes: &[Outcome], ms: u64) -> Result<(), String> {
    for outcome in outcomes {
        outcome.is("NOT_SENT", "not_sent").because("timeout");
        assert!(outcome.text("message").contains("looking up the host name"), "{outcome:?}");
    }
    outcomes.iter().try_for_each(|outcome| outcome.took(ms))
}

#[cfg(target_os = "linux")]
#[test]
fn an_endless_lookup_costs_the_deadline_and_at_most_four_threads() {
    const TEST: &str = "an_endless_lookup_costs_the_deadline_and_at_most_four_threads";
    if child::is_child() {
        // Long enough for a fourth lookup to start, one each second, and for a fifth if there were
        // no limit.
        let client = Client::new(&changed(&the_config(), json!({"host": "hangs.test", "timeout_ms": 900})));
        let mut threads = 0;
        let outcomes =
            trigger_from_threads(&client, 8, 6, || threads = threads.max(host::threads_named(RESOLVER_THREAD)));
        if let Err(late) = timed_out_in_lookup(&outcomes, 900) {
            return child::tell(&late);
        }
        assert_eq!((outcomes.len(), threads, lookups()), (48, MAX_LOOKUPS, MAX_LOOKUPS));
        // The threads outlive the client, and do not disturb another client.
        drop(client);
        assert_eq!(host::threads_named(RESOLVER_THREAD), MAX_LOOKUPS);
        let other = Client::new(&changed(&the_config(), json!({"host": "good.test"})));
        other.trigger("c", "e", "{}").is_ok("{}");
        return;
    }
    let server = Server::start([]);
    let config = config(server.port(), json!({}));
    in_time(|| {
        let report = with_names(TEST, "hangs.test=never good.test=127.0.0.1", &config);
        if report.is_empty() { Ok(()) } else { Err(report.concat()) }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn many_short_calls_during_a_hanging_lookup_start_no_other() {
    const TEST: &str = "many_short_calls_during_a_hanging_lookup_start_no_other";
    if child::is_child() {
        let client = Client::new(&the_config());
        let start = Instant::now();
        let outcomes = trigger_from_threads(&client, 8, 12, || {});
        match timed_out_in_lookup(&outcomes, 60) {
            // One more for each additional second that the machine needed.
            Ok(()) => assert!(lookups() as u64 <= 1 + start.elapsed().as_secs(), "{}", lookups()),
            Err(late) => child::tell(&late),
        }
        return;
    }
    let config = config(9, json!({"host": "hangs.test", "timeout_ms": 60}));
    in_time(|| {
        let report = with_names(TEST, "hangs.test=never", &config);
        if report.is_empty() { Ok(()) } else { Err(report.concat()) }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn attempts_share_one_deadline_while_a_lookup_hangs() {
    const TEST: &str = "attempts_share_one_deadline_while_a_lookup_hangs";
    if child::is_child() {
        let outcome = Client::new(&the_config()).trigger("c", "e", "{}");
        outcome.is("NOT_SENT", "not_sent").because("timeout");
        if outcome.elapsed > Duration::from_millis(600) {
            child::tell(&format!("{outcome:?}"));
        }
        return;
    }
    let more =
        json!({"host": "hangs.test", "timeout_ms": 500, "connect_timeout_ms": 100, "retry": {"max_attempts": 100}});
    in_time(|| {
        let report = with_names(TEST, "hangs.test=never", &config(9, more.clone()));
        if report.is_empty() { Ok(()) } else { Err(report.concat()) }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn threads_share_a_lookup_which_may_outlive_its_client() {
    const TEST: &str = "threads_share_a_lookup_which_may_outlive_its_client";
    if child::is_child() {
        // The call ends before the lookup does.
        let client = Client::new(&changed(&the_config(), json!({"timeout_ms": 250})));
        client.trigger("c", "e", "{}").is("NOT_SENT", "not_sent").because("timeout");
        // The lookup ends after its client was freed.
        drop(client);
        assert_eq!((host::threads_named(RESOLVER_THREAD), lookups()), (1, 1));
        wait_until("the end of the lookup", || host::threads_named(RESOLVER_THREAD) == 0);

        let client = Client::new(&the_config());
        let outcomes = trigger_from_threads(&client, 8, 1, || {});
        outcomes.iter().for_each(|outcome| _ = outcome.is_ok("{}"));
        assert_eq!(lookups(), 2);
        wait_until("the end of the lookup", || host::threads_named(RESOLVER_THREAD) == 0);
        return;
    }
    let server = Server::start([]);
    with_names(TEST, "slow.test=700:127.0.0.1", &config(server.port(), json!({"host": "slow.test"})));
    assert_eq!(server.ledger().len(), 8);
}

#[cfg(target_os = "linux")]
#[test]
fn a_hanging_lookup_does_not_block_the_next() {
    const TEST: &str = "a_hanging_lookup_does_not_block_the_next";
    if child::is_child() {
        let client = Client::new(&the_config());
        let outcome = client.trigger("c", "e", "{}");
        outcome.is_ok("{}");
        // After a second the lookup counts as hanging, and another starts.
        assert!((Duration::from_millis(990)..Duration::from_secs(3)).contains(&outcome.elapsed), "{outcome:?}");
        // The next call does not wait that long.
        let outcome = client.trigger("c", "e", "{}");
        outcome.is_ok("{}");
        assert!(outcome.elapsed < Duration::from_millis(900), "{outcome:?}");
        assert_eq!(lookups(), 3);
        return;
    }
    let server = Server::start([]);
    let more = json!({"host": "flaky.test", "max_idle_connections": 0});
    with_names(TEST, "flaky.test=once:never,127.0.0.1", &config(server.port(), more));
}

#[cfg(target_os = "linux")]
#[test]
fn a_failed_lookup_is_reported_at_once_while_an_older_one_hangs() {
    const TEST: &str = "a_failed_lookup_is_reported_at_once_while_an_older_one_hangs";
    if child::is_child() {
        let client = Client::new(&the_config());
        // The first call waits a second before the lookup counts as hanging.
        for (earliest, latest) in [(990, 2500), (0, 900)] {
            let outcome = client.trigger("c", "e", "{}");
            outcome.is("NOT_SENT", "not_sent").because("dns");
            assert!(outcome.text("message").contains("there is no host"), "{outcome:?}");
            assert!((earliest..latest).contains(&outcome.elapsed.as_millis()), "{outcome:?}");
        }
        return;
    }
    with_names(TEST, "gone.test=once:never,", &config(9, json!({"host": "gone.test", "timeout_ms": 5000})));
}

#[cfg(target_os = "linux")]
#[test]
fn the_lookup_thread_blocks_the_signals_of_the_host() {
    const TEST: &str = "the_lookup_thread_blocks_the_signals_of_the_host";
    if child::is_child() {
        let mask = || {
            // SAFETY: the C library initialises the set.
            unsafe {
                let mut set: libc::sigset_t = mem::zeroed();
                assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &raw mut set), 0);
                (1..64).filter(|signal| libc::sigismember(&raw const set, *signal) == 1).collect::<Vec<_>>()
            }
        };
        let before = mask();
        Client::new(&the_config()).trigger("c", "e", "{}").is_ok("{}");
        // The mask of the calling thread is unchanged.
        assert_eq!(mask(), before);
        let blocked: *const AtomicU64 = host::symbol(c"slow_names_blocked").cast();
        // SAFETY: the preloaded library has an atomic integer of this name for as long as the
        // process lives.
        let blocked = unsafe { &*blocked }.load(Ordering::Relaxed);
        for signal in 1..64 {
            let crash_signals = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT];
            // SIGKILL and SIGSTOP cannot be blocked, and the C library uses 32 and 33.
            let free = crash_signals.contains(&signal) || [libc::SIGKILL, libc::SIGSTOP, 32, 33].contains(&signal);
            assert_eq!(blocked >> signal & 1 == 1, !free, "signal {signal}");
        }
        return;
    }
    let server = Server::start([]);
    with_names(TEST, "good.test=127.0.0.1", &config(server.port(), json!({"host": "good.test"})));
    assert_eq!(server.ledger().len(), 1);
}

/// The modes of a test's name server.
const SILENCE: usize = 0;
const NO_SUCH_NAME: usize = 1;
const FAILURE: usize = 2;
const ADDRESS: usize = 3;

/// Moves this process, which has one thread, into a network namespace with only the loopback, where
/// the C library asks a name server at 127.0.0.1. Returns an error if the process lacks the
/// permission.
#[cfg(target_os = "linux")]
fn enter_network_namespace(resolv_conf: &str) -> io::Result<()> {
    let done = |result: c_int| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) };
    // SAFETY: getuid and unshare change nothing in memory.
    let root = unsafe { libc::getuid() } == 0;
    let user = if root { 0 } else { libc::CLONE_NEWUSER };
    // SAFETY: as above.
    done(unsafe { libc::unshare(user | libc::CLONE_NEWNET | libc::CLONE_NEWNS) })?;
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("resolv-{}.conf", std::process::id()));
    fs::write(&file, resolv_conf)?;
    let source = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
    // SAFETY: every pointer is NULL or a C string. The mounts belong to this process alone.
    let mounted = unsafe {
        let private =
            libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), libc::MS_REC | libc::MS_PRIVATE, ptr::null());
        done(private).and_then(|_| {
            let over = c"/etc/resolv.conf".as_ptr();
            done(libc::mount(source.as_ptr(), over, ptr::null(), libc::MS_BIND, ptr::null()))
        })
    };
    fs::remove_file(&file)?;
    mounted?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: the request has the form that the kernel expects: the interface `lo` and its flags.
    unsafe {
        let mut request: libc::ifreq = mem::zeroed();
        request.ifr_name[..2].copy_from_slice(&[b'l' as libc::c_char, b'o' as libc::c_char]);
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        done(libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&socket), libc::SIOCSIFFLAGS, &raw const request))?;
    }
    Ok(())
}

/// Returns the DNS response to a question: the address 127.0.0.1, or an error. (RFC 1035, 4.1)
fn dns_response(question: &[u8], mode: usize) -> Vec<u8> {
    // The header, the labels of the name up to an empty one, the type and the class.
    let name: usize = question[12..].iter().position(|byte| *byte == 0).unwrap();
    let end = 12 + name + 5;
    let is_for_ipv4 = question[12 + name + 2] == 1;
    let mut answer = question[..end].to_vec();
    let code = match mode {
        NO_SUCH_NAME => 3,
        FAILURE => 2,
        _ => 0,
    };
    let answers = u8::from(mode == ADDRESS && is_for_ipv4);
    answer[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
    if answers > 0 {
        // The name of the question, A, IN, a time to live of 0, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

#[cfg(target_os = "linux")]
#[test]
fn a_silent_name_server_costs_the_deadline_and_may_recover() {
    const TEST: &str = "a_silent_name_server_costs_the_deadline_and_may_recover";
    if child::is_child() {
        let config = the_config();
        host::fork(|| {
            if let Err(why) = enter_network_namespace("nameserver 127.0.0.1\nsearch .\noptions timeout:1 attempts:1\n")
            {
                return child::tell(&format!("no network namespace: {why}"));
            }
            static MODE: AtomicUsize = AtomicUsize::new(SILENCE);
            let names = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap();
            thread::spawn(move || {
                let mut question = [0; 512];
                while let Ok((length, from)) = names.recv_from(&mut question) {
                    let mode = MODE.load(Ordering::Relaxed);
                    if mode != SILENCE {
                        names.send_to(&dns_response(&question[..length], mode), from).unwrap();
                    }
                }
            });
            let client = Client::new(&config);
            let mut threads = 0;
            let outcomes =
                trigger_from_threads(&client, 8, 4, || threads = threads.max(host::threads_named(RESOLVER_THREAD)));
            assert!((1..=MAX_LOOKUPS).contains(&threads), "{threads}");
            // A few fail earlier, when the C library stops asking the server.
            for outcome in &outcomes {
                outcome.is("NOT_SENT", "not_sent");
                let ended = match &*outcome.text("cause") {
                    "timeout" => outcome.took(400),
                    "dns" if outcome.elapsed < Duration::from_millis(500) => Ok(()),
                    _ => Err(format!("{outcome:?}")),
                };
                if let Err(late) = ended {
                    return child::tell(&format!("late: {late}"));
                }
            }
            wait_until("the end of the lookups", || host::threads_named(RESOLVER_THREAD) == 0);
            for (mode, cause, retryable) in
                [(NO_SUCH_NAME, "dns", false), (FAILURE, "dns", true), (ADDRESS, "connect", true)]
            {
                MODE.store(mode, Ordering::Relaxed);
                let outcome = client.trigger_with("c", "e", "{}", r#"{"timeout_ms":5000}"#);
                outcome.is("NOT_SENT", "not_sent").because(cause);
                assert_eq!(outcome.error()["retryable"], json!(retryable), "{outcome:?}");
            }
            child::tell("done");
        })
        .join();
        return;
    }
    let more = json!({"host": "some.test", "timeout_ms": 400});
    let config = config(9, more);
    in_time(|| {
        let report = child::run(module_path!(), TEST, &[(CONFIG, &config)]).concat();
        // The test is skipped where the process may not make a network namespace.
        if report == "done" || report.starts_with("no network") {
            eprintln!("{report}");
            return Ok(());
        }
        Err(report)
    });
}
