//! What it means to send a request: the phases of an exchange, and the words for what broke it.

use std::fmt;
use std::io;
use std::time::Instant;

use super::message::{Request, Response};

/// Something that sends a request and waits for the answer.
pub trait Transport: Send + Sync {
    /// Sends `request` once and waits for the answer, until `deadline` in all.
    fn send(&self, request: &Request<'_>, deadline: Instant) -> Result<Response, Failure>;
}

/// How far an exchange had come when it broke.
///
/// It is this, and not the error number, that decides what may have happened: a reset may come before, during and after the
/// server's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The request's last byte was not taken by the kernel: no conforming server can have accepted it, because
    /// `Content-Length` covers the whole body.
    NotSent,
    /// The kernel took the whole request, and no status line came.
    Sent,
    /// A final status line came; what should follow it did not.
    Answered(u16),
}

/// What broke an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The name could not be looked up.
    Dns,
    /// The name does not exist.
    NoSuchHost,
    /// No connection could be made.
    Connect,
    /// The TLS handshake failed: a certificate, a version.
    Tls,
    /// The proxy said no.
    Proxy,
    /// Writing failed in a way that is none of the others.
    Write,
    /// The time was up.
    Timeout,
    /// The peer reset the connection.
    Reset,
    /// The peer closed the connection.
    Closed,
    /// What came is not HTTP, or more than was allowed.
    Malformed,
    /// A transport of the caller's failed, and did not say why.
    Transport,
}

impl Cause {
    /// The cause with this word.
    pub fn from_name(name: &str) -> Option<Cause> {
        Some(match name {
            "dns" => Cause::Dns,
            "connect" => Cause::Connect,
            "tls" => Cause::Tls,
            "proxy" => Cause::Proxy,
            "write" => Cause::Write,
            "timeout" => Cause::Timeout,
            "reset" => Cause::Reset,
            "closed" => Cause::Closed,
            "malformed" => Cause::Malformed,
            "transport" => Cause::Transport,
            _ => return None,
        })
    }

    /// The word in error documents.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Dns | Cause::NoSuchHost => "dns",
            Cause::Connect => "connect",
            Cause::Tls => "tls",
            Cause::Proxy => "proxy",
            Cause::Write => "write",
            Cause::Timeout => "timeout",
            Cause::Reset => "reset",
            Cause::Closed => "closed",
            Cause::Malformed => "malformed",
            Cause::Transport => "transport",
        }
    }
}

/// An exchange that did not come to its end.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How far it had come.
    pub progress: Progress,
    /// What broke it.
    pub cause: Cause,
    /// A sentence for people, without anything of the request in it.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// What a failure says when the deadline has passed.
pub(super) const TIME_IS_UP: &str = "the time was up";

/// Returns the cause of a socket's error and a phrase for people. An error without a cause of its own gets `fallback`.
pub(super) fn classify_io_error(error: &io::Error, fallback: Cause) -> (Cause, String) {
    match error.kind() {
        io::ErrorKind::TimedOut => (Cause::Timeout, TIME_IS_UP.to_owned()),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            (Cause::Reset, "the connection was reset".to_owned())
        }
        _ => (fallback, error.to_string()),
    }
}
