/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/reading.h"

#include <string.h>
#include <zlib.h>

/* --- arrays */

static void *
grown(void *data, size_t *room, size_t want, size_t size)
{
    if (data == NULL || want > *room) {
        *room = want * 2 + 64;
        data = realloc(data, *room * size);
        CHECK(data != NULL);
    }
    return data;
}

void
bytes_add(struct bytes *bytes, const void *data, size_t count)
{
    bytes->data = grown(bytes->data, &bytes->room, bytes->count + count, 1);
    if (count > 0) {
        memcpy(bytes->data + bytes->count, data, count);
    }
    bytes->count += count;
}

void
bytes_put(struct bytes *bytes, unsigned byte)
{
    uint8_t one = (uint8_t) byte;

    bytes_add(bytes, &one, 1);
}

void
bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    memset(bytes, 0, sizeof(*bytes));
}

static void
tokens_reserve(struct tokens *tokens, size_t more)
{
    tokens->items = grown(tokens->items, &tokens->room, tokens->count + more,
                          sizeof(*tokens->items));
}

void
tokens_add(struct tokens *tokens, unsigned token)
{
    tokens_reserve(tokens, 1);
    tokens->items[tokens->count++] = (uint16_t) token;
}

void
tokens_free(struct tokens *tokens)
{
    free(tokens->items);
    memset(tokens, 0, sizeof(*tokens));
}

bool
tokens_begin_with(const struct tokens *tokens, const struct tokens *head)
{
    return head->count <= tokens->count
           && (head->count == 0
               || memcmp(tokens->items, head->items,
                         head->count * sizeof(*head->items))
                      == 0);
}

/* --- UTF-8: by code points, as RFC 3629 defines it */

static uint32_t
filled(const struct text *text, unsigned length, uint8_t rest)
{
    static const uint8_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = text->part[0] & lead_bits[length];

    for (unsigned i = 1; i < length; i++) {
        point = point << 6 | ((i < text->have ? text->part[i] : rest) & 0x3f);
    }
    return point;
}

bool
text_push(struct text *text, uint8_t byte)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t from, to;
    unsigned length;
    uint8_t lead;

    if (text->have > 0 && (byte & 0xc0) != 0x80) {
        return false;
    }
    text->part[text->have++] = byte;
    lead = text->part[0];
    length = lead < 0x80             ? 1
             : (lead & 0xe0) == 0xc0 ? 2
             : (lead & 0xf0) == 0xe0 ? 3
             : (lead & 0xf8) == 0xf0 ? 4
                                     : 0;
    if (length == 0) {
        return false;
    }
    /* the characters that this can still become */
    from = filled(text, length, 0x80);
    to = filled(text, length, 0xbf);
    if (text->have == length) {
        text->have = 0;
    }
    return to >= least[length] && from <= 0x10ffff
           && !(from >= 0xd800 && to <= 0xdfff);
}

/* --- frames */

struct walk {
    struct frames *out;
    const struct frames_rules *rules;
    const uint8_t *at, *end;
    struct text text;
    unsigned message; /* TOKEN_TEXT, TOKEN_BINARY, 0: none */
    size_t message_bytes;
    bool begins; /* its kind is not among the tokens yet */
    bool packed; /* it is compressed */
    bool inside; /* of a DEFLATE stream that a flush completes */
    size_t packed_bytes;
    z_stream *z;
};

struct head {
    uint64_t length;
    size_t bytes;
    uint8_t mask[4];
    uint8_t opcode;
    bool fin;
};

static bool
start_is_legal(const struct walk *w)
{
    unsigned opcode = w->at[0] & 15, rsv = w->at[0] & 0x70;
    unsigned allowed = w->rules->rsv | (w->rules->inflate ? 0x40u : 0);
    bool fin = w->at[0] & 0x80;

    if (!!(w->at[1] & 0x80) != w->rules->masked) {
        return false;
    }
    switch (opcode) {
    case 0:
        return w->message != 0 && rsv == 0;
    case 1:
    case 2:
        return w->message == 0 && (rsv & ~allowed) == 0;
    case 8:
    case 9:
    case 10:
        return fin && rsv == 0 && (w->at[1] & 0x7f) <= 125;
    default:
        return false;
    }
}

/* 1, or 0: not all there, or minus a close code. */
static int
head_read(const struct walk *w, struct head *head)
{
    size_t left = (size_t) (w->end - w->at), field = 0;

    if (left < 2) {
        return 0;
    }
    if (!start_is_legal(w)) {
        return -1002;
    }
    head->opcode = w->at[0] & 15;
    head->fin = w->at[0] & 0x80;
    head->length = w->at[1] & 0x7f;
    if (head->length > 125) {
        field = head->length == 126 ? 2 : 8;
    }
    head->bytes = 2 + field + (w->rules->masked ? 4 : 0);
    if (left < head->bytes) {
        return 0;
    }
    if (field > 0) {
        head->length = 0;
        for (size_t i = 0; i < field; i++) {
            head->length = head->length * 256 + w->at[2 + i];
        }
        if (head->length < (field == 2 ? 126u : 65536u)
            || head->length > INT64_MAX) {
            return -1002;
        }
    }
    memset(head->mask, 0, 4);
    if (w->rules->masked) {
        memcpy(head->mask, w->at + 2 + field, 4);
    }
    return 1;
}

static bool
is_text(const uint8_t *data, size_t count)
{
    struct text text = {.have = 0};

    for (size_t i = 0; i < count; i++) {
        if (!text_push(&text, data[i])) {
            return false;
        }
    }
    return text.have == 0;
}

/* As RFC 6455, 7.4 and the registry of IANA have them. */
static bool
code_is_legal(unsigned code)
{
    switch (code) {
    case 1000:
    case 1001:
    case 1002:
    case 1003:
    case 1007:
    case 1008:
    case 1009:
    case 1010:
    case 1011:
    case 1012:
    case 1013:
    case 1014:
        return true;
    default:
        return code >= 3000 && code < 5000;
    }
}

static unsigned
close_judge(const uint8_t *payload, size_t count)
{
    if (count == 0) {
        return FRAMES_CLOSED;
    }
    if (count == 1 || !code_is_legal(payload[0] * 256u + payload[1])) {
        return 1002;
    }
    return is_text(payload + 2, count - 2) ? FRAMES_CLOSED : 1007;
}

static void
control_take(struct walk *w, const struct head *head, const uint8_t *payload)
{
    struct frames *out = w->out;
    size_t count = (size_t) head->length;

    if (head->opcode == 8) {
        out->end = close_judge(payload, count);
        memcpy(out->close, payload, count);
        out->close_bytes = count;
        return;
    }
    tokens_add(&out->controls, head->opcode == 9 ? TOKEN_PING : TOKEN_PONG);
    for (size_t i = 0; i < count; i++) {
        tokens_add(&out->controls, payload[i]);
    }
    tokens_add(&out->controls, TOKEN_END);
}

/* --- compressed messages */

static void
inflater_open(struct walk *w)
{
    int bits = w->rules->bits ? w->rules->bits : 15;

    if (w->z == NULL) {
        w->z = calloc(1, sizeof(*w->z));
        CHECK(w->z != NULL && inflateInit2(w->z, -bits) == Z_OK);
    } else if (!w->rules->takeover) {
        CHECK(inflateReset(w->z) == Z_OK);
    }
}

static void
inflater_close(struct walk *w)
{
    if (w->z != NULL) {
        inflateEnd(w->z);
        free(w->z);
    }
}

/* A stream that says it is at its end goes on all the same (RFC 7692,
 * 7.2.3.5), and may look back at what it said. */
static void
inflater_go_on(z_stream *z)
{
    uint8_t window[32768];
    uInt bytes = 0;

    CHECK(inflateGetDictionary(z, window, &bytes) == Z_OK);
    CHECK(inflateReset(z) == Z_OK);
    CHECK(inflateSetDictionary(z, window, bytes) == Z_OK);
}

static unsigned data_take(struct walk *w, const uint8_t *payload, size_t count);

static unsigned
packed_take(struct walk *w, const uint8_t *payload, size_t count)
{
    uint8_t out[4096];
    unsigned end = 0;
    int rc;

    if (count == 0) {
        return 0;
    }
    w->z->next_in = (Bytef *) (uintptr_t) payload;
    w->z->avail_in = (uInt) count;
    do {
        w->z->next_out = out;
        w->z->avail_out = sizeof(out);
        rc = inflate(w->z, Z_SYNC_FLUSH);
        end = data_take(w, out, sizeof(out) - w->z->avail_out);
        w->inside = rc != Z_STREAM_END || w->z->avail_in > 0;
        if (rc == Z_STREAM_END) {
            inflater_go_on(w->z);
        } else if (end == 0 && rc != Z_OK && rc != Z_BUF_ERROR) {
            end = 1007;
        }
    } while (end == 0 && (w->z->avail_in > 0 || w->z->avail_out == 0));
    return end;
}

/* What a sender cuts off (RFC 7692, 7.2.1), unless the stream said that it is
 * at its end: only then is a message whole that ends between two blocks. */
static unsigned
packed_end(struct walk *w)
{
    static const uint8_t flush[] = {0, 0, 0xff, 0xff};
    unsigned end;

    if (!w->inside) {
        return 0;
    }
    end = packed_take(w, flush, sizeof(flush));
    if (end == 0
        && (!w->inside || !(w->z->data_type & 128) || w->z->data_type & 63)) {
        end = 1007;
    }
    return end;
}

/* --- messages */

/* The next frame of the message is `bytes` long. */
static unsigned
message_grow(struct walk *w, uint64_t bytes)
{
    size_t limit = w->rules->message_max;
    size_t *sum = w->packed ? &w->packed_bytes : &w->message_bytes;

    if (limit == 0) {
        return 0;
    }
    if (w->packed) {
        /* a compressor may add as much */
        limit += limit / 1024 + 64;
    }
    if (bytes > limit - *sum) {
        return 1009;
    }
    *sum += (size_t) bytes;
    return 0;
}

static unsigned
message_begin(struct walk *w, const struct head *head, bool packed)
{
    bool first = head->opcode != 0;

    if (first) {
        w->message = head->opcode == 1 ? TOKEN_TEXT : TOKEN_BINARY;
        w->packed = packed;
        w->message_bytes = w->packed_bytes = 0;
        w->text.have = 0;
        w->inside = false;
        if (packed) {
            inflater_open(w);
        }
    }
    w->begins |= first;
    return message_grow(w, head->length);
}

/* Before its first byte, or its end: an empty beginning says nothing. */
static void
message_name(struct walk *w)
{
    if (w->begins) {
        w->begins = false;
        tokens_add(&w->out->data, w->message);
    }
}

static unsigned
data_take(struct walk *w, const uint8_t *payload, size_t count)
{
    size_t limit = w->rules->message_max ? w->rules->message_max : SIZE_MAX;
    bool checked = w->message == TOKEN_TEXT && !w->rules->any_text;

    struct tokens *data = &w->out->data;

    tokens_reserve(data, count + 1);
    for (size_t i = 0; i < count; i++) {
        if (w->packed && w->message_bytes++ == limit) {
            return 1009;
        }
        if (checked && !text_push(&w->text, payload[i])) {
            return 1007;
        }
        message_name(w);
        data->items[data->count++] = payload[i];
    }
    return 0;
}

static unsigned
message_end(struct walk *w)
{
    bool checked = w->message == TOKEN_TEXT && !w->rules->any_text;
    unsigned end = w->packed ? packed_end(w) : 0;

    if (end != 0 || (checked && w->text.have > 0)) {
        return end ? end : 1007;
    }
    message_name(w);
    tokens_add(&w->out->data, TOKEN_END);
    w->message = 0;
    return 0;
}

static unsigned
data_frame_take(struct walk *w, const struct head *head, const uint8_t *payload,
                size_t count)
{
    unsigned end = w->packed ? packed_take(w, payload, count)
                             : data_take(w, payload, count);

    if (end == 0 && head->fin && count == head->length) {
        end = message_end(w);
    }
    w->out->packed = w->packed;
    return end;
}

/* One frame, as far as it is there; false: there is no next one. */
static bool
frame_take(struct walk *w)
{
    struct frames *out = w->out;
    struct head head;
    uint8_t *payload;
    size_t count;
    int rc = head_read(w, &head);
    bool packed = w->rules->inflate && (w->at[0] & 0x40);

    out->sure = out->data.count;
    if (rc <= 0) {
        out->end = (unsigned) -rc;
        out->partial = rc == 0;
        return false;
    }
    w->at += head.bytes;
    if (head.opcode < 8 && (out->end = message_begin(w, &head, packed)) != 0) {
        return false;
    }
    count = (size_t) (w->end - w->at);
    out->partial = count < head.length;
    count = out->partial ? count : (size_t) head.length;
    payload = malloc(count + 1);
    CHECK(payload != NULL);
    for (size_t i = 0; i < count; i++) {
        payload[i] = w->at[i] ^ head.mask[i % 4];
    }
    if (head.opcode < 8) {
        out->end = data_frame_take(w, &head, payload, count);
    } else if (!out->partial) {
        control_take(w, &head, payload);
    }
    free(payload);
    w->at += count;
    return out->end == 0 && !out->partial;
}

void
frames_read(struct frames *frames, const struct frames_rules *rules,
            const uint8_t *data, size_t count)
{
    struct walk w = {.out = frames, .rules = rules, .at = data};

    memset(frames, 0, sizeof(*frames));
    w.end = count > 0 ? data + count : data;
    while (w.at < w.end && frame_take(&w)) {
        frames->used = (size_t) (w.at - data);
    }
    if (frames->end == FRAMES_CLOSED) {
        frames->used = (size_t) (w.at - data);
    }
    if (frames->end == 0) {
        frames->sure = frames->data.count;
    }
    inflater_close(&w);
}

void
frames_free(struct frames *frames)
{
    tokens_free(&frames->data);
    tokens_free(&frames->controls);
}

/* --- records */

static bool
record_take(struct records *out, const struct records_rules *rules,
            const uint8_t *head, size_t left)
{
    size_t length = head[4] * 256u + head[5], pad = head[6];
    size_t there = left - 8 < length ? left - 8 : length;

    if (head[0] != 1 || head[2] != 0 || head[3] != 1
        || (head[1] != rules->type && head[1] != rules->last
            && head[1] != rules->other)) {
        out->end = RECORDS_BAD;
        return false;
    }
    if (head[1] == rules->last && (rules->last != rules->type || length == 0)) {
        out->end = RECORDS_ENDED;
    }
    if ((length + pad) % 8 != 0 || length > 65528 || head[7] != 0) {
        out->aligned = false;
    }
    if (head[1] == rules->type) {
        bytes_add(&out->content, head + 8, there);
    }
    out->count++;
    if (head[1] == rules->other) {
        out->others++;
        if (rules->other_ends) {
            out->end = RECORDS_ENDED;
        }
    }
    if (left - 8 < length + pad) {
        out->partial = true;
        return false;
    }
    out->used += 8 + length + pad;
    return out->end == RECORDS_OPEN;
}

void
records_read(struct records *records, const struct records_rules *rules,
             const uint8_t *data, size_t count)
{
    bool more = true;

    memset(records, 0, sizeof(*records));
    records->aligned = true;
    while (more && count - records->used >= 8) {
        more = record_take(records, rules, data + records->used,
                           count - records->used);
    }
    if (more && count > records->used) {
        records->partial = true;
        if (rules->hasty && data[records->used] != 1) {
            records->end = RECORDS_BAD;
        }
    }
}

void
records_free(struct records *records)
{
    bytes_free(&records->content);
}
