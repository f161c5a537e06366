//! The thread of a shard: takes the next batch, sends it, and records how its events ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::queue::Batch;
use super::reports::Outcome;
use super::shared::Done;
use super::stats::Traffic;
use crate::api::{self, Event};
use crate::client::{AttemptOptions, Attempts, Deadline, Endpoint, Step};
use crate::config::BatchRoute;
use crate::error::{Error, FailedExchange};
use crate::status::Delivery;

/// Enough for a complete call, including the TLS handshake.
pub(super) const STACK_BYTES: usize = 512 * 1024;

/// The memory of the largest event that threads which publish drop. The C library keeps no larger
/// block of memory for a thread.
const MAX_SPENT_EVENT_BYTES: usize = 1024;

/// How long no batch is sent after the route for batches was found to be missing.
const MISSING_ROUTE_TIME: Duration = Duration::from_secs(10 * 60);

/// The sender of one shard.
pub(super) struct Worker {
    pub(super) engine: Arc<Engine>,
    pub(super) shard: usize,
}

/// Why the events of a batch are sent one at a time.
#[derive(Clone, Copy)]
enum Split<'a> {
    /// The server refused the batch, and may have applied a part of it.
    Refused(&'a FailedExchange),
    /// The server has no such route or no such application, and has applied nothing.
    NoRoute,
}

/// The publisher has abandoned the request, and its events have ended.
struct Abandoned;

impl Worker {
    /// Sends batches until the publisher is closed and drained.
    pub(super) fn run(self) {
        let (mut done, mut spent) = (None, Vec::new());
        while let Some(batch) = self.engine.shared.next(self.shard, done.take(), std::mem::take(&mut spent)) {
            let Batch { request, events } = batch;
            // After a bug, the events of the batch must still end, and the next ones must still be
            // sent.
            let sent = catch_unwind(AssertUnwindSafe(|| self.send(request, &events)));
            let outcome = sent.unwrap_or_else(|panic| Some(Outcome::failed(&Error::from_panic(&*panic))));
            // The events end as the next ones are taken: that locks the queue once.
            done = outcome.map(|outcome| Done { request, count: events.len(), outcome });
            spent = events;
            spent.retain(|event| event.memory() <= MAX_SPENT_EVENT_BYTES);
        }
    }

    /// Sends a batch. Returns the outcome of its events that have not ended.
    fn send(&self, request: u64, events: &[Event]) -> Option<Outcome> {
        match self.attempt(request, events).ok()? {
            Ok(response) => self.delivered(request, events, &response),
            Err(error) if self.may_lack_route(&error, events) => {
                self.send_singly(request, events, Split::NoRoute);
                None
            }
            Err(error) => match refused_as_a_whole(&error, events) {
                Some(refusal) if self.engine.config.splits_refused_batches() => {
                    self.send_singly(request, events, Split::Refused(refusal));
                    None
                }
                Some(refusal) if self.engine.config.batch_is_atomic => {
                    let rejected = FailedExchange { delivery: Some(Delivery::Rejected), ..refusal.clone() };
                    Some(Outcome::failed(&Error::Exchange(Box::new(rejected))))
                }
                _ => Some(Outcome::failed(&error)),
            },
        }
    }

    /// Returns the outcome of events that were delivered, or ends them one by one.
    fn delivered(&self, request: u64, events: &[Event], response: &str) -> Option<Outcome> {
        if !events.iter().any(|event| event.wants_info) {
            return Some(Outcome::delivered(None));
        }
        for info in api::answers(response, events) {
            self.complete(request, Outcome::delivered(info));
        }
        None
    }

    /// Returns whether the server may have no route for batches. The same response may mean that there
    /// is no such application: only a single event that is delivered tells.
    fn may_lack_route(&self, error: &Error, events: &[Event]) -> bool {
        let is_open = self.engine.application.batch_route() == BatchRoute::Auto && events.len() > 1;
        is_open
            && matches!(error, Error::Exchange(failed) if matches!(failed.http_status, Some(404 | 405))
                && failed.delivery == Some(Delivery::Rejected))
    }

    /// Sends the events of a batch one at a time, so that one invalid event does not affect the others.
    fn send_singly(&self, request: u64, events: &[Event], split: Split<'_>) {
        for event in events {
            // The publisher may have been closed during the last one.
            if !self.engine.shared.is_in_flight(self.shard, request) {
                return;
            }
            let event = std::slice::from_ref(event);
            let why = match split {
                Split::Refused(_) => "refused",
                Split::NoRoute => "no_batch_route",
            };
            self.count(|traffic| *traffic.retries.entry(why).or_default() += 1);
            let Ok(result) = self.attempt(request, event) else { return };
            let outcome = match (result, split) {
                (Ok(response), Split::Refused(_)) => self.delivered(request, event, &response),
                (Ok(response), Split::NoRoute) => {
                    self.engine.shared.send_alone(Instant::now() + MISSING_ROUTE_TIME);
                    self.delivered(request, event, &response)
                }
                // If the batch may have been applied in part, only a refusal of this event proves that
                // it was not applied.
                (Err(error), Split::Refused(refusal))
                    if !self.engine.config.batch_is_atomic && !is_refused(&error) && !is_unknown(&error) =>
                {
                    Some(Outcome::failed(&Error::Exchange(Box::new(refusal.clone()))))
                }
                (Err(error), _) => Some(Outcome::failed(&error)),
            };
            if let Some(outcome) = outcome {
                self.complete(request, outcome);
            }
        }
    }

    /// Makes one request and its retries, unless the publisher abandons it.
    fn attempt(&self, request: u64, events: &[Event]) -> Result<Result<String, Error>, Abandoned> {
        let Engine { application, hooks, config, shared, .. } = &*self.engine;
        let call = match api::request(events) {
            Ok(call) => call,
            Err(error) => return Ok(Err(error)),
        };
        let endpoint = if events.len() == 1 { Endpoint::Trigger } else { Endpoint::TriggerBatch };
        let attempt = AttemptOptions {
            policy: config.retry,
            deadline: Deadline::new(Instant::now(), config.timeout),
            hooks: hooks.as_deref(),
        };
        let mut attempts = Attempts::new(application, endpoint, &call, attempt);
        self.count(|traffic| {
            traffic.batches.add(events.len() as u64);
            traffic.requests += 1;
        });
        loop {
            let wait = match attempts.next() {
                Step::Ended(result) => return Ok(result),
                Step::Again(wait) => wait,
            };
            let so_far = attempts.result_so_far();
            self.count(|traffic| *traffic.retries.entry(why(&so_far)).or_default() += 1);
            if !shared.wait_for_retry(self.shard, request, Outcome::failed(&so_far), wait) {
                return Err(Abandoned);
            }
            self.count(|traffic| traffic.requests += 1);
        }
    }

    /// Ends the first event of the request that has not ended.
    fn complete(&self, request: u64, outcome: Outcome) {
        self.engine.shared.complete(self.shard, Done { request, count: 1, outcome });
    }

    fn count(&self, count: impl FnOnce(&mut Traffic)) {
        count(&mut self.engine.traffic.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Returns the refusal of a batch, which does not say which of its events is invalid.
fn refused_as_a_whole<'a>(error: &'a Error, events: &[Event]) -> Option<&'a FailedExchange> {
    match error {
        Error::Exchange(failed) if events.len() > 1 && is_refused(error) => Some(failed),
        _ => None,
    }
}

/// Returns whether the server refused the content of the request, and would do so again. (Servers
/// respond with 400, 413 and 422 after they may have applied some events of a batch.)
fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Exchange(failed) if matches!(failed.http_status, Some(400 | 413 | 422)))
}

fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::Exchange(failed) if failed.delivery == Some(Delivery::Unknown))
}

/// Returns the name of the failure in the statistics of retries.
fn why(error: &Error) -> &'static str {
    match error {
        Error::Exchange(failed) => match (failed.cause, failed.http_status) {
            (Some(cause), _) => cause,
            (None, Some(429)) => "rate_limited",
            (None, Some(500..)) => "server_error",
            _ => "other",
        },
        _ => "other",
    }
}
