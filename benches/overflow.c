/* The time of publishing to a full queue, by its length: for each mode of overflow, and for each kind of event. It must not grow
 * with the queue, because the queue is locked meanwhile. */
#include <pusher.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "harness.h"
#include "parts.h"
#include "report.h"
#include "server.h"

enum { DEPTHS = 4, MODES = 3, KINDS = 4, CALLS = 2000, BLOCKED_CALLS = 100, CHANNELS = 100, MAX_GROWTH = 5 };

static const unsigned long depths[DEPTHS] = {1000, 10 * 1000, 100 * 1000, 1000 * 1000};

static const char *const modes[MODES] = {"reject", "block", "drop_oldest"};

static const char *const kinds[KINDS] = {"one channel", "several channels", "a conflate key", "a fan-out"};

static double ns[MODES][KINDS][DEPTHS][MAX_ROUNDS];

/* Each event of a full queue has a server that does not respond. Calls with "block" wait for a millisecond. */
static PusherPublisher *make_publisher(int port, const char *mode, unsigned long depth) {
  char config[512], *out = NULL;
  Pusher *client;
  PusherPublisher *publisher;
  snprintf(config, sizeof config,
           "{\"app_id\":\"" APP_ID "\",\"key\":\"" APP_KEY "\",\"secret\":\"" APP_SECRET
           "\",\"host\":\"127.0.0.1\",\"port\":%d,\"ssl\":false}",
           port);
  if (pusher_new(config, &client, &out) != PUSHER_STATUS_OK) die("pusher_new: %s", out);
  snprintf(config, sizeof config,
           "{\"overflow\":\"%s\",\"max_queue_events\":%lu,\"max_queue_bytes\":4000000000,\"timeout_ms\":600000}", mode,
           depth);
  if (pusher_publisher_new(client, config, &publisher, &out) != PUSHER_STATUS_OK) die("pusher_publisher_new: %s", out);
  pusher_free(client);
  return publisher;
}

/* Publishes an event of a kind. */
static PusherStatus publish(PusherPublisher *publisher, unsigned kind, unsigned long number) {
  char channels[64], key[64], *out;
  unsigned long channel = number % CHANNELS;
  const char *options[KINDS] = {"{\"timeout_ms\":1}", "{\"timeout_ms\":1}", key, "{\"timeout_ms\":1,\"fan_out\":true}"};
  snprintf(channels, sizeof channels, kind % 2 == 0 ? "my-channel-%lu" : "[\"my-channel-%lu\",\"other-channel\"]",
           channel);
  snprintf(key, sizeof key, "{\"timeout_ms\":1,\"conflate\":\"%lu\"}", number);
  PusherStatus status = pusher_publisher_publish(publisher, channels, EVENT, "1", options[kind], NULL, &out);
  pusher_string_free(out);
  return status;
}

static double measure_depth(unsigned mode, unsigned kind, unsigned long depth) {
  struct server server = server_start(1000 * 1000);
  PusherPublisher *publisher = make_publisher(server.port, modes[mode], depth);
  unsigned long at = 0;
  while (at < depth) {
    if (publish(publisher, kind, at++) != PUSHER_STATUS_OK) die("the queue is full too early");
  }
  unsigned long calls = strcmp(modes[mode], "block") == 0 ? BLOCKED_CALLS : CALLS;
  PusherStatus expected = strcmp(modes[mode], "drop_oldest") == 0 ? PUSHER_STATUS_OK : PUSHER_STATUS_QUEUE_FULL;
  double start = thread_seconds();
  for (unsigned long i = 0; i < calls; i++) {
    if (publish(publisher, kind, at++) != expected) die("%s, %s: a call was not as expected", modes[mode], kinds[kind]);
  }
  double each = (thread_seconds() - start) * 1e9 / (double)calls;
  pusher_publisher_free(publisher);
  server_stop(&server);
  return each;
}

void run_overflow(unsigned rounds, double seconds) {
  (void)seconds;
  double start = now();
  for (unsigned round = 0; round < rounds; round++) {
    for (unsigned mode = 0; mode < MODES; mode++) {
      for (unsigned kind = 0; kind < KINDS; kind++) {
        for (unsigned i = 0; i < DEPTHS; i++) ns[mode][kind][i][round] = measure_depth(mode, kind, depths[i]);
      }
    }
    print_progress("overflow", round + 1, rounds, start);
  }

  printf("\n%-40s", "publish to a full queue, CPU ns/call");
  for (unsigned i = 0; i < DEPTHS; i++) printf(" %11lu", depths[i]);
  printf("  %s\n", "growth");
  for (unsigned mode = 0; mode < MODES; mode++) {
    for (unsigned kind = 0; kind < KINDS; kind++) {
      double growth[MAX_ROUNDS];
      char name[96];
      printf("  %-11s %-26s", modes[mode], kinds[kind]);
      for (unsigned i = 0; i < DEPTHS; i++) {
        struct summary time = summarize(ns[mode][kind][i], rounds);
        printf(" %11.0f", time.median);
        snprintf(name, sizeof name, "%s, %s, %lu in the queue", modes[mode], kinds[kind], depths[i]);
        report_row(name, "CPU ns", time);
      }
      for (unsigned k = 0; k < rounds; k++) growth[k] = ns[mode][kind][DEPTHS - 1][k] / ns[mode][kind][0][k];
      struct summary grown = summarize(growth, rounds);
      printf("  %6.2f\n", grown.median);
      snprintf(name, sizeof name, "%s, %s: growth from 10^3 to 10^6", modes[mode], kinds[kind]);
      report_at_most(name, "times", MAX_GROWTH, grown);
    }
  }
}
