/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Character references of HTML: numbers, and the names that pages use. Pure.
 */

#ifndef VOICE_HTML_ENTITY_H
#define VOICE_HTML_ENTITY_H

#include <stddef.h>

#define HTML_ENTITY_BYTES 4 /* of UTF-8 */

/* Of text that begins with '&': how long the reference is and, in `utf8`,
 * *made bytes of what it stands for (0: nothing that is seen). 0: it is none,
 * or one that isn't known. */
size_t html_entity_read(const char *text, size_t bytes,
                        char utf8[HTML_ENTITY_BYTES], size_t *made);

#endif
