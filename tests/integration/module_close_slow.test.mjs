// SPDX-License-Identifier: BSD-2-Clause
//
// A client that says Close while much is on its way to it gets every frame
// whole and a Close at the end.

import assert from 'node:assert/strict';
import test from 'node:test';
import { RawSocket, frame } from './lib/client.mjs';
import { BINARY, CLOSE, closePayload } from './lib/frames.mjs';
import { startModule } from './lib/module_kit.mjs';
import { freePort } from './lib/paths.mjs';
import { sleep } from './lib/process.mjs';

const data = Buffer.alloc(60000, 7);

// Sends until the client's Close arrives.
async function flood(session) {
    await session.accept();
    let closed = false;
    const close = session.until('close').then(() => { closed = true; });
    for (let i = 0; i < 400 && !closed; i++) {
        await session.message(BINARY, data);
    }
    await close;
    session.end();
}

test('Close is sent behind a full socket', async (t) => {
    const port = await freePort();
    // A small buffer, so that a block fills it to the last byte now and then.
    await startModule(t, { handler: flood, http: `
        server {
            listen 127.0.0.1:${port} sndbuf=8k;
            location = /v1/realtime { voice_pass voice; }
        }` });
    for (let i = 0; i < 20; i++) {
        const raw = await RawSocket.connect(t, { port });
        assert.equal((await raw.upgrade('/v1/realtime')).status, 101);
        raw.socket.pause();
        await sleep(50);
        await raw.write(frame(CLOSE, closePayload(1000)));
        await sleep(5 * i);
        raw.socket.resume();
        let last;
        do {
            last = await raw.readFrame();
        } while (last.opcode !== CLOSE);
        assert.equal(last.payload.readUInt16BE(0), 1000);
        await raw.waitEnd();
    }
});
