// SPDX-License-Identifier: BSD-2-Clause
//
// A line that gets bad and good again: level, bitrate and buffer follow.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Impair } from './lib/impair.mjs';
import { ask, metric, openOpus, speaker, startOpus } from './lib/opus_stack.mjs';
import { count } from './lib/paths.mjs';
import { sleep } from './lib/process.mjs';

const POLICY = () => 'voice_model gpt-realtime m;\nvoice_opus on bitrate=32k;\n' +
    'voice_buffer aggressive;\nvoice_ping_interval 300ms;\n';

const quality = (client, level, timeoutMs = 20000) => client.next('voice.quality',
    (event) => event.level === level, { timeoutMs });

// Mean bytes of the packets of a stretch of time, without those of pauses.
function meanBytes(client, from, to = Infinity) {
    const sizes = client.packets.filter(({ at, bytes }) => at >= from && at < to && bytes > 32)
        .map(({ bytes }) => bytes - 8);
    assert.ok(sizes.length > 20, `${sizes.length} packets`);
    return sizes.reduce((sum, bytes) => sum + bytes, 0) / sizes.length;
}

const changes = (client) => client.events.filter(({ type }) => type === 'voice.quality')
    .map(({ level }) => level).filter((level, i, all) => level !== all[i - 1]);

test('R6.3 lines that get bad and good again', { concurrency: 3, timeout: 120000 }, async (t) => {
    const env = await startOpus(t, { policy: POLICY,
        upstream: { script: speaker({ paceMs: 95 }) } });
    const open = async (options) => {
        const line = await Impair.start(t, { to: { port: env.stack.nginx.port } });
        return { line, ...await openOpus(t, env, { port: line.port, ...options }) };
    };

    await Promise.all([
        t.test('R6.3 a long way, told by pings alone', async () => {
            const { client, line } = await open({ stats: false });
            await ask(client, 40000);
            await sleep(1500);
            const begin = performance.now();
            assert.equal(client.voice.opus.bitrate, 32000);
            line.set({ delayMs: 320 });
            const low = await quality(client, 'low');
            assert.equal(low.bitrate, 18000);
            assert.equal(low.buffer_profile, 'conservative');
            assert.ok(low.expected_loss >= 15);
            const lowFrom = performance.now() + 700;
            await sleep(2700);
            const lowTo = performance.now();
            line.clear();
            const medium = await quality(client, 'medium');
            assert.equal(medium.bitrate, 24000);
            assert.equal(medium.buffer_profile, 'balanced');
            const high = await quality(client, 'high');
            assert.equal(high.bitrate, 32000);
            assert.equal(high.buffer_profile, 'aggressive');
            await sleep(2000);
            const sizes = [meanBytes(client, 0, begin), meanBytes(client, lowFrom, lowTo),
                meanBytes(client, performance.now() - 1500)];
            t.diagnostic(`mean bytes of a packet: ${sizes.map((n) => n.toFixed(0)).join(' → ')}`);
            assert.ok(sizes[1] < sizes[0] * 0.85, `packets shrink: ${sizes}`);
            assert.ok(sizes[2] > sizes[1] * 1.15, `and grow again: ${sizes}`);
        }),

        t.test('R6.3 stalls: the buffer grows, and shrinks again', async () => {
            const { client, line } = await open({ statsMs: 200 });
            await ask(client, 40000);
            await sleep(1500);
            const { target_ms: before } = client.voice.buffer;
            line.set({ stallMs: 250, everyMs: 700 });
            const worse = await client.next('voice.quality',
                (event) => event.buffer_target_ms >= before + 60);
            line.clear();
            const better = await client.next('voice.quality', (event) =>
                event.buffer_target_ms <= worse.buffer_target_ms - 20, { timeoutMs: 40000 });
            t.diagnostic(`target ${before} → ${worse.buffer_target_ms} → ` +
                `${better.buffer_target_ms} ms, ${client.player.underruns} underruns`);
        }),

        t.test('R6.3 a narrow line: less is sent, and it still gets through', async () => {
            // A busy test machine has both by itself.
            const { client, line } = await open({ statsWithout: ['jitter_ms', 'underruns'] });
            await ask(client, 40000);
            await sleep(1500);
            line.set({ bytesPerS: count(3000, 2600) }, 'down');
            const worse = await client.next('voice.quality', (event) => event.level !== 'high',
                { timeoutMs: 25000 });
            assert.ok(worse.bitrate < 32000);
            line.clear();
            await quality(client, 'high', 40000);
            assert.equal(client.closed, null);
            t.diagnostic(`${changes(client).join(' → ')}, ${client.player.lost} packets dropped`);
        }),
    ]);
    for (const level of ['low', 'medium', 'high']) {
        assert.ok(await metric(env.stack, `voiced_quality_changes_total{level="${level}"}`) > 0,
            level);
    }
});
