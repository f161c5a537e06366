/* The time of a call by the size of its argument, and of publishing by the length of the queue. Where it grows faster than
 * the size, the nanoseconds for each further byte grow. */
#include <pusher.h>
#include <stdio.h>

#include "clock.h"
#include "harness.h"
#include "parts.h"
#include "report.h"
#include "server.h"
#include "signatures.h"

enum { SIZES = 5, DEPTHS = 4, FEWEST_CALLS = 1000, CHANNELS = 100 };

struct size {
  size_t bytes;
  const char *name;
};

static const struct size payloads[SIZES] = {
    {100, "100 B"}, {1000, "1 KB"}, {10 * 1000, "10 KB"}, {100 * 1000, "100 KB"}, {1000 * 1000, "1 MB"}};
static const struct size webhooks[SIZES] = {
    {300, "300 B"}, {1000, "1 KB"}, {10 * 1000, "10 KB"}, {100 * 1000, "100 KB"}, {1000 * 1000, "1 MB"}};

static const unsigned long depths[DEPTHS] = {1000, 10 * 1000, 100 * 1000, 1000 * 1000};

static double trigger_ns[SIZES][MAX_ROUNDS], webhook_ns[SIZES][MAX_ROUNDS], publish_ns[DEPTHS][MAX_ROUNDS];

static PusherPublisher *make_publisher(int port) {
  char config[512], *out = NULL;
  Pusher *client;
  PusherPublisher *publisher;
  snprintf(config, sizeof config,
           "{\"app_id\":\"" APP_ID "\",\"key\":\"" APP_KEY "\",\"secret\":\"" APP_SECRET
           "\",\"host\":\"127.0.0.1\",\"port\":%d,\"ssl\":false,\"timeout_ms\":600000}",
           port);
  if (pusher_new(config, &client, &out) != PUSHER_STATUS_OK) die("pusher_new: %s", out);
  if (pusher_publisher_new(client, "{\"max_queue_events\":2000000,\"max_queue_bytes\":4000000000}", &publisher, &out) !=
      PUSHER_STATUS_OK) {
    die("pusher_publisher_new: %s", out);
  }
  pusher_free(client);
  return publisher;
}

/* Publishes `count` events, and returns the processor time of each in nanoseconds. */
static double publish(PusherPublisher *publisher, unsigned long count) {
  static char channels[CHANNELS][32];
  for (unsigned i = 0; i < CHANNELS; i++) snprintf(channels[i], sizeof channels[i], "my-channel-%u", i);
  double start = thread_seconds();
  for (unsigned long i = 0; i < count; i++) {
    char *out;
    PusherStatus status = pusher_publisher_publish(publisher, channels[i % CHANNELS], EVENT, "1", NULL, NULL, &out);
    if (status != PUSHER_STATUS_OK) die("pusher_publisher_publish: %s", out);
  }
  return (thread_seconds() - start) * 1e9 / (double)count;
}

/* Publishes to a server that does not respond, so that the events remain in the queue. */
static void measure_publisher(unsigned round) {
  struct server server = server_start(1000 * 1000);
  PusherPublisher *publisher = make_publisher(server.port);
  unsigned long queued = 0;
  for (unsigned i = 0; i < DEPTHS; i++) {
    unsigned long calls = depths[i] / 10 > FEWEST_CALLS ? depths[i] / 10 : FEWEST_CALLS;
    publish(publisher, depths[i] - queued);
    publish_ns[i][round] = publish(publisher, calls);
    queued = depths[i] + calls;
  }
  pusher_publisher_free(publisher);
  server_stop(&server);
}

static void print_sizes(const char *call, const char *time_of, const struct size sizes[], double ns[][MAX_ROUNDS],
                        unsigned rounds) {
  double more[MAX_ROUNDS];
  printf("\n%-40s %28s  %10s  %24s\n", call, time_of, "ns/byte", "ns for each further byte");
  for (unsigned i = 0; i < SIZES; i++) {
    char name[96];
    snprintf(name, sizeof name, "%s, %s", call, sizes[i].name);
    struct summary time = summarize(ns[i], rounds);
    printf("  %-38s %8.1f (%7.1f - %7.1f)  %10.2f", name, time.median / 1e3, time.least / 1e3, time.most / 1e3,
           time.median / (double)sizes[i].bytes);
    report_row(name, "ns", time);
    if (i > 0) {
      for (unsigned k = 0; k < rounds; k++)
        more[k] = (ns[i][k] - ns[i - 1][k]) / (double)(sizes[i].bytes - sizes[i - 1].bytes);
      struct summary further = summarize(more, rounds);
      printf("  %24.2f", further.median);
      report_row(name, "ns for each further byte", further);
    }
    putchar('\n');
  }
}

void run_growth(unsigned rounds, double seconds) {
  use_core(0);
  struct server server = server_start(0);
  use_core(ANY_CORE);
  double start = now();
  for (unsigned round = 0; round < rounds; round++) {
    for (unsigned i = 0; i < SIZES; i++) {
      struct contender contender = trigger;
      contender.size = payloads[i].bytes;
      trigger_ns[i][round] = measure(&contender, server.port, 1, 0, seconds / 2).cpu_us * 1e3;
    }
    for (unsigned i = 0; i < SIZES; i++) {
      struct contender contender = signatures[WEBHOOK_300];
      contender.size = webhooks[i].bytes;
      webhook_ns[i][round] = 1e9 / measure(&contender, 0, 1, 0, seconds / 4).per_second;
    }
    measure_publisher(round);
    print_progress("growth", round + 1, rounds, start);
  }
  server_stop(&server);

  print_sizes("pusher_trigger", "CPU us/call (min - max)", payloads, trigger_ns, rounds);
  print_sizes("pusher_validate_webhook", "us/call (min - max)", webhooks, webhook_ns, rounds);
  printf("\n%-40s %28s\n", "pusher_publisher_publish", "CPU ns/call (min - max)");
  for (unsigned i = 0; i < DEPTHS; i++) {
    char name[96];
    snprintf(name, sizeof name, "publish with %lu in the queue", depths[i]);
    struct summary time = summarize(publish_ns[i], rounds);
    printf("  %-38s %8.0f (%7.0f - %7.0f)\n", name, time.median, time.least, time.most);
    report_row(name, "CPU ns", time);
  }
}
