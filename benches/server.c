#include "server.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
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

/* Returns the path of a program in the folder of the running one. */
static void beside(const char *name, char *path, size_t size) {
  ssize_t length = readlink("/proc/self/exe", path, size - 1);
  if (length < 0) die("can't tell where this program is");
  path[length] = '\0';
  char *slash = strrchr(path, '/');
  if (slash == NULL || (size_t)(slash + 1 - path) + strlen(name) >= size) die("the path of this program is too long");
  strcpy(slash + 1, name);
}

struct server server_start(unsigned together) {
  char path[4096], number[16];
  beside("sink", path, sizeof path);
  snprintf(number, sizeof number, "%u", together);

  int input[2], output[2];
  if (pipe(input) != 0 || pipe(output) != 0) die("no pipe for the sink");
  pid_t process = fork();
  if (process < 0) die("no process for the sink");
  if (process == 0) {
    dup2(input[0], STDIN_FILENO);
    dup2(output[1], STDOUT_FILENO);
    /* The sink exits at the end of its input, so no other process may keep the pipe open. */
    close(input[0]), close(input[1]), close(output[0]), close(output[1]);
    execl(path, "sink", number, (char *)NULL);
    perror(path);
    _exit(127);
  }
  close(input[0]), close(output[1]);

  struct server server = {.process = process, .input = input[1]};
  FILE *line = fdopen(output[0], "r");
  if (line == NULL || fscanf(line, "%d", &server.port) != 1) die("the sink did not start");
  fclose(line);
  return server;
}

void server_stop(struct server *server) {
  close(server->input);
  kill(server->process, SIGTERM);
  waitpid(server->process, NULL, 0);
}
