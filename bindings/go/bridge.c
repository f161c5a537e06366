#include "bridge.h"

#include <string.h>

#include "_cgo_export.h"

static const char *text(const char *base, int64_t at) { return at < 0 ? NULL : base + at; }

static BridgeAnswer answer(PusherStatus status, char *out, char *buffer, size_t size) {
  BridgeAnswer made = {status, 0, NULL};
  if (out == NULL) return made;
  made.length = strlen(out);
  if (made.length <= size) {
    memcpy(buffer, out, made.length);
    pusher_string_free(out);
  } else {
    made.text = out;
  }
  return made;
}

BridgeMade bridge_new(const char *config, char *buffer, size_t size) {
  Pusher *client;
  char *out;
  PusherStatus status = pusher_new(config, &client, &out);
  return (BridgeMade){answer(status, out, buffer, size), client};
}

Pusher *bridge_clone(const Pusher *client) {
  Pusher *clone;
  pusher_clone(client, &clone, NULL);
  return clone;
}

BridgeAnswer bridge_call(int32_t call, const Pusher *client, const char *base, BridgeTexts texts, size_t body_len,
                         char *buffer, size_t size) {
  const char *a = text(base, texts.at[0]), *b = text(base, texts.at[1]), *c = text(base, texts.at[2]),
             *d = text(base, texts.at[3]);
  PusherStatus status = PUSHER_STATUS_INTERNAL;
  char *out = NULL;
  switch (call) {
    case BRIDGE_TRIGGER: status = pusher_trigger(client, a, b, c, d, &out); break;
    case BRIDGE_TRIGGER_BATCH: status = pusher_trigger_batch(client, a, b, &out); break;
    case BRIDGE_SEND_TO_USER: status = pusher_send_to_user(client, a, b, c, d, &out); break;
    case BRIDGE_TERMINATE_USER_CONNECTIONS: status = pusher_terminate_user_connections(client, a, b, &out); break;
    case BRIDGE_CHANNELS_INFO: status = pusher_channels_info(client, a, b, c, &out); break;
    case BRIDGE_CHANNEL_INFO: status = pusher_channel_info(client, a, b, c, &out); break;
    case BRIDGE_USERS_INFO: status = pusher_users_info(client, a, b, &out); break;
    case BRIDGE_GET: status = pusher_get(client, a, b, c, &out); break;
    case BRIDGE_POST: status = pusher_post(client, a, b, c, d, &out); break;
    case BRIDGE_DELETE: status = pusher_delete(client, a, b, c, &out); break;
    case BRIDGE_AUTHENTICATE: status = pusher_authenticate(client, a, b, c, &out); break;
    case BRIDGE_AUTHENTICATE_CHANNELS: status = pusher_authenticate_channels(client, a, b, &out); break;
    case BRIDGE_AUTHENTICATE_USER: status = pusher_authenticate_user(client, a, b, &out); break;
    case BRIDGE_CLIENT_STATS: status = pusher_stats(client, &out); break;
    case BRIDGE_VALIDATE_WEBHOOK:
      status = pusher_validate_webhook(client, a, b, (const uint8_t *)c, body_len, &out);
      break;
  }
  return answer(status, out, buffer, size);
}

/* The context of the call that this thread makes: the library calls a transport on the thread of its call. */
static _Thread_local uintptr_t call_context;

BridgeAnswer bridge_call_with(uintptr_t context, int32_t call, const Pusher *client, const char *base,
                              BridgeTexts texts, char *buffer, size_t size) {
  call_context = context;
  BridgeAnswer made = bridge_call(call, client, base, texts, 0, buffer, size);
  call_context = 0;
  return made;
}

BridgeMade bridge_prepare(int32_t call, const Pusher *client, const char *base, BridgeTexts texts, char *buffer,
                          size_t size) {
  static const char *const names[] = {"trigger",       "trigger_batch", "send_to_user", "terminate_user_connections",
                                      "channels_info", "channel_info",  "users_info",   "get",
                                      "post",          "delete"};
  static const size_t counts[] = {4, 2, 4, 2, 3, 3, 2, 3, 4, 3};
  const char *arguments[4];
  for (int i = 0; i < 4; i++) arguments[i] = text(base, texts.at[i]);
  PusherRequest *request;
  char *out;
  PusherStatus status = pusher_prepare(client, names[call], arguments, counts[call], &request, &out);
  return (BridgeMade){answer(status, out, buffer, size), request};
}

BridgeAnswer bridge_finish(const Pusher *client, PusherRequest *request, PusherResponse *response, char *buffer,
                           size_t size) {
  char *out;
  PusherStatus status = pusher_finish(client, request, response, &out);
  return answer(status, out, buffer, size);
}

BridgeMade bridge_publisher_new(const Pusher *client, const char *config, char *buffer, size_t size) {
  PusherPublisher *publisher;
  char *out;
  PusherStatus status = pusher_publisher_new(client, config, &publisher, &out);
  return (BridgeMade){answer(status, out, buffer, size), publisher};
}

BridgePublished bridge_publish(PusherPublisher *publisher, const char *base, BridgeTexts texts, char *buffer,
                               size_t size) {
  uint64_t id;
  char *out;
  PusherStatus status = pusher_publisher_publish(publisher, text(base, texts.at[0]), text(base, texts.at[1]),
                                                 text(base, texts.at[2]), text(base, texts.at[3]), &id, &out);
  return (BridgePublished){answer(status, out, buffer, size), id};
}

BridgeAnswer bridge_restore(PusherPublisher *publisher, const char *base, BridgeTexts texts, char *buffer,
                            size_t size) {
  char *out;
  PusherStatus status = pusher_publisher_restore(publisher, text(base, texts.at[0]), &out);
  return answer(status, out, buffer, size);
}

BridgeDescriptor bridge_descriptor(PusherPublisher *publisher, char *buffer, size_t size) {
  intptr_t fd;
  char *out;
  PusherStatus status = pusher_publisher_fd(publisher, &fd, &out);
  return (BridgeDescriptor){answer(status, out, buffer, size), fd};
}

BridgeAnswer bridge_publisher(int32_t call, PusherPublisher *publisher, uint32_t timeout_ms, char *buffer,
                              size_t size) {
  PusherStatus status = PUSHER_STATUS_INTERNAL;
  char *out = NULL;
  switch (call) {
    case BRIDGE_POLL: status = pusher_publisher_poll(publisher, timeout_ms, &out); break;
    case BRIDGE_FLUSH: status = pusher_publisher_flush(publisher, timeout_ms, &out); break;
    case BRIDGE_CLOSE: status = pusher_publisher_close(publisher, timeout_ms, &out); break;
    case BRIDGE_DRAIN: status = pusher_publisher_drain(publisher, timeout_ms, &out); break;
    case BRIDGE_STATS: status = pusher_publisher_stats(publisher, &out); break;
  }
  return answer(status, out, buffer, size);
}

static void on_log(void *log, int32_t level, const char *message, const char *fields) {
  libpusherGoLog((uintptr_t)log, level, (char *)message, (char *)fields);
}

static void on_observation(void *observe, int32_t kind, uint64_t call_id, const char *fields) {
  libpusherGoObserve((uintptr_t)observe, kind, call_id, (char *)fields);
}

static void on_drop(void *log) { libpusherGoDrop((uintptr_t)log); }

static void on_send(void *sender, const PusherRequest *request, PusherResponse *response) {
  libpusherGoSend((uintptr_t)sender, call_context, (PusherRequest *)request, response);
}

int32_t bridge_set_transport(Pusher *client, uintptr_t sender) {
  return pusher_set_transport(client, on_send, (void *)sender, on_drop, NULL);
}

int32_t bridge_set_observer(Pusher *client, uintptr_t observe) {
  return pusher_set_observer(client, on_observation, (void *)observe, on_drop, NULL);
}

int32_t bridge_set_log(Pusher *client, uintptr_t log) {
  return pusher_set_log(client, on_log, (void *)log, on_drop, NULL);
}
