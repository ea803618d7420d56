/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_wit.h"

#include "model/offline_arguments.h"
#include "model/offline_intents.h"
#include "model/offline_result.h"
#include "model/offline_slots.h"
#include "model/offline_tools.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define ECHOED_BYTES 120 /* of what was heard, when it is said back */
#define TOLD_TOOLS   8

/*
 *   tools + intents ─► rules ─► JSGF ─► ears ─► words ─┐
 *                        └──── match ◄── typed text ◄──┘
 */
struct wit {
    struct grammar *grammar;
    struct intents intents;
    struct tool_set *tools;
    struct speech_grammar speech; /* owns its texts */
};

static uint64_t
hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) /* FNV-1a */
        hash = (hash ^ (unsigned char) *text) * UINT64_C(1099511628211);
    return hash;
}

/* All that the ears may hear. */
static int
speech_make(struct wit *wit)
{
    bool tools = tool_set_rule(wit->tools) >= 0;
    char *jsgf = NULL, *words = NULL;
    int rule = grammar_rule(wit->grammar, "command",
                            tools ? "[<polite>] (<tools> | <talk>) [please]"
                                  : "[<polite>] <talk> [please]");
    int error =
        rule < 0 ? rule : grammar_print(wit->grammar, rule, &jsgf, &words);

    wit->speech.jsgf = jsgf;
    wit->speech.words = words;
    if (error == 0)
        wit->speech.id = hash_text(UINT64_C(14695981039346656037), jsgf);
    return error;
}

int
wit_create(struct wit **wp, const json_t *tools)
{
    struct wit *wit = calloc(1, sizeof *wit);
    int error;

    if (wit == NULL)
        return UV_ENOMEM;
    error = grammar_create(&wit->grammar);
    if (error == 0)
        error = intents_define_helpers(wit->grammar);
    if (error == 0)
        error = words_define_numbers(wit->grammar);
    if (error == 0)
        error = slots_define(wit->grammar);
    if (error == 0)
        error = intents_define(&wit->intents, wit->grammar);
    if (error == 0)
        error = tool_set_create(&wit->tools, wit->grammar, tools);
    if (error == 0)
        error = speech_make(wit);
    if (error != 0) {
        wit_destroy(&wit);
        return error;
    }
    *wp = wit;
    return 0;
}

void
wit_destroy(struct wit **wp)
{
    struct wit *wit = *wp;

    *wp = NULL;
    if (wit == NULL)
        return;
    tool_set_destroy(&wit->tools);
    grammar_destroy(&wit->grammar);
    free((char *) wit->speech.jsgf);
    free((char *) wit->speech.words);
    free(wit);
}

const struct speech_grammar *
wit_grammar(const struct wit *wit)
{
    return &wit->speech;
}

void
wit_answer_deinit(struct wit_answer *answer)
{
    free(answer->text);
    free(answer->tool);
    free(answer->arguments);
    memset(answer, 0, sizeof *answer);
}

/* --- sentences */

/* A text under way: written to `to`, then kept in the answer. */
struct sentence {
    FILE *to;
    char *text;
    size_t bytes;
};

static int
sentence_open(struct sentence *s)
{
    s->text = NULL;
    s->to = open_memstream(&s->text, &s->bytes);
    return s->to != NULL ? 0 : UV_ENOMEM;
}

static int
sentence_keep(struct sentence *s, const char *intent, struct wit_answer *answer)
{
    if (fclose(s->to) != 0) {
        free(s->text);
        return UV_ENOMEM;
    }
    answer->action = WIT_SAY;
    answer->intent = intent;
    answer->text = s->text;
    return 0;
}

static int
sentence_say(const char *intent, const char *text, struct wit_answer *answer)
{
    answer->action = WIT_SAY;
    answer->intent = intent;
    answer->text = strdup(text);
    return answer->text != NULL ? 0 : UV_ENOMEM;
}

static int
say_missing(const struct wit *wit, int tool, const char *missing,
            struct wit_answer *answer)
{
    struct sentence s;
    char words[128];

    if (sentence_open(&s) != 0)
        return UV_ENOMEM;
    if (!words_of_name(tool_set_name(wit->tools, tool), words, sizeof words))
        snprintf(words, sizeof words, "that");
    fprintf(s.to, "I need to know the %s for that. Please say %s with the %s.",
            missing, words, missing);
    return sentence_keep(&s, "missing", answer);
}

/* What was heard, short enough to be said back. */
static int
say_unknown(const struct utterance *u, struct wit_answer *answer)
{
    struct sentence s;
    size_t bytes = strnlen(u->text, ECHOED_BYTES + 1);

    if (u->count == 0)
        return sentence_say("unheard", "Sorry, I did not understand that.",
                            answer);
    if (bytes > ECHOED_BYTES) {
        bytes = ECHOED_BYTES;
        while (bytes > 0 && ((unsigned char) u->text[bytes] & 0xc0) == 0x80)
            bytes--;
    }
    while (bytes > 0
           && (isspace((unsigned char) u->text[bytes - 1])
               || ispunct((unsigned char) u->text[bytes - 1])))
        bytes--;
    if (sentence_open(&s) != 0)
        return UV_ENOMEM;
    fprintf(s.to,
            "I heard: %.*s. I don't know how to answer that. Ask me what I "
            "can do.",
            (int) bytes, u->text);
    return sentence_keep(&s, "unknown", answer);
}

static void
tool_names_write(const struct wit *wit, char *to, size_t bytes)
{
    size_t fill = 0;
    char words[128];

    to[0] = '\0';
    for (size_t i = 0; i < tool_set_count(wit->tools) && i < TOLD_TOOLS; i++) {
        if (!words_of_name(tool_set_name(wit->tools, i), words, sizeof words)
            || strlen(words) + 3 > bytes - fill)
            continue;
        fill += (size_t) snprintf(to + fill, bytes - fill, "%s%s",
                                  fill > 0 ? ", " : "", words);
    }
}

static int
say_intent(const struct wit *wit, const struct wit_moment *moment, int intent,
           const struct utterance *u, struct wit_answer *answer)
{
    char names[1024];
    struct intent_scene scene = {.u = u,
                                 .wall_ms = moment->wall_ms,
                                 .utc_offset_s = moment->utc_offset_s,
                                 .last_said = moment->last_said,
                                 .tool_names = names};
    struct sentence s;
    int error;

    if (sentence_open(&s) != 0)
        return UV_ENOMEM;
    tool_names_write(wit, names, sizeof names);
    intent_answer(intent, &scene, s.to);
    error = sentence_keep(&s, intent_name(intent), answer);
    if (error == 0 && intent_is_hush(intent))
        answer->action = WIT_HUSH;
    return error;
}

/* --- calls */

/* fill: leave nothing required open. Else what is missing is asked back. */
static int
call_make(const struct wit *wit, const struct utterance *u,
          const struct tool_command *command, bool fill,
          struct wit_answer *answer)
{
    const char *missing;
    json_t *arguments = arguments_read(wit->tools, u, command, fill, &missing);

    if (arguments == NULL)
        return UV_ENOMEM;
    if (missing != NULL) {
        json_decref(arguments);
        return say_missing(wit, command->tool, missing, answer);
    }
    answer->action = WIT_CALL;
    answer->intent = "tool";
    answer->tool = strdup(tool_set_name(wit->tools, (size_t) command->tool));
    answer->arguments = json_dumps(arguments, JSON_COMPACT);
    json_decref(arguments);
    if (answer->tool != NULL && answer->arguments != NULL)
        return 0;
    wit_answer_deinit(answer);
    return UV_ENOMEM;
}

/* Politeness before a command; "can you" but not all of "how can you". */
static void
polite_skip(struct utterance *u)
{
    static const char *const verbs[] = {"can", "could", "would", "will", NULL};
    size_t before;

    do {
        before = u->count;
        if (u->count > 1
            && (strcmp(u->words[0], "okay") == 0
                || strcmp(u->words[0], "ok") == 0
                || strcmp(u->words[0], "hey") == 0
                || strcmp(u->words[0], "now") == 0))
            utterance_skip(u, 1);
        for (int i = 0; verbs[i] != NULL && u->count > 2; i++) {
            if (strcmp(u->words[0], verbs[i]) == 0
                && strcmp(u->words[1], "you") == 0)
                utterance_skip(u, 2);
        }
    } while (u->count < before);
}

static int
answer_words(const struct wit *wit, const struct wit_moment *moment,
             const struct utterance *u, bool may_call,
             struct wit_answer *answer)
{
    struct tool_command command;
    int intent;

    if (u->count == 0)
        return say_unknown(u, answer);
    if (may_call && tool_set_match(wit->tools, u, TOOL_WHOLE, &command))
        return call_make(wit, u, &command, command.ordered, answer);
    intent = intents_match(&wit->intents, wit->grammar, u);
    if (intent < 0)
        intent = intents_match_typed(u);
    if (intent >= 0)
        return say_intent(wit, moment, intent, u, answer);
    if (may_call
        && (tool_set_match(wit->tools, u, TOOL_PREFIX, &command)
            || tool_set_match(wit->tools, u, TOOL_HINT, &command)))
        return call_make(wit, u, &command, command.ordered, answer);
    return say_unknown(u, answer);
}

int
wit_answer(const struct wit *wit, const struct wit_moment *moment,
           const char *heard, bool may_call, struct wit_answer *answer)
{
    struct utterance *u;
    int error;

    memset(answer, 0, sizeof *answer);
    u = malloc(sizeof *u);
    if (u == NULL)
        return UV_ENOMEM;
    utterance_read(u, heard != NULL ? heard : "hello");
    polite_skip(u);
    error = answer_words(wit, moment, u, may_call, answer);
    free(u);
    return error;
}

int
wit_force_call(const struct wit *wit, const char *tool, const char *heard,
               struct wit_answer *answer)
{
    struct tool_command command = {.tool = 0};
    struct utterance *u;
    int error;

    memset(answer, 0, sizeof *answer);
    if (tool_set_count(wit->tools) == 0)
        return UV_ENOENT;
    u = malloc(sizeof *u);
    if (u == NULL)
        return UV_ENOMEM;
    utterance_read(u, heard != NULL ? heard : "");
    polite_skip(u);
    if (!tool_set_match(wit->tools, u, TOOL_WHOLE, &command)
        && !tool_set_match(wit->tools, u, TOOL_PREFIX, &command)
        && !tool_set_match(wit->tools, u, TOOL_HINT, &command))
        command = (struct tool_command){.tool = 0};
    if (tool != NULL
        && strcmp(tool_set_name(wit->tools, (size_t) command.tool), tool) != 0)
        command =
            (struct tool_command){.tool = tool_set_find(wit->tools, tool)};
    error = command.tool < 0 ? UV_ENOENT
                             : call_make(wit, u, &command, true, answer);
    free(u);
    return error;
}

int
wit_tell_result(const struct wit *wit, const char *tool, const char *output,
                struct wit_answer *answer)
{
    struct sentence s;
    char words[128];

    (void) wit;
    memset(answer, 0, sizeof *answer);
    if (tool == NULL || !words_of_name(tool, words, sizeof words))
        words[0] = '\0';
    if (sentence_open(&s) != 0)
        return UV_ENOMEM;
    words[0] = (char) toupper((unsigned char) words[0]);
    result_tell(words, output, s.to);
    return sentence_keep(&s, "result", answer);
}

/* --- instructions that order words */

/* The ordered text after an order: quoted, or to the end of the line. */
static char *
ordered_text(const char *after)
{
    static const char *const quotes[][2] = {
        {"\"", "\""}, {"'", "'"}, {"\xe2\x80\x9c", "\xe2\x80\x9d"}};
    bool colon;
    const char *end;

    after += strspn(after, " ");
    colon = *after == ':';
    after += strspn(after, ": \n");
    for (size_t i = 0; i < sizeof quotes / sizeof *quotes; i++) {
        size_t bytes = strlen(quotes[i][0]);

        if (strncmp(after, quotes[i][0], bytes) != 0)
            continue;
        end = strstr(after + bytes, quotes[i][1]);
        if (end != NULL && end > after + bytes)
            return strndup(after + bytes, (size_t) (end - after) - bytes);
    }
    end = after + strcspn(after, "\n");
    return colon && end > after ? strndup(after, (size_t) (end - after)) : NULL;
}

int
wit_follow(const char *instructions, struct wit_answer *answer)
{
    static const char *const orders[] = {"say exactly",
                                         "say the following",
                                         "say this",
                                         "say",
                                         "reply with exactly",
                                         "reply with",
                                         "respond with exactly",
                                         "respond with",
                                         "answer with",
                                         "repeat exactly",
                                         "repeat"};

    memset(answer, 0, sizeof *answer);
    for (size_t i = 0;
         instructions != NULL && i < sizeof orders / sizeof *orders; i++) {
        const char *at = strcasestr(instructions, orders[i]);
        char *text;

        if (at == NULL
            || (at > instructions && isalpha((unsigned char) at[-1])))
            continue;
        text = ordered_text(at + strlen(orders[i]));
        if (text == NULL)
            continue;
        answer->action = WIT_SAY;
        answer->intent = "ordered";
        answer->text = text;
        return 1;
    }
    return 0;
}
