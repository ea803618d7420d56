/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_hearing.h"

#include <stdlib.h>
#include <string.h>

#define HEARINGS_MAX 16
#define DELTA_BYTES  24u

struct hearing {
    struct offline_item *item;
    struct offline_ear *ear; /* NULL: it could not listen */
    json_t *transcription;   /* the settings when it was committed, or null */
};

struct offline_hearings {
    struct offline_hearings_config cfg;
    struct hearing list[HEARINGS_MAX];
    size_t count;
};

static void on_ear_done(void *arg, struct offline_ear *ear);

int
offline_hearings_create(struct offline_hearings **hp,
                        const struct offline_hearings_config *cfg)
{
    struct offline_hearings *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return UV_ENOMEM;
    h->cfg = *cfg;
    h->cfg.ear.on_done = on_ear_done;
    h->cfg.ear.arg = h;
    *hp = h;
    return 0;
}

static void
hearing_deinit(struct hearing *one)
{
    offline_ear_destroy(&one->ear);
    offline_item_unref(&one->item);
    json_decref(one->transcription);
    memset(one, 0, sizeof(*one));
}

void
offline_hearings_destroy(struct offline_hearings **hp)
{
    struct offline_hearings *h = *hp;

    *hp = NULL;
    if (h == NULL)
        return;
    for (size_t i = 0; i < h->count; i++)
        hearing_deinit(&h->list[i]);
    free(h);
}

void
offline_hearings_set_grammar(struct offline_hearings *h,
                             const struct speech_grammar *grammar)
{
    h->cfg.ear.grammar = grammar;
}

/* --- transcription events */

static bool
wants_transcription(const struct hearing *one)
{
    return json_is_object(one->transcription);
}

static json_t *
transcription_usage(const struct hearing *one, const char *words)
{
    const char *model =
        json_string_value(json_object_get(one->transcription, "model"));
    struct offline_tokens in;
    int out = (int) ((strlen(words) + 3) / 4);

    if (model != NULL && strcmp(model, "whisper-1") == 0)
        return json_pack("{s:s, s:f}", "type", "duration", "seconds",
                         (double) one->item->samples / 24000);
    offline_item_tokens(one->item, &in);
    return json_pack("{s:s, s:i, s:i, s:i, s:{s:i, s:i}}", "type", "tokens",
                     "total_tokens", (int) in.audio + out, "input_tokens",
                     (int) in.audio, "output_tokens", out,
                     "input_token_details", "text_tokens", 0, "audio_tokens",
                     (int) in.audio);
}

static void
emit_deltas(struct offline_hearings *h, const struct offline_item *item,
            const char *words)
{
    size_t left = strlen(words), n;

    while (left > 0) {
        n = left < DELTA_BYTES ? left : DELTA_BYTES;
        while (n < left && words[n - 1] != ' ')
            n++;
        offline_emit(&h->cfg.sink,
                     "conversation.item.input_audio_transcription.delta",
                     "{s:s, s:i, s:s%}", "item_id", item->id, "content_index",
                     (int) item->audio_index, "delta", words, n);
        words += n;
        left -= n;
    }
}

static void
emit_transcription(struct offline_hearings *h, const struct hearing *one)
{
    struct offline_item *item = one->item;
    json_t *part = json_array_get(json_object_get(item->json, "content"),
                                  item->audio_index);

    json_object_set_new(part, "transcript", json_string(item->heard));
    emit_deltas(h, item, item->heard);
    offline_emit(&h->cfg.sink,
                 "conversation.item.input_audio_transcription.completed",
                 "{s:s, s:i, s:s, s:o}", "item_id", item->id, "content_index",
                 (int) item->audio_index, "transcript", item->heard, "usage",
                 transcription_usage(one, item->heard));
}

static void
emit_failure(struct offline_hearings *h, const struct hearing *one)
{
    bool missing = h->cfg.ear.speech == NULL;

    offline_emit(&h->cfg.sink,
                 "conversation.item.input_audio_transcription.failed",
                 "{s:s, s:i, s:{s:s, s:s, s:s, s:n}}", "item_id", one->item->id,
                 "content_index", (int) one->item->audio_index, "error", "type",
                 "server_error", "code",
                 missing ? "speech_unavailable" : "server_error", "message",
                 missing ? "This server has no speech plugin."
                         : "The speech engine failed.",
                 "param");
}

/* --- settling */

static void
hearing_settle(struct offline_hearings *h, size_t at)
{
    struct hearing one = h->list[at];
    struct offline_item *item = one.item;

    h->list[at] = h->list[--h->count];
    if (one.ear != NULL && offline_ear_error(one.ear) == 0) {
        free(item->heard);
        item->heard = strdup(offline_ear_text(one.ear));
    }
    item->hearing = item->heard != NULL ? HEARD_DONE : HEARD_FAILED;
    if (wants_transcription(&one) && item->hearing == HEARD_DONE)
        emit_transcription(h, &one);
    else if (wants_transcription(&one))
        emit_failure(h, &one);
    offline_item_ref(item);
    hearing_deinit(&one);
    h->cfg.on_heard(h->cfg.arg, item);
    offline_item_unref(&item);
}

static void
on_ear_done(void *arg, struct offline_ear *ear)
{
    struct offline_hearings *h = arg;

    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].ear == ear) {
            hearing_settle(h, i);
            return;
        }
}

void
offline_hearings_settle(struct offline_hearings *h)
{
    size_t i = 0;

    while (i < h->count) {
        const struct hearing *one = &h->list[i];

        if (one->ear == NULL || offline_ear_is_done(one->ear)) {
            hearing_settle(h, i);
            i = 0;
        } else {
            i++;
        }
    }
}

void
offline_hearings_add(struct offline_hearings *h, struct offline_item *item,
                     struct offline_ear **ear, const json_t *transcription)
{
    struct hearing *one;

    if (h->count == HEARINGS_MAX) {
        offline_ear_destroy(ear);
        item->hearing = HEARD_FAILED;
        return;
    }
    one = &h->list[h->count++];
    one->item = offline_item_ref(item);
    one->ear = *ear;
    *ear = NULL;
    one->transcription = json_incref((json_t *) transcription);
    item->hearing = HEARD_PENDING;
    if (one->ear != NULL)
        offline_ear_redirect(one->ear, on_ear_done, h);
}

void
offline_hearings_ensure(struct offline_hearings *h, struct offline_item *item)
{
    struct offline_ear *ear = NULL;

    if (item->kind != ITEM_USER || item->hearing == HEARD_PENDING
        || item->hearing == HEARD_DONE || item->pcm == NULL)
        return;
    if (offline_ear_start(&ear, &h->cfg.ear, item->pcm, item->samples) != 0)
        ear = NULL;
    offline_hearings_add(h, item, &ear, NULL);
}
