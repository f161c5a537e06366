/* Calls both Rust libraries. */
#include <pusher.h>

#include <stdio.h>

int other_count(void);

int main(void) {
  Pusher *client = NULL;
  char *answer = NULL;
  int count = other_count();
  PusherStatus made = pusher_new("http://key:secret@127.0.0.1:1/apps/1", &client, NULL);
  PusherStatus status = pusher_trigger(client, "my-channel", "my-event", "{}", NULL, &answer);
  int32_t delivery = pusher_error_delivery(answer);

  printf("libpusher %s: %s, and the other library counts to %d\n", pusher_version(), pusher_status_name(status), count);
  pusher_string_free(answer);
  pusher_free(client);
  return made != PUSHER_STATUS_OK || status != PUSHER_STATUS_NOT_SENT || delivery != PUSHER_DELIVERY_NOT_SENT ||
         count != 3;
}
