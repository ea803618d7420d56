// SPDX-License-Identifier: BSD-2-Clause
//
// An HTTP server of one tool, `held`, that answers when it is told to.

import http from 'node:http';
import { defer } from './process.mjs';

export async function heldTools(t, more = {}) {
    const tool = { type: 'function', name: 'held', description: 'Waits to be let go.',
        parameters: { type: 'object', properties: { n: { type: 'integer' } } }, ...more };
    const held = { waiting: new Set(), asked: 0, gone: 0, most: 0 };
    const server = http.createServer((asked, answer) => {
        const send = (value) => {
            answer.writeHead(200, { 'content-type': 'application/json' });
            answer.end(JSON.stringify(value));
        };
        asked.resume();
        if (asked.url === '/tools') {
            send({ tools: [tool], count: 1 });
            return;
        }
        const one = { go: () => { held.waiting.delete(one);
            send({ success: true, output: { held: true } }); } };
        held.asked++;
        held.waiting.add(one);
        held.most = Math.max(held.most, held.waiting.size);
        answer.on('close', () => { held.gone += held.waiting.delete(one); });
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    defer(t, () => { server.close(); server.closeAllConnections(); });
    held.url = `http://127.0.0.1:${server.address().port}`;
    held.letGo = () => [...held.waiting].forEach((one) => one.go());
    return held;
}
