// SPDX-License-Identifier: BSD-2-Clause
//
// Escapes and abuses of web_fetch through the whole stack: nothing inside is
// ever connected to, and nothing that comes back costs more than its limit.

import assert from 'node:assert/strict';
import http from 'node:http';
import { createServer } from 'node:net';
import test from 'node:test';
import { makePlace, runCases, startTools } from './lib/abuse.mjs';
import { answerPage, webCases } from './lib/abuse_web.mjs';
import { sanitized } from './lib/paths.mjs';
import { defer, fdCount, rssAnonKb, until } from './lib/process.mjs';

const leftKb = 64 * 1024;

// One that must not be connected to, on every address there is.
async function startInner(t) {
    const inner = { connections: 0 };
    const server = createServer((socket) => {
        inner.connections++;
        socket.destroy();
    });
    await new Promise((done) => { server.listen(0, '::', done); });
    inner.port = server.address().port;
    defer(t, () => { server.close(); });
    return inner;
}

async function startOuter(t, inner) {
    const server = http.createServer({ maxHeaderSize: 65536 },
        (request, response) => answerPage(request, response, inner.port));
    await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
    defer(t, () => { server.closeAllConnections(); server.close(); });
    return server.address().port;
}

test('R4.2 R3.5 web_fetch goes nowhere inside', async (t) => {
    const inner = await startInner(t);
    const outer = await startOuter(t, inner);
    const proxy = `http://127.0.0.1:${inner.port}`;
    const tools = await startTools(t, makePlace(t), { tools: ['web_fetch'],
        settings: { tools: { web: 'yes', web_allow: [`127.0.0.1:${outer}`],
            web_timeout: '3s' } },
        voiced: { env: { http_proxy: proxy, https_proxy: proxy, ALL_PROXY: proxy } } });
    const pid = tools.stack.voiced.serverPid();
    const before = { kb: rssAnonKb(pid), fds: fdCount(pid) };
    const cases = webCases({ outer, inner: inner.port });

    assert.ok(cases.length >= 60, `${cases.length} cases`);
    await runCases(t, tools, cases);
    assert.equal(inner.connections, 0);
    if (!sanitized) {
        assert.ok(rssAnonKb(pid) - before.kb < leftKb, `${rssAnonKb(pid) - before.kb} kB`);
    }
    // Connections are kept for the next request.
    await until(() => fdCount(pid) <= before.fds + 24, 'descriptors to be given back');
});
