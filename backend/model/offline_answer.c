/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_answer.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#define WORDS_BYTES 4096
#define STILL_THERE "Are you still there?"

static const char *
last_said(const struct offline_request *r, char *to, size_t bytes)
{
    for (size_t i = r->count; i-- > 0;)
        if (r->items[i]->kind == ITEM_ASSISTANT
            && offline_item_words(r->items[i], to, bytes))
            return to;
    return NULL;
}

static void
moment_fill(struct wit_moment *moment, const char *said)
{
    int64_t wall_ms = clock_wall_ms();
    time_t now = (time_t) (wall_ms / 1000);
    struct tm local;

    moment->wall_ms = wall_ms;
    moment->last_said = said;
    moment->utc_offset_s =
        localtime_r(&now, &local) != NULL ? (int) local.tm_gmtoff : 0;
}

static int
say_text(struct wit_answer *answer, const char *intent, const char *text)
{
    memset(answer, 0, sizeof(*answer));
    answer->action = WIT_SAY;
    answer->intent = intent;
    answer->text = strdup(text);
    return answer->text != NULL ? 0 : UV_ENOMEM;
}

/* The name of the function that call_id called. */
static const char *
called_name(const struct offline_request *r, const char *call_id)
{
    for (size_t i = r->count; i-- > 0;)
        if (r->items[i]->kind == ITEM_CALL
            && strcmp(offline_item_field(r->items[i], "call_id"), call_id) == 0)
            return offline_item_field(r->items[i], "name");
    return NULL;
}

static int
text_join(char **text, const char *more)
{
    size_t used = *text != NULL ? strlen(*text) : 0;
    char *grown = realloc(*text, used + strlen(more) + 2);

    if (grown == NULL)
        return UV_ENOMEM;
    if (used > 0)
        grown[used++] = ' ';
    memcpy(grown + used, more, strlen(more) + 1);
    *text = grown;
    return 0;
}

/* Several calls of one response are told in one answer. */
static int
tell_results(const struct offline_request *r, const struct wit *wit,
             struct wit_answer *answer)
{
    struct wit_answer one;
    size_t first = r->count;
    char *text = NULL;
    int rc = 0;

    while (first > 0 && r->items[first - 1]->kind == ITEM_OUTPUT)
        first--;
    for (size_t i = first; i < r->count && rc == 0; i++) {
        rc = wit_tell_result(
            wit, called_name(r, offline_item_field(r->items[i], "call_id")),
            offline_item_field(r->items[i], "output"), &one);
        if (rc != 0)
            break;
        rc = text_join(&text, one.text);
        wit_answer_deinit(&one);
    }
    if (rc == 0)
        rc = say_text(answer, "result", text);
    free(text);
    return rc;
}

static bool
choice_is(const struct offline_request *r, const char *name)
{
    const char *choice = json_string_value(r->tool_choice);

    return choice != NULL && strcmp(choice, name) == 0;
}

/* With the session's own "required" a result is told all the same: else each
 * result would ask for another call, for ever. */
static bool
must_call(const struct offline_request *r, bool has_result)
{
    if (!choice_is(r, "required") && !json_is_object(r->tool_choice))
        return false;
    return r->own_choice || !has_result;
}

static int
answer_words(const struct offline_request *r, const struct wit *wit,
             const struct offline_item *subject, struct wit_answer *answer)
{
    char words[WORDS_BYTES], said[WORDS_BYTES];
    const char *tool =
        json_string_value(json_object_get(r->tool_choice, "name"));
    bool has_result =
        r->count > 0 && r->items[r->count - 1]->kind == ITEM_OUTPUT;
    const char *heard = NULL;
    struct wit_moment moment;
    int rc;

    if (subject != NULL && subject->kind == ITEM_USER
        && offline_item_words(subject, words, sizeof(words)))
        heard = words;
    if (must_call(r, has_result)) {
        rc = wit_force_call(wit, tool, heard, answer);
        if (rc != UV_ENOENT)
            return rc;
    }
    if (has_result)
        return tell_results(r, wit, answer);
    moment_fill(&moment, last_said(r, said, sizeof(said)));
    return wit_answer(wit, &moment, heard, !choice_is(r, "none"), answer);
}

int
offline_answer_find(const struct offline_request *r, const struct wit *wit,
                    struct wit_answer *answer)
{
    const struct offline_item *subject = offline_request_subject(r);
    struct wit *own = NULL;
    int rc;

    if (r->idle)
        return say_text(answer, "idle", STILL_THERE);
    if (r->own_instructions && !must_call(r, false)) {
        rc = wit_follow(json_string_value(r->instructions), answer);
        if (rc != 0)
            return rc == 1 ? 0 : rc;
    }
    if (r->own_tools) {
        rc = wit_create(&own, r->tools);
        if (rc != 0)
            return rc;
        wit = own;
    }
    rc = answer_words(r, wit, subject, answer);
    wit_destroy(&own);
    return rc;
}
