// SPDX-License-Identifier: BSD-2-Clause
//
// Other people's clients with the face of ours: `SdkClient` is the official
// npm package `openai`, `NativeClient` is Node's own WebSocket, which
// authenticates as browsers do.

import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { Talker } from './client.mjs';
import { defer } from './process.mjs';

export class SdkClient extends Talker {
    // `baseURL` as an application gives it: https://host/v1
    static async connect(t, { baseURL, tls, key = 'none', model = 'gpt-realtime' }) {
        const client = new SdkClient();
        const api = new OpenAI({ apiKey: key, baseURL });
        client.realtime = new OpenAIRealtimeWS({ model, options: tls }, api);
        client.errors = [];
        client.realtime.on('error', (error) => client.errors.push(error));
        client.realtime.on('event', (event) => client.receive(event));
        const { socket } = client.realtime;
        socket.on('close', (code, reason) => client.end(code, reason.toString()));
        defer(t, () => client.teardown());
        await new Promise((done, fail) => {
            socket.once('open', done);
            socket.once('error', fail);
        });
        return client;
    }

    send(event) {
        this.realtime.send(event);
    }

    hangUp(code, reason) {
        this.realtime.close({ code, reason });
    }

    kill() {
        this.realtime.socket.terminate();
    }
}

export class NativeClient extends Talker {
    // `protocols` as a browser offers them: realtime, then the key.
    static async connect(t, { url, protocols }) {
        const client = new NativeClient();
        client.socket = new WebSocket(url, protocols);
        client.socket.addEventListener('message', (m) => client.receive(JSON.parse(m.data)));
        client.socket.addEventListener('close', (c) => client.end(c.code, c.reason));
        defer(t, () => client.teardown());
        await new Promise((done, fail) => {
            client.socket.addEventListener('open', done);
            client.socket.addEventListener('error', (e) => fail(new Error(e.message)));
        });
        return client;
    }

    transmit(text) {
        this.socket.send(text);
    }

    hangUp(code, reason) {
        this.socket.close(code, reason);
    }

    kill() {
        this.socket.close();
    }
}
