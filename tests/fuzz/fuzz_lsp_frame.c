/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a language server writes: frames are read the same however they are
 * cut, none reaches beyond what was read; and whatever JSON they hold becomes
 * an output within its limits.
 */

#include "codec/lsp_answer.h"
#include "codec/lsp_frame.h"
#include "codec/lsp_hello.h"
#include "codec/lsp_place.h"

#include <stdlib.h>
#include <string.h>

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
must(bool fact)
{
    if (!fact)
        abort();
}

static void
answer_check(int error, struct lsp_answer *answer)
{
    must(error == 0);
    must(json_dumpb(answer->output, NULL, 0, JSON_COMPACT)
         <= LSP_ANSWER_BYTES + 1000);
    must(json_is_true(json_object_get(answer->output, "truncated"))
         == answer->truncated);
    json_decref(answer->output);
}

static void
answers_make(const json_t *result)
{
    static const char root[] = "/r", uri[] = "file:///r/a.c";
    char why[LSP_HELLO_REFUSAL_BYTES];
    struct lsp_features features;
    struct lsp_answer answer;

    answer_check(lsp_answer_places(&answer, "x", root, result, 5), &answer);
    answer_check(lsp_answer_symbols(&answer, "x", root, uri, result), &answer);
    answer_check(lsp_answer_diagnostics(&answer, root, uri, result), &answer);
    answer_check(lsp_answer_hover(&answer, result), &answer);
    lsp_hello_read(&features, result);
    must(lsp_hello_refusal(result, why) != NULL);
    must(memchr(why, '\0', sizeof(why)) != NULL);
}

/* What is a path comes back from its URI. */
static void
place_check(const uint8_t *data, size_t bytes)
{
    char text[512], uri[2048], path[512];

    if (bytes >= sizeof(text) || memchr(data, '\0', bytes) != NULL)
        return;
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    (void) lsp_place_path(path, sizeof(path), text);
    if (lsp_place_uri(uri, sizeof(uri), text) != 0)
        return;
    must(lsp_place_path(path, sizeof(path), uri) == 0);
    must(strcmp(path, text) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct lsp_frame frame, again;
    long taken;

    place_check(data, bytes);
    while (
        (taken = lsp_frame_read(&frame, (const char *) data, bytes, BODY_MAX))
        > 0) {
        json_t *json;
        char *copy = malloc((size_t) taken);

        must((size_t) taken <= bytes && frame.body_bytes <= BODY_MAX);
        must((const uint8_t *) frame.body + frame.body_bytes == data + taken);
        memcpy(copy, data, (size_t) taken);
        must(lsp_frame_read(&again, copy, (size_t) taken, BODY_MAX) == taken);
        must(lsp_frame_read(&again, copy, (size_t) taken - 1, BODY_MAX) <= 0);
        free(copy);
        json = json_loadb(frame.body, frame.body_bytes,
                          JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
        if (json != NULL)
            answers_make(json);
        json_decref(json);
        data += taken;
        bytes -= (size_t) taken;
    }
    return 0;
}
