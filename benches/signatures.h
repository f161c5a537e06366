/* What needs no network, each beside the least that it can cost. */
#ifndef BENCH_SIGNATURES_H
#define BENCH_SIGNATURES_H

#include "harness.h"

enum {
  /* pusher_authenticate() for a private channel, */
  AUTHENTICATE,
  /* the two compressions of SHA-256 that its HMAC takes with a prepared key, */
  COMPRESSIONS,
  /* and a peer's authorization. */
  PEER,
  /* pusher_validate_webhook(), and the HMAC of the body with a prepared key and one check of JSON. */
  WEBHOOK_300,
  WEBHOOK_300_FLOOR,
  WEBHOOK_10K,
  WEBHOOK_10K_FLOOR,
  /* The MD5 of a payload of 10 KB, one check of JSON, and writing it as a string into JSON. */
  PAYLOAD_FLOOR,
  SIGNATURES
};

extern const struct contender signatures[SIGNATURES];

/* A payload of 10 KB: JSON with as many quotes as usual. */
const char *large_payload(void);

#endif
