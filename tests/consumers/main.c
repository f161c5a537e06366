/* A program in C that uses libpusher as its users do. The calls stand in its straight line: if it branched around them,
   a static library could be dropped without a trace. */
#include <pusher.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) check((condition), #condition, __LINE__)

static void check(int holds, const char *condition, int line) {
  if (!holds) {
    fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, line, condition);
    exit(1);
  }
}

int main(void) {
  Pusher *client = NULL;
  char *answer = NULL;
  char message[200];
  PusherStatus status;

  printf("libpusher %s, from C\n", pusher_version());
  CHECK(pusher_version_number() == PUSHER_VERSION_NUMBER);

  status = pusher_new("{\"app_id\":\"1\"}", &client, &answer);
  CHECK(status == PUSHER_STATUS_INVALID_CONFIG);
  CHECK(client == NULL);
  CHECK(pusher_error_message(answer, message, sizeof message) > 0);
  printf("%s: %s\n", pusher_status_name(status), message);
  pusher_string_free(answer);

  /* Nothing listens on port 1. */
  status = pusher_new("http://key:secret@127.0.0.1:1/apps/1", &client, &answer);
  CHECK(status == PUSHER_STATUS_OK);
  CHECK(client != NULL);
  CHECK(answer == NULL);

  status = pusher_trigger(client, "my-channel", "my-event", "{\"hello\":\"world\"}", NULL, &answer);
  CHECK(status == PUSHER_STATUS_NOT_SENT);
  CHECK(pusher_error_delivery(answer) == PUSHER_DELIVERY_NOT_SENT);
  CHECK(strstr(answer, "\"not_sent\"") != NULL);
  CHECK(pusher_error_message(answer, message, sizeof message) > 0);
  printf("%s: %s\n", pusher_status_name(status), message);
  pusher_string_free(answer);

  pusher_free(client);
  return 0;
}
