/* An HTTP client for the pieces of docs/event-loops.md: libcurl, which waits for the response. */
#include <curl/curl.h>

static struct curl_slist *my_headers;
static CURL *my_curl;
static CURLcode my_code;
static char my_answer[65536], my_error_text[CURL_ERROR_SIZE];
static size_t my_length;
static struct curl_header *my_last;

static void my_header(const char *name, const char *value) {
  char line[1024];
  snprintf(line, sizeof line, "%s: %s", name, value);
  my_headers = curl_slist_append(my_headers, line);
}

static size_t my_write(char *part, size_t size, size_t count, void *context) {
  (void)context;
  if (size * count > sizeof my_answer - my_length) return 0;
  memcpy(my_answer + my_length, part, size * count);
  my_length += size * count;
  return size * count;
}

static void my_send(const char *method, const char *url, const uint8_t *payload, size_t length, uint32_t timeout_ms) {
  my_curl = curl_easy_init();
  curl_easy_setopt(my_curl, CURLOPT_URL, url);
  curl_easy_setopt(my_curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
  curl_easy_setopt(my_curl, CURLOPT_COPYPOSTFIELDS, (const char *)payload);
  curl_easy_setopt(my_curl, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(my_curl, CURLOPT_HTTPHEADER, my_headers);
  curl_easy_setopt(my_curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
  curl_easy_setopt(my_curl, CURLOPT_PROXY, "");
  curl_easy_setopt(my_curl, CURLOPT_ERRORBUFFER, my_error_text);
  curl_easy_setopt(my_curl, CURLOPT_WRITEFUNCTION, my_write);
  my_code = curl_easy_perform(my_curl);
}

static long my_status(void) {
  long status = 0;
  if (my_code == CURLE_OK) curl_easy_getinfo(my_curl, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

static const uint8_t *my_body(void) { return (const uint8_t *)my_answer; }
static size_t my_body_length(void) { return my_length; }
static const char *my_error(void) { return my_error_text; }
static int my_connection_was_made(void) {
  return my_code != CURLE_COULDNT_CONNECT && my_code != CURLE_COULDNT_RESOLVE_HOST;
}

static int my_next_header(const char **name, const char **value) {
  my_last = curl_easy_nextheader(my_curl, CURLH_HEADER, -1, my_last);
  if (my_last == NULL) return 0;
  *name = my_last->name;
  *value = my_last->value;
  return 1;
}
