//! Many events from several threads, and a server that fails at random: each report matches what
//! happened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use crate::support::publisher::{FOR_EVER, Report, events_of};
use crate::support::server::Received;
use crate::support::{Answer, End, Random, Server};
use crate::{Scene, busy, seed};

const THREADS: usize = 4;

/// One in this many events is invalid, so that the server refuses its batch.
const ONE_BAD_IN: usize = 300;

/// What the server did: how often it published each event, by the event's number.
struct Truth {
    published: Vec<u32>,
    random: Random,
}

impl Truth {
    /// Serves a request as a real server does, or fails at random.
    fn serve(&mut self, request: &Received) -> Answer {
        let events = events_of(request);
        let roll = self.random.below(1000);
        let good = events.iter().take_while(|event| !event.data.starts_with("\"bad")).count();
        let (applied, answer) = match roll {
            0..30 => (0, busy()),
            30..45 => (0, Answer::new(500, &[], "before")),
            45..60 => (good, Answer::new(503, &[("Retry-After", "0")], "after")),
            60..70 => (0, Answer::new(403, &[], "no")),
            70..80 => (0, Answer::nothing().then(End::Close)),
            80..90 => (good, Answer::nothing().then(End::Reset)),
            90..100 => (good, Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").then(End::Close)),
            100..105 => (good, Answer::ok("<html>")),
            // The request succeeds, then the connection ends.
            105..125 if good == events.len() => (good, Answer::ok("{}").then(End::Close)),
            125..135 if good == events.len() => (good, Answer::ok("{}").then(End::Reset)),
            _ if good < events.len() => (good, Answer::new(400, &[], "a bad event")),
            _ => (good, Answer::ok("{}")),
        };
        for event in &events[..applied] {
            let number: usize = event.data.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
            self.published[number] += 1;
        }
        answer
    }
}

/// Publishes from all threads, closes the publisher, and compares every report with what happened.
fn run(events: usize, mode: &str, is_safe: bool) {
    let seed = seed();
    println!("{mode}: PUBLISHER_SEED={seed}");
    let truth = Arc::new(Mutex::new(Truth { published: vec![0; events], random: Random::new(seed) }));
    let served = Arc::clone(&truth);
    let server = Server::builder().answering(move |request| served.lock().unwrap().serve(request)).start();
    // Some connections are reset before the server reads anything.
    (0..20).for_each(|_| server.next(Answer::nothing().without_reading().then(End::Reset)));
    let more = json!({
        "connections": 4, "retry": {"mode": mode}, "overflow": "block", "timeout_ms": 60_000, "max_queue_events": 2000,
        "max_reports": events,
    });
    let scene = Scene::on(server, json!({}), more);
    let published: Vec<BTreeMap<u64, usize>> = thread::scope(|scope| {
        let publishing: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (publisher, mut random) = (&scene.publisher, Random::new(seed + thread as u64 + 1));
                scope.spawn(move || {
                    let mut ids = BTreeMap::new();
                    for number in (thread..events).step_by(THREADS) {
                        let bad = if random.below(ONE_BAD_IN) == 0 { "bad " } else { "" };
                        let channel = format!("c{}", random.below(16));
                        let options = (random.below(10) == 0).then(|| json!({"socket_id": "1.2"}));
                        let data = json!(format!("{bad}{number}")).to_string();
                        let id = publisher.try_publish(&channel, "e", &data, options.as_ref());
                        let id = id.unwrap_or_else(|outcome| panic!("seed {seed}: {outcome:?}"));
                        assert!(ids.insert(id, number).is_none());
                    }
                    ids
                })
            })
            .collect();
        publishing.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    scene.publisher.close();
    let mut ids = BTreeMap::new();
    published.into_iter().for_each(|of_thread| ids.extend(of_thread));
    assert_eq!(ids.len(), events, "an id was given twice");
    let mut reports: BTreeMap<u64, Report> = BTreeMap::new();
    while let Some(polled) = scene.publisher.poll(FOR_EVER) {
        assert_eq!(polled.lost, None);
        for report in polled.reports {
            let other = reports.insert(report.id, report);
            assert!(other.is_none(), "seed {seed}: reported twice: {other:?}");
        }
    }
    let truth = truth.lock().unwrap();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut doubled = 0;
    for (id, number) in &ids {
        let report = reports.get(id).unwrap_or_else(|| panic!("seed {seed}: {id} was never reported"));
        let times = truth.published[*number];
        let is_right = match report.delivery.as_str() {
            "delivered" => times == 1 || (times > 1 && !is_safe),
            "unknown" => times <= 1 || !is_safe,
            _ => times == 0,
        };
        assert!(is_right, "seed {seed}: published {times} times: {report:?}");
        doubled += u64::from(times > 1);
        *counts.entry(&report.delivery).or_default() += 1;
    }
    assert_eq!(reports.len(), events);
    let stats = scene.publisher.stats();
    for delivery in ["delivered", "not_sent", "rejected", "unknown"] {
        let count = counts.get(delivery).copied().unwrap_or(0);
        assert_eq!(stats["events"][delivery], count, "seed {seed}");
    }
    assert_eq!((&stats["events"]["published"], &stats["queue"]["events"]), (&json!(events), &json!(0)));
    assert!(counts["delivered"] > events as u64 / 2 && counts.len() >= 3, "{counts:?}");
    assert!(!is_safe || doubled == 0);
    println!("{mode}: {counts:?}, published twice: {doubled}, {}", stats["retries"]);
}

#[test]
fn reports_of_a_hundred_thousand_events_under_faults_are_correct() {
    run(100_000, "safe", true);
}

#[test]
fn without_retries_no_event_is_published_twice() {
    run(10_000, "never", true);
}

#[test]
fn in_mode_at_least_once_every_delivered_event_was_published() {
    run(10_000, "at_least_once", false);
}
