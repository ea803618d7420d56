// SPDX-License-Identifier: BSD-2-Clause
//
// web_fetch and an HTTP tool server through NGINX and voiced, as they are
// configured.

import assert from 'node:assert/strict';
import test from 'node:test';
import { until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { WebServer } from './lib/tool_calls.mjs';

test('R3.1 web_fetch and the tools of an HTTP tool server over HTTP', async (t) => {
    let pages = 0;
    const web = await WebServer.start(t, (request, response, body) => {
        if (request.url === '/tools') {
            response.end(JSON.stringify({ tools: [{ name: 'shout', read_only: true,
                parameters: { type: 'object', properties: { text: { type: 'string' } } } }] }));
        } else if (request.url === '/execute/shout') {
            response.end(JSON.stringify({ success: true,
                output: { text: JSON.parse(body).text.toUpperCase() } }));
        } else if (request.url === '/inside') {
            response.writeHead(302, { location: 'http://127.0.0.3:80/' });
            response.end();
        } else {
            pages++;
            response.writeHead(200, { 'content-type': 'text/html' });
            response.end('<title>T</title><h1>Seen</h1>');
        }
    });
    const stack = await startStack(t, {
        voiced: { settings: { tools: { web_allow: `127.0.0.1:${web.port}` },
            tool_server: { amp: { http: web.url('').replace(/\/$/, ''), trusted: 'yes' } } } },
        policy: 'voice_model gpt-realtime; voice_http_tools web_fetch shout;' });
    const run = async (name, args) => {
        const text = JSON.stringify(args);
        const answer = await stack.request(`/v1/tools/${name}`, { method: 'POST', body: text,
            headers: { 'content-type': 'application/json',
                'content-length': Buffer.byteLength(text) } });
        return { status: answer.status, ...JSON.parse(answer.text ?? answer.body) };
    };
    const page = await run('web_fetch', { url: web.url('/page') });
    assert.equal(page.success, true, JSON.stringify(page));
    assert.equal(page.output.content, '# Seen');
    assert.equal(page.output.title, 'T');
    assert.equal(page.cached, false);
    const again = await run('web_fetch', { url: web.url('/page') });
    assert.equal(again.cached, true);
    assert.equal(pages, 1, 'it was kept');
    for (const url of [web.url('/inside'), 'http://127.0.0.2/', 'http://169.254.169.254/',
        `http://localhost:${stack.nginx.port}/`]) {
        const refused = await run('web_fetch', { url });
        assert.equal(refused.success, false);
        assert.equal(refused.error.type, 'denied', JSON.stringify(refused));
    }
    await until(async () => (await run('shout', { text: 'x' })).success, 'it to be mounted');
    const shout = await run('shout', { text: 'hey' });
    assert.deepEqual(shout.output, { text: 'HEY' });
    assert.equal((await run('shout', { text: 'hey' })).cached, true);
});
