//! Requests and responses.

use std::borrow::Cow;

/// Where requests go.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Whether to speak TLS.
    pub tls: bool,
    /// A host as it stands in a URL: a name or an address, IPv6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// The host with its port, where that is not the scheme's own.
    pub fn authority(&self) -> Cow<'_, str> {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => Cow::Borrowed(&self.host),
            _ => Cow::Owned(format!("{}:{}", self.host, self.port)),
        }
    }
}

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// POST, with a body.
    Post,
}

impl Method {
    /// As it stands in a request line.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Post => "POST",
        }
    }
}

/// A request, complete but for what HTTP itself needs (`Host`, `Content-Length`).
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The path and query, encoded. May hold a signature: never to be shown.
    pub target: String,
    /// Names in lower case.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body, if the method has one.
    pub body: Option<&'a [u8]>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Response {
    /// The status, never 1xx.
    pub status: u16,
    /// The body, as it came.
    pub body: Vec<u8>,
    /// Whether the body's length was stated (Content-Length, chunks, a status without body): what is empty is not cut.
    pub has_length: bool,
    /// Whether the kernel had taken the whole request by then. A server may refuse early.
    pub request_was_sent: bool,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
}
