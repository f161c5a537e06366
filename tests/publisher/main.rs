//! The background publisher through the C ABI: the promises of `pusher.h`, checked against a server
//! that records every request.

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod batches;
mod circuit;
mod crowd;
mod drain;
mod ending;
mod event_loops;
mod fan_out;
mod hooks;
mod idempotency;
mod limits;
mod order;
mod pace;
mod reports;
mod retries;
mod routes;
mod secrecy;
mod stats;
mod threads;

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use std::{env, thread};

use serde_json::{Value, json};
use support::publisher::Report;
use support::{Answer, Client, PATIENCE, Publisher, Server};

/// A server that sends the given responses and then 200 with `{}`, its client, and a publisher that
/// reports everything.
struct Scene {
    publisher: Publisher,
    client: Client,
    server: Server,
}

impl Scene {
    /// Starts a server with these responses. `more` is the publisher's configuration.
    #[track_caller]
    fn new(answers: impl IntoIterator<Item = Answer>, more: Value) -> Scene {
        Scene::on(Server::start(answers), json!({}), more)
    }

    /// Uses this server, with `of_client` as the client's configuration.
    #[track_caller]
    fn on(server: Server, of_client: Value, more: Value) -> Scene {
        let client = server.client_with(of_client);
        let publisher = Publisher::new(&client, &reporting_all(more));
        Scene { publisher, client, server }
    }

    /// Waits until the server has received `count` requests.
    #[track_caller]
    fn wait_for_requests(&self, count: usize) {
        self.server.wait_until(&format!("{count} requests"), |log| log.ledger.len() >= count);
    }

    /// Sends an event on `channel` whose request stays in flight until [`Server::release`]. Later
    /// events of the same connection wait for it. Returns the event's id.
    #[track_caller]
    fn hold(&self, channel: &str) -> u64 {
        let before = self.server.ledger().len();
        self.server.next(Answer::ok("{}").when_released());
        let id = self.publisher.publish(channel, "held", "0");
        self.wait_for_requests(before + 1);
        id
    }
}

/// Returns the comment of `pusher.h` that documents this function.
fn documentation(function: &str) -> &'static str {
    let header = include_str!("../../include/pusher.h");
    let (before, _) = header.split_once(&format!("PusherStatus {function}(")).unwrap();
    before.rsplit("/**").next().unwrap()
}

/// Returns a publisher's configuration with `"reports":"all"`, unless `more` sets `reports`.
fn reporting_all(more: Value) -> Value {
    let mut all = json!({"reports": "all"});
    let Value::Object(more) = more else { panic!("more configuration has to be an object") };
    all.as_object_mut().unwrap().extend(more);
    all
}

/// Asserts that the reports are of these events, in this order, and say that each was delivered.
#[track_caller]
fn delivered(reports: &[Report], ids: impl IntoIterator<Item = u64>) {
    let said: Vec<(u64, &str)> = reports.iter().map(|report| (report.id, &*report.delivery)).collect();
    assert_eq!(said, ids.into_iter().map(|id| (id, "delivered")).collect::<Vec<_>>());
}

/// A 429 response that allows an immediate retry.
fn busy() -> Answer {
    Answer::new(429, &[("Retry-After", "0")], "busy")
}

/// Waits until a request waits for a retry. Its attempt has ended then.
#[track_caller]
fn wait_for_retry(publisher: &Publisher) {
    let start = Instant::now();
    while publisher.stats()["retries"].as_object().unwrap().is_empty() {
        assert!(start.elapsed() < PATIENCE, "no retry");
        thread::yield_now();
    }
}

/// Returns `PUBLISHER_SEED` of the environment, or a new seed on each run.
fn seed() -> u64 {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    env::var("PUBLISHER_SEED").map_or_else(|_| u64::from(clock()) + 1, |seed| seed.parse().unwrap())
}
