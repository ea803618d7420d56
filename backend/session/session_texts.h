/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Texts that wait, in their order. Embedded in its user, who caps it by
 * looking at `bytes`. Owns copies. One thread.
 */

#ifndef VOICE_SESSION_TEXTS_H
#define VOICE_SESSION_TEXTS_H

#include <stddef.h>

struct session_text {
    struct session_text *next;
    size_t bytes;
    char text[]; /* with a NUL behind it */
};

struct session_texts {
    struct session_text *first; /* NULL: none */
    struct session_text **last;
    size_t bytes;
};

void session_texts_init(struct session_texts *texts);
void session_texts_deinit(struct session_texts *texts);

/* Copies. 0 or UV_ENOMEM. */
int session_texts_push(struct session_texts *texts, const char *text,
                       size_t bytes);

/* Gives the first one, to free(); NULL: there is none. */
struct session_text *session_texts_pop(struct session_texts *texts);

#endif
