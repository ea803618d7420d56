/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/iov.h"

static size_t
part_take(struct iovec *part, size_t bytes)
{
    size_t taken = bytes < part->iov_len ? bytes : part->iov_len;

    part->iov_base = (char *) part->iov_base + taken;
    part->iov_len -= taken;
    return taken;
}

void
iov_advance(struct iovec *parts, unsigned count, size_t bytes)
{
    for (unsigned i = 0; i < count && bytes > 0; i++)
        bytes -= part_take(&parts[i], bytes);
}

unsigned
iov_slice(struct iovec *to, struct iovec *parts, unsigned count, size_t bytes)
{
    unsigned used = 0;

    for (unsigned i = 0; i < count && bytes > 0; i++) {
        char *from = parts[i].iov_base;
        size_t taken = part_take(&parts[i], bytes);

        if (taken > 0)
            to[used++] = (struct iovec){from, taken};
        bytes -= taken;
    }
    return used;
}
