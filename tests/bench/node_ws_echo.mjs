// SPDX-License-Identifier: BSD-2-Clause
//
// A WebSocket echo server on Node's `ws`: the peer behind NGINX's own tunnel
// in the echo rows. usage: node_ws_echo.mjs PORT|SOCKET [options as JSON] (port 0: any)
//
// {deflate}: permessage-deflate as ours does it, each message on its own at
// level 1, short ones plain. The other options are faults for the load
// client's own test: every n-th message {drop, damage, twice}, {delay} in ms,
// {fragment} and {ping} switches.

import { createRequire } from 'node:module'
import http from 'node:http'

const require = createRequire(new URL('../package.json', import.meta.url))
const { WebSocketServer } = require('ws')
const [where, json = '{}'] = process.argv.slice(2)
const { deflate = false, ...faults } = JSON.parse(json)
let count = 0

const hits = n => n && count % n === 0

function send(socket, data, isBinary) {
    if (!faults.fragment) {
        socket.send(data, { binary: isBinary })
        return
    }
    const half = data.length >> 1
    socket.send(data.subarray(0, half), { binary: isBinary, fin: false })
    if (faults.ping)
        socket.ping('between')
    socket.send(data.subarray(half), { binary: isBinary, fin: true })
}

function faulty(socket, data, isBinary) {
    count++
    if (hits(faults.drop))
        return
    if (hits(faults.damage))
        data[data.length - 1] ^= 1
    const go = () => send(socket, data, isBinary)
    if (faults.delay)
        setTimeout(go, faults.delay)
    else
        go()
    if (hits(faults.twice))
        go()
}

const plain = Object.keys(faults).length === 0
const server = http.createServer((request, response) => response.end('ok'))
const sockets = new WebSocketServer({ server, perMessageDeflate: deflate && {
    serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 1000,
    zlibDeflateOptions: { level: 1 } } })

sockets.on('connection', socket => {
    socket.on('message', (data, isBinary) => {
        if (plain)
            socket.send(data, { binary: isBinary })
        else
            faulty(socket, data, isBinary)
    })
    socket.on('error', () => socket.terminate())
    if (faults.hang_up)
        setTimeout(() => socket.terminate(), faults.hang_up)
})
if (/^[0-9]+$/.test(where))
    server.listen({ host: '127.0.0.1', port: Number(where), backlog: 4096 }, ready)
else
    server.listen({ path: where, backlog: 4096 }, ready)

function ready() {
    process.stdout.write(`${JSON.stringify(server.address())}\n`)
}
