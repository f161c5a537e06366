//! A client: each call validated and built, signed, sent, and its outcome told.
//!
//! The handle is [`Pusher`]; what it is made of without the caller's functions is [`Core`], which publishers share, and these
//! functions are [`Hooks`], which may be called where their owner said so.

mod application;
mod attempts;
mod hooks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::authorization::{self, Keys};
use crate::config::Config;
use crate::error::Error;
use crate::http::{Failure, Response, Transport};
use crate::log::Log;
use crate::signing::Signer;
use crate::webhook::{self, Webhooks};

pub use crate::api::Endpoint;
pub use application::{Core, Prepared, Ticket};
pub use attempts::{Attempts, Step, Terms};
pub use hooks::Hooks;

/// A client of one Channels application.
///
/// Threads: any number may use one client at the same time. Life: from pusher_new() to pusher_free().
pub struct Pusher {
    core: Arc<Core>,
    hooks: Arc<Hooks>,
    /// Those that webhooks may be signed with beside the application's own.
    webhook_tokens: Vec<Signer>,
    webhook_max_age: Duration,
}

impl Pusher {
    /// A client with a configuration as [`Config::parse`] takes it. Nothing is connected, read or started.
    pub fn new(configuration: Option<&str>) -> Result<Pusher, Error> {
        let config = Config::parse(configuration)?;
        Ok(Pusher {
            webhook_tokens: config.webhook_tokens.iter().map(|(key, secret)| Signer::new(key, secret)).collect(),
            webhook_max_age: config.webhook_max_age,
            hooks: Arc::new(Hooks::new(config.log_level)),
            core: Arc::new(Core::new(config)),
        })
    }

    /// What publishers of this client share with it.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The caller's functions in it.
    pub fn hooks(&self) -> &Arc<Hooks> {
        &self.hooks
    }

    /// Makes a call: sends its request and tells what came of it.
    pub fn call(&self, endpoint: Endpoint, arguments: &[Option<&str>]) -> Result<String, Error> {
        let started = Instant::now();
        // A bug is caught here, where there is a log to tell.
        let result = catch_unwind(AssertUnwindSafe(|| self.try_call(endpoint, arguments, started)))
            .unwrap_or_else(|panic| Err(Error::from_panic(&*panic)));
        self.hooks.log_outcome(endpoint.name(), &result, Some(started));
        result
    }

    fn try_call(&self, endpoint: Endpoint, arguments: &[Option<&str>], started: Instant) -> Result<String, Error> {
        let call = endpoint.build(&self.core.context, arguments)?;
        self.hooks.mark_used();
        let terms =
            Terms { policy: self.core.retry(), deadline: self.core.deadline(&call, started), hooks: Some(&self.hooks) };
        let mut attempts = Attempts::new(&self.core, endpoint, &call, terms);
        loop {
            match attempts.next() {
                Step::Ended(result) => return result,
                Step::Again(wait) => thread::sleep(wait),
            }
        }
    }

    /// Signs a call without sending it, and hands it to `take`.
    pub fn prepare<T>(
        &self,
        endpoint: Endpoint,
        arguments: &[Option<&str>],
        take: impl FnOnce(Prepared<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let call = endpoint.build(&self.core.context, arguments)?;
        take(self.core.sign(endpoint, &call, self.core.deadline(&call, started))?)
    }

    /// Tells what came of a prepared request.
    pub fn finish(&self, ticket: &Ticket, exchange: Result<Response, Failure>) -> Result<String, Error> {
        let result = self.core.outcome(ticket, exchange, Some(&self.hooks));
        self.hooks.log_outcome(ticket.endpoint.name(), &result, None);
        result
    }

    /// Authorizes a subscription. See pusher_authenticate().
    pub fn authenticate(&self, channel: &str, socket_id: &str, data: Option<&str>) -> Result<Vec<u8>, Error> {
        authorization::channel(self.keys(), channel, socket_id, data)
    }

    /// Signs a user in. See pusher_authenticate_user().
    pub fn authenticate_user(&self, socket_id: &str, data: &str) -> Result<Vec<u8>, Error> {
        authorization::user(self.keys(), socket_id, data)
    }

    fn keys(&self) -> Keys<'_> {
        Keys { signer: &self.core.signer, master_key: self.core.context.master_key.as_ref() }
    }

    /// Checks a webhook. See pusher_validate_webhook().
    pub fn validate_webhook(&self, key: Option<&str>, signature: Option<&str>, body: &[u8]) -> Result<String, Error> {
        let webhooks = Webhooks {
            own: &self.core.signer,
            others: &self.webhook_tokens,
            max_age: self.webhook_max_age,
            master_key: self.core.context.master_key.as_ref(),
        };
        let now = u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX);
        // Reading the clock takes as long as a compression of SHA-256.
        let started = self.hooks.has_log().then(Instant::now);
        let result = webhook::validate(&webhooks, key, signature, body, now);
        self.hooks.log_outcome("validate_webhook", &result, started);
        result
    }

    /// Sends by a transport of the caller's from now on. Once, and before the first call.
    pub fn set_transport(&self, transport: Box<dyn Transport>) -> Result<(), Error> {
        self.hooks.set_transport(transport)
    }

    /// Tells a log of the caller's from now on. Once, and before the first call.
    pub fn set_log(&self, log: Box<dyn Log>) -> Result<(), Error> {
        self.hooks.set_log(log)
    }
}

/// The time on the wall. A clock before 1970 is at 0, and the server says that the clock is wrong.
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
