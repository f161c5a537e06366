//! The calls that ask, and the two that reach any path of the API.

use std::ffi::c_char;

use super::boundary::call;
use crate::client::{Endpoint, Pusher};
use crate::error::Status;

/// Asks for the channels that are occupied.
///
/// @param client         the client.
/// @param prefix_filter  only channels whose names begin so, such as `"presence-"`; or NULL for all.
/// @param attributes     what to answer with for each, `"user_count"` (with a `presence-` filter) and others with commas between
///                       them; or NULL.
/// @param options        a JSON object, or NULL: `timeout_ms`.
/// @param out            on success the answer, `{"channels":{NAME:{…}}}`; on failure the error document. The caller frees it
///                       with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_channels_info(
    client: *const Pusher,
    prefix_filter: *const c_char,
    attributes: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    let arguments = [("prefix_filter", prefix_filter), ("attributes", attributes), ("options", options)];
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::ChannelsInfo, arguments, out) }
}

/// Asks for the state of a channel.
///
/// @param client      the client.
/// @param channel     the channel's name.
/// @param attributes  what to answer with, such as `"user_count,subscription_count,cache"`; or NULL.
/// @param options     a JSON object, or NULL: `timeout_ms`.
/// @param out         on success the answer, `{"occupied":true,…}`; on failure the error document. The caller frees it with
///                    pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_channel_info(
    client: *const Pusher,
    channel: *const c_char,
    attributes: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    let arguments = [("channel", channel), ("attributes", attributes), ("options", options)];
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::ChannelInfo, arguments, out) }
}

/// Asks for the users on a presence channel.
///
/// @param client   the client.
/// @param channel  the channel's name, which begins with `presence-`.
/// @param options  a JSON object, or NULL: `timeout_ms`.
/// @param out      on success the answer, `{"users":[{"id":…}]}`; on failure the error document. The caller frees it with
///                 pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_users_info(
    client: *const Pusher,
    channel: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    let arguments = [("channel", channel), ("options", options)];
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::UsersInfo, arguments, out) }
}

/// Asks any path of the API.
///
/// @param client   the client.
/// @param path     a path below `/apps/{app_id}`, such as `"/channels"`.
/// @param params   a JSON object of strings, integers and booleans with names of `a–z 0–9 _`, for the query; or NULL.
/// @param options  a JSON object, or NULL: `timeout_ms`.
/// @param out      on success the answer; on failure the error document. The caller frees it with pusher_string_free(). May
///                 be NULL.
/// @return ::PUSHER_STATUS_OK, or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_get(
    client: *const Pusher,
    path: *const c_char,
    params: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    let arguments = [("path", path), ("params", params), ("options", options)];
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::Get, arguments, out) }
}

/// Posts to any path of the API.
///
/// @param client   the client.
/// @param path     a path below `/apps/{app_id}`, such as `"/events"`.
/// @param params   as for pusher_get(); or NULL.
/// @param body     JSON, sent as it is; NULL for `{}`.
/// @param options  a JSON object, or NULL: `timeout_ms`.
/// @param out      on success the answer; on failure the error document. The caller frees it with pusher_string_free(). May
///                 be NULL.
/// @return ::PUSHER_STATUS_OK: done. Nothing is known of what a path does, so a refusal with 400, 413 or 422 counts as
///         ::PUSHER_DELIVERY_UNKNOWN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_post(
    client: *const Pusher,
    path: *const c_char,
    params: *const c_char,
    body: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    let arguments = [("path", path), ("params", params), ("body", body), ("options", options)];
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::Post, arguments, out) }
}
