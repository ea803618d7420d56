/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The calls of one instance by their ids. A plain data structure: no lock, no
 * clock, no thread of its own; `calls` uses it under its mutex. Owns its
 * entries and their texts. Refuses more than CALLS_MAX.
 */

#ifndef VOICE_CALL_TABLE_H
#define VOICE_CALL_TABLE_H

#include "service/calls.h"

#define CALL_TABLE_BUCKETS 1024

struct call {
    struct call *next; /* of its bucket */
    struct call_info info;
    bool kept;   /* somebody here has its sideband */
    bool unfit;  /* nobody here can have it */
    bool stored; /* the store has it as ours */
    bool lost;   /* and now as another's */
    char texts[];
};

struct call_table {
    struct call *buckets[CALL_TABLE_BUCKETS];
    size_t count;
};

/* What a call's id may be: up to CALLS_ID_BYTES - 1 of A-Z a-z 0-9 . _ - */
bool call_id_is_sound(const char *id);

/* An entry of its own with everything copied; free it by free(). NULL: no
 * memory. */
struct call *call_copy(const struct call_info *info);

void call_table_deinit(struct call_table *t);
struct call *call_table_find(struct call_table *t, const char *id);
/* 0 and *call is in; UV_EEXIST, UV_ENOBUFS, UV_ENOMEM. */
int call_table_add(struct call_table *t, const struct call_info *info,
                   struct call **call);
void call_table_remove(struct call_table *t, const char *id);

/* Goes through all, in no order: false from `visit` ends it and gives that
 * entry; NULL: none did. `visit` adds and removes nothing. */
typedef bool call_visit_h(void *arg, struct call *call);
struct call *call_table_visit(struct call_table *t, call_visit_h *visit,
                              void *arg);

#endif
