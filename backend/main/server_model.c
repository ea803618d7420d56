/* SPDX-License-Identifier: BSD-2-Clause */

#include "main/server_model.h"

#include "base/clock.h"
#include "base/log.h"
#include "gate/curl_stream.h"
#include "gate/speech.h"
#include "model/offline_link.h"
#include "model/realtime_link.h"
#include "service/warm_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLUGIN_NAME   "voiced-speech.so"
#define STOP_LIMIT_MS 7000 /* a close that is not answered takes 5 s */
#define STOP_LOOK_US  5000

struct server_model {
    const struct server_config *config;
    struct speech *speech;
    struct upstream_set *upstreams;
    struct warm_pool *warm;
    bool curl;
};

/* --- the offline model */

/* The plugin beside the program (a build tree), else where it is installed:
 * bin and sbin have lib beside them. */
static void
plugin_find(char *out, size_t bytes)
{
    char self[1024];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    snprintf(out, bytes, "%s/" PLUGIN_NAME, self);
    if (access(out, R_OK) != 0)
        snprintf(out, bytes, "%s/../lib/voiced/" PLUGIN_NAME, self);
}

static void
speech_open(struct server_model *model)
{
    const struct server_config *config = model->config;
    char path[1200];

    if (config->offline.plugin[0])
        snprintf(path, sizeof(path), "%s", config->offline.plugin);
    else
        plugin_find(path, sizeof(path));
    const struct speech_config cfg = {
        .plugin_path = path,
        .threads = (unsigned) config->offline.threads,
        .max_jobs = (unsigned) config->offline.max_jobs,
    };
    int result = speech_create(&model->speech, &cfg);
    if (result)
        LOG(ERROR, "server",
            "speech_plugin=%s error=\"%s\", spoken turns are answered with "
            "an error event, typed ones work",
            path, uv_strerror(result));
    LOG(NOTICE, "server", "model=offline speech=%s, no upstream is configured",
        result ? "none" : path);
}

static int
offline_open(struct model_link **lp, const struct model_link_config *cfg,
             const struct model_link_handlers *handlers, void *link_arg,
             const struct server_model *model)
{
    const struct offline_link_config offline = {
        .link = *cfg,
        .speech = model->speech,
        .limits = {.max_session_ms = model->config->offline.max_session_ms},
    };

    return offline_link_open(lp, &offline, handlers, link_arg);
}

/* --- remote ones */

static int
remote_open(struct model_link **lp, const struct model_link_config *cfg,
            const struct model_link_handlers *handlers, void *link_arg,
            const struct server_model *model)
{
    const struct realtime_link_config remote = {
        .link = *cfg,
        .upstreams = model->upstreams,
    };

    return realtime_link_open(lp, &remote, handlers, link_arg);
}

static int
warm_open(struct model_link **lp, const struct model_link_config *cfg,
          const struct model_link_handlers *handlers, void *link_arg, void *arg)
{
    const struct server_model *model = arg;
    const struct realtime_link_config warm = {
        .link = *cfg,
        .upstreams = model->upstreams,
        .keep_created = true,
    };

    return realtime_link_open(lp, &warm, handlers, link_arg);
}

static int
warm_start(struct server_model *model, const struct server_model_config *cfg)
{
    const struct server_config *config = model->config;
    const char *name = config->warm.upstream;

    if (!config->warm.links || !config->warm.max)
        return 0;
    if (!name || !*name)
        name = upstream_name(upstream_at(model->upstreams, 0));
    if (!upstream_find(model->upstreams, name)) {
        LOG(ALERT, "server", "warm: there is no upstream of that name");
        return UV_ENOENT;
    }
    const struct warm_pool_config pool = {
        .loops = cfg->loops,
        .loop_count = cfg->loop_count,
        .upstream = name,
        .model = config->warm.model,
        .links = (unsigned) config->warm.links,
        .max = (unsigned) config->warm.max,
        .ttl_ms = config->warm.ttl_ms,
        .refill_ms = config->warm.refill_ms,
        .open = warm_open,
        .open_arg = model,
    };
    return warm_pool_create(&model->warm, &pool);
}

static void
remote_log(const struct server_model *model)
{
    char names[UPSTREAM_MAX * (UPSTREAM_NAME_BYTES + 1)] = "";
    const struct upstream *u;
    size_t used = 0;

    for (size_t i = 0; (u = upstream_at(model->upstreams, i)) != NULL; i++)
        used += (size_t) snprintf(names + used, sizeof(names) - used, "%s%s",
                                  i ? "," : "", upstream_name(u));
    LOG(NOTICE, "server", "model=remote upstreams=%s warm=%s", names,
        model->warm ? warm_pool_upstream(model->warm) : "none");
}

static int
remote_start(struct server_model *model, const struct server_model_config *cfg)
{
    const struct server_config *config = model->config;
    /* Safe beside other threads since 7.84. */
    int result = curl_stream_library_open();

    model->curl = result == 0;
    if (!result)
        result = upstream_set_create(&model->upstreams, config->upstreams,
                                     config->upstream_count);
    if (!result)
        result = warm_start(model, cfg);
    if (!result)
        remote_log(model);
    return result;
}

/* --- both */

int
server_model_open(struct model_link **lp, const struct model_link_config *cfg,
                  const struct model_link_handlers *handlers, void *link_arg,
                  void *arg)
{
    const struct server_model *model = arg;

    if (!model->upstreams)
        return offline_open(lp, cfg, handlers, link_arg, model);
    if (cfg->warm_ticket && model->warm
        && warm_pool_claim(model->warm, cfg->warm_ticket, lp, handlers,
                           link_arg)
               == 0)
        return 0;
    return remote_open(lp, cfg, handlers, link_arg, model);
}

int
server_model_create(struct server_model **mp,
                    const struct server_model_config *cfg)
{
    struct server_model *model = calloc(1, sizeof(*model));
    int result = 0;

    if (!model)
        return UV_ENOMEM;
    model->config = cfg->config;
    if (cfg->config->bench.echo)
        LOG(WARN, "server", "bench echo: sessions meet no model");
    else if (cfg->config->upstream_count)
        result = remote_start(model, cfg);
    else
        speech_open(model);
    if (result)
        server_model_destroy(&model);
    else
        *mp = model;
    return result;
}

void
server_model_drain(struct server_model *model)
{
    if (model && model->warm)
        warm_pool_stop(model->warm);
}

static bool
is_still(struct server_model *model)
{
    return (!model->warm || warm_pool_is_stopped(model->warm))
           && upstream_connections(model->upstreams) == 0;
}

void
server_model_stop(struct server_model *model)
{
    uint64_t end = clock_now_ms() + STOP_LIMIT_MS;

    if (!model || !model->upstreams)
        return;
    server_model_drain(model);
    while (!is_still(model) && clock_now_ms() < end)
        usleep(STOP_LOOK_US);
}

void
server_model_unload(struct server_model *model)
{
    if (model && model->speech)
        speech_destroy(&model->speech);
}

void
server_model_destroy(struct server_model **mp)
{
    struct server_model *model = *mp;

    *mp = NULL;
    if (!model)
        return;
    warm_pool_destroy(&model->warm);
    upstream_set_destroy(&model->upstreams);
    if (model->curl)
        curl_stream_library_close();
    free(model);
}

const char *
server_model_name(const struct server_model *model)
{
    const struct server_config *config = model->config;

    if (!model->upstreams)
        return config->bench.echo ? "echo" : "offline";
    if (config->warm.model && config->warm.model[0])
        return config->warm.model;
    return upstream_name(upstream_at(model->upstreams, 0));
}

struct upstream_set *
server_model_upstreams(struct server_model *model)
{
    return model->upstreams;
}

struct warm_pool *
server_model_warm(struct server_model *model)
{
    return model->warm;
}
