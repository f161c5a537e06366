/* Calls from many threads at the same time. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <pusher.h>

/* Triggers an event with this JSON from `count` threads at the same time, and waits for them. Exits the program on failure.
 * Without a client (NULL) the threads send nothing. */
void trigger_together(unsigned count, const Pusher *client, const char *data);

#endif
