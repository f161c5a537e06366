/* The sink (sink.c) over TLS.
 *
 *   tls-sink TOGETHER CERTIFICATE KEY
 *
 * CERTIFICATE and KEY are PEM files. All contenders get the same version of TLS and the same cipher: there is one of
 * each here. OpenSSL reads as much as there is, so that a request takes one recv and one send, as without TLS. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

#include "sink.h"

static SSL_CTX *context;
/* The transport of the last handshake. */
static char transport[128] = "no handshake";

static ssize_t receive(void *connection, char *bytes, size_t room) { return SSL_read(connection, bytes, (int)room); }

static ssize_t respond(void *connection, const char *bytes, size_t size) {
  return SSL_write(connection, bytes, (int)size);
}

static void *serve(void *socket) {
  int connection = (int)(intptr_t)socket;
  SSL *tls = SSL_new(context);
  if (tls != NULL && SSL_set_fd(tls, connection) == 1 && SSL_accept(tls) == 1) {
    pthread_mutex_lock(&lock);
    snprintf(transport, sizeof transport, "%s %s", SSL_get_version(tls), SSL_get_cipher_name(tls));
    pthread_mutex_unlock(&lock);
    serve_requests(tls, receive, respond);
  } else {
    fputs("tls-sink: a handshake failed\n", stderr);
    ERR_print_errors_fp(stderr);
  }
  SSL_free(tls);
  close(connection);
  return NULL;
}

static const char *describe(void) {
  static char now[sizeof transport];
  pthread_mutex_lock(&lock);
  memcpy(now, transport, sizeof now);
  pthread_mutex_unlock(&lock);
  return now;
}

int main(int count, char **arguments) {
  /* OpenSSL writes without MSG_NOSIGNAL. */
  signal(SIGPIPE, SIG_IGN);
  context = SSL_CTX_new(TLS_server_method());
  if (count != 4 || context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") != 1 ||
      SSL_CTX_use_certificate_chain_file(context, arguments[2]) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, arguments[3], SSL_FILETYPE_PEM) != 1) {
    fputs("usage: tls-sink TOGETHER CERTIFICATE KEY\n", stderr);
    ERR_print_errors_fp(stderr);
    return 1;
  }
  together = (unsigned)strtoul(arguments[1], NULL, 10);
  SSL_CTX_set_read_ahead(context, 1);
  return run_sink(serve, describe);
}
