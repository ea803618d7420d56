/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/json_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SCALAR_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY)

struct writer {
    json_dump_callback_t put;
    void *arg;
    unsigned depth;
};

static int
put(struct writer *w, const char *text, size_t bytes)
{
    return w->put(text, bytes, w->arg);
}

/* RFC 8259, section 7. */
static bool
needs_escape(char c)
{
    return (unsigned char) c < 0x20 || c == '"' || c == '\\';
}

static int
put_escape(struct writer *w, char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    static const char digits[] = "0123456789ABCDEF";
    const char *found = c != '\0' ? strchr(plain, c) : NULL;
    char text[6] = {'\\', 'u', '0', '0'};

    if (found != NULL) {
        text[1] = names[found - plain];
        return put(w, text, 2);
    }
    text[4] = digits[(unsigned char) c >> 4];
    text[5] = digits[c & 15];
    return put(w, text, 6);
}

static int
put_string(struct writer *w, const char *text, size_t bytes)
{
    size_t begin = 0;
    int err = put(w, "\"", 1);

    for (size_t at = 0; at < bytes && err == 0; at++) {
        if (!needs_escape(text[at])) {
            continue;
        }
        if (at > begin) {
            err = put(w, text + begin, at - begin);
        }
        begin = at + 1;
        if (err == 0) {
            err = put_escape(w, text[at]);
        }
    }
    if (err == 0 && begin < bytes) {
        err = put(w, text + begin, bytes - begin);
    }
    return err == 0 ? put(w, "\"", 1) : err;
}

static int put_any(struct writer *w, const json_t *value);

static int
put_array(struct writer *w, const json_t *array)
{
    int err = put(w, "[", 1);

    for (size_t i = 0; i < json_array_size(array) && err == 0; i++) {
        err = i > 0 ? put(w, ",", 1) : 0;
        if (err == 0) {
            err = put_any(w, json_array_get(array, i));
        }
    }
    return err == 0 ? put(w, "]", 1) : err;
}

/* Jansson's iterators take no const tree, and change none. */
static int
put_object(struct writer *w, const json_t *object)
{
    json_t *tree = (json_t *) (uintptr_t) object;
    bool first = true;
    int err = put(w, "{", 1);

    for (void *at = json_object_iter(tree); at != NULL && err == 0;
         at = json_object_iter_next(tree, at)) {
        const char *key = json_object_iter_key(at);

        err = first ? 0 : put(w, ",", 1);
        first = false;
        if (err == 0) {
            err = put_string(w, key, strlen(key));
        }
        if (err == 0) {
            err = put(w, ":", 1);
        }
        if (err == 0) {
            err = put_any(w, json_object_iter_value(at));
        }
    }
    return err == 0 ? put(w, "}", 1) : err;
}

static int
put_any(struct writer *w, const json_t *value)
{
    int err;

    if (json_is_string(value)) {
        return put_string(w, json_string_value(value),
                          json_string_length(value));
    }
    if (!json_is_array(value) && !json_is_object(value)) {
        return json_dump_callback(value, w->put, w->arg, SCALAR_FLAGS);
    }
    if (w->depth == JSON_TEXT_DEPTH_MAX) {
        return -1;
    }
    w->depth++;
    err = json_is_array(value) ? put_array(w, value) : put_object(w, value);
    w->depth--;
    return err;
}

int
json_text_write(const json_t *tree, json_dump_callback_t sink, void *arg)
{
    struct writer w = {.put = sink, .arg = arg};

    return put_any(&w, tree);
}
