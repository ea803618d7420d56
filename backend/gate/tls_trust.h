/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whom TLS believes: the certificates of authorities, read once and then
 * shared by the connections of all threads (reading the system's takes 20 ms,
 * a handshake 1). Owns the certificates; immutable. Does not judge by itself:
 * that is the TLS library's, with names and dates.
 */

#ifndef VOICE_TLS_TRUST_H
#define VOICE_TLS_TRUST_H

struct tls_trust;

/*
 * ca_file: PEM; NULL: the system's. 0; UV_EINVAL (no certificate in it, or no
 * such file), UV_ENOMEM.
 */
int tls_trust_open(struct tls_trust **tp, const char *ca_file);
void tls_trust_close(struct tls_trust **tp);

/* ssl_ctx: an SSL_CTX that is to believe them and nobody else. Any thread. */
void tls_trust_apply(const struct tls_trust *t, void *ssl_ctx);

#endif
