/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/config_agents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define KIND_CHAT 1

int
config_agents_check(const struct config_agents *d, const char *root,
                    const char **row, char why[CONFIG_WHY_BYTES])
{
    const struct config_finding f = {.row = row, .why = why};
    int result;

    if (d->lsp_command.count && !root[0])
        return config_blame(&f, "lsp_command", "demands a root");
    if (!d->url[0])
        return 0;
    result = config_http_url_check(d->url, "delegate_url", &f);
    if (result)
        return result;
    if (strpbrk(d->url, "?#"))
        return config_blame(&f, "delegate_url",
                            "has something behind its path");
    if (d->kind == KIND_CHAT && !d->model[0])
        return config_blame(&f, "delegate_model",
                            "is empty, and delegate_kind is chat");
    if (d->key_env[0] && d->key_file[0])
        return config_blame(&f, "delegate_key_file",
                            "is given and so is delegate_key_env");
    if (d->ca_file[0] && access(d->ca_file, R_OK) != 0)
        return config_blame(&f, "delegate_ca_file", "can't be read: %s",
                            uv_strerror(uv_translate_sys_error(errno)));
    return 0;
}

int
config_agents_read_key(struct config_agents *d, const char **row,
                       char why[CONFIG_WHY_BYTES])
{
    const struct config_finding f = {.row = row, .why = why};
    int result;

    if (!d->url[0] || (!d->key_env[0] && !d->key_file[0]))
        return 0;
    result = config_key_read(d->key_env, d->key_file, &d->key, &f);
    if (result == UV_EINVAL)
        *row = d->key_env[0] ? "delegate_key_env" : "delegate_key_file";
    return result;
}

void
config_agents_deinit(struct config_agents *d)
{
    config_key_wipe(&d->key);
}

void
config_agents_forget(const struct config_agents *d)
{
    char *text = d->key_env[0] ? getenv(d->key_env) : NULL;

    if (!text)
        return;
    explicit_bzero(text, strlen(text));
    unsetenv(d->key_env);
}
