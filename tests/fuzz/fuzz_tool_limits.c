/* SPDX-License-Identifier: BSD-2-Clause */

/* Any bytes as a tool's output, in pieces as the first bytes say: what is kept
 * is sound UTF-8 within its limits, whatever the pieces. */

#include "codec/tool_limits.h"
#include "codec/ws_frame.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
demand(bool condition)
{
    if (!condition)
        abort();
}

static bool
is_sound(const uint8_t *text, size_t bytes)
{
    struct ws_utf8 utf8;

    ws_utf8_init(&utf8);
    return bytes == 0
           || (ws_utf8_push(&utf8, text, bytes) && ws_utf8_is_complete(&utf8)
               && !memchr(text, 0, bytes));
}

static void
lines_take(const struct tool_lines_config *cfg, const char *text, size_t bytes,
           size_t piece)
{
    struct tool_lines l;

    tool_lines_init(&l, cfg);
    for (size_t at = 0; at < bytes; at += piece)
        demand(!tool_lines_push(&l, text + at,
                                bytes - at < piece ? bytes - at : piece));
    demand(!tool_lines_finish(&l));
    demand(is_sound(l.text.data, l.text.bytes));
    demand(l.lines <= cfg->max_lines && l.total_bytes == bytes);
    demand(l.total_lines >= l.lines && l.cut_lines <= l.lines);
    tool_lines_deinit(&l);
}

static void
ends_take(size_t max, const char *text, size_t bytes, size_t piece)
{
    struct tool_ends e;
    struct buffer out;

    demand(!tool_ends_init(&e, max));
    buffer_init(&out, max);
    for (size_t at = 0; at < bytes; at += piece)
        tool_ends_push(&e, text + at, bytes - at < piece ? bytes - at : piece);
    demand(!tool_ends_write(&e, &out));
    demand(is_sound(out.data, out.bytes) && out.bytes <= max);
    demand(tool_ends_is_truncated(&e) || out.bytes == bytes);
    buffer_deinit(&out);
    tool_ends_deinit(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 4)
        return 0;
    const struct tool_lines_config cfg = {data[0] % 8, 1u + data[1] % 8,
                                          1u + data[1] / 8, data[0] & 8};
    const char *text = (const char *) data + 4;
    size_t piece = 1u + data[2];
    size_t cut = tool_limits_cut(text, bytes - 4, data[3]);

    demand(cut <= data[3] && cut <= bytes - 4);
    demand(!is_sound(data + 4, bytes - 4) || is_sound(data + 4, cut));
    lines_take(&cfg, text, bytes - 4, piece);
    ends_take(TOOL_ENDS_MIN + data[3], text, bytes - 4, piece);
    return 0;
}
