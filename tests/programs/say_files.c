/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sentences as sound files, in the voices of the speech plugin.
 *
 *   say_files PLUGIN VOICE < list      lines of: file, tab, sentence
 *
 * Writes 16-bit 24 kHz mono WAV, with 0.4 s of quiet before and 0.3 s after.
 */

#include "speech_plugin/speech_plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE       24000u
#define BEFORE     (RATE * 4 / 10)
#define AFTER      (RATE * 3 / 10)
#define MOST       (RATE * 60)
#define LINE_BYTES 1024

static int16_t pcm[MOST];
static size_t samples;

static bool
on_audio(void *arg, const int16_t *spoken, size_t count)
{
    (void) arg;
    if (count > MOST - AFTER - samples)
        return false;
    memcpy(pcm + samples, spoken, count * sizeof(*pcm));
    samples += count;
    return true;
}

static void
number_put(uint8_t *to, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t) (value >> 8 * i);
}

static int
wav_write(const char *path)
{
    uint8_t head[44] = "RIFF....WAVEfmt ";
    uint32_t bytes = (uint32_t) (samples * sizeof(*pcm));
    FILE *file = fopen(path, "wb");

    if (!file)
        return -1;
    number_put(head + 4, 36 + bytes, 4);
    number_put(head + 16, 16, 4); /* of what follows */
    number_put(head + 20, 1, 2);  /* PCM */
    number_put(head + 22, 1, 2);  /* mono */
    number_put(head + 24, RATE, 4);
    number_put(head + 28, RATE * 2, 4);
    number_put(head + 32, 2, 2);
    number_put(head + 34, 16, 2);
    memcpy(head + 36, "data", 4);
    number_put(head + 40, bytes, 4);
    size_t written = fwrite(head, 1, sizeof(head), file);
    written += fwrite(pcm, 1, bytes, file);
    return fclose(file) == 0 && written == sizeof(head) + bytes ? 0 : -1;
}

static int
sentence_say(const struct speech_plugin_api *api, const char *voice,
             const char *path, const char *text)
{
    memset(pcm, 0, BEFORE * sizeof(*pcm));
    samples = BEFORE;
    if (api->say(text, voice, 1.0, on_audio, NULL) != 0)
        return -1;
    memset(pcm + samples, 0, AFTER * sizeof(*pcm));
    samples += AFTER;
    return wav_write(path);
}

int
main(int argc, char **argv)
{
    char line[LINE_BYTES], error[256] = "it can't be loaded";
    void *plugin = argc == 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    const struct speech_plugin_api *api =
        plugin ? dlsym(plugin, SPEECH_PLUGIN_SYMBOL) : NULL;

    if (!api || api->abi != SPEECH_PLUGIN_ABI
        || api->init(error, sizeof(error)) != 0) {
        fprintf(stderr, "say_files: the plugin: %s\n", error);
        return 1;
    }
    while (fgets(line, sizeof(line), stdin)) {
        char *text = strchr(line, '\t');
        line[strcspn(line, "\n")] = 0;
        if (!text)
            continue;
        *text++ = 0;
        if (sentence_say(api, argv[2], line, text) != 0) {
            fprintf(stderr, "say_files: %s can't be made\n", line);
            return 1;
        }
    }
    return 0;
}
