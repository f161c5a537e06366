/* A library to preload: while `no_threads` is set, no thread can start, as in a process at its limit of threads. */

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

atomic_int no_threads;

typedef int start(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static start *system_start;

__attribute__((constructor)) static void when_loaded(void) {
  system_start = (start *)dlsym(RTLD_NEXT, "pthread_create");
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
  if (atomic_load(&no_threads)) return EAGAIN;
  return system_start(thread, attributes, run, argument);
}
