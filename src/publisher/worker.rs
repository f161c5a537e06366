//! The thread of a shard: takes what is next, sends it, and tells what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::engine::Engine;
use super::queue::Batch;
use super::reports::Outcome;
use super::stats::Traffic;
use crate::api::{self, Event};
use crate::client::{AttemptOptions, Attempts, Deadline, Endpoint, Step};
use crate::error::{Error, FailedExchange};
use crate::status::Delivery;

/// As much as a call on a thread of the caller's own may count on, TLS included.
pub(super) const STACK_BYTES: usize = 512 * 1024;

/// One shard's sender.
pub(super) struct Worker {
    pub(super) engine: Arc<Engine>,
    pub(super) shard: usize,
}

/// The request was given up: its events have ended.
struct GivenUp;

impl Worker {
    /// Until the publisher is closed and nothing is left.
    pub(super) fn run(self) {
        while let Some(batch) = self.engine.shared.next(self.shard) {
            let Batch { number, events } = batch;
            // A bug must not leave its events without an end, nor those behind them.
            let sent = catch_unwind(AssertUnwindSafe(|| self.send(number, &events)));
            if let Err(panic) = sent {
                self.settle(number, events.len(), &Outcome::failed(&Error::from_panic(&*panic)));
            }
        }
    }

    fn send(&self, number: u64, events: &[Event]) {
        let Ok(result) = self.request(number, events) else { return };
        match result {
            Ok(answer) => self.delivered(number, events, &answer),
            Err(error) => match refused_as_a_whole(&error, events) {
                Some(refusal) if self.engine.settings.splits_refused_batches() => {
                    self.one_by_one(number, events, refusal)
                }
                Some(refusal) if self.engine.settings.batch_is_atomic => {
                    let rejected = FailedExchange { delivery: Some(Delivery::Rejected), ..refusal.clone() };
                    self.settle(number, events.len(), &Outcome::failed(&Error::Exchange(Box::new(rejected))));
                }
                _ => self.settle(number, events.len(), &Outcome::failed(&error)),
            },
        }
    }

    fn delivered(&self, number: u64, events: &[Event], answer: &str) {
        if !events.iter().any(|event| event.wants_info) {
            return self.settle(number, events.len(), &Outcome::delivered(None));
        }
        for answer in api::answers(answer, events) {
            self.settle(number, 1, &Outcome::delivered(answer));
        }
    }

    /// Sends the events of a batch that was refused one at a time, so that one that is wrong does not take the others with it.
    fn one_by_one(&self, number: u64, events: &[Event], refusal: &FailedExchange) {
        for event in events {
            self.count(|traffic| *traffic.retries.entry("refused").or_default() += 1);
            let Ok(result) = self.request(number, std::slice::from_ref(event)) else { return };
            match result {
                Ok(answer) => self.delivered(number, std::slice::from_ref(event), &answer),
                Err(error) => {
                    // Where the batch may have been applied in part, only a refusal of this very event tells that it was not.
                    let certain = self.engine.settings.batch_is_atomic || is_refused(&error) || is_unknown(&error);
                    let refused = Error::Exchange(Box::new(refusal.clone()));
                    self.settle(number, 1, &Outcome::failed(if certain { &error } else { &refused }));
                }
            }
        }
    }

    /// Makes one request, sent again as the retry policy has it, unless it is given up meanwhile.
    fn request(&self, number: u64, events: &[Event]) -> Result<Result<String, Error>, GivenUp> {
        let Engine { application, hooks, settings, shared, .. } = &*self.engine;
        if !shared.is_under_way(self.shard, number) {
            return Err(GivenUp);
        }
        let call = match api::request(events) {
            Ok(call) => call,
            Err(error) => return Ok(Err(error)),
        };
        let endpoint = if events.len() == 1 { Endpoint::Trigger } else { Endpoint::TriggerBatch };
        self.count(|traffic| traffic.batches.add(events.len() as u64));
        let attempt = AttemptOptions {
            policy: settings.retry,
            deadline: Deadline::new(Instant::now(), settings.timeout),
            hooks: hooks.as_deref(),
        };
        let mut attempts = Attempts::new(application, endpoint, &call, attempt);
        loop {
            self.count(|traffic| traffic.requests += 1);
            let wait = match attempts.next() {
                Step::Ended(result) => return Ok(result),
                Step::Again(wait) => wait,
            };
            let so_far = attempts.result_so_far();
            self.count(|traffic| *traffic.retries.entry(why(&so_far)).or_default() += 1);
            if !shared.rest(self.shard, number, Outcome::failed(&so_far), wait) {
                return Err(GivenUp);
            }
        }
    }

    fn settle(&self, number: u64, count: usize, outcome: &Outcome) {
        self.engine.shared.settle(self.shard, number, count, outcome);
    }

    fn count(&self, count: impl FnOnce(&mut Traffic)) {
        count(&mut self.engine.traffic.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The refusal of a batch that does not say which of its events is wrong, if it is one.
fn refused_as_a_whole<'a>(error: &'a Error, events: &[Event]) -> Option<&'a FailedExchange> {
    match error {
        Error::Exchange(failed) if events.len() > 1 && is_refused(error) => Some(failed),
        _ => None,
    }
}

/// Whether the server found something wrong with what it was sent, and would again. (wire.md and the servers' sources: 400, 413
/// and 422 are told after some events of a batch may have been applied.)
fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Exchange(failed) if matches!(failed.http_status, Some(400 | 413 | 422)))
}

fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::Exchange(failed) if failed.delivery == Some(Delivery::Unknown))
}

/// What had gone wrong, for statistics.
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
