//! What a client is without the caller's functions in it: its configuration, its connections, and what it knows of the server.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::hooks::Hooks;
use super::since_1970;
use crate::api::{self, Call, Effect, Endpoint, Event, PublishOptions, RequestContext};
use crate::config::Config;
use crate::error::{Error, FailedExchange, Purpose};
use crate::http::{Cause, Failure, HttpClient, HttpConfig, Origin, Progress, Request, Response, Transport};
use crate::log::Level;
use crate::retry::{RetryBudget, RetryPolicy};
use crate::signing::Signer;
use crate::status::Status;

/// Signs requests, sends them, and tells what came of them.
pub struct Application {
    pub(super) signer: Signer,
    pub(super) context: RequestContext,
    origin: Origin,
    /// `/apps/{app_id}` as it is sent, with the path prefix.
    base: String,
    /// `/apps/{app_id}` as it is signed: without the prefix where a proxy strips it.
    signed_base: String,
    timeout: Duration,
    retry: RetryPolicy,
    pub(super) budget: RetryBudget,
    /// What the server's clock is ahead of ours, in seconds, once ours was found to be wrong.
    clock_offset: AtomicI64,
    clock_correction: bool,
    http: HttpClient,
}

/// What every request carries. `Content-Type` is required by one self-hosted server, and harmless elsewhere.
const HEADERS: [(&str, &str); 3] = [
    ("content-type", "application/json"),
    ("user-agent", concat!("libpusher/", env!("CARGO_PKG_VERSION"))),
    ("x-pusher-library", concat!("libpusher ", env!("CARGO_PKG_VERSION"))),
];

/// A request that is signed but not sent.
pub struct Prepared<'a> {
    /// What to send. It borrows from the client and the call.
    pub request: Request<'a>,
    /// When its time is up.
    pub deadline: Instant,
    /// What the outcome is told with.
    pub pending: Pending,
}

/// How far a request's time may be from the server's, in seconds. (Channels HTTP API reference, "Authentication")
const CLOCK_WINDOW: u64 = 600;

/// What servers and the transport below take for a path and query, with room to spare.
const MAX_TARGET: usize = 6 * 1024;

/// What is kept of a request until its outcome is known.
pub struct Pending {
    pub(super) endpoint: Endpoint,
    effect: Effect,
    /// Never to be shown.
    signature: String,
}

impl Pending {
    /// What finishing the request is for.
    pub fn purpose(&self) -> Purpose {
        match self.endpoint.purpose() {
            Purpose::Publish => Purpose::Finish,
            other => other,
        }
    }
}

impl Application {
    /// Nothing is connected, read or started.
    pub(super) fn new(config: Config) -> Application {
        let signed_base = format!("/apps/{}", config.app_id);
        let base = format!("{}{signed_base}", config.path);
        let origin = Origin { tls: config.ssl, host: config.host, port: config.port };
        Application {
            signer: Signer::new(&config.key, &config.secret),
            signed_base: if config.sign_path_prefix { base.clone() } else { signed_base },
            base,
            timeout: config.timeout,
            retry: config.retry,
            budget: RetryBudget::new(),
            clock_offset: AtomicI64::new(0),
            clock_correction: config.clock_correction,
            http: HttpClient::new(HttpConfig {
                origin: origin.clone(),
                connect_timeout: config.connect_timeout,
                max_idle_connections: config.max_idle_connections,
                idle_timeout: config.idle_timeout,
                max_response_bytes: config.limits.response_bytes,
                roots: config.roots,
                proxy: config.proxy,
            }),
            origin,
            context: RequestContext { limits: config.limits, master_key: config.master_key },
        }
    }

    /// Checks and encodes an event that is sent later. See pusher_publisher_publish().
    pub fn event(
        &self,
        channels: Option<&str>,
        event: &str,
        data: &str,
        options: Option<&str>,
    ) -> Result<(Event, PublishOptions), Error> {
        api::event_to_publish(&self.context, channels, event, data, options)
    }

    /// What is sent again.
    pub fn retry(&self) -> RetryPolicy {
        self.retry
    }

    /// How long a call may take where it does not say so itself.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many events one request may carry.
    pub fn max_batch_events(&self) -> usize {
        self.context.limits.batch_events
    }

    /// When a call has to be over that began then.
    pub(super) fn deadline(&self, call: &Call, started: Instant) -> Instant {
        started + call.timeout.unwrap_or(self.timeout)
    }

    /// A request for a call, signed now.
    pub(super) fn sign<'a>(
        &'a self,
        endpoint: Endpoint,
        call: &'a Call,
        deadline: Instant,
    ) -> Result<Prepared<'a>, Error> {
        let body = call.body.as_deref();
        let path = format!("{}{}", self.signed_base, call.path);
        let timestamp = since_1970().as_secs().saturating_add_signed(self.clock_offset.load(Ordering::Relaxed));
        let signed = self.signer.query(call.method.name(), &path, &call.parameters, body, timestamp);
        let target = format!("{}{}?{}", self.base, call.path, signed.query);
        if target.len() > MAX_TARGET {
            return Err(Error::argument("params", format!("make a URL of more than {MAX_TARGET} bytes")));
        }
        Ok(Prepared {
            request: Request { origin: &self.origin, method: call.method, target, headers: &HEADERS, body },
            deadline,
            pending: Pending { endpoint, effect: call.effect, signature: signed.signature },
        })
    }

    /// Sends a request once.
    pub(super) fn send(&self, prepared: &Prepared<'_>, hooks: Option<&Hooks>) -> Result<String, Error> {
        let Prepared { request, deadline, pending } = prepared;
        let exchange = match hooks.and_then(Hooks::transport) {
            // Checking and hashing a large payload can take that long.
            _ if Instant::now() >= *deadline => Err(Failure {
                progress: Progress::NotSent,
                cause: Cause::Timeout,
                message: "the time was up before anything was sent".to_owned(),
            }),
            Some(transport) => transport.send(request, *deadline),
            None => self.http.send(request, *deadline),
        };
        self.interpret(pending, exchange, hooks)
    }

    /// Tells what came of a request.
    pub(super) fn interpret(
        &self,
        pending: &Pending,
        exchange: Result<Response, Failure>,
        hooks: Option<&Hooks>,
    ) -> Result<String, Error> {
        // The limit holds for transports of the caller's, too.
        let limit = self.context.limits.response_bytes;
        let exchange = match exchange {
            Ok(response) if response.body.len() > limit => Err(Failure {
                progress: Progress::Answered(response.status),
                cause: Cause::Malformed,
                message: format!("its body is longer than {limit} bytes"),
            }),
            exchange => exchange,
        };
        let mut result = api::interpret(pending.effect, &pending.signature, exchange, SystemTime::now);
        if let Err(Error::Exchange(failed)) = &mut result {
            if let Some(offset) = self.correct_clock(failed) {
                // Signed with the right time, the same call may succeed.
                failed.retryable = true;
                if let Some(hooks) = hooks {
                    log_clock(hooks, offset);
                }
            }
        }
        result
    }

    /// Takes the server's time for ours where ours is why a request was refused. Over TLS only: nobody in between may set it.
    fn correct_clock(&self, failed: &FailedExchange) -> Option<i64> {
        let (Status::Unauthorized, true, true, Some(server_time)) =
            (failed.status, self.clock_correction, self.origin.tls, failed.server_time)
        else {
            return None;
        };
        let seconds = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
        let offset = seconds(server_time).saturating_sub(seconds(since_1970().as_secs()));
        let before = self.clock_offset.load(Ordering::Relaxed);
        if offset.abs_diff(before) <= CLOCK_WINDOW {
            return None;
        }
        self.clock_offset.store(offset, Ordering::Relaxed);
        Some(offset)
    }
}

fn log_clock(hooks: &Hooks, offset: i64) {
    hooks.tell(Level::Info, |fields| {
        fields.key("clock_offset_s").number(offset);
        let way = if offset > 0 { "behind" } else { "ahead" };
        let by = offset.unsigned_abs();
        format!("this machine's clock is {by} s {way}: requests are signed with the server's time from now on")
    });
}
