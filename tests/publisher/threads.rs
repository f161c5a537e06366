//! The threads of a publisher: none before its first event, named, out of the way of signals, and gone with it.
#![cfg(target_os = "linux")]

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Scene;
use crate::support::child;
use crate::support::publisher::Publisher;
use crate::support::{PATIENCE, Server};

/// Name and blocked signals of each thread of this process that a publisher has started.
fn threads() -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        // It may have ended since it was listed.
        let (Ok(name), Ok(status)) = (fs::read_to_string(task.join("comm")), fs::read_to_string(task.join("status")))
        else {
            continue;
        };
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim();
        all.push((name.trim_end().to_owned(), u64::from_str_radix(blocked, 16).unwrap()));
    }
    all.retain(|(name, _)| name.starts_with("pusher"));
    all.sort();
    all
}

/// All threads of this process, whoever started them.
fn thread_count() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Waits until there is none any more: of a thread that was joined the kernel may still know a moment later.
fn wait_until_gone() {
    let start = Instant::now();
    while !threads().is_empty() {
        assert!(start.elapsed() < PATIENCE, "they stay: {:?}", threads());
        std::thread::yield_now();
    }
}

#[test]
fn a_publisher_has_no_thread_before_its_first_event() {
    if child::is_child() {
        let server = Server::start([]);
        let client = server.client();
        let before = thread_count();
        let publisher = Publisher::new(&client, &json!({"connections": 8}));
        publisher.stats();
        publisher.flush();
        publisher.has_no_report();
        assert!(publisher.try_publish("no channel", "e", "1", None).is_err());
        publisher.close();
        assert_eq!(publisher.try_publish("c", "e", "1", None).unwrap_err().name(), "CLOSED");
        assert_eq!((thread_count(), threads().len()), (before, 0), "{:?}", threads());
        return;
    }
    child::run::<&str>(module_path!(), "a_publisher_has_no_thread_before_its_first_event", &[]);
}

#[test]
fn threads_are_named_take_no_signals_and_go_with_the_publisher() {
    if child::is_child() {
        for closed_first in [false, true] {
            let scene = Scene::new([], json!({"connections": 3}));
            let before = threads();
            assert_eq!(before, []);
            scene.publisher.publish("c", "e", "1");
            // A thread names itself, so it must have run.
            scene.publisher.report();
            assert_eq!(threads().len(), 1);
            for number in 0..100 {
                scene.publisher.publish(&format!("c{number}"), "e", "1");
            }
            scene.publisher.flush();
            let after = threads();
            let names: Vec<&str> = after.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["pusher-send-0", "pusher-send-1", "pusher-send-2"]);
            for (name, blocked) in after {
                for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGCHLD, libc::SIGALRM, libc::SIGUSR1, libc::SIGPIPE]
                {
                    assert_eq!(blocked >> (signal - 1) & 1, 1, "{name} takes signal {signal}: {blocked:x}");
                }
                // A crash is the host's to handle.
                for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT] {
                    assert_eq!(blocked >> (signal - 1) & 1, 0, "{name} blocks signal {signal}: {blocked:x}");
                }
            }
            if closed_first {
                scene.publisher.close();
                wait_until_gone();
            }
            drop(scene);
            wait_until_gone();
        }
        return;
    }
    child::run::<&str>(module_path!(), "threads_are_named_take_no_signals_and_go_with_the_publisher", &[]);
}

#[test]
fn a_thread_that_waits_for_an_answer_ends_with_its_request() {
    if child::is_child() {
        let server = Server::start([crate::Answer::nothing()]);
        let publisher = Publisher::new(&server.client(), &json!({"timeout_ms": 1500}));
        publisher.publish("c", "e", "1");
        server.wait_until("the request", |log| log.ledger.len() == 1);
        let start = Instant::now();
        drop(publisher);
        // Freed within a second; the thread goes on to its deadline, and not beyond.
        assert_eq!(threads().len(), 1);
        wait_until_gone();
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        return;
    }
    child::run::<&str>(module_path!(), "a_thread_that_waits_for_an_answer_ends_with_its_request", &[]);
}
