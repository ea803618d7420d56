/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/voice_event.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define STATS_BYTES_MAX 4096

/* --- voice.stats */

/* Members and the most that they can mean. */
static const struct {
    const char *name;
    size_t offset;
    double max;
} members[] = {
    {"rtt_ms", offsetof(struct voice_stats, rtt_ms), 600000},
    {"jitter_ms", offsetof(struct voice_stats, jitter_ms), 600000},
    {"loss", offsetof(struct voice_stats, loss), 1},
    {"underruns", offsetof(struct voice_stats, underruns), 1000000},
    {"played_ms", offsetof(struct voice_stats, played_ms), 4294967296.0},
};

static bool
member_read(struct voice_stats *stats, const json_t *tree, size_t i)
{
    const json_t *member = json_object_get(tree, members[i].name);
    double *to = (double *) (void *) ((char *) stats + members[i].offset);

    *to = -1;
    if (!member || json_is_null(member))
        return true;
    double value = json_number_value(member);
    if (!json_is_number(member) || !(value >= 0) || !(value <= members[i].max))
        return false;
    *to = value;
    return true;
}

static bool
reply_read(struct voice_stats *stats, const json_t *tree)
{
    const json_t *member = json_object_get(tree, "reply_to");
    const char *text = json_string_value(member);

    stats->reply_to[0] = 0;
    if (!member || json_is_null(member))
        return true;
    if (!text || json_string_length(member) >= sizeof(stats->reply_to))
        return false;
    memcpy(stats->reply_to, text, json_string_length(member) + 1);
    return true;
}

int
voice_stats_read(struct voice_stats *stats, const char *json, size_t bytes,
                 const char **param)
{
    json_t *tree = bytes <= STATS_BYTES_MAX
                       ? json_loadb(json, bytes, JSON_REJECT_DUPLICATES, NULL)
                       : NULL;
    int result = json_is_object(tree) ? 0 : UV_EINVAL;

    *param = NULL;
    for (size_t i = 0; !result && i < sizeof(members) / sizeof(members[0]);
         i++) {
        if (member_read(stats, tree, i))
            continue;
        *param = members[i].name;
        result = UV_EINVAL;
    }
    if (!result && !reply_read(stats, tree)) {
        *param = "reply_to";
        result = UV_EINVAL;
    }
    json_decref(tree);
    return result;
}

/* --- events of ours */

static const char *
truth(bool is)
{
    return is ? "true" : "false";
}

/* Every writer's text fits: ids are ours or capped. */
static size_t
written(int bytes)
{
    return bytes > 0 && bytes < VOICE_EVENT_BYTES ? (size_t) bytes : 0;
}

size_t
voice_session_write(char out[VOICE_EVENT_BYTES], const char *event_id,
                    const struct voice_session_told *told)
{
    const char *quote = told->resume_token ? "\"" : "";

    return written(snprintf(
        out, VOICE_EVENT_BYTES,
        "{\"type\":\"voice.session\",\"event_id\":\"%s\",\"session_id\":\"%s\","
        "\"resume_token\":%s%s%s,\"resume_grace_ms\":%u,\"opus\":{"
        "\"bitrate\":%u,\"ptime_ms\":%u,\"fec\":%s,\"dtx\":%s},"
        "\"buffer\":{\"profile\":\"%s\",\"target_ms\":%u}}",
        event_id, told->session_id, quote,
        told->resume_token ? told->resume_token : "null", quote,
        told->resume_grace_ms, told->bitrate_bps, told->ptime_ms,
        truth(told->fec), truth(told->dtx), told->buffer_profile,
        told->buffer_target_ms));
}

size_t
voice_quality_write(char out[VOICE_EVENT_BYTES], const char *event_id,
                    const struct voice_quality_told *told)
{
    const struct realtime_span *to = &told->reply_to;
    bool replies = to->text && to->bytes <= REALTIME_ID_MAX;

    return written(snprintf(
        out, VOICE_EVENT_BYTES,
        "{\"type\":\"voice.quality\",\"event_id\":\"%s\",\"level\":\"%s\","
        "\"bitrate\":%u,\"expected_loss\":%u,\"buffer_profile\":\"%s\","
        "\"buffer_target_ms\":%u%s%.*s}",
        event_id, told->level, told->bitrate_bps, told->loss_percent,
        told->buffer_profile, told->buffer_target_ms,
        replies ? ",\"reply_to\":" : "", replies ? (int) to->bytes : 0,
        replies ? to->text : ""));
}

size_t
voice_clear_write(char out[VOICE_EVENT_BYTES], const char *event_id)
{
    return written(snprintf(
        out, VOICE_EVENT_BYTES,
        "{\"type\":\"voice.playout.clear\",\"event_id\":\"%s\"}", event_id));
}

size_t
voice_buffer_write(char out[VOICE_EVENT_BYTES], const char *event_id,
                   enum voice_buffer_event which, const char *response_id)
{
    static const char *const names[] = {
        [VOICE_BUFFER_STARTED] = "started",
        [VOICE_BUFFER_STOPPED] = "stopped",
        [VOICE_BUFFER_CLEARED] = "cleared",
    };
    bool has_id = response_id[0] != 0;

    return written(snprintf(
        out, VOICE_EVENT_BYTES,
        "{\"type\":\"output_audio_buffer.%s\",\"event_id\":\"%s\"%s%s%s}",
        names[which], event_id, has_id ? ",\"response_id\":\"" : "",
        response_id, has_id ? "\"" : ""));
}

size_t
voice_truncate_write(char out[VOICE_EVENT_BYTES], const char *item_id,
                     unsigned content_index, uint64_t audio_end_ms)
{
    return written(
        snprintf(out, VOICE_EVENT_BYTES,
                 "{\"type\":\"conversation.item.truncate\",\"item_id\":\"%s\","
                 "\"content_index\":%u,\"audio_end_ms\":%llu}",
                 item_id, content_index, (unsigned long long) audio_end_ms));
}
