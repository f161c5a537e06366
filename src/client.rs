//! A client: each call validated and built, signed, sent, and its outcome told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use once_cell::race::OnceBox;
use serde_json::{Map, Value};

use crate::api::{self, Call, Context, Effect};
use crate::authorization::{self, Keys};
use crate::config::{self, Config};
use crate::error::{Delivery, Error, FailedExchange, Problem, Purpose, Status};
use crate::http::{Cause, Failure, HttpClient, Origin, Progress, Request, Response, Settings, Transport};
use crate::log::{Level, Log};
use crate::retry::{Budget, Policy};
use crate::signing::Signer;
use crate::webhook::{self, Webhooks};

pub use crate::api::Endpoint;

/// A client of one Channels application.
///
/// Threads: any number may use one client at the same time. Life: from pusher_new() to pusher_free().
pub struct Pusher {
    signer: Signer,
    context: Context,
    /// Those that webhooks may be signed with beside the application's own.
    webhook_tokens: Vec<Signer>,
    webhook_max_age: Duration,
    origin: Origin,
    /// `/apps/{app_id}` as it is sent, with the path prefix.
    base: String,
    /// `/apps/{app_id}` as it is signed: without the prefix where a proxy strips it.
    signed_base: String,
    timeout: Duration,
    retry: Policy,
    budget: Budget,
    /// What the server's clock is ahead of ours, in seconds, once ours was found to be wrong.
    clock_offset: AtomicI64,
    clock_correction: bool,
    http: HttpClient,
    /// The caller's own transport, where one was set.
    transport: OnceBox<Box<dyn Transport>>,
    log: OnceBox<Box<dyn Log>>,
    log_level: Level,
    /// Whether a call has gone out, after which hooks can't be set any more.
    used: AtomicBool,
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
    pub ticket: Ticket,
}

/// How far a request's time may be from the server's, in seconds. (Channels HTTP API reference, "Authentication")
const CLOCK_WINDOW: u64 = 600;

/// What servers and the transport below take for a path and query, with room to spare.
const MAX_TARGET: usize = 6 * 1024;

/// What is kept of a request until its outcome is known.
pub struct Ticket {
    endpoint: Endpoint,
    effect: Effect,
    /// Never to be shown.
    signature: String,
}

impl Ticket {
    /// What finishing the request is for.
    pub fn purpose(&self) -> Purpose {
        match self.endpoint.purpose() {
            Purpose::Publish => Purpose::Finish,
            other => other,
        }
    }
}

impl Pusher {
    /// A client with a configuration as [`Config::parse`] takes it. Nothing is connected, read or started.
    pub fn new(configuration: Option<&str>) -> Result<Pusher, Error> {
        let config = Config::parse(configuration)?;
        let signed_base = format!("/apps/{}", config.app_id);
        let base = format!("{}{signed_base}", config.path);
        Ok(Pusher {
            signer: Signer::new(&config.key, &config.secret),
            webhook_tokens: config.webhook_tokens.iter().map(|(key, secret)| Signer::new(key, secret)).collect(),
            webhook_max_age: config.webhook_max_age,
            origin: Origin { tls: config.ssl, host: config::url_host(&config.host).into_owned(), port: config.port },
            signed_base: if config.sign_path_prefix { base.clone() } else { signed_base },
            base,
            timeout: config.timeout,
            retry: config.retry,
            budget: Budget::new(),
            clock_offset: AtomicI64::new(0),
            clock_correction: config.clock_correction,
            http: HttpClient::new(Settings {
                tls: config.ssl,
                connect_timeout: config.connect_timeout,
                max_idle_connections: config.max_idle_connections,
                idle_timeout: config.idle_timeout,
                max_response_bytes: config.limits.response_bytes,
                roots: config.roots,
                proxy: config.proxy,
            }),
            context: Context { limits: config.limits, master_key: config.master_key },
            transport: OnceBox::new(),
            log: OnceBox::new(),
            log_level: config.log_level,
            used: AtomicBool::new(false),
        })
    }

    /// Makes a call: sends its request and tells what came of it.
    pub fn call(&self, endpoint: Endpoint, arguments: &[Option<&str>]) -> Result<String, Error> {
        let started = Instant::now();
        // A bug is caught here, where there is a log to tell.
        let result = catch_unwind(AssertUnwindSafe(|| self.try_call(endpoint, arguments, started)))
            .unwrap_or_else(|panic| Err(Error::from_panic(&*panic)));
        self.log_outcome(endpoint.name(), &result, Some(started));
        result
    }

    fn try_call(&self, endpoint: Endpoint, arguments: &[Option<&str>], started: Instant) -> Result<String, Error> {
        let call = endpoint.build(&self.context, arguments)?;
        // Once it is set it is only read: threads that make calls do not fight for it.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        self.budget.earn();
        let mut attempts = 1;
        let mut first_doubt = None;
        loop {
            let prepared = self.sign(endpoint, &call, started)?;
            let deadline = prepared.deadline;
            let mut failed = match self.attempt(&prepared) {
                Err(Error::Exchange(failed)) => failed,
                ended => return ended,
            };
            failed.attempts = attempts;
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(wait) = self.retry.wait(&failed, left, random(), &self.budget) else {
                return Err(Error::Exchange(in_all(first_doubt, failed)));
            };
            self.log_retry(endpoint, &failed, wait);
            if failed.delivery == Some(Delivery::Unknown) {
                first_doubt.get_or_insert(failed);
            }
            thread::sleep(wait);
            attempts += 1;
        }
    }

    /// Sends a request once.
    fn attempt(&self, Prepared { request, deadline, ticket }: &Prepared<'_>) -> Result<String, Error> {
        let exchange = match self.transport.get() {
            // Checking and hashing a large payload can take that long.
            _ if Instant::now() >= *deadline => Err(Failure {
                progress: Progress::NotSent,
                cause: Cause::Timeout,
                message: "the time was up before anything was sent".to_owned(),
            }),
            Some(transport) => transport.send(request, *deadline),
            None => self.http.send(request, *deadline),
        };
        self.outcome(ticket, exchange)
    }

    /// Signs a call without sending it, and hands it to `take`.
    pub fn prepare<T>(
        &self,
        endpoint: Endpoint,
        arguments: &[Option<&str>],
        take: impl FnOnce(Prepared<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let call = endpoint.build(&self.context, arguments)?;
        take(self.sign(endpoint, &call, started)?)
    }

    /// Tells what came of a prepared request.
    pub fn finish(&self, ticket: &Ticket, exchange: Result<Response, Failure>) -> Result<String, Error> {
        let result = self.outcome(ticket, exchange);
        self.log_outcome(ticket.endpoint.name(), &result, None);
        result
    }

    /// A request for a call, signed now.
    fn sign<'a>(&'a self, endpoint: Endpoint, call: &'a Call, started: Instant) -> Result<Prepared<'a>, Error> {
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
            deadline: started + call.timeout.unwrap_or(self.timeout),
            ticket: Ticket { endpoint, effect: call.effect, signature: signed.signature },
        })
    }

    fn outcome(&self, ticket: &Ticket, exchange: Result<Response, Failure>) -> Result<String, Error> {
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
        let mut result = api::outcome(ticket.effect, &ticket.signature, exchange, SystemTime::now);
        if let Err(Error::Exchange(failed)) = &mut result {
            // Signed with the right time, the same call may succeed.
            failed.retryable |= self.correct_clock(failed);
        }
        result
    }

    /// Takes the server's time for ours where ours is why a request was refused. Over TLS only: nobody in between may set it.
    fn correct_clock(&self, failed: &FailedExchange) -> bool {
        let (Status::Unauthorized, true, true, Some(server_time)) =
            (failed.status, self.clock_correction, self.origin.tls, failed.server_time)
        else {
            return false;
        };
        let seconds = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
        let offset = seconds(server_time).saturating_sub(seconds(since_1970().as_secs()));
        let before = self.clock_offset.load(Ordering::Relaxed);
        if offset.abs_diff(before) <= CLOCK_WINDOW {
            return false;
        }
        self.clock_offset.store(offset, Ordering::Relaxed);
        self.tell(Level::Info, || {
            let message = format!(
                "this machine's clock is {} s {}: requests are signed with the server's time from now on",
                offset.unsigned_abs(),
                if offset > 0 { "behind" } else { "ahead" }
            );
            (message, Map::from_iter([("clock_offset_s".to_owned(), offset.into())]))
        });
        true
    }

    /// Authorizes a subscription. See pusher_authenticate().
    pub fn authenticate(&self, channel: &str, socket_id: &str, data: Option<&str>) -> Result<String, Error> {
        authorization::channel(self.keys(), channel, socket_id, data)
    }

    /// Signs a user in. See pusher_authenticate_user().
    pub fn authenticate_user(&self, socket_id: &str, data: &str) -> Result<String, Error> {
        authorization::user(self.keys(), socket_id, data)
    }

    fn keys(&self) -> Keys<'_> {
        Keys { signer: &self.signer, master_key: self.context.master_key.as_ref() }
    }

    /// Checks a webhook. See pusher_validate_webhook().
    pub fn validate_webhook(&self, key: Option<&str>, signature: Option<&str>, body: &[u8]) -> Result<String, Error> {
        let webhooks = Webhooks {
            own: &self.signer,
            others: &self.webhook_tokens,
            max_age: self.webhook_max_age,
            master_key: self.context.master_key.as_ref(),
        };
        let now = u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX);
        // Reading the clock takes as long as a compression of SHA-256.
        let started = self.log.get().map(|_| Instant::now());
        let result = webhook::validate(&webhooks, key, signature, body, now);
        self.log_outcome("validate_webhook", &result, started);
        result
    }

    /// Sends by a transport of the caller's from now on. Once, and before the first call.
    pub fn set_transport(&self, transport: Box<dyn Transport>) -> Result<(), Error> {
        self.set_hook(&self.transport, transport, "the transport")
    }

    /// Tells a log of the caller's from now on. Once, and before the first call.
    pub fn set_log(&self, log: Box<dyn Log>) -> Result<(), Error> {
        self.set_hook(&self.log, log, "the log")
    }

    fn set_hook<T>(&self, place: &OnceBox<T>, hook: T, what: &str) -> Result<(), Error> {
        if self.used.load(Ordering::Relaxed) {
            return Err(Error::State(Problem::new("", format!("{what} has to be set before the first call"))));
        }
        place.set(Box::new(hook)).map_err(|_| Error::State(Problem::new("", format!("{what} is set already"))))
    }

    fn log_outcome(&self, name: &str, result: &Result<String, Error>, started: Option<Instant>) {
        let level = match result {
            Ok(_) => Level::Debug,
            Err(error) if error.status() == Status::Internal => Level::Error,
            Err(_) => Level::Warn,
        };
        self.tell(level, || {
            let mut fields = Map::from_iter([("call".to_owned(), name.into())]);
            if let Some(started) = started {
                fields.insert("duration_us".to_owned(), u64::try_from(started.elapsed().as_micros()).ok().into());
            }
            let message = match result {
                Ok(_) => "done".to_owned(),
                Err(error) => {
                    fields.insert("status".to_owned(), error.status().name().to_string_lossy().into());
                    if let Error::Exchange(failed) = error {
                        add(&mut fields, failed);
                    }
                    error.to_string()
                }
            };
            (message, fields)
        });
    }

    fn log_retry(&self, endpoint: Endpoint, failed: &FailedExchange, wait: Duration) {
        self.tell(Level::Info, || {
            let mut fields = Map::from_iter([("call".to_owned(), endpoint.name().into())]);
            fields.insert("wait_ms".to_owned(), u64::try_from(wait.as_millis()).ok().into());
            add(&mut fields, failed);
            (format!("will be sent again: {}", failed.message), fields)
        });
    }

    /// Tells the log, if there is one and it wants to know.
    fn tell(&self, level: Level, what: impl FnOnce() -> (String, Map<String, Value>)) {
        let Some(log) = self.log.get().filter(|_| level <= self.log_level) else { return };
        let (message, fields) = what();
        log.log(level, &message, &Value::Object(fields).to_string());
    }
}

/// What a log says of an exchange.
fn add(fields: &mut Map<String, Value>, failed: &FailedExchange) {
    let known = [
        ("attempts", Some(failed.attempts.into())),
        ("cause", failed.cause.map(Value::from)),
        ("http_status", failed.http_status.map(Value::from)),
        ("delivery", failed.delivery.map(|delivery| delivery.name().into())),
    ];
    fields.extend(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
}

/// What a call that was sent several times has come to: once it may have been delivered, a later attempt that was not does not
/// take that back.
fn in_all(first_doubt: Option<Box<FailedExchange>>, last: Box<FailedExchange>) -> Box<FailedExchange> {
    match first_doubt {
        Some(doubt) => Box::new(FailedExchange { attempts: last.attempts, ..*doubt }),
        None => last,
    }
}

/// For spreading waits: should the system have none, they are the longest.
fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}

/// The time on the wall. A clock before 1970 is at 0, and the server says that the clock is wrong.
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
