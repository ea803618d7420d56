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

const stallMs = count(6000, 8500);

const told = (events) => events.map(({ event_id: id }) => id);

// Every text event of the upstream's since then has come, in order.
function assertAllCame(client, conn, since) {
    const wanted = conn.sent.slice(since)
        .filter(({ type }) => type !== 'response.output_audio.delta');
    const mine = new Set(told(wanted));
    assert.deepEqual(told(client.events.filter(({ event_id: id }) => mine.has(id))), told(wanted));
    assert.equal(client.closed, null);
}

// More text than the sockets on the way have room for.
async function fill(conn, bytes) {
    for (let i = 0; i < bytes / 40000; i++) {
        conn.session.addItem({ id: newId('item_'), type: 'message', role: 'user',
            status: 'completed', content: [{ type: 'input_text', text: 'x'.repeat(20000) }] });
        await sleep(5);
    }
}

test('R2.4 clients that take nothing', { concurrency: 4, timeout: 120000 }, async (t) => {
    const env = await startOpus(t, { stack: { server: 'listen unix:client.sock;' } });
    const open = async (options) => {
        // Holds less than TCP does.
        const path = join(env.stack.nginx.dir, 'client.sock');
        const line = await Impair.start(t, { to: { path } });
        return { line, ...await openOpus(t, env, { port: line.port, ...options }) };
    };

    await Promise.all([
        t.test('R2.4 who reports has next to nothing on its way, and hears the rest', async () => {
            const { client, conn, line } = await open();
            const since = conn.sent.length;
            const { first } = await ask(client, 14000);
            await sleep(2200);
            line.freeze('down');
            await sleep(8000);
            const before = client.packets.length;
            line.thaw('down');
            await sleep(60);
            const burst = client.packets.length - before;
            assert.ok(burst * 20 < 3500, `${burst} packets came at once`);
            await client.next('output_audio_buffer.stopped', undefined, { timeoutMs: 30000 });
            assertAllCame(client, conn, since);
            const heard = client.packets.filter(({ timestamp }) => timestamp >= first)
                .reduce((sum, { samples }) => sum + samples, 0) / 48;
            t.diagnostic(`${burst} packets on their way, ${heard} of 14000 ms came`);
            assert.ok(heard > 14000 - 8000 - 500, `${heard} ms came`);
        }),

        t.test(`R2.4 pipes full for ${stallMs} ms: sound is dropped, no event`, async () => {
            const { client, conn, line } = await open({ stats: false });
            const since = conn.sent.length;
            const { first } = await ask(client, 14000);
            await sleep(2900); // all of it has come to the gateway
            line.freeze('down');
            await fill(conn, 800000);
            await sleep(stallMs);
            line.thaw('down');
            await client.next('response.done');
            await client.next('output_audio_buffer.stopped', undefined, { timeoutMs: 40000 });
            assertAllCame(client, conn, since);
            const packets = client.packets.filter(({ timestamp }) => timestamp >= first);
            const heard = packets.reduce((sum, { samples }) => sum + samples, 0) / 48;
            t.diagnostic(`${client.player.lost} packets dropped, ${heard} of 14000 ms came`);
            assert.ok(client.player.lost > 0, 'something was dropped');
            assert.ok(heard > 14000 - stallMs - 1500, `${heard} ms came`);
            const end = packets.at(-1);
            assert.ok(Math.abs((end.timestamp + end.samples - first) / 48 - 14000) < 200,
                'what was dropped took its time');
        }),

        t.test('R2.4 who takes no events for ten seconds is closed with 1013', async () => {
            const { client, conn, line } = await open({ stats: false });
            line.freeze('down');
            await fill(conn, 800000);
            await until(() => env.stack.voiced.log().includes('reason=slow_client'), 'the end',
                30000);
            line.thaw('down');
            const { code } = await client.waitClosed();
            assert.equal(code, 1013);
            const summary = await env.stack.voiced.summary(client.sessionId);
            assert.equal(summary.ended, 'slow_client');
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
