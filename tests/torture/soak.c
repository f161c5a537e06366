/*
 * Triggers, authorizations, webhooks and a publisher together, for long: memory, descriptors, threads and the time of calls do not
 * grow.
 *
 *   soak CALLS               to the sink of benches, which answers everything with {}
 *   soak CALLS --planted     leaks 400 bytes in each 10th call and a descriptor in each 1,000th, and each 20th trigger becomes slow
 *
 * Prints eight samples, and then a line: the calls, the seconds, the slope of resident memory in KiB for a million calls and in MiB for
 * an hour, the growth of descriptors and threads, and the p99 of a trigger at the beginning and at the end in microseconds.
 */
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <pusher.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

#define SOCKET "123.456"
#define CHANNEL "private-channel"

enum { THREADS = 4, SAMPLES = 8, DIGITS = 64, BUCKETS = 40000, BUCKET_US = 5 };

/* A sample: the calls before it, what the process has, and how long the triggers since the last sample took. */
struct sample {
  double calls, seconds;
  long resident_kib, descriptors, threads, p99_us;
};

static Pusher *client;
static PusherPublisher *publisher;
static char signature[DIGITS + 1];
static atomic_long calls, durations[BUCKETS];
static long most;
static int is_planted;
static pthread_barrier_t barrier;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Frees the document of a success. It takes its address, because C evaluates arguments in any order. */
static void must(PusherStatus status, char **out, const char *what) {
  if (status != PUSHER_STATUS_OK) die("%s: %s", what, *out != NULL ? *out : "no document");
  pusher_string_free(*out);
}

static PusherStatus validate(char **out) {
  static const uint8_t body[] = SOCKET ":" CHANNEL;
  return pusher_validate_webhook(client, "key", signature, body, sizeof body - 1, out);
}

/* ---- the calls ---- */

static void trigger(long number) {
  char *out = NULL, data[200];
  snprintf(data, sizeof data, "{\"number\":%ld,\"text\":\"%0*d\"}", number, (int)(number % 100) + 1, 7);
  double start = now();
  must(pusher_trigger(client, "my-channel", "my-event", data, NULL, &out), &out, "pusher_trigger");
  /* Far more than a loaded machine delays the p99 before. */
  if (is_planted && number > most / 2 && number % 200 == 0) usleep(100 * 1000);
  long bucket = (long)((now() - start) * 1e6) / BUCKET_US;
  atomic_fetch_add(&durations[bucket < BUCKETS ? bucket : BUCKETS - 1], 1);
}

static void publish(long number) {
  char *out = NULL, data[100];
  snprintf(data, sizeof data, "{\"number\":%ld}", number);
  must(pusher_publisher_publish(publisher, "my-channel", "my-event", data, NULL, NULL, &out), &out, "publish");
  if (number % 50 < 10 && pusher_publisher_poll(publisher, 0, &out) == PUSHER_STATUS_OK) pusher_string_free(out);
}

static void call(long number) {
  char *out = NULL;
  switch (number % 10) {
    case 0:
    case 1: trigger(number); break;
    case 2:
      must(pusher_trigger(client, "private-encrypted-c", "my-event", "\"data\"", NULL, &out), &out, "encrypted");
      break;
    case 3: publish(number); break;
    case 4: must(pusher_authenticate(client, CHANNEL, SOCKET, NULL, &out), &out, "pusher_authenticate"); break;
    case 5:
      must(pusher_authenticate(client, "presence-channel", SOCKET, "{\"user_id\":\"7\"}", &out), &out, "presence");
      break;
    case 6:
      must(pusher_authenticate_user(client, SOCKET, "{\"id\":\"7\"}", &out), &out, "pusher_authenticate_user");
      break;
    case 7: /* Authentic, but no JSON. */
      if (validate(&out) != PUSHER_STATUS_WEBHOOK_INVALID) die("pusher_validate_webhook");
      pusher_string_free(out);
      break;
    case 8: /* An error. */
      if (pusher_trigger(client, "not a channel", "my-event", "1", NULL, &out) != PUSHER_STATUS_INVALID_ARGUMENT) {
        die("an invalid channel is taken");
      }
      pusher_string_free(out);
      break;
    default:
      must(pusher_authenticate(client, "private-encrypted-c", SOCKET, NULL, &out), &out, "encrypted authorization");
  }
  if (is_planted && number % 10 == 0) memset(malloc(400), 1, 400);
  if (is_planted && number % 1000 == 0 && dup(1) < 0) die("dup");
}

static void *work(void *argument) {
  (void)argument;
  for (int sample = 0; sample <= SAMPLES; sample++) {
    /* The first part warms up. */
    long until = most / (SAMPLES + 1) * (sample + 1);
    for (long number; (number = atomic_fetch_add(&calls, 1)) < until;) call(number);
    pthread_barrier_wait(&barrier); /* everybody is idle */
    pthread_barrier_wait(&barrier); /* the sample is taken */
  }
  return NULL;
}

/* ---- the samples ---- */

static long count_in(const char *path) {
  DIR *folder = opendir(path);
  long count = 0;
  if (folder == NULL) die("can't read %s", path);
  while (readdir(folder) != NULL) count++;
  closedir(folder);
  return count;
}

static long resident_kib(void) {
  char line[256];
  long kib = -1;
  malloc_trim(0);
  FILE *file = fopen("/proc/self/smaps_rollup", "r");
  if (file == NULL) die("can't read /proc/self/smaps_rollup");
  while (kib < 0 && fgets(line, sizeof line, file) != NULL) sscanf(line, "Rss: %ld kB", &kib);
  fclose(file);
  return kib;
}

/* Writes to each bucket, so that its page is resident from the beginning. */
static void forget_durations(void) {
  for (int i = 0; i < BUCKETS; i++) atomic_store(&durations[i], 0);
}

static long p99_us(void) {
  long all = 0, seen = 0, bucket = 0;
  for (int i = 0; i < BUCKETS; i++) all += atomic_load(&durations[i]);
  while (bucket < BUCKETS && (seen += atomic_load(&durations[bucket])) * 100 < all * 99) bucket++;
  forget_durations();
  return (bucket + 1) * BUCKET_US;
}

static struct sample take(double start) {
  char *out = NULL;
  if (pusher_publisher_flush(publisher, 60000, &out) != PUSHER_STATUS_OK) die("flush: %s", out);
  while (pusher_publisher_poll(publisher, 0, &out) == PUSHER_STATUS_OK) pusher_string_free(out);
  return (struct sample){(double)atomic_load(&calls), now() - start, resident_kib(), count_in("/proc/self/fd"),
                         count_in("/proc/self/task"), p99_us()};
}

/* Returns the slope of resident memory by calls or by seconds: least squares. */
static double slope(const struct sample *samples, int by_calls) {
  double x = 0, y = 0, xx = 0, xy = 0;
  for (int i = 0; i < SAMPLES; i++) {
    double at = by_calls ? samples[i].calls : samples[i].seconds;
    x += at / SAMPLES, y += (double)samples[i].resident_kib / SAMPLES;
  }
  for (int i = 0; i < SAMPLES; i++) {
    double at = (by_calls ? samples[i].calls : samples[i].seconds) - x;
    xx += at * at, xy += at * ((double)samples[i].resident_kib - y);
  }
  return xy / xx;
}

int main(int count, char **arguments) {
  char config[1024], *out = NULL;
  most = count > 1 ? strtol(arguments[1], NULL, 10) : 0;
  is_planted = count == 3 && strcmp(arguments[2], "--planted") == 0;
  if (most < 1000 || count > 3 || (count == 3 && !is_planted)) die("usage: soak CALLS [--planted]");
  struct server server = server_start(0);
  snprintf(config, sizeof config,
           "{\"app_id\":\"1\",\"key\":\"key\",\"secret\":\"secret\",\"host\":\"127.0.0.1\",\"port\":%d,\"ssl\":false,"
           "\"timeout_ms\":60000,\"encryption_master_key_base64\":\"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"}",
           server.port);
  must(pusher_new(config, &client, &out), &out, "pusher_new");
  must(pusher_publisher_new(client, "{\"reports\":\"all\",\"overflow\":\"block\"}", &publisher, &out), &out,
       "publisher");
  if (pusher_authenticate(client, CHANNEL, SOCKET, NULL, &out) != PUSHER_STATUS_OK) die("no signature: %s", out);
  const char *auth = strstr(out, "\"key:");
  if (auth == NULL || strlen(auth) < DIGITS + 6) die("no signature: %s", out);
  memcpy(signature, auth + 5, DIGITS);
  pusher_string_free(out);

  pthread_t threads[THREADS];
  struct sample samples[SAMPLES];
  pthread_barrier_init(&barrier, NULL, THREADS + 1);
  forget_durations();
  double start = now();
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, NULL);
  for (int i = 0; i <= SAMPLES; i++) {
    pthread_barrier_wait(&barrier);
    struct sample sample = take(start);
    printf("%9.0f calls %8.1f s %8ld KiB %4ld descriptors %4ld threads, p99 %ld us\n", sample.calls, sample.seconds,
           sample.resident_kib, sample.descriptors, sample.threads, sample.p99_us);
    fflush(stdout);
    if (i > 0) samples[i - 1] = sample;
    pthread_barrier_wait(&barrier);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  pusher_publisher_free(publisher);
  pusher_free(client);
  server_stop(&server);

  const struct sample *first = &samples[0], *last = &samples[SAMPLES - 1];
  long before = first->p99_us, after = last->p99_us;
  for (int i = 0; i < 3; i++) {
    /* The best of three, which a loaded machine delays least. */
    if (samples[i].p99_us < before) before = samples[i].p99_us;
    if (samples[SAMPLES - 1 - i].p99_us < after) after = samples[SAMPLES - 1 - i].p99_us;
  }
  printf("%ld %.1f %.1f %.3f %ld %ld %ld %ld\n", most, last->seconds, slope(samples, 1) * 1e6,
         slope(samples, 0) * 3600 / 1024, last->descriptors - first->descriptors, last->threads - first->threads,
         before, after);
  return 0;
}
