/* SPDX-License-Identifier: BSD-2-Clause */

/* Any bytes as an ignore file, and a path before them, up to a NUL: what one
 * rule says is what the last of all says when no later one fits. */

#include "codec/ignore_rules.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
demand(bool condition)
{
    if (!condition)
        abort();
}

static enum ignore_verdict
judge(const char *text, size_t bytes, const struct ignore_question *asked)
{
    struct ignore_rules *rules = NULL;
    enum ignore_verdict verdict;

    demand(ignore_rules_create(&rules, text, bytes) == 0);
    demand((ignore_rules_count(rules) > 0) == (rules != NULL));
    demand(ignore_rules_count(rules) <= IGNORE_RULES_MAX);
    verdict = ignore_rules_judge(rules, asked);
    if (rules)
        ignore_rules_destroy(&rules);
    return verdict;
}

/* Line by line, and all at once. */
static void
compare(const char *text, size_t bytes, const struct ignore_question *asked)
{
    enum ignore_verdict all = judge(text, bytes, asked);
    enum ignore_verdict last = IGNORE_UNSAID;

    while (bytes > 0) {
        const char *end = memchr(text, '\n', bytes);
        size_t line = end ? (size_t) (end - text) + 1 : bytes;
        enum ignore_verdict verdict = judge(text, line, asked);

        if (verdict != IGNORE_UNSAID)
            last = verdict;
        text += line;
        bytes -= line;
    }
    demand(all == last);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *text = (const char *) data;
    const char *end = bytes ? memchr(data, 0, bytes) : NULL;

    if (!end || bytes > 4096)
        return 0;
    const struct ignore_question asked = {
        .path = text,
        .bytes = (size_t) (end - text),
        .is_directory = bytes & 1,
    };
    const char *rules = end + 1;
    size_t left = bytes - asked.bytes - 1;

    /* Its mark is the text's alone. */
    if (left < 3 || !memmem(rules, left, "\xef\xbb\xbf", 3))
        compare(rules, left, &asked);
    return 0;
}
