/*
 * Unusual processes: a library that is loaded again and in several copies, calls at the end of threads and of the process, small
 * stacks, few or many descriptors, none at all, a filter of system calls, no files.
 *
 *   loading COPY ANOTHER    two files that are copies of the shared library
 *   loading --planted       a case that must be found wrong
 *
 * Each case runs in a process of its own. Its events must be in the ledger of the fault server as the calls report them.
 */
#include "torture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { STACK_BYTES = 64 * 1024, MOST_CALLS = 32, FOLDER_BYTES = 64 };

static const char *copies[2];
static int listener, tls_listener;
static char plain_config[2048], tls_config[2048], chroot_config[2048], name_config[2048],
    folder[FOLDER_BYTES] = "/tmp/loading-XXXXXX";

/* Shared with the child. */
static struct shared {
  int count, is_done;
  char failure[MOST_FAILURE];
  struct {
    int delivery, wanted;
    char event[64];
  } calls[MOST_CALLS];
} *shared;

static char event_now[40];

#define failed(...) keep_failure(shared->failure, __VA_ARGS__)

/* The functions that a copy has. */
struct library {
  __typeof__(&pusher_new) create;
  __typeof__(&pusher_trigger) trigger;
  __typeof__(&pusher_free) release;
  __typeof__(&pusher_string_free) string_free;
  __typeof__(&pusher_error_delivery) delivery;
};

static const struct library linked = {pusher_new, pusher_trigger, pusher_free, pusher_string_free,
                                      pusher_error_delivery};

static struct library library_in(void *handle) {
  struct library library;
  *(void **)&library.create = dlsym(handle, "pusher_new");
  *(void **)&library.trigger = dlsym(handle, "pusher_trigger");
  *(void **)&library.release = dlsym(handle, "pusher_free");
  *(void **)&library.string_free = dlsym(handle, "pusher_string_free");
  *(void **)&library.delivery = dlsym(handle, "pusher_error_delivery");
  return library;
}

/* Publishes an event, and expects this delivery. */
static void trigger(const struct library *library, const Pusher *client, const char *channel, int wanted) {
  char *out = NULL;
  int number = __atomic_fetch_add(&shared->count, 1, __ATOMIC_SEQ_CST);
  snprintf(shared->calls[number].event, sizeof shared->calls[number].event, "%s-%d", event_now, number);
  int status = library->trigger(client, channel, shared->calls[number].event, "\"data\"", NULL, &out);
  shared->calls[number].delivery = status == PUSHER_STATUS_OK ? PUSHER_DELIVERY_DELIVERED : library->delivery(out);
  shared->calls[number].wanted = wanted;
  if (shared->calls[number].delivery != wanted) failed("%s: %s", pusher_status_name(status), out != NULL ? out : "");
  library->string_free(out);
}

static Pusher *create(const struct library *library, const char *config) {
  char *out = NULL;
  Pusher *client = NULL;
  if (library->create(config, &client, &out) != PUSHER_STATUS_OK) failed("pusher_new: %s", out);
  return client;
}

static void use(const struct library *library, const char *config, int wanted) {
  Pusher *client = create(library, config);
  if (client == NULL) return;
  trigger(library, client, "c", wanted);
  library->release(client);
}

/* All kinds of calls, with the library that is linked. */
static void use_everything(void) {
  char *out = NULL;
  PusherPublisher *publisher = NULL;
  Pusher *client = create(&linked, plain_config);
  if (client == NULL) return;
  trigger(&linked, client, "c", PUSHER_DELIVERY_DELIVERED);
  trigger(&linked, client, "private-encrypted-c", PUSHER_DELIVERY_DELIVERED);
  if (pusher_authenticate(client, "private-c", "1.2", NULL, NULL) != PUSHER_STATUS_OK) failed("pusher_authenticate");
  if (pusher_channels_info(client, NULL, NULL, NULL, NULL) != PUSHER_STATUS_OK) failed("pusher_channels_info");
  if (pusher_publisher_new(client, NULL, &publisher, &out) != PUSHER_STATUS_OK) {
    failed("pusher_publisher_new: %s", out);
    return;
  }
  if (pusher_publisher_publish(publisher, "c", "queued", "1", NULL, NULL, &out) != PUSHER_STATUS_OK)
    failed("publish: %s", out);
  if (pusher_publisher_flush(publisher, 20000, NULL) != PUSHER_STATUS_OK) failed("pusher_publisher_flush");
  if (pusher_publisher_poll(publisher, 0, &out) != PUSHER_STATUS_TIMED_OUT) failed("a report: %s", out);
  pusher_publisher_free(publisher);
  pusher_free(client);
  use(&linked, tls_config, PUSHER_DELIVERY_DELIVERED);
}

/* ---- the cases ---- */

static void *load(const char *file, int how) {
  void *handle = dlopen(file, how);
  if (handle == NULL) failed("%s", dlerror());
  return handle;
}

static void load_and_unload(void) {
  for (int i = 0; i < 8; i++) {
    void *handle = load(copies[0], RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) return;
    struct library library = library_in(handle);
    use(&library, i % 2 == 0 ? plain_config : tls_config, PUSHER_DELIVERY_DELIVERED);
    if (dlclose(handle) != 0) failed("dlclose: %s", dlerror());
    /* The code stays (-z nodelete), so a thread of it could go on. */
    if (dlopen(copies[0], RTLD_NOW | RTLD_NOLOAD) == NULL) failed("the library was unloaded");
  }
}

static void load_twice(void) {
  void *one = load(copies[0], RTLD_NOW | RTLD_LOCAL), *two = load(copies[0], RTLD_LAZY | RTLD_GLOBAL);
  if (one != two || one == NULL) {
    failed("the same file was loaded twice");
    return;
  }
  struct library library = library_in(one);
  dlclose(two);
  use(&library, plain_config, PUSHER_DELIVERY_DELIVERED);
  dlclose(one);
}

static void several_copies(void) {
  void *one = load(copies[0], RTLD_NOW | RTLD_LOCAL), *two = load(copies[1], RTLD_NOW | RTLD_LOCAL);
  if (one == NULL || two == NULL) return;
  struct library first = library_in(one), second = library_in(two);
  if (first.create == second.create || first.create == linked.create) failed("the copies are one library");
  Pusher *clients[3] = {create(&first, tls_config), create(&second, tls_config), create(&linked, tls_config)};
  for (int i = 0; i < 2; i++) {
    trigger(&first, clients[0], "c", PUSHER_DELIVERY_DELIVERED);
    trigger(&second, clients[1], "c", PUSHER_DELIVERY_DELIVERED);
    trigger(&linked, clients[2], "c", PUSHER_DELIVERY_DELIVERED);
  }
  first.release(clients[0]);
  second.release(clients[1]);
  linked.release(clients[2]);
}

static void *in_a_thread(void *argument) {
  (void)argument;
  use(&linked, tls_config, PUSHER_DELIVERY_DELIVERED);
  return NULL;
}

static void run_thread(void *(*body)(void *), void *argument, size_t stack_bytes) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (stack_bytes > 0 && pthread_attr_setstacksize(&attributes, stack_bytes) != 0) failed("no stack of this size");
  if (pthread_create(&thread, &attributes, body, argument) != 0) {
    failed("no thread");
    return;
  }
  pthread_join(thread, NULL);
}

static Pusher *shared_client;

static void *first_call(void *argument) {
  (void)argument;
  trigger(&linked, shared_client, "c", PUSHER_DELIVERY_DELIVERED);
  return NULL;
}

/* The connection of a thread that has ended is used by others. */
static void threads_that_end(void) {
  run_thread(in_a_thread, NULL, 0);
  shared_client = create(&linked, tls_config);
  run_thread(first_call, NULL, 0);
  run_thread(first_call, NULL, 0);
  first_call(NULL);
  pusher_free(shared_client);
}

static void at_the_end_of_a_thread(void *argument) {
  (void)argument;
  use(&linked, plain_config, PUSHER_DELIVERY_DELIVERED);
  use(&linked, tls_config, PUSHER_DELIVERY_DELIVERED);
}

int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *dso);
extern void *__dso_handle;
static pthread_key_t key;

static void *with_destructors(void *argument) {
  pthread_setspecific(key, argument);
  /* Registered first, so that it runs after those of Rust's thread-locals. */
  __cxa_thread_atexit_impl(at_the_end_of_a_thread, NULL, &__dso_handle);
  use(&linked, tls_config, PUSHER_DELIVERY_DELIVERED);
  return NULL;
}

static void destructors_of_thread_locals(void) {
  pthread_key_create(&key, at_the_end_of_a_thread);
  run_thread(with_destructors, &key, 0);
}

static void when_exiting(void) {
  trigger(&linked, shared_client, "c", PUSHER_DELIVERY_DELIVERED);
  pusher_free(shared_client);
  use(&linked, tls_config, PUSHER_DELIVERY_DELIVERED);
  shared->is_done = 1;
}

static void in_atexit(void) {
  atexit(when_exiting);
  shared_client = create(&linked, plain_config);
  trigger(&linked, shared_client, "c", PUSHER_DELIVERY_DELIVERED);
  exit(0);
}

static void *everything(void *argument) {
  (void)argument;
  use_everything();
  return NULL;
}

static void small_stacks(void) { run_thread(everything, NULL, STACK_BYTES); }

static void limit_descriptors(rlim_t most) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) failed("getrlimit");
  limit.rlim_cur = most;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) failed("setrlimit");
}

static void three_descriptors(void) {
  Pusher *client = create(&linked, plain_config), *other = create(&linked, tls_config);
  limit_descriptors(3);
  trigger(&linked, client, "c", PUSHER_DELIVERY_NOT_SENT);
  trigger(&linked, other, "c", PUSHER_DELIVERY_NOT_SENT);
  use(&linked, plain_config, PUSHER_DELIVERY_NOT_SENT);
  limit_descriptors(1024);
  trigger(&linked, client, "c", PUSHER_DELIVERY_DELIVERED);
  trigger(&linked, other, "c", PUSHER_DELIVERY_DELIVERED);
  pusher_free(client);
  pusher_free(other);
}

static void descriptors_above_1024(void) {
  int last = 0;
  limit_descriptors(2048);
  while (last >= 0 && last < 1100) last = open("/dev/null", O_RDONLY);
  if (last < 1100) failed("too few descriptors");
  use_everything();
}

static void no_descriptors(void) {
  for (int i = 0; i < 1024; i++) close(i);
  use_everything();
}

/* Enough for the library and the C library to make calls, over TLS too, and to run a publisher. Some depend on the kernel and on how
 * busy the machine is: clone if there is no clone3, mremap for a large block, sched_yield and restart_syscall for a thread that waited. */
static const int needed[] = {
    SYS_brk,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_clone,
    SYS_clone3,
    SYS_close,
    SYS_connect,
    SYS_eventfd2,
    SYS_exit,
    SYS_exit_group,
    SYS_fcntl,
    SYS_fstat,
    SYS_futex,
    SYS_getpid,
    SYS_getrandom,
    SYS_getsockopt,
    SYS_gettid,
    SYS_lseek,
    SYS_madvise,
    SYS_mmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_munmap,
    SYS_newfstatat,
    SYS_openat,
    SYS_ppoll,
    SYS_prctl,
    SYS_read,
    SYS_recvfrom,
    SYS_restart_syscall,
    SYS_rseq,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_sched_getaffinity,
    SYS_sched_yield,
    SYS_sendmsg,
    SYS_sendto,
    SYS_set_robust_list,
    SYS_setsockopt,
    SYS_sigaltstack,
    SYS_socket,
    SYS_statx,
    SYS_write,
    SYS_ioctl,
#ifdef SYS_poll
    SYS_poll,
#endif
};
enum { NEEDED = sizeof needed / sizeof *needed };

static void filter_system_calls(int without) {
  struct sock_filter filter[NEEDED + 3];
  struct sock_fprog program = {.len = NEEDED + 3, .filter = filter};
  filter[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
  for (int i = 0; i < NEEDED; i++) {
    unsigned number = needed[i] == without ? 0xffff : (unsigned)needed[i];
    filter[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, (unsigned char)(NEEDED - i), 0);
  }
  filter[NEEDED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
  filter[NEEDED + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
    failed("seccomp");
}

static void filtered(void) {
  filter_system_calls(-1);
  use_everything();
}

static void no_files(void) {
  if (chroot(folder) != 0 || chdir("/") != 0) {
    failed("chroot: %s", strerror(errno));
    return;
  }
  if (access("/etc", F_OK) == 0 || access("/dev", F_OK) == 0) failed("/etc or /dev is there");
  use(&linked, plain_config, PUSHER_DELIVERY_DELIVERED);
  use(&linked, chroot_config, PUSHER_DELIVERY_DELIVERED);
  /* Without the certificates of the system, those of Mozilla are used, which do not vouch for the server. */
  Pusher *client = create(&linked, name_config);
  trigger(&linked, client, "c", PUSHER_DELIVERY_NOT_SENT);
  pusher_free(client);
}

static const struct {
  const char *name;
  void (*run)(void);
} cases[] = {
    {"load, use and unload eight times", load_and_unload},
    {"load a file twice", load_twice},
    {"several copies in one process, each RTLD_LOCAL", several_copies},
    {"threads that end", threads_that_end},
    {"destructors of thread-locals", destructors_of_thread_locals},
    {"atexit", in_atexit},
    {"stacks of 64 KiB", small_stacks},
    {"RLIMIT_NOFILE 3", three_descriptors},
    {"descriptors above 1,024", descriptors_above_1024},
    {"all descriptors closed", no_descriptors},
    {"a filter of system calls", filtered},
    {"no /etc, no /dev", no_files},
};
enum { CASES = sizeof cases / sizeof *cases };

/* ---- what must be found ---- */

static void planted_kill(void) {
  filter_system_calls(SYS_sendmsg);
  use(&linked, tls_config, PUSHER_DELIVERY_DELIVERED);
}

static void planted_report(void) {
  use(&linked, plain_config, PUSHER_DELIVERY_DELIVERED);
  snprintf(shared->calls[0].event, sizeof shared->calls[0].event, "never published");
}

static void (*body)(void);

static void run(void *argument) {
  (void)argument;
  body();
  shared->is_done = 1;
}

/* Returns whether a case is right. */
static int one(const char *name, void (*run_it)(void), long *events) {
  static int seen[2];
  static unsigned number;
  int ports[2] = {listener, tls_listener}, is_right = 1;
  memset(shared, 0, sizeof *shared);
  snprintf(event_now, sizeof event_now, "l%u", ++number);
  body = run_it;
  struct end end = in_child(run, NULL);
  cJSON *attempts = cJSON_CreateArray();
  for (int i = 0; i < 2; i++) {
    cJSON *some = torture_ledger(ports[i], seen[i]);
    seen[i] += cJSON_GetArraySize(some);
    while (cJSON_GetArraySize(some) > 0) cJSON_AddItemToArray(attempts, cJSON_DetachItemFromArray(some, 0));
    cJSON_Delete(some);
  }
  if (end.signal != 0 || end.code != 0 || !shared->is_done || shared->failure[0] != '\0' || end.said[0] != '\0' ||
      shared->count == 0) {
    fprintf(stderr, "%s: signal %d, code %d, %s%s\n", name, end.signal, end.code, shared->failure, end.said);
    is_right = 0;
  }
  for (int i = 0; i < shared->count; i++) {
    int times = times_published(attempts, shared->calls[i].event, NULL);
    (*events)++;
    if (agrees(shared->calls[i].delivery, times)) continue;
    fprintf(stderr, "%s: event %d was reported as %d and published %d times\n", name, i, shared->calls[i].delivery,
            times);
    is_right = 0;
  }
  cJSON_Delete(attempts);
  return is_right;
}

static void copy_certificates(void) {
  char path[FOLDER_BYTES + 20], buffer[4096];
  size_t length;
  snprintf(path, sizeof path, "%s/ca.pem", folder);
  FILE *from = fopen(text_of(torture_ready, "ca"), "r"), *to = fopen(path, "w");
  if (from == NULL || to == NULL) stop("the certificates cannot be copied");
  while ((length = fread(buffer, 1, sizeof buffer, from)) > 0) fwrite(buffer, 1, length, to);
  fclose(from);
  fclose(to);
}

int main(int count, char **arguments) {
  static const char more[] =
      ",\"timeout_ms\":20000,\"encryption_master_key_base64\":\"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"";
  int wrong = 0;
  long events = 0;
  if (count < 2) stop("usage: loading COPY ANOTHER | --planted");
  shared = shared_memory(sizeof *shared);
  torture_start();
  listener = torture_listen("{\"fault\":\"none\"}");
  tls_listener = torture_listen("{\"fault\":\"none\",\"tls\":true}");
  if (mkdtemp(folder) == NULL) stop("mkdtemp");
  copy_certificates();
  config_of(plain_config, sizeof plain_config, listener, 0, more);
  config_of(tls_config, sizeof tls_config, tls_listener, 1, more);
  config_of(name_config, sizeof name_config, tls_listener, 0, ",\"timeout_ms\":1000");
  config_of(chroot_config, sizeof chroot_config, tls_listener, 0, ",\"timeout_ms\":20000,\"ca_file\":\"/ca.pem\"");
  /* The paths in the folder begin at its root. */
  for (int i = 0; i < 2; i++) {
    char *ssl = strstr(i == 0 ? name_config : chroot_config, "\"ssl\":false");
    memcpy(ssl, "\"ssl\":true ", 11);
  }
  if (strcmp(arguments[1], "--planted") == 0) {
    wrong += one("a system call that is not permitted", planted_kill, &events);
    wrong += one("a report that is not true", planted_report, &events);
    torture_stop();
    return wrong;
  }
  copies[0] = arguments[1];
  copies[1] = arguments[2];
  for (int i = 0; i < CASES; i++) wrong += !one(cases[i].name, cases[i].run, &events);
  torture_stop();
  char path[FOLDER_BYTES + 20];
  snprintf(path, sizeof path, "%s/ca.pem", folder);
  remove(path);
  remove(folder);
  printf("cases %d, events %ld\n", CASES, events);
  if (wrong > 0) fprintf(stderr, "%d are wrong\n", wrong);
  return wrong > 0;
}
