/* Makes the library read a byte behind a buffer: it is told that the body of a webhook is longer than it is. A sanitizer in the library
 * must find that. */
#include <pusher.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  Pusher *client = NULL;
  char *out = NULL;
  uint8_t *body = malloc(100);
  if (body == NULL || pusher_new("http://k:s@127.0.0.1:1/apps/1", &client, &out) != PUSHER_STATUS_OK) return 2;
  memset(body, ' ', 100);
  PusherStatus status = pusher_validate_webhook(
      client, "k", "0000000000000000000000000000000000000000000000000000000000000000", body, 101, &out);
  printf("%s\n", pusher_status_name(status));
  pusher_string_free(out);
  pusher_free(client);
  free(body);
  return 0;
}
