// SPDX-License-Identifier: BSD-2-Clause
//
// The strictest of clients in one: it knows GA's documented events and what
// each must have, and at the first thing it does not know it is dead, as some
// real ones are. Ids may be any text.

import { z } from 'zod';
import { Client } from './client.mjs';
import { defer } from './process.mjs';

const text = z.string();
const id = z.string().min(1);
const index = z.number().int().min(0);
// A field that may be left out may not be null.
const optional = text.optional();

const format = z.looseObject({ type: z.enum(['audio/pcm', 'audio/pcmu', 'audio/pcma']) });

const session = z.looseObject({
    type: z.literal('realtime'), object: z.literal('realtime.session'), id, model: text,
    output_modalities: z.array(z.enum(['audio', 'text'])).length(1), instructions: text,
    tools: z.array(z.looseObject({ type: text, name: optional })), tool_choice: text,
    max_output_tokens: z.union([z.number().int(), z.literal('inf')]),
    audio: z.looseObject({
        input: z.looseObject({ format, turn_detection: z.looseObject({ type: text,
            create_response: z.boolean(), interrupt_response: z.boolean() }).nullable() }),
        output: z.looseObject({ format, voice: text }) }) });

const content = z.looseObject({ type: z.enum(['input_text', 'input_audio', 'item_reference',
    'output_text', 'output_audio']), text: optional, audio: optional,
transcript: text.nullable().optional() });

const status = z.enum(['in_progress', 'completed', 'incomplete']);
const item = z.discriminatedUnion('type', [
    z.looseObject({ type: z.literal('message'), id, status,
        role: z.enum(['system', 'user', 'assistant']), content: z.array(content) }),
    z.looseObject({ type: z.literal('function_call'), id, status, name: id, call_id: id,
        arguments: text, role: z.never().optional() }),
    z.looseObject({ type: z.literal('function_call_output'), id, call_id: id, output: text,
        role: z.never().optional() })]);

const kinds = { text_tokens: index, audio_tokens: index };
const usage = z.looseObject({ total_tokens: index, input_tokens: index, output_tokens: index,
    input_token_details: z.looseObject({ ...kinds, cached_tokens: index }),
    output_token_details: z.looseObject(kinds) });

const response = z.looseObject({ id, object: z.literal('realtime.response'),
    status: z.enum(['in_progress', 'completed', 'cancelled', 'failed', 'incomplete']),
    status_details: z.looseObject({ type: text }).nullable(), output: z.array(item),
    output_modalities: z.array(z.enum(['audio', 'text'])).length(1),
    metadata: z.record(text, text).nullable() });

const part = z.looseObject({ type: z.enum(['text', 'audio']), text: optional, transcript: optional });

const R = { response_id: id };
const RO = { ...R, output_index: index };
const RIO = { ...RO, item_id: id };
const RIOC = { ...RIO, content_index: index };
const IC = { item_id: id, content_index: index };
const heard = 'conversation.item.input_audio_transcription';

const types = {
    'error': { error: z.looseObject({ type: text, message: text, code: text.nullable(),
        param: text.nullable() }) },
    'session.created': { session },
    'session.updated': { session },
    'conversation.item.added': { previous_item_id: id.nullable(), item },
    'conversation.item.done': { previous_item_id: id.nullable(), item },
    'conversation.item.retrieved': { item: z.looseObject({ id }) },
    'conversation.item.deleted': { item_id: id },
    'conversation.item.truncated': { ...IC, audio_end_ms: index },
    [`${heard}.delta`]: { ...IC, delta: text },
    [`${heard}.completed`]: { ...IC, transcript: text, usage: z.union([
        z.looseObject({ type: z.literal('duration'), seconds: z.number() }),
        z.looseObject({ type: z.literal('tokens'), total_tokens: index,
            input_token_details: z.looseObject(kinds) })]) },
    [`${heard}.failed`]: { ...IC, error: z.looseObject({ message: text }) },
    'input_audio_buffer.committed': { item_id: id, previous_item_id: id.nullable() },
    'input_audio_buffer.cleared': {},
    'input_audio_buffer.speech_started': { item_id: id, audio_start_ms: index },
    'input_audio_buffer.speech_stopped': { item_id: id, audio_end_ms: index },
    'response.created': { response },
    'response.done': { response: response.extend({ usage }) },
    'response.output_item.added': { ...RO, item },
    'response.output_item.done': { ...RO, item },
    'response.content_part.added': { ...RIOC, part, content: z.never().optional() },
    'response.content_part.done': { ...RIOC, part, content: z.never().optional() },
    'response.output_text.delta': { ...RIOC, delta: text },
    'response.output_text.done': { ...RIOC, text },
    'response.output_audio.delta': { ...RIOC, delta: text },
    'response.output_audio.done': RIOC,
    'response.output_audio_transcript.delta': { ...RIOC, delta: text },
    'response.output_audio_transcript.done': { ...RIOC, transcript: text },
    'response.function_call_arguments.delta': { ...RIO, call_id: id, delta: text },
    'response.function_call_arguments.done': { ...RIO, call_id: id, name: id, arguments: text },
    'rate_limits.updated': { rate_limits: z.array(z.looseObject({
        name: z.enum(['requests', 'tokens']) })) },
};
const schemas = new Map(Object.entries(types).map(([type, fields]) =>
    [type, z.looseObject({ type: z.literal(type), event_id: id, ...fields })]));

const harmless = ['response_cancel_not_active', 'conversation_already_has_active_response',
    'item_retrieve_invalid_item_id'];

export class StrictClient extends Client {
    dead = null;
    #eventIds = new Set();
    #items = new Map();  // id → 'added' or 'done'
    #outputs = new Map(); // response id → item id of each output_index

    static async connect(t, options) {
        const client = new StrictClient(options);
        defer(t, () => client.teardown());
        await client.opened;
        return client;
    }

    receive(event) {
        const fault = this.dead ?? this.#fault(event);
        if (fault && !this.dead) {
            this.dead = new Error(`${fault} in ${JSON.stringify(event)}`);
            this.kill();
        }
        this.push(event);
    }

    #fault(event) {
        const schema = schemas.get(event.type);
        if (!schema) {
            return 'unknown type';
        }
        const { error } = schema.safeParse(event);
        if (error) {
            return z.prettifyError(error);
        }
        if (this.events.length === 0 && event.type !== 'session.created') {
            return 'not session.created first';
        }
        if (this.#eventIds.has(event.event_id)) {
            return 'an event_id twice';
        }
        this.#eventIds.add(event.event_id);
        if (event.type === 'error' && !harmless.includes(event.error.code)) {
            return 'a fatal error';
        }
        return this.#order(event);
    }

    // Items are told of once as added, once as done, and nothing is said of
    // one that was not; each has its own place in its response.
    #order(event) {
        const itemId = event.item?.id ?? event.item_id;
        switch (event.type) {
        case 'conversation.item.added':
            if (this.#items.has(itemId)) {
                return 'added twice';
            }
            this.#items.set(itemId, 'added');
            return null;
        case 'conversation.item.done':
            if (this.#items.get(itemId) !== 'added') {
                return `done after ${this.#items.get(itemId)}`;
            }
            this.#items.set(itemId, 'done');
            return null;
        case 'response.output_item.added': {
            const places = this.#outputs.get(event.response_id) ?? [];
            if (event.output_index !== places.length) {
                return 'an output_index that is not the next';
            }
            this.#outputs.set(event.response_id, [...places, itemId]);
            return null;
        }
        }
        if (event.output_index !== undefined &&
            this.#outputs.get(event.response_id)?.[event.output_index] !== itemId) {
            return 'another item at this output_index';
        }
        return event.type.startsWith(heard) && !this.#items.has(itemId)
            ? 'heard of an item that was not added' : null;
    }

    assertValid() {
        if (this.dead) {
            throw this.dead;
        }
    }
}
