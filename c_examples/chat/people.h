/* The users who have signed in, and their sessions. Knows nothing of HTTP or Pusher.
 *
 * A real application asks for a password or uses an identity provider, and keeps users in a database. Here a name is
 * enough, and everything is in memory: a restart signs all users out.
 *
 * Any number of threads may use one `People`. */
#ifndef CHAT_PEOPLE_H
#define CHAT_PEOPLE_H

#include <stddef.h>

enum { PERSON_ID_SIZE = 17, NAME_CHARACTERS = 40, PERSON_NAME_SIZE = 4 * NAME_CHARACTERS + 1, SESSION_TOKEN_SIZE = 65 };

typedef struct {
  char id[PERSON_ID_SIZE];     /* the user id for Channels: random, hexadecimal */
  char name[PERSON_NAME_SIZE]; /* chosen by the user: any UTF-8 without control characters */
} Person;

typedef enum { SIGNED_IN, NAME_WRONG, NAME_TAKEN, HOUSE_FULL, NO_RANDOMNESS } SignIn;

typedef struct People People;

/* Returns NULL if out of memory. */
People *people_new(void);
void people_free(People *people);

/* Creates a session. `token` is the secret that the browser keeps in its cookie. */
SignIn people_sign_in(People *people, const char *name, Person *person, char token[SESSION_TOKEN_SIZE]);

/* Ends a session. The person is still found by id, for the webhook that reports the departure. */
void people_sign_out(People *people, const char *token);

/* Finds the person of a session. Returns 0 if there is none; a NULL token is allowed. */
int people_of_token(People *people, const char *token, Person *person);

/* Finds the person with this id. Returns 0 if there is none. */
int people_of_id(People *people, const char *id, Person *person);

/* Returns 0 if the person has sent too many messages lately and must wait. */
int people_may_speak(People *people, const char *id);

#endif
