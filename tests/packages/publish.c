/* Publishes one event to a server that it is itself: what an installed libpusher is for, without anything else installed. The
   calls stand in its straight line, so that none of them can be left out by the linker. */
#define _POSIX_C_SOURCE 200809L

#include <pusher.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition) check((condition), #condition, __LINE__)

static void check(int holds, const char *condition, int line) {
  if (!holds) {
    fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, line, condition);
    exit(1);
  }
}

/* Responds to one request as Pusher does, if it is a signed trigger of "my-event". */
static int serve(int listener) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
  char request[8192] = "";
  size_t length = 0;
  int connection;

  alarm(30); /* ends this process even if it hangs */
  connection = accept(listener, NULL, NULL);
  CHECK(connection >= 0);
  /* The body ends with the payload. */
  while (strstr(request, "hello") == NULL) {
    ssize_t got = read(connection, request + length, sizeof request - 1 - length);
    CHECK(got > 0);
    length += (size_t)got;
    request[length] = '\0';
  }
  CHECK(strncmp(request, "POST /apps/1/events?", 20) == 0);
  CHECK(strstr(request, "auth_signature=") != NULL);
  CHECK(strstr(request, "my-event") != NULL);
  CHECK(write(connection, answer, sizeof answer - 1) == (ssize_t)(sizeof answer - 1));
  CHECK(read(connection, request, 1) == 0); /* the client closes when it is freed */
  return 0;
}

int main(void) {
  struct sockaddr_in address = {0};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  char config[100];
  Pusher *client = NULL;
  char *answer = NULL;
  PusherStatus status;
  int exit_status = 1;
  pid_t server;

  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
  CHECK(listen(listener, 1) == 0);
  CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
  server = fork();
  CHECK(server >= 0);
  if (server == 0) {
    return serve(listener);
  }
  close(listener);

  snprintf(config, sizeof config, "http://key:secret@127.0.0.1:%d/apps/1", ntohs(address.sin_port));
  CHECK(pusher_version_number() == PUSHER_VERSION_NUMBER);
  CHECK(pusher_new(config, &client, &answer) == PUSHER_STATUS_OK);
  status = pusher_trigger(client, "my-channel", "my-event", "\"hello\"", NULL, &answer);
  printf("libpusher %s: %s %s\n", pusher_version(), pusher_status_name(status), answer);
  CHECK(status == PUSHER_STATUS_OK);
  CHECK(strcmp(answer, "{}") == 0);
  pusher_string_free(answer);
  pusher_free(client);

  CHECK(waitpid(server, &exit_status, 0) == server);
  CHECK(exit_status == 0);
  return 0;
}
