/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Bytes in parts (struct iovec), as writev takes them: used up from the front.
 * The bytes are borrowed throughout.
 */

#ifndef VOICE_IOV_H
#define VOICE_IOV_H

#include <stddef.h>
#include <sys/uio.h>

/* Past the first `bytes` bytes; parts that are used up are left empty. */
void iov_advance(struct iovec *parts, unsigned count, size_t bytes);

/*
 * The next `bytes` bytes of the parts, which move past them, as parts of `to`
 * (room for `count`). The number of parts in use, none of them empty.
 */
unsigned iov_slice(struct iovec *to, struct iovec *parts, unsigned count,
                   size_t bytes);

#endif
