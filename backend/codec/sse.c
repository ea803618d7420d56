/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/sse.h"

#include <string.h>
#include <uv.h>

#define RETRY_DIGITS 9 /* more is nonsense, and would not fit */

void
sse_init(struct sse *sse, size_t max_bytes, sse_event_h *on_event, void *arg)
{
    *sse = (struct sse){.max_bytes = max_bytes,
                        .on_event = on_event,
                        .arg = arg,
                        .retry_ms = -1};
    buffer_init(&sse->line, max_bytes);
    /* One more for each of two ends: of a line, of a text. */
    buffer_init(&sse->data, max_bytes + 2);
}

void
sse_deinit(struct sse *sse)
{
    buffer_deinit(&sse->line);
    buffer_deinit(&sse->data);
}

void
sse_restart(struct sse *sse)
{
    buffer_clear(&sse->line);
    buffer_clear(&sse->data);
    sse->type[0] = '\0';
    sse->has_data = sse->after_cr = sse->started = false;
    memcpy(sse->next_id, sse->id, sizeof(sse->id));
}

static int
size_error(int error)
{
    return error == UV_ENOBUFS ? UV_EMSGSIZE : error;
}

/* --- fields */

static int
data_field(struct sse *sse, const char *value, size_t bytes)
{
    if (bytes >= sse->max_bytes - sse->data.bytes)
        return UV_EMSGSIZE;
    int result = buffer_append(&sse->data, value, bytes);
    if (!result)
        result = buffer_append(&sse->data, "\n", 1);
    sse->has_data = true;
    return size_error(result);
}

static void
id_field(struct sse *sse, const char *value, size_t bytes)
{
    if (memchr(value, '\0', bytes))
        return;
    if (bytes >= SSE_ID_BYTES)
        bytes = 0; /* there is no coming back to it */
    memcpy(sse->next_id, value, bytes);
    sse->next_id[bytes] = '\0';
}

static void
type_field(struct sse *sse, const char *value, size_t bytes)
{
    if (bytes >= SSE_TYPE_BYTES)
        bytes = SSE_TYPE_BYTES - 1;
    memcpy(sse->type, value, bytes);
    sse->type[bytes] = '\0';
}

static void
retry_field(struct sse *sse, const char *value, size_t bytes)
{
    int64_t ms = 0;

    if (!bytes || bytes > RETRY_DIGITS)
        return;
    for (size_t i = 0; i < bytes; i++) {
        if (value[i] < '0' || value[i] > '9')
            return;
        ms = ms * 10 + (value[i] - '0');
    }
    sse->retry_ms = ms;
}

static bool
name_is(const char *line, size_t bytes, const char *name)
{
    return bytes == strlen(name) && memcmp(line, name, bytes) == 0;
}

static int
field(struct sse *sse, const char *line, size_t bytes)
{
    const char *colon = memchr(line, ':', bytes);
    size_t name = colon ? (size_t) (colon - line) : bytes;
    size_t begin = colon ? name + 1 : bytes;

    if (begin < bytes && line[begin] == ' ')
        begin++;
    if (name_is(line, name, "data"))
        return data_field(sse, line + begin, bytes - begin);
    if (name_is(line, name, "id"))
        id_field(sse, line + begin, bytes - begin);
    else if (name_is(line, name, "event"))
        type_field(sse, line + begin, bytes - begin);
    else if (name_is(line, name, "retry"))
        retry_field(sse, line + begin, bytes - begin);
    return 0;
}

/* --- events */

static int
event_tell(struct sse *sse)
{
    struct sse_event event = {.type = sse->type[0] ? sse->type : "message",
                              .bytes = sse->data.bytes - 1};
    char *text = buffer_text(&sse->data);

    if (!text)
        return UV_ENOMEM;
    text[event.bytes] = '\0'; /* its last line's end */
    event.data = text;
    int result = sse->on_event(sse->arg, &event);
    buffer_clear(&sse->data);
    return result;
}

static int
event_end(struct sse *sse)
{
    int result = 0;

    memcpy(sse->id, sse->next_id, sizeof(sse->id));
    if (sse->has_data)
        result = event_tell(sse);
    sse->has_data = false;
    sse->type[0] = '\0';
    return result;
}

static int
line_end(struct sse *sse, const char *line, size_t bytes)
{
    static const char mark[] = "\xef\xbb\xbf";
    bool first = !sse->started;

    sse->started = true;
    if (first && bytes >= 3 && memcmp(line, mark, 3) == 0) {
        line += 3;
        bytes -= 3;
    }
    return bytes ? field(sse, line, bytes) : event_end(sse);
}

/* The line that `data` ends; most come in one piece and are not copied. */
static int
line_take(struct sse *sse, const char *data, size_t bytes)
{
    if (!sse->line.bytes)
        return line_end(sse, data, bytes);
    int result = size_error(buffer_append(&sse->line, data, bytes));
    if (!result)
        result = line_end(sse, (const char *) sse->line.data, sse->line.bytes);
    buffer_clear(&sse->line);
    return result;
}

static size_t
line_length(const char *data, size_t bytes)
{
    const char *lf = memchr(data, '\n', bytes);
    size_t n = lf ? (size_t) (lf - data) : bytes;
    const char *cr = memchr(data, '\r', n);

    return cr ? (size_t) (cr - data) : n;
}

int
sse_push(struct sse *sse, const char *data, size_t bytes)
{
    int result = 0;

    while (bytes && !result) {
        if (sse->after_cr && *data == '\n') {
            sse->after_cr = false;
            data++;
            bytes--;
            continue;
        }
        sse->after_cr = false;
        size_t n = line_length(data, bytes);
        if (n == bytes)
            return size_error(buffer_append(&sse->line, data, n));
        sse->after_cr = data[n] == '\r';
        result = line_take(sse, data, n);
        data += n + 1;
        bytes -= n + 1;
    }
    return result;
}
