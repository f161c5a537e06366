/* Examples of the manual pages. docs/man.py copies what follows an EXAMPLE
 * comment into the pages that the comment names. */
#include <pusher.h>

#include <stdio.h>

/* Your HTTP client. my_http() returns the status of the response, 0 if the
 * request was not sent, or -1 if there is no response. */
int my_http(const char *method, const char *url, const uint8_t *body,
            size_t length, uint32_t timeout_ms, char *response,
            size_t *response_length);
void my_header(const char *name, const char *value);
int my_next_header(const char **name, const char **value);

/* Your sockets. */
int my_connect(const char *host, uint16_t port, int32_t tls);
size_t my_write(int socket, const uint8_t *bytes, size_t size);
long my_read(int socket, uint8_t *buffer, size_t size);

/* EXAMPLE PusherSendFn pusher_set_transport pusher_request_method
 * pusher_request_url pusher_request_header_count pusher_request_header
 * pusher_request_body pusher_request_timeout_ms pusher_response_set
 * pusher_response_set_header pusher_response_fail */
/* The functions my_...() are those of your HTTP client. */
void send_request(void *user_data, const PusherRequest *request,
                  PusherResponse *response) {
  static char buffer[65536];
  size_t length, received = sizeof buffer;
  const uint8_t *body = pusher_request_body(request, &length);
  const char *name, *value;
  int status = 0;
  (void)user_data;
  for (size_t i = 0; i < pusher_request_header_count(request); i++)
    if (pusher_request_header(request, i, &name, &value))
      my_header(name, value);
  if (pusher_request_timeout_ms(request) > 0)
    status = my_http(pusher_request_method(request),
                     pusher_request_url(request), body, length,
                     pusher_request_timeout_ms(request), buffer, &received);
  if (status > 0) {
    pusher_response_set(response, status, (const uint8_t *)buffer,
                        received);
    while (my_next_header(&name, &value))
      pusher_response_set_header(response, name, value);
  } else if (status == 0) {
    pusher_response_fail(response, PUSHER_DELIVERY_NOT_SENT, "connect",
                         "not connected");
  } else {
    pusher_response_fail(response, PUSHER_DELIVERY_UNKNOWN, "reset", NULL);
  }
}

/* Before the first call. */
PusherStatus use_my_http(Pusher *client) {
  return pusher_set_transport(client, send_request, NULL, NULL, NULL);
}

/* EXAMPLE pusher_prepare pusher_finish pusher_request_free
 * pusher_response_new pusher_response_free */
/* send_request() sends as PusherSendFn(3) shows. An event loop sends
 * between pusher_prepare() and pusher_finish(). */
PusherStatus trigger(const Pusher *client) {
  const char *arguments[] = {"news", "goal", "\"2:1\""};
  PusherRequest *request;
  char *out;
  PusherStatus status =
      pusher_prepare(client, "trigger", arguments, 3, &request, &out);
  if (status == PUSHER_STATUS_OK) {
    PusherResponse *response = pusher_response_new();
    send_request(NULL, request, response);
    status = pusher_finish(client, request, response, &out);
    pusher_response_free(response);
    pusher_request_free(request);
  }
  printf("%s\n", out);
  pusher_string_free(out);
  return status;
}

/* EXAMPLE pusher_request_bytes pusher_request_host pusher_request_port
 * pusher_request_tls pusher_response_feed */
/* The functions my_...() are those of your sockets: my_write() returns how
 * many bytes the kernel has taken, my_read() how many came, 0 at the end. */
PusherStatus exchange(const Pusher *client, PusherRequest *request) {
  uint8_t buffer[4096];
  size_t size, sent = 0;
  long count = -1;
  int fed = 0;
  const uint8_t *bytes = pusher_request_bytes(request, &size);
  PusherResponse *response = pusher_response_new();
  PusherStatus status;
  int socket =
      my_connect(pusher_request_host(request), pusher_request_port(request),
                 pusher_request_tls(request));
  if (socket >= 0 && bytes != NULL)
    sent = my_write(socket, bytes, size);
  while (sent == size && fed == 0 &&
         (count = my_read(socket, buffer, sizeof buffer)) >= 0)
    fed = pusher_response_feed(response, buffer, (size_t)count, NULL);
  if (sent < size)
    pusher_response_fail(response, PUSHER_DELIVERY_NOT_SENT, "write", NULL);
  else if (count < 0)
    pusher_response_fail(response, PUSHER_DELIVERY_UNKNOWN, "reset", NULL);
  status = pusher_finish(client, request, response, NULL);
  pusher_response_free(response);
  return status;
}
