// SPDX-License-Identifier: BSD-2-Clause
//
// web_fetch: what it makes of pages, how far it follows, and where it never
// goes.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { ToolCalls, WebServer } from './lib/tool_calls.mjs';
import { defer, sleep, until } from './lib/process.mjs';

// Pages by path: { status, headers, body }.
async function start(t, pages, setup) {
    const web = await WebServer.start(t, (request, response) => {
        const page = pages[request.url] ?? { status: 404, body: 'none' };
        response.writeHead(page.status ?? 200, page.headers ?? { 'content-type': 'text/plain' });
        if (!page.open) {
            response.end(page.body ?? '');
        } else {
            response.write(page.body ?? '');
        }
    });
    const calls = await ToolCalls.start(t, { allow: [`127.0.0.1:${web.port}`], ...setup });
    const fetched = (path, args) => calls.call('web_fetch', { url: web.url(path), ...args });
    return { web, calls, fetched };
}

const failed = (answer, type, why) => {
    assert.equal(answer.type, type, JSON.stringify(answer));
    assert.match(answer.error, why);
};

const html = { 'content-type': 'text/html; charset=utf-8' };

test('R3.1 a page becomes text, with its title', async (t) => {
    const { web, fetched } = await start(t, {
        '/page': { headers: html, body: '<!doctype html><title>The &amp; page</title>'
            + '<script>alert(1)</script><h1>Hello</h1><p>caf\u00e9 <b>au</b> lait</p>' },
        '/json': { headers: { 'content-type': 'application/json' }, body: '{"a": 1}' },
        '/bare': { headers: {}, body: '<html><p>bare' },
        '/latin': { headers: { 'content-type': 'text/plain; charset=ISO-8859-1' },
            body: Buffer.from([0x63, 0x61, 0x66, 0xe9]) },
        '/meta': { headers: { 'content-type': 'text/html' }, body: Buffer.concat([
            Buffer.from('<meta charset="windows-1251"><p>'), Buffer.from([0xcf, 0xf0, 0xe8])]) },
        '/nul': { body: Buffer.from('a\0b\x01\xff', 'latin1') },
        '/empty': { body: '' },
    });
    const page = await fetched('/page');
    assert.deepEqual(page.output, { url: web.url('/page'), title: 'The & page',
        content: '# Hello\n\ncaf\u00e9 au lait', content_type: 'text/html', truncated: false,
        total_bytes: 22, offset: 0, limit: 100000, returned_bytes: 22 });
    assert.equal(page.truncated, false);
    assert.equal((await fetched('/json')).output.content, '{"a": 1}');
    assert.equal((await fetched('/bare')).output.content, 'bare');
    assert.equal((await fetched('/latin')).output.content, 'caf\u00e9');
    assert.equal((await fetched('/meta')).output.content, '\u041f\u0440\u0438');
    assert.equal((await fetched('/nul')).output.content, 'a?b ?');
    assert.equal((await fetched('/empty')).output.content, '');
    assert.equal(web.seen[0].method, 'GET');
    assert.equal(web.seen[0].headers['accept-encoding'], 'gzip, deflate');
    assert.ok(!('cookie' in web.seen[0].headers));
});

test('R4.2 a long page is given in parts that fit together', async (t) => {
    const body = 'abc \u20ac '.repeat(40000);
    const all = Buffer.byteLength(body);
    const { fetched } = await start(t, { '/long': { body } });
    const first = await fetched('/long');
    assert.equal(first.truncated, true);
    assert.equal(first.output.truncated, true);
    assert.equal(first.output.total_bytes, all);
    assert.ok(first.output.returned_bytes <= 100000);
    assert.equal(Buffer.byteLength(first.output.content), first.output.returned_bytes);
    let text = '';
    let parts = 0;
    for (let offset = 0; offset < all; parts++) {
        const { output } = await fetched('/long', { offset, limit: 50001 });
        assert.equal(output.offset, offset);
        assert.equal(output.limit, 50001);
        text += output.content;
        offset += output.returned_bytes;
        assert.equal(output.truncated, offset < all);
    }
    assert.equal(text, body);
    assert.equal(parts, Math.ceil(all / 50001));
    const middle = (await fetched('/long', { offset: 5, limit: 10 })).output;
    assert.equal(middle.offset, 7, 'to the beginning of a letter');
    const behind = (await fetched('/long', { offset: 99999999 })).output;
    assert.equal(behind.content, '');
    assert.equal(behind.offset, all);
    assert.equal((await fetched('/long', { limit: 999999 })).output.limit, 100000);
});

test('what can\'t be read is refused before its body', async (t) => {
    const kinds = ['image/png', 'application/pdf', 'application/octet-stream', 'audio/mpeg',
        'video/mp4', 'application/zip', 'image/svg+xml', 'font/woff2', 'multipart/mixed'];
    const pages = Object.fromEntries(kinds.map((kind) => [`/${kind}`,
        { headers: { 'content-type': kind }, body: 'x', open: true }]));
    const { fetched } = await start(t, { ...pages,
        '/sniff': { headers: {}, body: Buffer.from([0x89, 0x50, 0, 0]) } });
    for (const kind of kinds) {
        failed(await fetched(`/${kind}`), 'failed', new RegExp(`no text but "${kind
            .replace('+', '\\+')}"`));
    }
    failed(await fetched('/sniff'), 'failed', /no text/);
});

test('an error of the server is told as one', async (t) => {
    const types = { 404: 'not_found', 410: 'not_found', 401: 'denied', 403: 'denied',
        429: 'unavailable', 500: 'unavailable', 503: 'unavailable', 418: 'failed',
        304: 'failed', 204: null };
    const pages = Object.fromEntries(Object.keys(types).map((status) => [`/${status}`,
        { status: Number(status) }]));
    const { fetched } = await start(t, pages);
    for (const [status, type] of Object.entries(types)) {
        const answer = await fetched(`/${status}`);
        if (type) {
            failed(answer, type, new RegExp(`status ${status}`));
        } else {
            assert.equal(answer.output.content, '');
        }
    }
});

test('redirects are followed, five at most, each judged', async (t) => {
    const to = (location, status = 302) => ({ status, headers: { location } });
    const { web, calls, fetched } = await start(t, {
        '/end': { body: 'arrived' },
        '/1': to('2', 301), '/2': to('/3?x=%20#part', 303), '/3?x=%20': to('./4', 307),
        '/4': to('//HOST/5', 308), '/5': to('/end'),
        '/0': to('/1'), '/loop': to('/loop'),
        '/none': { status: 302 }, '/bad': to('http://[::1'), '/ftp': to('ftp://127.0.0.1/'),
        '/file': to('file:///etc/passwd'), '/user': to('http://a:b@127.0.0.1/'),
        '/js': to('javascript:alert(1)'), '/private': to('http://127.0.0.2/'),
        '/metadata': to('http://169.254.169.254/latest/meta-data/'),
        '/here': to('http://localhost:22/'), '/six': to('http://[::ffff:127.0.0.3]/'),
    });
    web.server.prependListener('request', (request, response) => {
        const head = response.writeHead;
        response.writeHead = (status, headers) => head.call(response, status,
            headers?.location ? { location: headers.location.replace('HOST', web.host) }
                : headers);
    });
    const arrived = await fetched('/1');
    assert.equal(arrived.output?.content, 'arrived', JSON.stringify(arrived));
    assert.equal(arrived.output.url, web.url('/end'));
    assert.deepEqual(web.seen.map((seen) => seen.url),
        ['/1', '/2', '/3?x=%20', '/4', '/5', '/end']);
    failed(await fetched('/0'), 'failed', /again and again/);
    failed(await fetched('/loop'), 'failed', /again and again/);
    failed(await fetched('/none'), 'failed', /status 302/);
    for (const path of ['/bad', '/ftp', '/file', '/user', '/js']) {
        failed(await fetched(path), 'failed', /no page of the web/);
    }
    for (const path of ['/private', '/metadata', '/here', '/six']) {
        failed(await fetched(path), 'denied', /not an address of the public web/);
    }
});

test('no address but public ones, however it is written', async (t) => {
    const asked = [];
    const server = createServer((socket) => {
        asked.push(socket.remoteAddress);
        socket.destroy();
    });
    await new Promise((done) => server.listen(0, '::', done));
    defer(t, () => server.close());
    const { port } = server.address();
    const calls = await ToolCalls.start(t, { timeout_ms: 4000 });
    const hosts = ['127.0.0.1', '127.1', '127.0.1', '2130706433', '0x7f000001', '0x7f.1',
        '0177.0.0.1', '017700000001', '127.0.0.1.', '0.0.0.0', '0', '127.255.255.254',
        '[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:0:0:1]',
        '[::127.0.0.1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]', 'localhost', 'LOCALHOST',
        'localhost.', 'a.localhost', '127-0-0-1.test', '10.0.0.1', '172.16.0.1',
        '192.168.1.1', '100.64.0.1', '169.254.169.254', '168.63.129.16', '192.0.2.1',
        '198.18.0.1', '224.0.0.1', '255.255.255.255', '240.0.0.1', '[fe80::1]', '[fc00::1]',
        '[fd00:ec2::254]', '[ff02::1]', '[2001:db8::1]', '10-1-2-3.test',
        '169-254-169-254.test', '\uff11\uff12\uff17.0.0.1', '127\u30020\u30020\u30021'];
    const numbers = hosts.map((host) => [host,
        calls.send('web_fetch', { url: `http://${host}:${port}/` })]);
    for (const [host, number] of numbers) {
        const answer = await calls.take(number);
        assert.equal(answer.output, undefined, host);
        assert.match(answer.type, /^(denied|invalid_arguments|not_found|failed)$/,
            `${host}: ${JSON.stringify(answer)}`);
    }
    assert.deepEqual(asked, []);
});

test('a name that leads elsewhere the next time is judged the next time', async (t) => {
    const inner = await WebServer.start(t, (request, response) => response.end('secret'),
        { address: '127.0.0.2' });
    const web = await WebServer.start(t, (request, response) => {
        response.writeHead(302, { location: `http://rebind.test:${inner.port}/` });
        response.end();
    });
    const calls = await ToolCalls.start(t, { allow: [`127.0.0.1:${web.port}`] });
    const answer = await calls.call('web_fetch', { url: `http://rebind.test:${web.port}/` });
    assert.equal(web.seen.length, 1, 'it was 127.0.0.1 then');
    failed(answer, 'denied', /rebind\.test/);
    assert.equal(inner.connections, 0);
});

test('ports of other trades are not public', async (t) => {
    const calls = await ToolCalls.start(t, { allow: ['127.0.0.1:9'] });
    for (const port of [1, 21, 22, 23, 25, 53, 110, 143, 445, 587, 993]) {
        failed(await calls.call('web_fetch', { url: `http://1.1.1.1:${port}/` }), 'denied',
            /public/);
    }
    failed(await calls.call('web_fetch', { url: 'http://127.0.0.1:9/' }), 'unavailable',
        /No connection/);
});

test('what is no address of the web', async (t) => {
    const calls = await ToolCalls.start(t);
    const urls = ['example.com', 'ftp://example.com/', 'file:///etc/passwd', 'gopher://x/',
        'http://', 'https://', '//example.com', 'javascript:1', 'data:text/plain,x',
        'http://user@example.com/', 'http://user:pass@example.com/', 'http://ex ample.com/',
        'http://example.com:99999/', 'http://[::1', 'dict://127.0.0.1:11211/', 'ldap://x',
        'http://example.com\r\nHost: x/', 'http://\u0000/', `http://x/${'a'.repeat(5000)}`];
    for (const url of urls) {
        const answer = await calls.call('web_fetch', { url });
        failed(answer, 'invalid_arguments', /./);
    }
    for (const args of [{}, { url: 7 }, { url: '' }, { url: 'http://x/', offset: -1 },
        { url: 'http://x/', limit: 0 }, { url: 'http://x/', save_to_file: 'x' }]) {
        failed(await calls.call('web_fetch', args), 'invalid_arguments', /./);
    }
});

test('an address that is written as people do', async (t) => {
    const { web, calls } = await start(t, {});
    await calls.call('web_fetch', { url: `  ${web.url('/caf\u00e9 x?q=\u20ac|#frag')}\n` });
    assert.equal(web.seen[0].url, '/caf%C3%A9%20x?q=%E2%82%AC|');
});

test('the environment\'s proxy is not asked', async (t) => {
    const proxy = await WebServer.start(t, (request, response) => response.end('proxied'));
    const env = Object.fromEntries(['http_proxy', 'HTTP_PROXY', 'https_proxy', 'all_proxy',
        'ALL_PROXY'].map((name) => [name, proxy.url()]));
    const calls = await ToolCalls.start(t, {}, env);
    failed(await calls.call('web_fetch', { url: 'http://10.0.0.1/' }), 'denied', /public/);
    assert.equal(proxy.connections, 0);
});

test('bombs and floods end at the cap', async (t) => {
    const zeros = Buffer.alloc(60000000, 'z');
    const pages = {
        '/bomb': { headers: { ...html, 'content-encoding': 'gzip' }, body: gzipSync(zeros) },
        '/deflate': { headers: { 'content-encoding': 'deflate' }, body: deflateSync(zeros) },
        '/twice': { headers: { ...html, 'content-encoding': 'gzip, gzip' },
            body: gzipSync(gzipSync(zeros)) },
        '/broken': { headers: { ...html, 'content-encoding': 'gzip' }, body: 'no gzip' },
        '/large': { body: zeros },
    };
    const { web, calls, fetched } = await start(t, pages);
    for (const path of ['/bomb', '/deflate', '/large']) {
        const { output, error } = await fetched(path);
        assert.equal(error, undefined);
        assert.equal(output.truncated, true);
        assert.equal(output.total_bytes, 4194304);
    }
    failed(await fetched('/twice'), 'failed', /can't be read/);
    failed(await fetched('/broken'), 'failed', /can't be read/);
    // Without an end.
    web.server.prependListener('request', (request, response) => {
        if (request.url === '/flood') {
            response.writeHead(200, html);
            response.writeHead = () => response;
            response.end = () => response;
            const more = () => {
                while (!response.destroyed && response.write('<p>more')) {
                    // as long as it takes it
                }
            };
            response.on('drain', more);
            more();
        }
    });
    const flood = await calls.call('web_fetch', { url: web.url('/flood') });
    assert.equal(flood.output.truncated, true);
});

test('time: a server that is silent, one that trickles, one cancelled', async (t) => {
    const web = await WebServer.start(t, (request, response) => {
        if (request.url === '/trickle') {
            response.writeHead(200, { 'content-type': 'text/plain' });
            const timer = setInterval(() => response.write('t'), 100);
            response.on('close', () => clearInterval(timer));
        } else if (request.url === '/round') {
            setTimeout(() => {
                response.writeHead(302, { location: '/round' });
                response.end();
            }, 400);
        }
    });
    const calls = await ToolCalls.start(t, { allow: ['127.0.0.1'], timeout_ms: 1200 });
    for (const path of ['/silent', '/trickle', '/round']) {
        failed(await calls.call('web_fetch', { url: web.url(path) }), 'timeout', /./);
    }
    const cancelled = await calls.call('web_fetch', { url: web.url('/silent') },
        { cancel_ms: 100 });
    failed(cancelled, 'cancelled', /./);
    assert.ok(cancelled.ms < 1000);
    await until(() => new Promise((done) => web.server.getConnections((error, count) =>
        done(count === 0))), 'all connections to close');
});

test('many at once, some cancelled', async (t) => {
    const { calls, web } = await start(t, { '/page': { headers: html,
        body: `<p>${'word '.repeat(100000)}` } });
    const numbers = [];
    for (let i = 0; i < 60; i++) {
        numbers.push(calls.send('web_fetch', { url: web.url('/page'), offset: i },
            i % 10 === 9 ? { cancel_ms: 3 } : {}));
    }
    let got = 0;
    for (const number of numbers) {
        const answer = await calls.take(number);
        got += answer.output ? 1 : 0;
        assert.ok(answer.output || answer.type === 'cancelled', JSON.stringify(answer));
    }
    assert.ok(got >= 54, `${got} pages`);
    calls.send('web_fetch', { url: web.url('/page') });
    await sleep(2); // and its end in the middle of one
});
