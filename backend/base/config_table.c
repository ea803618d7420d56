/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/config_table.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define MINUTE_MS (60 * 1000ull)
#define MIB       (1024 * 1024ull)

#define ROW(owner, section, name, type, field, initial, min, max, words,       \
            reload, sentence)                                                  \
    {section, name,    KEY_##type, offsetof(struct owner, field),              \
     initial, min,     max,        words,                                      \
     reload,  sentence},
#define KEY(...)      ROW(server_config, __VA_ARGS__)
#define UPSTREAM(...) ROW(config_upstream, CONFIG_UPSTREAM, __VA_ARGS__)

/* The one table. */
/* clang-format off */
static const struct config_key keys[] = {
KEY("", "pid_file", TEXT, pid_file, "", 0, 4096, NULL, false,
    "File that the supervisor writes its process id to; empty for none.")
KEY("", "control", TEXT, control, "/run/voiced/control.sock", 0, 107, NULL,
    true, "Unix socket, mode 0600, that voicectl speaks to; empty for none.")
KEY("", "loops", NUMBER, loops, "0", 0, 256, NULL, true,
    "Threads that carry sessions; 0 means one a processor.")
KEY("", "loop_rest", NUMBER, loop_rest_us, "200", 0, 1000, NULL, true,
    "Microseconds that a busy loop rests, so that messages gather; 0: never.")
KEY("", "complexity_cut", NUMBER, complexity_cut, "5", 0, 5, NULL, true,
    "Most steps by which busy loops lower the complexity of Opus; 0: never.")
KEY("", "request_threads", NUMBER, request_threads, "4", 1, 512, NULL, true,
    "Threads that answer HTTP requests and decide about sessions.")
KEY("", "max_sessions", NUMBER, max_sessions, "2000", 1, 1000000, NULL, true,
    "Live sessions of this process; one more is answered 503.")
KEY("", "max_parked", NUMBER, max_parked, "1024", 1, 1000000, NULL, true,
    "Requests that wait for an event; one more is answered 503.")
KEY("", "max_message", SIZE, max_message_bytes, "24m", 64 * 1024, 256 * MIB,
    NULL, true, "Largest message of a client; a larger one closes with 1009.")
KEY("", "max_body", SIZE, max_body_bytes, "24m", 1024, 1024 * MIB, NULL, true,
    "Largest request body; a larger one is answered 413.")
KEY("", "memory", SIZE, memory_bytes, "256m", MIB, 1024 * 1024 * MIB, NULL,
    true, "Messages being put together, all sessions; beyond it closes 1013.")
KEY("", "read_timeout", DURATION, read_timeout_ms, "10s", 100, 10 * MINUTE_MS,
    NULL, true, "How long a half-sent request may hold a thread.")
KEY("", "resume_grace", DURATION, resume_grace_ms, "30s", 0, 10 * MINUTE_MS,
    NULL, true, "How long a dropped client may come back; 0s: never.")
KEY("listen", "unix", TEXT, listen.unix_path, "/run/voiced/voiced.sock", 0,
    107, NULL, true, "Unix socket that NGINX connects to; empty for none.")
KEY("listen", "mode", MODE, listen.mode, "0660", 0, 0777, NULL, true,
    "Mode of the unix socket: who may connect may speak for any client.")
KEY("listen", "tcp", ADDRESS, listen.tcp, "", 0, 300, NULL, true,
    "Address host:port to listen on as well; demands secret_file.")
KEY("listen", "secret_file", TEXT, listen.secret_file, "", 0, 4096, NULL, true,
    "File whose first line NGINX must send as parameter VOICE_SECRET.")
KEY("listen", "backlog", NUMBER, listen.backlog, "4096", 16, 65535, NULL, true,
    "Connections the kernel holds until they are accepted.")
KEY("log", "level", CHOICE, log.level, "info", 0, 0,
    "debug|info|notice|warn|error|alert", true, "Least level that is logged.")
KEY("log", "format", CHOICE, log.format, "text", 0, 0, "text|json", true,
    "Lines of key=value, or of JSON.")
KEY("log", "target", CHOICE, log.target, "stderr", 0, 0, "stderr|syslog|file",
    true, "Where lines go.")
KEY("log", "path", TEXT, log.path, "", 0, 4096, NULL, true,
    "The log file of target file.")
KEY("auth", "mode", CHOICE, auth.mode, "keys", 0, 0, "keys|nginx|none", true,
    "keys: a gateway key in every request; nginx: NGINX decided and says "
    "VOICE_TENANT; none: everybody.")
KEY("auth", "keys_file", TEXT, auth.keys_file, "/etc/ngx-voice/keys", 0, 4096,
    NULL, true, "Hashed gateway keys, edited with voicectl keys.")
KEY("auth", "cors_origins", TEXTS, auth.cors_origins, "", 0, 64, NULL, true,
    "Origins whose pages may call the HTTP routes, or \"*\".")
UPSTREAM("url", TEXT, url, "", 0, 2048, NULL, true,
    "wss://host[:port]/path of the Realtime server (ws:// on a private "
    "network); {model} in it is the model, else model= is added.")
UPSTREAM("calls_url", TEXT, calls_url, "", 0, 2048, NULL, true,
    "https:// address of its WebRTC calls; empty: url's path and /calls.")
UPSTREAM("key_env", TEXT, key_env, "", 0, 128, NULL, true,
    "Environment variable that holds its key; this or key_file is needed.")
UPSTREAM("key_file", TEXT, key_file, "", 0, 4096, NULL, true,
    "File whose first line is its key; read again on SIGHUP.")
UPSTREAM("ca_file", TEXT, ca_file, "", 0, 4096, NULL, true,
    "PEM file of who may sign its certificate; empty: the system's.")
UPSTREAM("proxy", PROXY, proxy, "", 0, 1024, NULL, true,
    "http://[user:password@]host:port to connect through; empty for none.")
UPSTREAM("auth", CHOICE, auth, "bearer", 0, 0, "bearer|api-key", true,
    "The key's header: Authorization: Bearer, or api-key.")
UPSTREAM("dialect", CHOICE, dialect, "openai", 0, 0, "openai|azure|xai|beta",
    true, "Names of events and fields that it speaks.")
UPSTREAM("headers", HEADERS, headers, "", 0, 32, NULL, true,
    "\"Name: value\", sent with every request.")
UPSTREAM("connect_timeout", DURATION, connect_timeout_ms, "10s", 100,
    2 * MINUTE_MS, NULL, true, "From connecting until session.created.")
UPSTREAM("read_timeout", DURATION, read_timeout_ms, "60s", 1000,
    60 * MINUTE_MS, NULL, true,
    "Silence, pongs included, after which it counts as dead.")
UPSTREAM("ping_interval", DURATION, ping_interval_ms, "20s", 0, 10 * MINUTE_MS,
    NULL, true, "Between our pings; 0s: none. Less than read_timeout.")
UPSTREAM("max_connections", NUMBER, max_connections, "0", 0, 1000000, NULL,
    true, "Sessions open there at once; 0 for no limit of ours.")
UPSTREAM("max_session", DURATION, max_session_ms, "60m", 0, 24 * 60 * MINUTE_MS,
    NULL, true, "Its own cap on a session, swapped before; 0s: it has none.")
KEY("warm", "upstream", TEXT, warm.upstream, "", 0, 64, NULL, true,
    "Upstream that warm links are kept at; empty: the first.")
KEY("warm", "model", TEXT, warm.model, "", 0, 128, NULL, true,
    "Model that is warmed from the start; others are learned from traffic.")
KEY("warm", "links", NUMBER, warm.links, "3", 0, 1000, NULL, true,
    "Open sessions kept ready a model; 0: none is.")
KEY("warm", "secrets", NUMBER, warm.secrets, "3", 0, 1000, NULL, true,
    "Upstream secrets kept minted a model, for WebRTC; 0: none is.")
KEY("warm", "ttl", DURATION, warm.ttl_ms, "45s", 1000, 60 * MINUTE_MS, NULL,
    true, "A warm link or secret older than this is not used.")
KEY("warm", "refill", DURATION, warm.refill_ms, "10s", 100, 10 * MINUTE_MS,
    NULL, true, "How often the warm links are looked after.")
KEY("warm", "max", NUMBER, warm.max, "32", 0, 10000, NULL, true,
    "Warm links of all models together.")
KEY("http", "keepalive", NUMBER, http.keepalive, "20", 0, 10000, NULL, true,
    "Idle connections kept for requests to upstreams and tools.")
KEY("http", "max", NUMBER, http.max, "100", 1, 10000, NULL, true,
    "Connections of such requests at once.")
KEY("http", "idle", DURATION, http.idle_ms, "30s", 1000, 60 * MINUTE_MS, NULL,
    true, "An idle connection older than this is not used again.")
KEY("http", "connect", DURATION, http.connect_ms, "5s", 10, 10 * MINUTE_MS,
    NULL, true, "Time to connect, TLS included.")
KEY("http", "read", DURATION, http.read_ms, "30s", 10, 60 * MINUTE_MS, NULL,
    true, "Time without a byte of the answer.")
KEY("http", "write", DURATION, http.write_ms, "10s", 10, 60 * MINUTE_MS, NULL,
    true, "Time without a byte of the request leaving.")
KEY("http", "pool_wait", DURATION, http.pool_wait_ms, "5s", 10,
    10 * MINUTE_MS, NULL, true, "Time that a request waits for a connection.")
KEY("store", "sqlite", TEXT, store.sqlite, "", 0, 4096, NULL, true,
    "SQLite file, such as /var/lib/ngx-voice/voice.db, of minted secrets, "
    "calls and usage; empty: they live in memory and end with the process.")
KEY("limits", "sessions", NUMBER, limits.sessions, "0", 0, 1000000, NULL, true,
    "Live sessions of a tenant; one more is answered 429. 0: no limit.")
KEY("limits", "session", DURATION, limits.session_ms, "0s", 0,
    24 * 60 * MINUTE_MS, NULL, true, "Longest session; 0s: no limit.")
KEY("limits", "idle", DURATION, limits.idle_ms, "0s", 0, 24 * 60 * MINUTE_MS,
    NULL, true, "Session without a message of the client or a turn; 0s: no "
    "limit.")
KEY("limits", "requests", NUMBER, limits.requests, "0", 0, 1000000, NULL, true,
    "Requests and session starts of a tenant a minute; 0: no limit.")
KEY("limits", "tokens", NUMBER, limits.tokens, "0", 0, 1000000000000ull, NULL,
    true, "Tokens of a tenant a day, UTC; 0: no limit.")
KEY("offline", "plugin", TEXT, offline.plugin, "", 0, 4096, NULL, true,
    "Ears and mouth of the offline model; empty: voiced-speech.so beside the "
    "program, then where it is installed.")
KEY("offline", "threads", NUMBER, offline.threads, "2", 1, 64, NULL, true,
    "Threads that recognise and speak.")
KEY("offline", "max_jobs", NUMBER, offline.max_jobs, "256", 1, 100000, NULL,
    true, "Utterances that wait for a speech thread; one more fails.")
KEY("offline", "max_session", DURATION, offline.max_session_ms, "60m", 1000,
    24 * 60 * MINUTE_MS, NULL, true,
    "Longest session of the offline model; it ends with session_expired.")
KEY("bench", "echo", SWITCH, bench.echo, "no", 0, 0, NULL, true,
    "Benchmark: a session sends back every message and meets no model.")
};
/* clang-format on */

_Static_assert(sizeof(keys) / sizeof(keys[0]) < CONFIG_KEY_MAX, "keys");

size_t
config_key_count(void)
{
    return sizeof(keys) / sizeof(keys[0]);
}

const struct config_key *
config_key_at(size_t i)
{
    return &keys[i];
}

size_t
config_key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < config_key_count(); i++) {
        if (strcmp(keys[i].section, section) == 0
            && strcmp(keys[i].name, name) == 0)
            return i;
    }
    return config_key_count();
}

static void *
field_of(void *owner, const struct config_key *key)
{
    return (char *) owner + key->offset;
}

static const void *
value_of(const void *owner, const struct config_key *key)
{
    return (const char *) owner + key->offset;
}

bool
config_key_is_text(const struct config_key *key)
{
    return key->type == KEY_TEXT || key->type == KEY_ADDRESS
           || key->type == KEY_PROXY;
}

bool
config_key_is_list(const struct config_key *key)
{
    return key->type == KEY_TEXTS || key->type == KEY_HEADERS;
}

bool
config_key_is_upstream(const struct config_key *key)
{
    return strcmp(key->section, CONFIG_UPSTREAM) == 0;
}

/* --- texts to values */

struct unit {
    const char *name;
    uint64_t factor;
};
static const struct unit sizes[] = {
    {"g", 1024 * MIB}, {"m", MIB}, {"k", 1024}, {"", 1}, {NULL, 0}};
static const struct unit durations[] = {
    {"h", 60 * MINUTE_MS}, {"m", MINUTE_MS}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

static const struct unit *
units_of(enum config_key_type type)
{
    return type == KEY_SIZE ? sizes : type == KEY_DURATION ? durations : plain;
}

static int
number_parse(const char *text, int base, const struct unit *units,
             uint64_t *out)
{
    char *end;
    if (!isdigit((unsigned char) text[0]))
        return UV_EINVAL;
    errno = 0;
    unsigned long long n = strtoull(text, &end, base);
    if (errno)
        return UV_EINVAL;
    for (; units->name; units++) {
        if (strcasecmp(end, units->name) != 0)
            continue;
        if (n > UINT64_MAX / units->factor)
            return UV_EINVAL;
        *out = n * units->factor;
        return 0;
    }
    return UV_EINVAL;
}

static int
choice_parse(const char *words, const char *text, uint64_t *out)
{
    size_t want = strlen(text);
    for (uint64_t n = 0; want; n++) {
        size_t len = strcspn(words, "|");
        if (len == want && memcmp(words, text, len) == 0) {
            *out = n;
            return 0;
        }
        if (!words[len])
            break;
        words += len + 1;
    }
    return UV_EINVAL;
}

static int
address_check(const char *text)
{
    uint64_t port;
    const char *colon = strrchr(text, ':');
    if (!text[0])
        return 0;
    if (!colon || colon == text || (strchr(text, ':') != colon && *text != '['))
        return UV_EINVAL;
    if (number_parse(colon + 1, 10, plain, &port) != 0 || !port || port > 65535)
        return UV_EINVAL;
    return 0;
}

static int
list_add(struct config_list *list, const char *text)
{
    char **items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (!items)
        return UV_ENOMEM;
    list->items = items;
    items[list->count] = strdup(text);
    return items[list->count++] ? 0 : UV_ENOMEM;
}

static int
text_set(char **field, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return UV_ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static int
switch_parse(const char *text, bool *out)
{
    static const char *const words[] = {"no", "yes",   "off",
                                        "on", "false", "true"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i % 2;
            return 0;
        }
    }
    return UV_EINVAL;
}

static int
count_parse(const struct config_key *key, const char *text, uint64_t *out)
{
    uint64_t n;
    int base = key->type == KEY_MODE ? 8 : 10;
    if (number_parse(text, base, units_of(key->type), &n) != 0)
        return UV_EINVAL;
    if (n < key->min || n > key->max)
        return UV_ERANGE;
    *out = n;
    return 0;
}

int
config_key_set(void *owner, const struct config_key *key, const char *text)
{
    void *field = field_of(owner, key);
    switch (key->type) {
    case KEY_ADDRESS:
        if (address_check(text) != 0)
            return UV_EINVAL;
        /* fall through */
    case KEY_TEXT:
    case KEY_PROXY:
        return strlen(text) > key->max ? UV_ERANGE : text_set(field, text);
    case KEY_TEXTS:
    case KEY_HEADERS:
        return list_add(field, text);
    case KEY_SWITCH:
        return switch_parse(text, field);
    case KEY_CHOICE:
        return choice_parse(key->words, text, field);
    default:
        return count_parse(key, text, field);
    }
}

/* --- values to texts */

static void
count_format(const struct config_key *key, uint64_t n, char *out, size_t bytes)
{
    const struct unit *u = units_of(key->type);
    if (key->type == KEY_MODE) {
        snprintf(out, bytes, "0%llo", (unsigned long long) n);
        return;
    }
    while (u[1].name && (n == 0 || n % u->factor))
        u++;
    snprintf(out, bytes, "%llu%s", (unsigned long long) (n / u->factor),
             u->name);
}

static void
text_print(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\' || *text == '$')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void
choice_print(const char *words, uint64_t n, FILE *out)
{
    while (n--)
        words += strcspn(words, "|") + 1;
    fprintf(out, "%.*s", (int) strcspn(words, "|"), words);
}

/* A header's value may be a secret: its name is all that is shown. */
static void
item_print(const struct config_key *key, const char *item, FILE *out)
{
    if (key->type == KEY_TEXTS)
        text_print(item, out);
    else
        fprintf(out, "\"%.*s: ***\"", (int) strcspn(item, ":"), item);
}

static void
list_print(const struct config_key *key, const struct config_list *list,
           FILE *out)
{
    fputc('{', out);
    for (size_t i = 0; i < list->count; i++) {
        fputs(i ? ", " : "", out);
        item_print(key, list->items[i], out);
    }
    fputc('}', out);
}

static void
proxy_print(const char *text, FILE *out)
{
    const char *at = strrchr(text, '@');
    if (at)
        fprintf(out, "\"http://***%s\"", at);
    else
        text_print(text, out);
}

void
config_key_print(const void *owner, const struct config_key *key, FILE *out)
{
    const void *value = value_of(owner, key);
    char number[32];

    switch (key->type) {
    case KEY_TEXT:
    case KEY_ADDRESS:
        text_print(*(char *const *) value, out);
        break;
    case KEY_PROXY:
        proxy_print(*(char *const *) value, out);
        break;
    case KEY_TEXTS:
    case KEY_HEADERS:
        list_print(key, value, out);
        break;
    case KEY_SWITCH:
        fputs(*(const bool *) value ? "yes" : "no", out);
        break;
    case KEY_CHOICE:
        choice_print(key->words, *(const uint64_t *) value, out);
        break;
    default:
        count_format(key, *(const uint64_t *) value, number, sizeof(number));
        fputs(number, out);
    }
}

/* Why a value was refused, for people. */
void
config_key_bounds(const struct config_key *key, char out[CONFIG_BOUNDS_BYTES])
{
    char min[32], max[32];
    switch (key->type) {
    case KEY_ADDRESS:
        snprintf(out, CONFIG_BOUNDS_BYTES, "host:port");
        break;
    case KEY_TEXT:
    case KEY_PROXY:
    case KEY_TEXTS:
    case KEY_HEADERS:
        snprintf(out, CONFIG_BOUNDS_BYTES, "at most %llu %s",
                 (unsigned long long) key->max,
                 config_key_is_text(key) ? "characters" : "entries");
        break;
    case KEY_SWITCH:
        snprintf(out, CONFIG_BOUNDS_BYTES, "yes or no");
        break;
    case KEY_CHOICE:
        snprintf(out, CONFIG_BOUNDS_BYTES, "one of %s", key->words);
        break;
    default:
        count_format(key, key->min, min, sizeof(min));
        count_format(key, key->max, max, sizeof(max));
        snprintf(out, CONFIG_BOUNDS_BYTES, "%s to %s", min, max);
    }
}

void
config_key_print_initial(const struct config_key *key, FILE *out)
{
    if (config_key_is_list(key))
        fputs("{}", out);
    else if (config_key_is_text(key))
        text_print(key->initial, out);
    else
        fputs(key->initial, out);
}

void
config_key_free(void *owner, const struct config_key *key)
{
    void *field = field_of(owner, key);
    if (config_key_is_text(key))
        free(*(char **) field);
    if (!config_key_is_list(key))
        return;
    struct config_list *list = field;
    while (list->count)
        free(list->items[--list->count]);
    free(list->items);
}
