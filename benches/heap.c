/* Counts allocations. It is a program of its own, so that counting does not disturb the timings of the others.
 *
 *   heap allocations FILE    the calls of malloc by the library's calls, beside a request of libcurl
 *   heap memory FILE         the bytes of the heap that a client and a kept-alive connection occupy
 *
 * Bytes of the heap are those of whole blocks, with malloc's own word. The kernel's memory for sockets is not included. */
#include <pusher.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "crowd.h"
#include "harness.h"
#include "report.h"
#include "server.h"
#include "signatures.h"

/* Allocations by call. */

enum { CALLS = 1000, WARM_UP = 100 };

static void print_count(const char *name, struct allocations from, struct allocations to) {
  double calls = (double)(to.calls - from.calls) / CALLS, bytes = (double)(to.bytes - from.bytes) / CALLS;
  printf("  %-44s %8.2f  %10.1f\n", name, calls, bytes);
  report_row(name, "allocations/call", exactly(calls));
  report_row(name, "bytes allocated/call", exactly(bytes));
}

static void count_calls(const struct contender *contender, int port) {
  void *shared = contender->open(contender, port);
  void *own = contender->enter(shared);
  for (unsigned i = 0; i < WARM_UP; i++) contender->once(own);
  struct allocations before = own_allocations();
  for (unsigned i = 0; i < CALLS; i++) contender->once(own);
  print_count(contender->name, before, own_allocations());
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
  struct allocations own_before = own_allocations(), all_before = all_allocations();
  publish(publisher, CALLS);
  struct allocations own_after = own_allocations();
  flush(publisher);
  print_count("pusher_publisher_publish, its thread alone", own_before, own_after);
  print_count("pusher_publisher_publish, with the delivery", all_before, all_allocations());
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

enum { CLIENTS = 1000, FEW = 50, MANY = 250 };

/* Returns the bytes of a client: of one that made no call, or of one that made a call and closed the connection. */
static double client_bytes(bool is_tls, bool with_call) {
  static Pusher *clients[CLIENTS];
  struct server server = is_tls ? server_start_tls(0) : server_start(0);
  long grown = 0;
  /* The first turn allocates everything permanent. */
  for (int turn = 0; turn < 2; turn++) {
    grown = live_bytes();
    for (unsigned i = 0; i < CLIENTS; i++) {
      clients[i] = make_client(&server, is_tls, 0);
      if (with_call && pusher_trigger(clients[i], CHANNEL, EVENT, PAYLOAD, NULL, NULL) != PUSHER_STATUS_OK) {
        die("pusher_trigger");
      }
    }
    grown = live_bytes() - grown;
    for (unsigned i = 0; i < CLIENTS; i++) pusher_free(clients[i]);
  }
  server_stop(&server);
  return (double)grown / CLIENTS;
}

/* Returns the bytes that a client with `count` idle connections has in addition to itself. */
static long connections_bytes(unsigned count, bool is_tls, const char *data) {
  struct server server = is_tls ? server_start_tls(count) : server_start(count);
  Pusher *client = make_client(&server, is_tls, count);
  trigger_together(count, NULL, NULL);
  long before = live_bytes();
  trigger_together(count, client, data);
  long grown = live_bytes() - before;
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
