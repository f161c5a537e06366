//! The threads of a publisher: started by its first event, named, with signals blocked, and ended
//! with the publisher.
#![cfg(target_os = "linux")]

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Scene;
use crate::support::child;
use crate::support::publisher::Publisher;
use crate::support::{PATIENCE, Server};

/// Returns the name and the blocked signals of each publisher thread of this process.
fn threads() -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        // The thread may have ended since it was listed.
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

/// Returns the number of threads of this process.
fn thread_count() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Waits until no publisher thread is left. The kernel may list a joined thread for a moment.
fn wait_until_gone() {
    let start = Instant::now();
    while !threads().is_empty() {
        assert!(start.elapsed() < PATIENCE, "threads are left: {:?}", threads());
        std::thread::yield_now();
    }
}

#[test]
fn a_publisher_starts_no_thread_before_its_first_event() {
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
    child::run::<&str>(module_path!(), "a_publisher_starts_no_thread_before_its_first_event", &[]);
}

#[test]
fn threads_are_named_block_signals_and_end_with_the_publisher() {
    if child::is_child() {
        for closed_first in [false, true] {
            let scene = Scene::new([], json!({"connections": 3}));
            let before = threads();
            assert_eq!(before, []);
            scene.publisher.publish("c", "e", "1");
            // A thread sets its own name, so it must have run.
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
                    assert_eq!(blocked >> (signal - 1) & 1, 1, "{name} does not block signal {signal}: {blocked:x}");
                }
                // The host handles crashes.
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
    child::run::<&str>(module_path!(), "threads_are_named_block_signals_and_end_with_the_publisher", &[]);
}

#[test]
fn a_thread_that_waits_for_a_response_ends_with_its_request() {
    if child::is_child() {
        let server = Server::start([crate::Answer::nothing()]);
        let publisher = Publisher::new(&server.client(), &json!({"timeout_ms": 1500}));
        publisher.publish("c", "e", "1");
        server.wait_until("the request", |log| log.ledger.len() == 1);
        let start = Instant::now();
        drop(publisher);
        // Freeing took at most a second. The thread runs until the request's deadline.
        assert_eq!(threads().len(), 1);
        wait_until_gone();
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        return;
    }
    child::run::<&str>(module_path!(), "a_thread_that_waits_for_a_response_ends_with_its_request", &[]);
}
