/*
 * Looks for a difference in time between webhook signatures that are wrong in their first byte and those that are wrong in their last
 * one, as dudect does (Reparaz, Balasch, Verbauwhede: Dude, is my code constant time?, 2017).
 *
 *   timing SAMPLES [--planted]      planted: a comparison that ends at the first difference follows each call
 *
 * The classes alternate at random, so that a loaded machine delays both alike. Welch's t is computed over all samples, and over those
 * below some percentiles, which leave out most delays. Exits with 1 if any |t| reaches 4.5, three times in the same direction.
 */
#include <math.h>
#include <pusher.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define MOST_T 4.5
#define SOCKET "123.456"
#define CHANNEL "private-channel"

enum { DIGITS = 64, BATCH = 10000, CROPS = 6 };

/* The shares of samples that a crop keeps. */
static const double kept[CROPS] = {1, 0.99, 0.95, 0.9, 0.75, 0.5};

/* What differs between the two classes. */
enum pair { FIRST_OR_LAST, ALL_OR_LAST, PAIRS };
static const char *const pairs[PAIRS] = {"the first byte or the last one is wrong",
                                         "every byte or the last one is wrong"};

/* One class: the count, mean and sum of squared differences (Welford). */
struct class {
  double count, mean, squares;
};

static Pusher *client;
static char right[DIGITS + 1];
static int is_planted;
static volatile int sink;

__attribute__((noreturn)) static void stop(const char *why, const char *document) {
  fprintf(stderr, "%s: %s\n", why, document != NULL ? document : "no document");
  exit(2);
}

static uint64_t now(void) {
#if defined(__x86_64__)
  unsigned core;
  uint64_t ticks = __rdtscp(&core);
  _mm_lfence();
  return ticks;
#else
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
#endif
}

/* xorshift64* */
static uint64_t random_number(void) {
  static uint64_t state;
  if (state == 0) state = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15u | 1;
  state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
  return state * 0x2545f4914f6cdd1du;
}

static PusherStatus validate(const char *signature, char **out) {
  static const uint8_t body[] = SOCKET ":" CHANNEL;
  return pusher_validate_webhook(client, "key", signature, body, sizeof body - 1, out);
}

/* Authorizations sign SOCKET:CHANNEL, so their signature is that of a webhook with this body. */
static void begin(void) {
  char *out = NULL;
  if (pusher_new("{\"app_id\":\"1\",\"key\":\"key\",\"secret\":\"secret\",\"cluster\":\"eu\"}", &client, &out) !=
          PUSHER_STATUS_OK ||
      pusher_authenticate(client, CHANNEL, SOCKET, NULL, &out) != PUSHER_STATUS_OK) {
    stop("no signature", out);
  }
  const char *auth = strstr(out, "\"key:");
  if (auth == NULL || strlen(auth) < DIGITS + 6) stop("no signature", out);
  memcpy(right, auth + 5, DIGITS);
  pusher_string_free(out);
  if (validate(right, &out) != PUSHER_STATUS_WEBHOOK_INVALID || strstr(out, "\"argument\":\"body\"") == NULL) {
    stop("the right signature is not accepted", out);
  }
  pusher_string_free(out);
}

/* Changes the byte at `at`, in the second of its digits. The first digit of a signature stays: whether it is 0, as in 0x, is looked at
 * before the code is compared, and this depends on what the caller passes only. */
static void change(char *signature, int at) {
  static const char digits[] = "0123456789abcdef";
  int digit = 2 * at + 1;
  int value = (int)(strchr(digits, signature[digit]) - digits);
  signature[digit] = digits[value ^ (int)(1 + random_number() % 15)];
}

/* Writes the same bytes of memory for each class, so that the caches do not tell them apart. */
static void prepare(char *signature, enum pair pair, int is_last) {
  char made[2][DIGITS + 1];
  memcpy(made[0], right, sizeof right);
  memcpy(made[1], right, sizeof right);
  for (int at = 0; at < (pair == FIRST_OR_LAST ? 1 : DIGITS / 2); at++) change(made[0], at);
  change(made[1], DIGITS / 2 - 1);
  memcpy(signature, made[is_last], sizeof right);
}

static int compare_until_different(const char *a, const char *b) {
  const volatile char *one = a, *other = b;
  for (int i = 0; i < DIGITS; i++) {
    if (one[i] != other[i]) return 0;
  }
  return 1;
}

static uint64_t measure(const char *given) {
  static char signature[DIGITS + 1] __attribute__((aligned(64)));
  char *out = NULL;
  /* Every sample has the same address, which is in the first cache. */
  memcpy(signature, given, sizeof signature);
  uint64_t start = now();
  PusherStatus status = validate(signature, &out);
  if (is_planted) sink = compare_until_different(signature, right);
  uint64_t ticks = now() - start;
  if (status != PUSHER_STATUS_WEBHOOK_INVALID) stop("a wrong signature is accepted", out);
  pusher_string_free(out);
  return ticks;
}

static void add(struct class *class, double value) {
  double difference = value - class->mean;
  class->count++;
  class->mean += difference / class->count;
  class->squares += difference * (value - class->mean);
}

static double error_of(const struct class *classes) {
  double variance = 0;
  for (int i = 0; i < 2; i++) variance += classes[i].squares / (classes[i].count - 1) / classes[i].count;
  return sqrt(variance);
}

static int by_size(const void *a, const void *b) {
  uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
  return (one > other) - (one < other);
}

/* Returns the t of the largest size, and prints it with the difference of the means of the fastest nine tenths, in ticks. */
static double largest_t(enum pair pair, long samples) {
  static char signatures[BATCH][DIGITS + 1];
  static unsigned char is_last[BATCH];
  static uint64_t ticks[BATCH];
  struct class classes[CROPS][2] = {0};
  uint64_t limits[CROPS] = {0};
  double largest = 0;
  /* The first batch only warms up, and gives the limits. */
  for (long done = -BATCH; done < samples; done += BATCH) {
    for (int i = 0; i < BATCH; i++) {
      is_last[i] = (unsigned char)(random_number() >> 63);
      prepare(signatures[i], pair, is_last[i]);
    }
    for (int i = 0; i < BATCH; i++) ticks[i] = measure(signatures[i]);
    if (done < 0) {
      qsort(ticks, BATCH, sizeof *ticks, by_size);
      for (int crop = 0; crop < CROPS; crop++) {
        limits[crop] = kept[crop] < 1 ? ticks[(int)(kept[crop] * BATCH)] : UINT64_MAX;
      }
      continue;
    }
    for (int i = 0; i < BATCH; i++) {
      for (int crop = 0; crop < CROPS && ticks[i] <= limits[crop]; crop++) {
        add(&classes[crop][is_last[i]], (double)ticks[i]);
      }
    }
  }
  for (int crop = 0; crop < CROPS; crop++) {
    /* The machine became so slow that almost nothing is below this limit. */
    if (classes[crop][0].count < BATCH / 10 || classes[crop][1].count < BATCH / 10) continue;
    double t = (classes[crop][0].mean - classes[crop][1].mean) / error_of(classes[crop]);
    if (fabs(t) > fabs(largest)) largest = t;
  }
  const struct class *most = classes[3];
  printf("   %s: |t| = %.2f; means differ by %.3f of %.0f ticks, give or take %.3f\n", pairs[pair], fabs(largest),
         most[0].mean - most[1].mean, most[0].mean, error_of(most));
  fflush(stdout);
  return largest;
}

int main(int count, char **arguments) {
  long samples = count > 1 ? strtol(arguments[1], NULL, 10) : 0;
  double worst = 0;
  is_planted = count == 3 && strcmp(arguments[2], "--planted") == 0;
  if (samples < BATCH || count > 3 || (count == 3 && !is_planted)) {
    fprintf(stderr, "usage: timing SAMPLES [--planted]\n");
    return 2;
  }
  begin();
  for (int pair = 0; pair < PAIRS; pair++) {
    double t = largest_t(pair, samples);
    for (int repeated = 0; repeated < 2 && fabs(t) >= MOST_T; repeated++) {
      /* By chance, or by what else the machine does, this happens now and then. What is true happens again. */
      double again = largest_t(pair, samples);
      if ((t > 0) != (again > 0)) again = 0;
      if (fabs(again) < fabs(t)) t = again;
    }
    if (fabs(t) > worst) worst = fabs(t);
  }
  pusher_free(client);
  printf("%.2f\n", worst);
  return worst >= MOST_T;
}
