//! Signatures, which need no network.

use std::ffi::c_char;

use super::boundary::{array, boundary, handle, lenient_text, optional_text, text};
use crate::client::Pusher;
use crate::error::Purpose;
use crate::status::Status;

/// Authorizes a connection to subscribe to a channel: creates the body that your authorization
/// endpoint returns. (The Channels documentation says "authorize a channel".) Uses no network.
///
/// Call it only after you have checked that the user may subscribe to the channel.
///
/// @param client        the client.
/// @param channel       the channel's name, which begins with `private-` or `presence-`. Public
///                      channels need no authorization: their names are an error.
/// @param socket_id     the connection's id, such as `"1234.5678"`.
/// @param channel_data  for a presence channel a JSON object with `user_id`, a string or an
///                      integer, and optionally `user_info`, an object or null. For a private
///                      channel any JSON, or NULL; only an object, or NULL, if names of channels may
///                      contain `:` (`channel_characters`). With the server soketi, only NULL. It is
///                      signed and returned exactly as given.
/// @param out           receives `{"auth":"KEY:SIGNATURE"}`, with `channel_data` if you gave it
///                      and `shared_secret` on a `private-encrypted-` channel: return it
///                      unchanged. On failure, receives the error document. The caller frees it
///                      with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_ARGUMENT, or ::PUSHER_STATUS_ENCRYPTION
///         if an encrypted channel has no master key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_authenticate(
    client: *const Pusher,
    channel: *const c_char,
    socket_id: *const c_char,
    channel_data: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Other, || {
            let client = handle(client, "client")?;
            let (channel, socket_id) = (text(channel, "channel")?, text(socket_id, "socket_id")?);
            client.authenticate(channel, socket_id, optional_text(channel_data, "channel_data")?)
        })
    }
}

/// Authorizes a connection to subscribe to several channels: creates the body that your
/// authorization endpoint returns to a batch authorizer, such as pusher-js-auth. Uses no
/// network.
///
/// Call it only with channels to which the user may subscribe, after you have checked that for
/// each. Leave out the others: pusher-js-auth refuses a channel that is not in the result.
///
/// @param client     the client.
/// @param socket_id  the connection's id, such as `"1234.5678"`.
/// @param channels   a JSON array of 1 to 100 channels, none of them twice. Each is a name, or an
///                   object with `channel` and optionally `channel_data`, as for
///                   pusher_authenticate(). A `channel_data` that is an object is signed and
///                   returned exactly as it is written. The content of a `channel_data` that is a
///                   JSON string is signed and returned instead: `"{\"user_id\":\"7\"}"`.
/// @param out        receives an object with a member for each channel, or the error document on
///                   failure. The member is `{"status":200,"data":{"auth":"KEY:SIGNATURE"}}`, with
///                   the `data` that pusher_authenticate() returns, or, for an invalid channel,
///                   `{"status":400,"error":{...}}` with the members of an error document (see
///                   ::PusherStatus). An encrypted channel without a master key has 500, and
///                   ENCRYPTION in `error`. An invalid channel does not affect the others. The
///                   caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, even if every channel is invalid.
///         ::PUSHER_STATUS_INVALID_ARGUMENT if `socket_id` is invalid, `channels` is not such an
///         array, or a channel is in it twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_authenticate_channels(
    client: *const Pusher,
    socket_id: *const c_char,
    channels: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Other, || {
            let client = handle(client, "client")?;
            client.authenticate_channels(text(socket_id, "socket_id")?, text(channels, "channels")?)
        })
    }
}

/// Signs a user in on a connection: creates the body that your user authentication endpoint
/// returns. Uses no network.
///
/// @param client     the client.
/// @param socket_id  the connection's id, such as `"1234.5678"`.
/// @param user_data  a JSON object with `id`, a string of 1 to 200 of the characters that
///                   pusher_send_to_user() takes, and any other members. It is signed and
///                   returned exactly as given.
/// @param out        receives `{"auth":"KEY:SIGNATURE","user_data":"..."}`: return it
///                   unchanged. On failure, receives the error document. The caller frees it
///                   with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK or ::PUSHER_STATUS_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_authenticate_user(
    client: *const Pusher,
    socket_id: *const c_char,
    user_data: *const c_char,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Other, || {
            let client = handle(client, "client")?;
            client.authenticate_user(text(socket_id, "socket_id")?, text(user_data, "user_data")?)
        })
    }
}

/// Checks that a webhook comes from the Channels application, and returns its payload. Uses no
/// network.
///
/// The signature is compared in constant time, over the raw body and before the body is parsed.
/// In a CGI program (`c_examples/webhook.c` is a complete server):
///
/// @code
/// static uint8_t body[1 << 20];
/// char *payload;
/// size_t length = fread(body, 1, sizeof body, stdin);
/// PusherStatus status = pusher_validate_webhook(client, getenv("HTTP_X_PUSHER_KEY"),
///                                               getenv("HTTP_X_PUSHER_SIGNATURE"),
///                                               body, length, &payload);
/// printf("Status: %s\r\n\r\n", status == PUSHER_STATUS_OK ? "200 OK" : "401 Unauthorized");
/// pusher_string_free(payload);
/// @endcode
///
/// @param client     the client.
/// @param key        the request's `X-Pusher-Key` header, or NULL if it has none. It must be
///                   the application's key or one of the configuration's `webhook_tokens`.
/// @param signature  the request's `X-Pusher-Signature` header, or NULL if it has none.
/// @param body       the request's raw body, before anything decodes it; may be NULL if
///                   `body_len` is 0.
/// @param body_len   length of `body` in bytes.
/// @param out        receives the payload, `{"time_ms":...,"events":[...]}`, unchanged except
///                   for the `data` of client events on `private-encrypted-` channels: if there
///                   is a master key, it is decrypted; an event that cannot be decrypted gets a
///                   `decryption_error` member. On failure, receives the error document. The
///                   caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK if the webhook is authentic. ::PUSHER_STATUS_WEBHOOK_INVALID if
///         it is not, if it is older than `webhook_max_age_ms` or more than a minute in the
///         future, or if its body is not a JSON object: respond with 401.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_validate_webhook(
    client: *const Pusher,
    key: *const c_char,
    signature: *const c_char,
    body: *const u8,
    body_len: usize,
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: each pointer is as the caller of this function promises; `body` has `body_len` bytes.
    unsafe {
        boundary(out, Purpose::Other, || {
            let client = handle(client, "client")?;
            // Both come from the network: a header that is not UTF-8 is not authentic.
            let (key, signature) = (lenient_text(key)?, lenient_text(signature)?);
            client.validate_webhook(key.as_deref(), signature.as_deref(), array(body, body_len, "body")?)
        })
    }
}
