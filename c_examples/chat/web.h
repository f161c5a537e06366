/* The web server of the chat, on libmicrohttpd: the page, its requests, and webhooks. Knows nothing of libpusher. */
#ifndef CHAT_WEB_H
#define CHAT_WEB_H

#include "people.h"
#include "room.h"

typedef struct {
  int port;              /* on 127.0.0.1; 0 takes a free one */
  const char *origin;    /* of the page, such as "https://chat.example.org"; NULL for http://127.0.0.1:PORT */
  const char *page;      /* the folder with the files of the page */
  const char *pusher_js; /* a file with pusher-js, or its https address */
} WebConfig;

typedef struct Web Web;

/* Starts the server. On failure, returns NULL and prints the reason to standard error. */
Web *web_new(const WebConfig *config, Room *room, People *people);

int web_port(const Web *web);
/* Returns the origin of the page. */
const char *web_origin(const Web *web);

/* Refuses new requests, finishes those in progress, and frees the server. */
void web_free(Web *web);

#endif
