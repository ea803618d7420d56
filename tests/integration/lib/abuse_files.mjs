// SPDX-License-Identifier: BSD-2-Clause
//
// Abuses of file tools: ways out of the root, things that are no files, names,
// patterns and expressions that cost more than they are worth.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { existsSync, ftruncateSync, linkSync, mkdirSync, openSync, closeSync, readFileSync,
    renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { count } from './paths.mjs';
import { defer } from './process.mjs';
import { either, gives, refused, secret, status } from './abuse.mjs';

const out = refused('denied', 'not_found', 'invalid_arguments');
const tera = 2 ** 40;

function hasDevice(path) {
    try {
        execFileSync('mknod', [path, 'c', '1', '5'], { stdio: 'ignore' });
        return true;
    } catch {
        return false;
    }
}

// What the cases meet. The sizes are of files that take no room.
export async function fillRoot(t, at) {
    mkdirSync(at.in('sub/deep'), { recursive: true });
    writeFileSync(at.in('notes.txt'), 'hello\nworld\n');
    writeFileSync(at.in('sub/a.c'), 'int hello;\n');
    symlinkSync(at.outside, at.in('out-file'));
    symlinkSync(at.place, at.in('out-dir'));
    symlinkSync('../../secret.txt', at.in('sub/out-relative'));
    symlinkSync('out-file', at.in('out-twice'));
    symlinkSync('/proc/self/root', at.in('out-proc'));
    symlinkSync('/dev/zero', at.in('out-zero'));
    symlinkSync('loop-b', at.in('loop-a'));
    symlinkSync('loop-a', at.in('loop-b'));
    symlinkSync('..', at.in('sub/up'));
    linkSync(at.outside, at.in('hard'));
    execFileSync('mkfifo', [at.in('fifo')]);
    const sparse = openSync(at.in('sparse'), 'w');
    ftruncateSync(sparse, tera);
    closeSync(sparse);
    writeFileSync(at.in('aaaa.txt'), `${'a'.repeat(5000)}!\n`.repeat(20));
    writeFileSync(at.in('line.txt'), 'x'.repeat(20 << 20));
    writeFileSync(Buffer.concat([Buffer.from(at.in('bad-')), Buffer.from([0xff, 0xfe])]), 'x');
    writeFileSync(at.in('new\nline \u202e.txt'), 'x');
    mkdirSync(at.in('many'));
    for (let i = 0; i < count(2000, 20000); i++) {
        writeFileSync(at.in('many', `f${i}`), '');
    }
    // Deeper than any path is long.
    const levels = 'dd/'.repeat(1200);
    mkdirSync(at.in('sub/deep', levels), { recursive: true });
    mkdirSync(at.in('sub/deeper', levels), { recursive: true });
    renameSync(at.in('sub/deeper'), at.in('sub/deep', levels, 'more'));
    const socket = createServer().listen(at.in('socket'));
    defer(t, () => new Promise((done) => { socket.close(done); }));
    return { hasDevice: process.getuid() === 0 && hasDevice(at.in('device')) };
}

const reads = (at) => [
    '../secret.txt', 'sub/../../secret.txt', 'sub/./.././../secret.txt', './../secret.txt',
    at.outside, `${at.root}/../secret.txt`, `${at.root}-sibling/secret.txt`,
    `${at.root}/../root-sibling/secret.txt`, '/etc/passwd', '//etc/passwd',
    '/proc/self/environ', '/proc/self/root/etc/passwd', '/dev/stdin', 'out-file', 'out-twice',
    'out-dir/secret.txt', 'sub/out-relative', 'out-proc/etc/passwd', 'out-zero',
    'sub/up/../secret.txt', 'loop-a', 'loop-a/x', 'notes.txt/../../secret.txt',
    '....//secret.txt', '..\\secret.txt', '%2e%2e/secret.txt', '~/secret.txt',
    'file:///etc/passwd', '$(cat ../secret.txt)',
].map((path) => ({ name: `read_file ${path.replaceAll(at.place, '')}`, tool: 'read_file',
    args: { file_path: path }, ends: out }));

const unharmed = (at) => () => {
    assert.equal(readFileSync(at.outside, 'utf8'), `${secret}\n`);
    assert.equal(existsSync(`${at.place}/new.txt`), false);
};

const writes = (at) => [
    ...['../new.txt', `${at.place}/new.txt`, 'out-dir/new.txt', 'sub/../../new.txt',
        'sub/up/../new.txt', 'out-proc/tmp/new.txt', '', '.', '..', '/', 'sub', 'sub/..',
        'fifo/x', 'notes.txt/x'].map((path) => ({
        name: `write_file ${path.replaceAll(at.place, '')}`, tool: 'write_file',
        args: { file_path: path, content: 'x' }, ends: out, after: unharmed(at) })),
    { name: 'write_file through a link of a file', tool: 'write_file',
        args: { file_path: 'out-file', content: 'x' }, ends: either(out, gives()),
        after: unharmed(at) },
    { name: 'write_file to another name of a file outside', tool: 'write_file',
        args: { file_path: 'hard', content: 'x' }, ends: gives(), after: unharmed(at) },
    { name: 'write_file to a FIFO waits for nobody', tool: 'write_file',
        args: { file_path: 'fifo', content: 'x' }, ends: either(out, gives()) },
    { name: 'edit_file through a link', tool: 'edit_file', args: { file_path: 'sub/out-relative',
        old_string: secret.slice(0, 3), new_string: 'x' }, ends: out, after: unharmed(at) },
    { name: 'edit_file ../secret.txt', tool: 'edit_file', args: { file_path: '../secret.txt',
        old_string: 'OUT', new_string: 'x' }, ends: out, after: unharmed(at) },
    { name: 'edit_file of something huge', tool: 'edit_file', args: { file_path: 'sparse',
        old_string: 'a', new_string: 'b' }, ends: refused('too_large', 'invalid_arguments') },
    { name: 'edit_file that grows without end', tool: 'edit_file', args: { file_path: 'line.txt',
        old_string: 'x', new_string: 'y'.repeat(100000), replace_all: true },
    ends: refused('too_large', 'failed', 'invalid_arguments') },
];

const nothing = gives((output) => {
    const { matches, files, results, counts } = output;
    assert.deepEqual(matches ?? files ?? results ?? counts, []);
});
const inside = gives((output) => assert.ok(!JSON.stringify(output).includes('secret.txt')));

const searches = [
    ['glob', { pattern: '../*' }], ['glob', { pattern: '../**/secret*' }],
    ['glob', { pattern: '/etc/*' }], ['glob', { pattern: '*', path: '..' }],
    ['glob', { pattern: '*', path: '/etc' }], ['glob', { pattern: '*', path: 'out-dir' }],
    ['glob', { pattern: 'secret.txt', path: 'out-dir/' }],
    ['glob', { pattern: 'out-dir/*' }], ['glob', { pattern: 'out-proc/etc/pass*' }],
    ['grep', { pattern: 'OUTSIDE', path: '..' }], ['grep', { pattern: 'root', path: '/etc' }],
    ['grep', { pattern: 'OUTSIDE', path: 'out-file' }],
    ['grep', { pattern: 'OUTSIDE', path: 'out-dir' }],
    ['grep', { pattern: 'OUTSIDE', glob: '../*' }],
    ['grep', { pattern: 'OUTSIDE-OF', path: 'sub', include_ignored: true }],
].map(([tool, args]) => ({ name: `${tool} ${JSON.stringify(args)}`, tool, args,
    ends: either(out, nothing, inside) }));

const patterns = [
    ['a glob of many braces', 'glob', { pattern: '{a,b}'.repeat(40) }],
    ['a glob of nested braces', 'glob', { pattern: `${'{a,'.repeat(500)}b${'}'.repeat(500)}` }],
    ['a glob of many stars', 'glob', { pattern: `${'*a'.repeat(200)}*b` }],
    ['a glob of many double stars', 'glob', { pattern: `${'**/'.repeat(200)}x` }],
    ['a glob that is open', 'glob', { pattern: '[a-' }],
    ['a glob of 100 KB', 'glob', { pattern: '?'.repeat(100000) }],
    ['everything, with links that lead up', 'glob', { pattern: '**/*' }],
    ['(a+)+$', 'grep', { pattern: '(a+)+$' }],
    ['(a|aa)+$', 'grep', { pattern: '(a|aa)+$' }],
    ['(.*)*x(.*)*y', 'grep', { pattern: '(.*)*x(.*)*y', path: 'aaaa.txt' }],
    ['(a*)*\\1b', 'grep', { pattern: '(a*)*\\1b' }],
    ['its own limits set high', 'grep',
        { pattern: '(*LIMIT_MATCH=4294967295)(*LIMIT_DEPTH=4294967295)(a+)+$' }],
    ['recursion', 'grep', { pattern: '(a(?1)?b?)+$' }],
    ['recursion without an end', 'grep', { pattern: '(?R)*' }],
    ['over lines, again and again', 'grep',
        { pattern: '(.|\\n)*(.|\\n)*(.|\\n)*z', multiline: true, path: 'aaaa.txt' }],
    ['counted counts', 'grep', { pattern: '((a{1,500}){1,500}){1,500}' }],
    ['a group in a group in a group', 'grep', { pattern: '('.repeat(3000) + ')'.repeat(3000) }],
    ['an expression of 200 KB', 'grep', { pattern: '(a|b)'.repeat(40000) }],
    ['no expression', 'grep', { pattern: '(' }],
    ['halves of characters', 'grep', { pattern: '\\C\\xff' }],
    ['a line of 20 MB', 'grep', { pattern: 'x', path: 'line.txt', output_mode: 'content' }],
    ['a line of 20 MB, all of it', 'grep',
        { pattern: 'x+y', path: 'line.txt', output_mode: 'content' }],
    ['a terabyte', 'grep', { pattern: 'x', path: 'sparse', output_mode: 'count' }],
    ['a FIFO', 'grep', { pattern: 'x', path: 'fifo' }],
    ['context beyond everything', 'grep',
        { pattern: 'a', output_mode: 'content', '-A': 2147483647, '-B': 2147483647 }],
].map(([name, tool, args]) => ({ name: `${tool}: ${name}`, tool, args,
    ends: either(gives(), refused('invalid_arguments', 'too_large', 'timeout', 'failed')) }));

const things = ({ hasDevice: device }) => [
    { name: 'a FIFO is not waited for', path: 'fifo', ends: out },
    { name: 'a socket', path: 'socket', ends: out },
    ...device ? [{ name: 'a device', path: 'device', ends: out }] : [],
    { name: 'a directory has a listing', path: 'sub', ends: gives() },
    { name: 'a terabyte', path: 'sparse', ends: either(gives(), refused('too_large')) },
    { name: 'the end of a terabyte', path: 'sparse', offset: 4000000000,
        ends: either(gives(), refused('too_large', 'timeout', 'invalid_arguments')) },
    { name: 'a line of 20 MB', path: 'line.txt',
        ends: gives((output) => assert.ok(output.content.length < 10000)) },
    { name: 'a name with a line end', path: 'new\nline \u202e.txt', ends: gives() },
    { name: 'a name of 300 bytes', path: 'n'.repeat(300), ends: out },
    { name: 'a path of 5000 bytes', path: 'd/'.repeat(2500), ends: out },
    { name: 'a path of 200 KB', path: `${'../'.repeat(66000)}etc/passwd`, ends: out },
    { name: 'a path of spaces', path: '   ', ends: out },
].map(({ name, path, offset, ends }) => ({ name: `read_file: ${name}`, tool: 'read_file',
    args: { file_path: path, ...offset && { offset } }, ends }));

// Bytes on the wire that no path should hold.
const bytes = [
    ['a NUL in a path', '{"file_path":"notes.txt\\u0000/../../secret.txt"}'],
    ['half a surrogate', '{"file_path":"\\ud800"}'],
    ['bytes that are no UTF-8', Buffer.from('{"file_path":"bad-\xff\xfe"}', 'latin1')],
    ['the same name twice', '{"file_path":"notes.txt","file_path":"../secret.txt"}'],
].map(([name, body]) => ({ name: `read_file: ${name}`, tool: 'read_file', body,
    ends: either(out, status(400)) }));

export const fileCases = (at, found) => [...reads(at), ...writes(at), ...searches, ...patterns,
    ...things(found), ...bytes,
    { name: 'glob: a name that is no UTF-8', tool: 'glob', args: { pattern: 'bad-*' },
        ends: gives((output) => assert.equal(output.count, 1)) },
    { name: 'glob: more names than are told', tool: 'glob', args: { pattern: 'many/*' },
        ends: gives((output) => assert.ok(output.count <= 500 && output.total_files > 500)) },
];
