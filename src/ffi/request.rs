//! Requests as C sees them.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::ptr;
use std::time::Instant;

use zeroize::Zeroize;

use super::boundary::{c_text, guarded, write};
use crate::bytes::{concat, copied, push};
use crate::client::Pending;
use crate::error::Error;
use crate::http::{Request, RequestLine, whole_request};

/// A signed request, ready to be sent.
///
/// Threads: only one thread may use it at a time.
/// Lifetime: from pusher_prepare() to pusher_request_free(); it may outlive its client. A
/// request passed to a ::PusherSendFn lives until that function returns.
pub struct PusherRequest {
    method: CString,
    url: CString,
    headers: Vec<(CString, CString)>,
    /// Followed by a NUL.
    body: Vec<u8>,
    /// Whether the method has a body, which may be empty.
    has_body: bool,
    tls: bool,
    port: u16,
    /// Whether the host ends with a dot, which the URL lacks.
    host_is_absolute: bool,
    /// The length of the path and query, at the end of the URL.
    target_len: usize,
    /// Made by pusher_request_host().
    host: RefCell<Option<CString>>,
    /// Made by pusher_request_bytes().
    whole: RefCell<Option<Vec<u8>>>,
    deadline: Instant,
    /// Until pusher_finish() takes it. A transport's has none.
    pub(super) pending: Option<Pending>,
}

impl PusherRequest {
    pub(super) fn new(
        request: &Request<'_>,
        deadline: Instant,
        pending: Option<Pending>,
    ) -> Result<PusherRequest, Error> {
        let url = concat([&request.origin.url(), &request.target])?;
        let mut headers = Vec::new();
        for (name, value) in request.all_headers() {
            push(&mut headers, (c_text(copied(name.as_bytes())?)?, c_text(copied(value.as_bytes())?)?))?;
        }
        let mut body = copied(request.body.unwrap_or_default())?;
        body.push(0);
        Ok(PusherRequest {
            method: c_text(copied(request.method.name().as_bytes())?)?,
            url: c_text(url)?,
            headers,
            body,
            has_body: request.body.is_some(),
            tls: request.origin.tls,
            port: request.origin.port,
            host_is_absolute: request.origin.host.ends_with('.'),
            target_len: request.target.len(),
            host: RefCell::default(),
            whole: RefCell::default(),
            deadline,
            pending,
        })
    }

    /// Returns the host with its port, as the URL has them, and the path with its query.
    fn url_parts(&self) -> Option<(&str, &str)> {
        let url = self.url.to_str().ok()?;
        let (begin, target) = url.split_at_checked(url.len().checked_sub(self.target_len)?)?;
        Some((begin.split_once("://")?.1, target))
    }

    /// Returns where the host is, or `None` if memory runs out.
    fn host(&self) -> Option<*const c_char> {
        let mut made = self.host.try_borrow_mut().ok()?;
        if made.is_none() {
            let (authority, _) = self.url_parts()?;
            let host = match authority.strip_prefix('[') {
                Some(address) => address.split(']').next()?,
                None => authority.split(':').next()?,
            };
            let mut host = copied(host.as_bytes()).ok()?;
            if self.host_is_absolute {
                // copied() leaves room for one more byte.
                host.push(b'.');
            }
            *made = Some(c_text(host).ok()?);
        }
        made.as_ref().map(|host| host.as_ptr())
    }

    /// Returns where the bytes of the whole request are and their number, or `None` if memory runs out.
    fn whole(&self) -> Option<(*const u8, usize)> {
        let mut made = self.whole.try_borrow_mut().ok()?;
        if made.is_none() {
            let (authority, target) = self.url_parts()?;
            let line = RequestLine { method: self.method.to_str().ok()?, authority, target };
            let headers = self
                .headers
                .iter()
                .map(|(name, value)| (name.to_str().unwrap_or_default(), value.to_str().unwrap_or_default()));
            let body = self.body.split_last().filter(|_| self.has_body).map(|(_, body)| body);
            *made = Some(whole_request(line, headers, body).ok()?);
        }
        made.as_ref().map(|whole| (whole.as_ptr(), whole.len()))
    }
}

impl Drop for PusherRequest {
    fn drop(&mut self) {
        // A header of the caller's may be a secret.
        self.headers.drain(..).for_each(|(_, value)| value.into_bytes().zeroize());
        if let Some(whole) = self.whole.get_mut() {
            whole.zeroize();
        }
    }
}

/// Returns the method of a request, `"POST"` or `"GET"`.
///
/// @param request  the request.
/// @return a string that lives as long as the request; NULL if `request` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_method(request: *const PusherRequest) -> *const c_char {
    // SAFETY: as the caller of this function promises.
    unsafe { request.as_ref() }.map_or(ptr::null(), |request| request.method.as_ptr())
}

/// Returns the complete URL of a request. It contains the signature: do not log it.
///
/// @param request  the request.
/// @return a string that lives as long as the request; NULL if `request` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_url(request: *const PusherRequest) -> *const c_char {
    // SAFETY: as the caller of this function promises.
    unsafe { request.as_ref() }.map_or(ptr::null(), |request| request.url.as_ptr())
}

/// Returns the number of headers of a request. `Host` and `Content-Length` are not among them:
/// HTTP clients set them.
///
/// @param request  the request.
/// @return the number of headers; 0 if `request` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_header_count(request: *const PusherRequest) -> usize {
    // SAFETY: as the caller of this function promises.
    unsafe { request.as_ref() }.map_or(0, |request| request.headers.len())
}

/// Returns one header of a request.
///
/// @param request  the request.
/// @param index    0 to pusher_request_header_count() - 1.
/// @param name     receives the header's name, in lower case; it lives as long as the request.
///                 May be NULL.
/// @param value    receives the header's value; it lives as long as the request. May be NULL.
/// @return 1, or 0 if there is no such header (`name` and `value` then receive NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_header(
    request: *const PusherRequest,
    index: usize,
    name: *mut *const c_char,
    value: *mut *const c_char,
) -> i32 {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        let header = request.as_ref().and_then(|request| request.headers.get(index));
        write(name, header.map_or(ptr::null(), |(name, _)| name.as_ptr()));
        write(value, header.map_or(ptr::null(), |(_, value)| value.as_ptr()));
        i32::from(header.is_some())
    }
}

/// Returns the body of a request, exactly as it was signed, with a NUL after its end.
///
/// @param request  the request.
/// @param len      receives the body's length in bytes, without the NUL. May be NULL.
/// @return bytes that live as long as the request, empty for a GET; NULL if `request` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_body(request: *const PusherRequest, len: *mut usize) -> *const u8 {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        let request = request.as_ref();
        write(len, request.map_or(0, |request| request.body.len().saturating_sub(1)));
        request.map_or(ptr::null(), |request| request.body.as_ptr())
    }
}

/// Returns the whole HTTP/1.1 request as the library itself would send it, for programs with
/// sockets of their own: request line, headers with `host` and `content-length`, and body.
///
/// Connect to pusher_request_host() and pusher_request_port(), with TLS if pusher_request_tls()
/// is 1. A `proxy` or `unix_socket` of the configuration is not used. Write the bytes once, and
/// pass what arrives to pusher_response_feed(). The bytes contain the signature: do not log them.
///
/// The first call makes the bytes, later calls return the same ones. It changes the request: no
/// other thread may use it meanwhile.
///
/// @param request  the request.
/// @param len      receives the number of bytes; 0 if there are none. May be NULL.
/// @return bytes that live as long as the request; NULL if `request` is NULL or memory runs out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_bytes(request: *const PusherRequest, len: *mut usize) -> *const u8 {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        let whole = request.as_ref().and_then(|request| guarded(None, || request.whole()));
        let (bytes, count) = whole.unwrap_or((ptr::null(), 0));
        write(len, count);
        bytes
    }
}

/// Returns the host that a request goes to: a name to look up and to check the certificate with,
/// or an IP address, IPv6 without brackets. A name that the configuration ends with a dot keeps the
/// dot; leave it out for TLS.
///
/// @param request  the request.
/// @return a string that lives as long as the request; NULL if `request` is NULL or memory runs
///         out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_host(request: *const PusherRequest) -> *const c_char {
    // SAFETY: as the caller of this function promises.
    let host = unsafe { request.as_ref() }.and_then(|request| guarded(None, || request.host()));
    host.unwrap_or(ptr::null())
}

/// Returns the port that a request goes to.
///
/// @param request  the request.
/// @return the port; 0 if `request` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_port(request: *const PusherRequest) -> u16 {
    // SAFETY: as the caller of this function promises.
    unsafe { request.as_ref() }.map_or(0, |request| request.port)
}

/// Returns whether a request goes over TLS.
///
/// @param request  the request.
/// @return 1 or 0; 0 if `request` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_tls(request: *const PusherRequest) -> i32 {
    // SAFETY: as the caller of this function promises.
    unsafe { request.as_ref() }.map_or(0, |request| i32::from(request.tls))
}

/// Returns the time left to send a request and receive the response.
///
/// @param request  the request.
/// @return milliseconds. 0 if the deadline has passed: do not send. (libcurl treats a timeout
///         of 0 as "no timeout".)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_timeout_ms(request: *const PusherRequest) -> u32 {
    // SAFETY: as the caller of this function promises.
    let Some(request) = (unsafe { request.as_ref() }) else { return 0 };
    let left = request.deadline.saturating_duration_since(Instant::now());
    u32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u32::MAX)
}

/// Frees a request that pusher_prepare() created.
///
/// @param request  the request, but never one passed to a ::PusherSendFn. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_free(request: *mut PusherRequest) {
    if !request.is_null() {
        // SAFETY: it came out of a Box in `pusher_prepare`, and the caller gives it back for good.
        let request = unsafe { Box::from_raw(request) };
        guarded((), || drop(request));
    }
}
