// SPDX-License-Identifier: BSD-2-Clause
//
// The servers that are compared: NGINX with our module before voiced, and
// NGINX's own tunnel before Node's `ws`. Each has one worker, pinned to the
// last processor; everything else runs where the kernel likes.

import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { Certs } from '../../integration/lib/certs.mjs';
import { Nginx } from '../../integration/lib/nginx.mjs';
import { conf, makeDir } from '../../integration/lib/paths.mjs';
import { Process, defer, until } from '../../integration/lib/process.mjs';
import { Voiced } from '../../integration/lib/voiced.mjs';
import { nodeEcho, nodeUpstream, plainLibfcgi } from './measure.mjs';

// What node:test gives a test: a place for teardowns.
export class Scope {
    #steps = [];

    after(step) {
        this.#steps.push(step);
    }

    async end() {
        for (const step of this.#steps.reverse()) {
            await step();
        }
    }
}

export async function scoped(work) {
    const scope = new Scope();
    try {
        return await work(scope);
    } finally {
        await scope.end();
    }
}

function pin() {
    const count = cpus().length;
    return count < 2 ? '' : `worker_cpu_affinity ${'1'.padEnd(count, '0')};`;
}

// What the shipped configuration includes, by the names it uses.
const files = {
    'voice.conf': readFileSync(join(conf, 'voice.conf'), 'utf8'),
    voice_params: readFileSync(join(conf, 'voice_params'), 'utf8'),
    fastcgi_params: readFileSync('/etc/nginx/fastcgi_params', 'utf8'),
};

async function nginx(scope, http) {
    const server = await Nginx.start(scope, { main: pin(), http, files, level: 'warn' });
    const [worker] = server.workers();
    return { target: `127.0.0.1:${server.port}`, worker, master: server.process.pid };
}

const serverOf = voiced => until(() => voiced.serverPid(), 'the server process');

const limits = { max_sessions: 20000, max_parked: 1024 };

// path /v1/realtime: sessions, echoing ones when asked for.
export async function ourStack(scope, { echo = true, loops = 1 } = {}) {
    const voiced = await Voiced.start(scope, { auth: 'none',
        settings: { ...limits, loops, log: { level: 'warn' },
            bench: { echo: echo ? 'yes' : 'no' } } });
    const front = await nginx(scope, ({ port }) => `
        upstream voice { server unix:${voiced.socket}; }
        server {
            listen 127.0.0.1:${port} backlog=4096;
            access_log off;
            voice_model gpt-realtime;
            location = /v1/realtime { voice_pass voice; }
        }`);
    return { ...front, server: await serverOf(voiced), voiced };
}

// deflate: the peer compresses. `direct` is its own socket, without NGINX.
export async function tunnelStack(scope, socket = 'unix', { deflate = false } = {}) {
    const dir = makeDir('peer');
    const where = socket === 'unix' ? join(dir, 'echo.sock') : '0';
    const log = join(dir, 'echo.log');
    const peer = new Process(process.execPath, [nodeEcho, where, JSON.stringify({ deflate })],
        { log, name: 'echo' });
    defer(scope, () => peer.stop());
    await peer.ready(() => existsSync(log) && /\n/.test(peer.log()), 'a listening socket');
    const address = JSON.parse(peer.log().split('\n')[0]);
    const server = socket === 'unix' ? `unix:${where}` : `127.0.0.1:${address.port}`;
    const front = await nginx(scope, ({ port }) => `
        upstream echo { server ${server}; }
        server {
            listen 127.0.0.1:${port} backlog=4096;
            access_log off;
            location = /v1/realtime {
                proxy_pass http://echo;
                proxy_http_version 1.1;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection upgrade;
                proxy_read_timeout 600s;
            }
        }`);
    const direct = socket === 'unix' ? server : `127.0.0.1:${address.port}`;
    return { ...front, server: peer.pid, direct };
}

const keptUpstream = (name, socket) => `
        upstream ${name} { server unix:${socket}; keepalive 64; keepalive_timeout 30s; }`;

// A plain libfcgi program behind the same NGINX, asked by the same parameters.
const plainLocation = gzip => `
            location = /plain { try_files /nonexistent @plain; }
            location @plain {
                include voice_params;
                fastcgi_pass plain;
                ${gzip}
            }`;

async function plainStart(scope, { dir, threads, body }) {
    const socket = join(dir, 'plain.sock');
    const plain = new Process(plainLibfcgi, [socket, String(threads), body],
        { log: join(dir, 'plain.log'), name: 'plain-libfcgi' });
    // libfcgi takes SIGTERM for itself and waits for its next request.
    defer(scope, () => plain.stop('SIGKILL'));
    await plain.ready(() => existsSync(socket), 'a listening socket');
    return plain;
}

// The same request through the same NGINX and the same parameters, to voiced
// and to a plain libfcgi program.
export async function httpStack(scope, { threads = 32 } = {}) {
    const voiced = await Voiced.start(scope, { auth: 'none',
        settings: { ...limits, log: { level: 'warn' } } });
    const dir = makeDir('plain');
    const front = await nginx(scope, ({ port }) => `
        upstream voice { server unix:${voiced.socket}; }
        ${keptUpstream('voice_http', voiced.socket)}
        ${keptUpstream('plain', join(dir, 'plain.sock'))}
        server {
            listen 127.0.0.1:${port} backlog=4096;
            access_log off;
            keepalive_requests 1000000000;
            voice_model gpt-realtime;
            include voice.conf;
            ${plainLocation(`gzip on;
                gzip_vary on;
                gzip_comp_level 6;
                gzip_min_length 1000;
                gzip_types application/json;`)}
        }`);
    const answer = await fetch(`http://${front.target}/health/live`);
    const body = await answer.text();
    if (answer.status !== 200) {
        throw new Error(`/health/live answered ${answer.status} ${body}`);
    }
    const plain = await plainStart(scope, { dir, threads, body });
    return { ...front, server: await serverOf(voiced), plain: plain.pid, voiced };
}

// Tools over HTTP, and "hello" of a plain libfcgi program of 32 threads,
// without gzip. `settings` are voiced's, `tools` the names that HTTP may call.
export async function toolStack(scope, { settings, tools }) {
    const voiced = await Voiced.start(scope, { auth: 'none',
        settings: { ...limits, log: { level: 'warn' }, ...settings } });
    const dir = makeDir('plain');
    const front = await nginx(scope, ({ port }) => `
        ${keptUpstream('voice_http', voiced.socket)}
        ${keptUpstream('plain', join(dir, 'plain.sock'))}
        server {
            listen 127.0.0.1:${port} backlog=4096;
            access_log off;
            keepalive_requests 1000000000;
            voice_model gpt-realtime;
            voice_http_tools ${tools.join(' ')};
            location / {
                include voice_params;
                fastcgi_pass voice_http;
            }
            ${plainLocation('')}
        }`);
    const plain = await plainStart(scope, { dir, threads: 32, body: 'hello' });
    return { ...front, server: await serverOf(voiced), plain: plain.pid, voiced };
}

// The shipped configuration with the offline model, for the parked rows.
// Sessions belong to another tenant than the readers of events, so that each
// new session isn't news for 2,000 of them.
export async function parkedStack(scope) {
    const voiced = await Voiced.start(scope, { auth: 'nginx',
        settings: { ...limits, log: { level: 'warn' } } });
    const front = await nginx(scope, ({ port }) => `
        upstream voice { server unix:${voiced.socket}; }
        ${keptUpstream('voice_http', voiced.socket)}
        server {
            listen 127.0.0.1:${port} backlog=4096;
            access_log off;
            keepalive_requests 1000000000;
            voice_model gpt-realtime;
            location = /v1/realtime {
                voice_param VOICE_TENANT speakers;
                voice_pass voice;
            }
            location / {
                include voice_params;
                fastcgi_param VOICE_TENANT readers;
                fastcgi_pass voice_http;
                fastcgi_read_timeout 75s;
            }
        }`);
    return { ...front, server: await serverOf(voiced), socket: voiced.socket, voiced };
}

// A Realtime server that begins a session after delayMs.
export async function slowUpstream(scope, delayMs) {
    const certs = Certs.get();
    const log = join(makeDir('upstream'), 'log');
    const peer = new Process(process.execPath,
        [nodeUpstream, String(delayMs), certs.keyPath, certs.certPath], { log, name: 'upstream' });
    defer(scope, () => peer.stop());
    await peer.ready(() => existsSync(log) && /\n/.test(peer.log()), 'a listening socket');
    return { ca: certs.caPath, ...JSON.parse(peer.log().split('\n')[0]) };
}

// voiced before that server, over TLS with verification, with so many open
// links (warm) kept for the next session.
export async function remoteStack(scope, upstream, { links }) {
    const voiced = await Voiced.start(scope, { auth: 'none', env: { BENCH_KEY: 'bench-key' },
        settings: { ...limits, log: { level: 'warn' },
            upstream: { slow: { url: `wss://127.0.0.1:${upstream.port}/v1/realtime`,
                key_env: 'BENCH_KEY', ca_file: upstream.ca } },
            warm: { links, secrets: 0, model: 'gpt-realtime' } } });
    const front = await nginx(scope, ({ port }) => `
        upstream voice { server unix:${voiced.socket}; }
        server {
            listen 127.0.0.1:${port} backlog=4096;
            access_log off;
            location = /metrics {
                include voice_params;
                fastcgi_pass voice;
            }
            location = /v1/realtime { voice_pass voice; }
        }`);
    return { ...front, server: await serverOf(voiced), voiced };
}

// voiced before a Realtime server at a port, without TLS; nobody listens there
// but while a load runs. One loop: so many sessions share one as on a machine
// that is full; and no less care for that.
export async function talkStack(scope, { port, opus }) {
    const voiced = await Voiced.start(scope, { auth: 'none', env: { BENCH_KEY: 'bench-key' },
        settings: { ...limits, loops: 1, complexity_cut: 0, log: { level: 'warn' },
            upstream: { talk: { url: `ws://127.0.0.1:${port}/v1/realtime?model={model}`,
                key_env: 'BENCH_KEY' } },
            warm: { links: 0, secrets: 0 } } });
    const front = await nginx(scope, ({ port: own }) => `
        upstream voice { server unix:${voiced.socket}; }
        server {
            listen 127.0.0.1:${own} backlog=4096;
            access_log off;
            location = /metrics {
                include voice_params;
                fastcgi_pass voice;
            }
            location = /v1/realtime {
                voice_opus on bitrate=${opus.bitrate} ptime=${opus.ptime}ms fec=on dtx=off
                    complexity=${opus.complexity};
                voice_pass voice;
            }
        }`);
    return { ...front, supervisor: voiced.pid, server: await serverOf(voiced), voiced };
}
