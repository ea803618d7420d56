/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A set of named rules in a subset of JSGF: words, `<rule>`, `( a | b )` and
 * `[ optional ]`. The same rules are printed as a JSGF grammar for the ears and
 * matched against words. Owns its texts. Pure, used on one thread at a time.
 * Refuses recursion: a rule may name only rules defined before it.
 */

#ifndef VOICE_OFFLINE_GRAMMAR_H
#define VOICE_OFFLINE_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRAMMAR_MAX_WORDS 63 /* of an utterance: positions are bits */

struct grammar;

int grammar_create(struct grammar **gp);
void grammar_destroy(struct grammar **gp);

/*
 * Defines a rule. name and text are copied. Its number (from 0), or UV_EINVAL
 * (a syntax error, an unknown rule), UV_ENOMEM. A rule with a name that exists
 * hides the older one. A rule named "number" also matches a word that begins
 * with a digit.
 */
int grammar_rule(struct grammar *grammar, const char *name, const char *text);

/*
 * Where the rule can end when it starts at any of the positions `from` (bit n:
 * before word n). count is at most GRAMMAR_MAX_WORDS.
 */
uint64_t grammar_match(const struct grammar *grammar, int rule, uint64_t from,
                       const char *const *words, size_t count);

/* The whole of the words. */
bool grammar_matches(const struct grammar *grammar, int rule,
                     const char *const *words, size_t count);

/* Words in the rule when every rule it names is written out: what it costs a
 * recogniser. */
size_t grammar_cost(const struct grammar *grammar, int rule);

/*
 * The rule, and all those that it needs, as JSGF with the rule public; and the
 * words used, newline separated. Both malloc'ed, given. 0 or UV_ENOMEM.
 */
int grammar_print(const struct grammar *grammar, int rule, char **jsgf,
                  char **words);

#endif
