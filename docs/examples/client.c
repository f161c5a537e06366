/* Examples of the manual pages. docs/man.py copies what follows an EXAMPLE
 * comment into the pages that the comment names. */
#include <pusher.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* EXAMPLE pusher_new pusher_free pusher_string_free */
Pusher *open_client(void) {
  Pusher *client;
  char *error;
  /* NULL: the configuration is in the environment, as PUSHER_URL. */
  if (pusher_new(NULL, &client, &error) == PUSHER_STATUS_OK)
    return client; /* The caller calls pusher_free(client). */
  fprintf(stderr, "%s\n", error);
  pusher_string_free(error);
  return NULL;
}

/* EXAMPLE pusher_clone pusher_cancel */
/* A request that your own server handles. */
struct task {
  Pusher *client; /* a clone: its calls end with the task */
};

int begin_task(struct task *task, const Pusher *client) {
  return pusher_clone(client, &task->client, NULL) == PUSHER_STATUS_OK;
}

/* From any thread: the task's calls return at once. */
void abandon_task(const struct task *task) { pusher_cancel(task->client); }

/* When they have returned, and nothing abandons the task any more. */
void end_task(struct task *task) { pusher_free(task->client); }

/* EXAMPLE pusher_version pusher_version_number */
int check_version(void) {
  printf("libpusher %s\n", pusher_version());
  return pusher_version_number() >= PUSHER_VERSION_NUMBER;
}

/* EXAMPLE pusher_set_log PusherLogFn PusherLogLevel PusherDropFn */
void write_log(void *user_data, int32_t level, const char *message,
               const char *fields) {
  const char *severity =
      level <= PUSHER_LOG_LEVEL_WARN ? "warning" : "note";
  fprintf((FILE *)user_data, "%s: %s %s\n", severity, message, fields);
}

void close_log(void *user_data) { fclose((FILE *)user_data); }

/* Before the first call. pusher_free() calls close_log(). */
PusherStatus log_to_file(Pusher *client, FILE *file) {
  return pusher_set_log(client, write_log, file, close_log, NULL);
}

/* EXAMPLE pusher_set_observer PusherObserveFn PusherObservation */
void count_retries(void *user_data, int32_t kind, uint64_t call_id,
                   const char *fields) {
  if (kind != PUSHER_OBSERVATION_ATTEMPT_START)
    return;
  if (strstr(fields, "\"retry_cause\":") == NULL)
    return;
  fprintf(stderr, "call %" PRIu64 " is retried: %s\n", call_id, fields);
  atomic_fetch_add((atomic_ulong *)user_data, 1);
}

/* Before the first call. Several threads may call count_retries(). */
PusherStatus watch(Pusher *client, atomic_ulong *retries) {
  return pusher_set_observer(client, count_retries, retries, NULL, NULL);
}

/* EXAMPLE pusher_stats */
void print_stats(const Pusher *client) {
  char *stats;
  if (pusher_stats(client, &stats) == PUSHER_STATUS_OK)
    puts(stats); /* {"calls":{"trigger":{"delivered":1, */
  pusher_string_free(stats);
}
