/* Publishes from a loop that can't wait for the network: a game's, an exchange's. The publisher sends in the background,
 * several events in a request, and tells what became of each.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   publisher my-channel my-event COUNT [PER_SECOND]
 *
 * It publishes {"n":0}, {"n":1}… and shows on a terminal how far it is. Ctrl-C ends it as it should be ended: what is
 * queued is still sent. At the end it says what became of the events, and it ends with 0 if all were delivered. */
#define _POSIX_C_SOURCE 200809L
#include <pusher.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CODE_DELIVERED = 0, CODE_USAGE = 1, CODE_FAILED = 2 };

/* How long the end may take. */
enum { PATIENCE_MS = 10000 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) {
  (void)signal_number;
  interrupted = 1;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sleep_until(double when) {
  double left = when - now();
  if (left > 0) {
    struct timespec time = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
    nanosleep(&time, NULL); /* a signal ends it, which is what we want */
  }
}

/* Prints what failed since the last time. It does not wait. */
static void print_failures(PusherPublisher *publisher) {
  char *reports;
  while (pusher_publisher_poll(publisher, 0, &reports) == PUSHER_STATUS_OK) {
    fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", reports);
    pusher_string_free(reports);
  }
}

/* A line that is written over again and again, where somebody looks. */
static void show_progress(long published, long count, double started, int at_the_end) {
  static double shown;
  double time = now();
  if (!isatty(STDERR_FILENO) || (!at_the_end && time - shown < 0.1)) return;
  shown = time;
  fprintf(stderr, "\r\033[K%ld of %ld published, %.0f a second%s", published, count,
          (double)published / (time - started + 1e-9), at_the_end ? "\n" : "");
}

/* Publishes until all is published or somebody has had enough; returns how many events were. */
static long publish_all(PusherPublisher *publisher, const char *channel, const char *event, long count, double rate) {
  double started = now();
  long published = 0;
  while (published < count && !interrupted) {
    char data[32], *error;
    PusherStatus status;
    snprintf(data, sizeof data, "{\"n\":%ld}", published);
    status = pusher_publisher_publish(publisher, channel, event, data, NULL, NULL, &error);
    if (status == PUSHER_STATUS_OK) {
      published++;
    } else {
      fprintf(stderr, "publisher: %s\n", error);
      pusher_string_free(error);
      if (status != PUSHER_STATUS_QUEUE_FULL) break;
      /* Nothing was lost: the network is slower than this loop, so it waits a little. */
      sleep_until(now() + 0.01);
    }
    print_failures(publisher);
    show_progress(published, count, started, 0);
    if (rate > 0) sleep_until(started + (double)published / rate);
  }
  show_progress(published, count, started, 1);
  return published;
}

int main(int argc, char **argv) {
  struct sigaction action;
  Pusher *client;
  PusherPublisher *publisher;
  PusherStatus status;
  char *out, *end;
  long count, published;
  double rate = 0;
  int code = CODE_FAILED;
  if (argc < 4 || argc > 5 || (count = strtol(argv[3], &end, 10)) < 1 || *end != '\0' ||
      (argc == 5 && ((rate = strtod(argv[4], &end)) <= 0 || *end != '\0'))) {
    fputs("usage: publisher CHANNEL EVENT COUNT [PER_SECOND]\n", stderr);
    return CODE_USAGE;
  }
  if (pusher_new(NULL, &client, &out) != PUSHER_STATUS_OK) {
    fprintf(stderr, "publisher: %s\n", out);
    pusher_string_free(out);
    return CODE_USAGE;
  }
  /* Where the queue is full it waits, for as long as the network has not answered at all. */
  status = pusher_publisher_new(client, "{\"overflow\":\"block\"}", &publisher, &out);
  pusher_free(client); /* the publisher keeps what it needs */
  if (status != PUSHER_STATUS_OK) {
    fprintf(stderr, "publisher: %s\n", out);
    pusher_string_free(out);
    return CODE_USAGE;
  }

  memset(&action, 0, sizeof action);
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);

  published = publish_all(publisher, argv[1], argv[2], count, rate);

  /* The end: nothing more comes in, what is queued is sent, and what can't be sent in time is reported as not sent. */
  status = pusher_publisher_close(publisher, PATIENCE_MS, &out);
  if (status != PUSHER_STATUS_OK) fprintf(stderr, "publisher: %s\n", out);
  pusher_string_free(out);
  print_failures(publisher);
  if (pusher_publisher_stats(publisher, &out) == PUSHER_STATUS_OK) {
    char all[64];
    puts(out);
    snprintf(all, sizeof all, "\"delivered\":%ld,", published);
    if (published == count && strstr(out, all) != NULL) code = CODE_DELIVERED;
  }
  pusher_string_free(out);
  pusher_publisher_free(publisher);
  return code;
}
