//! Calls that the library signs and interprets, and the caller sends.

use std::ffi::c_char;
use std::ptr;

use super::boundary::{array, boundary, handle, handle_mut, optional_text, out_place, text, write};
use super::request::PusherRequest;
use super::response::PusherResponse;
use crate::bytes::{copied, push};
use crate::client::{Endpoint, Pending, Prepared, Pusher};
use crate::error::{Error, Problem, Purpose};
use crate::status::Status;

/// Signs a call without sending it, for event loops and other HTTP clients.
///
/// Send the request by the rules of ::PusherSendFn, and pass the response to pusher_finish().
/// To retry, prepare the call again: each attempt needs a new signature. The call's
/// `timeout_ms` begins here.
///
/// @param client     the client.
/// @param call       the name of a function that makes a network call, without `pusher_`, such
///                   as `"trigger"`.
/// @param arguments  the string arguments of that function in its order, without `client` and
///                   `out`; NULL for one that is left out.
/// @param count      number of `arguments`; missing ones at the end are left out.
/// @param request    receives the request, or NULL on failure. The caller frees it with
///                   pusher_request_free().
/// @param out        receives the error document on failure, else NULL. The caller frees it
///                   with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or the status that the function itself would return before it
///         sends anything; ::PUSHER_STATUS_INVALID_ARGUMENT for a fan-out that needs more than one
///         request.
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
        let endpoint = text(call, "call").and_then(Endpoint::from_name);
        boundary(out, endpoint.as_ref().map_or(Purpose::Other, |endpoint| endpoint.purpose()), || {
            out_place(request, "request")?;
            let client = handle(client, "client")?;
            let endpoint = endpoint?;
            let mut values = Vec::new();
            for (index, pointer) in array(arguments, count, "arguments")?.iter().enumerate() {
                push(&mut values, optional_text(*pointer, endpoint.parameter(index))?)?;
            }
            let owned = |ready: Prepared<'_>| {
                PusherRequest::new(&ready.request, ready.pending.deadline.at, Some(ready.pending))
            };
            let prepared = client.prepare(endpoint, &values, owned)?;
            write(request, Box::into_raw(Box::new(prepared)));
            Ok(())
        })
    }
}

/// Returns the result of a prepared request, as the call itself would have returned it.
///
/// @param client    the client that prepared the request, or another with the same
///                  configuration.
/// @param request   the request. It can be finished once, and must still be freed.
/// @param response  the response. It must still be freed.
/// @param out       receives the result, or the error document on failure. The caller frees it
///                  with pusher_string_free(). May be NULL.
/// @return the status of the call; ::PUSHER_STATUS_INVALID_STATE if the request was finished
///         before; ::PUSHER_STATUS_INVALID_ARGUMENT if a handle is NULL.
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
            let body = copied(response.0.body())?;
            client.finish(&pending, response.0.exchange(body))
        })
    }
}
