// SPDX-License-Identifier: BSD-2-Clause
//
// Runs a case of autobahn_cases.mjs and its neighbours against a server that
// echoes: throws where the server did anything else than the case says.

import assert from 'node:assert/strict';
import { clientFragments, clientFrame, openClient } from './autobahn_client.mjs';
import { BINARY, CLOSE, PONG, TEXT, closePayload } from './frames.mjs';
import { sleep, within } from './process.mjs';

const QUIET_MS = 150;
const EVENT_MS = 10000; // for whatever must come

const nextTurn = () => new Promise((done) => setImmediate(done));

function describe(event) {
    const { type, data, code, reason } = event;
    if (type === 'close') {
        return `Close ${code} ${reason}`;
    }
    return data === undefined ? type
        : `${type} of ${data.length} octets ${data.toString('hex', 0, 16)}`;
}

// What the server sent, taken one by one; pings of its own are answered.
class Events {
    #client;
    #pending = null;

    constructor(client, eventMs) {
        this.#client = client;
        this.eventMs = eventMs;
    }

    // The next one that counts, or null when there is none in time.
    async next(timeoutMs = this.eventMs) {
        for (;;) {
            this.#pending ??= this.#ask();
            const event = await within(this.#pending, timeoutMs);
            if (event === null) {
                return null;
            }
            this.#pending = null;
            if (event.type !== 'ping') {
                return event;
            }
            this.#client.write(clientFrame({ op: PONG, data: event.data }));
        }
    }

    // It may outlive its case, and then fail unheard.
    #ask() {
        const event = this.#client.next(600000);
        event.catch(() => {});
        return event;
    }

    async expect(wanted) {
        const [[type, data]] = Object.entries(wanted);
        const event = await this.next();
        assert.ok(event, `no ${type} came`);
        assert.equal(event.type, type, `${describe(event)} instead of ${type}`);
        assert.ok(event.data.equals(Buffer.from(data)), `${describe(event)} instead of ` +
            describe({ type, data: Buffer.from(data) }));
        return event;
    }

    async close(code) {
        const event = await this.next();
        assert.ok(event, 'no Close came');
        assert.equal(event.type, 'close', `${describe(event)} instead of Close`);
        assert.equal(event.code, code, `${describe(event)} instead of Close ${code}`);
    }

    async end() {
        const event = await this.next();
        assert.equal(event?.type, 'gone', 'the server did not end the connection');
    }
}

// Frames on their way: those that share a segment wait for the others.
class Sender {
    #held = [];

    constructor(client) {
        this.client = client;
    }

    async frame(frame) {
        const bytes = clientFrame(frame);
        if (frame.chop) {
            await this.flush();
            await this.chops(bytes, frame.chop);
        } else {
            this.#held.push(bytes);
            if (frame.own) {
                await this.flush();
            }
        }
    }

    // Each piece is its own write; the socket has no Nagle. Single octets get
    // time to be read alone.
    async chops(bytes, size) {
        for (let at = 0; at < bytes.length; at += size) {
            this.client.socket.write(bytes.subarray(at, at + size));
            await (size === 1 ? sleep(1) : nextTurn());
        }
    }

    async flush() {
        if (this.#held.length > 0) {
            this.client.socket.write(Buffer.concat(this.#held.splice(0)));
            await nextTurn();
        }
    }
}

// Steps of a case; gives what of `expect` has come already.
async function sendSteps(test, sender, events) {
    let got = 0;
    let part = null;
    for (const step of test.send) {
        if (step.begin) {
            const bytes = clientFrame(step.begin);
            const head = bytes.length - step.begin.data.length;
            part = { bytes, at: head + step.bytes };
            sender.client.socket.write(bytes.subarray(0, part.at));
        } else if (step.rest) {
            sender.client.socket.write(part.bytes.subarray(part.at, part.at + step.rest));
            part.at += step.rest;
        } else if (step.quiet) {
            await sender.flush();
            const event = await events.next(QUIET_MS);
            assert.equal(event, null, event && `${describe(event)} too early`);
        } else if (step.fails) {
            await sender.flush();
            return { got, stopped: true };
        } else if (step.pongs) {
            await sender.flush();
            for (let i = 0; i < step.pongs; i++) {
                await events.expect(test.expect[got++]);
            }
        } else {
            await sender.frame(step);
        }
    }
    await sender.flush();
    return { got, stopped: false };
}

async function expectAll(test, got, events) {
    if (!test.mayLack) {
        for (const wanted of test.expect.slice(got)) {
            await events.expect(wanted);
        }
        await events.close(test.close.code);
        return;
    }
    for (const wanted of [...test.expect, null]) {
        const event = await events.next();
        assert.ok(event, 'no Close came');
        if (event.type === 'close') {
            assert.equal(event.code, test.close.code);
            return;
        }
        assert.ok(wanted && event.type in wanted && event.data.equals(Buffer.from(
            wanted[event.type])), `${describe(event)} is not an echo`);
    }
    assert.fail('no Close came');
}

const sendClose = (client, code) => client.socket.write(
    clientFrame({ op: CLOSE, data: closePayload(code) }));

// A case that is a list of frames.
async function runFrames(test, client, events) {
    const { got } = await sendSteps(test, new Sender(client), events);
    const { by, code, sent } = test.close;
    if (by === 'us' && !sent) {
        for (const wanted of test.expect.slice(got)) {
            await events.expect(wanted);
        }
        sendClose(client, code);
        await events.close(code);
    } else {
        await expectAll(test, got, events);
        if (by === 'server') {
            sendClose(client, code);
        }
    }
    await events.end();
}

// size octets of `fill`, repeated.
function filled({ fill, size }) {
    return size === 0 ? Buffer.alloc(0) : Buffer.alloc(size, fill);
}

// A case that sends a message of some size, once or `times`, each after the
// echo of the one before.
async function runBig({ big }, client, events) {
    const sender = new Sender(client);
    const data = filled(big);
    const op = big.kind === 'text' ? TEXT : BINARY;
    for (let i = 0; i < (big.times ?? 1); i++) {
        const bytes = clientFragments({ op, data }, big.fragment);
        if (big.chop) {
            await sender.chops(bytes, big.chop);
        } else {
            client.socket.write(bytes);
        }
        await events.expect({ [big.kind]: data });
    }
    sendClose(client, 1000);
    await events.close(1000);
    await events.end();
}

// A case of autobahn_deflate.mjs: `times` messages, cut from a data set.
async function runDeflate(test, client, events, times) {
    const { deflate } = client.reader;
    const messages = test.messages();
    let octets = 0;
    for (let i = 0; i < times; i++) {
        const data = messages.next().value;
        octets += data.length;
        client.socket.write(clientFragments({ op: test.kind === 'text' ? TEXT : BINARY,
            data: deflate.pack(data), rsv: 4 }, test.fragment));
        await events.expect({ [test.kind]: data });
    }
    sendClose(client, 1000);
    await events.close(1000);
    await events.end();
    return { octets, extensions: client.extensions, packed: client.reader.packed,
        wire: client.reader.wire };
}

// Resolves to what there is to know of a case of compression, else to
// nothing. `times`: messages of such a case.
export async function runCase(test, { port, path, times = test.times, eventMs = EVENT_MS }) {
    const client = await openClient(port, { path, offers: test.offers, accept: test.accept });
    const events = new Events(client, eventMs);
    try {
        if (test.offers) {
            return await runDeflate(test, client, events, times);
        }
        return await (test.big ? runBig : runFrames)(test, client, events);
    } finally {
        client.destroy();
    }
}
