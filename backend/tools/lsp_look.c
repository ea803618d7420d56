/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/lsp_look.h"

#include "base/clock.h"
#include "codec/tool_limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define NS_A_MS 1000000

void
lsp_look_deinit(struct lsp_look *look)
{
    free(look->asked);
    free(look->path);
    free(look->text);
    memset(look, 0, sizeof(*look));
}

/* FNV-1a: tells texts apart whose files have just changed. */
static uint64_t
text_hash(const char *text, size_t bytes)
{
    uint64_t hash = 0xcbf29ce484222325u ^ bytes;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t) text[i]) * 0x100000001b3u;
    return hash;
}

/* What the kernel found beneath the root, without links. */
static int
path_read(struct lsp_look *look, const struct tool_root *root, int fd)
{
    char link[64], path[TOOL_ROOT_PATH_MAX];
    const char *top = tool_root_path(root);
    ssize_t bytes;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    bytes = readlink(link, path, sizeof(path) - 1);
    if (bytes <= 0)
        return bytes < 0 ? uv_translate_sys_error(errno) : UV_ENOENT;
    path[bytes] = '\0';
    /* Moved away between the two: it is no file of the root any more. */
    if (strcmp(top, "/") != 0
        && (strncmp(path, top, strlen(top)) != 0 || path[strlen(top)] != '/'))
        return UV_ENOENT;
    free(look->path);
    look->path = strdup(path);
    return look->path != NULL ? 0 : UV_ENOMEM;
}

static int
text_read(struct lsp_look *look, int fd, size_t max_bytes)
{
    size_t room = (size_t) look->st.size_bytes + 1;
    size_t bytes = 0;
    char *text;

    if (look->st.size_bytes > max_bytes)
        return UV_EFBIG;
    text = malloc(room);
    if (text == NULL)
        return UV_ENOMEM;
    while (bytes < room) {
        ssize_t got = read(fd, text + bytes, room - bytes);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(text);
            return uv_translate_sys_error(errno);
        }
        if (got == 0)
            break;
        bytes += (size_t) got;
    }
    /* What has grown meanwhile is seen by the next look. */
    if (bytes == room)
        bytes--;
    tool_limits_clean(text, bytes);
    text[bytes] = '\0';
    look->text = text;
    look->text_bytes = bytes;
    return 0;
}

static int
file_look(struct lsp_look *look, const struct tool_root *root, int fd,
          const struct tool_root_stat *before, size_t max_bytes)
{
    uint64_t hash;
    int error = path_read(look, root, fd);

    if (error == 0 && look->known && tool_root_stat_equal(before, &look->st))
        return 0;
    if (error == 0)
        error = text_read(look, fd, max_bytes);
    if (error != 0)
        return error;
    hash = text_hash(look->text, look->text_bytes);
    if (look->known && hash == look->hash) {
        free(look->text);
        look->text = NULL;
    }
    look->hash = hash;
    /* A change within the clock's grain would not be seen: look again. */
    if (!tool_root_stat_is_settled(&look->st, clock_wall_ms() * NS_A_MS))
        memset(&look->st, 0, sizeof(look->st));
    return 0;
}

void
lsp_look_at(struct lsp_look *look, const struct tool_root *root,
            size_t max_bytes)
{
    struct tool_root_stat before = look->st;
    int fd =
        tool_root_open_file(root, look->asked, look->asked_bytes, &look->st);

    if (fd < 0) {
        look->error = fd;
        return;
    }
    look->error = file_look(look, root, fd, &before, max_bytes);
    close(fd);
}
