/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The module's record parser against voiced's, and against itself in other
 * pieces: the same records, contents and end. First byte: seed of the pieces.
 */

#include "ngx_http_voice.h"

#include "codec/fastcgi_record.h"
#include "kit/script.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { TOKEN_BAD = 1000, TOKEN_RECORD };

static void
record_add(struct tokens *seen, unsigned type, size_t content)
{
    tokens_add(seen, TOKEN_RECORD);
    tokens_add(seen, type);
    tokens_add(seen, (unsigned) content);
}

/* As ngx_http_voice_down() and the answer's reader use it. */
static bool
piece_read(ngx_http_voice_record_t *record, struct tokens *seen,
           const uint8_t *piece, size_t bytes)
{
    u_char *copy = malloc(bytes), *at = copy, *last = copy + bytes;
    bool good = true;

    CHECK(copy != NULL);
    memcpy(copy, piece, bytes);
    while (at < last && good) {
        if (record->content == 0) {
            ngx_int_t rc = ngx_http_voice_parse_record(record, &at, last);

            CHECK(at <= last && record->padding <= 255);
            if (rc == NGX_AGAIN) {
                CHECK(at == last);
            } else if (rc == NGX_ERROR) {
                tokens_add(seen, TOKEN_BAD);
                good = false;
            } else {
                record_add(seen, record->type, record->content);
            }
            continue;
        }
        for (; at < last && record->content > 0; record->content--) {
            tokens_add(seen, *at++);
        }
    }
    free(copy);
    return good;
}

static void
module_read(struct tokens *seen, const uint8_t *data, size_t bytes,
            struct dice *dice)
{
    static const uint32_t sizes[] = {1, 9, 300};
    ngx_http_voice_record_t record = {.have = 0};
    size_t piece = bytes;

    for (size_t at = 0; at < bytes; at += piece) {
        piece = bytes - at;
        if (dice != NULL) {
            uint32_t some = 1 + dice_roll(dice, sizes[dice_roll(dice, 3)]);

            piece = some < piece ? some : piece;
        }
        if (!piece_read(&record, seen, data + at, piece)) {
            return;
        }
    }
}

/* The decoder of voiced takes any type and id, so these are judged here; and
 * it judges the version with the first byte, the module with the eighth. */
static void
voiced_read(struct tokens *seen, const uint8_t *data, size_t bytes)
{
    struct fastcgi_decoder decoder = {.have = 0};
    struct fastcgi_record record;
    size_t at = 0;

    while (bytes - at >= FASTCGI_HEADER_BYTES) {
        int n = fastcgi_decoder_push(&decoder, data + at, bytes - at, &record);

        if (n < 0 || record.request_id != 1 || record.type < FASTCGI_END_REQUEST
            || record.type > FASTCGI_STDERR || record.type == FASTCGI_PARAMS
            || record.type == FASTCGI_STDIN) {
            tokens_add(seen, TOKEN_BAD);
            return;
        }
        at += (size_t) n;
        record_add(seen, record.type, record.content_bytes);
        for (; record.content_bytes > 0 && at < bytes; record.content_bytes--) {
            tokens_add(seen, data[at++]);
        }
        at += record.padding_bytes < bytes - at ? record.padding_bytes
                                                : bytes - at;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct tokens whole = {.count = 0}, pieces = {.count = 0};
    struct tokens voiced = {.count = 0};
    struct dice dice;

    if (bytes < 1) {
        return 0;
    }
    dice_init(&dice, data[0]);
    module_read(&whole, data + 1, bytes - 1, NULL);
    module_read(&pieces, data + 1, bytes - 1, &dice);
    voiced_read(&voiced, data + 1, bytes - 1);
    CHECK(whole.count == pieces.count && tokens_begin_with(&whole, &pieces));
    CHECK(whole.count == voiced.count && tokens_begin_with(&whole, &voiced));
    tokens_free(&whole);
    tokens_free(&pieces);
    tokens_free(&voiced);
    return 0;
}
