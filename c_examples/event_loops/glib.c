/* The relay on GLib's main loop, as in programs with GTK or GStreamer. See epoll.c for what it does.
 *
 *   relay_glib PORT CHANNEL EVENT */
#define _GNU_SOURCE
#include "relay.h"

#include <glib-unix.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
  int socket;
  guint source; /* 0 while the input is paused */
  struct relay_input input;
};

static struct relay relay;
static GList *connections;

static void close_client(struct connection *connection) {
  connections = g_list_remove(connections, connection);
  if (connection->source != 0) g_source_remove(connection->source);
  close(connection->socket);
  g_free(connection);
}

static gboolean on_read(gint socket, GIOCondition condition, gpointer data) {
  struct connection *connection = data;
  struct relay_input *input = &connection->input;
  ssize_t got = recv(socket, input->bytes + input->length, sizeof input->bytes - input->length, 0);
  int result = 0;
  (void)condition;
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return G_SOURCE_CONTINUE;
  if (got > 0) {
    input->length += (size_t)got;
    result = relay_publish(&relay, input);
  }
  if (got > 0 && result == 0) return G_SOURCE_CONTINUE;
  connection->source = 0; /* returning G_SOURCE_REMOVE removes it */
  if (result != 1) close_client(connection);
  return G_SOURCE_REMOVE;
}

static gboolean on_connection(gint listener, GIOCondition condition, gpointer unused) {
  int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  (void)condition, (void)unused;
  if (client >= 0) {
    struct connection *connection = g_new0(struct connection, 1);
    connection->socket = client;
    connection->source = g_unix_fd_add(client, G_IO_IN | G_IO_HUP, on_read, connection);
    connections = g_list_prepend(connections, connection);
  }
  return G_SOURCE_CONTINUE;
}

/* The publisher has reports, or space. */
static gboolean on_publisher(gint descriptor, GIOCondition condition, gpointer unused) {
  GList *link, *next;
  (void)descriptor, (void)condition, (void)unused;
  relay_reports(&relay);
  for (link = connections; link != NULL; link = next) {
    struct connection *connection = link->data;
    next = link->next;
    if (!connection->input.paused) continue;
    switch (relay_publish(&relay, &connection->input)) {
      case -1: close_client(connection); break;
      case 0: connection->source = g_unix_fd_add(connection->socket, G_IO_IN | G_IO_HUP, on_read, connection); break;
      default: return G_SOURCE_CONTINUE; /* full again */
    }
  }
  return G_SOURCE_CONTINUE;
}

static gboolean on_signal(gpointer loop) {
  g_main_loop_quit(loop);
  return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv) {
  GMainLoop *loop;
  guint sources[4];
  size_t i;
  int listener;
  if (argc != 4) {
    fputs("usage: relay_glib PORT CHANNEL EVENT\n", stderr);
    return 1;
  }
  if (relay_open(&relay, argv[2], argv[3]) != 0) return 1;
  if ((listener = relay_listen(argv[1])) < 0) return 1;
  loop = g_main_loop_new(NULL, FALSE);
  sources[0] = g_unix_fd_add(listener, G_IO_IN, on_connection, NULL);
  sources[1] = g_unix_fd_add(relay.descriptor, G_IO_IN, on_publisher, NULL);
  sources[2] = g_unix_signal_add(SIGTERM, on_signal, loop);
  sources[3] = g_unix_signal_add(SIGINT, on_signal, loop);
  g_main_loop_run(loop);

  while (connections != NULL) close_client(connections->data);
  for (i = 0; i < G_N_ELEMENTS(sources); i++) g_source_remove(sources[i]);
  g_main_loop_unref(loop);
  close(listener);
  return relay_close(&relay);
}
