// SPDX-License-Identifier: BSD-2-Clause
//
// A conversation that goes on while its upstreams come and go.
//
//     const env = await startTalk(t);
//     const talk = await Talk.open(t, env);
//     await talk.turn('hello');
//     await talk.cut();           // the upstream is killed, another follows
//     await talk.check();         // what must hold in a pause

import assert from 'node:assert/strict';
import { startStack } from './stack.mjs';
import { Upstream } from './upstream.mjs';

export const POLICY = 'voice_model gpt-realtime m;\n';
export const tools = [{ type: 'function', name: 'look_up', description: 'd',
    parameters: { type: 'object', properties: {} } }];

// "call 3" asks for three calls with long arguments; all else is told back at
// length, so that there is a middle of it.
function script({ input, text }) {
    const last = input.at(-1);
    if (last?.type === 'function_call_output') {
        return [{ say: `The result is ${last.output}.`, audioMs: 400 }];
    }
    const calls = /\bcall (\d)/.exec(text);
    if (calls) {
        return Array.from({ length: Number(calls[1]) }, () => ({ call: { name: 'look_up',
            arguments: JSON.stringify({ question: 'q'.repeat(120) }) } }));
    }
    return [{ say: `You said: ${text || 'something'}. `.repeat(6).trim(), audioMs: 2000 }];
}

export async function startTalk(t, { upstream = {}, ...options } = {}) {
    const up = await Upstream.start(t, { script, ...options });
    const stack = await startStack(t, { policy: POLICY, voiced: up.voiced({ upstream,
        settings: { warm: { links: 0 } } }) });
    return { up, stack };
}

// A client and the upstream that it talks to, over all changes of it.
export class Talk {
    answered = new Map(); // call_id → how many outputs were sent
    #heard = 0;           // events up to which calls were looked for

    static async open(t, { up, stack }) {
        const talk = new Talk();
        talk.up = up;
        talk.client = await stack.connect(t, { path: '/v1/realtime?model=m' });
        talk.session = (await talk.client.next('session.created')).session;
        talk.conn = await up.nextConnection();
        await talk.client.update({ tools, instructions: 'Be brief.',
            audio: { input: { transcription: { model: 'whisper-1' } } } });
        return talk;
    }

    // The link is cut; the next one is there, and has the conversation.
    async cut(fault = (conn) => conn.kill()) {
        fault(this.conn);
        await this.follow();
    }

    async follow() {
        this.conn = await this.up.nextConnection();
        const update = await this.conn.next('session.update');
        assert.equal(update.session.instructions, 'Be brief.');
        assert.deepEqual(update.session.tools, tools);
    }

    // Ids of the conversation as the client was told of it.
    get view() {
        const ids = [];
        for (const event of this.client.events) {
            if (event.type === 'conversation.item.added') {
                ids.splice(ids.indexOf(event.previous_item_id) + 1, 0, event.item.id);
            } else if (event.type === 'conversation.item.deleted') {
                ids.splice(ids.indexOf(event.item_id), 1);
            }
        }
        return ids;
    }

    get items() {
        return this.conn.session.items.map(({ item }) => item);
    }

    // Calls that came whole since the last look.
    newCalls() {
        const calls = this.client.events.slice(this.#heard)
            .filter(({ type, item }) => type === 'response.output_item.done' &&
                item.type === 'function_call' && item.status === 'completed')
            .map(({ item }) => item.call_id);
        this.#heard = this.client.events.length;
        return calls;
    }

    answer(calls) {
        for (const callId of calls) {
            this.answered.set(callId, (this.answered.get(callId) ?? 0) + 1);
            this.client.send({ type: 'conversation.item.create', item: {
                type: 'function_call_output', call_id: callId, output: '42' } });
        }
        this.client.send({ type: 'response.create' });
    }

    // As clients do: outputs after the response, and then the next one; until
    // a response has neither been broken off nor called anything.
    async settle() {
        for (;;) {
            const done = await this.client.responseDone();
            const calls = this.newCalls();
            if (calls.length > 0) {
                this.answer(calls);
            } else if (done.status === 'completed') {
                return done;
            }
        }
    }

    async say(text) {
        this.client.sayText(text);
        this.client.send({ type: 'response.create' });
    }

    async turn(text) {
        await this.say(text);
        return this.settle();
    }

    // What must hold whenever nothing is under way.
    async check() {
        assert.equal(this.client.closed, null);
        const retrieved = this.view.at(-1);
        this.client.send({ type: 'conversation.item.retrieve', item_id: retrieved });
        await this.client.next('conversation.item.retrieved');
        assert.deepEqual(this.items.map(({ id }) => id), this.view);
        const outputs = this.items.filter(({ type }) => type === 'function_call_output')
            .map((item) => item.call_id);
        const calls = this.items.filter(({ type }) => type === 'function_call')
            .map((item) => item.call_id);
        assert.deepEqual([...outputs].sort(), [...this.answered.keys()].sort());
        assert.deepEqual([...calls].sort(), [...this.answered.keys()].sort());
        assert.ok([...this.answered.values()].every((n) => n === 1));
        assert.deepEqual(this.client.events.filter(({ type }) => type === 'error'), []);
        const session = await this.client.update({});
        assert.equal(session.id, this.session.id);
    }
}
