/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Feeds Sec-WebSocket-Extensions headers, a line each, to the negotiation and
 * to a second reading of the same grammar that is written another way: first
 * all lexemes, then a match of each element. Both must agree; the answer must
 * be one that the offer allows, and mean what was agreed when it is parsed;
 * many headers must be the same as one that joins them. First byte: wishes and
 * the deflater's least window; second: the windows.
 */

#include "codec/ws_extension.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds)
{
    if (!holds)
        abort();
}

/* ---- the second reading ---- */

struct lexeme {
    char kind;      /* 't' token, 'q' quoted, ';' ',' '=', '!' none */
    size_t at, end; /* of its text in `texts` */
};

struct reading {
    struct lexeme lexemes[INPUT_MAX + 1];
    size_t count;
    char texts[2 * INPUT_MAX]; /* each with its NUL */
    size_t used;
};

struct wish {
    int has[4], bits[4]; /* in the order of `names` */
    int bad, ours;
};

static const char *const names[] = {
    "server_no_context_takeover", "client_no_context_takeover",
    "server_max_window_bits", "client_max_window_bits"};

static int
is_token(int c)
{
    return c > ' ' && c < 0x7f && strchr("()<>@,;:\\\"/[]?={}", c) == NULL;
}

static size_t
lex_quoted(struct reading *r, struct lexeme *x, const uint8_t *data, size_t at,
           size_t size)
{
    x->kind = '!';
    for (at++; at < size && data[at] != '"'; at++) {
        if (data[at] == '\\' && ++at == size)
            return size;
        if (!is_token(data[at]))
            return size;
        r->texts[r->used++] = (char) data[at];
    }
    if (at < size && r->used > x->at)
        x->kind = 'q';
    return at < size ? at + 1 : size;
}

static size_t
lex_one(struct reading *r, const uint8_t *data, size_t at, size_t size)
{
    struct lexeme *x = &r->lexemes[r->count++];

    x->at = r->used;
    if (data[at] == '"') {
        at = lex_quoted(r, x, data, at, size);
    } else if (is_token(data[at])) {
        x->kind = 't';
        while (at < size && is_token(data[at]))
            r->texts[r->used++] = (char) data[at++];
    } else {
        x->kind = data[at] != 0 && strchr(";,=", data[at]) != NULL
                      ? (char) data[at]
                      : '!';
        at++;
    }
    x->end = r->used;
    r->texts[r->used++] = '\0';
    return at;
}

static void
lex(struct reading *r, const uint8_t *data, size_t size)
{
    size_t at = 0;

    r->count = r->used = 0;
    while (at < size) {
        if (data[at] == ' ' || data[at] == '\t')
            at++;
        else
            at = lex_one(r, data, at, size);
    }
    r->lexemes[r->count++] = (struct lexeme){',', r->used, r->used};
}

static int
number_of(const char *text)
{
    char same[8];

    for (int i = 8; i <= 15; i++) {
        snprintf(same, sizeof(same), "%d", i);
        if (strcmp(same, text) == 0)
            return i;
    }
    return 0;
}

static void
wish_add(struct wish *wish, const char *name, const char *value)
{
    for (int i = 0; i < 4; i++) {
        if (strcmp(names[i], name) != 0)
            continue;
        if (wish->has[i]++ || (i < 2 && value != NULL)
            || (i == 2 && value == NULL)
            || (i > 1 && value != NULL && number_of(value) == 0))
            wish->bad = 1;
        else
            wish->bits[i] = value == NULL ? 0 : number_of(value);
        return;
    }
    wish->bad = 1;
}

/* The lexemes before a comma, at least one: t (; t (= [tq])?)* */
static bool
read_element(const struct reading *r, size_t from, size_t to, struct wish *wish)
{
    const struct lexeme *x = r->lexemes;

    memset(wish, 0, sizeof(*wish));
    if (x[from].kind != 't')
        return false;
    wish->ours = strcmp(r->texts + x[from].at, "permessage-deflate") == 0;
    for (size_t i = from + 1; i < to;) {
        const char *value = NULL;
        size_t next = i + 2;

        if (x[i].kind != ';' || i + 1 == to || x[i + 1].kind != 't')
            return false;
        if (next < to && x[next].kind == '=') {
            if (next + 1 == to || strchr("tq", x[next + 1].kind) == NULL)
                return false;
            value = r->texts + x[next + 1].at;
            next += 2;
        }
        wish_add(wish, r->texts + x[i + 1].at, value);
        i = next;
    }
    return true;
}

static bool
is_possible(const struct wish *wish, const struct ws_extension_settings *s)
{
    return wish->ours && !wish->bad
           && (!wish->has[2] || wish->bits[2] >= s->server_window_least_bits)
           && (wish->has[3] || s->client_window_bits == 15);
}

/* False: malformed. *chosen is the offer to take, ours = 0: none. */
static bool
read_header(const uint8_t *data, size_t size,
            const struct ws_extension_settings *settings, struct wish *chosen)
{
    static struct reading r;
    struct wish wish;
    size_t from = 0;

    lex(&r, data, size);
    for (size_t to = 0; to < r.count; to++) {
        if (r.lexemes[to].kind != ',')
            continue;
        if (to > from) {
            if (!read_element(&r, from, to, &wish))
                return false;
            if (!chosen->ours && is_possible(&wish, settings))
                *chosen = wish;
        }
        from = to + 1;
    }
    return true;
}

/* ---- what must hold ---- */

/* The answer is one to that offer (RFC 7692, 7.1) and within the settings. */
static void
check_agreed(const struct ws_extension *agreed,
             const struct ws_extension_settings *s, const struct wish *offer)
{
    int promised = offer->bits[3] ? offer->bits[3] : 15;
    int most =
        promised < s->client_window_bits ? promised : s->client_window_bits;

    require(agreed->server_no_context_takeover
            == (offer->has[0] || s->server_no_context_takeover));
    require(agreed->client_no_context_takeover
            == (offer->has[1] || s->client_no_context_takeover));
    require((agreed->answer_server_bits != 0) == (offer->has[2] != 0));
    require(!offer->has[2]
            || agreed->answer_server_bits == agreed->server_window_bits);
    require(!offer->has[2] || agreed->server_window_bits <= offer->bits[2]);
    require(agreed->server_window_bits <= s->server_window_bits);
    require(agreed->server_window_bits >= s->server_window_least_bits);
    require((agreed->answer_client_bits != 0)
            == (promised > s->client_window_bits));
    require(agreed->answer_client_bits == 0
            || (offer->has[3] && agreed->answer_client_bits == most));
    require(agreed->client_window_bits == (most < 9 ? 9 : most));
}

/* The answer, read as an offer, says what was agreed. */
static void
check_answer(const struct ws_extension *agreed)
{
    static const struct ws_extension_settings any = {false, false, 8, 15, 15};
    struct ws_extension again = {0};
    char *out = malloc(WS_EXTENSION_ANSWER_MAX);
    size_t bytes;

    require(out != NULL);
    bytes = ws_extension_answer(out, agreed);
    require(bytes <= WS_EXTENSION_ANSWER_MAX);
    require((bytes > 0) == agreed->deflate);
    require(ws_extension_offer(&again, &any, out, bytes));
    require(again.deflate == agreed->deflate);
    require(again.server_no_context_takeover
            == agreed->server_no_context_takeover);
    require(again.client_no_context_takeover
            == agreed->client_no_context_takeover);
    require(again.answer_server_bits == agreed->answer_server_bits);
    if (agreed->answer_client_bits != 0)
        require(again.client_window_bits == agreed->client_window_bits);
    free(out);
}

static bool
offer_copy(struct ws_extension *agreed,
           const struct ws_extension_settings *settings, const uint8_t *data,
           size_t bytes)
{
    char *copy = malloc(bytes + (bytes == 0));
    bool ok;

    require(copy != NULL);
    memcpy(copy, data, bytes);
    ok = ws_extension_offer(agreed, settings, copy, bytes);
    free(copy);
    return ok;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ws_extension_settings settings;
    struct ws_extension agreed = {0}, joined = {0};
    struct wish chosen = {0};
    uint8_t *one;
    bool good = true, ok = true;

    if (size < 2 || size > INPUT_MAX)
        return 0;
    settings = (struct ws_extension_settings){
        data[0] & 1, data[0] & 2, (uint8_t) (8 + (data[0] >> 2) % 2),
        (uint8_t) (9 + data[1] % 7), (uint8_t) (9 + data[1] / 7 % 7)};
    data += 2;
    size -= 2;
    one = malloc(size + (size == 0));
    require(one != NULL);
    for (size_t i = 0; i < size; i++)
        one[i] = data[i] == '\n' ? ',' : data[i];
    for (size_t at = 0; at <= size;) {
        const uint8_t *end =
            at < size ? memchr(data + at, '\n', size - at) : NULL;
        size_t bytes = end == NULL ? size - at : (size_t) (end - data) - at;

        good = good && read_header(data + at, bytes, &settings, &chosen);
        ok = offer_copy(&agreed, &settings, data + at, bytes);
        at += bytes + 1;
    }
    require(ok == good && agreed.malformed == !good);
    require(agreed.deflate == (good && chosen.ours));
    if (agreed.deflate)
        check_agreed(&agreed, &settings, &chosen);
    check_answer(&agreed);
    require(offer_copy(&joined, &settings, one, size) == good);
    require(memcmp(&joined, &agreed, sizeof(agreed)) == 0);
    free(one);
    return 0;
}
