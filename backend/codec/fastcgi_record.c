/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   version type id1 id0 length1 length0 padding reserved │ content │ padding
 */

#include "codec/fastcgi_record.h"

#include <string.h>
#include <uv.h>

#define VERSION 1

int
fastcgi_decoder_push(struct fastcgi_decoder *decoder, const uint8_t *data,
                     size_t bytes, struct fastcgi_record *record)
{
    size_t need = FASTCGI_HEADER_BYTES - decoder->have;
    size_t taken = bytes < need ? bytes : need;
    const uint8_t *head = decoder->head;

    if (taken == 0) {
        return 0;
    }
    memcpy(decoder->head + decoder->have, data, taken);
    decoder->have = (uint8_t) (decoder->have + taken);
    if (head[0] != VERSION) {
        return UV_EPROTO;
    }
    if (taken < need) {
        return 0;
    }
    decoder->have = 0;
    record->type = head[1];
    record->request_id = (uint16_t) (head[2] << 8 | head[3]);
    record->content_bytes = (uint32_t) head[4] << 8 | head[5];
    record->padding_bytes = head[6];
    return (int) taken;
}

void
fastcgi_header_encode(uint8_t *out, enum fastcgi_type type,
                      uint32_t content_bytes)
{
    out[0] = VERSION;
    out[1] = (uint8_t) type;
    out[2] = 0;
    out[3] = 1;
    out[4] = (uint8_t) (content_bytes >> 8);
    out[5] = (uint8_t) content_bytes;
    out[6] = (uint8_t) fastcgi_padding(content_bytes);
    out[7] = 0;
}

void
fastcgi_end_encode(uint8_t *out, uint32_t app_status,
                   enum fastcgi_status status)
{
    fastcgi_header_encode(out, FASTCGI_END_REQUEST, 8);
    memset(out + FASTCGI_HEADER_BYTES, 0, 8);
    out[8] = (uint8_t) (app_status >> 24);
    out[9] = (uint8_t) (app_status >> 16);
    out[10] = (uint8_t) (app_status >> 8);
    out[11] = (uint8_t) app_status;
    out[12] = (uint8_t) status;
}
