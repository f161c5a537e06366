/* Sends by libcurl what the library signs: a transport of one's own, for a program that has an HTTP client already, with
 * its proxies, certificates and metrics.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   libcurl_transport my-channel my-event '{"hello":"world"}' [COUNT]
 *
 * It triggers the event COUNT times, 1 unless said otherwise, and prints each answer or error document. It ends with 0 if
 * all were delivered. What is sent and what came of it is in curl_exchange.h. */
#define _POSIX_C_SOURCE 200809L
#include "curl_exchange.h"

#include <pthread.h>

enum { MAX_IDLE = 8 };

/* A client can be used by several threads at once, and so can its transport; a libcurl handle can't. Those that are idle
 * are kept, and their connections with them. */
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
  curl_easy_reset(curl); /* the options only: connections stay */
  pthread_mutex_lock(&pool->lock);
  if (pool->count < MAX_IDLE) {
    pool->idle[pool->count++] = curl;
    curl = NULL;
  }
  pthread_mutex_unlock(&pool->lock);
  curl_easy_cleanup(curl);
}

/* The transport: PusherSendFn. */
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

/* The library calls it once, when nothing can use the pool any more: PusherDropFn. */
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
  /* From here on the pool is the library's to release, also if this fails. */
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
