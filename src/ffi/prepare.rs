//! Calls that are signed here and sent by the caller.

use std::ffi::c_char;
use std::ptr;

use super::boundary::{NO_DOCUMENT, array, boundary, handle, handle_mut, lenient_text, optional_text, text, write};
use super::request::PusherRequest;
use super::response::PusherResponse;
use crate::bytes::copied;
use crate::client::{Endpoint, Pending, Prepared, Pusher};
use crate::error::{Error, Problem, Purpose};
use crate::status::Status;

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
            let owned = |ready: Prepared<'_>| PusherRequest::new(&ready.request, ready.deadline, Some(ready.pending));
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
            request.as_ref().and_then(|request| request.pending.as_ref()).map_or(Purpose::Other, Pending::purpose);
        boundary(out, purpose, || {
            let client = handle(client, "client")?;
            let response = handle(response, "response")?;
            let pending = handle_mut(request, "request")?.pending.take();
            let pending = pending.ok_or_else(|| Error::State(Problem::new("request", "was finished before")))?;
            let body = copied(response.answer.as_ref().map_or(&[], |(_, body)| body))?;
            client.finish(&pending, response.exchange(|| body)).map(Some)
        })
    }
}
