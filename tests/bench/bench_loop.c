/* SPDX-License-Identifier: BSD-2-Clause */

#include "bench_loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t
bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * BENCH_NS_PER_S + (uint64_t) now.tv_nsec;
}

uint64_t
bench_wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_sec * BENCH_NS_PER_S + (uint64_t) now.tv_nsec;
}

int
bench_stamp_enable(int fd)
{
    int on = 1;

    return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0
               ? -errno
               : 0;
}

ssize_t
bench_stamp_recv(int fd, void *to, size_t room, uint64_t *arrived_ns)
{
    char control[128];
    struct iovec part = {.iov_base = to, .iov_len = room};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(fd, &message, 0);
    struct timespec stamp;

    *arrived_ns = 0;
    if (got < 0)
        return got;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each;
         each = CMSG_NXTHDR(&message, each)) {
        if (each->cmsg_level != SOL_SOCKET
            || each->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&stamp, CMSG_DATA(each), sizeof(stamp));
        *arrived_ns =
            (uint64_t) stamp.tv_sec * BENCH_NS_PER_S + (uint64_t) stamp.tv_nsec;
    }
    if (*arrived_ns == 0)
        *arrived_ns = bench_wall_ns();
    return got;
}

int
bench_loop_init(struct bench_loop *loop, bool steps)
{
    memset(loop, 0, sizeof(*loop));
    loop->steps = steps;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        return -errno;
    if (!steps)
        return 0;
    /* NULL marks the driver's lines. */
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
        return -errno;
    return 0;
}

int
bench_loop_watch(struct bench_loop *loop, int fd, uint32_t mask, void *tag)
{
    struct epoll_event event = {.events = mask, .data.ptr = tag};

    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int
bench_loop_change(struct bench_loop *loop, int fd, uint32_t mask, void *tag)
{
    struct epoll_event event = {.events = mask, .data.ptr = tag};

    return epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &event) < 0 ? -errno : 0;
}

static void
driver_read(struct bench_loop *loop)
{
    char text[256];
    ssize_t got = read(STDIN_FILENO, text, sizeof(text));

    if (got <= 0) {
        loop->ended = true;
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
        return;
    }
    for (ssize_t i = 0; i < got; i++)
        loop->passed += text[i] == '\n';
}

int
bench_loop_wait(struct bench_loop *loop, struct epoll_event *events, int most,
                uint64_t deadline_ns)
{
    uint64_t now = bench_now_ns();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    struct timespec wait = {.tv_sec = (time_t) (left / BENCH_NS_PER_S),
                            .tv_nsec = (long) (left % BENCH_NS_PER_S)};
    int count = epoll_pwait2(loop->epoll, events, most, &wait, NULL);

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            continue;
        driver_read(loop);
        events[i--] = events[--count];
    }
    return count > 0 ? count : 0;
}

bool
bench_loop_pass(struct bench_loop *loop)
{
    if (!loop->steps || loop->ended)
        return true;
    if (loop->passed == 0)
        return false;
    loop->passed--;
    return true;
}

static int
target_parse_unix(struct bench_target *target, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t bytes = strlen(path);

    if (bytes == 0 || bytes >= sizeof(address.sun_path))
        return -EINVAL;
    memcpy(address.sun_path, path, bytes + 1);
    memcpy(&target->address, &address, sizeof(address));
    target->address_bytes = sizeof(address);
    return 0;
}

int
bench_target_parse(struct bench_target *target, const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *colon = strrchr(text, ':');
    char host[INET_ADDRSTRLEN];

    memset(target, 0, sizeof(*target));
    if (strncmp(text, "unix:", 5) == 0)
        return target_parse_unix(target, text + 5);
    if (!colon || (size_t) (colon - text) >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, (size_t) (colon - text));
    host[colon - text] = '\0';

    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end || port == 0 || port > 65535
        || inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return -EINVAL;
    address.sin_port = htons((uint16_t) port);
    memcpy(&target->address, &address, sizeof(address));
    target->address_bytes = sizeof(address);
    return 0;
}

int
bench_target_connect(const struct bench_target *target)
{
    int family = target->address.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        return -errno;
    if (family == AF_INET)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (const struct sockaddr *) &target->address,
                target->address_bytes)
            == 0
        || errno == EINPROGRESS)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}
