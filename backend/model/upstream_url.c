/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/upstream_url.h"

#include "base/buffer.h"

#include <string.h>
#include <strings.h>

#define URL_MAX 8192
#define MARK    "{model}"

/* A URL being written; the first fault stays. */
struct writer {
    struct buffer out;
    int fault;
    bool query;     /* a parameter stands already */
    bool has_model; /* the model is named somewhere */
};

static void
put(struct writer *w, const char *text, size_t bytes)
{
    if (!w->fault)
        w->fault = buffer_append(&w->out, text, bytes);
}

static void
put_encoded(struct writer *w, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (; *text && !w->fault; text++) {
        if (strchr(plain, *text))
            put(w, text, 1);
        else
            w->fault = buffer_printf(&w->out, "%%%02X", (unsigned char) *text);
    }
}

static const char *
mark_find(const char *text, size_t bytes)
{
    return memmem(text, bytes, MARK, strlen(MARK));
}

/* A part of the template, the model in the place of every mark. */
static void
put_template(struct writer *w, const char *text, size_t bytes,
             const char *model)
{
    const char *mark;

    while ((mark = mark_find(text, bytes)) != NULL) {
        put(w, text, (size_t) (mark - text));
        put_encoded(w, model ? model : "");
        bytes -= (size_t) (mark - text) + strlen(MARK);
        text = mark + strlen(MARK);
        w->has_model = true;
    }
    put(w, text, bytes);
}

static void
put_separator(struct writer *w)
{
    put(w, w->query ? "&" : "?", 1);
    w->query = true;
}

static void
put_parameter(struct writer *w, const char *name, const char *value)
{
    put_separator(w);
    put(w, name, strlen(name));
    put(w, "=", 1);
    put_encoded(w, value);
}

static bool
names_model(const char *parameter, size_t bytes)
{
    return mark_find(parameter, bytes)
           || (bytes >= 6 && memcmp(parameter, "model=", 6) == 0);
}

/* The query of the template; model NULL: without what names one. */
static void
put_query(struct writer *w, const char *query, const char *model)
{
    while (*query) {
        size_t bytes = strcspn(query, "&");
        bool named = names_model(query, bytes);

        if (bytes && (model || !named)) {
            put_separator(w);
            put_template(w, query, bytes, model);
            w->has_model = w->has_model || named;
        }
        query += bytes + (query[bytes] == '&');
    }
}

static char *
finish(struct writer *w)
{
    char *url = NULL;

    if (!w->fault && buffer_text(&w->out))
        url = (char *) buffer_take(&w->out);
    buffer_deinit(&w->out);
    return url;
}

char *
upstream_url_open(const char *url, const struct upstream_target *target)
{
    struct writer w = {0};
    size_t path = strcspn(url, "?");
    bool other = target->call_id || target->intent;
    const char *model = target->model ? target->model : "";

    buffer_init(&w.out, URL_MAX);
    put_template(&w, url, path, model);
    if (url[path] == '?')
        put_query(&w, url + path + 1, other ? NULL : model);
    if (target->call_id)
        put_parameter(&w, "call_id", target->call_id);
    else if (target->intent)
        put_parameter(&w, "intent", target->intent);
    else if (!w.has_model)
        put_parameter(&w, "model", model);
    return finish(&w);
}

static const char *
host_of(const char *url)
{
    if (strncasecmp(url, "wss://", 6) == 0)
        return url + 6;
    return strncasecmp(url, "ws://", 5) == 0 ? url + 5 : NULL;
}

char *
upstream_url_http(const char *url, const char *tail)
{
    struct writer w = {0};
    size_t path = strcspn(url, "?");
    const char *host = host_of(url);

    if (!host)
        return NULL;
    while (path && url[path - 1] == '/')
        path--;
    buffer_init(&w.out, URL_MAX);
    put(&w, "https", host == url + 6 ? 5 : 4);
    put(&w, "://", 3);
    put_template(&w, host, path - (size_t) (host - url), NULL);
    put(&w, tail, strlen(tail));
    if (url[strcspn(url, "?")] == '?')
        put_query(&w, url + strcspn(url, "?") + 1, NULL);
    return finish(&w);
}

bool
upstream_url_is_sound(const char *url)
{
    const char *host = host_of(url);
    size_t bytes = host ? strcspn(host, "/?#") : 0;

    if (!bytes || memchr(host, '@', bytes) || strlen(url) >= URL_MAX / 2)
        return false;
    for (const char *c = url; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '#' || *c == '"')
            return false;
    return true;
}

char *
upstream_url_host(const char *url)
{
    const char *host = host_of(url);

    return host ? strndup(host, strcspn(host, "/?#")) : NULL;
}
