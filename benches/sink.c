/* A server that responds to every request with 200 and `{}`, and keeps connections alive. It is the same for all
 * contenders.
 *
 *   sink [TOGETHER]
 *
 * With TOGETHER, it responds once that many requests have arrived.
 *
 * Each connection has a thread that waits in recv: two system calls for each request, the minimum. */
#include "sink.h"

static ssize_t receive(void *connection, char *bytes, size_t room) {
  return recv((int)(intptr_t)connection, bytes, room, 0);
}

static ssize_t respond(void *connection, const char *bytes, size_t size) {
  return send((int)(intptr_t)connection, bytes, size, MSG_NOSIGNAL);
}

static void *serve(void *socket) {
  serve_requests(socket, receive, respond);
  close((int)(intptr_t)socket);
  return NULL;
}

static const char *describe(void) { return "plain"; }

int main(int count, char **arguments) {
  if (count > 1) together = (unsigned)strtoul(arguments[1], NULL, 10);
  return run_sink(serve, describe);
}
