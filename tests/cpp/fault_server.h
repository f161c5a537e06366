/* Starts and controls the fault server (tools/fault-server) from C or C++. Every wait has a limit. */
#ifndef FAULT_SERVER_H
#define FAULT_SERVER_H

#include "../c/portable.h"

#define FAULT_SERVER_PATIENCE_S 20

struct fault_server {
  long pid;         /* 0: another program has started it, and ends it */
  int input;        /* closing it ends the server */
  char ready[1024]; /* its first line: {"ca","control","key","secret"} */
};

static inline void fault_server_fail(const char *why) {
  perror(why);
  exit(2);
}

/* Starts the program that the environment's FAULT_SERVER names, or uses the one whose first line is FAULT_SERVER_READY: a program
 * for Windows cannot start one of this system. */
static inline struct fault_server fault_server_start(void) {
  struct fault_server server;
  const char *ready = getenv("FAULT_SERVER_READY");
#ifndef _WIN32
  const char *program = getenv("FAULT_SERVER");
  int to_it[2], from_it[2];
#endif
  memset(&server, 0, sizeof server);
  if (ready != NULL) {
    snprintf(server.ready, sizeof server.ready, "%s", ready);
    return server;
  }
#ifdef _WIN32
  fprintf(stderr, "FAULT_SERVER_READY is not set: the first line of a fault server\n");
  exit(2);
#else
  if (program == NULL) {
    fprintf(stderr, "FAULT_SERVER is not set: the path of the fault server\n");
    exit(2);
  }
  if (pipe(to_it) != 0 || pipe(from_it) != 0) fault_server_fail("pipe");
  server.pid = fork();
  if (server.pid < 0) fault_server_fail("fork");
  if (server.pid == 0) {
    alarm(600); /* even if the test hangs */
    dup2(to_it[0], 0);
    dup2(from_it[1], 1);
    close(to_it[0]), close(to_it[1]), close(from_it[0]), close(from_it[1]);
    execl(program, program, (char *)NULL);
    perror(program);
    _exit(2);
  }
  close(to_it[0]), close(from_it[1]);
  server.input = to_it[1];
  for (size_t length = 0; length + 1 < sizeof server.ready; length++) {
    if (read(from_it[0], server.ready + length, 1) != 1) fault_server_fail("the fault server does not become ready");
    if (server.ready[length] == '\n') {
      server.ready[length] = '\0';
      break;
    }
  }
  close(from_it[0]);
  return server;
#endif
}

static inline void fault_server_stop(struct fault_server *server) {
#ifdef _WIN32
  (void)server;
#else
  if (server->pid == 0) return;
  close(server->input);
  waitpid((pid_t)server->pid, NULL, 0);
#endif
}

/* Sends a request to 127.0.0.1. Returns the response's body, which the caller frees, or ends the test. */
static inline char *fault_server_ask(int port, const char *method, const char *path, const char *body) {
  struct sockaddr_in address;
  size_t length = 0, room = 1 << 16, head = strlen(body) + strlen(path) + 200;
  char *answer = (char *)malloc(room), *request = (char *)malloc(head);
  char *start = NULL;
  const char *said;
  int at = (int)socket(AF_INET, SOCK_STREAM, 0);
  ssize_t got;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_port = htons((unsigned short)port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  snprintf(request, head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n%s", method, path,
           strlen(body), body);
  if (receive_within(at, FAULT_SERVER_PATIENCE_S) != 0) fault_server_fail("setsockopt");
  if (connect(at, (struct sockaddr *)&address, sizeof address) != 0) fault_server_fail("connect to the fault server");
  if (send(at, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request)) fault_server_fail("send");
  /* The connection stays open: Content-Length gives the end. */
  while ((got = recv(at, answer + length, room - length - 1, 0)) > 0) {
    length += (size_t)got;
    answer[length] = '\0';
    start = strstr(answer, "\r\n\r\n");
    if (start != NULL && (said = strcasestr(answer, "\r\nContent-Length:")) != NULL && said < start &&
        strlen(start + 4) >= strtoul(said + 17, NULL, 10)) {
      break;
    }
    if (room - length < 1 << 12) answer = (char *)realloc(answer, room *= 2);
  }
  close_socket(at);
  free(request);
  if (got <= 0) fault_server_fail("the fault server does not answer");
  if (strncmp(answer, "HTTP/1.1 200", 12) != 0) {
    fprintf(stderr, "%s %s %s: the fault server answers %s\n", method, path, body, answer);
    exit(2);
  }
  memmove(answer, start + 4, strlen(start + 4) + 1);
  return answer;
}

#endif
