/*
 * Records, between a program and the kernel, the bytes offered on each TCP connection and the bytes that the kernel took.
 *
 *   cc -std=c11 -Wall -Wextra -Werror -O1 -shared -fPIC -o witness.so tests/c/witness.c -ldl
 *   WITNESS_LOG=/tmp/log LD_PRELOAD=./witness.so program
 *
 * The log has a line for each call (numbers in decimal, errno 0 for success; connections are counted from 1):
 *   connect CONNECTION ERRNO
 *   send CONNECTION OFFERED TAKEN ERRNO     a call of send() or sendmsg()
 *   shutdown CONNECTION ERRNO
 *   close CONNECTION ERRNO
 *   mark STRING                            a call of witness_mark()
 * The bytes that the kernel took of connection N are in the file $WITNESS_LOG.N.
 *
 * It can also simulate failures on the client's side, which a server cannot cause:
 *   WITNESS_CUT=CONNECTION:BYTE:ERRNO[:TIMES]   the kernel takes exactly BYTE bytes of that connection (0: of any), counted from
 *                                               the last mark; then sending fails with ERRNO. This happens to TIMES connections
 *                                               (0: all; default: 1)
 *   WITNESS_PIECES=N                            the kernel takes at most N bytes at a time
 *   WITNESS_BUFFER=N                            the kernel holds at most about N bytes of a new connection that the peer has not taken
 * witness_cut(), witness_pieces() and witness_buffer() change these values; witness_settle() waits for the peers.
 *
 * The wrappers neither allocate nor use stdio, and may run on any thread.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Descriptors beyond this are not watched. */
#define DESCRIPTORS 4096
#define LINE 256

static int (*real_connect)(int, const struct sockaddr *, socklen_t);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
static int (*real_shutdown)(int, int);
static int (*real_close)(int);

/* For each descriptor: the number of its connection, the file with its bytes, the number of bytes that the kernel took since the
 * mark, and whether it was cut. */
static atomic_int numbers[DESCRIPTORS];
static atomic_int files[DESCRIPTORS];
static atomic_size_t taken_of[DESCRIPTORS];
static atomic_bool was_cut[DESCRIPTORS];

static atomic_int connections;
static atomic_int log_file = -1;
static char log_name[4096];

static atomic_int cut_connection;
static atomic_size_t cut_byte;
static atomic_int cut_errno; /* 0: nothing is cut */
static atomic_int cut_times; /* how many more connections to cut; below 0: all */
static atomic_size_t piece = SIZE_MAX;
static atomic_int buffer; /* 0: the kernel's default */

/* A string on the stack that grows, and is truncated at its limit. */
struct text {
  char characters[LINE];
  size_t length;
};

static void add(struct text *text, const char *more) {
  while (*more != '\0' && text->length < LINE - 1) text->characters[text->length++] = *more++;
}

static void add_number(struct text *text, unsigned long long number) {
  char digits[24];
  size_t at = sizeof digits;
  digits[--at] = '\0';
  do digits[--at] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  add(text, digits + at);
}

/* Writes a line at once to a file opened to append, so that lines of several threads do not mix. */
static void write_line(struct text *text) {
  int file = atomic_load(&log_file);
  add(text, "\n");
  if (text->characters[text->length - 1] != '\n') text->characters[text->length - 1] = '\n';
  if (file >= 0 && write(file, text->characters, text->length) < 0) abort(); /* The log must not have gaps. */
}

static void note(const char *what, int connection, const unsigned long long *numbers_of, size_t count) {
  struct text line = {.length = 0};
  add(&line, what);
  add(&line, " ");
  add_number(&line, (unsigned long long)connection);
  for (size_t index = 0; index < count; index++) {
    add(&line, " ");
    add_number(&line, numbers_of[index]);
  }
  write_line(&line);
}

static int number_of(int descriptor) {
  return descriptor >= 0 && descriptor < DESCRIPTORS ? atomic_load(&numbers[descriptor]) : 0;
}

void witness_mark(const char *what);
void witness_cut(int connection, size_t byte, int error, int times);
void witness_pieces(size_t most);
void witness_buffer(int most);
int witness_settle(int patience_ms);

/* Starts counting again from 0. */
void witness_mark(const char *what) {
  struct text line = {.length = 0};
  add(&line, "mark ");
  add(&line, what);
  for (int descriptor = 0; descriptor < DESCRIPTORS; descriptor++) {
    atomic_store(&taken_of[descriptor], 0);
    atomic_store(&was_cut[descriptor], 0);
  }
  write_line(&line);
}

/* Like WITNESS_CUT; `error` 0 turns it off. */
void witness_cut(int connection, size_t byte, int error, int times) {
  atomic_store(&cut_errno, 0);
  atomic_store(&cut_connection, connection);
  atomic_store(&cut_byte, byte);
  atomic_store(&cut_times, times > 0 ? times : -1);
  atomic_store(&cut_errno, error);
}

/* Like WITNESS_PIECES; 0 turns it off. */
void witness_pieces(size_t most) { atomic_store(&piece, most > 0 ? most : SIZE_MAX); }

/* Like WITNESS_BUFFER; 0 turns it off. */
void witness_buffer(int most) { atomic_store(&buffer, most); }

/* Waits until every open connection has something to read: bytes, an end or an error. Returns 0 at a timeout. */
int witness_settle(int patience_ms) {
  for (int descriptor = 0; descriptor < DESCRIPTORS; descriptor++) {
    struct pollfd waiting = {.fd = descriptor, .events = POLLIN};
    if (number_of(descriptor) != 0 && poll(&waiting, 1, patience_ms) != 1) return 0;
  }
  return 1;
}

__attribute__((constructor(101))) static void begin(void) {
  /* dlsym() returns functions as data pointers (POSIX), which ISO C does not allow. */
  *(void **)&real_connect = dlsym(RTLD_NEXT, "connect");
  *(void **)&real_sendmsg = dlsym(RTLD_NEXT, "sendmsg");
  *(void **)&real_shutdown = dlsym(RTLD_NEXT, "shutdown");
  *(void **)&real_close = dlsym(RTLD_NEXT, "close");
  if (real_connect == NULL || real_sendmsg == NULL || real_shutdown == NULL || real_close == NULL) abort();

  const char *name = getenv("WITNESS_LOG");
  if (name != NULL && strlen(name) < sizeof log_name) {
    strcpy(log_name, name);
    atomic_store(&log_file, open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (atomic_load(&log_file) < 0) abort();
  }
  const char *cut = getenv("WITNESS_CUT");
  if (cut != NULL) {
    char *end;
    long connection = strtol(cut, &end, 10);
    unsigned long byte = *end == ':' ? strtoul(end + 1, &end, 10) : 0;
    long error = *end == ':' ? strtol(end + 1, &end, 10) : 0;
    long times = *end == ':' ? strtol(end + 1, &end, 10) : 1;
    if (*end != '\0' || error == 0) abort();
    witness_cut((int)connection, byte, (int)error, (int)times);
  }
  const char *pieces = getenv("WITNESS_PIECES");
  if (pieces != NULL) witness_pieces(strtoul(pieces, NULL, 10));
  const char *most = getenv("WITNESS_BUFFER");
  if (most != NULL) witness_buffer((int)strtol(most, NULL, 10));
}

int connect(int descriptor, const struct sockaddr *address, socklen_t length) {
  int most = atomic_load(&buffer);
  if (most > 0 && address != NULL && (address->sa_family == AF_INET || address->sa_family == AF_INET6) &&
      setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &most, sizeof most) != 0) {
    abort();
  }
  int result = real_connect(descriptor, address, length);
  int error = result == 0 ? 0 : errno;
  int type = 0;
  socklen_t size = sizeof type;
  if (address != NULL && (address->sa_family == AF_INET || address->sa_family == AF_INET6) && descriptor >= 0 &&
      descriptor < DESCRIPTORS && getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
      type == SOCK_STREAM) {
    int connection = atomic_fetch_add(&connections, 1) + 1;
    atomic_store(&numbers[descriptor], connection);
    atomic_store(&taken_of[descriptor], 0);
    atomic_store(&was_cut[descriptor], 0);
    note("connect", connection, (unsigned long long[]){(unsigned long long)error}, 1);
  }
  errno = error;
  return result;
}

/* Appends the bytes that the kernel took to the connection's file, which the first byte creates. */
static void keep(int descriptor, int connection, const void *bytes, size_t length) {
  if (log_name[0] == '\0' || length == 0) return;
  int file = atomic_load(&files[descriptor]);
  if (file == 0) {
    char name[sizeof log_name + LINE];
    struct text number = {.length = 0};
    add(&number, ".");
    add_number(&number, (unsigned long long)connection);
    number.characters[number.length] = '\0';
    strcpy(name, log_name);
    strcat(name, number.characters);
    file = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) abort();
    atomic_store(&files[descriptor], file);
  }
  for (const char *at = bytes; length > 0;) {
    ssize_t written = write(file, at, length);
    if (written <= 0) abort();
    at += written;
    length -= (size_t)written;
  }
}

/* The most pieces of a message that the witness passes on; the kernel may take fewer bytes than were offered. */
#define PIECES 16

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags) {
  int connection = number_of(descriptor);
  if (connection == 0) return real_sendmsg(descriptor, message, flags);

  size_t length = 0;
  for (size_t index = 0; index < message->msg_iovlen; index++) length += message->msg_iov[index].iov_len;
  size_t most = atomic_load(&piece);
  size_t wanted = length < most ? length : most;
  int error = 0;
  int cut = atomic_load(&cut_connection);
  if (atomic_load(&cut_errno) != 0 && (cut == 0 || cut == connection) &&
      (atomic_load(&cut_times) != 0 || atomic_load(&was_cut[descriptor]))) {
    size_t taken = atomic_load(&taken_of[descriptor]);
    size_t left = atomic_load(&cut_byte) > taken ? atomic_load(&cut_byte) - taken : 0;
    if (left == 0 && wanted > 0) {
      error = atomic_load(&cut_errno);
      if (!atomic_exchange(&was_cut[descriptor], 1) && atomic_load(&cut_times) > 0) atomic_fetch_sub(&cut_times, 1);
    } else if (left < wanted) {
      wanted = left;
    }
  }
  ssize_t result = -1;
  struct iovec pieces[PIECES];
  if (error == 0) {
    struct msghdr part = *message;
    part.msg_iov = pieces;
    part.msg_iovlen = 0;
    for (size_t index = 0, left = wanted; index < message->msg_iovlen && index < PIECES; index++) {
      pieces[index] = message->msg_iov[index];
      if (pieces[index].iov_len > left) pieces[index].iov_len = left;
      left -= pieces[index].iov_len;
      part.msg_iovlen++;
    }
    result = real_sendmsg(descriptor, &part, flags);
    error = result < 0 ? errno : 0;
  }
  size_t taken = result > 0 ? (size_t)result : 0;
  atomic_fetch_add(&taken_of[descriptor], taken);
  for (size_t index = 0, left = taken; left > 0; index++) {
    size_t here = pieces[index].iov_len < left ? pieces[index].iov_len : left;
    keep(descriptor, connection, pieces[index].iov_base, here);
    left -= here;
  }
  note("send", connection, (unsigned long long[]){length, taken, (unsigned long long)error}, 3);
  errno = error;
  return result;
}

ssize_t send(int descriptor, const void *bytes, size_t length, int flags) {
  struct iovec all = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
  struct msghdr message = {.msg_iov = &all, .msg_iovlen = 1};
  return sendmsg(descriptor, &message, flags);
}

int shutdown(int descriptor, int how) {
  int connection = number_of(descriptor);
  int result = real_shutdown(descriptor, how);
  int error = result == 0 ? 0 : errno;
  if (connection != 0) note("shutdown", connection, (unsigned long long[]){(unsigned long long)error}, 1);
  errno = error;
  return result;
}

int close(int descriptor) {
  int connection = number_of(descriptor);
  if (connection != 0) {
    int file = atomic_exchange(&files[descriptor], 0);
    if (file > 0) real_close(file);
    /* Before the kernel may reuse the number. */
    atomic_store(&numbers[descriptor], 0);
  }
  int result = real_close(descriptor);
  int error = result == 0 ? 0 : errno;
  if (connection != 0) note("close", connection, (unsigned long long[]){(unsigned long long)error}, 1);
  errno = error;
  return result;
}
