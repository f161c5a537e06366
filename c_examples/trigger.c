/* Publishes one event from the command line: the whole life of a call in one file.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   trigger my-channel my-event '{"hello":"world"}'
 */
#include <pusher.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The exit codes tell a script what it may do: only after NOT_SENT and REJECTED is it certain that sending the event
 * again can't deliver it twice. */
enum { CODE_DELIVERED = 0, CODE_USAGE = 1, CODE_NOT_SENT = 2, CODE_REJECTED = 3, CODE_UNKNOWN = 4 };

static const char usage[] =
    "usage: trigger [OPTION]... CHANNEL EVENT JSON\n"
    "\n"
    "  CHANNEL            a channel name, or a JSON array of them: '[\"one\",\"two\"]'\n"
    "  EVENT              the event's name\n"
    "  JSON               the payload, sent as it is; - reads it from standard input\n"
    "\n"
    "  --socket-id ID     the connection that is not to get the event\n"
    "  --info LIST        attributes of the channels to answer with, such as subscription_count\n"
    "  --timeout-ms N     how long the call may take in all\n"
    "  --config CONFIG    a URL or a JSON object instead of the environment\n"
    "  --help             this text\n"
    "  --                 the end of the options, for a channel that begins with -\n"
    "\n"
    "The application is read from PUSHER_URL (https://KEY:SECRET@api-eu.pusher.com/apps/ID), or from PUSHER_APP_ID,\n"
    "PUSHER_KEY, PUSHER_SECRET and PUSHER_CLUSTER. Prefer them to --config: other users of a machine can see the\n"
    "command lines of its programs, and so the secret in them.\n"
    "\n"
    "Prints the server's answer. Exit codes: 0 delivered; 1 wrong usage, arguments or configuration, and nothing was\n"
    "sent; 2 not sent; 3 rejected; 4 unknown, it may have been delivered.\n";

typedef struct {
  const char *config; /* NULL: the environment */
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

/* Fills `arguments`, and returns CODE_DELIVERED if they can be used. */
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
  /* It is going to be part of a JSON text as it stands: digits, and no more of them than any time needs. */
  if (arguments->timeout_ms != NULL) {
    size_t digits = strspn(arguments->timeout_ms, "0123456789");
    if (digits == 0 || digits > 9 || arguments->timeout_ms[digits] != '\0' || arguments->timeout_ms[0] == '0') {
      return complain("not a number of milliseconds: ", arguments->timeout_ms);
    }
  }
  return CODE_DELIVERED;
}

/* Appends `text` as a JSON string, and returns the new end: at most 6 bytes for each of its own, and the quotes. */
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

/* The options of the call, `{"socket_id":…,"info":…,"timeout_ms":…}`, for free(); NULL when memory is out.
 * Names and payloads are arguments of their own, so this is the only JSON that has to be built. */
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

/* All of standard input as a C string, for free(); NULL with a message when that can't be had. */
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
    /* A C string ends there: the library would be handed, and would send, less than what was meant. */
    fprintf(stderr, "trigger: standard input holds a NUL byte, which JSON can't have\n");
  } else {
    text[length] = '\0';
    return text;
  }
  free(text);
  return NULL;
}

/* Tells what went wrong and what became of the event, and returns the exit code for it. */
static int explain(PusherStatus status, const char *document) {
  char message[1024];
  const char *delivery;
  int code;
  /* 1 to 19: the call itself was wrong, and nothing was sent. */
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
  fprintf(stderr, "trigger: %s (%s): %s\n", pusher_status_name(status), delivery, message);
  return code;
}

static int trigger(const Arguments *arguments, const char *data, const char *options) {
  Pusher *client = NULL;
  char *answer = NULL;
  int code = CODE_DELIVERED;
  PusherStatus status = pusher_new(arguments->config, &client, &answer);
  if (status == PUSHER_STATUS_OK) {
    /* On success the server's answer, on failure the error document: either way ours to free. */
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
