/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_turns_told.h"

#include "base/histogram.h"

#include <pthread.h>
#include <stdio.h>

#define NAME_BYTES 160
#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))

static struct {
    struct histogram *voice[2][2][2]; /* speech end, heard, interrupted */
    struct histogram *first[TURNS_FROM_COUNT][TURNS_OUTPUT_COUNT];
    struct histogram *gateway[2]; /* up */
    struct histogram *vad, *round_trip;
} told;

static struct histogram *
voice_make(bool from_speech_end, bool heard, bool interrupted)
{
    static const double bounds[] = {0.3, 0.5, 0.8, 1, 1.5, 2, 3};
    char name[NAME_BYTES];

    snprintf(name, sizeof(name),
             "voice_to_voice_latency_seconds{from=\"%s\",to=\"%s\","
             "interrupted=\"%s\"}",
             from_speech_end ? "speech_end" : "turn_end",
             heard ? "heard" : "sent", interrupted ? "true" : "false");
    return histogram_register(
        name,
        "From the user's last word, or the model's notice of it, to the "
        "answer's first sound.",
        bounds, COUNT(bounds));
}

static struct histogram *
first_make(enum turns_from from, enum turns_output which)
{
    static const double bounds[] = {0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.5, 2, 3, 5};
    static const char *const outputs[] = {"", "audio", "text", "call"};
    char name[NAME_BYTES];

    snprintf(name, sizeof(name),
             "voice_llm_first_output_seconds{from=\"%s\",output=\"%s\"}",
             from == TURNS_FROM_CREATED ? "response_created" : "turn_end",
             outputs[which]);
    return histogram_register(
        name,
        "From a turn's end, or its response.created, to the model's first "
        "output.",
        bounds, COUNT(bounds));
}

static struct histogram *
gateway_make(bool up)
{
    static const double bounds[] = {0.00005, 0.0001, 0.0002, 0.0005,
                                    0.001,   0.003,  0.01,   0.05};

    return histogram_register(up ? "voice_gateway_seconds{direction=\"up\"}"
                                 : "voice_gateway_seconds{direction=\"down\"}",
                              "The gateway's own share of a turn.", bounds,
                              COUNT(bounds));
}

static void
told_make(void)
{
    static const double vad[] = {0.02, 0.05, 0.1, 0.2, 0.5, 1};
    static const double trip[] = {0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1};

    for (unsigned i = 0; i < 8; i++)
        told.voice[i >> 2][i >> 1 & 1][i & 1] =
            voice_make(i >> 2, i >> 1 & 1, i & 1);
    for (unsigned from = 0; from < TURNS_FROM_COUNT; from++)
        for (unsigned o = TURNS_OUTPUT_AUDIO; o < TURNS_OUTPUT_COUNT; o++)
            told.first[from][o] = first_make(from, o);
    told.gateway[0] = gateway_make(false);
    told.gateway[1] = gateway_make(true);
    told.vad = histogram_register(
        "voice_vad_seconds",
        "From the arrival of a turn's last audio to the model's word that it "
        "was the last.",
        vad, COUNT(vad));
    told.round_trip = histogram_register(
        "voice_audio_round_trip_seconds",
        "The client's network, its buffer and the gateway, a turn.", trip,
        COUNT(trip));
}

static void
observe(struct histogram **h, uint64_t us)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, told_make);
    histogram_observe(*h, (double) us / 1e6);
}

void
session_turns_told_voice(struct session_turns_voice v, uint64_t us)
{
    observe(&told.voice[v.from_speech_end][v.heard][v.interrupted], us);
}

void
session_turns_told_first(enum turns_from from, enum turns_output which,
                         uint64_t us)
{
    observe(&told.first[from][which], us);
}

void
session_turns_told_vad(uint64_t us)
{
    observe(&told.vad, us);
}

void
session_turns_told_gateway(bool up, uint64_t us)
{
    observe(&told.gateway[up], us);
}

void
session_turns_told_round_trip(uint64_t us)
{
    observe(&told.round_trip, us);
}
