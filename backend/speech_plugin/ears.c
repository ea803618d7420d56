/* SPDX-License-Identifier: BSD-2-Clause */

#include "speech_plugin/ears.h"

#include "speech_plugin/dictionary.h"

#include <inttypes.h>
#include <pocketsphinx.h>
#include <sphinxbase/cmn.h>
#include <sphinxbase/err.h>
#include <sphinxbase/feat.h>
#include <sphinxbase/fsg_model.h>
#include <sphinxbase/jsgf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SPEECH_MODEL_DIR
#define SPEECH_MODEL_DIR "/usr/share/pocketsphinx/model"
#endif

#define ACOUSTIC_MODEL SPEECH_MODEL_DIR "/en-us/en-us"
#define PHONE_MODEL    SPEECH_MODEL_DIR "/en-us/en-us-phone.lm.bin"
#define DICTIONARY     SPEECH_MODEL_DIR "/en-us/cmudict-en-us.dict"

#define MAX_GRAMMARS  6    /* searches kept by one decoder */
#define MAX_WORDS     6000 /* of a decoder, then it is made anew */
#define LEAST_SAMPLES 4800 /* 200 ms: less holds no word */
#define CEPSTRUM      13
#define PASS_FRAMES   64

/* A command's score over the phone loop's, a frame, that is believed. */
#define ACCEPT_SCORE    0.0
#define PHONE_SEARCH    "phones"
#define SEARCH_NAME_LEN 24

struct speech_ears {
    ps_decoder_t *decoder;
    mfcc_t mean[CEPSTRUM]; /* the cepstral mean every utterance starts with */
    unsigned words;        /* added to the decoder's dictionary */
    unsigned clock;
    struct {
        uint64_t id;
        unsigned used; /* clock of the last use, 0: empty */
    } grammars[MAX_GRAMMARS];
};

int
ears_open(char *error, size_t error_bytes)
{
    static const char *const needed[] = {ACOUSTIC_MODEL "/mdef", PHONE_MODEL};

    /* Not -logfn: it reopens a global file in every ps_init, which races. */
    err_set_logfp(NULL);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (access(needed[i], R_OK) != 0) {
            snprintf(error, error_bytes, "can't read %s", needed[i]);
            return -1;
        }
    }
    return dictionary_open(DICTIONARY, error, error_bytes);
}

/* The model's own mean, "41.00,-5.29,…". */
static void
mean_read(struct speech_ears *ears)
{
    const char *text = cmd_ln_str_r(ps_get_config(ears->decoder), "-cmninit");

    for (int i = 0; text != NULL && i < CEPSTRUM; i++) {
        ears->mean[i] = FLOAT2MFCC(atof(text));
        text = strchr(text, ',');
        text = text != NULL ? text + 1 : NULL;
    }
}

/* -compallsen makes the scores of two searches comparable; the phone loop
 * without -allphone_ci would need ten times the memory. The default beams lose
 * rare commands of a grammar with many. */
static int
decoder_open(struct speech_ears *ears)
{
    cmd_ln_t *config =
        cmd_ln_init(NULL, ps_args(), TRUE, "-hmm", ACOUSTIC_MODEL, "-samprate",
                    "24000", "-nfft", "1024", "-fillprob", "0.1", "-silprob",
                    "0.1", "-compallsen", "yes", "-allphone_ci", "yes", "-beam",
                    "1e-60", "-pbeam", "1e-60", "-wbeam", "1e-40", NULL);

    if (config == NULL)
        return -1;
    ears->decoder = ps_init(config);
    cmd_ln_free_r(config);
    if (ears->decoder == NULL)
        return -1;
    memset(ears->grammars, 0, sizeof ears->grammars);
    ears->words = 0;
    mean_read(ears);
    return ps_set_allphone_file(ears->decoder, PHONE_SEARCH, PHONE_MODEL);
}

static void
decoder_close(struct speech_ears *ears)
{
    /* The library frees the list of the last phone-loop result when the next
     * one starts, but not with the decoder. */
    if (ears->decoder != NULL && ps_set_search(ears->decoder, PHONE_SEARCH) == 0
        && ps_start_utt(ears->decoder) == 0)
        ps_end_utt(ears->decoder);
    if (ears->decoder != NULL)
        ps_free(ears->decoder);
    ears->decoder = NULL;
}

int
ears_create(struct speech_ears **ep)
{
    struct speech_ears *ears = calloc(1, sizeof *ears);

    if (ears == NULL || decoder_open(ears) != 0) {
        ears_destroy(ears);
        return -1;
    }
    *ep = ears;
    return 0;
}

void
ears_destroy(struct speech_ears *ears)
{
    if (ears == NULL)
        return;
    decoder_close(ears);
    free(ears);
}

static void
search_name(char name[SEARCH_NAME_LEN], uint64_t id)
{
    snprintf(name, SEARCH_NAME_LEN, "g%016" PRIx64, id);
}

static void
on_pronunciation(void *arg, const char *word, const char *phones)
{
    struct speech_ears *ears = arg;
    char *known = ps_lookup_word(ears->decoder, word);

    if (known == NULL && ps_add_word(ears->decoder, word, phones, FALSE) >= 0)
        ears->words++;
    free(known);
}

static void
words_add(struct speech_ears *ears, const char *words)
{
    char word[DICTIONARY_WORD_BYTES];

    while (*words != '\0') {
        size_t bytes = strcspn(words, "\n");

        if (bytes > 0 && bytes < sizeof word) {
            memcpy(word, words, bytes);
            word[bytes] = '\0';
            dictionary_look_up(word, on_pronunciation, ears);
        }
        words += bytes + (words[bytes] == '\n');
    }
}

/* A free place, made by forgetting the grammar that was used longest ago. */
static unsigned
place_free(struct speech_ears *ears)
{
    char name[SEARCH_NAME_LEN];
    unsigned oldest = 0;

    for (unsigned i = 0; i < MAX_GRAMMARS; i++) {
        if (ears->grammars[i].used < ears->grammars[oldest].used)
            oldest = i;
    }
    if (ears->grammars[oldest].used != 0) {
        /* The search in use can't be unset. */
        ps_set_search(ears->decoder, PHONE_SEARCH);
        search_name(name, ears->grammars[oldest].id);
        ps_unset_search(ears->decoder, name);
        ears->grammars[oldest].used = 0;
    }
    return oldest;
}

/* ps_set_jsgf_string would do this, but leaks the parsed grammar. */
static int
search_make(struct speech_ears *ears, const char *name, const char *text)
{
    float64 weight = cmd_ln_float_r(ps_get_config(ears->decoder), "-lw");
    jsgf_t *jsgf = jsgf_parse_string(text, NULL);
    jsgf_rule_t *rule = jsgf != NULL ? jsgf_get_public_rule(jsgf) : NULL;
    fsg_model_t *model = NULL;
    int result = -1;

    if (rule != NULL)
        model = jsgf_build_fsg(jsgf, rule, ps_get_logmath(ears->decoder),
                               (float32) weight);
    if (model != NULL) {
        result = ps_set_fsg(ears->decoder, name, model);
        fsg_model_free(model);
    }
    if (jsgf != NULL)
        jsgf_grammar_free(jsgf);
    return result;
}

/* The decoder knows the grammar afterwards. */
static int
grammar_learn(struct speech_ears *ears, const struct speech_grammar *grammar)
{
    char name[SEARCH_NAME_LEN];
    unsigned place;

    ears->clock++;
    for (unsigned i = 0; i < MAX_GRAMMARS; i++) {
        if (ears->grammars[i].used != 0
            && ears->grammars[i].id == grammar->id) {
            ears->grammars[i].used = ears->clock;
            return 0;
        }
    }
    if (ears->words > MAX_WORDS) {
        decoder_close(ears);
        if (decoder_open(ears) != 0)
            return -1;
    }
    words_add(ears, grammar->words);
    place = place_free(ears);
    search_name(name, grammar->id);
    if (search_make(ears, name, grammar->jsgf) != 0)
        return -1;
    ears->grammars[place].id = grammar->id;
    ears->grammars[place].used = ears->clock;
    return 0;
}

/* One pass of a search over the whole utterance. The words belong to the
 * decoder until its next pass. */
static int
pass(struct speech_ears *ears, const char *search, const int16_t *pcm,
     size_t samples)
{
    ps_decoder_t *decoder = ears->decoder;

    if (ps_set_search(decoder, search) != 0 || ps_start_utt(decoder) != 0)
        return -1;
    if (ps_process_raw(decoder, pcm, samples, FALSE, TRUE) < 0) {
        ps_end_utt(decoder);
        return -1;
    }
    return ps_end_utt(decoder);
}

/* Alternative pronunciations come back as "read(2)". */
static void
words_copy(char *to, size_t to_bytes, const char *from)
{
    size_t fill = 0;

    for (; *from != '\0' && fill + 1 < to_bytes; from++) {
        if (*from == '(')
            from += strcspn(from, ")");
        else
            to[fill++] = *from;
        if (*from == '\0')
            break;
    }
    to[fill] = '\0';
}

/* Digital silence is nothing the models have met: a trace of noise, always
 * the same, is put over everything. */
static int16_t *
pcm_dither(const int16_t *pcm, size_t samples)
{
    int16_t *noisy = malloc(samples * sizeof *noisy);
    uint32_t seed = 1;

    for (size_t i = 0; noisy != NULL && i < samples; i++) {
        int value;

        seed = seed * 1664525u + 1013904223u;
        value = pcm[i] + (int) (seed >> 27) - 16;
        value = value > INT16_MAX ? INT16_MAX : value;
        noisy[i] = (int16_t) (value < INT16_MIN ? INT16_MIN : value);
    }
    return noisy;
}

/* Pass 1, of the front end alone: it learns how the noise sounds. */
static int
noise_learn(struct speech_ears *ears, const int16_t *pcm, size_t samples)
{
    fe_t *front = ps_get_fe(ears->decoder);
    mfcc_t cepstra[PASS_FRAMES][CEPSTRUM];
    mfcc_t *rows[PASS_FRAMES];
    int32 frames = 0;

    for (int i = 0; i < PASS_FRAMES; i++)
        rows[i] = cepstra[i];
    if (fe_start_utt(front) != 0)
        return -1;
    do {
        frames = PASS_FRAMES;
        if (fe_process_frames(front, &pcm, &samples, rows, &frames, NULL) < 0)
            return -1;
    } while (frames > 0);
    return fe_end_utt(front, rows[0], &frames) < 0 ? -1 : 0;
}

static int
hear(struct speech_ears *ears, const char *search, const int16_t *pcm,
     size_t samples, struct speech_heard *heard)
{
    ps_decoder_t *decoder = ears->decoder;
    int32 command = 0, phones = 0;
    const char *words;

    cmn_live_set(ps_get_feat(decoder)->cmn_struct, ears->mean);
    if (ps_start_stream(decoder) != 0 || noise_learn(ears, pcm, samples) != 0
        || pass(ears, search, pcm, samples) != 0)
        return -1;
    words = ps_get_hyp(decoder, &command);
    if (words == NULL || *words == '\0')
        return 0; /* nothing the grammar allows */
    words_copy(heard->text, sizeof heard->text, words);
    if (pass(ears, PHONE_SEARCH, pcm, samples) != 0)
        return -1;
    if (ps_get_hyp(decoder, &phones) == NULL || ps_get_n_frames(decoder) <= 0)
        return 0;
    heard->confidence =
        ((double) command - phones) / ps_get_n_frames(decoder) - ACCEPT_SCORE;
    heard->understood = heard->confidence >= 0.0;
    return 0;
}

int
ears_hear(struct speech_ears *ears, const struct speech_grammar *grammar,
          const int16_t *pcm, size_t samples, struct speech_heard *heard)
{
    char search[SEARCH_NAME_LEN];
    int16_t *noisy;
    int result;

    memset(heard, 0, sizeof *heard);
    heard->confidence = -1000.0;
    if (samples < LEAST_SAMPLES)
        return 0;
    if (ears->decoder == NULL && decoder_open(ears) != 0)
        return -1;
    if (grammar_learn(ears, grammar) != 0)
        return -1;
    noisy = pcm_dither(pcm, samples);
    if (noisy == NULL)
        return -1;
    search_name(search, grammar->id);
    result = hear(ears, search, noisy, samples, heard);
    free(noisy);
    if (!heard->understood)
        heard->text[0] = '\0';
    return result;
}
