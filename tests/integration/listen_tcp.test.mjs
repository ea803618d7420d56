// SPDX-License-Identifier: BSD-2-Clause
//
// voiced on a TCP address: it serves who knows the secret and nobody else.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { Client, refused, request } from './lib/client.mjs';
import { Nginx } from './lib/nginx.mjs';
import { freePort, voicedBinary } from './lib/paths.mjs';
import { defer, until } from './lib/process.mjs';
import { Voiced } from './lib/voiced.mjs';

const secret = 'correct-horse-battery-staple';
const guesses = { right: secret, wrong: 'correct-horse-battery-stapler', short: 'correct',
    missing: null };

// One virtual host for each guess.
function host(port, name) {
    const given = guesses[name] === null ? '' : `VOICE_SECRET "${guesses[name]}";`;
    return `
        server {
            listen 127.0.0.1:${port};
            server_name ${name};
            voice_model gpt-realtime;
            location = /v1/realtime { voice_pass voice; ${given && `voice_param ${given}`} }
            location / {
                include /etc/nginx/fastcgi_params;
                fastcgi_keep_conn on;
                fastcgi_pass voice_http;
                ${given && `fastcgi_param ${given}`}
            }
        }`;
}

async function startTcp(t) {
    const options = Voiced.prepare();
    const secretFile = join(options.dir, 'secret');
    writeFileSync(secretFile, `${secret}\n`);
    const tcp = `127.0.0.1:${await freePort()}`;
    const voiced = await Voiced.start(t,
        { settings: { listen: { unix: '', tcp, secret_file: secretFile } } });
    const nginx = await Nginx.start(t, { http: ({ port }) => `
        upstream voice { server ${tcp}; }
        upstream voice_http { server ${tcp}; keepalive 4; }
        ${Object.keys(guesses).map((name) => host(port, name)).join('')}` });
    return { voiced, nginx };
}

test('voiced on TCP', async (t) => {
    const { voiced, nginx } = await startTcp(t);
    const { port } = nginx;

    await t.test('the right secret opens a session', async (t) => {
        const client = await Client.connect(t, { port, headers: { Host: 'right' } });
        await client.next('session.created');
        assert.equal((await client.close()).code, 1000);
    });

    await t.test('the right secret is asked for with every request', async () => {
        for (let i = 0; i < 5; i++) {
            const { status } = await request(port, '/health', { headers: { Host: 'right' } });
            assert.equal(status, 200);
        }
    });

    for (const name of ['wrong', 'short', 'missing']) {
        await t.test(`a ${name} secret is 403`, async () => {
            const headers = { Host: name };
            for (const answer of [await refused({ port, headers }),
                await request(port, '/health', { headers })]) {
                assert.equal(answer.status, 403);
                assert.equal(answer.json.error.code, 'wrong_secret');
                assert.ok(answer.headers['x-request-id']);
            }
        });
    }

    await t.test('a client can not bring it itself', async () => {
        const headers = { Host: 'missing', 'VOICE-SECRET': secret };
        assert.equal((await request(port, '/health', { headers })).status, 403);
    });

    await t.test('it is in no log', () => {
        for (const text of [voiced.log(), readFileSync(nginx.errorLogPath, 'latin1')]) {
            assert.ok(!text.includes(secret));
        }
    });
});

test('TCP without a secret is a configuration error', async () => {
    const voiced = Voiced.prepare({ settings: { listen: { tcp: '127.0.0.1:9000' } } });
    const { code, stderr } = await voiced.check('-t');
    assert.notEqual(code, 0);
    assert.match(stderr, /tcp.*secret_file/);
});

test("a TCP socket of systemd's demands the secret too", async (t) => {
    const voiced = Voiced.prepare();
    const listener = createServer();
    await new Promise((done) => listener.listen(0, '127.0.0.1', done));
    const child = spawn('/bin/sh', ['-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"',
        voicedBinary, '-c', voiced.configPath],
    { detached: true, stdio: ['ignore', 'ignore', 'pipe', listener._handle] });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (data) => { log += data; });
    const exited = new Promise((done) => child.once('exit', done));
    defer(t, async () => {
        child.kill('SIGTERM');
        await exited;
        listener.close();
    });
    await until(() => /a TCP socket demands a secret_file/.test(log), 'the refusal');
    assert.doesNotMatch(log, /state=ready/);
});
