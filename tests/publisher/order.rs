//! The events of a channel arrive in the order in which they were published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::json;

use crate::support::publisher::{FOR_EVER, events_of};
use crate::support::server::Received;
use crate::support::{Answer, Random, Server};
use crate::{Scene, busy, seed};

/// The data of the events of each channel, in the order in which the server published them.
type Channels = BTreeMap<String, Vec<u64>>;

fn add(channels: &mut Channels, request: &Received) {
    for event in events_of(request) {
        for channel in event.channels {
            channels.entry(channel).or_default().push(event.data.parse().unwrap());
        }
    }
}

/// Starts a server that refuses every `one_in`-th request with 429 (none if 0). Returns it and the
/// events that it published.
fn server(one_in: usize) -> (Server, Arc<Mutex<Channels>>) {
    let published = Arc::<Mutex<Channels>>::default();
    let (ledger, requests) = (Arc::clone(&published), AtomicUsize::new(0));
    let answering = move |request: &Received| {
        let number = requests.fetch_add(1, Ordering::Relaxed) + 1;
        if one_in > 0 && number % one_in == 0 {
            return busy();
        }
        add(&mut ledger.lock().unwrap(), request);
        Answer::ok("{}")
    };
    (Server::builder().answering(answering).start(), published)
}

/// Publishes over `connections` connections, with retries. One in `across` events (none if 0) is
/// for several channels.
fn keeps_the_order(connections: usize, across: usize, seed: u64) {
    const EVENTS: u64 = 10_000;
    const CHANNELS: usize = 8;
    // Retries stay within their budget, so that every event is delivered.
    let (server, published) = server(100);
    let retry = json!({"mode": "safe", "max_attempts": 10});
    let more = json!({"connections": connections, "retry": retry, "max_queue_events": EVENTS, "linger_ms": 1});
    let scene = Scene::on(server, json!({}), more);
    let (mut random, mut expected) = (Random::new(seed), Channels::new());
    let name = |number: usize| format!("c{number}");
    for number in 1..=EVENTS {
        let first = random.below(CHANNELS);
        let several = across > 0 && random.below(across) == 0;
        let count = if several { 2 + random.below(3) } else { 1 };
        let channels: BTreeSet<String> = (0..count).map(|step| name((first + step * 3) % CHANNELS)).collect();
        let text = if several { json!(channels).to_string() } else { name(first) };
        scene.publisher.publish(&text, "e", &number.to_string());
        for channel in channels {
            expected.entry(channel).or_default().push(number);
        }
    }
    scene.publisher.flush_within(FOR_EVER);
    let reports = scene.publisher.reports(EVENTS as usize);
    let failed: Vec<_> = reports.iter().filter(|report| report.delivery != "delivered").take(3).collect();
    assert!(failed.is_empty(), "seed {seed}: {failed:?}");
    assert!(scene.publisher.stats()["retries"]["rate_limited"].as_u64().unwrap() > 0);
    assert!(*published.lock().unwrap() == expected, "wrong order: {connections} connections, seed {seed}");
    assert!(scene.server.connections() <= connections);
}

#[test]
fn ten_thousand_events_keep_the_order_of_their_channels() {
    let seed = seed();
    println!("PUBLISHER_SEED={seed}");
    thread::scope(|scope| {
        for (connections, across) in [(1, 0), (2, 20), (4, 7), (8, 3)] {
            scope.spawn(move || keeps_the_order(connections, across, seed));
        }
    });
}

#[test]
fn an_event_for_several_channels_keeps_the_order_of_each_of_them() {
    let scene = Scene::new([], json!({"connections": 64}));
    // The first channel is slow.
    scene.hold("slow");
    scene.publisher.publish(r#"["slow","other","third"]"#, "e", "1");
    scene.publisher.publish("other", "e", "2");
    // Events of other channels do not wait.
    for number in 0..20 {
        scene.publisher.publish(&format!("quick{number}"), "e", "3");
    }
    scene.server.wait_until("requests on other connections", |log| log.ledger.len() >= 2);
    let early: Vec<u64> = scene.server.ledger().iter().flat_map(events_of).map(|e| e.data.parse().unwrap()).collect();
    assert!(early.iter().all(|data| *data == 0 || *data == 3), "{early:?}");
    scene.server.release();
    scene.publisher.flush();
    let mut channels = Channels::new();
    scene.server.ledger().iter().for_each(|request| add(&mut channels, request));
    assert_eq!(channels["slow"], [0, 1]);
    assert_eq!((&channels["other"], &channels["third"]), (&vec![1, 2], &vec![1]));
    scene.publisher.reports(23);
}

#[test]
fn each_thread_keeps_its_own_order() {
    const THREADS: u64 = 4;
    const EVENTS: u64 = 1000;
    let (server, published) = server(0);
    let scene = Scene::on(server, json!({}), json!({"connections": 3}));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let publisher = &scene.publisher;
            scope.spawn(move || {
                for number in 0..EVENTS {
                    publisher.publish(&format!("c{}", number % 3), "e", &(thread * EVENTS + number).to_string());
                }
            });
        }
    });
    scene.publisher.flush();
    assert_eq!(scene.publisher.reports((THREADS * EVENTS) as usize).len(), 4000);
    for (channel, events) in &*published.lock().unwrap() {
        for thread in 0..THREADS {
            let of_thread: Vec<u64> = events.iter().copied().filter(|number| number / EVENTS == thread).collect();
            assert!(of_thread.is_sorted(), "{channel}: {of_thread:?}");
        }
    }
}

#[test]
#[ignore = "takes minutes without optimisation: scripts/publisher.sh"]
fn a_million_events_arrive_once_each_and_in_order() {
    const EVENTS: u64 = 1_000_000;
    const THREADS: u64 = 4;
    const CHANNELS: u64 = 8;
    // Each thread has separate channels, so that their order is known. Holds the last number of
    // each channel, and the total.
    let seen = Arc::new(Mutex::new((BTreeMap::<String, u64>::new(), 0_u64)));
    let ledger = Arc::clone(&seen);
    let answering = move |request: &Received| {
        let mut seen = ledger.lock().unwrap();
        for event in events_of(request) {
            let number: u64 = event.data.parse().unwrap();
            let last = seen.0.insert(event.channels[0].clone(), number).unwrap_or(0);
            assert_eq!(number, last + 1, "{}", event.channels[0]);
            seen.1 += 1;
        }
        crate::Answer::ok("{}")
    };
    let server = Server::builder().answering(answering).start();
    let more = json!({"overflow": "block", "timeout_ms": 60_000, "reports": "failures"});
    let scene = Scene::on(server, json!({}), more);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let publisher = &scene.publisher;
            scope.spawn(move || {
                for number in 0..EVENTS / THREADS {
                    let channel = format!("c{thread}-{}", number % CHANNELS);
                    publisher.publish(&channel, "e", &(number / CHANNELS + 1).to_string());
                }
            });
        }
    });
    scene.publisher.flush();
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(seen.lock().unwrap().1, EVENTS);
    let stats = scene.publisher.stats();
    assert_eq!((&stats["events"]["delivered"], &stats["reports"]["waiting"]), (&json!(EVENTS), &json!(0)));
    println!("{EVENTS} events in {seconds:.1} s, {} requests", stats["requests"]);
}
