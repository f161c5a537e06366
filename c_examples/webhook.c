/* Receives webhooks, and prints the events of authentic ones, one per line.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   webhook [--port N] [--config CONFIG]
 *
 * The signature covers the bytes of the body, so pass the body to the library as it was received, before decoding it.
 * Respond soon, with 200 once the events are stored: Channels retries a webhook after any other response. It may also
 * send a webhook twice or late. Put this endpoint behind TLS. */
#define _POSIX_C_SOURCE 200809L
#include <pusher.h>

#include "http.h"

/* Returns the closing quote of a JSON string. */
static const char *string_end(const char *quote) {
  const char *at = quote + 1;
  while (*at != '"') at += *at == '\\' ? 2 : 1;
  return at;
}

/* Prints each element of the array "events" on a line. The library has checked that the document is JSON. A program
 * with a JSON library would parse it instead. */
static void print_events(const char *document) {
  int depth = 0, in_events = 0;
  const char *event = NULL;
  for (const char *at = document; *at != '\0'; at++) {
    if (*at == '"') {
      const char *end = string_end(at);
      /* The last string before an array is its key. */
      if (depth == 1) in_events = end - at == 7 && strncmp(at, "\"events", 7) == 0;
      at = end;
    } else if (*at == '{' || *at == '[') {
      if (++depth == 3 && in_events) event = at;
    } else if (*at == '}' || *at == ']') {
      if (depth-- == 3 && event != NULL) {
        for (; event <= at; event++) {
          if ((unsigned char)*event >= ' ') putchar(*event); /* leaves out white space between values */
        }
        putchar('\n');
        event = NULL;
      }
    }
  }
  fflush(stdout);
}

static void receive(void *context, const HttpRequest *request, int peer) {
  const Pusher *client = context;
  char *document;
  char message[512];
  if (strcmp(request->method, "POST") != 0) {
    http_answer(peer, 405, "{\"error\":\"use POST\"}");
    return;
  }
  /* If a header is missing, it is NULL, and the webhook is not authentic. */
  PusherStatus status =
      pusher_validate_webhook(client, http_header(request, "X-Pusher-Key"), http_header(request, "X-Pusher-Signature"),
                              request->body, request->body_len, &document);
  if (status == PUSHER_STATUS_OK) {
    print_events(document);
    http_answer(peer, 200, "{}");
  } else {
    pusher_error_message(document, message, sizeof message);
    fprintf(stderr, "webhook: %s: %s\n", pusher_status_name(status), message);
    http_answer(peer, status == PUSHER_STATUS_WEBHOOK_INVALID ? 401 : 500, "{\"error\":\"not accepted\"}");
  }
  pusher_string_free(document);
}

int main(int argc, char **argv) {
  const char *config = NULL;
  int port = 8081, code;
  Pusher *client;
  char *document;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 < argc && strcmp(argv[i], "--port") == 0) {
      port = http_port(argv[i + 1]);
    } else if (i + 1 < argc && strcmp(argv[i], "--config") == 0) {
      config = argv[i + 1];
    } else {
      port = -1;
    }
  }
  if (port < 0) {
    fputs("usage: webhook [--port N] [--config CONFIG]\n", stderr);
    return 2;
  }
  if (pusher_new(config, &client, &document) != PUSHER_STATUS_OK) {
    fprintf(stderr, "webhook: %s\n", document);
    pusher_string_free(document);
    return 1;
  }
  code = http_serve(port, receive, client);
  pusher_free(client);
  return code;
}
