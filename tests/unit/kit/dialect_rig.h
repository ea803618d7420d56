/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A dialect between two script lines: texts go in, what comes out is kept as
 * trees. Texts are written with ' for ". Everything fails through cmocka.
 */

#ifndef VOICE_KIT_DIALECT_RIG_H
#define VOICE_KIT_DIALECT_RIG_H

#include "codec/dialect.h"

#include <jansson.h>
#include <stdbool.h>

struct dialect_rig {
    struct dialect *dialect;
    json_t *out; /* array: what the last call emitted */
    json_t *all; /* array: everything so far */
};

void dialect_rig_open(struct dialect_rig *rig, enum dialect_kind kind,
                      enum dialect_side side);
void dialect_rig_close(struct dialect_rig *rig);

/* Text through; the result of the call. */
int dialect_rig_to(struct dialect_rig *rig, const char *quoted);
int dialect_rig_from(struct dialect_rig *rig, const char *quoted);
size_t dialect_rig_answer(struct dialect_rig *rig);

/* The last call emitted these, in order; NULL ends. */
void dialect_rig_expect(const struct dialect_rig *rig, ...);

/* Each of the texts after those before it, both ways, with Jansson's nth
 * allocation failing, for each n there is: nothing but 0, UV_EINVAL and
 * UV_ENOMEM is given. */
void dialect_rig_starve(enum dialect_kind kind, enum dialect_side side,
                        const char *const *texts, size_t count);

/* " for ', and the tree of such a text; free and decref. */
char *dialect_rig_quote(const char *quoted);
json_t *dialect_rig_tree(const char *quoted);

#endif
