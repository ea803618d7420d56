/* SPDX-License-Identifier: BSD-2-Clause */

/* A session's calls with anything in any order: each has one output, and in
 * the end all is quiet. */

#include "kit/tools_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct chaos {
    struct tools_rig k;
    char running[16]; /* the conversation's response, "" none */
    unsigned responses, calls;
    bool open[4096]; /* the model made the call */
    bool speaking;
    unsigned confirmed;
};

static unsigned
chance(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % n;
}

static void
chaos_begin(struct chaos *c)
{
    snprintf(c->running, sizeof(c->running), "r%u", ++c->responses);
    tools_rig_created(&c->k, c->running);
}

static void
chaos_end(struct chaos *c, unsigned *seed)
{
    static const char *const ends[] = {"completed", "cancelled", "failed"};

    tools_rig_ended(&c->k, c->running, ends[chance(seed, 3)]);
    c->running[0] = 0;
}

static void
chaos_call(struct chaos *c, unsigned *seed)
{
    char id[16];

    snprintf(id, sizeof(id), "c%u", ++c->calls);
    tools_rig_item(&c->k, c->running, id, "alpha", "in_progress");
    if (chance(seed, 4))
        tools_rig_item(&c->k, c->running, id, "alpha", "completed");
    else if (chance(seed, 2))
        tools_rig_item(&c->k, c->running, id, "alpha", "incomplete");
}

static void
chaos_job(struct chaos *c, unsigned *seed)
{
    struct session_tool_call *call = c->k.w.calls.table.first;
    unsigned skip = chance(seed, 4);
    char *text = strdup("done");
    unsigned serial = 0;

    for (; call; call = call->next)
        if (call->has_job && (serial = call->serial) && skip-- == 0)
            break;
    if (chance(seed, 5) == 0)
        session_tool_calls_acknowledged(&c->k.w.calls, serial, &text);
    else
        session_tool_calls_done(&c->k.w.calls, serial, &text);
    free(text);
}

static void
chaos_confirm(struct chaos *c)
{
    while (c->confirmed < c->k.outputs)
        tools_rig_down(&c->k,
                       "{\"type\":\"conversation.item.added\",\"item\":{\"id\":"
                       "\"item_gw_%u\",\"type\":\"function_call_output\"}}",
                       ++c->confirmed);
}

static void
chaos_step(struct chaos *c, unsigned *seed)
{
    switch (chance(seed, 9)) {
    case 0:
        if (!c->running[0])
            chaos_begin(c);
        break;
    case 1:
        if (c->running[0])
            chaos_end(c, seed);
        break;
    case 2:
    case 3:
        if (c->running[0] && c->calls < 60)
            chaos_call(c, seed);
        break;
    case 4:
        chaos_job(c, seed);
        break;
    case 5:
        c->speaking = !c->speaking;
        tools_rig_speech(&c->k,
                         c->speaking ? "speech_started" : "speech_stopped");
        break;
    case 6:
        tools_rig_up(&c->k, "{\"type\":\"response.cancel\"}", NULL);
        break;
    case 7:
        chaos_confirm(c);
        break;
    default:
        if (chance(seed, 2))
            tools_rig_down(&c->k, REFUSED(ACTIVE));
    }
    c->k.now_ms += chance(seed, 3000);
    if (chance(seed, 3))
        tools_rig_flush(&c->k);
}

/* Jobs end, responses end, everybody falls silent. */
static void
chaos_calm(struct chaos *c)
{
    for (unsigned i = 0; i < 200; i++) {
        struct session_tool_call *call = c->k.w.calls.table.first;

        while (call && !call->has_job)
            call = call->next;
        if (call) {
            char *text = strdup("done");
            session_tool_calls_done(&c->k.w.calls, call->serial, &text);
        }
        if (c->running[0]) {
            tools_rig_ended(&c->k, c->running, "completed");
            c->running[0] = 0;
        }
        if (c->speaking)
            tools_rig_speech(&c->k, "speech_stopped");
        c->speaking = false;
        c->k.now_ms += 3000;
        tools_rig_flush(&c->k);
        chaos_confirm(c);
        if (c->k.w.turn.asked_ms)
            chaos_begin(c);
    }
}

static unsigned
occurrences(const char *text, const char *id)
{
    unsigned count = 0;
    size_t bytes = strlen(id);

    while ((text = strstr(text, id)) != NULL) {
        count += text[bytes] == '=';
        text += bytes;
    }
    return count;
}

static void
test_chaos(void **state)
{
    struct chaos *c = malloc(sizeof(*c));
    char *told = malloc(1 << 16);
    char id[16];

    (void) state;
    for (unsigned run = 0; run < 2000; run++) {
        unsigned seed = run * 7919 + 1;
        memset(c, 0, sizeof(*c));
        tools_rig_open(&c->k);
        told[0] = 0;
        for (unsigned i = 0; i < 150; i++) {
            chaos_step(c, &seed);
            strcat(told, c->k.told);
            c->k.told[0] = 0;
        }
        chaos_calm(c);
        strcat(told, c->k.told);
        if (!tools_rig_is_quiet(&c->k))
            print_message("run %u\n", run);
        assert_true(tools_rig_is_quiet(&c->k));
        for (unsigned i = 1; i <= c->calls; i++) {
            snprintf(id, sizeof(id), "c%u", i);
            if (occurrences(told, id) != 1)
                print_message("run %u: %s in %s\n", run, id, told);
            assert_int_equal(occurrences(told, id), 1);
        }
        tools_rig_close(&c->k);
    }
    free(told);
    free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chaos),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
