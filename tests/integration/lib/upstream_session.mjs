// SPDX-License-Identifier: BSD-2-Clause
//
// One session of the scripted Realtime upstream: items, responses, the audio
// buffer, and the errors of the real one. What is said is up to a script:
//
//     script({ session, input, text, tools }) → [
//         { say: 'Hello there.', audioMs: 400 },       // a message
//         { say: 'Hello.', pcm, paceMs: 20, onDelta }, // with this sound, its
//                              // own pace, and a function after each delta
//         { call: { name: 'f', arguments: '{}' } } ]   // a function call
//
// `emit(event)` takes whole events; several connections may listen (a call and
// its sidebands).

import { bytesPerMs, newId, newSession, toneOf, updateSession, usageOf }
    from './upstream_shapes.mjs';
import { sleep } from './process.mjs';
import { RATE, durationMs, toBase64 } from './wav.mjs';

const textOf = (item) => (item?.content ?? [])
    .map((part) => part.text ?? part.transcript ?? '').join(' ').trim();

const sliceMs = (pcm, fromMs, ms) => pcm.subarray(Math.round(fromMs * RATE / 1000),
    Math.round((fromMs + ms) * RATE / 1000));

// Says what it was told; "call f {...}" calls f; a function's output is told.
export function defaultScript({ input, text }) {
    const last = input.at(-1);
    if (last?.type === 'function_call_output') {
        return [{ say: `The result is ${last.output}.` }];
    }
    const calls = [...text.matchAll(/\bcall (\w+)\s*(\{[^}]*\})?/g)];
    if (calls.length > 0) {
        return calls.map(([, name, args]) => ({ call: { name, arguments: args ?? '{}' } }));
    }
    if (/\bstory\b/.test(text)) {
        return [{ say: 'Once upon a time there was a very long story. '.repeat(20),
            audioMs: 60000 }];
    }
    return [{ say: text ? `You said: ${text}` : 'Hello there.' }];
}

export class UpstreamSession {
    items = [];      // { item, audioMs }
    errors = [];     // `error` objects that were sent
    active = null;   // the default conversation's response
    appendedBytes = 0;
    #turn = null;    // item id of speech that goes on

    constructor({ emit, model, script = defaultScript, paceMs = 2, deltaMs = 100, type,
        lifeMs, call }) {
        this.emit = emit;
        this.script = script;
        this.paceMs = paceMs;
        this.deltaMs = deltaMs;
        this.call = call;
        this.session = newSession({ model, type, lifeMs });
        this.conversation = newId('conv_');
    }

    send(type, fields = {}) {
        this.emit({ type, event_id: newId('event_'), ...fields });
    }

    begin() {
        this.send('session.created', { session: this.session });
    }

    end() {
        this.ended = true;
        if (this.active) {
            this.active.stopped = 'ended';
        }
    }

    fail(error, cause) {
        const full = { type: 'invalid_request_error', code: null, message: '', param: null,
            event_id: cause?.event_id ?? null, ...error };
        this.errors.push(full);
        this.send('error', { error: full });
    }

    take(event) {
        const handler = this.#handlers[event?.type];
        if (!handler) {
            this.fail({ code: 'invalid_value', param: 'type',
                message: `Invalid value: '${event?.type}'.` }, event);
            return;
        }
        handler.call(this, event);
    }

    #handlers = {
        'session.update': this.#sessionUpdate,
        'input_audio_buffer.append': this.#append,
        'input_audio_buffer.commit': this.#commit,
        'input_audio_buffer.clear': () => {
            this.appendedBytes = 0;
            this.send('input_audio_buffer.cleared');
        },
        'output_audio_buffer.clear': (event) => {
            if (this.call) {
                this.send('output_audio_buffer.cleared', { response_id: this.active?.id ?? null });
            } else {
                this.fail({ code: 'invalid_value', param: 'type',
                    message: 'output_audio_buffer.clear is for WebRTC and SIP.' }, event);
            }
        },
        'conversation.item.create': this.#itemCreate,
        'conversation.item.retrieve': this.#itemRetrieve,
        'conversation.item.truncate': this.#itemTruncate,
        'conversation.item.delete': this.#itemDelete,
        'response.create': this.#responseCreate,
        'response.cancel': this.#responseCancel,
    };

    #sessionUpdate(event) {
        const { session, error } = updateSession(this.session, event.session);
        if (error) {
            this.fail(error, event);
            return;
        }
        this.session = session;
        this.send('session.updated', { session });
    }

    // --- items

    #find(id) {
        return this.items.find((entry) => entry.item.id === id);
    }

    #missing(event, code, verb) {
        this.fail({ code, message: `Error ${verb} item: the item with id ` +
            `'${event.item_id}' does not exist.` }, event);
    }

    // Where an item goes, or -1 for an unknown predecessor.
    #placeAfter(previous) {
        if (previous === undefined || previous === null) {
            return this.items.length;
        }
        return previous === 'root' ? 0
            : this.items.findIndex((entry) => entry.item.id === previous) + 1 || -1;
    }

    addItem(item, { previous, audioMs = 0, done = true } = {}) {
        const at = this.#placeAfter(previous);
        const before = this.items[at - 1]?.item.id ?? null;
        const entry = { item, audioMs };
        this.items.splice(at, 0, entry);
        this.send('conversation.item.added', { previous_item_id: before, item: { ...item } });
        if (done) {
            this.send('conversation.item.done', { previous_item_id: before, item: { ...item } });
        }
        return entry;
    }

    #itemCreate(event) {
        const given = event.item ?? {};
        if (given.id !== undefined && this.#find(given.id)) {
            this.fail({ code: 'item_create_duplicate_item_id', message: `Error adding item: an ` +
                `item with the ID '${given.id}' already exists in the conversation.` }, event);
            return;
        }
        if (this.#placeAfter(event.previous_item_id) < 0) {
            this.fail({ code: 'item_create_invalid_previous_item_id', message: 'Error adding ' +
                `item: the previous item with id '${event.previous_item_id}' does not exist.` },
            event);
            return;
        }
        const item = { id: newId('item_'), ...given };
        if (item.type !== 'function_call_output') {
            item.status = 'completed';
        }
        this.addItem(item, { previous: event.previous_item_id });
    }

    #itemRetrieve(event) {
        const entry = this.#find(event.item_id);
        if (entry) {
            this.send('conversation.item.retrieved', { item: entry.item });
        } else {
            this.#missing(event, 'item_retrieve_invalid_item_id', 'retrieving');
        }
    }

    #itemTruncate(event) {
        const entry = this.#find(event.item_id);
        if (!entry) {
            this.#missing(event, 'item_truncate_invalid_item_id', 'truncating');
        } else if (entry.item.role !== 'assistant' || entry.audioMs === 0) {
            this.fail({ code: 'unsupported_content_type',
                message: 'Only model output audio messages can be truncated' }, event);
        } else if (event.audio_end_ms > entry.audioMs) {
            this.fail({ code: 'invalid_value', message: `Audio content of ${entry.audioMs}ms is ` +
                `already shorter than ${event.audio_end_ms}ms` }, event);
        } else {
            entry.audioMs = event.audio_end_ms;
            this.send('conversation.item.truncated', { item_id: event.item_id,
                content_index: event.content_index, audio_end_ms: event.audio_end_ms });
        }
    }

    #itemDelete(event) {
        const entry = this.#find(event.item_id);
        if (!entry) {
            this.#missing(event, 'item_delete_invalid_item_id', 'deleting');
            return;
        }
        this.items.splice(this.items.indexOf(entry), 1);
        this.send('conversation.item.deleted', { item_id: event.item_id });
    }

    // --- what comes in as sound

    get #inputMs() {
        return Math.floor(this.appendedBytes / bytesPerMs(this.session.audio.input.format));
    }

    #append(event) {
        this.appendedBytes += Buffer.byteLength(event.audio ?? '', 'base64');
        this.totalBytes = (this.totalBytes ?? 0) + Buffer.byteLength(event.audio ?? '', 'base64');
    }

    #commit(event) {
        const have = this.#inputMs;
        if (have < 100) {
            this.fail({ code: 'input_audio_buffer_commit_empty', message: 'Error committing ' +
                'input audio buffer: buffer too small. Expected at least 100ms of audio, but ' +
                `buffer only has ${have.toFixed(2)}ms of audio.` }, event);
            return;
        }
        this.commit(newId('item_'), 'something was said');
    }

    commit(id, transcript) {
        const audioMs = this.#inputMs;
        this.appendedBytes = 0;
        this.send('input_audio_buffer.committed', {
            previous_item_id: this.items.at(-1)?.item.id ?? null, item_id: id });
        const { item } = this.addItem({ id, type: 'message', status: 'completed', role: 'user',
            content: [{ type: 'input_audio', transcript: null }] }, { audioMs });
        item.content[0].transcript = transcript;
        if (this.session.audio.input.transcription) {
            this.#transcribe(id, transcript);
        }
    }

    #transcribe(id, transcript) {
        const type = 'conversation.item.input_audio_transcription';
        this.send(`${type}.delta`, { item_id: id, content_index: 0, delta: transcript,
            obfuscation: 'x1y2z3' });
        this.send(`${type}.completed`, { item_id: id, content_index: 0, transcript,
            usage: { type: 'tokens', total_tokens: 12, input_tokens: 8, output_tokens: 4,
                input_token_details: { text_tokens: 0, audio_tokens: 8 } } });
    }

    speechStarted(audioStartMs = this.#inputMs) {
        this.#turn = newId('item_');
        this.send('input_audio_buffer.speech_started', { audio_start_ms: audioStartMs,
            item_id: this.#turn });
        if (this.session.audio.input.turn_detection?.interrupt_response) {
            this.stop('turn_detected');
        }
        return this.#turn;
    }

    speechStopped(transcript = 'something was said', audioEndMs = this.#inputMs) {
        const id = this.#turn ?? newId('item_');
        this.#turn = null;
        this.send('input_audio_buffer.speech_stopped', { audio_end_ms: audioEndMs, item_id: id });
        this.commit(id, transcript);
        if (this.session.audio.input.turn_detection?.create_response) {
            this.respond({});
        }
        return id;
    }

    // A spoken turn, whatever was appended.
    hear(transcript) {
        this.speechStarted();
        return this.speechStopped(transcript);
    }

    // --- responses

    #responseCreate(event) {
        const given = event.response ?? {};
        const odd = ['modalities', 'voice', 'output_audio_format', 'temperature',
            'max_response_output_tokens'].find((key) => key in given);
        if (odd) {
            this.fail({ code: 'unknown_parameter', param: `response.${odd}`,
                message: `Unknown parameter: 'response.${odd}'.` }, event);
        } else if (this.active && given.conversation !== 'none') {
            this.fail({ code: 'conversation_already_has_active_response', message:
                'Conversation already has an active response in progress: ' +
                `${this.active.id}. Wait until the response is finished before creating a new ` +
                'one.' }, event);
        } else {
            this.respond(given);
        }
    }

    #responseCancel(event) {
        const wanted = event.response_id;
        if (!this.active || (wanted && wanted !== this.active.id)) {
            this.fail({ code: 'response_cancel_not_active',
                message: 'Cancellation failed: no active response found' }, event);
            return;
        }
        this.stop('client_cancelled');
    }

    // What runs is told to stop; it writes its own end.
    stop(reason) {
        if (this.active) {
            this.active.stopped = reason;
            this.active.wake?.();
        }
    }

    // Starts a response; a promise of its end.
    respond(given) {
        const apart = given.conversation === 'none';
        const { session } = this;
        const output = { ...session.audio.output, ...given.audio?.output };
        const response = { id: newId('resp_'), given, apart, output: [], stopped: null,
            format: output.format, shape: {
                object: 'realtime.response', conversation_id: apart ? null : this.conversation,
                output_modalities: given.output_modalities ?? session.output_modalities,
                max_output_tokens: given.max_output_tokens ?? session.max_output_tokens,
                audio: { output: { format: output.format, voice: output.voice } },
                metadata: given.metadata ?? null } };
        if (!apart) {
            this.active = response;
        }
        response.finished = this.#run(response).catch((error) => { this.broken = error; });
        return response;
    }

    #told(response, status, usage, details = null) {
        return { ...response.shape, id: response.id, status, status_details: details,
            output: response.output, usage };
    }

    async #run(response) {
        this.send('response.created', { response: this.#told(response, 'in_progress', null) });
        const input = response.given.input ?? this.items.map((entry) => entry.item);
        const users = input.filter((item) => item.role === 'user');
        const parts = await this.script({ session: this.session, input, upstream: this,
            text: textOf(users.at(-1)), tools: response.given.tools ?? this.session.tools,
            response });
        for (const [index, part] of parts.entries()) {
            if (response.stopped) {
                break;
            }
            await (part.call ? this.#call(response, index, part) : this.#say(response, index, part));
        }
        this.#finish(response);
    }

    #finish(response) {
        if (this.ended) {
            return;
        }
        const { stopped } = response;
        if (this.active === response) {
            this.active = null;
        }
        const failed = response.given.fail;
        const status = stopped ? 'cancelled' : failed ? 'failed' : 'completed';
        const details = stopped ? { type: 'cancelled', reason: stopped } : null;
        this.send('response.done', { response: this.#told(response, status, usageOf(), details) });
        this.send('rate_limits.updated', { rate_limits: [{ name: 'tokens', limit: 15000000,
            remaining: 14998954, reset_seconds: 0.004 }] });
    }

    #open(response, index, item) {
        this.send('response.output_item.added', { response_id: response.id, output_index: index,
            item });
        return response.apart ? { item, audioMs: 0 }
            : this.addItem(item, { done: false });
    }

    #close(response, index, entry, fields) {
        entry.item = { ...entry.item, ...fields,
            status: response.stopped ? 'incomplete' : 'completed' };
        if (!response.apart) {
            this.send('conversation.item.done', { previous_item_id: null, item: entry.item });
        }
        this.send('response.output_item.done', { response_id: response.id, output_index: index,
            item: entry.item });
        response.output.push(entry.item);
    }

    async #say(response, index, part) {
        const { say, pcm, audioMs = pcm && durationMs(pcm), phase } = part;
        const entry = this.#open(response, index, { id: newId('item_'), type: 'message',
            status: 'in_progress', role: 'assistant', ...(phase && { phase }), content: [] });
        const at = { response_id: response.id, item_id: entry.item.id, output_index: index,
            content_index: 0 };
        const spoken = response.shape.output_modalities[0] === 'audio';
        const shape = (text) => (spoken ? { type: 'audio', transcript: text }
            : { type: 'text', text });
        this.send('response.content_part.added', { ...at, part: shape('') });
        const said = await this.#deltas(response, entry, at, { ...part,
            audioMs: spoken ? audioMs ?? 250 * say.split(/\s+/).length : 0 });
        const kind = spoken ? 'response.output_audio_transcript' : 'response.output_text';
        if (spoken) {
            this.send('response.output_audio.done', at);
        }
        this.send(`${kind}.done`, { ...at, [spoken ? 'transcript' : 'text']: said });
        this.send('response.content_part.done', { ...at, part: shape(said) });
        this.#close(response, index, entry, { content: [spoken
            ? { type: 'output_audio', transcript: said } : { type: 'output_text', text: said }] });
    }

    // Text and sound side by side, a step each `paceMs`; the text that was sent.
    async #deltas(response, entry, at, part) {
        const { say: text, audioMs, pcm, onDelta } = part;
        const steps = Math.max(1, Math.ceil(audioMs / this.deltaMs),
            audioMs ? 0 : Math.min(8, text.length));
        const type = audioMs ? 'response.output_audio_transcript.delta'
            : 'response.output_text.delta';
        const each = Math.ceil(text.length / steps);
        let said = '';
        for (let i = 0; i < steps && !response.stopped; i++) {
            const delta = text.slice(i * each, (i + 1) * each);
            if (delta) {
                this.send(type, { ...at, delta, obfuscation: 'q8w7e6' });
                said += delta;
            }
            const ms = Math.min(this.deltaMs, audioMs - i * this.deltaMs);
            if (ms > 0) {
                entry.audioMs += ms;
                this.send('response.output_audio.delta', { ...at, delta: pcm
                    ? toBase64(sliceMs(pcm, i * this.deltaMs, ms))
                    : toneOf(response.format, ms).toString('base64') });
                onDelta?.(i, this);
            }
            await this.#pause(response, part.paceMs);
        }
        return said;
    }

    async #call(response, index, { call }) {
        const fields = { name: call.name, call_id: call.call_id ?? newId('call_', 16) };
        const entry = this.#open(response, index, { id: newId('item_'), type: 'function_call',
            status: 'in_progress', ...fields, arguments: '' });
        const at = { response_id: response.id, item_id: entry.item.id, output_index: index,
            call_id: fields.call_id };
        const text = typeof call.arguments === 'string' ? call.arguments
            : JSON.stringify(call.arguments ?? {});
        const type = 'response.function_call_arguments';
        for (let i = 0; i < text.length; i += 12) {
            this.send(`${type}.delta`, { ...at, delta: text.slice(i, i + 12),
                obfuscation: 'z9' });
            await this.#pause(response);
        }
        this.send(`${type}.done`, { ...at, name: fields.name, arguments: text });
        this.#close(response, index, entry, { arguments: text });
    }

    // One step's wait; a stop ends it at once.
    #pause(response, paceMs = this.paceMs) {
        return Promise.race([sleep(paceMs),
            new Promise((wake) => { response.wake = wake; })]);
    }
}
