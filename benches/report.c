#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "server.h"

enum { MAX_TARGETS = 64, NAME_BYTES = 96 };

struct target {
  char name[NAME_BYTES], unit[NAME_BYTES];
  bool at_most;
  double bound;
  struct summary value;
};

static FILE *file;
static unsigned rows;
static struct target targets[MAX_TARGETS];
static unsigned target_count;

static int compare(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

struct summary summarize(const double *values, unsigned count) {
  double sorted[MAX_ROUNDS];
  if (count < 1 || count > MAX_ROUNDS) die("1 to %d values", MAX_ROUNDS);
  memcpy(sorted, values, count * sizeof *values);
  qsort(sorted, count, sizeof *sorted, compare);
  double middle = count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
  return (struct summary){.median = middle, .least = sorted[0], .most = sorted[count - 1]};
}

struct summary exactly(double value) { return (struct summary){value, value, value}; }

static void write_summary(struct summary value) {
  fprintf(file, "\"median\":%.6g,\"least\":%.6g,\"most\":%.6g}", value.median, value.least, value.most);
}

void report_open(const char *path, const char *part) {
  file = fopen(path, "w");
  if (file == NULL) die("cannot write %s", path);
  fprintf(file, "{\"part\":\"%s\",\"rows\":[", part);
}

void report_row(const char *name, const char *unit, struct summary value) {
  fprintf(file, "%s\n  {\"name\":\"%s\",\"unit\":\"%s\",", rows++ > 0 ? "," : "", name, unit);
  write_summary(value);
}

static void add_target(const char *name, const char *unit, bool at_most, double bound, struct summary value) {
  if (target_count == MAX_TARGETS) die("more than %d targets", MAX_TARGETS);
  struct target *target = &targets[target_count++];
  *target = (struct target){.at_most = at_most, .bound = bound, .value = value};
  snprintf(target->name, sizeof target->name, "%s", name);
  snprintf(target->unit, sizeof target->unit, "%s", unit);
}

void report_at_least(const char *name, const char *unit, double bound, struct summary value) {
  add_target(name, unit, false, bound, value);
}

void report_at_most(const char *name, const char *unit, double bound, struct summary value) {
  add_target(name, unit, true, bound, value);
}

void report_close(void) {
  fprintf(file, "\n],\"targets\":[");
  for (unsigned i = 0; i < target_count; i++) {
    const struct target *target = &targets[i];
    fprintf(file, "%s\n  {\"name\":\"%s\",\"unit\":\"%s\",\"%s\":%.6g,", i > 0 ? "," : "", target->name, target->unit,
            target->at_most ? "at_most" : "at_least", target->bound);
    write_summary(target->value);
  }
  fprintf(file, "\n]}\n");
  if (fclose(file) != 0) die("cannot write the report");
}

void print_progress(const char *part, unsigned done, unsigned rounds, double start) {
  double left = done > 0 ? (now() - start) / done * (rounds - done) : 0;
  fprintf(stderr, "   %s: round %u of %u done, %.0f s left\n", part, done, rounds, left);
}
