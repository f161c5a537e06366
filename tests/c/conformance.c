/* Runs tests/conformance.json with the C functions.
 *
 *   FAULT_SERVER=path conformance tests/conformance.json
 *
 * A C string ends at its first NUL, so cases with a NUL in an argument are skipped, and counted. */
#include <pusher.h>

#include "listeners.h"

static struct fault_server server;
static cJSON *ready;
static int failures, left_out;

/* Replaces \u0000 in the file: cJSON would end the string there. No case uses this character. */
#define NUL_MARK "\xEF\xBF\xBF"

/* JSON arguments of the current case, freed after it. */
static char *written[64];
static size_t written_count;

static const char *keep(char *made) {
  if (written_count == sizeof written / sizeof *written) stop("too many strings", made);
  return written[written_count++] = made;
}

static const char *json(const cJSON *arguments, const char *name) {
  const cJSON *value = member(arguments, name);
  /* cJSON writes only 15 digits of an integer that is larger than an int. */
  if (cJSON_IsNumber(value) && value->valuedouble == (double)(int64_t)value->valuedouble) {
    char *digits = (char *)cJSON_malloc(32);
    snprintf(digits, 32, "%lld", (long long)value->valuedouble);
    return keep(digits);
  }
  return value == NULL ? NULL : keep(cJSON_PrintUnformatted(value));
}

static void free_written(void) {
  while (written_count > 0) cJSON_free(written[--written_count]);
}

/* Returns one name, or a JSON array of names. A name that begins like an array is put into an array. */
static const char *channels(const cJSON *arguments) {
  const cJSON *value = member(arguments, "channels");
  if (cJSON_IsString(value) && strchr(value->valuestring, '[') != NULL) {
    cJSON *list = cJSON_CreateArray();
    cJSON_AddItemToArray(list, cJSON_CreateString(value->valuestring));
    keep(cJSON_PrintUnformatted(list));
    cJSON_Delete(list);
    return written[written_count - 1];
  }
  return cJSON_IsArray(value) ? json(arguments, "channels") : cJSON_GetStringValue(value);
}

static const char *attributes(const cJSON *arguments) {
  const cJSON *list = member(arguments, "attributes"), *one;
  char *joined;
  if (list == NULL) return NULL;
  joined = cJSON_PrintUnformatted(list);
  joined[0] = '\0';
  cJSON_ArrayForEach(one, list) {
    if (joined[0] != '\0') strcat(joined, ",");
    strcat(joined, one->valuestring);
  }
  return keep(joined);
}

static int by_id(const void *a, const void *b) {
  const cJSON *const *first = (const cJSON *const *)a, *const *second = (const cJSON *const *)b;
  return number(*first, "id") - number(*second, "id");
}

/* Fetches all reports, and sorts them by id. */
static cJSON *reports_of(PusherPublisher *publisher) {
  cJSON *all = cJSON_CreateArray(), *found[100];
  int count = 0;
  char *out;
  while (pusher_publisher_poll(publisher, 0, &out) == PUSHER_STATUS_OK) {
    cJSON *document = parsed(out), *reports = cJSON_GetObjectItemCaseSensitive(document, "reports");
    pusher_string_free(out);
    while (cJSON_GetArraySize(reports) > 0 && count < 100) found[count++] = cJSON_DetachItemFromArray(reports, 0);
    cJSON_Delete(document);
  }
  pusher_string_free(out);
  qsort(found, (size_t)count, sizeof *found, by_id);
  for (int i = 0; i < count; i++) cJSON_AddItemToArray(all, found[i]);
  return all;
}

/* Queues the events, waits for their ends, and fetches the reports. Writes the number of queued events to `*out`. */
static PusherStatus publish(const Pusher *client, const cJSON *arguments, cJSON **reports, char **out) {
  const cJSON *event;
  cJSON *settings = cJSON_Duplicate(member(arguments, "publisher"), 1);
  PusherPublisher *publisher;
  PusherStatus status;
  char *config;
  uint64_t id, queued = 0;
  if (settings == NULL) settings = cJSON_CreateObject();
  cJSON_AddStringToObject(settings, "reports", "all");
  config = cJSON_PrintUnformatted(settings);
  cJSON_Delete(settings);
  status = pusher_publisher_new(client, config, &publisher, out);
  cJSON_free(config);
  cJSON_ArrayForEach(event, member(arguments, "events")) {
    if (status != PUSHER_STATUS_OK) break;
    status = pusher_publisher_publish(publisher, channels(event), text(event, "event"), json(event, "data"),
                                      json(event, "options"), &id, out);
    if (status == PUSHER_STATUS_OK && id != ++queued) stop("ids are counted from 1", "publish");
  }
  if (status == PUSHER_STATUS_OK) status = pusher_publisher_flush(publisher, 10000, out);
  if (status == PUSHER_STATUS_OK) {
    *reports = reports_of(publisher);
    *out = (char *)malloc(24);
    snprintf(*out, 24, "%d", (int)queued);
  }
  pusher_publisher_free(publisher);
  return status;
}

static PusherStatus call(const char *name, const Pusher *client, const cJSON *a, cJSON **reports, char **out) {
#define IS(function) (strcmp(name, function) == 0)
  const char *options = json(a, "options");
  if (IS("new")) return PUSHER_STATUS_OK;
  if (IS("trigger")) return pusher_trigger(client, channels(a), text(a, "event"), json(a, "data"), options, out);
  if (IS("trigger_batch")) return pusher_trigger_batch(client, json(a, "events"), options, out);
  if (IS("send_to_user")) {
    return pusher_send_to_user(client, text(a, "user_id"), text(a, "event"), json(a, "data"), options, out);
  }
  if (IS("terminate_user_connections"))
    return pusher_terminate_user_connections(client, text(a, "user_id"), options, out);
  if (IS("channels_info")) return pusher_channels_info(client, text(a, "prefix_filter"), attributes(a), options, out);
  if (IS("channel_info")) return pusher_channel_info(client, text(a, "channel"), attributes(a), options, out);
  if (IS("users_info")) return pusher_users_info(client, text(a, "channel"), options, out);
  if (IS("get")) return pusher_get(client, text(a, "path"), json(a, "params"), options, out);
  if (IS("post")) return pusher_post(client, text(a, "path"), json(a, "params"), json(a, "body"), options, out);
  if (IS("delete")) return pusher_delete(client, text(a, "path"), json(a, "params"), options, out);
  if (IS("authenticate")) {
    return pusher_authenticate(client, text(a, "channel"), text(a, "socket_id"), json(a, "channel_data"), out);
  }
  if (IS("authenticate_channels")) {
    return pusher_authenticate_channels(client, text(a, "socket_id"), json(a, "channels"), out);
  }
  if (IS("authenticate_user")) return pusher_authenticate_user(client, text(a, "socket_id"), json(a, "user_data"), out);
  if (IS("validate_webhook")) {
    const char *body = text(a, "body");
    return pusher_validate_webhook(client, text(a, "key"), text(a, "signature"), (const uint8_t *)body, strlen(body),
                                   out);
  }
  if (IS("publish")) return publish(client, a, reports, out);
#undef IS
  stop("a call that is not known", name);
  return PUSHER_STATUS_INTERNAL;
}

/* Checks that each wanted member is present; a null means that it must be absent. */
static int has_members(const cJSON *value, const cJSON *wanted) {
  const cJSON *one;
  cJSON_ArrayForEach(one, wanted) {
    const cJSON *there = member(value, one->string);
    if (cJSON_IsNull(one) ? there != NULL : there == NULL || !cJSON_Compare(there, one, 1)) return 0;
  }
  return 1;
}

static int is_encrypted(const cJSON *event, const cJSON *wanted) {
  cJSON *data = cJSON_Parse(text(event, "data"));
  int so = cJSON_Compare(member(event, "channel"), member(wanted, "channel"), 1) &&
           cJSON_Compare(member(event, "name"), member(wanted, "name"), 1) && cJSON_GetArraySize(data) == 2 &&
           text(data, "nonce") != NULL && text(data, "ciphertext") != NULL;
  cJSON_Delete(data);
  return so;
}

static int has_keys(const cJSON *value, const cJSON *keys) {
  const cJSON *key;
  cJSON_ArrayForEach(key, keys) {
    if (member(value, key->valuestring) == NULL) return 0;
  }
  return cJSON_GetArraySize(value) == cJSON_GetArraySize(keys);
}

/* Returns the events that the listener's ledger has as applied, in order. */
static cJSON *published_at(int port) {
  int control = number(ready, "control");
  cJSON *all = cJSON_CreateArray(), *ledger = ledger_of(control, port), *attempt;
  cJSON_ArrayForEach(attempt, member(ledger, "attempts")) {
    cJSON *applied = cJSON_GetObjectItemCaseSensitive(attempt, "applied");
    while (cJSON_GetArraySize(applied) > 0) cJSON_AddItemToArray(all, cJSON_DetachItemFromArray(applied, 0));
  }
  cJSON_Delete(ledger);
  close_listener(control, port);
  return all;
}

static void replace(cJSON *object, const char *name, cJSON *value) {
  cJSON_DeleteItemFromObjectCaseSensitive(object, name);
  cJSON_AddItemToObject(object, name, value);
}

static void complain(const cJSON *one, const char *what, const cJSON *came) {
  char *printed = came == NULL ? NULL : cJSON_PrintUnformatted(came);
  fprintf(stderr, "FAILED  %s (%s): %s %s\n", text(one, "name"), text(one, "call"), what,
          printed == NULL ? "" : printed);
  cJSON_free(printed);
  failures++;
}

/* Returns the configuration of a case, and the port in it. */
static char *config_of(const cJSON *one, const cJSON *credentials, int *port) {
  cJSON *config = cJSON_Duplicate(credentials, 1), *key;
  const cJSON *given;
  char *printed;
  int tls = 0;
  *port = 1;
  if (cJSON_IsObject(member(one, "server"))) {
    char *how = cJSON_PrintUnformatted(member(one, "server"));
    cJSON *listener = asked(number(ready, "control"), "POST", "/listen", how);
    *port = number(listener, "port");
    tls = cJSON_IsTrue(member(member(one, "server"), "tls"));
    cJSON_Delete(listener);
    cJSON_free(how);
  }
  cJSON_AddStringToObject(config, "host", tls ? "localhost" : "127.0.0.1");
  cJSON_AddNumberToObject(config, "port", *port);
  cJSON_AddBoolToObject(config, "ssl", tls);
  if (tls) cJSON_AddStringToObject(config, "ca_file", text(ready, "ca"));
  cJSON_ArrayForEach(given, member(one, "config")) {
    key = cJSON_Duplicate(given, 1);
    replace(config, given->string, key);
  }
  printed = cJSON_PrintUnformatted(config);
  cJSON_Delete(config);
  return printed;
}

static void run(const cJSON *one, const cJSON *credentials) {
  const cJSON *arguments = member(one, "arguments"), *error = member(one, "error"), *ok = member(one, "ok");
  const cJSON *wanted, *member_of;
  cJSON *reports = NULL, *came = NULL, *published = NULL;
  char *given = cJSON_PrintUnformatted(arguments), *more = cJSON_PrintUnformatted(member(one, "config")), *config,
       *out = NULL;
  Pusher *client;
  PusherStatus status;
  int port, i, had_nul;

  cJSON_ArrayForEach(member_of, one) {
    static const char *const known = " name server config call arguments ok ok_keys published reports error ";
    char name[40];
    snprintf(name, sizeof name, " %s ", member_of->string);
    if (strstr(known, name) == NULL) stop("a member that is not known", member_of->string);
  }
  had_nul = strstr(given, NUL_MARK) != NULL || (more != NULL && strstr(more, NUL_MARK) != NULL);
  cJSON_free(given);
  cJSON_free(more);
  if (had_nul) {
    left_out++;
    return;
  }

  config = config_of(one, credentials, &port);
  status = pusher_new(text(arguments, "config") != NULL ? text(arguments, "config") : config, &client, &out);
  if (status == PUSHER_STATUS_OK) status = call(text(one, "call"), client, arguments, &reports, &out);
  pusher_free(client);
  cJSON_free(config);
  free_written();
  came = out == NULL ? cJSON_CreateNull() : parsed(out);

  if ((status == PUSHER_STATUS_OK) == (error != NULL)) {
    complain(one, error != NULL ? "it did not fail:" : "it failed:", came);
  } else if (error != NULL) {
    const char *said = text(member(came, "error"), "status"), *delivery = text(member(came, "error"), "delivery");
    static const char *const deliveries[] = {"none", "not_sent", "rejected", "unknown", "delivered"};
    if (!has_members(member(came, "error"), error)) complain(one, "another error:", came);
    if (said == NULL || strcmp(said, pusher_status_name(status)) != 0 ||
        strcmp(deliveries[pusher_error_delivery(out)], delivery == NULL ? "none" : delivery) != 0) {
      complain(one, "status and document contradict each other:", came);
    }
  } else if (ok != NULL && !cJSON_Compare(came, ok, 1)) {
    complain(one, "another result:", came);
  } else if (member(one, "ok_keys") != NULL && !has_keys(came, member(one, "ok_keys"))) {
    complain(one, "other keys:", came);
  }
  if (strcmp(text(one, "call"), "publish") == 0 && status == PUSHER_STATUS_OK) {
    free(out);
  } else {
    pusher_string_free(out);
  }

  wanted = member(one, "reports");
  if (wanted != NULL) {
    int so = cJSON_GetArraySize(reports) == cJSON_GetArraySize(wanted);
    for (i = 0; so && i < cJSON_GetArraySize(wanted); i++) {
      so = has_members(cJSON_GetArrayItem(reports, i), cJSON_GetArrayItem(wanted, i));
    }
    if (!so) complain(one, "other reports:", reports);
  }
  if (cJSON_IsObject(member(one, "server"))) {
    published = published_at(port);
    wanted = member(one, "published");
    if (wanted != NULL) {
      int so = cJSON_GetArraySize(published) == cJSON_GetArraySize(wanted);
      for (i = 0; so && i < cJSON_GetArraySize(wanted); i++) {
        const cJSON *event = cJSON_GetArrayItem(published, i), *as = cJSON_GetArrayItem(wanted, i);
        so = member(as, "encrypted") != NULL ? is_encrypted(event, as) : cJSON_Compare(event, as, 1);
      }
      if (!so) complain(one, "published:", published);
    }
  }
  cJSON_Delete(published);
  cJSON_Delete(reports);
  cJSON_Delete(came);
}

/* Expands each {"repeat","times"} below `value` into its string. */
static void expand(cJSON *value) {
  cJSON *one = value->child, *next;
  for (; one != NULL; one = next) {
    const char *repeat = text(one, "repeat");
    next = one->next;
    if (cJSON_GetArraySize(one) == 2 && repeat != NULL && cJSON_IsNumber(member(one, "times"))) {
      size_t length = strlen(repeat), times = (size_t)number(one, "times"), i;
      char *whole = (char *)malloc(length * times + 1);
      cJSON *string;
      for (i = 0; i < times; i++) memcpy(whole + i * length, repeat, length);
      whole[length * times] = '\0';
      string = cJSON_CreateString(whole);
      free(whole);
      if (one->string != NULL)
        string->string = (char *)strcpy((char *)cJSON_malloc(strlen(one->string) + 1), one->string);
      cJSON_ReplaceItemViaPointer(value, one, string);
    } else {
      expand(one);
    }
  }
}

/* Reads the file, and replaces each \u0000 in it. */
static char *read_marked(const char *path) {
  FILE *file = fopen(path, "rb");
  char *contents, *at;
  size_t length;
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) stop("can't be read", path);
  length = (size_t)ftell(file);
  rewind(file);
  contents = (char *)malloc(length + 1);
  if (fread(contents, 1, length, file) != length) stop("can't be read", path);
  fclose(file);
  contents[length] = '\0';
  for (at = contents; *at != '\0'; at++) {
    if (*at != '\\') continue;
    if (memcmp(at + 1, "u0000", 5) == 0) memcpy(at + 2, "ffff", 4);
    at++; /* the escaped character */
  }
  return contents;
}

/* Runs the cases of a file, and returns their number. */
static int run_file(const char *file) {
  char *contents = read_marked(file);
  cJSON *all = parsed(contents);
  const cJSON *one, *credentials = member(all, "credentials");
  int cases = cJSON_GetArraySize(member(all, "cases"));
  free(contents);
  if (cases == 0) stop("without cases", file);
  expand(all);
  cJSON_ArrayForEach(one, member(all, "cases")) run(one, credentials);
  cJSON_Delete(all);
  return cases;
}

int main(int count, char **words) {
  int cases = 0, i;
  if (count < 2) stop("usage", "conformance FILE...");
  server = fault_server_start();
  ready = parsed(server.ready);
  for (i = 1; i < count; i++) cases += run_file(words[i]);
  fault_server_stop(&server);
  cJSON_Delete(ready);
  printf("%d cases in C: %d failed; %d skipped, because a C string cannot contain a NUL\n", cases, failures, left_out);
  return failures == 0 && left_out < cases / 2 ? 0 : 1;
}
