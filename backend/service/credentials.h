/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The gateway's keys: a file of salted hashes, one line a key,
 *
 *     name tenant id salt-hex sha256-hex created
 *
 * A key is `vk_` and 43 alphanumerics (256 random bits), safe in a header and
 * in a subprotocol; its first 8 alphanumerics are a public id that the lookup
 * goes by, all of them are hashed. Since a key is random and long, one round
 * of salted SHA-256 is adequate. Owns the table; a changed file is read again
 * (looked at once a second at most), so a revoked key stops working at once.
 * Any thread. Refuses to keep a key: it is shown once, when it is made.
 */

#ifndef VOICE_CREDENTIALS_H
#define VOICE_CREDENTIALS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CREDENTIALS_KEY_BYTES    47 /* "vk_", 43 characters, NUL */
#define CREDENTIALS_TENANT_BYTES 64 /* with its NUL */
#define CREDENTIALS_NAME_BYTES   64

struct credentials;

/*
 * Opens the file; one that does not exist holds no key. 0; UV_EINVAL when a
 * line is malformed (logged with file:line); UV_E* when it can't be read.
 */
int credentials_create(struct credentials **cp, const char *path);
void credentials_destroy(struct credentials **cp);

/*
 * Whether the key is good: 0 and its tenant ("" = default) is written, or
 * UV_EACCES. Constant time in the secret part. When a changed file can't be
 * read or holds a malformed line the last good table stays and it is logged;
 * a file that is gone leaves no key.
 */
int credentials_check(struct credentials *c, const char *key,
                      char tenant[CREDENTIALS_TENANT_BYTES]);
size_t credentials_count(struct credentials *c);

/*
 * Edits of the file, atomic (a new file of mode 0600 is renamed over) and
 * serialised between processes by a lock file beside it. UV_EEXIST: the name
 * is taken; UV_ENOENT: no such name; UV_EINVAL: name or tenant is not 1 to 63
 * characters of A-Z a-z 0-9 . _ - (a tenant may be ""), or the file is
 * malformed. `key` is given by add, once.
 */
int credentials_add(const char *path, const char *name, const char *tenant,
                    char key[CREDENTIALS_KEY_BYTES]);
int credentials_revoke(const char *path, const char *name);

/* Writes "name tenant id created" lines. 0 or UV_E*. */
int credentials_print(const char *path, FILE *out);

#endif
