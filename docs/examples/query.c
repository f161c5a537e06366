/* Examples of the manual pages. docs/man.py copies what follows an EXAMPLE
 * comment into the pages that the comment names. */
#include <pusher.h>

#include <stdio.h>

/* EXAMPLE pusher_channels_info */
void print_rooms(const Pusher *client) {
  char *out;
  if (pusher_channels_info(client, "presence-", "user_count", NULL, &out) ==
      PUSHER_STATUS_OK)
    printf("%s\n", out); /* {"channels":{"presence-a":{"user_count":3}}} */
  pusher_string_free(out);
}

/* EXAMPLE pusher_channel_info */
void print_channel(const Pusher *client) {
  char *out;
  if (pusher_channel_info(client, "news", "subscription_count", NULL,
                          &out) == PUSHER_STATUS_OK)
    printf("%s\n", out); /* {"occupied":true,"subscription_count":42} */
  pusher_string_free(out);
}

/* EXAMPLE pusher_users_info */
void print_users(const Pusher *client) {
  char *out;
  if (pusher_users_info(client, "presence-a", NULL, &out) ==
      PUSHER_STATUS_OK)
    printf("%s\n", out); /* {"users":[{"id":"1"},{"id":"2"}]} */
  pusher_string_free(out);
}

/* EXAMPLE pusher_get pusher_post */
void call_any_path(const Pusher *client) {
  char *out;
  pusher_get(client, "/channels", "{\"filter_by_prefix\":\"private-\"}",
             NULL, &out);
  printf("%s\n", out);
  pusher_string_free(out);
  pusher_post(client, "/events", NULL,
              "{\"name\":\"e\",\"channels\":[\"news\"],\"data\":\"1\"}",
              NULL, &out);
  printf("%s\n", out);
  pusher_string_free(out);
}

/* EXAMPLE pusher_delete */
void remove_device(const Pusher *client) {
  char *out;
  if (pusher_delete(client, "/push/deviceRegistrations",
                    "{\"deviceId\":\"phone-7\"}", NULL,
                    &out) != PUSHER_STATUS_OK)
    fprintf(stderr, "not removed: %s\n", out);
  pusher_string_free(out);
}
