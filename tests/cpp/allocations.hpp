// Makes allocations fail on request.
#ifndef ALLOCATIONS_HPP
#define ALLOCATIONS_HPP

// The number of this thread's allocations by `new` that still succeed; below zero: all.
extern thread_local long allocations_left;

#endif
