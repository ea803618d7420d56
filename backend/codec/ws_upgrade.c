/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/ws_upgrade.h"

#include <string.h>

#define KEY_DIGITS 22 /* base64 digits of sixteen bytes */

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

static bool
is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t';
}

static bool
is_same(const char *a, const char *b, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (lower(a[i]) != lower(b[i]))
            return false;
    }
    return true;
}

bool
ws_upgrade_has_token(const char *list, size_t bytes, const char *token,
                     size_t token_bytes)
{
    const char *at = list;
    const char *end = list + bytes;

    while (at < end) {
        const char *start;

        while (at < end && is_separator(*at))
            at++;
        start = at;
        while (at < end && !is_separator(*at))
            at++;
        if (at > start && (size_t) (at - start) == token_bytes
            && is_same(start, token, token_bytes))
            return true;
    }
    return false;
}

bool
ws_upgrade_version_is_valid(const char *version, size_t bytes)
{
    return bytes == 2 && memcmp(version, "13", 2) == 0;
}

static bool
is_base64_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

bool
ws_upgrade_key_is_valid(const char *key, size_t bytes)
{
    if (bytes != WS_UPGRADE_KEY_CHARS)
        return false;
    for (size_t i = 0; i < KEY_DIGITS; i++) {
        if (!is_base64_digit(key[i]))
            return false;
    }
    return memcmp(key + KEY_DIGITS, "==", WS_UPGRADE_KEY_CHARS - KEY_DIGITS)
           == 0;
}
