//! What can go wrong, as one type: each error knows its status and its document.
//!
//! This module is the lowest layer: it knows no other, neither HTTP nor C. (The names are NUL-terminated only so that the
//! boundary can hand them out as they are.)

use std::any::Any;
use std::ffi::CStr;
use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// What a call returns: what its caller may do now.
///
/// 1–19 the call was wrong; 20–39 the network; 40–59 the server said no; 60–79 signatures and encryption; 80–99 the
/// publisher. New values may be added: treat one that you do not know by its range.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done. For events: delivered to the Channels API.
    Ok = 0,
    /// A text is NULL, not UTF-8, malformed or breaks a limit. `argument` names it. Nothing was sent.
    InvalidArgument = 1,
    /// The configuration is wrong. `argument` names the key.
    InvalidConfig = 2,
    /// Calls in the wrong order.
    InvalidState = 3,
    /// The last byte of the request never left: certainly not delivered. `cause` says why.
    NotSent = 20,
    /// Sent whole, and no valid answer came: it may have been delivered.
    DeliveryUnknown = 21,
    /// A 2xx answer that can't be read (cut, too long, not JSON): it may or may not have been delivered.
    BadResponse = 22,
    /// 400, or another 4xx.
    BadRequest = 40,
    /// 401: the key, the secret or the clock is wrong.
    Unauthorized = 41,
    /// 403: the application is disabled or over its quota.
    Forbidden = 42,
    /// 404: no such application or path.
    NotFound = 43,
    /// 413, or `data` that was found too large before sending.
    PayloadTooLarge = 44,
    /// 429: rejected; try again later.
    RateLimited = 45,
    /// Any 5xx: it may or may not have been delivered.
    ServerError = 46,
    /// Any 3xx: never followed, not delivered.
    Redirected = 47,
    /// The webhook is not authentic.
    WebhookInvalid = 60,
    /// There is no master key for an encrypted channel, or a payload can't be decrypted.
    Encryption = 61,
    /// The publisher's queue is full.
    QueueFull = 80,
    /// The publisher is closed.
    Closed = 81,
    /// The wait ended first. Nothing was lost.
    TimedOut = 82,
    /// This publisher belongs to the parent process.
    Forked = 83,
    /// A bug in libpusher, caught (please report it), or the system is out of memory or randomness. The message says which.
    Internal = 255,
}

impl Status {
    /// The status with this number, if there is one.
    pub fn from_code(code: i32) -> Option<Status> {
        Some(match code {
            0 => Status::Ok,
            1 => Status::InvalidArgument,
            2 => Status::InvalidConfig,
            3 => Status::InvalidState,
            20 => Status::NotSent,
            21 => Status::DeliveryUnknown,
            22 => Status::BadResponse,
            40 => Status::BadRequest,
            41 => Status::Unauthorized,
            42 => Status::Forbidden,
            43 => Status::NotFound,
            44 => Status::PayloadTooLarge,
            45 => Status::RateLimited,
            46 => Status::ServerError,
            47 => Status::Redirected,
            60 => Status::WebhookInvalid,
            61 => Status::Encryption,
            80 => Status::QueueFull,
            81 => Status::Closed,
            82 => Status::TimedOut,
            83 => Status::Forked,
            255 => Status::Internal,
            _ => return None,
        })
    }

    /// The name without its prefix, such as `NOT_SENT`.
    pub const fn name(self) -> &'static CStr {
        match self {
            Status::Ok => c"OK",
            Status::InvalidArgument => c"INVALID_ARGUMENT",
            Status::InvalidConfig => c"INVALID_CONFIG",
            Status::InvalidState => c"INVALID_STATE",
            Status::NotSent => c"NOT_SENT",
            Status::DeliveryUnknown => c"DELIVERY_UNKNOWN",
            Status::BadResponse => c"BAD_RESPONSE",
            Status::BadRequest => c"BAD_REQUEST",
            Status::Unauthorized => c"UNAUTHORIZED",
            Status::Forbidden => c"FORBIDDEN",
            Status::NotFound => c"NOT_FOUND",
            Status::PayloadTooLarge => c"PAYLOAD_TOO_LARGE",
            Status::RateLimited => c"RATE_LIMITED",
            Status::ServerError => c"SERVER_ERROR",
            Status::Redirected => c"REDIRECTED",
            Status::WebhookInvalid => c"WEBHOOK_INVALID",
            Status::Encryption => c"ENCRYPTION",
            Status::QueueFull => c"QUEUE_FULL",
            Status::Closed => c"CLOSED",
            Status::TimedOut => c"TIMED_OUT",
            Status::Forked => c"FORKED",
            Status::Internal => c"INTERNAL",
        }
    }
}

/// What happened to the events of a call.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The request's last byte never left: certainly not delivered.
    NotSent = 1,
    /// The server refused before it looked at any event: certainly not delivered.
    Rejected = 2,
    /// It may have been delivered. Sending it again may deliver it twice.
    Unknown = 3,
    /// The server accepted it.
    Delivered = 4,
}

impl Delivery {
    /// The word that stands in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Delivery::NotSent => "not_sent",
            Delivery::Rejected => "rejected",
            Delivery::Unknown => "unknown",
            Delivery::Delivered => "delivered",
        }
    }

    fn from_name(name: &str) -> Option<Delivery> {
        [Delivery::NotSent, Delivery::Rejected, Delivery::Unknown, Delivery::Delivered]
            .into_iter()
            .find(|delivery| delivery.name() == name)
    }
}

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

    /// The error document: `{"error":{"status":…,"message":…,…}}`, without what does not apply.
    pub fn document(&self, purpose: Purpose) -> String {
        // Numbers, texts and a String to write to: nothing here can fail.
        serde_json::to_string(&Document { error: self, purpose }).unwrap_or_default()
    }

    /// The argument that is meant, where one is.
    fn argument_name(&self) -> Option<&str> {
        match self {
            Error::Argument(problem)
            | Error::Config(problem)
            | Error::DataTooLarge(problem)
            | Error::Encryption(problem)
            | Error::Webhook(problem)
            | Error::State(problem) => Some(&*problem.argument).filter(|argument| !argument.is_empty()),
            Error::Exchange(_) | Error::Publisher(_) | Error::Unavailable(_) | Error::Internal(_) => None,
        }
    }
}

/// An error of a call, as JSON.
struct Document<'a> {
    error: &'a Error,
    purpose: Purpose,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_map(Some(1))?;
        document.serialize_entry("error", &Inside(self))?;
        document.end()
    }
}

struct Inside<'a>(&'a Document<'a>);

impl Serialize for Inside<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Document { error, purpose } = self.0;
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("status", &error.status().name().to_string_lossy())?;
        fields.serialize_entry("message", &error.to_string())?;
        let mut optional = |name: &'static str, value: Option<&str>| match value {
            Some(value) => fields.serialize_entry(name, value),
            None => Ok(()),
        };
        optional("delivery", error.delivery(*purpose).map(Delivery::name))?;
        optional("argument", error.argument_name())?;
        let Error::Exchange(failed) = error else { return fields.end() };
        optional("cause", failed.cause)?;
        optional("response", failed.response.as_deref())?;
        fields.serialize_entry("retryable", &failed.retryable)?;
        fields.serialize_entry("attempts", &failed.attempts)?;
        if let Some(http_status) = failed.http_status {
            fields.serialize_entry("http_status", &http_status)?;
        }
        if let Some(wait) = failed.retry_after_ms {
            fields.serialize_entry("retry_after_ms", &wait)?;
        }
        fields.end()
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
            Error::Unavailable(what) => write!(f, "the system has no {what} for this; nothing was sent"),
            Error::Internal(message) => write!(f, "a bug in libpusher, please report it: {message}"),
        }
    }
}

impl std::error::Error for Error {}

/// A copy of bytes whose number is the caller's choice.
pub fn copied(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut copy = Vec::new();
    // One more, for the NUL that C may want behind it.
    copy.try_reserve_exact(bytes.len().saturating_add(1)).map_err(|_| Error::Unavailable("memory"))?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// The delivery that an error document speaks of.
pub fn delivery_in(document: &str) -> Option<Delivery> {
    let document: Value = serde_json::from_str(document).ok()?;
    Delivery::from_name(document.get("error")?.get("delivery")?.as_str()?)
}

/// The message of an error document.
pub fn message_in(document: &str) -> Option<String> {
    let document: Value = serde_json::from_str(document).ok()?;
    Some(document.get("error")?.get("message")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_found_by_its_code_and_has_a_name_of_its_own() {
        let statuses: Vec<Status> = (-1..=300).filter_map(Status::from_code).collect();
        assert_eq!(statuses.len(), 22);
        for (index, status) in statuses.iter().enumerate() {
            assert_eq!(Status::from_code(*status as i32), Some(*status));
            assert!(statuses[index + 1..].iter().all(|other| other.name() != status.name()));
        }
    }

    #[test]
    fn a_document_leaves_out_what_does_not_apply() {
        let error = Error::argument("channels[3]", "must not be empty");
        assert_eq!(
            error.document(Purpose::Other),
            r#"{"error":{"status":"INVALID_ARGUMENT","message":"channels[3]: must not be empty","argument":"channels[3]"}}"#
        );
        assert_eq!(delivery_in(&error.document(Purpose::Other)), None);
        assert_eq!(delivery_in(&error.document(Purpose::Publish)), Some(Delivery::NotSent));
        assert_eq!(message_in(&error.document(Purpose::Publish)).as_deref(), Some("channels[3]: must not be empty"));
    }

    #[test]
    fn a_bug_in_a_publishing_call_is_unknown() {
        let document = Error::Internal("x".into()).document(Purpose::Publish);
        assert_eq!(delivery_in(&document), Some(Delivery::Unknown));
    }

    #[test]
    fn a_text_that_is_no_error_document_has_neither_delivery_nor_message() {
        for text in ["", "{}", "[]", "{\"ok\":true}", "{\"error\":\"x\"}", "\u{0}"] {
            assert_eq!(delivery_in(text), None);
            assert_eq!(message_in(text), None);
        }
    }
}
