#include "server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

noreturn void die(const char *format, ...) {
  va_list values;
  va_start(values, format);
  vfprintf(stderr, format, values);
  va_end(values);
  fputc('\n', stderr);
  exit(2);
}

void beside(const char *name, char *path, size_t size) {
  ssize_t length = readlink("/proc/self/exe", path, size - 1);
  if (length < 0) die("can't read /proc/self/exe");
  path[length] = '\0';
  char *slash = strrchr(path, '/');
  if (slash == NULL || (size_t)(slash + 1 - path) + strlen(name) >= size) die("the path of this program is too long");
  strcpy(slash + 1, name);
}

/* Starts a sink. `certificate` and `key` are NULL for the one without TLS. */
static struct server start(const char *name, unsigned together, const char *certificate, const char *key) {
  char path[4096], number[16];
  beside(name, path, sizeof path);
  snprintf(number, sizeof number, "%u", together);

  /* The sink exits at the end of its input, so no other process may keep the pipe open. */
  int input[2], output[2];
  if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) die("no pipe for the sink");
  pid_t process = fork();
  if (process < 0) die("no process for the sink");
  if (process == 0) {
    dup2(input[0], STDIN_FILENO);
    dup2(output[1], STDOUT_FILENO);
    execl(path, name, number, certificate, key, (char *)NULL);
    perror(path);
    _exit(127);
  }
  close(input[0]), close(output[1]);

  struct server server = {.process = process, .input = input[1], .output = fdopen(output[0], "r")};
  if (server.output == NULL || fscanf(server.output, "%d", &server.port) != 1) die("the sink did not start");
  return server;
}

struct server server_start(unsigned together) { return start("sink", together, NULL, NULL); }

struct server server_start_tls(unsigned together) {
  char certificate[4096], key[4096];
  beside("certificate.pem", certificate, sizeof certificate);
  beside("key.pem", key, sizeof key);
  return start("tls-sink", together, certificate, key);
}

struct connections server_connections(const struct server *server) {
  struct connections connections;
  if (write(server->input, "\n", 1) != 1 ||
      fscanf(server->output, "%u %127[^\n]", &connections.count, connections.transport) != 2) {
    die("the sink does not tell its connections");
  }
  return connections;
}

void server_stop(struct server *server) {
  close(server->input);
  kill(server->process, SIGTERM);
  waitpid(server->process, NULL, 0);
  fclose(server->output);
}
