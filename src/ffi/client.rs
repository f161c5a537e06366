//! The client: its life, and the calls it makes.

use std::ffi::{CString, c_char};
use std::ptr;

use super::boundary::{boundary, handle, optional_text, text, write};
use crate::client::Pusher;
use crate::error::{Purpose, Status};

/// Makes a client from a configuration.
///
/// No connection is made, no file read and no thread started before the first call that needs it.
///
/// @param config  a JSON object `{"app_id","key","secret",…}`, or a URL `https://KEY:SECRET@api-eu.pusher.com/apps/ID`, or
///                NULL to take `PUSHER_URL` or `PUSHER_APP_ID`, `PUSHER_KEY`, `PUSHER_SECRET`, `PUSHER_CLUSTER`,
///                `PUSHER_HOST`, `PUSHER_PORT` and `PUSHER_SCHEME` from the environment. Not kept.
///                | key | default | |
///                |---|---|---|
///                | `app_id`, `key`, `secret` | required | or `url`; other keys win over its parts |
///                | `cluster` | `"mt1"` | the host is `api-{cluster}.pusher.com` |
///                | `host`, `port`, `ssl` | from the cluster, 443 or 80, `true` | |
///                | `path`, `sign_path_prefix` | none, `true` | a prefix of the path; `false` where a proxy strips it |
///                | `timeout_ms`, `connect_timeout_ms` | 5000, 3000 | per call in all; to connect; 1 to 600,000 |
///                | `retry` | `{"mode":"never"}` | |
///                | `max_idle_connections`, `idle_timeout_ms` | 8, 15000 | the pool of kept-alive connections |
///                | `ca_file` | none | PEM certificates to trust instead of the system's |
///                | `max_data_bytes`, `max_channels`, `max_response_bytes` | 10240, 100, 16777216 | limits |
/// @param client  where the client goes; set to NULL on failure. The caller frees it with pusher_free().
/// @param out     on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_CONFIG naming the key, or ::PUSHER_STATUS_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_new(config: *const c_char, client: *mut *mut Pusher, out: *mut *mut c_char) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        write(client, ptr::null_mut());
        boundary(out, Purpose::Other, || {
            handle(client, "client")?;
            let made = Pusher::new(optional_text(config, "config")?)?;
            write(client, Box::into_raw(Box::new(made)));
            Ok(None)
        })
    }
}

/// Frees a client and closes its idle connections.
///
/// No call of this client may be running in another thread.
///
/// @param client  NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_free(client: *mut Pusher) {
    if !client.is_null() {
        // SAFETY: it came out of a Box in `pusher_new`, and the caller gives it back for good.
        let client = unsafe { Box::from_raw(client) };
        // Freeing has nobody to report a bug to, but it must not unwind into C either.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(client)));
    }
}

/// Frees a text that this library wrote to an `out` parameter.
///
/// @param text  NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: every text that goes out came out of a CString, and the caller gives it back for good.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Publishes an event on one or more channels, and waits for the server's answer.
///
/// @param client    the client.
/// @param channels  one channel name, or a JSON array of 1 to 100 of them. A name has 1 to 200 of the characters
///                  `A–Z a–z 0–9 _ - = @ , . ;`.
/// @param event     the event's name, 1 to 200 characters.
/// @param data      the payload: JSON, at most 10,240 bytes. A JSON string sends its content; any other value is sent as the
///                  text it is, byte for byte.
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
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Publish, || {
            let client = handle(client, "client")?;
            let (channels, event) = (text(channels, "channels")?, text(event, "event")?);
            client.trigger(channels, event, text(data, "data")?, optional_text(options, "options")?).map(Some)
        })
    }
}
