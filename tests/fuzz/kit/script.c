/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/script.h"

#include <string.h>
#include <zlib.h>

void
dice_init(struct dice *dice, uint32_t seed)
{
    dice->state = seed * 2654435761u | 1;
}

uint32_t
dice_roll(struct dice *dice, uint32_t sides)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 17;
    dice->state ^= dice->state << 5;
    return sides > 0 ? dice->state % sides : 0;
}

uint8_t
input_byte(struct input *input)
{
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->data++;
}

uint32_t
input_number(struct input *input, unsigned bytes)
{
    uint32_t number = 0;

    while (bytes-- > 0) {
        number = number << 8 | input_byte(input);
    }
    return number;
}

struct input
input_part(struct input *input, size_t count)
{
    struct input part = {input->data, count};

    if (part.left > input->left) {
        part.left = input->left;
    }
    input->data += part.left;
    input->left -= part.left;
    return part;
}

/* --- frames */

struct writer {
    struct bytes *out;
    const struct script_rules *rules;
    bool message;   /* one is unfinished */
    bool packed;    /* it is compressed */
    size_t made_up; /* bytes of payload so far */
    z_stream z;
};

/* Letters, text of longer characters, or what does not compress. */
static uint8_t
made_up_byte(struct writer *w, size_t length)
{
    static const uint8_t letters[] =
        "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80 ";
    size_t at = w->made_up++;

    if (length & 1) {
        return (uint8_t) ('a' + at % 26);
    }
    return length & 2 ? (uint8_t) (at * 2654435761u >> 13 ^ at * at >> 5)
                      : letters[at % (sizeof(letters) - 1)];
}

static void
header_write(struct writer *w, unsigned first, size_t length,
             const uint8_t mask[4])
{
    unsigned bit = w->rules->masked ? 0x80 : 0;

    bytes_put(w->out, first);
    if (length < 126) {
        bytes_put(w->out, bit | (unsigned) length);
    } else if (length < 65536) {
        bytes_put(w->out, bit | 126);
        bytes_put(w->out, (unsigned) (length >> 8));
        bytes_put(w->out, (unsigned) length);
    } else {
        bytes_put(w->out, bit | 127);
        for (int shift = 56; shift >= 0; shift -= 8) {
            bytes_put(w->out, (unsigned) ((uint64_t) length >> shift));
        }
    }
    if (w->rules->masked) {
        bytes_add(w->out, mask, 4);
    }
}

static unsigned
opcode_of(struct writer *w, unsigned kind, bool fin)
{
    static const uint8_t opcodes[] = {0, 1, 2, 0, 9, 10, 8, 1};
    unsigned opcode = kind == 7 && w->message ? 0 : opcodes[kind];

    if (opcode < 8) {
        w->message = !fin;
    }
    return opcode;
}

static void
payload_make(struct writer *w, struct bytes *payload, unsigned op,
             size_t length, struct input *script)
{
    for (size_t i = 0; i < length; i++) {
        bytes_put(payload,
                  op & 16 ? made_up_byte(w, length) : input_byte(script));
    }
}

/* A part of a message; of the last one the end is not sent. */
static void
payload_pack(struct writer *w, struct bytes *payload, bool fin)
{
    struct bytes packed = {.data = NULL};
    uint8_t out[512];

    w->z.next_in = payload->data;
    w->z.avail_in = (uInt) payload->count;
    do {
        w->z.next_out = out;
        w->z.avail_out = sizeof(out);
        deflate(&w->z, fin ? Z_SYNC_FLUSH : Z_NO_FLUSH);
        bytes_add(&packed, out, sizeof(out) - w->z.avail_out);
    } while (w->z.avail_out == 0);
    if (fin && packed.count >= 4) {
        packed.count -= 4;
    }
    if (fin && !w->rules->takeover) {
        deflateReset(&w->z);
    }
    bytes_free(payload);
    *payload = packed;
}

static void
frame_write(struct writer *w, unsigned op, size_t length, struct input *script)
{
    uint8_t mask[4] = {(uint8_t) op, 0x5a, (uint8_t) length, 0xc3};
    struct bytes payload = {.data = NULL};
    unsigned opcode = opcode_of(w, op & 7, op & 8);

    if (opcode >= 8) {
        length %= 126;
    }
    if (!(op & 16) && length > script->left) {
        length = script->left;
    }
    if (!(op & 128) || !w->rules->masked) {
        memset(mask, 0, 4);
    }
    payload_make(w, &payload, op, length, script);
    if (opcode == 1 || opcode == 2) {
        w->packed = w->rules->deflate && (op & 64) && (op & 16);
    }
    if (opcode < 8 && w->packed) {
        payload_pack(w, &payload, op & 8);
    }
    if (opcode == 0 && w->rules->deflate) {
        op &= ~64u;
    }
    header_write(w, opcode | (op & 8 ? 0x80 : 0) | (op & 64 ? 0x40 : 0),
                 payload.count, mask);
    for (size_t i = 0; i < payload.count; i++) {
        bytes_put(w->out, payload.data[i] ^ mask[i % 4]);
    }
    bytes_free(&payload);
}

void
script_frames(struct bytes *out, struct input script,
              const struct script_rules *rules)
{
    struct writer w = {.out = out, .rules = rules};
    size_t start = out->count;

    if (rules->deflate) {
        CHECK(deflateInit2(&w.z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY)
              == Z_OK);
    }
    while (script.left > 0 && out->count - start < rules->limit) {
        unsigned op = input_byte(&script);
        size_t length = input_byte(&script);

        if ((op & 7) == 0) {
            struct input raw = input_part(&script, length);

            bytes_add(out, raw.data, raw.left);
            continue;
        }
        frame_write(&w, op, op & 32 ? length * 257 : length, &script);
    }
    if (rules->deflate) {
        deflateEnd(&w.z);
    }
}

/* --- records */

void
script_record(struct bytes *out, unsigned type, const void *content,
              size_t count, unsigned padding)
{
    const uint8_t head[8] = {1,
                             (uint8_t) type,
                             0,
                             1,
                             (uint8_t) (count >> 8),
                             (uint8_t) count,
                             (uint8_t) padding,
                             0};

    bytes_add(out, head, 8);
    bytes_add(out, content, count);
    while (padding-- > 0) {
        bytes_put(out, 0xee);
    }
}

void
script_records(struct bytes *out, struct dice *dice, unsigned type,
               unsigned other, const struct bytes *content)
{
    static const uint32_t most[] = {4, 60, 3000, 65535};
    size_t at = 0;

    while (at < content->count) {
        size_t left = content->count - at;
        size_t part = 1 + dice_roll(dice, most[dice_roll(dice, 4)]);
        unsigned padding =
            dice_roll(dice, 3) == 0 ? dice_roll(dice, 256) : (8 - part % 8) % 8;

        part = part < left ? part : left;
        script_record(out, type, content->data + at, part, padding);
        at += part;
        if (other != 0 && dice_roll(dice, 8) == 0) {
            script_record(out, other, "a word\n", 7, 1);
        }
    }
}
