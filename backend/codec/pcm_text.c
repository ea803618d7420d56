/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/pcm_text.h"

#include "codec/pcm.h"

#include <string.h>

#define GROUP 3 /* bytes that are four characters */

static size_t
bytes_push(struct pcm_text_writer *w, char *to, const uint8_t *from,
           size_t bytes)
{
    char *out = to;
    size_t whole;

    if (w->rest_bytes > 0 && w->rest_bytes + bytes >= GROUP) {
        uint8_t group[GROUP];
        size_t more = GROUP - w->rest_bytes;

        memcpy(group, w->rest, w->rest_bytes);
        memcpy(group + w->rest_bytes, from, more);
        out += base64_encode(out, group, GROUP);
        from += more;
        bytes -= more;
        w->rest_bytes = 0;
    }
    /* either none wait, or there are too few to end the wait */
    whole = w->rest_bytes > 0 ? 0 : bytes - bytes % GROUP;
    out += base64_encode(out, from, whole);
    memcpy(w->rest + w->rest_bytes, from + whole, bytes - whole);
    w->rest_bytes = (uint8_t) (w->rest_bytes + bytes - whole);
    return (size_t) (out - to);
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

size_t
pcm_text_push(struct pcm_text_writer *writer, char *to, const int16_t *pcm,
              size_t samples)
{
    return samples == 0 ? 0
                        : bytes_push(writer, to, (const uint8_t *) pcm,
                                     samples * sizeof *pcm);
}

#else

#define PIECE 240

size_t
pcm_text_push(struct pcm_text_writer *writer, char *to, const int16_t *pcm,
              size_t samples)
{
    uint8_t bytes[2 * PIECE];
    size_t chars = 0;

    for (size_t n; samples > 0; pcm += n, samples -= n) {
        n = samples < PIECE ? samples : PIECE;
        pcm_to_le(bytes, pcm, n);
        chars += bytes_push(writer, to + chars, bytes, 2 * n);
    }
    return chars;
}

#endif

size_t
pcm_text_end(struct pcm_text_writer *writer, char *to)
{
    size_t bytes = writer->rest_bytes;

    writer->rest_bytes = 0;
    return base64_encode(to, writer->rest, bytes);
}

ssize_t
pcm_text_read(struct pcm_text_reader *reader, int16_t *to, const char *text,
              size_t chars)
{
    uint8_t *bytes = (uint8_t *) to;
    ssize_t decoded = base64_decode(bytes + reader->has_odd, text, chars);
    size_t have;

    if (decoded < 0)
        return decoded;
    if (reader->has_odd)
        bytes[0] = reader->odd;
    have = (size_t) decoded + reader->has_odd;
    reader->has_odd = have % 2;
    if (reader->has_odd)
        reader->odd = bytes[have - 1];
    pcm_from_le(to, bytes, have / 2);
    return (ssize_t) (have / 2);
}
