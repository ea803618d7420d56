// SPDX-License-Identifier: BSD-2-Clause
//
// Every example of docs/nginx.md is a configuration that nginx takes: a whole
// one, or a part of one at the level where its directives may stand.

import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { conf, root } from './lib/paths.mjs';
import { Nginx } from './lib/nginx.mjs';

const page = readFileSync(join(root, 'docs/nginx.md'), 'utf8');
const examples = [...page.matchAll(/^```nginx\n([^]*?)^```$/gm)].map((match) => ({
    text: match[1], line: page.slice(0, match.index).split('\n').length }));

// What an example may refer to, where it does not say it itself.
const upstreams = (text) => [...new Set(['voice', 'voice_http',
    ...[...text.matchAll(/_pass\s+(?:http:\/\/)?([a-z]\w*)/g)].map((match) => match[1])])];
const around = (text) => upstreams(text).filter((name) => !text.includes(`upstream ${name} `))
    .map((name) => `upstream ${name} { server unix:/tmp/${name}; }`).join('\n') +
    (text.includes('log_format voice ') ? '' : "\nlog_format voice '$uri';") +
    (text.includes('$tenant') ? '' : '\nmap $uri $tenant { default x; }');

const server = (text, port) => `server { listen 127.0.0.1:${port}; ${text} }`;
const named = (text) => (/location @voice_http/.test(text) ? ''
    : 'location @voice_http { return 204; }');

const levels = {
    'in a location': (text, { port }) => ({
        http: around(text) + server(`${named(text)} location = /v { voice_pass voice; ${text} }`,
            port) }),
    'in server {}': (text, { port }) => ({ http: around(text) + server(named(text) + text, port) }),
    'in http {}': (text, { tlsPort, certs }) => ({ http: `ssl_certificate ${certs.certPath};
        ssl_certificate_key ${certs.keyPath}; ${around(text)} ${text}`
        .replace('listen 443 ssl', `listen 127.0.0.1:${tlsPort} ssl`) }),
    'a whole one': (text) => {
        const [, main = '', http = 'none;'] = /^([^]*?)^http \{\n([^]*?)^\}$/m.exec(text) ?? [];
        return { main, http: around(text) + http };
    },
    'outside': (text) => ({ main: text.replace(/^load_module.*$/m, ''), http: '' }),
};

test('R6.1 the examples of docs/nginx.md', async (t) => {
    assert.ok(examples.length > 40);
    const nginx = await Nginx.prepare({ files: { support: 'Be kind.' } });
    for (const [from, to] of [['voice.conf', 'voice.conf'], ['voice_params', 'voice_params'],
        ['/etc/nginx/fastcgi_params', 'fastcgi_params']]) {
        cpSync(from.startsWith('/') ? from : join(conf, from), join(nginx.dir, to));
    }
    for (const { text, line } of examples) {
        await t.test(`line ${line}`, async () => {
            const problems = [];
            for (const [level, wrap] of Object.entries(levels)) {
                const given = text.replace('prompts/support.txt', 'support');
                nginx.configure({ main: '', http: '', ...wrap(given, nginx) });
                const { code, stderr } = await nginx.test();
                if (code === 0 && !/\[warn\]/.test(stderr)) {
                    return;
                }
                problems.push(`${level}: ${stderr.split('\n')[0]}`);
            }
            assert.fail(`${text}\n${problems.join('\n')}`);
        });
    }
});
