/* A server that responds to every request with 200 and `{}`, and keeps connections alive. It is the same for all
 * contenders.
 *
 *   sink [TOGETHER]
 *
 * It listens on a free port of 127.0.0.1 and prints the number. With TOGETHER, it responds once that many requests have
 * arrived. It exits at the end of its standard input (and so with the program that started it), on a signal, or after a
 * time limit.
 *
 * Each connection has a thread that waits in recv: two system calls for each request, the minimum. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"

enum { BOUND_SECONDS = 1800, MAX_BYTES = 32 * 1024, STACK_BYTES = 128 * 1024 };

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Content-Type: application/json\r\n"
                             "Content-Length: 2\r\n"
                             "\r\n"
                             "{}";

static unsigned together;
static unsigned waiting;
static unsigned group;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;

/* Waits until the group that this request belongs to is complete. */
static void wait_for_the_others(void) {
  pthread_mutex_lock(&lock);
  unsigned mine = group;
  if (++waiting == together) {
    waiting = 0;
    group++;
    pthread_cond_broadcast(&released);
  }
  while (group == mine) pthread_cond_wait(&released, &lock);
  pthread_mutex_unlock(&lock);
}

static void *serve(void *argument) {
  int connection = (int)(intptr_t)argument;
  char bytes[MAX_BYTES + 1];
  size_t have = 0;
  for (;;) {
    ssize_t got = recv(connection, bytes + have, MAX_BYTES - have, 0);
    if (got <= 0) break;
    have += (size_t)got;
    bytes[have] = '\0';
    size_t whole = whole_message(bytes, have);
    if (whole == 0) continue;
    have -= whole;
    memmove(bytes, bytes + whole, have);
    if (together > 0) wait_for_the_others();
    if (send(connection, answer, sizeof answer - 1, MSG_NOSIGNAL) != sizeof answer - 1) break;
  }
  close(connection);
  return NULL;
}

static void *listen_on(void *argument) {
  int listener = (int)(intptr_t)argument;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  for (;;) {
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) continue;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    pthread_t thread;
    if (pthread_create(&thread, &attributes, serve, (void *)(intptr_t)connection) != 0) close(connection);
  }
  return NULL;
}

int main(int count, char **arguments) {
  if (count > 1) together = (unsigned)strtoul(arguments[1], NULL, 10);
  alarm(BOUND_SECONDS);

  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, SOMAXCONN) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
    perror("sink");
    return 1;
  }
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);

  pthread_t thread;
  if (pthread_create(&thread, NULL, listen_on, (void *)(intptr_t)listener) != 0) return 1;
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  return 0;
}
