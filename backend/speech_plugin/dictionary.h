/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How words are spoken: the CMU pronouncing dictionary that comes with the
 * acoustic model, mapped read-only and searched in place, so that every
 * decoder gets the few words it needs without loading 134,000. Words it does
 * not know are spelled out by flite's letter-to-sound rules. One for the
 * process; opened once, then read by any thread. Owns the mapping for good.
 */

#ifndef VOICE_DICTIONARY_H
#define VOICE_DICTIONARY_H

#include <stddef.h>

#define DICTIONARY_WORD_BYTES   64 /* longest word, with NUL */
#define DICTIONARY_PHONES_BYTES 512

/* Maps the file and indexes it. 0, or -1 with a reason in error. Again: 0. */
int dictionary_open(const char *path, char *error, size_t error_bytes);

/* A pronunciation: `word` is "read", for further ones "read(2)"; `phones` are
 * of the en-us model: "R IY D". */
typedef void dictionary_h(void *arg, const char *word, const char *phones);

/* Calls the handler for each pronunciation of a lower case word; gives their
 * number, 0 when it can't be spoken. */
int dictionary_look_up(const char *word, dictionary_h *handler, void *arg);

#endif
