/* Publishes an event every second until SIGTERM or SIGINT, which ends the program at once: also if the server is silent, and
 * the call in progress would wait for its timeout.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   cancel my-channel my-event '{"hello":"world"}'
 *
 * Exit codes: 0 if all events were delivered; 1 if the arguments or the configuration are wrong; 2 if the last event was not
 * delivered; 3 if the last event may have been delivered.
 */
#define _POSIX_C_SOURCE 200809L
#include <pusher.h>

#include <signal.h>
#include <stdio.h>
#include <time.h>

/* The handler needs both. They are set before the handler is installed, and the client is freed after it is removed. */
static Pusher *client;
static volatile sig_atomic_t is_stopped;

static void stop(int signal) {
  (void)signal;
  is_stopped = 1;
  pusher_cancel(client);
}

/* Sleeps for a second, or until a signal comes. A signal that comes before the sleep waits until then, because it is blocked. */
static void rest(const sigset_t *stopping) {
  sigset_t before;
  const struct timespec second = {1, 0};
  sigprocmask(SIG_BLOCK, stopping, &before);
  if (!is_stopped && sigtimedwait(stopping, NULL, &second) >= 0) is_stopped = 1;
  sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Prints what happened to the event, and returns the exit code. */
static int explain(PusherStatus status, const char *document) {
  char message[512];
  pusher_error_message(document, message, sizeof message);
  fprintf(stderr, "%s: %s\n", pusher_status_name(status), message);
  return pusher_error_delivery(document) == PUSHER_DELIVERY_UNKNOWN ? 3 : 2;
}

int main(int argc, char **argv) {
  struct sigaction action = {.sa_handler = stop}, ignore = {.sa_handler = SIG_IGN};
  sigset_t stopping;
  char *out = NULL;
  int code = 0;
  if (argc != 4) {
    fprintf(stderr, "usage: cancel CHANNEL EVENT JSON\n");
    return 1;
  }
  if (pusher_new(NULL, &client, &out) != PUSHER_STATUS_OK) {
    fprintf(stderr, "%s\n", out);
    pusher_string_free(out);
    return 1;
  }
  sigemptyset(&stopping);
  sigaddset(&stopping, SIGTERM);
  sigaddset(&stopping, SIGINT);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);

  while (!is_stopped) {
    PusherStatus status = pusher_trigger(client, argv[1], argv[2], argv[3], NULL, &out);
    code = status == PUSHER_STATUS_OK ? 0 : explain(status, out);
    pusher_string_free(out);
    rest(&stopping);
  }

  /* No handler may cancel a client that is being freed. */
  sigaction(SIGTERM, &ignore, NULL);
  sigaction(SIGINT, &ignore, NULL);
  pusher_free(client);
  return code;
}
