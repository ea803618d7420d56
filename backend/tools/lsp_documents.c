/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/lsp_documents.h"

#include "codec/lsp_place.h"
#include "tools/lsp_look.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* A look at the file that is asked about, the last one, and before it at those
 * that are open. Outlives the documents when they go meanwhile. */
struct round {
    uv_work_t work;
    struct lsp_documents *owner; /* NULL: it is gone */
    const struct tool_root *root;
    lsp_synced_h *synced;
    void *arg;
    bool has_asked;
    size_t count;
    struct lsp_look looks[LSP_DOCUMENTS_MAX + 1];
};

struct lsp_documents {
    struct lsp_documents_config cfg;
    struct lsp_document open[LSP_DOCUMENTS_MAX];
    size_t count;
    uint64_t ticks;
    uint64_t epoch; /* grows when all is forgotten */
    uint64_t round_epoch;
    struct round *round;
};

static atomic_uint rounds_left;

unsigned
lsp_documents_closing(void)
{
    return atomic_load(&rounds_left);
}

int
lsp_documents_create(struct lsp_documents **dp,
                     const struct lsp_documents_config *cfg)
{
    struct lsp_documents *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return UV_ENOMEM;
    d->cfg = *cfg;
    *dp = d;
    return 0;
}

static void
document_deinit(struct lsp_document *doc)
{
    free(doc->path);
    free(doc->uri);
    json_decref(doc->diagnostics);
    memset(doc, 0, sizeof(*doc));
}

void
lsp_documents_forget(struct lsp_documents *d)
{
    while (d->count > 0)
        document_deinit(&d->open[--d->count]);
    d->epoch++;
}

void
lsp_documents_destroy(struct lsp_documents **dp)
{
    struct lsp_documents *d = *dp;

    *dp = NULL;
    if (d == NULL)
        return;
    lsp_documents_forget(d);
    if (d->round != NULL) {
        d->round->owner = NULL;
        atomic_fetch_add(&rounds_left, 1);
        (void) uv_cancel((uv_req_t *) &d->round->work);
    }
    free(d);
}

struct lsp_document *
lsp_documents_find(struct lsp_documents *d, const char *path)
{
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->open[i].path, path) == 0)
            return &d->open[i];
    return NULL;
}

/* --- what the server is told */

static void
document_close(struct lsp_documents *d, struct lsp_document *doc)
{
    d->cfg.notify(d->cfg.arg, "textDocument/didClose",
                  json_pack("{s:{s:s}}", "textDocument", "uri", doc->uri));
    document_deinit(doc);
    d->count--;
    *doc = d->open[d->count];
    memset(&d->open[d->count], 0, sizeof(*doc));
}

static void
document_change(struct lsp_documents *d, struct lsp_document *doc,
                const struct lsp_look *look)
{
    doc->version++;
    doc->published_ms = 0;
    d->cfg.notify(d->cfg.arg, "textDocument/didChange",
                  json_pack("{s:{s:s, s:I}, s:[{s:s%}]}", "textDocument", "uri",
                            doc->uri, "version", (json_int_t) doc->version,
                            "contentChanges", "text", look->text,
                            look->text_bytes));
}

static const char *
language_of(const char *path)
{
    const char *name = strrchr(path, '/');
    const char *dot = strrchr(path, '.');

    if (dot == NULL || dot < name)
        return "plaintext";
    return lsp_place_language(dot + 1);
}

static void
room_make(struct lsp_documents *d)
{
    struct lsp_document *oldest = &d->open[0];

    if (d->count < LSP_DOCUMENTS_MAX)
        return;
    for (size_t i = 1; i < d->count; i++)
        if (d->open[i].used < oldest->used)
            oldest = &d->open[i];
    document_close(d, oldest);
}

static int
document_open(struct lsp_documents *d, const struct lsp_look *look)
{
    char uri[LSP_PLACE_URI_MAX];
    int error = lsp_place_uri(uri, sizeof(uri), look->path);
    struct lsp_document *doc;

    if (error != 0)
        return error;
    room_make(d);
    doc = &d->open[d->count];
    doc->path = strdup(look->path);
    doc->uri = strdup(uri);
    if (doc->path == NULL || doc->uri == NULL) {
        document_deinit(doc);
        return UV_ENOMEM;
    }
    doc->version = 1;
    d->count++;
    d->cfg.notify(d->cfg.arg, "textDocument/didOpen",
                  json_pack("{s:{s:s, s:s, s:i, s:s%}}", "textDocument", "uri",
                            doc->uri, "languageId", language_of(doc->path),
                            "version", 1, "text", look->text,
                            look->text_bytes));
    return 0;
}

/* One that was open when the look began. */
static bool
known_apply(struct lsp_documents *d, const struct lsp_look *look)
{
    struct lsp_document *doc = lsp_documents_find(d, look->asked);

    if (doc == NULL)
        return false;
    /* Gone, too large by now, or another file behind a link. */
    if (look->error != 0 || strcmp(look->path, doc->path) != 0) {
        document_close(d, doc);
        return true;
    }
    doc->st = look->st;
    doc->hash = look->hash;
    if (look->text == NULL)
        return false;
    document_change(d, doc, look);
    return true;
}

static int
asked_apply(struct lsp_documents *d, struct lsp_look *look,
            struct lsp_document **docp, bool *changed)
{
    struct lsp_document *doc;
    int error = look->error;

    if (error != 0)
        return error;
    doc = lsp_documents_find(d, look->path);
    if (doc == NULL) {
        error = document_open(d, look);
        if (error != 0)
            return error;
        *changed = true;
        doc = lsp_documents_find(d, look->path);
    } else if (doc->hash != look->hash) {
        document_change(d, doc, look);
        *changed = true;
    }
    doc->st = look->st;
    doc->hash = look->hash;
    doc->used = ++d->ticks;
    *docp = doc;
    return 0;
}

/* --- a round */

static void
round_free(struct round *round)
{
    for (size_t i = 0; i < round->count; i++)
        lsp_look_deinit(&round->looks[i]);
    free(round);
}

static void
on_pool_work(uv_work_t *work)
{
    struct round *round = (struct round *) work;

    for (size_t i = 0; i < round->count; i++)
        lsp_look_at(&round->looks[i], round->root, LSP_DOCUMENT_BYTES_MAX);
}

static void
round_apply(struct lsp_documents *d, struct round *round)
{
    struct lsp_document *doc = NULL;
    size_t known = round->count - (round->has_asked ? 1 : 0);
    bool changed = false;
    int error = 0;

    /* Of a server that is gone nothing is open; and the next one may not be
     * ready to be told of a file. */
    if (d->round_epoch != d->epoch) {
        round->synced(round->arg, UV_ECANCELED, NULL, false);
        return;
    }
    for (size_t i = 0; i < known; i++)
        changed = known_apply(d, &round->looks[i]) || changed;
    if (round->has_asked)
        error = asked_apply(d, &round->looks[known], &doc, &changed);
    round->synced(round->arg, error, doc, changed);
}

static void
on_pool_done(uv_work_t *work, int status)
{
    struct round *round = (struct round *) work;
    struct lsp_documents *d = round->owner;

    if (d == NULL) {
        atomic_fetch_sub(&rounds_left, 1);
    } else {
        d->round = NULL;
        if (status != 0)
            round->synced(round->arg, status, NULL, false);
        else
            round_apply(d, round);
    }
    round_free(round);
}

static int
look_add(struct round *round, const char *path, size_t bytes)
{
    struct lsp_look *look = &round->looks[round->count++];

    look->asked = malloc(bytes + 1);
    if (look->asked == NULL)
        return UV_ENOMEM;
    memcpy(look->asked, path, bytes);
    look->asked[bytes] = '\0';
    look->asked_bytes = bytes;
    return 0;
}

static int
round_fill(struct round *round, const struct lsp_documents *d, const char *path,
           size_t path_bytes)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct lsp_document *doc = &d->open[i];
        int error = look_add(round, doc->path, strlen(doc->path));

        if (error != 0)
            return error;
        round->looks[i].st = doc->st;
        round->looks[i].hash = doc->hash;
        round->looks[i].known = true;
    }
    round->has_asked = path != NULL;
    return path != NULL ? look_add(round, path, path_bytes) : 0;
}

int
lsp_documents_sync(struct lsp_documents *d, const char *path, size_t path_bytes,
                   lsp_synced_h *synced, void *arg)
{
    struct round *round;
    int error;

    if (d->round != NULL)
        return UV_EBUSY;
    round = calloc(1, sizeof(*round));
    if (round == NULL)
        return UV_ENOMEM;
    round->owner = d;
    round->root = d->cfg.root;
    round->synced = synced;
    round->arg = arg;
    error = round_fill(round, d, path, path_bytes);
    if (error == 0)
        error = uv_queue_work(loop_uv(d->cfg.loop), &round->work, on_pool_work,
                              on_pool_done);
    if (error != 0) {
        round_free(round);
        return error;
    }
    d->round = round;
    d->round_epoch = d->epoch;
    return 0;
}

/* --- what the server says */

void
lsp_documents_publish(struct lsp_documents *d, const json_t *params,
                      uint64_t now_ms)
{
    const char *uri = json_string_value(json_object_get(params, "uri"));
    const json_t *version = json_object_get(params, "version");
    json_t *items = json_object_get(params, "diagnostics");
    char path[TOOL_ROOT_PATH_MAX];
    struct lsp_document *doc;

    /* Servers escape a path as they like: the path counts. */
    if (uri == NULL || !json_is_array(items)
        || lsp_place_path(path, sizeof(path), uri) != 0)
        return;
    doc = lsp_documents_find(d, path);
    if (doc == NULL
        || (json_is_integer(version)
            && json_integer_value(version) != (json_int_t) doc->version))
        return;
    json_decref(doc->diagnostics);
    doc->diagnostics = json_incref(items);
    doc->published_ms = now_ms;
}
