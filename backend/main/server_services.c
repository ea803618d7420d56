/* SPDX-License-Identifier: BSD-2-Clause */

#include "main/server_services.h"

#include "base/log.h"
#include "gate/store.h"
#include "gate/store_driver.h"
#include "gate/store_sqlite.h"
#include "service/secrets.h"
#include "service/tenant_limits.h"
#include "service/usage.h"

#include <stdlib.h>

struct server_services {
    struct store *store; /* NULL: none */
    struct secrets *secrets;
    struct usage *usage;
    struct tenant_limits *limits;
};

static int
store_start(struct server_services *s, const struct server_config *config)
{
    struct store_driver *driver = NULL;
    int result;

    if (!config->store.sqlite[0]) {
        LOG(NOTICE, "server",
            "store=none: minted secrets, calls and usage end with the process");
        return 0;
    }
    result =
        store_sqlite_open(&driver, config->store.sqlite, STORE_SQLITE_WAIT_MS);
    if (result)
        return result;
    result = store_create(&s->store, &driver);
    if (result)
        driver->ops->close(driver);
    else
        LOG(NOTICE, "server", "store=sqlite path=%s", config->store.sqlite);
    return result;
}

int
server_services_create(struct server_services **sp,
                       const struct server_config *config)
{
    struct server_services *s = calloc(1, sizeof(*s));
    int result;

    if (!s)
        return UV_ENOMEM;
    result = store_start(s, config);
    if (!result)
        result = secrets_create(&s->secrets,
                                &(struct secrets_config){.store = s->store});
    if (!result)
        result =
            usage_create(&s->usage, &(struct usage_config){.store = s->store});
    const struct tenant_limits_config limits = {
        .sessions = config->limits.sessions,
        .requests = config->limits.requests,
        .tokens = config->limits.tokens,
        .usage = s->usage,
    };
    if (!result)
        result = tenant_limits_create(&s->limits, &limits);
    if (result) {
        server_services_stop(s);
        server_services_destroy(&s);
        return result;
    }
    *sp = s;
    return 0;
}

void
server_services_fill(const struct server_services *s, struct api_context *api)
{
    api->store = s->store;
    api->secrets = s->secrets;
    api->usage = s->usage;
    api->limits = s->limits;
}

struct store *
server_services_store(const struct server_services *s)
{
    return s->store;
}

void
server_services_stop(struct server_services *s)
{
    if (!s)
        return;
    usage_stop(s->usage);
    store_destroy(&s->store);
}

void
server_services_destroy(struct server_services **sp)
{
    struct server_services *s = *sp;

    *sp = NULL;
    if (!s)
        return;
    tenant_limits_destroy(&s->limits);
    usage_destroy(&s->usage);
    secrets_destroy(&s->secrets);
    free(s);
}
