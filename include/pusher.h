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
 *   delivered. Nothing that may have been delivered is ever sent twice.
 * - Threads: any number may use one client at the same time. Nothing is kept per thread: an error belongs to its call.
 * - Process: no signal handler, no SIGPIPE, no output. A thread is started only to look up a host name, and ends with that.
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
   * A bug in libpusher, caught. Please report it.
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
 * A client of one Channels application.
 *
 * Threads: any number may use one client at the same time. Life: from pusher_new() to pusher_free().
 */
typedef struct Pusher Pusher;

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
 *                | `retry` | `{"mode":"never"}` | |
 *                | `max_idle_connections`, `idle_timeout_ms` | 8, 15000 | the pool of kept-alive connections |
 *                | `ca_file` | none | PEM certificates to trust instead of the system's |
 *                | `max_data_bytes`, `max_channels`, `max_response_bytes` | 10240, 100, 16777216 | limits |
 * @param client  where the client goes; set to NULL on failure. The caller frees it with pusher_free().
 * @param out     on failure the error document, else NULL; the caller frees it with pusher_string_free(). May be NULL.
 * @return ::PUSHER_STATUS_OK, ::PUSHER_STATUS_INVALID_CONFIG naming the key, or ::PUSHER_STATUS_INVALID_ARGUMENT.
 */
PusherStatus pusher_new(const char *config,
                        Pusher **client,
                        char **out);

/**
 * Frees a client and closes its idle connections.
 *
 * No call of this client may be running in another thread.
 *
 * @param client  NULL is fine.
 */
void pusher_free(Pusher *client);

/**
 * Frees a text that this library wrote to an `out` parameter.
 *
 * @param text  NULL is fine.
 */
void pusher_string_free(char *text);

/**
 * Publishes an event on one or more channels, and waits for the server's answer.
 *
 * @param client    the client.
 * @param channels  one channel name, or a JSON array of 1 to 100 of them. A name has 1 to 200 of the characters
 *                  `A–Z a–z 0–9 _ - = @ , . ;`.
 * @param event     the event's name, 1 to 200 characters.
 * @param data      the payload: JSON, at most 10,240 bytes. A JSON string sends its content; any other value is sent as the
 *                  text it is, byte for byte.
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

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PUSHER_H */
