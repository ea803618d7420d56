/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   header value ──► extension ──► params ──► offer ──► agreed ──► answer
 *      "a, b;c=1"      a | b        c=1      (ours?)   (first      value
 *                                                       kept)
 */

#include "codec/ws_extension.h"

#include <string.h>

#define DEFLATE_NAME "permessage-deflate"

/* What the inflater has at least: zlib before 1.2.9 deflates raw streams with
 * 9 bits when told 8. */
#define INFLATE_LEAST 9

enum parameter {
    SERVER_NO_CONTEXT_TAKEOVER,
    CLIENT_NO_CONTEXT_TAKEOVER,
    SERVER_MAX_WINDOW_BITS,
    CLIENT_MAX_WINDOW_BITS,
    PARAMETER_COUNT
};

struct text {
    const char *at;
    size_t bytes;
};

#define TEXT(literal)                                                          \
    {                                                                          \
        literal, sizeof(literal) - 1                                           \
    }

static const struct text parameter_names[PARAMETER_COUNT] = {
    [SERVER_NO_CONTEXT_TAKEOVER] = TEXT("server_no_context_takeover"),
    [CLIENT_NO_CONTEXT_TAKEOVER] = TEXT("client_no_context_takeover"),
    [SERVER_MAX_WINDOW_BITS] = TEXT("server_max_window_bits"),
    [CLIENT_MAX_WINDOW_BITS] = TEXT("client_max_window_bits"),
};

struct cursor {
    const char *at;
    const char *end;
};

/* A parameter's value: none of ours is longer than two characters. */
struct value {
    bool given;
    char text[2];
    size_t chars; /* without quotes and escapes; may be more than are kept */
};

struct offer {
    bool ours;    /* of permessage-deflate */
    bool refused; /* by its parameters */
    bool has[PARAMETER_COUNT];
    uint8_t bits[PARAMETER_COUNT]; /* 0: without a value */
};

static bool
text_is(struct text text, struct text other)
{
    return text.bytes == other.bytes
           && memcmp(text.at, other.at, other.bytes) == 0;
}

/* RFC 2616, 2.2 and RFC 7230, 3.2.6 have the same set. */
static bool
is_token_char(char c)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9')
           || memchr(marks, c, sizeof(marks) - 1) != NULL;
}

/* The next byte, 0 at the end: NUL has no place in this grammar either. */
static char
cursor_peek(const struct cursor *cursor)
{
    return cursor->at < cursor->end ? *cursor->at : '\0';
}

static void
cursor_skip_blanks(struct cursor *cursor)
{
    while (cursor_peek(cursor) == ' ' || cursor_peek(cursor) == '\t')
        cursor->at++;
}

static bool
cursor_take_mark(struct cursor *cursor, char mark)
{
    if (cursor_peek(cursor) != mark)
        return false;
    cursor->at++;
    cursor_skip_blanks(cursor);
    return true;
}

/* A token and the blanks behind it. */
static bool
cursor_take_token(struct cursor *cursor, struct text *token)
{
    token->at = cursor->at;
    while (cursor->at < cursor->end && is_token_char(*cursor->at))
        cursor->at++;
    token->bytes = (size_t) (cursor->at - token->at);
    cursor_skip_blanks(cursor);
    return token->bytes > 0;
}

static void
value_add(struct value *value, char c)
{
    if (value->chars < sizeof(value->text))
        value->text[value->chars] = c;
    value->chars++;
}

/* The rest of a quoted string: what it stands for must be a token. */
static bool
value_take_quoted(struct value *value, struct cursor *cursor)
{
    while (cursor->at < cursor->end) {
        char c = *cursor->at++;

        if (c == '"') {
            cursor_skip_blanks(cursor);
            return value->chars > 0;
        }
        if (c == '\\') {
            if (cursor->at == cursor->end)
                return false;
            c = *cursor->at++;
        }
        if (!is_token_char(c))
            return false;
        value_add(value, c);
    }
    return false;
}

static bool
value_take(struct value *value, struct cursor *cursor)
{
    struct text token;

    value->given = true;
    if (cursor_peek(cursor) == '"') {
        cursor->at++;
        return value_take_quoted(value, cursor);
    }
    if (!cursor_take_token(cursor, &token))
        return false;
    for (size_t i = 0; i < token.bytes; i++)
        value_add(value, token.at[i]);
    return true;
}

/* WS_WINDOW_MIN to WS_WINDOW_MAX, or 0. */
static uint8_t
value_bits(const struct value *value)
{
    if (value->chars == 1 && (value->text[0] == '8' || value->text[0] == '9'))
        return (uint8_t) (value->text[0] - '0');
    if (value->chars == 2 && value->text[0] == '1' && value->text[1] >= '0'
        && value->text[1] <= '5')
        return (uint8_t) (10 + value->text[1] - '0');
    return 0;
}

/* Whether the parameter may be in an offer with that value (RFC 7692, 7.1). */
static bool
parameter_takes(enum parameter parameter, const struct value *value)
{
    switch (parameter) {
    case SERVER_MAX_WINDOW_BITS:
        return value_bits(value) != 0;
    case CLIENT_MAX_WINDOW_BITS:
        return !value->given || value_bits(value) != 0;
    default:
        return !value->given;
    }
}

static void
offer_add(struct offer *offer, struct text name, const struct value *value)
{
    unsigned i = 0;

    while (i < PARAMETER_COUNT && !text_is(name, parameter_names[i]))
        i++;
    if (i == PARAMETER_COUNT || offer->has[i]
        || !parameter_takes((enum parameter) i, value)) {
        offer->refused = true;
        return;
    }
    offer->has[i] = true;
    offer->bits[i] = value_bits(value);
}

/* extension-token *( ";" extension-param ); false: it is not that. */
static bool
offer_take(struct offer *offer, struct cursor *cursor)
{
    static const struct text deflate = TEXT(DEFLATE_NAME);
    struct text name;

    if (!cursor_take_token(cursor, &name))
        return false;
    offer->ours = text_is(name, deflate);
    while (cursor_take_mark(cursor, ';')) {
        struct value value = {0};

        if (!cursor_take_token(cursor, &name))
            return false;
        if (cursor_take_mark(cursor, '=') && !value_take(&value, cursor))
            return false;
        offer_add(offer, name, &value);
    }
    return true;
}

/* The deflater's window; false: the client wants a smaller one than it has. */
static bool
agree_server_window(struct ws_extension *agreed,
                    const struct ws_extension_settings *settings,
                    const struct offer *offer)
{
    uint8_t bits = offer->bits[SERVER_MAX_WINDOW_BITS];

    agreed->server_window_bits = settings->server_window_bits;
    if (bits == 0)
        return true;
    if (bits < settings->server_window_least_bits)
        return false;
    if (bits < agreed->server_window_bits)
        agreed->server_window_bits = bits;
    agreed->answer_server_bits = agreed->server_window_bits;
    return true;
}

/* The inflater's window; false: the client's is larger and can't be told. */
static bool
agree_client_window(struct ws_extension *agreed,
                    const struct ws_extension_settings *settings,
                    const struct offer *offer)
{
    uint8_t bits = offer->bits[CLIENT_MAX_WINDOW_BITS];

    /* A value is a promise, kept whatever the answer says (7.1.2.2). */
    if (bits == 0)
        bits = WS_WINDOW_MAX;
    if (bits > settings->client_window_bits) {
        if (!offer->has[CLIENT_MAX_WINDOW_BITS])
            return false;
        bits = settings->client_window_bits;
        agreed->answer_client_bits = bits;
    }
    agreed->client_window_bits = bits < INFLATE_LEAST ? INFLATE_LEAST : bits;
    return true;
}

static void
agree(struct ws_extension *agreed, const struct ws_extension_settings *settings,
      const struct offer *offer)
{
    struct ws_extension next = {.deflate = true};

    if (agreed->deflate || !offer->ours || offer->refused
        || !agree_server_window(&next, settings, offer)
        || !agree_client_window(&next, settings, offer))
        return;
    next.server_no_context_takeover = settings->server_no_context_takeover
                                      || offer->has[SERVER_NO_CONTEXT_TAKEOVER];
    next.client_no_context_takeover = settings->client_no_context_takeover
                                      || offer->has[CLIENT_NO_CONTEXT_TAKEOVER];
    *agreed = next;
}

bool
ws_extension_offer(struct ws_extension *agreed,
                   const struct ws_extension_settings *settings,
                   const char *value, size_t bytes)
{
    struct cursor cursor = {value, value + bytes};

    if (agreed->malformed)
        return false;
    for (;;) {
        struct offer offer = {0};

        cursor_skip_blanks(&cursor);
        while (cursor_take_mark(&cursor, ','))
            ;
        if (cursor.at == cursor.end)
            return true;
        if (!offer_take(&offer, &cursor)
            || (cursor.at < cursor.end && *cursor.at != ',')) {
            *agreed = (struct ws_extension){.malformed = true};
            return false;
        }
        agree(agreed, settings, &offer);
    }
}

static char *
answer_put(char *out, const char *text, size_t bytes)
{
    memcpy(out, text, bytes);
    return out + bytes;
}

static char *
answer_put_name(char *out, enum parameter parameter)
{
    struct text name = parameter_names[parameter];

    return answer_put(answer_put(out, "; ", 2), name.at, name.bytes);
}

static char *
answer_put_bits(char *out, enum parameter parameter, unsigned bits)
{
    out = answer_put_name(out, parameter);
    *out++ = '=';
    if (bits >= 10)
        *out++ = '1';
    *out++ = (char) ('0' + bits % 10);
    return out;
}

size_t
ws_extension_answer(char *out, const struct ws_extension *agreed)
{
    char *at = out;

    if (!agreed->deflate)
        return 0;
    at = answer_put(at, DEFLATE_NAME, sizeof(DEFLATE_NAME) - 1);
    if (agreed->server_no_context_takeover)
        at = answer_put_name(at, SERVER_NO_CONTEXT_TAKEOVER);
    if (agreed->client_no_context_takeover)
        at = answer_put_name(at, CLIENT_NO_CONTEXT_TAKEOVER);
    if (agreed->answer_server_bits != 0)
        at = answer_put_bits(at, SERVER_MAX_WINDOW_BITS,
                             agreed->answer_server_bits);
    if (agreed->answer_client_bits != 0)
        at = answer_put_bits(at, CLIENT_MAX_WINDOW_BITS,
                             agreed->answer_client_bits);
    return (size_t) (at - out);
}
