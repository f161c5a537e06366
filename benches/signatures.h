/* The calls that need no network, each with its minimum cost. */
#ifndef BENCH_SIGNATURES_H
#define BENCH_SIGNATURES_H

#include "harness.h"

/* Neighbours are compared. */
enum {
  /* The minimum of the next: the two SHA-256 compressions of an HMAC with a prepared key. */
  COMPRESSIONS,
  /* pusher_authenticate() for a private channel. */
  AUTHENTICATE,
  /* The authorization of a peer. */
  PEER,
  /* pusher_validate_webhook(), and its minimum: the HMAC of the body with a prepared key, and one check of JSON. */
  WEBHOOK_300,
  WEBHOOK_300_FLOOR,
  WEBHOOK_10K,
  WEBHOOK_10K_FLOOR,
  /* For a payload of 10 KB: its MD5, one validation of JSON, and writing it as a JSON string. */
  PAYLOAD_FLOOR,
  SIGNATURES
};

extern const struct contender signatures[SIGNATURES];

#endif
