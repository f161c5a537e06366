/* Where an HTTP message ends. The messages here are small and well formed, so this is all the HTTP they need. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The size in bytes of the message (head and Content-Length) that `text` begins with, or 0 while it is not whole. `text`
 * has a NUL behind its `size` bytes. */
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
