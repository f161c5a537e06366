/* Delivery under faults, for every system: compares the report of each call with the ledger of the fault server, and with the table
 * of results that the whole test (tests/delivery, for Linux on x86-64) has written.
 *
 *   FAULT_SERVER=path delivery docs/delivery.md                     new connections, mode safe, no fault that lasts
 *   FAULT_SERVER=path DELIVERY_WHOLE=1 delivery docs/delivery.md    also reused connections, the other modes and faults
 *
 * Each fault of the server strikes once, plain and with TLS. (The whole test also repeats faults, and makes the kernel refuse
 * bytes.) */
#include <pthread.h>
#include <pusher.h>
#include <time.h>

#include "listeners.h"

enum { KINDS = 4, MODES = 3, COLUMNS = KINDS * MODES };

static const char *const kinds[KINDS] = {"plain, new", "plain, reused", "TLS, new", "TLS, reused"};
static const char *const modes[MODES] = {"never", "safe", "at_least_once"};
static const char *const channels[] = {"orders", "stock", "bills"};

enum { ONE, SEVERAL, BATCH };
static const char *const calls[] = {"", " (three channels)", " (a batch of three)"};

/* A row of a document: the letters of the faults in it. */
struct row {
  char *faults;          /* between backticks */
  char letters[COLUMNS]; /* 0: empty */
};

struct cell {
  const cJSON *fault;
  int call, kind, mode, number;
  int waits; /* until its deadline */
};

static struct fault_server server;
static cJSON *ready, *catalogue;
static struct row rows[400];
static int row_count;
static struct cell cells[8000];
static int cell_count, is_whole;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int next_waiting, next_busy, failures, deliveries[5];
/* How many false reports the judge was shown, and caught. */
static int planted, caught;

/* Returns a string that must be there. */
static const char *needed(const cJSON *object, const char *name) {
  const char *value = text(object, name);
  if (value == NULL) stop("no string", name);
  return value;
}

static int flag(const cJSON *object, const char *name) { return cJSON_IsTrue(member(object, name)); }

static int control(void) { return number(ready, "control"); }

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sleep_ms(int ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&time, NULL);
}

/* --- the documented results --- */

/* Reads a line such as: | `one`, `two (three channels)` | N | N | D N | … with twelve letters. The first letter is for a fault that
 * occurs once. */
static void read_row(char *line) {
  struct row row = {0};
  char *at = line;
  int column;
  if (strncmp(line, "| `", 3) != 0) return;
  row.faults = at + 2;
  at = strchr(at + 2, '|');
  for (column = 0; at != NULL && column < COLUMNS; column++) {
    char *end = strchr(at + 1, '|'), *letter = at + 1;
    *at = '\0';
    if (end == NULL) return;
    while (*letter == ' ') letter++;
    if (letter < end && strchr("NRUD~", *letter) == NULL) return; /* another table */
    row.letters[column] = letter < end ? *letter : '\0';
    at = end;
  }
  if (at == NULL || strspn(at + 1, " \r\n") != strlen(at + 1)) return;
  if (row_count == sizeof rows / sizeof *rows) stop("too many rows", line);
  rows[row_count++] = row;
}

static void read_document(const char *path) {
  static char contents[1 << 20]; /* the rows point into it */
  FILE *file = fopen(path, "rb");
  size_t length;
  char *line;
  if (file == NULL) stop("can't be read", path);
  length = fread(contents, 1, sizeof contents - 1, file);
  if (length == sizeof contents - 1) stop("too long", path);
  fclose(file);
  contents[length] = '\0';
  for (line = contents; line != NULL;) {
    char *next = strchr(line, '\n');
    if (next != NULL) *next++ = '\0';
    read_row(line);
    line = next;
  }
}

/* Returns the letter of a cell: 0 if there is none. */
static char letter_of(const struct cell *cell) {
  char name[120];
  snprintf(name, sizeof name, "`%s%s`", needed(cell->fault, "name"), calls[cell->call]);
  for (int i = 0; i < row_count; i++) {
    if (strstr(rows[i].faults, name) != NULL) return rows[i].letters[cell->kind * MODES + cell->mode];
  }
  return '\0';
}

/* --- the cells --- */

static void add_cells(void) {
  const cJSON *fault;
  cJSON_ArrayForEach(fault, catalogue) {
    const char *name = needed(fault, "name");
    int most = strncmp(name, "partly-", 7) == 0 ? BATCH : ONE;
    /* Their ledgers are large, and the endless bodies test the same. */
    if (strstr(name, "huge") != NULL || (!is_whole && flag(fault, "waits"))) continue;
    for (int kind = 0; kind < KINDS; kind++) {
      int tls = kind >= 2, reused = kind % 2;
      if (!flag(fault, tls ? "tls" : "plain") || (reused && (!is_whole || !flag(fault, "reused")))) continue;
      for (int call = ONE; call <= most; call++) {
        for (int mode = 0; mode < MODES; mode++) {
          struct cell cell = {fault, call,       kind,
                              mode,  cell_count, flag(fault, "waits") || strstr(name, "retry-after") != NULL};
          if (!is_whole && strcmp(modes[mode], "safe") != 0) continue;
          if (cell_count == sizeof cells / sizeof *cells) stop("too many cells", name);
          cells[cell_count++] = cell;
        }
      }
    }
  }
}

/* --- one call --- */

/* Adds how often a ledger has the events of the call as published, on each channel. */
static void count_published(const cJSON *ledger, const char *data, int times[3]) {
  const cJSON *attempt, *event;
  cJSON_ArrayForEach(attempt, member(ledger, "attempts")) {
    cJSON_ArrayForEach(event, member(attempt, "applied")) {
      const char *channel = cJSON_GetStringValue(member(event, "channel"));
      const char *came = cJSON_GetStringValue(member(event, "data"));
      if (channel == NULL || came == NULL || strcmp(came, data) != 0) continue;
      for (int i = 0; i < 3; i++) times[i] += strcmp(channel, channels[i]) == 0;
    }
  }
}

/* What happened, and what is allowed. */
struct facts {
  int most, whole; /* how often an event was published, and whether all were */
  int lies, mode;
  char letter;
};

/* Returns why a report is wrong, or NULL. */
static const char *wrong(const struct facts *facts, int delivery) {
  static const char letters[] = {'-', 'N', 'R', 'U', 'D'};
  switch (delivery) {
    case PUSHER_DELIVERY_DELIVERED:
      if (!facts->whole && !facts->lies) return "reported as delivered, and not published";
      break;
    case PUSHER_DELIVERY_NOT_SENT:
      if (facts->most > 0) return "reported as not sent, and published";
      break;
    case PUSHER_DELIVERY_REJECTED:
      if (facts->most > 0) return "reported as rejected, and published";
      break;
    case PUSHER_DELIVERY_UNKNOWN: break;
    default: return "there is no report";
  }
  if (facts->most > 1 && facts->mode != 2) return "published twice";
  if (facts->letter == '\0') return "not documented";
  if (facts->letter != '~' && facts->letter != letters[delivery]) return "another result than is documented";
  return NULL;
}

static PusherStatus make(const Pusher *client, int call, const char *data, const char *options, char **out) {
  char batch[512];
  switch (call) {
    case ONE: return pusher_trigger(client, channels[0], "placed", data, options, out);
    case SEVERAL: return pusher_trigger(client, "[\"orders\",\"stock\",\"bills\"]", "placed", data, options, out);
    default:
      snprintf(batch, sizeof batch,
               "[{\"channel\":\"orders\",\"name\":\"placed\",\"data\":%s},{\"channel\":\"stock\",\"name\":\"placed\","
               "\"data\":%s},{\"channel\":\"bills\",\"name\":\"placed\",\"data\":%s}]",
               data, data, data);
      return pusher_trigger_batch(client, batch, options, out);
  }
}

static cJSON *listen_for(const struct cell *cell, int warm) {
  char body[300];
  snprintf(body, sizeof body, "{\"fault\":\"%s\",\"tls\":%s,\"warm\":%d,\"times\":%d}", needed(cell->fault, "name"),
           cell->kind >= 2 ? "true" : "false", warm, flag(cell->fault, "forever") ? 0 : 1);
  return asked(control(), "POST", "/listen", body);
}

/* Returns the configuration of the cell's client. */
static char *config_of(const struct cell *cell, const cJSON *listener) {
  static const char *const credentials[] = {"app_id", "key", "secret"};
  int tls = cell->kind >= 2, port = number(listener, "port");
  cJSON *config = cJSON_CreateObject(), *retry = cJSON_AddObjectToObject(config, "retry");
  char *printed, proxy[40];
  cJSON_AddStringToObject(retry, "mode", modes[cell->mode]);
  for (size_t i = 0; i < sizeof credentials / sizeof *credentials; i++) {
    cJSON_AddStringToObject(config, credentials[i], needed(member(listener, "config"), credentials[i]));
  }
  cJSON_AddStringToObject(config, "host", "127.0.0.1");
  cJSON_AddBoolToObject(config, "ssl", tls);
  cJSON_AddNumberToObject(config, "max_response_bytes", 64 << 10);
  cJSON_AddNumberToObject(config, "connect_timeout_ms", cell->waits ? 1500 : 20000);
  if (tls) cJSON_AddStringToObject(config, "ca_file", needed(ready, "ca"));
  if (flag(cell->fault, "proxy")) {
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", port);
    cJSON_AddStringToObject(config, "proxy", proxy);
    port = number(listener, "origin");
  }
  cJSON_AddNumberToObject(config, "port", port);
  printed = cJSON_PrintUnformatted(config);
  cJSON_Delete(config);
  return printed;
}

/* Makes the call of a cell, and returns the delivery that the library reports. */
static int run(const struct cell *cell, struct facts *facts, char **document) {
  const char *name = needed(cell->fault, "name");
  int reused = cell->kind % 2, after = strcmp(needed(cell->fault, "phase"), "after answer") == 0;
  int wanted = cell->call == ONE ? 1 : 3, timeout_ms = flag(cell->fault, "waits") ? 3500 : 20000, times[3] = {0},
      delivery;
  cJSON *listener = listen_for(cell, reused && !after), *ledger, *origin = NULL;
  char *config = config_of(cell, listener), *out = NULL, data[40], options[40];
  Pusher *client;
  PusherStatus status;
  double started;

  snprintf(data, sizeof data, "{\"id\":\"%06d\"}", cell->number);
  snprintf(options, sizeof options, "{\"timeout_ms\":%d}", timeout_ms);
  if (pusher_new(config, &client, &out) != PUSHER_STATUS_OK) stop("no client", out);
  if (reused) {
    if (pusher_trigger(client, channels[0], "placed", "{\"id\":\"before\"}", NULL, &out) != PUSHER_STATUS_OK)
      stop("not healthy before the call", out);
    pusher_string_free(out);
    /* What the server does to the idle connection arrives, unless the call is to race with it. */
    if (after && strcmp(name, "stale-silence") != 0 && strcmp(name, "silent-close-soon") != 0) sleep_ms(300);
  }
  started = now();
  status = make(client, cell->call, data, options, &out);
  started = now() - started;
  delivery = status == PUSHER_STATUS_OK ? PUSHER_DELIVERY_DELIVERED : pusher_error_delivery(out);
  *document = (char *)malloc(strlen(out) + 1);
  strcpy(*document, out);
  pusher_string_free(out);
  pusher_free(client);

  ledger = ledger_of(control(), number(listener, "port"));
  if (flag(cell->fault, "proxy")) origin = ledger_of(control(), number(listener, "origin"));
  close_listener(control(), number(listener, "port"));
  count_published(ledger, data, times);
  if (origin != NULL) count_published(origin, data, times);
  facts->most = 0;
  for (int i = 0; i < 3; i++) facts->most = times[i] > facts->most ? times[i] : facts->most;
  facts->whole = 1;
  for (int i = 0; i < wanted; i++) facts->whole = facts->whole && times[i] > 0;
  facts->lies = flag(cell->fault, "lies");
  facts->mode = cell->mode;
  facts->letter = letter_of(cell);
  if (started * 1000 > timeout_ms + 10000) stop("the call ended long after its deadline", name);
  cJSON_Delete(origin);
  cJSON_Delete(ledger);
  cJSON_Delete(listener);
  cJSON_free(config);
  return delivery;
}

/* Shows the judge reports that are false by the facts. */
static void plant(const struct facts *facts) {
  for (int delivery = PUSHER_DELIVERY_NOT_SENT; delivery <= PUSHER_DELIVERY_DELIVERED; delivery++) {
    struct facts any = *facts;
    any.letter = '~';
    if (delivery == PUSHER_DELIVERY_UNKNOWN || facts->lies) continue;
    if (delivery == PUSHER_DELIVERY_DELIVERED ? facts->whole : facts->most == 0) continue;
    planted++;
    caught += wrong(&any, delivery) != NULL;
  }
}

static void run_and_judge(const struct cell *cell) {
  static const char *const names[] = {"none", "not_sent", "rejected", "unknown", "delivered"};
  struct facts facts;
  char *document;
  int delivery = run(cell, &facts, &document), tries;
  const char *why = wrong(&facts, delivery);
  /* A busy machine, or an emulator, may have used up a deadline before the fault could occur. */
  for (tries = 0; why != NULL && cell->waits && tries < 2; tries++) {
    free(document);
    delivery = run(cell, &facts, &document);
    why = wrong(&facts, delivery);
  }
  pthread_mutex_lock(&lock);
  deliveries[delivery >= 0 && delivery <= 4 ? delivery : 0]++;
  plant(&facts);
  if (why != NULL) {
    failures++;
    printf("FAILED  %s%s, %s, %s: %s where %c is documented, published %d times: %s: %s\n", needed(cell->fault, "name"),
           calls[cell->call], kinds[cell->kind], modes[cell->mode], names[delivery],
           facts.letter == '\0' ? '-' : facts.letter, facts.most, why, document);
    fflush(stdout);
  }
  pthread_mutex_unlock(&lock);
  free(document);
}

/* Runs the cells that wait, or the others, one after the other. */
static void *worker(void *argument) {
  int waits = argument != NULL, *next = waits ? &next_waiting : &next_busy;
  for (;;) {
    int at;
    pthread_mutex_lock(&lock);
    while (*next < cell_count && cells[*next].waits != waits) ++*next;
    at = (*next)++;
    pthread_mutex_unlock(&lock);
    if (at >= cell_count) return NULL;
    run_and_judge(&cells[at]);
  }
}

int main(int count, char **words) {
  enum { BUSY = 6, WAITING = 24 };
  pthread_t threads[BUSY + WAITING];
  double started = now();
  int i;
  if (count != 2) stop("usage", "delivery docs/delivery.md");
  is_whole = getenv("DELIVERY_WHOLE") != NULL;
  read_document(words[1]);
  server = fault_server_start();
  ready = parsed(server.ready);
  catalogue = asked(control(), "GET", "/faults", "");
  add_cells();
  for (i = 0; i < BUSY + WAITING; i++) {
    if (pthread_create(&threads[i], NULL, worker, i < BUSY ? NULL : threads) != 0) stop("pthread_create", "failed");
  }
  for (i = 0; i < BUSY + WAITING; i++) pthread_join(threads[i], NULL);
  fault_server_stop(&server);
  cJSON_Delete(catalogue);
  cJSON_Delete(ready);
  printf("%d not sent, %d rejected, %d unknown, %d delivered, %d without a report, in %.0f s\n", deliveries[1],
         deliveries[2], deliveries[3], deliveries[4], deliveries[0], now() - started);
  printf("%d false reports were planted, %d caught\n", planted, caught);
  printf("%d calls under faults in C: %d failed\n", cell_count, failures);
  return failures == 0 && planted > 0 && caught == planted && cell_count >= (is_whole ? 3000 : 400) ? 0 : 1;
}
