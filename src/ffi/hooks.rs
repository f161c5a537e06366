//! What a caller can hang into a client: a transport, and a log.

use std::ffi::{CString, c_char, c_void};
use std::time::Instant;

use super::boundary::{NO_DOCUMENT, boundary, handle};
use super::request::PusherRequest;
use super::response::PusherResponse;
use crate::client::Pusher;
use crate::error::{Error, Purpose};
use crate::http::{Cause, Failure, Progress, Request, Response, Transport};
use crate::log::{Level, Log};
use crate::status::Status;

/// Sends a request and sets the answer, or says that it failed; neither counts as unknown.
///
/// What is told of delivery is only as true as what it does:
/// - It sends method, URL, headers and body as they are, byte for byte, and once. Many HTTP clients repeat a request by themselves
///   when a kept-alive connection turns out dead: turn that off.
/// - It follows no redirect: that would turn an event that is lost into one that is reported as delivered.
/// - It gives the whole answer with pusher_response_set() and its headers with pusher_response_set_header(); where the answer was cut
///   it calls pusher_response_fail() after that.
/// - It says ::PUSHER_DELIVERY_NOT_SENT only if the last byte certainly never left.
/// - It keeps to pusher_request_timeout_ms(), and verifies certificates. The configuration's `proxy`, `ca_file`, `tls_roots`,
///   `connect_timeout_ms` and pool do not reach it.
///
/// It runs on the thread that makes the call, several at once. It may not throw, longjmp, free the client, or keep its arguments.
pub type PusherSendFn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, request: *const PusherRequest, response: *mut PusherResponse)>;

/// Takes what is logged: a ::PusherLogLevel, a sentence, and a JSON object with what it speaks of. Never a secret, a signature
/// or a payload.
///
/// It runs on the thread that makes the call, several at once. It may not throw, longjmp, use or free the client, or keep its
/// arguments.
pub type PusherLogFn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, level: i32, message: *const c_char, fields: *const c_char)>;

/// Releases `user_data`. It is called exactly once: when the client is freed, or at once if the setter fails. (A forked child that
/// frees its copy of the client releases its copy of the data.)
pub type PusherDropFn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// What a hook was given to work with.
struct UserData {
    pointer: *mut c_void,
    drop: PusherDropFn,
}

// SAFETY: hooks are documented to be called on any thread, several at once; the pointer is only handed back to them.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(release) = self.drop {
            // SAFETY: the caller gave the two for each other, and this is the one time.
            unsafe { release(self.pointer) };
        }
    }
}

struct HookTransport {
    send: unsafe extern "C" fn(*mut c_void, *const PusherRequest, *mut PusherResponse),
    user_data: UserData,
}

impl Transport for HookTransport {
    fn send(&self, request: &Request<'_>, deadline: Instant) -> Result<Response, Failure> {
        let request = PusherRequest::new(request, deadline, None).map_err(|error| Failure {
            progress: Progress::NotSent,
            cause: Cause::Transport,
            message: error.to_string(),
        })?;
        let mut response = PusherResponse::default();
        // SAFETY: both live until the callback returns, and the caller vouches for callback and data.
        unsafe { (self.send)(self.user_data.pointer, &request, &mut response) };
        response.into_exchange()
    }
}

struct HookLog {
    log: unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char),
    user_data: UserData,
}

impl Log for HookLog {
    fn log(&self, level: Level, message: &str, fields: &str) {
        let text = |text: &str| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default();
        let (message, fields) = (text(message), text(fields));
        // SAFETY: both texts live until the callback returns, and the caller vouches for callback and data.
        unsafe { (self.log)(self.user_data.pointer, level as i32, message.as_ptr(), fields.as_ptr()) };
    }
}

/// Lets the client send by a function of yours: an HTTP client that you have already, another proxy, a test.
///
/// It replaces the sending only: signing, retries, classification and limits stay in the library. Once, before the first call, and while no
/// other thread uses the client.
///
/// @param client     the client.
/// @param send       called for each request.
/// @param user_data  handed to `send`; used by several threads at once if the client is.
/// @param drop       releases `user_data`, exactly once; may be NULL.
/// @param out        on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_INVALID_STATE if a call was made or a transport set before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_set_transport(
    client: *mut Pusher,
    send: PusherSendFn,
    user_data: *mut c_void,
    drop: PusherDropFn,
    out: *mut *mut c_char,
) -> Status {
    // From here on the data is released, whatever comes.
    let user_data = UserData { pointer: user_data, drop };
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Other, || {
            let send = send.ok_or_else(|| Error::argument("send", "must not be NULL"))?;
            handle(client, "client")?.set_transport(Box::new(HookTransport { send, user_data }))?;
            Ok(NO_DOCUMENT)
        })
    }
}

/// Tells a function of yours what the client does, as far as `log_level` in its configuration says. Once, before the first call, and
/// while no other thread uses the client.
///
/// @param client     the client.
/// @param log        called for each message.
/// @param user_data  handed to `log`; used by several threads at once if the client is.
/// @param drop       releases `user_data`, exactly once; may be NULL.
/// @param out        on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_INVALID_STATE if a call was made or a log set before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_set_log(
    client: *mut Pusher,
    log: PusherLogFn,
    user_data: *mut c_void,
    drop: PusherDropFn,
    out: *mut *mut c_char,
) -> Status {
    // From here on the data is released, whatever comes.
    let user_data = UserData { pointer: user_data, drop };
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Other, || {
            let log = log.ok_or_else(|| Error::argument("log", "must not be NULL"))?;
            handle(client, "client")?.set_log(Box::new(HookLog { log, user_data }))?;
            Ok(NO_DOCUMENT)
        })
    }
}
