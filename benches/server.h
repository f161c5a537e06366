/* The other side of the measurements. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdnoreturn.h>
#include <sys/types.h>

/* A sink that was started; see sink.c. */
struct server {
  int port;
  pid_t process;
  int input;
};

/* Says why (like printf) and ends the program. */
noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Starts the sink that stands beside the running program. `together`: 0, or how many requests it waits for before it
 * answers them. */
struct server server_start(unsigned together);

/* Ends it, and waits until it has. */
void server_stop(struct server *server);

#endif
