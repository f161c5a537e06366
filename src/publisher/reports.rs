//! What became of events: counted, and kept until it is fetched.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::histogram::Histogram;
use super::queue::{End, Ledger, Reason};
use super::shared::Backlog;
use crate::document;
use crate::error::{Error, Purpose};
use crate::json::Writer;
use crate::status::{Delivery, Status};

/// Which reports are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Of everything but `delivered`.
    Failures,
    /// Of every event.
    All,
    /// None; they are counted all the same.
    None,
}

/// What came of a request, as far as one of its events is concerned.
#[derive(Clone, Debug)]
pub struct Outcome(Arc<Told>);

#[derive(Debug)]
struct Told {
    delivery: Delivery,
    /// The members of a report behind its id, `"status":…`; empty for what is delivered without a word.
    members: String,
}

impl Outcome {
    /// It was delivered. `answer` is the server's about this event, JSON, where it was asked for one.
    pub fn delivered(answer: Option<&str>) -> Outcome {
        let members = match answer {
            None => r#""status":"OK","delivery":"delivered""#.to_owned(),
            Some(answer) => format!(r#""status":"OK","delivery":"delivered","answer":{answer}"#),
        };
        Outcome(Arc::new(Told { delivery: Delivery::Delivered, members }))
    }

    /// It failed so.
    pub fn failed(error: &Error) -> Outcome {
        let mut members = Writer::new();
        document::write_members(&mut members, error, Purpose::Publish);
        let delivery = error.delivery(Purpose::Publish).unwrap_or(Delivery::Unknown);
        Outcome(Arc::new(Told { delivery, members: members.finish_string().unwrap_or_default() }))
    }

    /// What the publisher's end came upon while it was on the wire.
    pub fn interrupted() -> Outcome {
        let members = format!(
            r#""status":"{}","message":"the publisher was closed while this was being sent","delivery":"unknown","reason":"closed""#,
            Status::DeliveryUnknown.name()
        );
        Outcome(Arc::new(Told { delivery: Delivery::Unknown, members }))
    }
}

/// How many events have come to each end.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Delivered.
    pub delivered: u64,
    /// Not sent, after an attempt or without one.
    pub not_sent: u64,
    /// Rejected.
    pub rejected: u64,
    /// Unknown.
    pub unknown: u64,
    /// Of those not sent, for which reasons: expired, dropped, superseded, closed.
    pub unsent: [u64; 4],
}

/// All reasons for which an event is never sent, in the order in which they are counted.
pub const REASONS: [Reason; 4] = [Reason::Expired, Reason::Dropped, Reason::Superseded, Reason::Closed];

/// Counts how events end, and keeps reports of it.
#[derive(Debug)]
pub struct Reports {
    keep: Keep,
    most: usize,
    kept: VecDeque<(u64, End<Outcome>)>,
    /// How many were given up for newer ones, since ever and since they were last fetched.
    pub lost: u64,
    newly_lost: u64,
    /// What came of all events.
    pub counts: Counts,
    /// How long events took from when they were published to their end.
    pub latency: Histogram,
}

impl Reports {
    /// None yet, and at most `most`.
    pub fn new(keep: Keep, most: usize) -> Reports {
        let latency = Histogram::of_milliseconds();
        Reports { keep, most, kept: VecDeque::new(), lost: 0, newly_lost: 0, counts: Counts::default(), latency }
    }

    /// How many wait to be fetched.
    pub fn waiting(&self) -> usize {
        self.kept.len()
    }

    /// The oldest of them, at most `most`, as a document: `{"reports":[{"id",…}…]}`, with `"lost"` where reports were.
    pub fn take(&mut self, most: usize) -> String {
        let mut text = String::from(r#"{"reports":["#);
        let count = self.kept.len().min(most);
        for (index, (id, end)) in self.kept.drain(..count).enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let id = format!(r#"{comma}{{"id":{id},"#);
            text.push_str(&id);
            match end {
                End::Sent(Outcome(told)) => text.push_str(&told.members),
                End::Unsent(reason) => text.push_str(&format!(
                    r#""status":"NOT_SENT","message":"{}","delivery":"not_sent","reason":"{}""#,
                    reason.message(),
                    reason.name()
                )),
            }
            text.push('}');
        }
        text.push(']');
        if self.newly_lost > 0 {
            text.push_str(&format!(r#","lost":{}"#, self.newly_lost));
            self.newly_lost = 0;
        }
        text.push('}');
        text
    }
}

impl Ledger for Reports {
    type Outcome = Outcome;

    fn end(&mut self, id: u64, waited: Duration, end: End<Outcome>) {
        self.latency.add(u64::try_from(waited.as_micros()).unwrap_or(u64::MAX));
        let delivery = match &end {
            End::Sent(Outcome(told)) => told.delivery,
            End::Unsent(reason) => {
                self.counts.unsent[*reason as usize] += 1;
                Delivery::NotSent
            }
        };
        match delivery {
            Delivery::Delivered => self.counts.delivered += 1,
            Delivery::NotSent => self.counts.not_sent += 1,
            Delivery::Rejected => self.counts.rejected += 1,
            Delivery::Unknown => self.counts.unknown += 1,
        }
        let wanted = match self.keep {
            Keep::All => true,
            Keep::Failures => delivery != Delivery::Delivered,
            Keep::None => false,
        };
        if wanted {
            if self.kept.len() >= self.most {
                self.kept.pop_front();
                self.lost += 1;
                self.newly_lost += 1;
            }
            self.kept.push_back((id, end));
        }
    }
}

impl Backlog for Reports {
    fn has_reports(&self) -> bool {
        !self.kept.is_empty()
    }
}
