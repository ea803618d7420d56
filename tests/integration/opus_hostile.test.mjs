// SPDX-License-Identifier: BSD-2-Clause
//
// Garbage where Opus should be: an error event, and the session lives.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostile } from './lib/hostile.mjs';
import { OpusEncoder } from './lib/opus_codec.mjs';
import { appended, ask, metric, openOpus, startOpus } from './lib/opus_stack.mjs';
import { count } from './lib/paths.mjs';
import { sleep, until } from './lib/process.mjs';
import { compare, speech } from './lib/sound.mjs';
import { durationMs } from './lib/wav.mjs';

const packets = count(600, 6000);
const seeds = count([1, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
const errorsOf = (client) => client.events.filter(({ type }) => type === 'error');

function goodBodies() {
    const encoder = new OpusEncoder({ dtx: false });
    const said = speech(1000);
    return Array.from({ length: 50 }, (_, i) =>
        encoder.encode(said.subarray(i * 480, (i + 1) * 480)).packet);
}

// What is said now arrives as it was said.
async function assertHears(client, conn) {
    const from = appended(conn).length;
    await client.say(speech(1500), { pace: 0 });
    await until(() => appended(conn).length - from >= 24 * 1480, 'what was said');
    const { correlation } = compare(speech(1500), appended(conn).subarray(from), { maxLagMs: 900 });
    assert.ok(correlation > 0.65, `correlation ${correlation} afterwards`);
}

test(`R2.3 ${packets} packets that are none: errors, and the session lives`,
    { timeout: 600000 }, async (t) => {
        const env = await startOpus(t);
        const { voiced } = env.stack;
        const pid = voiced.serverPid();
        const bodies = goodBodies();
        await Promise.all(seeds.map(async (seed) => {
            const { client, conn } = await openOpus(t, env);
            const lines = () => voiced.log().split('\n').length;
            const before = lines();
            const begin = performance.now();
            const make = hostile(seed, bodies);
            for (let i = 0; i < packets / seeds.length; i++) {
                client.sendBinary(make().message);
                if (i % 20 === 0) {
                    await sleep(5);
                }
            }
            await client.update({}); // all of it was read
            assert.equal(client.closed, null);
            const errors = errorsOf(client);
            const seconds = (performance.now() - begin) / 1000;
            assert.ok(errors.length > 0);
            assert.ok(errors.length <= 3 + 2 * seconds, `${errors.length} errors in ${seconds} s`);
            for (const { error } of errors) {
                assert.equal(error.type, 'invalid_request_error');
                assert.match(error.code, /^[a-z_]+$/);
            }
            assert.ok(lines() - before < 100 * seeds.length, `${lines() - before} lines of log`);
            assert.ok(durationMs(appended(conn)) < packets * 120,
                `${durationMs(appended(conn))} ms of audio`);
            await assertHears(client, conn);
            await ask(client, 600);
            await client.next('output_audio_buffer.stopped');
            assert.deepEqual(conn.session.errors, []);
        }));
        assert.equal(voiced.serverPid(), pid);
        assert.ok(await metric(env.stack, 'voiced_opus_refused_total') > 0);
    });

test('R2.3 each kind of bad packet is told by an error event of its own', async (t) => {
    const env = await startOpus(t);
    const { client, conn } = await openOpus(t, env);
    const make = hostile(7, goodBodies());
    const wanted = new Set(['empty', 'headOnly', 'version', 'flags', 'long', 'stereo', 'noFrames']);
    for (let i = 0; i < 10000 && wanted.size > 0; i++) {
        const { kind, message } = make();
        if (wanted.delete(kind)) {
            await sleep(1050); // one error a second
            client.sendBinary(message);
            const { error } = await client.next('error');
            assert.equal(error.code, 'invalid_audio_packet', kind);
        }
    }
    assert.equal(wanted.size, 0);
    assert.equal(appended(conn).length, 0);
    client.transmit('{"type": "voice.stats", "rtt_ms": ');
    await client.next('error');
    client.socket.send(Buffer.from('{"type":"response.create"}'), { binary: true });
    await assertHears(client, conn);
    assert.ok(!conn.types.includes('response.create'));
});
