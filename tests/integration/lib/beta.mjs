// SPDX-License-Identifier: BSD-2-Clause
//
// Clients that speak the beta of 2024: `BetaSdkClient` is the npm package
// `openai` (openai/beta/realtime), `BetaClient` a plain ws. Both check every
// event against the beta's types, and keep the conversation as the reference
// client of those days did, which died of an item it had not been told of.

import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/beta/realtime/ws';
import WebSocket from 'ws';
import { z } from 'zod';
import { EventLog, streamSpeech } from './client.mjs';
import { defer } from './process.mjs';
import { fromBase64, joinPcm } from './wav.mjs';

const text = z.string();
const index = z.number().int().min(0);
const format = z.enum(['pcm16', 'g711_ulaw', 'g711_alaw']);
const modalities = z.array(z.enum(['text', 'audio'])).min(1);
const limit = z.union([z.number().int(), z.literal('inf')]);

const content = z.looseObject({
    type: z.enum(['input_text', 'input_audio', 'text', 'audio']),
    text: text.optional(), transcript: text.nullable().optional() });

const item = z.looseObject({
    id: text, object: z.literal('realtime.item'),
    type: z.enum(['message', 'function_call', 'function_call_output']),
    status: z.enum(['completed', 'incomplete', 'in_progress']).optional(),
    role: z.enum(['user', 'assistant', 'system']).optional(),
    content: z.array(content).optional(), call_id: text.optional(),
    name: text.optional(), arguments: text.optional(), output: text.optional() })
    .refine((i) => i.type !== 'message' || (i.role && i.content), 'message')
    .refine((i) => i.type !== 'function_call' || i.name, 'function_call');

// What GA has and the beta has not.
const flat = (keys) => Object.fromEntries(keys.map((key) => [key, z.never().optional()]));

const session = z.looseObject({
    id: text, object: z.literal('realtime.session'), model: text,
    modalities, instructions: text, voice: text, speed: z.number(),
    input_audio_format: format, output_audio_format: format,
    input_audio_transcription: z.looseObject({ model: text }).nullable(),
    turn_detection: z.looseObject({ type: z.enum(['server_vad', 'semantic_vad']) }).nullable(),
    tools: z.array(z.looseObject({ type: z.literal('function'), name: text })),
    tool_choice: z.union([text, z.looseObject({})]), temperature: z.number(),
    max_response_output_tokens: limit,
    ...flat(['type', 'audio', 'output_modalities', 'max_output_tokens']) });

const transcription = z.looseObject({
    id: text, object: z.literal('realtime.transcription_session'),
    input_audio_format: format, turn_detection: z.looseObject({ type: text }).nullable(),
    input_audio_transcription: z.looseObject({ model: text }).nullable(),
    ...flat(['type', 'audio']) });

const response = z.looseObject({
    id: text, object: z.literal('realtime.response'),
    status: z.enum(['completed', 'cancelled', 'failed', 'incomplete', 'in_progress']),
    status_details: z.looseObject({ type: text }).nullable(),
    output: z.array(item), modalities, voice: text, output_audio_format: format,
    temperature: z.number(), max_output_tokens: limit,
    usage: z.looseObject({ total_tokens: index, input_tokens: index, output_tokens: index })
        .nullable(),
    ...flat(['audio', 'output_modalities']) });

const part = z.discriminatedUnion('type', [
    z.looseObject({ type: z.literal('text'), text }),
    z.looseObject({ type: z.literal('audio'), transcript: text })]);

const R = { response_id: text };
const RI = { ...R, item_id: text, output_index: index };
const RIC = { ...RI, content_index: index };
const IC = { item_id: text, content_index: index };

const types = {
    'error': { error: z.looseObject({ type: text, message: text }) },
    'session.created': { session },
    'session.updated': { session },
    'transcription_session.created': { session: transcription },
    'transcription_session.updated': { session: transcription },
    'conversation.item.created': { previous_item_id: text.nullable(), item },
    'conversation.item.retrieved': { item },
    'conversation.item.deleted': { item_id: text },
    'conversation.item.truncated': { ...IC, audio_end_ms: index },
    'conversation.item.input_audio_transcription.delta': { ...IC, delta: text },
    'conversation.item.input_audio_transcription.completed': { ...IC, transcript: text },
    'conversation.item.input_audio_transcription.failed': { ...IC, error: z.looseObject({}) },
    'input_audio_buffer.committed': { item_id: text },
    'input_audio_buffer.cleared': {},
    'input_audio_buffer.speech_started': { item_id: text, audio_start_ms: index },
    'input_audio_buffer.speech_stopped': { item_id: text, audio_end_ms: index },
    'response.created': { response },
    'response.done': { response: response.refine((r) => r.usage, 'usage') },
    'response.output_item.added': { ...R, output_index: index, item },
    'response.output_item.done': { ...R, output_index: index, item },
    'response.content_part.added': { ...RIC, part },
    'response.content_part.done': { ...RIC, part },
    'response.text.delta': { ...RIC, delta: text },
    'response.text.done': { ...RIC, text },
    'response.audio.delta': { ...RIC, delta: text },
    'response.audio.done': RIC,
    'response.audio_transcript.delta': { ...RIC, delta: text },
    'response.audio_transcript.done': { ...RIC, transcript: text },
    'response.function_call_arguments.delta': { ...RI, call_id: text, delta: text },
    'response.function_call_arguments.done': { ...RI, call_id: text, arguments: text },
    'rate_limits.updated': { rate_limits: z.array(z.looseObject({})) },
};

const schemas = new Map(Object.entries(types).map(([type, fields]) =>
    [type, z.looseObject({ type: z.literal(type), event_id: text, ...fields })]));

// The conversation, put together from created, part and delta events alone.
class Conversation {
    items = new Map();
    responses = new Set();

    #item(event) {
        const found = this.items.get(event.item_id ?? event.item.id);
        if (!found) {
            throw new Error(`${event.type}: no item ${event.item_id ?? event.item.id}`);
        }
        return found;
    }

    #append(event, key) {
        const at = this.#item(event).content[event.content_index];
        if (typeof at?.[key] !== 'string') {
            throw new Error(`${event.type}: nothing to append to`);
        }
        at[key] += event.delta;
    }

    process(event) {
        switch (event.type) {
        case 'conversation.item.created':
            if (this.items.has(event.item.id)) {
                throw new Error(`created twice: ${event.item.id}`);
            }
            this.items.set(event.item.id, structuredClone(event.item));
            break;
        case 'conversation.item.truncated':
            this.#item(event);
            break;
        case 'conversation.item.deleted':
            this.#item(event);
            this.items.delete(event.item_id);
            break;
        case 'response.created':
            this.responses.add(event.response.id);
            break;
        case 'response.output_item.added':
            if (!this.responses.has(event.response_id)) {
                throw new Error(`no response ${event.response_id}`);
            }
            break;
        case 'response.output_item.done':
            this.#item(event).status = event.item.status;
            break;
        case 'response.content_part.added':
            this.#item(event).content.push(structuredClone(event.part));
            break;
        case 'response.audio.delta':
            this.#item(event);
            break;
        case 'response.audio_transcript.delta':
            this.#append(event, 'transcript');
            break;
        case 'response.text.delta':
            this.#append(event, 'text');
            break;
        case 'response.function_call_arguments.delta':
            this.#item(event).arguments += event.delta;
            break;
        }
    }
}

class BetaTalker extends EventLog {
    problems = [];
    conversation = new Conversation();

    receive(event) {
        const result = schemas.get(event.type)?.safeParse(event);
        if (!result?.success) {
            this.problems.push(`${event.type}: ${result
                ? z.prettifyError(result.error) : 'unknown to the beta'}`);
        }
        try {
            this.conversation.process(event);
        } catch (error) {
            this.problems.push(error.message);
        }
        this.push(event);
    }

    async update(settings) {
        this.send({ type: 'session.update', session: settings });
        return (await this.next('session.updated')).session;
    }

    sayText(words) {
        this.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user',
            content: [{ type: 'input_text', text: words }] } });
    }

    async respond(asked) {
        this.send({ type: 'response.create', ...(asked && { response: asked }) });
        return (await this.next('response.done')).response;
    }

    speak(pcm, options) {
        return streamSpeech((event) => this.send(event), pcm, options);
    }

    said(responseId) {
        const of = (type) => this.events.filter((event) => event.type === type &&
            event.response_id === responseId).map((event) => event.delta);
        return {
            pcm: joinPcm(...of('response.audio.delta').map(fromBase64)),
            transcript: of('response.audio_transcript.delta').join(''),
            text: of('response.text.delta').join(''),
        };
    }

    async close() {
        this.hangUp();
        return this.waitClosed();
    }

    async teardown() {
        if (!this.closed) {
            this.hangUp();
            await this.waitClosed(5000).catch(() => {});
        }
        if (this.problems.length > 0) {
            throw new Error(`beta: ${this.problems.slice(0, 10).join('\n')}`);
        }
    }
}

export class BetaSdkClient extends BetaTalker {
    static async connect(t, { baseURL, tls, key = 'none', model = 'gpt-realtime' }) {
        const client = new BetaSdkClient();
        const api = new OpenAI({ apiKey: key, baseURL });
        client.errors = [];
        client.realtime = new OpenAIRealtimeWS({ model, options: tls }, api);
        client.realtime.on('error', (error) => client.errors.push(error));
        client.realtime.on('event', (event) => client.receive(event));
        const { socket } = client.realtime;
        socket.on('close', (code, reason) => client.end(code, reason.toString()));
        defer(t, () => client.teardown());
        await new Promise((done, fail) => {
            socket.once('open', done);
            socket.once('error', fail);
        });
        return client;
    }

    send(event) {
        this.realtime.send(event);
    }

    hangUp() {
        this.realtime.close();
    }
}

// `header` or `protocols` asks for the beta.
export class BetaClient extends BetaTalker {
    static async connect(t, { url, header = true, protocols = [] }) {
        const client = new BetaClient();
        defer(t, () => client.teardown());
        await client.#open(url, protocols, header ? { 'OpenAI-Beta': 'realtime=v1' } : {});
        return client;
    }

    #open(url, protocols, headers) {
        const socket = new WebSocket(url, protocols, { perMessageDeflate: false, headers });
        this.socket = socket;
        socket.on('upgrade', (response) => { this.token = response.headers['x-voice-resume']; });
        socket.on('message', (data) => this.receive(JSON.parse(data.toString())));
        socket.on('close', (code, reason) => {
            if (this.socket === socket) {
                this.end(code, reason.toString());
            }
        });
        return new Promise((done, fail) => {
            socket.once('open', done);
            socket.on('error', fail);
        });
    }

    // Loses the connection without a word, and opens another to the same session.
    async comeBack(url) {
        const lost = this.socket;
        this.socket = null;
        lost.removeAllListeners('message');
        lost.terminate();
        await this.#open(url, [], {});
    }

    send(event) {
        this.socket.send(typeof event === 'string' ? event : JSON.stringify(event));
    }

    hangUp() {
        this.socket.close(1000);
    }
}
