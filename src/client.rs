//! A client: each call validated and built, signed, sent, and its outcome told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use once_cell::race::OnceBox;
use serde_json::{Map, Value};

use crate::api::{self, Call, Context, Effect};
use crate::authorization::{self, Keys};
use crate::config::{self, Config};
use crate::error::{Error, Problem, Purpose, Status};
use crate::http::{Cause, Failure, HttpClient, Origin, Progress, Request, Response, Settings, Transport};
use crate::log::{Level, Log};
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
        let Prepared { request, deadline, ticket } = self.sign(endpoint, &call, started)?;
        // Once it is set it is only read: threads that make calls do not fight for it.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        let exchange = match self.transport.get() {
            // Checking and hashing a large payload can take that long.
            _ if Instant::now() >= deadline => Err(Failure {
                progress: Progress::NotSent,
                cause: Cause::Timeout,
                message: "the time was up before anything was sent".to_owned(),
            }),
            Some(transport) => transport.send(&request, deadline),
            None => self.http.send(&request, deadline),
        };
        self.outcome(&ticket, exchange)
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
        let timestamp = since_1970().as_secs();
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
        api::outcome(ticket.effect, &ticket.signature, exchange)
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
        let Some(log) = self.log.get() else { return };
        let level = match result {
            Ok(_) => Level::Debug,
            Err(error) if error.status() == Status::Internal => Level::Error,
            Err(_) => Level::Warn,
        };
        if level > self.log_level {
            return;
        }
        let mut fields = Map::from_iter([("call".to_owned(), name.into())]);
        let mut field = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        field(
            "duration_us",
            started.and_then(|started| u64::try_from(started.elapsed().as_micros()).ok()).map(Value::from),
        );
        let message = match result {
            Ok(_) => "done".to_owned(),
            Err(error) => {
                field("status", Some(error.status().name().to_string_lossy().into()));
                if let Error::Exchange(failed) = error {
                    field("cause", failed.cause.map(Value::from));
                    field("http_status", failed.http_status.map(Value::from));
                    field("delivery", failed.delivery.map(|delivery| delivery.name().into()));
                }
                error.to_string()
            }
        };
        log.log(level, &message, &Value::Object(fields).to_string());
    }
}

/// The time on the wall. A clock before 1970 is at 0, and the server says that the clock is wrong.
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
