/* The contenders, and how each of them is measured. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>

/* The application and the event that every contender uses. */
#define APP_ID "1234567"
#define APP_KEY "278d425bdf160c739803"
#define APP_SECRET "7ad3773142a6692b25b8"
#define CHANNEL "my-channel"
#define EVENT "my-event"
/* 100 bytes of JSON. */
#define PAYLOAD                      \
  "{\"message\":\"hello, world\","   \
  "\"from\":\"a server out there\"," \
  "\"room\":\"general\","            \
  "\"sequence\":1234567890,\"n\":12}"

/* The bytes of a large payload: the default limit of the library. */
enum { LARGE_PAYLOAD = 10 * 1024 };

/* One way to do the measured work. Its functions exit the program on failure. */
struct contender {
  const char *name;
  /* Creates the state that all threads share. */
  void *(*open)(const struct contender *self, int port);
  /* Creates the state of one thread. */
  void *(*enter)(void *shared);
  /* Does the work once. */
  void (*once)(void *own);
  void (*leave)(void *own);
  void (*close)(void *shared);
  /* The bytes of the payload or of the webhook; 0 for PAYLOAD, or if there is none. */
  size_t size;
  bool is_tls;
};

/* raw.c, curl.c */
extern const struct contender raw_sockets, raw_tls;
extern const struct contender libcurl, libcurl_tls;
/* pusher.c */
extern const struct contender trigger, trigger_tls, trigger_batch, trigger_large, life;

/* Returns JSON of `size` bytes with a usual number of quotes. The caller frees it. */
char *payload_of(size_t size);

struct measure {
  double per_second;
  /* User and system time of this process per unit of work, over all its threads. */
  double cpu_us;
};

/* Special values for a core: any core, or the threads spread over all cores. */
enum { ANY_CORE = -1, ALL_CORES = -2 };

/* Pins this thread, and the threads and processes that it starts from now on, to one core: number `core` of those that
 * this program may use, modulo their count. ANY_CORE removes the restriction. */
void use_core(int core);

/* Measures `threads` threads that do the work for `seconds` on `core`. Connecting and a warm-up are not measured. */
struct measure measure(const struct contender *contender, int port, unsigned threads, int core, double seconds);

/* Returns the bytes of one request of a contender without TLS, followed by a NUL. The caller frees them. */
char *capture(const struct contender *contender, size_t *size);

#endif
