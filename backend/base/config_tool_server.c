/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/config_tool_server.h"

#include "base/config_table.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

/* --- life */

int
config_tool_server_init(struct config_tool_server *ts, const char *name)
{
    size_t n = name ? strlen(name) : 0;
    int result = 0;

    memset(ts, 0, sizeof(*ts));
    if (!n || n > CONFIG_TOOL_SERVER_NAME_BYTES)
        return UV_EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char) name[i]) && !strchr("_-", name[i]))
            return UV_EINVAL;
    }
    ts->name = strdup(name);
    if (!ts->name)
        return UV_ENOMEM;
    for (size_t i = 0; i < config_key_count() && !result; i++) {
        const struct config_key *key = config_key_at(i);
        if (config_key_is_tool_server(key) && !config_key_is_list(key))
            result = config_key_set(ts, key, key->initial);
    }
    return result;
}

void
config_tool_server_deinit(struct config_tool_server *ts)
{
    for (size_t i = 0; i < ts->environment.count; i++)
        explicit_bzero(ts->environment.items[i],
                       strlen(ts->environment.items[i]));
    for (size_t i = 0; i < config_key_count(); i++) {
        if (config_key_is_tool_server(config_key_at(i)))
            config_key_free(ts, config_key_at(i));
    }
    config_key_wipe(&ts->key);
    free(ts->name);
    memset(ts, 0, sizeof(*ts));
}

/* --- checks */

static int
kind_check(const struct config_tool_server *ts, const struct config_finding *f)
{
    int kinds =
        (ts->mcp[0] != 0) + (ts->command.count > 0) + (ts->http[0] != 0);

    if (kinds == 0)
        return config_blame(f, "", "has none of mcp, command and http");
    if (kinds > 1)
        return config_blame(f, "", "has more than one of mcp, command, http");
    if (ts->mcp[0])
        return config_http_url_check(ts->mcp, "mcp", f);
    return ts->http[0] ? config_http_url_check(ts->http, "http", f) : 0;
}

/* What belongs to a child is no address's, and the other way round. */
static int
rows_check(const struct config_tool_server *ts, const struct config_finding *f)
{
    if (!ts->command.count) {
        const char *row = ts->directory[0]        ? "directory"
                          : ts->environment.count ? "environment"
                                                  : NULL;
        return row ? config_blame(f, row, "is for a command") : 0;
    }
    const char *row = ts->key_env[0]      ? "key_env"
                      : ts->key_file[0]   ? "key_file"
                      : ts->ca_file[0]    ? "ca_file"
                      : ts->proxy[0]      ? "proxy"
                      : ts->headers.count ? "headers"
                                          : NULL;
    return row ? config_blame(f, row, "is for an address, not for a command")
               : 0;
}

static int
command_check(const struct config_tool_server *ts,
              const struct config_finding *f)
{
    struct stat st;

    if (!ts->command.count)
        return 0;
    if (!ts->command.items[0][0])
        return config_blame(f, "command", "names no program");
    if (ts->directory[0]
        && (ts->directory[0] != '/' || stat(ts->directory, &st) != 0
            || !S_ISDIR(st.st_mode)))
        return config_blame(f, "directory", "is no absolute directory");
    return 0;
}

static size_t
variable_length(const char *text)
{
    size_t n = 0;

    while (isalnum((unsigned char) text[n]) || text[n] == '_')
        n++;
    return isdigit((unsigned char) text[0]) || (text[n] && text[n] != '=') ? 0
                                                                           : n;
}

/* A value may be a secret: nothing is repeated. */
static int
environment_check(const struct config_tool_server *ts,
                  const struct config_finding *f)
{
    for (size_t i = 0; i < ts->environment.count; i++) {
        if (!variable_length(ts->environment.items[i]))
            return config_blame(f, "environment",
                                "entry %zu is neither NAME nor NAME=value",
                                i + 1);
    }
    return 0;
}

/* Those that carry the protocol of tools. */
static int
headers_check(const struct config_tool_server *ts,
              const struct config_finding *f)
{
    for (size_t i = 0; i < ts->headers.count; i++) {
        const char *text = ts->headers.items[i];
        if (strncasecmp(text, "Mcp-", 4) == 0
            || strncasecmp(text, "Accept:", 7) == 0
            || strncasecmp(text, "Last-Event-ID:", 14) == 0)
            return config_blame(f, "headers", "may not hold %.*s",
                                (int) strcspn(text, ":"), text);
    }
    return config_headers_check(&ts->headers, f);
}

int
config_tool_server_check(const struct config_tool_server *ts, const char **row,
                         char why[CONFIG_WHY_BYTES])
{
    const struct config_finding f = {.row = row, .why = why};
    int result = kind_check(ts, &f);

    if (!result)
        result = rows_check(ts, &f);
    if (!result)
        result = command_check(ts, &f);
    if (!result)
        result = environment_check(ts, &f);
    if (!result)
        result = config_proxy_check(ts->proxy, &f);
    if (!result)
        result = headers_check(ts, &f);
    if (result)
        return result;
    if (ts->ca_file[0] && access(ts->ca_file, R_OK) != 0)
        return config_blame(&f, "ca_file", "can't be read: %s",
                            uv_strerror(uv_translate_sys_error(errno)));
    if (ts->key_env[0] && ts->key_file[0])
        return config_blame(&f, "key_file", "is given and so is key_env");
    return 0;
}

/* --- secrets */

/* "NAME" becomes "NAME=value". */
static int
variable_read(char **item, const struct config_finding *f)
{
    size_t n = variable_length(*item);
    const char *value = getenv(*item);

    if (!value)
        return config_blame(f, "environment", "names %.80s, which is not set",
                            *item);
    size_t bytes = strlen(value);
    char *both = malloc(n + bytes + 2);
    if (!both)
        return UV_ENOMEM;
    memcpy(both, *item, n);
    both[n] = '=';
    memcpy(both + n + 1, value, bytes + 1);
    free(*item);
    *item = both;
    return 0;
}

int
config_tool_server_read_secrets(struct config_tool_server *ts, const char **row,
                                char why[CONFIG_WHY_BYTES])
{
    const struct config_finding f = {.row = row, .why = why};
    int result = 0;

    if (ts->key_env[0] || ts->key_file[0])
        result = config_key_read(ts->key_env, ts->key_file, &ts->key, &f);
    for (size_t i = 0; i < ts->environment.count && !result; i++) {
        if (!strchr(ts->environment.items[i], '='))
            result = variable_read(&ts->environment.items[i], &f);
    }
    return result;
}

void
config_tool_server_forget(const struct config_tool_server *ts)
{
    char *text = ts->key_env[0] ? getenv(ts->key_env) : NULL;

    if (!text)
        return;
    explicit_bzero(text, strlen(text));
    unsetenv(ts->key_env);
}
