// SPDX-License-Identifier: BSD-2-Clause
//
// A client that takes little or nothing: sound is dropped, oldest first; events
// never are; and who takes none for ten seconds is closed.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Impair } from './lib/impair.mjs';
import { ask, metric, openOpus, startOpus } from './lib/opus_stack.mjs';
import { count } from './lib/paths.mjs';
import { sleep, until } from './lib/process.mjs';
import { newId } from './lib/upstream_shapes.mjs';

const stallMs = count(8000, 9500);

// A stack that clients reach over a line with next to no room in it.
async function startTight(t, options) {
    const env = await startOpus(t, { stack: { server: 'listen unix:client.sock sndbuf=4k;' },
        ...options });
    env.line = () => Impair.start(t, { to: { path: join(env.stack.nginx.dir, 'client.sock') } });
    return env;
}

const told = (events) => events.map(({ event_id: id }) => id);

test('R2.4 clients that take nothing', { concurrency: 3, timeout: 120000 }, async (t) => {
    const env = await startTight(t);
    const open = async (options) => {
        const line = await env.line();
        return { line, ...await openOpus(t, env, { port: line.port, ...options }) };
    };

    await Promise.all([
        t.test(`R2.4 ${stallMs} ms: sound is dropped and covered, every event comes`, async () => {
            const { client, conn, line } = await open();
            const sent = conn.sent.length;
            const { first } = await ask(client, 20000);
            await sleep(500);
            line.freeze('down');
            await sleep(stallMs);
            const before = client.packets.length;
            line.thaw('down');
            await client.next('response.done');
            await client.next('output_audio_buffer.stopped', undefined, { timeoutMs: 40000 });
            assert.equal(client.closed, null);
            const wanted = conn.sent.slice(sent)
                .filter(({ type }) => type !== 'response.output_audio.delta');
            const mine = new Set(told(wanted));
            assert.deepEqual(told(client.events.filter(({ event_id: id }) => mine.has(id))),
                told(wanted), 'every event, in order');

            const packets = client.packets.filter(({ timestamp }) => timestamp >= first);
            const heard = packets.reduce((sum, { samples }) => sum + samples, 0) / 48;
            t.diagnostic(`${client.player.lost} packets dropped, ${heard} of 20000 ms came, ` +
                `${client.packets.length - before} packets after the stall`);
            assert.ok(client.player.lost > 0, 'something was dropped');
            assert.ok(heard > 20000 - stallMs - 1500, `${heard} ms came`);
            const end = packets.at(-1);
            assert.ok(Math.abs((end.timestamp + end.samples - first) / 48 - 20000) < 200,
                'what was dropped took its time');
        }),

        t.test('R2.4 who takes no events for ten seconds is closed with 1013', async () => {
            const { client, conn, line } = await open({ stats: false });
            line.freeze('down');
            for (let i = 0; i < 40; i++) {
                conn.session.addItem({ id: newId('item_'), type: 'message', role: 'user',
                    status: 'completed',
                    content: [{ type: 'input_text', text: 'x'.repeat(20000) }] });
                await sleep(5);
            }
            const summary = await env.stack.voiced.summary(client.sessionId, 30000);
            assert.equal(summary.ended, 'slow_client');
            line.thaw('down');
            const { code } = await client.waitClosed();
            assert.equal(code, 1013);
        }),

        t.test('R2.4 another client beside them notices nothing', async () => {
            const { client } = await openOpus(t, env);
            for (let i = 0; i < 4; i++) {
                const { id } = await ask(client, 1500);
                await client.next('output_audio_buffer.stopped', (e) => e.response_id === id);
            }
            assert.equal(client.player.lost, 0);
        }),
    ]);
    assert.ok(await metric(env.stack, 'voiced_opus_dropped_total') > 0);
});
