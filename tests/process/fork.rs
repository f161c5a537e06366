//! What the host process does to a client: it forks at any instant, has no descriptors or threads left, and dies of SIGPIPE if it
//! is sent one.
//!
//! The process that forks is a child of the test's own, so that nothing of the server is inherited.

#![cfg(unix)]
// What is only for Linux leaves its helpers behind elsewhere.
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{env, thread};

use crate::support::tls::Authority;
use crate::support::{Answer, Client, End, Server, child, config, host};
use serde_json::{Value, json};

/// The variable that holds the configurations for the process that forks.
const CONFIGS: &str = "TEST_CONFIGS";

/// The configurations that the test chose for this process.
fn configs() -> Vec<String> {
    let all: Value = serde_json::from_str(&env::var(CONFIGS).unwrap()).unwrap();
    all.as_array().unwrap().iter().map(Value::to_string).collect()
}

/// The only configuration.
fn the_config() -> String {
    configs().remove(0)
}

/// Runs the test again in a process that may fork as it likes.
#[track_caller]
fn run(test: &str, configs: &[String]) -> Vec<String> {
    child::run(module_path!(), test, &[(CONFIGS, format!("[{}]", configs.join(",")))])
}

/// A server with and without TLS, and a configuration for it. The host is a name, so that connecting takes a look-up.
struct Scene {
    authority: Authority,
}

impl Scene {
    fn new() -> Scene {
        Scene { authority: Authority::new() }
    }

    fn server(&self, tls: bool) -> Server {
        // Whoever asks learns which of its questions this answers.
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

/// Triggers in somebody's name, and holds that the answer is for this event.
#[track_caller]
fn say(client: &Client, who: &str) {
    client.trigger("c", "e", &format!("\"{who}\"")).is_ok(&format!("{{\"echo\":\"{who}\"}}"));
}

/// The connections on which somebody's events came.
fn connections_of(server: &Server, who: &str) -> BTreeSet<usize> {
    let is_theirs =
        |request: &&crate::support::server::Received| request.json()["data"].as_str().unwrap().starts_with(who);
    server.ledger().iter().filter(is_theirs).map(|request| request.connection).collect()
}

/// Holds that the server accepted these events, each once.
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

    fn say(&self, who: &str) {
        say(self.0.as_ref().unwrap(), who);
    }

    fn free(&mut self) {
        drop(self.0.take());
    }
}

#[test]
fn a_child_makes_its_own_connections_and_leaves_its_parents_alone() {
    if child::is_child() {
        let mut client = Shared::new(&the_config());
        client.say("parent 1");
        host::fork(|| {
            client.say("child 1");
            host::fork(|| {
                client.say("grandchild 1");
                client.say("grandchild 2");
                client.free();
            })
            .join();
            client.say("child 2");
            client.free();
        })
        .join();
        client.say("parent 2");
        // One that only frees it, and one that only exits.
        host::fork(|| client.free()).join();
        host::fork(|| {}).join();
        client.say("parent 3");
        // And one that has the client of the generation before it, which was never used there.
        host::fork(|| host::fork(|| client.say("heir 1")).join()).join();
        client.say("parent 4");
        return;
    }
    let scene = Scene::new();
    for tls in [false, true] {
        let server = scene.server(tls);
        run("a_child_makes_its_own_connections_and_leaves_its_parents_alone", &[scene.config(&server, tls, json!({}))]);
        for (who, connection) in [("parent", 0), ("child", 1), ("grandchild", 2), ("heir", 3)] {
            assert_eq!(connections_of(&server, who), BTreeSet::from([connection]), "{who}, tls: {tls}");
        }
        let events = [("parent", 4), ("child", 2), ("grandchild", 2), ("heir", 1)];
        accepted_once(&server, events.iter().flat_map(|(who, most)| (1..=*most).map(move |n| format!("{who} {n}"))));
        assert_eq!(server.connections(), 4);
    }
}

#[test]
fn a_client_that_was_not_used_before_the_fork_works_on_both_sides() {
    if child::is_child() {
        let mut client = Shared::new(&the_config());
        let children = ["first", "second"].map(|who| {
            host::fork(|| {
                client.say(&format!("{who} 1"));
                client.say(&format!("{who} 2"));
                client.free();
            })
        });
        children.into_iter().for_each(host::Forked::join);
        client.say("parent 1");
        // Made by a child, and used by that child's own.
        let config = the_config();
        host::fork(|| {
            let client = Client::new(&config);
            host::fork(|| say(&client, "born later 1")).join();
            say(&client, "made later 1");
        })
        .join();
        client.say("parent 2");
        return;
    }
    let scene = Scene::new();
    for tls in [false, true] {
        let server = scene.server(tls);
        run("a_client_that_was_not_used_before_the_fork_works_on_both_sides", &[scene.config(&server, tls, json!({}))]);
        let all = ["first", "second", "parent", "born later", "made later"].map(|who| connections_of(&server, who));
        assert!(all.iter().all(|connections| connections.len() == 1), "tls: {tls}: {all:?}");
        assert_eq!((all.into_iter().flatten().collect::<BTreeSet<_>>().len(), server.connections()), (5, 5));
        assert_eq!(server.ledger().len(), 8);
    }
}

#[test]
fn parent_and_children_call_at_the_same_time_and_each_gets_its_own_answers() {
    const CALLS: usize = 60;
    const CHILDREN: [&str; 3] = ["first", "second", "third"];
    let call = |client: &Shared, who: &str| (0..CALLS).for_each(|n| client.say(&format!("{who} {n}")));
    if child::is_child() {
        let client = Shared::new(&the_config());
        client.say("parent");
        let children = CHILDREN.map(|who| host::fork(|| call(&client, who)));
        call(&client, "parent");
        children.into_iter().for_each(host::Forked::join);
        return;
    }
    let scene = Scene::new();
    for tls in [false, true] {
        let server = scene.server(tls);
        run(
            "parent_and_children_call_at_the_same_time_and_each_gets_its_own_answers",
            &[scene.config(&server, tls, json!({}))],
        );
        assert_eq!(server.connections(), 1 + CHILDREN.len());
        let calls = CHILDREN.iter().chain([&"parent"]).flat_map(|who| (0..CALLS).map(move |n| format!("{who} {n}")));
        accepted_once(&server, calls.chain(["parent".to_owned()]));
    }
}

#[test]
fn a_fork_at_any_instant_hangs_no_child() {
    const THREADS: usize = 8;
    const FORKS: usize = 240;
    /// So many live at once.
    const AT_ONCE: usize = 6;
    if child::is_child() {
        let clients: Vec<Client> = configs().iter().map(|config| Client::new(config)).collect();
        let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (clients, stop, calls) = (&clients, &stop, &calls);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let call = calls.fetch_add(1, Ordering::Relaxed);
                        say(&clients[number % clients.len()], &format!("parent {call}"));
                    }
                });
            }
            let mut children = Vec::new();
            for number in 0..FORKS {
                children.push(host::fork(|| {
                    for (index, client) in clients.iter().enumerate() {
                        let outcome = client.trigger("c", "e", &format!("\"child {number}.{index}\""));
                        // The C library has locks of its own: a look-up may hang on one, and then its call ends in time.
                        if outcome.status != 0 {
                            outcome.is("NOT_SENT", "not_sent").because("timeout");
                            assert!(outcome.text("message").contains("looking up the host name"), "{outcome:?}");
                            child::tell("a look-up hung");
                        }
                    }
                }));
                if children.len() == AT_ONCE {
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
    // One that keeps its connection, and others that look the name up for every call.
    let none_kept = json!({"max_idle_connections": 0, "timeout_ms": 4000});
    let configs = [
        scene.config(&plain, false, json!({"host": "127.0.0.1", "timeout_ms": 4000})),
        scene.config(&plain, false, none_kept.clone()),
        scene.config(&tls, true, none_kept),
    ];
    // This takes no name over; it is loaded for what it does to Rust's start-up code.
    let preload = host::Preload::new("slow_names");
    let variables = [(CONFIGS, format!("[{}]", configs.join(","))), ("LD_PRELOAD", preload.file().to_owned())];
    let told = child::run(module_path!(), "a_fork_at_any_instant_hangs_no_child", &variables);
    let hung = told.iter().filter(|line| line.contains("hung")).count();
    let children = |server: &Server| {
        server.ledger().iter().filter(|request| request.json()["data"].as_str().unwrap().starts_with("child")).count()
    };
    assert_eq!(children(&plain) + children(&tls) + hung, 3 * FORKS);
    // A look-up that hangs is the C library's fault, and rare.
    assert!(hung <= FORKS / 20, "{told:?}");
}

/// The allocator of this test binary: it can stop a process's other threads at the n-th allocation from now.
struct Stopping;

#[global_allocator]
static ALLOCATOR: Stopping = Stopping;

/// How many allocations are left until one stops; 0 if none does.
static LEFT: AtomicUsize = AtomicUsize::new(0);
/// Whether a thread is stopped, and whether it may go on.
static STOPPED: AtomicBool = AtomicBool::new(false);
static GO_ON: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether this thread is never stopped.
    static EXEMPT: Cell<bool> = const { Cell::new(false) };
}

impl Stopping {
    fn step() {
        if LEFT.load(Ordering::Relaxed) == 0 || EXEMPT.get() || LEFT.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        STOPPED.store(true, Ordering::Release);
        while !GO_ON.load(Ordering::Acquire) {
            thread::yield_now();
        }
    }
}

// SAFETY: it is the system's allocator, which is asked a little later now and then.
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

/// The exit status of a process whose call ended before it was to be stopped.
const ENDED_BEFORE: i32 = 77;

/// In a process of its own: a thread makes the first call that this process ever made, and is stopped at the `n`-th allocation.
/// Then the process forks, and its child makes a call and frees the client.
fn fork_at_allocation(n: usize, config: &str) {
    EXEMPT.set(true);
    let client = Client::new(config);
    LEFT.store(n, Ordering::Relaxed);
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            let outcome = client.trigger("c", "e", "\"parent\"");
            // What follows is the end of the thread, and no business of the library's.
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
            LEFT.store(0, Ordering::Relaxed);
            say(&client, "child");
            // SAFETY: the thread that has borrowed it is not in this process, which does not touch it again.
            drop(unsafe { std::ptr::read(&raw const client) });
            host::exit(0);
        })
        .join();
        GO_ON.store(true, Ordering::Release);
        first.join().unwrap().is_ok(r#"{"echo":"parent"}"#);
    });
}

#[test]
fn a_fork_anywhere_in_the_first_call_of_a_process_hangs_no_child() {
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
            assert!(status.success(), "a fork at the allocation with number {n} of the first call: {status}");
            tried += 1;
        }
        child::tell(&tried.to_string());
        return;
    }
    let scene = Scene::new();
    let preload = host::Preload::new("slow_names");
    // Over TLS there are many more, most of them alike.
    for (tls, step, at_least) in [(false, 1, 100), (true, 3, 100)] {
        let server = scene.server(tls);
        let variables = [
            (CONFIGS, format!("[{}]", scene.config(&server, tls, json!({})))),
            ("TEST_STEP", step.to_string()),
            // A look-up without the C library's locks, which are out of this one's hands.
            ("LD_PRELOAD", preload.file().to_owned()),
            ("TEST_NAMES", "localhost=127.0.0.1".to_owned()),
        ];
        let told =
            child::run(module_path!(), "a_fork_anywhere_in_the_first_call_of_a_process_hangs_no_child", &variables);
        let tried: usize = told.last().unwrap().parse().unwrap();
        assert!(tried >= at_least, "{tried}");
        assert_eq!(connections_of(&server, "child").len(), tried);
    }
}

/// Makes this process, which has one thread, the parent of a new namespace of process ids. Says why if it may not.
#[cfg(target_os = "linux")]
fn begin_a_namespace_of_processes() -> std::io::Result<()> {
    // SAFETY: neither changes anything in memory.
    let result = unsafe {
        let user = if libc::getuid() == 0 { 0 } else { libc::CLONE_NEWUSER };
        libc::unshare(user | libc::CLONE_NEWPID)
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_with_the_process_id_of_its_parent_is_told_from_it() {
    const TEST: &str = "a_child_with_the_process_id_of_its_parent_is_told_from_it";
    if child::is_child() {
        let config = the_config();
        host::fork(|| {
            if let Err(why) = begin_a_namespace_of_processes() {
                return child::tell(&format!("no namespace of its own: {why}"));
            }
            // Number 1, as the first process of a container, …
            host::fork(|| {
                let client = Client::new(&config);
                say(&client, "parent 1");
                begin_a_namespace_of_processes().unwrap();
                // … and number 1 again.
                host::fork(|| {
                    assert_eq!(std::process::id(), 1);
                    say(&client, "child 1");
                })
                .join();
                assert_eq!(std::process::id(), 1);
                say(&client, "parent 2");
            })
            .join();
        })
        .join();
        return;
    }
    let scene = Scene::new();
    let server = scene.server(false);
    // Where nobody may have namespaces, there is nothing to see here. No thread can be started between the two calls of unshare.
    if let Some(why) = run(TEST, &[scene.config(&server, false, json!({"host": "127.0.0.1"}))]).first() {
        eprintln!("{why}");
        return;
    }
    let of = |who| connections_of(&server, who);
    assert_eq!((of("parent"), of("child")), (BTreeSet::from([0]), BTreeSet::from([1])));
}

/// Runs `body` while the process can't open anything more.
fn without_descriptors<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: the structure is live, and the descriptors are this function's own.
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
        let result = body();
        taken.into_iter().for_each(|descriptor| _ = libc::close(descriptor));
        result
    }
}

#[test]
fn a_process_without_descriptors_is_told_so_and_its_clients_work_when_it_has_some_again() {
    const TEST: &str = "a_process_without_descriptors_is_told_so_and_its_clients_work_when_it_has_some_again";
    if child::is_child() {
        for (index, config) in configs().into_iter().enumerate() {
            host::fork(|| {
                let client = Client::new(&config);
                let outcome = without_descriptors(|| client.trigger("c", "e", "\"never\""));
                child::tell(
                    &json!([index, outcome.name(), outcome.text("cause"), outcome.text("message")]).to_string(),
                );
                say(&client, "then");
                // What is connected needs no more.
                without_descriptors(|| say(&client, "and on"));
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
        // The file of authorities can't be opened.
        scene.config(&tls, true, json!({})),
    ];
    let told = run(TEST, &configs);
    for (line, cause) in told.iter().zip(["connect", "dns", "tls"]) {
        let told: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&told[1], &told[2]), (&json!("NOT_SENT"), &json!(cause)), "{told}");
        assert!(told[3].as_str().unwrap().contains("Too many open files"), "{told}");
    }
    assert_eq!(told.len(), configs.len());
    for (server, clients) in [(&plain, 2), (&tls, 1)] {
        assert_eq!((connections_of(server, "never").len(), connections_of(server, "then").len()), (0, clients));
        assert_eq!((server.ledger().len(), server.connections()), (2 * clients, clients));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_may_start_no_thread_is_told_so_and_calls_that_need_none_go_on() {
    const TEST: &str = "a_process_that_may_start_no_thread_is_told_so_and_calls_that_need_none_go_on";
    if child::is_child() {
        let no_threads: *const std::sync::atomic::AtomicI32 = host::symbol(c"no_threads").cast();
        // SAFETY: the preloaded library has an atomic integer of this name for as long as the process lives.
        let no_threads = unsafe { &*no_threads };
        let clients: Vec<Client> = configs().iter().map(|config| Client::new(config)).collect();
        let [by_address, by_name] = &*clients else { panic!() };
        no_threads.store(1, Ordering::Relaxed);
        say(by_address, "without");
        for _ in 0..10 {
            let outcome = by_name.trigger("c", "e", "\"never\"");
            outcome.is("NOT_SENT", "not_sent").because("dns");
            assert!(outcome.text("message").contains("could not start a thread"), "{outcome:?}");
            assert_eq!(outcome.error()["retryable"], json!(true));
        }
        no_threads.store(0, Ordering::Relaxed);
        say(by_name, "then");
        no_threads.store(1, Ordering::Relaxed);
        say(by_name, "and on");
        return;
    }
    let scene = Scene::new();
    let server = scene.server(false);
    let preload = host::Preload::new("no_threads");
    let configs = [json!({"host": "127.0.0.1"}), json!({})].map(|more| scene.config(&server, false, more));
    let variables = [("LD_PRELOAD", preload.file().to_owned()), (CONFIGS, format!("[{}]", configs.join(",")))];
    child::run(module_path!(), TEST, &variables);
    accepted_once(&server, ["without", "then", "and on"].map(str::to_owned));
}

#[test]
fn no_call_raises_sigpipe() {
    const TEST: &str = "no_call_raises_sigpipe";
    /// More than the kernel takes at once from a new connection.
    const BIG: usize = 2 << 20;
    /// A connection that ends in order and is then written to is the one that raises it, for the second write.
    const ENDINGS: [End; 6] = [End::Close, End::Close, End::Cut, End::Close, End::Reset, End::Reset];
    if child::is_child() {
        // First that it would be seen: Rust's own start-up code ignores the signal.
        let status = host::fork(|| {
            host::handle(libc::SIGPIPE, host::Handler::Default);
            let mut ends = [0; 2];
            // SAFETY: the array is live, and the descriptors are this process's own.
            unsafe {
                assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
                libc::close(ends[0]);
                libc::write(ends[1], c"x".as_ptr().cast(), 1);
            }
        })
        .wait();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGPIPE), "{status}");
        let data = format!("\"{}\"", "a".repeat(BIG));
        for config in configs() {
            host::fork(|| {
                host::handle(libc::SIGPIPE, host::Handler::Default);
                let client = Client::new(&config);
                for _ in 0..ENDINGS.len() {
                    // The server leaves in the middle of each.
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
            let mut more = json!({"max_data_bytes": BIG, "timeout_ms": 10_000});
            if proxied {
                more["proxy"] = json!(format!("http://127.0.0.1:{}", server.port()));
            }
            let told = run(TEST, &[scene.config(&server, tls, more)]);
            assert_eq!(told.len(), ENDINGS.len(), "{told:?}");
        }
    }
}
