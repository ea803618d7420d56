/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The log: one line an event, key=value, to stderr, a file or syslog, as text
 * or JSON. Callable from any thread; a line is one write. Owns nothing of the
 * caller. Refuses to print audio, keys or payload: callers never pass them.
 */

#ifndef VOICE_LOG_H
#define VOICE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_ALERT
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_FILE };

struct log_config {
    enum log_level level;
    enum log_format format;
    enum log_target target;
    const char *path; /* LOG_TARGET_FILE; borrowed for the call */
};

/* Before the first thread starts, and again at a reload. 0 or UV_E*. */
int log_open(const struct log_config *cfg);
void log_close(void);

bool log_enabled(enum log_level level);

/*
 * Writes one line. `id` names the object (session id, "gate", …), may be NULL.
 * `fmt` is key=value text; values with spaces are quoted by the caller.
 */
void log_write(enum log_level level, const char *id, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * At most one line a minute for the same call site: `LOG_LIMITED` keeps a
 * static token and says how many it swallowed.
 */
struct log_limit {
    uint64_t next_ms;
    uint64_t swallowed;
};
bool log_limit_pass(struct log_limit *limit, uint64_t *swallowed);

#define LOG(level, id, ...)                                                    \
    do {                                                                       \
        if (log_enabled(LOG_LEVEL_##level))                                    \
            log_write(LOG_LEVEL_##level, id, __VA_ARGS__);                     \
    } while (0)

/* At most one line a minute from this place. */
#define LOG_LIMITED(level, id, fmt, ...)                                       \
    do {                                                                       \
        static struct log_limit log_limit_;                                    \
        uint64_t swallowed_;                                                   \
                                                                               \
        if (log_enabled(LOG_LEVEL_##level)                                     \
            && log_limit_pass(&log_limit_, &swallowed_)) {                     \
            log_write(LOG_LEVEL_##level, id, fmt " swallowed=%llu",            \
                      ##__VA_ARGS__, (unsigned long long) swallowed_);         \
        }                                                                      \
    } while (0)

#endif
