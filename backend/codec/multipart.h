/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * multipart/form-data (RFC 7578, RFC 2046), read and written. A whole body in
 * memory; parts point into it. Pure, any thread, owns nothing. Refuses nests,
 * transfer encodings, and more than MULTIPART_PARTS_MAX parts.
 */

#ifndef VOICE_MULTIPART_H
#define VOICE_MULTIPART_H

#include "base/buffer.h"

#include <stddef.h>

#define MULTIPART_PARTS_MAX      16
#define MULTIPART_BOUNDARY_BYTES 72   /* 70 characters, one more, NUL */
#define MULTIPART_NAME_BYTES     64   /* of a part, with its NUL */
#define MULTIPART_TYPE_BYTES     128  /* of its media type, with its NUL */
#define MULTIPART_HEADER_BYTES   4096 /* all headers of a part */

struct multipart_part {
    char name[MULTIPART_NAME_BYTES];
    char type[MULTIPART_TYPE_BYTES]; /* lower case, no parameters; "" none */
    const char *body;                /* not NUL-terminated */
    size_t bytes;
};

struct multipart {
    struct multipart_part parts[MULTIPART_PARTS_MAX];
    size_t count;
};

/*
 * The boundary that a Content-Type names. 0; UV_ENOENT: it is no
 * multipart/form-data; UV_EINVAL: no boundary, or none of RFC 2046.
 */
int multipart_boundary(const char *content_type,
                       char boundary[MULTIPART_BOUNDARY_BYTES]);

/* 0; UV_EINVAL: malformed, cut off, or a name twice; UV_E2BIG: a cap. */
int multipart_parse(const char *body, size_t bytes, const char *boundary,
                    struct multipart *out);

/* The part of that name, NULL: none. */
const struct multipart_part *multipart_find(const struct multipart *m,
                                            const char *name);

/*
 * Appends a part, then the end. name and type are plain and the caller's own;
 * the boundary must not occur in a body: the caller has made it at random.
 * 0 or as buffer_append.
 */
int multipart_append(struct buffer *out, const char *boundary,
                     const struct multipart_part *part);
int multipart_end(struct buffer *out, const char *boundary);

#endif
