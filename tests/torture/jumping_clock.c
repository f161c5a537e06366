/*
 * A library to preload: the time of day is wrong by as many seconds as the program says. The monotonic clock stays right.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

/* Added to each time of day. If `jumping_clock_swings` is set, every other one gets it subtracted. */
atomic_long jumping_clock_offset_s;
atomic_int jumping_clock_swings;

/* How often a program asked. */
atomic_long jumping_clock_reads;

static int (*system_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void when_loaded(void) {
  *(void **)&system_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  if (system_clock_gettime == NULL) abort();
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (system_clock_gettime == NULL) when_loaded();
  int result = system_clock_gettime(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    long offset = atomic_load(&jumping_clock_offset_s), reads = atomic_fetch_add(&jumping_clock_reads, 1);
    time->tv_sec += atomic_load(&jumping_clock_swings) && reads % 2 == 1 ? -offset : offset;
  }
  return result;
}

int gettimeofday(struct timeval *time, void *zone) {
  struct timespec now;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *place) {
  struct timespec now = {0};
  clock_gettime(CLOCK_REALTIME, &now);
  if (place != NULL) *place = now.tv_sec;
  return now.tv_sec;
}
