// What every case stands on: files, ports, processes, and how our own two programs are called.
'use strict';
const { spawn, spawnSync } = require('child_process');
const dgram = require('dgram');
const fs = require('fs');
const os = require('os');
const path = require('path');

const [build, pki] = process.argv.slice(2, 4).map((name) => path.resolve(name));
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-interop-'));
process.on('exit', () => fs.rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
const program = (name) => path.join(build, name);
const pem = (name) => path.join(pki, `${name}.pem`);

const identity = 'device-12';
const psk = '0123456789abcdef';
const word = 'hello';
const hex = (text) => Buffer.from(text).toString('hex');

// Whose names for the suites: OpenSSL's, GnuTLS's (key exchange and cipher), wolfSSL's own where it differs.
const suites = {
    C0AE: ['ECDHE-ECDSA-AES128-CCM8', 'ECDHE-ECDSA', 'AES-128-CCM-8'],
    C0AC: ['ECDHE-ECDSA-AES128-CCM', 'ECDHE-ECDSA', 'AES-128-CCM'],
    C02B: ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA', 'AES-128-GCM'],
    C0A8: ['PSK-AES128-CCM8', 'PSK', 'AES-128-CCM-8'],
    C0A4: ['PSK-AES128-CCM', 'PSK', 'AES-128-CCM'],
    '00A8': ['PSK-AES128-GCM-SHA256', 'PSK', 'AES-128-GCM'],
};
const pskSuites = ['C0A8', 'C0A4', '00A8'];
const certificateSuites = ['C0AE', 'C0AC', 'C02B'];

const ourServer = {
    psk: ['--psk', `${identity}=${psk}`],
    raw: ['--key', pem('server.key')],
    x509: ['--key', pem('server.key'), '--cert', pem('server'), '--trust', pem('authority')],
};

function publicKey(name) {
    const out = path.join(scratch, `${name}.pub.pem`);
    spawnSync('openssl', ['pkey', '-in', pem(`${name}.key`), '-pubout', '-out', out]);
    return out;
}
// libcoap wants both halves of a raw key in one file, the private one in its older form.
function bothKeys(name) {
    const out = path.join(scratch, `${name}.both.pem`);
    const sec1 = spawnSync('openssl', ['ec', '-in', pem(`${name}.key`)], { encoding: 'latin1' }).stdout;
    fs.writeFileSync(out, sec1 + fs.readFileSync(publicKey(name), 'latin1'));
    return out;
}
const ourClient = {
    psk: ['--psk', `${identity}=${psk}`],
    raw: ['--key', pem('client.key'), '--pin', publicKey('server')],
    x509: ['--key', pem('client.key'), '--cert', pem('client'), '--trust', pem('authority')],
};

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

// Whether somebody has this UDP port: what a server says when it is ready may be kept in its buffer.
function isBound(port) {
    const local = new RegExp(`^ *\\d+: [0-9A-F]+:${port.toString(16).padStart(4, '0')} `, 'im');
    return ['/proc/net/udp', '/proc/net/udp6'].some((list) => local.test(fs.readFileSync(list, 'latin1')));
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function until(holds, ms) {
    for (const end = Date.now() + ms; Date.now() < end; await sleep(15)) {
        if (await holds()) return true;
    }
    return false;
}

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
    say(text) { this.child.stdin.write(text); }
    until(pattern, ms) { return until(() => pattern.test(this.output), ms); }
    // It is left time to say goodbye when its standard input ends.
    async stop(graceMs = 0) {
        this.child.stdin.end();
        if (graceMs > 0) await Promise.race([this.ended, sleep(graceMs)]);
        this.child.kill('SIGTERM');
        const late = setTimeout(() => this.child.kill('SIGKILL'), 1500);
        await this.ended;
        clearTimeout(late);
    }
}

const exists = (command) => path.isAbsolute(command) ? fs.existsSync(command) :
    (process.env.PATH || '').split(':').some((folder) => fs.existsSync(path.join(folder, command)));

module.exports = {
    build, pki, scratch, program, pem, identity, psk, word, hex, suites, pskSuites, certificateSuites, ourServer,
    ourClient, publicKey, bothKeys, takePort, isBound, sleep, until, Program, exists,
};
