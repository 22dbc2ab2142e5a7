// A slipwayd for the interop tests: with a CA of its own, certificates and PSKs for its devices.
'use strict';
const { spawn, spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');

const token = 'ad'.repeat(20);
const platform = 13;

class Daemon {
    constructor(program, pki, scratch, address = '127.0.0.1') {
        Object.assign(this, { program, pki, scratch, address, made: 0 });
        this.authority = path.join(scratch, 'fleet-ca.pem');
        this.#openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj',
            '/CN=fleet', '-days', '2', '-keyout', this.#at('fleet-ca.key.pem'), '-out', this.authority);
    }
    #at(name) { return path.join(this.scratch, name); }
    #openssl(...args) {
        const made = spawnSync('openssl', args, { encoding: 'latin1' });
        if (made.status !== 0) throw new Error(`openssl ${args[0]}: ${made.stderr}`);
    }

    // Anew, after the first time, on the port that it had.
    async start() {
        const config = this.#at('slipway.conf');
        fs.writeFileSync(config, `[dtls]\ncertificate = ${this.pki}/server.pem\n` +
            `certificate_key = ${this.pki}/server.key.pem\nclient_ca = ${this.authority}\n`);
        this.child = spawn(this.program, ['--data', this.#at('data'), '--http', '127.0.0.1:0', '--dtls',
            `${this.address}:${this.port || 0}`, '--config', config],
        { env: { ...process.env, SLIPWAY_ADMIN_TOKEN: token } });
        this.output = '';
        this.log = '';
        this.child.stderr.on('data', (data) => { this.log += data; });
        await new Promise((resolve, reject) => {
            this.child.stdout.on('data', (data) => {
                this.output += data;
                const ready = /^slipwayd ready http=(\S+) dtls=\S+:(\d+)/m.exec(this.output);
                if (!ready) return;
                [this.base, this.port] = [`http://${ready[1]}`, Number(ready[2])];
                resolve();
            });
            this.child.on('exit', (code) => reject(new Error(`slipwayd ended with ${code}: ${this.log}`)));
        });
        if (this.product) return;
        const reply = await this.api('POST', '/v1/products', { product: { name: 'Interop', platform_id: platform } });
        this.product = reply.product.id;
    }
    async stop(signal = 'SIGTERM') {
        const ended = new Promise((done) => this.child.once('close', done));
        this.child.kill(signal);
        return ended;
    }
    async api(method, url, body) {
        const response = await fetch(this.base + url, {
            method, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
            body: body && JSON.stringify(body),
        });
        const text = await response.text();
        if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
        return JSON.parse(text);
    }

    // A device that is imported, with a PSK and files for a certificate in its name.
    async device({ alt = false } = {}) {
        this.made += 1;
        const id = `e00fce68${this.made.toString(16).padStart(16, '0')}`;
        const file = (kind) => this.#at(`${id}.${kind}.pem`);
        await this.api('POST', `/v1/products/${this.product}/devices`, { id });
        // libcoap's client takes a PSK as text.
        const text = `a secret of ${id}`;
        const psk = Buffer.from(text).toString('hex');
        await this.api('PUT', `/v1/products/${this.product}/devices/${id}/psk`, { psk });
        const request = ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout',
            file('key'), '-out', file('csr'), '-subj', alt ? '/CN=elsewhere' : `/CN=${id}`];
        fs.writeFileSync(file('ext'), `extendedKeyUsage=clientAuth\nbasicConstraints=critical,CA:FALSE\n` +
            (alt ? `subjectAltName=DNS:${id}.devices.example\n` : ''));
        this.#openssl(...request);
        this.#openssl('x509', '-req', '-in', file('csr'), '-CA', this.authority, '-CAkey', this.#at('fleet-ca.key.pem'),
            '-CAcreateserial', '-CAserial', file('srl'), '-days', '2', '-extfile', file('ext'), '-out', file('cert'));
        this.#openssl('pkey', '-in', file('key'), '-pubout', '-out', file('pub'));
        // And both halves of a raw key in one file, the private one in its older form.
        this.#openssl('ec', '-in', file('key'), '-out', file('both'));
        fs.appendFileSync(file('both'), fs.readFileSync(file('pub')));
        return { id, psk, text, key: file('key'), cert: file('cert'), pub: file('pub'), both: file('both') };
    }
    // One whose id has no PSK: a raw key is bound to it at its first Hello.
    async plainDevice() {
        const device = await this.device();
        await this.api('DELETE', `/v1/products/${this.product}/devices/${device.id}/psk`);
        return device;
    }
    async isServed(id) {
        const device = await this.api('GET', `/v1/products/${this.product}/devices/${id}`);
        return device.online === true && device.firmware_version === 7;
    }
}

// A confirmable POST /h of a device with version 7 of its application, and the acknowledgement that
// follows when it is on disk.
const helloPayload = (id) => Buffer.from(`000d000700f6000d000c${id}18380480001700000200`, 'hex');
const hello = (id) => Buffer.concat([Buffer.from('40021234b168ff', 'hex'), helloPayload(id)]);
const acknowledged = /\x60\x00\x12\x34/;

module.exports = { Daemon, hello, helloPayload, acknowledged };
