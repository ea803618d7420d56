/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_upgrade.h"

#include "api/api_answer.h"
#include "base/log.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define HEAD_BYTES    512
#define OPUS_PROTOCOL "voice.opus.v1"

/* Where the list has it; SIZE_MAX: it does not. */
static size_t
list_place(const char *list, const char *token)
{
    size_t bytes = strlen(token);

    for (size_t place = 0; list && *list; place++) {
        list += strspn(list, " \t,");
        size_t item = strcspn(list, " \t,");
        if (item == bytes && memcmp(list, token, bytes) == 0)
            return place;
        list += item;
    }
    return SIZE_MAX;
}

bool
api_list_has(const char *list, const char *token)
{
    return list_place(list, token) != SIZE_MAX;
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

bool
api_offers_opus(struct gate_request *rq)
{
    return api_list_has(gate_param(rq, "HTTP_SEC_WEBSOCKET_PROTOCOL"),
                        OPUS_PROTOCOL);
}

enum api_protocol
api_protocol(struct gate_request *rq, bool opus_served)
{
    const char *offered = gate_param(rq, "HTTP_SEC_WEBSOCKET_PROTOCOL");
    size_t realtime = list_place(offered, "realtime");
    size_t opus = list_place(offered, OPUS_PROTOCOL);

    if (opus_served && opus < realtime)
        return API_PROTOCOL_OPUS;
    if (realtime != SIZE_MAX)
        return API_PROTOCOL_REALTIME;
    if (opus == SIZE_MAX)
        return API_PROTOCOL_NONE;
    api_error(rq, 400, "unsupported_subprotocol",
              "voice.opus.v1 is not served here; offer realtime too.",
              "Sec-WebSocket-Protocol");
    return API_PROTOCOL_REFUSED;
}

int
api_upgrade(struct gate_request *rq, enum api_protocol protocol,
            const char *session_id, const char *token)
{
    static const char *const names[] = {
        [API_PROTOCOL_REALTIME] = "Sec-WebSocket-Protocol: realtime\r\n",
        [API_PROTOCOL_OPUS] = "Sec-WebSocket-Protocol: " OPUS_PROTOCOL "\r\n",
        [API_PROTOCOL_REFUSED] = NULL,
    };
    char head[HEAD_BYTES];

    snprintf(head, sizeof(head),
             "Status: 101 Switching Protocols\r\n"
             "X-Voice-Session: %s\r\n"
             "%s%s%s%s\r\n",
             session_id, token ? "X-Voice-Resume: " : "", token ? token : "",
             token ? "\r\n" : "", names[protocol] ? names[protocol] : "");
    int fd = gate_take(rq, head);
    if (fd < 0)
        LOG(WARN, session_id, "event=hand_off error=\"%s\"", uv_strerror(fd));
    return fd;
}
