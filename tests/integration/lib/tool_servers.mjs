// SPDX-License-Identifier: BSD-2-Clause
//
// Servers of tools, and mcp_probe, which mounts them without the rest of
// voiced: a line of JSON in is a command, a line out what happened.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build, freePort, makeDir, patience, root } from './paths.mjs';
import { childrenOf, defer, sanitizerReport, until, within } from './process.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const packages = join(root, 'tests/node_modules/@modelcontextprotocol');
export const probeBinary = join(build, 'tests/mcp_probe');
export const conformance = join(packages, 'conformance/dist/index.js');

const quoted = (text) => `"${String(text).replace(/["\\$]/g, '\\$&')}"`;
const list = (items) => `{ ${items.map(quoted).join(', ')} }`;

// Programs that a `command` starts.
export const everythingCommand = [process.execPath,
    join(packages, 'server-everything/dist/index.js'), 'stdio'];
export const filesystemCommand = (dir) => [process.execPath,
    join(packages, 'server-filesystem/dist/index.js'), dir];
export const scripted = (name, ...args) => [process.execPath, join(here, `${name}.mjs`), ...args];

// { name: { mcp | command | http, … } } as sections of voiced.conf.
export function sections(servers) {
    const lines = [];
    for (const [name, keys] of Object.entries(servers)) {
        lines.push(`tool_server ${name} {`);
        for (const [key, value] of Object.entries(keys)) {
            lines.push(`    ${key} = ${Array.isArray(value) ? list(value) : quoted(value)}`);
        }
        lines.push('}');
    }
    return `${lines.join('\n')}\n`;
}

export class Probe {
    // servers: for sections(); more: further text of the configuration
    static start(t, servers, { more = '', env = {} } = {}) {
        assert.ok(existsSync(probeBinary), `${probeBinary} is missing: make test-programs`);
        const path = join(makeDir('probe'), 'voiced.conf');
        writeFileSync(path, sections(servers) + more);
        const probe = new Probe(path, env);
        defer(t, () => probe.stop());
        return probe;
    }

    constructor(path, env) {
        this.lines = [];
        this.log = '';
        this.calls = 0;
        this.child = spawn(probeBinary, ['-c', path], {
            stdio: ['pipe', 'pipe', 'pipe'],
            env: { ...process.env, ...env },
        });
        this.child.stderr.on('data', (data) => { this.log += data; });
        this.exited = new Promise((done) => this.child.once('exit', (code, signal) =>
            done({ code, signal })));
        createInterface({ input: this.child.stdout }).on('line', (line) =>
            this.lines.push(JSON.parse(line)));
    }

    command(what) {
        this.child.stdin.write(`${JSON.stringify(what)}\n`);
    }

    // The first line not taken yet that fits; it is taken.
    async take(fits, what, timeoutMs = 20000) {
        let found;
        await until(() => {
            const at = this.lines.findIndex(fits);
            found = at >= 0 ? this.lines.splice(at, 1)[0] : undefined;
            return found;
        }, () => `${what}\n${this.log}\n${JSON.stringify(this.lines)}`, patience(timeoutMs));
        return found;
    }

    // The tools of a server, when it next tells them.
    async tools(server, timeoutMs) {
        const line = await this.take((l) => l.event === 'tools' && l.server === server,
            `tools of ${server}`, timeoutMs);
        return line.tools;
    }

    begin(name, args = {}, timeout_ms = undefined) {
        const id = `c${++this.calls}`;
        this.command({ call: name, id, arguments: args, timeout_ms });
        return id;
    }

    end(id, timeoutMs) {
        return this.take((l) => l.event === 'done' && l.id === id, `end of ${id}`, timeoutMs);
    }

    call(name, args, timeout_ms) {
        return this.end(this.begin(name, args, timeout_ms));
    }

    progress(id) {
        return this.take((l) => l.event === 'progress' && l.id === id, `progress of ${id}`);
    }

    async report() {
        this.command({ report: true });
        return this.take((l) => l.event === 'report', 'a report');
    }

    // Until that server is in that state.
    async state(name, state, timeoutMs = 20000) {
        await until(async () => (await this.report()).servers
            .find((server) => server.name === name)?.state === state,
        () => `${name} ${state}\n${this.log}`, patience(timeoutMs));
    }

    children() {
        return childrenOf(this.child.pid);
    }

    // Clean, whatever is under way: no child is left, sanitizers are silent.
    async stop() {
        if (this.stopped) {
            return;
        }
        this.stopped = true;
        const children = this.children();
        this.child.stdin.end();
        const exit = await within(this.exited, patience(20000));
        if (!exit) {
            this.child.kill('SIGKILL');
        }
        assert.equal(sanitizerReport(this.log), null);
        assert.deepEqual(exit, { code: 0, signal: null }, this.log);
        assert.doesNotMatch(this.log, / alert /);
        for (const pid of children) {
            assert.ok(!existsSync(`/proc/${pid}`), `child ${pid} is left`);
        }
    }
}

// server-everything behind an address. Can be stopped and started again.
export class EverythingHttp {
    static async start(t, { listens = true } = {}) {
        const server = new EverythingHttp(await freePort());
        defer(t, () => server.stop());
        if (listens) {
            await server.run();
        }
        return server;
    }

    constructor(port) {
        this.port = port;
        this.url = `http://127.0.0.1:${port}/mcp`;
    }

    async run() {
        let said = '';
        this.child = spawn(process.execPath,
            [join(packages, 'server-everything/dist/index.js'), 'streamableHttp'],
            { env: { ...process.env, PORT: this.port }, stdio: ['ignore', 'pipe', 'pipe'] });
        this.child.stdout.on('data', (data) => { said += data; });
        this.child.stderr.on('data', (data) => { said += data; });
        await until(async () => fetch(this.url).then(() => true, () => false),
            () => `server-everything: ${said}`, patience(15000));
    }

    async stop() {
        const child = this.child;
        this.child = undefined;
        if (child && child.exitCode === null) {
            const gone = new Promise((done) => child.once('exit', done));
            child.kill('SIGKILL');
            await gone;
        }
    }
}

// An MCP server of our own script: `answer(message, request, response)` gives
// the body of a JSON answer, or answers by itself and gives undefined.
export async function scriptedHttp(t, answer) {
    const requests = [];
    const server = createServer((request, response) => {
        let text = '';
        request.on('data', (data) => { text += data; });
        request.on('end', async () => {
            const message = text ? JSON.parse(text) : undefined;
            requests.push({ method: request.method, headers: request.headers, message });
            response.on('error', () => {});
            const body = await answer(message, request, response);
            if (body !== undefined && !response.headersSent) {
                response.setHeader('Content-Type', 'application/json');
                response.end(typeof body === 'string' ? body : JSON.stringify(body));
            }
        });
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    defer(t, () => {
        server.closeAllConnections();
        server.close();
    });
    return { requests, url: `http://127.0.0.1:${server.address().port}/mcp` };
}

const result = (message, value) => ({ jsonrpc: '2.0', id: message.id, result: value });

// The legacy handshake and one tool; `more` answers the rest or comes first
// when it gives something.
export const legacy = (more, { session } = {}) => async (message, request, response) => {
    const own = await more?.(message, request, response);
    if (own !== undefined || response.headersSent) {
        return own;
    }
    if (!message) {
        response.writeHead(405).end();
        return undefined;
    }
    switch (message.method) {
    case 'initialize':
        if (session) {
            response.setHeader('Mcp-Session-Id', session());
        }
        return result(message, {
            protocolVersion: '2025-11-25',
            capabilities: { tools: { listChanged: true } },
            serverInfo: { name: 'scripted', version: '1' },
        });
    case 'tools/list':
        return result(message, { tools: [{ name: 'go', inputSchema: { type: 'object' } }] });
    case 'tools/call':
        return result(message, { content: [{ type: 'text', text: 'gone' }] });
    default:
        if (message.id === undefined) {
            response.writeHead(202).end();
            return undefined;
        }
        return { jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'unknown' } };
    }
};
export { result };
