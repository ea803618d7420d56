/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_texts.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

void
session_texts_init(struct session_texts *texts)
{
    texts->first = NULL;
    texts->last = &texts->first;
    texts->bytes = 0;
}

void
session_texts_deinit(struct session_texts *texts)
{
    struct session_text *one;

    while ((one = session_texts_pop(texts)) != NULL)
        free(one);
}

int
session_texts_push(struct session_texts *texts, const char *text, size_t bytes)
{
    struct session_text *one = malloc(sizeof(*one) + bytes + 1);

    if (!one)
        return UV_ENOMEM;
    one->next = NULL;
    one->bytes = bytes;
    memcpy(one->text, text, bytes);
    one->text[bytes] = 0;
    *texts->last = one;
    texts->last = &one->next;
    texts->bytes += bytes;
    return 0;
}

struct session_text *
session_texts_pop(struct session_texts *texts)
{
    struct session_text *one = texts->first;

    if (!one)
        return NULL;
    texts->first = one->next;
    if (!texts->first)
        texts->last = &texts->first;
    texts->bytes -= one->bytes;
    return one;
}
