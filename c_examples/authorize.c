/* An authorization endpoint: decides which user may subscribe to which channel, and signs who the user is.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   authorize [--port N] [--config CONFIG] TOKEN=USER…
 *
 * pusher-js posts a form, `socket_id=…&channel_name=…`:
 *
 *   new Pusher(KEY, {
 *     channelAuthorization: { endpoint: 'http://127.0.0.1:8080/pusher/auth', headers: { Authorization: 'Bearer TOKEN' } },
 *     userAuthentication: { endpoint: 'http://127.0.0.1:8080/pusher/user-auth', headers: { Authorization: 'Bearer TOKEN' } },
 *   });
 *
 * A signature permits a subscription, and the library signs every request. So a real application does this before it
 * calls the library:
 *
 * 1. It identifies the user by its own session (here: the tokens of the command line), never by a value in the request.
 * 2. It decides whether that user may see that channel (here: may_subscribe()).
 * 3. It protects a session cookie against requests from other sites (CSRF), as for every other POST.
 * 4. It uses TLS. A page on another origin also needs CORS headers. */
#define _POSIX_C_SOURCE 200809L
#include <pusher.h>

#include "http.h"

enum { MAX_FIELD = 512, MAX_USER = 64 };

typedef struct {
  Pusher *client;
  char **sessions; /* TOKEN=USER */
  int session_count;
} Application;

/* Returns the user of this session, NULL if there is none. */
static const char *user_of(const Application *application, const HttpRequest *request) {
  const char *given = http_header(request, "Authorization");
  if (given == NULL || strncmp(given, "Bearer ", 7) != 0) return NULL;
  given += 7;
  for (int i = 0; i < application->session_count; i++) {
    const char *session = application->sessions[i], *user = strchr(session, '=') + 1;
    size_t length = (size_t)(user - 1 - session);
    if (strlen(given) == length && memcmp(given, session, length) == 0) return user;
  }
  return NULL;
}

/* Your rule. Here every user may see every channel, except private-user-NAME, which only NAME may see. */
static int may_subscribe(const char *user, const char *channel) {
  static const char own[] = "private-user-";
  return strncmp(channel, own, sizeof own - 1) != 0 || strcmp(channel + sizeof own - 1, user) == 0;
}

/* Returns the value of a hexadecimal digit, -1 for another character. */
static int digit(char c) {
  const char *digits = "0123456789abcdef0123456789ABCDEF", *at = c == '\0' ? NULL : strchr(digits, c);
  return at == NULL ? -1 : (int)(at - digits) % 16;
}

/* Reads and decodes a field of a form. Returns 0 if it is missing, too long or malformed. The name must be unencoded in
 * the form, as pusher-js sends it. */
static int form_field(const char *form, const char *name, char value[MAX_FIELD]) {
  size_t length = strlen(name), used = 0;
  const char *at = form;
  while (strncmp(at, name, length) != 0 || at[length] != '=') {
    at = strchr(at, '&');
    if (at == NULL) return 0;
    at++;
  }
  for (at += length + 1; *at != '\0' && *at != '&'; at++) {
    char c = *at == '+' ? ' ' : *at;
    if (*at == '%') {
      int high = digit(at[1]), low = high < 0 ? -1 : digit(at[2]);
      if (low < 0) return 0;
      c = (char)(high * 16 + low);
      at += 2;
    }
    /* A C string ends at a NUL, so the name that is checked would not be the name that was sent. */
    if (c == '\0' || used == MAX_FIELD - 1) return 0;
    value[used++] = c;
  }
  value[used] = '\0';
  return 1;
}

static void answer(void *context, const HttpRequest *request, int peer) {
  const Application *application = context;
  const char *form = (const char *)request->body, *user = user_of(application, request);
  char socket_id[MAX_FIELD], channel[MAX_FIELD], data[128 + 2 * 6 * MAX_USER]; /* an escape has up to 6 characters */
  char *document;
  PusherStatus status;
  int user_auth = strcmp(request->path, "/pusher/user-auth") == 0;

  if (!user_auth && strcmp(request->path, "/pusher/auth") != 0) {
    http_answer(peer, 404, "{\"error\":\"not found\"}");
    return;
  }
  if (strcmp(request->method, "POST") != 0) {
    http_answer(peer, 405, "{\"error\":\"use POST\"}");
    return;
  }
  if (user == NULL) {
    http_answer(peer, 401, "{\"error\":\"sign in first\"}");
    return;
  }
  if (strlen(form) != request->body_len || !form_field(form, "socket_id", socket_id) ||
      (!user_auth && !form_field(form, "channel_name", channel))) {
    http_answer(peer, 400, "{\"error\":\"socket_id or channel_name is missing or malformed\"}");
    return;
  }
  if (!user_auth && !may_subscribe(user, channel)) {
    http_answer(peer, 403, "{\"error\":\"this channel is not yours\"}");
    return;
  }

  /* A name may have quotation marks in it. */
  status = pusher_json_string(user, strlen(user), &document);
  if (status == PUSHER_STATUS_OK) {
    char *name = document;
    if (user_auth) {
      snprintf(data, sizeof data, "{\"id\":%s,\"user_info\":{\"name\":%s}}", name, name);
      status = pusher_authenticate_user(application->client, socket_id, data, &document);
    } else if (strncmp(channel, "presence-", 9) == 0) {
      snprintf(data, sizeof data, "{\"user_id\":%s,\"user_info\":{\"name\":%s}}", name, name);
      status = pusher_authenticate(application->client, channel, socket_id, data, &document);
    } else {
      status = pusher_authenticate(application->client, channel, socket_id, NULL, &document);
    }
    pusher_string_free(name);
  }
  if (status == PUSHER_STATUS_OK) {
    http_answer(peer, 200, document);
  } else if (status == PUSHER_STATUS_INVALID_ARGUMENT) {
    http_answer(peer, 400, document); /* the socket id is malformed, or the channel needs no authorization */
  } else {
    fprintf(stderr, "authorize: %s\n", document);
    http_answer(peer, 500, "{\"error\":\"internal error\"}");
  }
  pusher_string_free(document);
}

/* TOKEN=USER: the token may have the characters of a header value, the user those of any name. */
static int is_session(const char *text) {
  const char *user = strchr(text, '=');
  return user != NULL && user != text && user[1] != '\0' && strlen(user + 1) <= MAX_USER;
}

int main(int argc, char **argv) {
  Application application = {0};
  const char *config = NULL;
  char *document;
  int port = 8080, code, i = 1, sound;
  for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
    if (strcmp(argv[i], "--port") == 0) {
      port = http_port(argv[i + 1]);
    } else if (strcmp(argv[i], "--config") == 0) {
      config = argv[i + 1];
    } else {
      port = -1;
    }
  }
  application.sessions = argv + i;
  application.session_count = argc - i;
  sound = port >= 0 && application.session_count > 0;
  for (; i < argc; i++) sound = sound && is_session(argv[i]);
  if (!sound) {
    fputs("usage: authorize [--port N] [--config CONFIG] TOKEN=USER...\n", stderr);
    return 2;
  }
  if (pusher_new(config, &application.client, &document) != PUSHER_STATUS_OK) {
    fprintf(stderr, "authorize: %s\n", document);
    pusher_string_free(document);
    return 1;
  }
  code = http_serve(port, answer, &application);
  pusher_free(application.client);
  return code;
}
