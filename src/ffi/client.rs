//! The client's life, and that of the texts it gives.

use std::ffi::{CString, c_char};
use std::ptr;

use super::boundary::{NO_DOCUMENT, boundary, guarded, handle, optional_text, write};
use crate::client::Pusher;
use crate::error::Purpose;
use crate::status::Status;

/// Makes a client from a configuration.
///
/// No connection is made, no file read and no thread started before the first call that needs it.
///
/// **Retries.** Mode `"safe"` sends again what was certainly not delivered and may now succeed: what never left (`not_sent`, but not
/// for a host that does not exist, nor for a failure of TLS or of a proxy), what was refused with 429, and calls that only ask.
/// `"at_least_once"` also sends again what may have been delivered, except what was refused with another 4xx: an event may then
/// arrive twice. `"never"` sends once. All attempts share the call's `timeout_ms`. Before each there is a random wait, at most 0.1 s
/// before the second and doubling to 5 s, and no less than the server's `Retry-After`; where that does not fit, the failure is
/// returned at once. Retries are kept to a tenth of a client's calls, after a first ten. `attempts` in the error document says how
/// often a call was sent. If an attempt may have been delivered, so may the call, unless a later one was delivered; the error is then
/// that of the first such attempt.
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
///                | `retry` | `{"mode":"safe","max_attempts":3}` | below |
///                | `clock_correction` | `true` | a 401 over TLS, and a `Date` more than 600 s off: sign with the server's time from then on |
///                | `max_idle_connections`, `idle_timeout_ms` | 8, 15000 | the pool of kept-alive connections |
///                | `proxy` | none | `http://USER:PASSWORD@HOST:PORT`; `"env"` takes the environment's |
///                | `ca_file` | none | PEM certificates to trust instead |
///                | `tls_roots` | `"system"` | or `"bundled"`, Mozilla's at build time, or `"both"` |
///                | `encryption_master_key_base64` | none | 32 bytes, for `private-encrypted-` channels |
///                | `webhook_tokens` | none | more `{"key","secret"}` pairs that webhooks may be signed with |
///                | `webhook_max_age_ms` | 600000 | how old a webhook may be; 0 for any age |
///                | `max_data_bytes`, `max_batch_events`, `max_channels` | 10240, 10, 100 | for servers with other limits |
///                | `max_response_bytes` | 16777216 | the longest answer that is read |
///                | `log_level` | `"warn"` | `"error"`, `"warn"`, `"info"` or `"debug"`, for pusher_set_log() |
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
            Ok(NO_DOCUMENT)
        })
    }
}

/// Frees a client and closes its idle connections, when the last of its publishers is freed as well.
///
/// No call of this client may be running in another thread.
///
/// @param client  NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_free(client: *mut Pusher) {
    if !client.is_null() {
        // SAFETY: it came out of a Box in `pusher_new`, and the caller gives it back for good.
        let client = unsafe { Box::from_raw(client) };
        guarded((), || drop(client));
    }
}

/// Frees a text that this library wrote to an `out` parameter.
///
/// @param text  NULL is fine. It may have been changed, but not cut short by a NUL, as strtok() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: every text that goes out came out of a CString, and the caller gives it back for good.
        drop(unsafe { CString::from_raw(text) });
    }
}
