//! The requests of a fan-out, one after another within one deadline, and their common result.

use std::iter;

use super::application::{Application, Deadline};
use super::attempts::CIRCUIT;
use crate::api::{self, Call, Event, Parts};
use crate::error::{Error, FailedExchange, PartialFailure, Purpose};
use crate::idempotency::IdempotencyKey;
use crate::json::Writer;
use crate::status::{Delivery, Status};
use crate::time_limit::TimeLimit;

/// A fan-out in progress.
pub struct FanOut<'a> {
    application: &'a Application,
    event: &'a Event,
    deadline: Deadline,
    /// The key from which those of the requests are made.
    key: Option<IdempotencyKey>,
    /// The parts that were not begun.
    parts: Parts<'a>,
    /// The number of all parts.
    count: usize,
    /// The results of the parts that were begun.
    ends: Vec<End>,
    failures: Failures,
    /// The requests sent, retries included.
    attempts: u32,
    /// Whether a failure shows that the other parts would fail in the same way.
    is_pointless: bool,
    /// The attributes of channels in the responses so far, `{"a":{…}…`.
    attributes: Writer,
}

/// The result of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    status: Status,
    delivery: Delivery,
    cause: Option<&'static str>,
    http_status: Option<u16>,
}

impl End {
    const DELIVERED: End = End { status: Status::Ok, delivery: Delivery::Delivered, cause: None, http_status: None };

    const NOT_BEGUN: End = End { status: Status::NotSent, delivery: Delivery::NotSent, cause: None, http_status: None };

    fn of(error: &Error) -> End {
        let failed = match error {
            Error::Exchange(failed) => Some(failed),
            _ => None,
        };
        End {
            status: error.status(),
            delivery: error.delivery(Purpose::Publish).unwrap_or(Delivery::Unknown),
            cause: failed.and_then(|failed| failed.cause),
            http_status: failed.and_then(|failed| failed.http_status),
        }
    }
}

/// The failures of parts, as one.
#[derive(Clone, Debug, Default)]
struct Failures {
    first: Option<Error>,
}

impl Failures {
    fn add(&mut self, error: Error) {
        match (&mut self.first, error) {
            (Some(Error::Exchange(first)), Error::Exchange(failed)) => {
                first.retryable &= failed.retryable;
                first.retry_after_ms = first.retry_after_ms.max(failed.retry_after_ms);
            }
            (Some(_), _) => {}
            (first @ None, error) => *first = Some(error),
        }
    }
}

impl<'a> FanOut<'a> {
    /// Returns a fan-out none of whose parts was begun.
    pub fn new(application: &'a Application, event: &'a Event, deadline: Deadline) -> Result<FanOut<'a>, Error> {
        let parts = api::parts(&application.context, event);
        let count = parts.clone().count();
        let mut ends = Vec::new();
        ends.try_reserve_exact(count).map_err(|_| Error::Unavailable("memory"))?;
        Ok(FanOut {
            application,
            event,
            deadline,
            key: application.key_for(std::slice::from_ref(event))?,
            parts,
            count,
            ends,
            failures: Failures::default(),
            attempts: 0,
            is_pointless: false,
            attributes: Writer::new(),
        })
    }

    /// Returns whether a part was begun.
    pub fn has_begun(&self) -> bool {
        !self.ends.is_empty()
    }

    /// Returns the request of the next part, unless the fan-out has ended. The caller must add its result.
    pub fn next(&mut self) -> Option<Result<Call, Error>> {
        // If the deadline has passed before the first part is sent, that one says so.
        let is_late = || !self.ends.is_empty() && self.deadline.has_passed();
        if self.is_pointless || is_late() {
            return None;
        }
        let part = self.parts.next()?;
        let limit = TimeLimit::until(self.deadline.at);
        let request = api::part_request(&self.application.context, self.event, &part, limit);
        Some(request.map(|call| {
            // Each request has another body, and so another key. It is not made from the ciphertext, which would be another if
            // the caller repeated the call.
            let content = || part.channels().map(str::as_bytes).chain([self.event.body()]);
            let key = self.key.as_ref().map(|key| key.of_part(self.ends.len(), content()));
            call.with_key(key)
        }))
    }

    /// Adds the result of a part, after this many attempts.
    pub fn add(&mut self, result: Result<String, Error>, attempts: u32) {
        self.attempts += attempts;
        match result.and_then(|response| self.add_attributes(&response)) {
            Ok(()) => self.ends.push(End::DELIVERED),
            Err(error) => {
                self.is_pointless = is_of_all_parts(&error);
                self.ends.push(End::of(&error));
                self.failures.add(error);
            }
        }
    }

    /// Returns the result of the event: the attributes of all channels that the responses have, or `{}`.
    pub fn finish(mut self) -> Result<String, Error> {
        if let Some(error) = self.failure(&self.ends, &self.failures, self.attempts) {
            return Err(error);
        }
        if self.attributes.len() == 0 {
            return Ok("{}".to_owned());
        }
        self.attributes.end_object().end_object();
        self.attributes
            .finish_string()
            .map_err(|_| unreadable("there is not enough memory to return the responses".to_owned()))
    }

    /// Returns the failure of the event if it ends now. `last` is the failure of the part in progress, after this many attempts.
    pub fn failure_so_far(&self, last: Option<(&Error, u32)>) -> Error {
        let (mut ends, mut failures, mut attempts) = (Vec::new(), self.failures.clone(), self.attempts);
        if ends.try_reserve_exact(self.ends.len() + 1).is_err() {
            return self.partial(&self.ends, attempts);
        }
        ends.extend_from_slice(&self.ends);
        if let Some((error, made)) = last {
            ends.push(End::of(error));
            failures.add(error.clone());
            attempts += made;
        }
        self.failure(&ends, &failures, attempts).unwrap_or_else(|| self.partial(&ends, attempts))
    }

    /// Returns the failure of an event whose parts ended like this, unless each was delivered.
    fn failure(&self, ends: &[End], failures: &Failures, attempts: u32) -> Option<Error> {
        let (all_begun, first) = (ends.len() == self.count, ends.first()?);
        if !ends.iter().all(|end| (end.status, end.delivery) == (first.status, first.delivery)) {
            return Some(self.partial(ends, attempts));
        }
        match (first.delivery, &failures.first) {
            (Delivery::Delivered, _) if all_begun => None,
            // Parts that were not begun have the same delivery, or one that is as certain.
            (delivery, Some(failure)) if all_begun || delivery != Delivery::Unknown => {
                let mut failure = failure.clone();
                if let Error::Exchange(failed) = &mut failure {
                    failed.attempts = attempts;
                }
                Some(failure)
            }
            _ => Some(self.partial(ends, attempts)),
        }
    }

    fn partial(&self, ends: &[End], attempts: u32) -> Error {
        let delivered = ends.iter().filter(|end| end.delivery == Delivery::Delivered).count();
        let parts = self.written(ends).unwrap_or_default();
        Error::Partial(Box::new(PartialFailure { delivered, requests: self.count, attempts, parts }))
    }

    /// Returns the result of each part as JSON.
    fn written(&self, ends: &[End]) -> Result<String, Error> {
        let mut json = Writer::new();
        json.begin_array();
        let ends = ends.iter().copied().chain(iter::repeat(End::NOT_BEGUN));
        for (part, End { status, delivery, cause, http_status }) in
            api::parts(&self.application.context, self.event).zip(ends)
        {
            json.begin_object().key("channels").begin_array();
            for channel in part.channels() {
                json.plain([channel.as_bytes()]);
            }
            json.end_array().key("status").string(status.name()).key("delivery").string(delivery.name());
            if let Some(cause) = cause {
                json.key("cause").string(cause);
            }
            if let Some(http_status) = http_status {
                json.key("http_status").number(http_status);
            }
            json.end_object();
        }
        json.end_array();
        json.finish_string()
    }

    /// Adds the attributes of channels in a response, if the event asked for them.
    fn add_attributes(&mut self, response: &str) -> Result<(), Error> {
        let attributes = if self.event.wants_info { api::attributes_in(response) } else { "" };
        if attributes.is_empty() {
            return Ok(());
        }
        let limit = self.application.context.limits.response_bytes;
        if self.attributes.len() + attributes.len() > limit {
            let message = format!("the responses are longer than {limit} bytes together (max_response_bytes)");
            return Err(unreadable(message));
        }
        if self.attributes.len() == 0 {
            self.attributes.begin_object().key("channels").begin_object();
        }
        self.attributes.raw(attributes);
        Ok(())
    }
}

/// Returns the failure of a request that a server answered with success, but whose response cannot be used.
fn unreadable(message: String) -> Error {
    Error::Exchange(Box::new(FailedExchange {
        status: Status::BadResponse,
        delivery: Some(Delivery::Unknown),
        retryable: false,
        ..FailedExchange::not_sent("malformed", message)
    }))
}

/// Returns whether the other parts would fail in the same way: the failure concerns the application or the way to the server.
fn is_of_all_parts(error: &Error) -> bool {
    match error {
        Error::Exchange(failed) => match failed.status {
            Status::Unauthorized | Status::Forbidden | Status::NotFound | Status::Redirected => true,
            Status::NotSent => !failed.retryable || failed.cause == Some(CIRCUIT),
            _ => false,
        },
        _ => false,
    }
}
