/*
 * A library to preload: an allocation that fails, and what becomes of those that do not. See failing_allocations.h.
 *
 * It replaces malloc(), calloc(), realloc(), posix_memalign(), aligned_alloc(), memalign() and free() of glibc.
 */
#include "failing_allocations.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static atomic_int is_counting, fails_all;
static atomic_long first_failure, calls, failed;
static atomic_size_t failed_size;

/* The allocations since failing_allocations_begin() that are not freed: a hash table with linear probing. */
enum { PLACES = 1 << 18 };
static struct {
  void *memory;
  size_t size;
} table[PLACES];
static atomic_long live;
static size_t live_bytes;
static atomic_flag is_locked = ATOMIC_FLAG_INIT;

static void lock(void) {
  while (atomic_flag_test_and_set_explicit(&is_locked, memory_order_acquire)) sched_yield();
}

static void unlock(void) { atomic_flag_clear_explicit(&is_locked, memory_order_release); }

static size_t place_of(const void *memory) {
  return (size_t)(((uintptr_t)memory >> 4) * 0x9e3779b97f4a7c15u >> 40) % PLACES;
}

static void remember(void *memory, size_t size) {
  if (memory == NULL) return;
  lock();
  if (atomic_load(&live) > PLACES / 2) abort();
  size_t at = place_of(memory);
  while (table[at].memory != NULL) at = (at + 1) % PLACES;
  table[at].memory = memory;
  table[at].size = size;
  atomic_fetch_add(&live, 1);
  live_bytes += size;
  unlock();
}

/* Removes an allocation, and returns whether it was there. */
static int forget(const void *memory) {
  if (memory == NULL || atomic_load(&live) == 0) return 0;
  lock();
  size_t at = place_of(memory);
  while (table[at].memory != NULL && table[at].memory != memory) at = (at + 1) % PLACES;
  int is_there = table[at].memory != NULL;
  if (is_there) {
    atomic_fetch_sub(&live, 1);
    live_bytes -= table[at].size;
    /* Moves those behind it that belong here or before. */
    for (size_t next = (at + 1) % PLACES; table[next].memory != NULL; next = (next + 1) % PLACES) {
      size_t home = place_of(table[next].memory);
      if ((next - home + PLACES) % PLACES < (next - at + PLACES) % PLACES) continue;
      table[at] = table[next];
      at = next;
    }
    table[at].memory = NULL;
  }
  unlock();
  return is_there;
}

/* Counts an allocation, and returns whether it fails. */
static int fails(size_t size) {
  if (!atomic_load(&is_counting)) return 0;
  long number = atomic_fetch_add(&calls, 1) + 1, first = atomic_load(&first_failure);
  if (number != first && !(number > first && atomic_load(&fails_all))) return 0;
  if (atomic_fetch_add(&failed, 1) == 0) atomic_store(&failed_size, size);
  errno = ENOMEM;
  return 1;
}

static void *made(void *memory, size_t size) {
  if (atomic_load(&is_counting)) remember(memory, size);
  return memory;
}

void failing_allocations_begin(long first, int all) {
  atomic_store(&first_failure, first);
  atomic_store(&fails_all, all);
  atomic_store(&is_counting, 1);
}

void failing_allocations_end(void) { atomic_store(&is_counting, 0); }

void failing_allocations_read(struct allocations *read) {
  lock();
  *read = (struct allocations){.calls = atomic_load(&calls),
                               .failed = atomic_load(&failed),
                               .failed_size = atomic_load(&failed_size),
                               .live = atomic_load(&live),
                               .live_bytes = live_bytes};
  unlock();
}

void *malloc(size_t size) { return fails(size) ? NULL : made(__libc_malloc(size), size); }

void *calloc(size_t count, size_t size) {
  return fails(count * size) ? NULL : made(__libc_calloc(count, size), count * size);
}

void *realloc(void *memory, size_t size) {
  if (fails(size)) return NULL;
  int was_there = forget(memory);
  void *moved = __libc_realloc(memory, size);
  if (was_there || atomic_load(&is_counting)) remember(moved, size);
  return moved;
}

void *memalign(size_t alignment, size_t size) {
  return fails(size) ? NULL : made(__libc_memalign(alignment, size), size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **memory, size_t alignment, size_t size) {
  void *made_here = memalign(alignment, size);
  if (made_here == NULL) return ENOMEM;
  *memory = made_here;
  return 0;
}

void free(void *memory) {
  forget(memory);
  __libc_free(memory);
}
