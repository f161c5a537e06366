/*
 * How much stack each kind of call takes, and every kind of call in a thread that has as much as pusher.h says.
 *
 *   stacks PORT CA CERTIFICATE KEY    PORT has a server with a certificate of RSA, which asks for that of a client
 *   stacks --planted                  a thread with far less must die
 *
 * A call that needs more than the thread has dies of SIGSEGV at the guard page. So each kind runs in a process of its own.
 */
#include "webhook.h"

#include <pthread.h>

/* What pusher.h says, and what may be used of it here: other processors run other code of the cryptography, and the dynamic linker saves
 * more registers on them. */
enum { STACK_BYTES = 64 * 1024, MOST_BYTES = 56 * 1024 };
enum { PAINTED_BYTES = 512 * 1024, PAINT = 0xa5, CHANNELS = 150 };

static int listener, tls_listener;
static char plain[2048], tls[2048], rsa[2048], unknown[2048], fan_out[CHANNELS * 32], webhook[4096], hex[65];
static const char *rsa_server[4];

/* Shared with the child. */
static struct shared {
  size_t used;
  char failure[MOST_FAILURE];
} *shared;

#define failed(...) keep_failure(shared->failure, __VA_ARGS__)

static void expect(int wanted, int status, char *out) {
  if (status != wanted) failed("%s: %s", pusher_status_name(status), out != NULL ? out : "");
  (void)pusher_error_delivery(out);
  pusher_string_free(out);
}

static Pusher *client_of(const char *config) {
  char *out = NULL;
  Pusher *client = NULL;
  expect(PUSHER_STATUS_OK, pusher_new(config, &client, &out), out);
  return client;
}

/* ---- the kinds of calls; each gets a client that was not used before ---- */

#define EXPECT(status, call)    \
  do {                          \
    char *out = NULL;           \
    int ended = call;           \
    expect(status, ended, out); \
  } while (0)
#define OK(call) EXPECT(PUSHER_STATUS_OK, call)

static void nothing(Pusher *client) { (void)client; }

static void make(Pusher *client) {
  (void)client;
  pusher_free(client_of(tls));
  EXPECT(PUSHER_STATUS_INVALID_CONFIG, pusher_new("{\"app_id\":\"1\",\"kei\":\"k\"}", &client, &out));
  OK(pusher_new("https://k:s@example.com/apps/1", &client, &out));
  pusher_free(client);
}

static void make_with_certificate(Pusher *client) {
  (void)client;
  pusher_free(client_of(rsa));
}

static void trigger(Pusher *client) {
  OK(pusher_trigger(client, "c", "e", "{\"a\":1}", "{\"info\":\"user_count\",\"headers\":{\"X-A\":\"b\"}}", &out));
  OK(pusher_trigger(client, "c", "e", "\"text\"", NULL, &out));
  OK(pusher_trigger_batch(client, "[{\"channel\":\"c\",\"name\":\"e\",\"data\":[1]}]", NULL, &out));
  OK(pusher_send_to_user(client, "7", "e", "1", NULL, &out));
  OK(pusher_terminate_user_connections(client, "7", NULL, &out));
}

static void many_channels(Pusher *client) {
  OK(pusher_trigger(client, fan_out, "e", "\"text\"", "{\"fan_out\":true}", &out));
}

static void queries(Pusher *client) {
  OK(pusher_channels_info(client, "presence-", "user_count", NULL, &out));
  OK(pusher_channel_info(client, "c", NULL, NULL, &out));
  OK(pusher_users_info(client, "presence-c", NULL, &out));
  OK(pusher_get(client, "/channels", "{\"info\":\"user_count\"}", NULL, &out));
  OK(pusher_post(client, "/events", NULL, "{\"name\":\"e\",\"channel\":\"c\",\"data\":\"1\"}", NULL, &out));
  char message[100];
  char *out = NULL;
  int status = pusher_get(client, "not a path", NULL, NULL, &out);
  if (pusher_error_message(out, message, sizeof message) == 0) failed("no message");
  expect(PUSHER_STATUS_INVALID_ARGUMENT, status, out);
}

static void signatures(Pusher *client) {
  static const char member[] = "{\"user_id\":\"7\",\"user_info\":{\"name\":\"n\"}}";
  OK(pusher_authenticate(client, "presence-c", "1.2", member, &out));
  OK(pusher_authenticate(client, "private-encrypted-c", "1.2", NULL, &out));
  OK(pusher_authenticate_channels(
      client, "1.2", "[\"private-c\",{\"channel\":\"presence-c\",\"channel_data\":{\"user_id\":\"7\"}}]", &out));
  OK(pusher_authenticate_user(client, "1.2", "{\"id\":\"7\"}", &out));
}

static void webhooks(Pusher *client) {
  const uint8_t *body = (const uint8_t *)webhook;
  OK(pusher_validate_webhook(client, text_of(torture_ready, "key"), hex, body, strlen(webhook), &out));
  EXPECT(PUSHER_STATUS_WEBHOOK_INVALID, pusher_validate_webhook(client, "k", "00", body, strlen(webhook), &out));
}

static void publisher(Pusher *client) {
  PusherPublisher *made = NULL;
  OK(pusher_publisher_new(client, "{\"reports\":\"all\"}", &made, &out));
  OK(pusher_publisher_publish(made, "c", "e", "1", NULL, NULL, &out));
  OK(pusher_publisher_publish(made, "[\"c\",\"private-encrypted-c\"]", "e", "1", "{\"fan_out\":true}", NULL, &out));
  OK(pusher_publisher_flush(made, 20000, &out));
  OK(pusher_publisher_poll(made, 20000, &out));
  OK(pusher_publisher_stats(made, &out));
  OK(pusher_publisher_close(made, 20000, &out));
  pusher_publisher_free(made);
}

static void by_hand(Pusher *client) {
  const char *arguments[] = {"private-encrypted-c", "e", "1"}, *name, *value;
  PusherRequest *request = NULL;
  PusherResponse *response = pusher_response_new();
  OK(pusher_prepare(client, "trigger", arguments, 3, &request, &out));
  for (size_t i = 0; i < pusher_request_header_count(request); i++) pusher_request_header(request, i, &name, &value);
  pusher_response_set(response, 200, (const uint8_t *)"{}", 2);
  pusher_response_set_header(response, "Content-Length", "2");
  OK(pusher_finish(client, request, response, &out));
  pusher_response_free(response);
  pusher_request_free(request);
}

static void transport(void *data, const PusherRequest *request, PusherResponse *response) {
  (void)data, (void)request;
  pusher_response_fail(response, PUSHER_DELIVERY_NOT_SENT, "tls", "planted");
}

static void ignore(void *data, int32_t level, const char *message, const char *fields) {
  (void)data, (void)level, (void)message, (void)fields;
}

static void callbacks(Pusher *client) {
  OK(pusher_set_log(client, ignore, NULL, NULL, &out));
  OK(pusher_set_transport(client, transport, NULL, NULL, &out));
  EXPECT(PUSHER_STATUS_NOT_SENT, pusher_trigger(client, "c", "e", "1", NULL, &out));
}

/* Of the server with RSA only the handshake matters. It answers a GET with a page. */
static void certificates(Pusher *client) {
  EXPECT(PUSHER_STATUS_BAD_RESPONSE, pusher_get(client, "/channels", NULL, NULL, &out));
}

/* The certificates of the system do not vouch for the server. */
static void stranger(Pusher *client) {
  EXPECT(PUSHER_STATUS_NOT_SENT, pusher_trigger(client, "c", "e", "1", NULL, &out));
}

static const struct kind {
  const char *name;
  void (*run)(Pusher *client);
  const char *config; /* of a client that is made before, or NULL */
} kinds[] = {
    {"an empty thread", nothing, NULL},
    {"pusher_new", make, NULL},
    {"pusher_new, client certificate", make_with_certificate, NULL},
    {"publish", trigger, plain},
    {"publish, fan-out and encryption", many_channels, plain},
    {"publish, TLS", trigger, tls},
    {"TLS, RSA, client certificate", certificates, rsa},
    {"TLS, certificates of the system", stranger, unknown},
    {"query", queries, plain},
    {"query, TLS", queries, tls},
    {"authorize, sign in", signatures, plain},
    {"webhook, encrypted", webhooks, plain},
    {"publisher", publisher, plain},
    {"publisher, TLS", publisher, tls},
    {"prepare, finish", by_hand, plain},
    {"callbacks", callbacks, plain},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- threads ---- */

static const struct kind *kind;
static Pusher *used;

static void *call(void *argument) {
  (void)argument;
  kind->run(used);
  return NULL;
}

static void run_thread(const pthread_attr_t *attributes) {
  pthread_t thread;
  if (kind->config != NULL) used = client_of(kind->config);
  if (pthread_create(&thread, attributes, call, NULL) != 0) {
    failed("no thread");
    return;
  }
  pthread_join(thread, NULL);
  pusher_free(used);
}

/* Runs a kind on a painted stack, and counts what lost its paint. */
static void on_painted_stack(void *argument) {
  pthread_attr_t attributes;
  unsigned char *stack = shared_memory(PAINTED_BYTES);
  size_t untouched = 0;
  (void)argument;
  memset(stack, PAINT, PAINTED_BYTES);
  pthread_attr_init(&attributes);
  if (pthread_attr_setstack(&attributes, stack, PAINTED_BYTES) != 0) failed("no stack");
  run_thread(&attributes);
  while (untouched < PAINTED_BYTES && stack[untouched] == PAINT) untouched++;
  shared->used = PAINTED_BYTES - untouched;
}

static size_t stack_bytes = STACK_BYTES;

static void on_small_stack(void *argument) {
  pthread_attr_t attributes;
  (void)argument;
  pthread_attr_init(&attributes);
  if (pthread_attr_setstacksize(&attributes, stack_bytes) != 0) failed("no stack of this size");
  run_thread(&attributes);
}

/* Returns whether a kind ends as it should in a child. */
static int ends(void (*body)(void *)) {
  memset(shared, 0, sizeof *shared);
  struct end end = in_child(body, NULL);
  if (end.signal == 0 && end.code == 0 && !end.is_hung && shared->failure[0] == '\0') return 1;
  fprintf(stderr, "%s, %zu bytes: signal %d, code %d, %s%s\n", kind->name, stack_bytes, end.signal, end.code,
          shared->failure, end.said);
  return 0;
}

static void prepare(void) {
  static const char more[] =
      ",\"timeout_ms\":20000,\"encryption_master_key_base64\":\"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\","
      "\"webhook_max_age_ms\":0";
  char certificates[1500];
  size_t length = 0;
  config_of(plain, sizeof plain, listener, 0, more);
  config_of(tls, sizeof tls, tls_listener, 1, more);
  snprintf(certificates, sizeof certificates,
           ",\"ca_file\":\"%s\",\"client_certificate_file\":\"%s\",\"client_key_file\":\"%s\"", rsa_server[1],
           rsa_server[2], rsa_server[3]);
  config_of(rsa, sizeof rsa, atoi(rsa_server[0]), 0, certificates);
  memcpy(strstr(rsa, "\"ssl\":false"), "\"ssl\":true ", 11);
  config_of(unknown, sizeof unknown, tls_listener, 0, ",\"retry\":{\"mode\":\"never\"}");
  memcpy(strstr(unknown, "\"ssl\":false"), "\"ssl\":true ", 11);
  for (int i = 0; i < CHANNELS; i++) length += (size_t)sprintf(fan_out + length, "%s\"c%d\"", i == 0 ? "[" : ",", i);
  sprintf(fan_out + length, ",\"private-encrypted-c\"]");
  Pusher *client = client_of(plain);
  encrypted_webhook(webhook, sizeof webhook, client, "\"text\"");
  sign_webhook(webhook, hex);
  pusher_free(client);
}

/* Returns whether TLS dies of a small stack, on which a thread that does nothing works. */
static int small_stack_is_found(void) {
  static const struct kind least = {"an empty thread", nothing, NULL}, most = {"publish, TLS", trigger, tls};
  /* The least that pthread_attr_setstacksize() accepts depends on the registers of the processor: 16 KiB or more. */
  stack_bytes = (size_t)sysconf(_SC_THREAD_STACK_MIN);
  kind = &least;
  if (!ends(on_small_stack)) return 0;
  kind = &most;
  memset(shared, 0, sizeof *shared);
  struct end end = in_child(on_small_stack, NULL);
  if (end.signal != SIGSEGV) fprintf(stderr, "with %zu bytes: signal %d, %s\n", stack_bytes, end.signal, end.said);
  return end.signal == SIGSEGV;
}

int main(int count, char **arguments) {
  int wrong = 0, is_planted = count == 2 && strcmp(arguments[1], "--planted") == 0;
  size_t most = 0;
  if (!is_planted && count != 5) stop("usage: stacks PORT CA CERTIFICATE KEY | --planted");
  for (int i = 0; i < 4; i++) rsa_server[i] = is_planted ? "1" : arguments[i + 1];
  shared = shared_memory(sizeof *shared);
  torture_start();
  listener = torture_listen("{\"fault\":\"none\"}");
  tls_listener = torture_listen("{\"fault\":\"none\",\"tls\":true}");
  prepare();
  if (is_planted) {
    wrong = !small_stack_is_found();
    torture_stop();
    return wrong;
  }
  for (int i = 0; i < KINDS; i++) {
    kind = &kinds[i];
    wrong += !ends(on_painted_stack);
    printf("   %-34s %6zu bytes of stack\n", kind->name, shared->used);
    if (shared->used > most) most = shared->used;
    wrong += !ends(on_small_stack);
  }
  torture_stop();
  if (most > MOST_BYTES) wrong++, fprintf(stderr, "only %d bytes may be used\n", MOST_BYTES);
  printf("kinds %d, most %zu, stated %d\n", KINDS - 1, most, STACK_BYTES);
  return wrong > 0;
}
