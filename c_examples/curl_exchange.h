/* One exchange with the server by libcurl: a PusherRequest goes in, a PusherResponse comes out. Both examples with libcurl
 * use it: libcurl_transport.c, which waits for it, and libcurl_multi.c, which has many under way.
 *
 * What became of the events is told by one fact that does not depend on what libcurl calls an error: how much of the body
 * it has asked for. What it was never handed it can't have sent, and a server can't accept a request without the end of
 * its body. And it is handed a body only once: libcurl may want to send a request again without a word, when a
 * connection that was kept alive turns out to be dead, but then it has to rewind the body, which we refuse. So nothing
 * is delivered twice, and connections can be kept alive nevertheless. */
#ifndef EXAMPLES_CURL_EXCHANGE_H
#define EXAMPLES_CURL_EXCHANGE_H

#include <curl/curl.h>
#include <pusher.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CURL_EXCHANGE_MAX_ANSWER = 16 * 1024 * 1024 };

typedef struct {
  const uint8_t *body; /* the request's, which lives as long as that */
  size_t body_len;
  size_t handed; /* how much of it libcurl has been handed */
  struct curl_slist *headers;
  char *answer;
  size_t answer_len;
  char message[CURL_ERROR_SIZE];
} CurlExchange;

/* libcurl asks for the next part of the body. */
static size_t curl_exchange_read(char *buffer, size_t size, size_t count, void *context) {
  CurlExchange *exchange = context;
  size_t left = exchange->body_len - exchange->handed, part = size * count < left ? size * count : left;
  memcpy(buffer, exchange->body + exchange->handed, part);
  exchange->handed += part;
  return part;
}

/* libcurl asks to begin anew. */
static int curl_exchange_seek(void *context, curl_off_t offset, int origin) {
  (void)context, (void)offset, (void)origin;
  return CURL_SEEKFUNC_FAIL;
}

/* libcurl has a part of the answer. */
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

/* Prepares `curl` to send `request`. 0 if that can't be: nothing was sent then, and `message` says why. Either way it ends
 * with curl_exchange_free(). */
static int curl_exchange_begin(CurlExchange *exchange, CURL *curl, const PusherRequest *request) {
  const char *name, *value;
  uint32_t timeout_ms = pusher_request_timeout_ms(request);
  memset(exchange, 0, sizeof *exchange);
  strcpy(exchange->message, "out of memory");
  exchange->body = pusher_request_body(request, &exchange->body_len);
  for (size_t i = 0; pusher_request_header(request, i, &name, &value); i++) {
    if (!curl_exchange_add_header(exchange, name, value)) return 0;
  }
  /* "Expect: 100-continue" would only make libcurl wait. */
  if (!curl_exchange_add_header(exchange, "Expect", "")) return 0;
  if (timeout_ms == 0) {
    strcpy(exchange->message, "the time was up before anything was sent");
    return 0; /* 0 would be no limit to libcurl */
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
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);       /* signals are the program's, and other threads' too */
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L); /* the signature is for this URL */
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* none from the environment; a program may want one */
  return 1;
}

/* The word for a failure; it is for people and for deciding whether to try again, not for what was delivered. */
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

/* Sets what came of it. `code` is what libcurl says of the exchange. */
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
    /* A query has no body, and nothing to deliver: there the request's head tells. */
    int all_handed = exchange->body_len > 0 ? exchange->handed == exchange->body_len : head_sent > 0;
    delivery = all_handed ? PUSHER_DELIVERY_UNKNOWN : PUSHER_DELIVERY_NOT_SENT;
    pusher_response_fail(response, delivery, curl_exchange_cause(code), message);
  } else if (status / 100 != 2) {
    return; /* a refusal is one, whenever it came */
  } else if ((size_t)body_sent < exchange->body_len) {
    pusher_response_fail(response, PUSHER_DELIVERY_UNKNOWN, "malformed",
                         "the answer came before the request had been sent");
  } else if (exchange->answer_len == 0 && declared != 0 && status != 204 &&
             curl_easy_header(curl, "Transfer-Encoding", 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
    /* Nothing says that it is meant to be empty: it may have been cut. */
    pusher_response_fail(response, PUSHER_DELIVERY_UNKNOWN, "closed", "the answer's body is missing");
  }
}

/* Frees what it holds, after the handle is done with it. */
static void curl_exchange_free(CurlExchange *exchange) {
  curl_slist_free_all(exchange->headers);
  free(exchange->answer);
}

#endif
