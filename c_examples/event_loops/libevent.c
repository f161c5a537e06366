/* The relay on libevent. See epoll.c for what it does.
 *
 *   relay_libevent PORT CHANNEL EVENT */
#include "relay.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct connection {
  struct connection *next;
  struct bufferevent *stream;
  struct relay_input input;
};

static struct relay relay;
static struct connection *connections;

static void close_client(struct connection *connection) {
  struct connection **link = &connections;
  while (*link != connection) link = &(*link)->next;
  *link = connection->next;
  bufferevent_free(connection->stream);
  free(connection);
}

/* Publishes what a client has sent. Returns whether the queue has space. */
static int publish(struct connection *connection) {
  struct relay_input *input = &connection->input;
  for (;;) {
    int result = relay_publish(&relay, input);
    int got;
    if (result == 1) {
      bufferevent_disable(connection->stream, EV_READ);
      return 0;
    }
    if (result == -1) {
      close_client(connection);
      return 1;
    }
    got = evbuffer_remove(bufferevent_get_input(connection->stream), input->bytes + input->length,
                          sizeof input->bytes - input->length);
    if (got <= 0) break;
    input->length += (size_t)got;
  }
  bufferevent_enable(connection->stream, EV_READ);
  return 1;
}

static void on_read(struct bufferevent *stream, void *connection) {
  (void)stream;
  publish(connection);
}

/* The client has closed the connection, or it broke. */
static void on_end(struct bufferevent *stream, short what, void *connection) {
  (void)stream, (void)what;
  close_client(connection);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t socket, struct sockaddr *address, int length,
                          void *unused) {
  struct connection *connection = calloc(1, sizeof *connection);
  (void)address, (void)length, (void)unused;
  if (connection != NULL) {
    connection->stream = bufferevent_socket_new(evconnlistener_get_base(listener), socket, BEV_OPT_CLOSE_ON_FREE);
  }
  if (connection == NULL || connection->stream == NULL) {
    free(connection);
    evutil_closesocket(socket);
    return;
  }
  connection->next = connections;
  connections = connection;
  /* Otherwise libevent reads ahead while the relay waits for space. */
  bufferevent_setwatermark(connection->stream, EV_READ, 0, RELAY_LINE_BYTES);
  bufferevent_setcb(connection->stream, on_read, NULL, on_end, connection);
  bufferevent_enable(connection->stream, EV_READ);
}

/* The publisher has reports, or space. */
static void on_publisher(evutil_socket_t descriptor, short events, void *unused) {
  struct connection *connection, *next;
  (void)descriptor, (void)events, (void)unused;
  relay_reports(&relay);
  for (connection = connections; connection != NULL; connection = next) {
    next = connection->next;
    if (connection->input.paused && !publish(connection)) return; /* full again */
  }
}

static void on_signal(evutil_socket_t number, short events, void *base) {
  (void)number, (void)events;
  event_base_loopbreak(base);
}

int main(int argc, char **argv) {
  struct event_base *base;
  struct evconnlistener *listener;
  struct event *publisher, *terminate, *interrupt;
  int socket;
  if (argc != 4) {
    fputs("usage: relay_libevent PORT CHANNEL EVENT\n", stderr);
    return 1;
  }
  if (relay_open(&relay, argv[2], argv[3]) != 0) return 1;
  if ((socket = relay_listen(argv[1])) < 0) return 1;
  base = event_base_new();
  /* A backlog of 0: the socket listens already. */
  listener = evconnlistener_new(base, on_connection, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, socket);
  publisher = event_new(base, relay.descriptor, EV_READ | EV_PERSIST, on_publisher, NULL);
  terminate = evsignal_new(base, SIGTERM, on_signal, base);
  interrupt = evsignal_new(base, SIGINT, on_signal, base);
  event_add(publisher, NULL);
  event_add(terminate, NULL);
  event_add(interrupt, NULL);
  event_base_dispatch(base);

  while (connections != NULL) close_client(connections);
  evconnlistener_free(listener);
  event_free(publisher);
  event_free(terminate);
  event_free(interrupt);
  event_base_free(base);
  return relay_close(&relay);
}
