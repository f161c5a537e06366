/*
 * A library to preload: a getaddrinfo() whose results and delays a test chooses.
 *
 * TEST_NAMES lists the names and their results, separated by spaces.
 *
 *   hangs.test=never                     the lookup never ends
 *   slow.test=500:127.0.0.1              the lookup takes half a second
 *   flaky.test=once:never,127.0.0.1      the first lookup never ends, the others return this address
 *   two.test=::1,127.0.0.1               these addresses in this order
 *   failing.test=error:-11:24            the lookup fails with this error of getaddrinfo(), and this errno
 *
 * Other names go to the C library.
 */

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The number of lookups that began, and the signals that the last of them had blocked, one bit each. */
atomic_int slow_names_begun;
atomic_ullong slow_names_blocked;

typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static look_up *system_look_up;

__attribute__((constructor)) static void when_loaded(void) {
  /* Not at the first call: dlsym() takes a lock, which a fork could leave held. */
  system_look_up = (look_up *)dlsym(RTLD_NEXT, "getaddrinfo");
  /*
   * Rust's start-up code records each thread, under a lock, for its handler of stack overflows, unless these signals
   * already have a handler. C programs have no such lock. So these tests turn that off.
   */
  signal(SIGSEGV, SIG_IGN);
  signal(SIGBUS, SIG_IGN);
}

static void note_signals(void) {
  unsigned long long blocked = 0;
  sigset_t set;
  pthread_sigmask(SIG_BLOCK, NULL, &set);
  for (int signal = 1; signal <= 63; signal++) {
    if (sigismember(&set, signal) == 1) blocked |= 1ULL << signal;
  }
  atomic_store(&slow_names_blocked, blocked);
}

/* Appends one address, which the C library resolves, so that freeaddrinfo() can free the list. */
static int append(const char *address, const struct addrinfo *hints, struct addrinfo **list) {
  struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST, .ai_socktype = hints != NULL ? hints->ai_socktype : 0};
  struct addrinfo *found = NULL;
  int error = system_look_up(address, NULL, &numeric, &found);
  while (*list != NULL) list = &(*list)->ai_next;
  *list = found;
  return error;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
  const char *names = getenv("TEST_NAMES");
  size_t length = name != NULL ? strlen(name) : 0;
  while (length > 0 && names != NULL && !(strncmp(names, name, length) == 0 && names[length] == '=')) {
    names = strchr(names, ' ');
    if (names != NULL) names++;
  }
  if (length == 0 || names == NULL) return system_look_up(name, service, hints, result);

  note_signals();
  int before = atomic_fetch_add(&slow_names_begun, 1);
  const char *meaning = names + length + 1;
  char text[256] = {0};
  strncpy(text, meaning, sizeof text - 1);
  text[strcspn(text, " ")] = '\0';
  static const char once[] = "once:never,";
  char *addresses = text;
  int hangs = strcmp(text, "never") == 0;
  if (strncmp(text, once, sizeof once - 1) == 0) {
    hangs = before == 0;
    addresses += sizeof once - 1;
  }
  while (hangs) pause();
  static const char fails[] = "error:";
  if (strncmp(text, fails, sizeof fails - 1) == 0) {
    char *end;
    int error = (int)strtol(text + sizeof fails - 1, &end, 10);
    errno = *end == ':' ? (int)strtol(end + 1, NULL, 10) : 0;
    return error;
  }

  char *behind_digits;
  long delay_ms = strtol(addresses, &behind_digits, 10);
  if (*behind_digits == ':' && behind_digits != addresses) {
    addresses = behind_digits + 1;
    struct timespec left = {delay_ms / 1000, delay_ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0) {
    }
  }
  *result = NULL;
  char *rest = NULL;
  for (char *address = strtok_r(addresses, ",", &rest); address != NULL; address = strtok_r(NULL, ",", &rest)) {
    int error = append(address, hints, result);
    if (error != 0) {
      if (*result != NULL) freeaddrinfo(*result);
      return error;
    }
  }
  return *result != NULL ? 0 : EAI_NONAME;
}
