/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/store_driver.h"

#include <stdlib.h>
#include <string.h>

/* A text that lives as long as its operation. */
struct store_text {
    struct store_text *next;
    char text[];
};

struct store_op *
store_op_create(enum store_kind kind)
{
    struct store_op *op = calloc(1, sizeof(*op));
    if (op)
        op->kind = kind;
    return op;
}

void
store_op_destroy(struct store_op **opp)
{
    struct store_op *op = *opp;
    struct store_text *next;

    *opp = NULL;
    if (!op)
        return;
    for (struct store_text *at = op->texts; at; at = next) {
        next = at->next;
        free(at);
    }
    free(op->rows.any);
    free(op);
}

void *
store_op_row(struct store_op *op, size_t row_bytes)
{
    if (op->count == STORE_ROWS_MAX)
        return NULL;
    if (op->count == op->capacity) {
        size_t more = op->capacity ? op->capacity * 2 : 1;
        void *rows = realloc(op->rows.any, more * row_bytes);
        if (!rows)
            return NULL;
        op->rows.any = rows;
        op->capacity = more;
    }
    char *row = (char *) op->rows.any + op->count++ * row_bytes;
    memset(row, 0, row_bytes);
    return row;
}

const char *
store_op_text(struct store_op *op, const char *text)
{
    size_t bytes = text ? strlen(text) : 0;
    struct store_text *copy;

    if (!bytes)
        return "";
    copy = malloc(sizeof(*copy) + bytes + 1);
    if (!copy)
        return NULL;
    memcpy(copy->text, text, bytes + 1);
    copy->next = op->texts;
    op->texts = copy;
    return copy->text;
}
