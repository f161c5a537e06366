/* One exchange with the server by libcurl, from a PusherRequest to a PusherResponse. Both libcurl examples use it:
 * libcurl_transport.c waits for each exchange, libcurl_multi.c has many in flight.
 *
 * Whether the events were delivered is decided by one fact that does not depend on libcurl's error codes: how much of
 * the body libcurl has read. It cannot have sent bytes that it has not read, and a server cannot accept a request
 * without the end of its body. Each body is read only once: libcurl silently retries a request when a kept-alive
 * connection turns out to be dead, but it must rewind the body first, and we refuse that. So no event is delivered
 * twice, although connections are kept alive. */
#ifndef EXAMPLES_CURL_EXCHANGE_H
#define EXAMPLES_CURL_EXCHANGE_H

#include <curl/curl.h>
#include <pusher.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CURL_EXCHANGE_MAX_ANSWER = 16 * 1024 * 1024 };

typedef struct {
  const uint8_t *body; /* owned by the request, and valid as long as the request */
  size_t body_len;
  size_t handed; /* how many bytes libcurl has read */
  struct curl_slist *headers;
  char *answer;
  size_t answer_len;
  char message[CURL_ERROR_SIZE];
} CurlExchange;

/* Gives libcurl the next part of the body. */
static size_t curl_exchange_read(char *buffer, size_t size, size_t count, void *context) {
  CurlExchange *exchange = context;
  size_t left = exchange->body_len - exchange->handed, part = size * count < left ? size * count : left;
  memcpy(buffer, exchange->body + exchange->handed, part);
  exchange->handed += part;
  return part;
}

/* Refuses to rewind the body. */
static int curl_exchange_seek(void *context, curl_off_t offset, int origin) {
  (void)context, (void)offset, (void)origin;
  return CURL_SEEKFUNC_FAIL;
}

/* Stores a part of the response. */
static size_t curl_exchange_write(char *part, size_t size, size_t count, void *context) {
  CurlExchange *exchange = context;
  size_t length = size * count;
  char *longer;
  if (length > CURL_EXCHANGE_MAX_ANSWER - exchange->answer_len) return 0;
  longer = realloc(exchange->answer, exchange->answer_len + length + 1);
  if (longer == NULL) return 0;
  memcpy(longer + exchange->answer_len, part, length);
  exchange->answer = longer;
  exchange->answer_len += length;
  return length;
}

static int curl_exchange_add_header(CurlExchange *exchange, const char *name, const char *value) {
  size_t size = strlen(name) + strlen(value) + sizeof ": ";
  char *line = malloc(size);
  struct curl_slist *longer = NULL;
  if (line != NULL) {
    snprintf(line, size, "%s: %s", name, value);
    longer = curl_slist_append(exchange->headers, line);
    free(line);
  }
  if (longer != NULL) exchange->headers = longer;
  return longer != NULL;
}

/* Prepares `curl` to send `request`. Returns 0 on failure, with the reason in `message`; nothing has been sent then.
 * Call curl_exchange_free() in both cases. */
static int curl_exchange_begin(CurlExchange *exchange, CURL *curl, const PusherRequest *request) {
  const char *name, *value;
  uint32_t timeout_ms = pusher_request_timeout_ms(request);
  memset(exchange, 0, sizeof *exchange);
  strcpy(exchange->message, "out of memory");
  exchange->body = pusher_request_body(request, &exchange->body_len);
  for (size_t i = 0; pusher_request_header(request, i, &name, &value); i++) {
    if (!curl_exchange_add_header(exchange, name, value)) return 0;
  }
  /* Without this, libcurl may send "Expect: 100-continue" and wait. */
  if (!curl_exchange_add_header(exchange, "Expect", "")) return 0;
  if (timeout_ms == 0) {
    strcpy(exchange->message, "the time was up before anything was sent");
    return 0; /* libcurl treats 0 as "no timeout" */
  }

  exchange->message[0] = '\0';
  curl_easy_setopt(curl, CURLOPT_URL, pusher_request_url(request));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, exchange->headers);
  if (strcmp(pusher_request_method(request), "POST") == 0) {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body_len);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, curl_exchange_read);
    curl_easy_setopt(curl, CURLOPT_READDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, curl_exchange_seek);
  } else {
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
  }
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, curl_exchange_write);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->message);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);       /* signals belong to the program */
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L); /* the signature is for this URL */
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* ignores the proxy of the environment */
  return 1;
}

/* Returns the cause of a failure, for messages and for the decision to retry. It does not decide about delivery. */
static const char *curl_exchange_cause(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: return "dns";
    case CURLE_COULDNT_CONNECT: return "connect";
    case CURLE_OPERATION_TIMEDOUT: return "timeout";
    case CURLE_COULDNT_RESOLVE_PROXY: return "proxy";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE: return "tls";
    case CURLE_SEND_ERROR: return "write";
    case CURLE_RECV_ERROR: return "reset";
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_FAIL_REWIND: return "closed";
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY: return "malformed";
    default: return "transport";
  }
}

/* Sets the response or the failure. `code` is the result of the exchange in libcurl. */
static void curl_exchange_end(const CurlExchange *exchange, CURL *curl, CURLcode code, PusherResponse *response) {
  long status = 0, head_sent = 0;
  curl_off_t body_sent = 0, declared = -1;
  struct curl_header *header = NULL;
  const char *message = exchange->message[0] != '\0' ? exchange->message : curl_easy_strerror(code);
  int32_t delivery;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &head_sent);
  curl_easy_getinfo(curl, CURLINFO_SIZE_UPLOAD_T, &body_sent);
  curl_easy_getinfo(curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &declared);

  if (status >= 200) {
    pusher_response_set(response, (int32_t)status, (const uint8_t *)exchange->answer, exchange->answer_len);
    while ((header = curl_easy_nextheader(curl, CURLH_HEADER, -1, header)) != NULL) {
      pusher_response_set_header(response, header->name, header->value);
    }
  }
  if (code != CURLE_OK) {
    /* A query has no body and delivers nothing: its head decides. */
    int all_handed = exchange->body_len > 0 ? exchange->handed == exchange->body_len : head_sent > 0;
    delivery = all_handed ? PUSHER_DELIVERY_UNKNOWN : PUSHER_DELIVERY_NOT_SENT;
    pusher_response_fail(response, delivery, curl_exchange_cause(code), message);
  } else if (status / 100 != 2) {
    return; /* a refusal counts, even if it came early */
  } else if ((size_t)body_sent < exchange->body_len) {
    pusher_response_fail(response, PUSHER_DELIVERY_UNKNOWN, "malformed",
                         "the answer came before the request had been sent");
  } else if (exchange->answer_len == 0 && declared != 0 && status != 204 &&
             curl_easy_header(curl, "Transfer-Encoding", 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
    /* Without a length, an empty body may be a truncated one. */
    pusher_response_fail(response, PUSHER_DELIVERY_UNKNOWN, "closed", "the answer's body is missing");
  }
}

/* Frees the memory of the exchange. Call it after the handle has finished. */
static void curl_exchange_free(CurlExchange *exchange) {
  curl_slist_free_all(exchange->headers);
  free(exchange->answer);
}

#endif
