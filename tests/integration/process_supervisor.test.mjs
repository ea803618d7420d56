// SPDX-License-Identifier: BSD-2-Clause
//
// The supervisor: starts the server, starts it again, brings up another
// generation, becomes another binary, drains, stops.

import assert from 'node:assert/strict';
import test from 'node:test';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync,
    writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { build, count, voicedBinary } from './lib/paths.mjs';
import { Process, childrenOf, commandOf, defer, fdCount, isAlive, membersOf, processes, until }
    from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { Voiced, canConnectTo } from './lib/voiced.mjs';

const serversOf = (pid) => childrenOf(pid).filter((p) => /voiced-server/.test(commandOf(p)));

// The control socket answers, and it is not the process `before` that does.
async function servedAnew(voiced, before) {
    return until(async () => {
        const { code, stdout } = await voiced.ctl('status', '--json');
        const pid = code === 0 ? JSON.parse(stdout).pid : before;
        return pid !== before ? pid : null;
    }, 'another server', 20000);
}

// A supervisor that the test starts itself, over a prepared directory.
function launch(t, voiced, binary, env = {}, name = 'voiced.log') {
    const child = new Process(binary, ['-c', voiced.configPath], { cwd: voiced.dir, env,
        log: join(voiced.dir, name), name: 'voiced' });
    defer(t, async () => {
        await child.stop('SIGTERM');
        await child.checkNoneLeft();
        child.checkSanitizers();
    });
    return child;
}

test('P1 questions are answered by the server and a bad file names its line', async () => {
    const voiced = Voiced.prepare();
    assert.match((await voiced.check('--version')).stdout, /^voiced \d+\.\d+\.\d+\n$/);
    assert.match((await voiced.check('-t')).stdout, /is valid/);
    const { stdout } = await voiced.check('--print-config');
    assert.match(stdout, /max_sessions = 2000/);
    voiced.configure({ max_sessions: 0 });
    const bad = await voiced.check('-t');
    assert.notEqual(bad.code, 0);
    assert.match(bad.stderr, /voiced\.conf:\d+: 'max_sessions'/);
    assert.notEqual((await voiced.check()).code, 0, 'a bad file starts nothing');
    assert.equal(existsSync(voiced.socket), false);
});

test('P2 a killed server is replaced; no zombie and no descriptor stays', async (t) => {
    const voiced = await Voiced.start(t);
    const before = fdCount(voiced.pid);
    const delays = [];
    for (let i = 0; i < count(8, 50); i++) {
        const pid = voiced.serverPid();
        const start = Date.now();
        process.kill(pid, 'SIGKILL');
        await servedAnew(voiced, pid);
        delays.push(Date.now() - start);
    }
    t.diagnostic(`ms to another server: ${delays.join(' ')}`);
    assert.ok(Math.max(...delays) < 10000);
    // The pipe that tells of readiness is closed once it has told.
    await until(() => fdCount(voiced.pid) <= before, 'descriptors to be closed');
    assert.equal(processes().filter((p) => p.ppid === voiced.pid).length, 1);
    assert.equal(voiced.process.exit, null);
});

test('P3 SIGHUP: a bad file changes nothing, a good one is in force', async (t) => {
    const voiced = await Voiced.start(t);
    const first = voiced.serverPid();
    voiced.configure({ max_sessions: 'many' });
    voiced.process.kill('SIGHUP');
    await until(() => /configuration=refused.*'max_sessions'/.test(voiced.log()), 'the refusal');
    assert.deepEqual(voiced.serverPids(), [first]);
    voiced.configure({ max_sessions: 17 });
    voiced.process.kill('SIGHUP');
    await servedAnew(voiced, first);
    const status = JSON.parse((await voiced.ctl('status', '--json')).stdout);
    assert.equal(status.max_sessions, 17);
    assert.equal(status.generation, 2);
    await until(() => !isAlive(first), 'the old generation to end');
    assert.equal(existsSync(voiced.control), true, 'the old one left the socket alone');
});

test('P4 SIGHUP takes another address; the old one is gone with its generation', async (t) => {
    const voiced = await Voiced.start(t);
    const other = join(voiced.dir, 'other.sock');
    const first = voiced.serverPid();
    voiced.configure({ listen: { unix: other } });
    voiced.process.kill('SIGHUP');
    await servedAnew(voiced, first);
    assert.equal(await canConnectTo(other), true);
    await until(() => !existsSync(voiced.socket), 'the old socket to go');
});

test('P5 SIGUSR2: another binary, the same pid, the sockets kept', async (t) => {
    const voiced = Voiced.prepare();
    const bin = join(voiced.dir, 'bin');
    mkdirSync(bin);
    const install = (name) => {
        copyFileSync(join(build, name), join(bin, `${name}.new`));
        chmodSync(join(bin, `${name}.new`), 0o755);
        renameSync(join(bin, `${name}.new`), join(bin, name));
    };
    ['voiced', 'voiced-server'].forEach(install);
    const child = launch(t, voiced, join(bin, 'voiced'));
    await until(() => voiced.isReady(), 'readiness');
    const [first] = serversOf(child.pid);
    const fds = fdCount(child.pid);

    ['voiced', 'voiced-server'].forEach(install);
    child.kill('SIGUSR2');
    const second = await servedAnew(voiced, first);
    await until(() => !isAlive(first), 'the old server to end');
    assert.equal(child.exit, null);
    assert.deepEqual(serversOf(child.pid), [second]);
    assert.equal(fdCount(child.pid), fds);
    assert.equal(await canConnectTo(voiced.socket), true);

    // One that can't run is refused.
    writeFileSync(join(bin, 'broken'), '#!/nonexistent\n', { mode: 0o755 });
    renameSync(join(bin, 'broken'), join(bin, 'voiced'));
    child.kill('SIGUSR2');
    await until(() => /refused/.test(child.log()), 'the refusal');
    assert.deepEqual(serversOf(child.pid), [second]);
    install('voiced');

    process.kill(second, 'SIGKILL'); // it still supervises
    await servedAnew(voiced, second);
});

test('P6 SIGQUIT: sessions go on to their end, nobody new, then it ends', async (t) => {
    const stack = await startStack(t);
    const client = await stack.connect(t);
    await client.next('session.created');
    const ended = stack.voiced.stop('SIGQUIT');
    await until(() => /state=draining generation/.test(stack.voiced.log()), 'the drain');
    assert.equal(await canConnectTo(stack.voiced.socket), false);
    await client.update({ output_modalities: ['text'] });
    client.sayText('hello');
    assert.equal((await client.respond()).status, 'completed');
    assert.equal(stack.voiced.process.exit, null);
    await client.close();
    assert.deepEqual(await ended, { code: 0, signal: null });
    assert.equal(existsSync(stack.voiced.socket), false);
});

test('P7 SIGTERM: every session is told 1001', async (t) => {
    const stack = await startStack(t);
    const clients = await Promise.all(Array.from({ length: 5 }, () => stack.connect(t)));
    await Promise.all(clients.map((c) => c.next('session.created')));
    const ended = stack.voiced.stop('SIGTERM');
    for (const client of clients) {
        assert.equal((await client.waitClosed()).code, 1001);
    }
    assert.deepEqual(await ended, { code: 0, signal: null });
    assert.equal(existsSync(stack.voiced.socket), false);
    assert.equal(existsSync(stack.voiced.control), false);
});

test('P8 a stale socket is replaced, one that is answered is not', async (t) => {
    const voiced = await Voiced.start(t, { config: (v) => `
control = "${v.control}"
pid_file = "${v.pidPath}"
listen { unix = "${v.socket}" }
auth { mode = none }
offline { plugin = "${build}/voiced-speech.so" }
` });
    assert.equal(Number(readFileSync(voiced.pidPath, 'utf8')), voiced.pid);
    const second = await voiced.check();
    assert.notEqual(second.code, 0);
    assert.match(second.stderr, /Address already in use/);
    assert.equal(await canConnectTo(voiced.socket), true);

    const server = voiced.serverPid();
    await voiced.stop('SIGKILL');
    await until(() => !isAlive(server), 'the server to die with its supervisor');
    assert.equal(existsSync(voiced.socket), true);
    const third = launch(t, voiced, voicedBinary, {}, 'third.log');
    await until(() => voiced.isReady(), 'readiness');
    assert.equal(Number(readFileSync(voiced.pidPath, 'utf8')), third.pid);
    await third.stop('SIGTERM');
    assert.equal(existsSync(voiced.pidPath), false);
    voiced.process.exit = { code: 0, signal: null }; // we killed it ourselves
});

test('P9 a server that does not start is tried ever less often', async (t) => {
    const voiced = Voiced.prepare();
    const server = join(voiced.dir, 'server');
    writeFileSync(server, `#!/bin/sh
case "$*" in *--print-listen*) echo "unix 0660 16 ${voiced.socket}"; exit 0;; esac
exit 1
`, { mode: 0o755 });
    const child = launch(t, voiced, voicedBinary, { VOICED_SERVER: server });
    await until(() => /restart_in_ms=1600/.test(child.log()), 'the fifth delay');
    assert.equal(child.log().match(/state=starting/g).length, 5);
    assert.equal(await canConnectTo(voiced.socket), true, 'who connects waits');
});

test("P10 systemd's sockets are taken", async (t) => {
    const voiced = Voiced.prepare();
    const path = join(voiced.dir, 'given.sock');
    const listener = createServer();
    await new Promise((done) => listener.listen(path, done));
    const child = spawn('/bin/sh', ['-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"',
        voicedBinary, '-c', voiced.configPath],
    { detached: true, stdio: ['ignore', 'ignore', 'ignore', listener._handle] });
    const exited = new Promise((done) => child.once('exit', (code) => done(code)));
    defer(t, async () => {
        child.kill('SIGTERM');
        await exited;
        listener.close();
    });
    await until(() => voiced.isReady(), 'readiness');
    assert.equal(existsSync(voiced.socket), false, 'the configured one is not bound');
    listener._handle.unref?.();
    assert.equal(membersOf(child.pid).length, 2);
    child.kill('SIGTERM');
    assert.equal(await exited, 0);
    assert.equal(existsSync(path), true, "systemd's socket is systemd's");
});
