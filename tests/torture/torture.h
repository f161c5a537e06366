/*
 * What the programs of this folder share: a listener of the fault server and its ledger, and calls in a child process, which may
 * die.
 *
 * The parent compares the reports of a child with the ledger. The child writes them to shared memory, so that nothing is lost with
 * it.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include "../cpp/fault_server.h"

#include <cjson/cJSON.h>
#include <pusher.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>

enum { MOST_DOCUMENT = 48 * 1024, MOST_SAID = 4096, MOST_FAILURE = 300 };

/* How long a child may take. */
static unsigned patience_s = 60;

/* The end of a call. */
struct report {
  int is_made;
  int status;
  int delivery; /* by pusher_error_delivery() */
  int has_document;
  size_t length;
  unsigned long hash; /* of the whole document */
  char document[MOST_DOCUMENT];
};

__attribute__((format(printf, 1, 2), noreturn)) static inline void stop(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(2);
}

/* Keeps the message of a child's first failure, which the parent reads. */
__attribute__((format(printf, 2, 3))) static inline void keep_failure(char *failure, const char *format, ...) {
  va_list arguments;
  if (failure[0] != '\0') return;
  va_start(arguments, format);
  vsnprintf(failure, MOST_FAILURE, format, arguments);
  va_end(arguments);
}

/* Records the end of a call, and frees the document. Allocates nothing. */
static inline void record(struct report *report, int status, char *out) {
  char message[4096];
  report->status = status;
  report->delivery = pusher_error_delivery(out);
  report->has_document = out != NULL;
  report->hash = 5381;
  if (out != NULL) {
    report->length = strlen(out);
    for (const char *c = out; *c != '\0'; c++) report->hash = report->hash * 33 + (unsigned char)*c;
    size_t kept = report->length < MOST_DOCUMENT - 1 ? report->length : MOST_DOCUMENT - 1;
    memcpy(report->document, out, kept);
    report->document[kept] = '\0';
    size_t said = pusher_error_message(out, message, sizeof message);
    if ((said > 0) != (status != PUSHER_STATUS_OK)) report->status = -1;
  }
  pusher_string_free(out);
  report->is_made = 1;
}

static inline void *shared_memory(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) stop("mmap failed");
  return memory;
}

/* The ends of a child. */
struct end {
  int is_hung, signal, code;
  char said[MOST_SAID]; /* what it wrote to standard output and standard error */
};

/* Runs `body` in a child process. A child that does not end is killed. */
static inline struct end in_child(void (*body)(void *), void *argument) {
  struct end end = {0};
  int status = 0, said = memfd_create("said", 0);
  pid_t child = fork();
  if (said < 0 || child < 0) stop("no child can be made");
  if (child == 0) {
    alarm(patience_s);
    dup2(said, 1);
    dup2(said, 2);
    close(said);
    body(argument);
    _exit(0);
  }
  if (waitpid(child, &status, 0) != child) stop("waitpid failed");
  ssize_t length = pread(said, end.said, sizeof end.said - 1, 0);
  end.said[length > 0 ? length : 0] = '\0';
  close(said);
  end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  end.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  end.is_hung = end.signal == SIGALRM;
  return end;
}

/* ---- the fault server ---- */

static struct fault_server torture_server;
static cJSON *torture_ready;

static inline const cJSON *member(const cJSON *object, const char *name) {
  return cJSON_GetObjectItemCaseSensitive(object, name);
}

static inline const char *text_of(const cJSON *object, const char *name) {
  const char *text = cJSON_GetStringValue(member(object, name));
  return text != NULL ? text : "";
}

static inline cJSON *parsed(const char *text) {
  cJSON *value = cJSON_Parse(text);
  if (value == NULL) stop("not JSON: %s", text);
  return value;
}

static inline int control_port(void) { return member(torture_ready, "control")->valueint; }

static inline void torture_start(void) {
  torture_server = fault_server_start();
  torture_ready = parsed(torture_server.ready);
}

static inline void torture_stop(void) { fault_server_stop(&torture_server); }

/* Opens a listener without a fault, or with `how`, and returns its port. */
static inline int torture_listen(const char *how) {
  char *answer = fault_server_ask(control_port(), "POST", "/listen", how);
  cJSON *listener = parsed(answer);
  int port = member(listener, "port")->valueint;
  cJSON_Delete(listener);
  free(answer);
  return port;
}

/* Returns the attempts of a listener, without the first `from`. */
static inline cJSON *torture_ledger(int port, int from) {
  char path[64];
  snprintf(path, sizeof path, "/listen/%d?from=%d", port, from);
  char *answer = fault_server_ask(control_port(), "GET", path, "");
  cJSON *ledger = parsed(answer);
  free(answer);
  cJSON *attempts = cJSON_DetachItemFromObjectCaseSensitive(ledger, "attempts");
  cJSON_Delete(ledger);
  return attempts;
}

/* Counts how often an event was published, on a channel or, if that is NULL, on any. */
static inline int times_published(const cJSON *attempts, const char *event, const char *channel) {
  int times = 0;
  const cJSON *attempt, *applied;
  cJSON_ArrayForEach(attempt, attempts) {
    cJSON_ArrayForEach(applied, member(attempt, "applied")) {
      if (strcmp(text_of(applied, "name"), event) != 0) continue;
      times += channel == NULL || strcmp(text_of(applied, "channel"), channel) == 0;
    }
  }
  return times;
}

/* Returns the PusherDelivery of a name in a document, or 0. */
static inline int delivery_named(const char *name) {
  static const char *const names[] = {"", "not_sent", "rejected", "unknown", "delivered"};
  for (int i = 1; i < 5; i++) {
    if (strcmp(names[i], name) == 0) return i;
  }
  return 0;
}

/* Returns whether what was said of an event, a PusherDelivery, agrees with how often it was published. Nothing said, 0, is
 * unknown. */
static inline int agrees(int said, int times) {
  switch (said) {
    case PUSHER_DELIVERY_DELIVERED: return times == 1;
    case PUSHER_DELIVERY_NOT_SENT:
    case PUSHER_DELIVERY_REJECTED: return times == 0;
    default: return times <= 1;
  }
}

/* Writes a configuration, with more members, which begin with a comma. */
static inline void config_of(char *config, size_t size, int port, int tls, const char *more) {
  cJSON *key = cJSON_CreateString(text_of(torture_ready, "key"));
  cJSON *secret = cJSON_CreateString(text_of(torture_ready, "secret"));
  char *quoted_key = cJSON_PrintUnformatted(key), *quoted_secret = cJSON_PrintUnformatted(secret), ca[600] = "";
  if (tls) snprintf(ca, sizeof ca, ",\"ca_file\":\"%s\"", text_of(torture_ready, "ca"));
  int length =
      snprintf(config, size, "{\"app_id\":\"1\",\"key\":%s,\"secret\":%s,\"host\":\"%s\",\"port\":%d,\"ssl\":%s%s%s}",
               quoted_key, quoted_secret, "127.0.0.1", port, tls ? "true" : "false", ca, more);
  if (length < 0 || (size_t)length >= size) stop("the configuration is too long");
  cJSON_free(quoted_key);
  cJSON_free(quoted_secret);
  cJSON_Delete(key);
  cJSON_Delete(secret);
}

#endif
