/* SPDX-License-Identifier: BSD-2-Clause */

#include "main/supervisor_listen.h"

#include "main/supervisor_log.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void
inherit_set(int fd, bool inherit)
{
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0)
        fcntl(fd, F_SETFD, inherit ? flags & ~FD_CLOEXEC : flags | FD_CLOEXEC);
}

/* A path left behind by a process that died is removed; one that somebody
 * answers on is not ours to take. */
static int
stale_remove(const struct sockaddr_un *address)
{
    struct stat st;
    const char *path = address->sun_path;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : -1;
    if (!S_ISSOCK(st.st_mode)) {
        supervisor_log("error", "listen=%s error=\"is not a socket\"", path);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int result =
        connect(fd, (const struct sockaddr *) address, sizeof(*address));
    int error = result == 0 ? EADDRINUSE : errno;
    close(fd);
    if (error == ECONNREFUSED)
        return unlink(path);
    errno = error == EAGAIN ? EADDRINUSE : error;
    return -1;
}

static int
unix_bind(struct listener *l, mode_t mode, int backlog, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    size_t n = strlen(path);

    if (n >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, n + 1);
    if (stale_remove(&address) != 0)
        return -1;
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return -1;
    mode_t before = umask(0777 & ~mode);
    int result =
        bind(l->fd, (const struct sockaddr *) &address, sizeof(address));
    umask(before);
    if (result == 0 && chmod(path, mode) == 0 && stat(path, &st) == 0) {
        l->inode = st.st_ino;
        result = listen(l->fd, backlog);
    } else {
        result = -1;
    }
    return result;
}

static struct addrinfo *
tcp_resolve(char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char *colon = strrchr(address, ':');

    if (!colon)
        return NULL;
    *colon = '\0';
    if (*address == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        address++;
    }
    int error = getaddrinfo(address, colon + 1, &hints, &list);
    if (error)
        supervisor_log("error", "listen=%s error=\"%s\"", address,
                       gai_strerror(error));
    return error ? NULL : list;
}

static int
tcp_bind(struct listener *l, int backlog, const char *spec)
{
    char address[LISTEN_SPEC_BYTES];
    int one = 1, result = -1;

    snprintf(address, sizeof(address), "%s", spec);
    struct addrinfo *list = tcp_resolve(address);
    if (!list)
        return -1;
    l->fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->fd >= 0) {
        setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        result = bind(l->fd, list->ai_addr, list->ai_addrlen);
        if (result == 0)
            result = listen(l->fd, backlog);
    }
    int error = errno;
    freeaddrinfo(list);
    errno = error;
    return result;
}

static int
listener_open(struct listener *l, const char *spec)
{
    unsigned mode = 0;
    int backlog = 0, at = 0, result = -1;

    memset(l, 0, sizeof(*l));
    l->fd = -1;
    snprintf(l->spec, sizeof(l->spec), "%s", spec);
    errno = EINVAL;
    if (sscanf(spec, "unix %o %d %n", &mode, &backlog, &at) == 2 && at > 0)
        result = unix_bind(l, mode, backlog, spec + at);
    else if (sscanf(spec, "tcp %d %n", &backlog, &at) == 1 && at > 0)
        result = tcp_bind(l, backlog, spec + at);
    if (result == 0)
        return 0;
    supervisor_log("error", "listen=\"%s\" error=\"%s\"", spec,
                   strerror(errno));
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    return -1;
}

/* The part of a spec that two listeners can't share. */
static const char *
spec_address(const char *spec)
{
    int at = 0;
    if (sscanf(spec, "unix %*o %*d %n", &at) != EOF && at > 0)
        return spec + at;
    if (sscanf(spec, "tcp %*d %n", &at) != EOF && at > 0)
        return spec + at;
    return spec;
}

static void
listener_close(struct listener *l)
{
    struct stat st;
    const char *path = spec_address(l->spec);

    if (!l->foreign && l->inode && lstat(path, &st) == 0
        && st.st_ino == l->inode)
        unlink(path);
    close(l->fd);
}

void
listeners_close(struct listeners *l)
{
    for (unsigned i = 0; i < l->count; i++)
        listener_close(&l->item[i]);
    l->count = 0;
}

unsigned
listeners_take_systemd(struct listeners *l)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    long count = pid && fds && strtol(pid, NULL, 10) == (long) getpid()
                     ? strtol(fds, NULL, 10)
                     : 0;

    for (long i = 0; i < count && l->count < LISTEN_MAX; i++) {
        struct listener *one = &l->item[l->count++];
        memset(one, 0, sizeof(*one));
        one->fd = 3 + (int) i; /* SD_LISTEN_FDS_START */
        one->foreign = true;
        snprintf(one->spec, sizeof(one->spec), "systemd %d", one->fd);
        inherit_set(one->fd, false);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return l->count;
}

static struct listener *
listener_find(struct listeners *l, const char *spec)
{
    for (unsigned i = 0; i < l->count; i++) {
        if (strcmp(spec_address(l->item[i].spec), spec_address(spec)) == 0)
            return &l->item[i];
    }
    return NULL;
}

/* The same address with another mode or backlog: no need to bind again. */
static void
listener_adjust(struct listener *l, const char *spec)
{
    unsigned mode = 0;
    int backlog = 0;

    if (strcmp(l->spec, spec) == 0)
        return;
    snprintf(l->spec, sizeof(l->spec), "%s", spec);
    if (sscanf(spec, "unix %o %d", &mode, &backlog) == 2) {
        if (chmod(spec_address(spec), mode) != 0)
            supervisor_log("warn", "listen=\"%s\" error=\"mode not set\"",
                           spec);
    } else {
        sscanf(spec, "tcp %d", &backlog);
    }
    if (backlog > 0)
        listen(l->fd, backlog);
}

void
listeners_close_others(struct listeners *l, const struct listeners *kept)
{
    for (unsigned i = 0; i < l->count; i++) {
        bool keep = false;
        for (unsigned k = 0; k < kept->count; k++)
            keep |= kept->item[k].fd == l->item[i].fd;
        if (!keep)
            listener_close(&l->item[i]);
    }
    l->count = 0;
}

static int
update_add(struct listeners *l, struct listeners *next, const char *spec)
{
    if (next->count == LISTEN_MAX)
        return -1;
    struct listener *same = listener_find(l, spec);
    if (same) {
        next->item[next->count] = *same;
        listener_adjust(&next->item[next->count], spec);
    } else if (listener_open(&next->item[next->count], spec) != 0) {
        return -1;
    }
    next->count++;
    return 0;
}

int
listeners_update(struct listeners *l, const char *text)
{
    struct listeners next = {.count = 0};
    char spec[LISTEN_SPEC_BYTES];

    if (l->count && l->item[0].foreign)
        return 0; /* systemd says where we listen */
    while (*text) {
        size_t n = strcspn(text, "\n");
        bool wanted =
            strncmp(text, "unix ", 5) == 0 || strncmp(text, "tcp ", 4) == 0;
        if (wanted && n < sizeof(spec)) {
            memcpy(spec, text, n);
            spec[n] = '\0';
            if (update_add(l, &next, spec) != 0) {
                listeners_close_others(&next, l);
                return -1;
            }
        }
        text += n + (text[n] == '\n');
    }
    *l = next;
    return 0;
}

void
listeners_fds(const struct listeners *l, char *out, size_t bytes)
{
    size_t n = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < l->count && n < bytes; i++)
        n += (size_t) snprintf(out + n, bytes - n, "%s%d", i ? "," : "",
                               l->item[i].fd);
}

void
listeners_inherit(const struct listeners *l, bool inherit)
{
    for (unsigned i = 0; i < l->count; i++)
        inherit_set(l->item[i].fd, inherit);
}
