/* The room where people talk: all that is done with libpusher. Knows nothing of HTTP but the numbers of its answers.
 *
 *   presence-room  who is here
 *   private-room   what is said (`message`), and who came and went (`member`), as the webhooks have told
 *
 * Any number of threads may use one `Room`. */
#ifndef CHAT_ROOM_H
#define CHAT_ROOM_H

#include "people.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
  unsigned status;
  char *json; /* to be freed by free(); NULL for want of memory */
} Answer;

typedef struct Room Room;

/* `config` is as for pusher_new(). `websocket` is where browsers connect, such as "wss://ws.example.org:443"; NULL for the
 * API's own address. On failure NULL, and standard error says why. */
Room *room_new(const char *config, const char *websocket, People *people);

/* Waits for what is still to be told, some seconds at most. */
void room_free(Room *room);

/* The source that a page has to be allowed to connect to, for its Content-Security-Policy. */
const char *room_connect_source(const Room *room);

/* Waits for reports of what could not be told, and writes them to standard error; returns after half a second. */
void room_watch(Room *room);

Answer answer_error(unsigned status, const char *message);
/* Who somebody is (`person` may be NULL), and what pusher-js has to know: nothing of it is secret. */
Answer room_introduce(Room *room, const Person *person);
Answer room_authenticate(Room *room, const Person *person, const char *socket_id);
Answer room_authorize(Room *room, const Person *person, const char *socket_id, const char *channel);
Answer room_say(Room *room, const Person *person, const char *text);
Answer room_wave(Room *room, const Person *person, const char *to);
Answer room_webhook(Room *room, const char *key, const char *signature, const uint8_t *body, size_t length);
/* Ends the connections of somebody whose session has ended. */
void room_leave(Room *room, const Person *person);

#endif
