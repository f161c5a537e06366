//! Clients in a process that forks at any instant, runs out of descriptors or threads, or would die
//! of SIGPIPE.
//!
//! The process that forks is a child of the test process, so that it inherits nothing of the
//! server.

#![cfg(unix)]
// On other systems the helpers of the Linux tests are unused.
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{env, thread};

use crate::support::publisher::Publisher;
use crate::support::tls::Authority;
use crate::support::{Answer, Client, End, Server, child, config, host, trigger};
use serde_json::{Value, json};

/// The variable that holds the configurations for the process that forks.
const CONFIGS: &str = "TEST_CONFIGS";

/// Returns the configurations that the test chose for this process.
fn configs() -> Vec<String> {
    let all: Value = serde_json::from_str(&env::var(CONFIGS).unwrap()).unwrap();
    all.as_array().unwrap().iter().map(Value::to_string).collect()
}

/// Returns the only configuration.
fn the_config() -> String {
    configs().remove(0)
}

/// Runs the test again in a process that may fork.
#[track_caller]
fn run(test: &str, configs: &[String]) -> Vec<String> {
    child::run(module_path!(), test, &[(CONFIGS, format!("[{}]", configs.join(",")))])
}

/// Servers with and without TLS, and configurations for them. The host is a name, so that
/// connecting needs a lookup.
struct Scene {
    authority: Authority,
}

impl Scene {
    fn new() -> Scene {
        Scene { authority: Authority::new() }
    }

    fn server(&self, tls: bool) -> Server {
        // The response echoes the event, so that the caller can check that the response is its own.
        let answer = |request: &crate::support::server::Received| match request.method() {
            "POST" => Answer::ok(&format!("{{\"echo\":{}}}", request.json()["data"])),
            _ => Answer::ok("{}"),
        };
        let server = Server::builder().answering(answer);
        if tls { server.tls(self.authority.server(&["localhost"])) } else { server }.start()
    }

    fn config(&self, server: &Server, tls: bool, more: Value) -> String {
        let mut all = json!({"host": "localhost", "ssl": tls, "ca_file": self.authority.file(), "timeout_ms": 6000});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config(server.port(), all)
    }
}

/// Triggers an event with the name of its sender, and asserts that the response is for this event.
#[track_caller]
fn trigger_as(client: &Client, sender: &str) {
    client.trigger("c", "e", &format!("\"{sender}\"")).is_ok(&format!("{{\"echo\":\"{sender}\"}}"));
}

/// Returns the connections on which a sender's events came.
fn connections_of(server: &Server, sender: &str) -> BTreeSet<usize> {
    let is_theirs =
        |request: &&crate::support::server::Received| request.json()["data"].as_str().unwrap().starts_with(sender);
    server.ledger().iter().filter(is_theirs).map(|request| request.connection).collect()
}

/// Asserts that the server accepted exactly these events, each once.
#[track_caller]
fn accepted_once(server: &Server, expected: impl IntoIterator<Item = String>) {
    let mut accepted: Vec<String> =
        server.ledger().iter().map(|request| request.json()["data"].as_str().unwrap().to_owned()).collect();
    let mut expected: Vec<String> = expected.into_iter().collect();
    accepted.sort();
    expected.sort();
    assert_eq!(accepted, expected);
}

/// A client that a child can free while its parent keeps it: each has its own memory.
struct Shared(Option<Client>);

impl Shared {
    fn new(config: &str) -> Shared {
        Shared(Some(Client::new(config)))
    }

    fn trigger_as(&self, sender: &str) {
        trigger_as(self.0.as_ref().unwrap(), sender);
    }

    fn free(&mut self) {
        drop(self.0.take());
    }
}

#[test]
fn a_child_makes_its_own_connections_and_does_not_touch_its_parents() {
    if child::is_child() {
        let mut client = Shared::new(&the_config());
        client.trigger_as("parent 1");
        host::fork(|| {
            client.trigger_as("child 1");
            host::fork(|| {
                client.trigger_as("grandchild 1");
                client.trigger_as("grandchild 2");
                client.free();
            })
            .join();
            client.trigger_as("child 2");
            client.free();
        })
        .join();
        client.trigger_as("parent 2");
        // A child that only frees the client, and one that only exits.
        host::fork(|| client.free()).join();
        host::fork(|| {}).join();
        client.trigger_as("parent 3");
        // A grandchild whose parent never used the client.
        host::fork(|| host::fork(|| client.trigger_as("heir 1")).join()).join();
        client.trigger_as("parent 4");
        return;
    }
    let scene = Scene::new();
    for tls in [false, true] {
        let server = scene.server(tls);
        run(
            "a_child_makes_its_own_connections_and_does_not_touch_its_parents",
            &[scene.config(&server, tls, json!({}))],
        );
        for (sender, connection) in [("parent", 0), ("child", 1), ("grandchild", 2), ("heir", 3)] {
            assert_eq!(connections_of(&server, sender), BTreeSet::from([connection]), "{sender}, tls: {tls}");
        }
        let events = [("parent", 4), ("child", 2), ("grandchild", 2), ("heir", 1)];
        accepted_once(
            &server,
            events.iter().flat_map(|(sender, most)| (1..=*most).map(move |n| format!("{sender} {n}"))),
        );
        assert_eq!(server.connections(), 4);
    }
}

#[test]
fn a_client_that_was_not_used_before_the_fork_works_on_both_sides() {
    if child::is_child() {
        let mut client = Shared::new(&the_config());
        let children = ["first", "second"].map(|sender| {
            host::fork(|| {
                client.trigger_as(&format!("{sender} 1"));
                client.trigger_as(&format!("{sender} 2"));
                client.free();
            })
        });
        children.into_iter().for_each(host::Forked::join);
        client.trigger_as("parent 1");
        // A client made by a child, and used by that child's child.
        let config = the_config();
        host::fork(|| {
            let client = Client::new(&config);
            host::fork(|| trigger_as(&client, "born later 1")).join();
            trigger_as(&client, "made later 1");
        })
        .join();
        client.trigger_as("parent 2");
        return;
    }
    let scene = Scene::new();
    for tls in [false, true] {
        let server = scene.server(tls);
        run("a_client_that_was_not_used_before_the_fork_works_on_both_sides", &[scene.config(&server, tls, json!({}))]);
        let all =
            ["first", "second", "parent", "born later", "made later"].map(|sender| connections_of(&server, sender));
        assert!(all.iter().all(|connections| connections.len() == 1), "tls: {tls}: {all:?}");
        assert_eq!((all.into_iter().flatten().collect::<BTreeSet<_>>().len(), server.connections()), (5, 5));
        assert_eq!(server.ledger().len(), 8);
    }
}

#[test]
fn parent_and_children_call_at_the_same_time_and_get_their_own_responses() {
    const CALLS: usize = 60;
    const CHILDREN: [&str; 3] = ["first", "second", "third"];
    let call = |client: &Shared, sender: &str| (0..CALLS).for_each(|n| client.trigger_as(&format!("{sender} {n}")));
    if child::is_child() {
        let client = Shared::new(&the_config());
        client.trigger_as("parent");
        let children = CHILDREN.map(|sender| host::fork(|| call(&client, sender)));
        call(&client, "parent");
        children.into_iter().for_each(host::Forked::join);
        return;
    }
    let scene = Scene::new();
    for tls in [false, true] {
        let server = scene.server(tls);
        run(
            "parent_and_children_call_at_the_same_time_and_get_their_own_responses",
            &[scene.config(&server, tls, json!({}))],
        );
        assert_eq!(server.connections(), 1 + CHILDREN.len());
        let calls =
            CHILDREN.iter().chain([&"parent"]).flat_map(|sender| (0..CALLS).map(move |n| format!("{sender} {n}")));
        accepted_once(&server, calls.chain(["parent".to_owned()]));
    }
}

#[test]
fn a_fork_at_any_instant_hangs_no_child() {
    const THREADS: usize = 8;
    const FORKS: usize = 240;
    const MAX_LIVE_CHILDREN: usize = 6;
    if child::is_child() {
        let clients: Vec<Client> = configs().iter().map(|config| Client::new(config)).collect();
        let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (clients, stop, calls) = (&clients, &stop, &calls);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let call = calls.fetch_add(1, Ordering::Relaxed);
                        trigger_as(&clients[number % clients.len()], &format!("parent {call}"));
                    }
                });
            }
            let mut children = Vec::new();
            for number in 0..FORKS {
                children.push(host::fork(|| {
                    for (index, client) in clients.iter().enumerate() {
                        let outcome = client.trigger("c", "e", &format!("\"child {number}.{index}\""));
                        // The C library has its own locks: a lookup may hang on one. Its call then
                        // ends at the deadline.
                        if outcome.status != 0 {
                            outcome.is("NOT_SENT", "not_sent").because("timeout");
                            assert!(outcome.text("message").contains("looking up the host name"), "{outcome:?}");
                            child::tell("a lookup hung");
                        }
                    }
                }));
                if children.len() == MAX_LIVE_CHILDREN {
                    children.remove(0).join();
                }
            }
            children.into_iter().for_each(host::Forked::join);
            stop.store(true, Ordering::Relaxed);
        });
        child::tell(&format!("{} calls", calls.load(Ordering::Relaxed)));
        return;
    }
    let scene = Scene::new();
    let (plain, tls) = (scene.server(false), scene.server(true));
    // One client keeps its connection; the others look up the name for every call.
    let none_kept = json!({"max_idle_connections": 0, "timeout_ms": 4000});
    let configs = [
        scene.config(&plain, false, json!({"host": "127.0.0.1", "timeout_ms": 4000})),
        scene.config(&plain, false, none_kept.clone()),
        scene.config(&tls, true, none_kept),
    ];
    // It resolves no name here; it is loaded because it turns off Rust's handler of stack
    // overflows.
    let preload = host::Preload::new("slow_names");
    let variables = [(CONFIGS, format!("[{}]", configs.join(","))), ("LD_PRELOAD", preload.file().to_owned())];
    let reported = child::run(module_path!(), "a_fork_at_any_instant_hangs_no_child", &variables);
    let hung = reported.iter().filter(|line| line.contains("hung")).count();
    let children = |server: &Server| {
        server.ledger().iter().filter(|request| request.json()["data"].as_str().unwrap().starts_with("child")).count()
    };
    assert_eq!(children(&plain) + children(&tls) + hung, 3 * FORKS);
    // A lookup that hangs is the C library's fault, and rare.
    assert!(hung <= FORKS / 20, "{reported:?}");
}

/// The allocator of this test program. It can stop a thread at the n-th allocation from now.
struct Stopping;

#[global_allocator]
static ALLOCATOR: Stopping = Stopping;

/// The allocations left until one stops its thread; 0 if none does.
static ALLOCATIONS_LEFT: AtomicUsize = AtomicUsize::new(0);
/// Whether a thread is stopped, and whether it may go on.
static STOPPED: AtomicBool = AtomicBool::new(false);
static GO_ON: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether this thread is never stopped.
    static EXEMPT: Cell<bool> = const { Cell::new(false) };
}

impl Stopping {
    fn step() {
        if ALLOCATIONS_LEFT.load(Ordering::Relaxed) == 0
            || EXEMPT.get()
            || ALLOCATIONS_LEFT.fetch_sub(1, Ordering::Relaxed) != 1
        {
            return;
        }
        STOPPED.store(true, Ordering::Release);
        while !GO_ON.load(Ordering::Acquire) {
            thread::yield_now();
        }
    }
}

// SAFETY: it passes every call to the system's allocator, sometimes a little later.
unsafe impl GlobalAlloc for Stopping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Stopping::step();
        // SAFETY: the caller's contract is that of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Stopping::step();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The exit status of a process whose call ended before the chosen allocation.
const ENDED_BEFORE: i32 = 77;

/// Makes the first call of this process on a thread, stops that thread at the `n`-th allocation,
/// and forks. The child makes a call and frees the client.
fn fork_at_allocation(n: usize, config: &str) {
    EXEMPT.set(true);
    let client = Client::new(config);
    ALLOCATIONS_LEFT.store(n, Ordering::Relaxed);
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            let outcome = client.trigger("c", "e", "\"parent\"");
            // The end of the thread is not the library's code.
            EXEMPT.set(true);
            outcome
        });
        while !STOPPED.load(Ordering::Acquire) {
            if first.is_finished() {
                host::exit(ENDED_BEFORE);
            }
            thread::yield_now();
        }
        host::fork(|| {
            ALLOCATIONS_LEFT.store(0, Ordering::Relaxed);
            trigger_as(&client, "child");
            // SAFETY: the thread that borrows it does not exist in this process, which does not use
            // it again.
            drop(unsafe { std::ptr::read(&raw const client) });
            host::exit(0);
        })
        .join();
        GO_ON.store(true, Ordering::Release);
        first.join().unwrap().is_ok(r#"{"echo":"parent"}"#);
    });
}

#[test]
fn a_fork_at_any_allocation_of_the_first_call_hangs_no_child() {
    if child::is_child() {
        let config = the_config();
        let step = env::var("TEST_STEP").unwrap().parse().unwrap();
        let mut tried = 0;
        for n in (1..).step_by(step) {
            let process = host::fork(|| fork_at_allocation(n, &config));
            let status = process.wait();
            if status.code() == Some(ENDED_BEFORE) {
                break;
            }
            assert!(status.success(), "a fork at allocation {n} of the first call: {status}");
            tried += 1;
        }
        child::tell(&tried.to_string());
        return;
    }
    let scene = Scene::new();
    let preload = host::Preload::new("slow_names");
    // TLS makes many more allocations, most of them alike.
    for (tls, step, at_least) in [(false, 1, 40), (true, 3, 60)] {
        let server = scene.server(tls);
        let variables = [
            (CONFIGS, format!("[{}]", scene.config(&server, tls, json!({})))),
            ("TEST_STEP", step.to_string()),
            // A lookup without the C library's locks, which the library cannot control.
            ("LD_PRELOAD", preload.file().to_owned()),
            ("TEST_NAMES", "localhost=127.0.0.1".to_owned()),
        ];
        let reported =
            child::run(module_path!(), "a_fork_at_any_allocation_of_the_first_call_hangs_no_child", &variables);
        let tried: usize = reported.last().unwrap().parse().unwrap();
        assert!(tried >= at_least, "{tried}");
        assert_eq!(connections_of(&server, "child").len(), tried);
    }
}

/// Makes this process, which has one thread, the parent of a new PID namespace. Returns an error if
/// it lacks the permission.
#[cfg(target_os = "linux")]
fn begin_pid_namespace() -> std::io::Result<()> {
    // SAFETY: neither call changes memory.
    let result = unsafe {
        let user = if libc::getuid() == 0 { 0 } else { libc::CLONE_NEWUSER };
        libc::unshare(user | libc::CLONE_NEWPID)
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_with_the_process_id_of_its_parent_is_recognised() {
    const TEST: &str = "a_child_with_the_process_id_of_its_parent_is_recognised";
    if child::is_child() {
        let config = the_config();
        host::fork(|| {
            if let Err(why) = begin_pid_namespace() {
                return child::tell(&format!("no PID namespace: {why}"));
            }
            // This process has the id 1, like the first process of a container.
            host::fork(|| {
                let client = Client::new(&config);
                trigger_as(&client, "parent 1");
                begin_pid_namespace().unwrap();
                // This one has the id 1, too.
                host::fork(|| {
                    assert_eq!(std::process::id(), 1);
                    trigger_as(&client, "child 1");
                })
                .join();
                assert_eq!(std::process::id(), 1);
                trigger_as(&client, "parent 2");
            })
            .join();
        })
        .join();
        return;
    }
    let scene = Scene::new();
    let server = scene.server(false);
    // The test is skipped where the process may not make namespaces. Between the two calls of
    // unshare no thread can start.
    if let Some(why) = run(TEST, &[scene.config(&server, false, json!({"host": "127.0.0.1"}))]).first() {
        eprintln!("{why}");
        return;
    }
    let of = |sender| connections_of(&server, sender);
    assert_eq!((of("parent"), of("child")), (BTreeSet::from([0]), BTreeSet::from([1])));
}

/// Runs `body` while the process cannot open another descriptor.
fn without_descriptors<T>(body: impl FnOnce() -> T) -> T {
    with_descriptors_left(0, body)
}

/// Runs `body` while the process can open only this many descriptors.
pub fn with_descriptors_left<T>(left: usize, body: impl FnOnce() -> T) -> T {
    // SAFETY: the structure is live, and no other code uses these descriptors.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = limit.rlim_max.min(256);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
        let mut taken = Vec::with_capacity(256);
        loop {
            match libc::dup(2) {
                -1 => break,
                descriptor => taken.push(descriptor),
            }
        }
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EMFILE));
        (0..left).for_each(|_| _ = taken.pop().map(|descriptor| libc::close(descriptor)));
        let result = body();
        taken.into_iter().for_each(|descriptor| _ = libc::close(descriptor));
        result
    }
}

#[test]
fn a_lack_of_descriptors_is_reported_and_clients_work_again_afterwards() {
    const TEST: &str = "a_lack_of_descriptors_is_reported_and_clients_work_again_afterwards";
    if child::is_child() {
        for (index, config) in configs().into_iter().enumerate() {
            host::fork(|| {
                let client = Client::new(&config);
                let outcome = without_descriptors(|| client.trigger("c", "e", "\"never\""));
                child::tell(
                    &json!([index, outcome.name(), outcome.text("cause"), outcome.text("message")]).to_string(),
                );
                trigger_as(&client, "then");
                // A connected client needs no other descriptor.
                without_descriptors(|| trigger_as(&client, "and on"));
            })
            .join();
        }
        return;
    }
    let scene = Scene::new();
    let (plain, tls) = (scene.server(false), scene.server(true));
    let address = json!({"host": "127.0.0.1"});
    let configs = [
        scene.config(&plain, false, address.clone()),
        scene.config(&plain, false, json!({})),
        // The ca_file cannot be opened.
        scene.config(&tls, true, json!({})),
    ];
    let reported = run(TEST, &configs);
    for (line, cause) in reported.iter().zip(["connect", "dns", "connect"]) {
        let reported: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&reported[1], &reported[2]), (&json!("NOT_SENT"), &json!(cause)), "{reported}");
        assert!(reported[3].as_str().unwrap().contains("Too many open files"), "{reported}");
    }
    assert_eq!(reported.len(), configs.len());
    for (server, clients) in [(&plain, 2), (&tls, 1)] {
        assert_eq!((connections_of(server, "never").len(), connections_of(server, "then").len()), (0, clients));
        assert_eq!((server.ledger().len(), server.connections()), (2 * clients, clients));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_lack_of_threads_is_reported_and_calls_without_a_lookup_succeed() {
    const TEST: &str = "a_lack_of_threads_is_reported_and_calls_without_a_lookup_succeed";
    if child::is_child() {
        let no_threads: *const std::sync::atomic::AtomicI32 = host::symbol(c"no_threads").cast();
        // SAFETY: the preloaded library has an atomic integer of this name for as long as the
        // process lives.
        let no_threads = unsafe { &*no_threads };
        let clients: Vec<Client> = configs().iter().map(|config| Client::new(config)).collect();
        let [by_address, by_name] = &*clients else { panic!() };
        no_threads.store(1, Ordering::Relaxed);
        trigger_as(by_address, "without");
        for _ in 0..10 {
            let outcome = by_name.trigger("c", "e", "\"never\"");
            outcome.is("NOT_SENT", "not_sent").because("dns");
            assert!(outcome.text("message").contains("could not start a thread"), "{outcome:?}");
            assert_eq!(outcome.error()["retryable"], json!(true));
        }
        // An event is not queued when no thread can send it. A later one is.
        let publisher = Publisher::new(by_address, &json!({}));
        let outcome = publisher.try_publish("c", "e", "\"never\"", None).unwrap_err();
        outcome.is("INTERNAL", "not_sent");
        assert!(
            outcome.text("message").starts_with("the system has no thread for this call, which did nothing"),
            "{outcome:?}"
        );
        assert_eq!(publisher.stats()["events"]["published"], json!(0));
        no_threads.store(0, Ordering::Relaxed);
        publisher.publish("c", "e", "\"by a publisher\"");
        publisher.flush();
        trigger_as(by_name, "then");
        no_threads.store(1, Ordering::Relaxed);
        trigger_as(by_name, "and on");
        return;
    }
    let scene = Scene::new();
    let server = scene.server(false);
    let preload = host::Preload::new("no_threads");
    let configs = [json!({"host": "127.0.0.1"}), json!({})].map(|more| scene.config(&server, false, more));
    let variables = [("LD_PRELOAD", preload.file().to_owned()), (CONFIGS, format!("[{}]", configs.join(",")))];
    child::run(module_path!(), TEST, &variables);
    accepted_once(&server, ["without", "by a publisher", "then", "and on"].map(str::to_owned));
}

#[test]
fn no_call_raises_sigpipe() {
    const TEST: &str = "no_call_raises_sigpipe";
    /// More than the kernel takes at once from a new connection.
    const BIG_BYTES: usize = 2 << 20;
    /// The second write to a connection that the peer has closed in order raises the signal.
    const ENDINGS: [End; 6] = [End::Close, End::Close, End::Cut, End::Close, End::Reset, End::Reset];
    if child::is_child() {
        // Show that the signal would be noticed: Rust's start-up code ignores it.
        let status = host::fork(|| {
            host::handle(libc::SIGPIPE, host::Handler::Default);
            let mut ends = [0; 2];
            // SAFETY: the array is live, and no other code uses these descriptors.
            unsafe {
                assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
                libc::close(ends[0]);
                libc::write(ends[1], c"x".as_ptr().cast(), 1);
            }
        })
        .wait();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGPIPE), "{status}");
        let data = format!("\"{}\"", "a".repeat(BIG_BYTES));
        for config in configs() {
            host::fork(|| {
                host::handle(libc::SIGPIPE, host::Handler::Default);
                let client = Client::new(&config);
                for _ in 0..ENDINGS.len() {
                    // The server closes in the middle of each request.
                    let outcome = client.trigger("c", "e", &data);
                    assert_ne!(outcome.status, 0, "{outcome:?}");
                    child::tell(&format!("{} {}", outcome.name(), outcome.text("cause")));
                }
            })
            .join();
        }
        return;
    }
    let scene = Scene::new();
    for tls in [false, true] {
        for proxied in [false, true] {
            let server = Server::builder().receive_buffer(16 * 1024);
            let server =
                if tls && !proxied { server.tls(scene.authority.server(&["localhost"])) } else { server }.start();
            for end in ENDINGS {
                server.next(Answer::nothing().without_reading().then(end));
            }
            let mut more = json!({"max_data_bytes": BIG_BYTES, "timeout_ms": 10_000});
            if proxied {
                more["proxy"] = json!(format!("http://127.0.0.1:{}", server.port()));
            }
            let reported = run(TEST, &[scene.config(&server, tls, more)]);
            assert_eq!(reported.len(), ENDINGS.len(), "{reported:?}");
        }
    }
}

#[test]
fn a_child_begins_with_a_closed_circuit() {
    if child::is_child() {
        let client = Client::new(&the_config());
        trigger(&client).because("connect");
        trigger(&client).because("circuit");
        host::fork(|| {
            trigger(&client).because("connect");
            trigger(&client).because("circuit");
        })
        .join();
        trigger(&client).because("circuit");
        return;
    }
    let more = json!({"circuit_breaker": {"failures": 1, "open_ms": 600_000}});
    run("a_child_begins_with_a_closed_circuit", &[config(9, more)]);
}
