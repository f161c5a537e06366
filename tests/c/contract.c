/* Calls every function of the ABI with valid and invalid arguments, and checks the results. Valgrind checks ownership and
 * lifetimes in the same run.
 *
 *   contract               all checks, against a server in a thread
 *   contract serve         only that server: prints its port, and ends when its standard input ends
 *   contract calls PORT N  N events to such a server, on one client
 *   contract fresh PORT N  N events to such a server, each on a client of its own
 */
#include <pusher.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <time.h>

#include "portable.h"

static int failures;

/* Reports a failed check and continues, so that one run shows all. */
#define CHECK(condition, ...)                                         \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
      fprintf(stderr, __VA_ARGS__);                                   \
      fputc('\n', stderr);                                            \
      __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);             \
    }                                                                 \
  } while (0)

/* Ends the program if the test itself cannot continue. */
#define NEED(condition)                                                                    \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, strerror(errno)); \
      exit(2);                                                                             \
    }                                                                                      \
  } while (0)

/* ---- the server: the event's name selects the response ---- */

enum { MOST_CONNECTIONS = 64, MOST_BYTES = 64 * 1024 };

typedef struct {
  int socket; /* 0: none */
  size_t length;
  char bytes[MOST_BYTES + 1];
} Connection;

typedef struct {
  int listener;
  int stop; /* The server ends when this becomes readable or ends. */
  unsigned short port;
} Server;

static Server listen_somewhere(int stop) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  Server server = {.listener = (int)socket(AF_INET, SOCK_STREAM, 0), .stop = stop};
  NEED(server.listener >= 0);
  NEED(bind(server.listener, (struct sockaddr *)&address, size) == 0);
  NEED(listen(server.listener, 64) == 0);
  NEED(getsockname(server.listener, (struct sockaddr *)&address, &size) == 0);
  server.port = ntohs(address.sin_port);
  return server;
}

static void send_all(int socket, const char *text) {
  size_t length = strlen(text);
  while (length > 0) {
    ssize_t sent = send(socket, text, length, MSG_NOSIGNAL);
    if (sent <= 0) return;
    text += sent;
    length -= (size_t)sent;
  }
}

static void answer(int socket, const char *status, const char *body) {
  char text[8192];
  snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
  send_all(socket, text);
}

/* Responds to a complete request. Returns 0 if the connection must be closed. */
static int serve_one(Connection *connection, int number) {
  connection->bytes[connection->length] = 0;
  /* The first byte of a TLS handshake. */
  if (connection->length > 0 && connection->bytes[0] == 0x16) return 0;
  /* As soon as the name has arrived: the rest is never read. */
  if (strstr(connection->bytes, "\r\n\r\n{\"name\":\"drop\"") != NULL) return 0;
  const char *head_end = strstr(connection->bytes, "\r\n\r\n");
  if (head_end == NULL) return 1;
  const char *length = strcasestr(connection->bytes, "\r\ncontent-length:");
  if (length > head_end) length = NULL;
  NEED((length != NULL) == (strncmp(connection->bytes, "POST ", 5) == 0));
  const char *body = head_end + 4;
  size_t whole = (size_t)(body - connection->bytes) + (length != NULL ? strtoul(length + 17, NULL, 10) : 0);
  if (connection->length < whole) return 1;

  /* In a payload, the quotation marks would be escaped. */
  char name[64] = "";
  const char *named = strstr(body, "\"name\":\"");
  if (named != NULL) sscanf(named, "\"name\":\"%63[^\"]", name);
  if (strcmp(name, "close") == 0) return 0;
  if (strcmp(name, "silence") == 0) {
    /* No response. */
  } else if (strcmp(name, "garbage") == 0) {
    send_all(connection->socket, "garbage\r\n\r\n");
  } else if (strcmp(name, "empty") == 0) {
    send_all(connection->socket, "HTTP/1.1 204 No Content\r\n\r\n");
  } else if (strcmp(name, "cut") == 0) {
    send_all(connection->socket, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
    return 0;
  } else if (strcmp(name, "not-json") == 0) {
    answer(connection->socket, "200 OK", "<html>");
  } else if (strcmp(name, "soketi") == 0) {
    answer(connection->socket, "200 OK", "{\"error\":\"no\",\"code\":401}");
  } else if (strcmp(name, "slow-down") == 0) {
    send_all(connection->socket, "HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
  } else if (strcmp(name, "connection") == 0) {
    char text[64];
    snprintf(text, sizeof text, "{\"connection\":%d}", number);
    answer(connection->socket, "200 OK", text);
  } else if (name[0] >= '3' && name[0] <= '5') {
    char text[4097];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    answer(connection->socket, name, text);
  } else {
    answer(connection->socket, "200 OK", "{}");
  }
  connection->length = 0;
  return 1;
}

static void *serve(void *argument) {
  Server *server = argument;
  static Connection connections[MOST_CONNECTIONS];
  static int numbers[MOST_CONNECTIONS];
  int count = 0;
  for (;;) {
    struct pollfd waiting[MOST_CONNECTIONS + 2] = {{.fd = server->listener, .events = POLLIN},
                                                   {.fd = server->stop, .events = POLLIN}};
    int free_one = -1;
    for (int i = 0; i < MOST_CONNECTIONS; i++) {
      waiting[i + 2] = (struct pollfd){.fd = connections[i].socket != 0 ? connections[i].socket : -1, .events = POLLIN};
      if (connections[i].socket == 0) free_one = i;
    }
    NEED(free_one >= 0);
    if (poll(waiting, MOST_CONNECTIONS + 2, -1) < 0) {
      NEED(errno == EINTR);
      continue;
    }
    if (waiting[1].revents != 0) break;
    for (int i = 0; i < MOST_CONNECTIONS; i++) {
      Connection *connection = &connections[i];
      if (connection->socket == 0 || waiting[i + 2].revents == 0) continue;
      ssize_t got =
          recv(connection->socket, connection->bytes + connection->length, MOST_BYTES - connection->length, 0);
      if (got > 0) connection->length += (size_t)got;
      if (got <= 0 || !serve_one(connection, numbers[i])) {
        close_socket(connection->socket);
        connection->socket = 0;
        connection->length = 0;
      }
    }
    if (waiting[0].revents != 0) {
      int one = 1;
      int accepted = (int)accept(server->listener, NULL, NULL);
      NEED(accepted > 0);
      setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, (const char *)&one, sizeof one);
      connections[free_one].socket = accepted;
      numbers[free_one] = ++count;
    }
  }
  for (int i = 0; i < MOST_CONNECTIONS; i++) {
    if (connections[i].socket != 0) close_socket(connections[i].socket);
  }
  close_socket(server->listener);
  return NULL;
}

/* ---- the checks ---- */

/* Formats a string, which the caller frees. */
static char *text(const char *format, ...) {
  char buffer[4096];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  NEED(length >= 0 && (size_t)length < sizeof buffer);
  char *copy = strdup(buffer);
  NEED(copy != NULL);
  return copy;
}

static Pusher *client_of(unsigned short port, const char *more) {
  char *config =
      text("{\"app_id\":\"1\",\"key\":\"k\",\"secret\":\"canary\",\"host\":\"127.0.0.1\",\"port\":%d,\"ssl\":false%s}",
           port, more);
  Pusher *client = NULL;
  char *out = NULL;
  PusherStatus status = pusher_new(config, &client, &out);
  CHECK(status == PUSHER_STATUS_OK && client != NULL && out == NULL, "%s: %s", config, out != NULL ? out : "");
  pusher_string_free(out);
  free(config);
  return client;
}

/* A stale value: `out` and `client` must always be written. */
static char stale;

/* Checks the status, the delivery, and a part of the document. */
static void expect(const char *what, PusherStatus status, char *out, PusherStatus wanted, int delivery,
                   const char *needle) {
  const char *shown = out != NULL ? out : "(null)";
  CHECK(out != &stale, "%s: out was not written", what);
  if (out == &stale) return;
  CHECK(status == wanted, "%s: %s instead of %s: %s", what, pusher_status_name(status), pusher_status_name(wanted),
        shown);
  CHECK(pusher_error_delivery(out) == delivery, "%s: delivery %d instead of %d: %s", what, pusher_error_delivery(out),
        delivery, shown);
  CHECK(out != NULL && strstr(out, needle) != NULL, "%s: no %s in %s", what, needle, shown);
  CHECK(out == NULL || strstr(out, "canary") == NULL, "%s: the secret is in %s", what, shown);
  char message[16384];
  size_t length = pusher_error_message(out, message, sizeof message);
  CHECK(strlen(message) == length && (length > 0) == (status != PUSHER_STATUS_OK), "%s: message %s", what, message);
  pusher_string_free(out);
}

typedef struct {
  const char *channels, *event, *data, *options;
  PusherStatus status;
  int delivery;
  const char *needle;
} Case;

static void expect_trigger(const Pusher *client, const Case *c) {
  char *out = &stale;
  PusherStatus status = pusher_trigger(client, c->channels, c->event, c->data, c->options, &out);
  expect(c->needle, status, out, c->status, c->delivery, c->needle);
  /* Again without `out`. */
  if (c->status == PUSHER_STATUS_INVALID_ARGUMENT) {
    CHECK(pusher_trigger(client, c->channels, c->event, c->data, c->options, NULL) == c->status, "%s without out",
          c->needle);
  }
}

static void check_versions_and_names(void) {
  char version[32];
  snprintf(version, sizeof version, "%d.%d.%d", PUSHER_VERSION_MAJOR, PUSHER_VERSION_MINOR, PUSHER_VERSION_PATCH);
  CHECK(strncmp(pusher_version(), version, strlen(version)) == 0, "%s", pusher_version());
  CHECK(pusher_version_number() == PUSHER_VERSION_NUMBER, "%x", (unsigned)pusher_version_number());
  CHECK(strcmp(pusher_status_name(PUSHER_STATUS_OK), "OK") == 0, "%s", pusher_status_name(0));
  CHECK(strcmp(pusher_status_name(PUSHER_STATUS_INTERNAL), "INTERNAL") == 0, "%s", pusher_status_name(255));
  int named = 0;
  for (int32_t status = -300; status <= 300; status++) {
    if (strcmp(pusher_status_name(status), "?") != 0) named++;
  }
  CHECK(named == 23, "%d", named);
}

static void check_documents(void) {
  const char *document =
      "{\"error\":{\"status\":\"X\",\"delivery\":\"unknown\",\"message\":\"a\\u00e9\xe2\x82\xacz\"}}";
  const char *message = "a\xc3\xa9\xe2\x82\xacz";
  const size_t whole = strlen(message);
  CHECK(pusher_error_delivery(document) == PUSHER_DELIVERY_UNKNOWN, "%d", pusher_error_delivery(document));
  CHECK(pusher_error_message(document, NULL, 0) == whole, "no buffer");
  for (size_t size = 1; size <= whole + 2; size++) {
    /* Of exactly this size, so that valgrind sees a byte too many. */
    char *buffer = malloc(size);
    NEED(buffer != NULL);
    CHECK(pusher_error_message(document, buffer, size) == whole, "size %zu", size);
    size_t length = strlen(buffer);
    CHECK(length < size && memcmp(buffer, message, length) == 0, "size %zu: %s", size, buffer);
    /* Truncated between characters, with the longest prefix that fits. */
    CHECK((message[length] & 0xc0) != 0x80 && (length + 3 >= size || length == whole), "size %zu: %s", size, buffer);
    free(buffer);
  }
  const char *others[] = {
      NULL, "", "{}", "[", "{\"error\":1}", "{\"ok\":true}", "\xff", "{\"error\":{\"message\":\"\xff\"}}"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    char buffer[4] = "abc";
    CHECK(pusher_error_delivery(others[i]) == 0, "document %zu", i);
    CHECK(pusher_error_message(others[i], buffer, sizeof buffer) == 0 && buffer[0] == 0, "document %zu", i);
  }
  pusher_string_free(NULL);
  pusher_free(NULL);
}

static void check_accessors(void) {
  const char *document =
      "{\"error\":{\"status\":\"RATE_LIMITED\",\"message\":\"m\",\"cause\":\"reset\",\"server_code\":\"4001\","
      "\"retryable\":true,\"http_status\":429,\"retry_after_ms\":86400000,\"parts\":[{\"http_status\":500}]}}";
  CHECK(pusher_error_status(document) == PUSHER_STATUS_RATE_LIMITED, "%d", (int)pusher_error_status(document));
  CHECK(pusher_error_retryable(document) == 1, "%d", (int)pusher_error_retryable(document));
  CHECK(pusher_error_http_status(document) == 429, "%d", (int)pusher_error_http_status(document));
  CHECK(pusher_error_retry_after_ms(document) == 86400000, "%ld", (long)pusher_error_retry_after_ms(document));
  size_t (*const copies[])(const char *, char *, size_t) = {pusher_error_cause, pusher_error_server_code};
  const char *const words[] = {"reset", "4001"};
  for (size_t i = 0; i < 2; i++) {
    size_t whole = strlen(words[i]);
    CHECK(copies[i](document, NULL, 0) == whole, "no buffer, %zu", i);
    for (size_t size = 1; size <= whole + 2; size++) {
      char *buffer = malloc(size);
      NEED(buffer != NULL);
      size_t fits = size > whole ? whole : size - 1;
      CHECK(copies[i](document, buffer, size) == whole && strlen(buffer) == fits && memcmp(buffer, words[i], fits) == 0,
            "size %zu: %s", size, buffer);
      free(buffer);
    }
  }
  /* NULL, not UTF-8, a result, and each truncation. */
  char cut[512];
  size_t whole = strlen(document);
  for (size_t i = 0; i < whole + 3; i++) {
    const char *other = i > whole + 1 ? NULL : i > whole ? "{\"error\":{\"http_status\":500}}" : cut;
    char buffer[8] = "abc";
    memcpy(cut, document, whole + 1);
    cut[i < whole ? i : whole - 3] = i < whole ? '\0' : '\xff';
    CHECK(pusher_error_status(other) == 0 && pusher_error_retryable(other) == 0 &&
              pusher_error_http_status(other) == 0 && pusher_error_retry_after_ms(other) == -1,
          "other %zu", i);
    CHECK(pusher_error_cause(other, buffer, sizeof buffer) == 0 && buffer[0] == 0, "other %zu", i);
    CHECK(pusher_error_server_code(other, buffer, sizeof buffer) == 0 && buffer[0] == 0, "other %zu", i);
  }

  char *out = &stale;
  CHECK(pusher_json_string("O\"Brien<b>\n", 11, &out) == PUSHER_STATUS_OK, "%s", out);
  CHECK(strcmp(out, "\"O\\\"Brien<b>\\n\"") == 0, "%s", out);
  pusher_string_free(out);
  CHECK(pusher_json_string(NULL, 0, &out) == PUSHER_STATUS_OK && strcmp(out, "\"\"") == 0, "%s", out);
  pusher_string_free(out);
  out = &stale;
  PusherStatus status = pusher_json_string(NULL, 1, &out);
  expect("json_string of NULL", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"text\"");
  out = &stale;
  status = pusher_json_string("a\xff", 2, &out);
  expect("json_string of bad UTF-8", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"text\"");
  out = &stale;
  status = pusher_json_string("a", SIZE_MAX, &out);
  expect("json_string of everything", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"text\"");
}

static void check_configurations(void) {
  static const struct {
    const char *config;
    PusherStatus status;
    const char *needle;
  } wrong[] = {
      {"", PUSHER_STATUS_INVALID_CONFIG, "\"config\""},
      {"{", PUSHER_STATUS_INVALID_CONFIG, "\"config\""},
      {"[]", PUSHER_STATUS_INVALID_CONFIG, "\"config\""},
      {"\xff", PUSHER_STATUS_INVALID_ARGUMENT, "\"config\""},
      {"{}", PUSHER_STATUS_INVALID_CONFIG, "\"key\""},
      {"{\"app_id\":\"1\",\"key\":\"k\"}", PUSHER_STATUS_INVALID_CONFIG, "\"secret\""},
      {"{\"app_id\":\"1\",\"key\":\"k\",\"secret\":\"canary\",\"colour\":1}", PUSHER_STATUS_INVALID_CONFIG,
       "\"colour\""},
      {"{\"app_id\":\"1\",\"key\":\"k\",\"secret\":\"canary\",\"secret\":\"canary\"}", PUSHER_STATUS_INVALID_CONFIG,
       "\"secret\""},
      {"{\"app_id\":\"1\",\"key\":\"k\",\"secret\":\"canary\",\"port\":70000}", PUSHER_STATUS_INVALID_CONFIG,
       "\"port\""},
      {"{\"app_id\":\"1\",\"key\":\"k\",\"secret\":\"canary\",\"host\":\"a b\"}", PUSHER_STATUS_INVALID_CONFIG,
       "\"host\""},
      {"https://k:canary@h", PUSHER_STATUS_INVALID_CONFIG, "\"url\""},
      {NULL, PUSHER_STATUS_INVALID_CONFIG, "PUSHER_URL"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char *out = &stale;
    Pusher *client = (Pusher *)&stale;
    PusherStatus status = pusher_new(wrong[i].config, &client, &out);
    expect(wrong[i].config != NULL ? wrong[i].config : "no environment", status, out, wrong[i].status, 0,
           wrong[i].needle);
    CHECK(client == NULL, "configuration %zu", i);
    client = (Pusher *)&stale;
    CHECK(pusher_new(wrong[i].config, &client, NULL) == wrong[i].status && client == NULL,
          "configuration %zu without out", i);
  }
  char *out = &stale;
  PusherStatus status = pusher_new("https://k:canary@h/apps/1", NULL, &out);
  expect("no place for a client", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"client\"");
  CHECK(pusher_new(NULL, NULL, NULL) != PUSHER_STATUS_OK, "nothing at all");

  const char *right[] = {"https://k:canary@api-eu.pusher.com/apps/1", "http://k:canary@[::1]:6001/a/apps/1",
                         " {\"app_id\":1,\"key\":\"k\",\"secret\":\"canary\"} "};
  for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
    Pusher *client = (Pusher *)&stale;
    out = &stale;
    CHECK(pusher_new(right[i], &client, &out) == PUSHER_STATUS_OK && out == NULL, "%s", right[i]);
    pusher_free(client);
  }
}

static void check_environment(unsigned short port) {
  char *url = text("http://k:canary@127.0.0.1:%d/apps/1", port);
  NEED(setenv("PUSHER_URL", url, 1) == 0);
  Pusher *client = NULL;
  char *out = &stale;
  CHECK(pusher_new(NULL, &client, NULL) == PUSHER_STATUS_OK, "%s", url);
  PusherStatus status = pusher_trigger(client, "c", "ok", "{}", NULL, &out);
  expect("a client of the environment", status, out, PUSHER_STATUS_OK, 0, "{}");
  pusher_free(client);
  NEED(unsetenv("PUSHER_URL") == 0);
  free(url);
}

static void check_arguments(unsigned short port) {
  char *too_long = malloc(202);
  char *too_large = malloc(10240 + 4);
  char *too_many = malloc(101 * 4 + 2);
  NEED(too_long != NULL && too_large != NULL && too_many != NULL);
  memset(too_long, 'a', 201);
  too_long[201] = 0;
  memset(too_large, 'a', 10243);
  too_large[0] = too_large[10242] = '"';
  too_large[10243] = 0;
  strcpy(too_many, "[");
  for (int i = 0; i < 101; i++) strcat(too_many, i > 0 ? ",\"c\"" : "\"c\"");
  strcat(too_many, "]");

  const PusherStatus invalid = PUSHER_STATUS_INVALID_ARGUMENT;
  const int not_sent = PUSHER_DELIVERY_NOT_SENT;
  const Case cases[] = {
      {NULL, "e", "{}", NULL, invalid, not_sent, "\"channels\""},
      {"", "e", "{}", NULL, invalid, not_sent, "\"channels\""},
      {"\xff", "e", "{}", NULL, invalid, not_sent, "\"channels\""},
      {too_long, "e", "{}", NULL, invalid, not_sent, "\"channels\""},
      {"a\nb", "e", "{}", NULL, invalid, not_sent, "\"channels\""},
      {"[", "e", "{}", NULL, invalid, not_sent, "\"channels\""},
      {"[]", "e", "{}", NULL, invalid, not_sent, "\"channels\""},
      {"[\"a\",1]", "e", "{}", NULL, invalid, not_sent, "\"channels[1]\""},
      {too_many, "e", "{}", NULL, invalid, not_sent, "\"channels\""},
      {"c", NULL, "{}", NULL, invalid, not_sent, "\"event\""},
      {"c", "", "{}", NULL, invalid, not_sent, "\"event\""},
      {"c", "\xff", "{}", NULL, invalid, not_sent, "\"event\""},
      {"c", too_long, "{}", NULL, invalid, not_sent, "\"event\""},
      {"c", "e", NULL, NULL, invalid, not_sent, "\"data\""},
      {"c", "e", "", NULL, invalid, not_sent, "\"data\""},
      {"c", "e", "\xff", NULL, invalid, not_sent, "\"data\""},
      {"c", "e", "\"\n\"", NULL, invalid, not_sent, "\"data\""},
      {"c", "e", "{", NULL, invalid, not_sent, "\"data\""},
      {"c", "e", "\"\\ud800\"", NULL, invalid, not_sent, "\"data\""},
      {"c", "e", too_large, NULL, PUSHER_STATUS_PAYLOAD_TOO_LARGE, not_sent, "\"data\""},
      {"c", "e", "{}", "", invalid, not_sent, "\"options\""},
      {"c", "e", "{}", "\xff", invalid, not_sent, "\"options\""},
      {"c", "e", "{}", "[]", invalid, not_sent, "\"options\""},
      {"c", "e", "{}", "{", invalid, not_sent, "\"options\""},
      {"c", "e", "{}", "{\"colour\":1}", invalid, not_sent, "\"options.colour\""},
      {"c", "e", "{}", "{\"socket_id\":\"1.2:x\"}", invalid, not_sent, "\"options.socket_id\""},
      {"c", "e", "{}", "{\"info\":\"a&b\"}", invalid, not_sent, "\"options.info\""},
      {"c", "e", "{}", "{\"timeout_ms\":0}", invalid, not_sent, "\"options.timeout_ms\""},
      {"c", "e", "{}", "{\"info\":\"a\",\"info\":\"a\"}", invalid, not_sent, "\"options.info\""},
  };
  /* This client's port is closed, so nothing can be sent. */
  Pusher *client = client_of(port, "");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) expect_trigger(client, &cases[i]);
  expect_trigger(NULL, &(Case){"c", "e", "{}", NULL, invalid, not_sent, "\"client\""});
  expect_trigger(NULL, &(Case){NULL, NULL, NULL, NULL, invalid, not_sent, "\"client\""});
  expect_trigger(client, &(Case){"c", "e", "{}", NULL, PUSHER_STATUS_NOT_SENT, not_sent, "\"connect\""});
  pusher_free(client);
  free(too_long);
  free(too_large);
  free(too_many);
}

static void check_answers(unsigned short port) {
  static const Case cases[] = {
      {"c", "ok", "{\"a\":[1,2,{}]}", NULL, PUSHER_STATUS_OK, 0, "{}"},
      {"[\"a\",\"b\"]", "ok", "\"text\"", "{\"socket_id\":\"1.2\",\"info\":\"user_count\",\"timeout_ms\":5000}",
       PUSHER_STATUS_OK, 0, "{}"},
      {"c", "empty", "{}", NULL, PUSHER_STATUS_OK, 0, "{}"},
      {"c", "302 Found", "{}", NULL, PUSHER_STATUS_REDIRECTED, PUSHER_DELIVERY_REJECTED, "302"},
      {"c", "400 No", "{}", NULL, PUSHER_STATUS_BAD_REQUEST, PUSHER_DELIVERY_REJECTED, "400"},
      {"[\"a\",\"b\"]", "400 No", "{}", NULL, PUSHER_STATUS_BAD_REQUEST, PUSHER_DELIVERY_UNKNOWN, "400"},
      {"c", "401 No", "{}", NULL, PUSHER_STATUS_UNAUTHORIZED, PUSHER_DELIVERY_REJECTED, "401"},
      {"c", "403 No", "{}", NULL, PUSHER_STATUS_FORBIDDEN, PUSHER_DELIVERY_REJECTED, "403"},
      {"c", "404 No", "{}", NULL, PUSHER_STATUS_NOT_FOUND, PUSHER_DELIVERY_REJECTED, "404"},
      {"c", "413 No", "{}", NULL, PUSHER_STATUS_PAYLOAD_TOO_LARGE, PUSHER_DELIVERY_REJECTED, "413"},
      {"c", "slow-down", "{}", NULL, PUSHER_STATUS_RATE_LIMITED, PUSHER_DELIVERY_REJECTED, "7000"},
      {"c", "500 No", "{}", NULL, PUSHER_STATUS_SERVER_ERROR, PUSHER_DELIVERY_UNKNOWN, "500"},
      {"c", "soketi", "{}", NULL, PUSHER_STATUS_UNAUTHORIZED, PUSHER_DELIVERY_REJECTED, "401"},
      {"c", "not-json", "{}", NULL, PUSHER_STATUS_BAD_RESPONSE, PUSHER_DELIVERY_UNKNOWN, "200"},
      {"c", "cut", "{}", NULL, PUSHER_STATUS_BAD_RESPONSE, PUSHER_DELIVERY_UNKNOWN, "\"closed\""},
      {"c", "garbage", "{}", NULL, PUSHER_STATUS_DELIVERY_UNKNOWN, PUSHER_DELIVERY_UNKNOWN, "\"malformed\""},
      {"c", "close", "{}", NULL, PUSHER_STATUS_DELIVERY_UNKNOWN, PUSHER_DELIVERY_UNKNOWN, "\"closed\""},
      {"c", "silence", "{}", "{\"timeout_ms\":1500}", PUSHER_STATUS_DELIVERY_UNKNOWN, PUSHER_DELIVERY_UNKNOWN,
       "\"timeout\""},
      {"c", "ok", "{}", NULL, PUSHER_STATUS_OK, 0, "{}"},
  };
  Pusher *client = client_of(port, "");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) expect_trigger(client, &cases[i]);
  CHECK(pusher_trigger(client, "c", "ok", "{}", NULL, NULL) == PUSHER_STATUS_OK, "without out");
  pusher_free(client);
}

static void check_network(unsigned short port) {
  const int not_sent = PUSHER_DELIVERY_NOT_SENT;
  char *config = text("{\"url\":\"http://k:canary@localhost:%d/apps/1\"}", port);
  Pusher *client = NULL;
  CHECK(pusher_new(config, &client, NULL) == PUSHER_STATUS_OK, "%s", config);
  expect_trigger(client, &(Case){"c", "ok", "{}", NULL, PUSHER_STATUS_OK, 0, "{}"});
  pusher_free(client);
  free(config);

  CHECK(pusher_new("http://k:canary@no-such-host.invalid/apps/1", &client, NULL) == PUSHER_STATUS_OK, "a name");
  expect_trigger(client, &(Case){"c", "ok", "{}", NULL, PUSHER_STATUS_NOT_SENT, not_sent, "\"dns\""});
  pusher_free(client);

  /* A server without TLS, with and without trusted certificates. */
  config = text("https://k:canary@localhost:%d/apps/1", port);
  CHECK(pusher_new(config, &client, NULL) == PUSHER_STATUS_OK, "%s", config);
  expect_trigger(client, &(Case){"c", "ok", "{}", NULL, PUSHER_STATUS_NOT_SENT, not_sent, "NOT_SENT"});
  pusher_free(client);
  free(config);
  config = text("{\"url\":\"https://k:canary@localhost:%d/apps/1\",\"ca_file\":\"/nonexistent\"}", port);
  CHECK(pusher_new(config, &client, NULL) == PUSHER_STATUS_OK, "%s", config);
  expect_trigger(client, &(Case){"c", "ok", "{}", NULL, PUSHER_STATUS_NOT_SENT, not_sent, "\"tls\""});
  pusher_free(client);
  free(config);
}

/* A write to a closed connection raises SIGPIPE, which would end this program, unless the library prevents it. */
static void check_that_nothing_is_signalled(unsigned short port) {
  const size_t size = 8 << 20;
  char *data = malloc(size + 1);
  NEED(data != NULL);
  memset(data, 'a', size);
  data[0] = data[size - 1] = '"';
  data[size] = 0;
  Pusher *client = client_of(port, ",\"max_data_bytes\":16777216,\"timeout_ms\":30000");
  expect_trigger(client,
                 &(Case){"c", "drop", data, NULL, PUSHER_STATUS_NOT_SENT, PUSHER_DELIVERY_NOT_SENT, "NOT_SENT"});
  expect_trigger(client, &(Case){"c", "ok", "{}", NULL, PUSHER_STATUS_OK, 0, "{}"});
  pusher_free(client);
  free(data);
}

/* Windows has no fork. */
#ifndef _WIN32
static int connection_of(const Pusher *client) {
  char *out = NULL;
  int number = -1;
  if (pusher_trigger(client, "c", "connection", "{}", NULL, &out) == PUSHER_STATUS_OK)
    sscanf(out, "{\"connection\":%d", &number);
  pusher_string_free(out);
  return number;
}

/* Returns whether the client works in a child, on a new connection. */
static int works_in_child(const Pusher *client, int parents_connection) {
  int own = connection_of(client);
  return own > 0 && own != parents_connection && connection_of(client) == own;
}

static void check_fork(unsigned short port) {
  Pusher *client = client_of(port, "");
  int before = connection_of(client);
  CHECK(before > 0 && connection_of(client) == before, "the connection is not kept");

  pid_t child = fork();
  NEED(child >= 0);
  if (child == 0) _exit(works_in_child(client, before) ? 0 : 1);
  int result = -1;
  NEED(waitpid(child, &result, 0) == child);
  CHECK(WIFEXITED(result) && WEXITSTATUS(result) == 0, "the child's result is %x", (unsigned)result);

  /* A child that frees the client leaks its parent's memory on purpose. Valgrind then changes the exit code, so the child
   * writes its result. */
  int said[2];
  NEED(pipe(said) == 0);
  child = fork();
  NEED(child >= 0);
  if (child == 0) {
    const char *good = works_in_child(client, before) ? "y" : "n";
    pusher_free(client);
    _exit(write(said[1], good, 1) == 1 ? 0 : 1);
  }
  close(said[1]);
  char good = 0;
  CHECK(read(said[0], &good, 1) == 1 && good == 'y', "the second child did not work");
  close(said[0]);
  NEED(waitpid(child, &result, 0) == child);
  CHECK(WIFEXITED(result), "the second child's result is %x", (unsigned)result);

  CHECK(connection_of(client) == before, "a child has spoilt its parent's connection");
  pusher_free(client);
}
#endif

static void *trigger_often(void *argument) {
  for (int i = 0; i < 25; i++) {
    Case good = {"c", "ok", "{}", NULL, PUSHER_STATUS_OK, 0, "{}"};
    Case bad = {"c", "404 No", "{}", NULL, PUSHER_STATUS_NOT_FOUND, PUSHER_DELIVERY_REJECTED, "404"};
    expect_trigger(argument, i % 5 == 0 ? &bad : &good);
  }
  return NULL;
}

static void check_threads(unsigned short port) {
  Pusher *client = client_of(port, ",\"timeout_ms\":60000");
  pthread_t threads[4];
  for (size_t i = 0; i < 4; i++) NEED(pthread_create(&threads[i], NULL, trigger_often, client) == 0);
  for (size_t i = 0; i < 4; i++) NEED(pthread_join(threads[i], NULL) == 0);
  pusher_free(client);
}

/* ---- every function with every argument ---- */

enum { MOST_TEXTS = 4 };

typedef struct {
  const char *name;
  int required;
  const char *good;
} Argument;

typedef struct {
  const char *name;
  PusherStatus (*call)(const Pusher *client, const char *const *texts, char **out);
  /* The delivery of an error before anything is sent. */
  int delivery;
  int signs;
  Argument arguments[MOST_TEXTS];
} Function;

static PusherStatus trigger(const Pusher *c, const char *const *t, char **out) {
  return pusher_trigger(c, t[0], t[1], t[2], t[3], out);
}
static PusherStatus trigger_batch(const Pusher *c, const char *const *t, char **out) {
  return pusher_trigger_batch(c, t[0], t[1], out);
}
static PusherStatus send_to_user(const Pusher *c, const char *const *t, char **out) {
  return pusher_send_to_user(c, t[0], t[1], t[2], t[3], out);
}
static PusherStatus terminate(const Pusher *c, const char *const *t, char **out) {
  return pusher_terminate_user_connections(c, t[0], t[1], out);
}
static PusherStatus channels_info(const Pusher *c, const char *const *t, char **out) {
  return pusher_channels_info(c, t[0], t[1], t[2], out);
}
static PusherStatus channel_info(const Pusher *c, const char *const *t, char **out) {
  return pusher_channel_info(c, t[0], t[1], t[2], out);
}
static PusherStatus users_info(const Pusher *c, const char *const *t, char **out) {
  return pusher_users_info(c, t[0], t[1], out);
}
static PusherStatus get(const Pusher *c, const char *const *t, char **out) {
  return pusher_get(c, t[0], t[1], t[2], out);
}
static PusherStatus post(const Pusher *c, const char *const *t, char **out) {
  return pusher_post(c, t[0], t[1], t[2], t[3], out);
}
static PusherStatus delete_path(const Pusher *c, const char *const *t, char **out) {
  return pusher_delete(c, t[0], t[1], t[2], out);
}
static PusherStatus authenticate(const Pusher *c, const char *const *t, char **out) {
  return pusher_authenticate(c, t[0], t[1], t[2], out);
}
static PusherStatus authenticate_channels(const Pusher *c, const char *const *t, char **out) {
  return pusher_authenticate_channels(c, t[0], t[1], out);
}
static PusherStatus authenticate_user(const Pusher *c, const char *const *t, char **out) {
  return pusher_authenticate_user(c, t[0], t[1], out);
}

#define OPTIONS {"options", 0, "{\"timeout_ms\":5000}"}
#define EVENT_OPTIONS {"options", 0, "{\"socket_id\":\"1.2\",\"info\":\"user_count\"}"}
#define EVENT {"event", 1, "ok"}
#define DATA {"data", 1, "{\"a\":1}"}
#define ATTRIBUTES {"attributes", 0, "user_count"}

static const Function functions[] = {
    {"trigger", trigger, PUSHER_DELIVERY_NOT_SENT, 0, {{"channels", 1, "[\"a\",\"b\"]"}, EVENT, DATA, EVENT_OPTIONS}},
    {"trigger_batch",
     trigger_batch,
     PUSHER_DELIVERY_NOT_SENT,
     0,
     {{"events", 1, "[{\"channel\":\"c\",\"name\":\"e\",\"data\":[1]}]"}, OPTIONS}},
    {"send_to_user", send_to_user, PUSHER_DELIVERY_NOT_SENT, 0, {{"user_id", 1, "7"}, EVENT, DATA, EVENT_OPTIONS}},
    {"terminate_user_connections", terminate, PUSHER_DELIVERY_NOT_SENT, 0, {{"user_id", 1, "7"}, OPTIONS}},
    {"channels_info", channels_info, 0, 0, {{"prefix_filter", 0, "presence-"}, ATTRIBUTES, OPTIONS}},
    {"channel_info", channel_info, 0, 0, {{"channel", 1, "c"}, ATTRIBUTES, OPTIONS}},
    {"users_info", users_info, 0, 0, {{"channel", 1, "presence-c"}, OPTIONS}},
    {"get", get, 0, 0, {{"path", 1, "/channels"}, {"params", 0, "{\"info\":\"a b&\"}"}, OPTIONS}},
    {"post",
     post,
     PUSHER_DELIVERY_NOT_SENT,
     0,
     {{"path", 1, "/events"}, {"params", 0, "{\"n\":1}"}, {"body", 0, "{\"b\":[]}"}, OPTIONS}},
    {"delete",
     delete_path,
     PUSHER_DELIVERY_NOT_SENT,
     0,
     {{"path", 1, "/channels/c"}, {"params", 0, "{\"n\":1}"}, OPTIONS}},
    {"authenticate",
     authenticate,
     0,
     1,
     {{"channel", 1, "presence-c"}, {"socket_id", 1, "1.2"}, {"channel_data", 1, "{\"user_id\":\"7\"}"}}},
    {"authenticate_channels",
     authenticate_channels,
     0,
     1,
     {{"socket_id", 1, "1.2"}, {"channels", 1, "[\"private-c\"]"}}},
    {"authenticate_user", authenticate_user, 0, 1, {{"socket_id", 1, "1.2"}, {"user_data", 1, "{\"id\":\"7\"}"}}},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* Fills in valid strings, and returns their number. */
static size_t good_texts(const Function *function, const char **texts) {
  size_t count = 0;
  for (size_t i = 0; i < MOST_TEXTS; i++) {
    texts[i] = function->arguments[i].good;
    if (texts[i] != NULL) count++;
  }
  return count;
}

static void expect_call(const Function *function, const Pusher *client, const char **texts, const char *wrong) {
  char *out = &stale;
  PusherStatus status = function->call(client, texts, &out);
  char *needle = wrong != NULL ? text("\"argument\":\"%s\"", wrong) : text(function->signs ? "\"auth\":\"k:" : "{}");
  PusherStatus wanted = wrong != NULL ? PUSHER_STATUS_INVALID_ARGUMENT : PUSHER_STATUS_OK;
  expect(function->name, status, out, wanted, wrong != NULL ? function->delivery : 0, needle);
  free(needle);
  CHECK(function->call(client, texts, NULL) == wanted, "%s without out", function->name);
}

static void check_functions(unsigned short port) {
  static char too_long[1 << 16];
  memset(too_long, ' ', sizeof too_long - 1);
  Pusher *client = client_of(port, "");
  for (size_t f = 0; f < FUNCTIONS; f++) {
    const Function *function = &functions[f];
    const char *texts[MOST_TEXTS];
    size_t count = good_texts(function, texts);
    expect_call(function, client, texts, NULL);
    expect_call(function, NULL, texts, "client");
    for (size_t i = 0; i < count; i++) {
      const char *name = function->arguments[i].name, *good = texts[i];
      texts[i] = NULL;
      expect_call(function, client, texts, function->arguments[i].required ? name : NULL);
      const char *wrong[] = {"", "\xff", "{\"a\":\"\xc0\x80\"}", too_long};
      for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
        texts[i] = wrong[w];
        /* An empty filter is none. */
        int is_none = w == 0 && strcmp(name, "prefix_filter") == 0;
        expect_call(function, client, texts, is_none ? NULL : name);
      }
      texts[i] = good;
    }
    const char *nothing[MOST_TEXTS] = {NULL};
    expect_call(function, NULL, nothing, "client");
  }
  pusher_free(client);
}

static void check_cancellation(unsigned short port) {
  Pusher *client = client_of(port, ""), *clone = (Pusher *)&stale;
  char *out = &stale;
  PusherStatus status = pusher_clone(NULL, &clone, &out);
  expect("a clone of nothing", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"client\"");
  CHECK(clone == NULL, "a clone of nothing");
  clone = (Pusher *)&stale;
  CHECK(pusher_clone(NULL, &clone, NULL) == PUSHER_STATUS_INVALID_ARGUMENT && clone == NULL, "without out");
  out = &stale;
  status = pusher_clone(client, NULL, &out);
  expect("no place for a clone", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"clone\"");
  pusher_cancel(NULL);

  out = &stale;
  CHECK(pusher_clone(client, &clone, &out) == PUSHER_STATUS_OK && out == NULL && clone != client, "a clone");
  /* Of a handle with and without connections. */
  for (int used = 0; used < 2; used++) {
    Pusher *other = NULL;
    CHECK(pusher_clone(clone, &other, NULL) == PUSHER_STATUS_OK, "a clone of a clone");
    if (used) CHECK(pusher_trigger(other, "c", "ok", "{}", NULL, NULL) == PUSHER_STATUS_OK, "a clone works");
    errno = 4711;
    pusher_cancel(other);
    pusher_cancel(other);
    CHECK(errno == 4711, "errno is %d", errno);
    out = &stale;
    status = pusher_trigger(other, "c", "ok", "{}", NULL, &out);
    expect("a cancelled handle", status, out, PUSHER_STATUS_NOT_SENT, PUSHER_DELIVERY_NOT_SENT, "\"cancelled\"");
    pusher_free(other);
  }
  /* A clone outlives its client. */
  pusher_free(client);
  out = &stale;
  status = pusher_trigger(clone, "c", "ok", "{}", NULL, &out);
  expect("a clone without its client", status, out, PUSHER_STATUS_OK, 0, "{}");
  pusher_free(clone);
}

static void check_webhooks(unsigned short port) {
  static const struct {
    const char *key, *signature, *body;
    size_t length;
    PusherStatus status;
    const char *needle;
  } cases[] = {
      {"k", "00", NULL, 0, PUSHER_STATUS_WEBHOOK_INVALID, "\"signature\""},
      {"k", "00", "{}", 0, PUSHER_STATUS_WEBHOOK_INVALID, "\"signature\""},
      {"k", "00", "{}", 2, PUSHER_STATUS_WEBHOOK_INVALID, "\"signature\""},
      {"k", "\xff", "\xff\0", 2, PUSHER_STATUS_WEBHOOK_INVALID, "\"signature\""},
      {"\xff", "00", "{}", 2, PUSHER_STATUS_WEBHOOK_INVALID, "\"key\""},
      {NULL, "00", "{}", 2, PUSHER_STATUS_WEBHOOK_INVALID, "\"key\""},
      {"k", NULL, "{}", 2, PUSHER_STATUS_WEBHOOK_INVALID, "\"signature\""},
      {NULL, NULL, NULL, 0, PUSHER_STATUS_WEBHOOK_INVALID, "\"key\""},
      {"k", "00", NULL, 1, PUSHER_STATUS_INVALID_ARGUMENT, "\"body\""},
      {"k", "00", NULL, SIZE_MAX, PUSHER_STATUS_INVALID_ARGUMENT, "\"body\""},
      {"k", "00", "{}", SIZE_MAX, PUSHER_STATUS_INVALID_ARGUMENT, "\"body\""},
      /* HMAC-SHA256 with the secret "canary". */
      {"k", "SIGNATURE", "{\"events\":[]}", 13, PUSHER_STATUS_OK, "{\"events\":[]}"},
      {"k", "SIGNATURE", "{\"events\":[]}", 12, PUSHER_STATUS_WEBHOOK_INVALID, "\"signature\""},
  };
  static const char right[] = "1c6388b7c65902328034e30b6ef88467a54fbacd830cfdb6082d8ef181687041";
  Pusher *client = client_of(port, ",\"webhook_max_age_ms\":0");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *out = &stale;
    const char *signature = cases[i].signature;
    if (signature != NULL && strcmp(signature, "SIGNATURE") == 0) signature = right;
    /* Of exactly this size, so that valgrind sees a byte too many. */
    uint8_t *body = NULL;
    if (cases[i].body != NULL && cases[i].length < 100) {
      body = malloc(cases[i].length + (cases[i].length == 0));
      NEED(body != NULL);
      memcpy(body, cases[i].body, cases[i].length);
    }
    const uint8_t *given = body != NULL ? body : (const uint8_t *)cases[i].body;
    PusherStatus status = pusher_validate_webhook(client, cases[i].key, signature, given, cases[i].length, &out);
    expect("a webhook", status, out, cases[i].status, 0, cases[i].needle);
    CHECK(pusher_validate_webhook(client, cases[i].key, signature, given, cases[i].length, NULL) == cases[i].status,
          "%zu", i);
    free(body);
  }
  char *out = &stale;
  PusherStatus status = pusher_validate_webhook(NULL, NULL, NULL, NULL, 0, &out);
  expect("no client", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"client\"");
  pusher_free(client);
}

/* Reads all of a request. */
static void read_request(const PusherRequest *request, const char *method) {
  size_t count = pusher_request_header_count(request), length = 77;
  CHECK(strcmp(pusher_request_method(request), method) == 0, "%s", pusher_request_method(request));
  CHECK(strstr(pusher_request_url(request), "auth_signature=") != NULL, "no signature");
  CHECK(count == 3, "%zu", count);
  for (size_t i = 0; i < count + 2; i++) {
    const char *name = &stale, *value = &stale;
    CHECK(pusher_request_header(request, i, NULL, NULL) == (i < count), "header %zu", i);
    CHECK(pusher_request_header(request, i, &name, NULL) == (i < count), "header %zu", i);
    CHECK(pusher_request_header(request, i, NULL, &value) == (i < count), "header %zu", i);
    CHECK(i < count ? strlen(name) > 0 && strlen(value) > 0 : name == NULL && value == NULL, "header %zu", i);
  }
  CHECK(pusher_request_header(request, SIZE_MAX, NULL, NULL) == 0, "the last header");
  const uint8_t *body = pusher_request_body(request, &length);
  CHECK(body == pusher_request_body(request, NULL) && strlen((const char *)body) == length, "length %zu", length);
  CHECK((length != 0) == (strcmp(method, "POST") == 0), "length %zu", length);
  CHECK(pusher_request_timeout_ms(request) > 0 && pusher_request_timeout_ms(request) <= 5000, "time");
  size_t whole = 77;
  const uint8_t *bytes = pusher_request_bytes(request, &whole);
  CHECK(bytes != NULL && bytes == pusher_request_bytes(request, NULL) && whole > length, "%zu bytes", whole);
  CHECK(bytes != NULL && memcmp(bytes, method, strlen(method)) == 0, "the method");
  CHECK(bytes != NULL && memcmp(bytes + whole - length, body, length) == 0, "the body");
  const char *host = pusher_request_host(request);
  CHECK(host != NULL && strcmp(host, "127.0.0.1") == 0 && host == pusher_request_host(request), "%s", host);
  CHECK(pusher_request_port(request) != 0 && pusher_request_tls(request) == 0, "port");
}

/* Feeds a response in pieces of this size, and the end. Returns the last result. */
static int feed(PusherResponse *response, const char *bytes, size_t size) {
  size_t length = strlen(bytes), used = 77, at = 0;
  int fed = 0;
  while (at < length && fed == 0) {
    size_t piece = length - at < size ? length - at : size;
    /* Of exactly this size, so that valgrind sees a byte too many. */
    uint8_t *copy = malloc(piece);
    NEED(copy != NULL);
    memcpy(copy, bytes + at, piece);
    fed = pusher_response_feed(response, copy, piece, &used);
    CHECK(used <= piece && (fed != 0 || used == piece), "%zu of %zu bytes", used, piece);
    free(copy);
    at += used;
  }
  if (fed == 0) fed = pusher_response_feed(response, NULL, 0, NULL);
  CHECK(pusher_response_feed(response, (const uint8_t *)"x", 1, &used) == fed && used == 0, "after the end");
  return fed;
}

static void check_feeding(unsigned short port) {
  static const struct {
    const char *bytes;
    int fed;
    PusherStatus status;
    int delivery;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 1, PUSHER_STATUS_OK, 0},
      {"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 1,
       PUSHER_STATUS_OK, 0},
      {"HTTP/1.1 200 OK\r\n\r\n{}", 1, PUSHER_STATUS_OK, 0},
      {"HTTP/1.1 204 OK\r\n\r\n", 1, PUSHER_STATUS_OK, 0},
      {"HTTP/1.1 429 Slow\r\nContent-Length: 9\r\n\r\ncut", 1, PUSHER_STATUS_RATE_LIMITED, PUSHER_DELIVERY_REJECTED},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", -1, PUSHER_STATUS_BAD_RESPONSE, PUSHER_DELIVERY_UNKNOWN},
      {"SSH-2.0\r\n", -1, PUSHER_STATUS_DELIVERY_UNKNOWN, PUSHER_DELIVERY_UNKNOWN},
      {"", -1, PUSHER_STATUS_DELIVERY_UNKNOWN, PUSHER_DELIVERY_UNKNOWN},
  };
  const char *arguments[] = {"c", "e", "{}"};
  Pusher *client = client_of(port, "");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (size_t size = 1; size < 100; size += size) {
      PusherRequest *request = NULL;
      char *out = &stale;
      CHECK(pusher_prepare(client, "trigger", arguments, 3, &request, NULL) == PUSHER_STATUS_OK, "case %zu", i);
      PusherResponse *response = pusher_response_new();
      CHECK(feed(response, cases[i].bytes, size) == cases[i].fed, "case %zu in pieces of %zu", i, size);
      PusherStatus status = pusher_finish(client, request, response, &out);
      expect(cases[i].bytes, status, out, cases[i].status, cases[i].delivery, "");
      pusher_response_free(response);
      pusher_request_free(request);
    }
  }
  size_t used = 77;
  CHECK(pusher_response_feed(NULL, NULL, 0, &used) == -1 && used == 0, "no response");
  PusherResponse *response = pusher_response_new();
  CHECK(pusher_response_feed(response, NULL, 1, &used) == -1 && used == 0, "NULL");
  CHECK(pusher_response_feed(response, (const uint8_t *)"x", SIZE_MAX, NULL) == -1, "no end");
  pusher_response_free(response);
  pusher_free(client);
}

static void check_requests(unsigned short port) {
  Pusher *client = client_of(port, "");
  for (size_t f = 0; f < FUNCTIONS; f++) {
    const Function *function = &functions[f];
    const char *texts[MOST_TEXTS];
    size_t count = good_texts(function, texts);
    char *out = &stale;
    PusherRequest *request = (PusherRequest *)&stale;
    PusherStatus status = pusher_prepare(client, function->name, texts, count, &request, &out);
    if (function->signs) {
      expect(function->name, status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"call\"");
      CHECK(request == NULL, "%s", function->name);
      continue;
    }
    CHECK(status == PUSHER_STATUS_OK && out == NULL && request != NULL, "%s", function->name);
    const char *publishes = strcmp(function->name, "delete") == 0 ? "DELETE" : "POST";
    read_request(request, function->delivery != 0 ? publishes : "GET");
    PusherResponse *response = pusher_response_new();
    pusher_response_set(response, 200, (const uint8_t *)"{\"a\":1}", 7);
    pusher_response_set_header(response, "Content-Length", "7");
    status = pusher_finish(client, request, response, (out = &stale, &out));
    expect(function->name, status, out, PUSHER_STATUS_OK, 0, "{\"a\":1}");
    status = pusher_finish(client, request, response, (out = &stale, &out));
    expect("finished twice", status, out, PUSHER_STATUS_INVALID_STATE, 0, "\"request\"");
    CHECK(pusher_finish(client, request, response, NULL) == PUSHER_STATUS_INVALID_STATE, "without out");
    pusher_response_free(response);
    pusher_request_free(request);

    /* Too many arguments, and NULL for every pointer. */
    const char *many[MOST_TEXTS + 3] = {NULL};
    status = pusher_prepare(client, function->name, many, MOST_TEXTS + 3, &request, (out = &stale, &out));
    expect("too many", status, out, PUSHER_STATUS_INVALID_ARGUMENT, function->delivery, "\"count\"");
    status = pusher_prepare(NULL, function->name, texts, count, &request, (out = &stale, &out));
    expect("no client", status, out, PUSHER_STATUS_INVALID_ARGUMENT, function->delivery, "\"client\"");
    status = pusher_prepare(client, function->name, NULL, 1, &request, (out = &stale, &out));
    expect("no texts", status, out, PUSHER_STATUS_INVALID_ARGUMENT, function->delivery, "\"arguments\"");
    status = pusher_prepare(client, function->name, texts, SIZE_MAX, &request, (out = &stale, &out));
    expect("no end", status, out, PUSHER_STATUS_INVALID_ARGUMENT, function->delivery, "\"arguments\"");
    status = pusher_prepare(client, function->name, texts, count, NULL, (out = &stale, &out));
    expect("no place", status, out, PUSHER_STATUS_INVALID_ARGUMENT, function->delivery, "\"request\"");
    CHECK(pusher_prepare(client, function->name, texts, count, NULL, NULL) == PUSHER_STATUS_INVALID_ARGUMENT,
          "neither");
    CHECK(request == NULL, "%s", function->name);
    many[0] = "\xff";
    CHECK(pusher_prepare(client, function->name, many, 1, &request, NULL) == PUSHER_STATUS_INVALID_ARGUMENT, "UTF-8");
    CHECK(pusher_prepare(client, function->name, texts, count, &request, NULL) == PUSHER_STATUS_OK, "without out");
    pusher_request_free(request);
  }
  char *out = &stale;
  PusherRequest *request = (PusherRequest *)&stale;
  PusherStatus status = pusher_prepare(client, NULL, NULL, 0, &request, &out);
  expect("no call", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"call\"");
  status = pusher_prepare(client, "channels_info", NULL, 0, &request, (out = &stale, &out));
  CHECK(status == PUSHER_STATUS_OK && out == NULL, "(NULL, 0)");

  /* The NULL argument is named, and the request can still be finished. */
  PusherResponse *response = pusher_response_new();
  status = pusher_finish(NULL, request, response, (out = &stale, &out));
  expect("no client", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"client\"");
  status = pusher_finish(client, NULL, response, (out = &stale, &out));
  expect("no request", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"request\"");
  status = pusher_finish(client, request, NULL, (out = &stale, &out));
  expect("no response", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"response\"");
  CHECK(pusher_finish(NULL, NULL, NULL, NULL) == PUSHER_STATUS_INVALID_ARGUMENT, "nothing");
  pusher_response_set(response, 200, NULL, 1);
  pusher_response_set(response, 200, (const uint8_t *)"x", SIZE_MAX);
  pusher_response_fail(response, PUSHER_DELIVERY_NOT_SENT, "\xff", "\xff");
  pusher_response_fail(response, -1, NULL, NULL);
  pusher_response_set_header(response, NULL, NULL);
  pusher_response_set_header(response, "\xff", "\xff");
  pusher_response_set_header(response, "Retry-After", "7");
  pusher_response_set(response, 429, NULL, 0);
  status = pusher_finish(client, request, response, (out = &stale, &out));
  expect("slow down", status, out, PUSHER_STATUS_RATE_LIMITED, 0, "7000");

  /* It outlives its client. */
  PusherRequest *orphan = NULL;
  CHECK(pusher_prepare(client, "channels_info", NULL, 0, &orphan, NULL) == PUSHER_STATUS_OK, "an orphan");
  pusher_free(client);
  read_request(request, "GET");
  read_request(orphan, "GET");
  pusher_request_free(request);
  pusher_request_free(orphan);
  pusher_response_free(response);

  /* All of these accept NULL. */
  size_t length = 7;
  const char *name = &stale, *value = &stale;
  CHECK(pusher_request_method(NULL) == NULL && pusher_request_url(NULL) == NULL, "NULL");
  CHECK(pusher_request_header_count(NULL) == 0 && pusher_request_header(NULL, 0, &name, &value) == 0, "NULL");
  CHECK(name == NULL && value == NULL, "NULL");
  CHECK(pusher_request_body(NULL, &length) == NULL && length == 0 && pusher_request_body(NULL, NULL) == NULL, "NULL");
  CHECK(pusher_request_timeout_ms(NULL) == 0, "NULL");
  CHECK(pusher_request_bytes(NULL, &length) == NULL && length == 0 && pusher_request_bytes(NULL, NULL) == NULL, "NULL");
  CHECK(pusher_request_host(NULL) == NULL && pusher_request_port(NULL) == 0 && pusher_request_tls(NULL) == 0, "NULL");
  pusher_response_set(NULL, 200, NULL, 0);
  pusher_response_set_header(NULL, "a", "b");
  pusher_response_fail(NULL, 1, NULL, NULL);
  pusher_request_free(NULL);
  pusher_response_free(NULL);
}

/* The data of a callback. Each is allocated, so that valgrind finds one that is not released. */
typedef struct {
  int calls;
  int *drops;
  pthread_t thread;
} Hook;

static Hook *hook(int *drops) {
  Hook *made = calloc(1, sizeof *made);
  NEED(made != NULL);
  made->drops = drops;
  return made;
}

static void drop_hook(void *data) {
  ++*((Hook *)data)->drops;
  free(data);
}

static void send_nowhere(void *data, const PusherRequest *request, PusherResponse *response) {
  Hook *hook = data;
  hook->calls++;
  hook->thread = pthread_self();
  read_request(request, pusher_request_method(request));
  pusher_response_set(response, 200, (const uint8_t *)"{}", 2);
}

static void log_nothing(void *data, int32_t level, const char *message, const char *fields) {
  Hook *hook = data;
  hook->calls++;
  CHECK(level >= PUSHER_LOG_LEVEL_ERROR && level <= PUSHER_LOG_LEVEL_DEBUG, "%d", level);
  CHECK(strlen(message) > 0 && fields[0] == '{' && strstr(fields, "canary") == NULL, "%s %s", message, fields);
}

static void observe_nothing(void *data, int32_t kind, uint64_t call_id, const char *fields) {
  Hook *hook = data;
  hook->calls++;
  CHECK(kind >= PUSHER_OBSERVATION_CALL_START && kind <= PUSHER_OBSERVATION_CALL_END, "%d", kind);
  CHECK(call_id > 0 && fields[0] == '{' && strstr(fields, "canary") == NULL, "%s", fields);
}

static void check_observer(unsigned short port) {
  int drops = 0;
  char *out = &stale;
  PusherStatus status = pusher_set_observer(NULL, observe_nothing, hook(&drops), drop_hook, &out);
  expect("no client", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"client\"");
  Pusher *client = client_of(port, "");
  status = pusher_set_observer(client, NULL, hook(&drops), drop_hook, (out = &stale, &out));
  expect("no function", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"observe\"");
  CHECK(pusher_set_observer(NULL, NULL, NULL, NULL, NULL) == PUSHER_STATUS_INVALID_ARGUMENT, "nothing");
  Hook *observer = hook(&drops);
  CHECK(pusher_set_observer(client, observe_nothing, observer, drop_hook, (out = &stale, &out)) == PUSHER_STATUS_OK,
        "set");
  CHECK(out == NULL, "out");
  status = pusher_set_observer(client, observe_nothing, hook(&drops), drop_hook, (out = &stale, &out));
  expect("twice", status, out, PUSHER_STATUS_INVALID_STATE, 0, "INVALID_STATE");
  CHECK(drops == 3, "%d", drops);
  size_t calls = 0;
  for (size_t f = 0; f < FUNCTIONS; f++) {
    const char *texts[MOST_TEXTS];
    good_texts(&functions[f], texts);
    expect_call(&functions[f], client, texts, NULL);
    calls++;
  }
  CHECK(observer->calls > 0 && observer->calls % 4 == 0, "%d of %zu", observer->calls, calls);
  status = pusher_stats(NULL, (out = &stale, &out));
  expect("no client", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"client\"");
  CHECK(pusher_stats(NULL, NULL) == PUSHER_STATUS_INVALID_ARGUMENT, "nothing");
  CHECK(pusher_stats(client, NULL) == PUSHER_STATUS_OK, "no out");
  CHECK(pusher_stats(client, (out = &stale, &out)) == PUSHER_STATUS_OK && strstr(out, "\"calls\":{") != NULL, "%s",
        out);
  pusher_string_free(out);
  pusher_free(client);
  CHECK(drops == 4, "%d", drops);

  client = client_of(port, ",\"stats_format\":\"prometheus\"");
  CHECK(pusher_set_observer(client, observe_nothing, NULL, NULL, NULL) == PUSHER_STATUS_OK, "no drop");
  CHECK(pusher_stats(client, &out) == PUSHER_STATUS_OK && strncmp(out, "# HELP pusher_client_", 21) == 0, "%s", out);
  pusher_string_free(out);
  pusher_free(client);
}

static void check_hooks(unsigned short port) {
  int drops = 0;
  char *out = &stale;
  PusherStatus status = pusher_set_transport(NULL, send_nowhere, hook(&drops), drop_hook, &out);
  expect("no client", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"client\"");
  status = pusher_set_log(NULL, log_nothing, hook(&drops), drop_hook, (out = &stale, &out));
  expect("no client", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"client\"");
  Pusher *client = client_of(port, ",\"log_level\":\"debug\"");
  status = pusher_set_transport(client, NULL, hook(&drops), drop_hook, (out = &stale, &out));
  expect("no function", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"send\"");
  status = pusher_set_log(client, NULL, hook(&drops), drop_hook, (out = &stale, &out));
  expect("no function", status, out, PUSHER_STATUS_INVALID_ARGUMENT, 0, "\"log\"");
  CHECK(drops == 4, "%d", drops);
  CHECK(pusher_set_transport(NULL, NULL, NULL, NULL, NULL) == PUSHER_STATUS_INVALID_ARGUMENT, "nothing");
  CHECK(pusher_set_log(NULL, NULL, NULL, NULL, NULL) == PUSHER_STATUS_INVALID_ARGUMENT, "nothing");

  Hook *transport = hook(&drops), *log = hook(&drops);
  CHECK(pusher_set_transport(client, send_nowhere, transport, drop_hook, (out = &stale, &out)) == PUSHER_STATUS_OK,
        "set");
  CHECK(out == NULL, "out");
  CHECK(pusher_set_log(client, log_nothing, log, drop_hook, NULL) == PUSHER_STATUS_OK, "set");
  status = pusher_set_transport(client, send_nowhere, hook(&drops), drop_hook, (out = &stale, &out));
  expect("twice", status, out, PUSHER_STATUS_INVALID_STATE, 0, "INVALID_STATE");
  CHECK(drops == 5, "%d", drops);
  for (size_t f = 0; f < FUNCTIONS; f++) {
    const char *texts[MOST_TEXTS];
    good_texts(&functions[f], texts);
    expect_call(&functions[f], client, texts, NULL);
  }
  CHECK(transport->calls == 2 * (FUNCTIONS - 3) && log->calls >= transport->calls, "%d %d", transport->calls,
        log->calls);
  CHECK(pthread_equal(transport->thread, pthread_self()), "another thread");
  status = pusher_set_log(client, log_nothing, hook(&drops), drop_hook, (out = &stale, &out));
  expect("too late", status, out, PUSHER_STATUS_INVALID_STATE, 0, "INVALID_STATE");
  CHECK(drops == 6, "%d", drops);
  pusher_free(client);
  CHECK(drops == 8, "%d", drops);

  /* Without a drop callback. */
  client = client_of(port, "");
  CHECK(pusher_set_log(client, log_nothing, NULL, NULL, NULL) == PUSHER_STATUS_OK, "no drop");
  pusher_free(client);
}

/* ---- the background publisher ---- */

/* Long enough for a busy client under valgrind. */
enum { PATIENCE_MS = 60000 };

static PusherPublisher *publisher_of(const Pusher *client, const char *config) {
  PusherPublisher *publisher = NULL;
  char *out = &stale;
  PusherStatus status = pusher_publisher_new(client, config, &publisher, &out);
  CHECK(status == PUSHER_STATUS_OK && publisher != NULL && out == NULL, "%s: %s", config, pusher_status_name(status));
  return publisher;
}

/* Publishes an event that must be accepted. */
static uint64_t publish(PusherPublisher *publisher, const char *event, const char *options) {
  uint64_t id = 0;
  char *out = &stale;
  PusherStatus status = pusher_publisher_publish(publisher, "c", event, "{\"a\":1}", options, &id, &out);
  CHECK(status == PUSHER_STATUS_OK && id > 0 && out == NULL, "%s: %s", event, out == NULL ? "" : out);
  if (out != &stale) pusher_string_free(out);
  return id;
}

/* Fetches `count` reports, each with `needle`. */
static void expect_reports(PusherPublisher *publisher, int count, const char *needle) {
  int reports = 0, said = 0;
  while (reports < count) {
    char *out = &stale;
    PusherStatus status = pusher_publisher_poll(publisher, PATIENCE_MS, &out);
    CHECK(status == PUSHER_STATUS_OK && out != NULL, "%d of %d reports with %s: %s", reports, count, needle,
          pusher_status_name(status));
    if (status != PUSHER_STATUS_OK) return;
    CHECK(strstr(out, "canary") == NULL, "%s", out);
    for (const char *at = out; (at = strstr(at, "{\"id\":")) != NULL; at++) reports++;
    for (const char *at = out; (at = strstr(at, needle)) != NULL; at++) said++;
    pusher_string_free(out);
  }
  CHECK(reports == count && said == count, "%d of %d reports, %d with %s", reports, count, said, needle);
}

/* Checks that no report is waiting. */
static void expect_no_report(PusherPublisher *publisher, uint32_t timeout_ms) {
  char *out = &stale;
  CHECK(pusher_publisher_poll(publisher, timeout_ms, &out) == PUSHER_STATUS_TIMED_OUT && out == NULL, "a report");
  CHECK(pusher_publisher_poll(publisher, timeout_ms, NULL) == PUSHER_STATUS_TIMED_OUT, "a report without out");
}

static void check_publisher_arguments(unsigned short port) {
  const PusherStatus invalid = PUSHER_STATUS_INVALID_ARGUMENT, wrong = PUSHER_STATUS_INVALID_CONFIG;
  Pusher *client = client_of(port, "");
  PusherPublisher *publisher = (PusherPublisher *)&stale;
  char *out = &stale;
  PusherStatus status = pusher_publisher_new(NULL, NULL, &publisher, &out);
  expect("no client", status, out, invalid, 0, "\"client\"");
  CHECK(publisher == NULL, "publisher was not written");
  status = pusher_publisher_new(client, NULL, NULL, (out = &stale, &out));
  expect("no place", status, out, invalid, 0, "\"publisher\"");
  CHECK(pusher_publisher_new(NULL, NULL, NULL, NULL) == invalid, "nothing");
  static const struct {
    const char *config;
    PusherStatus status;
    const char *needle;
  } configs[] = {
      {"", wrong, "\"config\""},
      {"\xff", invalid, "\"config\""},
      {"[]", wrong, "\"config\""},
      {"{\"colour\":1}", wrong, "\"colour\""},
      {"{\"connections\":0}", wrong, "\"connections\""},
      {"{\"retry\":{\"mode\":1}}", wrong, "\"retry.mode\""},
      {"{\"overflow\":\"explode\"}", wrong, "\"overflow\""},
  };
  for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
    publisher = (PusherPublisher *)&stale;
    status = pusher_publisher_new(client, configs[i].config, &publisher, (out = &stale, &out));
    expect(configs[i].config, status, out, configs[i].status, 0, configs[i].needle);
    CHECK(publisher == NULL, "publisher was not written");
  }

  publisher = publisher_of(client, NULL);
  const char *good[] = {"[\"a\",\"b\"]", "e", "{\"a\":1}", "{\"socket_id\":\"1.2\"}"};
  const char *names[] = {"\"channels\"", "\"event\"", "\"data\"", "\"options"};
  const char *bad[] = {NULL, "", "\xff", "{\"a\":\"\xc0\x80\"}"};
  for (size_t i = 0; i < 4; i++) {
    for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
      const char *texts[] = {good[0], good[1], good[2], good[3]};
      texts[i] = bad[b];
      if (i == 3 && bad[b] == NULL) continue;
      uint64_t id = 7;
      status = pusher_publisher_publish(publisher, texts[0], texts[1], texts[2], texts[3], &id, (out = &stale, &out));
      expect(names[i], status, out, invalid, PUSHER_DELIVERY_NOT_SENT, names[i]);
      CHECK(id == 0, "id was not written");
      CHECK(pusher_publisher_publish(publisher, texts[0], texts[1], texts[2], texts[3], NULL, NULL) == invalid, "%s",
            names[i]);
    }
  }
  uint64_t id = 7;
  status = pusher_publisher_publish(NULL, "c", "e", "1", NULL, &id, (out = &stale, &out));
  expect("no publisher", status, out, invalid, PUSHER_DELIVERY_NOT_SENT, "\"publisher\"");
  CHECK(id == 0, "id was not written");
  status = pusher_publisher_poll(NULL, 0, (out = &stale, &out));
  expect("poll", status, out, invalid, 0, "\"publisher\"");
  intptr_t fd = 7;
  status = pusher_publisher_fd(NULL, &fd, (out = &stale, &out));
  expect("fd", status, out, invalid, 0, "\"publisher\"");
  CHECK(fd == -1, "fd was not written");
  status = pusher_publisher_fd(publisher, NULL, (out = &stale, &out));
  expect("fd", status, out, invalid, 0, "\"fd\"");
  status = pusher_publisher_flush(NULL, 0, (out = &stale, &out));
  expect("flush", status, out, invalid, 0, "\"publisher\"");
  status = pusher_publisher_close(NULL, 0, (out = &stale, &out));
  expect("close", status, out, invalid, 0, "\"publisher\"");
  status = pusher_publisher_drain(NULL, 0, (out = &stale, &out));
  expect("drain", status, out, invalid, 0, "\"publisher\"");
  CHECK(pusher_publisher_drain(publisher, 0, NULL) == invalid, "drained without a place for the events");
  status = pusher_publisher_restore(NULL, "{}", (out = &stale, &out));
  expect("restore", status, out, invalid, PUSHER_DELIVERY_NOT_SENT, "\"publisher\"");
  for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
    status = pusher_publisher_restore(publisher, bad[b], (out = &stale, &out));
    expect("restore", status, out, invalid, PUSHER_DELIVERY_NOT_SENT, "\"drained\"");
    CHECK(pusher_publisher_restore(publisher, bad[b], NULL) == invalid, "restored");
  }
  status = pusher_publisher_stats(NULL, (out = &stale, &out));
  expect("stats", status, out, invalid, 0, "\"publisher\"");
  pusher_publisher_free(NULL);
  pusher_publisher_free(publisher);
  pusher_free(client);
}

/* Waits until the only event is being sent. */
static void wait_until_in_flight(PusherPublisher *publisher) {
  time_t end = time(NULL) + PATIENCE_MS / 1000;
  for (int is_sent = 0; !is_sent;) {
    struct timespec pause = {0, 1000000};
    char *out = NULL;
    NEED(pusher_publisher_stats(publisher, &out) == PUSHER_STATUS_OK && time(NULL) <= end);
    is_sent = strstr(out, "\"in_flight\":1") != NULL;
    pusher_string_free(out);
    if (!is_sent) nanosleep(&pause, NULL);
  }
}

static void check_publisher(unsigned short port) {
  enum { EVENTS = 200 };
  Pusher *client = client_of(port, "");
  char *out = &stale;
  PusherPublisher *publisher =
      publisher_of(client, "{\"reports\":\"all\",\"connections\":3,\"overflow\":\"drop_oldest\"}");
  /* The publisher outlives the client. */
  pusher_free(client);
  expect_no_report(publisher, 0);
  for (int i = 1; i <= EVENTS; i++) {
    CHECK(publish(publisher, "e", i % 3 == 0 ? "{\"socket_id\":\"1.2\"}" : NULL) == (uint64_t)i, "%d", i);
  }
  CHECK(pusher_publisher_publish(publisher, NULL, "e", "1", "{\"user_id\":\"7\",\"info\":\"user_count\"}", NULL,
                                 NULL) == PUSHER_STATUS_OK,
        "user");
  CHECK(pusher_publisher_publish(publisher, "[\"a\",\"b\",\"d\"]", "e", "1", NULL, NULL, NULL) == PUSHER_STATUS_OK,
        "several");
  CHECK(pusher_publisher_flush(publisher, PATIENCE_MS, (out = &stale, &out)) == PUSHER_STATUS_OK && out == NULL,
        "flush");
  expect_reports(publisher, EVENTS + 2, "\"delivery\":\"delivered\"");
  expect_no_report(publisher, 1);
  publish(publisher, "404 No", NULL);
  expect_reports(publisher, 1, "\"status\":\"NOT_FOUND\"");
  publish(publisher, "cut", NULL);
  expect_reports(publisher, 1, "\"delivery\":\"unknown\"");
  PusherStatus status = pusher_publisher_stats(publisher, (out = &stale, &out));
  expect("stats", status, out, PUSHER_STATUS_OK, 0, "\"published\":204");
  CHECK(pusher_publisher_stats(publisher, NULL) == PUSHER_STATUS_OK, "stats without out");
  CHECK(pusher_publisher_close(publisher, PATIENCE_MS, (out = &stale, &out)) == PUSHER_STATUS_OK && out == NULL,
        "close");
  CHECK(pusher_publisher_close(publisher, 0, NULL) == PUSHER_STATUS_OK, "close again");
  uint64_t id = 7;
  status = pusher_publisher_publish(publisher, "c", "e", "1", NULL, &id, (out = &stale, &out));
  expect("closed", status, out, PUSHER_STATUS_CLOSED, PUSHER_DELIVERY_NOT_SENT, "CLOSED");
  CHECK(id == 0, "id was not written");
  expect_no_report(publisher, UINT32_MAX);
  pusher_publisher_free(publisher);

  client = client_of(port, ",\"timeout_ms\":3000");
  publisher = publisher_of(client, "{\"stats_format\":\"prometheus\"}");
  publish(publisher, "e", NULL);
  CHECK(pusher_publisher_flush(publisher, PATIENCE_MS, NULL) == PUSHER_STATUS_OK, "flush");
  status = pusher_publisher_stats(publisher, (out = &stale, &out));
  expect("stats", status, out, PUSHER_STATUS_OK, 0, "pusher_publisher_published_total 1\n");
  /* Freed with reports that were not fetched. */
  publish(publisher, "404 No", NULL);
  pusher_publisher_free(publisher);

  /* Events that were not sent, in another publisher. */
  publisher = publisher_of(client, "{\"connections\":1}");
  publish(publisher, "silence", NULL);
  for (int i = 0; i < 20; i++) publish(publisher, "e", NULL);
  char *drained = &stale;
  status = pusher_publisher_drain(publisher, 1, &drained);
  expect("drain", status, drained, PUSHER_STATUS_OK, 0, "\"libpusher_drained\":1");
  pusher_publisher_free(publisher);
  static const char document[] =
      "{\"libpusher_drained\":1,\"app_id\":\"1\",\"events\":[{\"id\":7,\"published_ms\":0,\"name\":\"e\","
      "\"channels\":[\"c\",\"d\"],\"data\":\"1\",\"socket_id\":\"1.2\",\"info\":\"user_count\",\"extra\":{\"t\":1}}]}";
  publisher = publisher_of(client, "{\"reports\":\"all\"}");
  status = pusher_publisher_restore(publisher, document, (out = &stale, &out));
  expect("restore", status, out, PUSHER_STATUS_OK, 0, "{\"restored\":[{\"id\":1,\"drained_id\":7}]}");
  CHECK(pusher_publisher_restore(publisher, document, NULL) == PUSHER_STATUS_OK, "restore without out");
  CHECK(pusher_publisher_flush(publisher, PATIENCE_MS, NULL) == PUSHER_STATUS_OK, "flush");
  expect_reports(publisher, 2, "\"delivery\":\"delivered\"");
  status = pusher_publisher_drain(publisher, PATIENCE_MS, (out = &stale, &out));
  expect("drain", status, out, PUSHER_STATUS_OK, 0, "\"events\":[]}");
  status = pusher_publisher_restore(publisher, document, (out = &stale, &out));
  expect("restore", status, out, PUSHER_STATUS_CLOSED, PUSHER_DELIVERY_NOT_SENT, "CLOSED");
  pusher_publisher_free(publisher);

  /* A server that does not respond. */
  publisher = publisher_of(client, "{\"connections\":1,\"max_queue_events\":4}");
  publish(publisher, "silence", NULL);
  /* On a slow machine the others would be sent with it. */
  wait_until_in_flight(publisher);
  for (int i = 0; i < 3; i++) publish(publisher, "e", i > 0 ? "{\"conflate\":\"k\"}" : NULL);
  expect_reports(publisher, 1, "\"reason\":\"superseded\"");
  publish(publisher, "e", NULL);
  status = pusher_publisher_publish(publisher, "c", "e", "1", NULL, &id, (out = &stale, &out));
  expect("full", status, out, PUSHER_STATUS_QUEUE_FULL, PUSHER_DELIVERY_NOT_SENT, "QUEUE_FULL");
  status = pusher_publisher_flush(publisher, 1, (out = &stale, &out));
  expect("flush", status, out, PUSHER_STATUS_TIMED_OUT, 0, "TIMED_OUT");
  status = pusher_publisher_close(publisher, 1, (out = &stale, &out));
  expect("close", status, out, PUSHER_STATUS_TIMED_OUT, 0, "TIMED_OUT");
  expect_reports(publisher, 4, "\"reason\":\"closed\"");
  pusher_publisher_free(publisher);
  publisher = publisher_of(client, NULL);
  publish(publisher, "silence", NULL);
  pusher_free(client);
  intptr_t fd = -1;
  CHECK(pusher_publisher_fd(publisher, &fd, (out = &stale, &out)) == PUSHER_STATUS_OK && out == NULL, "fd");
#ifndef _WIN32
  CHECK(fcntl((int)fd, F_GETFD) == FD_CLOEXEC, "not closed on exec");
#endif
  time_t start = time(NULL);
  pusher_publisher_free(publisher);
#ifndef _WIN32
  CHECK(fcntl((int)fd, F_GETFD) == -1 && errno == EBADF, "not closed, although a thread still waits");
#endif
  CHECK(time(NULL) - start < 20, "freed after %ld s", (long)(time(NULL) - start));
}

static void check_publisher_hooks(void) {
  int drops = 0;
  char *out = &stale;
  Pusher *client = client_of(1, ",\"log_level\":\"debug\"");
  Hook *transport = hook(&drops), *log = hook(&drops);
  CHECK(pusher_set_transport(client, send_nowhere, transport, drop_hook, NULL) == PUSHER_STATUS_OK, "set");
  CHECK(pusher_set_log(client, log_nothing, log, drop_hook, NULL) == PUSHER_STATUS_OK, "set");
  PusherPublisher *publisher = (PusherPublisher *)&stale;
  PusherStatus status = pusher_publisher_new(client, NULL, &publisher, &out);
  expect("without leave", status, out, PUSHER_STATUS_INVALID_STATE, 0, "hooks_on_threads");
  CHECK(publisher == NULL, "publisher was not written");
  publisher = publisher_of(client, "{\"hooks_on_threads\":true,\"connections\":1,\"reports\":\"all\"}");
  for (int i = 0; i < 5; i++) publish(publisher, "e", NULL);
  CHECK(pusher_publisher_flush(publisher, PATIENCE_MS, NULL) == PUSHER_STATUS_OK, "flush");
  expect_reports(publisher, 5, "\"status\":\"OK\"");
  CHECK(transport->calls > 0 && !pthread_equal(transport->thread, pthread_self()), "%d", transport->calls);
  pusher_free(client);
  CHECK(drops == 0, "%d", drops);
  pusher_publisher_free(publisher);
  CHECK(drops == 2, "%d", drops);
}

#ifndef _WIN32
/* Returns whether every function reports FORKED in a child. */
static int is_forked(PusherPublisher *publisher) {
  uint64_t id = 7;
  intptr_t fd = 7;
  return pusher_publisher_publish(publisher, "c", "e", "1", NULL, &id, NULL) == PUSHER_STATUS_FORKED && id == 0 &&
         pusher_publisher_fd(publisher, &fd, NULL) == PUSHER_STATUS_FORKED && fd == -1 &&
         pusher_publisher_poll(publisher, UINT32_MAX, NULL) == PUSHER_STATUS_FORKED &&
         pusher_publisher_flush(publisher, UINT32_MAX, NULL) == PUSHER_STATUS_FORKED &&
         pusher_publisher_close(publisher, UINT32_MAX, NULL) == PUSHER_STATUS_FORKED &&
         pusher_publisher_restore(publisher, "{}", NULL) == PUSHER_STATUS_FORKED &&
         pusher_publisher_stats(publisher, NULL) == PUSHER_STATUS_FORKED;
}

static void check_publisher_fork(unsigned short port) {
  Pusher *client = client_of(port, "");
  PusherPublisher *publisher = publisher_of(client, "{\"reports\":\"all\"}");
  publish(publisher, "e", NULL);
  expect_reports(publisher, 1, "\"status\":\"OK\"");
  for (int frees = 0; frees < 2; frees++) {
    /* As in check_fork(): valgrind reports the leak of a child that frees it. */
    int said[2];
    NEED(pipe(said) == 0);
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0) {
      const char *good = is_forked(publisher) ? "y" : "n";
      if (frees) pusher_publisher_free(publisher);
      _exit(write(said[1], good, 1) == 1 ? 0 : 1);
    }
    close(said[1]);
    char good = 0;
    CHECK(read(said[0], &good, 1) == 1 && good == 'y', "a child does not get FORKED");
    close(said[0]);
    int result = -1;
    NEED(waitpid(child, &result, 0) == child);
    CHECK(WIFEXITED(result), "the child's result is %x", (unsigned)result);
  }
  publish(publisher, "e", NULL);
  CHECK(pusher_publisher_close(publisher, PATIENCE_MS, NULL) == PUSHER_STATUS_OK, "close");
  expect_reports(publisher, 1, "\"status\":\"OK\"");
  pusher_publisher_free(publisher);
  pusher_free(client);
}

#endif

static void *publish_often(void *argument) {
  for (int i = 0; i < 50; i++)
    publish(argument, i % 10 == 0 ? "404 No" : "e", i % 7 == 0 ? "{\"conflate\":\"k\"}" : NULL);
  return NULL;
}

static void check_publisher_threads(unsigned short port) {
  Pusher *client = client_of(port, ",\"timeout_ms\":60000");
  PusherPublisher *publisher =
      publisher_of(client, "{\"reports\":\"all\",\"max_queue_events\":60,\"overflow\":\"block\"}");
  pthread_t threads[4];
  for (size_t i = 0; i < 4; i++) NEED(pthread_create(&threads[i], NULL, publish_often, publisher) == 0);
  expect_reports(publisher, 200, "\"delivery\":");
  for (size_t i = 0; i < 4; i++) NEED(pthread_join(threads[i], NULL) == 0);
  CHECK(pusher_publisher_close(publisher, PATIENCE_MS, NULL) == PUSHER_STATUS_OK, "close");
  expect_no_report(publisher, UINT32_MAX);
  pusher_publisher_free(publisher);
  pusher_free(client);
}

static int check_all(void) {
  const char *names[] = {"PUSHER_URL",         "PUSHER_APP_ID",     "PUSHER_KEY",     "PUSHER_APP_KEY",
                         "PUSHER_SECRET",      "PUSHER_APP_SECRET", "PUSHER_CLUSTER", "PUSHER_HOST",
                         "PUSHER_APP_CLUSTER", "PUSHER_PORT",       "PUSHER_SCHEME"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) NEED(unsetenv(names[i]) == 0);
  int stop[2];
  NEED(connected_pair(stop) == 0);
  Server nobody = listen_somewhere(-1);
  close_socket(nobody.listener);
  Server server = listen_somewhere(stop[0]);

  check_versions_and_names();
  check_documents();
  check_accessors();
  check_configurations();
  check_arguments(nobody.port);
  pthread_t thread;
  NEED(pthread_create(&thread, NULL, serve, &server) == 0);
  check_environment(server.port);
  check_functions(server.port);
  check_cancellation(server.port);
  check_webhooks(server.port);
  check_requests(server.port);
  check_feeding(server.port);
  check_hooks(server.port);
  check_observer(server.port);
  check_answers(server.port);
  check_network(server.port);
  check_that_nothing_is_signalled(server.port);
#ifndef _WIN32
  check_fork(server.port);
#endif
  check_threads(server.port);
  check_publisher_arguments(nobody.port);
  check_publisher(server.port);
  check_publisher_hooks();
#ifndef _WIN32
  check_publisher_fork(server.port);
#endif
  check_publisher_threads(server.port);
  close_socket(stop[1]);
  NEED(pthread_join(thread, NULL) == 0);
  close_socket(stop[0]);

  if (failures == 0) puts("the contract is kept");
  return failures == 0 ? 0 : 1;
}

#ifndef _WIN32
static int serve_others(void) {
  Server server = listen_somewhere(STDIN_FILENO);
  printf("%d\n", server.port);
  fflush(stdout);
  serve(&server);
  return 0;
}
#endif

static void call(const char *port, int count) {
  char *config = text("http://k:s@localhost:%s/apps/1", port);
  Pusher *client = NULL;
  NEED(pusher_new(config, &client, NULL) == PUSHER_STATUS_OK);
  free(config);
  for (int i = 0; i < count; i++) {
    char *out = NULL;
    PusherStatus status = pusher_trigger(client, "my-channel", "my-event", "{\"hello\":\"world\"}", NULL, &out);
    CHECK(status == PUSHER_STATUS_OK, "%s", out);
    pusher_string_free(out);
  }
  pusher_free(client);
}

int main(int argc, char **argv) {
  if (argc == 1) return check_all();
#ifndef _WIN32
  if (argc == 2 && strcmp(argv[1], "serve") == 0) return serve_others();
#endif
  int count = argc == 4 ? atoi(argv[3]) : 0;
  if (count > 0 && strcmp(argv[1], "calls") == 0) {
    call(argv[2], count);
  } else if (count > 0 && strcmp(argv[1], "fresh") == 0) {
    for (int i = 0; i < count; i++) call(argv[2], 1);
  } else {
    fprintf(stderr, "usage: contract [serve | calls PORT N | fresh PORT N]\n");
    return 2;
  }
  return failures == 0 ? 0 : 1;
}
