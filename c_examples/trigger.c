/* Publishes one event from the command line: everything that a call needs, in one file.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   trigger my-channel my-event '{"hello":"world"}'
 */
#include <pusher.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The exit codes tell a script whether it may retry: only after NOT_SENT and REJECTED it is certain that a retry cannot
 * deliver the event twice. */
enum { CODE_DELIVERED = 0, CODE_USAGE = 1, CODE_NOT_SENT = 2, CODE_REJECTED = 3, CODE_UNKNOWN = 4 };

static const char usage[] =
    "usage: trigger [OPTION]... CHANNEL EVENT JSON\n"
    "\n"
    "  CHANNEL            a channel name, or a JSON array of them: '[\"one\",\"two\"]'\n"
    "  EVENT              the event's name\n"
    "  JSON               the payload, sent unchanged; - reads it from standard input\n"
    "\n"
    "  --socket-id ID     the connection that does not receive the event\n"
    "  --info LIST        channel attributes for the result, such as subscription_count\n"
    "  --timeout-ms N     the time limit of the whole call\n"
    "  --config CONFIG    a URL or a JSON object instead of the environment\n"
    "  --help             print this help\n"
    "  --                 the end of the options, for a channel that begins with -\n"
    "\n"
    "The application is read from PUSHER_URL (https://KEY:SECRET@api-eu.pusher.com/apps/ID), or from PUSHER_APP_ID,\n"
    "PUSHER_KEY, PUSHER_SECRET and PUSHER_CLUSTER. Prefer them to --config: other users of a machine can see the\n"
    "command lines of its programs, and so the secret in them.\n"
    "\n"
    "Prints the server's response. Exit codes: 0 delivered; 1 wrong usage, arguments or configuration, and nothing "
    "was\n"
    "sent; 2 not sent; 3 rejected; 4 unknown, it may have been delivered.\n";

typedef struct {
  const char *config; /* NULL: from the environment */
  const char *socket_id;
  const char *info;
  const char *timeout_ms;
  const char *channel;
  const char *event;
  const char *data;
} Arguments;

static int complain(const char *what, const char *which) {
  fprintf(stderr, "trigger: %s%s\nTry trigger --help.\n", what, which);
  return CODE_USAGE;
}

/* Parses the command line. Returns CODE_DELIVERED if it is valid. */
static int parse(int argc, char **argv, Arguments *arguments) {
  int i = 1;
  for (; i < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
    const char **value = NULL;
    if (strcmp(argv[i], "--") == 0) {
      i++;
      break;
    }
    if (strcmp(argv[i], "--help") == 0) {
      fputs(usage, stdout);
      exit(CODE_DELIVERED);
    }
    if (strcmp(argv[i], "--socket-id") == 0) value = &arguments->socket_id;
    if (strcmp(argv[i], "--info") == 0) value = &arguments->info;
    if (strcmp(argv[i], "--timeout-ms") == 0) value = &arguments->timeout_ms;
    if (strcmp(argv[i], "--config") == 0) value = &arguments->config;
    if (value == NULL) return complain("there is no option ", argv[i]);
    if (i + 1 == argc) return complain("a value is missing after ", argv[i]);
    *value = argv[i + 1];
  }
  if (argc - i != 3) return complain("CHANNEL, EVENT and JSON are needed", "");
  arguments->channel = argv[i];
  arguments->event = argv[i + 1];
  arguments->data = argv[i + 2];
  /* The value goes into JSON unchanged, so it must be digits, and no more of them than a timeout needs. */
  if (arguments->timeout_ms != NULL) {
    size_t digits = strspn(arguments->timeout_ms, "0123456789");
    if (digits == 0 || digits > 9 || arguments->timeout_ms[digits] != '\0' || arguments->timeout_ms[0] == '0') {
      return complain("not a number of milliseconds: ", arguments->timeout_ms);
    }
  }
  return CODE_DELIVERED;
}

/* Appends `text` as a JSON string and returns the new end. It needs at most 6 bytes for each byte, and 2 for the
 * quotes. */
static char *append_json_string(char *end, const char *text) {
  *end++ = '"';
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char)*text;
    if (c < 0x20) {
      end += sprintf(end, "\\u%04x", (unsigned)c);
    } else {
      if (c == '"' || c == '\\') *end++ = '\\';
      *end++ = (char)c;
    }
  }
  *end++ = '"';
  *end = '\0';
  return end;
}

/* Returns the options of the call, `{"socket_id":…,"info":…,"timeout_ms":…}`, to be freed with free(); NULL if out of
 * memory. Names and payloads are separate arguments, so no other JSON has to be built. */
static char *make_options(const Arguments *arguments) {
  const char *socket_id = arguments->socket_id, *info = arguments->info, *timeout_ms = arguments->timeout_ms;
  size_t size = sizeof "{\"socket_id\":\"\",\"info\":\"\",\"timeout_ms\":123456789}";
  char *options, *end;
  const char *separator = "";
  if (socket_id != NULL) size += 6 * strlen(socket_id);
  if (info != NULL) size += 6 * strlen(info);
  options = malloc(size);
  if (options == NULL) return NULL;
  end = options + sprintf(options, "{");
  if (socket_id != NULL) {
    end += sprintf(end, "\"socket_id\":");
    end = append_json_string(end, socket_id);
    separator = ",";
  }
  if (info != NULL) {
    end += sprintf(end, "%s\"info\":", separator);
    end = append_json_string(end, info);
    separator = ",";
  }
  if (timeout_ms != NULL) end += sprintf(end, "%s\"timeout_ms\":%s", separator, timeout_ms);
  strcpy(end, "}");
  return options;
}

/* Returns all of standard input as a C string, to be freed with free(); NULL after printing a message on failure. */
static char *read_input(void) {
  size_t length = 0, size = 16 * 1024;
  char *text = malloc(size), *larger;
  while (text != NULL) {
    length += fread(text + length, 1, size - 1 - length, stdin);
    if (length < size - 1) break;
    size *= 2;
    larger = realloc(text, size);
    if (larger == NULL) free(text);
    text = larger;
  }
  if (text == NULL) {
    fprintf(stderr, "trigger: out of memory\n");
  } else if (ferror(stdin)) {
    fprintf(stderr, "trigger: standard input: %s\n", strerror(errno));
  } else if (memchr(text, '\0', length) != NULL) {
    /* A C string ends at a NUL, so the library would send only the beginning of the payload. */
    fprintf(stderr, "trigger: standard input has a NUL byte, which JSON cannot have\n");
  } else {
    text[length] = '\0';
    return text;
  }
  free(text);
  return NULL;
}

/* Prints the error and whether the event was delivered. Returns the exit code. */
static int explain(PusherStatus status, const char *document) {
  char message[1024];
  const char *delivery;
  int code;
  /* 1 to 19: the call itself was wrong, so nothing was sent. */
  if (status < 20) {
    delivery = "not sent";
    code = CODE_USAGE;
  } else {
    switch (pusher_error_delivery(document)) {
      case PUSHER_DELIVERY_NOT_SENT:
        delivery = "not sent";
        code = CODE_NOT_SENT;
        break;
      case PUSHER_DELIVERY_REJECTED:
        delivery = "rejected";
        code = CODE_REJECTED;
        break;
      default: delivery = "unknown, it may have been delivered"; code = CODE_UNKNOWN;
    }
  }
  pusher_error_message(document, message, sizeof message);
  if (status == PUSHER_STATUS_NOT_SENT) {
    fprintf(stderr, "trigger: %s: %s\n", pusher_status_name(status), message);
  } else {
    fprintf(stderr, "trigger: %s (%s): %s\n", pusher_status_name(status), delivery, message);
  }
  return code;
}

static int trigger(const Arguments *arguments, const char *data, const char *options) {
  Pusher *client = NULL;
  char *answer = NULL;
  int code = CODE_DELIVERED;
  PusherStatus status = pusher_new(arguments->config, &client, &answer);
  if (status == PUSHER_STATUS_OK) {
    /* The server's response on success, the error document on failure. The caller frees both. */
    status = pusher_trigger(client, arguments->channel, arguments->event, data, options, &answer);
  }
  if (status == PUSHER_STATUS_OK) {
    puts(answer);
  } else {
    code = explain(status, answer);
  }
  pusher_string_free(answer);
  pusher_free(client);
  return code;
}

int main(int argc, char **argv) {
  Arguments arguments = {0};
  char *input = NULL, *options;
  int code = parse(argc, argv, &arguments);
  if (code != CODE_DELIVERED) return code;
  if (strcmp(arguments.data, "-") == 0) {
    input = read_input();
    if (input == NULL) return CODE_USAGE;
    arguments.data = input;
  }
  options = make_options(&arguments);
  if (options == NULL) {
    fprintf(stderr, "trigger: out of memory\n");
    code = CODE_USAGE;
  } else {
    code = trigger(&arguments, arguments.data, options);
  }
  free(options);
  free(input);
  return code;
}
