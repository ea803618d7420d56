/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The models that warm_pool keeps links for: what was asked for of late, and
 * how it went. Embedded in its user, under its lock; owns the names. A model
 * that never opened is forgotten with its first failure, so that what clients
 * make up costs little; one that did is tried again later and later.
 */

#ifndef VOICE_WARM_MODELS_H
#define VOICE_WARM_MODELS_H

#include <stdbool.h>
#include <stdint.h>

#define WARM_COOL_MS    300000 /* a model is kept warm after it was asked for */
#define WARM_MODELS_MAX 64     /* known at once */

struct warm_model {
    char *name;         /* NULL: the place is free */
    uint64_t asked_ms;  /* last */
    uint64_t retry_ms;  /* not before, after failures */
    uint64_t failed_ms; /* last */
    unsigned failures;  /* in a row */
    unsigned links;     /* of the user's that point here: it stays */
    bool kept;          /* of the configuration: never forgotten */
    bool proven;        /* one has opened */
};

struct warm_models {
    struct warm_model items[WARM_MODELS_MAX];
};

/* Zeroed is initialised. */
void warm_models_deinit(struct warm_models *models);

/* Warm from the start. */
void warm_models_keep(struct warm_models *models, const char *name);

/* It is asked for: known from now on. NULL: no place for another. */
struct warm_model *warm_models_ask(struct warm_models *models, const char *name,
                                   uint64_t now_ms);

/* Those to be kept warm, kept ones first, then by when they were asked for;
 * NULL begins and ends. Forgets the others. */
struct warm_model *warm_models_next(struct warm_models *models,
                                    const struct warm_model *after,
                                    uint64_t now_ms);

/* How many links it should have now, of `links` at most. */
unsigned warm_model_want(const struct warm_model *model, unsigned links,
                         uint64_t now_ms);

/* One opened; one lives well; one did not open. */
void warm_model_proven(struct warm_model *model);
void warm_model_succeeded(struct warm_model *model);
void warm_model_failed(struct warm_model *model, uint64_t now_ms);

/* The next end of a pause after failures; UINT64_MAX: none. */
uint64_t warm_models_due_ms(const struct warm_models *models, uint64_t now_ms);

/* 0 to max. */
uint64_t warm_jitter(uint64_t max);

#endif
