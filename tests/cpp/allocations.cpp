// A separate source: if the compiler saw both, it would report a mismatch of new and delete.
#include "allocations.hpp"

#include <cstdlib>
#include <new>

thread_local long allocations_left = -1;

void *operator new(std::size_t size) {
  if (allocations_left == 0) throw std::bad_alloc();
  if (allocations_left > 0) allocations_left--;
  if (void *memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

void operator delete(void *memory) noexcept { std::free(memory); }

void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }
