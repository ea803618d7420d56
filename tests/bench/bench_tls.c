/* SPDX-License-Identifier: BSD-2-Clause */

#include "bench_tls.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* A struct bench_tls is OpenSSL's SSL. */
static SSL_CTX *context;
static SSL_SESSION *resumed; /* the last one that the server gave */

static SSL *
ssl_of(struct bench_tls *tls)
{
    return (SSL *) tls;
}

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
    (void) ssl;
    SSL_SESSION_free(resumed);
    resumed = session;
    return 1; /* kept */
}

int
bench_tls_init(const char *ca_file)
{
    context = SSL_CTX_new(TLS_client_method());
    if (!context || SSL_CTX_load_verify_locations(context, ca_file, NULL) != 1)
        return -EINVAL;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE
                                  | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT
                                                | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_session);
    return 0;
}

struct bench_tls *
bench_tls_open(int fd)
{
    SSL *ssl = SSL_new(context);

    if (!ssl)
        return NULL;
    SSL_set_fd(ssl, fd);
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), "127.0.0.1");
    if (resumed)
        SSL_set_session(ssl, resumed);
    SSL_set_connect_state(ssl);
    return (struct bench_tls *) ssl;
}

void
bench_tls_close(struct bench_tls *tls)
{
    if (tls)
        SSL_shutdown(ssl_of(tls));
    SSL_free(ssl_of(tls));
}

int
bench_tls_shake(struct bench_tls *tls)
{
    int result = SSL_do_handshake(ssl_of(tls));

    if (result == 1)
        return 0;
    switch (SSL_get_error(ssl_of(tls), result)) {
    case SSL_ERROR_WANT_READ:
        return 1;
    case SSL_ERROR_WANT_WRITE:
        return 2;
    default:
        return -EPROTO;
    }
}

/* OpenSSL's word for it in errno. */
static ssize_t
result_of(struct bench_tls *tls, int result)
{
    if (result > 0)
        return result;
    switch (SSL_get_error(ssl_of(tls), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        errno = ECONNRESET;
        return -1;
    }
}

ssize_t
bench_tls_send(struct bench_tls *tls, const void *data, size_t bytes)
{
    return result_of(tls, SSL_write(ssl_of(tls), data, (int) bytes));
}

ssize_t
bench_tls_recv(struct bench_tls *tls, void *data, size_t bytes)
{
    return result_of(tls, SSL_read(ssl_of(tls), data, (int) bytes));
}
