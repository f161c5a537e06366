/*
 * Go calls these functions instead of pusher.h. A call from Go to C costs as much as half a signature, so each operation makes one call: its
 * strings go in as one Go buffer, and its document is copied to another one if it fits.
 */
#ifndef PUSHER_GO_BRIDGE_H
#define PUSHER_GO_BRIDGE_H

#include <pusher.h>

/* A client's calls; those before BRIDGE_AUTHENTICATE use the network. */
enum {
  BRIDGE_TRIGGER,
  BRIDGE_TRIGGER_BATCH,
  BRIDGE_SEND_TO_USER,
  BRIDGE_TERMINATE_USER_CONNECTIONS,
  BRIDGE_CHANNELS_INFO,
  BRIDGE_CHANNEL_INFO,
  BRIDGE_USERS_INFO,
  BRIDGE_GET,
  BRIDGE_POST,
  BRIDGE_DELETE,
  BRIDGE_AUTHENTICATE,
  BRIDGE_AUTHENTICATE_CHANNELS,
  BRIDGE_AUTHENTICATE_USER,
  BRIDGE_VALIDATE_WEBHOOK,
  BRIDGE_CLIENT_STATS
};

/* A publisher's calls. */
enum { BRIDGE_PUBLISH, BRIDGE_POLL, BRIDGE_FLUSH, BRIDGE_CLOSE, BRIDGE_STATS, BRIDGE_DRAIN, BRIDGE_RESTORE };

/* A call's strings: the offset of each in `base`, where a NUL ends it; -1 for NULL. By value, because C must not hold Go pointers. */
typedef struct {
  int64_t at[4];
} BridgeTexts;

/* A status and a document. */
typedef struct {
  int32_t status;
  size_t length; /* of the document */
  char *text;    /* the document if Go's buffer is too small for it; the caller frees it. Otherwise NULL. */
} BridgeAnswer;

typedef struct {
  BridgeAnswer answer;
  void *handle; /* NULL on failure */
} BridgeMade;

typedef struct {
  BridgeAnswer answer;
  uint64_t id; /* of the published event */
} BridgePublished;

typedef struct {
  BridgeAnswer answer;
  intptr_t fd; /* -1 on failure */
} BridgeDescriptor;

BridgeMade bridge_new(const char *config, char *buffer, size_t size);

/* Creates another handle of a client; NULL on failure. */
Pusher *bridge_clone(const Pusher *client);

/* `body_len` is the length of the third string of BRIDGE_VALIDATE_WEBHOOK. */
BridgeAnswer bridge_call(int32_t call, const Pusher *client, const char *base, BridgeTexts texts, size_t body_len,
                         char *buffer, size_t size);

/* The same, of a client with a transport, which gets `context`, a cgo.Handle. */
BridgeAnswer bridge_call_with(uintptr_t context, int32_t call, const Pusher *client, const char *base,
                              BridgeTexts texts, char *buffer, size_t size);

/* Prepares a call that uses the network. */
BridgeMade bridge_prepare(int32_t call, const Pusher *client, const char *base, BridgeTexts texts, char *buffer,
                          size_t size);
BridgeAnswer bridge_finish(const Pusher *client, PusherRequest *request, PusherResponse *response, char *buffer,
                           size_t size);

BridgeMade bridge_publisher_new(const Pusher *client, const char *config, char *buffer, size_t size);
BridgePublished bridge_publish(PusherPublisher *publisher, const char *base, BridgeTexts texts, char *buffer,
                               size_t size);
BridgeAnswer bridge_restore(PusherPublisher *publisher, const char *base, BridgeTexts texts, char *buffer, size_t size);
BridgeDescriptor bridge_descriptor(PusherPublisher *publisher, char *buffer, size_t size);
BridgeAnswer bridge_publisher(int32_t call, PusherPublisher *publisher, uint32_t timeout_ms, char *buffer, size_t size);

/* Sets a transport that calls Go's libpusherGoSend with `sender`, a cgo.Handle, and the context of the call. */
int32_t bridge_set_transport(Pusher *client, uintptr_t sender);

/* Sets a log callback that calls Go's libpusherGoLog with `log`, a cgo.Handle. */
int32_t bridge_set_log(Pusher *client, uintptr_t log);

/* Sets an observer that calls Go's libpusherGoObserve with `observe`, a cgo.Handle. */
int32_t bridge_set_observer(Pusher *client, uintptr_t observe);

#endif
