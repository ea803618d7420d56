/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/config_check.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define KEY_BYTES    2048 /* of a provider's key; tokens of clouds are long */
#define HEADER_BYTES 4096

int
config_blame(const struct config_finding *f, const char *row, const char *fmt,
             ...)
{
    va_list ap;
    *f->row = row;
    va_start(ap, fmt);
    vsnprintf(f->why, CONFIG_WHY_BYTES, fmt, ap);
    va_end(ap);
    return UV_EINVAL;
}

/* --- addresses */

size_t
config_authority_length(const char *text)
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

bool
config_url_is_clean(const char *text, const char *token)
{
    for (; *text; text++) {
        if (token && strncmp(text, token, strlen(token)) == 0) {
            text += strlen(token) - 1;
            continue;
        }
        if (*text <= ' ' || *text > '~' || strchr("\"<>\\^`{|}#", *text))
            return false;
    }
    return true;
}

const char *
config_scheme_skip(const char *url, const char *safe, const char *plain)
{
    if (strncasecmp(url, safe, strlen(safe)) == 0)
        return url + strlen(safe);
    if (strncasecmp(url, plain, strlen(plain)) == 0)
        return url + strlen(plain);
    return NULL;
}

int
config_http_url_check(const char *url, const char *row,
                      const struct config_finding *f)
{
    const char *host = config_scheme_skip(url, "https://", "http://");
    if (!host)
        return config_blame(f, row, "must begin with https:// (or http://)");
    if (!config_authority_length(host) || !config_url_is_clean(url, NULL))
        return config_blame(f, row, "is no valid URL");
    return 0;
}

/* The text may hold a password: it is not repeated. */
int
config_proxy_check(const char *proxy, const struct config_finding *f)
{
    static const char scheme[] = "http://";
    if (!proxy[0])
        return 0;
    if (strncasecmp(proxy, scheme, strlen(scheme)) != 0)
        return config_blame(f, "proxy", "must begin with http://");
    const char *at = strrchr(proxy, '@');
    const char *host = at ? at + 1 : proxy + strlen(scheme);
    size_t n = config_authority_length(host);
    if (!n || (host[n] && strcmp(host + n, "/") != 0)
        || !config_url_is_clean(proxy, NULL))
        return config_blame(f, "proxy",
                            "is not http://[user:password@]host[:port]");
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
int
config_headers_check(const struct config_list *headers,
                     const struct config_finding *f)
{
    for (size_t i = 0; i < headers->count; i++) {
        const char *text = headers->items[i];
        size_t name = strcspn(text, ":");
        if (!text[name] || !is_token(text, name) || strlen(text) > HEADER_BYTES)
            return config_blame(f, "headers",
                                "entry %zu is not \"Name: value\"", i + 1);
        for (const char *p = text + name; *p; p++) {
            if ((unsigned char) *p < ' ' || *p == 0x7f)
                return config_blame(
                    f, "headers", "entry %zu holds a control character", i + 1);
        }
        if (header_is_ours(text, name))
            return config_blame(f, "headers", "may not hold %.*s", (int) name,
                                text);
    }
    return 0;
}

/* --- the key */

static int
key_take(char **key, const char *text, const char *row,
         const struct config_finding *f)
{
    size_t n = strcspn(text, "\r\n");
    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return config_blame(f, row,
                                "names a key with a space or a byte that is "
                                "not ASCII");
    }
    if (!n || n > KEY_BYTES)
        return config_blame(f, row, "names no key of 1 to %d characters",
                            KEY_BYTES);
    *key = strndup(text, n);
    return *key ? 0 : UV_ENOMEM;
}

static int
key_of_environment(const char *name, char **key, const struct config_finding *f)
{
    for (const char *p = name; *p; p++) {
        if (!isalnum((unsigned char) *p) && *p != '_')
            return config_blame(f, "key_env", "is no name of a variable");
    }
    const char *text = getenv(name);
    if (!text)
        return config_blame(f, "key_env", "names %.80s, which is not set",
                            name);
    return key_take(key, text, "key_env", f);
}

static int
key_of_file(const char *path, char **key, const struct config_finding *f)
{
    char line[KEY_BYTES + 3] = "";
    FILE *file = fopen(path, "re");
    if (!file)
        return config_blame(f, "key_file", "can't be read: %s",
                            uv_strerror(uv_translate_sys_error(errno)));
    const char *text = fgets(line, sizeof(line), file);
    fclose(file);
    int result = key_take(key, text ? text : "", "key_file", f);
    explicit_bzero(line, sizeof(line));
    return result;
}

int
config_key_read(const char *variable, const char *file, char **key,
                const struct config_finding *f)
{
    return variable[0] ? key_of_environment(variable, key, f)
                       : key_of_file(file, key, f);
}

void
config_key_wipe(char **key)
{
    if (*key)
        explicit_bzero(*key, strlen(*key));
    free(*key);
    *key = NULL;
}
