/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/sandbox_use.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES 8192 /* one thread's children: 1,000 and more */
#define PATH_BYTES 128

/* Breadth first: what is found is looked at later. */
struct tree {
    pid_t pids[SANDBOX_USE_PROCESSES];
    unsigned count;
};

/* A text of the kernel's; "" when there is none any more. */
static const char *
proc_read(const char *path, char text[TEXT_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, TEXT_BYTES - 1);

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void
tree_add(struct tree *tree, const char *numbers)
{
    char *end;

    for (;; numbers = end) {
        long pid = strtol(numbers, &end, 10);
        if (end == numbers || tree->count == SANDBOX_USE_PROCESSES)
            return;
        tree->pids[tree->count++] = (pid_t) pid;
    }
}

/* Each thread has children of its own. */
static void
tree_grow(struct tree *tree, pid_t pid)
{
    char path[PATH_BYTES], text[TEXT_BYTES];
    struct dirent *entry;

    snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", (int) pid,
                 entry->d_name);
        tree_add(tree, proc_read(path, text));
    }
    closedir(dir);
}

static uint64_t
memory_quick(pid_t pid)
{
    char path[PATH_BYTES], text[TEXT_BYTES];
    unsigned long long pages = 0;

    snprintf(path, sizeof(path), "/proc/%d/statm", (int) pid);
    if (sscanf(proc_read(path, text), "%*u %llu", &pages) != 1)
        return 0;
    return pages * (uint64_t) sysconf(_SC_PAGESIZE);
}

/* What no one may look at counts whole. */
static uint64_t
memory_exact(pid_t pid)
{
    char path[PATH_BYTES], text[TEXT_BYTES];
    unsigned long long kib = 0;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int) pid);
    const char *at = strstr(proc_read(path, text), "\nPss:");
    if (at == NULL || sscanf(at, "\nPss: %llu", &kib) != 1)
        return memory_quick(pid);
    return kib * 1024;
}

static void
tree_look(pid_t pid, struct sandbox_use *use, uint64_t (*memory)(pid_t pid))
{
    struct tree tree = {.count = 0};

    *use = (struct sandbox_use){0};
    tree_grow(&tree, pid);
    for (unsigned i = 0; i < tree.count; i++) {
        use->memory_bytes += memory(tree.pids[i]);
        tree_grow(&tree, tree.pids[i]);
    }
    use->processes = tree.count;
}

void
sandbox_use_look(pid_t pid, struct sandbox_use *use)
{
    tree_look(pid, use, memory_quick);
}

void
sandbox_use_look_closely(pid_t pid, struct sandbox_use *use)
{
    tree_look(pid, use, memory_exact);
}
