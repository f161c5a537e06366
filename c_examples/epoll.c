/* Keeps many requests in flight on one thread, over sockets of its own and without an HTTP client: the library writes
 * each request and reads each response, and this program moves the bytes.
 *
 *   export PUSHER_URL=http://KEY:SECRET@localhost:6001/apps/ID
 *   epoll my-channel my-event COUNT
 *
 * It triggers COUNT events with the payloads {"n":0}, {"n":1}…, up to 32 at a time and in no fixed order. It prints how
 * many were delivered, and exits with 0 if all were. For https:// pass the bytes through your TLS library: the host of
 * the request is the name in the certificate. */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <pusher.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { AT_ONCE = 32, TICK_MS = 100 };

/* One request in flight. A slot is reused for the next one. */
typedef struct {
  PusherRequest *request;
  PusherResponse *response;
  const uint8_t *bytes;
  size_t size, sent;
  int socket;
} Exchange;

static struct {
  Pusher *client;
  const char *channel, *event;
  struct addrinfo *address;
  int loop, count, started, finished;
  int became[PUSHER_DELIVERY_DELIVERED + 1]; /* number of events by PusherDelivery */
} run;

/* Counts how an event ended. */
static void count(PusherStatus status, char *document) {
  int32_t delivery = status == PUSHER_STATUS_OK ? PUSHER_DELIVERY_DELIVERED : pusher_error_delivery(document);
  run.became[delivery == 0 ? PUSHER_DELIVERY_NOT_SENT : delivery]++;
  run.finished++;
  if (status != PUSHER_STATUS_OK) fprintf(stderr, "%s\n", document);
  pusher_string_free(document);
}

/* Ends an exchange. `cause` is NULL after pusher_response_feed() has judged what came. */
static void finish(Exchange *exchange, const char *cause) {
  int is_sent = exchange->sent > 0 && exchange->sent == exchange->size;
  const char *why = cause != NULL ? cause : exchange->sent > 0 ? "write" : "connect";
  char *document;
  PusherStatus status;
  /* A server may answer before it has the whole request: that is no success. */
  if (cause != NULL || !is_sent) {
    pusher_response_fail(exchange->response, is_sent ? PUSHER_DELIVERY_UNKNOWN : PUSHER_DELIVERY_NOT_SENT, why, NULL);
  }
  status = pusher_finish(run.client, exchange->request, exchange->response, &document);
  count(status, document);
  if (exchange->socket >= 0) close(exchange->socket);
  pusher_request_free(exchange->request);
  pusher_response_free(exchange->response);
  exchange->request = NULL;
}

/* Looks the host up once: all requests go to the same one. (A real program tries each of its addresses.) */
static int look_up(const PusherRequest *request) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  char port[8];
  snprintf(port, sizeof port, "%d", pusher_request_port(request));
  return run.address != NULL || getaddrinfo(pusher_request_host(request), port, &hints, &run.address) == 0;
}

/* Starts the next event in a free slot. */
static void start(Exchange *exchange) {
  char data[32], *document;
  const char *arguments[] = {run.channel, run.event, data};
  struct epoll_event both = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = exchange};
  PusherStatus status;
  snprintf(data, sizeof data, "{\"n\":%d}", run.started++);
  status = pusher_prepare(run.client, "trigger", arguments, 3, &exchange->request, &document);
  if (status != PUSHER_STATUS_OK) {
    count(status, document);
    return;
  }
  exchange->response = pusher_response_new();
  exchange->bytes = pusher_request_bytes(exchange->request, &exchange->size);
  exchange->sent = 0;
  exchange->socket = -1;
  if (exchange->bytes == NULL) {
    finish(exchange, "transport");
  } else if (pusher_request_tls(exchange->request)) {
    finish(exchange, "tls");
  } else if (!look_up(exchange->request)) {
    finish(exchange, "dns");
  } else if ((exchange->socket = socket(run.address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0 ||
             epoll_ctl(run.loop, EPOLL_CTL_ADD, exchange->socket, &both) != 0 ||
             (connect(exchange->socket, run.address->ai_addr, run.address->ai_addrlen) != 0 && errno != EINPROGRESS)) {
    finish(exchange, "connect");
  }
}

/* Moves bytes until the kernel has no more to take or to give. */
static void move(Exchange *exchange) {
  uint8_t buffer[4096];
  ssize_t length;
  int fed = 0;
  while (exchange->sent < exchange->size) {
    length = send(exchange->socket, exchange->bytes + exchange->sent, exchange->size - exchange->sent, MSG_NOSIGNAL);
    if (length < 0) break; /* if the connection broke, reading it says so, after what the server still said */
    exchange->sent += (size_t)length;
  }
  while (fed == 0 && (length = recv(exchange->socket, buffer, sizeof buffer, 0)) >= 0) {
    fed = pusher_response_feed(exchange->response, buffer, (size_t)length, NULL);
  }
  if (fed != 0) {
    finish(exchange, NULL);
  } else if (errno != EAGAIN && errno != ENOTCONN) {
    finish(exchange, exchange->sent > 0 ? "reset" : "connect");
  }
}

int main(int argc, char **argv) {
  Exchange exchanges[AT_ONCE] = {{0}};
  char *error;
  if (argc != 4 || (run.count = atoi(argv[3])) < 1) {
    fputs("usage: epoll CHANNEL EVENT COUNT\n", stderr);
    return 2;
  }
  run.channel = argv[1];
  run.event = argv[2];
  run.loop = epoll_create1(EPOLL_CLOEXEC);
  if (run.loop < 0 || pusher_new(NULL, &run.client, &error) != PUSHER_STATUS_OK) {
    fprintf(stderr, "epoll: %s\n", run.loop < 0 ? "no epoll" : error);
    if (run.loop >= 0) pusher_string_free(error);
    return 1;
  }
  while (run.finished < run.count) {
    struct epoll_event ready[AT_ONCE];
    int events;
    for (int i = 0; i < AT_ONCE; i++) {
      /* At 0 the time of the call is over. */
      if (exchanges[i].request != NULL && pusher_request_timeout_ms(exchanges[i].request) == 0) {
        finish(&exchanges[i], "timeout");
      }
      if (exchanges[i].request == NULL && run.started < run.count) start(&exchanges[i]);
    }
    events = epoll_wait(run.loop, ready, AT_ONCE, TICK_MS);
    for (int i = 0; i < events; i++) move(ready[i].data.ptr);
  }
  printf("%d delivered, %d not sent, %d rejected, %d unknown\n", run.became[PUSHER_DELIVERY_DELIVERED],
         run.became[PUSHER_DELIVERY_NOT_SENT], run.became[PUSHER_DELIVERY_REJECTED],
         run.became[PUSHER_DELIVERY_UNKNOWN]);
  if (run.address != NULL) freeaddrinfo(run.address);
  close(run.loop);
  pusher_free(run.client);
  return run.became[PUSHER_DELIVERY_DELIVERED] == run.count ? 0 : 1;
}
