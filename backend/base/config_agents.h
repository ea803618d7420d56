/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keys lsp_* and delegate_* of section `tools`: language servers, the server
 * that agents live behind, and its key. Part of a server_config, whose texts it
 * owns but for the key, which is its own; one thread at a time.
 */

#ifndef VOICE_CONFIG_AGENTS_H
#define VOICE_CONFIG_AGENTS_H

#include "base/config_check.h"

#include <stdbool.h>
#include <stdint.h>

struct config_agents {
    struct config_list lsp_command; /* "EXT[,EXT...]: COMMAND..." each */
    uint64_t lsp_timeout_ms;
    bool lsp_sandbox;
    char *url;     /* "" none: there are no agents */
    uint64_t kind; /* enum agent_kind of tools/agent.h: amplifierd, chat */
    char *key_env, *key_file; /* "" none */
    char *ca_file, *model, *bundle, *working_dir;
    uint64_t lanes;       /* conversations kept */
    uint64_t idle_ms;     /* an idle one is forgotten then */
    uint64_t timeout_ms;  /* of task and delegate */
    uint64_t dispatch_ms; /* of dispatch */
    char *key;            /* once read; NULL: none */
};

/* `root` as in `tools root`. 0 or UV_EINVAL: *row and why. */
int config_agents_check(const struct config_agents *d, const char *root,
                        const char **row, char why[CONFIG_WHY_BYTES]);
/* 0, UV_EINVAL, UV_ENOMEM. */
int config_agents_read_key(struct config_agents *d, const char **row,
                           char why[CONFIG_WHY_BYTES]);
void config_agents_deinit(struct config_agents *d);

/* Out of the environment. */
void config_agents_forget(const struct config_agents *d);

#endif
