/* The servers that the contenders send to. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stddef.h>
#include <stdio.h>
#include <stdnoreturn.h>
#include <sys/types.h>

/* A running sink: see sink.c and tls_sink.c. */
struct server {
  int port;
  pid_t process;
  int input;
  FILE *output;
};

/* What a server says about its connections. */
struct connections {
  unsigned count;
  /* "plain", or the version of TLS and the cipher. */
  char transport[128];
};

/* Prints the reason, formatted as by printf(), and exits. */
noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes the path of a file in the folder of the running program. */
void beside(const char *name, char *path, size_t size);

/* Starts the sink in the folder of the running program. `together`: the number of requests that it waits for before it
 * responds to them; 0 to respond to each at once. */
struct server server_start(unsigned together);

/* Starts the sink that speaks TLS, with certificate.pem and key.pem of the same folder. */
struct server server_start_tls(unsigned together);

/* Returns the connections that the server has accepted since the last call. */
struct connections server_connections(const struct server *server);

/* Stops the sink, and waits until it has exited. */
void server_stop(struct server *server);

#endif
