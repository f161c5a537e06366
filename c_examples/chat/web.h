/* The chat's web server, on libmicrohttpd: the page, what the page asks for, and webhooks. Knows nothing of libpusher. */
#ifndef CHAT_WEB_H
#define CHAT_WEB_H

#include "people.h"
#include "room.h"

typedef struct {
  int port; /* on 127.0.0.1; 0 takes a free one */
  const char
      *origin; /* where browsers see the page, such as "https://chat.example.org"; NULL for http://127.0.0.1:PORT */
  const char *page;      /* the folder of the page's files */
  const char *pusher_js; /* a file with pusher-js, or the https address of one */
} WebConfig;

typedef struct Web Web;

/* Starts to serve. On failure NULL, and standard error says why. */
Web *web_new(const WebConfig *config, Room *room, People *people);

int web_port(const Web *web);
/* Where the page is. */
const char *web_origin(const Web *web);

/* Takes no more requests, lets those that are being answered be answered, and frees it. */
void web_free(Web *web);

#endif
