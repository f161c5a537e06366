/* Measures one part of the benchmark, prints a table, and writes the figures to a file.
 *
 *   bench PART ROUNDS SECONDS FILE    PART is trigger, tls, signatures, growth, overflow or outage. Each contender works for
 *                                     about SECONDS in each round
 *   bench life COUNT                  only creates and frees COUNT clients, to count their system calls
 *
 * Other programs and changes of the clock speed disturb every measurement. So ratios are taken within a round, between
 * contenders that run one right after the other, and the median of all rounds is the result. The order alternates. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "parts.h"
#include "report.h"
#include "server.h"

static const struct part {
  const char *name;
  void (*run)(unsigned rounds, double seconds);
} parts[] = {{"trigger", run_trigger}, {"tls", run_tls},           {"signatures", run_signatures},
             {"growth", run_growth},   {"overflow", run_overflow}, {"outage", run_outage}};

int main(int count, char **arguments) {
  /* OpenSSL and libcurl write without MSG_NOSIGNAL. */
  signal(SIGPIPE, SIG_IGN);
  if (count == 3 && strcmp(arguments[1], "life") == 0) {
    for (long left = atol(arguments[2]); left > 0; left--) life.once(NULL);
    return 0;
  }
  long rounds = count == 5 ? atol(arguments[2]) : 0;
  double seconds = count == 5 ? atof(arguments[3]) : 0;
  if (rounds < 1 || rounds > MAX_ROUNDS || !(seconds > 0)) die("usage: bench PART ROUNDS SECONDS FILE");
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (strcmp(arguments[1], parts[i].name) != 0) continue;
    report_open(arguments[4], parts[i].name);
    parts[i].run((unsigned)rounds, seconds);
    report_close();
    return 0;
  }
  die("unknown part: %s", arguments[1]);
}
