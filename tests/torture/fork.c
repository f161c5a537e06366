/*
 * Forks at random instants while eight threads trigger, authorize and publish.
 *
 *   fork FORKS                what follows must be true
 *   fork FORKS --planted      children call on their parent's connection, wait for a lock that a thread held, and encrypt with its
 *                             nonces: each must be found
 *
 * No child hangs: each calls the clients, the publisher and an authorization, and makes a publisher of its own. No connection is used
 * by two processes, by the ledgers of a server without TLS and one with it. No nonce of an encrypted event occurs twice. Every event
 * of a child is published once.
 */
#include "torture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { THREADS = 8, LIVE = 6, PATIENCE_S = 30, NONCE = 32, NONCES_OF_CHILD = 4, MOST_SHOWN = 12 };

/* How the processes name the nonces that they used. Each child has its part. */
static struct shared {
  atomic_long used;
  char nonces[][NONCE + 1];
} *shared;

static long most_nonces;
static int listeners[2];
static Pusher *clients[2];
static PusherPublisher *publisher;
static atomic_int is_over;
static atomic_long calls;
static int is_planted, wrong;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

#define KEY ",\"timeout_ms\":8000,\"encryption_master_key_base64\":\"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\""

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...) {
  va_list arguments;
  if (++wrong > MOST_SHOWN) return;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

/* Returns a number below `most`. Each thread has its own state. */
static unsigned below(unsigned *state, unsigned most) { return (unsigned)rand_r(state) % most; }

static void rest(unsigned us) { nanosleep(&(struct timespec){.tv_nsec = us * 1000L}, NULL); }

/* ---- what both sides do ---- */

/* Triggers an event whose name begins with the process. */
static int trigger(Pusher *client, const char *channel, const char *who, long number) {
  char name[60];
  snprintf(name, sizeof name, "%d-%s-%ld", (int)getpid(), who, number);
  return pusher_trigger(client, channel, name, "\"data\"", NULL, NULL);
}

/* Encrypts an event without sending it, and keeps its nonce. */
static int encrypt(Pusher *client) {
  const char *arguments[] = {"private-encrypted-c", "e", "\"data\""};
  PusherRequest *request = NULL;
  int status = pusher_prepare(client, "trigger", arguments, 3, &request, NULL);
  if (status != PUSHER_STATUS_OK) return status;
  const char *nonce = strstr((const char *)pusher_request_body(request, NULL), "nonce");
  /* In the body's string: nonce\":\"…\" */
  if (nonce != NULL) nonce = strstr(nonce, ":");
  long place = atomic_fetch_add(&shared->used, 1);
  if (nonce == NULL || strlen(nonce) < NONCE + 3) {
    status = -1;
  } else if (place < most_nonces) {
    memcpy(shared->nonces[place], nonce + 3, NONCE);
  }
  pusher_request_free(request);
  return status;
}

static int authorize(Pusher *client) { return pusher_authenticate(client, "private-c", "123.456", NULL, NULL); }

/* ---- the parent's threads ---- */

static void must(int status, const char *what) {
  if (status != PUSHER_STATUS_OK) stop("%s in the parent: %s", what, pusher_status_name(status));
}

static void *live(void *argument) {
  long number = (long)(intptr_t)argument;
  unsigned state = (unsigned)number + 1;
  char who[20], name[60];
  snprintf(who, sizeof who, "t%ld", number);
  for (long i = 0; !atomic_load(&is_over); i++) {
    Pusher *client = clients[number % 2];
    if (is_planted && number == 7) {
      /* Most of the time, so that a few forks are enough to meet it. */
      pthread_mutex_lock(&held);
      rest(30000);
      pthread_mutex_unlock(&held);
    }
    switch (number) {
      case 0:
      case 1:
      case 2:
      case 3: must(trigger(client, "c", who, i), "trigger"); break;
      case 4: must(encrypt(client), "encrypt"); break;
      case 5: must(authorize(client), "authorize"); break;
      default:
        snprintf(name, sizeof name, "%d-%s-%ld", (int)getpid(), who, i);
        must(pusher_publisher_publish(publisher, "c", name, "\"data\"", NULL, NULL, NULL), "publish");
    }
    atomic_fetch_add(&calls, 1);
    rest(below(&state, 12000));
  }
  return NULL;
}

/* ---- a child ---- */

/* The exit status says which call failed. It writes nothing: another thread may have held the lock of stderr. */
static void child(long number) {
  PusherPublisher *own = NULL;
  alarm(PATIENCE_S);
  if (is_planted) {
    /* Threads of the parent have this connection, and this lock. */
    alarm(2);
    pthread_mutex_lock(&held);
    _exit(0);
  }
  for (int i = 0; i < 2; i++) {
    if (trigger(clients[i], "c", "child", number) != PUSHER_STATUS_OK) _exit(10 + i);
    for (int k = 0; k < NONCES_OF_CHILD / 2; k++) {
      if (encrypt(clients[i]) != PUSHER_STATUS_OK) _exit(20 + i);
    }
    if (authorize(clients[i]) != PUSHER_STATUS_OK) _exit(30 + i);
  }
  if (pusher_publisher_publish(publisher, "c", "no", "1", NULL, NULL, NULL) != PUSHER_STATUS_FORKED) _exit(40);
  if (pusher_publisher_flush(publisher, 1000, NULL) != PUSHER_STATUS_FORKED) _exit(41);
  pusher_publisher_free(publisher);
  if (number % 2 == 0) {
    char name[60];
    if (pusher_publisher_new(clients[0], NULL, &own, NULL) != PUSHER_STATUS_OK) _exit(50);
    snprintf(name, sizeof name, "%d-own-%ld", (int)getpid(), number);
    if (pusher_publisher_publish(own, "c", name, "1", NULL, NULL, NULL) != PUSHER_STATUS_OK) _exit(51);
    if (pusher_publisher_flush(own, 10000, NULL) != PUSHER_STATUS_OK) _exit(52);
    pusher_publisher_free(own);
  }
  pusher_free(clients[0]);
  pusher_free(clients[1]);
  _exit(0);
}

static void end_of(pid_t process) {
  int status = 0;
  if (waitpid(process, &status, 0) != process) stop("waitpid: %s", strerror(errno));
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
    complain("a child hangs");
  } else if (WIFSIGNALED(status)) {
    complain("a child ends by signal %d", WTERMSIG(status));
  } else if (WEXITSTATUS(status) != 0) {
    complain("the call %d of a child fails", WEXITSTATUS(status));
  }
}

/* ---- the verdict ---- */

/* Returns the process in the names of an attempt's events, or 0 if there are none. */
static int process_of(const cJSON *attempt) {
  const cJSON *applied;
  int process = 0;
  cJSON_ArrayForEach(applied, member(attempt, "applied")) {
    int its = atoi(text_of(applied, "name"));
    if (process != 0 && its != process) complain("a request has events of two processes");
    process = its;
  }
  return process;
}

static long check_connections(int port, int *children) {
  cJSON *attempts = torture_ledger(port, 0);
  const cJSON *attempt;
  int *users = NULL, parent = (int)getpid();
  long connections = 0;
  cJSON_ArrayForEach(attempt, attempts) {
    int connection = member(attempt, "connection")->valueint, process = process_of(attempt);
    if (cJSON_IsString(member(attempt, "refused"))) complain("a request is refused: %s", text_of(attempt, "refused"));
    if (process == 0) continue;
    if (connection >= connections) {
      users = realloc(users, ((size_t)connection + 1) * sizeof *users);
      if (users == NULL) stop("no memory");
      while (connections <= connection) users[connections++] = 0;
    }
    if (is_planted && connection == 0 && users[0] != 0) process++;
    if (users[connection] != 0 && users[connection] != process) {
      complain("connection %d is used by processes %d and %d", connection, users[connection], process);
    }
    users[connection] = process;
    const cJSON *applied;
    cJSON_ArrayForEach(applied, member(attempt, "applied")) *children += process != parent;
  }
  cJSON_Delete(attempts);
  free(users);
  return connections;
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static void check_nonces(void) {
  long used = atomic_load(&shared->used);
  if (used > most_nonces) used = most_nonces;
  if (is_planted && used > 1) memcpy(shared->nonces[0], shared->nonces[used - 1], NONCE);
  qsort(shared->nonces, (size_t)used, sizeof *shared->nonces, by_text);
  for (long i = 0; i < used; i++) {
    if (strlen(shared->nonces[i]) != NONCE) complain("nonce %ld is missing", i);
    if (i > 0 && strcmp(shared->nonces[i - 1], shared->nonces[i]) == 0) complain("a nonce is repeated");
  }
}

int main(int count, char **arguments) {
  long forks = count > 1 ? strtol(arguments[1], NULL, 10) : 0;
  is_planted = count == 3 && strcmp(arguments[2], "--planted") == 0;
  if (forks < 1 || count > 3 || (count == 3 && !is_planted)) stop("usage: fork FORKS [--planted]");
  most_nonces = 100000 + NONCES_OF_CHILD * forks;
  shared = shared_memory(sizeof *shared + (size_t)most_nonces * sizeof *shared->nonces);
  torture_start();
  for (int i = 0; i < 2; i++) {
    char config[4096], *out = NULL;
    listeners[i] = torture_listen(i ? "{\"fault\":\"none\",\"tls\":true}" : "{\"fault\":\"none\"}");
    config_of(config, sizeof config, listeners[i], i, KEY);
    if (pusher_new(config, &clients[i], &out) != PUSHER_STATUS_OK) stop("pusher_new: %s", out);
  }
  if (pusher_publisher_new(clients[1], NULL, &publisher, NULL) != PUSHER_STATUS_OK) stop("no publisher");

  pthread_t threads[THREADS];
  pid_t processes[LIVE] = {0};
  unsigned state = (unsigned)time(NULL);
  for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, live, (void *)(intptr_t)i);
  rest(100000);
  for (long i = 0; i < forks; i++) {
    if (processes[i % LIVE] != 0) end_of(processes[i % LIVE]);
    rest(below(&state, 20000));
    pid_t process = fork();
    if (process < 0) stop("fork: %s", strerror(errno));
    if (process == 0) child(i);
    processes[i % LIVE] = process;
  }
  for (int i = 0; i < LIVE; i++) {
    if (processes[i] != 0) end_of(processes[i]);
  }
  atomic_store(&is_over, 1);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  if (pusher_publisher_flush(publisher, 20000, NULL) != PUSHER_STATUS_OK)
    complain("the parent's publisher does not end");
  pusher_publisher_free(publisher);
  pusher_free(clients[0]);
  pusher_free(clients[1]);

  int children = 0;
  long connections = 0;
  for (int i = 0; i < 2; i++) connections += check_connections(listeners[i], &children);
  check_nonces();
  /* Two events of each, and one more of each second child. */
  if (!is_planted && children != 2 * forks + (forks + 1) / 2) {
    complain("%d events of children are published, not %ld", children, 2 * forks + (forks + 1) / 2);
  }
  torture_stop();
  printf("%ld forks, %ld calls of the parent, %d events of children, %ld connections, %ld nonces\n", forks,
         atomic_load(&calls), children, connections, atomic_load(&shared->used));
  return wrong > 0;
}
