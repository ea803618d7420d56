/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The shared memory that holds the counts of all workers.
 *
 *   zone:  [generation, slots in use, retired counts]
 *          [slot][slot][slot] ...  NGX_HTTP_VOICE_SLOTS of them
 *
 * A slot belongs to a process until that process leaves it, or until somebody
 * finds it dead: then its counts are added to the retired ones, and the
 * sessions that it still had are closed without a code.  A worker of the same
 * number and configuration, which nginx starts in the place of one that died,
 * needs no sign of its death; else a process id that is gone is one.
 */


#include "ngx_http_voice.h"


#define NGX_HTTP_VOICE_SLOTS  NGX_MAX_PROCESSES
#define NGX_HTTP_VOICE_LINE   128       /* pairs of cache lines are fetched */


typedef struct {
    uint64_t                       counts[ngx_http_voice_n];
    ngx_pid_t                      pid;         /* 0: free */
    ngx_uint_t                     worker;
    ngx_uint_t                     generation;
} ngx_http_voice_slot_t;


struct ngx_http_voice_zone_s {
    uint64_t                       retired[ngx_http_voice_n];
    ngx_uint_t                     generation;  /* configurations so far */
    ngx_uint_t                     used;        /* slots behind are unset */
    u_char                        *slots;
};


#define ngx_http_voice_slot_size                                              \
    ngx_align(sizeof(ngx_http_voice_slot_t), NGX_HTTP_VOICE_LINE)

#define ngx_http_voice_slot(zone, i)                                          \
    ((ngx_http_voice_slot_t *) ((zone)->slots + (i) * ngx_http_voice_slot_size))


static ngx_int_t ngx_http_voice_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_http_voice_slot_t *ngx_http_voice_free_slot(
    ngx_http_voice_status_conf_t *conf);
static ngx_uint_t ngx_http_voice_is_dead(ngx_http_voice_slot_t *slot);
static void ngx_http_voice_retire(ngx_http_voice_zone_t *zone,
    ngx_http_voice_slot_t *slot);
static void ngx_http_voice_add_up(ngx_http_voice_slot_t *slot,
    ngx_uint_t newest, ngx_http_voice_snapshot_t *snapshot);


/* any number of calls makes one zone */

ngx_int_t
ngx_http_voice_add_zone(ngx_conf_t *cf)
{
    size_t                         size;
    ngx_http_voice_status_conf_t  *conf;

    static ngx_str_t  name = ngx_string("ngx_http_voice_status");

    conf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_voice_status_module);

    if (conf->shm_zone) {
        return NGX_OK;
    }

    /* some for what the slab allocator knows of each page */

    size = NGX_HTTP_VOICE_SLOTS * ngx_http_voice_slot_size;
    size += size / 32 + 16 * ngx_pagesize;

    conf->shm_zone = ngx_shared_memory_add(cf, &name,
                                           ngx_align(size, ngx_pagesize),
                                           &ngx_http_voice_status_module);
    if (conf->shm_zone == NULL) {
        return NGX_ERROR;
    }

    conf->shm_zone->init = ngx_http_voice_init_zone;
    conf->shm_zone->data = conf;

    return NGX_OK;
}


/* slots are set when they are first taken: the rest costs no memory */

static ngx_int_t
ngx_http_voice_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_voice_status_conf_t *old = data;

    ngx_slab_pool_t               *pool;
    ngx_http_voice_zone_t         *zone;
    ngx_http_voice_status_conf_t  *conf;

    conf = shm_zone->data;
    pool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old) {
        conf->zone = old->zone;

    } else if (shm_zone->shm.exists) {
        conf->zone = pool->data;

    } else {
        zone = ngx_slab_calloc(pool, sizeof(ngx_http_voice_zone_t));
        if (zone == NULL) {
            return NGX_ERROR;
        }

        zone->slots = ngx_slab_alloc(pool, NGX_HTTP_VOICE_SLOTS
                                           * ngx_http_voice_slot_size);
        if (zone->slots == NULL) {
            return NGX_ERROR;
        }

        pool->data = zone;
        conf->zone = zone;
    }

    conf->generation = ++conf->zone->generation;

    return NGX_OK;
}


ngx_int_t
ngx_http_voice_take_slot(ngx_cycle_t *cycle)
{
    ngx_slab_pool_t               *pool;
    ngx_http_voice_slot_t         *slot;
    ngx_http_voice_status_conf_t  *conf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    conf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_voice_status_module);

    if (conf == NULL || conf->shm_zone == NULL) {
        return NGX_OK;
    }

    pool = (ngx_slab_pool_t *) conf->shm_zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    slot = ngx_http_voice_free_slot(conf);

    if (slot) {
        slot->worker = ngx_worker;
        slot->generation = conf->generation;
        slot->pid = ngx_pid;

        ngx_http_voice_counts = slot->counts;
    }

    ngx_shmtx_unlock(&pool->mutex);

    if (slot == NULL) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "no place to count voice sessions of this worker");
    }

    return NGX_OK;
}


static ngx_http_voice_slot_t *
ngx_http_voice_free_slot(ngx_http_voice_status_conf_t *conf)
{
    ngx_uint_t              i;
    ngx_http_voice_slot_t  *slot, *found;
    ngx_http_voice_zone_t  *zone;

    zone = conf->zone;
    found = NULL;

    for (i = 0; i < zone->used; i++) {
        slot = ngx_http_voice_slot(zone, i);

        if (slot->pid
            && (slot->pid == ngx_pid
                || (slot->worker == ngx_worker
                    && slot->generation == conf->generation)
                || ngx_http_voice_is_dead(slot)))
        {
            ngx_http_voice_retire(zone, slot);
        }

        if (slot->pid == 0 && found == NULL) {
            found = slot;
        }
    }

    if (found || zone->used == NGX_HTTP_VOICE_SLOTS) {
        return found;
    }

    found = ngx_http_voice_slot(zone, zone->used);
    ngx_memzero(found, sizeof(ngx_http_voice_slot_t));
    zone->used++;

    return found;
}


static ngx_uint_t
ngx_http_voice_is_dead(ngx_http_voice_slot_t *slot)
{
    return kill(slot->pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}


static void
ngx_http_voice_retire(ngx_http_voice_zone_t *zone, ngx_http_voice_slot_t *slot)
{
    ngx_uint_t  i;

    slot->counts[ngx_http_voice_n_closed + NGX_HTTP_VOICE_CLOSED_NONE] +=
                                         slot->counts[ngx_http_voice_n_live];
    slot->counts[ngx_http_voice_n_live] = 0;

    for (i = 0; i < ngx_http_voice_n; i++) {
        zone->retired[i] += slot->counts[i];
        slot->counts[i] = 0;
    }

    slot->pid = 0;
}


/* the worker ends; sessions that it cuts off stay in its memory no longer */

void
ngx_http_voice_leave_slot(ngx_cycle_t *cycle)
{
    ngx_slab_pool_t               *pool;
    ngx_http_voice_slot_t         *slot;
    ngx_http_voice_status_conf_t  *conf;

    if (ngx_http_voice_counts == ngx_http_voice_uncounted) {
        return;
    }

    conf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_voice_status_module);

    slot = (ngx_http_voice_slot_t *) ngx_http_voice_counts;
    ngx_http_voice_counts = ngx_http_voice_uncounted;

    if (conf == NULL || conf->shm_zone == NULL) {
        return;
    }

    pool = (ngx_slab_pool_t *) conf->shm_zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);
    ngx_http_voice_retire(conf->zone, slot);
    ngx_shmtx_unlock(&pool->mutex);
}


/* a single process may read a configuration without a zone: it is unmapped */

void
ngx_http_voice_check_slot(ngx_http_voice_status_conf_t *conf)
{
    if (conf == NULL || conf->shm_zone == NULL) {
        ngx_http_voice_counts = ngx_http_voice_uncounted;
    }
}


ngx_int_t
ngx_http_voice_take_snapshot(ngx_http_voice_status_conf_t *conf,
    ngx_pool_t *pool, ngx_http_voice_snapshot_t *snapshot)
{
    ngx_uint_t              i, n, newest;
    ngx_slab_pool_t        *shpool;
    ngx_http_voice_slot_t  *slot;
    ngx_http_voice_zone_t  *zone;

    zone = conf->zone;
    shpool = (ngx_slab_pool_t *) conf->shm_zone->shm.addr;

    /* a worker that comes in between is told of next time */

    n = zone->used;

    snapshot->nworkers = 0;
    snapshot->workers = ngx_palloc(pool, (n + 1)
                                         * sizeof(ngx_http_voice_worker_t));
    if (snapshot->workers == NULL) {
        return NGX_ERROR;
    }

    ngx_shmtx_lock(&shpool->mutex);

    newest = 0;

    for (i = 0; i < n; i++) {
        slot = ngx_http_voice_slot(zone, i);

        if (slot->pid && ngx_http_voice_is_dead(slot)) {
            ngx_http_voice_retire(zone, slot);
        }

        /* a configuration that nginx gave up has no workers */

        if (slot->pid) {
            newest = ngx_max(newest, slot->generation);
        }
    }

    ngx_memcpy(snapshot->counts, zone->retired, sizeof(snapshot->counts));

    for (i = 0; i < n; i++) {
        slot = ngx_http_voice_slot(zone, i);

        if (slot->pid) {
            ngx_http_voice_add_up(slot, newest, snapshot);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return NGX_OK;
}


static void
ngx_http_voice_add_up(ngx_http_voice_slot_t *slot, ngx_uint_t newest,
    ngx_http_voice_snapshot_t *snapshot)
{
    ngx_uint_t                i;
    ngx_http_voice_worker_t  *worker;

    worker = &snapshot->workers[snapshot->nworkers++];

    worker->pid = slot->pid;
    worker->worker = slot->worker;
    worker->draining = slot->generation < newest;

    for (i = 0; i < NGX_HTTP_VOICE_WORKER_N; i++) {
        worker->counts[i] = slot->counts[i];
        snapshot->counts[i] += worker->counts[i];
    }

    for ( /* void */ ; i < ngx_http_voice_n; i++) {
        snapshot->counts[i] += slot->counts[i];
    }
}
