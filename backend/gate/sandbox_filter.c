/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/sandbox_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#else
#define MACHINE 0
#endif

#define X32_BIT     0x40000000u
#define PROGRAM_MAX 160
#define NEW_SPACES                                                             \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC  \
     | CLONE_NEWUTS | CLONE_NEWCGROUP)

/* Numbers that libc's headers may be too old for are those of all machines. */
#define CALL_IO_URING_SETUP    425
#define CALL_IO_URING_ENTER    426
#define CALL_IO_URING_REGISTER 427
#define CALL_OPEN_TREE         428
#define CALL_MOVE_MOUNT        429
#define CALL_FSOPEN            430
#define CALL_FSMOUNT           432
#define CALL_CLONE3            435
#define CALL_PIDFD_GETFD       438
#define CALL_MOUNT_SETATTR     442
#define CALL_QUOTACTL_FD       443
#define CALL_MEMFD_SECRET      447

/* "Not permitted": what a program is told that has no right to it. */
static const uint32_t denied[] = {
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    CALL_PIDFD_GETFD,
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    CALL_OPEN_TREE,
    CALL_MOVE_MOUNT,
    CALL_FSOPEN,
    CALL_FSMOUNT,
    CALL_MOUNT_SETATTR,
    SYS_swapon,
    SYS_swapoff,
    SYS_reboot,
    SYS_kexec_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_acct,
    SYS_quotactl,
    CALL_QUOTACTL_FD,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
    SYS_syslog,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_fanotify_init,
    SYS_shmget,
};

/* "No such call": programs do without. */
static const uint32_t missing[] = {
    CALL_CLONE3, /* its flags are out of sight */
    SYS_memfd_create,    CALL_MEMFD_SECRET,      CALL_IO_URING_SETUP,
    CALL_IO_URING_ENTER, CALL_IO_URING_REGISTER,
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

struct program {
    struct sock_filter steps[PROGRAM_MAX];
    size_t count;
};

static void
program_add(struct program *p, uint16_t code, uint32_t k, uint8_t yes,
            uint8_t no)
{
    if (p->count < PROGRAM_MAX)
        p->steps[p->count] = (struct sock_filter){code, yes, no, k};
    p->count++;
}

static void
program_load(struct program *p, size_t offset)
{
    program_add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t) offset, 0, 0);
}

static void
program_return(struct program *p, uint32_t what)
{
    program_add(p, BPF_RET | BPF_K, what, 0, 0);
}

static void
program_deny(struct program *p, const uint32_t *calls, size_t count, int error)
{
    for (size_t i = 0; i < count; i++) {
        program_add(p, BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
        program_return(p, SECCOMP_RET_ERRNO | (uint32_t) error);
    }
}

/* The low half of an argument: both machines have it first. */
static size_t
argument_at(int i)
{
    return offsetof(struct seccomp_data, args) + (size_t) i * 8;
}

/* Behind the number of the call, which is then loaded again. */
static void
program_number(struct program *p)
{
    program_load(p, offsetof(struct seccomp_data, nr));
}

static void
program_clone(struct program *p)
{
    program_add(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4);
    program_load(p, argument_at(0));
    program_add(p, BPF_JMP | BPF_JSET | BPF_K, NEW_SPACES, 0, 1);
    program_return(p, SECCOMP_RET_ERRNO | EPERM);
    program_return(p, SECCOMP_RET_ALLOW);
}

/* Machines have more than the network that a namespace holds: AF_VSOCK
 * reaches the host of a virtual one, AF_ALG drivers. */
static void
program_socket(struct program *p)
{
    program_add(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 6);
    program_load(p, argument_at(0));
    program_add(p, BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 3, 0);
    program_add(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0);
    program_add(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0);
    program_return(p, SECCOMP_RET_ERRNO | EAFNOSUPPORT);
    program_return(p, SECCOMP_RET_ALLOW);
}

/* Typing for whoever has the terminal. */
static void
program_ioctl(struct program *p)
{
    program_add(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 5);
    program_load(p, argument_at(1));
    program_add(p, BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 1, 0);
    program_add(p, BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 0, 1);
    program_return(p, SECCOMP_RET_ERRNO | EPERM);
    program_return(p, SECCOMP_RET_ALLOW);
}

static void
program_make(struct program *p)
{
    p->count = 0;
    program_load(p, offsetof(struct seccomp_data, arch));
    program_add(p, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
    program_return(p, SECCOMP_RET_KILL_PROCESS);
    program_number(p);
#if defined(__x86_64__)
    program_add(p, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    program_return(p, SECCOMP_RET_KILL_PROCESS);
#endif
    program_deny(p, denied, COUNT(denied), EPERM);
    program_deny(p, missing, COUNT(missing), ENOSYS);
    program_clone(p);
    program_socket(p);
    program_ioctl(p);
    program_return(p, SECCOMP_RET_ALLOW);
}

int
sandbox_filter_make(int *fd)
{
    struct program p;

    if (MACHINE == 0)
        return UV_ENOSYS;
    program_make(&p);
    if (p.count > PROGRAM_MAX)
        return UV_ENOBUFS;
    size_t bytes = p.count * sizeof(p.steps[0]);
    int file = memfd_create("sandbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0)
        return uv_translate_sys_error(errno);
    if (write(file, p.steps, bytes) != (ssize_t) bytes
        || fcntl(file, F_ADD_SEALS,
                 F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
               != 0) {
        int err = uv_translate_sys_error(errno);
        close(file);
        return err;
    }
    *fd = file;
    return 0;
}
