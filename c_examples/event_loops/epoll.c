/* The relay on epoll alone, for Linux: no library, and not one thread of its own.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   relay_epoll PORT CHANNEL EVENT
 *
 * It publishes each line that a client of PORT sends. If the queue is full, it reads no more until there is space: then the
 * clients' sockets fill, and they wait. On SIGTERM it sends what is queued, and exits. */
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
  struct connection *next;
  int socket;
  struct relay_input input;
};

struct loop {
  struct relay relay;
  struct connection *connections;
  int epoll;
};

/* Wakes the loop when the descriptor is readable, with `what` to tell it from others. */
static void watch(struct loop *loop, int operation, int descriptor, void *what, uint32_t events) {
  struct epoll_event event = {.events = events, .data = {.ptr = what}};
  if (epoll_ctl(loop->epoll, operation, descriptor, &event) != 0) {
    perror("relay: epoll_ctl");
    exit(1);
  }
}

static void accept_clients(struct loop *loop, int listener) {
  int client;
  while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
      close(client);
      continue;
    }
    connection->socket = client;
    connection->next = loop->connections;
    loop->connections = connection;
    watch(loop, EPOLL_CTL_ADD, client, connection, EPOLLIN);
  }
}

static void close_client(struct loop *loop, struct connection *connection) {
  struct connection **link = &loop->connections;
  while (*link != connection) link = &(*link)->next;
  *link = connection->next;
  close(connection->socket); /* and epoll forgets it */
  free(connection);
}

static void read_client(struct loop *loop, struct connection *connection) {
  struct relay_input *input = &connection->input;
  ssize_t got = recv(connection->socket, input->bytes + input->length, sizeof input->bytes - input->length, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    close_client(loop, connection);
    return;
  }
  input->length += (size_t)got;
  switch (relay_publish(&loop->relay, input)) {
    case -1: close_client(loop, connection); break;
    case 1: watch(loop, EPOLL_CTL_MOD, connection->socket, connection, 0); break;
    default: break;
  }
}

/* The publisher has reports, or space. */
static void publisher_is_ready(struct loop *loop) {
  struct connection *connection, *next;
  relay_reports(&loop->relay);
  for (connection = loop->connections; connection != NULL; connection = next) {
    next = connection->next;
    if (!connection->input.paused) continue;
    switch (relay_publish(&loop->relay, &connection->input)) {
      case -1: close_client(loop, connection); break;
      case 0: watch(loop, EPOLL_CTL_MOD, connection->socket, connection, EPOLLIN); break;
      default: return; /* full again */
    }
  }
}

int main(int argc, char **argv) {
  struct loop loop = {.connections = NULL};
  int listener, signals;
  sigset_t ends;
  if (argc != 4) {
    fputs("usage: relay_epoll PORT CHANNEL EVENT\n", stderr);
    return 1;
  }
  /* Before the publisher starts its threads, so that they inherit the mask. */
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, NULL);
  signals = signalfd(-1, &ends, SFD_CLOEXEC);
  loop.epoll = epoll_create1(EPOLL_CLOEXEC);
  if (signals < 0 || loop.epoll < 0) {
    perror("relay");
    return 1;
  }
  if (relay_open(&loop.relay, argv[2], argv[3]) != 0) return 1;
  listener = relay_listen(argv[1]);
  if (listener < 0) return 1;
  watch(&loop, EPOLL_CTL_ADD, listener, &listener, EPOLLIN);
  watch(&loop, EPOLL_CTL_ADD, signals, &signals, EPOLLIN);
  watch(&loop, EPOLL_CTL_ADD, loop.relay.descriptor, &loop.relay, EPOLLIN);

  for (;;) {
    /* One event at a time: a connection that this event closes cannot have another one waiting. */
    struct epoll_event event;
    if (epoll_wait(loop.epoll, &event, 1, -1) < 0) continue; /* EINTR */
    if (event.data.ptr == &signals) break;
    if (event.data.ptr == &listener) {
      accept_clients(&loop, listener);
    } else if (event.data.ptr == &loop.relay) {
      publisher_is_ready(&loop);
    } else {
      read_client(&loop, event.data.ptr);
    }
  }

  close(listener);
  while (loop.connections != NULL) close_client(&loop, loop.connections);
  close(loop.epoll);
  close(signals);
  return relay_close(&loop.relay);
}
