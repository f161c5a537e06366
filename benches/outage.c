/* The requests that a host serves during an outage of the Pusher server, with and without a circuit breaker. Each of the host's
 * threads serves one request after the other: some work, which takes 20 ms, and one trigger.
 *
 * BENCH_OUTAGE is the length of the outage in seconds (4). The server dies in two ways: it refuses connections, as after a crash, or it
 * accepts them and stays silent, as a machine that hangs. This program forks the server and the host, and controls them. */
#include <arpa/inet.h>
#include <limits.h>
#include <pthread.h>
#include <pusher.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "harness.h"
#include "parts.h"
#include "report.h"
#include "server.h"

enum { THREADS = 8, WORK_US = 20 * 1000, TIMEOUT_MS = 1000, ENOUGH_S = 30, BEFORE_S = 2, AFTER_S = 2 };

/* The least share of the requests before the outage that a host with a breaker serves during it. */
#define LEAST_SHARE 0.9

/* What the threads of the host have done so far. */
struct counts {
  atomic_ulong served, delivered;
};

/* ---- the server ---- */

static void *answer(void *socket) {
  int connection = (int)(intptr_t)socket;
  char bytes[4096];
  size_t length = 0;
  ssize_t got;
  while ((got = recv(connection, bytes + length, sizeof bytes - 1 - length, 0)) > 0) {
    length += (size_t)got;
    bytes[length] = '\0';
    char *body = strstr(bytes, "\r\n\r\n"), *size = strcasestr(bytes, "content-length:");
    if (body == NULL || size == NULL || length < (size_t)(body + 4 - bytes) + strtoul(size + 15, NULL, 10)) continue;
    static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}";
    if (send(connection, response, sizeof response - 1, MSG_NOSIGNAL) < 0) break;
    length = 0;
  }
  close(connection);
  return NULL;
}

static noreturn void serve(int listener) {
  for (;;) {
    int connection = accept(listener, NULL, NULL);
    pthread_t thread;
    if (connection < 0 || pthread_create(&thread, NULL, answer, (void *)(intptr_t)connection) != 0) _exit(1);
    pthread_detach(thread);
  }
}

/* Starts the server on a port, or on a free one, which it sets. */
static pid_t start_server(int *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
  if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
    die("the server cannot listen");
  }
  *port = ntohs(address.sin_port);
  pid_t server = fork();
  if (server < 0) die("no process for the server");
  if (server == 0) serve(listener);
  close(listener);
  return server;
}

static void end(pid_t process) {
  kill(process, SIGKILL);
  waitpid(process, NULL, 0);
}

/* ---- the host ---- */

struct host {
  Pusher *client;
  struct counts *counts;
};

static void *work(void *data) {
  struct host *host = data;
  while (atomic_load(&host->counts->served) < ULONG_MAX) {
    char *out;
    usleep(WORK_US);
    PusherStatus status = pusher_trigger(host->client, CHANNEL, EVENT, PAYLOAD, NULL, &out);
    pusher_string_free(out);
    atomic_fetch_add(&host->counts->served, 1);
    if (status == PUSHER_STATUS_OK) atomic_fetch_add(&host->counts->delivered, 1);
  }
  return NULL;
}

static pid_t start_host(int port, const char *breaker, struct counts *counts) {
  pid_t process = fork();
  if (process < 0) die("no process for the host");
  if (process > 0) return process;
  struct host host = {.counts = counts};
  char config[512], *out = NULL;
  snprintf(config, sizeof config,
           "{\"app_id\":\"" APP_ID "\",\"key\":\"" APP_KEY "\",\"secret\":\"" APP_SECRET
           "\",\"host\":\"127.0.0.1\",\"port\":%d,\"ssl\":false,\"timeout_ms\":%d%s}",
           port, TIMEOUT_MS, breaker);
  if (pusher_new(config, &host.client, &out) != PUSHER_STATUS_OK) die("pusher_new: %s", out);
  for (int i = 0; i < THREADS; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, &host) != 0) die("no thread");
  }
  for (;;) pause();
}

/* ---- the measurement ---- */

static void wait_for(double seconds) { usleep((useconds_t)(seconds * 1e6)); }

/* Returns the requests per second that the host serves from now on. */
static double rate(struct counts *counts, double seconds) {
  double start = now();
  unsigned long before = atomic_load(&counts->served);
  wait_for(seconds);
  return (double)(atomic_load(&counts->served) - before) / (now() - start);
}

struct outcome {
  double before, during, after, recovery_s;
};

static struct outcome measure_outage(bool is_silent, const char *breaker, double outage_s) {
  struct counts *counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (counts == MAP_FAILED) die("no memory");
  int port = 0;
  pid_t server = start_server(&port), host = start_host(port, breaker, counts);
  wait_for(0.5);
  struct outcome outcome = {.before = rate(counts, BEFORE_S)};
  if (is_silent) {
    kill(server, SIGSTOP);
  } else {
    end(server);
  }
  outcome.during = rate(counts, outage_s);
  unsigned long delivered = atomic_load(&counts->delivered);
  double start = now();
  if (is_silent) {
    kill(server, SIGCONT);
  } else {
    server = start_server(&port);
  }
  while (atomic_load(&counts->delivered) == delivered && now() - start < 60) wait_for(0.001);
  outcome.recovery_s = now() - start;
  outcome.after = rate(counts, AFTER_S);
  end(host);
  end(server);
  munmap(counts, sizeof *counts);
  return outcome;
}

void run_outage(unsigned rounds, double seconds) {
  (void)rounds, (void)seconds;
  const char *given = getenv("BENCH_OUTAGE");
  double outage_s = given == NULL ? 4 : atof(given);
  if (!(outage_s > 0)) die("BENCH_OUTAGE must be a number of seconds");
  char breaker[96];
  double open_ms = outage_s * 1000 / 3 < 10000 ? outage_s * 1000 / 3 : 10000;
  snprintf(breaker, sizeof breaker, ",\"circuit_breaker\":{\"failures\":5,\"open_ms\":%.0f}", open_ms);
  printf("\noutage of %g s: requests per second of a host with %d threads, %d ms of other work in each, timeout_ms %d, "
         "open_ms %.0f\n"
         "  %-8s %-16s %9s %9s %9s %14s %12s\n",
         outage_s, THREADS, WORK_US / 1000, TIMEOUT_MS, open_ms, "server", "", "before", "during", "after",
         "during/before", "recovery, s");
  for (int is_silent = 0; is_silent < 2; is_silent++) {
    for (int has_breaker = 0; has_breaker < 2; has_breaker++) {
      const char *how = is_silent ? "silent" : "refuses", *with = has_breaker ? "with breaker" : "without breaker";
      struct outcome outcome = measure_outage(is_silent, has_breaker ? breaker : "", outage_s);
      double share = outcome.during / outcome.before;
      char name[96];
      printf("  %-8s %-16s %9.0f %9.0f %9.0f %14.3f %12.3f\n", how, with, outcome.before, outcome.during, outcome.after,
             share, outcome.recovery_s);
      fflush(stdout);
      snprintf(name, sizeof name, "server %s, %s: served during the outage", how, with);
      /* In a short one, the first failures take most of the time. */
      if (has_breaker && outage_s >= ENOUGH_S) {
        report_at_least(name, "of those before", LEAST_SHARE, exactly(share));
      } else {
        report_row(name, "of those before", exactly(share));
      }
      snprintf(name, sizeof name, "server %s, %s: until an event is delivered again", how, with);
      report_row(name, "s", exactly(outcome.recovery_s));
    }
  }
}
