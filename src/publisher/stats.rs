//! Statistics as documents: JSON, and the text that Prometheus scrapes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::histogram::Histogram;
use super::reports::{Counts, REASONS};

/// What is counted of requests.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// How many were sent, each attempt by itself.
    pub requests: u64,
    /// How many events each batch or trigger had.
    pub batches: Histogram,
    /// How often something was sent again, by what had gone wrong.
    pub retries: BTreeMap<&'static str, u64>,
}

impl Traffic {
    /// Nothing yet.
    pub fn new() -> Traffic {
        Traffic { requests: 0, batches: Histogram::of_events(), retries: BTreeMap::new() }
    }
}

/// A publisher's statistics at one instant.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Events that wait or are under way, and their bytes.
    pub queue_events: usize,
    /// See there.
    pub queue_bytes: usize,
    /// Events that are under way.
    pub in_flight: usize,
    /// Events that were taken in.
    pub published: u64,
    /// Calls that found no room.
    pub refused: u64,
    /// What became of them.
    pub counts: Counts,
    /// How long they took.
    pub latency: Histogram,
    /// Reports that wait to be fetched.
    pub reports_waiting: usize,
    /// Reports that were given up for newer ones.
    pub reports_lost: u64,
    /// The requests.
    pub traffic: Traffic,
}

impl Stats {
    /// The JSON object that pusher_publisher_stats() documents.
    pub fn json(&self) -> String {
        let Counts { delivered, not_sent, rejected, unknown, unsent } = &self.counts;
        let Traffic { requests, batches, retries } = &self.traffic;
        let reasons = members(REASONS.iter().zip(unsent).map(|(reason, count)| (reason.name(), *count)));
        let retries = members(retries.iter().map(|(cause, count)| (*cause, *count)));
        format!(
            concat!(
                r#"{{"queue":{{"events":{},"bytes":{},"in_flight":{}}},"#,
                r#""events":{{"published":{},"refused":{},"delivered":{},"not_sent":{},"rejected":{},"unknown":{}}},"#,
                r#""unsent":{},"requests":{},"batch_events":{},"retries":{},"latency_ms":{},"#,
                r#""reports":{{"waiting":{},"lost":{}}}}}"#,
            ),
            self.queue_events,
            self.queue_bytes,
            self.in_flight,
            self.published,
            self.refused,
            delivered,
            not_sent,
            rejected,
            unknown,
            reasons,
            requests,
            histogram(batches, 1),
            retries,
            histogram(&self.latency, 1000),
            self.reports_waiting,
            self.reports_lost,
        )
    }

    /// The same in Prometheus' text format, version 0.0.4.
    pub fn prometheus(&self) -> String {
        let mut text = Exposition(String::new());
        text.gauge("queue_events", "Events that wait or are under way.", self.queue_events as u64);
        text.gauge("queue_bytes", "Their bytes.", self.queue_bytes as u64);
        text.gauge("in_flight_events", "Events that are under way.", self.in_flight as u64);
        text.counter("published_total", "Events that were taken in.", self.published);
        text.counter("refused_total", "Calls that found no room in the queue.", self.refused);
        let Counts { delivered, not_sent, rejected, unknown, unsent } = &self.counts;
        let deliveries =
            [("delivered", *delivered), ("not_sent", *not_sent), ("rejected", *rejected), ("unknown", *unknown)];
        text.counters("events_total", "Events that have ended, by what became of them.", "delivery", deliveries);
        let reasons = REASONS.iter().zip(unsent).map(|(reason, count)| (reason.name(), *count));
        text.counters("unsent_total", "Events that were never sent, by reason.", "reason", reasons);
        text.counter("requests_total", "Requests, each attempt by itself.", self.traffic.requests);
        text.histogram("batch_events", "Events in a request.", &self.traffic.batches, 1.0);
        let retries = self.traffic.retries.iter().map(|(cause, count)| (*cause, *count));
        text.counters("retries_total", "What was sent again, by what had gone wrong.", "cause", retries);
        text.histogram("latency_seconds", "From publishing to an event's end.", &self.latency, 1e6);
        text.gauge("reports_waiting", "Reports that wait to be fetched.", self.reports_waiting as u64);
        text.counter("reports_lost_total", "Reports that were given up for newer ones.", self.reports_lost);
        text.0
    }
}

/// An object of numbers by words of ours.
fn members<'a>(values: impl Iterator<Item = (&'a str, u64)>) -> String {
    let members: Vec<String> = values.map(|(word, value)| format!("\"{word}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// `{"count","sum","buckets":[[bound,count]…,[null,count]]}`, bounds and sum divided by `unit`.
fn histogram(histogram: &Histogram, unit: u64) -> String {
    let bounds = histogram.bounds.iter().map(|bound| (bound / unit).to_string()).chain(["null".to_owned()]);
    let buckets: Vec<String> =
        bounds.zip(&histogram.counts).map(|(bound, count)| format!("[{bound},{count}]")).collect();
    format!(r#"{{"count":{},"sum":{},"buckets":[{}]}}"#, histogram.count(), histogram.sum / unit, buckets.join(","))
}

/// Prometheus' text.
struct Exposition(String);

const PREFIX: &str = "pusher_publisher_";

impl Exposition {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        let _ = writeln!(self.0, "{PREFIX}{name} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        let _ = writeln!(self.0, "{PREFIX}{name} {value}");
    }

    fn counters<'a>(&mut self, name: &str, help: &str, label: &str, values: impl IntoIterator<Item = (&'a str, u64)>) {
        self.head(name, help, "counter");
        for (word, value) in values {
            let _ = writeln!(self.0, "{PREFIX}{name}{{{label}=\"{word}\"}} {value}");
        }
    }

    /// `unit` is how many of the histogram's make one of Prometheus'.
    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram, unit: f64) {
        self.head(name, help, "histogram");
        let mut sum = 0;
        let bounds = histogram.bounds.iter().map(|bound| (*bound as f64 / unit).to_string()).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&histogram.counts) {
            sum += count;
            let _ = writeln!(self.0, "{PREFIX}{name}_bucket{{le=\"{bound}\"}} {sum}");
        }
        let _ = writeln!(self.0, "{PREFIX}{name}_sum {}", histogram.sum as f64 / unit);
        let _ = writeln!(self.0, "{PREFIX}{name}_count {sum}");
    }
}
