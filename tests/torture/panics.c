/*
 * A panic in every exported function: at its beginning, and with each lock held that it takes. A function with a status returns
 * INTERNAL with a document, any other what it returns for nothing. The same handles work again, nothing is printed, and the delivery
 * that a call reports agrees with the ledger of the fault server.
 *
 *   panics           with a library that was built with --cfg pusher_failpoints
 *   panics --list    prints the exported functions that panic
 *   panics --still   prints those that have nothing that can panic, each with the reason
 */
#include "torture.h"

/* In the library for tests. */
int32_t pusher_failpoint_arm(uint32_t number);

enum { MOST_POINTS = 60, MOST_SHOWN = 12 };

/* What the functions use, made anew for each run. */
static struct {
  Pusher *client;
  PusherPublisher *publisher;
  PusherRequest *request;
  PusherResponse *response;
} have;

static const char *event;

/* The events of a publisher that is not there any more. */
static const char drained[] =
    "{\"libpusher_drained\":1,\"app_id\":\"1\",\"events\":[{\"id\":7,\"published_ms\":0,\"name\":\"restored\","
    "\"channels\":[\"c\"],\"data\":\"1\"}]}";

/* Shared with the child. */
static struct shared {
  const struct function *function;
  unsigned number;
  char event[64];
  int passed; /* the panic was not reached */
  int has_status;
  struct report panicking, again;
} *shared;

static void ignore_log(void *data, int32_t level, const char *message, const char *fields) {
  (void)data, (void)level, (void)message, (void)fields;
}

static void ignore_observation(void *data, int32_t kind, uint64_t call_id, const char *fields) {
  (void)data, (void)kind, (void)call_id, (void)fields;
}

static void ignore_request(void *data, const PusherRequest *request, PusherResponse *response) {
  (void)data, (void)request;
  pusher_response_set(response, 200, (const uint8_t *)"{}", 2);
}

/* Ends the part that may panic: what follows only frees. */
static void disarm(void) { shared->passed |= pusher_failpoint_arm(0); }

/* A call with a status. */
#define CALL(name, call) \
  static int name(char **out) { return call; }
/* One without: it works if nothing goes wrong. */
#define ACT(name, act)          \
  static int name(char **out) { \
    (void)out;                  \
    act;                        \
    return -1;                  \
  }

CALL(do_authenticate, pusher_authenticate(have.client, "private-c", "1.2", NULL, out))
CALL(do_authenticate_channels, pusher_authenticate_channels(have.client, "1.2", "[\"private-c\"]", out))
CALL(do_authenticate_user, pusher_authenticate_user(have.client, "1.2", "{\"id\":\"7\"}", out))
CALL(do_channel_info, pusher_channel_info(have.client, "c", NULL, NULL, out))
CALL(do_channels_info, pusher_channels_info(have.client, NULL, NULL, NULL, out))
CALL(do_delete, pusher_delete(have.client, "/channels/c", NULL, NULL, out))
CALL(do_finish, pusher_finish(have.client, have.request, have.response, out))
CALL(do_get, pusher_get(have.client, "/channels", NULL, NULL, out))
CALL(do_post,
     pusher_post(have.client, "/events", NULL, "{\"name\":\"posted\",\"channel\":\"c\",\"data\":\"1\"}", NULL, out))
CALL(do_send_to_user, pusher_send_to_user(have.client, "7", event, "1", NULL, out))
CALL(do_terminate, pusher_terminate_user_connections(have.client, "7", NULL, out))
CALL(do_trigger, pusher_trigger(have.client, "c", event, "1", NULL, out))
CALL(do_users_info, pusher_users_info(have.client, "presence-c", NULL, out))
CALL(do_close, pusher_publisher_close(have.publisher, 20000, out))
CALL(do_flush, pusher_publisher_flush(have.publisher, 20000, out))
static intptr_t fd;
CALL(do_fd, pusher_publisher_fd(have.publisher, &fd, out))
CALL(do_drain, pusher_publisher_drain(have.publisher, 2000, out))
CALL(do_restore, pusher_publisher_restore(have.publisher, drained, out))
CALL(do_stats, pusher_publisher_stats(have.publisher, out))
CALL(do_publish, pusher_publisher_publish(have.publisher, "c", event, "1", NULL, NULL, out))
ACT(do_response_set, pusher_response_set(have.response, 200, (const uint8_t *)"{}", 2))
ACT(do_response_header, pusher_response_set_header(have.response, "Content-Length", "2"))
ACT(do_response_feed, (void)pusher_response_feed(have.response, (const uint8_t *)"HTTP", 4, NULL))
ACT(do_request_bytes, (void)pusher_request_bytes(have.request, NULL))
ACT(do_request_host, (void)pusher_request_host(have.request))
ACT(do_response_fail, pusher_response_fail(have.response, PUSHER_DELIVERY_NOT_SENT, "dns", "none"))
ACT(do_delivery, (void)pusher_error_delivery("{\"error\":{\"delivery\":\"unknown\"}}"))
ACT(do_status, (void)pusher_error_status("{\"error\":{\"status\":\"CLOSED\"}}"))
ACT(do_retryable, (void)pusher_error_retryable("{\"error\":{\"status\":\"CLOSED\"}}"))
ACT(do_http_status, (void)pusher_error_http_status("{\"error\":{\"status\":\"CLOSED\"}}"))
ACT(do_retry_after, (void)pusher_error_retry_after_ms("{\"error\":{\"status\":\"CLOSED\"}}"))
ACT(do_cause, (void)pusher_error_cause("{\"error\":{\"status\":\"CLOSED\"}}", NULL, 0))
ACT(do_server_code, (void)pusher_error_server_code("{\"error\":{\"status\":\"CLOSED\"}}", NULL, 0))
CALL(do_json_string, pusher_json_string("a", 1, out))
ACT(do_message, (void)pusher_error_message("{\"error\":{\"message\":\"m\"}}", NULL, 0))

static int do_new(char **out) {
  char config[4096];
  Pusher *client = NULL;
  config_of(config, sizeof config, 1, 0, "");
  int status = pusher_new(config, &client, out);
  disarm();
  if ((client != NULL) != (status == PUSHER_STATUS_OK)) return -2;
  pusher_free(client);
  return status;
}

static int do_clone(char **out) {
  Pusher *clone = NULL;
  int status = pusher_clone(have.client, &clone, out);
  disarm();
  if ((clone != NULL) != (status == PUSHER_STATUS_OK)) return -2;
  pusher_free(clone);
  return status;
}

/* Of a handle of its own: the client is used again. */
static int do_cancel(char **out) {
  Pusher *clone = NULL;
  (void)out;
  pusher_failpoint_arm(0);
  if (pusher_clone(have.client, &clone, NULL) != PUSHER_STATUS_OK) return -2;
  pusher_failpoint_arm(shared->number);
  pusher_cancel(clone);
  disarm();
  pusher_free(clone);
  return -1;
}

static int do_prepare(char **out) {
  const char *arguments[] = {"c", "e", "1"};
  PusherRequest *request = NULL;
  int status = pusher_prepare(have.client, "trigger", arguments, 3, &request, out);
  disarm();
  if ((request != NULL) != (status == PUSHER_STATUS_OK)) return -2;
  pusher_request_free(request);
  return status;
}

static int do_publisher_new(char **out) {
  PusherPublisher *publisher = NULL;
  int status = pusher_publisher_new(have.client, NULL, &publisher, out);
  disarm();
  if ((publisher != NULL) != (status == PUSHER_STATUS_OK)) return -2;
  pusher_publisher_free(publisher);
  return status;
}

static int do_batch(char **out) {
  char events[200];
  snprintf(events, sizeof events, "[{\"channel\":\"c\",\"name\":\"%s\",\"data\":1}]", event);
  return pusher_trigger_batch(have.client, events, NULL, out);
}

static int do_poll(char **out) {
  int status = pusher_publisher_poll(have.publisher, 0, out);
  return status == PUSHER_STATUS_TIMED_OUT ? PUSHER_STATUS_OK : status;
}

static int do_webhook(char **out) {
  int status = pusher_validate_webhook(have.client, "k", "00", (const uint8_t *)"{}", 2, out);
  if (status != PUSHER_STATUS_WEBHOOK_INVALID) return status;
  pusher_string_free(*out);
  *out = NULL;
  return PUSHER_STATUS_OK;
}

/* Makes a client of its own for a hook, since each can be set once. A panic that was asked for waits until it is made. */
static Pusher *with_no_hook(void) {
  char config[4096];
  Pusher *client = NULL;
  config_of(config, sizeof config, 1, 0, "");
  int is_armed = pusher_failpoint_arm(0);
  if (pusher_new(config, &client, NULL) != PUSHER_STATUS_OK) return NULL;
  if (is_armed) pusher_failpoint_arm(shared->number);
  return client;
}

static int do_set_log(char **out) {
  Pusher *client = with_no_hook();
  if (client == NULL) return -2;
  int status = pusher_set_log(client, ignore_log, NULL, NULL, out);
  disarm();
  pusher_free(client);
  return status;
}

static int do_set_observer(char **out) {
  Pusher *client = with_no_hook();
  if (client == NULL) return -2;
  int status = pusher_set_observer(client, ignore_observation, NULL, NULL, out);
  disarm();
  pusher_free(client);
  return status;
}

static int do_client_stats(char **out) { return pusher_stats(have.client, out); }

static int do_set_transport(char **out) {
  Pusher *client = with_no_hook();
  if (client == NULL) return -2;
  int status = pusher_set_transport(client, ignore_request, NULL, NULL, out);
  disarm();
  pusher_free(client);
  return status;
}

static int do_free(char **out) {
  (void)out;
  pusher_free(have.client);
  have.client = NULL;
  return -1;
}

static int do_publisher_free(char **out) {
  (void)out;
  pusher_publisher_free(have.publisher);
  have.publisher = NULL;
  return -1;
}

static int do_request_free(char **out) {
  (void)out;
  pusher_request_free(have.request);
  have.request = NULL;
  return -1;
}

static int do_response_free(char **out) {
  (void)out;
  pusher_response_free(have.response);
  have.response = NULL;
  return -1;
}

static const struct function {
  const char *name;
  int (*call)(char **out);
} functions[] = {
    {"pusher_authenticate", do_authenticate},
    {"pusher_authenticate_channels", do_authenticate_channels},
    {"pusher_authenticate_user", do_authenticate_user},
    {"pusher_cancel", do_cancel},
    {"pusher_channel_info", do_channel_info},
    {"pusher_channels_info", do_channels_info},
    {"pusher_clone", do_clone},
    {"pusher_delete", do_delete},
    {"pusher_error_cause", do_cause},
    {"pusher_error_delivery", do_delivery},
    {"pusher_error_http_status", do_http_status},
    {"pusher_error_message", do_message},
    {"pusher_error_retry_after_ms", do_retry_after},
    {"pusher_error_retryable", do_retryable},
    {"pusher_error_server_code", do_server_code},
    {"pusher_error_status", do_status},
    {"pusher_finish", do_finish},
    {"pusher_free", do_free},
    {"pusher_get", do_get},
    {"pusher_json_string", do_json_string},
    {"pusher_new", do_new},
    {"pusher_post", do_post},
    {"pusher_prepare", do_prepare},
    {"pusher_publisher_close", do_close},
    {"pusher_publisher_drain", do_drain},
    {"pusher_publisher_fd", do_fd},
    {"pusher_publisher_flush", do_flush},
    {"pusher_publisher_free", do_publisher_free},
    {"pusher_publisher_new", do_publisher_new},
    {"pusher_publisher_poll", do_poll},
    {"pusher_publisher_publish", do_publish},
    {"pusher_publisher_restore", do_restore},
    {"pusher_publisher_stats", do_stats},
    {"pusher_request_bytes", do_request_bytes},
    {"pusher_request_free", do_request_free},
    {"pusher_request_host", do_request_host},
    {"pusher_response_fail", do_response_fail},
    {"pusher_response_feed", do_response_feed},
    {"pusher_response_free", do_response_free},
    {"pusher_response_set", do_response_set},
    {"pusher_response_set_header", do_response_header},
    {"pusher_send_to_user", do_send_to_user},
    {"pusher_set_log", do_set_log},
    {"pusher_set_observer", do_set_observer},
    {"pusher_set_transport", do_set_transport},
    {"pusher_stats", do_client_stats},
    {"pusher_terminate_user_connections", do_terminate},
    {"pusher_trigger", do_trigger},
    {"pusher_trigger_batch", do_batch},
    {"pusher_users_info", do_users_info},
    {"pusher_validate_webhook", do_webhook},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* Those with nothing that can panic, and why. */
static const struct still {
  const char *name, *why;
} still[] = {
    {"pusher_request_body", "reads a field"},
    {"pusher_request_header", "reads a field, by an index that it checks"},
    {"pusher_request_header_count", "reads a field"},
    {"pusher_request_method", "reads a field"},
    {"pusher_request_port", "reads a field"},
    {"pusher_request_timeout_ms", "reads a field and the clock; its arithmetic saturates"},
    {"pusher_request_tls", "reads a field"},
    {"pusher_request_url", "reads a field"},
    {"pusher_response_new", "makes an empty value; without memory it aborts"},
    {"pusher_status_name", "reads a table of constants"},
    {"pusher_string_free", "frees one block"},
    {"pusher_version", "returns a constant"},
    {"pusher_version_number", "returns a constant"},
};
enum { STILL = sizeof still / sizeof *still };

static int listener;

static void run(void *argument) {
  char config[4096], name[100], *out = NULL;
  (void)argument;
  config_of(config, sizeof config, listener, 0, ",\"timeout_ms\":20000");
  const char *arguments[] = {"c", "prepared", "1"};
  if (pusher_new(config, &have.client, &out) != PUSHER_STATUS_OK ||
      pusher_trigger(have.client, "c", "before", "1", NULL, &out) != PUSHER_STATUS_OK ||
      pusher_prepare(have.client, "trigger", arguments, 3, &have.request, &out) != PUSHER_STATUS_OK ||
      pusher_publisher_new(have.client, "{\"reports\":\"all\"}", &have.publisher, &out) != PUSHER_STATUS_OK) {
    stop("%s", out);
  }
  have.response = pusher_response_new();
  pusher_response_set(have.response, 200, (const uint8_t *)"{}", 2);
  if (shared->function->call != do_publish) {
    pusher_publisher_publish(have.publisher, "c", "queued", "1", NULL, NULL, NULL);
  }
  out = NULL;
  event = shared->event;
  pusher_failpoint_arm(shared->number);
  int status = shared->function->call(&out);
  disarm();
  shared->has_status = status != -1;
  record(&shared->panicking, status == -1 ? 0 : status, out);
  if (shared->has_status) shared->panicking.status = status;

  /* The same again, with the same handles, as far as they are still there. */
  out = NULL;
  snprintf(name, sizeof name, "%s-again", shared->event);
  event = name;
  int is_gone = have.client == NULL || have.publisher == NULL || have.request == NULL || have.response == NULL;
  /* A request that was taken cannot be finished again, and no event can be published after closing. */
  int is_once = shared->function->call == do_finish;
  status = is_gone || is_once ? PUSHER_STATUS_OK : shared->function->call(&out);
  record(&shared->again, status == -1 ? 0 : status, out);
  if (have.client != NULL && shared->again.status == PUSHER_STATUS_OK) {
    out = NULL;
    status = pusher_trigger(have.client, "c", "after", "1", NULL, &out);
    record(&shared->again, status, out);
  }
  pusher_publisher_free(have.publisher);
  pusher_request_free(have.request);
  pusher_response_free(have.response);
  pusher_free(have.client);
}

static int wrong;

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...) {
  va_list arguments;
  if (++wrong > MOST_SHOWN) return;
  fprintf(stderr, "%s, place %u: ", shared->function->name, shared->number);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

/* Returns whether the place exists. */
static int one(const struct function *function, unsigned number) {
  static int seen;
  static unsigned run_number;
  memset(shared, 0, sizeof *shared);
  shared->function = function;
  shared->number = number;
  snprintf(shared->event, sizeof shared->event, "e%u", ++run_number);
  struct end end = in_child(run, NULL);
  cJSON *attempts = torture_ledger(listener, seen);
  seen += cJSON_GetArraySize(attempts);
  const struct report *report = &shared->panicking;
  if (end.is_hung) {
    complain("hangs");
  } else if (end.signal != 0 || end.code != 0 || !shared->again.is_made) {
    complain("ends with signal %d, code %d: %s", end.signal, end.code, end.said);
  } else if (end.said[0] != '\0') {
    complain("prints %s", end.said);
  } else if (shared->again.status != PUSHER_STATUS_OK) {
    complain("a handle does not work again: %s", shared->again.document);
  } else if (!shared->passed && shared->has_status) {
    if (report->status != PUSHER_STATUS_INTERNAL || strstr(report->document, "planted by a test") == NULL) {
      complain("returns %s: %s", pusher_status_name(report->status), report->document);
    }
    int times = times_published(attempts, shared->event, NULL);
    int is_call = function->call == do_trigger || function->call == do_batch || function->call == do_send_to_user;
    if (is_call && !agrees(report->delivery, times))
      complain("reports %d, published %d times", report->delivery, times);
  }
  cJSON_Delete(attempts);
  return !shared->passed;
}

int main(int count, char **arguments) {
  if (count > 1 && strcmp(arguments[1], "--list") == 0) {
    for (int i = 0; i < FUNCTIONS; i++) puts(functions[i].name);
    return 0;
  }
  if (count > 1 && strcmp(arguments[1], "--still") == 0) {
    for (int i = 0; i < STILL; i++) printf("%s %s\n", still[i].name, still[i].why);
    return 0;
  }
  shared = shared_memory(sizeof *shared);
  torture_start();
  listener = torture_listen("{\"fault\":\"none\"}");
  int panics = 0;
  for (int i = 0; i < FUNCTIONS; i++) {
    unsigned number = 1;
    while (number < MOST_POINTS && one(&functions[i], number)) number++, panics++;
    if (number == 1) stop("%s does not panic", functions[i].name);
  }
  torture_stop();
  printf("functions %d, panics %d\n", FUNCTIONS, panics);
  if (wrong > 0) fprintf(stderr, "%d are wrong\n", wrong);
  return wrong > 0;
}
