//! What an observer is told of a call. Nothing here runs without one.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::hooks::Hooks;
use crate::api::Endpoint;
use crate::error::{Error, FailedExchange};
use crate::http::{Meter, Method, Phase};
use crate::observer::{Fields, Observation, Observer};
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

/// The place for the observations of a call.
pub type Observations = RefCell<Fields>;

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
    fields: &'a Observations,
    /// The length of the fields that all observations of the call have.
    of_call: usize,
    /// The length of those that both observations of the attempt have.
    of_attempt: Cell<usize>,
}

impl<'a> ObservedCall<'a> {
    /// Reports the start of a call, if there is an observer. `events` is the number of events that a publisher sends, and `place`
    /// is for the observations: a call without an observer does not make one.
    #[inline]
    pub fn start(
        hooks: &'a Hooks,
        endpoint: Endpoint,
        started: Instant,
        events: Option<usize>,
        place: &'a mut Option<Observations>,
    ) -> Option<ObservedCall<'a>> {
        let (observer, id) = hooks.observer()?;
        let place = place.insert(RefCell::new(Fields::new()));
        let fields = place.get_mut();
        let of_call = fields.begin(endpoint.name()).length();
        if let Some(events) = events {
            fields.number(br#","events":"#, events as u64);
        }
        observer.observe(Observation::CallStart, id, fields.finish());
        Some(ObservedCall {
            observer,
            id,
            endpoint,
            started,
            part: Cell::new(0),
            attempts: Cell::new(0),
            has_ended: Cell::new(false),
            of_call,
            of_attempt: Cell::new(of_call),
            fields: place,
        })
    }

    /// Begins the next request of a fan-out.
    pub(super) fn begin_part(&self) {
        self.part.set(self.part.get() + 1);
    }

    /// Reports the start of an attempt. `path` is that of the target, without the
    /// query, which holds the signature. `number` is counted from 1 in each request. `last` is the failure that it follows.
    pub(super) fn start_attempt(&self, method: Method, path: &str, number: u32, last: Option<&'static str>) {
        self.attempts.set(self.attempts.get() + 1);
        let fields = &mut *self.fields.borrow_mut();
        fields.return_to(self.of_call);
        if self.part.get() > 0 {
            fields.number(br#","part":"#, self.part.get().into());
        }
        fields.number(br#","attempt":"#, number.into());
        self.of_attempt.set(fields.length());
        match method {
            Method::Get => fields.path(br#","method":"GET","path":""#, path),
            Method::Post => fields.path(br#","method":"POST","path":""#, path),
            Method::Delete => fields.path(br#","method":"DELETE","path":""#, path),
        };
        if let Some(last) = last {
            fields.word(br#","retry_cause":"#, last);
        }
        self.tell(Observation::AttemptStart, fields);
    }

    /// Reports the end of the attempt. `wait` is the time before the next one, if there may be one.
    pub(super) fn end_attempt(&self, meter: &Meter, ending: Ending, wait: Option<Duration>) {
        let fields = &mut *self.fields.borrow_mut();
        fields.return_to(self.of_attempt.get());
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
            match is_reused {
                true => fields.number(br#","reused":true,"sent_bytes":"#, meter.sent.get() as u64),
                false => fields.number(br#","reused":false,"sent_bytes":"#, meter.sent.get() as u64),
            };
            fields.number(br#","received_bytes":"#, meter.received.get() as u64);
        }
        if let Some(status) = meter.status.get() {
            fields.number(br#","http_status":"#, status.into());
        }
        self.add(fields, ending);
        if let Some(wait) = wait {
            fields.number(br#","retry_wait_us":"#, in_micros(wait));
        }
        self.tell(Observation::AttemptEnd, fields);
    }

    /// Reports the end of the call.
    pub fn end(&self, result: Result<(), &Error>) {
        self.end_after(self.started.elapsed(), result);
    }

    /// Reports the end of the call, which took this long.
    pub(super) fn end_after(&self, duration: Duration, result: Result<(), &Error>) {
        self.has_ended.set(true);
        let fields = &mut *self.fields.borrow_mut();
        fields.return_to(self.of_call);
        fields.number(br#","duration_us":"#, in_micros(duration));
        fields.number(br#","attempts":"#, self.attempts.get().into());
        self.add(fields, result.map_or_else(|error| Ending::of(error, self.endpoint), |()| Ending::OK));
        self.tell(Observation::CallEnd, fields);
    }

    #[inline(always)]
    fn add(&self, fields: &mut Fields, ending: Ending) {
        let Ending { status, delivery, cause } = ending;
        if status == Status::Ok {
            match self.endpoint.publishes() {
                true => fields.push(br#","status":"OK","delivery":"delivered""#),
                false => fields.push(br#","status":"OK""#),
            };
            return;
        }
        fields.word(br#","status":"#, status.name());
        if let Some(delivery) = delivery {
            fields.word(br#","delivery":"#, delivery.name());
        }
        if let Some(cause) = cause {
            fields.word(br#","cause":"#, cause);
        }
    }

    fn tell(&self, kind: Observation, fields: &mut Fields) {
        self.observer.observe(kind, self.id, fields.finish());
    }
}

fn in_micros(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(time.subsec_micros()))
}

impl Drop for ObservedCall<'_> {
    fn drop(&mut self) {
        if !self.has_ended.get() {
            self.end(Err(&Error::Internal(String::new())));
        }
    }
}
