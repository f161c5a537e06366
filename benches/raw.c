/* The minimum: the bytes that the library sends, prepared once, with one send and one recv each. No client can be
 * faster. Over TLS they go through OpenSSL. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
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
  /* NULL without TLS. */
  SSL_CTX *context;
};

struct own {
  int socket;
  SSL *tls;
};

static void *open_(const struct contender *self, int port) {
  struct shared *shared = calloc(1, sizeof *shared);
  if (shared == NULL) die("out of memory");
  shared->port = port;
  if (self->is_tls) {
    char certificate[4096];
    beside("certificate.pem", certificate, sizeof certificate);
    shared->context = SSL_CTX_new(TLS_client_method());
    if (shared->context == NULL || SSL_CTX_load_verify_locations(shared->context, certificate, NULL) != 1) {
      die("raw: can't read %s", certificate);
    }
    SSL_CTX_set_verify(shared->context, SSL_VERIFY_PEER, NULL);
    /* One recv for a record instead of two. */
    SSL_CTX_set_read_ahead(shared->context, 1);
  }
  return shared;
}

static void close_(void *argument) {
  struct shared *shared = argument;
  SSL_CTX_free(shared->context);
  free(shared);
}

static void *enter(void *argument) {
  const struct shared *shared = argument;
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)shared->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct own *own = calloc(1, sizeof *own);
  if (own == NULL) die("out of memory");
  own->socket = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(own->socket, (struct sockaddr *)&address, sizeof address) != 0) die("raw: can't connect");
  setsockopt(own->socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  if (shared->context != NULL) {
    own->tls = SSL_new(shared->context);
    if (own->tls == NULL || SSL_set_fd(own->tls, own->socket) != 1 || SSL_connect(own->tls) != 1) {
      die("raw: the handshake failed");
    }
  }
  return own;
}

static ssize_t send_bytes(const struct own *own, const char *bytes, size_t size) {
  return own->tls != NULL ? SSL_write(own->tls, bytes, (int)size) : send(own->socket, bytes, size, MSG_NOSIGNAL);
}

static ssize_t receive_bytes(const struct own *own, char *bytes, size_t room) {
  return own->tls != NULL ? SSL_read(own->tls, bytes, (int)room) : recv(own->socket, bytes, room, 0);
}

static void once(void *argument) {
  const struct own *own = argument;
  char answer[1024];
  size_t have = 0;
  if (send_bytes(own, request, request_size) != (ssize_t)request_size) die("raw: can't send");
  do {
    ssize_t got = receive_bytes(own, answer + have, sizeof answer - 1 - have);
    if (got <= 0) die("raw: no answer");
    have += (size_t)got;
    answer[have] = '\0';
  } while (whole_message(answer, have) == 0);
  if (memcmp(answer, "HTTP/1.1 200", 12) != 0) die("raw: %s", answer);
}

static void leave(void *argument) {
  struct own *own = argument;
  SSL_free(own->tls);
  close(own->socket);
  free(own);
}

const struct contender raw_sockets = {"raw sockets", open_, enter, once, leave, close_, 0, false};
const struct contender raw_tls = {"raw sockets with OpenSSL", open_, enter, once, leave, close_, 0, true};
