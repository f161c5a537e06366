/* The server that the contenders send to. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdnoreturn.h>
#include <sys/types.h>

/* A running sink: see sink.c. */
struct server {
  int port;
  pid_t process;
  int input;
};

/* Prints the reason, formatted as by printf(), and exits. */
noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Starts the sink in the folder of the running program. `together`: the number of requests that it waits for before it
 * responds to them; 0 to respond to each at once. */
struct server server_start(unsigned together);

/* Stops the sink, and waits until it has exited. */
void server_stop(struct server *server);

#endif
