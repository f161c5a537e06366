// Memory that runs out when a test wants it to.
#ifndef ALLOCATIONS_HPP
#define ALLOCATIONS_HPP

// So many allocations of this thread by `new` go well yet; below zero, all do.
extern thread_local long allocations_left;

#endif
