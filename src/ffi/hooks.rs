//! The callbacks of a client: a transport, a log and an observer.

use std::ffi::{c_char, c_void};

use super::boundary::{boundary, c_text, handle};
use super::request::PusherRequest;
use super::response::PusherResponse;
use crate::client::Pusher;
use crate::error::{Error, Purpose};
use crate::http::{Cause, Failure, Limit, Progress, Request, Response, Transport};
use crate::log::{Level, Log};
use crate::observer::{Observation, Observer};
use crate::status::Status;

/// Sends the request, then calls pusher_response_set() or pusher_response_fail(). If it calls
/// neither, delivery is reported as unknown.
///
/// What the library reports about delivery is only as accurate as this function:
/// - Send the method, URL, headers and body unchanged, byte for byte, and once. Many HTTP
///   clients retry by themselves when a reused connection turns out to be closed: turn that
///   off.
/// - Do not follow redirects: a lost event would be reported as delivered.
/// - Pass the complete body to pusher_response_set(), and all headers to
///   pusher_response_set_header(). If the response was truncated, call pusher_response_fail()
///   after that.
/// - Report ::PUSHER_DELIVERY_NOT_SENT only if the request's last byte was certainly not sent.
/// - Return within pusher_request_timeout_ms(), and verify certificates. The configuration
///   of connections does not apply: `connect_timeout_ms`, `proxy`, `unix_socket`, the keys of
///   certificates and those of idle connections.
///
/// Called on the calling thread, possibly from several threads at once. A publisher calls it on
/// its own threads (`hooks_on_threads`). It must not throw, call longjmp(), free the client or
/// keep `request` or `response` after it returns.
///
/// @param user_data  the pointer given to pusher_set_transport().
/// @param request    the request to send.
/// @param response   the response to fill in.
pub type PusherSendFn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, request: *const PusherRequest, response: *mut PusherResponse)>;

/// Receives a log message. It never contains a secret, a signature or a payload.
///
/// Called on the calling thread, possibly from several threads at once. A publisher calls it on
/// its own threads (`hooks_on_threads`). It must not throw, call longjmp(), use or free the
/// client, or keep its arguments after it returns.
///
/// @param user_data  the pointer given to pusher_set_log().
/// @param level      a ::PusherLogLevel.
/// @param message    a message for people.
/// @param fields     a JSON object: `call` (the function without `pusher_`), and where they
///                   apply `duration_us`, `status`, `delivery`, `cause`, `http_status`,
///                   `attempts`, `wait_ms` (before a retry) and `clock_offset_s`. Later
///                   versions may add members.
pub type PusherLogFn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, level: i32, message: *const c_char, fields: *const c_char)>;

/// Receives an observation: the start or the end of a call or of one of its attempts.
///
/// A call is a function that makes a network call, or a request of a publisher with its retries.
/// Each start has one end with the same `call_id`. The attempts of a call are between them, one
/// after the other. pusher_prepare() and pusher_finish() are not observed: their caller sends.
///
/// Called on the thread that makes the call, possibly from several threads at once. The requests of
/// a publisher are observed on its own threads, and only with `hooks_on_threads`. The callback must
/// not throw, call longjmp(), use or free the client, or keep its arguments after it returns. The
/// call waits for it, so let it be short.
///
/// `fields` has these members where they apply. Times are integers in microseconds and begin at
/// the start, unless they say otherwise. Later versions may add members.
///
/// | member            | of            | meaning                                            |
/// |-------------------|---------------|----------------------------------------------------|
/// | `call`            | all           | the function without `pusher_`, such as `trigger`  |
/// | `events`          | call start    | number of events, if a publisher sends them        |
/// | `part`            | attempts      | number of the request in a fan-out, from 1         |
/// | `attempt`         | attempts      | number of the attempt of a request, from 1         |
/// | `method`, `path`  | attempt start | of the request, without the query                  |
/// | `retry_cause`     | attempt start | failure before: see `retries` at pusher_stats()    |
/// | `duration_us`     | ends          | the time from the start                            |
/// | `pool_us`         | attempt end   | waiting for an idle connection                     |
/// | `lookup_us`       | attempt end   | looking up the host name                           |
/// | `connect_us`      | attempt end   | connecting                                         |
/// | `proxy_us`        | attempt end   | opening a tunnel through the proxy                 |
/// | `tls_us`          | attempt end   | the TLS handshake                                  |
/// | `write_us`        | attempt end   | handing the request to the system                  |
/// | `wait_us`         | attempt end   | waiting for the first bytes of the response        |
/// | `read_us`         | attempt end   | reading the response, and checking it              |
/// | `reused`          | attempt end   | whether the connection had been used before        |
/// | `sent_bytes`      | attempt end   | bytes of the request that were sent, without TLS   |
/// | `received_bytes`  | attempt end   | bytes of the response, without TLS                 |
/// | `http_status`     | attempt end   | status of the response                             |
/// | `attempts`        | call end      | number of attempts, those of all parts together    |
/// | `status`          | ends          | name of the ::PusherStatus, such as `NOT_SENT`     |
/// | `delivery`        | ends          | `delivered`, `not_sent`, `rejected` or `unknown`   |
/// | `cause`           | ends          | cause of a failure: see ::PusherStatus             |
/// | `retry_wait_us`   | attempt end   | time until the next attempt, if there will be one  |
///
/// An attempt through pusher_set_transport() has neither times of its phases nor bytes. A phase that
/// was not entered has no time: a reused connection has only the last three. `delivery` is that of a
/// call that publishes.
///
/// No member contains a secret, a signature, a query string, a payload or a header. `path` contains
/// the channel name of a query, and the user id of pusher_terminate_user_connections(): neither is a
/// secret to the library, but an id may be personal data. A path longer than 400 bytes is cut.
///
/// @param user_data  the pointer given to pusher_set_observer().
/// @param kind       a ::PusherObservation. Later versions may add kinds: ignore unknown ones.
/// @param call_id    the id of the call, unique in the client. (A forked child goes on from the
///                   ids of its parent.)
/// @param fields     a JSON object in ASCII.
pub type PusherObserveFn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, kind: i32, call_id: u64, fields: *const c_char)>;

/// Releases `user_data`. Called exactly once: when the client and its publishers are freed, or
/// at once if the setter fails. With `hooks_on_threads`, possibly on a thread of a publisher.
/// (A forked child that frees its copy of the client releases its copy of the data.)
///
/// @param user_data  the pointer given to pusher_set_transport(), pusher_set_log() or
///                   pusher_set_observer().
pub type PusherDropFn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// The user's pointer, and the callback that releases it.
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
            // SAFETY: the caller passed the pointer for this callback, which is called only here, once.
            unsafe { release(self.pointer) };
        }
    }
}

struct HookTransport {
    send: unsafe extern "C" fn(*mut c_void, *const PusherRequest, *mut PusherResponse),
    user_data: UserData,
}

impl Transport for HookTransport {
    fn send(&self, request: &Request<'_>, limit: Limit<'_>) -> Result<Response, Failure> {
        let request = PusherRequest::new(request, limit.at, None).map_err(|error| Failure {
            progress: Progress::NotSent,
            cause: Cause::Transport,
            message: error.to_string(),
        })?;
        let mut response = PusherResponse::default();
        // SAFETY: both live until the callback returns, and the caller vouches for callback and data.
        unsafe { (self.send)(self.user_data.pointer, &request, &mut response) };
        response.0.into_exchange()
    }
}

struct HookLog {
    log: unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char),
    user_data: UserData,
}

impl Log for HookLog {
    fn log(&self, level: Level, message: &str, fields: &str) {
        let (Ok(message), Ok(fields)) = (c_text(message), c_text(fields)) else { return };
        // SAFETY: both strings live until the callback returns, and the caller vouches for callback and data.
        unsafe { (self.log)(self.user_data.pointer, level as i32, message.as_ptr(), fields.as_ptr()) };
    }
}

struct HookObserver {
    observe: unsafe extern "C" fn(*mut c_void, i32, u64, *const c_char),
    user_data: UserData,
}

impl Observer for HookObserver {
    fn observe(&self, kind: Observation, call_id: u64, fields: &[u8]) {
        // It does; without it there would be no string for C.
        if fields.last() == Some(&0) {
            // SAFETY: a NUL ends the string, which lives until the callback returns, and the caller vouches for callback and data.
            unsafe { (self.observe)(self.user_data.pointer, kind as i32, call_id, fields.as_ptr().cast()) };
        }
    }
}

/// Makes the client send its requests through a callback: an HTTP client that you already have,
/// another kind of proxy, or a test.
///
/// It replaces only the sending: signing, retries, interpreting responses and limits stay in
/// the library. Call it at most once, before the client's first network call or publisher, and
/// while no other thread uses the client.
///
/// @param client     the client.
/// @param send       called for each attempt to send a request.
/// @param user_data  passed to `send`, which several threads may call at once.
/// @param drop       releases `user_data`, exactly once; may be NULL.
/// @param out        receives the error document on failure, else NULL. The caller frees it
///                   with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_STATE if it is too late or a transport
///         is set already, or ::PUSHER_STATUS_INVALID_ARGUMENT if `client` or `send` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_set_transport(
    client: *mut Pusher,
    send: PusherSendFn,
    user_data: *mut c_void,
    drop: PusherDropFn,
    out: *mut *mut c_char,
) -> Status {
    // From here on `drop` is called in any case.
    let user_data = UserData { pointer: user_data, drop };
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Other, || {
            let send = send.ok_or_else(|| Error::null("send"))?;
            handle(client, "client")?.set_transport(Box::new(HookTransport { send, user_data }))?;
            Ok(())
        })
    }
}

/// Makes the client log through a callback: the result of each call, retries and corrections of
/// the clock, as far as the configuration's `log_level` allows.
///
/// Call it at most once, before the client's first network call or publisher, and while no
/// other thread uses the client.
///
/// @param client     the client.
/// @param log        called for each message.
/// @param user_data  passed to `log`, which several threads may call at once.
/// @param drop       releases `user_data`, exactly once; may be NULL.
/// @param out        receives the error document on failure, else NULL. The caller frees it
///                   with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_STATE if it is too late or a log is set
///         already, or ::PUSHER_STATUS_INVALID_ARGUMENT if `client` or `log` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_set_log(
    client: *mut Pusher,
    log: PusherLogFn,
    user_data: *mut c_void,
    drop: PusherDropFn,
    out: *mut *mut c_char,
) -> Status {
    // From here on `drop` is called in any case.
    let user_data = UserData { pointer: user_data, drop };
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Other, || {
            let log = log.ok_or_else(|| Error::null("log"))?;
            handle(client, "client")?.set_log(Box::new(HookLog { log, user_data }))?;
            Ok(())
        })
    }
}

/// Makes the client report the start and the end of each call and each attempt to a callback, with
/// ids and times: for traces and metrics. A client without an observer does not read the clock for
/// them. To follow a call through your servers, give it a `traceparent` by the option `headers`.
///
/// Call it at most once, before the client's first network call or publisher, and while no
/// other thread uses the client.
///
/// @param client     the client.
/// @param observe    called for each observation.
/// @param user_data  passed to `observe`, which several threads may call at once.
/// @param drop       releases `user_data`, exactly once; may be NULL.
/// @param out        receives the error document on failure, else NULL. The caller frees it
///                   with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_STATE if it is too late or an observer is
///         set already, or ::PUSHER_STATUS_INVALID_ARGUMENT if `client` or `observe` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_set_observer(
    client: *mut Pusher,
    observe: PusherObserveFn,
    user_data: *mut c_void,
    drop: PusherDropFn,
    out: *mut *mut c_char,
) -> Status {
    // From here on `drop` is called in any case.
    let user_data = UserData { pointer: user_data, drop };
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Other, || {
            let observe = observe.ok_or_else(|| Error::null("observe"))?;
            handle(client, "client")?.set_observer(Box::new(HookObserver { observe, user_data }))?;
            Ok(())
        })
    }
}
