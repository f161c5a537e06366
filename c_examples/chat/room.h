/* The room where people talk: everything that uses libpusher. Knows nothing of HTTP except status codes.
 *
 *   presence-room  the people who are here
 *   private-room   messages (`message`), and arrivals and departures as the webhooks report them (`member`)
 *
 * Any number of threads may use one `Room`. */
#ifndef CHAT_ROOM_H
#define CHAT_ROOM_H

#include "people.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
  unsigned status;
  char *json; /* freed with free(); NULL if out of memory */
} Answer;

typedef struct Room Room;

/* `config` is as for pusher_new(). `websocket` is the address for browsers, such as "wss://ws.example.org:443"; NULL
 * for that of the API. On failure, returns NULL and prints the reason to standard error. */
Room *room_new(const char *config, const char *websocket, People *people);

/* Drains the publisher, for a few seconds at most, and frees the room. */
void room_free(Room *room);

/* Returns the source for `connect-src` in the Content-Security-Policy of the page. */
const char *room_connect_source(const Room *room);

/* Waits up to half a second for reports of failed events, and prints them to standard error. */
void room_watch(Room *room);

Answer answer_error(unsigned status, const char *message);
/* Returns the person (NULL if not signed in) and the settings for pusher-js. Nothing in it is secret. */
Answer room_introduce(Room *room, const Person *person);
Answer room_authenticate(Room *room, const Person *person, const char *socket_id);
Answer room_authorize(Room *room, const Person *person, const char *socket_id, const char *channel);
Answer room_say(Room *room, const Person *person, const char *text);
Answer room_wave(Room *room, const Person *person, const char *to);
Answer room_webhook(Room *room, const char *key, const char *signature, const uint8_t *body, size_t length);
/* Terminates the connections of a person whose session has ended. */
void room_leave(Room *room, const Person *person);

#endif
