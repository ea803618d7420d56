/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A handshake's headers, "name: value" in lines: each value goes to what reads
 * it, and to a second reading written another way. Lists are searched for
 * every one of their own words and for the words of the next line.
 */

#include "codec/ws_upgrade.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct span {
    const char *at;
    size_t bytes;
};

static void
require(bool holds)
{
    if (!holds)
        abort();
}

/* From the back, by what stands around a match. */
static bool
has_token(struct span list, struct span token)
{
    static const char between[] = ", \t";

    if (token.bytes == 0 || token.bytes > list.bytes)
        return false;
    for (size_t i = 0; i < token.bytes; i++) {
        if (memchr(between, token.at[i], 3) != NULL)
            return false;
    }
    for (size_t at = list.bytes - token.bytes + 1; at-- > 0;) {
        size_t end = at + token.bytes, same = 0;

        while (same < token.bytes
               && tolower((unsigned char) list.at[at + same])
                      == tolower((unsigned char) token.at[same]))
            same++;
        if (same == token.bytes
            && (at == 0 || memchr(between, list.at[at - 1], 3) != NULL)
            && (end == list.bytes || memchr(between, list.at[end], 3) != NULL))
            return true;
    }
    return false;
}

static bool
key_is_valid(struct span key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;

    while (n < key.bytes && memchr(digits, key.at[n], 64) != NULL)
        n++;
    return n == 22 && key.bytes == 24 && key.at[22] == '=' && key.at[23] == '=';
}

static void
check_token(struct span list, struct span token)
{
    require(ws_upgrade_has_token(list.at, list.bytes, token.at, token.bytes)
            == has_token(list, token));
}

static void
check_value(struct span value, struct span other)
{
    static const struct span known[] = {{"upgrade", 7}, {"websocket", 9}};
    size_t from = 0;

    for (size_t i = 0; i < 2; i++)
        check_token(value, known[i]);
    check_token(value, other);
    check_token(other, value);
    for (size_t i = 0; i <= value.bytes; i++) {
        if (i < value.bytes && memchr(", \t", value.at[i], 3) == NULL)
            continue;
        check_token(value, (struct span){value.at + from, i - from});
        check_token(other, (struct span){value.at + from, i - from});
        require(i == from
                || ws_upgrade_has_token(value.at, value.bytes, value.at + from,
                                        i - from));
        from = i + 1;
    }
    require(ws_upgrade_version_is_valid(value.at, value.bytes)
            == (value.bytes == 2 && value.at[0] == '1' && value.at[1] == '3'));
    require(ws_upgrade_key_is_valid(value.at, value.bytes)
            == key_is_valid(value));
}

/* The value of the line, in memory of its size; *data goes behind it. */
static char *
take_value(const uint8_t **data, size_t *size, struct span *value)
{
    const uint8_t *end = memchr(*data, '\n', *size);
    size_t line = end == NULL ? *size : (size_t) (end - *data);
    const uint8_t *colon = memchr(*data, ':', line);
    size_t skip = colon == NULL ? 0 : (size_t) (colon - *data) + 1;
    char *copy = malloc(line - skip + 1);

    require(copy != NULL);
    while (skip < line && (*data)[skip] == ' ')
        skip++;
    value->bytes = line - skip;
    copy = realloc(copy, value->bytes + (value->bytes == 0));
    require(copy != NULL);
    memcpy(copy, *data + skip, value->bytes);
    value->at = copy;
    *data += line + (end != NULL);
    *size -= line + (end != NULL);
    return copy;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span last = {"", 0};
    char *owned = NULL;

    while (size > 0 && size <= 4096) {
        struct span value;
        char *copy = take_value(&data, &size, &value);

        check_value(value, last);
        free(owned);
        owned = copy;
        last = value;
    }
    free(owned);
    return 0;
}
