//! The background publisher through the C ABI: what its header promises, held against a server that keeps a ledger.

#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod batches;
mod crowd;
mod ending;
mod hooks;
mod limits;
mod order;
mod reports;
mod retries;
mod secrecy;
mod stats;
mod threads;

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::publisher::Report;
use support::{Answer, Client, Publisher, Server};

/// A client of a server that has these answers, then 200 with `{}`, and a publisher of it that reports everything.
struct Scene {
    publisher: Publisher,
    client: Client,
    server: Server,
}

impl Scene {
    /// `more` is the publisher's configuration.
    #[track_caller]
    fn new(answers: impl IntoIterator<Item = Answer>, more: Value) -> Scene {
        Scene::on(Server::start(answers), json!({}), more)
    }

    /// Of this server, with this configuration of the client.
    #[track_caller]
    fn on(server: Server, of_client: Value, more: Value) -> Scene {
        let client = server.client_with(of_client);
        let publisher = Publisher::new(&client, &reporting_all(more));
        Scene { publisher, client, server }
    }

    /// Waits until the server has so many requests.
    #[track_caller]
    fn wait_for_requests(&self, count: usize) {
        self.server.wait_until(&format!("{count} requests"), |log| log.ledger.len() >= count);
    }

    /// Sends an event on `channel` whose request stays under way until [`Server::release`], so that what is published on the same
    /// connection meanwhile waits. Its id.
    #[track_caller]
    fn hold(&self, channel: &str) -> u64 {
        let before = self.server.ledger().len();
        self.server.next(Answer::ok("{}").when_released());
        let id = self.publisher.publish(channel, "held", "0");
        self.wait_for_requests(before + 1);
        id
    }
}

/// A publisher's configuration with `"reports":"all"`, unless it says otherwise.
fn reporting_all(more: Value) -> Value {
    let mut all = json!({"reports": "all"});
    let Value::Object(more) = more else { panic!("more configuration has to be an object") };
    all.as_object_mut().unwrap().extend(more);
    all
}

/// Holds that these events were delivered, in this order.
#[track_caller]
fn delivered(reports: &[Report], ids: impl IntoIterator<Item = u64>) {
    let said: Vec<(u64, &str)> = reports.iter().map(|report| (report.id, &*report.delivery)).collect();
    assert_eq!(said, ids.into_iter().map(|id| (id, "delivered")).collect::<Vec<_>>());
}

/// Refused, and welcome again at once.
fn busy() -> Answer {
    Answer::new(429, &[("Retry-After", "0")], "busy")
}

/// A seed that is another every time, unless the environment has one.
fn seed() -> u64 {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    env::var("PUBLISHER_SEED").map_or_else(|_| u64::from(clock()) + 1, |seed| seed.parse().unwrap())
}
