/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_voice_answers.h"

#include <string.h>

struct voice_answer *
session_voice_answers_find(struct session_voice_answers *a,
                           const struct session_voice_id *id)
{
    for (unsigned i = 0; i < a->count; i++)
        if (session_voice_id_is(&a->list[i].id, id))
            return &a->list[i];
    return NULL;
}

struct voice_answer *
session_voice_answers_open(struct session_voice_answers *a,
                           const struct session_voice_id *id)
{
    struct voice_answer *answer = session_voice_answers_find(a, id);

    if (answer != NULL || a->count == SESSION_VOICE_ANSWERS)
        return answer;
    answer = &a->list[a->count++];
    *answer = (struct voice_answer){.id = *id};
    return answer;
}

struct voice_answer *
session_voice_answers_unstarted(struct session_voice_answers *a)
{
    for (unsigned i = 0; i < a->count; i++)
        if (a->list[i].framed && !a->list[i].started)
            return &a->list[i];
    return NULL;
}

void
session_voice_answers_remove(struct session_voice_answers *a, unsigned index)
{
    a->count--;
    memmove(a->list + index, a->list + index + 1,
            (a->count - index) * sizeof a->list[0]);
}

void
session_voice_answers_cut(struct session_voice_answers *a)
{
    for (unsigned i = 0; i < a->count; i++)
        if (!a->list[i].done)
            session_voice_answers_discard(a, &a->list[i].id, true);
    a->count = 0;
}

bool
session_voice_answers_is_discarded(const struct session_voice_answers *a,
                                   const struct session_voice_id *id)
{
    for (unsigned i = 0; i < SESSION_VOICE_DISCARDED; i++)
        if (a->discarded[i] == id->key)
            return true;
    return false;
}

void
session_voice_answers_discard(struct session_voice_answers *a,
                              const struct session_voice_id *id, bool on)
{
    if (on && !session_voice_answers_is_discarded(a, id)) {
        a->discarded[a->discard_next] = id->key;
        a->discard_next = (a->discard_next + 1) % SESSION_VOICE_DISCARDED;
    }
    for (unsigned i = 0; i < SESSION_VOICE_DISCARDED && !on; i++)
        if (a->discarded[i] == id->key)
            a->discarded[i] = 0;
}
