#include "allocations.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>

/* The allocator of the GNU C library by its other names. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

static _Thread_local struct allocations own;
static atomic_ulong all_calls, all_bytes;
static atomic_long live;

struct allocations own_allocations(void) { return own; }

struct allocations all_allocations(void) { return (struct allocations){all_calls, all_bytes}; }

long live_bytes(void) { return live; }

static long block_bytes(void *block) { return block == NULL ? 0 : (long)(malloc_usable_size(block) + sizeof(size_t)); }

static void *allocated(void *block, size_t size) {
  own.calls++;
  own.bytes += size;
  atomic_fetch_add_explicit(&all_calls, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&all_bytes, size, memory_order_relaxed);
  atomic_fetch_add_explicit(&live, block_bytes(block), memory_order_relaxed);
  return block;
}

static void released(void *block) { atomic_fetch_sub_explicit(&live, block_bytes(block), memory_order_relaxed); }

void *malloc(size_t size) { return allocated(__libc_malloc(size), size); }

void *calloc(size_t count, size_t size) { return allocated(__libc_calloc(count, size), count * size); }

void *realloc(void *block, size_t size) {
  long before = block_bytes(block);
  void *grown = __libc_realloc(block, size);
  /* After a failure the block is as before. */
  if (grown == NULL && size > 0) return NULL;
  atomic_fetch_sub_explicit(&live, before, memory_order_relaxed);
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
