#define _POSIX_C_SOURCE 200809L
#include "web.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../listen.h"

enum {
  MAX_FORM = 16 * 1024,
  MAX_WEBHOOK = 1024 * 1024,
  MAX_FILE = 4 * 1024 * 1024,
  MAX_CONNECTIONS = 256, /* each has a thread, because a request may wait for Channels */
  IDLE_SECONDS = 15,
  STOP_SECONDS = 10,
  FIELD_SIZE = 4096
};

/* The fields of the forms. */
enum { NAME, TEXT, TO, SOCKET_ID, CHANNEL_NAME, FIELD_COUNT };
static const char *const field_names[FIELD_COUNT] = {"name", "text", "to", "socket_id", "channel_name"};

typedef struct {
  char field[FIELD_COUNT][FIELD_SIZE];
  size_t length[FIELD_COUNT];
  int given[FIELD_COUNT];
  int wrong;
} Form;

struct Web {
  Room *room;
  People *people;
  struct MHD_Daemon *daemon;
  int port, secure;
  char origin[256], cookie[32];
  struct MHD_Response *page, *style, *script, *pusher_js;
  pthread_mutex_t lock;
  pthread_cond_t idle;
  int requests; /* being handled now */
};

typedef struct {
  struct MHD_Connection *connection;
  const struct Route *route;
  uint8_t *body;
  size_t length, room;
  Person person; /* the person of the session, if the route requires one */
  const char *token;
  char *new_cookie; /* set with the response */
} Request;

typedef Answer (*Handler)(Web *web, Request *request, const Form *form);

/* Which requests a route accepts. */
typedef enum {
  FOR_ALL,     /* reading without side effects */
  FOR_PAGE,    /* a POST from our page: browsers send the origin, and other origins are refused */
  FOR_PERSON,  /* the same, with a session */
  FOR_CHANNELS /* webhooks: signed instead, with a raw body */
} Audience;

typedef struct Route {
  const char *method, *path;
  Audience audience;
  Handler handler;
  unsigned needs; /* fields, as bits */
} Route;

/* --- routes --- */

static Answer session(Web *web, Request *request, const Form *form) {
  Person person;
  (void)form;
  return room_introduce(web->room, people_of_token(web->people, request->token, &person) ? &person : NULL);
}

/* Scripts cannot read the session cookie, other sites cannot use it, and with TLS it is never sent in the clear. */
static int set_cookie(const Web *web, Request *request, const char *token) {
  size_t size = SESSION_TOKEN_SIZE + 128;
  request->new_cookie = malloc(size);
  if (request->new_cookie == NULL) return 0;
  snprintf(request->new_cookie, size, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s", web->cookie, token,
           web->secure ? "; Secure" : "", *token == '\0' ? "; Max-Age=0" : "");
  return 1;
}

static Answer sign_in(Web *web, Request *request, const Form *form) {
  char token[SESSION_TOKEN_SIZE];
  Person person, former;
  switch (people_sign_in(web->people, form->field[NAME], &person, token)) {
    case SIGNED_IN: break;
    case NAME_WRONG: return answer_error(400, "a name has 1 to 40 characters, and no space around it");
    case NAME_TAKEN: return answer_error(409, "this name is taken");
    case HOUSE_FULL: return answer_error(503, "the chat is full");
    default: return answer_error(500, "internal error");
  }
  /* End the former session of this browser. */
  if (people_of_token(web->people, request->token, &former)) {
    people_sign_out(web->people, request->token);
    room_leave(web->room, &former);
  }
  if (!set_cookie(web, request, token)) return answer_error(500, "internal error");
  return room_introduce(web->room, &person);
}

static Answer sign_out(Web *web, Request *request, const Form *form) {
  (void)form;
  people_sign_out(web->people, request->token);
  room_leave(web->room, &request->person);
  set_cookie(web, request, "");
  return room_introduce(web->room, NULL);
}

static Answer say(Web *web, Request *request, const Form *form) {
  return room_say(web->room, &request->person, form->field[TEXT]);
}

static Answer wave(Web *web, Request *request, const Form *form) {
  return room_wave(web->room, &request->person, form->field[TO]);
}

static Answer user_auth(Web *web, Request *request, const Form *form) {
  return room_authenticate(web->room, &request->person, form->field[SOCKET_ID]);
}

static Answer channel_auth(Web *web, Request *request, const Form *form) {
  return room_authorize(web->room, &request->person, form->field[SOCKET_ID], form->field[CHANNEL_NAME]);
}

static const char *header(const Request *request, const char *name) {
  return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static Answer webhook(Web *web, Request *request, const Form *form) {
  (void)form;
  /* If a header is missing, it is NULL, and the webhook is not authentic. */
  return room_webhook(web->room, header(request, "X-Pusher-Key"), header(request, "X-Pusher-Signature"), request->body,
                      request->length);
}

static const Route routes[] = {
    {"GET", "/session", FOR_ALL, session, 0},
    {"POST", "/sign-in", FOR_PAGE, sign_in, 1u << NAME},
    {"POST", "/sign-out", FOR_PERSON, sign_out, 0},
    {"POST", "/say", FOR_PERSON, say, 1u << TEXT},
    {"POST", "/wave", FOR_PERSON, wave, 1u << TO},
    {"POST", "/pusher/user-auth", FOR_PERSON, user_auth, 1u << SOCKET_ID},
    {"POST", "/pusher/auth", FOR_PERSON, channel_auth, 1u << SOCKET_ID | 1u << CHANNEL_NAME},
    {"POST", "/webhook", FOR_CHANNELS, webhook, 0},
};

/* --- responding --- */

static enum MHD_Result send_answer(Request *request, Answer answer) {
  struct MHD_Response *response;
  enum MHD_Result result;
  if (answer.json == NULL) return MHD_NO; /* out of memory: closes the connection */
  response = MHD_create_response_from_buffer(strlen(answer.json), answer.json, MHD_RESPMEM_MUST_FREE);
  if (response == NULL) {
    free(answer.json);
    return MHD_NO;
  }
  MHD_add_response_header(response, "Content-Type", "application/json");
  MHD_add_response_header(response, "Cache-Control", "no-store");
  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
  if (request->new_cookie != NULL) MHD_add_response_header(response, "Set-Cookie", request->new_cookie);
  result = MHD_queue_response(request->connection, answer.status, response);
  MHD_destroy_response(response);
  return result;
}

/* Stores a part of a form field. */
static enum MHD_Result take_field(void *context, enum MHD_ValueKind kind, const char *key, const char *filename,
                                  const char *content_type, const char *encoding, const char *data, uint64_t offset,
                                  size_t size) {
  Form *form = context;
  int i = 0;
  (void)kind, (void)filename, (void)content_type, (void)encoding;
  while (i < FIELD_COUNT && strcmp(field_names[i], key) != 0) i++;
  if (i == FIELD_COUNT) return MHD_YES;
  /* Another program may read a repeated field differently, and a C string ends at a NUL: the check
   * and the use could see different values. */
  if ((offset == 0 && form->given[i]) || offset != form->length[i] || size >= FIELD_SIZE - form->length[i] ||
      (size > 0 && memchr(data, '\0', size) != NULL)) {
    form->wrong = 1;
    return MHD_NO;
  }
  form->given[i] = 1;
  if (size > 0) memcpy(form->field[i] + form->length[i], data, size);
  form->length[i] += size;
  return MHD_YES;
}

/* Reads the fields of a form. Returns 0 if it is malformed or a field is missing. */
static int read_form(Request *request, Form *form) {
  struct MHD_PostProcessor *processor = MHD_create_post_processor(request->connection, 1024, take_field, form);
  int sound;
  if (processor == NULL) return 0;
  sound = request->length == 0 || MHD_post_process(processor, (const char *)request->body, request->length) == MHD_YES;
  sound = MHD_destroy_post_processor(processor) == MHD_YES && sound && !form->wrong;
  for (int i = 0; i < FIELD_COUNT; i++) {
    if ((request->route->needs >> i & 1) && !form->given[i]) sound = 0;
  }
  return sound;
}

/* Handles a complete request. */
static Answer answer_request(Web *web, Request *request) {
  const Route *route = request->route;
  const char *origin = header(request, "Origin");
  Form *form;
  Answer answer;
  if ((route->audience == FOR_PAGE || route->audience == FOR_PERSON) &&
      (origin == NULL || strcmp(origin, web->origin) != 0)) {
    return answer_error(403, "only the page of this chat may send this request");
  }
  request->token = MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, web->cookie);
  if (route->audience == FOR_PERSON && !people_of_token(web->people, request->token, &request->person)) {
    return answer_error(401, "sign in first");
  }
  if (route->needs == 0) return route->handler(web, request, NULL);
  form = calloc(1, sizeof *form);
  if (form == NULL) return answer_error(500, "internal error");
  answer = read_form(request, form) ? route->handler(web, request, form) : answer_error(400, "invalid form");
  free(form);
  return answer;
}

static size_t limit(const Route *route) { return route->audience == FOR_CHANNELS ? MAX_WEBHOOK : MAX_FORM; }

/* Stores a part of the body. Returns 0 if the body is too large. */
static int keep(Request *request, const char *part, size_t size) {
  if (size > limit(request->route) - request->length) return 0;
  if (size > request->room - request->length) {
    size_t wanted = request->room * 2 > request->length + size ? request->room * 2 : request->length + size;
    uint8_t *larger = realloc(request->body, wanted);
    if (larger == NULL) return 0;
    request->body = larger;
    request->room = wanted;
  }
  memcpy(request->body + request->length, part, size);
  request->length += size;
  return 1;
}

/* Handles the head of a request. Responds at once if the route does not exist or the announced body is too long. */
static enum MHD_Result begin(Web *web, Request *request, const char *method, const char *path) {
  const struct {
    const char *path;
    struct MHD_Response *response;
  } files[] = {{"/", web->page}, {"/chat.css", web->style}, {"/chat.js", web->script}, {"/pusher.js", web->pusher_js}};
  const char *declared = header(request, "Content-Length");
  int known = 0;
  if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
      if (files[i].response != NULL && strcmp(files[i].path, path) == 0) {
        return MHD_queue_response(request->connection, MHD_HTTP_OK, files[i].response);
      }
    }
  }
  for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
    if (strcmp(routes[i].path, path) != 0) continue;
    known = 1;
    if (strcmp(routes[i].method, method) == 0) request->route = &routes[i];
  }
  if (request->route == NULL) {
    return send_answer(request, known ? answer_error(405, "method not allowed") : answer_error(404, "not found"));
  }
  if (declared != NULL && strtoull(declared, NULL, 10) > limit(request->route)) {
    return send_answer(request, answer_error(413, "too long"));
  }
  return MHD_YES;
}

/* libmicrohttpd calls this for the head of a request, for each part of its body, and at its end. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *part, size_t *size, void **state) {
  Web *web = context;
  Request *request = *state;
  (void)version;
  if (request == NULL) {
    request = calloc(1, sizeof *request);
    if (request == NULL) return MHD_NO;
    request->connection = connection;
    *state = request;
    pthread_mutex_lock(&web->lock);
    web->requests++;
    pthread_mutex_unlock(&web->lock);
    return begin(web, request, method, path);
  }
  if (*size > 0) {
    /* libmicrohttpd cannot respond in the middle of a body, so a body that is too long ends the connection. */
    if (!keep(request, part, *size)) return MHD_NO;
    *size = 0;
    return MHD_YES;
  }
  return send_answer(request, answer_request(web, request));
}

/* Frees a request after its response, or when its connection is closed. */
static void completed(void *context, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code) {
  Web *web = context;
  Request *request = *state;
  (void)connection, (void)code;
  if (request == NULL) return;
  free(request->body);
  free(request->new_cookie);
  free(request);
  *state = NULL;
  pthread_mutex_lock(&web->lock);
  if (--web->requests == 0) pthread_cond_broadcast(&web->idle);
  pthread_mutex_unlock(&web->lock);
}

/* --- creating and freeing --- */

/* Returns the content of a file, NULL after printing a message if it cannot be read. */
static char *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  char *content = file == NULL ? NULL : malloc(MAX_FILE);
  *length = content == NULL ? 0 : fread(content, 1, MAX_FILE, file);
  if (content == NULL || ferror(file) || *length == MAX_FILE) {
    fprintf(stderr, "chat: cannot read %s\n", path);
    free(content);
    content = NULL;
  }
  if (file != NULL) fclose(file);
  return content;
}

/* Takes ownership of `content`. */
static struct MHD_Response *file_response(char *content, size_t length, const char *type) {
  char *fitting = content == NULL ? NULL : realloc(content, length + 1);
  struct MHD_Response *response;
  if (fitting == NULL) {
    free(content);
    return NULL;
  }
  response = MHD_create_response_from_buffer(length, fitting, MHD_RESPMEM_MUST_FREE);
  if (response == NULL) {
    free(fitting);
    return NULL;
  }
  MHD_add_response_header(response, "Content-Type", type);
  MHD_add_response_header(response, "Cache-Control", "no-cache");
  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
  return response;
}

static struct MHD_Response *page_file(const char *folder, const char *name, const char *type) {
  char path[4096];
  size_t length;
  char *content;
  if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) return NULL;
  content = read_file(path, &length);
  return file_response(content, length, type);
}

/* Returns the page with the address of pusher-js inserted. */
static struct MHD_Response *page_response(const char *folder, const char *script) {
  static const char mark[] = "/pusher.js";
  char path[4096];
  size_t length, before, size;
  char *content, *at, *page = NULL;
  if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, "index.html") >= sizeof path) return NULL;
  content = read_file(path, &length);
  if (content == NULL) return NULL;
  content[length] = '\0'; /* the content is shorter than its buffer */
  at = strstr(content, mark);
  if (at != NULL) {
    before = (size_t)(at - content);
    size = length + strlen(script) + 1;
    page = malloc(size);
    if (page != NULL) {
      length = (size_t)snprintf(page, size, "%.*s%s%s", (int)before, content, script, at + sizeof mark - 1);
    }
  }
  free(content);
  return file_response(page, length, "text/html; charset=utf-8");
}

/* Checks for an https address that needs no escaping in HTML and in a header. */
static int is_script_address(const char *text) {
  return strncmp(text, "https://", 8) == 0 && text[strcspn(text, " \"'<>&;,\t\r\n")] == '\0' && strlen(text) < 256;
}

static int load_page(Web *web, const WebConfig *config) {
  char policy[1024];
  int elsewhere = is_script_address(config->pusher_js);
  web->page = page_response(config->page, elsewhere ? config->pusher_js : "/pusher.js");
  web->style = page_file(config->page, "chat.css", "text/css; charset=utf-8");
  web->script = page_file(config->page, "chat.js", "text/javascript; charset=utf-8");
  if (!elsewhere) {
    size_t length;
    char *content = read_file(config->pusher_js, &length);
    web->pusher_js = file_response(content, length, "text/javascript; charset=utf-8");
  }
  if (web->page == NULL || web->style == NULL || web->script == NULL || (!elsewhere && web->pusher_js == NULL))
    return 0;
  /* If a name or a message ever became HTML, its scripts would not run. */
  snprintf(policy, sizeof policy,
           "default-src 'none'; script-src 'self' %s; style-src 'self'; img-src data:; connect-src 'self' %s; "
           "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
           elsewhere ? config->pusher_js : "", room_connect_source(web->room));
  MHD_add_response_header(web->page, "Content-Security-Policy", policy);
  MHD_add_response_header(web->page, "Referrer-Policy", "same-origin");
  return 1;
}

static void web_delete(Web *web) {
  struct MHD_Response *const files[] = {web->page, web->style, web->script, web->pusher_js};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    if (files[i] != NULL) MHD_destroy_response(files[i]);
  }
  pthread_cond_destroy(&web->idle);
  pthread_mutex_destroy(&web->lock);
  free(web);
}

Web *web_new(const WebConfig *config, Room *room, People *people) {
  Web *web = calloc(1, sizeof *web);
  int listener;
  if (web == NULL) return NULL;
  web->room = room;
  web->people = people;
  pthread_mutex_init(&web->lock, NULL);
  pthread_cond_init(&web->idle, NULL);
  listener = -1;
  if (load_page(web, config)) {
    /* Set the port before the first request can arrive. */
    listener = listen_on(config->port, &web->port);
    if (listener < 0) perror("chat: can't listen");
  }
  if (listener < 0) {
    web_delete(web);
    return NULL;
  }
  if (config->origin != NULL) {
    snprintf(web->origin, sizeof web->origin, "%s", config->origin);
  } else {
    snprintf(web->origin, sizeof web->origin, "http://127.0.0.1:%d", web->port);
  }
  web->secure = strncmp(web->origin, "https:", 6) == 0;
  strcpy(web->cookie, web->secure ? "__Host-chat" : "chat");
  web->daemon = MHD_start_daemon(
      MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC | MHD_USE_ERROR_LOG,
      0, NULL, NULL, handle, web, MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_NOTIFY_COMPLETED, completed, web,
      MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
      MHD_OPTION_END);
  if (web->daemon == NULL) {
    fputs("chat: cannot start the web server\n", stderr);
    close(listener);
    web_delete(web);
    return NULL;
  }
  return web;
}

int web_port(const Web *web) { return web->port; }

const char *web_origin(const Web *web) { return web->origin; }

void web_free(Web *web) {
  struct timespec deadline;
  MHD_socket listener;
  if (web == NULL) return;
  listener = MHD_quiesce_daemon(web->daemon);
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += STOP_SECONDS;
  pthread_mutex_lock(&web->lock);
  while (web->requests > 0 && pthread_cond_timedwait(&web->idle, &web->lock, &deadline) == 0) continue;
  pthread_mutex_unlock(&web->lock);
  MHD_stop_daemon(web->daemon);
  if (listener != MHD_INVALID_SOCKET) close(listener);
  web_delete(web);
}
