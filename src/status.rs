//! The numbers that the C ABI promises: the status that a call returns, and what happened to its events.
//!
//! This module uses no other. Status names are NUL-terminated so that the boundary can return them to C unchanged.

use std::ffi::CStr;

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

    /// The delivery with this word.
    pub fn from_name(name: &str) -> Option<Delivery> {
        [Delivery::NotSent, Delivery::Rejected, Delivery::Unknown, Delivery::Delivered]
            .into_iter()
            .find(|delivery| delivery.name() == name)
    }
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
}
