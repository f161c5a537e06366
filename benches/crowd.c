#include "crowd.h"

#include <pthread.h>
#include <stdlib.h>

#include "server.h"

enum { STACK_BYTES = 256 * 1024 };

struct crowd {
  pthread_barrier_t start;
  const Pusher *client;
  const char *data;
};

static void *take_part(void *argument) {
  struct crowd *crowd = argument;
  char *out;
  /* The C library gives a thread its arena with its first block. */
  free(malloc(1));
  pthread_barrier_wait(&crowd->start);
  if (crowd->client == NULL) return NULL;
  if (pusher_trigger(crowd->client, "my-channel", "my-event", crowd->data, NULL, &out) != PUSHER_STATUS_OK) {
    die("pusher_trigger: %s", out);
  }
  pusher_string_free(out);
  return NULL;
}

void trigger_together(unsigned count, const Pusher *client, const char *data) {
  struct crowd crowd = {.client = client, .data = data};
  pthread_t *threads = calloc(count, sizeof *threads);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_barrier_init(&crowd.start, NULL, count);
  for (unsigned i = 0; i < count; i++) {
    if (threads == NULL || pthread_create(&threads[i], &attributes, take_part, &crowd) != 0) die("no thread");
  }
  for (unsigned i = 0; i < count; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&crowd.start);
  pthread_attr_destroy(&attributes);
  free(threads);
}
