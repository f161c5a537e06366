/* Publishes from a loop that cannot wait for the network, such as that of a game or an exchange. The publisher sends in
 * the background, several events in one request, and reports the result of each event.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   publisher my-channel my-event COUNT [PER_SECOND]
 *
 * It publishes {"n":0}, {"n":1}… and shows its progress on a terminal. On Ctrl-C it drains the queue before it exits.
 * At the end it prints how many events were delivered, and exits with 0 if all were. */
#define _POSIX_C_SOURCE 200809L
#include <pusher.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CODE_DELIVERED = 0, CODE_USAGE = 1, CODE_FAILED = 2 };

/* The time limit of closing. */
enum { PATIENCE_MS = 10000 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) {
  signal(signal_number, SIG_DFL);
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
    nanosleep(&time, NULL); /* a signal interrupts it, as intended */
  }
}

/* Prints the failures since the last call, without waiting. */
static void print_failures(PusherPublisher *publisher) {
  char *reports;
  while (pusher_publisher_poll(publisher, 0, &reports) == PUSHER_STATUS_OK) {
    fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", reports);
    pusher_string_free(reports);
  }
}

/* Overwrites a progress line, if standard error is a terminal. */
static void show_progress(long published, long count, double started, int at_the_end) {
  static double shown;
  double time = now();
  if (!isatty(STDERR_FILENO) || (!at_the_end && time - shown < 0.1)) return;
  shown = time;
  fprintf(stderr, "\r\033[K%ld of %ld published, %.0f a second%s", published, count,
          (double)published / (time - started + 1e-9), at_the_end ? "\n" : "");
}

/* Publishes until all events are published or Ctrl-C was pressed. Returns the number of published events. */
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
      /* Nothing was lost: the network is slower than this loop, so wait a little. */
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
  /* If the queue is full, publishing waits for space. */
  status = pusher_publisher_new(client, "{\"overflow\":\"block\"}", &publisher, &out);
  pusher_free(client); /* the publisher keeps what it needs of the client */
  if (status != PUSHER_STATUS_OK) {
    fprintf(stderr, "publisher: %s\n", out);
    pusher_string_free(out);
    return CODE_USAGE;
  }

  /* A second Ctrl-C ends the program at once. */
  signal(SIGINT, on_interrupt);
  signal(SIGTERM, on_interrupt);

  published = publish_all(publisher, argv[1], argv[2], count, rate);

  /* Closes: refuses new events, drains the queue, and reports events as not sent when the time is over. */
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
