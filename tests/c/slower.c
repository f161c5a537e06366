/* Makes two calls slower, for the self-test of scripts/budgets.sh. Linked before the library, these functions replace
 * its own, and call them.
 *
 *   ADDED_ROUNDS         rounds of a loop in pusher_authenticate()
 *   ADDED_ALLOCATIONS    allocations in pusher_trigger() */
#include <dlfcn.h>
#include <pusher.h>
#include <stdlib.h>

/* Finds the library's function once: a search in each call would be a regression itself. */
#define LIBRARYS(function)                             \
  static __typeof__(&function) librarys;               \
  if (librarys == NULL) {                              \
    void *found = dlsym(RTLD_NEXT, #function);         \
    if (found == NULL) abort();                        \
    __builtin_memcpy(&librarys, &found, sizeof found); \
  }

PusherStatus pusher_authenticate(const Pusher *client, const char *channel, const char *socket_id,
                                 const char *channel_data, char **out) {
  LIBRARYS(pusher_authenticate)
  for (volatile int i = 0; i < ADDED_ROUNDS; i++) continue;
  return librarys(client, channel, socket_id, channel_data, out);
}

PusherStatus pusher_trigger(const Pusher *client, const char *channels, const char *event, const char *data,
                            const char *options, char **out) {
  LIBRARYS(pusher_trigger)
  for (int i = 0; i < ADDED_ALLOCATIONS; i++) {
    void *volatile memory = malloc(8);
    free(memory);
  }
  return librarys(client, channels, event, data, options, out);
}
