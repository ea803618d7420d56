/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Shell commands of somebody who isn't trusted, each in a sandbox of its own
 * (bubblewrap): no network, nothing of the file system but the system's
 * programs, read-only, and one directory, read-write, at its own path; its own
 * processes, users, IPC, host name and /tmp; few processes, little memory, and
 * small files. All of it is gone with its shell: whatever it left running or
 * made a daemon dies with the process namespace. Never as root: a server that
 * is gives commands the identity of who owns the directory. A sandbox is
 * shared by all commands and doesn't change; a command runs on the loop that
 * it is started on. Owns its processes.
 */

#ifndef VOICE_SANDBOX_H
#define VOICE_SANDBOX_H

#include "base/loop.h"
#include "gate/child.h"

#include <stddef.h>
#include <stdint.h>

#define SANDBOX_ERROR_BYTES   512
#define SANDBOX_COMMAND_MAX   65536      /* bytes */
#define SANDBOX_TMP_BYTES     (64 << 20) /* /tmp and /dev/shm, each */
#define SANDBOX_LOOK_MS       100        /* between looks at the memory */
#define SANDBOX_DESCRIPTORS   256        /* of one process */
#define SANDBOX_TRY_MS        10000      /* for the command of sandbox_create */
#define SANDBOX_MEMORY_MIN    (64ull << 20)
#define SANDBOX_PROCESSES_MIN 8

struct sandbox;
struct sandbox_command;

struct sandbox_config {
    const char *root;      /* absolute, without links; copied */
    uint64_t memory_bytes; /* of all its processes; of one besides */
    uint64_t file_bytes;   /* the largest file that is written */
    uint64_t cpu_s;        /* processor time of one process */
    unsigned processes;    /* threads included */
};

struct sandbox_order {
    struct loop *loop;   /* it runs on */
    const char *command; /* for bash */
};

/* What ended it. */
enum sandbox_over {
    SANDBOX_ENDED,  /* the command itself, or a signal of its own doing */
    SANDBOX_MEMORY, /* it had more than it may */
    SANDBOX_BROKEN  /* the sandbox couldn't be made: `errors` say why */
};

struct sandbox_handlers {
    /* As child_handlers. */
    void (*on_output)(void *arg, enum child_stream stream, const char *data,
                      size_t bytes);
    /* Once, the last call; sandbox_close may follow from within. end->status
     * is the shell's: 128 and more for a signal. */
    void (*on_exit)(void *arg, const struct child_exit *end,
                    enum sandbox_over over);
};

/*
 * Before it is needed: runs one command to see that it can (blocks for it). 0;
 * or UV_E* and `error` says to an operator what is wrong.
 */
int sandbox_create(struct sandbox **sp, const struct sandbox_config *cfg,
                   char error[SANDBOX_ERROR_BYTES]);
/* No command is left. */
void sandbox_destroy(struct sandbox **sp);

/* On the loop. 0, UV_E2BIG: the command is too long, or as child_open. */
int sandbox_start(struct sandbox_command **cp, const struct sandbox *s,
                  const struct sandbox_order *order,
                  const struct sandbox_handlers *handlers, void *arg);

/* At any time: everything of it is killed. Harmless with NULL. */
void sandbox_close(struct sandbox_command **cp);

#endif
