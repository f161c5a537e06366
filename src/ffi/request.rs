//! Requests as C sees them.

use std::ffi::{CString, c_char};
use std::ptr;
use std::time::Instant;

use super::boundary::{guarded, write};
use crate::bytes::copied;
use crate::client::Pending;
use crate::error::Error;
use crate::http::Request;

/// A signed request that is ready to be sent.
///
/// Threads: one at a time. Life: from pusher_prepare() to pusher_request_free(), and it may outlive its client; one that a
/// transport is handed lives until the transport returns.
pub struct PusherRequest {
    method: CString,
    url: CString,
    headers: Vec<(CString, CString)>,
    /// With a NUL behind it.
    body: Vec<u8>,
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
        let url = format!("{}{}", request.origin.url(), request.target);
        let mut body = copied(request.body.unwrap_or_default())?;
        body.push(0);
        Ok(PusherRequest {
            method: c_text(request.method.name()),
            url: c_text(&url),
            headers: request.headers.iter().map(|(name, value)| (c_text(name), c_text(value))).collect(),
            body,
            deadline,
            pending,
        })
    }
}

/// A text of ours, none of which holds a NUL.
fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// The method, `"POST"` or `"GET"`.
///
/// @return a text that lives as long as the request; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_method(request: *const PusherRequest) -> *const c_char {
    // SAFETY: as the caller of this function promises.
    unsafe { request.as_ref() }.map_or(ptr::null(), |request| request.method.as_ptr())
}

/// The whole URL. It holds the signature: do not log it.
///
/// @return a text that lives as long as the request; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_url(request: *const PusherRequest) -> *const c_char {
    // SAFETY: as the caller of this function promises.
    unsafe { request.as_ref() }.map_or(ptr::null(), |request| request.url.as_ptr())
}

/// How many headers there are. `Host` and `Content-Length` are not among them: HTTP clients set them.
///
/// @return their number; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_header_count(request: *const PusherRequest) -> usize {
    // SAFETY: as the caller of this function promises.
    unsafe { request.as_ref() }.map_or(0, |request| request.headers.len())
}

/// A header.
///
/// @param request  the request.
/// @param index    from 0 to pusher_request_header_count() - 1.
/// @param name     where its name goes, in lower case; lives as long as the request. May be NULL.
/// @param value    where its value goes; lives as long as the request. May be NULL.
/// @return 1, or 0 past the end, and then both are NULL.
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

/// The body, exactly as it was signed. A NUL follows it.
///
/// @param request  the request.
/// @param len      where its length in bytes goes, without the NUL. May be NULL.
/// @return bytes that live as long as the request, an empty text for a GET; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_body(request: *const PusherRequest, len: *mut usize) -> *const u8 {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        let request = request.as_ref();
        write(len, request.map_or(0, |request| request.body.len().saturating_sub(1)));
        request.map_or(ptr::null(), |request| request.body.as_ptr())
    }
}

/// What is left of the call's time.
///
/// @return milliseconds; 0 when the time is up: do not send then. (To libcurl a timeout of 0 would be none.)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_timeout_ms(request: *const PusherRequest) -> u32 {
    // SAFETY: as the caller of this function promises.
    let Some(request) = (unsafe { request.as_ref() }) else { return 0 };
    let left = request.deadline.saturating_duration_since(Instant::now());
    u32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u32::MAX)
}

/// Frees a request that came from pusher_prepare().
///
/// @param request  NULL is fine. Never one that a transport was handed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_request_free(request: *mut PusherRequest) {
    if !request.is_null() {
        // SAFETY: it came out of a Box in `pusher_prepare`, and the caller gives it back for good.
        let request = unsafe { Box::from_raw(request) };
        guarded((), || drop(request));
    }
}
