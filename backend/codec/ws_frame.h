/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * WebSocket framing (RFC 6455, sections 5 to 8), shared by the NGINX module
 * and the server: a decoder of frame headers that takes any split of the byte
 * stream, an encoder of frame headers, unmasking, the UTF-8 check and close
 * payloads. Pure: no I/O, no clock, no allocation, any thread. Owns nothing;
 * the structs are embedded by their users. It never sees a payload as a
 * whole, and does not limit the size of one: the caller counts.
 */

#ifndef VOICE_WS_FRAME_H
#define VOICE_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10
};

enum ws_masking {
    WS_MASK_FORBIDDEN, /* frames from a server, and between NGINX and us */
    WS_MASK_REQUIRED   /* frames from a client */
};

/* RFC 6455, 7.4.1 and the IANA registry. */
enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL_ERROR = 1002,
    WS_CLOSE_NOT_GIVEN = 1005, /* never on the wire */
    WS_CLOSE_LOST = 1006,      /* never on the wire */
    WS_CLOSE_BAD_PAYLOAD = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_RESTART = 1012,
    WS_CLOSE_TRY_LATER = 1013
};

#define WS_HEADER_MAX  14  /* bytes of the longest frame header */
#define WS_CONTROL_MAX 125 /* payload bytes of a control frame */
#define WS_REASON_MAX  123 /* bytes of a close reason */
#define WS_RSV1        0x40u
#define WS_RSV_MASK    0x70u

/* A frame header. */
struct ws_frame {
    uint64_t payload_bytes;
    uint8_t opcode; /* enum ws_opcode */
    uint8_t rsv;    /* WS_RSV_MASK bits, as on the wire */
    bool fin;
    bool masked;
    uint8_t mask[4];
    uint8_t message; /* decoded: WS_TEXT or WS_BINARY, the kind of the message
                        that the frame is part of; 0 for a control frame */
};

struct ws_decoder {
    uint8_t head[WS_HEADER_MAX];
    uint8_t have;        /* bytes in head */
    uint8_t masking;     /* enum ws_masking */
    uint8_t rsv_allowed; /* WS_RSV_MASK bits an extension has agreed on */
    uint8_t message;     /* kind of the unfinished message, 0: none */
};

struct ws_utf8 {
    uint8_t need; /* continuation bytes still to come */
    uint8_t low;  /* bounds of the next one */
    uint8_t high;
};

/* rsv_allowed: bits accepted on the first frame of a data message, 0 without
 * extensions. */
void ws_decoder_init(struct ws_decoder *decoder, enum ws_masking masking,
                     uint8_t rsv_allowed);

/*
 * Takes bytes of the stream up to the end of one frame header; must not be
 * fed payload. > 0: the header ended after that many bytes of `data`, *frame
 * is filled, and payload_bytes of payload follow. 0: every byte was taken and
 * the header goes on. < 0: minus the close code, the stream can't go on.
 */
int ws_decoder_push(struct ws_decoder *decoder, const uint8_t *data,
                    size_t bytes, struct ws_frame *frame);

/* Bytes that ws_frame_encode writes for such a frame. */
size_t ws_frame_header_bytes(uint64_t payload_bytes, bool masked);

/* Writes the header, with the shortest length encoding, and returns its
 * length; `message` is ignored. out has room for WS_HEADER_MAX. */
size_t ws_frame_encode(uint8_t *out, const struct ws_frame *frame);

/*
 * dst = src XOR mask, and the mask is rotated so that the next call goes on
 * where this one ended. dst == src, and dst before an overlapping src, are
 * both right.
 */
void ws_unmask(uint8_t *dst, const uint8_t *src, size_t bytes, uint8_t mask[4]);

/* Once per message; a zeroed struct is initialised too. */
void ws_utf8_init(struct ws_utf8 *utf8);

/* Checks the next bytes of a text; false: they can't be UTF-8 (RFC 3629), and
 * the struct must be initialised before it is used again. */
bool ws_utf8_push(struct ws_utf8 *utf8, const uint8_t *data, size_t bytes);

/* Whether the text may end here. */
bool ws_utf8_is_complete(const struct ws_utf8 *utf8);

/* Whether the code may stand in a close frame (RFC 6455, 7.4.2). */
bool ws_close_code_is_valid(unsigned code);

/*
 * Checks an unmasked close payload. 0 and *code (WS_CLOSE_NOT_GIVEN when it is
 * empty; the reason is data + 2), or minus the close code to fail with.
 */
int ws_close_decode(const uint8_t *data, size_t bytes, uint16_t *code);

/*
 * Writes a close payload, the reason cut to WS_REASON_MAX at a character
 * boundary, and returns its length; 0 when the code may not be sent. out has
 * room for WS_CONTROL_MAX.
 */
size_t ws_close_encode(uint8_t *out, unsigned code, const char *reason,
                       size_t reason_bytes);

#endif
