// Lets dtls_echo and slipwayd talk to the DTLS programs of other projects as separate processes, and
// writes what passed as a table.
//   node interop.js BUILD_FOLDER PKI_FOLDER [--table FILE] [--only TEXT] [--without TEXT]
// The last two choose cases by a part of their name.
'use strict';
const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const { parseArgs } = require('util');
const { build, pki, scratch, exists } = require('./stage.js');
const { cases } = require('./runs.js');
const { Daemon } = require('./slipwayd.js');

const { values: { table, only, without } } = parseArgs({
    args: process.argv.slice(4),
    options: { table: { type: 'string' }, only: { type: 'string' }, without: { type: 'string' } },
});
for (const peer of ['openssl', 'gnutls', 'wolfssl', 'botan']) require(`./peers/${peer}.js`);
const { itsVersion } = require('./peers/mbedtls.js');
require('./peers/libcoap.js');

const atOnce = 6; // they mostly wait
const name = (test) => `${test.direction}: ${test.peer}: ${test.what} ${test.suite}`;

const versions = [
    ['OpenSSL', ['openssl', 'version']], ['GnuTLS', ['gnutls-cli', '--version']],
    ['libcoap', ['coap-client-openssl', '--version']], ['wolfSSL', ['pkg-config', '--modversion', 'wolfssl']],
    ['Botan', ['pkg-config', '--modversion', 'botan-2']],
];
function version([command, ...args]) {
    const { stdout, stderr } = spawnSync(command, args, { encoding: 'latin1' });
    const found = /\d+\.\d+[.\d]*/.exec(`${stdout || ''}${stderr || ''}`);
    return found ? found[0] : 'not installed';
}

function writeTable(results) {
    const lines = ['# DTLS interoperation', '',
        'Written by `tests/integration/dtls/interop.js` from what passed: each line is a handshake between two',
        'processes and data in both directions, or a refusal that was asked for. "Our server" and "our client" are a',
        'small program around the engine; the lines with `slipwayd` are whole: the client proves to be a device that',
        'was imported, says Hello, and is listed as online with the version that it told. On a bad path datagrams of',
        'the handshake are lost, doubled and overtaken, chosen by a seed.', '',
        '| direction | peer | credentials | suite | result |', '| --- | --- | --- | --- | --- |'];
    for (const { test, result } of results) {
        const text = result === null ? 'passed' : result === 'skipped' ? 'not installed' : '**failed**';
        lines.push(`| ${test.direction} | ${test.peer} | ${test.what} | ${test.suite} | ${text} |`);
    }
    const seen = [...versions.map(([of, command]) => `${of} ${version(command)}`), `mbedTLS ${itsVersion}`];
    lines.push('', `Versions: ${seen.join(', ')}.`, '');
    fs.mkdirSync(path.dirname(table), { recursive: true });
    fs.writeFileSync(table, lines.join('\n'));
}

(async () => {
    const results = [];
    const chosen = cases.filter((test) => (!only || name(test).includes(only)) &&
        !(without && name(test).includes(without)));
    // What takes longest goes first.
    const waiting = [...chosen.filter((test) => test.path), ...chosen.filter((test) => !test.path)];
    let daemon;
    const runOne = async (test) => {
        const began = Date.now();
        const result = exists(test.command)
            ? await test.run(test, daemon).catch((error) => error.stack) : 'skipped';
        results.push({ test, result });
        const mark = result === null ? 'ok  ' : result === 'skipped' ? 'skip' : 'FAIL';
        const note = mark === 'skip' ? test.skipped : `${Date.now() - began} ms`;
        console.log(`${mark} ${name(test)} (${note})`);
        if (mark === 'FAIL') console.log(`     ${result.replace(/\n/g, '\n     ')}`);
    };
    const work = async () => {
        while (waiting.length > 0) await runOne(waiting.shift());
    };
    if (waiting.some((test) => test.needsDaemon)) {
        daemon = new Daemon(path.join(build, 'slipwayd'), pki, scratch, '[::]');
        await daemon.start();
    }
    await Promise.all(Array.from({ length: atOnce }, work));
    const code = daemon ? await daemon.stop() : 0;
    if (code !== 0) console.log(`FAIL slipwayd ended with ${code}: ${daemon.log.slice(-2000)}`);
    results.sort((a, b) => cases.indexOf(a.test) - cases.indexOf(b.test));
    if (table) writeTable(results);
    const count = (is) => results.filter(({ result }) => is(result)).length;
    const skipped = count((result) => result === 'skipped'), passed = count((result) => result === null);
    const failed = results.length - skipped - passed + (code !== 0);
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
    process.exit(failed > 0 ? 1 : passed === 0 ? 77 : 0);
})();
