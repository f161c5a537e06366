//! Requests and responses.

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

use zeroize::Zeroizing;

use crate::headers::CallerHeaders;
use crate::platform::Cancellation;
use crate::rate_limit::RateLimitHeaders;

use super::meter::Meter;

/// The server that requests go to.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Whether to speak TLS.
    pub tls: bool,
    /// A host name or an IP address, IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// Returns the URL without a path: `https://host:port`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }

    /// Returns the URL's scheme.
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Returns the host as a URL has it, followed by the port unless that is the scheme's default.
    pub fn authority(&self) -> Cow<'_, str> {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => self.url_host(),
            _ => Cow::Owned(self.host_and_port()),
        }
    }

    /// Returns the host and the port, as CONNECT needs them.
    pub(super) fn host_and_port(&self) -> String {
        format!("{}:{}", self.url_host(), self.port)
    }

    /// Returns the host as a URL has it: an IPv6 address in brackets.
    fn url_host(&self) -> Cow<'_, str> {
        match self.host.contains(':') {
            true => Cow::Owned(format!("[{}]", self.host)),
            false => Cow::Borrowed(self.name()),
        }
    }

    /// Returns the host as a certificate names it. A dot at its end is for name lookup only.
    pub(super) fn name(&self) -> &str {
        self.host.strip_suffix('.').unwrap_or(&self.host)
    }
}

/// An HTTP proxy.
#[derive(Clone)]
pub struct Proxy {
    /// A host name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The value of `Proxy-Authorization`, if the proxy needs credentials.
    pub authorization: Option<Zeroizing<String>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET, without a body.
    Get,
    /// POST, with a body.
    Post,
    /// DELETE, without a body.
    Delete,
}

impl Method {
    /// Returns the method's name in a request line.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

/// When an exchange has to end.
#[derive(Clone, Copy)]
pub struct Limit<'a> {
    /// The moment.
    pub at: Instant,
    /// The configuration key that sets it, for messages.
    pub key: &'static str,
    /// The event that ends it earlier, if its caller has one.
    pub cancellation: Option<&'a Cancellation>,
}

impl Limit<'_> {
    /// Returns whether the exchange was cancelled.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancellation.is_some_and(Cancellation::has_happened)
    }
}

/// A request without the headers that the transport adds (`Host`, `Content-Length`).
pub struct Request<'a> {
    /// The server.
    pub origin: &'a Origin,
    /// The method.
    pub method: Method,
    /// The path and query, encoded. It may hold a signature: never show it.
    pub target: String,
    /// Header names, in lower case, and their values.
    pub headers: &'static [(&'static str, &'static str)],
    /// A header that only this request has, in the same form.
    pub own_header: Option<(&'static str, &'a str)>,
    /// The headers that the caller added. Never show their values.
    pub caller_headers: CallerHeaders<'a>,
    /// The body, if the method has one.
    pub body: Option<&'a [u8]>,
    /// Whether the headers of a rate limit are read from a response with success, too.
    pub reads_rate_limit: bool,
    /// The place for measurements, if anyone wants them.
    pub meter: Option<&'a Meter>,
}

impl Request<'_> {
    /// Returns all headers.
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().copied().chain(self.own_header).chain(self.caller_headers.iter())
    }
}

/// A complete response.
#[derive(Debug)]
pub struct Response {
    /// The final status.
    pub status: u16,
    /// The body as received.
    pub body: Vec<u8>,
    /// Whether the response stated the body's length (Content-Length, chunks, a status without
    /// body). If so, an empty body is not a truncated one.
    pub has_length: bool,
    /// Whether the kernel had taken the whole request before the response came. A server may refuse
    /// early.
    pub request_was_sent: bool,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The `Date` header.
    pub date: Option<String>,
    /// The `X-RateLimit-` headers, if the request reads them or is refused.
    pub rate_limit: RateLimitHeaders,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_bracketed_in_urls_only() {
        let origin = |tls, host: &str, port| Origin { tls, host: host.to_owned(), port };
        for (origin, authority, host_and_port) in [
            (origin(true, "::1", 443), "[::1]", "[::1]:443"),
            (origin(true, "example.org.", 443), "example.org", "example.org:443"),
            (origin(false, "::1", 6001), "[::1]:6001", "[::1]:6001"),
            (origin(true, "127.0.0.1", 80), "127.0.0.1:80", "127.0.0.1:80"),
            (origin(false, "example.org", 80), "example.org", "example.org:80"),
        ] {
            assert_eq!((&*origin.authority(), &*origin.host_and_port()), (authority, host_and_port));
        }
        assert_eq!(origin(true, "::1", 6001).url(), "https://[::1]:6001");
    }
}
