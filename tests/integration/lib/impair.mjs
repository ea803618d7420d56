// SPDX-License-Identifier: BSD-2-Clause
//
// A bad line between a client and nginx, over TCP: whatever it does to bytes,
// they keep their order and none is lost.
//
//     const line = await Impair.start(t, { to: { port: nginx.port } });
//     const client = await OpusClient.connect(t, { port: line.port });
//     line.set({ delayMs: 150, jitterMs: 60 });          // both directions
//     line.set({ bytesPerS: 3000 }, 'down');             // from the server
//     line.set({ stallMs: 400, everyMs: 2000 });         // nothing moves, then all
//     line.freeze('down');                               // until thaw('down')
//     line.clear();                                      // a good line again
//
//     source ─► pause ◄── more than bufferBytes are under way
//        └─► lane: [{ bytes, due }…] ─► line (bytesPerS, stalls) ─► sink
//
// What is under way is at most bufferBytes and two reads, so a slow line is felt
// by the sender as soon as the sockets between are full; they hold 100 KB and
// more, each.

import { connect, createServer } from 'node:net';
import { freePort } from './paths.mjs';
import { defer } from './process.mjs';

const GOOD = { delayMs: 0, jitterMs: 0, bytesPerS: Infinity, bufferBytes: 1 << 20,
    stallMs: 0, everyMs: 0 };
const SLOW_BUFFER = 4096; // of a line with a rate, unless it is told
const PIECE = 512;        // a line with a rate moves this at a time
const AHEAD = 2048;       // what a paused socket of Node reads all the same

// One direction of one connection.
class Lane {
    #queue = [];      // { bytes: Buffer, or null: the end, due }
    #held = 0;        // bytes in it
    #freeAt = 0;      // when the line has moved what it was given
    #lastDue = 0;
    #timer = null;
    #full = false;    // the sink is
    #begin = performance.now();
    moved = 0;

    constructor(source, sink, line) {
        Object.assign(this, { source, sink, line });
        source.on('data', (bytes) => this.#take(bytes));
        source.on('end', () => this.#take(null));
        sink.on('drain', () => { this.#full = false; this.turn(); });
    }

    #take(bytes) {
        const { delayMs, jitterMs, bytesPerS } = this.line;
        const due = performance.now() + delayMs + Math.random() * jitterMs;
        this.#lastDue = Math.max(this.#lastDue, due);
        const step = bytesPerS < Infinity && bytes ? PIECE : bytes?.length ?? 0;
        for (let at = 0; at === 0 || at < bytes?.length; at += step || 1) {
            this.#queue.push({ bytes: bytes && bytes.subarray(at, at + step), due: this.#lastDue });
        }
        this.#held += bytes?.length ?? 0;
        this.turn();
    }

    get #room() {
        const { bytesPerS, bufferBytes } = this.line;
        return bytesPerS < Infinity ? Math.min(SLOW_BUFFER, bufferBytes) : bufferBytes;
    }

    // When the head may go: 0 is now.
    #wait(now) {
        const { stallMs, everyMs, bytesPerS } = this.line;
        const { bytes, due } = this.#queue[0];
        const into = everyMs > 0 ? (now - this.#begin) % everyMs : 0;
        if (everyMs > 0 && into > everyMs - stallMs) {
            return everyMs - into;
        }
        const ready = Math.max(due, this.#freeAt - (bytes?.length ?? 0) * 1000 / bytesPerS);
        return Math.max(0, ready - now);
    }

    // Moves what may move, then waits for the next.
    turn() {
        clearTimeout(this.#timer);
        while (this.#queue.length > 0 && !this.#full && !this.line.frozen) {
            const now = performance.now();
            const wait = this.#wait(now);
            if (wait > 0.5) {
                this.#timer = setTimeout(() => this.turn(), wait);
                break;
            }
            this.#move(this.#queue.shift(), now);
        }
        const over = this.#held >= this.#room || this.line.frozen;
        this.source[over ? 'pause' : 'resume']();
    }

    #move({ bytes }, now) {
        if (bytes === null) {
            this.sink.end();
            return;
        }
        this.#freeAt = Math.max(this.#freeAt, now) + bytes.length * 1000 / this.line.bytesPerS;
        this.#held -= bytes.length;
        this.moved += bytes.length;
        this.#full = !this.sink.write(bytes);
    }

    stop() {
        clearTimeout(this.#timer);
        this.#queue = [];
    }
}

export class Impair {
    lines = { up: { ...GOOD, frozen: false }, down: { ...GOOD, frozen: false } };
    lanes = { up: new Set(), down: new Set() };
    #sockets = new Set();

    static async start(t, options) {
        const proxy = new Impair(options);
        proxy.port = await freePort();
        await new Promise((done, fail) => {
            proxy.server.once('error', fail);
            proxy.server.listen(proxy.port, '127.0.0.1', done);
        });
        defer(t, () => proxy.stop());
        return proxy;
    }

    // `to` is what net.connect takes; the rest are settings of both directions.
    constructor({ to, ...settings }) {
        this.to = to;
        this.server = createServer({ allowHalfOpen: true, highWaterMark: AHEAD },
            (socket) => this.#accept(socket));
        this.set(settings);
    }

    #directions(which) {
        return which ? [which] : ['up', 'down'];
    }

    #turn(which) {
        this.lanes[which].forEach((lane) => lane.turn());
    }

    set(settings, which) {
        for (const each of this.#directions(which)) {
            Object.assign(this.lines[each], settings);
            this.#turn(each);
        }
    }

    clear(which) {
        this.set(GOOD, which);
    }

    // Nothing is read or written that way.
    freeze(which) {
        this.set({ frozen: true }, which);
    }

    thaw(which) {
        this.set({ frozen: false }, which);
    }

    // Bytes that went that way, of the connections that are open.
    moved(which) {
        return [...this.lanes[which]].reduce((sum, lane) => sum + lane.moved, 0);
    }

    // The connections are gone without a word.
    cut() {
        this.#sockets.forEach((socket) => (socket.remoteAddress ? socket.resetAndDestroy()
            : socket.destroy()));
    }

    #accept(client) {
        const server = connect({ allowHalfOpen: true, readableHighWaterMark: AHEAD, ...this.to });
        const lanes = { up: new Lane(client, server, this.lines.up),
            down: new Lane(server, client, this.lines.down) };
        Object.entries(lanes).forEach(([which, lane]) => this.lanes[which].add(lane));
        const end = () => {
            for (const [which, lane] of Object.entries(lanes)) {
                lane.stop();
                this.lanes[which].delete(lane);
            }
            client.destroy();
            server.destroy();
        };
        for (const socket of [client, server]) {
            socket.setNoDelay?.(true);
            this.#sockets.add(socket);
            socket.on('error', end);
            socket.on('close', () => {
                this.#sockets.delete(socket);
                if (client.destroyed && server.destroyed) {
                    end();
                }
            });
        }
    }

    async stop() {
        this.#sockets.forEach((socket) => socket.destroy());
        await new Promise((done) => this.server.close(done));
    }
}
