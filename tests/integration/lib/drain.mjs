// SPDX-License-Identifier: BSD-2-Clause
//
// Clients that talk without a pause while NGINX reloads, and the accounts of
// everybody who has counted their messages.

import assert from 'node:assert/strict';
import { Client } from './client.mjs';
import { until } from './process.mjs';

// Numbered, and long enough now and then to be worth compressing.
const textOf = (n) => `${n} ${'talk '.repeat(n % 100)}`;

// Sends message 0, 1, 2, … every intervalMs until its session ends; an echo
// must bring them back in order, without a gap.
export class Talking {
    sent = 0;

    static async start(t, port, { intervalMs = 20, deflate = false } = {}) {
        const talking = new Talking();
        talking.client = await Client.connect(t, { port, checked: false,
            ws: { perMessageDeflate: deflate && { threshold: 0 } } });
        talking.timer = setInterval(() => talking.#talk(), intervalMs);
        t.after(() => clearInterval(talking.timer));
        return talking;
    }

    #talk() {
        const { socket } = this.client;
        if (socket.readyState === socket.OPEN) {
            socket.send(textOf(this.sent++));
        } else {
            clearInterval(this.timer);
        }
    }

    get received() {
        return this.client.events.length;
    }

    get worker() {
        return Number(this.client.responseHeaders['x-worker']);
    }

    assertInOrder() {
        this.client.events.forEach((event, i) => assert.equal(event.text, textOf(i)));
    }
}

// Starts `total` in small groups: a listen queue is no place for a crowd.
export async function startMany(total, one) {
    const all = [];
    while (all.length < total) {
        const few = Math.min(20, total - all.length);
        all.push(...await Promise.all(Array.from({ length: few },
            (_, i) => one(i))));
    }
    return all;
}

// The session's line of NGINX's access log: { code, up, down } (messages).
export async function accessOf(nginx, id) {
    const line = await nginx.accessLine(new RegExp(`session=${id} `));
    const [, code, up, down] = /code=(\d+) up=(\d+)\/\d+ down=(\d+)\//.exec(line).map(Number);
    return { code, up, down };
}

// Whatever NGINX read reached voiced, and whatever voiced said the client.
export async function assertNothingLost(talking, { nginx, voiced, code = 1001, ended }) {
    const { client } = talking;
    const closed = await client.waitClosed(30000);
    assert.equal(closed.code, code, 'a Close frame');
    talking.assertInOrder();
    const id = client.sessionId;
    const [access, summary] = [await accessOf(nginx, id), await voiced.summary(id)];
    assert.equal(access.code, code);
    assert.equal(summary.up_messages, access.up, 'read by NGINX, known to voiced');
    assert.equal(summary.down_messages, summary.up_messages, 'an echo');
    assert.equal(talking.received, summary.down_messages, 'said by voiced, known to the client');
    if (ended) {
        assert.equal(summary.ended, ended);
    }
}

export const workersGone = (nginx, old, timeoutMs = 20000) =>
    until(() => !nginx.workers().some((pid) => old.includes(pid)), 'the old workers to end',
        timeoutMs);

// How many sessions each drain of a worker began with.
export const drained = (nginx) => [...nginx.errorLog().matchAll(/draining (\d+) voice sessions/g)]
    .map(([, n]) => Number(n));

// A reload is over when every old worker has stopped to accept and begun to
// drain; gives their pids.
export async function reload(nginx) {
    const old = nginx.workers();
    await nginx.reload();
    await until(() => old.every((pid) => new RegExp(` ${pid}#\\d+: draining`)
        .test(nginx.errorLog())), 'the old workers to drain');
    return old;
}
