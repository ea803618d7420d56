// SPDX-License-Identifier: BSD-2-Clause
//
// WebRTC calls without media: offers as browsers write them, a stack with a
// scripted upstream, and what a test asks of both.

import { join } from 'node:path';
import OpenAI from 'openai';
import { makeDir } from './paths.mjs';
import { until } from './process.mjs';
import { startStack } from './stack.mjs';
import { Upstream } from './upstream.mjs';

export const PROVIDER_KEY = 'sk-upstream-0123456789abcdef';

// Opus under a number of its own, and without fmtp under another.
export const offer = ['v=0', 'o=- 4611 2 IN IP4 127.0.0.1', 's=-', 't=0 0',
    'a=group:BUNDLE 0 1', 'm=audio 9 UDP/TLS/RTP/SAVPF 109 63 96 0', 'c=IN IP4 0.0.0.0',
    'a=mid:0', 'a=sendrecv', 'a=rtcp-mux', 'a=setup:actpass',
    'a=rtpmap:109 opus/48000/2', 'a=fmtp:109 minptime=10;useinbandfec=1;stereo=1;x-own=7',
    'a=rtpmap:63 red/48000/2', 'a=fmtp:63 109/109', 'a=rtpmap:96 OPUS/48000/2',
    'a=rtpmap:0 PCMU/8000', 'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0', 'a=mid:1', 'a=setup:actpass', 'a=sctp-port:5000', ''].join('\r\n');

// The whole stack with one upstream; options as startStack's, `upstream` is
// Upstream.start's, `instances` how many share a store (0: one without).
export async function startCalls(t, { upstream = {}, voiced = {}, section = {}, instances = 0,
    ...more } = {}) {
    const up = await Upstream.start(t, { key: PROVIDER_KEY, ...upstream });
    const store = instances > 0 && { store: { sqlite: join(makeDir('store'), 'voiced.db') } };
    const options = up.voiced({ ...voiced, upstream: section,
        settings: { ...store, ...voiced.settings } });
    const stack = await startStack(t, { voiced: Array(instances || 1).fill(options), ...more });
    return { up, stack, post: poster(stack) };
}

// POST with a body; { status, headers, text, json }.
export const poster = (stack) => (path, { type, body = '', key, headers = {} } = {}) =>
    stack.request(path, { method: 'POST', body, headers: {
        ...(type && { 'content-type': type }), 'content-length': Buffer.byteLength(body),
        ...(key && { authorization: `Bearer ${key}` }), ...headers } });

export const postOffer = (post, path = '/v1/realtime/calls?model=gpt-realtime', more = {}) =>
    post(path, { type: 'application/sdp', body: offer, ...more });

export const sdk = (stack, key = 'none') => new OpenAI({ apiKey: key, maxRetries: 0,
    baseURL: stack.url('http'), dangerouslyAllowBrowser: true });

export const callOf = (response) => /\/([^/]+)$/.exec(response.headers.location)[1];

// Sidebands that are open on a call at the upstream.
export const sidebands = (up, id) => up.connections.filter((conn) =>
    !conn.closed && conn.query.get('call_id') === id);

export const ever = (up, id) => up.connections.filter((conn) =>
    conn.query.get('call_id') === id).length;

export const attached = (up, id, n = 1, timeoutMs = 15000) => until(
    () => sidebands(up, id).length === n && sidebands(up, id),
    `${n} sideband(s) on ${id}`, timeoutMs);
