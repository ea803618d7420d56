/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   request ─► policy ─► upstreams ─► body: offer, session ─► Opus ─► slot ─►
 *   api_call_maker;   each step may answer instead
 */

#include "api/api_calls.h"

#include "api/api_call_maker.h"
#include "base/log.h"
#include "codec/multipart.h"
#include "codec/sdp.h"

#include <string.h>
#include <strings.h>

/* A request while it is looked at. What it owns is let go by asked_deinit. */
struct asked {
    struct gate_request *rq;
    struct api_context *api;
    const struct policy *policy;
    const char *sdp; /* in the body */
    size_t sdp_bytes;
    json_t *session; /* NULL: none was sent */
    struct api_call_order order;
};

static void
asked_deinit(struct asked *a)
{
    policy_put(&a->policy);
    json_decref(a->session);
    api_call_session_deinit(&a->order.session);
    buffer_deinit(&a->order.offer);
}

/* Each of this row: true, or the request is answered and gone. */

int
api_calls_policy(struct gate_request *rq, const struct policy **policy)
{
    char error[POLICY_ERROR_BYTES];
    int result = policy_get(policy, gate_param(rq, "VOICE_POLICY"), error);

    if (!result)
        return 0;
    LOG(ALERT, "calls", "event=bad_policy error=\"%s\"", error);
    api_error(rq, 500, "policy_invalid",
              "The voice policy of this location can't be read.", NULL);
    return result;
}

/* The browser is a peer of the model and changes its session as it likes. */
static bool
policy_check(struct asked *a)
{
    if (api_calls_policy(a->rq, &a->policy))
        return false;
    if (a->policy->client_update == POLICY_UPDATE_ALLOW)
        return true;
    api_error(a->rq, 403, "webrtc_not_allowed",
              "This location does not let clients change their session, which "
              "nobody can hold them from with WebRTC.",
              NULL);
    return false;
}

int
api_calls_body(struct gate_request *rq, const char **body, size_t *bytes)
{
    int result = gate_body(rq, body, bytes);

    if (result == UV_E2BIG)
        api_error(rq, 413, "body_too_large", "The body is too large.", NULL);
    else if (result)
        api_error(rq, 400, "body_incomplete", "The body did not come whole.",
                  NULL);
    return result;
}

static bool
session_read(struct asked *a, const struct multipart_part *part)
{
    json_error_t error;

    if (part->bytes <= API_CALL_SESSION_BYTES)
        a->session =
            json_loadb(part->body, part->bytes, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(a->session))
        return true;
    api_error(a->rq, 400, "invalid_session",
              "The part 'session' is not a JSON object.", "session");
    return false;
}

static bool
form_read(struct asked *a, const char *body, size_t bytes, const char *boundary)
{
    struct multipart form;
    const struct multipart_part *sdp, *session;

    if (multipart_parse(body, bytes, boundary, &form)) {
        api_error(a->rq, 400, "invalid_multipart",
                  "The body is not a well-formed multipart/form-data.", NULL);
        return false;
    }
    sdp = multipart_find(&form, "sdp");
    session = multipart_find(&form, "session");
    if (!sdp) {
        api_error(a->rq, 400, "missing_required_parameter",
                  "The form has no part 'sdp'.", "sdp");
        return false;
    }
    a->sdp = sdp->body;
    a->sdp_bytes = sdp->bytes;
    return !session || session_read(a, session);
}

static bool
is_sdp(const char *type)
{
    static const char sdp[] = "application/sdp";
    size_t bytes = strcspn(type, "; \t");

    return bytes == sizeof(sdp) - 1 && strncasecmp(type, sdp, bytes) == 0;
}

static bool
type_refuse(struct asked *a)
{
    api_error(a->rq, 415, "unsupported_media_type",
              "Send application/sdp, or multipart/form-data with a part 'sdp'.",
              NULL);
    return false;
}

static bool
offer_read(struct asked *a)
{
    const char *type = gate_param(a->rq, "CONTENT_TYPE"), *body;
    char boundary[MULTIPART_BOUNDARY_BYTES];
    size_t bytes;

    type = type ? type : "";
    int form = multipart_boundary(type, boundary);
    if (form == UV_ENOENT && !is_sdp(type))
        return type_refuse(a);
    if (form == UV_EINVAL) {
        api_error(a->rq, 400, "invalid_multipart",
                  "The Content-Type names no boundary.", NULL);
        return false;
    }
    if (api_calls_body(a->rq, &body, &bytes))
        return false;
    if (!form)
        return form_read(a, body, bytes, boundary);
    a->sdp = body;
    a->sdp_bytes = bytes;
    return true;
}

static bool
opus_apply(struct asked *a)
{
    struct sdp_opus opus = sdp_opus_default;

    if (a->policy->opus.on)
        opus = (struct sdp_opus){
            .bitrate = a->policy->opus.bitrate,
            .ptime_ms = a->policy->opus.ptime_ms,
            .fec = a->policy->opus.fec,
            .dtx = a->policy->opus.dtx,
        };
    buffer_init(&a->order.offer, SDP_MAX_BYTES);
    int result = sdp_apply_opus(a->sdp, a->sdp_bytes, &opus, &a->order.offer);
    if (result == UV_ENOMEM)
        gate_answer_busy(a->rq);
    else if (result)
        api_error(a->rq, 400, "invalid_sdp",
                  result == UV_E2BIG
                      ? "The offer is too long."
                      : "The offer is no session description (RFC 8866).",
                  "sdp");
    return !result;
}

static bool
session_make(struct asked *a)
{
    char model[API_CALL_MODEL_BYTES * 4];

    /* One that does not fit is none that there is. */
    if (!api_query(a->rq, "model", model, sizeof(model)))
        model[0] = 0;
    return api_call_session_init(&a->order.session, a->rq, a->policy,
                                 a->session, model)
           == 0;
}

void
api_calls_create(struct gate_request *rq, struct api_context *api)
{
    struct asked a = {.rq = rq, .api = api};

    a.order.policy = gate_param(rq, "VOICE_POLICY");
    if (policy_check(&a)
        && !api_call_upstreams(rq, api, a.policy, &a.order.upstreams)
        && offer_read(&a) && opus_apply(&a) && session_make(&a)
        && !api_call_slot(rq, api, &a.order.loop))
        api_call_make(rq, api, &a.order);
    asked_deinit(&a);
}
