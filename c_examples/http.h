/* A very small HTTP server for the examples: POSIX sockets, one request at a time, one request per connection.
 *
 * A real program uses its web framework instead. This server does what the examples need, has limits, and gives each
 * peer a few seconds. Include it in one source file of a program. */
#ifndef EXAMPLES_HTTP_H
#define EXAMPLES_HTTP_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "listen.h"

enum { HTTP_MAX_HEAD = 16 * 1024, HTTP_MAX_BODY = 1024 * 1024, HTTP_MAX_HEADERS = 64, HTTP_SECONDS = 10 };

typedef struct {
  const char *method;
  const char *path; /* as received, without the query */
  struct {
    const char *name, *value;
  } headers[HTTP_MAX_HEADERS];
  size_t header_count;
  const unsigned char *body; /* the raw bytes; a NUL follows them */
  size_t body_len;
} HttpRequest;

/* Handles a request: calls http_answer() once. */
typedef void (*HttpHandler)(void *context, const HttpRequest *request, int peer);

/* Returns the value of a header, NULL if the request does not have it. */
static const char *http_header(const HttpRequest *request, const char *name) {
  for (size_t i = 0; i < request->header_count; i++) {
    if (strcasecmp(request->headers[i].name, name) == 0) return request->headers[i].value;
  }
  return NULL;
}

static const char *http_reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    default: return "Internal Server Error";
  }
}

static void http_send(int peer, const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t sent = send(peer, bytes, count, 0);
    if (sent <= 0) return;
    bytes += sent;
    count -= (size_t)sent;
  }
}

/* Sends a response with a JSON body. */
static void http_answer(int peer, int status, const char *json) {
  char head[256];
  int length = snprintf(head, sizeof head,
                        "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                        "Connection: close\r\n\r\n",
                        status, http_reason(status), strlen(json));
  http_send(peer, head, (size_t)length);
  http_send(peer, json, strlen(json));
}

/* Reads until there are `wanted` bytes or, if `end` is not NULL, until `end` arrives. Returns 0 if the peer closes or
 * is slow. */
static int http_read(int peer, char *buffer, size_t *length, size_t wanted, const char *end, time_t deadline) {
  while (*length < wanted && (end == NULL || strstr(buffer, end) == NULL)) {
    ssize_t got = recv(peer, buffer + *length, wanted - *length, 0);
    if (got <= 0 || time(NULL) > deadline) return 0;
    *length += (size_t)got;
    buffer[*length] = '\0';
  }
  return 1;
}

/* Parses the head in place. Returns 0 if it is not HTTP. */
static int http_parse(char *head, HttpRequest *request) {
  char *line = head, *next = strstr(head, "\r\n"), *target, *colon;
  *next = '\0';
  target = strchr(line, ' ');
  if (target == NULL || strstr(target, " HTTP/1.") == NULL) return 0;
  *target++ = '\0';
  target[strcspn(target, " ?")] = '\0';
  request->method = line;
  request->path = target;
  for (line = next + 2; *line != '\0'; line = next + 2) {
    next = strstr(line, "\r\n");
    if (next == NULL) break;
    *next = '\0';
    colon = strchr(line, ':');
    if (colon == NULL || request->header_count == HTTP_MAX_HEADERS) return 0;
    *colon++ = '\0';
    request->headers[request->header_count].name = line;
    request->headers[request->header_count].value = colon + strspn(colon, " \t");
    request->header_count++;
  }
  return 1;
}

static void http_serve_one(int peer, HttpHandler handler, void *context) {
  static char head[HTTP_MAX_HEAD + 1], body[HTTP_MAX_BODY + 1];
  HttpRequest request = {0};
  size_t length = 0, in_body, declared;
  const char *value;
  char *end;
  time_t deadline = time(NULL) + HTTP_SECONDS;

  head[0] = '\0';
  if (!http_read(peer, head, &length, HTTP_MAX_HEAD, "\r\n\r\n", deadline)) return;
  end = strstr(head, "\r\n\r\n");
  if (end == NULL) {
    http_answer(peer, 413, "{\"error\":\"the head of the request is too long\"}");
    return;
  }
  end[2] = '\0'; /* keep the line end of the last header */
  end += 4;
  in_body = length - (size_t)(end - head);
  if (!http_parse(head, &request)) {
    http_answer(peer, 400, "{\"error\":\"not an HTTP/1.1 request\"}");
    return;
  }

  value = http_header(&request, "Content-Length");
  if (value == NULL && (http_header(&request, "Transfer-Encoding") != NULL || strcmp(request.method, "POST") == 0)) {
    http_answer(peer, 411, "{\"error\":\"Content-Length is missing\"}");
    return;
  }
  declared = value == NULL ? 0 : (size_t)strtoul(value, NULL, 10);
  if (declared > HTTP_MAX_BODY) {
    http_answer(peer, 413, "{\"error\":\"the body is too long\"}");
    return;
  }
  if (in_body > declared) in_body = declared;
  memcpy(body, end, in_body);
  if (!http_read(peer, body, &in_body, declared, NULL, deadline)) return;
  body[declared] = '\0';
  request.body = (const unsigned char *)body;
  request.body_len = declared;
  handler(context, &request, peer);
}

/* Closes a connection so that the peer can read the response. If bytes of the peer are unread at close(), the kernel
 * sends a reset, and the peer may lose the response. */
static void http_close(int peer) {
  char rest[4096];
  struct timeval second = {1, 0};
  shutdown(peer, SHUT_WR);
  setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
  for (int i = 0; i < 1024 && recv(peer, rest, sizeof rest, 0) > 0; i++) continue;
  close(peer);
}

static volatile sig_atomic_t http_stopped;

static void http_stop(int signal_number) {
  (void)signal_number;
  http_stopped = 1;
}

/* Serves on 127.0.0.1 until SIGINT or SIGTERM. Port 0 takes a free one. Prints the address to standard output, as a
 * line "listening on http://127.0.0.1:PORT". Returns 0 when it was stopped, 1 with a message when it can't listen. */
static int http_serve(int port, HttpHandler handler, void *context) {
  struct timeval slowest = {HTTP_SECONDS, 0};
  struct sigaction action = {0};
  sigset_t blocked, before;
  int taken, listener = listen_on(port, &taken);

  if (listener < 0) {
    perror("can't listen");
    return 1;
  }
  printf("listening on http://127.0.0.1:%d\n", taken);
  fflush(stdout);

  signal(SIGPIPE, SIG_IGN); /* a peer that disconnects must not end this program */
  /* The signals are unblocked only in pselect(), so none is missed, and none interrupts a response. */
  action.sa_handler = http_stop;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, &before);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  while (!http_stopped) {
    fd_set readable;
    int peer;
    FD_ZERO(&readable);
    FD_SET(listener, &readable);
    if (pselect(listener + 1, &readable, NULL, NULL, NULL, &before) <= 0) continue;
    peer = accept(listener, NULL, NULL);
    if (peer < 0) continue;
    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &slowest, sizeof slowest);
    setsockopt(peer, SOL_SOCKET, SO_SNDTIMEO, &slowest, sizeof slowest);
    http_serve_one(peer, handler, context);
    http_close(peer);
  }
  close(listener);
  return 0;
}

/* Parses a port number. Returns -1 if it is invalid. */
static int http_port(const char *text) {
  char *end;
  long port = strtol(text, &end, 10);
  return *text != '\0' && *end == '\0' && port >= 0 && port <= 65535 ? (int)port : -1;
}

#endif
