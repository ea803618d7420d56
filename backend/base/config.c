/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/config.h"

#include "base/config_table.h"
#include "base/config_tool_server.h"
#include "base/config_upstream.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <uv.h>

#define FILE_BYTES (1024 * 1024)
/* libConfuse lets the end of the file close a section. A key behind the text
 * that is known at the top alone shows it. */
#define SENTINEL "end_of_file"

/* Where a section that repeats said something. */
struct lines {
    int keys[CONFIG_KEY_MAX];
    int end; /* the closing brace */
};

/* What the file has said so far; libConfuse's callbacks take no argument. */
struct reading {
    struct server_config *cfg;
    const char *path; /* libConfuse tells it in no section */
    char *error;
    bool keyless;
    int lines[CONFIG_KEY_MAX]; /* where a key was given, 0: nowhere */
    struct lines upstreams[CONFIG_UPSTREAM_MAX];
    struct lines tool_servers[CONFIG_TOOL_SERVER_MAX];
};
static _Thread_local struct reading *reading;

/* Whose key a value is for, and where its line is noted. */
struct place {
    void *owner;
    int *line;
};

/* --- the file */

static void
on_confuse_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    char *error = reading->error;
    if (error[0]) /* the first one is the cause */
        return;
    int n = snprintf(error, CONFIG_ERROR_BYTES, "%s:%d: ", reading->path,
                     cfg->line);
    if (n > 0 && n < CONFIG_ERROR_BYTES)
        vsnprintf(error + n, (size_t) (CONFIG_ERROR_BYTES - n), fmt, ap);
    if (n > 0 && n < CONFIG_ERROR_BYTES && strstr(error + n, SENTINEL))
        snprintf(error + n, (size_t) (CONFIG_ERROR_BYTES - n), "%s",
                 strncmp(error + n, "no such", 7) == 0
                     ? "a section is not closed"
                     : "the last value is missing");
}

/* libConfuse calls once an item and once more at a list's end. */
static bool
list_is_told_again(const void *owner, const struct config_key *key,
                   cfg_opt_t *opt, unsigned count)
{
    if (!config_key_is_list(key))
        return false;
    const struct config_list *list =
        (const void *) ((const char *) owner + key->offset);
    return list->count == count
           && strcmp(list->items[count - 1], cfg_opt_getnstr(opt, count - 1))
                  == 0;
}

/* The upstream of that name, made when it is new; -1 told already. */
static int
upstream_find(cfg_t *cfg, const char *name)
{
    struct server_config *all = reading->cfg;
    size_t i = 0;

    while (i < all->upstream_count && strcmp(all->upstreams[i].name, name) != 0)
        i++;
    if (i < all->upstream_count)
        return (int) i;
    if (i == CONFIG_UPSTREAM_MAX) {
        cfg_error(cfg, "more than %d upstreams", CONFIG_UPSTREAM_MAX);
        return -1;
    }
    if (!all->upstreams)
        all->upstreams = calloc(CONFIG_UPSTREAM_MAX, sizeof(*all->upstreams));
    if (all->upstreams && config_upstream_init(&all->upstreams[i], name) == 0) {
        all->upstream_count++;
        return (int) i;
    }
    if (all->upstreams)
        config_upstream_deinit(&all->upstreams[i]);
    cfg_error(cfg, "\"%.80s\" is no name of an upstream", name);
    return -1;
}

/* The same of tool servers. */
static int
tool_server_find(cfg_t *cfg, const char *name)
{
    struct server_config *all = reading->cfg;
    size_t i = 0;

    while (i < all->tool_server_count
           && strcmp(all->tool_servers[i].name, name) != 0)
        i++;
    if (i < all->tool_server_count)
        return (int) i;
    if (i == CONFIG_TOOL_SERVER_MAX) {
        cfg_error(cfg, "more than %d tool servers", CONFIG_TOOL_SERVER_MAX);
        return -1;
    }
    if (!all->tool_servers)
        all->tool_servers =
            calloc(CONFIG_TOOL_SERVER_MAX, sizeof(*all->tool_servers));
    if (all->tool_servers
        && config_tool_server_init(&all->tool_servers[i], name) == 0) {
        all->tool_server_count++;
        return (int) i;
    }
    if (all->tool_servers)
        config_tool_server_deinit(&all->tool_servers[i]);
    cfg_error(cfg,
              "\"%.80s\" is no name of a tool server (1 to %d of letters, "
              "digits, _ and -)",
              name, CONFIG_TOOL_SERVER_NAME_BYTES);
    return -1;
}

static int
place_of(cfg_t *cfg, size_t key, struct place *place)
{
    *place = (struct place){reading->cfg, &reading->lines[key]};
    if (!config_key_is_repeated(config_key_at(key)))
        return 0;
    bool tools = config_key_is_tool_server(config_key_at(key));
    int i = tools ? tool_server_find(cfg, cfg_title(cfg))
                  : upstream_find(cfg, cfg_title(cfg));
    if (i < 0)
        return -1;
    *place = tools ? (struct place){&reading->cfg->tool_servers[i],
                                    &reading->tool_servers[i].keys[key]}
                   : (struct place){&reading->cfg->upstreams[i],
                                    &reading->upstreams[i].keys[key]};
    return 0;
}

/* What may hold a secret is not repeated. */
static bool
key_may_be_shown(const struct config_key *key)
{
    return key->type != KEY_HEADERS && key->type != KEY_PROXY
           && key->type != KEY_VARIABLES;
}

static int
on_confuse_value(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *section = strcmp(cfg_name(cfg), "root") ? cfg_name(cfg) : "";
    size_t i = config_key_find(section, cfg_opt_name(opt));
    unsigned count = cfg_opt_size(opt);
    char bounds[CONFIG_BOUNDS_BYTES];
    struct place place;

    if (i == config_key_count() || !count)
        return 0;
    const struct config_key *key = config_key_at(i);
    const char *text = cfg_opt_getnstr(opt, count - 1);
    if (place_of(cfg, i, &place) != 0)
        return -1;
    if (list_is_told_again(place.owner, key, opt, count))
        return 0;
    if (*place.line && count == 1) {
        cfg_error(cfg, "'%s' was given in line %d already", key->name,
                  *place.line);
        return -1;
    }
    *place.line = cfg->line;
    if (count <= CONFIG_LIST_MAX && text && !strpbrk(text, "\n\r")
        && (!config_key_is_list(key) || count <= key->max)
        && config_key_set(place.owner, key, text) == 0)
        return 0;
    config_key_bounds(key, bounds);
    cfg_error(cfg, "'%s': \"%.80s\" is not valid (%s)", key->name,
              text && key_may_be_shown(key) ? text : "***", bounds);
    return -1;
}

/* The end of an upstream, which may have been empty. */
static int
on_confuse_upstream(cfg_t *cfg, cfg_opt_t *opt)
{
    cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
    int i = section ? upstream_find(cfg, cfg_title(section)) : -1;
    if (i < 0)
        return -1;
    reading->upstreams[i].end = cfg->line;
    return 0;
}

static int
on_confuse_tool_server(cfg_t *cfg, cfg_opt_t *opt)
{
    cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
    int i = section ? tool_server_find(cfg, cfg_title(section)) : -1;
    if (i < 0)
        return -1;
    reading->tool_servers[i].end = cfg->line;
    return 0;
}

static int
refuse(const char *path, const char *section, const char *name, const char *why)
{
    size_t i = config_key_find(section, name);
    snprintf(reading->error, CONFIG_ERROR_BYTES, "%s:%d: '%s' %s",
             path ? path : "defaults",
             i < config_key_count() && reading->lines[i] ? reading->lines[i]
                                                         : 1,
             name, why);
    return UV_EINVAL;
}

/* libConfuse's options out of the table: top keys, then one section each. */
struct options {
    cfg_opt_t top[CONFIG_KEY_MAX + 2];
    cfg_opt_t sub[CONFIG_KEY_MAX * 2];
};

static cfg_opt_t
option_make(const struct config_key *key)
{
    cfg_opt_t one = CFG_STR(key->name, NULL, CFGF_NODEFAULT);
    cfg_opt_t list = CFG_STR_LIST(key->name, NULL, CFGF_NODEFAULT);
    cfg_opt_t opt = config_key_is_list(key) ? list : one;
    opt.validcb = on_confuse_value;
    return opt;
}

static cfg_opt_t
section_make(const struct config_key *key, cfg_opt_t *sub)
{
    cfg_opt_t one = CFG_SEC(key->section, sub, CFGF_NONE);
    cfg_opt_t many = CFG_SEC(key->section, sub,
                             CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
    many.validcb = config_key_is_upstream(key) ? on_confuse_upstream
                                               : on_confuse_tool_server;
    return config_key_is_repeated(key) ? many : one;
}

static void
options_make(struct options *o)
{
    const cfg_opt_t end = CFG_END();
    const cfg_opt_t sentinel = CFG_STR(SENTINEL, NULL, CFGF_NODEFAULT);
    size_t top = 0, sub = 0;

    for (size_t i = 0; i < config_key_count(); i++) {
        const struct config_key *key = config_key_at(i);
        if (!key->section[0]) {
            o->top[top++] = option_make(key);
            continue;
        }
        if (strcmp(config_key_at(i - 1)->section, key->section) != 0)
            o->top[top++] = section_make(key, &o->sub[sub]);
        o->sub[sub++] = option_make(key);
        if (i + 1 == config_key_count()
            || strcmp(config_key_at(i + 1)->section, key->section))
            o->sub[sub++] = end;
    }
    o->top[top++] = sentinel;
    o->top[top] = end;
}

/* The file's text with the sentinel behind it, or NULL and *error. */
static char *
text_read(const char *path, int *error)
{
    static const char sentinel[] = "\n" SENTINEL " = 1\n";
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(FILE_BYTES + sizeof(sentinel)) : NULL;

    *error = file ? UV_ENOMEM : uv_translate_sys_error(errno);
    if (text) {
        errno = 0;
        size_t n = fread(text, 1, FILE_BYTES + 1, file);
        *error = ferror(file)            ? uv_translate_sys_error(errno)
                 : n > FILE_BYTES        ? UV_E2BIG
                 : memchr(text, '\0', n) ? UV_EINVAL
                                         : 0;
        if (!*error)
            memcpy(text + n, sentinel, sizeof(sentinel));
    }
    if (file)
        fclose(file);
    if (*error) {
        free(text);
        text = NULL;
    }
    return text;
}

static int
text_parse(const char *text)
{
    struct options *options = calloc(1, sizeof(*options));
    if (!options)
        return UV_ENOMEM;
    options_make(options);
    cfg_t *cfg = cfg_init(options->top, CFGF_NONE);
    if (!cfg) {
        free(options);
        return UV_ENOMEM;
    }
    cfg_set_error_function(cfg, on_confuse_error);
    int result = cfg_parse_buf(cfg, text);
    cfg_free(cfg);
    free(options);
    if (result == CFG_SUCCESS)
        return 0;
    if (!reading->error[0])
        snprintf(reading->error, CONFIG_ERROR_BYTES, "%s:1: syntax error",
                 reading->path);
    return UV_EINVAL;
}

static int
file_read(const char *path)
{
    int error;
    char *text = text_read(path, &error);
    if (!text) {
        snprintf(reading->error, CONFIG_ERROR_BYTES, "%s:0: %s", path,
                 uv_strerror(error));
        return error;
    }
    int result = text_parse(text);
    free(text);
    return result;
}

static int
secret_read(struct server_config *cfg, const char *path)
{
    char line[258] = "";
    if (!cfg->listen.secret_file[0])
        return cfg->listen.tcp[0]
                   ? refuse(path, "listen", "tcp", "demands a secret_file")
                   : 0;
    FILE *file = fopen(cfg->listen.secret_file, "re");
    if (!file)
        return refuse(path, "listen", "secret_file", "can't be read");
    size_t n = fgets(line, sizeof(line), file) ? strcspn(line, "\r\n") : 0;
    line[n] = '\0';
    fclose(file);
    int result = 0;
    if (n < 16 || n > 255)
        result = refuse(path, "listen", "secret_file",
                        "must hold a line of 16 to 255 characters");
    else
        cfg->listen.secret = strdup(line);
    if (!result && !cfg->listen.secret)
        result = UV_ENOMEM;
    explicit_bzero(line, sizeof(line));
    return result;
}

static int
origins_check(const struct server_config *cfg, const char *path)
{
    for (size_t i = 0; i < cfg->auth.cors_origins.count; i++) {
        const char *origin = cfg->auth.cors_origins.items[i];
        const char *host = strstr(origin, "://");
        if (strcmp(origin, "*") != 0
            && (!host || !host[3] || strchr(host + 3, '/')))
            return refuse(path, "auth", "cors_origins",
                          "holds what is neither \"*\" nor scheme://host");
    }
    return 0;
}

/* What `section` NAME is blamed for, at the line of its row. */
static int
section_refuse(const char *path, const char *section, const char *title,
               const struct lines *lines, const struct config_finding *f)
{
    const char *row = *f->row;
    size_t key = config_key_find(section, row);
    int line = key < config_key_count() ? lines->keys[key] : 0;
    snprintf(reading->error, CONFIG_ERROR_BYTES, "%s:%d: %s %s: %s%s%s%s", path,
             line ? line : lines->end, section, title, row[0] ? "'" : "", row,
             row[0] ? "' " : "", f->why);
    return UV_EINVAL;
}

static int
upstream_check(size_t i, const char *path)
{
    struct config_upstream *up = &reading->cfg->upstreams[i];
    char why[CONFIG_WHY_BYTES] = "";
    const char *name = "";
    const struct config_finding f = {&name, why};
    int result = config_upstream_check(up, &name, why);
    if (!result && !reading->keyless)
        result = config_upstream_read_key(up, &name, why);
    return result == UV_EINVAL ? section_refuse(path, CONFIG_UPSTREAM, up->name,
                                                &reading->upstreams[i], &f)
                               : result;
}

static int
tool_servers_check(const char *path)
{
    char why[CONFIG_WHY_BYTES] = "";
    const char *name = "";
    const struct config_finding f = {&name, why};
    int result = 0;

    for (size_t i = 0; i < reading->cfg->tool_server_count && !result; i++) {
        struct config_tool_server *ts = &reading->cfg->tool_servers[i];
        result = config_tool_server_check(ts, &name, why);
        if (!result && !reading->keyless)
            result = config_tool_server_read_secrets(ts, &name, why);
        if (result == UV_EINVAL)
            section_refuse(path, CONFIG_TOOL_SERVER, ts->name,
                           &reading->tool_servers[i], &f);
    }
    return result;
}

static int
upstreams_check(const struct server_config *cfg, const char *path)
{
    bool found = !cfg->warm.upstream[0];
    int result = 0;
    for (size_t i = 0; i < cfg->upstream_count && !result; i++) {
        result = upstream_check(i, path);
        found |= strcmp(cfg->upstreams[i].name, cfg->warm.upstream) == 0;
    }
    if (!result && !found)
        result = refuse(path, "warm", "upstream", "names no upstream");
    return result;
}

static int
delegate_check(const char *path)
{
    struct config_agents *d = &reading->cfg->agents;
    char why[CONFIG_WHY_BYTES] = "";
    const char *row = "";
    int result = config_agents_check(d, reading->cfg->tools.root, &row, why);

    if (!result && !reading->keyless)
        result = config_agents_read_key(d, &row, why);
    return result == UV_EINVAL ? refuse(path, "tools", row, why) : result;
}

/* What no single key can say. */
static int
config_check(struct server_config *cfg, const char *path)
{
    if (!cfg->listen.unix_path[0] && !cfg->listen.tcp[0])
        return refuse(path, "listen", "unix", "is empty and so is tcp");
    if (cfg->log.target == LOG_TARGET_FILE && !cfg->log.path[0])
        return refuse(path, "log", "target", "file demands a path");
    if (cfg->auth.mode == AUTH_KEYS && !cfg->auth.keys_file[0])
        return refuse(path, "auth", "keys_file", "is empty and mode is keys");
    if (cfg->memory_bytes < cfg->max_message_bytes)
        return refuse(path, "", "memory", "is less than max_message");
    if (cfg->http.keepalive > cfg->http.max)
        return refuse(path, "http", "keepalive", "is more than max");
    if (cfg->tools.bash && !cfg->tools.root[0])
        return refuse(path, "tools", "bash", "demands a root");
    int result = origins_check(cfg, path);
    if (!result)
        result = upstreams_check(cfg, path);
    if (!result)
        result = tool_servers_check(path);
    if (!result)
        result = delegate_check(path);
    return result ? result : secret_read(cfg, path);
}

static int
all_read(struct server_config **cfgp, const char *path, char *error,
         bool keyless)
{
    struct server_config *cfg = calloc(1, sizeof(*cfg));
    struct reading now = {
        .cfg = cfg, .path = path, .error = error, .keyless = keyless};
    int result = cfg ? 0 : UV_ENOMEM;

    error[0] = '\0';
    reading = &now;
    for (size_t i = 0; i < config_key_count() && !result; i++) {
        if (!config_key_is_list(config_key_at(i))
            && !config_key_is_repeated(config_key_at(i)))
            result = config_key_set(cfg, config_key_at(i),
                                    config_key_at(i)->initial);
    }
    if (!result && path)
        result = file_read(path);
    if (!result)
        result = config_check(cfg, path);
    reading = NULL;
    if (result) {
        if (!error[0])
            snprintf(error, CONFIG_ERROR_BYTES, "%s", uv_strerror(result));
        config_free(&cfg);
        return result;
    }
    if (!cfg->loops)
        cfg->loops = (uint64_t) get_nprocs();
    *cfgp = cfg;
    return 0;
}

int
config_read(struct server_config **cfgp, const char *path,
            char error[CONFIG_ERROR_BYTES])
{
    return all_read(cfgp, path, error, false);
}

int
config_read_keyless(struct server_config **cfgp, const char *path,
                    char error[CONFIG_ERROR_BYTES])
{
    return all_read(cfgp, path, error, true);
}

void
config_free(struct server_config **cfgp)
{
    struct server_config *cfg = *cfgp;
    *cfgp = NULL;
    if (!cfg)
        return;
    for (size_t i = 0; i < config_key_count(); i++) {
        if (!config_key_is_repeated(config_key_at(i)))
            config_key_free(cfg, config_key_at(i));
    }
    for (size_t i = 0; i < cfg->upstream_count; i++)
        config_upstream_deinit(&cfg->upstreams[i]);
    free(cfg->upstreams);
    for (size_t i = 0; i < cfg->tool_server_count; i++)
        config_tool_server_deinit(&cfg->tool_servers[i]);
    free(cfg->tool_servers);
    config_agents_deinit(&cfg->agents);
    if (cfg->listen.secret)
        explicit_bzero(cfg->listen.secret, strlen(cfg->listen.secret));
    free(cfg->listen.secret);
    free(cfg);
}

void
config_warn(const struct server_config *cfg, config_warning_h *handler,
            void *arg)
{
    for (size_t i = 0; i < cfg->upstream_count; i++)
        config_upstream_warn(&cfg->upstreams[i], handler, arg);
}

void
config_forget_environment(const struct server_config *cfg)
{
    for (size_t i = 0; i < cfg->upstream_count; i++) {
        const char *name = cfg->upstreams[i].key_env;
        char *text = name[0] ? getenv(name) : NULL;
        if (text)
            explicit_bzero(text, strlen(text));
        if (text)
            unsetenv(name);
    }
    for (size_t i = 0; i < cfg->tool_server_count; i++)
        config_tool_server_forget(&cfg->tool_servers[i]);
    config_agents_forget(&cfg->agents);
}

struct log_config
config_log(const struct server_config *cfg)
{
    return (struct log_config){
        .level = (enum log_level) cfg->log.level,
        .format = (enum log_format) cfg->log.format,
        .target = (enum log_target) cfg->log.target,
        .path = cfg->log.path,
    };
}
