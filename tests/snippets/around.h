/* The names that the guides' pieces of C use without declaring them. They are not static, so that unused ones cause no warning. */
#define _GNU_SOURCE
#include <pusher.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Pusher *client;
PusherPublisher *publisher, *successor;
char *out;
const char *user = "alice", *channel_name = "private-room", *socket_id = "1234.5678";
const char *price = "{\"EURUSD\":1.0843}";
const char *master_key, *key, *signature;
const uint8_t *body;
size_t body_len;

/* Prints the response that a web server would send. */
void respond(int status, const char *type, const char *text) { printf("%d %s %s\n", status, type, text); }

/* The rule of an application. */
int may_subscribe(const char *name, const char *channel) {
  return strncmp(channel, "private-user-", 13) != 0 || strcmp(channel + 13, name) == 0;
}

void before(void) {
  if (pusher_new(NULL, &client, &out) != PUSHER_STATUS_OK ||
      pusher_publisher_new(client, NULL, &publisher, &out) != PUSHER_STATUS_OK ||
      pusher_publisher_new(client, NULL, &successor, &out) != PUSHER_STATUS_OK) {
    fprintf(stderr, "%s\n", out);
    exit(1);
  }
  master_key = getenv("MASTER_KEY");
  if (getenv("CHANNEL_NAME") != NULL) channel_name = getenv("CHANNEL_NAME");
  if (getenv("SOCKET_ID") != NULL) socket_id = getenv("SOCKET_ID");
  if (getenv("NO_SESSION") != NULL) user = NULL;
  key = getenv("HTTP_X_PUSHER_KEY");
  signature = getenv("HTTP_X_PUSHER_SIGNATURE");
  body = (const uint8_t *)getenv("BODY");
  body_len = body == NULL ? 0 : strlen((const char *)body);
}

/* Events that were published in the background must have arrived. */
void after(void) {
  pusher_publisher_close(publisher, 10000, NULL);
  pusher_publisher_close(successor, 10000, NULL);
  pusher_publisher_free(publisher);
  pusher_publisher_free(successor);
  pusher_free(client);
}
