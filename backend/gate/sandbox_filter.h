/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The system calls that a sandboxed command may not make (seccomp): those that
 * reach what namespaces don't hold (other sockets than local and Internet
 * ones, keyrings, io_uring, BPF, clocks, modules), that make new namespaces or
 * look into other processes, and that take memory nobody is seen to have. A
 * program of another architecture is ended. Pure; owns nothing.
 */

#ifndef VOICE_SANDBOX_FILTER_H
#define VOICE_SANDBOX_FILTER_H

/* *fd: a sealed file (close-on-exec) that holds the program as seccomp(2)
 * takes it; the caller's. 0, UV_ENOSYS: not for this machine, UV_E*. */
int sandbox_filter_make(int *fd);

#endif
