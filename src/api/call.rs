//! A call of the HTTP API before it is signed.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::config::{BatchRoute, RefusedData, RequestLimits, Server, Support};
use crate::encryption::MasterKey;
use crate::error::Error;
use crate::headers::Headers;
use crate::http::Method;
use crate::idempotency::{Idempotency, IdempotencyKey};
use crate::time_limit::TimeLimit;
use crate::validation::ChannelNames;

/// A call that can be signed and sent.
#[derive(Debug)]
pub struct Call {
    /// GET, POST or DELETE.
    pub method: Method,
    /// The path below `/apps/{app_id}`. Characters that need encoding are encoded.
    pub path: Cow<'static, str>,
    /// The call's own query parameters, not encoded. Their names are lower case, and none begins with `auth_`.
    pub parameters: Vec<(Cow<'static, str>, String)>,
    /// The body. It is serialized once, so the bytes that are hashed are the bytes that are sent.
    pub body: Option<Vec<u8>>,
    /// What the call changes.
    pub effect: Effect,
    /// The key by which a server recognizes the request when it is repeated.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The option `timeout_ms`.
    pub timeout: Option<Duration>,
    /// The option `headers`.
    pub headers: Headers,
}

impl Call {
    /// Returns a call without parameters, body, key, timeout and headers.
    pub(super) fn new(method: Method, path: impl Into<Cow<'static, str>>, effect: Effect) -> Call {
        Call {
            method,
            path: path.into(),
            parameters: Vec::new(),
            body: None,
            effect,
            idempotency_key: None,
            timeout: None,
            headers: Headers::default(),
        }
    }

    /// Returns a POST of `body`.
    pub fn post(path: impl Into<Cow<'static, str>>, body: Vec<u8>, effect: Effect, timeout: Option<Duration>) -> Call {
        Call { body: Some(body), timeout, ..Call::new(Method::Post, path, effect) }
    }

    /// Returns the call with these headers.
    pub fn with_headers(self, headers: Headers) -> Call {
        Call { headers, ..self }
    }

    /// Returns the call with a key, if there is one.
    pub fn with_key(self, idempotency_key: Option<IdempotencyKey>) -> Call {
        Call { idempotency_key, ..self }
    }
}

/// What a call changes. It decides what a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: a query, which can be repeated.
    Nothing,
    /// One thing, which is done or not: an event for one channel.
    One,
    /// Several things, of which a server may do a part: servers apply them in order and stop at the one they refuse.
    Several,
}

/// The part of a client's configuration that its calls depend on.
#[derive(Debug)]
pub struct RequestContext {
    /// The kind of server.
    pub server: Server,
    /// The limits for channels, events and payloads.
    pub limits: RequestLimits,
    /// Whether the server has the route for batches.
    pub batch_route: BatchRoute,
    /// The rule for the names of channels.
    pub channel_names: ChannelNames,
    /// The key of end-to-end encrypted channels.
    pub master_key: Option<MasterKey>,
    /// Which requests that publish have a key.
    pub idempotency: Idempotency,
}

impl RequestContext {
    /// Returns the key of a new request that publishes, for which the caller gave this one.
    pub fn key(&self, given: Option<IdempotencyKey>) -> Result<Option<IdempotencyKey>, Error> {
        match (given, self.idempotency) {
            (None, Idempotency::Auto) => IdempotencyKey::random().map(Some),
            (given, _) => Ok(given),
        }
    }

    /// Returns an error if the server lacks what a call needs.
    pub(super) fn supports(&self, support: Support) -> Result<(), Error> {
        match support {
            Support::Yes => Ok(()),
            Support::No(reason) => Err(Error::argument("server", format!("{} {reason}", self.server.name()))),
        }
    }

    /// Returns an error if the server refuses this string as the data of an event.
    pub(super) fn accepts_data(&self, data: &str, argument: &str) -> Result<(), Error> {
        let (is_refused, what) = match self.server.profile().refused_data {
            RefusedData::None => return Ok(()),
            RefusedData::Empty => (data.is_empty(), "the empty string"),
            RefusedData::Blank => (data.trim_ascii().is_empty(), "an empty string or white space"),
        };
        match is_refused {
            false => Ok(()),
            true => Err(Error::argument(argument, format!("is {what}, which {} refuses", self.server.name()))),
        }
    }
}

/// A value with the name that error messages give it.
#[derive(Clone, Copy)]
pub(super) struct Named<'a, T> {
    /// The argument or a part of it, such as `events[3].name`.
    pub(super) argument: &'a str,
    /// The value.
    pub(super) value: T,
}

/// The arguments of a call, found by the names of its parameters.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a> {
    /// The names, in the order of `values`.
    pub(super) parameters: &'static [&'static str],
    /// The values. Those that are missing at the end count as NULL.
    pub(super) values: &'a [Option<&'a str>],
    /// The time of the call.
    pub(super) time: CallTime,
}

/// The time that a call has, from which its deadline follows once its options are read.
#[derive(Clone, Copy, Debug)]
pub struct CallTime {
    /// When the call began.
    pub started: Instant,
    /// The client's `timeout_ms`.
    pub timeout: Duration,
}

impl CallTime {
    /// Returns the limit of a call whose own `timeout_ms` is this, if it has one.
    pub(super) fn limit(self, timeout: Option<Duration>) -> TimeLimit {
        TimeLimit::until(self.started + timeout.unwrap_or(self.timeout))
    }
}

impl<'a> Arguments<'a> {
    /// Returns an argument that may be NULL.
    pub(super) fn optional(self, parameter: &str) -> Option<&'a str> {
        let index = self.parameters.iter().position(|name| *name == parameter);
        debug_assert!(index.is_some(), "{parameter} is not in the list of parameters");
        self.values.get(index?).copied().flatten()
    }

    /// Returns an argument that must not be NULL.
    pub(super) fn required(self, parameter: &str) -> Result<&'a str, Error> {
        self.optional(parameter).ok_or_else(|| Error::null(parameter))
    }
}
