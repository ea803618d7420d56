/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The one table of voiced.conf's keys, and one value at a time: text to field
 * and back, and the bounds in words. Pure, any thread; owns nothing, a key's
 * field belongs to the owner it is asked about: the struct config_upstream of
 * a key of section `upstream`, the server_config of every other. Knows no
 * file.
 */

#ifndef VOICE_CONFIG_TABLE_H
#define VOICE_CONFIG_TABLE_H

#include "base/config.h"

#include <stdio.h>

enum config_key_type {
    KEY_TEXT,     /* char * */
    KEY_ADDRESS,  /* char *, "host:port" or "" */
    KEY_PROXY,    /* char *, printed without user and password */
    KEY_TEXTS,    /* struct config_list */
    KEY_HEADERS,  /* struct config_list, printed without values */
    KEY_NUMBER,   /* uint64_t */
    KEY_SIZE,     /* uint64_t, bytes; k, m, g */
    KEY_DURATION, /* uint64_t, milliseconds; ms, s, m, h */
    KEY_MODE,     /* uint64_t, octal */
    KEY_SWITCH,   /* bool */
    KEY_CHOICE    /* uint64_t, an enum; bounds hold the words */
};

struct config_key {
    const char *section; /* "" at the top */
    const char *name;
    enum config_key_type type;
    size_t offset;
    const char *initial; /* as a file would say it */
    uint64_t min, max;
    const char *words; /* KEY_CHOICE: "a|b|c" in the order of the enum */
    bool reloadable;
    const char *sentence;
};

#define CONFIG_UPSTREAM     "upstream" /* the section that repeats */
#define CONFIG_KEY_MAX      96         /* more keys than the table has */
#define CONFIG_LIST_MAX     64
#define CONFIG_BOUNDS_BYTES 200

size_t config_key_count(void);
const struct config_key *config_key_at(size_t i);

/* Index of a key, or config_key_count(). section "" is the top. */
size_t config_key_find(const char *section, const char *name);

bool config_key_is_text(const struct config_key *key);
bool config_key_is_list(const struct config_key *key);
bool config_key_is_upstream(const struct config_key *key);

/* The key's field; to a list the text is added. 0, UV_EINVAL, UV_ERANGE
 * (out of bounds), UV_ENOMEM. */
int config_key_set(void *owner, const struct config_key *key, const char *text);
void config_key_free(void *owner, const struct config_key *key);

/* The value, without what may be secret, and the default, as a file would
 * say them. */
void config_key_print(const void *owner, const struct config_key *key,
                      FILE *out);
void config_key_print_initial(const struct config_key *key, FILE *out);

/* Which values are valid, for people. */
void config_key_bounds(const struct config_key *key,
                       char out[CONFIG_BOUNDS_BYTES]);

#endif
