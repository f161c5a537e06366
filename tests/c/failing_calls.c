/*
 * A library to preload: system calls of sockets, and getrandom(), that fail with an errno that a test chooses, from their nth call
 * on.
 *
 * FAILING_CALLS lists the functions, separated by spaces, each with the number of its first call that fails, counted from 1, and
 * the errno. A fourth number is how many calls fail; without it all that follow do.
 *
 *   recv=1:4             every recv() fails with EINTR, as in a storm of signals
 *   sendmsg=2:105:1      the second sendmsg() fails with ENOBUFS, and no other
 *
 * Calls are counted, and fail, while `failing_calls` is set. Except for getrandom(), they fail for sockets only: poll() fails if one of its descriptors is a
 * socket. `send` means send(), sendto() and sendmsg(); `recv` means recv(), recvfrom() and recvmsg(); `poll` means poll() and ppoll().
 */

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

atomic_int failing_calls;

/* How often one of the functions failed. */
atomic_int failed_calls;

enum { SOCKET, CONNECT, SEND, RECV, POLL, GETRANDOM, FUNCTIONS };
static const char *const names[FUNCTIONS] = {"socket", "connect", "send", "recv", "poll", "getrandom"};

static struct {
  int first, error, times;
  atomic_int calls;
} plan[FUNCTIONS];

static struct {
  int (*socket)(int, int, int);
  int (*connect)(int, const struct sockaddr *, socklen_t);
  ssize_t (*send)(int, const void *, size_t, int);
  ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
  ssize_t (*sendmsg)(int, const struct msghdr *, int);
  ssize_t (*recv)(int, void *, size_t, int);
  ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
  ssize_t (*recvmsg)(int, struct msghdr *, int);
  int (*poll)(struct pollfd *, nfds_t, int);
  int (*ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
  ssize_t (*getrandom)(void *, size_t, unsigned);
} real;

/* dlsym() returns functions as data pointers (POSIX), which ISO C does not allow. */
#define FIND(function)                                      \
  do {                                                      \
    *(void **)&real.function = dlsym(RTLD_NEXT, #function); \
    if (real.function == NULL) abort();                     \
  } while (0)

__attribute__((constructor)) static void when_loaded(void) {
  FIND(socket);
  FIND(connect);
  FIND(send);
  FIND(sendto);
  FIND(sendmsg);
  FIND(recv);
  FIND(recvfrom);
  FIND(recvmsg);
  FIND(poll);
  FIND(ppoll);
  FIND(getrandom);
  const char *text = getenv("FAILING_CALLS");
  while (text != NULL && *text != '\0') {
    int function = 0;
    size_t length = strcspn(text, "=");
    while (function < FUNCTIONS &&
           !(strlen(names[function]) == length && strncmp(names[function], text, length) == 0)) {
      function++;
    }
    if (function == FUNCTIONS || text[length] != '=') abort();
    char *end;
    plan[function].first = (int)strtol(text + length + 1, &end, 10);
    plan[function].error = *end == ':' ? (int)strtol(end + 1, &end, 10) : 0;
    plan[function].times = *end == ':' ? (int)strtol(end + 1, &end, 10) : 0;
    if (plan[function].first < 1 || plan[function].error < 1 || (*end != '\0' && *end != ' ')) abort();
    text = *end == ' ' ? end + 1 : end;
  }
}

static int is_socket(int descriptor) {
  struct stat status;
  int before = errno;
  int result = fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode);
  errno = before;
  return result;
}

/* Counts a call, and returns whether it fails. */
static int fails(int function) {
  if (!atomic_load(&failing_calls) || plan[function].first == 0) return 0;
  int number = atomic_fetch_add(&plan[function].calls, 1) + 1;
  int first = plan[function].first;
  if (number < first || (plan[function].times > 0 && number >= first + plan[function].times)) return 0;
  atomic_fetch_add(&failed_calls, 1);
  errno = plan[function].error;
  return 1;
}

int socket(int domain, int type, int protocol) {
  if ((domain == AF_INET || domain == AF_INET6) && fails(SOCKET)) return -1;
  return real.socket(domain, type, protocol);
}

int connect(int descriptor, const struct sockaddr *address, socklen_t length) {
  if (address->sa_family != AF_UNIX && fails(CONNECT)) return -1;
  return real.connect(descriptor, address, length);
}

ssize_t send(int descriptor, const void *bytes, size_t length, int flags) {
  if (fails(SEND)) return -1;
  return real.send(descriptor, bytes, length, flags);
}

ssize_t sendto(int descriptor, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
  if (fails(SEND)) return -1;
  return real.sendto(descriptor, bytes, length, flags, to, size);
}

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags) {
  if (fails(SEND)) return -1;
  return real.sendmsg(descriptor, message, flags);
}

ssize_t recv(int descriptor, void *buffer, size_t length, int flags) {
  if (fails(RECV)) return -1;
  return real.recv(descriptor, buffer, length, flags);
}

ssize_t recvfrom(int descriptor, void *buffer, size_t length, int flags, struct sockaddr *from, socklen_t *size) {
  if (fails(RECV)) return -1;
  return real.recvfrom(descriptor, buffer, length, flags, from, size);
}

ssize_t recvmsg(int descriptor, struct msghdr *message, int flags) {
  if (fails(RECV)) return -1;
  return real.recvmsg(descriptor, message, flags);
}

int poll(struct pollfd *descriptors, nfds_t count, int timeout) {
  for (nfds_t index = 0; index < count; index++) {
    if (!is_socket(descriptors[index].fd)) continue;
    if (fails(POLL)) return -1;
    break;
  }
  return real.poll(descriptors, count, timeout);
}

ssize_t getrandom(void *bytes, size_t length, unsigned flags) {
  if (fails(GETRANDOM)) return -1;
  return real.getrandom(bytes, length, flags);
}

int ppoll(struct pollfd *descriptors, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
  for (nfds_t index = 0; index < count; index++) {
    if (!is_socket(descriptors[index].fd)) continue;
    if (fails(POLL)) return -1;
    break;
  }
  return real.ppoll(descriptors, count, timeout, mask);
}
