// SPDX-License-Identifier: BSD-2-Clause
//
// A Realtime server that takes its time to begin: the upstream of the rows on
// session starts. usage: node_upstream.mjs DELAY_MS KEY_FILE CERT_FILE
//
// Over TLS it accepts an upgrade DELAY_MS after the request, says
// session.created at once and answers session.update. It prints its port.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import https from 'node:https'

const require = createRequire(new URL('../package.json', import.meta.url))
const { WebSocketServer } = require('ws')
const [delay, key, cert] = process.argv.slice(2)
let count = 0

const audio = { type: 'audio/pcm', rate: 24000 }
const sessionOf = (id, model) => ({ type: 'realtime', object: 'realtime.session', id, model,
    output_modalities: ['audio'], instructions: 'You are helpful.', tools: [], tool_choice: 'auto',
    max_output_tokens: 'inf', tracing: null, truncation: 'auto', prompt: null, expires_at: 4e9,
    audio: { input: { format: audio, transcription: null, noise_reduction: null,
        turn_detection: { type: 'server_vad', threshold: 0.5, prefix_padding_ms: 300,
            silence_duration_ms: 200, idle_timeout_ms: null, create_response: true,
            interrupt_response: true } },
    output: { format: audio, voice: 'alloy', speed: 1 } }, include: null })

const say = (socket, type, fields) =>
    socket.send(JSON.stringify({ type, event_id: `event_${++count}`, ...fields }))

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
sockets.on('connection', (socket, request) => {
    const model = new URL(request.url, 'http://x').searchParams.get('model')
    const session = sessionOf(`sess_${++count}`, model)
    say(socket, 'session.created', { session })
    socket.on('message', data => {
        const event = JSON.parse(data)
        if (event.type === 'session.update') {
            Object.assign(session, event.session)
            say(socket, 'session.updated', { session })
        }
    })
    socket.on('error', () => socket.terminate())
})

const server = https.createServer({ key: readFileSync(key), cert: readFileSync(cert) })
server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    setTimeout(() => sockets.handleUpgrade(request, socket, head, ws =>
        sockets.emit('connection', ws, request)), Number(delay))
})
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () =>
    process.stdout.write(`${JSON.stringify(server.address())}\n`))
