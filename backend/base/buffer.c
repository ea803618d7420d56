/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   capacity
 *   ├─ offset ─┼──── bytes ────┼── room ──┤
 *    consumed   data ─►          append
 */

#include "base/buffer.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define SMALLEST 64

void
buffer_init(struct buffer *buffer, size_t max_bytes)
{
    *buffer = (struct buffer){.max_bytes = max_bytes};
}

void
buffer_deinit(struct buffer *buffer)
{
    free(buffer_take(buffer));
}

static void
buffer_rewind(struct buffer *buffer)
{
    uint8_t *start = buffer->data - buffer->offset;

    memmove(start, buffer->data, buffer->bytes);
    buffer->data = start;
    buffer->offset = 0;
}

/* Doubling, and never above what the cap can need. */
static size_t
buffer_grown(const struct buffer *buffer, size_t need)
{
    size_t capacity = buffer->capacity < SMALLEST ? SMALLEST : buffer->capacity;

    while (capacity < need) {
        if (capacity > SIZE_MAX / 2) {
            return need;
        }
        capacity *= 2;
    }
    if (capacity > buffer->max_bytes && need <= buffer->max_bytes) {
        capacity = buffer->max_bytes;
    }
    return capacity;
}

/* Makes room for `bytes` more, whatever the cap says. */
static int
buffer_make_room(struct buffer *buffer, size_t bytes)
{
    uint8_t *memory;
    size_t capacity;

    if (buffer->data != NULL
        && buffer->capacity - buffer->offset - buffer->bytes >= bytes) {
        return 0;
    }
    if (bytes > SIZE_MAX - buffer->bytes) {
        return UV_ENOMEM;
    }
    if (buffer->data != NULL) {
        /* Moving pays when it frees as much as it moves. */
        if (buffer->offset >= buffer->bytes
            && buffer->capacity - buffer->bytes >= bytes) {
            buffer_rewind(buffer);
            return 0;
        }
        buffer_rewind(buffer);
    }
    capacity = buffer_grown(buffer, buffer->bytes + bytes);
    memory = realloc(buffer->data, capacity);
    if (memory == NULL) {
        return UV_ENOMEM;
    }
    buffer->data = memory;
    buffer->capacity = capacity;
    return 0;
}

static int
buffer_room(struct buffer *buffer, size_t bytes)
{
    if (buffer->bytes > buffer->max_bytes
        || bytes > buffer->max_bytes - buffer->bytes) {
        return UV_ENOBUFS;
    }
    return buffer_make_room(buffer, bytes);
}

int
buffer_append(struct buffer *buffer, const void *data, size_t bytes)
{
    int err;

    if (bytes == 0) {
        return 0;
    }
    err = buffer_room(buffer, bytes);
    if (err == 0) {
        memcpy(buffer->data + buffer->bytes, data, bytes);
        buffer->bytes += bytes;
    }
    return err;
}

int
buffer_vprintf(struct buffer *buffer, const char *fmt, va_list args)
{
    va_list again;
    int err, length;

    va_copy(again, args);
    length = vsnprintf(NULL, 0, fmt, args);
    err = length < 0 ? UV_EINVAL : buffer_room(buffer, (size_t) length);
    /* One more for the NUL that vsnprintf insists on. */
    if (err == 0) {
        err = buffer_make_room(buffer, (size_t) length + 1);
    }
    if (err == 0) {
        vsnprintf((char *) buffer->data + buffer->bytes, (size_t) length + 1,
                  fmt, again);
        buffer->bytes += (size_t) length;
    }
    va_end(again);
    return err;
}

int
buffer_printf(struct buffer *buffer, const char *fmt, ...)
{
    va_list args;
    int err;

    va_start(args, fmt);
    err = buffer_vprintf(buffer, fmt, args);
    va_end(args);
    return err;
}

uint8_t *
buffer_reserve(struct buffer *buffer, size_t bytes)
{
    if (buffer_room(buffer, bytes) != 0) {
        return NULL;
    }
    return buffer->data + buffer->bytes;
}

void
buffer_commit(struct buffer *buffer, size_t bytes)
{
    buffer->bytes += bytes;
}

void
buffer_consume(struct buffer *buffer, size_t bytes)
{
    if (bytes >= buffer->bytes) {
        buffer_clear(buffer);
        return;
    }
    buffer->data += bytes;
    buffer->offset += bytes;
    buffer->bytes -= bytes;
}

void
buffer_clear(struct buffer *buffer)
{
    if (buffer->data != NULL) {
        buffer->data -= buffer->offset;
    }
    buffer->offset = 0;
    buffer->bytes = 0;
}

char *
buffer_text(struct buffer *buffer)
{
    if (buffer_make_room(buffer, 1) != 0) {
        return NULL;
    }
    buffer->data[buffer->bytes] = '\0';
    return (char *) buffer->data;
}

uint8_t *
buffer_take(struct buffer *buffer)
{
    uint8_t *memory;

    if (buffer->data != NULL && buffer->offset != 0) {
        buffer_rewind(buffer);
    }
    memory = buffer->data;
    buffer_init(buffer, buffer->max_bytes);
    return memory;
}
