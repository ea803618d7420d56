/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/dialect_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define LOAD (JSON_ALLOW_NUL | JSON_DECODE_ANY)

char *
dialect_rig_quote(const char *quoted)
{
    char *text = strdup(quoted);

    assert_non_null(text);
    for (char *at = text; *at; at++)
        if (*at == '\'')
            *at = '"';
    return text;
}

json_t *
dialect_rig_tree(const char *quoted)
{
    char *text = dialect_rig_quote(quoted);
    json_t *tree = json_loads(text, LOAD, NULL);

    if (!tree)
        print_error("no JSON: %s\n", text);
    assert_non_null(tree);
    free(text);
    return tree;
}

void
dialect_rig_open(struct dialect_rig *rig, enum dialect_kind kind,
                 enum dialect_side side)
{
    assert_int_equal(dialect_create(&rig->dialect, kind, side), 0);
    assert_non_null(rig->dialect);
    rig->out = json_array();
    rig->all = json_array();
}

void
dialect_rig_close(struct dialect_rig *rig)
{
    dialect_destroy(&rig->dialect);
    assert_null(rig->dialect);
    json_decref(rig->out);
    json_decref(rig->all);
}

static void
on_text(void *arg, const char *json, size_t bytes)
{
    struct dialect_rig *rig = arg;
    json_t *tree = json_loadb(json, bytes, LOAD, NULL);

    assert_int_equal(json[bytes], 0);
    if (!tree) /* passed on as it came */
        tree = json_stringn_nocheck(json, bytes);
    assert_int_equal(json_array_append(rig->all, tree), 0);
    assert_int_equal(json_array_append_new(rig->out, tree), 0);
}

int
dialect_rig_to(struct dialect_rig *rig, const char *quoted)
{
    char *text = dialect_rig_quote(quoted);

    json_array_clear(rig->out);
    int result =
        dialect_to_peer(rig->dialect, text, strlen(text), on_text, rig);
    free(text);
    return result;
}

int
dialect_rig_from(struct dialect_rig *rig, const char *quoted)
{
    char *text = dialect_rig_quote(quoted);

    json_array_clear(rig->out);
    int result =
        dialect_from_peer(rig->dialect, text, strlen(text), on_text, rig);
    free(text);
    return result;
}

size_t
dialect_rig_answer(struct dialect_rig *rig)
{
    json_array_clear(rig->out);
    return dialect_answer(rig->dialect, on_text, rig);
}

void
dialect_rig_expect(const struct dialect_rig *rig, ...)
{
    const char *quoted;
    size_t i = 0;
    va_list args;

    va_start(args, rig);
    while ((quoted = va_arg(args, const char *)) != NULL) {
        json_t *wanted = dialect_rig_tree(quoted);
        json_t *got = json_array_get(rig->out, i++);
        if (!json_equal(wanted, got)) {
            char *text = json_dumps(got, JSON_ENCODE_ANY);
            print_error("wanted %s\ngot    %s\n", quoted,
                        text ? text : "nothing");
            free(text);
            fail();
        }
        json_decref(wanted);
    }
    va_end(args);
    assert_int_equal(json_array_size(rig->out), i);
}

static long left; /* allocations that succeed */

static void *
starving_malloc(size_t bytes)
{
    return left-- > 0 ? malloc(bytes) : NULL;
}

static void
on_dropped(void *arg, const char *json, size_t bytes)
{
    (void) arg, (void) json, (void) bytes;
}

/* Both ways, whatever they are; whether any was short of memory. */
static bool
starving_feed(struct dialect *d, const char *text)
{
    int down = dialect_from_peer(d, text, strlen(text), on_dropped, NULL);
    int up = dialect_to_peer(d, text, strlen(text), on_dropped, NULL);

    assert_true(down == 0 || down == UV_EINVAL || down == UV_ENOMEM);
    assert_true(up == 0 || up == UV_EINVAL || up == UV_ENOMEM);
    return left < 0;
}

void
dialect_rig_starve(enum dialect_kind kind, enum dialect_side side,
                   const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *text = dialect_rig_quote(texts[i]);
        bool starved = true;
        for (long n = 0; starved; n++) {
            struct dialect *d;
            assert_int_equal(dialect_create(&d, kind, side), 0);
            for (size_t before = 0; before < i; before++) {
                char *earlier = dialect_rig_quote(texts[before]);
                dialect_from_peer(d, earlier, strlen(earlier), on_dropped,
                                  NULL);
                free(earlier);
            }
            left = n;
            json_set_alloc_funcs(starving_malloc, free);
            starved = starving_feed(d, text);
            json_set_alloc_funcs(malloc, free);
            dialect_destroy(&d);
        }
        free(text);
    }
}
