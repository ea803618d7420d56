// SPDX-License-Identifier: BSD-2-Clause
//
// Abuses of shell commands: ways out of the sandbox, and more than it may use.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { fails, either, exits, gives, refused } from './abuse.mjs';

const ends = refused('timeout', 'failed');
const python = existsSync('/usr/bin/python3');
const says = (text) => gives((output) => assert.equal(output.stdout, text,
    JSON.stringify(output)));

const escapes = ({ at, port }) => [
    [`cat ${at.outside}`], ['cat ../secret.txt'],
    [`ln -s ${at.outside} by-bash && cat by-bash`],
    ['cat /etc/passwd'], ['cat /etc/shadow'], ['cat /root/.bashrc'], ['ls /home /root /var'],
    [`ls ${at.place}/root-sibling`],
    ['ls /proc/1/root/etc/passwd'], ['cat /proc/sysrq-trigger'],
    ['echo 1 > /proc/sys/kernel/panic'], ['cat /proc/kcore | head -c 1 | grep -q .'],
    ['echo x > /usr/bin/x'], ['echo x > /etc/x'], ['echo x > /new'], ['echo x > /dev/new'],
    ['mknod zero c 1 5'], ['cat /dev/vda /dev/sda /dev/mem /dev/kmsg'],
    ['mount -t tmpfs none /tmp'], ['mount -o remount,rw /usr'], ['umount /tmp'],
    ['unshare -r true'], ['unshare -m true'], ['nsenter -t 1 -a true'], ['chroot . true'],
    ['su -c id'], ['sudo -n id'], ['mkdir x; chmod 4755 x; chown 0 x'],
    [`exec 3<>/dev/tcp/127.0.0.1/${port}`], ['exec 3<>/dev/udp/8.8.8.8/53; echo x >&3'],
    ['exec 3<>/dev/tcp/169.254.169.254/80'],
    [`curl -sf -m 5 http://127.0.0.1:${port}/health || wget -qO- http://127.0.0.1:${port}/`],
    ['ip link add x type dummy || ifconfig lo up 10.0.0.1'],
    ['kill -9 1; kill -TERM 1; test ! -d /proc/1'],
    ['ulimit -u 100000'], ['ulimit -n 100000'], ['nice -n -10 true 2>&1 | grep -vq .'],
    ['echo 0 > /proc/self/oom_score_adj'], ['dmesg'],
    ['date -s 2001-01-01 2>&1 | grep -vq .'], ['hostname new'],
].map(([command]) => ({ name: `bash: ${command.replaceAll(at.place, '')}`, tool: 'bash',
    args: { command, timeout: 20 }, ends: fails }));

const calls = !python ? [] : [
    ['AF_VSOCK', 'import socket; socket.socket(40, socket.SOCK_STREAM)'],
    ['AF_ALG', 'import socket; socket.socket(38, socket.SOCK_SEQPACKET)'],
    ['AF_PACKET', 'import socket; socket.socket(17, socket.SOCK_RAW)'],
    ['AF_NETLINK', 'import socket; socket.socket(16, socket.SOCK_RAW)'],
    ['raw IP', 'import socket; socket.socket(2, socket.SOCK_RAW, 1)'],
    ['ptrace', 'import ctypes; c = ctypes.CDLL(None); exit(c.ptrace(0, 0, 0, 0) != 0)'],
    ['keyrings', 'import ctypes; exit(ctypes.CDLL(None).syscall(250, 0, -3, 0) < 0)'],
    ['io_uring', 'import ctypes; exit(ctypes.CDLL(None).syscall(425, 1, 0) < 0)'],
    ['bpf', 'import ctypes; exit(ctypes.CDLL(None).syscall(321, 0, 0, 0) < 0)'],
    ['memfd_create', 'import os; os.memfd_create("x")'],
    ['CLONE_NEWUSER', 'import ctypes; exit(ctypes.CDLL(None).unshare(0x10000000) != 0)'],
    ['TIOCSTI', 'import fcntl, termios; fcntl.ioctl(0, termios.TIOCSTI, b"x")'],
].map(([name, code]) => ({ name: `bash: ${name}`, tool: 'bash',
    args: { command: `/usr/bin/python3 -c '${code.replaceAll("'", '"')}'` }, ends: fails }));

const tells = ({ env }) => [
    { name: 'no variable of the server', command: 'env; cat /proc/*/environ',
        ends: gives((output) => assert.ok(!output.stdout.includes(env))) },
    { name: 'no descriptor of the server', command: 'ls /proc/self/fd',
        ends: says('0\n1\n2\n3\n') }, // the last is that of ls itself
    { name: 'no right', command: 'grep ^CapEff: /proc/self/status | cut -f 2',
        ends: says('0000000000000000\n') },
    { name: 'not root', command: '[ $(id -u) != 0 ] && echo so', ends: says('so\n') },
    { name: 'no other process', command: '[ $(ls -d /proc/[0-9]* | wc -l) -lt 8 ] && echo so',
        ends: says('so\n') },
    { name: 'nothing of a call before', command: 'ls -A /tmp /dev/shm | grep -v : | grep -c left',
        ends: says('0\n') },
].map(({ name, command, ends: come }) => ({ name: `bash: ${name}`, tool: 'bash',
    args: { command }, ends: come }));

const abuses = [
    { name: 'a fork bomb', command: ':(){ :|:& };:', ends: either(gives(), ends) },
    { name: 'a fork bomb that is waited for',
        command: 'b() { while :; do b & done; }; b', timeout: 2, ends },
    { name: 'a fork bomb of programs', command: 'echo \'bash x & bash x\' > x; bash x; sleep 9',
        timeout: 2, ends: either(ends, gives()) },
    { name: 'memory of one process', command: 'head -c 2G /dev/zero | tail -n 1 | wc -c;'
        + ' exit ${PIPESTATUS[1]}', ends: either(fails, ends) },
    { name: 'memory of many', timeout: 30, ends, command: 'for i in 1 2 3 4 5; do (x=$(head -c 99M '
        + '/dev/zero | tr "\\0" x); y=$x; sleep 20) & done; wait' },
    { name: 'memory in files of /tmp', command: 'cat /dev/zero > /tmp/left', ends: fails },
    { name: 'memory in files of /dev/shm', command: 'cat /dev/zero > /dev/shm/left', ends: fails },
    { name: 'a file without an end', command: 'cat /dev/zero > endless', ends: fails },
    { name: 'descriptors', command: 'for i in $(seq 4000); do exec {fd}</dev/null || exit 1; done',
        ends: either(fails, ends) },
    { name: 'output without an end', command: 'yes', timeout: 2, ends },
    { name: 'errors without an end', command: 'yes >&2', timeout: 2, ends },
    { name: 'both', command: 'yes & yes >&2', timeout: 2, ends },
    { name: '200 MB of output, cut', command: 'head -c 200000000 /dev/zero | tr "\\0" x',
        timeout: 60, ends: gives((output) => {
            assert.equal(output.truncated, true);
            assert.equal(output.stdout_total_bytes, 200000000);
            assert.ok(output.stdout.length <= 50000);
        }) },
    { name: 'bytes of all kinds', command: 'head -c 60000 /dev/urandom', ends: gives() },
    { name: 'processors', command: 'for i in 1 2 3 4; do while :; do :; done & done; wait',
        timeout: 2, ends },
    { name: 'a signal that is not heard', command: 'trap "" TERM INT HUP; sleep 100', timeout: 1,
        ends },
    { name: 'one stopped', command: 'kill -STOP $$', timeout: 1, ends },
    { name: 'one that kills all it can', command: 'sleep 9 & kill -9 -1; kill -9 1; wait',
        ends: gives() },
    { name: 'a daemon', command: '(setsid nohup sleep 1000 </dev/null >/dev/null 2>&1 &)',
        ends: exits(0) },
    { name: 'one in the background that keeps the output', command: 'sleep 1000 & echo up',
        ends: says('up\n') },
    { name: 'the same in a group of its own', command: 'setsid sleep 1000 & echo up',
        ends: says('up\n') },
    { name: 'a coprocess', command: 'coproc sleep 1000; echo up', ends: says('up\n') },
    { name: 'input is waited for', command: 'cat; echo over', ends: says('over\n') },
    { name: 'a deep recursion', command: 'f() { f; }; f', timeout: 2, ends: either(fails, ends) },
].map(({ name, command, timeout = 20, ends: come }) => ({ name: `bash: ${name}`, tool: 'bash',
    args: { command, timeout }, ends: come }));

const wrong = [
    [{}], [{ command: '' }], [{ command: 7 }], [{ command: ['id'] }],
    [{ command: 'id', timeout: 0 }], [{ command: 'id', timeout: -1 }],
    [{ command: 'id', timeout: 1e9 }], [{ command: 'id', timeout: '5' }],
    [{ command: 'id', run_in_background: true }], [{ command: 'x'.repeat(70000) }],
].map(([args]) => ({ name: `bash: ${JSON.stringify(args).slice(0, 60)}`, tool: 'bash', args,
    ends: refused('invalid_arguments', 'too_large') }));

// What a command leaves is what the file tools meet next.
const together = ({ at }) => [
    { name: 'bash: a link that leads out', tool: 'bash',
        args: { command: `ln -sfn ${at.place} planted; ln -sf /etc/passwd planted-file` },
        ends: exits(0) },
    { name: 'read_file through it', tool: 'read_file',
        args: { file_path: 'planted/secret.txt' }, ends: refused('denied') },
    { name: 'read_file of what it leads to', tool: 'read_file',
        args: { file_path: 'planted-file' }, ends: refused('denied') },
    { name: 'write_file through it', tool: 'write_file',
        args: { file_path: 'planted/new.txt', content: 'x' }, ends: refused('denied'),
        after: () => assert.equal(existsSync(`${at.place}/new.txt`), false) },
    { name: 'bash: a FIFO', tool: 'bash', args: { command: 'mkfifo pipe' }, ends: exits(0) },
    { name: 'read_file of it', tool: 'read_file', args: { file_path: 'pipe' },
        ends: refused('invalid_arguments') },
    { name: 'bash: a program that is somebody else\'s', tool: 'bash',
        args: { command: 'cp /usr/bin/id mine; chmod 6755 mine; ./mine -u' },
        ends: gives((output) => assert.notEqual(output.stdout, '0\n')),
        after: () => assert.ok(readFileSync(at.in('mine')).length > 0) },
];

export const bashCases = (where) => [...escapes(where), ...calls, ...tells(where), ...abuses,
    ...tells(where), ...wrong, ...together(where)];
