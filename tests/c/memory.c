/* Measures the library's resident memory in bytes; see scripts/memory.sh.
 *
 *   memory clients COUNT SCHEME     a client before its first call; SCHEME is http or https
 *   memory connections COUNT SIZE   the growth of a client with COUNT idle connections, in total, after events with payloads
 *                                   of SIZE bytes
 *   memory publisher COUNT          the growth of a publisher in 10 times COUNT events, after COUNT events
 *   memory dead COUNT BYTES         the memory of a publisher whose server does not respond, with a queue of BYTES, while
 *                                   COUNT events replace each other
 *   memory cancellations COUNT      the growth of a client while COUNT handles of it are made, cancelled and freed, after a
 *                                   tenth of COUNT
 *
 * Resident memory is counted by the kernel (smaps_rollup) in pages, not in calls of malloc. Before each count, free memory is
 * returned; before the first, everything permanent is used once: code, the C library's arenas, and the stacks that it keeps of
 * ended threads. The kernel's memory for sockets is not included. */
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <pusher.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crowd.h"
#include "server.h"

enum { MOST = 1000 * 1000 };

static long resident_bytes(void) {
  malloc_trim(0);
  FILE *file = fopen("/proc/self/smaps_rollup", "r");
  char line[256];
  long kib = -1;
  if (file == NULL) die("can't read /proc/self/smaps_rollup");
  while (kib < 0 && fgets(line, sizeof line, file) != NULL) sscanf(line, "Rss: %ld kB", &kib);
  fclose(file);
  if (kib < 0) die("no Rss in /proc/self/smaps_rollup");
  return kib * 1024;
}

static Pusher *make_client(const char *scheme, int port, unsigned idle_connections) {
  char config[512];
  char *out = NULL;
  Pusher *client;
  snprintf(config, sizeof config,
           "{\"url\":\"%s://278d425bdf160c739803:7ad3773142a6692b25b8@127.0.0.1:%d/apps/1234567\","
           "\"max_idle_connections\":%u,\"idle_timeout_ms\":600000,\"timeout_ms\":60000}",
           scheme, port, idle_connections);
  if (pusher_new(config, &client, &out) != PUSHER_STATUS_OK) die("pusher_new: %s", out);
  return client;
}

static void trigger(const Pusher *client, const char *data) {
  char *out = NULL;
  if (pusher_trigger(client, "my-channel", "my-event", data, NULL, &out) != PUSHER_STATUS_OK) {
    die("pusher_trigger: %s", out);
  }
  pusher_string_free(out);
}

static long measure_clients(unsigned count, const char *scheme) {
  Pusher **clients = calloc(count, sizeof *clients);
  if (clients == NULL) die("out of memory");
  /* The array's pages are resident before the count. */
  for (unsigned i = 0; i < count; i++) clients[i] = (Pusher *)clients;
  for (unsigned i = 0; i < 10; i++) pusher_free(make_client(scheme, 9, 8));

  long before = resident_bytes();
  for (unsigned i = 0; i < count; i++) clients[i] = make_client(scheme, 9, 8);
  long grown = resident_bytes() - before;

  for (unsigned i = 0; i < count; i++) pusher_free(clients[i]);
  free(clients);
  return grown / (long)count;
}

static unsigned open_sockets(void) {
  DIR *folder = opendir("/proc/self/fd");
  unsigned count = 0;
  if (folder == NULL) die("can't read /proc/self/fd");
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    struct stat about;
    if (fstatat(dirfd(folder), entry->d_name, &about, 0) == 0 && S_ISSOCK(about.st_mode)) count++;
  }
  closedir(folder);
  return count;
}

static long measure_connections(unsigned count, size_t size) {
  char *data = malloc(size + 1);
  if (data == NULL || size < 2) die("a payload has at least 2 bytes");
  memset(data, 'x', size);
  data[0] = data[size - 1] = '"';
  data[size] = '\0';

  struct server any = server_start(0), together = server_start(count);
  Pusher *other = make_client("http", any.port, 1);
  trigger(other, data);
  pusher_free(other);
  trigger_together(count, NULL, NULL);
  Pusher *client = make_client("http", together.port, count);
  unsigned sockets_before = open_sockets();

  long before = resident_bytes();
  trigger_together(count, client, data);
  long grown = resident_bytes() - before;

  unsigned sockets = open_sockets() - sockets_before;
  if (sockets != count) die("%u connections are kept, not %u", sockets, count);
  pusher_free(client);
  if (open_sockets() != sockets_before) die("connections are left open by pusher_free");
  server_stop(&any);
  server_stop(&together);
  free(data);
  return grown;
}

static PusherPublisher *make_publisher(const Pusher *client, const char *config) {
  char *out = NULL;
  PusherPublisher *publisher;
  if (pusher_publisher_new(client, config, &publisher, &out) != PUSHER_STATUS_OK) die("pusher_publisher_new: %s", out);
  return publisher;
}

static void publish(PusherPublisher *publisher, unsigned number) {
  char channel[32], data[128], *out = NULL;
  snprintf(channel, sizeof channel, "channel-%u", number % 16);
  snprintf(data, sizeof data, "{\"number\":%u,\"text\":\"%064u\"}", number, number);
  if (pusher_publisher_publish(publisher, channel, "my-event", data, NULL, NULL, &out) != PUSHER_STATUS_OK) {
    die("pusher_publisher_publish: %s", out);
  }
}

/* Publishes `count` events, and fetches the reports. */
static void publish_and_poll(PusherPublisher *publisher, unsigned long count) {
  for (unsigned long i = 0; i < count; i++) {
    publish(publisher, (unsigned)i);
    char *out = NULL;
    if (i % 100 == 99 && pusher_publisher_poll(publisher, 0, &out) == PUSHER_STATUS_OK) pusher_string_free(out);
  }
  if (pusher_publisher_flush(publisher, UINT32_MAX, NULL) != PUSHER_STATUS_OK) die("pusher_publisher_flush");
  for (char *out = NULL; pusher_publisher_poll(publisher, 0, &out) == PUSHER_STATUS_OK;) pusher_string_free(out);
}

static long measure_publisher(unsigned count) {
  struct server server = server_start(0);
  Pusher *client = make_client("http", server.port, 2);
  PusherPublisher *publisher =
      make_publisher(client, "{\"reports\":\"all\",\"overflow\":\"block\",\"timeout_ms\":60000}");
  publish_and_poll(publisher, count);
  long before = resident_bytes();
  publish_and_poll(publisher, 10ul * count);
  long grown = resident_bytes() - before;
  pusher_publisher_free(publisher);
  pusher_free(client);
  server_stop(&server);
  return grown;
}

static long measure_dead(unsigned count, unsigned long bytes) {
  char config[256];
  snprintf(config, sizeof config,
           "{\"max_queue_bytes\":%lu,\"max_queue_events\":%d,\"overflow\":\"drop_oldest\",\"max_reports\":1000}", bytes,
           MOST);
  /* The server waits for more requests than there will be. */
  struct server server = server_start(MOST);
  Pusher *client = make_client("http", server.port, 2);
  long before = resident_bytes();
  PusherPublisher *publisher = make_publisher(client, config);
  for (unsigned i = 0; i < count; i++) publish(publisher, i);
  long grown = resident_bytes() - before;
  pusher_publisher_free(publisher);
  pusher_free(client);
  server_stop(&server);
  return grown;
}

static unsigned entries(const char *path) {
  DIR *folder = opendir(path);
  unsigned count = 0;
  if (folder == NULL) die("can't read %s", path);
  while (readdir(folder) != NULL) count++;
  closedir(folder);
  return count;
}

/* The handle to cancel; the canceller sets it to NULL when it has done that. */
static _Atomic(Pusher *) to_cancel;

static void *cancel_all(void *data) {
  for (unsigned long left = *(unsigned long *)data, random = 1; left > 0; left--) {
    Pusher *handle;
    while ((handle = to_cancel) == NULL) sched_yield();
    /* Up to some times the time of a call. */
    random = random * 6364136223846793005ul + 1442695040888963407ul;
    for (unsigned turns = random >> 50; turns > 0; turns--) atomic_signal_fence(memory_order_seq_cst);
    pusher_cancel(handle);
    to_cancel = NULL;
  }
  return NULL;
}

static void make_and_cancel(const Pusher *client, unsigned long count, unsigned long *cancelled) {
  pthread_t canceller;
  if (pthread_create(&canceller, NULL, cancel_all, &count) != 0) die("no thread");
  for (unsigned long i = 0; i < count; i++) {
    char *out = NULL;
    Pusher *handle;
    if (pusher_clone(client, &handle, &out) != PUSHER_STATUS_OK) die("pusher_clone: %s", out);
    to_cancel = handle;
    int status = pusher_trigger(handle, "my-channel", "my-event", "\"data\"", NULL, &out);
    if (status != PUSHER_STATUS_OK) {
      if (strstr(out, "\"cause\":\"cancelled\"") == NULL) die("pusher_trigger: %s", out);
      ++*cancelled;
    }
    pusher_string_free(out);
    while (to_cancel != NULL) sched_yield();
    pusher_free(handle);
  }
  pthread_join(canceller, NULL);
}

static long measure_cancellations(unsigned long count) {
  unsigned long cancelled = 0;
  struct server server = server_start(0);
  Pusher *client = make_client("http", server.port, 1);
  make_and_cancel(client, count / 10 + 1, &cancelled);
  trigger(client, "{}");

  unsigned descriptors = entries("/proc/self/fd"), threads = entries("/proc/self/task");
  long before = resident_bytes();
  make_and_cancel(client, count, &cancelled);
  trigger(client, "{}");
  long grown = resident_bytes() - before;

  if (entries("/proc/self/fd") != descriptors) die("descriptors are left open");
  if (entries("/proc/self/task") != threads) die("threads are left");
  /* On a loaded machine, most calls end first. */
  if (cancelled < count / 100) die("only %lu of %lu calls were cancelled", cancelled, count);
  pusher_free(client);
  server_stop(&server);
  return grown;
}

int main(int count, char **arguments) {
  unsigned long number = count > 2 ? strtoul(arguments[2], NULL, 10) : 0;
  if (count < 3 || count > 4 || number < 1 || number > MOST ||
      (count == 3) != (strcmp(arguments[1], "publisher") == 0 || strcmp(arguments[1], "cancellations") == 0)) {
    die("usage: memory clients COUNT SCHEME, memory connections COUNT SIZE, memory publisher COUNT, memory dead COUNT "
        "BYTES, or memory cancellations COUNT");
  }
  if (strcmp(arguments[1], "cancellations") == 0) {
    printf("%ld\n", measure_cancellations(number));
  } else if (count == 3) {
    printf("%ld\n", measure_publisher((unsigned)number));
  } else if (strcmp(arguments[1], "dead") == 0) {
    printf("%ld\n", measure_dead((unsigned)number, strtoul(arguments[3], NULL, 10)));
  } else if (strcmp(arguments[1], "clients") == 0) {
    printf("%ld\n", measure_clients((unsigned)number, arguments[3]));
  } else if (strcmp(arguments[1], "connections") == 0) {
    printf("%ld\n", measure_connections((unsigned)number, strtoul(arguments[3], NULL, 10)));
  } else {
    die("nothing to measure");
  }
  return 0;
}
