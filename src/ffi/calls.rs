//! The nine calls that go over the network.

use std::ffi::c_char;

use super::boundary::call;
use crate::client::{Endpoint, Pusher};
use crate::status::Status;

/// Publishes an event on one or more channels, and waits for the server's answer.
///
/// @param client    the client.
/// @param channels  one channel name, or a JSON array of 1 to 100 of them. A name has 1 to 200 of the characters
///                  `A–Z a–z 0–9 _ - = @ , . ;`. An event on a `private-encrypted-` channel is encrypted first, and can only be
///                  triggered on that one.
/// @param event     the event's name, 1 to 200 characters.
/// @param data      the payload: JSON, at most 10,240 bytes (7,619 on an encrypted channel). A JSON string sends its content;
///                  any other value is sent as the text it is, byte for byte.
/// @param options   a JSON object, or NULL: `socket_id` (the connection that is left out), `info` (attributes of the
///                  channels to answer with, such as `"user_count,subscription_count"`), `timeout_ms`.
/// @param out       on success the server's answer, `{}` where it is empty; on failure the error document. The caller frees
///                  it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK: delivered. Any other status: ask pusher_error_delivery() what happened to the event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_trigger(
    client: *const Pusher,
    channels: *const c_char,
    event: *const c_char,
    data: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    let arguments = [("channels", channels), ("event", event), ("data", data), ("options", options)];
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::Trigger, arguments, out) }
}

/// Publishes several events in one request.
///
/// A batch is not atomic: a server that refuses one of its events may have delivered those before it. Delivery is then
/// ::PUSHER_DELIVERY_UNKNOWN for each.
///
/// @param client   the client.
/// @param events   a JSON array of 1 to 10 `{"channel","name","data","socket_id","info"}`, the last two optional. `data` is any JSON
///                 value, as for pusher_trigger().
/// @param options  a JSON object, or NULL: `timeout_ms`.
/// @param out      on success the server's answer; on failure the error document, whose `argument` names the event, such as
///                 `events[3].channel`. The caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK: all delivered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_trigger_batch(
    client: *const Pusher,
    events: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    let arguments = [("events", events), ("options", options)];
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::TriggerBatch, arguments, out) }
}

/// Publishes an event to all connections of a user who has signed in (pusher_authenticate_user()).
///
/// @param client   the client.
/// @param user_id  the user's id, 1 to 200 of the characters of channel names.
/// @param event    the event's name, 1 to 200 characters.
/// @param data     the payload, as for pusher_trigger().
/// @param options  as for pusher_trigger().
/// @param out      on success the server's answer; on failure the error document. The caller frees it with
///                 pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK: delivered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_send_to_user(
    client: *const Pusher,
    user_id: *const c_char,
    event: *const c_char,
    data: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    let arguments = [("user_id", user_id), ("event", event), ("data", data), ("options", options)];
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::SendToUser, arguments, out) }
}

/// Ends all connections of a user who has signed in.
///
/// @param client   the client.
/// @param user_id  the user's id, as for pusher_send_to_user().
/// @param options  a JSON object, or NULL: `timeout_ms`.
/// @param out      on success the server's answer; on failure the error document. The caller frees it with
///                 pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK: done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_terminate_user_connections(
    client: *const Pusher,
    user_id: *const c_char,
    options: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    let arguments = [("user_id", user_id), ("options", options)];
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { call(client, Endpoint::TerminateUserConnections, arguments, out) }
}

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
