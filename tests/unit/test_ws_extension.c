/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/ws_extension.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- one table: what is offered, what is answered ---- */

static const struct ws_extension_settings plain = {true, true, 9, 15, 15};
static const struct ws_extension_settings takeover = {false, false, 9, 15, 15};
static const struct ws_extension_settings server_only = {true, false, 9, 15,
                                                         15};
static const struct ws_extension_settings small = {true, true, 9, 11, 12};
static const struct ws_extension_settings tiny = {false, false, 8, 15, 9};

#define PMD       "permessage-deflate"
#define S         "; server_no_context_takeover"
#define C         "; client_no_context_takeover"
#define SB        "; server_max_window_bits"
#define CB        "; client_max_window_bits"
#define SC        PMD S C
#define NONE      ""
#define MALFORMED "malformed"

struct offer_case {
    const struct ws_extension_settings *settings;
    const char *offer; /* '\n' between headers */
    const char *answer;
    uint8_t server_bits;
    uint8_t client_bits;
};

/* What programs send, and group 13 of the Autobahn suite. */
static const struct offer_case real_cases[] = {
    /* Chrome, Edge, Node ws, Python websockets, aiohttp, Faye, .NET */
    {&plain, PMD CB, SC, 15, 15},
    {&takeover, PMD CB, PMD, 15, 15},
    {&small, PMD CB, SC CB "=12", 11, 12},
    /* Firefox, Safari, OkHttp, Jetty */
    {&plain, PMD, SC, 15, 15},
    {&takeover, PMD, PMD, 15, 15},
    {&small, PMD, NONE, 0, 0},
    /* gorilla/websocket */
    {&takeover, PMD S C, SC, 15, 15},
    /* Python websockets and ws with limits set */
    {&plain, PMD SB "=12" CB "=12", SC SB "=12", 12, 12},
    {&takeover, PMD S C SB "=10" CB "=11", SC SB "=10", 10, 11},
    /* older browsers */
    {&plain, "x-webkit-deflate-frame", NONE, 0, 0},
    {&plain, "x-webkit-deflate-frame, " PMD, SC, 15, 15},
    {&plain, PMD CB ", x-webkit-deflate-frame; no_context_takeover", SC, 15,
     15},
    {&plain, "deflate-frame; max_window_bits=15", NONE, 0, 0},
    {&plain, "bbf-usp-protocol, " PMD, SC, 15, 15},
    /* Autobahn 13.1 to 13.7 */
    {&plain, PMD C CB, SC, 15, 15},
    {&plain, PMD C CB S, SC, 15, 15},
    {&plain, PMD C CB SB "=9", SC SB "=9", 9, 15},
    {&plain, PMD C CB SB "=15", SC SB "=15", 15, 15},
    {&plain, PMD C CB S SB "=9", SC SB "=9", 9, 15},
    {&plain, PMD C CB S SB "=15", SC SB "=15", 15, 15},
    {&plain, PMD C CB S SB "=9, " PMD C CB S ", " PMD C CB, SC SB "=9", 9, 15},
    {&takeover, PMD C CB, PMD C, 15, 15},
    {&takeover, PMD C CB S, SC, 15, 15},
    {&takeover, PMD C CB SB "=9", PMD C SB "=9", 9, 15},
    {&takeover, PMD C CB SB "=15", PMD C SB "=15", 15, 15},
    {&takeover, PMD C CB S SB "=9", SC SB "=9", 9, 15},
    {&takeover, PMD C CB S SB "=15", SC SB "=15", 15, 15},
    /* the same as older Autobahns sent it */
    {&plain, PMD C CB SB "=8", NONE, 0, 0},
    {&plain, PMD C CB S SB "=8", NONE, 0, 0},
    {&plain, PMD C CB S SB "=8, " PMD C CB S ", " PMD C CB, SC, 15, 15},
    {&tiny, PMD C CB SB "=8", PMD C SB "=8" CB "=9", 8, 9},
};

static const struct offer_case parameter_cases[] = {
    /* takeover: whoever wants none gets none */
    {&takeover, PMD S, PMD S, 15, 15},
    {&takeover, PMD C, PMD C, 15, 15},
    {&server_only, PMD, PMD S, 15, 15},
    {&server_only, PMD S, PMD S, 15, 15},
    {&server_only, PMD C, SC, 15, 15},
    {&plain, PMD C S, SC, 15, 15},
    /* the server's window */
    {&plain, PMD SB "=9", SC SB "=9", 9, 15},
    {&plain, PMD SB "=10", SC SB "=10", 10, 15},
    {&plain, PMD SB "=11", SC SB "=11", 11, 15},
    {&plain, PMD SB "=13", SC SB "=13", 13, 15},
    {&plain, PMD SB "=14", SC SB "=14", 14, 15},
    {&plain, PMD SB "=15", SC SB "=15", 15, 15},
    {&small, PMD CB "=12" SB "=15", SC SB "=11", 11, 12},
    {&small, PMD CB "=12" SB "=10", SC SB "=10", 10, 12},
    {&tiny, PMD CB SB "=8", PMD SB "=8" CB "=9", 8, 9},
    {&plain, PMD SB "=8", NONE, 0, 0},
    {&plain, PMD SB "=8, " PMD SB "=9", SC SB "=9", 9, 15},
    {&plain, PMD SB "=8\n" PMD, SC, 15, 15},
    /* the client's window */
    {&plain, PMD CB "=15", SC, 15, 15},
    {&plain, PMD CB "=10", SC, 15, 10},
    {&plain, PMD CB "=9", SC, 15, 9},
    {&plain, PMD CB "=8", SC, 15, 9},
    {&small, PMD CB "=15", SC CB "=12", 11, 12},
    {&small, PMD CB "=13", SC CB "=12", 11, 12},
    {&small, PMD CB "=12", SC, 11, 12},
    {&small, PMD CB "=8", SC, 11, 9},
    {&tiny, PMD CB "=8", PMD, 15, 9},
    {&tiny, PMD CB "=10", PMD CB "=9", 15, 9},
    {&small, PMD S, NONE, 0, 0},
    {&small, PMD ", " PMD CB, SC CB "=12", 11, 12},
    {&small, PMD CB SB "=15", SC SB "=11" CB "=12", 11, 12},
    /* values in quotes stand for what is in them */
    {&plain, PMD SB "=\"10\"", SC SB "=10", 10, 15},
    {&plain, PMD SB "=\"1\\0\"", SC SB "=10", 10, 15},
    {&plain, PMD SB "=\"\\9\"", SC SB "=9", 9, 15},
    {&plain, PMD CB "=\"12\"", SC, 15, 12},
    {&plain, PMD SB "=\"8\"", NONE, 0, 0},
    /* offers that are declined */
    {&plain, PMD SB, NONE, 0, 0},
    {&plain, PMD SB "=7", NONE, 0, 0},
    {&plain, PMD SB "=16", NONE, 0, 0},
    {&plain, PMD SB "=0", NONE, 0, 0},
    {&plain, PMD SB "=1", NONE, 0, 0},
    {&plain, PMD SB "=010", NONE, 0, 0},
    {&plain, PMD SB "=09", NONE, 0, 0},
    {&plain, PMD SB "=9.0", NONE, 0, 0},
    {&plain, PMD SB "=+9", NONE, 0, 0},
    {&plain, PMD SB "=-9", NONE, 0, 0},
    {&plain, PMD SB "=1a", NONE, 0, 0},
    {&plain, PMD SB "=a0", NONE, 0, 0},
    {&plain, PMD SB "=100", NONE, 0, 0},
    {&plain, PMD SB "=150", NONE, 0, 0},
    {&plain, PMD SB "=4294967305", NONE, 0, 0},
    {&plain, PMD SB "=18446744073709551625", NONE, 0, 0},
    {&plain, PMD CB "=7", NONE, 0, 0},
    {&plain, PMD CB "=16", NONE, 0, 0},
    {&plain, PMD CB "=08", NONE, 0, 0},
    {&plain, PMD CB "=true", NONE, 0, 0},
    {&plain, PMD S "=1", NONE, 0, 0},
    {&plain, PMD S "=true", NONE, 0, 0},
    {&plain, PMD S "=\"10\"", NONE, 0, 0},
    {&plain, PMD C "=15", NONE, 0, 0},
    {&plain, PMD S S, NONE, 0, 0},
    {&plain, PMD C C, NONE, 0, 0},
    {&plain, PMD SB "=10" SB "=10", NONE, 0, 0},
    {&plain, PMD CB CB, NONE, 0, 0},
    {&plain, PMD CB CB "=10", NONE, 0, 0},
    {&plain, PMD "; unknown", NONE, 0, 0},
    {&plain, PMD "; unknown=1", NONE, 0, 0},
    {&plain, PMD "; mode=\"fast\"", NONE, 0, 0},
    {&plain, PMD S "s", NONE, 0, 0},
    {&plain, PMD "; server_max_window_bit=10", NONE, 0, 0},
    {&plain, PMD "; permessage-deflate", NONE, 0, 0},
    /* a declined one is not the last word */
    {&plain, PMD "; unknown, " PMD, SC, 15, 15},
    {&plain, PMD S "=1, " PMD SB "=7, " PMD SB "=10", SC SB "=10", 10, 15},
    {&plain, PMD SB "=10, " PMD SB "=12", SC SB "=10", 10, 15},
};

static const struct offer_case grammar_cases[] = {
    /* names are what they are */
    {&plain, "Permessage-Deflate", NONE, 0, 0},
    {&plain, "PERMESSAGE-DEFLATE", NONE, 0, 0},
    {&plain, PMD "; Server_No_Context_Takeover", NONE, 0, 0},
    {&plain, "x-permessage-deflate", NONE, 0, 0},
    {&plain, "permessage-deflate-foo", NONE, 0, 0},
    {&plain, "x-permessage-deflate-foo; client_max_window_bits", NONE, 0, 0},
    {&plain, "permessage-deflat", NONE, 0, 0},
    {&plain, "foo; permessage-deflate", NONE, 0, 0},
    {&plain, "foo=1", MALFORMED, 0, 0},
    {&plain, "foo; a=permessage-deflate, " PMD, SC, 15, 15},
    {&plain, "foo; a=\"permessage-deflate\"", NONE, 0, 0},
    {&plain, "!#$%&'*+-.^_`|~09azAZ; b=!#$%&'*+-.^_`|~, " PMD, SC, 15, 15},
    /* blanks and empty elements */
    {&plain, "", NONE, 0, 0},
    {&plain, " \t ", NONE, 0, 0},
    {&plain, ",", NONE, 0, 0},
    {&plain, " , ,, \t,", NONE, 0, 0},
    {&plain, "," PMD, SC, 15, 15},
    {&plain, ", , " PMD " , ,", SC, 15, 15},
    {&plain, "\t " PMD " \t", SC, 15, 15},
    {&plain, PMD ";client_max_window_bits;server_max_window_bits=10",
     SC SB "=10", 10, 15},
    {&plain, PMD " \t;\t server_max_window_bits \t= 10 ", SC SB "=10", 10, 15},
    {&plain, PMD ";server_max_window_bits = \"10\" ; client_max_window_bits",
     SC SB "=10", 10, 15},
    {&plain, "foo,," PMD, SC, 15, 15},
    /* several headers are one list */
    {&plain, "foo\n" PMD, SC, 15, 15},
    {&plain, "\n\n" PMD "\n", SC, 15, 15},
    {&plain, PMD SB "=10\n" PMD SB "=12", SC SB "=10", 10, 15},
    {&plain, PMD SB "=7\n" PMD SB "=12", SC SB "=12", 12, 15},
    /* no grammar */
    {&plain, PMD ";", MALFORMED, 0, 0},
    {&plain, PMD "; ", MALFORMED, 0, 0},
    {&plain, PMD ";;" S, MALFORMED, 0, 0},
    {&plain, PMD ";,", MALFORMED, 0, 0},
    {&plain, ";" PMD, MALFORMED, 0, 0},
    {&plain, "=" PMD, MALFORMED, 0, 0},
    {&plain, "; server_no_context_takeover", MALFORMED, 0, 0},
    {&plain, PMD " client_max_window_bits", MALFORMED, 0, 0},
    {&plain, PMD CB " 10", MALFORMED, 0, 0},
    {&plain, PMD CB "=", MALFORMED, 0, 0},
    {&plain, PMD CB "=;", MALFORMED, 0, 0},
    {&plain, PMD CB "=,", MALFORMED, 0, 0},
    {&plain, PMD CB "==10", MALFORMED, 0, 0},
    {&plain, PMD CB "=10=10", MALFORMED, 0, 0},
    {&plain, PMD "; =10", MALFORMED, 0, 0},
    {&plain, PMD CB "=1,0;", MALFORMED, 0, 0},
    {&plain, PMD CB "=10 11", MALFORMED, 0, 0},
    {&plain, PMD CB "=\"", MALFORMED, 0, 0},
    {&plain, PMD CB "=\"\"", MALFORMED, 0, 0},
    {&plain, PMD CB "=\"10", MALFORMED, 0, 0},
    {&plain, PMD CB "=\"10\\", MALFORMED, 0, 0},
    {&plain, PMD CB "=\"10\\\"", MALFORMED, 0, 0},
    {&plain, PMD CB "=\"1 0\"", MALFORMED, 0, 0},
    {&plain, PMD CB "=\" 10\"", MALFORMED, 0, 0},
    {&plain, PMD CB "=\"1\\\"0\"", MALFORMED, 0, 0},
    {&plain, PMD CB "=\"10\"1", MALFORMED, 0, 0},
    {&plain, PMD CB "=1\"0\"", MALFORMED, 0, 0},
    {&plain, PMD CB "='10'", NONE, 0, 0},
    {&plain, "\"permessage-deflate\"", MALFORMED, 0, 0},
    {&plain, "foo; a=\"b, " PMD, MALFORMED, 0, 0},
    {&plain, "foo; a=\"b,c\", " PMD, MALFORMED, 0, 0},
    {&plain, "permessage/deflate", MALFORMED, 0, 0},
    {&plain, "permessage-deflate(1)", MALFORMED, 0, 0},
    {&plain,
     "perm\x7f"
     "essage-deflate",
     MALFORMED, 0, 0},
    {&plain, "\xc3\xa9, " PMD, MALFORMED, 0, 0},
    {&plain, PMD "; \xc3\xa9", MALFORMED, 0, 0},
    {&plain, PMD "\x0b", MALFORMED, 0, 0},
    {&plain, PMD "\r", MALFORMED, 0, 0},
    /* anywhere: what was good before it is not taken either */
    {&plain, PMD ", foo;", MALFORMED, 0, 0},
    {&plain, PMD ", =", MALFORMED, 0, 0},
    {&plain, PMD "\n;", MALFORMED, 0, 0},
    {&plain, ";\n" PMD, MALFORMED, 0, 0},
    {&plain, "a b\n\n" PMD, MALFORMED, 0, 0},
};

/* Every header is copied to memory of its size: a read beyond it is seen. */
static bool
offer_lines(struct ws_extension *agreed,
            const struct ws_extension_settings *settings, const char *lines)
{
    bool ok = true;

    for (;;) {
        size_t bytes = strcspn(lines, "\n");
        char *copy = malloc(bytes + (bytes == 0));

        assert_non_null(copy);
        memcpy(copy, lines, bytes);
        ok = ws_extension_offer(agreed, settings, copy, bytes);
        free(copy);
        if (lines[bytes] == '\0')
            return ok;
        lines += bytes + 1;
    }
}

static void
check_case(const struct offer_case *c)
{
    struct ws_extension agreed = {0};
    bool malformed = strcmp(c->answer, MALFORMED) == 0;
    bool deflate = !malformed && c->answer[0] != '\0';
    char answer[WS_EXTENSION_ANSWER_MAX + 1];
    bool ok = offer_lines(&agreed, c->settings, c->offer);

    answer[ws_extension_answer(answer, &agreed)] = '\0';
    if (ok == malformed || agreed.malformed != malformed
        || agreed.deflate != deflate
        || strcmp(answer, malformed ? "" : c->answer) != 0
        || agreed.server_window_bits != c->server_bits
        || agreed.client_window_bits != c->client_bits)
        fail_msg("offer: %s\nanswer: %s\nexpected: %s\nwindows: %u, %u",
                 c->offer, answer, c->answer, agreed.server_window_bits,
                 agreed.client_window_bits);
    assert_int_equal(agreed.server_no_context_takeover,
                     strstr(answer, S) != NULL);
    assert_int_equal(agreed.client_no_context_takeover,
                     strstr(answer, C) != NULL);
}

#define CHECK_CASES(cases)                                                     \
    for (size_t i = 0; i < sizeof(cases) / sizeof((cases)[0]); i++)            \
    check_case(&(cases)[i])

static void
test_offers_of_real_clients(void **state)
{
    (void) state;
    CHECK_CASES(real_cases);
}

static void
test_parameters(void **state)
{
    (void) state;
    CHECK_CASES(parameter_cases);
}

static void
test_grammar(void **state)
{
    (void) state;
    CHECK_CASES(grammar_cases);
}

/* ---- every combination of parameters ---- */

static const char *const server_bits_texts[] = {
    "",       SB "=8",  SB "=9",  SB "=10", SB "=11",
    SB "=12", SB "=13", SB "=14", SB "=15",
};
static const char *const client_bits_texts[] = {
    "",       CB,       CB "=8",  CB "=9",  CB "=10",
    CB "=11", CB "=12", CB "=13", CB "=14", CB "=15",
};

static unsigned
least_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* server, client: index into the texts above. */
static void
check_combination(const struct ws_extension_settings *settings, unsigned flags,
                  unsigned server, unsigned client)
{
    unsigned server_bits = server == 0 ? 15 : server + 7;
    unsigned client_bits = client < 2 ? 15 : client + 6;
    struct offer_case c = {settings, NULL, NONE, 0, 0};
    bool server_flag = (flags & 1) || settings->server_no_context_takeover;
    bool client_flag = (flags & 2) || settings->client_no_context_takeover;
    char offer[256], answer[256], server_text[64] = "", client_text[64] = "";

    snprintf(offer, sizeof(offer), PMD "%s%s%s%s", flags & 1 ? S : "",
             server_bits_texts[server], client_bits_texts[client],
             flags & 2 ? C : "");
    c.offer = offer;
    if (server_bits >= settings->server_window_least_bits
        && (client > 0 || settings->client_window_bits == 15)) {
        c.server_bits =
            (uint8_t) least_of(server_bits, settings->server_window_bits);
        c.client_bits =
            (uint8_t) least_of(client_bits, settings->client_window_bits);
        if (server > 0)
            snprintf(server_text, sizeof(server_text), SB "=%u", c.server_bits);
        if (c.client_bits < client_bits)
            snprintf(client_text, sizeof(client_text), CB "=%u", c.client_bits);
        if (c.client_bits < 9)
            c.client_bits = 9;
        snprintf(answer, sizeof(answer), PMD "%s%s%s%s", server_flag ? S : "",
                 client_flag ? C : "", server_text, client_text);
        c.answer = answer;
    }
    check_case(&c);
}

static void
test_every_combination(void **state)
{
    (void) state;
    for (unsigned choice = 0; choice < 4u * 2 * 7 * 7; choice++) {
        struct ws_extension_settings settings = {
            choice & 1, choice & 2, (uint8_t) (8 + choice / 4 % 2),
            (uint8_t) (9 + choice / 8 % 7), (uint8_t) (9 + choice / 56)};

        for (unsigned flags = 0; flags < 4; flags++) {
            for (unsigned pair = 0; pair < 90; pair++)
                check_combination(&settings, flags, pair / 10, pair % 10);
        }
    }
}

/* ---- bounds ---- */

static void
test_longest_answer(void **state)
{
    static const struct ws_extension_settings settings = {true, true, 9, 15,
                                                          14};
    static const char offer[] = PMD CB SB "=15";
    struct ws_extension agreed = {0};
    char answer[WS_EXTENSION_ANSWER_MAX];

    (void) state;
    assert_true(
        ws_extension_offer(&agreed, &settings, offer, sizeof(offer) - 1));
    assert_int_equal(ws_extension_answer(answer, &agreed), sizeof(answer));
    assert_memory_equal(answer, SC SB "=15" CB "=14", sizeof(answer));
}

static void
test_nul_is_no_grammar(void **state)
{
    static const char inside[] = PMD "\0, foo";
    static const char quoted[] = PMD SB "=\"1\0\"";
    struct ws_extension agreed = {0};

    (void) state;
    assert_false(
        ws_extension_offer(&agreed, &plain, inside, sizeof(inside) - 1));
    agreed = (struct ws_extension){0};
    assert_false(
        ws_extension_offer(&agreed, &plain, quoted, sizeof(quoted) - 1));
    agreed = (struct ws_extension){0};
    assert_false(ws_extension_offer(&agreed, &plain, "\0", 1));
}

/* Every beginning of a header has its answer too, without a read beyond. */
static void
test_every_prefix(void **state)
{
    static const char whole[] =
        "a;b=\"\\c\", " PMD SB "=\"1\\0\"" CB "=12 ," PMD S C;

    (void) state;
    for (size_t bytes = 0; bytes < sizeof(whole); bytes++) {
        struct ws_extension agreed = {0};
        char *copy = malloc(bytes + (bytes == 0));

        assert_non_null(copy);
        memcpy(copy, whole, bytes);
        ws_extension_offer(&agreed, &plain, copy, bytes);
        free(copy);
        assert_false(agreed.malformed && agreed.deflate);
    }
}

static void
test_very_long_header(void **state)
{
    static const char piece[] = PMD "; unknown=\"aaaaaaaaaaaaaaa\",,";
    const size_t bytes = sizeof(piece) - 1, count = 20000;
    struct ws_extension agreed = {0};
    char *header = malloc(bytes * count + sizeof(PMD));

    (void) state;
    assert_non_null(header);
    for (size_t i = 0; i < count; i++)
        memcpy(header + i * bytes, piece, bytes);
    memcpy(header + bytes * count, PMD, sizeof(PMD));
    assert_true(ws_extension_offer(&agreed, &plain, header,
                                   bytes * count + sizeof(PMD) - 1));
    assert_true(agreed.deflate);
    free(header);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offers_of_real_clients),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_every_combination),
        cmocka_unit_test(test_longest_answer),
        cmocka_unit_test(test_nul_is_no_grammar),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_very_long_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
