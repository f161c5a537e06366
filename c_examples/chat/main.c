/* A chat: people sign in, see who is here, talk, and wave to each other. README.md says how to run it and what to look
 * at.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   chat [--port N] [--origin URL] [--pusher-js FILE_OR_URL] [--websocket URL] [--config CONFIG] [--page FOLDER] */
#define _POSIX_C_SOURCE 200809L
#include "people.h"
#include "room.h"
#include "web.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef CHAT_PAGE
#define CHAT_PAGE "c_examples/chat/page"
#endif

static volatile sig_atomic_t stopped;

static void on_stop(int signal_number) {
  (void)signal_number;
  stopped = 1;
}

/* Parses a port number. Returns -1 if it is invalid. */
static int port_of(const char *text) {
  char *end;
  long port = strtol(text, &end, 10);
  return *text != '\0' && *end == '\0' && port >= 0 && port <= 65535 ? (int)port : -1;
}

int main(int argc, char **argv) {
  WebConfig web_config = {8080, NULL, CHAT_PAGE, "https://js.pusher.com/8.2.0/pusher.min.js"};
  const char *config = NULL, *websocket = NULL;
  struct sigaction action = {0};
  People *people;
  Room *room = NULL;
  Web *web = NULL;
  int code = 1;

  for (int i = 1; i < argc; i += 2) {
    const char *value = argv[i + 1]; /* argv ends with NULL */
    if (value == NULL) {
      web_config.port = -1;
      break;
    }
    if (strcmp(argv[i], "--port") == 0) {
      web_config.port = port_of(value);
    } else if (strcmp(argv[i], "--origin") == 0) {
      web_config.origin = value;
    } else if (strcmp(argv[i], "--pusher-js") == 0) {
      web_config.pusher_js = value;
    } else if (strcmp(argv[i], "--websocket") == 0) {
      websocket = value;
    } else if (strcmp(argv[i], "--config") == 0) {
      config = value;
    } else if (strcmp(argv[i], "--page") == 0) {
      web_config.page = value;
    } else {
      web_config.port = -1;
    }
    if (web_config.port < 0) break;
  }
  if (web_config.port < 0) {
    fputs("usage: chat [--port N] [--origin URL] [--pusher-js FILE_OR_URL] [--websocket URL] [--config CONFIG] [--page "
          "FOLDER]\n",
          stderr);
    return 2;
  }

  action.sa_handler = on_stop;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, NULL); /* a peer that disconnects must not end this program */

  people = people_new();
  if (people != NULL) room = room_new(config, websocket, people);
  if (room != NULL) web = web_new(&web_config, room, people);
  if (web != NULL) {
    printf("listening on http://127.0.0.1:%d\n", web_port(web));
    if (web_config.origin != NULL) printf("the page is at %s\n", web_origin(web));
    fflush(stdout);
    while (!stopped) room_watch(room);
    puts("stopping");
    fflush(stdout);
    code = 0;
  }
  /* Close the web server first: its last requests may still publish. */
  web_free(web);
  room_free(room);
  people_free(people);
  return code;
}
