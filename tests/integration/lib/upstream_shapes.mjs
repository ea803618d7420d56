// SPDX-License-Identifier: BSD-2-Clause
//
// Objects of the Realtime API in the shapes that were recorded of it.

import { randomBytes } from 'node:crypto';

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

// "item_" and 21 letters and digits, as the API makes its names.
export function newId(prefix, length = 21) {
    return prefix + [...randomBytes(length)].map((b) => letters[b % letters.length]).join('');
}

export const now = () => Math.floor(Date.now() / 1000);

const vad = { type: 'server_vad', threshold: 0.5, prefix_padding_ms: 300,
    silence_duration_ms: 500, idle_timeout_ms: null, create_response: true,
    interrupt_response: true };
const semantic = { type: 'semantic_vad', eagerness: 'auto', create_response: true,
    interrupt_response: true };

export function newSession({ id = newId('sess_'), model, type = 'realtime', lifeMs = 3600000 }) {
    const input = { format: { type: 'audio/pcm', rate: 24000 }, transcription: null,
        noise_reduction: null, turn_detection: { ...vad } };
    const common = { id, expires_at: now() + Math.round(lifeMs / 1000), include: null };
    if (type === 'transcription') {
        return { type, object: 'realtime.transcription_session', ...common, audio: { input } };
    }
    return { type, object: 'realtime.session', ...common, model,
        output_modalities: ['audio'],
        instructions: 'Your knowledge cutoff is 2023-10. You are a helpful AI.',
        tools: [], tool_choice: 'auto', max_output_tokens: 'inf', tracing: null,
        truncation: 'auto', prompt: null,
        audio: { input, output: { format: { type: 'audio/pcm', rate: 24000 },
            voice: 'marin', speed: 1.0 } } };
}

const isObject = (v) => v !== null && typeof v === 'object' && !Array.isArray(v);

function merge(into, changes) {
    const result = { ...into };
    for (const [key, value] of Object.entries(changes)) {
        result[key] = isObject(value) && isObject(result[key]) ? merge(result[key], value) : value;
    }
    return result;
}

// What is replaced whole and filled with its defaults, not merged.
function withDefaults(session, changes) {
    const input = session.audio?.input;
    const given = changes.audio?.input ?? {};
    if (given.turn_detection) {
        const base = given.turn_detection.type === 'semantic_vad' ? semantic : vad;
        input.turn_detection = { ...base, ...given.turn_detection };
    }
    if (given.transcription) {
        input.transcription = { language: null, prompt: null, ...given.transcription };
    }
    for (const way of ['input', 'output']) {
        const format = changes.audio?.[way]?.format;
        if (format) {
            session.audio[way].format = format.type === 'audio/pcm'
                ? { rate: 24000, ...format } : format;
        }
    }
    for (const tool of session.tools ?? []) {
        tool.description ??= '';
    }
    return session;
}

const known = ['type', 'id', 'object', 'expires_at', 'include', 'model', 'instructions',
    'output_modalities', 'tools', 'tool_choice', 'parallel_tool_calls', 'reasoning',
    'max_output_tokens', 'truncation', 'prompt', 'tracing', 'audio'];

// The merged session, or { error } in the API's words.
export function updateSession(session, changes) {
    if (!isObject(changes) || changes.type === undefined) {
        return { error: { code: 'missing_required_parameter', param: 'session.type',
            message: "Missing required parameter: 'session.type'." } };
    }
    const odd = Object.keys(changes).find((key) => !known.includes(key));
    if (odd) {
        return { error: { code: 'unknown_parameter', param: `session.${odd}`,
            message: `Unknown parameter: 'session.${odd}'.` } };
    }
    const { id, object, model, expires_at: at } = session;
    const merged = merge(session, { ...changes, id, object, expires_at: at });
    if (model !== undefined) {
        merged.model = model;
    }
    return { session: withDefaults(structuredClone(merged), changes) };
}

export function usageOf({ text = 10, audio = 0, cached = 0, outText = 5, outAudio = 15 } = {}) {
    return { total_tokens: text + audio + outText + outAudio, input_tokens: text + audio,
        output_tokens: outText + outAudio,
        input_token_details: { text_tokens: text, audio_tokens: audio, image_tokens: 0,
            cached_tokens: cached, cached_tokens_details: { text_tokens: cached,
                audio_tokens: 0, image_tokens: 0 } },
        output_token_details: { text_tokens: outText, audio_tokens: outAudio } };
}

export function errorBody(code, message, { type = 'invalid_request_error', param = null } = {}) {
    return { error: { message, type, param, code } };
}

// Bytes of a steady tone, whatever the format asks for.
export function toneOf(format, milliseconds) {
    if (format.type !== 'audio/pcm') {
        return Buffer.alloc(8 * milliseconds, format.type === 'audio/pcmu' ? 0x9b : 0xb1);
    }
    const pcm = Buffer.alloc(48 * milliseconds);
    for (let i = 0; i < pcm.length / 2; i++) {
        pcm.writeInt16LE(Math.round(6000 * Math.sin(i * 2 * Math.PI * 440 / 24000)), i * 2);
    }
    return pcm;
}

export const bytesPerMs = (format) => (format.type === 'audio/pcm' ? 48 : 8);

// An answer to a WebRTC offer as the real end point writes it: ICE lite, one
// bundle, host candidates, the media sections in the offer's order.
export function answerSdp(offer) {
    const media = [...offer.matchAll(/^m=(\w+) .*\r?\n(?:(?!m=).*\r?\n?)*/gm)].map(([text, kind]) =>
        ({ kind, mid: /^a=mid:(\S+)/m.exec(text)?.[1] ?? '0' }));
    const common = (mid) => `c=IN IP4 127.0.0.1\r\na=setup:active\r\na=mid:${mid}\r\n` +
        'a=ice-ufrag:upfrag01\r\na=ice-pwd:upstreampasswordofatest0\r\n' +
        `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}\r\n`;
    const candidates = 'a=candidate:1 1 udp 2130706431 127.0.0.1 3478 typ host ufrag upfrag01\r\n' +
        'a=candidate:2 1 tcp 1671430143 127.0.0.1 443 typ host tcptype passive ufrag upfrag01\r\n' +
        'a=end-of-candidates\r\n';
    const section = ({ kind, mid }, i) => (kind === 'audio'
        ? `m=audio ${i === 0 ? 3478 : 9} UDP/TLS/RTP/SAVPF 111 0 8\r\n${common(mid)}` +
            'a=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\n' +
            'a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:0 PCMU/8000\r\n' +
            'a=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n'
        : `m=application ${i === 0 ? 3478 : 9} UDP/DTLS/SCTP webrtc-datachannel\r\n${common(mid)}` +
            'a=sendrecv\r\na=sctp-port:5000\r\na=max-message-size:1073741823\r\n') +
        (i === 0 ? candidates : '');
    return 'v=0\r\no=- 8212345678901234567 1785217650 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n' +
        'a=msid-semantic:WMS*\r\n' +
        `a=group:BUNDLE ${media.map((m) => m.mid).join(' ')}\r\na=ice-lite\r\n` +
        media.map(section).join('');
}
