/* Examples of the manual pages. docs/man.py copies what follows an EXAMPLE
 * comment into the pages that the comment names. */
#include <pusher.h>

#include <poll.h>
#include <stdio.h>

/* EXAMPLE pusher_publisher_new pusher_publisher_publish
 * pusher_publisher_close pusher_publisher_free */
void count_to_1000(const Pusher *client) {
  PusherPublisher *publisher;
  char data[16], *out;
  if (pusher_publisher_new(client, "{\"overflow\":\"block\"}", &publisher,
                           &out) != PUSHER_STATUS_OK) {
    fprintf(stderr, "%s\n", out);
    pusher_string_free(out);
    return;
  }
  for (int i = 1; i <= 1000; i++) {
    snprintf(data, sizeof data, "%d", i);
    if (pusher_publisher_publish(publisher, "numbers", "next", data, NULL,
                                 NULL, &out) != PUSHER_STATUS_OK) {
      fprintf(stderr, "not queued: %s\n", out);
      pusher_string_free(out);
    }
  }
  if (pusher_publisher_close(publisher, 10000, NULL) ==
      PUSHER_STATUS_TIMED_OUT)
    fprintf(stderr, "Some events may be lost: see their reports.\n");
  while (pusher_publisher_poll(publisher, 0, &out) == PUSHER_STATUS_OK) {
    fprintf(stderr, "%s\n", out);
    pusher_string_free(out);
  }
  pusher_publisher_free(publisher);
}

/* EXAMPLE pusher_publisher_poll pusher_publisher_flush
 * pusher_publisher_stats */
void settle(PusherPublisher *publisher) {
  char *out;
  pusher_publisher_flush(publisher, UINT32_MAX, NULL);
  while (pusher_publisher_poll(publisher, 0, &out) == PUSHER_STATUS_OK) {
    fprintf(stderr, "%s\n", out); /* {"reports":[{"id":7,...}]} */
    pusher_string_free(out);
  }
  if (pusher_publisher_stats(publisher, &out) == PUSHER_STATUS_OK)
    printf("%s\n", out);
  pusher_string_free(out);
}

/* EXAMPLE pusher_publisher_drain pusher_publisher_restore */
int hand_over(PusherPublisher *old, PusherPublisher *successor) {
  char *drained, *result;
  if (pusher_publisher_drain(old, 2000, &drained) != PUSHER_STATUS_OK) {
    fprintf(stderr, "%s\n", drained);
    pusher_string_free(drained);
    return -1;
  }
  int restored = pusher_publisher_restore(successor, drained, &result);
  if (restored != PUSHER_STATUS_OK)
    fprintf(stderr, "%s\n%s\n", result, drained);
  pusher_string_free(drained);
  pusher_string_free(result);
  return restored == PUSHER_STATUS_OK ? 0 : -1;
}

/* EXAMPLE pusher_publisher_fd */
void watch(PusherPublisher *publisher) {
  intptr_t fd;
  char *out;
  if (pusher_publisher_fd(publisher, &fd, &out) != PUSHER_STATUS_OK) {
    fprintf(stderr, "%s\n", out);
    pusher_string_free(out);
    return;
  }
  struct pollfd entry = {.fd = (int)fd, .events = POLLIN};
  while (poll(&entry, 1, 60000) > 0) {
    while (pusher_publisher_poll(publisher, 0, &out) == PUSHER_STATUS_OK) {
      fprintf(stderr, "%s\n", out);
      pusher_string_free(out);
    }
  }
}
