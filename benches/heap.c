/* Counts allocations. It is a program of its own, so that counting does not disturb the timings of the others.
 *
 *   heap allocations FILE    the calls of malloc by the library's calls, beside a request of libcurl
 *   heap memory FILE         the bytes of the heap that a client and a kept-alive connection occupy
 *
 * The functions below replace those of the C library for this program and all libraries in it. Bytes of the heap are those
 * of whole blocks, with malloc's own word. The kernel's memory for sockets is not included. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <pusher.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "report.h"
#include "server.h"
#include "signatures.h"

/* The allocator of the GNU C library by its other names. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

struct count {
  unsigned long calls, bytes;
};

static _Thread_local struct count own_count;
static atomic_ulong all_calls, all_bytes;
static atomic_long live_bytes;

static long block_bytes(void *block) { return block == NULL ? 0 : (long)(malloc_usable_size(block) + sizeof(size_t)); }

static void *allocated(void *block, size_t size) {
  own_count.calls++;
  own_count.bytes += size;
  atomic_fetch_add_explicit(&all_calls, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&all_bytes, size, memory_order_relaxed);
  atomic_fetch_add_explicit(&live_bytes, block_bytes(block), memory_order_relaxed);
  return block;
}

static void released(void *block) { atomic_fetch_sub_explicit(&live_bytes, block_bytes(block), memory_order_relaxed); }

void *malloc(size_t size) { return allocated(__libc_malloc(size), size); }

void *calloc(size_t count, size_t size) { return allocated(__libc_calloc(count, size), count * size); }

void *realloc(void *block, size_t size) {
  long before = block_bytes(block);
  void *grown = __libc_realloc(block, size);
  /* After a failure the block is as before. */
  if (grown == NULL && size > 0) return NULL;
  atomic_fetch_sub_explicit(&live_bytes, before, memory_order_relaxed);
  return allocated(grown, size);
}

void *memalign(size_t alignment, size_t size) { return allocated(__libc_memalign(alignment, size), size); }

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
  *block = memalign(alignment, size);
  return *block == NULL ? ENOMEM : 0;
}

void free(void *block) {
  released(block);
  __libc_free(block);
}

/* Allocations by call. */

enum { CALLS = 1000, WARM_UP = 100 };

static struct count all_count(void) { return (struct count){all_calls, all_bytes}; }

static void print_count(const char *name, struct count from, struct count to) {
  double calls = (double)(to.calls - from.calls) / CALLS, bytes = (double)(to.bytes - from.bytes) / CALLS;
  printf("  %-44s %8.2f  %10.1f\n", name, calls, bytes);
  report_row(name, "allocations/call", exactly(calls));
  report_row(name, "bytes allocated/call", exactly(bytes));
}

static void count_calls(const struct contender *contender, int port) {
  void *shared = contender->open(contender, port);
  void *own = contender->enter(shared);
  for (unsigned i = 0; i < WARM_UP; i++) contender->once(own);
  struct count before = own_count;
  for (unsigned i = 0; i < CALLS; i++) contender->once(own);
  print_count(contender->name, before, own_count);
  contender->leave(own);
  contender->close(shared);
}

static Pusher *make_client(const struct server *server, bool is_tls, unsigned idle_connections) {
  char config[8192], certificate[4096], *out = NULL;
  Pusher *client;
  beside("certificate.pem", certificate, sizeof certificate);
  snprintf(config, sizeof config,
           "{\"app_id\":\"" APP_ID "\",\"key\":\"" APP_KEY "\",\"secret\":\"" APP_SECRET
           "\",\"host\":\"127.0.0.1\",\"port\":%d,\"ssl\":%s,\"ca_file\":\"%s\",\"max_idle_connections\":%u,"
           "\"idle_timeout_ms\":600000,\"timeout_ms\":60000}",
           server->port, is_tls ? "true" : "false", certificate, idle_connections);
  if (pusher_new(config, &client, &out) != PUSHER_STATUS_OK) die("pusher_new: %s", out);
  return client;
}

static void publish(PusherPublisher *publisher, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    char *out;
    if (pusher_publisher_publish(publisher, CHANNEL, EVENT, PAYLOAD, NULL, NULL, &out) != PUSHER_STATUS_OK) {
      die("pusher_publisher_publish: %s", out);
    }
  }
}

static void flush(PusherPublisher *publisher) {
  if (pusher_publisher_flush(publisher, 30000, NULL) != PUSHER_STATUS_OK) die("pusher_publisher_flush");
}

static void count_publisher(const struct server *server) {
  PusherPublisher *publisher;
  Pusher *client = make_client(server, false, 8);
  if (pusher_publisher_new(client, NULL, &publisher, NULL) != PUSHER_STATUS_OK) die("pusher_publisher_new");
  publish(publisher, CALLS);
  flush(publisher);
  struct count own_before = own_count, all_before = all_count();
  publish(publisher, CALLS);
  struct count own_after = own_count;
  flush(publisher);
  print_count("pusher_publisher_publish, its thread alone", own_before, own_after);
  print_count("pusher_publisher_publish, with the delivery", all_before, all_count());
  pusher_publisher_free(publisher);
  pusher_free(client);
}

static void run_allocations(void) {
  struct server server = server_start(0), tls_server = server_start_tls(0);
  printf("\n%-46s %8s  %10s\n", "allocations by call", "number", "bytes");
  count_calls(&trigger, server.port);
  count_calls(&trigger_tls, tls_server.port);
  count_calls(&libcurl, server.port);
  count_calls(&libcurl_tls, tls_server.port);
  count_calls(&trigger_batch, server.port);
  count_calls(&signatures[AUTHENTICATE], 0);
  count_calls(&signatures[WEBHOOK_300], 0);
  count_publisher(&server);
  server_stop(&server);
  server_stop(&tls_server);
}

/* Bytes of the heap. */

enum { CLIENTS = 1000, FEW = 50, MANY = 250, CROWD_STACK_BYTES = 256 * 1024 };

/* Returns the bytes of a client: of one that made no call, or of one that made a call and closed the connection. */
static double client_bytes(bool is_tls, bool with_call) {
  static Pusher *clients[CLIENTS];
  struct server server = is_tls ? server_start_tls(0) : server_start(0);
  long grown = 0;
  /* The first turn allocates everything permanent. */
  for (int turn = 0; turn < 2; turn++) {
    grown = live_bytes;
    for (unsigned i = 0; i < CLIENTS; i++) {
      clients[i] = make_client(&server, is_tls, 0);
      if (with_call && pusher_trigger(clients[i], CHANNEL, EVENT, PAYLOAD, NULL, NULL) != PUSHER_STATUS_OK) {
        die("pusher_trigger");
      }
    }
    grown = live_bytes - grown;
    for (unsigned i = 0; i < CLIENTS; i++) pusher_free(clients[i]);
  }
  server_stop(&server);
  return (double)grown / CLIENTS;
}

struct crowd {
  pthread_barrier_t start;
  /* NULL: nothing is sent. */
  const Pusher *client;
  const char *data;
};

static void *take_part(void *argument) {
  struct crowd *crowd = argument;
  char *out;
  pthread_barrier_wait(&crowd->start);
  if (crowd->client == NULL) return NULL;
  if (pusher_trigger(crowd->client, CHANNEL, EVENT, crowd->data, NULL, &out) != PUSHER_STATUS_OK) {
    die("pusher_trigger: %s", out);
  }
  pusher_string_free(out);
  return NULL;
}

/* Triggers from `count` threads at the same time, and waits for them. */
static void trigger_together(unsigned count, const Pusher *client, const char *data) {
  struct crowd crowd = {.client = client, .data = data};
  static pthread_t threads[MANY];
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, CROWD_STACK_BYTES);
  pthread_barrier_init(&crowd.start, NULL, count);
  for (unsigned i = 0; i < count; i++) {
    if (pthread_create(&threads[i], &attributes, take_part, &crowd) != 0) die("no thread");
  }
  for (unsigned i = 0; i < count; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&crowd.start);
  pthread_attr_destroy(&attributes);
}

/* Returns the bytes that a client with `count` idle connections has in addition to itself. */
static long connections_bytes(unsigned count, bool is_tls, const char *data) {
  struct server server = is_tls ? server_start_tls(count) : server_start(count);
  Pusher *client = make_client(&server, is_tls, count);
  trigger_together(count, NULL, NULL);
  long before = live_bytes;
  trigger_together(count, client, data);
  long grown = live_bytes - before;
  struct connections accepted = server_connections(&server);
  if (accepted.count != count) die("%u connections instead of %u", accepted.count, count);
  pusher_free(client);
  server_stop(&server);
  return grown;
}

/* Returns the bytes of one idle connection after an event with a payload of `size` bytes. */
static double connection_bytes(bool is_tls, size_t size) {
  char *data = payload_of(size);
  long few = connections_bytes(FEW, is_tls, data), many = connections_bytes(MANY, is_tls, data);
  free(data);
  return (double)(many - few) / (MANY - FEW);
}

static void print_bytes(const char *name, double bytes, double bound_kib) {
  printf("  %-44s %10.0f\n", name, bytes);
  report_row(name, "bytes", exactly(bytes));
  if (bound_kib > 0) report_at_most(name, "KiB", bound_kib, exactly(bytes / 1024));
}

static void run_memory(void) {
  printf("\n%-46s %10s\n", "bytes of the heap", "each");
  print_bytes("client, before its first call", client_bytes(false, false), 32);
  print_bytes("client, after a call, connection closed", client_bytes(false, true), 32);
  print_bytes("client over TLS, before its first call", client_bytes(true, false), 32);
  print_bytes("client over TLS, after a call, closed", client_bytes(true, true), 32);
  print_bytes("idle connection, after 100 bytes", connection_bytes(false, 100), 24);
  print_bytes("idle connection, after 10,000 bytes", connection_bytes(false, 10 * 1000), 24);
  print_bytes("idle TLS connection, after 100 bytes", connection_bytes(true, 100), 0);
  print_bytes("idle TLS connection, after 10,000 bytes", connection_bytes(true, 10 * 1000), 0);
}

int main(int count, char **arguments) {
  signal(SIGPIPE, SIG_IGN);
  setlinebuf(stdout);
  bool is_memory = count == 3 && strcmp(arguments[1], "memory") == 0;
  if (!is_memory && (count != 3 || strcmp(arguments[1], "allocations") != 0)) {
    die("usage: heap allocations FILE, or heap memory FILE");
  }
  report_open(arguments[2], arguments[1]);
  if (is_memory) {
    run_memory();
  } else {
    run_allocations();
  }
  report_close();
  return 0;
}
