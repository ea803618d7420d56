/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   text ─► lines ─► sections ─► opus payload types ─► lines, ours among them
 *           checked              of audio sections
 */

#include "codec/sdp.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define PAYLOAD_TYPES 128
#define BITRATE_MIN   6000 /* RFC 7587, 6.1 */
#define VALUE_BYTES   16

const struct sdp_opus sdp_opus_default = {
    .bitrate = 32000, .ptime_ms = 20, .fec = true, .dtx = true};

struct span {
    const char *text;
    size_t bytes;
};

/* A line, its ending ("\r\n", "\n", "" at the end of the text) apart. */
struct line {
    struct span text;
    struct span ending;
};

/* One section: a media description with its lines. */
struct section {
    struct span text; /* from its m= line to before the next one */
    bool audio;
    bool opus[PAYLOAD_TYPES];
    bool fmtp[PAYLOAD_TYPES]; /* has, or has been given, its line */
    bool voice;               /* has an opus among them */
};

struct writer {
    const struct sdp_opus *opus;
    struct buffer *out;
    int error; /* sticky */
    struct span ending;
};

/* --- reading */

static bool
is_text(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char) text[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* Takes a line off the front. 1, 0 at the end, or UV_EINVAL. */
static int
line_next(struct span *rest, struct line *line)
{
    if (!rest->bytes)
        return 0;
    const char *feed = memchr(rest->text, '\n', rest->bytes);
    size_t whole = feed ? (size_t) (feed - rest->text) + 1 : rest->bytes;
    size_t bytes = feed ? whole - 1 : whole;

    if (feed && bytes > 0 && rest->text[bytes - 1] == '\r')
        bytes--;
    if (bytes < 2 || bytes > SDP_LINE_BYTES || rest->text[1] != '='
        || rest->text[0] < 'a' || rest->text[0] > 'z'
        || !is_text(rest->text, bytes))
        return UV_EINVAL;
    line->text = (struct span){rest->text, bytes};
    line->ending = (struct span){rest->text + bytes, whole - bytes};
    rest->text += whole;
    rest->bytes -= whole;
    return 1;
}

static bool
starts_with(struct span span, const char *prefix)
{
    size_t bytes = strlen(prefix);

    return span.bytes >= bytes && memcmp(span.text, prefix, bytes) == 0;
}

static struct span
span_after(struct span span, size_t bytes)
{
    return (struct span){span.text + bytes, span.bytes - bytes};
}

static struct span
span_trim(struct span span)
{
    while (span.bytes && (*span.text == ' ' || *span.text == '\t'))
        span = span_after(span, 1);
    while (span.bytes
           && (span.text[span.bytes - 1] == ' '
               || span.text[span.bytes - 1] == '\t'))
        span.bytes--;
    return span;
}

static bool
span_is(struct span span, const char *word)
{
    return span.bytes == strlen(word)
           && strncasecmp(span.text, word, span.bytes) == 0;
}

/* A number of at most 9 digits at the front, taken off. */
static bool
number_take(struct span *span, unsigned *number)
{
    size_t digits = 0;

    *number = 0;
    while (digits < span->bytes && digits < 9 && span->text[digits] >= '0'
           && span->text[digits] <= '9')
        *number = *number * 10 + (unsigned) (span->text[digits++] - '0');
    *span = span_after(*span, digits);
    return digits > 0;
}

/* "a=rtpmap:111 …": the number, and what stands behind it. */
static bool
payload_take(struct span line, const char *prefix, unsigned *payload,
             struct span *rest)
{
    *rest = span_after(line, strlen(prefix));
    if (!number_take(rest, payload) || *payload >= PAYLOAD_TYPES || !rest->bytes
        || *rest->text != ' ')
        return false;
    *rest = span_trim(*rest);
    return true;
}

/* RFC 8866, 5.14: media, port, protocol and a format at least. */
static bool
media_is_sound(struct span line)
{
    unsigned words = 0;
    bool inside = false;

    for (size_t i = 2; i < line.bytes; i++) {
        bool space = line.text[i] == ' ';
        words += !space && !inside;
        inside = !space;
    }
    return words >= 4 && line.text[2] != ' ';
}

static int
section_note(struct section *section, struct span line)
{
    struct span rest;
    unsigned payload;

    if (starts_with(line, "a=rtpmap:")) {
        if (!payload_take(line, "a=rtpmap:", &payload, &rest))
            return UV_EINVAL;
        if (span_is(rest, "opus/48000/2"))
            section->opus[payload] = section->voice = true;
    } else if (starts_with(line, "a=fmtp:")) {
        if (!payload_take(line, "a=fmtp:", &payload, &rest))
            return UV_EINVAL;
        section->fmtp[payload] = true;
    }
    return 0;
}

/* What a section has; the lines before the first one are a section too. */
static int
section_read(struct span *text, struct section *section)
{
    struct span left = *text;
    struct line line;
    int result;

    *section = (struct section){.text = *text};
    for (bool first = true; (result = line_next(&left, &line)) > 0;
         first = false) {
        bool media = line.text.text[0] == 'm';
        if (media && !first)
            break;
        if (media && !media_is_sound(line.text))
            return UV_EINVAL;
        if (media)
            section->audio = starts_with(line.text, "m=audio ");
        if (section->audio && (result = section_note(section, line.text)))
            return result;
        *text = left;
    }
    if (result < 0)
        return result;
    section->text.bytes = (size_t) (text->text - section->text.text);
    return 0;
}

/* --- writing */

static void
put(struct writer *w, struct span span)
{
    if (!w->error && span.bytes)
        w->error = buffer_append(w->out, span.text, span.bytes);
}

static void
put_text(struct writer *w, const char *text)
{
    put(w, (struct span){text, strlen(text)});
}

/* The last line of a text may have no ending: what follows it needs one. */
static void
put_ending(struct writer *w, struct span ending)
{
    if (ending.bytes)
        w->ending = ending;
    put(w, w->ending);
}

struct parameter {
    const char *name;
    char value[VALUE_BYTES];
    bool kept; /* the offer's own value stands */
    bool written;
};

enum { PARAMETERS = 8 };

static void
parameters_fill(struct parameter p[PARAMETERS], const struct sdp_opus *opus)
{
    static const struct parameter blank[PARAMETERS] = {
        {.name = "minptime", .value = "10", .kept = true},
        {.name = "useinbandfec"},
        {.name = "usedtx"},
        {.name = "maxaveragebitrate"},
        {.name = "maxplaybackrate"},
        {.name = "sprop-maxcapturerate"},
        {.name = "stereo", .value = "0"},
        {.name = "sprop-stereo", .value = "0"},
    };

    memcpy(p, blank, sizeof(blank));
    snprintf(p[1].value, VALUE_BYTES, "%d", opus->fec);
    snprintf(p[2].value, VALUE_BYTES, "%d", opus->dtx);
    snprintf(p[3].value, VALUE_BYTES, "%u", opus->bitrate);
    snprintf(p[4].value, VALUE_BYTES, "%d", SDP_RATE);
    snprintf(p[5].value, VALUE_BYTES, "%d", SDP_RATE);
}

static struct parameter *
parameter_find(struct parameter p[PARAMETERS], struct span name)
{
    for (unsigned i = 0; i < PARAMETERS; i++)
        if (span_is(name, p[i].name))
            return &p[i];
    return NULL;
}

/* Whoever asks for less than the policy's most gets less. */
static bool
bitrate_is_lower(const struct parameter *ours, struct span value, unsigned most)
{
    unsigned asked;

    return strcmp(ours->name, "maxaveragebitrate") == 0
           && number_take(&value, &asked) && !value.bytes
           && asked >= BITRATE_MIN && asked < most;
}

static void
parameter_put(struct writer *w, const struct parameter *p)
{
    put_text(w, p->name);
    put_text(w, "=");
    put_text(w, p->value);
}

/* One of the offer, trimmed, not empty. */
static void
parameter_pass(struct writer *w, struct parameter p[PARAMETERS],
               struct span given, bool *first)
{
    const char *equals = memchr(given.text, '=', given.bytes);
    struct span name = given, value = {given.text + given.bytes, 0};

    if (equals) {
        name.bytes = (size_t) (equals - given.text);
        value = span_after(given, name.bytes + 1);
    }
    struct parameter *ours = parameter_find(p, span_trim(name));
    if (ours && ours->written)
        return;
    put_text(w, *first ? "" : ";");
    *first = false;
    if (ours)
        ours->written = true;
    if (!ours || ours->kept
        || bitrate_is_lower(ours, span_trim(value), w->opus->bitrate))
        put(w, given);
    else
        parameter_put(w, ours);
}

/* `given` is what the offer's line says, empty when it has none. */
static void
parameters_put(struct writer *w, struct span given)
{
    struct parameter p[PARAMETERS];
    bool first = true;

    parameters_fill(p, w->opus);
    while (given.bytes) {
        const char *end = memchr(given.text, ';', given.bytes);
        size_t bytes = end ? (size_t) (end - given.text) : given.bytes;
        struct span one = span_trim((struct span){given.text, bytes});
        if (one.bytes)
            parameter_pass(w, p, one, &first);
        given = span_after(given, end ? bytes + 1 : bytes);
    }
    for (unsigned i = 0; i < PARAMETERS; i++) {
        if (p[i].written)
            continue;
        put_text(w, first ? "" : ";");
        first = false;
        parameter_put(w, &p[i]);
    }
}

static void
fmtp_put(struct writer *w, unsigned payload, struct span given)
{
    char head[32];

    snprintf(head, sizeof(head), "a=fmtp:%u ", payload);
    put_text(w, head);
    parameters_put(w, given);
}

/* Servers that know no packet of 10 ms still get along: 20 ms are allowed. */
static void
ptime_put(struct writer *w)
{
    unsigned ptime = w->opus->ptime_ms;
    char text[32];

    snprintf(text, sizeof(text), "a=ptime:%u", ptime);
    put_text(w, text);
    put_ending(w, w->ending);
    snprintf(text, sizeof(text), "a=maxptime:%u", ptime < 20 ? 20 : ptime);
    put_text(w, text);
    put_ending(w, w->ending);
}

/* A line of an audio section that has Opus. */
static void
line_put(struct writer *w, struct section *section, const struct line *line)
{
    struct span rest;
    unsigned payload = 0;

    if (starts_with(line->text, "a=ptime:")
        || starts_with(line->text, "a=maxptime:"))
        return; /* ours stand at the end of the section */
    if (starts_with(line->text, "a=fmtp:")
        && payload_take(line->text, "a=fmtp:", &payload, &rest)
        && section->opus[payload]) {
        fmtp_put(w, payload, rest);
        put_ending(w, line->ending);
        return;
    }
    put(w, line->text);
    put_ending(w, line->ending);
    if (starts_with(line->text, "a=rtpmap:")
        && payload_take(line->text, "a=rtpmap:", &payload, &rest)
        && section->opus[payload] && !section->fmtp[payload]) {
        section->fmtp[payload] = true;
        fmtp_put(w, payload, (struct span){"", 0});
        put_ending(w, line->ending);
    }
}

static void
section_put(struct writer *w, struct section *section)
{
    struct span text = section->text;
    struct line line;

    if (!section->voice) {
        put(w, section->text);
        return;
    }
    while (!w->error && line_next(&text, &line) > 0)
        line_put(w, section, &line);
    ptime_put(w);
}

/* The ending of a text's first line is that of the lines we add when nothing
 * nearer tells. */
static struct span
first_ending(struct span text)
{
    struct line line;

    if (line_next(&text, &line) > 0 && line.ending.bytes)
        return line.ending;
    return (struct span){"\r\n", 2};
}

/* Some end with an empty line more than RFC 8866 has. */
static size_t
blank_tail(const char *text, size_t bytes)
{
    size_t end = bytes;

    while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == '\r'))
        end--;
    if (end < bytes && text[end] == '\r')
        end++;
    if (end < bytes && text[end] == '\n')
        end++;
    return bytes - end;
}

static int
write_all(struct writer *w, struct span text)
{
    struct section section;

    while (text.bytes && !w->error) {
        int result = section_read(&text, &section);
        if (result)
            return result;
        section_put(w, &section);
    }
    return w->error;
}

int
sdp_apply_opus(const char *text, size_t bytes, const struct sdp_opus *opus,
               struct buffer *out)
{
    struct span body = {text, bytes};
    struct buffer made;

    if (bytes > SDP_MAX_BYTES)
        return UV_E2BIG;
    size_t tail = blank_tail(text, bytes);
    body.bytes -= tail;
    if (body.bytes < 4 || memcmp(text, "v=0", 3) != 0
        || (text[3] != '\r' && text[3] != '\n'))
        return UV_EINVAL;
    buffer_init(&made, SDP_MAX_BYTES);
    struct writer w = {
        .opus = opus, .out = &made, .ending = first_ending(body)};
    int result = write_all(&w, body);
    if (!result)
        put(&w, (struct span){body.text + body.bytes, tail});
    if (!result)
        result = w.error;
    if (!result)
        result = buffer_append(out, made.data, made.bytes);
    buffer_deinit(&made);
    return result == UV_ENOBUFS ? UV_E2BIG : result;
}
