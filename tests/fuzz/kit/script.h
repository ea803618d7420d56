/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Fuzzer input as a script: a few bytes make frames of any size, so that what
 * is fuzzed meets messages larger than its buffers from an input that mutates
 * well.
 *
 *   op: 0-2 kind, 3 FIN, 4 made-up payload, 5 length * 257, 6 RSV1 (made-up
 *       payload is compressed), 7 masked by something (else by zeros)
 *   length, then that many bytes of payload unless they are made up
 */

#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H

#include "kit/reading.h"

/* Numbers that a seed fixes. */
struct dice {
    uint32_t state;
};

void dice_init(struct dice *dice, uint32_t seed);
uint32_t dice_roll(struct dice *dice, uint32_t sides); /* 0…sides-1 */

/* An input, taken apart from its front; at its end it gives zeros. */
struct input {
    const uint8_t *data;
    size_t left;
};

uint8_t input_byte(struct input *input);
uint32_t input_number(struct input *input, unsigned bytes);
struct input input_part(struct input *input, size_t count);

struct script_rules {
    bool masked;
    bool deflate;  /* RSV1 compresses; else it is a bit like another */
    bool takeover; /* what is compressed looks back at other messages */
    size_t limit;  /* of bytes, about */
};

/* Appends the frames of the script. */
void script_frames(struct bytes *out, struct input script,
                   const struct script_rules *rules);

/*
 * Appends records of `type` that carry the bytes, cut and padded by the dice,
 * now and then with a record of `other` (0: none) in between.
 */
void script_records(struct bytes *out, struct dice *dice, unsigned type,
                    unsigned other, const struct bytes *content);
void script_record(struct bytes *out, unsigned type, const void *content,
                   size_t count, unsigned padding);

#endif
