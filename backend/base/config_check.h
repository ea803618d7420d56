/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What sections of voiced.conf that name a server elsewhere have in common:
 * its address, a proxy, headers and a key, and how a fault is told. Owns
 * nothing; pure but for reading a key. Never repeats what may be a secret.
 */

#ifndef VOICE_CONFIG_CHECK_H
#define VOICE_CONFIG_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_WHY_BYTES 160

struct config_list {
    char **items;
    size_t count;
};

/* What a check has found: the row at fault ("" none) and why, for people. */
struct config_finding {
    const char **row;
    char *why; /* CONFIG_WHY_BYTES */
};

/* Notes it; UV_EINVAL. */
int config_blame(const struct config_finding *f, const char *row,
                 const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The length of host[:port], up to the path; 0 when it is none. */
size_t config_authority_length(const char *text);

/* Printable ASCII without what no URL holds; `token` (NULL: none) may stand in
 * it nevertheless. */
bool config_url_is_clean(const char *text, const char *token);

/* Past "https://" or "http://" (or the two given), or NULL. */
const char *config_scheme_skip(const char *url, const char *safe,
                               const char *plain);

/* An https:// or http:// address in that row, not empty. */
int config_http_url_check(const char *url, const char *row,
                          const struct config_finding *f);

/* "" or http://[user:password@]host[:port]. */
int config_proxy_check(const char *proxy, const struct config_finding *f);

/* "Name: value" each, none of those that carry the protocol or a key. */
int config_headers_check(const struct config_list *headers,
                         const struct config_finding *f);

/* Of the variable if it is given, else the file's first line; *key is the
 * caller's. */
int config_key_read(const char *variable, const char *file, char **key,
                    const struct config_finding *f);

/* Wipes and frees it. */
void config_key_wipe(char **key);

#endif
