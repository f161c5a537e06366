#include "harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "http.h"
#include "server.h"

_Static_assert(sizeof PAYLOAD - 1 == 100, "the payload has 100 bytes");

enum { WARM_UP = 50, LARGE_WARM_UP = 5, LARGE = 50 * 1000, MAX_THREADS = 64, CAPTURE_BYTES = 16 * 1024 };

struct worker {
  pthread_t thread;
  const struct contender *contender;
  void *shared;
  int core;
  pthread_barrier_t *start;
  const atomic_bool *stop;
  /* Results. */
  unsigned long count;
  double seconds;
};

/* The cores that this program may use. */
static cpu_set_t cores;

static void find_cores(void) {
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) die("can't tell which cores there are");
}

void use_core(int core) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, find_cores);
  cpu_set_t chosen = cores;
  if (core >= 0) {
    int left = core % CPU_COUNT(&cores), at = 0;
    while (!CPU_ISSET(at, &cores) || left-- > 0) at++;
    CPU_ZERO(&chosen);
    CPU_SET(at, &chosen);
  }
  sched_setaffinity(0, sizeof chosen, &chosen);
}

static unsigned warm_up(const struct contender *contender) { return contender->size > LARGE ? LARGE_WARM_UP : WARM_UP; }

static void *work(void *argument) {
  struct worker *worker = argument;
  const struct contender *contender = worker->contender;
  use_core(worker->core);
  void *own = contender->enter(worker->shared);
  for (unsigned i = 0; i < warm_up(contender); i++) contender->once(own);

  pthread_barrier_wait(worker->start);
  unsigned long count = 0;
  double start = now();
  for (; !atomic_load_explicit(worker->stop, memory_order_relaxed); count++) contender->once(own);
  worker->seconds = now() - start;
  worker->count = count;

  contender->leave(own);
  return NULL;
}

struct measure measure(const struct contender *contender, int port, unsigned threads, int core, double seconds) {
  struct worker workers[MAX_THREADS];
  pthread_barrier_t start;
  atomic_bool stop = false;
  if (threads > MAX_THREADS) die("at most %d threads", MAX_THREADS);
  pthread_barrier_init(&start, NULL, threads + 1);

  double cpu_before = cpu_seconds();
  void *shared = contender->open(contender, port);
  for (unsigned i = 0; i < threads; i++) {
    workers[i] = (struct worker){.contender = contender, .shared = shared, .start = &start, .stop = &stop};
    workers[i].core = core == ALL_CORES ? (int)i : core;
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) die("no thread");
  }
  pthread_barrier_wait(&start);
  struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&time, NULL);
  atomic_store(&stop, true);

  struct measure result = {0};
  unsigned long count = 0;
  for (unsigned i = 0; i < threads; i++) {
    pthread_join(workers[i].thread, NULL);
    result.per_second += (double)workers[i].count / workers[i].seconds;
    count += warm_up(contender) + workers[i].count;
  }
  contender->close(shared);
  pthread_barrier_destroy(&start);
  /* The time runs from before the first thread starts to after the last one ends, so that no work is outside it. */
  result.cpu_us = (cpu_seconds() - cpu_before) * 1e6 / (double)count;
  return result;
}

char *payload_of(size_t size) {
  char *payload = malloc(size + 1);
  if (payload == NULL || size < sizeof PAYLOAD - 1) die("no payload of %zu bytes", size);
  if (size == sizeof PAYLOAD - 1) return memcpy(payload, PAYLOAD, sizeof PAYLOAD);
  size_t at = 0;
  payload[at++] = '[';
  while (at + sizeof PAYLOAD <= size - 1) {
    at += (size_t)sprintf(payload + at, "%s%s", at > 1 ? "," : "", PAYLOAD);
  }
  /* The library trims white space at the end of a payload, so the padding is inside. */
  memset(payload + at, ' ', size - 1 - at);
  payload[size - 1] = ']';
  payload[size] = '\0';
  return payload;
}

struct captured {
  int listener;
  char *bytes;
  size_t size;
};

/* Receives one request and responds to it. */
static void *take_one(void *argument) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
  struct captured *captured = argument;
  int connection = accept(captured->listener, NULL, NULL);
  size_t have = 0;
  while (captured->size == 0) {
    ssize_t got = recv(connection, captured->bytes + have, CAPTURE_BYTES - have, 0);
    if (got <= 0) die("a request that is cut or too long");
    have += (size_t)got;
    captured->bytes[have] = '\0';
    captured->size = whole_message(captured->bytes, have);
  }
  if (send(connection, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) die("can't answer");
  close(connection);
  return NULL;
}

char *capture(const struct contender *contender, size_t *size) {
  struct captured captured = {.listener = socket(AF_INET, SOCK_STREAM, 0), .bytes = malloc(CAPTURE_BYTES + 1)};
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t address_size = sizeof address;
  if (captured.bytes == NULL || bind(captured.listener, (struct sockaddr *)&address, address_size) != 0 ||
      listen(captured.listener, 1) != 0 ||
      getsockname(captured.listener, (struct sockaddr *)&address, &address_size) != 0) {
    die("can't listen");
  }
  pthread_t thread;
  if (pthread_create(&thread, NULL, take_one, &captured) != 0) die("no thread");
  void *shared = contender->open(contender, ntohs(address.sin_port));
  void *own = contender->enter(shared);
  contender->once(own);
  contender->leave(own);
  contender->close(shared);
  pthread_join(thread, NULL);
  close(captured.listener);
  *size = captured.size;
  return captured.bytes;
}
