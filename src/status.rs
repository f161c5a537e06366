//! The numbers that the C ABI promises: the status that a call returns, and what happened to its
//! events.
//!
//! This module uses no other. Status names are NUL-terminated so that the boundary can return them
//! to C unchanged.

use std::ffi::CStr;

use strum::{EnumString, FromRepr, IntoStaticStr};

/// The result of a call, grouped by what the caller can do about it.
///
/// | range    | meaning                                                  |
/// |----------|----------------------------------------------------------|
/// | 0        | success                                                  |
/// | 1 to 19  | the call or the configuration is wrong; nothing was sent |
/// | 20 to 39 | the network failed, or the response is unusable          |
/// | 40 to 59 | the server refused the request or failed                 |
/// | 60 to 79 | a webhook is not authentic, or encryption failed         |
/// | 80 to 99 | the publisher cannot do what was asked                   |
/// | 255      | a bug in libpusher, or the system is out of a resource   |
///
/// Later versions may add values: treat a value that you do not know by its range. In C before
/// C23, ::PusherStatus is an `int32_t`: write `switch ((enum PusherStatus)status)`, so that the
/// compiler warns about missing cases. `docs/errors.md` shows how to handle each of them.
///
/// A call that fails writes an error document to `out`: `{"error":{"status":"NOT_SENT",...}}`.
/// Its members, to which later versions may add:
///
/// | member           | type    | present if                     | accessor                      |
/// |------------------|---------|--------------------------------|-------------------------------|
/// | `status`         | string  | always                         | pusher_error_status()         |
/// | `message`        | string  | always                         | pusher_error_message()        |
/// | `delivery`       | string  | the call can deliver something | pusher_error_delivery()       |
/// | `argument`       | string  | an argument or key is at fault | none                          |
/// | `cause`          | string  | the network or response failed | pusher_error_cause()          |
/// | `retryable`      | boolean | a request was attempted        | pusher_error_retryable()      |
/// | `attempts`       | integer | a request was attempted        | none                          |
/// | `http_status`    | integer | the server responded           | pusher_error_http_status()    |
/// | `response`       | string  | the response is not a success  | none                          |
/// | `server_code`    | string  | the body is JSON with a `code` | pusher_error_server_code()    |
/// | `retry_after_ms` | integer | the server sent `Retry-After`  | pusher_error_retry_after_ms() |
/// | `rate_limit`     | object  | it sent `X-RateLimit-` headers | none                          |
/// | `parts`          | array   | the status is `PARTIAL`        | none                          |
///
/// - `status` is the name without `PUSHER_STATUS_`; `message` is for people and may change. That
///   of a 4xx other than 401 ends with the first line of the response.
/// - `delivery` is `not_sent`, `rejected` or `unknown`: see ::PusherDelivery.
/// - `argument` names a part, too, such as `channels[3]` or `options.socket_id`.
/// - `cause` is one of `dns connect tls proxy write timeout reset closed malformed cancelled
///   transport`.
/// - `retryable` is true if making the same call again cannot do anything twice and may
///   succeed.
/// - `attempts` is the number of requests made.
/// - `response` is the start of the response's body, up to 1,024 bytes; absent if the body is
///   empty. The request's signature is redacted in it and in `message`.
/// - `server_code` is a word or a number of up to 64 of the characters `A-Z a-z 0-9 _ . -`.
/// - `rate_limit` has the integers `limit`, `remaining` and `reset`, as far as the server sent
///   them. `reset` is in seconds from now or since 1970: servers differ.
/// - `parts` has the result of each request of a fan-out: see pusher_trigger(). It is absent if
///   memory runs out.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRepr)]
pub enum Status {
    /// Success. For an event: the Channels API accepted it.
    Ok = 0,
    /// A handle or a string is NULL, or a string is not valid UTF-8, is malformed or exceeds a
    /// limit; the error document's `argument` says which. If it is `server`, that kind of server
    /// lacks the call. Nothing was sent.
    InvalidArgument = 1,
    /// The configuration is wrong; the error document's `argument` names the key.
    InvalidConfig = 2,
    /// Functions were called in the wrong order; the message explains it.
    InvalidState = 3,
    /// The last byte of the request was never sent: certainly not delivered. `cause` says why.
    NotSent = 20,
    /// The request was sent, but no valid response arrived: it may have been delivered.
    DeliveryUnknown = 21,
    /// The server responded with 2xx, but the response cannot be read (it is truncated, too
    /// long or not JSON): the event may have been delivered.
    BadResponse = 22,
    /// The server responded with 400, or with a 4xx that has no status of its own here.
    BadRequest = 40,
    /// 401: the key, the secret or the clock is wrong.
    Unauthorized = 41,
    /// 403: the application is disabled or over its quota.
    Forbidden = 42,
    /// 404: there is no such application or path.
    NotFound = 43,
    /// 413, or the library found `data` too large and sent nothing.
    PayloadTooLarge = 44,
    /// 429: too many requests. Rejected; try again later.
    RateLimited = 45,
    /// 5xx: the event may have been delivered.
    ServerError = 46,
    /// 3xx: not delivered. Redirects are never followed.
    Redirected = 47,
    /// The requests of a fan-out (option `fan_out`) ended differently. `parts` in the error document
    /// has the result of each.
    Partial = 48,
    /// The webhook is not authentic.
    WebhookInvalid = 60,
    /// An encrypted channel needs `encryption_master_key_base64` in the configuration.
    Encryption = 61,
    /// The publisher's queue is full. The event was not queued.
    QueueFull = 80,
    /// The publisher is closed. The event was not queued.
    Closed = 81,
    /// The time was up before the call was done. After pusher_publisher_close(), the events
    /// that had not ended are reported as not sent or unknown. After any other call nothing is
    /// lost.
    TimedOut = 82,
    /// The publisher belongs to the parent process: create one in this process.
    Forked = 83,
    /// A bug in libpusher, caught (please report it), or the system is out of memory, threads
    /// or randomness. The message says which.
    Internal = 255,
}

impl Status {
    /// Returns the name without its prefix, such as `NOT_SENT`. (strum writes no C strings.)
    pub const fn c_name(self) -> &'static CStr {
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
            Status::Partial => c"PARTIAL",
            Status::WebhookInvalid => c"WEBHOOK_INVALID",
            Status::Encryption => c"ENCRYPTION",
            Status::QueueFull => c"QUEUE_FULL",
            Status::Closed => c"CLOSED",
            Status::TimedOut => c"TIMED_OUT",
            Status::Forked => c"FORKED",
            Status::Internal => c"INTERNAL",
        }
    }

    /// Returns the same name as a Rust string.
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// Returns the status with this name.
    pub fn from_name(name: &str) -> Option<Status> {
        (0..=255).filter_map(Status::from_repr).find(|status| status.name() == name)
    }
}

/// What happened to the events of a failed call.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Delivery {
    /// The last byte of the request was never sent: certainly not delivered.
    NotSent = 1,
    /// The server refused the request before it processed any event: certainly not delivered.
    Rejected = 2,
    /// The event may have been delivered. Publishing it again may deliver it twice.
    Unknown = 3,
    /// The server accepted the event. Only in reports of a publisher.
    Delivered = 4,
}

impl Delivery {
    /// Returns the word in documents.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the delivery with this word.
    pub fn from_name(name: &str) -> Option<Delivery> {
        name.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_found_by_its_code_and_has_a_name_of_its_own() {
        let statuses: Vec<Status> = (-1..=300).filter_map(Status::from_repr).collect();
        assert_eq!(statuses.len(), 23);
        for (index, status) in statuses.iter().enumerate() {
            assert_eq!(Status::from_repr(*status as i32), Some(*status));
            assert_eq!(Status::from_name(status.name()), Some(*status));
            assert!(statuses[index + 1..].iter().all(|other| other.name() != status.name()));
        }
    }
}
