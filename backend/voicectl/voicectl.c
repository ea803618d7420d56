/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Program voicectl: looks into a running server over its control socket, edits
 * the gateway's keys, talks to a gateway.
 */

#include "base/config.h"
#include "base/log.h"
#include "config.h"
#include "service/credentials.h"
#include "voicectl/control_client.h"
#include "voicectl/talk.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define DEFAULT_CONFIG "/etc/ngx-voice/voiced.conf"
#define DEFAULT_URL    "wss://127.0.0.1:8443/v1/realtime"
#define DEFAULT_MODEL  "gpt-realtime"

static const char usage[] =
    "usage: voicectl [-c FILE] COMMAND\n"
    "  -c FILE, --config FILE    voiced.conf (control socket, keys file)\n"
    "  --control PATH            the control socket instead\n"
    "  --keys-file PATH          the keys file instead\n"
    "commands:\n"
    "  status [--json]           the server in figures\n"
    "  sessions [--json]         the live sessions\n"
    "  log LEVEL                 debug, info, notice, warn, error or alert\n"
    "  keys add NAME [--tenant T]   makes a key and shows it, once\n"
    "  keys list | keys revoke NAME\n"
    "  talk [--url U] [--model M] [--cacert F] [--key K]\n"
    "       [--wav QUESTION.wav | --text LINE] [--out ANSWER.wav]\n"
    "       [--real-time | --fast] [--timeout S] [--json]\n"
    "                            speaks, types, or types the lines of stdin\n"
    "  --version\n";

struct options {
    const char *config, *control, *keys_file, *tenant;
    struct talk_config talk;
    bool json;
    char **words; /* the command and its arguments */
    int word_count;
};

enum option_id {
    OPTION_CONTROL = 256,
    OPTION_KEYS_FILE,
    OPTION_TENANT,
    OPTION_URL,
    OPTION_MODEL,
    OPTION_CACERT,
    OPTION_KEY,
    OPTION_WAV,
    OPTION_TEXT,
    OPTION_OUT,
    OPTION_REAL_TIME,
    OPTION_FAST,
    OPTION_TIMEOUT,
    OPTION_JSON,
    OPTION_VERSION,
    OPTION_HELP
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"control", required_argument, NULL, OPTION_CONTROL},
    {"keys-file", required_argument, NULL, OPTION_KEYS_FILE},
    {"tenant", required_argument, NULL, OPTION_TENANT},
    {"url", required_argument, NULL, OPTION_URL},
    {"model", required_argument, NULL, OPTION_MODEL},
    {"cacert", required_argument, NULL, OPTION_CACERT},
    {"key", required_argument, NULL, OPTION_KEY},
    {"wav", required_argument, NULL, OPTION_WAV},
    {"text", required_argument, NULL, OPTION_TEXT},
    {"out", required_argument, NULL, OPTION_OUT},
    {"real-time", no_argument, NULL, OPTION_REAL_TIME},
    {"fast", no_argument, NULL, OPTION_FAST},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"json", no_argument, NULL, OPTION_JSON},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static void
talk_option(struct talk_config *talk, int option, const char *value)
{
    switch (option) {
    case OPTION_URL:
        talk->url = value;
        break;
    case OPTION_MODEL:
        talk->model = value;
        break;
    case OPTION_CACERT:
        talk->ca_file = value;
        break;
    case OPTION_KEY:
        talk->key = value;
        break;
    case OPTION_WAV:
        talk->wav = value;
        break;
    case OPTION_TEXT:
        talk->text = value;
        break;
    case OPTION_OUT:
        talk->out = value;
        break;
    case OPTION_FAST:
        talk->fast = true;
        break;
    case OPTION_REAL_TIME:
        talk->fast = false;
        break;
    default:
        talk->timeout_s = (unsigned) strtoul(value, NULL, 10);
    }
}

/* 0, or the exit status to end with + 1. */
static int
options_read(struct options *o, int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "c:h", long_options, NULL))
           != -1) {
        switch (option) {
        case 'c':
            o->config = optarg;
            break;
        case OPTION_CONTROL:
            o->control = optarg;
            break;
        case OPTION_KEYS_FILE:
            o->keys_file = optarg;
            break;
        case OPTION_TENANT:
            o->tenant = optarg;
            break;
        case OPTION_JSON:
            o->json = o->talk.json = true;
            break;
        case OPTION_VERSION:
            puts("voicectl " VOICE_VERSION);
            return 1;
        case 'h':
        case OPTION_HELP:
            fputs(usage, stdout);
            return 1;
        case '?':
            fputs(usage, stderr);
            return 3;
        default:
            talk_option(&o->talk, option, optarg);
        }
    }
    o->words = argv + optind;
    o->word_count = argc - optind;
    return 0;
}

static bool
word_is(const struct options *o, int i, const char *word)
{
    return i < o->word_count && strcmp(o->words[i], word) == 0;
}

/* --- keys */

static int
key_add(const char *path, const char *name, const char *tenant)
{
    char key[CREDENTIALS_KEY_BYTES];
    int result = credentials_add(path, name, tenant ? tenant : "", key);

    if (result == UV_EEXIST) {
        fprintf(stderr, "voicectl: there is a key named %s\n", name);
    } else if (result) {
        fprintf(stderr, "voicectl: %s: %s\n", path, uv_strerror(result));
    } else {
        printf("%s\n", key);
        fprintf(stderr, "This is the only time that the key is shown.\n");
        explicit_bzero(key, sizeof(key));
    }
    return result ? 1 : 0;
}

static int
key_revoke(const char *path, const char *name)
{
    int result = credentials_revoke(path, name);
    if (result == UV_ENOENT)
        fprintf(stderr, "voicectl: there is no key named %s\n", name);
    else if (result)
        fprintf(stderr, "voicectl: %s: %s\n", path, uv_strerror(result));
    else
        printf("revoked %s\n", name);
    return result ? 1 : 0;
}

static int
keys_run(const struct options *o, const char *path)
{
    if (word_is(o, 1, "add") && o->word_count == 3)
        return key_add(path, o->words[2], o->tenant);
    if (word_is(o, 1, "revoke") && o->word_count == 3)
        return key_revoke(path, o->words[2]);
    if (word_is(o, 1, "list") && o->word_count == 2) {
        int result = credentials_print(path, stdout);
        if (result)
            fprintf(stderr, "voicectl: %s: %s\n", path, uv_strerror(result));
        return result ? 1 : 0;
    }
    fputs(usage, stderr);
    return 2;
}

/* --- commands that want the configuration */

static int
command_run(const struct options *o, const char *control, const char *keys_file)
{
    if (word_is(o, 0, "keys"))
        return keys_run(o, keys_file);
    if (word_is(o, 0, "status") && o->word_count == 1)
        return control_print_status(control, o->json);
    if (word_is(o, 0, "sessions") && o->word_count == 1)
        return control_print_sessions(control, o->json);
    if (word_is(o, 0, "log") && o->word_count == 2)
        return control_set_log(control, o->words[1]);
    fputs(usage, stderr);
    return 2;
}

static int
configured_run(const struct options *o)
{
    struct server_config *config = NULL;
    char error[CONFIG_ERROR_BYTES];
    const char *path = o->config;

    if (o->control && o->keys_file)
        return command_run(o, o->control, o->keys_file);
    if (!path && access(DEFAULT_CONFIG, F_OK) == 0)
        path = DEFAULT_CONFIG;
    if (config_read_keyless(&config, path, error) != 0) {
        fprintf(stderr, "voicectl: %s\n", error);
        return 2;
    }
    int status =
        command_run(o, o->control ? o->control : config->control,
                    o->keys_file ? o->keys_file : config->auth.keys_file);
    config_free(&config);
    return status;
}

int
main(int argc, char **argv)
{
    struct options o = {
        .talk = {.url = DEFAULT_URL, .model = DEFAULT_MODEL, .timeout_s = 30}};
    const struct log_config log = {.level = LOG_LEVEL_WARN};

    int end = options_read(&o, argc, argv);
    if (end)
        return end - 1;
    signal(SIGPIPE, SIG_IGN);
    log_open(&log);
    if (!word_is(&o, 0, "talk"))
        return configured_run(&o);
    if (o.word_count != 1 || (o.talk.wav && o.talk.text) || !o.talk.timeout_s) {
        fputs(usage, stderr);
        return 2;
    }
    return (int) talk_run(&o.talk);
}
