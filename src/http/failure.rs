//! The progress of an exchange, the causes of its failure, and faults of a connection.

use std::borrow::Cow;
use std::io::{self, ErrorKind};

use strum::{EnumString, IntoStaticStr};

/// How far an exchange had come when it failed.
///
/// The progress, and not the error number, decides whether the server may have acted: a reset may
/// come before, during and after the server's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The kernel did not take the request's last byte. No conforming server can have accepted the
    /// request, because `Content-Length` covers the whole body.
    NotSent,
    /// The kernel took the whole request, and no status line came.
    Sent,
    /// A final status line came; the rest of the response did not.
    Answered(u16),
}

/// The cause of a failed exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Cause {
    /// The host name could not be looked up.
    Dns,
    /// The host name does not exist. It is named `dns`, too.
    NoSuchHost,
    /// No connection could be made.
    Connect,
    /// The TLS handshake failed: a certificate, a version.
    Tls,
    /// The proxy refused.
    Proxy,
    /// Writing failed, by none of the other causes.
    Write,
    /// The deadline passed.
    Timeout,
    /// The peer reset the connection.
    Reset,
    /// The peer closed the connection.
    Closed,
    /// The response is not HTTP, exceeds a limit, or does not fit into memory.
    Malformed,
    /// The caller cancelled the call.
    Cancelled,
    /// The caller's own transport failed without naming a cause.
    Transport,
}

impl Cause {
    /// Returns the cause with this name.
    pub fn from_name(name: &str) -> Option<Cause> {
        name.parse().ok().filter(|cause| *cause != Cause::NoSuchHost)
    }

    /// Returns the name in error documents.
    pub fn name(self) -> &'static str {
        match self {
            Cause::NoSuchHost => Cause::Dns.into(),
            cause => cause.into(),
        }
    }
}

/// A failed exchange.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How far the exchange had come.
    pub progress: Progress,
    /// The cause.
    pub cause: Cause,
    /// A phrase for people. It quotes nothing of the request.
    pub message: String,
}

/// What went wrong on a connection. The exchange knows what that means for its request.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) cause: Cause,
    /// A phrase for people.
    pub(super) what: Cow<'static, str>,
    /// Whether the server refused the TLS handshake. It has then accepted nothing that was sent.
    pub(super) refused_handshake: bool,
}

impl Fault {
    #[cold]
    #[inline(never)]
    pub(super) fn new(cause: Cause, what: impl Into<Cow<'static, str>>) -> Fault {
        Fault { cause, what: what.into(), refused_handshake: false }
    }

    /// Returns the fault of an error of a socket. An error without a cause of its own gets
    /// `fallback`.
    #[cold]
    pub(super) fn of_io(error: &io::Error, fallback: Cause) -> Fault {
        match error.kind() {
            ErrorKind::TimedOut => Fault::new(Cause::Timeout, "timed out"),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
                Fault::new(Cause::Reset, "the connection was reset")
            }
            _ => Fault::new(fallback, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_socket_has_a_cause() {
        for (kind, cause, what) in [
            (ErrorKind::TimedOut, Cause::Timeout, "timed out"),
            (ErrorKind::ConnectionReset, Cause::Reset, "the connection was reset"),
            (ErrorKind::BrokenPipe, Cause::Reset, "the connection was reset"),
            (ErrorKind::ConnectionAborted, Cause::Reset, "the connection was reset"),
            (ErrorKind::PermissionDenied, Cause::Write, "permission denied"),
        ] {
            let fault = Fault::of_io(&kind.into(), Cause::Write);
            assert_eq!((fault.cause, &*fault.what, fault.refused_handshake), (cause, what, false));
        }
    }
}
