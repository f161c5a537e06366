/*
 * Searches the memory of a process, as a core dump has it, for the secrets that it gave to the library: after pusher_free() there is
 * no copy, and in an idle client only what docs/testing.md and SECURITY.md say.
 *
 * The child makes the secrets from masked bytes, and wipes its own copies. The parent reads all memory of the child, which waits, and
 * looks for the first and the last half of each secret.
 */
#include "torture.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/random.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* SHA256_Update() shows the state of a hash */

enum { LENGTH = 40, KEY_BYTES = 32, HALF = 16, MOST_NEEDLES = 16 };

/* Random, masked. Letters and digits only, so that no copy is written in another way. */
static unsigned char mask = 0xa5;
static char secret[LENGTH], password[LENGTH], token[LENGTH], header[LENGTH];
static unsigned char master_key[KEY_BYTES];
static int listener, tls_listener, proxy;

static void random_word(char *word) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  for (int i = 0; i < LENGTH; i++) {
    unsigned char byte;
    if (getrandom(&byte, 1, 0) != 1) stop("no randomness");
    word[i] = (char)(letters[byte % (sizeof letters - 1)] ^ mask);
  }
}

static void unmask(void *to, const void *from, size_t length) {
  for (size_t i = 0; i < length; i++) ((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i] ^ mask;
}

/* ---- the child ---- */

enum moment { IDLE, FREED };

static struct run {
  enum moment moment;
  int with_url, with_proxy, with_tls;
  /* Nothing is called between creating and freeing, so that no call writes over what they leave. */
  int only_new;
} run_now;

static const char base64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Writes base64 without a buffer that could stay. */
static void base64_of(char *to, const unsigned char *bytes, size_t length) {
  for (size_t i = 0; i < length; i += 3) {
    unsigned value = (unsigned)bytes[i] << 16 | (i + 1 < length ? (unsigned)bytes[i + 1] << 8 : 0) |
                     (i + 2 < length ? bytes[i + 2] : 0);
    for (int k = 0; k < 4; k++) *to++ = i + (size_t)k > length ? '=' : base64_letters[value >> (18 - 6 * k) & 63];
  }
  *to = '\0';
}

static char config[4096], word[4][LENGTH + 1], key_text[64];
static unsigned char key_bytes[KEY_BYTES];

static void in_the_child(void) {
  Pusher *client = NULL;
  PusherPublisher *publisher = NULL;
  char *out = NULL, route[300] = "", way[300];
  unmask(word[0], secret, LENGTH);
  unmask(word[1], password, LENGTH);
  unmask(word[2], token, LENGTH);
  unmask(word[3], header, LENGTH);
  unmask(key_bytes, master_key, KEY_BYTES);
  base64_of(key_text, key_bytes, KEY_BYTES);
  int port = run_now.with_tls ? tls_listener : listener;
  if (run_now.with_proxy) snprintf(route, sizeof route, ",\"proxy\":\"http://user:%s@127.0.0.1:%d\"", word[1], proxy);
  if (run_now.with_tls) snprintf(way, sizeof way, ",\"ca_file\":\"%s\"", text_of(torture_ready, "ca"));
  int length =
      run_now.with_url
          ? snprintf(config, sizeof config, "{\"url\":\"http%s://k:%s@127.0.0.1:%d/apps/1\"",
                     run_now.with_tls ? "s" : "", word[0], port)
          : snprintf(config, sizeof config,
                     "{\"app_id\":\"1\",\"key\":\"k\",\"secret\":\"%s\",\"host\":\"127.0.0.1\",\"port\":%d,\"ssl\":%s",
                     word[0], port, run_now.with_tls ? "true" : "false");
  snprintf(config + length, sizeof config - (size_t)length,
           "%s%s,\"encryption_master_key_base64\":\"%s\",\"webhook_tokens\":[{\"key\":\"t\",\"secret\":\"%s\"}],"
           "\"headers\":{\"X-Token\":\"%s\"}}",
           route, run_now.with_tls ? way : "", key_text, word[2], word[3]);
  int status = pusher_new(config, &client, &out);
  explicit_bzero(config, sizeof config);
  explicit_bzero(word, sizeof word);
  explicit_bzero(key_text, sizeof key_text);
  explicit_bzero(key_bytes, sizeof key_bytes);
  explicit_bzero(route, sizeof route);
  if (status != PUSHER_STATUS_OK) stop("pusher_new: %s", out);

  /* Everything that uses one of them. */
  for (int i = 0; i < 3 && !run_now.only_new; i++) {
    if (pusher_trigger(client, "c", "e", "1", NULL, &out) != PUSHER_STATUS_OK) stop("trigger: %s", out);
    pusher_string_free(out);
    if (pusher_trigger(client, "private-encrypted-c", "e", "1", NULL, &out) != PUSHER_STATUS_OK)
      stop("trigger: %s", out);
    pusher_string_free(out);
    if (pusher_authenticate(client, "private-c", "1.2", NULL, &out) != PUSHER_STATUS_OK) stop("authenticate: %s", out);
    pusher_string_free(out);
    if (pusher_authenticate_user(client, "1.2", "{\"id\":\"7\"}", &out) != PUSHER_STATUS_OK)
      stop("authenticate: %s", out);
    pusher_string_free(out);
    pusher_validate_webhook(client, "t", "0000000000000000000000000000000000000000000000000000000000000000",
                            (const uint8_t *)"{}", 2, &out);
    pusher_string_free(out);
  }
  if (run_now.only_new) {
    if (run_now.moment == FREED) pusher_free(client);
    raise(SIGSTOP);
  }
  if (pusher_publisher_new(client, "{\"reports\":\"all\"}", &publisher, &out) != PUSHER_STATUS_OK) stop("%s", out);
  for (int i = 0; i < 20; i++)
    pusher_publisher_publish(publisher, i % 2 ? "c" : "private-encrypted-c", "e", "1", NULL, NULL, NULL);
  pusher_publisher_flush(publisher, 20000, NULL);
  while (pusher_publisher_poll(publisher, 0, &out) == PUSHER_STATUS_OK) {
    if (strstr(out, "\"not_sent\"") != NULL) stop("%s", out);
    pusher_string_free(out);
  }
  pusher_publisher_free(publisher);
  if (run_now.moment == FREED) pusher_free(client);
  raise(SIGSTOP);
}

/* ---- the search ---- */

struct needle {
  const char *name;
  int in_idle; /* an idle client has it: the search must find it there */
  unsigned char bytes[96];
  size_t length;
};

static struct needle needles[MOST_NEEDLES];
static int needle_count;

static void look_for(const char *name, int in_idle, const void *bytes, size_t length) {
  struct needle *needle = &needles[needle_count++];
  needle->name = name;
  needle->in_idle = in_idle;
  memcpy(needle->bytes, bytes, length);
  needle->length = length;
}

/* The states of HMAC-SHA256 after its two keyed blocks. */
static void look_for_states(const char *plain) {
  static const unsigned char pads[2] = {0x36, 0x5c};
  for (int i = 0; i < 2; i++) {
    unsigned char block[64];
    SHA256_CTX state;
    memset(block, pads[i], sizeof block);
    for (int k = 0; k < LENGTH; k++) block[k] ^= (unsigned char)plain[k];
    look_for(i == 0 ? "the secret with HMAC's inner pad" : "the secret with HMAC's outer pad", 0, block, LENGTH);
    SHA256_Init(&state);
    SHA256_Update(&state, block, sizeof block);
    look_for(i == 0 ? "HMAC's inner state" : "HMAC's outer state", 1, state.h, sizeof state.h);
    /* The order of its words in the registers of SHA instructions: functions that save these registers copy it. */
    static const int order[8] = {5, 4, 1, 0, 7, 6, 3, 2};
    SHA_LONG words[8];
    for (int k = 0; k < 8; k++) words[k] = state.h[order[k]];
    look_for(i == 0 ? "HMAC's inner state in registers" : "HMAC's outer state in registers", 0, words, sizeof words);
  }
}

static void make_needles(void) {
  static char plain[LENGTH + 1], text[200];
  static unsigned char key[KEY_BYTES];
  unmask(plain, secret, LENGTH);
  look_for("the secret", 0, plain, LENGTH);
  look_for_states(plain);
  unmask(plain, token, LENGTH);
  look_for("the secret of a webhook token", 0, plain, LENGTH);
  unmask(key, master_key, KEY_BYTES);
  look_for("the master key", 1, key, KEY_BYTES);
  base64_of(text, key, KEY_BYTES);
  look_for("the master key in base64", 0, text, 40);
  unmask(plain, password, LENGTH);
  look_for("the password of the proxy", 0, plain, LENGTH);
  snprintf(text, sizeof text, "user:%s", plain);
  char pair[100];
  base64_of(pair, (unsigned char *)text, strlen(text));
  look_for("the credentials of the proxy in base64", 2, pair, 56);
  unmask(plain, header, LENGTH);
  look_for("the value of a header", 1, plain, LENGTH);
}

static int contains(const unsigned char *bytes, size_t length, const struct needle *needle) {
  return memmem(bytes, length, needle->bytes, HALF) != NULL ||
         memmem(bytes, length, needle->bytes + needle->length - HALF, HALF) != NULL;
}

/* Counts, for each needle, the mappings that have it. Describes the last one. */
static void search(pid_t child, int *found, char (*where)[200]) {
  char path[64], line[600];
  snprintf(path, sizeof path, "/proc/%d/maps", child);
  FILE *maps = fopen(path, "r");
  snprintf(path, sizeof path, "/proc/%d/mem", child);
  FILE *memory = fopen(path, "r");
  if (maps == NULL || memory == NULL) stop("the memory of the child cannot be read");
  while (fgets(line, sizeof line, maps) != NULL) {
    unsigned long first, end;
    char rights[8];
    if (sscanf(line, "%lx-%lx %7s", &first, &end, rights) != 3 || rights[0] != 'r' || strstr(line, "[v") != NULL)
      continue;
    unsigned char *bytes = malloc(end - first);
    if (bytes == NULL) stop("no memory");
    ssize_t length = pread(fileno(memory), bytes, end - first, (off_t)first);
    for (int i = 0; i < needle_count && length > 0; i++) {
      if (!contains(bytes, (size_t)length, &needles[i])) continue;
      found[i]++;
      snprintf(where[i], sizeof where[i], "%.190s", line);
      where[i][strcspn(where[i], "\n")] = '\0';
    }
    free(bytes);
  }
  fclose(maps);
  fclose(memory);
}

int main(void) {
  int wrong = 0, searched = 0;
  random_word(secret);
  random_word(password);
  random_word(token);
  random_word(header);
  if (getrandom(master_key, KEY_BYTES, 0) != KEY_BYTES) stop("no randomness");
  torture_start();
  listener = torture_listen("{\"fault\":\"none\",\"verify\":false}");
  tls_listener = torture_listen("{\"fault\":\"none\",\"verify\":false,\"tls\":true}");
  /* An interim response is no fault. */
  proxy = torture_listen("{\"fault\":\"none\",\"verify\":false}");

  pid_t children[16];
  struct run runs[16];
  int count = 0;
  for (int moment = IDLE; moment <= FREED; moment++) {
    for (int kind = 0; kind < 5; kind++) {
      runs[count] = (struct run){.moment = (enum moment)moment,
                                 .with_url = kind & 1,
                                 .with_proxy = kind == 2,
                                 .with_tls = kind == 3,
                                 .only_new = kind == 4};
      run_now = runs[count];
      fflush(stdout);
      children[count] = fork();
      if (children[count] == 0) {
        alarm(60);
        in_the_child();
        _exit(0);
      }
      int status;
      if (waitpid(children[count], &status, WUNTRACED) != children[count] || !WIFSTOPPED(status))
        stop("a child failed");
      count++;
    }
  }
  /* Only now does this process have them, after all forks. */
  make_needles();
  for (int i = 0; i < count; i++) {
    int found[MOST_NEEDLES] = {0};
    char where[MOST_NEEDLES][200];
    search(children[i], found, where);
    for (int k = 0; k < needle_count; k++) {
      int is_expected =
          runs[i].moment == IDLE && (needles[k].in_idle == 1 || (needles[k].in_idle == 2 && runs[i].with_proxy));
      searched++;
      /* A search that does not find what is there proves nothing. */
      if (is_expected != (found[k] > 0)) {
        wrong++;
        fprintf(stderr, "%s, url %d, proxy %d, tls %d, only new %d: %s is in %d mappings%s%s\n",
                runs[i].moment == IDLE ? "idle" : "freed", runs[i].with_url, runs[i].with_proxy, runs[i].with_tls,
                runs[i].only_new, needles[k].name, found[k], found[k] > 0 ? ": " : "", found[k] > 0 ? where[k] : "");
      }
    }
    kill(children[i], SIGKILL);
    waitpid(children[i], NULL, 0);
  }
  torture_stop();
  printf("processes %d, searches %d\n", count, searched);
  if (wrong > 0) fprintf(stderr, "%d are wrong\n", wrong);
  return wrong > 0;
}
