/* Examples of the manual pages. docs/man.py copies what follows an EXAMPLE
 * comment into the pages that the comment names. */
#include <pusher.h>

#include <stdio.h>

/* EXAMPLE pusher_authenticate */
/* channel and socket_id are parameters of the request. Check first that
 * the user of this session may subscribe to the channel. */
void authorize(const Pusher *client, const char *channel,
               const char *socket_id) {
  char *out;
  const char *member =
      "{\"user_id\":\"7\",\"user_info\":{\"name\":\"Ann\"}}";
  PusherStatus status =
      pusher_authenticate(client, channel, socket_id, member, &out);
  printf("Status: %s\r\n\r\n",
         status == PUSHER_STATUS_OK ? "200 OK" : "403 Forbidden");
  if (status == PUSHER_STATUS_OK)
    printf("%s", out);
  pusher_string_free(out);
}

/* EXAMPLE pusher_authenticate_channels */
/* Leave out the channels to which this user may not subscribe. */
void authorize_all(const Pusher *client, const char *socket_id) {
  const char *channels = "[\"private-news\",{\"channel\":\"presence-room\","
                         "\"channel_data\":{\"user_id\":\"7\"}}]";
  char *out;
  PusherStatus status =
      pusher_authenticate_channels(client, socket_id, channels, &out);
  printf("Status: %s\r\n\r\n",
         status == PUSHER_STATUS_OK ? "200 OK" : "400 Bad Request");
  if (status == PUSHER_STATUS_OK)
    printf("%s", out);
  pusher_string_free(out);
}

/* EXAMPLE pusher_authenticate_user */
void sign_in(const Pusher *client, const char *socket_id) {
  char *out;
  PusherStatus status =
      pusher_authenticate_user(client, socket_id, "{\"id\":\"7\"}", &out);
  printf("Status: %s\r\n\r\n",
         status == PUSHER_STATUS_OK ? "200 OK" : "403 Forbidden");
  if (status == PUSHER_STATUS_OK)
    printf("%s", out);
  pusher_string_free(out);
}
