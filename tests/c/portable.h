/* What the tests need of a system, as POSIX names it: sockets, the environment, a search without regard to case. Windows has the
 * same by other names. */
#ifndef PORTABLE_H
#define PORTABLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32

#include <winsock2.h>
#include <ws2tcpip.h>

#define MSG_NOSIGNAL 0
#define poll WSAPoll

/* Winsock must be started. */
__attribute__((constructor)) static void portable_start(void) {
  WSADATA data;
  if (WSAStartup(MAKEWORD(2, 2), &data) != 0) exit(2);
}

static inline void close_socket(int socket) { closesocket((SOCKET)socket); }

/* Bounds each receive. */
static inline int receive_within(int socket, int seconds) {
  DWORD ms = (DWORD)seconds * 1000;
  return setsockopt((SOCKET)socket, SOL_SOCKET, SO_RCVTIMEO, (const char *)&ms, sizeof ms);
}

static inline int setenv(const char *name, const char *value, int overwrite) {
  (void)overwrite;
  return _putenv_s(name, value);
}

static inline int unsetenv(const char *name) { return _putenv_s(name, ""); }

static inline const char *strcasestr(const char *text, const char *part) {
  size_t length = strlen(part);
  for (; *text != '\0'; text++) {
    if (_strnicmp(text, part, length) == 0) return text;
  }
  return NULL;
}

/* Makes two sockets that are connected to each other, because poll() here takes nothing but sockets. */
static inline int connected_pair(int ends[2]) {
  struct sockaddr_in address = {0};
  int size = sizeof address;
  SOCKET listener = socket(AF_INET, SOCK_STREAM, 0), one = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
      connect(one, (struct sockaddr *)&address, size) != 0) {
    return -1;
  }
  ends[0] = (int)accept(listener, NULL, NULL);
  ends[1] = (int)one;
  closesocket(listener);
  return ends[0] >= 0 ? 0 : -1;
}

#else

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static inline void close_socket(int socket) { close(socket); }

static inline int connected_pair(int ends[2]) { return pipe(ends); }

static inline int receive_within(int socket, int seconds) {
  struct timeval patience = {seconds, 0};
  return setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

#endif

#endif
