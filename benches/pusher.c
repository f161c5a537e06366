/* The library: one client for all threads, and creating and freeing a client. */
#include <pusher.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "server.h"

enum { BATCH_EVENTS = 10, BATCH_BYTES = 4096 };

struct shared {
  Pusher *client;
  char *payload;
  char batch[BATCH_BYTES];
};

static void *open_(const struct contender *self, int port) {
  char config[8192], certificate[4096], *out = NULL;
  size_t size = self->size > 0 ? self->size : sizeof PAYLOAD - 1;
  struct shared *shared = malloc(sizeof *shared);
  if (shared == NULL) die("out of memory");
  beside("certificate.pem", certificate, sizeof certificate);
  snprintf(config, sizeof config,
           "{\"app_id\":\"" APP_ID "\",\"key\":\"" APP_KEY "\",\"secret\":\"" APP_SECRET
           "\",\"host\":\"127.0.0.1\",\"port\":%d,\"max_data_bytes\":%zu,%s%s%s}",
           port, size, self->is_tls ? "\"ca_file\":\"" : "\"ssl\":false", self->is_tls ? certificate : "",
           self->is_tls ? "\"" : "");
  if (pusher_new(config, &shared->client, &out) != PUSHER_STATUS_OK) die("pusher_new: %s", out);
  shared->payload = payload_of(size);
  int at = 0;
  for (int i = 0; i < BATCH_EVENTS; i++) {
    at += sprintf(shared->batch + at, "%s{\"channel\":\"" CHANNEL "\",\"name\":\"" EVENT "\",\"data\":" PAYLOAD "}",
                  i > 0 ? "," : "[");
  }
  strcpy(shared->batch + at, "]");
  return shared;
}

static void *enter(void *shared) { return shared; }

static void once(void *argument) {
  const struct shared *shared = argument;
  char *out;
  PusherStatus status = pusher_trigger(shared->client, CHANNEL, EVENT, shared->payload, NULL, &out);
  if (status != PUSHER_STATUS_OK || strcmp(out, "{}") != 0) die("pusher_trigger: %s", out);
  pusher_string_free(out);
}

static void once_batch(void *argument) {
  const struct shared *shared = argument;
  char *out;
  PusherStatus status = pusher_trigger_batch(shared->client, shared->batch, NULL, &out);
  if (status != PUSHER_STATUS_OK || strcmp(out, "{}") != 0) die("pusher_trigger_batch: %s", out);
  pusher_string_free(out);
}

static void leave(void *own) { (void)own; }

static void close_(void *argument) {
  struct shared *shared = argument;
  pusher_free(shared->client);
  free(shared->payload);
  free(shared);
}

const struct contender trigger = {"pusher_trigger", open_, enter, once, leave, close_, 0, false};
const struct contender trigger_tls = {"pusher_trigger, TLS", open_, enter, once, leave, close_, 0, true};
const struct contender trigger_batch = {
    "pusher_trigger_batch of 10", open_, enter, once_batch, leave, close_, 0, false};
const struct contender trigger_large = {"pusher_trigger, 10 KB", open_, enter, once, leave, close_,
                                        LARGE_PAYLOAD,           false};

/* A client with a usual configuration: https, and the certificate authorities of the system. */
static void live(void *own) {
  (void)own;
  char *out = NULL;
  Pusher *client;
  static const char config[] =
      "{\"app_id\":\"" APP_ID "\",\"key\":\"" APP_KEY "\",\"secret\":\"" APP_SECRET "\",\"cluster\":\"eu\"}";
  if (pusher_new(config, &client, &out) != PUSHER_STATUS_OK) die("pusher_new: %s", out);
  pusher_free(client);
}

static void *nothing(const struct contender *self, int port) {
  (void)self, (void)port;
  return NULL;
}

const struct contender life = {"pusher_new + pusher_free", nothing, enter, live, leave, leave, 0, false};
