/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What libopus alone costs: the ceiling that talking sessions are measured
 * against. Nothing of ours is in it.
 *
 *   opus-ceiling WAV [frame_ms [bitrate_bps [complexity]]]
 *
 * Encodes the file's speech (24 kHz mono) as we do, DTX off and FEC on, and
 * decodes it, with as many states in turn as make the processor's caches as
 * cold as a server's; prints CPU microseconds a frame and how many full-duplex
 * sessions that speak all the time fit a core, by complexity (or for the one
 * that is named), as one JSON.
 */

#include <opus/opus.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RATE       24000
#define STATES     64
#define ROUNDS     40
#define WAV_HEADER 44
#define PACKET_MAX 512

struct speech {
    int16_t *pcm;
    size_t samples;
};

struct cost {
    double encode_us;
    double decode_us;
    double packet_bytes;
};

struct session {
    OpusEncoder *encoder;
    OpusDecoder *decoder;
    size_t at; /* each speaks from another place */
    unsigned char packet[PACKET_MAX];
    opus_int32 bytes;
};

static _Noreturn void
die(const char *what)
{
    fprintf(stderr, "opus-ceiling: %s\n", what);
    exit(1);
}

static double
cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

static struct speech
speech_read(const char *path)
{
    struct speech speech = {0};
    FILE *file = fopen(path, "rb");
    long bytes;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        die("can't read the file");
    bytes = ftell(file) - WAV_HEADER;
    if (bytes < RATE || fseek(file, WAV_HEADER, SEEK_SET) != 0)
        die("too short");
    speech.pcm = malloc((size_t) bytes);
    if (speech.pcm == NULL)
        die("no memory");
    speech.samples = fread(speech.pcm, 2, (size_t) bytes / 2, file);
    fclose(file);
    return speech;
}

static void
session_begin(struct session *s, int complexity, int bitrate_bps)
{
    int code;

    s->encoder = opus_encoder_create(RATE, 1, OPUS_APPLICATION_VOIP, &code);
    if (code != OPUS_OK)
        die("no encoder");
    s->decoder = opus_decoder_create(RATE, 1, &code);
    if (code != OPUS_OK)
        die("no decoder");
    opus_encoder_ctl(s->encoder, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
    opus_encoder_ctl(s->encoder,
                     OPUS_SET_MAX_BANDWIDTH(OPUS_BANDWIDTH_SUPERWIDEBAND));
    opus_encoder_ctl(s->encoder, OPUS_SET_BITRATE(bitrate_bps));
    opus_encoder_ctl(s->encoder, OPUS_SET_COMPLEXITY(complexity));
    opus_encoder_ctl(s->encoder, OPUS_SET_INBAND_FEC(1));
    opus_encoder_ctl(s->encoder, OPUS_SET_PACKET_LOSS_PERC(5));
    opus_encoder_ctl(s->encoder, OPUS_SET_DTX(0));
}

static void
session_frame(struct session *s, const struct speech *speech, int frame,
              struct cost *cost)
{
    int16_t heard[RATE / 50];
    double began = cpu_us(), between;

    if (s->at + (size_t) frame > speech->samples)
        s->at = 0;
    s->bytes = opus_encode(s->encoder, speech->pcm + s->at, frame, s->packet,
                           PACKET_MAX);
    s->at += (size_t) frame;
    between = cpu_us();
    if (s->bytes <= 0
        || opus_decode(s->decoder, s->packet, s->bytes, heard, frame, 0)
               != frame)
        die("the codec failed");
    cost->decode_us += cpu_us() - between;
    cost->encode_us += between - began;
    cost->packet_bytes += s->bytes;
}

static struct cost
cost_measure(const struct speech *speech, int complexity, int frame,
             int bitrate_bps)
{
    static struct session sessions[STATES];
    struct cost cost = {0};
    const double frames = (double) STATES * ROUNDS;

    for (size_t i = 0; i < STATES; i++) {
        session_begin(&sessions[i], complexity, bitrate_bps);
        sessions[i].at = i * speech->samples / STATES;
    }
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < STATES; i++)
            session_frame(&sessions[i], speech, frame, &cost);
    for (size_t i = 0; i < STATES; i++) {
        opus_encoder_destroy(sessions[i].encoder);
        opus_decoder_destroy(sessions[i].decoder);
    }
    cost.encode_us /= frames;
    cost.decode_us /= frames;
    cost.packet_bytes /= frames;
    return cost;
}

int
main(int argc, char **argv)
{
    static const int usual[] = {0, 1, 3, 5, 8, 10};
    int frame_ms = argc > 2 ? (int) strtol(argv[2], NULL, 10) : 20;
    int bitrate_bps = argc > 3 ? (int) strtol(argv[3], NULL, 10) : 24000;
    int one = argc > 4 ? (int) strtol(argv[4], NULL, 10) : 0;
    const int *complexities = argc > 4 ? &one : usual;
    size_t count = argc > 4 ? 1 : sizeof usual / sizeof *usual;
    struct speech speech;

    if (argc < 2 || (frame_ms != 10 && frame_ms != 20) || bitrate_bps < 6000
        || one < 0 || one > 10)
        die("usage: opus-ceiling WAV [10|20 [bitrate_bps [complexity]]]");
    speech = speech_read(argv[1]);
    printf("{\"version\":\"%s\",\"frame_ms\":%d,\"bitrate_bps\":%d,"
           "\"encoder_bytes\":%d,\"decoder_bytes\":%d,\"rows\":[",
           opus_get_version_string(), frame_ms, bitrate_bps,
           opus_encoder_get_size(1), opus_decoder_get_size(1));
    for (size_t i = 0; i < count; i++) {
        struct cost cost = cost_measure(&speech, complexities[i],
                                        RATE / 1000 * frame_ms, bitrate_bps);

        printf("%s\n{\"complexity\":%d,\"encode_us\":%.1f,\"decode_us\":%.1f,"
               "\"packet_bytes\":%.1f,\"sessions_per_core\":%.0f}",
               i > 0 ? "," : "", complexities[i], cost.encode_us,
               cost.decode_us, cost.packet_bytes,
               1000.0 * frame_ms / (cost.encode_us + cost.decode_us));
    }
    printf("]}\n");
    free(speech.pcm);
    return 0;
}
