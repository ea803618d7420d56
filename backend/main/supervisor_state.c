/* SPDX-License-Identifier: BSD-2-Clause */

#include "main/supervisor.h"

#include "main/supervisor_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_NAME  "VOICED_STATE"
#define STATE_BYTES 16384

static void
descriptors_inherit(struct supervisor *s, bool inherit)
{
    listeners_inherit(&s->listeners, inherit);
    for (int i = 0; i < SUPERVISOR_CHILDREN; i++) {
        int fd = s->children[i].ready_fd;
        if (s->children[i].state != CHILD_NONE && fd >= 0)
            fcntl(fd, F_SETFD, inherit ? 0 : FD_CLOEXEC);
    }
}

static size_t
listeners_save(const struct listeners *l, char *out, size_t bytes)
{
    size_t n = 0;
    for (unsigned i = 0; i < l->count && n < bytes; i++) {
        const struct listener *one = &l->item[i];
        n += (size_t) snprintf(out + n, bytes - n, "L %d %d %llu %s\n", one->fd,
                               (int) one->foreign,
                               (unsigned long long) one->inode, one->spec);
    }
    return n;
}

int
supervisor_state_save(struct supervisor *s)
{
    char text[STATE_BYTES];
    size_t n = (size_t) snprintf(text, sizeof(text), "P %d %u %d %d %u\n",
                                 (int) getpid(), s->generation, s->current,
                                 s->next, s->failures);

    if (s->pid_file[0])
        n += (size_t) snprintf(text + n, sizeof(text) - n, "F %s\n",
                               s->pid_file);
    n += listeners_save(&s->listeners, text + n, sizeof(text) - n);
    for (int i = 0; i < SUPERVISOR_CHILDREN && n < sizeof(text); i++) {
        const struct child *c = &s->children[i];
        if (c->state != CHILD_NONE)
            n += (size_t) snprintf(text + n, sizeof(text) - n,
                                   "C %d %d %d %u %d %lld\n", i, (int) c->state,
                                   (int) c->pid, c->generation, c->ready_fd,
                                   (long long) c->started_ms);
    }
    if (n >= sizeof(text) || setenv(STATE_NAME, text, 1) != 0)
        return -1;
    descriptors_inherit(s, true);
    return 0;
}

void
supervisor_state_forget(struct supervisor *s)
{
    unsetenv(STATE_NAME);
    descriptors_inherit(s, false);
}

static void
listener_restore(struct listeners *l, const char *line)
{
    unsigned long long inode = 0;
    int foreign = 0, at = 0;
    struct listener *one = &l->item[l->count];

    if (l->count == LISTEN_MAX)
        return;
    memset(one, 0, sizeof(*one));
    if (sscanf(line, "L %d %d %llu %n", &one->fd, &foreign, &inode, &at) < 3
        || at <= 0)
        return;
    one->foreign = foreign;
    one->inode = (ino_t) inode;
    snprintf(one->spec, sizeof(one->spec), "%s", line + at);
    l->count++;
}

static void
child_restore(struct supervisor *s, const char *line)
{
    struct child c = {.ready_fd = -1};
    long long started = 0;
    int index = -1, state = 0, pid = 0;

    if (sscanf(line, "C %d %d %d %u %d %lld", &index, &state, &pid,
               &c.generation, &c.ready_fd, &started)
            != 6
        || index < 0 || index >= SUPERVISOR_CHILDREN || state <= CHILD_NONE
        || state > CHILD_STOPPING || pid <= 1)
        return;
    c.state = (enum child_state) state;
    c.pid = pid;
    c.started_ms = started;
    s->children[index] = c;
}

static void
line_restore(struct supervisor *s, const char *line)
{
    if (line[0] == 'F')
        snprintf(s->pid_file, sizeof(s->pid_file), "%s", line + 2);
    else if (line[0] == 'L')
        listener_restore(&s->listeners, line);
    else if (line[0] == 'C')
        child_restore(s, line);
}

static int
index_valid(const struct supervisor *s, int index)
{
    return index >= 0 && index < SUPERVISOR_CHILDREN
                   && s->children[index].state != CHILD_NONE
               ? index
               : -1;
}

int
supervisor_state_restore(struct supervisor *s)
{
    const char *given = getenv(STATE_NAME);
    int pid = 0, current = -1, next = -1;
    char *text = given ? strdup(given) : NULL;

    unsetenv(STATE_NAME); /* the servers must not see it */
    if (!text)
        return 0;
    /* Of another process: it leaked through an environment. */
    if (sscanf(text, "P %d %u %d %d %u", &pid, &s->generation, &current, &next,
               &s->failures)
            != 5
        || pid != (int) getpid()) {
        s->generation = s->failures = 0;
        free(text);
        return 0;
    }
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        line_restore(s, line);
    free(text);
    s->current = index_valid(s, current);
    s->next = index_valid(s, next);
    descriptors_inherit(s, false);
    return 1;
}
