#define _DEFAULT_SOURCE /* getentropy() */
#include "people.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
  MAX_PEOPLE = 1000,
  SESSION_SECONDS = 12 * 60 * 60, /* without a request */
  SPEECH_SECONDS = 10,
  SPEECH_LIMIT = 20
};

typedef struct {
  Person person;                  /* the id is empty in an unused entry */
  char token[SESSION_TOKEN_SIZE]; /* empty: signed out */
  time_t seen;
  time_t speech_begin;
  int speech_count;
} Entry;

struct People {
  pthread_mutex_t lock;
  Entry entries[MAX_PEOPLE];
};

/* Returns the seconds of the monotonic clock. */
static time_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec;
}

/* Fills `text` with `size - 1` random hexadecimal digits and a NUL. */
static int random_digits(char *text, size_t size) {
  unsigned char bytes[SESSION_TOKEN_SIZE / 2];
  size_t count = (size - 1) / 2;
  if (getentropy(bytes, count) != 0) return 0;
  for (size_t i = 0; i < count; i++) {
    text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
    text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
  }
  text[2 * count] = '\0';
  return 1;
}

/* Compares in constant time, so that a token cannot be guessed digit by digit. */
static int same_token(const char *mine, const char *given) {
  unsigned char difference = 0;
  if (strlen(given) != SESSION_TOKEN_SIZE - 1 || mine[0] == '\0') return 0;
  for (size_t i = 0; i < SESSION_TOKEN_SIZE - 1; i++) difference |= (unsigned char)(mine[i] ^ given[i]);
  return difference == 0;
}

/* Returns the length of the UTF-8 character at `at`, 0 if it is malformed or not allowed in a name. */
static size_t character(const unsigned char *at) {
  static const unsigned long least[] = {0, 0x20, 0x80, 0x800, 0x10000};
  size_t length = at[0] < 0x80             ? 1
                  : (at[0] & 0xe0) == 0xc0 ? 2
                  : (at[0] & 0xf0) == 0xe0 ? 3
                  : (at[0] & 0xf8) == 0xf0 ? 4
                                           : 0;
  unsigned long code = length == 1 ? at[0] : at[0] & (0x7fu >> length);
  for (size_t i = 1; i < length; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
    code = code << 6 | (at[i] & 0x3fu);
  }
  if (length == 0 || code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return 0;
  return code >= 0x7f && code <= 0x9f ? 0 : length;
}

static int is_name(const char *name) {
  const unsigned char *at = (const unsigned char *)name;
  size_t length = strlen(name), step, count = 0;
  if (length == 0 || length >= PERSON_NAME_SIZE || name[0] == ' ' || name[length - 1] == ' ') return 0;
  for (; *at != '\0'; at += step, count++) {
    if ((step = character(at)) == 0) return 0;
  }
  return count <= NAME_CHARACTERS;
}

People *people_new(void) {
  People *people = calloc(1, sizeof *people);
  if (people != NULL && pthread_mutex_init(&people->lock, NULL) != 0) {
    free(people);
    return NULL;
  }
  return people;
}

void people_free(People *people) {
  if (people == NULL) return;
  pthread_mutex_destroy(&people->lock);
  free(people);
}

static int signed_in(const Entry *entry, time_t time) {
  return entry->token[0] != '\0' && time - entry->seen <= SESSION_SECONDS;
}

SignIn people_sign_in(People *people, const char *name, Person *person, char token[SESSION_TOKEN_SIZE]) {
  Entry fresh = {0}, *place = NULL;
  SignIn result = SIGNED_IN;
  if (!is_name(name)) return NAME_WRONG;
  if (!random_digits(fresh.person.id, sizeof fresh.person.id) || !random_digits(fresh.token, sizeof fresh.token)) {
    return NO_RANDOMNESS;
  }
  strcpy(fresh.person.name, name);
  fresh.seen = now();

  pthread_mutex_lock(&people->lock);
  for (Entry *entry = people->entries; entry < people->entries + MAX_PEOPLE; entry++) {
    if (!signed_in(entry, fresh.seen)) {
      /* Reuse the entry of the person who has been gone for longest. */
      if (place == NULL || entry->seen < place->seen) place = entry;
    } else if (strcmp(entry->person.name, name) == 0) {
      result = NAME_TAKEN;
    }
  }
  if (result == SIGNED_IN && place == NULL) result = HOUSE_FULL;
  if (result == SIGNED_IN) *place = fresh;
  pthread_mutex_unlock(&people->lock);

  *person = fresh.person;
  memcpy(token, fresh.token, SESSION_TOKEN_SIZE);
  return result;
}

void people_sign_out(People *people, const char *token) {
  pthread_mutex_lock(&people->lock);
  for (Entry *entry = people->entries; entry < people->entries + MAX_PEOPLE; entry++) {
    if (same_token(entry->token, token)) memset(entry->token, 0, sizeof entry->token);
  }
  pthread_mutex_unlock(&people->lock);
}

int people_of_token(People *people, const char *token, Person *person) {
  int found = 0;
  time_t time = now();
  if (token == NULL) return 0;
  pthread_mutex_lock(&people->lock);
  for (Entry *entry = people->entries; entry < people->entries + MAX_PEOPLE && !found; entry++) {
    found = same_token(entry->token, token) && signed_in(entry, time);
    if (!found) continue;
    entry->seen = time;
    *person = entry->person;
  }
  pthread_mutex_unlock(&people->lock);
  return found;
}

/* The caller holds the lock. */
static Entry *entry_of_id(People *people, const char *id) {
  for (Entry *entry = people->entries; entry < people->entries + MAX_PEOPLE; entry++) {
    if (entry->person.id[0] != '\0' && strcmp(entry->person.id, id) == 0) return entry;
  }
  return NULL;
}

int people_of_id(People *people, const char *id, Person *person) {
  const Entry *entry;
  pthread_mutex_lock(&people->lock);
  entry = entry_of_id(people, id);
  if (entry != NULL) *person = entry->person;
  pthread_mutex_unlock(&people->lock);
  return entry != NULL;
}

int people_may_speak(People *people, const char *id) {
  int may = 0;
  time_t time = now();
  Entry *entry;
  pthread_mutex_lock(&people->lock);
  entry = entry_of_id(people, id);
  if (entry != NULL) {
    if (time - entry->speech_begin >= SPEECH_SECONDS) {
      entry->speech_begin = time;
      entry->speech_count = 0;
    }
    may = entry->speech_count < SPEECH_LIMIT;
    entry->speech_count += may;
  }
  pthread_mutex_unlock(&people->lock);
  return may;
}
