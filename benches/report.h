/* What a part of the benchmark reports: its rows and targets as a JSON file for report.py, and its progress. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>

enum { MAX_ROUNDS = 1000 };

/* Summarizes the values of all rounds. */
struct summary {
  double median, least, most;
};

struct summary summarize(const double *values, unsigned count);

/* Returns the summary of a value that is the same in every round. */
struct summary exactly(double value);

/* Begins the report of a part, which goes to `path`. */
void report_open(const char *path, const char *part);

/* Adds a figure. */
void report_row(const char *name, const char *unit, struct summary value);

/* Adds a target: the median has to be at least, or at most, `bound`. */
void report_at_least(const char *name, const char *unit, double bound, struct summary value);
void report_at_most(const char *name, const char *unit, double bound, struct summary value);

/* Writes the file. */
void report_close(void);

/* Prints how many of the rounds that began at `start` are done, and an estimate of the time left. */
void print_progress(const char *part, unsigned done, unsigned rounds, double start);

#endif
