/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   client ─► stream_link ─► dialect ─► session_up
 *   client ◄─ stream_link ◄─ dialect ◄─ session_down
 */

#include "session/session_edge.h"

#include <uv.h>

int
session_edge_init(struct session_edge *edge, enum dialect_kind kind)
{
    return dialect_create(&edge->dialect, kind, DIALECT_SIDE_CLIENT);
}

void
session_edge_deinit(struct session_edge *edge)
{
    dialect_destroy(&edge->dialect);
}

int
session_edge_up(const struct session_edge *edge, const char *json, size_t bytes,
                dialect_emit_h *emit, void *arg)
{
    int result = UV_EINVAL;

    if (edge->dialect)
        result = dialect_from_peer(edge->dialect, json, bytes, emit, arg);
    if (result != UV_EINVAL)
        return result;
    emit(arg, json, bytes);
    return 0;
}

int
session_edge_down(const struct session_edge *edge, const char *json,
                  size_t bytes, dialect_emit_h *emit, void *arg)
{
    int result = UV_EINVAL;

    if (edge->dialect)
        result = dialect_to_peer(edge->dialect, json, bytes, emit, arg);
    if (result != UV_EINVAL)
        return result;
    emit(arg, json, bytes);
    return 0;
}
