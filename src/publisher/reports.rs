//! Reports of how events ended: counted, and kept until they are fetched.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use strum::{EnumString, VariantNames};

use super::queue::{End, Ledger, Reason};
use super::shared::Backlog;
use crate::bytes::{copied, copied_text};
use crate::document;
use crate::error::{Error, OutOfMemory, Purpose};
use crate::json::{Json, Writer};
use crate::statistics::Histogram;
use crate::status::{Delivery, Status};

/// Which reports are kept.
#[derive(Clone, Copy, Debug, EnumString, PartialEq, Eq, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Keep {
    /// Those of events that were not delivered.
    Failures,
    /// Those of all events.
    All,
    /// None. Events are still counted.
    None,
}

/// How a request ended for one of its events.
#[derive(Clone, Debug)]
pub struct Outcome {
    delivery: Delivery,
    members: Members,
}

/// The members of a report except its id.
#[derive(Clone, Debug)]
enum Members {
    /// Those of an event that was delivered and has no `answer`: most are, and their reports are
    /// rarely kept.
    Delivered,
    /// As JSON without braces.
    Written(Arc<String>),
    /// There was no memory for the others.
    Status(Status),
}

/// The size from which a report counts towards the limit of large ones: the parts of a fan-out may name thousands of channels.
const LARGE_REPORT_BYTES: usize = 8 * 1024;

impl Outcome {
    /// The event was delivered. `info` is the server's response about this event, if the event asked for it. JSON that some parsers
    /// refuse becomes a string, so that it does not cost the other reports of the document.
    pub fn delivered(info: Option<Json<'_>>) -> Outcome {
        match info {
            None => Outcome { delivery: Delivery::Delivered, members: Members::Delivered },
            Some(info) => Outcome::write(Delivery::Delivered, Status::Ok, |json| {
                write_delivered(json);
                json.key("answer");
                if info.is_portable() {
                    json.raw(info.text())
                } else {
                    json.string(info.text())
                };
            }),
        }
    }

    /// The request failed.
    pub fn failed(error: &Error) -> Outcome {
        let delivery = error.delivery(Purpose::Publish).unwrap_or(Delivery::Unknown);
        Outcome::write(delivery, error.status(), |json| document::write_members(json, error, Purpose::Publish))
    }

    /// The publisher was closed while the request was in flight.
    pub fn interrupted() -> Outcome {
        let message = "the publisher was closed while this was being sent";
        Outcome::write(Delivery::Unknown, Status::DeliveryUnknown, |json| {
            write_ended(json, Status::DeliveryUnknown, message, Delivery::Unknown, Reason::Closed);
        })
    }

    fn write(delivery: Delivery, status: Status, members: impl FnOnce(&mut Writer)) -> Outcome {
        let mut json = Writer::new();
        members(&mut json);
        // A copy, because a report may be kept for long and must not take more memory than it has bytes.
        let members = json.finish_string().ok().and_then(|members| copied_text(&members).ok());
        Outcome { delivery, members: members.map_or(Members::Status(status), |text| Members::Written(Arc::new(text))) }
    }

    /// Returns how many bytes count towards the limit of large reports.
    fn large_bytes(&self) -> usize {
        match &self.members {
            Members::Written(members) => members.len().saturating_sub(LARGE_REPORT_BYTES),
            Members::Delivered | Members::Status(_) => 0,
        }
    }

    /// Writes the members of a report except its id.
    fn write_to(&self, json: &mut Writer) {
        match &self.members {
            Members::Written(members) => drop(json.raw(members)),
            Members::Delivered => write_delivered(json),
            Members::Status(status) => {
                json.key("status").string(status.name());
                json.key("message").string("there was not enough memory for more of this report");
                json.key("delivery").string(self.delivery.name());
            }
        }
    }
}

/// Writes the members of a report of an event that was delivered.
fn write_delivered(json: &mut Writer) {
    // As one text, because most reports are this one.
    json.raw(r#""status":"OK","delivery":"delivered""#);
}

/// Writes the members of a report of an event that the publisher itself ended.
fn write_ended(json: &mut Writer, status: Status, message: &str, delivery: Delivery, reason: Reason) {
    json.key("status").string(status.name()).key("message").string(message);
    json.key("delivery").string(delivery.name()).key("reason").string(reason.name());
}

/// The number of events by how they ended.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Delivered.
    pub delivered: u64,
    /// Not sent, with or without an attempt.
    pub not_sent: u64,
    /// Rejected.
    pub rejected: u64,
    /// Unknown.
    pub unknown: u64,
    /// Never sent, by reason, in the order of [`Reason::ALL`].
    pub unsent: [u64; Reason::ALL.len()],
}

/// Counts how events end, and keeps the reports.
#[derive(Debug)]
pub struct Reports {
    keep: Keep,
    max_reports: usize,
    kept: VecDeque<(u64, End<Outcome>)>,
    /// The bytes of large reports that are kept, and their limit.
    large_bytes: usize,
    max_large_bytes: usize,
    /// The number of reports that newer ones replaced.
    pub lost: u64,
    /// The same since the last fetch.
    newly_lost: u64,
    /// The number of events by how they ended.
    pub counts: Counts,
    /// The time from publishing an event to its end.
    pub latency: Histogram,
}

impl Reports {
    /// Returns an empty backlog of at most `max_reports`, and at most `max_large_bytes` of large ones.
    pub fn new(keep: Keep, max_reports: usize, max_large_bytes: usize) -> Reports {
        Reports {
            keep,
            max_reports,
            kept: VecDeque::new(),
            large_bytes: 0,
            max_large_bytes,
            lost: 0,
            newly_lost: 0,
            counts: Counts::default(),
            latency: Histogram::of_milliseconds(),
        }
    }

    /// Returns the number of reports that wait to be fetched.
    pub fn waiting(&self) -> usize {
        self.kept.len()
    }

    /// Takes the oldest reports, at most `max`.
    pub fn take(&mut self, max: usize) -> Result<Taken, OutOfMemory> {
        let (mut reports, count) = (Vec::new(), self.kept.len().min(max));
        reports.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
        reports.extend(self.kept.drain(..count));
        self.large_bytes -= reports.iter().map(|(_, end)| large_bytes(end)).sum::<usize>();
        Ok(Taken { reports, lost: std::mem::take(&mut self.newly_lost) })
    }

    /// Puts back reports that were taken and could not be returned. They are the oldest again.
    pub fn put_back(&mut self, taken: Taken) {
        self.newly_lost += taken.lost;
        for (id, end) in taken.reports.into_iter().rev() {
            let large_bytes = large_bytes(&end);
            let has_room = self.kept.len() < self.max_reports && self.large_bytes + large_bytes <= self.max_large_bytes;
            if has_room && self.kept.try_reserve(1).is_ok() {
                self.large_bytes += large_bytes;
                self.kept.push_front((id, end));
            } else {
                self.lost += 1;
                self.newly_lost += 1;
            }
        }
    }

    /// Discards the oldest reports until there is room for one more.
    fn make_room(&mut self, large_bytes: usize) {
        while self.kept.len() >= self.max_reports || self.large_bytes + large_bytes > self.max_large_bytes {
            let Some((_, end)) = self.kept.pop_front() else { break };
            self.large_bytes -= self::large_bytes(&end);
            self.lost += 1;
            self.newly_lost += 1;
        }
    }
}

/// Returns how many bytes of a report count towards the limit of large ones.
fn large_bytes(end: &End<Outcome>) -> usize {
    match end {
        End::Sent(outcome) => outcome.large_bytes(),
        End::Unsent(_) => 0,
    }
}

/// Reports that were taken. The queue is locked only while they are taken, and not while they are
/// written.
#[derive(Debug)]
pub struct Taken {
    reports: Vec<(u64, End<Outcome>)>,
    /// The number of reports that were lost since the last fetch.
    lost: u64,
}

impl Taken {
    /// Returns the document `{"reports":[{"id",…}…]}`, with `"lost"` if reports were lost.
    pub fn document(&self) -> Result<Vec<u8>, Error> {
        let mut json = Writer::new();
        json.begin_object().key("reports").begin_array();
        for (id, end) in &self.reports {
            json.begin_object().key("id").number(*id);
            match end {
                End::Sent(outcome) => outcome.write_to(&mut json),
                End::Unsent(reason) => {
                    write_ended(&mut json, Status::NotSent, reason.message(), Delivery::NotSent, *reason);
                }
            }
            json.end_object();
        }
        json.end_array();
        if self.lost > 0 {
            json.key("lost").number(self.lost);
        }
        json.end_object();
        // With room for the NUL of the C boundary and no more, so that nothing can fail there: then the reports would be lost.
        copied(&json.finish()?)
    }
}

impl Ledger for Reports {
    type Outcome = Outcome;

    fn is_not_sent(outcome: &Outcome) -> bool {
        outcome.delivery == Delivery::NotSent
    }

    fn end(&mut self, id: u64, age: Duration, end: End<Outcome>) {
        self.latency.add(u64::try_from(age.as_micros()).unwrap_or(u64::MAX));
        let delivery = match &end {
            End::Sent(outcome) => outcome.delivery,
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
        let is_kept = match self.keep {
            Keep::All => true,
            Keep::Failures => delivery != Delivery::Delivered,
            Keep::None => false,
        };
        if is_kept {
            let large_bytes = large_bytes(&end);
            self.make_room(large_bytes);
            if self.kept.try_reserve(1).is_err() {
                self.lost += 1;
                self.newly_lost += 1;
                return;
            }
            self.large_bytes += large_bytes;
            self.kept.push_back((id, end));
        }
    }
}

impl Backlog for Reports {
    fn has_reports(&self) -> bool {
        !self.kept.is_empty()
    }
}
