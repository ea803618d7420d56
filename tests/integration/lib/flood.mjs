// SPDX-License-Identifier: BSD-2-Clause
//
// A client that sends as fast as its socket takes, in a thread of its own, so
// that it slows down nobody here but by what the machine has. What comes back
// is read and thrown away.
//
//     const flood = await Flood.start(t, { port, kind: 'large' });
//     flood.sent()     // bytes that the kernel has taken so far
//     flood.pause(); flood.resume();

import { createConnection } from 'node:net';
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
};

export class Flood {
    #shared = new Int32Array(new SharedArrayBuffer(12));

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

    // Of 1024 bytes each.
    kilobytes() {
        return Atomics.load(this.#shared, 0);
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
            if (!/^HTTP\/1.1 101/.test(data.toString('latin1'))) {
                throw new Error(`a flood was refused: ${data.toString('latin1', 0, 100)}`);
            }
            Atomics.add(shared, 1, 1);
            socket.on('data', () => {});
            push();
        });
        socket.write(handshakeText({ path }));
    }
}

if (!isMainThread && workerData?.shared && parentPort) {
    run(workerData);
}
