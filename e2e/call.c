/* Calls functions of the library by name, for tests in languages without an FFI.
 *
 *   call CONFIG
 *
 * Each line of standard input is a JSON array of strings and nulls: the name of a function without `pusher_`, then its
 * arguments in order: ["trigger","my-channel","my-event","{}",null]. For each, the program writes a line
 * {"code":…,"status":"OK","delivery":…,"document":…} to standard output; `delivery` is a PusherDelivery, 0 if there is
 * none. The functions of publishers use the one that `publisher_new` creates. The document of `publisher_publish` is the
 * event's id. */
#define _POSIX_C_SOURCE 200809L
#include <pusher.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ARGUMENTS = 8 }; /* enough for every function */

static void die(const char *what) {
  fprintf(stderr, "call: %s\n", what);
  exit(2);
}

static unsigned hex4(const char *at) {
  char digits[5] = {0}, *end;
  unsigned long value;
  strncpy(digits, at, 4);
  value = strtoul(digits, &end, 16);
  if (end != digits + 4) die("an invalid escape");
  return (unsigned)value;
}

/* Decodes the JSON string whose first quote is at `*at`, in place, and moves `*at` past it. Supports \u escapes
 * of ASCII only: JSON.stringify() writes all other characters as they are. */
static char *take_string(char **at) {
  char *from = *at + 1, *start = from, *to = from;
  for (; *from != '"'; from++) {
    unsigned c = (unsigned char)*from;
    if (c == '\0') die("an unterminated string");
    if (c != '\\') {
      *to++ = *from;
      continue;
    }
    from++;
    switch (*from) {
      case 'b': *to++ = '\b'; break;
      case 'f': *to++ = '\f'; break;
      case 'n': *to++ = '\n'; break;
      case 'r': *to++ = '\r'; break;
      case 't': *to++ = '\t'; break;
      case 'u':
        c = hex4(from + 1);
        from += 4;
        if (c == 0 || c > 0x7f) die("an escape of a character outside ASCII");
        *to++ = (char)c;
        break;
      case '"':
      case '\\':
      case '/': *to++ = *from; break;
      default: die("an invalid escape");
    }
  }
  *to = '\0';
  *at = from + 1;
  return start;
}

/* Splits a line into its elements, in place, and returns their number. */
static size_t split(char *line, const char *arguments[MAX_ARGUMENTS]) {
  size_t count = 0;
  char *at = line;
  if (*at != '[') die("not an array");
  do {
    at++;
    if (count == MAX_ARGUMENTS) die("too many arguments");
    if (*at == '"') {
      arguments[count++] = take_string(&at);
    } else if (strncmp(at, "null", 4) == 0) {
      arguments[count++] = NULL;
      at += 4;
    } else {
      die("neither a string nor null");
    }
  } while (*at == ',');
  if (*at != ']') die("an unterminated array");
  return count;
}

static PusherPublisher *publisher;
static char published[24]; /* the id of the event that was published last, in digits */

static PusherStatus publish(const char **a, char **out) {
  uint64_t id;
  PusherStatus status = pusher_publisher_publish(publisher, a[0], a[1], a[2], a[3], &id, out);
  if (status == PUSHER_STATUS_OK) snprintf(published, sizeof published, "%llu", (unsigned long long)id);
  return status;
}

static PusherStatus call(const Pusher *client, const char *name, const char **a, char **out) {
#define IS(text) (strcmp(name, text) == 0)
  if (IS("publisher_new")) return pusher_publisher_new(client, a[0], &publisher, out);
  if (IS("publisher_publish")) return publish(a, out);
  if (IS("publisher_poll")) return pusher_publisher_poll(publisher, 0, out);
  if (IS("publisher_flush")) return pusher_publisher_flush(publisher, UINT32_MAX, out);
  if (IS("trigger")) return pusher_trigger(client, a[0], a[1], a[2], a[3], out);
  if (IS("trigger_batch")) return pusher_trigger_batch(client, a[0], a[1], out);
  if (IS("send_to_user")) return pusher_send_to_user(client, a[0], a[1], a[2], a[3], out);
  if (IS("terminate_user_connections")) return pusher_terminate_user_connections(client, a[0], a[1], out);
  if (IS("channels_info")) return pusher_channels_info(client, a[0], a[1], a[2], out);
  if (IS("channel_info")) return pusher_channel_info(client, a[0], a[1], a[2], out);
  if (IS("users_info")) return pusher_users_info(client, a[0], a[1], out);
  if (IS("get")) return pusher_get(client, a[0], a[1], a[2], out);
  if (IS("post")) return pusher_post(client, a[0], a[1], a[2], a[3], out);
  if (IS("delete")) return pusher_delete(client, a[0], a[1], a[2], out);
  if (IS("authenticate")) return pusher_authenticate(client, a[0], a[1], a[2], out);
  if (IS("authenticate_user")) return pusher_authenticate_user(client, a[0], a[1], out);
  if (IS("validate_webhook")) {
    return pusher_validate_webhook(client, a[0], a[1], (const uint8_t *)a[2], a[2] == NULL ? 0 : strlen(a[2]), out);
  }
#undef IS
  die("no such function");
  return PUSHER_STATUS_INTERNAL;
}

int main(int argc, char **argv) {
  char *line = NULL, *document;
  const char *shown;
  size_t size = 0;
  Pusher *client;
  if (argc != 2) die("usage: call CONFIG");
  if (pusher_new(argv[1], &client, &document) != PUSHER_STATUS_OK) die(document);
  while (getline(&line, &size, stdin) > 0) {
    const char *arguments[MAX_ARGUMENTS] = {0};
    PusherStatus status;
    if (split(line, arguments) == 0 || arguments[0] == NULL) die("no function name");
    published[0] = '\0';
    status = call(client, arguments[0], arguments + 1, &document);
    shown = document == NULL && published[0] != '\0' ? published : document;
    printf("{\"code\":%d,\"status\":\"%s\",\"delivery\":%d,\"document\":", (int)status, pusher_status_name(status),
           (int)pusher_error_delivery(document));
    /* A raw control character in JSON can only be white space, so a space can replace it. */
    for (const char *c = shown; c != NULL && *c != '\0'; c++) putchar((unsigned char)*c < ' ' ? ' ' : *c);
    puts(shown == NULL ? "null}" : "}");
    fflush(stdout);
    pusher_string_free(document);
  }
  free(line);
  pusher_publisher_free(publisher);
  pusher_free(client);
  return 0;
}
