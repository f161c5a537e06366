/* Publishes events with the library, as benches/events.py tells it to on standard input.
 *
 *   events PORT
 *
 * Each input line is `WHAT THREADS SECONDS`. The program responds with a line `EVENTS SECONDS CPU_SECONDS`. WHAT is
 *
 *   trigger      pusher_trigger
 *   batch        pusher_trigger_batch of 10
 *   publisher    pusher_publisher_publish by THREADS threads, until everything is delivered
 *   reported     the same, and one thread reads the report of each event and finds the event that it belongs to
 *   wide         the same as `publisher` with eight connections instead of the default two
 *   latency      the duration of pusher_publisher_publish in bursts that do not fill the queue: the response is the
 *                median and the 99.9th percentile in microseconds, and the number of samples
 *   clock        the same for reading the clock, which is part of each duration */
#include <pthread.h>
#include <pusher.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "harness.h"
#include "server.h"

enum { BATCH = 10, CHANNELS = 100, BURST = 2000, MAX_TIMES = 10 * 1000 * 1000, MAX_THREADS = 16, CHECK_EVERY = 64 };
enum { DEFAULT_CONNECTIONS = 2, MANY_CONNECTIONS = 8 };
/* The events whose reports have not been read. A power of two, more than the queue and the reports that wait. */
enum { MAX_PENDING = 32768 };

static const char *data;
static Pusher *client;
static char batch[16 * 1024];
static char channels[CHANNELS][32];

/* Takes the address of `out`, so that the order in which the compiler evaluates arguments does not matter. */
static void expect_ok(PusherStatus status, char **out, const char *call) {
  if (status != PUSHER_STATUS_OK) die("%s: %s", call, *out);
  pusher_string_free(*out);
}

struct work {
  pthread_t thread;
  PusherPublisher *publisher;
  double until;
  unsigned long events;
};

static void *trigger_until(void *argument) {
  struct work *work = argument;
  char *out;
  for (; now() < work->until; work->events++) {
    expect_ok(pusher_trigger(client, channels[0], EVENT, data, NULL, &out), &out, "pusher_trigger");
  }
  return NULL;
}

static void *batch_until(void *argument) {
  struct work *work = argument;
  char *out;
  for (; now() < work->until; work->events += BATCH) {
    expect_ok(pusher_trigger_batch(client, batch, NULL, &out), &out, "pusher_trigger_batch");
  }
  return NULL;
}

static uint64_t publish(PusherPublisher *publisher, unsigned long number) {
  char *out;
  uint64_t id;
  PusherStatus status = pusher_publisher_publish(publisher, channels[number % CHANNELS], EVENT, data, NULL, &id, &out);
  if (status != PUSHER_STATUS_OK) die("pusher_publisher_publish: %s", out);
  return id;
}

static void flush(PusherPublisher *publisher) {
  char *out;
  expect_ok(pusher_publisher_flush(publisher, 30000, &out), &out, "pusher_publisher_flush");
}

static void *publish_until(void *argument) {
  struct work *work = argument;
  while (now() < work->until) {
    /* Reading the clock is not part of the publisher. */
    for (unsigned i = 0; i < CHECK_EVERY; i++) publish(work->publisher, work->events++);
  }
  return NULL;
}

/* What a program knows of an event that it has published. */
struct pending {
  uint64_t id;
  int is_delivered;
};
static struct pending pending[MAX_PENDING];

/* Reads the reports of a page, and returns the number of delivered events among them. */
static unsigned long read_reports(const char *page) {
  static const char id_key[] = "{\"id\":", delivered[] = ",\"status\":\"OK\",\"delivery\":\"delivered\"}";
  unsigned long count = 0;
  for (const char *at = strstr(page, id_key); at != NULL; at = strstr(at, id_key)) {
    char *end;
    uint64_t id = strtoull(at + sizeof id_key - 1, &end, 10);
    struct pending *event = &pending[id % MAX_PENDING];
    if (event->id != id || event->is_delivered) die("an unexpected report: %s", at);
    event->is_delivered = strncmp(end, delivered, sizeof delivered - 1) == 0;
    count += (unsigned long)event->is_delivered;
    at = end;
  }
  return count;
}

static unsigned long fetch(PusherPublisher *publisher) {
  char *out;
  unsigned long count = 0;
  while (pusher_publisher_poll(publisher, 0, &out) == PUSHER_STATUS_OK) {
    count += read_reports(out);
    pusher_string_free(out);
  }
  return count;
}

static void *publish_and_fetch_until(void *argument) {
  struct work *work = argument;
  unsigned long delivered = 0;
  while (now() < work->until) {
    for (unsigned i = 0; i < CHECK_EVERY; i++) {
      uint64_t id = publish(work->publisher, work->events++);
      pending[id % MAX_PENDING] = (struct pending){.id = id};
    }
    delivered += fetch(work->publisher);
  }
  flush(work->publisher);
  delivered += fetch(work->publisher);
  if (delivered != work->events) die("%lu of %lu events have a report that says delivered", delivered, work->events);
  return NULL;
}

static PusherPublisher *make_publisher(unsigned connections, const char *reports) {
  PusherPublisher *publisher;
  char config[128], *out;
  /* The defaults with a queue of 10,000 events, which blocks instead of refusing events. There is room for the report of each event
   * that is in the queue or on its way when the last one has been published. */
  snprintf(config, sizeof config,
           "{\"overflow\":\"block\",\"connections\":%u,\"reports\":\"%s\",\"max_reports\":20000}", connections,
           reports);
  expect_ok(pusher_publisher_new(client, config, &publisher, &out), &out, "pusher_publisher_new");
  return publisher;
}

/* Checks that every published event was delivered. */
static void check_delivered(PusherPublisher *publisher, unsigned long count) {
  char *out, expected[64];
  snprintf(expected, sizeof expected, "\"delivered\":%lu,\"not_sent\":0,\"rejected\":0,\"unknown\":0", count);
  PusherStatus status = pusher_publisher_stats(publisher, &out);
  if (status != PUSHER_STATUS_OK || strstr(out, expected) == NULL) die("not every event was delivered: %s", out);
  pusher_string_free(out);
}

/* Publishes by calls, or by a publisher with this number of connections. */
static void count_events(void *(*run)(void *), unsigned connections, unsigned threads, double seconds) {
  struct work works[MAX_THREADS];
  if (threads < 1 || threads > MAX_THREADS) die("1 to %d threads", MAX_THREADS);
  if (threads > 1 && run == publish_and_fetch_until) die("one thread only");
  const char *reports = run == publish_and_fetch_until ? "all" : "failures";
  PusherPublisher *publisher = connections > 0 ? make_publisher(connections, reports) : NULL;
  double cpu = cpu_seconds(), start = now();
  for (unsigned i = 0; i < threads; i++) {
    works[i] = (struct work){.publisher = publisher, .until = start + seconds};
    if (pthread_create(&works[i].thread, NULL, run, &works[i]) != 0) die("no thread");
  }
  unsigned long events = 0;
  for (unsigned i = 0; i < threads; i++) {
    pthread_join(works[i].thread, NULL);
    events += works[i].events;
  }
  if (publisher != NULL) flush(publisher);
  double elapsed = now() - start;
  if (publisher != NULL) check_delivered(publisher, events);
  pusher_publisher_free(publisher);
  printf("%lu %.6f %.6f\n", events, elapsed, cpu_seconds() - cpu);
}

static int compare(const void *a, const void *b) {
  float left = *(const float *)a, right = *(const float *)b;
  return (left > right) - (left < right);
}

static void time_calls(int is_publisher, double seconds) {
  static float times[MAX_TIMES];
  PusherPublisher *publisher = make_publisher(DEFAULT_CONNECTIONS, "failures");
  size_t count = 0;
  for (double until = now() + seconds; now() < until && count + BURST <= MAX_TIMES;) {
    for (unsigned i = 0; i < BURST; i++) {
      double start = now();
      if (is_publisher) publish(publisher, i);
      times[count++] = (float)((now() - start) * 1e6);
    }
    flush(publisher);
  }
  pusher_publisher_free(publisher);
  qsort(times, count, sizeof *times, compare);
  printf("%.3f %.3f %zu\n", times[count / 2], times[count - 1 - count / 1000], count);
}

int main(int count, char **arguments) {
  char config[512], line[128], what[32], *out;
  unsigned threads;
  double seconds;
  data = getenv("EVENTS_DATA");
  if (count != 2 || data == NULL) die("usage: EVENTS_DATA=JSON events PORT");
  snprintf(config, sizeof config,
           "{\"app_id\":\"" APP_ID "\",\"key\":\"" APP_KEY "\",\"secret\":\"" APP_SECRET
           "\",\"host\":\"127.0.0.1\",\"port\":%d,\"ssl\":false}",
           atoi(arguments[1]));
  expect_ok(pusher_new(config, &client, &out), &out, "pusher_new");
  for (unsigned i = 0; i < CHANNELS; i++) snprintf(channels[i], sizeof channels[i], "my-channel-%u", i);
  size_t size = 0;
  for (unsigned i = 0; i < BATCH; i++) {
    size +=
        (size_t)snprintf(batch + size, sizeof batch - size, "%s{\"channel\":\"%s\",\"name\":\"" EVENT "\",\"data\":%s}",
                         i > 0 ? "," : "[", channels[i], data);
  }
  snprintf(batch + size, sizeof batch - size, "]");

  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "%31s %u %lf", what, &threads, &seconds) != 3) die("unknown request: %s", line);
    if (strcmp(what, "trigger") == 0) {
      count_events(trigger_until, 0, threads, seconds);
    } else if (strcmp(what, "batch") == 0) {
      count_events(batch_until, 0, threads, seconds);
    } else if (strcmp(what, "publisher") == 0) {
      count_events(publish_until, DEFAULT_CONNECTIONS, threads, seconds);
    } else if (strcmp(what, "reported") == 0) {
      count_events(publish_and_fetch_until, DEFAULT_CONNECTIONS, threads, seconds);
    } else if (strcmp(what, "wide") == 0) {
      count_events(publish_until, MANY_CONNECTIONS, threads, seconds);
    } else if (strcmp(what, "latency") == 0 || strcmp(what, "clock") == 0) {
      time_calls(what[0] == 'l', seconds);
    } else {
      die("unknown request: %s", what);
    }
    fflush(stdout);
  }
  pusher_free(client);
  return 0;
}
