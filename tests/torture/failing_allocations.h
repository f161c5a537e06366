/* What the programs call in failing_allocations.c, which is preloaded. */
#ifndef FAILING_ALLOCATIONS_H
#define FAILING_ALLOCATIONS_H

#include <stddef.h>

/* What happened to the allocations between begin and end. */
struct allocations {
  long calls;         /* allocations that were tried */
  long failed;        /* those that failed */
  size_t failed_size; /* the size of the first one that failed */
  long live;          /* those that are not freed yet: freeing counts after the end, too */
  size_t live_bytes;
};

/* Counts allocations of all threads from here on. The one with the number `first`, counted from 1, fails, and with `all` each that
 * follows. */
__attribute__((weak)) void failing_allocations_begin(long first, int all);

/* Ends the counting: nothing fails any more. */
__attribute__((weak)) void failing_allocations_end(void);

__attribute__((weak)) void failing_allocations_read(struct allocations *read);

#endif
