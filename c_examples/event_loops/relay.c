#define _POSIX_C_SOURCE 200809L
#include "relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The time limit of closing. */
enum { PATIENCE_MS = 10000 };

static int print_error(char *error) {
  fprintf(stderr, "relay: %s\n", error);
  pusher_string_free(error);
  return -1;
}

int relay_open(struct relay *relay, const char *channel, const char *event) {
  Pusher *client;
  PusherStatus status;
  intptr_t descriptor;
  char *out;
  relay->channel = channel;
  relay->event = event;
  if (pusher_new(NULL, &client, &out) != PUSHER_STATUS_OK) return print_error(out);
  status = pusher_publisher_new(client, "{\"max_queue_events\":1000}", &relay->publisher, &out);
  pusher_free(client); /* the publisher keeps what it needs of the client */
  if (status != PUSHER_STATUS_OK) return print_error(out);
  if (pusher_publisher_fd(relay->publisher, &descriptor, &out) != PUSHER_STATUS_OK) {
    pusher_publisher_free(relay->publisher);
    return print_error(out);
  }
  relay->descriptor = (int)descriptor;
  return 0;
}

/* Publishes one line. Returns whether the queue had space. */
static int publish_line(struct relay *relay, const char *line, size_t length) {
  PusherStatus status;
  char *data, *error;
  /* A payload is JSON: a line becomes a JSON string. */
  if (pusher_json_string(line, length, &data) != PUSHER_STATUS_OK) {
    print_error(data); /* it is not UTF-8 */
    return 1;
  }
  status = pusher_publisher_publish(relay->publisher, relay->channel, relay->event, data, NULL, NULL, &error);
  pusher_string_free(data);
  if (status == PUSHER_STATUS_OK) return 1;
  if (status == PUSHER_STATUS_QUEUE_FULL) {
    pusher_string_free(error);
    return 0;
  }
  print_error(error); /* the line is no valid event, for example because it is too long */
  return 1;
}

int relay_publish(struct relay *relay, struct relay_input *input) {
  char *start = input->bytes, *newline;
  size_t length = input->length;
  input->paused = 0;
  while (!input->paused && (newline = memchr(start, '\n', length)) != NULL) {
    if (!publish_line(relay, start, (size_t)(newline - start))) {
      input->paused = 1;
    } else {
      length -= (size_t)(newline + 1 - start);
      start = newline + 1;
    }
  }
  memmove(input->bytes, start, length);
  input->length = length;
  if (input->paused) return 1;
  return length == sizeof input->bytes ? -1 : 0;
}

void relay_reports(struct relay *relay) {
  char *out;
  PusherStatus status;
  while ((status = pusher_publisher_poll(relay->publisher, 0, &out)) == PUSHER_STATUS_OK) {
    puts(out);
    pusher_string_free(out);
  }
  if (status != PUSHER_STATUS_TIMED_OUT) print_error(out);
}

int relay_close(struct relay *relay) {
  char *out;
  PusherStatus status = pusher_publisher_close(relay->publisher, PATIENCE_MS, &out);
  if (status != PUSHER_STATUS_OK) print_error(out);
  relay_reports(relay);
  if (pusher_publisher_stats(relay->publisher, &out) == PUSHER_STATUS_OK) puts(out);
  pusher_string_free(out);
  pusher_publisher_free(relay->publisher);
  return status != PUSHER_STATUS_OK;
}

int relay_listen(const char *port) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_port = htons((uint16_t)atoi(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, SOMAXCONN) != 0 ||
      fcntl(listener, F_SETFL, O_NONBLOCK) != 0 || getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
    perror("relay: listening failed");
    return -1;
  }
  printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}
