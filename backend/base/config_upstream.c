/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/config_upstream.h"

#include "base/config_table.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define NAME_BYTES   64
#define KEY_BYTES    2048 /* of a provider's key; tokens of clouds are long */
#define HEADER_BYTES 4096
#define MODEL_TOKEN  "{model}"

/* What a check has found. */
struct finding {
    const char **row;
    char *why;
};

__attribute__((format(printf, 3, 4))) static int
blame(struct finding *f, const char *row, const char *fmt, ...)
{
    va_list ap;
    *f->row = row;
    va_start(ap, fmt);
    vsnprintf(f->why, CONFIG_WHY_BYTES, fmt, ap);
    va_end(ap);
    return UV_EINVAL;
}

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
    if (up->key)
        explicit_bzero(up->key, strlen(up->key));
    free(up->key);
    free(up->name);
    memset(up, 0, sizeof(*up));
}

/* --- addresses */

/* host[:port] up to the path; the length of it, 0 when it is none. */
static size_t
authority_length(const char *text)
{
    size_t n = strcspn(text, "/?#");
    size_t host =
        text[0] == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":/?#");
    unsigned long port = 0;

    if (host == 0 || host > n || memchr(text, '@', n))
        return 0;
    if (text[0] == '[' && (host < 4 || memchr(text, '%', host)))
        return 0;
    if (host == n)
        return n;
    if (text[host] != ':' || n - host < 2 || n - host > 6)
        return 0;
    for (size_t i = host + 1; i < n; i++) {
        if (!isdigit((unsigned char) text[i]))
            return 0;
        port = port * 10 + (unsigned long) (text[i] - '0');
    }
    return port >= 1 && port <= 65535 ? n : 0;
}

/* Printable ASCII without what no URL holds; braces around model alone. */
static bool
url_is_clean(const char *text, bool model)
{
    for (; *text; text++) {
        if (model && strncmp(text, MODEL_TOKEN, strlen(MODEL_TOKEN)) == 0) {
            text += strlen(MODEL_TOKEN) - 1;
            continue;
        }
        if (*text <= ' ' || *text > '~' || strchr("\"<>\\^`{|}#", *text))
            return false;
    }
    return true;
}

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

/* Past "scheme://" of either, or NULL. */
static const char *
scheme_skip(const char *url, const char *safe, const char *plain)
{
    if (strncasecmp(url, safe, strlen(safe)) == 0)
        return url + strlen(safe);
    if (strncasecmp(url, plain, strlen(plain)) == 0)
        return url + strlen(plain);
    return NULL;
}

static int
url_check(const struct config_upstream *up, struct finding *f)
{
    const char *host = scheme_skip(up->url, "wss://", "ws://");
    if (!up->url[0])
        return blame(f, "url", "is missing");
    if (!host)
        return blame(f, "url", "must begin with wss:// (or ws://)");
    if (!authority_length(host))
        return blame(f, "url", "holds no valid host[:port]");
    if (!url_is_clean(up->url, true))
        return blame(f, "url", "holds a character that no URL has");
    if (query_find(up->url, "api-key"))
        return blame(f, "url", "holds a key; that is for key_env or key_file");
    const char *model = query_find(up->url, "model");
    if (model && !strstr(up->url, MODEL_TOKEN))
        return blame(f, "url", "holds a model; write model=" MODEL_TOKEN);
    return 0;
}

static int
calls_url_check(const struct config_upstream *up, struct finding *f)
{
    const char *host = scheme_skip(up->calls_url, "https://", "http://");
    if (!up->calls_url[0])
        return 0;
    if (!host)
        return blame(f, "calls_url", "must begin with https:// (or http://)");
    if (!authority_length(host) || !url_is_clean(up->calls_url, false))
        return blame(f, "calls_url", "is no valid URL");
    return 0;
}

/* The text may hold a password: it is not repeated. */
static int
proxy_check(const struct config_upstream *up, struct finding *f)
{
    static const char scheme[] = "http://";
    if (!up->proxy[0])
        return 0;
    if (strncasecmp(up->proxy, scheme, strlen(scheme)) != 0)
        return blame(f, "proxy", "must begin with http://");
    const char *at = strrchr(up->proxy, '@');
    const char *host = at ? at + 1 : up->proxy + strlen(scheme);
    size_t n = authority_length(host);
    if (!n || (host[n] && strcmp(host + n, "/") != 0)
        || !url_is_clean(up->proxy, false))
        return blame(f, "proxy", "is not http://[user:password@]host[:port]");
    return 0;
}

/* --- headers */

static bool
is_token(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char) text[i])
            && !strchr("!#$%&'*+-.^_`|~", text[i]))
            return false;
    }
    return n > 0;
}

/* Those that say who we are or carry the protocol. */
static bool
header_is_ours(const char *text, size_t n)
{
    static const char *const ours[] = {
        "Authorization",     "api-key", "Host",       "Connection",
        "Content-Length",    "Upgrade", "Keep-Alive", "Content-Type",
        "Transfer-Encoding", "TE",      "Trailer",    "Proxy-Authorization"};
    static const char socket[] = "Sec-WebSocket-";

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (strlen(ours[i]) == n && strncasecmp(text, ours[i], n) == 0)
            return true;
    }
    return n >= strlen(socket)
           && strncasecmp(text, socket, strlen(socket)) == 0;
}

/* A value may be a secret: only a name is repeated. */
static int
headers_check(const struct config_upstream *up, struct finding *f)
{
    for (size_t i = 0; i < up->headers.count; i++) {
        const char *text = up->headers.items[i];
        size_t name = strcspn(text, ":");
        if (!text[name] || !is_token(text, name) || strlen(text) > HEADER_BYTES)
            return blame(f, "headers", "entry %zu is not \"Name: value\"",
                         i + 1);
        for (const char *p = text + name; *p; p++) {
            if ((unsigned char) *p < ' ' || *p == 0x7f)
                return blame(f, "headers",
                             "entry %zu holds a control character", i + 1);
        }
        if (header_is_ours(text, name))
            return blame(f, "headers", "may not hold %.*s", (int) name, text);
    }
    return 0;
}

/* --- the key */

static int
key_take(struct config_upstream *up, const char *text, const char *row,
         struct finding *f)
{
    size_t n = strcspn(text, "\r\n");
    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return blame(f, row,
                         "names a key with a space or a byte that is "
                         "not ASCII");
    }
    if (!n || n > KEY_BYTES)
        return blame(f, row, "names no key of 1 to %d characters", KEY_BYTES);
    up->key = strndup(text, n);
    return up->key ? 0 : UV_ENOMEM;
}

static int
key_of_environment(struct config_upstream *up, struct finding *f)
{
    const char *name = up->key_env;
    for (const char *p = name; *p; p++) {
        if (!isalnum((unsigned char) *p) && *p != '_')
            return blame(f, "key_env", "is no name of a variable");
    }
    const char *text = getenv(name);
    if (!text)
        return blame(f, "key_env", "names %.80s, which is not set", name);
    return key_take(up, text, "key_env", f);
}

static int
key_of_file(struct config_upstream *up, struct finding *f)
{
    char line[KEY_BYTES + 3] = "";
    FILE *file = fopen(up->key_file, "re");
    if (!file)
        return blame(f, "key_file", "can't be read: %s",
                     uv_strerror(uv_translate_sys_error(errno)));
    const char *text = fgets(line, sizeof(line), file);
    fclose(file);
    int result = key_take(up, text ? text : "", "key_file", f);
    explicit_bzero(line, sizeof(line));
    return result;
}

int
config_upstream_read_key(struct config_upstream *up, const char **row,
                         char why[CONFIG_WHY_BYTES])
{
    struct finding f = {.row = row, .why = why};
    if (up->key_env[0])
        return key_of_environment(up, &f);
    return key_of_file(up, &f);
}

int
config_upstream_check(const struct config_upstream *up, const char **row,
                      char why[CONFIG_WHY_BYTES])
{
    struct finding f = {.row = row, .why = why};
    int result = url_check(up, &f);
    if (!result)
        result = calls_url_check(up, &f);
    if (!result)
        result = proxy_check(up, &f);
    if (!result)
        result = headers_check(up, &f);
    if (result)
        return result;
    if (up->ca_file[0] && access(up->ca_file, R_OK) != 0)
        return blame(&f, "ca_file", "can't be read: %s",
                     uv_strerror(uv_translate_sys_error(errno)));
    if (up->ping_interval_ms >= up->read_timeout_ms)
        return blame(&f, "ping_interval", "is not less than read_timeout");
    if (up->key_env[0] && up->key_file[0])
        return blame(&f, "key_file", "is given and so is key_env");
    if (!up->key_env[0] && !up->key_file[0])
        return blame(&f, "", "has neither key_env nor key_file");
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
