//! A client without its callbacks: its configuration, its connections and its view of the server's clock.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::hooks::Hooks;
use super::rate_limit::RateLimit;
use super::size::{self, SizeLimit};
use super::stats::Statistics;
use crate::api::{self, Call, DrainedEvent, Effect, Endpoint, Event, Interpreter, PublishOptions, RequestContext};
use crate::bytes::{concat, copied_text};
use crate::circuit::{Change, Circuit, Pass, Reach};
use crate::config::{BatchRoute, Config, Profile};
use crate::error::{Error, FailedExchange, NO_TIME_TO_SEND, OutOfMemory, Problem, Purpose};
use crate::headers::{CallerHeaders, Headers};
use crate::http::{
    Cause, Failure, HttpClient, HttpConfig, Limit, Origin, Progress, Request, Response, Transport, request_size,
};
use crate::idempotency::{Idempotency, IdempotencyKey, KEY_HEADER, MAX_GENERATED_KEY_BYTES};
use crate::json::{Json, Writer};
use crate::log::Level;
use crate::platform::Cancellation;
use crate::retry::{RetryBudget, RetryPolicy};
use crate::signing::{Signed, Signer, Unsigned, redact_query};
use crate::statistics::StatsFormat;
use crate::status::Status;
use crate::time_limit::TimeLimit;

/// One Channels application: signs requests, sends them and interprets the exchanges.
pub struct Application {
    pub(super) signer: Signer,
    pub(super) context: RequestContext,
    origin: Origin,
    /// Whether the configuration has `app_id`, without which no request can be signed.
    has_app_id: bool,
    /// `/apps/{app_id}` with the path prefix, as it is sent.
    base: String,
    /// `/apps/{app_id}` as it is signed: without the prefix if a proxy strips that.
    signed_base: String,
    timeout: Duration,
    pub(super) attempt_timeout: Option<Duration>,
    /// How long after its first attempt a request with a key may be repeated without being published again. `None` if the
    /// user does not vouch for the server.
    pub(super) resend_window: Option<Duration>,
    retry: RetryPolicy,
    pub(super) budget: RetryBudget,
    /// `None` without a circuit breaker.
    circuit: Option<Circuit>,
    /// Seconds to add to the local clock, once it was found to be wrong.
    clock_offset: AtomicI64,
    clock_correction: bool,
    /// Headers to add to each request.
    headers: Headers,
    http: HttpClient,
    pub(super) statistics: Statistics,
    stats_format: StatsFormat,
}

/// The headers of every request. One self-hosted server requires `Content-Type`.
const HEADERS: [(&str, &str); 3] = [
    ("content-type", "application/json"),
    ("user-agent", concat!("libpusher/", env!("CARGO_PKG_VERSION"))),
    ("x-pusher-library", concat!("libpusher ", env!("CARGO_PKG_VERSION"))),
];

/// When a call, or one attempt of it, has to end.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// The moment.
    pub at: Instant,
    /// The time of which `at` is the end.
    timeout: Duration,
    /// The key of that time in the configuration, for messages.
    key: &'static str,
}

impl Deadline {
    /// Returns the deadline of a call that started at `started`.
    pub fn new(started: Instant, timeout: Duration) -> Deadline {
        Deadline { at: started + timeout, timeout, key: "timeout_ms" }
    }

    /// Returns the deadline of an attempt that starts now and has to end before the call.
    fn of_attempt(self, timeout: Option<Duration>) -> Deadline {
        let Some(timeout) = timeout else { return self };
        let at = Instant::now() + timeout;
        if at < self.at { Deadline { at, timeout, key: "attempt_timeout_ms" } } else { self }
    }

    fn limit(self, cancellation: Option<&Cancellation>) -> Limit<'_> {
        Limit { at: self.at, key: self.key, cancellation }
    }

    /// Returns whether the time is up.
    pub(super) fn has_passed(self) -> bool {
        Instant::now() >= self.at
    }
}

/// A request that is signed but not sent.
pub struct Prepared<'a> {
    /// The request. It borrows from the client and the call.
    pub request: Request<'a>,
    /// The rest, which outlives both.
    pub pending: Pending,
}

/// The part of a request that is kept until its result is known.
pub struct Pending {
    /// The call that the request belongs to.
    pub(super) endpoint: Endpoint,
    /// When the exchange has to end.
    pub deadline: Deadline,
    effect: Effect,
    /// Must never be shown.
    signature: String,
    /// Their values must never be shown.
    caller_headers: Headers,
}

impl Pending {
    /// Returns the purpose of finishing the request.
    pub fn purpose(&self) -> Purpose {
        match self.endpoint.purpose() {
            Purpose::Publish => Purpose::Finish,
            other => other,
        }
    }
}

/// How far a request's timestamp may be from the server's time. (Channels HTTP API reference, "Authentication")
const CLOCK_WINDOW_SECONDS: u64 = 600;

/// The longest timestamp of a request until 2286, in seconds since 1970.
const LONGEST_TIMESTAMP: u64 = 9_999_999_999;

/// The longest path and query. Servers and the HTTP client accept more.
const MAX_TARGET_BYTES: usize = 6 * 1024;

impl Application {
    /// Creates an application. Connects and starts nothing, and reads no file.
    pub(super) fn new(config: Config) -> Result<Application, OutOfMemory> {
        let has_app_id = config.app_id.is_some();
        let signed_base = concat(["/apps/", &config.app_id.unwrap_or_default()])?;
        let base = concat([&config.path, &signed_base])?;
        let origin = Origin { tls: config.ssl, host: config.host, port: config.port };
        Ok(Application {
            signer: Signer::new(config.key, &config.secret),
            has_app_id,
            signed_base: if config.sign_path_prefix { copied_text(&base)? } else { signed_base },
            base,
            timeout: config.timeout,
            attempt_timeout: config.attempt_timeout,
            retry: config.retry,
            budget: RetryBudget::new(),
            circuit: config.circuit.map(Circuit::new),
            clock_offset: AtomicI64::new(0),
            clock_correction: config.clock_correction,
            headers: config.headers,
            http: HttpClient::new(HttpConfig {
                origin: origin.clone(),
                unix_socket: config.unix_socket,
                connect_timeout: config.connect_timeout,
                max_idle_connections: config.max_idle_connections,
                idle_timeout: config.idle_timeout,
                max_connection_age: config.max_connection_age,
                max_response_bytes: config.limits.response_bytes,
                trust: config.trust,
                proxy: config.proxy.map(Arc::new),
            }),
            origin,
            context: RequestContext {
                server: config.server,
                limits: config.limits,
                batch_route: config.batch_route,
                channel_names: config.channel_names,
                master_key: config.master_key,
                idempotency: config.idempotency,
            },
            statistics: Statistics::default(),
            stats_format: config.stats_format,
            resend_window: config.server_deduplicates.then_some(config.idempotency_window),
        })
    }

    /// Checks that the configuration has the id of the application, which is part of the path of every request.
    pub fn require_app_id(&self) -> Result<(), Error> {
        if self.has_app_id {
            return Ok(());
        }
        let message = "is missing, and this call needs it: only signatures and webhooks do without";
        Err(Error::Config(Problem::new("app_id", message)))
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

    /// Writes an event that was not sent, with its id, its time in milliseconds since 1970 and its key. See
    /// pusher_publisher_drain().
    pub fn write_drained(
        &self,
        json: &mut Writer,
        numbers: (u64, u64),
        event: &Event,
        key: Option<&str>,
    ) -> Result<(), Error> {
        api::write_drained(&self.context, json, numbers, event, key)
    }

    /// Reads such an event. See pusher_publisher_restore().
    pub fn read_drained(&self, event: Json<'_>) -> Result<DrainedEvent, Error> {
        api::read_drained(&self.context, event)
    }

    /// Returns the id of the application; empty if the configuration has none.
    pub fn app_id(&self) -> &str {
        self.base.rsplit_once('/').map_or("", |(_, app_id)| app_id)
    }

    /// Returns what the server takes and lacks.
    pub fn profile(&self) -> &'static Profile {
        self.context.server.profile()
    }

    /// Returns the key of a new request that publishes these events.
    pub fn key_for(&self, events: &[Event]) -> Result<Option<IdempotencyKey>, Error> {
        let given = match events {
            [event] => event.idempotency_key.as_deref().cloned(),
            // An event with a key is sent alone.
            _ => None,
        };
        self.context.key(given)
    }

    /// Returns the statistics, in the configured format.
    pub(super) fn stats(&self) -> Result<String, Error> {
        self.statistics.document(self.http.connections(), self.stats_format)
    }

    /// Returns the retry policy.
    pub fn retry(&self) -> RetryPolicy {
        self.retry
    }

    /// Returns the circuit breaker, if there is one.
    pub fn circuit(&self) -> Option<&Circuit> {
        self.circuit.as_ref()
    }

    /// Returns the timeout of a call that does not set one.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns how many events one request may carry.
    pub fn max_batch_events(&self) -> usize {
        self.context.limits.batch_events
    }

    /// Returns whether the server has the route for batches.
    pub fn batch_route(&self) -> BatchRoute {
        self.context.batch_route
    }

    /// Returns the limit of requests that POST to `path`, if there is one.
    pub fn size_limit(&self, path: &'static str) -> Result<Option<SizeLimit>, Error> {
        let Some(max) = self.context.limits.request_bytes else { return Ok(None) };
        let call = Call::post(path, Vec::new(), Effect::One, None);
        let deadline = Deadline::new(Instant::now(), self.timeout);
        let empty = self.sign_at(LONGEST_TIMESTAMP, Endpoint::Post, &call, deadline)?;
        let generated_key = match self.context.idempotency {
            Idempotency::Off => 0,
            Idempotency::Auto => size::of_header(KEY_HEADER, MAX_GENERATED_KEY_BYTES),
        };
        Ok(Some(SizeLimit { bodiless: request_size(&empty.request) - size::digits(0), generated_key, max }))
    }

    /// Checks the size of the largest request that carries this event.
    pub fn check_size(&self, event: &Event, limit: SizeLimit) -> Result<(), Error> {
        let (argument, key) = (Endpoint::Trigger.largest_parameter(), event.idempotency_key.as_deref());
        if !event.is_fan_out {
            return limit.check(argument, event.length(), key);
        }
        // The keys of parts have the same size.
        let key = key.map(|key| key.of_part(0, []));
        limit.check(argument, api::largest_part_bytes(&self.context, event)?, key.as_ref())
    }

    /// Returns the memory of the largest body of a request that carries this event.
    pub fn request_bytes(&self, event: &Event) -> Result<usize, Error> {
        // A part of a fan-out is encoded, and then copied into its request.
        if event.is_fan_out { Ok(2 * api::largest_part_bytes(&self.context, event)?) } else { Ok(event.length()) }
    }

    /// Returns the error of preparing one request for a fan-out.
    pub(super) fn several_requests(&self, event: &Event) -> Error {
        let count = api::parts(&self.context, event).count();
        let message =
            format!("takes {count} requests for these channels, but pusher_prepare() signs one: prepare each part");
        Error::argument("options.fan_out", message)
    }

    /// Returns the deadline of a call that started at `started`, with its own timeout if it has one.
    pub(super) fn deadline(&self, timeout: Option<Duration>, started: Instant) -> Deadline {
        Deadline::new(started, timeout.unwrap_or(self.timeout))
    }

    /// Signs a request for a call, which has to end by `deadline`, and checks its size. The time of the attempt begins when it is
    /// signed.
    pub(super) fn sign<'a>(
        &'a self,
        endpoint: Endpoint,
        call: &'a Call,
        deadline: Deadline,
    ) -> Result<Prepared<'a>, Error> {
        let timestamp = since_1970().as_secs().saturating_add_signed(self.clock_offset.load(Ordering::Relaxed));
        let prepared = self.sign_at(timestamp, endpoint, call, deadline)?;
        if let Some(max) = self.context.limits.request_bytes {
            size::check(endpoint.largest_parameter(), request_size(&prepared.request), max)?;
        }
        Ok(prepared)
    }

    fn sign_at<'a>(
        &'a self,
        timestamp: u64,
        endpoint: Endpoint,
        call: &'a Call,
        deadline: Deadline,
    ) -> Result<Prepared<'a>, Error> {
        let too_long = || Error::argument("params", format!("make a URL of more than {MAX_TARGET_BYTES} bytes"));
        // Before memory is allocated for them.
        if call.parameters.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_TARGET_BYTES {
            return Err(too_long());
        }
        let body = call.body.as_deref();
        let unsigned = Unsigned {
            method: call.method.name(),
            base: &self.base,
            signed_base: &self.signed_base,
            path: &call.path,
            parameters: &call.parameters,
            body,
            timestamp,
        };
        let Signed { target, signature } = self.signer.sign_request(&unsigned, TimeLimit::until(deadline.at))?;
        if target.len() > MAX_TARGET_BYTES {
            return Err(too_long());
        }
        let own_header = call.idempotency_key.as_ref().map(|key| (KEY_HEADER, key.as_str()));
        let caller_headers = CallerHeaders { of_client: Some(&self.headers), of_call: Some(&call.headers) };
        Ok(Prepared {
            request: Request {
                origin: &self.origin,
                method: call.method,
                target,
                headers: &HEADERS,
                own_header,
                caller_headers,
                body,
                reads_rate_limit: false,
                meter: None,
            },
            pending: Pending {
                endpoint,
                deadline: deadline.of_attempt(self.attempt_timeout),
                effect: call.effect,
                signature,
                caller_headers: caller_headers.to_headers().map_err(|_| OutOfMemory)?,
            },
        })
    }

    /// Returns the path of the request for a call, without its query. It has only characters that JSON need not escape.
    pub(super) fn path_of<'r>(&self, request: &'r Request<'_>, call: &Call) -> &'r str {
        request.target.get(..self.base.len() + call.path.len()).unwrap_or_default()
    }

    /// Sends a request once, with the pass of the circuit breaker, if there is one. Sets the rate limit that the response
    /// states, if there is a place for it.
    pub(super) fn send(
        &self,
        prepared: &Prepared<'_>,
        pass: Option<Pass<'_>>,
        hooks: Option<&Hooks>,
        rate_limit: Option<&Cell<Option<RateLimit>>>,
        cancellation: Option<&Cancellation>,
    ) -> Result<String, Error> {
        let Prepared { request, pending } = prepared;
        let limit = pending.deadline.limit(cancellation);
        let not_sent = |cause, message| (Err(Failure { progress: Progress::NotSent, cause, message }), None);
        let (exchange, pass) = match hooks.and_then(Hooks::transport) {
            // Checking and hashing a large payload can take that long.
            _ if pending.deadline.has_passed() => {
                not_sent(Cause::Timeout, format!("{} {NO_TIME_TO_SEND}", pending.deadline.key))
            }
            _ if cancellation.is_some_and(Cancellation::has_happened) => {
                not_sent(Cause::Cancelled, "the client's calls were cancelled before the request was sent".to_owned())
            }
            Some(transport) => (transport.send(request, limit), pass),
            None => (self.http.send(request, limit), pass),
        };
        if let Some(pass) = pass {
            log_circuit(hooks, pass.end(reach(&exchange), Instant::now(), random()));
        }
        if let Some(meter) = request.meter {
            meter.status.set(match &exchange {
                Ok(response) => Some(response.status),
                Err(Failure { progress: Progress::Answered(status), .. }) => Some(*status),
                Err(_) => None,
            });
        }
        if let (Some(place), Ok(response)) = (rate_limit, &exchange) {
            place.set(RateLimit::read(response.rate_limit, response.date.as_deref(), SystemTime::now));
        }
        self.interpret(pending, exchange, hooks, TimeLimit::until(pending.deadline.at))
    }

    /// Tells the circuit breaker how an exchange has ended that the caller made.
    pub(super) fn note_reach(&self, exchange: &Result<Response, Failure>, hooks: Option<&Hooks>) {
        if let Some(circuit) = &self.circuit {
            log_circuit(hooks, circuit.note(reach(exchange), Instant::now(), random()));
        }
    }

    /// Returns the result of a request whose exchange has ended. Checking the response stops at a time limit.
    pub(super) fn interpret(
        &self,
        pending: &Pending,
        exchange: Result<Response, Failure>,
        hooks: Option<&Hooks>,
        limit: TimeLimit,
    ) -> Result<String, Error> {
        let interpreter = Interpreter {
            effect: pending.effect,
            signature: &pending.signature,
            caller_headers: &pending.caller_headers,
            elapsed: pending.deadline.has_passed().then_some((pending.deadline.key, pending.deadline.timeout)),
            limit,
            now: SystemTime::now,
        };
        let mut result = interpreter.interpret(self.limit(exchange));
        if let Err(Error::Exchange(failed)) = &mut result {
            if let Some(offset) = self.correct_clock(failed) {
                // With the right timestamp, the same call may succeed.
                failed.retryable = true;
                if let Some(hooks) = hooks {
                    log_clock(hooks, offset);
                }
            }
        }
        result
    }

    /// Makes the rules for this library's HTTP client hold for a user's transport, too: the longest response, and no signed URL
    /// in a message.
    fn limit(&self, exchange: Result<Response, Failure>) -> Result<Response, Failure> {
        let limit = self.context.limits.response_bytes;
        match exchange {
            Ok(response) if response.body.len() > limit => Err(Failure {
                progress: Progress::Answered(response.status),
                cause: Cause::Malformed,
                message: format!("its body is longer than {limit} bytes"),
            }),
            Ok(response) => Ok(response),
            Err(failure) => Err(Failure { message: redact_query(failure.message), ..failure }),
        }
    }

    /// Adopts the server's time if the local clock is the reason for a refusal, and returns the new offset. Only over TLS, where no
    /// one in between can set the time.
    fn correct_clock(&self, failed: &FailedExchange) -> Option<i64> {
        let (Status::Unauthorized, true, true, Some(server_time)) =
            (failed.status, self.clock_correction, self.origin.tls, failed.server_time)
        else {
            return None;
        };
        let seconds = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
        let offset = seconds(server_time).saturating_sub(seconds(since_1970().as_secs()));
        let before = self.clock_offset.load(Ordering::Relaxed);
        if offset.abs_diff(before) <= CLOCK_WINDOW_SECONDS {
            return None;
        }
        self.clock_offset.store(offset, Ordering::Relaxed);
        Some(offset)
    }
}

/// Returns what an exchange says about the server: any status line is an answer.
fn reach(exchange: &Result<Response, Failure>) -> Reach {
    match exchange {
        Ok(_) => Reach::Answered,
        Err(Failure { progress: Progress::Answered(_), .. }) => Reach::Answered,
        // The caller ended it, or the request cannot be written.
        Err(Failure { cause: Cause::Cancelled, .. }) => Reach::Untried,
        Err(Failure { progress: Progress::NotSent, cause: Cause::Malformed, .. }) => Reach::Untried,
        Err(Failure { progress: Progress::NotSent | Progress::Sent, .. }) => Reach::Failed,
    }
}

/// Returns randomness to spread waits with. Without any, they are the longest.
pub(super) fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}

fn log_circuit(hooks: Option<&Hooks>, change: Option<Change>) {
    let (Some(hooks), Some(change)) = (hooks, change) else { return };
    let (level, circuit, message) = match change {
        Change::Opened => (Level::Warn, "open", "the circuit breaker is open: the server cannot be reached"),
        Change::Closed => (Level::Info, "closed", "the circuit breaker is closed: the server has answered"),
    };
    hooks.tell(level, |fields| {
        fields.key("circuit").string(circuit);
        message.to_owned()
    });
}

fn log_clock(hooks: &Hooks, offset: i64) {
    hooks.tell(Level::Info, |fields| {
        fields.key("clock_offset_s").number(offset);
        let way = if offset > 0 { "behind" } else { "ahead" };
        let by = offset.unsigned_abs();
        format!("this machine's clock is {by} s {way}; requests are now signed with the server's time")
    });
}

/// Returns the time of day. A clock before 1970 counts as 1970, and the server reports that it is wrong.
pub(super) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
