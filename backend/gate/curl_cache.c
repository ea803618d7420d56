/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/curl_cache.h"

#include "gate/tls_trust.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct curl_cache {
    struct curl_cache *next;
    char *ca_file; /* "" the system's */
    struct tls_trust *trust;
    CURLSH *share;
    uv_mutex_t locks[CURL_LOCK_DATA_LAST]; /* a kind of data each */
};

static uv_once_t once = UV_ONCE_INIT;
static uv_mutex_t caches_lock;
static struct curl_cache *caches; /* as many as files in the configuration */

static void
caches_init(void)
{
    if (uv_mutex_init(&caches_lock) != 0)
        abort();
}

static void
on_lock(CURL *easy, curl_lock_data data, curl_lock_access access, void *arg)
{
    struct curl_cache *cache = arg;
    (void) easy;
    (void) access;
    uv_mutex_lock(&cache->locks[data]);
}

static void
on_unlock(CURL *easy, curl_lock_data data, void *arg)
{
    struct curl_cache *cache = arg;
    (void) easy;
    uv_mutex_unlock(&cache->locks[data]);
}

static void
cache_free(struct curl_cache *cache)
{
    if (cache->share)
        curl_share_cleanup(cache->share);
    for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++)
        uv_mutex_destroy(&cache->locks[i]);
    tls_trust_close(&cache->trust);
    free(cache->ca_file);
    free(cache);
}

static struct curl_cache *
cache_make(const char *ca_file)
{
    struct curl_cache *cache = calloc(1, sizeof(*cache));
    if (!cache)
        return NULL;
    for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++) {
        if (uv_mutex_init(&cache->locks[i]) != 0)
            abort();
    }
    cache->ca_file = strdup(ca_file);
    cache->share = curl_share_init();
    if (!cache->ca_file || !cache->share
        || tls_trust_open(&cache->trust, *ca_file ? ca_file : NULL) != 0) {
        cache_free(cache);
        return NULL;
    }
    curl_share_setopt(cache->share, CURLSHOPT_USERDATA, cache);
    curl_share_setopt(cache->share, CURLSHOPT_LOCKFUNC, on_lock);
    curl_share_setopt(cache->share, CURLSHOPT_UNLOCKFUNC, on_unlock);
    curl_share_setopt(cache->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(cache->share, CURLSHOPT_SHARE,
                      CURL_LOCK_DATA_SSL_SESSION);
    return cache;
}

struct curl_cache *
curl_cache_get(const char *ca_file)
{
    struct curl_cache *cache;

    ca_file = ca_file ? ca_file : "";
    uv_once(&once, caches_init);
    uv_mutex_lock(&caches_lock);
    for (cache = caches; cache; cache = cache->next) {
        if (strcmp(cache->ca_file, ca_file) == 0)
            break;
    }
    if (!cache && (cache = cache_make(ca_file)) != NULL) {
        cache->next = caches;
        caches = cache;
    }
    uv_mutex_unlock(&caches_lock);
    return cache;
}

static CURLcode
on_ssl_context(CURL *easy, void *ssl_ctx, void *arg)
{
    const struct curl_cache *cache = arg;
    (void) easy;
    tls_trust_apply(cache->trust, ssl_ctx);
    return CURLE_OK;
}

void
curl_cache_apply(struct curl_cache *cache, void *easy)
{
    curl_easy_setopt(easy, CURLOPT_SHARE, cache->share);
    /* Without files curl reads none; its own store is replaced. */
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, cache);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_context);
}

void
curl_cache_close_all(void)
{
    uv_once(&once, caches_init);
    uv_mutex_lock(&caches_lock);
    while (caches) {
        struct curl_cache *cache = caches;
        caches = cache->next;
        cache_free(cache);
    }
    uv_mutex_unlock(&caches_lock);
}
