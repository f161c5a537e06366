/*
 * Fails each allocation of each scenario in turn, and checks how the call ends.
 *
 *   allocations [--all-that-follow] SCENARIO…    with failing_allocations.c preloaded
 *   allocations --list                           prints the names of the scenarios
 *   allocations --list planted                   prints those that are wrong, and must be found
 *
 * A call without memory ends in one of two ways. It returns: a success then is one, an error says what happened to the events, the
 * same handle works again, and nothing is lost when all is freed. Or Rust aborts the process, with its message and nothing else:
 * SECURITY.md permits that for an allocation whose size neither the caller nor the server decides, and so none of more than
 * MOST_ABORTED_BYTES. A line for each scenario says which share of the failures the calls returned from.
 */
#include "failing_allocations.h"
#include "webhook.h"

enum {
  EVENTS = 8,
  PART = 100,
  FAN_OUT = 130,
  ANSWER_BYTES = 300 * 1024,
  ROUNDS = 2,
  MOST_POLLS = 24,
  MOST_ABORTED_BYTES = 2048,
  /* rustls makes room for a record and its head. */
  MOST_ABORTED_TLS_BYTES = 20 * 1024,
  MOST_SHOWN = 12
};

/* What the scenarios send and pass. Made once, in the parent. */
static char data[9000], text_data[7000], channels[FAN_OUT * 12 + 200], batch[EVENTS * 2400 + 100];
static char parameters[3200], headers[3200];
static char channel_data[4000], user_data[4000], many_channels[8000];
static char webhook[40000], encrypted[12000], signature[65], encrypted_signature[65];
static int listener, tls_listener, large_listener;

/* Shared between the child and the parent. */
struct shared {
  long first;
  int all;
  const struct scenario *scenario;
  struct allocations allocations;
  int round; /* the first has the failure, the second must succeed */
  int is_done;
  struct scene {
    Pusher *client;
    char event[64];
    struct report call;
    struct report polls[MOST_POLLS];
    unsigned long long ids[EVENTS];
    int polled;
  } rounds[ROUNDS];
};

typedef struct scene Scene;

struct scenario {
  const char *name;
  /* Made before the allocations are counted, and after that. */
  void (*before)(Scene *);
  void (*call)(Scene *);
  void (*after)(Scene *);
  /* How the events of the call are published: a name, or names of each channel. */
  enum { NOTHING, ONE, EACH, QUEUED } publishes;
  int is_same; /* each success has the same document */
};

/* ---- the scenarios ---- */

static const char more[] =
    ",\"encryption_master_key_base64\":\"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\",\"webhook_max_age_ms\":0,"
    "\"timeout_ms\":20000,\"retry\":{\"mode\":\"never\"},\"headers\":{\"X-One\":\"1\",\"X-Two\":\"2\"},"
    "\"webhook_tokens\":[{\"key\":\"other\",\"secret\":\"another\"}]";

static Pusher *client_of(int port, int tls) {
  char config[4096], *out = NULL;
  Pusher *client = NULL;
  config_of(config, sizeof config, port, tls, more);
  if (pusher_new(config, &client, &out) != PUSHER_STATUS_OK) stop("pusher_new: %s", out);
  return client;
}

static void no_client(Scene *scene) { scene->client = NULL; }
static void plain(Scene *scene) { scene->client = client_of(listener, 0); }
static void with_tls(Scene *scene) { scene->client = client_of(tls_listener, 1); }
static void with_large_answers(Scene *scene) { scene->client = client_of(large_listener, 0); }
static void finish_client(Scene *scene) { pusher_free(scene->client); }

static char new_config[4096];

static void call_new(Scene *scene) {
  char *out = NULL;
  Pusher *client = NULL;
  int status = pusher_new(new_config, &client, &out);
  if ((client != NULL) != (status == PUSHER_STATUS_OK)) status = -2;
  pusher_free(client);
  record(&scene->call, status, out);
}

static void used(Scene *scene) {
  plain(scene);
  if (pusher_trigger(scene->client, "c", "used", "{}", NULL, NULL) != PUSHER_STATUS_OK)
    stop("the client cannot be used");
}

static void call_free(Scene *scene) {
  pusher_free(scene->client);
  scene->client = NULL;
  record(&scene->call, PUSHER_STATUS_OK, NULL);
}

static void call_trigger(Scene *scene) {
  char *out = NULL;
  int status =
      pusher_trigger(scene->client, "c", scene->event, data, "{\"info\":\"user_count\",\"socket_id\":\"1.2\"}", &out);
  record(&scene->call, status, out);
}

static char batch_now[sizeof batch + EVENTS * 64];

static void batch_before(Scene *scene) {
  size_t length = 0;
  plain(scene);
  for (int i = 0; i < EVENTS; i++) {
    length +=
        (size_t)sprintf(batch_now + length, "%s{\"channel\":\"c-%d\",\"name\":\"%s\",\"data\":{\"text\":\"%.2000s\"}}",
                        i == 0 ? "[" : ",", i, scene->event, data + 1);
  }
  strcpy(batch_now + length, "]");
}

static void call_batch(Scene *scene) {
  char *out = NULL;
  int status = pusher_trigger_batch(scene->client, batch_now, NULL, &out);
  record(&scene->call, status, out);
}

static void call_encrypted(Scene *scene) {
  char *out = NULL;
  int status = pusher_trigger(scene->client, "private-encrypted-c", scene->event, text_data, NULL, &out);
  record(&scene->call, status, out);
}

static void call_fan_out(Scene *scene) {
  char *out = NULL;
  int status = pusher_trigger(scene->client, channels, scene->event, "\"short\"", "{\"fan_out\":true}", &out);
  record(&scene->call, status, out);
}

static void call_query(Scene *scene) {
  char *out = NULL;
  int status = pusher_channels_info(scene->client, "presence-", "user_count", NULL, &out);
  record(&scene->call, status, out);
}

/* What a caller decides is long here: parameters and a header. */
static void call_get(Scene *scene) {
  char *out = NULL;
  int status = pusher_get(scene->client, "/channels", parameters, headers, &out);
  record(&scene->call, status, out);
}

static void call_prepare_get(Scene *scene) {
  const char *arguments[] = {"/channels", parameters, headers};
  char *out = NULL;
  PusherRequest *request = NULL;
  int status = pusher_prepare(scene->client, "get", arguments, 3, &request, &out);
  pusher_request_free(request);
  record(&scene->call, status, out);
}

static void call_authenticate(Scene *scene) {
  char *out = NULL;
  int status = pusher_authenticate(scene->client, "presence-c", "1.2", channel_data, &out);
  record(&scene->call, status, out);
}

static void call_authenticate_user(Scene *scene) {
  char *out = NULL;
  int status = pusher_authenticate_user(scene->client, "1.2", user_data, &out);
  record(&scene->call, status, out);
}

static void call_authenticate_channels(Scene *scene) {
  char *out = NULL;
  int status = pusher_authenticate_channels(scene->client, "1.2", many_channels, &out);
  record(&scene->call, status, out);
}

static void validate(Scene *scene, const char *body, const char *signed_as) {
  char *out = NULL;
  int status = pusher_validate_webhook(scene->client, text_of(torture_ready, "key"), signed_as, (const uint8_t *)body,
                                       strlen(body), &out);
  record(&scene->call, status, out);
}

static void call_webhook(Scene *scene) { validate(scene, webhook, signature); }
static void call_encrypted_webhook(Scene *scene) { validate(scene, encrypted, encrypted_signature); }

static void call_prepare(Scene *scene) {
  const char *arguments[] = {"c", scene->event, data};
  char *out = NULL;
  PusherRequest *request = NULL;
  int status = pusher_prepare(scene->client, "trigger", arguments, 3, &request, &out);
  if (status == PUSHER_STATUS_OK) {
    PusherResponse *response = pusher_response_new();
    static const char answer[] = "{\"channels\":{\"c\":{\"user_count\":1}}}";
    pusher_response_set_header(response, "Content-Length", "36");
    pusher_response_set(response, 200, (const uint8_t *)answer, sizeof answer - 1);
    status = pusher_finish(scene->client, request, response, &out);
    pusher_response_free(response);
  }
  pusher_request_free(request);
  record(&scene->call, status, out);
}

static void send_it(void *user_data, const PusherRequest *request, PusherResponse *response) {
  size_t length;
  (void)user_data;
  if (strlen((const char *)pusher_request_body(request, &length)) != length || pusher_request_url(request) == NULL)
    abort();
  pusher_response_set(response, 200, (const uint8_t *)"{\"sent\":true}", 13);
}

static void with_transport(Scene *scene) {
  plain(scene);
  if (pusher_set_transport(scene->client, send_it, NULL, NULL, NULL) != PUSHER_STATUS_OK) stop("no transport");
}

static void call_transport(Scene *scene) {
  char *out = NULL;
  int status = pusher_trigger(scene->client, "c", scene->event, data, NULL, &out);
  record(&scene->call, status, out);
}

static void call_publisher(Scene *scene) {
  char *out = NULL, name[80];
  PusherPublisher *publisher = NULL;
  int status = pusher_publisher_new(scene->client, "{\"reports\":\"all\",\"connections\":1,\"max_batch_events\":3}",
                                    &publisher, &out);
  if (status != PUSHER_STATUS_OK) {
    record(&scene->call, status, out);
    return;
  }
  int all_queued = PUSHER_STATUS_OK;
  for (int i = 0; i < EVENTS; i++) {
    snprintf(name, sizeof name, "%s-%d", scene->event, i);
    uint64_t id = 0;
    status = pusher_publisher_publish(publisher, "c", name, text_data, NULL, &id, &out);
    if ((id != 0) != (status == PUSHER_STATUS_OK)) all_queued = -3;
    scene->ids[i] = id;
    if (status != PUSHER_STATUS_OK && all_queued == PUSHER_STATUS_OK) all_queued = status;
    pusher_string_free(out);
  }
  pusher_publisher_flush(publisher, 20000, NULL);
  status = pusher_publisher_close(publisher, 20000, NULL);
  if (all_queued == PUSHER_STATUS_OK) all_queued = status;
  /* A report that did not fit into memory comes with the next call. */
  int is_empty = 0;
  while (!is_empty && scene->polled < MOST_POLLS) {
    status = pusher_publisher_poll(publisher, 0, &out);
    is_empty = status == PUSHER_STATUS_TIMED_OUT;
    if (status == PUSHER_STATUS_INTERNAL && all_queued == PUSHER_STATUS_OK) all_queued = status;
    record(&scene->polls[scene->polled++], status, out);
  }
  pusher_publisher_free(publisher);
  record(&scene->call, PUSHER_STATUS_OK, NULL);
  scene->call.status = all_queued;
}

static const struct scenario scenarios[] = {
    {"new", no_client, call_new, finish_client, NOTHING, 1},
    {"free", used, call_free, finish_client, NOTHING, 1},
    {"trigger", plain, call_trigger, finish_client, ONE, 1},
    {"batch", batch_before, call_batch, finish_client, EACH, 1},
    {"encrypted-trigger", plain, call_encrypted, finish_client, ONE, 1},
    {"fan-out", plain, call_fan_out, finish_client, EACH, 1},
    {"query", with_large_answers, call_query, finish_client, NOTHING, 1},
    {"get", with_large_answers, call_get, finish_client, NOTHING, 1},
    {"prepare-get", plain, call_prepare_get, finish_client, NOTHING, 1},
    {"authenticate", plain, call_authenticate, finish_client, NOTHING, 1},
    {"authenticate-user", plain, call_authenticate_user, finish_client, NOTHING, 1},
    {"authenticate-channels", plain, call_authenticate_channels, finish_client, NOTHING, 1},
    {"webhook", plain, call_webhook, finish_client, NOTHING, 1},
    {"encrypted-webhook", plain, call_encrypted_webhook, finish_client, NOTHING, 1},
    {"prepare-finish", plain, call_prepare, finish_client, NOTHING, 1},
    {"publisher", plain, call_publisher, finish_client, QUEUED, 0},
    {"transport", with_transport, call_transport, finish_client, NOTHING, 1},
    {"tls-trigger", with_tls, call_trigger, finish_client, ONE, 1},
};

/* ---- what must be found ---- */

static void wrong_success(Scene *scene) {
  void *volatile memory = malloc(10);
  if (memory != NULL) call_trigger(scene);
  record(&scene->call, PUSHER_STATUS_OK, NULL);
  free(memory);
}

static void wrong_leak(Scene *scene) {
  void *volatile one = malloc(10), *volatile two = malloc(10);
  if (two != NULL) free(one);
  free(two);
  record(&scene->call, PUSHER_STATUS_OK, NULL);
}

static void wrong_crash(Scene *scene) {
  char *volatile memory = malloc(10);
  *(volatile char *)memory = 1;
  free(memory);
  record(&scene->call, PUSHER_STATUS_OK, NULL);
}

static void wrong_hang(Scene *scene) {
  void *volatile memory = malloc(10);
  while (memory == NULL) pause();
  free(memory);
  record(&scene->call, PUSHER_STATUS_OK, NULL);
}

static void wrong_abort(Scene *scene) {
  static const char message[] = "memory allocation of 50000 bytes failed\n";
  void *volatile memory = malloc(50000);
  if (memory == NULL && write(2, message, sizeof message - 1) > 0) abort();
  free(memory);
  record(&scene->call, PUSHER_STATUS_OK, NULL);
}

static const struct scenario planted[] = {
    {"wrong-success", plain, wrong_success, finish_client, ONE, 0},
    {"wrong-leak", plain, wrong_leak, finish_client, NOTHING, 0},
    {"wrong-crash", plain, wrong_crash, finish_client, NOTHING, 0},
    {"wrong-hang", plain, wrong_hang, finish_client, NOTHING, 0},
    {"wrong-abort", plain, wrong_abort, finish_client, NOTHING, 0},
};

enum { SCENARIOS = sizeof scenarios / sizeof *scenarios, PLANTED = sizeof planted / sizeof *planted };

/* ---- a run ---- */

/* The child: the call with a failure, then with the same handle without one. */
static void run(void *argument) {
  struct shared *shared = argument;
  const struct scenario *scenario = shared->scenario;
  Scene *first = &shared->rounds[0], *second = &shared->rounds[1];
  scenario->before(first);
  failing_allocations_begin(shared->first, shared->all);
  scenario->call(first);
  failing_allocations_end();
  shared->round = 1;
  if (first->client == NULL) {
    scenario->before(second);
  } else {
    second->client = first->client;
    if (scenario->before == batch_before) {
      Pusher *kept = second->client;
      scenario->before(second);
      pusher_free(second->client);
      second->client = kept;
    }
  }
  scenario->call(second);
  scenario->after(second);
  failing_allocations_read(&shared->allocations);
  shared->is_done = 1;
}

/* ---- the verdict ---- */

static int wrong;
static const char *scenario_now;
static long first_now;

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...) {
  va_list arguments;
  if (++wrong > MOST_SHOWN) return;
  fprintf(stderr, "%s, allocation %ld: ", scenario_now, first_now);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

/* Returns the document of a report, or NULL if there is none or not all of it was kept. */
static cJSON *document_of(const struct report *report) {
  if (!report->has_document || report->length >= MOST_DOCUMENT - 1) return NULL;
  cJSON *document = cJSON_Parse(report->document);
  if (document == NULL) complain("the document is not JSON: \"%s\"", report->document);
  return document;
}

/* Returns what a report says about the event on a channel: a PusherDelivery, 0 for nothing. */
static int said_of(const struct report *report, const cJSON *document, const char *channel) {
  const cJSON *part, *name;
  if (report->status == PUSHER_STATUS_OK) return PUSHER_DELIVERY_DELIVERED;
  if (report->status > 0 && report->status < 20) return PUSHER_DELIVERY_NOT_SENT;
  if (document != NULL && channel != NULL) {
    cJSON_ArrayForEach(part, member(member(document, "error"), "parts")) {
      cJSON_ArrayForEach(name, member(part, "channels")) {
        if (strcmp(cJSON_GetStringValue(name), channel) == 0) {
          return strcmp(text_of(part, "status"), "OK") == 0 ? PUSHER_DELIVERY_DELIVERED
                                                            : delivery_named(text_of(part, "delivery"));
        }
      }
    }
  }
  return report->delivery;
}

/* Checks what was said against how often it was published. */
static void agree(int said, int times, const char *what) {
  if (!agrees(said, times)) complain("%s was reported as %d and published %d times", what, said, times);
}

static void channel_named(char *name, size_t size, const struct scenario *scenario, int number) {
  if (scenario->call == call_batch) {
    snprintf(name, size, "c-%d", number);
  } else if (number < FAN_OUT) {
    snprintf(name, size, "%03d", number);
  } else {
    snprintf(name, size, "private-encrypted-%d", number - FAN_OUT);
  }
}

/* Compares the reports of the publisher with the ledger: each event that was queued ended once, and as reported. */
static void check_queued(const Scene *scene, const cJSON *attempts) {
  int said[EVENTS] = {0}, reported[EVENTS] = {0}, lost = 0;
  for (int i = 0; i < scene->polled; i++) {
    if (scene->polls[i].status != PUSHER_STATUS_OK) continue;
    cJSON *document = document_of(&scene->polls[i]);
    const cJSON *one;
    lost += (int)cJSON_GetNumberValue(member(document, "lost"));
    cJSON_ArrayForEach(one, member(document, "reports")) {
      for (int k = 0; k < EVENTS; k++) {
        if (scene->ids[k] != (unsigned long long)cJSON_GetNumberValue(member(one, "id"))) continue;
        said[k] = delivery_named(text_of(one, "delivery"));
        reported[k]++;
      }
    }
    cJSON_Delete(document);
  }
  for (int k = 0; k < EVENTS; k++) {
    char name[80];
    snprintf(name, sizeof name, "%s-%d", scene->event, k);
    int is_queued = scene->ids[k] != 0;
    if (reported[k] > is_queued || (reported[k] < is_queued && lost == 0)) {
      complain("event %d, queued: %d, has %d reports", k, is_queued, reported[k]);
    }
    if (!is_queued) said[k] = PUSHER_DELIVERY_NOT_SENT;
    agree(said[k], times_published(attempts, name, NULL), name);
  }
}

static void check_round(const struct scenario *scenario, const Scene *scene, const cJSON *attempts) {
  const struct report *report = &scene->call;
  cJSON *document = document_of(report);
  int count = scenario->publishes != EACH ? 1 : scenario->call == call_batch ? EVENTS : FAN_OUT + 2;
  for (int i = 0; i < count && (scenario->publishes == ONE || scenario->publishes == EACH); i++) {
    char channel[40];
    channel_named(channel, sizeof channel, scenario, i);
    const char *on = scenario->publishes == EACH ? channel : NULL;
    agree(said_of(report, document, on), times_published(attempts, scene->event, on), on != NULL ? on : "the event");
  }
  if (scenario->publishes == QUEUED) check_queued(scene, attempts);
  cJSON_Delete(document);
}

enum kind { RETURNS, ABORTS, BAD };

/* Runs a scenario whose allocation `first` fails, and returns how the call ended. `whole` has the run without a failure. */
static enum kind one(const struct scenario *scenario, struct shared *shared, long first, int all,
                     const struct shared *whole) {
  static int seen[2];
  static unsigned run_number;
  int before = wrong;
  memset(shared, 0, sizeof *shared);
  shared->first = first;
  shared->all = all;
  shared->scenario = scenario;
  run_number++;
  for (int i = 0; i < ROUNDS; i++) {
    snprintf(shared->rounds[i].event, sizeof shared->rounds[i].event, "%s-%u-%d", scenario->name, run_number, i);
  }
  scenario_now = scenario->name;
  first_now = first;
  struct end end = in_child(run, shared);
  int with_tls_now = scenario->before == with_tls;
  cJSON *attempts = torture_ledger(with_tls_now ? tls_listener : listener, seen[with_tls_now]);
  seen[with_tls_now] += cJSON_GetArraySize(attempts);

  enum kind kind = RETURNS;
  if (end.is_hung) {
    complain("hangs");
  } else if (end.signal == SIGABRT && shared->round == 0) {
    size_t size = 0;
    int length = 0;
    kind = ABORTS;
    /* Rust aborts, and says so with this line, which some versions follow up with a note. glibc aborts in a new thread, for the
     * destructors of Rust's thread-local variables. */
    int is_rust = sscanf(end.said, "memory allocation of %zu bytes failed\n%n", &size, &length) == 1 && length > 0;
    int is_glibc = strcmp(end.said, "Fatal glibc error: failed to register TLS destructor: out of memory\n") == 0;
    if ((!is_rust && !is_glibc) || strstr(end.said, "panicked") != NULL) {
      complain("aborts with: %s", end.said);
    } else if (size > (scenario->before == with_tls ? MOST_ABORTED_TLS_BYTES : MOST_ABORTED_BYTES)) {
      complain("aborts for %zu bytes", size);
    }
  } else if (end.signal != 0 || end.code != 0 || !shared->is_done) {
    complain("ends with signal %d, code %d: %s", end.signal, end.code, end.said);
  } else {
    if (end.said[0] != '\0') complain("prints %s", end.said);
    const struct report *failing = &shared->rounds[0].call, *again = &shared->rounds[1].call;
    if (failing->status < 0)
      complain("returns a status and a document that contradict each other: %s", failing->document);
    if (again->status != PUSHER_STATUS_OK) complain("the handle does not work again: %s", again->document);
    for (int i = 0; i < ROUNDS; i++) check_round(scenario, &shared->rounds[i], attempts);
    if (whole != NULL) {
      const struct report *wanted = &whole->rounds[0].call;
      if (scenario->is_same && failing->status == PUSHER_STATUS_OK && failing->hash != wanted->hash) {
        complain("succeeds with another document: %s", failing->document);
      }
      if (shared->allocations.live > whole->allocations.live ||
          shared->allocations.live_bytes > whole->allocations.live_bytes) {
        complain("leaves %ld allocations, %zu bytes; without a failure %ld, %zu bytes", shared->allocations.live,
                 shared->allocations.live_bytes, whole->allocations.live, whole->allocations.live_bytes);
      }
    }
  }
  cJSON_Delete(attempts);
  return wrong > before ? BAD : kind;
}

static void whole_scenario(const struct scenario *scenario, int all, struct shared *shared, struct shared *whole) {
  long count[3] = {0}, most_calls = 0;
  if (one(scenario, whole, 0, 0, NULL) != RETURNS || whole->rounds[0].call.status != PUSHER_STATUS_OK) {
    stop("%s fails without a failing allocation: %s", scenario->name, whole->rounds[0].call.document);
  }
  most_calls = whole->allocations.calls;
  /* A publisher makes some more or fewer, as its threads run. */
  for (long first = 1; first <= most_calls; first++) count[one(scenario, shared, first, all, whole)]++;
  printf("%s %ld %ld %ld\n", scenario->name, most_calls, count[RETURNS], count[ABORTS]);
  fflush(stdout);
}

/* ---- what the scenarios pass ---- */

static void make_arguments(void) {
  size_t length = 0;
  memset(data, 'x', sizeof data - 1);
  data[0] = data[sizeof data - 2] = '"';
  memset(text_data, 'y', sizeof text_data - 1);
  text_data[0] = text_data[sizeof text_data - 2] = '"';
  for (int i = 0; i < FAN_OUT; i++) length += (size_t)sprintf(channels + length, "%s\"%03d\"", i == 0 ? "[" : ",", i);
  sprintf(channels + length, ",\"private-encrypted-0\",\"private-encrypted-1\"]");
  snprintf(channel_data, sizeof channel_data, "{\"user_id\":\"7\",\"user_info\":{\"name\":\"%.3000s\"}}", data + 1);
  snprintf(user_data, sizeof user_data, "{\"id\":\"7\",\"name\":\"%.3000s\"}", data + 1);
  snprintf(parameters, sizeof parameters, "{\"info\":\"user_count\",\"more\":\"%.3000s\"}", data + 1);
  snprintf(headers, sizeof headers, "{\"headers\":{\"X-One\":\"2\",\"X-Long\":\"%.3000s\"}}", data + 1);
  length = 0;
  for (int i = 0; i < PART; i++) {
    length += (size_t)sprintf(many_channels + length,
                              "%s{\"channel\":\"presence-%d\",\"channel_data\":\"{\\\"user_id\\\":\\\"%d\\\"}\"}",
                              i == 0 ? "[" : ",", i, i);
  }
  strcpy(many_channels + length, "]");
  length = (size_t)sprintf(webhook, "{\"time_ms\":1,\"events\":[");
  for (int i = 0; i < 20; i++) {
    length += (size_t)sprintf(
        webhook + length,
        "%s{\"name\":\"client_event\",\"channel\":\"private-c\",\"event\":\"client-e\",\"data\":\"%.1500s\"}",
        i == 0 ? "" : ",", data + 1);
  }
  strcpy(webhook + length, "]}");
  Pusher *client = client_of(listener, 0);
  encrypted_webhook(encrypted, sizeof encrypted, client, text_data);
  pusher_free(client);
  sign_webhook(webhook, signature);
  sign_webhook(encrypted, encrypted_signature);
  config_of(new_config, sizeof new_config, listener, 0, more);
}

/* Starts a server that answers every request with a large document, and returns its port. It ends with this process. */
static int large_server(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  int at = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (at < 0 || bind(at, (struct sockaddr *)&address, size) != 0 || listen(at, 16) != 0 ||
      getsockname(at, (struct sockaddr *)&address, &size) != 0) {
    stop("no server for large answers");
  }
  pid_t parent = getpid(), child = fork();
  if (child < 0) stop("fork failed");
  if (child > 0) {
    close(at);
    return ntohs(address.sin_port);
  }
  static char answer[ANSWER_BYTES + 200], request[16384];
  size_t head = (size_t)sprintf(
      answer, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n{\"channels\":{\"", ANSWER_BYTES);
  size_t whole = strcspn(answer, "{") + ANSWER_BYTES;
  memset(answer + head, 'c', whole - head);
  memcpy(answer + whole - 6, "\":{}}}", 6);
  while (getppid() == parent) {
    struct timeval patience = {1, 0};
    setsockopt(at, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int accepted = accept(at, NULL, NULL);
    if (accepted < 0) continue;
    setsockopt(accepted, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssize_t length = 0, got;
    while ((got = recv(accepted, request + length, sizeof request - 1 - (size_t)length, 0)) > 0) {
      request[length += got] = '\0';
      if (strstr(request, "\r\n\r\n") != NULL) break;
    }
    for (size_t sent = 0; got > 0 && sent < whole;) {
      ssize_t now = send(accepted, answer + sent, whole - sent, MSG_NOSIGNAL);
      if (now <= 0) break;
      sent += (size_t)now;
    }
    shutdown(accepted, SHUT_WR);
    while (recv(accepted, request, sizeof request, 0) > 0) {
    }
    close(accepted);
  }
  _exit(0);
}

int main(int count, char **names) {
  int all = 0;
  if (count > 1 && strcmp(names[1], "--list") == 0) {
    for (int i = 0; count == 2 && i < SCENARIOS; i++) puts(scenarios[i].name);
    for (int i = 0; count > 2 && i < PLANTED; i++) puts(planted[i].name);
    return 0;
  }
  if (failing_allocations_begin == NULL) stop("failing_allocations.c is not preloaded");
  struct shared *here = shared_memory(sizeof *here), *whole = shared_memory(sizeof *whole);
  large_listener = large_server();
  torture_start();
  listener = torture_listen("{\"fault\":\"none\"}");
  tls_listener = torture_listen("{\"fault\":\"none\",\"tls\":true}");
  make_arguments();
  for (int i = 1; i < count; i++) {
    const struct scenario *found = NULL;
    if (strcmp(names[i], "--all-that-follow") == 0) {
      all = 1;
      continue;
    }
    for (int k = 0; k < SCENARIOS; k++) {
      if (strcmp(scenarios[k].name, names[i]) == 0) found = &scenarios[k];
    }
    for (int k = 0; k < PLANTED; k++) {
      if (strcmp(planted[k].name, names[i]) == 0) found = &planted[k], patience_s = 2;
    }
    if (found == NULL) stop("there is no scenario %s", names[i]);
    whole_scenario(found, all, here, whole);
  }
  torture_stop();
  if (wrong > 0) fprintf(stderr, "%d are wrong\n", wrong);
  return wrong > 0;
}
