/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/upstream.h"

#include "base/log.h"
#include "base/metrics.h"
#include "codec/dialect.h"
#include "gate/crypto.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define KEY_TEXT_MIN 8 /* shorter texts are no keys, and found everywhere */

struct upstream {
    const struct config_upstream *config;
    struct upstream_set *set;
    char *host;
    char *quoted; /* the key as JSON may have it; NULL: as it is */
    struct metric *connections;
    /* Below: under the set's mutex. */
    unsigned connected;
    unsigned failures; /* in a row */
    uint64_t down_until_ms;
};

struct upstream_set {
    pthread_mutex_t mutex;
    size_t connected;
    size_t count;
    struct upstream items[UPSTREAM_MAX];
};

/* --- the set */

static bool
name_is_sound(const char *name)
{
    size_t bytes = strlen(name);

    return bytes > 0 && bytes < UPSTREAM_NAME_BYTES
           && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                           "abcdefghijklmnopqrstuvwxyz0123456789._-")
                  == bytes;
}

/* Some writers of JSON escape the slashes too. */
static int
quoted_make(struct upstream *u)
{
    const char *key = u->config->key;
    char *to;

    if (!key || !strpbrk(key, "/\"\\"))
        return 0;
    to = u->quoted = calloc(2, strlen(key) + 1);
    if (!to)
        return UV_ENOMEM;
    for (; *key; key++) {
        if (strchr("/\"\\", *key))
            *to++ = '\\';
        *to++ = *key;
    }
    return 0;
}

static int
upstream_init(struct upstream *u, struct upstream_set *set,
              const struct config_upstream *config)
{
    char name[160];

    if (!name_is_sound(config->name) || !upstream_url_is_sound(config->url)) {
        LOG(ALERT, "upstream",
            "upstream=%.64s error=\"its name or url can't"
            " be used\"",
            name_is_sound(config->name) ? config->name : "?");
        return UV_EINVAL;
    }
    u->config = config;
    u->set = set;
    u->host = upstream_url_host(config->url);
    snprintf(name, sizeof(name), "voiced_upstream_connections{upstream=\"%s\"}",
             config->name);
    u->connections =
        metric_register(METRIC_GAUGE, name, "WebSockets to an upstream");
    return u->host ? quoted_make(u) : UV_ENOMEM;
}

static void
upstream_deinit(struct upstream *u)
{
    if (u->quoted)
        explicit_bzero(u->quoted, strlen(u->quoted));
    free(u->quoted);
    free(u->host);
}

int
upstream_set_create(struct upstream_set **sp,
                    const struct config_upstream *list, size_t count)
{
    int result = 0;

    if (count > UPSTREAM_MAX)
        return UV_E2BIG;
    struct upstream_set *set = calloc(1, sizeof(*set));
    if (!set)
        return UV_ENOMEM;
    pthread_mutex_init(&set->mutex, NULL);
    for (size_t i = 0; i < count && !result; i++) {
        result = upstream_init(&set->items[i], set, &list[i]);
        set->count++;
    }
    if (result)
        upstream_set_destroy(&set);
    else
        *sp = set;
    return result;
}

void
upstream_set_destroy(struct upstream_set **sp)
{
    struct upstream_set *set = *sp;

    *sp = NULL;
    if (!set)
        return;
    if (set->connected)
        LOG(ALERT, "upstream", "event=destroyed connections_left=%zu",
            set->connected);
    for (size_t i = 0; i < set->count; i++)
        upstream_deinit(&set->items[i]);
    pthread_mutex_destroy(&set->mutex);
    free(set);
}

static const struct upstream *
find(const struct upstream_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->items[i].config->name, name) == 0)
            return &set->items[i];
    return NULL;
}

struct upstream *
upstream_find(struct upstream_set *set, const char *name)
{
    return (struct upstream *) (uintptr_t) find(set, name);
}

struct upstream *
upstream_at(struct upstream_set *set, size_t i)
{
    return i < set->count ? &set->items[i] : NULL;
}

bool
upstream_knows(const struct upstream_set *set, const char *const *names,
               size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!find(set, names[i]))
            return false;
    return true;
}

static bool
order_has(const struct upstream_order *order, const struct upstream *u)
{
    for (size_t i = 0; i < order->count; i++)
        if (order->items[i] == u)
            return true;
    return false;
}

/* Those that are down, or those that are not, of the first `order->count` of
 * `all`, in their order. */
static size_t
pick(const struct upstream_order *all, struct upstream **out, bool down,
     uint64_t now_ms)
{
    size_t n = 0;

    for (size_t i = 0; i < all->count; i++)
        if (upstream_is_down(all->items[i], now_ms) == down)
            out[n++] = all->items[i];
    return n;
}

int
upstream_order(struct upstream_set *set, const char *const *names, size_t count,
               uint64_t now_ms, struct upstream_order *order)
{
    struct upstream_order all = {.count = 0};

    if (!upstream_knows(set, names, count))
        return UV_ENOENT;
    for (size_t i = 0; i < (count ? count : set->count); i++) {
        struct upstream *u =
            count ? upstream_find(set, names[i]) : &set->items[i];
        if (!order_has(&all, u)) /* at most all of the set */
            all.items[all.count++] = u;
    }
    order->count = pick(&all, order->items, false, now_ms);
    order->count += pick(&all, order->items + order->count, true, now_ms);
    return 0;
}

const char *
upstream_name(const struct upstream *u)
{
    return u->config->name;
}

const char *
upstream_host(const struct upstream *u)
{
    return u->host;
}

const struct config_upstream *
upstream_config(const struct upstream *u)
{
    return u->config;
}

/* --- addresses */

char *
upstream_url(const struct upstream *u, const struct upstream_target *target)
{
    return upstream_url_open(u->config->url, target);
}

char *
upstream_calls_url(const struct upstream *u, const char *tail)
{
    const char *url = u->config->calls_url;
    char path[512];
    char *made;

    if (!url || !*url) {
        snprintf(path, sizeof(path), "/calls%s", tail);
        return upstream_url_http(u->config->url, path);
    }
    size_t head = strcspn(url, "?");
    if (asprintf(&made, "%.*s%s%s", (int) head, url, tail, url + head) < 0)
        made = NULL;
    return made;
}

char *
upstream_secrets_url(const struct upstream *u)
{
    return upstream_url_http(u->config->url, "/client_secrets");
}

/* --- what a request says */

bool
upstream_safety_id_is_sound(const char *id)
{
    size_t bytes = 0;

    for (; id[bytes]; bytes++)
        if (id[bytes] < ' ' || id[bytes] > '~')
            return false;
    return bytes > 0 && bytes <= UPSTREAM_SAFETY_ID_MAX;
}

/* Servers of the GA dialect refuse a client that asks for the beta one. */
static bool
header_is_wanted(const struct upstream *u, const char *header)
{
    return u->config->dialect == DIALECT_BETA
           || strncasecmp(header, "OpenAI-Beta:", 12) != 0;
}

static int
header_add(char **headers, size_t *count, const char *name, const char *value)
{
    if (asprintf(&headers[*count], "%s%s", name, value) < 0) {
        headers[*count] = NULL;
        return UV_ENOMEM;
    }
    (*count)++;
    return 0;
}

static int
key_add(const struct upstream *u, char **headers, size_t *count)
{
    const char *key = u->config->key;

    if (!key || !*key)
        return 0;
    return header_add(headers, count,
                      u->config->auth == UPSTREAM_API_KEY
                          ? "api-key: "
                          : "Authorization: Bearer ",
                      key);
}

static int
headers_fill(const struct upstream *u, const char *safety_id, char **headers)
{
    const struct config_list *list = &u->config->headers;
    size_t count = 0;
    int result = key_add(u, headers, &count);

    for (size_t i = 0; i < list->count && !result; i++)
        if (header_is_wanted(u, list->items[i]))
            result = header_add(headers, &count, "", list->items[i]);
    if (!result && u->config->dialect == DIALECT_BETA)
        result = header_add(headers, &count, "OpenAI-Beta: ", "realtime=v1");
    if (!result && safety_id)
        result = header_add(headers, &count,
                            "OpenAI-Safety-Identifier: ", safety_id);
    return result;
}

int
upstream_headers(const struct upstream *u, const char *safety_id,
                 char ***headers)
{
    char **list;

    if (safety_id && !upstream_safety_id_is_sound(safety_id))
        return UV_EINVAL;
    /* key, beta, safety_id, and the NULL */
    list = calloc(u->config->headers.count + 4, sizeof(*list));
    if (!list)
        return UV_ENOMEM;
    int result = headers_fill(u, safety_id, list);
    if (result)
        upstream_headers_free(&list);
    else
        *headers = list;
    return result;
}

void
upstream_headers_free(char ***headers)
{
    char **list = *headers;

    *headers = NULL;
    for (size_t i = 0; list && list[i]; i++) {
        explicit_bzero(list[i], strlen(list[i]));
        free(list[i]);
    }
    free(list);
}

/* Where the key stands, however it is written; NULL: nowhere. */
static const char *
key_find(const struct upstream *u, const char *text, size_t *bytes)
{
    const char *key = u->config->key;
    const char *at;

    if (!key || strlen(key) < KEY_TEXT_MIN)
        return NULL;
    *bytes = strlen(key);
    at = strstr(text, key);
    if (at || !u->quoted)
        return at;
    *bytes = strlen(u->quoted);
    return strstr(text, u->quoted);
}

bool
upstream_key_is_in(const struct upstream *u, const char *text)
{
    size_t bytes;

    return key_find(u, text, &bytes) != NULL;
}

void
upstream_key_hide(const struct upstream *u, char *text)
{
    const char *at;
    size_t bytes;

    while ((at = key_find(u, text, &bytes)) != NULL)
        memset(text + (at - text), '*', bytes);
}

/* --- connections */

int
upstream_enter(struct upstream *u)
{
    uint64_t max = u->config->max_connections;
    int result = UV_EBUSY;

    pthread_mutex_lock(&u->set->mutex);
    if (!max || u->connected < max) {
        u->connected++;
        u->set->connected++;
        metric_set(u->connections, u->connected);
        result = 0;
    }
    pthread_mutex_unlock(&u->set->mutex);
    return result;
}

void
upstream_leave(struct upstream *u)
{
    pthread_mutex_lock(&u->set->mutex);
    u->connected--;
    u->set->connected--;
    metric_set(u->connections, u->connected);
    pthread_mutex_unlock(&u->set->mutex);
}

size_t
upstream_connections(struct upstream_set *set)
{
    pthread_mutex_lock(&set->mutex);
    size_t connected = set->connected;
    pthread_mutex_unlock(&set->mutex);
    return connected;
}

/* --- health */

void
upstream_succeeded(struct upstream *u)
{
    pthread_mutex_lock(&u->set->mutex);
    if (u->failures)
        LOG(NOTICE, "upstream", "upstream=%s state=up failures=%u",
            u->config->name, u->failures);
    u->failures = 0;
    u->down_until_ms = 0;
    pthread_mutex_unlock(&u->set->mutex);
}

uint64_t
upstream_backoff_ms(unsigned failures)
{
    uint64_t ms = UPSTREAM_BACKOFF_MS;
    uint32_t random;

    while (failures-- > 1 && ms < UPSTREAM_BACKOFF_MAX_MS)
        ms *= 2;
    if (ms > UPSTREAM_BACKOFF_MAX_MS)
        ms = UPSTREAM_BACKOFF_MAX_MS;
    /* A quarter less at most, so that not everybody comes at once. */
    crypto_random(&random, sizeof(random));
    return ms - random % (ms / 4 + 1);
}

/* Those that fail together count as one: the connections of a moment are
 * lost together. */
bool
upstream_failed(struct upstream *u, uint64_t now_ms)
{
    pthread_mutex_lock(&u->set->mutex);
    bool was_up = now_ms >= u->down_until_ms;
    if (was_up) {
        u->failures++;
        u->down_until_ms = now_ms + upstream_backoff_ms(u->failures);
        LOG(WARN, "upstream", "upstream=%s state=down for_ms=%llu failures=%u",
            u->config->name, (unsigned long long) (u->down_until_ms - now_ms),
            u->failures);
    }
    pthread_mutex_unlock(&u->set->mutex);
    return was_up;
}

bool
upstream_is_down(struct upstream *u, uint64_t now_ms)
{
    pthread_mutex_lock(&u->set->mutex);
    bool down = now_ms < u->down_until_ms;
    pthread_mutex_unlock(&u->set->mutex);
    return down;
}
