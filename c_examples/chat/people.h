/* Who is who: the users that have signed in, and their sessions. Knows nothing of HTTP and nothing of Pusher.
 *
 * A real application asks for a password, or lets somebody else do that, and keeps this in its database. Here a name is
 * enough, and all is kept in memory: a restart signs everybody out.
 *
 * Any number of threads may use one `People`. */
#ifndef CHAT_PEOPLE_H
#define CHAT_PEOPLE_H

#include <stddef.h>

enum { PERSON_ID_SIZE = 17, PERSON_NAME_SIZE = 49, SESSION_TOKEN_SIZE = 65 };

typedef struct {
  char id[PERSON_ID_SIZE];     /* what Pusher knows them by: random, hexadecimal */
  char name[PERSON_NAME_SIZE]; /* what they call themselves: any UTF-8 without control characters */
} Person;

typedef enum { SIGNED_IN, NAME_WRONG, NAME_TAKEN, HOUSE_FULL, NO_RANDOMNESS } SignIn;

typedef struct People People;

/* NULL for want of memory. */
People *people_new(void);
void people_free(People *people);

/* Makes a session. `token` is the secret that the browser proves it with. */
SignIn people_sign_in(People *people, const char *name, Person *person, char token[SESSION_TOKEN_SIZE]);

/* Ends a session. The person is still known by id, for the webhook that tells that they have gone. */
void people_sign_out(People *people, const char *token);

/* Whose session this is; 0 if it is nobody's. NULL is fine. */
int people_of_token(People *people, const char *token, Person *person);

/* Who has this id; 0 if nobody does. */
int people_of_id(People *people, const char *id, Person *person);

/* 0 if they have said so much lately that they have to wait. */
int people_may_speak(People *people, const char *id);

#endif
