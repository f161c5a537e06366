/* Publishes one event to the server that PUSHER_URL names: what an installed libpusher is for, on every system. */
#include <pusher.h>

#include <stdio.h>

int main(void) {
  Pusher *client = NULL;
  char *answer = NULL;
  PusherStatus status = pusher_new(NULL, &client, &answer);
  if (status == PUSHER_STATUS_OK) {
    status = pusher_trigger(client, "my-channel", "my-event", "\"hello\"", NULL, &answer);
    pusher_free(client);
  }
  printf("libpusher %s: %s %s\n", pusher_version(), pusher_status_name(status), answer);
  pusher_string_free(answer);
  return (int)status;
}
