/* Listeners of a fault server, whose control interface has the port `control`. */
#ifndef LISTENERS_H
#define LISTENERS_H

#include "../cpp/fault_server.h"
#include "json.h"

/* Sends a request to the control interface, and returns the answer. */
static inline cJSON *asked(int control, const char *method, const char *path, const char *body) {
  char *answer = fault_server_ask(control, method, path, body);
  cJSON *value = parsed(answer);
  free(answer);
  return value;
}

/* Returns what came to a listener. */
static inline cJSON *ledger_of(int control, int port) {
  char path[40];
  snprintf(path, sizeof path, "/listen/%d", port);
  return asked(control, "GET", path, "");
}

/* Closes a listener; for a proxy, the server after it, too. */
static inline void close_listener(int control, int port) {
  char path[40];
  snprintf(path, sizeof path, "/listen/%d", port);
  free(fault_server_ask(control, "DELETE", path, ""));
}

#endif
