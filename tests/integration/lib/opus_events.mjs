// SPDX-License-Identifier: BSD-2-Clause
//
// The events that voice.opus.v1 has beside those of the Realtime API, and what
// it leaves out.

import { z } from 'zod';

const eventId = z.string().regex(/^event_[A-Za-z0-9]{16,32}$/);
const profile = z.enum(['aggressive', 'balanced', 'conservative']);
const bitrate = z.number().int().min(6000).max(32000);
const ms = z.number().int().min(0);
const R = { response_id: z.string().regex(/^resp_/).optional() }; // unknown, at a clear

const shapes = {
    'voice.session': {
        session_id: z.string().min(1), resume_token: z.string().min(16).nullable(),
        resume_grace_ms: ms,
        opus: z.strictObject({ bitrate, ptime_ms: z.union([z.literal(10), z.literal(20)]),
            fec: z.boolean(), dtx: z.boolean() }),
        buffer: z.strictObject({ profile, target_ms: ms.max(500) }) },
    'voice.quality': {
        level: z.enum(['high', 'medium', 'low']), bitrate,
        expected_loss: z.number().min(0).max(100), buffer_target_ms: ms.min(20).max(500),
        buffer_profile: profile, reply_to: z.string().optional() },
    'voice.playout.clear': {},
    'output_audio_buffer.started': R,
    'output_audio_buffer.stopped': R,
    'output_audio_buffer.cleared': R,
};

const schemas = Object.fromEntries(Object.entries(shapes).map(([type, fields]) =>
    [type, z.strictObject({ type: z.literal(type), event_id: eventId, ...fields })]));

export const isExtension = (event) => Object.hasOwn(schemas, event?.type);

// Texts of what is wrong with one event of a connection.
export function checkExtension(event) {
    const result = schemas[event.type].safeParse(event);
    return result.success ? [] : result.error.issues.map((issue) =>
        `${event.type} ${issue.path.join('.')}: ${issue.message} in ${JSON.stringify(event)}`);
}

// What no event of such a connection may hold.
export function checkNoAudio(event) {
    const audio = /^response\.(output_)?audio\.delta$/.test(event.type) ||
        event.item?.content?.some?.((part) => part.audio !== undefined);
    return audio ? [`${event.type} has audio`] : [];
}
