#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include <stddef.h>

/* Sets the request that `raw_sockets` sends, without copying it. */
void raw_use(const char *bytes, size_t size);

#endif
