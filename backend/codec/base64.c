/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/base64.h"

#include <stdbool.h>
#include <string.h>
#include <uv.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AVX2 1
#endif

/*
 *   encode: 3 bytes ─► 2 x 12 bits ─► pair table (8 KB) ─► 4 characters
 *   decode: 4 characters ─► one table each, already shifted ─► or ─► 3 bytes
 *
 * A wrong character has BAD in every table, above the 24 bits of a good sum,
 * so that one test finds any of the four.
 */
#define BAD 0x01000000u

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char pairs[4096][2];
static uint32_t values[4][256];

/* Each codes whole groups only and gives how many source bytes it did. */
struct variant {
    const char *name;
    size_t (*encode)(char *to, const uint8_t *from, size_t bytes);
    size_t (*decode)(uint8_t *to, const char *from, size_t chars);
};

static size_t
encode_none(char *to, const uint8_t *from, size_t bytes)
{
    (void) to;
    (void) from;
    (void) bytes;
    return 0;
}

static size_t
decode_none(uint8_t *to, const char *from, size_t chars)
{
    (void) to;
    (void) from;
    (void) chars;
    return 0;
}

static const struct variant table_variant = {"table", encode_none, decode_none};
static const struct variant *variant = &table_variant;

#ifdef HAVE_AVX2

/*
 * 24 bytes to 32 characters a round. Each lane holds 12 bytes; a shuffle lays
 * every 3 of them into 4, two multiplications cut out the four 6-bit fields,
 * and the character is the field plus an offset that depends on its range.
 * Loads take 16 bytes for 12, hence the 28.
 */
__attribute__((target("avx2"))) static size_t
encode_avx2(char *to, const uint8_t *from, size_t bytes)
{
    const __m256i spread =
        _mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10, 1,
                         0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
    const __m256i offsets = _mm256_setr_epi8(
        71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 65, 0, 0, 71, -4,
        -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 65, 0, 0);
    size_t done = 0;

    for (; bytes - done >= 28; done += 24, to += 32) {
        __m128i low = _mm_loadu_si128((const void *) (from + done));
        __m128i high = _mm_loadu_si128((const void *) (from + done + 12));
        __m256i in = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), spread);
        __m256i odd = _mm256_mulhi_epu16(
            _mm256_and_si256(in, _mm256_set1_epi32(0x0fc0fc00)),
            _mm256_set1_epi32(0x04000040));
        __m256i even = _mm256_mullo_epi16(
            _mm256_and_si256(in, _mm256_set1_epi32(0x003f03f0)),
            _mm256_set1_epi32(0x01000010));
        __m256i field = _mm256_or_si256(odd, even);
        /* 0: a-z, 1..10: digits, 11: +, 12: /, and 13: A-Z */
        __m256i range = _mm256_subs_epu8(field, _mm256_set1_epi8(51));
        __m256i upper = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), field);

        range = _mm256_or_si256(range,
                                _mm256_and_si256(upper, _mm256_set1_epi8(13)));
        _mm256_storeu_si256(
            (void *) to,
            _mm256_add_epi8(field, _mm256_shuffle_epi8(offsets, range)));
    }
    return done;
}

/*
 * 32 characters to 24 bytes a round. The high nibble tells the range; the two
 * check tables have a common bit for every character outside the alphabet.
 * Stores are exact, so that decoding in place never runs ahead of reading.
 */
__attribute__((target("avx2"))) static size_t
decode_avx2(uint8_t *to, const char *from, size_t chars)
{
    const __m256i check_low = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                      0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a));
    const __m256i check_high = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10,
                      0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10));
    const __m256i offsets = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m256i gather = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
    const __m256i slash = _mm256_set1_epi8(0x2f);
    size_t done = 0;

    for (; chars - done >= 32; done += 32, to += 24) {
        __m256i in = _mm256_loadu_si256((const void *) (from + done));
        __m256i high = _mm256_and_si256(_mm256_srli_epi32(in, 4), slash);
        __m256i low = _mm256_and_si256(in, slash);
        __m256i is_slash = _mm256_cmpeq_epi8(in, slash);

        if (!_mm256_testz_si256(_mm256_shuffle_epi8(check_low, low),
                                _mm256_shuffle_epi8(check_high, high)))
            break; /* the tables find the place */
        in = _mm256_add_epi8(
            in, _mm256_shuffle_epi8(offsets, _mm256_add_epi8(is_slash, high)));
        in = _mm256_maddubs_epi16(in, _mm256_set1_epi32(0x01400140));
        in = _mm256_madd_epi16(in, _mm256_set1_epi32(0x00011000));
        in = _mm256_shuffle_epi8(in, gather);
        in = _mm256_permutevar8x32_epi32(
            in, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
        _mm_storeu_si128((void *) to, _mm256_castsi256_si128(in));
        _mm_storel_epi64((void *) (to + 16), _mm256_extracti128_si256(in, 1));
    }
    return done;
}

static const struct variant avx2_variant = {"avx2", encode_avx2, decode_avx2};

static const struct variant *
variant_avx2(void)
{
    return __builtin_cpu_supports("avx2") ? &avx2_variant : NULL;
}

#else

static const struct variant *
variant_avx2(void)
{
    return NULL;
}

#endif

__attribute__((constructor)) static void
tables_fill(void)
{
    for (unsigned i = 0; i < 4096; i++) {
        pairs[i][0] = alphabet[i >> 6];
        pairs[i][1] = alphabet[i & 63];
    }
    for (unsigned place = 0; place < 4; place++) {
        for (unsigned c = 0; c < 256; c++)
            values[place][c] = BAD;
        for (unsigned i = 0; i < 64; i++)
            values[place][(uint8_t) alphabet[i]] = i << (18 - 6 * place);
    }
#ifdef HAVE_AVX2
    __builtin_cpu_init();
#endif
    if (variant_avx2() != NULL)
        variant = variant_avx2();
}

static void
encode_three(char *to, const uint8_t *from)
{
    unsigned bits =
        (unsigned) from[0] << 16 | (unsigned) from[1] << 8 | from[2];

    memcpy(to, pairs[bits >> 12], 2);
    memcpy(to + 2, pairs[bits & 0xfff], 2);
}

size_t
base64_encode(char *to, const void *from, size_t bytes)
{
    const uint8_t *in = from;
    const uint8_t *end = in + bytes;
    char *out = to;
    size_t done = variant->encode(to, in, bytes);

    in += done;
    out += done / 3 * 4;
    for (; end - in >= 3; in += 3, out += 4)
        encode_three(out, in);
    if (end - in > 0) {
        uint8_t last[3] = {in[0], end - in > 1 ? in[1] : 0, 0};

        encode_three(out, last);
        out[3] = '=';
        if (end - in == 1)
            out[2] = '=';
        out += 4;
    }
    return (size_t) (out - to);
}

static uint32_t
group_bits(const char *from)
{
    return values[0][(uint8_t) from[0]] | values[1][(uint8_t) from[1]]
           | values[2][(uint8_t) from[2]] | values[3][(uint8_t) from[3]];
}

/* The last group, which alone may be padded. Gives its bytes or UV_EINVAL. */
static ssize_t
decode_last(uint8_t *to, const char *from)
{
    char group[4];
    unsigned padding = from[3] != '=' ? 0 : from[2] != '=' ? 1 : 2;
    uint32_t unused = padding == 0 ? 0 : padding == 1 ? 0xff : 0xffff;
    uint32_t bits;

    memcpy(group, from, sizeof group);
    memset(group + sizeof group - padding, 'A', padding);
    bits = group_bits(group);
    if (bits & (BAD | unused))
        return UV_EINVAL;
    to[0] = (uint8_t) (bits >> 16);
    if (padding < 2)
        to[1] = (uint8_t) (bits >> 8);
    if (padding < 1)
        to[2] = (uint8_t) bits;
    return 3 - (ssize_t) padding;
}

ssize_t
base64_decode(void *to, const char *from, size_t chars)
{
    uint8_t *out = to;
    size_t whole, done;
    ssize_t last;

    if (chars == 0)
        return 0;
    if (chars % 4 != 0)
        return UV_EINVAL;
    whole = chars - 4;
    done = variant->decode(out, from, whole);
    out += done / 4 * 3;
    for (; done < whole; done += 4, out += 3) {
        uint32_t bits = group_bits(from + done);

        if (bits & BAD)
            return UV_EINVAL;
        out[0] = (uint8_t) (bits >> 16);
        out[1] = (uint8_t) (bits >> 8);
        out[2] = (uint8_t) bits;
    }
    last = decode_last(out, from + whole);
    return last < 0 ? last : out - (uint8_t *) to + last;
}

ssize_t
base64_decoded_bytes(const char *from, size_t chars)
{
    if (chars % 4 != 0)
        return UV_EINVAL;
    if (chars == 0)
        return 0;
    return (ssize_t) (chars / 4 * 3) - (from[chars - 1] == '=')
           - (from[chars - 1] == '=' && from[chars - 2] == '=');
}

const char *
base64_variant(void)
{
    return variant->name;
}

int
base64_use(const char *name)
{
    if (strcmp(name, "table") == 0)
        variant = &table_variant;
    else if (strcmp(name, "avx2") == 0 && variant_avx2() != NULL)
        variant = variant_avx2();
    else
        return UV_ENOTSUP;
    return 0;
}
