/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   log_write ─► line on the stack ─► one write(2) to stderr or the file
 *                                  └► syslog
 */

#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

/* A longer line is cut. In JSON one byte may become six. */
#define TEXT_BYTES 4096
#define LINE_BYTES (TEXT_BYTES * 6 + 512)

#define LIMIT_MS 60000

static struct {
    pthread_rwlock_t lock; /* writers of lines read-lock it */
    _Atomic int level;
    enum log_format format;
    enum log_target target;
    int fd;
} sink = {
    .lock = PTHREAD_RWLOCK_INITIALIZER,
    .level = LOG_LEVEL_NOTICE,
    .fd = STDERR_FILENO,
};

static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;

static const struct {
    const char *name;
    int priority;
} levels[] = {
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_NOTICE] = {"notice", LOG_NOTICE},
    [LOG_LEVEL_WARN] = {"warn", LOG_WARNING},
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},
    [LOG_LEVEL_ALERT] = {"alert", LOG_ALERT},
};

struct line {
    char text[LINE_BYTES];
    size_t bytes;
};

int
log_open(const struct log_config *cfg)
{
    int fd = STDERR_FILENO, old;

    if (cfg->target == LOG_TARGET_FILE) {
        fd = open(cfg->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd < 0) {
            return uv_translate_sys_error(errno);
        }
    }
    pthread_rwlock_wrlock(&sink.lock);
    old = sink.fd;
    sink.fd = fd;
    sink.format = cfg->format;
    sink.target = cfg->target;
    atomic_store(&sink.level, (int) cfg->level);
    if (cfg->target == LOG_TARGET_SYSLOG) {
        openlog("voiced", LOG_PID, LOG_DAEMON);
    }
    pthread_rwlock_unlock(&sink.lock);
    if (old != STDERR_FILENO) {
        close(old);
    }
    return 0;
}

void
log_close(void)
{
    log_open(&(struct log_config){.level = LOG_LEVEL_NOTICE});
    closelog();
}

bool
log_enabled(enum log_level level)
{
    return (int) level
           >= atomic_load_explicit(&sink.level, memory_order_relaxed);
}

static void
line_put(struct line *line, const char *text, size_t bytes)
{
    if (bytes <= sizeof(line->text) - line->bytes) {
        memcpy(line->text + line->bytes, text, bytes);
        line->bytes += bytes;
    }
}

static void
line_puts(struct line *line, const char *text)
{
    line_put(line, text, strlen(text));
}

/* Bytes of a well-formed character at `at` (RFC 3629), 0 when it is none. */
static size_t
utf8_length(const unsigned char *at)
{
    size_t length = at[0] < 0xc2   ? 0
                    : at[0] < 0xe0 ? 2
                    : at[0] < 0xf0 ? 3
                    : at[0] < 0xf5 ? 4
                                   : 0;
    unsigned char low = 0x80, high = 0xbf;

    if (at[0] == 0xe0) {
        low = 0xa0;
    } else if (at[0] == 0xed) {
        high = 0x9f;
    } else if (at[0] == 0xf0) {
        low = 0x90;
    } else if (at[0] == 0xf4) {
        high = 0x8f;
    }
    for (size_t i = 1; i < length; i++) {
        if (at[i] < low || at[i] > high) {
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

/* A text that came from outside can't start a line or end a JSON string. */
static void
line_put_safe(struct line *line, const char *text, bool json)
{
    const unsigned char *at = (const unsigned char *) text;
    char escape[8];
    size_t length;

    while (*at != '\0') {
        length = *at < 0x80 ? 1 : utf8_length(at);
        if (length == 0 || (!json && (*at < 0x20 || *at == 0x7f))) {
            line_put(line, "?", 1);
            at++;
            continue;
        }
        if (json && (*at < 0x20 || *at == '"' || *at == '\\')) {
            snprintf(escape, sizeof(escape), "\\u%04x", *at);
            line_puts(line, escape);
        } else {
            line_put(line, (const char *) at, length);
        }
        at += length;
    }
}

static void
line_put_time(struct line *line)
{
    int64_t now = clock_wall_ms();
    time_t seconds = (time_t) (now / 1000);
    char text[64];
    struct tm tm;
    size_t bytes;

    gmtime_r(&seconds, &tm);
    bytes = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + bytes, sizeof(text) - bytes, ".%03dZ", (int) (now % 1000));
    line_puts(line, text);
}

static void
line_make_text(struct line *line, enum log_level level, const char *id,
               const char *text)
{
    line_put_time(line);
    line_puts(line, " ");
    line_puts(line, levels[level].name);
    line_puts(line, " ");
    if (id != NULL) {
        line_puts(line, "[");
        line_put_safe(line, id, false);
        line_puts(line, "] ");
    }
    line_put_safe(line, text, false);
    line_puts(line, "\n");
}

static void
line_make_json(struct line *line, enum log_level level, const char *id,
               const char *text)
{
    line_puts(line, "{\"time\":\"");
    line_put_time(line);
    line_puts(line, "\",\"level\":\"");
    line_puts(line, levels[level].name);
    if (id != NULL) {
        line_puts(line, "\",\"id\":\"");
        line_put_safe(line, id, true);
    }
    line_puts(line, "\",\"message\":\"");
    line_put_safe(line, text, true);
    line_puts(line, "\"}\n");
}

static void
sink_write(const struct line *line)
{
    ssize_t n;

    /* A log that can't be written has nobody to tell. */
    do {
        n = write(sink.fd, line->text, line->bytes);
    } while (n < 0 && errno == EINTR);
}

void
log_write(enum log_level level, const char *id, const char *fmt, ...)
{
    int saved = errno;
    char text[TEXT_BYTES];
    struct line line;
    va_list args;

    line.bytes = 0;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    pthread_rwlock_rdlock(&sink.lock);
    if (sink.target == LOG_TARGET_SYSLOG) {
        syslog(levels[level].priority, "%s%s%s%s", id != NULL ? "[" : "",
               id != NULL ? id : "", id != NULL ? "] " : "", text);
    } else {
        if (sink.format == LOG_FORMAT_JSON) {
            line_make_json(&line, level, id, text);
        } else {
            line_make_text(&line, level, id, text);
        }
        sink_write(&line);
    }
    pthread_rwlock_unlock(&sink.lock);
    errno = saved;
}

bool
log_limit_pass(struct log_limit *limit, uint64_t *swallowed)
{
    uint64_t now = clock_now_ms();
    bool pass;

    pthread_mutex_lock(&limit_lock);
    pass = now >= limit->next_ms;
    if (pass) {
        *swallowed = limit->swallowed;
        limit->swallowed = 0;
        limit->next_ms = now + LIMIT_MS;
    } else {
        limit->swallowed++;
    }
    pthread_mutex_unlock(&limit_lock);
    return pass;
}
