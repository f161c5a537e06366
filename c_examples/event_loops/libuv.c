/* The relay on libuv. See epoll.c for what it does.
 *
 *   relay_libuv PORT CHANNEL EVENT */
#define _POSIX_C_SOURCE 200809L
#include "relay.h"

#include <uv.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct connection {
  uv_tcp_t tcp; /* the first member, so that a handle is its connection */
  struct connection *next;
  struct relay_input input;
};

static struct relay relay;
static struct connection *connections;

static void free_connection(uv_handle_t *handle) { free(handle); }

static void close_client(struct connection *connection) {
  struct connection **link = &connections;
  while (*link != connection) link = &(*link)->next;
  *link = connection->next;
  uv_close((uv_handle_t *)&connection->tcp, free_connection);
}

static void give_space(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  struct relay_input *input = &((struct connection *)handle)->input;
  (void)suggested;
  *buffer = uv_buf_init(input->bytes + input->length, (unsigned)(sizeof input->bytes - input->length));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer) {
  struct connection *connection = (struct connection *)stream;
  (void)buffer;
  if (got == 0) return;
  if (got < 0) {
    close_client(connection);
    return;
  }
  connection->input.length += (size_t)got;
  switch (relay_publish(&relay, &connection->input)) {
    case -1: close_client(connection); break;
    case 1: uv_read_stop(stream); break;
    default: break;
  }
}

static void on_connection(uv_stream_t *listener, int status) {
  struct connection *connection;
  if (status != 0 || (connection = calloc(1, sizeof *connection)) == NULL) return;
  uv_tcp_init(listener->loop, &connection->tcp);
  connection->next = connections;
  connections = connection;
  if (uv_accept(listener, (uv_stream_t *)&connection->tcp) != 0 ||
      uv_read_start((uv_stream_t *)&connection->tcp, give_space, on_read) != 0) {
    close_client(connection);
  }
}

/* The publisher has reports, or space. */
static void on_publisher(uv_poll_t *poll, int status, int events) {
  struct connection *connection, *next;
  (void)poll, (void)status, (void)events;
  relay_reports(&relay);
  for (connection = connections; connection != NULL; connection = next) {
    next = connection->next;
    if (!connection->input.paused) continue;
    switch (relay_publish(&relay, &connection->input)) {
      case -1: close_client(connection); break;
      case 0: uv_read_start((uv_stream_t *)&connection->tcp, give_space, on_read); break;
      default: return; /* full again */
    }
  }
}

static void close_handle(uv_handle_t *handle, void *unused) {
  (void)unused;
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

/* Closes every handle, after which uv_run() returns. */
static void on_signal(uv_signal_t *ends, int number) {
  (void)number;
  while (connections != NULL) close_client(connections);
  uv_walk(ends->loop, close_handle, NULL);
}

int main(int argc, char **argv) {
  uv_loop_t loop;
  uv_tcp_t listener;
  uv_poll_t publisher;
  uv_signal_t ends[2];
  int socket;
  if (argc != 4) {
    fputs("usage: relay_libuv PORT CHANNEL EVENT\n", stderr);
    return 1;
  }
  if (relay_open(&relay, argv[2], argv[3]) != 0) return 1;
  if ((socket = relay_listen(argv[1])) < 0) return 1;
  uv_loop_init(&loop);
  uv_tcp_init(&loop, &listener);
  uv_tcp_open(&listener, socket);
  uv_listen((uv_stream_t *)&listener, SOMAXCONN, on_connection);
  uv_poll_init(&loop, &publisher, relay.descriptor);
  uv_poll_start(&publisher, UV_READABLE, on_publisher);
  uv_signal_init(&loop, &ends[0]);
  uv_signal_start(&ends[0], on_signal, SIGTERM);
  uv_signal_init(&loop, &ends[1]);
  uv_signal_start(&ends[1], on_signal, SIGINT);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  return relay_close(&relay);
}
