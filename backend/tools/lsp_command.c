/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/lsp_command.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

static const char extension_bytes[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-";

/* How far the extensions reach, to their colon; 0: they are malformed. */
static size_t
extensions_length(const char *text)
{
    const char *at = text;

    for (;;) {
        size_t name = strspn(at, extension_bytes);

        if (name == 0)
            return 0;
        at += name;
        if (*at == ':')
            return (size_t) (at - text);
        if (*at++ != ',')
            return 0;
    }
}

static size_t
words_count(const char *text)
{
    size_t count = 0;

    while (*(text += strspn(text, " \t")) != '\0') {
        text += strcspn(text, " \t");
        count++;
    }
    return count;
}

const char *
lsp_command_fault(const char *text)
{
    size_t length = extensions_length(text);

    if (length == 0)
        return "it must begin with extensions and a colon, as \"c,h: clangd\"";
    if (strlen(text) >= LSP_COMMAND_BYTES
        || words_count(text + length + 1) > LSP_COMMAND_WORDS)
        return "it is too long";
    if (words_count(text + length + 1) == 0)
        return "it has no command behind the colon";
    return NULL;
}

void
lsp_command_deinit(struct lsp_command *command)
{
    for (unsigned i = 0; i < command->wrapped; i++)
        free(command->argv[i]);
    free(command->extensions);
    free(command->words);
    free(command->argv);
    memset(command, 0, sizeof(*command));
}

static void
words_split(struct lsp_command *command, size_t at)
{
    char *word = command->words;

    while (*(word += strspn(word, " \t")) != '\0') {
        command->argv[at++] = word;
        word += strcspn(word, " \t");
        if (*word != '\0')
            *word++ = '\0';
    }
}

/* `command` is zeroed. */
static int
command_fill(struct lsp_command *command, const char *text,
             const char *const *wrapper)
{
    size_t length = extensions_length(text);
    size_t wrapped = 0;

    while (wrapper != NULL && wrapper[wrapped] != NULL)
        wrapped++;
    command->extensions = malloc(length + 3);
    command->words = strdup(text + length + 1);
    if (command->extensions == NULL || command->words == NULL)
        return UV_ENOMEM;
    command->extensions[0] = ',';
    memcpy(command->extensions + 1, text, length);
    command->extensions[length + 1] = ',';
    command->extensions[length + 2] = '\0';
    command->argv = calloc(wrapped + words_count(command->words) + 1,
                           sizeof(*command->argv));
    if (command->argv == NULL)
        return UV_ENOMEM;
    for (; command->wrapped < wrapped; command->wrapped++) {
        command->argv[command->wrapped] = strdup(wrapper[command->wrapped]);
        if (command->argv[command->wrapped] == NULL)
            return UV_ENOMEM;
    }
    words_split(command, wrapped);
    return 0;
}

int
lsp_command_read(struct lsp_command *command, const char *text,
                 const char *const *wrapper)
{
    int error;

    memset(command, 0, sizeof(*command));
    if (lsp_command_fault(text) != NULL)
        return UV_EINVAL;
    error = command_fill(command, text, wrapper);
    if (error != 0)
        lsp_command_deinit(command);
    return error;
}

bool
lsp_command_takes(const struct lsp_command *command, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');
    const char *at = command->extensions + 1;
    size_t length;

    if (dot == NULL || dot[1] == '\0')
        return false;
    length = strlen(dot + 1);
    for (; *at != '\0'; at += strcspn(at, ",") + 1)
        if (strcspn(at, ",") == length && strncasecmp(at, dot + 1, length) == 0)
            return true;
    return false;
}
