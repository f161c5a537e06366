/* The calls that need no network, each beside its minimum or a peer. */
#include <stdio.h>

#include "clock.h"
#include "harness.h"
#include "parts.h"
#include "report.h"
#include "signatures.h"

static struct measure samples[MAX_ROUNDS][SIGNATURES];
static struct measure life_samples[MAX_ROUNDS];
static unsigned rounds;

static struct summary ns(unsigned who) {
  double values[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) values[i] = 1e9 / samples[i][who].per_second;
  return summarize(values, rounds);
}

/* Returns the duration of `who` divided by that of `other`, within each round. */
static struct summary ratio(unsigned who, unsigned other) {
  double values[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) values[i] = samples[i][other].per_second / samples[i][who].per_second;
  return summarize(values, rounds);
}

static struct summary life_us(void) {
  double values[MAX_ROUNDS];
  for (unsigned i = 0; i < rounds; i++) values[i] = 1e6 / life_samples[i].per_second;
  return summarize(values, rounds);
}

static void report_slower(unsigned who, unsigned other, const char *unit, double bound) {
  report_at_most(signatures[who].name, unit, bound, ratio(who, other));
}

void run_signatures(unsigned round_count, double seconds) {
  rounds = round_count;
  double start = now();
  for (unsigned round = 0; round < rounds; round++) {
    /* Those that are compared are neighbours: see signatures.h. */
    for (unsigned turn = 0; turn < SIGNATURES; turn++) {
      unsigned who = round % 2 == 0 ? turn : SIGNATURES - 1 - turn;
      samples[round][who] = measure(&signatures[who], 0, 1, 0, seconds / 4);
    }
    life_samples[round] = measure(&life, 0, 1, ANY_CORE, seconds / 4);
    print_progress("signatures", round + 1, rounds, start);
  }

  printf("\n%-40s %28s\n", "1 thread, no network", "ns (min - max)");
  for (unsigned who = 0; who < SIGNATURES; who++) {
    struct summary time = ns(who);
    printf("  %-38s %8.0f (%7.0f - %7.0f)\n", signatures[who].name, time.median, time.least, time.most);
    report_row(signatures[who].name, "ns", time);
  }
  report_slower(AUTHENTICATE, COMPRESSIONS, "of SHA-256", 2.0);
  report_slower(WEBHOOK_300, WEBHOOK_300_FLOOR, "of floor", 1.3);
  report_slower(WEBHOOK_10K, WEBHOOK_10K_FLOOR, "of floor", 1.3);
  /* How many times faster than the peer: the duration of the peer divided by the library's. */
  report_at_least(signatures[AUTHENTICATE].name, "of pushers", 2.5, ratio(PEER, AUTHENTICATE));
  report_at_most("pusher_new + pusher_free", "us", 20, life_us());
}
