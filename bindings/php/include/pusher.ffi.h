#define FFI_SCOPE "LibPusher"
#define FFI_LIB "libpusher.so.0"
/* FFI::load() and ffi.preload read the two lines above, which must come first. The rest is a copy of
   include/pusher.ffi.h. */

/* pusher.h after the preprocessor, for FFI parsers such as those of PHP, Python's cffi and LuaJIT.
   pusher.h has the documentation. Generated from the sources; do not edit. */
enum { PUSHER_VERSION_NUMBER = 256 };
enum PusherStatus {
  PUSHER_STATUS_OK = 0,
  PUSHER_STATUS_INVALID_ARGUMENT = 1,
  PUSHER_STATUS_INVALID_CONFIG = 2,
  PUSHER_STATUS_INVALID_STATE = 3,
  PUSHER_STATUS_NOT_SENT = 20,
  PUSHER_STATUS_DELIVERY_UNKNOWN = 21,
  PUSHER_STATUS_BAD_RESPONSE = 22,
  PUSHER_STATUS_BAD_REQUEST = 40,
  PUSHER_STATUS_UNAUTHORIZED = 41,
  PUSHER_STATUS_FORBIDDEN = 42,
  PUSHER_STATUS_NOT_FOUND = 43,
  PUSHER_STATUS_PAYLOAD_TOO_LARGE = 44,
  PUSHER_STATUS_RATE_LIMITED = 45,
  PUSHER_STATUS_SERVER_ERROR = 46,
  PUSHER_STATUS_REDIRECTED = 47,
  PUSHER_STATUS_PARTIAL = 48,
  PUSHER_STATUS_WEBHOOK_INVALID = 60,
  PUSHER_STATUS_ENCRYPTION = 61,
  PUSHER_STATUS_QUEUE_FULL = 80,
  PUSHER_STATUS_CLOSED = 81,
  PUSHER_STATUS_TIMED_OUT = 82,
  PUSHER_STATUS_FORKED = 83,
  PUSHER_STATUS_INTERNAL = 255
};
typedef int32_t PusherStatus;
enum PusherDelivery {
  PUSHER_DELIVERY_NOT_SENT = 1,
  PUSHER_DELIVERY_REJECTED = 2,
  PUSHER_DELIVERY_UNKNOWN = 3,
  PUSHER_DELIVERY_DELIVERED = 4
};
typedef int32_t PusherDelivery;
enum PusherLogLevel {
  PUSHER_LOG_LEVEL_ERROR = 1,
  PUSHER_LOG_LEVEL_WARN = 2,
  PUSHER_LOG_LEVEL_INFO = 3,
  PUSHER_LOG_LEVEL_DEBUG = 4
};
typedef int32_t PusherLogLevel;
enum PusherObservation {
  PUSHER_OBSERVATION_CALL_START = 1,
  PUSHER_OBSERVATION_ATTEMPT_START = 2,
  PUSHER_OBSERVATION_ATTEMPT_END = 3,
  PUSHER_OBSERVATION_CALL_END = 4
};
typedef int32_t PusherObservation;
typedef struct Pusher Pusher;
typedef struct PusherPublisher PusherPublisher;
typedef struct PusherRequest PusherRequest;
typedef struct PusherResponse PusherResponse;
typedef void (*PusherSendFn)(void *user_data, const PusherRequest *request, PusherResponse *response);
typedef void (*PusherDropFn)(void *user_data);
typedef void (*PusherLogFn)(void *user_data, int32_t level, const char *message, const char *fields);
typedef void (*PusherObserveFn)(void *user_data, int32_t kind, uint64_t call_id, const char *fields);
const char *pusher_version(void);
uint32_t pusher_version_number(void);
const char *pusher_status_name(int32_t status);
PusherStatus pusher_new(const char *config, Pusher **client, char **out);
PusherStatus pusher_stats(const Pusher *client, char **out);
PusherStatus pusher_clone(const Pusher *client, Pusher **clone, char **out);
void pusher_cancel(const Pusher *client);
void pusher_free(Pusher *client);
void pusher_string_free(char *text);
int32_t pusher_error_delivery(const char *document);
size_t pusher_error_message(const char *document, char *buffer, size_t size);
int32_t pusher_error_status(const char *document);
int32_t pusher_error_retryable(const char *document);
int32_t pusher_error_http_status(const char *document);
int64_t pusher_error_retry_after_ms(const char *document);
size_t pusher_error_cause(const char *document, char *buffer, size_t size);
size_t pusher_error_server_code(const char *document, char *buffer, size_t size);
PusherStatus pusher_json_string(const char *text, size_t len, char **out);
PusherStatus pusher_trigger(const Pusher *client, const char *channels, const char *event, const char *data, const char *options, char **out);
PusherStatus pusher_trigger_batch(const Pusher *client, const char *events, const char *options, char **out);
PusherStatus pusher_send_to_user(const Pusher *client, const char *user_id, const char *event, const char *data, const char *options, char **out);
PusherStatus pusher_terminate_user_connections(const Pusher *client, const char *user_id, const char *options, char **out);
PusherStatus pusher_channels_info(const Pusher *client, const char *prefix_filter, const char *attributes, const char *options, char **out);
PusherStatus pusher_channel_info(const Pusher *client, const char *channel, const char *attributes, const char *options, char **out);
PusherStatus pusher_users_info(const Pusher *client, const char *channel, const char *options, char **out);
PusherStatus pusher_get(const Pusher *client, const char *path, const char *params, const char *options, char **out);
PusherStatus pusher_post(const Pusher *client, const char *path, const char *params, const char *body, const char *options, char **out);
PusherStatus pusher_delete(const Pusher *client, const char *path, const char *params, const char *options, char **out);
PusherStatus pusher_authenticate(const Pusher *client, const char *channel, const char *socket_id, const char *channel_data, char **out);
PusherStatus pusher_authenticate_channels(const Pusher *client, const char *socket_id, const char *channels, char **out);
PusherStatus pusher_authenticate_user(const Pusher *client, const char *socket_id, const char *user_data, char **out);
PusherStatus pusher_validate_webhook(const Pusher *client, const char *key, const char *signature, const uint8_t *body, size_t body_len, char **out);
PusherStatus pusher_prepare(const Pusher *client, const char *call, const char *const *arguments, size_t count, PusherRequest **request, char **out);
PusherStatus pusher_finish(const Pusher *client, PusherRequest *request, const PusherResponse *response, char **out);
const char *pusher_request_method(const PusherRequest *request);
const char *pusher_request_url(const PusherRequest *request);
size_t pusher_request_header_count(const PusherRequest *request);
int32_t pusher_request_header(const PusherRequest *request, size_t index, const char **name, const char **value);
const uint8_t *pusher_request_body(const PusherRequest *request, size_t *len);
const uint8_t *pusher_request_bytes(const PusherRequest *request, size_t *len);
const char *pusher_request_host(const PusherRequest *request);
uint16_t pusher_request_port(const PusherRequest *request);
int32_t pusher_request_tls(const PusherRequest *request);
uint32_t pusher_request_timeout_ms(const PusherRequest *request);
void pusher_request_free(PusherRequest *request);
PusherResponse *pusher_response_new(void);
void pusher_response_set(PusherResponse *response, int32_t http_status, const uint8_t *body, size_t body_len);
void pusher_response_set_header(PusherResponse *response, const char *name, const char *value);
int32_t pusher_response_feed(PusherResponse *response, const uint8_t *bytes, size_t len, size_t *used);
void pusher_response_fail(PusherResponse *response, int32_t delivery, const char *cause, const char *message);
void pusher_response_free(PusherResponse *response);
PusherStatus pusher_set_transport(Pusher *client, PusherSendFn send, void *user_data, PusherDropFn drop, char **out);
PusherStatus pusher_set_log(Pusher *client, PusherLogFn log, void *user_data, PusherDropFn drop, char **out);
PusherStatus pusher_set_observer(Pusher *client, PusherObserveFn observe, void *user_data, PusherDropFn drop, char **out);
PusherStatus pusher_publisher_new(const Pusher *client, const char *config, PusherPublisher **publisher, char **out);
PusherStatus pusher_publisher_publish(PusherPublisher *publisher, const char *channels, const char *event, const char *data, const char *options, uint64_t *id, char **out);
PusherStatus pusher_publisher_poll(PusherPublisher *publisher, uint32_t timeout_ms, char **out);
PusherStatus pusher_publisher_fd(PusherPublisher *publisher, intptr_t *fd, char **out);
PusherStatus pusher_publisher_flush(PusherPublisher *publisher, uint32_t timeout_ms, char **out);
PusherStatus pusher_publisher_close(PusherPublisher *publisher, uint32_t timeout_ms, char **out);
PusherStatus pusher_publisher_drain(PusherPublisher *publisher, uint32_t timeout_ms, char **out);
PusherStatus pusher_publisher_restore(PusherPublisher *publisher, const char *drained, char **out);
PusherStatus pusher_publisher_stats(const PusherPublisher *publisher, char **out);
void pusher_publisher_free(PusherPublisher *publisher);
