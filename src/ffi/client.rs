//! Creates and frees clients, and frees the strings that functions return.

use std::ffi::{CString, c_char};
use std::ptr;

use super::boundary::{boundary, guarded, handle, optional_text, out_place, write};
use crate::client::Pusher;
use crate::error::Purpose;
use crate::status::Status;

/// Creates a client from a configuration. Opens no connection and starts no thread: the first
/// call that needs one does. Of the files it reads only the client's own certificate and key, if
/// they are set, and keeps them: a later change of these files needs a new client.
///
/// `config` is a JSON object, a URL, or NULL to read the environment:
///
/// @verbatim
/// {"app_id":"APP_ID","key":"KEY","secret":"SECRET","cluster":"eu"}
/// https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID
/// @endverbatim
///
/// The environment variables are `PUSHER_URL`, or else `PUSHER_APP_ID`, `PUSHER_KEY`,
/// `PUSHER_SECRET`, `PUSHER_CLUSTER`, `PUSHER_HOST`, `PUSHER_PORT` and `PUSHER_SCHEME`. An
/// object with `"server":"reverb"` takes each key that it leaves out from `REVERB_APP_ID`,
/// `REVERB_APP_KEY`, `REVERB_APP_SECRET`, `REVERB_HOST`, `REVERB_PORT` and `REVERB_SCHEME`. An
/// unknown key is an error. `docs/configuration.md` has the types, ranges and examples of these
/// keys. A member that is null counts as not given, and so does an empty string, except for
/// `channel_characters`:
///
/// | key                            | default    | meaning                                    |
/// |--------------------------------|------------|--------------------------------------------|
/// | `app_id`                       | none       | id of the application, for each request    |
/// | `key`                          | required   | key of the application                     |
/// | `secret`                       | required   | secret of the application                  |
/// | `url`                          | none       | a URL as above; other keys override it     |
/// | `server`                       | `"pusher"` | kind of server: sets the defaults of keys  |
/// | `cluster`                      | `"mt1"`    | use the host `api-CLUSTER.pusher.com`      |
/// | `host`                         | by cluster | host name or IP address of the server      |
/// | `port`                         | by `ssl`   | port of the server: 443, or 80 without TLS |
/// | `ssl`                          | `true`     | use TLS; `false` with `unix_socket`        |
/// | `scheme`                       | by `ssl`   | `"https"` or `"http"`, in place of `ssl`   |
/// | `path`                         | none       | prefix of all paths                        |
/// | `sign_path_prefix`             | `true`     | `false` if a proxy strips `path`           |
/// | `unix_socket`                  | none       | path of a Unix domain socket to connect to |
/// | `timeout_ms`                   | 5000       | limit of a call, with all its attempts     |
/// | `attempt_timeout_ms`           | none       | limit of one attempt                       |
/// | `connect_timeout_ms`           | 3000       | limit of connecting, TLS included          |
/// | `retry`                        | safe, 3    | retry mode and attempts: see below         |
/// | `circuit_breaker`              | none       | fail at once during an outage: see below   |
/// | `idempotency`                  | by `server` | or `"auto"`: a key for each request       |
/// | `server_deduplicates`          | `false`    | resend requests with a key: see below      |
/// | `idempotency_window_ms`        | 120000     | how long the server remembers a key        |
/// | `clock_correction`             | `true`     | sign with the server's time if it differs  |
/// | `max_idle_connections`         | 8          | idle connections to keep for reuse         |
/// | `idle_timeout_ms`              | 15000      | how long to keep an idle connection        |
/// | `max_connection_age_ms`        | 300000     | how long to reuse a connection             |
/// | `headers`                      | none       | headers to add to each request             |
/// | `proxy`                        | none       | URL of an HTTP proxy, or `"env"`           |
/// | `ca_file`                      | none       | PEM file of the only certificates to trust |
/// | `tls_roots`                    | `"system"` | or `"bundled"` or `"both"`                 |
/// | `extra_ca_file`                | none       | PEM file of more certificates to trust     |
/// | `client_certificate_file`      | none       | PEM file of the client's own certificate   |
/// | `client_key_file`              | none       | PEM file of that certificate's private key |
/// | `encryption_master_key_base64` | none       | 32 bytes for `private-encrypted-` channels |
/// | `webhook_tokens`               | none       | more keys and secrets that sign webhooks   |
/// | `webhook_max_age_ms`           | 600000     | oldest webhook to accept; 0 for any age    |
/// | `max_data_bytes`               | 10240      | limit of `data`                            |
/// | `max_batch_events`             | 10         | limit of events in a batch                 |
/// | `max_channels`                 | 100        | limit of channels of an event              |
/// | `max_request_bytes`            | none       | limit of a request, head and body          |
/// | `max_response_bytes`           | 16777216   | limit of a response                        |
/// | `batch_route`                  | by server  | `false` or `"auto"` if it may be missing   |
/// | `channel_characters`           | by server  | more characters of names: `:` and `#`      |
/// | `log_level`                    | `"warn"`   | least severe level to log                  |
/// | `stats_format`                 | `"json"`   | or `"prometheus"`, for pusher_stats()      |
///
/// Without `app_id` a client signs authorizations and checks webhooks. Every function that makes a
/// request then returns ::PUSHER_STATUS_INVALID_CONFIG.
///
/// **Retries.** In mode `"safe"` a call is retried if it was certainly not delivered and may
/// succeed next time: a request that was not sent (unless the host does not exist, or TLS or a
/// proxy failed), a 429, and a 401 that corrected the clock. Read-only calls (GET) are retried
/// after a 5xx or a lost response, too. Mode `"at_least_once"` also retries calls whose result
/// is `unknown`, except 4xx refusals: an event may then arrive twice. Mode `"never"` sends
/// once.
///
/// All attempts share the call's `timeout_ms`. With `attempt_timeout_ms` each of them is shorter,
/// so that a silent server leaves time for a retry: the attempt then ends with the cause
/// `timeout`, as `unknown` if its request was sent. Before each retry there is a random wait, at
/// most 0.1 s before the first, doubling up to 5 s, and no shorter than the server's
/// `Retry-After`. If the wait does not fit into the time left, the call returns the failure at
/// once. A client may retry ten times at once; beyond that, retries are limited to a share of
/// its calls: `"ratio":0.1` in `retry`, where 1 sets no limit.
///
/// If any attempt may have been delivered and no later one succeeds, the call fails with the
/// error of the first such attempt.
///
/// **Circuit breaker.** With `"circuit_breaker":{"failures":5,"open_ms":10000}` calls fail at once
/// after so many failures in a row to reach the server: as ::PUSHER_STATUS_NOT_SENT with the
/// cause `circuit`, and `retry_after_ms`. After `open_ms`, and up to a tenth more, one call is
/// sent; an answer lets the others pass again. A failure is a connection that cannot be made, and
/// a request without an answer; any HTTP status is an answer. A client has one circuit. The
/// events of its publishers wait in the queue while it is open.
///
/// **Idempotency keys.** A server that knows the key of a request answers as it did the first
/// time, and publishes nothing again. The option `idempotency_key` of a call sets the key, and
/// `"idempotency":"auto"` makes a random one for each request that publishes (the default with
/// `"server":"sockudo"`). All attempts of a request have the same key and body. With
/// `"server_deduplicates":true` you vouch that the server has keys switched on, and that its
/// cache survives: mode `"safe"` then also retries an `unknown` result of a request with a key,
/// as long as the attempt ends within `idempotency_window_ms` of the first.
///
/// Never use a key for another body: the server compares keys only, drops the second body, and
/// answers that all is well. The call then returns ::PUSHER_STATUS_OK for an event that nobody
/// receives. Use a key again only to repeat the same call within the window.
///
/// @param config  the configuration, or NULL for the environment.
/// @param client  receives the client, or NULL on failure. The caller frees it with
///                pusher_free().
/// @param out     receives the error document on failure, else NULL. The caller frees it with
///                pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_CONFIG (`argument` names the key), or
///         ::PUSHER_STATUS_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_new(config: *const c_char, client: *mut *mut Pusher, out: *mut *mut c_char) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        write(client, ptr::null_mut());
        boundary(out, Purpose::Other, || {
            out_place(client, "client")?;
            let made = Pusher::new(optional_text(config, "config")?)?;
            write(client, Box::into_raw(Box::new(made)));
            Ok(())
        })
    }
}

/// Returns the statistics of a client, since it was created.
///
/// - `calls`: for each function that makes a network call, without `pusher_`, how its calls ended.
///   One that publishes or changes something: `delivered`, `not_sent`, `rejected` and `unknown`; a
///   query: `succeeded` and `failed`.
/// - `requests`: requests sent, each attempt counted, those of publishers included.
/// - `retries`: retries, by what had failed: a `cause`, `rate_limited`, `server_error` or `other`;
///   without those that did not happen.
/// - `latency_ms`: a histogram of the time of a call, retries included. It has `count`, `sum` and
///   `buckets`, an array of `[bound, count]`; the last bound is null.
/// - `connections`: `idle` ones of this process now, those that were `opened`, and how many requests
///   `reused` one. A transport of your own has none of them.
///
/// With `"stats_format":"prometheus"` in the configuration the result is the same in Prometheus'
/// text format. pusher_prepare() and pusher_finish() are not counted. A forked child goes on from
/// its parent's counts. For the events of a publisher, see pusher_publisher_stats().
///
/// @param client  the client.
/// @param out     receives the statistics, or the error document on failure. The caller frees it
///                with pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_INVALID_ARGUMENT if `client` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_stats(client: *const Pusher, out: *mut *mut c_char) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe { boundary(out, Purpose::Other, || handle(client, "client")?.stats()) }
}

/// Creates another handle of a client. It shares the configuration, the connections, the
/// callbacks, the statistics and the limit of retries, but only pusher_cancel() of this handle ends
/// its calls. So each request that your own server handles, or each task, can have calls that end
/// with it.
///
/// It takes some hundred bytes, and neither a thread nor a descriptor. A handle of a cancelled
/// client is not cancelled.
///
/// @param client  the client. Any number of threads may clone it, and it may be freed before its
///                clones.
/// @param clone   receives the handle, or NULL on failure. The caller frees it with
///                pusher_free().
/// @param out     receives the error document on failure, else NULL. The caller frees it with
///                pusher_string_free(). May be NULL.
/// @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_INVALID_ARGUMENT if a pointer is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_clone(client: *const Pusher, clone: *mut *mut Pusher, out: *mut *mut c_char) -> Status {
    // SAFETY: each pointer is as the caller of this function promises.
    unsafe {
        write(clone, ptr::null_mut());
        boundary(out, Purpose::Other, || {
            out_place(clone, "clone")?;
            let another = handle(client, "client")?.another();
            write(clone, Box::into_raw(Box::new(another)));
            Ok(())
        })
    }
}

/// Cancels the calls of this handle: those that are running end at once, and later ones fail. It
/// cannot be undone: make a new handle with pusher_clone() beforehand for calls that go on.
///
/// A call that was cancelled reports what is true of its event, with the cause `cancelled`:
/// ::PUSHER_STATUS_NOT_SENT if the request's last byte was not sent, else usually
/// ::PUSHER_STATUS_DELIVERY_UNKNOWN. It is not retried. A call that waited for a retry keeps status
/// and delivery of its last attempt: after a 429, ::PUSHER_STATUS_RATE_LIMITED and `rejected`. A
/// call whose response is complete succeeds. A later call returns ::PUSHER_STATUS_NOT_SENT and
/// sends nothing. Functions that send no request work on, such as pusher_authenticate(),
/// pusher_prepare() and pusher_clone().
///
/// A lookup of a host name is abandoned within 50 ms: its thread ends by itself. A transport that
/// pusher_set_transport() set is not interrupted: the call ends with what the transport reports.
/// A publisher is not affected, even if it was created with this handle.
///
/// Threads and signals: it may be called from any thread, and from a signal handler. It is
/// async-signal-safe, takes no lock, does not wait for the calls to return, and restores
/// `errno`. Never call it while pusher_free() may run on the same handle.
/// Fork: it ends calls of the calling process only. A child of a cancelled process starts with
/// cancelled handles.
///
/// @param client  the client. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_cancel(client: *const Pusher) {
    // SAFETY: the pointer is as the caller of this function promises.
    if let Some(client) = unsafe { client.as_ref() } {
        guarded((), || client.cancel());
    }
}

/// Frees a client, or one of its handles. No call of this handle may be running in another thread,
/// pusher_cancel() neither.
///
/// A publisher and other handles may outlive a client: the client's connections and callbacks then
/// stay until the last of them is freed.
///
/// @param client  the client. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_free(client: *mut Pusher) {
    if !client.is_null() {
        // SAFETY: it came out of a Box in `pusher_new`, and the caller gives it back for good.
        let client = unsafe { Box::from_raw(client) };
        guarded((), || drop(client));
    }
}

/// Frees a string that the library wrote to an `out` parameter.
///
/// @param text  the string. NULL is ignored. Its contents may have been modified, but not its
///              length: do not write a NUL into it, as strtok() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: every text that goes out came out of a CString, and the caller gives it back for good.
        drop(unsafe { CString::from_raw(text) });
    }
}
