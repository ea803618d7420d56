// SPDX-License-Identifier: BSD-2-Clause
//
// The scripted upstream in other servers' dialects, by their recorded shapes:
// options for Upstream.start.
//
//     const up = await Upstream.start(t, xaiUpstream());
//
// `said` of the options lists what they were told that their server would not
// have understood; a test wants it empty.

import { randomUUID } from 'node:crypto';

// --- Azure: GA, with a copy of each part

export function azureUpstream() {
    return { said: [], translate: (event) => (event.type.startsWith('response.content_part.')
        ? [{ ...event, content: event.part }] : [event]) };
}

// --- the beta of 2024

const formats = [['pcm16', 'audio/pcm'], ['g711_ulaw', 'audio/pcmu'], ['g711_alaw', 'audio/pcma']];
const flatFormat = (format) => formats.find(([, ga]) => ga === format.type)[0];
const gaFormat = (name) => {
    const type = formats.find(([flat]) => flat === name)[1];
    return type === 'audio/pcm' ? { type, rate: 24000 } : { type };
};
const flatModalities = ([first]) => (first === 'audio' ? ['audio', 'text'] : ['text']);
const gaModalities = (list) => [list.includes('audio') ? 'audio' : 'text'];

const kinds = [['text', 'output_text'], ['audio', 'output_audio']];
const renamed = (type, from, to) => kinds.find((k) => k[from] === type)?.[to] ?? type;
const itemTo = (item, from, to) => (item.role === 'assistant' ? { ...item, content:
    item.content?.map((part) => ({ ...part, type: renamed(part.type, from, to) })) } : item);
const betaItem = (item) => ({ object: 'realtime.item', ...itemTo(item, 1, 0) });

function betaSession({ type: _type, audio, output_modalities: modalities,
    max_output_tokens: limit, truncation: _t, prompt: _p, ...rest }) {
    return { ...rest, modalities: flatModalities(modalities), voice: audio.output.voice,
        speed: audio.output.speed, input_audio_format: flatFormat(audio.input.format),
        output_audio_format: flatFormat(audio.output.format), temperature: 0.8,
        input_audio_transcription: audio.input.transcription,
        input_audio_noise_reduction: audio.input.noise_reduction,
        turn_detection: audio.input.turn_detection, max_response_output_tokens: limit };
}

function betaResponse({ audio, output_modalities: modalities, output, usage, ...rest }) {
    return { ...rest, modalities: flatModalities(modalities), voice: audio.output.voice,
        output_audio_format: flatFormat(audio.output.format), temperature: 0.8,
        output: output.map(betaItem), usage };
}

const betaNames = { 'conversation.item.added': 'conversation.item.created' };
for (const part of ['text', 'audio', 'audio_transcript']) {
    for (const end of ['delta', 'done']) {
        betaNames[`response.output_${part}.${end}`] = `response.${part}.${end}`;
    }
}

function betaEvent(event) {
    const { name: _name, ...rest } = event;
    return { ...(event.type === 'response.function_call_arguments.done' ? rest : event),
        type: betaNames[event.type] ?? event.type,
        ...(event.item && { item: betaItem(event.item) }),
        ...(event.session && { session: betaSession(event.session) }),
        ...(event.response && { response: betaResponse(event.response) }) };
}

const gaOnly = ['type', 'audio', 'output_modalities', 'max_output_tokens', 'truncation', 'prompt'];

function gaFromBeta(flat, fields) {
    const audio = { input: {}, output: {} };
    const ga = {};
    for (const [key, value] of Object.entries(flat)) {
        const place = fields[key];
        if (place) {
            place(ga, audio, value);
        } else {
            ga[key] = value;
        }
    }
    return { ...ga, ...(Object.keys({ ...audio.input, ...audio.output }).length > 0 && { audio }) };
}

const shared = {
    modalities: (ga, _, v) => { ga.output_modalities = gaModalities(v); },
    voice: (_, audio, v) => { audio.output.voice = v; },
    output_audio_format: (_, audio, v) => { audio.output.format = gaFormat(v); },
    max_response_output_tokens: (ga, _, v) => { ga.max_output_tokens = v; },
    temperature: () => {},
};
const ofSession = { ...shared,
    speed: (_, audio, v) => { audio.output.speed = v; },
    input_audio_format: (_, audio, v) => { audio.input.format = gaFormat(v); },
    input_audio_transcription: (_, audio, v) => { audio.input.transcription = v; },
    input_audio_noise_reduction: (_, audio, v) => { audio.input.noise_reduction = v; },
    turn_detection: (_, audio, v) => { audio.input.turn_detection = v; },
};

export function betaUpstream() {
    const said = [];
    const odd = (where, object) => {
        for (const key of gaOnly.filter((each) => each in (object ?? {}))) {
            said.push(`${where}.${key}`);
        }
    };
    const translate = (event) => {
        if (event.type === 'conversation.item.done') {
            return [];
        }
        const created = { type: 'conversation.created', event_id: randomUUID(),
            conversation: { id: 'conv_1', object: 'realtime.conversation' } };
        return event.type === 'session.created' ? [betaEvent(event), created] : [betaEvent(event)];
    };
    const understand = (event) => {
        if (event.type === 'session.update') {
            odd('session', event.session);
            return [{ ...event, session: { type: 'realtime',
                ...gaFromBeta(event.session, ofSession) } }];
        }
        if (event.type === 'response.create' && event.response) {
            odd('response', event.response);
            return [{ ...event, response: gaFromBeta(event.response, shared) }];
        }
        if (event.type === 'conversation.item.create') {
            for (const part of event.item.content ?? []) {
                if (part.type.startsWith('output_')) {
                    said.push(`item content ${part.type}`);
                }
            }
            const { object: _object, ...item } = event.item;
            return [{ ...event, item: itemTo(item, 0, 1) }];
        }
        return [event];
    };
    return { said, translate, understand };
}

// --- xAI

const uuidOf = new Map();
const idOf = new Map();
const kept = new Set(); // a client's own
const uuid = (id) => {
    if (kept.has(id)) {
        return id;
    }
    if (!uuidOf.has(id)) {
        uuidOf.set(id, randomUUID());
        idOf.set(uuidOf.get(id), id);
    }
    return uuidOf.get(id);
};
const idKeys = ['event_id', 'item_id', 'response_id'];

// An event of the gateway with the scripted session's own ids.
function withOwnIds(event) {
    const copy = { ...event };
    for (const key of ['item_id', 'response_id', 'previous_item_id']) {
        copy[key] = idOf.get(copy[key]) ?? copy[key];
    }
    return copy;
}

// UUIDs in place of the scripted session's ids; a client's stay.
function withUuids(event) {
    const copy = { ...event };
    for (const key of idKeys.filter((each) => typeof copy[each] === 'string' &&
        /^(event|item|resp)_/.test(copy[each]))) {
        copy[key] = uuid(copy[key]);
    }
    return copy;
}

const xaiId = (id) => (/^(item|resp)_/.test(id ?? '') ? uuid(id) : id);

function xaiItem(item, withContent = true) {
    const { content, ...rest } = item;
    const role = { function_call: 'user', function_call_output: 'tool' }[item.type];
    return { object: 'realtime.item', ...rest, id: xaiId(item.id), ...(role && { role }),
        ...(item.type === 'function_call_output' && { status: 'completed' }),
        ...(withContent && content && { content: content.map((part) =>
            ({ ...part, type: part.type === 'output_audio' ? 'audio' : part.type })) }) };
}

const xaiResponse = ({ id, status, output }) => ({ id: xaiId(id), object: 'realtime.response',
    output: output.map((item) => xaiItem(item)), status, status_details: 'unimplemented',
    usage: {} });

function xaiUpdated({ instructions, model, tools, tool_choice: choice, audio }) {
    const { format, transcription, turn_detection: turn } = audio.input;
    return { instructions, enable_noise_suppression: true, turn_detection: turn ?? { type: null },
        model, tools: tools.map(({ type, ...fn }) => ({ type, function: fn })),
        keep_context: false, enable_phonetic_spelling: false, modalities: ['audio'],
        ...(transcription && { input_audio_transcription: transcription }),
        input_audio_format: 'not specified', output_audio_format: 'not specified',
        tool_choice: choice, temperature: -1.0, max_response_output_tokens: 'inf',
        audio: { input: { format, transport: 'json', ...(transcription && { transcription }) },
            output: { format: audio.output.format, transport: 'json' } } };
}

const heard = 'conversation.item.input_audio_transcription';

// What there is instead of each of GA's events.
const xaiEvents = {
    'session.created': ({ session, ...event }) => [
        { ...event, session: { id: session.id.slice(5), object: 'realtime.session',
            instructions: '', voice: 'ara', modalities: ['audio'], turn_detection: { type: null },
            tools: [], model: session.model } },
        { type: 'conversation.created', event_id: randomUUID(),
            conversation: { id: randomUUID(), object: 'realtime.conversation' } },
        { type: 'ping', event_id: randomUUID(), timestamp: Date.now() }],
    'session.updated': ({ session, type, ...event }) =>
        [{ session: xaiUpdated(session), type, ...event }],
    'input_audio_buffer.speech_started': (event) => [event,
        { type: 'conversation.item.added', event_id: randomUUID(), item: { id: uuid(event.item_id),
            object: 'realtime.item', type: 'message', status: 'in_progress', role: 'user',
            content: [{ type: 'input_audio', transcript: '' }] } },
        { type: `${heard}.updated`, event_id: randomUUID(), item_id: uuid(event.item_id),
            transcript: 'Hm?', content_index: 0 },
        { type: `${heard}.completed`, event_id: randomUUID(), item_id: uuid(event.item_id),
            transcript: 'Hm?', content_index: 0, status: 'in_progress' }],
    'conversation.item.added': (event) => (event.item.content?.[0]?.type === 'input_audio' ? []
        : [{ ...event, item: xaiItem(event.item),
            previous_item_id: xaiId(event.previous_item_id) }]),
    'conversation.item.done': () => [],
    'conversation.item.retrieved': (event) => [{ ...event, item: xaiItem(event.item) }],
    [`${heard}.delta`]: ({ delta, obfuscation: _o, ...event }) => [
        { ...event, type: `${heard}.updated`, transcript: delta.slice(0, 4) },
        { ...event, type: `${heard}.updated`, transcript: delta }],
    [`${heard}.completed`]: ({ usage: _usage, ...event }) => [
        { ...event, status: 'in_progress' }, { ...event, status: 'completed' },
        { ...event, status: 'completed' }],
    'response.created': (event) => [{ ...event, response: xaiResponse(event.response) }],
    'response.done': ({ response, ...event }) => [{ ...event, response: xaiResponse(response),
        response_id: xaiId(response.id), usage: { input_tokens: 156, output_tokens: 185,
            total_tokens: 341, input_token_details: { text_tokens: 10, audio_tokens: 146,
                grok_tokens: 0 }, output_token_details: { text_tokens: 15, audio_tokens: 170,
                grok_tokens: 0 }, output_audio_seconds: 3.38, billable_audio_seconds: 5 } }],
    'response.output_item.added': (event) =>
        [{ ...event, item: xaiItem(event.item, false), output_index: 0 }],
    'response.output_item.done': (event) =>
        [{ ...event, item: xaiItem(event.item, false), output_index: 0 }],
    'response.content_part.added': (event) => [{ ...event, previous_item_id: '0' }],
    'response.content_part.done': ({ part: _part, ...event }) => [event],
    'response.output_audio.delta': (event) => [{ ...event, rid: randomUUID(), latency: '0.68',
        audio_duration_ms: 489, ts: Date.now() }],
    'response.function_call_arguments.delta': ({ output_index: _o, ...event }) => [event],
    'response.function_call_arguments.done': (event) => [{ ...event, output_index: 0 }],
    'rate_limits.updated': () => [],
};

export function xaiUpstream() {
    const said = [];
    const translate = (event) => (xaiEvents[event.type] ?? ((e) => [e]))(event)
        .map((each) => withUuids({ previous_item_id: null, ...each }));
    const update = ({ voice, turn_detection: turn, audio = {}, ...session }) => {
        for (const key of ['type', 'output_modalities']) {
            if (key in session) {
                said.push(`session.${key}`);
            }
        }
        if (audio.input?.turn_detection !== undefined || audio.output?.voice) {
            said.push('turn_detection or voice inside of audio');
        }
        return { type: 'realtime', ...session, audio: {
            input: { ...audio.input,
                ...(turn && { turn_detection: turn.type === null ? null : turn }) },
            output: { ...audio.output, ...(voice && { voice }) } } };
    };
    const understand = (event) => {
        if (event.type === 'session.update') {
            return [{ ...event, session: update(event.session) }];
        }
        if (event.type === 'conversation.item.truncate') {
            said.push(event.type);
            return [];
        }
        kept.add(event.item?.id);
        return [withOwnIds(event)];
    };
    return { said, translate, understand };
}
