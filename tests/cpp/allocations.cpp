// A source of its own: where the compiler sees both ends, it takes new and delete for a pair that does not match.
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
