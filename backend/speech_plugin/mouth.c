/* SPDX-License-Identifier: BSD-2-Clause */

#include "speech_plugin/mouth.h"

#include <ctype.h>
#include <flite/flite.h>
#include <pthread.h>
#include <speex/speex_resampler.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RATE          24000
#define CHUNK_SAMPLES 2400 /* 100 ms */
#define QUALITY       4    /* speexdsp's; enough for 16 kHz speech */
#define TEXT_BYTES    65536
#define ASK_SAMPLES   320 /* flite hands over at least 20 ms */

/* Where the sound of one utterance goes. */
struct sound {
    SpeexResamplerState *resampler;
    speech_audio_h *audio;
    void *arg;
    size_t fill;
    int result; /* 0 going on, 1 stopped, -1 failed */
    int16_t chunk[CHUNK_SAMPLES];
};

/* flite's registration functions; its headers do not declare them. */
cst_voice *register_cmu_us_slt(const char *voxdir);
cst_voice *register_cmu_us_rms(const char *voxdir);
cst_voice *register_cmu_us_awb(const char *voxdir);
cst_voice *register_cmu_us_kal16(const char *voxdir);

static struct {
    const char *name;
    cst_voice *(*open)(const char *voxdir);
    cst_voice *voice;
} throats[] = {
    {"slt", register_cmu_us_slt, NULL},
    {"rms", register_cmu_us_rms, NULL},
    {"awb", register_cmu_us_awb, NULL},
    {"kal16", register_cmu_us_kal16, NULL},
};
enum { SLT, RMS, AWB, KAL16, THROATS };

/* The voices of the Realtime API, the deep ones to rms, Scottish for fable. */
static const struct {
    const char *name;
    int throat;
} names[] = {
    {"marin", SLT},   {"cedar", RMS}, {"alloy", SLT}, {"ash", RMS},
    {"ballad", AWB},  {"coral", SLT}, {"echo", RMS},  {"sage", SLT},
    {"shimmer", SLT}, {"verse", RMS}, {"fable", AWB}, {"onyx", RMS},
    {"nova", SLT},    {"slt", SLT},   {"rms", RMS},   {"awb", AWB},
    {"kal16", KAL16}, {"kal", KAL16},
};

static const cst_lexicon *lexicon;
static pthread_mutex_t lexicon_lock = PTHREAD_MUTEX_INITIALIZER;

int
mouth_open(char *error, size_t error_bytes)
{
    if (lexicon != NULL)
        return 0;
    flite_init();
    for (int i = 0; i < THROATS; i++) {
        throats[i].voice = throats[i].open(NULL);
        if (throats[i].voice == NULL) {
            snprintf(error, error_bytes, "flite has no voice %s",
                     throats[i].name);
            return -1;
        }
    }
    lexicon = val_lexicon(feat_val(throats[KAL16].voice->features, "lexicon"));
    return 0;
}

static cst_voice *
voice_of(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(name, names[i].name) == 0)
            return throats[names[i].throat].voice;
    }
    return throats[SLT].voice;
}

/* What can't be said in ASCII but has a plain form. */
static const char *
plain_of(const char *text, size_t *bytes)
{
    static const char *const forms[][2] = {
        {"‘", "'"},        {"’", "'"},         {"“", "\""},
        {"”", "\""},       {"–", ", "},        {"—", ", "},
        {"…", ". "},       {"°", " degrees "}, {"€", " euros "},
        {"£", " pounds "}, {"×", " times "},   {"÷", " divided by "},
        {"−", " minus "},  {"ä", "a"},         {"à", "a"},
        {"á", "a"},        {"â", "a"},         {"ã", "a"},
        {"å", "a"},        {"ç", "c"},         {"é", "e"},
        {"è", "e"},        {"ê", "e"},         {"ë", "e"},
        {"í", "i"},        {"î", "i"},         {"ï", "i"},
        {"ñ", "n"},        {"ó", "o"},         {"ô", "o"},
        {"õ", "o"},        {"ö", "o"},         {"ø", "o"},
        {"ß", "ss"},       {"ú", "u"},         {"ù", "u"},
        {"û", "u"},        {"ü", "u"},         {"É", "E"},
        {"Ä", "A"},        {"Ö", "O"},         {"Ü", "U"},
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        *bytes = strlen(forms[i][0]);
        if (strncmp(text, forms[i][0], *bytes) == 0)
            return forms[i][1];
    }
    *bytes = 1;
    return (unsigned char) *text < 0x80 ? NULL : "";
}

/* A copy in ASCII without what reads badly aloud: marks of markdown and
 * control characters. NULL without memory; sayable: has anything to say. */
static char *
text_clean(const char *text, bool *sayable)
{
    size_t most = strnlen(text, TEXT_BYTES);
    char *clean = malloc(most * 12 + 1); /* "÷" is the worst: 2 to 12 */
    size_t fill = 0, bytes = 1;

    *sayable = false;
    if (clean == NULL)
        return NULL;
    for (size_t i = 0; i < most; i += bytes) {
        const char *plain = plain_of(text + i, &bytes);
        char c = text[i];

        if (plain != NULL) {
            size_t length = strlen(plain);

            memcpy(clean + fill, plain, length);
            fill += length;
            *sayable |= length > 1;
        } else if (strchr("*#`_~|<>{}[]\\^", c) != NULL || c < 0x20) {
            clean[fill++] = ' ';
        } else {
            clean[fill++] = c;
            *sayable |= isalnum((unsigned char) c) != 0;
        }
    }
    clean[fill] = '\0';
    return clean;
}

static void
sound_flush(struct sound *sound)
{
    if (sound->result == 0 && sound->fill > 0
        && !sound->audio(sound->arg, sound->chunk, sound->fill))
        sound->result = 1;
    sound->fill = 0;
}

static void
sound_feed(struct sound *sound, const int16_t *pcm, size_t samples)
{
    while (samples > 0 && sound->result == 0) {
        spx_uint32_t in = (spx_uint32_t) samples;
        spx_uint32_t out = (spx_uint32_t) (CHUNK_SAMPLES - sound->fill);

        if (speex_resampler_process_int(sound->resampler, 0, pcm, &in,
                                        sound->chunk + sound->fill, &out)
            != RESAMPLER_ERR_SUCCESS) {
            sound->result = -1;
            return;
        }
        pcm += in;
        samples -= in;
        sound->fill += out;
        if (sound->fill == CHUNK_SAMPLES)
            sound_flush(sound);
    }
}

static int
sound_open(struct sound *sound, int rate)
{
    int error = 0;

    sound->resampler =
        speex_resampler_init(1, (spx_uint32_t) rate, RATE, QUALITY, &error);
    if (sound->resampler == NULL)
        return -1;
    speex_resampler_skip_zeros(sound->resampler);
    return 0;
}

/* What the resampler's filter still holds, then the rest of the chunk. */
static void
sound_finish(struct sound *sound)
{
    static const int16_t zeros[256];
    int latency;

    if (sound->resampler == NULL || sound->result != 0)
        return;
    latency = speex_resampler_get_input_latency(sound->resampler);
    sound_feed(sound, zeros, latency < 256 ? (size_t) latency : 256);
    sound_flush(sound);
}

static int
on_flite_audio(const cst_wave *wave, int start, int size, int last,
               cst_audio_streaming_info *info)
{
    struct sound *sound = info->userdata;

    (void) last;
    if (sound->resampler == NULL && sound_open(sound, wave->sample_rate) != 0)
        sound->result = -1;
    if (sound->result == 0 && size > 0)
        sound_feed(sound, wave->samples + start, (size_t) size);
    return sound->result == 0 ? CST_AUDIO_STREAM_CONT : CST_AUDIO_STREAM_STOP;
}

/* The streaming info goes to the utterance: voices are shared by threads. */
static int
utterance_say(const char *text, cst_voice *voice, double speed,
              struct sound *sound)
{
    cst_audio_streaming_info *info = new_audio_streaming_info();
    cst_utterance *utterance = new_utterance();

    info->min_buffsize = ASK_SAMPLES;
    info->asc = on_flite_audio;
    info->userdata = sound;
    utt_set_input_text(utterance, text);
    utt_init(utterance, voice);
    feat_set_float(utterance->features, "duration_stretch",
                   (float) (1.0 / speed));
    feat_set(utterance->features, "streaming_info",
             audio_streaming_info_val(info));
    if (utt_synth(utterance) == NULL && sound->result == 0)
        sound->result = -1;
    delete_utterance(utterance); /* and the info */
    sound_finish(sound);
    if (sound->resampler != NULL)
        speex_resampler_destroy(sound->resampler);
    return sound->result;
}

int
mouth_say(const char *text, const char *voice, double speed,
          speech_audio_h *audio, void *arg)
{
    struct sound *sound;
    bool sayable;
    char *clean;
    int result = 0;

    if (!(speed >= 0.25))
        speed = speed < 0.25 ? 0.25 : 1.0; /* NaN: natural */
    if (speed > 1.5)
        speed = 1.5;
    clean = text_clean(text, &sayable);
    sound = calloc(1, sizeof *sound);
    if (clean == NULL || sound == NULL) {
        result = -1;
    } else if (sayable) {
        sound->audio = audio;
        sound->arg = arg;
        result = utterance_say(clean, voice_of(voice), speed, sound);
    }
    free(sound);
    free(clean);
    return result;
}

/* flite's phones are those of the model, in lower case and with stress. */
static int
phone_add(const char *phone, char *phones, size_t phones_bytes)
{
    size_t fill = strlen(phones);
    size_t bytes = strcspn(phone, "012");
    bool schwa = bytes == 2 && strncmp(phone, "ax", 2) == 0;

    if (bytes == 0 || phones_bytes - fill < bytes + 2)
        return -1;
    if (fill > 0)
        phones[fill++] = ' ';
    for (size_t i = 0; i < bytes; i++)
        phones[fill++] = (char) toupper((unsigned char) phone[i]);
    if (schwa)
        memcpy(phones + fill - 2, "AH", 2);
    phones[fill] = '\0';
    return 0;
}

int
mouth_phones(const char *word, char *phones, size_t phones_bytes)
{
    cst_val *found;
    int result = 0;

    for (const char *c = word; *c != '\0'; c++) {
        if (!islower((unsigned char) *c) && *c != '\'')
            return -1;
    }
    phones[0] = '\0';
    pthread_mutex_lock(&lexicon_lock);
    found = lex_lookup(lexicon, word, NULL, NULL);
    for (const cst_val *v = found; v != NULL && result == 0; v = val_cdr(v))
        result = phone_add(val_string(val_car(v)), phones, phones_bytes);
    delete_val(found);
    pthread_mutex_unlock(&lexicon_lock);
    return phones[0] == '\0' ? -1 : result;
}
