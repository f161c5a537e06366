/* Counts the allocations of a program and of all libraries in it. Its malloc and its kin replace those of the GNU C library. */
#ifndef BENCH_ALLOCATIONS_H
#define BENCH_ALLOCATIONS_H

struct allocations {
  unsigned long calls, bytes;
};

/* Return the allocations of this thread, and of the process. */
struct allocations own_allocations(void);
struct allocations all_allocations(void);

/* Returns the bytes of the blocks in use, with malloc's own word for each. */
long live_bytes(void);

#endif
