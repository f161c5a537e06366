/**
 * @file pusher.h
 * libpusher: the server-side SDK for the Pusher Channels HTTP API.
 *
 * - Results: most functions return a ::PusherStatus and write a JSON document to their last
 *   parameter, `out`: the result, or an error document if the call failed (its members are at
 *   ::PusherStatus). They write NULL if there is neither. `out` may be NULL to ignore the document.
 *   Whatever `*out` held before is overwritten, not freed.
 * - Memory: the caller frees each document with pusher_string_free(), and each handle with the
 *   function of its type: pusher_free(), pusher_publisher_free(), pusher_request_free(),
 *   pusher_response_free(). The library copies the strings that it is given.
 * - Strings: UTF-8, NUL-terminated. Channel names, event names and ids are plain strings. Payloads
 *   (`data`) are JSON: a plain string is sent as a JSON string, in quotes, such as `"hello"`.
 * - Delivery: after a failure, pusher_error_delivery() says whether the event was not sent, was
 *   rejected, or may have been delivered. The client retries calls that were certainly not
 *   delivered. It never repeats one that may have been delivered, unless `retry` in the
 *   configuration allows it.
 * - Time: every call returns within its `timeout_ms` (5 s by default), as long as your own
 *   transport, if you set one, respects it. pusher_cancel() ends calls earlier, also from a signal
 *   handler.
 * - Threads: any number of threads may use one client or one publisher at the same time. Nothing is
 *   kept per thread: an error belongs to the call that returned it.
 * - Stack: 64 KiB are enough for every call, without your own callbacks. (Of these a release build
 *   takes up to 40 KiB: for TLS.) With less, a call may run over the end of the stack. It then hits
 *   the guard page, and SIGSEGV ends the process.
 * - Process: no signal handler, no SIGPIPE, and no output (but for a Rust panic, which is a bug). A
 *   thread is started only to look up a host name, and ends after that; a publisher has threads of
 *   its own. A forked child may use its parent's client, which then opens its own connections, but
 *   not its parent's publisher.
 *
 * @code
 * Pusher *client;
 * char *out;
 * if (pusher_new("https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID", &client, &out) !=
 *     PUSHER_STATUS_OK) {
 *   fprintf(stderr, "%s\n", out);
 *   pusher_string_free(out);
 *   return 1;
 * }
 * if (pusher_trigger(client, "my-channel", "my-event", "{\"hello\":\"world\"}", NULL, &out) !=
 *     PUSHER_STATUS_OK)
 *   fprintf(stderr, "%s\n", out);
 * pusher_string_free(out);
 * pusher_free(client);
 * @endcode
 *
 * The functions by task:
 *
 * | Client                              |                                                       |
 * |-------------------------------------|-------------------------------------------------------|
 * | pusher_new()                        | Creates a client from JSON, a URL or the environment. |
 * | pusher_clone()                      | Creates a handle with a cancellation of its own.      |
 * | pusher_cancel()                     | Ends the calls of a handle.                           |
 * | pusher_free()                       | Frees a client, or one of its handles.                |
 *
 * | Publish and wait for the response   |                                                       |
 * |-------------------------------------|-------------------------------------------------------|
 * | pusher_trigger()                    | Publishes an event on one or more channels.           |
 * | pusher_trigger_batch()              | Publishes several events in one request.              |
 * | pusher_send_to_user()               | Publishes an event to a user who has signed in.       |
 *
 * | Publish in the background           |                                                       |
 * |-------------------------------------|-------------------------------------------------------|
 * | pusher_publisher_new()              | Creates a publisher: a queue of events.               |
 * | pusher_publisher_publish()          | Queues an event.                                      |
 * | pusher_publisher_poll()             | Fetches reports of how events ended.                  |
 * | pusher_publisher_fd()               | Returns a descriptor for an event loop.               |
 * | pusher_publisher_flush()            | Waits until all events have ended.                    |
 * | pusher_publisher_close()            | Stops accepting events and ends those in the queue.   |
 * | pusher_publisher_drain()            | Returns the events that were never sent.              |
 * | pusher_publisher_restore()          | Queues the events of another publisher.               |
 * | pusher_publisher_stats()            | Returns statistics, as JSON or for Prometheus.        |
 * | pusher_publisher_free()             | Frees a publisher.                                    |
 *
 * | Query channels, close connections   |                                                       |
 * |-------------------------------------|-------------------------------------------------------|
 * | pusher_channels_info()              | Lists the channels that have subscribers.             |
 * | pusher_channel_info()               | Returns the state of one channel.                     |
 * | pusher_users_info()                 | Lists the users on a presence channel.                |
 * | pusher_terminate_user_connections() | Closes all connections of a user.                     |
 * | pusher_get()                        | Sends a GET request to any path of the API.           |
 * | pusher_post()                       | Sends a POST request to any path of the API.          |
 * | pusher_delete()                     | Sends a DELETE request to any path of the API.        |
 *
 * | Authorize and authenticate          |                                                       |
 * |-------------------------------------|-------------------------------------------------------|
 * | pusher_authenticate()               | Authorizes a connection to subscribe to a channel.    |
 * | pusher_authenticate_channels()      | Authorizes a connection for several channels.         |
 * | pusher_authenticate_user()          | Signs a user in on a connection.                      |
 *
 * | Validate webhooks                   |                                                       |
 * |-------------------------------------|-------------------------------------------------------|
 * | pusher_validate_webhook()           | Checks that a webhook is authentic.                   |
 *
 * | Errors                              |                                                       |
 * |-------------------------------------|-------------------------------------------------------|
 * | pusher_error_delivery()             | Returns what happened to the events of a call.        |
 * | pusher_error_message()              | Copies the message of an error document.              |
 * | pusher_error_status()               | Returns the status in an error document.              |
 * | pusher_error_retryable()            | Returns whether the same call may succeed later.      |
 * | pusher_error_http_status()          | Returns the HTTP status of the response.              |
 * | pusher_error_retry_after_ms()       | Returns the wait that the server asked for.           |
 * | pusher_error_cause()                | Copies the cause of a network failure.                |
 * | pusher_error_server_code()          | Copies the error code of the server.                  |
 * | pusher_status_name()                | Returns the name of a status.                         |
 *
 * | Strings and memory                  |                                                       |
 * |-------------------------------------|-------------------------------------------------------|
 * | pusher_json_string()                | Quotes and escapes a string for JSON.                 |
 * | pusher_string_free()                | Frees a string that the library returned.             |
 *
 * | Log, trace and measure              |                                                       |
 * |-------------------------------------|-------------------------------------------------------|
 * | pusher_set_log()                    | Makes the client log through a callback.              |
 * | pusher_set_observer()               | Reports calls and attempts to a callback: for traces. |
 * | pusher_stats()                      | Returns statistics, as JSON or for Prometheus.        |
 *
 * | Send with your own HTTP client      |                                                       |
 * |-------------------------------------|-------------------------------------------------------|
 * | pusher_set_transport()              | Makes the client send requests through a callback.    |
 * | pusher_prepare()                    | Signs a call without sending it.                      |
 * | pusher_request_method()             | Returns the method of a request.                      |
 * | pusher_request_url()                | Returns the URL of a request.                         |
 * | pusher_request_header_count()       | Returns the number of headers of a request.           |
 * | pusher_request_header()             | Returns one header of a request.                      |
 * | pusher_request_body()               | Returns the body of a request.                        |
 * | pusher_request_timeout_ms()         | Returns the time left for a request.                  |
 * | pusher_request_bytes()              | Returns the whole HTTP/1.1 request, for a socket.     |
 * | pusher_request_host()               | Returns the host that a request goes to.              |
 * | pusher_request_port()               | Returns the port that a request goes to.              |
 * | pusher_request_tls()                | Returns whether a request goes over TLS.              |
 * | pusher_request_free()               | Frees a request.                                      |
 * | pusher_response_new()               | Creates an empty response.                            |
 * | pusher_response_set()               | Sets the server's response.                           |
 * | pusher_response_set_header()        | Adds a header to a response.                          |
 * | pusher_response_feed()              | Reads the server's response from received bytes.      |
 * | pusher_response_fail()              | Reports that a request failed.                        |
 * | pusher_response_free()              | Frees a response.                                     |
 * | pusher_finish()                     | Returns the result of a prepared request.             |
 *
 * | Version                             |                                                       |
 * |-------------------------------------|-------------------------------------------------------|
 * | pusher_version()                    | Returns the version of the library as a string.       |
 * | pusher_version_number()             | Returns the version of the library as a number.       |
 *
 * The configuration keys are listed at pusher_new() and pusher_publisher_new();
 * `docs/configuration.md` describes each of them, with type, range and example.
 *
 * Generated from the sources by cbindgen; do not edit.
 */


#ifndef PUSHER_H
#define PUSHER_H

#include <stddef.h>
#include <stdint.h>

/* The version of this header. pusher_version_number() returns the version of the library. */
#define PUSHER_VERSION_MAJOR 0
#define PUSHER_VERSION_MINOR 1
#define PUSHER_VERSION_PATCH 0
/** The version as `0x00MMmmpp`. */
#define PUSHER_VERSION_NUMBER \
  ((PUSHER_VERSION_MAJOR << 16) | (PUSHER_VERSION_MINOR << 8) | PUSHER_VERSION_PATCH)


/**
 * The result of a call, grouped by what the caller can do about it.
 *
 * | range    | meaning                                                  |
 * |----------|----------------------------------------------------------|
 * | 0        | success                                                  |
 * | 1 to 19  | the call or the configuration is wrong; nothing was sent |
 * | 20 to 39 | the network failed, or the response is unusable          |
 * | 40 to 59 | the server refused the request or failed                 |
 * | 60 to 79 | a webhook is not authentic, or encryption failed         |
 * | 80 to 99 | the publisher cannot do what was asked                   |
 * | 255      | a bug in libpusher, or the system is out of a resource   |
 *
 * Later versions may add values: treat a value that you do not know by its range. In C before
 * C23, ::PusherStatus is an `int32_t`: write `switch ((enum PusherStatus)status)`, so that the
 * compiler warns about missing cases. `docs/errors.md` shows how to handle each of them.
 *
 * A call that fails writes an error document to `out`: `{"error":{"status":"NOT_SENT",...}}`.
 * Its members, to which later versions may add:
 *
 * | member           | type    | present if                     | accessor                      |
 * |------------------|---------|--------------------------------|-------------------------------|
 * | `status`         | string  | always                         | pusher_error_status()         |
 * | `message`        | string  | always                         | pusher_error_message()        |
 * | `delivery`       | string  | the call can deliver something | pusher_error_delivery()       |
 * | `argument`       | string  | an argument or key is at fault | none                          |
 * | `cause`          | string  | the network or response failed | pusher_error_cause()          |
 * | `retryable`      | boolean | a request was attempted        | pusher_error_retryable()      |
 * | `attempts`       | integer | a request was attempted        | none                          |
 * | `http_status`    | integer | the server responded           | pusher_error_http_status()    |
 * | `response`       | string  | the response is not a success  | none                          |
 * | `server_code`    | string  | the body is JSON with a `code` | pusher_error_server_code()    |
 * | `retry_after_ms` | integer | the server sent `Retry-After`  | pusher_error_retry_after_ms() |
 * | `rate_limit`     | object  | it sent `X-RateLimit-` headers | none                          |
 * | `parts`          | array   | the status is `PARTIAL`        | none                          |
 *
 * - `status` is the name without `PUSHER_STATUS_`; `message` is for people and may change. That
 *   of a 4xx other than 401 ends with the first line of the response.
 * - `delivery` is `not_sent`, `rejected` or `unknown`: see ::PusherDelivery.
 * - `argument` names a part, too, such as `channels[3]` or `options.socket_id`.
 * - `cause` is one of `dns connect tls proxy write timeout reset closed malformed cancelled
 *   transport`.
 * - `retryable` is true if making the same call again cannot do anything twice and may
 *   succeed.
 * - `attempts` is the number of requests made.
 * - `response` is the start of the response's body, up to 1,024 bytes; absent if the body is
 *   empty. The request's signature is redacted in it and in `message`.
 * - `server_code` is a word or a number of up to 64 of the characters `A-Z a-z 0-9 _ . -`.
 * - `rate_limit` has the integers `limit`, `remaining` and `reset`, as far as the server sent
 *   them. `reset` is in seconds from now or since 1970: servers differ.
 * - `parts` has the result of each request of a fan-out: see pusher_trigger(). It is absent if
 *   memory runs out.
 */
enum PusherStatus
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Success. For an event: the Channels API accepted it.
   */
  PUSHER_STATUS_OK = 0,
  /**
   * A handle or a string is NULL, or a string is not valid UTF-8, is malformed or exceeds a
   * limit; the error document's `argument` says which. If it is `server`, that kind of server
   * lacks the call. Nothing was sent.
   */
  PUSHER_STATUS_INVALID_ARGUMENT = 1,
  /**
   * The configuration is wrong; the error document's `argument` names the key.
   */
  PUSHER_STATUS_INVALID_CONFIG = 2,
  /**
   * Functions were called in the wrong order; the message explains it.
   */
  PUSHER_STATUS_INVALID_STATE = 3,
  /**
   * The last byte of the request was never sent: certainly not delivered. `cause` says why.
   */
  PUSHER_STATUS_NOT_SENT = 20,
  /**
   * The request was sent, but no valid response arrived: it may have been delivered.
   */
  PUSHER_STATUS_DELIVERY_UNKNOWN = 21,
  /**
   * The server responded with 2xx, but the response cannot be read (it is truncated, too
   * long or not JSON): the event may have been delivered.
   */
  PUSHER_STATUS_BAD_RESPONSE = 22,
  /**
   * The server responded with 400, or with a 4xx that has no status of its own here.
   */
  PUSHER_STATUS_BAD_REQUEST = 40,
  /**
   * 401: the key, the secret or the clock is wrong.
   */
  PUSHER_STATUS_UNAUTHORIZED = 41,
  /**
   * 403: the application is disabled or over its quota.
   */
  PUSHER_STATUS_FORBIDDEN = 42,
  /**
   * 404: there is no such application or path.
   */
  PUSHER_STATUS_NOT_FOUND = 43,
  /**
   * 413, or the library found `data` too large and sent nothing.
   */
  PUSHER_STATUS_PAYLOAD_TOO_LARGE = 44,
  /**
   * 429: too many requests. Rejected; try again later.
   */
  PUSHER_STATUS_RATE_LIMITED = 45,
  /**
   * 5xx: the event may have been delivered.
   */
  PUSHER_STATUS_SERVER_ERROR = 46,
  /**
   * 3xx: not delivered. Redirects are never followed.
   */
  PUSHER_STATUS_REDIRECTED = 47,
  /**
   * The requests of a fan-out (option `fan_out`) ended differently. `parts` in the error document
   * has the result of each.
   */
  PUSHER_STATUS_PARTIAL = 48,
  /**
   * The webhook is not authentic.
   */
  PUSHER_STATUS_WEBHOOK_INVALID = 60,
  /**
   * An encrypted channel needs `encryption_master_key_base64` in the configuration.
   */
  PUSHER_STATUS_ENCRYPTION = 61,
  /**
   * The publisher's queue is full. The event was not queued.
   */
  PUSHER_STATUS_QUEUE_FULL = 80,
  /**
   * The publisher is closed. The event was not queued.
   */
  PUSHER_STATUS_CLOSED = 81,
  /**
   * The time was up before the call was done. After pusher_publisher_close(), the events
   * that had not ended are reported as not sent or unknown. After any other call nothing is
   * lost.
   */
  PUSHER_STATUS_TIMED_OUT = 82,
  /**
   * The publisher belongs to the parent process: create one in this process.
   */
  PUSHER_STATUS_FORKED = 83,
  /**
   * A bug in libpusher, caught (please report it), or the system is out of memory, threads
   * or randomness. The message says which.
   */
  PUSHER_STATUS_INTERNAL = 255,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum PusherStatus PusherStatus;
#else
typedef int32_t PusherStatus;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What happened to the events of a failed call.
 */
enum PusherDelivery
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The last byte of the request was never sent: certainly not delivered.
   */
  PUSHER_DELIVERY_NOT_SENT = 1,
  /**
   * The server refused the request before it processed any event: certainly not delivered.
   */
  PUSHER_DELIVERY_REJECTED = 2,
  /**
   * The event may have been delivered. Publishing it again may deliver it twice.
   */
  PUSHER_DELIVERY_UNKNOWN = 3,
  /**
   * The server accepted the event. Only in reports of a publisher.
   */
  PUSHER_DELIVERY_DELIVERED = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum PusherDelivery PusherDelivery;
#else
typedef int32_t PusherDelivery;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The severity of a log message.
 */
enum PusherLogLevel
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A call failed because of a bug, or because the system is out of memory or randomness.
   */
  PUSHER_LOG_LEVEL_ERROR = 1,
  /**
   * A call failed.
   */
  PUSHER_LOG_LEVEL_WARN = 2,
  /**
   * Something that explains later behaviour: a retry, or a correction of the clock.
   */
  PUSHER_LOG_LEVEL_INFO = 3,
  /**
   * A call succeeded.
   */
  PUSHER_LOG_LEVEL_DEBUG = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum PusherLogLevel PusherLogLevel;
#else
typedef int32_t PusherLogLevel;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The kind of an observation.
 */
enum PusherObservation
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A call has begun. An event of a publisher has waited in the queue before that.
   */
  PUSHER_OBSERVATION_CALL_START = 1,
  /**
   * An attempt begins: its request is signed, and is about to be sent.
   */
  PUSHER_OBSERVATION_ATTEMPT_START = 2,
  /**
   * An attempt has ended.
   */
  PUSHER_OBSERVATION_ATTEMPT_END = 3,
  /**
   * A call has ended, with its last attempt.
   */
  PUSHER_OBSERVATION_CALL_END = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum PusherObservation PusherObservation;
#else
typedef int32_t PusherObservation;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A client of one Channels application, or another handle of it (pusher_clone()).
 *
 * Threads: any number of threads may use one client at the same time.
 * Lifetime: from pusher_new() or pusher_clone() to pusher_free(). Free it when no call is running
 * any more; pusher_cancel() ends the calls that are.
 */
typedef struct Pusher Pusher;

/**
 * A queue of events that are sent in the background.
 *
 * Threads: any number of threads may use one publisher at the same time.
 * Lifetime: from pusher_publisher_new() to pusher_publisher_free(); it may outlive its client.
 * In a forked child, the parent's publishers only return ::PUSHER_STATUS_FORKED.
 */
typedef struct PusherPublisher PusherPublisher;

/**
 * A signed request, ready to be sent.
 *
 * Threads: only one thread may use it at a time.
 * Lifetime: from pusher_prepare() to pusher_request_free(); it may outlive its client. A
 * request passed to a ::PusherSendFn lives until that function returns.
 */
typedef struct PusherRequest PusherRequest;

/**
 * The server's response to a request, or the reason why there is none.
 *
 * Threads: only one thread may use it at a time.
 * Lifetime: from pusher_response_new() to pusher_response_free(). A response passed to a
 * ::PusherSendFn lives until that function returns.
 */
typedef struct PusherResponse PusherResponse;

/**
 * Sends the request, then calls pusher_response_set() or pusher_response_fail(). If it calls
 * neither, delivery is reported as unknown.
 *
 * What the library reports about delivery is only as accurate as this function:
 * - Send the method, URL, headers and body unchanged, byte for byte, and once. Many HTTP
 *   clients retry by themselves when a reused connection turns out to be closed: turn that
 *   off.
 * - Do not follow redirects: a lost event would be reported as delivered.
 * - Pass the complete body to pusher_response_set(), and all headers to
 *   pusher_response_set_header(). If the response was truncated, call pusher_response_fail()
 *   after that.
 * - Report ::PUSHER_DELIVERY_NOT_SENT only if the request's last byte was certainly not sent.
 * - Return within pusher_request_timeout_ms(), and verify certificates. The configuration
 *   of connections does not apply: `connect_timeout_ms`, `proxy`, `unix_socket`, the keys of
 *   certificates and those of idle connections.
 *
 * Called on the calling thread, possibly from several threads at once. A publisher calls it on
 * its own threads (`hooks_on_threads`). It must not throw, call longjmp(), free the client or
 * keep `request` or `response` after it returns.
 *
 * @param user_data  the pointer given to pusher_set_transport().
 * @param request    the request to send.
 * @param response   the response to fill in.
 */
typedef void (*PusherSendFn)(void *user_data,
                             const PusherRequest *request,
                             PusherResponse *response);

/**
 * Releases `user_data`. Called exactly once: when the client and its publishers are freed, or
 * at once if the setter fails. With `hooks_on_threads`, possibly on a thread of a publisher.
 * (A forked child that frees its copy of the client releases its copy of the data.)
 *
 * @param user_data  the pointer given to pusher_set_transport(), pusher_set_log() or
 *                   pusher_set_observer().
 */
typedef void (*PusherDropFn)(void *user_data);

/**
 * Receives a log message. It never contains a secret, a signature or a payload.
 *
 * Called on the calling thread, possibly from several threads at once. A publisher calls it on
 * its own threads (`hooks_on_threads`). It must not throw, call longjmp(), use or free the
 * client, or keep its arguments after it returns.
 *
 * @param user_data  the pointer given to pusher_set_log().
 * @param level      a ::PusherLogLevel.
 * @param message    a message for people.
 * @param fields     a JSON object: `call` (the function without `pusher_`), and where they
 *                   apply `duration_us`, `status`, `delivery`, `cause`, `http_status`,
 *                   `attempts`, `wait_ms` (before a retry) and `clock_offset_s`. Later
 *                   versions may add members.
 */
typedef void (*PusherLogFn)(void *user_data,
                            int32_t level,
                            const char *message,
                            const char *fields);

/**
 * Receives an observation: the start or the end of a call or of one of its attempts.
 *
 * A call is a function that makes a network call, or a request of a publisher with its retries.
 * Each start has one end with the same `call_id`. The attempts of a call are between them, one
 * after the other. pusher_prepare() and pusher_finish() are not observed: their caller sends.
 *
 * Called on the thread that makes the call, possibly from several threads at once. The requests of
 * a publisher are observed on its own threads, and only with `hooks_on_threads`. The callback must
 * not throw, call longjmp(), use or free the client, or keep its arguments after it returns. The
 * call waits for it, so let it be short.
 *
 * `fields` has these members where they apply. Times are integers in microseconds and begin at
 * the start, unless they say otherwise. Later versions may add members.
 *
 * | member            | of            | meaning                                            |
 * |-------------------|---------------|----------------------------------------------------|
 * | `call`            | all           | the function without `pusher_`, such as `trigger`  |
 * | `events`          | call start    | number of events, if a publisher sends them        |
 * | `part`            | attempts      | number of the request in a fan-out, from 1         |
 * | `attempt`         | attempts      | number of the attempt of a request, from 1         |
 * | `method`, `path`  | attempt start | of the request, without the query                  |
 * | `retry_cause`     | attempt start | failure before: see `retries` at pusher_stats()    |
 * | `duration_us`     | ends          | the time from the start                            |
 * | `pool_us`         | attempt end   | waiting for an idle connection                     |
 * | `lookup_us`       | attempt end   | looking up the host name                           |
 * | `connect_us`      | attempt end   | connecting                                         |
 * | `proxy_us`        | attempt end   | opening a tunnel through the proxy                 |
 * | `tls_us`          | attempt end   | the TLS handshake                                  |
 * | `write_us`        | attempt end   | handing the request to the system                  |
 * | `wait_us`         | attempt end   | waiting for the first bytes of the response        |
 * | `read_us`         | attempt end   | reading the response, and checking it              |
 * | `reused`          | attempt end   | whether the connection had been used before        |
 * | `sent_bytes`      | attempt end   | bytes of the request that were sent, without TLS   |
 * | `received_bytes`  | attempt end   | bytes of the response, without TLS                 |
 * | `http_status`     | attempt end   | status of the response                             |
 * | `attempts`        | call end      | number of attempts, those of all parts together    |
 * | `status`          | ends          | name of the ::PusherStatus, such as `NOT_SENT`     |
 * | `delivery`        | ends          | `delivered`, `not_sent`, `rejected` or `unknown`   |
 * | `cause`           | ends          | cause of a failure: see ::PusherStatus             |
 * | `retry_wait_us`   | attempt end   | time until the next attempt, if there will be one  |
 *
 * An attempt through pusher_set_transport() has neither times of its phases nor bytes. A phase that
 * was not entered has no time: a reused connection has only the last three. `delivery` is that of a
 * call that publishes.
 *
 * No member contains a secret, a signature, a query string, a payload or a header. `path` contains
 * the channel name of a query, and the user id of pusher_terminate_user_connections(): neither is a
 * secret to the library, but an id may be personal data. A path longer than 400 bytes is cut.
 *
 * @param user_data  the pointer given to pusher_set_observer().
 * @param kind       a ::PusherObservation. Later versions may add kinds: ignore unknown ones.
 * @param call_id    the id of the call, unique in the client. (A forked child goes on from the
 *                   ids of its parent.)
 * @param fields     a JSON object in ASCII.
 */
typedef void (*PusherObserveFn)(void *user_data,
                                int32_t kind,
                                uint64_t call_id,
                                const char *fields);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the version of the loaded library, such as `"0.1.0"`.
 *
 * @return a static string; do not free it.
 */
const char *pusher_version(void);

/**
 * Returns the version of the loaded library as a number, to compare with
 * ::PUSHER_VERSION_NUMBER, the version of the header.
 *
 * @return the version as `0x00MMmmpp`.
 */
uint32_t pusher_version_number(void);

/**
 * Returns the name of a status without its prefix, such as `"NOT_SENT"`.
 *
 * @param status  a ::PusherStatus; any number is allowed.
 * @return a static string, `"?"` for a number that is not a status; do not free it.
 */
const char *pusher_status_name(int32_t status);

/**
 * Creates a client from a configuration. Opens no connection and starts no thread: the first
 * call that needs one does. Of the files it reads only the client's own certificate and key, if
 * they are set, and keeps them: a later change of these files needs a new client.
 *
 * `config` is a JSON object, a URL, or NULL to read the environment:
 *
 * @verbatim
 * {"app_id":"APP_ID","key":"KEY","secret":"SECRET","cluster":"eu"}
 * https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID
 * @endverbatim
 *
 * The environment variables are `PUSHER_URL`, or else `PUSHER_APP_ID`, `PUSHER_KEY`,
 * `PUSHER_SECRET`, `PUSHER_CLUSTER`, `PUSHER_HOST`, `PUSHER_PORT` and `PUSHER_SCHEME`. An
 * object with `"server":"reverb"` takes each key that it leaves out from `REVERB_APP_ID`,
 * `REVERB_APP_KEY`, `REVERB_APP_SECRET`, `REVERB_HOST`, `REVERB_PORT` and `REVERB_SCHEME`. An
 * unknown key is an error. `docs/configuration.md` has the types, ranges and examples of these
 * keys. A member that is null counts as not given, and so does an empty string, except for
 * `channel_characters`:
 *
 * | key                            | default    | meaning                                    |
 * |--------------------------------|------------|--------------------------------------------|
 * | `app_id`                       | none       | id of the application, for each request    |
 * | `key`                          | required   | key of the application                     |
 * | `secret`                       | required   | secret of the application                  |
 * | `url`                          | none       | a URL as above; other keys override it     |
 * | `server`                       | `"pusher"` | kind of server: sets the defaults of keys  |
 * | `cluster`                      | `"mt1"`    | use the host `api-CLUSTER.pusher.com`      |
 * | `host`                         | by cluster | host name or IP address of the server      |
 * | `port`                         | by `ssl`   | port of the server: 443, or 80 without TLS |
 * | `ssl`                          | `true`     | use TLS; `false` with `unix_socket`        |
 * | `scheme`                       | by `ssl`   | `"https"` or `"http"`, in place of `ssl`   |
 * | `path`                         | none       | prefix of all paths                        |
 * | `sign_path_prefix`             | `true`     | `false` if a proxy strips `path`           |
 * | `unix_socket`                  | none       | path of a Unix domain socket to connect to |
 * | `timeout_ms`                   | 5000       | limit of a call, with all its attempts     |
 * | `attempt_timeout_ms`           | none       | limit of one attempt                       |
 * | `connect_timeout_ms`           | 3000       | limit of connecting, TLS included          |
 * | `retry`                        | safe, 3    | retry mode and attempts: see below         |
 * | `circuit_breaker`              | none       | fail at once during an outage: see below   |
 * | `idempotency`                  | by `server` | or `"auto"`: a key for each request       |
 * | `server_deduplicates`          | `false`    | resend requests with a key: see below      |
 * | `idempotency_window_ms`        | 120000     | how long the server remembers a key        |
 * | `clock_correction`             | `true`     | sign with the server's time if it differs  |
 * | `max_idle_connections`         | 8          | idle connections to keep for reuse         |
 * | `idle_timeout_ms`              | 15000      | how long to keep an idle connection        |
 * | `max_connection_age_ms`        | 300000     | how long to reuse a connection             |
 * | `headers`                      | none       | headers to add to each request             |
 * | `proxy`                        | none       | URL of an HTTP proxy, or `"env"`           |
 * | `ca_file`                      | none       | PEM file of the only certificates to trust |
 * | `tls_roots`                    | `"system"` | or `"bundled"` or `"both"`                 |
 * | `extra_ca_file`                | none       | PEM file of more certificates to trust     |
 * | `client_certificate_file`      | none       | PEM file of the client's own certificate   |
 * | `client_key_file`              | none       | PEM file of that certificate's private key |
 * | `encryption_master_key_base64` | none       | 32 bytes for `private-encrypted-` channels |
 * | `webhook_tokens`               | none       | more keys and secrets that sign webhooks   |
 * | `webhook_max_age_ms`           | 600000     | oldest webhook to accept; 0 for any age    |
 * | `max_data_bytes`               | 10240      | limit of `data`                            |
 * | `max_batch_events`             | 10         | limit of events in a batch                 |
 * | `max_channels`                 | 100        | limit of channels of an event              |
 * | `max_request_bytes`            | none       | limit of a request, head and body          |
 * | `max_response_bytes`           | 16777216   | limit of a response                        |
 * | `batch_route`                  | by server  | `false` or `"auto"` if it may be missing   |
 * | `channel_characters`           | by server  | more characters of names: `:` and `#`      |
 * | `log_level`                    | `"warn"`   | least severe level to log                  |
 * | `stats_format`                 | `"json"`   | or `"prometheus"`, for pusher_stats()      |
 *
 * Without `app_id` a client signs authorizations and checks webhooks. Every function that makes a
 * request then returns ::PUSHER_STATUS_INVALID_CONFIG.
 *
 * **Retries.** In mode `"safe"` a call is retried if it was certainly not delivered and may
 * succeed next time: a request that was not sent (unless the host does not exist, or TLS or a
 * proxy failed), a 429, and a 401 that corrected the clock. Read-only calls (GET) are retried
 * after a 5xx or a lost response, too. Mode `"at_least_once"` also retries calls whose result
 * is `unknown`, except 4xx refusals: an event may then arrive twice. Mode `"never"` sends
 * once.
 *
 * All attempts share the call's `timeout_ms`. With `attempt_timeout_ms` each of them is shorter,
 * so that a silent server leaves time for a retry: the attempt then ends with the cause
 * `timeout`, as `unknown` if its request was sent. Before each retry there is a random wait, at
 * most 0.1 s before the first, doubling up to 5 s, and no shorter than the server's
 * `Retry-After`. If the wait does not fit into the time left, the call returns the failure at
 * once. A client may retry ten times at once; beyond that, retries are limited to a share of
 * its calls: `"ratio":0.1` in `retry`, where 1 sets no limit.
 *
 * If any attempt may have been delivered and no later one succeeds, the call fails with the
 * error of the first such attempt.
 *
 * **Circuit breaker.** With `"circuit_breaker":{"failures":5,"open_ms":10000}` calls fail at once
 * after so many failures in a row to reach the server: as ::PUSHER_STATUS_NOT_SENT with the
 * cause `circuit`, and `retry_after_ms`. After `open_ms`, and up to a tenth more, one call is
 * sent; an answer lets the others pass again. A failure is a connection that cannot be made, and
 * a request without an answer; any HTTP status is an answer. A client has one circuit. The
 * events of its publishers wait in the queue while it is open.
 *
 * **Idempotency keys.** A server that knows the key of a request answers as it did the first
 * time, and publishes nothing again. The option `idempotency_key` of a call sets the key, and
 * `"idempotency":"auto"` makes a random one for each request that publishes (the default with
 * `"server":"sockudo"`). All attempts of a request have the same key and body. With
 * `"server_deduplicates":true` you vouch that the server has keys switched on, and that its
 * cache survives: mode `"safe"` then also retries an `unknown` result of a request with a key,
 * as long as the attempt ends within `idempotency_window_ms` of the first.
 *
 * Never use a key for another body: the server compares keys only, drops the second body, and
 * answers that all is well. The call then returns ::PUSHER_STATUS_OK for an event that nobody
 * receives. Use a key again only to repeat the same call within the window.
 *
 * @param config  the configuration, or NULL for the environment.
 * @param client  receives the client, or NULL on failure. The caller frees it with
 *                pusher_free().
 * @param out     receives the error document on failure, else NULL. The caller frees it with
 *                pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_CONFIG (`argument` names the key), or
 *         ::PUSHER_STATUS_INVALID_ARGUMENT.
 */
PusherStatus pusher_new(const char *config,
                        Pusher **client,
                        char **out);

/**
 * Returns the statistics of a client, since it was created.
 *
 * - `calls`: for each function that makes a network call, without `pusher_`, how its calls ended.
 *   One that publishes or changes something: `delivered`, `not_sent`, `rejected` and `unknown`; a
 *   query: `succeeded` and `failed`.
 * - `requests`: requests sent, each attempt counted, those of publishers included.
 * - `retries`: retries, by what had failed: a `cause`, `rate_limited`, `server_error` or `other`;
 *   without those that did not happen.
 * - `latency_ms`: a histogram of the time of a call, retries included. It has `count`, `sum` and
 *   `buckets`, an array of `[bound, count]`; the last bound is null.
 * - `connections`: `idle` ones of this process now, those that were `opened`, and how many requests
 *   `reused` one. A transport of your own has none of them.
 *
 * With `"stats_format":"prometheus"` in the configuration the result is the same in Prometheus'
 * text format. pusher_prepare() and pusher_finish() are not counted. A forked child goes on from
 * its parent's counts. For the events of a publisher, see pusher_publisher_stats().
 *
 * @param client  the client.
 * @param out     receives the statistics, or the error document on failure. The caller frees it
 *                with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_INVALID_ARGUMENT if `client` is NULL.
 */
PusherStatus pusher_stats(const Pusher *client,
                          char **out);

/**
 * Creates another handle of a client. It shares the configuration, the connections, the
 * callbacks, the statistics and the limit of retries, but only pusher_cancel() of this handle ends
 * its calls. So each request that your own server handles, or each task, can have calls that end
 * with it.
 *
 * It takes some hundred bytes, and neither a thread nor a descriptor. A handle of a cancelled
 * client is not cancelled.
 *
 * @param client  the client. Any number of threads may clone it, and it may be freed before its
 *                clones.
 * @param clone   receives the handle, or NULL on failure. The caller frees it with
 *                pusher_free().
 * @param out     receives the error document on failure, else NULL. The caller frees it with
 *                pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_INVALID_ARGUMENT if a pointer is NULL.
 */
PusherStatus pusher_clone(const Pusher *client,
                          Pusher **clone,
                          char **out);

/**
 * Cancels the calls of this handle: those that are running end at once, and later ones fail. It
 * cannot be undone: make a new handle with pusher_clone() beforehand for calls that go on.
 *
 * A call that was cancelled reports what is true of its event, with the cause `cancelled`:
 * ::PUSHER_STATUS_NOT_SENT if the request's last byte was not sent, else usually
 * ::PUSHER_STATUS_DELIVERY_UNKNOWN. It is not retried. A call that waited for a retry keeps status
 * and delivery of its last attempt: after a 429, ::PUSHER_STATUS_RATE_LIMITED and `rejected`. A
 * call whose response is complete succeeds. A later call returns ::PUSHER_STATUS_NOT_SENT and
 * sends nothing. Functions that send no request work on, such as pusher_authenticate(),
 * pusher_prepare() and pusher_clone().
 *
 * A lookup of a host name is abandoned within 50 ms: its thread ends by itself. A transport that
 * pusher_set_transport() set is not interrupted: the call ends with what the transport reports.
 * A publisher is not affected, even if it was created with this handle.
 *
 * Threads and signals: it may be called from any thread, and from a signal handler. It is
 * async-signal-safe, takes no lock, does not wait for the calls to return, and restores
 * `errno`. Never call it while pusher_free() may run on the same handle.
 * Fork: it ends calls of the calling process only. A child of a cancelled process starts with
 * cancelled handles.
 *
 * @param client  the client. NULL is ignored.
 */
void pusher_cancel(const Pusher *client);

/**
 * Frees a client, or one of its handles. No call of this handle may be running in another thread,
 * pusher_cancel() neither.
 *
 * A publisher and other handles may outlive a client: the client's connections and callbacks then
 * stay until the last of them is freed.
 *
 * @param client  the client. NULL is ignored.
 */
void pusher_free(Pusher *client);

/**
 * Frees a string that the library wrote to an `out` parameter.
 *
 * @param text  the string. NULL is ignored. Its contents may have been modified, but not its
 *              length: do not write a NUL into it, as strtok() does.
 */
void pusher_string_free(char *text);

/**
 * Extracts from an error document what happened to the events of the call.
 *
 * It never believes a result, whatever the server wrote: no result begins like an error document.
 * The same holds for all functions that read error documents. None of them allocates memory.
 *
 * @param document  the error document as the call wrote it to `out`, or NULL.
 * @return a ::PusherDelivery; 0 if the document has no `delivery` (a query, a result, NULL).
 */
int32_t pusher_error_delivery(const char *document);

/**
 * Extracts the human-readable message from an error document, like snprintf().
 *
 * @param document  the error document as the call wrote it to `out`, or NULL.
 * @param buffer    receives the message, truncated to fit (never inside a UTF-8 character) and
 *                  always NUL-terminated; may be NULL if `size` is 0.
 * @param size      size of `buffer` in bytes.
 * @return the length of the whole message in bytes, without the NUL: the message was truncated
 *         if this is not less than `size`. 0 if there is no message.
 */
size_t pusher_error_message(const char *document, char *buffer, size_t size);

/**
 * Extracts from an error document the status that the call returned.
 *
 * @param document  the error document as the call wrote it to `out`, or NULL.
 * @return a ::PusherStatus; 0 if this is no error document (a result, NULL), or if a newer
 *         library wrote it with a status that this one does not know.
 */
int32_t pusher_error_status(const char *document);

/**
 * Extracts from an error document whether the same call may succeed later, and cannot do anything
 * twice.
 *
 * @param document  the error document as the call wrote it to `out`, or NULL.
 * @return 1 or 0; 0 if the document has no `retryable` (nothing was tried, a result, NULL).
 */
int32_t pusher_error_retryable(const char *document);

/**
 * Extracts from an error document the HTTP status of the server's response.
 *
 * @param document  the error document as the call wrote it to `out`, or NULL.
 * @return the status, such as 429; 0 if no status line arrived, or if this is no error document.
 */
int32_t pusher_error_http_status(const char *document);

/**
 * Extracts from an error document how long the server asked to wait before the next call.
 *
 * @param document  the error document as the call wrote it to `out`, or NULL.
 * @return the time in milliseconds, at most one day; -1 if the server sent no `Retry-After`, or
 *         if this is no error document.
 */
int64_t pusher_error_retry_after_ms(const char *document);

/**
 * Extracts the cause of a failure of the network or of the response, like snprintf(): `dns`,
 * `connect`, `tls`, `proxy`, `write`, `timeout`, `reset`, `closed`, `malformed`, `transport`,
 * `cancelled` or `circuit`. Later versions may add words.
 *
 * @param document  the error document as the call wrote it to `out`, or NULL.
 * @param buffer    receives the word, truncated to fit and always NUL-terminated; may be NULL if
 *                  `size` is 0. 16 bytes are enough for each word.
 * @param size      size of `buffer` in bytes.
 * @return the length of the whole word in bytes, without the NUL; 0 if there is no cause.
 */
size_t pusher_error_cause(const char *document,
                          char *buffer,
                          size_t size);

/**
 * Extracts the error code in the server's response, like snprintf(): a word or a number, such as
 * `feature_disabled` of sockudo or `4001`.
 *
 * @param document  the error document as the call wrote it to `out`, or NULL.
 * @param buffer    receives the code, truncated to fit and always NUL-terminated; may be NULL if
 *                  `size` is 0. 65 bytes are enough for each code.
 * @param size      size of `buffer` in bytes.
 * @return the length of the whole code in bytes, without the NUL; 0 if there is none.
 */
size_t pusher_error_server_code(const char *document,
                                char *buffer,
                                size_t size);

/**
 * Quotes and escapes a string as a JSON string: the payload (`data`) for a plain string, or a part
 * of JSON that you put together, such as the name of a user in `channel_data`.
 *
 * @param text  UTF-8; NULL only if `len` is 0. NUL bytes are allowed, and are escaped.
 * @param len   the length of `text` in bytes, without a NUL at the end: strlen() of a C string.
 * @param out   receives the JSON string, quotes included, such as `"say \"hello\""`, or an error
 *              document. Free it with pusher_string_free().
 * @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_INVALID_ARGUMENT if `text` is not UTF-8 or is
 *         NULL.
 */
PusherStatus pusher_json_string(const char *text,
                                size_t len,
                                char **out);

/**
 * Publishes an event on one or more channels, and waits for the server's response.
 *
 * A server that refuses an event for several channels (with 400, 413 or 422, say) may have
 * delivered it to some of them: delivery is then ::PUSHER_DELIVERY_UNKNOWN.
 *
 * **Fan-out.** With the option `fan_out`, `true`, an event may have up to 10,000 channels,
 * encrypted ones among them, and none of them twice. It takes as many requests as needed, one
 * after another in the order of the channels, within one `timeout_ms`: each encrypted channel
 * has its own, and `max_channels` others share one. Each request has its own signature and
 * retries. If they all end alike, so does the call, and `info` returns the attributes of all
 * channels. Otherwise it returns ::PUSHER_STATUS_PARTIAL, and `parts` in the error document is an
 * array with the `channels`, `status` and `delivery` of each request, and its `cause` and
 * `http_status` if it has any. A failed request does not stop those after it, with two
 * exceptions: none begins after the deadline, and none after a failure that all would share
 * (`UNAUTHORIZED`, `FORBIDDEN`, `NOT_FOUND`, `REDIRECTED`, or `NOT_SENT` that is not
 * `retryable`). A request that was not begun is `NOT_SENT`; if none before it was or may have
 * been delivered, the call has the result of the failure.
 *
 * @param client    the client.
 * @param channels  one channel name, or a JSON array of 1 to 100 of them. A name has 1 to 200
 *                  of the characters `A-Z a-z 0-9 _ - = @ , . ;`. An event on a
 *                  `private-encrypted-` channel is encrypted first, and cannot be combined
 *                  with other channels, except with the option `fan_out`.
 * @param event     the event's name, 1 to 200 characters.
 * @param data      the payload: JSON, at most 10,240 bytes (7,619 on an encrypted channel). A
 *                  plain string needs quotes, such as `"hello"`. If the payload is a JSON
 *                  string, its content is sent; any other value is sent as it is written, byte
 *                  for byte.
 * @param options   a JSON object, or NULL: `socket_id` (the connection that does not get the
 *                  event), `info` (channel attributes to return, such as
 *                  `"user_count,subscription_count"`), `idempotency_key` (1 to 128 visible
 *                  ASCII characters; never use a key for another body: see pusher_new()),
 *                  `extra` (an object: more members of the event, which only some servers
 *                  know), `extra_in_clear` (`true` sends these to an encrypted channel, too,
 *                  where they are not encrypted), `headers` (an object of strings, to add to
 *                  those of the client), `timeout_ms` (in place of the client's), `fan_out`
 *                  (see above).
 * @param out       receives the server's response (`{}` if it is empty), or the error document
 *                  on failure. The caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK if the event was delivered to the API. After any other status,
 *         ask pusher_error_delivery() what happened to the event.
 */
PusherStatus pusher_trigger(const Pusher *client,
                            const char *channels,
                            const char *event,
                            const char *data,
                            const char *options,
                            char **out);

/**
 * Publishes several events in one request, and waits for the server's response.
 *
 * A batch is not atomic: a server that refuses one of its events (with 400, 413 or 422, say)
 * may have delivered those before it. Delivery is then ::PUSHER_DELIVERY_UNKNOWN for the whole
 * batch.
 *
 * Some servers have no route for batches: they answer 404 or 405, and nothing is delivered. If
 * `batch_route` is false in the configuration, nothing is sent.
 *
 * @param client   the client.
 * @param events   a JSON array of 1 to 10 objects with the members `channel`, `name` and
 *                 `data`, and optionally `socket_id`, `info`, `extra` and
 *                 `extra_in_clear`, as for pusher_trigger(). `data` is any JSON value.
 * @param options  a JSON object, or NULL: `idempotency_key` (of the whole batch), `timeout_ms`,
 *                 `headers`.
 * @param out      receives the server's response, or the error document on failure, whose
 *                 `argument` names the event at fault, such as `events[3].channel`. The caller
 *                 frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK if all events were delivered to the API. After any other status,
 *         ask pusher_error_delivery() what happened to them.
 */
PusherStatus pusher_trigger_batch(const Pusher *client,
                                  const char *events,
                                  const char *options,
                                  char **out);

/**
 * Publishes an event to all connections of a user who has signed in
 * (pusher_authenticate_user()).
 *
 * @param client   the client.
 * @param user_id  the user's id, 1 to 200 of the characters that channel names have.
 * @param event    the event's name, 1 to 200 characters.
 * @param data     the payload, as for pusher_trigger().
 * @param options  as for pusher_trigger().
 * @param out      receives the server's response, or the error document on failure. The caller
 *                 frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK if the event was delivered to the API. After any other status,
 *         ask pusher_error_delivery() what happened to the event.
 */
PusherStatus pusher_send_to_user(const Pusher *client,
                                 const char *user_id,
                                 const char *event,
                                 const char *data,
                                 const char *options,
                                 char **out);

/**
 * Closes all connections of a user who has signed in.
 *
 * @param client   the client.
 * @param user_id  the user's id, as for pusher_send_to_user().
 * @param options  a JSON object, or NULL: `timeout_ms`, `headers`.
 * @param out      receives the server's response, or the error document on failure. The caller
 *                 frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK if the server accepted the request. After any other status, ask
 *         pusher_error_delivery() whether the connections may have been closed.
 */
PusherStatus pusher_terminate_user_connections(const Pusher *client,
                                               const char *user_id,
                                               const char *options,
                                               char **out);

/**
 * Lists the channels that have subscribers.
 *
 * @param client         the client.
 * @param prefix_filter  only channels whose names begin with this, such as `"presence-"`; NULL
 *                       or an empty string for all.
 * @param attributes     comma-separated attributes to return for each channel, such as
 *                       `"user_count"` (which needs a `presence-` filter); or NULL.
 * @param options        a JSON object, or NULL: `timeout_ms`, `headers`.
 * @param out            receives the response, `{"channels":{NAME:{...}}}`, or the error
 *                       document on failure. The caller frees it with pusher_string_free().
 *                       May be NULL.
 * @return ::PUSHER_STATUS_OK, or the status of the failure.
 */
PusherStatus pusher_channels_info(const Pusher *client,
                                  const char *prefix_filter,
                                  const char *attributes,
                                  const char *options,
                                  char **out);

/**
 * Returns the state of one channel.
 *
 * @param client      the client.
 * @param channel     the channel's name.
 * @param attributes  comma-separated attributes to return, such as
 *                    `"user_count,subscription_count,cache"`; or NULL.
 * @param options     a JSON object, or NULL: `timeout_ms`, `headers`.
 * @param out         receives the response, `{"occupied":true,...}`, or the error document on
 *                    failure. The caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or the status of the failure.
 */
PusherStatus pusher_channel_info(const Pusher *client,
                                 const char *channel,
                                 const char *attributes,
                                 const char *options,
                                 char **out);

/**
 * Lists the users on a presence channel.
 *
 * @param client   the client.
 * @param channel  the channel's name. Servers refuse one that does not begin with `presence-`.
 * @param options  a JSON object, or NULL: `params` (the query, as for pusher_get(), such as
 *                 `{"with_user_info":1}` for soketi), `timeout_ms`, `headers`.
 * @param out      receives the response, `{"users":[{"id":...}]}`, or the error document on
 *                 failure. The caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or the status of the failure.
 */
PusherStatus pusher_users_info(const Pusher *client,
                               const char *channel,
                               const char *options,
                               char **out);

/**
 * Sends a GET request to any path of the API.
 *
 * @param client   the client.
 * @param path     a path below `/apps/APP_ID`, such as `"/channels"`.
 * @param params   the query: a JSON object of strings, integers and booleans, with names of
 *                 `a-z 0-9 _`; or NULL.
 * @param options  a JSON object, or NULL: `timeout_ms`, `headers`.
 * @param out      receives the response, or the error document on failure. The caller frees it
 *                 with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or the status of the failure.
 */
PusherStatus pusher_get(const Pusher *client,
                        const char *path,
                        const char *params,
                        const char *options,
                        char **out);

/**
 * Sends a POST request to any path of the API.
 *
 * The library does not know what the path does. A refusal with 400, 413 or 422 therefore
 * counts as ::PUSHER_DELIVERY_UNKNOWN.
 *
 * @param client   the client.
 * @param path     a path below `/apps/APP_ID`, such as `"/events"`.
 * @param params   the query, as for pusher_get(); or NULL.
 * @param body     the body: JSON, sent as it is; NULL for `{}`.
 * @param options  a JSON object, or NULL: `timeout_ms`, `headers`.
 * @param out      receives the response, or the error document on failure. The caller frees it
 *                 with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK if the server accepted the request. After any other status, ask
 *         pusher_error_delivery() what happened to it.
 */
PusherStatus pusher_post(const Pusher *client,
                         const char *path,
                         const char *params,
                         const char *body,
                         const char *options,
                         char **out);

/**
 * Sends a DELETE request, without a body, to any path of the API.
 *
 * The library does not know what the path does. A refusal with 400, 413 or 422 therefore
 * counts as ::PUSHER_DELIVERY_UNKNOWN, and a lost response is not retried in mode `"safe"`.
 *
 * @param client   the client.
 * @param path     a path below `/apps/APP_ID`, of resources that your server can delete.
 * @param params   the query, as for pusher_get(); or NULL.
 * @param options  a JSON object, or NULL: `timeout_ms`, `headers`.
 * @param out      receives the response (`{}` if it is empty), or the error document on failure.
 *                 The caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK if the server accepted the request. After any other status, ask
 *         pusher_error_delivery() what happened to it.
 */
PusherStatus pusher_delete(const Pusher *client,
                           const char *path,
                           const char *params,
                           const char *options,
                           char **out);

/**
 * Authorizes a connection to subscribe to a channel: creates the body that your authorization
 * endpoint returns. (The Channels documentation says "authorize a channel".) Uses no network.
 *
 * Call it only after you have checked that the user may subscribe to the channel.
 *
 * @param client        the client.
 * @param channel       the channel's name, which begins with `private-` or `presence-`. Public
 *                      channels need no authorization: their names are an error.
 * @param socket_id     the connection's id, such as `"1234.5678"`.
 * @param channel_data  for a presence channel a JSON object with `user_id`, a string or an
 *                      integer, and optionally `user_info`, an object or null. For a private
 *                      channel any JSON, or NULL; only an object, or NULL, if names of channels may
 *                      contain `:` (`channel_characters`). With the server soketi, only NULL. It is
 *                      signed and returned exactly as given.
 * @param out           receives `{"auth":"KEY:SIGNATURE"}`, with `channel_data` if you gave it
 *                      and `shared_secret` on a `private-encrypted-` channel: return it
 *                      unchanged. On failure, receives the error document. The caller frees it
 *                      with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_ARGUMENT, or ::PUSHER_STATUS_ENCRYPTION
 *         if an encrypted channel has no master key.
 */
PusherStatus pusher_authenticate(const Pusher *client,
                                 const char *channel,
                                 const char *socket_id,
                                 const char *channel_data,
                                 char **out);

/**
 * Authorizes a connection to subscribe to several channels: creates the body that your
 * authorization endpoint returns to a batch authorizer, such as pusher-js-auth. Uses no
 * network.
 *
 * Call it only with channels to which the user may subscribe, after you have checked that for
 * each. Leave out the others: pusher-js-auth refuses a channel that is not in the result.
 *
 * @param client     the client.
 * @param socket_id  the connection's id, such as `"1234.5678"`.
 * @param channels   a JSON array of 1 to 100 channels, none of them twice. Each is a name, or an
 *                   object with `channel` and optionally `channel_data`, as for
 *                   pusher_authenticate(). A `channel_data` that is an object is signed and
 *                   returned exactly as it is written. The content of a `channel_data` that is a
 *                   JSON string is signed and returned instead: `"{\"user_id\":\"7\"}"`.
 * @param out        receives an object with a member for each channel, or the error document on
 *                   failure. The member is `{"status":200,"data":{"auth":"KEY:SIGNATURE"}}`, with
 *                   the `data` that pusher_authenticate() returns, or, for an invalid channel,
 *                   `{"status":400,"error":{...}}` with the members of an error document (see
 *                   ::PusherStatus). An encrypted channel without a master key has 500, and
 *                   ENCRYPTION in `error`. An invalid channel does not affect the others. The
 *                   caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, even if every channel is invalid.
 *         ::PUSHER_STATUS_INVALID_ARGUMENT if `socket_id` is invalid, `channels` is not such an
 *         array, or a channel is in it twice.
 */
PusherStatus pusher_authenticate_channels(const Pusher *client,
                                          const char *socket_id,
                                          const char *channels,
                                          char **out);

/**
 * Signs a user in on a connection: creates the body that your user authentication endpoint
 * returns. Uses no network.
 *
 * @param client     the client.
 * @param socket_id  the connection's id, such as `"1234.5678"`.
 * @param user_data  a JSON object with `id`, a string of 1 to 200 of the characters that
 *                   pusher_send_to_user() takes, and any other members. It is signed and
 *                   returned exactly as given.
 * @param out        receives `{"auth":"KEY:SIGNATURE","user_data":"..."}`: return it
 *                   unchanged. On failure, receives the error document. The caller frees it
 *                   with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK or ::PUSHER_STATUS_INVALID_ARGUMENT.
 */
PusherStatus pusher_authenticate_user(const Pusher *client,
                                      const char *socket_id,
                                      const char *user_data,
                                      char **out);

/**
 * Checks that a webhook comes from the Channels application, and returns its payload. Uses no
 * network.
 *
 * The signature is compared in constant time, over the raw body and before the body is parsed.
 * In a CGI program (`c_examples/webhook.c` is a complete server):
 *
 * @code
 * static uint8_t body[1 << 20];
 * char *payload;
 * size_t length = fread(body, 1, sizeof body, stdin);
 * PusherStatus status = pusher_validate_webhook(client, getenv("HTTP_X_PUSHER_KEY"),
 *                                               getenv("HTTP_X_PUSHER_SIGNATURE"),
 *                                               body, length, &payload);
 * printf("Status: %s\r\n\r\n", status == PUSHER_STATUS_OK ? "200 OK" : "401 Unauthorized");
 * pusher_string_free(payload);
 * @endcode
 *
 * @param client     the client.
 * @param key        the request's `X-Pusher-Key` header, or NULL if it has none. It must be
 *                   the application's key or one of the configuration's `webhook_tokens`.
 * @param signature  the request's `X-Pusher-Signature` header, or NULL if it has none.
 * @param body       the request's raw body, before anything decodes it; may be NULL if
 *                   `body_len` is 0.
 * @param body_len   length of `body` in bytes.
 * @param out        receives the payload, `{"time_ms":...,"events":[...]}`, unchanged except
 *                   for the `data` of client events on `private-encrypted-` channels: if there
 *                   is a master key, it is decrypted; an event that cannot be decrypted gets a
 *                   `decryption_error` member. On failure, receives the error document. The
 *                   caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK if the webhook is authentic. ::PUSHER_STATUS_WEBHOOK_INVALID if
 *         it is not, if it is older than `webhook_max_age_ms` or more than a minute in the
 *         future, or if its body is not a JSON object: respond with 401.
 */
PusherStatus pusher_validate_webhook(const Pusher *client,
                                     const char *key,
                                     const char *signature,
                                     const uint8_t *body,
                                     size_t body_len,
                                     char **out);

/**
 * Signs a call without sending it, for event loops and other HTTP clients.
 *
 * Send the request by the rules of ::PusherSendFn, and pass the response to pusher_finish().
 * To retry, prepare the call again: each attempt needs a new signature. The call's
 * `timeout_ms` begins here.
 *
 * @param client     the client.
 * @param call       the name of a function that makes a network call, without `pusher_`, such
 *                   as `"trigger"`.
 * @param arguments  the string arguments of that function in its order, without `client` and
 *                   `out`; NULL for one that is left out.
 * @param count      number of `arguments`; missing ones at the end are left out.
 * @param request    receives the request, or NULL on failure. The caller frees it with
 *                   pusher_request_free().
 * @param out        receives the error document on failure, else NULL. The caller frees it
 *                   with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or the status that the function itself would return before it
 *         sends anything; ::PUSHER_STATUS_INVALID_ARGUMENT for a fan-out that needs more than one
 *         request.
 */
PusherStatus pusher_prepare(const Pusher *client,
                            const char *call,
                            const char *const *arguments,
                            size_t count,
                            PusherRequest **request,
                            char **out);

/**
 * Returns the result of a prepared request, as the call itself would have returned it.
 *
 * @param client    the client that prepared the request, or another with the same
 *                  configuration.
 * @param request   the request. It can be finished once, and must still be freed.
 * @param response  the response. It must still be freed.
 * @param out       receives the result, or the error document on failure. The caller frees it
 *                  with pusher_string_free(). May be NULL.
 * @return the status of the call; ::PUSHER_STATUS_INVALID_STATE if the request was finished
 *         before; ::PUSHER_STATUS_INVALID_ARGUMENT if a handle is NULL.
 */
PusherStatus pusher_finish(const Pusher *client,
                           PusherRequest *request,
                           const PusherResponse *response,
                           char **out);

/**
 * Returns the method of a request, `"POST"` or `"GET"`.
 *
 * @param request  the request.
 * @return a string that lives as long as the request; NULL if `request` is NULL.
 */
const char *pusher_request_method(const PusherRequest *request);

/**
 * Returns the complete URL of a request. It contains the signature: do not log it.
 *
 * @param request  the request.
 * @return a string that lives as long as the request; NULL if `request` is NULL.
 */
const char *pusher_request_url(const PusherRequest *request);

/**
 * Returns the number of headers of a request. `Host` and `Content-Length` are not among them:
 * HTTP clients set them.
 *
 * @param request  the request.
 * @return the number of headers; 0 if `request` is NULL.
 */
size_t pusher_request_header_count(const PusherRequest *request);

/**
 * Returns one header of a request.
 *
 * @param request  the request.
 * @param index    0 to pusher_request_header_count() - 1.
 * @param name     receives the header's name, in lower case; it lives as long as the request.
 *                 May be NULL.
 * @param value    receives the header's value; it lives as long as the request. May be NULL.
 * @return 1, or 0 if there is no such header (`name` and `value` then receive NULL).
 */
int32_t pusher_request_header(const PusherRequest *request,
                              size_t index,
                              const char **name,
                              const char **value);

/**
 * Returns the body of a request, exactly as it was signed, with a NUL after its end.
 *
 * @param request  the request.
 * @param len      receives the body's length in bytes, without the NUL. May be NULL.
 * @return bytes that live as long as the request, empty for a GET; NULL if `request` is NULL.
 */
const uint8_t *pusher_request_body(const PusherRequest *request, size_t *len);

/**
 * Returns the whole HTTP/1.1 request as the library itself would send it, for programs with
 * sockets of their own: request line, headers with `host` and `content-length`, and body.
 *
 * Connect to pusher_request_host() and pusher_request_port(), with TLS if pusher_request_tls()
 * is 1. A `proxy` or `unix_socket` of the configuration is not used. Write the bytes once, and
 * pass what arrives to pusher_response_feed(). The bytes contain the signature: do not log them.
 *
 * The first call makes the bytes, later calls return the same ones. It changes the request: no
 * other thread may use it meanwhile.
 *
 * @param request  the request.
 * @param len      receives the number of bytes; 0 if there are none. May be NULL.
 * @return bytes that live as long as the request; NULL if `request` is NULL or memory runs out.
 */
const uint8_t *pusher_request_bytes(const PusherRequest *request,
                                    size_t *len);

/**
 * Returns the host that a request goes to: a name to look up and to check the certificate with,
 * or an IP address, IPv6 without brackets. A name that the configuration ends with a dot keeps the
 * dot; leave it out for TLS.
 *
 * @param request  the request.
 * @return a string that lives as long as the request; NULL if `request` is NULL or memory runs
 *         out.
 */
const char *pusher_request_host(const PusherRequest *request);

/**
 * Returns the port that a request goes to.
 *
 * @param request  the request.
 * @return the port; 0 if `request` is NULL.
 */
uint16_t pusher_request_port(const PusherRequest *request);

/**
 * Returns whether a request goes over TLS.
 *
 * @param request  the request.
 * @return 1 or 0; 0 if `request` is NULL.
 */
int32_t pusher_request_tls(const PusherRequest *request);

/**
 * Returns the time left to send a request and receive the response.
 *
 * @param request  the request.
 * @return milliseconds. 0 if the deadline has passed: do not send. (libcurl treats a timeout
 *         of 0 as "no timeout".)
 */
uint32_t pusher_request_timeout_ms(const PusherRequest *request);

/**
 * Frees a request that pusher_prepare() created.
 *
 * @param request  the request, but never one passed to a ::PusherSendFn. NULL is ignored.
 */
void pusher_request_free(PusherRequest *request);

/**
 * Creates an empty response for pusher_finish(). A ::PusherSendFn gets one from the library
 * instead.
 *
 * @return the response. The caller frees it with pusher_response_free().
 */
PusherResponse *pusher_response_new(void);

/**
 * Sets the server's response. Replaces whatever was set before.
 *
 * @param response     the response. NULL is ignored.
 * @param http_status  the HTTP status, 200 to 599. Any other is reported as a malformed
 *                     response.
 * @param body         the complete body, with its transfer coding removed; copied. May be NULL
 *                     if `body_len` is 0.
 * @param body_len     length of `body` in bytes.
 */
void pusher_response_set(PusherResponse *response,
                         int32_t http_status,
                         const uint8_t *body,
                         size_t body_len);

/**
 * Adds a header to a response. Pass all headers; the library uses `Retry-After`, `Date` (to
 * notice a wrong clock), the `X-RateLimit-` headers, and `Content-Length` or
 * `Transfer-Encoding`: without one of these, an empty body counts as truncated.
 *
 * @param response  the response. NULL is ignored.
 * @param name      the header's name, in any case. The header is ignored if this is NULL or
 *                  not UTF-8.
 * @param value     the header's value; copied. The header is ignored if this is NULL or not
 *                  UTF-8.
 */
void pusher_response_set_header(PusherResponse *response, const char *name, const char *value);

/**
 * Passes bytes of the server's response on as they were received, in pieces of any size, for
 * programs with sockets of their own. The library reads them as it reads its own connections:
 * interim responses, chunks, and bodies that end with the connection.
 *
 * Feed what arrives until the response is whole, then call pusher_finish() and close the
 * connection. If it is never whole, pusher_finish() reports what is true of a request that was
 * sent: the status decides if its line was fed, else delivery is unknown. If the request was not
 * sent whole, or the response did not come in time, call pusher_response_fail() first.
 *
 * The head of a response may have 16 KiB and 64 headers, its body 1 MiB: for more, use
 * pusher_response_set(), which replaces what was fed. Of an error response, up to 64 KiB of the
 * body are read. Once the response is whole or broken, or was set, further calls return the same
 * and use nothing.
 *
 * @param response  the response.
 * @param bytes     bytes from the server; after TLS, decrypted. May be NULL if `len` is 0.
 * @param len       number of `bytes`. 0 is the end of the input: the server closed the
 *                  connection.
 * @param used      receives how many of the bytes belong to the response: all of them, unless
 *                  it is whole and more follows. May be NULL.
 * @return 1 if the response is whole; 0 if more is to come; -1 if it is not HTTP, breaks a limit or
 *         ends too early, or if `response` is NULL, or `bytes` is NULL and `len` is not 0.
 */
int32_t pusher_response_feed(PusherResponse *response,
                             const uint8_t *bytes,
                             size_t len,
                             size_t *used);

/**
 * Reports that a request failed. After pusher_response_set(), or pusher_response_feed() with a
 * whole response, reports that the response was truncated, or came before the request's last byte
 * was sent: a success is then no longer certain.
 *
 * @param response  the response. NULL is ignored.
 * @param delivery  ::PUSHER_DELIVERY_NOT_SENT if the request's last byte was certainly not
 *                  sent; ::PUSHER_DELIVERY_UNKNOWN if it may have been. Any other value counts
 *                  as unknown.
 * @param cause     one of `dns connect tls proxy write timeout reset closed malformed cancelled
 *                  transport`. NULL and any other string count as `transport`. A request that
 *                  was not sent is retryable after `dns connect write timeout reset closed`.
 * @param message   a message for people, or NULL; copied. Signatures in it are redacted.
 */
void pusher_response_fail(PusherResponse *response,
                          int32_t delivery,
                          const char *cause,
                          const char *message);

/**
 * Frees a response that pusher_response_new() created.
 *
 * @param response  the response, but never one passed to a ::PusherSendFn. NULL is ignored.
 */
void pusher_response_free(PusherResponse *response);

/**
 * Makes the client send its requests through a callback: an HTTP client that you already have,
 * another kind of proxy, or a test.
 *
 * It replaces only the sending: signing, retries, interpreting responses and limits stay in
 * the library. Call it at most once, before the client's first network call or publisher, and
 * while no other thread uses the client.
 *
 * @param client     the client.
 * @param send       called for each attempt to send a request.
 * @param user_data  passed to `send`, which several threads may call at once.
 * @param drop       releases `user_data`, exactly once; may be NULL.
 * @param out        receives the error document on failure, else NULL. The caller frees it
 *                   with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_STATE if it is too late or a transport
 *         is set already, or ::PUSHER_STATUS_INVALID_ARGUMENT if `client` or `send` is NULL.
 */
PusherStatus pusher_set_transport(Pusher *client,
                                  PusherSendFn send,
                                  void *user_data,
                                  PusherDropFn drop,
                                  char **out);

/**
 * Makes the client log through a callback: the result of each call, retries and corrections of
 * the clock, as far as the configuration's `log_level` allows.
 *
 * Call it at most once, before the client's first network call or publisher, and while no
 * other thread uses the client.
 *
 * @param client     the client.
 * @param log        called for each message.
 * @param user_data  passed to `log`, which several threads may call at once.
 * @param drop       releases `user_data`, exactly once; may be NULL.
 * @param out        receives the error document on failure, else NULL. The caller frees it
 *                   with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_STATE if it is too late or a log is set
 *         already, or ::PUSHER_STATUS_INVALID_ARGUMENT if `client` or `log` is NULL.
 */
PusherStatus pusher_set_log(Pusher *client,
                            PusherLogFn log,
                            void *user_data,
                            PusherDropFn drop,
                            char **out);

/**
 * Makes the client report the start and the end of each call and each attempt to a callback, with
 * ids and times: for traces and metrics. A client without an observer does not read the clock for
 * them. To follow a call through your servers, give it a `traceparent` by the option `headers`.
 *
 * Call it at most once, before the client's first network call or publisher, and while no
 * other thread uses the client.
 *
 * @param client     the client.
 * @param observe    called for each observation.
 * @param user_data  passed to `observe`, which several threads may call at once.
 * @param drop       releases `user_data`, exactly once; may be NULL.
 * @param out        receives the error document on failure, else NULL. The caller frees it
 *                   with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_STATE if it is too late or an observer is
 *         set already, or ::PUSHER_STATUS_INVALID_ARGUMENT if `client` or `observe` is NULL.
 */
PusherStatus pusher_set_observer(Pusher *client,
                                 PusherObserveFn observe,
                                 void *user_data,
                                 PusherDropFn drop,
                                 char **out);

/**
 * Creates a publisher: a queue whose events are sent in the background.
 *
 * pusher_publisher_publish() checks an event and queues it, without waiting for the network.
 * The publisher has one thread for each of its `connections`, started by the first event for
 * it. Each thread puts the events that wait into batches and sends them.
 *
 * An unknown key in `config` is an error. `docs/configuration.md` has the types, ranges and
 * examples of these keys:
 *
 * | key                     | default      | meaning                                         |
 * |-------------------------|--------------|-------------------------------------------------|
 * | `connections`           | 2            | requests in flight at the same time             |
 * | `max_queue_events`      | 10000        | limit of events that have not ended             |
 * | `max_queue_bytes`       | 16777216     | limit of the memory of these and their requests |
 * | `overflow`              | `"reject"`   | if full; or `"block"`, `"drop_oldest"`          |
 * | `max_batch_events`      | the client's | limit of events in a request                    |
 * | `max_batch_bytes`       | 1048576      | approximate limit of a request                  |
 * | `linger_ms`             | 5            | how long to wait to fill a batch                |
 * | `event_ttl_ms`          | 0            | oldest event to send; 0 for any age             |
 * | `max_events_per_second` | none         | limit of the rate of sending                    |
 * | `pace_by_rate_limit`    | `false`      | wait before the server answers 429: see below   |
 * | `reports`               | `"failures"` | events to report; or `"all"`, `"none"`          |
 * | `max_reports`           | 10000        | limit of reports kept until they are fetched    |
 * | `batch_is_atomic`       | `false`      | see below                                       |
 * | `retry`                 | the client's | retry mode and attempts                         |
 * | `timeout_ms`            | the client's | limit of a request, with all its attempts       |
 * | `hooks_on_threads`      | `false`      | allow callbacks on the publisher's threads      |
 * | `stats_format`          | `"json"`     | or `"prometheus"`, for pusher_publisher_stats() |
 *
 * **Order.** The events of a channel are delivered in the order in which they were published:
 * a channel always belongs to the same connection, which has one request in flight at a time,
 * retries included. Events that several threads publish at once are ordered by their ids. An
 * event for several channels keeps the order of each. There is no order between channels. An
 * event that ended as `unknown` may be delivered late, after those that follow it. An event
 * that replaces another (option `conflate`) takes its place.
 *
 * **Reports.** Every event ends exactly once: as `delivered`, `not_sent`, `rejected` or
 * `unknown`. pusher_publisher_stats() counts these ends, pusher_publisher_poll() reports them.
 *
 * **Refused batches.** A server that refuses a batch (400, 413, 422) may have delivered a part
 * of it. In retry mode `"at_least_once"` the publisher then sends its events one by one. In
 * the other modes each of them ends as `unknown`, unless `batch_is_atomic` says that the
 * server refuses a batch as a whole: then the events are sent one by one in mode `"safe"`, and
 * end as `rejected` in mode `"never"`. With the client's `server` `"soketi"` or `"reverb"` it
 * is `true` by default.
 *
 * **No batches.** If the client's `batch_route` is false, each event has a request of its own.
 * If it is `"auto"`, the events of a batch that the server answers with 404 or 405, and so has
 * not published, are sent one by one. Once such an event is delivered, no batch is tried for
 * ten minutes.
 *
 * **Rate limits.** With `pace_by_rate_limit` the publisher reads the headers
 * `X-RateLimit-Remaining`, `-Reset` and `-Limit` of each response. When no request remains, the
 * next one waits until a second after the reset, at most a minute. A reset of up to 86,400 is
 * in seconds from now, a larger one in seconds since 1970.
 *
 * @param client     the client. It may be freed before the publisher. Its callbacks can no
 *                   longer be set. Its log gets nothing from the publisher unless
 *                   `hooks_on_threads` is true.
 * @param config     a JSON object, or NULL for the defaults.
 * @param publisher  receives the publisher, or NULL on failure. The caller frees it with
 *                   pusher_publisher_free().
 * @param out        receives the error document on failure, else NULL. The caller frees it
 *                   with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_CONFIG (`argument` names the key),
 *         ::PUSHER_STATUS_INVALID_STATE if the client has a transport and `hooks_on_threads`
 *         is not true, or ::PUSHER_STATUS_INVALID_ARGUMENT.
 */
PusherStatus pusher_publisher_new(const Pusher *client,
                                  const char *config,
                                  PusherPublisher **publisher,
                                  char **out);

/**
 * Queues an event to be sent in the background. Does not wait for the network.
 *
 * @param publisher  the publisher.
 * @param channels   as for pusher_trigger(); NULL with the option `user_id`.
 * @param event      the event's name, 1 to 200 characters.
 * @param data       the payload, as for pusher_trigger().
 * @param options    a JSON object, or NULL: `socket_id`, `extra` and `extra_in_clear`, as for
 *                   pusher_trigger(); `info` (the report then has the attributes); `user_id`,
 *                   to publish to a user as pusher_send_to_user() does; `conflate`, a string:
 *                   the event replaces one on the same channel with the same name and
 *                   `conflate` that still waits; `idempotency_key` (the event is then sent
 *                   alone, and cannot have `conflate`; never use a key for another body: see
 *                   pusher_new()); `fan_out`, as for pusher_trigger(), within the publisher's
 *                   `timeout_ms` and with one report; `timeout_ms`, how long to wait for space
 *                   if `overflow` is `"block"`.
 * @param id         receives the event's id in reports: 1 or more; 0 on failure. May be NULL.
 * @param out        receives the error document on failure, else NULL. The caller frees it
 *                   with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK if the event is queued. Otherwise it is not:
 *         ::PUSHER_STATUS_QUEUE_FULL, ::PUSHER_STATUS_CLOSED, ::PUSHER_STATUS_FORKED, or a
 *         status that pusher_trigger() returns before it sends anything.
 */
PusherStatus pusher_publisher_publish(PusherPublisher *publisher,
                                      const char *channels,
                                      const char *event,
                                      const char *data,
                                      const char *options,
                                      uint64_t *id,
                                      char **out);

/**
 * Fetches reports of how events ended, and waits for the first one.
 *
 * Each event is reported once, by its id:
 * `{"reports":[{"id":7,"status":"SERVER_ERROR","message":"...","delivery":"unknown",...}]}`. A
 * report has the members of an error document (see ::PusherStatus), with `"status":"OK"` for
 * an event that was delivered, and:
 * - `answer`: the attributes that the option `info` asked for; for several channels, an object
 *   of them by channel. A string of JSON if some parsers would refuse it: it has more than 64
 *   levels, a number of more than 1,000 digits, or half a surrogate pair.
 * - `reason`: why the event was given up: `expired`, `dropped`, `superseded`, `closed` or
 *   `drained` (the document of pusher_publisher_drain() has it).
 *
 * Next to `reports`, `lost` is the number of reports discarded since the last call because
 * more than `max_reports` waited, or large ones (more than 8 KiB, such as `parts` of thousands of
 * channels) took more memory than `max_queue_bytes`.
 *
 * @param publisher   the publisher.
 * @param timeout_ms  how long to wait for a report, in milliseconds; 0 to return at once,
 *                    UINT32_MAX to wait without limit. If the publisher is closed and
 *                    everything was fetched, it does not wait.
 * @param out         receives up to 1,000 reports, oldest first; NULL on
 *                    ::PUSHER_STATUS_TIMED_OUT; else the error document. The caller frees it
 *                    with pusher_string_free(). If it is NULL, the reports are lost.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_TIMED_OUT if there are no reports, or
 *         ::PUSHER_STATUS_FORKED.
 */
PusherStatus pusher_publisher_poll(PusherPublisher *publisher,
                                   uint32_t timeout_ms,
                                   char **out);

/**
 * Returns a descriptor for an event loop: it is readable while reports wait to be fetched.
 *
 * It is also readable when there is space again after ::PUSHER_STATUS_QUEUE_FULL, until the next
 * call of pusher_publisher_publish(). Wait on it with poll(), epoll or kqueue, and then call
 * pusher_publisher_poll() with a timeout of 0. Never read from it, write to it or close it: the
 * publisher does all three.
 *
 * **Edges.** An event loop that learns of changes only (`EPOLLET`, `EV_CLEAR`) must fetch reports
 * until ::PUSHER_STATUS_TIMED_OUT after each of them, and then publish what was refused.
 *
 * **Cost.** A publisher whose descriptor was never asked for has none. Otherwise the first
 * report, and the fetch of the last one, cost a system call each.
 *
 * **Lifetime.** It is the same descriptor until pusher_publisher_free(), which closes it: remove
 * it from the event loop first. pusher_publisher_close() changes nothing: its reports make the
 * descriptor readable. It is closed on exec. A forked child inherits it and must not wait on it:
 * it shows the reports of the parent.
 *
 * @param publisher  the publisher.
 * @param fd         receives the descriptor, or -1 on failure. It does not block.
 * @param out        receives the error document on failure, else NULL. The caller frees it
 *                   with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_FORKED, ::PUSHER_STATUS_INVALID_ARGUMENT, or
 *         ::PUSHER_STATUS_INTERNAL if the process has no descriptor left.
 */
PusherStatus pusher_publisher_fd(PusherPublisher *publisher,
                                 intptr_t *fd,
                                 char **out);

/**
 * Waits until every published event has ended, including those that other threads publish
 * during the call. During the call no event waits to fill a batch.
 *
 * @param publisher   the publisher.
 * @param timeout_ms  how long to wait, in milliseconds; UINT32_MAX to wait without limit.
 * @param out         receives the error document on failure, else NULL. The caller frees it
 *                    with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_TIMED_OUT (the events stay queued), or
 *         ::PUSHER_STATUS_FORKED.
 */
PusherStatus pusher_publisher_flush(PusherPublisher *publisher,
                                    uint32_t timeout_ms,
                                    char **out);

/**
 * Stops accepting events, and waits until those that were published have ended. Events that
 * have not ended by then end now: as `not_sent` if they wait in the queue, as `unknown` if
 * they are in flight, or with the result so far if they wait for a retry. Their reports can
 * still be fetched: call pusher_publisher_poll() until it times out.
 *
 * @param publisher   the publisher. Closing it again is allowed.
 * @param timeout_ms  how long to wait, in milliseconds; UINT32_MAX to wait without limit.
 * @param out         receives the error document on failure, else NULL. The caller frees it
 *                    with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_TIMED_OUT if events had not ended in time, or
 *         ::PUSHER_STATUS_FORKED.
 */
PusherStatus pusher_publisher_close(PusherPublisher *publisher,
                                    uint32_t timeout_ms,
                                    char **out);

/**
 * Stops accepting events, and returns those that were never sent as a document for another
 * publisher. So a program that is replaced loses none: its successor calls
 * pusher_publisher_restore(), on another machine, too.
 *
 * Requests in flight go on until they end or the time is up. Their events end as those of
 * pusher_publisher_close() do, and are not in the document. An event that waits for a retry is in
 * it if certainly nothing of it was sent. Each event of the document ends as `not_sent` with the
 * reason `drained`. Reports can still be fetched: call pusher_publisher_poll() until it times
 * out.
 *
 * The document has everything of an event: channels or user, name, data, options and when it was
 * published. The data of end-to-end encrypted channels is encrypted. All other data is not, nor
 * is an `idempotency_key`: keep the document as you would keep these. Its members may change
 * between versions; a later version reads it.
 *
 * Calling it again is allowed, from several threads too: an event is in one document. After an
 * error no event has ended: call it again, or pusher_publisher_close().
 *
 * @param publisher   the publisher.
 * @param timeout_ms  how long to wait for the requests in flight, in milliseconds; UINT32_MAX
 *                    to wait until they have ended.
 * @param out         receives the document, or the error document on failure. The caller frees
 *                    it with pusher_string_free(). It must not be NULL: the events would be
 *                    lost.
 * @return ::PUSHER_STATUS_OK, even if requests in flight had not ended in time or no event was
 *         left; ::PUSHER_STATUS_FORKED, ::PUSHER_STATUS_INVALID_ARGUMENT, or
 *         ::PUSHER_STATUS_INTERNAL if there is no memory for the document.
 */
PusherStatus pusher_publisher_drain(PusherPublisher *publisher,
                                    uint32_t timeout_ms,
                                    char **out);

/**
 * Queues the events of a document of pusher_publisher_drain(): all of them, or none.
 *
 * Each event is checked as by pusher_publisher_publish() and gets a new id. Events of a channel
 * keep their order, and come after those that were published here before. `event_ttl_ms` counts
 * from when an event was first published. An event ends as `superseded` if one with the same
 * `conflate` waits here already: that one is newer.
 *
 * Restore a document once: the library does not know whether another process has done so, and
 * would deliver its events again.
 *
 * @param publisher  the publisher. Its client must have the same `app_id`, limits that are not
 *                   smaller, and the same `encryption_master_key_base64` if there are encrypted
 *                   events.
 * @param drained    the document.
 * @param out        receives `{"restored":[{"id":101,"drained_id":7},...]}` in the order of the
 *                   document, or the error document on failure: each event's id here, and the
 *                   one it had. The caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK if all events are queued. Otherwise none is:
 *         ::PUSHER_STATUS_QUEUE_FULL if there is no space for all of them, whatever `overflow`
 *         is; ::PUSHER_STATUS_INVALID_ARGUMENT or ::PUSHER_STATUS_PAYLOAD_TOO_LARGE
 *         (`argument` names the part: `drained.events[3].channels`);
 *         ::PUSHER_STATUS_ENCRYPTION, ::PUSHER_STATUS_CLOSED, ::PUSHER_STATUS_FORKED, or
 *         ::PUSHER_STATUS_INTERNAL if there is no memory for them.
 */
PusherStatus pusher_publisher_restore(PusherPublisher *publisher,
                                      const char *drained,
                                      char **out);

/**
 * Returns the statistics of a publisher.
 *
 * - `queue`: the `events` that have not ended, the `bytes` of memory of these and their requests,
 *   and those `in_flight`.
 * - `events`: `published`, `refused` because the queue was full, and ended as `delivered`,
 *   `not_sent`, `rejected` and `unknown`.
 * - `unsent`: events that were given up, by `reason`.
 * - `requests`: requests sent, each attempt counted.
 * - `batch_events`: a histogram of the events in a request.
 * - `retries`: by what had failed: a `cause`, `rate_limited`, `server_error`, `other`,
 *   or, for the events of a batch that are sent one by one, `refused` or `no_batch_route`.
 * - `latency_ms`: a histogram of the time from publishing an event to its end.
 * - `reports`: `waiting` to be fetched, and `lost`.
 *
 * A histogram has `count`, `sum` and `buckets`, an array of `[bound, count]`; the last bound
 * is null. With `"stats_format":"prometheus"` the result is the same in Prometheus' text
 * format.
 *
 * @param publisher  the publisher.
 * @param out        receives the statistics, or the error document on failure. The caller
 *                   frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_FORKED.
 */
PusherStatus pusher_publisher_stats(const PusherPublisher *publisher,
                                    char **out);

/**
 * Frees a publisher, after closing it with a limit of one second. Reports that were not
 * fetched are lost: to learn how the last events end, call pusher_publisher_close() and fetch
 * the reports first.
 *
 * A request that still waits for its response is not cancelled: its thread ends with it,
 * within its `timeout_ms`.
 *
 * @param publisher  the publisher, which no other call may be using. NULL is ignored. In a
 *                   forked child the parent's publisher is not closed, and its memory is not
 *                   freed.
 */
void pusher_publisher_free(PusherPublisher *publisher);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PUSHER_H */
