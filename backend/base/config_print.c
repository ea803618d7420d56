/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/config_print.h"

#include "base/config_table.h"

#include <string.h>

static bool
section_is_repeated(const char *section)
{
    return strcmp(section, CONFIG_UPSTREAM) == 0
           || strcmp(section, CONFIG_TOOL_SERVER) == 0;
}

/* Heads and ends of sections between key i - 1 and key i. In the example those
 * that repeat are comments: as they stand they would be refused. */
static void
section_turn(size_t i, FILE *out)
{
    const char *before = i ? config_key_at(i - 1)->section : "";
    const char *now = i < config_key_count() ? config_key_at(i)->section : "";
    if (strcmp(before, now) == 0)
        return;
    if (before[0])
        fprintf(out, "%s}\n", section_is_repeated(before) ? "#" : "");
    if (strcmp(now, CONFIG_UPSTREAM) == 0)
        fputs("\n# A Realtime server that sessions go to; several are tried in "
              "this order\n# unless voice_upstream of nginx.conf names them. "
              "With none the built-in\n# offline model serves.\n#upstream NAME "
              "{\n",
              out);
    else if (strcmp(now, CONFIG_TOOL_SERVER) == 0)
        fputs("\n# A server whose tools are offered here, an MCP server's as "
              "mcp_NAME_<tool>; one\n# of mcp, command and http says which "
              "kind it is.\n#tool_server NAME {\n",
              out);
    else if (now[0])
        fprintf(out, "\n%s {\n", now);
}

static void
key_print(const void *owner, const struct config_key *key, FILE *out)
{
    fprintf(out, "%s%s = ", key->section[0] ? "    " : "", key->name);
    config_key_print(owner, key, out);
    fputc('\n', out);
}

static void
repeated_print(const void *owner, const char *section, const char *name,
               FILE *out)
{
    fprintf(out, "\n%s %s {\n", section, name);
    for (size_t i = 0; i < config_key_count(); i++) {
        if (strcmp(config_key_at(i)->section, section) == 0)
            key_print(owner, config_key_at(i), out);
    }
    fputs("}\n", out);
}

void
config_print(const struct server_config *cfg, FILE *out)
{
    const char *before = "";
    for (size_t i = 0; i < config_key_count(); i++) {
        const struct config_key *key = config_key_at(i);
        if (config_key_is_repeated(key))
            continue;
        if (strcmp(before, key->section) != 0)
            fprintf(out, "%s\n%s {\n", before[0] ? "}\n" : "", key->section);
        before = key->section;
        key_print(cfg, key, out);
    }
    fputs(before[0] ? "}\n" : "", out);
    for (size_t i = 0; i < cfg->upstream_count; i++)
        repeated_print(&cfg->upstreams[i], CONFIG_UPSTREAM,
                       cfg->upstreams[i].name, out);
    for (size_t i = 0; i < cfg->tool_server_count; i++)
        repeated_print(&cfg->tool_servers[i], CONFIG_TOOL_SERVER,
                       cfg->tool_servers[i].name, out);
}

void
config_print_example(FILE *out)
{
    char bounds[CONFIG_BOUNDS_BYTES];
    fputs("# voiced.conf: how the process runs. What a session may do is said"
          "\n# in nginx.conf. `voiced -t -c FILE` checks this file, SIGHUP "
          "takes it\n# without cutting a session. Every key is shown with its "
          "default.\n",
          out);
    for (size_t i = 0; i < config_key_count(); i++) {
        const char *indent = config_key_at(i)->section[0] ? "    " : "";
        section_turn(i, out);
        config_key_bounds(config_key_at(i), bounds);
        fprintf(out, "\n%s# %s\n%s# %s%s\n%s#%s = ", indent,
                config_key_at(i)->sentence, indent, bounds,
                config_key_at(i)->reloadable ? ""
                                             : "; a change needs a restart",
                indent, config_key_at(i)->name);
        config_key_print_initial(config_key_at(i), out);
        fputc('\n', out);
    }
    section_turn(config_key_count(), out);
}

void
config_print_reference(FILE *out)
{
    char bounds[CONFIG_BOUNDS_BYTES];
    fputs("| key | default | bounds | on SIGHUP | meaning |\n"
          "|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < config_key_count(); i++) {
        const struct config_key *key = config_key_at(i);
        config_key_bounds(key, bounds);
        for (char *bar = strchr(bounds, '|'); bar; bar = strchr(bar, '|'))
            *bar = ' ';
        fprintf(out, "| `%s%s%s` | `", key->section, key->section[0] ? " " : "",
                key->name);
        config_key_print_initial(key, out);
        fprintf(out, "` | %s | %s | %s |\n", bounds,
                key->reloadable ? "yes" : "no", key->sentence);
    }
}

void
config_print_listen(const struct server_config *cfg, FILE *out)
{
    unsigned long long backlog = cfg->listen.backlog;
    if (cfg->listen.unix_path[0])
        fprintf(out, "unix 0%llo %llu %s\n",
                (unsigned long long) cfg->listen.mode, backlog,
                cfg->listen.unix_path);
    if (cfg->pid_file[0])
        fprintf(out, "pid %s\n", cfg->pid_file);
    if (cfg->listen.tcp[0])
        fprintf(out, "tcp %llu %s\n", backlog, cfg->listen.tcp);
}
