/* Finds the end of an HTTP message. The messages here are small and well formed, so no more HTTP is needed. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Returns the size in bytes of the message at the beginning of `text` (head and Content-Length), or 0 while it is
 * incomplete. A NUL follows the `size` bytes of `text`. */
static inline size_t whole_message(const char *text, size_t size) {
  static const char field[] = "\r\ncontent-length:";
  const char *end = memmem(text, size, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  size_t length = 0;
  for (const char *at = text; at < end; at = memchr(at + 1, '\r', (size_t)(end + 1 - at))) {
    if (strncasecmp(at, field, sizeof field - 1) == 0) {
      length = strtoul(at + sizeof field - 1, NULL, 10);
      break;
    }
  }
  size_t whole = (size_t)(end - text) + 4 + length;
  return whole <= size ? whole : 0;
}

#endif
