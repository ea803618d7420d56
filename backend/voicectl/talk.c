/* SPDX-License-Identifier: BSD-2-Clause */

#include "voicectl/talk.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "codec/base64.h"
#include "codec/pcm.h"
#include "gate/curl_stream.h"
#include "gate/ws_client.h"
#include "voicectl/wav.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define CHUNK_MS       40
#define CHUNK_SAMPLES  (PCM_RATE * CHUNK_MS / 1000)
#define SILENCE_MAX_MS 15000 /* behind the WAV, for the turn to be detected */
#define HEARD_WAIT_MS  3000  /* for a transcript that comes after the answer */
#define QUEUE_BYTES    (4u * 1024 * 1024)
#define ANSWER_BYTES   (512u * 1024 * 1024)
#define LINE_BYTES     4096
#define SOUND_RMS      50.0

struct talk {
    const struct talk_config *cfg;
    uv_loop_t uv;
    struct ws_client *client;
    uv_timer_t timeout;
    uv_timer_t speak;
    char session[64];
    bool open;    /* the client exists */
    bool failed;  /* said on stderr */
    bool closing; /* the work is done */
    bool waiting; /* for the late transcript */

    int16_t *pcm;
    size_t samples, speech_end; /* of the WAV */
    size_t sent;                /* samples, silence included */
    uint64_t started_us;        /* when sample 0 was spoken */
    uint64_t speech_end_us;     /* when the last word was spoken; 0: not yet */
    bool committed;

    struct buffer heard, answer;
    struct buffer audio; /* PCM, little-endian */
    uint64_t first_audio_us;

    uv_fs_t read;
    char line[LINE_BYTES];
    size_t line_bytes;
    bool reading;
};

static void
talk_close(struct talk *t)
{
    if (t->closing)
        return;
    t->closing = true;
    uv_timer_stop(&t->speak);
    if (t->open)
        ws_client_close(t->client, 1000, "");
}

static void
talk_fail(struct talk *t, const char *what, const char *why)
{
    if (!t->failed)
        fprintf(stderr, "voicectl: %s: %s\n", what, why);
    t->failed = true;
    talk_close(t);
}

static void
event_send(struct talk *t, json_t *event)
{
    char *text = event ? json_dumps(event, JSON_COMPACT) : NULL;
    int result =
        text ? ws_client_send(t->client, true, text, strlen(text)) : UV_ENOMEM;
    json_decref(event);
    free(text);
    if (result)
        talk_fail(t, "send", uv_strerror(result));
}

/* --- speaking */

static void
append_send(struct talk *t, const int16_t *pcm, size_t samples)
{
    uint8_t bytes[CHUNK_SAMPLES * 2];
    char text[64 + CHUNK_SAMPLES * 4];
    size_t n = (size_t) snprintf(
        text, sizeof(text),
        "{\"type\":\"input_audio_buffer.append\",\"audio\":\"");

    pcm_to_le(bytes, pcm, samples);
    n += base64_encode(text + n, bytes, samples * 2);
    memcpy(text + n, "\"}", 2);
    int result = ws_client_send(t->client, true, text, n + 2);
    if (result)
        talk_fail(t, "send", uv_strerror(result));
}

static void
chunk_send(struct talk *t)
{
    int16_t chunk[CHUNK_SAMPLES] = {0};
    size_t left = t->sent < t->samples ? t->samples - t->sent : 0;

    memcpy(chunk, t->pcm + (left ? t->sent : 0),
           2 * (left < CHUNK_SAMPLES ? left : CHUNK_SAMPLES));
    append_send(t, chunk, CHUNK_SAMPLES);
    t->sent += CHUNK_SAMPLES;
    if (!t->speech_end_us && t->sent >= t->speech_end)
        t->speech_end_us =
            t->cfg->fast
                ? clock_now_us()
                : t->started_us + (uint64_t) t->speech_end * 1000000 / PCM_RATE;
}

/* The samples that a microphone would have given by now. */
static void
on_speak(uv_timer_t *timer)
{
    struct talk *t = timer->data;
    size_t limit = t->samples + (size_t) SILENCE_MAX_MS * (PCM_RATE / 1000);
    size_t due = SIZE_MAX;

    if (!t->cfg->fast)
        due = (size_t) ((clock_now_us() - t->started_us) * PCM_RATE / 1000000);
    while (!t->committed && !t->closing && t->sent < limit
           && t->sent + CHUNK_SAMPLES <= due
           && ws_client_queued_bytes(t->client) < QUEUE_BYTES)
        chunk_send(t);
    if (t->committed || t->sent >= limit)
        uv_timer_stop(timer);
}

static void
speak_start(struct talk *t)
{
    t->started_us = clock_now_us();
    uv_timer_start(&t->speak, on_speak, 0, CHUNK_MS / 2);
}

/* --- typing */

static void
text_send(struct talk *t, const char *text)
{
    buffer_clear(&t->answer);
    event_send(t, json_pack("{s:s,s:{s:s,s:s,s:[{s:s,s:s}]}}", "type",
                            "conversation.item.create", "item", "type",
                            "message", "role", "user", "content", "type",
                            "input_text", "text", text));
    event_send(t, json_pack("{s:s}", "type", "response.create"));
}

static void stdin_next(struct talk *t);

static void
on_stdin(uv_fs_t *req)
{
    struct talk *t = req->data;
    ssize_t n = req->result;

    uv_fs_req_cleanup(req);
    t->reading = false;
    if (t->closing)
        return;
    if (n <= 0 && t->line_bytes == 0) {
        talk_close(t);
        return;
    }
    if (n <= 0) /* a last line without its end */
        t->line[t->line_bytes++] = '\n';
    else
        t->line_bytes += (size_t) n;
    stdin_next(t);
}

/* A line that is here is sent; else more is read. One turn at a time. */
static void
stdin_next(struct talk *t)
{
    char text[LINE_BYTES];
    char *end = memchr(t->line, '\n', t->line_bytes);

    if (end) {
        size_t n = (size_t) (end - t->line);
        memcpy(text, t->line, n);
        text[n] = '\0';
        t->line_bytes -= n + 1;
        memmove(t->line, end + 1, t->line_bytes);
        if (text[strspn(text, " \t\r")])
            text_send(t, text);
        else
            stdin_next(t);
        return;
    }
    if (t->line_bytes >= LINE_BYTES - 1) {
        talk_fail(t, "stdin", "a line is too long");
        return;
    }
    uv_buf_t room = uv_buf_init(t->line + t->line_bytes,
                                (unsigned) (LINE_BYTES - 1 - t->line_bytes));
    t->read.data = t;
    t->reading = uv_fs_read(&t->uv, &t->read, 0, &room, 1, -1, on_stdin) == 0;
}

/* --- events */

static const char *
text_of(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text ? text : "";
}

static bool
is_interactive(const struct talk *t)
{
    return !t->cfg->wav && !t->cfg->text;
}

static void
on_session_created(struct talk *t, const json_t *event)
{
    const json_t *session = json_object_get(event, "session");
    if (!t->session[0])
        snprintf(t->session, sizeof(t->session), "%s", text_of(session, "id"));
    event_send(t, json_pack("{s:s,s:{s:s,s:{s:{s:{s:s}}}}}", "type",
                            "session.update", "session", "type", "realtime",
                            "audio", "input", "transcription", "model",
                            "whisper-1"));
}

static void
on_session_updated(struct talk *t)
{
    if (t->sent || t->reading || t->started_us)
        return; /* not the answer to our first one */
    t->started_us = clock_now_us();
    if (t->cfg->wav)
        speak_start(t);
    else if (t->cfg->text)
        text_send(t, t->cfg->text);
    else
        stdin_next(t);
}

static void
on_audio_delta(struct talk *t, const json_t *event)
{
    const char *delta = text_of(event, "delta");
    size_t chars = strlen(delta);
    uint8_t *room = buffer_reserve(&t->audio, base64_decoded_max(chars) + 1);

    if (!t->first_audio_us)
        t->first_audio_us = clock_now_us();
    ssize_t n = room ? base64_decode(room, delta, chars) : UV_ENOMEM;
    if (n < 0)
        talk_fail(t, "audio", uv_strerror((int) n));
    else
        buffer_commit(&t->audio, (size_t) n);
}

static void
on_heard_wait(uv_timer_t *timer)
{
    talk_close(timer->data);
}

static void
on_response_done(struct talk *t, const json_t *event)
{
    const json_t *response = json_object_get(event, "response");
    const char *status = text_of(response, "status");

    if (strcmp(status, "cancelled") == 0)
        return; /* by what was said meanwhile: another one follows */
    if (strcmp(status, "failed") == 0) {
        talk_fail(t, "response", "failed");
        return;
    }
    if (is_interactive(t)) {
        printf("%s\n", t->answer.bytes ? buffer_text(&t->answer) : "");
        fflush(stdout);
        stdin_next(t);
        return;
    }
    if (t->cfg->text || t->heard.bytes) {
        talk_close(t);
        return;
    }
    t->waiting = true;
    uv_timer_start(&t->speak, on_heard_wait, HEARD_WAIT_MS, 0);
}

static void
on_heard(struct talk *t, const json_t *event)
{
    const char *text = text_of(event, "transcript");
    if (t->heard.bytes)
        buffer_append(&t->heard, " ", 1);
    buffer_append(&t->heard, text, strlen(text));
    if (t->waiting)
        talk_close(t);
}

static void
on_error_event(struct talk *t, const json_t *event)
{
    const json_t *error = json_object_get(event, "error");
    talk_fail(t, text_of(error, "code"), text_of(error, "message"));
}

static void
event_take(struct talk *t, const json_t *event)
{
    const char *type = text_of(event, "type");
    const char *text;

    if (strcmp(type, "session.created") == 0) {
        on_session_created(t, event);
    } else if (strcmp(type, "session.updated") == 0) {
        on_session_updated(t);
    } else if (strcmp(type, "input_audio_buffer.committed") == 0) {
        t->committed = true;
    } else if (strcmp(type, "conversation.item.input_audio_transcription."
                            "completed")
               == 0) {
        on_heard(t, event);
    } else if (strcmp(type, "response.output_audio.delta") == 0) {
        on_audio_delta(t, event);
    } else if (strcmp(type, "response.output_audio_transcript.delta") == 0
               || strcmp(type, "response.output_text.delta") == 0) {
        text = text_of(event, "delta");
        buffer_append(&t->answer, text, strlen(text));
    } else if (strcmp(type, "response.done") == 0) {
        on_response_done(t, event);
    } else if (strcmp(type, "error") == 0) {
        on_error_event(t, event);
    }
}

/* --- the connection */

static void
on_open(void *arg, const char *subprotocol)
{
    struct talk *t = arg;
    (void) subprotocol;
    ws_client_header(t->client, "X-Voice-Session", t->session,
                     sizeof(t->session));
}

static void
on_message(void *arg, bool text, const uint8_t *data, size_t bytes)
{
    struct talk *t = arg;
    json_t *event =
        text ? json_loadb((const char *) data, bytes, 0, NULL) : NULL;
    if (!event)
        talk_fail(t, "event", "is not JSON");
    else if (!t->closing)
        event_take(t, event);
    json_decref(event);
}

static void
on_closed(void *arg, uint16_t code, const char *reason)
{
    struct talk *t = arg;
    char what[32], why[512];

    t->open = false;
    if (!t->closing) {
        snprintf(what, sizeof(what), "closed with %u", code);
        snprintf(why, sizeof(why), "%s %s", reason,
                 ws_client_refusal(t->client));
        talk_fail(t, what, why);
    }
    uv_close((uv_handle_t *) &t->timeout, NULL);
    uv_close((uv_handle_t *) &t->speak, NULL);
    if (t->reading) /* a read of a terminal can't be taken back */
        uv_stop(&t->uv);
}

static void
on_timeout(uv_timer_t *timer)
{
    talk_fail(timer->data, "timeout", "the answer did not come in time");
}

static int
talk_open(struct talk *t)
{
    static const struct ws_client_handlers handlers = {
        .on_open = on_open, .on_message = on_message, .on_closed = on_closed};
    char url[1024], header[512];
    const char *headers[] = {header, NULL};
    const char *query = strchr(t->cfg->url, '?');

    if (query && strstr(query, "model="))
        snprintf(url, sizeof(url), "%s", t->cfg->url);
    else
        snprintf(url, sizeof(url), "%s%cmodel=%s", t->cfg->url,
                 query ? '&' : '?', t->cfg->model);
    if (t->cfg->key)
        snprintf(header, sizeof(header), "Authorization: Bearer %s",
                 t->cfg->key);
    const struct ws_client_config cfg = {
        .uv = &t->uv,
        .url = url,
        .headers = t->cfg->key ? headers : NULL,
        .ca_file = t->cfg->ca_file,
    };
    int result = ws_client_open(&t->client, &cfg, &handlers, t);
    t->open = result == 0;
    return result;
}

/* --- facts */

static long
voice_to_voice_ms(const struct talk *t)
{
    if (!t->first_audio_us || !t->speech_end_us)
        return -1;
    return (long) ((int64_t) (t->first_audio_us - t->speech_end_us) / 1000);
}

static void
line_print(const char *key, const char *text)
{
    printf("%s=", key);
    for (; *text; text++)
        putchar(*text == '\n' || *text == '\r' ? ' ' : *text);
    putchar('\n');
}

static void
facts_print(struct talk *t, size_t samples)
{
    const char *heard = t->heard.bytes ? buffer_text(&t->heard) : "";
    const char *answer = t->answer.bytes ? buffer_text(&t->answer) : "";
    long delay = voice_to_voice_ms(t);

    if (t->cfg->json) {
        json_t *facts = json_pack(
            "{s:s,s:s,s:o,s:I,s:s}", "heard", heard, "answer", answer,
            "voice_to_voice_ms", delay < 0 ? json_null() : json_integer(delay),
            "audio_ms", (json_int_t) pcm_ms_of_samples(samples), "session",
            t->session);
        json_dumpf(facts, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(facts);
        return;
    }
    if (t->cfg->wav)
        line_print("heard", heard);
    line_print("answer", answer);
    if (delay >= 0)
        printf("voice_to_voice_ms=%ld\n", delay);
    line_print("session", t->session);
}

static enum talk_exit
talk_judge(struct talk *t)
{
    size_t samples = t->audio.bytes / 2;
    int16_t *pcm = malloc(t->audio.bytes + 2);

    if (!pcm)
        return TALK_FAILED;
    if (samples)
        pcm_from_le(pcm, t->audio.data, samples);
    bool sound = samples && pcm_rms(pcm, samples) >= SOUND_RMS;
    int error = t->cfg->out ? wav_write(t->cfg->out, pcm, samples) : 0;
    free(pcm);
    if (error)
        fprintf(stderr, "voicectl: %s: %s\n", t->cfg->out, uv_strerror(error));
    if (!is_interactive(t))
        facts_print(t, samples);
    if (t->failed || error)
        return TALK_FAILED;
    if (t->cfg->wav && !t->heard.bytes)
        return TALK_NOT_UNDERSTOOD;
    return sound || is_interactive(t) ? TALK_OK : TALK_SILENT;
}

static enum talk_exit
talk_loop(struct talk *t)
{
    uv_timer_init(&t->uv, &t->timeout);
    uv_timer_init(&t->uv, &t->speak);
    t->timeout.data = t->speak.data = t;
    if (!is_interactive(t))
        uv_timer_start(&t->timeout, on_timeout,
                       (uint64_t) t->cfg->timeout_s * 1000, 0);
    int result = talk_open(t);
    if (result) {
        fprintf(stderr, "voicectl: %s: %s\n", t->cfg->url, uv_strerror(result));
        uv_close((uv_handle_t *) &t->timeout, NULL);
        uv_close((uv_handle_t *) &t->speak, NULL);
    }
    uv_run(&t->uv, UV_RUN_DEFAULT);
    return result ? TALK_FAILED : talk_judge(t);
}

enum talk_exit
talk_run(const struct talk_config *cfg)
{
    struct talk t = {.cfg = cfg};
    enum talk_exit status = TALK_FAILED;

    buffer_init(&t.heard, 64 * 1024);
    buffer_init(&t.answer, 1024 * 1024);
    buffer_init(&t.audio, ANSWER_BYTES);
    if (cfg->wav && wav_read(cfg->wav, &t.pcm, &t.samples) != 0)
        return TALK_USAGE;
    t.speech_end = cfg->wav ? wav_speech_end(t.pcm, t.samples) : 0;
    if (curl_stream_library_open() == 0 && uv_loop_init(&t.uv) == 0) {
        status = talk_loop(&t);
        uv_loop_close(&t.uv);
        curl_stream_library_close();
    }
    free(t.pcm);
    buffer_deinit(&t.heard);
    buffer_deinit(&t.answer);
    buffer_deinit(&t.audio);
    return status;
}
