/* Loads a shared library of libpusher by its path, as the bindings do, sends an event to the server that PUSHER_URL names, and prints
 * the library's version and the status. packaging/dist/try.py runs it. */
#include <pusher.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef _WIN32
#include <windows.h>

static void *function(const char *library, const char *name) {
  HMODULE module = LoadLibraryA(library);
  FARPROC found = module ? GetProcAddress(module, name) : NULL;
  if (!found) fprintf(stderr, "%s: %s: error %lu\n", library, name, GetLastError());
  return (void *)found;
}
#else
#include <dlfcn.h>

static void *function(const char *library, const char *name) {
  void *module = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  void *found = module ? dlsym(module, name) : NULL;
  if (!found) fprintf(stderr, "%s\n", dlerror());
  return found;
}
#endif

/* Declares a pointer to a function of the library. */
#define FIND(pointer, name)                                                 \
  __typeof__(name) *pointer = (__typeof__(name) *)function(library, #name); \
  if (!pointer) return EXIT_FAILURE

int main(int argc, char **argv) {
  const char *library = argc == 2 ? argv[1] : "";
  FIND(version, pusher_version);
  FIND(make, pusher_new);
  FIND(trigger, pusher_trigger);
  FIND(name, pusher_status_name);
  FIND(free_string, pusher_string_free);
  FIND(free_client, pusher_free);
  Pusher *client = NULL;
  char *out = NULL;
  PusherStatus status = make(NULL, &client, &out);
  if (status == PUSHER_STATUS_OK)
    status = trigger(client, "my-channel", "my-event", "{\"hello\":\"world\"}", NULL, &out);
  printf("%s %s\n", version(), name(status));
  if (status != PUSHER_STATUS_OK) fprintf(stderr, "%s\n", out ? out : "");
  free_string(out);
  free_client(client);
  return EXIT_SUCCESS;
}
