/* Examples of the manual pages. docs/man.py copies what follows an EXAMPLE
 * comment into the pages that the comment names. */
#include <pusher.h>

#include <stdio.h>
#include <string.h>

/* EXAMPLE pusher_trigger PusherDelivery */
int announce(const Pusher *client) {
  char *out;
  const char *channels = "[\"news\",\"sport\"]";
  const char *data = "{\"score\":\"2:1\"}";
  PusherStatus status = pusher_trigger(client, channels, "goal", data,
                                       "{\"timeout_ms\":2000}", &out);
  if (status != PUSHER_STATUS_OK) {
    if (pusher_error_delivery(out) == PUSHER_DELIVERY_UNKNOWN)
      fprintf(stderr, "It may have been delivered.\n");
    fprintf(stderr, "%s\n", out);
  }
  pusher_string_free(out);
  return status == PUSHER_STATUS_OK;
}

/* EXAMPLE pusher_trigger_batch */
int announce_both(const Pusher *client) {
  char *out;
  const char *events =
      "[{\"channel\":\"news\",\"name\":\"goal\",\"data\":\"2:1\"},"
      " {\"channel\":\"sport\",\"name\":\"goal\",\"data\":[2,1]}]";
  PusherStatus status = pusher_trigger_batch(client, events, NULL, &out);
  if (status != PUSHER_STATUS_OK)
    fprintf(stderr, "%s\n", out);
  pusher_string_free(out);
  return status == PUSHER_STATUS_OK;
}

/* EXAMPLE pusher_send_to_user pusher_terminate_user_connections */
void lock_account(const Pusher *client, const char *user_id) {
  pusher_send_to_user(client, user_id, "locked", "\"Ask the support.\"",
                      NULL, NULL);
  pusher_terminate_user_connections(client, user_id, NULL, NULL);
}

/* EXAMPLE pusher_error_delivery pusher_error_message */
void explain(const char *document) {
  char message[256];
  pusher_error_message(document, message, sizeof message);
  switch (pusher_error_delivery(document)) {
    case PUSHER_DELIVERY_NOT_SENT:
    case PUSHER_DELIVERY_REJECTED:
      fprintf(stderr, "not delivered: %s\n", message);
      break;
    case PUSHER_DELIVERY_UNKNOWN:
      fprintf(stderr, "perhaps delivered: %s\n", message);
      break;
    default: fprintf(stderr, "%s\n", message);
  }
}

/* EXAMPLE PusherStatus pusher_status_name */
/* Whether the same call may succeed later. */
int is_temporary(PusherStatus status) {
  switch ((enum PusherStatus)status) {
    case PUSHER_STATUS_NOT_SENT:
    case PUSHER_STATUS_RATE_LIMITED:
    case PUSHER_STATUS_QUEUE_FULL: return 1;
    default: /* A later version may have other values, too. */
      fprintf(stderr, "%s\n", pusher_status_name(status));
      return 0;
  }
}

/* EXAMPLE pusher_json_string */
int say(const Pusher *client, const char *words) {
  char *out, *data;
  PusherStatus status = pusher_json_string(words, strlen(words), &data);
  if (status == PUSHER_STATUS_OK) {
    status = pusher_trigger(client, "chat", "said", data, NULL, &out);
    pusher_string_free(out);
  }
  pusher_string_free(data);
  return status == PUSHER_STATUS_OK;
}

/* EXAMPLE pusher_error_status pusher_error_retryable pusher_error_http_status
   pusher_error_retry_after_ms pusher_error_cause pusher_error_server_code */
int64_t wait_before_retry(const char *document) {
  char cause[16], code[65];
  int64_t wait = pusher_error_retry_after_ms(document);
  pusher_error_cause(document, cause, sizeof cause);
  pusher_error_server_code(document, code, sizeof code);
  fprintf(stderr, "%s, HTTP status %d, cause %s, code %s\n",
          pusher_status_name(pusher_error_status(document)),
          (int)pusher_error_http_status(document), cause, code);
  if (!pusher_error_retryable(document))
    return -1;
  return wait >= 0 ? wait : 1000;
}
