/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/tls_trust.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <uv.h>

struct tls_trust {
    X509_STORE *store;
};

int
tls_trust_open(struct tls_trust **tp, const char *ca_file)
{
    struct tls_trust *t = calloc(1, sizeof(*t));
    X509_STORE *store = X509_STORE_new();
    int loaded = 0;

    if (t && store)
        loaded = ca_file ? X509_STORE_load_file(store, ca_file)
                         : X509_STORE_set_default_paths(store);
    if (loaded != 1) {
        int result = t && store ? UV_EINVAL : UV_ENOMEM;
        ERR_clear_error(); /* of this thread: the next call reads its own */
        X509_STORE_free(store);
        free(t);
        return result;
    }
    /* An authority in the file is believed even when it isn't a root. */
    X509_STORE_set_flags(store,
                         X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    t->store = store;
    *tp = t;
    return 0;
}

void
tls_trust_close(struct tls_trust **tp)
{
    if (!*tp)
        return;
    X509_STORE_free((*tp)->store);
    free(*tp);
    *tp = NULL;
}

void
tls_trust_apply(const struct tls_trust *t, void *ssl_ctx)
{
    SSL_CTX_set1_cert_store(ssl_ctx, t->store); /* counted */
}
