/* The peers in Rust that the signatures are compared with. A failure exits the program. */
#ifndef PEERS_H
#define PEERS_H

#include <stddef.h>
#include <stdint.h>

/* A client of the crate `pushers`. */
struct peer;
struct peer *peer_new(const char *app_id, const char *key, const char *secret);
/* Authorizes a channel, and drops the result without writing it as JSON. */
void peer_authorize(const struct peer *peer, const char *channel, const char *socket_id);
void peer_free(struct peer *peer);

/* Validates JSON and its UTF-8, by the parser that the library uses. */
void json_check(const uint8_t *json, size_t size);
/* Writes JSON as a JSON string. */
void json_escape(const uint8_t *json, size_t size, uint8_t *buffer, size_t room);

#endif
