/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Messages of the language server protocol on a pipe (LSP 3.17, "Base
 * Protocol"): headers, an empty line, a JSON text of so many bytes. Pure:
 * reads out of the caller's bytes and owns nothing. Refuses headers without
 * an end, a length that is no number or over the limit, and a charset that
 * isn't UTF-8.
 */

#ifndef VOICE_LSP_FRAME_H
#define VOICE_LSP_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define LSP_FRAME_HEAD_MAX  4096 /* bytes of one message's headers */
#define LSP_FRAME_HEAD_ROOM 48   /* what lsp_frame_write_head needs */

struct lsp_frame {
    const char *body; /* borrowed from the bytes read; no NUL behind it */
    size_t body_bytes;
};

/*
 * One message at the front of `data`. >0: so many bytes are it, *frame is
 * written; 0: more is needed; UV_EPROTO: no such message can begin so;
 * UV_EMSGSIZE: its body is over max_body_bytes (told as soon as the headers
 * are there). After an error the stream can't be read on.
 */
long lsp_frame_read(struct lsp_frame *frame, const char *data, size_t bytes,
                    size_t max_body_bytes);

/* Headers of a body of that size, NUL-terminated; how many bytes. */
size_t lsp_frame_write_head(char head[LSP_FRAME_HEAD_ROOM], size_t body_bytes);

#endif
