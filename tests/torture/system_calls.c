/*
 * System calls that fail, signals, a process that is stopped, and a clock that jumps: the delivery that a call reports is the one in
 * the ledger of the fault server, the call ends in time, and the client works again.
 *
 *   system_calls failures [--planted]   each system call of each scenario fails once, with each errno; planted: a program that
 *                                       calls everything delivered
 *   system_calls signals                under a signal every millisecond
 *   system_calls stopped SECONDS        stopped by SIGSTOP in the middle of calls
 *   system_calls clock                  with jumping_clock.c preloaded
 *
 * A filter of seccomp hands the system calls to a thread of the same process, which counts them, and lets them continue or fail. So
 * those fail, too, that the C library makes for itself.
 */
#include "torture.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

enum { EVENTS = 6, MOST_EVENTS = 8000, MOST_SHOWN = 12, CHILDREN = 6 };

/* On a loaded machine the thread that lets each system call continue takes milliseconds for it, and a process that is to run may wait
 * for hundreds. What ignores its deadline ends much later, or hangs. */
enum { TIMEOUT_MS = 8000, SLACK_MS = 4000 };

/* A timer ticks a thousand times a second, as far as the machine has time. Calls go on until enough signals have come. */
enum { LEAST_SIGNALS = 20, LEAST_CALLS = 400, QUEUED_AT_ONCE = 1500 };

/* Kinds of system calls, each with those that do the same. */
enum { SOCKET, CONNECT, SEND, RECV, POLL, GETRANDOM, CLONE, MMAP, MADVISE, KINDS };
static const char *const kinds[KINDS] = {"socket",    "connect", "send", "recv",   "poll",
                                         "getrandom", "clone",   "mmap", "madvise"};

static const struct {
  int number, kind;
} trapped[] = {
    {SYS_socket, SOCKET}, {SYS_connect, CONNECT}, {SYS_sendto, SEND}, {SYS_sendmsg, SEND},
    {SYS_recvfrom, RECV}, {SYS_recvmsg, RECV},    {SYS_ppoll, POLL},  {SYS_getrandom, GETRANDOM},
    {SYS_clone, CLONE},   {SYS_clone3, CLONE},    {SYS_mmap, MMAP},   {SYS_madvise, MADVISE},
#ifdef SYS_poll
    {SYS_poll, POLL},
#endif
};
enum { TRAPPED = sizeof trapped / sizeof *trapped };

static const struct {
  const char *name;
  int number;
} errors[] = {{"EINTR", EINTR},     {"EAGAIN", EAGAIN}, {"EMFILE", EMFILE},
              {"ENOBUFS", ENOBUFS}, {"ENOMEM", ENOMEM}, {"EPIPE", EPIPE}};
enum { ERRORS = sizeof errors / sizeof *errors };

/* What was said about an event. */
struct outcome {
  int is_made, status, delivery;
  long elapsed_ms;
  char message[200];
};

/* Shared between the child and the parent. */
struct shared {
  /* What fails. */
  int kind, error, is_lasting; /* those that follow fail, too */
  long first;
  const struct scenario *scenario;
  char event[64];
  /* What happened. */
  atomic_int is_counting;
  atomic_long calls[KINDS];
  atomic_int failed;
  int is_done, is_planted;
  long count; /* of events */
  struct outcome outcomes[MOST_EVENTS], again;
};

struct scenario {
  const char *name;
  Pusher *(*client)(void);
  int is_warm;
  void (*call)(Pusher *, struct shared *);
};

static int listener, tls_listener;

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static Pusher *client_with(int port, int tls, const char *more) {
  char config[4096], *out = NULL;
  Pusher *client = NULL;
  config_of(config, sizeof config, port, tls, more);
  if (pusher_new(config, &client, &out) != PUSHER_STATUS_OK) stop("pusher_new: %s", out);
  return client;
}

#define MORE ",\"timeout_ms\":8000,\"encryption_master_key_base64\":\"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\""
static Pusher *plain(void) { return client_with(listener, 0, MORE); }
static Pusher *without_retries(void) { return client_with(listener, 0, MORE ",\"retry\":{\"mode\":\"never\"}"); }
static Pusher *with_keys(void) { return client_with(listener, 0, MORE ",\"idempotency\":\"auto\""); }
static Pusher *with_tls(void) { return client_with(tls_listener, 1, MORE); }

/* Looks the name up, which starts a thread. */
static Pusher *with_name(void) {
  char config[4096], *host, *out = NULL;
  Pusher *client = NULL;
  config_of(config, sizeof config, listener, 0, MORE);
  host = strstr(config, "127.0.0.1");
  memcpy(host, "localhost", 9);
  if (pusher_new(config, &client, &out) != PUSHER_STATUS_OK) stop("pusher_new: %s", out);
  return client;
}

static void keep(struct outcome *outcome, int status, char *out, long since) {
  outcome->elapsed_ms = now_ms() - since;
  outcome->status = status;
  outcome->delivery = status == PUSHER_STATUS_OK ? PUSHER_DELIVERY_DELIVERED : pusher_error_delivery(out);
  pusher_error_message(out, outcome->message, sizeof outcome->message);
  pusher_string_free(out);
  outcome->is_made = 1;
}

static void trigger_on(Pusher *client, struct shared *shared, struct outcome *outcome, const char *channel,
                       long number) {
  char name[80], *out = NULL;
  long since = now_ms();
  snprintf(name, sizeof name, "%s-%ld", shared->event, number);
  int status = pusher_trigger(client, channel, name, "\"data\"", NULL, &out);
  keep(outcome, status, out, since);
}

static void call_trigger(Pusher *client, struct shared *shared) {
  trigger_on(client, shared, &shared->outcomes[shared->count++], "c", 0);
}

static void call_encrypted(Pusher *client, struct shared *shared) {
  trigger_on(client, shared, &shared->outcomes[shared->count++], "private-encrypted-c", 0);
}

static void publish_events(Pusher *client, struct shared *shared, long count) {
  char *out = NULL, name[80];
  PusherPublisher *publisher = NULL;
  uint64_t ids[MOST_EVENTS];
  int status =
      pusher_publisher_new(client, "{\"reports\":\"all\",\"connections\":1,\"max_batch_events\":3}", &publisher, &out);
  long since = now_ms();
  if (status != PUSHER_STATUS_OK) {
    keep(&shared->outcomes[shared->count++], status, out, since);
    return;
  }
  for (long i = 0; i < count; i++) {
    snprintf(name, sizeof name, "%s-%ld", shared->event, i);
    status = pusher_publisher_publish(publisher, "c", name, "\"data\"", NULL, &ids[i], &out);
    /* Not queued is not sent. */
    keep(&shared->outcomes[i], status, out, since);
    shared->outcomes[i].delivery = status == PUSHER_STATUS_OK ? 0 : PUSHER_DELIVERY_NOT_SENT;
  }
  shared->count = count;
  pusher_publisher_flush(publisher, 20000, NULL);
  pusher_publisher_close(publisher, 1000, NULL);
  while (pusher_publisher_poll(publisher, 0, &out) == PUSHER_STATUS_OK) {
    cJSON *document = parsed(out);
    const cJSON *one;
    cJSON_ArrayForEach(one, member(document, "reports")) {
      for (long i = 0; i < count; i++) {
        if (ids[i] != (uint64_t)cJSON_GetNumberValue(member(one, "id"))) continue;
        if (shared->outcomes[i].delivery != 0) stop("an event has two reports");
        shared->outcomes[i].delivery = delivery_named(text_of(one, "delivery"));
        snprintf(shared->outcomes[i].message, sizeof shared->outcomes[i].message, "%s", text_of(one, "message"));
      }
    }
    cJSON_Delete(document);
    pusher_string_free(out);
  }
  for (long i = 0; i < count; i++) {
    if (shared->outcomes[i].delivery == 0) stop("event %ld has no report", i);
  }
  pusher_publisher_free(publisher);
}

static void call_publisher(Pusher *client, struct shared *shared) { publish_events(client, shared, EVENTS); }

static const struct scenario scenarios[] = {
    {"without retries", without_retries, 0, call_trigger},
    {"cold", plain, 0, call_trigger},
    {"warm", plain, 1, call_trigger},
    {"tls", with_tls, 0, call_trigger},
    {"warm-tls", with_tls, 1, call_trigger},
    {"encrypted", with_keys, 0, call_encrypted},
    {"name", with_name, 0, call_trigger},
    {"publisher", plain, 0, call_publisher},
};
enum { WARM = 2, WARM_TLS = 4, PUBLISHER = 7 };
enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

/* ---- the system calls of a child ---- */

/* Lets each system call continue or fail. Runs without the filter, which is set after it has started. */
static struct supervisor {
  struct shared *shared;
  atomic_int descriptor;
} supervisor;

static int kind_of(int number) {
  for (int i = 0; i < TRAPPED; i++) {
    if (trapped[i].number == number) return trapped[i].kind;
  }
  return -1;
}

static void *supervise(void *argument) {
  struct shared *shared = supervisor.shared;
  struct seccomp_notif call;
  struct seccomp_notif_resp answer;
  int descriptor;
  (void)argument;
  while ((descriptor = atomic_load(&supervisor.descriptor)) < 0) nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
  for (;;) {
    memset(&call, 0, sizeof call);
    memset(&answer, 0, sizeof answer);
    if (ioctl(descriptor, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) continue;
    answer.id = call.id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    int kind = kind_of(call.data.nr);
    if (kind >= 0 && atomic_load(&shared->is_counting)) {
      long number = atomic_fetch_add(&shared->calls[kind], 1) + 1;
      if (kind == shared->kind && (number == shared->first || (shared->is_lasting && number > shared->first))) {
        atomic_fetch_add(&shared->failed, 1);
        answer.flags = 0;
        answer.error = -shared->error;
      }
    }
    ioctl(descriptor, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
  return NULL;
}

static void hand_over_system_calls(struct shared *shared) {
  struct sock_filter filter[TRAPPED + 3];
  struct sock_fprog program = {.len = TRAPPED + 3, .filter = filter};
  pthread_t thread;
  filter[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int i = 0; i < TRAPPED; i++) {
    filter[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)trapped[i].number,
                                                 (unsigned char)(TRAPPED - i), 0);
  }
  filter[TRAPPED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[TRAPPED + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  supervisor.shared = shared;
  atomic_store(&supervisor.descriptor, -1);
  if (pthread_create(&thread, NULL, supervise, NULL) != 0) stop("no supervisor");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) stop("PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
  long descriptor = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  if (descriptor < 0) stop("seccomp: %s", strerror(errno));
  atomic_store(&supervisor.descriptor, (int)descriptor);
}

/* ---- the runs ---- */

/* Makes the connection that a warm call uses. */
static void warm_up(Pusher *client) {
  if (pusher_trigger(client, "c", "before", "1", NULL, NULL) != PUSHER_STATUS_OK) stop("the first call fails");
}

static void call_again(Pusher *client, struct shared *shared) {
  trigger_on(client, shared, &shared->again, "c", 999999);
  pusher_free(client);
  shared->is_done = 1;
}

static void run_failure(void *argument) {
  struct shared *shared = argument;
  const struct scenario *scenario = shared->scenario;
  Pusher *client = scenario->client();
  if (scenario->is_warm) warm_up(client);
  hand_over_system_calls(shared);
  atomic_store(&shared->is_counting, 1);
  scenario->call(client, shared);
  atomic_store(&shared->is_counting, 0);
  if (shared->is_planted) shared->outcomes[0].delivery = PUSHER_DELIVERY_DELIVERED;
  call_again(client, shared);
}

static int wrong;
static char what_now[200];

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...) {
  va_list arguments;
  if (++wrong > MOST_SHOWN) return;
  fprintf(stderr, "%s: ", what_now);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

static void check_outcome(const struct outcome *outcome, const char *event, long number, const cJSON *attempts,
                          long most_ms) {
  char name[80];
  snprintf(name, sizeof name, "%s-%ld", event, number);
  int times = times_published(attempts, name, NULL);
  if (!agrees(outcome->delivery, times)) {
    complain("event %ld was reported as %d and published %d times: %s: %s", number, outcome->delivery, times,
             pusher_status_name(outcome->status), outcome->message);
  }
  if (outcome->elapsed_ms > most_ms) complain("the call took %ld ms", outcome->elapsed_ms);
}

/* Returns the attempts since the last time. */
static cJSON *new_attempts(void) {
  static int seen[2];
  int ports[2] = {listener, tls_listener};
  cJSON *all = cJSON_CreateArray();
  for (int i = 0; i < 2; i++) {
    cJSON *some = torture_ledger(ports[i], seen[i]);
    seen[i] += cJSON_GetArraySize(some);
    while (cJSON_GetArraySize(some) > 0) cJSON_AddItemToArray(all, cJSON_DetachItemFromArray(some, 0));
    cJSON_Delete(some);
  }
  return all;
}

/* rustls makes a table of Rust's standard library, which panics without randomness. The library looks for randomness right
 * before that, so that only one system call can fail so, and only if the one before it did not. No kernel does that. */
static int is_panic_of_rustls(const struct end *end, const struct shared *shared) {
  static long only;
  if (shared->kind != GETRANDOM || shared->is_lasting || shared->scenario->client != with_tls ||
      shared->scenario->is_warm || strstr(end->said, "failed to generate random data") == NULL) {
    return 0;
  }
  if (only == 0) only = shared->first;
  return shared->first == only;
}

/* Checks the end of a child, and that its client works again. */
static void check_end(const struct end *end, const struct shared *shared) {
  size_t size;
  if (end->is_hung) {
    complain("hangs");
  } else if (end->signal == SIGABRT && shared->kind == MMAP &&
             sscanf(end->said, "memory allocation of %zu bytes failed", &size) == 1) {
    /* As SECURITY.md says. */
  } else if (end->signal != 0 || end->code != 0 || !shared->is_done) {
    complain("ends with signal %d, code %d: %s", end->signal, end->code, end->said);
  } else if (end->said[0] != '\0' && !is_panic_of_rustls(end, shared)) {
    complain("prints %s", end->said);
  } else if (shared->again.status != PUSHER_STATUS_OK) {
    complain("the client does not work again: %s", shared->again.message);
  }
}

static void one_failure(const struct scenario *scenario, struct shared *shared, int kind, long first, int is_lasting,
                        int error, int is_planted) {
  static unsigned run_number;
  memset(shared, 0, sizeof *shared);
  shared->scenario = scenario;
  shared->kind = kind;
  shared->first = first;
  shared->is_lasting = is_lasting;
  shared->error = errors[error].number;
  shared->is_planted = is_planted;
  snprintf(shared->event, sizeof shared->event, "f%u", ++run_number);
  snprintf(what_now, sizeof what_now, "%s, %s number %ld%s fails with %s", scenario->name, kinds[kind], first,
           is_lasting ? " and each that follows" : "", errors[error].name);
  struct end end = in_child(run_failure, shared);
  cJSON *attempts = new_attempts();
  check_end(&end, shared);
  for (long i = 0; i < shared->count && end.signal == 0; i++) {
    check_outcome(&shared->outcomes[i], shared->event, i, attempts, TIMEOUT_MS + SLACK_MS);
  }
  cJSON_Delete(attempts);
}

static void failures(int is_planted) {
  struct shared *shared = shared_memory(sizeof *shared);
  long cells = 0, failed = 0, of_kind[KINDS] = {0};
  for (int s = 0; s < (is_planted ? 1 : SCENARIOS); s++) {
    long counts[KINDS];
    one_failure(&scenarios[s], shared, SOCKET, 0, 0, 0, 0);
    if (wrong > 0 || shared->outcomes[0].delivery != PUSHER_DELIVERY_DELIVERED) {
      stop("%s fails without a failing system call: %s", scenarios[s].name, shared->outcomes[0].message);
    }
    for (int kind = 0; kind < KINDS; kind++) counts[kind] = atomic_load(&shared->calls[kind]);
    for (int kind = 0; kind < KINDS; kind++) {
      for (long first = 1; first <= counts[kind]; first++) {
        for (int error = 0; error < ERRORS; error++) {
          one_failure(&scenarios[s], shared, kind, first, 0, error, is_planted);
          cells++;
          failed += shared->failed;
          of_kind[kind] += shared->failed;
        }
      }
    }
    /* A system without randomness. An interrupted call would be repeated for ever. */
    for (int error = 1; error < ERRORS && !is_planted; error++) {
      one_failure(&scenarios[s], shared, GETRANDOM, 1, 1, error, 0);
      cells++;
      failed += shared->failed;
      of_kind[GETRANDOM] += shared->failed;
    }
  }
  for (int kind = 0; kind < KINDS; kind++) {
    printf("%s failed %ld times\n", kinds[kind], of_kind[kind]);
    /* A kind that never fails is not tested. */
    if (of_kind[kind] == 0 && !is_planted) stop("no %s ever failed", kinds[kind]);
  }
  printf("cells %ld, failed system calls %ld\n", cells, failed);
}

/* ---- signals ---- */

static atomic_long signals;
static void count_signal(int signal) {
  (void)signal;
  atomic_fetch_add(&signals, 1);
}

static void run_signals(void *argument) {
  struct shared *shared = argument;
  struct sigaction action = {.sa_handler = count_signal}; /* system calls are not restarted */
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  struct itimerspec each_ms = {.it_interval.tv_nsec = 1000000, .it_value.tv_nsec = 1000000};
  timer_t timer;
  Pusher *client = shared->scenario->client();
  if (sigaction(SIGUSR1, &action, NULL) != 0 || timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
      timer_settime(timer, 0, &each_ms, NULL) != 0) {
    stop("no timer");
  }
  if (shared->scenario->call == call_publisher) {
    publish_events(client, shared, QUEUED_AT_ONCE);
  } else {
    for (shared->count = 0;
         shared->count < MOST_EVENTS - 1 && (shared->count < LEAST_CALLS || atomic_load(&signals) < LEAST_SIGNALS);
         shared->count++) {
      Pusher *one = shared->scenario->is_warm ? client : shared->scenario->client();
      trigger_on(one, shared, &shared->outcomes[shared->count],
                 shared->scenario->call == call_encrypted ? "private-encrypted-c" : "c", shared->count);
      if (one != client) pusher_free(one);
    }
  }
  timer_delete(timer);
  shared->first = atomic_load(&signals);
  call_again(client, shared);
}

static void under_signals(void) {
  struct shared *shared = shared_memory(sizeof *shared);
  long events = 0, all = 0;
  for (int s = 0; s < SCENARIOS; s++) {
    memset(shared, 0, sizeof *shared);
    shared->scenario = &scenarios[s];
    snprintf(shared->event, sizeof shared->event, "s%d", s);
    snprintf(what_now, sizeof what_now, "%s under signals", scenarios[s].name);
    struct end end = in_child(run_signals, shared);
    cJSON *attempts = new_attempts();
    check_end(&end, shared);
    for (long i = 0; i < shared->count; i++) {
      check_outcome(&shared->outcomes[i], shared->event, i, attempts,
                    scenarios[s].call == call_publisher ? 60000 : TIMEOUT_MS + SLACK_MS);
      /* An interrupted system call is repeated. */
      if (shared->outcomes[i].delivery != PUSHER_DELIVERY_DELIVERED)
        complain("event %ld: %s", i, shared->outcomes[i].message);
    }
    cJSON_Delete(attempts);
    events += shared->count;
    all += shared->first;
    /* A publisher of a fast machine has ended before more come. */
    if (shared->first < (scenarios[s].call == call_publisher ? 1 : LEAST_SIGNALS))
      complain("only %ld signals came", shared->first);
  }
  printf("events %ld, signals %ld\n", events, all);
}

/* ---- stopped ---- */

static void run_until_told(struct shared *shared) {
  Pusher *client = shared->scenario->client();
  if (shared->scenario->call == call_publisher) {
    /* In several parts, as one may be in flight. */
    publish_events(client, shared, QUEUED_AT_ONCE);
  } else {
    for (shared->count = 0; shared->count < MOST_EVENTS - 1 && atomic_load(&shared->failed) < 1; shared->count++) {
      trigger_on(client, shared, &shared->outcomes[shared->count], "c", shared->count);
    }
  }
  call_again(client, shared);
}

static void stopped(unsigned seconds) {
  static const int which[CHILDREN] = {WARM, WARM, WARM_TLS, WARM_TLS, PUBLISHER, PUBLISHER};
  struct shared *all[CHILDREN];
  pid_t children[CHILDREN];
  long events = 0;
  for (int i = 0; i < CHILDREN; i++) {
    all[i] = shared_memory(sizeof *all[i]);
    all[i]->scenario = &scenarios[which[i]];
    snprintf(all[i]->event, sizeof all[i]->event, "p%d", i);
    children[i] = fork();
    if (children[i] == 0) {
      alarm(60);
      run_until_told(all[i]);
      _exit(0);
    }
  }
  nanosleep(&(struct timespec){.tv_nsec = 60 * 1000 * 1000}, NULL);
  for (int i = 0; i < CHILDREN; i++) kill(children[i], SIGSTOP);
  sleep(seconds);
  for (int i = 0; i < CHILDREN; i++) kill(children[i], SIGCONT);
  nanosleep(&(struct timespec){.tv_nsec = 60 * 1000 * 1000}, NULL);
  for (int i = 0; i < CHILDREN; i++) atomic_store(&all[i]->failed, 1);
  for (int i = 0; i < CHILDREN; i++) {
    int status;
    waitpid(children[i], &status, 0);
    snprintf(what_now, sizeof what_now, "%s, stopped for %u s", all[i]->scenario->name, seconds);
    if (status != 0) complain("a child ends with %d", status);
  }
  cJSON *attempts = new_attempts();
  for (int i = 0; i < CHILDREN; i++) {
    snprintf(what_now, sizeof what_now, "%s, stopped for %u s", all[i]->scenario->name, seconds);
    for (long k = 0; k < all[i]->count; k++) {
      check_outcome(&all[i]->outcomes[k], all[i]->event, k, attempts, seconds * 1000 + 10000);
    }
    if (all[i]->again.status != PUSHER_STATUS_OK) complain("the client does not work again: %s", all[i]->again.message);
    events += all[i]->count;
  }
  cJSON_Delete(attempts);
  printf("events %ld, stopped for %u s\n", events, seconds);
}

/* ---- the clock ---- */

__attribute__((weak)) extern atomic_long jumping_clock_offset_s, jumping_clock_reads;
__attribute__((weak)) extern atomic_int jumping_clock_swings;

enum { HOUR = 3600, YEAR = 365 * 24 * HOUR };
static const long jumps[] = {0, HOUR, -HOUR, 0, 20 * YEAR, -20 * YEAR, 30 * HOUR, 0, -60 * YEAR, 1, -1, 0};
enum { JUMPS = sizeof jumps / sizeof *jumps, PER_JUMP = 3 };

static int silent_listener;

static void run_clock(void *argument) {
  struct shared *shared = argument;
  Pusher *client = shared->scenario->client();
  for (int jump = 0; jump < JUMPS; jump++) {
    atomic_store(&jumping_clock_offset_s, jumps[jump]);
    for (int i = 0; i < PER_JUMP; i++) {
      trigger_on(client, shared, &shared->outcomes[shared->count], "c", shared->count);
      shared->count++;
    }
  }
  /* From reading to reading: forwards, backwards. */
  atomic_store(&jumping_clock_offset_s, HOUR);
  atomic_store(&jumping_clock_swings, 1);
  for (int i = 0; i < 20; i++) {
    trigger_on(client, shared, &shared->outcomes[shared->count], "c", shared->count);
    shared->count++;
  }
  /* A deadline is one of the monotonic clock. */
  Pusher *silent = client_with(silent_listener, 0, ",\"timeout_ms\":700,\"retry\":{\"mode\":\"never\"}");
  trigger_on(silent, shared, &shared->outcomes[MOST_EVENTS - 1], "c", MOST_EVENTS - 1);
  pusher_free(silent);
  atomic_store(&jumping_clock_swings, 0);
  atomic_store(&jumping_clock_offset_s, 0);
  /* A correction of the clock from before is corrected. */
  trigger_on(client, shared, &shared->outcomes[shared->count], "c", shared->count);
  shared->count++;
  call_again(client, shared);
}

static void under_jumps(void) {
  struct shared *shared = shared_memory(sizeof *shared);
  long events = 0, delivered = 0, rejected = 0;
  if (&jumping_clock_offset_s == NULL) stop("jumping_clock.c is not preloaded");
  silent_listener = torture_listen("{\"fault\":\"silence-at-accept\",\"times\":0}");
  for (int s = WARM; s <= WARM_TLS; s += WARM_TLS - WARM) {
    memset(shared, 0, sizeof *shared);
    shared->scenario = &scenarios[s];
    snprintf(shared->event, sizeof shared->event, "j%d", s);
    snprintf(what_now, sizeof what_now, "%s with a jumping clock", scenarios[s].name);
    struct end end = in_child(run_clock, shared);
    cJSON *attempts = new_attempts();
    check_end(&end, shared);
    for (long i = 0; i < shared->count; i++) {
      check_outcome(&shared->outcomes[i], shared->event, i, attempts, TIMEOUT_MS + SLACK_MS);
      delivered += shared->outcomes[i].delivery == PUSHER_DELIVERY_DELIVERED;
      rejected += shared->outcomes[i].delivery == PUSHER_DELIVERY_REJECTED;
    }
    const struct outcome *silent = &shared->outcomes[MOST_EVENTS - 1];
    if (silent->delivery != PUSHER_DELIVERY_UNKNOWN || silent->elapsed_ms < 650 ||
        silent->elapsed_ms > 700 + SLACK_MS) {
      complain("a silent server: delivery %d after %ld ms: %s", silent->delivery, silent->elapsed_ms, silent->message);
    }
    cJSON_Delete(attempts);
    events += shared->count;
  }
  /* With the clock of no jump, nothing would be refused. */
  if (rejected == 0) stop("no jump was seen");
  printf("events %ld, delivered %ld, rejected %ld\n", events, delivered, rejected);
}

int main(int count, char **arguments) {
  if (count < 2) stop("usage: system_calls failures [--planted] | signals | stopped SECONDS | clock");
  torture_start();
  listener = torture_listen("{\"fault\":\"none\"}");
  tls_listener = torture_listen("{\"fault\":\"none\",\"tls\":true}");
  if (strcmp(arguments[1], "failures") == 0) {
    failures(count > 2);
  } else if (strcmp(arguments[1], "signals") == 0) {
    under_signals();
  } else if (strcmp(arguments[1], "stopped") == 0 && count == 3) {
    stopped((unsigned)atoi(arguments[2]));
  } else if (strcmp(arguments[1], "clock") == 0) {
    under_jumps();
  } else {
    stop("unknown: %s", arguments[1]);
  }
  torture_stop();
  if (wrong > 0) fprintf(stderr, "%d are wrong\n", wrong);
  return wrong > 0;
}
