/* The library: one client for all threads, and creating and freeing a client. */
#include <pusher.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "server.h"
#include "signatures.h"

static void *open_(int port) {
  char config[256];
  char *out = NULL;
  Pusher *client;
  snprintf(config, sizeof config,
           "{\"app_id\":\"" APP_ID "\",\"key\":\"" APP_KEY "\",\"secret\":\"" APP_SECRET
           "\",\"host\":\"127.0.0.1\",\"port\":%d,\"ssl\":false}",
           port);
  if (pusher_new(config, &client, &out) != PUSHER_STATUS_OK) die("pusher_new: %s", out);
  return client;
}

static void *enter(void *shared) { return shared; }

static void trigger_with(Pusher *client, const char *payload) {
  char *out;
  PusherStatus status = pusher_trigger(client, CHANNEL, EVENT, payload, NULL, &out);
  if (status != PUSHER_STATUS_OK || strcmp(out, "{}") != 0) die("pusher_trigger: %s", out);
  pusher_string_free(out);
}

static void once(void *client) { trigger_with(client, PAYLOAD); }

static void once_large(void *client) { trigger_with(client, large_payload()); }

static void leave(void *own) { (void)own; }

static void close_(void *client) { pusher_free(client); }

const struct contender trigger = {"pusher_trigger", open_, enter, once, leave, close_};
const struct contender trigger_large = {"pusher_trigger, 10 KB", open_, enter, once_large, leave, close_};

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

static void *nothing(int port) {
  (void)port;
  return NULL;
}

const struct contender life = {"pusher_new + pusher_free", nothing, enter, live, leave, leave};
