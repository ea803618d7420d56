// SPDX-License-Identifier: BSD-2-Clause
//
// The HTTP end points of the scripted upstream: minted secrets, calls and
// their control.

import { errorBody, newId, newSession, now, answerSdp, updateSession } from './upstream_shapes.mjs';

export class UpstreamHttp {
    secrets = new Map(); // ek_ → { session, expires_at }
    calls = new Map();   // rtc_ → { id, session, offer, key, verbs, ended }

    constructor(upstream) {
        this.upstream = upstream;
    }

    secretOf(key) {
        const secret = this.secrets.get(key);
        return secret && secret.expires_at > now() ? secret : null;
    }

    modelOf(headers) {
        const key = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
        return this.secretOf(key)?.session.model ?? 'gpt-realtime';
    }

    liveCall(id) {
        const call = this.calls.get(id);
        return call && !call.ended ? call : null;
    }

    // [status, body, headers] of a request whose body is in `entry`.
    answer(request, entry) {
        const path = new URL(request.url, 'http://x').pathname;
        if (request.method !== 'POST') {
            return [404, errorBody(null, `Invalid URL (${request.method} ${path})`)];
        }
        const control = /\/realtime\/calls\/([^/]+)\/(hangup|accept|reject|refer)$/.exec(path);
        if (control) {
            return this.#control(control[1], control[2], entry);
        }
        if (path.endsWith('/realtime/client_secrets')) {
            return this.#mint(entry);
        }
        return path.endsWith('/realtime/calls') ? this.#call(request, entry)
            : [404, errorBody(null, `Invalid URL (POST ${path})`)];
    }

    #mint(entry) {
        let body;
        try {
            body = JSON.parse(entry.body || '{}');
        } catch {
            return [400, errorBody(null, 'We could not parse the JSON body of your request.')];
        }
        const seconds = body.expires_after?.seconds ?? 600;
        if (!Number.isInteger(seconds) || seconds < 10 || seconds > 7200) {
            return [400, errorBody('integer_out_of_range',
                'expires_after.seconds must be between 10 and 7200.',
                { param: 'expires_after.seconds' })];
        }
        const { session, error } = this.#sessionOf(body.session);
        if (error) {
            return [400, errorBody(error.code, error.message, { param: error.param })];
        }
        const value = newId('ek_', 32);
        const secret = { session, expires_at: now() + seconds };
        this.secrets.set(value, secret);
        return [200, { value, expires_at: secret.expires_at,
            session: { ...session, expires_at: 0 } }];
    }

    #sessionOf(given) {
        const base = newSession({ model: given?.model ?? 'gpt-realtime', type: given?.type });
        return given ? updateSession(base, given) : { session: base };
    }

    #call(request, entry) {
        const type = request.headers['content-type'] ?? '';
        const parts = /^multipart\/form-data/.test(type) ? partsOf(type, entry.body) : {};
        const offer = /^application\/sdp/.test(type) ? entry.body : parts.sdp;
        const key = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
        if (!offer || !/^v=0\r?\n/.test(offer) || !/^m=audio /m.test(offer)) {
            return [400, errorBody('invalid_offer', 'The SDP offer is missing or invalid.')];
        }
        const { session, error } = parts.session ? this.#sessionOf(JSON.parse(parts.session))
            : { session: this.secretOf(key)?.session ?? newSession({
                model: new URL(request.url, 'http://x').searchParams.get('model') ??
                    'gpt-realtime' }) };
        if (error) {
            return [400, errorBody(error.code, error.message, { param: error.param })];
        }
        const call = this.#newCall(offer, session, key, parts);
        return [201, answerSdp(offer), { location: `/v1/realtime/calls/${call.id}`,
            'access-control-allow-origin': '*',
            'access-control-expose-headers': 'Location, X-Request-Id' }];
    }

    #newCall(offer, session, key, parts) {
        const tail = newId('u0_');
        const call = { id: `rtc_${tail}`, offer, key, parts, verbs: [], listeners: [],
            ended: false };
        call.session = this.upstream.newSession({ model: session.model, call,
            emit: (event) => call.listeners.forEach((conn) => conn.emit(event)) });
        call.session.session = { ...session, id: `sess_${tail}` };
        this.calls.set(call.id, call);
        return call;
    }

    #control(id, verb, entry) {
        const call = this.liveCall(id);
        if (!call) {
            return [404, errorBody('call_id_not_found', `No session found for call_id ${id}`)];
        }
        call.verbs.push({ verb, body: entry.body });
        if (verb === 'hangup' || verb === 'reject') {
            this.endCall(id);
        }
        return [200, ''];
    }

    // The caller has gone, or was hung up on.
    endCall(id, code = 1000, reason = '') {
        const call = this.calls.get(id);
        call.ended = true;
        call.session.end();
        call.listeners.forEach((conn) => conn.close(code, reason).catch(() => {}));
    }
}

// Bodies by part name; no part has a file name.
function partsOf(type, body) {
    const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1] ?? '';
    const parts = {};
    for (const piece of body.split(`--${boundary}`).slice(1, -1)) {
        const at = piece.indexOf('\r\n\r\n');
        const name = /name="([^"]*)"/.exec(piece.slice(0, at))?.[1];
        parts[name] = piece.slice(at + 4).replace(/\r\n$/, '');
    }
    return parts;
}
