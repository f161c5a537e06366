/* Requests on kept-alive connections: the library between the minimum, which is raw sockets, and libcurl. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "harness.h"
#include "parts.h"
#include "raw.h"
#include "report.h"
#include "server.h"
#include "signatures.h"

/* The library runs between the two others, so that it is right after, or right before, each of them. */
enum { RAW, TRIGGER, CURL, CONTENDERS };

/* The number of threads, and their cores. One thread and its server either share a core, so that only computation is
 * measured; or each has a core, so that each message also wakes an idle core, which takes longer than everything else.
 * Without pinning, the scheduler alternates between the two, and the figures with it. It also tends to put eight
 * threads on one core, so those are spread over all cores. */
struct setting {
  const char *name;
  unsigned threads;
  /* Arguments of use_core(). */
  int core, server_core;
  /* The targets: times as fast as raw sockets and as libcurl; 0 for none. */
  double of_raw, of_curl;
};

enum { MAX_SETTINGS = 3, SHARED_CORE = 0 };

struct race {
  const char *part;
  const struct contender *contenders[CONTENDERS];
  struct server (*start)(unsigned together);
  unsigned setting_count;
  struct setting settings[MAX_SETTINGS];
};

static const struct race plain = {
    "trigger",
    {&raw_sockets, &trigger, &libcurl},
    server_start,
    3,
    {
        {"1 thread, sharing the server's core", 1, 0, 0, 0.78, 2.2},
        {"1 thread, the server on another core", 1, 0, 1, 0.90, 1.4},
        {"8 threads, dealt out to all cores", 8, ALL_CORES, ANY_CORE, 0.75, 2.2},
    },
};

static const struct race tls = {
    "tls",
    {&raw_tls, &trigger_tls, &libcurl_tls},
    server_start_tls,
    2,
    {
        {"TLS, 1 thread, sharing the server's core", 1, 0, 0, 0, 1.5},
        {"TLS, 8 threads, dealt out to all cores", 8, ALL_CORES, ANY_CORE, 0, 1.5},
    },
};

struct sample {
  struct measure measure;
  /* Those that the server accepted. */
  unsigned connections;
};

static struct sample samples[MAX_ROUNDS][MAX_SETTINGS][CONTENDERS];
static struct measure large_samples[MAX_ROUNDS], floor_samples[MAX_ROUNDS];
static struct server servers[MAX_SETTINGS];
static size_t request_sizes[CONTENDERS];
static char transport[128];
static unsigned rounds;

/* The figures of one contender, or of two within each round. */
typedef double figure(const struct sample *who, const struct sample *other);

static double per_second(const struct sample *who, const struct sample *other) {
  (void)other;
  return who->measure.per_second;
}

static double cpu_us(const struct sample *who, const struct sample *other) {
  (void)other;
  return who->measure.cpu_us;
}

static double connections(const struct sample *who, const struct sample *other) {
  (void)other;
  return who->connections;
}

static double speed_ratio(const struct sample *who, const struct sample *other) {
  return who->measure.per_second / other->measure.per_second;
}

static double more_cpu_us(const struct sample *who, const struct sample *other) {
  return who->measure.cpu_us - other->measure.cpu_us;
}

static struct summary all_rounds(figure *figure, unsigned setting, unsigned who, unsigned other) {
  double values[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) values[i] = figure(&samples[i][setting][who], &samples[i][setting][other]);
  return summarize(values, rounds);
}

/* Checks that the requests went over kept-alive connections, and over the same transport in each run. */
static unsigned check_connections(const struct race *race, const struct setting *setting, unsigned who, unsigned at) {
  struct connections accepted = server_connections(&servers[at]);
  const char *name = race->contenders[who]->name;
  if (accepted.count < 1 || accepted.count > setting->threads) {
    die("%s opened %u connections with %u threads", name, accepted.count, setting->threads);
  }
  if (transport[0] == '\0') strcpy(transport, accepted.transport);
  if (strcmp(transport, accepted.transport) != 0) die("%s used %s, not %s", name, accepted.transport, transport);
  return accepted.count;
}

static void run_setting(const struct race *race, unsigned round, unsigned at, double seconds) {
  const struct setting *setting = &race->settings[at];
  for (unsigned turn = 0; turn < CONTENDERS; turn++) {
    unsigned who = round % 2 == 0 ? turn : CONTENDERS - 1 - turn;
    struct sample *sample = &samples[round][at][who];
    sample->measure = measure(race->contenders[who], servers[at].port, setting->threads, setting->core, seconds);
    sample->connections = check_connections(race, setting, who, at);
  }
  fprintf(stderr, "%s", at > 0 ? ";" : "");
  for (unsigned who = 0; who < CONTENDERS; who++) {
    fprintf(stderr, " %5.1f", samples[round][at][who].measure.per_second / 1000);
  }
}

static void print_table(const struct race *race) {
  for (unsigned at = 0; at < race->setting_count; at++) {
    printf("\n%-40s %28s  %14s  %18s  %11s  %13s\n", race->settings[at].name, "requests/s (min - max)",
           "CPU us/request", "ratio to raw", "connections", "request bytes");
    for (unsigned who = 0; who < CONTENDERS; who++) {
      struct summary speed = all_rounds(per_second, at, who, RAW), ratio = all_rounds(speed_ratio, at, who, RAW);
      struct summary cpu = all_rounds(cpu_us, at, who, RAW);
      printf("  %-38s %8.0f (%7.0f - %7.0f)  %14.1f  %4.2f (%4.2f - %4.2f)  %11.0f  %13zu\n",
             race->contenders[who]->name, speed.median, speed.least, speed.most, cpu.median, ratio.median, ratio.least,
             ratio.most, all_rounds(connections, at, who, RAW).median, request_sizes[who]);
      char name[160];
      snprintf(name, sizeof name, "%s: %s", race->settings[at].name, race->contenders[who]->name);
      report_row(name, "requests/s", speed);
      report_row(name, "CPU us/request", cpu);
      report_row(name, "of raw", ratio);
    }
  }
  printf("transport: %s\n", transport);
}

static void report_targets(const struct race *race) {
  char name[160];
  for (unsigned at = 0; at < race->setting_count; at++) {
    const struct setting *setting = &race->settings[at];
    snprintf(name, sizeof name, "pusher_trigger, %s", setting->name);
    if (setting->of_raw > 0) {
      report_at_least(name, "of raw", setting->of_raw, all_rounds(speed_ratio, at, TRIGGER, RAW));
    }
    report_at_least(name, "of libcurl", setting->of_curl, all_rounds(speed_ratio, at, TRIGGER, CURL));
  }
}

static void run_race(const struct race *race, unsigned round_count, double seconds) {
  rounds = round_count;
  /* raw_sockets sends the same bytes as the library. With TLS they are the same but for the port. */
  for (unsigned who = 0; who < CONTENDERS; who++) {
    if (who == RAW) continue;
    char *request = capture(who == TRIGGER ? &trigger : &libcurl, &request_sizes[who]);
    if (who == TRIGGER) {
      raw_use(request, request_sizes[who]);
      request_sizes[RAW] = request_sizes[who];
    } else {
      free(request);
    }
  }
  for (unsigned i = 0; i < race->setting_count; i++) {
    use_core(race->settings[i].server_core);
    servers[i] = race->start(0);
  }
  use_core(ANY_CORE);
  double start = now();
  for (unsigned round = 0; round < rounds; round++) {
    fprintf(stderr, "   1000 requests/s of raw sockets, pusher_trigger, libcurl:");
    for (unsigned at = 0; at < race->setting_count; at++) {
      run_setting(race, round, at, seconds);
      if (race != &plain || at != SHARED_CORE) continue;
      large_samples[round] = measure(&trigger_large, servers[at].port, 1, 0, seconds);
      floor_samples[round] = measure(&signatures[PAYLOAD_FLOOR], 0, 1, 0, seconds / 4);
      server_connections(&servers[at]);
    }
    fputc('\n', stderr);
    print_progress(race->part, round + 1, rounds, start);
  }
  for (unsigned i = 0; i < race->setting_count; i++) server_stop(&servers[i]);
  print_table(race);
  report_targets(race);
}

/* Reports the processor time of a 10 KB trigger, and its extra over a 100 B one divided by the minimum for such a
 * payload. */
static void report_large(void) {
  double times[MAX_ROUNDS], ratios[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) {
    double more = large_samples[i].cpu_us - samples[i][SHARED_CORE][TRIGGER].measure.cpu_us;
    times[i] = large_samples[i].cpu_us;
    ratios[i] = more * floor_samples[i].per_second / 1e6;
  }
  report_row(trigger_large.name, "CPU us/request", summarize(times, rounds));
  report_at_most("pusher_trigger, 10 KB: CPU in addition to 100 B", "of MD5+JSON", 1.5, summarize(ratios, rounds));
}

void run_trigger(unsigned round_count, double seconds) {
  run_race(&plain, round_count, seconds);
  struct summary more = all_rounds(more_cpu_us, SHARED_CORE, TRIGGER, RAW);
  report_at_most("pusher_trigger, 1 thread: CPU in addition to raw sockets", "us", 6, more);
  report_large();
}

void run_tls(unsigned round_count, double seconds) { run_race(&tls, round_count, seconds); }
