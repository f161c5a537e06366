//! The statistics of a client: counted with relaxed atomics, because a call costs little more than its request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::api::Endpoint;
use crate::error::Error;
use crate::http::Connections;
use crate::json::Writer;
use crate::retry;
use crate::statistics::{Exposition, Histogram, SharedHistogram, StatsFormat, write_histogram, write_numbers};
use crate::status::Delivery;

/// The outcomes of a call that publishes, in the order of its counters.
const DELIVERIES: [Delivery; OUTCOMES] =
    [Delivery::Delivered, Delivery::NotSent, Delivery::Rejected, Delivery::Unknown];

/// The outcomes of a call that publishes nothing.
const RESULTS: [&str; OUTCOMES] = ["succeeded", "failed", "", ""];

const RESULTS_COUNT: usize = 2;

const OUTCOMES: usize = 4;

/// The counters of one client, which its clones share. A forked child has a copy of them, and goes on from there.
#[derive(Debug, Default)]
pub struct Statistics {
    calls: [[AtomicU64; OUTCOMES]; Endpoint::ALL.len()],
    latency: SharedHistogram,
    requests: AtomicU64,
    retries: [AtomicU64; retry::CAUSES.len()],
}

impl Statistics {
    /// Counts a call that has ended after this time.
    pub fn count_call(&self, endpoint: Endpoint, result: Result<(), &Error>, duration: Duration) {
        let outcome = match result {
            Ok(()) => 0,
            Err(error) if endpoint.publishes() => {
                let delivery = error.delivery(endpoint.purpose()).unwrap_or(Delivery::Unknown);
                DELIVERIES.iter().position(|known| *known == delivery).unwrap_or(OUTCOMES - 1)
            }
            Err(_) => 1,
        };
        self.calls[endpoint as usize][outcome].fetch_add(1, Ordering::Relaxed);
        // Without the 128 bits of as_micros().
        self.latency.add(duration.as_secs().saturating_mul(1_000_000) + u64::from(duration.subsec_micros()));
    }

    /// Counts a request: an attempt of a call, or of a publisher's batch.
    pub fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a retry, by the cause of the failure before.
    pub fn count_retry(&self, cause: &str) {
        let cause = retry::CAUSES.iter().position(|known| *known == cause).unwrap_or(retry::CAUSES.len() - 1);
        self.retries[cause].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the statistics, and those of the connections, in a format.
    pub fn document(&self, connections: Connections, format: StatsFormat) -> Result<String, Error> {
        match format {
            StatsFormat::Json => self.json(connections),
            StatsFormat::Prometheus => Ok(self.prometheus(connections)),
        }
    }

    fn json(&self, connections: Connections) -> Result<String, Error> {
        let Connections { idle, opened, reused } = connections;
        let mut json = Writer::new();
        json.begin_object().key("calls").begin_object();
        for endpoint in Endpoint::ALL {
            json.key(endpoint.name());
            write_numbers(&mut json, self.outcomes(endpoint));
        }
        json.end_object().key("requests").number(self.requests.load(Ordering::Relaxed)).key("retries");
        write_numbers(&mut json, self.retries().filter(|(_, count)| *count > 0));
        json.key("latency_ms");
        write_histogram(&mut json, &self.latency(), 1000);
        json.key("connections");
        write_numbers(&mut json, [("idle", idle as u64), ("opened", opened), ("reused", reused)]);
        json.end_object();
        json.finish_string()
    }

    fn prometheus(&self, connections: Connections) -> String {
        let Connections { idle, opened, reused } = connections;
        let mut text = Exposition::new("pusher_client_");
        let calls = Endpoint::ALL.into_iter().flat_map(|endpoint| {
            self.outcomes(endpoint).map(move |(outcome, count)| ([endpoint.name(), outcome], count))
        });
        text.counters_by_two("calls_total", "Calls that have ended, by outcome.", ["call", "outcome"], calls);
        let requests = self.requests.load(Ordering::Relaxed);
        text.counter("requests_total", "Requests, each attempt counted.", requests);
        text.counters("retries_total", "Retries, by the failure before.", "cause", self.retries());
        text.histogram("latency_seconds", "Time of a call, retries included.", &self.latency(), 1e6);
        text.gauge("idle_connections", "Idle connections of this process.", idle as u64);
        text.counter("opened_connections_total", "Connections that were made.", opened);
        let help = "Requests over a connection that had been used before.";
        text.counter("reused_connections_total", help, reused);
        text.finish()
    }

    /// Returns the counts of a call by outcome.
    fn outcomes(&self, endpoint: Endpoint) -> impl Iterator<Item = (&'static str, u64)> {
        let names = DELIVERIES.map(Delivery::name);
        let (names, count) = if endpoint.publishes() { (names, OUTCOMES) } else { (RESULTS, RESULTS_COUNT) };
        let counts = self.calls[endpoint as usize].iter().map(|count| count.load(Ordering::Relaxed));
        names.into_iter().zip(counts).take(count)
    }

    fn retries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        retry::CAUSES.into_iter().zip(self.retries.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    fn latency(&self) -> Histogram {
        self.latency.read()
    }
}
