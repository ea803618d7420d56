/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * JSON (RFC 8259) read over without a tree and without a copy: the scan stands
 * in the caller's text and moves behind what it has checked. Strict: escapes,
 * numbers, UTF-8, no half surrogate pairs. Pure, any thread, owns nothing.
 * Refuses nests deeper than JSON_SCAN_DEPTH.
 */

#ifndef VOICE_JSON_SCAN_H
#define VOICE_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#define JSON_SCAN_DEPTH 128 /* arrays and objects inside each other */

enum json_scan_result { JSON_SCAN_SOUND, JSON_SCAN_BAD, JSON_SCAN_TOO_DEEP };

struct json_scan {
    const uint8_t *at;
    const uint8_t *end;
};

/* Over white space. */
void json_scan_space(struct json_scan *s);

/* The next byte after white space, not taken; 0 at the end. */
uint8_t json_scan_next(struct json_scan *s);

/* Takes that byte when it is the next one after white space. */
bool json_scan_take(struct json_scan *s, uint8_t wanted);

/* From an opening quote to behind the closing one. *escaped: it has a
 * backslash. */
bool json_scan_string(struct json_scan *s, bool *escaped);

/* One whole value. *escaped is of a string that is itself the value. */
enum json_scan_result json_scan_value(struct json_scan *s, bool *escaped);

/* One character above 127 (RFC 3629); false: none, nothing is taken. */
bool json_scan_utf8(struct json_scan *s);

#endif
