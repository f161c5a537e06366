/* What is measured, and how: contenders, threads, clocks. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

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

/* One way to do a thing again and again. Its functions end the program if something fails. */
struct contender {
  const char *name;
  /* Makes what all threads share. */
  void *(*open)(int port);
  /* Makes what one thread needs. */
  void *(*enter)(void *shared);
  /* Does it once. */
  void (*once)(void *own);
  void (*leave)(void *own);
  void (*close)(void *shared);
};

extern const struct contender raw_sockets;   /* raw.c */
extern const struct contender libcurl;       /* curl.c */
extern const struct contender trigger;       /* pusher.c */
extern const struct contender trigger_large; /* pusher.c */
extern const struct contender life;          /* pusher.c */

struct measure {
  double per_second;
  /* User and system time of this process, all its threads. */
  double cpu_us;
};

/* In place of a core: any of them, or the threads dealt out to all of them. */
enum { ANY_CORE = -1, ALL_CORES = -2 };

/* Keeps this thread, and those and the processes that it starts from now on, to one core: the `core`-th of those that
 * this program may use, round and round. ANY_CORE lets it go. */
void use_core(int core);

/* Lets `threads` threads do it for `seconds` on `core`. Connecting and a few first times are not measured. */
struct measure measure(const struct contender *contender, int port, unsigned threads, int core, double seconds);

/* What a contender sends: the bytes of one request, to be freed. A NUL follows them. */
char *capture(const struct contender *contender, size_t *size);

/* Sorts the values and gives the one in the middle. */
double median(double *values, size_t count);

#endif
