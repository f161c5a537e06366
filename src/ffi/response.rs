//! Responses: what transports and event loops report.

use std::ffi::c_char;

use super::boundary::{array, guarded, lenient_text, text, write};
use crate::bytes::copied;
use crate::http::{Cause, Fed, ResponseBuilder};
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

/// Passes bytes of the server's response on as they were received, in pieces of any size, for
/// programs with sockets of their own. The library reads them as it reads its own connections:
/// interim responses, chunks, and bodies that end with the connection.
///
/// Feed what arrives until the response is whole, then call pusher_finish() and close the
/// connection. If it is never whole, pusher_finish() reports what is true of a request that was
/// sent: the status decides if its line was fed, else delivery is unknown. If the request was not
/// sent whole, or the response did not come in time, call pusher_response_fail() first.
///
/// The head of a response may have 16 KiB and 64 headers, its body 1 MiB: for more, use
/// pusher_response_set(), which replaces what was fed. Of an error response, up to 64 KiB of the
/// body are read. Once the response is whole or broken, or was set, further calls return the same
/// and use nothing.
///
/// @param response  the response.
/// @param bytes     bytes from the server; after TLS, decrypted. May be NULL if `len` is 0.
/// @param len       number of `bytes`. 0 is the end of the input: the server closed the
///                  connection.
/// @param used      receives how many of the bytes belong to the response: all of them, unless
///                  it is whole and more follows. May be NULL.
/// @return 1 if the response is whole; 0 if more is to come; -1 if it is not HTTP, breaks a limit or
///         ends too early, or if `response` is NULL, or `bytes` is NULL and `len` is not 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_response_feed(
    response: *mut PusherResponse,
    bytes: *const u8,
    len: usize,
    used: *mut usize,
) -> i32 {
    // SAFETY: each pointer is as the caller of this function promises; `bytes` has `len` bytes.
    unsafe {
        write(used, 0);
        let (Some(response), Ok(bytes)) = (response.as_mut(), array(bytes, len, "bytes")) else { return -1 };
        let (fed, length) = guarded((Fed::Broken, 0), || response.0.feed(bytes));
        write(used, length);
        match fed {
            Fed::Whole => 1,
            Fed::More => 0,
            Fed::Broken => -1,
        }
    }
}

/// Reports that a request failed. After pusher_response_set(), or pusher_response_feed() with a
/// whole response, reports that the response was truncated, or came before the request's last byte
/// was sent: a success is then no longer certain.
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
