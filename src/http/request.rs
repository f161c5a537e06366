//! The bytes of a request, complete before any of them is sent.

use std::collections::TryReserveError;
use std::io::{self, Write};

use zeroize::Zeroize;

use super::message::{Proxy, Request};

/// A request as it is sent, and how much of it was.
pub(super) struct RequestBytes<'a> {
    head: Vec<u8>,
    body: &'a [u8],
    sent: usize,
    /// Whether the head holds the credentials for a proxy, or headers of the caller.
    holds_credentials: bool,
}

/// Why a request cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsendable {
    /// There is no memory for its head.
    NoMemory,
    /// Its target has a character that ends a request line.
    InvalidTarget,
}

impl From<TryReserveError> for Unsendable {
    fn from(_: TryReserveError) -> Unsendable {
        Unsendable::NoMemory
    }
}

impl<'a> RequestBytes<'a> {
    /// Writes the head of a request to the server, or to a proxy that forwards plain HTTP.
    ///
    /// Such a proxy gets the whole URL (RFC 9112, 3.2.2), because proxies often refuse a tunnel to
    /// port 80. It also gets the credentials, which the server must not see.
    pub(super) fn new(request: &Request<'a>, proxy: Option<&Proxy>) -> Result<RequestBytes<'a>, Unsendable> {
        check_target(&request.target)?;
        let authority = request.origin.authority();
        let authorization = proxy.and_then(|proxy| proxy.authorization.as_ref());
        let headers: usize = request.all_headers().map(|(name, value)| name.len() + value.len() + LINE_BYTES).sum();
        let credentials = authorization.map_or(0, |authorization| authorization.len() + LINE_BYTES);
        // Allocate once: a vector that grows leaves copies of the credentials in freed memory.
        let mut head = Vec::new();
        head.try_reserve_exact(request.target.len() + 2 * authority.len() + headers + credentials + FIXED_BYTES)?;
        // The space is reserved, so writing cannot fail.
        let _ = write_head(&mut head, request, &authority, proxy);
        let holds_credentials = authorization.is_some() || !request.caller_headers.is_empty();
        Ok(RequestBytes { head, body: request.body.unwrap_or_default(), sent: 0, holds_credentials })
    }

    /// Returns the bytes that are still to be sent: of the head, then of the body.
    pub(super) fn unsent(&self) -> [&[u8]; 2] {
        match self.sent.checked_sub(self.head.len()) {
            None => [&self.head[self.sent..], self.body],
            Some(sent) => [&self.body[sent..], &[]],
        }
    }

    /// Takes note that `length` more bytes were sent.
    pub(super) fn mark_sent(&mut self, length: usize) {
        self.sent += length;
    }

    /// Returns how many bytes were sent.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    /// Returns whether nothing is left to send.
    pub(super) fn is_sent(&self) -> bool {
        self.sent == self.head.len() + self.body.len()
    }
}

impl Drop for RequestBytes<'_> {
    fn drop(&mut self) {
        if self.holds_credentials {
            self.head.zeroize();
        }
    }
}

/// Returns the size of a request as a server without a forwarding proxy before it receives it: head and body.
pub fn request_size(request: &Request<'_>) -> usize {
    let mut head = Count(0);
    // Counting cannot fail.
    let _ = write_head(&mut head, request, &request.origin.authority(), None);
    head.0 + request.body.map_or(0, <[u8]>::len)
}

/// Counts the bytes that are written.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the bytes of a request as a server without a forwarding proxy before it receives it.
pub fn whole_request<'h>(
    line: RequestLine<'_>,
    headers: impl Iterator<Item = (&'h str, &'h str)> + Clone,
    body: Option<&[u8]>,
) -> Result<Vec<u8>, Unsendable> {
    check_target(line.target)?;
    let body_len = body.map(<[u8]>::len);
    let mut head = Count(0);
    // Counting cannot fail.
    let _ = write_head_of(&mut head, line, headers.clone(), body_len, None);
    // Allocate once: a vector that grows leaves copies of the caller's headers in freed memory.
    let mut whole = Vec::new();
    whole.try_reserve_exact(head.0 + body_len.unwrap_or_default())?;
    // The space is reserved, so writing cannot fail.
    let _ = write_head_of(&mut whole, line, headers, body_len, None);
    whole.extend_from_slice(body.unwrap_or_default());
    Ok(whole)
}

/// The method and the place that a request goes to.
#[derive(Clone, Copy)]
pub struct RequestLine<'a> {
    /// The method's name.
    pub method: &'a str,
    /// The host as a URL has it, followed by the port unless that is the scheme's default.
    pub authority: &'a str,
    /// The path and query.
    pub target: &'a str,
}

/// Checks a target. It is built from checked parts, and must never be able to add a line.
fn check_target(target: &str) -> Result<(), Unsendable> {
    if target.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(()) } else { Err(Unsendable::InvalidTarget) }
}

fn write_head(head: &mut impl Write, request: &Request<'_>, authority: &str, proxy: Option<&Proxy>) -> io::Result<()> {
    let line = RequestLine { method: request.method.name(), authority, target: &request.target };
    let proxy = proxy.map(|proxy| (request.origin.scheme(), proxy));
    write_head_of(head, line, request.all_headers(), request.body.map(<[u8]>::len), proxy)
}

#[inline]
fn write_head_of<'h>(
    head: &mut impl Write,
    RequestLine { method, authority, target }: RequestLine<'_>,
    mut headers: impl Iterator<Item = (&'h str, &'h str)>,
    body_len: Option<usize>,
    proxy: Option<(&str, &Proxy)>,
) -> io::Result<()> {
    let mut add = |parts: &[&str]| parts.iter().try_for_each(|part| head.write_all(part.as_bytes()));
    add(&[method, " "])?;
    if let Some((scheme, _)) = proxy {
        add(&[scheme, "://", authority])?;
    }
    add(&[target, " HTTP/1.1\r\nhost: ", authority, "\r\n"])?;
    // Faster than a loop over the chain of three sources.
    headers.try_for_each(|(name, value)| add(&[name, ": ", value, "\r\n"]))?;
    if let Some(authorization) = proxy.and_then(|(_, proxy)| proxy.authorization.as_ref()) {
        add(&["proxy-authorization: ", authorization, "\r\n"])?;
    }
    if let Some(length) = body_len {
        write!(head, "content-length: {length}\r\n")?;
    }
    head.write_all(b"\r\n")
}

/// The colon, the blank and the end of a header line.
const LINE_BYTES: usize = "proxy-authorization".len() + ": \r\n".len();

/// The rest of a head: the method, the version, `host`, `content-length` with its digits, a scheme.
const FIXED_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::super::message::{Method, Origin};
    use super::*;

    fn bytes(request: &RequestBytes<'_>) -> String {
        String::from_utf8(request.unsent().concat()).unwrap()
    }

    fn request<'a>(origin: &'a Origin, target: &str, body: Option<&'a [u8]>) -> Request<'a> {
        let method = if body.is_some() { Method::Post } else { Method::Get };
        Request {
            origin,
            method,
            target: target.to_owned(),
            headers: &[("user-agent", "x")],
            own_header: None,
            caller_headers: Default::default(),
            body,
            reads_rate_limit: false,
            meter: None,
        }
    }

    #[test]
    fn a_proxy_gets_the_whole_url_and_its_credentials() {
        let origin = Origin { tls: false, host: "::1".to_owned(), port: 8080 };
        let proxy = Proxy { host: "proxy".to_owned(), port: 3128, authorization: Some("Basic QQ==".to_owned().into()) };
        let get = request(&origin, "/a?b=c", None);
        assert_eq!(
            bytes(&RequestBytes::new(&get, None).unwrap()),
            "GET /a?b=c HTTP/1.1\r\nhost: [::1]:8080\r\nuser-agent: x\r\n\r\n"
        );
        let post = request(&origin, "/a", Some(b"{}"));
        assert_eq!(
            bytes(&RequestBytes::new(&post, Some(&proxy)).unwrap()),
            "POST http://[::1]:8080/a HTTP/1.1\r\nhost: [::1]:8080\r\nuser-agent: x\r\n\
             proxy-authorization: Basic QQ==\r\ncontent-length: 2\r\n\r\n{}"
        );
    }

    #[test]
    fn the_size_of_a_request_is_that_of_its_bytes() {
        let origin = Origin { tls: false, host: "::1".to_owned(), port: 8080 };
        let large = vec![b' '; 12_345];
        for body in [None, Some(&b""[..]), Some(b"{}"), Some(&large)] {
            let request = request(&origin, "/a?b=c", body);
            assert_eq!(request_size(&request), bytes(&RequestBytes::new(&request, None).unwrap()).len());
        }
    }

    #[test]
    fn a_request_may_have_a_header_of_its_own() {
        let origin = Origin { tls: false, host: "h".to_owned(), port: 80 };
        let post = Request { own_header: Some(("x-key", "k")), ..request(&origin, "/a", Some(b"{}")) };
        let whole = bytes(&RequestBytes::new(&post, None).unwrap());
        assert_eq!(whole, "POST /a HTTP/1.1\r\nhost: h\r\nuser-agent: x\r\nx-key: k\r\ncontent-length: 2\r\n\r\n{}");
        assert_eq!(request_size(&post), whole.len());
    }

    #[test]
    fn a_whole_request_has_the_bytes_that_the_exchange_sends() {
        let large = vec![b' '; 12_345];
        for (host, port, body) in [("::1", 8080, None), ("h.", 80, Some(&b"{}"[..])), ("h", 81, Some(&large))] {
            let origin = Origin { tls: false, host: host.to_owned(), port };
            let request = Request { own_header: Some(("x-key", "k")), ..request(&origin, "/a?b=c", body) };
            let authority = origin.authority();
            let line = RequestLine { method: request.method.name(), authority: &authority, target: &request.target };
            let headers: Vec<_> = request.all_headers().collect();
            let whole = whole_request(line, headers.iter().copied(), body).unwrap();
            assert_eq!(String::from_utf8(whole).unwrap(), bytes(&RequestBytes::new(&request, None).unwrap()));
            let bad = RequestLine { target: "/a b", ..line };
            assert_eq!(whole_request(bad, headers.into_iter(), body), Err(Unsendable::InvalidTarget));
        }
    }

    #[test]
    fn a_target_adds_no_line() {
        let origin = Origin { tls: false, host: "h".to_owned(), port: 80 };
        for target in ["/a b", "/a\r\nx: y", "/a\0", "/\u{e9}"] {
            let result = RequestBytes::new(&request(&origin, target, None), None);
            assert_eq!(result.err(), Some(Unsendable::InvalidTarget), "{target:?}");
        }
    }

    #[test]
    fn each_byte_is_sent_once() {
        let origin = Origin { tls: false, host: "h".to_owned(), port: 80 };
        let post = request(&origin, "/a", Some(b"{\"a\":1}"));
        let whole = bytes(&RequestBytes::new(&post, None).unwrap());
        for first in 0..=whole.len() {
            let mut request = RequestBytes::new(&post, None).unwrap();
            request.mark_sent(first);
            assert_eq!((bytes(&request), request.is_sent()), (whole[first..].to_owned(), first == whole.len()));
        }
    }
}
