/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Cuts a text into pieces that are spoken one after the other: sentences, or
 * parts of long ones. A synthesiser makes no sound before it has the melody of
 * the whole text, so pieces make the first sound early. Pure, owns nothing.
 */

#ifndef VOICE_SPEECH_TEXT_H
#define VOICE_SPEECH_TEXT_H

#include <stddef.h>

#define SPEECH_TEXT_PIECE 160 /* bytes of the longest piece */

/*
 * The next piece of text[0..bytes): *start is where its first character is,
 * the result is where it ends, which is where to go on. A piece ends after a
 * sentence mark or a line; over SPEECH_TEXT_PIECE bytes after a comma, else
 * between words, else between characters (UTF-8). *start == the result: blank
 * to the end.
 */
size_t speech_text_next(const char *text, size_t bytes, size_t *start);

#endif
