/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   loop:  start ─► web_page ─┐                      ┌─► finish
 *   pool:                     └─► UTF-8 ─► HTML text ┘
 */

#include "tools/tool_web.h"

#include "codec/charset.h"
#include "codec/html_text.h"
#include "codec/tool_limits.h"
#include "tools/tool_run.h"
#include "tools/web_page.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT TOOL_LIMIT_WEB_BYTES
#define TITLE_BYTES   300
#define UTF8_GROWTH   3 /* bytes that one of a page can become */

struct tool_web {
    struct tool tool;
    struct http_client *http;
    struct address_range *allow;
    size_t allow_count;
};

/* Of one run, which keeps it. */
struct fetch {
    struct tool_run *run;
    struct web_page *page; /* NULL: it has come */
    uv_work_t work;
    struct buffer body;
    char *url, *content_type, *charset;
    bool is_html, cut;
    struct buffer text, title;
    int error;
};

static void
fetch_release(void *kept)
{
    struct fetch *f = kept;

    buffer_deinit(&f->body);
    buffer_deinit(&f->text);
    buffer_deinit(&f->title);
    free(f->url);
    free(f->content_type);
    free(f->charset);
    free(f);
}

/* --- the result */

/* Forward to the beginning of a character. */
static size_t
character_begin(const char *text, size_t bytes, size_t at)
{
    while (at < bytes && ((unsigned char) text[at] & 0xc0) == 0x80)
        at++;
    return at;
}

/* Controls would be six letters each in JSON, and say nothing. */
static void
controls_blank(char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char) text[i] < ' ' && text[i] != '\n' && text[i] != '\t')
            text[i] = ' ';
}

static json_t *
output_make(struct fetch *f, bool *truncated)
{
    int64_t offset = tool_run_integer(f->run, "offset", 0);
    int64_t limit = tool_run_integer(f->run, "limit", LIMIT_DEFAULT);
    const char *text = f->text.bytes ? (const char *) f->text.data : "";
    size_t all = f->text.bytes, begin, bytes;
    json_t *output;

    limit = limit < LIMIT_DEFAULT ? limit : LIMIT_DEFAULT;
    begin = offset < (int64_t) all ? (size_t) offset : all;
    begin = character_begin(text, all, begin);
    bytes = tool_limits_cut(text + begin, all - begin, (size_t) limit);
    if (bytes > all - begin)
        bytes = all - begin;
    *truncated = f->cut || begin + bytes < all;
    output =
        json_pack("{s:s, s:s%, s:s, s:b, s:I, s:I, s:I, s:I}", "url", f->url,
                  "content", text + begin, bytes, "content_type",
                  f->content_type, "truncated", *truncated, "total_bytes",
                  (json_int_t) all, "offset", (json_int_t) begin, "limit",
                  (json_int_t) limit, "returned_bytes", (json_int_t) bytes);
    if (output && f->title.bytes > 0)
        json_object_set_new(
            output, "title",
            json_stringn((const char *) f->title.data, f->title.bytes));
    return output;
}

static void
fetch_finish(struct fetch *f)
{
    struct tool_run *run = f->run;
    struct tool_result result = {0};

    if (tool_run_is_cancelled(run)) {
        tool_run_fail(run, "cancelled", "The request was cancelled.");
        return;
    }
    if (f->error == 0)
        result.output = output_make(f, &result.truncated);
    if (!result.output) {
        result.type = "failed";
        result.error = "The server has no memory left for the page.";
    }
    tool_run_finish(run, &result);
}

/* --- on the pool */

static void
fetch_decode(struct fetch *f, struct buffer *out)
{
    const char *data = f->body.bytes ? (const char *) f->body.data : "";
    const char *label = *f->charset ? f->charset : NULL;
    size_t label_bytes = strlen(f->charset);

    if (!label && f->is_html)
        label = html_text_charset(data, f->body.bytes, &label_bytes);
    f->error = charset_decode(label, label_bytes, data, f->body.bytes, out);
    buffer_deinit(&f->body);
}

static void
on_fetch_work(uv_work_t *work)
{
    struct fetch *f = work->data;
    size_t most = UTF8_GROWTH * f->body.bytes;
    struct buffer utf8;

    if (!*f->content_type && f->body.bytes)
        f->is_html = html_text_is_html((char *) f->body.data, f->body.bytes);
    buffer_init(&utf8, most);
    fetch_decode(f, f->is_html ? &utf8 : &f->text);
    buffer_init(&f->title, TITLE_BYTES);
    if (f->is_html) {
        buffer_init(&f->text, utf8.bytes + HTML_TEXT_SLACK);
        if (f->error == 0 && utf8.bytes)
            f->error = html_text_write((char *) utf8.data, utf8.bytes, &f->text,
                                       &f->title);
    }
    buffer_deinit(&utf8);
    controls_blank((char *) f->text.data, f->text.bytes);
    controls_blank((char *) f->title.data, f->title.bytes);
}

static void
on_fetch_worked(uv_work_t *work, int status)
{
    (void) status;
    fetch_finish(work->data);
}

/* --- on the loop */

static bool
type_is_html(const char *type)
{
    return strcmp(type, "text/html") == 0
           || strcmp(type, "application/xhtml+xml") == 0;
}

static bool
page_take(struct fetch *f, const struct web_page_result *rs)
{
    f->url = strdup(rs->url);
    f->content_type = strdup(rs->content_type);
    f->charset = strdup(rs->charset);
    f->cut = rs->cut;
    f->is_html = type_is_html(rs->content_type);
    f->body = *rs->body;
    buffer_init(rs->body, 0);
    buffer_init(&f->text, UTF8_GROWTH * f->body.bytes);
    return f->url && f->content_type && f->charset;
}

static void
on_page(void *arg, const struct web_page_result *rs)
{
    struct fetch *f = arg;
    int err = 0;

    f->page = NULL;
    if (rs->type) {
        tool_run_fail(f->run, rs->type, "%s", rs->why);
        return;
    }
    f->error = page_take(f, rs) ? 0 : UV_ENOMEM;
    f->work.data = f;
    if (f->error == 0)
        err = uv_queue_work(loop_uv(f->run->cfg.loop), &f->work, on_fetch_work,
                            on_fetch_worked);
    if (f->error != 0 || err != 0) {
        f->error = UV_ENOMEM;
        fetch_finish(f);
    }
}

static void
start_fail(struct tool_run *run, int err)
{
    if (err == UV_EINVAL)
        tool_run_fail(run, "invalid_arguments",
                      "url must be an address of the web that begins with "
                      "http:// or https:// and names no user.");
    else if (err == UV_ENOMEM)
        tool_run_fail(run, "failed", "The server has no memory left.");
    else
        tool_run_fail(run, "unavailable", "Too many requests wait already.");
}

static void
web_start(struct tool *tool, struct tool_run *run)
{
    struct tool_web *web = (struct tool_web *) tool;
    size_t bytes = 0;
    const char *url = tool_run_text(run, "url", &bytes);
    const struct web_page_config cfg = {.http = web->http,
                                        .url = url,
                                        .allow = web->allow,
                                        .allow_count = web->allow_count,
                                        .deadline_ms = run->cfg.deadline_ms};
    struct fetch *f;
    int err;

    if (!url || strlen(url) != bytes || bytes > WEB_PAGE_URL_MAX) {
        start_fail(run, UV_EINVAL);
        return;
    }
    f = calloc(1, sizeof(*f));
    if (!f) {
        start_fail(run, UV_ENOMEM);
        return;
    }
    f->run = run;
    tool_run_keep(run, f, fetch_release);
    err = web_page_get(&f->page, &cfg, on_page, f);
    if (err != 0)
        start_fail(run, err);
}

static void
web_cancel(struct tool *tool, struct tool_run *run)
{
    struct fetch *f = run->kept;

    (void) tool;
    if (f && f->page)
        web_page_cancel(f->page);
}

static void
web_destroy(struct tool *tool)
{
    struct tool_web *web = (struct tool_web *) tool;

    tool_deinit(tool);
    free(web->allow);
    free(web);
}

static const char parameters[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"url\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":4096,"
    "\"description\":\"The page's address, http:// or https://\"},"
    "\"offset\":{\"type\":\"integer\",\"minimum\":0,"
    "\"description\":\"Byte of its text to begin with, 0 if not given\"},"
    "\"limit\":{\"type\":\"integer\",\"minimum\":1,"
    "\"description\":\"Bytes of text at most, up to 100000\"}},"
    "\"required\":[\"url\"],\"additionalProperties\":false}";

int
tool_web_create(struct tool **tp, const struct tool_web_config *cfg)
{
    static const struct tool_ops ops = {
        .start = web_start, .cancel = web_cancel, .destroy = web_destroy};
    const struct tool_spec spec = {
        .name = "web_fetch",
        .description =
            "Fetches a page of the public web and gives its text. Pages are "
            "made readable, other text is given as it is. total_bytes says "
            "how long the text is; offset and limit choose a part of it.",
        .parameters = parameters,
        .flags = TOOL_READ_ONLY,
        .domain = TOOL_DOMAIN_WEB,
        .ttl_ms = cfg->ttl_ms,
        .timeout_ms = cfg->timeout_ms,
        .max_bytes = TOOL_BYTES_DEFAULT};
    struct tool_web *web = calloc(1, sizeof(*web));
    size_t bytes = cfg->allow_count * sizeof(*cfg->allow);
    int err;

    if (!web)
        return UV_ENOMEM;
    web->http = cfg->http;
    web->allow_count = cfg->allow_count;
    web->allow = bytes ? malloc(bytes) : NULL;
    if (bytes && !web->allow) {
        free(web);
        return UV_ENOMEM;
    }
    if (bytes)
        memcpy(web->allow, cfg->allow, bytes);
    err = tool_init(&web->tool, &ops, &spec);
    if (err != 0) {
        free(web->allow);
        free(web);
        return err;
    }
    *tp = &web->tool;
    return 0;
}
