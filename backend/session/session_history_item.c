/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_history_item.h"

#include "codec/heard_text.h"
#include "gate/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX 256

#define USER_UNKNOWN      "(The user's words here are not known.)"
#define ASSISTANT_UNKNOWN "\xe2\x80\xa6" /* … */
#define IMAGE_LOST        "(The user showed an image here.)"

static const char *const roles[] = {"system", "user", "assistant"};

struct history_item *
history_item_create(const char *id)
{
    struct history_item *item;

    if (!id[0] || strlen(id) > ID_MAX || !(item = calloc(1, sizeof(*item))))
        return NULL;
    item->id = strdup(id);
    if (!item->id) {
        free(item);
        return NULL;
    }
    item->kind = HISTORY_MESSAGE;
    item->role = HISTORY_USER;
    buffer_init(&item->text, HISTORY_TEXT_MAX);
    return item;
}

void
history_item_destroy(struct history_item *item)
{
    if (!item)
        return;
    for (unsigned i = 0; i < item->part_count; i++)
        buffer_deinit(&item->parts[i].text);
    free(item->parts);
    buffer_deinit(&item->text);
    free(item->name);
    free(item->call_id);
    free(item->id);
    free(item);
}

/* --- texts */

/* As much of it as there is room for, and no half character. */
static void
text_append(struct buffer *text, const char *from, size_t bytes)
{
    size_t room = text->max_bytes - text->bytes;

    if (bytes > room) {
        bytes = room;
        while (bytes && ((unsigned char) from[bytes] & 0xc0) == 0x80)
            bytes--;
    }
    if (bytes && buffer_append(text, from, bytes))
        return; /* no memory: a poorer history */
}

void
history_text_grow(struct buffer *text, const json_t *more)
{
    if (json_is_string(more))
        text_append(text, json_string_value(more), json_string_length(more));
}

void
history_text_set(struct buffer *text, const json_t *whole)
{
    if (!json_is_string(whole))
        return;
    buffer_clear(text);
    history_text_grow(text, whole);
}

json_t *
history_text_json(const struct buffer *text)
{
    return json_stringn(text->bytes ? (const char *) text->data : "",
                        text->bytes);
}

static void
name_set(char **to, const json_t *from)
{
    const char *value = json_string_value(from);

    if (!value || strlen(value) > ID_MAX)
        return;
    char *copy = strdup(value);
    if (!copy)
        return;
    free(*to);
    *to = copy;
}

/* --- parts */

struct history_part *
history_item_part(struct history_item *item, uint64_t index,
                  enum history_part_kind kind)
{
    if (index < item->part_count)
        return &item->parts[index];
    if (index > item->part_count || index >= HISTORY_PARTS_MAX)
        return NULL;
    struct history_part *parts =
        realloc(item->parts, (index + 1) * sizeof(*parts));
    if (!parts)
        return NULL;
    item->parts = parts;
    item->part_count++;
    parts[index] = (struct history_part){.kind = (uint8_t) kind};
    buffer_init(&parts[index].text, HISTORY_TEXT_MAX);
    return &parts[index];
}

/* An image whose data is small enough stays what it is. */
static void
image_read(struct history_part *part, const json_t *json)
{
    size_t bytes = json_dumpb(json, NULL, 0, JSON_COMPACT);

    buffer_clear(&part->text);
    part->kind = HISTORY_TEXT;
    part->text_done = true;
    if (bytes > 0 && bytes <= HISTORY_RAW_MAX) {
        uint8_t *room = buffer_reserve(&part->text, bytes);
        if (!room)
            return;
        json_dumpb(json, (char *) room, bytes, JSON_COMPACT);
        buffer_commit(&part->text, bytes);
        part->kind = HISTORY_IMAGE;
    } else {
        text_append(&part->text, IMAGE_LOST, strlen(IMAGE_LOST));
    }
}

static enum history_part_kind
part_kind(const char *type)
{
    if (strstr(type, "audio"))
        return HISTORY_AUDIO;
    return strstr(type, "image") ? HISTORY_IMAGE : HISTORY_TEXT;
}

static void
part_read(struct history_item *item, size_t index, const json_t *json)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    enum history_part_kind kind = type ? part_kind(type) : HISTORY_TEXT;
    struct history_part *part = history_item_part(item, index, kind);
    const json_t *text =
        json_object_get(json, kind == HISTORY_AUDIO ? "transcript" : "text");

    if (!part || part->cut)
        return;
    if (kind == HISTORY_IMAGE && !part->text.bytes) {
        image_read(part, json);
    } else if (kind == part->kind && kind != HISTORY_IMAGE
               && json_string_length(text) > 0) {
        history_text_set(&part->text, text);
        part->text_done = true;
    }
}

void
history_item_truncate(struct history_item *item, uint64_t index,
                      uint64_t end_ms, uint32_t bytes_per_ms)
{
    struct history_part *part;
    uint64_t sent_ms;

    if (index >= item->part_count)
        return;
    part = &item->parts[index];
    sent_ms = part->audio_bytes / (bytes_per_ms ? bytes_per_ms : 48);
    if (part->kind == HISTORY_AUDIO && !(part->cut && end_ms >= sent_ms))
        part->text.bytes =
            heard_text_bytes((const char *) part->text.data, part->text.bytes,
                             end_ms, sent_ms, item->completed || part->cut);
    if (end_ms < sent_ms)
        part->audio_bytes = end_ms * (bytes_per_ms ? bytes_per_ms : 48);
    part->cut = true;
}

/* --- reading */

static void
kind_read(struct history_item *item, const char *type)
{
    if (strcmp(type, "message") == 0)
        item->kind = HISTORY_MESSAGE;
    else if (strcmp(type, "function_call") == 0)
        item->kind = HISTORY_CALL;
    else if (strcmp(type, "function_call_output") == 0)
        item->kind = HISTORY_OUTPUT;
    else if (strcmp(type, "mcp_list_tools") == 0)
        item->kind = HISTORY_LISTED;
    else
        item->kind = HISTORY_RAW;
}

static void
message_read(struct history_item *item, const json_t *json)
{
    const char *role = json_string_value(json_object_get(json, "role"));
    const char *phase = json_string_value(json_object_get(json, "phase"));
    const json_t *content = json_object_get(json, "content");
    const json_t *part;
    size_t i;

    for (i = 0; role && i < sizeof(roles) / sizeof(roles[0]); i++)
        if (strcmp(role, roles[i]) == 0)
            item->role = (uint8_t) i;
    if (phase)
        item->commentary = strcmp(phase, "commentary") == 0;
    json_array_foreach(content, i, part) part_read(item, i, part);
}

static void
raw_read(struct history_item *item, const json_t *json)
{
    size_t bytes = json_dumpb(json, NULL, 0, JSON_COMPACT);
    uint8_t *room;

    buffer_clear(&item->text);
    if (bytes == 0 || bytes > HISTORY_RAW_MAX
        || !(room = buffer_reserve(&item->text, bytes)))
        return;
    json_dumpb(json, (char *) room, bytes, JSON_COMPACT);
    buffer_commit(&item->text, bytes);
}

void
history_item_read(struct history_item *item, const json_t *json)
{
    const char *type = json_string_value(json_object_get(json, "type"));

    if (!type)
        return;
    kind_read(item, type);
    switch (item->kind) {
    case HISTORY_MESSAGE:
        message_read(item, json);
        break;
    case HISTORY_CALL:
        name_set(&item->name, json_object_get(json, "name"));
        name_set(&item->call_id, json_object_get(json, "call_id"));
        if (json_string_length(json_object_get(json, "arguments")) > 0)
            history_text_set(&item->text, json_object_get(json, "arguments"));
        break;
    case HISTORY_OUTPUT:
        name_set(&item->call_id, json_object_get(json, "call_id"));
        if (json_string_length(json_object_get(json, "output")) > 0)
            history_text_set(&item->text, json_object_get(json, "output"));
        break;
    case HISTORY_RAW:
        raw_read(item, json);
        break;
    default:
        break;
    }
}

/* --- questions */

static size_t
name_bytes(const char *name)
{
    return name ? strlen(name) + 1 : 0;
}

size_t
history_item_bytes(const struct history_item *item)
{
    size_t bytes = sizeof(*item) + item->text.bytes + name_bytes(item->id)
                   + name_bytes(item->name) + name_bytes(item->call_id);

    for (unsigned i = 0; i < item->part_count; i++)
        bytes += sizeof(item->parts[i]) + item->parts[i].text.bytes;
    return bytes;
}

bool
history_item_is_empty(const struct history_item *item)
{
    for (unsigned i = 0; i < item->part_count; i++)
        if (item->parts[i].text.bytes)
            return false;
    return item->kind == HISTORY_MESSAGE;
}

/* --- writing */

static json_t *
part_json(const char *type, const char *key, json_t *text)
{
    return json_pack("{s:s, s:o}", "type", type, key, text);
}

json_t *
history_part_shown(const struct history_part *part)
{
    bool audio = part->kind == HISTORY_AUDIO;

    return part_json(audio ? "audio" : "text", audio ? "transcript" : "text",
                     history_text_json(&part->text));
}

static json_t *
image_json(const struct history_part *part)
{
    return json_loadb((const char *) part->text.data, part->text.bytes,
                      JSON_ALLOW_NUL, NULL);
}

static json_t *
part_content(const struct history_item *item, const struct history_part *part)
{
    bool assistant = item->role == HISTORY_ASSISTANT;

    if (part->kind == HISTORY_IMAGE)
        return image_json(part);
    if (part->kind == HISTORY_TEXT)
        return part_json(assistant ? "output_text" : "input_text", "text",
                         history_text_json(&part->text));
    if (!assistant && !part->text_done)
        return part_json("input_audio", "transcript", json_null());
    return part_json(assistant ? "output_audio" : "input_audio", "transcript",
                     history_text_json(&part->text));
}

static json_t *
message_shown(const struct history_item *item, const char *status)
{
    json_t *content = json_array();

    for (unsigned i = 0; i < item->part_count; i++)
        if (json_array_append_new(content, part_content(item, &item->parts[i])))
            break;
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", item->id, "type",
                     "message", "status", status, "role", roles[item->role],
                     "content", content);
}

static json_t *
raw_json(const struct history_item *item)
{
    return json_loadb((const char *) item->text.data, item->text.bytes,
                      JSON_ALLOW_NUL, NULL);
}

json_t *
history_item_shown(const struct history_item *item, const char *status)
{
    const char *call_id = item->call_id ? item->call_id : "";

    switch (item->kind) {
    case HISTORY_MESSAGE:
        return message_shown(item, status);
    case HISTORY_CALL:
        return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "id", item->id,
                         "type", "function_call", "status", status, "name",
                         item->name ? item->name : "", "call_id", call_id,
                         "arguments", history_text_json(&item->text));
    case HISTORY_OUTPUT:
        return json_pack("{s:s, s:s, s:s, s:o}", "id", item->id, "type",
                         "function_call_output", "call_id", call_id, "output",
                         history_text_json(&item->text));
    default:
        return item->text.bytes
                   ? raw_json(item)
                   : json_pack("{s:s, s:s}", "id", item->id, "type",
                               item->kind == HISTORY_RAW ? "mcp_call"
                                                         : "mcp_list_tools");
    }
}

static json_t *
words_or(const struct buffer *text, const char *unknown)
{
    return text->bytes ? history_text_json(text) : json_string(unknown);
}

/* Audio of the assistant can't be made again; what it said can. */
static json_t *
part_replay(const struct history_item *item, const struct history_part *part,
            const char *audio)
{
    if (part->kind == HISTORY_IMAGE)
        return image_json(part);
    if (item->role == HISTORY_ASSISTANT)
        return part_json("output_text", "text",
                         words_or(&part->text, ASSISTANT_UNKNOWN));
    if (part->kind == HISTORY_TEXT)
        return part_json("input_text", "text", history_text_json(&part->text));
    if (audio && !part->text_done)
        return part_json("input_audio", "audio", json_string(audio));
    return part_json("input_text", "text", words_or(&part->text, USER_UNKNOWN));
}

static json_t *
message_replay(const struct history_item *item, const char *id,
               const char *audio)
{
    const struct history_part none = {.kind = HISTORY_AUDIO};
    json_t *content = json_array();

    for (unsigned i = 0; i < item->part_count; i++)
        if (json_array_append_new(content,
                                  part_replay(item, &item->parts[i], audio)))
            goto failed;
    if (item->part_count == 0
        && json_array_append_new(content, part_replay(item, &none, audio)))
        goto failed;
    return json_pack("{s:s, s:s, s:s, s:o}", "id", id, "type", "message",
                     "role", roles[item->role], "content", content);
failed:
    json_decref(content);
    return NULL;
}

json_t *
history_item_replay(const struct history_item *item, const char *audio)
{
    char id[HISTORY_WIRE_MAX + 1];
    json_t *json;

    history_wire_id(item->id, id);
    if (item->kind == HISTORY_MESSAGE)
        return message_replay(item, id, audio);
    json = history_item_shown(item, "completed");
    if (json && json_object_set_new(json, "id", json_string(id))) {
        json_decref(json);
        return NULL;
    }
    return json;
}

void
history_wire_id(const char *id, char out[HISTORY_WIRE_MAX + 1])
{
    static const char prefix[] = "item_";
    enum { PREFIX = sizeof(prefix) - 1 };
    uint8_t digest[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];

    if (strlen(id) <= HISTORY_WIRE_MAX) {
        snprintf(out, HISTORY_WIRE_MAX + 1, "%s", id);
        return;
    }
    crypto_sha256(id, strlen(id), digest);
    crypto_hex(digest, sizeof(digest), hex);
    snprintf(out, HISTORY_WIRE_MAX + 1, "%s%.*s", prefix,
             HISTORY_WIRE_MAX - PREFIX, hex);
}
