/* A C program without the library: libcurl with one easy handle per thread, signatures by OpenSSL. */
#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness.h"
#include "server.h"

struct shared {
  int port;
  bool is_tls;
};

struct own {
  CURL *easy;
  struct shared server;
  char answer[1024];
  size_t answer_size;
};

static void *open_(const struct contender *self, int port) {
  struct shared *shared = malloc(sizeof *shared);
  if (shared == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) die("libcurl: can't start");
  const char *tls = curl_version_info(CURLVERSION_NOW)->ssl_version;
  if (self->is_tls && (tls == NULL || strncmp(tls, "OpenSSL/", 8) != 0)) {
    die("libcurl is built with %s instead of OpenSSL: install libcurl4-openssl-dev", tls == NULL ? "no TLS" : tls);
  }
  *shared = (struct shared){.port = port, .is_tls = self->is_tls};
  return shared;
}

static void close_(void *shared) {
  curl_global_cleanup();
  free(shared);
}

static size_t receive(char *bytes, size_t one, size_t size, void *argument) {
  struct own *own = argument;
  (void)one;
  if (own->answer_size + size >= sizeof own->answer) return 0;
  memcpy(own->answer + own->answer_size, bytes, size);
  own->answer_size += size;
  own->answer[own->answer_size] = '\0';
  return size;
}

static void *enter(void *shared) {
  struct own *own = calloc(1, sizeof *own);
  if (own == NULL || (own->easy = curl_easy_init()) == NULL) die("libcurl: no handle");
  own->server = *(const struct shared *)shared;
  curl_easy_setopt(own->easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(own->easy, CURLOPT_TIMEOUT_MS, 5000L);
  curl_easy_setopt(own->easy, CURLOPT_CONNECTTIMEOUT_MS, 3000L);
  curl_easy_setopt(own->easy, CURLOPT_PROXY, "");
  curl_easy_setopt(own->easy, CURLOPT_USERAGENT, "bench/1.0");
  curl_easy_setopt(own->easy, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(own->easy, CURLOPT_WRITEDATA, own);
  if (own->server.is_tls) {
    char certificate[4096];
    beside("certificate.pem", certificate, sizeof certificate);
    curl_easy_setopt(own->easy, CURLOPT_CAINFO, certificate);
  }
  return own;
}

/* Escapes `text` for a JSON string, without the quotes. */
static void escape(const char *text, char *to, const char *end) {
  for (; *text != '\0' && to + 7 < end; text++) {
    unsigned char byte = (unsigned char)*text;
    if (byte == '"' || byte == '\\')
      *to++ = '\\', *to++ = (char)byte;
    else if (byte < 0x20)
      to += sprintf(to, "\\u%04x", byte);
    else
      *to++ = (char)byte;
  }
  *to = '\0';
}

static void hex(const unsigned char *bytes, unsigned size, char *to) {
  static const char digits[] = "0123456789abcdef";
  for (unsigned i = 0; i < size; i++) *to++ = digits[bytes[i] >> 4], *to++ = digits[bytes[i] & 15];
  *to = '\0';
}

static void once(void *argument) {
  struct own *own = argument;
  char data[512], body[1024], query[256], message[512], url[1024];
  unsigned char digest[EVP_MAX_MD_SIZE];
  char md5[2 * EVP_MAX_MD_SIZE + 1], signature[2 * EVP_MAX_MD_SIZE + 1];
  unsigned size;

  escape(PAYLOAD, data, data + sizeof data);
  int length =
      snprintf(body, sizeof body, "{\"name\":\"%s\",\"channels\":[\"%s\"],\"data\":\"%s\"}", EVENT, CHANNEL, data);
  EVP_Digest(body, (size_t)length, digest, &size, EVP_md5(), NULL);
  hex(digest, size, md5);

  snprintf(query, sizeof query, "auth_key=%s&auth_timestamp=%lld&auth_version=1.0&body_md5=%s", APP_KEY,
           (long long)time(NULL), md5);
  int message_length = snprintf(message, sizeof message, "POST\n/apps/%s/events\n%s", APP_ID, query);
  HMAC(EVP_sha256(), APP_SECRET, sizeof APP_SECRET - 1, (unsigned char *)message, (size_t)message_length, digest,
       &size);
  hex(digest, size, signature);
  snprintf(url, sizeof url, "%s://127.0.0.1:%d/apps/%s/events?%s&auth_signature=%s",
           own->server.is_tls ? "https" : "http", own->server.port, APP_ID, query, signature);

  struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
  headers = curl_slist_append(headers, "X-Pusher-Library: bench 1.0");
  curl_easy_setopt(own->easy, CURLOPT_URL, url);
  curl_easy_setopt(own->easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(own->easy, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(own->easy, CURLOPT_POSTFIELDSIZE, (long)length);
  own->answer_size = 0;
  CURLcode code = curl_easy_perform(own->easy);
  if (code != CURLE_OK) die("libcurl: %s", curl_easy_strerror(code));
  long status = 0;
  curl_easy_getinfo(own->easy, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200 || strcmp(own->answer, "{}") != 0) die("libcurl: %ld %s", status, own->answer);
  curl_slist_free_all(headers);
}

static void leave(void *argument) {
  struct own *own = argument;
  curl_easy_cleanup(own->easy);
  free(own);
}

const struct contender libcurl = {"libcurl", open_, enter, once, leave, close_, 0, false};
const struct contender libcurl_tls = {"libcurl with OpenSSL", open_, enter, once, leave, close_, 0, true};
