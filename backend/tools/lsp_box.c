/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/lsp_box.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define TMP_BYTES "268435456" /* for a server's index */

struct writer {
    struct lsp_box *box;
    size_t count;
    bool failed;
};

static void
words_add(struct writer *w, const char *const *words)
{
    for (; *words != NULL; words++) {
        char *copy = w->count < LSP_BOX_WORDS ? strdup(*words) : NULL;

        if (copy == NULL) {
            w->failed = true;
            return;
        }
        w->box->words[w->count++] = copy;
    }
}

#define ADD(w, ...) words_add(w, (const char *const[]){__VA_ARGS__, NULL})

/* /bin, /lib, …: links into /usr, or directories of their own. */
static void
system_add(struct writer *w)
{
    static const char *const places[] = {"/bin", "/lib", "/lib64", "/lib32"};
    char target[PATH_MAX];

    ADD(w, "--ro-bind", "/usr", "/usr", "--ro-bind-try", "/etc/alternatives",
        "/etc/alternatives");
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        ssize_t bytes = readlink(places[i], target, sizeof(target) - 1);

        if (bytes > 0) {
            target[bytes] = '\0';
            ADD(w, "--symlink", target, places[i]);
        } else {
            ADD(w, "--ro-bind-try", places[i], places[i]);
        }
    }
}

/* Executable somewhere in PATH? */
static bool
program_exists(const char *name)
{
    const char *at = getenv("PATH");
    char path[PATH_MAX];

    while (at != NULL && *at != '\0') {
        size_t bytes = strcspn(at, ":");
        int length =
            snprintf(path, sizeof(path), "%.*s/%s", (int) bytes, at, name);

        if (bytes > 0 && length < (int) sizeof(path) && access(path, X_OK) == 0)
            return true;
        at += bytes + (at[bytes] == ':');
    }
    return false;
}

void
lsp_box_deinit(struct lsp_box *box)
{
    for (size_t i = 0; i < LSP_BOX_WORDS; i++)
        free(box->words[i]);
    memset(box, 0, sizeof(*box));
}

int
lsp_box_init(struct lsp_box *box, const char *root)
{
    struct writer w = {.box = box};

    memset(box, 0, sizeof(*box));
    if (!program_exists("bwrap"))
        return UV_ENOENT;
    ADD(&w, "bwrap", "--unshare-user", "--unshare-pid", "--unshare-net",
        "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session");
    system_add(&w);
    ADD(&w, "--proc", "/proc", "--dev", "/dev", "--size", TMP_BYTES, "--tmpfs",
        "/tmp");
    /* After /tmp, in which it may be. */
    ADD(&w, "--ro-bind", root, root, "--remount-ro", "/", "--chdir", root,
        "--setenv", "HOME", "/tmp", "--");
    if (!w.failed)
        return 0;
    lsp_box_deinit(box);
    return UV_ENOMEM;
}
