/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_intents.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <time.h>

#define MOST_COUNTED 100

typedef void intent_h(const struct intent_scene *scene, FILE *to);

struct intent {
    const char *name;
    const char *spoken; /* a rule's text */
    intent_h *answer;
    bool hush;
};

static void
local_time(const struct intent_scene *scene, struct tm *tm)
{
    time_t seconds = (time_t) (scene->wall_ms / 1000 + scene->utc_offset_s);

    if (gmtime_r(&seconds, tm) == NULL)
        memset(tm, 0, sizeof *tm);
}

static const char *
day_name(const struct tm *tm)
{
    static const char *const days[] = {"Sunday",    "Monday",   "Tuesday",
                                       "Wednesday", "Thursday", "Friday",
                                       "Saturday"};

    return days[tm->tm_wday];
}

static void
answer_time(const struct intent_scene *scene, FILE *to)
{
    struct tm tm;
    int hour;

    local_time(scene, &tm);
    hour = tm.tm_hour % 12 == 0 ? 12 : tm.tm_hour % 12;
    if (tm.tm_min == 0)
        fprintf(to, "It is %d o'clock %s.", hour,
                tm.tm_hour < 12 ? "in the morning" : "in the afternoon");
    else
        fprintf(to, "It is %d:%02d %s.", hour, tm.tm_min,
                tm.tm_hour < 12 ? "AM" : "PM");
}

static void
answer_date(const struct intent_scene *scene, FILE *to)
{
    static const char *const months[] = {
        "January", "February", "March",     "April",   "May",      "June",
        "July",    "August",   "September", "October", "November", "December"};
    struct tm tm;

    local_time(scene, &tm);
    fprintf(to, "Today is %s, %s %d, %d.", day_name(&tm), months[tm.tm_mon],
            tm.tm_mday, tm.tm_year + 1900);
}

static void
answer_day(const struct intent_scene *scene, FILE *to)
{
    struct tm tm;

    local_time(scene, &tm);
    fprintf(to, "Today is %s.", day_name(&tm));
}

/* The numbers in the words, in order; how many. */
static size_t
numbers_of(const struct utterance *u, double *numbers, size_t most)
{
    size_t count = 0;

    for (size_t at = 0; at < u->count && count < most;) {
        size_t taken = utterance_number(u, at, &numbers[count]);

        count += taken > 0;
        at += taken > 0 ? taken : 1;
    }
    return count;
}

static void
number_write(double number, FILE *to)
{
    if (fabs(number) < 1e15 && number == floor(number))
        fprintf(to, "%s%.0f", number < 0 ? "minus " : "", fabs(number));
    else
        fprintf(to, "%s%.6g", number < 0 ? "minus " : "", fabs(number));
}

static void
answer_sum(const struct intent_scene *scene, FILE *to)
{
    static const struct {
        const char *word;
        const char *said;
        char sign;
    } signs[] = {{"plus", "plus", '+'},
                 {"minus", "minus", '-'},
                 {"times", "times", '*'},
                 {"multiplied", "times", '*'},
                 {"divided", "divided by", '/'}};
    double n[2] = {0, 0}, result = 0;
    size_t k = 0;

    numbers_of(scene->u, n, 2);
    while (k < 4 && !utterance_has(scene->u, signs[k].word))
        k++;
    switch (signs[k].sign) {
    case '+':
        result = n[0] + n[1];
        break;
    case '-':
        result = n[0] - n[1];
        break;
    case '*':
        result = n[0] * n[1];
        break;
    default:
        if (n[1] == 0) {
            fputs("Nothing can be divided by zero.", to);
            return;
        }
        result = n[0] / n[1];
    }
    number_write(n[0], to);
    fprintf(to, " %s ", signs[k].said);
    number_write(n[1], to);
    fputs(fabs(result) >= 1e15 || result != floor(result) ? " is about "
                                                          : " is ",
          to);
    number_write(result, to);
    fputs(".", to);
}

/* "count to ten", "count from three to eight", "count down from five". */
static void
answer_count(const struct intent_scene *scene, FILE *to)
{
    double n[2] = {1, 10};
    size_t count = numbers_of(scene->u, n, 2);
    bool down = utterance_has(scene->u, "down");
    double step;

    if (count == 1 && down)
        n[1] = 1;
    else if (count == 1) {
        n[1] = n[0];
        n[0] = 1;
    } else if (count == 0 && down) {
        n[0] = 10;
        n[1] = 1;
    }
    n[0] = floor(n[0]);
    n[1] = floor(n[1]);
    if (fabs(n[1] - n[0]) >= MOST_COUNTED) {
        fprintf(to, "That is too far for me. I count up to %d numbers.",
                MOST_COUNTED);
        return;
    }
    step = n[1] < n[0] ? -1 : 1;
    for (double at = n[0]; at != n[1]; at += step)
        fprintf(to, "%.0f, ", at);
    fprintf(to, "%.0f.", n[1]);
}

static void
answer_story(const struct intent_scene *scene, FILE *to)
{
    (void) scene;
    fputs("Here is a story. On a small island there was a lighthouse, and in "
          "the lighthouse lived a woman called Mara with an old parrot. Every "
          "evening Mara climbed the stairs and lit the lamp, and every "
          "evening the parrot asked the same question. Who is it for? "
          "For whoever is out there, said Mara. One winter a storm broke the "
          "lamp, and the night was as black as ink. Mara heard a ship's horn, "
          "far away and coming closer to the rocks. She had no light to give. "
          "But the parrot flew up to the open window, and with all its might "
          "it called into the wind. Who is it for? Who is it for? The captain "
          "heard a voice where no voice should be, turned the wheel, and "
          "passed the rocks by the length of a rope. In the morning the whole "
          "crew came to say thank you, and they brought a new lamp and a bag "
          "of nuts. Since then the parrot has never asked again. It knows. "
          "That is the end of the story.",
          to);
}

static void
answer_joke(const struct intent_scene *scene, FILE *to)
{
    (void) scene;
    fputs("A packet walks into a bar, and nobody answers. So it walks in "
          "again.",
          to);
}

static void
answer_hello(const struct intent_scene *scene, FILE *to)
{
    struct tm tm;

    local_time(scene, &tm);
    fprintf(to, "%s! How can I help you?",
            tm.tm_hour < 5    ? "Hello"
            : tm.tm_hour < 12 ? "Good morning"
            : tm.tm_hour < 18 ? "Good afternoon"
                              : "Good evening");
}

static void
answer_mood(const struct intent_scene *scene, FILE *to)
{
    (void) scene;
    fputs("I am well, thank you. What can I do for you?", to);
}

static void
answer_who(const struct intent_scene *scene, FILE *to)
{
    (void) scene;
    fputs("I am the built-in offline model. I know a few things and need no "
          "network.",
          to);
}

static void
answer_help(const struct intent_scene *scene, FILE *to)
{
    fputs("You can ask me for the time, the date or the day, for sums such as "
          "seven plus five, to count to ten, or to tell you a story.",
          to);
    if (*scene->tool_names != '\0')
        fprintf(to, " I can also use these tools: %s.", scene->tool_names);
}

static void
answer_tools(const struct intent_scene *scene, FILE *to)
{
    if (*scene->tool_names != '\0')
        fprintf(to, "I can use these tools: %s.", scene->tool_names);
    else
        fputs("This session has given me no tools.", to);
}

static void
answer_weather(const struct intent_scene *scene, FILE *to)
{
    (void) scene;
    fputs("I can't know the weather: this session has no tool for it.", to);
}

static void
answer_repeat(const struct intent_scene *scene, FILE *to)
{
    if (scene->last_said != NULL && *scene->last_said != '\0')
        fputs(scene->last_said, to);
    else
        fputs("I have not said anything yet.", to);
}

static void
answer_thanks(const struct intent_scene *scene, FILE *to)
{
    (void) scene;
    fputs("You are welcome.", to);
}

static void
answer_goodbye(const struct intent_scene *scene, FILE *to)
{
    (void) scene;
    fputs("Goodbye!", to);
}

static void
answer_stop(const struct intent_scene *scene, FILE *to)
{
    (void) scene;
    fputs("Okay.", to);
}

/* Says what follows the first word, or "repeat after me". */
static void
answer_say(const struct intent_scene *scene, FILE *to)
{
    const struct utterance *u = scene->u;
    size_t at = 1;

    if (u->count > 3 && strcmp(u->words[0], "repeat") == 0)
        at = 3;
    fputs(u->text + u->from[at], to);
}

static const struct intent table[] = {
    {"time",
     "what time is it [now] | <what_is> the time [now] | [tell me] the time |"
     " tell me what time it is | do you know what time it is",
     answer_time, false},
    {"date",
     "<what_is> the date [today] | what date is it [today] |"
     " <what_is> today's date | tell me (the date | today's date)",
     answer_date, false},
    {"day",
     "what day is it [today] | what day of the week is it [today] |"
     " what day is today | tell me the day",
     answer_day, false},
    {"sum",
     "[<what_is> | how much is | calculate | tell me]"
     " <number> <operator> <number>",
     answer_sum, false},
    {"count",
     "count [up] to <number> | count [up] from <number> to <number> |"
     " count down [from <number>] [to <number>]",
     answer_count, false},
    {"story",
     "(tell | read) [me | us] a [short | long | nice] story |"
     " i want to hear a story",
     answer_story, false},
    {"joke", "(tell | say) [me | us] a joke", answer_joke, false},
    {"hello",
     "hello [there] | hi [there] | good morning | good afternoon |"
     " good evening",
     answer_hello, false},
    {"mood", "how are you [today]", answer_mood, false},
    {"who", "who are you | what are you | <what_is> your name", answer_who,
     false},
    {"help",
     "help [me] | what can you do | what can i (say | ask) |"
     " what do you understand",
     answer_help, false},
    {"tools",
     "(what | which) tools (do you have | can you use) | list [the | your]"
     " tools",
     answer_tools, false},
    {"weather",
     "<what_is> the weather [like] [today] [in <city>] |"
     " how is the weather [today] [in <city>]",
     answer_weather, false},
    {"repeat",
     "repeat [that | it] | say (that | it) again | what did you say |"
     " once more | pardon",
     answer_repeat, false},
    {"thanks", "thank you [very much] | thanks [a lot]", answer_thanks, false},
    {"goodbye", "goodbye | bye [bye] | good night | see you [later]",
     answer_goodbye, false},
    {"stop",
     "stop [talking] | be quiet | that is enough | never mind |"
     " cancel [that] | shut up",
     answer_stop, true},
    {"say", NULL, answer_say, false},
};
enum { INTENTS = sizeof table / sizeof *table, SAY = INTENTS - 1 };

int
intents_define_helpers(struct grammar *grammar)
{
    static const char *const rules[][2] = {
        {"what_is", "what is | what's"},
        {"link", "for | with | in | on | of | about | at | to | from | is"},
        {"when", "now | today | right now | in the project | please"},
        {"polite", "can you | could you | would you"},
    };

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        int rule = grammar_rule(grammar, rules[i][0], rules[i][1]);

        if (rule < 0)
            return rule;
    }
    return 0;
}

int
intents_define(struct intents *intents, struct grammar *grammar)
{
    char all[512];
    size_t fill = 0;

    _Static_assert(INTENTS <= INTENTS_MAX, "room for every intent");
    for (int i = 0; i < INTENTS; i++) {
        char name[32];

        intents->rules[i] = -1;
        if (table[i].spoken == NULL)
            continue;
        snprintf(name, sizeof name, "talk_%s", table[i].name);
        intents->rules[i] = grammar_rule(grammar, name, table[i].spoken);
        if (intents->rules[i] < 0)
            return intents->rules[i];
        fill += (size_t) snprintf(all + fill, sizeof all - fill, "%s<%s>",
                                  fill > 0 ? " | " : "", name);
    }
    intents->all = grammar_rule(grammar, "talk", all);
    return intents->all < 0 ? intents->all : 0;
}

int
intents_match(const struct intents *intents, const struct grammar *grammar,
              const struct utterance *u)
{
    if (u->count == 0)
        return -1;
    for (int i = 0; i < INTENTS; i++) {
        if (intents->rules[i] >= 0
            && grammar_matches(grammar, intents->rules[i], u->words, u->count))
            return i;
    }
    return -1;
}

int
intents_match_typed(const struct utterance *u)
{
    if (u->count >= 2 && strcmp(u->words[0], "say") == 0)
        return SAY;
    if (u->count >= 4 && strcmp(u->words[0], "repeat") == 0
        && strcmp(u->words[1], "after") == 0 && strcmp(u->words[2], "me") == 0)
        return SAY;
    return -1;
}

const char *
intent_name(int intent)
{
    return table[intent].name;
}

bool
intent_is_hush(int intent)
{
    return table[intent].hush;
}

void
intent_answer(int intent, const struct intent_scene *scene, FILE *to)
{
    table[intent].answer(scene, to);
}
