//! The attempts of one call, by the retry policy. The caller waits between them.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::application::{Application, Deadline, random};
use super::hooks::Hooks;
use super::observed::{Ending, ObservedCall};
use super::rate_limit::RateLimit;
use crate::api::{Call, Effect, Endpoint};
use crate::circuit::Pass;
use crate::error::{Error, FailedExchange};
use crate::http::{Cause, Meter};
use crate::platform::Cancellation;
use crate::retry::{self, Chance, Mode, RetryPolicy};
use crate::status::Delivery;

/// A call in progress.
pub struct Attempts<'a> {
    application: &'a Application,
    endpoint: Endpoint,
    call: &'a Call,
    options: AttemptOptions<'a>,
    made: u32,
    /// When the server forgets the key of the request, if it has one by which the server recognizes it.
    recognized_until: Option<Instant>,
    /// The latest moment at which another attempt may begin.
    last_start: Instant,
    /// The first attempt that may have been delivered.
    first_unknown: Option<Box<FailedExchange>>,
    last: Option<Box<FailedExchange>>,
    /// Whether the circuit breaker lets the next attempt pass, or until when not, once it was asked.
    admission: Option<Result<Option<Pass<'a>>, Instant>>,
}

/// How a call is made.
#[derive(Clone, Copy)]
pub struct AttemptOptions<'a> {
    /// Which failures are retried.
    pub policy: RetryPolicy,
    /// When all attempts have to end.
    pub deadline: Deadline,
    /// The callbacks, if they may run on this thread.
    pub hooks: Option<&'a Hooks>,
    /// The call that the attempts belong to, if it is observed.
    pub observed: Option<&'a ObservedCall<'a>>,
    /// The place for the rate limit of each response, if its headers are to be read.
    pub rate_limit: Option<&'a Cell<Option<RateLimit>>>,
    /// The event that ends all attempts early, if there is one.
    pub cancellation: Option<&'a Cancellation>,
    /// Whether the caller waits while the circuit breaker is open, instead of failing.
    pub waits_for_circuit: bool,
}

impl AttemptOptions<'_> {
    /// Returns whether the call was cancelled.
    fn is_cancelled(&self) -> bool {
        self.cancellation.is_some_and(Cancellation::has_happened)
    }
}

/// The result of an attempt.
pub enum Step {
    /// The call has ended.
    Ended(Result<String, Error>),
    /// There may be another attempt after this time.
    Again(Duration),
    /// The circuit breaker is open, and nothing was sent: the call can be made again later. Only callers that wait for the
    /// circuit get it.
    Held,
}

impl<'a> Attempts<'a> {
    /// Returns a call without any attempt yet.
    pub fn new(
        application: &'a Application,
        endpoint: Endpoint,
        call: &'a Call,
        options: AttemptOptions<'a>,
    ) -> Attempts<'a> {
        application.budget.earn(options.policy.ratio);
        Attempts {
            application,
            endpoint,
            call,
            options,
            made: 0,
            recognized_until: None,
            last_start: options.deadline.at,
            first_unknown: None,
            last: None,
            admission: None,
        }
    }

    /// Returns whether the circuit breaker lets the next attempt pass.
    pub fn is_admitted(&mut self) -> bool {
        let admission = self.admission.take().unwrap_or_else(|| self.ask());
        self.admission.insert(admission).is_ok()
    }

    fn ask(&self) -> Result<Option<Pass<'a>>, Instant> {
        // A cancelled call sends nothing, and says why.
        let circuit = self.application.circuit().filter(|_| !self.options.is_cancelled());
        let Some(circuit) = circuit else { return Ok(None) };
        let (now, deadline) = (Instant::now(), self.options.deadline.at);
        let attempt = self.application.attempt_timeout.map_or(deadline, |timeout| deadline.min(now + timeout));
        circuit.admit(now, attempt).map(Some)
    }

    /// Makes the next attempt.
    pub fn next(&mut self) -> Step {
        // After a wait that took too long, the last failure says more than a timeout.
        if self.last.is_some() && Instant::now() >= self.last_start {
            return Step::Ended(Err(self.result_so_far()));
        }
        if let (0, Some(window), Some(_)) = (self.made, self.application.resend_window, &self.call.idempotency_key) {
            self.recognized_until = Some(Instant::now() + window);
        }
        let pass = match self.admission.take().unwrap_or_else(|| self.ask()) {
            Ok(pass) => pass,
            Err(until) => return self.refused(until),
        };
        let retry_cause = self.last.as_deref().map(retry::cause);
        self.remember();
        let earlier = self.made;
        self.made += 1;
        let mut meter = None;
        let result = self.send(pass, retry_cause, &mut meter);
        if let Some(meter) = &meter {
            meter.stop();
        }
        let mut failed = match result {
            Err(Error::Exchange(failed)) => failed,
            Ok(result) => {
                self.report_end(meter.as_ref(), Ending::OK, None);
                return Step::Ended(Ok(result));
            }
            Err(error) => {
                // This attempt sent nothing, or memory ran out for its response.
                self.report_end(meter.as_ref(), Ending::of(&error, self.endpoint), None);
                return Step::Ended(Err(unless_unknown(self.first_unknown.take(), earlier, error)));
            }
        };
        failed.attempts = self.made;
        if self.application.circuit().is_some_and(|circuit| circuit.check(Instant::now()).is_err()) {
            self.report_end(meter.as_ref(), Ending::of_exchange(&failed), None);
            if self.may_be_held(&failed) {
                self.last = Some(failed);
                return Step::Held;
            }
            return Step::Ended(Err(Error::Exchange(combined(self.first_unknown.take(), failed))));
        }
        self.last_start = self.last_start_after(&failed);
        let chance = Chance {
            left: self.last_start.saturating_duration_since(Instant::now()),
            is_recognized: self.recognized_until.is_some(),
        };
        let another = || self.options.policy.wait(&failed, chance, random(), &self.application.budget);
        let wait = if self.options.is_cancelled() { None } else { another() };
        self.report_end(meter.as_ref(), Ending::of_exchange(&failed), wait);
        match wait {
            Some(wait) => {
                if let Some(hooks) = self.options.hooks {
                    hooks.log_retry(self.endpoint, &failed, wait);
                }
                self.last = Some(failed);
                Step::Again(wait)
            }
            None => Step::Ended(Err(Error::Exchange(combined(self.first_unknown.take(), failed)))),
        }
    }

    /// Reports the end of an attempt, if the call is observed.
    fn report_end(&self, meter: Option<&Meter>, ending: Ending, wait: Option<Duration>) {
        if let (Some(observed), Some(meter)) = (self.options.observed, meter) {
            observed.end_attempt(meter, ending, wait);
        }
    }

    /// Returns the end of a call whose next attempt the circuit breaker refuses.
    fn refused(&mut self, until: Instant) -> Step {
        match &self.last {
            // The failure of its own attempt says more.
            Some(last) if !self.may_be_held(last) => Step::Ended(Err(self.result_so_far())),
            None if !self.options.waits_for_circuit => Step::Ended(Err(self.is_open(until))),
            _ => Step::Held,
        }
    }

    /// Returns the result of the call if it ends while it is held.
    pub fn held(&self) -> Error {
        match &self.last {
            Some(_) => self.result_so_far(),
            None => self.is_open(self.options.deadline.at),
        }
    }

    fn is_open(&self, until: Instant) -> Error {
        is_open(self.call.effect, until.saturating_duration_since(Instant::now()))
    }

    /// Returns whether the caller may wait for the circuit after this failure: no attempt can have been delivered.
    fn may_be_held(&self, failed: &FailedExchange) -> bool {
        self.options.waits_for_circuit
            && self.options.policy.mode != Mode::Never
            && self.first_unknown.is_none()
            && failed.delivery == Some(Delivery::NotSent)
            && failed.retryable
    }

    /// Returns the latest moment at which another attempt may begin after this failure.
    fn last_start_after(&self, failed: &FailedExchange) -> Instant {
        let deadline = self.options.deadline.at;
        let may_have_arrived = self.first_unknown.is_some() || failed.delivery == Some(Delivery::Unknown);
        match self.recognized_until {
            // It has to end before the server forgets the key, or it would be published again. In the other mode that
            // retries, the user has agreed to that.
            Some(until) if may_have_arrived && self.options.policy.mode == Mode::Safe && until < deadline => {
                let longest = self.application.attempt_timeout.unwrap_or(Duration::MAX);
                until.checked_sub(longest).unwrap_or_else(Instant::now)
            }
            _ => deadline,
        }
    }

    /// Returns the result of the call if it ends without another attempt.
    pub fn result_so_far(&self) -> Error {
        match &self.last {
            Some(last) => Error::Exchange(combined(self.first_unknown.clone(), last.clone())),
            None => Error::Internal("nothing was attempted".to_owned()),
        }
    }

    /// Returns the result of the call if it is cancelled in a wait. What the last attempt did remains true.
    pub fn cancelled(&self) -> Error {
        match self.result_so_far() {
            Error::Exchange(failed) => {
                let message = format!("the wait for a retry was cancelled; {}", failed.message);
                Error::Exchange(Box::new(FailedExchange { message, ..cancelled(*failed) }))
            }
            error => error,
        }
    }

    /// Returns the number of attempts so far.
    pub fn made(&self) -> u32 {
        self.made
    }

    fn remember(&mut self) {
        if let Some(last) = self.last.take().filter(|last| last.delivery == Some(Delivery::Unknown)) {
            self.first_unknown.get_or_insert(last);
        }
    }

    /// Sends the request once. `retry_cause` is the failure that it follows. Sets `meter` if the call is observed.
    fn send(
        &self,
        pass: Option<Pass<'_>>,
        retry_cause: Option<&'static str>,
        meter: &mut Option<Meter>,
    ) -> Result<String, Error> {
        let mut prepared = self.application.sign(self.endpoint, self.call, self.options.deadline)?;
        prepared.request.reads_rate_limit = self.options.rate_limit.is_some();
        let statistics = &self.application.statistics;
        statistics.count_request();
        if let Some(cause) = retry_cause {
            statistics.count_retry(cause);
        }
        if let Some(observed) = self.options.observed {
            let path = self.application.path_of(&prepared.request, self.call);
            observed.start_attempt(self.call.method, path, self.made, retry_cause);
            prepared.request.meter = Some(meter.insert(Meter::new()));
        }
        let AttemptOptions { hooks, rate_limit, cancellation, .. } = self.options;
        self.application.send(&prepared, pass, hooks, rate_limit, cancellation)
    }
}

/// Combines several attempts into one failure. Once a call may have been delivered, a later attempt that was not delivered
/// does not change that.
fn combined(first_unknown: Option<Box<FailedExchange>>, last: Box<FailedExchange>) -> Box<FailedExchange> {
    match first_unknown {
        Some(unknown) => {
            let combined = FailedExchange { attempts: last.attempts, ..*unknown };
            let was_cancelled = last.cause == Some(Cause::Cancelled.name());
            Box::new(if was_cancelled { cancelled(combined) } else { combined })
        }
        None => last,
    }
}

/// Returns the failure of a call that ends with this one because it was cancelled.
fn cancelled(failed: FailedExchange) -> FailedExchange {
    FailedExchange { cause: Some(Cause::Cancelled.name()), retryable: false, ..failed }
}

/// Returns the error of an attempt that could not be made, such as for lack of memory, unless an earlier one may have been
/// delivered.
fn unless_unknown(first_unknown: Option<Box<FailedExchange>>, attempts: u32, error: Error) -> Error {
    match first_unknown {
        Some(unknown) => Error::Exchange(Box::new(FailedExchange { attempts, ..*unknown })),
        None => error,
    }
}

/// Returns the error of a call that the circuit breaker refuses before its first attempt.
fn is_open(effect: Effect, wait: Duration) -> Error {
    // Rounded up: after this time a call may pass.
    let ms = u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    let message = format!(
        "the circuit breaker is open (circuit_breaker): the server could not be reached, and the next attempt is made in {ms} ms"
    );
    Error::Exchange(Box::new(FailedExchange {
        delivery: Some(Delivery::NotSent).filter(|_| effect != Effect::Nothing),
        retry_after_ms: Some(ms),
        attempts: 0,
        ..FailedExchange::not_sent(CIRCUIT, message)
    }))
}

/// The cause of the failure of a call that the circuit breaker refuses.
pub const CIRCUIT: &str = "circuit";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Plan;
    use crate::circuit::Reach;
    use crate::client::Pusher;
    use crate::error::Purpose;
    use crate::status::Status;

    #[test]
    fn an_attempt_that_cannot_be_made_does_not_change_that_an_earlier_one_may_have_been_delivered() {
        let unknown = FailedExchange {
            status: Status::DeliveryUnknown,
            delivery: Some(Delivery::Unknown),
            ..FailedExchange::not_sent("reset", "no response".to_owned())
        };
        let error = Error::Unavailable("memory");
        let ended = unless_unknown(Some(Box::new(unknown)), 2, error.clone());
        assert_eq!(
            (ended.status(), ended.delivery(Purpose::Publish)),
            (Status::DeliveryUnknown, Some(Delivery::Unknown))
        );
        assert!(matches!(ended, Error::Exchange(failed) if failed.attempts == 2));
        assert_eq!(unless_unknown(None, 0, error.clone()), error);
    }

    /// Runs `body` with the attempts of a call to a server that does not exist.
    fn with_attempts(config: &str, body: impl FnOnce(&mut Attempts<'_>)) {
        let config =
            format!(r#"{{"app_id":"1","key":"k","secret":"s","host":"127.0.0.1","port":9,"ssl":false{config}}}"#);
        let client = Pusher::new(Some(&config)).unwrap();
        let started = Instant::now();
        let arguments = [Some("my-channel"), Some("my-event"), Some("{}"), None];
        let plan =
            Endpoint::Trigger.build(&client.application.context, &arguments, client.time_of_call(started)).unwrap();
        let Plan::Request(call) = plan else { panic!("no request") };
        let deadline = Deadline::new(started, Duration::from_secs(3600));
        let options = AttemptOptions {
            policy: client.application.retry(),
            deadline,
            hooks: None,
            observed: None,
            rate_limit: None,
            cancellation: None,
            waits_for_circuit: false,
        };
        body(&mut Attempts::new(&client.application, Endpoint::Trigger, &call, options));
    }

    #[test]
    fn a_window_that_ends_with_the_call_does_not_shorten_it() {
        with_attempts(r#","attempt_timeout_ms":1000"#, |attempts| {
            let deadline = attempts.options.deadline.at;
            let unknown = FailedExchange {
                delivery: Some(Delivery::Unknown),
                ..FailedExchange::not_sent("reset", "no response".to_owned())
            };
            let (tick, longest) = (Duration::from_nanos(1), Duration::from_secs(1));
            for (until, last) in
                [(deadline - tick, deadline - tick - longest), (deadline, deadline), (deadline + tick, deadline)]
            {
                attempts.recognized_until = Some(until);
                assert_eq!(attempts.last_start_after(&unknown), last);
            }
        });
    }

    #[test]
    fn a_refused_call_is_held_only_if_its_caller_waits_and_it_may_be_retried() {
        let not_sent = FailedExchange::not_sent("connect", "no connection".to_owned());
        let unknown = FailedExchange { delivery: Some(Delivery::Unknown), ..not_sent.clone() };
        let hopeless = FailedExchange { retryable: false, ..not_sent.clone() };
        for (waits, mode, first_unknown, last, is_held) in [
            (true, Mode::Safe, None, None, true),
            (true, Mode::Never, None, None, true),
            (false, Mode::Safe, None, None, false),
            (true, Mode::Safe, None, Some(&not_sent), true),
            (false, Mode::Safe, None, Some(&not_sent), false),
            (true, Mode::Never, None, Some(&not_sent), false),
            (true, Mode::Safe, Some(&unknown), Some(&not_sent), false),
            (true, Mode::Safe, None, Some(&unknown), false),
            (true, Mode::Safe, None, Some(&hopeless), false),
        ] {
            with_attempts(r#","circuit_breaker":{"failures":1,"open_ms":60000}"#, |attempts| {
                attempts.application.circuit().unwrap().note(Reach::Failed, Instant::now(), 0);
                attempts.options.waits_for_circuit = waits;
                attempts.options.policy.mode = mode;
                attempts.first_unknown = first_unknown.cloned().map(Box::new);
                attempts.last = last.cloned().map(Box::new);
                assert!(!attempts.is_admitted());
                let cause = match attempts.next() {
                    Step::Ended(Err(Error::Exchange(failed))) => failed.cause,
                    Step::Ended(_) | Step::Again(_) => panic!("not refused"),
                    Step::Held => None,
                };
                let expected = if last.is_some() { "connect" } else { CIRCUIT };
                assert_eq!(cause, (!is_held).then_some(expected), "{waits} {mode:?} {first_unknown:?} {last:?}");
            });
        }
    }

    #[test]
    fn a_probe_has_the_time_of_an_attempt() {
        let limits = r#","timeout_ms":120000,"attempt_timeout_ms":60000"#;
        with_attempts(&format!(r#"{limits},"circuit_breaker":{{"failures":1,"open_ms":1000}}"#), |attempts| {
            let circuit = attempts.application.circuit().unwrap();
            let (before, limit) = (Instant::now(), Duration::from_secs(60));
            circuit.note(Reach::Failed, before - Duration::from_secs(10), 0);
            assert!(attempts.is_admitted());
            let until = circuit.check(before).unwrap_err();
            assert!(until >= before + limit && until <= Instant::now() + limit);
        });
    }

    #[test]
    fn waits_are_random() {
        let numbers: Vec<u64> = (0..8).map(|_| random()).collect();
        assert!((1..8).all(|at| !numbers[..at].contains(&numbers[at])), "{numbers:?}");
    }
}
