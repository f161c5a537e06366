/* Runs the vectors of other libraries (tests/vectors/peers.json) with the C functions: signatures of channels and of users, digests,
 * webhooks and the validity of names. tests/abi/vectors.rs checks all kinds, and says why the library differs from some.
 *
 *   vectors tests/vectors/peers.json
 *
 * This one is in C, so that it runs on every platform. */
#include <pusher.h>

#include "json.h"
#include "portable.h"

static int failures, checked, left_out;

/* Vectors that contradict the protocol; tests/abi/vectors.rs says how. */
static const char *const different[] = {"go-md5", "rustn-md5", "python-json-encoder",
                                        "python-s2u-ok-#server-to-user-ID-123", NULL};

static void check(int holds, const cJSON *vector, const char *what) {
  if (holds) return;
  fprintf(stderr, "%s: %s\n", text(vector, "id"), what);
  failures++;
}

/* Returns a client for these credentials. No server listens on its port. */
static Pusher *client_of(const char *key, const char *secret, const char *master_key) {
  cJSON *config = cJSON_CreateObject();
  Pusher *client = NULL;
  char *document, *error = NULL;
  cJSON_AddStringToObject(config, "app_id", "1");
  cJSON_AddStringToObject(config, "key", key);
  cJSON_AddStringToObject(config, "secret", secret);
  cJSON_AddStringToObject(config, "host", "127.0.0.1");
  cJSON_AddNumberToObject(config, "port", 1);
  cJSON_AddBoolToObject(config, "ssl", 0);
  cJSON_AddNumberToObject(config, "webhook_max_age_ms", 0);
  if (master_key != NULL) cJSON_AddStringToObject(config, "encryption_master_key_base64", master_key);
  document = cJSON_PrintUnformatted(config);
  cJSON_Delete(config);
  if (pusher_new(document, &client, &error) != PUSHER_STATUS_OK) {
    fprintf(stderr, "%s: %s\n", document, error);
    exit(2);
  }
  cJSON_free(document);
  return client;
}

/* Whether the call makes a request; another error than INVALID_ARGUMENT fails. */
static int is_valid(const cJSON *vector, const Pusher *client, const char *call, const char *const *arguments,
                    size_t count) {
  PusherRequest *request = NULL;
  char *out = NULL;
  PusherStatus status = pusher_prepare(client, call, arguments, count, &request, &out);
  check(status == PUSHER_STATUS_OK || status == PUSHER_STATUS_INVALID_ARGUMENT, vector, out);
  pusher_string_free(out);
  pusher_request_free(request);
  return status == PUSHER_STATUS_OK;
}

/* Checks the members of a signed document. */
static void check_signed(const cJSON *vector, PusherStatus status, char *out, const char *data_name) {
  static const char *const names[] = {"auth", "shared_secret"};
  const cJSON *expected = member(vector, "expected"), *inputs = member(vector, "inputs");
  cJSON *made = status == PUSHER_STATUS_OK ? cJSON_Parse(out) : NULL;
  check(made != NULL, vector, out);
  if (made != NULL) {
    const char *data = text(inputs, data_name), *found = text(made, data_name);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
      const char *wanted = text(expected, names[i]), *is = text(made, names[i]);
      check(wanted == NULL ? is == NULL : is != NULL && strcmp(is, wanted) == 0, vector, names[i]);
    }
    check(data == NULL ? found == NULL : found != NULL && strcmp(found, data) == 0, vector, data_name);
  }
  cJSON_Delete(made);
  pusher_string_free(out);
}

/* The digest of the body of a POST. */
static void check_md5(const cJSON *vector, const Pusher *client, const char *body, const char *digest) {
  const char *arguments[] = {"/x", NULL, body};
  char *out = NULL, wanted[64];
  PusherRequest *request = NULL;
  PusherStatus status = pusher_prepare(client, "post", arguments, 3, &request, &out);
  check(status == PUSHER_STATUS_OK, vector, out);
  snprintf(wanted, sizeof wanted, "body_md5=%s", digest);
  if (request != NULL) check(strstr(pusher_request_url(request), wanted) != NULL, vector, pusher_request_url(request));
  pusher_request_free(request);
  pusher_string_free(out);
}

/* A webhook with an HMAC: accepted, refused because of its signature, or because of its body. */
static PusherStatus webhook(const Pusher *client, const char *key, const char *signature, const char *body,
                            char **out) {
  return pusher_validate_webhook(client, key, signature, (const uint8_t *)body, strlen(body), out);
}

/* Runs a vector. Returns 0 if its kind is not for this program. */
static int run(const cJSON *vector) {
  const cJSON *inputs = member(vector, "inputs"), *expected = member(vector, "expected");
  const char *kind = text(vector, "kind");
  int valid = cJSON_IsTrue(member(expected, "valid"));
  Pusher *client = NULL;
  PusherStatus status;
  char *out = NULL;
  if (strcmp(kind, "channel_auth") == 0) {
    client = client_of(text(inputs, "key"), text(inputs, "secret"), text(inputs, "master_key_base64"));
    status = pusher_authenticate(client, text(inputs, "channel"), text(inputs, "socket_id"),
                                 text(inputs, "channel_data"), &out);
    check_signed(vector, status, out, "channel_data");
  } else if (strcmp(kind, "user_auth") == 0) {
    client = client_of(text(inputs, "key"), text(inputs, "secret"), NULL);
    status = pusher_authenticate_user(client, text(inputs, "socket_id"), text(inputs, "user_data"), &out);
    check_signed(vector, status, out, "user_data");
  } else if (strcmp(kind, "webhook") == 0) {
    client = client_of(text(inputs, "app_key"), text(inputs, "app_secret"), NULL);
    status =
        webhook(client, text(inputs, "x_pusher_key"), text(inputs, "x_pusher_signature"), text(inputs, "body"), &out);
    check(status == (valid ? PUSHER_STATUS_OK : PUSHER_STATUS_WEBHOOK_INVALID), vector, out);
    pusher_string_free(out);
  } else if (strcmp(kind, "hmac_sha256_hex") == 0) {
    /* With the right signature, a message that is no webhook is refused because of its body. */
    client = client_of("k", text(inputs, "secret"), NULL);
    status = webhook(client, "k", text(expected, "hex"), text(inputs, "message"), &out);
    check(status == PUSHER_STATUS_WEBHOOK_INVALID && strstr(out, "\"argument\":\"body\"") != NULL, vector, out);
    pusher_string_free(out);
    status = webhook(client, "k", text(expected, "hex"), "x", &out);
    check(status == PUSHER_STATUS_WEBHOOK_INVALID && strstr(out, "\"argument\":\"signature\"") != NULL, vector, out);
    pusher_string_free(out);
  } else if (strcmp(kind, "md5_hex") == 0) {
    client = client_of("k", "s", NULL);
    check_md5(vector, client, text(inputs, "data"), text(expected, "hex"));
  } else if (strcmp(kind, "request_body_md5") == 0) {
    client = client_of("k", "s", NULL);
    check_md5(vector, client, text(inputs, "body"), text(expected, "body_md5"));
  } else if (strcmp(kind, "validate_channel") == 0) {
    const char *arguments[] = {text(inputs, "channel"), "e", "1"};
    client = client_of("k", "s", NULL);
    check(is_valid(vector, client, "trigger", arguments, 3) == valid, vector, "validity");
  } else if (strcmp(kind, "validate_user_id") == 0) {
    const char *user[] = {text(inputs, "user_id")}, *event[] = {text(inputs, "user_id"), "e", "1"};
    client = client_of("k", "s", NULL);
    check(is_valid(vector, client, "terminate_user_connections", user, 1) == valid, vector, "validity");
    check(is_valid(vector, client, "send_to_user", event, 3) == valid, vector, "validity");
  } else if (strcmp(kind, "validate_socket_id") == 0) {
    client = client_of("k", "s", NULL);
    status = pusher_authenticate(client, "private-c", text(inputs, "socket_id"), NULL, &out);
    check((status == PUSHER_STATUS_OK) == valid, vector, out);
    pusher_string_free(out);
  } else {
    return 0;
  }
  pusher_free(client);
  return 1;
}

int main(int count, char **words) {
  FILE *file = count == 2 ? fopen(words[1], "rb") : NULL;
  char *contents;
  long length;
  cJSON *all;
  const cJSON *vector;
  if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (length = ftell(file)) < 0) {
    fputs("usage: vectors tests/vectors/peers.json\n", stderr);
    return 2;
  }
  rewind(file);
  contents = (char *)calloc((size_t)length + 1, 1);
  if (fread(contents, 1, (size_t)length, file) != (size_t)length) return 2;
  fclose(file);
  all = cJSON_Parse(contents);
  free(contents);
  cJSON_ArrayForEach(vector, all) {
    size_t i = 0;
    while (different[i] != NULL && strcmp(different[i], text(vector, "id")) != 0) i++;
    if (different[i] == NULL && run(vector)) {
      checked++;
    } else {
      left_out++;
    }
  }
  cJSON_Delete(all);
  printf("%d vectors in C: %d failed; %d are of other kinds\n", checked, failures, left_out);
  return failures == 0 && checked >= 90 ? 0 : 1;
}
