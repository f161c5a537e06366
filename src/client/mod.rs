//! A client: each call validated and built, signed, sent, and its outcome told.
//!
//! The handle is [`Pusher`]; what it is made of without the caller's functions is [`Application`], which publishers share, and these
//! functions are [`Hooks`], which may be called where their owner said so.

mod application;
mod attempts;
mod hooks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::authorization::{self, SigningKeys};
use crate::config::Config;
use crate::error::Error;
use crate::http::{Failure, Response, Transport};
use crate::log::Log;
use crate::signing::Signer;
use crate::webhook::{self, WebhookKeys};

pub use crate::api::Endpoint;
pub use application::{Application, Pending, Prepared};
pub use attempts::{AttemptOptions, Attempts, Step};
pub use hooks::Hooks;

/// A client of one Channels application.
///
/// Threads: any number of threads may use one client at the same time.
/// Lifetime: from pusher_new() to pusher_free(). Free it when no call is running any more.
pub struct Pusher {
    application: Arc<Application>,
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
            application: Arc::new(Application::new(config)),
        })
    }

    /// What publishers of this client share with it.
    pub fn application(&self) -> &Arc<Application> {
        &self.application
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
        self.hooks.log_result(endpoint.name(), &result, Some(started));
        result
    }

    fn try_call(&self, endpoint: Endpoint, arguments: &[Option<&str>], started: Instant) -> Result<String, Error> {
        let call = endpoint.build(&self.application.context, arguments)?;
        self.hooks.mark_used();
        let options = AttemptOptions {
            policy: self.application.retry(),
            deadline: self.application.deadline(&call, started),
            hooks: Some(&self.hooks),
        };
        let mut attempts = Attempts::new(&self.application, endpoint, &call, options);
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
        let call = endpoint.build(&self.application.context, arguments)?;
        take(self.application.sign(endpoint, &call, self.application.deadline(&call, started))?)
    }

    /// Tells what came of a prepared request.
    pub fn finish(&self, pending: &Pending, exchange: Result<Response, Failure>) -> Result<String, Error> {
        let result = self.application.interpret(pending, exchange, Some(&self.hooks));
        self.hooks.log_result(pending.endpoint.name(), &result, None);
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

    fn keys(&self) -> SigningKeys<'_> {
        SigningKeys { signer: &self.application.signer, master_key: self.application.context.master_key.as_ref() }
    }

    /// Checks a webhook. See pusher_validate_webhook().
    pub fn validate_webhook(&self, key: Option<&str>, signature: Option<&str>, body: &[u8]) -> Result<String, Error> {
        let webhooks = WebhookKeys {
            own: &self.application.signer,
            others: &self.webhook_tokens,
            max_age: self.webhook_max_age,
            master_key: self.application.context.master_key.as_ref(),
        };
        let now = u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX);
        // Reading the clock takes as long as a compression of SHA-256.
        let started = self.hooks.has_log().then(Instant::now);
        let result = webhook::validate(&webhooks, key, signature, body, now);
        self.hooks.log_result("validate_webhook", &result, started);
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
