//! Every way a call can fail, as one type. Each error knows its status, its delivery and its
//! message.
//!
//! This module knows neither HTTP nor C.

use std::any::Any;
use std::fmt;

use crate::rate_limit::RateLimitHeaders;
use crate::status::{Delivery, Status};
use crate::time_limit::TimeIsUp;

/// The purpose of a call. It decides whether an error before sending, or a bug, has a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Sends something that may be delivered.
    Publish,
    /// Interprets the response to a request that the caller sent.
    Finish,
    /// Delivers nothing: queries, signatures, configuration.
    Other,
}

impl Purpose {
    /// Returns the purpose of what comes after the call has done its work, successfully.
    pub const fn after_the_call(self) -> Purpose {
        match self {
            Purpose::Publish | Purpose::Finish => Purpose::Finish,
            Purpose::Other => Purpose::Other,
        }
    }
}

/// A string from the caller that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The argument or configuration key, such as `channels[3]`; empty if the message says all.
    pub argument: String,
    /// What is wrong, and what would be right. It never shows a secret.
    pub message: String,
}

/// Memory ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl From<OutOfMemory> for Problem {
    fn from(_: OutOfMemory) -> Problem {
        Problem::OUT_OF_MEMORY
    }
}

impl From<OutOfMemory> for Error {
    fn from(_: OutOfMemory) -> Error {
        Error::Unavailable("memory")
    }
}

impl Problem {
    /// There is no memory to find out whether there is a problem. It becomes [`Error::Unavailable`].
    pub const OUT_OF_MEMORY: Problem = Problem { argument: String::new(), message: String::new() };

    /// Returns the error that this is with a configuration.
    pub fn in_config(self) -> Error {
        self.or_no_memory(Error::Config)
    }

    /// Returns the error that this is with a webhook.
    pub fn in_webhook(self) -> Error {
        self.or_no_memory(Error::Webhook)
    }

    fn or_no_memory(self, error: fn(Problem) -> Error) -> Error {
        if self == Problem::OUT_OF_MEMORY { OutOfMemory.into() } else { error(self) }
    }

    /// Returns a problem with `argument`.
    #[cold]
    #[inline(never)]
    pub fn new(argument: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { argument: argument.into(), message: message.into() }
    }

    /// Returns the problem of a part as a problem of the whole, which is called `whole`: `events[3]`, or `events[3].name` if the
    /// problem is with a member of the part. So names are only put together for a message.
    #[cold]
    #[inline(never)]
    pub fn within(mut self, whole: impl fmt::Display) -> Problem {
        if self != Problem::OUT_OF_MEMORY {
            let is_member = !matches!(self.argument.as_bytes().first(), None | Some(b'.'));
            let dot = if is_member { "." } else { "" };
            self.argument = format!("{whole}{dot}{}", self.argument);
        }
        self
    }

    /// Returns the argument or key, unless the problem is with the string as a whole.
    ///
    /// It is not inlined: the optimizer would read the length before it looks at the kind of error,
    /// and memcheck reports the read of uninitialised bytes in errors without a problem.
    #[inline(never)]
    fn named_argument(&self) -> Option<&str> {
        Some(&*self.argument).filter(|argument| !argument.is_empty())
    }
}

/// A failed exchange with the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedExchange {
    /// A status of the network's range or the server's.
    pub status: Status,
    /// `None` for a request that cannot deliver anything.
    pub delivery: Option<Delivery>,
    /// One of the words of the error document: `dns connect tls proxy write timeout reset closed
    /// malformed cancelled circuit transport`.
    pub cause: Option<&'static str>,
    /// The message for people.
    pub message: String,
    /// Whether the same call may succeed if it is repeated, without doing anything twice.
    pub retryable: bool,
    /// The number of requests sent, retries included.
    pub attempts: u32,
    /// The status of the response, if one came.
    pub http_status: Option<u16>,
    /// The beginning of the response's body, if one came.
    pub response: Option<String>,
    /// The member `code` of the response's body.
    pub server_code: Option<String>,
    /// The wait that the server asked for.
    pub retry_after_ms: Option<u64>,
    /// What the server said about its limit of requests.
    pub rate_limit: RateLimitHeaders,
    /// The response's `Date`, in seconds since 1970. It is not part of the document.
    pub server_time: Option<u64>,
}

impl FailedExchange {
    /// Returns the failure of a call that publishes, of whose first request nothing was sent, and that
    /// may be repeated.
    pub fn not_sent(cause: &'static str, message: String) -> FailedExchange {
        FailedExchange {
            status: Status::NotSent,
            delivery: Some(Delivery::NotSent),
            cause: Some(cause),
            message,
            retryable: true,
            attempts: 1,
            http_status: None,
            response: None,
            server_code: None,
            retry_after_ms: None,
            rate_limit: RateLimitHeaders::default(),
            server_time: None,
        }
    }
}

/// A fan-out whose requests ended differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialFailure {
    /// The number of requests that delivered the event.
    pub delivered: usize,
    /// The number of requests of the whole fan-out.
    pub requests: usize,
    /// The number of requests sent, retries included.
    pub attempts: u32,
    /// The result of each request, a JSON array; empty if there is no memory for it.
    pub parts: String,
}

/// The message of a call whose time was over before it sent its request, after the key of that time.
pub const NO_TIME_TO_SEND: &str = "passed before the request was sent";

/// Every way a call can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// An argument is invalid.
    Argument(Problem),
    /// The configuration is invalid.
    Config(Problem),
    /// `data` exceeds the limit.
    DataTooLarge(Problem),
    /// A channel is end-to-end encrypted, and there is no master key.
    Encryption(Problem),
    /// A webhook is not authentic.
    Webhook(Problem),
    /// Calls were made in the wrong order.
    State(Problem),
    /// The network failed, or the server refused.
    Exchange(Box<FailedExchange>),
    /// The requests of a fan-out ended differently.
    Partial(Box<PartialFailure>),
    /// The system has no memory, no randomness or no thread for the call.
    Unavailable(&'static str),
    /// A publisher refused.
    Publisher(Refusal),
    /// A bug.
    Internal(String),
}

/// The reason why a publisher refuses a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The queue has no room for the event.
    QueueFull,
    /// The publisher is closed.
    Closed,
    /// The timeout passed.
    TimedOut,
    /// The publisher belongs to the parent process.
    Forked,
}

impl Refusal {
    const fn status(self) -> Status {
        match self {
            Refusal::QueueFull => Status::QueueFull,
            Refusal::Closed => Status::Closed,
            Refusal::TimedOut => Status::TimedOut,
            Refusal::Forked => Status::Forked,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Refusal::QueueFull => "the queue is full (max_queue_events, max_queue_bytes); nothing was accepted",
            Refusal::Closed => "the publisher is closed; nothing was accepted",
            Refusal::TimedOut => "the timeout passed before all events had ended",
            Refusal::Forked => "this publisher belongs to the parent process; create one in this process",
        }
    }
}

impl Error {
    /// Returns the error of an invalid argument.
    #[cold]
    #[inline(never)]
    pub fn argument(argument: impl Into<String>, message: impl Into<String>) -> Error {
        Error::Argument(Problem::new(argument, message))
    }

    /// Returns the error of a part of an argument as [`Problem::within`] does.
    #[cold]
    #[inline(never)]
    pub fn within(self, whole: impl fmt::Display) -> Error {
        match self {
            Error::Argument(problem) => Error::Argument(problem.within(whole)),
            Error::DataTooLarge(problem) => Error::DataTooLarge(problem.within(whole)),
            // They are no problem of the part, or name a key of the configuration.
            error => error,
        }
    }

    /// Returns the error for an argument that is NULL and must not be.
    pub fn null(argument: &str) -> Error {
        Error::argument(argument, "must not be NULL")
    }

    /// Returns the error of a caught panic.
    pub fn from_panic(panic: &(dyn Any + Send)) -> Error {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Error::Internal(text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned()))
    }

    /// Returns the status of the call.
    pub fn status(&self) -> Status {
        match self {
            Error::Argument(_) => Status::InvalidArgument,
            Error::Config(_) => Status::InvalidConfig,
            Error::DataTooLarge(_) => Status::PayloadTooLarge,
            Error::Encryption(_) => Status::Encryption,
            Error::Webhook(_) => Status::WebhookInvalid,
            Error::State(_) => Status::InvalidState,
            Error::Exchange(failed) => failed.status,
            Error::Partial(_) => Status::Partial,
            Error::Publisher(refusal) => refusal.status(),
            Error::Unavailable(_) | Error::Internal(_) => Status::Internal,
        }
    }

    /// Returns what happened to the events of a call with this purpose.
    pub fn delivery(&self, purpose: Purpose) -> Option<Delivery> {
        match (self, purpose) {
            (Error::Exchange(failed), _) => failed.delivery,
            (Error::Partial(_), _) => Some(Delivery::Unknown),
            (_, Purpose::Other) => None,
            // The bug may be in code that runs after the request was sent.
            (Error::Internal(_), Purpose::Publish | Purpose::Finish) => Some(Delivery::Unknown),
            (Error::Unavailable(_), Purpose::Finish) => Some(Delivery::Unknown),
            // The caller can still finish the request with a valid response.
            (_, Purpose::Finish) => None,
            (
                Error::Argument(_)
                | Error::Config(_)
                | Error::DataTooLarge(_)
                | Error::Encryption(_)
                | Error::Webhook(_)
                | Error::State(_)
                | Error::Publisher(_)
                | Error::Unavailable(_),
                Purpose::Publish,
            ) => Some(Delivery::NotSent),
        }
    }

    /// Returns the invalid argument, if there is one.
    pub fn argument_name(&self) -> Option<&str> {
        match self {
            Error::Argument(problem)
            | Error::Config(problem)
            | Error::DataTooLarge(problem)
            | Error::Encryption(problem)
            | Error::Webhook(problem)
            | Error::State(problem) => problem.named_argument(),
            Error::Exchange(_)
            | Error::Partial(_)
            | Error::Publisher(_)
            | Error::Unavailable(_)
            | Error::Internal(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(argument) = self.argument_name() {
            write!(f, "{argument}: ")?;
        }
        match self {
            Error::Argument(problem)
            | Error::Config(problem)
            | Error::DataTooLarge(problem)
            | Error::Encryption(problem)
            | Error::Webhook(problem)
            | Error::State(problem) => f.write_str(&problem.message),
            Error::Exchange(failed) => f.write_str(&failed.message),
            Error::Partial(partial) => {
                let PartialFailure { delivered, requests, .. } = &**partial;
                write!(f, "{delivered} of {requests} requests delivered the event; parts has the result of each")
            }
            Error::Publisher(refusal) => f.write_str(refusal.message()),
            Error::Unavailable(what @ "thread") => {
                write!(
                    f,
                    "the system has no {what} for this call, which did nothing: raise its limit (ulimit -u, or pids.max of a \
                     container)"
                )
            }
            Error::Unavailable(what @ "descriptor") => {
                write!(f, "the system has no {what} for this call, which did nothing: raise its limit (ulimit -n)")
            }
            Error::Unavailable(what) => write!(f, "the system has no {what} for this call"),
            Error::Internal(message) => write!(f, "a bug in libpusher, please report it: {message}"),
        }
    }
}

impl std::error::Error for Error {}

/// A problem is an argument's, unless the caller maps it to the configuration or a webhook.
impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        problem.or_no_memory(Error::Argument)
    }
}

/// Only work before a request is sent ends like this. Each call with such work publishes.
impl From<TimeIsUp> for Error {
    fn from(_: TimeIsUp) -> Error {
        Error::Exchange(Box::new(FailedExchange::not_sent("timeout", format!("timeout_ms {NO_TIME_TO_SEND}"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_a_publisher_has_a_status_and_a_reason() {
        for (refusal, status, reason) in [
            (Refusal::QueueFull, Status::QueueFull, "the queue is full"),
            (Refusal::Closed, Status::Closed, "the publisher is closed"),
            (Refusal::TimedOut, Status::TimedOut, "the timeout passed"),
            (Refusal::Forked, Status::Forked, "belongs to the parent process"),
        ] {
            let error = Error::Publisher(refusal);
            assert_eq!((error.status(), error.argument_name()), (status, None));
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn an_error_names_its_argument_if_it_has_one() {
        let named = Error::argument("channel", "must not be empty");
        assert_eq!((named.argument_name(), &*named.to_string()), (Some("channel"), "channel: must not be empty"));
        let whole = Error::Config(Problem::new("", "is not JSON"));
        assert_eq!((whole.argument_name(), &*whole.to_string()), (None, "is not JSON"));
        assert_eq!(Problem::OUT_OF_MEMORY.in_config(), Error::Unavailable("memory"));
        assert_eq!(Problem::new("key", "x").in_config(), Error::Config(Problem::new("key", "x")));
    }
}
