/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the connections of a process have in common: resolved names, TLS
 * sessions to be resumed, the authorities that are believed. One cache for
 * each file of authorities, so that a session that one of them vouched for is
 * resumed under no other; owned by the process, from its first use until
 * curl_cache_close_all. Any thread.
 */

#ifndef VOICE_CURL_CACHE_H
#define VOICE_CURL_CACHE_H

struct curl_cache;

/* ca_file: PEM; NULL: the system's. NULL: no memory, or the file can't be
 * read; the connection then fails by libcurl's own word. */
struct curl_cache *curl_cache_get(const char *ca_file);

/* easy: a CURL handle, not yet connected. */
void curl_cache_apply(struct curl_cache *cache, void *easy);

/* When no handle is left that it was applied to. */
void curl_cache_close_all(void);

#endif
