// SPDX-License-Identifier: BSD-2-Clause
//
// What a Realtime server event must look like, and in which order events of
// one session may come. The strictest demand of the known clients counts: one
// drops an event with a wrong field, another dies of an unknown type.

import { z } from 'zod';
import { assertTellsNothing } from './secrets.mjs';

const id = z.string().min(1).max(64);
const index = z.number().int().min(0);
const ms = z.number().int().min(0);
const eventId = z.string().regex(/^event_[A-Za-z0-9]{16,32}$/);
const base64 = z.string().regex(/^[A-Za-z0-9+/]+={0,2}$/).refine((s) => s.length % 4 === 0);

const format = z.union([
    z.strictObject({ type: z.literal('audio/pcm'), rate: z.literal(24000) }),
    z.strictObject({ type: z.enum(['audio/pcmu', 'audio/pcma']) }),
]);

const turnDetection = z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('server_vad'), threshold: z.number().min(0).max(1),
        prefix_padding_ms: ms, silence_duration_ms: ms, idle_timeout_ms: ms.nullable(),
        create_response: z.boolean(), interrupt_response: z.boolean() }),
    z.strictObject({ type: z.literal('semantic_vad'),
        eagerness: z.enum(['low', 'medium', 'high', 'auto']),
        create_response: z.boolean(), interrupt_response: z.boolean() }),
]);

const inputAudio = z.looseObject({
    format,
    transcription: z.looseObject({ model: z.string(), language: z.string().nullable().optional(),
        prompt: z.string().nullable().optional() }).nullable(),
    noise_reduction: z.looseObject({ type: z.enum(['near_field', 'far_field']) }).nullable(),
    turn_detection: turnDetection.nullable(),
});

const voice = z.union([z.string().min(1), z.looseObject({ id: z.string() })]);

const session = z.looseObject({
    type: z.literal('realtime'),
    object: z.literal('realtime.session'),
    id: z.string().regex(/^sess_[A-Za-z0-9]{21}$/),
    model: z.string().min(1),
    output_modalities: z.array(z.enum(['audio', 'text'])).length(1),
    instructions: z.string(),
    tools: z.array(z.looseObject({ type: z.enum(['function', 'mcp']) })),
    // One client takes a string only.
    tool_choice: z.union([z.string(), z.looseObject({ type: z.string() })]),
    max_output_tokens: z.union([z.number().int().min(1).max(4096), z.literal('inf')]),
    tracing: z.unknown().refine((v) => v !== undefined),
    truncation: z.unknown().refine((v) => v !== undefined && v !== null),
    expires_at: z.number().int(),
    audio: z.looseObject({
        input: inputAudio,
        output: z.looseObject({ format, voice, speed: z.number().min(0.25).max(1.5) }),
    }),
});

const content = z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('input_text'), text: z.string() }),
    z.strictObject({ type: z.literal('input_audio'), audio: z.string().optional(),
        transcript: z.string().nullable().optional() }),
    z.looseObject({ type: z.literal('input_image'), image_url: z.string() }),
    z.strictObject({ type: z.literal('output_text'), text: z.string() }),
    z.strictObject({ type: z.literal('output_audio'), audio: z.string().optional(),
        transcript: z.string().optional() }),
    // conversation.item.retrieved alone
    z.looseObject({ type: z.literal('audio'), audio: z.string() }),
]);

const status = z.enum(['in_progress', 'completed', 'incomplete']);
const item = z.discriminatedUnion('type', [
    z.looseObject({ type: z.literal('message'), id, status,
        role: z.enum(['system', 'user', 'assistant']), content: z.array(content) }),
    z.looseObject({ type: z.literal('function_call'), id, status,
        name: z.string().min(1), call_id: z.string().regex(/^call_[A-Za-z0-9]{16}$/).or(id),
        arguments: z.string() }),
    z.looseObject({ type: z.literal('function_call_output'), id, call_id: id,
        output: z.string() }),
]);

const tokens = z.number().int().min(0);
const kinds = { text_tokens: tokens, audio_tokens: tokens };
const usage = z.looseObject({
    total_tokens: tokens, input_tokens: tokens, output_tokens: tokens,
    input_token_details: z.looseObject({ ...kinds, image_tokens: tokens, cached_tokens: tokens,
        cached_tokens_details: z.looseObject({ ...kinds, image_tokens: tokens }) }),
    output_token_details: z.looseObject(kinds),
}).refine((u) => u.total_tokens === u.input_tokens + u.output_tokens, 'total_tokens')
    .refine((u) => u.input_token_details.cached_tokens <= u.input_tokens, 'cached_tokens');

const response = z.looseObject({
    object: z.literal('realtime.response'),
    id: z.string().regex(/^resp_[A-Za-z0-9]{21}$/),
    status: z.enum(['in_progress', 'completed', 'cancelled', 'failed', 'incomplete']),
    status_details: z.looseObject({ type: z.string() }).nullable(),
    output: z.array(item),
    conversation_id: z.string().regex(/^conv_/).nullable(),
    output_modalities: z.array(z.enum(['audio', 'text'])).length(1),
    max_output_tokens: z.union([z.number().int(), z.literal('inf')]),
    audio: z.looseObject({ output: z.looseObject({ format, voice }) }).optional(),
    usage: usage.nullable(),
    metadata: z.record(z.string(), z.string()).nullable(),
});

const part = z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('text'), text: z.string() }),
    z.strictObject({ type: z.literal('audio'), transcript: z.string() }),
]);

const R = { response_id: id };
const RO = { ...R, output_index: index };
const RIO = { ...RO, item_id: id };
const RIOC = { ...RIO, content_index: index };
const I = { item_id: id };
const IC = { item_id: id, content_index: index };

const transcriptionUsage = z.union([
    z.looseObject({ type: z.literal('duration'), seconds: z.number() }),
    z.looseObject({ type: z.literal('tokens'), total_tokens: tokens, input_tokens: tokens,
        output_tokens: tokens, input_token_details: z.looseObject(kinds) }),
]);

const errorBody = z.looseObject({
    type: z.string().min(1), code: z.string().nullable(), message: z.string().min(1),
    param: z.string().nullable(), event_id: z.string().nullable(),
});

const shapes = {
    'error': { error: errorBody },
    'session.created': { session },
    'session.updated': { session },
    'conversation.item.added': { previous_item_id: id.nullable(), item },
    'conversation.item.done': { previous_item_id: id.nullable(), item },
    'conversation.item.retrieved': { item },
    'conversation.item.deleted': I,
    'conversation.item.truncated': { ...IC, audio_end_ms: ms },
    'conversation.item.input_audio_transcription.delta': { ...IC, delta: z.string() },
    'conversation.item.input_audio_transcription.completed':
        { ...IC, transcript: z.string(), usage: transcriptionUsage },
    'conversation.item.input_audio_transcription.failed': { ...IC, error: z.looseObject({
        type: z.string(), message: z.string() }) },
    'input_audio_buffer.committed': { previous_item_id: id.nullable(), ...I },
    'input_audio_buffer.cleared': {},
    'input_audio_buffer.speech_started': { audio_start_ms: ms, ...I },
    'input_audio_buffer.speech_stopped': { audio_end_ms: ms, ...I },
    'input_audio_buffer.timeout_triggered': { audio_start_ms: ms, audio_end_ms: ms, ...I },
    'response.created': { response },
    'response.done': { response },
    'response.output_item.added': { ...RO, item },
    'response.output_item.done': { ...RO, item },
    'response.content_part.added': { ...RIOC, part },
    'response.content_part.done': { ...RIOC, part },
    'response.output_text.delta': { ...RIOC, delta: z.string() },
    'response.output_text.done': { ...RIOC, text: z.string() },
    'response.output_audio.delta': { ...RIOC, delta: base64 },
    'response.output_audio.done': RIOC,
    'response.output_audio_transcript.delta': { ...RIOC, delta: z.string() },
    'response.output_audio_transcript.done': { ...RIOC, transcript: z.string() },
    'response.function_call_arguments.delta': { ...RIO, call_id: id, delta: z.string() },
    'response.function_call_arguments.done':
        { ...RIO, call_id: id, name: z.string(), arguments: z.string() },
    'rate_limits.updated': { rate_limits: z.array(z.looseObject({
        name: z.enum(['requests', 'tokens']), limit: z.number(), remaining: z.number(),
        reset_seconds: z.number() })) },
};

const schemas = Object.fromEntries(Object.entries(shapes).map(([type, fields]) =>
    [type, z.looseObject({ type: z.literal(type), event_id: eventId, ...fields })]));

// Texts of what is wrong with one event; empty if nothing is.
export function checkEvent(event) {
    const schema = schemas[event?.type];
    if (!schema) {
        return [`unknown type ${JSON.stringify(event?.type)}`];
    }
    const result = schema.safeParse(event);
    return result.success ? [] : result.error.issues.map((issue) =>
        `${event.type} ${issue.path.join('.')}: ${issue.message}`);
}

// Follows one connection: shapes, and the life cycles of responses, items and
// parts. Feed it every event in order.
export class EventChecker {
    problems = [];
    #ids = new Set();
    #responses = new Map(); // id → { items: Map(output_index → item id), open }
    #items = new Map();     // id → 'added' | 'done'
    #open = new Set();      // "response/item/part" that were added, not done
    #texts = new Map();     // key → concatenated deltas
    #first = true;

    check(event) {
        const say = (text) => this.problems.push(`${text} in ${JSON.stringify(event).slice(0, 300)}`);
        for (const problem of checkEvent(event)) {
            say(problem);
        }
        try {
            assertTellsNothing(event, event.type);
        } catch (error) {
            this.problems.push(error.message);
        }
        if (this.#first && event.type !== 'session.created') {
            say('the first event is not session.created');
        }
        this.#first = false;
        if (this.#ids.has(event.event_id)) {
            say('event_id seen before');
        }
        this.#ids.add(event.event_id);
        this.#order(event, say);
    }

    #order(event, say) {
        const response = event.response_id && this.#responses.get(event.response_id);
        if (event.response_id && event.type !== 'response.done' &&
            (!response || response.done)) {
            say('no such response is open');
        }
        this.#checkResponse(event, say);
        this.#checkItem(event, say);
        this.#checkPart(event, say);
    }

    #checkResponse(event, say) {
        if (event.type === 'response.created') {
            this.#responses.set(event.response.id, { done: false });
            if (event.response.status !== 'in_progress' || event.response.usage !== null) {
                say('a created response is in progress and has no usage');
            }
        } else if (event.type === 'response.done') {
            const response = this.#responses.get(event.response.id);
            if (!response || response.done) {
                say('response.done without response.created');
            } else {
                response.done = true;
            }
            if (!event.response.usage) {
                say('response.done has no usage');
            }
            for (const key of this.#open) {
                if (key.startsWith(event.response.id)) {
                    say(`${key} was never done`);
                    this.#open.delete(key);
                }
            }
        }
    }

    #toggle(key, opens, say) {
        if (opens) {
            this.#open.add(key);
        } else if (!this.#open.delete(key)) {
            say(`${key} was done without being added`);
        }
    }

    #checkItem(event, say) {
        const opens = event.type.endsWith('.added');
        if (event.type.startsWith('response.output_item.')) {
            this.#toggle(`${event.response_id} item ${event.item?.id}`, opens, say);
        } else if (/^conversation\.item\.(added|done)$/.test(event.type)) {
            const known = this.#items.get(event.item?.id);
            if (opens ? known !== undefined : known !== 'added') {
                say(`item is ${known}`);
            }
            this.#items.set(event.item?.id, opens ? 'added' : 'done');
        } else if (event.type === 'conversation.item.deleted') {
            this.#items.delete(event.item_id);
        }
    }

    #checkPart(event, say) {
        const key = `${event.response_id} part ${event.item_id}/${event.content_index}`;
        if (event.type.startsWith('response.content_part.')) {
            this.#toggle(key, event.type.endsWith('.added'), say);
        } else if (/^response\.output_(text|audio|audio_transcript)\./.test(event.type)) {
            if (!this.#open.has(key)) {
                say('no such content part is open');
            }
        }
        this.#checkText(event, say);
    }

    // The .done text is the sum of the deltas.
    #checkText(event, say) {
        const at = event.type.lastIndexOf('.');
        const [stem, verb] = [event.type.slice(0, at), event.type.slice(at + 1)];
        const field = { 'response.output_text': 'text',
            'response.output_audio_transcript': 'transcript',
            'response.function_call_arguments': 'arguments' }[stem];
        if (!field) {
            return;
        }
        const key = `${stem} ${event.item_id}/${event.content_index}`;
        if (verb === 'delta') {
            this.#texts.set(key, (this.#texts.get(key) ?? '') + event.delta);
        } else if ((this.#texts.get(key) ?? '') !== event[field]) {
            say(`the deltas made ${JSON.stringify(this.#texts.get(key))}`);
        }
    }
}
