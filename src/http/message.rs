//! Requests and responses.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

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
    /// Without a path: `https://host:port`.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }

    /// The host with its port, where that is not the scheme's own.
    pub fn authority(&self) -> Cow<'_, str> {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => Cow::Borrowed(&self.host),
            _ => Cow::Owned(format!("{}:{}", self.host, self.port)),
        }
    }
}

/// A URL's host as a resolver and a certificate take it: an IPv6 address without its brackets.
pub(super) fn bare_host(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// A proxy that requests go through.
#[derive(Clone)]
pub struct Proxy {
    /// A host name or an IP address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The value of `Proxy-Authorization`, where it wants to know who we are.
    pub authorization: Option<Zeroizing<String>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET, without a body.
    Get,
    /// POST, with a body.
    Post,
}

impl Method {
    /// As it stands in a request line.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

/// A request, complete but for what HTTP itself needs (`Host`, `Content-Length`).
pub struct Request<'a> {
    /// Where it goes.
    pub origin: &'a Origin,
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
    /// The final status.
    pub status: u16,
    /// The body, as it came.
    pub body: Vec<u8>,
    /// Whether the body's length was stated (Content-Length, chunks, a status without body): what is empty is not cut.
    pub has_length: bool,
    /// Whether the kernel had taken the whole request by then. A server may refuse early.
    pub request_was_sent: bool,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The `Date` header.
    pub date: Option<String>,
}
