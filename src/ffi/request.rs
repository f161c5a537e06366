//! Requests and responses as C sees them: for event loops that send by themselves, and for transports.

use std::ffi::{CString, c_char};
use std::ptr;
use std::time::Instant;

use super::boundary::{
    NO_DOCUMENT, array, boundary, guarded, handle, handle_mut, lenient_text, optional_text, text, write,
};
use crate::client::{Endpoint, Prepared, Pusher, Ticket};
use crate::error::{Delivery, Error, Problem, Purpose, Status, copied};
use crate::http::{Cause, Failure, Progress, Request, Response};

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
    ticket: Option<Ticket>,
}

impl PusherRequest {
    pub(super) fn new(
        request: &Request<'_>,
        deadline: Instant,
        ticket: Option<Ticket>,
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
            ticket,
        })
    }
}

/// A text with the queries of our URLs taken out of it.
fn without_query(text: &str) -> String {
    let mut pieces = text.split("auth_key=");
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '>' | ')')).unwrap_or(piece.len());
        result.push('…');
        result.push_str(&piece[end..]);
    }
    result
}

/// A text of ours, none of which holds a NUL.
fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// What came of a request.
///
/// Threads: one at a time. Life: from pusher_response_new() to pusher_response_free(); one that a transport is handed lives
/// until the transport returns.
#[derive(Default)]
pub struct PusherResponse {
    answer: Option<(i32, Vec<u8>)>,
    failure: Option<Failure>,
    retry_after: Option<String>,
    date: Option<String>,
    /// Whether the answer said how long its body is.
    has_length: bool,
}

impl PusherResponse {
    /// The exchange that was told, with `body` in place of its own copy.
    fn exchange(&self, body: impl FnOnce() -> Vec<u8>) -> Result<Response, Failure> {
        let unknown = |cause, message: &str| Failure { progress: Progress::Sent, cause, message: message.to_owned() };
        let status = self.answer.as_ref().map(|(status, _)| u16::try_from(*status).unwrap_or_default());
        // An interim answer is none.
        let status = status.map(|status| Some(status).filter(|status| (200..600).contains(status)));
        match (status, &self.failure, &self.answer) {
            (Some(None), ..) => {
                Err(unknown(Cause::Malformed, "the transport set a status that is not from 200 to 599"))
            }
            (Some(Some(status)), Some(failure), _) => {
                Err(Failure { progress: Progress::Answered(status), ..failure.clone() })
            }
            (None, Some(failure), _) => Err(failure.clone()),
            (Some(Some(status)), None, Some(_)) => Ok(Response {
                status,
                body: body(),
                has_length: self.has_length || status == 204,
                request_was_sent: true,
                retry_after: self.retry_after.clone(),
                date: self.date.clone(),
            }),
            (_, None, _) => Err(unknown(Cause::Transport, "the transport set no answer")),
        }
    }

    /// The exchange that was told, by a transport that has returned.
    pub(super) fn into_exchange(mut self) -> Result<Response, Failure> {
        let body = self.answer.as_mut().map(|(_, body)| std::mem::take(body)).unwrap_or_default();
        self.exchange(|| body)
    }
}

/// Signs a call without sending it, for event loops and HTTP clients of your own.
///
/// Send it as ::PusherSendFn says, and give the answer to pusher_finish(). To try again, prepare again: each attempt is signed
/// anew.
///
/// @param client     the client.
/// @param call       a function's name without `pusher_`, such as `"trigger"`: one that makes a network call.
/// @param arguments  that function's texts in its order, without the handle and `out`; NULL where one is omitted.
/// @param count      how many there are; those missing at the end are omitted.
/// @param request    where the request goes; NULL on failure. The caller frees it with pusher_request_free().
/// @param out        on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or what the function itself would return before it sends anything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_prepare(
    client: *const Pusher,
    call: *const c_char,
    arguments: *const *const c_char,
    count: usize,
    request: *mut *mut PusherRequest,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises; `arguments` has `count` texts.
    unsafe {
        write(request, ptr::null_mut());
        let endpoint = lenient_text(call).and_then(|name| Endpoint::from_name(&name));
        boundary(out, endpoint.map_or(Purpose::Other, Endpoint::purpose), || {
            handle(request, "request")?;
            let client = handle(client, "client")?;
            text(call, "call")?;
            let endpoint =
                endpoint.ok_or_else(|| Error::argument("call", "is no function that makes a network call"))?;
            let pointers = array(arguments, count, "arguments")?;
            let texts =
                pointers.iter().enumerate().map(|(index, one)| optional_text(*one, &format!("arguments[{index}]")));
            let texts = texts.collect::<Result<Vec<_>, _>>()?;
            let owned = |ready: Prepared<'_>| PusherRequest::new(&ready.request, ready.deadline, Some(ready.ticket));
            let prepared = client.prepare(endpoint, &texts, owned)?;
            write(request, Box::into_raw(Box::new(prepared)));
            Ok(NO_DOCUMENT)
        })
    }
}

/// Tells what came of a prepared request, as the call itself would have.
///
/// @param client    the client that prepared it, or another with the same configuration.
/// @param request   the request; it can be finished once, and is still to be freed.
/// @param response  what came of it; still to be freed.
/// @param out       the result or the error document; the caller frees it with pusher_string_free(). May be NULL.
/// @return the call's status; ::PUSHER_STATUS_INVALID_STATE if the request was finished before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_finish(
    client: *const Pusher,
    request: *mut PusherRequest,
    response: *const PusherResponse,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        let purpose =
            request.as_ref().and_then(|request| request.ticket.as_ref()).map_or(Purpose::Other, Ticket::purpose);
        boundary(out, purpose, || {
            let client = handle(client, "client")?;
            let response = handle(response, "response")?;
            let ticket = handle_mut(request, "request")?.ticket.take();
            let ticket = ticket.ok_or_else(|| Error::State(Problem::new("request", "was finished before")))?;
            let body = copied(response.answer.as_ref().map_or(&[], |(_, body)| body))?;
            client.finish(&ticket, response.exchange(|| body)).map(Some)
        })
    }
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

/// A response for pusher_finish(), with nothing set yet. A transport is handed one.
///
/// @return a response; the caller frees it with pusher_response_free().
#[unsafe(no_mangle)]
pub extern "C" fn pusher_response_new() -> *mut PusherResponse {
    Box::into_raw(Box::default())
}

/// Sets the answer: the server's status, from 200 to 599, and its whole body, decoded from its transfer coding. The last call on
/// a response counts.
///
/// @param response     the response; NULL is ignored.
/// @param http_status  the status.
/// @param body         the body, copied; may be NULL if `body_len` is 0.
/// @param body_len     its length in bytes.
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
        match array(body, body_len, "body").and_then(copied) {
            Ok(body) => {
                response.answer = Some((http_status, body));
                response.failure = None;
            }
            Err(error) => {
                response.answer = Some((http_status, Vec::new()));
                response.failure =
                    Some(Failure { progress: Progress::Sent, cause: Cause::Malformed, message: error.to_string() });
            }
        }
    }
}

/// Sets a header of the answer. Give all that came; these count: `Retry-After`, `Date` (which tells when the clock here is wrong), and
/// `Content-Length` or `Transfer-Encoding`, without which an empty body may as well be one that was cut.
///
/// @param response  the response; NULL is ignored.
/// @param name      the header's name, in any case. NULL or what is not UTF-8 is ignored, here and in `value`.
/// @param value     its value, copied.
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
        guarded((), || match name.to_ascii_lowercase().as_str() {
            "retry-after" => response.retry_after = Some(value.to_owned()),
            "date" => response.date = Some(value.to_owned()),
            "content-length" | "transfer-encoding" => response.has_length = true,
            _ => {}
        });
    }
}

/// Says that the request failed. After an answer was set it means that the answer was cut.
///
/// @param response  the response; NULL is ignored.
/// @param delivery  ::PUSHER_DELIVERY_NOT_SENT if the request's last byte certainly never left;
///                  ::PUSHER_DELIVERY_UNKNOWN, as anything else, if it may have.
/// @param cause     one of `dns connect tls proxy write timeout reset closed malformed transport`; anything else, and NULL, is
///                  `transport`, after which nothing is `retryable`.
/// @param message   a sentence for people, or NULL; copied. A signed URL in it is taken out.
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
            let cause = text(cause, "cause").ok().and_then(Cause::from_name).unwrap_or(Cause::Transport);
            let message = lenient_text(message).unwrap_or_else(|| "the transport failed".into());
            let progress = if delivery == Delivery::NotSent as i32 { Progress::NotSent } else { Progress::Sent };
            // An address in it is signed, and as good as the secret until it is too old.
            response.failure = Some(Failure { progress, cause, message: without_query(&message) });
        });
    }
}

/// Frees a response that came from pusher_response_new().
///
/// @param response  NULL is fine. Never one that a transport was handed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_response_free(response: *mut PusherResponse) {
    if !response.is_null() {
        // SAFETY: it came out of a Box in `pusher_response_new`, and the caller gives it back for good.
        let response = unsafe { Box::from_raw(response) };
        guarded((), || drop(response));
    }
}
