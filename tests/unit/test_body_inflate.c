/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/body_inflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define MOST (1 << 20)

/* Counts allocations; the one numbered fail_at gives none. */
struct heap {
    size_t count, held, fail_at, bytes;
};

static void *
heap_alloc(void *arg, size_t bytes)
{
    struct heap *heap = arg;

    if (++heap->count == heap->fail_at)
        return NULL;
    heap->held++;
    heap->bytes += bytes;
    return malloc(bytes);
}

static void
heap_release(void *arg, void *memory)
{
    struct heap *heap = arg;

    heap->held--;
    free(memory);
}

static struct body_inflate_config
config(struct heap *heap, enum body_coding coding)
{
    return (struct body_inflate_config){.coding = coding,
                                        .alloc = heap_alloc,
                                        .release = heap_release,
                                        .arg = heap};
}

struct bytes {
    uint8_t *data;
    size_t bytes;
};

/* wbits as zlib has them: 31 gzip, 15 zlib, -15 raw. */
static struct bytes
pack(const void *plain, size_t bytes, int wbits)
{
    z_stream z = {0};
    struct bytes packed;

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, wbits, 8, 0), Z_OK);
    packed.bytes = deflateBound(&z, bytes) + 64;
    packed.data = malloc(packed.bytes);
    assert_non_null(packed.data);
    z.next_in = (Bytef *) (uintptr_t) plain;
    z.avail_in = (uInt) bytes;
    z.next_out = packed.data;
    z.avail_out = (uInt) packed.bytes;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed.bytes -= z.avail_out;
    deflateEnd(&z);
    return packed;
}

/* Everything through, `step` bytes of input and `room` bytes of output at a
 * time; gives the result and what came out. */
static enum body_result
unpack(const struct body_inflate_config *cfg, struct bytes in, size_t step,
       size_t room, struct bytes *out)
{
    struct body_inflate *b;
    enum body_result result = body_inflate_create(&b, cfg);
    size_t at = 0;

    if (result != BODY_NEED_INPUT)
        return result;
    out->bytes = 0;
    while (result == BODY_NEED_INPUT && at < in.bytes) {
        size_t piece = step < in.bytes - at ? step : in.bytes - at;
        struct body_span s = {.in = in.data + at, .in_bytes = piece};

        at += piece;
        do {
            assert_true(out->bytes + room <= MOST);
            s.out = out->data + out->bytes;
            s.room = room;
            result = body_inflate_push(b, &s);
            out->bytes += room - s.room;
        } while (result == BODY_NEED_ROOM);
    }
    if (result == BODY_NEED_INPUT)
        result = body_inflate_finish(b);
    assert_int_equal(body_inflate_made(b), out->bytes);
    assert_true(body_inflate_received(b) <= in.bytes);
    assert_non_null(body_inflate_problem(b));
    body_inflate_destroy(b);
    return result;
}

static void
fill(uint8_t *data, size_t bytes)
{
    unsigned seed = 1;

    for (size_t i = 0; i < bytes; i++) {
        seed = seed * 1103515245 + 12345;
        data[i] = i % 4096 < 2048 ? (uint8_t) (seed >> 16) : 'w';
    }
}

static void
test_codings(void **state)
{
    static const struct {
        const char *value;
        enum body_coding coding;
    } table[] = {
        {"", BODY_IDENTITY},
        {"identity", BODY_IDENTITY},
        {"IDENTITY ,, identity", BODY_IDENTITY},
        {"gzip", BODY_GZIP},
        {"GZip", BODY_GZIP},
        {"x-gzip", BODY_GZIP},
        {" \tgzip\t ", BODY_GZIP},
        {",gzip,", BODY_GZIP},
        {"identity,gzip", BODY_GZIP},
        {"deflate", BODY_DEFLATE},
        {"gzip,gzip", BODY_UNKNOWN},
        {"gzip, deflate", BODY_UNKNOWN},
        {"br", BODY_UNKNOWN},
        {"br, identity", BODY_UNKNOWN},
        {"gzi", BODY_UNKNOWN},
        {"gzipp", BODY_UNKNOWN},
        {"gzip;q=1", BODY_UNKNOWN},
        {"gzip gzip", BODY_UNKNOWN},
        {"x-deflate", BODY_UNKNOWN},
        {"*", BODY_UNKNOWN},
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t n = strlen(table[i].value);
        char *value = malloc(n + 1);

        /* No NUL behind it. */
        assert_non_null(value);
        memcpy(value, table[i].value, n);
        value = realloc(value, n > 0 ? n : 1);
        assert_int_equal(body_coding_add(BODY_IDENTITY, value, n),
                         table[i].coding);
        assert_int_equal(body_coding_add(BODY_GZIP, value, n),
                         table[i].coding == BODY_IDENTITY ? BODY_GZIP
                                                          : BODY_UNKNOWN);
        free(value);
    }
}

static void
test_round_trips(void **state)
{
    static const int wbits[] = {31, 15, -15};
    static const size_t sizes[] = {0, 1, 2, 4096, 4097, 65536, 300000};
    static const size_t steps[][2] = {{MOST, 4096}, {1, 4096}, {13, 1}, {1, 7}};
    uint8_t *plain = malloc(MOST);
    struct bytes out = {malloc(MOST), 0};

    (void) state;
    assert_non_null(plain);
    fill(plain, MOST);
    for (size_t i = 0; i < 3 * 7 * 4; i++) {
        int bits = wbits[i / 28];
        size_t size = sizes[i / 4 % 7];
        struct heap heap = {0};
        struct body_inflate_config cfg =
            config(&heap, bits == 31 ? BODY_GZIP : BODY_DEFLATE);
        struct bytes in = pack(plain, size, bits);

        assert_int_equal(
            unpack(&cfg, in, steps[i % 4][0], steps[i % 4][1], &out),
            BODY_NEED_INPUT);
        assert_int_equal(out.bytes, size);
        assert_memory_equal(out.data, plain, size);
        assert_int_equal(heap.held, 0);
        assert_true(heap.bytes < 48 * 1024);
        free(in.data);
    }
    free(plain);
    free(out.data);
}

/* Each prefix of a body is no body. */
static void
test_every_cut(void **state)
{
    static const int wbits[] = {31, 15, -15};
    uint8_t plain[500];
    struct bytes out = {malloc(MOST), 0};

    (void) state;
    fill(plain, sizeof plain);
    for (size_t i = 0; i < 3; i++) {
        struct heap heap = {0};
        struct body_inflate_config cfg =
            config(&heap, wbits[i] == 31 ? BODY_GZIP : BODY_DEFLATE);
        struct bytes in = pack(plain, sizeof plain, wbits[i]);

        for (size_t cut = 0; cut < in.bytes; cut++) {
            struct bytes part = {in.data, cut};

            assert_int_equal(unpack(&cfg, part, 50, 64, &out), BODY_CORRUPT);
        }
        assert_int_equal(heap.held, 0);
        free(in.data);
    }
    free(out.data);
}

/* A byte behind the end is an error; a member is not, where there are any. */
static void
test_behind_the_end(void **state)
{
    static const int wbits[] = {31, 15, -15};
    struct bytes out = {malloc(MOST), 0};

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        struct heap heap = {0};
        struct body_inflate_config cfg =
            config(&heap, wbits[i] == 31 ? BODY_GZIP : BODY_DEFLATE);
        struct bytes in = pack("weather", 7, wbits[i]);
        struct bytes twice = {malloc(2 * in.bytes), 2 * in.bytes};

        assert_non_null(twice.data);
        memcpy(twice.data, in.data, in.bytes);
        memcpy(twice.data + in.bytes, in.data, in.bytes);
        for (size_t step = 1; step < 40; step += 19) {
            assert_int_equal(unpack(&cfg, twice, step, 5, &out),
                             i == 0 ? BODY_NEED_INPUT : BODY_CORRUPT);
            if (i == 0)
                assert_memory_equal(out.data, "weatherweather", 14);
            twice.bytes = in.bytes + 1;
            assert_int_equal(unpack(&cfg, twice, step, 5, &out), BODY_CORRUPT);
            twice.bytes = 2 * in.bytes;
        }
        assert_int_equal(heap.held, 0);
        free(in.data);
        free(twice.data);
    }
    free(out.data);
}

static void
test_limits(void **state)
{
    static uint8_t zeros[MOST / 2];
    struct bytes out = {malloc(MOST), 0};
    struct bytes in = pack(zeros, sizeof zeros, 31);
    struct heap heap = {0};
    struct body_inflate_config cfg = config(&heap, BODY_GZIP);
    uint64_t ratio = sizeof zeros / in.bytes;

    (void) state;
    cfg.bytes_max = sizeof zeros;
    assert_int_equal(unpack(&cfg, in, MOST, 4096, &out), BODY_NEED_INPUT);
    cfg.bytes_max--;
    assert_int_equal(unpack(&cfg, in, MOST, 4096, &out), BODY_TOO_LARGE);
    assert_true(out.bytes <= sizeof zeros);
    cfg.bytes_max = 1;
    assert_int_equal(unpack(&cfg, in, MOST, 4096, &out), BODY_TOO_LARGE);
    assert_true(out.bytes <= 4096);

    cfg.bytes_max = 0;
    cfg.ratio_max = ratio * 2;
    assert_int_equal(unpack(&cfg, in, MOST, 4096, &out), BODY_NEED_INPUT);
    cfg.ratio_max = ratio / 2;
    assert_int_equal(unpack(&cfg, in, MOST, 4096, &out), BODY_TOO_LARGE);
    assert_true(out.bytes <= BODY_RATIO_FREE + 4096);
    cfg.ratio_max = UINT64_MAX;
    assert_int_equal(unpack(&cfg, in, MOST, 4096, &out), BODY_NEED_INPUT);
    free(in.data);

    /* So many bytes may be made of anything. */
    in = pack(zeros, BODY_RATIO_FREE, 31);
    cfg.ratio_max = 1;
    assert_int_equal(unpack(&cfg, in, MOST, 4096, &out), BODY_NEED_INPUT);
    assert_int_equal(heap.held, 0);
    free(in.data);
    free(out.data);
}

/* Whichever allocation fails: an error, and nothing is kept. */
static void
test_no_memory(void **state)
{
    uint8_t *plain = malloc(100000);
    struct bytes in, out = {malloc(MOST), 0};
    size_t needed = 0;

    (void) state;
    assert_non_null(plain);
    fill(plain, 100000);
    in = pack(plain, 100000, 31);
    for (size_t at = 1;; at++) {
        struct heap heap = {.fail_at = at};
        struct body_inflate_config cfg = config(&heap, BODY_GZIP);
        enum body_result result = unpack(&cfg, in, 1000, 1000, &out);

        assert_int_equal(heap.held, 0);
        if (heap.count < at) {
            assert_int_equal(result, BODY_NEED_INPUT);
            break;
        }
        assert_int_equal(result, BODY_NO_MEMORY);
        needed = at;
    }
    assert_true(needed >= 3);
    body_inflate_destroy(NULL);
    free(plain);
    free(in.data);
    free(out.data);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codings),   cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_every_cut), cmocka_unit_test(test_behind_the_end),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
