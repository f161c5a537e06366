/* The minimum: the bytes that the library sends, prepared once, with one send and one recv each. No client can be
 * faster. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "http.h"
#include "raw.h"
#include "server.h"

static const char *request;
static size_t request_size;

void raw_use(const char *bytes, size_t size) {
  request = bytes;
  request_size = size;
}

struct shared {
  int port;
};

struct own {
  int socket;
};

static void *open_(int port) {
  struct shared *shared = malloc(sizeof *shared);
  if (shared == NULL) die("out of memory");
  shared->port = port;
  return shared;
}

static void *enter(void *argument) {
  const struct shared *shared = argument;
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)shared->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct own *own = malloc(sizeof *own);
  if (own == NULL) die("out of memory");
  own->socket = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(own->socket, (struct sockaddr *)&address, sizeof address) != 0) die("raw: can't connect");
  setsockopt(own->socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  return own;
}

static void once(void *argument) {
  const struct own *own = argument;
  char answer[1024];
  size_t have = 0;
  if (send(own->socket, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) die("raw: can't send");
  do {
    ssize_t got = recv(own->socket, answer + have, sizeof answer - 1 - have, 0);
    if (got <= 0) die("raw: no answer");
    have += (size_t)got;
    answer[have] = '\0';
  } while (whole_message(answer, have) == 0);
  if (memcmp(answer, "HTTP/1.1 200", 12) != 0) die("raw: %s", answer);
}

static void leave(void *argument) {
  struct own *own = argument;
  close(own->socket);
  free(own);
}

const struct contender raw_sockets = {"raw sockets", open_, enter, once, leave, free};
