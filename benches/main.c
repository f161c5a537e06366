/* Runs the contenders in turn, round by round, and prints the results.
 *
 *   bench ROUNDS SECONDS [JSON]    each contender works for SECONDS in each round; JSON is a file for the figures
 *   bench life COUNT               only creates and frees COUNT clients, to count their system calls
 *
 * Other programs and changes of the clock speed disturb every measurement. So the contenders run in an order that
 * rotates, ratios are taken within a round, and the median of all rounds is the result. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "raw.h"
#include "server.h"
#include "signatures.h"

enum { RAW, CURL, TRIGGER, CONTENDERS, MAX_ROUNDS = 1000 };

static const struct contender *const contenders[CONTENDERS] = {&raw_sockets, &libcurl, &trigger};

/* The number of threads, and their cores. One thread and its server either share a core, so that only computation is
 * measured; or each has a core, so that each message also wakes an idle core, which takes longer than everything else.
 * Without pinning, the scheduler alternates between the two, and the figures with it. It also tends to put eight
 * threads on one core, so those are spread over all cores. */
enum { SHARED_CORE, OWN_CORES, CROWD, SETTINGS };

static const struct setting {
  const char *name;
  unsigned threads;
  /* Arguments of use_core(). */
  int core, server_core;
} settings[SETTINGS] = {
    {"1 thread, sharing the server's core", 1, 0, 0},
    {"1 thread, the server on another core", 1, 0, 1},
    {"8 threads, dealt out to all cores", 8, ALL_CORES, ANY_CORE},
};

static struct measure samples[MAX_ROUNDS][SETTINGS][CONTENDERS];
static struct measure large_samples[MAX_ROUNDS];
static struct measure signature_samples[MAX_ROUNDS][SIGNATURES];
static struct measure life_samples[MAX_ROUNDS];
static struct server servers[SETTINGS];
static size_t request_sizes[CONTENDERS];
static unsigned rounds;

/* Summarizes the values of all rounds. */
struct summary {
  double median, least, most;
};

static struct summary summarize(double *values) {
  double middle = median(values, rounds);
  return (struct summary){.median = middle, .least = values[0], .most = values[rounds - 1]};
}

static struct summary per_second(unsigned setting, unsigned who) {
  double values[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) values[i] = samples[i][setting][who].per_second;
  return summarize(values);
}

static struct summary cpu_us(unsigned setting, unsigned who) {
  double values[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) values[i] = samples[i][setting][who].cpu_us;
  return summarize(values);
}

/* Returns the speed of `who` divided by that of `other`, within each round. */
static struct summary times(unsigned setting, unsigned who, unsigned other) {
  double values[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) {
    values[i] = samples[i][setting][who].per_second / samples[i][setting][other].per_second;
  }
  return summarize(values);
}

static struct summary signature_ns(unsigned who) {
  double values[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) values[i] = 1e9 / signature_samples[i][who].per_second;
  return summarize(values);
}

/* Returns the duration of `who` divided by that of `other`, within each round. */
static struct summary signature_times(unsigned who, unsigned other) {
  double values[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) {
    values[i] = signature_samples[i][other].per_second / signature_samples[i][who].per_second;
  }
  return summarize(values);
}

/* Returns the extra processor time of a 10 KB trigger over a 100 B one, divided by the minimum for such a payload. */
static struct summary large_times(void) {
  double values[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) {
    double more = large_samples[i].cpu_us - samples[i][SHARED_CORE][TRIGGER].cpu_us;
    values[i] = more * signature_samples[i][PAYLOAD_FLOOR].per_second / 1e6;
  }
  return summarize(values);
}

static struct summary large_us(void) {
  double values[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) values[i] = large_samples[i].cpu_us;
  return summarize(values);
}

static struct summary life_us(void) {
  double values[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) values[i] = 1e6 / life_samples[i].per_second;
  return summarize(values);
}

static void run_round(unsigned round, double seconds) {
  fprintf(stderr, "round %2u of %u, 1000 requests/s of raw sockets, libcurl, pusher_trigger:", round + 1, rounds);
  for (unsigned i = 0; i < SETTINGS; i++) {
    const struct setting *setting = &settings[i];
    /* Contenders that are compared run one right after the other. */
    for (unsigned turn = 0; turn < CONTENDERS; turn++) {
      unsigned who = (turn + round) % CONTENDERS;
      samples[round][i][who] = measure(contenders[who], servers[i].port, setting->threads, setting->core, seconds);
    }
    for (unsigned who = 0; who < CONTENDERS; who++) {
      fprintf(stderr, "%s %5.1f", who > 0 ? "" : i > 0 ? ";" : "", samples[round][i][who].per_second / 1000);
    }
  }
  large_samples[round] = measure(&trigger_large, servers[SHARED_CORE].port, 1, 0, seconds);
  for (unsigned turn = 0; turn < SIGNATURES; turn++) {
    unsigned who = (turn + round) % SIGNATURES;
    signature_samples[round][who] = measure(&signatures[who], 0, 1, 0, seconds / 4);
  }
  life_samples[round] = measure(&life, 0, 1, ANY_CORE, seconds / 4);
  fprintf(stderr, "\n");
}

/* A target that the library has to reach. */
struct target {
  const char *what;
  const char *unit;
  double bound;
  bool at_most;
  struct summary value;
};

static bool met(const struct target *target) {
  return target->at_most ? target->value.median <= target->bound : target->value.median >= target->bound;
}

static struct target target_for(unsigned setting, unsigned other, const char *unit, double bound) {
  static char what[SETTINGS][80];
  snprintf(what[setting], sizeof what[setting], "pusher_trigger, %s", settings[setting].name);
  return (struct target){what[setting], unit, bound, false, times(setting, TRIGGER, other)};
}

static void print_table(const struct target *targets, size_t count) {
  for (unsigned setting = 0; setting < SETTINGS; setting++) {
    printf("\n%-37s %28s  %14s  %18s  %13s\n", settings[setting].name, "requests/s (min - max)", "CPU us/request",
           "ratio to raw", "request bytes");
    for (unsigned who = 0; who < CONTENDERS; who++) {
      struct summary speed = per_second(setting, who), share = times(setting, who, RAW);
      printf("  %-35s %8.0f (%7.0f - %7.0f)  %14.1f  %4.2f (%4.2f - %4.2f)  %13zu\n", contenders[who]->name,
             speed.median, speed.least, speed.most, cpu_us(setting, who).median, share.median, share.least, share.most,
             request_sizes[who]);
    }
  }
  printf("\n%-37s %28s\n", "1 thread, no network", "ns (min - max)");
  for (unsigned who = 0; who < SIGNATURES; who++) {
    struct summary time = signature_ns(who);
    printf("  %-35s %8.0f (%7.0f - %7.0f)\n", signatures[who].name, time.median, time.least, time.most);
  }
  printf("\n%-58s %24s  %8s\n", "", "median (min - max)", "target");
  for (size_t i = 0; i < count; i++) {
    const struct target *target = &targets[i];
    const struct summary *value = &target->value;
    printf("%-58s %6.2f (%5.2f - %5.2f) %-10s  %s %5.2f  %s\n", target->what, value->median, value->least, value->most,
           target->unit, target->at_most ? "<=" : ">=", target->bound, met(target) ? "met" : "NOT MET");
  }
}

static void write_summary(FILE *file, const char *name, struct summary value) {
  fprintf(file, "\"%s\":{\"median\":%.4f,\"least\":%.4f,\"most\":%.4f}", name, value.median, value.least, value.most);
}

static void write_json(const char *path, const struct target *targets, size_t count) {
  FILE *file = fopen(path, "w");
  if (file == NULL) die("cannot write %s", path);
  fprintf(file, "{\"rounds\":%u,\"measures\":[", rounds);
  for (unsigned setting = 0; setting < SETTINGS; setting++) {
    for (unsigned who = 0; who < CONTENDERS; who++) {
      fprintf(file, "%s\n  {\"setting\":\"%s\",\"contender\":\"%s\",\"request_bytes\":%zu,",
              setting + who > 0 ? "," : "", settings[setting].name, contenders[who]->name, request_sizes[who]);
      write_summary(file, "requests_per_second", per_second(setting, who));
      fputc(',', file);
      write_summary(file, "cpu_us_per_request", cpu_us(setting, who));
      fputc(',', file);
      write_summary(file, "times_raw", times(setting, who, RAW));
      fputc('}', file);
    }
  }
  for (unsigned who = 0; who < SIGNATURES; who++) {
    fprintf(file, ",\n  {\"contender\":\"%s\",", signatures[who].name);
    write_summary(file, "ns", signature_ns(who));
    fputc('}', file);
  }
  fprintf(file, ",\n  {\"contender\":\"%s\",", trigger_large.name);
  write_summary(file, "cpu_us_per_request", large_us());
  fprintf(file, "}\n],\"targets\":[");
  for (size_t i = 0; i < count; i++) {
    const struct target *target = &targets[i];
    fprintf(file, "%s\n  {\"what\":\"%s\",\"unit\":\"%s\",\"%s\":%.2f,\"met\":%s,", i > 0 ? "," : "", target->what,
            target->unit, target->at_most ? "at_most" : "at_least", target->bound, met(target) ? "true" : "false");
    write_summary(file, "value", target->value);
    fputc('}', file);
  }
  fprintf(file, "\n]}\n");
  fclose(file);
}

int main(int count, char **arguments) {
  if (count == 3 && strcmp(arguments[1], "life") == 0) {
    for (long left = atol(arguments[2]); left > 0; left--) life.once(NULL);
    return 0;
  }
  rounds = count > 2 ? (unsigned)atol(arguments[1]) : 0;
  double seconds = count > 2 ? atof(arguments[2]) : 0;
  if (rounds < 1 || rounds > MAX_ROUNDS || !(seconds > 0)) die("usage: bench ROUNDS SECONDS [JSON]");

  /* raw_sockets sends the same bytes as the library. */
  for (unsigned who = CURL; who < CONTENDERS; who++) {
    char *request = capture(contenders[who], &request_sizes[who]);
    if (who == TRIGGER) {
      raw_use(request, request_sizes[who]);
      request_sizes[RAW] = request_sizes[who];
    } else {
      free(request);
    }
  }

  for (unsigned i = 0; i < SETTINGS; i++) {
    use_core(settings[i].server_core);
    servers[i] = server_start(0);
  }
  for (unsigned round = 0; round < rounds; round++) run_round(round, seconds);
  for (unsigned i = 0; i < SETTINGS; i++) server_stop(&servers[i]);

  struct target targets[2 * SETTINGS + 6];
  size_t target_count = 0;
  for (unsigned i = 0; i < SETTINGS; i++) {
    targets[target_count++] = target_for(i, RAW, "of raw", 0.60);
    targets[target_count++] = target_for(i, CURL, "of libcurl", 1.30);
  }
  targets[target_count++] =
      (struct target){"pusher_trigger, 10 KB: CPU in addition to 100 B", "of MD5+JSON", 1.5, true, large_times()};
  const struct {
    unsigned who, other;
    const char *unit;
    double bound;
  } signature_targets[] = {
      {AUTHENTICATE, COMPRESSIONS, "of SHA-256", 2.2},
      {WEBHOOK_300, WEBHOOK_300_FLOOR, "of floor", 1.3},
      {WEBHOOK_10K, WEBHOOK_10K_FLOOR, "of floor", 1.3},
  };
  for (unsigned i = 0; i < sizeof signature_targets / sizeof *signature_targets; i++) {
    unsigned who = signature_targets[i].who;
    targets[target_count++] =
        (struct target){signatures[who].name, signature_targets[i].unit, signature_targets[i].bound, true,
                        signature_times(who, signature_targets[i].other)};
  }
  /* How many times faster than the peer: the duration of the peer divided by ours. */
  targets[target_count++] =
      (struct target){signatures[AUTHENTICATE].name, "of pushers", 2.5, false, signature_times(PEER, AUTHENTICATE)};
  targets[target_count++] = (struct target){"pusher_new + pusher_free", "us", 20, true, life_us()};
  print_table(targets, target_count);
  if (count > 3) write_json(arguments[3], targets, target_count);
  return 0;
}
