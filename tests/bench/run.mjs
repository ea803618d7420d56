// SPDX-License-Identifier: BSD-2-Clause
//
// `make bench`: measures the rows of lib/rows.mjs, prints a table, writes
// build/bench/results.json, and fails when a row doesn't hold.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build, runDir } from '../integration/lib/paths.mjs';
import { killSession } from '../integration/lib/process.mjs';
import { machine } from './lib/measure.mjs';
import { goalOf, holds, rows } from './lib/rows.mjs';
import { selfTest } from './lib/self_test.mjs';

const usage = `usage: tests/bench/run [options]
  --ids A,B        these rows alone
  --quick          shorter and fewer rounds: for a look, not for the record
  --rounds N       rounds in alternation (default 6, quick 2)
  --peer WHAT      socket between the tunnel and its peer: unix (default), tcp
  --report-only    succeed although a row doesn't hold
  --self-test      only check the load client
  --list           print the rows and their goals`;

function options() {
    const { values } = parseArgs({ options: {
        ids: { type: 'string' }, quick: { type: 'boolean', default: false },
        rounds: { type: 'string' }, peer: { type: 'string', default: 'unix' },
        'report-only': { type: 'boolean', default: false },
        'self-test': { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false } } });
    const rounds = Number(values.rounds ?? (values.quick ? 2 : 6));
    const ids = values.ids?.split(',') ?? rows.map(row => row.id);
    const unknown = ids.filter(id => !rows.some(row => row.id === id));
    if (unknown.length > 0 || !(rounds >= 1 && rounds <= 100) ||
        !['unix', 'tcp'].includes(values.peer)) {
        throw new Error(unknown.length > 0 ? `no such row: ${unknown.join(', ')}` : usage);
    }
    return { ...values, ids, rounds };
}

const line = (...cells) => console.log(`${cells[0].padEnd(26)} ${cells[1].padStart(9)} ` +
    `${cells[2].padEnd(6)} ${cells[3].padEnd(8)} ${cells[4].padEnd(6)} ${cells[5]}`);

function result(row, value) {
    const known = typeof value === 'number' && Number.isFinite(value);
    return { id: row.id, value: known ? Number(value.toFixed(3)) : null, unit: row.unit,
        goal: goalOf(row), holds: known && holds(row, value) };
}

// A group that fails costs its rows, not the others.
async function measure(group, wanted, settings) {
    let values = {};
    try {
        values = await group(settings);
    } catch (error) {
        console.error(`${group.name}: ${error.stack ?? error}`);
    }
    const found = wanted.filter(row => row.group === group)
        .map(row => result(row, values[row.id]));
    for (const each of found) {
        line(each.id, each.value === null ? 'failed' : String(each.value), each.unit, each.goal,
            each.holds ? 'yes' : 'NO', rows.find(row => row.id === each.id).what);
    }
    if (values.notes) {
        console.log(`    ${JSON.stringify(values.notes)}`);
    }
    return found;
}

async function main() {
    const settings = options();
    if (settings.help || settings.list) {
        console.log(settings.help ? usage
            : rows.map(row => `${row.id.padEnd(26)} ${goalOf(row).padEnd(8)} ${row.what}`).join('\n'));
        return 0;
    }
    await selfTest();
    if (settings['self-test']) {
        return 0;
    }
    const wanted = rows.filter(row => settings.ids.includes(row.id));
    const found = [];
    line('row', 'value', 'unit', 'goal', 'holds', 'what');
    for (const group of new Set(wanted.map(row => row.group))) {
        found.push(...await measure(group, wanted, settings));
    }
    mkdirSync(join(build, 'bench'), { recursive: true });
    writeFileSync(join(build, 'bench/results.json'),
        `${JSON.stringify({ machine: machine(), rows: found }, null, 1)}\n`);
    const missed = found.filter(each => !each.holds).length;
    console.log(`${found.length - missed} of ${found.length} rows hold`);
    return missed > 0 && !settings['report-only'] ? 1 : 0;
}

// Servers lead sessions of their own: an interrupted run takes them along.
function abandon() {
    const list = join(runDir, 'sessions');
    const sessions = existsSync(list) ? readFileSync(list, 'utf8').match(/\d+/g) ?? [] : [];
    for (const session of sessions) {
        killSession(Number(session));
    }
    process.exit(130);
}

process.once('SIGINT', abandon);
process.once('SIGTERM', abandon);
process.exit(await main().catch(error => {
    console.error(error.message ?? error);
    return 2;
}));
