/* The C program for bindings.test.mjs, which describes the protocol of these programs. It is portable. */
#include <pusher.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what) {
  fprintf(stderr, "%s\n", what == NULL ? "no reason is known" : what);
  exit(2);
}

static const char *text(const cJSON *job, const char *name) {
  return cJSON_GetStringValue(cJSON_GetObjectItem(job, name));
}

/* Returns a member as JSON, which the caller frees; NULL if it is missing. */
static char *json(const cJSON *job, const char *name) {
  const cJSON *member = cJSON_GetObjectItem(job, name);
  return member == NULL ? NULL : cJSON_PrintUnformatted(member);
}

/* Publishes 0, 1, 2… through a publisher, and sets `out` to the reports. */
static PusherStatus publish(const Pusher *client, const cJSON *job, char **out) {
  PusherPublisher *publisher;
  PusherStatus status = pusher_publisher_new(client, "{\"reports\":\"all\"}", &publisher, out);
  int count = (int)cJSON_GetNumberValue(cJSON_GetObjectItem(job, "count"));
  for (int i = 0; i < count && status == PUSHER_STATUS_OK; i++) {
    char data[16];
    snprintf(data, sizeof data, "%d", i);
    status = pusher_publisher_publish(publisher, text(job, "channel"), text(job, "event"), data, NULL, NULL, out);
  }
  if (status == PUSHER_STATUS_OK) status = pusher_publisher_close(publisher, 10000, out);
  if (status == PUSHER_STATUS_OK) status = pusher_publisher_poll(publisher, 0, out);
  pusher_publisher_free(publisher);
  return status;
}

static PusherStatus perform(const Pusher *client, const cJSON *job, char **out) {
  const char *call = text(job, "call"), *event = text(job, "event"), *channel = text(job, "channel");
  const char *user = text(job, "user_id"), *socket_id = text(job, "socket_id"), *body = text(job, "body");
  char *data = json(job, "data"), *channels = json(job, "channels"), *events = json(job, "events");
  PusherStatus status = PUSHER_STATUS_INTERNAL;
  *out = NULL;
  if (strcmp(call, "trigger") == 0) {
    status = pusher_trigger(client, channels, event, data, NULL, out);
  } else if (strcmp(call, "trigger_batch") == 0) {
    status = pusher_trigger_batch(client, events, NULL, out);
  } else if (strcmp(call, "publish") == 0) {
    status = publish(client, job, out);
  } else if (strcmp(call, "send_to_user") == 0) {
    status = pusher_send_to_user(client, user, event, data, NULL, out);
  } else if (strcmp(call, "terminate_user_connections") == 0) {
    status = pusher_terminate_user_connections(client, user, NULL, out);
  } else if (strcmp(call, "channels_info") == 0) {
    status = pusher_channels_info(client, text(job, "prefix"), NULL, NULL, out);
  } else if (strcmp(call, "users_info") == 0) {
    status = pusher_users_info(client, channel, NULL, out);
  } else if (strcmp(call, "authenticate") == 0) {
    status = pusher_authenticate(client, channel, socket_id, data, out);
  } else if (strcmp(call, "authenticate_channels") == 0) {
    status = pusher_authenticate_channels(client, socket_id, channels, out);
  } else if (strcmp(call, "authenticate_user") == 0) {
    status = pusher_authenticate_user(client, socket_id, data, out);
  } else if (strcmp(call, "validate_webhook") == 0) {
    status = pusher_validate_webhook(client, text(job, "key"), text(job, "signature"), (const uint8_t *)body,
                                     strlen(body), out);
  } else {
    die("no such call");
  }
  cJSON_free(data);
  cJSON_free(channels);
  cJSON_free(events);
  return status;
}

/* Reads a line of any length into `*line`, which it allocates or enlarges. Returns 0 at the end of the input. */
static int read_line(char **line, size_t *size) {
  size_t length = 0;
  for (;;) {
    if (*size - length < 2) {
      *size = *size == 0 ? 1024 : *size * 2;
      *line = realloc(*line, *size);
      if (*line == NULL) die("no memory");
    }
    if (fgets(*line + length, (int)(*size - length), stdin) == NULL) return length > 0;
    length += strlen(*line + length);
    if ((*line)[length - 1] == '\n') return 1;
  }
}

int main(void) {
  char *line = NULL, *out;
  size_t size = 0;
  Pusher *client;
  char config[1024];
  int length;
  const char *url = getenv("PUSHER_URL"), *key = getenv("MASTER_KEY");
  if (url == NULL || key == NULL) die("PUSHER_URL and MASTER_KEY are needed");
  length = snprintf(config, sizeof config, "{\"url\":\"%s\",\"encryption_master_key_base64\":\"%s\"}", url, key);
  if (length < 0 || (size_t)length >= sizeof config) die("PUSHER_URL or MASTER_KEY is too long");
  if (pusher_new(config, &client, &out) != PUSHER_STATUS_OK) die(out);
  while (read_line(&line, &size)) {
    cJSON *job = cJSON_Parse(line);
    PusherStatus status;
    if (job == NULL) die("the job is not JSON");
    status = perform(client, job, &out);
    if (status == PUSHER_STATUS_OK) {
      printf("{\"ok\":%s}\n", out == NULL ? "null" : out);
    } else {
      printf("{\"error\":\"%s\"}\n", pusher_status_name(status));
    }
    fflush(stdout);
    pusher_string_free(out);
    cJSON_Delete(job);
  }
  free(line);
  pusher_free(client);
  return 0;
}
