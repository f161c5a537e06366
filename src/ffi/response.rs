//! Responses: what transports and event loops report.

use std::ffi::c_char;

use super::boundary::{array, guarded, lenient_text, text};
use crate::bytes::copied;
use crate::http::{Cause, ResponseBuilder};
use crate::status::Delivery;

/// The server's response to a request, or the reason why there is none.
///
/// Threads: only one thread may use it at a time.
/// Lifetime: from pusher_response_new() to pusher_response_free(). A response passed to a
/// ::PusherSendFn lives until that function returns.
#[derive(Default)]
pub struct PusherResponse(pub(super) ResponseBuilder);

/// Creates an empty response for pusher_finish(). A ::PusherSendFn gets one from the library
/// instead.
///
/// @return the response. The caller frees it with pusher_response_free().
#[unsafe(no_mangle)]
pub extern "C" fn pusher_response_new() -> *mut PusherResponse {
    Box::into_raw(Box::default())
}

/// Sets the server's response. Replaces whatever was set before.
///
/// @param response     the response. NULL is ignored.
/// @param http_status  the HTTP status, 200 to 599. Any other is reported as a malformed
///                     response.
/// @param body         the complete body, with its transfer coding removed; copied. May be NULL
///                     if `body_len` is 0.
/// @param body_len     length of `body` in bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_response_set(
    response: *mut PusherResponse,
    http_status: i32,
    body: *const u8,
    body_len: usize,
) {
    // SAFETY: each pointer is as the caller of this function promises; `body` has `body_len` bytes.
    unsafe {
        let Some(response) = response.as_mut() else { return };
        guarded((), || match array(body, body_len, "body").and_then(copied) {
            Ok(body) => response.0.set(http_status, body),
            Err(error) => {
                response.0.set(http_status, Vec::new());
                response.0.fail(true, Some(Cause::Malformed.name()), Some(&error.to_string()));
            }
        });
    }
}

/// Adds a header to a response. Pass all headers; the library uses `Retry-After`, `Date` (to
/// notice a wrong clock), the `X-RateLimit-` headers, and `Content-Length` or
/// `Transfer-Encoding`: without one of these, an empty body counts as truncated.
///
/// @param response  the response. NULL is ignored.
/// @param name      the header's name, in any case. The header is ignored if this is NULL or
///                  not UTF-8.
/// @param value     the header's value; copied. The header is ignored if this is NULL or not
///                  UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_response_set_header(
    response: *mut PusherResponse,
    name: *const c_char,
    value: *const c_char,
) {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        let (Some(response), Ok(name), Ok(value)) = (response.as_mut(), text(name, "name"), text(value, "value"))
        else {
            return;
        };
        guarded((), || response.0.set_header(name, value));
    }
}

/// Reports that a request failed. After pusher_response_set(), reports that the response was
/// truncated.
///
/// @param response  the response. NULL is ignored.
/// @param delivery  ::PUSHER_DELIVERY_NOT_SENT if the request's last byte was certainly not
///                  sent; ::PUSHER_DELIVERY_UNKNOWN if it may have been. Any other value counts
///                  as unknown.
/// @param cause     one of `dns connect tls proxy write timeout reset closed malformed cancelled
///                  transport`. NULL and any other string count as `transport`. A request that
///                  was not sent is retryable after `dns connect write timeout reset closed`.
/// @param message   a message for people, or NULL; copied. Signatures in it are redacted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_response_fail(
    response: *mut PusherResponse,
    delivery: i32,
    cause: *const c_char,
    message: *const c_char,
) {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        let Some(response) = response.as_mut() else { return };
        guarded((), || {
            let was_sent = delivery != Delivery::NotSent as i32;
            response.0.fail(was_sent, text(cause, "cause").ok(), lenient_text(message).ok().flatten().as_deref());
        });
    }
}

/// Frees a response that pusher_response_new() created.
///
/// @param response  the response, but never one passed to a ::PusherSendFn. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_response_free(response: *mut PusherResponse) {
    if !response.is_null() {
        // SAFETY: `pusher_response_new` made it from a Box, and the caller gives up ownership.
        let response = unsafe { Box::from_raw(response) };
        guarded((), || drop(response));
    }
}
