/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_upgrade.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#define HEAD_BYTES 512

bool
api_list_has(const char *list, const char *token)
{
    size_t bytes = strlen(token);

    while (list && *list) {
        list += strspn(list, " \t,");
        size_t item = strcspn(list, " \t,");
        if (item == bytes && memcmp(list, token, bytes) == 0)
            return true;
        list += item;
    }
    return false;
}

enum dialect_kind
api_client_dialect(struct gate_request *rq)
{
    const char *offered = gate_param(rq, "HTTP_SEC_WEBSOCKET_PROTOCOL");
    const char *header = gate_param(rq, "HTTP_OPENAI_BETA");

    if (api_list_has(header, "realtime=v1")
        || api_list_has(offered, "openai-beta.realtime-v1"))
        return DIALECT_BETA;
    return DIALECT_OPENAI;
}

int
api_upgrade(struct gate_request *rq, const char *session_id, const char *token)
{
    const char *offered = gate_param(rq, "HTTP_SEC_WEBSOCKET_PROTOCOL");
    char head[HEAD_BYTES];

    snprintf(head, sizeof(head),
             "Status: 101 Switching Protocols\r\n"
             "X-Voice-Session: %s\r\n"
             "%s%s%s%s\r\n",
             session_id, token ? "X-Voice-Resume: " : "", token ? token : "",
             token ? "\r\n" : "",
             api_list_has(offered, "realtime")
                 ? "Sec-WebSocket-Protocol: realtime\r\n"
                 : "");
    int fd = gate_take(rq, head);
    if (fd < 0)
        LOG(WARN, session_id, "event=hand_off error=\"%s\"", uv_strerror(fd));
    return fd;
}
