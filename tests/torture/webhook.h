/* Webhooks as a server sends them: the signature, and the payload of an encrypted event. */
#ifndef TORTURE_WEBHOOK_H
#define TORTURE_WEBHOOK_H

#include "torture.h"

#include <openssl/hmac.h>

/* Writes the signature of a body, 64 digits and a NUL. */
static inline void sign_webhook(const char *body, char *hex) {
  unsigned char bytes[32];
  unsigned length = sizeof bytes;
  const char *secret = text_of(torture_ready, "secret");
  if (HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)body, strlen(body), bytes, &length) ==
      NULL) {
    stop("no HMAC");
  }
  for (unsigned i = 0; i < length; i++) sprintf(hex + 2 * i, "%02x", bytes[i]);
}

/* Writes the webhook of an event that a client sent on an encrypted channel. `client` has the master key. */
static inline void encrypted_webhook(char *webhook, size_t size, const Pusher *client, const char *data) {
  const char *arguments[] = {"private-encrypted-c", "client-e", data};
  PusherRequest *request = NULL;
  if (pusher_prepare(client, "trigger", arguments, 3, &request, NULL) != PUSHER_STATUS_OK) stop("no encrypted event");
  cJSON *body = parsed((const char *)pusher_request_body(request, NULL));
  char *quoted = cJSON_PrintUnformatted(member(body, "data"));
  int length =
      snprintf(webhook, size,
               "{\"time_ms\":1,\"events\":[{\"name\":\"client_event\",\"channel\":\"private-encrypted-c\",\"event\":"
               "\"client-e\",\"data\":%s}]}",
               quoted);
  if (length < 0 || (size_t)length >= size) stop("the encrypted webhook is too long");
  cJSON_free(quoted);
  cJSON_Delete(body);
  pusher_request_free(request);
}

#endif
