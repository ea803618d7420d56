/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * bench-client: puts load on a server from one thread and says in JSON what
 * became of it. `bench-client --help` lists the options.
 */

#include "bench_client.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char usage[] =
    "usage: bench-client MODE --target unix:/path|a.b.c.d:port [options]\n"
    "\n"
    "MODE  echo   WebSocket connections, numbered binary messages, echoes\n"
    "      http   one request after the other on each connection\n"
    "      hold   one request on each connection, which then stays\n"
    "      start  sessions of the Realtime API, each at its time\n"
    "\n"
    "  --path /p           default /\n"
    "  --header 'A: b'     one more request header; may be repeated\n"
    "  --body TEXT         http: POST it\n"
    "  --vary N            http: a run of %s in the body is each time another\n"
    "                      number below N, with zeros in front\n"
    "  --connections N     default 1\n"
    "  --parallel N        connections being made at a time, default 64\n"
    "  --seconds S         of load, default 5\n"
    "  --patience S        for connections and late answers, default 20\n"
    "  --steps             wait for a line on standard input between phases\n"
    "  --rate R            echo: messages a second and connection, default 0;\n"
    "                      start: sessions a second, --connections in all\n"
    "  --seed N            start: of the gaps between them, default 1\n"
    "  --ca FILE           start: over TLS to 127.0.0.1, whose certificate "
    "must\n"
    "                      be by this authority\n"
    "  --bytes N           echo: payload of one, 16 to 1000000, default 160\n"
    "  --deflate           echo: compressed JSON text, --bytes of it, 128 at\n"
    "                      least; the server must agree to compression\n"
    "  --one-by-one        echo: close each connection once it is set up\n"
    "  --first-message     echo: set up means that a text message came\n"
    "  --until WHAT        hold: it stays once its request is sent, its\n"
    "                      header came, or its answer did (default)\n"
    "  --again             hold: ask again when answered\n"
    "  --fastcgi           hold: speak FastCGI\n";

enum choice {
    OPT_TARGET = 256,
    OPT_PATH,
    OPT_HEADER,
    OPT_BODY,
    OPT_VARY,
    OPT_CONNECTIONS,
    OPT_PARALLEL,
    OPT_SECONDS,
    OPT_PATIENCE,
    OPT_STEPS,
    OPT_RATE,
    OPT_BYTES,
    OPT_SEED,
    OPT_CA,
    OPT_DEFLATE,
    OPT_ONE_BY_ONE,
    OPT_FIRST_MESSAGE,
    OPT_UNTIL,
    OPT_AGAIN,
    OPT_FASTCGI,
    OPT_HELP
};

static const struct option names[] = {
    {"target", required_argument, NULL, OPT_TARGET},
    {"path", required_argument, NULL, OPT_PATH},
    {"header", required_argument, NULL, OPT_HEADER},
    {"body", required_argument, NULL, OPT_BODY},
    {"vary", required_argument, NULL, OPT_VARY},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"parallel", required_argument, NULL, OPT_PARALLEL},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"patience", required_argument, NULL, OPT_PATIENCE},
    {"steps", no_argument, NULL, OPT_STEPS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"ca", required_argument, NULL, OPT_CA},
    {"seed", required_argument, NULL, OPT_SEED},
    {"bytes", required_argument, NULL, OPT_BYTES},
    {"deflate", no_argument, NULL, OPT_DEFLATE},
    {"one-by-one", no_argument, NULL, OPT_ONE_BY_ONE},
    {"first-message", no_argument, NULL, OPT_FIRST_MESSAGE},
    {"until", required_argument, NULL, OPT_UNTIL},
    {"again", no_argument, NULL, OPT_AGAIN},
    {"fastcgi", no_argument, NULL, OPT_FASTCGI},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0}};

static void
usage_fail(const char *option, const char *value)
{
    fprintf(stderr, "bench-client: %s: bad value '%s'\n%s", option, value,
            usage);
    exit(2);
}

static double
number_read(const char *option, const char *value, double least, double most)
{
    char *end;
    double number = strtod(value, &end);

    if (end == value || *end || !(number >= least && number <= most))
        usage_fail(option, value);
    return number;
}

/* More headers are rare: the string grows by a copy. */
static void
header_add(struct bench_options *options, const char *header)
{
    char *all;

    if (asprintf(&all, "%s%s\r\n", options->headers, header) < 0)
        exit(1);
    options->headers = all;
}

static void
until_set(struct bench_options *options, const char *value)
{
    if (strcmp(value, "request") != 0 && strcmp(value, "header") != 0
        && strcmp(value, "answer") != 0)
        usage_fail("until", value);
    options->until = value;
}

static void
flag_set(struct bench_options *options, int option)
{
    switch (option) {
    case OPT_STEPS:
        options->steps = true;
        break;
    case OPT_DEFLATE:
        options->deflate = true;
        break;
    case OPT_ONE_BY_ONE:
        options->one_by_one = true;
        break;
    case OPT_FIRST_MESSAGE:
        options->first = true;
        break;
    case OPT_AGAIN:
        options->again = true;
        break;
    case OPT_FASTCGI:
        options->fastcgi = true;
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
option_set(struct bench_options *options, int option, const char *value)
{
    switch (option) {
    case OPT_TARGET:
        if (bench_target_parse(&options->target, value))
            usage_fail("target", value);
        break;
    case OPT_PATH:
        options->path = value;
        break;
    case OPT_HEADER:
        header_add(options, value);
        break;
    case OPT_BODY:
        options->body = value;
        break;
    case OPT_VARY:
        options->vary = (unsigned) number_read("vary", value, 1, 1e6);
        break;
    case OPT_CONNECTIONS:
        options->connections =
            (unsigned) number_read("connections", value, 1, 60000);
        break;
    case OPT_PARALLEL:
        options->parallel = (unsigned) number_read("parallel", value, 1, 60000);
        break;
    case OPT_SECONDS:
        options->seconds = number_read("seconds", value, 0, 86400);
        break;
    case OPT_PATIENCE:
        options->patience = number_read("patience", value, 0, 3600);
        break;
    case OPT_RATE:
        options->rate = number_read("rate", value, 0, 1e6);
        break;
    case OPT_CA:
        options->ca = value;
        break;
    case OPT_SEED:
        options->seed = (unsigned) number_read("seed", value, 0, 1e9);
        break;
    case OPT_BYTES:
        options->bytes = (size_t) number_read("bytes", value, 16, 1e6);
        break;
    case OPT_UNTIL:
        until_set(options, value);
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
    struct bench_options options = {.path = "/",
                                    .headers = "",
                                    .connections = 1,
                                    .parallel = 64,
                                    .bytes = 160,
                                    .seed = 1,
                                    .seconds = 5,
                                    .patience = 20,
                                    .until = "answer"};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
        option_set(&options, option, optarg);
    const char *mode = optind + 1 == argc ? argv[optind] : "";
    if (options.target.address_bytes == 0)
        mode = "";
    signal(SIGPIPE, SIG_IGN);
    files_raise();
    if (strcmp(mode, "echo") == 0)
        return bench_echo_run(&options);
    if (strcmp(mode, "http") == 0)
        return bench_http_run(&options);
    if (strcmp(mode, "hold") == 0)
        return bench_hold_run(&options);
    if (strcmp(mode, "start") == 0)
        return bench_start_run(&options);
    fputs(usage, stderr);
    return 2;
}
