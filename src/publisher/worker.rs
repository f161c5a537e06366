//! The thread of a shard: takes the next batch, sends it, and records how its events ended.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::pace::Said;
use super::queue::{Batch, Gate};
use super::reports::Outcome;
use super::shared::Done;
use super::stats::Traffic;
use crate::api::{self, Call, Event};
use crate::client::{Application, AttemptOptions, Attempts, Deadline, Endpoint, FanOut, ObservedCall, RateLimit, Step};
use crate::config::BatchRoute;
use crate::error::{Error, FailedExchange, OutOfMemory};
use crate::idempotency::IdempotencyKey;
use crate::retry;
use crate::status::Delivery;

/// Enough for a complete call, including the TLS handshake.
pub(super) const STACK_BYTES: usize = 512 * 1024;

/// The memory of the largest event that threads which publish drop. The C library keeps no larger
/// block of memory for a thread.
const MAX_SPENT_EVENT_BYTES: usize = 1024;

/// How long no batch is sent after the route for batches was found to be missing.
const MISSING_ROUTE_TIME: Duration = Duration::from_secs(10 * 60);

/// How often a request that waits for its turn asks again. The rate limit may have changed.
const MAX_TURN_WAIT: Duration = Duration::from_millis(200);

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
    NoRoute(&'a FailedExchange),
}

impl Split<'_> {
    /// Returns the outcome of the events that were not sent again.
    fn outcome(self, is_atomic: bool) -> Outcome {
        Outcome::failed(&match self {
            Split::Refused(failed) if is_atomic => rejected(failed),
            Split::Refused(failed) | Split::NoRoute(failed) => Error::Exchange(Box::new(failed.clone())),
        })
    }

    /// Returns the name in the statistics of retries.
    fn name(self) -> &'static str {
        match self {
            Split::Refused(_) => "refused",
            Split::NoRoute(_) => "no_batch_route",
        }
    }
}

/// Why a request is not made to its end.
enum Stop {
    /// The publisher has abandoned it, and its events have ended; or it takes them back.
    Abandoned,
    /// The circuit breaker is open, and nothing was sent.
    Held,
}

/// How long a request may take.
#[derive(Clone, Copy)]
struct Timing {
    deadline: Deadline,
    /// Whether its events wait in the queue while the circuit breaker is open.
    waits_for_circuit: bool,
}

/// Holds requests back while the circuit breaker of the client is open.
pub(super) struct CircuitGate(pub(super) Arc<Application>);

impl Gate for CircuitGate {
    fn check(&self, now: Instant) -> Result<(), Instant> {
        let Some(circuit) = self.0.circuit() else { return Ok(()) };
        // The probe of another publisher, or a call, may close it sooner.
        circuit.check(now).map_err(|until| until.min(now + MAX_TURN_WAIT))
    }
}

impl Worker {
    /// Sends batches until the publisher is closed and drained.
    pub(super) fn run(self) {
        let (mut done, mut spent) = (None, Vec::new());
        while let Some(batch) = self.engine.shared.next(self.shard, done.take(), std::mem::take(&mut spent)) {
            let Batch { request, events } = batch;
            // After a bug, the events of the batch must still end, and the next ones must still be
            // sent.
            let sent = catch_unwind(AssertUnwindSafe(|| self.send(request, &events)));
            let outcome = match sent {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(Stop::Abandoned)) => {
                    self.engine.shared.take_back(self.shard, request, events);
                    continue;
                }
                Ok(Err(Stop::Held)) => {
                    self.engine.shared.requeue(self.shard, request, events, &Outcome::failed(&OutOfMemory.into()));
                    continue;
                }
                Err(panic) => Some(Outcome::failed(&Error::from_panic(&*panic))),
            };
            // The events end as the next ones are taken: that locks the queue once.
            done = outcome.map(|outcome| Done { request, count: events.len(), outcome });
            spent = events;
            spent.retain(|event| event.memory() <= MAX_SPENT_EVENT_BYTES);
        }
    }

    /// Sends a batch. Returns the outcome of its events that have not ended.
    fn send(&self, request: u64, events: &[Event]) -> Result<Option<Outcome>, Stop> {
        if let Some(event) = events.first().filter(|event| event.is_fan_out) {
            return self.fan_out(request, event);
        }
        let key = match self.engine.application.key_for(events) {
            Ok(key) => key,
            Err(error) => {
                self.note_rate_limit(Said::Nothing);
                return Ok(Some(Outcome::failed(&error)));
            }
        };
        let error = match self.attempt(request, events, key.clone(), None)? {
            Ok(response) => return Ok(self.delivered(request, events, &response)),
            Err(error) => error,
        };
        if let Some(failed) = self.without_route(&error, events) {
            self.send_singly(request, events, Split::NoRoute(failed), key.as_ref())?;
            return Ok(None);
        }
        Ok(match refused_as_a_whole(&error, events) {
            Some(refusal) if self.engine.config.splits_refused_batches() => {
                self.send_singly(request, events, Split::Refused(refusal), key.as_ref())?;
                None
            }
            Some(refusal) if self.engine.config.batch_is_atomic => Some(Outcome::failed(&rejected(refusal))),
            _ => Some(Outcome::failed(&error)),
        })
    }

    /// Makes the requests of a fan-out. Returns the outcome of its event, unless that has ended.
    fn fan_out(&self, request: u64, event: &Event) -> Result<Option<Outcome>, Stop> {
        let Engine { application, config, shared, .. } = &*self.engine;
        let deadline = Deadline::new(Instant::now(), config.timeout);
        let mut fan_out = match FanOut::new(application, event, deadline) {
            Ok(fan_out) => fan_out,
            Err(error) => {
                self.note_rate_limit(Said::Nothing);
                return Ok(Some(Outcome::failed(&error)));
            }
        };
        while let Some(call) = fan_out.next() {
            if fan_out.has_begun() {
                // The publisher may have been closed during the last request.
                if !shared.is_in_flight(self.shard, request) {
                    return Err(Stop::Abandoned);
                }
                let so_far = || Outcome::failed(&fan_out.failure_so_far(None));
                if config.limits.is_paced && !self.wait_for_turn(request, &so_far(), Some(deadline.at))? {
                    break;
                }
            }
            let (result, attempts) = match call {
                Ok(call) => {
                    let so_far =
                        |error: &Error, attempts| Outcome::failed(&fan_out.failure_so_far(Some((error, attempts))));
                    let timing = Timing { deadline, waits_for_circuit: !fan_out.has_begun() };
                    self.exchange(request, (Endpoint::Trigger, &call), 1, timing, so_far)?
                }
                Err(error) => {
                    self.note_rate_limit(Said::Nothing);
                    (Err(error), 0)
                }
            };
            fan_out.add(result, attempts);
        }
        Ok(match fan_out.finish() {
            Ok(response) => self.delivered(request, std::slice::from_ref(event), &response),
            Err(error) => Some(Outcome::failed(&error)),
        })
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

    /// Returns the refusal of a batch if the server may have no route for batches. The same response
    /// may mean that there is no such application: only a single event that is delivered tells.
    fn without_route<'a>(&self, error: &'a Error, events: &[Event]) -> Option<&'a FailedExchange> {
        let Error::Exchange(failed) = error else { return None };
        let is_open = self.engine.application.batch_route() == BatchRoute::Auto && events.len() > 1;
        let is_certain = failed.delivery == Some(Delivery::Rejected);
        Some(&**failed).filter(|failed| is_open && is_certain && matches!(failed.http_status, Some(404 | 405)))
    }

    /// Sends the events of a batch one at a time, so that one invalid event does not affect the others.
    /// `key` is that of the batch.
    fn send_singly(
        &self,
        request: u64,
        events: &[Event],
        split: Split<'_>,
        key: Option<&IdempotencyKey>,
    ) -> Result<(), Stop> {
        for (number, event) in events.iter().enumerate() {
            // The publisher may have been closed during the last one.
            if !self.engine.shared.is_in_flight(self.shard, request) {
                return Err(Stop::Abandoned);
            }
            let key = key.map(|key| key.of_part(number, [event.body()]));
            let event = std::slice::from_ref(event);
            self.count(|traffic| *traffic.retries.entry(split.name()).or_default() += 1);
            let outcome = match self.attempt(request, event, key, Some(split))? {
                Ok(response) => {
                    if let Split::NoRoute(_) = split {
                        self.engine.shared.send_alone(Instant::now() + MISSING_ROUTE_TIME);
                    }
                    self.delivered(request, event, &response)
                }
                // A refusal of this event proves that the batch did not apply it.
                Err(error) if is_refused(&error) => Some(Outcome::failed(&error)),
                Err(error) => Some(self.outcome_in(Some(split), &error)),
            };
            if let Some(outcome) = outcome {
                self.complete(request, outcome);
            }
        }
        Ok(())
    }

    /// Returns the outcome of an event whose own request failed, and of those after it in a batch that
    /// was split. If the batch may have been applied in part, such a failure does not disprove that.
    fn outcome_in(&self, split: Option<Split<'_>>, error: &Error) -> Outcome {
        match split {
            Some(Split::Refused(refusal)) if !self.engine.config.batch_is_atomic && !is_unknown(error) => {
                Outcome::failed(&Error::Exchange(Box::new(refusal.clone())))
            }
            _ => Outcome::failed(error),
        }
    }

    /// Sends events in one request. Each of its attempts has the same
    /// body, and this key. `split` is set for a single event of a batch.
    fn attempt(
        &self,
        request: u64,
        events: &[Event],
        key: Option<IdempotencyKey>,
        split: Option<Split<'_>>,
    ) -> Result<Result<String, Error>, Stop> {
        let config = &self.engine.config;
        if let (true, Some(split)) = (config.limits.is_paced, split) {
            self.wait_for_turn(request, &split.outcome(config.batch_is_atomic), None)?;
        }
        let call = match api::request(events) {
            Ok(call) => call.with_key(key),
            Err(error) => {
                self.note_rate_limit(Said::Nothing);
                return Ok(Err(error));
            }
        };
        let endpoint = if events.len() == 1 { Endpoint::Trigger } else { Endpoint::TriggerBatch };
        let deadline = Deadline::new(Instant::now(), config.timeout);
        // A part of a batch cannot go back into the queue.
        let timing = Timing { deadline, waits_for_circuit: split.is_none() };
        let outcome = |error: &Error, _| self.outcome_in(split, error);
        self.exchange(request, (endpoint, &call), events.len(), timing, outcome).map(|(result, _)| result)
    }

    /// Makes one request and its retries. Returns its result and the number of attempts. `outcome` is that of the events if the publisher ends them after a failure
    /// and this many attempts.
    fn exchange(
        &self,
        request: u64,
        (endpoint, call): (Endpoint, &Call),
        events: usize,
        Timing { deadline, waits_for_circuit }: Timing,
        outcome: impl Fn(&Error, u32) -> Outcome,
    ) -> Result<(Result<String, Error>, u32), Stop> {
        let Engine { application, hooks, config, shared, .. } = &*self.engine;
        let is_paced = config.limits.is_paced;
        let rate_limit = Cell::new(None);
        let mut observations = None;
        let observed = hooks
            .as_deref()
            .and_then(|hooks| ObservedCall::start(hooks, endpoint, Instant::now(), Some(events), &mut observations));
        let options = AttemptOptions {
            policy: config.retry,
            deadline,
            hooks: hooks.as_deref(),
            observed: observed.as_ref(),
            rate_limit: is_paced.then_some(&rate_limit),
            // No handle's calls: a publisher ends by its own functions.
            cancellation: None,
            waits_for_circuit,
        };
        let mut attempts = Attempts::new(application, endpoint, call, options);
        if attempts.is_admitted() {
            self.count(|traffic| {
                traffic.batches.add(events as u64);
                traffic.requests += 1;
            });
        }
        loop {
            let step = attempts.next();
            self.note_rate_limit(said(rate_limit.take(), &step));
            let wait = match step {
                Step::Ended(result) => {
                    if let Some(observed) = &observed {
                        observed.end(result.as_ref().map(drop));
                    }
                    return Ok((result, attempts.made()));
                }
                Step::Again(wait) => wait,
                Step::Held => {
                    if let Some(observed) = &observed {
                        observed.end(Err(&attempts.held()));
                    }
                    return Err(Stop::Held);
                }
            };
            let so_far = attempts.result_so_far();
            self.count(|traffic| *traffic.retries.entry(why(&so_far)).or_default() += 1);
            let outcome = outcome(&so_far, attempts.made());
            let may_retry = match shared.wait_for_retry(self.shard, request, outcome.clone(), wait) {
                false => Err(Stop::Abandoned),
                true if is_paced => self.wait_for_turn(request, &outcome, Some(deadline.at)),
                true => Ok(true),
            };
            if let (Some(observed), Ok(false) | Err(_)) = (&observed, &may_retry) {
                observed.end(Err(&so_far));
            }
            if !may_retry? {
                return Ok((Err(so_far), attempts.made()));
            }
            if attempts.is_admitted() {
                self.count(|traffic| traffic.requests += 1);
            }
        }
    }

    /// Waits until the rate limit of the server permits another request. Returns false if that is after
    /// the deadline. If the publisher gives up first, the events in flight end with `outcome`.
    fn wait_for_turn(&self, request: u64, outcome: &Outcome, deadline: Option<Instant>) -> Result<bool, Stop> {
        let shared = &self.engine.shared;
        while let Err(until) = shared.take_turn() {
            if deadline.is_some_and(|deadline| until >= deadline) {
                return Ok(false);
            }
            let wait = until.saturating_duration_since(Instant::now()).min(MAX_TURN_WAIT);
            if !shared.wait_for_retry(self.shard, request, outcome.clone(), wait) {
                return Err(Stop::Abandoned);
            }
        }
        Ok(true)
    }

    /// Takes note of the end of a request, and of what its response says.
    fn note_rate_limit(&self, said: Said) {
        if self.engine.config.limits.is_paced {
            self.engine.shared.note_rate_limit(said);
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

/// Returns the error of a batch that was refused and not applied.
fn rejected(refusal: &FailedExchange) -> Error {
    Error::Exchange(Box::new(FailedExchange { delivery: Some(Delivery::Rejected), ..refusal.clone() }))
}

/// Returns what a response says about the rate limit of the server.
fn said(rate_limit: Option<RateLimit>, step: &Step) -> Said {
    match (rate_limit, step) {
        (Some(RateLimit { limit, remaining, to_reset }), _) => Said::Limited { limit, remaining, to_reset },
        (None, Step::Ended(Ok(_))) => Said::Unlimited,
        (None, _) => Said::Nothing,
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
        Error::Exchange(failed) => retry::cause(failed),
        _ => "other",
    }
}
