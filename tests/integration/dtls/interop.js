// Lets dtls_echo and slipwayd talk to the DTLS programs of other projects as separate processes, and
// writes what passed as a table.   node interop.js BUILD_FOLDER PKI_FOLDER [TABLE.md]
'use strict';
const { spawn, spawnSync } = require('child_process');
const dgram = require('dgram');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { Daemon, hello, helloPayload, acknowledged } = require('./slipwayd.js');

const [build, pki, table] = process.argv.slice(2).map((name) => path.resolve(name));
const echo = path.join(build, 'dtls_echo');
const wolf = path.join(build, 'dtls_wolf');
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-interop-'));
const pem = (name) => path.join(pki, `${name}.pem`);
const identity = 'device-12';
const psk = '0123456789abcdef';
const pskHex = Buffer.from(psk).toString('hex');
const word = 'hello';
// A UDP port that nobody has, nor the one below it, outside the range from which clients get theirs.
const isFree = (port) => new Promise((done) => {
    const socket = dgram.createSocket('udp6').once('error', () => done(false));
    socket.bind(port, '::', () => socket.close(() => done(true)));
});
const taken = new Set();
async function takePort() {
    for (;;) {
        const port = 10000 + 2 * Math.floor(Math.random() * 11000);
        if (taken.has(port)) continue;
        taken.add(port);
        if (await isFree(port) && await isFree(port - 1)) return port;
    }
}

const publicKey = (name) => {
    const out = path.join(scratch, `${name}.pub.pem`);
    spawnSync('openssl', ['pkey', '-in', pem(`${name}.key`), '-pubout', '-out', out]);
    return out;
};
const clientPublic = publicKey('client');
const serverPublic = publicKey('server');
// libcoap wants both halves of a raw key in one file, the private one in its older form.
const bothKeys = (name) => {
    const out = path.join(scratch, `${name}.both.pem`);
    const sec1 = spawnSync('openssl', ['ec', '-in', pem(`${name}.key`)], { encoding: 'latin1' }).stdout;
    fs.writeFileSync(out, sec1 + fs.readFileSync(path.join(scratch, `${name}.pub.pem`), 'latin1'));
    return out;
};
const suites = {
    C0AE: ['ECDHE-ECDSA-AES128-CCM8', 'ECDHE-ECDSA', 'AES-128-CCM-8'],
    C0AC: ['ECDHE-ECDSA-AES128-CCM', 'ECDHE-ECDSA', 'AES-128-CCM'],
    C02B: ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA', 'AES-128-GCM'],
    C0A8: ['PSK-AES128-CCM8', 'PSK', 'AES-128-CCM-8'],
    C0A4: ['PSK-AES128-CCM', 'PSK', 'AES-128-CCM'],
    '00A8': ['PSK-AES128-GCM-SHA256', 'PSK', 'AES-128-GCM'],
};
const priority = (suite, raw) =>
    `NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+${suites[suite][1]}:-CIPHER-ALL:+${suites[suite][2]}` +
    ':-GROUP-ALL:+GROUP-SECP256R1:+GROUP-SECP384R1' +
    (raw ? ':-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK' : '');

const ourServer = {
    psk: ['--psk', `${identity}=${psk}`],
    raw: ['--key', pem('server.key')],
    x509: ['--key', pem('server.key'), '--cert', pem('server'), '--trust', pem('authority')],
};
const ourClient = {
    psk: ['--psk', `${identity}=${psk}`],
    raw: ['--key', pem('client.key'), '--pin', serverPublic],
    x509: ['--key', pem('client.key'), '--cert', pem('client'), '--trust', pem('authority')],
};

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

class Program {
    constructor(command, args) {
        this.output = '';
        this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
        this.ended = new Promise((done) => {
            this.child.on('error', () => done('missing'));
            this.child.on('close', () => done('closed'));
        });
        this.child.stdin.on('error', () => {});
        const add = (data) => { this.output += data.toString('latin1'); };
        this.child.stdout.on('data', add);
        this.child.stderr.on('data', add);
    }
    async until(pattern, ms) {
        for (const end = Date.now() + ms; Date.now() < end; await sleep(15)) {
            if (pattern.test(this.output)) return true;
        }
        return false;
    }
    async stop() {
        this.child.stdin.end();
        this.child.kill('SIGTERM');
        const late = setTimeout(() => this.child.kill('SIGKILL'), 1500);
        await this.ended;
        clearTimeout(late);
    }
}

const exists = (command) => path.isAbsolute(command) ? fs.existsSync(command) :
    (process.env.PATH || '').split(':').some((folder) => fs.existsSync(path.join(folder, command)));

// A foreign client, typing one word, against our server.
async function againstOurServer(test) {
    const port = await takePort();
    const server = new Program(echo, ['server', `${port}`, ...test.server]);
    const lines = [];
    try {
        if (!await server.until(/ready/, 20000)) return 'our server did not start';
        for (const client of test.clients) {
            const program = new Program(client[0], client.slice(1).map((a) => a.replace('PORT', port)));
            const typed = setTimeout(() => program.child.stdin.write(test.types || `${word}\n`), 400);
            const before = server.output.length;
            const good = test.refused
                ? await server.until(test.refused, 20000)
                : await program.until(test.answer, 20000);
            clearTimeout(typed);
            await program.stop();
            await sleep(50);
            lines.push(server.output.slice(before));
            if (!good) return `no answer; client: ${program.output.slice(-600)}; server: ${server.output}`;
        }
        const last = lines[lines.length - 1];
        return test.refused || test.expect.test(last) ? null : `unexpected: ${last}`;
    } finally {
        await server.stop();
    }
}

// Our client against a foreign server. libcoap's listens for DTLS one port above the plain one.
async function againstForeignServer(test) {
    const port = await takePort();
    const start = test.start.map((a) => a.replace('PORT', port).replace('BELOW', port - 1));
    const server = new Program(start[0], start.slice(1));
    let typed;
    try {
        await (test.ready ? server.until(test.ready, 20000) : sleep(600));
        const client = new Program(echo, ['client', `${port}`, test.text || word, ...test.client]);
        if (test.types) typed = setTimeout(() => server.child.stdin.write(`${word}\n`), 600);
        const good = await client.until(test.answer, 20000);
        await client.stop();
        if (!good) return `no answer; client: ${client.output}; server: ${server.output.slice(-600)}`;
        return test.expect.test(client.output) ? null : `unexpected: ${client.output}`;
    } finally {
        clearTimeout(typed);
        await server.stop();
    }
}

// A foreign client as a device of slipwayd's: it says Hello, is acknowledged, and is served.
async function againstSlipwayd(test) {
    const device = await test.device(daemon);
    const client = test.client(device).map((a) => a.replace('PORT', daemon.port));
    const program = new Program(client[0], client.slice(1));
    const said = test.says ? setTimeout(() => program.child.stdin.write(hello(device.says || device.id)), 500) : 0;
    try {
        if (test.refused) {
            const told = await program.until(test.refused, 20000);
            if (await daemon.isServed(device.id)) return 'it is served';
            return told ? null : `not told; client: ${program.output.slice(-600)}`;
        }
        const end = Date.now() + 20000;
        while (Date.now() < end && !await daemon.isServed(device.id)) await sleep(50);
        if (!await daemon.isServed(device.id)) {
            return test.unserved ? null : `not served; client: ${program.output.slice(-600)}; slipwayd: ${daemon.log.slice(-300)}`;
        }
        if (test.unserved) return 'it is served';
        return !test.says || await program.until(acknowledged, 5000) ? null : 'not acknowledged';
    } finally {
        clearTimeout(said);
        await program.stop();
    }
}

let daemon;
const tests = [];
const established = (suite, proof, name = '') =>
    new RegExp(`established suite=${suite.toLowerCase()} proof=${proof} name=${name}`);
const inbound = (peer, what, suite, server, clients, more) => tests.push({
    direction: 'their client, our server', peer, what, suite, server, clients, answer: new RegExp(`^${word}`, 'm'),
    command: clients[0][0], run: againstOurServer, ...more,
});
const device = (peer, what, suite, make, client, more) => tests.push({
    direction: 'their client, slipwayd', peer, what, suite, device: make, client, says: true,
    command: client({ id: '', psk: '', key: '', cert: '', pub: '' })[0], run: againstSlipwayd, ...more,
});
const outbound = (peer, what, suite, start, client, more) => tests.push({
    direction: 'our client, their server', peer, what, suite, start, client,
    command: start[0], run: againstForeignServer, ...more,
});

// --- OpenSSL
const sClient = (...args) => ['openssl', 's_client', '-dtls1_2', '-quiet', '-connect', '127.0.0.1:PORT', ...args];
const sClientPsk = (suite, key) => sClient('-psk', key, '-psk_identity', identity, '-cipher', suites[suite][0]);
const sClientCert = (suite, name, ...args) => sClient('-cert', pem(name), '-key', pem(`${name}.key`), '-CAfile',
    pem('authority'), '-verify_return_error', '-cipher', suites[suite][0], ...args);
for (const suite of ['C0A8', 'C0A4', '00A8']) {
    inbound('OpenSSL s_client', 'PSK', suite, ourServer.psk, [sClientPsk(suite, pskHex)],
        { expect: established(suite, 'psk', identity) });
    outbound('OpenSSL s_server', 'PSK', suite,
        ['openssl', 's_server', '-dtls1_2', '-accept', 'PORT', '-psk', pskHex, '-psk_identity', identity, '-nocert',
            '-cipher', suites[suite][0]],
        ourClient.psk,
        { ready: /ACCEPT/, types: true, answer: new RegExp(`content ${word}`), expect: established(suite, 'psk') });
}
for (const suite of ['C0AE', 'C0AC', 'C02B']) {
    inbound('OpenSSL s_client', 'X.509 both ways', suite, ourServer.x509, [sClientCert(suite, 'client')],
        { expect: established(suite, 'x509', 'device-0001') });
    outbound('OpenSSL s_server', 'X.509 both ways', suite,
        ['openssl', 's_server', '-dtls1_2', '-accept', 'PORT', '-cert', pem('server'), '-key', pem('server.key'),
            '-CAfile', pem('authority'), '-Verify', '2', '-verify_return_error', '-cipher', suites[suite][0]],
        ourClient.x509,
        { ready: /ACCEPT/, types: true, answer: new RegExp(`content ${word}`),
            expect: established(suite, 'x509', 'localhost') });
}
inbound('OpenSSL s_client', 'X.509, client on P-384', 'C0AE', ourServer.x509, [sClientCert('C0AE', 'client384')],
    { expect: established('C0AE', 'x509', 'device-0384') });
inbound('OpenSSL s_client', 'X.509, datagrams of 508 bytes', 'C0AE', [...ourServer.x509, '--mtu', '508'],
    [sClientCert('C0AE', 'client', '-mtu', '400')], { expect: established('C0AE', 'x509', 'device-0001') });
const saved = path.join(scratch, 'session.pem');
inbound('OpenSSL s_client', 'resumption by session id', 'C0AE', [...ourServer.x509, '--resume'],
    [sClientCert('C0AE', 'client', '-no_ticket', '-sess_out', saved),
        sClientCert('C0AE', 'client', '-no_ticket', '-sess_in', saved)],
    { expect: /name=device-0001 cid=0 resumed=1/ });
inbound('OpenSSL s_client', 'refused: renegotiation', 'C0AE', ourServer.x509,
    [sClientCert('C0AE', 'client').filter((word) => word !== '-quiet')],
    { types: 'R\n', answer: /no renegotiation/i, expect: established('C0AE', 'x509', 'device-0001') });
inbound('OpenSSL s_client', 'refused: wrong PSK', 'C0A8', ourServer.psk, [sClientPsk('C0A8', '00112233')],
    { refused: /failed/ });
inbound('OpenSSL s_client', 'refused: certificate of a stranger', 'C0AE', ourServer.x509,
    [sClientCert('C0AE', 'unknown')], { refused: /failed no authority/ });
inbound('OpenSSL s_client', 'refused: DTLS 1.0', '', ourServer.x509,
    [['openssl', 's_client', '-dtls1', '-connect', '127.0.0.1:PORT', '-cipher', 'ALL:@SECLEVEL=0']],
    { refused: /refused client cannot speak DTLS 1.2/ });

// --- GnuTLS
const cli = (suite, raw, ...args) => ['gnutls-cli', '--udp', '-p', 'PORT', 'localhost', '--priority',
    priority(suite, raw), ...args];
const serv = (suite, raw, ...args) => ['gnutls-serv', '--udp', '-p', 'PORT', '--echo', '--priority',
    priority(suite, raw), ...args];
const passwords = path.join(scratch, 'passwords');
fs.writeFileSync(passwords, `${identity}:${pskHex}\n`);
for (const suite of ['C0A8', 'C0A4', '00A8']) {
    inbound('gnutls-cli', 'PSK', suite, ourServer.psk,
        [cli(suite, false, '--pskusername', identity, '--pskkey', pskHex)], { expect: established(suite, 'psk', identity) });
    outbound('gnutls-serv', 'PSK', suite, serv(suite, false, '--pskpasswd', passwords), ourClient.psk,
        { ready: /ready/i, answer: new RegExp(`content ${word}`), expect: established(suite, 'psk') });
}
for (const suite of ['C0AE', 'C0AC', 'C02B']) {
    inbound('gnutls-cli', 'raw public keys', suite, ourServer.raw,
        [cli(suite, true, '--rawpkkeyfile', pem('client.key'), '--rawpkfile', clientPublic, '--no-ca-verification')],
        { expect: established(suite, 'raw') });
    inbound('gnutls-cli', 'X.509 both ways', suite, ourServer.x509,
        [cli(suite, false, '--x509cafile', pem('authority'), '--x509certfile', pem('client'), '--x509keyfile',
            pem('client.key'))], { expect: established(suite, 'x509', 'device-0001') });
    outbound('gnutls-serv', 'raw public keys', suite,
        serv(suite, true, '--rawpkkeyfile', pem('server.key'), '--rawpkfile', serverPublic, '--require-client-cert'),
        ourClient.raw, { ready: /ready/i, answer: new RegExp(`content ${word}`), expect: established(suite, 'raw') });
    outbound('gnutls-serv', 'X.509 both ways', suite,
        serv(suite, false, '--x509cafile', pem('authority'), '--x509certfile', pem('server'), '--x509keyfile',
            pem('server.key'), '--require-client-cert', '--verify-client-cert'),
        ourClient.x509,
        { ready: /ready/i, answer: new RegExp(`content ${word}`), expect: established(suite, 'x509', 'localhost') });
}
inbound('gnutls-cli', 'X.509, client on P-384', 'C02B', ourServer.x509,
    [cli('C02B', false, '--x509cafile', pem('authority'), '--x509certfile', pem('client384'), '--x509keyfile',
        pem('client384.key'))], { expect: established('C02B', 'x509', 'device-0384') });

// --- wolfSSL, in a program of ours
inbound('wolfSSL', 'PSK', 'D001', ourServer.psk, [[wolf, 'PORT', identity, pskHex, 'ECDHE-PSK-AES128-GCM-SHA256', Buffer.from(word).toString('hex')]],
    { answer: new RegExp(`received ${Buffer.from(word).toString('hex')}`), expect: established('D001', 'psk', identity) });

// --- each of them as a device
const fleetPsk = (daemon) => daemon.device();
const fleetAlt = (daemon) => daemon.device({ alt: true });
const deviceClient = (suite, d, ...args) => ['openssl', 's_client', '-dtls1_2', '-quiet', '-connect',
    '127.0.0.1:PORT', '-cipher', suites[suite][0], ...args];
const deviceCert = (suite, d, ...args) => deviceClient(suite, d, '-cert', d.cert, '-key', d.key, '-CAfile', pem('authority'),
    '-verify_return_error', ...args);
for (const suite of ['C0A8', 'C0A4', '00A8']) {
    device('OpenSSL s_client', 'PSK', suite, fleetPsk, (d) => deviceClient(suite, d, '-psk', d.psk, '-psk_identity', d.id));
    device('gnutls-cli', 'PSK', suite, fleetPsk, (d) => cli(suite, false, '--pskusername', d.id, '--pskkey', d.psk));
}
for (const suite of ['C0AE', 'C0AC', 'C02B']) {
    device('OpenSSL s_client', 'X.509 both ways', suite, fleetPsk, (d) => deviceCert(suite, d));
    device('gnutls-cli', 'X.509 both ways', suite, fleetPsk, (d) => cli(suite, false, '--x509cafile', pem('authority'),
        '--x509certfile', d.cert, '--x509keyfile', d.key));
    device('gnutls-cli', 'raw public keys', suite, (daemon) => daemon.plainDevice(),
        (d) => cli(suite, true, '--rawpkkeyfile', d.key, '--rawpkfile', d.pub, '--no-ca-verification'));
}
device('OpenSSL s_client', 'X.509, the id in the subjectAltName', 'C0AE', fleetAlt, (d) => deviceCert('C0AE', d));
device('wolfSSL', 'PSK', 'D001', fleetPsk,
    (d) => [wolf, 'PORT', d.id, d.psk, 'ECDHE-PSK-AES128-GCM-SHA256', hello(d.id).toString('hex')],
    { says: false });
for (const library of ['openssl', 'gnutls']) {
    const post = (d, ...args) => {
        const file = path.join(scratch, `${d.id}.hello`);
        fs.writeFileSync(file, helloPayload(d.id));
        return [`coap-client-${library}`, '-m', 'post', '-B', '15', '-f', file, ...args, 'coaps://127.0.0.1:PORT/h'];
    };
    device(`libcoap client (${library})`, 'X.509 both ways', 'first in common', fleetPsk,
        (d) => post(d, '-c', d.cert, '-j', d.key, '-R', pem('authority')), { says: false });
    device(`libcoap client (${library})`, 'PSK', 'first in common', fleetPsk,
        (d) => post(d, '-u', d.id, '-k', d.text), { says: false });
    if (library === 'gnutls') {
        device(`libcoap client (${library})`, 'raw public keys', 'first in common', (daemon) => daemon.plainDevice(),
            (d) => post(d, '-M', d.both), { says: false });
    }
}
const refusedPsk = { says: false, refused: /decrypt error/i };
device('OpenSSL s_client', 'refused: wrong PSK', 'C0A8', fleetPsk,
    (d) => deviceClient('C0A8', d, '-psk', '00'.repeat(16), '-psk_identity', d.id), refusedPsk);
device('OpenSSL s_client', 'refused: unknown PSK identity', 'C0A8', fleetPsk,
    (d) => deviceClient('C0A8', d, '-psk', d.psk, '-psk_identity', 'e00fce68ffffffffffffffff'), refusedPsk);
device('OpenSSL s_client', 'refused: certificate of a stranger', 'C0AE', fleetPsk,
    (d) => deviceClient('C0AE', d, '-cert', pem('unknown'), '-key', pem('unknown.key')),
    { says: false, refused: /unknown ca/i });
device('OpenSSL s_client', 'refused: a Hello for another device', 'C0AE', async (daemon) => {
    const [own, other] = [await daemon.device(), await daemon.device()];
    return { ...own, id: other.id, says: other.id };
}, (d) => deviceCert('C0AE', d), { unserved: true });

// --- libcoap, as Debian builds it: with each of its TLS libraries
for (const library of ['openssl', 'gnutls']) {
    const client = (...args) => [`coap-client-${library}`, '-v', '5', '-m', 'get', '-B', '15', ...args, 'coaps://127.0.0.1:PORT/x'];
    const server = (...args) => [`coap-server-${library}`, '-v', '7', '-A', '127.0.0.1', '-p', 'BELOW', ...args];
    const answer = /slipway/;
    inbound(`libcoap client (${library})`, 'PSK', 'first in common', [...ourServer.psk, '--coap'],
        [client('-u', identity, '-k', psk)], { answer, expect: /proof=psk name=device-12/ });
    inbound(`libcoap client (${library})`, 'X.509 both ways', 'first in common', [...ourServer.x509, '--coap'],
        [client('-c', pem('client'), '-j', pem('client.key'), '-R', pem('authority'))],
        { answer, expect: /proof=x509 name=device-0001/ });
    if (library === 'gnutls') {
        inbound(`libcoap client (${library})`, 'raw public keys', 'first in common', [...ourServer.raw, '--coap'],
            [client('-M', bothKeys('client'))], { answer, expect: /proof=raw/ });
    }
    const coap = { text: 'time', answer: /content [^]/ };
    outbound(`libcoap server (${library})`, 'PSK', 'first in common', server('-k', psk, '-h', identity),
        [...ourClient.psk, '--coap'], { ...coap, expect: /proof=psk/ });
    outbound(`libcoap server (${library})`, 'X.509 both ways', 'first in common',
        server('-c', pem('server'), '-j', pem('server.key'), '-R', pem('authority')),
        [...ourClient.x509, '--coap'], { ...coap, expect: /proof=x509 name=localhost/ });
    if (library === 'gnutls') {
        outbound(`libcoap server (${library})`, 'raw public keys', 'first in common', server('-M', bothKeys('server')),
            [...ourClient.raw, '--coap'], { ...coap, expect: /proof=raw/ });
    }
}
const version = (command) => {
    const args = command === 'openssl' ? ['version'] : ['--version'];
    const text = spawnSync(command, args, { encoding: 'latin1' });
    const found = /\d+\.\d+[.\d]*/.exec(`${text.stdout || ''}${text.stderr || ''}`);
    return found ? found[0] : '';
};

function writeTable(results) {
    const lines = ['# DTLS interoperation', '',
        'Written by `tests/integration/dtls/interop.js` from what passed: each line is a handshake between two',
        'processes and data in both directions, or a refusal that was asked for. "Our server" and "our client" are a',
        'small program around the engine; the lines with `slipwayd` are whole: the client proves to be a device that',
        'was imported, says Hello, and is listed as online with the version that it told.', '',
        '| direction | peer | credentials | suite | result |', '| --- | --- | --- | --- | --- |'];
    for (const { test, result } of results) {
        const text = result === null ? 'passed' : result === 'skipped' ? 'not installed' : '**failed**';
        lines.push(`| ${test.direction} | ${test.peer} | ${test.what} | ${test.suite} | ${text} |`);
    }
    const seen = [['OpenSSL', 'openssl'], ['GnuTLS', 'gnutls-cli'], ['libcoap', 'coap-client-openssl']]
        .filter(([, command]) => exists(command))
        .map(([name, command]) => `${name} ${command.startsWith('coap') ? '4.3' : version(command)}`);
    lines.push('', `Versions: ${seen.join(', ')}.`, '',
        '## What has no foreign peer', '',
        'For connection ids by RFC 9146 (extension 54) and for the suite D003 (ECDHE_PSK with AES-128-CCM_8) no program was',
        'found that speaks them in DTLS 1.2. Looked at: OpenSSL 3.0, GnuTLS 3.7, wolfSSL 5.5.4, mbedTLS 2.28.3 (it knows the',
        "draft's ids; Debian builds it without), pion 2.2.6, all from Debian 12; node-dtls-client 2.0.3, @nodertc/dtls 0.6.0",
        'and werift-dtls 0.5.8 from npm. So for these two our client talks to our server, in `tests/unit/dtls`; the draft form',
        'of the ids is proved by recorded sessions of devices.', '');
    fs.mkdirSync(path.dirname(table), { recursive: true });
    fs.writeFileSync(table, lines.join('\n'));
}

(async () => {
    const results = [];
    const only = process.env.INTEROP_ONLY;
    const waiting = tests.filter((t) => !only || `${t.peer}: ${t.what} ${t.suite}`.includes(only));
    const runOne = async (test) => {
        const result = exists(test.command) ? await test.run(test) : 'skipped';
        results.push({ test, result });
        const mark = result === null ? 'ok  ' : result === 'skipped' ? 'skip' : 'FAIL';
        console.log(`${mark} ${test.peer}: ${test.what} ${test.suite}`);
        if (mark === 'FAIL') console.log(`     ${result.replace(/\n/g, '\n     ')}`);
    };
    const work = async () => {
        while (waiting.length > 0) await runOne(waiting.shift());
    };
    if (waiting.some((test) => test.run === againstSlipwayd)) {
        daemon = new Daemon(path.join(build, 'slipwayd'), pki, scratch);
        await daemon.start();
    }
    await Promise.all([work(), work(), work(), work()]);
    const code = daemon ? await daemon.stop() : 0;
    if (code !== 0) console.log(`FAIL slipwayd ended with ${code}: ${daemon.log.slice(-2000)}`);
    results.sort((a, b) => tests.indexOf(a.test) - tests.indexOf(b.test));
    if (table) writeTable(results);
    fs.rmSync(scratch, { recursive: true, force: true });
    const failed = results.filter((r) => r.result !== null && r.result !== 'skipped').length + (code !== 0);
    const passed = results.filter((r) => r.result === null).length;
    console.log(`${passed} passed, ${failed} failed, ${results.filter((r) => r.result === 'skipped').length} skipped`);
    process.exit(failed > 0 ? 1 : passed === 0 ? 77 : 0);
})();
