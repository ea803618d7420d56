// SPDX-License-Identifier: BSD-2-Clause
//
// Abuses of web_fetch: addresses inside, ways that lead there, answers that
// cost more than they are worth. `outer` is a server that is let through,
// `inner` one that is not.

import assert from 'node:assert/strict';
import { deflateSync, gzipSync } from 'node:zlib';
import { either, gives, refused } from './abuse.mjs';

const never = refused('denied', 'invalid_arguments', 'not_found', 'failed', 'unavailable');
const cut = gives((output) => {
    assert.equal(output.truncated, true);
    assert.ok(Buffer.byteLength(output.content) <= 100000);
});

const hosts = ['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0177.0.0.1', '127.0.0.1.',
    '127.8.8.8', '0.0.0.0', '0', '[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]',
    '[64:ff9b::7f00:1]', '[2002:7f00:1::]', 'localhost', 'LocalHost.', '10.0.0.1',
    '172.31.255.255', '192.168.0.1', '100.64.0.1', '169.254.169.254', '198.18.0.1', '224.0.0.1',
    '255.255.255.255', '[fe80::1]', '[fd00:ec2::254]', '[ff02::1]',
    '\uff11\uff12\uff17.0.0.1', 'x@127.0.0.1', '127.0.0.1#@example.com'];

const urls = (inner) => ['file:///etc/passwd', 'FILE:///etc/passwd', 'gopher://127.0.0.1/_x',
    'ftp://127.0.0.1/', 'dict://127.0.0.1:1/', 'data:text/plain,hello', 'ws://127.0.0.1/',
    'unix:/run/x', 'javascript:1', '//127.0.0.1/', 'http://', 'http:///', 'http://[::1', '\u0001',
    '', `http://127.0.0.1:${inner}/ HTTP/1.1\r\nX: y`, `http://127.0.0.1:${inner}\r\n/`,
    'http://127.0.0.1:99999/', `http://example.com:${'9'.repeat(50)}/`,
    `http://${'a'.repeat(300)}.example/`, `http://example.com/${'a'.repeat(20000)}`];

const redirects = (inner) => [`http://127.0.0.1:${inner}/`, `http://localhost:${inner}/`,
    `http://[::1]:${inner}/`, `http://[::ffff:127.0.0.1]:${inner}/`, `//127.0.0.1:${inner}/`,
    `http://2130706433:${inner}/`, 'http://169.254.169.254/latest/meta-data/', 'file:///etc/passwd',
    'gopher://127.0.0.1/', 'ftp://127.0.0.1/', '/again', `http://user:pw@127.0.0.1:${inner}/`];

const text = { 'content-type': 'text/plain' };
const bomb = Buffer.alloc(200 << 20, 'z');

const pages = [
    { name: 'a bomb of gzip', headers: { ...text, 'content-encoding': 'gzip' },
        body: () => gzipSync(bomb), ends: either(cut, never) },
    { name: 'a bomb of deflate', headers: { ...text, 'content-encoding': 'deflate' },
        body: () => deflateSync(bomb), ends: either(cut, never) },
    { name: 'a bomb in a bomb', headers: { ...text, 'content-encoding': 'gzip, gzip' },
        body: () => gzipSync(gzipSync(bomb)), ends: either(cut, never) },
    { name: 'gzip that is none', headers: { ...text, 'content-encoding': 'gzip' },
        body: () => 'hello', ends: never },
    { name: 'a body without an end', headers: text, endless: true,
        ends: either(cut, refused('timeout', 'too_large')) },
    { name: 'one that trickles', headers: text, trickles: true,
        ends: refused('timeout') },
    { name: 'one that never answers', silent: true, ends: refused('timeout') },
    { name: 'bytes that are no text', headers: { 'content-type': 'application/octet-stream' },
        body: () => Buffer.alloc(1000, 1), ends: either(never, refused('too_large')) },
    { name: 'elements in elements in elements', headers: { 'content-type': 'text/html' },
        body: () => '<div><b><ul><li>'.repeat(200000), ends: either(gives(), never) },
    { name: 'an element that is open', headers: { 'content-type': 'text/html' },
        body: () => `<a href="${'&lt;'.repeat(500000)}`, ends: either(gives(), never) },
    { name: 'many headers', headers: Object.fromEntries(Array.from({ length: 1500 },
        (_, i) => [`x-${i}`, 'y'.repeat(100)])), body: () => 'hello', ends: refused('too_large') },
].map((page, i) => ({ ...page, path: `/page${i}` }));

// What `outer` answers.
export function answerPage(request, response, inner) {
    const [, kind, number] = /^\/([a-z]+)(\d*)/.exec(request.url);
    if (kind === 'redirect' || kind === 'again') {
        response.writeHead(302, { location: kind === 'again' ? '/again'
            : redirects(inner)[number] });
        response.end();
        return;
    }
    const page = pages[number];
    if (page.silent) {
        return;
    }
    response.writeHead(200, page.headers);
    const say = page.endless ? () => response.write('more '.repeat(10000))
        : () => response.write('.');
    if (page.endless || page.trickles) {
        const timer = setInterval(say, page.endless ? 1 : 200);
        response.on('close', () => clearInterval(timer));
    } else {
        response.end(page.body());
    }
}

export const webCases = ({ outer, inner }) => [
    ...hosts.map((host) => ({ name: `web_fetch http://${host}/`, ends: never,
        url: `http://${host}:${inner}/` })),
    ...urls(inner).map((url) => ({ name: `web_fetch ${JSON.stringify(url).slice(0, 60)}`, url,
        ends: never })),
    ...redirects(inner).map((to, i) => ({ name: `web_fetch: a redirect to ${to}`, ends: never,
        url: `http://127.0.0.1:${outer}/redirect${i}` })),
    ...pages.map(({ name, path, ends }) => ({ name: `web_fetch: ${name}`, ends,
        url: `http://127.0.0.1:${outer}${path}` })),
].map(({ name, url, ends }) => ({ name, tool: 'web_fetch', args: { url }, ends }));
