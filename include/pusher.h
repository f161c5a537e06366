/**
 * @file pusher.h
 * libpusher: the server-side SDK for the Pusher Channels HTTP API.
 *
 * - Calls: texts go in, a ::PusherStatus comes back, and one JSON document goes to `out`, the last parameter: the result, or
 *   on failure `{"error":{"status","message",…}}`. `out` may be NULL if you do not want it. A former value is not freed.
 * - Memory: what comes out of `out` is yours, freed with pusher_string_free(). Texts that go in are not kept. A handle is
 *   freed by the function with its name and `_free`.
 * - Texts: UTF-8, NUL-terminated. Names, ids and payloads need no escaping; JSON is taken where a value has structure.
 * - Delivery: after every failure pusher_error_delivery() says whether an event was not sent, was rejected, or may have been
 *   delivered. What was certainly not delivered is sent again while there is time (`retry`); nothing that may have been
 *   delivered is ever sent twice, unless you ask for it.
 * - Threads: any number may use one client at the same time. Nothing is kept per thread: an error belongs to its call.
 * - Process: no signal handler, no SIGPIPE, no output. A thread is started only to look up a host name, and ends with that; a
 *   publisher has threads of its own from its first event on.
 *   A forked child may use a client of its parent: it makes connections of its own.
 *
 * @code
 * Pusher *client;
 * char *answer;
 * if (pusher_new("https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID", &client, NULL) != PUSHER_STATUS_OK) return 1;
 * if (pusher_trigger(client, "my-channel", "my-event", "{\"hello\":\"world\"}", NULL, &answer) != PUSHER_STATUS_OK)
 *   fprintf(stderr, "%s\n", answer);
 * pusher_string_free(answer);
 * pusher_free(client);
 * @endcode
 *
 * Generated from the sources by cbindgen; not to be edited.
 */


#ifndef PUSHER_H
#define PUSHER_H

#include <stddef.h>
#include <stdint.h>

/* The version of this header; pusher_version_number() tells that of the library. */
#define PUSHER_VERSION_MAJOR 0
#define PUSHER_VERSION_MINOR 1
#define PUSHER_VERSION_PATCH 0
/** The version as `0x00MMmmpp`. */
#define PUSHER_VERSION_NUMBER \
  ((PUSHER_VERSION_MAJOR << 16) | (PUSHER_VERSION_MINOR << 8) | PUSHER_VERSION_PATCH)


/**
 * What a call returns: what its caller may do now.
 *
 * 1–19 the call was wrong; 20–39 the network; 40–59 the server said no; 60–79 signatures and encryption; 80–99 the
 * publisher. New values may be added: treat one that you do not know by its range.
 */
enum PusherStatus
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Done. For events: delivered to the Channels API.
   */
  PUSHER_STATUS_OK = 0,
  /**
   * A text is NULL, not UTF-8, malformed or breaks a limit. `argument` names it. Nothing was sent.
   */
  PUSHER_STATUS_INVALID_ARGUMENT = 1,
  /**
   * The configuration is wrong. `argument` names the key.
   */
  PUSHER_STATUS_INVALID_CONFIG = 2,
  /**
   * Calls in the wrong order.
   */
  PUSHER_STATUS_INVALID_STATE = 3,
  /**
   * The last byte of the request never left: certainly not delivered. `cause` says why.
   */
  PUSHER_STATUS_NOT_SENT = 20,
  /**
   * Sent whole, and no valid answer came: it may have been delivered.
   */
  PUSHER_STATUS_DELIVERY_UNKNOWN = 21,
  /**
   * A 2xx answer that can't be read (cut, too long, not JSON): it may or may not have been delivered.
   */
  PUSHER_STATUS_BAD_RESPONSE = 22,
  /**
   * 400, or another 4xx.
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
   * 404: no such application or path.
   */
  PUSHER_STATUS_NOT_FOUND = 43,
  /**
   * 413, or `data` that was found too large before sending.
   */
  PUSHER_STATUS_PAYLOAD_TOO_LARGE = 44,
  /**
   * 429: rejected; try again later.
   */
  PUSHER_STATUS_RATE_LIMITED = 45,
  /**
   * Any 5xx: it may or may not have been delivered.
   */
  PUSHER_STATUS_SERVER_ERROR = 46,
  /**
   * Any 3xx: never followed, not delivered.
   */
  PUSHER_STATUS_REDIRECTED = 47,
  /**
   * The webhook is not authentic.
   */
  PUSHER_STATUS_WEBHOOK_INVALID = 60,
  /**
   * There is no master key for an encrypted channel, or a payload can't be decrypted.
   */
  PUSHER_STATUS_ENCRYPTION = 61,
  /**
   * The publisher's queue is full.
   */
  PUSHER_STATUS_QUEUE_FULL = 80,
  /**
   * The publisher is closed.
   */
  PUSHER_STATUS_CLOSED = 81,
  /**
   * The wait ended first. Nothing was lost.
   */
  PUSHER_STATUS_TIMED_OUT = 82,
  /**
   * This publisher belongs to the parent process.
   */
  PUSHER_STATUS_FORKED = 83,
  /**
   * A bug in libpusher, caught (please report it), or the system is out of memory or randomness. The message says which.
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
 * What happened to the events of a call.
 */
enum PusherDelivery
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The request's last byte never left: certainly not delivered.
   */
  PUSHER_DELIVERY_NOT_SENT = 1,
  /**
   * The server refused before it looked at any event: certainly not delivered.
   */
  PUSHER_DELIVERY_REJECTED = 2,
  /**
   * It may have been delivered. Sending it again may deliver it twice.
   */
  PUSHER_DELIVERY_UNKNOWN = 3,
  /**
   * The server accepted it.
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
 * How much it matters.
 */
enum PusherLogLevel
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A call failed by a bug, or for want of memory.
   */
  PUSHER_LOG_LEVEL_ERROR = 1,
  /**
   * A call failed.
   */
  PUSHER_LOG_LEVEL_WARN = 2,
  /**
   * Something happened that explains later behaviour.
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
 * A client of one Channels application.
 *
 * Threads: any number may use one client at the same time. Life: from pusher_new() to pusher_free().
 */
typedef struct Pusher Pusher;

/**
 * A queue of events that are sent in the background.
 *
 * Threads: any number may use one publisher at the same time. Life: from pusher_publisher_new() to pusher_publisher_free(); the
 * client may be freed first.
 */
typedef struct PusherPublisher PusherPublisher;

/**
 * A signed request that is ready to be sent.
 *
 * Threads: one at a time. Life: from pusher_prepare() to pusher_request_free(), and it may outlive its client; one that a
 * transport is handed lives until the transport returns.
 */
typedef struct PusherRequest PusherRequest;

/**
 * What came of a request.
 *
 * Threads: one at a time. Life: from pusher_response_new() to pusher_response_free(); one that a transport is handed lives
 * until the transport returns.
 */
typedef struct PusherResponse PusherResponse;

/**
 * Sends a request and sets the answer, or says that it failed; neither counts as unknown.
 *
 * What is told of delivery is only as true as what it does:
 * - It sends method, URL, headers and body as they are, byte for byte, and once. Many HTTP clients repeat a request by themselves
 *   when a kept-alive connection turns out dead: turn that off.
 * - It follows no redirect: that would turn an event that is lost into one that is reported as delivered.
 * - It gives the whole answer with pusher_response_set() and its headers with pusher_response_set_header(); where the answer was cut
 *   it calls pusher_response_fail() after that.
 * - It says ::PUSHER_DELIVERY_NOT_SENT only if the last byte certainly never left.
 * - It keeps to pusher_request_timeout_ms(), and verifies certificates. The configuration's `proxy`, `ca_file`, `tls_roots`,
 *   `connect_timeout_ms` and pool do not reach it.
 *
 * It runs on the thread that makes the call, several at once. It may not throw, longjmp, free the client, or keep its arguments.
 */
typedef void (*PusherSendFn)(void *user_data, const PusherRequest *request, PusherResponse *response);

/**
 * Releases `user_data`. It is called exactly once: when the client is freed, or at once if the setter fails. (A forked child that
 * frees its copy of the client releases its copy of the data.)
 */
typedef void (*PusherDropFn)(void *user_data);

/**
 * Takes what is logged: a ::PusherLogLevel, a sentence, and a JSON object with what it speaks of. Never a secret, a signature
 * or a payload.
 *
 * It runs on the thread that makes the call, several at once. It may not throw, longjmp, use or free the client, or keep its
 * arguments.
 */
typedef void (*PusherLogFn)(void *user_data, int32_t level, const char *message, const char *fields);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that is loaded, such as `"0.1.0"`.
 *
 * @return a static text; never free it.
 */
const char *pusher_version(void);

/**
 * The version of the library that is loaded, as `0x00MMmmpp`.
 *
 * Compare it with ::PUSHER_VERSION_NUMBER, the version of this header.
 */
uint32_t pusher_version_number(void);

/**
 * The name of a status without its prefix, such as `"NOT_SENT"`.
 *
 * @param status  any number.
 * @return a static text, `"?"` for a number that is no status; never free it.
 */
const char *pusher_status_name(int32_t status);

/**
 * Makes a client from a configuration.
 *
 * No connection is made, no file read and no thread started before the first call that needs it.
 *
 * **Retries.** Mode `"safe"` sends again what was certainly not delivered and may now succeed: what never left (`not_sent`, but not
 * for a host that does not exist, nor for a failure of TLS or of a proxy), what was refused with 429, and calls that only ask.
 * `"at_least_once"` also sends again what may have been delivered, except what was refused with another 4xx: an event may then
 * arrive twice. `"never"` sends once. All attempts share the call's `timeout_ms`. Before each there is a random wait, at most 0.1 s
 * before the second and doubling to 5 s, and no less than the server's `Retry-After`; where that does not fit, the failure is
 * returned at once. Retries are kept to a tenth of a client's calls, after a first ten. `attempts` in the error document says how
 * often a call was sent. If an attempt may have been delivered, so may the call, unless a later one was delivered; the error is then
 * that of the first such attempt.
 *
 * @param config  a JSON object `{"app_id","key","secret",…}`, or a URL `https://KEY:SECRET@api-eu.pusher.com/apps/ID`, or
 *                NULL to take `PUSHER_URL` or `PUSHER_APP_ID`, `PUSHER_KEY`, `PUSHER_SECRET`, `PUSHER_CLUSTER`,
 *                `PUSHER_HOST`, `PUSHER_PORT` and `PUSHER_SCHEME` from the environment. Not kept.
 *                | key | default | |
 *                |---|---|---|
 *                | `app_id`, `key`, `secret` | required | or `url`; other keys win over its parts |
 *                | `cluster` | `"mt1"` | the host is `api-{cluster}.pusher.com` |
 *                | `host`, `port`, `ssl` | from the cluster, 443 or 80, `true` | |
 *                | `path`, `sign_path_prefix` | none, `true` | a prefix of the path; `false` where a proxy strips it |
 *                | `timeout_ms`, `connect_timeout_ms` | 5000, 3000 | per call in all; to connect; 1 to 600,000 |
 *                | `retry` | `{"mode":"safe","max_attempts":3}` | below |
 *                | `clock_correction` | `true` | a 401 over TLS, and a `Date` more than 600 s off: sign with the server's time from then on |
 *                | `max_idle_connections`, `idle_timeout_ms` | 8, 15000 | the pool of kept-alive connections |
 *                | `proxy` | none | `http://USER:PASSWORD@HOST:PORT`; `"env"` takes the environment's |
 *                | `ca_file` | none | PEM certificates to trust instead |
 *                | `tls_roots` | `"system"` | or `"bundled"`, Mozilla's at build time, or `"both"` |
 *                | `encryption_master_key_base64` | none | 32 bytes, for `private-encrypted-` channels |
 *                | `webhook_tokens` | none | more `{"key","secret"}` pairs that webhooks may be signed with |
 *                | `webhook_max_age_ms` | 600000 | how old a webhook may be; 0 for any age |
 *                | `max_data_bytes`, `max_batch_events`, `max_channels` | 10240, 10, 100 | for servers with other limits |
 *                | `max_response_bytes` | 16777216 | the longest answer that is read |
 *                | `log_level` | `"warn"` | `"error"`, `"warn"`, `"info"` or `"debug"`, for pusher_set_log() |
 * @param client  where the client goes; set to NULL on failure. The caller frees it with pusher_free().
 * @param out     on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_CONFIG naming the key, or ::PUSHER_STATUS_INVALID_ARGUMENT.
 */
PusherStatus pusher_new(const char *config,
                        Pusher **client,
                        char **out);

/**
 * Frees a client and closes its idle connections, when the last of its publishers is freed as well.
 *
 * No call of this client may be running in another thread.
 *
 * @param client  NULL is fine.
 */
void pusher_free(Pusher *client);

/**
 * Frees a text that this library wrote to an `out` parameter.
 *
 * @param text  NULL is fine. It may have been changed, but not cut short by a NUL, as strtok() does.
 */
void pusher_string_free(char *text);

/**
 * What happened to the events of the call that gave this error document.
 *
 * @param document  an error document, or NULL.
 * @return a ::PusherDelivery; 0 where the document speaks of none (a query, a result, NULL).
 */
int32_t pusher_error_delivery(const char *document);

/**
 * The sentence for people in an error document, without JSON around it.
 *
 * @param document  an error document, or NULL.
 * @param buffer    where the message goes, cut to fit (never inside a UTF-8 character) and always NUL-terminated; may be
 *                  NULL if `size` is 0.
 * @param size      the bytes in `buffer`.
 * @return the length of the whole message in bytes without the NUL, as snprintf does: it was cut if this is not less
 *         than `size`. 0 where there is no message.
 */
size_t pusher_error_message(const char *document,
                            char *buffer,
                            size_t size);

/**
 * Publishes an event on one or more channels, and waits for the server's answer.
 *
 * @param client    the client.
 * @param channels  one channel name, or a JSON array of 1 to 100 of them. A name has 1 to 200 of the characters
 *                  `A–Z a–z 0–9 _ - = @ , . ;`. An event on a `private-encrypted-` channel is encrypted first, and can only be
 *                  triggered on that one.
 * @param event     the event's name, 1 to 200 characters.
 * @param data      the payload: JSON, at most 10,240 bytes (7,619 on an encrypted channel). A JSON string sends its content;
 *                  any other value is sent as the text it is, byte for byte.
 * @param options   a JSON object, or NULL: `socket_id` (the connection that is left out), `info` (attributes of the
 *                  channels to answer with, such as `"user_count,subscription_count"`), `timeout_ms`.
 * @param out       on success the server's answer, `{}` where it is empty; on failure the error document. The caller frees
 *                  it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK: delivered. Any other status: ask pusher_error_delivery() what happened to the event.
 */
PusherStatus pusher_trigger(const Pusher *client,
                            const char *channels,
                            const char *event,
                            const char *data,
                            const char *options,
                            char **out);

/**
 * Publishes several events in one request.
 *
 * A batch is not atomic: a server that refuses one of its events may have delivered those before it. Delivery is then
 * ::PUSHER_DELIVERY_UNKNOWN for each.
 *
 * @param client   the client.
 * @param events   a JSON array of 1 to 10 `{"channel","name","data","socket_id","info"}`, the last two optional. `data` is any JSON
 *                 value, as for pusher_trigger().
 * @param options  a JSON object, or NULL: `timeout_ms`.
 * @param out      on success the server's answer; on failure the error document, whose `argument` names the event, such as
 *                 `events[3].channel`. The caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK: all delivered.
 */
PusherStatus pusher_trigger_batch(const Pusher *client,
                                  const char *events,
                                  const char *options,
                                  char **out);

/**
 * Publishes an event to all connections of a user who has signed in (pusher_authenticate_user()).
 *
 * @param client   the client.
 * @param user_id  the user's id, 1 to 200 of the characters of channel names.
 * @param event    the event's name, 1 to 200 characters.
 * @param data     the payload, as for pusher_trigger().
 * @param options  as for pusher_trigger().
 * @param out      on success the server's answer; on failure the error document. The caller frees it with
 *                 pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK: delivered.
 */
PusherStatus pusher_send_to_user(const Pusher *client,
                                 const char *user_id,
                                 const char *event,
                                 const char *data,
                                 const char *options,
                                 char **out);

/**
 * Ends all connections of a user who has signed in.
 *
 * @param client   the client.
 * @param user_id  the user's id, as for pusher_send_to_user().
 * @param options  a JSON object, or NULL: `timeout_ms`.
 * @param out      on success the server's answer; on failure the error document. The caller frees it with
 *                 pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK: done.
 */
PusherStatus pusher_terminate_user_connections(const Pusher *client,
                                               const char *user_id,
                                               const char *options,
                                               char **out);

/**
 * Asks for the channels that are occupied.
 *
 * @param client         the client.
 * @param prefix_filter  only channels whose names begin so, such as `"presence-"`; or NULL for all.
 * @param attributes     what to answer with for each, `"user_count"` (with a `presence-` filter) and others with commas between
 *                       them; or NULL.
 * @param options        a JSON object, or NULL: `timeout_ms`.
 * @param out            on success the answer, `{"channels":{NAME:{…}}}`; on failure the error document. The caller frees it
 *                       with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or another status.
 */
PusherStatus pusher_channels_info(const Pusher *client,
                                  const char *prefix_filter,
                                  const char *attributes,
                                  const char *options,
                                  char **out);

/**
 * Asks for the state of a channel.
 *
 * @param client      the client.
 * @param channel     the channel's name.
 * @param attributes  what to answer with, such as `"user_count,subscription_count,cache"`; or NULL.
 * @param options     a JSON object, or NULL: `timeout_ms`.
 * @param out         on success the answer, `{"occupied":true,…}`; on failure the error document. The caller frees it with
 *                    pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or another status.
 */
PusherStatus pusher_channel_info(const Pusher *client,
                                 const char *channel,
                                 const char *attributes,
                                 const char *options,
                                 char **out);

/**
 * Asks for the users on a presence channel.
 *
 * @param client   the client.
 * @param channel  the channel's name, which begins with `presence-`.
 * @param options  a JSON object, or NULL: `timeout_ms`.
 * @param out      on success the answer, `{"users":[{"id":…}]}`; on failure the error document. The caller frees it with
 *                 pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or another status.
 */
PusherStatus pusher_users_info(const Pusher *client,
                               const char *channel,
                               const char *options,
                               char **out);

/**
 * Asks any path of the API.
 *
 * @param client   the client.
 * @param path     a path below `/apps/{app_id}`, such as `"/channels"`.
 * @param params   a JSON object of strings, integers and booleans with names of `a–z 0–9 _`, for the query; or NULL.
 * @param options  a JSON object, or NULL: `timeout_ms`.
 * @param out      on success the answer; on failure the error document. The caller frees it with pusher_string_free(). May
 *                 be NULL.
 * @return ::PUSHER_STATUS_OK, or another status.
 */
PusherStatus pusher_get(const Pusher *client,
                        const char *path,
                        const char *params,
                        const char *options,
                        char **out);

/**
 * Posts to any path of the API.
 *
 * @param client   the client.
 * @param path     a path below `/apps/{app_id}`, such as `"/events"`.
 * @param params   as for pusher_get(); or NULL.
 * @param body     JSON, sent as it is; NULL for `{}`.
 * @param options  a JSON object, or NULL: `timeout_ms`.
 * @param out      on success the answer; on failure the error document. The caller frees it with pusher_string_free(). May
 *                 be NULL.
 * @return ::PUSHER_STATUS_OK: done. Nothing is known of what a path does, so a refusal with 400, 413 or 422 counts as
 *         ::PUSHER_DELIVERY_UNKNOWN.
 */
PusherStatus pusher_post(const Pusher *client,
                         const char *path,
                         const char *params,
                         const char *body,
                         const char *options,
                         char **out);

/**
 * Authorizes a connection to subscribe to a channel: what your authorization endpoint answers. No network.
 *
 * Authorize only after you have checked that the user may see the channel.
 *
 * @param client        the client.
 * @param channel       the channel's name, which begins with `private-` or `presence-`. A public channel needs no authorization,
 *                      and asking for one is an error.
 * @param socket_id     the connection's id, such as `"1234.5678"`.
 * @param channel_data  for a presence channel `{"user_id":…,"user_info":{…}}`: `user_id`, a string or an integer, is required. For a
 *                      private channel any JSON, or NULL. It is signed and returned exactly as given.
 * @param out           on success `{"auth":…}`, with `channel_data` and, for a `private-encrypted-` channel, `shared_secret`: answer
 *                      with it as it is. On failure the error document. The caller frees it with pusher_string_free(). May be
 *                      NULL.
 * @return ::PUSHER_STATUS_OK; ::PUSHER_STATUS_INVALID_ARGUMENT; ::PUSHER_STATUS_ENCRYPTION without a master key.
 */
PusherStatus pusher_authenticate(const Pusher *client,
                                 const char *channel,
                                 const char *socket_id,
                                 const char *channel_data,
                                 char **out);

/**
 * Signs a user in on a connection: what your user authentication endpoint answers. No network.
 *
 * @param client     the client.
 * @param socket_id  the connection's id, such as `"1234.5678"`.
 * @param user_data  a JSON object with `id`, a string that is not empty, and whatever else you like. It is signed and returned
 *                   exactly as given.
 * @param out        on success `{"auth":…,"user_data":…}`: answer with it as it is. On failure the error document. The caller frees
 *                   it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK or ::PUSHER_STATUS_INVALID_ARGUMENT.
 */
PusherStatus pusher_authenticate_user(const Pusher *client,
                                      const char *socket_id,
                                      const char *user_data,
                                      char **out);

/**
 * Tells whether a webhook comes from the Channels application, and what it says. No network.
 *
 * The signature is checked in constant time, over the body's bytes and before anything of them is parsed. In a CGI program, for
 * instance (`c_examples/webhook.c` is a whole server):
 *
 * @code
 * static uint8_t body[1 << 20];
 * char *payload;
 * size_t length = fread(body, 1, sizeof body, stdin);
 * PusherStatus status = pusher_validate_webhook(client, getenv("HTTP_X_PUSHER_KEY"), getenv("HTTP_X_PUSHER_SIGNATURE"),
 *                                               body, length, &payload);
 * printf("Status: %s\r\n\r\n", status == PUSHER_STATUS_OK ? "200 OK" : "401 Unauthorized");
 * pusher_string_free(payload);
 * @endcode
 *
 * @param client     the client.
 * @param key        the request's `X-Pusher-Key` header; NULL if it has none. It is the application's key or one of the
 *                   configuration's `webhook_tokens`.
 * @param signature  the request's `X-Pusher-Signature` header; NULL if it has none.
 * @param body       the request's raw body, before anything decodes it; may be NULL if `body_len` is 0.
 * @param body_len   its length in bytes.
 * @param out        on success the payload, `{"time_ms","events":[…]}`, as it came, but for the `data` of client events on
 *                   `private-encrypted-` channels: with a master key that is decrypted, and an event that can't be has a
 *                   `decryption_error`. On failure the error document. The caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK: authentic. ::PUSHER_STATUS_WEBHOOK_INVALID: not authentic, outside the time window
 *         (`webhook_max_age_ms`, and at most a minute ahead), or no JSON object. Answer it with 401.
 */
PusherStatus pusher_validate_webhook(const Pusher *client,
                                     const char *key,
                                     const char *signature,
                                     const uint8_t *body,
                                     size_t body_len,
                                     char **out);

/**
 * Signs a call without sending it, for event loops and HTTP clients of your own.
 *
 * Send it as ::PusherSendFn says, and give the answer to pusher_finish(). To try again, prepare again: each attempt is signed
 * anew.
 *
 * @param client     the client.
 * @param call       a function's name without `pusher_`, such as `"trigger"`: one that makes a network call.
 * @param arguments  that function's texts in its order, without the handle and `out`; NULL where one is omitted.
 * @param count      how many there are; those missing at the end are omitted.
 * @param request    where the request goes; NULL on failure. The caller frees it with pusher_request_free().
 * @param out        on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or what the function itself would return before it sends anything.
 */
PusherStatus pusher_prepare(const Pusher *client,
                            const char *call,
                            const char *const *arguments,
                            size_t count,
                            PusherRequest **request,
                            char **out);

/**
 * Tells what came of a prepared request, as the call itself would have.
 *
 * @param client    the client that prepared it, or another with the same configuration.
 * @param request   the request; it can be finished once, and is still to be freed.
 * @param response  what came of it; still to be freed.
 * @param out       the result or the error document; the caller frees it with pusher_string_free(). May be NULL.
 * @return the call's status; ::PUSHER_STATUS_INVALID_STATE if the request was finished before.
 */
PusherStatus pusher_finish(const Pusher *client, PusherRequest *request, const PusherResponse *response, char **out);

/**
 * The method, `"POST"` or `"GET"`.
 *
 * @return a text that lives as long as the request; NULL for NULL.
 */
const char *pusher_request_method(const PusherRequest *request);

/**
 * The whole URL. It holds the signature: do not log it.
 *
 * @return a text that lives as long as the request; NULL for NULL.
 */
const char *pusher_request_url(const PusherRequest *request);

/**
 * How many headers there are. `Host` and `Content-Length` are not among them: HTTP clients set them.
 *
 * @return their number; 0 for NULL.
 */
size_t pusher_request_header_count(const PusherRequest *request);

/**
 * A header.
 *
 * @param request  the request.
 * @param index    from 0 to pusher_request_header_count() - 1.
 * @param name     where its name goes, in lower case; lives as long as the request. May be NULL.
 * @param value    where its value goes; lives as long as the request. May be NULL.
 * @return 1, or 0 past the end, and then both are NULL.
 */
int32_t pusher_request_header(const PusherRequest *request, size_t index, const char **name, const char **value);

/**
 * The body, exactly as it was signed. A NUL follows it.
 *
 * @param request  the request.
 * @param len      where its length in bytes goes, without the NUL. May be NULL.
 * @return bytes that live as long as the request, an empty text for a GET; NULL for NULL.
 */
const uint8_t *pusher_request_body(const PusherRequest *request, size_t *len);

/**
 * What is left of the call's time.
 *
 * @return milliseconds; 0 when the time is up: do not send then. (To libcurl a timeout of 0 would be none.)
 */
uint32_t pusher_request_timeout_ms(const PusherRequest *request);

/**
 * Frees a request that came from pusher_prepare().
 *
 * @param request  NULL is fine. Never one that a transport was handed.
 */
void pusher_request_free(PusherRequest *request);

/**
 * A response for pusher_finish(), with nothing set yet. A transport is handed one.
 *
 * @return a response; the caller frees it with pusher_response_free().
 */
PusherResponse *pusher_response_new(void);

/**
 * Sets the answer: the server's status, from 200 to 599, and its whole body, decoded from its transfer coding. The last call on
 * a response counts.
 *
 * @param response     the response; NULL is ignored.
 * @param http_status  the status.
 * @param body         the body, copied; may be NULL if `body_len` is 0.
 * @param body_len     its length in bytes.
 */
void pusher_response_set(PusherResponse *response,
                         int32_t http_status,
                         const uint8_t *body,
                         size_t body_len);

/**
 * Sets a header of the answer. Give all that came; these count: `Retry-After`, `Date` (which tells when the clock here is wrong), and
 * `Content-Length` or `Transfer-Encoding`, without which an empty body may as well be one that was cut.
 *
 * @param response  the response; NULL is ignored.
 * @param name      the header's name, in any case. NULL or what is not UTF-8 is ignored, here and in `value`.
 * @param value     its value, copied.
 */
void pusher_response_set_header(PusherResponse *response,
                                const char *name,
                                const char *value);

/**
 * Says that the request failed. After an answer was set it means that the answer was cut.
 *
 * @param response  the response; NULL is ignored.
 * @param delivery  ::PUSHER_DELIVERY_NOT_SENT if the request's last byte certainly never left;
 *                  ::PUSHER_DELIVERY_UNKNOWN, as anything else, if it may have.
 * @param cause     one of `dns connect tls proxy write timeout reset closed malformed transport`; anything else, and NULL, is
 *                  `transport`, after which nothing is `retryable`.
 * @param message   a sentence for people, or NULL; copied. A signed URL in it is taken out.
 */
void pusher_response_fail(PusherResponse *response,
                          int32_t delivery,
                          const char *cause,
                          const char *message);

/**
 * Frees a response that came from pusher_response_new().
 *
 * @param response  NULL is fine. Never one that a transport was handed.
 */
void pusher_response_free(PusherResponse *response);

/**
 * Lets the client send by a function of yours: an HTTP client that you have already, another proxy, a test.
 *
 * It replaces the sending only: signing, retries, classification and limits stay in the library. Once, before the first call, and while no
 * other thread uses the client.
 *
 * @param client     the client.
 * @param send       called for each request.
 * @param user_data  handed to `send`; used by several threads at once if the client is.
 * @param drop       releases `user_data`, exactly once; may be NULL.
 * @param out        on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_INVALID_STATE if a call was made or a transport set before.
 */
PusherStatus pusher_set_transport(Pusher *client,
                                  PusherSendFn send,
                                  void *user_data,
                                  PusherDropFn drop,
                                  char **out);

/**
 * Tells a function of yours what the client does, as far as `log_level` in its configuration says. Once, before the first call, and
 * while no other thread uses the client.
 *
 * @param client     the client.
 * @param log        called for each message.
 * @param user_data  handed to `log`; used by several threads at once if the client is.
 * @param drop       releases `user_data`, exactly once; may be NULL.
 * @param out        on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_INVALID_STATE if a call was made or a log set before.
 */
PusherStatus pusher_set_log(Pusher *client,
                            PusherLogFn log,
                            void *user_data,
                            PusherDropFn drop,
                            char **out);

/**
 * Makes a publisher: a queue whose events are sent in the background, several at a time.
 *
 * pusher_publisher_publish() checks an event and queues it; it does not wait for the network. Threads of the publisher's own, one
 * for each of `connections`, put what waits together into batches and send them; the first are started by the first event.
 *
 * **Order.** A channel's events are delivered in the order in which they were published: a channel always belongs to the same
 * connection, which has one request under way at a time, its retries included. Events that were published by several threads at once
 * have the order in which the calls came through; events of different channels have none. An event for several channels keeps the
 * order of each. An event that is `unknown` may have been delivered late, after those behind it. One that took the place of another
 * (`conflate`) is delivered in that one's place.
 *
 * **Reports.** Every event ends exactly once: `delivered`, `not_sent`, `rejected` or `unknown`, as an event that was triggered.
 * What becomes of events is counted (pusher_publisher_stats()) and reported (pusher_publisher_poll()).
 *
 * **Refused batches.** A server that refuses a batch (400, 413, 422) may have delivered a part of it. With the retry mode
 * `"at_least_once"` its events are sent again one by one. Otherwise each is `unknown`, except where `batch_is_atomic` says that a
 * refused batch is refused as a whole: then its events are sent one by one in mode `"safe"`, and are `rejected` in mode `"never"`.
 *
 * @param client     the client. It may be freed before the publisher; hooks can't be set any more. Its log is told nothing unless
 *                   `hooks_on_threads` is true.
 * @param config     a JSON object, or NULL. Not kept.
 *                   | key | default | |
 *                   |---|---|---|
 *                   | `connections` | 2 | requests under way at the same time, 1 to 64 |
 *                   | `max_queue_events`, `max_queue_bytes` | 10000, 16777216 | of events that have not ended, with all they take |
 *                   | `overflow` | `"reject"` | when full: ::PUSHER_STATUS_QUEUE_FULL; `"block"`: wait up to `timeout_ms`; `"drop_oldest"`: the oldest is not sent |
 *                   | `max_batch_events` | the client's | events of one request |
 *                   | `max_batch_bytes` | 1048576 | of one request, roughly |
 *                   | `linger_ms` | 5 | how long the first of several waits for more, and at most half of `event_ttl_ms`; an event that is alone never waits |
 *                   | `event_ttl_ms` | 0 | events that have waited longer are not sent; 0 for none |
 *                   | `max_events_per_second` | none | sent by this publisher |
 *                   | `reports` | `"failures"` | all but `delivered`; or `"all"`, or `"none"` |
 *                   | `max_reports` | 10000 | kept until they are fetched; older ones are given up, and counted |
 *                   | `batch_is_atomic` | `false` | above |
 *                   | `retry`, `timeout_ms` | the client's | of each request |
 *                   | `hooks_on_threads` | `false` | the client's transport and log may be called on the publisher's threads |
 *                   | `stats_format` | `"json"` | or `"prometheus"`, for pusher_publisher_stats() |
 * @param publisher  where the publisher goes; set to NULL on failure. The caller frees it with pusher_publisher_free().
 * @param out        on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_CONFIG naming the key, or ::PUSHER_STATUS_INVALID_STATE if the client has a
 *         transport and `hooks_on_threads` is not true.
 */
PusherStatus pusher_publisher_new(const Pusher *client,
                                  const char *config,
                                  PusherPublisher **publisher,
                                  char **out);

/**
 * Queues an event, to be sent in the background. It does not wait for the network.
 *
 * @param publisher  the publisher.
 * @param channels   as for pusher_trigger(); NULL with the option `user_id`.
 * @param event      the event's name, 1 to 200 characters.
 * @param data       the payload, as for pusher_trigger().
 * @param options    a JSON object, or NULL: `socket_id` and `info` as for pusher_trigger() (what `info` asks for comes with the report);
 *                   `user_id`, to send to a user as pusher_send_to_user() does; `conflate`, a text: an event on the same channel with
 *                   the same name and `conflate` that still waits is replaced by this one, and reported as `superseded`;
 *                   `timeout_ms`, how long to wait for room where `overflow` is `"block"`.
 * @param id         where the event's id goes, by which reports name it: 1 and up; 0 on failure. May be NULL.
 * @param out        on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK: queued, and it will be reported. Else it was not taken: ::PUSHER_STATUS_QUEUE_FULL,
 *         ::PUSHER_STATUS_CLOSED, ::PUSHER_STATUS_FORKED, or what pusher_trigger() would say before it sends anything.
 */
PusherStatus pusher_publisher_publish(PusherPublisher *publisher,
                                      const char *channels,
                                      const char *event,
                                      const char *data,
                                      const char *options,
                                      uint64_t *id,
                                      char **out);

/**
 * Fetches reports of what became of events, waiting for the first of them.
 *
 * Each event is reported once, by `id`: `{"reports":[{"id":7,"status":"SERVER_ERROR","message":…,"delivery":"unknown",…}]}`, with
 * the members of an error document, and `"status":"OK"` for what was delivered. What `info` had asked for is in `"answer"`: what is
 * known of the channel, or of several an object of that by channel. An
 * event that was never sent says why: `"reason"` is `"expired"`, `"dropped"`, `"superseded"` or `"closed"`. With `"lost":N` come
 * reports that were given up since the last call, because more than `max_reports` waited.
 *
 * @param publisher   the publisher.
 * @param timeout_ms  how long to wait for a report, in milliseconds; 0 not at all, UINT32_MAX for ever. When the publisher is closed
 *                    and everything was fetched, it does not wait.
 * @param out         on success up to 1,000 reports, the oldest first; on ::PUSHER_STATUS_TIMED_OUT NULL; else the error document. The
 *                    caller frees it with pusher_string_free(). With NULL, the reports are lost.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_TIMED_OUT if there are no reports, or ::PUSHER_STATUS_FORKED.
 */
PusherStatus pusher_publisher_poll(PusherPublisher *publisher,
                                   uint32_t timeout_ms,
                                   char **out);

/**
 * Waits until every event that was published has ended. Meanwhile nothing lingers. Events that other threads go on publishing are
 * waited for as well: while they do, it may be that only the timeout ends it.
 *
 * @param publisher   the publisher.
 * @param timeout_ms  how long to wait, in milliseconds; UINT32_MAX for ever.
 * @param out         on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_TIMED_OUT (nothing is lost), or ::PUSHER_STATUS_FORKED.
 */
PusherStatus pusher_publisher_flush(PusherPublisher *publisher,
                                    uint32_t timeout_ms,
                                    char **out);

/**
 * Takes no more events, and waits until those that were published have ended. What has not ended by then ends now: as `not_sent`
 * what waits, as `unknown` what is being sent. Reports can still be fetched, until pusher_publisher_poll() times out.
 *
 * @param publisher   the publisher. Closing it again does no harm.
 * @param timeout_ms  how long to wait, in milliseconds; UINT32_MAX for ever.
 * @param out         on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_TIMED_OUT if there were events to be ended so, or ::PUSHER_STATUS_FORKED.
 */
PusherStatus pusher_publisher_close(PusherPublisher *publisher,
                                    uint32_t timeout_ms,
                                    char **out);

/**
 * Counts and times of a publisher.
 *
 * As JSON: `queue` (`events` that have not ended, their `bytes`, and those `in_flight`), `events` (`published`, `refused` for want of
 * room, and ended as `delivered`, `not_sent`, `rejected`, `unknown`), `unsent` (of those not sent, by reason), `requests` (each
 * attempt), `batch_events` (events in a request), `retries` (by what had gone wrong: a `cause` of error documents, `rate_limited`,
 * `server_error`, `refused` for what is sent one by one), `latency_ms` (from publishing to the end), `reports` (`waiting`, `lost`).
 * `batch_events` and `latency_ms` are histograms: `count`, `sum`, and `buckets` of `[bound, count]`, the last without bound.
 *
 * With `"stats_format":"prometheus"` the same as Prometheus' text format, ready to be served.
 *
 * @param publisher  the publisher.
 * @param out        on success the statistics; on failure the error document. The caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_FORKED.
 */
PusherStatus pusher_publisher_stats(const PusherPublisher *publisher,
                                    char **out);

/**
 * Closes a publisher, waiting at most a second, and frees it. What becomes of its last events is not reported then: call
 * pusher_publisher_close() and fetch the reports first.
 *
 * A request that is still waiting for its answer is left to itself: its thread ends with it, within its `timeout_ms`.
 *
 * @param publisher  NULL is fine. No other call may be using it. In a forked child nothing is closed, and its memory stays.
 */
void pusher_publisher_free(PusherPublisher *publisher);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PUSHER_H */
