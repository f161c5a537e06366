//! What an observer is told of a call. Nothing here runs without one.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::hooks::Hooks;
use crate::api::Endpoint;
use crate::error::{Error, FailedExchange};
use crate::http::{Meter, Phase, Request};
use crate::observer::{Fields, Observation, Observer, SHORT, WITH_PATH, WITH_TIMES};
use crate::status::{Delivery, Status};

/// How a call or an attempt ended.
#[derive(Clone, Copy)]
pub struct Ending {
    status: Status,
    /// That of a failure.
    delivery: Option<Delivery>,
    cause: Option<&'static str>,
}

impl Ending {
    /// It ended well.
    pub(super) const OK: Ending = Ending { status: Status::Ok, delivery: None, cause: None };

    /// It failed.
    pub(super) fn of(error: &Error, endpoint: Endpoint) -> Ending {
        match error {
            Error::Exchange(failed) => Ending::of_exchange(failed),
            _ => Ending { status: error.status(), delivery: error.delivery(endpoint.purpose()), cause: None },
        }
    }

    /// Its exchange failed.
    pub(super) fn of_exchange(failed: &FailedExchange) -> Ending {
        Ending { status: failed.status, delivery: failed.delivery, cause: failed.cause }
    }
}

/// A call that is observed. The observer learns of its end even if a bug ends it.
pub struct ObservedCall<'a> {
    observer: &'a dyn Observer,
    id: u64,
    endpoint: Endpoint,
    started: Instant,
    /// The number of the request of a fan-out, counted from 1. Zero for a call with one request.
    part: Cell<u32>,
    attempts: Cell<u32>,
    has_ended: Cell<bool>,
}

impl<'a> ObservedCall<'a> {
    /// Reports the start of a call, if there is an observer. `events` is the number of events that a publisher sends.
    #[inline]
    pub fn start(
        hooks: &'a Hooks,
        endpoint: Endpoint,
        started: Instant,
        events: Option<usize>,
    ) -> Option<ObservedCall<'a>> {
        let (observer, id) = hooks.observer()?;
        let call = ObservedCall {
            observer,
            id,
            endpoint,
            started,
            part: Cell::new(0),
            attempts: Cell::new(0),
            has_ended: Cell::new(false),
        };
        let mut fields = Fields::<SHORT>::new();
        fields.begin(endpoint.name());
        if let Some(events) = events {
            fields.number(br#","events":"#, events as u64);
        }
        call.tell(Observation::CallStart, &mut fields);
        Some(call)
    }

    /// Begins the next request of a fan-out.
    pub(super) fn begin_part(&self) {
        self.part.set(self.part.get() + 1);
    }

    /// Reports the start of an attempt, and returns the place for its measurements. `number` is counted from 1 in each
    /// request. `last` is the failure that it follows.
    pub(super) fn start_attempt(&self, request: &Request<'_>, number: u32, last: Option<&'static str>) -> Meter {
        self.attempts.set(self.attempts.get() + 1);
        let mut fields = Fields::<WITH_PATH>::new();
        self.begin_attempt(&mut fields, number);
        fields.word(br#","method":"#, request.method.name()).path(br#","path":"#, &request.target);
        if let Some(last) = last {
            fields.word(br#","retry_cause":"#, last);
        }
        self.tell(Observation::AttemptStart, &mut fields);
        Meter::new(Instant::now())
    }

    /// Reports the end of an attempt. `wait` is the time before the next one, if there may be one.
    pub(super) fn end_attempt(&self, number: u32, meter: &Meter, ending: Ending, wait: Option<Duration>) {
        let mut fields = Fields::<WITH_TIMES>::new();
        self.begin_attempt(&mut fields, number);
        fields.micros(br#","duration_us":"#, meter.duration());
        if let Some(pool) = meter.pool() {
            fields.micros(br#","pool_us":"#, pool);
        }
        // Only the key differs, whose length the compiler knows.
        if let Some(time) = meter.time(Phase::Resolving) {
            fields.micros(br#","lookup_us":"#, time);
        }
        if let Some(time) = meter.time(Phase::Connecting) {
            fields.micros(br#","connect_us":"#, time);
        }
        if let Some(time) = meter.time(Phase::Tunnel) {
            fields.micros(br#","proxy_us":"#, time);
        }
        if let Some(time) = meter.time(Phase::Handshake) {
            fields.micros(br#","tls_us":"#, time);
        }
        if let Some(time) = meter.time(Phase::Sending) {
            fields.micros(br#","write_us":"#, time);
        }
        if let Some(time) = meter.time(Phase::Waiting) {
            fields.micros(br#","wait_us":"#, time);
        }
        if let Some(time) = meter.time(Phase::Reading) {
            fields.micros(br#","read_us":"#, time);
        }
        if let Some(is_reused) = meter.is_reused.get() {
            fields.boolean(br#","reused":"#, is_reused);
            fields.number(br#","sent_bytes":"#, meter.sent.get() as u64);
            fields.number(br#","received_bytes":"#, meter.received.get() as u64);
        }
        if let Some(status) = meter.status.get() {
            fields.number(br#","http_status":"#, status.into());
        }
        self.add(&mut fields, ending);
        if let Some(wait) = wait {
            fields.micros(br#","retry_wait_us":"#, wait);
        }
        self.tell(Observation::AttemptEnd, &mut fields);
    }

    /// Reports the end of the call.
    pub fn end(&self, result: Result<(), &Error>) {
        self.end_after(self.started.elapsed(), result);
    }

    /// Reports the end of the call, which took this long.
    pub(super) fn end_after(&self, duration: Duration, result: Result<(), &Error>) {
        self.has_ended.set(true);
        let mut fields = Fields::<SHORT>::new();
        fields.begin(self.endpoint.name());
        fields.micros(br#","duration_us":"#, duration);
        fields.number(br#","attempts":"#, self.attempts.get().into());
        self.add(&mut fields, result.map_or_else(|error| Ending::of(error, self.endpoint), |()| Ending::OK));
        self.tell(Observation::CallEnd, &mut fields);
    }

    #[inline]
    fn begin_attempt<const SIZE: usize>(&self, fields: &mut Fields<SIZE>, number: u32) {
        fields.begin(self.endpoint.name());
        if self.part.get() > 0 {
            fields.number(br#","part":"#, self.part.get().into());
        }
        fields.number(br#","attempt":"#, number.into());
    }

    #[inline]
    fn add<const SIZE: usize>(&self, fields: &mut Fields<SIZE>, ending: Ending) {
        let Ending { status, delivery, cause } = ending;
        match (status, self.endpoint.publishes()) {
            (Status::Ok, true) => fields.push(br#","status":"OK","delivery":"delivered""#),
            (Status::Ok, false) => fields.push(br#","status":"OK""#),
            (status, _) => fields.word(br#","status":"#, status.name()),
        };
        if let Some(delivery) = delivery {
            fields.word(br#","delivery":"#, delivery.name());
        }
        if let Some(cause) = cause {
            fields.word(br#","cause":"#, cause);
        }
    }

    fn tell<const SIZE: usize>(&self, kind: Observation, fields: &mut Fields<SIZE>) {
        self.observer.observe(kind, self.id, fields.finish());
    }
}

impl Drop for ObservedCall<'_> {
    fn drop(&mut self) {
        if !self.has_ended.get() {
            self.end(Err(&Error::Internal(String::new())));
        }
    }
}
