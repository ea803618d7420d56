/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A growable run of bytes with a cap, appended at its end and consumed at its
 * front. Embedded by its user, who owns it; used on one thread at a time. Owns
 * its memory, none while it has never held a byte or after buffer_deinit.
 * Refuses to grow beyond max_bytes; a failed call changes nothing.
 */

#ifndef VOICE_BUFFER_H
#define VOICE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;   /* first byte held; NULL while there is no memory */
    size_t bytes;    /* held */
    size_t offset;   /* consumed bytes still in front of data */
    size_t capacity; /* of the memory, offset included */
    size_t max_bytes;
};

/* No memory yet. max_bytes: the most that may be held. */
void buffer_init(struct buffer *buffer, size_t max_bytes);

/* Frees the memory; the buffer is empty and may be used again. */
void buffer_deinit(struct buffer *buffer);

/* Copies to the end. 0, UV_ENOBUFS (cap) or UV_ENOMEM. */
int buffer_append(struct buffer *buffer, const void *data, size_t bytes);

/* Appends formatted text, without its NUL. As buffer_append. */
int buffer_printf(struct buffer *buffer, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int buffer_vprintf(struct buffer *buffer, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

/*
 * Room for `bytes` bytes behind the end, to be written by the caller and then
 * made part of the buffer by buffer_commit (at most as many). Borrowed until
 * the next call. NULL: cap or no memory.
 */
uint8_t *buffer_reserve(struct buffer *buffer, size_t bytes);
void buffer_commit(struct buffer *buffer, size_t bytes);

/* Drops bytes at the front, at most all. Memory stays. */
void buffer_consume(struct buffer *buffer, size_t bytes);

/* Drops all; memory stays. */
void buffer_clear(struct buffer *buffer);

/* A NUL behind the end (not counted), so that data is a C string. The text,
 * borrowed until the next call, or NULL as buffer_reserve. */
char *buffer_text(struct buffer *buffer);

/* Gives the memory (free it); the buffer is empty. NULL when it has none. */
uint8_t *buffer_take(struct buffer *buffer);

#endif
