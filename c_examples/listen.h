/* A listening socket for the examples. */
#ifndef EXAMPLES_LISTEN_H
#define EXAMPLES_LISTEN_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Returns a socket that listens on 127.0.0.1, and sets `taken` to its port. Port 0 takes a free one. On failure -1 and
 * errno. */
static int listen_on(int port, int *taken) {
  struct sockaddr_in address = {0};
  socklen_t size = sizeof address;
  int yes = 1, error, listener = socket(AF_INET, SOCK_STREAM, 0);

  address.sin_family = AF_INET;
  address.sin_port = htons((unsigned short)port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
    error = errno;
    if (listener >= 0) close(listener);
    errno = error;
    return -1;
  }
  *taken = ntohs(address.sin_port);
  return listener;
}

#endif
