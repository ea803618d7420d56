// SPDX-License-Identifier: BSD-2-Clause
//
// $voice_policy: what the directives render, what they inherit, and which
// configurations `nginx -t` refuses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Nginx } from './lib/nginx.mjs';

const defaults = { v: 1, model: null, models: [], upstream: [], voice: null, instructions: null,
    vad: null, opus: null, buffer: 'balanced', context: null, tools: [], http_tools: [],
    transcript: true, transcription: null, client_update: 'allow', web_app: false,
    auth_seen: false };

const vad = (mode, threshold, silence_ms, min_speech_ms = 100) =>
    ({ vad: { mode, threshold, silence_ms, min_speech_ms } });
const opus = (more) => ({ opus: { bitrate: 32000, ptime: 20, fec: true, dtx: true,
    complexity: 5, ...more } });
const context = (more) => ({ context: { turns: 20, tokens: 8000, summarize_to: 10,
    tool_results: 5, ...more } });

const rendered = [
    ['', {}],
    ['voice_model gpt-realtime;', { model: 'gpt-realtime', models: ['gpt-realtime'] }],
    ['voice_model a b/c:d;', { model: 'a', models: ['a', 'b/c:d'] }],
    ['voice_upstream east west;', { upstream: ['east', 'west'] }],
    ['voice_name marin;', { voice: 'marin' }],
    ['voice_vad quiet;', vad('server', 0.3, 400)],
    ['voice_vad normal;', vad('server', 0.5, 500)],
    ['voice_vad noisy;', vad('server', 0.7, 800)],
    ['voice_vad normal silence=250ms threshold=0.65 min_speech=60;', vad('server', 0.65, 250, 60)],
    ['voice_vad normal threshold=1;', vad('server', 1, 500)],
    ['voice_vad semantic;', vad('semantic', 0.5, 500)],
    ['voice_vad off;', vad('off', 0.5, 500)],
    ['voice_opus on;', opus()],
    ['voice_opus off;', {}],
    ['voice_opus on bitrate=24k ptime=40ms fec=off dtx=off complexity=0;',
        opus({ bitrate: 24000, ptime: 40, fec: false, dtx: false, complexity: 0 })],
    ['voice_buffer aggressive;', { buffer: 'aggressive' }],
    ['voice_buffer conservative;', { buffer: 'conservative' }],
    ['voice_context turns=30;', context({ turns: 30 })],
    ['voice_context tokens=16k summarize_to=5 tool_results=0;',
        context({ tokens: 16000, summarize_to: 5, tool_results: 0 })],
    ['voice_context off;', {}],
    ['voice_tools all;', { tools: 'all' }],
    ['voice_tools off;', {}],
    ['voice_tools read_file grep;', { tools: ['read_file', 'grep'] }],
    ['voice_http_tools read_file;', { http_tools: ['read_file'] }],
    ['voice_transcript off;', { transcript: false }],
    ['voice_transcription gpt-4o-transcribe;', { transcription: 'gpt-4o-transcribe' }],
    ['voice_transcription off;', {}],
    ['voice_client_update merge;', { client_update: 'merge' }],
    ['voice_client_update deny;', { client_update: 'deny' }],
    ['voice_web_app on;', { web_app: true }],
    ['voice_instructions text;', { instructions: 'Say "é\\" and\n\ttab \u0001 🙂.' }],
];

async function policies(nginx, names) {
    return Promise.all(names.map(async (name) => {
        const answer = await fetch(`http://127.0.0.1:${nginx.port}/${name}`);
        return (await answer.text()).slice(0, -1);
    }));
}

test('every directive renders its keys', async (t) => {
    const nginx = await Nginx.start(t, {
        files: { text: 'Say "é\\" and\n\ttab \u0001 🙂.' },
        http: ({ port }) => `server { listen 127.0.0.1:${port};
            ${rendered.map(([text], i) =>
        `location = /${i} { ${text} return 200 "$voice_policy\\n"; }`).join('\n')} }` });
    const texts = await policies(nginx, rendered.map((_, i) => i));
    for (const [i, text] of texts.entries()) {
        const policy = JSON.parse(text);
        assert.deepEqual(policy, { ...defaults, ...rendered[i][1] }, rendered[i][0]);
        assert.deepEqual(Object.keys(policy), Object.keys(defaults), 'the order of the keys');
    }
});

test('directives are inherited one by one', async (t) => {
    const nginx = await Nginx.start(t, { http: ({ port }) => `
        voice_model outer; voice_tools all; voice_vad noisy; voice_transcription tr;
        server { listen 127.0.0.1:${port}; voice_model inner;
            location = /a { return 200 "$voice_policy\\n"; }
            location = /b { voice_tools off; voice_vad off; voice_transcript off;
                return 200 "$voice_policy\\n"; } }` });
    const [a, b] = (await policies(nginx, ['a', 'b'])).map((text) => JSON.parse(text));
    assert.deepEqual(a, { ...defaults, model: 'inner', models: ['inner'], tools: 'all',
        ...vad('server', 0.7, 800), transcription: 'tr' });
    assert.deepEqual(b, { ...a, tools: [], ...vad('off', 0.5, 500), transcript: false });
});

const refused = [
    ['voice_model;', /invalid number of arguments/],
    ['voice_model a; voice_model b;', /is duplicate/],
    ['voice_model a b a;', /duplicate name "a"/],
    ['voice_model "a b";', /invalid name "a b"/],
    ['voice_name "";', /invalid name ""/],
    [`voice_name ${'x'.repeat(200)};`, /invalid name/],
    ['voice_vad loud;', /invalid mode "loud"/],
    ['voice_vad off silence=1s;', /contradicts mode "off"/],
    ['voice_vad semantic threshold=0.5;', /contradicts mode "semantic"/],
    ['voice_vad normal threshold=1.5;', /out of range/],
    ['voice_vad normal threshold=high;', /invalid parameter "threshold=high"/],
    ['voice_vad normal silence=1h;', /out of range/],
    ['voice_vad normal volume=1;', /invalid parameter "volume=1"/],
    ['voice_opus maybe;', /needs "on" or "off"/],
    ['voice_opus off fec=on;', /takes nothing beside "off"/],
    ['voice_opus on ptime=30;', /"ptime"/],
    ['voice_opus on bitrate=1k;', /out of range/],
    ['voice_opus on complexity=11;', /out of range/],
    ['voice_opus on fec=maybe;', /invalid parameter "fec=maybe"/],
    ['voice_buffer huge;', /invalid value "huge"/],
    ['voice_context off turns=3;', /takes nothing beside "off"/],
    ['voice_context turns=0;', /out of range/],
    ['voice_context turns=10 summarize_to=10;', /"summarize_to" below "turns"/],
    ['voice_tools off grep;', /"off" contradicts/],
    ['voice_tools grep all;', /"all" contradicts/],
    ['voice_http_tools all;', /needs the tools by name/],
    ['voice_transcript off; voice_transcription m;', /contradicts "voice_transcript off"/],
    ['voice_client_update never;', /invalid value "never"/],
    ['voice_instructions /nonexistent/file;', /open\(\) "\/nonexistent\/file" failed/],
    ['voice_instructions long;', /is longer than 16384 bytes/],
    ['voice_instructions binary;', /is not UTF-8 text/],
    ['voice_pass http://x/y;', /./],
    ['voice_pass $upstream;', /does not take variables/],
    ['voice_pass voice; voice_pass voice;', /is duplicate/],
    ['voice_fallback http;', /needs a named location/],
    ['voice_param VOICE_POLICY x;', /is not for use/],
    ['voice_param VOICE_STREAM 0;', /is not for use/],
    ['voice_param A b always;', /invalid parameter "always"/],
    ['voice_origin example.com;', /invalid origin "example.com"/],
    ['voice_origin http://a/b;', /invalid origin/],
    ['voice_origin * same;', /takes nothing beside/],
    ['voice_connect_timeout 0;', /must not be zero/],
    ['voice_ping_timeout 0;', /must not be zero/],
    ['voice_buffer_size 100;', /must be 1k to 16k/],
    ['voice_buffer_size 1m;', /must be 1k to 16k/],
    ['voice_max_message_size 0;', /must not be zero/],
    ['voice_idle_timeout 2h; voice_max_session 1h;', /longer than "voice_max_session"/],
    ['voice_pass voice; voice_drain_timeout 1h;', /longer than "worker_shutdown_timeout"/],
    ['voice_next_upstream sometimes;', /invalid value "sometimes"/],
    ['voice_max_message_size lots;', /invalid value/],
];

test('impossible configurations are refused with file and line', async (t) => {
    const nginx = await Nginx.prepare({ main: 'worker_shutdown_timeout 30m;',
        files: { long: 'x'.repeat(16385), binary: Buffer.from([0x61, 0xff]) } });
    const http = (text) => `upstream voice { server unix:/tmp/none; }
        server { listen 127.0.0.1:${nginx.port}; location = / { ${text} } }`;
    nginx.configure({ http: http('voice_pass voice; voice_model a; voice_tools grep;') });
    const good = await nginx.test();
    assert.equal(good.code, 0, good.stderr);
    for (const [text, message] of refused) {
        await t.test(text.slice(0, 60), async () => {
            nginx.configure({ http: http(text) });
            const { code, stderr } = await nginx.test();
            assert.equal(code, 1, stderr);
            assert.match(stderr, message);
            assert.match(stderr, /nginx\.conf:\d+/);
        });
    }
});

test('a policy of 32 KB is refused', async () => {
    const nginx = await Nginx.prepare({ files: { text: '\u0001'.repeat(16000) } });
    nginx.configure({ http: `server { listen 127.0.0.1:${nginx.port};
        location = / { voice_instructions text; } }` });
    const { code, stderr } = await nginx.test();
    assert.equal(code, 1);
    assert.match(stderr, /the voice policy takes \d+ bytes/);
});
