/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Text of the charsets that web pages have, as UTF-8. Labels are those of the
 * WHATWG's Encoding Standard, and only the known ones ever reach iconv. A byte
 * order mark has the last word. Pure but for iconv's tables, any thread.
 */

#ifndef VOICE_CHARSET_H
#define VOICE_CHARSET_H

#include "base/buffer.h"

#include <stddef.h>

/*
 * Appends it; what is malformed, and NUL, becomes '?'. The label, in any case,
 * NULL or unknown: UTF-8. 0; UV_ENOBUFS: the rest is beyond the cap of `out`,
 * which ends with a whole character; UV_ENOMEM.
 */
int charset_decode(const char *label, size_t label_bytes, const char *data,
                   size_t bytes, struct buffer *out);

#endif
