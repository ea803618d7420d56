/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_usage.h"

#include "api/api_wait.h"
#include "base/clock.h"
#include "service/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_MS      6000
#define DAYS         30  /* when nobody says which */
#define DAYS_MAX     400 /* of one answer */
#define DATE_BYTES   16
#define DAY_SECONDS  (24 * 3600)
#define MS_OF_MINUTE 60000.0

/* The answer, made on the store's thread or inside the call. */
struct asked {
    struct store_days days;
    char tenant[API_TENANT_BYTES];
    json_t *body; /* NULL: no memory */
    struct api_wait *wait;
};

/* --- dates */

static void
date_write(int64_t day, char out[DATE_BYTES])
{
    time_t at = (time_t) (day * DAY_SECONDS);
    struct tm tm;

    gmtime_r(&at, &tm);
    strftime(out, DATE_BYTES, "%Y-%m-%d", &tm);
}

/* Exactly YYYY-MM-DD, a day that there is. */
static bool
date_read(const char *text, int64_t *day)
{
    char again[DATE_BYTES];
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%d", &tm);

    if (end == NULL || *end != '\0' || strlen(text) != 10) {
        return false;
    }
    *day = (int64_t) timegm(&tm) / DAY_SECONDS;
    date_write(*day, again);
    return *day >= 0 && strcmp(text, again) == 0;
}

/* --- the shape */

static json_t *
details_make(const uint64_t *counts)
{
    return json_pack(
        "{s:I, s:I, s:I}", "text_tokens",
        (json_int_t) counts[STORE_USAGE_INPUT_TEXT], "audio_tokens",
        (json_int_t) counts[STORE_USAGE_INPUT_AUDIO], "image_tokens",
        (json_int_t) counts[STORE_USAGE_INPUT_IMAGE]);
}

static json_t *
cached_make(const uint64_t *counts)
{
    return json_pack(
        "{s:I, s:I, s:I}", "text_tokens",
        (json_int_t) counts[STORE_USAGE_CACHED_TEXT], "audio_tokens",
        (json_int_t) counts[STORE_USAGE_CACHED_AUDIO], "image_tokens",
        (json_int_t) counts[STORE_USAGE_CACHED_IMAGE]);
}

static json_t *
output_make(const uint64_t *counts)
{
    return json_pack("{s:I, s:I}", "text_tokens",
                     (json_int_t) counts[STORE_USAGE_OUTPUT_TEXT],
                     "audio_tokens",
                     (json_int_t) counts[STORE_USAGE_OUTPUT_AUDIO]);
}

/* Taken by json_pack when it succeeds; NULL in it fails it. */
static json_t *
counts_make(const uint64_t *c)
{
    uint64_t uncached = c[STORE_USAGE_INPUT] - c[STORE_USAGE_CACHED];

    return json_pack(
        "{s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:f,"
        " s:I}",
        "sessions", (json_int_t) c[STORE_USAGE_SESSIONS], "minutes",
        (double) c[STORE_USAGE_SESSION_MS] / MS_OF_MINUTE, "responses",
        (json_int_t) c[STORE_USAGE_RESPONSES], "estimated_responses",
        (json_int_t) c[STORE_USAGE_ESTIMATED], "input_tokens",
        (json_int_t) c[STORE_USAGE_INPUT], "cached_input_tokens",
        (json_int_t) c[STORE_USAGE_CACHED], "uncached_input_tokens",
        (json_int_t) uncached, "output_tokens",
        (json_int_t) c[STORE_USAGE_OUTPUT], "input_token_details",
        details_make(c), "cached_token_details", cached_make(c),
        "output_token_details", output_make(c), "transcription_tokens",
        (json_int_t) c[STORE_USAGE_TRANSCRIBED], "transcription_minutes",
        (double) c[STORE_USAGE_TRANSCRIBED_MS] / MS_OF_MINUTE, "tool_runs",
        (json_int_t) c[STORE_USAGE_TOOL_RUNS]);
}

static json_t *
row_make(const struct store_usage *row)
{
    json_t *object = counts_make(row->counts);
    char date[DATE_BYTES];

    date_write(row->day, date);
    if (object == NULL
        || json_object_set_new(object, "date", json_string(date)) != 0
        || json_object_set_new(object, "model", json_string(row->model)) != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *
body_make(const struct asked *a, const struct store_usage *rows, size_t count)
{
    json_t *data = json_array(), *total;
    uint64_t sums[STORE_USAGE_COUNT] = {0};
    char from[DATE_BYTES], to[DATE_BYTES];

    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(data, row_make(&rows[i])) != 0) {
            json_decref(data);
            return NULL;
        }
        for (size_t k = 0; k < STORE_USAGE_COUNT; k++) {
            sums[k] += rows[i].counts[k];
        }
    }
    date_write(a->days.from, from);
    date_write(a->days.to, to);
    total = counts_make(sums);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "object", "usage",
                     "tenant", a->tenant, "from", from, "to", to, "total",
                     total, "data", data);
}

/* --- asking */

static void
release_asked(void *arg)
{
    struct asked *a = arg;

    json_decref(a->body);
    free(a);
}

static void
answer_usage(struct gate_request *rq, struct api_context *api, int result,
             void *arg)
{
    struct asked *a = arg;

    (void) api;
    if (result != 0) {
        api_error(rq, 503, "store_unavailable", "The usage can't be read now.",
                  NULL);
        return;
    }
    api_json(rq, 200, &a->body);
}

static void
on_rows(void *arg, int result, const struct store_usage *rows, size_t count)
{
    struct asked *a = arg;

    if (result == 0) {
        a->body = body_make(a, rows, count);
    }
    api_wait_done(&a->wait, result);
}

static void
ask(struct gate_request *rq, struct api_context *api,
    const struct store_days *days)
{
    struct asked *a = calloc(1, sizeof(*a));
    const struct api_wait_config cfg = {
        .deadline_ms = WAIT_MS,
        .answer = answer_usage,
        .release = release_asked,
        .arg = a,
    };

    if (a != NULL) {
        a->days = *days;
        snprintf(a->tenant, sizeof(a->tenant), "%s", api_tenant(rq));
        a->days.tenant = a->tenant;
    }
    if (a == NULL || api_wait_start(&a->wait, rq, api, &cfg) != 0) {
        free(a);
        gate_answer_busy(rq);
        return;
    }
    int result = usage_ask(api->usage, &a->days, on_rows, a);
    if (result < 0) {
        api_wait_done(&a->wait, result);
    }
}

/* true, or rq is answered and gone. */
static bool
read_day(struct gate_request *rq, const char *name, int64_t *day)
{
    char text[DATE_BYTES];

    if (!api_query(rq, name, text, sizeof(text))) {
        return true;
    }
    if (date_read(text, day)) {
        return true;
    }
    api_error(rq, 400, "invalid_value", "Not a date of the form YYYY-MM-DD.",
              name);
    return false;
}

void
api_usage(struct gate_request *rq, struct api_context *api)
{
    int64_t today = usage_day_of(clock_wall_ms());
    struct store_days days = {.from = INT64_MIN, .to = today};

    if (!read_day(rq, "to", &days.to) || !read_day(rq, "from", &days.from)) {
        return;
    }
    if (days.from == INT64_MIN) {
        days.from = days.to - DAYS + 1;
    }
    if (days.from > days.to || days.to - days.from >= DAYS_MAX) {
        api_error(rq, 400, "invalid_value",
                  "The days must be in order, 400 at most.", "from");
        return;
    }
    ask(rq, api, &days);
}
