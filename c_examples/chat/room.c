#define _POSIX_C_SOURCE 200809L
#include "room.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <pusher.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char PRESENCE[] = "presence-room", TALK[] = "private-room";

enum { SEEN_WEBHOOKS = 256, MAX_SIGNATURE = 129, WATCH_MS = 500, CLOSE_MS = 5000, MAX_TEXT = 4000 };

struct Room {
  Pusher *client;
  PusherPublisher *publisher;
  People *people;
  /* The parts of the configuration that browsers need. */
  char key[128], host[256], cluster[64];
  int port, tls;
  char connect_source[320];
  /* A ring of the signatures of the last webhooks. */
  pthread_mutex_t lock;
  char seen[SEEN_WEBHOOKS][MAX_SIGNATURE];
  size_t next_seen;
};

/* --- responses --- */

/* Takes ownership of `object`. */
static Answer answer_json(unsigned status, cJSON *object) {
  Answer answer = {status, cJSON_PrintUnformatted(object)};
  cJSON_Delete(object);
  return answer;
}

Answer answer_error(unsigned status, const char *message) {
  cJSON *object = cJSON_CreateObject();
  cJSON_AddStringToObject(object, "error", message);
  return answer_json(status, object);
}

/* Makes a response from the result of a libpusher call, and takes ownership of `document`. The details of an error go
 * to the log; the browser learns only whether its message was delivered. */
static Answer answer_status(PusherStatus status, char *document, int with_document, const char *what) {
  /* By PusherDelivery. */
  static const char *const fates[] = {"", "not_sent", "rejected", "unknown", "delivered"};
  int32_t delivery = pusher_error_delivery(document);
  Answer answer;
  if (status == PUSHER_STATUS_OK) {
    answer.status = 200;
    answer.json = strdup(with_document && document != NULL ? document : "{}");
  } else if (status == PUSHER_STATUS_INVALID_ARGUMENT || status == PUSHER_STATUS_PAYLOAD_TOO_LARGE) {
    char message[256];
    pusher_error_message(document, message, sizeof message);
    answer = answer_error(400, message);
  } else {
    cJSON *object = cJSON_CreateObject();
    fprintf(stderr, "chat: %s: %s\n", what, document);
    cJSON_AddStringToObject(object, "error", "Channels does not answer as it should");
    if (delivery > 0 && delivery < 5) cJSON_AddStringToObject(object, "delivery", fates[delivery]);
    answer = answer_json(502, object);
  }
  pusher_string_free(document);
  return answer;
}

static cJSON *person_object(const Person *person, const char *id_key) {
  cJSON *object = cJSON_CreateObject();
  cJSON_AddStringToObject(object, id_key, person->id);
  cJSON_AddStringToObject(object, "name", person->name);
  return object;
}

/* Returns the person in the form that authorizations need: `{"user_id":…,"user_info":{"name":…}}`. NULL if out of
 * memory. */
static char *person_data(const Person *person, const char *id_key) {
  cJSON *object = cJSON_CreateObject();
  char *text;
  cJSON_AddStringToObject(object, id_key, person->id);
  cJSON_AddStringToObject(cJSON_AddObjectToObject(object, "user_info"), "name", person->name);
  text = cJSON_PrintUnformatted(object);
  cJSON_Delete(object);
  return text;
}

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return (double)time.tv_sec * 1e3 + (double)(time.tv_nsec / 1000000);
}

/* --- creating and freeing --- */

/* Splits "scheme://host[:port]…". Returns 0 if it is malformed or too long. */
static int split_url(Room *room, const char *url) {
  const char *host = strstr(url, "://"), *end;
  size_t length;
  if (host == NULL) return 0;
  room->tls = strncmp(url, "https:", 6) == 0 || strncmp(url, "wss:", 4) == 0;
  host += 3;
  end = *host == '[' ? strchr(host, ']') : host; /* an IPv6 address contains colons */
  if (end == NULL) return 0;
  end += strcspn(end, ":/?");
  length = (size_t)(end - host);
  if (length == 0 || length >= sizeof room->host) return 0;
  memcpy(room->host, host, length);
  room->host[length] = '\0';
  /* The value goes into a header, so it must be a host and nothing else. */
  if (strcspn(room->host, " ;,'\"\t\r\n") != length) return 0;
  room->port = room->tls ? 443 : 80;
  if (*end == ':') room->port = (int)strtol(end + 1, NULL, 10);
  return room->port > 0 && room->port <= 65535;
}

/* Reads key and host from a signed request that is never sent, because the configuration has several forms. */
static int read_configuration(Room *room, const char *websocket) {
  static const char *const nothing[] = {NULL, NULL, NULL};
  static const char cloud[] = ".pusher.com";
  PusherRequest *request;
  char *document;
  const char *url, *key;
  int sound = 0;
  if (pusher_prepare(room->client, "channels_info", nothing, 3, &request, &document) != PUSHER_STATUS_OK) {
    fprintf(stderr, "chat: %s\n", document);
    pusher_string_free(document);
    return 0;
  }
  url = pusher_request_url(request);
  key = strstr(url, "auth_key=");
  if (key != NULL && strcspn(key + 9, "&") < sizeof room->key && split_url(room, websocket != NULL ? websocket : url)) {
    size_t length = strlen(room->host), end = sizeof cloud - 1;
    memcpy(room->key, key + 9, strcspn(key + 9, "&"));
    sound = 1;
    /* pusher-js derives the addresses of Pusher's own servers from the name of the cluster. */
    if (strncmp(room->host, "api-", 4) == 0 && length > end + 4 && length - end - 4 < sizeof room->cluster &&
        strcmp(room->host + length - end, cloud) == 0) {
      memcpy(room->cluster, room->host + 4, length - end - 4);
      snprintf(room->connect_source, sizeof room->connect_source, "wss://ws-%s.pusher.com", room->cluster);
    } else {
      snprintf(room->connect_source, sizeof room->connect_source, "%s://%s:%d", room->tls ? "wss" : "ws", room->host,
               room->port);
    }
  } else {
    fputs("chat: the address for browsers is unknown: give a valid --websocket\n", stderr);
  }
  pusher_request_free(request);
  return sound;
}

Room *room_new(const char *config, const char *websocket, People *people) {
  char *document = NULL;
  Room *room = calloc(1, sizeof *room);
  if (room == NULL) return NULL;
  room->people = people;
  if (pthread_mutex_init(&room->lock, NULL) != 0) {
    free(room);
    return NULL;
  }
  if (pusher_new(config, &room->client, &document) != PUSHER_STATUS_OK ||
      pusher_publisher_new(room->client, NULL, &room->publisher, &document) != PUSHER_STATUS_OK) {
    fprintf(stderr, "chat: %s\n", document);
    pusher_string_free(document);
    room_free(room);
    return NULL;
  }
  if (!read_configuration(room, websocket)) {
    room_free(room);
    return NULL;
  }
  return room;
}

void room_free(Room *room) {
  char *document = NULL;
  if (room == NULL) return;
  if (room->publisher != NULL && pusher_publisher_close(room->publisher, CLOSE_MS, &document) != PUSHER_STATUS_OK) {
    fprintf(stderr, "chat: %s\n", document);
  }
  pusher_string_free(document);
  if (room->publisher != NULL) room_watch(room); /* the last reports */
  pusher_publisher_free(room->publisher);
  pusher_free(room->client);
  pthread_mutex_destroy(&room->lock);
  free(room);
}

const char *room_connect_source(const Room *room) { return room->connect_source; }

void room_watch(Room *room) {
  char *document;
  PusherStatus status = pusher_publisher_poll(room->publisher, WATCH_MS, &document);
  if (status == PUSHER_STATUS_OK) fprintf(stderr, "chat: not published: %s\n", document);
  pusher_string_free(document);
}

/* --- requests of browsers --- */

Answer room_introduce(Room *room, const Person *person) {
  cJSON *object = cJSON_CreateObject(), *pusher = cJSON_AddObjectToObject(object, "pusher");
  cJSON_AddItemToObject(object, "user", person == NULL ? cJSON_CreateNull() : person_object(person, "id"));
  cJSON_AddStringToObject(object, "presence", PRESENCE);
  cJSON_AddStringToObject(object, "talk", TALK);
  cJSON_AddStringToObject(pusher, "key", room->key);
  cJSON_AddStringToObject(pusher, "cluster", room->cluster);
  if (room->cluster[0] == '\0') {
    cJSON_AddStringToObject(pusher, "host", room->host);
    cJSON_AddNumberToObject(pusher, "port", room->port);
    cJSON_AddBoolToObject(pusher, "tls", room->tls);
  }
  return answer_json(200, object);
}

Answer room_authenticate(Room *room, const Person *person, const char *socket_id) {
  char *data = person_data(person, "id"), *document;
  PusherStatus status = pusher_authenticate_user(room->client, socket_id, data, &document);
  free(data);
  return answer_status(status, document, 1, "signing in");
}

Answer room_authorize(Room *room, const Person *person, const char *socket_id, const char *channel) {
  /* The user comes from the session, never from the form. Only these two channels exist. */
  int presence = strcmp(channel, PRESENCE) == 0;
  char *data = presence ? person_data(person, "user_id") : NULL, *document;
  PusherStatus status;
  if (!presence && strcmp(channel, TALK) != 0) return answer_error(403, "this channel is not for you");
  status = pusher_authenticate(room->client, channel, socket_id, data, &document);
  free(data);
  return answer_status(status, document, 1, "authorizing");
}

Answer room_say(Room *room, const Person *person, const char *text) {
  cJSON *message;
  char *data, *document;
  PusherStatus status;
  if (*text == '\0' || strlen(text) > MAX_TEXT) return answer_error(400, "a message has 1 to 4,000 bytes");
  if (!people_may_speak(room->people, person->id)) return answer_error(429, "too many messages: wait a moment");
  message = person_object(person, "id");
  cJSON_AddStringToObject(message, "text", text);
  cJSON_AddNumberToObject(message, "at", now_ms());
  data = cJSON_PrintUnformatted(message);
  cJSON_Delete(message);
  /* This call waits for Channels, so the browser learns whether its message was delivered. */
  status = pusher_trigger(room->client, TALK, "message", data, NULL, &document);
  free(data);
  return answer_status(status, document, 0, "a message");
}

Answer room_wave(Room *room, const Person *person, const char *to) {
  Person other;
  cJSON *wave;
  char *data, *document;
  PusherStatus status;
  if (!people_of_id(room->people, to, &other)) return answer_error(404, "no person has this id");
  if (!people_may_speak(room->people, person->id)) return answer_error(429, "too many messages: wait a moment");
  wave = person_object(person, "id");
  data = cJSON_PrintUnformatted(wave);
  cJSON_Delete(wave);
  status = pusher_send_to_user(room->client, other.id, "wave", data, NULL, &document);
  free(data);
  return answer_status(status, document, 0, "a wave");
}

void room_leave(Room *room, const Person *person) {
  char *document;
  if (pusher_terminate_user_connections(room->client, person->id, NULL, &document) != PUSHER_STATUS_OK) {
    fprintf(stderr, "chat: the connections of a signed-out user may still be open: %s\n", document);
  }
  pusher_string_free(document);
}

/* --- webhooks --- */

/* Marks a webhook as taken. Returns 0 if it was taken before: Channels may send one twice, and an attacker may replay
 * one. */
static int claim(Room *room, const char *signature) {
  int seen = 0;
  pthread_mutex_lock(&room->lock);
  for (size_t i = 0; i < SEEN_WEBHOOKS && !seen; i++) seen = strcmp(room->seen[i], signature) == 0;
  if (!seen) {
    snprintf(room->seen[room->next_seen], MAX_SIGNATURE, "%s", signature);
    room->next_seen = (room->next_seen + 1) % SEEN_WEBHOOKS;
  }
  pthread_mutex_unlock(&room->lock);
  return !seen;
}

/* Clears the mark, so that a retry is taken. */
static void disclaim(Room *room, const char *signature) {
  pthread_mutex_lock(&room->lock);
  for (size_t i = 0; i < SEEN_WEBHOOKS; i++) {
    if (strcmp(room->seen[i], signature) == 0) room->seen[i][0] = '\0';
  }
  pthread_mutex_unlock(&room->lock);
}

/* Publishes one event of a webhook to the room. The publisher only queues it, because a webhook needs a quick response,
 * and must not wait for a request to the server that sent it. Returns 0 if the event could not be queued. */
static int announce(Room *room, const cJSON *event, const cJSON *time) {
  const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "name"));
  const char *channel = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "channel"));
  const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "user_id"));
  Person person;
  cJSON *member;
  char *data, *document;
  PusherStatus status;
  if (kind == NULL || channel == NULL || id == NULL || strcmp(channel, PRESENCE) != 0) return 1;
  if (strcmp(kind, "member_added") != 0 && strcmp(kind, "member_removed") != 0) return 1;
  if (!people_of_id(room->people, id, &person)) return 1; /* a person from before a restart */
  member = person_object(&person, "id");
  cJSON_AddStringToObject(member, "webhook", kind);
  cJSON_AddNumberToObject(member, "at", cJSON_IsNumber(time) ? time->valuedouble : now_ms());
  data = cJSON_PrintUnformatted(member);
  cJSON_Delete(member);
  status = pusher_publisher_publish(room->publisher, TALK, "member", data, NULL, NULL, &document);
  if (status != PUSHER_STATUS_OK) fprintf(stderr, "chat: an event of a webhook: %s\n", document);
  pusher_string_free(document);
  free(data);
  return status == PUSHER_STATUS_OK;
}

Answer room_webhook(Room *room, const char *key, const char *signature, const uint8_t *body, size_t length) {
  char *document;
  PusherStatus status = pusher_validate_webhook(room->client, key, signature, body, length, &document);
  cJSON *webhook;
  const cJSON *event, *time;
  int is_queued = 1;
  if (status != PUSHER_STATUS_OK) {
    char message[256];
    pusher_error_message(document, message, sizeof message);
    fprintf(stderr, "chat: webhook refused: %s: %s\n", pusher_status_name(status), message);
    pusher_string_free(document);
    return answer_error(status == PUSHER_STATUS_WEBHOOK_INVALID ? 401 : 500, "not accepted");
  }
  /* The webhook is authentic, so it has a signature. */
  if (claim(room, signature)) {
    webhook = cJSON_Parse(document);
    time = cJSON_GetObjectItemCaseSensitive(webhook, "time_ms");
    cJSON_ArrayForEach(event, cJSON_GetObjectItemCaseSensitive(webhook, "events")) is_queued =
        announce(room, event, time) && is_queued;
    cJSON_Delete(webhook);
    if (!is_queued) disclaim(room, signature);
  }
  pusher_string_free(document);
  /* If an event could not be queued, Channels must retry the webhook. */
  return is_queued ? answer_json(200, cJSON_CreateObject()) : answer_error(503, "try again later");
}
