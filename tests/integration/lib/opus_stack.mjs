// SPDX-License-Identifier: BSD-2-Clause
//
// The stack with Opus clients before it and a scripted upstream behind it that
// speaks real speech, five times as fast as it is played. It says what it is
// told: "say 3000 1000" is an answer of two messages of so many ms.
//
//     const env = await startOpus(t);
//     const { client, conn } = await openOpus(t, env);
//     const response = await ask(client, 3000);
//     appended(conn)                      the PCM that the upstream got

import { OpusClient } from './opus_client.mjs';
import { until } from './process.mjs';
import { speech } from './sound.mjs';
import { startStack } from './stack.mjs';
import { Upstream } from './upstream.mjs';
import { fromBase64, joinPcm } from './wav.mjs';

export const POLICY = 'voice_model gpt-realtime m;\nvoice_opus on bitrate=24k;\n';
const DELTA_MS = 100;
export const FASTER = 5;

const words = (ms) => 'Lorem ipsum dolor sit amet. '.repeat(Math.ceil(ms / 1500)).trim();

// `onDelta` is called after each delta of audio of any answer.
export function speaker({ onDelta, paceMs = DELTA_MS / FASTER } = {}) {
    return ({ text }) => (/\bsay ([\d ]+)/.exec(text)?.[1].trim().split(' ') ?? ['600'])
        .map((ms) => ({ say: words(ms), pcm: speech(Number(ms)), paceMs, onDelta }));
}

// `policy` is added to voice_opus on, or replaces all of it as a function;
// `script` and more are the upstream's; `stack` is for startStack.
export async function startOpus(t, { policy = '', upstream = {}, settings = {}, stack = {} } = {}) {
    const up = await Upstream.start(t, { script: speaker(), deltaMs: DELTA_MS, ...upstream });
    return { up, stack: await startStack(t, { policy: typeof policy === 'function' ? policy()
        : POLICY + policy, voiced: up.voiced({ settings }), ...stack }) };
}

const quiet = { type: 'server_vad', threshold: 0.5, prefix_padding_ms: 300,
    silence_duration_ms: 500, idle_timeout_ms: null, create_response: false,
    interrupt_response: true };

// A client and the upstream's end of its session. `turn` changes the turn
// detection, which interrupts and answers nothing by itself; null leaves it.
export async function openOpus(t, env, { turn = {}, ...options } = {}) {
    // One after the other: the upstream's connections come in that order.
    const mine = (env.opening ?? Promise.resolve()).then(() => connect(t, env, options));
    env.opening = mine.catch(() => {});
    const { client, conn } = await mine;
    if (turn) {
        await client.update({ audio: { input: { turn_detection: { ...quiet, ...turn } } } });
    }
    return { client, conn };
}

async function connect(t, { up, stack }, options) {
    const client = await OpusClient.connect(t, { port: stack.nginx.port,
        path: '/v1/realtime?model=m', ...options });
    await client.next('voice.session');
    await client.next('session.created');
    return { client, conn: await up.nextConnection() };
}

// Has the model speak; gives the response's id when its first audio is here,
// and where on the timeline that is.
export async function ask(client, ...lengths) {
    const from = client.log.length;
    client.sayText(`say ${lengths.join(' ')}`);
    client.send({ type: 'response.create' });
    const { response } = await client.next('response.created');
    const first = await until(() => client.log.slice(from).find(({ packet }) => packet),
        'the first packet');
    return { id: response.id, first: first.packet.timestamp, at: first.at };
}

// All that was said to the model.
export const appended = (conn) => joinPcm(...conn.events
    .filter(({ type }) => type === 'input_audio_buffer.append')
    .map(({ audio }) => fromBase64(audio)));

export async function metric(stack, name) {
    const { text } = await stack.request('/metrics');
    const found = new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(text);
    return found ? Number(found[1]) : undefined;
}
