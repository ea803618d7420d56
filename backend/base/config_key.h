/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One key of voiced.conf, and one value at a time: text to field and back, and
 * the bounds in words. Pure, any thread; owns nothing, a key's field belongs
 * to the owner it is asked about: the struct config_upstream of a key of
 * section `upstream`, the struct config_tool_server of one of `tool_server`,
 * the server_config of every other. Knows no file and no other key.
 */

#ifndef VOICE_CONFIG_KEY_H
#define VOICE_CONFIG_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_key_type {
    KEY_TEXT,      /* char * */
    KEY_ADDRESS,   /* char *, "host:port" or "" */
    KEY_PROXY,     /* char *, printed without user and password */
    KEY_TEXTS,     /* struct config_list */
    KEY_HEADERS,   /* struct config_list, printed without values */
    KEY_VARIABLES, /* the same, of "NAME=value" */
    KEY_NUMBER,    /* uint64_t */
    KEY_SIZE,      /* uint64_t, bytes; k, m, g */
    KEY_DURATION,  /* uint64_t, milliseconds; ms, s, m, h */
    KEY_MODE,      /* uint64_t, octal */
    KEY_SWITCH,    /* bool */
    KEY_CHOICE     /* uint64_t, an enum; bounds hold the words */
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

#define CONFIG_UPSTREAM     "upstream" /* the sections that repeat */
#define CONFIG_TOOL_SERVER  "tool_server"
#define CONFIG_LIST_MAX     64
#define CONFIG_BOUNDS_BYTES 200

bool config_key_is_text(const struct config_key *key);
bool config_key_is_list(const struct config_key *key);
bool config_key_is_upstream(const struct config_key *key);
bool config_key_is_tool_server(const struct config_key *key);
/* Either of them. */
bool config_key_is_repeated(const struct config_key *key);

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
