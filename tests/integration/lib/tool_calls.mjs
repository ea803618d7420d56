// SPDX-License-Identifier: BSD-2-Clause
//
// The program that runs web_fetch and the tools of HTTP tool servers, and a web
// server that answers as a test says and counts who asks.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from './paths.mjs';
import { defer, sanitizerReport, until, within } from './process.mjs';

const program = join(build, 'tests/tool_calls');

export class WebServer {
    // serve(request, response, body)
    static async start(t, serve, { address = '127.0.0.1', port = 0 } = {}) {
        const web = new WebServer(serve);
        await new Promise((done, fail) => {
            web.server.on('error', fail);
            web.server.listen(port, address, done);
        });
        web.port = web.server.address().port;
        web.host = `${address}:${web.port}`;
        defer(t, () => web.stop());
        return web;
    }

    constructor(serve) {
        this.seen = [];
        this.connections = 0;
        this.server = createServer((request, response) => {
            const chunks = [];
            request.on('data', (chunk) => chunks.push(chunk));
            request.on('error', () => {});
            request.on('end', () => {
                const body = Buffer.concat(chunks).toString();
                this.seen.push({ method: request.method, url: request.url,
                    headers: request.headers, body });
                serve(request, response, body);
            });
        });
        this.server.on('connection', () => this.connections++);
    }

    url(path = '/') {
        return `http://${this.host}${path}`;
    }

    stop() {
        this.server.close();
        this.server.closeAllConnections();
    }
}

export class ToolCalls {
    static async start(t, setup = {}, env = {}) {
        assert.ok(existsSync(program), `${program} is missing: make test-programs`);
        const calls = new ToolCalls(setup, env);
        defer(t, () => calls.stop());
        return calls;
    }

    constructor(setup, env) {
        this.answers = new Map();
        this.events = [];
        this.errors = '';
        this.sent = 0;
        this.child = spawn(program, [JSON.stringify(setup)],
            { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
        this.child.stderr.on('data', (data) => { this.errors += data; });
        this.exited = new Promise((done) => this.child.once('exit', (code, signal) =>
            done({ code, signal })));
        createInterface({ input: this.child.stdout }).on('line', (line) => {
            const answer = JSON.parse(line);
            if (answer.number) {
                this.answers.set(answer.number, answer);
            } else {
                this.events.push(answer);
            }
        });
    }

    command(what) {
        this.child.stdin.write(`${JSON.stringify(what)}\n`);
    }

    // Sends; the number to `take` the answer by.
    send(call, args, more) {
        this.command({ call, arguments: args, ...more });
        return ++this.sent;
    }

    async take(number, timeoutMs = 12000) {
        await until(() => this.answers.has(number) || this.child.exitCode !== null,
            `answer ${number}`, timeoutMs);
        assert.ok(this.answers.has(number), `it ended: ${this.child.exitCode}`);
        return this.answers.get(number);
    }

    async call(name, args, more) {
        return this.take(this.send(name, args, more));
    }

    // The next event that is like that; those before it are dropped.
    async event(like, timeoutMs = 20000) {
        let found;
        await until(() => {
            const at = this.events.findIndex(like);
            found = this.events[at];
            if (found) {
                this.events.splice(0, at + 1);
            }
            return found;
        }, `an event ${like}`, timeoutMs);
        return found;
    }

    async stop() {
        if (this.stopped) {
            return;
        }
        this.stopped = true;
        this.child.stdin.end();
        const exit = await within(this.exited, 20000);
        if (!exit) {
            this.child.kill('SIGKILL');
        }
        assert.equal(sanitizerReport(this.errors), null);
        assert.deepEqual(exit, { code: 0, signal: null }, this.errors);
        assert.doesNotMatch(this.errors, /ALERT|alert/);
    }
}
