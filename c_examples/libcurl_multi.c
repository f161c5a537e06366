/* Keeps many requests in flight on one thread: the library signs them and reads the responses, libcurl's multi
 * interface sends them. Any other event loop works in the same way.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   libcurl_multi my-channel my-event COUNT
 *
 * It triggers COUNT events with the payloads {"n":0}, {"n":1}…, up to 32 at a time and in no fixed order. It prints how
 * many were delivered, and exits with 0 if all were. curl_exchange.h has the exchange itself. */
#define _POSIX_C_SOURCE 200809L
#include "curl_exchange.h"

enum { AT_ONCE = 32 };

/* One request in flight. A slot is reused for the next one. */
typedef struct {
  CURL *curl;
  PusherRequest *request;
  CurlExchange exchange;
} Slot;

typedef struct {
  const char *channel, *event;
  int count, started, finished;
  int became[PUSHER_DELIVERY_DELIVERED + 1]; /* number of events by PusherDelivery */
} Run;

static void finished(Run *run, PusherStatus status, const char *document) {
  int32_t delivery = status == PUSHER_STATUS_OK ? PUSHER_DELIVERY_DELIVERED : pusher_error_delivery(document);
  /* After a wrong argument there is no delivery: the event was not sent. */
  if (delivery < PUSHER_DELIVERY_NOT_SENT || delivery > PUSHER_DELIVERY_DELIVERED) delivery = PUSHER_DELIVERY_NOT_SENT;
  run->became[delivery]++;
  run->finished++;
  if (status != PUSHER_STATUS_OK) fprintf(stderr, "%s\n", document);
}

/* Reports the result of a slot's request to the library. `code` is NULL if it could not be started. */
static void finish(Run *run, const Pusher *client, Slot *slot, const CURLcode *code) {
  PusherResponse *response = pusher_response_new();
  char *document;
  PusherStatus status;
  if (code != NULL) {
    curl_exchange_end(&slot->exchange, slot->curl, *code, response);
  } else {
    pusher_response_fail(response, PUSHER_DELIVERY_NOT_SENT, NULL, slot->exchange.message);
  }
  status = pusher_finish(client, slot->request, response, &document);
  finished(run, status, document);
  pusher_string_free(document);
  pusher_response_free(response);
  pusher_request_free(slot->request);
  slot->request = NULL;
  curl_exchange_free(&slot->exchange);
}

/* Starts the next event in a free slot. */
static void start(Run *run, const Pusher *client, CURLM *multi, Slot *slot) {
  char data[32], *document;
  const char *arguments[3];
  PusherStatus status;
  snprintf(data, sizeof data, "{\"n\":%d}", run->started++);
  arguments[0] = run->channel;
  arguments[1] = run->event;
  arguments[2] = data;
  status = pusher_prepare(client, "trigger", arguments, 3, &slot->request, &document);
  if (status != PUSHER_STATUS_OK) {
    finished(run, status, document);
    pusher_string_free(document);
    return;
  }
  curl_easy_reset(slot->curl);
  curl_easy_setopt(slot->curl, CURLOPT_PRIVATE, (void *)slot);
  if (!curl_exchange_begin(&slot->exchange, slot->curl, slot->request) ||
      curl_multi_add_handle(multi, slot->curl) != CURLM_OK) {
    finish(run, client, slot, NULL);
  }
}

static void trigger_all(Run *run, const Pusher *client, CURLM *multi, Slot slots[AT_ONCE]) {
  while (run->finished < run->count) {
    int running, left, before = run->finished;
    CURLMsg *message;
    for (int i = 0; i < AT_ONCE && run->started < run->count; i++) {
      if (slots[i].request == NULL) start(run, client, multi, &slots[i]);
    }
    curl_multi_perform(multi, &running);
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
      CURL *curl = message->easy_handle;
      CURLcode code = message->data.result; /* removing the handle frees the message */
      char *slot;
      curl_easy_getinfo(curl, CURLINFO_PRIVATE, &slot);
      curl_multi_remove_handle(multi, curl);
      finish(run, client, (Slot *)(void *)slot, &code);
    }
    /* Start the next request in each finished slot before waiting. */
    if (run->finished == before) curl_multi_poll(multi, NULL, 0, 1000, NULL);
  }
}

int main(int argc, char **argv) {
  Run run = {0};
  Slot slots[AT_ONCE] = {{0}};
  Pusher *client;
  CURLM *multi;
  char *error;
  int ready;
  if (argc != 4 || (run.count = atoi(argv[3])) < 1) {
    fputs("usage: libcurl_multi CHANNEL EVENT COUNT\n", stderr);
    return 2;
  }
  run.channel = argv[1];
  run.event = argv[2];
  if (pusher_new(NULL, &client, &error) != PUSHER_STATUS_OK) {
    fprintf(stderr, "libcurl_multi: %s\n", error);
    pusher_string_free(error);
    return 1;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  multi = curl_multi_init();
  ready = multi != NULL;
  for (int i = 0; i < AT_ONCE; i++) {
    slots[i].curl = curl_easy_init();
    ready = ready && slots[i].curl != NULL;
  }
  if (ready) {
    trigger_all(&run, client, multi, slots);
    printf("%d delivered, %d not sent, %d rejected, %d unknown\n", run.became[PUSHER_DELIVERY_DELIVERED],
           run.became[PUSHER_DELIVERY_NOT_SENT], run.became[PUSHER_DELIVERY_REJECTED],
           run.became[PUSHER_DELIVERY_UNKNOWN]);
  }
  for (int i = 0; i < AT_ONCE; i++) curl_easy_cleanup(slots[i].curl);
  curl_multi_cleanup(multi);
  curl_global_cleanup();
  pusher_free(client);
  return run.became[PUSHER_DELIVERY_DELIVERED] == run.count ? 0 : 1;
}
