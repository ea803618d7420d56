/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/ws_frame.h"

#include <string.h>

#define FIN_BIT     0x80u
#define OPCODE_BITS 0x0fu
#define MASK_BIT    0x80u
#define LENGTH_BITS 0x7fu
#define LENGTH_16   126u
#define LENGTH_64   127u

void
ws_decoder_init(struct ws_decoder *decoder, enum ws_masking masking,
                uint8_t rsv_allowed)
{
    memset(decoder, 0, sizeof *decoder);
    decoder->masking = (uint8_t) masking;
    decoder->rsv_allowed = rsv_allowed & WS_RSV_MASK;
}

static bool
opcode_is_control(unsigned opcode)
{
    return (opcode & 0x8u) != 0;
}

static bool
control_is_legal(const struct ws_decoder *decoder)
{
    unsigned first = decoder->head[0];

    /* RFC 6455, 5.5: not fragmented, at most 125 bytes; no extension bits */
    return (first & FIN_BIT) && (first & OPCODE_BITS) <= WS_PONG
           && (first & WS_RSV_MASK) == 0
           && (decoder->head[1] & LENGTH_BITS) <= WS_CONTROL_MAX;
}

static bool
data_is_legal(const struct ws_decoder *decoder)
{
    unsigned opcode = decoder->head[0] & OPCODE_BITS;
    unsigned rsv = decoder->head[0] & WS_RSV_MASK;

    if (opcode > WS_BINARY)
        return false;
    /* RFC 6455, 5.4: a message begins only after the one before ended */
    if ((opcode == WS_CONTINUATION) != (decoder->message != 0))
        return false;
    /* RFC 7692, 6.1: the bit stands on the first frame of a message only */
    if (opcode == WS_CONTINUATION)
        return rsv == 0;
    return (rsv & ~(unsigned) decoder->rsv_allowed) == 0;
}

/* The two bytes that every header has tell whether it is legal. */
static bool
start_is_legal(const struct ws_decoder *decoder)
{
    bool masked = (decoder->head[1] & MASK_BIT) != 0;

    if (masked != (decoder->masking == WS_MASK_REQUIRED))
        return false;
    if (opcode_is_control(decoder->head[0] & OPCODE_BITS))
        return control_is_legal(decoder);
    return data_is_legal(decoder);
}

static size_t
length_field_bytes(unsigned length)
{
    if (length == LENGTH_16)
        return 2;
    return length == LENGTH_64 ? 8 : 0;
}

static size_t
header_bytes(const struct ws_decoder *decoder)
{
    unsigned second = decoder->head[1];

    return 2 + length_field_bytes(second & LENGTH_BITS)
           + ((second & MASK_BIT) ? 4 : 0);
}

/* False: not the shortest encoding, or the top bit is set (RFC 6455, 5.2). */
static bool
read_length(const struct ws_decoder *decoder, uint64_t *length)
{
    unsigned code = decoder->head[1] & LENGTH_BITS;
    size_t field = length_field_bytes(code);
    uint64_t value = 0;

    if (field == 0) {
        *length = code;
        return true;
    }
    for (size_t i = 0; i < field; i++)
        value = value << 8 | decoder->head[2 + i];
    *length = value;
    if (field == 2)
        return value >= LENGTH_16;
    return value > 0xffff && value >> 63 == 0;
}

static bool
finish_header(struct ws_decoder *decoder, struct ws_frame *frame)
{
    unsigned first = decoder->head[0];

    memset(frame, 0, sizeof *frame);
    if (!read_length(decoder, &frame->payload_bytes))
        return false;
    frame->opcode = first & OPCODE_BITS;
    frame->rsv = first & WS_RSV_MASK;
    frame->fin = (first & FIN_BIT) != 0;
    frame->masked = (decoder->head[1] & MASK_BIT) != 0;
    if (frame->masked)
        memcpy(frame->mask, decoder->head + decoder->have - 4, 4);
    decoder->have = 0;
    if (opcode_is_control(frame->opcode))
        return true;
    frame->message =
        frame->opcode == WS_CONTINUATION ? decoder->message : frame->opcode;
    decoder->message = frame->fin ? 0 : frame->message;
    return true;
}

/* Tops the header up to `want` bytes; returns what it took of data. */
static size_t
collect(struct ws_decoder *decoder, size_t want, const uint8_t *data,
        size_t bytes)
{
    size_t missing = want > decoder->have ? want - decoder->have : 0;
    size_t take = bytes < missing ? bytes : missing;

    memcpy(decoder->head + decoder->have, data, take);
    decoder->have = (uint8_t) (decoder->have + take);
    return take;
}

int
ws_decoder_push(struct ws_decoder *decoder, const uint8_t *data, size_t bytes,
                struct ws_frame *frame)
{
    size_t taken;

    if (bytes == 0)
        return 0;
    taken = collect(decoder, 2, data, bytes);
    if (decoder->have < 2)
        return 0;
    if (!start_is_legal(decoder))
        return -WS_CLOSE_PROTOCOL_ERROR;
    taken +=
        collect(decoder, header_bytes(decoder), data + taken, bytes - taken);
    if (decoder->have < header_bytes(decoder))
        return 0;
    if (!finish_header(decoder, frame))
        return -WS_CLOSE_PROTOCOL_ERROR;
    return (int) taken;
}

size_t
ws_frame_header_bytes(uint64_t payload_bytes, bool masked)
{
    size_t bytes = masked ? 6 : 2;

    if (payload_bytes < LENGTH_16)
        return bytes;
    return bytes + (payload_bytes <= 0xffff ? 2 : 8);
}

size_t
ws_frame_encode(uint8_t *out, const struct ws_frame *frame)
{
    uint64_t length = frame->payload_bytes;
    uint8_t mask_bit = frame->masked ? MASK_BIT : 0;
    size_t field = 0;

    out[0] =
        (uint8_t) ((frame->fin ? FIN_BIT : 0) | frame->rsv | frame->opcode);
    if (length < LENGTH_16) {
        out[1] = mask_bit | (uint8_t) length;
    } else if (length <= 0xffff) {
        out[1] = mask_bit | LENGTH_16;
        field = 2;
    } else {
        out[1] = mask_bit | LENGTH_64;
        field = 8;
    }
    for (size_t i = 0; i < field; i++)
        out[2 + i] = (uint8_t) (length >> (8 * (field - 1 - i)));
    if (!frame->masked)
        return 2 + field;
    memcpy(out + 2 + field, frame->mask, 4);
    return 6 + field;
}

static void
rotate_mask(uint8_t mask[4], size_t by)
{
    uint8_t old[4];

    memcpy(old, mask, 4);
    for (size_t i = 0; i < 4; i++)
        mask[i] = old[(i + by) & 3];
}

void
ws_unmask(uint8_t *dst, const uint8_t *src, size_t bytes, uint8_t mask[4])
{
    uint64_t wide, a, b, c, d;
    size_t i = 0;

    memcpy(&wide, mask, 4);
    memcpy((uint8_t *) &wide + 4, mask, 4);

    /* each block is loaded whole before it is stored: overlap is safe */
    for (; bytes - i >= 32; i += 32) {
        memcpy(&a, src + i, 8);
        memcpy(&b, src + i + 8, 8);
        memcpy(&c, src + i + 16, 8);
        memcpy(&d, src + i + 24, 8);
        a ^= wide;
        b ^= wide;
        c ^= wide;
        d ^= wide;
        memcpy(dst + i, &a, 8);
        memcpy(dst + i + 8, &b, 8);
        memcpy(dst + i + 16, &c, 8);
        memcpy(dst + i + 24, &d, 8);
    }
    for (; bytes - i >= 8; i += 8) {
        memcpy(&a, src + i, 8);
        a ^= wide;
        memcpy(dst + i, &a, 8);
    }
    for (; i < bytes; i++)
        dst[i] = src[i] ^ mask[i & 3];
    rotate_mask(mask, bytes & 3);
}

void
ws_utf8_init(struct ws_utf8 *utf8)
{
    memset(utf8, 0, sizeof *utf8);
}

/* The first byte of a sequence: how many follow, and the bounds of the next
 * (RFC 3629, section 4: neither overlong forms nor surrogates nor > 10FFFF). */
static bool
utf8_lead(struct ws_utf8 *utf8, uint8_t byte)
{
    if (byte < 0xc2 || byte > 0xf4)
        return false;
    utf8->low = 0x80;
    utf8->high = 0xbf;
    if (byte < 0xe0) {
        utf8->need = 1;
    } else if (byte < 0xf0) {
        utf8->need = 2;
        if (byte == 0xe0)
            utf8->low = 0xa0;
        if (byte == 0xed)
            utf8->high = 0x9f;
    } else {
        utf8->need = 3;
        if (byte == 0xf0)
            utf8->low = 0x90;
        if (byte == 0xf4)
            utf8->high = 0x8f;
    }
    return true;
}

static size_t
ascii_prefix(const uint8_t *data, size_t bytes)
{
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    uint64_t a, b;
    size_t i = 0;

    for (; bytes - i >= 16; i += 16) {
        memcpy(&a, data + i, 8);
        memcpy(&b, data + i + 8, 8);
        if ((a | b) & high_bits)
            break;
    }
    while (i < bytes && data[i] < 0x80)
        i++;
    return i;
}

bool
ws_utf8_push(struct ws_utf8 *utf8, const uint8_t *data, size_t bytes)
{
    size_t i = 0;

    while (i < bytes) {
        if (utf8->need == 0) {
            i += ascii_prefix(data + i, bytes - i);
            if (i == bytes)
                return true;
            if (!utf8_lead(utf8, data[i++]))
                return false;
            continue;
        }
        if (data[i] < utf8->low || data[i] > utf8->high)
            return false;
        utf8->low = 0x80;
        utf8->high = 0xbf;
        utf8->need--;
        i++;
    }
    return true;
}

bool
ws_utf8_is_complete(const struct ws_utf8 *utf8)
{
    return utf8->need == 0;
}

bool
ws_close_code_is_valid(unsigned code)
{
    if (code >= 3000 && code <= 4999)
        return true;
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

int
ws_close_decode(const uint8_t *data, size_t bytes, uint16_t *code)
{
    struct ws_utf8 utf8;
    unsigned value;

    if (bytes == 0) {
        *code = WS_CLOSE_NOT_GIVEN;
        return 0;
    }
    if (bytes < 2 || bytes > WS_CONTROL_MAX)
        return -WS_CLOSE_PROTOCOL_ERROR;
    value = (unsigned) data[0] << 8 | data[1];
    if (!ws_close_code_is_valid(value))
        return -WS_CLOSE_PROTOCOL_ERROR;
    ws_utf8_init(&utf8);
    if (!ws_utf8_push(&utf8, data + 2, bytes - 2)
        || !ws_utf8_is_complete(&utf8))
        return -WS_CLOSE_BAD_PAYLOAD;
    *code = (uint16_t) value;
    return 0;
}

size_t
ws_close_encode(uint8_t *out, unsigned code, const char *reason,
                size_t reason_bytes)
{
    if (!ws_close_code_is_valid(code))
        return 0;
    if (reason_bytes > WS_REASON_MAX) {
        reason_bytes = WS_REASON_MAX;
        while (reason_bytes > 0
               && ((uint8_t) reason[reason_bytes] & 0xc0) == 0x80)
            reason_bytes--;
    }
    out[0] = (uint8_t) (code >> 8);
    out[1] = (uint8_t) code;
    if (reason_bytes > 0)
        memcpy(out + 2, reason, reason_bytes);
    return 2 + reason_bytes;
}
