/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/dialect_memory.h"

#include <stdlib.h>
#include <string.h>

void
dialect_memory_init(struct dialect_memory *m)
{
    memset(m, 0, sizeof(*m));
}

void
dialect_memory_deinit(struct dialect_memory *m)
{
    for (size_t i = 0; i < DIALECT_ITEMS; i++)
        free(m->notes[i].text);
    for (size_t i = 0; i < m->metadata_count; i++)
        json_decref(m->metadata[i]);
    for (size_t i = 0; i < m->answer_count; i++)
        free(m->answers[i]);
    json_decref(m->current);
    memset(m, 0, sizeof(*m));
}

void
dialect_memory_set(char field[DIALECT_ID_BYTES], const json_t *value)
{
    const char *text = json_string_value(value);
    size_t bytes = text ? strlen(text) : DIALECT_ID_BYTES;

    field[0] = 0;
    if (bytes < DIALECT_ID_BYTES)
        memcpy(field, text, bytes + 1);
}

struct dialect_note *
dialect_memory_note(struct dialect_memory *m, const json_t *id, bool make)
{
    char wanted[DIALECT_ID_BYTES];

    dialect_memory_set(wanted, id);
    if (!wanted[0])
        return NULL;
    for (size_t i = 0; i < DIALECT_ITEMS; i++)
        if (strcmp(m->notes[i].id, wanted) == 0)
            return &m->notes[i];
    if (!make)
        return NULL;
    struct dialect_note *note = &m->notes[m->next++ % DIALECT_ITEMS];
    free(note->text);
    *note = (struct dialect_note){.start_ms = -1, .end_ms = -1};
    memcpy(note->id, wanted, sizeof(wanted));
    return note;
}

void
dialect_note_text(struct dialect_note *note, const char *text)
{
    char *copy = NULL;

    if (text && strlen(text) <= DIALECT_TEXT_MAX)
        copy = strdup(text);
    free(note->text);
    note->text = copy;
}

void
dialect_memory_ask(struct dialect_memory *m, json_t *metadata, size_t bytes)
{
    if (m->metadata_count == DIALECT_METADATA) {
        json_decref(m->metadata[0]);
        memmove(m->metadata, m->metadata + 1,
                sizeof(m->metadata[0]) * --m->metadata_count);
    }
    bool fits = bytes <= DIALECT_METADATA_MAX && json_object_size(metadata) > 0
                && json_object_size(metadata) <= DIALECT_PAIRS;
    m->metadata[m->metadata_count++] = fits ? json_incref(metadata) : NULL;
}

void
dialect_memory_create(struct dialect_memory *m)
{
    json_decref(m->current);
    m->current = NULL;
    m->outputs = 0;
    m->interrupted = false;
    if (m->metadata_count == 0)
        return;
    m->current = m->metadata[0];
    memmove(m->metadata, m->metadata + 1,
            sizeof(m->metadata[0]) * --m->metadata_count);
}

bool
dialect_memory_answer(struct dialect_memory *m, char *text)
{
    if (m->answer_count == DIALECT_ANSWERS) {
        free(text);
        return false;
    }
    m->answers[m->answer_count++] = text;
    return true;
}

char *
dialect_memory_take_answer(struct dialect_memory *m)
{
    if (m->answer_count == 0)
        return NULL;
    char *text = m->answers[0];
    memmove(m->answers, m->answers + 1,
            sizeof(m->answers[0]) * --m->answer_count);
    return text;
}
