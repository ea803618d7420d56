/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The binary interface between the server and voiced-speech.so. Plain C, no
 * callbacks into the server but those passed in. All calls block and are made
 * on speech threads only, init before any other. Each `ears` is used by one
 * thread at a time; `say` by any, at the same time. Prints nothing.
 */

#ifndef VOICE_SPEECH_PLUGIN_H
#define VOICE_SPEECH_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPEECH_PLUGIN_ABI    1
#define SPEECH_PLUGIN_SYMBOL "speech_plugin_api"

struct speech_ears;

/* A grammar for one session: sentences it may hear. */
struct speech_grammar {
    uint64_t id;       /* same id = same text: what was made of it is kept */
    const char *jsgf;  /* JSGF text; its first public rule is heard */
    const char *words; /* newline separated lower case words it uses */
};

struct speech_heard {
    char text[512];    /* lower case words; "" if nothing was understood */
    double confidence; /* (command - phone loop) / frames, shifted so that
                          0 and more is accepted */
    bool understood;
};

/* Mono 16-bit at 24 kHz. Return false to stop (barge-in). */
typedef bool speech_audio_h(void *arg, const int16_t *pcm, size_t samples);

struct speech_plugin_api {
    unsigned abi;
    /* Once; 0, or -1 with a reason in error. */
    int (*init)(char *error, size_t error_bytes);
    int (*ears_create)(struct speech_ears **ears); /* 0 or -1 */
    void (*ears_destroy)(struct speech_ears *ears);
    /* pcm: 24 kHz mono with ~300 ms before the speech. The same audio and
     * grammar give the same answer, whatever was heard before. 0 or -1. */
    int (*ears_hear)(struct speech_ears *ears,
                     const struct speech_grammar *grammar, const int16_t *pcm,
                     size_t samples, struct speech_heard *heard);
    /* Speaks `text` as one utterance in chunks of at most 100 ms. voice: any
     * name or NULL; unknown ones map to one of ours. speed 0.25…1.5. 0, 1
     * stopped, -1 failed. */
    int (*say)(const char *text, const char *voice, double speed,
               speech_audio_h *audio, void *arg);
    const char *(*version)(void);
};

#endif
