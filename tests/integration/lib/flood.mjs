// SPDX-License-Identifier: BSD-2-Clause
//
// A client that sends as fast as its socket takes, in a thread of its own, so
// that it slows down nobody here but by what the machine has. What comes back
// is read and thrown away.
//
//     const flood = await Flood.start(t, { port, kind: 'large' });
//     flood.kilobytes()    // that the kernel has taken so far
//     flood.pause(); flood.resume();

import { createConnection } from 'node:net';
import { constants, deflateRawSync } from 'node:zlib';
import { Worker, isMainThread, workerData, parentPort } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { defer, until } from './process.mjs';
import { BINARY, PING, TEXT, handshakeText, masked } from './ws_raw.mjs';

const repeat = (frame, bytes) => Buffer.concat(Array.from(
    { length: Math.ceil(bytes / frame.length) }, () => frame));

// What is sent again and again, in one write each.
export const kinds = {
    large: () => repeat(masked(BINARY, Buffer.alloc(65536)), 1 << 20),
    tiny: () => repeat(masked(TEXT, 'x'), 1 << 20),
    pings: () => repeat(masked(PING, ''), 1 << 20),
    // 64 KB each before compression (RFC 7692, section 7.2.1)
    compressed: () => repeat(masked(BINARY, deflateRawSync(Buffer.alloc(65536, 'voice '),
        { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4), { rsv: 4 }), 4096),
};

const extension = { 'Sec-WebSocket-Extensions':
    'permessage-deflate; client_no_context_takeover; server_no_context_takeover' };

export class Flood {
    #shared = new Int32Array(new SharedArrayBuffer(16));

    static async start(t, { port, path, kind, connections = 1 }) {
        const flood = new Flood();
        const worker = new Worker(fileURLToPath(import.meta.url), { workerData: {
            port, path, kind, connections, shared: flood.#shared } });
        let failed;
        worker.on('error', (error) => { failed = error; });
        flood.end = async () => {
            await worker.terminate();
            if (failed) {
                throw failed;
            }
        };
        defer(t, flood.end);
        await until(() => failed || flood.open === connections, 'a flood');
        return flood;
    }

    // That the kernel has taken, of 1024 bytes each.
    kilobytes() {
        return Atomics.load(this.#shared, 0);
    }

    // Reads of what came back.
    answers() {
        return Atomics.load(this.#shared, 3);
    }

    get open() {
        return Atomics.load(this.#shared, 1);
    }

    pause() {
        Atomics.store(this.#shared, 2, 1);
    }

    resume() {
        Atomics.store(this.#shared, 2, 0);
    }
}

function run({ port, path, kind, connections, shared }) {
    const bytes = kinds[kind]();
    for (let i = 0; i < connections; i++) {
        const socket = createConnection(port, '127.0.0.1');
        const push = () => {
            if (Atomics.load(shared, 2)) {
                setTimeout(push, 5);
                return;
            }
            socket.write(bytes, () => {
                Atomics.add(shared, 0, bytes.length >> 10);
                push();
            });
        };
        socket.once('data', (data) => {
            const answer = data.toString('latin1');
            if (!/^HTTP\/1.1 101/.test(answer) ||
                (kind === 'compressed') !== /permessage-deflate/.test(answer)) {
                throw new Error(`a flood was refused: ${answer.slice(0, 300)}`);
            }
            Atomics.add(shared, 1, 1);
            socket.on('data', () => Atomics.add(shared, 3, 1));
            push();
        });
        socket.write(handshakeText({ path, headers: kind === 'compressed' ? extension : {} }));
    }
}

if (!isMainThread && workerData?.shared && parentPort) {
    run(workerData);
}
