//! Every way a call can fail, as one type. Each error knows its status, its delivery and its message.
//!
//! This module knows neither HTTP nor C.

use std::any::Any;
use std::fmt;

use crate::status::{Delivery, Status};

/// What a call does for its user: it decides whether an error that comes before anything is sent, or a bug, has a
/// delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Sends something that may be delivered.
    Publish,
    /// Tells what came of something that was sent elsewhere.
    Finish,
    /// Anything else: there is nothing to deliver.
    Other,
}

/// A text from the caller that can't be used: which one, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The argument or configuration key, such as `channels[3]`; empty where the text as a whole is meant.
    pub argument: String,
    /// What is wrong and what would be right. Never the value of a secret.
    pub message: String,
}

impl Problem {
    /// A problem with `argument`.
    pub fn new(argument: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { argument: argument.into(), message: message.into() }
    }

    /// Returns the argument or key, unless the problem is with the string as a whole.
    ///
    /// It is not inlined: the optimizer would read the length before it looks at the kind of error, and memcheck reports the
    /// read of uninitialised bytes in errors without a problem.
    #[inline(never)]
    fn named_argument(&self) -> Option<&str> {
        Some(&*self.argument).filter(|argument| !argument.is_empty())
    }
}

/// An exchange with the server that did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedExchange {
    /// One of the network's or the server's statuses.
    pub status: Status,
    /// `None` for a request that can't deliver anything.
    pub delivery: Option<Delivery>,
    /// One of the words of the error document: `dns connect tls proxy write timeout reset closed malformed transport`.
    pub cause: Option<&'static str>,
    /// A sentence for people.
    pub message: String,
    /// Whether the same call may be made again without doing anything twice, and may then succeed.
    pub retryable: bool,
    /// How many requests were made.
    pub attempts: u32,
    /// The answer's status, where one came.
    pub http_status: Option<u16>,
    /// The beginning of the server's text, where one came.
    pub response: Option<String>,
    /// How long the server asked to wait.
    pub retry_after_ms: Option<u64>,
    /// When the server says it answered, in seconds since 1970. Not part of the document.
    pub server_time: Option<u64>,
}

/// Every way a call can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// An argument can't be used.
    Argument(Problem),
    /// The configuration can't be used.
    Config(Problem),
    /// `data` is larger than the server takes.
    DataTooLarge(Problem),
    /// An encrypted channel that can't be encrypted for.
    Encryption(Problem),
    /// A webhook that is not authentic.
    Webhook(Problem),
    /// Calls in the wrong order.
    State(Problem),
    /// The network failed or the server said no.
    Exchange(Box<FailedExchange>),
    /// The system had no memory for something in proportion to the input, or no randomness.
    Unavailable(&'static str),
    /// A publisher does not do it.
    Publisher(Refusal),
    /// A bug.
    Internal(String),
}

/// Why a publisher does not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room for another event.
    QueueFull,
    /// It is closed.
    Closed,
    /// The time was up first.
    TimedOut,
    /// It belongs to the parent process.
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
            Refusal::QueueFull => "the queue is full (max_queue_events, max_queue_bytes); the event was not taken",
            Refusal::Closed => "the publisher is closed; the event was not taken",
            Refusal::TimedOut => "the time was up before all events had ended",
            Refusal::Forked => "this publisher belongs to the parent process: make one of your own",
        }
    }
}

impl Error {
    /// An argument can't be used.
    pub fn argument(argument: impl Into<String>, message: impl Into<String>) -> Error {
        Error::Argument(Problem::new(argument, message))
    }

    /// Returns the error for an argument that is NULL and must not be.
    pub fn null(argument: &str) -> Error {
        Error::argument(argument, "must not be NULL")
    }

    /// A panic, caught.
    pub fn from_panic(panic: &(dyn Any + Send)) -> Error {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Error::Internal(text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned()))
    }

    /// The status that the call returns.
    pub fn status(&self) -> Status {
        match self {
            Error::Argument(_) => Status::InvalidArgument,
            Error::Config(_) => Status::InvalidConfig,
            Error::DataTooLarge(_) => Status::PayloadTooLarge,
            Error::Encryption(_) => Status::Encryption,
            Error::Webhook(_) => Status::WebhookInvalid,
            Error::State(_) => Status::InvalidState,
            Error::Exchange(failed) => failed.status,
            Error::Publisher(refusal) => refusal.status(),
            Error::Unavailable(_) | Error::Internal(_) => Status::Internal,
        }
    }

    /// What happened to the events of a call with this purpose.
    pub fn delivery(&self, purpose: Purpose) -> Option<Delivery> {
        match (self, purpose) {
            (Error::Exchange(failed), _) => failed.delivery,
            (_, Purpose::Other) => None,
            // A bug may strike after the request was sent.
            (Error::Internal(_), Purpose::Publish | Purpose::Finish) => Some(Delivery::Unknown),
            (Error::Unavailable(_), Purpose::Finish) => Some(Delivery::Unknown),
            // Whoever sent it has still to be asked.
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

    /// The argument that is meant, where one is.
    pub fn argument_name(&self) -> Option<&str> {
        match self {
            Error::Argument(problem)
            | Error::Config(problem)
            | Error::DataTooLarge(problem)
            | Error::Encryption(problem)
            | Error::Webhook(problem)
            | Error::State(problem) => problem.named_argument(),
            Error::Exchange(_) | Error::Publisher(_) | Error::Unavailable(_) | Error::Internal(_) => None,
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
            Error::Publisher(refusal) => f.write_str(refusal.message()),
            Error::Unavailable(what) => write!(f, "the system has no {what} for this call"),
            Error::Internal(message) => write!(f, "a bug in libpusher, please report it: {message}"),
        }
    }
}

impl std::error::Error for Error {}

/// A problem is an argument's, unless the caller maps it to the configuration or a webhook.
impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error::Argument(problem)
    }
}
