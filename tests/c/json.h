/* How the tests in C read JSON. Each ends the program if a document is not what it must be. */
#ifndef JSON_H
#define JSON_H

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

static inline void stop(const char *why, const char *what) {
  fprintf(stderr, "%s: %s\n", why, what);
  exit(2);
}

static inline cJSON *parsed(const char *document) {
  cJSON *value = cJSON_Parse(document);
  if (value == NULL) stop("not JSON", document);
  return value;
}

static inline const cJSON *member(const cJSON *object, const char *name) {
  return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Returns a string; NULL if it is absent. */
static inline const char *text(const cJSON *object, const char *name) {
  return cJSON_GetStringValue(member(object, name));
}

static inline int number(const cJSON *object, const char *name) {
  const cJSON *value = member(object, name);
  if (!cJSON_IsNumber(value)) stop("no number", name);
  return value->valueint;
}

#endif
