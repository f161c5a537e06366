/* Makes one call of the library many times, for scripts/budgets.sh to count its instructions. Counts its allocations.
 *
 *   budgets CALL COUNT    makes COUNT calls, and prints the allocations of the process and their bytes
 *
 * A run with many calls differs from a run with few by those calls alone. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pusher.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "allocations.h"
#include "http.h"

static noreturn void __attribute__((format(printf, 1, 2))) die(const char *format, ...) {
  va_list values;
  va_start(values, format);
  vfprintf(stderr, format, values);
  va_end(values);
  fputc('\n', stderr);
  exit(1);
}

enum {
  EVENT_BYTES = 100,
  BATCH_EVENTS = 10,
  MOST_CALLS = 10000,
  /* The greatest payload of an event. */
  LARGE_EVENT_BYTES = 10240,
  FULL_EVENTS = 20000,
};

/* ---- the server: a process of its own, so that its instructions are not counted ---- */

/* The name of an event whose response waits for a byte. */
#define HELD_EVENT "held"

static const char response[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

static struct {
  pid_t process;
  int port;
  int from, to;
} server;

/* Responds to each request on a connection until it ends. Says when a request has arrived whose response waits. */
static void serve_connection(int connection, int from, int to) {
  static char bytes[64 * 1024 + 1];
  size_t have = 0;
  for (;;) {
    ssize_t got = recv(connection, bytes + have, sizeof bytes - 1 - have, 0);
    if (got <= 0) return;
    have += (size_t)got;
    bytes[have] = '\0';
    size_t whole = whole_message(bytes, have);
    if (whole == 0) continue;
    char byte = 'h';
    if (memmem(bytes, whole, "\"" HELD_EVENT "\"", sizeof HELD_EVENT + 1) != NULL &&
        (write(to, &byte, 1) != 1 || read(from, &byte, 1) != 1)) {
      return;
    }
    have -= whole;
    memmove(bytes, bytes + whole, have);
    if (send(connection, response, sizeof response - 1, MSG_NOSIGNAL) != sizeof response - 1) return;
  }
}

/* Serves one connection after the other, until its input ends. */
static void serve(int listener, int from, int to) {
  for (;;) {
    struct pollfd waiting[] = {{.fd = listener, .events = POLLIN}, {.fd = from, .events = POLLIN}};
    if (poll(waiting, 2, -1) < 0 || waiting[1].revents != 0) return;
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) return;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    serve_connection(connection, from, to);
    close(connection);
  }
}

/* Starts this program again as the server. Callgrind does not follow it. */
static void start_server(void) {
  char path[4096], numbers[3][16];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0) die("no path of this program");
  path[length] = '\0';

  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0), requests[2], releases[2];
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0 || pipe(requests) != 0 || pipe(releases) != 0) {
    die("no socket for the server");
  }
  snprintf(numbers[0], sizeof numbers[0], "%d", listener);
  snprintf(numbers[1], sizeof numbers[1], "%d", releases[0]);
  snprintf(numbers[2], sizeof numbers[2], "%d", requests[1]);
  server.process = fork();
  if (server.process < 0) die("no process for the server");
  if (server.process == 0) {
    /* The server ends at the end of its input, so no other process may keep the pipe open. */
    close(releases[1]);
    execl(path, path, "serve", numbers[0], numbers[1], numbers[2], (char *)NULL);
    _exit(127);
  }
  close(listener), close(releases[0]), close(requests[1]);
  server.port = ntohs(address.sin_port);
  server.from = requests[0];
  server.to = releases[1];
}

/* ---- the calls ---- */

static Pusher *make_client(void) {
  char config[256], *out = NULL;
  Pusher *client;
  /* No network call takes as long as this limit. Calls without a network do not use the port. */
  snprintf(config, sizeof config,
           "{\"url\":\"http://key:canary@127.0.0.1:%d/apps/1\",\"timeout_ms\":60000,"
           "\"webhook_max_age_ms\":0}",
           server.port > 0 ? server.port : 9);
  if (pusher_new(config, &client, &out) != PUSHER_STATUS_OK) die("pusher_new: %s", out);
  return client;
}

/* Ends the program after a failed call, and frees the result. */
static void check(PusherStatus status, char *out) {
  if (status != PUSHER_STATUS_OK) die("a call failed: %s", out);
  pusher_string_free(out);
}

static void authenticate(unsigned count) {
  Pusher *client = make_client();
  for (unsigned i = 0; i < count; i++) {
    char *out = NULL;
    PusherStatus status = pusher_authenticate(client, "private-my-channel", "1234.5678", NULL, &out);
    check(status, out);
  }
  pusher_free(client);
}

static void authenticate_user(unsigned count) {
  static const char user[] = "{\"id\":\"12345\",\"user_info\":{\"name\":\"Ada Lovelace\"},\"watchlist\":[\"6789\"]}";
  Pusher *client = make_client();
  for (unsigned i = 0; i < count; i++) {
    char *out = NULL;
    PusherStatus status = pusher_authenticate_user(client, "1234.5678", user, &out);
    check(status, out);
  }
  pusher_free(client);
}

static void validate_webhook(unsigned count) {
  static const char body[] = "{\"time_ms\":1327078148132,\"events\":["
                             "{\"name\":\"channel_occupied\",\"channel\":\"my-channel\"},"
                             "{\"name\":\"member_added\",\"channel\":\"presence-my-channel\",\"user_id\":\"12345\"},"
                             "{\"name\":\"client_event\",\"channel\":\"private-my-channel\",\"event\":\"client-typed\","
                             "\"data\":\"{\\\"characters\\\":123456789}\",\"socket_id\":\"1234.56789\"}]}";
  /* HMAC-SHA256 of the body with the secret "canary". */
  static const char signature[] = "a83cb2fee89143d05b37e430ef407df16f7babd0bf86110529350e2faf5456c3";
  _Static_assert(sizeof body - 1 == 300, "the webhook has 300 bytes");
  Pusher *client = make_client();
  for (unsigned i = 0; i < count; i++) {
    char *out = NULL;
    PusherStatus status =
        pusher_validate_webhook(client, "key", signature, (const uint8_t *)body, sizeof body - 1, &out);
    check(status, out);
  }
  pusher_free(client);
}

/* Writes a JSON array of short strings, whose quotation marks a request must escape. `size` is a multiple of 10. */
static void write_payload(char *payload, size_t size) {
  char *at = payload;
  *at++ = '[';
  while ((size_t)(at - payload) < size - 19) at = stpcpy(at, "\"abcdefg\",");
  strcpy(at, "\"this-is-the-last\"]");
  size_t length = strlen(payload);
  if (length != size) die("the payload has %zu bytes, not %zu", length, size);
}

static void observe_nothing(void *user_data, int32_t kind, uint64_t call_id, const char *fields) {
  (void)user_data, (void)kind, (void)call_id, (void)fields;
}

static void trigger(unsigned count, size_t bytes, PusherObserveFn observe) {
  char payload[LARGE_EVENT_BYTES + 1];
  write_payload(payload, bytes);
  start_server();
  Pusher *client = make_client();
  if (observe != NULL) check(pusher_set_observer(client, observe, NULL, NULL, NULL), NULL);
  for (unsigned i = 0; i < count; i++) {
    char *out = NULL;
    PusherStatus status = pusher_trigger(client, "my-channel", "my-event", payload, NULL, &out);
    check(status, out);
  }
  pusher_free(client);
}

static void trigger_small(unsigned count) { trigger(count, EVENT_BYTES, NULL); }

static void trigger_large(unsigned count) { trigger(count, LARGE_EVENT_BYTES, NULL); }

static void trigger_observed(unsigned count) { trigger(count, EVENT_BYTES, observe_nothing); }

static void trigger_batch(unsigned count) {
  char payload[EVENT_BYTES + 1], events[BATCH_EVENTS * (EVENT_BYTES + 64)], *at = events;
  write_payload(payload, EVENT_BYTES);
  for (int i = 0; i < BATCH_EVENTS; i++) {
    at += sprintf(at, "%s{\"channel\":\"my-channel\",\"name\":\"my-event\",\"data\":%s}", i == 0 ? "[" : ",", payload);
  }
  strcpy(at, "]");
  start_server();
  Pusher *client = make_client();
  for (unsigned i = 0; i < count; i++) {
    char *out = NULL;
    PusherStatus status = pusher_trigger_batch(client, events, NULL, &out);
    check(status, out);
  }
  pusher_free(client);
}

/* ---- the publisher: its thread waits for a response while events are published, so every run does the same ---- */

static void publish_one(PusherPublisher *publisher, const char *channels, const char *event, const char *payload) {
  char *out = NULL;
  PusherStatus status = pusher_publisher_publish(publisher, channels, event, payload, NULL, NULL, &out);
  if (status != PUSHER_STATUS_OK) die("pusher_publisher_publish: %s", out);
}

/* Publishes an event, waits until the publisher's thread waits for the response, and then publishes `count` more. An
 * event for several channels is always sent alone. */
static void publish_to_waiting_thread(PusherPublisher *publisher, const char *payload, unsigned count) {
  char byte;
  publish_one(publisher, "[\"my-channel\",\"other-channel\"]", HELD_EVENT, "1");
  if (read(server.from, &byte, 1) != 1) die("the server has ended");
  for (unsigned i = 0; i < count; i++) publish_one(publisher, "my-channel", "my-event", payload);
}

static PusherPublisher *make_publisher(const Pusher *client) {
  static const char config[] = "{\"connections\":1,\"max_batch_events\":10,\"reports\":\"failures\"}";
  char *out = NULL;
  PusherPublisher *publisher;
  if (pusher_publisher_new(client, config, &publisher, &out) != PUSHER_STATUS_OK) die("pusher_publisher_new: %s", out);
  return publisher;
}

static void publish(unsigned count) {
  char payload[EVENT_BYTES + 1];
  write_payload(payload, EVENT_BYTES);
  start_server();
  Pusher *client = make_client();
  publish_to_waiting_thread(make_publisher(client), payload, count);
  /* The exit of the process ends the publisher: closing it takes longer, the more events it has. */
}

/* Publishes `count` events to a queue that is full: for one channel and for two, with a conflate key and as a fan-out. Two
 * threads wait for the response to the first event, and others wait behind it. The queue is large, so a call that looked at
 * each of its events would cost many times more. */
static void publish_full(unsigned count, const char *overflow) {
  char config[256], options[64], *out = NULL;
  PusherPublisher *publisher;
  snprintf(config, sizeof config,
           "{\"connections\":2,\"max_queue_events\":%d,\"max_queue_bytes\":100000000,\"max_reports\":100,"
           "\"overflow\":\"%s\",\"retry\":{\"mode\":\"never\"}}",
           FULL_EVENTS, overflow);
  start_server();
  Pusher *client = make_client();
  if (pusher_publisher_new(client, config, &publisher, &out) != PUSHER_STATUS_OK) die("pusher_publisher_new: %s", out);
  PusherStatus expected = strcmp(overflow, "drop_oldest") == 0 ? PUSHER_STATUS_OK : PUSHER_STATUS_QUEUE_FULL;
  publish_to_waiting_thread(publisher, "1", 0);
  for (unsigned i = 1; i < FULL_EVENTS + count; i++) {
    const char *channels = i % 2 == 0 ? "my-channel" : "[\"my-channel\",\"other-channel\"]";
    /* Such a call waits for space with "block". */
    snprintf(options, sizeof options, "{\"timeout_ms\":1,\"conflate\":\"%u\"}", i);
    const char *kinds[] = {"{\"timeout_ms\":1}", "{\"timeout_ms\":1}", options, "{\"timeout_ms\":1,\"fan_out\":true}"};
    PusherStatus status = pusher_publisher_publish(publisher, channels, "my-event", "1", kinds[i % 4], NULL, &out);
    if (status != (i < FULL_EVENTS ? PUSHER_STATUS_OK : expected)) die("pusher_publisher_publish: %s", out);
    pusher_string_free(out);
  }
}

static void publish_reject(unsigned count) { publish_full(count, "reject"); }

static void publish_block(unsigned count) { publish_full(count, "block"); }

static void publish_drop_oldest(unsigned count) { publish_full(count, "drop_oldest"); }

static void deliver(unsigned count) {
  char payload[EVENT_BYTES + 1], *out = NULL;
  write_payload(payload, EVENT_BYTES);
  start_server();
  Pusher *client = make_client();
  PusherPublisher *publisher = make_publisher(client);
  publish_to_waiting_thread(publisher, payload, BATCH_EVENTS * count);
  if (write(server.to, "r", 1) != 1) die("the server has ended");
  check(pusher_publisher_close(publisher, UINT32_MAX, NULL), NULL);
  if (pusher_publisher_poll(publisher, 0, &out) != PUSHER_STATUS_TIMED_OUT) die("an event was not delivered: %s", out);
  pusher_publisher_free(publisher);
  pusher_free(client);
}

static const struct {
  const char *name;
  void (*make)(unsigned count);
} calls[] = {
    {"authenticate", authenticate},
    {"authenticate-user", authenticate_user},
    {"validate-webhook", validate_webhook},
    {"trigger-100-bytes", trigger_small},
    {"trigger-10-kilobytes", trigger_large},
    {"trigger-observed", trigger_observed},
    {"trigger-batch-of-10", trigger_batch},
    {"publish", publish},
    {"publish-reject", publish_reject},
    {"publish-block", publish_block},
    {"publish-drop-oldest", publish_drop_oldest},
    {"deliver-batch-of-10", deliver},
};

int main(int argc, char **argv) {
  if (argc == 5 && strcmp(argv[1], "serve") == 0) {
    serve(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
    return 0;
  }
  long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
  for (size_t i = 0; count > 0 && count <= MOST_CALLS && i < sizeof calls / sizeof *calls; i++) {
    if (strcmp(argv[1], calls[i].name) != 0) continue;
    calls[i].make((unsigned)count);
    struct allocations allocations = all_allocations();
    printf("%lu %lu\n", allocations.calls, allocations.bytes);
    fflush(stdout);
    /* No handler of exit() runs while the publisher's thread does. */
    _exit(0);
  }
  die("usage: budgets CALL COUNT");
}
