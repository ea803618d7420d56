/* SPDX-License-Identifier: BSD-2-Clause */

#include "bench_answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
bench_answer_init(struct bench_answer *answer)
{
    memset(answer, 0, sizeof(*answer));
}

static void
head_line(struct bench_answer *answer, const char *line)
{
    static const char length[] = "content-length:";
    static const char close[] = "connection: close";

    if (strncasecmp(line, length, sizeof(length) - 1) == 0) {
        answer->has_length = true;
        answer->left = strtoull(line + sizeof(length) - 1, NULL, 10);
    }
    if (strncasecmp(line, close, sizeof(close) - 1) == 0)
        answer->closes = true;
}

static bool
head_parse(struct bench_answer *answer)
{
    const char *line = answer->head;

    if (strncmp(line, "HTTP/1.1 ", 9) != 0)
        return false;
    answer->status = (unsigned) strtoul(line + 9, NULL, 10);
    while ((line = strstr(line, "\r\n")) != NULL) {
        line += 2;
        head_line(answer, line);
    }
    return answer->status >= 100;
}

static ptrdiff_t
head_push(struct bench_answer *answer, const char *data, size_t bytes)
{
    size_t had = answer->head_bytes;
    size_t room = BENCH_ANSWER_HEAD - 1 - had;
    size_t take = bytes < room ? bytes : room;

    memcpy(answer->head + had, data, take);
    answer->head[had + take] = '\0';
    answer->head_bytes += take;
    char *end = strstr(answer->head, "\r\n\r\n");
    if (!end)
        return take == room ? -1 : (ptrdiff_t) take;
    end[2] = '\0';
    if (!head_parse(answer))
        return -1;
    return end + 4 - answer->head - (ptrdiff_t) had;
}

ptrdiff_t
bench_answer_push(struct bench_answer *answer, const char *data, size_t bytes)
{
    ptrdiff_t head = 0;

    if (answer->status == 0) {
        head = head_push(answer, data, bytes);
        if (head < 0 || answer->status == 0)
            return head;
    }
    size_t rest = bytes - (size_t) head;
    if (answer->has_length && rest > answer->left)
        rest = (size_t) answer->left;
    if (answer->has_length)
        answer->left -= rest;
    return head + (ptrdiff_t) rest;
}

bool
bench_answer_is_whole(const struct bench_answer *answer)
{
    return answer->status != 0 && answer->has_length && answer->left == 0;
}
