/* The minimums use OpenSSL's low-level functions, because EVP adds time. These functions are deprecated. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "signatures.h"

#include <openssl/md5.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <pusher.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peers.h"
#include "server.h"

/* With the colon between them 55 bytes, the longest message that fits into one compression. */
#define PRIVATE_CHANNEL "private-conversation-1234567890-1"
#define SOCKET_ID "1234567890.1234567890"
_Static_assert(sizeof SOCKET_ID + sizeof PRIVATE_CHANNEL - 1 == 55, "one compression");

enum { BLOCK = 64 };

/* Computes an HMAC-SHA256 with a prepared key, by low-level SHA-256. */
struct hmac {
  SHA256_CTX inner, outer;
};

static struct hmac hmac_prepare(const char *key) {
  struct hmac hmac;
  uint8_t inner[BLOCK] = {0}, outer[BLOCK];
  memcpy(inner, key, strlen(key));
  for (int i = 0; i < BLOCK; i++) {
    outer[i] = inner[i] ^ 0x5c;
    inner[i] ^= 0x36;
  }
  SHA256_Init(&hmac.inner);
  SHA256_Update(&hmac.inner, inner, BLOCK);
  SHA256_Init(&hmac.outer);
  SHA256_Update(&hmac.outer, outer, BLOCK);
  return hmac;
}

static void hmac_of(const struct hmac *hmac, const void *text, size_t size, uint8_t result[SHA256_DIGEST_LENGTH]) {
  SHA256_CTX context = hmac->inner;
  SHA256_Update(&context, text, size);
  SHA256_Final(result, &context);
  context = hmac->outer;
  SHA256_Update(&context, result, SHA256_DIGEST_LENGTH);
  SHA256_Final(result, &context);
}

/* The inputs of all contenders. Preparing them is not measured. */
struct own {
  Pusher *client;
  struct peer *peer;
  struct hmac hmac;
  SHA256_CTX sha;
  uint8_t block[BLOCK];
  size_t size;
  /* A webhook. */
  uint8_t *body;
  char signature[2 * SHA256_DIGEST_LENGTH + 1];
  char *payload;
  uint8_t buffer[2 * LARGE_PAYLOAD];
};

static void write_webhook(struct own *own, size_t size) {
  char *body = malloc(size + 1);
  if (body == NULL) die("out of memory");
  own->body = (uint8_t *)body;
  int at = sprintf(body, "{\"time_ms\":%lld000,\"events\":[", (long long)time(NULL));
  while ((size_t)at + 100 < size) {
    at += sprintf(body + at, "%s{\"name\":\"channel_occupied\",\"channel\":\"presence-room-%d\",\"user_id\":\"%d\"}",
                  body[at - 1] == '[' ? "" : ",", at, at);
  }
  at += sprintf(body + at, ",\"%*s\"]}", (int)size - at - 5, "");
  own->size = (size_t)at;
  if (own->size != size) die("the webhook has %d bytes instead of %zu", at, size);
  uint8_t mac[SHA256_DIGEST_LENGTH];
  hmac_of(&own->hmac, body, size, mac);
  for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) sprintf(own->signature + 2 * i, "%02x", mac[i]);
}

static void *open_(const struct contender *self, int port) {
  (void)port;
  struct own *own = calloc(1, sizeof *own);
  static const char config[] = "{\"app_id\":\"" APP_ID "\",\"key\":\"" APP_KEY "\",\"secret\":\"" APP_SECRET "\"}";
  if (own == NULL || pusher_new(config, &own->client, NULL) != PUSHER_STATUS_OK) die("no client");
  own->peer = peer_new(APP_ID, APP_KEY, APP_SECRET);
  own->hmac = hmac_prepare(APP_SECRET);
  SHA256_Init(&own->sha);
  own->payload = payload_of(LARGE_PAYLOAD);
  if (self->size > 0) write_webhook(own, self->size);
  return own;
}

static void *enter(void *shared) { return shared; }

static void leave(void *own) { (void)own; }

static void close_(void *shared) {
  struct own *own = shared;
  pusher_free(own->client);
  peer_free(own->peer);
  free(own->body);
  free(own->payload);
  free(own);
}

static void authenticate(void *shared) {
  struct own *own = shared;
  char *out;
  if (pusher_authenticate(own->client, PRIVATE_CHANNEL, SOCKET_ID, NULL, &out) != PUSHER_STATUS_OK) die("%s", out);
  pusher_string_free(out);
}

static void compress_twice(void *shared) {
  struct own *own = shared;
  SHA256_Transform(&own->sha, own->block);
  SHA256_Transform(&own->sha, own->block);
}

static void authorize_by_peer(void *shared) {
  peer_authorize(((struct own *)shared)->peer, PRIVATE_CHANNEL, SOCKET_ID);
}

static void validate(void *shared) {
  struct own *own = shared;
  char *out;
  if (pusher_validate_webhook(own->client, APP_KEY, own->signature, own->body, own->size, &out) != PUSHER_STATUS_OK) {
    die("%s", out);
  }
  pusher_string_free(out);
}

static void hash_and_check(void *shared) {
  struct own *own = shared;
  hmac_of(&own->hmac, own->body, own->size, own->buffer);
  json_check(own->body, own->size);
}

static void prepare_payload(void *shared) {
  struct own *own = shared;
  const uint8_t *payload = (const uint8_t *)own->payload;
  uint8_t digest[MD5_DIGEST_LENGTH];
  MD5(payload, LARGE_PAYLOAD, digest);
  json_check(payload, LARGE_PAYLOAD);
  json_escape(payload, LARGE_PAYLOAD, own->buffer, sizeof own->buffer);
}

const struct contender signatures[SIGNATURES] = {
    [AUTHENTICATE] = {"pusher_authenticate", open_, enter, authenticate, leave, close_, 0, false},
    [COMPRESSIONS] = {"2 SHA-256 compressions", open_, enter, compress_twice, leave, close_, 0, false},
    [PEER] = {"authorize_channel of pushers", open_, enter, authorize_by_peer, leave, close_, 0, false},
    [WEBHOOK_300] = {"pusher_validate_webhook, 300 B", open_, enter, validate, leave, close_, 300, false},
    [WEBHOOK_300_FLOOR] = {"HMAC + JSON check, 300 B", open_, enter, hash_and_check, leave, close_, 300, false},
    [WEBHOOK_10K] = {"pusher_validate_webhook, 10 KB", open_, enter, validate, leave, close_, LARGE_PAYLOAD, false},
    [WEBHOOK_10K_FLOOR] = {"HMAC + JSON check, 10 KB", open_, enter, hash_and_check, leave, close_, LARGE_PAYLOAD,
                           false},
    [PAYLOAD_FLOOR] = {"MD5 + JSON check + escape, 10 KB", open_, enter, prepare_payload, leave, close_, 0, false},
};
