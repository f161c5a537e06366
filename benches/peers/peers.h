/* What the signatures are measured beside, in Rust. Whatever fails ends the program. */
#ifndef PEERS_H
#define PEERS_H

#include <stddef.h>
#include <stdint.h>

/* A client of the crate `pushers`. */
struct peer;
struct peer *peer_new(const char *app_id, const char *key, const char *secret);
/* Its answer is made and dropped, and not even put into JSON. */
void peer_authorize(const struct peer *peer, const char *channel, const char *socket_id);
void peer_free(struct peer *peer);

/* One pass over JSON, by the parser that the library uses: whether it is valid, UTF-8 included. */
void json_check(const uint8_t *json, size_t size);
/* Writes JSON as a string into JSON. */
void json_escape(const uint8_t *json, size_t size, uint8_t *buffer, size_t room);

#endif
