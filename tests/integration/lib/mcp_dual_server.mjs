// SPDX-License-Identifier: BSD-2-Clause
//
// A server of both eras made with the SDK. As a program it speaks over its
// standard streams; createTools() is for one over HTTP.

import { pathToFileURL } from 'node:url';
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import * as z from 'zod';

// What the tools noticed: { aborted } counts.
export const noticed = { aborted: 0, slow: 0 };

export function createTools({ extra = false } = {}) {
    const server = new McpServer({ name: 'dual', version: '1' },
        { capabilities: { tools: { listChanged: true } } });
    server.registerTool('add', {
        description: 'Adds.',
        inputSchema: z.object({ a: z.number(), b: z.number() }),
        annotations: { readOnlyHint: true },
    }, async ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] }));
    server.registerTool('slow', {
        inputSchema: z.object({ steps: z.number() }),
    }, async ({ steps }, ctx) => {
        noticed.slow++;
        const token = ctx.mcpReq._meta?.progressToken;
        for (let i = 1; i <= steps; i++) {
            if (ctx.mcpReq.signal.aborted) {
                noticed.aborted++;
                throw new Error('aborted');
            }
            if (token !== undefined) {
                await ctx.mcpReq.notify({ method: 'notifications/progress',
                    params: { progressToken: token, progress: i, total: steps, message: `step ${i}` } });
            }
            await new Promise((done) => setTimeout(done, 200));
        }
        return { content: [{ type: 'text', text: 'done' }] };
    });
    if (extra) {
        server.registerTool('late', { inputSchema: z.object({}) },
            async () => ({ content: [{ type: 'text', text: 'late' }] }));
    }
    return server;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
    serveStdio(() => createTools());
}
