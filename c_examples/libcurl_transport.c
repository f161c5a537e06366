/* Sends the library's requests with libcurl. Use a transport like this one if your program already has an HTTP client
 * with proxies, certificates and metrics.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   libcurl_transport my-channel my-event '{"hello":"world"}' [COUNT]
 *
 * It triggers the event COUNT times (default 1), and prints each result or error document. It exits with 0 if all were
 * delivered. curl_exchange.h has the exchange itself. */
#define _POSIX_C_SOURCE 200809L
#include "curl_exchange.h"

#include <pthread.h>

enum { MAX_IDLE = 8 };

/* Several threads may use a client, and so its transport, at the same time, but not a libcurl handle. So each exchange
 * takes a handle, and idle handles are kept together with their connections. */
typedef struct {
  pthread_mutex_t lock;
  CURL *idle[MAX_IDLE];
  size_t count;
} Pool;

static CURL *take(Pool *pool) {
  CURL *curl = NULL;
  pthread_mutex_lock(&pool->lock);
  if (pool->count > 0) curl = pool->idle[--pool->count];
  pthread_mutex_unlock(&pool->lock);
  return curl != NULL ? curl : curl_easy_init();
}

static void give_back(Pool *pool, CURL *curl) {
  curl_easy_reset(curl); /* resets the options and keeps the connections */
  pthread_mutex_lock(&pool->lock);
  if (pool->count < MAX_IDLE) {
    pool->idle[pool->count++] = curl;
    curl = NULL;
  }
  pthread_mutex_unlock(&pool->lock);
  curl_easy_cleanup(curl);
}

/* The transport, a PusherSendFn. */
static void send_by_libcurl(void *user_data, const PusherRequest *request, PusherResponse *response) {
  Pool *pool = user_data;
  CURL *curl = take(pool);
  CurlExchange exchange;
  if (curl == NULL) {
    pusher_response_fail(response, PUSHER_DELIVERY_NOT_SENT, NULL, "out of memory");
    return;
  }
  if (curl_exchange_begin(&exchange, curl, request)) {
    CURLcode code = curl_easy_perform(curl);
    curl_exchange_end(&exchange, curl, code, response);
  } else {
    pusher_response_fail(response, PUSHER_DELIVERY_NOT_SENT, NULL, exchange.message);
  }
  give_back(pool, curl);
  curl_exchange_free(&exchange);
}

/* A PusherDropFn: the library calls it once, when no thread can use the pool any more. */
static void drop_pool(void *user_data) {
  Pool *pool = user_data;
  while (pool->count > 0) curl_easy_cleanup(pool->idle[--pool->count]);
  pthread_mutex_destroy(&pool->lock);
  free(pool);
}

static Pusher *make_client(void) {
  Pusher *client;
  char *error;
  Pool *pool = calloc(1, sizeof *pool);
  if (pool == NULL || pusher_new(NULL, &client, &error) != PUSHER_STATUS_OK) {
    fprintf(stderr, "libcurl_transport: %s\n", pool == NULL ? "out of memory" : error);
    if (pool != NULL) pusher_string_free(error);
    free(pool);
    return NULL;
  }
  pthread_mutex_init(&pool->lock, NULL);
  /* From here on the library owns the pool, even if this call fails. */
  if (pusher_set_transport(client, send_by_libcurl, pool, drop_pool, &error) != PUSHER_STATUS_OK) {
    fprintf(stderr, "libcurl_transport: %s\n", error);
    pusher_string_free(error);
    pusher_free(client);
    return NULL;
  }
  return client;
}

int main(int argc, char **argv) {
  int delivered = 0, count = argc == 5 ? atoi(argv[4]) : 1;
  Pusher *client;
  if (argc < 4 || argc > 5 || count < 1) {
    fputs("usage: libcurl_transport CHANNEL EVENT JSON [COUNT]\n", stderr);
    return 2;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  client = make_client();
  for (int i = 0; client != NULL && i < count; i++) {
    char *document;
    if (pusher_trigger(client, argv[1], argv[2], argv[3], NULL, &document) == PUSHER_STATUS_OK) delivered++;
    puts(document);
    pusher_string_free(document);
  }
  pusher_free(client);
  curl_global_cleanup();
  return client != NULL && delivered == count ? 0 : 1;
}
