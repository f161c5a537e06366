//! The statistics of a publisher as documents: JSON, and the text format of Prometheus.

use std::collections::BTreeMap;

use super::queue::Reason;
use super::reports::Counts;
use crate::error::Error;
use crate::json::Writer;
use crate::statistics::{Exposition, Histogram, write_histogram, write_numbers};

/// Statistics of requests.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// The number of requests, each attempt counted.
    pub requests: u64,
    /// The number of events in each request, retries not counted.
    pub batches: Histogram,
    /// The number of retries, by the failure before.
    pub retries: BTreeMap<&'static str, u64>,
}

impl Traffic {
    /// Returns statistics of no request.
    pub fn new() -> Traffic {
        Traffic { requests: 0, batches: Histogram::of_events(), retries: BTreeMap::new() }
    }
}

/// A publisher's statistics at one instant.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The number of events that have not ended.
    pub queue_events: usize,
    /// The memory of these events and of their requests.
    pub queue_bytes: usize,
    /// The number of events in flight.
    pub in_flight: usize,
    /// The number of events that were ever queued.
    pub published: u64,
    /// The number of calls that found the queue full.
    pub refused: u64,
    /// The number of events by how they ended.
    pub counts: Counts,
    /// The time from publishing an event to its end.
    pub latency: Histogram,
    /// The number of reports that wait to be fetched.
    pub reports_waiting: usize,
    /// The number of reports that newer ones replaced.
    pub reports_lost: u64,
    /// The requests.
    pub traffic: Traffic,
}

impl Stats {
    /// Returns the JSON object that pusher_publisher_stats() documents.
    pub fn json(&self) -> Result<String, Error> {
        let Counts { delivered, not_sent, rejected, unknown, unsent } = &self.counts;
        let Traffic { requests, batches, retries } = &self.traffic;
        let mut json = Writer::new();
        json.begin_object().key("queue");
        write_numbers(
            &mut json,
            [
                ("events", self.queue_events as u64),
                ("bytes", self.queue_bytes as u64),
                ("in_flight", self.in_flight as u64),
            ],
        );
        json.key("events");
        write_numbers(
            &mut json,
            [
                ("published", self.published),
                ("refused", self.refused),
                ("delivered", *delivered),
                ("not_sent", *not_sent),
                ("rejected", *rejected),
                ("unknown", *unknown),
            ],
        );
        json.key("unsent");
        write_numbers(&mut json, by_reason(unsent));
        json.key("requests").number(*requests).key("batch_events");
        write_histogram(&mut json, batches, 1);
        json.key("retries");
        write_numbers(&mut json, retries.iter().map(|(cause, count)| (*cause, *count)));
        json.key("latency_ms");
        write_histogram(&mut json, &self.latency, 1000);
        json.key("reports");
        write_numbers(&mut json, [("waiting", self.reports_waiting as u64), ("lost", self.reports_lost)]);
        json.end_object();
        json.finish_string()
    }

    /// Returns the statistics in the text format of Prometheus, version 0.0.4.
    pub fn prometheus(&self) -> String {
        let mut text = Exposition::new("pusher_publisher_");
        text.gauge("queue_events", "Events that have not ended.", self.queue_events as u64);
        text.gauge("queue_bytes", "Memory of these events and their requests.", self.queue_bytes as u64);
        text.gauge("in_flight_events", "Events in flight.", self.in_flight as u64);
        text.counter("published_total", "Events that were queued.", self.published);
        text.counter("refused_total", "Calls that found the queue full.", self.refused);
        let Counts { delivered, not_sent, rejected, unknown, unsent } = &self.counts;
        let deliveries =
            [("delivered", *delivered), ("not_sent", *not_sent), ("rejected", *rejected), ("unknown", *unknown)];
        text.counters("events_total", "Events that have ended, by delivery.", "delivery", deliveries);
        text.counters("unsent_total", "Events that were never sent, by reason.", "reason", by_reason(unsent));
        text.counter("requests_total", "Requests, each attempt counted.", self.traffic.requests);
        text.histogram("batch_events", "Events in a request.", &self.traffic.batches, 1.0);
        let retries = self.traffic.retries.iter().map(|(cause, count)| (*cause, *count));
        text.counters("retries_total", "Retries, by the failure before.", "cause", retries);
        text.histogram("latency_seconds", "Time from publishing an event to its end.", &self.latency, 1e6);
        text.gauge("reports_waiting", "Reports that wait to be fetched.", self.reports_waiting as u64);
        text.counter("reports_lost_total", "Reports that newer ones replaced.", self.reports_lost);
        text.finish()
    }
}

/// Returns the counts of [`Counts::unsent`] with the names of their reasons.
fn by_reason(unsent: &[u64]) -> impl Iterator<Item = (&'static str, u64)> {
    Reason::ALL.iter().zip(unsent).map(|(reason, count)| (reason.name(), *count))
}
