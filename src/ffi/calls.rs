//! The ten network calls.

use std::ffi::c_char;

use super::boundary::call;
use crate::client::{Endpoint, Pusher};
use crate::status::Status;

/// Publishes an event on one or more channels, and waits for the server's response.
///
/// A server that refuses an event for several channels (with 400, 413 or 422, say) may have
/// delivered it to some of them: delivery is then ::PUSHER_DELIVERY_UNKNOWN.
///
/// **Fan-out.** With the option `fan_out`, `true`, an event may have up to 10,000 channels,
/// encrypted ones among them, and none of them twice. It takes as many requests as needed, one
/// after another in the order of the channels, within one `timeout_ms`: each encrypted channel
/// has its own, and `max_channels` others share one. Each request has its own signature and
/// retries. If they all end alike, so does the call, and `info` returns the attributes of all
/// channels. Otherwise it returns ::PUSHER_STATUS_PARTIAL, and `parts` in the error document is an
/// array with the `channels`, `status` and `delivery` of each request, and its `cause` and
/// `http_status` if it has any. A failed request does not stop those after it, with two
/// exceptions: none begins after the deadline, and none after a failure that all would share
/// (`UNAUTHORIZED`, `FORBIDDEN`, `NOT_FOUND`, `REDIRECTED`, or `NOT_SENT` that is not
/// `retryable`). A request that was not begun is `NOT_SENT`; if none before it was or may have
/// been delivered, the call has the result of the failure.
///
/// @param client    the client.
/// @param channels  one channel name, or a JSON array of 1 to 100 of them. A name has 1 to 200
///                  of the characters `A-Z a-z 0-9 _ - = @ , . ;`. An event on a
///                  `private-encrypted-` channel is encrypted first, and cannot be combined
///                  with other channels, except with the option `fan_out`.
/// @param event     the event's name, 1 to 200 characters.
/// @param data      the payload: JSON, at most 10,240 bytes (7,619 on an encrypted channel). A
///                  plain string needs quotes, such as `"hello"`. If the payload is a JSON
///                  string, its content is sent; any other value is sent as it is written, byte
///                  for byte.
/// @param options   a JSON object, or NULL: `socket_id` (the connection that does not get the
///                  event), `info` (channel attributes to return, such as
///                  `"user_count,subscription_count"`), `idempotency_key` (1 to 128 visible
///                  ASCII characters; never use a key for another body: see pusher_new()),
///                  `extra` (an object: more members of the event, which only some servers
///                  know), `extra_in_clear` (`true` sends these to an encrypted channel, too,
///                  where they are not encrypted), `headers` (an object of strings, to add to
///                  those of the client), `timeout_ms` (in place of the client's), `fan_out`
///                  (see above).
/// @param out       receives the server's response (`{}` if it is empty), or the error document
///                  on failure. The caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK if the event was delivered to the API. After any other status,
///         ask pusher_error_delivery() what happened to the event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_trigger(
    client: *const Pusher,
    channels: *const c_char,
    event: *const c_char,
    data: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::Trigger, [channels, event, data, options], out) }
}

/// Publishes several events in one request, and waits for the server's response.
///
/// A batch is not atomic: a server that refuses one of its events (with 400, 413 or 422, say)
/// may have delivered those before it. Delivery is then ::PUSHER_DELIVERY_UNKNOWN for the whole
/// batch.
///
/// Some servers have no route for batches: they answer 404 or 405, and nothing is delivered. If
/// `batch_route` is false in the configuration, nothing is sent.
///
/// @param client   the client.
/// @param events   a JSON array of 1 to 10 objects with the members `channel`, `name` and
///                 `data`, and optionally `socket_id`, `info`, `extra` and
///                 `extra_in_clear`, as for pusher_trigger(). `data` is any JSON value.
/// @param options  a JSON object, or NULL: `idempotency_key` (of the whole batch), `timeout_ms`,
///                 `headers`.
/// @param out      receives the server's response, or the error document on failure, whose
///                 `argument` names the event at fault, such as `events[3].channel`. The caller
///                 frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK if all events were delivered to the API. After any other status,
///         ask pusher_error_delivery() what happened to them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_trigger_batch(
    client: *const Pusher,
    events: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::TriggerBatch, [events, options], out) }
}

/// Publishes an event to all connections of a user who has signed in
/// (pusher_authenticate_user()).
///
/// @param client   the client.
/// @param user_id  the user's id, 1 to 200 of the characters that channel names have.
/// @param event    the event's name, 1 to 200 characters.
/// @param data     the payload, as for pusher_trigger().
/// @param options  as for pusher_trigger().
/// @param out      receives the server's response, or the error document on failure. The caller
///                 frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK if the event was delivered to the API. After any other status,
///         ask pusher_error_delivery() what happened to the event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_send_to_user(
    client: *const Pusher,
    user_id: *const c_char,
    event: *const c_char,
    data: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::SendToUser, [user_id, event, data, options], out) }
}

/// Closes all connections of a user who has signed in.
///
/// @param client   the client.
/// @param user_id  the user's id, as for pusher_send_to_user().
/// @param options  a JSON object, or NULL: `timeout_ms`, `headers`.
/// @param out      receives the server's response, or the error document on failure. The caller
///                 frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK if the server accepted the request. After any other status, ask
///         pusher_error_delivery() whether the connections may have been closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_terminate_user_connections(
    client: *const Pusher,
    user_id: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::TerminateUserConnections, [user_id, options], out) }
}

/// Lists the channels that have subscribers.
///
/// @param client         the client.
/// @param prefix_filter  only channels whose names begin with this, such as `"presence-"`; NULL
///                       or an empty string for all.
/// @param attributes     comma-separated attributes to return for each channel, such as
///                       `"user_count"` (which needs a `presence-` filter); or NULL.
/// @param options        a JSON object, or NULL: `timeout_ms`, `headers`.
/// @param out            receives the response, `{"channels":{NAME:{...}}}`, or the error
///                       document on failure. The caller frees it with pusher_string_free().
///                       May be NULL.
/// @return ::PUSHER_STATUS_OK, or the status of the failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_channels_info(
    client: *const Pusher,
    prefix_filter: *const c_char,
    attributes: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::ChannelsInfo, [prefix_filter, attributes, options], out) }
}

/// Returns the state of one channel.
///
/// @param client      the client.
/// @param channel     the channel's name.
/// @param attributes  comma-separated attributes to return, such as
///                    `"user_count,subscription_count,cache"`; or NULL.
/// @param options     a JSON object, or NULL: `timeout_ms`, `headers`.
/// @param out         receives the response, `{"occupied":true,...}`, or the error document on
///                    failure. The caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or the status of the failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_channel_info(
    client: *const Pusher,
    channel: *const c_char,
    attributes: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::ChannelInfo, [channel, attributes, options], out) }
}

/// Lists the users on a presence channel.
///
/// @param client   the client.
/// @param channel  the channel's name. Servers refuse one that does not begin with `presence-`.
/// @param options  a JSON object, or NULL: `params` (the query, as for pusher_get(), such as
///                 `{"with_user_info":1}` for soketi), `timeout_ms`, `headers`.
/// @param out      receives the response, `{"users":[{"id":...}]}`, or the error document on
///                 failure. The caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or the status of the failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_users_info(
    client: *const Pusher,
    channel: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::UsersInfo, [channel, options], out) }
}

/// Sends a GET request to any path of the API.
///
/// @param client   the client.
/// @param path     a path below `/apps/APP_ID`, such as `"/channels"`.
/// @param params   the query: a JSON object of strings, integers and booleans, with names of
///                 `a-z 0-9 _`; or NULL.
/// @param options  a JSON object, or NULL: `timeout_ms`, `headers`.
/// @param out      receives the response, or the error document on failure. The caller frees it
///                 with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or the status of the failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_get(
    client: *const Pusher,
    path: *const c_char,
    params: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::Get, [path, params, options], out) }
}

/// Sends a POST request to any path of the API.
///
/// The library does not know what the path does. A refusal with 400, 413 or 422 therefore
/// counts as ::PUSHER_DELIVERY_UNKNOWN.
///
/// @param client   the client.
/// @param path     a path below `/apps/APP_ID`, such as `"/events"`.
/// @param params   the query, as for pusher_get(); or NULL.
/// @param body     the body: JSON, sent as it is; NULL for `{}`.
/// @param options  a JSON object, or NULL: `timeout_ms`, `headers`.
/// @param out      receives the response, or the error document on failure. The caller frees it
///                 with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK if the server accepted the request. After any other status, ask
///         pusher_error_delivery() what happened to it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_post(
    client: *const Pusher,
    path: *const c_char,
    params: *const c_char,
    body: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::Post, [path, params, body, options], out) }
}

/// Sends a DELETE request, without a body, to any path of the API.
///
/// The library does not know what the path does. A refusal with 400, 413 or 422 therefore
/// counts as ::PUSHER_DELIVERY_UNKNOWN, and a lost response is not retried in mode `"safe"`.
///
/// @param client   the client.
/// @param path     a path below `/apps/APP_ID`, of resources that your server can delete.
/// @param params   the query, as for pusher_get(); or NULL.
/// @param options  a JSON object, or NULL: `timeout_ms`, `headers`.
/// @param out      receives the response (`{}` if it is empty), or the error document on failure.
///                 The caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK if the server accepted the request. After any other status, ask
///         pusher_error_delivery() what happened to it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_delete(
    client: *const Pusher,
    path: *const c_char,
    params: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::Delete, [path, params, options], out) }
}
