/* What the event loops of this folder have in common: a relay takes lines of text and publishes each as an event. Nothing in
 * it waits, except relay_close(). */
#ifndef RELAY_H
#define RELAY_H

#include <pusher.h>

#include <stddef.h>

/* The longest line, with its end. */
enum { RELAY_LINE_BYTES = 4096 };

struct relay {
  PusherPublisher *publisher;
  const char *channel, *event;
  /* For the event loop. Readable: call relay_reports(), and then relay_publish() for the inputs that are paused. */
  int descriptor;
};

/* The bytes of one connection that are not published yet. */
struct relay_input {
  char bytes[RELAY_LINE_BYTES];
  size_t length;
  int paused; /* the queue is full: read no more until relay_publish() has returned 0 */
};

/* Makes the publisher for the client that PUSHER_URL describes. Returns 0, or -1 after it has printed why not. */
int relay_open(struct relay *relay, const char *channel, const char *event);

/* Publishes the complete lines of an input. Returns 0 if it needs more bytes, 1 if the input is paused because the queue is
 * full, or -1 if its line is too long. */
int relay_publish(struct relay *relay, struct relay_input *input);

/* Prints the reports of the events that failed. */
void relay_reports(struct relay *relay);

/* Sends what is queued, for at most ten seconds, prints the last reports and the statistics, and frees everything. Returns
 * the exit status: 0 if every event was sent in time. */
int relay_close(struct relay *relay);

/* Listens on a port of 127.0.0.1, any free one if it is 0, and prints it. Returns a socket that does not block, or -1 after it
 * has printed why not. */
int relay_listen(const char *port);

#endif
