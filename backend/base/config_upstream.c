/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/config_upstream.h"

#include "base/config_table.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define NAME_BYTES  64
#define MODEL_TOKEN "{model}"

/* --- life */

int
config_upstream_init(struct config_upstream *up, const char *name)
{
    size_t n = name ? strlen(name) : 0;
    int result = 0;

    memset(up, 0, sizeof(*up));
    if (!n || n > NAME_BYTES)
        return UV_EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char) name[i]) && !strchr("_.-", name[i]))
            return UV_EINVAL;
    }
    up->name = strdup(name);
    if (!up->name)
        return UV_ENOMEM;
    for (size_t i = 0; i < config_key_count() && !result; i++) {
        const struct config_key *key = config_key_at(i);
        if (config_key_is_upstream(key) && !config_key_is_list(key))
            result = config_key_set(up, key, key->initial);
    }
    return result;
}

void
config_upstream_deinit(struct config_upstream *up)
{
    for (size_t i = 0; i < config_key_count(); i++) {
        if (config_key_is_upstream(config_key_at(i)))
            config_key_free(up, config_key_at(i));
    }
    config_key_wipe(&up->key);
    free(up->name);
    memset(up, 0, sizeof(*up));
}

/* --- addresses */

static const char *
query_find(const char *url, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = strpbrk(url, "?&"); p; p = strpbrk(p + 1, "?&")) {
        if (strncasecmp(p + 1, name, n) == 0 && p[1 + n] == '=')
            return p + 2 + n;
    }
    return NULL;
}

static int
url_check(const struct config_upstream *up, const struct config_finding *f)
{
    const char *host = config_scheme_skip(up->url, "wss://", "ws://");
    if (!up->url[0])
        return config_blame(f, "url", "is missing");
    if (!host)
        return config_blame(f, "url", "must begin with wss:// (or ws://)");
    if (!config_authority_length(host))
        return config_blame(f, "url", "holds no valid host[:port]");
    if (!config_url_is_clean(up->url, MODEL_TOKEN))
        return config_blame(f, "url", "holds a character that no URL has");
    if (query_find(up->url, "api-key"))
        return config_blame(f, "url",
                            "holds a key; that is for key_env or key_file");
    const char *model = query_find(up->url, "model");
    if (model && !strstr(up->url, MODEL_TOKEN))
        return config_blame(f, "url",
                            "holds a model; write model=" MODEL_TOKEN);
    return 0;
}

static int
calls_url_check(const struct config_upstream *up,
                const struct config_finding *f)
{
    return up->calls_url[0]
               ? config_http_url_check(up->calls_url, "calls_url", f)
               : 0;
}

/* --- the whole */

int
config_upstream_read_key(struct config_upstream *up, const char **row,
                         char why[CONFIG_WHY_BYTES])
{
    const struct config_finding f = {.row = row, .why = why};
    return config_key_read(up->key_env, up->key_file, &up->key, &f);
}

int
config_upstream_check(const struct config_upstream *up, const char **row,
                      char why[CONFIG_WHY_BYTES])
{
    const struct config_finding f = {.row = row, .why = why};
    int result = url_check(up, &f);
    if (!result)
        result = calls_url_check(up, &f);
    if (!result)
        result = config_proxy_check(up->proxy, &f);
    if (!result)
        result = config_headers_check(&up->headers, &f);
    if (result)
        return result;
    if (up->ca_file[0] && access(up->ca_file, R_OK) != 0)
        return config_blame(&f, "ca_file", "can't be read: %s",
                            uv_strerror(uv_translate_sys_error(errno)));
    if (up->ping_interval_ms >= up->read_timeout_ms)
        return config_blame(&f, "ping_interval",
                            "is not less than read_timeout");
    if (up->key_env[0] && up->key_file[0])
        return config_blame(&f, "key_file", "is given and so is key_env");
    if (!up->key_env[0] && !up->key_file[0])
        return config_blame(&f, "", "has neither key_env nor key_file");
    return 0;
}

/* --- advice */

static bool
host_is_here(const char *url)
{
    const char *host = strstr(url, "://");
    return host
           && (strncmp(host, "://127.", 7) == 0
               || strncmp(host, "://[::1]", 8) == 0
               || strncmp(host, "://localhost", 12) == 0);
}

void
config_upstream_warn(const struct config_upstream *up,
                     config_warning_h *handler, void *arg)
{
    char text[CONFIG_WHY_BYTES + NAME_BYTES];
    struct stat file;

    /* Container platforms mount secrets world-readable: no error. */
    if (up->key_file[0] && stat(up->key_file, &file) == 0
        && (file.st_mode & S_IROTH)) {
        snprintf(text, sizeof(text),
                 "upstream %s: everybody may read its key_file", up->name);
        handler(arg, text);
    }
    if (strncasecmp(up->url, "ws:", 3) == 0 && !host_is_here(up->url)) {
        snprintf(text, sizeof(text),
                 "upstream %s: ws:// sends its key in the clear", up->name);
        handler(arg, text);
    }
}
