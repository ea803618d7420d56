/* SPDX-License-Identifier: BSD-2-Clause */

#include "voicectl/control_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (256u * 1024 * 1024)

static int
complain(const char *path, const char *why)
{
    fprintf(stderr, "voicectl: control socket %s: %s\n", path, why);
    return -1;
}

static int
socket_open(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 10};
    size_t n = strlen(path);
    int fd;

    if (n >= sizeof(address.sun_path))
        return complain(path, "the path is too long");
    memcpy(address.sun_path, path, n + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return complain(path, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0) {
        complain(path, errno == ENOENT || errno == ECONNREFUSED
                           ? "no server is running"
                           : strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

/* The answer's line, malloc'ed, or NULL. */
static char *
line_read(int fd)
{
    char *text = NULL;
    size_t bytes = 0, room = 0;

    for (;;) {
        if (room - bytes < 4096) {
            room = room ? room * 2 : 65536;
            char *grown = room <= ANSWER_MAX ? realloc(text, room) : NULL;
            if (!grown)
                break;
            text = grown;
        }
        ssize_t n = read(fd, text + bytes, room - bytes - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        bytes += (size_t) n;
        if (text[bytes - 1] == '\n') {
            text[bytes] = '\0';
            return text;
        }
    }
    free(text);
    return NULL;
}

static int
line_send(int fd, const char *text)
{
    size_t left = strlen(text);
    while (left) {
        ssize_t n = send(fd, text, left, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            text += n;
            left -= (size_t) n;
        }
    }
    return 0;
}

int
control_ask(const char *path, json_t *request, json_t **answer)
{
    char *text = json_dumps(request, JSON_COMPACT), *line = NULL;
    int fd = socket_open(path), result = -1;

    json_decref(request);
    *answer = NULL;
    if (fd >= 0 && text && line_send(fd, text) == 0 && line_send(fd, "\n") == 0)
        line = line_read(fd);
    if (line)
        *answer = json_loads(line, 0, NULL);
    if (json_is_true(json_object_get(*answer, "ok"))) {
        result = 0;
    } else if (fd >= 0) {
        const char *error =
            json_string_value(json_object_get(*answer, "error"));
        complain(path, error ? error : "no answer");
        json_decref(*answer);
        *answer = NULL;
    }
    if (fd >= 0)
        close(fd);
    free(line);
    free(text);
    return result;
}

static void
value_print(const char *key, const json_t *value)
{
    char *text = json_is_string(value)
                     ? strdup(json_string_value(value))
                     : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    printf("%s=%s\n", key, text ? text : "");
    free(text);
}

int
control_print_status(const char *path, bool json)
{
    const char *key;
    json_t *answer, *value;

    if (control_ask(path, json_pack("{s:s}", "command", "status"), &answer))
        return 1;
    json_object_del(answer, "ok");
    if (json) {
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(answer);
        return 0;
    }
    json_object_foreach(answer, key, value)
    {
        if (strcmp(key, "metrics") != 0)
            value_print(key, value);
    }
    json_t *metrics = json_object_get(answer, "metrics");
    json_object_foreach(metrics, key, value)
    {
        value_print(key, value);
    }
    json_decref(answer);
    return 0;
}

/* key=value pairs, a session a line. */
static void
session_print(const json_t *session)
{
    const char *key;
    json_t *value;
    const char *before = "";

    json_object_foreach((json_t *) session, key, value)
    {
        char *text = json_is_string(value)
                         ? strdup(json_string_value(value))
                         : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        printf("%s%s=%s", before, key, text ? text : "");
        free(text);
        before = " ";
    }
    putchar('\n');
}

int
control_print_sessions(const char *path, bool json)
{
    json_t *answer, *session;
    size_t i;

    if (control_ask(path, json_pack("{s:s}", "command", "sessions"), &answer))
        return 1;
    json_t *list = json_object_get(answer, "sessions");
    if (json) {
        json_dumpf(list, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        json_array_foreach(list, i, session)
        {
            session_print(session);
        }
        if (!json_array_size(list))
            puts("no live session");
    }
    json_decref(answer);
    return 0;
}

int
control_set_log(const char *path, const char *level)
{
    json_t *answer;
    if (control_ask(path,
                    json_pack("{s:s,s:s}", "command", "log", "level", level),
                    &answer))
        return 1;
    json_decref(answer);
    printf("level=%s\n", level);
    return 0;
}
