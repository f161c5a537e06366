/* The common part of the two sinks, sink.c and tls_sink.c: everything but the transport.
 *
 * A sink listens on a free port of 127.0.0.1 and prints the number. For each line of its standard input it prints the
 * number of connections that it has accepted since the last such line, and their transport. It exits at the end of its
 * standard input (and so with the program that started it), on a signal, or after a time limit. */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"

enum { BOUND_SECONDS = 1800, MAX_BYTES = 4 * 1024 * 1024, STACK_BYTES = 256 * 1024 };

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Content-Type: application/json\r\n"
                             "Content-Length: 2\r\n"
                             "\r\n"
                             "{}";

/* The number of requests that a sink waits for before it responds to them; 0 to respond to each at once. */
static unsigned together;
static unsigned waiting;
static unsigned group;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static atomic_uint connections;

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

/* Responds to the requests of a connection until it ends. `receive` and `respond` return the number of bytes, or 0 or
 * less at the end. */
static void serve_requests(void *connection, ssize_t (*receive)(void *connection, char *bytes, size_t room),
                           ssize_t (*respond)(void *connection, const char *bytes, size_t size)) {
  /* The kernel provides only the pages that are used. */
  char *bytes = malloc(MAX_BYTES + 1);
  size_t have = 0;
  while (bytes != NULL) {
    ssize_t got = receive(connection, bytes + have, MAX_BYTES - have);
    if (got <= 0) break;
    have += (size_t)got;
    bytes[have] = '\0';
    size_t whole = whole_message(bytes, have);
    if (whole == 0) continue;
    have -= whole;
    memmove(bytes, bytes + whole, have);
    if (together > 0) wait_for_the_others();
    if (respond(connection, answer, sizeof answer - 1) != sizeof answer - 1) break;
  }
  free(bytes);
}

struct sink {
  int listener;
  /* The thread of a connection. It gets the number of the socket, and closes it. */
  void *(*serve)(void *socket);
};

static void *listen_on(void *argument) {
  const struct sink *sink = argument;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  for (;;) {
    int connection = accept(sink->listener, NULL, NULL);
    if (connection < 0) continue;
    connections++;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    pthread_t thread;
    if (pthread_create(&thread, &attributes, sink->serve, (void *)(intptr_t)connection) != 0) close(connection);
  }
  return NULL;
}

/* Runs a sink until its standard input ends. `describe` returns the transport of the connections. */
static int run_sink(void *(*serve)(void *socket), const char *(*describe)(void)) {
  alarm(BOUND_SECONDS);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  struct sink sink = {.listener = socket(AF_INET, SOCK_STREAM, 0), .serve = serve};
  if (sink.listener < 0 || bind(sink.listener, (struct sockaddr *)&address, size) != 0 ||
      listen(sink.listener, SOMAXCONN) != 0 || getsockname(sink.listener, (struct sockaddr *)&address, &size) != 0) {
    perror("sink");
    return 1;
  }
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);

  pthread_t thread;
  if (pthread_create(&thread, NULL, listen_on, &sink) != 0) return 1;
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
    if (byte != '\n') continue;
    printf("%u %s\n", atomic_exchange(&connections, 0), describe());
    fflush(stdout);
  }
  return 0;
}

#endif
