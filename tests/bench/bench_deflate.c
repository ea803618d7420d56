/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   text:     {"stamp":"0123..ef","events":[{"type":...
 *   payload:  [stored: {"stamp":"0123..ef] [deflated once: ","events":[...]
 */

#include "bench_deflate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define HEAD      "{\"stamp\":\""
#define HEAD_LEN  (sizeof(HEAD) - 1)
#define FRONT_LEN (HEAD_LEN + 2 * (size_t) BENCH_DEFLATE_STAMP)
#define STORED    5 /* bytes of a stored block's header */
#define FLUSH     4 /* bytes of a flush that are not sent */

const char bench_deflate_offer[] =
    "Sec-WebSocket-Extensions: permessage-deflate; "
    "server_no_context_takeover; client_no_context_takeover\r\n";

static struct {
    char *text; /* without its stamp */
    size_t bytes;
    uint8_t *rest; /* of the text, behind the stamp, compressed */
    size_t rest_bytes;
    size_t room;
    char *plain; /* what was inflated */
    z_stream inflater;
} made;

static void
text_fill(void)
{
    size_t at = (size_t) snprintf(made.text, made.bytes + 1, HEAD "%032d", 0);

    at += (size_t) snprintf(made.text + at, made.bytes + 1 - at,
                            "\",\"events\":[");
    for (unsigned i = 1; at < made.bytes; i++)
        at += (size_t) snprintf(
            made.text + at, made.bytes + 1 - at,
            "{\"type\":\"response.output_text.delta\",\"event_id\":"
            "\"event_%05u\",\"response_id\":\"resp_%08x\","
            "\"output_index\":0,\"content_index\":0,\"delta\":\" word%u\"},",
            i, i * 2654435761u, i * 7919 % 1000);
}

static int
rest_make(void)
{
    z_stream deflater = {0};

    if (deflateInit2(&deflater, 1, Z_DEFLATED, -MAX_WBITS, 8,
                     Z_DEFAULT_STRATEGY)
        != Z_OK)
        return -ENOMEM;
    made.rest = malloc(made.room);
    deflater.next_in = (Bytef *) made.text + FRONT_LEN;
    deflater.avail_in = (uInt) (made.bytes - FRONT_LEN);
    deflater.next_out = made.rest;
    deflater.avail_out = (uInt) made.room;
    if (made.rest)
        deflate(&deflater, Z_SYNC_FLUSH);
    made.rest_bytes = made.room - deflater.avail_out - FLUSH;
    deflateEnd(&deflater);
    return made.rest ? 0 : -ENOMEM;
}

int
bench_deflate_init(size_t bytes)
{
    if (bytes < BENCH_DEFLATE_LEAST)
        return -EINVAL;
    made.bytes = bytes;
    made.room = bytes + bytes / 100 + 64;
    made.text = malloc(bytes + 1);
    made.plain = malloc(bytes + 1);
    if (!made.text || !made.plain
        || inflateInit2(&made.inflater, -MAX_WBITS) != Z_OK)
        return -ENOMEM;
    text_fill();
    return rest_make();
}

void
bench_deflate_end(void)
{
    inflateEnd(&made.inflater);
    free(made.text);
    free(made.plain);
    free(made.rest);
    memset(&made, 0, sizeof(made));
}

size_t
bench_deflate_room(void)
{
    return made.room;
}

static void
stamp_write(char *out, const uint8_t stamp[BENCH_DEFLATE_STAMP])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < BENCH_DEFLATE_STAMP; i++) {
        out[2 * i] = digits[stamp[i] >> 4];
        out[2 * i + 1] = digits[stamp[i] & 15];
    }
}

static bool
stamp_read(const char *text, uint8_t stamp[BENCH_DEFLATE_STAMP])
{
    for (int i = 0; i < BENCH_DEFLATE_STAMP; i++) {
        unsigned value;
        char pair[3] = {text[2 * i], text[2 * i + 1], 0};
        if (sscanf(pair, "%2x", &value) != 1)
            return false;
        stamp[i] = (uint8_t) value;
    }
    return true;
}

size_t
bench_deflate_pack(uint8_t *out, const uint8_t stamp[BENCH_DEFLATE_STAMP])
{
    /* RFC 1951, 3.2.4: no final block, its length and the complement */
    out[0] = 0;
    out[1] = (uint8_t) FRONT_LEN;
    out[2] = 0;
    out[3] = (uint8_t) ~FRONT_LEN;
    out[4] = 0xff;
    memcpy(out + STORED, HEAD, HEAD_LEN);
    stamp_write((char *) out + STORED + HEAD_LEN, stamp);
    memcpy(out + STORED + FRONT_LEN, made.rest, made.rest_bytes);
    return STORED + FRONT_LEN + made.rest_bytes;
}

/* Inflates into made.plain; the bytes, or more than a message has. */
static size_t
plain_make(const uint8_t *data, size_t bytes)
{
    z_stream *z = &made.inflater;

    inflateReset(z);
    z->next_in = (Bytef *) data;
    z->avail_in = (uInt) bytes;
    z->next_out = (Bytef *) made.plain;
    z->avail_out = (uInt) made.bytes + 1;
    int code = inflate(z, Z_SYNC_FLUSH);
    if ((code != Z_OK && code != Z_BUF_ERROR) || z->avail_in > 0)
        return made.bytes + 1;
    return made.bytes + 1 - z->avail_out;
}

bool
bench_deflate_read(const uint8_t *data, size_t bytes, bool packed,
                   uint8_t stamp[BENCH_DEFLATE_STAMP])
{
    const char *text = packed ? made.plain : (const char *) data;
    size_t length = packed ? plain_make(data, bytes) : bytes;

    return length == made.bytes && memcmp(text, HEAD, HEAD_LEN) == 0
           && memcmp(text + FRONT_LEN, made.text + FRONT_LEN,
                     made.bytes - FRONT_LEN)
                  == 0
           && stamp_read(text + HEAD_LEN, stamp);
}

bool
bench_deflate_is_agreed(const char *head)
{
    return strstr(head, "permessage-deflate")
           && strstr(head, "server_no_context_takeover")
           && strstr(head, "client_no_context_takeover");
}
