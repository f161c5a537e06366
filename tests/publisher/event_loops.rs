//! The descriptor for event loops: readable while reports wait, and when there is space again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::support::Answer;
use crate::support::publisher::{self, Publisher, patience_ms};
use crate::{Scene, delivered};

/// Waits until the descriptor is readable. Returns whether it is in time.
#[cfg(windows)]
fn is_readable(fd: i32, timeout_ms: i32) -> bool {
    use windows_sys::Win32::Networking::WinSock::{POLLIN, WSAPOLLFD, WSAPoll};
    let mut entry = WSAPOLLFD { fd: fd as usize, events: POLLIN, revents: 0 };
    // SAFETY: one valid entry.
    let count = unsafe { WSAPoll(&raw mut entry, 1, timeout_ms) };
    assert!(count >= 0 && entry.revents & !POLLIN == 0, "{count}, {}", entry.revents);
    count == 1
}

/// Waits until the descriptor is readable. Returns whether it is in time.
#[cfg(unix)]
fn is_readable(fd: i32, timeout_ms: i32) -> bool {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid entry.
    let count = unsafe { libc::poll(&raw mut entry, 1, timeout_ms) };
    assert!(count >= 0 && entry.revents & !libc::POLLIN == 0, "{count}, {}", entry.revents);
    count == 1
}

fn patience() -> i32 {
    i32::try_from(patience_ms()).unwrap()
}

#[track_caller]
fn fd_of(publisher: &Publisher) -> i32 {
    publisher::fd(Some(publisher)).unwrap()
}

/// epoll, by edges.
#[cfg(target_os = "linux")]
struct Edges(i32);

#[cfg(target_os = "linux")]
impl Edges {
    fn of(fd: i32) -> Edges {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 0 };
        // SAFETY: a new descriptor, and a valid event.
        unsafe {
            let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            assert_eq!(libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event), 0);
            Edges(epoll)
        }
    }

    fn wait(&self, timeout_ms: i32) -> bool {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: a valid event.
        unsafe { libc::epoll_wait(self.0, &raw mut event, 1, timeout_ms) == 1 }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Edges {
    fn drop(&mut self) {
        // SAFETY: it is open, and nothing else uses it.
        unsafe { libc::close(self.0) };
    }
}

#[cfg(unix)]
#[test]
fn the_descriptor_is_closed_on_exec_does_not_block_and_stays_the_same() {
    let scene = Scene::new([], json!({}));
    let fd = fd_of(&scene.publisher);
    assert_eq!(fd_of(&scene.publisher), fd);
    // SAFETY: it is open.
    let flags = unsafe {
        [libc::fcntl(fd, libc::F_GETFD) & libc::FD_CLOEXEC, libc::fcntl(fd, libc::F_GETFL) & libc::O_NONBLOCK]
    };
    assert_eq!(flags, [libc::FD_CLOEXEC, libc::O_NONBLOCK]);
}

#[test]
fn the_descriptor_is_readable_exactly_while_reports_wait() {
    let scene = Scene::new([], json!({}));
    let fd = fd_of(&scene.publisher);
    for _ in 0..3 {
        let held = scene.hold("c");
        // A held event has no report yet.
        assert!(!is_readable(fd, 0));
        scene.server.release();
        assert!(is_readable(fd, patience()));
        // It stays so until the report is fetched.
        assert!(is_readable(fd, 0));
        delivered(&scene.publisher.poll(0).unwrap().reports, [held]);
        assert!(!is_readable(fd, 0));
    }
    // A poll returns at most 1,000 reports.
    for _ in 0..1500 {
        scene.publisher.publish("c", "e", "1");
    }
    scene.publisher.flush();
    assert_eq!(scene.publisher.poll(0).unwrap().reports.len(), 1000);
    assert!(is_readable(fd, 0));
    assert_eq!(scene.publisher.poll(0).unwrap().reports.len(), 500);
    assert!(!is_readable(fd, 0));
}

#[test]
fn a_descriptor_that_is_asked_for_late_is_readable_at_once() {
    let scene = Scene::new([], json!({"max_queue_events": 1}));
    scene.publisher.publish("c", "e", "1");
    scene.publisher.flush();
    let fd = fd_of(&scene.publisher);
    assert!(is_readable(fd, 0));
    delivered(&[scene.publisher.report()], [1]);
    assert!(!is_readable(fd, 0));
    let scene = Scene::new([], json!({"max_queue_events": 1, "reports": "none"}));
    scene.hold("c");
    scene.publisher.try_publish("c", "e", "1", None).unwrap_err().is("QUEUE_FULL", "not_sent");
    scene.server.release();
    scene.publisher.flush();
    assert!(is_readable(fd_of(&scene.publisher), 0), "there is space again");
}

#[test]
fn the_descriptor_is_readable_when_there_is_space_again_until_the_next_publish() {
    for overflow in ["reject", "block"] {
        let scene = Scene::new(
            [],
            json!({"max_queue_events": 2, "reports": "none", "overflow": overflow, "timeout_ms": 30_000}),
        );
        let fd = fd_of(&scene.publisher);
        let options = json!({"timeout_ms": 1});
        scene.hold("c");
        scene.publisher.publish("c", "e", "1");
        assert!(!is_readable(fd, 0), "nothing was refused");
        scene.publisher.try_publish("c", "e", "2", Some(&options)).unwrap_err().is("QUEUE_FULL", "not_sent");
        assert!(!is_readable(fd, 0), "the queue is still full");
        scene.server.release();
        assert!(is_readable(fd, patience()));
        scene.publisher.flush();
        assert!(is_readable(fd, 0), "no one has published");
        scene.publisher.publish("c", "e", "2");
        assert!(!is_readable(fd, 0));
        scene.publisher.flush();
        assert!(!is_readable(fd, 0), "nothing was refused since");
    }
}

#[test]
fn a_little_space_shows_although_no_other_event_ends() {
    const EVENTS: usize = 8;
    const TIMES: usize = 20;
    let answers = vec![Answer::ok("{}").when_released(); EVENTS + TIMES];
    let config = json!({"connections": 1, "max_batch_events": 1, "max_queue_events": EVENTS, "reports": "none", "timeout_ms": 60_000});
    let scene = Scene::new(answers, config);
    let fd = fd_of(&scene.publisher);
    for _ in 0..EVENTS {
        scene.publisher.publish("c", "e", "1");
    }
    for _ in 0..TIMES {
        scene.publisher.try_publish("c", "e", "1", None).unwrap_err().is("QUEUE_FULL", "not_sent");
        assert!(!is_readable(fd, 0));
        scene.server.release();
        assert!(is_readable(fd, patience()), "one event has ended, and the next one waits for the server");
        scene.publisher.publish("c", "e", "1");
    }
    (0..EVENTS).for_each(|_| scene.server.release());
    scene.publisher.flush();
}

#[test]
fn an_event_that_never_fits_keeps_no_event_loop_busy() {
    let scene = Scene::new([], json!({"max_queue_bytes": 4000, "reports": "none"}));
    let fd = fd_of(&scene.publisher);
    let large = json!("x".repeat(5000)).to_string();
    for _ in 0..2 {
        scene.publisher.try_publish("c", "e", &large, None).unwrap_err().is("QUEUE_FULL", "not_sent");
        assert!(!is_readable(fd, 0));
        scene.publisher.publish("c", "e", "1");
        scene.publisher.flush();
    }
    assert!(!is_readable(fd, 0));
}

#[test]
fn the_reports_of_a_close_are_readable() {
    let scene = Scene::new([], json!({}));
    let fd = fd_of(&scene.publisher);
    scene.hold("c");
    scene.publisher.try_publish("c", "e", "1", None).unwrap();
    publisher::close(Some(&scene.publisher), 1).is("TIMED_OUT", "");
    assert!(is_readable(fd, 0));
    assert_eq!(scene.publisher.reports(2).len(), 2);
    // Closed and fetched: nothing will follow.
    assert!(!is_readable(fd, 0));
    assert_eq!(fd_of(&scene.publisher), fd, "a closed publisher has its descriptor");
    scene.server.release();
}

#[cfg(target_os = "linux")]
#[test]
fn each_new_reason_is_an_edge() {
    let scene = Scene::new([], json!({"max_queue_events": 1}));
    let fd = fd_of(&scene.publisher);
    let edges = Edges::of(fd);
    assert!(!edges.wait(0));
    // Space, and a report: the first makes it readable, the second is an edge all the same.
    scene.hold("c");
    scene.publisher.try_publish("c", "e", "1", None).unwrap_err().is("QUEUE_FULL", "not_sent");
    scene.server.release();
    scene.publisher.flush();
    assert!(edges.wait(patience()));
    assert!(!edges.wait(0));
    delivered(&[scene.publisher.report()], [1]);
    assert!(is_readable(fd, 0) && !edges.wait(0), "there is still space");
    scene.publisher.publish("c", "e", "2");
    assert!(edges.wait(patience()));
    delivered(&[scene.publisher.report()], [2]);
    assert!(!is_readable(fd, 0) && !edges.wait(0));
}

#[test]
fn an_event_loop_misses_nothing_under_load() {
    misses_nothing_under_load(|fd| Box::new(move || is_readable(fd, patience())));
}

#[cfg(target_os = "linux")]
#[test]
fn an_event_loop_by_edges_misses_nothing_under_load() {
    misses_nothing_under_load(|fd| {
        let edges = Edges::of(fd);
        Box::new(move || edges.wait(patience()))
    });
}

/// Two threads publish, and one event loop, which never waits for anything else, fetches all reports and publishes what
/// was refused. `waiting` makes a function that waits for a descriptor, and returns whether it was readable in time.
fn misses_nothing_under_load(waiting: fn(i32) -> Box<dyn Fn() -> bool>) {
    const EVENTS: usize = 3000;
    let scene = Scene::new([], json!({"connections": 3, "max_queue_events": 50, "linger_ms": 0}));
    let fd = fd_of(&scene.publisher);
    let wait = waiting(fd);
    let has_failed = AtomicBool::new(false);
    let (mut reported, mut published, mut wakes) = (BTreeSet::new(), 0, 0_usize);
    thread::scope(|scope| {
        let blocking = scope.spawn(|| {
            let options = json!({"timeout_ms": patience_ms()});
            for _ in 0..EVENTS {
                while scene.publisher.try_publish("other", "e", "1", Some(&options)).is_err() {
                    assert!(!has_failed.load(Ordering::Relaxed));
                    thread::yield_now();
                }
            }
        });
        while reported.len() < 2 * EVENTS {
            while published < EVENTS && scene.publisher.try_publish("own", "e", "1", None).is_ok() {
                published += 1;
            }
            let in_time = wait();
            has_failed.store(!in_time, Ordering::Relaxed);
            assert!(in_time, "{} reports, {published} published", reported.len());
            wakes += 1;
            while let Some(polled) = scene.publisher.poll(0) {
                assert_eq!(polled.lost, None);
                reported.extend(polled.reports.iter().map(|report| report.id));
            }
        }
        blocking.join().unwrap();
    });
    assert_eq!(reported, (1..=2 * EVENTS as u64).collect());
    assert!(!is_readable(fd, 0) || published == EVENTS, "nothing waits");
    assert!(wakes <= 8 * EVENTS, "{wakes} wake-ups for {} events", 2 * EVENTS);
}
