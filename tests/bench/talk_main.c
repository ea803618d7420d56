/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * bench-talk: see talk.h; `bench-talk --help` lists the options.
 */

#include "talk.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char usage[] =
    "usage: bench-talk --wav FILE (--target a.b.c.d:port | --direct) "
    "[options]\n"
    "\n"
    "  --wav FILE          what is said: 16-bit 24 kHz mono\n"
    "  --target A:P        where the clients connect to\n"
    "  --direct            that is our own upstream\n"
    "  --path /p           default /v1/realtime\n"
    "  --port P            the upstream's, on 127.0.0.1, default any\n"
    "  --plain             base64 PCM in events, not voice.opus.v1\n"
    "  --sessions N        default 1\n"
    "  --first N           open so many at first, the rest when told to\n"
    "  --seconds S         that are counted, default 5\n"
    "  --patience S        for sessions to begin, default 20\n"
    "  --append-ms MS      of a plain client, 20 to 1000, default 100\n"
    "  --delta-ms MS       of the upstream, 20 to 1000, default 100\n"
    "  --answer-ms MS      length of an answer, default 10000\n"
    "  --speed X           answers come so many times faster than they are\n"
    "                      heard, default 1\n"
    "  --interrupters N    so many sessions are interrupted over and over\n"
    "  --interrupts N      after so many of these it is over\n"
    "  --seed N            default 1\n"
    "  --steps             wait for a line on standard input between phases\n";

enum choice {
    OPT_WAV = 256,
    OPT_TARGET,
    OPT_DIRECT,
    OPT_PATH,
    OPT_PORT,
    OPT_PLAIN,
    OPT_SESSIONS,
    OPT_FIRST,
    OPT_SECONDS,
    OPT_PATIENCE,
    OPT_APPEND_MS,
    OPT_DELTA_MS,
    OPT_ANSWER_MS,
    OPT_SPEED,
    OPT_INTERRUPTERS,
    OPT_INTERRUPTS,
    OPT_SEED,
    OPT_STEPS,
    OPT_HELP
};

static const struct option names[] = {
    {"wav", required_argument, NULL, OPT_WAV},
    {"target", required_argument, NULL, OPT_TARGET},
    {"direct", no_argument, NULL, OPT_DIRECT},
    {"path", required_argument, NULL, OPT_PATH},
    {"port", required_argument, NULL, OPT_PORT},
    {"plain", no_argument, NULL, OPT_PLAIN},
    {"sessions", required_argument, NULL, OPT_SESSIONS},
    {"first", required_argument, NULL, OPT_FIRST},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"patience", required_argument, NULL, OPT_PATIENCE},
    {"append-ms", required_argument, NULL, OPT_APPEND_MS},
    {"delta-ms", required_argument, NULL, OPT_DELTA_MS},
    {"answer-ms", required_argument, NULL, OPT_ANSWER_MS},
    {"speed", required_argument, NULL, OPT_SPEED},
    {"interrupters", required_argument, NULL, OPT_INTERRUPTERS},
    {"interrupts", required_argument, NULL, OPT_INTERRUPTS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"steps", no_argument, NULL, OPT_STEPS},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0}};

static double
number_read(const char *value, double least, double most)
{
    char *end;
    double number = strtod(value, &end);

    if (end == value || *end || !(number >= least && number <= most)) {
        fprintf(stderr, "bench-talk: bad value '%s'\n%s", value, usage);
        exit(2);
    }
    return number;
}

/* Whole frames. */
static unsigned
time_read(const char *value, double most)
{
    unsigned ms = (unsigned) number_read(value, TALK_FRAME_MS, most);

    return ms - ms % TALK_FRAME_MS;
}

static void
flag_set(struct talk_options *options, int option)
{
    switch (option) {
    case OPT_DIRECT:
        options->direct = true;
        break;
    case OPT_PLAIN:
        options->plain = true;
        break;
    case OPT_STEPS:
        options->steps = true;
        break;
    case OPT_HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

static void
option_set(struct talk_options *options, int option, const char *value)
{
    switch (option) {
    case OPT_WAV:
        options->wav = value;
        break;
    case OPT_TARGET:
        if (bench_target_parse(&options->target, value))
            number_read(value, 1, 0);
        break;
    case OPT_PATH:
        options->path = value;
        break;
    case OPT_PORT:
        options->port = (unsigned) number_read(value, 0, 65535);
        break;
    case OPT_SESSIONS:
        options->sessions = (unsigned) number_read(value, 1, 5000);
        break;
    case OPT_FIRST:
        options->first = (unsigned) number_read(value, 0, 5000);
        break;
    case OPT_SECONDS:
        options->seconds = number_read(value, 0, 86400);
        break;
    case OPT_PATIENCE:
        options->patience = number_read(value, 0, 3600);
        break;
    case OPT_APPEND_MS:
        options->append_ms = time_read(value, 1000);
        break;
    case OPT_DELTA_MS:
        options->delta_ms = time_read(value, 1000);
        break;
    case OPT_ANSWER_MS:
        options->answer_ms = time_read(value, 600000);
        break;
    case OPT_SPEED:
        options->speed = number_read(value, 1, 50);
        break;
    case OPT_INTERRUPTERS:
        options->interrupters = (unsigned) number_read(value, 0, 5000);
        break;
    case OPT_INTERRUPTS:
        options->interrupts = (unsigned) number_read(value, 0, 1e6);
        break;
    case OPT_SEED:
        options->seed = (unsigned) number_read(value, 0, 1e9);
        break;
    default:
        flag_set(options, option);
    }
}

/* As many descriptors as the machine lets us have. */
static void
files_raise(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int
main(int argc, char **argv)
{
    struct talk_options options = {.path = "/v1/realtime",
                                   .sessions = 1,
                                   .append_ms = 100,
                                   .delta_ms = 100,
                                   .answer_ms = 10000,
                                   .speed = 1,
                                   .seed = 1,
                                   .seconds = 5,
                                   .patience = 20};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
        option_set(&options, option, optarg);
    if (optind < argc || !options.wav
        || options.direct == (options.target.address_bytes > 0)
        || options.first > options.sessions
        || options.answer_ms < 2 * options.delta_ms) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    files_raise();
    return talk_run(&options);
}
