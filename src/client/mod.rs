//! The client: checks, builds, signs and sends each call, and returns its result.
//!
//! The handle is [`Pusher`]. [`Application`] holds everything except callbacks and is shared with publishers. [`Hooks`] holds the
//! callbacks, which may only run on threads the user has agreed to.

mod application;
mod attempts;
mod fan_out;
mod hooks;
mod observed;
mod rate_limit;
mod size;
mod stats;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::{self, Call, CallTime, Event, Plan};
use crate::authorization::{self, SigningKeys};
use crate::config::{Config, Support};
use crate::error::{Error, OutOfMemory};
use crate::headers::Headers;
use crate::http::{Failure, Response, Transport};
use crate::log::Log;
use crate::observer::Observer;
use crate::platform::Cancellation;
use crate::signing::Signer;
use crate::time_limit::TimeLimit;
use crate::webhook::{self, WebhookKeys};

pub use crate::api::Endpoint;
use application::since_1970;

pub use application::{Application, Deadline, Pending, Prepared};
pub use attempts::{AttemptOptions, Attempts, Step};
pub use fan_out::FanOut;
pub use hooks::Hooks;
pub use observed::ObservedCall;
pub use rate_limit::RateLimit;
pub use size::SizeLimit;

/// A client of one Channels application, or another handle of it (pusher_clone()).
///
/// Threads: any number of threads may use one client at the same time.
/// Lifetime: from pusher_new() or pusher_clone() to pusher_free(). Free it when no call is running
/// any more; pusher_cancel() ends the calls that are.
pub struct Pusher {
    application: Arc<Application>,
    hooks: Arc<Hooks>,
    /// More keys that webhooks may be signed with.
    webhook_tokens: Arc<Vec<Signer>>,
    webhook_max_age: Duration,
    /// Of this handle alone.
    cancellation: Cancellation,
}

impl Pusher {
    /// Creates a client from a configuration that [`Config::parse`] reads. Connects and starts nothing, and reads no file
    /// but that of the client's own certificate.
    pub fn new(configuration: Option<&str>) -> Result<Pusher, Error> {
        let mut config = Config::parse(configuration)?;
        let mut webhook_tokens = Vec::new();
        webhook_tokens.try_reserve_exact(config.webhook_tokens.len()).map_err(|_| OutOfMemory)?;
        webhook_tokens.extend(config.webhook_tokens.drain(..).map(|(key, secret)| Signer::new(key, &secret)));
        Ok(Pusher {
            webhook_tokens: Arc::new(webhook_tokens),
            webhook_max_age: config.webhook_max_age,
            hooks: Arc::new(Hooks::new(config.log_level)),
            application: Arc::new(Application::new(config)?),
            cancellation: Cancellation::new(),
        })
    }

    /// Returns another handle of the same client, whose calls are cancelled separately.
    pub fn another(&self) -> Pusher {
        Pusher {
            application: Arc::clone(&self.application),
            hooks: Arc::clone(&self.hooks),
            webhook_tokens: Arc::clone(&self.webhook_tokens),
            webhook_max_age: self.webhook_max_age,
            cancellation: Cancellation::new(),
        }
    }

    /// Ends the running calls of this handle, and makes later ones fail. Async-signal-safe.
    pub fn cancel(&self) {
        self.cancellation.cancel();
    }

    /// Returns the part of the client that its publishers share.
    pub fn application(&self) -> &Arc<Application> {
        &self.application
    }

    /// Returns the callbacks.
    pub fn hooks(&self) -> &Arc<Hooks> {
        &self.hooks
    }

    /// Makes a call: sends its request, retries it by the retry policy, and returns the result.
    pub fn call(&self, endpoint: Endpoint, arguments: &[Option<&str>]) -> Result<String, Error> {
        let started = Instant::now();
        let mut observations = None;
        let observed = ObservedCall::start(&self.hooks, endpoint, started, None, &mut observations);
        let call = || self.try_call(endpoint, arguments, started, observed.as_ref());
        let result = self.hooks.logged(endpoint.name(), Some(started), call);
        let (duration, ended) = (started.elapsed(), result.as_ref().map(drop));
        self.application.statistics.count_call(endpoint, ended, duration);
        if let Some(observed) = &observed {
            observed.end_after(duration, ended);
        }
        result
    }

    fn try_call(
        &self,
        endpoint: Endpoint,
        arguments: &[Option<&str>],
        started: Instant,
        observed: Option<&ObservedCall<'_>>,
    ) -> Result<String, Error> {
        self.application.require_app_id()?;
        let plan = endpoint.build(&self.application.context, arguments, self.time_of_call(started))?;
        self.hooks.mark_used();
        match plan {
            Plan::Request(call) => {
                let deadline = self.application.deadline(call.timeout, started);
                self.request(endpoint, &call, deadline, observed).0
            }
            Plan::FanOut { event, timeout, headers } => {
                self.fan_out(endpoint, &event, &headers, self.application.deadline(timeout, started), observed)
            }
        }
    }

    /// Makes one request and its retries. Returns its result and the number of attempts.
    fn request(
        &self,
        endpoint: Endpoint,
        call: &Call,
        deadline: Deadline,
        observed: Option<&ObservedCall<'_>>,
    ) -> (Result<String, Error>, u32) {
        let options = AttemptOptions {
            policy: self.application.retry(),
            deadline,
            hooks: Some(&self.hooks),
            observed,
            rate_limit: None,
            cancellation: Some(&self.cancellation),
            waits_for_circuit: false,
        };
        let mut attempts = Attempts::new(&self.application, endpoint, call, options);
        loop {
            match attempts.next() {
                Step::Ended(result) => return (result, attempts.made()),
                Step::Again(wait) => {
                    if self.cancellation.sleep(wait) {
                        return (Err(attempts.cancelled()), attempts.made());
                    }
                }
                Step::Held => return (Err(attempts.held()), attempts.made()),
            }
        }
    }

    /// Makes the requests of a fan-out.
    fn fan_out(
        &self,
        endpoint: Endpoint,
        event: &Event,
        headers: &Headers,
        deadline: Deadline,
        observed: Option<&ObservedCall<'_>>,
    ) -> Result<String, Error> {
        if let Some(limit) = self.application.size_limit(api::EVENTS)? {
            self.application.check_size(event, limit)?;
        }
        let mut fan_out = FanOut::new(&self.application, event, deadline)?;
        while let Some(call) = fan_out.next() {
            if let Some(observed) = observed {
                observed.begin_part();
            }
            let (result, attempts) = match call {
                Ok(call) => self.request(endpoint, &call.with_headers(headers.clone()), deadline, observed),
                Err(error) => (Err(error), 0),
            };
            fan_out.add(result, attempts);
        }
        fan_out.finish()
    }

    fn time_of_call(&self, started: Instant) -> CallTime {
        CallTime { started, timeout: self.application.timeout() }
    }

    /// Signs a call without sending it, and passes the request to `take`.
    pub fn prepare<T>(
        &self,
        endpoint: Endpoint,
        arguments: &[Option<&str>],
        take: impl FnOnce(Prepared<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        self.application.require_app_id()?;
        match endpoint.build(&self.application.context, arguments, self.time_of_call(started))? {
            Plan::Request(call) => {
                take(self.application.sign(endpoint, &call, self.application.deadline(call.timeout, started))?)
            }
            Plan::FanOut { event, .. } => Err(self.application.several_requests(&event)),
        }
    }

    /// Returns the result of a prepared request whose exchange has ended.
    pub fn finish(&self, pending: &Pending, exchange: Result<Response, Failure>) -> Result<String, Error> {
        self.hooks.logged(pending.endpoint.name(), None, || {
            self.application.note_reach(&exchange, Some(&self.hooks));
            // The caller measures the time of the exchange.
            self.application.interpret(pending, exchange, Some(&self.hooks), TimeLimit::NONE)
        })
    }

    /// Authorizes a subscription. See pusher_authenticate().
    pub fn authenticate(&self, channel: &str, socket_id: &str, data: Option<&str>) -> Result<Vec<u8>, Error> {
        authorization::channel(self.keys(), channel, socket_id, data)
    }

    /// Authorizes several subscriptions. See pusher_authenticate_channels().
    pub fn authenticate_channels(&self, socket_id: &str, channels: &str) -> Result<Vec<u8>, Error> {
        authorization::channels(self.keys(), socket_id, channels)
    }

    /// Signs a user in. See pusher_authenticate_user().
    pub fn authenticate_user(&self, socket_id: &str, data: &str) -> Result<Vec<u8>, Error> {
        authorization::user(self.keys(), socket_id, data)
    }

    fn keys(&self) -> SigningKeys<'_> {
        let context = &self.application.context;
        SigningKeys {
            signer: &self.application.signer,
            master_key: context.master_key.as_ref(),
            channel_names: context.channel_names,
            no_private_data: match context.server.profile().private_channel_data {
                Support::Yes => None,
                Support::No(reason) => Some((context.server.name(), reason)),
            },
        }
    }

    /// Checks a webhook. See pusher_validate_webhook().
    pub fn validate_webhook(&self, key: Option<&str>, signature: Option<&str>, body: &[u8]) -> Result<String, Error> {
        let webhooks = WebhookKeys {
            own: &self.application.signer,
            others: &self.webhook_tokens,
            max_age: self.webhook_max_age,
            time_is_string: self.application.profile().webhook_time_is_string,
            master_key: self.application.context.master_key.as_ref(),
        };
        let now = u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX);
        // Reading the clock takes as long as hashing a block with SHA-256.
        let started = self.hooks.has_log().then(Instant::now);
        self.hooks.logged("validate_webhook", started, || webhook::validate(&webhooks, key, signature, body, now))
    }

    /// Sets the transport. Fails after the first call and if one is set.
    pub fn set_transport(&self, transport: Box<dyn Transport>) -> Result<(), Error> {
        self.hooks.set_transport(transport)
    }

    /// Returns the statistics, in the configured format. See pusher_stats().
    pub fn stats(&self) -> Result<String, Error> {
        self.application.stats()
    }

    /// Sets the observer. Fails after the first call and if one is set.
    pub fn set_observer(&self, observer: Box<dyn Observer>) -> Result<(), Error> {
        self.hooks.set_observer(observer)
    }

    /// Sets the log. Fails after the first call and if one is set.
    pub fn set_log(&self, log: Box<dyn Log>) -> Result<(), Error> {
        self.hooks.set_log(log)
    }
}
