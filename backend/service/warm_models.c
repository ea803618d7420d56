/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/warm_models.h"

#include "gate/crypto.h"
#include "model/upstream.h"

#include <stdlib.h>
#include <string.h>

uint64_t
warm_jitter(uint64_t max)
{
    uint32_t random;

    crypto_random(&random, sizeof(random));
    return random % (max + 1);
}

static void
forget(struct warm_model *model)
{
    free(model->name);
    *model = (struct warm_model){.name = NULL};
}

void
warm_models_deinit(struct warm_models *models)
{
    for (unsigned i = 0; i < WARM_MODELS_MAX; i++)
        forget(&models->items[i]);
}

static struct warm_model *
find(struct warm_models *models, const char *name)
{
    for (unsigned i = 0; i < WARM_MODELS_MAX; i++) {
        struct warm_model *model = &models->items[i];
        if (model->name && strcmp(model->name, name) == 0)
            return model;
    }
    return NULL;
}

/* A free place, or the one that was asked for longest ago. */
static struct warm_model *
place_make(struct warm_models *models)
{
    struct warm_model *oldest = NULL;

    for (unsigned i = 0; i < WARM_MODELS_MAX; i++) {
        struct warm_model *model = &models->items[i];
        if (!model->name)
            return model;
        if (!model->kept && !model->links
            && (!oldest || model->asked_ms < oldest->asked_ms))
            oldest = model;
    }
    if (oldest)
        forget(oldest);
    return oldest;
}

static struct warm_model *
add(struct warm_models *models, const char *name)
{
    struct warm_model *model = place_make(models);

    if (model)
        model->name = strdup(name);
    return model && model->name ? model : NULL;
}

void
warm_models_keep(struct warm_models *models, const char *name)
{
    struct warm_model *model = add(models, name);

    if (model)
        model->kept = model->proven = true;
}

struct warm_model *
warm_models_ask(struct warm_models *models, const char *name, uint64_t now_ms)
{
    struct warm_model *model = find(models, name);

    if (!model)
        model = add(models, name);
    if (model)
        model->asked_ms = now_ms;
    return model;
}

static bool
is_cold(const struct warm_model *model, uint64_t now_ms)
{
    return !model->kept
           && (!model->asked_ms || now_ms >= model->asked_ms + WARM_COOL_MS);
}

/* Whether a comes before b. */
static bool
comes_before(const struct warm_model *a, const struct warm_model *b)
{
    if (a->kept != b->kept)
        return a->kept;
    if (a->asked_ms != b->asked_ms)
        return a->asked_ms > b->asked_ms;
    return a < b;
}

struct warm_model *
warm_models_next(struct warm_models *models, const struct warm_model *after,
                 uint64_t now_ms)
{
    struct warm_model *best = NULL;

    for (unsigned i = 0; i < WARM_MODELS_MAX; i++) {
        struct warm_model *model = &models->items[i];
        if (!model->name)
            continue;
        if (is_cold(model, now_ms)) {
            if (!model->links)
                forget(model);
            continue;
        }
        if ((!after || comes_before(after, model))
            && (!best || comes_before(model, best)))
            best = model;
    }
    return best;
}

unsigned
warm_model_want(const struct warm_model *model, unsigned links, uint64_t now_ms)
{
    if (now_ms < model->retry_ms)
        return 0;
    return (model->failures || !model->proven) && links ? 1 : links;
}

void
warm_model_proven(struct warm_model *model)
{
    model->proven = true;
}

void
warm_model_succeeded(struct warm_model *model)
{
    model->failures = 0;
    model->retry_ms = 0;
}

void
warm_model_failed(struct warm_model *model, uint64_t now_ms)
{
    if (!model->proven) {
        model->asked_ms = 0; /* cold */
        return;
    }
    model->failed_ms = now_ms;
    if (now_ms < model->retry_ms) /* those that fail together count as one */
        return;
    model->failures++;
    model->retry_ms = now_ms + upstream_backoff_ms(model->failures);
}

uint64_t
warm_models_due_ms(const struct warm_models *models, uint64_t now_ms)
{
    uint64_t due = UINT64_MAX;

    for (unsigned i = 0; i < WARM_MODELS_MAX; i++) {
        const struct warm_model *model = &models->items[i];
        if (model->name && model->retry_ms > now_ms && model->retry_ms < due)
            due = model->retry_ms;
    }
    return due;
}
